//! Where the journal of M1 transactions is kept: in memory, or in a file of sealed frames like the POS's.

use super::book::{Closing, EntryStep, Intent, Lock, M1Entry, Operation};
use crate::store::format::{Fields, Frame, seal, unseal};
use crate::store::{JournalFile, StoreError};
use std::path::Path;
use ykt_base::{DateTime, Fen, Mac4};
use ykt_m1::key::{AuthCode, Identity};
use ykt_m1::layout::{LoadTotals, RecordPointer};
use ykt_m1::{Block, Uid};

/// Where a terminal keeps its journal of M1 transactions.
pub trait M1Store {
    /// Adds an entry; it is durable when this returns.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be made durable; the entry may then be there or not.
    fn append(&mut self, entry: &M1Entry) -> Result<(), StoreError>;

    /// Calls `each` with every entry from the first one on.
    ///
    /// # Errors
    /// [`StoreError`] from reading, or from `each`.
    fn replay(&mut self, each: &mut dyn FnMut(M1Entry) -> Result<(), StoreError>) -> Result<(), StoreError>;
}

/// Entries in a vector; gone with the process.
#[derive(Debug, Clone, Default)]
pub struct M1Memory {
    entries: Vec<M1Entry>,
}

impl M1Store for M1Memory {
    fn append(&mut self, entry: &M1Entry) -> Result<(), StoreError> {
        self.entries.push(*entry);
        Ok(())
    }

    fn replay(&mut self, each: &mut dyn FnMut(M1Entry) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.entries.iter().copied().try_for_each(each)
    }
}

/// A journal file, locked against other processes while it is open.
#[derive(Debug)]
pub struct M1File(JournalFile);

impl M1File {
    /// Opens the journal at `path`, or starts it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be opened, is in use, or is no journal of M1 transactions.
    pub fn open(path: &Path) -> Result<M1File, StoreError> {
        JournalFile::open(path, MAGIC).map(M1File)
    }
}

impl M1Store for M1File {
    fn append(&mut self, entry: &M1Entry) -> Result<(), StoreError> {
        self.0.append(&encode(entry))
    }

    fn replay(&mut self, each: &mut dyn FnMut(M1Entry) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.0.replay(decode, each)
    }
}

/// First bytes of a journal: a name and the version of this format.
const MAGIC: [u8; 8] = *b"YKTM1J\x00\x01";

const BEGUN: u8 = 1;
const MOVED: u8 = 2;
const CLOSED: u8 = 3;
const LOCKED: u8 = 4;
const HANDED_OVER: u8 = 5;

/// Bytes of an identity: UID 4, city 2, industry 2, serial 4, authentication code 4.
const IDENTITY_LEN: usize = 16;

/// The entry in its frame.
fn encode(entry: &M1Entry) -> Vec<u8> {
    let mut bytes = vec![0];
    match entry {
        M1Entry::Begun(intent) => {
            bytes.push(BEGUN);
            bytes.extend(intent.serial.number().to_be_bytes());
            bytes.extend(intent.entry(EntryStep::Purse));
            push_identity(&mut bytes, &intent.card);
            bytes.push(intent.card_type);
            bytes.extend(intent.totals.to_block());
            bytes.extend(intent.at.to_bcd());
        }
        M1Entry::Moved(serial, tac) => {
            bytes.push(MOVED);
            bytes.extend(serial.number().to_be_bytes());
            bytes.push(u8::from(tac.is_some()));
            bytes.extend(tac.map_or([0; 4], |tac| tac.0));
        }
        M1Entry::Closed(serial, closing) => {
            bytes.push(CLOSED);
            bytes.extend(serial.number().to_be_bytes());
            bytes.push(match closing {
                Closing::Complete => 0,
                Closing::Void => 1,
                Closing::Grey => 2,
            });
        }
        M1Entry::Locked(Lock { card, at }) => {
            bytes.push(LOCKED);
            push_identity(&mut bytes, card);
            bytes.extend(at.to_bcd());
        }
        M1Entry::HandedOver(serial) => {
            bytes.push(HANDED_OVER);
            bytes.extend(serial.number().to_be_bytes());
        }
    }
    seal(bytes)
}

/// The entry at the start of `bytes`.
fn decode(bytes: &[u8]) -> Frame<M1Entry> {
    unseal(bytes, body_len, entry)
}

/// Bytes of the fields of a kind of entry.
const fn body_len(kind: u8) -> Option<usize> {
    match kind {
        BEGUN => Some(4 + Intent::ENTRY_LEN + IDENTITY_LEN + 1 + 16 + 7),
        MOVED => Some(9),
        CLOSED => Some(5),
        LOCKED => Some(IDENTITY_LEN + 7),
        HANDED_OVER => Some(4),
        _ => None,
    }
}

fn entry(body: &[u8]) -> Option<M1Entry> {
    let (&kind, rest) = body.split_first()?;
    let mut rest = Fields(rest);
    let entry = match kind {
        BEGUN => M1Entry::Begun(intent(&mut rest)?),
        MOVED => {
            let (serial, [is_there]) = (rest.serial()?, rest.take()?);
            let tac = Mac4(rest.take()?);
            M1Entry::Moved(serial, (is_there == 1).then_some(tac))
        }
        CLOSED => {
            let (serial, [closing]) = (rest.serial()?, rest.take()?);
            let closing = match closing {
                0 => Closing::Complete,
                1 => Closing::Void,
                2 => Closing::Grey,
                _ => return None,
            };
            M1Entry::Closed(serial, closing)
        }
        LOCKED => M1Entry::Locked(Lock { card: identity(&mut rest)?, at: DateTime::from_bcd(rest.take()?)? }),
        HANDED_OVER => M1Entry::HandedOver(rest.serial()?),
        _ => return None,
    };
    rest.0.is_empty().then_some(entry)
}

fn intent(rest: &mut Fields<'_>) -> Option<Intent> {
    let serial = rest.serial()?;
    let [kind] = rest.take()?;
    let operation = [Operation::Purchase, Operation::Load]
        .into_iter()
        .find(|known| known.record_kind().code() == kind)?;
    let _card_number: [u8; 4] = rest.take()?;
    let _step_sector_block: [u8; 3] = rest.take()?;
    let amount = Fen::from(u32::from_be_bytes(rest.take()?));
    let after = Fen::new(i64::from(i32::from_be_bytes(rest.take()?)));
    let public: Block = rest.take()?;
    let [pointer, high, low, ..] = public;
    let before = match operation {
        Operation::Purchase => after.checked_add(amount)?,
        Operation::Load => after.checked_sub(amount)?,
    };
    Some(Intent {
        serial,
        operation,
        public,
        pointer: RecordPointer::new(pointer)?,
        count: u16::from_be_bytes([high, low]),
        before,
        amount,
        card: identity(rest)?,
        card_type: rest.take::<1>()?[0],
        totals: LoadTotals::from_block(&rest.take()?)?,
        at: DateTime::from_bcd(rest.take()?)?,
    })
}

fn push_identity(bytes: &mut Vec<u8>, card: &Identity) {
    bytes.extend(card.uid.0);
    bytes.extend(card.city);
    bytes.extend(card.industry);
    bytes.extend(card.serial);
    bytes.extend(card.auth_code.0);
}

fn identity(rest: &mut Fields<'_>) -> Option<Identity> {
    Some(Identity {
        uid: Uid(rest.take()?),
        city: rest.take()?,
        industry: rest.take()?,
        serial: rest.take()?,
        auth_code: AuthCode(rest.take()?),
    })
}

#[cfg(test)]
mod tests;
