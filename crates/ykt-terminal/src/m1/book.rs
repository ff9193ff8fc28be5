//! What a terminal keeps of M1 cards: the transactions it began, how they ended, and the cards it locked.
//!
//! An [`Intent`] is stored before the card is touched. It stays pending, with the card's UID, until the card is
//! complete: the re-present list of `epurse.md` 8.6. That money moved is stored as soon as it is verified, and makes
//! the offline record; what is left to write on the card can wait for its return.

use super::store::M1Store;
use crate::record::LocalSerial;
use crate::store::StoreError;
use std::collections::{BTreeMap, BTreeSet};
use ykt_base::{DateTime, Fen, Mac4};
use ykt_m1::key::Identity;
use ykt_m1::layout::{Claim, LoadTotals, RecordKind, RecordPointer, TransactionRecord};
use ykt_m1::{Block, BlockNo, Uid};

/// What is done with a card's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Money goes out of the purse.
    Purchase,
    /// Money goes into it.
    Load,
}

impl Operation {
    /// The type byte of its record.
    #[must_use]
    pub const fn record_kind(self) -> RecordKind {
        match self {
            Operation::Purchase => RecordKind::Purchase,
            Operation::Load => RecordKind::Load,
        }
    }
}

/// A transaction as the terminal knows it before the card is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    /// Serial in this terminal.
    pub serial: LocalSerial,
    /// What is done.
    pub operation: Operation,
    /// The card.
    pub card: Identity,
    /// Its type.
    pub card_type: u8,
    /// Block 24 as it was.
    pub public: Block,
    /// The record block it will use.
    pub pointer: RecordPointer,
    /// The purse count it begins with.
    pub count: u16,
    /// Balance before.
    pub before: Fen,
    /// Amount.
    pub amount: Fen,
    /// What was loaded before.
    pub totals: LoadTotals,
    /// When.
    pub at: DateTime,
}

impl Intent {
    /// Bytes of an entry of the re-present list.
    pub const ENTRY_LEN: usize = 32;

    /// Balance after.
    #[must_use]
    pub fn after(&self) -> Fen {
        let after = match self.operation {
            Operation::Purchase => self.before.checked_sub(self.amount),
            Operation::Load => self.before.checked_add(self.amount),
        };
        after.unwrap_or(self.before)
    }

    /// Its record on the card.
    #[must_use]
    pub fn record(&self, device: [u8; 4]) -> TransactionRecord {
        TransactionRecord {
            time: TransactionRecord::time_of(self.at),
            before: self.before,
            amount: self.amount,
            kind: self.operation.record_kind(),
            device,
        }
    }

    /// Its claim on the card while it is in progress.
    #[must_use]
    pub fn claim(&self, device: [u8; 4]) -> Claim {
        Claim { device, time: TransactionRecord::time_of(self.at) }
    }

    /// The entry of the re-present list: flag 1, card number 4, step 1, sector 1, block 1, amount 4, balance after 4,
    /// block 24 as it was 16.
    #[must_use]
    pub fn entry(&self, step: EntryStep) -> [u8; Intent::ENTRY_LEN] {
        let four = |fen: Fen| {
            let [.., a, b, c, d] = fen.fen().to_be_bytes();
            [a, b, c, d]
        };
        let block = step.block();
        let mut out = [0; Intent::ENTRY_LEN];
        let head = [step.code(), block.sector().number(), block.number()];
        let fields: [&[u8]; 6] = [
            &[self.operation.record_kind().code()],
            &self.card.serial,
            &head,
            &four(self.amount),
            &four(self.after()),
            &self.public,
        ];
        out.iter_mut().zip(fields.into_iter().flatten()).for_each(|(byte, field)| *byte = *field);
        out
    }
}

/// The step from which a card that returns is gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryStep {
    /// 01: the money may have moved; the purse tells.
    Purse,
    /// 02: it has; the backup, the record and block 24 may be missing.
    Backup,
}

impl EntryStep {
    const fn code(self) -> u8 {
        match self {
            EntryStep::Purse => 0x01,
            EntryStep::Backup => 0x02,
        }
    }

    const fn block(self) -> BlockNo {
        match self {
            EntryStep::Purse => BlockNo::PURSE,
            EntryStep::Backup => BlockNo::PURSE_BACKUP,
        }
    }
}

/// A transaction whose card is not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// What was begun.
    pub intent: Intent,
    /// Whether its money is known to have moved.
    pub step: EntryStep,
}

