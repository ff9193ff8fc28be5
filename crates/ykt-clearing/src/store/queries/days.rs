//! Days, files, bills, transfers, and turnover.

use crate::bill::{Bill, BillState};
use crate::day::Phase;
use crate::payout::{Paid, TransferRow};
use crate::purchase::FileId;
use crate::receive::{FileState, LoggedFile};
use crate::store::{bills as bill_rows, files as file_rows};
use crate::verdict::{Cause, State};
use std::collections::BTreeMap;
use ykt_base::{Date, DateTime, Fen, MerchantCode};
use ykt_files::Sum;
use ykt_store::{Page, Paging, StoreError, Tx, params};

/// A clearing day at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayRow {
    /// The day.
    pub day: Date,
    /// How far its close has come.
    pub phase: Phase,
    /// When its close began.
    pub begun_at: Option<DateTime>,
    /// When it was closed.
    pub ended_at: Option<DateTime>,
    /// Accepted files.
    pub files: u32,
    /// Files that came before.
    pub repeated_files: u32,
    /// Broken files.
    pub broken_files: u32,
    /// Records of the accepted files.
    pub records: Sum,
    /// Confirmed that day.
    pub confirmed: Sum,
    /// Not confirmed that day.
    pub refused: Sum,
    /// Of earlier days, accepted that day.
    pub adjusted: Sum,
    /// Of earlier days, refused for good that day.
    pub adjustment_refused: Sum,
    /// Of the confirmed and adjusted: borne by the operator.
    pub operator: Sum,
    /// Commission of the bills.
    pub commission: Fen,
    /// What the bills come to.
    pub net: Fen,
    /// Sequence numbers that are missing in the files of the days that its files name (`SEQ_GAP`).
    pub missing: Vec<MissingFile>,
}

/// A file that must exist and has not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingFile {
    /// Whose.
    pub merchant: MerchantCode,
    /// Day in its name.
    pub file_day: Date,
    /// Its sequence number.
    pub sequence: u32,
}

/// Every clearing day, newest first.
///
/// # Errors
/// [`StoreError`].
pub fn days(tx: &Tx<'_>) -> Result<Vec<DayRow>, StoreError> {
    file_rows::days(tx)?.into_iter().map(|times| day_row(tx, times)).collect()
}

/// One clearing day; `None` when no file came for it and it was not begun.
///
/// # Errors
/// [`StoreError`].
pub fn day(tx: &Tx<'_>, day: Date) -> Result<Option<DayRow>, StoreError> {
    let times = file_rows::days(tx)?.into_iter().find(|(found, ..)| *found == day);
    times.map(|times| day_row(tx, times)).transpose()
}

fn day_row(tx: &Tx<'_>, times: file_rows::DayTimes) -> Result<DayRow, StoreError> {
    let (day, phase, begun_at, ended_at) = times;
    let files = file_rows::files_of_day(tx, day, None)?;
    let count = |state: FileState| {
        u32::try_from(files.iter().filter(|file| file.state == state).count()).unwrap_or(u32::MAX)
    };
    let accepted = files.iter().filter(|file| file.state == FileState::Accepted);
    let records = accepted.fold(Sum::default(), |sum, file| Sum {
        count: sum.count.saturating_add(file.records),
        amount: Fen::new(sum.amount.fen().saturating_add(file.amount.fen())),
    });
    let bills = bill_rows::of_day(tx, day)?;
    let totals = BillTotals::of(&bills);
    Ok(DayRow {
        day,
        phase,
        begun_at,
        ended_at,
        files: count(FileState::Accepted),
        repeated_files: count(FileState::Repeated),
        broken_files: count(FileState::Broken),
        records,
        confirmed: totals.confirmed,
        refused: totals.refused,
        adjusted: totals.adjusted,
        adjustment_refused: totals.adjustment_refused,
        operator: totals.operator,
        commission: totals.commission,
        net: totals.net,
        missing: missing(tx, day)?,
    })
}

fn missing(tx: &Tx<'_>, day: Date) -> Result<Vec<MissingFile>, StoreError> {
    let mut missing = Vec::new();
    let mut last: Option<(MerchantCode, Date, u32)> = None;
    for (merchant, file_day, sequence) in file_rows::sequences(tx, day)? {
        let before = last.filter(|(m, d, _)| (*m, *d) == (merchant, file_day)).map_or(0, |(.., last)| last);
        let gap = before.saturating_add(1)..sequence;
        missing.extend(gap.map(|sequence| MissingFile { merchant, file_day, sequence }));
        last = Some((merchant, file_day, sequence));
    }
    Ok(missing)
}

/// Which files are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileFilter {
    /// Clearing day they came for.
    pub day: Option<Date>,
    /// Merchant they came from.
    pub merchant: Option<MerchantCode>,
    /// What became of them.
    pub state: Option<FileState>,
}

/// Files, newest first, with the number of files and their records in total.
///
/// # Errors
/// [`StoreError`].
pub fn files(
    tx: &Tx<'_>,
    filter: &FileFilter,
    paging: Paging,
) -> Result<Page<LoggedFile, (u32, Sum)>, StoreError> {
    file_rows::page(tx, filter, paging)
}

/// One file, accepted or not; `None` when there is none of that number.
///
/// # Errors
/// [`StoreError`].
pub fn file(tx: &Tx<'_>, id: FileId) -> Result<Option<LoggedFile>, StoreError> {
    file_rows::file(tx, id)
}

