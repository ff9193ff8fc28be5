//! DELIVERY KEY and CIPHER DATA of a PSAM (`epurse.md` 7.4): it derives a card's key, keeps it, and enciphers or MACs
//! for whoever may not have it: TACs to check, MACs of issuing commands, cryptograms.
//!
//! A PSAM pads nothing: whole blocks come, padded by the caller ([`mac_blocks`]). The MAC follows the delivered key:
//! CBC-MAC under one of 8 bytes (type 4, whose halves are XORed), retail MAC under 3DES, blocks of 16 under SM4.

use crate::psam::{CardFactors, SamUsage};
use ykt_base::{Command, KeyVersion, StatusWord};
use ykt_crypto::CardKey;
use ykt_crypto::sm::{Bytes, CommandBytes};

/// Most bytes CIPHER DATA takes at once.
pub const DATA_LEN_MAX: usize = 0x30;
/// Every block is made of these.
const BLOCK_LEN_MIN: usize = 8;

/// DELIVERY KEY (密钥分散): `80 1A usage version Lc factors`, card first. A key without levels below it takes no
/// factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliverKey {
    /// Usage of the PSAM's key; it states the number of levels.
    pub usage: SamUsage,
    /// Its version.
    pub version: KeyVersion,
    /// The card's factors.
    pub factors: Option<CardFactors>,
}

impl DeliverKey {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 1A.
    ///
    /// # Errors
    /// 6A86 for a usage that is none, 6700 when there are not as many factors as its levels.
    pub fn parse(command: &Command<'_>) -> Result<DeliverKey, StatusWord> {
        let usage = SamUsage::from_code(command.p1).ok_or(StatusWord::WRONG_P1P2)?;
        let factors = match command.data {
            [] => None,
            factors => Some(CardFactors::from_bytes(factors).ok_or(StatusWord::WRONG_LENGTH)?),
        };
        let levels = factors.map_or(0, |factors| factors.levels());
        if levels != usize::from(usage.levels()) {
            return Err(StatusWord::WRONG_LENGTH);
        }
        Ok(DeliverKey { usage, version: KeyVersion(command.p2), factors })
    }

    /// The command as bytes.
    #[must_use]
    pub fn to_apdu(&self) -> CommandBytes {
        let factors = self.factors.map(|factors| factors.to_bytes()).unwrap_or_default();
        let lc = u8::try_from(factors.len()).unwrap_or(u8::MAX);
        let head = [0x80, 0x1A, self.usage.code(), self.version.0, lc];
        let head = if factors.is_empty() { &head[..4] } else { &head };
        CommandBytes::from_parts(&[head, &factors]).unwrap_or_default()
    }
}

/// What CIPHER DATA does with its blocks: P1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CipherMode {
    /// 00: encipher each block (the last ones).
    Encipher,
    /// 02: encipher each block; more follow. Blocks do not depend on each other, so it is the same.
    EncipherMore,
    /// 05: MAC of everything; the first block is the IV.
    Mac,
    /// 07: begin a MAC; the first block is the IV.
    MacFirst,
    /// 03: go on with it.
    MacNext,
    /// 01: end it.
    MacLast,
}

impl CipherMode {
    const ALL: [CipherMode; 6] = [
        CipherMode::Encipher,
        CipherMode::EncipherMore,
        CipherMode::Mac,
        CipherMode::MacFirst,
        CipherMode::MacNext,
        CipherMode::MacLast,
    ];

    /// The byte of the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            CipherMode::Encipher => 0x00,
            CipherMode::EncipherMore => 0x02,
            CipherMode::Mac => 0x05,
            CipherMode::MacFirst => 0x07,
            CipherMode::MacNext => 0x03,
            CipherMode::MacLast => 0x01,
        }
    }
}

/// CIPHER DATA (数据加密): `80 FA mode 00`, whole blocks, at most [`DATA_LEN_MAX`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CipherData<'a> {
    /// What to do.
    pub mode: CipherMode,
    /// The blocks.
    pub data: &'a [u8],
}

