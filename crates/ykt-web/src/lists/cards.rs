//! Cards, terminals, merchants and the black list, from the registers of the office.

use crate::list::{Ask, CardNumbers, Column, Filter, FilterKind, Found, List, ListError, Look, Shape};
use crate::view::cell::Cell;
use crate::view::url::segment;
use crate::words::Word;
use ykt_base::{Asn8, Date, DateTime};
use ykt_office::blacklist::{self, ListEntry, ListFilter, ListKind};
use ykt_office::cards::{self, CardFilter, CardKind, CardRow, CardSort, CardState};
use ykt_office::merchants::{self, MerchantFilter, MerchantRow, MerchantSort};
use ykt_office::people::Permission;
use ykt_office::terminals::{self, TerminalFilter, TerminalRow, TerminalSort, TerminalState};
use ykt_store::{Direction, Tx};

/// A card number as this person may see it; whoever sees all of it also gets the way to the card.
#[must_use]
pub fn card_cell(asn: &Asn8, look: Look) -> Cell {
    match look.cards {
        CardNumbers::Whole => Cell::text(asn.to_string()).to(format!("/cards/{asn}")),
        CardNumbers::Masked => Cell::text(asn.masked().to_string()),
    }
}

/// A merchant by code, leading to it.
#[must_use]
pub fn merchant_cell(code: &str) -> Cell {
    Cell::text(code).to(format!("/merchants/{}", segment(code)))
}

/// A terminal by its POS number, leading to it.
#[must_use]
pub fn terminal_cell(pos: &str) -> Cell {
    Cell::text(pos).to(format!("/terminals/{}", segment(pos)))
}

/// The industry of a file name's two digits.
#[must_use]
pub fn industry_cell(industry: u8, look: Look) -> Cell {
    let code = format!("{industry:02}");
    Cell::named(look.lang, "industry", &code).hint(code)
}

/// Codes of the industries that have a name (`clearing.md` 2.1).
pub const INDUSTRIES: &[&str] = &["01", "02", "03", "04", "05", "06", "07", "08"];

/// The first moment of a day.
pub(super) fn moment_from(day: Option<Date>) -> Option<DateTime> {
    day.map(DateTime::start_of)
}

/// The first moment after a day.
pub(super) fn moment_after(day: Option<Date>) -> Option<DateTime> {
    day.and_then(|day| day.plus_days(1)).map(DateTime::start_of)
}

/// The card register.
pub struct Cards;

impl List for Cards {
    type Row = CardRow;
    const PATH: &'static str = "/cards";
    const TITLE: &'static str = "nav.card_list";
    const LEAD: &'static str = "cards.lead";
    const EMPTY: &'static str = "cards.empty";
    const NEEDS: Permission = super::READ;

