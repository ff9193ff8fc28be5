//! The office of the card company: registers of cards, terminals and merchants, the black list, the people
//! who work here and what they did.
//!
//! Each register is a room with its types and rules in `mod.rs` and its tables in `store.rs`. Every change
//! carries an [`Act`] (who, from where, when) and leaves a link in the audit log in the same transaction.
//! No money moves here; clearing reads the registers through [`registers::Registers`], a snapshot in memory.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

pub mod act;
pub mod audit;
pub mod blacklist;
pub mod cards;
pub mod life;
pub mod merchants;
pub mod people;
pub mod registers;
pub mod requests;
mod store;
pub mod terminals;
pub mod text;

pub use act::Act;
pub use registers::Registers;
pub use store::{MODULE, RegisterError};
pub use ykt_store::{Direction, Page, Paging};
