//! Tables of the black list: the log of its changes, the list as it stands, losses and deliveries.

use super::reach::{Named, Replay};
use super::{
    Delivery, Increment, ListChange, ListEntry, ListFilter, ListKind, ListOp, ListVersion, Loss,
    TERMINAL_LIST_LEN_MAX, VersionRow,
};
use crate::store::RegisterError;
use ykt_base::{Asn8, DateTime, PosNo};
use ykt_store::{Direction, Filter, Page, Paging, Row, StoreError, Tx, params};

const ENTRY: &str = "SELECT asn, kind, version, since FROM office_list_entry";
const CHANGE: &str = "SELECT version, asn, kind, at FROM office_list_change";
const LOSS: &str = "SELECT asn, effective_at, version, removed_at FROM office_loss";

fn entry_row(row: &Row) -> Result<ListEntry, StoreError> {
    Ok(ListEntry {
        asn: row.get(0)?,
        kind: row.get(1)?,
        version: ListVersion(row.get(2)?),
        since: row.get(3)?,
    })
}

fn change_row(row: &Row) -> Result<ListChange, StoreError> {
    let kind: Option<ListKind> = row.get(2)?;
    Ok(ListChange {
        version: ListVersion(row.get(0)?),
        asn: row.get(1)?,
        op: kind.map_or(ListOp::Delete, ListOp::Add),
        at: row.get(3)?,
    })
}

fn loss_row(row: &Row) -> Result<Loss, StoreError> {
    Ok(Loss {
        asn: row.get(0)?,
        effective_at: row.get(1)?,
        version: ListVersion(row.get(2)?),
        removed_at: row.get(3)?,
    })
}

/// The version of the list as it stands.
///
/// # Errors
/// [`StoreError`].
pub fn version(tx: &Tx) -> Result<ListVersion, StoreError> {
    let sql = "SELECT version FROM office_list_change ORDER BY version DESC LIMIT 1";
    Ok(ListVersion(tx.query_one(sql, &[], |row| row.get(0))?.unwrap_or(0)))
}

/// The newest `entries_max` entries of the list as it stands, by card number: the full list of a terminal.
///
/// # Errors
/// [`StoreError`].
pub fn newest(tx: &Tx, entries_max: u32) -> Result<Vec<ListEntry>, StoreError> {
    let sql = format!("{ENTRY} ORDER BY version DESC LIMIT $1");
    let mut entries = tx.query(&sql, params![entries_max], entry_row)?;
    entries.sort_by_key(|entry| entry.asn);
    Ok(entries)
}

/// The full list as it stood at `version`, by card number.
///
/// # Errors
/// [`StoreError`].
pub fn list_at(tx: &Tx, version: ListVersion) -> Result<Vec<ListEntry>, StoreError> {
    let changes = last_changes(tx, ListVersion(0), version)?;
    let entries = changes.into_iter().filter_map(|change| match change.op {
        ListOp::Add(kind) => {
            Some(ListEntry { asn: change.asn, kind, version: change.version, since: change.at })
        }
        ListOp::Delete => None,
    });
    Ok(entries.collect())
}

/// What leads from the list `base` to the list as it stands. Deletions of cards that `base` does not name are
/// in it too; a terminal passes over them.
///
/// # Errors
/// [`RegisterError::Unknown`] when `base` is later than the list: such a terminal needs the full list.
pub fn increment(tx: &Tx, base: ListVersion) -> Result<Increment, RegisterError> {
    let version = version(tx)?;
    if base > version {
        return Err(RegisterError::Unknown { what: "list version", id: base.0.to_string() });
    }
    Ok(Increment { base, version, changes: last_changes(tx, base, version)? })
}

/// The last change of each card after `base` and up to `version`, by card number.
fn last_changes(tx: &Tx, base: ListVersion, version: ListVersion) -> Result<Vec<ListChange>, StoreError> {
    let sql = format!(
        "{CHANGE} WHERE version IN (SELECT MAX(version) FROM office_list_change
         WHERE version > $1 AND version <= $2 GROUP BY asn) ORDER BY asn"
    );
    tx.query(&sql, params![base.0, version.0], change_row)
}

/// The entries that pass `filter`, newest first.
///
/// # Errors
/// [`StoreError`].
pub fn list(tx: &Tx, filter: &ListFilter, paging: Paging) -> Result<Page<ListEntry>, StoreError> {
    let mut conditions = Filter::default();
    conditions.when("kind =", filter.kind).when("asn =", filter.asn.as_ref());
    conditions.page(tx, ENTRY, ("version", Direction::Down), "asn", paging, entry_row)
}

/// The versions of the list, newest first, each with its change and the terminals it reached.
///
/// # Errors
/// [`StoreError`].
pub fn versions(tx: &Tx, paging: Paging) -> Result<Page<VersionRow>, StoreError> {
    let count = "SELECT COUNT(DISTINCT pos) FROM office_delivery WHERE version >= $1";
    Filter::default().page(tx, CHANGE, ("version", Direction::Down), "version", paging, |row| {
        let change = change_row(row)?;
        let terminals = tx.query_one(count, params![change.version.0], |row| row.get(0))?.unwrap_or(0);
        Ok(VersionRow { change, terminals })
    })
}

