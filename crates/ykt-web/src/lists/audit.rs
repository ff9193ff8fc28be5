//! The audit log, newest first.

use crate::list::{Ask, Column, Filter, FilterKind, Found, List, ListError, Look, Shape};
use crate::lists::cards::{moment_after, moment_from};
use crate::pages::audit as page;
use crate::view::cell::Cell;
use crate::words::Word;
use ykt_office::audit::{self, AuditFilter, AuditRow, Outcome};
use ykt_office::people::Permission;
use ykt_store::Tx;

/// The audit log.
pub struct Audit;

impl List for Audit {
    type Row = AuditRow;
    const PATH: &'static str = "/audit";
    const TITLE: &'static str = "nav.audit";
    const LEAD: &'static str = "audit.lead";
    const EMPTY: &'static str = "audit.empty";
    const NEEDS: Permission = Permission::ReadAudit;
    const WATCHED: Option<&'static str> = Some("audit");
    const ACTIONS: &'static [(&'static str, &'static str, Permission)] =
        &[("audit.chain", page::CHAIN, Permission::ReadAudit)];

    fn columns() -> &'static [Column<AuditRow>] {
        type C = Column<AuditRow>;
        const COLUMNS: &[C] = &[
            C::new("seq", "audit.seq", Shape::Number, |row, _| Cell::serial(row.seq).to(page::href(row.seq))),
            C::new("at", "audit.at", Shape::Time, |row, _| Cell::at(row.at)),
            C::new("who", "audit.who", Shape::Text, |row, _| Cell::text(row.who.clone())),
            C::new("what", "audit.what", Shape::Text, |row, _| Cell::text(row.what.clone())),
            C::new("outcome", "audit.outcome", Shape::Text, |row, look| row.outcome.cell(look.lang)),
            C::new("object", "audit.object", Shape::Code, |row, _| Cell::text(row.object.clone())),
            C::new("detail", "audit.detail", Shape::Long, |row, _| Cell::text(row.detail.clone())),
            C::new("from", "audit.from", Shape::Code, |row, _| Cell::text(row.from.clone())),
            C::new("link", "audit.link", Shape::Code, |row, _| Cell::text(row.link.to_string())).on_demand(),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("from", "audit.day_from", FilterKind::Date),
            Filter::new("until", "audit.day_until", FilterKind::Date),
            Filter::new("who", "audit.who", FilterKind::Text),
            Filter::new("what", "audit.what", FilterKind::Text),
            Filter::new("object", "audit.object", FilterKind::Text),
            Filter::new("text", "audit.text", FilterKind::Wide),
            Filter::new("outcome", "audit.outcome", FilterKind::Choice("state", Outcome::CODES)),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<AuditRow>, ListError> {
        let filter = AuditFilter {
            from: moment_from(ask.value("from")?),
            until: moment_after(ask.value("until")?),
            who: ask.text("who").map(str::to_owned),
            what: ask.text("what").map(str::to_owned),
            object: ask.text("object").map(str::to_owned),
            text: ask.text("text").map(str::to_owned),
            outcome: ask.word("outcome"),
        };
        let page = audit::list(tx, &filter, ask.paging())?;
        Ok(Found { rows: page.rows, count: page.totals, totals: Vec::new() })
    }
}
