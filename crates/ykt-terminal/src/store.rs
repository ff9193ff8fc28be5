//! The terminal's memory: a journal that only grows, and the book of records that is read from it.
//!
//! [`RecordStore`] is a leaf that appends an entry durably and gives all entries back; [`RecordBook`] holds
//! the rules. An entry is in the store before the step it announces: the debit before the card is asked, the
//! ending before the beep. Power may go at any moment; reading the journal again gives the same book.

mod file;
pub(crate) mod format;
mod memory;

pub use file::FileStore;
pub(crate) use file::JournalFile;
pub use memory::MemoryStore;

use crate::record::{BatchId, Debit, Ending, LocalSerial, Record};
use std::collections::BTreeMap;
use std::path::PathBuf;
use ykt_base::{Asn8, DateTime};

/// One entry of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A debit is about to be sent to the card.
    Begun(Debit),
    /// The debit of this serial ended.
    Ended(LocalSerial, Ending),
    /// Every ended debit so far that is in no batch yet belongs to this batch.
    Batched(BatchId),
}

/// Why the journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system said no.
    #[error("{doing} {path}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has the journal open.
    #[error("{path} is in use by another process: end that one, or name another file")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is no journal of a terminal, or of a newer release.
    #[error("{path} is no record journal this release reads: it begins with {found}, expected {expected}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// First bytes wanted, in hex.
        expected: String,
        /// First bytes there, in hex.
        found: String,
    },
    /// An entry in the middle of the journal is damaged.
    #[error(
        "{path}: the entry at byte {at} is damaged ({what}) though more follow: restore the file from its copy"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the entry begins.
        at: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An entry does not fit what the journal said before.
    #[error("journal entry for record {serial}: {what}")]
    OutOfOrder {
        /// Serial of the record, 0 for a batch.
        serial: u32,
        /// What does not fit.
        what: &'static str,
    },
    /// No room for another record.
    #[error("the terminal holds {held} records that are in no batch, its limit: close a batch")]
    Full {
        /// Records held.
        held: usize,
    },
    /// All serial numbers are used up.
    #[error("record serial 99,999,999 is reached: start a new journal after the last batch is handed over")]
    SerialsUsedUp,
}

/// Where a terminal keeps its journal.
pub trait RecordStore {
    /// Adds an entry; it is durable when this returns.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be made durable; the entry may then be there or not.
    fn append(&mut self, entry: &Entry) -> Result<(), StoreError>;

    /// Calls `each` with every entry from the first one on.
    ///
    /// # Errors
    /// [`StoreError`] from reading, or from `each`.
    fn replay(&mut self, each: &mut dyn FnMut(Entry) -> Result<(), StoreError>) -> Result<(), StoreError>;
}

/// The records of a terminal, as its journal tells them.
pub struct RecordBook<S> {
    store: S,
    state: State,
}

#[derive(Default)]
struct State {
    last: Option<LocalSerial>,
    pending: BTreeMap<LocalSerial, Debit>,
    open: Vec<Record>,
    batches: BTreeMap<BatchId, Vec<Record>>,
}

impl<S: RecordStore> RecordBook<S> {
    /// Most debits and records outside a batch.
    pub const OPEN_LEN_MAX: usize = 100_000;

    /// Reads the journal of `store`.
    ///
    /// # Errors
    /// [`StoreError`] when the journal cannot be read or contradicts itself.
    pub fn open(mut store: S) -> Result<RecordBook<S>, StoreError> {
        let mut state = State::default();
        store.replay(&mut |entry| state.apply(&entry))?;
        Ok(RecordBook { store, state })
    }

    /// The serial that the next debit must carry.
    ///
    /// # Errors
    /// [`StoreError::SerialsUsedUp`] after the last one, [`StoreError::Full`] when a batch is due.
    pub fn next_serial(&self) -> Result<LocalSerial, StoreError> {
        let held = self.state.open.len().saturating_add(self.state.pending.len());
        if held >= Self::OPEN_LEN_MAX {
            return Err(StoreError::Full { held });
        }
        match self.state.last {
            None => Ok(LocalSerial::FIRST),
            Some(last) => last.next().ok_or(StoreError::SerialsUsedUp),
        }
    }

    /// Stores a debit that is about to be sent.
    ///
    /// # Errors
    /// [`StoreError`]; its serial must be [`RecordBook::next_serial`].
    pub fn begin(&mut self, debit: Debit) -> Result<(), StoreError> {
        self.write(Entry::Begun(debit))
    }

    /// Stores how a pending debit ended.
    ///
    /// # Errors
    /// [`StoreError`]; the debit must be pending.
    pub fn end(&mut self, serial: LocalSerial, ending: Ending) -> Result<(), StoreError> {
        self.write(Entry::Ended(serial, ending))
    }

    /// Debits of `card` whose end is not known, oldest first.
    pub fn pending_of(&self, card: Asn8) -> impl Iterator<Item = &Debit> {
        self.state.pending.values().filter(move |debit| debit.card.asn == card)
    }

