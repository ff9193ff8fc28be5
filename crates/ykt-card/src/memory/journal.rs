//! The journal: what one command writes is first logged whole, marked as committed, and only then put in place.
//!
//! Order of physical writes: log body; mark (length, CRC, commit byte last); each range at its home; commit byte
//! cleared. A cut before the commit byte leaves the old state, since no home was touched; a cut after it leaves
//! the new one, since power-on puts the ranges in place again as often as it takes. The commit byte stands last
//! in its write, so a write torn after any prefix has none.

use super::{Memory, MemoryFault};
use crate::image::{COMMIT_AT, COMMITTED, Factory, LOG_AT, LOG_LEN, Layout, MARK_AT, PowerOnError, WIPE_AT};
use ykt_crypto::sm::Bytes;

/// Address and length before each logged range.
const RANGE_HEADER_LEN: usize = 4;
/// Longest piece moved from log to home at once.
const RANGE_LEN_MAX: usize = 256;

/// The writes of one command, gathered before any of them happens: at most `MAX` bytes with their headers. Later
/// ranges win where ranges overlap.
pub(crate) struct Batch<const MAX: usize = LOG_LEN> {
    log: Bytes<MAX>,
}

/// A batch for a key with its tries, or a counter or two: on the stack of a command that writes no more than that.
pub(crate) type ShortBatch = Batch<80>;

/// A command wanted to write more than the journal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchFull;

impl<const MAX: usize> Batch<MAX> {
    pub(crate) const fn new() -> Batch<MAX> {
        Batch { log: Bytes::new() }
    }

    /// Adds a range: `parts`, one after the other, will stand at `at`.
    pub(crate) fn write(&mut self, at: usize, parts: &[&[u8]]) -> Result<(), BatchFull> {
        let len = parts.iter().fold(0usize, |len, part| len.saturating_add(part.len()));
        let at = u16::try_from(at).map_err(|_| BatchFull)?;
        let len_field = u16::try_from(len).ok().filter(|_| len <= RANGE_LEN_MAX).ok_or(BatchFull)?;
        if len.saturating_add(RANGE_HEADER_LEN) > MAX.saturating_sub(self.log.len()) {
            return Err(BatchFull);
        }
        self.log.push(&at.to_be_bytes()).ok_or(BatchFull)?;
        self.log.push(&len_field.to_be_bytes()).ok_or(BatchFull)?;
        parts.iter().try_for_each(|part| self.log.push(part)).ok_or(BatchFull)
    }

    /// Whether it writes nothing.
    pub(crate) const fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    /// Adds the ranges of another batch after its own.
    pub(crate) fn extend<const OTHER: usize>(&mut self, other: &Batch<OTHER>) -> Result<(), BatchFull> {
        self.log.push(other.log.as_bytes()).ok_or(BatchFull)
    }

    /// What stands at `at` once this batch is written, when one of its ranges begins there.
    pub(crate) fn latest<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let range = ranges(self.log.as_bytes()).filter(|(home, _)| *home == at).last();
        range.and_then(|(_, data)| data.first_chunk().copied())
    }
}

/// The ranges of a log: home and data.
fn ranges(log: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut rest = log;
    core::iter::from_fn(move || {
        let ([at_high, at_low, len_high, len_low], after) = rest.split_first_chunk::<RANGE_HEADER_LEN>()?;
        let len = usize::from(u16::from_be_bytes([*len_high, *len_low]));
        let (range, after) = after.split_at_checked(len)?;
        rest = after;
        Some((usize::from(u16::from_be_bytes([*at_high, *at_low])), range))
    })
}

/// Memory behind its journal.
pub(crate) struct Store<M> {
    memory: M,
    layout: Layout,
    /// A write failed: nothing is read or written until the next power-on puts things right.
    faulty: bool,
}

impl<M: Memory> Store<M> {
    /// Takes the memory of a card and finishes what a power cut left unfinished. That may be the factory header
    /// itself; only what has a header, at last, is a card.
    pub(crate) fn power_on(memory: M) -> Result<(Store<M>, Factory), PowerOnError> {
        match Factory::read(&memory) {
            Ok(_) | Err(PowerOnError::NotACard) => {}
            Err(other) => return Err(other),
        }
        let mut store = Store { memory, layout: Layout::NEWEST, faulty: true };
        let replayed = store.replay();
        let factory = Factory::read(&store.memory)?;
        replayed?;
        store.faulty = false;
        store.finish_wipe()?;
        store.layout = factory.layout;
        Ok((store, factory))
    }

