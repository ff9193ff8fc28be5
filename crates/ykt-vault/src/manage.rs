//! Keeping keys (`keys-and-ca.md` 1–2): what makes, brings in, moves on and hands over a vault's keys.
//!
//! Who may do it, and with whose consent, is decided above; here stand the rules no consent overrides: a destroyed
//! key never returns, a key leaves only under a transport key, and one place has at most one active key.

use crate::error::VaultError;
use crate::kind::KeyState;
use crate::value::{KeyAlgorithm, KeyValue};
use crate::vault::{KeyInfo, KeyRef, Vault};
use core::fmt;
use ykt_base::Rng;
use ykt_base::hex::Hex;
use ykt_crypto::sm2::{PublicKey, Signature};

/// Where a key is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPlace {
    /// Kind, index, version.
    pub key: KeyRef,
    /// Position of its level: 0 is the root; for control keys of PSAMs and key cards 1 is the finished key.
    pub level: u8,
    /// Whose it is at its level: city factor, card number, or the last eight bytes of a PSAM's serial number;
    /// `None`: of every holder there.
    pub owner: Option<[u8; 8]>,
}

impl KeyPlace {
    /// The place of a root key, or of one that is the same for all.
    #[must_use]
    pub const fn root(key: KeyRef) -> KeyPlace {
        KeyPlace { key, level: 0, owner: None }
    }
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, level {}", self.key, self.level)?;
        match &self.owner {
            Some(owner) => write!(f, " of {}", Hex(owner)),
            None => Ok(()),
        }
    }
}

/// A key from outside the vault: a root, a first-level key of a third party, or a finished card key.
pub struct ImportedKey {
    /// Where it is to be kept.
    pub place: KeyPlace,
    /// State it comes in.
    pub state: KeyState,
    /// The key.
    pub value: KeyValue,
    /// The check value that came with it.
    pub kcv: Option<[u8; 3]>,
}

/// A key on its way from one vault to another, under a transport key both have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// Where it is kept.
    pub place: KeyPlace,
    /// What it computes with.
    pub algorithm: KeyAlgorithm,
    /// Its state.
    pub state: KeyState,
    /// Its check value.
    pub kcv: [u8; 3],
    /// Check value of the transport key.
    pub transport_kcv: [u8; 3],
    /// The value enciphered: RFC 3394 under AES-256; ECB under 3DES or SM4.
    pub cryptogram: Vec<u8>,
}

impl WrappedKey {
    /// Its cryptogram does not open under a transport key that is the right one.
    #[must_use]
    pub fn changed(&self) -> VaultError {
        let key = self.place.key;
        let reason = format!("the cryptogram of the {key} was changed, or is of another length");
        VaultError::NotAllowed { reason }
    }
}

/// What a seed is diversified with to give a root key: "YKT" || kind || index || version || 00 00.
#[must_use]
pub const fn root_factor(key: KeyRef) -> [u8; 8] {
    let [y, k, t] = *b"YKT";
    [y, k, t, key.kind.code(), key.index.0, key.version.0, 0, 0]
}

/// A vault whose keys can be managed. Each call is durable before it answers; one that fails changes nothing.
pub trait KeyManagement: Vault {
    /// Makes a new key, not active yet.
    ///
    /// # Errors
    /// [`VaultError::AlreadyThere`], [`VaultError::NoSuchLevel`], [`VaultError::NotAllowed`] for an algorithm keys of
    /// this kind do not have, [`VaultError::Unsupported`] for one the backend does not have.
    fn generate(
        &self,
        place: KeyPlace,
        algorithm: KeyAlgorithm,
        rng: &mut dyn Rng,
    ) -> Result<KeyInfo, VaultError>;

    /// Takes a key from outside.
    ///
    /// # Errors
    /// As [`KeyManagement::generate`]; [`VaultError::WrongKcv`] when the key is not the one its check value says.
    fn import(&self, key: ImportedKey) -> Result<KeyInfo, VaultError>;

    /// Makes a root key out of a seed, not active yet: DIV(seed, [`root_factor`]).
    ///
    /// # Errors
    /// As [`KeyManagement::generate`]; [`VaultError::NoSuchKey`] or [`VaultError::WrongState`] of the seed.
    fn derive_root(&self, seed: KeyRef, key: KeyRef) -> Result<KeyInfo, VaultError>;

    /// Moves one key to another state. Activating it retires the active one of the same kind, index, level and
    /// owner; destroying it wipes its value at once and leaves its record.
    ///
    /// # Errors
    /// [`VaultError::NoSuchKey`] or [`VaultError::NoSuchStep`].
    fn change_state(&self, place: &KeyPlace, to: KeyState) -> Result<(), VaultError>;

    /// A key enciphered under a transport key.
    ///
    /// # Errors
    /// [`VaultError::NoSuchKey`]; [`VaultError::WrongState`] when the key is destroyed or the transport key is not
    /// active; [`VaultError::NotAllowed`] when `transport` is no transport key.
    fn wrap(&self, place: &KeyPlace, transport: KeyRef) -> Result<WrappedKey, VaultError>;

    /// Takes a key another vault has wrapped, in the state it had there.
    ///
    /// # Errors
    /// As [`KeyManagement::import`] and [`KeyManagement::wrap`]; [`VaultError::WrongKcv`] of the transport key when
    /// the two vaults' are not the same.
    fn import_wrapped(&self, wrapped: &WrappedKey, transport: KeyRef) -> Result<KeyInfo, VaultError>;

    /// Takes many keys another vault has wrapped, all or none; `progress` is told how many of how many are done. Power
    /// that fails in the middle leaves none.
    ///
    /// # Errors
    /// The position of the key that is refused, and why, as [`KeyManagement::import_wrapped`].
    fn import_all_wrapped(
        &self,
        wrapped: &[&WrappedKey],
        transport: KeyRef,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<KeyInfo>, (usize, VaultError)>;
}

/// A pair that signs with SM2 over SM3 as signer `1234567812345678`.
pub trait Signer: Send + Sync {
    /// Its public half.
    fn public_key(&self) -> PublicKey;

    /// Signs the concatenated `parts`.
    ///
    /// # Errors
    /// [`VaultError`] when the vault does not answer, or the pair may not sign any more.
    fn sign(&self, parts: &[&[u8]], rng: &mut dyn Rng) -> Result<Signature, VaultError>;
}
