//! Usage bytes of a key card: what a key derives, how high it lies, and under which key its result enters a card.

use crate::types::Algorithm;
use crate::wire::Reader;
use crate::write_key::{KeyForm, KeyUsage, PIN_FIELD_LEN};
use ykt_base::KeyVersion;

/// Most levels a key of a key card can be above the card.
const LEVELS_MAX: u8 = 3;

/// What a key that the card derives is for: six bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueKind {
    /// 20: the factory's transport key. It only controls; no card gets it.
    Transport,
    /// 21: card master key (卡片主控), under the transport key; in place of another one under that.
    CardMaster,
    /// 22: card maintenance key (卡片维护), under the card master key.
    CardMaintenance,
    /// 23: application master key (应用主控), under the card master key.
    ApplicationMaster,
    /// 30 to 3F: any other key of a user card, by its own usage byte; 24 to 26 for 50 to 52 (tickets, bank cards).
    /// Under the application master key. Not a PIN.
    Application(KeyUsage),
}

impl IssueKind {
    /// The kind of a code, or `None` for one that means none.
    #[must_use]
    pub fn from_code(code: u8) -> Option<IssueKind> {
        match code {
            0x20 => Some(IssueKind::Transport),
            0x21 => Some(IssueKind::CardMaster),
            0x22 => Some(IssueKind::CardMaintenance),
            0x23 => Some(IssueKind::ApplicationMaster),
            0x24 => Some(IssueKind::Application(KeyUsage::TicketIssue)),
            0x25 => Some(IssueKind::Application(KeyUsage::TicketRedeem)),
            0x26 => Some(IssueKind::Application(KeyUsage::BankCard)),
            0x40.. => None,
            _ => {
                KeyUsage::from_code(code).filter(|usage| *usage != KeyUsage::Pin).map(IssueKind::Application)
            }
        }
    }

    /// The six bits.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            IssueKind::Transport => 0x20,
            IssueKind::CardMaster => 0x21,
            IssueKind::CardMaintenance => 0x22,
            IssueKind::ApplicationMaster => 0x23,
            IssueKind::Application(KeyUsage::TicketIssue) => 0x24,
            IssueKind::Application(KeyUsage::TicketRedeem) => 0x25,
            IssueKind::Application(KeyUsage::BankCard) => 0x26,
            IssueKind::Application(usage) => usage.code(),
        }
    }

    /// What it is on the user card; `None` for the transport key.
    #[must_use]
    pub const fn usage(self) -> Option<KeyUsage> {
        match self {
            IssueKind::Transport => None,
            IssueKind::CardMaster | IssueKind::ApplicationMaster => Some(KeyUsage::ExternalAuthentication),
            IssueKind::CardMaintenance => Some(KeyUsage::LineProtection),
            IssueKind::Application(usage) => Some(usage),
        }
    }

    /// The key under which it enters the card (`keys-and-ca.md` 4).
    pub(super) const fn control(self, is_change: bool) -> IssueKind {
        match self {
            IssueKind::CardMaster if is_change => IssueKind::CardMaster,
            IssueKind::Transport | IssueKind::CardMaster => IssueKind::Transport,
            IssueKind::CardMaintenance | IssueKind::ApplicationMaster => IssueKind::CardMaster,
            IssueKind::Application(_) => IssueKind::ApplicationMaster,
        }
    }
}

/// A key that derives card keys: its kind, and how many levels lie between it and the card: `levels << 6 | kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssueUsage {
    levels: u8,
    kind: IssueKind,
}

impl IssueUsage {
    /// The usage of 0 to 3 levels and a kind. No level is left to a key that all cards of a batch
    /// share, as transport and master keys may be; the others are made for one card. `None` otherwise.
    #[must_use]
    pub const fn new(levels: u8, kind: IssueKind) -> Option<IssueUsage> {
        match (levels, kind) {
            (0, IssueKind::Application(_)) => None,
            (0..=LEVELS_MAX, _) => Some(IssueUsage { levels, kind }),
            _ => None,
        }
    }

    /// Every usage of a kind: one for each number of levels. Kind and version name one key at most.
    pub fn of_kind(kind: IssueKind) -> impl Iterator<Item = IssueUsage> {
        (0..=LEVELS_MAX).filter_map(move |levels| IssueUsage::new(levels, kind))
    }

    /// Levels of diversification between this key and the card.
    #[must_use]
    pub const fn levels(self) -> u8 {
        self.levels
    }

    /// What for.
    #[must_use]
    pub const fn kind(self) -> IssueKind {
        self.kind
    }

