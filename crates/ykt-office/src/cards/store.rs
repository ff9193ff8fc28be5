//! Tables of the card register.

use super::{
    Alive, CardEvent, CardEventRow, CardFilter, CardRow, CardSort, CardState, CardTotals, NewCard, Registered,
};
use crate::act::Act;
use crate::audit::{self, Outcome};
use crate::blacklist::{self, ListKind, ListOp};
use crate::store::RegisterError;
use ykt_base::{Asn8, DateTime};
use ykt_store::{Direction, Filter, Page, Paging, Row, StoreError, Tx, params};

/// Largest card type; two digits in the files of `clearing.md` 2.1.
const TYPE_MAX: u8 = 99;
const COLUMNS: &str = "SELECT asn, factor, main_type, sub_type, kind, key_version, start_day, expiry_day,
    state, state_since, issued_at FROM office_card";

fn card_row(row: &Row) -> Result<CardRow, StoreError> {
    Ok(CardRow {
        card: NewCard {
            asn: row.get(0)?,
            factor: row.get(1)?,
            main_type: row.get(2)?,
            sub_type: row.get(3)?,
            kind: row.get(4)?,
            key_version: row.get(5)?,
            start: row.get(6)?,
            expiry: row.get(7)?,
        },
        state: row.get(8)?,
        state_since: row.get(9)?,
        issued_at: row.get(10)?,
    })
}

/// Takes cards into the register, not enabled yet. A card that is there with the same content is passed over,
/// so a batch can be repeated.
///
/// # Errors
/// [`RegisterError::Conflict`] when a card is there with other content, [`RegisterError::Field`] for a type
/// above 99 or a validity that ends before it starts; then none is taken.
pub fn register(tx: &Tx, cards: &[NewCard], act: &Act) -> Result<Registered, RegisterError> {
    cards.iter().try_for_each(check)?;
    let inserted = tx.execute_many(
        "INSERT INTO office_card (asn, factor, main_type, sub_type, kind, key_version, start_day, expiry_day,
            state, state_since, issued_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL) ON CONFLICT (asn) DO NOTHING",
        cards.iter().map(|card| {
            let NewCard { asn, factor, main_type, sub_type, kind, key_version, start, expiry } = card;
            let state = CardState::NotEnabled;
            [
                asn.into(),
                factor.into(),
                (*main_type).into(),
                (*sub_type).into(),
                (*kind).into(),
                (*key_version).into(),
                (*start).into(),
                (*expiry).into(),
                state.into(),
                act.at.into(),
            ]
        }),
    )?;
    let registered = Registered {
        added: u32::try_from(inserted).unwrap_or(u32::MAX),
        repeated: u32::try_from(cards.len().saturating_sub(inserted)).unwrap_or(u32::MAX),
    };
    if registered.repeated > 0 {
        cards.iter().try_for_each(|asked| same_content(tx, asked))?;
    }
    if registered.added > 0 {
        let object = format!("{} cards", registered.added);
        audit::append(tx, act, "card/register", &object, Outcome::Done, "")?;
    }
    Ok(registered)
}

fn check(card: &NewCard) -> Result<(), RegisterError> {
    let wrong = |field, expected, found| {
        Err(RegisterError::Field { what: "card", id: card.asn.masked().to_string(), field, expected, found })
    };
    if card.main_type > TYPE_MAX || card.sub_type > TYPE_MAX {
        return wrong("type", "0 to 99", format!("{}/{}", card.main_type, card.sub_type));
    }
    if card.expiry < card.start {
        return wrong("last day", "not before the first day", format!("{} to {}", card.start, card.expiry));
    }
    Ok(())
}

fn same_content(tx: &Tx, asked: &NewCard) -> Result<(), RegisterError> {
    let found = require(tx, &asked.asn)?.card;
    if found == *asked {
        return Ok(());
    }
    Err(RegisterError::Conflict {
        what: "card",
        id: asked.asn.masked().to_string(),
        differs: "content",
        found: format!("{found}"),
        asked: format!("{asked}"),
    })
}

