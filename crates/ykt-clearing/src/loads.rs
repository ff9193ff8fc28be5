//! Loads of a card between two of its purchases: what balance continuity (V15) must know. The journal of loads
//! belongs to the loading service; clearing asks it through a trait.

use ykt_base::{Asn8, DateTime, Fen};
use ykt_store::{StoreError, Tx};

/// A load that the card has credited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// When the card credited it.
    pub at: DateTime,
    /// Amount.
    pub amount: Fen,
}

/// Our own journal of loads.
pub trait LoadJournal {
    /// Every load the card has credited, in any order.
    ///
    /// # Errors
    /// [`StoreError`] when the journal cannot be read.
    fn loads(&self, tx: &Tx<'_>, asn: &Asn8) -> Result<Vec<Load>, StoreError>;
}

impl<F: Fn(&Tx<'_>, &Asn8) -> Result<Vec<Load>, StoreError>> LoadJournal for F {
    fn loads(&self, tx: &Tx<'_>, asn: &Asn8) -> Result<Vec<Load>, StoreError> {
        self(tx, asn)
    }
}

/// A journal without loads: for cities that only clear.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLoads;

impl LoadJournal for NoLoads {
    fn loads(&self, _: &Tx<'_>, _: &Asn8) -> Result<Vec<Load>, StoreError> {
        Ok(Vec::new())
    }
}

/// Loads between two moments of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadSum {
    /// After the first moment, up to and with the second.
    pub sum: Fen,
    /// In the very second of the first moment: before or after the purchase, nobody knows.
    at_first: Fen,
    /// In the very second of the second moment; part of `sum`.
    at_second: Fen,
}

impl LoadSum {
    /// The loads after `from` (from the card's beginning when `None`), up to and with `to`.
    #[must_use]
    pub fn between(loads: &[Load], from: Option<DateTime>, to: DateTime) -> LoadSum {
        let sum_of = |wanted: &dyn Fn(DateTime) -> bool| {
            let amounts = loads.iter().filter(|load| wanted(load.at)).map(|load| load.amount.fen());
            Fen::new(amounts.fold(0, i64::saturating_add))
        };
        LoadSum {
            sum: sum_of(&|at| from.is_none_or(|from| from < at) && at <= to),
            at_first: sum_of(&|at| from == Some(at) && from != Some(to)),
            at_second: sum_of(&|at| at == to && from.is_none_or(|from| from < to)),
        }
    }

    /// Whether a balance may have grown by `growth`: exactly the loads between, those in the same second as one
    /// of the purchases counted or not.
    #[must_use]
    pub fn explains(&self, growth: Fen) -> bool {
        let sum = self.sum.fen();
        let early = sum.saturating_add(self.at_first.fen());
        let late = self.at_second.fen();
        [sum, early, sum.saturating_sub(late), early.saturating_sub(late)].contains(&growth.fen())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ykt_base::Date;

    #[test]
    fn the_edges_belong_to_either_side() {
        let at = |second| DateTime::start_of(Date::new(2026, 11, 22).unwrap()).plus_seconds(second).unwrap();
        let loads = [(10, 1), (15, 20), (20, 300)]
            .map(|(second, fen)| Load { at: at(second), amount: Fen::new(fen) });
        let sum = LoadSum::between(&loads, Some(at(10)), at(20));
        assert_eq!(sum.sum, Fen::new(320));
        for (growth, fits) in [(320, true), (321, true), (20, true), (21, true), (0, false), (300, false)] {
            assert_eq!(sum.explains(Fen::new(growth)), fits, "{growth}");
        }
        assert_eq!(LoadSum::between(&loads, None, at(15)).sum, Fen::new(21));
        assert_eq!(LoadSum::between(&loads, Some(at(20)), at(10)).sum, Fen::ZERO);
    }
}
