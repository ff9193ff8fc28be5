//! Terminals with the real card system: money and records stay right whatever is pulled, cut or forged.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    reason = "a test stops at what it did not expect"
)]

mod bankcard;
mod batch;
mod desk;
mod identity;
mod key_card;
mod load;
mod m1;
mod m1_desk;
mod m1_several;
mod purchase;
mod tickets;
mod token;
