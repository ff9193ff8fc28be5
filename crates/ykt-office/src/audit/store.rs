//! Tables of the audit log.

use super::{AuditFilter, AuditRow, ChainReport, Checkpoint, Outcome, Trust, Verifier};
use crate::act::Act;
use crate::text::one_line;
use ykt_crypto::chain::Hash32;
use ykt_crypto::sm2::Signature;
use ykt_store::{Direction, Filter, Page, Paging, Row, StoreError, Tx, contains, params};

const COLUMNS: &str =
    "SELECT seq, at, who, from_where, what, object, outcome, detail, link FROM office_audit";
const CHECKPOINT: &str = "SELECT no, records, at, link, public_key, signature FROM office_audit_checkpoint";

/// Writes one record, each of its texts in one line; its place comes back.
///
/// # Errors
/// [`StoreError`]: then the act it belongs to must not happen either (D-03).
pub fn append(
    tx: &Tx,
    act: &Act,
    what: &str,
    object: &str,
    outcome: Outcome,
    detail: &str,
) -> Result<u64, StoreError> {
    let last = tx.query_one("SELECT seq, link FROM office_audit ORDER BY seq DESC LIMIT 1", &[], |row| {
        Ok((row.get::<u32>(0)?, Hash32(row.get(1)?)))
    })?;
    let (seq, before) = match last {
        Some((seq, link)) => (u64::from(seq).saturating_add(1), link),
        None => (1, Hash32::START),
    };
    let mut record = AuditRow {
        seq,
        at: act.at,
        who: one_line(&act.who),
        from: one_line(&act.from),
        what: what.to_owned(),
        object: one_line(object),
        outcome,
        detail: one_line(detail),
        link: before,
    };
    record.link = record.link_after(&before);
    tx.execute(
        "INSERT INTO office_audit (seq, at, who, from_where, what, object, outcome, detail, link)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![
            i64::try_from(seq).unwrap_or(i64::MAX),
            record.at,
            &record.who,
            &record.from,
            &record.what,
            &record.object,
            outcome.code(),
            &record.detail,
            record.link.as_bytes(),
        ],
    )?;
    Ok(seq)
}

fn audit_row(row: &Row) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        seq: row.get::<u32>(0)?.into(),
        at: row.get(1)?,
        who: row.get(2)?,
        from: row.get(3)?,
        what: row.get(4)?,
        object: row.get(5)?,
        outcome: row.get(6)?,
        detail: row.get(7)?,
        link: Hash32(row.get(8)?),
    })
}

/// The records that pass `filter`, newest first.
///
/// # Errors
/// [`StoreError`].
pub fn list(tx: &Tx, filter: &AuditFilter, paging: Paging) -> Result<Page<AuditRow>, StoreError> {
    let (who, text) = (contains(filter.who.as_deref()), contains(filter.text.as_deref()));
    let (what, object) = (contains(filter.what.as_deref()), contains(filter.object.as_deref()));
    let mut conditions = Filter::default();
    conditions.when("at >=", filter.from).when("at <", filter.until).when("outcome =", filter.outcome);
    // The index of the time leads to what is asked of some days. Without days, that of the person or the act does.
    let has_days = filter.from.is_some() || filter.until.is_some();
    for (column, pattern) in [("who", &who), ("what", &what)] {
        if has_days {
            conditions.when_any_like(&[column], pattern.as_ref());
        } else {
            conditions.when_between(&one_of_few(column), pattern.as_ref(), " ESCAPE '!')");
        }
    }
    conditions
        .when_any_like(&["object"], object.as_ref())
        .when_any_like(&["what", "object", "detail"], text.as_ref());
    let newest = if has_days { "at" } else { "seq" };
    conditions.page(tx, COLUMNS, (newest, Direction::Down), "seq", paging, audit_row)
}

/// The condition that a column of few different words contains a text. The words are found by hops from one to the next
/// in the column's index, and the records of those that fit by the same index, so nobody reads the log for a name.
fn one_of_few(column: &str) -> String {
    let smallest = format!("SELECT MIN({column}) FROM office_audit");
    format!(
        "{column} IN (WITH RECURSIVE words (word) AS ({smallest} UNION ALL
         SELECT ({smallest} WHERE {column} > word) FROM words WHERE word IS NOT NULL)
         SELECT word FROM words WHERE word LIKE"
    )
}

/// The last record.
///
/// # Errors
/// [`StoreError`].
pub fn head(tx: &Tx) -> Result<Option<AuditRow>, StoreError> {
    tx.query_one(&format!("{COLUMNS} ORDER BY seq DESC LIMIT 1"), &[], audit_row)
}

