//! How families of card systems lay out a key in WRITE KEY, as tables: which byte of the header means what, and what
//! P1 and P2 say (`epurse.md` 0, 3.1, 3.2).
//!
//! What a layout has no byte for takes a default: version 0, usable and changeable always, no state after a success,
//! no counting of errors, and the algorithm that goes with the key's length (8 bytes single DES, 16 bytes 3DES).

use super::{ErrorCounter, HEADER_LEN, KeyForm, KeyHeader, KeyTarget, KeyUsage, PIN_FIELD_LEN, Pin};
use crate::create::Access;
use crate::types::Algorithm;
use crate::wire::Reader;
use ykt_base::{KeyVersion, StatusWord};
use ykt_crypto::sm::Bytes;

/// Most header bytes of a layout.
pub const HEADER_LEN_MAX: usize = 8;

/// Which family of card systems WRITE KEY follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum KeyLayout {
    /// Seven header bytes; P1 = id (80 | id to add), P2 = usage: the platform's default.
    #[default]
    SourceDocuments,
    /// FMCOS (3.1): five header bytes, the usage first; P1 = 01 to add or the usage to change, P2 = id. A change may
    /// bring the key alone: then its attributes stay.
    Fmcos,
    /// The family with nine bytes before the key, LD among them (3.2); P1 P2 = 00 00: which key it is, the header
    /// says, and whether it is added or changed follows from what is there.
    ///
    /// Of its type bytes the sources show 02 (purchase) and 0B (PIN); the others are the platform's choice: those of a
    /// PSAM (7.2) as far as a user card has such keys, the usage byte of other keys. Its two bytes of change right
    /// are read as the right to use and the right to change.
    NineByte,
}

/// Whether a key is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOrder {
    /// The key must not be there yet.
    Add,
    /// The key must be there.
    Change,
    /// Either.
    AddOrChange,
}

/// Which key is written, as far as P1 and P2 say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRequest {
    /// Whether it is new.
    pub order: KeyOrder,
    /// Its id, unless the header says it.
    pub id: Option<u8>,
    /// Its usage, unless the header says it.
    pub usage: Option<KeyUsage>,
}

/// A key as it came, deciphered and read.
#[derive(Debug, PartialEq, Eq)]
pub struct WrittenKey<'a> {
    /// Whether it is new.
    pub order: KeyOrder,
    /// Its id.
    pub id: u8,
    /// Its usage.
    pub usage: KeyUsage,
    /// Its attributes; `None` when they stay as they are.
    pub header: Option<KeyHeader>,
    /// Key or PIN.
    pub field: &'a [u8],
}

/// What a byte of a header means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Version,
    /// Algorithm; of a PIN its length in the layout of the source documents, else 00.
    Form,
    Usage,
    /// Type byte of [`NINE_BYTE_TYPES`].
    Type,
    Id,
    UseRight,
    FollowUp,
    ChangeRight,
    Tries,
    /// FF, not read.
    Filler,
}

const SOURCE_DOCUMENTS: [Field; HEADER_LEN] = [
    Field::Version,
    Field::Form,
    Field::Usage,
    Field::UseRight,
    Field::FollowUp,
    Field::ChangeRight,
    Field::Tries,
];
const NINE_BYTE: [Field; HEADER_LEN_MAX] = [
    Field::Type,
    Field::Id,
    Field::Version,
    Field::Tries,
    Field::Form,
    Field::UseRight,
    Field::ChangeRight,
    Field::FollowUp,
];
/// Keys of transactions, encipherment and MAC.
const FMCOS_WORKING: [Field; 5] =
    [Field::Usage, Field::UseRight, Field::ChangeRight, Field::Version, Field::Form];
/// External authentication and PIN (whose right to change is EF: never).
const FMCOS_PROOF: [Field; 5] =
    [Field::Usage, Field::UseRight, Field::ChangeRight, Field::FollowUp, Field::Tries];
/// Line protection, PIN unblock, PIN reload.
const FMCOS_COUNTED: [Field; 5] =
    [Field::Usage, Field::UseRight, Field::ChangeRight, Field::Filler, Field::Tries];

