//! Folders in memory, for cities that are simulated.

use super::{FolderError, Folders, Tray, Upload, beside};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use ykt_base::MerchantCode;

/// Files by partner, folder and name; the bank's by name.
#[derive(Debug, Default)]
pub struct MemoryFolders {
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    partners: BTreeMap<(MerchantCode, Tray, String), Vec<u8>>,
    bank: BTreeMap<String, Vec<u8>>,
}

impl MemoryFolders {
    /// Empty folders.
    #[must_use]
    pub fn new() -> MemoryFolders {
        MemoryFolders::default()
    }

    /// A partner puts a file into its `upload`, in place of one of the same name.
    pub fn upload(&self, partner: MerchantCode, name: &str, bytes: Vec<u8>) {
        self.files().partners.insert((partner, Tray::Upload, name.to_owned()), bytes);
    }

    /// The files of a partner's folder, by name.
    #[must_use]
    pub fn list(&self, partner: &MerchantCode, tray: Tray) -> Vec<(String, Vec<u8>)> {
        let files = self.files();
        let of_tray = files.partners.iter().filter(|((p, t, _), _)| p == partner && *t == tray);
        of_tray.map(|((_, _, name), bytes)| (name.clone(), bytes.clone())).collect()
    }

    /// The files of the bank's `outbox`, by name.
    #[must_use]
    pub fn bank_outbox(&self) -> Vec<(String, Vec<u8>)> {
        self.files().bank.iter().map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Folders for MemoryFolders {
    fn uploads(&self) -> Result<Vec<Upload>, FolderError> {
        let files = self.files();
        let waiting = files.partners.keys().filter(|(_, tray, _)| *tray == Tray::Upload);
        Ok(waiting.map(|(partner, _, name)| Upload { partner: *partner, name: name.clone() }).collect())
    }

    fn read_upload(&self, partner: &MerchantCode, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        Ok(self.files().partners.get(&(*partner, Tray::Upload, name.to_owned())).cloned())
    }

    fn put_away(&self, partner: &MerchantCode, name: &str, to: Tray) -> Result<(), FolderError> {
        let mut files = self.files();
        if let Some(bytes) = files.partners.remove(&(*partner, Tray::Upload, name.to_owned())) {
            let key = (0u32..).map(|taken| (*partner, to, beside(name, taken)));
            let free = key.into_iter().find(|key| !files.partners.contains_key(key));
            files.partners.extend(free.map(|key| (key, bytes)));
        }
        Ok(())
    }

    fn deliver(&self, partner: &MerchantCode, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        self.files().partners.insert((*partner, Tray::Download, name.to_owned()), bytes.to_vec());
        Ok(())
    }

    fn send_to_bank(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        self.files().bank.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }
}
