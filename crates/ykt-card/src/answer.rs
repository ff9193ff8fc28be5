//! Answers of handlers: data and 9000, or another status word; and the answers that wait for GET RESPONSE.
//!
//! Under T=0 a command either brings data or gets some. Where the application or the MF says so
//! ([`Switches::answers_wait`](ykt_purse::create::Switches)), the answer to a command that brought data is 61xx, and the
//! next command may fetch it. GET RESPONSE leaves a transaction that is under way as it is.

use crate::card::Card;
use crate::command::Wanted;
use crate::memory::{BatchFull, Memory, MemoryFault};
use ykt_base::{Command, Response, StatusWord};

/// Class and instruction of GET RESPONSE (取响应).
pub(crate) const GET_RESPONSE: (u8, u8) = (0x00, 0xC0);

/// What a handler gives: a refusal is its status word alone.
pub(crate) type Outcome = Result<Response, StatusWord>;

/// 9000 with data.
pub(crate) fn answer(data: &[u8]) -> Outcome {
    Response::new(data, StatusWord::OK).ok_or(StatusWord::NO_DIAGNOSIS)
}

/// 9000 alone.
pub(crate) fn done() -> Outcome {
    Ok(Response::status(StatusWord::OK))
}

/// What a command fetches of an answer that waits.
pub(crate) enum Fetched {
    /// The answer.
    Answer,
    /// Nothing, for another length than it has: it waits on.
    WrongLength(StatusWord),
    /// It is no GET RESPONSE, or nothing waits; what waits is lost.
    Nothing,
}

impl<M: Memory> Card<M> {
    /// Whether `apdu` is a GET RESPONSE for the answer that waits.
    pub(crate) fn fetched(&self, apdu: &[u8]) -> Fetched {
        let (Some(waiting), Ok(command)) = (&self.session.waiting, Command::parse(apdu)) else {
            return Fetched::Nothing;
        };
        if (command.cla, command.ins) != GET_RESPONSE || (command.p1, command.p2, command.data) != (0, 0, &[])
        {
            return Fetched::Nothing;
        }
        Wanted(command.le).exact(waiting.data().len()).map_or_else(Fetched::WrongLength, |()| Fetched::Answer)
    }

    /// Whether an answer does not leave the card now.
    pub(crate) fn waits(&self, apdu: &[u8], answer: &Response) -> bool {
        (self.factory.mf_switches.answers_wait || self.session.directory.switches.answers_wait)
            && !answer.data().is_empty()
            && Command::parse(apdu).is_ok_and(|command| !command.data.is_empty())
    }
}

impl From<MemoryFault> for StatusWord {
    fn from(_: MemoryFault) -> StatusWord {
        StatusWord::MEMORY_FAILURE
    }
}

impl From<BatchFull> for StatusWord {
    fn from(_: BatchFull) -> StatusWord {
        StatusWord::NO_SPACE
    }
}
