//! Exchange files: keys on their way between centres, each enciphered under a transport key both sides have.
//!
//! Two sorts. What a centre exports is signed: title, sender, transport key, number of keys, the table, and the lines of
//! [`SignedText`]. What third parties deliver is the bare table: first-level keys, or finished card keys by card number.
//! The table is CSV; its first line names the columns. A file is taken whole or not at all, and an error names the line.

use crate::signed::{SignedText, SignedTextError};
use crate::{
    KeyAlgorithm, KeyInfo, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, Levels, Scheme, Signer,
    VaultError, WrappedKey,
};
use core::fmt;
use std::collections::BTreeMap;
use thiserror::Error;
use ykt_base::hex::{self, Hex};
use ykt_base::{DateTime, Rng};
use ykt_crypto::sm2::PublicKey;

/// First line of an exported file.
const TITLE: &str = "Yikatong key exchange, format 1";
/// Most keys in one file.
pub const KEYS_LEN_MAX: usize = 100_000;
/// Longest cryptogram in bytes: a 32-byte value under the key wrap of RFC 3394.
const CRYPTOGRAM_LEN_MAX: usize = 40;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Column {
    Kind,
    Index,
    Version,
    Level,
    Owner,
    Algorithm,
    State,
    Kcv,
    Cryptogram,
}

impl Column {
    /// Every column, in the order of exports.
    const ALL: [Column; 9] = [
        Column::Kind,
        Column::Index,
        Column::Version,
        Column::Level,
        Column::Owner,
        Column::Algorithm,
        Column::State,
        Column::Kcv,
        Column::Cryptogram,
    ];

    const fn name(self) -> &'static str {
        match self {
            Column::Kind => "kind",
            Column::Index => "index",
            Column::Version => "version",
            Column::Level => "level",
            Column::Owner => "owner",
            Column::Algorithm => "algorithm",
            Column::State => "state",
            Column::Kcv => "kcv",
            Column::Cryptogram => "cryptogram",
        }
    }

    /// What stands in a field that is empty or whose column is missing; `None`: it must be there.
    const fn default(self) -> Option<&'static str> {
        match self {
            Column::Kind | Column::Kcv | Column::Cryptogram => None,
            Column::Index | Column::Version => Some("1"),
            Column::Level => Some("0"),
            Column::Owner => Some(""),
            Column::Algorithm => Some("3des"),
            Column::State => Some("generated"),
        }
    }
}

/// Who sent a signed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Name of the centre.
    pub from: String,
    /// When it was written.
    pub at: DateTime,
    /// Key of its signature: compare it with the one the sender gave you.
    pub signer: PublicKey,
}

/// A file that was read; nothing of it is in a vault yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Who sent it; `None` for a bare table.
    pub sender: Option<Sender>,
    /// The keys with their lines, in the order of the file.
    pub keys: Vec<(usize, WrappedKey)>,
}

/// Why keys were not exported or imported.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExchangeError {
    /// The end of a signed file is not right.
    #[error(transparent)]
    Signed(#[from] SignedTextError),
    /// A line of the head of a signed file is not right.
    #[error("line {line} of the file: expected {expected}, found {found:?}")]
    Head {
        /// Number of the line from 1.
        line: usize,
        /// What should stand there.
        expected: &'static str,
        /// What stands there, cut.
        found: String,
    },
    /// A name in the first line of the table that is no column, a column twice, or one that is missing.
    #[error("line {line} of the file, the names of the columns: {reason} {column:?}; there are {known}")]
    Columns {
        /// Number of the line from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
        /// Which column.
        column: String,
        /// Every column.
        known: String,
    },
    /// A field that cannot be.
    #[error("line {line} of the file, {column}: expected {expected}, found {found:?}")]
    Field {
        /// Number of the line from 1.
        line: usize,
        /// Which column.
        column: &'static str,
        /// What should stand there.
        expected: String,
        /// What stands there, cut.
        found: String,
    },
    /// One place twice.
    #[error("line {line} of the file brings the {place} again; line {earlier} brought it first")]
    Twice {
        /// Number of the line from 1.
        line: usize,
        /// The earlier line.
        earlier: usize,
        /// The place.
        place: KeyPlace,
    },
    /// More or fewer keys than stated, none, or too many.
    #[error("expected {expected} keys in the file, found {found}")]
    Count {
        /// How many there should be.
        expected: String,
        /// How many there are.
        found: usize,
    },
    /// The file is for another transport key.
    #[error(
        "the file is enciphered under a transport key of KCV {expected}, the vault's {key} has {found}; name the \
         transport key the two sides agreed on",
        expected = Hex(expected), found = Hex(found)
    )]
    Transport {
        /// The vault's.
        key: KeyRef,
        /// KCV the file states.
        expected: [u8; 3],
        /// KCV in the vault.
        found: [u8; 3],
    },
    /// The vault refuses one key; none was taken.
    #[error("line {line} of the file: {source}")]
    Key {
        /// Number of the line from 1; 0 in an export.
        line: usize,
        /// What the vault says.
        source: VaultError,
    },
    /// The vault refuses.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Writes keys into a signed file, each enciphered under the transport key. `progress` is told how many of how many
