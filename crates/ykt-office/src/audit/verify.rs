//! The verifier: records in their order and checkpoints go in, the first thing that is wrong comes out. It needs no
//! database, so an exported file is judged by the same rules as the log itself, on another machine.

use super::{AuditRow, Checkpoint, Fingerprint};
use std::collections::VecDeque;
use std::fmt;
use ykt_crypto::chain::Hash32;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainReport {
    /// Every record is there and unchanged, and every checkpoint fits. What came after the last checkpoint is
    /// proved by the chain alone: compare `last` with a link written down elsewhere, or make a checkpoint.
    Whole {
        /// The first record that was looked at: 1, or the one behind the checkpoint a verification began at.
        from: u64,
        /// Records of the log.
        records: u64,
        /// The link of the last one.
        last: Hash32,
        /// Checkpoints that were checked.
        checkpoints: u32,
        /// Records the last checkpoint covers.
        covered: u64,
        /// Keys that signed checkpoints, in the order of their first use.
        signers: Vec<Fingerprint>,
    },
    /// A record is missing, or stands in another place.
    Missing {
        /// Its place.
        seq: u64,
    },
    /// A record, or one before it, is not what was written.
    Changed {
        /// Its place: the first that does not fit.
        seq: u64,
    },
    /// A checkpoint is missing.
    CheckpointMissing {
        /// Its number.
        no: u32,
    },
    /// A checkpoint is not signed by the key it names, or covers fewer records than the one before.
    CheckpointForged {
        /// Its number.
        no: u32,
    },
    /// A checkpoint is signed by a key that is not trusted.
    CheckpointBySomebodyElse {
        /// Its number.
        no: u32,
        /// The key that signed it.
        found: Fingerprint,
    },
    /// The chain is whole but another one than was signed: records were written anew, together with all links after.
    Rewritten {
        /// The first record that may be another one.
        from: u64,
        /// The last record that was signed.
        until: u64,
        /// The checkpoint that tells.
        no: u32,
    },
}

impl ChainReport {
    /// Whether everything is as it was written.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self, ChainReport::Whole { .. })
    }
}

impl fmt::Display for ChainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChainReport::Whole { from, records, last, checkpoints, covered, signers } => {
                match from {
                    1 => write!(f, "{records} records are whole, last link {last}; ")?,
                    from if from > records => write!(f, "nothing follows record {records}, link {last}; ")?,
                    from => write!(f, "records {from} to {records} are whole, last link {last}; ")?,
                }
                match signers.as_slice() {
                    [] => f.write_str("no checkpoint signs them"),
                    signers => {
                        let keys: Vec<String> = signers.iter().map(ToString::to_string).collect();
                        write!(
                            f,
                            "checkpoints: {checkpoints}, over the first {covered}, by {}",
                            keys.join(", ")
                        )
                    }
                }
            }
            ChainReport::Missing { seq } => write!(f, "record {seq} is missing at its place"),
            ChainReport::Changed { seq } => write!(f, "record {seq} is the first that was altered"),
            ChainReport::CheckpointMissing { no } => write!(f, "checkpoint {no} is missing"),
            ChainReport::CheckpointForged { no } => {
                write!(f, "checkpoint {no} was altered: its signature does not fit")
            }
            ChainReport::CheckpointBySomebodyElse { no, found } => {
                write!(f, "checkpoint {no} is signed by {found}, which is not a key of this house")
            }
            ChainReport::Rewritten { from, until, no } => write!(
                f,
                "records {from} to {until} are not those that checkpoint {no} signed: the log was written anew"
            ),
        }
    }
}

/// Whose checkpoints are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust<'k> {
    /// Whoever signed them: the report names the keys, and a person compares.
    Named,
    /// These keys only.
    Keys(&'k [Fingerprint]),
}

/// A verification under way: give it the records in order, then ask for the report.
pub struct Verifier {
    from: u64,
    checkpoints: VecDeque<Checkpoint>,
    checked: u32,
    covered: u64,
    signers: Vec<Fingerprint>,
    last: Hash32,
    records: u64,
    found: Option<ChainReport>,
}

