//! Profiles: what belongs on a card, as data that a card engineer can read and change.
//!
//! A profile is a list of steps in the order of the commands. [`Profile::city_cpu`] and [`Profile::psam`] are
//! built in; others are TOML files of the same shape.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use ykt_base::hex;
use ykt_card::{ATR_LEN_MAX, CardKind};
use ykt_purse::create::{Access, AccessByte, Protection};
use ykt_purse::write_key::ErrorCounter;
use ykt_vault::{KeyKind, KeyRef};

/// Most steps of a profile.
pub const STEPS_LEN_MAX: usize = 100;

/// A profile.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Short name.
    pub name: String,
    /// What it is, for people.
    pub title: String,
    /// User card or PSAM.
    #[serde(rename = "card", deserialize_with = "card_kind")]
    pub kind: CardKind,
    /// Answer to reset that the factory gives the chip.
    #[serde(deserialize_with = "atr")]
    pub atr: Vec<u8>,
    /// Key the factory gives the blank card.
    #[serde(deserialize_with = "key")]
    pub transport: KeyRef,
    /// The steps, in order.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
}

/// One step: a title for people, and what is done.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Step {
    /// SELECT by file id.
    Select {
        /// What it is for.
        title: String,
        /// File id.
        #[serde(deserialize_with = "fid")]
        fid: [u8; 2],
    },
    /// CREATE FILE of an application.
    CreateApplication {
        /// What it is for.
        title: String,
        /// File id.
        #[serde(deserialize_with = "fid")]
        fid: [u8; 2],
        /// Application name.
        #[serde(deserialize_with = "aid")]
        aid: Vec<u8>,
        /// Bytes for everything in it.
        size: u16,
        /// Right to create files in it.
        #[serde(deserialize_with = "access")]
        create: Access,
        /// Right to erase it.
        #[serde(default = "never", deserialize_with = "access")]
        erase: Access,
        /// Short id of the file that the answer to SELECT carries, with bit 8 set.
        #[serde(default = "app_id", deserialize_with = "byte")]
        app_id: u8,
        /// Whether loading the electronic purse needs the PIN.
        #[serde(default)]
        load_needs_pin: bool,
        /// Whether enciphered data are padded only when they do not fill blocks.
        #[serde(default)]
        pad_if_needed: bool,
        /// Whether the security state ends with a transaction.
        #[serde(default)]
        state_ends_with_transaction: bool,
    },
    /// CREATE FILE of the key file of the current directory.
    CreateKeys {
        /// What it is for.
        title: String,
        /// Bytes; a key takes [`ykt_card::KEY_SLOT_LEN`].
        size: u16,
        /// Right to add keys.
        #[serde(deserialize_with = "access")]
        add: Access,
        /// Short id of the file that says whose directory it is, with bit 8 set.
        #[serde(default = "app_id", deserialize_with = "byte")]
        df_sfi: u8,
    },
    /// CREATE FILE of a file of bytes.
    CreateBinary {
        /// What it is for.
        title: String,
        /// File id.
        #[serde(deserialize_with = "fid")]
        fid: [u8; 2],
        /// Bytes.
        size: u16,
        /// How changes must come.
        #[serde(default, deserialize_with = "protection")]
        protection: Protection,
        /// Right to read.
        #[serde(default = "always", deserialize_with = "access")]
        read: Access,
        /// Right to change.
        #[serde(default = "always", deserialize_with = "access")]
        write: Access,
        /// Keys of its protection.
        #[serde(default = "key_0", deserialize_with = "access_byte")]
        access: AccessByte,
    },
    /// CREATE FILE of a ring of records.
    CreateCyclic {
        /// What it is for.
        title: String,
        /// File id.
        #[serde(deserialize_with = "fid")]
        fid: [u8; 2],
        /// Records.
        count: u8,
        /// Bytes of a record.
        len: u8,
        /// Right to read.
        #[serde(default = "always", deserialize_with = "access")]
        read: Access,
        /// Right to append; the card itself needs none.
        #[serde(deserialize_with = "access")]
        write: Access,
    },
    /// CREATE FILE of a purse.
    CreatePurse {
        /// What it is for.
        title: String,
        /// File id: 0001 the deposit, 0002 the purse.
        #[serde(deserialize_with = "fid")]
        fid: [u8; 2],
        /// Right to use it.
        #[serde(default = "always", deserialize_with = "access")]
        usage: Access,
        /// Second right of the layout.
        #[serde(default = "zero", deserialize_with = "access")]
        change: Access,
        /// Short id of its log.
        #[serde(deserialize_with = "byte")]
        log: u8,
    },
    /// WRITE KEY of a user card.
    WriteKey {
        /// What it is for.
        title: String,
        /// The key.
        #[serde(deserialize_with = "key")]
        key: KeyRef,
        /// The key that protects it on its way.
        #[serde(deserialize_with = "key")]
        control: KeyRef,
        /// Id on the card: the index that commands name.
        id: u8,
        /// Whether it is new on the card, or takes the place of another.
        #[serde(default)]
        place: Place,
        /// Right to use it.
        #[serde(default = "always", deserialize_with = "access")]
        use_right: Access,
        /// State after a success.
        #[serde(default, deserialize_with = "byte")]
        follow_up: u8,
        /// Right to change it.
        #[serde(default = "always", deserialize_with = "access")]
        change_right: Access,
        /// Tries allowed and left.
        #[serde(default = "three", deserialize_with = "tries")]
        tries: ErrorCounter,
    },
    /// WRITE KEY of the holder's PIN.
    WritePin {
        /// What it is for.
        title: String,
        /// The key that protects it on its way.
        #[serde(deserialize_with = "key")]
        control: KeyRef,
        /// Id on the card.
        id: u8,
        /// State after a success.
        #[serde(default, deserialize_with = "byte")]
        follow_up: u8,
        /// Tries allowed and left.
        #[serde(default = "three", deserialize_with = "tries")]
        tries: ErrorCounter,
    },
    /// WRITE KEY of a PSAM.
    WriteSamKey {
        /// What it is for.
        title: String,
        /// The key.
        #[serde(deserialize_with = "key")]
        key: KeyRef,
        /// The key that protects it on its way.
        #[serde(deserialize_with = "key")]
        control: KeyRef,
        /// Usage byte: levels left and type.
        #[serde(deserialize_with = "byte")]
        usage: u8,
    },
    /// GET CHALLENGE and EXTERNAL AUTHENTICATE.
    Authenticate {
        /// What it is for.
        title: String,
        /// The key.
        #[serde(deserialize_with = "key")]
        key: KeyRef,
        /// Its id on the card.
        id: u8,
    },
    /// UPDATE BINARY from the start of a file.
    Write {
        /// What it is for.
        title: String,
        /// File id; its low five bits are the short id.
        #[serde(deserialize_with = "fid")]
        fid: [u8; 2],
        /// What is written.
        content: Content,
        /// The key that protects it on its way; without one it travels as it is.
        #[serde(default, deserialize_with = "optional_key")]
        key: Option<KeyRef>,
    },
}

