//! Blocking (锁定, `epurse.md` 2): commands of the issuer that carry nothing but a MAC under the maintenance key, and
//! are built with [`plain_with_mac`](ykt_crypto::sm::plain_with_mac).

use ykt_base::StatusWord;

/// How long APPLICATION BLOCK (应用锁定) blocks: P2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockTerm {
    /// 00: until APPLICATION UNBLOCK (临时).
    Temporary,
    /// 01: for good (永久).
    Permanent,
}

impl BlockTerm {
    /// The term of P2.
    ///
    /// # Errors
    /// 6A86 for another byte than 00 and 01.
    pub const fn from_p2(p2: u8) -> Result<BlockTerm, StatusWord> {
        match p2 {
            0x00 => Ok(BlockTerm::Temporary),
            0x01 => Ok(BlockTerm::Permanent),
            _ => Err(StatusWord::WRONG_P1P2),
        }
    }

    /// CLA INS P1 P2 of APPLICATION BLOCK.
    #[must_use]
    pub const fn header(self) -> [u8; 4] {
        let p2 = match self {
            BlockTerm::Temporary => 0x00,
            BlockTerm::Permanent => 0x01,
        };
        [0x84, 0x1E, 0x00, p2]
    }
}

/// CLA INS P1 P2 of APPLICATION UNBLOCK (应用解锁).
pub const APPLICATION_UNBLOCK: [u8; 4] = [0x84, 0x18, 0x00, 0x00];
/// CLA INS P1 P2 of CARD BLOCK (卡锁定).
pub const CARD_BLOCK: [u8; 4] = [0x84, 0x16, 0x00, 0x00];

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use ykt_crypto::CardKey;
    use ykt_crypto::sm::{iv_from_challenge4, plain_with_mac};

    /// Vectors `sm/APPLICATION BLOCK temporary` and `sm/CARD BLOCK`.
    #[test]
    fn vectors_block() {
        let key = CardKey::from_hex("90E74C623C02DE7D760FF6F83FFEFC8C").unwrap();
        let iv = iv_from_challenge4(hex!("A1B2C3D4"));
        for (header, want) in [
            (BlockTerm::Temporary.header(), hex!("841E00000473C9504F")),
            (CARD_BLOCK, hex!("8416000004A792CC36")),
        ] {
            assert_eq!(plain_with_mac(&key, iv, header, &[]).unwrap().as_bytes(), want);
        }
        assert_eq!(BlockTerm::from_p2(BlockTerm::Permanent.header()[3]), Ok(BlockTerm::Permanent));
        assert_eq!(BlockTerm::from_p2(2), Err(StatusWord::WRONG_P1P2));
    }
}
