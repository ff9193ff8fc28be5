//! Notes beside the keys: what a token does not know of a key, kept in the token as data objects, so that the token is
//! whole by itself.
//!
//! A value once written is never written over (tokens do not allow it): a change is a new note, and the old one is
//! removed after. [`crate::ledger`] says which of them count.

use ykt_base::{IssuerFactor, KeyIndex, KeyVersion};
use ykt_vault::{Factor, KeyAlgorithm, KeyKind, KeyPlace, KeyRef, KeyState, Level, Levels, Origin};

/// First byte of a record: what it is.
const FORMAT: u8 = 1;
/// First byte of the record of a key that comes with others.
const ARRIVING: u8 = 2;
/// First byte of the note that an import is whole.
const WHOLE: u8 = 3;
/// First byte of the note that says which change was the latest.
const LATEST: u8 = 4;

/// `CKA_LABEL` of the record of the vault as a whole.
const VAULT_LABEL: &[u8] = b"vault";
/// `CKA_LABEL` of the note of the latest change, before its revision: a label is what tokens let be written over.
const LATEST_LABEL: &str = "latest change ";

/// A data object of the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// The record of the vault as a whole.
    Vault(VaultRecord),
    /// The record of a key.
    Key(KeyRecord),
    /// The record of a key that comes with others: it counts once all of them are there.
    Arriving {
        /// Number of the import.
        import: u64,
        /// The record.
        record: KeyRecord,
    },
    /// The import of this number is whole.
    Whole(u64),
    /// The change of this revision was the latest, and it is complete; 0 while keys are being changed. Whoever knows this
    /// object and finds it as it was knows the whole token.
    Latest(u64),
    /// Another application's.
    Foreign,
}

impl Note {
    /// `CKA_LABEL`.
    pub(crate) fn label(&self) -> Vec<u8> {
        match self {
            Note::Vault(_) => VAULT_LABEL.to_vec(),
            Note::Key(record) | Note::Arriving { record, .. } => label(&record.place),
            Note::Whole(import) => format!("import {import} is whole").into_bytes(),
            Note::Latest(revision) => format!("{LATEST_LABEL}{revision}").into_bytes(),
            Note::Foreign => Vec::new(),
        }
    }

    /// `CKA_VALUE`.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Note::Vault(vault) => vault.to_bytes(),
            Note::Key(record) => record.to_bytes(),
            Note::Arriving { import, record } => {
                [&[ARRIVING], import.to_be_bytes().as_slice(), &record.to_bytes()].concat()
            }
            Note::Whole(import) => [&[WHOLE], import.to_be_bytes().as_slice()].concat(),
            Note::Latest(_) => vec![LATEST],
            Note::Foreign => Vec::new(),
        }
    }

    /// `None` for anything that this version does not write.
    pub(crate) fn from_bytes(label: &[u8], bytes: &[u8]) -> Option<Note> {
        if label == VAULT_LABEL {
            return VaultRecord::from_bytes(bytes).map(Note::Vault);
        }
        let mut fields = Fields(bytes);
        match fields.byte()? {
            ARRIVING => {
                let import = u64::from_be_bytes(fields.array()?);
                Some(Note::Arriving { import, record: KeyRecord::from_bytes(fields.0)? })
            }
            WHOLE => {
                let import = u64::from_be_bytes(fields.array()?);
                fields.0.is_empty().then_some(Note::Whole(import))
            }
            LATEST if fields.0.is_empty() => {
                let revision = std::str::from_utf8(label).ok()?.strip_prefix(LATEST_LABEL)?;
                revision.parse().ok().map(Note::Latest)
            }
            _ => KeyRecord::from_bytes(bytes).map(Note::Key),
        }
    }

    /// Counts the changes of the whole vault.
    pub(crate) const fn revision(&self) -> Option<u64> {
        match self {
            Note::Key(record) | Note::Arriving { record, .. } => Some(record.revision),
            Note::Whole(import) => Some(*import),
            Note::Vault(_) | Note::Latest(_) | Note::Foreign => None,
        }
    }

    /// The import it came with.
    pub(crate) const fn import(&self) -> Option<u64> {
        match self {
            Note::Arriving { import, .. } => Some(*import),
            _ => None,
        }
    }
}

/// `CKA_LABEL` of a key and of its record.
pub(crate) fn label(place: &KeyPlace) -> Vec<u8> {
    place.to_string().into_bytes()
}

/// What is kept of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyRecord {
    /// Counts the changes of the whole vault.
    pub(crate) revision: u64,
    pub(crate) place: KeyPlace,
    pub(crate) algorithm: KeyAlgorithm,
    pub(crate) state: KeyState,
    pub(crate) kcv: [u8; 3],
}

/// What is kept of the vault as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VaultRecord {
    pub(crate) origin: Origin,
    pub(crate) levels: Levels,
}

impl KeyRecord {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        bytes.extend(self.revision.to_be_bytes());
        bytes.extend(id(&self.place));
        bytes.extend([self.algorithm.code(), self.state.code()]);
        bytes.extend(self.kcv);
        bytes
    }

    /// `None` for anything else than a record of this format.
    fn from_bytes(bytes: &[u8]) -> Option<KeyRecord> {
        let mut fields = Fields(bytes);
        fields.byte().filter(|format| *format == FORMAT)?;
        let record = KeyRecord {
            revision: u64::from_be_bytes(fields.array()?),
            place: place(&mut fields)?,
            algorithm: KeyAlgorithm::from_code(fields.byte()?)?,
            state: state(fields.byte()?)?,
            kcv: fields.array()?,
        };
        fields.0.is_empty().then_some(record)
    }
}

