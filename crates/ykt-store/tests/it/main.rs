//! The store from outside: data directories, transactions, and group commit, when all goes well and when not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod directory;
mod group;
mod transaction;

use ykt_store::{Module, Store, StoreError, params};

/// A table of words to play with.
pub const WORDS: Module = Module {
    name: "words",
    migrations: &["CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)"],
};

/// Adds a word in a transaction of its own.
pub fn add(store: &Store, id: i64, text: &str) -> Result<usize, StoreError> {
    store.write(|tx| tx.execute("INSERT INTO word (id, text) VALUES ($1, $2)", params![id, text]))
}

/// All words by id.
pub fn words(store: &Store) -> Vec<String> {
    store.read(|tx| tx.query("SELECT text FROM word ORDER BY id", &[], |row| row.text(0))).unwrap()
}