/// Type byte of a control key: external authentication with id 0.
const NINE_BYTE_CONTROL: u8 = 0x00;
/// Type bytes of the keys of a purse application.
const NINE_BYTE_TYPES: [(u8, KeyUsage); 14] = [
    (NINE_BYTE_CONTROL, KeyUsage::ExternalAuthentication),
    (0x01, KeyUsage::LineProtection),
    (0x02, KeyUsage::Purchase),
    (0x03, KeyUsage::PinUnblock),
    (0x04, KeyUsage::PinReload),
    (0x06, KeyUsage::Mac),
    (0x07, KeyUsage::Encipher),
    (0x08, KeyUsage::Decipher),
    (0x09, KeyUsage::Load),
    (0x0A, KeyUsage::Unload),
    (0x0B, KeyUsage::Pin),
    (0x0C, KeyUsage::InternalTac),
    (0x0D, KeyUsage::Overdraft),
    (0x0E, KeyUsage::ExternalAuthentication),
];

impl KeyLayout {
    /// Its number in the switches of an application.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            KeyLayout::SourceDocuments => 0,
            KeyLayout::Fmcos => 1,
            KeyLayout::NineByte => 2,
        }
    }

    /// The layout of a number, or `None` for another one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<KeyLayout> {
        match code {
            0 => Some(KeyLayout::SourceDocuments),
            1 => Some(KeyLayout::Fmcos),
            2 => Some(KeyLayout::NineByte),
            _ => None,
        }
    }

    /// What P1 and P2 say.
    ///
    /// # Errors
    /// 6A86 when they mean nothing.
    pub fn request(self, p1: u8, p2: u8) -> Result<KeyRequest, StatusWord> {
        let usage = |code| KeyUsage::from_code(code).map(Some).ok_or(StatusWord::WRONG_P1P2);
        let (order, id, usage) = match (self, p1, p2) {
            (KeyLayout::SourceDocuments, 0x80.., _) => (KeyOrder::Add, Some(p1 & 0x7F), usage(p2)?),
            (KeyLayout::SourceDocuments, ..) => (KeyOrder::Change, Some(p1), usage(p2)?),
            (KeyLayout::Fmcos | KeyLayout::NineByte, _, 0x80..) => return Err(StatusWord::WRONG_P1P2),
            (KeyLayout::Fmcos, 0x01, id) => (KeyOrder::Add, Some(id), None),
            (KeyLayout::Fmcos, code, id) => (KeyOrder::Change, Some(id), usage(code)?),
            (KeyLayout::NineByte, 0x00, 0x00) => (KeyOrder::AddOrChange, None, None),
            (KeyLayout::NineByte, ..) => return Err(StatusWord::WRONG_P1P2),
        };
        Ok(KeyRequest { order, id, usage })
    }

    /// CLA INS P1 P2.
    #[must_use]
    pub const fn command(self, target: KeyTarget) -> [u8; 4] {
        let (id, usage) = (target.id() & 0x7F, target.usage().code());
        let (p1, p2) = match (self, target) {
            (KeyLayout::SourceDocuments, KeyTarget::Add { .. }) => (0x80 | id, usage),
            (KeyLayout::SourceDocuments, KeyTarget::Change { .. }) => (id, usage),
            (KeyLayout::Fmcos, KeyTarget::Add { .. }) => (0x01, id),
            (KeyLayout::Fmcos, KeyTarget::Change { .. }) => (usage, id),
            (KeyLayout::NineByte, _) => (0x00, 0x00),
        };
        [0x84, 0xD4, p1, p2]
    }

    /// The header bytes of the key of this id, as far as the layout has bytes for them.
    #[must_use]
    pub fn header(self, id: u8, header: &KeyHeader) -> Bytes<HEADER_LEN_MAX> {
        let mut bytes = Bytes::new();
        for field in self.fields(header.usage) {
            let byte = match field {
                Field::Version => header.version.0,
                Field::Form => match header.form {
                    KeyForm::Key(algorithm) => algorithm.code(),
                    KeyForm::Pin { len } if self == KeyLayout::SourceDocuments => len,
                    KeyForm::Pin { .. } => 0x00,
                },
                Field::Usage => header.usage.code(),
                Field::Type => type_of(header.usage, id),
                Field::Id => id,
                Field::UseRight => header.use_right.0,
                Field::FollowUp => header.follow_up,
                Field::ChangeRight => header.change_right.0,
                Field::Tries => header.tries.0,
                Field::Filler => 0xFF,
            };
            let pushed = bytes.push(&[byte]);
            debug_assert!(pushed.is_some(), "no layout has more than eight");
        }
        bytes
    }

    /// The key field of a PIN. The layout of the source documents states its length in the header, and fills the field
    /// with FF; in the others the field is as long as the PIN.
    #[must_use]
    pub fn pin_field(self, pin: &Pin) -> Bytes<PIN_FIELD_LEN> {
        match self {
            KeyLayout::SourceDocuments => pin.field(),
            KeyLayout::Fmcos | KeyLayout::NineByte => {
                Bytes::from_parts(&[pin.as_bytes()]).unwrap_or_default()
            }
        }
    }

    /// Reads what was written. `None` when a byte means nothing, contradicts P1 and P2, or the field's length is not
    /// the header's.
    #[must_use]
    pub fn read(self, request: KeyRequest, plain: &[u8]) -> Option<WrittenKey<'_>> {
        let KeyRequest { order, id, usage } = request;
        if let (KeyLayout::Fmcos, KeyOrder::Change, Some(usage), Some(id)) = (self, order, usage, id)
            && is_field(usage, plain)
        {
            return Some(WrittenKey { order, id, usage, header: None, field: plain });
        }
        let known = match self {
            KeyLayout::SourceDocuments => KeyUsage::from_code(*plain.get(2)?)?,
            KeyLayout::Fmcos => KeyUsage::from_code(*plain.first()?)?,
            KeyLayout::NineByte => usage_of(*plain.first()?, *plain.get(1)?)?,
        };
        if usage.is_some_and(|usage| usage != known) {
            return None;
        }
        let mut header = KeyHeader {
            version: KeyVersion(0),
            form: KeyForm::Pin { len: 0 },
            usage: known,
            use_right: Access::ALWAYS,
            follow_up: 0,
            change_right: Access::ALWAYS,
            tries: ErrorCounter(0),
        };
        let (mut id, mut form) = (id, None);
        let mut fields = Reader(plain);
        for field in self.fields(known) {
            let byte = fields.byte()?;
            match field {
                Field::Version => header.version = KeyVersion(byte),
                Field::Form => form = Some(byte),
                Field::Id => id = Some(byte),
                Field::UseRight => header.use_right = Access(byte),
                Field::FollowUp => header.follow_up = byte,
                Field::ChangeRight => header.change_right = Access(byte),
                Field::Tries => header.tries = ErrorCounter(byte),
                Field::Usage | Field::Type | Field::Filler => {}
            }
        }
        let field = fields.0;
        header.form = self.form(known, form, field)?;
        Some(WrittenKey { order, id: id?, usage: known, header: Some(header), field })
    }

    const fn fields(self, usage: KeyUsage) -> &'static [Field] {
        match self {
            KeyLayout::SourceDocuments => &SOURCE_DOCUMENTS,
            KeyLayout::NineByte => &NINE_BYTE,
            KeyLayout::Fmcos => match usage {
                KeyUsage::ExternalAuthentication | KeyUsage::Pin => &FMCOS_PROOF,
                KeyUsage::LineProtection | KeyUsage::PinUnblock | KeyUsage::PinReload => &FMCOS_COUNTED,
                _ => &FMCOS_WORKING,
            },
        }
    }

    /// What the field holds, when it fits.
    fn form(self, usage: KeyUsage, byte: Option<u8>, field: &[u8]) -> Option<KeyForm> {
        if usage == KeyUsage::Pin {
            let len = match (self, byte) {
                (KeyLayout::SourceDocuments, Some(len)) if field.len() == PIN_FIELD_LEN => len,
                (KeyLayout::SourceDocuments, _) => return None,
                (KeyLayout::Fmcos | KeyLayout::NineByte, _) => u8::try_from(field.len()).ok()?,
            };
            return (2..=6).contains(&len).then_some(KeyForm::Pin { len });
        }
        let algorithm = match byte {
            Some(code) => Algorithm::from_code(code)?,
            None => [Algorithm::TripleDes, Algorithm::Des]
                .into_iter()
                .find(|algorithm| algorithm.key_len() == field.len())?,
        };
        (field.len() == algorithm.key_len()).then_some(KeyForm::Key(algorithm))
    }
}

