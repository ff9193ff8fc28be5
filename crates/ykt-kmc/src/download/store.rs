//! Tables of key download.
//!
//! `download_card` is the memory of what was made: one row per application and card number, which makes "no card twice" a
//! matter of one unique index. Rows of a batch are written when its file comes; others when they are opened.

use super::{
    BatchRow, CardFilter, CardRow, CardState, Ending, LineRow, LineState, NewLine, NewRight, Progress,
    REASON_LEN_MAX, RightRow, RightTo, Verdict,
};
use ykt_base::{Asn8, DateTime, IssuerFactor, PsamSerial};
use ykt_crypto::chain::Hash32;
use ykt_issue::Subject;
use ykt_store::{Direction, Filter, Module, Page, Paging, Row, StoreError, Tx, params};

/// The tables of key download, for [`ykt_store::Store::open`].
pub const MODULE: Module = Module { name: "kmc-download", migrations: &[FIRST] };

const FIRST: &str = "
CREATE TABLE download_line (
    name TEXT NOT NULL PRIMARY KEY,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    certificate BLOB NOT NULL UNIQUE,
    since INTEGER NOT NULL
);
CREATE TABLE download_right (
    id INTEGER NOT NULL PRIMARY KEY,
    line TEXT NOT NULL,
    kind INTEGER NOT NULL,
    object TEXT NOT NULL,
    batch TEXT,
    quota INTEGER NOT NULL,
    used INTEGER NOT NULL,
    from_day INTEGER NOT NULL,
    until_day INTEGER NOT NULL,
    withdrawn INTEGER NOT NULL
);
CREATE INDEX download_right_line ON download_right (line, kind, object);
CREATE TABLE download_batch (
    name TEXT NOT NULL PRIMARY KEY,
    application TEXT NOT NULL,
    digest BLOB NOT NULL,
    loaded_at INTEGER NOT NULL,
    loaded_by TEXT NOT NULL
);
CREATE TABLE download_card (
    id INTEGER NOT NULL PRIMARY KEY,
    application TEXT NOT NULL,
    number BLOB NOT NULL,
    kind INTEGER NOT NULL,
    factor BLOB NOT NULL,
    banks BLOB NOT NULL,
    batch TEXT,
    state INTEGER NOT NULL,
    line TEXT,
    right_id INTEGER,
    attempts INTEGER NOT NULL,
    begun_at INTEGER,
    ended_at INTEGER,
    reason TEXT NOT NULL,
    UNIQUE (application, number)
);
CREATE INDEX download_card_batch ON download_card (batch, state, id);
CREATE TABLE download_visited (
    campaign TEXT NOT NULL,
    asn BLOB NOT NULL,
    line TEXT NOT NULL,
    right_id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (campaign, asn, line)
);
CREATE TABLE download_operation (
    line TEXT NOT NULL,
    id TEXT NOT NULL,
    digest BLOB NOT NULL,
    answer BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (line, id)
);
";

ykt_store::coded! {
    /// How it is kept what a right is to.
    Purpose {
        /// An application.
        Cards = 1, "cards";
        /// A campaign.
        Visits = 2, "visits";
    }
}

const LINE: &str = "SELECT name, kind, state, certificate, since FROM download_line";
const RIGHT: &str = "SELECT id, line, kind, object, batch, quota, used, from_day, until_day, withdrawn
                     FROM download_right";
const CARD: &str =
    "SELECT id, application, number, kind, factor, banks, batch, state, line, right_id, attempts,
                    begun_at, ended_at, reason FROM download_card";
/// How a subject's kind is kept.
const USER: u8 = 0;
const PSAM: u8 = 1;
const KEY_CARD: u8 = 2;

fn line_row(row: &Row) -> Result<LineRow, StoreError> {
    Ok(LineRow {
        name: row.get(0)?,
        kind: row.get(1)?,
        state: row.get(2)?,
        certificate: Hash32(row.get(3)?),
        since: row.get(4)?,
    })
}

fn right_row(row: &Row) -> Result<RightRow, StoreError> {
    let object = row.get(3)?;
    let to = match row.get(2)? {
        Purpose::Cards => RightTo::Cards { application: object, batch: row.get(4)? },
        Purpose::Visits => RightTo::Visits { campaign: object },
    };
    let right = NewRight { line: row.get(1)?, to, quota: row.get(5)?, from: row.get(7)?, until: row.get(8)? };
    Ok(RightRow { id: row.get(0)?, right, used: row.get(6)?, withdrawn: row.get(9)? })
}

