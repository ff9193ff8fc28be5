//! Campaigns (换钥任务): other keys for cards that are in people's pockets already, by secure messaging.
//!
//! A [`Campaign`] says which keys go from which version to which, on which cards. Two people open it; then a card that
//! is shown at a counter gets its keys once, whatever is cut in between ([`visit`]). What is known of the keys on each
//! card is kept ([`CardKey`]): where a write had no answer it says so, and the next visit finds out before anything else.
//!
//! Retired versions still compute, so both generations of cards are served while a campaign runs. Terminals get a new
//! purchase key first: a PSAM holds several versions.
//!
//! TAC keys stay as they are. Receipts travel for days and are checked with the version that the card register
//! names; changing it under them would refuse honest money. A card that needs another TAC key is exchanged.

pub mod dialogue;
mod plan;
mod store;
pub mod visit;

use crate::OperationError;
use crate::registry::{self, Word};
use std::fmt;
use std::str::FromStr;
use ykt_base::{Asn8, DateTime, IssuerFactor, KeyIndex, KeyVersion};
use ykt_issue::Profile;
use ykt_issue::profile::{ProfileError, SHIPPED};
use ykt_office::Act;
use ykt_office::audit::{self, Outcome};
use ykt_office::cards::{self, Alive};
use ykt_store::{StoreError, Tx};
use ykt_vault::{KeyKind, KeyPlace, KeyRef, KeyState};

pub(crate) use store::{TABLES, WAYS};
pub use store::{card_keys, card_list, list, one, progress};

/// Most signs of a campaign's name.
pub const NAME_LEN_MAX: usize = 32;
/// Most keys one campaign changes.
pub const CHANGES_MAX: usize = 32;
/// Most cards a list names.
pub const LISTED_CARDS_MAX: usize = 1_000_000;

ykt_store::coded! {
    /// How far a campaign is.
    CampaignState {
        /// Written down; not yet approved by a second person.
        Planned = 0, "planned";
        /// Its cards get their keys.
        Open = 1, "open";
        /// Over; cards keep what they have.
        Ended = 2, "ended";
    }
}

ykt_store::coded! {
    /// How far a card is in a campaign.
    CardProgress {
        /// Not shown yet.
        Waiting = 0, "waiting";
        /// Begun and cut short; it goes on when it is shown again.
        Begun = 1, "begun";
        /// It has its new keys.
        Done = 2, "done";
        /// It answered wrongly; nothing more is tried before a person has looked at it.
        Stopped = 3, "stopped";
    }
}

/// One key that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyChange {
    /// What for.
    pub kind: KeyKind,
    /// Its index.
    pub index: KeyIndex,
    /// The version cards hold now.
    pub from: KeyVersion,
    /// The version they get.
    pub to: KeyVersion,
}

impl KeyChange {
    /// The key as the card has it.
    #[must_use]
    pub const fn earlier(&self) -> KeyRef {
        KeyRef { kind: self.kind, index: self.index, version: self.from }
    }

    /// The key the card gets.
    #[must_use]
    pub const fn later(&self) -> KeyRef {
        KeyRef { kind: self.kind, index: self.index, version: self.to }
    }
}

impl fmt::Display for KeyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeyChange { kind, index, from, to } = self;
        write!(f, "{}.{}:{}-{}", kind.name(), index.0, from.0, to.0)
    }
}

/// A text is no change of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected KIND.INDEX:FROM-TO such as load.1:1-2, found `{found}`")]
pub struct KeyChangeError {
    /// The text.
    pub found: String,
}

impl FromStr for KeyChange {
    type Err = KeyChangeError;

    fn from_str(text: &str) -> Result<KeyChange, KeyChangeError> {
        let read = || {
            let (key, versions) = text.split_once(':')?;
            let (kind, index) = key.split_once('.')?;
            let (from, to) = versions.split_once('-')?;
            Some(KeyChange {
                kind: KeyKind::from_name(kind)?,
                index: KeyIndex(index.parse().ok()?),
                from: KeyVersion(from.parse().ok()?),
                to: KeyVersion(to.parse().ok()?),
            })
        };
        read().ok_or_else(|| KeyChangeError { found: text.to_owned() })
    }
}

/// Which cards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardChoice {
    /// Every card of the register that is not cancelled.
    All,
    /// Those of one city or issuer.
    City(IssuerFactor),
    /// Those of one main type.
    Type(u8),
    /// Those named, in the order of their numbers.
    Listed(Vec<Asn8>),
}

impl CardChoice {
    /// What it asks of the register; `None` when the cards themselves are named.
    const fn of_register(&self) -> Option<Alive> {
        Some(match self {
            CardChoice::All => Alive { factor: None, main_type: None },
            CardChoice::City(factor) => Alive { factor: Some(*factor), main_type: None },
            CardChoice::Type(main) => Alive { factor: None, main_type: Some(*main) },
            CardChoice::Listed(_) => return None,
        })
    }

