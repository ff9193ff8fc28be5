//! Records: by day, merchant, card, terminal, verdict, amount, or bill.

use crate::day::Phase;
use crate::purchase::{FileId, Purchase, RecordId};
use crate::receive::FileState;
use crate::store::books::records_of_card;
use crate::store::files as file_rows;
use crate::store::records::{self as record_rows, purchase_at};
use crate::store::verdicts::{Verdict, verdict_at};
use crate::verdict::{Cause, State};
use ykt_base::{Asn8, Date, Fen, MerchantCode, PosNo, TerminalId};
use ykt_files::{RawXf, Sum};
use ykt_store::{Direction, Filter, Page, Paging, Row, StoreError, Tx, Value, params};

/// What a record is, all told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its day is not judged yet.
    Waiting,
    /// Accepted on the day it came, like most.
    Accepted,
    /// It has a verdict of its own.
    Verdict(State),
}

/// A record with where it came from and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// Number.
    pub id: RecordId,
    /// Name of its file.
    pub file: String,
    /// Merchant that sent it.
    pub merchant: MerchantCode,
    /// Clearing day it came for.
    pub day: Date,
    /// The purchase; `None` for a line that is no record (V01).
    pub purchase: Option<Purchase>,
    /// Amount; nothing when it cannot be read.
    pub amount: Fen,
    /// What it is.
    pub standing: Standing,
    /// Its verdict, when it has one of its own.
    pub verdict: Option<Verdict>,
}

/// By what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerdictFilter {
    /// Accepted on the day they came, without a verdict of their own.
    Plain,
    /// With a verdict of this state.
    State(State),
    /// With a verdict of this cause, lines that are no records (V01) among them.
    Cause(Cause),
    /// Not confirmed on the day they came: what the QS line counts as refused.
    RefusedOnArrival,
    /// Confirmed on the day they came, those the operator bears included: what the QS line counts as confirmed.
    ConfirmedOnArrival,
    /// Accepted on a later day: what the QS line of that day counts as adjusted.
    Adjusted,
    /// Refused for good on a later day: what the QS line of that day counts as adjustment refused.
    AdjustmentRefused,
}

/// What a list of records can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordSort {
    /// Number: as they came.
    #[default]
    Number,
    /// When the purchase was.
    At,
    /// Amount.
    Amount,
}

/// Which records are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordFilter {
    /// Clearing day they came for.
    pub day: Option<Date>,
    /// Clearing day they were settled on: with [`State::Accepted`] and a merchant, the adjusted ones of a bill.
    pub settled_day: Option<Date>,
    /// Clearing day of the bill that pays them, whenever they came.
    pub billed_day: Option<Date>,
    /// Merchant.
    pub merchant: Option<MerchantCode>,
    /// Card.
    pub asn: Option<Asn8>,
    /// POS.
    pub pos: Option<PosNo>,
    /// Terminal id of the PSAM.
    pub terminal: Option<TerminalId>,
    /// File they came in.
    pub file: Option<FileId>,
    /// Hour of the purchase, 0 to 23.
    pub hour: Option<u8>,
    /// What became of them.
    pub verdict: Option<VerdictFilter>,
    /// Why, beside what became of them.
    pub cause: Option<Cause>,
    /// Smallest amount.
    pub amount_min: Option<Fen>,
    /// Largest amount.
    pub amount_max: Option<Fen>,
}

