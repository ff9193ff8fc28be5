//! Verdicts of records that are not simply accepted.

use crate::judge::Case;
use crate::purchase::RecordId;
use crate::store::records::{PURCHASE, purchase_at};
use crate::verdict::{Cause, State};
use ykt_base::{Asn8, CardCounter, Date, Fen, MerchantCode};
use ykt_store::{Row, StoreError, Tx, params};

/// A record that is not simply accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The record.
    pub record: RecordId,
    /// Clearing day it arrived on.
    pub day: Date,
    /// Merchant that sent it.
    pub merchant: MerchantCode,
    /// Card; `None` when it could not be read.
    pub asn: Option<Asn8>,
    /// Counter; `None` when it could not be read.
    pub counter: Option<CardCounter>,
    /// Amount; nothing when it could not be read.
    pub amount: Fen,
    /// What became of it.
    pub state: State,
    /// Why, now.
    pub cause: Cause,
    /// Why, on the day it arrived.
    pub first_cause: Cause,
    /// Clearing day it left the parked state on; `None` while it is parked.
    pub settled_day: Option<Date>,
}

/// The columns of a verdict, of table `v`, in the order of [`verdict_at`].
pub const VERDICT: &str =
    "v.record, v.day, v.merchant, v.asn, v.counter, v.amount, v.state, v.cause, v.first_cause, v.settled_day";

pub fn verdict_at(row: &Row<'_>) -> Result<Verdict, StoreError> {
    Ok(Verdict {
        record: RecordId::from_number(row.get(0)?),
        day: row.get(1)?,
        merchant: row.get(2)?,
        asn: row.get(3)?,
        counter: row.get(4)?,
        amount: row.get(5)?,
        state: row.get(6)?,
        cause: row.get(7)?,
        first_cause: row.get(8)?,
        settled_day: row.get(9)?,
    })
}

/// Puts verdicts down; one that stands already gets its new state, cause and day.
pub fn save<'v>(tx: &Tx<'_>, verdicts: impl IntoIterator<Item = &'v Verdict>) -> Result<(), StoreError> {
    let rows = verdicts.into_iter().map(|v| {
        [
            v.record.number().into(),
            v.day.into(),
            (&v.merchant).into(),
            v.asn.as_ref().into(),
            v.counter.into(),
            v.amount.into(),
            v.state.into(),
            v.cause.into(),
            v.first_cause.into(),
            v.settled_day.into(),
        ]
    });
    tx.execute_many(
        "INSERT INTO clearing_verdict \
         (record, day, merchant, asn, counter, amount, state, cause, first_cause, settled_day) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (record) \
         DO UPDATE SET state = excluded.state, cause = excluded.cause, settled_day = excluded.settled_day",
        rows,
    )
    .map(drop)
}

/// The verdict of a record, or `None` when it has none.
pub fn of_record(tx: &Tx<'_>, record: RecordId) -> Result<Option<Verdict>, StoreError> {
    tx.query_one(
        &format!("SELECT {VERDICT} FROM clearing_verdict v WHERE v.record = $1"),
        params![record.number()],
        verdict_at,
    )
}

/// Every parked record, oldest first.
pub fn parked(tx: &Tx<'_>) -> Result<Vec<Verdict>, StoreError> {
    tx.query(
        &format!("SELECT {VERDICT} FROM clearing_verdict v WHERE v.state = $1 ORDER BY v.record"),
        params![State::Parked],
        verdict_at,
    )
}

/// Parked records whose purchase can be read, as cases.
pub fn parked_cases(tx: &Tx<'_>) -> Result<Vec<Case>, StoreError> {
    tx.query(
        &format!(
            "SELECT v.cause, v.merchant, {PURCHASE} FROM clearing_verdict v \
             JOIN clearing_record r ON r.id = v.record WHERE v.state = $1 ORDER BY v.record"
        ),
        params![State::Parked],
        |row| Ok(Case { parked: Some(row.get(0)?), purchase: purchase_at(row, 2, row.get(1)?)? }),
    )
}

/// Verdicts of records that arrived on `day`, of one merchant or all, by record.
pub fn of_day(tx: &Tx<'_>, day: Date, merchant: Option<&MerchantCode>) -> Result<Vec<Verdict>, StoreError> {
    tx.query(
        &format!(
            "SELECT {VERDICT} FROM clearing_verdict v \
             WHERE v.day = $1 AND ($2 IS NULL OR v.merchant = $2) ORDER BY v.record"
        ),
        params![day, merchant],
        verdict_at,
    )
}

/// Verdicts of earlier records that were settled on `day`, by record.
pub fn settled_later(
    tx: &Tx<'_>,
    day: Date,
    merchant: Option<&MerchantCode>,
) -> Result<Vec<Verdict>, StoreError> {
    tx.query(
        &format!(
            "SELECT {VERDICT} FROM clearing_verdict v \
             WHERE v.settled_day = $1 AND v.day < $1 AND ($2 IS NULL OR v.merchant = $2) ORDER BY v.record"
        ),
        params![day, merchant],
        verdict_at,
    )
}

/// Every record that is refused, parked, of a test card, void or borne by the operator, by card and counter.
pub fn not_charged(tx: &Tx<'_>) -> Result<Vec<Verdict>, StoreError> {
    tx.query(
        &format!(
            "SELECT {VERDICT} FROM clearing_verdict v WHERE v.state <> $1 AND v.asn IS NOT NULL \
             ORDER BY v.asn, v.counter, v.record"
        ),
        params![State::Accepted],
        verdict_at,
    )
}
