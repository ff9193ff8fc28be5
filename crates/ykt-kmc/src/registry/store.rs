//! Tables of the registry. A key is told by the name of its place; there are hundreds, not millions.

use super::{KeyEvent, KeyEventKind, KeyRecord, Source, Word};
use crate::place::PlaceName;
use ykt_base::DateTime;
use ykt_office::Act;
use ykt_office::audit::{self, Outcome};
use ykt_store::{Row, StoreError, Tx, Value, params};
use ykt_vault::{KeyAlgorithm, KeyInfo, KeyPlace, KeyState};

/// The first tables.
pub(crate) const TABLES: &str = "
CREATE TABLE kmc_key (
    place TEXT NOT NULL PRIMARY KEY,
    algorithm INTEGER NOT NULL,
    kcv BLOB NOT NULL,
    state INTEGER NOT NULL,
    source INTEGER NOT NULL,
    origin TEXT NOT NULL,
    note TEXT NOT NULL
);
CREATE TABLE kmc_key_event (
    place TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    who TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    reference TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (place, seq)
);
CREATE TABLE kmc_group (
    name TEXT NOT NULL PRIMARY KEY,
    title TEXT NOT NULL
);
CREATE TABLE kmc_group_key (
    name TEXT NOT NULL,
    place TEXT NOT NULL,
    PRIMARY KEY (name, place)
);
CREATE TABLE kmc_export (
    request TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    file TEXT NOT NULL
);
";

const COLUMNS: &str = "SELECT place, algorithm, kcv, state, source, origin, note FROM kmc_key";

fn key_record(row: &Row<'_>) -> Result<KeyRecord, StoreError> {
    Ok(KeyRecord {
        place: row.parse::<PlaceName>(0)?.0,
        algorithm: row.get::<Algorithm>(1)?.0,
        kcv: row.get(2)?,
        state: row.get::<State>(3)?.0,
        source: row.get(4)?,
        origin: row.get(5)?,
        note: row.get(6)?,
    })
}

struct Algorithm(KeyAlgorithm);

impl ykt_store::Column<'_> for Algorithm {
    const EXPECTED: &'static str = "the code of an algorithm";
    fn from_value(value: Value<'_>) -> Option<Algorithm> {
        u8::from_value(value).and_then(KeyAlgorithm::from_code).map(Algorithm)
    }
}

struct State(KeyState);

impl ykt_store::Column<'_> for State {
    const EXPECTED: &'static str = "the code of a key's state";
    fn from_value(value: Value<'_>) -> Option<State> {
        let code = u8::from_value(value)?;
        KeyState::ALL.into_iter().find(|state| state.code() == code).map(State)
    }
}

/// What the registry knows of a key.
///
/// # Errors
/// [`StoreError`].
pub fn record(tx: &Tx<'_>, place: &KeyPlace) -> Result<Option<KeyRecord>, StoreError> {
    let name = PlaceName(*place).to_string();
    tx.query_one(&format!("{COLUMNS} WHERE place = $1"), params![&name], key_record)
}

/// Every key it ever knew, by place.
///
/// # Errors
/// [`StoreError`].
pub fn records(tx: &Tx<'_>) -> Result<Vec<KeyRecord>, StoreError> {
    let mut records = tx.query(COLUMNS, &[], key_record)?;
    records.sort_by_key(|record| record.place);
    Ok(records)
}

/// What happened to a key, oldest first.
///
/// # Errors
/// [`StoreError`].
pub fn life(tx: &Tx<'_>, place: &KeyPlace) -> Result<Vec<KeyEvent>, StoreError> {
    let name = PlaceName(*place).to_string();
    tx.query(
        "SELECT at, kind, state, who, approved_by, reference, detail FROM kmc_key_event
         WHERE place = $1 ORDER BY seq",
        params![&name],
        |row| {
            Ok(KeyEvent {
                at: row.get(0)?,
                kind: row.get(1)?,
                state: row.get::<State>(2)?.0,
                who: row.get(3)?,
                approved_by: row.get(4)?,
                reference: row.get(5)?,
                detail: row.get(6)?,
            })
        },
    )
}

/// A key came into the vault; `origin` says from whom. One that is registered already keeps its record.
///
/// # Errors
/// [`StoreError`].
pub fn came(
    tx: &Tx<'_>,
    info: &KeyInfo,
    (source, origin): (Source, &str),
    word: Word<'_>,
) -> Result<(), StoreError> {
    let name = PlaceName(info.place()).to_string();
    let inserted = tx.execute(
        "INSERT INTO kmc_key (place, algorithm, kcv, state, source, origin, note)
         VALUES ($1, $2, $3, $4, $5, $6, '') ON CONFLICT (place) DO NOTHING",
        params![&name, info.algorithm.code(), &info.kcv, info.state.code(), source, origin],
    )?;
    let kind = match source {
        Source::Generated | Source::Ceremony | Source::Seed => KeyEventKind::Generated,
        Source::Imported => KeyEventKind::Imported,
        Source::Found => KeyEventKind::Found,
    };
    match inserted {
        0 => Ok(()),
        _ => happened(tx, &name, (kind, info.state), origin, word),
    }
}

