//! What opens a sealed file: the passphrases of operators, all of a slot together, or a machine's credential.

use super::{Hardness, SealError};
use argon2::{Algorithm, Argon2, Params, Version};
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use ykt_base::Rng;
use ykt_crypto::chain::hmac_sm3;
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// Shortest passphrase in characters.
pub const PASSPHRASE_LEN_MIN: usize = 8;
/// Longest name of an operator or machine in bytes.
pub const UNLOCK_NAME_LEN_MAX: usize = 64;
/// Most operators whose passphrases one slot wants together.
pub const SLOT_OPERATORS_MAX: usize = 8;
/// Length of a machine credential in bytes.
pub const CREDENTIAL_LEN: usize = 32;

/// One operator's part. No `Debug`, wiped when dropped.
#[derive(Clone)]
pub struct Operator {
    /// Name, in clear in the file; empty: whoever knows the passphrase.
    pub name: String,
    /// Passphrase.
    pub passphrase: Zeroizing<String>,
}

/// What opens a sealed file. No `Debug`, wiped when dropped.
#[derive(Clone)]
pub enum Unlock {
    /// The passphrases of these operators, all of them.
    Operators(Vec<Operator>),
    /// A machine's credential.
    Credential {
        /// Name of the machine, in clear in the file.
        name: String,
        /// Random bytes.
        secret: Zeroizing<[u8; CREDENTIAL_LEN]>,
    },
}

/// The secret parts wipe themselves.
impl ZeroizeOnDrop for Unlock {}

impl Unlock {
    /// One passphrase, whoever knows it.
    #[must_use]
    pub fn passphrase(passphrase: &str) -> Unlock {
        Unlock::operators([("", passphrase)])
    }

    /// The passphrases of named operators, who must all give theirs.
    #[must_use]
    pub fn operators<'a>(operators: impl IntoIterator<Item = (&'a str, &'a str)>) -> Unlock {
        let operator = |(name, passphrase): (&str, &str)| Operator {
            name: name.to_owned(),
            passphrase: Zeroizing::new(passphrase.to_owned()),
        };
        Unlock::Operators(operators.into_iter().map(operator).collect())
    }

    /// The credential in a file that only its owner may read.
    ///
    /// # Errors
    /// [`SealError::File`], [`SealError::CredentialMode`] or [`SealError::CredentialLength`].
    pub fn credential_file(path: &Path) -> Result<Unlock, SealError> {
        let failed = |source| SealError::File { path: path.to_owned(), source };
        let mut file = fs::File::open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o777;
            if mode & 0o077 != 0 {
                return Err(SealError::CredentialMode { path: path.to_owned(), mode });
            }
        }
        let len = usize::try_from(found.len()).unwrap_or(usize::MAX);
        if len != CREDENTIAL_LEN {
            return Err(SealError::CredentialLength { path: path.to_owned(), found: len });
        }
        let mut secret = Zeroizing::new([0; CREDENTIAL_LEN]);
        file.read_exact(&mut *secret).map_err(failed)?;
        Ok(Unlock::Credential { name: machine_name(path), secret })
    }

    /// Makes a new credential and keeps it in a new file that only its owner may read.
    ///
    /// # Errors
    /// [`SealError::File`], also when there is such a file already.
    pub fn new_credential_file(path: &Path, rng: &mut dyn Rng) -> Result<Unlock, SealError> {
        let mut secret = Zeroizing::new([0; CREDENTIAL_LEN]);
        rng.fill(&mut *secret);
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let write = || -> io::Result<()> {
            let mut file = options.open(path)?;
            file.write_all(&*secret)?;
            file.sync_all()
        };
        write().map_err(|source| SealError::File { path: path.to_owned(), source })?;
        Ok(Unlock::Credential { name: machine_name(path), secret })
    }

    /// Who unlocks: names in order, without passphrases.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = match self {
            Unlock::Operators(operators) => operators.iter().map(|operator| operator.name.clone()).collect(),
            Unlock::Credential { name, .. } => vec![name.clone()],
        };
        names.sort();
        names
    }

    /// Whether it may open a file from now on.
    pub(super) fn check(&self) -> Result<(), SealError> {
        let names = self.names();
        let long = names.iter().find(|name| name.len() > UNLOCK_NAME_LEN_MAX);
        let twice = names.windows(2).find(|pair| matches!(pair, [one, other] if one == other));
        if !(1..=SLOT_OPERATORS_MAX).contains(&names.len()) || long.is_some() || twice.is_some() {
            return Err(SealError::Operators { found: names });
        }
        if names.len() > 1 && names.iter().any(String::is_empty) {
            return Err(SealError::Operators { found: names });
        }
        match self {
            Unlock::Credential { .. } => Ok(()),
            Unlock::Operators(operators) => {
                let chars = |operator: &Operator| operator.passphrase.chars().count();
                match operators.iter().map(chars).min() {
                    Some(found) if found < PASSPHRASE_LEN_MIN => Err(SealError::ShortPassphrase { found }),
                    _ => Ok(()),
                }
            }
        }
    }

    /// The key of a slot: Argon2id over all passphrases in the order of the names, each after its length; or HMAC-SM3
    /// under the credential, which needs no stretching.
    pub(super) fn slot_key(&self, salt: &[u8], hardness: Hardness) -> Result<Zeroizing<[u8; 32]>, SealError> {
        match self {
            Unlock::Credential { secret, .. } => {
                Ok(hmac_sm3(secret, &[b"YKTVAULT machine credential", salt]))
            }
            Unlock::Operators(operators) => {
                let mut ordered: Vec<&Operator> = operators.iter().collect();
                ordered.sort_by(|one, other| one.name.cmp(&other.name));
                let part = |operator: &&Operator| operator.passphrase.len().saturating_add(8);
                let mut together = Zeroizing::new(Vec::with_capacity(ordered.iter().map(part).sum()));
                for operator in ordered {
                    let len = u64::try_from(operator.passphrase.len()).unwrap_or(u64::MAX);
                    together.extend_from_slice(&len.to_be_bytes());
                    together.extend_from_slice(operator.passphrase.as_bytes());
                }
                stretch(&together, salt, hardness)
            }
        }
    }
}

/// Argon2id.
pub(super) fn stretch(
    secret: &[u8],
    salt: &[u8],
    hardness: Hardness,
) -> Result<Zeroizing<[u8; 32]>, SealError> {
    hardness.check()?;
    let refused = |_| SealError::Hardness { found: hardness };
    let mut key = Zeroizing::new([0; 32]);
    let params = Params::new(hardness.memory_kib, hardness.rounds, hardness.lanes, Some(key.len()));
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.map_err(refused)?)
        .hash_password_into(secret, salt, &mut *key)
        .map_err(refused)?;
    Ok(key)
}

fn machine_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.chars().take(UNLOCK_NAME_LEN_MAX / 4).collect()
}
