//! The file log, and the days.

use crate::day::Phase;
use crate::purchase::FileId;
use crate::receive::{FileState, LoggedFile};
use crate::store::queries::FileFilter;
use ykt_base::{Date, DateTime, MerchantCode};
use ykt_crypto::chain::Hash32;
use ykt_files::Sum;
use ykt_store::{Filter, Page, Paging, Row, StoreError, Tx, params};

const COLUMNS: &str = "SELECT id, merchant, name, hash, state, day, received_at, file_day, sequence, records, amount, \
     reason, is_away FROM clearing_file";

fn file_row(row: &Row<'_>) -> Result<LoggedFile, StoreError> {
    Ok(LoggedFile {
        id: FileId(row.get(0)?),
        merchant: row.get(1)?,
        name: row.get(2)?,
        hash: Hash32(row.get(3)?),
        state: row.get(4)?,
        day: row.get(5)?,
        received_at: row.get(6)?,
        file_day: row.get(7)?,
        sequence: row.get(8)?,
        records: row.get(9)?,
        amount: row.get(10)?,
        reason: row.get(11)?,
        is_away: row.get(12)?,
    })
}

pub fn next_file_id(tx: &Tx<'_>) -> Result<FileId, StoreError> {
    let last = tx.query_one("SELECT MAX(id) FROM clearing_file", &[], |row| row.opt_i64(0))?.flatten();
    Ok(FileId(last.unwrap_or(0).saturating_add(1)))
}

pub fn insert_file(tx: &Tx<'_>, file: &LoggedFile) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO clearing_file (id, merchant, name, hash, state, day, received_at, file_day, sequence, records, \
         amount, reason, is_away) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        params![
            file.id.0,
            &file.merchant,
            &file.name,
            &file.hash.0,
            file.state,
            file.day,
            file.received_at,
            file.file_day,
            file.sequence,
            file.records,
            file.amount,
            &file.reason,
            file.is_away,
        ],
    )
    .map(drop)
}

pub fn file(tx: &Tx<'_>, id: FileId) -> Result<Option<LoggedFile>, StoreError> {
    tx.query_one(&format!("{COLUMNS} WHERE id = $1"), params![id.0], file_row)
}

pub fn accepted_by_name(
    tx: &Tx<'_>,
    merchant: &MerchantCode,
    name: &str,
) -> Result<Option<LoggedFile>, StoreError> {
    tx.query_one(
        &format!("{COLUMNS} WHERE merchant = $1 AND name = $2 AND state = 1"),
        params![merchant, name],
        file_row,
    )
}

/// An accepted file of the same content; files without records do not count, for all of them are alike.
pub fn accepted_by_content(tx: &Tx<'_>, hash: &Hash32) -> Result<Option<LoggedFile>, StoreError> {
    tx.query_one(
        &format!("{COLUMNS} WHERE hash = $1 AND state = 1 AND records > 0"),
        params![&hash.0],
        file_row,
    )
}

/// Highest sequence number of the accepted files that name this day.
pub fn last_sequence(
    tx: &Tx<'_>,
    merchant: &MerchantCode,
    file_day: Date,
) -> Result<Option<u32>, StoreError> {
    tx.query_one(
        "SELECT MAX(sequence) FROM clearing_file WHERE merchant = $1 AND file_day = $2 AND state = 1",
        params![merchant, file_day],
        |row| row.get(0),
    )
    .map(Option::flatten)
}

pub fn files_under_way(tx: &Tx<'_>) -> Result<Vec<LoggedFile>, StoreError> {
    tx.query(&format!("{COLUMNS} WHERE is_away = 0 ORDER BY id"), &[], file_row)
}

pub fn mark_away(tx: &Tx<'_>, id: FileId) -> Result<(), StoreError> {
    tx.execute("UPDATE clearing_file SET is_away = 1 WHERE id = $1", params![id.0]).map(drop)
}

pub fn files_of_day(
    tx: &Tx<'_>,
    day: Date,
    merchant: Option<&MerchantCode>,
) -> Result<Vec<LoggedFile>, StoreError> {
    tx.query(
        &format!("{COLUMNS} WHERE day = $1 AND ($2 IS NULL OR merchant = $2) ORDER BY id"),
        params![day, merchant],
        file_row,
    )
}

pub fn accepted_of_day(tx: &Tx<'_>, day: Date) -> Result<Vec<LoggedFile>, StoreError> {
    Ok(files_of_day(tx, day, None)?.into_iter().filter(|file| file.state == FileState::Accepted).collect())
}

