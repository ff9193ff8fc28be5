//! Load orders: whose money waits, is on a card, or went back.

use crate::list::{Ask, Column, Filter, FilterKind, Found, List, ListError, Look, Shape};
use crate::lists::cards::{card_cell, moment_after, moment_from};
use crate::view::cell::{Cell, Value};
use crate::view::url::segment;
use crate::words::Word;
use ykt_office::people::Permission;
use ykt_pay::{Order, OrderFilter, OrderSort, OrderState, orders};
use ykt_store::{Direction, Tx};

/// The load orders.
pub struct Loads;

/// Address of an order's page.
#[must_use]
pub fn order_href(id: &str) -> String {
    format!("/loads/{}", segment(id))
}

impl List for Loads {
    type Row = Order;
    const PATH: &'static str = "/loads";
    const TITLE: &'static str = "nav.loads";
    const LEAD: &'static str = "loads.lead";
    const EMPTY: &'static str = "loads.empty";
    const NEEDS: Permission = super::READ;

    fn columns() -> &'static [Column<Order>] {
        type C = Column<Order>;
        const COLUMNS: &[C] = &[
            C::new("order", "loads.order", Shape::Code, |row, _| {
                Cell::text(row.id.as_str()).to(order_href(row.id.as_str()))
            })
            .sortable(),
            C::new("card", "loads.card", Shape::Code, |row, look| card_cell(&row.asn, look)),
            C::new("state", "loads.state", Shape::Text, |row, look| row.state.cell(look.lang)).sortable(),
            C::new("amount", "loads.amount", Shape::Amount, |row, _| Cell::amount(row.amount.fen()))
                .sortable(),
            C::new("channel", "loads.channel", Shape::Text, |row, look| {
                Cell::named(look.lang, "channel", row.channel.as_str())
            }),
            C::new("paid", "loads.paid", Shape::Time, |row, _| Cell::at(row.paid_at)).sortable(),
            C::new("changed", "loads.changed", Shape::Time, |row, _| Cell::at(row.changed_at)).sortable(),
            C::new("reason", "loads.reason", Shape::Long, |row, _| Cell::text(row.reason.clone()))
                .on_demand(),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("from", "loads.from", FilterKind::Date),
            Filter::new("until", "loads.until", FilterKind::Date),
            Filter::new("state", "loads.state", FilterKind::Choice("load", OrderState::CODES)),
            Filter::new("channel", "loads.channel", FilterKind::Text),
            Filter::new("card", "loads.card", FilterKind::Wide),
            Filter::new("text", "loads.order", FilterKind::Wide),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<Order>, ListError> {
        let filter = OrderFilter {
            text: ask.text("text").map(str::to_owned),
            asn: ask.value("card")?,
            state: ask.word("state"),
            channel: ask.value("channel")?,
            paid_from: moment_from(ask.value("from")?),
            paid_until: moment_after(ask.value("until")?),
        };
        let order = ask.order(Direction::Down, |key| {
            Some(match key {
                "order" => OrderSort::Id,
                "state" => OrderSort::State,
                "amount" => OrderSort::Amount,
                "paid" => OrderSort::PaidAt,
                "changed" => OrderSort::ChangedAt,
                _ => return None,
            })
        });
        let page = orders(tx, &filter, order, ask.paging())?;
        let (count, amount) = page.totals.all();
        Ok(Found { rows: page.rows, count: count.into(), totals: vec![("amount", Value::Amount(amount))] })
    }
}
