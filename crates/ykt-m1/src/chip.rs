//! The chip: Mifare Classic 1K (S50). Sixteen sectors of four blocks, two keys each, access bits, value arithmetic.
//!
//! The cipher of the air link is the reader's and the antenna's affair and is not here; everything a program behind
//! a reader can see is.

use crate::access::{AccessBits, DataRights};
use crate::block::{BLOCK_LEN, Block, BlockNo, Sector, Uid};
use crate::key::{KeyKind, SectorKey};
use crate::memory::{BlockMemory, MemoryFault};
use crate::value::ValueBlock;

/// Why the chip does not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChipError {
    /// The key is another one, or the sector's access bits contradict themselves: locked for good.
    WrongKey,
    /// The sector was not opened by a key.
    NotAuthenticated,
    /// The access bits do not let this key do it.
    Denied,
    /// The block is in no value format, or nothing was restored before a transfer.
    NoValue,
    /// The power went while the block was written.
    Memory(MemoryFault),
}

impl From<MemoryFault> for ChipError {
    fn from(fault: MemoryFault) -> ChipError {
        ChipError::Memory(fault)
    }
}

/// A sector that was opened, and what the key may do in it.
#[derive(Clone, Copy)]
struct Open {
    sector: Sector,
    kind: KeyKind,
    /// A key B that can be read opens the sector, but may do nothing.
    powerless: bool,
}

/// A chip in the field of a reader.
pub struct Chip<M> {
    memory: M,
    open: Option<Open>,
    /// The chip's transfer buffer: a value on its way from one block to another.
    buffer: Option<ValueBlock>,
}

impl<M: BlockMemory> Chip<M> {
    /// A chip that comes into the field.
    #[must_use]
    pub fn new(memory: M) -> Chip<M> {
        Chip { memory, open: None, buffer: None }
    }

    /// It leaves the field and comes back: nothing is open.
    pub fn reset(&mut self) {
        self.open = None;
        self.buffer = None;
    }

    /// Its number, which anybody may read.
    #[must_use]
    pub fn uid(&self) -> Uid {
        let [a, b, c, d, ..] = self.memory.read(BlockNo::MANUFACTURER);
        Uid([a, b, c, d])
    }

    /// Its memory, as an engineer sees it: without keys in the way.
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    /// Its memory, for tests that cut the power and for engineers.
    pub const fn memory_mut(&mut self) -> &mut M {
        &mut self.memory
    }

    /// Takes the memory out.
    pub fn into_memory(self) -> M {
        self.memory
    }

    /// Opens the sector of `block`; whatever was open is closed, also when this fails.
    ///
    /// # Errors
    /// [`ChipError::WrongKey`].
    pub fn authenticate(&mut self, block: BlockNo, kind: KeyKind, key: &SectorKey) -> Result<(), ChipError> {
        self.reset();
        let sector = block.sector();
        let trailer = self.memory.read(sector.trailer());
        let bits = AccessBits::of_trailer(&trailer).ok_or(ChipError::WrongKey)?;
        let [key_a, key_b] = keys_of(&trailer);
        let (found, powerless) = match kind {
            KeyKind::A => (key_a, false),
            KeyKind::B => (key_b, bits.trailer().read_key_b.includes(KeyKind::A)),
        };
        if found != *key {
            return Err(ChipError::WrongKey);
        }
        self.open = Some(Open { sector, kind, powerless });
        Ok(())
    }

    /// Reads a block. Of a trailer key A reads as zeros, and so does what this key may not read.
    ///
    /// # Errors
    /// [`ChipError`].
    pub fn read(&self, block: BlockNo) -> Result<Block, ChipError> {
        let (kind, bits) = self.access(block)?;
        let mut data = self.memory.read(block);
        if block.is_trailer() {
            let rights = bits.trailer();
            data[..SectorKey::LEN].fill(0);
            if !rights.read_key_b.includes(kind) {
                data[10..].fill(0);
            }
            if !rights.read_bits.includes(kind) {
                return Err(ChipError::Denied);
            }
            return Ok(data);
        }
        self.may(block, |rights| rights.read.includes(kind)).map(|()| data)
    }

