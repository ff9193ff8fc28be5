//! What can go wrong with the data directory or a statement, in words for the person who must act.

use std::path::PathBuf;
use thiserror::Error;

/// Why the store could not be opened, read or written. Cloneable, so that all jobs of a batch can get it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// Another process (or another handle of this one) has the data directory.
    #[error(
        "data directory {} is in use by process {holder}: stop that process or choose another directory",
        dir.display()
    )]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// Process id of the holder as its lock file states it, or `unknown`.
        holder: String,
    },
    /// The data was written by a newer program.
    #[error(
        "data of a newer version: module `{module}` is at version {found}, \
         this program knows versions up to {known}; use the newer program"
    )]
    NewerVersion {
        /// Module whose tables are newer.
        module: String,
        /// Version in the data.
        found: i64,
        /// Newest version this program knows; 0 when it does not know the module.
        known: i64,
    },
    /// A migration that already ran has another text now.
    #[error(
        "migration {version} of module `{module}` is not the one that made this data; \
         migrations are only ever added: restore its text and add a new one"
    )]
    MigrationChanged {
        /// Module of the migration.
        module: String,
        /// Number of the migration, from 1.
        version: i64,
    },
    /// Two modules of one name were given.
    #[error("two modules are named `{module}`")]
    ModuleTwice {
        /// The name.
        module: String,
    },
    /// The disk, or the size the database may have, is full. Nothing of the transaction was kept.
    #[error("no space left for the database: nothing of this transaction was kept; free space and repeat it")]
    DiskFull,
    /// The file is no database, or is damaged.
    #[error("the database is damaged or no database: {detail}; restore it from a backup")]
    Damaged {
        /// The engine's words.
        detail: String,
    },
    /// Another program kept the database locked too long.
    #[error("the database is kept locked by another program; close that program and repeat")]
    Busy,
    /// A file of the data directory could not be made, opened or synced.
    #[error("{what} {}: {detail}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's words.
        detail: String,
    },
    /// A rule of the tables was broken (unique, not null, check, foreign key).
    #[error("a rule of the tables forbids this row: {detail}")]
    Constraint {
        /// The engine's words: table and column.
        detail: String,
    },
    /// The engine refused a statement.
    #[error("statement `{sql}`: {detail}")]
    Statement {
        /// The statement, cut to its first line or so.
        sql: String,
        /// The engine's words.
        detail: String,
    },
    /// A statement got another number of parameters than it names.
    #[error("statement `{sql}`: expected {expected} parameters, found {found}")]
    Parameters {
        /// The statement, cut to its first line or so.
        sql: String,
        /// Highest parameter number in the statement.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A column holds something else than the reader expects.
    #[error("column {column} of `{sql}`: expected {expected}, found {found}")]
    Column {
        /// The statement, cut to its first line or so.
        sql: String,
        /// Column of the result, from 0.
        column: usize,
        /// What the reader wanted.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A statement that changes data came inside [`Store::read`](crate::Store::read).
    #[error("statement `{sql}` changes data inside a read transaction")]
    ReadOnly {
        /// The statement, cut to its first line or so.
        sql: String,
    },
    /// The system gives no thread for a group writer.
    #[error("cannot start the writer's thread: {detail}")]
    Thread {
        /// The system's words.
        detail: String,
    },
    /// The decider of a group writer returned another number of answers than it got jobs; nothing was kept.
    #[error("a batch of {expected} jobs got {found} answers: a fault of the program; nothing was kept")]
    Answers {
        /// Jobs of the batch.
        expected: usize,
        /// Answers returned.
        found: usize,
    },
    /// An earlier fault (most often a full disk) made the engine give up the transaction; nothing of it is kept.
    #[error("the transaction was given up after an earlier fault: nothing of it was kept; repeat it")]
    GivenUp,
    /// A transaction was begun inside another one of the same store and thread, which would wait for ever.
    #[error("a transaction was begun inside another one of the same store; pass the `Tx` down instead")]
    Nested,
}
