//! The key card (母卡, `keys-and-ca.md` 4): it carries keys from the centre to where cards are made, and turns them
//! into ready WRITE KEY commands for one card after the other.
//!
//! No key leaves it in clear: what it derives for a card is enciphered under that card's control key, which it
//! carries too, with the card's own challenge as IV. It counts the cards: BEGIN CARD takes one off what it may
//! still issue, however many keys the card then gets. No source states bytes; these follow the PSAM's
//! (`epurse.md` 7).

mod usage;

pub use usage::{IssueKind, IssueUsage, KeyCardHeader, KeyCardUsage};

use crate::create::Access;
use crate::psam::CardFactors;
use crate::types::Algorithm;
use crate::wire::{Reader, join, whole};
use crate::write_key::{self, CONTROL_KEY_ID, ErrorCounter, KeyForm, KeyHeader, KeyTarget, KeyUsage};
use ykt_base::{Asn8, Command, IssuerFactor, KeyVersion, StatusWord};
use ykt_crypto::CardKey;
use ykt_crypto::sm::{self, CommandBytes};

/// Application name of the key card.
pub const NAME: [u8; 8] = *b"YKT.KEYS";
/// File id of its application.
pub const FID: [u8; 2] = [0xDF, 0x02];
/// Short file id of the attributes.
pub const ATTRIBUTES_SFI: u8 = 0x17;
/// Short file id of the issue record.
pub const ISSUE_SFI: u8 = 0x18;
/// Id of the operator's PIN.
pub const PIN_ID: u8 = 0;
/// Most cities in the attributes.
pub const CITIES_MAX: usize = 16;
/// Most bytes of the attributes.
pub const ATTRIBUTES_LEN_MAX: usize = 4 + 8 * CITIES_MAX;
/// Kinds of keys that may be derived: bit n stands for the kind of code 20 + n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowedKinds(pub u32);

impl AllowedKinds {
    /// The set of these kinds.
    #[must_use]
    pub fn of(kinds: &[IssueKind]) -> AllowedKinds {
        AllowedKinds(kinds.iter().fold(0, |bits, kind| bits | AllowedKinds::bit(*kind)))
    }

    /// Whether a card may get a key of this kind. Never the transport key.
    #[must_use]
    pub const fn allow(self, kind: IssueKind) -> bool {
        !matches!(kind, IssueKind::Transport) && self.0 & AllowedKinds::bit(kind) != 0
    }

    const fn bit(kind: IssueKind) -> u32 {
        1 << (kind.code() & 0x1F)
    }
}

/// Attributes (EF 0017): which keys for which cities. Kinds (4), then the cities' factors (8 each).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// Keys that may be derived.
    pub kinds: AllowedKinds,
    /// Factors of the cities whose cards may get them; zeros mean none.
    pub cities: &'a [[u8; 8]],
}

impl<'a> Attributes<'a> {
    /// Reads the whole file, or `None` for another length.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Attributes<'a>> {
        let (kinds, cities) = bytes.split_first_chunk::<4>()?;
        let (cities, rest) = cities.as_chunks::<8>();
        let attributes = Attributes { kinds: AllowedKinds(u32::from_be_bytes(*kinds)), cities };
        (rest.is_empty() && cities.len() <= CITIES_MAX).then_some(attributes)
    }

    /// Whether cards of this city may get keys.
    #[must_use]
    pub fn allow_city(&self, city: IssuerFactor) -> bool {
        city.0 != [0; 8] && self.cities.contains(&city.0)
    }
}

/// A card that gets keys: its number and the factors above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuedCard {
    /// Card number.
    pub card: Asn8,
    /// Factor of its city, or issuer.
    pub city: IssuerFactor,
    /// Factor of its province, when the keys lie that high.
    pub province: Option<IssuerFactor>,
}

impl IssuedCard {
    /// Factors for a key that lies `levels` above the card, 1 to 3. `None` when there are not as many.
    fn factors(&self, levels: u8) -> Option<CardFactors> {
        match levels {
            1 => Some(CardFactors::one_level(self.card)),
            2 => Some(CardFactors::two_levels(self.city, self.card)),
            3 => Some(CardFactors::three_levels(self.province?, self.city, self.card)),
            _ => None,
        }
    }

