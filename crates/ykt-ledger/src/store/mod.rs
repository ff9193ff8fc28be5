//! The tables of the books and the statements that write them; reading for people is in `report.rs`, checking
//! in `audit.rs`.
//!
//! An entry is a row of `ledger_entry`; its legs follow in `ledger_leg` under numbers that begin at
//! `seq * 256`, so both tables only ever grow at their end. `ledger_account` keeps each account's whole
//! turnover, `ledger_movement` its turnover per day of the books and per date of booking: every balance as of
//! a day, or as of a moment, is a short sum over it.

mod audit;
mod report;

pub use audit::{Alteration, BalanceDifference, ChainReport, verify_balances, verify_chain};
pub use report::{
    AccountLine, BookedEntry, EntryFilter, Totals, TrialLine, balance, balance_at, balance_at_moment,
    entries, entry, subject_balance, trial_balance,
};

use crate::chart::AccountCode;
use crate::entry::{Entry, EntryId, LEGS_MAX};
use std::collections::BTreeMap;
use ykt_base::{Date, DateTime, Fen};
use ykt_crypto::chain::Hash32;
use ykt_store::{Module, StoreError, Tx, Value, params};

/// The tables of the books.
pub const MODULE: Module = Module { name: "ledger", migrations: &[TABLES] };

const TABLES: &str = "
CREATE TABLE ledger_account (
    account_no INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    subject TEXT NOT NULL,
    debit INTEGER NOT NULL,
    credit INTEGER NOT NULL
);
CREATE TABLE ledger_entry (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    day INTEGER NOT NULL,
    booked_at INTEGER NOT NULL,
    event TEXT NOT NULL,
    memo TEXT NOT NULL,
    digest BLOB NOT NULL,
    link BLOB NOT NULL
);
CREATE TABLE ledger_leg (
    leg_no INTEGER PRIMARY KEY,
    account_no INTEGER NOT NULL,
    amount INTEGER NOT NULL
);
CREATE INDEX ledger_leg_of_account ON ledger_leg (account_no);
CREATE TABLE ledger_movement (
    account_no INTEGER NOT NULL,
    day INTEGER NOT NULL,
    booked_on INTEGER NOT NULL,
    debit INTEGER NOT NULL,
    credit INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    PRIMARY KEY (account_no, day, booked_on)
);
CREATE TABLE ledger_head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL,
    link BLOB NOT NULL
);
CREATE TABLE ledger_closed_day (
    day INTEGER PRIMARY KEY,
    closed_at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    link BLOB NOT NULL
);
";

/// The newest entry: its number and its link of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0 for an empty book.
    pub seq: i64,
    /// Its link; the start of the chain for an empty book.
    pub link: Hash32,
}

/// An entry with its number, digest and link.
pub struct Numbered<'e> {
    pub entry: &'e Entry,
    pub seq: i64,
    pub digest: Hash32,
    pub link: Hash32,
}

/// A leg as it is kept.
pub struct NumberedLeg {
    pub leg_no: i64,
    pub account_no: i64,
    pub amount: Fen,
}

/// An account and its whole turnover, with what the batch at hand adds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Account {
    /// `None` until its first leg is written.
    number: Option<i64>,
    is_kept: bool,
    turnover: Turnover,
}

/// Sums of debits and of credits, both positive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turnover {
    pub debit: Fen,
    pub credit: Fen,
}

/// Which movement a leg belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MovementKey {
    pub account_no: i64,
    pub day: Date,
    pub booked_on: Date,
}

/// What moved, and the numbers of the first and last entry that moved it.
#[derive(Debug, Clone, Copy)]
pub struct Movement {
    turnover: Turnover,
    first_seq: i64,
    last_seq: i64,
}

impl Turnover {
    /// The turnover with a leg more, or `None` when it does not fit.
    fn plus(self, amount: Fen) -> Option<Turnover> {
        Some(if amount.is_negative() {
            Turnover { credit: self.credit.checked_sub(amount)?, ..self }
        } else {
            Turnover { debit: self.debit.checked_add(amount)?, ..self }
        })
    }

    /// The turnover with a leg less, or `None` when it does not fit.
    fn minus(self, amount: Fen) -> Option<Turnover> {
        Some(if amount.is_negative() {
            Turnover { credit: self.credit.checked_add(amount)?, ..self }
        } else {
            Turnover { debit: self.debit.checked_sub(amount)?, ..self }
        })
    }
}

