//! The engine's leaf: SQLite connections, and the statements, rows and transactions that run on them. Nothing
//! of `rusqlite` leaves this file.
//!
//! Durability: WAL with `synchronous=FULL`, so a commit is on the disk when `COMMIT` returns; a process killed
//! at any moment finds the last commit and nothing of an unfinished one.

use crate::error::StoreError;
use crate::value::{Column, Value};
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OpenFlags, ffi};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// Longest wait for another program that has the database file open (a backup, a shell).
const BUSY_MS_MAX: u64 = 10_000;
/// Prepared statements kept per connection.
const STATEMENTS_MAX: usize = 256;
/// Length a statement is cut to in messages, in characters.
const SHOWN_SQL_CHARS_MAX: usize = 120;

/// How a connection works after it was opened. The log is folded into the file at 8,192 pages (32 MiB).
const WRITER_SETTINGS: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
    PRAGMA wal_autocheckpoint = 8192; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -65536;
    PRAGMA temp_store = MEMORY;";
const READER_SETTINGS: &str =
    "PRAGMA query_only = ON; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;";

/// One connection to the database.
pub struct Connection(rusqlite::Connection);

/// Whether a transaction may change data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It may; there is one at a time.
    Write,
    /// It sees one state of the data and changes none.
    Read,
}

/// A running transaction: the way to the tables. It ends with the closure it was given to.
pub struct Tx<'a> {
    connection: &'a rusqlite::Connection,
    access: Access,
}

/// One row of a result. Columns count from 0.
pub struct Row<'a> {
    raw: &'a rusqlite::Row<'a>,
    sql: &'a str,
}

impl Connection {
    /// Opens (or makes) the database file for writing.
    pub fn writer(path: &Path) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::set_up(rusqlite::Connection::open_with_flags(path, flags), WRITER_SETTINGS)
    }

    /// Opens the database file for reading beside the writer.
    pub fn reader(path: &Path) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::set_up(rusqlite::Connection::open_with_flags(path, flags), READER_SETTINGS)
    }

    /// A database that lives and dies with this connection.
    pub fn in_memory() -> Result<Connection, StoreError> {
        Connection::set_up(rusqlite::Connection::open_in_memory(), WRITER_SETTINGS)
    }

    fn set_up(opened: rusqlite::Result<rusqlite::Connection>, sql: &str) -> Result<Connection, StoreError> {
        let fault = |error| engine_fault(&error, "open");
        let connection = opened.map_err(fault)?;
        connection.busy_timeout(Duration::from_millis(BUSY_MS_MAX)).map_err(fault)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        // Plans that never depend on bound values: else the engine compiles many kept statements anew at each use.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(fault)?;
        connection.execute_batch(sql).map_err(fault)?;
        Ok(Connection(connection))
    }

    /// Runs `work` in a transaction: kept when it returns `Ok`, undone when it returns `Err` or panics.
    pub fn transaction<T, E: From<StoreError>>(
        &self,
        access: Access,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let begin = match access {
            Access::Write => "BEGIN IMMEDIATE",
            Access::Read => "BEGIN",
        };
        run(&self.0, begin)?;
        // From here on an early end of any kind, a panic too, undoes the transaction.
        let undo = Undo(&self.0);
        let done = work(&Tx { connection: &self.0, access })?;
        if self.0.is_autocommit() {
            return Err(StoreError::GivenUp.into());
        }
        run(&self.0, "COMMIT")?;
        drop(undo);
        Ok(done)
    }
}

/// Undoes what is still open when it goes.
struct Undo<'a>(&'a rusqlite::Connection);

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            // A rollback that fails leaves a connection whose next BEGIN fails and says why.
            let _ = run(self.0, "ROLLBACK");
        }
    }
}

fn run(connection: &rusqlite::Connection, sql: &str) -> Result<(), StoreError> {
    let fault = |error| engine_fault(&error, sql);
    connection.prepare_cached(sql).map_err(fault)?.raw_execute().map_err(fault).map(drop)
}

