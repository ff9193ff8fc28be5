//! The vault: where keys live, and the only room that sees them in clear.
//!
//! [`Vault`] is what the house asks; [`SoftVault`] holds the keys in this process and in one sealed file. Levels
//! between root and card are data ([`Levels`]); every key has kind, index and version ([`KeyRef`]), a check value,
//! a state and an origin. A key leaves only as a cryptogram.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

mod batch;
pub mod behaviour;
pub mod keys;
pub mod kind;
pub mod levels;
mod sealed;
mod soft;
pub mod vault;

pub use keys::{DeskKeys, KeysError, KeysFile};
pub use kind::{KeyKind, KeyState, Origin, Scheme};
pub use levels::{Factor, FactorPadding, Level, Levels, LevelsError};
pub use sealed::{Hardness, SealError};
pub use soft::{DEMO_TRANSPORT_KEY, ImportedKey, SoftVault};
pub use vault::{
    CardKeyRef, KeyAddress, KeyInfo, KeyLayout, KeyRef, LoadSession, MacVerdict, NewKey, PresetJob, Receipt,
    Secrecy, SecureMessage, TacJob, TacVerdict, Vault, VaultError, VaultStatus, WriteKeyJob,
};
