//! The steps of a profile, each a command: what can be done to a card, and how a table says it.

use super::read::{
    ACCESS, ACCESS_BYTE, BYTE, COUNT, FID, Fields, Form, KEY_ID, PROTECTION, ProfileError, SIZE, TEXT, TRIES,
    YES_OR_NO, any_key, card_key, hex_array, hex_bytes, key, key_of, named, number, shown,
};
use ykt_card::CardKind;
use ykt_purse::Algorithm;
use ykt_purse::command::RecordPlace;
use ykt_purse::create::{
    Access, AccessByte, CreateFile, NAME_LEN_MAX, NewFile, Protection, Structure, Switches,
};
use ykt_purse::identity::DataGroup;
use ykt_purse::key_card::{IssueUsage, KeyCardUsage};
use ykt_purse::psam::SamUsage;
use ykt_purse::token::{KeyPairId, PinPolicy, Purpose};
use ykt_purse::write_key::{ErrorCounter, KeyLayout};
use ykt_purse::{bank, ticket};
use ykt_vault::{KeyKind, KeyRef};

/// One step: a title for people, and what is done.
#[derive(Debug, Clone)]
pub struct Step {
    /// What it is for.
    pub title: String,
    /// What is done.
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// SELECT by file id.
    Select {
        /// File id.
        fid: [u8; 2],
    },
    /// CREATE FILE of an application.
    CreateApplication(NewApplication),
    /// CREATE FILE of any other file.
    Create(CreateFile<'static>),
    /// WRITE KEY of a user card.
    WriteKey(NewCardKey),
    /// WRITE KEY of the holder's PIN.
    WritePin {
        /// The key that protects it on its way.
        control: KeyRef,
        /// Id on the card.
        id: u8,
        /// State after a success.
        follow_up: u8,
        /// Tries allowed and left.
        tries: ErrorCounter,
    },
    /// WRITE KEY of a PSAM.
    WriteSamKey {
        /// The key.
        key: KeyRef,
        /// What it computes with, as the vault must have it.
        algorithm: Algorithm,
        /// The key that protects it on its way.
        control: KeyRef,
        /// What for, and how many levels above the cards.
        usage: SamUsage,
    },
    /// WRITE KEY of a key card.
    WriteKeyCardKey {
        /// The key.
        key: KeyRef,
        /// What it computes with, as the vault must have it.
        algorithm: Algorithm,
        /// The key that protects it on its way.
        control: KeyRef,
        /// What for, and how many levels above the cards.
        usage: KeyCardUsage,
    },
    /// WRITE KEY of the PIN of a key card's operator.
    WriteOperatorPin {
        /// The key that protects it on its way.
        control: KeyRef,
    },
    /// GET CHALLENGE and EXTERNAL AUTHENTICATE.
    Authenticate {
        /// The key.
        key: KeyRef,
        /// Its id on the card.
        id: u8,
    },
    /// GENERATE KEY PAIR.
    GenerateKeyPair {
        /// Where.
        id: KeyPairId,
    },
    /// UPDATE BINARY from the start of a file, or UPDATE or APPEND RECORD.
    Write(NewContent),
}

/// An application to be made.
#[derive(Debug, Clone)]
pub struct NewApplication {
    /// File id.
    pub fid: [u8; 2],
    /// Application name.
    pub aid: Vec<u8>,
    /// Bytes for everything in it.
    pub size: u16,
    /// Right to create files in it.
    pub create: Access,
    /// Right to erase it.
    pub erase: Access,
    /// Short id of the file that the answer to SELECT carries, with bit 8 set.
    pub app_id: u8,
    /// Where its commands differ from the default.
    pub switches: Switches,
}

/// A user card's key to be written.
#[derive(Debug, Clone, Copy)]
pub struct NewCardKey {
    /// The key.
    pub key: KeyRef,
    /// What it computes with, as the vault must have it.
    pub algorithm: Algorithm,
    /// The key that protects it on its way.
    pub control: KeyRef,
    /// Id on the card: the index that commands name.
    pub id: u8,
    /// Whether it is new on the card, or takes the place of another.
    pub place: Place,
    /// Right to use it.
    pub use_right: Access,
    /// State after a success.
    pub follow_up: u8,
    /// Right to change it.
    pub change_right: Access,
    /// Tries allowed and left.
    pub tries: ErrorCounter,
}

/// Whether a WRITE KEY adds or replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The card has no such key yet.
    Added,
    /// It takes the place of the one there.
    Replaced,
}

