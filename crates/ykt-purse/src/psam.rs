//! PSAM (消费安全认证模块, `epurse.md` 7): holds the purchase key above the cards, signs and checks for a terminal.
//!
//! The card's factors travel card first, then issuer, then the level above; they are applied from the last to
//! the first. The PSAM counts its own sequence at 8070.

use crate::purchase::{Purchase, PurchaseKind};
use crate::types::{PurseFen, TransactionType};
use crate::wire::{join, whole};
use ykt_base::{
    Asn8, CardCounter, Command, DateTime, IssuerFactor, KeyVersion, Mac4, Random4, StatusWord, TerminalId,
    TerminalSeq,
};
use ykt_crypto::CardKey;
use ykt_crypto::sm::{Bytes, CommandBytes};

/// Length of the answer to INIT SAM FOR PURCHASE.
pub const INIT_ANSWER_LEN: usize = 8;
/// Most levels a key of a PSAM can be above the card.
pub const LEVELS_MAX: usize = 3;

/// What a PSAM key may be used for: the low five bits of its usage byte (`epurse.md` 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SamKeyType {
    /// 0: master.
    Master,
    /// 1: maintenance.
    Maintenance,
    /// 2: purchase.
    Purchase,
    /// 3: PIN unblock.
    PinUnblock,
    /// 4: PIN reload; the halves are XORed after diversification, so it also makes TACs.
    PinReload,
    /// 5: maintenance of the user card's application.
    CardMaintenance,
    /// 6: MAC.
    Mac,
    /// 7: encipherment.
    Encipher,
    /// 8: MAC and encipherment.
    MacAndEncipher,
    /// A, the platform's own: keys of M1 sectors ([`crate::psam_m1`]).
    M1Sectors,
}

impl SamKeyType {
    const ALL: [SamKeyType; 10] = [
        SamKeyType::Master,
        SamKeyType::Maintenance,
        SamKeyType::Purchase,
        SamKeyType::PinUnblock,
        SamKeyType::PinReload,
        SamKeyType::CardMaintenance,
        SamKeyType::Mac,
        SamKeyType::Encipher,
        SamKeyType::MacAndEncipher,
        SamKeyType::M1Sectors,
    ];

    const fn code(self) -> u8 {
        match self {
            SamKeyType::Master => 0,
            SamKeyType::Maintenance => 1,
            SamKeyType::Purchase => 2,
            SamKeyType::PinUnblock => 3,
            SamKeyType::PinReload => 4,
            SamKeyType::CardMaintenance => 5,
            SamKeyType::Mac => 6,
            SamKeyType::Encipher => 7,
            SamKeyType::MacAndEncipher => 8,
            SamKeyType::M1Sectors => 0x0A,
        }
    }
}

/// Usage byte (用途): levels of diversification left, and what for: `levels << 5 | type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SamUsage {
    levels: u8,
    kind: SamKeyType,
}

impl SamUsage {
    /// 42h: purchase key of the issuer, two levels left (city, card): the platform's working key.
    pub const PURCHASE_TWO_LEVELS: SamUsage = SamUsage { levels: 2, kind: SamKeyType::Purchase };
    /// 00h: the PSAM's own master key.
    pub const MASTER: SamUsage = SamUsage { levels: 0, kind: SamKeyType::Master };
    /// 06h: the key of authentication codes ([`crate::auth_code`]), one for all cards.
    pub const AUTHENTICATION_CODE: SamUsage = SamUsage { levels: 0, kind: SamKeyType::Mac };
    /// 0Ah: the key above those of M1 sectors.
    pub const M1_SECTORS: SamUsage = SamUsage { levels: 0, kind: SamKeyType::M1Sectors };
    /// 01h: the PSAM's own maintenance key.
    pub const MAINTENANCE: SamUsage = SamUsage { levels: 0, kind: SamKeyType::Maintenance };

