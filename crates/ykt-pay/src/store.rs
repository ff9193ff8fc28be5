//! Tables of load orders: the order as it stands, every MAC2 given out, every proof, and the timeline.

use crate::channel::Channel;
use crate::decide::{Facts, moved_range};
use crate::order::{Freeze, Order, OrderState, Proof, Step, StepKind};
use std::collections::BTreeMap;
use ykt_base::{Asn8, CardCounter, DateTime, Fen, TerminalId};
use ykt_purse::PurseFen;
use ykt_store::{Direction, Filter, Module, Page, Paging, Row, StoreError, Tx, Value, contains, params};
use ykt_terminal::host::{CardOffer, Credit, OrderId};

/// Steps of one order's timeline; wrong MACs and TACs after that are counted but not written down.
const STEPS_MAX: u32 = 100;
/// The tables of pay, for [`ykt_store::Store::open`].
pub const MODULE: Module = Module { name: "pay", migrations: &[FIRST] };

/// `open_asn` is unique: one card has one MAC2 out. So is a card's credited counter: one step of it, one load.
const FIRST: &str = "
CREATE TABLE load_order (
    id TEXT NOT NULL PRIMARY KEY,
    asn BLOB NOT NULL,
    amount INTEGER NOT NULL,
    channel TEXT NOT NULL,
    state INTEGER NOT NULL,
    paid_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    tac BLOB,
    open_asn BLOB UNIQUE,
    frozen_counter INTEGER,
    frozen_at INTEGER,
    credited_counter INTEGER,
    credited_at INTEGER,
    balance_before INTEGER,
    terminal BLOB
);
CREATE UNIQUE INDEX load_order_card ON load_order (asn, credited_counter);
CREATE TABLE load_freeze (
    order_id TEXT NOT NULL,
    no INTEGER NOT NULL,
    terminal BLOB NOT NULL,
    balance INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    key_version INTEGER NOT NULL,
    algorithm INTEGER NOT NULL,
    random BLOB NOT NULL,
    mac1 BLOB NOT NULL,
    at INTEGER NOT NULL,
    mac2 BLOB NOT NULL,
    PRIMARY KEY (order_id, no)
);
CREATE TABLE load_proof (
    order_id TEXT NOT NULL,
    no INTEGER NOT NULL,
    terminal BLOB NOT NULL,
    balance INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    key_version INTEGER NOT NULL,
    algorithm INTEGER NOT NULL,
    random BLOB NOT NULL,
    mac1 BLOB NOT NULL,
    state INTEGER NOT NULL,
    PRIMARY KEY (order_id, no)
);
CREATE TABLE load_step (
    order_id TEXT NOT NULL,
    no INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (order_id, no)
);
CREATE TABLE load_mac1 (
    asn BLOB NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    last_at INTEGER NOT NULL
);
CREATE TABLE load_settlement (
    channel TEXT NOT NULL,
    day INTEGER NOT NULL,
    gross INTEGER NOT NULL,
    fee INTEGER NOT NULL,
    settled_at INTEGER NOT NULL,
    PRIMARY KEY (channel, day)
);
";

const ORDER: &str =
    "SELECT id, asn, amount, channel, state, paid_at, changed_at, reason, tac FROM load_order";
const OFFER: &str = "terminal, balance, counter, key_version, algorithm, random, mac1";

/// A purse amount that a table holds.
fn purse_amount(row: &Row, column: usize) -> Result<PurseFen, StoreError> {
    let fen: Fen = row.get(column)?;
    PurseFen::try_from(fen).map_err(|error| StoreError::Column {
        sql: ORDER.to_owned(),
        column,
        expected: "an amount that a purse can hold",
        found: error.found.to_string(),
    })
}

/// An order without its freezes and proofs.
fn order_row(row: &Row) -> Result<Order, StoreError> {
    Ok(Order {
        id: row.parse(0)?,
        asn: row.get(1)?,
        amount: purse_amount(row, 2)?,
        channel: row.parse(3)?,
        state: row.get(4)?,
        paid_at: row.get(5)?,
        changed_at: row.get(6)?,
        reason: row.get(7)?,
        tac: row.get(8)?,
        freezes: Vec::new(),
        proofs: Vec::new(),
    })
}

fn offer_row(row: &Row) -> Result<CardOffer, StoreError> {
    Ok(CardOffer {
        terminal: row.get(0)?,
        balance: row.get(1)?,
        counter: row.get(2)?,
        key_version: row.get(3)?,
        algorithm: row.get(4)?,
        random: row.get(5)?,
        mac1: row.get(6)?,
    })
}