/// Content to be written.
#[derive(Debug, Clone)]
pub struct NewContent {
    /// File id; its low five bits are the short id.
    pub fid: [u8; 2],
    /// Where in the file.
    pub spot: Spot,
    /// What.
    pub content: Content,
    /// The key that protects it on its way; without one it travels as it is.
    pub key: Option<KeyRef>,
    /// Whether it is enciphered, too.
    pub protection: Protection,
}

/// Where content goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    /// The start of a file of bytes.
    Start,
    /// A record there is.
    Record(RecordPlace),
    /// A new record.
    Append,
}

/// What is written to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Public application data, in the profile's layout.
    PublicData,
    /// The holder's data, in the profile's layout.
    HolderData,
    /// T-Union's management information.
    ManagementData,
    /// The authentication code.
    AuthenticationCode,
    /// Reference and label of the bank card of this number, from 1.
    BankCard(u8),
    /// Its tracks.
    BankTracks(u8),
    /// Its holder's signature picture.
    BankSignature(u8),
    /// A data group of the holder's identity.
    Identity(DataGroup),
    /// What the issuer signs of the identity and of the key pair made before.
    SignedObject,
    /// A PSAM's serial number and versions.
    SamCardData,
    /// A PSAM's terminal id.
    TerminalId,
    /// A PSAM's application data.
    SamApplication,
    /// A key card's attributes.
    KeyCardAttributes,
    /// A key card's issue record.
    IssueRecord,
    /// What everybody may read of a component card.
    ComponentLabel,
    /// A custodian's component.
    Component,
    /// The same on every card.
    Bytes(Vec<u8>),
}

const USER: &[CardKind] = &[CardKind::User];
const SAM: &[CardKind] = &[CardKind::Psam];
const KEY_CARD: &[CardKind] = &[CardKind::KeyCard];

/// Reads the action of one word of `do`.
type Reader = fn(&mut Fields, CardKind) -> Result<Action, ProfileError>;

/// Every word of `do`, the kinds of cards it is for, and how its keys are read.
const ACTIONS: [(&str, &[CardKind], Reader); 19] = [
    ("select", &CardKind::ALL, select),
    ("create-application", &CardKind::ALL, create_application),
    ("create-keys", &CardKind::ALL, create_keys),
    ("create-binary", &CardKind::ALL, create_binary),
    ("create-fixed", &CardKind::ALL, create_fixed),
    ("create-variable", &CardKind::ALL, create_variable),
    ("create-cyclic", &CardKind::ALL, create_cyclic),
    ("create-purse", USER, create_purse),
    ("create-tickets", USER, create_tickets),
    ("create-bank-card", USER, create_bank_card),
    ("create-key-pair", USER, create_key_pair),
    ("write-key", USER, write_key),
    ("write-pin", USER, write_pin),
    ("write-sam-key", SAM, write_sam_key),
    ("write-key-card-key", KEY_CARD, write_key_card_key),
    ("write-operator-pin", KEY_CARD, write_operator_pin),
    ("authenticate", &CardKind::ALL, authenticate),
    ("generate-key-pair", USER, generate_key_pair),
    ("write", &CardKind::ALL, write),
];

/// What a word of `content` stands for.
enum Named {
    One(Content),
    /// One of several, by the number behind the word.
    Each(fn(u8) -> Content),
}