impl Account {
    /// Adds a leg; `false`, and nothing added, when the turnover would not fit.
    pub fn add(&mut self, amount: Fen) -> bool {
        match self.turnover.plus(amount) {
            Some(turnover) => {
                self.turnover = turnover;
                true
            }
            None => false,
        }
    }

    /// Takes back a leg that [`Account::add`] added.
    #[expect(clippy::expect_used, reason = "what was added can be taken back")]
    pub fn take_back(&mut self, amount: Fen) {
        self.turnover = self.turnover.minus(amount).expect("a leg that was added can be taken back");
    }

    /// Its number; a new account takes the next free one.
    pub fn number(&mut self, free: &mut i64) -> i64 {
        *self.number.get_or_insert_with(|| {
            let number = *free;
            *free = free.saturating_add(1);
            number
        })
    }
}

impl Movement {
    /// Nothing yet, beginning with entry `seq`.
    pub fn starting(seq: i64) -> Movement {
        Movement { turnover: Turnover::default(), first_seq: seq, last_seq: seq }
    }

    /// Adds a leg of entry `seq`.
    #[expect(clippy::expect_used, reason = "a part of a turnover that fits does fit")]
    pub fn add(&mut self, seq: i64, amount: Fen) {
        self.turnover = self.turnover.plus(amount).expect("the account's whole turnover fits");
        self.last_seq = seq;
    }
}

/// Number of line `line` (from 0) of entry `seq`.
pub fn leg_no(seq: i64, line: i64) -> i64 {
    seq.saturating_mul(legs_per_entry()).saturating_add(line)
}

fn legs_per_entry() -> i64 {
    i64::try_from(LEGS_MAX).unwrap_or(i64::MAX)
}

/// The newest entry of the book; number 0 and the start of the chain when it is empty.
///
/// # Errors
/// [`StoreError`].
pub fn head(tx: &Tx<'_>) -> Result<Head, StoreError> {
    let found = tx.query_one("SELECT seq, link FROM ledger_head WHERE one = 1", &[], |row| {
        Ok(Head { seq: row.i64(0)?, link: Hash32(row.get(1)?) })
    })?;
    Ok(found.unwrap_or(Head { seq: 0, link: Hash32::START }))
}

/// Number and digest of the entry with this id.
pub fn find_id(tx: &Tx<'_>, id: &EntryId) -> Result<Option<(i64, Hash32)>, StoreError> {
    tx.query_one("SELECT seq, digest FROM ledger_entry WHERE id = $1", params![id.as_str()], |row| {
        Ok((row.i64(0)?, Hash32(row.get(1)?)))
    })
}

/// The account of this code; one without number when nothing was ever posted to it.
pub fn account(tx: &Tx<'_>, code: &AccountCode) -> Result<Account, StoreError> {
    let found = tx.query_one(
        "SELECT account_no, debit, credit FROM ledger_account WHERE code = $1",
        params![code.as_str()],
        |row| {
            let turnover = Turnover { debit: row.get(1)?, credit: row.get(2)? };
            Ok(Account { number: Some(row.i64(0)?), is_kept: true, turnover })
        },
    )?;
    Ok(found.unwrap_or_default())
}

/// The number the next new account takes.
pub fn free_account_no(tx: &Tx<'_>) -> Result<i64, StoreError> {
    let highest =
        tx.query_one("SELECT MAX(account_no) FROM ledger_account", &[], |row| row.opt_i64(0))?.flatten();
    Ok(highest.unwrap_or(0).saturating_add(1))
}

/// Writes entries without their legs.
pub fn insert_entries(tx: &Tx<'_>, entries: &[Numbered<'_>]) -> Result<(), StoreError> {
    let rows = entries.iter().map(|Numbered { entry, seq, digest, link }| {
        [
            Value::from(*seq),
            Value::from(entry.id.as_str()),
            Value::from(entry.day),
            Value::from(entry.at),
            Value::from(&entry.event),
            Value::from(&entry.memo),
            Value::from(digest.as_bytes()),
            Value::from(link.as_bytes()),
        ]
    });
    tx.execute_many(
        "INSERT INTO ledger_entry (seq, id, day, booked_at, event, memo, digest, link)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        rows,
    )
    .map(drop)
}

