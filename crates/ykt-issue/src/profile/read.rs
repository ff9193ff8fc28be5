//! From TOML to types, key by key: whatever is wrong is named with its place, its key, what was expected and what
//! was found.

use std::borrow::Cow;
use std::path::PathBuf;
use toml::{Table, Value};
use ykt_base::hex;
use ykt_purse::create::{Access, AccessByte, Protection};
use ykt_purse::write_key::ErrorCounter;
use ykt_vault::{KeyKind, KeyRef, Scheme};

/// Why a text is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The file cannot be read.
    #[error("profile {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is no TOML.
    #[error("{place}: expected TOML, found {found}")]
    Toml {
        /// File and line.
        place: String,
        /// What is wrong with it.
        found: String,
    },
    /// A key has a wrong value, or is missing.
    #[error("{place}, key `{key}`: expected {expected}, found {found}")]
    Value {
        /// File and table.
        place: String,
        /// The key.
        key: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A key that means nothing here.
    #[error("{place}: expected no keys but {expected}; found `{found}`")]
    Key {
        /// File and table.
        place: String,
        /// The keys that there are.
        expected: String,
        /// The key.
        found: String,
    },
}

/// How a value is read, and what it is called.
pub(super) enum Form<T: 'static> {
    /// What is expected, and how it is read.
    Any(Cow<'static, str>, fn(&Value) -> Option<T>),
    /// One of these words.
    Word(&'static [(&'static str, T)]),
}

impl<T: Clone> Form<T> {
    pub(super) const fn new(expected: &'static str, read: fn(&Value) -> Option<T>) -> Form<T> {
        Form::Any(Cow::Borrowed(expected), read)
    }

    fn read(&self, value: &Value) -> Option<T> {
        match self {
            Form::Any(_, read) => read(value),
            Form::Word(words) => {
                let text = value.as_str()?;
                words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| meaning.clone())
            }
        }
    }

    fn expected(&self) -> String {
        match self {
            Form::Any(expected, _) => expected.to_string(),
            Form::Word(words) => {
                let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
                match words.split_last() {
                    Some((last, [])) => last.clone(),
                    Some((last, others)) => format!("{} or {last}", others.join(", ")),
                    None => String::new(),
                }
            }
        }
    }
}

/// The keys of one table, taken one after the other; what is left is unknown.
pub(super) struct Fields {
    /// File and table, for errors.
    pub(super) place: String,
    table: Table,
    known: Vec<&'static str>,
}

impl Fields {
    pub(super) const fn new(place: String, table: Table) -> Fields {
        Fields { place, table, known: Vec::new() }
    }

    /// The value of a key that must be there.
    pub(super) fn take<T: Clone>(&mut self, key: &'static str, form: &Form<T>) -> Result<T, ProfileError> {
        let value = self.maybe(key, form)?;
        value.ok_or_else(|| self.wrong(key, form.expected(), "nothing"))
    }

    /// The value of a key that may be missing.
    pub(super) fn take_or<T: Clone>(
        &mut self,
        key: &'static str,
        missing: T,
        form: &Form<T>,
    ) -> Result<T, ProfileError> {
        Ok(self.maybe(key, form)?.unwrap_or(missing))
    }

    pub(super) fn maybe<T: Clone>(
        &mut self,
        key: &'static str,
        form: &Form<T>,
    ) -> Result<Option<T>, ProfileError> {
        let Some(value) = self.raw(key) else { return Ok(None) };
        match form.read(&value) {
            Some(read) => Ok(Some(read)),
            None => Err(self.wrong(key, form.expected(), shown(&value))),
        }
    }

    /// The value of a key as it stands.
    pub(super) fn raw(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// The error of a key.
    pub(super) fn wrong(
        &self,
        key: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> ProfileError {
        let (expected, found) = (expected.into(), found.into());
        ProfileError::Value { place: self.place.clone(), key: key.to_owned(), expected, found }
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), ProfileError> {
        match self.table.into_iter().next() {
            None => Ok(()),
            Some((found, _)) => {
                let expected: Vec<_> = self.known.iter().map(|key| format!("`{key}`")).collect();
                Err(ProfileError::Key { place: self.place, expected: expected.join(", "), found })
            }
        }
    }
}

/// A value as an error shows it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Table(_) => "a table".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        other => other.to_string(),
    }
}

pub(super) const TEXT: Form<String> =
    Form::new("a text", |value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned));
