//! The audit log (`keys-and-ca.md` 8): who, when, from where, what, on which object, with which result.
//!
//! Append only: nothing here changes or deletes a record, and triggers of the database refuse whoever tries; so the
//! half year that records must be kept at least needs no guard, they are kept for good. Each record carries
//! the SM3 link over the record before, so that whoever changes, drops or slips in a record must change every later
//! one; signed checkpoints ([`checkpoint`]) give that away, too. [`Verifier`] names the first record that does not fit,
//! in the database and in an exported file ([`file`]) alike.

pub mod checkpoint;
pub mod file;
mod store;
mod verify;

use ykt_base::DateTime;
use ykt_crypto::chain::{self, Hash32};

pub use checkpoint::{Checkpoint, CheckpointError, CheckpointSigner, Fingerprint, SignerGone};
pub use store::{
    append, checkpoint_over, checkpoints, head, last_checkpoint, list, record, verify, verify_behind,
    verify_trusting,
};
pub use verify::{ChainReport, Trust, Verifier};

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

impl AuditRow {
    /// The link over `before` and everything of this record but its own link.
    #[must_use]
    pub fn link_after(&self, before: &Hash32) -> Hash32 {
        chain::next(
            before,
            &[
                &self.seq.to_be_bytes(),
                &self.at.as_number().to_be_bytes(),
                self.who.as_bytes(),
                self.from.as_bytes(),
                self.what.as_bytes(),
                self.object.as_bytes(),
                &[self.outcome.code()],
                self.detail.as_bytes(),
            ],
        )
    }
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
    /// Part of what was done.
    pub what: Option<String>,
    /// Part of the object.
    pub object: Option<String>,
    /// Part of what was done, of the object or of the detail.
    pub text: Option<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
}
