//! Tables of the audit log.

use super::{AuditFilter, AuditRow, ChainReport, Outcome};
use crate::act::Act;
use ykt_crypto::chain::{self, Hash32};
use ykt_store::{Direction, Filter, Page, Paging, Row, StoreError, Tx, contains, params};

/// Records that one step of a verification reads.
const VERIFY_BATCH_ROWS: u32 = 10_000;
const COLUMNS: &str =
    "SELECT seq, at, who, from_where, what, object, outcome, detail, link FROM office_audit";

/// Writes one record; its place comes back.
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
        who: act.who.clone(),
        from: act.from.clone(),
        what: what.to_owned(),
        object: object.to_owned(),
        outcome,
        detail: detail.to_owned(),
        link: before,
    };
    record.link = link(&before, &record);
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

/// The link over `before` and everything of `record` but its own link.
fn link(before: &Hash32, record: &AuditRow) -> Hash32 {
    chain::next(
        before,
        &[
            &record.seq.to_be_bytes(),
            &record.at.as_number().to_be_bytes(),
            record.who.as_bytes(),
            record.from.as_bytes(),
            record.what.as_bytes(),
            record.object.as_bytes(),
            &[record.outcome.code()],
            record.detail.as_bytes(),
        ],
    )
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
    let (who, what) = (contains(filter.who.as_deref()), contains(filter.text.as_deref()));
    let mut conditions = Filter::default();
    conditions
        .when("at >=", filter.from)
        .when("at <", filter.until)
        .when("outcome =", filter.outcome)
        .when_any_like(&["who"], who.as_ref())
        .when_any_like(&["what", "object", "detail"], what.as_ref());
    conditions.page(tx, COLUMNS, ("seq", Direction::Down), "seq", paging, audit_row)
}

/// Recomputes every link from the first record on.
///
/// # Errors
/// [`StoreError`]; a broken chain is a report, no error.
pub fn verify(tx: &Tx) -> Result<ChainReport, StoreError> {
    let (mut before, mut seq) = (Hash32::START, 0u64);
    loop {
        let sql = format!("{COLUMNS} WHERE seq > $1 ORDER BY seq LIMIT {VERIFY_BATCH_ROWS}");
        let batch = tx.query(&sql, params![i64::try_from(seq).unwrap_or(i64::MAX)], audit_row)?;
        if batch.is_empty() {
            return Ok(ChainReport::Whole { records: seq, last: before });
        }
        for record in batch {
            let expected_seq = seq.saturating_add(1);
            if record.seq != expected_seq {
                return Ok(ChainReport::Missing { seq: expected_seq });
            }
            if record.link != link(&before, &record) {
                return Ok(ChainReport::Changed { seq: record.seq });
            }
            (before, seq) = (record.link, record.seq);
        }
    }
}
