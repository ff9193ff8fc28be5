//! Profiles: what belongs on a card, as data that a card engineer can read and change.
//!
//! A profile is a list of steps in the order of the commands. Those of [`Profile::shipped`] are built in; others are
//! TOML files of the same shape, which `docs/profiles.md` explains key by key.

mod read;
mod step;
mod task;

pub use read::ProfileError;
pub(crate) use task::Task;

pub use step::{Action, Content, NewApplication, NewCardKey, NewContent, Place, Spot, Step};

use read::{ACCESS, Fields, Form, TEXT, TWO_BYTES, hex_bytes, number, transport_key};
use std::path::Path;
use toml::Table;
use ykt_card::{ATR_LEN_MAX, CardKind, IMAGE_LEN_DEMO, IMAGE_LEN_MAX, IMAGE_LEN_MIN};
use ykt_purse::create::{Access, NewFile, Switches};
use ykt_purse::files::PublicDataLayout;
use ykt_purse::key_card::{AllowedKinds, KeyCardUsage};
use ykt_vault::KeyRef;

/// Most steps of a profile.
pub const STEPS_LEN_MAX: usize = 250;
/// Most bytes of one command of a longer content.
pub(crate) const BLOCK_LEN: usize = 208;

/// A profile.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Short name.
    pub name: String,
    /// What it is, for people.
    pub title: String,
    /// User card, PSAM or key card.
    pub kind: CardKind,
    /// Answer to reset that the factory gives the chip.
    pub atr: Vec<u8>,
    /// Bytes of memory the chip has.
    pub memory_len: usize,
    /// Layout of the public data, and of the other files that layouts decide.
    pub layout: PublicDataLayout,
    /// Key the factory gives the blank card.
    pub transport: KeyRef,
    /// What the operator does to the blank card before its first file.
    pub preset: Option<Preset>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// An operator's preset of the blank chip: WRITE HARD INFO (`systems.md` C15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Who presets.
    pub operator: [u8; 2],
    /// The card system the chip must have.
    pub system: [u8; 2],
    /// Key that takes the place of the factory's.
    pub transport: KeyRef,
    /// Right to create files in the MF.
    pub create: Access,
    /// Where the MF's commands, or those of the whole card, differ from the default.
    pub switches: Switches,
}

macro_rules! shipped {
    ($($(#[$doc:meta])+ $list:ident: $($name:literal,)+;)+) => {$(
        $(#[$doc])+
        pub const $list: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../profiles/", $name, ".toml"))),)+];
    )+};
}

shipped! {
    /// Name and text of every built-in profile that makes a card of a blank one.
    SHIPPED:
    "city-cpu",
    "pboc-ed-ep",
    "t-union",
    "citizen",
    "token",
    "psam",
    "t-union-psam",
    "key-card",
    "component-card",;

    /// Name and text of every built-in profile that adds an application to a card that was issued.
    ADDITIONS:
    "ticket-addon",;
}

impl Profile {
    /// Reads the text of a profile.
    ///
    /// # Errors
    /// [`ProfileError`] naming table, key, what was expected and what was found.
    pub fn parse(text: &str) -> Result<Profile, ProfileError> {
        parse("profile", text)
    }

    /// Reads a profile file.
    ///
    /// # Errors
    /// As [`Profile::parse`], naming the file, too.
    pub fn read(path: &Path) -> Result<Profile, ProfileError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| ProfileError::File { path: path.to_owned(), source })?;
        parse(&path.display().to_string(), &text)
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

    /// Every built-in profile that adds an application to a card that was issued.
    pub fn additions() -> impl Iterator<Item = Profile> {
        ADDITIONS.iter().map(|(_, text)| built_in(text))
    }

    /// Every built-in profile that makes a card of a blank one.
    pub fn shipped() -> impl Iterator<Item = Profile> {
        SHIPPED.iter().map(|(_, text)| built_in(text))
    }

    /// The built-in profile of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Profile> {
        SHIPPED.iter().chain(ADDITIONS).find(|(known, _)| *known == name).map(|(_, text)| built_in(text))
    }

    /// How many steps there are, the preset included.
    #[must_use]
    pub fn steps_len(&self) -> usize {
        self.steps.len().saturating_add(usize::from(self.preset.is_some()))
    }

    /// The kinds of keys that a key card of this profile may give to cards: all it carries.
    #[must_use]
    pub fn issue_kinds(&self) -> AllowedKinds {
        let kinds = self.steps.iter().filter_map(|step| match step.action {
            Action::WriteKeyCardKey { usage: KeyCardUsage::Issue(usage), .. } => Some(usage.kind()),
            _ => None,
        });
        AllowedKinds::of(&kinds.collect::<Vec<_>>())
    }

    /// The key that controls the MF until the card has its own.
    #[must_use]
    pub const fn first_control(&self) -> KeyRef {
        match self.preset {
            Some(preset) => preset.transport,
            None => self.transport,
        }
    }

    /// The purses of the profile: bit 1 the deposit, bit 2 the purse, as public data state them.
    pub(crate) fn purses(&self) -> u8 {
        self.steps.iter().fold(0, |purses, step| match &step.action {
            Action::Create(file) if matches!(file.file, NewFile::Purse { .. }) => {
                let [_, number] = file.fid;
                purses | number
            }
            _ => purses,
        })
    }

    /// Where the commands of the directory of this file id differ from the default.
    fn switches_of(&self, fid: [u8; 2]) -> Switches {
        let mut applications = self.steps.iter().filter_map(|step| match &step.action {
            Action::CreateApplication(application) => Some(application),
            _ => None,
        });
        let application = applications.find(|application| application.fid == fid);
        let master = || self.preset.map(|preset| preset.switches).unwrap_or_default();
        application.map_or_else(master, |application| application.switches)
    }
}