/// Files by filter, newest first, with their number and the records of all of them.
pub fn page(
    tx: &Tx<'_>,
    wanted: &FileFilter,
    paging: Paging,
) -> Result<Page<LoggedFile, (u32, Sum)>, StoreError> {
    let mut filter = Filter::default();
    filter
        .when("day =", wanted.day)
        .when("merchant =", wanted.merchant.as_ref())
        .when("state =", wanted.state);
    let totals = tx.query_one(
        &filter.sql(
            "SELECT COUNT(*), COALESCE(SUM(records), 0), COALESCE(SUM(amount), 0) FROM clearing_file",
            "",
        ),
        filter.values(),
        |row| Ok((row.get(0)?, Sum { count: row.get(1)?, amount: row.get(2)? })),
    )?;
    let rest = format!("ORDER BY id DESC LIMIT {} OFFSET {}", paging.rows(), paging.offset());
    let rows = tx.query(&filter.sql(COLUMNS, &rest), filter.values(), file_row)?;
    Ok(Page { rows, totals: totals.unwrap_or_default(), paging })
}

/// Accepted files of days that are not judged yet, oldest first.
pub fn accepted_unjudged(tx: &Tx<'_>) -> Result<Vec<FileId>, StoreError> {
    tx.query(
        "SELECT f.id FROM clearing_file f LEFT JOIN clearing_day d ON d.day = f.day \
         WHERE f.state = 1 AND (d.phase IS NULL OR d.phase < $1) ORDER BY f.id",
        params![Phase::Booked],
        |row| row.get(0).map(FileId),
    )
}

/// Records of the accepted files of a day.
pub fn records_of_day(tx: &Tx<'_>, day: Date) -> Result<u32, StoreError> {
    let sum = tx.query_one(
        "SELECT COALESCE(SUM(records), 0) FROM clearing_file WHERE day = $1 AND state = 1",
        params![day],
        |row| row.get(0),
    )?;
    Ok(sum.unwrap_or(0))
}

pub fn phase(tx: &Tx<'_>, day: Date) -> Result<Phase, StoreError> {
    let phase =
        tx.query_one("SELECT phase FROM clearing_day WHERE day = $1", params![day], |row| row.get(0))?;
    Ok(phase.unwrap_or(Phase::Open))
}

pub fn begin_day(tx: &Tx<'_>, day: Date, at: DateTime) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO clearing_day (day, phase, begun_at) VALUES ($1, $2, $3)",
        params![day, Phase::Judging, at],
    )
    .map(drop)
}

pub fn set_phase(tx: &Tx<'_>, day: Date, phase: Phase) -> Result<(), StoreError> {
    tx.execute("UPDATE clearing_day SET phase = $2 WHERE day = $1", params![day, phase]).map(drop)
}

pub fn end_day(tx: &Tx<'_>, day: Date, at: DateTime) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE clearing_day SET phase = $2, ended_at = $3 WHERE day = $1",
        params![day, Phase::Closed, at],
    )
    .map(drop)
}

pub fn last_begun(tx: &Tx<'_>) -> Result<Option<Date>, StoreError> {
    tx.query_one("SELECT MAX(day) FROM clearing_day", &[], |row| row.get(0)).map(Option::flatten)
}

/// Every day that has files or was begun, newest first, with its phase and moments.
pub type DayTimes = (Date, Phase, Option<DateTime>, Option<DateTime>);

pub fn days(tx: &Tx<'_>) -> Result<Vec<DayTimes>, StoreError> {
    tx.query(
        "SELECT d.day, COALESCE(c.phase, 0), c.begun_at, c.ended_at FROM \
         (SELECT day FROM clearing_file UNION SELECT day FROM clearing_day) d \
         LEFT JOIN clearing_day c ON c.day = d.day ORDER BY d.day DESC",
        &[],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )
}

/// The oldest day before `day` that has accepted files and is not closed.
pub fn open_before(tx: &Tx<'_>, day: Date) -> Result<Option<Date>, StoreError> {
    tx.query_one(
        "SELECT MIN(f.day) FROM clearing_file f LEFT JOIN clearing_day c ON c.day = f.day \
         WHERE f.state = 1 AND f.day < $1 AND (c.phase IS NULL OR c.phase < $2)",
        params![day, Phase::Closed],
        |row| row.get(0),
    )
    .map(Option::flatten)
}

/// Sequence numbers of a day's accepted files by merchant and day in the name, for missing ones.
pub fn sequences(tx: &Tx<'_>, day: Date) -> Result<Vec<(MerchantCode, Date, u32)>, StoreError> {
    tx.query(
        "SELECT DISTINCT merchant, file_day, sequence FROM clearing_file WHERE state = 1 AND file_day IN \
         (SELECT file_day FROM clearing_file WHERE state = 1 AND day = $1) ORDER BY merchant, file_day, sequence",
        params![day],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
}
