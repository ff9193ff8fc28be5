//! The data directory: one process, one database file, tables brought up to date by the modules' migrations.
//!
//! Opening goes: directory made, lock taken, version checked, migrations run (all in one transaction), readers
//! made when first needed. Nothing is written before the lock is held and the version is known.

use crate::error::StoreError;
use crate::lock::DirectoryLock;
use crate::sqlite::{Access, Connection, Tx};
use crate::value::Value;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Name of the database file in the data directory.
pub const DATABASE_FILE: &str = "ykt.db";
/// Name of the lock file in the data directory; it holds the process id of its owner.
pub const LOCK_FILE: &str = "ykt.lock";
/// Read transactions that may run at the same time; more wait.
pub const READERS_MAX: usize = 8;

/// The tables of one crate: its name, and the scripts that made them, oldest first. The number of scripts is
/// the version of the module. Scripts are only ever added: forward only, expand before contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module {
    /// Name, unique among the modules of a store.
    pub name: &'static str,
    /// Scripts of one or more statements; script `n` (from 1) takes version `n - 1` to version `n`.
    pub migrations: &'static [&'static str],
}

/// The database of a process. Clones share it; the last one to go closes it and frees the directory.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Dropped in this order: readers, then the writer (which folds the log into the file), then the lock.
struct Inner {
    readers: Option<Readers>,
    writer: Mutex<Connection>,
    _lock: Option<DirectoryLock>,
}

/// Read connections, opened when first needed and kept.
struct Readers {
    path: PathBuf,
    pool: Mutex<Pool>,
    returned: Condvar,
}

struct Pool {
    idle: Vec<Connection>,
    open: usize,
}

impl Store {
    /// Opens the database of directory `dir`, making both when absent, and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it, [`StoreError::NewerVersion`] when a newer program
    /// wrote it, [`StoreError::MigrationChanged`], or a fault of the files.
    pub fn open(dir: &Path, modules: &[Module]) -> Result<Store, StoreError> {
        let is_new = !dir.exists();
        fs::create_dir_all(dir).map_err(file_fault("cannot make data directory", dir))?;
        let lock = DirectoryLock::take(dir, &dir.join(LOCK_FILE))?;
        let path = dir.join(DATABASE_FILE);
        let writer = Connection::writer(&path)?;
        migrate(&writer, modules)?;
        // The names of the new files must outlive a power cut as their contents do.
        sync_directory(dir)?;
        if let Some(parent) = dir.parent().filter(|parent| is_new && !parent.as_os_str().is_empty()) {
            sync_directory(parent)?;
        }
        let pool = Mutex::new(Pool { idle: Vec::new(), open: 0 });
        let readers = Some(Readers { path, pool, returned: Condvar::new() });
        Ok(Store { inner: Arc::new(Inner { readers, writer: Mutex::new(writer), _lock: Some(lock) }) })
    }

    /// A database in memory that ends with its last handle: for tests and simulated cities. Readers take turns
    /// with the writer.
    ///
    /// # Errors
    /// [`StoreError`] when a migration fails.
    pub fn in_memory(modules: &[Module]) -> Result<Store, StoreError> {
        let writer = Connection::in_memory()?;
        migrate(&writer, modules)?;
        Ok(Store { inner: Arc::new(Inner { readers: None, writer: Mutex::new(writer), _lock: None }) })
    }

    /// Runs `work` in the one write transaction of the moment: kept (and on the disk) when it returns `Ok`,
    /// undone when it returns `Err` or panics. Others wait meanwhile: compute before, write inside.
    ///
    /// # Errors
    /// The error of `work`, or [`StoreError`] as `E`: [`StoreError::DiskFull`] and others of the engine,
    /// [`StoreError::Nested`] inside another transaction of this store and thread.
    pub fn write<T, E: From<StoreError>>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        let _scope = Scope::enter(&self.inner)?;
        held(&self.inner.writer).transaction(Access::Write, work)
    }

    /// Runs `work` on one unchanging state of the data: all that was committed when its first query runs.
    /// Beside the writer and up to [`READERS_MAX`] readers.
    ///
    /// # Errors
    /// As [`Store::write`]; [`StoreError::ReadOnly`] for a statement that changes data.
    pub fn read<T, E: From<StoreError>>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        let _scope = Scope::enter(&self.inner)?;
        match &self.inner.readers {
            Some(readers) => readers.borrow()?.connection().transaction(Access::Read, work),
            None => held(&self.inner.writer).transaction(Access::Read, work),
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.inner.readers {
            Some(readers) => write!(f, "Store({})", readers.path.display()),
            None => f.write_str("Store(in memory)"),
        }
    }
}

