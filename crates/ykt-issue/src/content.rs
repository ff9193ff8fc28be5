//! What differs from card to card: numbers, dates, the holder; and what of it stands in which file.

use crate::download::Subject;
use crate::profile::{Content, Profile};
use std::collections::BTreeMap;
use std::sync::Arc;
use ykt_base::{Asn8, Date, IssuerFactor, KeyIndex, PsamSerial, TerminalId};
use ykt_card::CardKind;
use ykt_crypto::sm2::PublicKey;
use ykt_purse::bank::{self, Tracks};
use ykt_purse::component_card;
use ykt_purse::files::{
    CityIssuer, Issuer, PbocIssuer, PublicData, PublicDataLayout, SamApplicationData, SamCardData,
    city_factor,
};
use ykt_purse::identity::{DataGroup, PHOTO_LEN_MAX, SignedObject, group_hash};
use ykt_purse::key_card::{AllowedKinds, IssueRecord};
use ykt_purse::write_key::Pin;
use ykt_vault::{KeyKind, KeyRef};

const NAME_LEN: usize = 20;
/// Country in T-Union's management information: China, in the digits of ISO 3166-1.
const COUNTRY: [u8; 4] = [0x00, 0x00, 0x01, 0x56];
/// Bytes of T-Union's management information (`epurse.md` 6.6).
const MANAGEMENT_DATA_LEN: usize = 60;

/// A user card to be made.
#[derive(Clone)]
pub struct CardData {
    /// Card number.
    pub asn: Asn8,
    /// Issuer id, for PBOC and T-Union; a city card's is its city.
    pub issuer: IssuerFactor,
    /// The two bytes of the application serial number before the card number, for PBOC and T-Union.
    pub serial_head: [u8; 2],
    /// Issuer code.
    pub issuer_code: [u8; 2],
    /// City code; with FF and zeros it is the factor of the city level.
    pub city_code: [u8; 2],
    /// Province code, for T-Union.
    pub province_code: [u8; 2],
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
    /// The holder's bank cards, for cards that have room for them.
    pub banks: Vec<BankData>,
    /// The holder's identity, for cards with that application.
    pub identity: Option<IdentityData>,
    /// A custodian's component, for component cards.
    pub component: Option<ComponentData>,
}

/// What a component card carries ([`ykt_purse::component_card`]).
#[derive(Clone)]
pub struct ComponentData {
    /// What everybody may read.
    pub label: component_card::Label,
    /// What the custodian reads after his PIN.
    pub part: component_card::Part,
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
    /// Number of the identity paper, at most 16 characters (T-Union 32).
    pub id_number: String,
    /// Kind of identity paper.
    pub id_kind: u8,
}

/// A bank card on a citizen card ([`ykt_purse::bank`]).
#[derive(Clone)]
pub struct BankData {
    /// What everybody may read.
    pub card: bank::CardData,
    /// What only the bank reads.
    pub tracks: Tracks,
    /// Picture of the holder's signature; empty for none.
    pub signature: Vec<u8>,
}

/// A person's data on a card ([`ykt_purse::identity`]).
#[derive(Clone)]
pub struct IdentityData {
    /// The data groups there are, the photo at most [`PHOTO_LEN_MAX`] bytes.
    pub groups: BTreeMap<DataGroup, Vec<u8>>,
    /// The authority that signs them.
    pub signer: Arc<dyn IdentitySigner>,
}

/// The authority that vouches for the identity on a card.
pub trait IdentitySigner: Send + Sync {
    /// The object with its signature ([`SignedObject::sign`]).
    fn sign(&self, object: &SignedObject) -> Vec<u8>;
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

    /// What the centre knows of it.
    #[must_use]
    pub const fn subject(&self) -> Subject {
        Subject::Sam { serial: self.serial, factor: self.issuer }
    }
}

/// A key card to be made ([`ykt_purse::key_card`]).
#[derive(Clone)]
pub struct KeyCardData {
    /// Serial number, ten bytes as a PSAM's.
    pub serial: PsamSerial,
    /// How many cards it may issue.
    pub cards: u32,
    /// Factors of the cities whose cards may get keys, at most 16.
    pub cities: Vec<IssuerFactor>,
    /// The keys it may give away; [`Profile::issue_kinds`] says which it carries.
    pub kinds: AllowedKinds,
    /// PIN of its operator.
    pub pin: Pin,
}

impl KeyCardData {
    /// What the centre knows of it.
    #[must_use]
    pub fn subject(&self) -> Subject {
        let factor = self.cities.first().copied().unwrap_or(IssuerFactor([0; 8]));
        Subject::KeyCard { serial: self.serial, factor }
    }
}

