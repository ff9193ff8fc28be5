//! The tables of the office, and what all its rooms need to speak SQL.
//!
//! Registers grow by a card or a terminal at a time and are read by key; no table here takes masses of rows
//! a day. History (card events, pairs, contracts, losses, deliveries) is only ever added to or closed.

use crate::life::IllegalStep;
use crate::page::{Direction, Paging};
use std::fmt::Write as _;
use thiserror::Error;
use ykt_base::Asn8;
use ykt_store::{Module, StoreError, Value};

/// The tables of the office, for [`ykt_store::Store::open`].
pub const MODULE: Module = Module { name: "office", migrations: &[FIRST] };

const FIRST: &str = "
CREATE TABLE office_card (
    asn BLOB NOT NULL PRIMARY KEY,
    factor BLOB NOT NULL,
    main_type INTEGER NOT NULL,
    sub_type INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    key_version INTEGER NOT NULL,
    start_day INTEGER NOT NULL,
    expiry_day INTEGER NOT NULL,
    state INTEGER NOT NULL,
    state_since INTEGER NOT NULL,
    issued_at INTEGER
);
CREATE TABLE office_card_event (
    asn BLOB NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    event INTEGER NOT NULL,
    state_after INTEGER NOT NULL,
    who TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (asn, seq)
);
CREATE TABLE office_terminal (
    pos TEXT NOT NULL PRIMARY KEY,
    merchant TEXT NOT NULL,
    state INTEGER NOT NULL,
    state_since INTEGER NOT NULL
);
CREATE TABLE office_pair (
    pos TEXT NOT NULL,
    valid_from INTEGER NOT NULL,
    valid_until INTEGER,
    terminal_id BLOB NOT NULL,
    psam_serial BLOB NOT NULL,
    PRIMARY KEY (pos, valid_from)
);
CREATE INDEX office_pair_psam ON office_pair (terminal_id, valid_from);
CREATE TABLE office_merchant (
    code TEXT NOT NULL PRIMARY KEY,
    name_zh TEXT NOT NULL,
    name_en TEXT NOT NULL,
    industry INTEGER NOT NULL,
    address TEXT NOT NULL
);
CREATE TABLE office_contract (
    merchant TEXT NOT NULL,
    from_day INTEGER NOT NULL,
    until_day INTEGER,
    commission_ppm INTEGER NOT NULL,
    bank TEXT NOT NULL,
    bank_id TEXT NOT NULL,
    account_no TEXT NOT NULL,
    account_name TEXT NOT NULL,
    payee INTEGER NOT NULL,
    PRIMARY KEY (merchant, from_day)
);
CREATE TABLE office_list_change (
    version INTEGER NOT NULL PRIMARY KEY,
    asn BLOB NOT NULL,
    kind INTEGER,
    at INTEGER NOT NULL
);
CREATE TABLE office_list_entry (
    asn BLOB NOT NULL PRIMARY KEY,
    kind INTEGER NOT NULL,
    version INTEGER NOT NULL,
    since INTEGER NOT NULL
);
CREATE TABLE office_loss (
    asn BLOB NOT NULL,
    effective_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    removed_at INTEGER,
    PRIMARY KEY (asn, effective_at)
);
CREATE TABLE office_delivery (
    pos TEXT NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (pos, version)
);
CREATE TABLE office_user (
    name TEXT NOT NULL PRIMARY KEY,
    full_name TEXT NOT NULL,
    role INTEGER NOT NULL,
    password_hash TEXT NOT NULL,
    must_change INTEGER NOT NULL,
    password_changed_at INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    locked_until INTEGER,
    disabled INTEGER NOT NULL,
    last_sign_in_at INTEGER
);
CREATE TABLE office_password (
    user_name TEXT NOT NULL,
    seq INTEGER NOT NULL,
    password_hash TEXT NOT NULL,
    PRIMARY KEY (user_name, seq)
);
CREATE TABLE office_session (
    token_hash BLOB NOT NULL PRIMARY KEY,
    user_name TEXT NOT NULL,
    from_where TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL
);
CREATE TABLE office_audit (
    seq INTEGER NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    from_where TEXT NOT NULL,
    what TEXT NOT NULL,
    object TEXT NOT NULL,
    outcome INTEGER NOT NULL,
    detail TEXT NOT NULL,
    link BLOB NOT NULL
);
";

