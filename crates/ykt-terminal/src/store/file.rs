//! A journal in one file that only grows; each entry is synced to the disk before it counts.
//!
//! A process killed while it wrote leaves a last entry cut short: it never counted, and is cut off at the
//! next start. Damage anywhere else is no accident of ours and is reported with its place.

use super::format::{self, Frame, MAGIC};
use super::{Entry, RecordStore, StoreError};
use crate::locked::LockedFile;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use ykt_base::hex::Hex;

/// The journal of a POS in a file that is locked against other processes while it is open.
#[derive(Debug)]
pub struct FileStore(JournalFile);

/// A file of sealed frames, whatever their entries are.
#[derive(Debug)]
pub(crate) struct JournalFile {
    path: PathBuf,
    file: LockedFile,
    /// Where the next entry goes: behind the whole ones.
    end: u64,
    /// Whether part of an entry that failed may stand there.
    torn: bool,
}

impl FileStore {
    /// Opens the journal at `path`, or starts it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be opened, is in use, or is no journal.
    pub fn open(path: &Path) -> Result<FileStore, StoreError> {
        JournalFile::open(path, MAGIC).map(FileStore)
    }
}

impl RecordStore for FileStore {
    fn append(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.0.append(&format::encode(entry))
    }

    fn replay(&mut self, each: &mut dyn FnMut(Entry) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.0.replay(format::decode, each)
    }
}

impl JournalFile {
    /// Opens the file, or starts one that begins with `magic`.
    pub(crate) fn open(path: &Path, magic: [u8; 8]) -> Result<JournalFile, StoreError> {
        let path = path.to_owned();
        let io = |doing| {
            let path = path.clone();
            move |source| StoreError::Io { doing, path, source }
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io("open"))?;
        let mut file = LockedFile::lock(file).map_err(|refused| match refused {
            TryLockError::WouldBlock => StoreError::InUse { path: path.clone() },
            TryLockError::Error(source) => io("lock")(source),
        })?;
        let mut head = Vec::new();
        (&*file).take(len_u64(magic.len())).read_to_end(&mut head).map_err(io("read"))?;
        if !magic.starts_with(&head) {
            return Err(StoreError::Foreign {
                path,
                expected: Hex(&magic).to_string(),
                found: Hex(&head).to_string(),
            });
        }
        if head.len() < magic.len() {
            file.rewind().map_err(io("write"))?;
            file.write_all(&magic).and_then(|()| file.sync_all()).map_err(io("write"))?;
            sync_folder(&path).map_err(io("sync the folder of"))?;
        }
        Ok(JournalFile { path, file, end: len_u64(magic.len()), torn: false })
    }

    fn io(&self, doing: &'static str) -> impl FnOnce(std::io::Error) -> StoreError {
        let path = self.path.clone();
        move |source| StoreError::Io { doing, path, source }
    }

    /// Adds a frame; it is on the disk when this returns.
    pub(crate) fn append(&mut self, frame: &[u8]) -> Result<(), StoreError> {
        if self.torn {
            self.file.set_len(self.end).map_err(self.io("shorten"))?;
        }
        self.torn = true;
        let written = self
            .file
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| self.file.write_all(frame))
            .and_then(|()| self.file.sync_data());
        written.map_err(self.io("write"))?;
        self.torn = false;
        self.end = self.end.saturating_add(len_u64(frame.len()));
        Ok(())
    }

    /// Calls `each` with every entry that `decode` finds; what was cut short at the end is cut off.
    pub(crate) fn replay<E>(
        &mut self,
        decode: impl Fn(&[u8]) -> Frame<E>,
        each: &mut dyn FnMut(E) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        let start = len_u64(MAGIC.len());
        let read = self.file.seek(SeekFrom::Start(start)).and_then(|_| self.file.read_to_end(&mut bytes));
        read.map_err(self.io("read"))?;
        let mut rest = bytes.as_slice();
        let mut at = start;
        while !rest.is_empty() {
            match decode(rest) {
                Frame::Whole { entry, len } => {
                    each(entry)?;
                    rest = rest.get(len..).unwrap_or_default();
                    at = at.saturating_add(len_u64(len));
                }
                Frame::CutShort => break,
                // Where the machine lost power the file may have grown without its bytes.
                Frame::Damaged(_) if rest.iter().all(|byte| *byte == 0) => break,
                Frame::Damaged(what) => {
                    return Err(StoreError::Damaged { path: self.path.clone(), at, what });
                }
            }
        }
        if !rest.is_empty() {
            self.file.set_len(at).and_then(|()| self.file.sync_data()).map_err(self.io("shorten"))?;
        }
        self.end = at;
        Ok(())
    }
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn len_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{PAID, debit};
    use super::super::{RecordBook, RecordStore};
    use super::*;
    use crate::record::LocalSerial;

    fn entries(path: &Path) -> Result<Vec<Entry>, StoreError> {
        let mut store = FileStore::open(path)?;
        let mut found = Vec::new();
        store.replay(&mut |entry| {
            found.push(entry);
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn a_journal_cut_at_any_byte_keeps_all_whole_entries_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pos.records");
        let all = [
            Entry::Begun(debit(1, "20261122080000")),
            Entry::Ended(LocalSerial::FIRST, PAID),
            Entry::Begun(debit(2, "20261122080500")),
        ];
        let mut store = FileStore::open(&path).unwrap();
        let mut ends = vec![MAGIC.len()];
        for entry in &all {
            store.append(entry).unwrap();
            ends.push(std::fs::metadata(&path).unwrap().len() as usize);
        }
        drop(store);
        let whole = std::fs::read(&path).unwrap();
        for len in 0..=whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            let kept = ends.iter().filter(|end| **end <= len).count().saturating_sub(1);
            assert_eq!(entries(&path).unwrap(), all[..kept], "cut after {len} bytes");
            let mut store = FileStore::open(&path).unwrap();
            store.replay(&mut |_| Ok(())).unwrap();
            store.append(&all[kept.min(2)]).unwrap();
            drop(store);
            assert_eq!(entries(&path).unwrap().len(), kept + 1, "goes on after {len} bytes");
        }
    }

    #[test]
    fn zeros_at_the_end_are_cut_off_and_damage_in_the_middle_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pos.records");
        let mut book = RecordBook::open(FileStore::open(&path).unwrap()).unwrap();
        book.begin(debit(1, "20261122080000")).unwrap();
        book.end(LocalSerial::FIRST, PAID).unwrap();
        drop(book);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [whole.as_slice(), &[0; 100]].concat()).unwrap();
        assert_eq!(entries(&path).unwrap().len(), 2);
        let mut broken = whole.clone();
        broken[20] ^= 1;
        std::fs::write(&path, broken).unwrap();
        let error = entries(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { at: 8, .. }), "{error}");
    }

    #[test]
    fn a_second_process_and_a_foreign_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pos.records");
        let first = FileStore::open(&path).unwrap();
        assert!(matches!(FileStore::open(&path), Err(StoreError::InUse { .. })));
        drop(first);
        std::fs::write(&path, b"something else").unwrap();
        assert!(matches!(FileStore::open(&path), Err(StoreError::Foreign { .. })));
        std::fs::write(&path, b"YKTPOS\x00\x02").unwrap();
        assert!(matches!(FileStore::open(&path), Err(StoreError::Foreign { .. })), "a newer format");
    }
}