    /// The card's own key from one that lies `levels` above it; the key itself at 0. `None` when there are not as
    /// many factors.
    #[must_use]
    pub fn derive(&self, key: &CardKey, levels: u8) -> Option<CardKey> {
        if levels == 0 {
            return Some(key.clone());
        }
        self.factors(levels).map(|factors| factors.derive(key))
    }
}

/// Length of the issue record.
pub const ISSUE_LEN: usize = 29;

/// Issue record (EF 0018): how many cards may still be issued (4), and the card under way: number of its factors
/// (1: 00 none, 02, 03), card, city, province (8 each). The centre writes the number; the card counts it down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssueRecord {
    /// Cards that may still be issued.
    pub left: u32,
    /// The card that was begun and not ended: it is counted already.
    pub under_way: Option<IssuedCard>,
}

impl IssueRecord {
    /// Reads the file, or `None` when its bytes are none.
    #[must_use]
    pub fn from_bytes(bytes: [u8; ISSUE_LEN]) -> Option<IssueRecord> {
        let fields = whole(&bytes, |fields| {
            Some((fields.take()?, fields.byte()?, fields.take()?, fields.take()?, fields.take()?))
        });
        let (left, count, card, city, province) = fields?;
        let province = match count {
            3 => Some(IssuerFactor(province)),
            _ => None,
        };
        let card = IssuedCard { card: Asn8(card), city: IssuerFactor(city), province };
        let under_way = match count {
            0 => None,
            2 | 3 => Some(card),
            _ => return None,
        };
        Some(IssueRecord { left: u32::from_be_bytes(left), under_way })
    }

    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; ISSUE_LEN] {
        let none = IssuerFactor([0; 8]);
        let (count, card) = match self.under_way {
            None => (0, IssuedCard { card: Asn8([0; 8]), city: none, province: None }),
            Some(card) => (if card.province.is_some() { 3 } else { 2 }, card),
        };
        let province = card.province.unwrap_or(none);
        join(&[&self.left.to_be_bytes(), &[count], &card.card.0, &card.city.0, &province.0])
    }
}

/// BEGIN CARD (开始发卡): `80 74 00 00 Lc card city [province]`. Takes one off the cards that may still be issued,
/// unless this very card is under way; answers how many are left (4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeginCard {
    /// The card.
    pub card: IssuedCard,
}

impl BeginCard {
    /// Length of the answer.
    pub const ANSWER_LEN: usize = 4;

    /// Reads P1, P2 and data of a command whose class and instruction are 80 74.
    ///
    /// # Errors
    /// 6A86, 6700.
    pub fn parse(command: &Command<'_>) -> Result<BeginCard, StatusWord> {
        if (command.p1, command.p2) != (0, 0) {
            return Err(StatusWord::WRONG_P1P2);
        }
        let (factors, rest) = command.data.as_chunks::<8>();
        let card = match (factors, rest) {
            ([card, city], []) => IssuedCard { card: Asn8(*card), city: IssuerFactor(*city), province: None },
            ([card, city, province], []) => IssuedCard {
                card: Asn8(*card),
                city: IssuerFactor(*city),
                province: Some(IssuerFactor(*province)),
            },
            _ => return Err(StatusWord::WRONG_LENGTH),
        };
        Ok(BeginCard { card })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> CommandBytes {
        let IssuedCard { card, city, province } = &self.card;
        let province = province.as_ref().map_or(&[][..], |province| &province.0);
        let lc = if province.is_empty() { 0x10 } else { 0x18 };
        CommandBytes::from_parts(&[&[0x80, 0x74, 0x00, 0x00, lc], &card.0, &city.0, province, &[0x04]])
            .unwrap_or_default()
    }
}

/// END CARD (结束发卡): `80 78 00 00`. The next BEGIN CARD counts, also of the same card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndCard;

impl EndCard {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 78.
    ///
    /// # Errors
    /// 6A86, 6700.
    pub fn parse(command: &Command<'_>) -> Result<EndCard, StatusWord> {
        parameterless(command).map(|()| EndCard)
    }