/// The card.
///
/// # Errors
/// [`StoreError`].
pub fn card(tx: &Tx, asn: &Asn8) -> Result<Option<CardRow>, StoreError> {
    tx.query_one(&format!("{COLUMNS} WHERE asn = $1"), params![asn], card_row)
}

fn require(tx: &Tx, asn: &Asn8) -> Result<CardRow, RegisterError> {
    card(tx, asn)?.ok_or_else(|| RegisterError::unknown_card(asn))
}

/// All cards by number, one at a time: for what goes through the whole register.
///
/// # Errors
/// [`StoreError`].
pub fn for_each(tx: &Tx, mut each: impl FnMut(CardRow)) -> Result<(), StoreError> {
    tx.for_each(&format!("{COLUMNS} ORDER BY asn"), &[], |row| {
        each(card_row(row)?);
        Ok(())
    })
}

/// How many cards the register holds.
///
/// # Errors
/// [`StoreError`].
pub fn count(tx: &Tx) -> Result<u32, StoreError> {
    Ok(tx.query_one("SELECT COUNT(*) FROM office_card", &[], |row| row.get(0))?.unwrap_or(0))
}

/// How many cards people may hold. It reads an index, not the register.
///
/// # Errors
/// [`StoreError`].
pub fn count_alive(tx: &Tx, which: Alive) -> Result<u64, StoreError> {
    let conditions = which.conditions();
    let sql = conditions.sql("SELECT COUNT(*) FROM office_card", "");
    Ok(tx.query_one(&sql, conditions.values(), |row| row.get::<u32>(0))?.unwrap_or(0).into())
}

/// The numbers of the cards that people may hold, in their order.
///
/// # Errors
/// [`StoreError`].
pub fn numbers_alive(tx: &Tx, which: Alive) -> Result<Vec<Asn8>, StoreError> {
    let conditions = which.conditions();
    let sql = conditions.sql("SELECT asn FROM office_card", "");
    let mut numbers = tx.query(&sql, conditions.values(), |row| row.get(0))?;
    numbers.sort_unstable();
    Ok(numbers)
}

impl Alive {
    fn conditions(&self) -> Filter<'_> {
        let mut conditions = Filter::default();
        conditions
            .when("state <>", Some(CardState::Void))
            .when("state <>", Some(CardState::Cancelled))
            .when("factor =", self.factor.as_ref())
            .when("main_type =", self.main_type);
        conditions
    }
}

/// Lets `event` happen to a card at `act.at`, with what follows for losses and the black list. The same event
/// by the same person at the same moment again changes nothing.
///
/// # Errors
/// [`RegisterError::Unknown`], or [`RegisterError::Illegal`] with what the card's state allows.
pub fn change(
    tx: &Tx,
    asn: &Asn8,
    event: CardEvent,
    note: &str,
    act: &Act,
) -> Result<CardRow, RegisterError> {
    let change = Change { event, effective_at: act.at, note };
    let (row, done) = change_one(tx, asn, &change, act)?;
    if done {
        audit_change(tx, event, &asn.masked().to_string(), note, act)?;
    }
    Ok(row)
}

/// Hands cards to their holders, thousands at a time, with one record in the audit log.
///
/// # Errors
/// As [`change`]; then none is issued.
pub fn issue(tx: &Tx, cards: &[Asn8], act: &Act) -> Result<(), RegisterError> {
    let change = Change { event: CardEvent::Issue, effective_at: act.at, note: "" };
    let mut issued = 0u32;
    for asn in cards {
        let (_, done) = change_one(tx, asn, &change, act)?;
        issued = issued.saturating_add(u32::from(done));
    }
    if issued > 0 {
        audit_change(tx, CardEvent::Issue, &format!("{issued} cards"), "", act)?;
    }
    Ok(())
}