/// What a right is to, and the name of that.
fn purpose(to: &RightTo) -> (Purpose, &str) {
    match to {
        RightTo::Cards { application, .. } => (Purpose::Cards, application),
        RightTo::Visits { campaign } => (Purpose::Visits, campaign),
    }
}

fn card_row(row: &Row) -> Result<CardRow, StoreError> {
    let factor: IssuerFactor = row.get(4)?;
    let subject = match row.get::<u8>(3)? {
        USER => {
            let banks: Vec<u8> = row.get(5)?;
            let banks = banks.chunks_exact(8).filter_map(|bank| bank.try_into().ok().map(Asn8)).collect();
            Subject::Card { asn: row.get(2)?, factor, banks }
        }
        PSAM => Subject::Sam { serial: row.get::<PsamSerial>(2)?, factor },
        _ => Subject::KeyCard { serial: row.get::<PsamSerial>(2)?, factor },
    };
    Ok(CardRow {
        id: row.get(0)?,
        application: row.get(1)?,
        subject,
        batch: row.get(6)?,
        state: row.get(7)?,
        line: row.get(8)?,
        right: row.get(9)?,
        attempts: row.get(10)?,
        begun_at: row.get(11)?,
        ended_at: row.get(12)?,
        reason: row.get(13)?,
    })
}

/// The bytes of a card's number.
const fn number(subject: &Subject) -> &[u8] {
    match subject {
        Subject::Card { asn, .. } => &asn.0,
        Subject::Sam { serial, .. } | Subject::KeyCard { serial, .. } => &serial.0,
    }
}

pub(super) fn add_line(tx: &Tx, new: &NewLine, at: DateTime) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO download_line (name, kind, state, certificate, since) VALUES ($1, $2, $3, $4, $5)",
        params![&new.name, new.kind, LineState::Active, new.certificate.as_bytes(), at],
    )
    .map(drop)
}

pub(super) fn set_line(tx: &Tx, name: &str, state: LineState, at: DateTime) -> Result<(), StoreError> {
    tx.execute("UPDATE download_line SET state = $2, since = $3 WHERE name = $1", params![name, state, at])
        .map(drop)
}

pub(super) fn line(tx: &Tx, name: &str) -> Result<Option<LineRow>, StoreError> {
    tx.query_one(&format!("{LINE} WHERE name = $1"), params![name], line_row)
}

pub(super) fn line_of(tx: &Tx, certificate: &Hash32) -> Result<Option<LineRow>, StoreError> {
    tx.query_one(&format!("{LINE} WHERE certificate = $1"), params![certificate.as_bytes()], line_row)
}

/// All lines by name.
///
/// # Errors
/// [`StoreError`].
pub fn lines(tx: &Tx) -> Result<Vec<LineRow>, StoreError> {
    tx.query(&format!("{LINE} ORDER BY name"), &[], line_row)
}

pub(super) fn add_right(tx: &Tx, new: &NewRight) -> Result<u32, StoreError> {
    let last = tx.query_one("SELECT MAX(id) FROM download_right", &[], |row| row.get::<Option<u32>>(0))?;
    let id = last.flatten().unwrap_or(0).saturating_add(1);
    let (kind, object) = purpose(&new.to);
    tx.execute(
        "INSERT INTO download_right (id, line, kind, object, batch, quota, used, from_day, until_day, withdrawn)
         VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, 0)",
        params![id, &new.line, kind, object, new.to.batch(), new.quota, new.from, new.until],
    )?;
    Ok(id)
}

pub(super) fn withdraw_right(tx: &Tx, id: u32) -> Result<bool, StoreError> {
    Ok(tx.execute("UPDATE download_right SET withdrawn = 1 WHERE id = $1", params![id])? == 1)
}

pub(super) fn use_right(tx: &Tx, id: u32, cards: u32) -> Result<(), StoreError> {
    tx.execute("UPDATE download_right SET used = used + $2 WHERE id = $1", params![id, cards]).map(drop)
}

/// The rights that touch a call: the line's to the same, for this batch or any.
pub(super) fn rights_for(tx: &Tx, line: &str, to: &RightTo) -> Result<Vec<RightRow>, StoreError> {
    let sql = format!(
        "{RIGHT} WHERE line = $1 AND kind = $2 AND object = $3 AND withdrawn = 0 AND (batch IS NULL OR batch = $4)
         ORDER BY batch IS NULL, until_day, id"
    );
    let (kind, object) = purpose(to);
    tx.query(&sql, params![line, kind, object, to.batch()], right_row)
}