    /// The command as bytes.
    #[must_use]
    pub const fn to_apdu(&self) -> [u8; 4] {
        [0x80, 0x78, 0x00, 0x00]
    }
}

fn parameterless(command: &Command<'_>) -> Result<(), StatusWord> {
    match (command.p1, command.p2, command.data) {
        (0, 0, []) => Ok(()),
        (0, 0, _) => Err(StatusWord::WRONG_LENGTH),
        _ => Err(StatusWord::WRONG_P1P2),
    }
}

/// A key that a card is to get: which one, and what its header says there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyOrder {
    /// Which key.
    pub kind: IssueKind,
    /// Its version, on the key card and on the user card.
    pub version: KeyVersion,
    /// Where it goes: P1 of WRITE KEY, and its usage.
    pub target: KeyTarget,
    /// Version of the control key; which key that is, the kind says.
    pub control_version: KeyVersion,
    /// Right to use the key on the user card.
    pub use_right: Access,
    /// State it leads to there.
    pub follow_up: u8,
    /// Right to change it there.
    pub change_right: Access,
    /// Its tries there.
    pub tries: ErrorCounter,
}

/// DERIVE CARD KEY (分散卡片密钥): `80 76 kind version Lc target control use follow-up change tries challenge`. The
/// answer is the whole WRITE KEY for the card under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeriveCardKey {
    /// The key.
    pub order: KeyOrder,
    /// The user card's challenge, as IV: four bytes are filled with zeros.
    pub iv: [u8; 8],
}

impl DeriveCardKey {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 76.
    ///
    /// # Errors
    /// 6A86 for a kind that no card gets, 6700, 6A80 for a master key of another id than a control key's, or
    /// another key under that name.
    pub fn parse(command: &Command<'_>) -> Result<DeriveCardKey, StatusWord> {
        let kind = IssueKind::from_code(command.p1);
        let (kind, usage) =
            kind.and_then(|kind| Some((kind, kind.usage()?))).ok_or(StatusWord::WRONG_P1P2)?;
        let (terms, challenge) = command.data.split_first_chunk::<6>().ok_or(StatusWord::WRONG_LENGTH)?;
        let iv = sm::iv_from_challenge(challenge).ok_or(StatusWord::WRONG_LENGTH)?;
        let [p1, control_version, use_right, follow_up, change_right, tries] = *terms;
        let target = KeyTarget::from_p1p2(p1, usage.code())?;
        let (KeyTarget::Add { id, .. } | KeyTarget::Change { id, .. }) = target;
        let is_control = usage == KeyUsage::ExternalAuthentication && id == CONTROL_KEY_ID;
        if is_control != matches!(kind, IssueKind::CardMaster | IssueKind::ApplicationMaster) {
            return Err(StatusWord::WRONG_DATA);
        }
        let order = KeyOrder {
            kind,
            version: KeyVersion(command.p2),
            target,
            control_version: KeyVersion(control_version),
            use_right: Access(use_right),
            follow_up,
            change_right: Access(change_right),
            tries: ErrorCounter(tries),
        };
        Ok(DeriveCardKey { order, iv })
    }

    /// The command as bytes, with eight bytes of challenge.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 20] {
        let KeyOrder { kind, version, target, control_version, use_right, follow_up, change_right, tries } =
            self.order;
        let [_, _, p1, _] = target.header();
        join(&[
            &[0x80, 0x76, kind.code(), version.0, 0x0E, p1, control_version.0],
            &[use_right.0, follow_up, change_right.0, tries.0],
            &self.iv,
            &[0x00],
        ])
    }

    /// The kind of key under which the derived one enters the card.
    #[must_use]
    pub const fn control(&self) -> IssueKind {
        self.order.kind.control(matches!(self.order.target, KeyTarget::Change { .. }))
    }

    /// The WRITE KEY for the user card: `key` and `control` are that card's own. `None` for lengths that no
    /// command has.
    #[must_use]
    pub fn write_key(&self, control: &CardKey, key: &CardKey, algorithm: Algorithm) -> Option<CommandBytes> {
        let KeyOrder { version, target, use_right, follow_up, change_right, tries, .. } = self.order;
        let header = KeyHeader {
            version,
            form: KeyForm::Key(algorithm),
            usage: target.usage(),
            use_right,
            follow_up,
            change_right,
            tries,
        };
        write_key::command(control, self.iv, target.header(), &header.to_bytes(), key.expose())
    }
}

