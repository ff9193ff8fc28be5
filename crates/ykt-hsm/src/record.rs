//! Records beside the keys: what a token does not know of a key, kept in the token as data objects, so that the token
//! is whole by itself.
//!
//! A value once written is never written over (tokens do not allow it): a change is a new record of a higher revision,
//! and the old one is removed after. The creation of one object is what a token does whole or not at all, so that is
//! where a change happens; whatever a cut leaves behind is judged by its revision. That also moves two keys at once:
//! of two active keys of one kind, index, level and owner the one of the lower revision is retired.

use ykt_base::{IssuerFactor, KeyIndex, KeyVersion};
use ykt_vault::{Factor, KeyAlgorithm, KeyKind, KeyPlace, KeyRef, KeyState, Level, Levels, Origin};

/// First byte of every record: the format.
const FORMAT: u8 = 1;

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
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        bytes.extend(self.revision.to_be_bytes());
        bytes.extend(id(&self.place));
        bytes.extend([self.algorithm.code(), self.state.code()]);
        bytes.extend(self.kcv);
        bytes
    }

    /// `None` for anything else than a record of this format.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<KeyRecord> {
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
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
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
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<VaultRecord> {
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

    #[test]
    fn records_come_back() {
        for owner in [None, Some([9; 8])] {
            let place = KeyPlace { owner, ..record().place };
            let record = KeyRecord { place, ..record() };
            assert_eq!(KeyRecord::from_bytes(&record.to_bytes()), Some(record));
        }
        let province = Level { name: "省".to_owned(), factor: Factor::Fixed(IssuerFactor([3; 8])) };
        let mut levels = Levels::nation_city_card().as_slice().to_vec();
        levels.insert(1, province);
        let vault = VaultRecord { origin: Origin::Production, levels: Levels::new(levels).unwrap() };
        assert_eq!(VaultRecord::from_bytes(&vault.to_bytes()), Some(vault));
    }

    /// Cut anywhere, or longer, or of another format, it is no record.
    #[test]
    fn other_bytes_are_no_record() {
        let whole = record().to_bytes();
        for len in 0..whole.len() {
            assert_eq!(KeyRecord::from_bytes(&whole[..len]), None);
        }
        assert_eq!(KeyRecord::from_bytes(&[whole.clone(), vec![0]].concat()), None);
        for at in [0, 9, 13, 22, 23] {
            let mut changed = whole.clone();
            changed[at] = 0xEE;
            assert_eq!(KeyRecord::from_bytes(&changed), None, "byte {at}");
        }
        assert_eq!(VaultRecord::from_bytes(&[1, 0]), None, "no level at all");
    }
}
