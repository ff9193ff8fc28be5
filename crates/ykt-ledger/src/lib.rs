//! The books of the operator: the only place where a balance of money changes.
//!
//! Actors: callers post [`Entry`]s of two or more legs that sum to zero, under ids they choose; the book
//! numbers them, chains them by hash, and keeps for every account its turnover and its movement per day. A
//! repeated id with the same content is answered again without effect, with other content refused. A closed
//! day takes no entries. Balances as of any day or moment are exact, and [`verify_balances`] and
//! [`verify_chain`] prove the book from its legs.
//!
//! Amounts are whole fen: a debit is positive, a credit negative. Everything takes a [`Tx`](ykt_store::Tx), so
//! that a posting is one transaction with what it belongs to; [`LedgerWriter`] is for those who only post.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

pub mod chart;
mod day;
mod entry;
mod post;
mod store;
mod writer;

pub use chart::{AccountCode, AccountError, Class, SUBJECTS, Side, Subject};
pub use day::{CloseError, close_day};
pub use entry::{
    AMOUNT_MAX, EVENT_LEN_MAX, Entry, EntryId, EntryIdError, ID_LEN_MAX, LEGS_MAX, LEGS_MIN, Leg,
    MEMO_BYTES_MAX,
};
pub use post::{Answer, Checked, PostError, Posting, post, post_groups};
pub use store::{
    AccountLine, Alteration, BalanceDifference, BookedEntry, ChainReport, ClosedDay, EntryFilter, Head,
    MODULE, Totals, TrialLine, balance, balance_at, balance_at_moment, closed_days, entries, entry, head,
    last_closed_day, open_days, subject_balance, trial_balance, verify_balances, verify_chain,
};
pub use writer::{LedgerWriter, PostTicket};
pub use ykt_crypto::chain::Hash32;
pub use ykt_store::{Direction, Page, Paging};
