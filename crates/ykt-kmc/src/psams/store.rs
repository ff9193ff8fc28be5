//! Tables of PSAM production.

use super::{
    Batch, BatchError, BatchFilter, BatchState, Counts, NewBatch, Protocol, Psam, PsamFilter, PsamKey,
    PsamState, Stage,
};
use ykt_base::PsamSerial;
use ykt_issue::Profile;
use ykt_office::Act;
use ykt_office::audit::{self, Outcome};
use ykt_store::{Direction, Filter, Module, Page, Paging, Row, StoreError, Tx, contains, params};

/// The tables, for [`ykt_store::Store::open`].
pub const MODULE: Module = Module { name: "kmc-psams", migrations: &[FIRST, BY_STATE] };

const FIRST: &str = "
CREATE TABLE kmc_psam_batch (
    id TEXT NOT NULL PRIMARY KEY,
    profile TEXT NOT NULL,
    profile_name TEXT NOT NULL,
    psams INTEGER NOT NULL,
    first_serial BLOB NOT NULL,
    first_terminal BLOB NOT NULL,
    issuer BLOB NOT NULL,
    receiver BLOB NOT NULL,
    key_index INTEGER NOT NULL,
    start_day INTEGER NOT NULL,
    expiry_day INTEGER NOT NULL,
    label TEXT NOT NULL,
    state INTEGER NOT NULL,
    opened_by TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER,
    protocol TEXT,
    public_key BLOB,
    signature BLOB
);
CREATE TABLE kmc_psam (
    serial BLOB NOT NULL PRIMARY KEY,
    batch TEXT NOT NULL,
    number INTEGER NOT NULL,
    terminal BLOB NOT NULL UNIQUE,
    digits TEXT NOT NULL,
    pos TEXT,
    state INTEGER NOT NULL,
    steps_done INTEGER NOT NULL,
    stage INTEGER,
    chip BLOB,
    note TEXT NOT NULL,
    who TEXT NOT NULL,
    begun_at INTEGER,
    ended_at INTEGER
);
CREATE INDEX kmc_psam_of_batch ON kmc_psam (batch, number);
CREATE INDEX kmc_psam_chip ON kmc_psam (chip);
CREATE TABLE kmc_psam_key (
    serial BLOB NOT NULL,
    number INTEGER NOT NULL,
    stage INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key_usage INTEGER NOT NULL,
    version INTEGER NOT NULL,
    kcv BLOB,
    PRIMARY KEY (serial, number)
);
";

/// A way to the next number of a large batch, and to its counts.
const BY_STATE: &str = "CREATE INDEX kmc_psam_state ON kmc_psam (batch, state, number);";

const BATCH: &str =
    "SELECT id, profile, profile_name, psams, first_serial, first_terminal, issuer, receiver, key_index,
    start_day, expiry_day, label, state, opened_by, opened_at, closed_at FROM kmc_psam_batch";
const PSAM: &str =
    "SELECT serial, batch, number, terminal, pos, state, steps_done, stage, chip, note, who, begun_at,
    ended_at FROM kmc_psam";

fn batch_row(row: &Row) -> Result<Batch, StoreError> {
    Ok(Batch {
        new: NewBatch {
            id: row.get(0)?,
            profile: row.get(1)?,
            count: row.get(3)?,
            first_serial: row.get(4)?,
            first_terminal: row.get(5)?,
            issuer: row.get(6)?,
            receiver: row.get(7)?,
            key_index: row.get(8)?,
            start: row.get(9)?,
            expiry: row.get(10)?,
            label: row.get(11)?,
            terminals: Vec::new(),
        },
        profile_name: row.get(2)?,
        state: row.get(12)?,
        opened_by: row.get(13)?,
        opened_at: row.get(14)?,
        closed_at: row.get(15)?,
        counts: Counts::default(),
    })
}

fn psam_row(row: &Row) -> Result<Psam, StoreError> {
    Ok(Psam {
        serial: row.get(0)?,
        batch: row.get(1)?,
        number: row.get(2)?,
        terminal: row.get(3)?,
        pos: row.get(4)?,
        state: row.get(5)?,
        steps_done: row.get(6)?,
        stage: row.get(7)?,
        chip: row.get(8)?,
        note: row.get(9)?,
        who: row.get(10)?,
        begun_at: row.get(11)?,
        ended_at: row.get(12)?,
    })
}

