//! Clearing days, files, bills and payments.

use crate::list::{Ask, Column, Filter, FilterKind, Found, List, ListError, Look, Shape, sort_and_cut};
use crate::lists::cards::{INDUSTRIES, industry_cell, merchant_cell};
use crate::lists::records::file_records;
use crate::view::cell::{Cell, Value};
use crate::view::url::{segment, with_query};
use crate::words::Word;
use ykt_base::{Date, Fen};
use ykt_clearing::queries::{self, BillFilter, BillTotals, DayRow, FileFilter};
use ykt_clearing::{Bill, BillState, FileState, LoggedFile, Paid, PaymentState, TransferRow};
use ykt_files::Sum;
use ykt_office::people::Permission;
use ykt_store::{PAGE_ROWS_MAX, Paging, Tx};

/// Address of a clearing day's page.
#[must_use]
pub fn day_href(day: Date) -> String {
    format!("/days/{day}")
}

/// Address of a bill's page.
#[must_use]
pub fn bill_href(day: Date, merchant: &str) -> String {
    format!("/bills/{day}/{}", segment(merchant))
}

/// The records of a day that the QS lines count under `verdict`, of one merchant or of all.
#[must_use]
pub fn counted(day: Date, merchant: Option<&str>, verdict: &str) -> String {
    let day = day.to_string();
    let key = if matches!(verdict, "adjusted" | "adjustment-refused") { "settled" } else { "day" };
    let mut pairs = vec![(key, day.as_str()), ("verdict", verdict)];
    pairs.extend(merchant.map(|merchant| ("merchant", merchant)));
    with_query("/records", pairs)
}

fn amount(sum: Sum, href: String) -> Cell {
    if sum.count == 0 { Cell::amount(sum.amount) } else { Cell::amount(sum.amount).to(href) }
}

fn count(sum: Sum, href: String) -> Cell {
    if sum.count == 0 { Cell::number(sum.count) } else { Cell::number(sum.count).to(href) }
}

/// The clearing days, newest first.
pub struct Days;

impl List for Days {
    type Row = DayRow;
    const PATH: &'static str = "/days";
    const TITLE: &'static str = "nav.days";
    const LEAD: &'static str = "days.lead";
    const EMPTY: &'static str = "days.empty";
    const NEEDS: Permission = super::READ;

    fn columns() -> &'static [Column<DayRow>] {
        type C = Column<DayRow>;
        const COLUMNS: &[C] = &[
            C::new("day", "days.day", Shape::Time, |row, _| Cell::date(row.day).to(day_href(row.day)))
                .sortable(),
            C::new("phase", "days.phase", Shape::Text, |row, look| row.phase.cell(look.lang)),
            C::new("files", "days.files", Shape::Number, |row, _| {
                let day = row.day.to_string();
                Cell::number(row.files)
                    .to(with_query("/files", [("day", day.as_str()), ("state", FileState::Accepted.slug())]))
            })
            .sortable(),
            C::new("records", "days.records", Shape::Number, |row, _| {
                count(row.records, with_query("/records", [("day", row.day.to_string().as_str())]))
            })
            .sortable(),
            C::new("received", "days.received", Shape::Amount, |row, _| {
                amount(row.records, with_query("/records", [("day", row.day.to_string().as_str())]))
            })
            .sortable(),
            C::new("confirmed", "days.confirmed", Shape::Amount, |row, _| {
                amount(row.confirmed, counted(row.day, None, "confirmed"))
            })
            .sortable(),
            C::new("refused", "days.refused", Shape::Amount, |row, _| {
                amount(row.refused, counted(row.day, None, "refused-on-arrival"))
            })
            .sortable(),
            C::new("adjusted", "days.adjusted", Shape::Amount, |row, _| {
                amount(row.adjusted, counted(row.day, None, "adjusted"))
            })
            .sortable(),
            C::new("adjustment-refused", "days.adjustment_refused", Shape::Amount, |row, _| {
                amount(row.adjustment_refused, counted(row.day, None, "adjustment-refused"))
            })
            .on_demand(),
            C::new("commission", "days.commission", Shape::Amount, |row, _| Cell::amount(row.commission))
                .sortable(),
            C::new("net", "days.net", Shape::Amount, |row, _| {
                Cell::amount(row.net).to(with_query("/bills", [("day", row.day.to_string().as_str())]))
            })
            .sortable(),
            C::new("ended", "days.ended", Shape::Time, |row, _| Cell::at(row.ended_at)).sortable(),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("from", "days.from", FilterKind::Date),
            Filter::new("until", "days.until", FilterKind::Date),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, look: Look) -> Result<Found<DayRow>, ListError> {
        let (from, until) = (ask.value::<Date>("from")?, ask.value::<Date>("until")?);
        let mut rows = queries::days(tx)?;
        rows.retain(|row| {
            from.is_none_or(|from| from <= row.day) && until.is_none_or(|until| row.day <= until)
        });
        let total = |part: fn(&DayRow) -> Fen| Value::Amount(rows.iter().map(part).sum());
        let whole =
            |part: fn(&DayRow) -> u32| Value::Number(rows.iter().map(|row| i64::from(part(row))).sum());
        let totals = vec![
            ("files", whole(|row| row.files)),
            ("records", whole(|row| row.records.count)),
            ("received", total(|row| row.records.amount)),
            ("confirmed", total(|row| row.confirmed.amount)),
            ("refused", total(|row| row.refused.amount)),
            ("adjusted", total(|row| row.adjusted.amount)),
            ("adjustment-refused", total(|row| row.adjustment_refused.amount)),
            ("commission", total(|row| row.commission)),
            ("net", total(|row| row.net)),
        ];
        Ok(sort_and_cut(rows, ask, Self::columns(), look, totals))
    }
}

