//! The card book: what is known of one card's purse from its accepted purchases (`clearing.md` 3.1, 3.2, 4).
//!
//! A card's offline counter orders its purchases. The book keeps which counters are covered, the newest balance,
//! the gaps with the sum that must be missing in each, and what was spent. Records may come in any order, weeks
//! late: one that falls into a gap closes it or splits it in two.

use crate::loads::{Load, LoadSum};
use crate::purchase::Purchase;
use crate::ranges::Ranges;
use ykt_base::{CardCounter, Date, DateTime, Fen};

/// A balance of the card at one moment; without a moment it is the beginning of the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Balance.
    pub balance: Fen,
    /// When it was seen.
    pub at: Option<DateTime>,
}

/// Counters of which no record has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// First missing counter.
    pub first: CardCounter,
    /// Last missing counter.
    pub last: CardCounter,
    /// Balance after the purchase before the gap.
    pub left: Edge,
    /// Balance before the purchase after the gap.
    pub right: Edge,
    /// What the missing purchases must sum to: left balance + loads between − right balance.
    pub lost: Fen,
    /// Clearing day the gap was seen on.
    pub opened: Date,
}

/// A balance that does not follow from the one before it (V15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Balance that should be there.
    pub expected: Fen,
    /// Balance the record states.
    pub found: Fen,
}

/// What accepting a purchase did to the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepted {
    /// A gap opened before it (V14, E30).
    pub opened_gap: bool,
    /// It is older than the newest one: it fell into a gap (V14, E32).
    pub was_late: bool,
    /// Its balances do not follow (V15, E40).
    pub difference: Option<Difference>,
}

/// Whether a grey record's debit is proven by its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// An accepted record has the same counter: this one debited nothing.
    NoDebit,
    /// No later record has come.
    Open,
    /// A later one has come, nothing covers the counter, and the balances agree: it was debited.
    Debit,
    /// A later one has come, but the balances do not agree.
    Disagrees(Difference),
}

/// Who pays for an accepted purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearer {
    /// The purse: what it spent grows.
    Purse,
    /// The operator: the purse is not charged.
    Operator,
}

/// The book of one card and purse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardBook {
    /// Counters of accepted purchases.
    pub covered: Ranges,
    /// Next counter after the newest accepted purchase.
    pub next: u32,
    /// Balance after the newest accepted purchase.
    pub newest: Edge,
    /// Open gaps by counter.
    pub gaps: Vec<Gap>,
    /// Sum of the purchases that were charged to the purse.
    pub spent: Fen,
}

/// A new card: nothing covered, no balance.
impl Default for CardBook {
    fn default() -> CardBook {
        CardBook::starting_at(CardCounter(0), Edge { balance: Fen::ZERO, at: None })
    }
}

/// Loads of the card, fetched when first needed: most purchases follow the one before without any.
pub trait Loads {
    /// Why they cannot be had.
    type Error;

    /// Every load the card has credited.
    ///
    /// # Errors
    /// When they cannot be had.
    fn all(&mut self) -> Result<&[Load], Self::Error>;
}

impl CardBook {
    /// The book of a card that comes from another system: its next counter and its balance then.
    #[must_use]
    pub fn starting_at(next: CardCounter, newest: Edge) -> CardBook {
        let covered = next.0.checked_sub(1).map(|last| Ranges::up_to(last.into())).unwrap_or_default();
        CardBook { covered, next: next.0.into(), newest, gaps: Vec::new(), spent: Fen::ZERO }
    }

    /// Whether an accepted purchase has this counter.
    #[must_use]
    pub fn covers(&self, counter: CardCounter) -> bool {
        self.covered.contains(counter.0.into())
    }

