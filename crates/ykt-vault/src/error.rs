//! Why a vault does not do what it was asked: the key, what it is, what would help.

use crate::kind::KeyState;
use crate::value::KeyAlgorithm;
use crate::vault::KeyRef;
use thiserror::Error;
use ykt_base::hex::Hex;

/// Why a vault does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VaultError {
    /// It has no such key for this holder.
    #[error("the vault has no {key} for this holder; list its keys, or import the one that is missing")]
    NoSuchKey {
        /// The key asked for.
        key: KeyRef,
    },
    /// The key is there, but its state forbids the use.
    #[error("the {key} is {state} and may not be used for this; activate it or name another version")]
    WrongState {
        /// The key asked for.
        key: KeyRef,
        /// Its state.
        state: KeyState,
    },
    /// A key of this kind has no such holder.
    #[error("the {key} is diversified for another sort of holder than the one asked for")]
    WrongHolder {
        /// The key asked for.
        key: KeyRef,
    },
    /// The header of a WRITE KEY names another usage, algorithm or level than the key has.
    #[error(
        "WRITE KEY of the {key}: {what} of the header does not fit it: expected {expected}, found {found}"
    )]
    HeaderMismatch {
        /// The key asked for.
        key: KeyRef,
        /// Which field.
        what: &'static str,
        /// What the key is.
        expected: String,
        /// What the header says.
        found: String,
    },
    /// A header for a PIN with a key, or the other way round.
    #[error("WRITE KEY: expected {expected}, found {found}")]
    NotThatKind {
        /// What the header is for.
        expected: &'static str,
        /// What was brought.
        found: &'static str,
    },
    /// Data too long for one command.
    #[error("{len} data bytes do not fit one command; send them in parts")]
    TooLong {
        /// How many there are.
        len: usize,
    },
    /// A key of this kind, index, version and holder is there already.
    #[error("the vault already has a {key} for this holder; give the new one another version")]
    AlreadyThere {
        /// The key.
        key: KeyRef,
    },
    /// A key cannot become this.
    #[error("the {key} is {from} and cannot become {to}")]
    NoSuchStep {
        /// The key.
        key: KeyRef,
        /// What it is.
        from: KeyState,
        /// What it should become.
        to: KeyState,
    },
    /// The level or owner named for a key is not one a key of its kind can have.
    #[error("the {key} cannot be held at level {level}: {reason}")]
    NoSuchLevel {
        /// The key.
        key: KeyRef,
        /// Position of the level, 0 = root.
        level: u8,
        /// Why not.
        reason: &'static str,
    },
    /// The vault, or the file that keeps it, does not answer; nothing was changed.
    #[error("the {backend} vault does not answer: {reason}; nothing was changed, ask again when it is back")]
    Unavailable {
        /// Which backend.
        backend: String,
        /// What failed.
        reason: String,
    },
    /// It is locked.
    #[error("the vault is locked: unlock it and ask again")]
    Locked,
    /// The rules of keys forbid it.
    #[error("not allowed: {reason}")]
    NotAllowed {
        /// Which rule, and what would be allowed.
        reason: String,
    },
    /// This backend cannot do it at all.
    #[error("the {backend} vault has no {what}; keep such keys in a vault that has")]
    Unsupported {
        /// Which backend.
        backend: String,
        /// What it lacks.
        what: String,
    },
    /// The check value that came with a key is not the key's.
    #[error("the {key}: expected check value {}, found {}; nothing was kept", Hex(expected), Hex(found))]
    WrongKcv {
        /// The key.
        key: KeyRef,
        /// The value that came with it.
        expected: [u8; 3],
        /// The value of the key that came.
        found: [u8; 3],
    },
}

impl VaultError {
    /// An algorithm this backend lacks.
    #[must_use]
    pub fn lacks(backend: &str, algorithm: KeyAlgorithm) -> VaultError {
        VaultError::Unsupported { backend: backend.to_owned(), what: algorithm.name().to_owned() }
    }

    /// Whether the vault itself is gone or locked: the same question may be asked again later.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(self, VaultError::Unavailable { .. } | VaultError::Locked)
    }
}