/// The files that came.
pub struct Files;

impl List for Files {
    type Row = LoggedFile;
    const PATH: &'static str = "/files";
    const TITLE: &'static str = "nav.files";
    const LEAD: &'static str = "files.lead";
    const EMPTY: &'static str = "files.empty";
    const NEEDS: Permission = super::READ;

    fn columns() -> &'static [Column<LoggedFile>] {
        type C = Column<LoggedFile>;
        const COLUMNS: &[C] = &[
            C::new("name", "files.name", Shape::Code, |row, _| {
                Cell::text(row.name.clone()).to(format!("/files/{}", row.id.0))
            }),
            C::new("state", "files.state", Shape::Text, |row, look| row.state.cell(look.lang)),
            C::new("merchant", "files.merchant", Shape::Code, |row, _| merchant_cell(row.merchant.as_str())),
            C::new("day", "files.day", Shape::Time, |row, _| Cell::date(row.day).to(day_href(row.day))),
            C::new("received", "files.received", Shape::Time, |row, _| Cell::at(row.received_at)),
            C::new("records", "files.records", Shape::Number, |row, _| {
                let cell = Cell::number(row.records);
                if row.records == 0 { cell } else { cell.to(file_records(row.id)) }
            }),
            C::new("amount", "files.amount", Shape::Amount, |row, _| {
                let cell = Cell::amount(row.amount);
                if row.records == 0 { cell } else { cell.to(file_records(row.id)) }
            }),
            C::new("sequence", "files.sequence", Shape::Number, |row, _| {
                row.sequence.map_or_else(Cell::nothing, Cell::serial)
            })
            .on_demand(),
            C::new("reason", "files.reason", Shape::Long, |row, _| Cell::text(row.reason.clone())),
            C::new("hash", "files.hash", Shape::Code, |row, _| Cell::text(row.hash.to_string())).on_demand(),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("day", "files.day", FilterKind::Date),
            Filter::new("merchant", "files.merchant", FilterKind::Wide),
            Filter::new("state", "files.state", FilterKind::Choice("file", FileState::CODES)),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<LoggedFile>, ListError> {
        let filter =
            FileFilter { day: ask.value("day")?, merchant: ask.value("merchant")?, state: ask.word("state") };
        let page = queries::files(tx, &filter, ask.paging())?;
        let (files, records) = page.totals;
        let totals =
            vec![("records", Value::Number(records.count.into())), ("amount", Value::Amount(records.amount))];
        Ok(Found { rows: page.rows, count: files.into(), totals })
    }
}

/// The bills.
pub struct Bills;

impl List for Bills {
    type Row = Bill;
    const PATH: &'static str = "/bills";
    const TITLE: &'static str = "nav.bills";
    const LEAD: &'static str = "bills.lead";
    const EMPTY: &'static str = "bills.empty";
    const NEEDS: Permission = super::READ;

