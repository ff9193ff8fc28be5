//! The card register: each card the company ever made, its keys' version, its validity, and its state from
//! blank to cancelled (`clearing.md` 10).
//!
//! Money is not here: a balance is read from the card, its shadow stands in the ledger.

mod store;

use crate::life::{self, IllegalStep, Row, StateTotals};
use std::fmt;
use std::str::FromStr;
use ykt_base::{Asn8, Date, DateTime, IssuerFactor, KeyVersion};

pub use store::{
    card, change, count, count_alive, for_each, history, issue, lapse_pre_reports, list, lock_reported,
    numbers_alive, register, report_loss,
};

ykt_store::coded! {
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

ykt_store::coded! {
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

ykt_store::coded! {
    /// Whether a card's money is real.
    CardKind {
        /// A holder's card.
        Real = 0, "real";
        /// A test card (测试卡): its records are kept apart and never settled (V09).
        Test = 1, "test";
    }
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

impl fmt::Display for NewCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NewCard { asn, factor, main_type, sub_type, kind, key_version, start, expiry } = self;
        write!(f, "{} of {factor}, type {main_type}/{sub_type}, {kind}, ", asn.masked())?;
        write!(f, "key version {key_version}, {start} to {expiry}")
    }
}

/// What became of a batch of cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    /// Cards that are new.
    pub added: u32,
    /// Cards that were there with the same content.
    pub repeated: u32,
}

/// Something that happened to a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardEventRow {
    /// When.
    pub at: DateTime,
    /// What.
    pub event: CardEvent,
    /// The state after it.
    pub state: CardState,
    /// Who did it.
    pub who: String,
    /// Why, in words; may be empty.
    pub note: String,
}

/// The first digits of a card number, one to sixteen of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberPrefix(String);

/// A text is no beginning of a card number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 16 hex digits of a card number, found {found} characters or another sign")]
pub struct NumberPrefixError {
    /// Characters there.
    pub found: usize,
}

impl NumberPrefix {
    /// The lowest and the highest card number that begin so.
    #[must_use]
    pub fn range(&self) -> (Asn8, Asn8) {
        let filled = |with: &str| {
            let missing = Asn8::LEN.saturating_mul(2).saturating_sub(self.0.len());
            format!("{}{}", self.0, with.repeat(missing)).parse()
        };
        (filled("0").unwrap_or(Asn8([0; 8])), filled("F").unwrap_or(Asn8([0xFF; 8])))
    }
}

impl FromStr for NumberPrefix {
    type Err = NumberPrefixError;
    fn from_str(text: &str) -> Result<NumberPrefix, NumberPrefixError> {
        let fits = (1..=16).contains(&text.len()) && text.bytes().all(|sign| sign.is_ascii_hexdigit());
        if fits { Ok(NumberPrefix(text.to_owned())) } else { Err(NumberPrefixError { found: text.len() }) }
    }
}

/// Which cards a list shows; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CardFilter {
    /// How the number begins.
    pub number: Option<NumberPrefix>,
    /// State.
    pub state: Option<CardState>,
    /// Real or test.
    pub kind: Option<CardKind>,
    /// First moment of issue.
    pub issued_from: Option<DateTime>,
    /// First moment of issue no longer shown.
    pub issued_until: Option<DateTime>,
}

/// Which of the cards that people may hold, the void and the cancelled left out; what is `None` does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Alive {
    /// Factor of their city or issuer.
    pub factor: Option<IssuerFactor>,
    /// Main type.
    pub main_type: Option<u8>,
}

/// What a list of cards can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CardSort {
    /// Card number.
    #[default]
    Number,
    /// State.
    State,
    /// Since when it is in that state.
    StateSince,
    /// When it was issued.
    IssuedAt,
    /// Last day of use.
    Expiry,
}

/// Totals of a list of cards.
pub type CardTotals = StateTotals<CardState>;
