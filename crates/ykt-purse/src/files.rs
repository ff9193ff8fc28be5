//! Files a terminal reads: the card's public application data (EF 0015) and the PSAM's own files.
//!
//! EF 0015 has 30 bytes in every layout ([`PublicDataLayout`], `epurse.md` 6.4), and card number and dates at the
//! same places; who issued the card, and whether it is enabled, each layout says in its own way. PSAM files follow 7.1.

use crate::wire::{Reader, join};
use ykt_base::{Asn8, Date, IssuerFactor, KeyIndex, PsamSerial};

/// Short file id of the public application data.
pub const PUBLIC_DATA_SFI: u8 = 0x15;
/// Length of the public application data.
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
/// Application name of the electronic purse of T-Union (交通联合电子钱包).
pub const T_UNION_AID: [u8; 8] = [0xA0, 0x00, 0x00, 0x06, 0x32, 0x01, 0x01, 0x05];
/// Application name of ED and EP in the profile `pboc-ed-ep`: issuers choose their own, so this one is unregistered (ISO
/// 7816-5), `F0 YKTEP 01`.
pub const PBOC_AID: [u8; 7] = *b"\xF0YKTEP\x01";
/// File id of the city card's application.
pub const CITY_FID: [u8; 2] = [0x10, 0x01];

/// Factor of the city level: city code || FF || 00×5 (`epurse.md` 0).
#[must_use]
pub const fn city_factor(city_code: [u8; 2]) -> IssuerFactor {
    let [high, low] = city_code;
    IssuerFactor([high, low, 0xFF, 0, 0, 0, 0, 0])
}

/// Layout of EF 0015 (`epurse.md` 6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PublicDataLayout {
    /// Construction ministry (住建部), the layout of city cards.
    City,
    /// PBOC: byte 9 is the issuer's version of the application.
    Pboc,
    /// T-Union (交通联合): PBOC's, but byte 9 is the enable flag and byte 8 says EP only.
    TUnion,
}

/// Who issued a card, as its layout says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    /// [`PublicDataLayout::City`].
    City(CityIssuer),
    /// [`PublicDataLayout::Pboc`].
    Pboc(PbocIssuer),
    /// [`PublicDataLayout::TUnion`].
    TUnion(PbocIssuer),
}

/// The issuer's part of a city card's public data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CityIssuer {
    /// Issuer code (发卡方代码).
    pub issuer_code: [u8; 2],
    /// City code (城市代码).
    pub city_code: [u8; 2],
    /// Industry code (行业代码).
    pub industry_code: [u8; 2],
    /// Reserved; deployed cards keep main and sub type of the card here.
    pub reserved_class: [u8; 2],
    /// Enable flag (启用标识): 01 is enabled.
    pub enable_flag: u8,
    /// Version of the application.
    pub version: u8,
    /// Interoperability flag (互通标识).
    pub interoperability: [u8; 2],
}

/// The issuer's part of the public data of PBOC and T-Union.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PbocIssuer {
    /// Issuer id (发卡方标识), the factor of the level above the card.
    pub id: IssuerFactor,
    /// Application type flag (应用类型标识): bit 1 ED, bit 2 EP.
    pub application_type: u8,
    /// PBOC: the issuer's version of the application. T-Union: enable flag, 01 is enabled.
    pub version: u8,
    /// The two bytes of the application serial number (应用序列号) before the card number.
    pub serial_head: [u8; 2],
}

/// Public application data (公共应用信息), EF 0015.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicData {
    /// Who issued it, and the layout.
    pub issuer: Issuer,
    /// Card number.
    pub asn: Asn8,
    /// First day of use.
    pub start: Date,
    /// Last day of use.
    pub expiry: Date,
    /// Reserved; in PBOC and T-Union the issuer's data for the FCI.
    pub reserved: [u8; 2],
}

impl PublicData {
    /// The enable flag of a card in use.
    pub const ENABLED: u8 = 0x01;

    /// Reads the first 30 bytes of the file; what other cards append is left alone. `None` when there are fewer
    /// or a date is none.
    #[must_use]
    pub fn from_bytes(layout: PublicDataLayout, bytes: &[u8]) -> Option<PublicData> {
        let mut fields = Reader(bytes);
        let issuer = match layout {
            PublicDataLayout::City => Issuer::City(CityIssuer::read(&mut fields)?),
            PublicDataLayout::Pboc => Issuer::Pboc(PbocIssuer::read(&mut fields)?),
            PublicDataLayout::TUnion => Issuer::TUnion(PbocIssuer::read(&mut fields)?),
        };
        Some(PublicData {
            issuer,
            asn: Asn8(fields.take()?),
            start: Date::from_bcd(fields.take()?)?,
            expiry: Date::from_bcd(fields.take()?)?,
            reserved: fields.take()?,
        })
    }

