//! Posting for many callers at once: what waits at the same moment is one transaction and one sync of the disk,
//! and nobody is answered before it.

use crate::entry::Entry;
use crate::post::{Answer, Checked, PostError, post_groups};
use ykt_store::{GroupCounts, GroupError, GroupLimits, GroupWriter, Store, StoreError};

/// The ledger's group-commit writer. Share it behind an `Arc`; dropping it books what waits and ends.
pub struct LedgerWriter {
    writer: GroupWriter<Vec<Checked>, Answer>,
}

/// An answer to come.
pub struct PostTicket {
    ticket: ykt_store::Ticket<Answer>,
}

impl LedgerWriter {
    /// Starts the writer on a store that has the ledger's [`MODULE`](crate::MODULE).
    ///
    /// # Errors
    /// [`StoreError::Thread`] when the system gives no thread.
    pub fn start(store: Store, limits: GroupLimits) -> Result<LedgerWriter, StoreError> {
        let writer =
            GroupWriter::start(store, limits, |tx, groups: &[Vec<Checked>]| post_groups(tx, groups))?;
        Ok(LedgerWriter { writer })
    }

    /// Books `entries`, all or none, and waits until that is on the disk.
    ///
    /// # Errors
    /// [`PostError`] of the first entry that is refused; [`PostError::Group`] when the batch could not be
    /// committed: post again with the same ids to learn or to complete what became of it.
    pub fn post(&self, entries: Vec<Entry>) -> Answer {
        flatten(self.writer.call(checked(entries)?))
    }

    /// Books `entries`, all or none; the ticket waits for the answer.
    ///
    /// # Errors
    /// At once: what [`Entry::check`] refuses, and [`PostError::Group`] when too many wait or the writer stopped.
    pub fn submit(&self, entries: Vec<Entry>) -> Result<PostTicket, PostError> {
        Ok(PostTicket { ticket: self.writer.submit(checked(entries)?)? })
    }

    /// Books `entries`, all or none; `then` gets the answer on the writer's thread, so it must be short.
    ///
    /// # Errors
    /// As [`LedgerWriter::submit`]; `then` is not called then.
    pub fn submit_then(
        &self,
        entries: Vec<Entry>,
        then: impl FnOnce(Answer) + Send + 'static,
    ) -> Result<(), PostError> {
        Ok(self.writer.submit_then(checked(entries)?, |answer| then(flatten(answer)))?)
    }

    /// What was done so far, for metrics.
    #[must_use]
    pub fn counts(&self) -> GroupCounts {
        self.writer.counts()
    }
}

impl PostTicket {
    /// Waits until the entries are on the disk or refused.
    ///
    /// # Errors
    /// As [`LedgerWriter::post`].
    pub fn wait(self) -> Answer {
        flatten(self.ticket.wait())
    }
}

fn checked(entries: Vec<Entry>) -> Result<Vec<Checked>, PostError> {
    entries.into_iter().map(Checked::of).collect()
}

fn flatten(answer: Result<Answer, GroupError>) -> Answer {
    answer.unwrap_or_else(|error| Err(error.into()))
}
