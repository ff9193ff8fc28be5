//! SM3 (GB/T 32905) and the hash chain of ledger and audit log: each link covers the link before it.

use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use sm3::{Digest, Sm3};
use ykt_base::hex::Hex;
use zeroize::Zeroizing;

/// An SM3 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash32(pub [u8; 32]);

impl Hash32 {
    /// What the first link of a chain takes as the link before it.
    pub const START: Hash32 = Hash32([0; 32]);

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Hash32 {
    type Error = core::array::TryFromSliceError;
    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Hash32)
    }
}

impl fmt::Display for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(&self.0), f)
    }
}

impl fmt::Debug for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash32({self})")
    }
}

/// SM3 of the concatenated `parts`.
#[must_use]
pub fn sm3(parts: &[&[u8]]) -> Hash32 {
    let mut hash = Sm3::new();
    parts.iter().for_each(|part| hash.update(part));
    Hash32(hash.finalize().into())
}

/// HMAC-SM3 of the concatenated `parts`.
#[must_use]
pub fn hmac_sm3(key: &[u8; 32], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    // HMAC fills a key up with zeros to a block.
    let mut block = Zeroizing::new([0; 64]);
    block.iter_mut().zip(key).for_each(|(byte, of_key)| *byte = *of_key);
    let mut mac = Hmac::<Sm3>::new((&*block).into());
    parts.iter().for_each(|part| mac.update(part));
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// The next link: SM3 over the link before, then each part after its length (8 bytes, big-endian), so that no
/// two lists of parts give one link.
#[must_use]
pub fn next(prev: &Hash32, parts: &[&[u8]]) -> Hash32 {
    let mut hash = Sm3::new();
    hash.update(prev.0);
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    Hash32(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    /// GB/T 32905-2016, annex A.1.
    #[test]
    fn standard_example() {
        let want = hex!("66C7F0F462EEEDD9D1F2D46BDC10E4E24167C4875CF2F7A2297DA02B8F4BA8E0");
        assert_eq!(sm3(&[b"abc"]).0, want);
        assert_eq!(sm3(&[b"a", b"", b"bc"]).0, want);
    }

    /// OpenSSL: `openssl mac -digest sm3 -macopt hexkey:… HMAC`.
    #[test]
    fn hmac_of_openssl() {
        let key = hex!("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F");
        let want = hex!("A8F95CF26F204957E7CA73C9602A25DDA35F168B28103B51DFC968C810416B63");
        assert_eq!(*hmac_sm3(&key, &[b"abc"]), want);
        assert_eq!(*hmac_sm3(&key, &[b"", b"a", b"bc"]), want);
    }

    #[test]
    fn links_depend_on_history_and_on_boundaries() {
        let first = next(&Hash32::START, &[b"ab", b"c"]);
        assert_ne!(first, next(&Hash32::START, &[b"a", b"bc"]));
        assert_ne!(first, next(&first, &[b"ab", b"c"]));
        assert_eq!(first, next(&Hash32::START, &[b"ab", b"c"]));
    }
}
