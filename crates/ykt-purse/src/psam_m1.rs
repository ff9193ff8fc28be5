//! Keys of M1 cards from a PSAM (`epurse.md` 7.4, 8.5): a terminal says which card lies on its reader, and gets the keys A
//! of three sectors. The key above them never comes out.

use crate::wire::{join, whole};
use ykt_base::{Command, KeyVersion, StatusWord};
use ykt_crypto::CardKey;

/// Keys in an answer.
pub const KEYS: usize = 3;
/// Length of the answer: three keys of six bytes.
pub const ANSWER_LEN: usize = 6 * KEYS;

/// DERIVE M1 KEYS: `80 FC 01 version 0F`, for the key of usage
/// [`SamUsage::M1_SECTORS`](crate::psam::SamUsage::M1_SECTORS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeriveM1Keys {
    /// Version of the key above. The published command has 01.
    pub version: KeyVersion,
    /// City code.
    pub city: [u8; 2],
    /// Number of the chip.
    pub uid: [u8; 4],
    /// Low two bytes of the card's serial number.
    pub serial: [u8; 2],
    /// The card's authentication code.
    pub auth_code: [u8; 4],
    /// Ids of the keys asked for: applications of the directory. The published command has 02 03 07: purse, records,
    /// monthly pass.
    pub key_ids: [u8; KEYS],
}

impl DeriveM1Keys {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 FC.
    ///
    /// # Errors
    /// 6A86 for P1, 6700 for the length.
    pub fn parse(command: &Command<'_>) -> Result<DeriveM1Keys, StatusWord> {
        if command.p1 != 0x01 {
            return Err(StatusWord::WRONG_P1P2);
        }
        let version = KeyVersion(command.p2);
        let derive = whole(command.data, |fields| {
            let (city, uid, serial) = (fields.take()?, fields.take()?, fields.take()?);
            let (auth_code, key_ids) = (fields.take()?, fields.take()?);
            Some(DeriveM1Keys { version, city, uid, serial, auth_code, key_ids })
        });
        derive.ok_or(StatusWord::WRONG_LENGTH)
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 21] {
        join(&[
            &[0x80, 0xFC, 0x01, self.version.0, 0x0F],
            &self.city,
            &self.uid,
            &self.serial,
            &self.auth_code,
            &self.key_ids,
            &[18],
        ])
    }

    /// The keys, one after the other: each the last six bytes of UID || serial || first byte of the code || key id
    /// under the key above.
    #[must_use]
    pub fn keys(&self, above: &CardKey) -> [u8; ANSWER_LEN] {
        let [code, ..] = self.auth_code;
        let [first, second, third] = self.key_ids.map(|id| {
            let [_, _, key @ ..] = above.authenticate(join(&[&self.uid, &self.serial, &[code, id]]));
            key
        });
        join(&[&first, &second, &third])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    /// Vector `m1/sector key 3DES`.
    #[test]
    fn vector_sector_key() {
        let derive = DeriveM1Keys {
            version: KeyVersion(1),
            city: hex!("2144"),
            uid: hex!("1A2B3C4D"),
            serial: hex!("0001"),
            auth_code: hex!("AC000000"),
            key_ids: hex!("020307"),
        };
        let apdu = hex!("80FC01010F 2144 1A2B3C4D 0001 AC000000 020307 12");
        assert_eq!(derive.to_apdu(), apdu);
        assert_eq!(DeriveM1Keys::parse(&Command::parse(&apdu).unwrap()), Ok(derive));
        let above = CardKey::from_hex("00112233445566778899AABBCCDDEEFF").unwrap();
        assert_eq!(derive.keys(&above)[..6], hex!("5CA348EE2AA5"));
        let parse = |bytes: &[u8]| DeriveM1Keys::parse(&Command::parse(bytes).unwrap());
        assert_eq!(parse(&hex!("80FC020102 2144")), Err(StatusWord::WRONG_P1P2));
        assert_eq!(parse(&hex!("80FC010102 2144")), Err(StatusWord::WRONG_LENGTH));
    }
}