/// Why a register was not changed. Nothing of the call is kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such object.
    #[error("{what} {id} is not registered: register it first or correct the number")]
    Unknown {
        /// Kind of object.
        what: &'static str,
        /// Its id; a card number masked.
        id: String,
    },
    /// The id is taken by an object with other content.
    #[error("{what} {id} is registered with another {differs}: found {found}, asked for {asked}")]
    Conflict {
        /// Kind of object.
        what: &'static str,
        /// Its id; a card number masked.
        id: String,
        /// Which part differs.
        differs: &'static str,
        /// What is registered.
        found: String,
        /// What was asked for.
        asked: String,
    },
    /// The object's state does not allow the step.
    #[error("{what} {id}: {step}")]
    Illegal {
        /// Kind of object.
        what: &'static str,
        /// Its id; a card number masked.
        id: String,
        /// The step, the state, and what it allows.
        step: IllegalStep,
    },
    /// A field is outside its range.
    #[error("{what} {id}: {field} must be {expected}, found {found}")]
    Field {
        /// Kind of object.
        what: &'static str,
        /// Its id; a card number masked.
        id: String,
        /// The field.
        field: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// What was given.
        found: String,
    },
}

impl RegisterError {
    pub(crate) fn unknown_card(asn: &Asn8) -> RegisterError {
        RegisterError::Unknown { what: "card", id: asn.masked().to_string() }
    }
}

/// The conditions of a list, each with its value.
#[derive(Default)]
pub(crate) struct Filter<'v> {
    text: String,
    values: Vec<Value<'v>>,
}

impl<'v> Filter<'v> {
    /// Adds the condition `left value` (such as `state =`) when there is a value.
    pub fn when(&mut self, left: &str, value: Option<impl Into<Value<'v>>>) -> &mut Self {
        if let Some(value) = value {
            self.values.push(value.into());
            self.join();
            // Writing to a string cannot fail.
            let _ = write!(self.text, "{left} ${}", self.values.len());
        }
        self
    }

    /// Adds the condition that one of `columns` contains a text, the pattern of [`contains`].
    pub fn when_any_like(&mut self, columns: &[&str], pattern: Option<&'v String>) -> &mut Self {
        if let Some(pattern) = pattern {
            self.values.push(pattern.into());
            let no = self.values.len();
            let any: Vec<String> =
                columns.iter().map(|column| format!("LOWER({column}) LIKE ${no} ESCAPE '!'")).collect();
            self.join();
            let _ = write!(self.text, "({})", any.join(" OR "));
        }
        self
    }

    fn join(&mut self) {
        self.text.push_str(if self.text.is_empty() { " WHERE " } else { " AND " });
    }

    /// `select`, the conditions, and `rest`.
    pub fn sql(&self, select: &str, rest: &str) -> String {
        format!("{select}{} {rest}", self.text)
    }

    /// `select`, the conditions, sorted by `column` and then by `key`, one page.
    pub fn page_sql(
        &self,
        select: &str,
        (column, direction): (&str, Direction),
        key: &str,
        paging: Paging,
    ) -> String {
        let way = match direction {
            Direction::Up => "ASC",
            Direction::Down => "DESC",
        };
        let rest = format!(
            "ORDER BY {column} {way}, {key} {way} LIMIT {} OFFSET {}",
            paging.rows(),
            paging.offset()
        );
        self.sql(select, &rest)
    }

    /// The values, for the statement.
    pub fn values(&self) -> &[Value<'v>] {
        &self.values
    }
}

/// The pattern for [`Filter::when_any_like`]: `text` anywhere, its own wildcards taken literally.
pub(crate) fn contains(text: Option<&str>) -> Option<String> {
    let text = text.map(str::trim).filter(|text| !text.is_empty())?;
    let mut pattern = String::from("%");
    for sign in text.to_lowercase().chars() {
        if matches!(sign, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(sign);
    }
    pattern.push('%');
    Some(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_number_their_values_and_escape_patterns() {
        let pattern = contains(Some(" 100%_A! ")).unwrap();
        assert_eq!(pattern, "%100!%!_a!!%");
        assert_eq!(contains(Some("  ")), None);
        let mut filter = Filter::default();
        filter.when("state =", Some(3_i64)).when("day >=", None::<i64>);
        filter.when_any_like(&["a", "b"], Some(&pattern));
        assert_eq!(
            filter.page_sql("SELECT x FROM t", ("a", Direction::Down), "k", Paging::new(3, 20)),
            "SELECT x FROM t WHERE state = $1 AND (LOWER(a) LIKE $2 ESCAPE '!' OR LOWER(b) LIKE $2 ESCAPE '!') \
             ORDER BY a DESC, k DESC LIMIT 20 OFFSET 40"
        );
        assert_eq!(filter.values().len(), 2);
    }
}