    /// The usage of `levels` (0 to [`LEVELS_MAX`]) and a type, or `None` for more levels.
    #[must_use]
    pub fn new(levels: u8, kind: SamKeyType) -> Option<SamUsage> {
        (usize::from(levels) <= LEVELS_MAX).then_some(SamUsage { levels, kind })
    }

    /// The usage of a byte, or `None` when its type or number of levels means nothing.
    #[must_use]
    pub fn from_code(code: u8) -> Option<SamUsage> {
        let kind = SamKeyType::ALL.into_iter().find(|kind| kind.code() == code & 0x1F)?;
        SamUsage::new(code >> 5, kind)
    }

    /// The byte of the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.levels << 5 | self.kind.code()
    }

    /// Levels of diversification that lie between this key and the card.
    #[must_use]
    pub const fn levels(self) -> u8 {
        self.levels
    }

    /// What for.
    #[must_use]
    pub const fn kind(self) -> SamKeyType {
        self.kind
    }
}

/// The factors between a key above the cards and one card's key: one, two or three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardFactors {
    card: Asn8,
    upper: [Option<IssuerFactor>; LEVELS_MAX - 1],
}

impl CardFactors {
    /// The card only.
    #[must_use]
    pub const fn one_level(card: Asn8) -> CardFactors {
        CardFactors { card, upper: [None, None] }
    }

    /// City (or issuer), then card.
    #[must_use]
    pub const fn two_levels(issuer: IssuerFactor, card: Asn8) -> CardFactors {
        CardFactors { card, upper: [Some(issuer), None] }
    }

    /// Province, then city, then card.
    #[must_use]
    pub const fn three_levels(province: IssuerFactor, city: IssuerFactor, card: Asn8) -> CardFactors {
        CardFactors { card, upper: [Some(city), Some(province)] }
    }

    /// The card number.
    #[must_use]
    pub const fn card(&self) -> Asn8 {
        self.card
    }

    /// The factor directly above the card, when there is one.
    #[must_use]
    pub const fn issuer(&self) -> Option<IssuerFactor> {
        let [issuer, _] = self.upper;
        issuer
    }

    /// The factors in the order they are applied: highest first, card last.
    pub fn highest_first(&self) -> impl Iterator<Item = [u8; 8]> + '_ {
        let upper = self.upper.iter().rev().flatten().map(|factor| factor.0);
        upper.chain(core::iter::once(self.card.0))
    }

    /// How many there are.
    #[must_use]
    pub fn levels(&self) -> usize {
        self.highest_first().count()
    }

    /// The card's key from a key that lies as many levels above as there are factors.
    #[must_use]
    pub fn derive(&self, key: &CardKey) -> CardKey {
        self.highest_first().fold(key.clone(), |key, factor| key.diversify(&factor))
    }

    /// As command data carry them: card first, then upwards.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes<{ 8 * LEVELS_MAX }> {
        let mut bytes = Bytes::from_parts(&[self.card.as_bytes()]).unwrap_or_default();
        let upper = self.upper.iter().flatten().try_for_each(|factor| bytes.push(&factor.0));
        debug_assert!(upper.is_some(), "three factors fit");
        bytes
    }

    /// Reads them from command data: card first, then upwards. `None` when they are not one, two or three
    /// factors of eight bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<CardFactors> {
        let (factors, []) = bytes.as_chunks::<8>() else { return None };
        match factors {
            [card] => Some(CardFactors::one_level(Asn8(*card))),
            [card, issuer] => Some(CardFactors::two_levels(IssuerFactor(*issuer), Asn8(*card))),
            [card, city, province] => {
                Some(CardFactors::three_levels(IssuerFactor(*province), IssuerFactor(*city), Asn8(*card)))
            }
            _ => None,
        }
    }
}