    /// Takes an accepted purchase in. Nothing happens when its counter is covered.
    ///
    /// # Errors
    /// When the loads cannot be had; the book may then hold part of the change.
    pub fn accept<L: Loads>(
        &mut self,
        purchase: &Purchase,
        bearer: Bearer,
        day: Date,
        loads: &mut L,
    ) -> Result<Accepted, L::Error> {
        let counter = u32::from(purchase.counter.0);
        if !self.covered.insert(counter) {
            return Ok(Accepted::default());
        }
        if bearer == Bearer::Purse {
            self.spent = Fen::new(self.spent.fen().saturating_add(purchase.amount.fen()));
        }
        let before = Edge { balance: purchase.balance_before, at: Some(purchase.at) };
        let after = Edge { balance: purchase.balance_after(), at: Some(purchase.at) };
        let mut done = Accepted::default();
        if counter >= self.next {
            if counter == self.next {
                done.difference = difference(self.newest, before, loads)?;
            } else {
                let first = CardCounter(u16::try_from(self.next).unwrap_or(u16::MAX));
                let last = CardCounter(purchase.counter.0.saturating_sub(1));
                self.gaps.push(gap(first, last, self.newest, before, day, loads)?);
                done.opened_gap = true;
            }
            self.next = counter.saturating_add(1);
            self.newest = after;
            return Ok(done);
        }
        done.was_late = true;
        let Some(at) = self.gap_of(purchase.counter) else {
            return Ok(done);
        };
        let old = self.gaps.remove(at);
        let mut parts = Vec::with_capacity(2);
        match purchase.counter.0.checked_sub(1).map(CardCounter).filter(|last| old.first <= *last) {
            Some(last) => parts.push(gap(old.first, last, old.left, before, old.opened, loads)?),
            None => done.difference = difference(old.left, before, loads)?,
        }
        match purchase.counter.next().filter(|first| *first <= old.last) {
            Some(first) => parts.push(gap(first, old.last, after, old.right, old.opened, loads)?),
            None => done.difference = done.difference.or(difference(after, old.right, loads)?),
        }
        self.gaps.splice(at..at, parts);
        Ok(done)
    }

    /// Whether the records around a grey one prove its debit (`clearing.md` 3.3).
    ///
    /// # Errors
    /// When the loads cannot be had.
    pub fn prove<L: Loads>(&self, grey: &Purchase, loads: &mut L) -> Result<Proof, L::Error> {
        if self.covers(grey.counter) {
            return Ok(Proof::NoDebit);
        }
        let Some(old) = self.gap_of(grey.counter).and_then(|at| self.gaps.get(at)) else {
            return Ok(Proof::Open);
        };
        let before = Edge { balance: grey.balance_before, at: Some(grey.at) };
        let after = Edge { balance: grey.balance_after(), at: Some(grey.at) };
        let left = match grey.counter == old.first {
            true => difference(old.left, before, loads)?,
            false => overdrawn(old.left, before, loads)?,
        };
        let right = match grey.counter == old.last {
            true => difference(after, old.right, loads)?,
            false => overdrawn(after, old.right, loads)?,
        };
        Ok(left.or(right).map_or(Proof::Debit, Proof::Disagrees))
    }

    fn gap_of(&self, counter: CardCounter) -> Option<usize> {
        let at = self.gaps.partition_point(|gap| gap.last < counter);
        self.gaps.get(at).filter(|gap| gap.first <= counter).map(|_| at)
    }
}

fn grown(from: Edge, by: Fen) -> Fen {
    Fen::new(from.balance.fen().saturating_add(by.fen()))
}

fn sum_between<L: Loads>(from: Edge, to: Edge, loads: &mut L) -> Result<LoadSum, L::Error> {
    match to.at {
        Some(at) => Ok(LoadSum::between(loads.all()?, from.at, at)),
        None => Ok(LoadSum::default()),
    }
}

/// The difference when nothing but loads lies between two balances. Loads are asked for only when they differ.
fn difference<L: Loads>(from: Edge, to: Edge, loads: &mut L) -> Result<Option<Difference>, L::Error> {
    if from.balance == to.balance {
        return Ok(None);
    }
    let between = sum_between(from, to, loads)?;
    let growth = Fen::new(to.balance.fen().saturating_sub(from.balance.fen()));
    let follows = between.explains(growth);
    Ok((!follows).then(|| Difference { expected: grown(from, between.sum), found: to.balance }))
}

/// The difference when purchases are missing between two balances: the second may be lower, never higher.
fn overdrawn<L: Loads>(from: Edge, to: Edge, loads: &mut L) -> Result<Option<Difference>, L::Error> {
    let expected = grown(from, sum_between(from, to, loads)?.sum);
    Ok((to.balance > expected).then_some(Difference { expected, found: to.balance }))
}