/// Reports the loss of a card that takes effect at `effective_at`; the list names it from now on. A loss that
/// was pre-reported keeps its earlier moment.
///
/// # Errors
/// As [`change`]; [`RegisterError::Field`] when `effective_at` lies before the end of an earlier loss.
pub fn report_loss(tx: &Tx, asn: &Asn8, effective_at: DateTime, act: &Act) -> Result<CardRow, RegisterError> {
    let change = Change { event: CardEvent::ReportLoss, effective_at, note: "" };
    let (row, done) = change_one(tx, asn, &change, act)?;
    if done {
        let detail = format!("takes effect {effective_at}");
        audit_change(tx, CardEvent::ReportLoss, &asn.masked().to_string(), &detail, act)?;
    }
    Ok(row)
}

/// A terminal refused a card of the black list and locked it: the card leaves the list, which has room for
/// others then; a card in use is locked in the register too (`clearing.md` 2.1, lock feedback).
///
/// # Errors
/// [`RegisterError::Unknown`].
pub fn lock_reported(tx: &Tx, asn: &Asn8, act: &Act) -> Result<CardRow, RegisterError> {
    let row = require(tx, asn)?;
    let row = match row.state.after(CardEvent::Lock) {
        Ok(_) => change(tx, asn, CardEvent::Lock, "reported by a terminal", act)?,
        Err(_) => row,
    };
    let before = blacklist::version(tx)?;
    if blacklist::change(tx, asn, ListOp::Delete, act.at)? != before {
        audit::append(tx, act, "list/locked by terminal", &asn.masked().to_string(), Outcome::Done, "")?;
    }
    Ok(row)
}

/// Takes back pre-reports of loss that nobody confirmed within `days` (`clearing.md` 10); answers with how many.
///
/// # Errors
/// [`StoreError`] inside [`RegisterError`].
pub fn lapse_pre_reports(tx: &Tx, days: u16, act: &Act) -> Result<u32, RegisterError> {
    let seconds = i64::from(days).saturating_mul(86_400).saturating_neg();
    let Some(limit) = act.at.plus_seconds(seconds) else { return Ok(0) };
    let sql = "SELECT asn FROM office_card WHERE state = $1 AND state_since <= $2 ORDER BY asn";
    let lapsed: Vec<Asn8> = tx.query(sql, params![CardState::LossPreReported, limit], |row| row.get(0))?;
    for asn in &lapsed {
        change(tx, asn, CardEvent::RemoveLoss, "pre-report not confirmed in time", act)?;
    }
    Ok(u32::try_from(lapsed.len()).unwrap_or(u32::MAX))
}

/// What is to happen to a card.
struct Change<'a> {
    event: CardEvent,
    /// Of a loss.
    effective_at: DateTime,
    note: &'a str,
}

/// The card after the change, and whether it changed: `false` when this very event stands already.
fn change_one(tx: &Tx, asn: &Asn8, change: &Change<'_>, act: &Act) -> Result<(CardRow, bool), RegisterError> {
    let row = require(tx, asn)?;
    let last = tx.query_one(
        "SELECT seq, at, event, who FROM office_card_event WHERE asn = $1 ORDER BY seq DESC LIMIT 1",
        params![asn],
        |row| Ok((row.get::<u32>(0)?, row.get::<DateTime>(1)?, row.get::<CardEvent>(2)?, row.text(3)?)),
    )?;
    let seq = match last {
        Some((_, at, event, who)) if at == act.at && event == change.event && who == act.who => {
            return Ok((row, false));
        }
        Some((seq, ..)) => seq.saturating_add(1),
        None => 1,
    };
    let state = row.state.after(change.event).map_err(|step| RegisterError::Illegal {
        what: "card",
        id: asn.masked().to_string(),
        step,
    })?;
    let issued_at = if change.event == CardEvent::Issue { Some(act.at) } else { row.issued_at };
    tx.execute(
        "UPDATE office_card SET state = $2, state_since = $3, issued_at = $4 WHERE asn = $1",
        params![asn, state, act.at, issued_at],
    )?;
    tx.execute(
        "INSERT INTO office_card_event (asn, seq, at, event, state_after, who, note)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![asn, seq, act.at, change.event, state, &act.who, change.note],
    )?;
    follow(tx, asn, change, act.at)?;
    Ok((CardRow { state, state_since: act.at, issued_at, ..row }, true))
}