/// How sure a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// The card's purse was read after the money had moved.
    Moved {
        /// The terminal's TAC, where it can make one.
        tac: Option<Mac4>,
    },
    /// The card did not come back, or its records no longer tell: the centre finds out by its next record (灰记录).
    Grey,
}

/// An offline record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct M1Record {
    /// What was begun.
    pub intent: Intent,
    /// How sure it is.
    pub certainty: Certainty,
}

/// How a pending transaction is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The card is complete.
    Complete,
    /// No money moved.
    Void,
    /// Nobody can tell any more.
    Grey,
}

/// A card that this terminal marked as blacklisted: the blacklist-lock record (黑名单锁卡记录).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    /// The card.
    pub card: Identity,
    /// When.
    pub at: DateTime,
}

/// One entry of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum M1Entry {
    /// The card is about to be touched.
    Begun(Intent),
    /// The money of this serial moved.
    Moved(LocalSerial, Option<Mac4>),
    /// The transaction of this serial is closed.
    Closed(LocalSerial, Closing),
    /// A card was locked.
    Locked(Lock),
    /// Records and locks so far up to this serial were handed over.
    HandedOver(LocalSerial),
}

/// The transactions of a terminal, as its journal tells them.
pub struct M1Book<S> {
    store: S,
    state: State,
}

#[derive(Default)]
struct State {
    last: Option<LocalSerial>,
    pending: BTreeMap<LocalSerial, Pending>,
    records: Vec<M1Record>,
    locks: Vec<Lock>,
    /// Cards that were ever locked here, reported or not.
    locked: BTreeSet<Uid>,
}

impl<S: M1Store> M1Book<S> {
    /// Most transactions that are pending or not handed over.
    pub const OPEN_LEN_MAX: usize = 100_000;

    /// Reads the journal of `store`.
    ///
    /// # Errors
    /// [`StoreError`] when the journal cannot be read or contradicts itself.
    pub fn open(mut store: S) -> Result<M1Book<S>, StoreError> {
        let mut state = State::default();
        store.replay(&mut |entry| state.apply(&entry))?;
        Ok(M1Book { store, state })
    }

    /// The serial of the next transaction.
    ///
    /// # Errors
    /// [`StoreError::SerialsUsedUp`] after the last one, [`StoreError::Full`] when records must be handed over.
    pub fn next_serial(&self) -> Result<LocalSerial, StoreError> {
        let held = self.state.records.len().saturating_add(self.state.pending.len());
        if held >= Self::OPEN_LEN_MAX {
            return Err(StoreError::Full { held });
        }
        match self.state.last {
            None => Ok(LocalSerial::FIRST),
            Some(last) => last.next().ok_or(StoreError::SerialsUsedUp),
        }
    }

    /// Stores a transaction that is about to begin.
    ///
    /// # Errors
    /// [`StoreError`]; its serial must be [`M1Book::next_serial`], and nothing of its card may be pending.
    pub fn begin(&mut self, intent: Intent) -> Result<(), StoreError> {
        self.write(M1Entry::Begun(intent))
    }

    /// Stores that the money of a pending transaction moved: now there is a record of it.
    ///
    /// # Errors
    /// [`StoreError`]; it must be pending, and not moved yet.
    pub fn moved(&mut self, serial: LocalSerial, tac: Option<Mac4>) -> Result<(), StoreError> {
        self.write(M1Entry::Moved(serial, tac))
    }

    /// Closes a pending transaction.
    ///
    /// # Errors
    /// [`StoreError`]; one whose money moved ends complete, one whose money did not move ends void or grey.
    pub fn close(&mut self, serial: LocalSerial, closing: Closing) -> Result<(), StoreError> {
        self.write(M1Entry::Closed(serial, closing))
    }