/// Whether a line was shown a card of a campaign before.
pub(super) fn has_visited(tx: &Tx, campaign: &str, asn: &Asn8, line: &str) -> Result<bool, StoreError> {
    let sql = "SELECT right_id FROM download_visited WHERE campaign = $1 AND asn = $2 AND line = $3";
    Ok(tx.query_one(sql, params![campaign, asn, line], |row| row.get::<u32>(0))?.is_some())
}

/// Writes down that a line was shown a card of a campaign, and which right it used.
pub(super) fn add_visited(
    tx: &Tx,
    campaign: &str,
    asn: &Asn8,
    (line, right): (&str, u32),
    at: DateTime,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO download_visited (campaign, asn, line, right_id, at) VALUES ($1, $2, $3, $4, $5)",
        params![campaign, asn, line, right, at],
    )
    .map(drop)
}

/// All rights, newest first.
///
/// # Errors
/// [`StoreError`].
pub fn rights(tx: &Tx) -> Result<Vec<RightRow>, StoreError> {
    tx.query(&format!("{RIGHT} ORDER BY id DESC"), &[], right_row)
}

pub(super) fn add_batch(
    tx: &Tx,
    name: &str,
    application: &str,
    digest: &Hash32,
    at: DateTime,
    who: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO download_batch (name, application, digest, loaded_at, loaded_by) VALUES ($1, $2, $3, $4, $5)",
        params![name, application, digest.as_bytes(), at, who],
    )
    .map(drop)
}

/// Application and digest of a batch.
pub(super) fn batch(tx: &Tx, name: &str) -> Result<Option<(String, Hash32)>, StoreError> {
    let sql = "SELECT application, digest FROM download_batch WHERE name = $1";
    tx.query_one(sql, params![name], |row| Ok((row.get(0)?, Hash32(row.get(1)?))))
}

/// How far a batch is.
///
/// # Errors
/// [`StoreError`].
pub fn progress(tx: &Tx, batch: &str) -> Result<Progress, StoreError> {
    let mut progress = Progress::default();
    let sql = "SELECT state, COUNT(*) FROM download_card WHERE batch = $1 GROUP BY state";
    tx.for_each(sql, params![batch], |row| -> Result<(), StoreError> {
        let count = row.get(1)?;
        match row.get(0)? {
            CardState::Waiting => progress.waiting = count,
            CardState::UnderWay => progress.under_way = count,
            CardState::Done => progress.done = count,
            CardState::Failed => progress.failed = count,
        }
        Ok(())
    })?;
    Ok(progress)
}

/// All batches, newest first.
///
/// # Errors
/// [`StoreError`].
pub fn batches(tx: &Tx) -> Result<Vec<BatchRow>, StoreError> {
    let sql = "SELECT name, application, loaded_at, loaded_by FROM download_batch ORDER BY loaded_at DESC, name DESC";
    let rows = tx.query(sql, &[], |row| {
        let (name, application, loaded_at, loaded_by) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(BatchRow { name, application, loaded_at, loaded_by, progress: Progress::default() })
    })?;
    rows.into_iter().map(|row| Ok(BatchRow { progress: progress(tx, &row.name)?, ..row })).collect()
}

/// Writes new rows, all waiting in `batch`; the id of the first comes back.
pub(super) fn add_cards(
    tx: &Tx,
    application: &str,
    batch: Option<&str>,
    subjects: &[Subject],
) -> Result<u32, StoreError> {
    let last = tx.query_one("SELECT MAX(id) FROM download_card", &[], |row| row.get::<Option<u32>>(0))?;
    let first = last.flatten().unwrap_or(0).saturating_add(1);
    let mut banks = Vec::new();
    for (id, subject) in (first..).zip(subjects) {
        let kind = match subject {
            Subject::Card { .. } => USER,
            Subject::Sam { .. } => PSAM,
            Subject::KeyCard { .. } => KEY_CARD,
        };
        banks.clear();
        if let Subject::Card { banks: references, .. } = subject {
            references.iter().for_each(|reference| banks.extend(reference.0));
        }
        tx.execute(
            "INSERT INTO download_card (id, application, number, kind, factor, banks, batch, state, attempts, reason)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, '')",
            params![
                id,
                application,
                number(subject),
                kind,
                &subject.factor(),
                &banks,
                batch,
                CardState::Waiting
            ],
        )?;
    }
    Ok(first)
}

pub(super) fn card(tx: &Tx, id: u32) -> Result<Option<CardRow>, StoreError> {
    tx.query_one(&format!("{CARD} WHERE id = $1"), params![id], card_row)
}

