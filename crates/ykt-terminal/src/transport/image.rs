//! A card's memory in a file: every write of the card goes through to the file at once, in its order.
//!
//! A process that is killed is to the card what a power cut is to a chip: its journal finishes or undoes the
//! command at the next start. (A machine that loses power may reorder writes; cards in files are for
//! engineers and demonstrations, and a copy of the file is their backup.)

use crate::locked::LockedFile;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use ykt_base::hex::Hex;
use ykt_card::{IMAGE_LEN_MAX, IMAGE_LEN_MIN, Memory, MemoryFault};
use ykt_m1::block::CHIP_LEN;

/// First bytes of an image file: a name and the version of the file's format.
const MAGIC: [u8; 8] = *b"YKTIMG\x00\x01";

/// The memory of one card, in a file that is locked while it is open.
#[derive(Debug)]
pub struct FileMemory {
    file: LockedFile,
    bytes: Vec<u8>,
}

/// Why a file gives no memory.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
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
    /// Another process uses the card.
    #[error(
        "{path} is in use by another process: end that one first, or talk to the card through its reader"
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is no card, or one of a newer release.
    #[error("{path} is no card image this release reads: it begins with {found}, expected {expected}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// First bytes wanted, in hex.
        expected: String,
        /// First bytes there, in hex.
        found: String,
    },
    /// The file has an impossible length.
    #[error(
        "{path} holds {found} bytes of card memory, expected {IMAGE_LEN_MIN} to {IMAGE_LEN_MAX}: it was cut or extended"
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// Bytes of memory in it.
        found: usize,
    },
    /// The file is no M1 card.
    #[error(
        "{path} is no M1 card: expected a dump of {CHIP_LEN} bytes whose UID has its check byte, found {found} bytes"
    )]
    NoDump {
        /// The file.
        path: PathBuf,
        /// Bytes in it.
        found: usize,
    },
}

impl FileMemory {
    /// Makes a new file with `len` bytes of memory, all zero.
    ///
    /// # Errors
    /// [`ImageError`]; a file that exists is never overwritten.
    pub fn create(path: &Path, len: usize) -> Result<FileMemory, ImageError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(io("create", path))?;
        let mut file = lock(file, path)?;
        let bytes = vec![0; len];
        file.write_all(&MAGIC).and_then(|()| file.write_all(&bytes)).map_err(io("write", path))?;
        Ok(FileMemory { file, bytes })
    }

    /// Opens the memory in a file.
    ///
    /// # Errors
    /// [`ImageError`] when the file cannot be opened, is in use, or is no card image.
    pub fn open(path: &Path) -> Result<FileMemory, ImageError> {
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(io("open", path))?;
        let mut file = lock(file, path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io("read", path))?;
        let Some((&MAGIC, memory)) = bytes.split_first_chunk() else {
            let start = bytes.get(..MAGIC.len()).unwrap_or(&bytes);
            return Err(ImageError::Foreign {
                path: path.to_owned(),
                expected: Hex(&MAGIC).to_string(),
                found: Hex(start).to_string(),
            });
        };
        if !(IMAGE_LEN_MIN..=IMAGE_LEN_MAX).contains(&memory.len()) {
            return Err(ImageError::Length { path: path.to_owned(), found: memory.len() });
        }
        let bytes = memory.to_vec();
        Ok(FileMemory { file, bytes })
    }
}

pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ImageError {
    let path = path.to_owned();
    move |source| ImageError::Io { doing, path, source }
}

pub(crate) fn lock(file: File, path: &Path) -> Result<LockedFile, ImageError> {
    LockedFile::lock(file).map_err(|refused| match refused {
        TryLockError::WouldBlock => ImageError::InUse { path: path.to_owned() },
        TryLockError::Error(source) => io("lock", path)(source),
    })
}

impl Memory for FileMemory {
    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn read(&self, at: usize, out: &mut [u8]) {
        out.fill(0);
        let there = self.bytes.get(at..).unwrap_or_default();
        out.iter_mut().zip(there).for_each(|(byte, stored)| *byte = *stored);
    }

    fn write(&mut self, at: usize, data: &[u8]) -> Result<(), MemoryFault> {
        let end = at.checked_add(data.len()).ok_or(MemoryFault)?;
        let place = self.bytes.get_mut(at..end).ok_or(MemoryFault)?;
        let offset = at.checked_add(MAGIC.len()).and_then(|offset| u64::try_from(offset).ok());
        let offset = offset.ok_or(MemoryFault)?;
        let written = self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.write_all(data));
        written.map_err(|_| MemoryFault)?;
        place.copy_from_slice(data);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_write_is_in_the_file_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("card.img");
        let mut memory = FileMemory::create(&path, 2048).unwrap();
        memory.write(100, &[1, 2, 3]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap()[108..111], [1, 2, 3]);
        assert_eq!(memory.write(2046, &[1, 2, 3]), Err(MemoryFault), "past the end");
        assert!(matches!(FileMemory::open(&path), Err(ImageError::InUse { .. })));
        drop(memory);
        let memory = FileMemory::open(&path).unwrap();
        let mut out = [9; 4];
        memory.read(101, &mut out);
        assert_eq!((memory.len(), out), (2048, [2, 3, 0, 0]));
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_foreign_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("card.img");
        assert!(matches!(FileMemory::open(&path), Err(ImageError::Io { doing: "open", .. })));
        std::fs::write(&path, b"YKTIMG\x00\x02 of a newer release").unwrap();
        assert!(matches!(FileMemory::open(&path), Err(ImageError::Foreign { .. })));
        assert!(matches!(FileMemory::create(&path, 2048), Err(ImageError::Io { doing: "create", .. })));
        std::fs::write(&path, MAGIC).unwrap();
        assert!(matches!(FileMemory::open(&path), Err(ImageError::Length { found: 0, .. })));
    }
}