    /// Stores that a card was locked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn lock(&mut self, lock: Lock) -> Result<(), StoreError> {
        self.write(M1Entry::Locked(lock))
    }

    /// What is pending of the card with this UID: at most one transaction.
    #[must_use]
    pub fn pending_of(&self, uid: Uid) -> Option<&Pending> {
        self.state.pending.values().find(|pending| pending.intent.card.uid == uid)
    }

    /// The re-present list: everything whose card is not complete, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.state.pending.values()
    }

    /// Records that were not handed over yet, in the order they came about.
    #[must_use]
    pub fn records(&self) -> &[M1Record] {
        &self.state.records
    }

    /// The record of this serial, while it is not handed over.
    #[must_use]
    pub fn record(&self, serial: LocalSerial) -> Option<&M1Record> {
        self.state.records.iter().rev().find(|record| record.intent.serial == serial)
    }

    /// Cards that this terminal locked and has not reported yet.
    #[must_use]
    pub fn locks(&self) -> &[Lock] {
        &self.state.locks
    }

    /// Whether this terminal ever recorded a lock of the card with this UID.
    #[must_use]
    pub fn has_locked(&self, uid: Uid) -> bool {
        self.state.locked.contains(&uid)
    }

    /// Gives up waiting for cards that left before `grey_before`: what may have moved goes out grey, what has moved
    /// has its record already.
    ///
    /// # Errors
    /// [`StoreError`]; repeating the call goes on where it stopped.
    pub fn give_up(&mut self, grey_before: DateTime) -> Result<(), StoreError> {
        let stale = self.pending().filter(|pending| pending.intent.at < grey_before);
        let closings: Vec<_> = stale
            .map(|Pending { intent, step }| match step {
                EntryStep::Purse => (intent.serial, Closing::Grey),
                EntryStep::Backup => (intent.serial, Closing::Complete),
            })
            .collect();
        closings.into_iter().try_for_each(|(serial, closing)| self.close(serial, closing))
    }

    /// Forgets records up to `serial`, and locks, that are safe elsewhere.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn handed_over(&mut self, serial: LocalSerial) -> Result<(), StoreError> {
        self.write(M1Entry::HandedOver(serial))
    }

    /// The store, for a terminal that is taken down.
    pub fn into_store(self) -> S {
        self.store
    }

    fn write(&mut self, entry: M1Entry) -> Result<(), StoreError> {
        self.state.check(&entry)?;
        self.store.append(&entry)?;
        self.state.apply(&entry)
    }
}

impl State {
    fn check(&self, entry: &M1Entry) -> Result<(), StoreError> {
        let fault = |serial: LocalSerial, what| Err(StoreError::OutOfOrder { serial: serial.number(), what });
        let step = |serial: &LocalSerial| self.pending.get(serial).map(|pending| pending.step);
        match entry {
            M1Entry::Begun(intent) if self.last.is_some_and(|last| intent.serial <= last) => {
                fault(intent.serial, "its serial does not follow the last one")
            }
            M1Entry::Begun(intent)
                if self.pending.values().any(|pending| pending.intent.card.uid == intent.card.uid) =>
            {
                fault(intent.serial, "something of its card is still pending")
            }
            M1Entry::Moved(serial, _) if step(serial) != Some(EntryStep::Purse) => {
                fault(*serial, "its money cannot have moved now")
            }
            M1Entry::Closed(serial, closing) => match (step(serial), closing) {
                (Some(EntryStep::Purse), Closing::Void | Closing::Grey)
                | (Some(EntryStep::Backup), Closing::Complete) => Ok(()),
                (Some(_), _) => fault(*serial, "its end contradicts what is known of its money"),
                (None, _) => fault(*serial, "it ends a transaction that is not pending"),
            },
            _ => Ok(()),
        }
    }

    fn apply(&mut self, entry: &M1Entry) -> Result<(), StoreError> {
        self.check(entry)?;
        match *entry {
            M1Entry::Begun(intent) => {
                self.last = Some(intent.serial);
                self.pending.insert(intent.serial, Pending { intent, step: EntryStep::Purse });
            }
            M1Entry::Moved(serial, tac) => {
                if let Some(pending) = self.pending.get_mut(&serial) {
                    pending.step = EntryStep::Backup;
                    let certainty = Certainty::Moved { tac };
                    self.records.push(M1Record { intent: pending.intent, certainty });
                }
            }
            M1Entry::Closed(serial, closing) => {
                let closed = self.pending.remove(&serial);
                if let (Some(Pending { intent, .. }), Closing::Grey) = (closed, closing) {
                    self.records.push(M1Record { intent, certainty: Certainty::Grey });
                }
            }
            M1Entry::Locked(lock) => {
                self.locks.push(lock);
                self.locked.insert(lock.card.uid);
            }
            M1Entry::HandedOver(serial) => {
                self.records.retain(|record| record.intent.serial > serial);
                self.locks.clear();
            }
        }
        Ok(())
    }
}
