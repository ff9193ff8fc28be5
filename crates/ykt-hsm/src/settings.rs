//! Which module, which token in it, how to sign in, and the numbers of the mechanisms: all of it configuration,
//! because every make of token has its own.

use crate::ffi::MechanismNumber;
use std::fmt;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Sessions with the token when the configuration names no number.
pub const SESSIONS_DEFAULT: usize = 8;
/// Most sessions one vault may hold open.
pub const SESSIONS_MAX: usize = 256;

/// Which token of the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenName {
    /// By its label: found again in whatever slot it is.
    Label(String),
    /// By the number of its slot.
    Slot(u64),
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenName::Label(label) => write!(f, "token {label:?}"),
            TokenName::Slot(slot) => write!(f, "token in slot {slot}"),
        }
    }
}

/// Where the user's PIN comes from. No `Debug`.
#[derive(Clone)]
pub enum PinSource {
    /// The first line of a file, read at every sign-in.
    File(PathBuf),
    /// The PIN itself, from the environment.
    Text(Zeroizing<String>),
}

impl PinSource {
    /// The PIN as it is at this moment.
    pub(crate) fn read(&self) -> Result<Zeroizing<String>, String> {
        let pin = match self {
            PinSource::Text(pin) => pin.clone(),
            PinSource::File(path) => {
                let text = std::fs::read_to_string(path).map(Zeroizing::new);
                let text = text.map_err(|error| format!("PIN file {}: {error}", path.display()))?;
                Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())
            }
        };
        if pin.is_empty() { Err("the PIN is empty".to_owned()) } else { Ok(pin) }
    }
}

/// The mechanisms asked of the token, by number (`CKM_…`). The defaults are those of PKCS#11 and work on SoftHSM2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mechanisms {
    /// Diversifies a 3DES key: takes X || NOT X as `CK_KEY_DERIVATION_STRING_DATA` and enciphers it under the base key.
    pub derive: MechanismNumber,
    /// 3DES in ECB, without padding: check values, and the last step down to a card.
    pub encrypt: MechanismNumber,
    /// AES in ECB: check values of transport keys.
    pub encrypt_aes: MechanismNumber,
    /// Wraps under an AES key as RFC 3394 says.
    pub wrap: MechanismNumber,
    /// Makes two-key 3DES keys.
    pub generate: MechanismNumber,
    /// Makes AES keys.
    pub generate_aes: MechanismNumber,
}

impl Mechanisms {
    /// The numbers of PKCS#11 2.40.
    pub const STANDARD: Mechanisms = Mechanisms {
        derive: cryptoki_sys::CKM_DES3_ECB_ENCRYPT_DATA,
        encrypt: cryptoki_sys::CKM_DES3_ECB,
        encrypt_aes: cryptoki_sys::CKM_AES_ECB,
        wrap: cryptoki_sys::CKM_AES_KEY_WRAP,
        generate: cryptoki_sys::CKM_DES2_KEY_GEN,
        generate_aes: cryptoki_sys::CKM_AES_KEY_GEN,
    };
}

impl Default for Mechanisms {
    fn default() -> Mechanisms {
        Mechanisms::STANDARD
    }
}

/// Whether keys above those of cards may leave the token wrapped under a transport key. A key keeps what it was made
/// with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Export {
    /// They may: a backup vault can be kept in step, and PSAMs can be given working keys of their own level.
    #[default]
    Wrapped,
    /// They may not, by no means: `CKA_EXTRACTABLE` is false.
    Never,
}

/// A token that keeps a vault.
#[derive(Clone)]
pub struct Settings {
    /// The module: a shared library.
    pub module: PathBuf,
    /// The token.
    pub token: TokenName,
    /// Its user's PIN.
    pub pin: PinSource,
    /// The numbers of its mechanisms.
    pub mechanisms: Mechanisms,
    /// Most sessions at a time, 1 to [`SESSIONS_MAX`].
    pub sessions_max: usize,
    /// What becomes of keys made from now on.
    pub export: Export,
}

impl Settings {
    /// A token with standard mechanisms.
    #[must_use]
    pub fn new(module: PathBuf, token: TokenName, pin: PinSource) -> Settings {
        let mechanisms = Mechanisms::STANDARD;
        Settings { module, token, pin, mechanisms, sessions_max: SESSIONS_DEFAULT, export: Export::Wrapped }
    }
}