    /// Writes a block. Of a trailer only what this key may write changes.
    ///
    /// # Errors
    /// [`ChipError`]; the maker's block is never written.
    pub fn write(&mut self, block: BlockNo, data: &Block) -> Result<(), ChipError> {
        let (kind, bits) = self.access(block)?;
        if !block.is_trailer() {
            self.may(block, |rights| rights.write.includes(kind))?;
            if block == BlockNo::MANUFACTURER {
                return Err(ChipError::Denied);
            }
            return Ok(self.memory.write(block, data)?);
        }
        let rights = bits.trailer();
        let mut trailer = self.memory.read(block);
        let parts =
            [(0..6, rights.write_key_a), (6..10, rights.write_bits), (10..BLOCK_LEN, rights.write_key_b)];
        let mut changes = false;
        for (part, who) in parts {
            if who.includes(kind) {
                trailer[part.clone()].copy_from_slice(&data[part]);
                changes = true;
            }
        }
        if !changes {
            return Err(ChipError::Denied);
        }
        Ok(self.memory.write(block, &trailer)?)
    }

    /// Adds to a value block and writes it back. Like the chip, it counts on past the ends of its four bytes.
    ///
    /// # Errors
    /// [`ChipError`].
    pub fn increment(&mut self, block: BlockNo, amount: i32) -> Result<(), ChipError> {
        let (kind, _) = self.access(block)?;
        self.may(block, |rights| rights.increment.includes(kind))?;
        self.step(block, |value| value.wrapping_add(amount))
    }

    /// Takes from a value block and writes it back; wraps as [`Chip::increment`] does.
    ///
    /// # Errors
    /// [`ChipError`].
    pub fn decrement(&mut self, block: BlockNo, amount: i32) -> Result<(), ChipError> {
        let (kind, _) = self.access(block)?;
        self.may(block, |rights| rights.decrement.includes(kind))?;
        self.step(block, |value| value.wrapping_sub(amount))
    }

    /// Takes the value of a block into the transfer buffer, address byte and all.
    ///
    /// # Errors
    /// [`ChipError`].
    pub fn restore(&mut self, block: BlockNo) -> Result<(), ChipError> {
        let (kind, _) = self.access(block)?;
        self.may(block, |rights| rights.decrement.includes(kind))?;
        self.buffer = Some(ValueBlock::from_block(&self.memory.read(block)).ok_or(ChipError::NoValue)?);
        Ok(())
    }

    /// Writes the transfer buffer to a block of the same sector, whatever stood there.
    ///
    /// # Errors
    /// [`ChipError`].
    pub fn transfer(&mut self, block: BlockNo) -> Result<(), ChipError> {
        let (kind, _) = self.access(block)?;
        self.may(block, |rights| rights.decrement.includes(kind))?;
        if block == BlockNo::MANUFACTURER {
            return Err(ChipError::Denied);
        }
        let value = self.buffer.take().ok_or(ChipError::NoValue)?;
        Ok(self.memory.write(block, &value.to_block())?)
    }

    fn step(&mut self, block: BlockNo, change: impl FnOnce(i32) -> i32) -> Result<(), ChipError> {
        let found = ValueBlock::from_block(&self.memory.read(block)).ok_or(ChipError::NoValue)?;
        let changed = ValueBlock { value: change(found.value), ..found };
        Ok(self.memory.write(block, &changed.to_block())?)
    }

    /// The key that opened the sector of `block`, and the sector's access bits.
    fn access(&self, block: BlockNo) -> Result<(KeyKind, AccessBits), ChipError> {
        let open =
            self.open.filter(|open| open.sector == block.sector()).ok_or(ChipError::NotAuthenticated)?;
        let trailer = self.memory.read(open.sector.trailer());
        let bits = AccessBits::of_trailer(&trailer).filter(|_| !open.powerless).ok_or(ChipError::Denied)?;
        Ok((open.kind, bits))
    }

    /// Whether the access bits of a data block give a right.
    fn may(&self, block: BlockNo, right: impl FnOnce(DataRights) -> bool) -> Result<(), ChipError> {
        let (_, bits) = self.access(block)?;
        let given = !block.is_trailer() && right(bits.condition(block.place()).data());
        if given { Ok(()) } else { Err(ChipError::Denied) }
    }
}

fn keys_of(trailer: &Block) -> [SectorKey; 2] {
    let [a, b, c, d, e, f, _, _, _, _, u, v, w, x, y, z] = *trailer;
    [SectorKey::from_bytes([a, b, c, d, e, f]), SectorKey::from_bytes([u, v, w, x, y, z])]
}

#[cfg(test)]
mod tests;
