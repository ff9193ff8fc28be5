//! The tree in memory. A directory is a region; its entries stand in it one after the other and are never moved.
//! Finding is a walk over their headers, of which a card has about ten.
//!
//! An entry is a header, then the body. The header keeps what CREATE FILE said, and is read back by the same
//! parser: length of its data, FID (2), the data; a DF's header ends with the bytes used of it.

use crate::bank;
use crate::image::{FILES_AT, Factory, Layout, MF_USED_AT};
use crate::memory::{Memory, Store};
use crate::ticket;
use crate::token;
use ykt_base::Command;
use ykt_purse::create::{
    Access, AccessByte, CreateFile, NAME_LEN_MAX, NewFile, Protection, Structure, Switches,
};
use ykt_purse::token::{PinPolicy, Purpose};

/// Bytes each EF costs in its directory beside its body.
pub const FILE_HEADER_LEN: usize = 16;
/// Bytes each DF costs in the MF beside its own size.
pub const DF_HEADER_LEN: usize = 32;

/// Longest CREATE FILE data: a DF with the longest name.
const SPEC_LEN_MAX: usize = 8 + NAME_LEN_MAX;
const SPEC_AT: usize = 3;
/// Where a DF's header keeps its block state, then the failed unblocks in a row.
const BLOCK_AT: usize = SPEC_AT + SPEC_LEN_MAX;
/// Where a DF's header keeps the bytes used.
const USED_AT: usize = DF_HEADER_LEN - 2;
/// Bytes before the records of a cyclic file: slot of the newest record, number of records.
pub(crate) const RING_HEADER_LEN: usize = 2;

/// File identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(pub(crate) [u8; 2]);

impl FileId {
    pub(crate) const MF: FileId = FileId([0x3F, 0x00]);
    pub(crate) const KEYS: FileId = FileId([0x00, 0x00]);

    /// The short identifier: the low five bits of an FID 00xx.
    pub(crate) const fn sfi(self) -> Option<Sfi> {
        match self.0 {
            [0, low] => Sfi::new(low & 0x1F),
            _ => None,
        }
    }
}

/// Short file identifier, 1 to 30.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sfi(u8);

impl Sfi {
    pub(crate) const fn new(value: u8) -> Option<Sfi> {
        match value {
            1..=30 => Some(Sfi(value)),
            _ => None,
        }
    }
}

/// What an EF is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Data(Structure),
    Purse {
        /// The log it writes.
        log: Sfi,
    },
    Keys,
    Tickets {
        places: u8,
        /// Bytes of the longest ticket.
        len: u8,
    },
    BankCard {
        tracks: Sfi,
        signature: Option<Sfi>,
        /// The log it writes.
        log: Sfi,
    },
    /// An SM2 key pair; `read` is the right to sign, `write` the right to make a new one.
    KeyPair {
        purpose: Purpose,
        pin: PinPolicy,
    },
}

impl FileKind {
    /// Length of the body.
    fn body_len(self, layout: Layout) -> usize {
        match self {
            FileKind::Data(Structure::Binary { size } | Structure::VariableRecords { size }) => {
                usize::from(size)
            }
            FileKind::Data(Structure::FixedRecords { count, len }) => {
                usize::from(count).saturating_mul(usize::from(len))
            }
            FileKind::Data(Structure::CyclicRecords { count, len }) => {
                usize::from(count).saturating_mul(usize::from(len)).saturating_add(RING_HEADER_LEN)
            }
            FileKind::Purse { .. } => layout.purse_len(),
            FileKind::Keys => 0,
            FileKind::Tickets { places, len } => ticket::store_len(places, len),
            FileKind::BankCard { .. } => bank::BODY_LEN,
            FileKind::KeyPair { .. } => token::KEY_PAIR_LEN,
        }
    }
}

/// An EF as it stands in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) id: FileId,
    pub(crate) kind: FileKind,
    pub(crate) protection: Protection,
    /// Right to read; of a purse, to see the balance and to begin transactions.
    pub(crate) read: Access,
    /// Right to write; of a key file, to add keys.
    pub(crate) write: Access,
    pub(crate) access: AccessByte,
    /// Where the body begins.
    pub(crate) body: usize,
    /// Length of the body.
    pub(crate) len: usize,
}

impl File {
    /// Whether it holds bytes rather than records, keys or money.
    pub(crate) const fn is_binary(&self) -> bool {
        matches!(self.kind, FileKind::Data(Structure::Binary { .. }))
    }

    /// Whether commands without a MAC may read it.
    pub(crate) fn is_readable_plainly(&self) -> bool {
        self.protection == Protection::Plain || self.access.allows_plain_read()
    }
}

/// Whether an application is blocked (`epurse.md` 2, APPLICATION BLOCK).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockState {
    /// It works.
    Free,
    /// Until APPLICATION UNBLOCK.
    Temporary,
    /// For good.
    Permanent,
}