/// What a PSAM is told of a transaction it shall sign; purchase and grey lock travel alike.
pub(crate) struct Opening {
    pub(crate) random: Random4,
    pub(crate) counter: CardCounter,
    /// Amount of a purchase, balance of a grey lock.
    pub(crate) money: PurseFen,
    pub(crate) transaction: TransactionType,
    pub(crate) at: DateTime,
    pub(crate) key_version: KeyVersion,
    pub(crate) algorithm: u8,
    pub(crate) factors: CardFactors,
}

impl Opening {
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 6A80 for an amount, type or date that is none.
    pub(crate) fn parse(command: &Command<'_>) -> Result<Opening, StatusWord> {
        if (command.p1, command.p2) != (0, 0) {
            return Err(StatusWord::WRONG_P1P2);
        }
        let (head, factors) = command.data.split_at_checked(20).ok_or(StatusWord::WRONG_LENGTH)?;
        let factors = CardFactors::from_bytes(factors).ok_or(StatusWord::WRONG_LENGTH)?;
        let opening = whole(head, |fields| {
            Some(Opening {
                random: Random4(fields.take()?),
                counter: CardCounter::from_bytes(fields.take()?),
                money: PurseFen::from_bytes(fields.take()?)?,
                transaction: TransactionType::from_code(fields.byte()?)?,
                at: DateTime::from_bcd(fields.take()?)?,
                key_version: KeyVersion(fields.byte()?),
                algorithm: fields.byte()?,
                factors,
            })
        });
        opening.ok_or(StatusWord::WRONG_DATA)
    }

    /// The command of this class and instruction, Le included.
    pub(crate) fn to_apdu(&self, [cla, ins]: [u8; 2], le: u8) -> CommandBytes {
        let head: [u8; 20] = join(&[
            self.random.as_bytes(),
            &self.counter.to_bytes(),
            &self.money.to_bytes(),
            &[self.transaction.code()],
            &self.at.to_bcd(),
            &[self.key_version.0, self.algorithm],
        ]);
        let factors = self.factors.to_bytes();
        let lc = head.len().saturating_add(factors.len());
        let start = [cla, ins, 0x00, 0x00, u8::try_from(lc).unwrap_or(u8::MAX)];
        let apdu = CommandBytes::from_parts(&[&start, &head, &factors, &[le]]);
        debug_assert!(apdu.is_some(), "at most 50 bytes");
        apdu.unwrap_or_default()
    }
}

/// The MAC2 of a command that carries nothing else.
///
/// # Errors
/// 6A86 for P1 or P2, 6700 for the length.
pub(crate) fn mac2_of(command: &Command<'_>) -> Result<Mac4, StatusWord> {
    if (command.p1, command.p2) != (0, 0) {
        return Err(StatusWord::WRONG_P1P2);
    }
    command.data.try_into().map(Mac4).map_err(|_| StatusWord::WRONG_LENGTH)
}

/// INIT SAM FOR PURCHASE (MAC1 计算): `80 70 00 00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitSamForPurchase {
    /// The card's random number.
    pub random: Random4,
    /// The card's offline counter before the debit.
    pub counter: CardCounter,
    /// Amount.
    pub amount: PurseFen,
    /// Kind of debit; in the command only its type byte travels.
    pub kind: PurchaseKind,
    /// Date and time of the terminal.
    pub at: DateTime,
    /// Key version of the card's answer.
    pub key_version: KeyVersion,
    /// Algorithm byte of the card's answer.
    pub algorithm: u8,
    /// The card's factors.
    pub factors: CardFactors,
}

