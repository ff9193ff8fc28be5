//! The cryptography of the purse, once: what a card, a PSAM, a load host and the clearing centre compute alike.
//!
//! DES and 3DES in the forms PBOC uses (`epurse.md` 1): transaction MAC, secure-messaging MAC, diversification,
//! session keys, TAC keys, secure messaging; and the SM3 hash chain of logs and ledger. No state, no heap, no
//! I/O: the card system is built from it too. The DES of the `des` crate uses tables; it is meant for hosts and
//! simulated cards, not for a chip whose power trace an adversary may watch.
#![no_std]
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

#[cfg(test)]
extern crate std;

pub mod block;
pub mod chain;
pub mod derive;
pub mod key;
pub mod mac;
pub mod sm;

pub use block::{
    BlockKey, Tdes, des_decrypt_block, des_encrypt_block, tdes_decrypt_block, tdes_encrypt_block,
};
pub use derive::{diversify, kcv, session_key, tac_key};
pub use key::{Key8, Key16};
pub use mac::{macs_equal, smac8, smac16, tmac};
