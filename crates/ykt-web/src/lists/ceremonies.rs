//! Ceremonies, for who may read keys.

use crate::list::{Ask, Column, Filter, FilterKind, Found, List, ListError, Look, Shape};
use crate::pages::ceremony;
use crate::view::cell::Cell;
use crate::words::Word;
use ykt_base::hex::Hex;
use ykt_kmc::ceremonies::{self, CeremonyRow, CeremonyState};
use ykt_office::people::Permission;
use ykt_store::Tx;

/// The ceremonies.
pub struct Ceremonies;

/// A check value, or nothing.
pub(crate) fn kcv_cell(kcv: Option<[u8; 3]>) -> Cell {
    kcv.map_or_else(Cell::nothing, |kcv| Cell::text(Hex(&kcv).to_string()))
}

impl List for Ceremonies {
    type Row = CeremonyRow;
    const PATH: &'static str = "/ceremonies";
    const TITLE: &'static str = "nav.ceremonies";
    const LEAD: &'static str = "ceremonies.lead";
    const EMPTY: &'static str = "ceremonies.empty";
    const NEEDS: Permission = Permission::ReadKeys;
    const ACTIONS: &'static [(&'static str, &'static str, Permission)] =
        &[("ceremonies.new", ceremony::NEW, Permission::ManageKeys)];

    fn columns() -> &'static [Column<CeremonyRow>] {
        type C = Column<CeremonyRow>;
        const COLUMNS: &[C] = &[
            C::new("number", "ceremonies.number", Shape::Code, |row, _| {
                Cell::text(row.number.clone()).to(ceremony::href(&row.number))
            }),
            C::new("state", "ceremonies.state", Shape::Text, |row, look| row.state.cell(look.lang)),
            C::new("purpose", "ceremonies.purpose", Shape::Text, |row, look| {
                Cell::named(look.lang, "ceremony-purpose", &row.purpose)
            }),
            C::new("key", "ceremonies.key", Shape::Text, |row, _| Cell::text(row.key.clone())),
            C::new("kcv", "ceremonies.kcv", Shape::Code, |row, _| kcv_cell(row.kcv)),
            C::new("administrator", "ceremonies.administrator", Shape::Code, |row, _| {
                Cell::text(row.administrator.clone())
            }),
            C::new("place", "ceremonies.place", Shape::Text, |row, _| Cell::text(row.place.clone())),
            C::new("began", "ceremonies.began", Shape::Time, |row, _| Cell::at(row.began_at)),
            C::new("ended", "ceremonies.ended", Shape::Time, |row, _| Cell::at(row.ended_at)),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[Filter::new(
            "state",
            "ceremonies.state",
            FilterKind::Choice("ceremony-state", CeremonyState::CODES),
        )];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<CeremonyRow>, ListError> {
        let page = ceremonies::list(tx, ask.word("state"), ask.paging())?;
        Ok(Found { rows: page.rows, count: page.totals, totals: Vec::new() })
    }
}
