//! The tables of clearing.
//!
//! Masses are plain: a record of a file is a row under its number and nothing else points at it, so a day's
//! records go in at the end of one tree. What is rare has a row of its own beside: a *verdict* for a record
//! that is not simply accepted, a *gap*, a *difference*. A record of a judged day without a verdict is
//! accepted. The ways of a card through the days are rows by day and card, written in that order at the close.

pub mod bills;
pub mod books;
pub mod files;
pub mod queries;
pub mod records;
pub mod verdicts;

use ykt_store::Module;

/// The tables of clearing, for [`ykt_store::Store::open`].
pub const MODULE: Module = Module { name: "clearing", migrations: &[FIRST] };

const FIRST: &str = "
CREATE TABLE clearing_file (
    id INTEGER PRIMARY KEY,
    merchant TEXT NOT NULL,
    name TEXT NOT NULL,
    hash BLOB NOT NULL,
    state INTEGER NOT NULL,
    day INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    file_day INTEGER,
    sequence INTEGER,
    records INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    reason TEXT NOT NULL,
    is_away INTEGER NOT NULL
);
CREATE UNIQUE INDEX clearing_file_name ON clearing_file (merchant, name) WHERE state = 1;
CREATE UNIQUE INDEX clearing_file_content ON clearing_file (hash) WHERE state = 1 AND records > 0;
CREATE INDEX clearing_file_of_day ON clearing_file (day, merchant);
CREATE INDEX clearing_file_under_way ON clearing_file (id) WHERE is_away = 0;
CREATE TABLE clearing_record (
    id INTEGER PRIMARY KEY,
    serial INTEGER NOT NULL,
    pos TEXT NOT NULL,
    asn BLOB NOT NULL,
    counter INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    balance_before INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    at INTEGER NOT NULL,
    purchase INTEGER NOT NULL,
    terminal BLOB NOT NULL,
    tac BLOB NOT NULL,
    grey INTEGER NOT NULL,
    rest TEXT NOT NULL
);
CREATE TABLE clearing_illegal (
    id INTEGER PRIMARY KEY,
    line BLOB NOT NULL,
    field TEXT NOT NULL,
    expected TEXT NOT NULL,
    found TEXT NOT NULL
);
CREATE TABLE clearing_verdict (
    record INTEGER PRIMARY KEY,
    day INTEGER NOT NULL,
    merchant TEXT NOT NULL,
    asn BLOB,
    counter INTEGER,
    amount INTEGER NOT NULL,
    state INTEGER NOT NULL,
    cause INTEGER NOT NULL,
    first_cause INTEGER NOT NULL,
    settled_day INTEGER
);
CREATE INDEX clearing_verdict_of_day ON clearing_verdict (day, merchant);
CREATE INDEX clearing_verdict_settled ON clearing_verdict (settled_day, merchant);
CREATE INDEX clearing_verdict_state ON clearing_verdict (state, record);
CREATE TABLE clearing_card (
    asn BLOB NOT NULL,
    purse INTEGER NOT NULL,
    next INTEGER NOT NULL,
    balance INTEGER NOT NULL,
    seen_at INTEGER,
    spent INTEGER NOT NULL,
    gaps INTEGER NOT NULL,
    covered BLOB NOT NULL,
    PRIMARY KEY (asn, purse)
);
CREATE TABLE clearing_gap (
    asn BLOB NOT NULL,
    purse INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    left_balance INTEGER NOT NULL,
    left_at INTEGER,
    right_balance INTEGER NOT NULL,
    right_at INTEGER,
    lost INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    PRIMARY KEY (asn, purse, first)
);
CREATE TABLE clearing_psam (
    terminal BLOB NOT NULL PRIMARY KEY,
    covered BLOB NOT NULL
);
CREATE TABLE clearing_card_day (
    day INTEGER NOT NULL,
    asn BLOB NOT NULL,
    records BLOB NOT NULL,
    PRIMARY KEY (day, asn)
);
CREATE TABLE clearing_difference (
    record INTEGER PRIMARY KEY,
    day INTEGER NOT NULL,
    asn BLOB NOT NULL,
    expected INTEGER NOT NULL,
    found INTEGER NOT NULL
);
CREATE TABLE clearing_hour (
    day INTEGER NOT NULL,
    merchant TEXT NOT NULL,
    hour INTEGER NOT NULL,
    records INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (day, merchant, hour)
);
CREATE TABLE clearing_bill (
    day INTEGER NOT NULL,
    merchant TEXT NOT NULL,
    industry INTEGER NOT NULL,
    confirmed INTEGER NOT NULL,
    confirmed_amount INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    refused_amount INTEGER NOT NULL,
    adjusted INTEGER NOT NULL,
    adjusted_amount INTEGER NOT NULL,
    adjustment_refused INTEGER NOT NULL,
    adjustment_refused_amount INTEGER NOT NULL,
    operator INTEGER NOT NULL,
    operator_amount INTEGER NOT NULL,
    commission_ppm INTEGER NOT NULL,
    commission INTEGER NOT NULL,
    net INTEGER NOT NULL,
    state INTEGER NOT NULL,
    transfer INTEGER,
    record_no INTEGER,
    PRIMARY KEY (day, merchant)
);
CREATE INDEX clearing_bill_state ON clearing_bill (state, merchant);
CREATE TABLE clearing_day (
    day INTEGER PRIMARY KEY,
    phase INTEGER NOT NULL,
    begun_at INTEGER NOT NULL,
    ended_at INTEGER
);
CREATE TABLE clearing_transfer (
    id INTEGER PRIMARY KEY,
    day INTEGER NOT NULL UNIQUE,
    pay_day INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    payer_account TEXT NOT NULL
);
CREATE TABLE clearing_payment (
    transfer INTEGER NOT NULL,
    record_no INTEGER NOT NULL,
    merchant TEXT NOT NULL,
    amount INTEGER NOT NULL,
    account TEXT NOT NULL,
    account_name TEXT NOT NULL,
    bank_name TEXT NOT NULL,
    bank_id TEXT NOT NULL,
    payee INTEGER NOT NULL,
    channel INTEGER NOT NULL,
    state INTEGER NOT NULL,
    bank_serial TEXT NOT NULL,
    reason TEXT NOT NULL,
    settled_at INTEGER,
    PRIMARY KEY (transfer, record_no)
);
";
