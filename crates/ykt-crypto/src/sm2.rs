//! SM2 signatures (GB/T 32918.2) over SM3: identity data, certificates and tokens. No heap; random bytes come in.
//!
//! A signature covers the signer's id and public key (the hash ZA) before the message, so both sides must agree on
//! the id: [`SignerId::DEFAULT`] is what everybody uses who states none. Cards and wires carry r || s, certificates
//! carry DER; a certificate with the one in place of the other is built without an error and verified by nobody,
//! which is why [`Signature`] writes each only when asked by name.
//!
//! The `sm2` crate computes in constant time and, of the two that were compared, is the one without `std`; it derives
//! k as RFC 6979 does from key and message, with the random bytes mixed in, so weak randomness gives no key away.

mod digest;

pub use digest::Hasher;

use crate::sm::Bytes;
use ::sm2::SecretKey;
use ::sm2::dsa::signature::rand_core::{TryCryptoRng, TryRng};
use ::sm2::dsa::signature::{MultipartVerifier, RandomizedMultipartSigner};
use ::sm2::dsa::{self, SigningKey, VerifyingKey};
use ::sm2::elliptic_curve::sec1::ToSec1Point;
use core::convert::Infallible;
use core::fmt;
use ykt_base::Rng;
use ykt_base::hex::Hex;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Length of a private key in bytes.
pub const PRIVATE_KEY_LEN: usize = 32;
/// Length of a public key in bytes: 04, x, y.
pub const PUBLIC_KEY_LEN: usize = 65;
/// Length of a signature in bytes: r, s.
pub const SIGNATURE_LEN: usize = 64;
/// Longest signature in DER, in bytes.
pub const DER_LEN_MAX: usize = 72;

/// Length of r and of s.
const HALF_LEN: usize = 32;
/// Longest signer id in bytes: ZA states its length in bits in two bytes.
const SIGNER_ID_LEN_MAX: usize = 8191;
/// n - 1: nobody can sign with it.
const ORDER_LESS_ONE: [u8; PRIVATE_KEY_LEN] = [
    0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x72,
    0x03, 0xDF, 0x6B, 0x21, 0xC6, 0x05, 0x2B, 0x53, 0xBB, 0xF4, 0x09, 0x39, 0xD5, 0x41, 0x22,
];

/// By what id a signer is known (distinguishing identifier).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignerId<'a>(&'a str);

impl<'a> SignerId<'a> {
    /// `1234567812345678`, where nothing else is agreed on.
    pub const DEFAULT: SignerId<'static> = SignerId("1234567812345678");

    /// The id of a text of at most 8191 bytes, or `None` for a longer one.
    #[must_use]
    pub const fn new(id: &'a str) -> Option<SignerId<'a>> {
        if id.len() <= SIGNER_ID_LEN_MAX { Some(SignerId(id)) } else { None }
    }
}

/// A private key. No `Debug`, wiped when dropped.
#[derive(Clone)]
pub struct PrivateKey(SecretKey);

impl PrivateKey {
    /// A new key.
    #[must_use]
    pub fn generate(rng: &mut dyn Rng) -> PrivateKey {
        let mut bytes = [0; PRIVATE_KEY_LEN];
        loop {
            rng.fill(&mut bytes);
            let key = PrivateKey::from_bytes(&bytes);
            bytes.zeroize();
            if let Some(key) = key {
                return key;
            }
        }
    }

    /// The key of 32 bytes, or `None` when they are not a number from 1 to n - 2.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; PRIVATE_KEY_LEN]) -> Option<PrivateKey> {
        let key = SecretKey::from_slice(bytes).ok()?;
        (*bytes != ORDER_LESS_ONE).then_some(PrivateKey(key))
    }

    /// The bytes themselves. Whoever calls this answers for where they go.
    #[must_use]
    pub fn expose(&self) -> [u8; PRIVATE_KEY_LEN] {
        self.0.to_bytes().into()
    }

    /// Its public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        let mut bytes = [0; PUBLIC_KEY_LEN];
        let point = self.0.public_key().to_sec1_point(false);
        bytes.iter_mut().zip(point.as_bytes()).for_each(|(byte, coordinate)| *byte = *coordinate);
        PublicKey(bytes)
    }

    /// Signs the concatenated `parts`.
    #[must_use]
    pub fn sign(&self, id: SignerId<'_>, parts: &[&[u8]], rng: &mut dyn Rng) -> Signature {
        // One k in 2^256 does not serve: then another is taken. The id is never too long.
        loop {
            let key = SigningKey::new(id.0, &self.0);
            let signed = key.and_then(|key| key.try_multipart_sign_with_rng(&mut Random(rng), parts));
            if let Ok(signature) = signed {
                return Signature(signature.to_bytes().into());
            }
        }
    }
}

