//! Key files (`keys.toml`): a vault's keys in clear, for cards and PSAMs on a desk. `docs/keys.toml` shows every part.
//!
//! Master keys stand at the first level, first-level keys of third parties below it, finished card keys at the
//! last. Unknown fields are errors; a check value, where given, is checked.

use crate::error::VaultError;
use crate::kind::{KeyKind, KeyState, Origin, Scheme};
use crate::levels::{Factor, FactorPadding, Level, Levels, LevelsError};
use crate::manage::{ImportedKey, KeyPlace};
use crate::soft::{self, Keys, SoftVault};
use crate::value::{KeyAlgorithm, KeyValue};
use crate::vault::{KeyAddress, KeyRef};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use ykt_base::hex::{self, Hex};
use ykt_crypto::CardKey;
use ykt_crypto::sm2::PrivateKey;
use ykt_purse::write_key::Pin;
use zeroize::Zeroizing;

/// Why a key file is refused.
#[derive(Debug, Error)]
pub enum KeysError {
    /// It cannot be read.
    #[error("key file {path}: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not TOML of this shape.
    #[error("key file, {place}: {message}")]
    Shape {
        /// Line, when known.
        place: String,
        /// What is wrong there; no text of the file, which may be a key.
        message: String,
    },
    /// The levels do not make a hierarchy.
    #[error("key file, levels: {0}")]
    Levels(#[from] LevelsError),
    /// A level's code does not fit its padding.
    #[error(
        "key file, level {name:?}: the code does not fit the padding (city: 2 bytes, whole: 8, filled: 1 to 8)"
    )]
    Code {
        /// The level.
        name: String,
    },
    /// A key names a level that is not there.
    #[error("key file, key {number} ({key}): expected one of the levels {expected}, found {found:?}")]
    Level {
        /// Which key of the file, from 1.
        number: usize,
        /// What it is.
        key: KeyRef,
        /// The levels there are.
        expected: String,
        /// The level named.
        found: String,
    },
    /// A value is not as long as its algorithm wants, or is no private key.
    #[error(
        "key file, key {number} ({key}): expected a value of {} hex digits ({algorithm}), found another",
        algorithm.value_len().saturating_mul(2)
    )]
    Value {
        /// Which key of the file, from 1.
        number: usize,
        /// What it is.
        key: KeyRef,
        /// Its algorithm.
        algorithm: KeyAlgorithm,
    },
    /// A check value is not the key's.
    #[error(
        "key file, key {number} ({key}): expected check value {expected}, the key has {found}; check its digits"
    )]
    CheckValue {
        /// Which key of the file, from 1.
        number: usize,
        /// What it is.
        key: KeyRef,
        /// The value in the file.
        expected: String,
        /// The key's.
        found: String,
    },
    /// The vault does not take a key.
    #[error("key file, key {number}: {source}")]
    Key {
        /// Which key of the file, from 1.
        number: usize,
        /// Why.
        source: VaultError,
    },
}

/// A key file, read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysFile {
    origin: Named<Origin>,
    #[serde(default)]
    pin: Option<SecretPin>,
    #[serde(default)]
    identity_key: Option<SecretSigner>,
    #[serde(default, rename = "level")]
    levels: Vec<LevelEntry>,
    #[serde(rename = "key")]
    keys: Vec<KeyEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LevelEntry {
    name: String,
    #[serde(default)]
    factor: Option<FactorEntry>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "\"issuer\", \"card\", or { code = \"hex\", padding = \"filled\" }")]