/// are done.
///
/// # Errors
/// [`ExchangeError::Count`] for no key or too many, or as [`KeyManagement::wrap`].
pub fn export(
    vault: &dyn KeyManagement,
    places: &[KeyPlace],
    transport: KeyRef,
    (from, at): (&str, DateTime),
    (signer, rng): (&dyn Signer, &mut dyn Rng),
    progress: &mut dyn FnMut(usize, usize),
) -> Result<SignedText, ExchangeError> {
    check_count(places.len())?;
    let mut rows = Vec::with_capacity(places.len());
    let mut transport_kcv = [0; 3];
    for (done, place) in places.iter().enumerate() {
        let wrapped = vault.wrap(place, transport)?;
        transport_kcv = wrapped.transport_kcv;
        rows.push(Row(&wrapped).to_string());
        progress(done.saturating_add(1), places.len());
    }
    let from: String = from.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect();
    let columns = Column::ALL.map(Column::name).join(",");
    let head = format!(
        "{TITLE}\nfrom: {from}\nat: {at}\ntransport: {}\nkeys: {}\n{columns}\n",
        Hex(&transport_kcv),
        places.len()
    );
    let text = head + &rows.concat();
    Ok(SignedText::sign(text, signer, rng)?)
}

/// Reads a file: a signed one, whose signature is checked, or a bare table whose keys are enciphered under a transport
/// key of `transport_kcv`.
///
/// # Errors
/// [`ExchangeError`] naming the line.
pub fn read(file: &str, levels: &Levels, transport_kcv: [u8; 3]) -> Result<Exchange, ExchangeError> {
    let file = file.strip_prefix('\u{feff}').unwrap_or(file);
    if !file.starts_with(TITLE) {
        let keys = table(file, 1, levels, transport_kcv)?;
        check_count(keys.len())?;
        return Ok(Exchange { sender: None, keys });
    }
    let signed = SignedText::verify(TITLE, file)?;
    let mut lines = signed.text().splitn(6, '\n').skip(1);
    let mut line = 1_usize;
    let mut head = |name: &str, expected| {
        line = line.saturating_add(1);
        let found = lines.next().unwrap_or_default();
        let value = found.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
        let wrong = ExchangeError::Head { line, expected, found: cut(found) };
        value.map(|value| (value.to_owned(), wrong.clone())).ok_or(wrong)
    };
    let (from, _) = head("from", "\"from: \" and the sender's name")?;
    let (at, wrong) = head("at", "\"at: \" and date and time")?;
    let at = at.parse().map_err(|_| wrong)?;
    let (kcv, wrong) = head("transport", "\"transport: \" and the KCV of the transport key")?;
    let kcv = hex::decode(&kcv).map_err(|_| wrong)?;
    let (count, wrong) = head("keys", "\"keys: \" and their number")?;
    let count: usize = count.parse().map_err(|_| wrong)?;
    let keys = table(lines.next().unwrap_or_default(), 6, levels, kcv)?;
    if keys.len() != count {
        return Err(ExchangeError::Count { expected: count.to_string(), found: keys.len() });
    }
    check_count(keys.len())?;
    Ok(Exchange { sender: Some(Sender { from, at, signer: signed.signer() }), keys })
}

/// Takes every key of a file into the vault, or none. `progress` is told how many of how many are done.
///
/// # Errors
/// [`ExchangeError::Transport`] before anything else; [`ExchangeError::Key`] with the line of the key that is refused.
pub fn import(
    vault: &dyn KeyManagement,
    file: &Exchange,
    transport: KeyRef,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<KeyInfo>, ExchangeError> {
    let found = vault.kcv(&crate::KeyAddress::Shared(transport))?;
    if let Some((_, first)) = file.keys.first()
        && first.transport_kcv != found
    {
        return Err(ExchangeError::Transport { key: transport, expected: first.transport_kcv, found });
    }
    let line = |at: usize| file.keys.get(at).map_or(0, |(line, _)| *line);
    let wrapped: Vec<&WrappedKey> = file.keys.iter().map(|(_, key)| key).collect();
    vault
        .import_all_wrapped(&wrapped, transport, progress)
        .map_err(|(at, source)| ExchangeError::Key { line: line(at), source })
}

fn check_count(found: usize) -> Result<(), ExchangeError> {
    if (1..=KEYS_LEN_MAX).contains(&found) {
        return Ok(());
    }
    Err(ExchangeError::Count { expected: format!("1 to {KEYS_LEN_MAX}"), found })
}

/// One key as a line.
struct Row<'a>(&'a WrappedKey);

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WrappedKey { place, algorithm, state, kcv, cryptogram, .. } = self.0;
        let KeyPlace { key, level, owner } = place;
        write!(f, "{},{},{},{level},", key.kind, key.index, key.version)?;
        if let Some(owner) = owner {
            write!(f, "{}", Hex(owner))?;
        }
        writeln!(f, ",{algorithm},{state},{},{}", Hex(kcv), Hex(cryptogram))
    }
}

