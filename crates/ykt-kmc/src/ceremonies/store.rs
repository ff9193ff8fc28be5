//! The tables of ceremonies: what was agreed, who has given, how it ended, the protocol. Never a component.

use super::{CeremonyRow, CeremonyState, CustodianRow};
use ykt_store::{Direction, Filter, Module, Page, Paging, Row, StoreError, Tx, params};
use ykt_vault::ceremony::{Ceremony, Person};

/// The tables of this room.
pub const MODULE: Module = Module { name: "ceremonies", migrations: &[FIRST] };

const FIRST: &str = "
CREATE TABLE ceremony (
    number TEXT NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL,
    key_name TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    place TEXT NOT NULL,
    administrator TEXT NOT NULL,
    state INTEGER NOT NULL,
    began_at INTEGER NOT NULL,
    ended_at INTEGER,
    kcv BLOB,
    protocol TEXT,
    signed INTEGER NOT NULL
);
CREATE INDEX ceremony_by_began ON ceremony (began_at, number);
CREATE TABLE ceremony_custodian (
    number TEXT NOT NULL,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    full_name TEXT NOT NULL,
    kcv BLOB,
    PRIMARY KEY (number, position)
);
";

const COLUMNS: &str =
    "SELECT number, purpose, key_name, algorithm, place, administrator, state, began_at, ended_at,
    kcv, signed FROM ceremony";

fn row(row: &Row) -> Result<CeremonyRow, StoreError> {
    Ok(CeremonyRow {
        number: row.get(0)?,
        purpose: row.get(1)?,
        key: row.get(2)?,
        algorithm: row.get(3)?,
        place: row.get(4)?,
        administrator: row.get(5)?,
        state: row.get(6)?,
        began_at: row.get(7)?,
        ended_at: row.get(8)?,
        kcv: row.get(9)?,
        signed: row.get(10)?,
    })
}

/// The ceremonies, the latest first.
///
/// # Errors
/// [`StoreError`].
pub fn list(tx: &Tx, state: Option<CeremonyState>, paging: Paging) -> Result<Page<CeremonyRow>, StoreError> {
    let mut conditions = Filter::default();
    conditions.when("state =", state);
    conditions.page(tx, COLUMNS, ("began_at", Direction::Down), "number", paging, row)
}

/// One ceremony.
///
/// # Errors
/// [`StoreError`].
pub fn one(tx: &Tx, number: &str) -> Result<Option<CeremonyRow>, StoreError> {
    tx.query_one(&format!("{COLUMNS} WHERE number = $1"), params![number], row)
}

/// Its custodians, in their order.
///
/// # Errors
/// [`StoreError`].
pub fn custodians(tx: &Tx, number: &str) -> Result<Vec<CustodianRow>, StoreError> {
    let sql =
        "SELECT position, name, full_name, kcv FROM ceremony_custodian WHERE number = $1 ORDER BY position";
    tx.query(sql, params![number], |row| {
        let person = Person { name: row.get(1)?, full_name: row.get(2)? };
        Ok(CustodianRow { position: row.get(0)?, person, kcv: row.get(3)? })
    })
}

/// Its protocol, once it has ended; signed when the row says so.
///
/// # Errors
/// [`StoreError`].
pub fn protocol(tx: &Tx, number: &str) -> Result<Option<String>, StoreError> {
    let found = tx.query_one("SELECT protocol FROM ceremony WHERE number = $1", params![number], |row| {
        row.opt_text(0)
    })?;
    Ok(found.flatten())
}

/// How many ceremonies' numbers begin with this.
pub(super) fn count_of(tx: &Tx, day: &str) -> Result<u32, StoreError> {
    let like = format!("{day}%");
    let count =
        tx.query_one("SELECT COUNT(*) FROM ceremony WHERE number LIKE $1", params![like.as_str()], |row| {
            row.get(0)
        })?;
    Ok(count.unwrap_or_default())
}

pub(super) fn insert(tx: &Tx, ceremony: &Ceremony) -> Result<(), StoreError> {
    let plan = ceremony.plan();
    tx.execute(
        "INSERT INTO ceremony (number, purpose, key_name, algorithm, place, administrator, state, began_at, signed)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![
            &plan.number,
            plan.purpose.name(),
            &plan.key.to_string(),
            plan.algorithm.name(),
            &plan.place,
            &plan.administrator.name,
            CeremonyState::Open,
            ceremony.began_at(),
            false,
        ],
    )?;
    for (position, person) in (1_u32..).zip(&plan.custodians) {
        tx.execute(
            "INSERT INTO ceremony_custodian (number, position, name, full_name) VALUES ($1, $2, $3, $4)",
            params![&plan.number, position, &person.name, &person.full_name],
        )?;
    }
    Ok(())
}

/// Writes what a custodian's component is known by.
pub(super) fn gave(tx: &Tx, number: &str, name: &str, kcv: [u8; 3]) -> Result<(), StoreError> {
    let sql = "UPDATE ceremony_custodian SET kcv = $3 WHERE number = $1 AND name = $2";
    tx.execute(sql, params![number, name, &kcv[..]]).map(drop)
}

/// Writes how a ceremony ended.
pub(super) fn end(tx: &Tx, ended: &CeremonyRow, protocol: Option<&str>) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE ceremony SET state = $2, ended_at = $3, kcv = $4, protocol = $5, signed = $6 WHERE number = $1",
        params![
            &ended.number,
            ended.state,
            ended.ended_at,
            ended.kcv.as_ref().map(|kcv| &kcv[..]),
            protocol,
            ended.signed,
        ],
    )
    .map(drop)
}

/// Numbers of ceremonies that were being held.
pub(super) fn open(tx: &Tx) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT number FROM ceremony WHERE state = $1 ORDER BY number";
    tx.query(sql, params![CeremonyState::Open], |row| row.get(0))
}