/// Records in the order of `sort`, with count and sum of all that pass the filter. Lines that are no records are
/// found by their verdict only.
///
/// # Errors
/// [`StoreError`].
pub fn records(
    tx: &Tx<'_>,
    filter: &RecordFilter,
    sort: (RecordSort, Direction),
    paging: Paging,
) -> Result<Page<RecordRow, Sum>, StoreError> {
    let is_by_verdict = filter.settled_day.is_some()
        || filter.cause.is_some()
        || !matches!(filter.verdict, None | Some(VerdictFilter::Plain | VerdictFilter::ConfirmedOnArrival));
    let mut wanted = Filter::default();
    let (from, amount) = if is_by_verdict {
        wanted.when("v.day =", filter.day).when("v.merchant =", filter.merchant.as_ref());
        wanted.when("v.asn =", filter.asn.as_ref());
        (BY_VERDICT, "v.amount")
    } else {
        wanted.when("f.state =", Some(FileState::Accepted)).when("f.day =", filter.day);
        wanted.when("f.merchant =", filter.merchant.as_ref());
        (BY_FILE, "r.amount")
    };
    if let Some(asn) = filter.asn.filter(|_| !is_by_verdict) {
        // The card's way through the days is kept; to look for its records in all of them is not needed.
        let ids = records_of_card(tx, &asn)?.into_iter().chain(waiting_of_card(tx, &asn)?);
        // No record has the number 0; it keeps the list from being empty.
        let ids: Vec<String> = ids.map(|id| id.to_string()).chain(["0".to_owned()]).collect();
        wanted.when(&format!("r.id IN ({}) AND f.state =", ids.join(", ")), Some(FileState::Accepted));
    }
    wanted.when("v.settled_day =", filter.settled_day).when("v.cause =", filter.cause);
    wanted.when("f.id =", filter.file.map(|file| file.0)).when("r.at / 10000 % 100 =", filter.hour);
    wanted.when("r.pos =", filter.pos.as_ref()).when("r.terminal =", filter.terminal.as_ref());
    wanted.when(&format!("{amount} >="), filter.amount_min).when(&format!("{amount} <="), filter.amount_max);
    match filter.verdict {
        Some(VerdictFilter::Plain) => {
            wanted.when("v.record IS NULL AND d.phase >=", Some(Phase::Booked));
        }
        Some(VerdictFilter::State(state)) => drop(wanted.when("v.state =", Some(state))),
        Some(VerdictFilter::Cause(cause)) => drop(wanted.when("v.cause =", Some(cause))),
        Some(VerdictFilter::RefusedOnArrival) => {
            wanted.when(
                "(v.state NOT IN (4, 5) OR v.settled_day IS NULL OR v.settled_day <> v.day) AND d.phase >=",
                Some(Phase::Booked),
            );
        }
        Some(VerdictFilter::ConfirmedOnArrival) => {
            wanted.when(
                "(v.record IS NULL OR v.state IN (4, 5) AND v.settled_day = v.day) AND d.phase >=",
                Some(Phase::Booked),
            );
        }
        Some(VerdictFilter::Adjusted) => {
            wanted.when("v.state IN (4, 5) AND v.settled_day > v.day AND d.phase >=", Some(Phase::Booked));
        }
        Some(VerdictFilter::AdjustmentRefused) => {
            wanted.when(
                "v.state NOT IN (2, 4, 5) AND v.settled_day > v.day AND d.phase >=",
                Some(Phase::Booked),
            );
        }
        None => {}
    }
    if filter.billed_day.is_some() {
        wanted.when("COALESCE(v.state, 4) IN (4, 5) AND d.phase >=", Some(Phase::Booked));
        wanted.when("CASE WHEN v.record IS NULL THEN f.day ELSE v.settled_day END =", filter.billed_day);
        wanted.when_between(OF_FILES_BILLED, filter.billed_day, ")");
    }
    let totals = tx.query_one(
        &wanted.sql(&format!("SELECT COUNT(*), COALESCE(SUM({amount}), 0) {from}"), ""),
        wanted.values(),
        |row| Ok(Sum { count: row.get(0)?, amount: row.get(1)? }),
    )?;
    let key = if is_by_verdict { "v.record" } else { "r.id" };
    let column = match sort.0 {
        RecordSort::Number => key,
        RecordSort::At => "r.at",
        RecordSort::Amount => amount,
    };
    let rows = tx.query(
        &wanted.page_sql(&format!("{ROW} {from}"), (column, sort.1), key, paging),
        wanted.values(),
        record_row,
    )?;
    Ok(Page { rows, totals: totals.unwrap_or_default(), paging })
}

