//! Tables of the terminal register.

use super::{
    NewTerminal, Pair, TerminalEvent, TerminalFilter, TerminalRow, TerminalSort, TerminalState,
    TerminalTotals,
};
use crate::act::Act;
use crate::audit::{self, Outcome};
use crate::store::RegisterError;
use ykt_base::{DateTime, PosNo};
use ykt_store::{Direction, Filter, Page, Paging, Row, StoreError, Tx, params};

const COLUMNS: &str = "SELECT pos, merchant, state, state_since FROM office_terminal";
const PAIR: &str = "SELECT pos, terminal_id, psam_serial, valid_from, valid_until FROM office_pair";

/// A terminal without its pair, which [`with_pair`] adds.
fn terminal_row(row: &Row) -> Result<TerminalRow, StoreError> {
    Ok(TerminalRow {
        pos: row.get(0)?,
        merchant: row.get(1)?,
        state: row.get(2)?,
        state_since: row.get(3)?,
        pair: None,
    })
}

fn pair_row(row: &Row) -> Result<Pair, StoreError> {
    Ok(Pair {
        pos: row.get(0)?,
        terminal_id: row.get(1)?,
        psam_serial: row.get(2)?,
        from: row.get(3)?,
        until: row.get(4)?,
    })
}

fn with_pair(tx: &Tx, row: TerminalRow) -> Result<TerminalRow, StoreError> {
    let sql = format!("{PAIR} WHERE pos = $1 ORDER BY valid_from DESC LIMIT 1");
    Ok(TerminalRow { pair: tx.query_one(&sql, params![&row.pos], pair_row)?, ..row })
}

/// Takes a terminal of a merchant into the register. The same terminal again is passed over.
///
/// # Errors
/// [`RegisterError::Unknown`] for a merchant that is not registered; [`RegisterError::Conflict`] when the
/// number belongs to a terminal of another merchant.
pub fn register(tx: &Tx, new: &NewTerminal, act: &Act) -> Result<(), RegisterError> {
    let NewTerminal { pos, merchant } = new;
    if let Some(found) = terminal(tx, pos)? {
        if found.merchant == *merchant {
            return Ok(());
        }
        return Err(RegisterError::Conflict {
            what: "terminal",
            id: pos.to_string(),
            differs: "merchant",
            found: found.merchant.to_string(),
            asked: merchant.to_string(),
        });
    }
    let known =
        tx.query_one("SELECT 1 FROM office_merchant WHERE code = $1", params![merchant], |_| Ok(()))?;
    if known.is_none() {
        return Err(RegisterError::Unknown { what: "merchant", id: merchant.to_string() });
    }
    tx.execute(
        "INSERT INTO office_terminal (pos, merchant, state, state_since) VALUES ($1, $2, $3, $4)",
        params![pos, merchant, TerminalState::Registered, act.at],
    )?;
    audit::append(tx, act, "terminal/register", &pos.to_string(), Outcome::Done, &format!("of {merchant}"))?;
    Ok(())
}

/// The terminal.
///
/// # Errors
/// [`StoreError`].
pub fn terminal(tx: &Tx, pos: &PosNo) -> Result<Option<TerminalRow>, StoreError> {
    let found = tx.query_one(&format!("{COLUMNS} WHERE pos = $1"), params![pos], terminal_row)?;
    found.map(|row| with_pair(tx, row)).transpose()
}

fn require(tx: &Tx, pos: &PosNo) -> Result<TerminalRow, RegisterError> {
    terminal(tx, pos)?.ok_or_else(|| RegisterError::Unknown { what: "terminal", id: pos.to_string() })
}

/// Lets `event` happen to a terminal at `act.at`. A terminal that retires gives up its PSAM. The state the
/// event leads to, reached at that very moment, makes the call a repeat: nothing changes.
///
/// # Errors
/// [`RegisterError::Unknown`], or [`RegisterError::Illegal`] with what the terminal's state allows.
pub fn change(tx: &Tx, pos: &PosNo, event: TerminalEvent, act: &Act) -> Result<TerminalRow, RegisterError> {
    let row = require(tx, pos)?;
    let state = match row.state.after(event) {
        Ok(state) => state,
        Err(_) if row.state_since == act.at && row.state == event.leads_to() => return Ok(row),
        Err(step) => return Err(RegisterError::Illegal { what: "terminal", id: pos.to_string(), step }),
    };
    tx.execute(
        "UPDATE office_terminal SET state = $2, state_since = $3 WHERE pos = $1",
        params![pos, state, act.at],
    )?;
    if state == TerminalState::Retired {
        end_pair(tx, pos, act.at)?;
    }
    audit::append(tx, act, &format!("terminal/{event}"), &pos.to_string(), Outcome::Done, "")?;
    require(tx, pos)
}