impl Readers {
    fn borrow(&self) -> Result<Borrowed<'_>, StoreError> {
        let mut pool = held(&self.pool);
        loop {
            if let Some(connection) = pool.idle.pop() {
                return Ok(Borrowed { readers: self, connection: Some(connection) });
            }
            if pool.open < READERS_MAX {
                let connection = Connection::reader(&self.path)?;
                pool.open = pool.open.saturating_add(1);
                return Ok(Borrowed { readers: self, connection: Some(connection) });
            }
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A read connection that goes back to the pool.
struct Borrowed<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Borrowed<'_> {
    #[expect(clippy::expect_used, reason = "the connection is taken out in `drop` only")]
    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("a borrowed connection is there until it is dropped")
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        held(&self.readers.pool).idle.extend(self.connection.take());
        self.readers.returned.notify_one();
    }
}

/// Guards one store against a transaction inside a transaction, which would wait for itself.
struct Scope(usize);

thread_local! {
    static ENTERED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

impl Scope {
    fn enter(inner: &Arc<Inner>) -> Result<Scope, StoreError> {
        let id = Arc::as_ptr(inner).addr();
        ENTERED.with_borrow_mut(|entered| {
            if entered.contains(&id) {
                return Err(StoreError::Nested);
            }
            entered.push(id);
            Ok(Scope(id))
        })
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        ENTERED.with_borrow_mut(|entered| entered.retain(|id| *id != self.0));
    }
}

/// The lock of a mutex. A panic inside a transaction undid it, so what the mutex guards is sound.
pub fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn migrate(writer: &Connection, modules: &[Module]) -> Result<(), StoreError> {
    let mut names = BTreeSet::new();
    if let Some(twice) = modules.iter().find(|module| !names.insert(module.name)) {
        return Err(StoreError::ModuleTwice { module: twice.name.to_owned() });
    }
    writer.transaction(Access::Write, |tx| {
        tx.execute_script(
            "CREATE TABLE IF NOT EXISTS store_migration (
                module TEXT NOT NULL, version INTEGER NOT NULL, script TEXT NOT NULL,
                PRIMARY KEY (module, version))",
        )?;
        let ran = tx.query(
            "SELECT module, version, script FROM store_migration ORDER BY module, version",
            &[],
            |row| Ok((row.text(0)?, row.i64(1)?, row.text(2)?)),
        )?;
        for (module, version, script) in &ran {
            let known = modules.iter().find(|candidate| candidate.name == module);
            let scripts = known.map_or(&[][..], |module| module.migrations);
            let index = usize::try_from(version.saturating_sub(1)).unwrap_or(usize::MAX);
            match scripts.get(index) {
                Some(same) if same == script => {}
                Some(_) => {
                    return Err(StoreError::MigrationChanged { module: module.clone(), version: *version });
                }
                None => {
                    let newest =
                        ran.iter().filter(|(name, ..)| name == module).map(|(_, version, _)| *version);
                    return Err(StoreError::NewerVersion {
                        module: module.clone(),
                        found: newest.max().unwrap_or(*version),
                        known: i64::try_from(scripts.len()).unwrap_or(i64::MAX),
                    });
                }
            }
        }
        for module in modules {
            for (version, script) in (1_i64..).zip(module.migrations) {
                if ran.iter().any(|(name, done, _)| name == module.name && *done == version) {
                    continue;
                }
                tx.execute_script(script)?;
                tx.execute(
                    "INSERT INTO store_migration (module, version, script) VALUES ($1, $2, $3)",
                    &[Value::Text(module.name), Value::Integer(version), Value::Text(script)],
                )?;
            }
        }
        Ok(())
    })
}

fn file_fault(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    move |error| StoreError::File { what, path: path.to_path_buf(), detail: error.to_string() }
}

fn sync_directory(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(file_fault("cannot sync directory", dir))
}
