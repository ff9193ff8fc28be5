//! Sector keys and authentication codes: each card its own, from a city's master keys (`epurse.md` 8.5).

use crate::block::{Sector, Uid, join};
use crate::layout::{AuthCodeRule, KEY_B_IDS, M1Layout};
use core::fmt;
use subtle::ConstantTimeEq;
use ykt_base::hex::{self, HexError};
use ykt_crypto::{CardKey, Key16, SessionKey, Tdes};
use zeroize::Zeroize;

/// Key of a sector: no `Debug`, wiped when dropped, compared in constant time.
#[derive(Clone)]
pub struct SectorKey([u8; 6]);

impl SectorKey {
    /// Length in bytes.
    pub const LEN: usize = 6;
    /// The key of a blank chip.
    pub const TRANSPORT: SectorKey = SectorKey([0xFF; 6]);
    /// Key A of the directory sector, the same on every card in the world.
    pub const DIRECTORY_A: SectorKey = SectorKey([0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5]);

    /// The key of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 6]) -> SectorKey {
        SectorKey(bytes)
    }

    /// The key of twelve hex digits.
    ///
    /// # Errors
    /// [`HexError`] naming length or character; never the text itself.
    pub fn from_hex(text: &str) -> Result<SectorKey, HexError> {
        hex::decode(text).map(SectorKey)
    }

    /// The bytes themselves. Whoever calls this answers for where they go.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 6] {
        &self.0
    }

    /// Key A of the issue sector: UID || first two bytes of the UID. Whoever holds the card can know it.
    #[must_use]
    pub const fn issue_a(uid: Uid) -> SectorKey {
        let Uid([a, b, c, d]) = uid;
        SectorKey([a, b, c, d, a, b])
    }

    /// A sector's key: bytes 2 to 7 of the factor enciphered under the master key.
    #[must_use]
    pub fn derive(master: &Key16, factor: &[u8; 8]) -> SectorKey {
        let mut cipher = Tdes::new(master).encrypt(*factor);
        let [_, _, key @ ..] = cipher;
        cipher.zeroize();
        SectorKey(key)
    }
}

impl Drop for SectorKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PartialEq for SectorKey {
    fn eq(&self, other: &SectorKey) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SectorKey {}

/// Which of a sector's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// Key A: reads and decrements.
    A,
    /// Key B: writes and increments.
    B,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyKind::A => "key A",
            KeyKind::B => "key B",
        })
    }
}

/// Authentication code (认证码): ties the issue data to the chip they were written on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthCode(pub [u8; 4]);

impl AuthCode {
    /// The last four bytes of the input enciphered under the city's key.
    #[must_use]
    pub fn compute(key: &Key16, input: [u8; 8]) -> AuthCode {
        let [.., a, b, c, d] = Tdes::new(key).encrypt(input);
        AuthCode([a, b, c, d])
    }
}

/// What makes a card's keys: who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Number of the chip.
    pub uid: Uid,
    /// City code.
    pub city: [u8; 2],
    /// Industry or application code.
    pub industry: [u8; 2],
    /// Serial number in the city.
    pub serial: [u8; 4],
    /// Its authentication code.
    pub auth_code: AuthCode,
}

impl Identity {
    /// Factor of a sector key: UID || low two bytes of the serial || first byte of the authentication code || key id.
    #[must_use]
    pub fn key_factor(&self, key_id: u8) -> [u8; 8] {
        let [_, _, serial @ ..] = self.serial;
        join(&[&self.uid.0, &serial, &self.auth_code.0[..1], &[key_id]])
    }

    /// Card number of the city: city code || industry || serial.
    #[must_use]
    pub fn number(&self) -> ykt_base::Asn8 {
        ykt_base::Asn8(join(&[&self.city, &self.industry, &self.serial]))
    }

    /// What the authentication code is computed over.
    #[must_use]
    pub fn auth_code_input(&self, rule: AuthCodeRule) -> [u8; 8] {
        let ([_, city], [_, serial3 @ ..]) = (self.city, self.serial);
        let [_, serial2 @ ..] = serial3;
        match rule {
            AuthCodeRule::ShortCity => join(&[&self.uid.0, &[city], &serial3]),
            AuthCodeRule::WholeCity => join(&[&self.city, &self.uid.0, &serial2]),
        }
    }
}