/// The issuer id of a city's T-Union cards, in the form of the one real card that is public: `0101`, city code,
/// `FFFFFFFF`.
#[must_use]
pub const fn t_union_issuer(city_code: [u8; 2]) -> IssuerFactor {
    let [high, low] = city_code;
    IssuerFactor([0x01, 0x01, high, low, 0xFF, 0xFF, 0xFF, 0xFF])
}

impl CardData {
    /// An anonymous card of a city: type 01 00, industry 0001.
    #[must_use]
    pub fn of_city(asn: Asn8, city_code: [u8; 2], start: Date, expiry: Date, pin: Pin) -> CardData {
        let [province, _] = city_code;
        CardData {
            asn,
            issuer: t_union_issuer(city_code),
            serial_head: [0; 2],
            issuer_code: city_code,
            city_code,
            province_code: [province, 0x00],
            industry_code: [0x00, 0x01],
            main_type: 0x01,
            sub_type: 0x00,
            start,
            expiry,
            holder: HolderData::default(),
            pin,
            banks: Vec::new(),
            identity: None,
            component: None,
        }
    }

    /// What the centre knows of it; the layout of its profile says which number is the factor.
    #[must_use]
    pub fn subject(&self, layout: PublicDataLayout) -> Subject {
        let banks = self.banks.iter().map(|bank| bank.card.reference).collect();
        Subject::Card { asn: self.asn, factor: self.factor(layout), banks }
    }

    fn factor(&self, layout: PublicDataLayout) -> IssuerFactor {
        match layout {
            PublicDataLayout::City => city_factor(self.city_code),
            PublicDataLayout::Pboc | PublicDataLayout::TUnion => self.issuer,
        }
    }

    fn public(&self, profile: &Profile) -> PublicData {
        let pboc = |version| PbocIssuer {
            id: self.issuer,
            application_type: profile.purses(),
            version,
            serial_head: self.serial_head,
        };
        let issuer = match profile.layout {
            PublicDataLayout::City => Issuer::City(CityIssuer {
                issuer_code: self.issuer_code,
                city_code: self.city_code,
                industry_code: self.industry_code,
                reserved_class: [self.main_type, self.sub_type],
                enable_flag: PublicData::ENABLED,
                version: 0x01,
                interoperability: [0x00, 0x01],
            }),
            PublicDataLayout::Pboc => Issuer::Pboc(pboc(0x01)),
            PublicDataLayout::TUnion => Issuer::TUnion(pboc(PublicData::ENABLED)),
        };
        PublicData { issuer, asn: self.asn, start: self.start, expiry: self.expiry, reserved: [0; 2] }
    }

    /// T-Union's management information: country (4), province (2), city (2), interoperable (2), kind of card (1).
    fn management(&self) -> Vec<u8> {
        let [province, city] = [self.province_code, self.city_code];
        let mut bytes = [&COUNTRY[..], &province, &city, &[0x00, 0x01], &[self.main_type]].concat();
        bytes.resize(MANAGEMENT_DATA_LEN, 0);
        bytes
    }

    fn bank(&self, number: u8) -> Result<&BankData, &'static str> {
        let at = usize::from(number).checked_sub(1);
        at.and_then(|at| self.banks.get(at)).ok_or("the card's data have no bank card of this number")
    }

    fn identity(&self) -> Result<&IdentityData, &'static str> {
        self.identity.as_ref().ok_or("the card's data have no identity of the holder")
    }

    fn component(&self) -> Result<&ComponentData, &'static str> {
        self.component.as_ref().ok_or("the card's data have no component of a custodian")
    }
}

impl HolderData {
    /// The file: fields left-aligned, names filled with zeros, numbers with blanks; too long ones are cut.
    fn to_bytes(&self, layout: PublicDataLayout) -> Vec<u8> {
        let id_len = match layout {
            PublicDataLayout::City | PublicDataLayout::Pboc => 16,
            PublicDataLayout::TUnion => 32,
        };
        let mut bytes = vec![self.kind, self.staff];
        let mut put = |field: &[u8], len: usize, filler: u8| {
            bytes.extend(field.iter().chain(std::iter::repeat(&filler)).take(len));
        };
        put(&self.name, NAME_LEN, 0);
        put(self.id_number.as_bytes(), id_len, b' ');
        put(&[self.id_kind], 1, 0);
        bytes
    }
}