    /// The cards of the register that it takes now, in the order of their numbers.
    fn taken(&self, tx: &Tx<'_>) -> Result<Vec<Asn8>, StoreError> {
        let mut numbers = cards::numbers_alive(tx, self.of_register().unwrap_or_default())?;
        if let CardChoice::Listed(listed) = self {
            numbers.retain(|asn| listed.binary_search(asn).is_ok());
        }
        Ok(numbers)
    }

    /// How many these are.
    fn count(&self, tx: &Tx<'_>) -> Result<u64, StoreError> {
        match self.of_register() {
            Some(which) => cards::count_alive(tx, which),
            None => Ok(u64::try_from(self.taken(tx)?.len()).unwrap_or(u64::MAX)),
        }
    }
}

/// A campaign as it is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCampaign {
    /// Name: 1 to 32 signs of a-z 0-9 -
    pub name: String,
    /// What it is for.
    pub title: String,
    /// Text of the profile the cards were made by: it says where on them their keys are.
    pub profile: String,
    /// What changes.
    pub changes: Vec<KeyChange>,
    /// Which cards.
    pub cards: CardChoice,
}

/// A campaign as it stands.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// Name.
    pub name: String,
    /// What it is for.
    pub title: String,
    /// The profile the cards were made by.
    pub profile: Profile,
    /// What changes.
    pub changes: Vec<KeyChange>,
    /// How far it is.
    pub state: CampaignState,
    /// Who planned it.
    pub planned_by: String,
    /// When.
    pub planned_at: DateTime,
    /// When it was opened.
    pub opened_at: Option<DateTime>,
    /// When it was ended.
    pub ended_at: Option<DateTime>,
}

/// How many cards are how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Not shown yet.
    pub waiting: u64,
    /// Begun and cut short.
    pub begun: u64,
    /// With their new keys.
    pub done: u64,
    /// Stopped.
    pub stopped: u64,
}

impl Counts {
    /// All cards of the campaign.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.waiting.saturating_add(self.begun).saturating_add(self.done).saturating_add(self.stopped)
    }

    /// Cards that may hold an old key.
    #[must_use]
    pub const fn on_old(&self) -> u64 {
        self.all().saturating_sub(self.done)
    }
}

/// A card of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignCard {
    /// The campaign.
    pub campaign: String,
    /// Card number.
    pub asn: Asn8,
    /// How far it is.
    pub progress: CardProgress,
    /// When it was last shown.
    pub at: Option<DateTime>,
    /// At which counter; may be empty.
    pub counter: String,
    /// What was wrong with it; may be empty.
    pub note: String,
}

/// Which cards of campaigns a list shows; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CardListFilter {
    /// Only those of one campaign.
    pub campaign: Option<String>,
    /// Only those that are so far.
    pub progress: Option<CardProgress>,
}

/// What is known of one key on one card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardKey {
    /// What for.
    pub kind: KeyKind,
    /// Its index.
    pub index: KeyIndex,
    /// The version the card holds, or held before a write that had no answer.
    pub version: KeyVersion,
    /// The version of a write that had no answer: the card holds this or [`CardKey::version`].
    pub pending: Option<KeyVersion>,
    /// Tries of the key that may be spent.
    pub spent: u8,
}

