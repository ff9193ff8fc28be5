//! The purse protocol (PBOC ED/EP, `epurse.md`), written once for everybody who speaks it: card, PSAM, terminal,
//! load host and clearing.
//!
//! Layouts of commands and answers, what goes into each MAC, and the files a terminal reads. No state and no
//! keys: whoever holds a key passes it in. Card and PSAM read a command with `parse`, which answers the status
//! word of `epurse.md` 5 when the bytes are wrong; terminals write the same types with `to_apdu`.
#![no_std]
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

#[cfg(test)]
extern crate std;

pub mod auth_code;
pub mod bank;
pub mod block;
pub mod capp;
pub mod command;
pub mod component_card;
pub mod create;
pub mod files;
pub mod grey;
pub mod hard_info;
pub mod identity;
pub mod key_card;
pub mod load;
pub mod log;
pub mod overdraft;
pub mod pin;
pub mod prove;
pub mod psam;
pub mod psam_cipher;
pub mod psam_grey;
pub mod psam_m1;
pub mod purchase;
pub mod ticket;
pub mod token;
pub mod types;
pub mod unload;
mod wire;
pub mod write_key;

pub use types::{Algorithm, AmountError, OverdraftLimit, Purse, PurseFen, TransactionType};
