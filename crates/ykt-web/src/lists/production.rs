//! Key cards, and batches of PSAMs with what became of every number, from the rooms of the key centre.

use crate::list::{Ask, Column, Filter, FilterKind, Found, List, ListError, Look, Shape};
use crate::lists::cards::terminal_cell;
use crate::view::cell::Cell;
use crate::view::url::segment;
use crate::words::Word;
use ykt_kmc::key_cards::{self, KeyCardFilter, KeyCardRow, KeyCardState};
use ykt_kmc::psams::{self, Batch, BatchFilter, BatchState, Psam, PsamFilter, PsamState};
use ykt_office::people::Permission;
use ykt_store::Tx;

/// The inventory of key cards.
pub struct KeyCards;

impl List for KeyCards {
    type Row = KeyCardRow;
    const PATH: &'static str = "/key-cards";
    const TITLE: &'static str = "nav.key_cards";
    const LEAD: &'static str = "key_cards.lead";
    const EMPTY: &'static str = "key_cards.empty";
    const NEEDS: Permission = super::READ;

    fn columns() -> &'static [Column<KeyCardRow>] {
        type C = Column<KeyCardRow>;
        const COLUMNS: &[C] = &[
            C::new("serial", "key_cards.serial", Shape::Code, |row, _| {
                Cell::text(row.new.serial.to_string()).to(format!("/key-cards/{}", row.new.serial))
            }),
            C::new("state", "key_cards.state", Shape::Text, |row, look| row.state.cell(look.lang)),
            C::new("since", "key_cards.since", Shape::Time, |row, _| Cell::at(row.since)),
            C::new("holder", "key_cards.holder", Shape::Text, |row, _| Cell::text(row.holder.clone())),
            C::new("issued", "key_cards.issued", Shape::Number, |row, _| Cell::number(row.issued())),
            C::new("left", "key_cards.left", Shape::Number, |row, _| Cell::number(row.left)),
            C::new("refused", "key_cards.refused", Shape::Number, |row, _| Cell::number(row.refused)),
            C::new("batch", "key_cards.batch", Shape::Code, |row, _| Cell::text(row.new.batch.clone())),
            C::new("label", "key_cards.label", Shape::Text, |row, _| Cell::text(row.new.label.clone())),
            C::new("profile", "key_cards.profile", Shape::Code, |row, _| {
                Cell::text(row.profile_name.clone())
            })
            .on_demand(),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("text", "key_cards.text", FilterKind::Wide),
            Filter::new("state", "key_cards.state", FilterKind::Choice("state", KeyCardState::CODES)),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<KeyCardRow>, ListError> {
        let filter = KeyCardFilter { text: ask.text("text").map(str::to_owned), state: ask.word("state") };
        let page = key_cards::list(tx, &filter, ask.paging())?;
        Ok(Found { rows: page.rows, count: page.totals, totals: Vec::new() })
    }
}

/// The batches of PSAM production.
pub struct PsamBatches;

impl List for PsamBatches {
    type Row = Batch;
    const PATH: &'static str = "/psam-batches";
    const TITLE: &'static str = "nav.psam_batches";
    const LEAD: &'static str = "psams.lead";
    const EMPTY: &'static str = "psams.empty";
    const NEEDS: Permission = super::READ;

    fn columns() -> &'static [Column<Batch>] {
        type C = Column<Batch>;
        const COLUMNS: &[C] = &[
            C::new("batch", "psams.batch", Shape::Code, |row, _| {
                Cell::text(row.new.id.clone()).to(format!("/psam-batches/{}", segment(&row.new.id)))
            }),
            C::new("state", "psams.state", Shape::Text, |row, look| row.state.cell(look.lang)),
            C::new("count", "psams.count", Shape::Number, |row, _| Cell::number(row.new.count)),
            C::new("produced", "psams.produced", Shape::Number, |row, _| Cell::number(row.counts.produced)),
            C::new("stopped", "psams.stopped", Shape::Number, |row, _| Cell::number(row.counts.stopped)),
            C::new("work", "psams.in_work", Shape::Number, |row, _| Cell::number(row.counts.in_work)),
            C::new("waiting", "psams.waiting", Shape::Number, |row, _| Cell::number(row.counts.waiting)),
            C::new("first", "psams.first", Shape::Code, |row, _| {
                Cell::text(row.new.first_serial.to_string())
            }),
            C::new("label", "psams.label", Shape::Text, |row, _| Cell::text(row.new.label.clone())),
            C::new("opened", "psams.opened", Shape::Time, |row, _| Cell::at(row.opened_at)),
            C::new("closed", "psams.closed", Shape::Time, |row, _| Cell::at(row.closed_at)),
            C::new("who", "psams.who", Shape::Text, |row, _| Cell::text(row.opened_by.clone())).on_demand(),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("text", "psams.text", FilterKind::Wide),
            Filter::new("state", "psams.state", FilterKind::Choice("state", BatchState::CODES)),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<Batch>, ListError> {
        let filter = BatchFilter { text: ask.text("text").map(str::to_owned), state: ask.word("state") };
        let page = psams::batches(tx, &filter, ask.paging())?;
        Ok(Found { rows: page.rows, count: page.totals, totals: Vec::new() })
    }
}

/// Every number of every batch.
pub struct Psams;

impl List for Psams {
    type Row = Psam;
    const PATH: &'static str = "/psams";
    const TITLE: &'static str = "nav.psams";
    const LEAD: &'static str = "psams.list_lead";
    const EMPTY: &'static str = "psams.empty";
    const NEEDS: Permission = super::READ;

    fn columns() -> &'static [Column<Psam>] {
        type C = Column<Psam>;
        const COLUMNS: &[C] = &[
            C::new("serial", "psams.serial", Shape::Code, |row, _| Cell::text(row.serial.to_string())),
            C::new("state", "psams.state", Shape::Text, |row, look| row.state.cell(look.lang)),
            C::new("step", "psams.step", Shape::Text, |row, look| match row.stage {
                Some(stage) if row.state != PsamState::Produced => stage.cell(look.lang),
                _ => Cell::nothing(),
            }),
            C::new("terminal", "psams.terminal", Shape::Code, |row, _| Cell::text(row.terminal.to_string())),
            C::new("pos", "psams.pos", Shape::Code, |row, _| {
                row.pos.map_or_else(Cell::nothing, |pos| terminal_cell(pos.as_str()))
            }),
            C::new("batch", "psams.batch", Shape::Code, |row, _| {
                Cell::text(row.batch.clone()).to(format!("/psam-batches/{}", segment(&row.batch)))
            }),
            C::new("number", "psams.number", Shape::Number, |row, _| Cell::serial(row.number)),
            C::new("ended", "psams.ended", Shape::Time, |row, _| Cell::at(row.ended_at)),
            C::new("who", "psams.who", Shape::Text, |row, _| Cell::text(row.who.clone())),
            C::new("note", "psams.note", Shape::Long, |row, _| Cell::text(row.note.clone())),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("number", "psams.part", FilterKind::Wide),
            Filter::new("batch", "psams.batch", FilterKind::Text),
            Filter::new("state", "psams.state", FilterKind::Choice("state", PsamState::CODES)),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<Psam>, ListError> {
        let filter = PsamFilter {
            batch: ask.text("batch").map(str::to_owned),
            state: ask.word("state"),
            number: ask.text("number").map(str::to_owned),
        };
        let page = psams::list(tx, &filter, ask.paging())?;
        Ok(Found { rows: page.rows, count: page.totals, totals: Vec::new() })
    }
}
