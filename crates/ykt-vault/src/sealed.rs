//! The sealed file: all keys under one passphrase.
//!
//! Header (magic, format, origin, hardness of the passphrase, salt, nonce, length) || AES-256-GCM over the contents,
//! with the header as associated data; the key comes from the passphrase by Argon2id. Every bit of the file is
//! covered by a check, and an error names the check that failed. The file is written beside the old one and takes
//! its place only when it is whole on the disk.

use crate::kind::{KeyKind, KeyState, Origin};
use crate::levels::{Factor, LEVELS_MAX, Level, Levels};
use crate::manage::KeyPlace;
use crate::soft::{Keys, SoftVault};
use crate::table::Entry;
use crate::value::{KeyAlgorithm, KeyValue};
use crate::vault::{KeyRef, Vault};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use argon2::{Algorithm, Argon2, Params, Version};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use ykt_base::{IssuerFactor, Rng};
use zeroize::Zeroizing;

const MAGIC: [u8; 8] = *b"YKTVAULT";
const FORMAT: u8 = 1;
const SALT_LEN: usize = 16;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
const HEADER_LEN: usize = 8 + 1 + 1 + 12 + SALT_LEN + NONCE_LEN + 4;
/// Longest contents: more than 100,000 keys.
const CONTENTS_LEN_MAX: usize = 4 << 20;
/// Shortest passphrase in characters.
pub const PASSPHRASE_LEN_MIN: usize = 8;
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
    #[error("check of the format failed: expected {FORMAT}, found {found}; use the version that wrote it")]
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
        "check of the authentication (AES-256-GCM over header and contents) failed: the passphrase is wrong \
         or the file was changed"
    )]
    Authentication,
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
    /// Too many keys for one file.
    #[error("the vault is too large for one file: {found} bytes, at most {CONTENTS_LEN_MAX}")]
    TooLarge {
        /// Bytes of its contents.
        found: usize,
    },
}

/// What opens a sealed file. No `Debug`, wiped when dropped.
#[derive(Clone)]
pub enum Unlock {
    /// One passphrase.
    Passphrase(Zeroizing<String>),
}

impl Unlock {
    /// One passphrase, of an operator without a name.
    #[must_use]
    pub fn passphrase(passphrase: &str) -> Unlock {
        Unlock::Passphrase(Zeroizing::new(passphrase.to_owned()))
    }

    fn as_passphrase(&self) -> &str {
        match self {
            Unlock::Passphrase(passphrase) => passphrase,
        }
    }
}

impl SoftVault {
    /// Opens a sealed file.
    ///
    /// # Errors
    /// [`SealError`] naming the check that failed.
    pub fn open(path: &Path, unlock: &Unlock) -> Result<SoftVault, SealError> {
        let bytes = fs::read(path).map_err(|source| SealError::File { path: path.to_owned(), source })?;
        SoftVault::from_sealed(&bytes, unlock)
    }

    /// Writes a sealed file, in place of one that is there. Only its owner may read it.
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
        replace_file(path, &sealed).map_err(|source| SealError::File { path: path.to_owned(), source })
    }

    /// The bytes of a sealed file.
    ///
    /// # Errors
    /// [`SealError::ShortPassphrase`], [`SealError::Hardness`] or [`SealError::TooLarge`].
    pub fn to_sealed(
        &self,
        unlock: &Unlock,
        hardness: Hardness,
        rng: &mut dyn Rng,
    ) -> Result<Vec<u8>, SealError> {
        let passphrase = unlock.as_passphrase();
        let found = passphrase.chars().count();
        if found < PASSPHRASE_LEN_MIN {
            return Err(SealError::ShortPassphrase { found });
        }
        let mut contents = write_contents(self);
        let len = contents.len().saturating_add(TAG_LEN);
        let (Ok(len), ..=CONTENTS_LEN_MAX) = (u32::try_from(len), contents.len()) else {
            return Err(SealError::TooLarge { found: contents.len() });
        };
        let (mut salt, mut nonce) = ([0; SALT_LEN], [0; NONCE_LEN]);
        rng.fill(&mut salt);
        rng.fill(&mut nonce);
        let key = file_key(passphrase, &salt, hardness)?;
        let mut file = Vec::with_capacity(HEADER_LEN.saturating_add(contents.len()).saturating_add(TAG_LEN));
        file.extend(MAGIC);
        file.extend([FORMAT, origin_code(self.origin())]);
        [hardness.memory_kib, hardness.rounds, hardness.lanes]
            .iter()
            .for_each(|number| file.extend(number.to_be_bytes()));
        file.extend(salt);
        file.extend(nonce);
        file.extend(len.to_be_bytes());
        let cipher = Aes256Gcm::new((&*key).into());
        let nonce = Nonce::from(nonce);
        cipher
            .encrypt_in_place(&nonce, &file, &mut *contents)
            .map_err(|_| SealError::TooLarge { found: CONTENTS_LEN_MAX })?;
        file.extend_from_slice(&contents);
        Ok(file)
    }

    /// Opens the bytes of a sealed file.
    ///
    /// # Errors
    /// [`SealError`] naming the check that failed.
    pub fn from_sealed(file: &[u8], unlock: &Unlock) -> Result<SoftVault, SealError> {
        let cut = SealError::Length { expected: HEADER_LEN, found: file.len() };
        if file.get(..MAGIC.len()).is_some_and(|magic| magic != MAGIC) {
            return Err(SealError::Magic);
        }
        let Some((header, sealed)) = file.split_at_checked(HEADER_LEN) else { return Err(cut) };
        let mut fields = Fields { bytes: header, at: MAGIC.len() };
        let mut next = || fields.byte().ok_or(SealError::Magic);
        let (format, origin) = (next()?, next()?);
        if format != FORMAT {
            return Err(SealError::Format { found: format });
        }
        let origin = [Origin::Demo, Origin::Production]
            .into_iter()
            .find(|known| origin_code(*known) == origin)
            .ok_or(SealError::Origin { found: origin })?;
        let fields = header_fields(&mut fields).ok_or(cut)?;
        let HeaderFields { hardness, salt, nonce, len } = fields;
        hardness.check()?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if sealed.len() != len {
            let expected = HEADER_LEN.saturating_add(len);
            return Err(SealError::Length { expected, found: file.len() });
        }
        let key = file_key(unlock.as_passphrase(), &salt, hardness)?;
        let mut contents = Zeroizing::new(sealed.to_vec());
        Aes256Gcm::new((&*key).into())
            .decrypt_in_place(&Nonce::from(nonce), header, &mut *contents)
            .map_err(|_| SealError::Authentication)?;
        let mut fields = Fields { bytes: &contents, at: 0 };
        read_contents(&mut fields, origin).ok_or(SealError::Contents { at: fields.at })
    }
}

