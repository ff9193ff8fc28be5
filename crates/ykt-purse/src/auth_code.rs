//! The authentication code (安全认证码, `epurse.md` 2, 7.4): nine bytes of a construction-ministry card, which the
//! terminal carries from the card to the PSAM before a purchase; the PSAM answers 9000 when they are genuine.
//!
//! No public source says what the nine bytes are. The platform's own: version of the key || last four bytes of the
//! card number || MAC. The issuer makes the code once, under a key that every PSAM of the scheme holds (usage 06:
//! MAC, no level below it), and the card keeps it as it came, as an M1 card keeps its four. A PSAM checks the MAC and
//! remembers the card's four bytes: the purchase that follows must be one of that card, so the code of one card serves
//! no other. It proves that the scheme issued the card, and nothing about freshness; that is what MAC1 is for.

use crate::wire::{join, whole};
use ykt_base::{Asn8, Command, KeyVersion, Mac4, StatusWord};
use ykt_crypto::{CardKey, macs_equal};

/// Length of the code.
pub const CODE_LEN: usize = 9;

/// A code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthenticationCode {
    /// Version of the key, of usage [`SamUsage::AUTHENTICATION_CODE`](crate::psam::SamUsage::AUTHENTICATION_CODE).
    pub version: KeyVersion,
    /// Last four bytes of the card number.
    pub card: [u8; 4],
    /// The issuer's word.
    pub mac: Mac4,
}

impl AuthenticationCode {
    /// The code of a card, made by its issuer.
    #[must_use]
    pub fn new(key: &CardKey, version: KeyVersion, card: &Asn8) -> AuthenticationCode {
        let card = last_four(card);
        AuthenticationCode { version, card, mac: key.smac([0; 8], &[&covered(version, card)]) }
    }

    /// The code of a card whose issuer's key is elsewhere: `sign` is given what the MAC covers, and answers the
    /// secure-messaging MAC with a zero IV.
    ///
    /// # Errors
    /// Those of `sign`.
    pub fn signed<E>(
        version: KeyVersion,
        card: &Asn8,
        sign: impl FnOnce(&[u8]) -> Result<Mac4, E>,
    ) -> Result<AuthenticationCode, E> {
        let card = last_four(card);
        Ok(AuthenticationCode { version, card, mac: sign(&covered(version, card))? })
    }

    /// Whether this key made it.
    #[must_use]
    pub fn is_genuine(&self, key: &CardKey) -> bool {
        macs_equal(&key.smac([0; 8], &[&covered(self.version, self.card)]), &self.mac)
    }

    /// Whether it is of this card: what a PSAM asks before it signs a purchase of it.
    #[must_use]
    pub fn is_of(&self, card: &Asn8) -> bool {
        last_four(card) == self.card
    }

    /// Reads the nine bytes, or `None` for another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<AuthenticationCode> {
        whole(bytes, |fields| {
            let version = KeyVersion(fields.byte()?);
            Some(AuthenticationCode { version, card: fields.take()?, mac: Mac4(fields.take()?) })
        })
    }

    /// The nine bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; CODE_LEN] {
        join(&[&[self.version.0], &self.card, self.mac.as_bytes()])
    }

    /// Reads P1, P2 and data of the PSAM's command `80 CA 00 00 09`.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length.
    pub fn parse(command: &Command<'_>) -> Result<AuthenticationCode, StatusWord> {
        if (command.p1, command.p2) != (0, 0) {
            return Err(StatusWord::WRONG_P1P2);
        }
        AuthenticationCode::from_bytes(command.data).ok_or(StatusWord::WRONG_LENGTH)
    }

    /// The PSAM's command as bytes.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 14] {
        join(&[&[0x80, 0xCA, 0x00, 0x00, 0x09], &self.to_bytes()])
    }
}

/// The card's command, GET DATA: `80 CA 00 00 [09]`.
#[must_use]
pub const fn read_code() -> Command<'static> {
    Command::read(0x80, 0xCA, 0x00, 0x00, Some(9))
}

/// What the MAC covers: a signed version cannot be taken for another one's.
const fn covered(version: KeyVersion, card: [u8; 4]) -> [u8; 5] {
    let [a, b, c, d] = card;
    [version.0, a, b, c, d]
}

const fn last_four(card: &Asn8) -> [u8; 4] {
    let [.., a, b, c, d] = card.0;
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const CARD: Asn8 = Asn8(hex!("1700010170907984"));

    #[test]
    fn a_code_is_of_its_card_and_key() {
        let key = CardKey::from_hex("90E74C623C02DE7D760FF6F83FFEFC8C").unwrap();
        let code = AuthenticationCode::new(&key, KeyVersion(1), &CARD);
        let bytes = code.to_bytes();
        assert_eq!(bytes[..5], hex!("01 70907984"));
        assert!(code.is_genuine(&key) && code.is_of(&CARD));
        assert!(!code.is_of(&Asn8(hex!("1700010170907985"))));
        for bit in 0..8 * CODE_LEN {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!AuthenticationCode::from_bytes(&changed).unwrap().is_genuine(&key), "bit {bit}");
        }
        assert!(!code.is_genuine(&CardKey::from_hex("0123456789ABCDEF").unwrap()));
    }

    #[test]
    fn bytes_of_the_wire() {
        let bytes = hex!("80CA000009 01 70907984 01020304");
        let code = AuthenticationCode::parse(&Command::parse(&bytes).unwrap()).unwrap();
        assert_eq!(code.to_apdu(), bytes);
        assert_eq!(AuthenticationCode::from_bytes(&bytes[5..]), Some(code));
        let parse = |bytes: &[u8]| AuthenticationCode::parse(&Command::parse(bytes).unwrap());
        assert_eq!(parse(&hex!("80CA000008 0170907984010203")), Err(StatusWord::WRONG_LENGTH));
        assert_eq!(parse(&hex!("80CA010009 017090798401020304")), Err(StatusWord::WRONG_P1P2));
        assert_eq!(read_code().le, Some(9));
    }
}
