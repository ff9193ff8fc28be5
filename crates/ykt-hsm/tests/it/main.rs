//! The vault on SoftHSM2.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

mod behaviour;
mod fixture;
mod imports;
mod lifetime;
mod outages;
mod secrecy;