/// One key in GET KEY CARD INFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyEntry {
    /// Usage byte.
    pub usage: u8,
    /// Version.
    pub version: KeyVersion,
    /// Algorithm byte.
    pub algorithm: u8,
    /// Check value: the first bytes of a zero block enciphered.
    pub check: [u8; 3],
}

impl KeyEntry {
    /// Length of an entry.
    pub const LEN: usize = 6;

    /// The six bytes.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; KeyEntry::LEN] {
        let [a, b, c] = self.check;
        [self.usage, self.version.0, self.algorithm, a, b, c]
    }

    const fn from_bytes(bytes: [u8; KeyEntry::LEN]) -> KeyEntry {
        let [usage, version, algorithm, a, b, c] = bytes;
        KeyEntry { usage, version: KeyVersion(version), algorithm, check: [a, b, c] }
    }
}

/// GET KEY CARD INFO (查询密钥卡): `80 7A 00 00`. Answer: cards left (4), kinds allowed (4), then each key but the PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCardInfo<'a> {
    /// Cards that may still be issued.
    pub left: u32,
    /// Keys that may be derived.
    pub kinds: AllowedKinds,
    keys: &'a [[u8; KeyEntry::LEN]],
}

impl<'a> KeyCardInfo<'a> {
    /// The command as bytes, Le included.
    pub const APDU: [u8; 5] = [0x80, 0x7A, 0x00, 0x00, 0x00];
    /// Bytes of the answer before its keys.
    pub const HEAD_LEN: usize = 8;

    /// Reads P1, P2 and data of a command whose class and instruction are 80 7A.
    ///
    /// # Errors
    /// 6A86, 6700.
    pub fn parse_command(command: &Command<'_>) -> Result<(), StatusWord> {
        parameterless(command)
    }

    /// The head of the answer.
    #[must_use]
    pub fn head(left: u32, kinds: AllowedKinds) -> [u8; KeyCardInfo::HEAD_LEN] {
        join(&[&left.to_be_bytes(), &kinds.0.to_be_bytes()])
    }

