//! Key cards (母卡, `keys-and-ca.md` 4): the cards that carry keys to where user cards are made, from the blank chip to
//! the block, and the inventory of them.
//!
//! The actors: an operator of the centre at a [`Desk`] with the vault, who initialises, loads, limits and blocks a key
//! card in a reader; and later, far from the centre, somebody who issues user cards with it ([`FromKeyCard`]), which
//! needs no vault and no connection. The inventory knows of every card what the centre did to it, and of its use what
//! it said when it came back.

mod compare;
mod desk;
mod issue;
mod store;

pub use compare::Difference;
pub use desk::{Change, Desk, DeskError, Load, Report};
pub use issue::{FromKeyCard, IssueByKeyCard, chip_of, issue, record_issue};
pub use store::{MODULE, give, history, key_card, list, register, take_back};

use ykt_base::{DateTime, IssuerFactor, PsamSerial};
use ykt_purse::key_card::{AllowedKinds, CITIES_MAX};
use ykt_store::StoreError;
use ykt_vault::KeyRef;

/// Most characters of batch, label and holder of a key card.
pub const TEXT_LEN_MAX: usize = 60;

ykt_store::coded! {
    /// Where a key card is in its life.
    KeyCardState {
        /// Registered; its chip is blank.
        Blank = 1, "blank";
        /// Its initialisation has begun. When it was interrupted, it begins anew with another blank chip.
        BeingMade = 2, "being initialised";
        /// It has its files, own keys, PIN and attributes, and no key to give away.
        Initialised = 3, "initialised";
        /// It can issue user cards.
        Loaded = 4, "loaded";
        /// It is with somebody outside the centre.
        Given = 5, "given out";
        /// It came back to the centre.
        Returned = 6, "returned";
        /// It may issue no more cards until it is allowed to.
        UsedUp = 7, "used up";
        /// Its application is blocked for good.
        Blocked = 8, "blocked";
    }
}

ykt_store::coded! {
    /// Something that happened to a key card.
    KeyCardEvent {
        /// It entered the inventory.
        Registered = 1, "registered";
        /// It got its files and own keys (洗卡).
        Initialised = 2, "initialised";
        /// It got keys to give away.
        Loaded = 3, "keys loaded";
        /// It may issue other cards, or more of them, or fewer.
        Attributes = 4, "attributes";
        /// Its operator's PIN was set or unblocked.
        Password = 5, "password";
        /// It was asked what it holds.
        Queried = 6, "queried";
        /// It left the centre.
        Given = 7, "given out";
        /// It came back.
        Returned = 8, "returned";
        /// It issued a user card at this desk.
        Issued = 9, "card issued";
        /// It refused to issue a card.
        Refused = 10, "refused";
        /// It was blocked.
        Blocked = 11, "blocked";
        /// Work on it ended before its time.
        Interrupted = 12, "interrupted";
    }
}

/// A key card as it comes to the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKeyCard {
    /// Serial number: its own keys are diversified by the last eight bytes.
    pub serial: PsamSerial,
    /// Batch it belongs to.
    pub batch: String,
    /// What is printed on it.
    pub label: String,
    /// Text of its profile.
    pub profile: String,
    /// The key its chip comes with (初始主控): of the batch, or common to all; `None` for the profile's.
    pub transport: Option<KeyRef>,
    /// Factors of the cities whose cards it may issue, at most 16.
    pub cities: Vec<IssuerFactor>,
    /// The keys it may give away.
    pub kinds: AllowedKinds,
    /// How many cards it may issue at first.
    pub cards: u32,
}

/// A key card of the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCardRow {
    /// What was ordered; cities and kinds are those it has now.
    pub new: NewKeyCard,
    /// Name of its profile.
    pub profile_name: String,
    /// Serial number of its chip, once it is initialised.
    pub chip: Option<[u8; 8]>,
    /// Cards it was ever allowed to issue.
    pub granted: u32,
    /// Cards it may still issue, as far as known here.
    pub left: u32,
    /// Cards it refused to issue at desks that belong to this inventory.
    pub refused: u32,
    /// State.
    pub state: KeyCardState,
    /// Since when.
    pub since: DateTime,
    /// Who has it, while it is given out.
    pub holder: String,
}

impl KeyCardRow {
    /// Cards it issued, as far as known here.
    #[must_use]
    pub const fn issued(&self) -> u32 {
        self.granted.saturating_sub(self.left)
    }
}

/// A line of a key card's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCardEventRow {
    /// When.
    pub at: DateTime,
    /// What happened.
    pub event: KeyCardEvent,
    /// Who did it.
    pub who: String,
    /// More about it.
    pub detail: String,
}

/// Which key cards a list shows; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyCardFilter {
    /// Part of serial number, batch, label or holder.
    pub text: Option<String>,
    /// State.
    pub state: Option<KeyCardState>,
}

/// Why the inventory was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InventoryError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such key card.
    #[error("key card {serial} is not in the inventory; `ykt key-card list` shows those that are")]
    Unknown {
        /// Its serial number.
        serial: PsamSerial,
    },
    /// The serial number is taken.
    #[error("key card {serial} is in the inventory with another {differs}: found {found}, asked for {asked}")]
    Conflict {
        /// Its serial number.
        serial: PsamSerial,
        /// Which part differs.
        differs: &'static str,
        /// What is there.
        found: String,
        /// What was asked for.
        asked: String,
    },
    /// A field is outside its range.
    #[error("key card {serial}: {field} must be {expected}, found {found}")]
    Field {
        /// Its serial number.
        serial: PsamSerial,
        /// The field.
        field: &'static str,
        /// What is allowed.
        expected: String,
        /// What was given.
        found: String,
    },
    /// Its state does not allow it.
    #[error("key card {serial} is {found}: expected one that is {expected}")]
    State {
        /// Its serial number.
        serial: PsamSerial,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: KeyCardState,
    },
}

impl NewKeyCard {
    /// # Errors
    /// [`InventoryError::Field`].
    fn check(&self) -> Result<(), InventoryError> {
        let field = |field, expected: String, found: String| {
            Err(InventoryError::Field { serial: self.serial, field, expected, found })
        };
        if !(1..=CITIES_MAX).contains(&self.cities.len()) {
            let found = self.cities.len().to_string();
            return field("the number of cities", format!("1 to {CITIES_MAX}"), found);
        }
        for (name, text) in [("the batch", &self.batch), ("the label", &self.label)] {
            if text.chars().count() > TEXT_LEN_MAX {
                let found = text.chars().count().to_string();
                return field(name, format!("at most {TEXT_LEN_MAX} characters"), found);
            }
        }
        Ok(())
    }
}
