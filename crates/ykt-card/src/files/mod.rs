//! Files (`epurse.md` 2, 3.1): the tree of MF, DFs and EFs, and the commands that make, choose, read and write
//! them.

pub(crate) mod binary;
pub(crate) mod create;
pub(crate) mod record;
pub(crate) mod select;
mod tree;

pub use tree::{DF_HEADER_LEN, FILE_HEADER_LEN};
pub(crate) use tree::{Directory, Entry, File, FileId, FileKind, Sfi, entries, file, file_by_sfi, master};
