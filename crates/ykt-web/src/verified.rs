//! What is known of the audit log being whole. All of it is read when somebody asks for that; from then on each look reads
//! what was added, and a look before that reads what came after the last checkpoint. So a page is as fast over a
//! million records as over ten, and it claims what was read, and when. It is kept in memory: a new start knows nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use ykt_base::DateTime;
use ykt_office::audit::{self, ChainReport, Checkpoint, Trust};
use ykt_store::{StoreError, Tx};

/// The last verification of the whole log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whole {
    /// When.
    pub(crate) at: DateTime,
    /// What it found.
    pub(crate) report: ChainReport,
    /// The last checkpoint that it, or a look since, found good: the next look begins behind it.
    start: Option<Checkpoint>,
}

/// What a look at the log knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing was read: there is no checkpoint to begin at, and nobody asked for the whole.
    Nothing,
    /// Only what came after this checkpoint was read.
    Tail(Checkpoint, ChainReport),
    /// All of it was read then, and what was added since, as the second report says; none when it cannot be read
    /// alone, for want of a checkpoint.
    All(Whole, Option<ChainReport>),
}

impl Known {
    /// What was found wrong.
    pub(crate) fn fault(&self) -> Option<&ChainReport> {
        let reports = match self {
            Known::Nothing => [None, None],
            Known::Tail(_, report) => [Some(report), None],
            Known::All(whole, since) => [Some(&whole.report), since.as_ref()],
        };
        reports.into_iter().flatten().find(|report| !report.is_whole())
    }
}

/// The last verification of the whole log, for all who look.
#[derive(Debug, Default)]
pub(crate) struct Verified(Mutex<Option<Whole>>);

impl Verified {
    fn kept(&self) -> MutexGuard<'_, Option<Whole>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads all of the log.
    ///
    /// # Errors
    /// [`StoreError`]; a broken chain is a report, no error.
    pub(crate) fn whole(&self, tx: &Tx<'_>, at: DateTime) -> Result<ChainReport, StoreError> {
        let report = audit::verify(tx)?;
        let start = audit::last_checkpoint(tx)?.filter(|_| report.is_whole());
        *self.kept() = Some(Whole { at, report: report.clone(), start });
        Ok(report)
    }

    /// Reads what is new.
    ///
    /// # Errors
    /// As [`Verified::whole`].
    pub(crate) fn look(&self, tx: &Tx<'_>) -> Result<Known, StoreError> {
        let kept = self.kept().clone();
        let last = audit::last_checkpoint(tx)?;
        let Some(whole) = kept else {
            return Ok(match last {
                Some(last) => {
                    let report = audit::verify_behind(tx, &last, Trust::Named)?;
                    Known::Tail(last, report)
                }
                None => Known::Nothing,
            });
        };
        let Some(start) = &whole.start else { return Ok(Known::All(whole, None)) };
        let report = audit::verify_behind(tx, start, Trust::Named)?;
        if report.is_whole()
            && let Some(kept) = self.kept().as_mut().filter(|kept| kept.at == whole.at)
        {
            kept.start = last;
        }
        Ok(Known::All(whole, Some(report)))
    }
}