    fn columns() -> &'static [Column<CardRow>] {
        type C = Column<CardRow>;
        const COLUMNS: &[C] = &[
            C::new("card", "cards.number", Shape::Code, |row, look| card_cell(&row.card.asn, look))
                .sortable(),
            C::new("state", "cards.state", Shape::Text, |row, look| row.state.cell(look.lang)).sortable(),
            C::new("since", "cards.since", Shape::Time, |row, _| Cell::at(row.state_since)).sortable(),
            C::new("kind", "cards.kind", Shape::Text, |row, look| {
                Cell::named(look.lang, "kind", row.card.kind.slug())
            }),
            C::new("type", "cards.type", Shape::Code, |row, _| {
                Cell::text(format!("{:02}/{:02}", row.card.main_type, row.card.sub_type))
            }),
            C::new("issued", "cards.issued", Shape::Time, |row, _| Cell::at(row.issued_at)).sortable(),
            C::new("start", "cards.start", Shape::Time, |row, _| Cell::date(row.card.start)).on_demand(),
            C::new("expiry", "cards.expiry", Shape::Time, |row, _| Cell::date(row.card.expiry)).sortable(),
            C::new("factor", "cards.factor", Shape::Code, |row, _| Cell::text(row.card.factor.to_string()))
                .on_demand(),
            C::new("key", "cards.key_version", Shape::Number, |row, _| Cell::serial(row.card.key_version.0))
                .on_demand(),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("number", "cards.number_begins", FilterKind::Wide),
            Filter::new("state", "cards.state", FilterKind::Choice("state", CardState::CODES)),
            Filter::new("kind", "cards.kind", FilterKind::Choice("kind", CardKind::CODES)),
            Filter::new("issued-from", "cards.issued_from", FilterKind::Date),
            Filter::new("issued-until", "cards.issued_until", FilterKind::Date),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<CardRow>, ListError> {
        let filter = CardFilter {
            number: ask.value("number")?,
            state: ask.word("state"),
            kind: ask.word("kind"),
            issued_from: moment_from(ask.value("issued-from")?),
            issued_until: moment_after(ask.value("issued-until")?),
        };
        let order = ask.order(Direction::Up, |key| {
            Some(match key {
                "card" => CardSort::Number,
                "state" => CardSort::State,
                "since" => CardSort::StateSince,
                "issued" => CardSort::IssuedAt,
                "expiry" => CardSort::Expiry,
                _ => return None,
            })
        });
        let page = cards::list(tx, &filter, order, ask.paging())?;
        Ok(Found { rows: page.rows, count: page.totals.count().into(), totals: Vec::new() })
    }
}

/// The terminal register.
pub struct Terminals;

impl List for Terminals {
    type Row = TerminalRow;
    const PATH: &'static str = "/terminals";
    const TITLE: &'static str = "nav.terminals";
    const LEAD: &'static str = "terminals.lead";
    const EMPTY: &'static str = "terminals.empty";
    const NEEDS: Permission = super::READ;

    fn columns() -> &'static [Column<TerminalRow>] {
        type C = Column<TerminalRow>;
        const COLUMNS: &[C] = &[
            C::new("pos", "terminals.pos", Shape::Code, |row, _| terminal_cell(row.pos.as_str())).sortable(),
            C::new("merchant", "terminals.merchant", Shape::Code, |row, _| {
                merchant_cell(row.merchant.as_str())
            })
            .sortable(),
            C::new("state", "terminals.state", Shape::Text, |row, look| row.state.cell(look.lang)).sortable(),
            C::new("since", "terminals.since", Shape::Time, |row, _| Cell::at(row.state_since)).sortable(),
            C::new("terminal", "terminals.terminal_id", Shape::Code, |row, _| {
                row.pair.map_or_else(Cell::nothing, |pair| Cell::text(pair.terminal_id.to_string()))
            }),
            C::new("psam", "terminals.psam", Shape::Code, |row, _| {
                row.pair.map_or_else(Cell::nothing, |pair| Cell::text(pair.psam_serial.to_string()))
            }),
            C::new("paired", "terminals.paired", Shape::Time, |row, _| {
                Cell::at(row.pair.map(|pair| pair.from))
            }),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("pos", "terminals.pos", FilterKind::Text),
            Filter::new("merchant", "terminals.merchant", FilterKind::Wide),
            Filter::new("state", "terminals.state", FilterKind::Choice("state", TerminalState::CODES)),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<TerminalRow>, ListError> {
        let filter = TerminalFilter {
            pos: ask.value("pos")?,
            merchant: ask.value("merchant")?,
            state: ask.word("state"),
        };
        let order = ask.order(Direction::Up, |key| {
            Some(match key {
                "pos" => TerminalSort::Pos,
                "merchant" => TerminalSort::Merchant,
                "state" => TerminalSort::State,
                "since" => TerminalSort::StateSince,
                _ => return None,
            })
        });
        let page = terminals::list(tx, &filter, order, ask.paging())?;
        Ok(Found { rows: page.rows, count: page.totals.count().into(), totals: Vec::new() })
    }
}

/// The merchants with the contract in force last.
pub struct Merchants;

impl List for Merchants {
    type Row = MerchantRow;
    const PATH: &'static str = "/merchants";
    const TITLE: &'static str = "nav.merchants";
    const LEAD: &'static str = "merchants.lead";
    const EMPTY: &'static str = "merchants.empty";
    const NEEDS: Permission = super::READ;

