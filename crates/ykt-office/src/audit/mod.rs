//! The audit log (`keys-and-ca.md` 8): who, when, from where, what, on which object, with which result.
//!
//! Append only. Each record carries the SM3 link over the record before, so that whoever changes, drops or
//! slips in a record must change every later one; the last link, written down elsewhere, gives that away.

use ykt_base::DateTime;
use ykt_crypto::chain::Hash32;

/// How an act ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// Refused by a rule.
    Refused,
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