/// Every word of `content`, and the kinds of cards it is for.
static CONTENTS: [(&str, &[CardKind], Named); 21] = [
    ("public-data", USER, Named::One(Content::PublicData)),
    ("holder-data", USER, Named::One(Content::HolderData)),
    ("management-data", USER, Named::One(Content::ManagementData)),
    ("authentication-code", USER, Named::One(Content::AuthenticationCode)),
    ("bank-card/NUMBER", USER, Named::Each(Content::BankCard)),
    ("bank-tracks/NUMBER", USER, Named::Each(Content::BankTracks)),
    ("bank-signature/NUMBER", USER, Named::Each(Content::BankSignature)),
    ("identity-name", USER, Named::One(Content::Identity(DataGroup::Name))),
    ("identity-number", USER, Named::One(Content::Identity(DataGroup::IdNumber))),
    ("identity-sex", USER, Named::One(Content::Identity(DataGroup::Sex))),
    ("identity-birth", USER, Named::One(Content::Identity(DataGroup::Birth))),
    ("identity-address", USER, Named::One(Content::Identity(DataGroup::Address))),
    ("identity-photo", USER, Named::One(Content::Identity(DataGroup::Photo))),
    ("identity-object", USER, Named::One(Content::SignedObject)),
    ("component-label", USER, Named::One(Content::ComponentLabel)),
    ("component", USER, Named::One(Content::Component)),
    ("sam-card-data", SAM, Named::One(Content::SamCardData)),
    ("terminal-id", SAM, Named::One(Content::TerminalId)),
    ("sam-application", SAM, Named::One(Content::SamApplication)),
    ("key-card-attributes", KEY_CARD, Named::One(Content::KeyCardAttributes)),
    ("key-card-issue-record", KEY_CARD, Named::One(Content::IssueRecord)),
];

/// Reads a step of a profile for this kind of card.
pub(super) fn read(mut fields: Fields, kind: CardKind) -> Result<Step, ProfileError> {
    let title = fields.take("title", &TEXT)?;
    fields.place = format!("{} ({title})", fields.place);
    let word = fields.take("do", &TEXT)?;
    let fits = |(name, kinds, _): &&(&str, &[CardKind], Reader)| *name == word && kinds.contains(&kind);
    let Some((_, _, reader)) = ACTIONS.iter().find(fits) else {
        let names = ACTIONS.iter().filter(|(_, kinds, _)| kinds.contains(&kind)).map(|(name, ..)| *name);
        return Err(fields.wrong("do", one_of(names), format!("{word:?}")));
    };
    let action = reader(&mut fields, kind)?;
    fields.end()?;
    Ok(Step { title, action })
}

fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("one of {}", names.collect::<Vec<_>>().join(", "))
}

fn select(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    Ok(Action::Select { fid: fields.take("fid", &FID)? })
}

/// The switches of `[preset]` or of an application.
pub(super) fn switches(fields: &mut Fields) -> Result<Switches, ProfileError> {
    const LAYOUT: Form<KeyLayout> = Form::Word(&[
        ("source-documents", KeyLayout::SourceDocuments),
        ("fmcos", KeyLayout::Fmcos),
        ("nine-byte", KeyLayout::NineByte),
    ]);
    let mut switch = |key| fields.take_or(key, false, &YES_OR_NO);
    Ok(Switches {
        load_needs_pin: switch("load_needs_pin")?,
        pad_if_needed: switch("pad_if_needed")?,
        state_ends_with_transaction: switch("state_ends_with_transaction")?,
        answers_wait: switch("answers_wait")?,
        counts_wrong_macs: switch("counts_wrong_macs")?,
        purchase_needs_pin: switch("purchase_needs_pin")?,
        balance_needs_pin: switch("balance_needs_pin")?,
        key_layout: fields.take_or("key_layout", KeyLayout::SourceDocuments, &LAYOUT)?,
    })
}

fn create_application(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    const AID: Form<Vec<u8>> = Form::new("an application name, 5 to 16 hex bytes in quotes", |value| {
        hex_bytes(value).filter(|aid| (5..=NAME_LEN_MAX).contains(&aid.len()))
    });
    Ok(Action::CreateApplication(NewApplication {
        fid: fields.take("fid", &FID)?,
        aid: fields.take("aid", &AID)?,
        size: fields.take("size", &SIZE)?,
        create: fields.take("create", &ACCESS)?,
        erase: fields.take_or("erase", Access::NEVER, &ACCESS)?,
        app_id: fields.take_or("app_id", PUBLIC_DATA, &BYTE)?,
        switches: switches(fields)?,
    }))
}