    /// All debits whose end is not known, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = &Debit> {
        self.state.pending.values()
    }

    /// Ended records that are in no batch yet, in the order they ended.
    #[must_use]
    pub fn open_records(&self) -> &[Record] {
        &self.state.open
    }

    /// The records of a closed batch, by serial, or `None` when there is no such batch.
    #[must_use]
    pub fn batch(&self, id: BatchId) -> Option<&[Record]> {
        self.state.batches.get(&id).map(Vec::as_slice)
    }

    /// All closed batches, oldest day first.
    pub fn batches(&self) -> impl Iterator<Item = (BatchId, &[Record])> {
        self.state.batches.iter().map(|(id, records)| (*id, records.as_slice()))
    }

    /// Closes a batch: what ended since the last one, and as grey what is pending since before `grey_before`.
    /// A batch that is closed already is given back as it is.
    ///
    /// # Errors
    /// [`StoreError`] when the journal does not take it; repeating the call goes on where it stopped.
    pub fn close_batch(&mut self, id: BatchId, grey_before: DateTime) -> Result<&[Record], StoreError> {
        if !self.state.batches.contains_key(&id) {
            let lost: Vec<LocalSerial> = self
                .state
                .pending
                .values()
                .filter(|debit| debit.at < grey_before)
                .map(|debit| debit.serial)
                .collect();
            for serial in lost {
                self.end(serial, Ending::Grey { tac: None })?;
            }
            self.write(Entry::Batched(id))?;
        }
        Ok(self.state.batches.get(&id).map_or(&[], Vec::as_slice))
    }

    /// The store, for a terminal that is taken down.
    pub fn into_store(self) -> S {
        self.store
    }

    fn write(&mut self, entry: Entry) -> Result<(), StoreError> {
        self.state.check(&entry)?;
        self.store.append(&entry)?;
        self.state.apply(&entry)
    }
}

impl State {
    fn check(&self, entry: &Entry) -> Result<(), StoreError> {
        let fault = |serial: LocalSerial, what| Err(StoreError::OutOfOrder { serial: serial.number(), what });
        match entry {
            Entry::Begun(debit) if self.last.is_some_and(|last| debit.serial <= last) => {
                fault(debit.serial, "its serial does not follow the last one")
            }
            Entry::Ended(serial, _) if !self.pending.contains_key(serial) => {
                fault(*serial, "it ends a debit that is not pending")
            }
            Entry::Batched(id) if self.batches.contains_key(id) => {
                Err(StoreError::OutOfOrder { serial: 0, what: "its batch is closed already" })
            }
            _ => Ok(()),
        }
    }

    fn apply(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.check(entry)?;
        match *entry {
            Entry::Begun(debit) => {
                self.last = Some(debit.serial);
                self.pending.insert(debit.serial, debit);
            }
            Entry::Ended(serial, ending) => {
                if let Some(debit) = self.pending.remove(&serial)
                    && ending != Ending::Void
                {
                    self.open.push(Record { debit, ending });
                }
            }
            Entry::Batched(id) => {
                let mut records = std::mem::take(&mut self.open);
                records.sort_by_key(|record| record.debit.serial);
                self.batches.insert(id, records);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::record::{CardFacts, Mac2Check};
    use ykt_base::{CardCounter, Fen, Mac4, TerminalId, TerminalSeq};

    pub(crate) fn debit(serial: u32, at: &str) -> Debit {
        Debit {
            serial: LocalSerial::new(serial).unwrap(),
            card: CardFacts {
                asn: "2144000000000017".parse().unwrap(),
                main_type: 1,
                sub_type: 0,
                start: "20260101".parse().unwrap(),
                expiry: "20361231".parse().unwrap(),
            },
            counter: CardCounter(7),
            terminal: TerminalId([0x36, 4, 0x86, 0x60, 0, 2]),
            sequence: TerminalSeq(99),
            balance_before: Fen::new(2_000),
            amount: Fen::new(150),
            at: at.parse().unwrap(),
        }
    }

    pub(crate) const PAID: Ending = Ending::Paid { tac: Mac4([1, 2, 3, 4]), mac2: Mac2Check::Right };

    fn batch(sequence: u16) -> BatchId {
        BatchId { day: "20261122".parse().unwrap(), sequence }
    }

    #[test]
    fn a_batch_takes_what_ended_and_greys_what_never_returned() {
        let mut book = RecordBook::open(MemoryStore::default()).unwrap();
        for (serial, at) in
            [(1, "20261122080000"), (2, "20261122080100"), (3, "20261122080200"), (4, "20261122235959")]
        {
            assert_eq!(book.next_serial().unwrap().number(), serial);
            book.begin(debit(serial, at)).unwrap();
        }
        book.end(LocalSerial::new(2).unwrap(), PAID).unwrap();
        book.end(LocalSerial::new(3).unwrap(), Ending::Void).unwrap();
        let limit = "20261122235900".parse().unwrap();
        let records = book.close_batch(batch(1), limit).unwrap().to_vec();
        let endings: Vec<_> = records.iter().map(|r| (r.debit.serial.number(), r.ending)).collect();
        assert_eq!(endings, [(1, Ending::Grey { tac: None }), (2, PAID)], "void left out, by serial");
        assert_eq!(book.pending().count(), 1, "the fresh one waits for its card");
        assert_eq!(book.close_batch(batch(1), "20991231000000".parse().unwrap()).unwrap(), records);
        assert_eq!(book.close_batch(batch(2), limit).unwrap(), []);
        let again = RecordBook::open(book.into_store()).unwrap();
        assert_eq!(again.batch(batch(1)).unwrap(), records);
        assert_eq!(again.pending_of(debit(4, "20261122235959").card.asn).count(), 1);
    }

    #[test]
    fn what_does_not_fit_is_refused_before_it_is_written() {
        let mut book = RecordBook::open(MemoryStore::default()).unwrap();
        book.begin(debit(1, "20261122080000")).unwrap();
        assert!(matches!(
            book.begin(debit(1, "20261122080000")),
            Err(StoreError::OutOfOrder { serial: 1, .. })
        ));
        book.end(LocalSerial::FIRST, PAID).unwrap();
        assert!(matches!(book.end(LocalSerial::FIRST, PAID), Err(StoreError::OutOfOrder { serial: 1, .. })));
        let book = RecordBook::open(book.into_store()).unwrap();
        assert_eq!(book.open_records().len(), 1);
    }
}
