//! The two MACs of the purse world (`epurse.md` 1.1). Both always pad with 80 00.., also at full blocks.
//!
//! Messages come as parts that are concatenated, so that no caller needs a buffer.

use crate::block::{decrypt_with, des, encrypt_with};
use crate::key::{Key8, Key16};
use des::Des;
use subtle::ConstantTimeEq;
use ykt_base::Mac4;

/// Transaction MAC (交易 MAC): single-DES CBC-MAC with a zero IV, leftmost four bytes.
#[must_use]
pub fn tmac(key: &Key8, parts: &[&[u8]]) -> Mac4 {
    leftmost(cbc_mac(key, [0; 8], parts))
}

/// Secure-messaging MAC (安全报文 MAC) under an 8-byte key: single-DES CBC-MAC, leftmost four bytes.
#[must_use]
pub fn smac8(key: &Key8, iv: [u8; 8], parts: &[&[u8]]) -> Mac4 {
    leftmost(cbc_mac(key, iv, parts))
}

/// Secure-messaging MAC (安全报文 MAC) under a 16-byte key: the retail MAC (ISO 9797-1 algorithm 3), leftmost
/// four bytes.
#[must_use]
pub fn smac16(key: &Key16, iv: [u8; 8], parts: &[&[u8]]) -> Mac4 {
    leftmost(retail_mac(key, iv, parts))
}

/// Whether two MACs are equal, in constant time.
#[must_use]
pub fn macs_equal(left: &Mac4, right: &Mac4) -> bool {
    left.0.ct_eq(&right.0).into()
}

/// The whole last block of a single-DES CBC-MAC over the padded message.
#[must_use]
pub fn cbc_mac(key: &Key8, iv: [u8; 8], parts: &[&[u8]]) -> [u8; 8] {
    chain(&des(key), iv, parts)
}

/// The whole last block of the retail MAC: DES-CBC under the left half, then D(right), E(left).
#[must_use]
pub fn retail_mac(key: &Key16, iv: [u8; 8], parts: &[&[u8]]) -> [u8; 8] {
    let left = des(&key.left());
    let block = chain(&left, iv, parts);
    encrypt_with(&left, decrypt_with(&des(&key.right()), block))
}

pub(crate) fn leftmost(block: [u8; 8]) -> Mac4 {
    let [a, b, c, d, ..] = block;
    Mac4([a, b, c, d])
}

fn chain(cipher: &Des, iv: [u8; 8], parts: &[&[u8]]) -> [u8; 8] {
    let mut state = iv;
    let mut at = 0usize;
    for byte in parts.iter().copied().flatten().chain(core::iter::once(&0x80)) {
        state[at] ^= byte;
        at = at.saturating_add(1);
        if at == state.len() {
            state = encrypt_with(cipher, state);
            at = 0;
        }
    }
    if at == 0 { state } else { encrypt_with(cipher, state) }
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
            assert_eq!(cbc_mac(&key, [0; 8], &[&data[..len]]), full, "length {len}");
            assert_eq!(tmac(&key, &[&data[..len]]).0, full[..4]);
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
            assert_eq!(tmac(&key, &[left, right]), tmac(&key, &[&data]));
        }
        assert!(macs_equal(&Mac4([1, 2, 3, 4]), &Mac4([1, 2, 3, 4])));
        assert!(!macs_equal(&Mac4([1, 2, 3, 4]), &Mac4([1, 2, 3, 5])));
    }
}
