//! The tables of the office, and what all its rooms need to speak SQL.
//!
//! Registers grow by a card or a terminal at a time and are read by key; no table here takes masses of rows
//! a day. History (card events, pairs, contracts, losses, deliveries) is only ever added to or closed.

use crate::life::IllegalStep;
use thiserror::Error;
use ykt_base::Asn8;
use ykt_store::{Module, StoreError};

/// The tables of the office, for [`ykt_store::Store::open`].
pub const MODULE: Module =
    Module { name: "office", migrations: &[FIRST, TWO_PEOPLE, SECOND_FACTOR, CHECKPOINTS, SEARCH] };

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

/// Staff numbers, by which two users are known as one person, and requests that wait for a second person.
const TWO_PEOPLE: &str = "
ALTER TABLE office_user ADD COLUMN staff_number TEXT;
CREATE TABLE office_request (
    id TEXT NOT NULL PRIMARY KEY,
    what TEXT NOT NULL,
    object TEXT NOT NULL,
    payload TEXT NOT NULL,
    reason TEXT NOT NULL,
    needs INTEGER NOT NULL,
    asked_by TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    state INTEGER NOT NULL,
    decided_by TEXT,
    decided_at INTEGER,
    result TEXT
);
";

/// Authenticators of users, and sign-ins that wait for their code.
const SECOND_FACTOR: &str = "
CREATE TABLE office_second_factor (
    user_name TEXT NOT NULL PRIMARY KEY,
    secret BLOB NOT NULL,
    confirmed_at INTEGER,
    last_step INTEGER NOT NULL
);
CREATE TABLE office_half_sign_in (
    token_hash BLOB NOT NULL PRIMARY KEY,
    user_name TEXT NOT NULL,
    from_where TEXT NOT NULL,
    started_at INTEGER NOT NULL
);
";

/// Signed checkpoints of the audit log, and the end of all ways to change either: the engine itself refuses.
const CHECKPOINTS: &str = "
CREATE TABLE office_audit_checkpoint (
    no INTEGER NOT NULL PRIMARY KEY,
    records INTEGER NOT NULL,
    at INTEGER NOT NULL,
    link BLOB NOT NULL,
    public_key BLOB NOT NULL,
    signature BLOB NOT NULL
);
CREATE TRIGGER office_audit_stays BEFORE UPDATE ON office_audit
    BEGIN SELECT RAISE(ABORT, 'a record of the audit log is never changed'); END;
CREATE TRIGGER office_audit_is_kept BEFORE DELETE ON office_audit
    BEGIN SELECT RAISE(ABORT, 'a record of the audit log is never deleted'); END;
CREATE TRIGGER office_audit_checkpoint_stays BEFORE UPDATE ON office_audit_checkpoint
    BEGIN SELECT RAISE(ABORT, 'a checkpoint of the audit log is never changed'); END;
CREATE TRIGGER office_audit_checkpoint_is_kept BEFORE DELETE ON office_audit_checkpoint
    BEGIN SELECT RAISE(ABORT, 'a checkpoint of the audit log is never deleted'); END;
";

/// Ways into long tables: the audit log by time, person and act; cards by what campaigns and lists choose them by.
const SEARCH: &str = "
CREATE INDEX office_audit_at ON office_audit (at);
CREATE INDEX office_audit_who ON office_audit (who);
CREATE INDEX office_audit_what ON office_audit (what);
CREATE INDEX office_card_state ON office_card (state, factor, main_type);
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