impl<'a> CipherData<'a> {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 FA.
    ///
    /// # Errors
    /// 6A86 for another mode, 6700 for no blocks, parts of blocks, or more than 30h bytes.
    pub fn parse(command: &Command<'a>) -> Result<CipherData<'a>, StatusWord> {
        let mode = CipherMode::ALL.into_iter().find(|mode| (mode.code(), 0x00) == (command.p1, command.p2));
        let mode = mode.ok_or(StatusWord::WRONG_P1P2)?;
        let data = command.data;
        if data.is_empty() || !data.len().is_multiple_of(BLOCK_LEN_MIN) || data.len() > DATA_LEN_MAX {
            return Err(StatusWord::WRONG_LENGTH);
        }
        Ok(CipherData { mode, data })
    }

    /// The command. Deployed terminals state Le when they encipher, and none for a MAC.
    #[must_use]
    pub fn to_command(&self) -> Command<'a> {
        let le = match self.mode {
            CipherMode::Encipher | CipherMode::EncipherMore => u16::try_from(self.data.len()).ok(),
            CipherMode::Mac | CipherMode::MacFirst | CipherMode::MacNext | CipherMode::MacLast => None,
        };
        Command::write(0x80, 0xFA, self.mode.code(), 0x00, self.data, le)
    }

    /// Length of the answer.
    #[must_use]
    pub const fn answer_len(&self) -> usize {
        match self.mode {
            CipherMode::Encipher | CipherMode::EncipherMore => self.data.len(),
            CipherMode::Mac | CipherMode::MacLast => 4,
            CipherMode::MacFirst | CipherMode::MacNext => 0,
        }
    }
}