    /// Puts right, after a write that failed, what can be put right now.
    pub(crate) fn recover(&mut self) -> Result<(), PowerOnError> {
        self.faulty = true;
        self.replay()?;
        self.faulty = false;
        Ok(self.finish_wipe()?)
    }

    /// Puts a committed but unfinished command in place.
    fn replay(&mut self) -> Result<(), PowerOnError> {
        let mark: [u8; 7] = self.read(MARK_AT);
        let [len_high, len_low, crc @ .., commit] = mark;
        if commit == COMMITTED {
            let len = usize::from(u16::from_be_bytes([len_high, len_low]));
            let mut log = [0; LOG_LEN];
            let log = log.get_mut(..len).ok_or(PowerOnError::JournalDamaged)?;
            self.memory.read(LOG_AT, log);
            if crc32(&[&[len_high, len_low], log]).to_be_bytes() != crc {
                return Err(PowerOnError::JournalDamaged);
            }
            self.put_in_place(log)?;
        }
        Ok(())
    }

    /// Writes a batch, then zeros over `len` bytes at `at`. Once the batch is committed both happen, at the next
    /// power-on if not now.
    pub(crate) fn wipe(&mut self, mut batch: Batch, at: usize, len: usize) -> Result<(), MemoryFault> {
        let two_bytes = |number| u16::try_from(number).map(u16::to_be_bytes).map_err(|_| MemoryFault);
        batch.write(WIPE_AT, &[&two_bytes(at)?, &two_bytes(len)?]).map_err(|BatchFull| MemoryFault)?;
        self.commit(&batch)?;
        self.finish_wipe()
    }

    fn finish_wipe(&mut self) -> Result<(), MemoryFault> {
        const ZEROS: [u8; RANGE_LEN_MAX] = [0; RANGE_LEN_MAX];
        let [at_high, at_low, len_high, len_low] = self.read(WIPE_AT);
        let at = usize::from(u16::from_be_bytes([at_high, at_low]));
        let len = usize::from(u16::from_be_bytes([len_high, len_low]));
        if len == 0 {
            return Ok(());
        }
        self.faulty = true;
        for offset in (0..len).step_by(RANGE_LEN_MAX) {
            let zeros = &ZEROS[..RANGE_LEN_MAX.min(len.saturating_sub(offset))];
            self.memory.write(at.saturating_add(offset), zeros)?;
        }
        self.faulty = false;
        let mut batch = ShortBatch::new();
        batch.write(WIPE_AT, &[&[0; 4]]).map_err(|BatchFull| MemoryFault)?;
        self.commit(&batch)
    }

    /// Writes a batch: all of it, or (when this fails before its commit byte) nothing.
    pub(crate) fn commit<const MAX: usize>(&mut self, batch: &Batch<MAX>) -> Result<(), MemoryFault> {
        self.commit_log(batch.log.as_bytes())
    }

    fn commit_log(&mut self, log: &[u8]) -> Result<(), MemoryFault> {
        if self.faulty {
            return Err(MemoryFault);
        }
        self.faulty = true;
        let len = u16::try_from(log.len()).map_err(|_| MemoryFault)?.to_be_bytes();
        self.memory.write(LOG_AT, log)?;
        let [a, b, c, d] = crc32(&[&len, log]).to_be_bytes();
        self.memory.write(MARK_AT, &[len[0], len[1], a, b, c, d, COMMITTED])?;
        self.put_in_place(log)?;
        self.faulty = false;
        Ok(())
    }

    fn put_in_place(&mut self, log: &[u8]) -> Result<(), MemoryFault> {
        ranges(log).try_for_each(|(at, range)| self.memory.write(at, range))?;
        self.memory.write(COMMIT_AT, &[0])
    }

    /// How the card lays out what it keeps.
    pub(crate) const fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether a write failed since the last power-on.
    pub(crate) const fn is_faulty(&self) -> bool {
        self.faulty
    }

