//! Answers of handlers: data and 9000, or another status word.

use crate::memory::{BatchFull, MemoryFault};
use ykt_base::{Response, StatusWord};

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
