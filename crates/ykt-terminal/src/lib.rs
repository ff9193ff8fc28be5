//! Whatever talks to cards: a POS with its PSAM, a load terminal, and the ways to a card.
//!
//! The actors: [`ykt_base::CardChannel`]s to a card and a PSAM, a [`store::RecordStore`] that keeps what
//! happened, and a [`host::LoadHost`] that credits cards. What decides knows none of their leaves: sockets,
//! files and readers live in [`transport`] and [`store`] only.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

pub mod bankcard;
pub mod batch;
pub mod blacklist;
pub mod card;
pub mod component_card;
pub mod flow;
pub mod host;
pub mod identity;
pub mod key_card;
pub mod load;
mod locked;
pub mod m1;
pub mod pos;
pub mod psam;
pub mod record;
mod recovery;
pub mod store;
pub mod tickets;
pub mod token;
pub mod transport;
