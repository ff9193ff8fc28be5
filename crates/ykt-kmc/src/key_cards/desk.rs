//! The centre's desk for key cards: everything that is done to one with the vault at hand.
//!
//! Each act goes: see which card it is (by its chip), see that its state allows the act, let the vault make the
//! commands under the card's own challenge, then write inventory, history and audit log in one transaction. An act that
//! was interrupted may be done again: keys and attributes replace themselves.

use super::compare::{Difference, differences, issue_usage};
use super::store;
use super::{InventoryError, KeyCardEvent, KeyCardRow, KeyCardState};
use crate::chip::{self, NoHardInfo};
use crate::place::key_name;
use crate::shown::one_line;
use ykt_base::hex::Hex;
use ykt_base::{CardChannel, ChannelError, IssuerFactor, KeyVersion, PsamSerial, StatusWord};
use ykt_card::CardKind;
use ykt_crypto::sm::{self, Padding};
use ykt_issue::profile::{Action, Content, NewContent, Step};
use ykt_issue::{IssueError, KeyCardData, Profile, ProfileError, Progress, personalise_key_card};
use ykt_office::Act;
use ykt_office::audit::Outcome;
use ykt_purse::block::BlockTerm;
use ykt_purse::command::{self, ChallengeLen};
use ykt_purse::hard_info::{HardInfo, LifeCycle};
use ykt_purse::key_card::{AllowedKinds, CITIES_MAX};
use ykt_purse::pin::UnblockForm;
use ykt_purse::write_key::Pin;
use ykt_store::{Store, StoreError};
use ykt_terminal::card::{CardError, PinError};
use ykt_terminal::key_card::{Facts, KeyCard, KeyCardError};
use ykt_vault::{KeyAddress, KeyKind, KeyRef, Secrecy, SecureMessage, Vault, VaultError};

/// The desk: inventory, keys, and whose act it is.
pub struct Desk<'a> {
    /// Inventory and audit log.
    pub store: &'a Store,
    /// The keys.
    pub vault: &'a dyn Vault,
    /// Who does it, from where, when.
    pub act: Act,
}

/// One key to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Its kind, one the profile carries.
    pub kind: KeyKind,
    /// Its version; `None` for the profile's.
    pub version: Option<KeyVersion>,
}

/// What changes in a key card's attributes; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// How many cards it may issue from now on.
    pub cards: Option<u32>,
    /// The keys it may give away.
    pub kinds: Option<AllowedKinds>,
    /// The cities whose cards it may issue.
    pub cities: Option<Vec<IssuerFactor>>,
}

/// What a key card says of itself, beside what the centre knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The inventory's row, with what was learned.
    pub row: KeyCardRow,
    /// What the card answered.
    pub facts: Facts,
    /// Where the two disagree.
    pub differences: Vec<Difference>,
}

