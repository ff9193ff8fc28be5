//! What differs from card to card: numbers, dates, the holder; and what of it stands in which file.

use crate::profile::Content;
use ykt_base::{Asn8, Date, IssuerFactor, KeyIndex, PsamSerial, TerminalId};
use ykt_purse::files::{CityIssuer, Issuer, PublicData, SamApplicationData, SamCardData, city_factor};
use ykt_purse::write_key::Pin;
use ykt_vault::{CardKeyRef, KeyAddress, KeyRef, Scheme};

/// Bytes of the cardholder file (`epurse.md` 6.5).
const HOLDER_DATA_LEN: usize = 39;
const NAME_LEN: usize = 20;
const ID_LEN: usize = 16;

/// A user card to be made.
#[derive(Clone)]
pub struct CardData {
    /// Card number.
    pub asn: Asn8,
    /// Issuer code.
    pub issuer_code: [u8; 2],
    /// City code; with FF and zeros it is the factor of the city level.
    pub city_code: [u8; 2],
    /// Industry code.
    pub industry_code: [u8; 2],
    /// Main type of the card, two decimal digits in BCD.
    pub main_type: u8,
    /// Sub type of the card, two decimal digits in BCD.
    pub sub_type: u8,
    /// First day of use.
    pub start: Date,
    /// Last day of use.
    pub expiry: Date,
    /// The holder, where the card is personal.
    pub holder: HolderData,
    /// The holder's PIN.
    pub pin: Pin,
}

/// The holder of a personal card (持卡人基本信息).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HolderData {
    /// Kind of card or holder.
    pub kind: u8,
    /// Staff flag.
    pub staff: u8,
    /// Name as the card keeps it (GBK), at most 20 bytes.
    pub name: Vec<u8>,
    /// Number of the identity paper, at most 16 characters.
    pub id_number: String,
    /// Kind of identity paper.
    pub id_kind: u8,
}

/// A PSAM to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PsamData {
    /// Serial number.
    pub serial: PsamSerial,
    /// Terminal id.
    pub terminal: TerminalId,
    /// Factor of the issuer whose cards it serves.
    pub issuer: IssuerFactor,
    /// Receiver.
    pub receiver: [u8; 8],
    /// Index of the purchase key on the cards.
    pub key_index: KeyIndex,
    /// First day of use.
    pub start: Date,
    /// Last day of use.
    pub expiry: Date,
}

impl PsamData {
    /// A PSAM for the cards of a city, whose purchase key has index 1.
    #[must_use]
    pub fn of_city(
        serial: PsamSerial,
        terminal: TerminalId,
        city_code: [u8; 2],
        start: Date,
        expiry: Date,
    ) -> PsamData {
        PsamData {
            serial,
            terminal,
            issuer: city_factor(city_code),
            receiver: [0; 8],
            key_index: KeyIndex(1),
            start,
            expiry,
        }
    }
}

impl CardData {
    /// An anonymous card of a city: type 01 00, industry 0001.
    #[must_use]
    pub fn of_city(asn: Asn8, city_code: [u8; 2], start: Date, expiry: Date, pin: Pin) -> CardData {
        CardData {
            asn,
            issuer_code: city_code,
            city_code,
            industry_code: [0x00, 0x01],
            main_type: 0x01,
            sub_type: 0x00,
            start,
            expiry,
            holder: HolderData::default(),
            pin,
        }
    }

    fn public(&self) -> PublicData {
        PublicData {
            issuer: Issuer::City(CityIssuer {
                issuer_code: self.issuer_code,
                city_code: self.city_code,
                industry_code: self.industry_code,
                reserved_class: [self.main_type, self.sub_type],
                enable_flag: PublicData::ENABLED,
                version: 0x01,
                interoperability: [0x00, 0x01],
            }),
            asn: self.asn,
            start: self.start,
            expiry: self.expiry,
            reserved: [0; 2],
        }
    }
}

impl HolderData {
    /// The file: fields left-aligned, names filled with zeros, numbers with blanks; too long ones are cut.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.kind, self.staff];
        let mut put = |field: &[u8], len: usize, filler: u8| {
            bytes.extend(field.iter().chain(std::iter::repeat(&filler)).take(len));
        };
        put(&self.name, NAME_LEN, 0);
        put(self.id_number.as_bytes(), ID_LEN, b' ');
        put(&[self.id_kind], 1, 0);
        debug_assert_eq!(bytes.len(), HOLDER_DATA_LEN, "fields fill the file");
        bytes
    }
}

/// Whose card or PSAM is made.
pub(crate) enum Holder<'a> {
    Card(&'a CardData),
    Sam(&'a PsamData),
}

impl Holder<'_> {
    /// The key as this card or PSAM holds it.
    pub(crate) fn address(&self, key: KeyRef) -> KeyAddress {
        match (key.kind.scheme(), self) {
            (Scheme::Card, Holder::Card(card)) => {
                KeyAddress::Card(CardKeyRef { key, factor: self.factor(), asn: card.asn })
            }
            (Scheme::Sam, Holder::Sam(sam)) => KeyAddress::Sam { key, serial: sam.serial },
            // Transport keys; a key of the other sort of card is refused by the vault.
            _ => KeyAddress::Shared(key),
        }
    }

    /// Factor of the level above the cards.
    pub(crate) fn factor(&self) -> IssuerFactor {
        match self {
            Holder::Card(card) => city_factor(card.city_code),
            Holder::Sam(sam) => sam.issuer,
        }
    }

    pub(crate) fn pin(&self) -> Option<&Pin> {
        match self {
            Holder::Card(card) => Some(&card.pin),
            Holder::Sam(_) => None,
        }
    }

    /// What a file gets, or `None` for a content of the other sort of card.
    pub(crate) fn content(&self, content: Content) -> Option<Vec<u8>> {
        match (content, self) {
            (Content::PublicData, Holder::Card(card)) => Some(card.public().to_bytes().to_vec()),
            (Content::HolderData, Holder::Card(card)) => Some(card.holder.to_bytes()),
            (Content::SamCardData, Holder::Sam(sam)) => Some(sam_card_data(sam).to_bytes().to_vec()),
            (Content::TerminalId, Holder::Sam(sam)) => Some(sam.terminal.0.to_vec()),
            (Content::SamApplication, Holder::Sam(sam)) => Some(
                SamApplicationData {
                    key_index: sam.key_index,
                    issuer: sam.issuer,
                    receiver: sam.receiver,
                    start: sam.start,
                    expiry: sam.expiry,
                }
                .to_bytes()
                .to_vec(),
            ),
            _ => None,
        }
    }
}

fn sam_card_data(sam: &PsamData) -> SamCardData {
    SamCardData { serial: sam.serial, version: 1, card_type: 0, command_set: 1, reserved: 0 }
}
