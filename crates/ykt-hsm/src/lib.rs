//! The vault on a PKCS#11 token (加密机): a hardware security module, or SoftHSM2 in tests.
//!
//! Roots and the levels between stay inside the token, which derives them by a mechanism of its own; the key of one
//! card comes into this process for one command and is wiped after. What a token does not know of a key (its state,
//! check value, level, owner) is kept in records beside the keys, so that a token is a whole vault by itself.
//!
//! A token has no SM2, SM3 or SM4 by PKCS#11 (its ECDSA on the SM2 curve is not SM2): such keys are refused by type
//! and live in a software vault beside it.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

mod change;
mod connection;
mod derived;
mod fault;
mod ffi;
mod ledger;
mod module;
mod objects;
mod record;
mod settings;
mod vault;

pub use settings::{Export, Mechanisms, PinSource, SESSIONS_DEFAULT, SESSIONS_MAX, Settings, TokenName};
pub use vault::{HsmVault, OpenError};
