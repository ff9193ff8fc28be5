//! The cases of one card while they enter its book, and its grey records (`clearing.md` 3.1 to 3.3).

use super::{Case, Fate, Open, Past, Rules, SeenDifference};
use crate::book::{Bearer, CardBook, Loads, Proof};
use crate::chain::{self, LossBearer};
use crate::loads::Load;
use crate::purchase::Purchase;
use crate::ranges::Ranges;
use crate::verdict::{Cause, State};
use std::collections::{BTreeMap, BTreeSet};
use ykt_base::{Asn8, CardCounter, TerminalId};
use ykt_store::StoreError;

/// The past of one card; its loads are fetched once, when first needed.
pub struct LazyLoads<'a> {
    asn: Asn8,
    past: &'a mut dyn Past,
    all: Option<Vec<Load>>,
}

impl<'a> LazyLoads<'a> {
    pub fn of(asn: Asn8, past: &'a mut dyn Past) -> LazyLoads<'a> {
        LazyLoads { asn, past, all: None }
    }

    fn booked(&mut self, counter: CardCounter) -> Result<Option<Purchase>, StoreError> {
        self.past.booked(&self.asn, counter)
    }
}

impl Loads for LazyLoads<'_> {
    type Error = StoreError;

    fn all(&mut self) -> Result<&[Load], StoreError> {
        let all = match self.all.take() {
            Some(all) => all,
            None => self.past.loads(&self.asn)?,
        };
        Ok(self.all.insert(all))
    }
}

/// The cases of one card while they enter its book.
pub struct CardCases<'a> {
    pub rules: Rules<'a>,
    pub loads: LazyLoads<'a>,
    pub psams: &'a mut BTreeMap<TerminalId, Ranges>,
    pub changed_psams: &'a mut BTreeSet<TerminalId>,
    pub differences: &'a mut Vec<(SeenDifference, Asn8)>,
    pub is_changed: bool,
}

impl CardCases<'_> {
    /// Takes the accepted cases in, by counter, and answers every case's fate.
    pub fn accept(
        &mut self,
        book: &mut CardBook,
        cases: &[Case],
        open: &[Open],
    ) -> Result<Vec<Fate>, StoreError> {
        let mut fates = Vec::with_capacity(cases.len());
        for (case, open) in cases.iter().zip(open) {
            fates.push(match open {
                Open::Undecided => {
                    self.take(book, &case.purchase, Bearer::Purse)?;
                    case.parked.map_or(Fate::Accepted, Fate::Proven)
                }
                Open::Operator => {
                    self.take(book, &case.purchase, Bearer::Operator)?;
                    Fate::Otherwise(State::OperatorBears, Cause::LostCard)
                }
                Open::Grey => Fate::Otherwise(State::Parked, Cause::Grey),
                Open::Rivalled(cause) => Fate::Otherwise(State::Parked, *cause),
                Open::Done(state, cause) => Fate::Otherwise(*state, *cause),
            });
        }
        Ok(fates)
    }

    fn take(&mut self, book: &mut CardBook, purchase: &Purchase, bearer: Bearer) -> Result<(), StoreError> {
        let accepted = book.accept(purchase, bearer, self.rules.day, &mut self.loads)?;
        if let Some(difference) = accepted.difference {
            let seen = SeenDifference { record: purchase.id, difference };
            self.differences.push((seen, purchase.asn));
        }
        self.psams.entry(purchase.terminal).or_default().insert(purchase.sequence.0);
        self.changed_psams.insert(purchase.terminal);
        self.is_changed = true;
        Ok(())
    }

    /// Grey records by counter (`clearing.md` 3.3). Of several with one counter at most one debited: the one
    /// whose balances agree, if there is only one.
    pub fn resolve(
        &mut self,
        book: &mut CardBook,
        cases: &[Case],
        fates: &mut [Fate],
    ) -> Result<(), StoreError> {
        let is_grey = |fate: &Fate| *fate == Fate::Otherwise(State::Parked, Cause::Grey);
        let mut from = 0usize;
        while let Some(head) = cases.get(from) {
            let counter = head.purchase.counter;
            let end = cases.partition_point(|case| case.purchase.counter <= counter);
            let greys: Vec<usize> = (from..end).filter(|at| fates.get(*at).is_some_and(is_grey)).collect();
            from = end.max(from.saturating_add(1));
            let mut debited: Vec<usize> = Vec::new();
            for at in greys.iter().copied() {
                let Some(case) = cases.get(at) else { continue };
                match book.prove(&case.purchase, &mut self.loads)? {
                    Proof::NoDebit if self.is_booked(case, cases, fates)? => {
                        set(fates, at, State::Refused, Cause::DuplicateInHistory);
                    }
                    Proof::NoDebit => set(fates, at, State::Void, Cause::Grey),
                    Proof::Debit => {
                        match chain::plausible(&case.purchase, self.rules.day, self.rules.policy) {
                            Ok(()) => debited.push(at),
                            Err(cause) => set(fates, at, State::Parked, cause),
                        }
                    }
                    Proof::Open => set(fates, at, self.waiting(case), Cause::Grey),
                    Proof::Disagrees(_) => set(fates, at, self.waiting(case), Cause::GreyDisagrees),
                }
            }
            let Some((first, others)) = debited.split_first() else { continue };
            let Some(case) = cases.get(*first) else { continue };
            let is_one =
                |at: &usize| cases.get(*at).is_some_and(|other| other.purchase.is_same(&case.purchase));
            let taken = self.psams.get(&case.purchase.terminal);
            if !others.iter().all(is_one)
                || taken.is_some_and(|taken| taken.contains(case.purchase.sequence.0))
            {
                debited.iter().for_each(|at| set(fates, *at, State::Parked, Cause::Conflict));
                continue;
            }
            let bearer = chain::loss_bearer(&case.purchase, self.rules.registers, self.rules.policy);
            let fate = match bearer {
                LossBearer::Holder => Fate::Proven(Cause::Grey),
                LossBearer::Operator => Fate::Otherwise(State::OperatorBears, Cause::LostCard),
                LossBearer::Merchant => Fate::Otherwise(State::Refused, Cause::LostCard),
            };
            match bearer {
                LossBearer::Holder => self.take(book, &case.purchase, Bearer::Purse)?,
                LossBearer::Operator => self.take(book, &case.purchase, Bearer::Operator)?,
                LossBearer::Merchant => {}
            }
            others.iter().for_each(|at| set(fates, *at, State::Refused, Cause::DuplicateInHistory));
            if let Some(slot) = fates.get_mut(*first) {
                *slot = fate;
            }
        }
        Ok(())
    }

    /// Whether the very purchase of a grey record is accepted: in the day's cases, or before.
    fn is_booked(&mut self, grey: &Case, cases: &[Case], fates: &[Fate]) -> Result<bool, StoreError> {
        let same = |other: &Purchase| other.id != grey.purchase.id && other.is_same(&grey.purchase);
        if cases.iter().zip(fates).any(|(case, fate)| fate.is_paid() && same(&case.purchase)) {
            return Ok(true);
        }
        Ok(self.loads.booked(grey.purchase.counter)?.is_some_and(|booked| same(&booked)))
    }

    /// A grey record waits as long as the policy says.
    fn waiting(&self, case: &Case) -> State {
        let age_days = self.rules.day.days_since(case.purchase.at.date);
        if age_days > self.rules.policy.grey_days_max.into() { State::Refused } else { State::Parked }
    }
}

fn set(fates: &mut [Fate], at: usize, state: State, cause: Cause) {
    if let Some(fate) = fates.get_mut(at) {
        *fate = Fate::Otherwise(state, cause);
    }
}