impl InitSamForPurchase {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 70.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 6A80 for an amount, type or date that is none.
    pub fn parse(command: &Command<'_>) -> Result<InitSamForPurchase, StatusWord> {
        let Opening { random, counter, money, transaction, at, key_version, algorithm, factors } =
            Opening::parse(command)?;
        let kind = PurchaseKind::from_type(transaction).filter(|kind| kind.allows(money));
        let kind = kind.ok_or(StatusWord::WRONG_DATA)?;
        Ok(InitSamForPurchase { random, counter, amount: money, kind, at, key_version, algorithm, factors })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> CommandBytes {
        let InitSamForPurchase {
            random, counter, amount: money, at, key_version, algorithm, factors, ..
        } = *self;
        let transaction = self.kind.transaction_type();
        let opening = Opening { random, counter, money, transaction, at, key_version, algorithm, factors };
        opening.to_apdu([0x80, 0x70], 0x08)
    }

    /// The terms a PSAM signs, with its own terminal id.
    #[must_use]
    pub const fn purchase(&self, terminal: TerminalId) -> Purchase {
        Purchase { kind: self.kind, amount: self.amount, terminal }
    }
}

/// Answer to INIT SAM FOR PURCHASE: sequence || MAC1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamAnswer {
    /// The terminal sequence of this purchase.
    pub sequence: TerminalSeq,
    /// The PSAM's proof to the card.
    pub mac1: Mac4,
}

impl SamAnswer {
    /// Reads the eight bytes, or `None` for another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<SamAnswer> {
        whole(bytes, |fields| {
            let sequence = TerminalSeq::from_bytes(fields.take()?);
            Some(SamAnswer { sequence, mac1: Mac4(fields.take()?) })
        })
    }

    /// The eight bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; INIT_ANSWER_LEN] {
        join(&[&self.sequence.to_bytes(), self.mac1.as_bytes()])
    }
}

/// CREDIT SAM (校验 MAC2): `80 72 00 00 04`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditSam {
    /// The card's MAC2.
    pub mac2: Mac4,
}

impl CreditSam {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 72.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length.
    pub fn parse(command: &Command<'_>) -> Result<CreditSam, StatusWord> {
        mac2_of(command).map(|mac2| CreditSam { mac2 })
    }