impl Hardness {
    fn check(self) -> Result<(), SealError> {
        let Hardness { memory_kib, rounds, lanes } = self;
        let bounded = memory_kib <= MEMORY_KIB_MAX && rounds <= ROUNDS_MAX && lanes <= ROUNDS_MAX;
        if bounded { Ok(()) } else { Err(SealError::Hardness { found: self }) }
    }
}

fn file_key(
    passphrase: &str,
    salt: &[u8; SALT_LEN],
    hardness: Hardness,
) -> Result<Zeroizing<[u8; 32]>, SealError> {
    hardness.check()?;
    let refused = |_| SealError::Hardness { found: hardness };
    let mut key = Zeroizing::new([0; 32]);
    let params = Params::new(hardness.memory_kib, hardness.rounds, hardness.lanes, Some(key.len()));
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.map_err(refused)?)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .map_err(refused)?;
    Ok(key)
}

fn origin_code(origin: Origin) -> u8 {
    match origin {
        Origin::Demo => 0,
        Origin::Production => 1,
    }
}

/// Writes beside the file, makes it durable, and lets it take the file's place.
fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => fs::File::open(".")?.sync_all(),
    }
}

/// Reads fields in order and knows where it is.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let field = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(field)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.slice(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }
}

struct HeaderFields {
    hardness: Hardness,
    salt: [u8; SALT_LEN],
    nonce: [u8; NONCE_LEN],
    len: u32,
}

fn header_fields(fields: &mut Fields<'_>) -> Option<HeaderFields> {
    let mut number = || fields.take().map(u32::from_be_bytes);
    let hardness = Hardness { memory_kib: number()?, rounds: number()?, lanes: number()? };
    let (salt, nonce) = (fields.take()?, fields.take()?);
    Some(HeaderFields { hardness, salt, nonce, len: fields.take().map(u32::from_be_bytes)? })
}

