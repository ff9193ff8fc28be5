//! The sealed file: all keys of a software vault at rest.
//!
//! Format 2: a random file key seals the contents; each *unlock slot* seals the file key, under the passphrases of
//! operators who must come together, or under a machine's credential. Slots come and go without the others.
//!
//! magic8 format1 origin1 slots1 slot* len4 nonce12 || AES-256-GCM of the contents, everything before as associated
//! data. Every bit is covered by a check, and an error names the check that failed. The nonce is a MAC over header
//! and contents, so that one nonce never seals two contents, copies brought back from a backup included.
//!
//! Format 1 (releases 0.1 and 0.2): one passphrase is the key of the contents. Such files are read; keys are kept in
//! format 2 only. A file is written beside the old one and takes its place when it is whole on the disk.

mod contents;
mod fields;
mod home;
mod slot;
mod unlock;

pub(crate) use home::Home;
pub use unlock::{
    CREDENTIAL_LEN, Operator, PASSPHRASE_LEN_MIN, SLOT_OPERATORS_MAX, UNLOCK_NAME_LEN_MAX, Unlock,
};

use crate::kind::Origin;
use crate::soft::SoftVault;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use fields::Fields;
use home::Seal;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use ykt_base::Rng;
use zeroize::Zeroizing;

const MAGIC: [u8; 8] = *b"YKTVAULT";
const FORMAT: u8 = 2;
const FORMAT_1: u8 = 1;
const SALT_LEN: usize = 16;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
/// Header of format 1: magic8 format1 origin1 memory4 rounds4 lanes4 salt16 nonce12 len4.
const HEADER_1_LEN: usize = 8 + 1 + 1 + 12 + SALT_LEN + NONCE_LEN + 4;
/// Most unlock slots of a file.
pub const SLOTS_MAX: usize = 16;
/// Longest contents: more than 100,000 keys.
const CONTENTS_LEN_MAX: usize = 4 << 20;
/// Most memory the passphrase may cost: a file that states more is refused before it takes it.
const MEMORY_KIB_MAX: u32 = 256 << 10;
/// Most rounds and lanes.
const ROUNDS_MAX: u32 = 16;

/// What guessing one passphrase costs (Argon2id).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardness {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub rounds: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Hardness {
    /// 64 MiB, three passes: RFC 9106's second recommendation, with one lane.
    pub const STANDARD: Hardness = Hardness { memory_kib: 64 << 10, rounds: 3, lanes: 1 };
    /// Next to nothing: for tests.
    pub const TEST: Hardness = Hardness { memory_kib: 8, rounds: 1, lanes: 1 };
    /// Of credentials, which nobody can guess.
    const NONE: Hardness = Hardness { memory_kib: 0, rounds: 0, lanes: 0 };

    fn check(self) -> Result<(), SealError> {
        let Hardness { memory_kib, rounds, lanes } = self;
        let bounded = memory_kib <= MEMORY_KIB_MAX && rounds <= ROUNDS_MAX && lanes <= ROUNDS_MAX;
        if bounded { Ok(()) } else { Err(SealError::Hardness { found: self }) }
    }
}