/// Whose card is made, and which.
#[derive(Clone, Copy)]
pub(crate) enum Holder<'a> {
    Card(&'a CardData),
    Sam(&'a PsamData),
    KeyCard(&'a KeyCardData),
}

impl<'a> Holder<'a> {
    pub(crate) const fn kind(&self) -> CardKind {
        match self {
            Holder::Card(_) => CardKind::User,
            Holder::Sam(_) => CardKind::Psam,
            Holder::KeyCard(_) => CardKind::KeyCard,
        }
    }

    /// Whether the card has what a key belongs to: a bank's key is that of a bank card.
    ///
    /// # Errors
    /// What the card's data lack.
    pub(crate) fn bears(&self, key: KeyRef) -> Result<(), &'static str> {
        match (key.kind, self) {
            (KeyKind::BankCard, Holder::Card(card)) => card.bank(key.index.0).map(drop),
            _ => Ok(()),
        }
    }

    pub(crate) const fn pin(&self) -> Option<&'a Pin> {
        match self {
            Holder::Card(card) => Some(&card.pin),
            Holder::KeyCard(card) => Some(&card.pin),
            Holder::Sam(_) => None,
        }
    }

    /// What a file gets; `public` is the key pair made on the card.
    ///
    /// # Errors
    /// What the card's data lack.
    pub(crate) fn content(
        &self,
        content: &Content,
        profile: &Profile,
        public: Option<PublicKey>,
    ) -> Result<Vec<u8>, &'static str> {
        match (content, self) {
            (Content::Bytes(bytes), _) => Ok(bytes.clone()),
            (content, Holder::Card(card)) => card_content(card, content, profile, public),
            (Content::SamCardData, Holder::Sam(sam)) => Ok(sam_card_data(sam).to_bytes().to_vec()),
            (Content::TerminalId, Holder::Sam(sam)) => Ok(sam.terminal.0.to_vec()),
            (Content::SamApplication, Holder::Sam(sam)) => Ok(SamApplicationData {
                key_index: sam.key_index,
                issuer: sam.issuer,
                receiver: sam.receiver,
                start: sam.start,
                expiry: sam.expiry,
            }
            .to_bytes()
            .to_vec()),
            (Content::KeyCardAttributes, Holder::KeyCard(card)) => {
                let cities = card.cities.iter().flat_map(|city| city.0);
                Ok(card.kinds.0.to_be_bytes().into_iter().chain(cities).collect())
            }
            (Content::IssueRecord, Holder::KeyCard(card)) => {
                Ok(IssueRecord { left: card.cards, under_way: None }.to_bytes().to_vec())
            }
            _ => Err(OTHER_SORT),
        }
    }
}

const OTHER_SORT: &str = "this content belongs to the other sort of card";

fn card_content(
    card: &CardData,
    content: &Content,
    profile: &Profile,
    public: Option<PublicKey>,
) -> Result<Vec<u8>, &'static str> {
    match content {
        Content::PublicData => Ok(card.public(profile).to_bytes().to_vec()),
        Content::HolderData => Ok(card.holder.to_bytes(profile.layout)),
        Content::ManagementData => Ok(card.management()),
        Content::BankCard(number) => Ok(card.bank(*number)?.card.to_bytes().to_vec()),
        Content::BankTracks(number) => Ok(card.bank(*number)?.tracks.as_bytes().to_vec()),
        Content::BankSignature(number) => with_length(&card.bank(*number)?.signature),
        // A group that the holder has not is left empty, and the signed object does not name it.
        Content::Identity(group) => match card.identity()?.groups.get(group) {
            Some(photo) if *group == DataGroup::Photo && photo.len() > PHOTO_LEN_MAX => {
                Err("the photo is longer than 16 KiB")
            }
            Some(bytes) => with_length(bytes),
            None => Ok(Vec::new()),
        },
        Content::SignedObject => {
            let identity = card.identity()?;
            let hash = |group: DataGroup| identity.groups.get(&group).map(|bytes| group_hash(bytes));
            let object = SignedObject {
                issuer: card.factor(profile.layout),
                card: card.asn,
                start: card.start,
                expiry: card.expiry,
                public: public.ok_or("no step before this one made the key pair that is signed")?,
                hashes: DataGroup::ALL.map(hash),
            };
            with_length(&identity.signer.sign(&object))
        }
        Content::ComponentLabel => Ok(card.component()?.label.to_bytes().to_vec()),
        Content::Component => Ok(card.component()?.part.to_bytes().as_bytes().to_vec()),
        _ => Err(OTHER_SORT),
    }
}

/// Length (2), then the bytes.
fn with_length(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
    let len = u16::try_from(bytes.len()).map_err(|_| "longer than any file")?;
    Ok([&len.to_be_bytes()[..], bytes].concat())
}

fn sam_card_data(sam: &PsamData) -> SamCardData {
    SamCardData { serial: sam.serial, version: 1, card_type: 0, command_set: 1, reserved: 0 }
}