impl Tx<'_> {
    /// Runs one statement that returns no rows; answers with the number of rows it changed.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::ReadOnly`] inside a read transaction.
    pub fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<usize, StoreError> {
        let mut statement = self.prepare(sql)?;
        bind(&mut statement, sql, params)?;
        statement.raw_execute().map_err(|error| engine_fault(&error, sql))
    }

    /// Runs one statement once per item of `rows`, prepared once; answers with the number of rows changed.
    ///
    /// # Errors
    /// As [`Tx::execute`], at the first row that fails; undo the transaction then.
    pub fn execute_many<'v, R>(
        &self,
        sql: &str,
        rows: impl IntoIterator<Item = R>,
    ) -> Result<usize, StoreError>
    where
        R: AsRef<[Value<'v>]>,
    {
        let mut statement = self.prepare(sql)?;
        let places = Places::of(&statement);
        let mut changed = 0usize;
        for params in rows {
            places.bind(&mut statement, sql, params.as_ref())?;
            let count = statement.raw_execute().map_err(|error| engine_fault(&error, sql))?;
            changed = changed.saturating_add(count);
        }
        Ok(changed)
    }

    /// Runs several statements without parameters, separated by semicolons: for migrations.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn execute_script(&self, sql: &str) -> Result<(), StoreError> {
        self.may_change(sql)?;
        self.connection.execute_batch(sql).map_err(|error| engine_fault(&error, sql))
    }

    /// All rows of a query, each read by `read`.
    ///
    /// # Errors
    /// [`StoreError`], also when `read` refuses a row.
    pub fn query<T>(
        &self,
        sql: &str,
        params: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.for_each(sql, params, |row| -> Result<(), StoreError> {
            found.push(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// The first row of a query, or `None` when there is none.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn query_one<T>(
        &self,
        sql: &str,
        params: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.prepare(sql)?;
        bind(&mut statement, sql, params)?;
        let mut rows = statement.raw_query();
        match rows.next().map_err(|error| engine_fault(&error, sql))? {
            Some(raw) => read(&Row { raw, sql }).map(Some),
            None => Ok(None),
        }
    }

    /// Gives every row of a query to `each`, one at a time, without gathering them: for long results.
    ///
    /// # Errors
    /// [`StoreError`] of the engine, or the first error of `each`, which ends the query.
    pub fn for_each<E: From<StoreError>>(
        &self,
        sql: &str,
        params: &[Value<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = self.prepare(sql)?;
        bind(&mut statement, sql, params)?;
        let mut rows = statement.raw_query();
        while let Some(raw) = rows.next().map_err(|error| engine_fault(&error, sql))? {
            each(&Row { raw, sql })?;
        }
        Ok(())
    }

    /// Runs `work` so that its changes alone are undone when it returns `Err`; the transaction goes on.
    ///
    /// # Errors
    /// The error of `work`, or [`StoreError`] of the engine.
    pub fn savepoint<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.execute("SAVEPOINT part", &[])?;
        let done = work(self);
        // A grave fault takes the whole transaction with it: then there is no part left to end.
        if done.is_err() && self.connection.is_autocommit() {
            return done;
        }
        if done.is_err() {
            self.execute("ROLLBACK TO part", &[])?;
        }
        self.execute("RELEASE part", &[])?;
        done
    }

    fn prepare(&self, sql: &str) -> Result<rusqlite::CachedStatement<'_>, StoreError> {
        let statement = self.connection.prepare_cached(sql).map_err(|error| engine_fault(&error, sql))?;
        if !statement.readonly() {
            self.may_change(sql)?;
        } else if self.connection.is_autocommit() {
            return Err(StoreError::GivenUp);
        }
        Ok(statement)
    }

    /// A statement after the engine gave up the transaction would be kept by itself: never let it run.
    fn may_change(&self, sql: &str) -> Result<(), StoreError> {
        if self.access == Access::Read {
            return Err(StoreError::ReadOnly { sql: shown(sql) });
        }
        if self.connection.is_autocommit() { Err(StoreError::GivenUp) } else { Ok(()) }
    }
}

impl<'a> Row<'a> {
    /// Column `column` as `T`.
    ///
    /// # Errors
    /// [`StoreError::Column`] when it holds something else, or there is no such column.
    pub fn get<T: Column<'a>>(&self, column: usize) -> Result<T, StoreError> {
        let value = self.value(column)?;
        T::from_value(value).ok_or_else(|| self.misfit(column, T::EXPECTED, value.describe()))
    }

    /// A text column parsed as `T`.
    ///
    /// # Errors
    /// As [`Row::get`].
    pub fn parse<T: FromStr>(&self, column: usize) -> Result<T, StoreError> {
        let text: &str = self.get(column)?;
        text.parse().map_err(|_| self.misfit(column, std::any::type_name::<T>(), format!("`{text}`")))
    }

    /// An integer column.
    ///
    /// # Errors
    /// As [`Row::get`].
    pub fn i64(&self, column: usize) -> Result<i64, StoreError> {
        self.get(column)
    }

    /// A text column.
    ///
    /// # Errors
    /// As [`Row::get`].
    pub fn text(&self, column: usize) -> Result<String, StoreError> {
        self.get(column)
    }

    /// A blob column.
    ///
    /// # Errors
    /// As [`Row::get`].
    pub fn blob(&self, column: usize) -> Result<Vec<u8>, StoreError> {
        self.get(column)
    }

    /// An integer column that may hold nothing.
    ///
    /// # Errors
    /// As [`Row::get`].
    pub fn opt_i64(&self, column: usize) -> Result<Option<i64>, StoreError> {
        self.get(column)
    }

    /// A text column that may hold nothing.
    ///
    /// # Errors
    /// As [`Row::get`].
    pub fn opt_text(&self, column: usize) -> Result<Option<String>, StoreError> {
        self.get(column)
    }

    /// A blob column that may hold nothing.
    ///
    /// # Errors
    /// As [`Row::get`].
    pub fn opt_blob(&self, column: usize) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(column)
    }

    /// The value of a column.
    ///
    /// # Errors
    /// [`StoreError::Column`] when there is no such column, or it holds a fraction or a text that is not UTF-8.
    pub fn value(&self, column: usize) -> Result<Value<'a>, StoreError> {
        let found = match self.raw.get_ref(column) {
            Ok(ValueRef::Null) => return Ok(Value::Null),
            Ok(ValueRef::Integer(number)) => return Ok(Value::Integer(number)),
            Ok(ValueRef::Blob(bytes)) => return Ok(Value::Blob(bytes)),
            Ok(ValueRef::Text(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => return Ok(Value::Text(text)),
                Err(_) => "a text that is not UTF-8",
            },
            Ok(ValueRef::Real(_)) => "a fraction",
            Err(_) => "no such column",
        };
        Err(self.misfit(column, "an integer, text, blob or nothing", found.to_owned()))
    }

    fn misfit(&self, column: usize, expected: &'static str, found: String) -> StoreError {
        StoreError::Column { sql: shown(self.sql), column, expected, found }
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Binds `params[n - 1]` to every `$n`.
fn bind(statement: &mut rusqlite::Statement<'_>, sql: &str, params: &[Value<'_>]) -> Result<(), StoreError> {
    Places::of(statement).bind(statement, sql, params)
}

