//! The card register: each card the company ever made, its keys' version, its validity, and its state from
//! blank to cancelled (`clearing.md` 10).
//!
//! Money is not here: a balance is read from the card, its shadow stands in the ledger.

use crate::life::{self, IllegalStep, Row, coded};
use ykt_base::{Asn8, Date, DateTime, IssuerFactor, KeyVersion};

coded! {
    /// State of a card (卡状态, `clearing.md` 10); the codes are those of the sources.
    CardState {
        /// Made, not yet given to anybody (未启用).
        NotEnabled = 0, "not enabled";
        /// In use (正常).
        Normal = 1, "normal";
        /// Loss reported by phone or web, lapses when not confirmed (预挂失).
        LossPreReported = 2, "loss pre-reported";
        /// Loss reported (挂失).
        Lost = 3, "lost";
        /// Application locked (应用锁定).
        Locked = 4, "locked";
        /// Spoilt before it was ever issued (作废).
        Void = 7, "void";
        /// Cancelled, replaced, exchanged or returned (注销).
        Cancelled = 9, "cancelled";
    }
}

coded! {
    /// What can happen to a card.
    CardEvent {
        /// Handed to its holder (发放).
        Issue = 0, "issue";
        /// Spoilt in production (作废).
        Void = 1, "void";
        /// Holder reports its loss by phone or web (预挂失).
        PreReportLoss = 2, "pre-report loss";
        /// Holder reports its loss at a desk (挂失).
        ReportLoss = 3, "report loss";
        /// Found again, or a pre-report lapsed (解挂).
        RemoveLoss = 4, "remove loss";
        /// Application locked, at a desk or by a terminal (应用锁定).
        Lock = 5, "lock";
        /// Application unlocked (应用解锁).
        Unlock = 6, "unlock";
        /// Another card takes the place of a lost one (补卡).
        Replace = 7, "replace";
        /// Another card takes the place of a bad one (换卡).
        Exchange = 8, "exchange";
        /// Returned by its holder (退卡).
        Return = 9, "return";
        /// Cancelled by the company (注销).
        Cancel = 10, "cancel";
    }
}

const LIFE: &[Row<CardState, CardEvent>] = {
    use CardEvent as E;
    use CardState as S;
    &[
        (S::NotEnabled, E::Issue, S::Normal),
        (S::NotEnabled, E::Void, S::Void),
        (S::Normal, E::PreReportLoss, S::LossPreReported),
        (S::Normal, E::ReportLoss, S::Lost),
        (S::Normal, E::Lock, S::Locked),
        (S::Normal, E::Exchange, S::Cancelled),
        (S::Normal, E::Return, S::Cancelled),
        (S::Normal, E::Cancel, S::Cancelled),
        (S::LossPreReported, E::ReportLoss, S::Lost),
        (S::LossPreReported, E::RemoveLoss, S::Normal),
        (S::LossPreReported, E::Cancel, S::Cancelled),
        (S::Lost, E::RemoveLoss, S::Normal),
        (S::Lost, E::Replace, S::Cancelled),
        (S::Lost, E::Cancel, S::Cancelled),
        (S::Locked, E::Unlock, S::Normal),
        (S::Locked, E::Cancel, S::Cancelled),
    ]
};

impl CardState {
    /// The state after `event`.
    ///
    /// # Errors
    /// [`IllegalStep`] when that cannot happen in this state.
    pub fn after(self, event: CardEvent) -> Result<CardState, IllegalStep> {
        life::after(LIFE, self, event)
    }

    /// What can happen in this state.
    pub fn allowed(self) -> impl Iterator<Item = CardEvent> {
        life::allowed(LIFE, self)
    }

    /// Whether the card may be loaded: it is in its holder's hands and neither lost, locked nor cancelled.
    #[must_use]
    pub fn may_load(self) -> bool {
        self == CardState::Normal
    }
}

/// Whether a card's money is real.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CardKind {
    /// A holder's card.
    Real,
    /// A test card (测试卡): its records are kept apart and never settled (V09).
    Test,
}

/// A card as personalisation hands it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewCard {
    /// Card number.
    pub asn: Asn8,
    /// Factor of the level above the card.
    pub factor: IssuerFactor,
    /// Card main type (卡主类型), 0 to 99.
    pub main_type: u8,
    /// Card sub type (卡子类型), 0 to 99.
    pub sub_type: u8,
    /// Real or test.
    pub kind: CardKind,
    /// Version of its TAC and purse keys.
    pub key_version: KeyVersion,
    /// First day of use.
    pub start: Date,
    /// Last day of use.
    pub expiry: Date,
}

/// A card of the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardRow {
    /// What personalisation handed over.
    pub card: NewCard,
    /// Its state now.
    pub state: CardState,
    /// Since when it is in that state.
    pub state_since: DateTime,
    /// When it was handed to its holder; `None` before that.
    pub issued_at: Option<DateTime>,
}
