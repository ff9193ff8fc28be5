//! Files a terminal reads: the card's public application data (EF 0015) and the PSAM's own files.
//!
//! The card's layout is the construction ministry's, in its first 30 bytes (`epurse.md` 6.4, profile
//! `city-cpu`); PSAM files follow `epurse.md` 7.1.

use crate::wire::{Reader, join};
use ykt_base::{Asn8, Date, IssuerFactor, KeyIndex, PsamSerial};

/// Short file id of the public application data.
pub const PUBLIC_DATA_SFI: u8 = 0x15;
/// Length of the public application data in the profile `city-cpu`.
pub const PUBLIC_DATA_LEN: usize = 30;
/// Short file id of the PSAM's terminal id, in its MF.
pub const TERMINAL_ID_SFI: u8 = 0x16;
/// Short file id of a user card's authentication code (安全认证码), which GET DATA answers.
pub const AUTHENTICATION_CODE_SFI: u8 = 0x09;
/// Short file id of the PSAM's serial number, in its MF.
pub const SAM_SERIAL_SFI: u8 = 0x15;
/// Short file id of the PSAM's application data, in its ADF.
pub const SAM_APPLICATION_SFI: u8 = 0x17;
/// Short file id of the PSAM's terminal sequence, in its ADF.
pub const SAM_SEQUENCE_SFI: u8 = 0x18;
/// File id of the PSAM's application.
pub const SAM_APPLICATION_FID: [u8; 2] = [0xDF, 0x01];
/// Application name (AID) of the city card (住建部).
pub const CITY_AID: [u8; 9] = [0xA0, 0x00, 0x00, 0x00, 0x03, 0x86, 0x98, 0x07, 0x01];
/// File id of the city card's application.
pub const CITY_FID: [u8; 2] = [0x10, 0x01];

/// Factor of the city level: city code || FF || 00×5 (`epurse.md` 0).
#[must_use]
pub const fn city_factor(city_code: [u8; 2]) -> IssuerFactor {
    let [high, low] = city_code;
    IssuerFactor([high, low, 0xFF, 0, 0, 0, 0, 0])
}

/// Public application data (公共应用信息), EF 0015 of a city card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicData {
    /// Issuer code (发卡方代码).
    pub issuer_code: [u8; 2],
    /// City code (城市代码).
    pub city_code: [u8; 2],
    /// Industry code (行业代码).
    pub industry_code: [u8; 2],
    /// Reserved; deployed cards keep the card class here.
    pub reserved_class: [u8; 2],
    /// Enable flag (启用标识): 01 is enabled.
    pub enable_flag: u8,
    /// Version of the application.
    pub version: u8,
    /// Interoperability flag (互通标识).
    pub interoperability: [u8; 2],
    /// Card number.
    pub asn: Asn8,
    /// First day of use.
    pub start: Date,
    /// Last day of use.
    pub expiry: Date,
    /// Reserved.
    pub reserved: [u8; 2],
}

impl PublicData {
    /// The enable flag of a card in use.
    pub const ENABLED: u8 = 0x01;

    /// Reads the first 30 bytes of the file; what other layouts append is left alone. `None` when there are fewer
    /// or a date is none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<PublicData> {
        let mut fields = Reader(bytes);
        Some(PublicData {
            issuer_code: fields.take()?,
            city_code: fields.take()?,
            industry_code: fields.take()?,
            reserved_class: fields.take()?,
            enable_flag: fields.byte()?,
            version: fields.byte()?,
            interoperability: fields.take()?,
            asn: Asn8(fields.take()?),
            start: Date::from_bcd(fields.take()?)?,
            expiry: Date::from_bcd(fields.take()?)?,
            reserved: fields.take()?,
        })
    }

    /// The 30 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PUBLIC_DATA_LEN] {
        join(&[
            &self.issuer_code,
            &self.city_code,
            &self.industry_code,
            &self.reserved_class,
            &[self.enable_flag, self.version],
            &self.interoperability,
            self.asn.as_bytes(),
            &self.start.to_bcd(),
            &self.expiry.to_bcd(),
            &self.reserved,
        ])
    }

    /// Factor of the level above the card.
    #[must_use]
    pub const fn city_factor(&self) -> IssuerFactor {
        city_factor(self.city_code)
    }

    /// Whether the card may be used on `day`: enabled, started and not expired.
    #[must_use]
    pub fn usable_on(&self, day: Date) -> bool {
        self.enable_flag == PublicData::ENABLED && (self.start..=self.expiry).contains(&day)
    }
}

