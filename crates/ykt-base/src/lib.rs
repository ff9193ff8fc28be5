//! The vocabulary every other room speaks: money in fen, ids that cannot be confused, dates as the card
//! writes them, APDUs and status words, and the few traits through which time, randomness and cards come in.
//!
//! `no_std`, no heap, no I/O: the card system itself is built from these words.
#![no_std]
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

#[cfg(test)]
extern crate std;

pub mod apdu;
pub mod bcd;
pub mod date;
pub mod hex;
pub mod id;
pub mod money;
pub mod sw;
pub mod tlv;
pub mod world;

pub use apdu::{Command, CommandError, Response};
pub use date::{Date, DateTime, Time};
pub use id::{
    Asn8, CardCounter, IssuerFactor, KeyIndex, KeyVersion, Mac4, MerchantCode, PosNo, PsamSerial, Random4,
    TerminalId, TerminalSeq, TicketId,
};
pub use money::Fen;
pub use sw::StatusWord;
pub use world::{CardChannel, ChannelError, Clock, Rng};
