//! The file an open vault lives in: what is written there, and how it gets there.

use super::contents;
use super::fields::Fields;
use super::slot::{FILE_KEY_LEN, FileKey, Slot};
use super::{CONTENTS_LEN_MAX, FORMAT, Hardness, MAGIC, NONCE_LEN, SLOTS_MAX, SealError, TAG_LEN, Unlock};
use super::{origin_code, origin_of};
use crate::kind::Origin;
use crate::levels::Levels;
use crate::soft::{Keys, SoftVault};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use std::fs::{self, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use ykt_base::Rng;
use ykt_crypto::chain::hmac_sm3;
use zeroize::Zeroizing;

/// magic8 format1 origin1: what the slots are bound to.
const BOUND_LEN: usize = 10;

/// How a file of format 2 is written: its slots, and the key all of them hold.
pub(super) struct Seal {
    origin: Origin,
    slots: Vec<Slot>,
    file_key: FileKey,
}

impl Seal {
    /// A new file key, with its first slot.
    pub(super) fn new(
        origin: Origin,
        unlock: &Unlock,
        hardness: Hardness,
        rng: &mut dyn Rng,
    ) -> Result<Seal, SealError> {
        let mut file_key = Zeroizing::new(vec![0; FILE_KEY_LEN]);
        rng.fill(&mut file_key);
        let slot = Slot::seal(&file_key, &bound(origin), unlock, hardness, rng)?;
        Ok(Seal { origin, slots: vec![slot], file_key })
    }

    /// The bytes of the file.
    pub(super) fn file(&self, levels: &Levels, keys: &Keys) -> Result<Vec<u8>, SealError> {
        let mut contents = contents::write(levels, keys);
        let too_large = SealError::TooLarge { found: contents.len() };
        let len = contents.len().saturating_add(TAG_LEN);
        let (Ok(len), ..=CONTENTS_LEN_MAX) = (u32::try_from(len), contents.len()) else {
            return Err(too_large);
        };
        let mut file = bound(self.origin).to_vec();
        file.push(u8::try_from(self.slots.len()).unwrap_or(u8::MAX));
        self.slots.iter().for_each(|slot| slot.write(&mut file));
        file.extend(len.to_be_bytes());
        let (cipher, nonce_key) = self.keys()?;
        let mut nonce = [0; NONCE_LEN];
        nonce
            .iter_mut()
            .zip(*hmac_sm3(&nonce_key, &[&file, &contents]))
            .for_each(|(byte, made)| *byte = made);
        file.extend_from_slice(&nonce);
        let done = cipher.encrypt_in_place(&Nonce::from(nonce), &file, &mut *contents);
        done.map_err(|_| too_large)?;
        file.extend_from_slice(&contents);
        Ok(file)
    }

    /// Reads a file of format 2.
    pub(super) fn open(file: &[u8], unlock: &Unlock) -> Result<(Seal, SoftVault), SealError> {
        let cut = || SealError::Length { expected: file.len().saturating_add(1), found: file.len() };
        let mut fields = Fields::new(file);
        let before = fields.slice(BOUND_LEN).ok_or_else(cut)?;
        let origin = origin_of(before.last().copied().unwrap_or_default())?;
        let count = usize::from(fields.byte().ok_or_else(cut)?);
        if !(1..=SLOTS_MAX).contains(&count) {
            return Err(SealError::Slots { at: fields.at() });
        }
        let mut slots = Vec::with_capacity(count);
        for _ in 0..count {
            let at = fields.at();
            slots.push(Slot::read(&mut fields).ok_or(SealError::Slots { at })?);
        }
        let len = fields.number().ok_or_else(cut)?;
        let nonce = fields.take::<NONCE_LEN>().ok_or_else(cut)?;
        let header = fields.since(0);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let expected = fields.at().saturating_add(len);
        let sealed = fields.slice(len).filter(|_| fields.is_at_end());
        let sealed = sealed.ok_or(SealError::Length { expected, found: file.len() })?;
        let fitting: Vec<_> = slots.iter().filter(|slot| slot.is_for(unlock)).collect();
        let mut file_key = None;
        for slot in &fitting {
            file_key = slot.open(before, unlock)?;
            if file_key.is_some() {
                break;
            }
        }
        let tried = fitting.len();
        let file_key = file_key.ok_or_else(|| SealError::Unlock { tried, slots: shown(&slots) })?;
        let seal = Seal { origin, slots, file_key };
        let mut contents = Zeroizing::new(sealed.to_vec());
        let (cipher, _) = seal.keys()?;
        cipher
            .decrypt_in_place(&Nonce::from(nonce), header, &mut *contents)
            .map_err(|_| SealError::Authentication)?;
        let vault = contents::read(&contents, origin, FORMAT).map_err(|at| SealError::Contents { at })?;
        Ok((seal, vault))
    }

    /// The same file key in other slots.
    fn with_slots(&self, slots: Vec<Slot>) -> Seal {
        Seal { origin: self.origin, slots, file_key: self.file_key.clone() }
    }

    fn keys(&self) -> Result<(Aes256Gcm, Zeroizing<[u8; 32]>), SealError> {
        let halves = self.file_key.split_first_chunk::<32>();
        let (enciphers, makes_nonces) = halves.ok_or(SealError::Authentication)?;
        let nonce_key = makes_nonces.try_into().map(Zeroizing::new).map_err(|_| SealError::Authentication)?;
        Ok((Aes256Gcm::new(enciphers.into()), nonce_key))
    }
}

fn bound(origin: Origin) -> [u8; BOUND_LEN] {
    let [a, b, c, d, e, f, g, h] = MAGIC;
    [a, b, c, d, e, f, g, h, FORMAT, origin_code(origin)]
}

/// Whose slots there are, in words.
fn shown(slots: &[Slot]) -> String {
    let one = |slot: &Slot| match (slot.is_credential(), slot.names()) {
        (true, [name]) => format!("the machine {name:?}"),
        (_, [name]) if name.is_empty() => "one passphrase".to_owned(),
        (_, names) => names.join(" with "),
    };
    slots.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Where an open vault lives.
pub(crate) struct Home {
    path: PathBuf,
    origin: Origin,
    /// `None`: a file of format 1, which is only read until somebody is given a slot of format 2.
    seal: Option<Seal>,
    /// The end of the file as we know it, a tag over all of it: another writer has another.
    seen: Vec<u8>,
}

impl Home {
    pub(super) fn new(path: &Path, origin: Origin, seal: Option<Seal>, file: &[u8]) -> Home {
        Home { path: path.to_owned(), origin, seal, seen: tag(file) }
    }

    /// Whether keys can be kept here at all; `Err` says what to do first.
    pub(crate) fn takes_changes(&self) -> Result<(), &'static str> {
        match self.seal {
            Some(_) => Ok(()),
            None => Err(
                "the vault's file is of format 1, which is only read: `ykt vault passphrase add` makes it one of \
                 format 2",
            ),
        }
    }

    /// Keeps these keys. When it fails the file is as it was.
    pub(crate) fn keep(&mut self, levels: &Levels, keys: &Keys) -> Result<(), SealError> {
        let Some(seal) = &self.seal else { return Ok(()) };
        let file = seal.file(levels, keys)?;
        self.replace(&file)
    }

    /// Gives one more group or machine the file key; who has the same names already gets the new one instead. A file of
    /// format 1 becomes one of format 2 that opens for nobody else.
    pub(super) fn add(
        &mut self,
        (levels, keys): (&Levels, &Keys),
        unlock: &Unlock,
        hardness: Hardness,
        rng: &mut dyn Rng,
    ) -> Result<(), SealError> {
        let Some(seal) = &self.seal else {
            let first = Seal::new(self.origin, unlock, hardness, rng)?;
            return self.with_seal(levels, keys, first);
        };
        let new = Slot::seal(&seal.file_key, &bound(seal.origin), unlock, hardness, rng)?;
        let is_other =
            |slot: &&Slot| (slot.is_credential(), slot.names()) != (new.is_credential(), new.names());
        let mut slots: Vec<_> = seal.slots.iter().filter(is_other).cloned().collect();
        slots.push(new);
        if slots.len() > SLOTS_MAX {
            return Err(SealError::SlotCount { found: slots.len() });
        }
        let next = seal.with_slots(slots);
        self.with_seal(levels, keys, next)
    }

    /// Takes a group's or machine's slot away; the last one stays.
    pub(super) fn remove(
        &mut self,
        (levels, keys): (&Levels, &Keys),
        names: &[String],
    ) -> Result<(), SealError> {
        let seal = self.seal.as_ref().ok_or(SealError::Format { found: super::FORMAT_1 })?;
        let slots: Vec<_> = seal.slots.iter().filter(|slot| slot.names() != names).cloned().collect();
        if slots.len() == seal.slots.len() {
            return Err(SealError::NoSuchSlot { found: names.join(" with "), slots: shown(&seal.slots) });
        }
        if slots.is_empty() {
            return Err(SealError::SlotCount { found: 0 });
        }
        let next = seal.with_slots(slots);
        self.with_seal(levels, keys, next)
    }

    /// Who can open the file, each group's names in order.
    pub(super) fn unlocks(&self) -> Vec<Vec<String>> {
        let slots = self.seal.iter().flat_map(|seal| &seal.slots);
        slots.map(|slot| slot.names().to_vec()).collect()
    }

    fn with_seal(&mut self, levels: &Levels, keys: &Keys, next: Seal) -> Result<(), SealError> {
        let file = next.file(levels, keys)?;
        self.replace(&file)?;
        self.seal = Some(next);
        Ok(())
    }

    /// Programs that share a file take turns, and each writes only over what it knows. The lock is on the file as it is:
    /// whoever still holds one on an earlier file finds another in its place.
    fn replace(&mut self, file: &[u8]) -> Result<(), SealError> {
        let failed = |source| SealError::File { path: self.path.clone(), source };
        let turn = fs::OpenOptions::new().read(true).write(true).open(&self.path).map_err(failed)?;
        match turn.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(SealError::Busy { path: self.path.clone() }),
            Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => {
                return Err(failed(error));
            }
            _ => {}
        }
        if tag(&fs::read(&self.path).map_err(failed)?) != self.seen {
            return Err(SealError::Changed { path: self.path.clone() });
        }
        replace_file(&self.path, file).map_err(failed)?;
        self.seen = tag(file);
        Ok(())
    }
}

fn tag(file: &[u8]) -> Vec<u8> {
    file.last_chunk::<TAG_LEN>().map(|tag| tag.to_vec()).unwrap_or_default()
}

/// Writes beside the file, makes it durable, and lets it take the file's place. When that fails nothing is left.
pub(super) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let replaced = write_file(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    if let Err(error) = replaced {
        // Half a file is worth nothing; the next one is written over it in any case.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => fs::File::open(".")?.sync_all(),
    }
}

/// Writes a file that only its owner may read, and makes it durable.
fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