fn table(
    text: &str,
    first: usize,
    levels: &Levels,
    transport_kcv: [u8; 3],
) -> Result<Vec<(usize, WrappedKey)>, ExchangeError> {
    let mut lines =
        (first..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let (at, names) = lines.next().unwrap_or((first, ""));
    let columns = columns(at, names)?;
    let mut keys: Vec<(usize, WrappedKey)> = Vec::new();
    let mut seen = BTreeMap::new();
    for (line, text) in lines {
        let fields: Vec<&str> = text.split(',').map(str::trim).collect();
        let wanted = columns.len();
        if fields.len() != wanted {
            let (expected, found) = (format!("{wanted} fields"), format!("{} fields", fields.len()));
            return Err(ExchangeError::Field { line, column: "the line", expected, found });
        }
        let key = Fields { line, columns: &columns, fields: &fields }.key(levels, transport_kcv)?;
        if let Some(earlier) = seen.insert(key.place, line) {
            return Err(ExchangeError::Twice { line, earlier, place: key.place });
        }
        keys.push((line, key));
        if keys.len() > KEYS_LEN_MAX {
            check_count(keys.len())?;
        }
    }
    Ok(keys)
}

fn columns(line: usize, names: &str) -> Result<Vec<Column>, ExchangeError> {
    let wrong = |reason, column: &str| {
        let known = Column::ALL.map(Column::name).join(", ");
        ExchangeError::Columns { line, reason, column: cut(column), known }
    };
    let mut columns = Vec::new();
    for name in names.split(',').map(str::trim) {
        let column = Column::ALL.into_iter().find(|column| column.name() == name);
        let column = column.ok_or_else(|| wrong("unknown column", name))?;
        if columns.contains(&column) {
            return Err(wrong("two columns", name));
        }
        columns.push(column);
    }
    let needed = Column::ALL.into_iter().filter(|column| column.default().is_none());
    let missing = needed.into_iter().find(|column| !columns.contains(column));
    missing.map_or(Ok(columns), |column| Err(wrong("no column", column.name())))
}

/// One line of the table.
struct Fields<'a> {
    line: usize,
    columns: &'a [Column],
    fields: &'a [&'a str],
}

impl Fields<'_> {
    fn text(&self, column: Column) -> &str {
        let at = self.columns.iter().position(|known| *known == column);
        let given = at.and_then(|at| self.fields.get(at)).copied().unwrap_or_default();
        if given.is_empty() { column.default().unwrap_or_default() } else { given }
    }

    fn read<T>(
        &self,
        column: Column,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ExchangeError> {
        let text = self.text(column);
        read(text).ok_or_else(|| ExchangeError::Field {
            line: self.line,
            column: column.name(),
            expected: expected.to_owned(),
            found: cut(text),
        })
    }

    fn key(&self, levels: &Levels, transport_kcv: [u8; 3]) -> Result<WrappedKey, ExchangeError> {
        let number = "a number from 0 to 255";
        let kind = self.read(Column::Kind, "a kind of key", KeyKind::from_name)?;
        let index = self.read(Column::Index, number, |text| text.parse().ok())?;
        let version = self.read(Column::Version, number, |text| text.parse().ok())?;
        let names: Vec<_> = levels.as_slice().iter().map(|level| level.name.as_str()).collect();
        let expected = format!("a level, by number from 0 or by name: {}", names.join(", "));
        let level = self.read(Column::Level, &expected, |text| match (text, kind.scheme()) {
            ("psam", Scheme::Sam) => Some(1),
            _ => text.parse().ok().or_else(|| levels.position(text)),
        })?;
        let owner = self.read(Column::Owner, "nothing, or 16 hex digits", |text| match text {
            "" => Some(None),
            digits => hex::decode(digits).ok().map(Some),
        })?;
        let state = self.read(Column::State, "generated, active or retired", |text| {
            KeyState::ALL.into_iter().find(|state| state.name() == text && *state != KeyState::Destroyed)
        })?;
        let cryptogram = self.read(Column::Cryptogram, "16, 24, 32 or 40 bytes in hex", |digits| {
            let mut bytes = vec![0; digits.len().div_ceil(2)];
            hex::decode_into(digits, &mut bytes).ok()?;
            (bytes.len() >= 16 && bytes.len() <= CRYPTOGRAM_LEN_MAX && bytes.len().is_multiple_of(8))
                .then_some(bytes)
        })?;
        Ok(WrappedKey {
            place: KeyPlace { key: KeyRef::new(kind, index, version), level, owner },
            algorithm: self.read(Column::Algorithm, "3des, sm4, aes-256 or sm2", KeyAlgorithm::from_name)?,
            state,
            kcv: self.read(Column::Kcv, "6 hex digits", |digits| hex::decode(digits).ok())?,
            transport_kcv,
            cryptogram,
        })
    }
}

/// The beginning of a text from outside, for an error.
fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests;
