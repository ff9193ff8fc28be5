//! WRITE KEY (写密钥): keys and PINs enter a card as cryptograms only.
//!
//! User cards take the platform's layout (`epurse.md` 0): LD || version, algorithm, usage, use right, follow-up
//! state, change right, error counter || key; other families of cards have others ([`KeyLayout`]). A PSAM takes LD ||
//! usage, version, algorithm || key (3.3). All are enciphered under a control key and MACed with it; the IV is the
//! card's challenge.

mod layout;

pub use layout::{KeyLayout, KeyOrder, KeyRequest, WrittenKey};

use crate::create::Access;
use crate::psam::SamUsage;
use crate::types::Algorithm;
use crate::wire::Reader;
use ykt_base::{KeyVersion, StatusWord};
use ykt_crypto::CardKey;
use ykt_crypto::sm::{self, Bytes, CommandBytes, Padding};

/// Length of a user card's key header.
pub const HEADER_LEN: usize = 7;
/// Length of a PSAM's key header.
pub const SAM_HEADER_LEN: usize = 3;
/// Length of a PIN's field; shorter PINs are filled up with FF.
pub const PIN_FIELD_LEN: usize = 6;
/// Id of the control key of a DF: CCK in the MF, application master key in an ADF.
pub const CONTROL_KEY_ID: u8 = 0;

/// What a user card's key may be used for: the type byte of `epurse.md` 3.1, P2 of WRITE KEY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyUsage {
    /// 30: encipher.
    Encipher,
    /// 31: decipher.
    Decipher,
    /// 32: MAC.
    Mac,
    /// 34: internal authentication and TAC.
    InternalTac,
    /// 36: line protection, the maintenance key (应用维护).
    LineProtection,
    /// 37: PIN unblock.
    PinUnblock,
    /// 38: PIN reload.
    PinReload,
    /// 39: external authentication; the one of id [`CONTROL_KEY_ID`] is the DF's control key.
    ExternalAuthentication,
    /// 3A: PIN.
    Pin,
    /// 3B: online grey unlock. No source gives it a code; this one is free between its neighbours.
    GreyUnlock,
    /// 3C: overdraft limit.
    Overdraft,
    /// 3D: unload.
    Unload,
    /// 3E: purchase.
    Purchase,
    /// 3F: load.
    Load,
    /// 50: ticket issue, the platform's own: what the issuer's host writes and deletes tickets with.
    TicketIssue,
    /// 51: ticket redemption, the platform's own: what gates and tills redeem tickets with.
    TicketRedeem,
    /// 52: bank card, the platform's own: what bank and card prove themselves to each other with.
    BankCard,
}

impl KeyUsage {
    /// Every usage, in the order of its codes.
    pub const ALL: [KeyUsage; 17] = [
        KeyUsage::Encipher,
        KeyUsage::Decipher,
        KeyUsage::Mac,
        KeyUsage::InternalTac,
        KeyUsage::LineProtection,
        KeyUsage::PinUnblock,
        KeyUsage::PinReload,
        KeyUsage::ExternalAuthentication,
        KeyUsage::Pin,
        KeyUsage::GreyUnlock,
        KeyUsage::Overdraft,
        KeyUsage::Unload,
        KeyUsage::Purchase,
        KeyUsage::Load,
        KeyUsage::TicketIssue,
        KeyUsage::TicketRedeem,
        KeyUsage::BankCard,
    ];

    /// The byte of the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            KeyUsage::Encipher => 0x30,
            KeyUsage::Decipher => 0x31,
            KeyUsage::Mac => 0x32,
            KeyUsage::InternalTac => 0x34,
            KeyUsage::LineProtection => 0x36,
            KeyUsage::PinUnblock => 0x37,
            KeyUsage::PinReload => 0x38,
            KeyUsage::ExternalAuthentication => 0x39,
            KeyUsage::Pin => 0x3A,
            KeyUsage::GreyUnlock => 0x3B,
            KeyUsage::Overdraft => 0x3C,
            KeyUsage::Unload => 0x3D,
            KeyUsage::Purchase => 0x3E,
            KeyUsage::Load => 0x3F,
            KeyUsage::TicketIssue => 0x50,
            KeyUsage::TicketRedeem => 0x51,
            KeyUsage::BankCard => 0x52,
        }
    }

    /// The usage of a byte, or `None` for a byte that means none.
    #[must_use]
    pub fn from_code(code: u8) -> Option<KeyUsage> {
        KeyUsage::ALL.into_iter().find(|usage| usage.code() == code)
    }
}

/// What the key field holds: the algorithm byte of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyForm {
    /// A key of this algorithm.
    Key(Algorithm),
    /// A PIN of which the first `len` bytes (2 to 6) count.
    Pin {
        /// Bytes that are compared.
        len: u8,
    },
}