    fn columns() -> &'static [Column<Bill>] {
        type C = Column<Bill>;
        const COLUMNS: &[C] = &[
            C::new("bill", "bills.bill", Shape::Code, |row, _| {
                let merchant = row.merchant.as_str();
                Cell::text(format!("{}/{merchant}", row.day)).to(bill_href(row.day, merchant))
            })
            .sortable(),
            C::new("industry", "bills.industry", Shape::Text, |row, look| industry_cell(row.industry, look)),
            C::new("state", "bills.state", Shape::Text, |row, look| row.state.cell(look.lang)),
            C::new("count", "bills.count", Shape::Number, |row, _| {
                count(row.confirmed, counted(row.day, Some(row.merchant.as_str()), "confirmed"))
            })
            .sortable(),
            C::new("confirmed", "bills.confirmed", Shape::Amount, |row, _| {
                amount(row.confirmed, counted(row.day, Some(row.merchant.as_str()), "confirmed"))
            })
            .sortable(),
            C::new("adjusted", "bills.adjusted", Shape::Amount, |row, _| {
                amount(row.adjusted, counted(row.day, Some(row.merchant.as_str()), "adjusted"))
            })
            .sortable(),
            C::new("gross", "bills.gross", Shape::Amount, |row, _| {
                let (day, merchant) = (row.day.to_string(), row.merchant);
                let pairs = [("billed", day.as_str()), ("merchant", merchant.as_str())];
                Cell::amount(row.gross()).to(with_query("/records", pairs))
            })
            .sortable(),
            C::new("refused", "bills.refused", Shape::Amount, |row, _| {
                amount(row.refused, counted(row.day, Some(row.merchant.as_str()), "refused-on-arrival"))
            })
            .sortable(),
            C::new("adjustment-refused", "bills.adjustment_refused", Shape::Amount, |row, _| {
                let href = counted(row.day, Some(row.merchant.as_str()), "adjustment-refused");
                amount(row.adjustment_refused, href)
            })
            .on_demand(),
            C::new("operator", "bills.operator", Shape::Amount, |row, _| Cell::amount(row.operator.amount))
                .on_demand(),
            C::new("rate", "bills.rate", Shape::Rate, |row, _| Cell::rate(row.commission_ppm)).on_demand(),
            C::new("commission", "bills.commission", Shape::Amount, |row, _| Cell::amount(row.commission))
                .sortable(),
            C::new("net", "bills.net", Shape::Amount, |row, _| {
                Cell::amount(row.net).to(bill_href(row.day, row.merchant.as_str()))
            })
            .sortable(),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("day", "bills.day", FilterKind::Date),
            Filter::new("merchant", "bills.merchant", FilterKind::Wide),
            Filter::new("industry", "bills.industry", FilterKind::Choice("industry", INDUSTRIES)),
            Filter::new("state", "bills.state", FilterKind::Choice("bill-state", BillState::CODES)),
            Filter::new("payment", "bills.payment", FilterKind::Carried),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, look: Look) -> Result<Found<Bill>, ListError> {
        let filter = BillFilter {
            day: ask.value("day")?,
            merchant: ask.value("merchant")?,
            state: ask.word("state"),
            industry: ask.value("industry")?,
        };
        let (mut rows, mut no) = (Vec::new(), 1);
        loop {
            let page = queries::bills(tx, &filter, Paging::new(no, PAGE_ROWS_MAX))?;
            if page.rows.is_empty() {
                break;
            }
            rows.extend(page.rows);
            no += 1;
        }
        if let Some(payment) = ask.text("payment") {
            rows.retain(|bill| {
                bill.payment.is_some_and(|(transfer, no)| payment == payment_name(transfer, no))
            });
        }
        let totals = BillTotals::of(&rows);
        let totals = vec![
            ("count", Value::Number(totals.confirmed.count.into())),
            ("confirmed", Value::Amount(totals.confirmed.amount)),
            ("adjusted", Value::Amount(totals.adjusted.amount)),
            ("gross", Value::Amount(rows.iter().map(Bill::gross).sum())),
            ("refused", Value::Amount(totals.refused.amount)),
            ("adjustment-refused", Value::Amount(totals.adjustment_refused.amount)),
            ("operator", Value::Amount(totals.operator.amount)),
            ("commission", Value::Amount(totals.commission)),
            ("net", Value::Amount(totals.net)),
        ];
        Ok(sort_and_cut(rows, ask, Self::columns(), look, totals))
    }
}

/// A payment in addresses: transfer and record number.
fn payment_name(transfer: i64, record_no: u32) -> String {
    format!("{transfer}-{record_no}")
}

/// A payment with the transfer file it is in.
#[derive(Debug, Clone)]
pub struct PaymentRow {
    /// The file.
    pub transfer: TransferRow,
    /// The payment.
    pub paid: Paid,
}

/// The payments to merchants.
pub struct Payments;

impl List for Payments {
    type Row = PaymentRow;
    const PATH: &'static str = "/payments";
    const TITLE: &'static str = "nav.payments";
    const LEAD: &'static str = "payments.lead";
    const EMPTY: &'static str = "payments.empty";
    const NEEDS: Permission = super::READ;

