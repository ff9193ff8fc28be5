//! One card's way, gaps, differences, and what is not charged.

use super::records::{RecordRow, record, waiting_of_card};
use crate::book::{CardBook, Gap};
use crate::purchase::RecordId;
use crate::store::books::{GAP, card_book, gap_at, records_of_card};
use crate::store::verdicts::{self, Verdict};
use crate::verdict::{Cause, State};
use ykt_base::{Asn8, CardCounter, Date, Fen};
use ykt_office::cards;
use ykt_store::{Page, Paging, StoreError, Tx, params};

/// One card as clearing knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardHistory {
    /// Its book; `None` when no purchase of it was ever accepted.
    pub book: Option<CardBook>,
    /// Its records with their verdicts, newest purchase first.
    pub records: Vec<RecordRow>,
}

/// One card's records, those of days that are not judged yet included.
///
/// # Errors
/// [`StoreError`].
pub fn card_history(tx: &Tx<'_>, asn: &Asn8) -> Result<CardHistory, StoreError> {
    let mut found = Vec::new();
    for id in records_of_card(tx, asn)?.into_iter().chain(waiting_of_card(tx, asn)?) {
        found.extend(record(tx, id)?);
    }
    let key = |row: &RecordRow| row.purchase.map(|p| (p.at, p.counter, p.id));
    found.sort_by_key(|row| std::cmp::Reverse(key(row)));
    Ok(CardHistory { book: card_book(tx, asn)?, records: found })
}

/// An open gap of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapRow {
    /// The card.
    pub asn: Asn8,
    /// The gap.
    pub gap: Gap,
}

/// Totals of gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GapTotals {
    /// Gaps.
    pub gaps: u32,
    /// Counters missing in them.
    pub counters: u32,
    /// What the missing purchases must sum to.
    pub lost: Fen,
}

/// Open gaps of one card or all, oldest first.
///
/// # Errors
/// [`StoreError`].
pub fn gaps(tx: &Tx<'_>, asn: Option<&Asn8>, paging: Paging) -> Result<Page<GapRow, GapTotals>, StoreError> {
    let totals = tx.query_one(
        "SELECT COUNT(*), COALESCE(SUM(last - first + 1), 0), COALESCE(SUM(lost), 0) FROM clearing_gap \
         WHERE ($1 IS NULL OR asn = $1)",
        params![asn],
        |row| Ok(GapTotals { gaps: row.get(0)?, counters: row.get(1)?, lost: row.get(2)? }),
    )?;
    let rows = tx.query(
        &format!(
            "SELECT {GAP}, g.asn FROM clearing_gap g WHERE ($1 IS NULL OR g.asn = $1) \
             ORDER BY g.opened, g.asn, g.first LIMIT {} OFFSET {}",
            paging.rows(),
            paging.offset()
        ),
        params![asn],
        |row| Ok(GapRow { gap: gap_at(row)?, asn: row.get(8)? }),
    )?;
    Ok(Page { rows, totals: totals.unwrap_or_default(), paging })
}

/// A balance that did not follow (V15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DifferenceRow {
    /// The record that shows it.
    pub record: RecordId,
    /// Clearing day it was seen on.
    pub day: Date,
    /// The card.
    pub asn: Asn8,
    /// Balance that should be there.
    pub expected: Fen,
    /// Balance the record states.
    pub found: Fen,
}

/// Balances that did not follow, newest first, with their number.
///
/// # Errors
/// [`StoreError`].
pub fn differences(tx: &Tx<'_>, paging: Paging) -> Result<Page<DifferenceRow, u32>, StoreError> {
    let count = tx.query_one("SELECT COUNT(*) FROM clearing_difference", &[], |row| row.get(0))?;
    let rows = tx.query(
        &format!(
            "SELECT record, day, asn, expected, found FROM clearing_difference \
             ORDER BY day DESC, record LIMIT {} OFFSET {}",
            paging.rows(),
            paging.offset()
        ),
        &[],
        |row| {
            Ok(DifferenceRow {
                record: RecordId::from_number(row.get(0)?),
                day: row.get(1)?,
                asn: row.get(2)?,
                expected: row.get(3)?,
                found: row.get(4)?,
            })
        },
    )?;
    Ok(Page { rows, totals: count.unwrap_or(0), paging })
}

/// A debit that came to us and was not charged to the purse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unaccepted {
    /// The card.
    pub asn: Asn8,
    /// Its offline counter.
    pub counter: CardCounter,
    /// Amount of the record.
    pub amount: Fen,
    /// Why it was not charged.
    pub cause: Cause,
    /// What became of it: parked, refused, test, or borne by the operator.
    pub state: State,
    /// The record.
    pub record: RecordId,
}

/// Every debit of a registered card that came in a judged day and was not charged to the purse, once per card
/// and counter: what a proof of the purses adds to the balances read from the cards. Left out are counters that
/// an accepted record covers, void grey records, and cards we do not know. Whether a grey record that is still
/// parked debited its card only the card knows.
///
/// # Errors
/// [`StoreError`].
pub fn unaccepted(tx: &Tx<'_>) -> Result<Vec<Unaccepted>, StoreError> {
    let mut found: Vec<Unaccepted> = Vec::new();
    let mut card: Option<(Asn8, Option<CardBook>)> = None;
    let all = verdicts::not_charged(tx)?;
    for same in all.chunk_by(|a, b| (a.asn, a.counter) == (b.asn, b.counter)) {
        let rank = |verdict: &&Verdict| match verdict.state {
            State::OperatorBears => 0,
            State::Parked => 1,
            State::Refused | State::Test => 2,
            State::Accepted | State::Void => 3,
        };
        let Some(verdict) = same.iter().min_by_key(rank).filter(|verdict| rank(verdict) < 3) else {
            continue;
        };
        let (Some(asn), Some(counter)) = (verdict.asn, verdict.counter) else { continue };
        if card.as_ref().is_none_or(|(known, _)| *known != asn) {
            let book = match cards::card(tx, &asn)? {
                Some(_) => Some(card_book(tx, &asn)?.unwrap_or_default()),
                None => None,
            };
            card = Some((asn, book));
        }
        let Some((_, Some(book))) = &card else { continue };
        if verdict.state == State::OperatorBears || !book.covers(counter) {
            let Verdict { amount, cause, state, record, .. } = *verdict;
            found.push(Unaccepted { asn, counter, amount, cause, state, record });
        }
    }
    Ok(found)
}