/// EF 0015, the public data of card and PSAM.
const PUBLIC_DATA: u8 = 0x95;

fn create_keys(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    let file = NewFile::Keys {
        size: fields.take("size", &SIZE)?,
        add: fields.take("add", &ACCESS)?,
        df_sfi: fields.take_or("df_sfi", PUBLIC_DATA, &BYTE)?,
    };
    Ok(create([0, 0], file))
}

const fn create(fid: [u8; 2], file: NewFile<'static>) -> Action {
    Action::Create(CreateFile { fid, file })
}

/// A file with data; `write` is its right when nothing is said.
fn data(fields: &mut Fields, structure: Structure, write: Access) -> Result<Action, ProfileError> {
    let fid = fields.take("fid", &FID)?;
    let file = NewFile::Data {
        structure,
        protection: fields.take_or("protection", Protection::Plain, &PROTECTION)?,
        read: fields.take_or("read", Access::ALWAYS, &ACCESS)?,
        write: fields.take_or("write", write, &ACCESS)?,
        access: fields.take_or("access", AccessByte::KEY_0, &ACCESS_BYTE)?,
    };
    Ok(create(fid, file))
}

fn create_binary(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    let structure = Structure::Binary { size: fields.take("size", &SIZE)? };
    data(fields, structure, Access::ALWAYS)
}

fn create_variable(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    let structure = Structure::VariableRecords { size: fields.take("size", &SIZE)? };
    data(fields, structure, Access::ALWAYS)
}

fn create_fixed(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    let structure =
        Structure::FixedRecords { count: fields.take("count", &COUNT)?, len: fields.take("len", &COUNT)? };
    data(fields, structure, Access::ALWAYS)
}

fn create_cyclic(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    let structure =
        Structure::CyclicRecords { count: fields.take("count", &COUNT)?, len: fields.take("len", &COUNT)? };
    data(fields, structure, Access::ALWAYS)
}

fn create_purse(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    /// Size bytes as deployed cards state them.
    const SIZE_BYTES: [u8; 2] = [0x02, 0x08];
    const PURSE: Form<[u8; 2]> = Form::new("\"0001\", the deposit, or \"0002\", the purse", |value| {
        hex_array(value).filter(|fid| matches!(fid, [0, 1 | 2]))
    });
    let fid = fields.take("fid", &PURSE)?;
    let file = NewFile::Purse {
        size: SIZE_BYTES,
        usage: fields.take_or("usage", Access::ALWAYS, &ACCESS)?,
        change: fields.take_or("change", Access(0), &ACCESS)?,
        log_sfi: fields.take("log", &SFI)?,
    };
    Ok(create(fid, file))
}

const SFI: Form<u8> = Form::new("a short file id, 01 to 1E in quotes", |value| {
    hex_array(value).map(|[sfi]| sfi).filter(|sfi| (1..=30).contains(sfi))
});

fn create_tickets(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    const LEN: Form<u8> =
        Form::new("bytes of the longest ticket, a number from 33 to 255", |value| number(value, 33, 255));
    let file = NewFile::Tickets {
        count: fields.take("count", &COUNT)?,
        len: fields.take("len", &LEN)?,
        look: fields.take_or("look", Access::ALWAYS, &ACCESS)?,
        redeem: fields.take_or("redeem", Access::ALWAYS, &ACCESS)?,
    };
    Ok(create(ticket::STORE_FID, file))
}

fn create_bank_card(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    let file = NewFile::BankCard {
        tracks_sfi: fields.take("tracks", &SFI)?,
        signature_sfi: fields.take_or("signature", 0, &SFI)?,
        usage: fields.take_or("usage", Access::ALWAYS, &ACCESS)?,
        log_sfi: fields.take("log", &SFI)?,
    };
    Ok(create(bank::CARD_FID, file))
}

