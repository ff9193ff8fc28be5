//! The issue sector: who the card is (block 4), its dates (block 5), its last load (block 6).

use super::Fields;
use crate::block::{Block, Uid, closed_by_xor, join, opened_by_xor};
use crate::key::{AuthCode, Identity};
use ykt_base::{Date, DateTime, Fen};

/// State of a card (启用标志).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardFlag {
    /// 01: issued, not enabled yet.
    Issued,
    /// 02: in use.
    Enabled,
    /// Anything else: stopped.
    Stopped(
        /// The byte.
        u8,
    ),
}

impl CardFlag {
    /// The flag of a byte.
    #[must_use]
    pub const fn from_code(code: u8) -> CardFlag {
        match code {
            0x01 => CardFlag::Issued,
            0x02 => CardFlag::Enabled,
            other => CardFlag::Stopped(other),
        }
    }

    /// The byte of the flag.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            CardFlag::Issued => 0x01,
            CardFlag::Enabled => 0x02,
            CardFlag::Stopped(other) => other,
        }
    }
}

/// Block 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssueData {
    /// City code.
    pub city: [u8; 2],
    /// Industry or application code.
    pub industry: [u8; 2],
    /// Serial number in the city.
    pub serial: [u8; 4],
    /// Authentication code.
    pub auth_code: AuthCode,
    /// State.
    pub flag: CardFlag,
    /// Type of the card (学生, 老人, …: the city's table).
    pub card_type: u8,
    /// Version of its keys; FF where there is only one.
    pub key_version: u8,
}

impl IssueData {
    /// Reads the block, or `None` when its XOR is wrong.
    #[must_use]
    pub fn from_block(block: &Block) -> Option<IssueData> {
        let content = opened_by_xor(block)?;
        let mut fields = Fields(&content);
        Some(IssueData {
            city: fields.take()?,
            industry: fields.take()?,
            serial: fields.take()?,
            auth_code: AuthCode(fields.take()?),
            flag: CardFlag::from_code(fields.byte()?),
            card_type: fields.byte()?,
            key_version: fields.byte()?,
        })
    }

    /// The block.
    #[must_use]
    pub fn to_block(&self) -> Block {
        closed_by_xor(&join(&[
            &self.city,
            &self.industry,
            &self.serial,
            &self.auth_code.0,
            &[self.flag.code(), self.card_type, self.key_version],
        ]))
    }

    /// The identity of the card on the chip `uid`.
    #[must_use]
    pub fn identity(&self, uid: Uid) -> Identity {
        let IssueData { city, industry, serial, auth_code, .. } = *self;
        Identity { uid, city, industry, serial, auth_code }
    }
}

/// Block 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssueDates {
    /// Day of issue.
    pub issued: Date,
    /// Last day of use.
    pub expiry: Date,
    /// First day of use.
    pub enabled: Date,
    /// Deposit on the card in fen (two bytes).
    pub deposit: u16,
    /// FF, or the holder's sex.
    pub holder: u8,
}

impl IssueDates {
    /// Reads the block, or `None` when its XOR is wrong or a date is none.
    #[must_use]
    pub fn from_block(block: &Block) -> Option<IssueDates> {
        let content = opened_by_xor(block)?;
        let mut fields = Fields(&content);
        Some(IssueDates {
            issued: Date::from_bcd(fields.take()?)?,
            expiry: Date::from_bcd(fields.take()?)?,
            enabled: Date::from_bcd(fields.take()?)?,
            deposit: u16::from_be_bytes(fields.take()?),
            holder: fields.byte()?,
        })
    }

    /// The block.
    #[must_use]
    pub fn to_block(&self) -> Block {
        closed_by_xor(&join(&[
            &self.issued.to_bcd(),
            &self.expiry.to_bcd(),
            &self.enabled.to_bcd(),
            &self.deposit.to_be_bytes(),
            &[self.holder],
        ]))
    }
}

/// Block 6: the last load. The sources name the block, not its bytes: time 7, amount 3, device 4, RFU 1, XOR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastLoad {
    /// When.
    pub at: DateTime,
    /// How much, up to 16,777,215 fen.
    pub amount: Fen,
    /// At which load machine.
    pub device: [u8; 4],
}

impl LastLoad {
    /// Reads the block, or `None` when its XOR is wrong or the card was never loaded.
    #[must_use]
    pub fn from_block(block: &Block) -> Option<LastLoad> {
        let content = opened_by_xor(block)?;
        let mut fields = Fields(&content);
        Some(LastLoad {
            at: DateTime::from_bcd(fields.take()?)?,
            amount: super::record::amount_from(fields.take()?),
            device: fields.take()?,
        })
    }

    /// The block, or `None` for an amount that does not fit.
    #[must_use]
    pub fn to_block(&self) -> Option<Block> {
        let amount = super::record::amount_bytes(self.amount)?;
        Some(closed_by_xor(&join(&[&self.at.to_bcd(), &amount, &self.device, &[0]])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn vector_m1_block_4_issue_block_1() {
        let block = hex!("2144000000000001AC12AC340201FFBE");
        let data = IssueData::from_block(&block).unwrap();
        assert_eq!((data.flag, data.card_type, data.serial), (CardFlag::Enabled, 1, [0, 0, 0, 1]));
        assert_eq!(data.to_block(), block);
        let mut bad = block;
        bad[12] = 1;
        assert_eq!(IssueData::from_block(&bad), None);
        assert!((0..=255).all(|code| CardFlag::from_code(code).code() == code));
    }

    #[test]
    fn dates_and_last_load() {
        let day = |text: &str| text.parse().unwrap();
        let dates = IssueDates {
            issued: day("20260101"),
            expiry: day("20361231"),
            enabled: day("20260102"),
            deposit: 2_000,
            holder: 0xFF,
        };
        assert_eq!(dates.to_block(), hex!("202601012036123120260102 07D0FF 1E"));
        assert_eq!(IssueDates::from_block(&dates.to_block()), Some(dates));
        assert_eq!(IssueDates::from_block(&[0; 16]), None, "month 0");
        let at = "20261122080910".parse().unwrap();
        let load = LastLoad { at, amount: Fen::new(5_000), device: [0, 0x11, 0x22, 0x33] };
        let block = load.to_block().unwrap();
        assert_eq!(block[..15], hex!("20261122080910 001388 00112233 00"));
        assert_eq!(LastLoad::from_block(&block), Some(load));
        assert_eq!(LastLoad { amount: Fen::new(1 << 24), ..load }.to_block(), None);
    }
}