/// Why a vault file cannot be opened or written. Each names the check that failed.
#[derive(Debug, Error)]
pub enum SealError {
    /// Reading or writing the file failed.
    #[error("vault file {path}: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Check "magic": it is no vault file.
    #[error("check of the magic failed: this is no vault file, it does not begin with \"YKTVAULT\"")]
    Magic,
    /// Check "format": made by another version.
    #[error(
        "check of the format failed: expected {FORMAT}, found {found}; open it with the program that wrote it, or \
             seal it anew"
    )]
    Format {
        /// Its format.
        found: u8,
    },
    /// Check "origin".
    #[error("check of the origin failed: expected 0 (demo) or 1 (production), found {found}")]
    Origin {
        /// Its byte.
        found: u8,
    },
    /// Check "hardness".
    #[error(
        "check of the hardness failed: expected at most {MEMORY_KIB_MAX} KiB and {ROUNDS_MAX} rounds and \
         lanes, found {found:?}"
    )]
    Hardness {
        /// What the file states.
        found: Hardness,
    },
    /// Check "length": cut off, or something behind it.
    #[error(
        "check of the length failed: expected {expected} bytes, found {found}; the file is cut off or longer"
    )]
    Length {
        /// Bytes the header states.
        expected: usize,
        /// Bytes there.
        found: usize,
    },
    /// Check "authentication": passphrase, header and contents.
    #[error(
        "check of the authentication (AES-256-GCM over header and contents) failed: the file was changed, or, \
         if it is of format 1, the passphrase is wrong"
    )]
    Authentication,
    /// Check "slots": a slot is none.
    #[error("check of the unlock slots failed at byte {at}: the file was changed")]
    Slots {
        /// Where in the file.
        at: usize,
    },
    /// Check "unlock": no slot opens.
    #[error(
        "check of the unlock failed: {tried} slots fit what was given and none opened, so passphrase or \
         credential are wrong or the file was changed; it opens for: {slots}"
    )]
    Unlock {
        /// Slots that were for the names given.
        tried: usize,
        /// Whose slots the file has.
        slots: String,
    },
    /// Check "contents": authentic, yet not readable.
    #[error("check of the contents failed at byte {at}: the file was sealed by a faulty program")]
    Contents {
        /// Where in the contents.
        at: usize,
    },
    /// The passphrase is too short to seal with.
    #[error("a passphrase has at least {PASSPHRASE_LEN_MIN} characters, found {found}")]
    ShortPassphrase {
        /// Its characters.
        found: usize,
    },
    /// Operators or machine of a slot cannot be.
    #[error(
        "a slot is for 1 to {SLOT_OPERATORS_MAX} operators with different names of at most \
         {UNLOCK_NAME_LEN_MAX} bytes, found {found:?}"
    )]
    Operators {
        /// The names.
        found: Vec<String>,
    },
    /// Too many slots, or none.
    #[error("a sealed file has 1 to {SLOTS_MAX} unlock slots, found {found}; the last one cannot be removed")]
    SlotCount {
        /// How many it would have.
        found: usize,
    },
    /// There is no slot to remove.
    #[error("no slot is for {found}; the file opens for: {slots}")]
    NoSuchSlot {
        /// Whose was asked for.
        found: String,
        /// Whose slots the file has.
        slots: String,
    },
    /// The vault has no file.
    #[error("this vault lives in no sealed file: seal it and open the file first")]
    NoFile,
    /// Another program wrote the file.
    #[error("vault file {path} was changed by another program since it was opened: open it again", path = path.display())]
    Changed {
        /// Which file.
        path: PathBuf,
    },
    /// Another program writes the file at this moment.
    #[error("vault file {path}: another program writes it at this moment; let one program change keys at a time", path = path.display())]
    Busy {
        /// Which file.
        path: PathBuf,
    },
    /// Others may read a credential.
    #[error(
        "credential {path}: mode {mode:04o} lets others read it; set it to 0600 and think about who did",
        path = path.display()
    )]
    CredentialMode {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is no credential.
    #[error("credential {path}: expected {CREDENTIAL_LEN} bytes, found {found}", path = path.display())]
    CredentialLength {
        /// Which file.
        path: PathBuf,
        /// Its length.
        found: usize,
    },
    /// Too many keys for one file.
    #[error("the vault is too large for one file: {found} bytes, at most {CONTENTS_LEN_MAX}")]
    TooLarge {
        /// Bytes of its contents.
        found: usize,
    },
}

impl SoftVault {
    /// Opens a sealed file. From then on each change of its keys is in the file before it is answered; a file of
    /// format 1 takes no changes until [`SoftVault::add_unlock`] has made it one of format 2.
    ///
    /// # Errors
    /// [`SealError`] naming the check that failed.
    pub fn open(path: &Path, unlock: &Unlock) -> Result<SoftVault, SealError> {
        let file = fs::read(path).map_err(|source| SealError::File { path: path.to_owned(), source })?;
        let (seal, vault) = open_bytes(&file, unlock)?;
        let home = Home::new(path, vault.origin(), seal, &file);
        Ok(vault.at_home(home))
    }

    /// Writes a sealed file with a file key of its own and one unlock slot, in place of one that is there. Only its
    /// owner may read it. The vault itself goes on living where it did: open the new file to work in it.
    ///
    /// # Errors
    /// [`SealError`]; an old file is then still as it was.
    pub fn seal(
        &self,
        path: &Path,
        unlock: &Unlock,
        hardness: Hardness,
        rng: &mut dyn Rng,
    ) -> Result<(), SealError> {
        let sealed = self.to_sealed(unlock, hardness, rng)?;
        home::replace_file(path, &sealed).map_err(|source| SealError::File { path: path.to_owned(), source })
    }

    /// The bytes of a sealed file.
    ///
    /// # Errors
    /// [`SealError`] when passphrases, names or hardness cannot be, or there are too many keys.
    pub fn to_sealed(
        &self,
        unlock: &Unlock,
        hardness: Hardness,
        rng: &mut dyn Rng,
    ) -> Result<Vec<u8>, SealError> {
        let seal = Seal::new(self.origin(), unlock, hardness, rng)?;
        self.with_keys(|levels, keys| seal.file(levels, keys))
    }

