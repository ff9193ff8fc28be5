//! The card system (COS) of Yikatong: user card, PSAM and key card from one set of rooms.
//!
//! `no_std`, no heap, no clock, no I/O. Memory comes in as [`Memory`], randomness as [`ykt_base::Rng`]; commands
//! are bytes in, bytes out ([`Card::process`]).
//!
//! # Rooms
//!
//! `memory` holds the journal: one command commits all or nothing. `image` says where things lie. `command` turns
//! bytes into a closed enum; behind it each family has its folder: `files`, `security`, `purse`, `psam`, `ticket`,
//! `bank`, `identity`, `token`, `key_card`. `session` is what the card forgets when the power goes.
//!
//! # The life of a card
//!
//! The factory makes it blank ([`Card::blank`]): an empty MF, a transport key, an ATR. Everything else comes by
//! commands a real card would get (`epurse.md` 0, 3); an operator may first preset serial number, transport key and
//! switches of the MF by WRITE HARD INFO, and [`Card::life_cycle`] tells how far a card has gone:
//!
//! 1. CREATE FILE of the MF's key file, free while the MF is empty. Every other file asks for the right of its
//!    directory: [`Blank::mf_create`] in the MF, the right in CREATE FILE in a DF.
//! 2. WRITE KEY of the card master key under the transport key; EXTERNAL AUTHENTICATE with it.
//! 3. CREATE FILE of the application, SELECT it, its key file, the application master key under the card master
//!    key, files, and the other keys under the application master key.
//!
//! A file costs its body and [`FILE_HEADER_LEN`], a DF its size and [`DF_HEADER_LEN`], a key [`KEY_SLOT_LEN`] of
//! its key file. Where card systems differ is data: [`ykt_purse::create::Switches`] in CREATE FILE of the DF, and of
//! the MF in the factory header.
//!
//! # What holds
//!
//! - A command is refused by a status word and has changed nothing, or it is answered and everything it changed is
//!   stored. The one thing a refused command may cost is a try: of a counted key or PIN, or to unblock.
//! - Challenge and transaction context are taken from the session before the next command is read, so only the
//!   right follow-up can use them. GET RESPONSE alone is no command in this sense: it fetches a part of the answer.
//! - No key, PIN or session key is in an answer, an error or a `Debug`.
#![no_std]
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

#[cfg(test)]
extern crate std;

mod answer;
mod bank;
mod card;
mod command;
mod files;
mod identity;
mod image;
mod inspect;
mod key_card;
mod memory;
mod psam;
mod purse;
mod security;
mod session;
mod ticket;
mod token;

pub use card::Card;
pub use command::{Form, forms};
pub use files::{BlockState, DF_HEADER_LEN, FILE_HEADER_LEN};
pub use image::{
    ATR_KEY_CARD, ATR_LEN_MAX, ATR_PSAM, ATR_USER_CARD, Blank, BlankError, CardKind, IMAGE_LEN_CITIZEN,
    IMAGE_LEN_DEMO, IMAGE_LEN_MAX, IMAGE_LEN_MIN, PowerOnError,
};
pub use inspect::Sight;
pub use memory::{ArrayMemory, Memory, MemoryFault};
pub use security::KEY_SLOT_LEN;