/// Why something was not done to a key card.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The inventory forbids it, or failed.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// Its profile cannot be read.
    #[error("the profile of the key card cannot be read")]
    Profile(#[from] ProfileError),
    /// A command of the profile failed.
    #[error(
        "the key card was not changed as a whole; do the same again, and take another chip when that fails, too"
    )]
    Issue(#[from] IssueError),
    /// A command to the card failed.
    #[error("the key card does not serve")]
    Card(#[from] CardError),
    /// The PIN was not accepted.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The card refused to issue.
    #[error(transparent)]
    Refused(#[from] KeyCardError),
    /// The vault did not serve.
    #[error("the vault did not serve, nothing was changed")]
    Vault(#[from] VaultError),
    /// The card gave no answer.
    #[error("the card in the reader gives no answer")]
    Silent(#[source] ChannelError),
    /// Another card is in the reader.
    #[error("the card in the reader: expected {expected}, found {found}")]
    OtherCard {
        /// What is wanted.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The card answered something else than 9000.
    #[error("{step}: expected 9000, found {found}")]
    Answer {
        /// What was being done.
        step: &'static str,
        /// What came.
        found: StatusWord,
    },
    /// The profile carries no such key.
    #[error("profile {profile} carries no {kind} key: expected one of {known}")]
    NotCarried {
        /// Its name.
        profile: String,
        /// What was asked for.
        kind: KeyKind,
        /// What it carries.
        known: String,
    },
}

impl From<StoreError> for DeskError {
    fn from(error: StoreError) -> DeskError {
        DeskError::Inventory(error.into())
    }
}

impl Desk<'_> {
    /// Makes the blank chip in `channel` this key card (洗卡): files, own keys, PIN, attributes. It holds no key to give
    /// away yet.
    ///
    /// # Errors
    /// [`DeskError`]; after an interruption it begins anew with a blank chip.
    pub fn initialise(
        &self,
        channel: &mut (impl CardChannel + ?Sized),
        serial: &PsamSerial,
        pin: &Pin,
        tell: &mut dyn FnMut(Progress<'_>),
    ) -> Result<KeyCardRow, DeskError> {
        let row = self.row(serial)?;
        if !matches!(row.state, KeyCardState::Blank | KeyCardState::BeingMade) {
            return Err(state(&row, "blank"));
        }
        let info = hard_info(channel)?;
        if info.kind != CardKind::KeyCard.to_byte() || info.life_cycle != LifeCycle::Blank {
            let found = format!("kind {:02X} in life cycle {:02X}", info.kind, info.life_cycle.code());
            return Err(DeskError::OtherCard { expected: "a blank key card".to_owned(), found });
        }
        let mut profile = self.profile(&row)?;
        profile.steps.retain(|step| issue_usage(step).is_none());
        let row = KeyCardRow { state: KeyCardState::BeingMade, chip: Some(info.serial), ..row };
        let begun = (KeyCardEvent::Interrupted, "key-card/initialise", Outcome::Refused);
        let made = personalise_key_card(channel, self.vault, &profile, &data(&row, pin), tell);
        if let Err(error) = made {
            let detail = one_line(&error);
            self.store.write(|tx| store::save(tx, &row, begun, &detail, &self.act))?;
            return Err(error.into());
        }
        let cards = row.new.cards;
        let row = KeyCardRow { state: KeyCardState::Initialised, granted: cards, left: cards, ..row };
        let done = (KeyCardEvent::Initialised, "key-card/initialise", Outcome::Done);
        self.save(&row, done, &format!("may issue {cards} cards"))?;
        Ok(row)
    }

    /// Loads keys, or replaces those of the same usage and version. Without `keys` it loads all the profile carries.
    ///
    /// # Errors
    /// [`DeskError`].
    pub fn load(
        &self,
        channel: &mut (impl CardChannel + ?Sized),
        keys: &[Load],
        tell: &mut dyn FnMut(Progress<'_>),
    ) -> Result<KeyCardRow, DeskError> {
        let (row, profile) = self.card_in(channel)?;
        let steps = load_steps(&profile, keys)?;
        let names: Vec<String> =
            steps.iter().filter_map(|step| Some(key_name(issue_usage(step)?.0))).collect();
        self.run(channel, &row, &profile, steps, &unused_pin()?, tell)?;
        let state = match row.state {
            KeyCardState::Initialised => KeyCardState::Loaded,
            state => state,
        };
        let row = KeyCardRow { state, ..row };
        let detail = format!("{} keys: {}", names.len(), names.join(", "));
        self.save(&row, (KeyCardEvent::Loaded, "key-card/load", Outcome::Done), &detail)?;
        Ok(row)
    }

    /// Changes how many cards it may issue, which keys it may give away, and for which cities.
    ///
    /// # Errors
    /// [`DeskError`].
    pub fn attributes(
        &self,
        channel: &mut (impl CardChannel + ?Sized),
        change: &Change,
    ) -> Result<KeyCardRow, DeskError> {
        let (row, profile) = self.card_in(channel)?;
        let mut row = learned(row, &KeyCard::open(&mut *channel)?.facts()?);
        let mut wanted = Vec::new();
        if change.kinds.is_some() || change.cities.is_some() {
            wanted.push(Content::KeyCardAttributes);
            row.new.kinds = change.kinds.unwrap_or(row.new.kinds);
            if let Some(cities) = &change.cities {
                row.new.cities.clone_from(cities);
            }
            row.new.check()?;
        }
        if let Some(cards) = change.cards {
            wanted.push(Content::IssueRecord);
            (row.granted, row.left) = (row.issued().saturating_add(cards), cards);
            if row.state == KeyCardState::UsedUp {
                row.state = KeyCardState::Returned;
            }
        }
        let writes = |step: &Step| match &step.action {
            Action::Write(NewContent { content, .. }) => wanted.contains(content),
            _ => false,
        };
        let steps = profile.steps.iter().filter(|step| writes(step)).cloned().collect();
        self.run(channel, &row, &profile, steps, &unused_pin()?, &mut |_| {})?;
        let cities: Vec<String> = row.new.cities.iter().map(ToString::to_string).collect();
        let detail =
            format!("may issue {} cards of {}, kinds {:08X}", row.left, cities.join(" "), row.new.kinds.0);
        self.save(&row, (KeyCardEvent::Attributes, "key-card/attributes", Outcome::Done), &detail)?;
        Ok(row)
    }

    /// Sets the operator's PIN, whatever it was.
    ///
    /// # Errors
    /// [`DeskError`].
    pub fn set_pin(
        &self,
        channel: &mut (impl CardChannel + ?Sized),
        pin: &Pin,
    ) -> Result<KeyCardRow, DeskError> {
        let (row, profile) = self.card_in(channel)?;
        let pin_step = |step: &&Step| matches!(step.action, Action::WriteOperatorPin { .. });
        let steps = profile.steps.iter().filter(pin_step).cloned().collect();
        self.run(channel, &row, &profile, steps, pin, &mut |_| {})?;
        self.save(&row, (KeyCardEvent::Password, "key-card/password", Outcome::Done), "PIN set")?;
        Ok(row)
    }

    /// Gives a blocked PIN its tries back, under the unblock key, and sets it.
    ///
    /// # Errors
    /// [`DeskError`].
    pub fn unblock_pin(
        &self,
        channel: &mut (impl CardChannel + ?Sized),
        pin: &Pin,
    ) -> Result<KeyCardRow, DeskError> {
        let (row, profile) = self.card_in(channel)?;
        let key = own_key(&profile, KeyKind::KeyCardPinUnblock);
        let secrecy = Secrecy::Enciphered(Padding::Always);
        let message = (UnblockForm::ResetAndSet.header(), pin.as_bytes(), secrecy);
        self.protected(channel, &row, key, message, "PIN UNBLOCK")?;
        self.save(
            &row,
            (KeyCardEvent::Password, "key-card/password", Outcome::Done),
            "PIN unblocked and set",
        )?;
        Ok(row)
    }

    /// Asks the card what it holds, and compares that with the vault and the inventory.
    ///
    /// # Errors
    /// [`DeskError`].
    pub fn query(&self, channel: &mut (impl CardChannel + ?Sized)) -> Result<Report, DeskError> {
        let (row, profile) = self.card_in(channel)?;
        let facts = KeyCard::open(&mut *channel)?.facts()?;
        let differences = differences(self.vault, &row, &profile, &facts)?;
        let row = learned(row, &facts);
        let detail =
            format!("{} left, {} keys, {} differences", facts.left, facts.keys.len(), differences.len());
        self.save(&row, (KeyCardEvent::Queried, "key-card/query", Outcome::Done), &detail)?;
        Ok(Report { row, facts, differences })
    }

    /// Blocks its application for good. It issues no card any more, wherever it is.
    ///
    /// # Errors
    /// [`DeskError`].
    pub fn block(&self, channel: &mut (impl CardChannel + ?Sized)) -> Result<KeyCardRow, DeskError> {
        let (row, profile) = self.card_in(channel)?;
        let key = own_key(&profile, KeyKind::KeyCardApplicationMaintenance);
        let message = (BlockTerm::Permanent.header(), &[][..], Secrecy::Clear);
        self.protected(channel, &row, key, message, "APPLICATION BLOCK")?;
        let row = KeyCardRow { state: KeyCardState::Blocked, ..row };
        self.save(&row, (KeyCardEvent::Blocked, "key-card/block", Outcome::Done), "for good")?;
        Ok(row)
    }

    fn row(&self, serial: &PsamSerial) -> Result<KeyCardRow, DeskError> {
        Ok(self.store.read(|tx| store::key_card(tx, serial))?)
    }

    fn save(
        &self,
        row: &KeyCardRow,
        what: (KeyCardEvent, &str, Outcome),
        detail: &str,
    ) -> Result<(), DeskError> {
        Ok(self.store.write(|tx| store::save(tx, row, what, detail, &self.act))?)
    }

    /// The profile of a key card, under the transport key its chip came with.
    fn profile(&self, row: &KeyCardRow) -> Result<Profile, DeskError> {
        let mut profile = Profile::parse(&row.new.profile)?;
        if let Some(transport) = row.new.transport {
            for step in &mut profile.steps {
                if let Action::WriteKeyCardKey { control, .. } = &mut step.action
                    && *control == profile.transport
                {
                    *control = transport;
                }
            }
            profile.transport = transport;
        }
        Ok(profile)
    }

    /// The key card in the reader, which must be one that was initialised and not blocked.
    fn card_in(&self, channel: &mut (impl CardChannel + ?Sized)) -> Result<(KeyCardRow, Profile), DeskError> {
        let info = hard_info(channel)?;
        let known = self.store.read(|tx| store::of_chip(tx, info.serial))?;
        let row = known.ok_or_else(|| DeskError::OtherCard {
            expected: "a key card of this inventory".to_owned(),
            found: format!("chip {}", Hex(&info.serial)),
        })?;
        match row.state {
            KeyCardState::Blank | KeyCardState::BeingMade => Err(state(&row, "initialised")),
            KeyCardState::Blocked => Err(state(&row, "not blocked")),
            _ => {
                let profile = self.profile(&row)?;
                Ok((row, profile))
            }
        }
    }

    /// Does some steps of the profile in the card's application.
    fn run(
        &self,
        channel: &mut (impl CardChannel + ?Sized),
        row: &KeyCardRow,
        profile: &Profile,
        steps: Vec<Step>,
        pin: &Pin,
        tell: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), DeskError> {
        let enter = profile.steps.iter().filter(|step| matches!(step.action, Action::Select { .. }));
        let steps = enter.cloned().chain(steps).collect();
        let part = Profile { steps, preset: None, ..profile.clone() };
        channel.reset().map_err(DeskError::Silent)?;
        personalise_key_card(channel, self.vault, &part, &data(row, pin), tell)?;
        Ok(())
    }

    /// Sends one message under a key of the card's own, with its application selected.
    fn protected(
        &self,
        channel: &mut (impl CardChannel + ?Sized),
        row: &KeyCardRow,
        key: KeyRef,
        (header, data, secrecy): ([u8; 4], &[u8], Secrecy),
        step: &'static str,
    ) -> Result<(), DeskError> {
        KeyCard::open(&mut *channel)?;
        let mut bytes = [0; ykt_base::apdu::COMMAND_LEN_MAX];
        let ask = command::challenge(ChallengeLen::Four);
        let answer = channel.transmit(ask.encode(&mut bytes)).map_err(DeskError::Silent)?;
        let challenge = answer.data().try_into().ok().filter(|_| answer.sw().is_ok());
        let challenge: [u8; 4] =
            challenge.ok_or(DeskError::Answer { step: "GET CHALLENGE", found: answer.sw() })?;
        let key = KeyAddress::Sam { key, serial: row.new.serial };
        let iv = sm::iv_from_challenge4(challenge);
        let command = self.vault.secure_message(&SecureMessage { key, iv, header, data, secrecy })?;
        let answer = channel.transmit(command.as_bytes()).map_err(DeskError::Silent)?;
        if answer.sw().is_ok() { Ok(()) } else { Err(DeskError::Answer { step, found: answer.sw() }) }
    }
}

fn state(row: &KeyCardRow, expected: &'static str) -> DeskError {
    InventoryError::State { serial: row.new.serial, expected, found: row.state }.into()
}

/// What the card said, in the inventory's row.
fn learned(row: KeyCardRow, facts: &Facts) -> KeyCardRow {
    let used_up = facts.left == 0 && matches!(row.state, KeyCardState::Loaded | KeyCardState::Returned);
    let state = if used_up { KeyCardState::UsedUp } else { row.state };
    KeyCardRow { left: facts.left, state, ..row }
}

pub(super) fn hard_info(channel: &mut (impl CardChannel + ?Sized)) -> Result<HardInfo, DeskError> {
    chip::hard_info(channel).map_err(|error| match error {
        NoHardInfo::Silent(source) => DeskError::Silent(source),
        NoHardInfo::Answer { sw, .. } => DeskError::Answer { step: chip::HARD_INFO, found: sw },
    })
}

fn data(row: &KeyCardRow, pin: &Pin) -> KeyCardData {
    // Places behind the last city are written as none, so that a shorter list leaves nothing of a longer one.
    let none = std::iter::repeat(IssuerFactor([0; 8]));
    KeyCardData {
        serial: row.new.serial,
        cards: row.left.max(if row.state == KeyCardState::BeingMade { row.new.cards } else { 0 }),
        cities: row.new.cities.iter().copied().chain(none).take(CITIES_MAX).collect(),
        kinds: row.new.kinds,
        pin: pin.clone(),
    }
}

/// The profile's steps for the keys asked for, in its order.
fn load_steps(profile: &Profile, keys: &[Load]) -> Result<Vec<Step>, DeskError> {
    let carried = || profile.steps.iter().filter_map(|step| Some((step, issue_usage(step)?)));
    if keys.is_empty() {
        return Ok(carried().map(|(step, _)| step.clone()).collect());
    }
    let one = |load: &Load| {
        let (step, _) = carried().find(|(_, (key, _))| key.kind == load.kind).ok_or_else(|| {
            let known: Vec<&str> = carried().map(|(_, (key, _))| key.kind.name()).collect();
            DeskError::NotCarried { profile: profile.name.clone(), kind: load.kind, known: known.join(", ") }
        })?;
        let mut step = step.clone();
        if let (Action::WriteKeyCardKey { key, .. }, Some(version)) = (&mut step.action, load.version) {
            key.version = version;
        }
        Ok(step)
    };
    keys.iter().map(one).collect()
}

/// A key of its own that the profile gives the card; index and version 1 where it gives none, which the card refuses.
fn own_key(profile: &Profile, kind: KeyKind) -> KeyRef {
    let mut keys = profile.steps.iter().filter_map(|step| match step.action {
        Action::WriteKeyCardKey { key, .. } => Some(key),
        _ => None,
    });
    keys.rfind(|key| key.kind == kind).unwrap_or(KeyRef::new(kind, 1, 1))
}

/// For acts that write no PIN.
fn unused_pin() -> Result<Pin, DeskError> {
    Pin::from_digits("0000").ok_or(DeskError::Answer { step: "PIN", found: StatusWord::WRONG_DATA })
}
