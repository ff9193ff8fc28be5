//! The audit log (`keys-and-ca.md` 8): who, when, from where, what, on which object, with which result.
//!
//! Append only. Each record carries the SM3 link over the record before, so that whoever changes, drops or
//! slips in a record must change every later one; the last link, written down elsewhere, gives that away.

mod store;

use ykt_base::DateTime;
use ykt_crypto::chain::Hash32;

pub use store::{append, list, verify};

ykt_store::coded! {
    /// How an act ended.
    Outcome {
        /// Done.
        Done = 0, "done";
        /// Refused by a rule.
        Refused = 1, "refused";
    }
}

/// A record of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its place, from 1 without gaps.
    pub seq: u64,
    /// When.
    pub at: DateTime,
    /// Who.
    pub who: String,
    /// From which machine.
    pub from: String,
    /// What was done, a fixed word such as `card/report loss`.
    pub what: String,
    /// To which object; never a secret, card numbers masked.
    pub object: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, or what changed, in words.
    pub detail: String,
    /// Link over all before and this.
    pub link: Hash32,
}

/// Which records a list shows; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// First moment.
    pub from: Option<DateTime>,
    /// First moment no longer shown.
    pub until: Option<DateTime>,
    /// Part of the user's name.
    pub who: Option<String>,
    /// Part of what was done, of the object or of the detail.
    pub text: Option<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
}

/// What a verification of the chain found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainReport {
    /// Every record is there and unchanged. Compare `last` with the link written down elsewhere: it tells
    /// whether records were cut off at the end.
    Whole {
        /// Records of the log.
        records: u64,
        /// The link of the last one.
        last: Hash32,
    },
    /// A record is missing.
    Missing {
        /// Its place.
        seq: u64,
    },
    /// A record, or one before it, is not what was written.
    Changed {
        /// Its place: the first that does not fit.
        seq: u64,
    },
}
