//! The terminal register: POS terminals of merchants, and which PSAM each one held when.
//!
//! Records arrive up to a month late, so a pair of POS and PSAM is valid over time and never overwritten:
//! V04 to V06 ask what was true when the record was made.

mod store;

use crate::life::{self, IllegalStep, Row, StateTotals};
use ykt_base::{DateTime, MerchantCode, PosNo, PsamSerial, TerminalId};

pub use store::{change, list, pair, pairs_of, register, terminal};
pub(crate) use store::{pairs, terminals};

ykt_store::coded! {
    /// State of a terminal.
    TerminalState {
        /// Known, not yet in trade.
        Registered = 0, "registered";
        /// In trade.
        InUse = 1, "in use";
        /// Out of trade for a time.
        Suspended = 2, "suspended";
        /// Out of trade for good.
        Retired = 3, "retired";
    }
}

ykt_store::coded! {
    /// What can happen to a terminal.
    TerminalEvent {
        /// Goes into trade.
        Start = 0, "start";
        /// Goes out of trade for a time.
        Suspend = 1, "suspend";
        /// Comes back into trade.
        Resume = 2, "resume";
        /// Goes out of trade for good; its PSAM is free again.
        Retire = 3, "retire";
    }
}

const LIFE: &[Row<TerminalState, TerminalEvent>] = {
    use TerminalEvent as E;
    use TerminalState as S;
    &[
        (S::Registered, E::Start, S::InUse),
        (S::Registered, E::Retire, S::Retired),
        (S::InUse, E::Suspend, S::Suspended),
        (S::InUse, E::Retire, S::Retired),
        (S::Suspended, E::Resume, S::InUse),
        (S::Suspended, E::Retire, S::Retired),
    ]
};

impl TerminalState {
    /// The state after `event`.
    ///
    /// # Errors
    /// [`IllegalStep`] when that cannot happen in this state.
    pub fn after(self, event: TerminalEvent) -> Result<TerminalState, IllegalStep> {
        life::after(LIFE, self, event)
    }

    /// What can happen in this state.
    pub fn allowed(self) -> impl Iterator<Item = TerminalEvent> {
        life::allowed(LIFE, self)
    }
}

impl TerminalEvent {
    /// The state the event leads to, from wherever it may happen.
    #[must_use]
    pub const fn leads_to(self) -> TerminalState {
        match self {
            TerminalEvent::Start | TerminalEvent::Resume => TerminalState::InUse,
            TerminalEvent::Suspend => TerminalState::Suspended,
            TerminalEvent::Retire => TerminalState::Retired,
        }
    }
}

/// A terminal as it comes to the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewTerminal {
    /// POS number.
    pub pos: PosNo,
    /// The merchant it trades for.
    pub merchant: MerchantCode,
}

/// A PSAM in a POS, from a moment on until another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The terminal.
    pub pos: PosNo,
    /// Terminal id that the PSAM puts into every transaction.
    pub terminal_id: TerminalId,
    /// Serial number of the PSAM.
    pub psam_serial: PsamSerial,
    /// First moment it is valid.
    pub from: DateTime,
    /// First moment it is no longer valid; `None` while it lasts.
    pub until: Option<DateTime>,
}

impl Pair {
    /// Whether the pair was valid at `at`.
    #[must_use]
    pub fn covers(&self, at: DateTime) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// A terminal of the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalRow {
    /// POS number.
    pub pos: PosNo,
    /// The merchant it trades for.
    pub merchant: MerchantCode,
    /// Its state now.
    pub state: TerminalState,
    /// Since when it is in that state.
    pub state_since: DateTime,
    /// The PSAM it holds now, or held last; `None` before the first.
    pub pair: Option<Pair>,
}

/// Which terminals a list shows; what is `None` does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TerminalFilter {
    /// POS number.
    pub pos: Option<PosNo>,
    /// The merchant it trades for.
    pub merchant: Option<MerchantCode>,
    /// State.
    pub state: Option<TerminalState>,
}

/// What a list of terminals can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TerminalSort {
    /// POS number.
    #[default]
    Pos,
    /// Merchant code.
    Merchant,
    /// State.
    State,
    /// Since when it is in that state.
    StateSince,
}

/// Totals of a list of terminals.
pub type TerminalTotals = StateTotals<TerminalState>;