/// Something happened to a registered key, and it is in this state now.
///
/// # Errors
/// [`StoreError`].
pub fn became(
    tx: &Tx<'_>,
    place: &KeyPlace,
    (kind, state): (KeyEventKind, KeyState),
    detail: &str,
    word: Word<'_>,
) -> Result<(), StoreError> {
    let name = PlaceName(*place).to_string();
    tx.execute("UPDATE kmc_key SET state = $1 WHERE place = $2", params![state.code(), &name])?;
    happened(tx, &name, (kind, state), detail, word)
}

/// The event, and its record in the audit log.
fn happened(
    tx: &Tx<'_>,
    name: &str,
    (kind, state): (KeyEventKind, KeyState),
    detail: &str,
    Word { act, asked_by, approved_by, reference }: Word<'_>,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO kmc_key_event (place, seq, at, kind, state, who, approved_by, reference, detail)
         SELECT $1, COUNT(*) + 1, $2, $3, $4, $5, $6, $7, $8 FROM kmc_key_event WHERE place = $1",
        params![name, act.at, kind, state.code(), asked_by, approved_by, reference, detail],
    )?;
    let mut words = vec![kind.name().to_owned()];
    words.extend((!detail.is_empty()).then(|| detail.to_owned()));
    words
        .extend((!approved_by.is_empty()).then(|| format!("asked by {asked_by}, approved by {approved_by}")));
    words.extend((!reference.is_empty()).then(|| reference.to_owned()));
    audit::append(tx, act, kind.audit_word(), name, Outcome::Done, &words.join(", "))?;
    Ok(())
}

/// Notes something about a key, in place of what was noted before.
///
/// # Errors
/// [`StoreError`].
pub fn note(tx: &Tx<'_>, place: &KeyPlace, note: &str, act: &Act) -> Result<(), StoreError> {
    let name = PlaceName(*place).to_string();
    tx.execute("UPDATE kmc_key SET note = $1 WHERE place = $2", params![note, &name])?;
    audit::append(tx, act, "key/note", &name, Outcome::Done, note)?;
    Ok(())
}

/// Keeps the file of an export for those who asked for it: cryptograms under a transport key.
///
/// # Errors
/// [`StoreError`].
pub fn keep_export(tx: &Tx<'_>, request: &str, at: DateTime, file: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO kmc_export (request, at, file) VALUES ($1, $2, $3)
         ON CONFLICT (request) DO UPDATE SET file = $3",
        params![request, at, file],
    )?;
    Ok(())
}

/// The file of an export.
///
/// # Errors
/// [`StoreError`].
pub fn export_file(tx: &Tx<'_>, request: &str) -> Result<Option<String>, StoreError> {
    tx.query_one("SELECT file FROM kmc_export WHERE request = $1", params![request], |row| row.get(0))
}

/// Makes a group, or gives it another title and other keys.
pub(super) fn put_group(tx: &Tx<'_>, name: &str, title: &str, places: &[KeyPlace]) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO kmc_group (name, title) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET title = $2",
        params![name, title],
    )?;
    tx.execute("DELETE FROM kmc_group_key WHERE name = $1", params![name])?;
    for place in places {
        let place = PlaceName(*place).to_string();
        tx.execute(
            "INSERT INTO kmc_group_key (name, place) VALUES ($1, $2) ON CONFLICT (name, place) DO NOTHING",
            params![name, &place],
        )?;
    }
    Ok(())
}

/// Forgets a group; whether it was there.
pub(super) fn drop_group(tx: &Tx<'_>, name: &str) -> Result<bool, StoreError> {
    tx.execute("DELETE FROM kmc_group_key WHERE name = $1", params![name])?;
    Ok(tx.execute("DELETE FROM kmc_group WHERE name = $1", params![name])? > 0)
}

/// Names and titles of all groups, by name.
pub(super) fn group_titles(tx: &Tx<'_>) -> Result<Vec<(String, String)>, StoreError> {
    tx.query("SELECT name, title FROM kmc_group ORDER BY name", &[], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The places of a group.
pub(super) fn group_places(tx: &Tx<'_>, name: &str) -> Result<Vec<KeyPlace>, StoreError> {
    let mut places = tx.query("SELECT place FROM kmc_group_key WHERE name = $1", params![name], |row| {
        row.parse::<PlaceName>(0).map(|name| name.0)
    })?;
    places.sort();
    Ok(places)
}