/// Totals of bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BillTotals {
    /// Bills.
    pub bills: u32,
    /// Confirmed.
    pub confirmed: Sum,
    /// Refused.
    pub refused: Sum,
    /// Adjusted.
    pub adjusted: Sum,
    /// Refused on adjustment.
    pub adjustment_refused: Sum,
    /// Borne by the operator.
    pub operator: Sum,
    /// Commission.
    pub commission: Fen,
    /// To be paid.
    pub net: Fen,
}

impl BillTotals {
    /// The totals of these bills; each bill was checked for overflow when it was made.
    #[must_use]
    pub fn of(bills: &[Bill]) -> BillTotals {
        let sum = |part: fn(&Bill) -> Sum| {
            bills.iter().map(part).fold(Sum::default(), |a, b| a.and(b).unwrap_or(a))
        };
        let money = |part: fn(&Bill) -> Fen| {
            Fen::new(bills.iter().map(part).fold(0, |sum, fen| sum.saturating_add(fen.fen())))
        };
        BillTotals {
            bills: u32::try_from(bills.len()).unwrap_or(u32::MAX),
            confirmed: sum(|bill| bill.confirmed),
            refused: sum(|bill| bill.refused),
            adjusted: sum(|bill| bill.adjusted),
            adjustment_refused: sum(|bill| bill.adjustment_refused),
            operator: sum(|bill| bill.operator),
            commission: money(|bill| bill.commission),
            net: money(|bill| bill.net),
        }
    }
}

/// Which bills are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BillFilter {
    /// Clearing day.
    pub day: Option<Date>,
    /// Merchant.
    pub merchant: Option<MerchantCode>,
    /// How far their payment is.
    pub state: Option<BillState>,
    /// Industry of the merchant.
    pub industry: Option<u8>,
}

/// Bills, newest day first, then by merchant.
///
/// # Errors
/// [`StoreError`].
pub fn bills(tx: &Tx<'_>, filter: &BillFilter, paging: Paging) -> Result<Page<Bill, BillTotals>, StoreError> {
    // Bills are few: merchants × days. They are read whole for their totals.
    let mut all = bill_rows::bills(tx, filter.day, filter.merchant.as_ref(), filter.state)?;
    all.retain(|bill| filter.industry.is_none_or(|industry| industry == bill.industry));
    let from = usize::try_from(paging.offset()).unwrap_or(usize::MAX);
    let rows = usize::try_from(paging.rows()).unwrap_or(usize::MAX);
    let totals = BillTotals::of(&all);
    Ok(Page { rows: all.into_iter().skip(from).take(rows).collect(), totals, paging })
}

/// One bill.
///
/// # Errors
/// [`StoreError`].
pub fn bill(tx: &Tx<'_>, day: Date, merchant: &MerchantCode) -> Result<Option<Bill>, StoreError> {
    Ok(bill_rows::bills(tx, Some(day), Some(merchant), None)?.pop())
}

/// Transfers with their payments, newest first.
///
/// # Errors
/// [`StoreError`].
pub fn transfers(tx: &Tx<'_>) -> Result<Vec<(TransferRow, Vec<Paid>)>, StoreError> {
    let rows = bill_rows::transfers(tx)?;
    rows.into_iter().map(|row| bill_rows::payments(tx, &row).map(|paid| (row, paid))).collect()
}

/// Records of one cause and state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CauseRow {
    /// Why.
    pub cause: Cause,
    /// What became of them.
    pub state: State,
    /// How many, and their amounts.
    pub sum: Sum,
}

/// Records with a verdict of their own by cause and state: of the day they came on, or of all days.
///
/// # Errors
/// [`StoreError`].
pub fn by_cause(tx: &Tx<'_>, day: Option<Date>) -> Result<Vec<CauseRow>, StoreError> {
    tx.query(
        "SELECT cause, state, COUNT(*), COALESCE(SUM(amount), 0) FROM clearing_verdict \
         WHERE ($1 IS NULL OR day = $1) GROUP BY cause, state ORDER BY cause, state",
        params![day],
        |row| {
            let sum = Sum { count: row.get(2)?, amount: row.get(3)? };
            Ok(CauseRow { cause: row.get(0)?, state: row.get(1)?, sum })
        },
    )
}

/// What was paid for on a clearing day by hour of the purchase, hours without purchases left out.
///
/// # Errors
/// [`StoreError`].
pub fn by_hour(
    tx: &Tx<'_>,
    day: Date,
    merchant: Option<&MerchantCode>,
) -> Result<Vec<(u8, Sum)>, StoreError> {
    tx.query(
        "SELECT hour, SUM(records), SUM(amount) FROM clearing_hour \
         WHERE day = $1 AND ($2 IS NULL OR merchant = $2) GROUP BY hour ORDER BY hour",
        params![day, merchant],
        |row| Ok((row.get(0)?, Sum { count: row.get(1)?, amount: row.get(2)? })),
    )
}

/// What was paid for on a clearing day by industry of the merchants, confirmed and adjusted.
///
/// # Errors
/// [`StoreError`].
pub fn by_industry(tx: &Tx<'_>, day: Date) -> Result<Vec<(u8, Sum)>, StoreError> {
    let mut found: BTreeMap<u8, Sum> = BTreeMap::new();
    for bill in bill_rows::of_day(tx, day)? {
        let sum = found.entry(bill.industry).or_default();
        *sum = bill.confirmed.and(bill.adjusted).and_then(|paid| sum.and(paid)).unwrap_or(*sum);
    }
    Ok(found.into_iter().collect())
}
