//! Clearing: what merchants' files say is judged, booked, answered and paid.
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
pub use receive::{BrokenFile, FileState, LoggedFile, ReceiveError, Received, Repeat, SequenceAlarm};
pub use store::MODULE;
pub use store::queries;
pub use store::verdicts::Verdict;
pub use verdict::{Cause, State};
