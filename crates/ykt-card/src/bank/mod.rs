//! Bank cards on the SIM (银行卡功能, `systems.md` C3). What the bytes are stands in [`ykt_purse::bank`].
//!
//! Each bank card is an application (DF) of its own: EF 0004 ties its tracks, its signature picture and its log
//! together, and keys are looked for in the current application only. So nothing of one bank is within reach of
//! another, and SELECT of another application ends what was begun.

mod card;

pub(crate) use card::{BODY_LEN, PendingBank, counter};

use crate::answer::Outcome;
use crate::card::Card;
use crate::command::{CardCommand, Form, Wanted};
use crate::memory::Memory;
use crate::session::{Carried, Pending};
use ykt_base::{Rng, StatusWord};
use ykt_purse::bank::{INIT_ANSWER_LEN, InitMc, NOTE_ANSWER_LEN, ReadMc, ReadSign, TransmitNote};

/// Commands of bank cards.
pub(crate) enum BankCommand {
    Init(InitMc),
    Read(ReadMc, Wanted),
    Note(TransmitNote),
    Sign(ReadSign, Wanted),
}

/// Their rows of the command table.
pub(crate) const FORMS: &[Form] = &[
    Form::of_application("InitMC", 0x40, |c| Ok(BankCommand::Init(InitMc::parse(c)?).into())),
    Form::of_application("ReadMC", 0x42, |c| Ok(BankCommand::Read(ReadMc::parse(c)?, Wanted(c.le)).into())),
    Form::of_application("Transmit_Consume_Note", 0x44, |c| {
        Ok(BankCommand::Note(TransmitNote::parse(c)?).into())
    }),
    Form::of_application("Read_Share_Sign", 0x46, |c| {
        Ok(BankCommand::Sign(ReadSign::parse(c)?, Wanted(c.le)).into())
    }),
];

impl From<BankCommand> for CardCommand<'_> {
    fn from(command: BankCommand) -> Self {
        CardCommand::Bank(command)
    }
}

impl BankCommand {
    /// Length of the answer when the command alone decides it.
    pub(crate) const fn answer_len(&self) -> Option<usize> {
        match self {
            BankCommand::Init(_) => Some(INIT_ANSWER_LEN),
            BankCommand::Note(_) => Some(NOTE_ANSWER_LEN),
            BankCommand::Read(..) | BankCommand::Sign(..) => None,
        }
    }
}

impl<M: Memory> Card<M> {
    #[inline(never)]
    pub(crate) fn execute_bank(
        &mut self,
        rng: &mut dyn Rng,
        command: BankCommand,
        carried: &mut Carried,
    ) -> Outcome {
        match (command, carried.pending.take()) {
            (BankCommand::Init(init), _) => self.init_mc(rng, init),
            (BankCommand::Read(read, wanted), Some(Pending::Bank(pending))) => {
                self.read_mc(read, wanted, pending)
            }
            (BankCommand::Note(note), Some(Pending::Bank(pending))) => self.take_note(&note, pending),
            (BankCommand::Sign(read, wanted), Some(Pending::Bank(pending))) => {
                self.read_sign(read, wanted, pending)
            }
            _ => Err(StatusWord::NOT_INITIALIZED),
        }
    }
}