enum FactorEntry {
    Of(FactorName),
    Fixed(FixedFactor),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FactorName {
    Issuer,
    Card,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FixedFactor {
    code: HexBytes,
    padding: PaddingName,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PaddingName {
    City,
    Filled,
    Whole,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    kind: Named<KeyKind>,
    #[serde(default = "one")]
    index: u8,
    #[serde(default = "one")]
    version: u8,
    #[serde(default)]
    level: Option<String>,
    #[serde(default)]
    owner: Option<HexArray<8>>,
    #[serde(default)]
    algorithm: Option<Named<KeyAlgorithm>>,
    #[serde(default)]
    kcv: Option<HexArray<3>>,
    value: SecretBytes,
}

fn one() -> u8 {
    1
}

impl KeysFile {
    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeysError::File`] or [`KeysError::Shape`].
    pub fn read(path: &Path) -> Result<KeysFile, KeysError> {
        let text = fs::read_to_string(path);
        let text = text.map_err(|source| KeysError::File { path: path.to_owned(), source })?;
        KeysFile::parse(&Zeroizing::new(text))
    }

    /// What signs the identity on citizen cards. It is no key of the vault.
    #[must_use]
    pub fn identity_key(&self) -> Option<&PrivateKey> {
        self.identity_key.as_ref().map(|SecretSigner(key)| key)
    }

    /// Reads the text of a key file.
    ///
    /// # Errors
    /// [`KeysError::Shape`] with the line.
    pub fn parse(text: &str) -> Result<KeysFile, KeysError> {
        toml::from_str(text).map_err(|error| {
            let line = |span: std::ops::Range<usize>| {
                let before = text.get(..span.start).unwrap_or(text);
                format!("line {}", before.matches('\n').count().saturating_add(1))
            };
            let place = error.span().map_or_else(|| "whole file".to_owned(), line);
            KeysError::Shape { place, message: error.message().to_owned() }
        })
    }
}

/// The keys of a file in clear, with the holder's PIN: for a desk that plays the other side of a card, with wrong
/// MACs too. They stand in clear in the file already; what a vault has sealed never comes this way.
pub struct DeskKeys {
    vault: SoftVault,
    pin: Option<Pin>,
}

impl DeskKeys {
    /// The keys of a file.
    ///
    /// # Errors
    /// [`KeysError`] naming level or key.
    pub fn from_keys(mut file: KeysFile) -> Result<DeskKeys, KeysError> {
        let pin = file.pin.take().map(|SecretPin(pin)| pin);
        Ok(DeskKeys { vault: SoftVault::from_keys(file)?, pin })
    }

    /// No key and no PIN.
    #[must_use]
    pub fn none() -> DeskKeys {
        DeskKeys { vault: SoftVault::empty(Levels::nation_city_card(), Origin::Demo), pin: None }
    }

    /// The key as its holder has it.
    ///
    /// # Errors
    /// [`VaultError`] when there is no such key.
    pub fn key(&self, address: &KeyAddress) -> Result<CardKey, VaultError> {
        self.vault.desk_key(address)
    }

    /// The holder's PIN.
    #[must_use]
    pub const fn pin(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }
}

/// The keys of a file as any vault can be given them.
pub struct ReadKeys {
    /// The hierarchy they stand in.
    pub levels: Levels,
    /// Where they come from.
    pub origin: Origin,
    /// The keys in the order of the file, all active, several versions of one key too.
    pub keys: ReadValues,
}

/// The keys of a file, one after the other. Each is made when it is asked for: a list of them would leave a copy
/// behind of every key that is taken out.
pub struct ReadValues(std::vec::IntoIter<Checked>);

/// A key whose value is one of its algorithm, with its check value.
struct Checked {
    place: KeyPlace,
    algorithm: KeyAlgorithm,
    kcv: [u8; 3],
    value: SecretBytes,
}

impl Iterator for ReadValues {
    type Item = ImportedKey;

    fn next(&mut self) -> Option<ImportedKey> {
        let Checked { place, algorithm, kcv, value } = self.0.next()?;
        let value = KeyValue::from_bytes(algorithm, &value.0)?;
        Some(ImportedKey { place, state: KeyState::Active, value, kcv: Some(kcv) })
    }
}

impl KeysFile {
    /// Its keys, with their check values checked.
    ///
    /// # Errors
    /// [`KeysError`] naming level or key.
    pub fn into_keys(self) -> Result<ReadKeys, KeysError> {
        let levels = match self.levels.as_slice() {
            [] => Levels::nation_city_card(),
            entries => Levels::new(entries.iter().map(level).collect::<Result<_, _>>()?)?,
        };
        let names: Vec<_> = levels.as_slice().iter().map(|level| level.name.as_str()).collect();
        let expected = names.join(", ");
        let mut keys = Vec::with_capacity(self.keys.len());
        for (number, entry) in (1_usize..).zip(self.keys) {
            let key = KeyRef::new(entry.kind.0, entry.index, entry.version);
            let level = match (&entry.level, key.kind.scheme()) {
                (None, _) => Some(0),
                (Some(name), Scheme::Sam) if name == "psam" => Some(1),
                (Some(name), _) => levels.position(name),
            };
            let Some(level) = level else {
                let (expected, found) = (expected.clone(), entry.level.unwrap_or_default());
                return Err(KeysError::Level { number, key, expected, found });
            };
            let algorithm = entry.algorithm.map_or_else(|| soft::usual(key.kind), |named| named.0);
            let value = KeyValue::from_bytes(algorithm, &entry.value.0);
            let value = value.ok_or(KeysError::Value { number, key, algorithm })?;
            let found = value.kcv();
            if let Some(HexArray(expected)) = entry.kcv
                && expected != found
            {
                let [expected, found] = [expected, found].map(|kcv| Hex(&kcv).to_string());
                return Err(KeysError::CheckValue { number, key, expected, found });
            }
            let place = KeyPlace { key, level, owner: entry.owner.map(|owner| owner.0) };
            keys.push(Checked { place, algorithm, kcv: found, value: entry.value });
        }
        Ok(ReadKeys { levels, origin: self.origin.0, keys: ReadValues(keys.into_iter()) })
    }
}

impl SoftVault {
    /// A vault of the keys of a file.
    ///
    /// # Errors
    /// [`KeysError`] naming level or key.
    pub fn from_keys(file: KeysFile) -> Result<SoftVault, KeysError> {
        let ReadKeys { levels, origin, keys: read } = file.into_keys()?;
        let mut keys = Keys::default();
        for (number, key) in (1_usize..).zip(read) {
            let new = soft::entry(key.place, key.state, key.value);
            let fits = keys.check_new(&levels, &new.place, new.algorithm);
            fits.map_err(|source| KeysError::Key { number, source })?;
            keys.restore(new);
        }
        Ok(SoftVault::of_keys(levels, origin, keys))
    }
}

fn level(entry: &LevelEntry) -> Result<Level, KeysError> {
    let name = entry.name.clone();
    let factor = match &entry.factor {
        None => Factor::Root,
        Some(FactorEntry::Of(FactorName::Issuer)) => Factor::Issuer,
        Some(FactorEntry::Of(FactorName::Card)) => Factor::Card,
        Some(FactorEntry::Fixed(FixedFactor { code, padding })) => {
            let padding = match padding {
                PaddingName::City => FactorPadding::City,
                PaddingName::Filled => FactorPadding::Filled,
                PaddingName::Whole => FactorPadding::Whole,
            };
            let factor = padding.factor(&code.0);
            Factor::Fixed(factor.ok_or_else(|| KeysError::Code { name: name.clone() })?)
        }
    };
    Ok(Level { name, factor })
}

/// A word of a closed list.
struct Named<T>(T);

/// Bytes written as hex digits.
struct HexArray<const N: usize>([u8; N]);

/// Bytes of any number written as hex digits.
struct HexBytes(Vec<u8>);

/// A PIN of 4 to 12 digits; an error never shows them.
struct SecretPin(Pin);

/// An SM2 private key of 64 hex digits; an error never shows them.
struct SecretSigner(PrivateKey);

/// A key in hex digits; an error never shows them.
struct SecretBytes(Zeroizing<Vec<u8>>);

/// Reads a text by a function that answers `Err(what was expected)`.
struct Text<F>(F, &'static str);

impl<T, E: fmt::Display, F: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<D: de::Error>(self, text: &str) -> Result<T, D> {
        (self.0)(text).map_err(|error| D::custom(format_args!("expected {}: {error}", self.1)))
    }
}

impl<'de> Deserialize<'de> for Named<KeyKind> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let names = || KeyKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
        let read = |text: &str| {
            KeyKind::from_name(text)
                .map(Named)
                .ok_or_else(|| format!("found {text:?}; there are {}", names()))
        };
        from.deserialize_str(Text(read, "a kind of key"))
    }
}

impl<'de> Deserialize<'de> for Named<Origin> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = |text: &str| Origin::from_name(text).map(Named).ok_or_else(|| format!("found {text:?}"));
        from.deserialize_str(Text(read, "\"demo\" or \"production\""))
    }
}

impl<'de, const N: usize> Deserialize<'de> for HexArray<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Text(|text: &str| hex::decode(text).map(HexArray), "hex digits"))
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = |text: &str| {
            let mut bytes = vec![0; text.len().div_ceil(2)];
            hex::decode_into(text, &mut bytes).map(|()| HexBytes(bytes))
        };
        from.deserialize_str(Text(read, "hex digits"))
    }
}

impl<'de> Deserialize<'de> for SecretPin {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = |text: &str| Pin::from_digits(text).map(SecretPin).ok_or("found something else");
        from.deserialize_str(Text(read, "a PIN of 4 to 12 digits"))
    }
}

impl<'de> Deserialize<'de> for SecretSigner {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = |text: &str| {
            let bytes = hex::decode(text).map(Zeroizing::new).ok();
            bytes
                .and_then(|bytes| PrivateKey::from_bytes(&bytes))
                .map(SecretSigner)
                .ok_or("found something else")
        };
        from.deserialize_str(Text(read, "an SM2 private key of 64 hex digits"))
    }
}

impl<'de> Deserialize<'de> for SecretBytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = |text: &str| {
            let mut bytes = Zeroizing::new(vec![0; text.len().div_ceil(2)]);
            hex::decode_into(text, &mut bytes).map(|()| SecretBytes(bytes))
        };
        from.deserialize_str(Text(read, "a key in hex digits"))
    }
}

impl<'de> Deserialize<'de> for Named<KeyAlgorithm> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read =
            |text: &str| KeyAlgorithm::from_name(text).map(Named).ok_or_else(|| format!("found {text:?}"));
        from.deserialize_str(Text(read, "\"3des\", \"sm4\", \"aes-256\" or \"sm2\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{CardKeyRef, KeyAddress, Vault};
    use hex_literal::hex;
    use ykt_base::{Asn8, IssuerFactor};
    use ykt_crypto::Key16;

    fn refused(text: &str) -> String {
        let vault = KeysFile::parse(text).and_then(SoftVault::from_keys);
        vault.err().map(|error| error.to_string()).expect("refused")
    }

    const DPK: &str = "404142434445464748494A4B4C4D4E4F";

    fn one_key(fields: &str) -> String {
        format!("origin = \"demo\"\n[[key]]\nkind = \"purchase\"\nvalue = \"{DPK}\"\n{fields}\n")
    }

    /// The documented example is a key file, and it has every kind.
    #[test]
    fn documented_example() {
        let file = KeysFile::parse(include_str!("../../../docs/keys.toml")).unwrap();
        let vault = SoftVault::from_keys(file).unwrap();
        for kind in KeyKind::ALL {
            assert!(vault.list().unwrap().iter().any(|info| info.key.kind == *kind), "{kind} is missing");
        }
        assert_eq!(vault.origin(), Origin::Demo);
    }

    #[test]
    fn an_identity_key_is_one_or_none() {
        let of = |digits: &str| KeysFile::parse(&format!("identity_key = \"{digits}\"\n{}", one_key("")));
        assert!(of(&"3D".repeat(32)).unwrap().identity_key().is_some());
        assert!(KeysFile::parse(&one_key("")).unwrap().identity_key().is_none());
        for digits in ["3D", &"00".repeat(32), &"FF".repeat(32)] {
            let error = of(digits).err().unwrap().to_string();
            assert!(error.contains("line 1") && error.contains("64 hex digits") && !error.contains(digits));
        }
    }

    /// One file with a root and keys for one city and one card: the deepest that fits is taken.
    #[test]
    fn master_first_level_and_finished_keys() {
        let text = format!(
            "{}[[key]]\nkind = \"purchase\"\nlevel = \"city\"\nowner = \"2144FF0000000000\"\nvalue = \"{}\"\n\
             [[key]]\nkind = \"purchase\"\nlevel = \"card\"\nowner = \"0000000000000001\"\nvalue = \"{}\"\n",
            one_key(""),
            "11".repeat(16),
            "22".repeat(16)
        );
        let vault = SoftVault::from_keys(KeysFile::parse(&text).unwrap()).unwrap();
        let kcv = |factor, asn| {
            let key = KeyRef::new(KeyKind::Purchase, 1, 1);
            let card = CardKeyRef { key, factor: IssuerFactor(factor), asn: Asn8(asn) };
            vault.kcv(&KeyAddress::Card(card)).unwrap()
        };
        let tdes = |bytes: [u8; 16]| CardKey::Tdes(Key16::from_bytes(bytes));
        let city = hex!("2144FF0000000000");
        assert_eq!(kcv(city, hex!("0000000000000001")), tdes([0x22; 16]).kcv());
        let other = tdes([0x11; 16]).diversify(&[2; 8]);
        assert_eq!(kcv(city, [2; 8]), other.kcv());
        let root = CardKey::Tdes(Key16::from_hex(DPK).unwrap());
        let elsewhere = root.diversify(&[9; 8]).diversify(&[2; 8]);
        assert_eq!(kcv([9; 8], [2; 8]), elsewhere.kcv());
    }

    /// What a desk computes with is what the vault of the same file has; its PIN is the desk's only.
    #[test]
    fn a_desk_has_the_keys_of_its_file() {
        let text = format!("pin = \"1234\"\n{}", one_key(""));
        let desk = DeskKeys::from_keys(KeysFile::parse(&text).unwrap()).unwrap();
        let key = KeyRef::new(KeyKind::Purchase, 1, 1);
        let card = CardKeyRef { key, factor: IssuerFactor([1; 8]), asn: Asn8([2; 8]) };
        let vault = SoftVault::from_keys(KeysFile::parse(&text).unwrap()).unwrap();
        let address = KeyAddress::Card(card);
        assert_eq!(desk.key(&address).ok().unwrap().kcv(), vault.kcv(&address).unwrap());
        let load = KeyAddress::Card(CardKeyRef { key: KeyRef::new(KeyKind::Load, 1, 1), ..card });
        assert!(matches!(desk.key(&load), Err(VaultError::NoSuchKey { .. })));
        assert_eq!(desk.pin().unwrap().as_bytes(), hex!("1234"));
        let bad = refused(&format!("pin = \"12x4\"\n{}", one_key("")));
        assert!(bad.contains("4 to 12 digits") && !bad.contains("12x4"), "{bad}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(refused("origin = \"test\"\nkey = []\n").contains("\"demo\" or \"production\""));
        assert!(refused(&one_key("colour = 1")).contains("line 5"));
        assert!(refused(&one_key("colour = 1")).contains("colour"));
        let misspelt = refused(&one_key("").replace("\"purchase\"", "\"purchaze\""));
        assert!(misspelt.contains("line 3") && misspelt.contains("purchaze") && misspelt.contains("load"));
        let short = refused(&one_key("").replace(DPK, "4041"));
        assert!(short.contains("32 hex digits") && !short.contains("4041"), "{short}");
        assert!(refused(&one_key("level = \"town\"")).contains("nation, city, card"));
        assert!(refused(&one_key("kcv = \"000000\"")).contains("expected check value 000000"));
        assert!(refused(&one_key("owner = \"2144FF0000000000\"")).contains("a root key has no owner"));
        let twice = format!("{}[[key]]\nkind = \"purchase\"\nvalue = \"{DPK}\"\n", one_key(""));
        assert!(refused(&twice).contains("key 2: the vault already has"));
        let levels = "[[level]]\nname = \"nation\"\n[[level]]\nname = \"city\"\nfactor = \"issuer\"\n";
        assert!(refused(&format!("{}{levels}", one_key(""))).contains("last level"));
        let province = "[[level]]\nname = \"nation\"\n[[level]]\nname = \"province\"\n\
                        factor = { code = \"310000\", padding = \"city\" }\n\
                        [[level]]\nname = \"card\"\nfactor = \"card\"\n";
        assert!(refused(&format!("{}{province}", one_key(""))).contains("province"));
        assert!(KeysFile::read(Path::new("/nonexistent/keys.toml")).is_err());
    }
}
