//! Records of purchases: all of them, and those that were not simply accepted.

use crate::list::{Ask, Column, Filter, FilterKind, Found, List, ListError, Look, Shape};
use crate::lists::cards::{card_cell, merchant_cell, terminal_cell};
use crate::view::cell::{Cell, Tone, Value};
use crate::view::url::segment;
use crate::words::Word;
use ykt_clearing::queries::{RecordFilter, RecordRow, RecordSort, Standing, VerdictFilter, records};
use ykt_clearing::{Cause, FileId, State};
use ykt_office::people::Permission;
use ykt_store::{Direction, Tx};

/// All records.
pub struct Records;

/// The records that were not confirmed on the day they came, with their reasons.
pub struct Refusals;

/// Address of a record's page.
#[must_use]
pub fn record_href(id: ykt_clearing::RecordId) -> String {
    format!("/records/{}", id.number())
}

/// What a record is, as a status.
#[must_use]
pub fn standing_cell(row: &RecordRow, look: Look) -> Cell {
    let (slug, tone) = match row.standing {
        Standing::Waiting => ("waiting", Tone::Info),
        Standing::Accepted => ("accepted", Tone::Good),
        Standing::Verdict(State::Accepted) => ("adjusted", Tone::Good),
        Standing::Verdict(state) => (state.slug(), state.tone()),
    };
    Cell::status(look.lang, "verdict", slug, tone)
}

/// Why a record was not simply accepted, with step and clause as tooltip.
#[must_use]
pub fn cause_cell(cause: Cause, look: Look) -> Cell {
    let clause = format!("{} · {} · clearing.md 3", cause.step(), cause.code());
    Cell { code: Some(cause.slug().to_owned()), ..Cell::text(cause.in_words(look.lang)).hint(clause) }
}

type C = Column<RecordRow>;

/// Columns of both lists, by key.
const COLUMNS: &[C] = &[
    C::new("record", "records.record", Shape::Code, |row, _| {
        Cell::text(row.id.number().to_string()).to(record_href(row.id))
    })
    .sortable(),
    C::new("at", "records.at", Shape::Time, |row, _| Cell::at(row.purchase.map(|p| p.at))).sortable(),
    C::new("card", "records.card", Shape::Code, |row, look| {
        row.purchase.map_or_else(Cell::nothing, |p| card_cell(&p.asn, look))
    }),
    C::new("amount", "records.amount", Shape::Amount, |row, _| Cell::new(Value::Amount(row.amount)))
        .sortable(),
    C::new("verdict", "records.verdict", Shape::Text, standing_cell),
    C::new("cause", "records.cause", Shape::Text, |row, look| {
        row.verdict.map_or_else(Cell::nothing, |verdict| cause_cell(verdict.cause, look))
    }),
    C::new("merchant", "records.merchant", Shape::Code, |row, _| merchant_cell(row.merchant.as_str())),
    C::new("pos", "records.pos", Shape::Code, |row, _| {
        row.purchase.map_or_else(Cell::nothing, |p| terminal_cell(p.pos.as_str()))
    }),
    C::new("day", "records.day", Shape::Time, |row, _| Cell::date(row.day)),
    C::new("settled", "records.settled", Shape::Time, |row, _| {
        Cell::date(row.verdict.and_then(|verdict| verdict.settled_day))
    })
    .on_demand(),
    C::new("counter", "records.counter", Shape::Number, |row, _| {
        row.purchase.map_or_else(Cell::nothing, |p| Cell::serial(p.counter.0))
    })
    .on_demand(),
    C::new("before", "records.before", Shape::Amount, |row, _| {
        row.purchase.map_or_else(Cell::nothing, |p| Cell::amount(p.balance_before))
    })
    .on_demand(),
    C::new("terminal", "records.terminal", Shape::Code, |row, _| {
        row.purchase.map_or_else(Cell::nothing, |p| Cell::text(p.terminal.to_string()))
    })
    .on_demand(),
    C::new("sequence", "records.sequence", Shape::Number, |row, _| {
        row.purchase.map_or_else(Cell::nothing, |p| Cell::serial(p.sequence.0))
    })
    .on_demand(),
    C::new("file", "records.file", Shape::Code, |row, _| {
        Cell::text(row.file.clone()).to(format!("/files/{}", row.id.file().0))
    })
    .on_demand(),
];

/// What a record may be filtered by: words for the verdict.
const VERDICTS: &[&str] = &[
    "confirmed",
    "plain",
    "refused-on-arrival",
    "adjusted",
    "adjustment-refused",
    "refused",
    "parked",
    "test",
    "operator-bears",
    "void",
];