/// Error counter: tries allowed (high nibble) and left (low nibble). A success restores it; 0 left is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCounter(pub u8);

impl ErrorCounter {
    /// Three tries.
    pub const THREE: ErrorCounter = ErrorCounter(0x33);

    /// Tries allowed.
    #[must_use]
    pub const fn allowed(self) -> u8 {
        self.0 >> 4
    }

    /// Tries left.
    #[must_use]
    pub const fn left(self) -> u8 {
        self.0 & 0x0F
    }

    /// After a wrong try.
    #[must_use]
    pub const fn after_failure(self) -> ErrorCounter {
        ErrorCounter(self.0 & 0xF0 | self.left().saturating_sub(1))
    }

    /// After a right try.
    #[must_use]
    pub const fn after_success(self) -> ErrorCounter {
        ErrorCounter(self.0 & 0xF0 | self.allowed())
    }
}

/// The seven header bytes of a user card's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHeader {
    /// Version.
    pub version: KeyVersion,
    /// Algorithm, or length of a PIN.
    pub form: KeyForm,
    /// What for.
    pub usage: KeyUsage,
    /// Right to use it.
    pub use_right: Access,
    /// Security state after a success.
    pub follow_up: u8,
    /// Right to change it.
    pub change_right: Access,
    /// Tries.
    pub tries: ErrorCounter,
}

impl KeyHeader {
    /// Reads header and key field of the platform's layout, or `None` when a byte means nothing or the field's length
    /// is not the header's.
    #[must_use]
    pub fn parse(plain: &[u8]) -> Option<(KeyHeader, &[u8])> {
        let any = KeyRequest { order: KeyOrder::AddOrChange, id: Some(0), usage: None };
        let written = KeyLayout::SourceDocuments.read(any, plain)?;
        Some((written.header?, written.field))
    }

    /// The seven bytes of the platform's layout.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let header = KeyLayout::SourceDocuments.header(0, self);
        bytes.iter_mut().zip(header.iter()).for_each(|(byte, field)| *byte = *field);
        bytes
    }
}

/// Which key a WRITE KEY is about: P1 and P2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyTarget {
    /// P1 = 80 | id: a key that is not there yet.
    Add {
        /// Key id, 0 to 7F: the index of a purchase or load key.
        id: u8,
        /// Usage.
        usage: KeyUsage,
    },
    /// P1 = id: a key that takes the place of the one there.
    Change {
        /// Key id, 0 to 7F.
        id: u8,
        /// Usage.
        usage: KeyUsage,
    },
}

impl KeyTarget {
    /// Reads P1 and P2 of the platform's layout.
    ///
    /// # Errors
    /// 6A86 for a P2 that is no usage.
    pub fn from_p1p2(p1: u8, p2: u8) -> Result<KeyTarget, StatusWord> {
        let usage = KeyUsage::from_code(p2).ok_or(StatusWord::WRONG_P1P2)?;
        let id = p1 & 0x7F;
        Ok(if p1 & 0x80 == 0 { KeyTarget::Change { id, usage } } else { KeyTarget::Add { id, usage } })
    }

    /// Usage.
    #[must_use]
    pub const fn usage(self) -> KeyUsage {
        match self {
            KeyTarget::Add { usage, .. } | KeyTarget::Change { usage, .. } => usage,
        }
    }

    /// Key id.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            KeyTarget::Add { id, .. } | KeyTarget::Change { id, .. } => id,
        }
    }

    /// CLA INS P1 P2 of the platform's layout.
    #[must_use]
    pub const fn header(self) -> [u8; 4] {
        KeyLayout::SourceDocuments.command(self)
    }
}

/// The three header bytes of a PSAM's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamKeyHeader {
    /// Usage: levels left and type.
    pub usage: SamUsage,
    /// Version.
    pub version: KeyVersion,
    /// Algorithm.
    pub algorithm: Algorithm,
}

impl SamKeyHeader {
    /// CLA INS P1 P2 of a PSAM's WRITE KEY: which key it is, the header says.
    pub const COMMAND: [u8; 4] = [0x84, 0xD4, 0x00, 0x00];

    /// Reads header and key, or `None` when a byte means nothing or the key's length is not its algorithm's.
    #[must_use]
    pub fn parse(plain: &[u8]) -> Option<(SamKeyHeader, &[u8])> {
        let mut fields = Reader(plain);
        let [usage, version, algorithm] = fields.take::<SAM_HEADER_LEN>()?;
        let header = SamKeyHeader {
            usage: SamUsage::from_code(usage)?,
            version: KeyVersion(version),
            algorithm: Algorithm::from_code(algorithm)?,
        };
        (fields.0.len() == header.algorithm.key_len()).then_some((header, fields.0))
    }

