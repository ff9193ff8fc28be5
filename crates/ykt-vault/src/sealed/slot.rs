//! An unlock slot: the file key, sealed under what one group of operators or one machine knows.
//!
//! kind1 memory4 rounds4 lanes4 salt16 nonce12 names1 (length1 text)* || AES-256-GCM of the file key, with magic,
//! format, origin and the fields of the slot before it as associated data.

use super::fields::{Fields, push_text};
use super::unlock::SLOT_OPERATORS_MAX;
use super::{Hardness, NONCE_LEN, SALT_LEN, SealError, TAG_LEN, Unlock};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use ykt_base::Rng;
use zeroize::Zeroizing;

/// Half of the file key enciphers, the other half makes nonces.
pub(super) const FILE_KEY_LEN: usize = 64;
const SEALED_LEN: usize = FILE_KEY_LEN + TAG_LEN;

const OPERATORS: u8 = 1;
const CREDENTIAL: u8 = 2;

/// Of a file that is open. On the heap and never moved, so that it is wiped where it stood.
pub(super) type FileKey = Zeroizing<Vec<u8>>;

/// One slot, as it stands in the file.
#[derive(Clone)]
pub(super) struct Slot {
    kind: u8,
    hardness: Hardness,
    salt: [u8; SALT_LEN],
    names: Vec<String>,
    bytes: Vec<u8>,
    nonce: [u8; NONCE_LEN],
    sealed: [u8; SEALED_LEN],
}

impl Slot {
    /// Seals the file key. `before` are magic, format and origin.
    pub(super) fn seal(
        file_key: &FileKey,
        before: &[u8],
        unlock: &Unlock,
        hardness: Hardness,
        rng: &mut dyn Rng,
    ) -> Result<Slot, SealError> {
        unlock.check()?;
        let (kind, hardness) = match unlock {
            Unlock::Operators(_) => (OPERATORS, hardness),
            Unlock::Credential { .. } => (CREDENTIAL, Hardness::NONE),
        };
        let (mut salt, mut nonce) = ([0; SALT_LEN], [0; NONCE_LEN]);
        rng.fill(&mut salt);
        rng.fill(&mut nonce);
        let names = unlock.names();
        let mut bytes = vec![kind];
        [hardness.memory_kib, hardness.rounds, hardness.lanes]
            .iter()
            .for_each(|number| bytes.extend(number.to_be_bytes()));
        bytes.extend(salt);
        bytes.extend(nonce);
        bytes.push(u8::try_from(names.len()).unwrap_or(u8::MAX));
        names.iter().for_each(|name| push_text(&mut bytes, name));
        let key = unlock.slot_key(&salt, hardness)?;
        let mut sealed = Zeroizing::new(Vec::with_capacity(SEALED_LEN));
        sealed.extend_from_slice(file_key);
        let whole = [before, &bytes].concat();
        let done = Aes256Gcm::new((&*key).into()).encrypt_in_place(&Nonce::from(nonce), &whole, &mut *sealed);
        let sealed = sealed.as_slice().try_into();
        let (Ok(()), Ok(sealed)) = (done, sealed) else {
            return Err(SealError::TooLarge { found: FILE_KEY_LEN });
        };
        Ok(Slot { kind, hardness, salt, names, bytes, nonce, sealed })
    }

    /// Reads one slot.
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Slot> {
        let from = fields.at();
        let kind = fields.byte().filter(|kind| [OPERATORS, CREDENTIAL].contains(kind))?;
        let hardness =
            Hardness { memory_kib: fields.number()?, rounds: fields.number()?, lanes: fields.number()? };
        let (salt, nonce) = (fields.take()?, fields.take()?);
        let count =
            fields.byte().map(usize::from).filter(|count| (1..=SLOT_OPERATORS_MAX).contains(count))?;
        let names = (0..count).map(|_| fields.text().map(str::to_owned)).collect::<Option<_>>()?;
        let bytes = fields.since(from).to_vec();
        Some(Slot { kind, hardness, salt, names, bytes, nonce, sealed: fields.take()? })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes);
        out.extend_from_slice(&self.sealed);
    }

    /// Whose it is.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) const fn is_credential(&self) -> bool {
        self.kind == CREDENTIAL
    }

    /// Whether `unlock` is of the sort that opens it: these operators, one of whom nobody knows the name, or any
    /// credential.
    pub(super) fn is_for(&self, unlock: &Unlock) -> bool {
        let names = unlock.names();
        match unlock {
            Unlock::Credential { .. } => self.is_credential(),
            Unlock::Operators(_) if self.is_credential() => false,
            Unlock::Operators(_) if names.len() == 1 && names.iter().all(String::is_empty) => {
                self.names.len() == 1
            }
            Unlock::Operators(_) => self.names == names,
        }
    }

    /// The file key; `None` when the passphrases or the credential are other ones, or the slot was changed.
    pub(super) fn open(&self, before: &[u8], unlock: &Unlock) -> Result<Option<FileKey>, SealError> {
        self.hardness.check()?;
        let key = unlock.slot_key(&self.salt, self.hardness)?;
        let mut opened = Zeroizing::new(self.sealed.to_vec());
        let whole = [before, &self.bytes].concat();
        let cipher = Aes256Gcm::new((&*key).into());
        let done = cipher.decrypt_in_place(&Nonce::from(self.nonce), &whole, &mut *opened);
        Ok(done.is_ok().then_some(opened))
    }
}
