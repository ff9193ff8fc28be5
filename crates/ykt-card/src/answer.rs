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

impl<M: Memory> Card<M> {
    /// What `apdu` fetches of the answer that waits, if it is a GET RESPONSE. A wrong Le lets the answer wait on;
    /// any other command has lost it.
    pub(crate) fn fetch(&mut self, apdu: &[u8]) -> Option<Response> {
        let waiting = self.session.waiting.take()?;
        let command = Command::parse(apdu).ok()?;
        if (command.cla, command.ins) != GET_RESPONSE || (command.p1, command.p2, command.data) != (0, 0, &[])
        {
            return None;
        }
        if let Err(wrong_length) = Wanted(command.le).exact(waiting.data().len()) {
            self.session.waiting = Some(waiting);
            return Some(Response::status(wrong_length));
        }
        Some(waiting)
    }

    /// The answer as it leaves the card now: itself, or that it waits.
    pub(crate) fn give(&mut self, apdu: &[u8], answer: Response) -> Response {
        let waits = self.factory.mf_switches.answers_wait || self.session.directory.switches.answers_wait;
        if !waits || answer.data().is_empty() || !Command::parse(apdu).is_ok_and(|it| !it.data.is_empty()) {
            return answer;
        }
        let len = answer.data().len();
        self.session.waiting = Some(answer);
        Response::status(StatusWord::data_waiting(u8::try_from(len).unwrap_or(0)))
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