/// Notes that terminal `pos` holds list `version` since `at`. Told again, the first time stands.
///
/// # Errors
/// [`RegisterError::Unknown`] for a terminal or a version that does not exist.
pub fn list_delivered(
    tx: &Tx,
    pos: &PosNo,
    delivered: ListVersion,
    at: DateTime,
) -> Result<(), RegisterError> {
    let known =
        tx.query_one("SELECT 1 FROM office_terminal WHERE pos = $1", params![pos], |row| row.i64(0))?;
    if known.is_none() {
        return Err(RegisterError::Unknown { what: "terminal", id: pos.to_string() });
    }
    if delivered > version(tx)? {
        return Err(RegisterError::Unknown { what: "list version", id: delivered.0.to_string() });
    }
    tx.execute(
        "INSERT INTO office_delivery (pos, version, at) VALUES ($1, $2, $3) ON CONFLICT (pos, version) DO NOTHING",
        params![pos, delivered.0, at],
    )?;
    Ok(())
}

/// The list each terminal holds now, by POS number; a terminal that never got one is not in it.
///
/// # Errors
/// [`StoreError`].
pub fn held_by_terminals(tx: &Tx) -> Result<Vec<Delivery>, StoreError> {
    let sql = "SELECT pos, version, at FROM office_delivery AS d
         WHERE version = (SELECT MAX(version) FROM office_delivery WHERE pos = d.pos) ORDER BY pos";
    tx.query(sql, &[], delivery_row)
}

/// Deliveries of `from` and later versions, by POS number and time.
pub(crate) fn deliveries(tx: &Tx, from: ListVersion) -> Result<Vec<Delivery>, StoreError> {
    let sql = "SELECT pos, version, at FROM office_delivery WHERE version >= $1 ORDER BY pos, at, version";
    tx.query(sql, params![from.0], delivery_row)
}

/// Which cards the versions up to `until` name, as terminals hold them.
pub(crate) fn named(tx: &Tx, until: ListVersion) -> Result<Named, StoreError> {
    let mut replay = Replay::new(usize::try_from(TERMINAL_LIST_LEN_MAX).unwrap_or(usize::MAX));
    tx.for_each(&format!("{CHANGE} WHERE version <= $1 ORDER BY version"), params![until.0], |row| {
        replay.apply(&change_row(row)?);
        Ok::<(), StoreError>(())
    })?;
    Ok(replay.finish())
}

fn delivery_row(row: &Row) -> Result<Delivery, StoreError> {
    Ok(Delivery { pos: row.get(0)?, version: ListVersion(row.get(1)?), at: row.get(2)? })
}

/// The losses of one card, oldest first.
///
/// # Errors
/// [`StoreError`].
pub fn losses_of(tx: &Tx, asn: &Asn8) -> Result<Vec<Loss>, StoreError> {
    tx.query(&format!("{LOSS} WHERE asn = $1 ORDER BY effective_at"), params![asn], loss_row)
}

/// All losses, by card number and time.
pub(crate) fn losses(tx: &Tx) -> Result<Vec<Loss>, StoreError> {
    tx.query(&format!("{LOSS} ORDER BY asn, effective_at"), &[], loss_row)
}

/// Makes the next version by `op`, or answers with the version that already says so.
pub(crate) fn change(tx: &Tx, asn: &Asn8, op: ListOp, at: DateTime) -> Result<ListVersion, RegisterError> {
    let standing = tx.query_one(&format!("{ENTRY} WHERE asn = $1"), params![asn], entry_row)?;
    let kind = match (op, standing) {
        (ListOp::Add(kind), Some(entry)) if entry.kind == kind => return Ok(entry.version),
        (ListOp::Delete, None) => return Ok(version(tx)?),
        (ListOp::Add(kind), _) => Some(kind),
        (ListOp::Delete, Some(_)) => None,
    };
    let last = version(tx)?;
    let next = last.0.checked_add(1).map(ListVersion).ok_or_else(|| RegisterError::Field {
        what: "black list",
        id: last.0.to_string(),
        field: "version",
        expected: "below 2^32",
        found: "the last one".to_owned(),
    })?;
    tx.execute(
        "INSERT INTO office_list_change (version, asn, kind, at) VALUES ($1, $2, $3, $4)",
        params![next.0, asn, kind, at],
    )?;
    match kind {
        Some(kind) => tx.execute(
            "INSERT INTO office_list_entry (asn, kind, version, since) VALUES ($1, $2, $3, $4)
             ON CONFLICT (asn) DO UPDATE SET kind = excluded.kind, version = excluded.version, since = excluded.since",
            params![asn, kind, next.0, at],
        )?,
        None => tx.execute("DELETE FROM office_list_entry WHERE asn = $1", params![asn])?,
    };
    Ok(next)
}

/// Opens a loss, unless one is open: then that one, which took effect earlier, stands.
pub(crate) fn open_loss(
    tx: &Tx,
    asn: &Asn8,
    effective_at: DateTime,
    version: ListVersion,
) -> Result<(), RegisterError> {
    let losses = losses_of(tx, asn)?;
    if losses.last().is_some_and(|loss| loss.removed_at.is_none()) {
        return Ok(());
    }
    if let Some(removed) = losses.last().and_then(|loss| loss.removed_at).filter(|end| *end > effective_at) {
        return Err(RegisterError::Field {
            what: "card",
            id: asn.masked().to_string(),
            field: "effective time of the loss",
            expected: "not before the removal of the loss before it",
            found: format!("{effective_at}, removed {removed}"),
        });
    }
    tx.execute(
        "INSERT INTO office_loss (asn, effective_at, version, removed_at) VALUES ($1, $2, $3, $4)",
        params![asn, effective_at, version.0, None::<DateTime>],
    )?;
    Ok(())
}

/// Closes the open loss, if there is one.
pub(crate) fn close_loss(tx: &Tx, asn: &Asn8, removed_at: DateTime) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE office_loss SET removed_at = $2 WHERE asn = $1 AND removed_at IS NULL",
        params![asn, removed_at],
    )?;
    Ok(())
}