    /// The three bytes.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; SAM_HEADER_LEN] {
        [self.usage.code(), self.version.0, self.algorithm.code()]
    }
}

/// The whole command: header and key enciphered under the control key (padding always), then the MAC. `None`
/// when they are longer than a command can carry.
#[must_use]
pub fn command(
    control: &CardKey,
    iv: [u8; 8],
    command: [u8; 4],
    header: &[u8],
    key: &[u8],
) -> Option<CommandBytes> {
    sm::enciphered_with_mac(control, Padding::Always, iv, command, &[header, key])
}

/// A PIN as the card keeps it: digits two a byte, an odd last one and the rest of the field filled with F.
/// Wiped when dropped.
#[derive(Clone)]
pub struct Pin(Bytes<PIN_FIELD_LEN>);

impl Pin {
    /// The PIN of 4 to 12 decimal digits, or `None` for another text.
    #[must_use]
    pub fn from_digits(digits: &str) -> Option<Pin> {
        let digits = digits.as_bytes();
        if !(4..=12).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let mut bytes = Bytes::new();
        for pair in digits.chunks(2) {
            let (high, low) = match pair {
                [high, low] => (*high, low & 0x0F),
                [high] => (*high, 0x0F),
                _ => return None,
            };
            bytes.push(&[(high & 0x0F) << 4 | low])?;
        }
        Some(Pin(bytes))
    }

    /// The PIN of two to six bytes: digits, then F to the end. `None` for other bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Pin> {
        let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
        let digits = nibbles.clone().take_while(|nibble| *nibble <= 9).count();
        let mut filler = nibbles.skip(digits);
        if digits < 4 || !filler.all(|nibble| nibble == 0x0F) {
            return None;
        }
        Bytes::from_parts(&[bytes]).map(Pin)
    }

    /// The bytes VERIFY sends, two to six.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The form byte of its key header.
    #[must_use]
    pub fn form(&self) -> KeyForm {
        KeyForm::Pin { len: u8::try_from(self.0.len()).unwrap_or(u8::MAX) }
    }

    /// The key field of WRITE KEY: filled up with FF.
    #[must_use]
    pub fn field(&self) -> Bytes<PIN_FIELD_LEN> {
        let filler = [0xFF; PIN_FIELD_LEN];
        let rest = filler.get(self.0.len()..).unwrap_or_default();
        Bytes::from_parts(&[self.as_bytes(), rest]).unwrap_or_default()
    }
}