fn verdict_of(slug: &str) -> Option<VerdictFilter> {
    Some(match slug {
        "confirmed" => VerdictFilter::ConfirmedOnArrival,
        "plain" => VerdictFilter::Plain,
        "refused-on-arrival" => VerdictFilter::RefusedOnArrival,
        "adjusted" => VerdictFilter::Adjusted,
        "adjustment-refused" => VerdictFilter::AdjustmentRefused,
        other => VerdictFilter::State(State::from_slug(other)?),
    })
}

const FILTERS: &[Filter] = &[
    Filter::new("day", "records.day", FilterKind::Date),
    Filter::new("billed", "records.billed", FilterKind::Date),
    Filter::new("merchant", "records.merchant", FilterKind::Wide),
    Filter::new("card", "records.card", FilterKind::Wide),
    Filter::new("pos", "records.pos", FilterKind::Text),
    Filter::new("verdict", "records.verdict", FilterKind::Choice("verdict", VERDICTS)),
    Filter::new("cause", "records.cause", FilterKind::Choice("cause", Cause::CODES)),
    Filter::new("hour", "records.hour", FilterKind::Carried),
    Filter::new("settled", "records.settled", FilterKind::Carried),
    Filter::new("file", "records.file", FilterKind::Carried),
    Filter::new("terminal", "records.terminal", FilterKind::Carried),
];

fn filter_of(ask: &Ask) -> Result<RecordFilter, ListError> {
    Ok(RecordFilter {
        day: ask.value("day")?,
        settled_day: ask.value("settled")?,
        billed_day: ask.value("billed")?,
        merchant: ask.value("merchant")?,
        asn: ask.value("card")?,
        pos: ask.value("pos")?,
        terminal: ask.value("terminal")?,
        file: ask.value("file")?.map(FileId),
        hour: ask.value("hour")?,
        verdict: ask.text("verdict").and_then(verdict_of),
        cause: ask.word("cause"),
        amount_min: None,
        amount_max: None,
    })
}

fn find(tx: &Tx<'_>, ask: &Ask, filter: &RecordFilter) -> Result<Found<RecordRow>, ListError> {
    let order = ask.order(Direction::Up, |key| {
        Some(match key {
            "record" => RecordSort::Number,
            "at" => RecordSort::At,
            "amount" => RecordSort::Amount,
            _ => return None,
        })
    });
    let page = records(tx, filter, order, ask.paging())?;
    Ok(Found {
        rows: page.rows,
        count: page.totals.count.into(),
        totals: vec![("amount", Value::Amount(page.totals.amount))],
    })
}

impl List for Records {
    type Row = RecordRow;
    const PATH: &'static str = "/records";
    const TITLE: &'static str = "nav.records";
    const LEAD: &'static str = "records.lead";
    const EMPTY: &'static str = "records.empty";
    const NEEDS: Permission = super::READ;

    fn columns() -> &'static [Column<RecordRow>] {
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<RecordRow>, ListError> {
        find(tx, ask, &filter_of(ask)?)
    }
}

impl List for Refusals {
    type Row = RecordRow;
    const PATH: &'static str = "/refusals";
    const TITLE: &'static str = "nav.refusals";
    const LEAD: &'static str = "refusals.lead";
    const EMPTY: &'static str = "refusals.empty";
    const NEEDS: Permission = super::READ;

    fn columns() -> &'static [Column<RecordRow>] {
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("day", "records.day", FilterKind::Date),
            Filter::new("cause", "records.cause", FilterKind::Choice("cause", Cause::CODES)),
            Filter::new("verdict", "records.verdict", FilterKind::Choice("verdict", State::CODES)),
            Filter::new("merchant", "records.merchant", FilterKind::Wide),
            Filter::new("card", "records.card", FilterKind::Wide),
            Filter::new("pos", "records.pos", FilterKind::Text),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<RecordRow>, ListError> {
        let mut filter = filter_of(ask)?;
        // Without a cause or a state: whatever was not confirmed on its day, as the merchants were told.
        if filter.cause.is_none() && filter.verdict.is_none() {
            filter.verdict = Some(VerdictFilter::RefusedOnArrival);
        }
        find(tx, ask, &filter)
    }
}

/// Address of the records of one file.
#[must_use]
pub fn file_records(id: FileId) -> String {
    format!("/records?file={}", segment(&id.0.to_string()))
}