    /// The command as bytes.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 9] {
        join(&[&[0x80, 0x72, 0x00, 0x00, 0x04], self.mac2.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::purchase;
    use crate::types::Purse;
    use hex_literal::hex;
    use ykt_crypto::Key16;

    const ASN: Asn8 = Asn8(hex!("1700010170907984"));
    const ISSUER: IssuerFactor = IssuerFactor(hex!("01011000FFFFFFFF"));

    /// Vector `purchase/EP type 06`, the PSAM's side.
    #[test]
    fn vector_init_sam_for_purchase() {
        let init = InitSamForPurchase {
            random: Random4(hex!("5A5B5C5D")),
            counter: CardCounter(0),
            amount: PurseFen::from_bytes(hex!("00000096")).unwrap(),
            kind: PurchaseKind::Purchase(Purse::Ep),
            at: DateTime::from_bcd(hex!("20240131123456")).unwrap(),
            key_version: KeyVersion(1),
            algorithm: 0,
            factors: CardFactors::two_levels(ISSUER, ASN),
        };
        let apdu = init.to_apdu();
        let want =
            hex!("80700000245A5B5C5D00000000009606202401311234560100170001017090798401011000FFFFFFFF08");
        assert_eq!(apdu.as_bytes(), want);
        assert_eq!(InitSamForPurchase::parse(&Command::parse(&apdu).unwrap()), Ok(init));

        let root = CardKey::Tdes(Key16::from_bytes(hex!("404142434445464748494A4B4C4D4E4F")));
        let dpk = init.factors.derive(&root);
        assert_eq!(dpk.expose(), hex!("FBB4B98851865C96144C89BF8767E819"));
        let sequence = TerminalSeq(0x11);
        let session = purchase::session_key(&dpk, init.random, init.counter, sequence);
        let terms = init.purchase(TerminalId(hex!("360486600002")));
        let answer = SamAnswer { sequence, mac1: purchase::mac1(&session, &terms, init.at) };
        assert_eq!(answer.to_bytes(), hex!("00000011FFB035B1"));
        assert_eq!(SamAnswer::from_bytes(&answer.to_bytes()), Some(answer));

        let credit = CreditSam { mac2: Mac4(hex!("F74BAE7B")) };
        assert_eq!(credit.to_apdu(), hex!("8072000004F74BAE7B"));
        assert_eq!(CreditSam::parse(&Command::parse(&credit.to_apdu()).unwrap()), Ok(credit));
    }

    /// One to three factors, read card first, applied highest first.
    #[test]
    fn factors() {
        let province = IssuerFactor(hex!("3100FFFFFFFFFFFF"));
        let city = IssuerFactor(hex!("2144FF0000000000"));
        let three = CardFactors::three_levels(province, city, ASN);
        let bytes = [ASN.0, city.0, province.0].concat();
        assert_eq!(CardFactors::from_bytes(&bytes), Some(three));
        assert_eq!(three.to_bytes().as_bytes(), bytes);
        assert_eq!(three.highest_first().collect::<std::vec::Vec<_>>(), [province.0, city.0, ASN.0]);
        let root = CardKey::Tdes(Key16::from_bytes(hex!("606162636465666768696A6B6C6D6E6F")));
        assert_eq!(three.derive(&root).expose(), hex!("E3FB4F1E45AFB9CF6ACC9C2B54448231"));
        assert_eq!(CardFactors::from_bytes(&bytes[..8]), Some(CardFactors::one_level(ASN)));
        assert_eq!(CardFactors::from_bytes(&bytes[..7]), None);
        assert_eq!(CardFactors::from_bytes(&[]), None);
        assert_eq!(CardFactors::from_bytes(&[0; 32]), None);
        assert_eq!((three.levels(), three.issuer(), three.card()), (3, Some(city), ASN));
    }

    /// Every usage byte: the known come back as they were.
    #[test]
    fn usage_bytes_are_closed() {
        let known = (0..=u8::MAX).filter_map(|code| Some((code, SamUsage::from_code(code)?)));
        assert_eq!(known.clone().count(), 4 * 10);
        known.for_each(|(code, usage)| assert_eq!(usage.code(), code));
        assert_eq!(SamUsage::PURCHASE_TWO_LEVELS.code(), 0x42);
        assert_eq!(SamUsage::new(4, SamKeyType::Mac), None);
    }

    #[test]
    fn wrong_bytes_get_their_status_word() {
        let init = |bytes: &[u8]| InitSamForPurchase::parse(&Command::parse(bytes).unwrap());
        let good = hex!("807000001C5A5B5C5D00000000009606202401311234560100170001017090798408");
        assert!(init(&good).is_ok());
        for (at, value, want) in [
            (2, 1, StatusWord::WRONG_P1P2),
            (11, 0x80, StatusWord::WRONG_DATA),
            (15, 0x02, StatusWord::WRONG_DATA),
            (15, 0x77, StatusWord::WRONG_DATA),
            (18, 0x13, StatusWord::WRONG_DATA),
        ] {
            let mut bad = good;
            bad[at] = value;
            assert_eq!(init(&bad), Err(want), "byte {at} = {value:02X}");
        }
        assert_eq!(
            init(&hex!("80700000145A5B5C5D00000000009606202401311234560100")),
            Err(StatusWord::WRONG_LENGTH)
        );
        assert_eq!(init(&hex!("80700000015A")), Err(StatusWord::WRONG_LENGTH));
        let zero = |kind| {
            let mut command = good;
            (command[14], command[15]) = (0, kind);
            init(&command).map(|init| init.amount)
        };
        assert_eq!(zero(0x06), Err(StatusWord::WRONG_DATA));
        assert_eq!(zero(0x09), Ok(PurseFen::ZERO));
        let credit = |bytes: &[u8]| CreditSam::parse(&Command::parse(bytes).unwrap());
        assert_eq!(credit(&hex!("8072010004F74BAE7B")), Err(StatusWord::WRONG_P1P2));
        assert_eq!(credit(&hex!("8072000003F74BAE")), Err(StatusWord::WRONG_LENGTH));
    }
}
