//! An M1 card in a file: the plain dump of 1,024 bytes that other people's tools read and write. Every block goes
//! through to the file at once.

use crate::locked::LockedFile;
use crate::transport::image::{ImageError, io, lock};
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use ykt_m1::block::{BLOCK_LEN, BLOCKS, CHIP_LEN, xor};
use ykt_m1::{Block, BlockMemory, BlockNo, MemoryFault, Uid, memory};

/// The blocks of one card, in a file that is locked while it is open.
#[derive(Debug)]
pub struct M1Image {
    file: LockedFile,
    blocks: [Block; BLOCKS],
}

impl M1Image {
    /// Makes a new file with a blank chip.
    ///
    /// # Errors
    /// [`ImageError`]; a file that exists is never overwritten.
    pub fn create(path: &Path, uid: Uid) -> Result<M1Image, ImageError> {
        let open = OpenOptions::new().read(true).write(true).create_new(true).open(path);
        let mut file = lock(open.map_err(io("create", path))?, path)?;
        let blocks = memory::blank(uid);
        file.write_all(blocks.as_flattened()).map_err(io("write", path))?;
        Ok(M1Image { file, blocks })
    }

    /// Opens the card in a file.
    ///
    /// # Errors
    /// [`ImageError`] when the file cannot be opened, is in use, or is no dump.
    pub fn open(path: &Path) -> Result<M1Image, ImageError> {
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(io("open", path))?;
        let mut file = lock(file, path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io("read", path))?;
        let (blocks, rest) = bytes.as_chunks::<BLOCK_LEN>();
        let dump = <[Block; BLOCKS]>::try_from(blocks).ok().filter(|_| rest.is_empty());
        match dump.filter(|blocks| xor(&blocks[0][..5]) == 0) {
            Some(blocks) => Ok(M1Image { file, blocks }),
            None => Err(ImageError::NoDump { path: path.to_owned(), found: bytes.len() }),
        }
    }

    /// Whether the file at `path` has the length of a dump: card images of another sort have another.
    #[must_use]
    pub fn is_one(path: &Path) -> bool {
        let len = std::fs::metadata(path).map(|data| data.len());
        len.is_ok_and(|len| usize::try_from(len) == Ok(CHIP_LEN))
    }
}

impl BlockMemory for M1Image {
    fn read(&self, block: BlockNo) -> Block {
        self.blocks[block.index()]
    }

    fn write(&mut self, block: BlockNo, data: &Block) -> Result<(), MemoryFault> {
        let offset = u64::from(block.number()).saturating_mul(16);
        let written = self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.write_all(data));
        written.map_err(|_| MemoryFault)?;
        self.blocks[block.index()] = *data;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_in_the_file_at_once_and_nothing_foreign_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m1.img");
        let mut image = M1Image::create(&path, Uid([1, 2, 3, 4])).unwrap();
        image.write(BlockNo::PURSE, &[7; 16]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap()[9 * 16..10 * 16], [7; 16]);
        assert!(matches!(M1Image::open(&path), Err(ImageError::InUse { .. })));
        assert!(matches!(M1Image::create(&path, Uid([0; 4])), Err(ImageError::Io { doing: "create", .. })));
        drop(image);
        assert!(M1Image::is_one(&path));
        assert_eq!(M1Image::open(&path).unwrap().read(BlockNo::PURSE), [7; 16]);
        let mut dump = std::fs::read(&path).unwrap();
        dump[4] ^= 1;
        std::fs::write(&path, &dump).unwrap();
        assert!(matches!(M1Image::open(&path), Err(ImageError::NoDump { found: 1_024, .. })), "check byte");
        std::fs::write(&path, &dump[..1_000]).unwrap();
        assert!(!M1Image::is_one(&path));
        assert!(matches!(M1Image::open(&path), Err(ImageError::NoDump { found: 1_000, .. })));
    }
}
