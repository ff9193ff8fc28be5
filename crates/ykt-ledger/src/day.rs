//! Closing the books of a day: afterwards no entry can be added to it, so its balances are final. The closed
//! day keeps the head of the hash chain as a checkpoint.

use crate::store::{self, ClosedDay};
use thiserror::Error;
use ykt_base::{Date, DateTime};
use ykt_store::{StoreError, Tx};

/// Why a day was not closed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CloseError {
    /// A later day is closed already, and with it all days before.
    #[error("cannot close day {day}: the books are closed through {closed} already")]
    Later {
        /// The day asked for.
        day: Date,
        /// Last closed day.
        closed: Date,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Closes the books through `day`. Closing it again answers what the first time answered.
///
/// # Errors
/// [`CloseError::Later`] when a later day is closed and this one was never closed by itself.
pub fn close_day(tx: &Tx<'_>, day: Date, at: DateTime) -> Result<ClosedDay, CloseError> {
    if let Some(same) = store::closed_days(tx)?.into_iter().find(|closed| closed.day == day) {
        return Ok(same);
    }
    if let Some(closed) = store::last_closed_day(tx)?.filter(|closed| day < *closed) {
        return Err(CloseError::Later { day, closed });
    }
    let head = store::head(tx)?;
    let closed = ClosedDay { day, at, seq: head.seq, link: head.link };
    store::insert_closed_day(tx, &closed)?;
    Ok(closed)
}