/// Which parameter goes to which place of a statement. SQLite numbers `$n` by first appearance, PostgreSQL by n:
/// the name decides. SQLite searches its names one by one, so a statement that runs often is asked once.
struct Places(Vec<usize>);

impl Places {
    fn of(statement: &rusqlite::Statement<'_>) -> Places {
        let numbers = (1..=statement.parameter_count()).map(|index| {
            let name = statement.parameter_name(index);
            name.and_then(|name| name.get(1..)?.parse().ok()).unwrap_or(index)
        });
        Places(numbers.collect())
    }

    fn bind(
        &self,
        statement: &mut rusqlite::Statement<'_>,
        sql: &str,
        params: &[Value<'_>],
    ) -> Result<(), StoreError> {
        for (index, number) in (1..).zip(&self.0) {
            if let Some(value) = number.checked_sub(1).and_then(|at| params.get(at)) {
                statement.raw_bind_parameter(index, value).map_err(|error| engine_fault(&error, sql))?;
            }
        }
        let expected = self.0.iter().copied().max().unwrap_or(0);
        if expected == params.len() {
            Ok(())
        } else {
            Err(StoreError::Parameters { sql: shown(sql), expected, found: params.len() })
        }
    }
}

/// A statement as messages show it: one line, cut.
fn shown(sql: &str) -> String {
    let mut line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(SHOWN_SQL_CHARS_MAX) {
        line.truncate(end);
        line.push('…');
    }
    line
}

fn engine_fault(error: &rusqlite::Error, sql: &str) -> StoreError {
    let detail = error.to_string();
    let Some(code) = error.sqlite_error() else {
        return StoreError::Statement { sql: shown(sql), detail };
    };
    match code.code {
        ErrorCode::DiskFull => StoreError::DiskFull,
        // The index of the log could not grow: the one write that does not report a full disk as such.
        ErrorCode::SystemIoFailure if code.extended_code == ffi::SQLITE_IOERR_SHMSIZE => StoreError::DiskFull,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Damaged { detail },
        ErrorCode::ConstraintViolation => StoreError::Constraint { detail },
        _ => StoreError::Statement { sql: shown(sql), detail },
    }
}
