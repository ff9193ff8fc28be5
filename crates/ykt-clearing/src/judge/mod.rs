//! The judgement of a clearing day: every purchase that came, and every parked one that may be decided now,
//! against the registers, the TACs and the card books.
//!
//! Nothing here reads a clock or a table: what earlier days left comes in through [`Past`], TACs are asked in
//! batches, and what changes goes out as a [`Judgement`]. Judging the same day again gives the same judgement.
//!
//! The chain of `clearing.md` 3 runs stage by stage over all records, so that each stage sees them in the order
//! that suits it: by card and counter for duplicates and books, by PSAM and sequence for conflicts. A key is
//! occupied by accepted records only; a forged, grey or parked one never stands in the way of the genuine.

mod card;

use crate::book::{CardBook, Difference};
use crate::chain::{self, LossBearer};
use crate::loads::Load;
use crate::policy::Policy;
use crate::purchase::{Purchase, RecordId};
use crate::ranges::Ranges;
use crate::verdict::{Cause, State};
use card::{CardCases, LazyLoads};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;
use ykt_base::{Asn8, CardCounter, Date, TerminalId};
use ykt_files::{Confirmation, PurchaseType};
use ykt_office::Registers;
use ykt_purse::{Purse, purchase::PurchaseKind};
use ykt_store::StoreError;
use ykt_vault::{CardKeyRef, KeyKind, KeyRef, Receipt, TacJob, TacVerdict, VaultError};

/// TACs asked for in one batch.
pub const TAC_BATCH_LEN_MAX: usize = 4_096;

/// What the days before left, as of the start of the day.
pub trait Past {
    /// The book of a card; a new one when it has none.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn card_book(&mut self, asn: &Asn8) -> Result<CardBook, StoreError>;

    /// Sequences of a PSAM that accepted purchases occupy.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn psam_book(&mut self, terminal: &TerminalId) -> Result<Ranges, StoreError>;

    /// The accepted purchase of a card with that counter; `None` when the counter is covered by the take-over
    /// from another system, or not at all. It is grey only when the card's next records proved it, not its TAC.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn booked(&mut self, asn: &Asn8, counter: CardCounter) -> Result<Option<Purchase>, StoreError>;

    /// Every load the card has credited.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn loads(&mut self, asn: &Asn8) -> Result<Vec<Load>, StoreError>;
}

/// A record under judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// The purchase.
    pub purchase: Purchase,
    /// Why it was parked on an earlier day; `None` for a record of this day.
    pub parked: Option<Cause>,
}

impl Case {
    /// Whether it can be decided now: a record of this day; a parked one whose registration may have come since;
    /// a grey one whose next records may have. One that is parked because of what its own TAC proved waits for people.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.parked.is_none_or(|cause| {
            let may_be_proven =
                matches!(cause, Cause::Grey | Cause::GreyDisagrees) || !self.purchase.has_tac();
            cause.is_judged_again() || self.purchase.is_grey() && may_be_proven
        })
    }
}

/// What became of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Accepted, charged to the purse.
    Accepted,
    /// A grey or parked record that is accepted now.
    Proven(
        /// Why it waited, in this day or before.
        Cause,
    ),
    /// Anything else.
    Otherwise(State, Cause),
}

impl Fate {
    /// Whether the merchant is paid.
    #[must_use]
    pub fn is_paid(self) -> bool {
        match self {
            Fate::Accepted | Fate::Proven(_) => true,
            Fate::Otherwise(state, _) => state.is_paid(),
        }
    }
}

/// A balance that does not follow (V15), with the record that shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenDifference {
    /// The record.
    pub record: RecordId,
    /// Expected and found.
    pub difference: Difference,
}

/// The outcome of a day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judgement {
    /// Every case, by card, counter and record.
    pub cases: Vec<Case>,
    /// The fate of each case.
    pub fates: Vec<Fate>,
    /// Books of the cards that changed, by card.
    pub cards: Vec<(Asn8, CardBook)>,
    /// Books of the PSAMs that changed, by terminal id.
    pub psams: Vec<(TerminalId, Ranges)>,
    /// Balances that do not follow, with their card, by card.
    pub differences: Vec<(SeenDifference, Asn8)>,
}

