//! Signing long messages: a card hashes them block by block, or is given the digest that a terminal computed.

use super::{PrivateKey, PublicKey, Random, Signature, SignerId};
use crate::chain::Hash32;
use ::sm2::dsa::signature::hazmat::{PrehashVerifier, RandomizedPrehashSigner};
use ::sm2::dsa::{self, SigningKey, VerifyingKey};
use sm3::{Digest, Sm3};
use ykt_base::Rng;

/// The curve in ZA: a, b, and both coordinates of the generator (GB/T 32918.5).
const CURVE: [u8; 128] = [
    0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
    0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFC, 0x28, 0xE9,
    0xFA, 0x9E, 0x9D, 0x9F, 0x5E, 0x34, 0x4D, 0x5A, 0x9E, 0x4B, 0xCF, 0x65, 0x09, 0xA7, 0xF3, 0x97, 0x89,
    0xF5, 0x15, 0xAB, 0x8F, 0x92, 0xDD, 0xBC, 0xBD, 0x41, 0x4D, 0x94, 0x0E, 0x93, 0x32, 0xC4, 0xAE, 0x2C,
    0x1F, 0x19, 0x81, 0x19, 0x5F, 0x99, 0x04, 0x46, 0x6A, 0x39, 0xC9, 0x94, 0x8F, 0xE3, 0x0B, 0xBF, 0xF2,
    0x66, 0x0B, 0xE1, 0x71, 0x5A, 0x45, 0x89, 0x33, 0x4C, 0x74, 0xC7, 0xBC, 0x37, 0x36, 0xA2, 0xF4, 0xF6,
    0x77, 0x9C, 0x59, 0xBD, 0xCE, 0xE3, 0x6B, 0x69, 0x21, 0x53, 0xD0, 0xA9, 0x87, 0x7C, 0xC6, 0x2A, 0x47,
    0x40, 0x02, 0xDF, 0x32, 0xE5, 0x21, 0x39, 0xF0, 0xA0,
];

/// The digest that SM2 signs, SM3(ZA || message), in the making.
#[derive(Clone)]
pub struct Hasher(Sm3);

impl Hasher {
    /// Begins with ZA of this signer.
    #[must_use]
    pub fn new(id: SignerId<'_>, public: &PublicKey) -> Hasher {
        let [_, point @ ..] = public.as_bytes();
        let bits = u16::try_from(id.0.len().saturating_mul(8)).unwrap_or(u16::MAX);
        let mut za = Sm3::new();
        za.update(bits.to_be_bytes());
        za.update(id.0);
        za.update(CURVE);
        za.update(point);
        let mut hash = Sm3::new();
        hash.update(za.finalize());
        Hasher(hash)
    }

    /// Takes the next block of the message.
    pub fn update(&mut self, block: &[u8]) {
        self.0.update(block);
    }

    /// The digest.
    #[must_use]
    pub fn finish(self) -> Hash32 {
        Hash32(self.0.finalize().into())
    }
}

impl PrivateKey {
    /// Signs a digest that [`Hasher`] made.
    #[must_use]
    pub fn sign_digest(&self, digest: &Hash32, rng: &mut dyn Rng) -> Signature {
        // One k in 2^256 does not serve: then another is taken.
        loop {
            let key = SigningKey::new(SignerId::DEFAULT.0, &self.0);
            let signed =
                key.and_then(|key| key.sign_prehash_with_rng(&mut Random(&mut *rng), digest.as_bytes()));
            if let Ok(signature) = signed {
                return Signature(signature.to_bytes().into());
            }
        }
    }
}

impl PublicKey {
    /// Whether the signature is this signer's over a digest that [`Hasher`] made.
    #[must_use]
    pub fn verify_digest(&self, digest: &Hash32, signature: &Signature) -> bool {
        let key = VerifyingKey::from_sec1_bytes(SignerId::DEFAULT.0, &self.0);
        let signature = dsa::Signature::from_slice(&signature.0);
        key.and_then(|key| key.verify_prehash(digest.as_bytes(), &signature?)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Rng for Fixed {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(0x5A);
        }
    }

    /// Blocks or whole: one digest, and signatures that both ways verify. OpenSSL judges the whole way.
    #[test]
    fn blocks_are_the_message() {
        let key = PrivateKey::generate(&mut Fixed);
        let public = key.public_key();
        for id in [SignerId::DEFAULT, SignerId::new("ALICE123@YAHOO.COM").unwrap()] {
            let mut hash = Hasher::new(id, &public);
            hash.update(b"mess");
            hash.update(b"");
            hash.update(b"age");
            let digest = hash.finish();
            let whole = key.sign(id, &[b"message"], &mut Fixed);
            let of_digest = key.sign_digest(&digest, &mut Fixed);
            assert!(public.verify_digest(&digest, &whole));
            assert!(public.verify(id, &[b"message"], &of_digest));
            assert!(!public.verify_digest(&Hash32::START, &whole));
        }
    }
}
