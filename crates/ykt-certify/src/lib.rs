//! Conformance plans for other people's cards: purse cards, PSAMs and M1 cards in any reader.
//!
//! The actors: a [`ykt_base::CardChannel`] to the card under test, a [`Plan`] that says as data what such a card
//! must do, the keys of the card ([`ykt_vault::DeskKeys`]), and a [`run`] that plays terminal, PSAM and load host
//! at once, with right MACs and with wrong ones. What comes out is a [`Report`]. `docs/certify.md` tells how plans
//! are written.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

pub mod action;
mod bench;
pub mod plan;
pub mod report;
mod run;
pub mod template;
mod words;

pub use bench::{Exchange, Finding};
pub use plan::{Harm, Overrides, Plan, PlanError};
pub use report::Report;
pub use run::{Job, Progress, RunError, run};
pub use words::{Text, Words};