/// The key wipes itself.
impl ZeroizeOnDrop for PrivateKey {}

/// A public key: a point of the curve, uncompressed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; PUBLIC_KEY_LEN]);

impl PublicKey {
    /// The key of 04 || x || y, or `None` when that is no point of the curve.
    #[must_use]
    pub fn from_bytes(bytes: [u8; PUBLIC_KEY_LEN]) -> Option<PublicKey> {
        let is_uncompressed = bytes[0] == 0x04;
        (is_uncompressed && ::sm2::PublicKey::from_sec1_bytes(&bytes).is_ok()).then_some(PublicKey(bytes))
    }

    /// 04 || x || y.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.0
    }

    /// Whether the signature is this signer's over the concatenated `parts`.
    #[must_use]
    pub fn verify(&self, id: SignerId<'_>, parts: &[&[u8]], signature: &Signature) -> bool {
        let key = VerifyingKey::from_sec1_bytes(id.0, &self.0);
        let signature = dsa::Signature::from_slice(&signature.0);
        key.and_then(|key| key.multipart_verify(parts, &signature?)).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", Hex(&self.0))
    }
}

/// A signature: r || s, as a card answers it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; SIGNATURE_LEN]);

impl Signature {
    /// r || s.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SIGNATURE_LEN] {
        &self.0
    }

    /// DER, as certificates carry it: SEQUENCE { INTEGER r, INTEGER s }.
    #[must_use]
    pub fn to_der(&self) -> Bytes<DER_LEN_MAX> {
        let [r, s] = self.halves().map(integer);
        let len = r.len().saturating_add(s.len());
        let der = u8::try_from(len).ok().and_then(|len| Bytes::from_parts(&[&[0x30, len], &r, &s]));
        der.unwrap_or_default()
    }

    /// The signature of exactly this DER, or `None` for other bytes, also for numbers with needless zeros.
    #[must_use]
    pub fn from_der(der: &[u8]) -> Option<Signature> {
        let rest = der.strip_prefix(&[0x30])?;
        let (len, rest) = rest.split_first()?;
        let (r, rest) = take_integer(rest)?;
        let (s, rest) = take_integer(rest)?;
        let mut bytes = [0; SIGNATURE_LEN];
        bytes[..HALF_LEN].copy_from_slice(&r);
        bytes[HALF_LEN..].copy_from_slice(&s);
        let signature = Signature(bytes);
        let is_whole = rest.is_empty() && der.len() == usize::from(*len).saturating_add(2);
        (is_whole && signature.to_der().as_bytes() == der).then_some(signature)
    }

    fn halves(&self) -> [&[u8]; 2] {
        let (r, s) = self.0.split_at(HALF_LEN);
        [r, s]
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", Hex(&self.0))
    }
}

/// A positive INTEGER: without needless zeros, with one where the first bit would make it negative.
fn integer(number: &[u8]) -> Bytes<35> {
    let first = number.iter().position(|byte| *byte != 0).unwrap_or(HALF_LEN.saturating_sub(1));
    let digits = number.get(first..).unwrap_or_default();
    let sign: &[u8] = if digits.first().is_some_and(|byte| *byte >= 0x80) { &[0] } else { &[] };
    let len = u8::try_from(sign.len().saturating_add(digits.len())).unwrap_or(u8::MAX);
    Bytes::from_parts(&[&[0x02, len], sign, digits]).unwrap_or_default()
}

/// The number of an INTEGER in 32 bytes, and what follows it.
fn take_integer(bytes: &[u8]) -> Option<([u8; HALF_LEN], &[u8])> {
    let (len, rest) = bytes.strip_prefix(&[0x02])?.split_first()?;
    let (digits, rest) = rest.split_at_checked(usize::from(*len))?;
    let digits = digits.strip_prefix(&[0]).unwrap_or(digits);
    let mut number = [0; HALF_LEN];
    let at = HALF_LEN.checked_sub(digits.len())?;
    number.get_mut(at..)?.copy_from_slice(digits);
    Some((number, rest))
}

/// Our randomness under the name the `sm2` crate asks for.
struct Random<'a>(&'a mut dyn Rng);

