//! CREATE FILE (建文件, `epurse.md` 3.1), the only way a file comes into being, and ERASE DF (擦除, 2), the only way
//! one goes. What is free of a directory is zeros, so a new file begins empty.

use super::tree::{Entry, FileId, FileKind, Header, Sfi, entries};
use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::memory::{Batch, Memory};
use ykt_base::{Command, StatusWord};
use ykt_purse::Purse;
use ykt_purse::bank::CARD_FID;
use ykt_purse::create::{CreateFile, NewFile, Structure};
use ykt_purse::ticket::{STORE_FID, TERMS_LEN};

/// A CREATE FILE whose file can exist, with the bytes it came in.
#[derive(Clone, Copy)]
pub(crate) struct NewEntry<'a> {
    command: CreateFile<'a>,
    data: &'a [u8],
}

impl<'a> NewEntry<'a> {
    /// Reads `80 E0`.
    ///
    /// # Errors
    /// 6700 and 6A80 of [`CreateFile::parse`]; 6A80 for a file without room for anything, a key file or purse
    /// under another FID than theirs, or an FID that is taken by meaning.
    pub(crate) fn parse(command: &Command<'a>) -> Result<NewEntry<'a>, StatusWord> {
        let data = command.data;
        let command = CreateFile::parse(command)?;
        let id = FileId(command.fid);
        let possible = match command.file {
            NewFile::Keys { size, .. } => id == FileId::KEYS && size > 0,
            NewFile::Purse { .. } => purse_of(id).is_some(),
            NewFile::Tickets { count, len, .. } => {
                id.0 == STORE_FID && count > 0 && usize::from(len) >= TERMS_LEN
            }
            NewFile::BankCard { tracks_sfi, log_sfi, .. } => {
                id.0 == CARD_FID && Sfi::new(tracks_sfi).is_some() && Sfi::new(log_sfi).is_some()
            }
            NewFile::KeyPair { .. } => id.sfi().is_some(),
            NewFile::Data { structure, .. } => id.sfi().is_some() && has_room(structure),
            NewFile::Application { size, .. } => id != FileId::MF && command.fid[0] != 0 && size > 0,
        };
        if possible { Ok(NewEntry { command, data }) } else { Err(StatusWord::WRONG_DATA) }
    }
}

/// The purse a file holds: 0001 the ED, 0002 the EP.
pub(crate) fn purse_of(id: FileId) -> Option<Purse> {
    match id.0 {
        [0, low] => Purse::from_code(low).ok(),
        _ => None,
    }
}

fn has_room(structure: Structure) -> bool {
    match structure {
        Structure::Binary { size } | Structure::VariableRecords { size } => size > 0,
        Structure::FixedRecords { count, len } | Structure::CyclicRecords { count, len } => {
            count > 0 && len > 0
        }
    }
}

impl<M: Memory> Card<M> {
    /// Makes the file in the current directory.
    ///
    /// # Errors
    /// 6981 for a DF inside a DF, 6982 without the directory's right, 6A80 when the FID is taken, 6A84 when the
    /// directory is full.
    #[inline(never)]
    pub(crate) fn create_file(&mut self, new: NewEntry<'_>) -> Outcome {
        let directory = self.session.directory;
        let at = directory.free(&self.store);
        let (entry, next) = Entry::of(&new.command, at, self.store.layout()).ok_or(StatusWord::WRONG_DATA)?;
        match entry {
            Entry::Directory(_) if !directory.is_master() => return Err(StatusWord::WRONG_FILE_TYPE),
            Entry::File(file) if file.kind == FileKind::Keys && self.is_first_of_blank() => {}
            _ => self.session.require(directory.create)?,
        }
        if entries(&self.store, &directory).any(|present| present.id() == entry.id()) {
            return Err(StatusWord::WRONG_DATA);
        }
        if next > directory.end {
            return Err(StatusWord::NO_SPACE);
        }
        let used = next.saturating_sub(at).saturating_add(directory.used(&self.store));
        let used = u16::try_from(used).map_err(|_| StatusWord::NO_SPACE)?;
        let header = Header::new(new.command.fid, new.data, &entry).ok_or(StatusWord::WRONG_DATA)?;
        let mut batch: Batch = Batch::new();
        batch.write(at, &[header.as_bytes()])?;
        batch.write(directory.used_at(), &[&used.to_be_bytes()])?;
        self.store.commit(&batch)?;
        done()
    }

    /// Takes everything out of the current directory. Its keys and data are overwritten; when the power goes
    /// meanwhile, the next power-on ends it.
    ///
    /// # Errors
    /// 6982 without the directory's right; the MF gives it to nobody.
    #[inline(never)]
    pub(crate) fn erase_directory(&mut self) -> Outcome {
        let directory = self.session.directory;
        self.session.require(directory.erase)?;
        let mut batch: Batch = Batch::new();
        batch.write(directory.used_at(), &[&[0; 2]])?;
        self.store.wipe(batch, directory.start(), directory.used(&self.store))?;
        self.session.file = None;
        done()
    }

    /// Whether the MF is current and still without any file: its key file may then be made by whoever holds the
    /// card, since only the holder of the transport key can put a key into it.
    fn is_first_of_blank(&self) -> bool {
        self.session.directory.is_master() && self.session.directory.used(&self.store) == 0
    }
}
