//! The key management centre with a real vault, real cards and people who are not each other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a test stops at what it did not expect"
)]

mod campaigns;
mod chips;
mod cut;
mod download;
mod key_cards;
mod operations;
mod psams;
mod registry;
mod visits;
mod world;
