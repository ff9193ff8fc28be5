//! The table of requests.

use super::{REQUEST_OPEN_S_MAX, Request, RequestError, RequestFilter, RequestId, RequestState};
use ykt_base::DateTime;
use ykt_store::{Direction, Filter, Page, Paging, Row, StoreError, Tx, contains, params};

/// Open requests of this moment and before have expired.
fn asked_too_early(now: DateTime) -> DateTime {
    now.plus_seconds(REQUEST_OPEN_S_MAX.saturating_neg()).unwrap_or(now)
}

/// All requests as they stand at a moment: an open one that nobody decided in time is expired.
fn as_of(now: DateTime) -> String {
    let since = asked_too_early(now);
    let (open, expired) = (RequestState::Open.code(), RequestState::Expired.code());
    format!(
        "SELECT id, what, object, payload, reason, needs, asked_by, asked_at, state, decided_by, decided_at, result
         FROM (SELECT id, what, object, payload, reason, needs, asked_by, asked_at,
                CASE WHEN state = {open} AND asked_at <= {} THEN {expired} ELSE state END AS state,
                decided_by, decided_at, result FROM office_request) AS request",
        since.as_number()
    )
}

fn request_row(row: &Row) -> Result<Request, StoreError> {
    Ok(Request {
        id: row.parse(0)?,
        what: row.get(1)?,
        object: row.get(2)?,
        payload: row.get(3)?,
        reason: row.get(4)?,
        needs: row.get(5)?,
        asked_by: row.get(6)?,
        asked_at: row.get(7)?,
        state: row.get(8)?,
        decided_by: row.get(9)?,
        decided_at: row.get(10)?,
        result: row.get(11)?,
    })
}

/// The request as it stands at `now`.
///
/// # Errors
/// [`StoreError`].
pub fn one(tx: &Tx, id: &RequestId, now: DateTime) -> Result<Option<Request>, StoreError> {
    tx.query_one(&format!("{} WHERE id = $1", as_of(now)), params![id.as_str()], request_row)
}

/// The requests that pass `filter` as they stand at `now`, the latest first.
///
/// # Errors
/// [`StoreError`].
pub fn list(
    tx: &Tx,
    filter: &RequestFilter,
    now: DateTime,
    paging: Paging,
) -> Result<Page<Request>, StoreError> {
    let text = contains(filter.text.as_deref());
    let mut conditions = Filter::default();
    conditions
        .when("state =", filter.state)
        .when("needs =", filter.needs)
        .when("asked_by =", filter.asked_by.as_deref())
        .when_any_like(&["id", "what", "object", "reason"], text.as_ref());
    conditions.page(tx, &as_of(now), ("asked_at", Direction::Down), "id", paging, request_row)
}

pub(super) fn insert(tx: &Tx, request: &Request) -> Result<(), RequestError> {
    tx.execute(
        "INSERT INTO office_request (id, what, object, payload, reason, needs, asked_by, asked_at, state)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![
            request.id.as_str(),
            &request.what,
            &request.object,
            &request.payload,
            &request.reason,
            request.needs,
            &request.asked_by,
            request.asked_at,
            request.state,
        ],
    )?;
    Ok(())
}

/// Writes down which requests have expired.
pub(super) fn expire(tx: &Tx, now: DateTime) -> Result<(), RequestError> {
    tx.execute(
        "UPDATE office_request SET state = $1 WHERE state = $2 AND asked_at <= $3",
        params![RequestState::Expired, RequestState::Open, asked_too_early(now)],
    )?;
    Ok(())
}

/// Writes what changes of a request.
pub(super) fn update(tx: &Tx, request: &Request) -> Result<(), RequestError> {
    tx.execute(
        "UPDATE office_request SET state = $2, decided_by = $3, decided_at = $4, result = $5 WHERE id = $1",
        params![
            request.id.as_str(),
            request.state,
            request.decided_by.as_deref(),
            request.decided_at,
            request.result.as_deref(),
        ],
    )?;
    Ok(())
}