impl Judgement {
    /// Every case with its fate, by card, counter and record.
    pub fn iter(&self) -> impl Iterator<Item = (&Case, Fate)> {
        self.cases.iter().zip(self.fates.iter().copied())
    }
}

/// Why a day cannot be judged. Nothing was decided.
#[derive(Debug, Error)]
pub enum JudgeError {
    /// The past cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault did not say whether the TACs are right.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Checks TACs: one verdict for each job, in order.
pub type Tacs<'a> = &'a mut dyn FnMut(&[TacJob]) -> Result<Vec<TacVerdict>, VaultError>;

/// What a day is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The clearing day.
    pub day: Date,
    /// Registers as of the close.
    pub registers: &'a Registers,
    /// Parameters.
    pub policy: &'a Policy,
}

/// Judges a day. `cases` are the records of the day, and of earlier days those that
/// [are judged](Case::is_judged) again. `tacs` answers one verdict for each job, as `Vault::verify_tacs` does.
///
/// # Errors
/// [`JudgeError`] when the past cannot be read, or the vault does not answer: no TAC is judged without it.
pub fn judge(
    rules: Rules<'_>,
    mut cases: Vec<Case>,
    past: &mut dyn Past,
    tacs: Tacs<'_>,
) -> Result<Judgement, JudgeError> {
    cases.sort_unstable_by_key(|case| (case.purchase.asn, case.purchase.counter, case.purchase.id));
    let mut bench = Bench { rules, open: vec![Open::Undecided; cases.len()], cases, past };
    let books = bench.look_up()?;
    bench.check_tacs(tacs)?;
    bench.check_plausible();
    let psams = bench.find_conflicts()?;
    bench.settle_losses();
    Ok(bench.keep_books(books, psams)?)
}

/// Where a case stands between the stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// Passed every step so far.
    Undecided,
    /// As before, but an accepted record with other content has its counter; the cause says which.
    Rivalled(Cause),
    /// Grey: waits for the books.
    Grey,
    /// Passed; the operator bears it.
    Operator,
    /// Decided.
    Done(State, Cause),
}

struct Bench<'a> {
    rules: Rules<'a>,
    cases: Vec<Case>,
    open: Vec<Open>,
    past: &'a mut dyn Past,
}

/// State of a record that fails a step for this cause.
const fn state_of(cause: Cause) -> State {
    match cause {
        Cause::Illegal
        | Cause::DuplicateInFile
        | Cause::DuplicateInHistory
        | Cause::TacWrong
        | Cause::LostCard => State::Refused,
        Cause::TestCard => State::Test,
        _ => State::Parked,
    }
}

const fn failed(cause: Cause) -> Open {
    Open::Done(state_of(cause), cause)
}