/// The order with everything that was said about it.
///
/// # Errors
/// [`StoreError`].
pub(crate) fn find(tx: &Tx, id: &OrderId) -> Result<Option<Order>, StoreError> {
    let Some(order) = tx.query_one(&format!("{ORDER} WHERE id = $1"), params![id.as_str()], order_row)?
    else {
        return Ok(None);
    };
    let sql = format!("SELECT {OFFER}, at, mac2 FROM load_freeze WHERE order_id = $1 ORDER BY no");
    let freezes = tx.query(&sql, params![id.as_str()], |row| {
        Ok(Freeze { offer: offer_row(row)?, credit: Credit { at: row.get(7)?, mac2: row.get(8)? } })
    })?;
    let sql = format!("SELECT {OFFER}, state FROM load_proof WHERE order_id = $1 ORDER BY no");
    let proofs =
        tx.query(&sql, params![id.as_str()], |row| Ok(Proof { offer: offer_row(row)?, state: row.get(7)? }))?;
    Ok(Some(Order { freezes, proofs, ..order }))
}

/// What the decision about an answer of the card needs beside the order.
pub(crate) fn facts(tx: &Tx, order: &Order, found: CardCounter) -> Result<Facts, StoreError> {
    let sql = "SELECT id FROM load_order WHERE open_asn = $1 AND id <> $2";
    let open_elsewhere = tx.query_one(sql, params![&order.asn, order.id.as_str()], |row| row.parse(0))?;
    let moved_by_others = match moved_range(order, found) {
        None => false,
        Some((from, until)) => {
            let sql = "SELECT COUNT(*) FROM load_order
                WHERE asn = $1 AND credited_counter >= $2 AND credited_counter < $3 AND id <> $4";
            let loads =
                tx.query_one(sql, params![&order.asn, from, until, order.id.as_str()], |row| row.get(0))?;
            loads == Some(u32::from(until.0.saturating_sub(from.0)))
        }
    };
    Ok(Facts { open_elsewhere, moved_by_others })
}

/// The moment of the last MAC2 that was given out for a card, by any order.
pub(crate) fn last_frozen_at(tx: &Tx, asn: &Asn8) -> Result<Option<DateTime>, StoreError> {
    let sql = "SELECT MAX(frozen_at) FROM load_order WHERE asn = $1";
    Ok(tx.query_one(sql, params![asn], |row| row.get(0))?.flatten())
}

/// Writes a new order.
pub(crate) fn insert(tx: &Tx, order: &Order) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO load_order (id, asn, amount, channel, state, paid_at, changed_at, reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        params![
            order.id.as_str(),
            &order.asn,
            order.amount.fen(),
            order.channel.as_str(),
            order.state,
            order.paid_at,
            order.changed_at,
            &order.reason,
        ],
    )
    .map(drop)
}

/// Writes the state of an order, with its reason.
pub(crate) fn update(tx: &Tx, order: &Order) -> Result<(), StoreError> {
    let open_asn = order.state.is_open().then_some(&order.asn);
    tx.execute(
        "UPDATE load_order SET state = $2, changed_at = $3, reason = $4, open_asn = $5, frozen_counter = $6,
            frozen_at = $7 WHERE id = $1",
        params![
            order.id.as_str(),
            order.state,
            order.changed_at,
            &order.reason,
            open_asn,
            order.frozen_counter(),
            order.last_freeze().map(|freeze| freeze.credit.at),
        ],
    )
    .map(drop)
}

/// Writes what proved a credited load.
pub(crate) fn set_credited(tx: &Tx, order: &Order, freeze: &Freeze) -> Result<(), StoreError> {
    let Freeze { offer, credit } = freeze;
    tx.execute(
        "UPDATE load_order SET tac = $2, credited_counter = $3, credited_at = $4, balance_before = $5,
            terminal = $6 WHERE id = $1",
        params![
            order.id.as_str(),
            order.tac.as_ref(),
            offer.counter,
            credit.at,
            offer.balance,
            &offer.terminal
        ],
    )
    .map(drop)
}

/// Whether another order of the card was credited with that counter.
pub(crate) fn counter_taken(tx: &Tx, order: &Order, counter: CardCounter) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM load_order WHERE asn = $1 AND credited_counter = $2 AND id <> $3";
    Ok(tx.query_one(sql, params![&order.asn, counter, order.id.as_str()], |row| row.i64(0))?.is_some())
}