fn create_key_pair(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    const PURPOSE: Form<Purpose> =
        Form::Word(&[("sign", Purpose::Sign), ("authenticate", Purpose::Authenticate)]);
    const PIN: Form<PinPolicy> = Form::Word(&[
        ("never", PinPolicy::Never),
        ("once", PinPolicy::OncePerSession),
        ("each-time", PinPolicy::EachTime),
    ]);
    let fid = fields.take("fid", &FID)?;
    let file = NewFile::KeyPair {
        purpose: fields.take("purpose", &PURPOSE)?,
        pin: fields.take_or("pin", PinPolicy::Never, &PIN)?,
        sign: fields.take_or("sign", Access::ALWAYS, &ACCESS)?,
        generate: fields.take("generate", &ACCESS)?,
    };
    Ok(create(fid, file))
}

fn write_key(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    const PLACE: Form<Place> = Form::Word(&[("added", Place::Added), ("replaced", Place::Replaced)]);
    Ok(Action::WriteKey(NewCardKey {
        key: fields.take("key", &card_key())?,
        algorithm: algorithm(fields)?,
        control: fields.take("control", &any_key())?,
        id: fields.take("id", &KEY_ID)?,
        place: fields.take_or("place", Place::Added, &PLACE)?,
        use_right: fields.take_or("use_right", Access::ALWAYS, &ACCESS)?,
        follow_up: fields.take_or("follow_up", 0, &BYTE)?,
        change_right: fields.take_or("change_right", Access::ALWAYS, &ACCESS)?,
        tries: fields.take_or("tries", ErrorCounter::THREE, &TRIES)?,
    }))
}

/// What a key computes with; the header of WRITE KEY states it.
fn algorithm(fields: &mut Fields) -> Result<Algorithm, ProfileError> {
    const ALGORITHM: Form<Algorithm> = Form::Word(&[("3des", Algorithm::TripleDes), ("sm4", Algorithm::Sm4)]);
    fields.take_or("algorithm", Algorithm::TripleDes, &ALGORITHM)
}

fn write_pin(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    Ok(Action::WritePin {
        control: fields.take("control", &any_key())?,
        id: fields.take("id", &KEY_ID)?,
        follow_up: fields.take_or("follow_up", 0, &BYTE)?,
        tries: fields.take_or("tries", ErrorCounter::THREE, &TRIES)?,
    })
}

fn write_sam_key(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    const USAGE: Form<SamUsage> =
        Form::new("a usage byte of PSAMs (levels << 5 | type), two hex digits in quotes", |value| {
            hex_array(value).and_then(|[code]| SamUsage::from_code(code))
        });
    Ok(Action::WriteSamKey {
        key: fields.take("key", &any_key())?,
        algorithm: algorithm(fields)?,
        control: fields.take("control", &any_key())?,
        usage: fields.take("usage", &USAGE)?,
    })
}

fn write_key_card_key(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    const LEVELS: Form<u8> =
        Form::new("levels between key and card, a number from 0 to 3", |value| number(value, 0, 3));
    let key = fields.take("key", &key_card_key())?;
    let levels = fields.take_or("levels", 0, &LEVELS)?;
    let Some(usage) = carried(key.kind, levels) else {
        let expected = format!("levels that a {} key can have on a key card", key.kind);
        return Err(fields.wrong("levels", expected, levels.to_string()));
    };
    let (algorithm, control) = (algorithm(fields)?, fields.take("control", &any_key())?);
    Ok(Action::WriteKeyCardKey { key, algorithm, control, usage })
}

/// A key that a key card carries.
fn key_card_key() -> Form<KeyRef> {
    let carries = |kind: KeyKind| carried(kind, 1).is_some();
    key_of("a key of key cards", carries, |value| key(value).filter(|key| carried(key.kind, 1).is_some()))
}

