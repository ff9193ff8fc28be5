//! The token on the wire: a host of our own over real sockets, a city card inside, and other people's `usbip` as the
//! referee.
#![allow(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at what it did not expect"
)]

mod bench;
mod hosts;
mod referee;
mod wire;