/// Puts a PSAM into a POS from `pair.from` on; the one that was in it is taken out at that moment. The same
/// pair again is passed over.
///
/// # Errors
/// [`RegisterError::Unknown`] for the terminal; [`RegisterError::Illegal`] when it is retired;
/// [`RegisterError::Conflict`] when the PSAM is still in another POS, or the POS got its PSAM later than that.
pub fn pair(tx: &Tx, pair: &Pair, act: &Act) -> Result<(), RegisterError> {
    let terminal = require(tx, &pair.pos)?;
    if terminal.pair.is_some_and(|held| Pair { until: None, ..held } == Pair { until: None, ..*pair }) {
        return Ok(());
    }
    if terminal.state == TerminalState::Retired {
        let step = terminal.state.after(TerminalEvent::Start).err();
        let id = pair.pos.to_string();
        return step.map_or(Ok(()), |step| Err(RegisterError::Illegal { what: "terminal", id, step }));
    }
    if let Some(held) = terminal.pair.filter(|held| held.until.unwrap_or(held.from) >= pair.from) {
        return Err(RegisterError::Conflict {
            what: "terminal",
            id: pair.pos.to_string(),
            differs: "PSAM at that time",
            found: format!("{} since {}", held.terminal_id, held.from),
            asked: format!("{} from {}", pair.terminal_id, pair.from),
        });
    }
    let sql = format!("{PAIR} WHERE terminal_id = $1 ORDER BY valid_from DESC LIMIT 1");
    let elsewhere = tx.query_one(&sql, params![&pair.terminal_id], pair_row)?;
    let taken =
        elsewhere.filter(|other| other.pos != pair.pos && other.until.is_none_or(|end| end > pair.from));
    if let Some(other) = taken {
        return Err(RegisterError::Conflict {
            what: "PSAM",
            id: pair.terminal_id.to_string(),
            differs: "POS at that time",
            found: format!("{} since {}", other.pos, other.from),
            asked: format!("{} from {}", pair.pos, pair.from),
        });
    }
    end_pair(tx, &pair.pos, pair.from)?;
    tx.execute(
        "INSERT INTO office_pair (pos, valid_from, valid_until, terminal_id, psam_serial)
         VALUES ($1, $2, $3, $4, $5)",
        params![&pair.pos, pair.from, pair.until, &pair.terminal_id, &pair.psam_serial],
    )?;
    let detail = format!("PSAM {} from {}", pair.terminal_id, pair.from);
    audit::append(tx, act, "terminal/pair", &pair.pos.to_string(), Outcome::Done, &detail)?;
    Ok(())
}

/// Ends the pair a POS is in, if it is in one.
fn end_pair(tx: &Tx, pos: &PosNo, until: DateTime) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE office_pair SET valid_until = $2 WHERE pos = $1 AND valid_until IS NULL",
        params![pos, until],
    )
    .map(drop)
}

/// The pairs a POS was ever in, oldest first.
///
/// # Errors
/// [`StoreError`].
pub fn pairs_of(tx: &Tx, pos: &PosNo) -> Result<Vec<Pair>, StoreError> {
    tx.query(&format!("{PAIR} WHERE pos = $1 ORDER BY valid_from"), params![pos], pair_row)
}

/// All pairs by PSAM and time: for the snapshot.
pub(crate) fn pairs(tx: &Tx) -> Result<Vec<Pair>, StoreError> {
    tx.query(&format!("{PAIR} ORDER BY terminal_id, valid_from"), &[], pair_row)
}

/// All terminals by POS number, without their pairs: for the snapshot.
pub(crate) fn terminals(tx: &Tx) -> Result<Vec<TerminalRow>, StoreError> {
    tx.query(&format!("{COLUMNS} ORDER BY pos"), &[], terminal_row)
}

/// The terminals that pass `filter`, with how many there are in each state.
///
/// # Errors
/// [`StoreError`].
pub fn list(
    tx: &Tx,
    filter: &TerminalFilter,
    sort: (TerminalSort, Direction),
    paging: Paging,
) -> Result<Page<TerminalRow, TerminalTotals>, StoreError> {
    let mut conditions = Filter::default();
    conditions
        .when("pos =", filter.pos.as_ref())
        .when("merchant =", filter.merchant.as_ref())
        .when("state =", filter.state);
    let sql = conditions.sql("SELECT state, COUNT(*) FROM office_terminal", "GROUP BY state");
    let by_state = tx.query(&sql, conditions.values(), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let column = match sort.0 {
        TerminalSort::Pos => "pos",
        TerminalSort::Merchant => "merchant",
        TerminalSort::State => "state",
        TerminalSort::StateSince => "state_since",
    };
    let sql = conditions.page_sql(COLUMNS, (column, sort.1), "pos", paging);
    let rows = tx.query(&sql, conditions.values(), terminal_row)?;
    let rows = rows.into_iter().map(|row| with_pair(tx, row)).collect::<Result<_, _>>()?;
    Ok(Page { rows, totals: TerminalTotals { by_state: by_state.into_iter().collect() }, paging })
}
