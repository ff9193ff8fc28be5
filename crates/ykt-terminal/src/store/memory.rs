//! A journal in memory: for simulated cities and tests.

use super::{Entry, RecordStore, StoreError};

/// Entries in a vector; gone with the process.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    entries: Vec<Entry>,
}

impl RecordStore for MemoryStore {
    fn append(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.entries.push(*entry);
        Ok(())
    }

    fn replay(&mut self, each: &mut dyn FnMut(Entry) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.entries.iter().copied().try_for_each(each)
    }
}