impl BlockState {
    /// Any byte that is none of ours blocks for good.
    const fn from_byte(byte: u8) -> BlockState {
        match byte {
            0x00 => BlockState::Free,
            0x01 => BlockState::Temporary,
            _ => BlockState::Permanent,
        }
    }

    pub(crate) const fn to_byte(self) -> u8 {
        match self {
            BlockState::Free => 0x00,
            BlockState::Temporary => 0x01,
            BlockState::Permanent => 0x02,
        }
    }
}

/// The MF, or a DF in it: what is selected, and where its files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) id: FileId,
    pub(crate) create: Access,
    /// Right to erase everything in it.
    pub(crate) erase: Access,
    pub(crate) block: BlockState,
    /// The EF whose content the FCI shows (application byte of CREATE FILE: 80 | SFI).
    pub(crate) info: Option<Sfi>,
    pub(crate) switches: Switches,
    /// Name, and how many of its bytes count.
    name: [u8; NAME_LEN_MAX],
    name_len: usize,
    /// The region of its files.
    files: usize,
    pub(crate) end: usize,
    /// Where its header stands; the MF has none.
    header: Option<usize>,
}

impl Directory {
    /// Whether it is the MF.
    pub(crate) fn is_master(&self) -> bool {
        self.id == FileId::MF
    }

    pub(crate) fn name(&self) -> &[u8] {
        self.name.get(..self.name_len).unwrap_or_default()
    }

    /// Where the count of used bytes stands.
    pub(crate) fn used_at(&self) -> usize {
        self.header.map_or(MF_USED_AT, |at| at.saturating_add(USED_AT))
    }

    /// Where block state and failed unblocks stand, a byte each; the MF has none.
    pub(crate) fn block_at(&self) -> Option<usize> {
        self.header.map(|at| at.saturating_add(BLOCK_AT))
    }

    /// Bytes of the region in use.
    pub(crate) fn used<M: Memory>(&self, store: &Store<M>) -> usize {
        usize::from(u16::from_be_bytes(store.read(self.used_at())))
    }

    /// Where the region of its files begins.
    pub(crate) const fn start(&self) -> usize {
        self.files
    }

    /// Bytes of the region.
    pub(crate) const fn room(&self) -> usize {
        self.end.saturating_sub(self.files)
    }

    /// The first free byte of the region.
    pub(crate) fn free<M: Memory>(&self, store: &Store<M>) -> usize {
        self.files.saturating_add(self.used(store))
    }
}

/// One entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    File(File),
    Directory(Directory),
}

impl Entry {
    pub(crate) const fn id(&self) -> FileId {
        match self {
            Entry::File(file) => file.id,
            Entry::Directory(directory) => directory.id,
        }
    }

    /// What an entry at `at` is for a CREATE FILE that said this, and where the next one begins.
    pub(crate) fn of(command: &CreateFile<'_>, at: usize, layout: Layout) -> Option<(Entry, usize)> {
        let id = FileId(command.fid);
        let body = at.checked_add(FILE_HEADER_LEN)?;
        let (kind, protection, read, write, access, len) = match command.file {
            NewFile::Data { structure, protection, read, write, access } => {
                (FileKind::Data(structure), protection, read, write, access, None)
            }
            NewFile::Purse { usage, change, log_sfi, .. } => {
                let kind = FileKind::Purse { log: Sfi::new(log_sfi)? };
                (kind, Protection::Plain, usage, change, AccessByte::KEY_0, None)
            }
            NewFile::Tickets { count: places, len, look, redeem } => {
                let kind = FileKind::Tickets { places, len };
                (kind, Protection::Plain, look, redeem, AccessByte::KEY_0, None)
            }
            NewFile::BankCard { tracks_sfi, signature_sfi, usage, log_sfi } => {
                let tracks = Sfi::new(tracks_sfi)?;
                let kind = FileKind::BankCard {
                    tracks,
                    signature: Sfi::new(signature_sfi),
                    log: Sfi::new(log_sfi)?,
                };
                (kind, Protection::Plain, usage, Access::NEVER, AccessByte::KEY_0, None)
            }
            NewFile::KeyPair { purpose, pin, sign, generate } => {
                let kind = FileKind::KeyPair { purpose, pin };
                (kind, Protection::Plain, sign, generate, AccessByte::KEY_0, None)
            }
            NewFile::Keys { size, add, .. } => {
                let len = Some(usize::from(size));
                (FileKind::Keys, Protection::Plain, Access::NEVER, add, AccessByte::KEY_0, len)
            }
            NewFile::Application { size, create, erase, app_id, switches, name } => {
                let files = at.checked_add(DF_HEADER_LEN)?;
                let end = files.checked_add(usize::from(size))?;
                let mut directory = Directory {
                    id,
                    create,
                    erase,
                    block: BlockState::Free,
                    info: Sfi::new(app_id & 0x1F),
                    switches,
                    name: [0; NAME_LEN_MAX],
                    name_len: name.len(),
                    files,
                    end,
                    header: Some(at),
                };
                directory.name.get_mut(..name.len())?.copy_from_slice(name);
                return Some((Entry::Directory(directory), end));
            }
        };
        let len = len.unwrap_or_else(|| kind.body_len(layout));
        let file = File { id, kind, protection, read, write, access, body, len };
        Some((Entry::File(file), body.checked_add(len)?))
    }