/// Whether these bytes are a key or PIN alone, without a header before it.
fn is_field(usage: KeyUsage, bytes: &[u8]) -> bool {
    match usage {
        KeyUsage::Pin => (2..=PIN_FIELD_LEN).contains(&bytes.len()),
        _ => [8, 16].contains(&bytes.len()),
    }
}

fn type_of(usage: KeyUsage, id: u8) -> u8 {
    let fits = |kind: u8| (kind == NINE_BYTE_CONTROL) == is_control(usage, id);
    let found = NINE_BYTE_TYPES.into_iter().find(|(kind, named)| *named == usage && fits(*kind));
    found.map_or(usage.code(), |(kind, _)| kind)
}

fn usage_of(kind: u8, id: u8) -> Option<KeyUsage> {
    let found = NINE_BYTE_TYPES.into_iter().find(|(code, _)| *code == kind).map(|(_, usage)| usage);
    let usage = found.or_else(|| KeyUsage::from_code(kind))?;
    (type_of(usage, id) == kind).then_some(usage)
}

fn is_control(usage: KeyUsage, id: u8) -> bool {
    usage == KeyUsage::ExternalAuthentication && id == super::CONTROL_KEY_ID
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use ykt_crypto::CardKey;
    use ykt_crypto::sm::Padding;

    const DPK: [u8; 16] = hex!("FBB4B98851865C96144C89BF8767E819");
    const LAYOUTS: [KeyLayout; 3] = [KeyLayout::SourceDocuments, KeyLayout::Fmcos, KeyLayout::NineByte];

    fn header(form: KeyForm, usage: KeyUsage) -> KeyHeader {
        KeyHeader {
            version: KeyVersion(1),
            form,
            usage,
            use_right: Access::ALWAYS,
            follow_up: 0,
            change_right: Access::ALWAYS,
            tries: ErrorCounter(0),
        }
    }

    /// Vectors `write key/variant A …` and `… variant B …`, with the card's side.
    #[test]
    fn vectors_of_the_other_families() {
        let control = CardKey::from_hex("57494E4E4552313233343536373839AA").unwrap();
        let pin = Pin::from_digits("123456").unwrap().field();
        let tdes = KeyForm::Key(Algorithm::TripleDes);
        let purchase = KeyTarget::Add { id: 1, usage: KeyUsage::Purchase };
        let fifteen = |header| KeyHeader { tries: ErrorCounter(0xFF), ..header };
        let pin_header = KeyHeader {
            version: KeyVersion(1),
            follow_up: 1,
            tries: ErrorCounter::THREE,
            ..header(KeyForm::Pin { len: 6 }, KeyUsage::Pin)
        };
        let fmcos_pin = KeyHeader { version: KeyVersion(0), change_right: Access(0xEF), ..pin_header };
        for (layout, target, header, key, want) in [
            (
                KeyLayout::NineByte,
                purchase,
                fifteen(header(tdes, KeyUsage::Purchase)),
                &DPK[..],
                &hex!("84D4000024A6D5CAAA808E448319E0653F329822062A86ABAA5424F12B0F1E922FE7C32A71B7E77705")[..],
            ),
            (
                KeyLayout::NineByte,
                KeyTarget::Add { id: 0, usage: KeyUsage::Pin },
                pin_header,
                &pin,
                &hex!("84D40000145FDF15023E5831C99059228A4540B9ECA176D3B6"),
            ),
            (
                KeyLayout::Fmcos,
                purchase,
                header(tdes, KeyUsage::Purchase),
                &DPK,
                &hex!("84D401011C9EC48D5C31A04636AB3D2681035091E650D633F853E17D4FCC9DB80C"),
            ),
            (
                KeyLayout::Fmcos,
                KeyTarget::Add { id: 0, usage: KeyUsage::Pin },
                fmcos_pin,
                &pin,
                &hex!("84D401001489669397B49E81363F9BEF4DCEE1737A3C050C95"),
            ),
        ] {
            let bytes = layout.header(target.id(), &header);
            let iv = hex!("A1B2C3D400000000");
            let apdu = super::super::command(&control, iv, layout.command(target), &bytes, key).unwrap();
            assert_eq!(apdu.as_bytes(), want);
            let request = layout.request(apdu[2], apdu[3]).unwrap();
            let plain = control.decipher(Padding::Always, &apdu[5..apdu.len() - 4]).unwrap();
            let written = layout.read(request, &plain).unwrap();
            assert_eq!((written.id, written.usage, written.field), (target.id(), target.usage(), key));
            assert_eq!(written.header, Some(header));
        }
    }

    /// Every usage in every layout comes back as far as the layout says it.
    #[test]
    fn every_usage_comes_back() {
        for layout in LAYOUTS {
            for usage in KeyUsage::ALL {
                let (form, field) = match usage {
                    KeyUsage::Pin => (KeyForm::Pin { len: 6 }, &DPK[..6]),
                    _ => (KeyForm::Key(Algorithm::TripleDes), &DPK[..]),
                };
                for id in [0, 1] {
                    let bytes = layout.header(id, &header(form, usage));
                    let plain = [&bytes, field].concat();
                    for target in [KeyTarget::Add { id, usage }, KeyTarget::Change { id, usage }] {
                        let [_, _, p1, p2] = layout.command(target);
                        let request = layout.request(p1, p2).unwrap();
                        let written = layout.read(request, &plain).unwrap();
                        assert_eq!((written.id, written.usage, written.field), (id, usage, field));
                        assert_eq!(layout.header(id, &written.header.unwrap()).as_bytes(), &bytes[..]);
                        assert_eq!(layout.read(request, &plain[..plain.len() - 1]).is_some(), {
                            usage == KeyUsage::Pin && layout != KeyLayout::SourceDocuments
                        });
                    }
                }
            }
        }
    }

    /// A change in FMCOS may bring the key alone.
    #[test]
    fn a_key_alone_keeps_its_attributes() {
        let request = KeyLayout::Fmcos.request(0x3E, 0x01).unwrap();
        for field in [&DPK[..], &DPK[..8]] {
            let written = KeyLayout::Fmcos.read(request, field).unwrap();
            assert_eq!((written.header, written.field), (None, field));
        }
        let add = KeyLayout::Fmcos.request(0x01, 0x01).unwrap();
        assert_eq!(KeyLayout::Fmcos.read(add, &DPK), None);
    }

    #[test]
    fn contradictions_are_refused() {
        let bytes = header(KeyForm::Key(Algorithm::TripleDes), KeyUsage::Load);
        let plain = [&KeyLayout::Fmcos.header(1, &bytes), &DPK[..]].concat();
        let request = KeyLayout::Fmcos.request(0x3E, 0x01).unwrap();
        assert_eq!(KeyLayout::Fmcos.read(request, &plain), None, "a load key in place of a purchase key");
        let nine = KeyLayout::NineByte.request(0, 0).unwrap();
        for (kind, id) in [(0x00, 1), (0x0E, 0), (0x05, 0), (0x3E, 1), (0x99, 0)] {
            let plain = [&[kind, id, 1, 0xFF, 0, 0xF0, 0xF0, 0][..], &DPK].concat();
            assert_eq!(KeyLayout::NineByte.read(nine, &plain), None, "type {kind:02X}, id {id}");
        }
        let mut requests = 0;
        for layout in LAYOUTS {
            for [p1, p2] in (0..=u16::MAX).map(u16::to_be_bytes) {
                requests += usize::from(layout.request(p1, p2).is_ok());
            }
            assert_eq!(KeyLayout::from_code(layout.code()), Some(layout));
        }
        let usages = KeyUsage::ALL.len();
        assert_eq!(requests, 256 * usages + 128 * (usages + 1) + 1);
    }
}
