//! The card system (COS) of Yikatong: a user card with an electronic purse, and the PSAM, from one set of rooms.
//!
//! `no_std`, no heap, no clock, no I/O. Memory comes in as [`Memory`], randomness as [`ykt_base::Rng`]; commands
//! are bytes in, bytes out ([`Card::process`]). A card leaves the factory blank ([`Card::blank`]) with a transport
//! key and an empty MF; everything else comes by commands a real card would get.
#![no_std]
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

#[cfg(test)]
extern crate std;

mod answer;
mod card;
mod command;
mod files;
mod image;
mod inspect;
mod memory;
mod psam;
mod purse;
mod security;
mod session;

pub use card::Card;
pub use files::{DF_HEADER_LEN, FILE_HEADER_LEN};
pub use image::{
    ATR_LEN_MAX, ATR_PSAM, ATR_USER_CARD, Blank, BlankError, CardKind, IMAGE_LEN_DEMO, IMAGE_LEN_MAX,
    IMAGE_LEN_MIN, PowerOnError,
};
pub use inspect::Sight;
pub use memory::{ArrayMemory, Memory, MemoryFault};
pub use security::KEY_SLOT_LEN;
