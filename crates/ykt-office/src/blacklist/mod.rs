//! The black list (黑名单, `clearing.md` 11): cards that terminals must refuse, in versions, as a full list or
//! as increments, and which terminal got which version when.
//!
//! Who bears a purchase with a lost card depends on two moments: when the loss took effect, and when a list
//! that names the card reached the terminal (V17). Both are kept here for as long as records may arrive.

mod reach;
mod store;

use ykt_base::{Asn8, DateTime, PosNo};

pub(crate) use reach::Named;
pub(crate) use store::{change, close_loss, deliveries, losses, named, open_loss};
pub use store::{
    held_by_terminals, increment, list, list_at, list_delivered, losses_of, newest, version, versions,
};

/// Cards a terminal can hold; a longer list is cut to the newest (`clearing.md` 11).
pub const TERMINAL_LIST_LEN_MAX: u32 = 10_000;

ykt_store::coded! {
    /// Why a card is on the list (`clearing.md` 11).
    ListKind {
        /// Dead card.
        Dead = 1, "dead";
        /// Reported lost.
        Lost = 2, "lost";
        /// Pre-reported lost.
        TemporarilyLost = 3, "temporarily lost";
        /// Application locked.
        Locked = 4, "application locked";
        /// Application unlocked again.
        Unlocked = 5, "application unlocked";
        /// Certificate revoked.
        Certificate = 6, "certificate";
        /// Cancelled.
        Cancelled = 99, "cancelled";
    }
}

/// A version of the list. Each change of the list makes the next one; 0 is the empty list before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ListVersion(pub u32);

/// A card on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListEntry {
    /// The card.
    pub asn: Asn8,
    /// Why it is there.
    pub kind: ListKind,
    /// The version that put it there.
    pub version: ListVersion,
    /// When it was put there.
    pub since: DateTime,
}

/// What an increment does with a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOp {
    /// Put on the list, or its kind changed (`A`).
    Add(ListKind),
    /// Taken off (`D`).
    Delete,
}

/// One line of an increment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListChange {
    /// The version the change made.
    pub version: ListVersion,
    /// The card.
    pub asn: Asn8,
    /// What to do with it.
    pub op: ListOp,
    /// When it was made.
    pub at: DateTime,
}

/// A version of the list as the consoles show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRow {
    /// The change that made it.
    pub change: ListChange,
    /// Terminals that hold this version or a later one.
    pub terminals: u32,
}

/// Which entries a list shows; what is `None` does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListFilter {
    /// Why the card is on the list.
    pub kind: Option<ListKind>,
    /// The card.
    pub asn: Option<Asn8>,
}

/// What leads from list `base` to list `version`: at most one change per card, in the order of card numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Increment {
    /// The list the receiver must hold.
    pub base: ListVersion,
    /// The list it holds after.
    pub version: ListVersion,
    /// Changes by card number.
    pub changes: Vec<ListChange>,
}

/// A loss of a card: from the moment it took effect until it was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// The card.
    pub asn: Asn8,
    /// From then on the holder no longer bears what is spent.
    pub effective_at: DateTime,
    /// The first list version that names the card.
    pub version: ListVersion,
    /// When the loss was removed; `None` while it lasts.
    pub removed_at: Option<DateTime>,
}

impl Loss {
    /// Whether the loss was in effect at `at`.
    #[must_use]
    pub fn covers(&self, at: DateTime) -> bool {
        self.effective_at <= at && self.removed_at.is_none_or(|removed| at < removed)
    }
}

/// A list version that reached a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// The terminal.
    pub pos: PosNo,
    /// The version it holds since.
    pub version: ListVersion,
    /// When it got it.
    pub at: DateTime,
}