    /// The usage byte.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.levels << 6 | self.kind.code()
    }
}

/// Usage byte of any key of a key card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyCardUsage {
    /// 00: its own master key.
    Master,
    /// 01: its own maintenance key.
    Maintenance,
    /// 37: the key that unblocks the operator's PIN.
    PinUnblock,
    /// 3A: the operator's PIN.
    Pin,
    /// A key that derives card keys.
    Issue(IssueUsage),
}

impl KeyCardUsage {
    /// The usage of a byte, or `None` for one that means none.
    #[must_use]
    pub fn from_code(code: u8) -> Option<KeyCardUsage> {
        match code {
            0x00 => Some(KeyCardUsage::Master),
            0x01 => Some(KeyCardUsage::Maintenance),
            0x37 => Some(KeyCardUsage::PinUnblock),
            0x3A => Some(KeyCardUsage::Pin),
            _ => {
                let kind = IssueKind::from_code(code & 0x3F)?;
                IssueUsage::new(code >> 6, kind).map(KeyCardUsage::Issue)
            }
        }
    }

    /// The byte.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            KeyCardUsage::Master => 0x00,
            KeyCardUsage::Maintenance => 0x01,
            KeyCardUsage::PinUnblock => 0x37,
            KeyCardUsage::Pin => 0x3A,
            KeyCardUsage::Issue(usage) => usage.code(),
        }
    }
}

/// Length of a key's header in WRITE KEY.
pub const HEADER_LEN: usize = 3;

/// Header of a key in WRITE KEY: usage, version, and algorithm or length of the PIN, as a PSAM has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCardHeader {
    /// What for.
    pub usage: KeyCardUsage,
    /// Version.
    pub version: KeyVersion,
    /// Algorithm, or length of a PIN.
    pub form: KeyForm,
}

impl KeyCardHeader {
    /// CLA INS P1 P2 of WRITE KEY: which key it is, the header says.
    pub const COMMAND: [u8; 4] = [0x84, 0xD4, 0x00, 0x00];

    /// Reads header and key field, or `None` when a byte means nothing or the field's length is not the header's.
    #[must_use]
    pub fn parse(plain: &[u8]) -> Option<(KeyCardHeader, &[u8])> {
        let mut fields = Reader(plain);
        let [usage, version, form] = fields.take::<HEADER_LEN>()?;
        let usage = KeyCardUsage::from_code(usage)?;
        let (form, len) = match usage {
            KeyCardUsage::Pin if !(2..=6).contains(&form) => return None,
            KeyCardUsage::Pin => (KeyForm::Pin { len: form }, PIN_FIELD_LEN),
            _ => {
                let algorithm = Algorithm::from_code(form)?;
                (KeyForm::Key(algorithm), algorithm.key_len())
            }
        };
        let header = KeyCardHeader { usage, version: KeyVersion(version), form };
        (fields.0.len() == len).then_some((header, fields.0))
    }

    /// The three bytes.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let form = match self.form {
            KeyForm::Key(algorithm) => algorithm.code(),
            KeyForm::Pin { len } => len,
        };
        [self.usage.code(), self.version.0, form]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn every_usage_byte_comes_back_or_is_refused() {
        let mut known = 0;
        for code in 0..=u8::MAX {
            if let Some(usage) = KeyCardUsage::from_code(code) {
                known += 1;
                assert_eq!(usage.code(), code);
            }
        }
        // Four of its own; four kinds at four levels, sixteen at three.
        assert_eq!(known, 4 + 4 * 4 + 16 * 3);
        for usage in KeyUsage::ALL.into_iter().filter(|usage| *usage != KeyUsage::Pin) {
            let kind = IssueKind::Application(usage);
            assert_eq!(IssueKind::from_code(kind.code()), Some(kind));
        }
        for code in [0x3A, 0x7A, 0xBA, 0xFA, 0x3E, 0x33, 0x27, 0x02] {
            let derives = matches!(KeyCardUsage::from_code(code), Some(KeyCardUsage::Issue(_)));
            assert!(!derives, "{code:02X} derives no card key");
        }
    }

    #[test]
    fn headers() {
        let pin = hex!("3A 01 03 123456FFFFFF");
        let (header, field) = KeyCardHeader::parse(&pin).unwrap();
        assert_eq!((header.to_bytes().as_slice(), field), (&pin[..3], &pin[3..]));
        for wrong in [&hex!("3A 01 07 123456FFFFFF")[..], &hex!("3A 01 03 123456"), &hex!("7E 01 02 00")] {
            assert_eq!(KeyCardHeader::parse(wrong), None);
        }
    }
}