pub(super) fn card_of(tx: &Tx, application: &str, subject: &Subject) -> Result<Option<CardRow>, StoreError> {
    let sql = format!("{CARD} WHERE application = $1 AND number = $2");
    tx.query_one(&sql, params![application, number(subject)], card_row)
}

/// The first cards of a batch that wait.
pub(super) fn waiting(tx: &Tx, batch: &str, count: usize) -> Result<Vec<CardRow>, StoreError> {
    let sql = format!("{CARD} WHERE batch = $1 AND state = $2 ORDER BY id LIMIT {count}");
    tx.query(&sql, params![batch, CardState::Waiting], card_row)
}

/// The first cards of a batch that this line began and that are not made.
pub(super) fn broken(tx: &Tx, batch: &str, line: &str, count: usize) -> Result<Vec<CardRow>, StoreError> {
    let sql = format!(
        "{CARD} WHERE batch = $1 AND state IN ($2, $3) AND line = $4 ORDER BY attempts, id LIMIT {count}"
    );
    tx.query(&sql, params![batch, CardState::UnderWay, CardState::Failed, line], card_row)
}

pub(super) fn begin(tx: &Tx, id: u32, line: &str, right: u32, at: DateTime) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE download_card SET state = $2, line = $3, right_id = $4, begun_at = $5, attempts = attempts + 1,
         ended_at = NULL, reason = '' WHERE id = $1",
        params![id, CardState::UnderWay, line, right, at],
    )
    .map(drop)
}

pub(super) fn end(tx: &Tx, id: u32, ending: &Ending, at: DateTime) -> Result<(), StoreError> {
    let (state, reason) = match ending {
        Ending::Made => (CardState::Done, String::new()),
        Ending::Failed(reason) => (CardState::Failed, shown(reason)),
    };
    tx.execute(
        "UPDATE download_card SET state = $2, reason = $3, ended_at = $4 WHERE id = $1",
        params![id, state, &reason, at],
    )
    .map(drop)
}

/// A line's words, cut and without signs that would break a list.
pub(super) fn shown(reason: &str) -> String {
    reason.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).take(REASON_LEN_MAX).collect()
}

/// Lets go of the cards of a batch that a line began and did not make; answers how many there were.
pub(super) fn release(tx: &Tx, batch: &str, line: &str) -> Result<usize, StoreError> {
    tx.execute(
        "UPDATE download_card SET state = $3, line = NULL, right_id = NULL WHERE batch = $1 AND line = $2
         AND state IN ($4, $5)",
        params![batch, line, CardState::Waiting, CardState::UnderWay, CardState::Failed],
    )
}

/// The answer that an operation got: each card's row (0 for none) and verdict.
pub(super) type Answer = Vec<(u32, Verdict)>;

pub(super) fn add_operation(
    tx: &Tx,
    (line, id): (&str, &str),
    digest: &Hash32,
    answer: &Answer,
    at: DateTime,
) -> Result<(), StoreError> {
    let bytes: Vec<u8> = answer
        .iter()
        .flat_map(|(id, verdict)| id.to_be_bytes().into_iter().chain([verdict.code()]))
        .collect();
    tx.execute(
        "INSERT INTO download_operation (line, id, digest, answer, at) VALUES ($1, $2, $3, $4, $5)",
        params![line, id, digest.as_bytes(), &bytes, at],
    )
    .map(drop)
}

pub(super) fn operation(tx: &Tx, line: &str, id: &str) -> Result<Option<(Hash32, Answer)>, StoreError> {
    let sql = "SELECT digest, answer FROM download_operation WHERE line = $1 AND id = $2";
    tx.query_one(sql, params![line, id], |row| {
        let bytes: Vec<u8> = row.get(1)?;
        let each = bytes.chunks_exact(5).filter_map(|part| match *part {
            [a, b, c, d, verdict] => Some((u32::from_be_bytes([a, b, c, d]), Verdict::from_code(verdict)?)),
            _ => None,
        });
        Ok((Hash32(row.get(0)?), each.collect()))
    })
}

/// The cards that pass `filter`, in the order they came.
///
/// # Errors
/// [`StoreError`].
pub fn cards(tx: &Tx, filter: &CardFilter, paging: Paging) -> Result<Page<CardRow>, StoreError> {
    let mut conditions = Filter::default();
    conditions
        .when("application =", filter.application.as_deref())
        .when("batch =", filter.batch.as_deref())
        .when("line =", filter.line.as_deref())
        .when("state =", filter.state);
    conditions.page(tx, CARD, ("id", Direction::Up), "id", paging, card_row)
}