/// Writes legs.
pub fn insert_legs(tx: &Tx<'_>, legs: &[NumberedLeg]) -> Result<(), StoreError> {
    let rows = legs
        .iter()
        .map(|leg| [Value::from(leg.leg_no), Value::from(leg.account_no), Value::from(leg.amount)]);
    tx.execute_many("INSERT INTO ledger_leg (leg_no, account_no, amount) VALUES ($1, $2, $3)", rows).map(drop)
}

/// Writes the turnover of every account with a number; those without got no leg in the end.
pub fn save_accounts(tx: &Tx<'_>, accounts: &BTreeMap<AccountCode, Account>) -> Result<(), StoreError> {
    for (code, Account { number, is_kept, turnover }) in accounts {
        let Some(number) = *number else { continue };
        if *is_kept {
            tx.execute(
                "UPDATE ledger_account SET debit = $2, credit = $3 WHERE account_no = $1",
                params![number, turnover.debit, turnover.credit],
            )?;
        } else {
            tx.execute(
                "INSERT INTO ledger_account (account_no, code, subject, debit, credit)
                 VALUES ($1, $2, $3, $4, $5)",
                params![number, code.as_str(), code.subject().code, turnover.debit, turnover.credit],
            )?;
        }
    }
    Ok(())
}

/// Adds movements to those kept.
pub fn add_movements(tx: &Tx<'_>, movements: &BTreeMap<MovementKey, Movement>) -> Result<(), StoreError> {
    let rows = movements.iter().map(|(key, movement)| {
        [
            Value::from(key.account_no),
            Value::from(key.day),
            Value::from(key.booked_on),
            Value::from(movement.turnover.debit),
            Value::from(movement.turnover.credit),
            Value::from(movement.first_seq),
            Value::from(movement.last_seq),
        ]
    });
    tx.execute_many(
        "INSERT INTO ledger_movement (account_no, day, booked_on, debit, credit, first_seq, last_seq)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (account_no, day, booked_on) DO UPDATE SET
            debit = ledger_movement.debit + excluded.debit,
            credit = ledger_movement.credit + excluded.credit,
            last_seq = excluded.last_seq",
        rows,
    )
    .map(drop)
}

/// Writes the newest entry's number and link.
pub fn save_head(tx: &Tx<'_>, head: &Head) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO ledger_head (one, seq, link) VALUES (1, $1, $2)
         ON CONFLICT (one) DO UPDATE SET seq = excluded.seq, link = excluded.link",
        params![head.seq, head.link.as_bytes()],
    )
    .map(drop)
}

/// A day whose books are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedDay {
    /// The day.
    pub day: Date,
    /// When it was closed.
    pub at: DateTime,
    /// Number of the newest entry at that moment; 0 for an empty book.
    pub seq: i64,
    /// Link of the chain at that entry: a checkpoint that can be kept elsewhere.
    pub link: Hash32,
}

/// The closed days, oldest first.
///
/// # Errors
/// [`StoreError`].
pub fn closed_days(tx: &Tx<'_>) -> Result<Vec<ClosedDay>, StoreError> {
    tx.query("SELECT day, closed_at, seq, link FROM ledger_closed_day ORDER BY day", &[], |row| {
        Ok(ClosedDay { day: row.get(0)?, at: row.get(1)?, seq: row.i64(2)?, link: Hash32(row.get(3)?) })
    })
}

/// The last closed day: it and all days before take no entries.
///
/// # Errors
/// [`StoreError`].
pub fn last_closed_day(tx: &Tx<'_>) -> Result<Option<Date>, StoreError> {
    Ok(tx.query_one("SELECT MAX(day) FROM ledger_closed_day", &[], |row| row.get(0))?.flatten())
}

/// The days that have entries and are not closed, oldest first.
///
/// # Errors
/// [`StoreError`].
pub fn open_days(tx: &Tx<'_>) -> Result<Vec<Date>, StoreError> {
    tx.query(
        "SELECT DISTINCT day FROM ledger_movement
         WHERE day > COALESCE((SELECT MAX(day) FROM ledger_closed_day), 0) ORDER BY day",
        &[],
        |row| row.get(0),
    )
}

/// Writes a closed day.
pub fn insert_closed_day(tx: &Tx<'_>, closed: &ClosedDay) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO ledger_closed_day (day, closed_at, seq, link) VALUES ($1, $2, $3, $4)",
        params![closed.day, closed.at, closed.seq, closed.link.as_bytes()],
    )
    .map(drop)
}
