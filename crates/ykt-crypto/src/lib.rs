//! The cryptography of the purse, once: what a card, a PSAM, a load host and the clearing centre compute alike.
//!
//! DES and 3DES in the forms PBOC uses, SM4 beside them (`epurse.md` 1): transaction MAC, secure-messaging MAC,
//! diversification, session keys, TAC keys, secure messaging; the SM3 hash chain of logs and ledger; SM2 signatures. No
//! state, no heap, no I/O: the card system is built from it too. The DES of the `des` crate uses tables; it is meant for
//! hosts and simulated cards, not for a chip whose power trace an adversary may watch.
#![no_std]
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

#[cfg(test)]
extern crate std;

pub mod block;
pub mod card_key;
pub mod chain;
pub mod key;
pub mod mac;
pub mod sm;
pub mod sm2;

pub use block::Tdes;
pub use card_key::{CardKey, SessionKey};
pub use key::{Key8, Key16};
pub use mac::macs_equal;
