//! Key download: the batches and how far they are, their cards, and what lines may do.

use crate::list::{Ask, Column, Filter, FilterKind, Found, List, ListError, Look, Shape, sort_and_cut};
use crate::lists::READ;
use crate::lists::cards::card_cell;
use crate::view::cell::{Cell, Tone};
use crate::words::Word;
use ykt_issue::Subject;
use ykt_kmc::download::{self, BatchRow, CardFilter, CardRow, CardState, LineRow, LineState, RightRow};
use ykt_office::people::Permission;
use ykt_store::Tx;

/// The batches.
pub struct Batches;
/// The cards of batches and of counters.
pub struct DownloadCards;
/// The lines.
pub struct Lines;
/// The rights of lines.
pub struct Rights;

fn cards_of(batch: &str) -> String {
    format!("{}?batch={batch}", DownloadCards::PATH)
}

impl List for Batches {
    type Row = BatchRow;
    const PATH: &'static str = "/download-batches";
    const TITLE: &'static str = "nav.download_batches";
    const LEAD: &'static str = "download.batches_lead";
    const EMPTY: &'static str = "download.batches_empty";
    const NEEDS: Permission = READ;

    fn columns() -> &'static [Column<BatchRow>] {
        type C = Column<BatchRow>;
        const COLUMNS: &[C] = &[
            C::new("name", "download.batch", Shape::Code, |row, _| {
                Cell::text(row.name.clone()).to(cards_of(&row.name))
            }),
            C::new("application", "download.application", Shape::Code, |row, _| {
                Cell::text(row.application.clone())
            }),
            C::new("cards", "download.cards", Shape::Number, |row, _| Cell::number(row.progress.cards())),
            C::new("done", "download.done", Shape::Number, |row, _| Cell::number(row.progress.done)),
            C::new("under-way", "download.under_way", Shape::Number, |row, _| {
                Cell::number(row.progress.under_way)
            }),
            C::new("failed", "download.failed", Shape::Number, |row, _| Cell::number(row.progress.failed)),
            C::new("waiting", "download.waiting", Shape::Number, |row, _| Cell::number(row.progress.waiting)),
            C::new("at", "download.loaded_at", Shape::Time, |row, _| Cell::at(row.loaded_at)),
            C::new("by", "download.loaded_by", Shape::Text, |row, _| Cell::text(row.loaded_by.clone())),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        &[]
    }

    fn find(tx: &Tx<'_>, ask: &Ask, look: Look) -> Result<Found<BatchRow>, ListError> {
        Ok(sort_and_cut(download::batches(tx)?, ask, Self::columns(), look, Vec::new()))
    }
}

impl List for DownloadCards {
    type Row = CardRow;
    const PATH: &'static str = "/download-cards";
    const TITLE: &'static str = "nav.download_cards";
    const LEAD: &'static str = "download.cards_lead";
    const EMPTY: &'static str = "download.cards_empty";
    const NEEDS: Permission = READ;

    fn columns() -> &'static [Column<CardRow>] {
        type C = Column<CardRow>;
        const COLUMNS: &[C] = &[
            C::new("card", "download.card", Shape::Code, |row, look| match &row.subject {
                Subject::Card { asn, .. } => card_cell(asn, look),
                Subject::Sam { .. } | Subject::KeyCard { .. } => {
                    Cell::text(download::number_of(&row.subject))
                }
            }),
            C::new("application", "download.application", Shape::Code, |row, _| {
                Cell::text(row.application.clone())
            }),
            C::new("batch", "download.batch", Shape::Code, |row, _| {
                Cell::text(row.batch.clone().unwrap_or_default())
            }),
            C::new("state", "download.state", Shape::Text, |row, look| row.state.cell(look.lang)),
            C::new("line", "download.line", Shape::Code, |row, _| {
                Cell::text(row.line.clone().unwrap_or_default())
            }),
            C::new("attempts", "download.attempts", Shape::Number, |row, _| Cell::number(row.attempts)),
            C::new("begun", "download.begun_at", Shape::Time, |row, _| Cell::at(row.begun_at)),
            C::new("ended", "download.ended_at", Shape::Time, |row, _| Cell::at(row.ended_at)),
            C::new("reason", "download.reason", Shape::Long, |row, _| Cell::text(row.reason.clone())),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("batch", "download.batch", FilterKind::Text),
            Filter::new("line", "download.line", FilterKind::Text),
            Filter::new("application", "download.application", FilterKind::Text),
            Filter::new("state", "download.state", FilterKind::Choice("download-state", CardState::CODES)),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<CardRow>, ListError> {
        let text = |key| ask.text(key).map(str::to_owned);
        let filter = CardFilter {
            application: text("application"),
            batch: text("batch"),
            line: text("line"),
            state: ask.word("state"),
        };
        let page = download::cards(tx, &filter, ask.paging())?;
        Ok(Found { rows: page.rows, count: page.totals, totals: Vec::new() })
    }
}

impl List for Lines {
    type Row = LineRow;
    const PATH: &'static str = "/download-lines";
    const TITLE: &'static str = "nav.download_lines";
    const LEAD: &'static str = "download.lines_lead";
    const EMPTY: &'static str = "download.lines_empty";
    const NEEDS: Permission = READ;

