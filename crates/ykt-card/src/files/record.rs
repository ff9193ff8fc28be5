//! Records (`epurse.md` 2): READ RECORD, and the ring of a cyclic file, whose newest record is number 1.

use super::binary::Target;
use super::tree::{File, FileKind, RING_HEADER_LEN, Sfi};
use crate::answer::Outcome;
use crate::card::Card;
use crate::command::Wanted;
use crate::memory::{Batch, BatchFull, Memory, Store};
use crate::security::{MessageClass, Secured};
use crate::session::Challenge;
use ykt_base::{Command, StatusWord};
use ykt_purse::create::Structure;

/// READ RECORD (读记录) by number.
#[derive(Clone, Copy)]
pub(crate) struct ReadRecord<'a> {
    number: u8,
    target: Target,
    secured: Option<Secured<'a>>,
    wanted: Wanted,
}

impl<'a> ReadRecord<'a> {
    /// Reads `00 B2` and `04 B2`: P1 is the number, P2 short id and 100.
    ///
    /// # Errors
    /// 6A86, 6700, 6987.
    pub(crate) fn parse(command: &Command<'a>) -> Result<ReadRecord<'a>, StatusWord> {
        let target = match (command.p2 & 0x07, command.p2 >> 3) {
            (0b100, 0) => Target::Current,
            (0b100, sfi) => Target::Short(Sfi::new(sfi).ok_or(StatusWord::WRONG_P1P2)?),
            _ => return Err(StatusWord::WRONG_P1P2),
        };
        let secured = MessageClass::of(command).of_read(command)?;
        Ok(ReadRecord { number: command.p1, target, secured, wanted: Wanted(command.le) })
    }
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6986, 6A82, 6981, 6982, 6A83, 6Cxx, and those of secure messaging.
    pub(crate) fn read_record(&mut self, read: ReadRecord<'_>, challenge: Option<Challenge>) -> Outcome {
        let file = self.file_of(read.target)?;
        let FileKind::Data(structure) = file.kind else {
            return Err(StatusWord::WRONG_FILE_TYPE);
        };
        if let Structure::Binary { .. } = structure {
            return Err(StatusWord::WRONG_FILE_TYPE);
        }
        self.session.require(file.read)?;
        let record = find(&self.store, &file, structure, read.number);
        let (at, len) = record.ok_or(StatusWord::RECORD_NOT_FOUND)?;
        read.wanted.exact(len)?;
        self.answer_from(&file, at, len, read.secured, challenge)
    }
}

/// Where record `number` (from 1) begins, and its length.
fn find<M: Memory>(
    store: &Store<M>,
    file: &File,
    structure: Structure,
    number: u8,
) -> Option<(usize, usize)> {
    let index = number.checked_sub(1)?;
    match structure {
        Structure::Binary { .. } => None,
        Structure::FixedRecords { count, len } => {
            let at = usize::from(index).checked_mul(usize::from(len))?.checked_add(file.body)?;
            (index < count).then_some((at, usize::from(len)))
        }
        Structure::CyclicRecords { count, len } => {
            let ring = Ring::read(store, file, count, len);
            Some((ring.record_at(index)?, usize::from(len)))
        }
        Structure::VariableRecords { size } => {
            let end = file.body.checked_add(usize::from(size))?;
            let mut at = file.body;
            for left in (0..=index).rev() {
                let [len] = store.read(at);
                let data = at.checked_add(1)?;
                let next = data.checked_add(usize::from(len)).filter(|next| len > 0 && *next <= end)?;
                if left == 0 {
                    return Some((data, usize::from(len)));
                }
                at = next;
            }
            None
        }
    }
}

/// Where record `number` of a file with records begins, and its length.
pub(crate) fn record<M: Memory>(store: &Store<M>, file: &File, number: u8) -> Option<(usize, usize)> {
    let FileKind::Data(structure) = file.kind else {
        return None;
    };
    find(store, file, structure, number)
}

/// The first record whose content begins with `id`.
pub(crate) fn identified_record<M: Memory>(
    store: &Store<M>,
    file: &File,
    id: [u8; 2],
) -> Option<(usize, usize)> {
    let mut records = (1..=u8::MAX).map_while(|number| record(store, file, number));
    records.find(|(at, len)| *len >= id.len() && store.read(*at) == id)
}

/// A cyclic file: slot of the newest record and number of records, then the slots.
struct Ring {
    at: usize,
    slots: u8,
    len: u8,
    newest: u8,
    count: u8,
}

impl Ring {
    fn read<M: Memory>(store: &Store<M>, file: &File, slots: u8, len: u8) -> Ring {
        Ring::of(file, store.read(file.body), slots, len)
    }

    const fn of(file: &File, header: [u8; RING_HEADER_LEN], slots: u8, len: u8) -> Ring {
        let [newest, count] = header;
        Ring { at: file.body, slots, len, newest, count }
    }

    fn slot_at(&self, slot: u8) -> Option<usize> {
        let offset = usize::from(slot).checked_mul(usize::from(self.len))?;
        self.at.checked_add(RING_HEADER_LEN)?.checked_add(offset)
    }

    /// Where the record that is `index` older than the newest begins.
    fn record_at(&self, index: u8) -> Option<usize> {
        if index >= self.count.min(self.slots) {
            return None;
        }
        let slot = match self.newest.checked_sub(index) {
            Some(slot) => slot,
            None => self.newest.checked_add(self.slots.checked_sub(index)?)?,
        };
        self.slot_at(slot)
    }

    /// With room for a new record 1; the oldest makes it.
    const fn advanced(self) -> Ring {
        let newest = match (self.count, self.newest.saturating_add(1)) {
            (0, _) => 0,
            (_, next) if next < self.slots => next,
            _ => 0,
        };
        let more = self.count.saturating_add(1);
        let count = if more < self.slots { more } else { self.slots };
        Ring { newest, count, ..self }
    }
}

/// Puts a new record 1 into a batch, after those it appends to this file already. `data` fills a record.
///
/// # Errors
/// [`BatchFull`]; also for a file that is not cyclic or has records of another length.
pub(crate) fn append<const MAX: usize, M: Memory>(
    batch: &mut Batch<MAX>,
    store: &Store<M>,
    file: &File,
    data: &[u8],
) -> Result<(), BatchFull> {
    let FileKind::Data(Structure::CyclicRecords { count: slots, len }) = file.kind else {
        return Err(BatchFull);
    };
    let header = batch.latest(file.body).unwrap_or_else(|| store.read(file.body));
    let ring = Ring::of(file, header, slots, len).advanced();
    let at = ring.record_at(0).filter(|_| data.len() == usize::from(len)).ok_or(BatchFull)?;
    batch.write(file.body, &[&[ring.newest, ring.count]])?;
    batch.write(at, &[data])
}
