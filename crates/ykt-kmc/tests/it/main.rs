//! The key management centre as its users see it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test stops at what it did not expect"
)]

mod chips;
mod download;
mod key_cards;
mod psams;
