//! Clearing: what merchants' files say is judged, booked, answered and paid.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

mod book;
mod chain;
mod judge;
mod loads;
mod policy;
mod purchase;
mod ranges;
mod verdict;

pub use book::{Accepted, Bearer, CardBook, Difference, Edge, Gap, Loads, Proof};
pub use chain::{LossBearer, loss_bearer, plausible, registered};
pub use judge::{
    Case, Fate, Judgement, Past, Rules, SeenDifference, TAC_BATCH_LEN_MAX, TacAnswer, TacQuestion, judge,
};
pub use loads::{Load, LoadJournal, LoadSum, NoLoads};
pub use policy::Policy;
pub use purchase::{FileId, Purchase, RecordId};
pub use ranges::Ranges;
pub use verdict::{Cause, State};