pub(super) const YES_OR_NO: Form<bool> = Form::new("true or false", Value::as_bool);
pub(super) const BYTE: Form<u8> =
    Form::new("two hex digits in quotes", |value| hex_array(value).map(|[byte]| byte));
pub(super) const TWO_BYTES: Form<[u8; 2]> = Form::new("four hex digits in quotes", hex_array);
pub(super) const FID: Form<[u8; 2]> = Form::new("a file id, four hex digits in quotes", hex_array);
pub(super) const ACCESS: Form<Access> =
    Form::new("a right, two hex digits in quotes", |value| hex_array(value).map(|[byte]| Access(byte)));
pub(super) const ACCESS_BYTE: Form<AccessByte> =
    Form::new("an access byte, two hex digits in quotes", |value| {
        hex_array(value).map(|[byte]| AccessByte(byte))
    });
pub(super) const TRIES: Form<ErrorCounter> =
    Form::new("tries allowed and left, two hex digits in quotes", |value| {
        hex_array(value).map(|[byte]| ErrorCounter(byte))
    });
pub(super) const COUNT: Form<u8> = Form::new("a number from 1 to 255", |value| number(value, 1, 255));
pub(super) const KEY_ID: Form<u8> =
    Form::new("a key id, a number from 0 to 127", |value| number(value, 0, 127));
pub(super) const SIZE: Form<u16> =
    Form::new("a number of bytes from 1 to 65535", |value| number(value, 1, 65_535));
pub(super) const PROTECTION: Form<Protection> = Form::Word(&[
    ("plain", Protection::Plain),
    ("mac", Protection::Mac),
    ("enciphered-mac", Protection::EncipheredMac),
]);

/// A key of any kind, written `KIND` or `KIND/INDEX/VERSION`.
pub(super) fn any_key() -> Form<KeyRef> {
    key_of("a key", |_| true, key)
}

/// A key that a user card holds.
pub(super) fn card_key() -> Form<KeyRef> {
    let read = |value: &Value| key(value).filter(|key| key.kind.card_usage().is_some());
    key_of("a key of user cards", |kind| kind.card_usage().is_some(), read)
}

/// A key that all cards of a batch share.
pub(super) fn transport_key() -> Form<KeyRef> {
    let is_shared = |kind: KeyKind| kind.scheme() == Scheme::Shared;
    key_of("a transport key", is_shared, |value| key(value).filter(|key| key.kind.scheme() == Scheme::Shared))
}

/// Keys of some kinds, which the error lists.
pub(super) fn key_of(
    what: &str,
    fits: fn(KeyKind) -> bool,
    read: fn(&Value) -> Option<KeyRef>,
) -> Form<KeyRef> {
    let kinds: Vec<_> = KeyKind::ALL.iter().filter(|kind| fits(**kind)).map(|kind| kind.name()).collect();
    let expected = format!("{what} as KIND or KIND/INDEX/VERSION, the kind one of {}", kinds.join(", "));
    Form::Any(Cow::Owned(expected), read)
}

pub(super) fn key(value: &Value) -> Option<KeyRef> {
    let (kind, numbers) = named(value.as_str()?)?;
    let kind = KeyKind::from_name(kind)?;
    match *numbers.as_slice() {
        [] => Some(KeyRef::new(kind, 1, 1)),
        [index, version] => Some(KeyRef::new(kind, index, version)),
        _ => None,
    }
}

/// A name and the numbers behind it: `NAME/1/2`.
pub(super) fn named(text: &str) -> Option<(&str, Vec<u8>)> {
    let mut parts = text.split('/');
    let name = parts.next()?;
    let numbers = parts.map(|part| part.parse().ok()).collect::<Option<_>>()?;
    Some((name, numbers))
}

/// A number within bounds.
pub(super) fn number<T: TryFrom<i64>>(value: &Value, least: i64, most: i64) -> Option<T> {
    let number = value.as_integer().filter(|number| (least..=most).contains(number))?;
    T::try_from(number).ok()
}

/// Hex digits, blanks between them allowed.
pub(super) fn hex_bytes(value: &Value) -> Option<Vec<u8>> {
    let digits: String = value.as_str()?.split_whitespace().collect();
    let mut bytes = vec![0; digits.len().div_ceil(2)];
    hex::decode_into(&digits, &mut bytes).ok()?;
    Some(bytes)
}

pub(super) fn hex_array<const N: usize>(value: &Value) -> Option<[u8; N]> {
    hex_bytes(value)?.try_into().ok()
}