/// What a key is on a key card, so many levels above the cards; one of its own has none.
fn carried(kind: KeyKind, levels: u8) -> Option<KeyCardUsage> {
    match kind {
        KeyKind::KeyCardMaster | KeyKind::KeyCardApplicationMaster => Some(KeyCardUsage::Master),
        KeyKind::KeyCardApplicationMaintenance => Some(KeyCardUsage::Maintenance),
        KeyKind::KeyCardPinUnblock => Some(KeyCardUsage::PinUnblock),
        kind => IssueUsage::new(levels, kind.issue_kind()?).map(KeyCardUsage::Issue),
    }
}

fn write_operator_pin(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    Ok(Action::WriteOperatorPin { control: fields.take("control", &any_key())? })
}

fn authenticate(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    Ok(Action::Authenticate { key: fields.take("key", &any_key())?, id: fields.take("id", &KEY_ID)? })
}

fn generate_key_pair(fields: &mut Fields, _: CardKind) -> Result<Action, ProfileError> {
    const ID: Form<KeyPairId> = Form::new("the short file id of a key pair, 01 to 1E in quotes", |value| {
        hex_array(value).and_then(|[sfi]| KeyPairId::new(sfi))
    });
    Ok(Action::GenerateKeyPair { id: fields.take("id", &ID)? })
}

fn write(fields: &mut Fields, kind: CardKind) -> Result<Action, ProfileError> {
    const PROTECTED: Form<Protection> =
        Form::Word(&[("mac", Protection::Mac), ("enciphered-mac", Protection::EncipheredMac)]);
    const SPOT: Form<Spot> = Form::new("the number of a record, or \"new\"", |value| match value.as_str() {
        Some("new") => Some(Spot::Append),
        _ => number(value, 1, 255).map(|number| Spot::Record(RecordPlace::Number(number))),
    });
    let fid = fields.take("fid", &FID)?;
    let content = content(fields, kind)?;
    let spot = fields.take_or("record", Spot::Start, &SPOT)?;
    let key = fields.maybe("key", &any_key())?;
    let protection = match key {
        None => Protection::Plain,
        Some(_) => fields.take_or("protection", Protection::Mac, &PROTECTED)?,
    };
    Ok(Action::Write(NewContent { fid, spot, content, key, protection }))
}

/// What is written: `content`, a word, or `hex`, the bytes themselves, filled with zeros to `len`.
fn content(fields: &mut Fields, kind: CardKind) -> Result<Content, ProfileError> {
    const HEX: Form<Vec<u8>> = Form::new("hex bytes in quotes", hex_bytes);
    let word = fields.raw("content");
    let bytes = fields.maybe("hex", &HEX)?;
    let len = fields.maybe("len", &COUNT)?.map(usize::from);
    match (word, bytes) {
        (Some(word), None) if len.is_none() => {
            let read = word.as_str().and_then(|text| content_of(text, kind));
            let names = CONTENTS.iter().filter(|(_, kinds, _)| kinds.contains(&kind)).map(|(name, ..)| *name);
            read.ok_or_else(|| fields.wrong("content", one_of(names), shown(&word)))
        }
        (None, Some(mut bytes)) => {
            let len = len.unwrap_or(bytes.len());
            if len < bytes.len() {
                return Err(fields.wrong("len", format!("at least {}", bytes.len()), len.to_string()));
            }
            bytes.resize(len, 0);
            Ok(Content::Bytes(bytes))
        }
        (Some(_), None) => Err(fields.wrong("len", "nothing: only `hex` has a length", "a number")),
        (Some(_), Some(_)) => Err(fields.wrong("hex", "`content` or `hex`", "both")),
        (None, None) => Err(fields.wrong("content", "`content` or `hex`", "neither")),
    }
}

/// The content of a word, for this kind of card.
fn content_of(text: &str, kind: CardKind) -> Option<Content> {
    let (name, numbers) = named(text)?;
    let fits = |(word, kinds, _): &&(&str, &[CardKind], Named)| {
        word.split('/').next() == Some(name) && kinds.contains(&kind)
    };
    match (&CONTENTS.iter().find(fits)?.2, &*numbers) {
        (Named::One(content), []) => Some(content.clone()),
        (Named::Each(content), [number]) => Some(content(*number)),
        _ => None,
    }
}