/// Whether a WRITE KEY adds or replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The card has no such key yet.
    #[default]
    Added,
    /// It takes the place of the one there.
    Replaced,
}

/// What is written to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// A card's public application data.
    PublicData,
    /// A card's holder data.
    HolderData,
    /// A PSAM's serial number and versions.
    SamCardData,
    /// A PSAM's terminal id.
    TerminalId,
    /// A PSAM's application data.
    SamApplication,
}

/// Why a text is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The TOML cannot be read, or a field is unknown, missing or wrong.
    #[error("a profile that cannot be read")]
    Toml(#[from] toml::de::Error),
    /// Too many steps.
    #[error("profile {name}: {found} steps, at most {STEPS_LEN_MAX}")]
    TooLong {
        /// Name of the profile.
        name: String,
        /// Its steps.
        found: usize,
    },
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// [`ProfileError`] naming line and field.
    pub fn parse(text: &str) -> Result<Profile, ProfileError> {
        let profile: Profile = toml::from_str(text)?;
        if profile.steps.len() > STEPS_LEN_MAX {
            return Err(ProfileError::TooLong { name: profile.name, found: profile.steps.len() });
        }
        Ok(profile)
    }

    /// The city card.
    #[must_use]
    pub fn city_cpu() -> Profile {
        built_in(include_str!("../profiles/city-cpu.toml"))
    }

    /// The PSAM of its terminals.
    #[must_use]
    pub fn psam() -> Profile {
        built_in(include_str!("../profiles/psam.toml"))
    }

    /// The built-in profile of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Profile> {
        [Profile::city_cpu(), Profile::psam()].into_iter().find(|profile| profile.name == name)
    }
}

#[expect(clippy::expect_used, reason = "the texts are part of this crate, and a test reads them")]
fn built_in(text: &str) -> Profile {
    Profile::parse(text).expect("built-in profile")
}

impl Step {
    /// What it is for.
    #[must_use]
    pub fn title(&self) -> &str {
        match self {
            Step::Select { title, .. }
            | Step::CreateApplication { title, .. }
            | Step::CreateKeys { title, .. }
            | Step::CreateBinary { title, .. }
            | Step::CreateCyclic { title, .. }
            | Step::CreatePurse { title, .. }
            | Step::WriteKey { title, .. }
            | Step::WritePin { title, .. }
            | Step::WriteSamKey { title, .. }
            | Step::Authenticate { title, .. }
            | Step::Write { title, .. } => title,
        }
    }
}

fn always() -> Access {
    Access::ALWAYS
}

fn never() -> Access {
    Access::NEVER
}

fn zero() -> Access {
    Access(0)
}

fn key_0() -> AccessByte {
    AccessByte::KEY_0
}

/// EF 0015, the public data of card and PSAM.
fn app_id() -> u8 {
    0x95
}

