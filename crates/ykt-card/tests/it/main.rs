//! The card system from outside: APDU dialogues that a card engineer can read, power cuts at every write, bad
//! input, and random sequences with a count of the money.

mod bad_input;
mod bench;
mod counters;
mod dialogues;
mod power_cut;
mod sequences;
