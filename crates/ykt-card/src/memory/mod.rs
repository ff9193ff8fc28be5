//! Non-volatile memory as the card sees it: bytes that survive a power cut, written in pieces that may be torn.
//!
//! Whoever holds the card (a terminal's file, a test's array) brings a [`Memory`]; the journal makes one command
//! of many such writes all or nothing.

mod array;
mod journal;

pub use array::ArrayMemory;
pub(crate) use journal::{Batch, BatchFull, ShortBatch, Store, crc32};

use core::fmt;

/// The power went, or the cell did not take the bytes. What of the write arrived is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryFault;

impl fmt::Display for MemoryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the card memory did not take a write")
    }
}

impl core::error::Error for MemoryFault {}

/// Non-volatile memory of a fixed length.
pub trait Memory {
    /// Length in bytes; [`crate::IMAGE_LEN_MIN`] to [`crate::IMAGE_LEN_MAX`] make a card.
    fn len(&self) -> usize;

    /// Fills `out` from `at`; what lies past the end reads as zeros.
    fn read(&self, at: usize, out: &mut [u8]);

    /// One physical write. After a power cut any prefix of `data` may be there, the rest is as before.
    ///
    /// # Errors
    /// [`MemoryFault`] when the write, or a part of it, did not happen.
    fn write(&mut self, at: usize, data: &[u8]) -> Result<(), MemoryFault>;

    /// Whether there are no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<M: Memory + ?Sized> Memory for &mut M {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn read(&self, at: usize, out: &mut [u8]) {
        (**self).read(at, out);
    }

    fn write(&mut self, at: usize, data: &[u8]) -> Result<(), MemoryFault> {
        (**self).write(at, data)
    }
}