    /// The entry at `at` and where the next one begins.
    fn read<M: Memory>(store: &Store<M>, at: usize) -> Option<(Entry, usize)> {
        let header: [u8; DF_HEADER_LEN] = store.read(at);
        let [spec_len, p1, p2, spec @ ..] = &header;
        let data = spec.get(..usize::from(*spec_len).min(SPEC_LEN_MAX))?;
        let command = CreateFile::parse(&Command::write(0x80, 0xE0, *p1, *p2, data, None)).ok()?;
        let (mut entry, next) = Entry::of(&command, at, store.layout())?;
        if let Entry::Directory(directory) = &mut entry {
            directory.block = BlockState::from_byte(header[BLOCK_AT]);
        }
        Some((entry, next))
    }
}

/// The header of a file that CREATE FILE (FID, data) makes.
pub(crate) struct Header {
    bytes: [u8; DF_HEADER_LEN],
    len: usize,
}

impl Header {
    /// `None` when the data are longer than any CREATE FILE's.
    pub(crate) fn new(fid: [u8; 2], data: &[u8], entry: &Entry) -> Option<Header> {
        let mut bytes = [0; DF_HEADER_LEN];
        let [p1, p2] = fid;
        bytes[..SPEC_AT].copy_from_slice(&[u8::try_from(data.len()).ok()?, p1, p2]);
        bytes[SPEC_AT..BLOCK_AT].get_mut(..data.len())?.copy_from_slice(data);
        let len = match entry {
            Entry::File(_) => FILE_HEADER_LEN,
            Entry::Directory(_) => DF_HEADER_LEN,
        };
        Some(Header { bytes, len })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The MF.
pub(crate) fn master<M: Memory>(store: &Store<M>, factory: &Factory) -> Directory {
    Directory {
        id: FileId::MF,
        create: factory.mf_create,
        erase: Access::NEVER,
        block: BlockState::Free,
        info: None,
        switches: factory.mf_switches,
        name: [0; NAME_LEN_MAX],
        name_len: 0,
        files: FILES_AT,
        end: store.memory().len(),
        header: None,
    }
}

/// Everything in a directory, in the order of its creation.
pub(crate) fn entries<M: Memory>(store: &Store<M>, directory: &Directory) -> impl Iterator<Item = Entry> {
    let end = directory.free(store).min(directory.end);
    let mut at = directory.files;
    core::iter::from_fn(move || {
        let (entry, next) = (at < end).then(|| Entry::read(store, at)).flatten()?;
        at = next;
        Some(entry)
    })
}

/// The EF of an id.
pub(crate) fn file<M: Memory>(store: &Store<M>, directory: &Directory, id: FileId) -> Option<File> {
    files(store, directory).find(|file| file.id == id)
}

/// The EF of a short id.
pub(crate) fn file_by_sfi<M: Memory>(store: &Store<M>, directory: &Directory, sfi: Sfi) -> Option<File> {
    files(store, directory).find(|file| file.id.sfi() == Some(sfi))
}

/// The binary EF of a short id that has at least `len` bytes.
pub(crate) fn binary_file<M: Memory>(
    store: &Store<M>,
    directory: &Directory,
    sfi: u8,
    len: usize,
) -> Option<File> {
    file_by_sfi(store, directory, Sfi::new(sfi)?).filter(|file| file.is_binary() && file.len >= len)
}

fn files<M: Memory>(store: &Store<M>, directory: &Directory) -> impl Iterator<Item = File> {
    entries(store, directory).filter_map(|entry| match entry {
        Entry::File(file) => Some(file),
        Entry::Directory(_) => None,
    })
}

/// The DFs of the MF.
pub(crate) fn applications<M: Memory>(
    store: &Store<M>,
    master: &Directory,
) -> impl Iterator<Item = Directory> {
    entries(store, master).filter_map(|entry| match entry {
        Entry::Directory(directory) => Some(directory),
        Entry::File(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ids() {
        assert_eq!(FileId([0, 0x15]).sfi(), Sfi::new(0x15));
        assert_eq!(FileId([0, 0]).sfi(), None);
        assert_eq!(FileId([0, 0x1F]).sfi(), None);
        assert_eq!(FileId([0xDF, 0x01]).sfi(), None);
    }
}
