//! The card system from outside: APDU dialogues that a card engineer can read, power cuts at every write, bad
//! input, and random sequences with a count of the money.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says by panicking what went wrong, and prints its counts"
)]

mod bad_input;
mod bank_cards;
mod bench;
mod counters;
mod dialogues;
mod documented;
mod fixtures;
mod key_card;
mod key_confusion;
mod key_matrix;
mod order;
mod power_cut;
mod sam_matrix;
mod sequences;
mod tickets;
mod till;
mod token;
mod volatile;
