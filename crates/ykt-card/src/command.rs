//! Bytes become a closed [`CardCommand`] here; nothing behind this sees P1, P2 or lengths. What is wrong gets its
//! status word in the order class, instruction, P1 P2, Lc, data, Le.

use crate::files::binary::{ReadBinary, UpdateBinary};
use crate::files::create::NewEntry;
use crate::files::record::ReadRecord;
use crate::files::select::Select;
use crate::image::CardKind;
use crate::psam::cipher::{CipherData, DeliverKey};
use crate::purse::purchase::parse_initialize;
use crate::security::authenticate::{ChallengeLength, ExternalAuthenticate, Verify};
use crate::security::messaging::MessageClass;
use crate::security::write_key::WriteKey;
use ykt_base::apdu::RESPONSE_DATA_LEN_MAX;
use ykt_base::{Command, StatusWord};
use ykt_purse::load::{CREDIT_ANSWER_LEN, CreditForLoad, InitializeForLoad};
use ykt_purse::prove::{self, ProveTransaction};
use ykt_purse::psam::{self, CreditSam, InitSamForPurchase};
use ykt_purse::purchase::{DEBIT_ANSWER_LEN, DebitForPurchase, InitializeForPurchase};
use ykt_purse::{Purse, load, purchase};

/// Length of a GET BALANCE answer.
const BALANCE_LEN: usize = 4;

/// Le: how long the terminal wants the answer (`epurse.md` 0: absent, 00 or exact).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted(pub(crate) Option<u16>);

impl Wanted {
    /// # Errors
    /// 6Cxx when another length than `len` is wanted.
    pub(crate) fn exact(self, len: usize) -> Result<(), StatusWord> {
        match self.stated() {
            Some(stated) if stated != len => Err(exact_length(len)),
            _ => Ok(()),
        }
    }

    /// The length wanted of an answer that may be shortened, `there` being what there is.
    ///
    /// # Errors
    /// 6Cxx when more is wanted.
    pub(crate) fn up_to(self, there: usize) -> Result<usize, StatusWord> {
        match self.stated() {
            Some(stated) if stated > there => Err(exact_length(there)),
            Some(stated) => Ok(stated),
            None => Ok(there.min(RESPONSE_DATA_LEN_MAX)),
        }
    }

    /// The length when it is stated: absent and 00 leave it to the card.
    fn stated(self) -> Option<usize> {
        self.0.map(usize::from).filter(|stated| *stated < RESPONSE_DATA_LEN_MAX)
    }
}

fn exact_length(len: usize) -> StatusWord {
    StatusWord::exact_length(u8::try_from(len).unwrap_or(0))
}