    fn columns() -> &'static [Column<MerchantRow>] {
        type C = Column<MerchantRow>;
        const COLUMNS: &[C] = &[
            C::new("code", "merchants.code", Shape::Code, |row, _| merchant_cell(row.merchant.code.as_str()))
                .sortable(),
            C::new("name", "merchants.name", Shape::Text, |row, look| {
                Cell::text(look.lang.pick(&row.merchant.name_zh, &row.merchant.name_en))
            })
            .sortable(),
            C::new("industry", "merchants.industry", Shape::Text, |row, look| {
                industry_cell(row.merchant.industry, look)
            })
            .sortable(),
            C::new("commission", "merchants.commission", Shape::Rate, |row, _| {
                row.contracts.last().map_or_else(Cell::nothing, |c| Cell::rate(c.commission_ppm))
            }),
            C::new("from", "merchants.from", Shape::Time, |row, _| {
                Cell::date(row.contracts.last().map(|c| c.from))
            }),
            C::new("until", "merchants.until", Shape::Time, |row, _| {
                Cell::date(row.contracts.last().and_then(|c| c.until))
            })
            .on_demand(),
            C::new("bank", "merchants.bank", Shape::Text, |row, _| {
                row.contracts.last().map_or_else(Cell::nothing, |c| Cell::text(c.account.bank.clone()))
            }),
            C::new("account", "merchants.account_no", Shape::Code, |row, _| {
                row.contracts.last().map_or_else(Cell::nothing, |c| Cell::text(c.account.account_no.clone()))
            })
            .on_demand(),
            C::new("address", "merchants.address", Shape::Long, |row, _| {
                Cell::text(row.merchant.address.clone())
            })
            .on_demand(),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("text", "merchants.text", FilterKind::Wide),
            Filter::new("industry", "merchants.industry", FilterKind::Choice("industry", INDUSTRIES)),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, look: Look) -> Result<Found<MerchantRow>, ListError> {
        let filter =
            MerchantFilter { text: ask.text("text").map(str::to_owned), industry: ask.value("industry")? };
        let order = ask.order(Direction::Up, |key| {
            Some(match (key, look.lang) {
                ("code", _) => MerchantSort::Code,
                ("name", crate::i18n::Lang::Zh) => MerchantSort::NameZh,
                ("name", crate::i18n::Lang::En) => MerchantSort::NameEn,
                ("industry", _) => MerchantSort::Industry,
                _ => return None,
            })
        });
        let page = merchants::list(tx, &filter, order, ask.paging())?;
        Ok(Found { rows: page.rows, count: page.totals, totals: Vec::new() })
    }
}

/// The black list as it stands.
pub struct Blacklist;

impl List for Blacklist {
    type Row = ListEntry;
    const PATH: &'static str = "/blacklist";
    const TITLE: &'static str = "nav.blacklist";
    const LEAD: &'static str = "blacklist.lead";
    const EMPTY: &'static str = "blacklist.empty";
    const NEEDS: Permission = super::READ;

    fn columns() -> &'static [Column<ListEntry>] {
        type C = Column<ListEntry>;
        const COLUMNS: &[C] = &[
            C::new("card", "blacklist.card", Shape::Code, |row, look| card_cell(&row.asn, look)),
            C::new("kind", "blacklist.kind", Shape::Text, |row, look| row.kind.cell(look.lang)),
            C::new("since", "blacklist.since", Shape::Time, |row, _| Cell::at(row.since)),
            C::new("version", "blacklist.version", Shape::Number, |row, _| Cell::serial(row.version.0)),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("card", "blacklist.card", FilterKind::Wide),
            Filter::new("kind", "blacklist.kind", FilterKind::Choice("kind", ListKind::CODES)),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<ListEntry>, ListError> {
        let filter = ListFilter { kind: ask.word("kind"), asn: ask.value("card")? };
        let page = blacklist::list(tx, &filter, ask.paging())?;
        Ok(Found { rows: page.rows, count: page.totals, totals: Vec::new() })
    }
}
