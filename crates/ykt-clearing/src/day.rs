//! The close of a clearing day: judge, book, answer, send, close the ledger's day (`clearing.md` 7).
//!
//! A day is a small state machine in the tables; each step commits its effect together with the next phase. A
//! step that was cut anywhere is done again from its beginning and gives the same: judging reads only what does
//! not change while the day is being closed, booking is one transaction, and answers and transfer files are
//! made from the booked rows and put in place of their like.

use crate::answers;
use crate::bill::{BillError, Tally};
use crate::chain;
use crate::clearing::Clearing;
use crate::folders::FolderError;
use crate::judge::{Case, Fate, JudgeError, Judgement, Rules, judge};
use crate::loads::LoadJournal;
use crate::payout;
use crate::purchase::RecordId;
use crate::store::books::StoredPast;
use crate::store::verdicts::Verdict;
use crate::store::{bills, books, files, records, verdicts};
use crate::verdict::{Cause, State};
use std::collections::{BTreeMap, BTreeSet};
use ykt_base::{Asn8, Date, DateTime, MerchantCode};
use ykt_files::{FileError, Sum, XmlError};
use ykt_ledger::PostError;
use ykt_office::Registers;
use ykt_store::{StoreError, Tx};
use ykt_vault::{Vault, VaultError};

ykt_store::coded! {
    /// How far the close of a day has come.
    Phase {
        /// Files are received.
        Open = 0, "open";
        /// No more files; records are judged.
        Judging = 1, "being judged";
        /// Verdicts, books, bills and entries are kept.
        Booked = 2, "booked";
        /// The partners have their answers.
        Answered = 3, "answered";
        /// The bank has its transfer file.
        Sent = 4, "sent to the bank";
        /// The ledger's day is closed.
        Closed = 5, "closed";
    }
}

/// A step of a close, told while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Records are read; the count so far.
    Read(u64),
    /// TACs are checked; the count so far.
    TacsChecked(u64),
    /// Every record has its fate.
    Judged,
    /// Inside the booking transaction: a part of it is written.
    Written(&'static str),
    /// A phase is done, on the disk.
    Done(Phase),
    /// A merchant has its answers.
    Answered(MerchantCode),
}

/// A day that is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayClosed {
    /// The day.
    pub day: Date,
    /// Its bills, by merchant.
    pub bills: Vec<crate::bill::Bill>,
    /// Name of its transfer file; `None` when there was nothing to pay.
    pub transfer: Option<String>,
}

