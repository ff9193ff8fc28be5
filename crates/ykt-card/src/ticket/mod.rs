//! Electronic tickets (电子票据, `systems.md` C4): coupons and admission tickets in a store of their own, EF 0003. What
//! the bytes are stands in [`ykt_purse::ticket`].
//!
//! Issuers know each other not: each has keys under its own id, and a ticket remembers whose it is. A ticket comes
//! into being in one commit, at Write_ET_End; what Write_ET_Info brought before lies in a place that counts as free.

mod read;
mod store;
mod write;

pub(crate) use store::{occupied, store_len};

use crate::answer::Outcome;
use crate::card::Card;
use crate::command::{CardCommand, Form, Wanted};
use crate::memory::Memory;
use crate::session::{Carried, Pending};
use read::PendingRead;
use write::PendingWrite;
use ykt_base::{Rng, StatusWord};
use ykt_purse::ticket::{self, ReadEnd, ReadInfo, ReadInit, WriteEnd, WriteInfo, WriteInit};

/// Commands of tickets.
pub(crate) enum TicketCommand<'a> {
    WriteInit(WriteInit),
    WriteInfo(WriteInfo<'a>),
    WriteEnd(WriteEnd),
    ReadInit(ReadInit),
    ReadInfo(ReadInfo, Wanted),
    ReadEnd(ReadEnd),
}

/// What Init began, until End.
pub(crate) enum PendingTicket {
    Write(PendingWrite),
    Read(PendingRead),
}

/// Their rows of the command table.
pub(crate) const FORMS: &[Form] = &[
    Form::of_application(
        "Write_ET_Init",
        0x30,
        |c| Ok(TicketCommand::WriteInit(WriteInit::parse(c)?).into()),
    ),
    Form::of_application(
        "Write_ET_Info",
        0x32,
        |c| Ok(TicketCommand::WriteInfo(WriteInfo::parse(c)?).into()),
    ),
    Form::of_application("Write_ET_End", 0x34, |c| Ok(TicketCommand::WriteEnd(WriteEnd::parse(c)?).into())),
    Form::of_application("Read_ET_Init", 0x36, |c| Ok(TicketCommand::ReadInit(ReadInit::parse(c)?).into())),
    Form::of_application("Read_ET_Info", 0x38, |c| {
        Ok(TicketCommand::ReadInfo(ReadInfo::parse(c)?, Wanted(c.le)).into())
    }),
    Form::of_application("Read_ET_End", 0x3A, |c| Ok(TicketCommand::ReadEnd(ReadEnd::parse(c)?).into())),
];

impl<'a> From<TicketCommand<'a>> for CardCommand<'a> {
    fn from(command: TicketCommand<'a>) -> CardCommand<'a> {
        CardCommand::Ticket(command)
    }
}

impl TicketCommand<'_> {
    /// Length of the answer when the command alone decides it.
    pub(crate) const fn answer_len(&self) -> Option<usize> {
        match self {
            TicketCommand::WriteInit(_) => Some(ticket::WRITE_ANSWER_LEN),
            TicketCommand::WriteInfo(_) | TicketCommand::WriteEnd(WriteEnd::Holder { .. }) => Some(0),
            TicketCommand::WriteEnd(WriteEnd::Host { .. }) => Some(ticket::WRITE_END_ANSWER_LEN),
            TicketCommand::ReadInit(init) => Some(init.answer_len()),
            TicketCommand::ReadInfo(..) => None,
            TicketCommand::ReadEnd(end) => Some(end.answer_len()),
        }
    }
}

impl<M: Memory> Card<M> {
    #[inline(never)]
    pub(crate) fn execute_ticket(
        &mut self,
        rng: &mut dyn Rng,
        command: TicketCommand<'_>,
        carried: &mut Carried,
    ) -> Outcome {
        let pending = match carried.pending.take() {
            Some(Pending::Ticket(pending)) => Some(pending),
            _ => None,
        };
        match (command, pending) {
            (TicketCommand::WriteInit(init), _) => self.write_init(rng, init),
            (TicketCommand::WriteEnd(WriteEnd::Holder { id }), _) => self.delete_for_holder(id),
            (TicketCommand::ReadInit(init), _) => self.read_init(rng, init),
            (TicketCommand::WriteInfo(info), Some(PendingTicket::Write(pending))) => {
                self.write_info(info, pending)
            }
            (
                TicketCommand::WriteEnd(WriteEnd::Host { action, at, mac2 }),
                Some(PendingTicket::Write(pending)),
            ) if pending.order.action() == action => self.write_end(at, mac2, &pending),
            (TicketCommand::ReadInfo(info, wanted), Some(PendingTicket::Read(pending))) => {
                self.read_info(info, wanted, pending)
            }
            (TicketCommand::ReadEnd(end), Some(PendingTicket::Read(pending))) => self.read_end(end, pending),
            _ => Err(StatusWord::NOT_INITIALIZED),
        }
    }
}