impl VaultRecord {
    fn to_bytes(&self) -> Vec<u8> {
        let origin = match self.origin {
            Origin::Demo => 0,
            Origin::Production => 1,
        };
        let mut bytes = vec![FORMAT, origin];
        for level in self.levels.as_slice() {
            let (code, factor) = match level.factor {
                Factor::Root => (0, [0; 8]),
                Factor::Fixed(factor) => (1, factor.0),
                Factor::Issuer => (2, [0; 8]),
                Factor::Card => (3, [0; 8]),
            };
            bytes.push(code);
            bytes.extend(factor);
            bytes.push(u8::try_from(level.name.len()).unwrap_or(u8::MAX));
            bytes.extend(level.name.bytes());
        }
        bytes
    }

    /// `None` for anything else than a record of this format.
    fn from_bytes(bytes: &[u8]) -> Option<VaultRecord> {
        let mut fields = Fields(bytes);
        fields.byte().filter(|format| *format == FORMAT)?;
        let origin = match fields.byte()? {
            0 => Origin::Demo,
            1 => Origin::Production,
            _ => return None,
        };
        let mut levels = Vec::new();
        while !fields.0.is_empty() {
            let (code, factor) = (fields.byte()?, fields.array()?);
            let factor = match code {
                0 => Factor::Root,
                1 => Factor::Fixed(IssuerFactor(factor)),
                2 => Factor::Issuer,
                3 => Factor::Card,
                _ => return None,
            };
            let len = usize::from(fields.byte()?);
            let name = String::from_utf8(fields.take(len)?.to_vec()).ok()?;
            levels.push(Level { name, factor });
        }
        Some(VaultRecord { origin, levels: Levels::new(levels).ok()? })
    }
}

/// A place in bytes: the `CKA_ID` of its key.
pub(crate) fn id(place: &KeyPlace) -> Vec<u8> {
    let KeyPlace { key, level, owner } = place;
    let mut bytes = vec![key.kind.code(), key.index.0, key.version.0, *level, u8::from(owner.is_some())];
    bytes.extend(owner.unwrap_or_default());
    bytes
}

fn place(fields: &mut Fields<'_>) -> Option<KeyPlace> {
    let kind = KeyKind::from_code(fields.byte()?)?;
    let (index, version) = (KeyIndex(fields.byte()?), KeyVersion(fields.byte()?));
    let level = fields.byte()?;
    let (owned, owner) = (fields.byte()?, fields.array()?);
    let owner = match owned {
        0 => None,
        1 => Some(owner),
        _ => return None,
    };
    Some(KeyPlace { key: KeyRef { kind, index, version }, level, owner })
}

fn state(code: u8) -> Option<KeyState> {
    KeyState::ALL.into_iter().find(|state| state.code() == code)
}

/// Bytes still to be read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> KeyRecord {
        KeyRecord {
            revision: 0x0102_0304,
            place: KeyPlace { key: KeyRef::new(KeyKind::Load, 2, 3), level: 1, owner: Some([7; 8]) },
            algorithm: KeyAlgorithm::Tdes,
            state: KeyState::Retired,
            kcv: [1, 2, 3],
        }
    }

    fn notes() -> Vec<Note> {
        let province = Level { name: "省".to_owned(), factor: Factor::Fixed(IssuerFactor([3; 8])) };
        let mut levels = Levels::nation_city_card().as_slice().to_vec();
        levels.insert(1, province);
        let levels = Levels::new(levels).unwrap();
        let owned = record();
        let of_all = KeyRecord { place: KeyPlace { owner: None, ..owned.place }, ..owned };
        vec![
            Note::Key(owned),
            Note::Key(of_all),
            Note::Arriving { import: 77, record: owned },
            Note::Whole(77),
            Note::Latest(78),
            Note::Vault(VaultRecord { origin: Origin::Production, levels }),
        ]
    }

    #[test]
    fn notes_come_back() {
        for note in notes() {
            assert_eq!(Note::from_bytes(&note.label(), &note.to_bytes()), Some(note));
        }
    }

    /// Cut anywhere, or longer, or of another format, it is no note.
    #[test]
    fn other_bytes_are_no_note() {
        for note in notes().into_iter().take(5) {
            let (label, whole) = (note.label(), note.to_bytes());
            for len in 0..whole.len() {
                assert_eq!(Note::from_bytes(&label, &whole[..len]), None, "{note:?} cut at {len}");
            }
            assert_eq!(Note::from_bytes(&label, &[whole.clone(), vec![0]].concat()), None);
            let mut changed = whole;
            changed[0] = 0xEE;
            assert_eq!(Note::from_bytes(&label, &changed), None);
        }
        let whole = record().to_bytes();
        for at in [9, 13, 22, 23] {
            let mut changed = whole.clone();
            changed[at] = 0xEE;
            assert_eq!(Note::from_bytes(b"", &changed), None, "byte {at}");
        }
        assert_eq!(Note::from_bytes(VAULT_LABEL, &[1, 0]), None, "no level at all");
    }
}