/// The header of a control key (CCK or application master key) as the platform writes it: usable always, state F
/// after EXTERNAL AUTHENTICATE, changeable by whoever has the control key above it, three tries.
#[must_use]
pub const fn control_key_header(version: KeyVersion) -> KeyHeader {
    KeyHeader {
        version,
        form: KeyForm::Key(Algorithm::TripleDes),
        usage: KeyUsage::ExternalAuthentication,
        use_right: Access::ALWAYS,
        follow_up: 0x0F,
        change_right: Access::ALWAYS,
        tries: ErrorCounter::THREE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use ykt_crypto::Key16;

    const IV: [u8; 8] = hex!("A1B2C3D400000000");

    fn control() -> CardKey {
        CardKey::Tdes(Key16::from_bytes(hex!("57494E4E4552313233343536373839AA")))
    }

    fn header(form: KeyForm, usage: KeyUsage) -> KeyHeader {
        KeyHeader {
            version: KeyVersion(1),
            form,
            usage,
            use_right: Access::ALWAYS,
            follow_up: 0,
            change_right: Access::ALWAYS,
            tries: ErrorCounter::THREE,
        }
    }

    /// Vectors `write key/default …`: 16-byte key, 8-byte key, PIN.
    #[test]
    fn vectors_default_layout() {
        let purchase = KeyTarget::Add { id: 1, usage: KeyUsage::Purchase };
        let pin = Pin::from_digits("123456").unwrap();
        let pin_header = KeyHeader {
            version: KeyVersion(0),
            follow_up: 1,
            ..header(KeyForm::Pin { len: 6 }, KeyUsage::Pin)
        };
        for (target, header, key, want) in [
            (
                purchase,
                header(KeyForm::Key(Algorithm::TripleDes), KeyUsage::Purchase),
                &hex!("FBB4B98851865C96144C89BF8767E819")[..],
                &hex!("84D4813E2466EBD5D173B498EB7A61E7CFCB4BDE8573A38BA0DDE3A24383BECD8D2DD60A48A37A18CB")[..],
            ),
            (
                purchase,
                header(KeyForm::Key(Algorithm::Des), KeyUsage::Purchase),
                &hex!("FBB4B98851865C96"),
                &hex!("84D4813E1C05EC1A4600F603F37A61E7CFCB4BDE8583BECD8D2DD60A48DE180385"),
            ),
            (
                KeyTarget::Add { id: 0, usage: KeyUsage::Pin },
                pin_header,
                &pin.field(),
                &hex!("84D4803A14841BD9174E9EDE6E76A1C9513EB4CB46EF2EFBEC"),
            ),
        ] {
            let apdu = command(&control(), IV, target.header(), &header.to_bytes(), key).unwrap();
            assert_eq!(apdu.as_bytes(), want);
            assert_eq!(KeyTarget::from_p1p2(apdu[2], apdu[3]), Ok(target));
            let cryptogram = &apdu[5..apdu.len() - 4];
            let plain = control().decipher(Padding::Always, cryptogram).unwrap();
            assert_eq!(KeyHeader::parse(&plain), Some((header, key)));
        }
    }

    /// Vectors `write key/PSAM 84D4 …`.
    #[test]
    fn vectors_psam_layout() {
        let one_level = SamUsage::from_code(0x22).unwrap();
        for (algorithm, key, want) in [
            (
                Algorithm::TripleDes,
                &hex!("D1DDE3110396EDEEDF3FAF569AF955D1")[..],
                &hex!("84D400001C074BE793785F60964D7E533EC32584A7C1CFD740A6525139DEC9E169")[..],
            ),
            (
                Algorithm::Des,
                &hex!("FBB4B98851865C96"),
                &hex!("84D4000014726C69AC3DE23DD71B9584D14F8E7AE973B3FBA9"),
            ),
        ] {
            let header = SamKeyHeader { usage: one_level, version: KeyVersion(1), algorithm };
            let apdu = command(&control(), IV, SamKeyHeader::COMMAND, &header.to_bytes(), key).unwrap();
            assert_eq!(apdu.as_bytes(), want);
            let plain = control().decipher(Padding::Always, &apdu[5..apdu.len() - 4]).unwrap();
            assert_eq!(SamKeyHeader::parse(&plain), Some((header, key)));
        }
        assert_eq!(SamKeyHeader::parse(&hex!("220101FBB4B98851865C")), None);
    }

    #[test]
    fn headers_must_mean_something() {
        let good = header(KeyForm::Key(Algorithm::TripleDes), KeyUsage::Load).to_bytes();
        let with = |at: usize, value: u8, key_len: usize| {
            let mut plain = [0; 32];
            plain[..7].copy_from_slice(&good);
            plain[at] = value;
            KeyHeader::parse(&plain[..7 + key_len]).is_some()
        };
        assert!(with(0, 1, 16));
        assert!(!with(0, 1, 15), "key too short");
        assert!(!with(1, 2, 16), "no algorithm 02");
        assert!(!with(2, 0x35, 16), "no usage 35");
        let pin = [0, 7, 0x3A, 0xF0, 1, 0xF0, 0x33, 1, 2, 3, 4, 5, 6];
        assert_eq!(KeyHeader::parse(&pin), None, "a PIN has at most 6 bytes");
        assert_eq!(KeyTarget::from_p1p2(0x81, 0x33), Err(StatusWord::WRONG_P1P2));
        assert_eq!(KeyHeader::parse(&good[..6]), None);
    }

    #[test]
    fn pins() {
        let of = |digits: &str| Pin::from_digits(digits).map(|pin| pin.as_bytes().to_vec());
        assert_eq!(of("123456"), Some(hex!("123456").to_vec()));
        assert_eq!(of("12345"), Some(hex!("12345F").to_vec()));
        assert_eq!(Pin::from_digits("12345").unwrap().field().as_bytes(), hex!("12345FFFFFFF"));
        let whole = |bytes: &[u8]| Pin::from_bytes(bytes).map(|pin| pin.as_bytes().to_vec());
        assert_eq!(whole(&hex!("123456FFFFFF")), Some(hex!("123456FFFFFF").to_vec()));
        assert_eq!(whole(&hex!("12345F")), Some(hex!("12345F").to_vec()));
        for bad in [&hex!("123F")[..], &hex!("12A4"), &hex!("1234F5"), &hex!("12345678901234"), &[]] {
            assert_eq!(whole(bad), None);
        }
        assert_eq!(of("123"), None);
        assert_eq!(of("1234567890123"), None);
        assert_eq!(of("12a4"), None);
        let three = ErrorCounter::THREE;
        assert_eq!(three.after_failure(), ErrorCounter(0x32));
        assert_eq!(ErrorCounter(0x30).after_failure(), ErrorCounter(0x30));
        assert_eq!(three.after_failure().after_success(), three);
    }
}
