//! Proving the book from what is in it: the hash chain link by link, and every balance from the legs. A change
//! made behind the program's back, to whatever row, is found and named.

use super::report::{BookedEntry, ENTRY_COLUMNS, read_entry, with_legs};
use super::{Turnover, head, legs_per_entry};
use crate::entry::link;
use std::collections::BTreeMap;
use std::fmt;
use ykt_base::{Date, Fen};
use ykt_crypto::chain::Hash32;
use ykt_store::{StoreError, Tx, params};

/// What checking the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainReport {
    /// Entries that are right, from the first on.
    pub entries: i64,
    /// Link of the last right entry: compare it with a checkpoint kept elsewhere.
    pub link: Hash32,
    /// The first record that was altered, or `None` when all are right.
    pub altered: Option<Alteration>,
}

/// The first altered record of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alteration {
    /// Entry `seq` is missing.
    Missing {
        /// Its number.
        seq: i64,
    },
    /// Id, day, event, memo or legs of entry `seq` are not those that were booked.
    Content {
        /// Its number.
        seq: i64,
        /// Digest it was booked with.
        expected: Hash32,
        /// Digest of what is there.
        found: Hash32,
    },
    /// Number, moment, digest or link of entry `seq` are not those that were booked.
    Link {
        /// Its number.
        seq: i64,
        /// Link that follows from the entries up to it.
        expected: Hash32,
        /// Link that is there.
        found: Hash32,
    },
    /// Entry `seq`, or a leg of it, cannot even be read.
    Unreadable {
        /// Its number.
        seq: i64,
        /// What is wrong with the row.
        detail: String,
    },
    /// Legs belong to no entry.
    StrayLegs {
        /// How many.
        count: i64,
    },
    /// The head of the book is not its last entry: entries were cut off or added.
    Head {
        /// Number the head states.
        expected: i64,
        /// Number of the last entry.
        found: i64,
    },
    /// A closed day's checkpoint is not the link of its entry.
    Checkpoint {
        /// The day.
        day: Date,
    },
}

impl fmt::Display for Alteration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Alteration::Missing { seq } => write!(f, "entry {seq} is missing"),
            Alteration::Content { seq, expected, found } => {
                write!(f, "entry {seq}: booked with digest {expected}, its content now gives {found}")
            }
            Alteration::Link { seq, expected, found } => {
                write!(f, "entry {seq}: expected link {expected}, found {found}")
            }
            Alteration::Unreadable { seq, detail } => write!(f, "entry {seq}: {detail}"),
            Alteration::StrayLegs { count } => write!(f, "{count} legs belong to no entry"),
            Alteration::Head { expected, found } => {
                write!(f, "the book should end with entry {expected}, it ends with {found}")
            }
            Alteration::Checkpoint { day } => {
                write!(f, "the checkpoint of closed day {day} is not in the chain")
            }
        }
    }
}

/// Recomputes the hash chain from every entry and leg.
///
/// # Errors
/// [`StoreError`] when the book cannot be read at all; an altered record is no error but in the report.
pub fn verify_chain(tx: &Tx<'_>) -> Result<ChainReport, StoreError> {
    let mut checkpoints: BTreeMap<i64, Vec<(Date, Hash32)>> = BTreeMap::new();
    for closed in super::closed_days(tx)? {
        checkpoints.entry(closed.seq).or_default().push((closed.day, closed.link));
    }
    let mut report = ChainReport { entries: 0, link: Hash32::START, altered: None };
    let mut legs = 0_i64;
    report.altered = unmatched(&checkpoints, &report);
    let sql = format!("SELECT {ENTRY_COLUMNS} FROM ledger_entry e ORDER BY e.seq");
    let walk = tx.for_each(&sql, &[], |row| {
        let seq = report.entries.saturating_add(1);
        let found_seq = row.i64(0)?;
        let altered = if report.altered.is_some() {
            return Err(Stop::Found);
        } else if found_seq == seq {
            match read_entry(row).and_then(|booked| with_legs(tx, booked)) {
                Ok(booked) => {
                    legs = legs.saturating_add(i64::try_from(booked.entry.legs.len()).unwrap_or(i64::MAX));
                    judge(&report.link, &booked)
                }
                Err(StoreError::Column { expected, found, .. }) => {
                    Err(Alteration::Unreadable { seq, detail: format!("expected {expected}, found {found}") })
                }
                Err(error) => return Err(Stop::Store(error)),
            }
        } else {
            Err(Alteration::Missing { seq })
        };
        match altered {
            Ok(link) => {
                report.entries = seq;
                report.link = link;
                report.altered = unmatched(&checkpoints, &report);
                Ok(())
            }
            Err(altered) => {
                report.altered = Some(altered);
                Err(Stop::Found)
            }
        }
    });
    match walk {
        Ok(()) if report.altered.is_none() => {
            let beyond = checkpoints.range(report.entries.saturating_add(1)..).next();
            let cut_off = beyond
                .and_then(|(_, days)| days.first())
                .map(|(day, _)| Alteration::Checkpoint { day: *day });
            report.altered = end(tx, &report, legs)?.or(cut_off);
        }
        Ok(()) | Err(Stop::Found) => {}
        Err(Stop::Store(error)) => return Err(error),
    }
    Ok(report)
}

