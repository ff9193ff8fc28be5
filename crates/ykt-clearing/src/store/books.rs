//! Card books, PSAM books, and the ways of cards through the days.

use crate::book::{CardBook, Edge, Gap};
use crate::judge::{Past, SeenDifference};
use crate::loads::{Load, LoadJournal};
use crate::purchase::{Purchase, RecordId};
use crate::ranges::Ranges;
use crate::store::{records, verdicts};
use std::collections::BTreeMap;
use ykt_base::{Asn8, CardCounter, Date, TerminalId};
use ykt_files::Confirmation;
use ykt_purse::Purse;
use ykt_store::{Row, StoreError, Tx, params};

/// Every record of this house is of the electronic purse; the column is there for the second purse to come.
const PURSE: u8 = Purse::Ep.code();

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged { detail: format!("{what} has ranges that touch or are out of order") }
}

pub fn card_book(tx: &Tx<'_>, asn: &Asn8) -> Result<Option<CardBook>, StoreError> {
    let found = tx.query_one(
        "SELECT next, balance, seen_at, spent, gaps, covered FROM clearing_card WHERE asn = $1 AND purse = $2",
        params![asn, PURSE],
        |row| {
            let covered = Ranges::from_bytes(row.get(5)?).ok_or_else(|| damaged("a card book"))?;
            let newest = Edge { balance: row.get(1)?, at: row.get(2)? };
            let book = CardBook { covered, next: row.get(0)?, newest, gaps: Vec::new(), spent: row.get(3)? };
            Ok((book, row.get::<u32>(4)?))
        },
    )?;
    let Some((mut book, gaps)) = found else { return Ok(None) };
    if gaps > 0 {
        book.gaps = gaps_of(tx, asn)?;
    }
    Ok(Some(book))
}

/// The columns of a gap, of table `g`, in the order of [`gap_at`].
pub const GAP: &str =
    "g.first, g.last, g.left_balance, g.left_at, g.right_balance, g.right_at, g.lost, g.opened";

pub fn gap_at(row: &Row<'_>) -> Result<Gap, StoreError> {
    Ok(Gap {
        first: row.get(0)?,
        last: row.get(1)?,
        left: Edge { balance: row.get(2)?, at: row.get(3)? },
        right: Edge { balance: row.get(4)?, at: row.get(5)? },
        lost: row.get(6)?,
        opened: row.get(7)?,
    })
}

fn gaps_of(tx: &Tx<'_>, asn: &Asn8) -> Result<Vec<Gap>, StoreError> {
    tx.query(
        &format!("SELECT {GAP} FROM clearing_gap g WHERE g.asn = $1 AND g.purse = $2 ORDER BY g.first"),
        params![asn, PURSE],
        gap_at,
    )
}

/// Puts books down in place of what was there.
pub fn save_card_books(tx: &Tx<'_>, books: &[(Asn8, CardBook)]) -> Result<(), StoreError> {
    for (asn, book) in books {
        let had = tx.query_one(
            "SELECT gaps FROM clearing_card WHERE asn = $1 AND purse = $2",
            params![asn, PURSE],
            |row| row.get::<u32>(0),
        )?;
        let gaps = u32::try_from(book.gaps.len()).unwrap_or(u32::MAX);
        tx.execute(
            "INSERT INTO clearing_card (asn, purse, next, balance, seen_at, spent, gaps, covered) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (asn, purse) DO UPDATE SET \
             next = excluded.next, balance = excluded.balance, seen_at = excluded.seen_at, \
             spent = excluded.spent, gaps = excluded.gaps, covered = excluded.covered",
            params![
                asn,
                PURSE,
                book.next,
                book.newest.balance,
                book.newest.at,
                book.spent,
                gaps,
                &book.covered.to_bytes(),
            ],
        )?;
        if had.unwrap_or(0) > 0 {
            tx.execute("DELETE FROM clearing_gap WHERE asn = $1 AND purse = $2", params![asn, PURSE])?;
        }
        for gap in &book.gaps {
            tx.execute(
                "INSERT INTO clearing_gap (asn, purse, first, last, left_balance, left_at, right_balance, \
                 right_at, lost, opened) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                params![
                    asn,
                    PURSE,
                    gap.first,
                    gap.last,
                    gap.left.balance,
                    gap.left.at,
                    gap.right.balance,
                    gap.right.at,
                    gap.lost,
                    gap.opened,
                ],
            )?;
        }
    }
    Ok(())
}

pub fn psam_book(tx: &Tx<'_>, terminal: &TerminalId) -> Result<Ranges, StoreError> {
    let found =
        tx.query_one("SELECT covered FROM clearing_psam WHERE terminal = $1", params![terminal], |row| {
            Ranges::from_bytes(row.get(0)?).ok_or_else(|| damaged("a PSAM book"))
        })?;
    Ok(found.unwrap_or_default())
}