/// Adds a MAC2 that was given out, at place `no`.
pub(crate) fn add_freeze(tx: &Tx, order: &OrderId, no: usize, freeze: &Freeze) -> Result<(), StoreError> {
    let Freeze { offer, credit } = freeze;
    let mut values = offer_values(order, no, offer);
    values.extend_from_slice(params![credit.at, &credit.mac2]);
    let sql = format!(
        "INSERT INTO load_freeze (order_id, no, {OFFER}, at, mac2)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    );
    tx.execute(&sql, &values).map(drop)
}

/// Adds what a fresh answer showed, at place `no`.
pub(crate) fn add_proof(tx: &Tx, order: &OrderId, no: usize, proof: &Proof) -> Result<(), StoreError> {
    let mut values = offer_values(order, no, &proof.offer);
    values.push(proof.state.into());
    let sql = format!(
        "INSERT INTO load_proof (order_id, no, {OFFER}, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    );
    tx.execute(&sql, &values).map(drop)
}

/// Order, place, and the columns of [`OFFER`].
fn offer_values<'v>(order: &'v OrderId, no: usize, offer: &'v CardOffer) -> Vec<Value<'v>> {
    let CardOffer { terminal, balance, counter, key_version, algorithm, random, mac1 } = offer;
    let place = i64::try_from(no).unwrap_or(i64::MAX);
    params![order.as_str(), place, terminal, *balance, *counter, *key_version, *algorithm, random, mac1]
        .to_vec()
}

/// Adds a step to the timeline.
pub(crate) fn add_step(tx: &Tx, order: &OrderId, step: &Step) -> Result<(), StoreError> {
    let last = "SELECT MAX(no) FROM load_step WHERE order_id = $1";
    let no = tx.query_one(last, params![order.as_str()], |row| row.get::<Option<u32>>(0))?.flatten();
    let no = no.unwrap_or(0).saturating_add(1);
    if no > STEPS_MAX && matches!(step.kind, StepKind::WrongMac1 | StepKind::WrongTac) {
        return Ok(());
    }
    tx.execute(
        "INSERT INTO load_step (order_id, no, at, kind, state, detail) VALUES ($1, $2, $3, $4, $5, $6)",
        params![order.as_str(), no, step.at, step.kind, step.state, &step.detail],
    )
    .map(drop)
}

/// Orders of the card that were given back although the card's counter has moved since, and no load of ours
/// moved it; those already marked with a reason are left out.
pub(crate) fn contradicted(tx: &Tx, asn: &Asn8, found: CardCounter) -> Result<Vec<OrderId>, StoreError> {
    let sql = "SELECT o.id FROM load_order o
        WHERE o.asn = $1 AND o.state = $2 AND o.reason = '' AND o.frozen_counter < $3
          AND NOT EXISTS (SELECT 1 FROM load_order c WHERE c.asn = $1 AND c.credited_counter = o.frozen_counter)
        ORDER BY o.id";
    tx.query(sql, params![asn, OrderState::GivenBack, found], |row| row.parse(0))
}

/// Counts a wrong MAC1 of the card; answers with how many there were in a row.
pub(crate) fn count_wrong_mac1(tx: &Tx, asn: &Asn8, at: DateTime) -> Result<u32, StoreError> {
    tx.execute(
        "INSERT INTO load_mac1 (asn, failures, last_at) VALUES ($1, 1, $2)
         ON CONFLICT (asn) DO UPDATE SET failures = load_mac1.failures + 1, last_at = excluded.last_at",
        params![asn, at],
    )?;
    mac1_failures(tx, asn)
}

/// Forgets the wrong MAC1s of a card after a right one.
pub(crate) fn clear_wrong_mac1(tx: &Tx, asn: &Asn8) -> Result<(), StoreError> {
    tx.execute("DELETE FROM load_mac1 WHERE asn = $1", params![asn]).map(drop)
}

/// Wrong MAC1s in a row that were sent for a card.
///
/// # Errors
/// [`StoreError`].
pub fn mac1_failures(tx: &Tx, asn: &Asn8) -> Result<u32, StoreError> {
    let sql = "SELECT failures FROM load_mac1 WHERE asn = $1";
    Ok(tx.query_one(sql, params![asn], |row| row.get(0))?.unwrap_or(0))
}

/// An order with its timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderView {
    /// The order with every MAC2 and proof.
    pub order: Order,
    /// What happened, oldest first.
    pub steps: Vec<Step>,
}

/// One order with its timeline.
///
/// # Errors
/// [`StoreError`].
pub fn order(tx: &Tx, id: &OrderId) -> Result<Option<OrderView>, StoreError> {
    let Some(order) = find(tx, id)? else { return Ok(None) };
    let sql = "SELECT at, kind, state, detail FROM load_step WHERE order_id = $1 ORDER BY no";
    let steps = tx.query(sql, params![id.as_str()], |row| {
        Ok(Step { at: row.get(0)?, kind: row.get(1)?, state: row.get(2)?, detail: row.get(3)? })
    })?;
    Ok(Some(OrderView { order, steps }))
}

/// Which orders a list shows; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderFilter {
    /// Part of the order id.
    pub text: Option<String>,
    /// Card number.
    pub asn: Option<Asn8>,
    /// State.
    pub state: Option<OrderState>,
    /// Channel.
    pub channel: Option<Channel>,
    /// First moment of payment.
    pub paid_from: Option<DateTime>,
    /// First moment of payment no longer shown.
    pub paid_until: Option<DateTime>,
}