    fn columns() -> &'static [Column<LineRow>] {
        type C = Column<LineRow>;
        const COLUMNS: &[C] = &[
            C::new("name", "download.line", Shape::Code, |row, _| {
                Cell::text(row.name.clone()).to(format!("{}?line={}", Rights::PATH, row.name))
            }),
            C::new("kind", "download.kind", Shape::Text, |row, look| row.kind.cell(look.lang)),
            C::new("state", "download.state", Shape::Text, |row, look| row.state.cell(look.lang)),
            C::new("since", "download.since", Shape::Time, |row, _| Cell::at(row.since)),
            C::new("certificate", "download.certificate", Shape::Code, |row, _| {
                Cell::text(row.certificate.to_string())
            }),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] =
            &[Filter::new("state", "download.state", FilterKind::Choice("line-state", LineState::CODES))];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, look: Look) -> Result<Found<LineRow>, ListError> {
        let mut rows = download::lines(tx)?;
        if let Some(state) = ask.word::<LineState>("state") {
            rows.retain(|row| row.state == state);
        }
        Ok(sort_and_cut(rows, ask, Self::columns(), look, Vec::new()))
    }
}

/// How a right stands.
fn standing(row: &RightRow, look: Look) -> Cell {
    let (code, tone) = match row {
        RightRow { withdrawn: true, .. } => ("withdrawn", Tone::Quiet),
        row if row.left() == 0 => ("used-up", Tone::Quiet),
        _ => ("open", Tone::Good),
    };
    Cell::status(look.lang, "right-state", code, tone)
}

impl List for Rights {
    type Row = RightRow;
    const PATH: &'static str = "/download-rights";
    const TITLE: &'static str = "nav.download_rights";
    const LEAD: &'static str = "download.rights_lead";
    const EMPTY: &'static str = "download.rights_empty";
    const NEEDS: Permission = READ;

    fn columns() -> &'static [Column<RightRow>] {
        type C = Column<RightRow>;
        const COLUMNS: &[C] = &[
            C::new("right", "download.right", Shape::Number, |row, _| Cell::serial(row.id)),
            C::new("line", "download.line", Shape::Code, |row, _| Cell::text(row.right.line.clone())),
            C::new("application", "download.application", Shape::Code, |row, _| {
                Cell::text(row.right.to.to_string())
            }),
            C::new("batch", "download.batch", Shape::Code, |row, _| {
                Cell::text(row.right.to.batch().unwrap_or_default())
            }),
            C::new("quota", "download.quota", Shape::Number, |row, _| Cell::number(row.right.quota)),
            C::new("used", "download.used", Shape::Number, |row, _| Cell::number(row.used)),
            C::new("from", "download.from", Shape::Time, |row, _| Cell::date(row.right.from)),
            C::new("until", "download.until", Shape::Time, |row, _| Cell::date(row.right.until)),
            C::new("state", "download.state", Shape::Text, standing),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[Filter::new("line", "download.line", FilterKind::Text)];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, look: Look) -> Result<Found<RightRow>, ListError> {
        let mut rows = download::rights(tx)?;
        if let Some(line) = ask.text("line") {
            rows.retain(|row| row.right.line == line);
        }
        Ok(sort_and_cut(rows, ask, Self::columns(), look, Vec::new()))
    }
}