fn gap<L: Loads>(
    first: CardCounter,
    last: CardCounter,
    left: Edge,
    right: Edge,
    opened: Date,
    loads: &mut L,
) -> Result<Gap, L::Error> {
    let expected = grown(left, sum_between(left, right, loads)?.sum);
    let lost = Fen::new(expected.fen().saturating_sub(right.balance.fen()));
    Ok(Gap { first, last, left, right, lost, opened })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::purchase::{FileId, RecordId};
    use proptest::prelude::*;
    use ykt_base::{Asn8, Mac4, TerminalSeq};
    use ykt_files::{Confirmation, PurchaseType};

    struct Journal(Vec<Load>);

    impl Loads for Journal {
        type Error = std::convert::Infallible;

        fn all(&mut self) -> Result<&[Load], Self::Error> {
            Ok(&self.0)
        }
    }

    fn at(second: i64) -> DateTime {
        DateTime::start_of(Date::new(2026, 11, 22).unwrap()).plus_seconds(second).unwrap()
    }

    fn purchase(counter: u16, before: i64, amount: i64) -> Purchase {
        Purchase {
            id: RecordId::new(FileId(1), u32::from(counter) + 2).unwrap(),
            merchant: "M00000000000001".parse().unwrap(),
            pos: "P0000001".parse().unwrap(),
            terminal: "0000A1B2C3D4".parse().unwrap(),
            sequence: TerminalSeq(counter.into()),
            asn: Asn8([1; 8]),
            counter: CardCounter(counter),
            balance_before: Fen::new(before),
            amount: Fen::new(amount),
            at: at(i64::from(counter) * 10 + 5),
            purchase: PurchaseType::Wallet,
            tac: Mac4([0; 4]),
            confirmation: Confirmation::Confirmed,
        }
    }

    /// A card's true life: before each purchase maybe a load, then the purchase.
    fn life(steps: &[(i64, i64)]) -> (Journal, Vec<Purchase>) {
        let (mut loads, mut purchases, mut balance) = (Vec::new(), Vec::new(), 0);
        for (counter, (load, amount)) in (0u16..).zip(steps) {
            if *load > 0 {
                loads.push(Load { at: at(i64::from(counter) * 10), amount: Fen::new(*load) });
                balance += load;
            }
            let amount = (*amount).min(balance);
            purchases.push(purchase(counter, balance, amount));
            balance -= amount;
        }
        (Journal(loads), purchases)
    }

    #[test]
    fn the_last_counter_of_a_card() {
        let mut book = CardBook::starting_at(CardCounter(0xFFFE), Edge { balance: Fen::new(500), at: None });
        let mut journal = Journal(Vec::new());
        let day = at(0).date;
        let last = purchase(0xFFFF, 300, 100);
        let done = book.accept(&last, Bearer::Purse, day, &mut journal).unwrap();
        assert!(done.opened_gap && book.gaps[0].lost == Fen::new(200));
        let missing = purchase(0xFFFE, 500, 200);
        assert_eq!(book.prove(&missing, &mut journal).unwrap(), Proof::Debit);
        let done = book.accept(&missing, Bearer::Operator, day, &mut journal).unwrap();
        assert!(done.was_late && done.difference.is_none() && book.gaps.is_empty());
        assert_eq!((book.spent, book.next), (Fen::new(100), 0x1_0000));
        assert_eq!(book.prove(&last, &mut journal).unwrap(), Proof::NoDebit);
    }

    proptest! {
        /// Whatever arrives, in whatever order: the gaps say exactly what is missing, every missing purchase would
        /// be proven, and nothing disagrees.
        #[test]
        fn gaps_sum_to_what_is_missing(
            steps in proptest::collection::vec((0i64..3_000, 1i64..500), 1..30),
            order in proptest::collection::vec((any::<u16>(), any::<bool>()), 30),
        ) {
            let (mut journal, purchases) = life(&steps);
            let mut arriving: Vec<_> = purchases.iter().zip(order).filter(|(_, (_, comes))| *comes).collect();
            arriving.sort_by_key(|(_, (place, _))| *place);
            let mut book = CardBook::default();
            for (purchase, _) in &arriving {
                let done = book.accept(purchase, Bearer::Purse, at(0).date, &mut journal).unwrap();
                prop_assert_eq!(done.difference, None);
            }
            let newest = arriving.iter().map(|(purchase, _)| purchase.counter).max();
            let missing: Vec<_> = purchases
                .iter()
                .filter(|p| newest.is_some_and(|newest| p.counter < newest) && !book.covers(p.counter))
                .collect();
            let lost: i64 = book.gaps.iter().map(|gap| gap.lost.fen()).sum();
            prop_assert_eq!(lost, missing.iter().map(|p| p.amount.fen()).sum::<i64>());
            let spent: i64 = arriving.iter().map(|(p, _)| p.amount.fen()).sum();
            prop_assert_eq!(book.spent.fen(), spent);
            for grey in missing {
                prop_assert_eq!(book.prove(grey, &mut journal).unwrap(), Proof::Debit);
            }
        }
    }
}