pub fn save_psam_books(tx: &Tx<'_>, books: &[(TerminalId, Ranges)]) -> Result<(), StoreError> {
    for (terminal, covered) in books {
        tx.execute(
            "INSERT INTO clearing_psam (terminal, covered) VALUES ($1, $2) \
             ON CONFLICT (terminal) DO UPDATE SET covered = excluded.covered",
            params![terminal, &covered.to_bytes()],
        )?;
    }
    Ok(())
}

/// Notes which records of a card came on a day; cards ascending.
pub fn save_card_days<'r>(
    tx: &Tx<'_>,
    day: Date,
    cards: impl Iterator<Item = (&'r Asn8, &'r [RecordId])>,
) -> Result<(), StoreError> {
    for (asn, ids) in cards {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.number().to_be_bytes()).collect();
        tx.execute(
            "INSERT INTO clearing_card_day (day, asn, records) VALUES ($1, $2, $3)",
            params![day, asn, &bytes],
        )?;
    }
    Ok(())
}

fn ids(bytes: &[u8]) -> impl Iterator<Item = RecordId> {
    let (numbers, _) = bytes.as_chunks::<8>();
    numbers.iter().map(|number| RecordId::from_number(i64::from_be_bytes(*number)))
}

/// Every record of a card in judged days, newest day first. One search per day: the table is in the order of
/// the days, so that a day's close writes it in one place.
pub fn records_of_card(tx: &Tx<'_>, asn: &Asn8) -> Result<Vec<RecordId>, StoreError> {
    let days = tx.query("SELECT day FROM clearing_day ORDER BY day DESC", &[], |row| row.get::<Date>(0))?;
    let mut found = Vec::new();
    for day in days {
        tx.for_each(
            "SELECT records FROM clearing_card_day WHERE day = $1 AND asn = $2",
            params![day, asn],
            |row| -> Result<(), StoreError> {
                found.extend(ids(row.get(0)?));
                Ok(())
            },
        )?;
    }
    Ok(found)
}

pub fn save_differences(
    tx: &Tx<'_>,
    day: Date,
    differences: &[(SeenDifference, Asn8)],
) -> Result<(), StoreError> {
    for (seen, asn) in differences {
        tx.execute(
            "INSERT INTO clearing_difference (record, day, asn, expected, found) VALUES ($1, $2, $3, $4, $5)",
            params![seen.record.number(), day, asn, seen.difference.expected, seen.difference.found],
        )?;
    }
    Ok(())
}

/// The past as the tables keep it.
pub struct StoredPast<'a> {
    pub tx: &'a Tx<'a>,
    pub journal: &'a dyn LoadJournal,
    /// Accepted records of the card asked for last, by counter: duplicates of a card come together.
    known: Option<(Asn8, BTreeMap<CardCounter, Purchase>)>,
}

impl<'a> StoredPast<'a> {
    pub fn new(tx: &'a Tx<'a>, journal: &'a dyn LoadJournal) -> StoredPast<'a> {
        StoredPast { tx, journal, known: None }
    }

    fn accepted(&self, asn: &Asn8) -> Result<BTreeMap<CardCounter, Purchase>, StoreError> {
        let mut accepted = BTreeMap::new();
        for id in records_of_card(self.tx, asn)? {
            let verdict = verdicts::of_record(self.tx, id)?;
            if verdict.is_some_and(|verdict| !verdict.state.is_paid()) {
                continue;
            }
            let Some(mut purchase) = records::record(self.tx, id)? else { continue };
            // What its own TAC proved has no verdict, or one of what it waited for before its TAC was asked.
            if verdict.is_none_or(|verdict| verdict.cause.is_judged_again()) {
                purchase.confirmation = Confirmation::Confirmed;
            }
            accepted.insert(purchase.counter, purchase);
        }
        Ok(accepted)
    }
}

impl Past for StoredPast<'_> {
    fn card_book(&mut self, asn: &Asn8) -> Result<CardBook, StoreError> {
        Ok(card_book(self.tx, asn)?.unwrap_or_default())
    }

    fn psam_book(&mut self, terminal: &TerminalId) -> Result<Ranges, StoreError> {
        psam_book(self.tx, terminal)
    }

    fn booked(&mut self, asn: &Asn8, counter: CardCounter) -> Result<Option<Purchase>, StoreError> {
        if self.known.as_ref().is_none_or(|(known, _)| known != asn) {
            self.known = Some((*asn, self.accepted(asn)?));
        }
        Ok(self.known.as_ref().and_then(|(_, accepted)| accepted.get(&counter).copied()))
    }

    fn loads(&mut self, asn: &Asn8) -> Result<Vec<Load>, StoreError> {
        self.journal.loads(self.tx, asn)
    }
}
