//! Reading the books for people: balances as of any time, the trial balance, entries with filters and pages.

use super::{leg_no, legs_per_entry};
use crate::chart::{self, AccountCode, Subject};
use crate::entry::{Entry, EntryId, Leg};
use std::collections::BTreeMap;
use ykt_base::{Date, DateTime, Fen};
use ykt_crypto::chain::Hash32;
use ykt_store::{Direction, Filter, Page, Paging, Row, StoreError, Tx, Value, params};

/// The balance of an account now: debits less credits; zero when nothing was ever posted to it.
///
/// # Errors
/// [`StoreError`].
pub fn balance(tx: &Tx<'_>, account: &AccountCode) -> Result<Fen, StoreError> {
    one_sum(tx, "SELECT debit - credit FROM ledger_account WHERE code = $1", params![account.as_str()])
}

/// The balance of an account at the end of a day of the books.
///
/// # Errors
/// [`StoreError`].
pub fn balance_at(tx: &Tx<'_>, account: &AccountCode, day: Date) -> Result<Fen, StoreError> {
    one_sum(
        tx,
        "SELECT CAST(COALESCE(SUM(m.debit - m.credit), 0) AS BIGINT) FROM ledger_movement m
         WHERE m.account_no = (SELECT account_no FROM ledger_account WHERE code = $1) AND m.day <= $2",
        params![account.as_str(), day],
    )
}

/// The balance of an account by what had been booked at a moment, to the second inclusive, whatever the days
/// of the books. Sums the movement of the dates before and the legs of that date.
///
/// # Errors
/// [`StoreError`].
pub fn balance_at_moment(tx: &Tx<'_>, account: &AccountCode, at: DateTime) -> Result<Fen, StoreError> {
    one_sum(
        tx,
        "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM (
            SELECT m.debit - m.credit AS amount FROM ledger_movement m
            WHERE m.account_no = (SELECT account_no FROM ledger_account WHERE code = $1) AND m.booked_on < $2
            UNION ALL
            SELECT l.amount FROM ledger_leg l JOIN ledger_entry e ON e.seq = l.leg_no / $5
            WHERE l.account_no = (SELECT account_no FROM ledger_account WHERE code = $1)
              AND l.leg_no >= $5 * (SELECT MIN(first_seq) FROM ledger_movement m
                    WHERE m.account_no = l.account_no AND m.booked_on = $2)
              AND l.leg_no < $5 + $5 * (SELECT MAX(last_seq) FROM ledger_movement m
                    WHERE m.account_no = l.account_no AND m.booked_on = $2)
              AND e.booked_at >= $3 AND e.booked_at <= $4) AS parts",
        params![account.as_str(), at.date, DateTime::start_of(at.date), at, legs_per_entry()],
    )
}

/// The balance of a subject with all its accounts, now or at the end of a day of the books.
///
/// # Errors
/// [`StoreError`].
pub fn subject_balance(tx: &Tx<'_>, subject: &Subject, day: Option<Date>) -> Result<Fen, StoreError> {
    match day {
        None => one_sum(
            tx,
            "SELECT CAST(COALESCE(SUM(debit - credit), 0) AS BIGINT) FROM ledger_account WHERE subject = $1",
            params![subject.code],
        ),
        Some(day) => one_sum(
            tx,
            "SELECT CAST(COALESCE(SUM(m.debit - m.credit), 0) AS BIGINT)
             FROM ledger_account a JOIN ledger_movement m ON m.account_no = a.account_no
             WHERE a.subject = $1 AND m.day <= $2",
            params![subject.code, day],
        ),
    }
}

fn one_sum(tx: &Tx<'_>, sql: &str, params: &[Value<'_>]) -> Result<Fen, StoreError> {
    Ok(tx.query_one(sql, params, |row| row.get(0))?.unwrap_or(Fen::ZERO))
}

/// Opening balance, turnover and closing balance of a subject, with its accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialLine {
    /// The subject.
    pub subject: &'static Subject,
    /// Balance before.
    pub opening: Fen,
    /// Sum of debits, positive.
    pub debit: Fen,
    /// Sum of credits, positive.
    pub credit: Fen,
    /// Balance after: opening + debit − credit.
    pub balance: Fen,
    /// The same for each account of the subject, by code.
    pub accounts: Vec<AccountLine>,
}

