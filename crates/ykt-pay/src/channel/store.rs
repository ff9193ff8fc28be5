//! Tables of what channels settle.

use super::{Channel, ChannelDay, Settlement};
use crate::order::OrderState;
use ykt_base::{Date, DateTime};
use ykt_store::{Direction, Filter, Page, Paging, Row, StoreError, Tx, params};

const COLUMNS: &str = "SELECT channel, day, gross, fee, settled_at FROM load_settlement";

fn settlement_row(row: &Row) -> Result<Settlement, StoreError> {
    Ok(Settlement {
        channel: row.parse(0)?,
        day: row.get(1)?,
        gross: row.get(2)?,
        fee: row.get(3)?,
        settled_at: row.get(4)?,
    })
}

/// What a channel settled for one day.
pub(crate) fn find(tx: &Tx, channel: &Channel, day: Date) -> Result<Option<Settlement>, StoreError> {
    let sql = format!("{COLUMNS} WHERE channel = $1 AND day = $2");
    tx.query_one(&sql, params![channel.as_str(), day], settlement_row)
}

pub(crate) fn insert(tx: &Tx, settlement: &Settlement) -> Result<(), StoreError> {
    let Settlement { channel, day, gross, fee, settled_at } = settlement;
    tx.execute(
        "INSERT INTO load_settlement (channel, day, gross, fee, settled_at) VALUES ($1, $2, $3, $4, $5)",
        params![channel.as_str(), *day, *gross, *fee, *settled_at],
    )
    .map(drop)
}

/// What channels settled, the latest day first.
///
/// # Errors
/// [`StoreError`].
pub fn settlements(
    tx: &Tx,
    channel: Option<&Channel>,
    paging: Paging,
) -> Result<Page<Settlement>, StoreError> {
    let mut conditions = Filter::default();
    conditions.when("channel =", channel.map(Channel::as_str));
    conditions.page(tx, COLUMNS, ("day", Direction::Down), "channel", paging, settlement_row)
}

/// What went through a channel by the orders paid on `day`.
///
/// # Errors
/// [`StoreError`].
pub fn day(tx: &Tx, channel: &Channel, day: Date) -> Result<ChannelDay, StoreError> {
    let from = DateTime::start_of(day);
    let until = day.plus_days(1).map(DateTime::start_of);
    let mut conditions = Filter::default();
    conditions
        .when("channel =", Some(channel.as_str()))
        .when("paid_at >=", Some(from))
        .when("paid_at <", until);
    let sql = conditions.sql(
        "SELECT state, COUNT(*), CAST(SUM(amount) AS BIGINT) FROM load_order",
        "GROUP BY state ORDER BY state",
    );
    let by_state = tx.query(&sql, conditions.values(), |row| {
        Ok((row.get::<OrderState>(0)?, row.get::<u32>(1)?, row.get(2)?))
    })?;
    let mut sum = ChannelDay::default();
    for (state, orders, amount) in by_state {
        sum.orders = sum.orders.saturating_add(orders);
        sum.paid = sum.paid.checked_add(amount).unwrap_or(sum.paid);
        if state == OrderState::GivenBack {
            (sum.orders_given_back, sum.given_back) = (orders, amount);
        }
    }
    Ok(sum)
}
