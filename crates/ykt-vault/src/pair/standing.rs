//! The words of a pair: its sides, what each is good for, what happens to them.

use super::{Difference, Other, Pair, fault_of};
use crate::error::VaultError;
use crate::vault::VaultStatus;
use core::fmt;
use thiserror::Error;

/// One of the two vaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The one that acts as a rule.
    Primary,
    /// The one that stands by.
    Backup,
}

impl Side {
    /// Both.
    pub const ALL: [Side; 2] = [Side::Primary, Side::Backup];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Side {
        match self {
            Side::Primary => Side::Backup,
            Side::Backup => Side::Primary,
        }
    }

    /// Name in lists, logs and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Side::Primary => "primary",
            Side::Backup => "backup",
        }
    }

    /// The side of a name, or `None`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Side> {
        Side::ALL.into_iter().find(|side| side.name() == name)
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a vault of a pair is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It answers.
    Acting,
    /// It should answer, does not, and the other cannot take over.
    ActingFailed {
        /// Why it does not.
        reason: String,
    },
    /// It takes over when the other fails.
    Ready {
        /// For how many keys it would not answer, since it differs in them.
        withheld: usize,
    },
    /// It was not compared yet, and does not take over.
    Unknown {
        /// Why not.
        reason: String,
    },
    /// It does not answer.
    Failed {
        /// Why not.
        reason: String,
    },
    /// It is no backup of the other.
    Unfit {
        /// Why not.
        reason: String,
    },
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Acting => f.write_str("acting"),
            Condition::ActingFailed { reason } => {
                write!(f, "acting, but does not answer, and the other cannot take over: {reason}")
            }
            Condition::Ready { withheld: 0 } => f.write_str("in step, takes over"),
            Condition::Ready { withheld } => {
                write!(f, "out of step in {withheld} keys, takes over for the others")
            }
            Condition::Unknown { reason } => write!(f, "not compared, does not take over: {reason}"),
            Condition::Failed { reason } => write!(f, "failed: {reason}"),
            Condition::Unfit { reason } => write!(f, "no backup of the other: {reason}"),
        }
    }
}

/// One vault of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStanding {
    /// What it says of itself: backend, version, health, number of keys.
    pub status: VaultStatus,
    /// What it is good for in the pair.
    pub condition: Condition,
}

/// How a pair stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Who acts.
    pub acting: Side,
    /// The primary.
    pub primary: MemberStanding,
    /// The backup.
    pub backup: MemberStanding,
    /// For how many keys the acting one does not answer, since it differed in them when it took over.
    pub withheld: usize,
}

impl Pair {
    /// How both stand; asks each for its status.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let [primary, backup] = Side::ALL.map(|side| self.member(side).status());
        let state = self.lock();
        let condition = |side: Side| match (side == state.acting, &state.other) {
            (true, _) => {
                let status = if side == Side::Primary { &primary } else { &backup };
                match state.acting_fault.clone().or_else(|| fault_of(&status.health)) {
                    Some(reason) => Condition::ActingFailed { reason },
                    None => Condition::Acting,
                }
            }
            (false, Other::Ready { differs_in }) => Condition::Ready { withheld: differs_in.len() },
            (false, Other::Unknown { reason }) => Condition::Unknown { reason: reason.clone() },
            (false, Other::Failed { reason }) => Condition::Failed { reason: reason.clone() },
            (false, Other::Unfit { reason }) => Condition::Unfit { reason: reason.clone() },
        };
        let [of_primary, of_backup] = Side::ALL.map(condition);
        let (acting, withheld) = (state.acting, state.withheld.len());
        drop(state);
        Standing {
            acting,
            primary: MemberStanding { status: primary, condition: of_primary },
            backup: MemberStanding { status: backup, condition: of_backup },
            withheld,
        }
    }
}

/// What happens to a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairEvent {
    /// Another one acts.
    Switched {
        /// Who acted.
        from: Side,
        /// Who acts.
        to: Side,
        /// Why.
        reason: Reason,
    },
    /// One does not answer.
    Failed {
        /// Which.
        side: Side,
        /// Why not.
        reason: String,
    },
    /// One answers again, and was compared.
    Back {
        /// Which.
        side: Side,
    },
    /// One is not known to have the keys of the other.
    OutOfStep {
        /// Which.
        side: Side,
        /// In what; never a key.
        what: String,
    },
}

impl fmt::Display for PairEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PairEvent::Switched { from, to, reason: Reason::ByHand } => {
                write!(f, "the {to} vault acts in place of the {from}, by hand")
            }
            PairEvent::Switched { from, to, reason: Reason::Failure(why) } => {
                write!(f, "the {to} vault acts in place of the {from}: {why}")
            }
            PairEvent::Failed { side, reason } => write!(f, "the {side} vault failed: {reason}"),
            PairEvent::Back { side } => write!(f, "the {side} vault is back"),
            PairEvent::OutOfStep { side, what } => write!(f, "the {side} vault is out of step: {what}"),
        }
    }
}

/// Why a pair was switched over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Somebody said so.
    ByHand,
    /// The acting vault failed.
    Failure(
        /// How.
        String,
    ),
}

/// Hears what happens to a pair: the audit log of whoever owns it.
///
/// It is told by whatever thread put the question that found out, and the question waits meanwhile: hand the event on and
/// return, above all when whoever asks a vault may hold what writing a log needs.
pub trait PairSink: Send + Sync {
    /// Something happened.
    fn happened(&self, event: &PairEvent);
}

impl<F: Fn(&PairEvent) + Send + Sync> PairSink for F {
    fn happened(&self, event: &PairEvent) {
        self(event);
    }
}

/// What somebody who switches over vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwitchOver {
    /// Nothing: the comparison must find no difference.
    InStep,
    /// The other vault's keys are right as they are.
    AsItIs,
}

/// Why a pair is not switched over by hand.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PairError {
    /// The other does not answer, or could not be compared.
    #[error("the {to} vault cannot act: {reason}")]
    Refused {
        /// Who would have acted.
        to: Side,
        /// Why it cannot.
        reason: VaultError,
    },
    /// They differ.
    #[error(
        "the {to} vault is out of step, {} differences, the first: {}; replicate first",
        differences.len(),
        differences.first().map(ToString::to_string).unwrap_or_default()
    )]
    OutOfStep {
        /// Who would have acted.
        to: Side,
        /// In what they differ.
        differences: Vec<Difference>,
    },
}