fn three() -> ErrorCounter {
    ErrorCounter::THREE
}

/// Hex digits, blanks between them allowed.
fn hex_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text: String = Deserialize::deserialize(from)?;
    let digits: String = text.split_whitespace().collect();
    let mut bytes = vec![0; digits.len().div_ceil(2)];
    hex::decode_into(&digits, &mut bytes).map_err(D::Error::custom)?;
    Ok(bytes)
}

fn fixed<'de, D: Deserializer<'de>, const N: usize>(from: D) -> Result<[u8; N], D::Error> {
    let bytes = hex_bytes(from)?;
    let found = bytes.len();
    bytes.try_into().map_err(|_| D::Error::custom(format!("expected {N} hex bytes, found {found}")))
}

fn within<'de, D: Deserializer<'de>>(from: D, least: usize, most: usize) -> Result<Vec<u8>, D::Error> {
    let bytes = hex_bytes(from)?;
    if (least..=most).contains(&bytes.len()) {
        return Ok(bytes);
    }
    Err(D::Error::custom(format!("expected {least} to {most} hex bytes, found {}", bytes.len())))
}

fn atr<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    within(from, 2, ATR_LEN_MAX)
}

fn aid<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    within(from, 5, ykt_purse::create::NAME_LEN_MAX)
}

fn fid<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 2], D::Error> {
    fixed(from)
}

fn byte<'de, D: Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    fixed(from).map(|[byte]| byte)
}

fn access<'de, D: Deserializer<'de>>(from: D) -> Result<Access, D::Error> {
    byte(from).map(Access)
}

fn access_byte<'de, D: Deserializer<'de>>(from: D) -> Result<AccessByte, D::Error> {
    byte(from).map(AccessByte)
}

fn tries<'de, D: Deserializer<'de>>(from: D) -> Result<ErrorCounter, D::Error> {
    byte(from).map(ErrorCounter)
}

fn card_kind<'de, D: Deserializer<'de>>(from: D) -> Result<CardKind, D::Error> {
    match String::deserialize(from)?.as_str() {
        "user" => Ok(CardKind::User),
        "psam" => Ok(CardKind::Psam),
        other => Err(D::Error::unknown_variant(other, &["user", "psam"])),
    }
}

fn protection<'de, D: Deserializer<'de>>(from: D) -> Result<Protection, D::Error> {
    match String::deserialize(from)?.as_str() {
        "plain" => Ok(Protection::Plain),
        "mac" => Ok(Protection::Mac),
        "enciphered-mac" => Ok(Protection::EncipheredMac),
        other => Err(D::Error::unknown_variant(other, &["plain", "mac", "enciphered-mac"])),
    }
}

/// `KIND` or `KIND/INDEX/VERSION`.
fn key<'de, D: Deserializer<'de>>(from: D) -> Result<KeyRef, D::Error> {
    let text = String::deserialize(from)?;
    let mut parts = text.split('/');
    let kind = parts.next().and_then(KeyKind::from_name);
    let numbers: Option<Vec<u8>> = parts.map(|part| part.parse().ok()).collect();
    match (kind, numbers.as_deref()) {
        (Some(kind), Some([])) => Ok(KeyRef::new(kind, 1, 1)),
        (Some(kind), Some([index, version])) => Ok(KeyRef::new(kind, *index, *version)),
        _ => Err(D::Error::custom(format!(
            "expected a key as KIND or KIND/INDEX/VERSION, found `{text}`; kinds are {}",
            KeyKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
        ))),
    }
}

fn optional_key<'de, D: Deserializer<'de>>(from: D) -> Result<Option<KeyRef>, D::Error> {
    key(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_profiles_are_read_and_found_by_name() {
        for name in ["city-cpu", "psam"] {
            let profile = Profile::named(name).unwrap();
            assert_eq!(profile.name, name);
            assert!(profile.steps.iter().all(|step| !step.title().is_empty()));
        }
        assert!(Profile::named("none").is_none());
        assert_eq!(Profile::city_cpu().atr, ykt_card::ATR_USER_CARD);
        assert_eq!(Profile::psam().atr, ykt_card::ATR_PSAM);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let profile = |step: &str| {
            let head = "name='x'\ntitle='x'\ncard='user'\natr='3B00'\ntransport='card-transport'\n[[step]]\ntitle='x'\n";
            let error = Profile::parse(&format!("{head}{step}")).unwrap_err();
            std::error::Error::source(&error).unwrap().to_string()
        };
        assert!(profile("do='select'\nfid='3F'").contains("expected 2 hex bytes, found 1"));
        assert!(profile("do='select'\nfid='3F00'\nsize=1").contains("unknown field `size`"));
        assert!(profile("do='burn'").contains("unknown variant `burn`"));
        assert!(profile("do='authenticate'\nid=0\nkey='master'").contains("kinds are card-master"));
        assert!(profile("do='authenticate'\nid=0\nkey='card-master/1'").contains("KIND/INDEX/VERSION"));
    }
}
