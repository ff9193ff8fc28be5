//! The records of files: inserted many at a time, read back by file or by number.

use crate::purchase::{FileId, Purchase, RecordId};
use ykt_base::{Asn8, MerchantCode, TerminalId};
use ykt_files::{Confirmation, FileError, PurchaseType, RawXf, XfRecord};
use ykt_store::{Row, StoreError, Tx, Value, params};

/// Rows of one statement.
const ROWS_PER_STATEMENT: usize = 40;
/// Columns of a record.
const COLUMNS_LEN: usize = 14;
/// Fields 5 to 9 of the line, and 19 to 21: shown and answered, never judged.
const REST: [std::ops::Range<usize>; 2] = [51..79, 149..158];
/// Characters of both.
pub const REST_LEN: usize = 37;

/// A record as it goes into the table.
#[derive(Debug, Clone, Copy)]
pub struct NewRecord {
    pub purchase: Purchase,
    pub serial: u32,
    pub rest: [u8; REST_LEN],
}

impl NewRecord {
    /// The record of a line; the line is as long as its layout says.
    pub fn of(id: RecordId, record: &XfRecord, line: &[u8]) -> NewRecord {
        let mut rest = [b' '; REST_LEN];
        let [first, second] = REST.map(|range| line.get(range).unwrap_or_default());
        rest.iter_mut().zip(first.iter().chain(second)).for_each(|(to, from)| *to = *from);
        NewRecord { purchase: Purchase::of(id, record), serial: record.serial, rest }
    }

    fn values(&self) -> [Value<'_>; COLUMNS_LEN] {
        let p = &self.purchase;
        [
            p.id.number().into(),
            self.serial.into(),
            (&p.pos).into(),
            (&p.asn).into(),
            p.counter.into(),
            p.sequence.into(),
            p.balance_before.into(),
            p.amount.into(),
            p.at.into(),
            p.purchase.byte().into(),
            (&p.terminal).into(),
            (&p.tac).into(),
            p.is_grey().into(),
            // The envelope let printable ASCII through only.
            core::str::from_utf8(&self.rest).unwrap_or("").into(),
        ]
    }
}

fn insert_sql(rows: usize) -> String {
    let mut sql = String::from(
        "INSERT INTO clearing_record (id, serial, pos, asn, counter, sequence, balance_before, amount, at, purchase, \
         terminal, tac, grey, rest) VALUES ",
    );
    for row in 0..rows {
        let first = row.saturating_mul(COLUMNS_LEN);
        let places: Vec<String> =
            (1..=COLUMNS_LEN).map(|column| format!("${}", first.saturating_add(column))).collect();
        sql.push_str(if row == 0 { "(" } else { ", (" });
        sql.push_str(&places.join(", "));
        sql.push(')');
    }
    sql
}

/// Inserts records, numbers ascending.
pub fn insert(tx: &Tx<'_>, records: &[NewRecord]) -> Result<(), StoreError> {
    let (full, last) = records.as_chunks::<ROWS_PER_STATEMENT>();
    tx.execute_many(
        &insert_sql(ROWS_PER_STATEMENT),
        full.iter().map(|rows| rows.iter().flat_map(NewRecord::values).collect::<Vec<_>>()),
    )?;
    tx.execute_many(&insert_sql(1), last.iter().map(NewRecord::values))?;
    Ok(())
}

/// Columns from `first` on, in the order of [`PURCHASE`].
pub fn purchase_at(row: &Row<'_>, first: usize, merchant: MerchantCode) -> Result<Purchase, StoreError> {
    let at = |offset: usize| first.saturating_add(offset);
    let purchase: u8 = row.get(at(7))?;
    let is_grey: bool = row.get(at(10))?;
    Ok(Purchase {
        id: RecordId::from_number(row.get(first)?),
        merchant,
        pos: row.get(at(1))?,
        terminal: TerminalId(row.get(at(8))?),
        sequence: row.get(at(4))?,
        asn: row.get(at(2))?,
        counter: row.get(at(3))?,
        balance_before: row.get(at(5))?,
        amount: row.get(at(6))?,
        at: row.get(at(11))?,
        // The parser let these two through only.
        purchase: PurchaseType::from_byte(purchase).unwrap_or(PurchaseType::Wallet),
        tac: row.get(at(9))?,
        confirmation: if is_grey { Confirmation::Grey } else { Confirmation::Confirmed },
    })
}