/// Every command the card system knows.
#[derive(Clone, Copy)]
pub(crate) enum CardCommand<'a> {
    Select(Select<'a>),
    ReadBinary(ReadBinary<'a>),
    UpdateBinary(UpdateBinary<'a>),
    ReadRecord(ReadRecord<'a>),
    CreateFile(NewEntry<'a>),
    GetChallenge(ChallengeLength),
    ExternalAuthenticate(ExternalAuthenticate),
    Verify(Verify),
    WriteKey(WriteKey<'a>),
    GetBalance(Purse),
    InitializeForLoad(InitializeForLoad),
    CreditForLoad(CreditForLoad),
    InitializeForPurchase(InitializeForPurchase),
    DebitForPurchase(DebitForPurchase),
    Prove(ProveTransaction),
    InitSamForPurchase(InitSamForPurchase),
    CreditSam(CreditSam),
    DeliverKey(DeliverKey),
    CipherData(CipherData<'a>),
}

/// Instruction bytes, each with the classes it exists in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instruction {
    Select,
    ReadBinary,
    UpdateBinary,
    ReadRecord,
    CreateFile,
    GetChallenge,
    ExternalAuthenticate,
    Verify,
    WriteKey,
    GetBalance,
    Initialize,
    Credit,
    Debit,
    Prove,
    InitSam,
    CreditSam,
    DeliverKey,
    CipherData,
}

impl Instruction {
    /// The instruction of a byte and its classes in this kind of card.
    const fn of(kind: CardKind, ins: u8) -> Option<(Instruction, &'static [u8])> {
        use Instruction as I;
        Some(match (ins, kind) {
            (0xA4, _) => (I::Select, &[0x00]),
            (0xB0, _) => (I::ReadBinary, &[0x00, 0x04]),
            (0xD6, _) => (I::UpdateBinary, &[0x00, 0x04, 0x84]),
            (0xB2, _) => (I::ReadRecord, &[0x00, 0x04]),
            (0xE0, _) => (I::CreateFile, &[0x80]),
            (0x84, _) => (I::GetChallenge, &[0x00]),
            (0x82, _) => (I::ExternalAuthenticate, &[0x00]),
            (0x20, _) => (I::Verify, &[0x00]),
            (0xD4, CardKind::User) => (I::WriteKey, &[0x80, 0x84]),
            (0xD4, CardKind::Psam) => (I::WriteKey, &[0x84]),
            (0x5C, CardKind::User) => (I::GetBalance, &[0x80]),
            (0x50, CardKind::User) => (I::Initialize, &[0x80]),
            (0x52, CardKind::User) => (I::Credit, &[0x80]),
            (0x54, CardKind::User) => (I::Debit, &[0x80]),
            (0x5A, CardKind::User) => (I::Prove, &[0x80]),
            (0x70, CardKind::Psam) => (I::InitSam, &[0x80]),
            (0x72, CardKind::Psam) => (I::CreditSam, &[0x80]),
            (0x1A, CardKind::Psam) => (I::DeliverKey, &[0x80]),
            (0xFA, CardKind::Psam) => (I::CipherData, &[0x80]),
            _ => return None,
        })
    }
}

/// Classes any instruction exists in.
const CLASSES: [u8; 4] = [0x00, 0x04, 0x80, 0x84];

impl<'a> CardCommand<'a> {
    /// Reads a command for a card of this kind.
    ///
    /// # Errors
    /// 6700 for bytes that are no APDU; 6E00, 6D00; then what the command's own layout says: 6A86, 6700, 6A80,
    /// 6987, 6Cxx.
    pub(crate) fn parse(kind: CardKind, apdu: &'a [u8]) -> Result<CardCommand<'a>, StatusWord> {
        let command = Command::parse(apdu).map_err(|_| StatusWord::WRONG_LENGTH)?;
        if !CLASSES.contains(&command.cla) {
            return Err(StatusWord::UNKNOWN_CLA);
        }
        let (instruction, classes) = Instruction::of(kind, command.ins).ok_or(StatusWord::UNKNOWN_INS)?;
        if !classes.contains(&command.cla) {
            return Err(StatusWord::UNKNOWN_CLA);
        }
        let parsed = CardCommand::of(instruction, kind, &command)?;
        if let Some(len) = parsed.answer_len() {
            Wanted(command.le).exact(len)?;
        }
        Ok(parsed)
    }

    fn of(
        instruction: Instruction,
        kind: CardKind,
        command: &Command<'a>,
    ) -> Result<CardCommand<'a>, StatusWord> {
        let class = match command.cla {
            0x04 => MessageClass::Mac,
            0x84 => MessageClass::EncipheredMac,
            _ => MessageClass::Plain,
        };
        Ok(match instruction {
            Instruction::Select => CardCommand::Select(Select::parse(command)?),
            Instruction::ReadBinary => CardCommand::ReadBinary(ReadBinary::parse(command, class)?),
            Instruction::UpdateBinary => CardCommand::UpdateBinary(UpdateBinary::parse(command, class)?),
            Instruction::ReadRecord => CardCommand::ReadRecord(ReadRecord::parse(command, class)?),
            Instruction::CreateFile => CardCommand::CreateFile(NewEntry::parse(command)?),
            Instruction::GetChallenge => CardCommand::GetChallenge(ChallengeLength::parse(command)?),
            Instruction::ExternalAuthenticate => {
                CardCommand::ExternalAuthenticate(ExternalAuthenticate::parse(command)?)
            }
            Instruction::Verify => CardCommand::Verify(Verify::parse(command)?),
            Instruction::WriteKey => CardCommand::WriteKey(WriteKey::parse(kind, class, command)?),
            Instruction::GetBalance => CardCommand::GetBalance(parse_balance(command)?),
            Instruction::Initialize if command.p1 == 0x00 => {
                CardCommand::InitializeForLoad(InitializeForLoad::parse(command)?)
            }
            Instruction::Initialize => CardCommand::InitializeForPurchase(parse_initialize(command)?),
            Instruction::Credit => CardCommand::CreditForLoad(CreditForLoad::parse(command)?),
            Instruction::Debit => CardCommand::DebitForPurchase(DebitForPurchase::parse(command)?),
            Instruction::Prove => CardCommand::Prove(ProveTransaction::parse(command)?),
            Instruction::InitSam => CardCommand::InitSamForPurchase(InitSamForPurchase::parse(command)?),
            Instruction::CreditSam => CardCommand::CreditSam(CreditSam::parse(command)?),
            Instruction::DeliverKey => CardCommand::DeliverKey(DeliverKey::parse(command)?),
            Instruction::CipherData => CardCommand::CipherData(CipherData::parse(command)?),
        })
    }

    /// Length of the answer when the command alone decides it; else its handler looks at Le.
    const fn answer_len(&self) -> Option<usize> {
        match self {
            CardCommand::Select(_)
            | CardCommand::ReadBinary(_)
            | CardCommand::ReadRecord(_)
            | CardCommand::GetChallenge(_) => None,
            CardCommand::UpdateBinary(_)
            | CardCommand::CreateFile(_)
            | CardCommand::ExternalAuthenticate(_)
            | CardCommand::Verify(_)
            | CardCommand::WriteKey(_)
            | CardCommand::CreditSam(_)
            | CardCommand::DeliverKey(_) => Some(0),
            CardCommand::GetBalance(_) => Some(BALANCE_LEN),
            CardCommand::InitializeForLoad(_) => Some(load::INITIALIZE_ANSWER_LEN),
            CardCommand::CreditForLoad(_) => Some(CREDIT_ANSWER_LEN),
            CardCommand::InitializeForPurchase(_) => Some(purchase::INITIALIZE_ANSWER_LEN),
            CardCommand::DebitForPurchase(_) => Some(DEBIT_ANSWER_LEN),
            CardCommand::Prove(_) => Some(prove::ANSWER_LEN),
            CardCommand::InitSamForPurchase(_) => Some(psam::INIT_ANSWER_LEN),
            CardCommand::CipherData(command) => Some(command.answer_len()),
        }
    }
}

/// GET BALANCE (读余额): `80 5C 00 purse`.
fn parse_balance(command: &Command<'_>) -> Result<Purse, StatusWord> {
    if command.p1 != 0x00 {
        return Err(StatusWord::WRONG_P1P2);
    }
    let purse = Purse::from_code(command.p2)?;
    if command.data.is_empty() { Ok(purse) } else { Err(StatusWord::WRONG_LENGTH) }
}