    /// The 30 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PUBLIC_DATA_LEN] {
        let issuer = match &self.issuer {
            Issuer::City(city) => city.to_bytes(),
            Issuer::Pboc(issuer) | Issuer::TUnion(issuer) => issuer.to_bytes(),
        };
        let (start, expiry) = (self.start.to_bcd(), self.expiry.to_bcd());
        join(&[&issuer, self.asn.as_bytes(), &start, &expiry, &self.reserved])
    }

    /// Factor of the level above the card: city or issuer.
    #[must_use]
    pub const fn factor(&self) -> IssuerFactor {
        match self.issuer {
            Issuer::City(city) => city_factor(city.city_code),
            Issuer::Pboc(issuer) | Issuer::TUnion(issuer) => issuer.id,
        }
    }

    /// Main and sub type of the card; zeros where the layout has none.
    #[must_use]
    pub const fn class(&self) -> [u8; 2] {
        match self.issuer {
            Issuer::City(city) => city.reserved_class,
            Issuer::Pboc(_) | Issuer::TUnion(_) => [0; 2],
        }
    }

    /// Whether its issuer enabled it. PBOC's layout has no word for it: such a card is.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        match self.issuer {
            Issuer::City(city) => city.enable_flag == PublicData::ENABLED,
            Issuer::Pboc(_) => true,
            Issuer::TUnion(issuer) => issuer.version == PublicData::ENABLED,
        }
    }

    /// Whether the card may be used on `day`: enabled, started and not expired.
    #[must_use]
    pub fn usable_on(&self, day: Date) -> bool {
        self.is_enabled() && (self.start..=self.expiry).contains(&day)
    }
}

/// Bytes before the card number.
const ISSUER_LEN: usize = 12;

impl CityIssuer {
    fn read(fields: &mut Reader<'_>) -> Option<CityIssuer> {
        Some(CityIssuer {
            issuer_code: fields.take()?,
            city_code: fields.take()?,
            industry_code: fields.take()?,
            reserved_class: fields.take()?,
            enable_flag: fields.byte()?,
            version: fields.byte()?,
            interoperability: fields.take()?,
        })
    }

    fn to_bytes(self) -> [u8; ISSUER_LEN] {
        join(&[
            &self.issuer_code,
            &self.city_code,
            &self.industry_code,
            &self.reserved_class,
            &[self.enable_flag, self.version],
            &self.interoperability,
        ])
    }
}

impl PbocIssuer {
    fn read(fields: &mut Reader<'_>) -> Option<PbocIssuer> {
        Some(PbocIssuer {
            id: IssuerFactor(fields.take()?),
            application_type: fields.byte()?,
            version: fields.byte()?,
            serial_head: fields.take()?,
        })
    }

    fn to_bytes(self) -> [u8; ISSUER_LEN] {
        join(&[self.id.as_bytes(), &[self.application_type, self.version], &self.serial_head])
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

    const CITY: [u8; 30] = hex!("1001 2144 0001 0100 01 02 0001 1700010170907984 20240101 20331231 0000");
    /// EF 0015 of a real T-Union card (6.1).
    const T_UNION: [u8; 30] = hex!("01011000FFFFFFFF 02 01 0310 5170010170907984 20190806 20401231 0000");

    #[test]
    fn public_data_there_and_back() {
        let data = PublicData::from_bytes(PublicDataLayout::City, &CITY).unwrap();
        assert_eq!(data.to_bytes(), CITY);
        assert_eq!(data.factor(), IssuerFactor(hex!("2144FF0000000000")));
        assert_eq!((data.asn, data.class()), (Asn8(hex!("1700010170907984")), [0x01, 0x00]));
        for layout in [PublicDataLayout::Pboc, PublicDataLayout::TUnion] {
            let data = PublicData::from_bytes(layout, &T_UNION).unwrap();
            assert_eq!(data.to_bytes(), T_UNION);
            assert_eq!(data.factor(), IssuerFactor(hex!("01011000FFFFFFFF")));
            assert_eq!((data.asn, data.class()), (Asn8(hex!("5170010170907984")), [0; 2]));
            assert_eq!(PublicData::from_bytes(layout, &T_UNION[..29]), None);
        }
        assert_eq!(PublicData::from_bytes(PublicDataLayout::City, &CITY[..29]), None);
        let mut no_date = CITY;
        no_date[21] = 0xFF;
        assert_eq!(PublicData::from_bytes(PublicDataLayout::City, &no_date), None);
    }

    /// The flag is where the layout has it: byte 8 of a city card, byte 9 of T-Union, nowhere in PBOC.
    #[test]
    fn cards_are_used_when_enabled_and_between_their_days() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        let enabled = |layout, mut bytes: [u8; 30], at: usize| {
            let usable =
                |bytes: [u8; 30]| PublicData::from_bytes(layout, &bytes).unwrap().usable_on(day("20250101"));
            assert!(usable(bytes));
            bytes[at] = 0;
            usable(bytes)
        };
        assert!(!enabled(PublicDataLayout::City, CITY, 8));
        assert!(!enabled(PublicDataLayout::TUnion, T_UNION, 9));
        assert!(enabled(PublicDataLayout::TUnion, T_UNION, 8));
        assert!(enabled(PublicDataLayout::Pboc, T_UNION, 9));
        let data = PublicData::from_bytes(PublicDataLayout::City, &CITY).unwrap();
        assert!(data.usable_on(day("20240101")) && data.usable_on(day("20331231")));
        assert!(!data.usable_on(day("20231231")) && !data.usable_on(day("20340101")));
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