/// A day could not be closed; run the close again when the cause is mended, it goes on where it stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// Days close in order.
    #[error("clearing day {earlier} has files and is not closed: close it before {day}")]
    EarlierOpen {
        /// The day asked for.
        day: Date,
        /// The oldest open day.
        earlier: Date,
    },
    /// A later day was begun.
    #[error("clearing day {later} was begun already: {day} can have no close of its own any more")]
    LaterBegun {
        /// The day asked for.
        day: Date,
        /// The later day.
        later: Date,
    },
    /// There is no day after this one.
    #[error("no day follows {day} in the calendar")]
    Calendar {
        /// The day.
        day: Date,
    },
    /// A bill.
    #[error(transparent)]
    Bill(#[from] BillError),
    /// The ledger refused an entry.
    #[error(transparent)]
    Post(#[from] PostError),
    /// The ledger refused to close the day.
    #[error(transparent)]
    Ledger(#[from] ykt_ledger::CloseError),
    /// An answer does not fit its layout.
    #[error("answer to {merchant}: {error}")]
    Answer {
        /// Merchant.
        merchant: MerchantCode,
        /// What does not fit.
        error: FileError,
    },
    /// The transfer file cannot be written.
    #[error("transfer file: {0}")]
    Transfer(#[from] XmlError),
    /// The folders failed.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault did not judge the TACs; the day stays as it is, and the close can be repeated.
    #[error("checking TACs: {0}")]
    Vault(#[from] VaultError),
}

impl From<JudgeError> for CloseError {
    fn from(error: JudgeError) -> CloseError {
        match error {
            JudgeError::Store(error) => CloseError::Store(error),
            JudgeError::Vault(error) => CloseError::Vault(error),
        }
    }
}

/// Whom a close asks, and whom it tells.
pub struct Closing<'a> {
    /// Checks the TACs.
    pub vault: &'a dyn Vault,
    /// Our own loads.
    pub loads: &'a dyn LoadJournal,
    /// Hears of each step.
    pub watch: &'a mut dyn FnMut(Step),
}

impl Clearing {
    /// Closes clearing day `day` at `at`, or goes on with a close that was cut. A closed day is answered as it
    /// was closed.
    ///
    /// # Errors
    /// [`CloseError`].
    pub fn close_day(
        &self,
        day: Date,
        at: DateTime,
        closing: &mut Closing<'_>,
    ) -> Result<DayClosed, CloseError> {
        loop {
            match self.store().read(|tx| files::phase(tx, day))? {
                Phase::Open => self.begin(day, at)?,
                Phase::Judging => self.judge_and_book(day, at, closing)?,
                Phase::Booked => self.answer(day, closing)?,
                Phase::Answered => self.send(day)?,
                Phase::Sent => self.end(day, at)?,
                Phase::Closed => return self.closed(day),
            }
            let phase = self.store().read(|tx| files::phase(tx, day))?;
            (closing.watch)(Step::Done(phase));
        }
    }

    fn closed(&self, day: Date) -> Result<DayClosed, CloseError> {
        self.store().read(|tx| {
            let transfer = bills::transfer_of_day(tx, day)?.map(|transfer| transfer.name);
            Ok(DayClosed { day, bills: bills::of_day(tx, day)?, transfer })
        })
    }

    fn begin(&self, day: Date, at: DateTime) -> Result<(), CloseError> {
        self.store().write(|tx| {
            if files::phase(tx, day)? != Phase::Open {
                return Ok(());
            }
            if let Some(earlier) = files::open_before(tx, day)? {
                return Err(CloseError::EarlierOpen { day, earlier });
            }
            if let Some(later) = files::last_begun(tx)?.filter(|later| day < *later) {
                return Err(CloseError::LaterBegun { day, later });
            }
            Ok(files::begin_day(tx, day, at)?)
        })
    }

    fn judge_and_book(&self, day: Date, at: DateTime, closing: &mut Closing<'_>) -> Result<(), CloseError> {
        let (registers, judgement) = self.store().read(|tx| -> Result<_, JudgeError> {
            let registers = Registers::load(tx)?;
            let rules = Rules { day, registers: &registers, policy: self.policy() };
            let mut past = StoredPast::new(tx, closing.loads);
            let cases = cases_of(tx, day, closing.watch)?;
            let mut checked = 0u64;
            let judgement = judge(rules, cases, &mut past, &mut |jobs| {
                let answers = closing.vault.verify_tacs(jobs)?;
                checked = checked.saturating_add(u64::try_from(jobs.len()).unwrap_or(u64::MAX));
                (closing.watch)(Step::TacsChecked(checked));
                Ok(answers)
            })?;
            Ok((registers, judgement))
        })?;
        (closing.watch)(Step::Judged);
        self.store().write(|tx| {
            if files::phase(tx, day)? != Phase::Judging {
                return Ok(());
            }
            let booking =
                Booking { tx, clearing: self, registers: &registers, judgement: &judgement, day, at };
            booking.write(closing.watch)?;
            Ok(files::set_phase(tx, day, Phase::Booked)?)
        })
    }

    fn answer(&self, day: Date, closing: &mut Closing<'_>) -> Result<(), CloseError> {
        let bills = self.store().read(|tx| bills::of_day(tx, day))?;
        for bill in &bills {
            let answers = self.store().read(|tx| answers::of_bill(tx, bill, self.policy()))?;
            for (name, bytes) in answers {
                self.folders().deliver(&bill.merchant, &name.to_string(), &bytes)?;
            }
            (closing.watch)(Step::Answered(bill.merchant));
        }
        Ok(self.store().write(|tx| files::set_phase(tx, day, Phase::Answered))?)
    }

    fn send(&self, day: Date) -> Result<(), CloseError> {
        let file = self.store().read(|tx| -> Result<_, StoreError> {
            let Some(row) = bills::transfer_of_day(tx, day)? else { return Ok(None) };
            let file = payout::file_of(tx, &row)?;
            Ok(Some((row.name, file)))
        })?;
        if let Some((name, file)) = file {
            self.folders().send_to_bank(&name, file.to_xml()?.as_bytes())?;
        }
        Ok(self.store().write(|tx| files::set_phase(tx, day, Phase::Sent))?)
    }

    fn end(&self, day: Date, at: DateTime) -> Result<(), CloseError> {
        self.store().write(|tx| {
            ykt_ledger::close_day(tx, day, at)?;
            Ok(files::end_day(tx, day, at)?)
        })
    }
}

/// The records of the day's files, and the parked ones that may be decided now.
fn cases_of(tx: &Tx<'_>, day: Date, watch: &mut dyn FnMut(Step)) -> Result<Vec<Case>, StoreError> {
    let mut cases = Vec::new();
    for file in files::accepted_of_day(tx, day)? {
        cases.reserve(usize::try_from(file.records).unwrap_or(0));
        records::of_file(tx, file.id, file.merchant, |purchase| cases.push(Case { purchase, parked: None }))?;
        watch(Step::Read(u64::try_from(cases.len()).unwrap_or(u64::MAX)));
    }
    cases.extend(verdicts::parked_cases(tx)?.into_iter().filter(Case::is_judged));
    Ok(cases)
}

/// The one transaction that keeps a day's judgement.
struct Booking<'a> {
    tx: &'a Tx<'a>,
    clearing: &'a Clearing,
    registers: &'a Registers,
    judgement: &'a Judgement,
    day: Date,
    at: DateTime,
}

impl Booking<'_> {
    fn write(&self, watch: &mut dyn FnMut(Step)) -> Result<(), CloseError> {
        let mut tallies = self.tallies()?;
        self.write_verdicts(&mut tallies)?;
        watch(Step::Written("verdicts"));
        books::save_card_books(self.tx, &self.judgement.cards)?;
        watch(Step::Written("card books"));
        books::save_psam_books(self.tx, &self.judgement.psams)?;
        self.write_card_days()?;
        watch(Step::Written("ways of cards"));
        self.write_differences()?;
        bills::insert_hours(self.tx, self.day, &self.hours())?;
        self.write_bills(&tallies)?;
        watch(Step::Written("bills and entries"));
        payout::make_transfer(self.tx, self.day, self.registers, self.clearing.policy())?;
        watch(Step::Written("transfer"));
        Ok(())
    }

    fn overflow(&self, merchant: MerchantCode) -> CloseError {
        CloseError::Bill(BillError::Overflow { merchant, day: self.day })
    }

    /// A tally for every merchant that sent a file or whose earlier record was settled.
    fn tallies(&self) -> Result<BTreeMap<MerchantCode, Tally>, CloseError> {
        let mut tallies: BTreeMap<MerchantCode, Tally> = BTreeMap::new();
        for file in files::accepted_of_day(self.tx, self.day)? {
            tallies.entry(file.merchant).or_default();
        }
        for (case, fate) in self.judgement.iter() {
            if case.parked.is_some() && matches!(fate, Fate::Otherwise(State::Parked, _)) {
                continue;
            }
            let tally = tallies.entry(case.purchase.merchant).or_default();
            *tally = tally.with(case, fate).ok_or_else(|| self.overflow(case.purchase.merchant))?;
        }
        Ok(tallies)
    }

    fn write_verdicts(&self, tallies: &mut BTreeMap<MerchantCode, Tally>) -> Result<(), CloseError> {
        let old: BTreeMap<RecordId, Verdict> =
            verdicts::parked(self.tx)?.into_iter().map(|verdict| (verdict.record, verdict)).collect();
        let mut changed: Vec<Verdict> = Vec::new();
        let mut settled: BTreeSet<RecordId> = BTreeSet::new();
        for (case, fate) in self.judgement.iter() {
            let (state, cause) = match fate {
                Fate::Accepted => continue,
                Fate::Proven(cause) => (State::Accepted, cause),
                Fate::Otherwise(state, cause) => (state, cause),
            };
            let purchase = &case.purchase;
            let settled_day = (state != State::Parked).then_some(self.day);
            if settled_day.is_some() {
                settled.insert(purchase.id);
            }
            let before = old.get(&purchase.id);
            changed.push(Verdict {
                record: purchase.id,
                day: before.map_or(self.day, |verdict| verdict.day),
                merchant: purchase.merchant,
                asn: Some(purchase.asn),
                counter: Some(purchase.counter),
                amount: purchase.amount,
                state,
                cause,
                first_cause: before.map_or(cause, |verdict| verdict.first_cause),
                settled_day,
            });
        }
        changed.extend(self.illegal(tallies)?);
        changed.extend(self.expired(old.into_values().filter(|v| !settled.contains(&v.record)), tallies)?);
        Ok(verdicts::save(self.tx, &changed)?)
    }

    /// V01: lines that are no records.
    fn illegal(&self, tallies: &mut BTreeMap<MerchantCode, Tally>) -> Result<Vec<Verdict>, CloseError> {
        let mut found = Vec::new();
        for file in files::accepted_of_day(self.tx, self.day)? {
            for (record, line) in records::illegal_of_file(self.tx, file.id)? {
                let amount = line.amount().unwrap_or_default();
                let tally = tallies.entry(file.merchant).or_default();
                tally.refused = tally.refused.plus(amount).ok_or_else(|| self.overflow(file.merchant))?;
                found.push(Verdict {
                    record,
                    day: self.day,
                    merchant: file.merchant,
                    asn: line.asn(),
                    counter: line.counter(),
                    amount,
                    state: State::Refused,
                    cause: Cause::Illegal,
                    first_cause: Cause::Illegal,
                    settled_day: Some(self.day),
                });
            }
        }
        Ok(found)
    }

    /// Parked records that have waited as long as the policy says. Time refuses no genuine record for a grey one.
    fn expired(
        &self,
        parked: impl Iterator<Item = Verdict>,
        tallies: &mut BTreeMap<MerchantCode, Tally>,
    ) -> Result<Vec<Verdict>, CloseError> {
        let days_max = i64::from(self.clearing.policy().parked_days_max);
        let mut expired = Vec::new();
        let is_over = |verdict: &Verdict| {
            verdict.cause != Cause::GreyBooked && self.day.days_since(verdict.day) > days_max
        };
        for verdict in parked.filter(is_over) {
            let tally = tallies.entry(verdict.merchant).or_default();
            let sum = tally.adjustment_refused.plus(verdict.amount);
            tally.adjustment_refused = sum.ok_or_else(|| self.overflow(verdict.merchant))?;
            expired.push(Verdict { state: State::Refused, settled_day: Some(self.day), ..verdict });
        }
        Ok(expired)
    }

    fn write_card_days(&self) -> Result<(), CloseError> {
        let mut ids: Vec<RecordId> = Vec::new();
        let mut of_card: Option<Asn8> = None;
        let put = |asn: Option<Asn8>, ids: &[RecordId]| match asn {
            Some(asn) if !ids.is_empty() => {
                books::save_card_days(self.tx, self.day, std::iter::once((&asn, ids)))
            }
            _ => Ok(()),
        };
        for (case, _) in self.judgement.iter().filter(|(case, _)| case.parked.is_none()) {
            if of_card != Some(case.purchase.asn) {
                put(of_card, &ids)?;
                ids.clear();
                of_card = Some(case.purchase.asn);
            }
            ids.push(case.purchase.id);
        }
        Ok(put(of_card, &ids)?)
    }

    fn write_differences(&self) -> Result<(), CloseError> {
        Ok(books::save_differences(self.tx, self.day, &self.judgement.differences)?)
    }

    fn hours(&self) -> BTreeMap<(MerchantCode, u8), Sum> {
        let mut hours: BTreeMap<(MerchantCode, u8), Sum> = BTreeMap::new();
        for (case, _) in self.judgement.iter().filter(|(_, fate)| fate.is_paid()) {
            let sum = hours.entry((case.purchase.merchant, case.purchase.at.time.hour())).or_default();
            // The tally of the merchant was checked for overflow and is never less.
            *sum = sum.plus(case.purchase.amount).unwrap_or(*sum);
        }
        hours
    }

    fn write_bills(&self, tallies: &BTreeMap<MerchantCode, Tally>) -> Result<(), CloseError> {
        let mut entries = Vec::new();
        for (merchant, tally) in tallies {
            let contract = chain::settling_contract(self.registers, merchant, self.day);
            let ppm = contract.map_or(0, |contract| contract.commission_ppm);
            let industry = self.registers.merchant(merchant).map_or(0, |row| row.merchant.industry);
            let bill = tally.bill(self.day, *merchant, industry, ppm)?;
            entries.extend(tally.entries(&bill, self.at)?);
            bills::insert_bill(self.tx, &bill)?;
        }
        ykt_ledger::post(self.tx, &entries)?;
        Ok(())
    }
}