/// A batch with its counts and terminals.
fn complete(tx: &Tx, mut batch: Batch) -> Result<Batch, StoreError> {
    let sql = "SELECT state, COUNT(*) FROM kmc_psam WHERE batch = $1 GROUP BY state";
    for (state, count) in tx.query(sql, params![&batch.new.id], |row| Ok((row.get(0)?, row.get(1)?)))? {
        match state {
            PsamState::Waiting => batch.counts.waiting = count,
            PsamState::InWork => batch.counts.in_work = count,
            PsamState::Produced => batch.counts.produced = count,
            PsamState::Stopped => batch.counts.stopped = count,
        }
    }
    let sql = "SELECT pos FROM kmc_psam WHERE batch = $1 AND pos IS NOT NULL ORDER BY number";
    batch.new.terminals = tx.query(sql, params![&batch.new.id], |row| row.get(0))?;
    Ok(batch)
}

/// Opens a batch; the same one again is passed over.
///
/// # Errors
/// [`BatchError`]: a field outside its range, an id or a number that is taken.
pub fn open(tx: &Tx, new: &NewBatch, profile: &Profile, act: &Act) -> Result<(), BatchError> {
    if let Some(found) = find(tx, &new.id)? {
        return found.new.same(new);
    }
    new.check()?;
    let (last, _) = new.numbers(new.count.saturating_sub(1))?;
    tx.execute(
        "INSERT INTO kmc_psam_batch (id, profile, profile_name, psams, first_serial, first_terminal, issuer, receiver,
         key_index, start_day, expiry_day, label, state, opened_by, opened_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        params![
            &new.id,
            &new.profile,
            &profile.name,
            new.count,
            &new.first_serial,
            &new.first_terminal,
            &new.issuer,
            &new.receiver,
            new.key_index,
            new.start,
            new.expiry,
            &new.label,
            BatchState::Open,
            &act.who,
            act.at,
        ],
    )?;
    let mut pos = new.terminals.iter();
    for place in 0..new.count {
        let (serial, terminal) = new.numbers(place)?;
        free(tx, "serial number", "serial = $1", &serial.0, &serial.to_string())?;
        free(tx, "terminal id", "terminal = $1", &terminal.0, &terminal.to_string())?;
        tx.execute(
            "INSERT INTO kmc_psam (serial, batch, number, terminal, digits, pos, state, steps_done, note, who)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0, '', '')",
            params![
                &serial,
                &new.id,
                place.saturating_add(1),
                &terminal,
                &format!("{serial} {terminal}"),
                pos.next(),
                PsamState::Waiting,
            ],
        )?;
    }
    let detail = format!("{} PSAMs {} to {last}, profile {}", new.count, new.first_serial, profile.name);
    audit::append(tx, act, "psam/batch", &new.id, Outcome::Done, &detail)?;
    Ok(())
}

fn free(tx: &Tx, what: &'static str, condition: &str, bytes: &[u8], number: &str) -> Result<(), BatchError> {
    let sql = format!("SELECT batch FROM kmc_psam WHERE {condition}");
    match tx.query_one(&sql, params![bytes], |row| row.get(0))? {
        Some(batch) => Err(BatchError::Taken { what, number: number.to_owned(), batch }),
        None => Ok(()),
    }
}

/// The batch.
///
/// # Errors
/// [`BatchError::Unknown`].
pub fn batch(tx: &Tx, id: &str) -> Result<Batch, BatchError> {
    find(tx, id)?.ok_or_else(|| BatchError::Unknown { id: id.to_owned() })
}

fn find(tx: &Tx, id: &str) -> Result<Option<Batch>, StoreError> {
    let found = tx.query_one(&format!("{BATCH} WHERE id = $1"), params![id], batch_row)?;
    found.map(|batch| complete(tx, batch)).transpose()
}

/// The batches that pass `filter`, newest first.
///
/// # Errors
/// [`StoreError`].
pub fn batches(tx: &Tx, filter: &BatchFilter, paging: Paging) -> Result<Page<Batch>, StoreError> {
    let text = contains(filter.text.as_deref());
    let mut conditions = Filter::default();
    conditions.when("state =", filter.state).when_any_like(&["id", "label"], text.as_ref());
    let page = conditions.page(tx, BATCH, ("opened_at", Direction::Down), "id", paging, batch_row)?;
    let rows = page.rows.into_iter().map(|batch| complete(tx, batch)).collect::<Result<_, _>>()?;
    Ok(Page { rows, totals: page.totals, paging })
}

