//! The words of a key file: kinds, algorithms, bytes and secrets, each read with an error that says what was expected and
//! never shows a secret.

use crate::kind::{KeyKind, Origin};
use crate::value::KeyAlgorithm;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use std::fmt;
use ykt_base::hex;
use ykt_crypto::sm2::PrivateKey;
use ykt_purse::write_key::Pin;
use zeroize::Zeroizing;

/// A word of a closed list.
pub(super) struct Named<T>(pub(super) T);

/// Bytes written as hex digits.
pub(super) struct HexArray<const N: usize>(pub(super) [u8; N]);

/// Bytes of any number written as hex digits.
pub(super) struct HexBytes(pub(super) Vec<u8>);

/// A PIN of 4 to 12 digits; an error never shows them.
pub(super) struct SecretPin(pub(super) Pin);

/// An SM2 private key of 64 hex digits; an error never shows them.
pub(super) struct SecretSigner(pub(super) PrivateKey);

/// A key in hex digits; an error never shows them.
pub(super) struct SecretBytes(pub(super) Zeroizing<Vec<u8>>);

/// Reads a text by a function that answers `Err(what was expected)`.
struct Text<F>(F, &'static str);

impl<T, E: fmt::Display, F: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<D: de::Error>(self, text: &str) -> Result<T, D> {
        (self.0)(text).map_err(|error| D::custom(format_args!("expected {}: {error}", self.1)))
    }
}

impl<'de> Deserialize<'de> for Named<KeyKind> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let names = || KeyKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
        let read = |text: &str| {
            KeyKind::from_name(text)
                .map(Named)
                .ok_or_else(|| format!("found {text:?}; there are {}", names()))
        };
        from.deserialize_str(Text(read, "a kind of key"))
    }
}

impl<'de> Deserialize<'de> for Named<Origin> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = |text: &str| Origin::from_name(text).map(Named).ok_or_else(|| format!("found {text:?}"));
        from.deserialize_str(Text(read, "\"demo\" or \"production\""))
    }
}

impl<'de, const N: usize> Deserialize<'de> for HexArray<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Text(|text: &str| hex::decode(text).map(HexArray), "hex digits"))
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = |text: &str| {
            let mut bytes = vec![0; text.len().div_ceil(2)];
            hex::decode_into(text, &mut bytes).map(|()| HexBytes(bytes))
        };
        from.deserialize_str(Text(read, "hex digits"))
    }
}

impl<'de> Deserialize<'de> for SecretPin {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = |text: &str| Pin::from_digits(text).map(SecretPin).ok_or("found something else");
        from.deserialize_str(Text(read, "a PIN of 4 to 12 digits"))
    }
}

impl<'de> Deserialize<'de> for SecretSigner {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = |text: &str| {
            let bytes = hex::decode(text).map(Zeroizing::new).ok();
            bytes
                .and_then(|bytes| PrivateKey::from_bytes(&bytes))
                .map(SecretSigner)
                .ok_or("found something else")
        };
        from.deserialize_str(Text(read, "an SM2 private key of 64 hex digits"))
    }
}

impl<'de> Deserialize<'de> for SecretBytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = |text: &str| {
            let mut bytes = Zeroizing::new(vec![0; text.len().div_ceil(2)]);
            hex::decode_into(text, &mut bytes).map(|()| SecretBytes(bytes))
        };
        from.deserialize_str(Text(read, "a key in hex digits"))
    }
}

impl<'de> Deserialize<'de> for Named<KeyAlgorithm> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read =
            |text: &str| KeyAlgorithm::from_name(text).map(Named).ok_or_else(|| format!("found {text:?}"));
        from.deserialize_str(Text(read, "\"3des\", \"sm4\", \"aes-256\" or \"sm2\""))
    }
}