/// Opening balance, turnover and closing balance of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountLine {
    /// The account.
    pub account: AccountCode,
    /// Balance before.
    pub opening: Fen,
    /// Sum of debits, positive.
    pub debit: Fen,
    /// Sum of credits, positive.
    pub credit: Fen,
    /// Balance after: opening + debit − credit.
    pub balance: Fen,
}

/// The trial balance (试算平衡表): of one day of the books, or of all time when `day` is `None`. Subjects by
/// code; those without an account are left out. Openings and balances each sum to zero, debits equal credits.
///
/// # Errors
/// [`StoreError`].
pub fn trial_balance(tx: &Tx<'_>, day: Option<Date>) -> Result<Vec<TrialLine>, StoreError> {
    let mut lines = BTreeMap::new();
    for (code, [opening, debit, credit, balance]) in trial_sums(tx, day, "subject")? {
        let subject = chart::subject(&code).ok_or(StoreError::Column {
            sql: "ledger_account".to_owned(),
            column: 0,
            expected: "a subject of the chart",
            found: code.clone(),
        })?;
        lines.insert(code, TrialLine { subject, opening, debit, credit, balance, accounts: Vec::new() });
    }
    for (code, [opening, debit, credit, balance]) in trial_sums(tx, day, "code")? {
        let account: AccountCode = code.parse().map_err(|error: chart::AccountError| StoreError::Column {
            sql: "ledger_account".to_owned(),
            column: 0,
            expected: "an account of the chart",
            found: error.to_string(),
        })?;
        if let Some(line) = lines.get_mut(account.subject().code) {
            line.accounts.push(AccountLine { account, opening, debit, credit, balance });
        }
    }
    Ok(lines.into_values().collect())
}

/// Opening, debit, credit and balance by subject or by code, sorted.
fn trial_sums(tx: &Tx<'_>, day: Option<Date>, key: &str) -> Result<BTreeMap<String, [Fen; 4]>, StoreError> {
    let read = |row: &Row<'_>| Ok((row.text(0)?, [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]));
    let sums = match day {
        None => tx.query(
            &format!(
                "SELECT {key}, 0, CAST(SUM(debit) AS BIGINT), CAST(SUM(credit) AS BIGINT),
                    CAST(SUM(debit - credit) AS BIGINT)
                 FROM ledger_account GROUP BY {key}"
            ),
            &[],
            read,
        )?,
        Some(day) => tx.query(
            &format!(
                "SELECT a.{key}, CAST(SUM(CASE WHEN m.day < $1 THEN m.debit - m.credit ELSE 0 END) AS BIGINT),
                    CAST(SUM(CASE WHEN m.day = $1 THEN m.debit ELSE 0 END) AS BIGINT),
                    CAST(SUM(CASE WHEN m.day = $1 THEN m.credit ELSE 0 END) AS BIGINT),
                    CAST(SUM(m.debit - m.credit) AS BIGINT)
                 FROM ledger_movement m JOIN ledger_account a ON a.account_no = m.account_no
                 WHERE m.day <= $1 GROUP BY a.{key}"
            ),
            params![day],
            read,
        )?,
    };
    Ok(sums.into_iter().collect())
}

/// Which entries are wanted: those that meet every condition given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryFilter {
    /// With a leg on this account.
    pub account: Option<AccountCode>,
    /// With a leg on an account of this subject.
    pub subject: Option<&'static Subject>,
    /// Of this event code.
    pub event: Option<String>,
    /// Whose id begins so.
    pub id_prefix: Option<String>,
    /// From this day of the books on.
    pub from: Option<Date>,
    /// Up to this day of the books, inclusive.
    pub until: Option<Date>,
}

/// Totals of what a filter lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Entries.
    pub entries: i64,
    /// Sum of debits: of the account or subject filtered for, else of all legs.
    pub debit: Fen,
    /// Sum of credits, positive, of the same legs.
    pub credit: Fen,
}

/// An entry in the book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedEntry {
    /// Its number, from 1, without gaps.
    pub seq: i64,
    /// What was posted.
    pub entry: Entry,
    /// Digest over what the caller said.
    pub digest: Hash32,
    /// Its link of the hash chain.
    pub link: Hash32,
}

/// Columns as [`read_entry`] reads them.
pub(super) const ENTRY_COLUMNS: &str = "e.seq, e.id, e.day, e.booked_at, e.event, e.memo, e.digest, e.link";

