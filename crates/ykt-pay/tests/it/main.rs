//! The host of loads against a model card whose MACs and TACs are computed with `ykt-purse`: every step, every
//! repeat, every break, and after each of them the books.
#![allow(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout
)]

mod channels;
mod closed_day;
mod kit;
mod lists;
mod refusals;
mod restart;
mod sequences;
mod terminal;