/// Length of the PSAM's card data (MF/0015).
pub const SAM_CARD_DATA_LEN: usize = 14;
/// Length of the PSAM's application data (ADF/0017).
pub const SAM_APPLICATION_DATA_LEN: usize = 25;

/// A PSAM's own data, MF/0015 (14 bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamCardData {
    /// Serial number, the factor of its own control keys (last eight bytes).
    pub serial: PsamSerial,
    /// Version.
    pub version: u8,
    /// Type of card or key.
    pub card_type: u8,
    /// Version of the command set.
    pub command_set: u8,
    /// Reserved.
    pub reserved: u8,
}

impl SamCardData {
    /// Reads the 14 bytes, or `None` for fewer.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<SamCardData> {
        let mut fields = Reader(bytes);
        Some(SamCardData {
            serial: PsamSerial(fields.take()?),
            version: fields.byte()?,
            card_type: fields.byte()?,
            command_set: fields.byte()?,
            reserved: fields.byte()?,
        })
    }

    /// The 14 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SAM_CARD_DATA_LEN] {
        join(&[self.serial.as_bytes(), &[self.version, self.card_type, self.command_set, self.reserved]])
    }
}

/// A PSAM's application data, ADF/0017 (25 bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamApplicationData {
    /// Index of the purchase key to name in INITIALIZE FOR PURCHASE.
    pub key_index: KeyIndex,
    /// Issuer or application (发卡方).
    pub issuer: IssuerFactor,
    /// Receiver (收单方).
    pub receiver: [u8; 8],
    /// First day of use.
    pub start: Date,
    /// Last day of use.
    pub expiry: Date,
}

impl SamApplicationData {
    /// Reads the 25 bytes, or `None` for fewer or a date that is none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<SamApplicationData> {
        let mut fields = Reader(bytes);
        Some(SamApplicationData {
            key_index: KeyIndex(fields.byte()?),
            issuer: IssuerFactor(fields.take()?),
            receiver: fields.take()?,
            start: Date::from_bcd(fields.take()?)?,
            expiry: Date::from_bcd(fields.take()?)?,
        })
    }

    /// The 25 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SAM_APPLICATION_DATA_LEN] {
        join(&[
            &[self.key_index.0],
            self.issuer.as_bytes(),
            &self.receiver,
            &self.start.to_bcd(),
            &self.expiry.to_bcd(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn public_data_there_and_back() {
        let bytes = hex!("1001 2144 0001 0100 01 02 0001 1700010170907984 20240101 20331231 0000");
        let data = PublicData::from_bytes(&bytes).unwrap();
        assert_eq!(data.to_bytes(), bytes);
        assert_eq!(data.city_factor(), IssuerFactor(hex!("2144FF0000000000")));
        assert_eq!(data.asn, Asn8(hex!("1700010170907984")));
        let day = |text: &str| text.parse::<Date>().unwrap();
        assert!(data.usable_on(day("20240101")) && data.usable_on(day("20331231")));
        assert!(!data.usable_on(day("20231231")) && !data.usable_on(day("20340101")));
        assert!(!PublicData { enable_flag: 0, ..data }.usable_on(day("20250101")));
        assert_eq!(PublicData::from_bytes(&bytes[..29]), None);
        let mut no_date = bytes;
        no_date[21] = 0xFF;
        assert_eq!(PublicData::from_bytes(&no_date), None);
    }

    #[test]
    fn sam_files_there_and_back() {
        let bytes = hex!("01 2144FF0000000000 0000000000000001 20240101 20331231");
        let data = SamApplicationData::from_bytes(&bytes).unwrap();
        assert_eq!(data.to_bytes(), bytes);
        assert_eq!(SamApplicationData::from_bytes(&bytes[..24]), None);
        let bytes = hex!("21440000000000000001 01 02 01 00");
        assert_eq!(SamCardData::from_bytes(&bytes).unwrap().to_bytes(), bytes);
        assert_eq!(SamCardData::from_bytes(&bytes[..13]), None);
    }
}
