//! Records (`epurse.md` 2): READ, UPDATE and APPEND RECORD, and how records lie in a file.
//!
//! A fixed file has all its records from the beginning. A cyclic file is a ring; its newest record is number 1. In a
//! variable file each record stands behind its length, and a length 0 ends them. Where a record keeps its length,
//! data of another length are refused.

use super::binary::Target;
use super::tree::{File, FileKind, RING_HEADER_LEN, Sfi};
use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::command::Wanted;
use crate::memory::{Batch, BatchFull, Memory, Store};
use crate::security::{Content, MessageClass, Secured};
use crate::session::Challenge;
use ykt_base::{Command, StatusWord};
use ykt_crypto::sm::Text;
use ykt_purse::create::Structure;

/// Most records of a file: a number is one byte.
const COUNT_MAX: usize = 255;

/// Which record a command means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// By number, from 1.
    Number(u8),
    /// The first that begins with this byte.
    Identifier(u8),
}

/// READ RECORD (读记录).
#[derive(Clone, Copy)]
pub(crate) struct ReadRecord<'a> {
    which: Which,
    target: Target,
    secured: Option<Secured<'a>>,
    wanted: Wanted,
}

impl<'a> ReadRecord<'a> {
    /// Reads `00 B2` and `04 B2`: P2 is the short id and 100 with a number in P1, or 000 with an identifier.
    ///
    /// # Errors
    /// 6A86, 6700, 6987.
    pub(crate) fn parse(command: &Command<'a>) -> Result<ReadRecord<'a>, StatusWord> {
        let target = target(command)?;
        let which = which(command)?;
        let secured = MessageClass::of(command).of_read(command)?;
        Ok(ReadRecord { which, target, secured, wanted: Wanted(command.le) })
    }
}

/// UPDATE RECORD (改记录).
#[derive(Clone, Copy)]
pub(crate) struct UpdateRecord<'a> {
    /// `None` for the previous one: a new record of a cyclic file.
    which: Option<Which>,
    target: Target,
    content: Content<'a>,
}

impl<'a> UpdateRecord<'a> {
    /// Reads `00 DC`, `04 DC` and `84 DC`: as READ RECORD, and 00 in P1 with 011 in P2 for the previous one.
    ///
    /// # Errors
    /// 6A86, 6700, 6987.
    pub(crate) fn parse(command: &Command<'a>) -> Result<UpdateRecord<'a>, StatusWord> {
        let target = target(command)?;
        let which = match (command.p1, command.p2 & 0x07) {
            (0x00, 0b011) => None,
            _ => Some(which(command)?),
        };
        Ok(UpdateRecord { which, target, content: MessageClass::of(command).of_write(command)? })
    }
}

/// APPEND RECORD (增加记录).
#[derive(Clone, Copy)]
pub(crate) struct AppendRecord<'a> {
    target: Target,
    content: Content<'a>,
}