impl Bench<'_> {
    /// Duplicates of accepted records (V03), then V04 to V09. Brings the books of the cards along.
    fn look_up(&mut self) -> Result<Vec<(Asn8, CardBook)>, StoreError> {
        let mut books: Vec<(Asn8, CardBook)> = Vec::new();
        for (case, open) in self.cases.iter().zip(&mut self.open) {
            let purchase = &case.purchase;
            if books.last().is_none_or(|(asn, _)| *asn != purchase.asn) {
                books.push((purchase.asn, self.past.card_book(&purchase.asn)?));
            }
            let covered = books.last().is_some_and(|(_, book)| book.covers(purchase.counter));
            if covered && purchase.has_tac() {
                let booked = self.past.booked(&purchase.asn, purchase.counter)?;
                let Some(rival) = booked.filter(|booked| !booked.is_same(purchase)) else {
                    *open = failed(Cause::DuplicateInHistory);
                    continue;
                };
                *open = Open::Rivalled(if rival.is_grey() { Cause::GreyBooked } else { Cause::Conflict });
            }
            if let Err(cause) = chain::registered(purchase, self.rules.day, self.rules.registers) {
                *open = failed(cause);
            }
        }
        Ok(books)
    }

    /// V10, in batches. A grey record whose TAC is right is grey no more: the card debited.
    fn check_tacs(&mut self, tacs: Tacs<'_>) -> Result<(), VaultError> {
        let mut jobs = Vec::with_capacity(TAC_BATCH_LEN_MAX);
        let mut asked = Vec::with_capacity(TAC_BATCH_LEN_MAX);
        for at in 0..self.cases.len() {
            jobs.extend(self.tac_job(at).inspect(|_| asked.push(at)));
            if jobs.len() == TAC_BATCH_LEN_MAX || at.saturating_add(1) == self.cases.len() {
                self.take_verdicts(&asked, tacs(&jobs)?);
                jobs.clear();
                asked.clear();
            }
        }
        Ok(())
    }

    fn tac_job(&self, at: usize) -> Option<TacJob> {
        let purchase = &self.cases.get(at)?.purchase;
        let is_open = matches!(self.open.get(at)?, Open::Undecided | Open::Rivalled(_));
        let row = self.rules.registers.card(&purchase.asn).filter(|_| is_open && purchase.has_tac())?;
        let key = KeyRef::new(KeyKind::Tac, self.rules.policy.tac_key_index.0, row.card.key_version.0);
        Some(TacJob {
            key: CardKeyRef { key, factor: row.card.factor, asn: purchase.asn },
            receipt: Receipt::Purchase {
                purchase: ykt_purse::purchase::Purchase {
                    kind: match purchase.purchase {
                        PurchaseType::Wallet => PurchaseKind::Purchase(Purse::Ep),
                        PurchaseType::Compound => PurchaseKind::Composite,
                    },
                    // Eight digits of fen always fit a purse.
                    amount: purchase.amount.try_into().ok()?,
                    terminal: purchase.terminal,
                },
                sequence: purchase.sequence,
                at: purchase.at,
            },
            tac: purchase.tac,
        })
    }

    fn take_verdicts(&mut self, asked: &[usize], verdicts: Vec<TacVerdict>) {
        // A verdict that is not there is no right one.
        let verdicts = verdicts.into_iter().chain(std::iter::repeat(TacVerdict::UnknownKeyVersion));
        for (at, verdict) in asked.iter().zip(verdicts) {
            let Some(case) = self.cases.get_mut(*at) else { continue };
            match verdict {
                TacVerdict::Right => case.purchase.confirmation = Confirmation::Confirmed,
                // What the terminal got was garbled, its TAC too: the card's next records tell.
                TacVerdict::Wrong if case.purchase.is_grey() => {}
                TacVerdict::Wrong => self.decide(*at, Cause::TacWrong),
                TacVerdict::UnknownKeyVersion => self.decide(*at, Cause::KeyVersionUnknown),
            }
        }
    }

    /// V11, V12, V13.
    fn check_plausible(&mut self) {
        for (case, open) in self.cases.iter().zip(&mut self.open) {
            if !matches!(open, Open::Undecided | Open::Rivalled(_)) {
                continue;
            }
            if case.purchase.is_grey() {
                *open = Open::Grey;
            } else if let Err(cause) = chain::plausible(&case.purchase, self.rules.day, self.rules.policy) {
                *open = failed(cause);
            }
        }
    }

    /// V02, V03 and E31 among the records that passed so far: by card and counter, then by PSAM and sequence.
    fn find_conflicts(&mut self) -> Result<BTreeMap<TerminalId, Ranges>, StoreError> {
        let mut first: Option<usize> = None;
        for at in 0..self.cases.len() {
            let (Some(case), Some(open)) = (self.cases.get(at), self.open.get(at).copied()) else {
                continue;
            };
            let purchase = case.purchase;
            match open {
                Open::Rivalled(cause) => self.decide(at, cause),
                Open::Undecided => {
                    let rival = first
                        .and_then(|first| Some((first, self.cases.get(first)?.purchase)))
                        .filter(|(_, p)| (p.asn, p.counter) == (purchase.asn, purchase.counter));
                    match rival {
                        None => first = Some(at),
                        Some((_, rival)) if rival.is_same(&purchase) => {
                            let is_in_file = rival.id.file() == purchase.id.file();
                            let cause =
                                if is_in_file { Cause::DuplicateInFile } else { Cause::DuplicateInHistory };
                            self.decide(at, cause);
                        }
                        Some((rival, _)) => {
                            self.decide(rival, Cause::Conflict);
                            self.decide(at, Cause::Conflict);
                        }
                    }
                }
                Open::Grey | Open::Operator | Open::Done(..) => {}
            }
        }
        let mut order: Vec<(TerminalId, u32, usize)> = Vec::with_capacity(self.cases.len());
        for (at, (case, open)) in self.cases.iter().zip(&self.open).enumerate() {
            if matches!(open, Open::Undecided | Open::Grey) {
                order.push((case.purchase.terminal, case.purchase.sequence.0, at));
            }
        }
        order.sort_unstable();
        let mut psams: BTreeMap<TerminalId, Ranges> = BTreeMap::new();
        let mut before: Option<(TerminalId, u32, usize)> = None;
        for (terminal, sequence, at) in order {
            if let Entry::Vacant(book) = psams.entry(terminal) {
                book.insert(self.past.psam_book(&terminal)?);
            }
            if self.open.get(at) == Some(&Open::Grey) {
                continue;
            }
            let is_taken = psams.get(&terminal).is_some_and(|taken| taken.contains(sequence));
            match before {
                Some((t, s, rival)) if (t, s) == (terminal, sequence) => {
                    self.decide(rival, Cause::Conflict);
                    self.decide(at, Cause::Conflict);
                }
                _ if is_taken => self.decide(at, Cause::Conflict),
                _ => {}
            }
            before = Some((terminal, sequence, at));
        }
        Ok(psams)
    }

    fn decide(&mut self, at: usize, cause: Cause) {
        if let Some(open) = self.open.get_mut(at) {
            *open = failed(cause);
        }
    }

    /// V17.
    fn settle_losses(&mut self) {
        for (case, open) in self.cases.iter().zip(&mut self.open) {
            if *open == Open::Undecided {
                *open = match chain::loss_bearer(&case.purchase, self.rules.registers, self.rules.policy) {
                    LossBearer::Holder => Open::Undecided,
                    LossBearer::Operator => Open::Operator,
                    LossBearer::Merchant => failed(Cause::LostCard),
                };
            }
        }
    }

    /// V14 and V15 by merging what was accepted into the books; then the grey records the books can decide.
    fn keep_books(
        mut self,
        books: Vec<(Asn8, CardBook)>,
        mut psams: BTreeMap<TerminalId, Ranges>,
    ) -> Result<Judgement, StoreError> {
        let mut judgement = Judgement::default();
        let mut changed_psams = BTreeSet::new();
        let cases = std::mem::take(&mut self.cases);
        let mut rest = cases.as_slice();
        let mut rest_open = self.open.as_slice();
        judgement.fates.reserve(cases.len());
        for (asn, mut book) in books {
            let len = rest.partition_point(|case| case.purchase.asn == asn);
            let (of_card, after) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            let (open_of_card, open_after) = rest_open.split_at_checked(len).unwrap_or((rest_open, &[]));
            (rest, rest_open) = (after, open_after);
            let mut card = CardCases {
                rules: self.rules,
                loads: LazyLoads::of(asn, self.past),
                psams: &mut psams,
                changed_psams: &mut changed_psams,
                differences: &mut judgement.differences,
                is_changed: false,
            };
            let mut fates = card.accept(&mut book, of_card, open_of_card)?;
            if open_of_card.contains(&Open::Grey) {
                card.resolve(&mut book, of_card, &mut fates)?;
            }
            if card.is_changed {
                judgement.cards.push((asn, book));
            }
            judgement.fates.extend(fates);
        }
        psams.retain(|terminal, _| changed_psams.contains(terminal));
        judgement.psams = psams.into_iter().collect();
        judgement.cases = cases;
        Ok(judgement)
    }
}