/// The deciding columns of table `r`.
pub const PURCHASE: &str = "r.id, r.pos, r.asn, r.counter, r.sequence, r.balance_before, r.amount, r.purchase, \
     r.terminal, r.tac, r.grey, r.at";

/// First and last number the records of a file may have.
fn numbers(file: FileId) -> [i64; 2] {
    // A file number that is too large for any record has none.
    [0, 99_999_999].map(|line| RecordId::new(file, line).map_or(-1, RecordId::number))
}

/// Gives every record of a file to `each`, by line.
pub fn of_file(
    tx: &Tx<'_>,
    file: FileId,
    merchant: MerchantCode,
    mut each: impl FnMut(Purchase),
) -> Result<(), StoreError> {
    let [from, to] = numbers(file);
    tx.for_each(
        &format!("SELECT {PURCHASE} FROM clearing_record r WHERE r.id BETWEEN $1 AND $2 ORDER BY r.id"),
        params![from, to],
        |row| -> Result<(), StoreError> {
            each(purchase_at(row, 0, merchant)?);
            Ok(())
        },
    )
}

/// Records of a card in a file, by line.
pub fn of_card_in_file(tx: &Tx<'_>, asn: &Asn8, file: FileId) -> Result<Vec<RecordId>, StoreError> {
    let [from, to] = numbers(file);
    tx.query(
        "SELECT id FROM clearing_record WHERE id BETWEEN $1 AND $2 AND asn = $3 ORDER BY id",
        params![from, to, asn],
        |row| row.get(0).map(RecordId::from_number),
    )
}

/// One record.
pub fn record(tx: &Tx<'_>, id: RecordId) -> Result<Option<Purchase>, StoreError> {
    tx.query_one(
        &format!(
            "SELECT f.merchant, {PURCHASE} FROM clearing_record r, clearing_file f WHERE r.id = $1 AND f.id = $2"
        ),
        params![id.number(), id.file().0],
        |row| purchase_at(row, 1, row.get(0)?),
    )
}

/// The line of a record as it came, legal or not.
pub fn line(tx: &Tx<'_>, id: RecordId) -> Result<Option<RawXf>, StoreError> {
    let illegal =
        tx.query_one("SELECT line FROM clearing_illegal WHERE id = $1", params![id.number()], |row| {
            row.get(0).map(RawXf)
        })?;
    if illegal.is_some() {
        return Ok(illegal);
    }
    let Some(p) = record(tx, id)? else { return Ok(None) };
    let others = tx.query_one(
        "SELECT serial, rest FROM clearing_record WHERE id = $1",
        params![id.number()],
        |row| Ok((row.get::<u32>(0)?, row.text(1)?)),
    )?;
    let (serial, rest) = others.unwrap_or_default();
    let (types, tickets) = rest.split_at_checked(REST[0].len()).unwrap_or_default();
    let text = format!(
        "{serial:08}{}{}0000{}{types}{:06}{:010}{:08}{:08}{:014}{:02}{}{}{:02}{tickets}",
        p.merchant,
        p.pos,
        p.asn,
        p.counter.0,
        p.sequence.0,
        p.balance_before.fen(),
        p.amount.fen(),
        p.at.as_number(),
        p.purchase.byte(),
        p.terminal,
        p.tac,
        u8::from(p.is_grey()),
    );
    Ok(text.into_bytes().try_into().ok().map(RawXf))
}

pub fn insert_illegal(tx: &Tx<'_>, id: RecordId, line: &RawXf, error: &FileError) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO clearing_illegal (id, line, field, expected, found) VALUES ($1, $2, $3, $4, $5)",
        params![id.number(), &line.0, error.field, &error.expected, &error.found],
    )
    .map(drop)
}

/// Illegal lines of a file.
pub fn illegal_of_file(tx: &Tx<'_>, file: FileId) -> Result<Vec<(RecordId, RawXf)>, StoreError> {
    let [from, to] = numbers(file);
    tx.query(
        "SELECT id, line FROM clearing_illegal WHERE id BETWEEN $1 AND $2 ORDER BY id",
        params![from, to],
        |row| Ok((RecordId::from_number(row.get(0)?), RawXf(row.get(1)?))),
    )
}