/// The PSAMs that pass `filter`, in the order of their batches and numbers.
///
/// # Errors
/// [`StoreError`].
pub fn list(tx: &Tx, filter: &PsamFilter, paging: Paging) -> Result<Page<Psam>, StoreError> {
    let number = contains(filter.number.as_deref());
    let mut conditions = Filter::default();
    conditions
        .when("batch =", filter.batch.as_ref())
        .when("state =", filter.state)
        .when_any_like(&["digits"], number.as_ref());
    conditions.page(tx, PSAM, ("batch", Direction::Up), "number", paging, psam_row)
}

/// The PSAM of a serial number.
///
/// # Errors
/// [`StoreError`].
pub fn psam(tx: &Tx, serial: &PsamSerial) -> Result<Option<Psam>, StoreError> {
    tx.query_one(&format!("{PSAM} WHERE serial = $1"), params![serial], psam_row)
}

/// The PSAM that a chip became or was about to become, of any batch; the one in work first.
pub(super) fn of_chip(tx: &Tx, chip: [u8; 8]) -> Result<Option<Psam>, StoreError> {
    let sql = format!(
        "{PSAM} WHERE chip = $1 ORDER BY CASE state WHEN $2 THEN 0 ELSE 1 END, begun_at DESC LIMIT 1"
    );
    tx.query_one(&sql, params![&chip, PsamState::InWork], psam_row)
}

/// The PSAM of a batch whose number comes next.
pub(super) fn next_waiting(tx: &Tx, batch: &str) -> Result<Option<Psam>, StoreError> {
    let sql = format!("{PSAM} WHERE batch = $1 AND state = $2 ORDER BY number LIMIT 1");
    tx.query_one(&sql, params![batch, PsamState::Waiting], psam_row)
}

/// The PSAMs of a batch that were begun and not ended.
///
/// # Errors
/// [`StoreError`].
pub fn unfinished(tx: &Tx, batch: &str) -> Result<Vec<Psam>, StoreError> {
    let sql = format!("{PSAM} WHERE batch = $1 AND state = $2 ORDER BY number");
    tx.query(&sql, params![batch, PsamState::InWork], psam_row)
}

/// All PSAMs of a batch, in order.
pub(super) fn of_batch(tx: &Tx, batch: &str) -> Result<Vec<Psam>, StoreError> {
    tx.query(&format!("{PSAM} WHERE batch = $1 ORDER BY number"), params![batch], psam_row)
}

/// Gives the number to a chip.
pub(super) fn begin(tx: &Tx, serial: &PsamSerial, chip: [u8; 8], act: &Act) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE kmc_psam SET state = $2, chip = $3, who = $4, begun_at = $5, steps_done = 0, stage = $6, note = ''
         WHERE serial = $1",
        params![serial, PsamState::InWork, &chip, &act.who, act.at, Stage::Initialisation],
    )
    .map(drop)
}

/// Notes how many steps of the profile are done, and which step of production is under way now.
pub(super) fn advance(tx: &Tx, serial: &PsamSerial, done: u32, stage: Stage) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE kmc_psam SET steps_done = $2, stage = $3 WHERE serial = $1",
        params![serial, done, stage],
    )
    .map(drop)
}

/// Notes why work on a chip was interrupted; its number stays with it.
pub(super) fn interrupted(tx: &Tx, serial: &PsamSerial, why: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE kmc_psam SET note = $2 WHERE serial = $1", params![serial, why]).map(drop)
}

/// The PSAM is made: its keys' check values are kept, and the audit log says so.
pub(super) fn produced(
    tx: &Tx,
    psam: &Psam,
    keys: &[PsamKey],
    commands: usize,
    act: &Act,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE kmc_psam SET state = $2, stage = $3, note = '', who = $4, ended_at = $5 WHERE serial = $1",
        params![&psam.serial, PsamState::Produced, Stage::WorkingKeys, &act.who, act.at],
    )?;
    for (number, key) in (1_u32..).zip(keys) {
        let kcv = key.kcv.as_ref().map(|kcv| &kcv[..]);
        tx.execute(
            "INSERT INTO kmc_psam_key (serial, number, stage, kind, key_usage, version, kcv)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            params![&psam.serial, number, key.stage, &key.kind, key.usage, key.version, kcv],
        )?;
    }
    let detail = format!("terminal id {}, batch {}, {commands} commands", psam.terminal, psam.batch);
    audit::append(tx, act, "psam/produced", &psam.serial.to_string(), Outcome::Done, &detail)?;
    Ok(())
}

/// What happened to the PSAM afterwards: it could not be registered, or was.
pub(super) fn note(tx: &Tx, serial: &PsamSerial, note: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE kmc_psam SET note = $2 WHERE serial = $1", params![serial, note]).map(drop)
}