/// Why a campaign was not planned, opened or ended.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// There is none of this name.
    #[error("there is no campaign {name}: look at the list of campaigns")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The name is taken.
    #[error("campaign {name} is there already: choose another name")]
    Taken {
        /// The name.
        name: String,
    },
    /// It is in another state than the step takes.
    #[error("campaign {name} is {found}, the step takes one that is {expected}")]
    State {
        /// The name.
        name: String,
        /// What the step takes.
        expected: CampaignState,
        /// What it is.
        found: CampaignState,
    },
    /// A part of the plan cannot be.
    #[error("campaign {name}, {part}: expected {expected}, found {found}")]
    Plan {
        /// The name.
        name: String,
        /// Which part.
        part: String,
        /// What would be right.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// The profile cannot be read.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes a campaign down; nothing happens to a card before two people opened it
/// ([`crate::Operation::StartCampaign`]).
///
/// # Errors
/// [`CampaignError`]: a part of the plan cannot be, or the name is taken.
pub fn plan(tx: &Tx<'_>, new: &NewCampaign, act: &Act) -> Result<(), CampaignError> {
    let wrong = |part: &str, expected, found: String| {
        Err(CampaignError::Plan { name: new.name.clone(), part: part.to_owned(), expected, found })
    };
    let sign = |sign: u8| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == b'-';
    if !(1..=NAME_LEN_MAX).contains(&new.name.len()) || !new.name.bytes().all(sign) {
        return wrong("name", "1 to 32 signs of a-z 0-9 -", new.name.clone());
    }
    if !(1..=CHANGES_MAX).contains(&new.changes.len()) {
        return wrong("keys", "1 to 32 changes", new.changes.len().to_string());
    }
    if let CardChoice::Listed(listed) = &new.cards
        && !(1..=LISTED_CARDS_MAX).contains(&listed.len())
    {
        return wrong("cards", "1 to 1000000 card numbers", listed.len().to_string());
    }
    let profile = Profile::parse(&new.profile)?;
    plan::check(&new.name, &profile, &new.changes)?;
    if store::one(tx, &new.name)?.is_some() {
        return Err(CampaignError::Taken { name: new.name.clone() });
    }
    store::insert(tx, new, act)?;
    let changes = new.changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    audit::append(tx, act, "campaign/plan", &new.name, Outcome::Done, &changes)?;
    Ok(())
}

/// The text of a built-in profile, for a plan.
#[must_use]
pub fn profile_text(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Whether it waits to be opened.
pub(crate) fn may_start(tx: &Tx<'_>, name: &str) -> Result<(), OperationError> {
    let planned = required(tx, name).and_then(|campaign| in_state(&campaign, CampaignState::Planned));
    planned.map_err(|error| OperationError::NotPossible(error.to_string()))
}

/// How many cards of the register its choice takes now.
pub(crate) fn cards_chosen(tx: &Tx<'_>, name: &str) -> Result<u64, StoreError> {
    store::choice(tx, name)?.map_or(Ok(0), |choice| choice.count(tx))
}

/// Opens a planned campaign with the cards that the register has now. One that is open already stays as it is.
pub(crate) fn open(tx: &Tx<'_>, name: &str, word: Word<'_>) -> Result<(), StoreError> {
    let Some(choice) = store::choice(tx, name)? else { return Ok(()) };
    if !store::set_open(tx, name, word.act.at)? {
        return Ok(());
    }
    let chosen = choice.taken(tx)?;
    store::put_cards(tx, name, &chosen)?;
    let (asked, approved) = (word.asked_by, word.approved_by);
    let detail = format!("{} cards, asked by {asked}, approved by {approved}", chosen.len());
    audit::append(tx, word.act, "campaign/start", name, Outcome::Done, &detail)?;
    Ok(())
}

/// Ends an open campaign; answers how far its cards are: those on old keys stay there.
///
/// # Errors
/// [`CampaignError`].
pub fn end(tx: &Tx<'_>, name: &str, act: &Act) -> Result<Counts, CampaignError> {
    in_state(&required(tx, name)?, CampaignState::Open)?;
    let counts = store::progress(tx, name)?;
    store::set_ended(tx, name, act.at)?;
    let detail = format!("{} cards done, {} on old keys", counts.done, counts.on_old());
    audit::append(tx, act, "campaign/end", name, Outcome::Done, &detail)?;
    Ok(counts)
}

/// Lets a stopped card be tried again, after a person has looked at it; any other stays as it is.
///
/// # Errors
/// [`CampaignError`].
pub fn release(tx: &Tx<'_>, name: &str, asn: &Asn8, act: &Act) -> Result<(), CampaignError> {
    in_state(&required(tx, name)?, CampaignState::Open)?;
    let card = store::card(tx, name, asn)?;
    if card.is_some_and(|card| card.progress == CardProgress::Stopped) {
        store::set_card(tx, name, asn, CardProgress::Begun, act.at, ("", ""))?;
        audit::append(tx, act, "campaign/card", &asn.masked().to_string(), Outcome::Done, "released")?;
    }
    Ok(())
}

/// How many cards in people's pockets may hold a key at most: those of the register that are not known to hold
/// another version.
///
/// # Errors
/// [`StoreError`].
pub fn cards_holding(tx: &Tx<'_>, place: &KeyPlace) -> Result<u64, StoreError> {
    let was_used = |state| matches!(state, KeyState::Active | KeyState::Retired);
    let is_on_cards = place.key.kind.card_usage().is_some()
        && registry::life(tx, place)?.iter().any(|event| was_used(event.state));
    if !is_on_cards {
        return Ok(0);
    }
    Ok(cards::count_alive(tx, Alive::default())?.saturating_sub(store::known_on_other(tx, place.key)?))
}

fn required(tx: &Tx<'_>, name: &str) -> Result<Campaign, CampaignError> {
    store::one(tx, name)?.ok_or_else(|| CampaignError::Unknown { name: name.to_owned() })
}

fn in_state(campaign: &Campaign, expected: CampaignState) -> Result<(), CampaignError> {
    if campaign.state == expected {
        return Ok(());
    }
    let (name, found) = (campaign.name.clone(), campaign.state);
    Err(CampaignError::State { name, expected, found })
}
