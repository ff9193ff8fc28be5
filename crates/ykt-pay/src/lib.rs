//! The host of loads (圈存主机, `epurse.md` 4.3, 7.7): a customer's money waits in an order until a card proves
//! that it has it, or proves that it has not.
//!
//! Actors: whoever was paid opens an order ([`LoadHost::pay`]); a load terminal brings what the card says
//! ([`LoadHost::initialize`], [`LoadHost::confirm`], after a break [`LoadHost::resume`]); an order that
//! credited nothing can be given back ([`LoadHost::give_back`]). What an order may do next is decided in
//! `decide.rs` from the order, the card's MACs and nothing else; each step is one transaction together with
//! its ledger entry, and may be repeated. [`channel`] keeps what payment channels settle.
//!
//! Load terminals are trusted in one thing: that the answer they resume with is fresh, because a right MAC1 says
//! for which counter the card gave it but not when, so one kept back from before the credit looks like a proof
//! that nothing was credited. An order given back by such an answer is found out by the card itself, at its late
//! TAC or its next load ([`Refusal::Contradicted`], an alarm in the audit log), and not before.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

pub mod channel;
mod decide;
mod error;
mod host;
mod journal;
pub mod order;
mod posting;
mod store;
mod terminal;

pub use channel::{Channel, ChannelError};
pub use error::{PayError, Refusal};
pub use host::{LoadHost, Policy, Resumed};
pub use journal::Loads;
pub use order::{Order, OrderState};
pub use store::{
    CardLoad, OrderFilter, OrderSort, OrderTotals, OrderView, credited_loads, journal, mac1_failures, order,
    orders,
};
pub use terminal::TerminalDoor;
pub use ykt_terminal::host::{CardOffer, Credit, OrderId};

/// The tables of pay, for [`ykt_store::Store::open`].
pub use store::MODULE;
