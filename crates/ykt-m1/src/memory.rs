//! The chip's memory as a power cut sees it: one block at a time, the last of them perhaps torn.

use crate::block::{BLOCK_LEN, BLOCKS, Block, BlockNo, CHIP_LEN, Uid, xor};
use core::fmt;

/// The power went. What of the block arrived is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryFault;

impl fmt::Display for MemoryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the chip's memory did not take a block")
    }
}

impl core::error::Error for MemoryFault {}

/// Where the blocks of a chip are kept.
pub trait BlockMemory {
    /// The block as it is now.
    fn read(&self, block: BlockNo) -> Block;

    /// One physical write.
    ///
    /// # Errors
    /// [`MemoryFault`] when the block, or a part of it, was not written.
    fn write(&mut self, block: BlockNo, data: &Block) -> Result<(), MemoryFault>;
}

impl<M: BlockMemory + ?Sized> BlockMemory for &mut M {
    fn read(&self, block: BlockNo) -> Block {
        (**self).read(block)
    }

    fn write(&mut self, block: BlockNo, data: &Block) -> Result<(), MemoryFault> {
        (**self).write(block, data)
    }
}

/// How a write is torn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tear {
    /// New bytes that arrived, from the front; sixteen is the whole block.
    pub arrived: usize,
    /// What stands behind them.
    pub rest: Rest,
}

/// Bytes of a torn block that did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// They are as before.
    Kept,
    /// They were erased to this value, as a cell is before it is written.
    Erased(u8),
}

/// Sixty-four blocks that last as long as the value; with a fuse that cuts the power at a chosen write.
#[derive(Clone)]
pub struct ArrayBlocks {
    blocks: [Block; BLOCKS],
    writes: usize,
    fuse: Option<(usize, Tear)>,
}

/// A chip as it leaves its maker: every sector under the transport keys FF FF FF FF FF FF.
#[must_use]
pub fn blank(uid: Uid) -> [Block; BLOCKS] {
    let mut blocks = [[0; BLOCK_LEN]; BLOCKS];
    let Uid([a, b, c, d]) = uid;
    // Behind the UID: its check byte BCC, type SAK 08, ATQA 00 04, and the maker's own bytes.
    blocks[0] = [a, b, c, d, xor(&uid.0), 0x08, 0x04, 0x00, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69];
    for trailer in blocks.iter_mut().skip(3).step_by(4) {
        *trailer = [0xFF; BLOCK_LEN];
        trailer[6..10].copy_from_slice(&[0xFF, 0x07, 0x80, 0x69]);
    }
    blocks
}

impl ArrayBlocks {
    /// A chip as it leaves its maker.
    #[must_use]
    pub fn blank(uid: Uid) -> ArrayBlocks {
        ArrayBlocks::from_blocks(blank(uid))
    }

    /// Blocks taken before.
    #[must_use]
    pub const fn from_blocks(blocks: [Block; BLOCKS]) -> ArrayBlocks {
        ArrayBlocks { blocks, writes: 0, fuse: None }
    }

    /// Every byte in order: the dump that other people's tools read and write.
    #[must_use]
    pub fn dump(&self) -> [u8; CHIP_LEN] {
        let mut out = [0; CHIP_LEN];
        out.iter_mut().zip(self.blocks.iter().flatten()).for_each(|(byte, stored)| *byte = *stored);
        out
    }

    /// Physical writes so far, torn ones included.
    #[must_use]
    pub const fn writes(&self) -> usize {
        self.writes
    }

    /// Cuts the power after `writes` more writes: the one that follows is torn, and none happens after it until
    /// [`ArrayBlocks::restore_power`].
    pub fn cut_power_after(&mut self, writes: usize, tear: Tear) {
        self.fuse = Some((writes, tear));
    }

    /// Gives power again.
    pub fn restore_power(&mut self) {
        self.fuse = None;
    }
}

impl BlockMemory for ArrayBlocks {
    fn read(&self, block: BlockNo) -> Block {
        self.blocks[block.index()]
    }

    fn write(&mut self, block: BlockNo, data: &Block) -> Result<(), MemoryFault> {
        self.writes = self.writes.saturating_add(1);
        let place = &mut self.blocks[block.index()];
        let Some((left, tear)) = &mut self.fuse else {
            *place = *data;
            return Ok(());
        };
        if let Some(less) = left.checked_sub(1) {
            *left = less;
            *place = *data;
            return Ok(());
        }
        let (new, behind) = place.split_at_mut(tear.arrived.min(BLOCK_LEN));
        new.iter_mut().zip(data).for_each(|(byte, arrived)| *byte = *arrived);
        if let Rest::Erased(value) = tear.rest {
            behind.fill(value);
        }
        *tear = Tear { arrived: 0, rest: Rest::Kept };
        Err(MemoryFault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuse_tears_one_block_and_stops_the_rest() {
        let mut memory = ArrayBlocks::blank(Uid([1, 2, 3, 4]));
        let [first, second] = [BlockNo::PURSE, BlockNo::PURSE_BACKUP];
        memory.cut_power_after(1, Tear { arrived: 3, rest: Rest::Erased(0xFF) });
        assert_eq!(memory.write(first, &[1; 16]), Ok(()));
        assert_eq!(memory.write(second, &[2; 16]), Err(MemoryFault));
        assert_eq!(memory.write(first, &[3; 16]), Err(MemoryFault));
        assert_eq!(memory.read(first), [1; 16]);
        assert_eq!(memory.read(second)[..4], [2, 2, 2, 0xFF]);
        memory.restore_power();
        assert_eq!(memory.write(second, &[4; 16]), Ok(()));
        assert_eq!((memory.read(second), memory.writes()), ([4; 16], 4));
        assert_eq!(memory.dump()[..5], [1, 2, 3, 4, 4]);
    }
}
