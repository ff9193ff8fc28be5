//! One block of DES or two-key 3DES (`epurse.md` 1.1), and the trait under which a key of either length works.

use crate::key::{Key8, Key16};
use crate::mac;
use cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use des::{Des, TdesEde2};
use ykt_base::Mac4;

/// A key that enciphers blocks of eight bytes: single DES for [`Key8`], 3DES for [`Key16`].
///
/// Card systems let one command carry either length; what is computed follows the key (`epurse.md` 1.1, 1.2).
pub trait BlockKey {
    /// Enciphers one block.
    fn encrypt_block(&self, block: [u8; 8]) -> [u8; 8];

    /// Deciphers one block.
    fn decrypt_block(&self, block: [u8; 8]) -> [u8; 8];

    /// Secure-messaging MAC (安全报文 MAC) before truncation, over the concatenated `parts` with `iv`.
    fn smac_block(&self, iv: [u8; 8], parts: &[&[u8]]) -> [u8; 8];

    /// Secure-messaging MAC: the leftmost four bytes of [`BlockKey::smac_block`].
    fn smac(&self, iv: [u8; 8], parts: &[&[u8]]) -> Mac4 {
        mac::leftmost(self.smac_block(iv, parts))
    }
}

impl BlockKey for Key8 {
    fn encrypt_block(&self, block: [u8; 8]) -> [u8; 8] {
        des_encrypt_block(self, block)
    }

    fn decrypt_block(&self, block: [u8; 8]) -> [u8; 8] {
        des_decrypt_block(self, block)
    }

    fn smac_block(&self, iv: [u8; 8], parts: &[&[u8]]) -> [u8; 8] {
        mac::cbc_mac(self, iv, parts)
    }
}

impl BlockKey for Key16 {
    fn encrypt_block(&self, block: [u8; 8]) -> [u8; 8] {
        tdes_encrypt_block(self, block)
    }

    fn decrypt_block(&self, block: [u8; 8]) -> [u8; 8] {
        tdes_decrypt_block(self, block)
    }

    fn smac_block(&self, iv: [u8; 8], parts: &[&[u8]]) -> [u8; 8] {
        mac::retail_mac(self, iv, parts)
    }
}

pub(crate) fn des(key: &Key8) -> Des {
    Des::new(key.expose().into())
}

pub(crate) fn encrypt_with(
    cipher: &impl BlockCipherEncrypt<BlockSize = cipher::consts::U8>,
    block: [u8; 8],
) -> [u8; 8] {
    let mut block = block.into();
    cipher.encrypt_block(&mut block);
    block.into()
}

pub(crate) fn decrypt_with(
    cipher: &impl BlockCipherDecrypt<BlockSize = cipher::consts::U8>,
    block: [u8; 8],
) -> [u8; 8] {
    let mut block = block.into();
    cipher.decrypt_block(&mut block);
    block.into()
}

/// Enciphers one block with single DES.
#[must_use]
pub fn des_encrypt_block(key: &Key8, block: [u8; 8]) -> [u8; 8] {
    encrypt_with(&des(key), block)
}

/// Deciphers one block with single DES.
#[must_use]
pub fn des_decrypt_block(key: &Key8, block: [u8; 8]) -> [u8; 8] {
    decrypt_with(&des(key), block)
}

/// TDES(K, B) = E(KL, D(KR, E(KL, B))).
#[must_use]
pub fn tdes_encrypt_block(key: &Key16, block: [u8; 8]) -> [u8; 8] {
    Tdes::new(key).encrypt(block)
}

/// The inverse of [`tdes_encrypt_block`].
#[must_use]
pub fn tdes_decrypt_block(key: &Key16, block: [u8; 8]) -> [u8; 8] {
    Tdes::new(key).decrypt(block)
}

/// A 3DES key with its round keys made: for masses of diversifications under one master key.
/// The round keys are wiped when it is dropped.
#[derive(Clone)]
pub struct Tdes(TdesEde2);

impl Tdes {
    /// Makes the round keys of `key`.
    #[must_use]
    pub fn new(key: &Key16) -> Tdes {
        Tdes(TdesEde2::new(key.expose().into()))
    }

    /// Enciphers one block.
    #[must_use]
    pub fn encrypt(&self, block: [u8; 8]) -> [u8; 8] {
        encrypt_with(&self.0, block)
    }

    /// Deciphers one block.
    #[must_use]
    pub fn decrypt(&self, block: [u8; 8]) -> [u8; 8] {
        decrypt_with(&self.0, block)
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
        let key = Key16::from_bytes(hex!("11223344556677888877665544332211"));
        let block = hex!("0123456789ABCDEF");
        assert_eq!(tdes_encrypt_block(&key, block), hex!("F9C2452F0F4EFC09"));
        assert_eq!(tdes_decrypt_block(&key, block), hex!("4419A524A409F873"));
    }

    /// With equal halves 3DES is single DES.
    #[test]
    fn equal_halves_are_single_des() {
        let half = Key8::from_bytes(hex!("3F013F013F013F01"));
        let key = Key16::from_halves(&half, &half);
        let block = hex!("F9CABA9100008000");
        assert_eq!(des_encrypt_block(&half, block), tdes_encrypt_block(&key, block));
        assert_eq!(des_decrypt_block(&half, des_encrypt_block(&half, block)), block);
    }
}
