//! Clearing from files to bank: acceptance, verdicts, grey records, bills, answers, payment, and kill -9.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod files_in;
mod grey;
mod killed;
mod outage;
mod payout;
mod verdicts;
mod world;
