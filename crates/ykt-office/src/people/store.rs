//! Tables of users, passwords and sessions.

use super::password::PASSWORD_HISTORY;
use super::second_factor::FactorSecret;
use super::two_steps::{Factor, HalfSignIn};
use super::{Role, SessionRow, StaffNumber, UserFilter, UserRow};
use ykt_base::DateTime;
use ykt_crypto::chain::Hash32;
use ykt_store::{Direction, Filter, Page, Paging, Row, StoreError, Tx, contains, params};

const COLUMNS: &str = "SELECT name, full_name, role, must_change, failures, locked_until, disabled,
    password_changed_at, last_sign_in_at, staff_number, password_hash FROM office_user";
const SESSION: &str = "SELECT user_name, from_where, started_at, last_seen_at FROM office_session";

/// A user with the hash of the password.
pub(crate) struct Account {
    pub user: UserRow,
    pub password_hash: String,
}

fn user_row(row: &Row) -> Result<UserRow, StoreError> {
    Ok(UserRow {
        name: row.get(0)?,
        full_name: row.get(1)?,
        role: row.get(2)?,
        must_change_password: row.get(3)?,
        failures: row.get(4)?,
        locked_until: row.get(5)?,
        disabled: row.get(6)?,
        password_changed_at: row.get(7)?,
        last_sign_in_at: row.get(8)?,
        staff_number: row.opt_text(9)?.map(|_| row.parse(9)).transpose()?,
    })
}

fn session_row(row: &Row) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        user: row.get(0)?,
        from: row.get(1)?,
        started_at: row.get(2)?,
        last_seen_at: row.get(3)?,
    })
}

fn account_row(row: &Row) -> Result<Account, StoreError> {
    Ok(Account { user: user_row(row)?, password_hash: row.get(10)? })
}

pub(crate) fn account(tx: &Tx, name: &str) -> Result<Option<Account>, StoreError> {
    tx.query_one(&format!("{COLUMNS} WHERE name = $1"), params![name], account_row)
}

/// The user of that sign-in name.
///
/// # Errors
/// [`StoreError`].
pub fn user(tx: &Tx, name: &str) -> Result<Option<UserRow>, StoreError> {
    Ok(account(tx, name)?.map(|account| account.user))
}

/// The other users under a staff number, disabled ones too: who left may come back.
pub(crate) fn of_staff_number(
    tx: &Tx,
    number: &StaffNumber,
    but: &str,
) -> Result<Vec<(String, Role)>, StoreError> {
    let sql = "SELECT name, role FROM office_user WHERE staff_number = $1 AND name <> $2 ORDER BY name";
    tx.query(sql, params![number.as_str(), but], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Gives a user a staff number.
pub(crate) fn set_staff_number(tx: &Tx, name: &str, number: &StaffNumber) -> Result<(), StoreError> {
    let sql = "UPDATE office_user SET staff_number = $2 WHERE name = $1";
    tx.execute(sql, params![name, number.as_str()]).map(drop)
}

pub(crate) fn enabled_accounts(tx: &Tx) -> Result<Vec<Account>, StoreError> {
    tx.query(&format!("{COLUMNS} WHERE disabled = $1 ORDER BY name"), params![false], account_row)
}

pub(crate) fn insert(tx: &Tx, account: &Account) -> Result<(), StoreError> {
    let Account { user, password_hash } = account;
    tx.execute(
        "INSERT INTO office_user (name, full_name, role, must_change, failures, locked_until, disabled,
            password_changed_at, last_sign_in_at, staff_number, password_hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        params![
            &user.name,
            &user.full_name,
            user.role,
            user.must_change_password,
            user.failures,
            user.locked_until,
            user.disabled,
            user.password_changed_at,
            user.last_sign_in_at,
            user.staff_number.as_ref().map(StaffNumber::as_str),
            password_hash,
        ],
    )?;
    remember(tx, &user.name, password_hash)
}

/// Writes everything of a user that changes but the password.
pub(crate) fn update(tx: &Tx, user: &UserRow) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE office_user SET must_change = $2, failures = $3, locked_until = $4, disabled = $5,
            last_sign_in_at = $6 WHERE name = $1",
        params![
            &user.name,
            user.must_change_password,
            user.failures,
            user.locked_until,
            user.disabled,
            user.last_sign_in_at,
        ],
    )
    .map(drop)
}

pub(crate) fn set_password(tx: &Tx, name: &str, hash: &str, at: DateTime) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE office_user SET password_hash = $2, password_changed_at = $3 WHERE name = $1",
        params![name, hash, at],
    )?;
    remember(tx, name, hash)
}

/// Adds a hash to the user's history and lets the oldest go.
fn remember(tx: &Tx, name: &str, hash: &str) -> Result<(), StoreError> {
    let last = "SELECT MAX(seq) FROM office_password WHERE user_name = $1";
    let seq = tx.query_one(last, params![name], |row| row.get::<Option<u32>>(0))?.flatten();
    let seq = seq.unwrap_or(0).saturating_add(1);
    tx.execute(
        "INSERT INTO office_password (user_name, seq, password_hash) VALUES ($1, $2, $3)",
        params![name, seq, hash],
    )?;
    tx.execute(
        "DELETE FROM office_password WHERE user_name = $1 AND seq <= $2",
        params![name, i64::from(seq).saturating_sub(i64::from(PASSWORD_HISTORY))],
    )
    .map(drop)
}

/// The hashes of the user's last passwords, the present one among them.
pub(crate) fn remembered(tx: &Tx, name: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT password_hash FROM office_password WHERE user_name = $1 ORDER BY seq DESC";
    tx.query(sql, params![name], |row| row.get(0))
}

