//! A key's value with its algorithm, and the check value by which people compare keys without seeing them.

use aes_gcm::aes::Aes256;
use aes_gcm::aes::cipher::{BlockCipherEncrypt, KeyInit};
use core::{fmt, mem};
use ykt_base::Rng;
use ykt_crypto::sm2::PrivateKey;
use ykt_crypto::{CardKey, Key16, chain};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// What a key computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyAlgorithm {
    /// Two-key 3DES, 16 bytes.
    Tdes,
    /// SM4, 16 bytes.
    Sm4,
    /// AES with 32 bytes: for transport keys.
    Aes256,
    /// An SM2 pair, 32 bytes: for signing.
    Sm2,
}

impl KeyAlgorithm {
    /// Every algorithm.
    pub const ALL: [KeyAlgorithm; 4] =
        [KeyAlgorithm::Tdes, KeyAlgorithm::Sm4, KeyAlgorithm::Aes256, KeyAlgorithm::Sm2];

    /// Name in key files and lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            KeyAlgorithm::Tdes => "3des",
            KeyAlgorithm::Sm4 => "sm4",
            KeyAlgorithm::Aes256 => "aes-256",
            KeyAlgorithm::Sm2 => "sm2",
        }
    }

    /// Number in sealed files; never changes.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            KeyAlgorithm::Tdes => 0,
            KeyAlgorithm::Sm4 => 4,
            KeyAlgorithm::Aes256 => 5,
            KeyAlgorithm::Sm2 => 6,
        }
    }

    /// The algorithm of a name, or `None`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<KeyAlgorithm> {
        KeyAlgorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The algorithm of a number in a sealed file, or `None`.
    #[must_use]
    pub fn from_code(code: u8) -> Option<KeyAlgorithm> {
        KeyAlgorithm::ALL.into_iter().find(|algorithm| algorithm.code() == code)
    }

    /// Length of a value in bytes.
    #[must_use]
    pub const fn value_len(self) -> usize {
        match self {
            KeyAlgorithm::Tdes | KeyAlgorithm::Sm4 => 16,
            KeyAlgorithm::Aes256 | KeyAlgorithm::Sm2 => 32,
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The value of a key. No `Debug`, wiped when dropped.
pub enum KeyValue {
    /// Two-key 3DES.
    Tdes(Key16),
    /// SM4.
    Sm4(Key16),
    /// AES.
    Aes256(Zeroizing<[u8; 32]>),
    /// The private key of an SM2 pair.
    Sm2(PrivateKey),
}

/// Every part wipes itself. A short value has room behind it, into which a move may have copied what stood beside it on
/// the stack, another copy of the key perhaps: so a short one gives its place to a long one, which wipes all of it.
impl Drop for KeyValue {
    fn drop(&mut self) {
        let (KeyValue::Tdes(key) | KeyValue::Sm4(key)) = self else { return };
        drop(mem::replace(key, Key16::from_bytes([0; Key16::LEN])));
        mem::forget(mem::replace(self, KeyValue::Aes256(Zeroizing::new([0; 32]))));
    }
}

impl ZeroizeOnDrop for KeyValue {}

impl KeyValue {
    /// The value of these bytes, or `None` when they are not as many as the algorithm wants, or no private key.
    #[must_use]
    pub fn from_bytes(algorithm: KeyAlgorithm, bytes: &[u8]) -> Option<KeyValue> {
        Some(match algorithm {
            KeyAlgorithm::Tdes => KeyValue::Tdes(Key16::from_bytes(bytes.try_into().ok()?)),
            KeyAlgorithm::Sm4 => KeyValue::Sm4(Key16::from_bytes(bytes.try_into().ok()?)),
            KeyAlgorithm::Aes256 => KeyValue::Aes256(Zeroizing::new(bytes.try_into().ok()?)),
            KeyAlgorithm::Sm2 => KeyValue::Sm2(PrivateKey::from_bytes(bytes.try_into().ok()?)?),
        })
    }

    /// A new random value.
    #[must_use]
    pub fn generate(algorithm: KeyAlgorithm, rng: &mut dyn Rng) -> KeyValue {
        let mut bytes = Zeroizing::new([0; 32]);
        match algorithm {
            KeyAlgorithm::Sm2 => return KeyValue::Sm2(PrivateKey::generate(rng)),
            KeyAlgorithm::Aes256 => rng.fill(&mut *bytes),
            KeyAlgorithm::Tdes | KeyAlgorithm::Sm4 => {
                let mut half = Zeroizing::new([0; Key16::LEN]);
                rng.fill(&mut *half);
                let key = Key16::from_bytes(*half);
                return if algorithm == KeyAlgorithm::Sm4 { KeyValue::Sm4(key) } else { KeyValue::Tdes(key) };
            }
        }
        KeyValue::Aes256(bytes)
    }

    /// What it computes with.
    #[must_use]
    pub const fn algorithm(&self) -> KeyAlgorithm {
        match self {
            KeyValue::Tdes(_) => KeyAlgorithm::Tdes,
            KeyValue::Sm4(_) => KeyAlgorithm::Sm4,
            KeyValue::Aes256(_) => KeyAlgorithm::Aes256,
            KeyValue::Sm2(_) => KeyAlgorithm::Sm2,
        }
    }

    /// Check value (KCV): the first three bytes of a zero block enciphered; of a pair, the first three bytes of the
    /// SM3 hash of its public key.
    #[must_use]
    pub fn kcv(&self) -> [u8; 3] {
        let [a, b, c] = match self {
            KeyValue::Tdes(key) => CardKey::Tdes(key.clone()).kcv(),
            KeyValue::Sm4(key) => CardKey::Sm4(key.clone()).kcv(),
            KeyValue::Aes256(key) => {
                let mut block = [0; 16].into();
                Aes256::new((&**key).into()).encrypt_block(&mut block);
                let [a, b, c, ..]: [u8; 16] = block.into();
                [a, b, c]
            }
            KeyValue::Sm2(key) => {
                let [a, b, c, ..] = chain::sm3(&[key.public_key().as_bytes()]).0;
                [a, b, c]
            }
        };
        [a, b, c]
    }

    /// As a key that cards hold, or `None` for algorithms they do not know.
    #[must_use]
    pub fn card_key(&self) -> Option<CardKey> {
        match self {
            KeyValue::Tdes(key) => Some(CardKey::Tdes(key.clone())),
            KeyValue::Sm4(key) => Some(CardKey::Sm4(key.clone())),
            KeyValue::Aes256(_) | KeyValue::Sm2(_) => None,
        }
    }

    /// The bytes themselves. Whoever calls this answers for where they go.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            KeyValue::Tdes(key) | KeyValue::Sm4(key) => key.expose().to_vec(),
            KeyValue::Aes256(key) => key.to_vec(),
            KeyValue::Sm2(key) => Zeroizing::new(key.expose()).to_vec(),
        })
    }
}
