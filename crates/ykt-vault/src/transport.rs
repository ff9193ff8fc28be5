//! A key's value under a transport key: how keys leave a vault, and how they come back.

use crate::value::{KeyAlgorithm, KeyValue};
use aes_kw::{KeyInit, KwAes256};
use zeroize::Zeroizing;

/// Bytes RFC 3394 adds.
const KEY_WRAP_LEN: usize = 8;

/// The value enciphered under `transport`: RFC 3394 under AES-256, ECB under 3DES and SM4. `None` when `transport` is
/// a key pair.
#[must_use]
pub fn encipher(value: &KeyValue, transport: &KeyValue) -> Option<Vec<u8>> {
    let mut bytes = value.expose();
    if let KeyValue::Aes256(key) = transport {
        let mut cryptogram = vec![0; bytes.len().saturating_add(KEY_WRAP_LEN)];
        KwAes256::new((&**key).into()).wrap_key(&bytes, &mut cryptogram).ok()?;
        return Some(cryptogram);
    }
    transport.card_key()?.encrypt_blocks(&mut bytes);
    Some(bytes.to_vec())
}

/// The inverse of [`encipher`]: `None` when the cryptogram has another length or was changed. ECB has no check of
/// its own; there the check value finds a change.
#[must_use]
pub fn decipher(cryptogram: &[u8], algorithm: KeyAlgorithm, transport: &KeyValue) -> Option<KeyValue> {
    let mut bytes = Zeroizing::new(vec![0; algorithm.value_len()]);
    if let KeyValue::Aes256(key) = transport {
        let expected = bytes.len().saturating_add(KEY_WRAP_LEN);
        let whole = Some(cryptogram).filter(|found| found.len() == expected)?;
        KwAes256::new((&**key).into()).unwrap_key(whole, &mut bytes).ok()?;
    } else {
        bytes.get_mut(..cryptogram.len())?.copy_from_slice(cryptogram);
        transport
            .card_key()
            .filter(|_| cryptogram.len() == algorithm.value_len())?
            .decrypt_blocks(&mut bytes);
    }
    KeyValue::from_bytes(algorithm, &bytes)
}
