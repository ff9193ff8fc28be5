//! The block ciphers: single DES, two-key 3DES (`epurse.md` 1.1) and SM4 (GB/T 32907), one block at a time.
//!
//! Round keys are the largest thing a card computes with, 128 bytes and more. They are made out of line, straight into
//! the place of whoever uses them, so that its stack holds them once.

use crate::key::{Key8, Key16};
use cipher::consts::{U8, U16};
use cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use des::Des;
use sm4::Sm4;

#[inline(never)]
pub(crate) fn des(key: &Key8) -> Des {
    Des::new(key.expose().into())
}

#[inline(never)]
pub(crate) fn sm4(key: &Key16) -> Sm4 {
    Sm4::new(key.expose().into())
}

pub(crate) fn encrypt_8(cipher: &impl BlockCipherEncrypt<BlockSize = U8>, block: [u8; 8]) -> [u8; 8] {
    let mut block = block.into();
    cipher.encrypt_block(&mut block);
    block.into()
}

pub(crate) fn decrypt_8(cipher: &impl BlockCipherDecrypt<BlockSize = U8>, block: [u8; 8]) -> [u8; 8] {
    let mut block = block.into();
    cipher.decrypt_block(&mut block);
    block.into()
}

pub(crate) fn encrypt_16(cipher: &impl BlockCipherEncrypt<BlockSize = U16>, block: [u8; 16]) -> [u8; 16] {
    let mut block = block.into();
    cipher.encrypt_block(&mut block);
    block.into()
}

pub(crate) fn decrypt_16(cipher: &impl BlockCipherDecrypt<BlockSize = U16>, block: [u8; 16]) -> [u8; 16] {
    let mut block = block.into();
    cipher.decrypt_block(&mut block);
    block.into()
}

/// A 3DES key with its round keys made: for masses of diversifications under one master key.
/// The round keys are wiped when it is dropped.
#[derive(Clone)]
pub struct Tdes {
    left: Des,
    right: Des,
}

impl Tdes {
    /// Makes the round keys of `key`.
    #[must_use]
    pub fn new(key: &Key16) -> Tdes {
        Tdes { left: des(&key.left()), right: des(&key.right()) }
    }

    /// TDES(K, B) = E(KL, D(KR, E(KL, B))).
    #[must_use]
    pub fn encrypt(&self, block: [u8; 8]) -> [u8; 8] {
        encrypt_8(&self.left, decrypt_8(&self.right, encrypt_8(&self.left, block)))
    }

    /// The inverse of [`Tdes::encrypt`].
    #[must_use]
    pub fn decrypt(&self, block: [u8; 8]) -> [u8; 8] {
        decrypt_8(&self.left, encrypt_8(&self.right, decrypt_8(&self.left, block)))
    }

    /// DIV(K, X) = TDES(K, X) || TDES(K, NOT X) (密钥分散, `epurse.md` 1.1).
    #[must_use]
    pub fn diversify(&self, factor: &[u8; 8]) -> Key16 {
        Key16::from_halves(
            &Key8::from_bytes(self.encrypt(*factor)),
            &Key8::from_bytes(self.encrypt(factor.map(|byte| !byte))),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn vector_prim_3des_ede2_ecb() {
        let key = Tdes::new(&Key16::from_bytes(hex!("11223344556677888877665544332211")));
        let block = hex!("0123456789ABCDEF");
        assert_eq!(key.encrypt(block), hex!("F9C2452F0F4EFC09"));
        assert_eq!(key.decrypt(block), hex!("4419A524A409F873"));
    }

    /// With equal halves 3DES is single DES.
    #[test]
    fn equal_halves_are_single_des() {
        let half = Key8::from_bytes(hex!("3F013F013F013F01"));
        let (double, single) = (Tdes::new(&Key16::from_halves(&half, &half)), des(&half));
        let block = hex!("F9CABA9100008000");
        assert_eq!(encrypt_8(&single, block), double.encrypt(block));
        assert_eq!(decrypt_8(&single, encrypt_8(&single, block)), block);
    }

    /// GB/T 32907-2016, annex A, example 1; vector `published/sm4 block`.
    #[test]
    fn vector_sm4_block() {
        let bytes = hex!("0123456789ABCDEFFEDCBA9876543210");
        let key = sm4(&Key16::from_bytes(bytes));
        let block = hex!("681EDF34D206965E86B3E94F536E4246");
        assert_eq!(encrypt_16(&key, bytes), block);
        assert_eq!(decrypt_16(&key, block), bytes);
    }
}
