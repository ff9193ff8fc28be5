//! What the consoles ask: days, files, bills, records, one card's way, refusals by cause, turnover, gaps.
//!
//! Every list comes with totals of what is filtered, and every figure of a bill or a day leads to the records
//! that sum to it.

mod cards;
mod days;
mod records;

pub use cards::{
    CardHistory, DifferenceRow, GapRow, GapTotals, Unaccepted, card_history, differences, gaps, unaccepted,
};
pub use days::{
    BillFilter, BillTotals, CauseRow, DayRow, FileFilter, MissingFile, bill, bills, by_cause, by_hour,
    by_industry, day, days, file, files, transfers,
};
pub use records::{RecordFilter, RecordRow, RecordSort, Standing, VerdictFilter, line, record, records};