#[expect(clippy::expect_used, reason = "the texts are part of this crate, and a test reads them")]
fn built_in(text: &str) -> Profile {
    Profile::parse(text).expect("built-in profile")
}

/// Reads the text of a profile; errors begin with where it comes from.
fn parse(source: &str, text: &str) -> Result<Profile, ProfileError> {
    const KIND: Form<CardKind> =
        Form::Word(&[("user", CardKind::User), ("psam", CardKind::Psam), ("key-card", CardKind::KeyCard)]);
    const LAYOUT: Form<PublicDataLayout> = Form::Word(&[
        ("city", PublicDataLayout::City),
        ("pboc", PublicDataLayout::Pboc),
        ("t-union", PublicDataLayout::TUnion),
    ]);
    const ATR: Form<Vec<u8>> = Form::new("2 to 33 hex bytes in quotes", |value| {
        hex_bytes(value).filter(|atr| (2..=ATR_LEN_MAX).contains(&atr.len()))
    });
    const MEMORY: Form<usize> = Form::new("bytes of memory, a number from 1024 to 65535", |value| {
        number(value, i64::try_from(IMAGE_LEN_MIN).ok()?, i64::try_from(IMAGE_LEN_MAX).ok()?)
    });
    const STEPS: Form<Vec<Table>> = Form::new("1 to 250 tables [[step]]", |value| {
        let steps = value.as_array().filter(|steps| (1..=STEPS_LEN_MAX).contains(&steps.len()))?;
        steps.iter().map(|step| step.as_table().cloned()).collect()
    });
    const TABLE: Form<Table> = Form::new("a table", |value| value.as_table().cloned());

    let table = text.parse::<Table>().map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        ProfileError::Toml { place: format!("{source} line {line}"), found: error.message().to_owned() }
    })?;
    let mut fields = Fields::new(source.to_owned(), table);
    let kind = fields.take("card", &KIND)?;
    let mut profile = Profile {
        name: fields.take("name", &TEXT)?,
        title: fields.take("title", &TEXT)?,
        kind,
        atr: fields.take("atr", &ATR)?,
        memory_len: fields.take_or("memory", IMAGE_LEN_DEMO, &MEMORY)?,
        layout: fields.take_or("layout", PublicDataLayout::City, &LAYOUT)?,
        transport: fields.take("transport", &transport_key())?,
        preset: None,
        steps: Vec::new(),
    };
    if let Some(table) = fields.maybe("preset", &TABLE)? {
        profile.preset = Some(preset(Fields::new(format!("{source}, table [preset]"), table))?);
    }
    let steps = fields.take("step", &STEPS)?;
    fields.end()?;
    let lines = header_lines(text);
    for (at, table) in steps.into_iter().enumerate() {
        let line = lines.get(at).map_or_else(String::new, |line| format!(" line {line}"));
        let number = at.saturating_add(1);
        let fields = Fields::new(format!("{source}{line}, step {number}"), table);
        profile.steps.push(step::read(fields, kind)?);
    }
    Ok(profile)
}

fn preset(mut fields: Fields) -> Result<Preset, ProfileError> {
    let preset = Preset {
        operator: fields.take("operator", &TWO_BYTES)?,
        system: fields.take("system", &TWO_BYTES)?,
        transport: fields.take("transport", &transport_key())?,
        create: fields.take_or("create", Access::STATE_1, &ACCESS)?,
        switches: step::switches(&mut fields)?,
    };
    fields.end()?;
    Ok(preset)
}

/// The lines of `[[step]]`, in their order.
fn header_lines(text: &str) -> Vec<usize> {
    let is_header = |line: &str| line.trim_start().starts_with("[[step]]");
    (1..).zip(text.lines()).filter(|(_, line)| is_header(line)).map(|(number, _)| number).collect()
}

fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count().saturating_add(1)
}