    /// `N` bytes at `at`.
    pub(crate) fn read<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut out = [0; N];
        self.memory.read(at, &mut out);
        out
    }

    /// Fills `out` from `at`.
    pub(crate) fn read_into(&self, at: usize, out: &mut [u8]) {
        self.memory.read(at, out);
    }

    pub(crate) const fn memory(&self) -> &M {
        &self.memory
    }

    pub(crate) const fn memory_mut(&mut self) -> &mut M {
        &mut self.memory
    }

    pub(crate) fn into_memory(self) -> M {
        self.memory
    }
}

/// CRC-32 (IEEE 802.3), four bits at a step.
pub(crate) fn crc32(parts: &[&[u8]]) -> u32 {
    const NIBBLES: [u32; 16] = nibble_table();
    let mut crc = u32::MAX;
    for byte in parts.iter().flat_map(|part| part.iter()) {
        for nibble in [byte & 0x0F, byte >> 4] {
            let [.., low] = crc.to_be_bytes();
            crc = NIBBLES[usize::from((low ^ nibble) & 0x0F)] ^ (crc >> 4);
        }
    }
    !crc
}

const fn nibble_table() -> [u32; 16] {
    let mut table = [0u32; 16];
    let mut index = 0usize;
    let mut value = 0u32;
    while index < 16 {
        let mut crc = value;
        let mut bit = 0u8;
        while bit < 4 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            bit = bit.saturating_add(1);
        }
        table[index] = crc;
        index = index.saturating_add(1);
        value = value.saturating_add(1);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::ArrayMemory;

    const HOME: usize = 600;

    fn batch() -> Batch {
        let mut batch: Batch = Batch::new();
        batch.write(HOME, &[&[1, 2], &[3]]).unwrap();
        batch.write(HOME + 10, &[&[4; 20]]).unwrap();
        batch
    }

    fn recovered<M: Memory>(memory: M) -> Result<Store<M>, PowerOnError> {
        let mut store = Store { memory, layout: Layout::NEWEST, faulty: true };
        store.recover().map(|()| store)
    }

    #[test]
    fn crc_of_the_check_string() {
        assert_eq!(crc32(&[b"1234", b"56789"]), 0xCBF4_3926);
    }

    #[test]
    fn a_cut_at_any_byte_of_any_write_leaves_old_or_new() {
        let mut whole = recovered(ArrayMemory::<1024>::new()).unwrap();
        whole.commit(&batch()).unwrap();
        let writes = whole.memory.writes();
        let new: [u8; 40] = whole.read(HOME);
        assert_eq!((new[2], new[29]), (3, 4));
        for cut in 0..writes {
            for torn in 0..=60 {
                for cut_again in 0..4 {
                    let mut store = recovered(ArrayMemory::<1024>::new()).unwrap();
                    store.memory.cut_power_after(cut, torn);
                    assert_eq!(store.commit(&batch()), Err(MemoryFault));
                    assert_eq!(store.commit(&batch()), Err(MemoryFault));
                    let mut memory = store.into_memory();
                    memory.cut_power_after(cut_again, torn);
                    let _ = recovered(&mut memory);
                    memory.restore_power();
                    let store = recovered(memory).unwrap();
                    let found: [u8; 40] = store.read(HOME);
                    assert!(found == [0; 40] || found == new, "cut {cut} torn {torn}");
                    assert!(cut < 2 || found == new);
                }
            }
        }
    }

    #[test]
    fn a_damaged_log_is_not_put_in_place() {
        let mut store = recovered(ArrayMemory::<1024>::new()).unwrap();
        store.memory.cut_power_after(2, 0);
        assert!(store.commit(&batch()).is_err());
        let mut memory = store.into_memory();
        memory.restore_power();
        memory.write(LOG_AT + 5, &[0xEE]).unwrap();
        assert!(matches!(recovered(memory), Err(PowerOnError::JournalDamaged)));
    }

    #[test]
    fn a_batch_has_an_end() {
        let mut batch: Batch = Batch::new();
        assert_eq!(batch.write(0, &[&[0; RANGE_LEN_MAX], &[0]]), Err(BatchFull));
        assert_eq!(batch.write(0x1_0000, &[&[0]]), Err(BatchFull));
        assert_eq!(batch.write(0, &[&[0; RANGE_LEN_MAX]]), Ok(()));
        assert_eq!(batch.write(0, &[&[0; RANGE_LEN_MAX]]), Err(BatchFull));
    }
}
