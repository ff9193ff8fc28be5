//! Key files (`keys.toml`): a vault's keys in clear, for cards and PSAMs on a desk. `docs/keys.toml` shows every part.
//!
//! Master keys stand at the first level, first-level keys of third parties below it, finished card keys at the
//! last. Unknown fields are errors; a check value, where given, is checked.

mod fields;

use crate::error::VaultError;
use crate::kind::{KeyKind, KeyState, Origin, Scheme};
use crate::levels::{Factor, FactorPadding, Level, Levels, LevelsError};
use crate::manage::{ImportedKey, KeyPlace};
use crate::soft::{self, Keys, SoftVault};
use crate::value::{KeyAlgorithm, KeyValue};
use crate::vault::{KeyAddress, KeyRef};
use fields::{HexArray, HexBytes, Named, SecretBytes, SecretPin, SecretSigner};
use serde::Deserialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use ykt_base::hex::Hex;
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
        "key file, level {name:?}: the code does not fit the padding (city: 2 bytes, whole: 8, others: 1 to 8)"
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
    padding: PaddingEntry,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "\"city\", \"filled\", \"whole\", or { align = \"right\", fill = \"00\" }")]
enum PaddingEntry {
    Of(PaddingName),
    With(OwnPadding),
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
struct OwnPadding {
    align: Align,
    fill: HexArray<1>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Align {
    Left,
    Right,
}

impl PaddingEntry {
    const fn padding(&self) -> FactorPadding {
        match self {
            PaddingEntry::Of(PaddingName::City) => FactorPadding::City,
            PaddingEntry::Of(PaddingName::Filled) => FactorPadding::FILLED,
            PaddingEntry::Of(PaddingName::Whole) => FactorPadding::Whole,
            PaddingEntry::With(OwnPadding { align: Align::Left, fill: HexArray([fill]) }) => {
                FactorPadding::Left { fill: *fill }
            }
            PaddingEntry::With(OwnPadding { align: Align::Right, fill: HexArray([fill]) }) => {
                FactorPadding::Right { fill: *fill }
            }
        }
    }
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
            let factor = padding.padding().factor(&code.0);
            Factor::Fixed(factor.ok_or_else(|| KeysError::Code { name: name.clone() })?)
        }
    };
    Ok(Level { name, factor })
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

    /// Five levels, one with a padding of its own, and a key of SM4: what the file says is what is derived.
    #[test]
    fn levels_paddings_and_algorithms_are_the_files() {
        let levels = "[[level]]\nname = \"nation\"\n\
                      [[level]]\nname = \"province\"\nfactor = { code = \"3100\", padding = \"filled\" }\n\
                      [[level]]\nname = \"line\"\n\
                      factor = { code = \"07\", padding = { align = \"right\", fill = \"00\" } }\n\
                      [[level]]\nname = \"city\"\nfactor = \"issuer\"\n\
                      [[level]]\nname = \"card\"\nfactor = \"card\"\n";
        let text = format!("{}{levels}", one_key("algorithm = \"sm4\""));
        let vault = SoftVault::from_keys(KeysFile::parse(&text).unwrap()).unwrap();
        let key = KeyRef::new(KeyKind::Purchase, 1, 1);
        let address = KeyAddress::Card(CardKeyRef { key, factor: IssuerFactor([1; 8]), asn: Asn8([2; 8]) });
        let root = CardKey::Sm4(Key16::from_hex(DPK).unwrap());
        let factors = [hex!("3100FFFFFFFFFFFF"), hex!("0000000000000007"), [1; 8], [2; 8]];
        let card = factors.iter().fold(root, |key, factor| key.diversify(factor));
        assert_eq!(vault.kcv(&address).unwrap(), card.kcv());
        assert_eq!(vault.list().unwrap()[0].algorithm, KeyAlgorithm::Sm4);

        let wrong = refused(&one_key("algorithm = \"aes-256\""));
        assert!(wrong.contains("64 hex digits (aes-256)"), "{wrong}");
        assert!(refused(&one_key("algorithm = \"des\"")).contains("\"3des\", \"sm4\""));
        let sm2 = one_key("algorithm = \"sm2\"").replace(DPK, &"3D".repeat(32));
        assert!(refused(&sm2).contains("a purchase key is one of 3des, sm4, found sm2"));
        let nine = "[[level]]\nname = \"x\"\n".repeat(9);
        assert!(refused(&format!("{}{nine}", one_key(""))).contains("2 to 8"));
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