    fn columns() -> &'static [Column<PaymentRow>] {
        type C = Column<PaymentRow>;
        const COLUMNS: &[C] = &[
            C::new("transfer", "payments.transfer", Shape::Code, |row, _| {
                Cell::text(row.transfer.name.clone())
            })
            .sortable(),
            C::new("no", "payments.no", Shape::Number, |row, _| Cell::serial(row.paid.payment.record_no))
                .sortable(),
            C::new("merchant", "payments.merchant", Shape::Code, |row, _| {
                merchant_cell(row.paid.merchant.as_str())
            })
            .sortable(),
            C::new("state", "payments.state", Shape::Text, |row, look| row.paid.state.cell(look.lang)),
            C::new("amount", "payments.amount", Shape::Amount, |row, _| {
                let cell = Cell::amount(row.paid.payment.amount);
                // The bills of a failed payment have gone into a later one.
                if row.paid.state == PaymentState::Failed {
                    return cell;
                }
                let name = payment_name(row.transfer.id, row.paid.payment.record_no);
                cell.to(with_query("/bills", [("payment", name.as_str())]))
            })
            .sortable(),
            C::new("day", "payments.day", Shape::Time, |row, _| {
                Cell::date(row.transfer.day).to(day_href(row.transfer.day))
            })
            .sortable(),
            C::new("pay-day", "payments.pay_day", Shape::Time, |row, _| Cell::date(row.transfer.pay_day))
                .sortable(),
            C::new("settled", "payments.settled", Shape::Time, |row, _| Cell::at(row.paid.settled_at))
                .sortable(),
            C::new("serial", "payments.serial", Shape::Code, |row, _| {
                Cell::text(row.paid.bank_serial.clone())
            }),
            C::new("reason", "payments.reason", Shape::Long, |row, _| Cell::text(row.paid.reason.clone())),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("day", "payments.day", FilterKind::Date),
            Filter::new("merchant", "payments.merchant", FilterKind::Wide),
            Filter::new("state", "payments.state", FilterKind::Choice("payment-state", PaymentState::CODES)),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, look: Look) -> Result<Found<PaymentRow>, ListError> {
        let (day, merchant) = (ask.value::<Date>("day")?, ask.value::<ykt_base::MerchantCode>("merchant")?);
        let state = ask.word::<PaymentState>("state");
        let rows: Vec<PaymentRow> = queries::transfers(tx)?
            .into_iter()
            .flat_map(|(transfer, all)| {
                all.into_iter().map(move |paid| PaymentRow { transfer: transfer.clone(), paid })
            })
            .filter(|row| day.is_none_or(|day| day == row.transfer.day))
            .filter(|row| merchant.is_none_or(|merchant| merchant == row.paid.merchant))
            .filter(|row| state.is_none_or(|state| state == row.paid.state))
            .collect();
        let total = rows.iter().map(|row| row.paid.payment.amount).sum();
        Ok(sort_and_cut(rows, ask, Self::columns(), look, vec![("amount", Value::Amount(total))]))
    }
}