/// The data of mode 05: IV || PAD(`parts`), the IV being a challenge of at most 8 bytes filled up with zeros.
/// `delivered` states the length of a block. `None` when they are longer than one command takes.
#[must_use]
pub fn mac_blocks(delivered: &CardKey, challenge: &[u8], parts: &[&[u8]]) -> Option<Bytes<DATA_LEN_MAX>> {
    let block = delivered.block_len();
    let fill = |bytes: &mut Bytes<DATA_LEN_MAX>| -> Option<()> {
        while !bytes.len().is_multiple_of(block) {
            bytes.push(&[0])?;
        }
        Some(())
    };
    let mut bytes = match challenge {
        [] => Bytes::from_parts(&[&[0]])?,
        challenge if challenge.len() <= 8 => Bytes::from_parts(&[challenge])?,
        _ => return None,
    };
    fill(&mut bytes)?;
    parts.iter().try_for_each(|part| bytes.push(part))?;
    bytes.push(&[0x80])?;
    fill(&mut bytes)?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use std::vec::Vec;
    use ykt_base::apdu::COMMAND_LEN_MAX;
    use ykt_base::{Asn8, IssuerFactor};

    fn factors() -> CardFactors {
        CardFactors::two_levels(IssuerFactor(hex!("01011000FFFFFFFF")), Asn8(hex!("1700010170907984")))
    }

    fn deliver(usage: u8, factors: CardFactors, want: &[u8]) {
        let usage = SamUsage::from_code(usage).unwrap();
        let deliver = DeliverKey { usage, version: KeyVersion(0), factors: Some(factors) };
        assert_eq!(deliver.to_apdu().as_bytes(), want);
        assert_eq!(DeliverKey::parse(&Command::parse(want).unwrap()), Ok(deliver));
    }

    fn mac(key: &CardKey, data: &[u8]) -> [u8; 4] {
        let (iv, blocks) = data.split_at(key.block_len());
        let mut state = key.begin_mac(iv).unwrap();
        key.continue_mac(&mut state, blocks);
        key.end_mac(&state).0
    }

    /// Vectors `psam/801A + 80FA …`.
    #[test]
    fn vectors_psam() {
        deliver(0x44, factors(), &hex!("801A440010170001017090798401011000FFFFFFFF"));
        let root = CardKey::from_hex("606162636465666768696A6B6C6D6E6F").unwrap();
        let key: CardKey = factors().derive(&root).tac_key().into();
        let data = mac_blocks(&key, &[], &[&hex!("00000096063604866000020000001120240131123456")]).unwrap();
        let command = CipherData { mode: CipherMode::Mac, data: &data };
        assert_eq!(
            command.to_command().encode(&mut [0; COMMAND_LEN_MAX]),
            hex!("80FA0500200000000000000000000000960636048660000200000011202401311234568000")
        );
        assert_eq!(mac(&key, &data), hex!("2C8978F0"));

        let root = CardKey::from_hex("B0B1B2B3B4B5B6B7B8B9BABBBCBDBEBF").unwrap();
        let key = factors().derive(&root);
        let data = mac_blocks(&key, &hex!("A1B2C3D4"), &[&hex!("841E000004")]).unwrap();
        assert_eq!(data.as_bytes(), hex!("A1B2C3D400000000841E000004800000"));
        assert_eq!(mac(&key, &data), hex!("73C9504F"));

        let one = CardFactors::one_level(factors().card());
        deliver(0x27, one, &hex!("801A2700081700010170907984"));
        let key = one.derive(&CardKey::from_hex("E0E1E2E3E4E5E6E7E8E9EAEBECEDEEEF").unwrap());
        let mut block = hex!("A1B2C3D4E5F60718");
        let command = CipherData { mode: CipherMode::Encipher, data: &block };
        let apdu = hex!("80FA000008A1B2C3D4E5F6071808");
        assert_eq!(command.to_command().encode(&mut [0; COMMAND_LEN_MAX]), apdu);
        assert_eq!(CipherData::parse(&Command::parse(&apdu).unwrap()), Ok(command));
        key.encrypt_blocks(&mut block);
        assert_eq!(block, hex!("DB1174E5527C9EF3"));
    }

    /// All 65536 pairs of P1 and P2, all lengths.
    #[test]
    fn modes_and_lengths_are_closed() {
        let data = [7; 256];
        let parse = |p1, p2, len| CipherData::parse(&Command::write(0x80, 0xFA, p1, p2, &data[..len], None));
        let mut modes = Vec::new();
        for [p1, p2] in (0..=u16::MAX).map(u16::to_be_bytes) {
            match parse(p1, p2, 8) {
                Ok(CipherData { mode, .. }) => modes.push((mode, mode.code())),
                Err(sw) => assert_eq!(sw, StatusWord::WRONG_P1P2),
            }
        }
        assert_eq!(modes.len(), CipherMode::ALL.len());
        for len in 0..=255 {
            let allowed = (1..=6).contains(&(len / 8)) && len % 8 == 0;
            assert_eq!(parse(0x05, 0x00, len).is_ok(), allowed, "{len}");
        }
        let deliver = |data| DeliverKey::parse(&Command::write(0x80, 0x1A, 0x22, 0, data, None));
        assert_eq!(deliver(&[1; 16]), Err(StatusWord::WRONG_LENGTH));
        assert!(deliver(&[1; 8]).is_ok());
        let none = DeliverKey { usage: SamUsage::MAINTENANCE, version: KeyVersion(1), factors: None };
        assert_eq!(none.to_apdu().as_bytes(), hex!("801A0101"));
        assert_eq!(DeliverKey::parse(&Command::parse(&none.to_apdu()).unwrap()), Ok(none));
        let unknown = Command::write(0x80, 0x1A, 0x1F, 0, &[1; 8], None);
        assert_eq!(DeliverKey::parse(&unknown), Err(StatusWord::WRONG_P1P2));
    }

    #[test]
    fn what_is_too_long_for_one_command_is_refused() {
        let key = CardKey::from_hex("0123456789ABCDEF").unwrap();
        assert_eq!(mac_blocks(&key, &[], &[&[1; 39]]).unwrap().len(), DATA_LEN_MAX);
        assert!(mac_blocks(&key, &[], &[&[1; 40]]).is_none());
        assert!(mac_blocks(&key, &[1; 9], &[&[1; 8]]).is_none());
    }
}
