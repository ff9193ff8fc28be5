//! Folders on a disk: `<root>/<merchant>/{upload,download,history,repeat,error}` and `<root>/bank/outbox`.
//!
//! A file appears under its name only when it is whole and on the disk: written beside, synced, renamed, and
//! the folder synced. A name that begins with a point is not taken for a file of anybody.

use super::{FolderError, Folders, Tray, Upload, beside};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use ykt_base::MerchantCode;
use ykt_files::FILE_LEN_MAX;

/// Files of one name that may lie beside each other in a folder.
const SAME_NAME_MAX: u32 = 10_000;

/// Folders below one root.
#[derive(Debug, Clone)]
pub struct DirFolders {
    root: PathBuf,
}

impl DirFolders {
    /// The folders below `root`, which is made when it is not there.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn open(root: &Path) -> Result<DirFolders, FolderError> {
        make(root)?;
        Ok(DirFolders { root: root.to_path_buf() })
    }

    /// Makes the folders of a partner.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn add_partner(&self, partner: &MerchantCode) -> Result<(), FolderError> {
        Tray::ALL.into_iter().try_for_each(|tray| make(&self.tray(partner, tray)))
    }

    /// The path of a partner's folder.
    #[must_use]
    pub fn tray(&self, partner: &MerchantCode, tray: Tray) -> PathBuf {
        self.root.join(partner.as_str()).join(tray.name())
    }

    /// The path of the bank's folder.
    #[must_use]
    pub fn bank_outbox(&self) -> PathBuf {
        self.root.join("bank").join("outbox")
    }
}

fn fault(what: &'static str, place: &Path) -> impl FnOnce(io::Error) -> FolderError {
    move |error| FolderError { what, place: place.display().to_string(), detail: error.to_string() }
}

fn make(folder: &Path) -> Result<(), FolderError> {
    fs::create_dir_all(folder).map_err(fault("cannot make folder", folder))
}

fn sync(folder: &Path) -> Result<(), FolderError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(fault("cannot sync folder", folder))
}

/// A name of one file in its folder, not a way to another place.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

fn names(folder: &Path) -> Result<Vec<String>, FolderError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fault("cannot list folder", folder)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(fault("cannot list folder", folder))?;
        names.extend(entry.file_name().into_string().ok().filter(|name| is_plain(name)));
    }
    names.sort_unstable();
    Ok(names)
}

fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
    make(folder)?;
    let (to, beside) = (folder.join(name), folder.join(format!(".{name}.part")));
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(fault("cannot write file", &beside))?;
    fs::rename(&beside, &to).map_err(fault("cannot rename to", &to))?;
    sync(folder)
}

/// A file, or of one longer than `len_max` no more than shows that it is.
fn read_up_to(path: &Path, len_max: usize) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let bound = u64::try_from(len_max).unwrap_or(u64::MAX).saturating_add(1);
    let len = file.metadata()?.len().min(bound);
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    // A partner may write on while we read.
    file.take(bound).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Folders for DirFolders {
    fn uploads(&self) -> Result<Vec<Upload>, FolderError> {
        let mut waiting = Vec::new();
        for folder in names(&self.root)? {
            let Ok(partner) = folder.parse() else { continue };
            let upload = self.tray(&partner, Tray::Upload);
            let files = names(&upload)?.into_iter().filter(|name| upload.join(name).is_file());
            waiting.extend(files.map(|name| Upload { partner, name }));
        }
        Ok(waiting)
    }

    fn read_upload(&self, partner: &MerchantCode, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        let path = self.tray(partner, Tray::Upload).join(name);
        if !is_plain(name) {
            return Ok(None);
        }
        match read_up_to(&path, FILE_LEN_MAX) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fault("cannot read file", &path)(error)),
        }
    }

    fn put_away(&self, partner: &MerchantCode, name: &str, to: Tray) -> Result<(), FolderError> {
        let (upload, folder) = (self.tray(partner, Tray::Upload), self.tray(partner, to));
        let from = upload.join(name);
        if !is_plain(name) || !from.is_file() {
            return Ok(());
        }
        make(&folder)?;
        let free =
            (0..SAME_NAME_MAX).map(|taken| folder.join(beside(name, taken))).find(|path| !path.exists());
        let Some(path) = free else {
            let detail = format!("{SAME_NAME_MAX} files of that name are there");
            return Err(FolderError {
                what: "cannot put away to",
                place: folder.display().to_string(),
                detail,
            });
        };
        fs::rename(&from, &path).map_err(fault("cannot move file", &from))?;
        sync(&folder)?;
        sync(&upload)
    }

    fn deliver(&self, partner: &MerchantCode, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        write_whole(&self.tray(partner, Tray::Download), name, bytes)
    }

    fn send_to_bank(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        write_whole(&self.bank_outbox(), name, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_of_a_file_is_read_than_shows_that_it_is_too_long() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("upload");
        for (len, read) in [(0, 0), (9, 9), (10, 10), (11, 11), (1 << 30, 11)] {
            File::create(&path).unwrap().set_len(len).unwrap();
            assert_eq!(read_up_to(&path, 10).unwrap().len(), read, "{len}");
        }
    }
}
