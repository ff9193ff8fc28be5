//! The folders through which partners and the bank exchange files with the centre (`clearing.md` 2.1, end):
//! each partner has `upload download history repeat error`, the bank an `outbox`.
//!
//! Clearing decides and then says where a file goes; how it gets there is a leaf: [`DirFolders`] on a disk,
//! [`MemoryFolders`] in a simulated city.

mod disk;
mod memory;

pub use disk::DirFolders;
pub use memory::MemoryFolders;

use ykt_base::MerchantCode;

/// A folder of a partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tray {
    /// Files of the partner that wait.
    Upload,
    /// Answers for the partner.
    Download,
    /// Files that were accepted.
    History,
    /// Files that came before.
    Repeat,
    /// Files that are broken.
    Error,
}

impl Tray {
    /// Every folder of a partner.
    pub const ALL: [Tray; 5] = [Tray::Upload, Tray::Download, Tray::History, Tray::Repeat, Tray::Error];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Tray::Upload => "upload",
            Tray::Download => "download",
            Tray::History => "history",
            Tray::Repeat => "repeat",
            Tray::Error => "error",
        }
    }
}

/// A file that waits in `upload`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upload {
    /// Whose folder it is in.
    pub partner: MerchantCode,
    /// Its name.
    pub name: String,
}

/// A folder or file cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {place}: {detail}; mend it and run again, nothing is lost")]
pub struct FolderError {
    /// What was tried.
    pub what: &'static str,
    /// The file or folder.
    pub place: String,
    /// The system's words.
    pub detail: String,
}

/// Where files come from and go to. Every step may be repeated: a program that was killed does it again.
pub trait Folders: Send + Sync {
    /// Every file that waits, by partner and name.
    ///
    /// # Errors
    /// [`FolderError`].
    fn uploads(&self) -> Result<Vec<Upload>, FolderError>;

    /// A file that waits, or `None` when it is not there. Of a file longer than any may be
    /// ([`ykt_files::FILE_LEN_MAX`]) only so much that receiving it finds it too long.
    ///
    /// # Errors
    /// [`FolderError`].
    fn read_upload(&self, partner: &MerchantCode, name: &str) -> Result<Option<Vec<u8>>, FolderError>;

    /// Moves a file that waits to another folder, beside any file of that name there. Nothing happens when it
    /// does not wait any more.
    ///
    /// # Errors
    /// [`FolderError`].
    fn put_away(&self, partner: &MerchantCode, name: &str, to: Tray) -> Result<(), FolderError>;

    /// Puts an answer into `download`, whole or not at all, in place of one of the same name.
    ///
    /// # Errors
    /// [`FolderError`].
    fn deliver(&self, partner: &MerchantCode, name: &str, bytes: &[u8]) -> Result<(), FolderError>;

    /// Puts a file into the bank's `outbox`, whole or not at all, in place of one of the same name.
    ///
    /// # Errors
    /// [`FolderError`].
    fn send_to_bank(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError>;
}

/// Name of a file put away when `taken` others of that name are there already.
fn beside(name: &str, taken: u32) -> String {
    if taken == 0 { name.to_owned() } else { format!("{name}.{taken}") }
}