/// What a list of orders can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OrderSort {
    /// When it was paid.
    #[default]
    PaidAt,
    /// When it last changed.
    ChangedAt,
    /// Amount.
    Amount,
    /// State.
    State,
    /// Order id.
    Id,
}

/// Totals of a list of orders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderTotals {
    /// Orders and their amount in each state that has any.
    pub by_state: BTreeMap<OrderState, (u32, Fen)>,
}

impl OrderTotals {
    /// Orders and their amount over all states.
    #[must_use]
    pub fn all(&self) -> (u32, Fen) {
        let add = |(orders, sum): (u32, Fen), (more, amount): &(u32, Fen)| {
            (orders.saturating_add(*more), sum.checked_add(*amount).unwrap_or(sum))
        };
        self.by_state.values().fold((0, Fen::ZERO), add)
    }
}

/// The orders that pass `filter`, without what card and host proved, with totals by state.
///
/// # Errors
/// [`StoreError`].
pub fn orders(
    tx: &Tx,
    filter: &OrderFilter,
    sort: (OrderSort, Direction),
    paging: Paging,
) -> Result<Page<Order, OrderTotals>, StoreError> {
    let text = contains(filter.text.as_deref());
    let mut conditions = Filter::default();
    conditions
        .when("asn =", filter.asn.as_ref())
        .when("state =", filter.state)
        .when("channel =", filter.channel.as_ref().map(Channel::as_str))
        .when("paid_at >=", filter.paid_from)
        .when("paid_at <", filter.paid_until)
        .when_any_like(&["id"], text.as_ref());
    let select = "SELECT state, COUNT(*), CAST(SUM(amount) AS BIGINT) FROM load_order";
    let by_state = tx.query(&conditions.sql(select, "GROUP BY state"), conditions.values(), |row| {
        Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))
    })?;
    let column = match sort.0 {
        OrderSort::PaidAt => "paid_at",
        OrderSort::ChangedAt => "changed_at",
        OrderSort::Amount => "amount",
        OrderSort::State => "state",
        OrderSort::Id => "id",
    };
    let sql = conditions.page_sql(ORDER, (column, sort.1), "id", paging);
    let rows = tx.query(&sql, conditions.values(), order_row)?;
    Ok(Page { rows, totals: OrderTotals { by_state: by_state.into_iter().collect() }, paging })
}

/// A load that is on a card, as its counter orders it: what clearing needs for the continuity of balances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardLoad {
    /// The order.
    pub order: OrderId,
    /// The card.
    pub asn: Asn8,
    /// The card's online counter before the load.
    pub counter: CardCounter,
    /// Date and time of the load, as card and host signed it.
    pub at: DateTime,
    /// Balance before.
    pub balance_before: Fen,
    /// How much.
    pub amount: Fen,
    /// The load terminal.
    pub terminal: TerminalId,
}

const LOAD: &str =
    "SELECT id, asn, credited_counter, credited_at, balance_before, amount, terminal FROM load_order";

fn load_row(row: &Row) -> Result<CardLoad, StoreError> {
    Ok(CardLoad {
        order: row.parse(0)?,
        asn: row.get(1)?,
        counter: row.get(2)?,
        at: row.get(3)?,
        balance_before: row.get(4)?,
        amount: row.get(5)?,
        terminal: row.get(6)?,
    })
}

/// The loads of one card, in the order of its online counter.
///
/// # Errors
/// [`StoreError`].
pub fn journal(tx: &Tx, asn: &Asn8) -> Result<Vec<CardLoad>, StoreError> {
    let sql = format!("{LOAD} WHERE asn = $1 AND credited_counter IS NOT NULL ORDER BY credited_counter");
    tx.query(&sql, params![asn], load_row)
}

/// Gives every load with a moment from `from` and before `until` to `each`, by card and online counter.
///
/// # Errors
/// [`StoreError`], or the first error of `each`.
pub fn credited_loads<E: From<StoreError>>(
    tx: &Tx,
    from: DateTime,
    until: DateTime,
    mut each: impl FnMut(CardLoad) -> Result<(), E>,
) -> Result<(), E> {
    let sql = format!(
        "{LOAD} WHERE credited_counter IS NOT NULL AND credited_at >= $1 AND credited_at < $2
         ORDER BY asn, credited_counter"
    );
    tx.for_each(&sql, params![from, until], |row| each(load_row(row)?))
}