/// One record.
///
/// # Errors
/// [`StoreError`].
pub fn record(tx: &Tx, seq: u64) -> Result<Option<AuditRow>, StoreError> {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    tx.query_one(&format!("{COLUMNS} WHERE seq = $1"), params![seq], audit_row)
}

/// Runs `each` on every record behind `seq`, in order.
pub(super) fn for_each_behind<E: From<StoreError>>(
    tx: &Tx,
    seq: u64,
    mut each: impl FnMut(AuditRow) -> Result<(), E>,
) -> Result<(), E> {
    let sql = format!("{COLUMNS} WHERE seq > $1 ORDER BY seq");
    tx.for_each(&sql, params![i64::try_from(seq).unwrap_or(i64::MAX)], |row| each(audit_row(row)?))
}

fn checkpoint_row(row: &Row) -> Result<Checkpoint, StoreError> {
    Ok(Checkpoint {
        no: row.get(0)?,
        records: row.get::<u32>(1)?.into(),
        at: row.get(2)?,
        link: Hash32(row.get(3)?),
        public_key: row.get(4)?,
        signature: Signature(row.get(5)?),
    })
}

/// All checkpoints by their numbers.
///
/// # Errors
/// [`StoreError`].
pub fn checkpoints(tx: &Tx) -> Result<Vec<Checkpoint>, StoreError> {
    tx.query(&format!("{CHECKPOINT} ORDER BY no"), &[], checkpoint_row)
}

/// The first checkpoint that covers a record.
///
/// # Errors
/// [`StoreError`].
pub fn checkpoint_over(tx: &Tx, seq: u64) -> Result<Option<Checkpoint>, StoreError> {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    tx.query_one(
        &format!("{CHECKPOINT} WHERE records >= $1 ORDER BY no LIMIT 1"),
        params![seq],
        checkpoint_row,
    )
}

/// The last checkpoint.
///
/// # Errors
/// [`StoreError`].
pub fn last_checkpoint(tx: &Tx) -> Result<Option<Checkpoint>, StoreError> {
    tx.query_one(&format!("{CHECKPOINT} ORDER BY no DESC LIMIT 1"), &[], checkpoint_row)
}

pub(super) fn insert_checkpoint(tx: &Tx, made: &Checkpoint) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO office_audit_checkpoint (no, records, at, link, public_key, signature)
         VALUES ($1, $2, $3, $4, $5, $6)",
        params![
            made.no,
            i64::try_from(made.records).unwrap_or(i64::MAX),
            made.at,
            made.link.as_bytes(),
            &made.public_key,
            made.signature.as_bytes(),
        ],
    )
    .map(drop)
}

/// Verifies the whole log: every link from the first record on, and every checkpoint, whoever signed it.
///
/// # Errors
/// [`StoreError`]; a broken chain is a report, no error.
pub fn verify(tx: &Tx) -> Result<ChainReport, StoreError> {
    verify_trusting(tx, Trust::Named)
}

/// The same, with checkpoints believed as `trust` says.
///
/// # Errors
/// [`StoreError`].
pub fn verify_trusting(tx: &Tx, trust: Trust<'_>) -> Result<ChainReport, StoreError> {
    run(tx, Verifier::new(checkpoints(tx)?, trust), 0)
}

/// Verifies what came after `start`, a checkpoint that an earlier verification found good: its signature, the record it
/// names, then every link and every checkpoint behind it. What lies before is not read, so this takes as long as what
/// is new, however long the log is; an alteration before `start` shows in a whole verification only.
///
/// # Errors
/// [`StoreError`].
pub fn verify_behind(tx: &Tx, start: &Checkpoint, trust: Trust<'_>) -> Result<ChainReport, StoreError> {
    let sql = format!("{CHECKPOINT} WHERE no >= $1 ORDER BY no");
    let verifier = Verifier::behind(start, tx.query(&sql, params![start.no], checkpoint_row)?, trust);
    match record(tx, start.records)? {
        _ if !verifier.goes_on() => Ok(verifier.report()),
        None => Ok(ChainReport::Missing { seq: start.records }),
        Some(last) if last.link != start.link => {
            Ok(ChainReport::Rewritten { from: 1, until: start.records, no: start.no })
        }
        Some(_) => run(tx, verifier, start.records),
    }
}

/// Gives the verifier the records behind `seq`.
fn run(tx: &Tx, mut verifier: Verifier, seq: u64) -> Result<ChainReport, StoreError> {
    for_each_behind(tx, seq, |row| {
        verifier.take(&row);
        Ok::<(), StoreError>(())
    })?;
    Ok(verifier.report())
}
