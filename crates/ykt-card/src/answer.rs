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

/// What a handler gives: the status word beside the data it has put into the session, or a refusal, which has none.
pub(crate) type Outcome = Result<StatusWord, StatusWord>;

/// 9000; alone, or with what is in the session's answer.
pub(crate) const fn done() -> Outcome {
    Ok(StatusWord::OK)
}

/// What a command fetches of an answer that waits.
pub(crate) enum Fetched {
    /// The answer, with this status word.
    Answer(StatusWord),
    /// Nothing, for another length than it has: it waits on.
    WrongLength(StatusWord),
    /// It is no GET RESPONSE, or nothing waits; what waits is lost.
    Nothing,
}

impl<M: Memory> Card<M> {
    /// 9000 with data.
    pub(crate) fn answer(&mut self, data: &[u8]) -> Outcome {
        self.session.answer.clear();
        self.session.answer.push(data).ok_or(StatusWord::NO_DIAGNOSIS)?;
        done()
    }

    /// 9000 with `len` bytes of the memory at `at`.
    pub(crate) fn answer_stored(&mut self, at: usize, len: usize) -> Outcome {
        self.session.answer.resize(len).ok_or(StatusWord::NO_DIAGNOSIS)?;
        self.store.read_into(at, self.session.answer.as_mut_bytes());
        done()
    }

    /// Whether `apdu` is a GET RESPONSE for the answer that waits.
    pub(crate) fn fetched(&self, apdu: &[u8]) -> Fetched {
        let Some(waiting) = self.session.waiting else { return Fetched::Nothing };
        let Ok(command) = Command::parse(apdu) else { return Fetched::Nothing };
        if (command.cla, command.ins) != GET_RESPONSE || (command.p1, command.p2, command.data) != (0, 0, &[])
        {
            return Fetched::Nothing;
        }
        let exact = Wanted(command.le).exact(self.session.answer.len());
        exact.map_or_else(Fetched::WrongLength, |()| Fetched::Answer(waiting))
    }

    /// Whether the answer to `apdu` does not leave the card now.
    pub(crate) fn waits(&self, apdu: &[u8]) -> bool {
        (self.factory.mf_switches.answers_wait || self.session.directory.switches.answers_wait)
            && !self.session.answer.is_empty()
            && Command::parse(apdu).is_ok_and(|command| !command.data.is_empty())
    }

    /// The answer as it leaves the card. Out of line, so that it is not on the stack while the card computes it.
    #[inline(never)]
    pub(crate) fn response(&self, sw: StatusWord) -> Response {
        Response::new(&self.session.answer, sw).unwrap_or(Response::status(StatusWord::NO_DIAGNOSIS))
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