impl TryRng for Random<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for Random<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use std::vec::Vec;

    const PRIVATE: [u8; 32] = hex!("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8");

    /// Counts up.
    struct Counting(u8);

    impl Rng for Counting {
        fn fill(&mut self, out: &mut [u8]) {
            for byte in out {
                *byte = self.0;
                self.0 = self.0.wrapping_add(1);
            }
        }
    }

    fn decode(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// GM/T 0003.5-2012, annex A.2: the signature example on the recommended curve.
    #[test]
    fn standard_example() {
        let key = PrivateKey::from_bytes(&PRIVATE).unwrap().public_key();
        assert_eq!(
            key.as_bytes(),
            &hex!(
                "04 09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
                "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
            )
        );
        let signature = Signature(hex!(
            "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3"
            "B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"
        ));
        assert!(key.verify(SignerId::DEFAULT, &[b"message ", b"digest"], &signature));
        assert!(!key.verify(SignerId::DEFAULT, &[b"message digest "], &signature));
    }

    /// What OpenSSL signed: public keys, ids, messages, DER with short and long numbers.
    #[test]
    fn signatures_of_openssl() {
        let lines = include_str!("../tests/fixtures/sm2_openssl.txt").lines();
        let mut lens = Vec::new();
        for line in lines.filter(|line| !line.starts_with('#')) {
            let [private, public, id, message, der] = line.split('|').collect::<Vec<_>>()[..] else {
                panic!("five fields: {line}");
            };
            let private = PrivateKey::from_bytes(decode(private).as_slice().try_into().unwrap()).unwrap();
            let public = PublicKey::from_bytes(decode(public).try_into().unwrap()).unwrap();
            assert_eq!(private.public_key(), public);
            let der = decode(der);
            let signature = Signature::from_der(&der).unwrap();
            assert_eq!(signature.to_der().as_bytes(), der);
            let id = SignerId::new(id).unwrap();
            assert!(public.verify(id, &[message.as_bytes()], &signature), "{line}");
            assert!(!public.verify(SignerId("another"), &[message.as_bytes()], &signature));
            lens.push(der.len());
        }
        assert!(lens.len() == 15 && lens.iter().min() < Some(&70) && lens.iter().max() == Some(&DER_LEN_MAX));
    }

    #[test]
    fn every_changed_bit_of_a_signature_is_found() {
        let private = PrivateKey::generate(&mut Counting(1));
        let public = private.public_key();
        let signature = private.sign(SignerId::DEFAULT, &[b"a", b"", b"b"], &mut Counting(9));
        assert!(public.verify(SignerId::DEFAULT, &[b"ab"], &signature));
        for bit in 0..8 * SIGNATURE_LEN {
            let mut changed = signature;
            changed.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!public.verify(SignerId::DEFAULT, &[b"ab"], &changed), "bit {bit}");
        }
    }

    /// Other random bytes give another signature, the same the same.
    #[test]
    fn signatures_follow_from_the_random_bytes() {
        let key = PrivateKey::from_bytes(&PRIVATE).unwrap();
        let sign = |seed| key.sign(SignerId::DEFAULT, &[b"m"], &mut Counting(seed));
        assert_eq!(sign(1), sign(1));
        assert_ne!(sign(1), sign(2));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let mut order = ORDER_LESS_ONE;
        assert!(PrivateKey::from_bytes(&order).is_none());
        order[31] += 1;
        assert!(PrivateKey::from_bytes(&order).is_none());
        order[31] -= 2;
        assert!(PrivateKey::from_bytes(&order).is_some());
        assert!(PrivateKey::from_bytes(&[0; 32]).is_none());
        let mut point = *PrivateKey::from_bytes(&PRIVATE).unwrap().public_key().as_bytes();
        for (at, value) in [(0, 0x06), (1, 0xFF), (64, 0x14)] {
            let kept = core::mem::replace(&mut point[at], value);
            assert_eq!(PublicKey::from_bytes(point), None, "byte {at}");
            point[at] = kept;
        }
        let long = std::string::String::from_utf8(std::vec![b'x'; 8192]).unwrap();
        assert_eq!(SignerId::new(&long), None);
        assert!(SignerId::new(&long[1..]).is_some());
    }

    #[test]
    fn only_strict_der_is_read() {
        let signature = PrivateKey::generate(&mut Counting(3)).sign(SignerId::DEFAULT, &[], &mut Counting(4));
        let der = signature.to_der().to_vec();
        assert_eq!(Signature::from_der(&der), Some(signature));
        for len in 0..der.len() {
            assert_eq!(Signature::from_der(&der[..len]), None);
        }
        assert_eq!(Signature::from_der(&[&der[..], &[0]].concat()), None);
        let padded = hex!("3008 0203000001 020101");
        assert_eq!(Signature::from_der(&padded), None, "needless zeros");
        let short = hex!("3006 020101 020102");
        assert_eq!(Signature::from_der(&short).unwrap().to_der().as_bytes(), short);
    }
}
