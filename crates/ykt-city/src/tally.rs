//! What happened on a day, counted: errands, pulled cards, broken loads.

use crate::plan::{LoadBreak, Pull};
use std::collections::BTreeMap;
use ykt_base::Fen;

/// A number of things and the money in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub count: u32,
    /// How much.
    pub amount: Fen,
}

impl Count {
    /// Counts one more of `amount`; a sum out of range stays where it is and shows in the proof.
    pub fn add(&mut self, amount: Fen) {
        self.count = self.count.saturating_add(1);
        self.amount = self.amount.checked_add(amount).unwrap_or(self.amount);
    }

    /// This and `count` more of `amount` in all.
    #[must_use]
    pub fn plus(mut self, count: u32, amount: Fen) -> Count {
        self.count = self.count.saturating_add(count);
        self.amount = self.amount.checked_add(amount).unwrap_or(self.amount);
        self
    }
}

/// Pulled cards at one moment of a purchase or load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pulled {
    /// How often.
    pub times: u32,
    /// How often the citizen presented the card again and everything was settled at once.
    pub settled: u32,
}

/// The table of a day, as far as the street sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Loads that reached the card at the first attempt.
    pub loads: Count,
    /// Loads that broke and were finished at a later attempt.
    pub loads_resumed: Count,
    /// Loads whose money went back.
    pub loads_given_back: Count,
    /// Loads that a card or the host refused.
    pub loads_refused: Count,
    /// Purchases paid at the first attempt.
    pub purchases: Count,
    /// Purchases settled when a pulled card came back.
    pub purchases_recovered: Count,
    /// Purchases charged anew after a pull that had not charged.
    pub purchases_repeated: Count,
    /// Cards that were pulled and not shown again at that terminal.
    pub walked_away: Count,
    /// Purchases declined, by reason.
    pub declined: BTreeMap<&'static str, Count>,
    /// Pulls during a purchase, by moment.
    pub pulls: BTreeMap<Pull, Pulled>,
    /// Breaks during a load, by moment.
    pub breaks: BTreeMap<LoadBreak, Pulled>,
    /// Memory writes of DEBIT and of CREDIT at which power was cut.
    pub torn_writes: u32,
    /// Losses reported.
    pub losses: u32,
}
