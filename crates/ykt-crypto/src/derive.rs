//! Keys made from keys: diversification, session keys, TAC keys, check values (`epurse.md` 1.1 to 1.3).

use crate::block::{BlockKey, Tdes};
use crate::key::{Key8, Key16};

/// One level of diversification (密钥分散): DIV(MK, X) = TDES(MK, X) || TDES(MK, NOT X).
#[must_use]
pub fn diversify(master: &Key16, factor: &[u8; 8]) -> Key16 {
    Tdes::new(master).diversify(factor)
}

/// Session key (过程密钥): the input enciphered under the card's transaction key; single DES under an 8-byte key.
/// What the input is, each transaction says (`epurse.md` 1.2).
#[must_use]
pub fn session_key<K: BlockKey + ?Sized>(key: &K, input: [u8; 8]) -> Key8 {
    Key8::from_bytes(key.encrypt_block(input))
}

/// TAC key: left half XOR right half of the card's TAC key DTK.
#[must_use]
pub fn tac_key(dtk: &Key16) -> Key8 {
    let [left, right] = [dtk.left(), dtk.right()];
    let mut bytes = *left.expose();
    bytes.iter_mut().zip(right.expose()).for_each(|(byte, other)| *byte ^= other);
    Key8::from_bytes(bytes)
}

/// Key check value (KCV): the first three bytes of a zero block enciphered under the key.
#[must_use]
pub fn kcv(key: &Key16) -> [u8; 3] {
    let [a, b, c, ..] = key.encrypt_block([0; 8]);
    [a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn vector_diversify_3_level_dtk() {
        let root = Key16::from_bytes(hex!("606162636465666768696A6B6C6D6E6F"));
        let province = diversify(&root, &hex!("3100FFFFFFFFFFFF"));
        assert_eq!(province.expose(), &hex!("340E8FCDEED360DA8ADA3302D26200A1"));
        let city = diversify(&province, &hex!("2144FF0000000000"));
        assert_eq!(city.expose(), &hex!("747A3233C91B59C5E0281460A2BC3D23"));
        let card = diversify(&city, &hex!("1700010170907984"));
        assert_eq!(card.expose(), &hex!("E3FB4F1E45AFB9CF6ACC9C2B54448231"));
    }

    #[test]
    fn vector_purchase_session_and_tac_key() {
        let dpk = Key16::from_bytes(hex!("FBB4B98851865C96144C89BF8767E819"));
        assert_eq!(session_key(&dpk, hex!("5A5B5C5D00000011")).expose(), &hex!("F3CCCF76714AE87F"));
        let dtk = Key16::from_bytes(hex!("3E70EAFBF0AB93BE2550775592D5D927"));
        assert_eq!(tac_key(&dtk).expose(), &hex!("1B209DAE627E4A99"));
    }

    /// The check value of the all-zero key is a value every HSM manual prints.
    #[test]
    fn known_check_value() {
        assert_eq!(kcv(&Key16::from_bytes([0; 16])), hex!("8CA64D"));
    }
}
