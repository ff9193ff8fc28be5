//! The vault: where keys live, and the only room that sees them in clear.
//!
//! [`Vault`] is what the house asks, [`KeyManagement`] what the key centre does. [`SoftVault`] holds the keys in this
//! process and in one sealed file, [`RemoteVault`] asks a vault in another process ([`remote`]), [`Pair`] makes one of two.
//! Levels between root and card are data ([`Levels`]); every key has kind, index and version ([`KeyRef`]), a check
//! value, a state and an origin. A key leaves only as a cryptogram.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

pub mod backend;
mod batch;
pub mod behaviour;
pub mod ceremony;
pub mod error;
pub mod exchange;
pub mod keys;
pub mod kind;
pub mod levels;
pub mod manage;
pub mod pair;
pub mod remote;
mod sealed;
mod signed;
mod soft;
pub mod table;
pub mod transport;
pub mod value;
pub mod vault;
pub mod wire;

pub use error::VaultError;
pub use keys::{DeskKeys, KeysError, KeysFile, ReadKeys};
pub use kind::{KeyKind, KeyState, Origin, Scheme};
pub use levels::{Factor, FactorPadding, Level, Levels, LevelsError};
pub use manage::{ImportedKey, KeyManagement, KeyPlace, Signer, WrappedKey};
pub use pair::Pair;
pub use remote::RemoteVault;
pub use sealed::{Hardness, Operator, SealError, Unlock};
pub use signed::{SignedText, SignedTextError};
pub use soft::{DEMO_TRANSPORT_KEY, SoftVault};
pub use value::{KeyAlgorithm, KeyValue};
pub use vault::{
    CardKeyRef, Health, KeyAddress, KeyInfo, KeyLayout, KeyRef, LoadSession, MacVerdict, NewKey, PresetJob,
    Receipt, Secrecy, SecureMessage, TacJob, TacVerdict, Vault, VaultStatus, WriteKeyJob,
};
