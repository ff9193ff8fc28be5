//! Tables of the inventory of key cards.

use super::{
    InventoryError, KeyCardEvent, KeyCardEventRow, KeyCardFilter, KeyCardRow, KeyCardState, NewKeyCard,
    TEXT_LEN_MAX,
};
use ykt_base::{IssuerFactor, PsamSerial};
use ykt_issue::Profile;
use ykt_office::Act;
use ykt_office::audit::{self, Outcome};
use ykt_purse::key_card::AllowedKinds;
use ykt_store::{Direction, Filter, Module, Page, Paging, Row, StoreError, Tx, contains, params};
use ykt_vault::{KeyKind, KeyRef};

/// The tables, for [`ykt_store::Store::open`].
pub const MODULE: Module = Module { name: "kmc-key-cards", migrations: &[FIRST] };

const FIRST: &str = "
CREATE TABLE kmc_key_card (
    serial BLOB NOT NULL PRIMARY KEY,
    digits TEXT NOT NULL,
    batch TEXT NOT NULL,
    label TEXT NOT NULL,
    profile TEXT NOT NULL,
    profile_name TEXT NOT NULL,
    transport_index INTEGER,
    transport_version INTEGER,
    cities BLOB NOT NULL,
    kinds INTEGER NOT NULL,
    cards INTEGER NOT NULL,
    chip BLOB,
    granted INTEGER NOT NULL,
    cards_left INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    state INTEGER NOT NULL,
    since INTEGER NOT NULL,
    holder TEXT NOT NULL
);
CREATE INDEX kmc_key_card_chip ON kmc_key_card (chip);
CREATE TABLE kmc_key_card_event (
    serial BLOB NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    event INTEGER NOT NULL,
    who TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (serial, seq)
);
";

const COLUMNS: &str =
    "SELECT serial, batch, label, profile, profile_name, transport_index, transport_version, cities,
    kinds, cards, chip, granted, cards_left, refused, state, since, holder FROM kmc_key_card";

fn key_card_row(row: &Row) -> Result<KeyCardRow, StoreError> {
    let transport: (Option<u8>, Option<u8>) = (row.get(5)?, row.get(6)?);
    let transport = match transport {
        (Some(index), Some(version)) => Some(KeyRef::new(KeyKind::KeyCardTransport, index, version)),
        _ => None,
    };
    let cities: Vec<u8> = row.get(7)?;
    let (cities, _) = cities.as_chunks();
    Ok(KeyCardRow {
        new: NewKeyCard {
            serial: row.get(0)?,
            batch: row.get(1)?,
            label: row.get(2)?,
            profile: row.get(3)?,
            transport,
            cities: cities.iter().copied().map(IssuerFactor).collect(),
            kinds: AllowedKinds(row.get(8)?),
            cards: row.get(9)?,
        },
        profile_name: row.get(4)?,
        chip: row.get(10)?,
        granted: row.get(11)?,
        left: row.get(12)?,
        refused: row.get(13)?,
        state: row.get(14)?,
        since: row.get(15)?,
        holder: row.get(16)?,
    })
}

/// Takes a blank key card into the inventory; the same one again is passed over while it is blank.
///
/// # Errors
/// [`InventoryError`].
pub fn register(tx: &Tx, new: &NewKeyCard, profile: &Profile, act: &Act) -> Result<(), InventoryError> {
    let serial = new.serial;
    if let Some(found) = find(tx, &serial)? {
        if found.new == *new {
            return Ok(());
        }
        let (found, asked) = (format!("{} ({})", found.new.batch, found.state), new.batch.clone());
        return Err(InventoryError::Conflict { serial, differs: "order", found, asked });
    }
    new.check()?;
    let cities: Vec<u8> = new.cities.iter().flat_map(|city| city.0).collect();
    tx.execute(
        "INSERT INTO kmc_key_card (serial, digits, batch, label, profile, profile_name, transport_index,
         transport_version, cities, kinds, cards, granted, cards_left, refused, state, since, holder)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, 0, $12, $13, '')",
        params![
            &serial,
            &serial.to_string(),
            &new.batch,
            &new.label,
            &new.profile,
            &profile.name,
            new.transport.map(|key| key.index),
            new.transport.map(|key| key.version),
            &cities[..],
            new.kinds.0,
            new.cards,
            KeyCardState::Blank,
            act.at,
        ],
    )?;
    let detail = format!("batch {}, profile {}", new.batch, profile.name);
    add_event(tx, &serial, KeyCardEvent::Registered, &detail, act)?;
    audit::append(tx, act, "key-card/register", &serial.to_string(), Outcome::Done, &detail)?;
    Ok(())
}

fn find(tx: &Tx, serial: &PsamSerial) -> Result<Option<KeyCardRow>, StoreError> {
    tx.query_one(&format!("{COLUMNS} WHERE serial = $1"), params![serial], key_card_row)
}

/// The key card.
///
/// # Errors
/// [`InventoryError::Unknown`].
pub fn key_card(tx: &Tx, serial: &PsamSerial) -> Result<KeyCardRow, InventoryError> {
    find(tx, serial)?.ok_or(InventoryError::Unknown { serial: *serial })
}