impl Verifier {
    /// Begins with the checkpoints, in the order of their numbers; each is judged by its signature at once.
    #[must_use]
    pub fn new(checkpoints: Vec<Checkpoint>, trust: Trust<'_>) -> Verifier {
        let found = judge(1, &checkpoints, trust);
        Verifier {
            from: 1,
            checkpoints: checkpoints.into(),
            checked: 0,
            covered: 0,
            signers: Vec::new(),
            last: Hash32::START,
            records: 0,
            found,
        }
    }

    /// Begins behind `start`, a checkpoint that an earlier verification found good: what it covers is taken as it was
    /// then, and only the records after it are asked for. `checkpoints` are those from `start.no` on, as they are now.
    #[must_use]
    pub fn behind(start: &Checkpoint, checkpoints: Vec<Checkpoint>, trust: Trust<'_>) -> Verifier {
        let found = judge(start.no, &checkpoints, trust).or_else(|| match checkpoints.first() {
            None => Some(ChainReport::CheckpointMissing { no: start.no }),
            Some(now) if now != start => Some(ChainReport::CheckpointForged { no: start.no }),
            Some(_) => None,
        });
        let mut checkpoints = VecDeque::from(checkpoints);
        checkpoints.pop_front();
        Verifier {
            from: start.records.saturating_add(1),
            checkpoints,
            checked: 1,
            covered: start.records,
            signers: vec![start.fingerprint()],
            last: start.link,
            records: start.records,
            found,
        }
    }

    /// Takes the next record; whether it is worth going on.
    pub fn take(&mut self, record: &AuditRow) -> bool {
        if self.found.is_none() {
            self.found = self.judge(record);
        }
        self.goes_on()
    }

    /// Whether nothing wrong was found yet, so that the next record matters.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.found.is_none()
    }

    fn judge(&mut self, record: &AuditRow) -> Option<ChainReport> {
        let seq = self.records.saturating_add(1);
        if record.seq != seq {
            return Some(ChainReport::Missing { seq });
        }
        if record.link != record.link_after(&self.last) {
            return Some(ChainReport::Changed { seq });
        }
        (self.last, self.records) = (record.link, seq);
        let here = self.checkpoints.pop_front_if(|next| next.records == seq)?;
        if here.link != record.link {
            let from = self.covered.saturating_add(1);
            return Some(ChainReport::Rewritten { from, until: seq, no: here.no });
        }
        let signer = here.fingerprint();
        if !self.signers.contains(&signer) {
            self.signers.push(signer);
        }
        (self.checked, self.covered) = (self.checked.saturating_add(1), seq);
        None
    }

    /// What was found, after the last record.
    #[must_use]
    pub fn report(self) -> ChainReport {
        if let Some(found) = self.found {
            return found;
        }
        if !self.checkpoints.is_empty() {
            // A checkpoint signs records that are not there any more: the log was cut off.
            return ChainReport::Missing { seq: self.records.saturating_add(1) };
        }
        ChainReport::Whole {
            from: self.from,
            records: self.records,
            last: self.last,
            checkpoints: self.checked,
            covered: self.covered,
            signers: self.signers,
        }
    }
}

/// The first checkpoint that cannot be one, before any record is looked at; they are numbered from `first` on.
fn judge(first: u32, checkpoints: &[Checkpoint], trust: Trust<'_>) -> Option<ChainReport> {
    let mut covered = 0;
    for (no, checkpoint) in (first..).zip(checkpoints) {
        if checkpoint.no != no {
            return Some(ChainReport::CheckpointMissing { no });
        }
        if !checkpoint.is_signed() || checkpoint.records <= covered {
            return Some(ChainReport::CheckpointForged { no });
        }
        let found = checkpoint.fingerprint();
        if matches!(trust, Trust::Keys(keys) if !keys.contains(&found)) {
            return Some(ChainReport::CheckpointBySomebodyElse { no, found });
        }
        covered = checkpoint.records;
    }
    None
}