impl<'a> AppendRecord<'a> {
    /// Reads `00 E2`, `04 E2` and `84 E2`: P1 is 00, P2 the short id and 000.
    ///
    /// # Errors
    /// 6A86, 6700, 6987.
    pub(crate) fn parse(command: &Command<'a>) -> Result<AppendRecord<'a>, StatusWord> {
        if (command.p1, command.p2 & 0x07) != (0x00, 0b000) {
            return Err(StatusWord::WRONG_P1P2);
        }
        Ok(AppendRecord { target: target(command)?, content: MessageClass::of(command).of_write(command)? })
    }
}

/// The upper five bits of P2.
fn target(command: &Command<'_>) -> Result<Target, StatusWord> {
    match command.p2 >> 3 {
        0 => Ok(Target::Current),
        sfi => Sfi::new(sfi).map(Target::Short).ok_or(StatusWord::WRONG_P1P2),
    }
}

/// P1, as the lower three bits of P2 say.
const fn which(command: &Command<'_>) -> Result<Which, StatusWord> {
    match (command.p1, command.p2 & 0x07) {
        (number, 0b100) => Ok(Which::Number(number)),
        (identifier @ 0x01.., 0b000) => Ok(Which::Identifier(identifier)),
        _ => Err(StatusWord::WRONG_P1P2),
    }
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6986, 6A82, 6981, 6982, 6A83, 6Cxx, and those of secure messaging.
    #[inline(never)]
    pub(crate) fn read_record(&mut self, read: ReadRecord<'_>, challenge: Option<Challenge>) -> Outcome {
        let file = self.record_file_of(read.target)?;
        self.session.require(file.read)?;
        let (at, len) = self.find_record(&file, read.which)?;
        read.wanted.exact(len)?;
        self.answer_from(&file, at, len, read.secured, challenge)
    }

    /// # Errors
    /// 6986, 6A82, 6981, 6982, 6A83, 6700 for data of another length than the record's, and those of secure
    /// messaging.
    #[inline(never)]
    pub(crate) fn update_record(
        &mut self,
        update: UpdateRecord<'_>,
        challenge: Option<Challenge>,
    ) -> Outcome {
        let file = self.record_file_of(update.target)?;
        let Some(which) = update.which else {
            return match file.kind {
                FileKind::Data(Structure::CyclicRecords { .. }) => {
                    self.add_record(file, update.content, challenge)
                }
                _ => Err(StatusWord::WRONG_FILE_TYPE),
            };
        };
        self.replace_record(file, which, update.content, challenge)
    }

    #[inline(never)]
    fn replace_record(
        &mut self,
        file: File,
        which: Which,
        content: Content<'_>,
        challenge: Option<Challenge>,
    ) -> Outcome {
        self.session.require(file.write)?;
        let (at, len) = self.find_record(&file, which)?;
        let (mut text, mut batch) = (Text::new(), Batch::new());
        let data = self.accept(&file, content, challenge, (&mut text, &mut batch))?;
        if data.len() != len {
            return Err(StatusWord::WRONG_LENGTH);
        }
        batch.write(at, &[data])?;
        self.store.commit(&batch)?;
        self.session.file = Some(file);
        done()
    }

    /// # Errors
    /// 6986, 6A82, 6981 for a file that does not grow, 6982, 6700 for data of another length than the records of a
    /// cyclic file, 6A84 when a variable file is full, and those of secure messaging.
    #[inline(never)]
    pub(crate) fn append_record(&mut self, add: AppendRecord<'_>, challenge: Option<Challenge>) -> Outcome {
        let file = self.record_file_of(add.target)?;
        self.add_record(file, add.content, challenge)
    }

    #[inline(never)]
    fn add_record(&mut self, file: File, content: Content<'_>, challenge: Option<Challenge>) -> Outcome {
        self.session.require(file.write)?;
        let grows = |structure| {
            matches!(structure, Structure::CyclicRecords { .. } | Structure::VariableRecords { .. })
        };
        let FileKind::Data(structure) = file.kind else { return Err(StatusWord::WRONG_FILE_TYPE) };
        if !grows(structure) {
            return Err(StatusWord::WRONG_FILE_TYPE);
        }
        let (mut text, mut batch) = (Text::new(), Batch::new());
        let data = self.accept(&file, content, challenge, (&mut text, &mut batch))?;
        if let Structure::CyclicRecords { len, .. } = structure {
            if data.len() != usize::from(len) {
                return Err(StatusWord::WRONG_LENGTH);
            }
            append(&mut batch, &self.store, &file, data)?;
        } else {
            let (at, room) = end_of_records(&self.store, &file).ok_or(StatusWord::NO_SPACE)?;
            let len = u8::try_from(data.len()).map_err(|_| StatusWord::NO_SPACE)?;
            if room <= data.len() {
                return Err(StatusWord::NO_SPACE);
            }
            batch.write(at, &[&[len], data])?;
        }
        self.store.commit(&batch)?;
        self.session.file = Some(file);
        done()
    }

    /// The file of records a command means.
    fn record_file_of(&self, target: Target) -> Result<File, StatusWord> {
        let file = self.file_of(target)?;
        match file.kind {
            FileKind::Data(
                Structure::FixedRecords { .. }
                | Structure::CyclicRecords { .. }
                | Structure::VariableRecords { .. },
            ) => Ok(file),
            _ => Err(StatusWord::WRONG_FILE_TYPE),
        }
    }

    fn find_record(&self, file: &File, which: Which) -> Result<(usize, usize), StatusWord> {
        match which {
            Which::Number(number) => record(&self.store, file, number),
            Which::Identifier(identifier) => identified_record(&self.store, file, [identifier]),
        }
        .ok_or(StatusWord::RECORD_NOT_FOUND)
    }
}

/// The records of a file in the order of their numbers: where each begins, and its length.
fn records<M: Memory>(store: &Store<M>, file: &File) -> impl Iterator<Item = (usize, usize)> {
    let file = *file;
    let mut next = file.body;
    (0..u8::MAX).map_while(move |index| match file.kind {
        FileKind::Data(Structure::FixedRecords { count, len }) => {
            let len = usize::from(len);
            let at = usize::from(index).checked_mul(len)?.checked_add(file.body)?;
            (index < count).then_some((at, len))
        }
        FileKind::Data(Structure::CyclicRecords { count, len }) => {
            let at = Ring::read(store, &file, count, len).record_at(index)?;
            Some((at, usize::from(len)))
        }
        FileKind::Data(Structure::VariableRecords { .. }) => {
            let (at, len) = record_behind_its_length(store, &file, next)?;
            next = at.checked_add(len)?;
            Some((at, len))
        }
        _ => None,
    })
}

fn record_behind_its_length<M: Memory>(store: &Store<M>, file: &File, at: usize) -> Option<(usize, usize)> {
    let end = file.body.checked_add(file.len)?;
    let [len] = (at < end).then(|| store.read(at))?;
    let (at, len) = (at.checked_add(1)?, usize::from(len));
    (len > 0 && at.checked_add(len)? <= end).then_some((at, len))
}

/// Where the next record of a variable file goes, and the bytes from there to the end; `None` when it has as many
/// as there are numbers.
fn end_of_records<M: Memory>(store: &Store<M>, file: &File) -> Option<(usize, usize)> {
    let (mut count, mut at) = (0usize, file.body);
    for (record_at, len) in records(store, file) {
        count = count.checked_add(1)?;
        at = record_at.checked_add(len)?;
    }
    let room = file.body.checked_add(file.len)?.checked_sub(at)?;
    (count < COUNT_MAX).then_some((at, room))
}

/// Where record `number` (from 1) of a file begins, and its length.
pub(crate) fn record<M: Memory>(store: &Store<M>, file: &File, number: u8) -> Option<(usize, usize)> {
    records(store, file).nth(usize::from(number.checked_sub(1)?))
}

/// The first record that begins with `id`.
pub(crate) fn identified_record<const N: usize, M: Memory>(
    store: &Store<M>,
    file: &File,
    id: [u8; N],
) -> Option<(usize, usize)> {
    records(store, file).find(|(at, len)| *len >= N && store.read(*at) == id)
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
