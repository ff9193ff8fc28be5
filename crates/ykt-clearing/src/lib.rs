//! Clearing: the purchases that merchants send in files are judged, booked, answered and paid.
//!
//! Actors: a *partner* (a merchant) puts purchase files into its folder and takes answers from it; the
//! [`Clearing`] centre receives files for an open clearing day and closes the day; the *vault* checks TACs; the
//! *ledger* takes the entries; the *bank* takes a transfer file and answers it.
//!
//! One record's way:
//! 1. [`Clearing::receive`] takes its file whole or not at all (`clearing.md` 2.5).
//! 2. [`Clearing::close_day`] judges it: [`judge`] runs the validation chain (3) over the day's records against
//!    the registers, the TACs and the [`CardBook`]s. What does not pass has a [`Verdict`]: a [`Cause`] and a
//!    [`State`]. V16 (cancelled card), V18 (expired card) and V19 (an operator's own rules) are not judged here.
//! 3. It becomes part of its merchant's [`Bill`], one per clearing day, with entries `clearing/<day>/<merchant>/…`.
//! 4. The merchant gets SS, QS and NS, the bank a transfer file; [`Clearing::bank_return`] books what was paid.
//!
//! Invariants: only accepted records occupy their keys; a record of a judged day without a verdict is accepted;
//! what a QS line counts adds up to the records that came; a close that is cut anywhere is done again with the
//! same result. Judging is a function of what it is given ([`Rules`], [`Past`]); only the `store` folder knows
//! tables and only [`folders`] knows disks.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

mod answers;
mod bill;
mod book;
mod chain;
mod clearing;
mod day;
pub mod folders;
mod judge;
mod loads;
mod payout;
mod policy;
mod purchase;
mod ranges;
mod receive;
mod store;
mod verdict;

pub use bill::{Bill, BillError, BillState, Tally};
pub use book::{Accepted, Bearer, CardBook, Difference, Edge, Gap, Loads, Proof};
pub use chain::{LossBearer, loss_bearer, plausible, registered};
pub use clearing::Clearing;
pub use day::{CloseError, Closing, DayClosed, Phase, Step};
pub use folders::{DirFolders, FolderError, Folders, MemoryFolders, Tray};
pub use judge::{Case, Fate, Judgement, Past, Rules, SeenDifference, TAC_BATCH_LEN_MAX, Tacs, judge};
pub use loads::{Load, LoadJournal, LoadSum, NoLoads};
pub use payout::{BankReturned, Paid, PaymentState, ReturnError, TransferRow};
pub use policy::Policy;
pub use purchase::{FileId, Purchase, RecordId};
pub use ranges::Ranges;
pub use receive::{
    BrokenFile, DAY_RECORDS_MAX, FileState, LoggedFile, ReceiveError, Received, Repeat, SequenceAlarm,
};
pub use store::MODULE;
pub use store::queries;
pub use store::verdicts::Verdict;
pub use verdict::{Cause, State};
