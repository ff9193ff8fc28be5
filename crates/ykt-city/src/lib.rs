//! The world outside, simulated: citizens with cards, a payment gateway, a bank, and everything that goes
//! wrong between them on a day. The company's side is the real code of the other rooms, called the way the
//! server calls it; only what surrounds the company lives here.
//!
//! One seed, one thread: the same seed gives the same day to the byte. At its end [`proof`] compares three
//! books that are kept apart: the cards themselves, the ledger, and the bank's own statement.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

pub mod bank;
pub mod books;
pub mod city;
pub mod company;
pub mod courier;
pub mod error;
pub mod factory;
pub mod gateway;
pub mod hand;
pub mod hands_on;
pub mod names;
pub mod plan;
pub mod proof;
pub mod report;
pub mod rng;
pub mod street;
pub mod tally;
pub mod workshop;
