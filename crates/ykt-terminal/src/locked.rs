//! A file that one process uses at a time, by an advisory lock of the system.
//!
//! The lock belongs to the open file, which a child process shares from its fork to its exec. Closing our side
//! alone would therefore leave the file locked for a moment that nobody here can see the end of; so the lock is
//! given back in words.

use std::fs::{File, TryLockError};
use std::ops::{Deref, DerefMut};

/// An open file under its lock; dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct LockedFile(File);

impl LockedFile {
    /// # Errors
    /// [`TryLockError::WouldBlock`] when another one has it open.
    pub(crate) fn lock(file: File) -> Result<LockedFile, TryLockError> {
        file.try_lock()?;
        Ok(LockedFile(file))
    }
}

impl Deref for LockedFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl DerefMut for LockedFile {
    fn deref_mut(&mut self) -> &mut File {
        &mut self.0
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // Where the system refuses, closing the file still frees it in the end.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_free_when_it_is_dropped_whoever_else_has_its_handle() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || LockedFile::lock(File::open(file.path()).unwrap());
        let ours = open().unwrap();
        // What a child process has between its fork and its exec.
        let inherited = ours.try_clone().unwrap();
        assert!(matches!(open(), Err(TryLockError::WouldBlock)));
        drop(ours);
        open().unwrap();
        drop(inherited);
    }
}