/// The key card with this chip.
pub(super) fn of_chip(tx: &Tx, chip: [u8; 8]) -> Result<Option<KeyCardRow>, StoreError> {
    let sql = format!("{COLUMNS} WHERE chip = $1 ORDER BY since DESC LIMIT 1");
    tx.query_one(&sql, params![&chip], key_card_row)
}

/// The key cards that pass `filter`.
///
/// # Errors
/// [`StoreError`].
pub fn list(tx: &Tx, filter: &KeyCardFilter, paging: Paging) -> Result<Page<KeyCardRow>, StoreError> {
    let text = contains(filter.text.as_deref());
    let mut conditions = Filter::default();
    conditions
        .when("state =", filter.state)
        .when_any_like(&["digits", "batch", "label", "holder"], text.as_ref());
    conditions.page(tx, COLUMNS, ("digits", Direction::Up), "digits", paging, key_card_row)
}

/// What happened to a key card, oldest first.
///
/// # Errors
/// [`StoreError`].
pub fn history(tx: &Tx, serial: &PsamSerial) -> Result<Vec<KeyCardEventRow>, StoreError> {
    tx.query(
        "SELECT at, event, who, detail FROM kmc_key_card_event WHERE serial = $1 ORDER BY seq",
        params![serial],
        |row| {
            Ok(KeyCardEventRow { at: row.get(0)?, event: row.get(1)?, who: row.get(2)?, detail: row.get(3)? })
        },
    )
}

/// Writes what is new about a key card, its history and the audit log.
pub(super) fn save(
    tx: &Tx,
    row: &KeyCardRow,
    (event, what, outcome): (KeyCardEvent, &str, Outcome),
    detail: &str,
    act: &Act,
) -> Result<(), StoreError> {
    let serial = &row.new.serial;
    let cities: Vec<u8> = row.new.cities.iter().flat_map(|city| city.0).collect();
    tx.execute(
        "UPDATE kmc_key_card SET cities = $2, kinds = $3, chip = $4, granted = $5, cards_left = $6, refused = $7,
         since = CASE state WHEN $8 THEN since ELSE $9 END, state = $8, holder = $10 WHERE serial = $1",
        params![
            serial,
            &cities[..],
            row.new.kinds.0,
            row.chip.as_ref().map(|chip| &chip[..]),
            row.granted,
            row.left,
            row.refused,
            row.state,
            act.at,
            &row.holder,
        ],
    )?;
    add_event(tx, serial, event, detail, act)?;
    audit::append(tx, act, what, &serial.to_string(), outcome, detail)?;
    Ok(())
}

fn add_event(
    tx: &Tx,
    serial: &PsamSerial,
    event: KeyCardEvent,
    detail: &str,
    act: &Act,
) -> Result<(), StoreError> {
    let sql = "SELECT COALESCE(MAX(seq), 0) FROM kmc_key_card_event WHERE serial = $1";
    let last: u32 = tx.query_one(sql, params![serial], |row| row.get(0))?.unwrap_or(0);
    tx.execute(
        "INSERT INTO kmc_key_card_event (serial, seq, at, event, who, detail) VALUES ($1, $2, $3, $4, $5, $6)",
        params![serial, last.saturating_add(1), act.at, event, &act.who, detail],
    )
    .map(drop)
}

/// Hands a loaded key card out.
///
/// # Errors
/// [`InventoryError::State`] unless it is loaded, returned or used up.
pub fn give(tx: &Tx, serial: &PsamSerial, to: &str, act: &Act) -> Result<(), InventoryError> {
    let row = key_card(tx, serial)?;
    let len = to.chars().count();
    if !(1..=TEXT_LEN_MAX).contains(&len) {
        let expected = format!("1 to {TEXT_LEN_MAX} characters");
        let found = len.to_string();
        return Err(InventoryError::Field { serial: *serial, field: "who gets it", expected, found });
    }
    if !matches!(row.state, KeyCardState::Loaded | KeyCardState::Returned | KeyCardState::UsedUp) {
        let (serial, expected, found) = (*serial, "loaded, returned or used up", row.state);
        return Err(InventoryError::State { serial, expected, found });
    }
    let row = KeyCardRow { state: KeyCardState::Given, holder: to.to_owned(), ..row };
    let what = (KeyCardEvent::Given, "key-card/give", Outcome::Done);
    Ok(save(tx, &row, what, &format!("to {to}"), act)?)
}

/// Takes a key card back into the centre.
///
/// # Errors
/// [`InventoryError::State`] unless it is given out.
pub fn take_back(tx: &Tx, serial: &PsamSerial, act: &Act) -> Result<(), InventoryError> {
    let row = key_card(tx, serial)?;
    if row.state != KeyCardState::Given {
        let (serial, expected, found) = (*serial, "given out", row.state);
        return Err(InventoryError::State { serial, expected, found });
    }
    let detail = format!("from {}", row.holder);
    let row = KeyCardRow { state: KeyCardState::Returned, holder: String::new(), ..row };
    Ok(save(tx, &row, (KeyCardEvent::Returned, "key-card/return", Outcome::Done), &detail, act)?)
}
