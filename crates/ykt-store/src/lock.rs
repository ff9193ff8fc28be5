//! One process per data directory: an advisory lock of the system on a file that names its holder. The lock
//! vanishes with its process however that ends, so a crash leaves nothing to clean up.

use crate::error::StoreError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// The held lock; dropping it lets the next process in.
pub struct DirectoryLock {
    file: File,
}

impl DirectoryLock {
    /// Locks `path` (made when absent), which lies in data directory `dir`, and writes our process id into it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another holds it; [`StoreError::File`] when the file cannot be used.
    pub fn take(dir: &Path, path: &Path) -> Result<DirectoryLock, StoreError> {
        let failed = |what: &'static str| {
            move |error: std::io::Error| StoreError::File {
                what,
                path: path.to_path_buf(),
                detail: error.to_string(),
            }
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed("cannot open lock file"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The holder's id only makes the message better; without it the refusal stands.
                let _ = file.read_to_string(&mut text);
                let id = text.trim();
                let holder = if id.is_empty() { "unknown" } else { id };
                return Err(StoreError::Locked { dir: dir.to_path_buf(), holder: holder.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(failed("cannot lock file")(error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed("cannot write lock file"))?;
        Ok(DirectoryLock { file })
    }
}

impl Drop for DirectoryLock {
    /// In words: a child process between its fork and its exec shares the open file, and with it the lock, so closing
    /// our side would not free the directory yet.
    fn drop(&mut self) {
        // Where the system refuses, closing the file still frees it in the end.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_free_when_its_lock_is_dropped_whoever_else_has_the_handle() {
        let dir = tempfile::tempdir().unwrap();
        let take = || DirectoryLock::take(dir.path(), &dir.path().join("lock"));
        let ours = take().unwrap();
        // What a child process has between its fork and its exec.
        let inherited = ours.file.try_clone().unwrap();
        assert!(matches!(take(), Err(StoreError::Locked { .. })));
        drop(ours);
        take().unwrap();
        drop(inherited);
    }
}
