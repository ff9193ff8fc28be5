//! The MACs of the purse world before they are cut to four bytes (`epurse.md` 1.1, 1.5). All pad with 80 00.., also
//! at full blocks; [`crate::CardKey`] and [`crate::SessionKey`] choose among them.
//!
//! Messages come as parts that are concatenated, so that no caller needs a buffer.

use crate::block::{decrypt_8, des, encrypt_8, encrypt_16, sm4};
use crate::card_key::first_8;
use crate::key::{Key8, Key16};
use des::Des;
use sm4::Sm4;
use subtle::ConstantTimeEq;
use ykt_base::Mac4;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Whether two MACs are equal, in constant time.
#[must_use]
pub fn macs_equal(left: &Mac4, right: &Mac4) -> bool {
    left.0.ct_eq(&right.0).into()
}

/// The last block of a single-DES CBC-MAC over the padded message.
#[must_use]
pub fn cbc_mac(key: &Key8, iv: [u8; 8], parts: &[&[u8]]) -> [u8; 8] {
    let key = des(key);
    chain(|block| encrypt_8(&key, block), iv, parts)
}

/// The last block of the retail MAC (ISO 9797-1 algorithm 3): DES-CBC under the left half, then D(right), E(left).
#[must_use]
pub fn retail_mac(key: &Key16, iv: [u8; 8], parts: &[&[u8]]) -> [u8; 8] {
    let left = des(&key.left());
    let block = chain(|block| encrypt_8(&left, block), iv, parts);
    retail_end(&left, key, block)
}

/// The last block of an SM4-CBC-MAC over the padded message.
#[must_use]
pub fn sm4_mac(key: &Key16, iv: [u8; 16], parts: &[&[u8]]) -> [u8; 16] {
    let key = sm4(key);
    chain(|block| encrypt_16(&key, block), iv, parts)
}

/// What the retail MAC does to the last block.
pub(crate) fn retail_end(left: &Des, key: &Key16, block: [u8; 8]) -> [u8; 8] {
    encrypt_8(left, decrypt_8(&des(&key.right()), block))
}

pub(crate) fn leftmost<const N: usize>(block: [u8; N]) -> Mac4 {
    let mut mac = Mac4([0; 4]);
    mac.0.iter_mut().zip(block).for_each(|(byte, first)| *byte = first);
    mac
}

fn chain<const N: usize>(encrypt: impl Fn([u8; N]) -> [u8; N], iv: [u8; N], parts: &[&[u8]]) -> [u8; N] {
    let mut state = iv;
    let mut at = 0usize;
    for byte in parts.iter().copied().flatten().chain(core::iter::once(&0x80)) {
        state[at] ^= byte;
        at = at.saturating_add(1);
        if at == N {
            state = encrypt(state);
            at = 0;
        }
    }
    if at == 0 { state } else { encrypt(state) }
}

/// A MAC half made: the chained block, 16 bytes of which DES uses eight. Wiped when dropped.
#[derive(Clone)]
pub struct MacState([u8; 16]);

impl MacState {
    /// At the IV: at most 16 bytes.
    pub(crate) fn new(iv: &[u8]) -> Option<MacState> {
        let mut state = [0; 16];
        state.get_mut(..iv.len())?.copy_from_slice(iv);
        Some(MacState(state))
    }

    pub(crate) fn chain_8(&mut self, key: &Des, blocks: &[u8]) {
        let blocks = blocks.as_chunks::<8>().0;
        let state = blocks.iter().fold(self.first_8(), |state, block| encrypt_8(key, xor(state, block)));
        self.0[..8].copy_from_slice(&state);
    }

    pub(crate) fn chain_16(&mut self, key: &Sm4, blocks: &[u8]) {
        let blocks = blocks.as_chunks::<16>().0;
        self.0 = blocks.iter().fold(self.0, |state, block| encrypt_16(key, xor(state, block)));
    }

    pub(crate) const fn first_8(&self) -> [u8; 8] {
        first_8(self.0)
    }

    pub(crate) fn leftmost(&self) -> Mac4 {
        leftmost(self.0)
    }
}

impl Drop for MacState {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for MacState {}

fn xor<const N: usize>(mut state: [u8; N], block: &[u8; N]) -> [u8; N] {
    state.iter_mut().zip(block).for_each(|(byte, other)| *byte ^= other);
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn vectors_prim_mac_single_des() {
        let key = Key8::from_bytes(hex!("0123456789ABCDEF"));
        let data = hex!("0011223344556677");
        for (len, full) in [
            (0, hex!("CAEE534C523E1E79")),
            (1, hex!("933A2CCFA7E60EB0")),
            (7, hex!("953C6AA09A29341C")),
            (8, hex!("91CA697F9742232A")),
        ] {
            let block = cbc_mac(&key, [0; 8], &[&data[..len]]);
            assert_eq!(block, full, "length {len}");
            assert_eq!(leftmost(block).0, full[..4]);
        }
    }

    #[test]
    fn vectors_prim_mac_retail() {
        let key = Key16::from_bytes(hex!("11223344556677888877665544332211"));
        let iv = hex!("A1B2C3D400000000");
        let data = hex!("00112233445566778899AABBCCDDEEFF00");
        for (len, full) in
            [(0, hex!("F77CF4B63C812BB7")), (7, hex!("2E75B0699C23AE20")), (17, hex!("00478B46707A4F6B"))]
        {
            assert_eq!(retail_mac(&key, iv, &[&data[..len]]), full, "length {len}");
        }
    }

    #[test]
    fn parts_are_concatenated() {
        let key = Key8::from_bytes([0x5A; 8]);
        let data = hex!("00112233445566778899AABBCCDDEEFF00");
        for split in 0..=data.len() {
            let (left, right) = data.split_at(split);
            assert_eq!(cbc_mac(&key, [0; 8], &[left, right]), cbc_mac(&key, [0; 8], &[&data]));
        }
        assert!(macs_equal(&Mac4([1, 2, 3, 4]), &Mac4([1, 2, 3, 4])));
        assert!(!macs_equal(&Mac4([1, 2, 3, 4]), &Mac4([1, 2, 3, 5])));
    }
}