/// A city's master keys for M1 cards, in software: for engineers, tests and small installations.
#[derive(Clone)]
pub struct M1Masters {
    /// Makes keys A.
    pub sector_a: Key16,
    /// Makes keys B.
    pub sector_b: Key16,
    /// Makes authentication codes.
    pub auth_code: Key16,
    /// Makes the TAC keys of M1 cards, diversified by the card number.
    pub tac: Key16,
}

impl M1Masters {
    /// A card's key of a sector, by the ids of the layout; the transport key where the sector has no application.
    #[must_use]
    pub fn sector_key(&self, card: &Identity, sector: Sector, kind: KeyKind, layout: &M1Layout) -> SectorKey {
        let (master, ids) = match kind {
            KeyKind::A => (&self.sector_a, layout.key_a_ids),
            KeyKind::B => (&self.sector_b, &KEY_B_IDS),
        };
        match (sector, kind, ids[sector.index()]) {
            (Sector::DIRECTORY, KeyKind::A, _) => SectorKey::DIRECTORY_A,
            (Sector::ISSUE, KeyKind::A, _) => SectorKey::issue_a(card.uid),
            (_, _, Some(id)) => SectorKey::derive(master, &card.key_factor(id)),
            (_, _, None) => SectorKey::TRANSPORT,
        }
    }

    /// The code that this card must carry.
    #[must_use]
    pub fn auth_code(&self, card: &Identity, rule: AuthCodeRule) -> AuthCode {
        AuthCode::compute(&self.auth_code, card.auth_code_input(rule))
    }

    /// The card's TAC key: diversified by its number, halves XORed.
    #[must_use]
    pub fn tac_key(&self, card: &Identity) -> SessionKey {
        CardKey::Tdes(Tdes::new(&self.tac).diversify(card.number().as_bytes())).tac_key()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use std::string::ToString;

    const CARD: Identity = Identity {
        uid: Uid(hex!("1A2B3C4D")),
        city: hex!("2144"),
        industry: hex!("0000"),
        serial: hex!("00000001"),
        auth_code: AuthCode(hex!("AC12AC34")),
    };

    #[test]
    fn vector_m1_sector1_key_a_from_uid() {
        assert_eq!(SectorKey::issue_a(CARD.uid).expose(), &hex!("1A2B3C4D1A2B"));
    }

    #[test]
    fn vector_m1_sector_key_3des() {
        let master = Key16::from_bytes(hex!("00112233445566778899AABBCCDDEEFF"));
        let factor = CARD.key_factor(2);
        assert_eq!(factor, hex!("1A2B3C4D0001AC02"));
        assert_eq!(SectorKey::derive(&master, &factor).expose(), &hex!("5CA348EE2AA5"));
    }

    #[test]
    fn inputs_of_the_authentication_code() {
        assert_eq!(CARD.auth_code_input(AuthCodeRule::ShortCity), hex!("1A2B3C4D44000001"));
        assert_eq!(CARD.auth_code_input(AuthCodeRule::WholeCity), hex!("21441A2B3C4D0001"));
        assert_eq!(CARD.number().to_string(), "2144000000000001");
    }

    /// No two sectors that a terminal writes share a key by accident, and another card has others.
    #[test]
    fn keys_differ_by_sector_kind_and_card() {
        use std::collections::BTreeSet;
        let key = |fill| Key16::from_bytes([fill; 16]);
        let masters =
            M1Masters { sector_a: key(0x11), sector_b: key(0x22), auth_code: key(0x33), tac: key(0x44) };
        let other = Identity { uid: Uid(hex!("1A2B3C4E")), ..CARD };
        let mut keys = BTreeSet::new();
        for card in [CARD, other] {
            for sector in [Sector::PURSE, Sector::RECORDS[0], Sector::PUBLIC] {
                for kind in [KeyKind::A, KeyKind::B] {
                    let key = masters.sector_key(&card, sector, kind, &M1Layout::CLAIMED);
                    keys.insert(hex::Hex(key.expose()).to_string());
                }
            }
        }
        assert_eq!(keys.len(), 12);
        let unused = Sector::new(9).unwrap();
        assert!(masters.sector_key(&CARD, unused, KeyKind::A, &M1Layout::CLAIMED) == SectorKey::TRANSPORT);
    }
}