/// Contents: levels, each name length1 name factor1 [factor8]; then keys of 30 bytes each.
fn write_contents(vault: &SoftVault) -> Zeroizing<Vec<u8>> {
    let (levels, keys) = (vault.status().levels, vault.keys());
    let len_max = keys.iter().count().saturating_add(LEVELS_MAX).saturating_mul(64);
    let mut out = Zeroizing::new(Vec::with_capacity(len_max));
    out.push(levels.card().saturating_add(1));
    for level in levels.as_slice() {
        out.push(u8::try_from(level.name.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(level.name.as_bytes());
        match level.factor {
            Factor::Root => out.push(0),
            Factor::Fixed(factor) => {
                out.push(1);
                out.extend_from_slice(&factor.0);
            }
            Factor::Issuer => out.push(2),
            Factor::Card => out.push(3),
        }
    }
    for stored in keys.iter() {
        let Entry { place: KeyPlace { key, level, owner }, state, algorithm, value, .. } = stored;
        out.extend_from_slice(&[key.kind.code(), key.index.0, key.version.0, *level, state.code()]);
        out.extend_from_slice(&[algorithm.code(), u8::from(owner.is_some())]);
        out.extend_from_slice(&owner.unwrap_or_default());
        if let Some(value) = value {
            out.extend_from_slice(&value.expose());
        }
    }
    out
}

fn read_contents(fields: &mut Fields<'_>, origin: Origin) -> Option<SoftVault> {
    let count = fields.byte()?;
    let mut levels = Vec::with_capacity(LEVELS_MAX);
    for _ in 0..count {
        let len = usize::from(fields.byte()?);
        let name = core::str::from_utf8(fields.slice(len)?).ok()?.to_owned();
        let factor = match fields.byte()? {
            0 => Factor::Root,
            1 => Factor::Fixed(IssuerFactor(fields.take()?)),
            2 => Factor::Issuer,
            3 => Factor::Card,
            _ => return None,
        };
        levels.push(Level { name, factor });
    }
    let mut keys = Keys::default();
    while fields.at < fields.bytes.len() {
        let [kind, index, version, level, state, algorithm, owned] = fields.take()?;
        let owner: [u8; 8] = fields.take()?;
        let key = KeyRef::new(KeyKind::from_code(kind)?, index, version);
        let place = KeyPlace { key, level, owner: (owned == 1).then_some(owner) };
        let state = KeyState::ALL.into_iter().find(|known| known.code() == state)?;
        let algorithm = KeyAlgorithm::from_code(algorithm)?;
        let value = match state {
            KeyState::Destroyed => None,
            _ => Some(KeyValue::from_bytes(algorithm, fields.slice(algorithm.value_len())?)?),
        };
        let kcv = value.as_ref().map_or([0; 3], KeyValue::kcv);
        keys.restore(Entry { place, algorithm, state, kcv, value: value.map(Arc::new) });
    }
    Some(SoftVault::of_keys(Levels::new(levels).ok()?, origin, keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up: never the same bytes twice.
    struct Counting(u8);

    impl Rng for Counting {
        fn fill(&mut self, out: &mut [u8]) {
            out.iter_mut().for_each(|byte| {
                self.0 = self.0.wrapping_add(1);
                *byte = self.0;
            });
        }
    }

    fn unlock() -> Unlock {
        Unlock::passphrase("eight characters")
    }

    fn vault() -> SoftVault {
        let province = IssuerFactor([0x31, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
        let levels = Levels::nation_province_city_card(province);
        SoftVault::generate(levels, &mut Counting(0), Origin::Demo)
    }

    #[test]
    fn comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.vault");
        let before = vault();
        before.seal(&path, &unlock(), Hardness::TEST, &mut Counting(9)).unwrap();
        before.seal(&path, &unlock(), Hardness::TEST, &mut Counting(99)).unwrap();
        let after = SoftVault::open(&path, &unlock()).unwrap();
        assert_eq!(after.list().unwrap(), before.list().unwrap());
        assert_eq!(after.status(), before.status());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn two_sealings_differ() {
        let mut rng = Counting(0);
        let [one, two] = [(); 2].map(|()| vault().to_sealed(&unlock(), Hardness::TEST, &mut rng).unwrap());
        assert_ne!(one, two);
        assert!(!one.windows(16).any(|bytes| bytes == b"YIKATONG-BLANK-1"), "no key in clear");
    }

    /// Every single bit of the file: the change is found, and the check that found it is the one of its field.
    #[test]
    fn every_changed_bit_is_found() {
        let levels = Levels::nation_city_card();
        let small = SoftVault::empty(levels, Origin::Demo);
        let good = small.to_sealed(&unlock(), Hardness::TEST, &mut Counting(0)).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let error = SoftVault::from_sealed(&bad, &unlock()).err().map(|error| error.to_string());
            let error = error.unwrap_or_else(|| panic!("bit {bit} was not found"));
            let checks: &[&str] = match bit / 8 {
                0..8 => &["magic"],
                8 => &["format"],
                9 => &["origin", "authentication"],
                10..22 => &["hardness", "authentication"],
                22..50 => &["authentication"],
                50..54 => &["length"],
                _ => &["authentication"],
            };
            let named = checks.iter().any(|check| error.starts_with(&format!("check of the {check}")));
            assert!(named, "bit {bit}: {error}");
        }
    }

    #[test]
    fn cut_files_and_wrong_passphrases_are_refused() {
        let good = vault().to_sealed(&unlock(), Hardness::TEST, &mut Counting(0)).unwrap();
        for len in 0..good.len() {
            let error = SoftVault::from_sealed(&good[..len], &unlock()).err().unwrap();
            assert!(matches!(error, SealError::Length { .. }), "{len} bytes: {error}");
        }
        let longer = [&good[..], &[0]].concat();
        assert!(matches!(SoftVault::from_sealed(&longer, &unlock()), Err(SealError::Length { .. })));
        assert!(matches!(
            SoftVault::from_sealed(&good, &Unlock::passphrase("another one")),
            Err(SealError::Authentication)
        ));
        let short = vault().to_sealed(&Unlock::passphrase("seven c"), Hardness::TEST, &mut Counting(0));
        assert!(matches!(short, Err(SealError::ShortPassphrase { found: 7 })));
        let hard = Hardness { memory_kib: u32::MAX, ..Hardness::TEST };
        assert!(matches!(
            vault().to_sealed(&unlock(), hard, &mut Counting(0)),
            Err(SealError::Hardness { .. })
        ));
        let missing = SoftVault::open(Path::new("/nonexistent/keys.vault"), &unlock()).err().unwrap();
        assert!(missing.to_string().contains("/nonexistent/keys.vault"));
    }
}
