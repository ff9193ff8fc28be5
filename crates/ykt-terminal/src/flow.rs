//! How a flow between a card and whoever holds its keys ends: done, refused, or cut in the middle. What was cut is
//! gone on with by the same flow, once the card is shown again.

use crate::card::{CardError, Step};
use std::fmt;
use ykt_base::{ChannelError, Date, Fen, MerchantCode};

/// How a flow ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended<T> {
    /// It is done.
    Done(T),
    /// It was refused, and nothing is open.
    Refused(Refusal),
    /// Card or key holder fell silent: begin again when they are there.
    Cut(CutAt),
}

/// Where a flow was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CutAt {
    /// The card left before this step was answered.
    Card(Step),
    /// The key holder did not answer.
    KeyHolder {
        /// What was seen instead.
        why: String,
    },
}

impl fmt::Display for CutAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CutAt::Card(step) => write!(f, "the card left at {step}"),
            CutAt::KeyHolder { why } => write!(f, "no answer from the key holder: {why}"),
        }
    }
}

/// Why a flow was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The card stopped at a step.
    #[error(transparent)]
    Card(CardError),
    /// The key holder said no.
    #[error("refused: {reason}")]
    KeyHolder {
        /// In its words.
        reason: String,
    },
    /// What the card answered is not its own: its MAC is wrong.
    #[error("the card's MAC is wrong: it is no card of this issuer; keep nothing and call the issuer")]
    NotGenuine,
    /// The ticket is of another merchant.
    #[error("the ticket is of merchant {found}: show it there")]
    OtherMerchant {
        /// Whose it is.
        found: MerchantCode,
    },
    /// The ticket is not valid on this day.
    #[error("the ticket is valid from {from} to {until}")]
    NotValid {
        /// First day.
        from: Date,
        /// Last day.
        until: Date,
    },
    /// The bytes to be stored are no ticket.
    #[error("these are no ticket's bytes: its terms take 33 bytes, the whole at most 255")]
    NoTicket,
    /// The amount is more than a bank card of a SIM pays.
    #[error("a bank card of a SIM pays at most {most}, found {found}")]
    Amount {
        /// Most.
        most: Fen,
        /// Amount asked for.
        found: Fen,
    },
}

/// What a key holder says instead of what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyHolderError {
    /// It says no.
    #[error("refused: {0}")]
    Refused(
        /// Why, for whoever stands before the terminal.
        String,
    ),
    /// It says nothing.
    #[error("no answer: {0}")]
    NoAnswer(
        /// What was seen instead.
        String,
    ),
}

/// The reader failed; whether the card did what was asked is found out when the flow begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("card reader: {step}: {cause}; begin again when it works")]
pub struct ReaderFault {
    /// The step.
    pub step: Step,
    /// What failed.
    pub cause: ChannelError,
}

/// How a flow stops before its end.
pub(crate) enum Stop {
    Refused(Refusal),
    Cut(CutAt),
    Fault(ReaderFault),
}

impl From<CardError> for Stop {
    fn from(error: CardError) -> Stop {
        match error {
            CardError::Silent { step, cause: ChannelError::NoCard | ChannelError::Removed } => {
                Stop::Cut(CutAt::Card(step))
            }
            CardError::Silent { step, cause } => Stop::Fault(ReaderFault { step, cause }),
            CardError::Refused { .. } | CardError::Unreadable { .. } => Stop::Refused(Refusal::Card(error)),
        }
    }
}

impl From<KeyHolderError> for Stop {
    fn from(error: KeyHolderError) -> Stop {
        match error {
            KeyHolderError::Refused(reason) => Stop::Refused(Refusal::KeyHolder { reason }),
            KeyHolderError::NoAnswer(why) => Stop::Cut(CutAt::KeyHolder { why }),
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(refusal)
    }
}

/// A flow's end as its caller sees it.
pub(crate) fn end<T>(flow: Result<T, Stop>) -> Result<Ended<T>, ReaderFault> {
    match flow {
        Ok(done) => Ok(Ended::Done(done)),
        Err(Stop::Refused(refusal)) => Ok(Ended::Refused(refusal)),
        Err(Stop::Cut(at)) => Ok(Ended::Cut(at)),
        Err(Stop::Fault(fault)) => Err(fault),
    }
}