/// What an event means for losses and the black list (`clearing.md` 10).
fn follow(tx: &Tx, asn: &Asn8, change: &Change<'_>, at: DateTime) -> Result<(), RegisterError> {
    let list = |op| blacklist::change(tx, asn, op, at);
    match change.event {
        CardEvent::PreReportLoss => {
            let version = list(ListOp::Add(ListKind::TemporarilyLost))?;
            blacklist::open_loss(tx, asn, change.effective_at, version)?;
        }
        CardEvent::ReportLoss => {
            let version = list(ListOp::Add(ListKind::Lost))?;
            blacklist::open_loss(tx, asn, change.effective_at, version)?;
        }
        CardEvent::RemoveLoss => {
            blacklist::close_loss(tx, asn, at)?;
            list(ListOp::Delete)?;
        }
        CardEvent::Lock => {
            list(ListOp::Add(ListKind::Locked))?;
        }
        CardEvent::Unlock => {
            list(ListOp::Delete)?;
        }
        // The old card may still be about; a loss of it stays in effect.
        CardEvent::Replace | CardEvent::Cancel => {
            list(ListOp::Add(ListKind::Cancelled))?;
        }
        // The card was never out, goes out, or lies on the desk.
        CardEvent::Issue | CardEvent::Void | CardEvent::Exchange | CardEvent::Return => {}
    }
    Ok(())
}

fn audit_change(tx: &Tx, event: CardEvent, object: &str, detail: &str, act: &Act) -> Result<(), StoreError> {
    audit::append(tx, act, &format!("card/{event}"), object, Outcome::Done, detail).map(drop)
}

/// What happened to a card, oldest first.
///
/// # Errors
/// [`StoreError`].
pub fn history(tx: &Tx, asn: &Asn8) -> Result<Vec<CardEventRow>, StoreError> {
    let sql = "SELECT at, event, state_after, who, note FROM office_card_event WHERE asn = $1 ORDER BY seq";
    tx.query(sql, params![asn], |row| {
        Ok(CardEventRow {
            at: row.get(0)?,
            event: row.get(1)?,
            state: row.get(2)?,
            who: row.get(3)?,
            note: row.get(4)?,
        })
    })
}

/// The cards that pass `filter`, with how many there are in each state.
///
/// # Errors
/// [`StoreError`].
pub fn list(
    tx: &Tx,
    filter: &CardFilter,
    sort: (CardSort, Direction),
    paging: Paging,
) -> Result<Page<CardRow, CardTotals>, StoreError> {
    let range = filter.number.as_ref().map(|prefix| prefix.range());
    let mut conditions = Filter::default();
    conditions
        .when("asn >=", range.as_ref().map(|(low, _)| low))
        .when("asn <=", range.as_ref().map(|(_, high)| high))
        .when("state =", filter.state)
        .when("kind =", filter.kind)
        .when("issued_at >=", filter.issued_from)
        .when("issued_at <", filter.issued_until);
    let totals_sql = conditions.sql("SELECT state, COUNT(*) FROM office_card", "GROUP BY state");
    let by_state: Vec<(CardState, u32)> =
        tx.query(&totals_sql, conditions.values(), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let totals = CardTotals { by_state: by_state.into_iter().collect() };
    let column = match sort.0 {
        CardSort::Number => "asn",
        CardSort::State => "state",
        CardSort::StateSince => "state_since",
        CardSort::IssuedAt => "issued_at",
        CardSort::Expiry => "expiry_day",
    };
    let sql = conditions.page_sql(COLUMNS, (column, sort.1), "asn", paging);
    Ok(Page { rows: tx.query(&sql, conditions.values(), card_row)?, totals, paging })
}
