//! The database of the house. A crate that owns tables exports a [`Module`] (its name and its migrations) and
//! speaks SQL to a [`Tx`]; this crate is the only one that knows the engine.
//!
//! Actors: one [`Store`] per process, which locks its data directory, brings the tables up to date and runs
//! transactions: one writer at a time, many readers beside it. A [`GroupWriter`] gathers what waits at the
//! same moment into one transaction with one sync, and answers only after the commit.
//!
//! The engine is SQLite through `rusqlite` (WAL, `synchronous=FULL`) and lives in `sqlite.rs`. Statements keep
//! to portable SQL: parameters `$1..$n`, columns of INTEGER (64 bits), TEXT and BLOB, upserts by
//! `ON CONFLICT`, no functions of one engine only; so a PostgreSQL leaf can stand beside it.
//!
//! ```
//! use ykt_store::{Module, Store, StoreError, params};
//!
//! const MODULE: Module =
//!     Module { name: "greeting", migrations: &["CREATE TABLE greeting (id INTEGER PRIMARY KEY, word TEXT NOT NULL)"] };
//!
//! let store = Store::in_memory(&[MODULE])?;
//! store.write(|tx| tx.execute("INSERT INTO greeting (id, word) VALUES ($1, $2)", params![1_i64, "hello"]))?;
//! let word = store.read(|tx| {
//!     tx.query_one("SELECT word FROM greeting WHERE id = $1", params![1_i64], |row| row.text(0))
//! })?;
//! assert_eq!(word.as_deref(), Some("hello"));
//! # Ok::<(), StoreError>(())
//! ```

mod coded;
mod error;
mod filter;
mod group;
mod lock;
mod page;
mod sqlite;
mod store;
mod value;

pub use error::StoreError;
pub use filter::{Filter, contains};
pub use group::{GroupCounts, GroupError, GroupLimits, GroupWriter, Ticket};
pub use page::{Direction, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Page, Paging};
pub use sqlite::{Row, Tx};
pub use store::{DATABASE_FILE, LOCK_FILE, Module, READERS_MAX, Store};
pub use value::{Column, Value};
