//! The binary from outside, with other people's programs as referees.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

mod audit;
mod ceremony;
mod ceremony_terminal;
mod certify;
#[cfg(feature = "pcsc")]
mod component_cards;
mod consoles;
mod counter;
mod download;
#[cfg(feature = "pcsc")]
mod foreign;
mod hsm;
mod identity;
mod image_cards;
#[cfg(feature = "pcsc")]
mod keys;
mod m1;
#[cfg(feature = "pcsc")]
mod pcsc;
#[cfg(feature = "pcsc")]
mod pcsc_desk;
mod profiles;
mod referee;
mod token;
#[cfg(feature = "pcsc")]
mod token_driver;
mod token_keys;
mod typist;
mod vault;