pub(crate) fn insert_session(tx: &Tx, token: &Hash32, session: &SessionRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO office_session (token_hash, user_name, from_where, started_at, last_seen_at)
         VALUES ($1, $2, $3, $4, $5)",
        params![token.as_bytes(), &session.user, &session.from, session.started_at, session.last_seen_at],
    )
    .map(drop)
}

pub(crate) fn session(tx: &Tx, token: &Hash32) -> Result<Option<SessionRow>, StoreError> {
    tx.query_one(&format!("{SESSION} WHERE token_hash = $1"), params![token.as_bytes()], session_row)
}

/// All sessions, the latest first.
///
/// # Errors
/// [`StoreError`].
pub fn sessions(tx: &Tx) -> Result<Vec<SessionRow>, StoreError> {
    tx.query(&format!("{SESSION} ORDER BY started_at DESC, user_name"), &[], session_row)
}

pub(crate) fn touch(tx: &Tx, token: &Hash32, at: DateTime) -> Result<(), StoreError> {
    let sql = "UPDATE office_session SET last_seen_at = $2 WHERE token_hash = $1";
    tx.execute(sql, params![token.as_bytes(), at]).map(drop)
}

pub(crate) fn end_session(tx: &Tx, token: &Hash32) -> Result<(), StoreError> {
    tx.execute("DELETE FROM office_session WHERE token_hash = $1", params![token.as_bytes()]).map(drop)
}

/// Ends all sessions of a user but the one of `token`, half ones too.
pub(crate) fn end_other_sessions(tx: &Tx, name: &str, token: Option<&Hash32>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM office_half_sign_in WHERE user_name = $1", params![name])?;
    tx.execute(
        "DELETE FROM office_session WHERE user_name = $1 AND ($2 IS NULL OR token_hash <> $2)",
        params![name, token.map(Hash32::as_bytes)],
    )
    .map(drop)
}

/// Ends all sessions that were last seen, or began, too long ago.
pub(crate) fn end_stale_sessions(
    tx: &Tx,
    seen_before: DateTime,
    started_before: DateTime,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM office_session WHERE last_seen_at <= $1 OR started_at <= $2",
        params![seen_before, started_before],
    )
    .map(drop)
}

pub(crate) fn insert_half(tx: &Tx, token: &Hash32, half: &HalfSignIn) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO office_half_sign_in (token_hash, user_name, from_where, started_at) VALUES ($1, $2, $3, $4)",
        params![token.as_bytes(), &half.user, &half.from, half.started_at],
    )
    .map(drop)
}

pub(crate) fn half(tx: &Tx, token: &Hash32) -> Result<Option<HalfSignIn>, StoreError> {
    let sql = "SELECT user_name, from_where, started_at FROM office_half_sign_in WHERE token_hash = $1";
    tx.query_one(sql, params![token.as_bytes()], |row| {
        Ok(HalfSignIn { user: row.get(0)?, from: row.get(1)?, started_at: row.get(2)? })
    })
}

pub(crate) fn end_half(tx: &Tx, token: &Hash32) -> Result<(), StoreError> {
    let sql = "DELETE FROM office_half_sign_in WHERE token_hash = $1";
    tx.execute(sql, params![token.as_bytes()]).map(drop)
}

pub(crate) fn end_stale_halves(tx: &Tx, started_before: DateTime) -> Result<(), StoreError> {
    let sql = "DELETE FROM office_half_sign_in WHERE started_at <= $1";
    tx.execute(sql, params![started_before]).map(drop)
}

pub(crate) fn factor(tx: &Tx, name: &str) -> Result<Option<Factor>, StoreError> {
    let sql = "SELECT secret, confirmed_at, last_step FROM office_second_factor WHERE user_name = $1";
    tx.query_one(sql, params![name], |row| {
        Ok(Factor {
            secret: FactorSecret::from_bytes(row.get(0)?),
            confirmed_at: row.get(1)?,
            last_step: row.get::<u32>(2)?.into(),
        })
    })
}

/// A new authenticator in place of one that was never confirmed.
pub(crate) fn set_factor(tx: &Tx, name: &str, secret: &FactorSecret) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO office_second_factor (user_name, secret, last_step) VALUES ($1, $2, 0)
         ON CONFLICT (user_name) DO UPDATE SET secret = excluded.secret",
        params![name, secret.as_bytes()],
    )
    .map(drop)
}

pub(crate) fn confirm_factor(tx: &Tx, name: &str, step: u64, at: DateTime) -> Result<(), StoreError> {
    let sql = "UPDATE office_second_factor SET confirmed_at = $2 WHERE user_name = $1";
    tx.execute(sql, params![name, at])?;
    set_step(tx, name, step)
}

/// Keeps the step whose code was accepted.
pub(crate) fn set_step(tx: &Tx, name: &str, step: u64) -> Result<(), StoreError> {
    let sql = "UPDATE office_second_factor SET last_step = $2 WHERE user_name = $1";
    tx.execute(sql, params![name, i64::try_from(step).unwrap_or(i64::MAX)]).map(drop)
}

pub(crate) fn drop_factor(tx: &Tx, name: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM office_second_factor WHERE user_name = $1", params![name]).map(drop)
}

/// The users that pass `filter`, by name.
///
/// # Errors
/// [`StoreError`].
pub fn list(tx: &Tx, filter: &UserFilter, paging: Paging) -> Result<Page<UserRow>, StoreError> {
    let text = contains(filter.text.as_deref());
    let mut conditions = Filter::default();
    conditions
        .when("role =", filter.role)
        .when("disabled =", filter.disabled)
        .when_any_like(&["name", "full_name", "staff_number"], text.as_ref());
    conditions.page(tx, COLUMNS, ("name", Direction::Up), "name", paging, user_row)
}