    /// Reads the answer, or `None` for a length that none has.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Option<KeyCardInfo<'a>> {
        let mut fields = Reader(bytes);
        let (left, kinds) = (fields.take()?, fields.take()?);
        let (keys, rest) = bytes.get(KeyCardInfo::HEAD_LEN..)?.as_chunks();
        rest.is_empty().then_some(KeyCardInfo {
            left: u32::from_be_bytes(left),
            kinds: AllowedKinds(u32::from_be_bytes(kinds)),
            keys,
        })
    }

    /// Its keys.
    pub fn keys(&self) -> impl Iterator<Item = KeyEntry> + 'a {
        self.keys.iter().map(|entry| KeyEntry::from_bytes(*entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use ykt_crypto::Key16;

    const CARD: IssuedCard = IssuedCard {
        card: Asn8(hex!("1700010170907984")),
        city: IssuerFactor(hex!("2144FF0000000000")),
        province: Some(IssuerFactor(hex!("3100FFFFFFFFFFFF"))),
    };

    /// Vector `diversify/3 level …`: each level of a key gives the same card key.
    #[test]
    fn levels() {
        let key = |hex| CardKey::Tdes(Key16::from_bytes(hex));
        for (levels, above) in [
            (3, hex!("606162636465666768696A6B6C6D6E6F")),
            (2, hex!("340E8FCDEED360DA8ADA3302D26200A1")),
            (1, hex!("747A3233C91B59C5E0281460A2BC3D23")),
            (0, hex!("E3FB4F1E45AFB9CF6ACC9C2B54448231")),
        ] {
            let derived = CARD.derive(&key(above), levels).unwrap();
            assert_eq!(derived.expose(), hex!("E3FB4F1E45AFB9CF6ACC9C2B54448231"), "{levels}");
        }
        let below = IssuedCard { province: None, ..CARD };
        assert!(below.derive(&key([0; 16]), 3).is_none());
    }

    #[test]
    fn bytes_of_the_wire() {
        let begin = BeginCard { card: CARD };
        let apdu = begin.to_apdu();
        assert_eq!(apdu.as_bytes(), hex!("8074000018 1700010170907984 2144FF0000000000 3100FFFFFFFFFFFF 04"));
        assert_eq!(BeginCard::parse(&Command::parse(&apdu).unwrap()), Ok(begin));
        let record = IssueRecord { left: 7, under_way: Some(CARD) };
        assert_eq!(record.to_bytes(), hex!("00000007 03 1700010170907984 2144FF0000000000 3100FFFFFFFFFFFF"));
        for record in [record, IssueRecord { left: u32::MAX, under_way: None }] {
            assert_eq!(IssueRecord::from_bytes(record.to_bytes()), Some(record));
        }
        for count in [1, 4, 0xFF] {
            let mut bytes = record.to_bytes();
            bytes[4] = count;
            assert_eq!(IssueRecord::from_bytes(bytes), None);
        }
        let order = KeyOrder {
            kind: IssueKind::Application(KeyUsage::Load),
            version: KeyVersion(1),
            target: KeyTarget::Add { id: 1, usage: KeyUsage::Load },
            control_version: KeyVersion(2),
            use_right: Access::ALWAYS,
            follow_up: 0,
            change_right: Access::ALWAYS,
            tries: ErrorCounter::THREE,
        };
        let derive = DeriveCardKey { order, iv: hex!("A1B2C3D400000000") };
        assert_eq!(derive.to_apdu(), hex!("80763F010E 81 02 F0 00 F0 33 A1B2C3D400000000 00"));
        assert_eq!(DeriveCardKey::parse(&Command::parse(&derive.to_apdu()).unwrap()), Ok(derive));
        let short = hex!("80763F010A 81 02 F0 00 F0 33 A1B2C3D4");
        assert_eq!(DeriveCardKey::parse(&Command::parse(&short).unwrap()), Ok(derive));
    }

    #[test]
    fn control_keys_and_their_names() {
        let parse = |kind: u8, p1: u8| {
            let apdu = [0x80, 0x76, kind, 1, 10, p1, 1, 0xF0, 0, 0xF0, 0x33, 1, 2, 3, 4];
            DeriveCardKey::parse(&Command::parse(&apdu).unwrap()).map(|derive| derive.control())
        };
        assert_eq!(parse(0x21, 0x80), Ok(IssueKind::Transport), "the first card master key");
        assert_eq!(parse(0x21, 0x00), Ok(IssueKind::CardMaster), "in place of another");
        assert_eq!(parse(0x22, 0x80), Ok(IssueKind::CardMaster));
        assert_eq!(parse(0x23, 0x00), Ok(IssueKind::CardMaster));
        assert_eq!(parse(0x3E, 0x81), Ok(IssueKind::ApplicationMaster));
        assert_eq!(parse(0x39, 0x81), Ok(IssueKind::ApplicationMaster));
        assert_eq!(parse(0x39, 0x80), Err(StatusWord::WRONG_DATA), "no control key under another name");
        assert_eq!(parse(0x21, 0x81), Err(StatusWord::WRONG_DATA));
        for kind in [0x20, 0x3A, 0x00, 0x7F] {
            assert_eq!(parse(kind, 0x81), Err(StatusWord::WRONG_P1P2), "{kind:02X}");
        }
    }

    #[test]
    fn attributes() {
        let kinds = AllowedKinds::of(&[IssueKind::CardMaster, IssueKind::Application(KeyUsage::Load)]);
        assert_eq!(kinds.0, 0x8000_0002);
        let bytes = hex!("80000002 2144FF0000000000 0000000000000000");
        let attributes = Attributes::from_bytes(&bytes).unwrap();
        assert!(attributes.kinds.allow(IssueKind::CardMaster));
        assert!(!attributes.kinds.allow(IssueKind::ApplicationMaster));
        assert!(!AllowedKinds(u32::MAX).allow(IssueKind::Transport));
        assert!(attributes.allow_city(CARD.city));
        assert!(!attributes.allow_city(IssuerFactor([0; 8])), "an empty place is no city");
        assert_eq!(Attributes::from_bytes(&bytes[..5]), None);
        let info = hex!("00000007 80000002 7F 01 00 8CA64D");
        let info = KeyCardInfo::from_bytes(&info).unwrap();
        assert_eq!(info.left, 7);
        let entry = KeyEntry { usage: 0x7F, version: KeyVersion(1), algorithm: 0, check: hex!("8CA64D") };
        assert!(info.keys().eq([entry]));
    }
}