/// The entries that a filter lets through, by their number, with the totals of all pages.
///
/// # Errors
/// [`StoreError`].
pub fn entries(
    tx: &Tx<'_>,
    filter: &EntryFilter,
    direction: Direction,
    paging: Paging,
) -> Result<Page<BookedEntry, Totals>, StoreError> {
    let width = legs_per_entry();
    // Every character of an id sorts before DEL.
    let id_end = filter.id_prefix.as_ref().map(|prefix| format!("{prefix}\u{7f}"));
    let of_entry = || {
        let mut conditions = Filter::default();
        conditions
            .when("e.event =", filter.event.as_ref())
            .when("e.id >=", filter.id_prefix.as_ref())
            .when("e.id <", id_end.as_ref())
            .when("e.day >=", filter.from)
            .when("e.day <=", filter.until);
        conditions
    };
    let (code, subject) =
        (filter.account.as_ref().map(AccountCode::as_str), filter.subject.map(|line| line.code));

    let mut of_leg = of_entry();
    of_leg.when("a.code =", code).when("a.subject =", subject);
    let sums = format!(
        "SELECT COUNT(DISTINCT e.seq),
            CAST(COALESCE(SUM(CASE WHEN l.amount > 0 THEN l.amount ELSE 0 END), 0) AS BIGINT),
            CAST(COALESCE(SUM(CASE WHEN l.amount < 0 THEN -l.amount ELSE 0 END), 0) AS BIGINT)
         FROM ledger_leg l JOIN ledger_account a ON a.account_no = l.account_no
         JOIN ledger_entry e ON e.seq = l.leg_no / {width}"
    );
    let totals = tx.query_one(&of_leg.sql(&sums, ""), of_leg.values(), |row| {
        Ok(Totals { entries: row.i64(0)?, debit: row.get(1)?, credit: row.get(2)? })
    })?;

    let with_leg = format!(
        "e.seq IN (SELECT l.leg_no / {width} FROM ledger_leg l
            JOIN ledger_account a ON a.account_no = l.account_no WHERE"
    );
    let mut on_page = of_entry();
    on_page.when_between(&format!("{with_leg} a.code ="), code, ")");
    on_page.when_between(&format!("{with_leg} a.subject ="), subject, ")");
    let select = format!("SELECT {ENTRY_COLUMNS} FROM ledger_entry e");
    let sql = on_page.page_sql(&select, ("e.seq", direction), "e.seq", paging);
    let rows =
        tx.query(&sql, on_page.values(), |row| read_entry(row).and_then(|booked| with_legs(tx, booked)))?;
    let totals = totals.unwrap_or(Totals { entries: 0, debit: Fen::ZERO, credit: Fen::ZERO });
    Ok(Page { rows, totals, paging })
}

/// The entry of an id.
///
/// # Errors
/// [`StoreError`].
pub fn entry(tx: &Tx<'_>, id: &EntryId) -> Result<Option<BookedEntry>, StoreError> {
    let sql = format!("SELECT {ENTRY_COLUMNS} FROM ledger_entry e WHERE e.id = $1");
    let found = tx.query_one(&sql, params![id.as_str()], read_entry)?;
    found.map(|booked| with_legs(tx, booked)).transpose()
}

/// An entry without its legs.
pub(super) fn read_entry(row: &Row<'_>) -> Result<BookedEntry, StoreError> {
    let entry = Entry {
        id: row.parse(1)?,
        day: row.get(2)?,
        at: row.get(3)?,
        event: row.text(4)?,
        memo: row.text(5)?,
        legs: Vec::new(),
    };
    Ok(BookedEntry { seq: row.i64(0)?, entry, digest: Hash32(row.get(6)?), link: Hash32(row.get(7)?) })
}

pub(super) fn with_legs(tx: &Tx<'_>, mut booked: BookedEntry) -> Result<BookedEntry, StoreError> {
    booked.entry.legs = tx.query(
        "SELECT a.code, l.amount FROM ledger_leg l JOIN ledger_account a ON a.account_no = l.account_no
         WHERE l.leg_no >= $1 AND l.leg_no < $2 ORDER BY l.leg_no",
        params![leg_no(booked.seq, 0), leg_no(booked.seq.saturating_add(1), 0)],
        |row| Ok(Leg { account: row.parse(0)?, amount: row.get(1)? }),
    )?;
    Ok(booked)
}