/// Files that came on a day or of which a record was settled on it: so that not every record is looked at.
const OF_FILES_BILLED: &str = "f.id IN (SELECT b.id FROM (SELECT id, day FROM clearing_file \
     UNION ALL SELECT record / 100000000, settled_day FROM clearing_verdict) b WHERE b.day =";
const BY_VERDICT: &str = "FROM clearing_verdict v JOIN clearing_file f ON f.id = v.record / 100000000 \
     LEFT JOIN clearing_record r ON r.id = v.record LEFT JOIN clearing_day d ON d.day = f.day";
/// Files and records find each other from either side: records lie together by file, and name their file.
const BY_FILE: &str = "FROM clearing_file f \
     JOIN clearing_record r ON r.id BETWEEN f.id * 100000000 AND f.id * 100000000 + 99999999 \
     AND f.id = r.id / 100000000 \
     LEFT JOIN clearing_verdict v ON v.record = r.id LEFT JOIN clearing_day d ON d.day = f.day";
const ROW: &str = "SELECT v.record, v.day, v.merchant, v.asn, v.counter, v.amount, v.state, v.cause, v.first_cause, \
     v.settled_day, f.name, f.merchant, f.day, d.phase, r.id, r.pos, r.asn, r.counter, r.sequence, \
     r.balance_before, r.amount, r.purchase, r.terminal, r.tac, r.grey, r.at";

fn record_row(row: &Row<'_>) -> Result<RecordRow, StoreError> {
    let verdict = match row.value(0)? {
        Value::Null => None,
        _ => Some(verdict_at(row)?),
    };
    let merchant = row.get(11)?;
    let purchase = match row.value(14)? {
        Value::Null => None,
        _ => Some(purchase_at(row, 14, merchant)?),
    };
    let phase = row.get::<Option<Phase>>(13)?.unwrap_or(Phase::Open);
    let id = verdict.map(|verdict| verdict.record).or(purchase.map(|purchase| purchase.id));
    Ok(RecordRow {
        id: id.unwrap_or(RecordId::from_number(0)),
        file: row.get(10)?,
        merchant,
        day: row.get(12)?,
        purchase,
        amount: purchase.map(|p| p.amount).or(verdict.map(|v| v.amount)).unwrap_or_default(),
        standing: match verdict {
            Some(verdict) => Standing::Verdict(verdict.state),
            None if phase < Phase::Booked => Standing::Waiting,
            None => Standing::Accepted,
        },
        verdict,
    })
}

/// One record, legal or not; `None` when there is none of that number.
///
/// # Errors
/// [`StoreError`].
pub fn record(tx: &Tx<'_>, id: RecordId) -> Result<Option<RecordRow>, StoreError> {
    let found =
        tx.query_one(&format!("{ROW} {BY_FILE} WHERE r.id = $1"), params![id.number()], record_row)?;
    match found {
        Some(row) => Ok(Some(row)),
        None => {
            tx.query_one(&format!("{ROW} {BY_VERDICT} WHERE v.record = $1"), params![id.number()], record_row)
        }
    }
}

/// The line of a record as it came.
///
/// # Errors
/// [`StoreError`].
pub fn line(tx: &Tx<'_>, id: RecordId) -> Result<Option<RawXf>, StoreError> {
    crate::store::records::line(tx, id)
}

/// Records of a card in days that are not judged yet: the only ones that must be looked for.
pub fn waiting_of_card(tx: &Tx<'_>, asn: &Asn8) -> Result<Vec<RecordId>, StoreError> {
    let mut waiting = Vec::new();
    for file in file_rows::accepted_unjudged(tx)? {
        waiting.extend(record_rows::of_card_in_file(tx, asn, file)?);
    }
    Ok(waiting)
}