    /// Opens the bytes of a sealed file. Such a vault lives in memory only.
    ///
    /// # Errors
    /// [`SealError`] naming the check that failed.
    pub fn from_sealed(file: &[u8], unlock: &Unlock) -> Result<SoftVault, SealError> {
        open_bytes(file, unlock).map(|(_, vault)| vault)
    }

    /// Lets these operators, or this machine, open the vault's file from now on; who has the same names gets the new
    /// passphrases instead of the old ones. A file of format 1 becomes one of format 2 that opens for nobody else.
    ///
    /// # Errors
    /// [`SealError`]; the file is then as it was.
    pub fn add_unlock(
        &self,
        unlock: &Unlock,
        hardness: Hardness,
        rng: &mut dyn Rng,
    ) -> Result<(), SealError> {
        self.with_home(|home, kept| home.add(kept, unlock, hardness, rng))
    }

    /// Takes the slot of these names away. Who could open it keeps what an old copy of the file holds: seal the vault
    /// anew, under a new file key, when that matters.
    ///
    /// # Errors
    /// [`SealError::NoSuchSlot`], [`SealError::SlotCount`] for the last slot, or the file cannot be written.
    pub fn remove_unlock(&self, names: &[&str]) -> Result<(), SealError> {
        let mut names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        names.sort();
        self.with_home(|home, kept| home.remove(kept, &names))
    }

    /// Who can open the vault's file: the names of each slot.
    ///
    /// # Errors
    /// [`SealError::NoFile`].
    pub fn unlocks(&self) -> Result<Vec<Vec<String>>, SealError> {
        self.with_home(|home, _| Ok(home.unlocks()))
    }
}

fn open_bytes(file: &[u8], unlock: &Unlock) -> Result<(Option<Seal>, SoftVault), SealError> {
    if file.get(..MAGIC.len()).is_some_and(|magic| magic != MAGIC) {
        return Err(SealError::Magic);
    }
    match file.get(MAGIC.len()) {
        Some(&FORMAT_1) => open_format_1(file, unlock).map(|vault| (None, vault)),
        Some(&FORMAT) => Seal::open(file, unlock).map(|(seal, vault)| (Some(seal), vault)),
        Some(&found) => Err(SealError::Format { found }),
        None => Err(SealError::Length { expected: HEADER_1_LEN, found: file.len() }),
    }
}

/// A file of releases 0.1 and 0.2.
fn open_format_1(file: &[u8], unlock: &Unlock) -> Result<SoftVault, SealError> {
    let cut = || SealError::Length { expected: HEADER_1_LEN, found: file.len() };
    let (header, sealed) = file.split_at_checked(HEADER_1_LEN).ok_or_else(cut)?;
    let mut fields = Fields::new(header);
    fields.slice(MAGIC.len().saturating_add(1)).ok_or_else(cut)?;
    let origin = origin_of(fields.byte().ok_or_else(cut)?)?;
    let mut number = || fields.number().ok_or_else(cut);
    let hardness = Hardness { memory_kib: number()?, rounds: number()?, lanes: number()? };
    let salt: [u8; SALT_LEN] = fields.take().ok_or_else(cut)?;
    let nonce: [u8; NONCE_LEN] = fields.take().ok_or_else(cut)?;
    let len = usize::try_from(fields.number().ok_or_else(cut)?).unwrap_or(usize::MAX);
    hardness.check()?;
    if sealed.len() != len {
        return Err(SealError::Length { expected: HEADER_1_LEN.saturating_add(len), found: file.len() });
    }
    let Unlock::Operators(operators) = unlock else {
        return Err(SealError::Unlock { tried: 0, slots: "one passphrase".to_owned() });
    };
    let [operator] = operators.as_slice() else {
        return Err(SealError::Unlock { tried: 0, slots: "one passphrase".to_owned() });
    };
    let key = unlock::stretch(operator.passphrase.as_bytes(), &salt, hardness)?;
    let mut contents = Zeroizing::new(sealed.to_vec());
    Aes256Gcm::new((&*key).into())
        .decrypt_in_place(&Nonce::from(nonce), header, &mut *contents)
        .map_err(|_| SealError::Authentication)?;
    contents::read(&contents, origin, FORMAT_1).map_err(|at| SealError::Contents { at })
}

fn origin_code(origin: Origin) -> u8 {
    match origin {
        Origin::Demo => 0,
        Origin::Production => 1,
    }
}

fn origin_of(code: u8) -> Result<Origin, SealError> {
    let known = [Origin::Demo, Origin::Production].into_iter().find(|known| origin_code(*known) == code);
    known.ok_or(SealError::Origin { found: code })
}