/// Why the walk along the chain ended early.
enum Stop {
    Found,
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Store(error)
    }
}

/// The link that follows from an entry, when the entry has it.
fn judge(before: &Hash32, booked: &BookedEntry) -> Result<Hash32, Alteration> {
    let seq = booked.seq;
    let digest = booked.entry.digest();
    if digest != booked.digest {
        return Err(Alteration::Content { seq, expected: booked.digest, found: digest });
    }
    let expected = link(before, seq, booked.entry.at, &digest);
    if expected == booked.link {
        Ok(expected)
    } else {
        Err(Alteration::Link { seq, expected, found: booked.link })
    }
}

fn unmatched(checkpoints: &BTreeMap<i64, Vec<(Date, Hash32)>>, report: &ChainReport) -> Option<Alteration> {
    let here = checkpoints.get(&report.entries)?;
    let (day, _) = here.iter().find(|(_, link)| *link != report.link)?;
    Some(Alteration::Checkpoint { day: *day })
}

/// What can be wrong after the last entry: the head, and legs without an entry.
fn end(tx: &Tx<'_>, report: &ChainReport, legs: i64) -> Result<Option<Alteration>, StoreError> {
    let head = head(tx)?;
    if head.seq != report.entries {
        return Ok(Some(Alteration::Head { expected: head.seq, found: report.entries }));
    }
    if head.link != report.link {
        return Ok(Some(Alteration::Link { seq: head.seq, expected: report.link, found: head.link }));
    }
    let kept = tx.query_one("SELECT COUNT(*) FROM ledger_leg", &[], |row| row.i64(0))?.unwrap_or(0);
    Ok((kept != legs).then(|| Alteration::StrayLegs { count: kept.saturating_sub(legs) }))
}

/// A kept turnover that is not the sum of its legs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceDifference {
    /// Code of the account.
    pub account: String,
    /// Day of the books and date of booking, or `None` for the whole turnover.
    pub day: Option<(Date, Date)>,
    /// Debits by the legs.
    pub debit_expected: Fen,
    /// Credits by the legs, positive.
    pub credit_expected: Fen,
    /// Debits kept.
    pub debit: Fen,
    /// Credits kept, positive.
    pub credit: Fen,
}

/// Recomputes every account's turnover, of all time and of each day, from the legs; returns what differs, by
/// account. An empty answer proves all balances.
///
/// # Errors
/// [`StoreError`].
pub fn verify_balances(tx: &Tx<'_>) -> Result<Vec<BalanceDifference>, StoreError> {
    const DEBIT: &str = "CAST(SUM(CASE WHEN l.amount > 0 THEN l.amount ELSE 0 END) AS BIGINT)";
    const CREDIT: &str = "CAST(SUM(CASE WHEN l.amount < 0 THEN -l.amount ELSE 0 END) AS BIGINT)";
    let kept = sums(tx, "SELECT code, NULL, NULL, debit, credit FROM ledger_account", &[])?;
    let by_legs = sums(
        tx,
        &format!(
            "SELECT a.code, NULL, NULL, {DEBIT}, {CREDIT}
             FROM ledger_leg l JOIN ledger_account a ON a.account_no = l.account_no GROUP BY a.code"
        ),
        &[],
    )?;
    let mut differences = differing(&kept, &by_legs);
    let kept = sums(
        tx,
        "SELECT a.code, m.day, m.booked_on, m.debit, m.credit
         FROM ledger_movement m JOIN ledger_account a ON a.account_no = m.account_no",
        &[],
    )?;
    let by_legs = sums(
        tx,
        &format!(
            "SELECT a.code, e.day, e.booked_at / 1000000, {DEBIT}, {CREDIT}
             FROM ledger_leg l JOIN ledger_entry e ON e.seq = l.leg_no / $1
             JOIN ledger_account a ON a.account_no = l.account_no
             GROUP BY a.code, e.day, e.booked_at / 1000000"
        ),
        params![legs_per_entry()],
    )?;
    differences.extend(differing(&kept, &by_legs));
    Ok(differences)
}

type Sums = BTreeMap<(String, Option<(Date, Date)>), Turnover>;

fn sums(tx: &Tx<'_>, sql: &str, params: &[ykt_store::Value<'_>]) -> Result<Sums, StoreError> {
    let rows = tx.query(sql, params, |row| {
        let day = row.get::<Option<Date>>(1)?.zip(row.get(2)?);
        Ok(((row.text(0)?, day), Turnover { debit: row.get(3)?, credit: row.get(4)? }))
    })?;
    Ok(rows.into_iter().collect())
}

fn differing(kept: &Sums, by_legs: &Sums) -> Vec<BalanceDifference> {
    let keys: std::collections::BTreeSet<_> = kept.keys().chain(by_legs.keys()).collect();
    keys.into_iter()
        .filter_map(|key| {
            let found = kept.get(key).copied().unwrap_or_default();
            let expected = by_legs.get(key).copied().unwrap_or_default();
            (found != expected).then(|| BalanceDifference {
                account: key.0.clone(),
                day: key.1,
                debit_expected: expected.debit,
                credit_expected: expected.credit,
                debit: found.debit,
                credit: found.credit,
            })
        })
        .collect()
}