/// The chip is given up and its number spent.
pub(super) fn stopped(tx: &Tx, psam: &Psam, why: &str, act: &Act) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE kmc_psam SET state = $2, note = $3, who = $4, ended_at = $5 WHERE serial = $1",
        params![&psam.serial, PsamState::Stopped, why, &act.who, act.at],
    )?;
    let detail = format!("batch {}, {why}", psam.batch);
    audit::append(tx, act, "psam/stopped", &psam.serial.to_string(), Outcome::Refused, &detail)?;
    Ok(())
}

/// Stops a PSAM whose chip will not come back: lost, or broken.
///
/// # Errors
/// [`BatchError::UnknownPsam`]; [`BatchError::State`] unless it is in work.
pub fn stopped_for_good(
    tx: &Tx,
    batch: &str,
    serial: &PsamSerial,
    why: &str,
    act: &Act,
) -> Result<(), BatchError> {
    let psam = in_state(tx, batch, serial, PsamState::InWork)?;
    Ok(stopped(tx, &psam, why, act)?)
}

/// Lets a stopped PSAM's number wait for another chip, when the spoiled one was destroyed before anybody's eyes.
///
/// # Errors
/// [`BatchError::UnknownPsam`]; [`BatchError::State`] unless it is stopped.
pub fn again(tx: &Tx, batch: &str, serial: &PsamSerial, why: &str, act: &Act) -> Result<(), BatchError> {
    in_state(tx, batch, serial, PsamState::Stopped)?;
    tx.execute(
        "UPDATE kmc_psam SET state = $2, steps_done = 0, stage = NULL, chip = NULL, note = '', begun_at = NULL,
         ended_at = NULL WHERE serial = $1",
        params![serial, PsamState::Waiting],
    )?;
    tx.execute(
        "UPDATE kmc_psam_batch SET state = $2, closed_at = NULL WHERE id = $1",
        params![batch, BatchState::Open],
    )?;
    audit::append(tx, act, "psam/again", &serial.to_string(), Outcome::Done, why)?;
    Ok(())
}

fn in_state(tx: &Tx, batch: &str, serial: &PsamSerial, wanted: PsamState) -> Result<Psam, BatchError> {
    let found = psam(tx, serial)?.filter(|psam| psam.batch == batch);
    let unknown = || BatchError::UnknownPsam { batch: batch.to_owned(), serial: *serial };
    let psam = found.ok_or_else(unknown)?;
    if psam.state == wanted {
        return Ok(psam);
    }
    Err(BatchError::State { serial: *serial, expected: wanted.name(), found: psam.state })
}

/// The keys of a PSAM, in the order they were written.
///
/// # Errors
/// [`StoreError`].
pub fn keys_of(tx: &Tx, serial: &PsamSerial) -> Result<Vec<PsamKey>, StoreError> {
    tx.query(
        "SELECT stage, kind, key_usage, version, kcv FROM kmc_psam_key WHERE serial = $1 ORDER BY number",
        params![serial],
        |row| {
            Ok(PsamKey {
                stage: row.get(0)?,
                kind: row.get(1)?,
                usage: row.get(2)?,
                version: row.get(3)?,
                kcv: row.get(4)?,
            })
        },
    )
}

/// Closes a batch with its signed protocol.
pub(super) fn close(tx: &Tx, id: &str, protocol: &Protocol, act: &Act) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE kmc_psam_batch SET state = $2, closed_at = $3, protocol = $4, public_key = $5, signature = $6
         WHERE id = $1",
        params![
            id,
            BatchState::Closed,
            act.at,
            &protocol.text,
            &protocol.public_key[..],
            &protocol.signature[..],
        ],
    )?;
    audit::append(tx, act, "psam/batch", id, Outcome::Done, "closed; protocol signed")?;
    Ok(())
}

/// The signed protocol of a batch that is closed; `None` while it is open.
///
/// # Errors
/// [`BatchError::Unknown`].
pub fn signed_protocol(tx: &Tx, id: &str) -> Result<Option<Protocol>, BatchError> {
    if batch(tx, id)?.state == BatchState::Open {
        return Ok(None);
    }
    let sql =
        "SELECT protocol, public_key, signature FROM kmc_psam_batch WHERE id = $1 AND protocol IS NOT NULL";
    let protocol = tx.query_one(sql, params![id], |row| {
        Ok(Protocol { text: row.get(0)?, public_key: row.get(1)?, signature: row.get(2)? })
    })?;
    Ok(protocol)
}
