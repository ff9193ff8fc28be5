//! Signed checkpoints: every thousand records and at the end of each day somebody who holds a key says with it how
//! many records there are and which link the last of them has. Whoever rewrites the log after that, however well,
//! must forge an SM2 signature.
//!
//! The message is a few lines of text and the signature is the usual one (SM3, signer id 1234567812345678), so any
//! program that knows SM2 can check it; `docs/keys.md` does it with OpenSSL.

use super::{AuditRow, store};
use std::fmt;
use thiserror::Error;
use ykt_base::hex::Hex;
use ykt_base::{DateTime, Rng};
use ykt_crypto::chain::{self, Hash32};
use ykt_crypto::sm2::{PUBLIC_KEY_LEN, PublicKey, Signature, SignerId};
use ykt_store::{Store, StoreError, Tx};

/// A checkpoint is due after so many records without one.
pub const CHECKPOINT_RECORDS: u64 = 1_000;

/// Who signs checkpoints: the signing pair of a vault, behind an adapter of a higher floor.
pub trait CheckpointSigner {
    /// Its public key.
    fn public_key(&self) -> PublicKey;

    /// Signs `message` under the signer id 1234567812345678.
    ///
    /// # Errors
    /// [`SignerGone`] when the vault does not answer, or the pair may not sign.
    fn sign(&self, message: &[u8], rng: &mut dyn Rng) -> Result<Signature, SignerGone>;
}

/// The signer did not sign.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the checkpoint was not signed: {0}")]
pub struct SignerGone(pub String);

/// Why no checkpoint was made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signer did not sign.
    #[error(transparent)]
    Signer(#[from] SignerGone),
}

/// A checkpoint: so many records there were, and this was the link of the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its number, from 1 without gaps.
    pub no: u32,
    /// Records it covers, from the first.
    pub records: u64,
    /// When it was made.
    pub at: DateTime,
    /// The link of the last record it covers.
    pub link: Hash32,
    /// Who signed it: 04 || x || y, as it was found.
    pub public_key: [u8; PUBLIC_KEY_LEN],
    /// The signature over [`Checkpoint::message`].
    pub signature: Signature,
}

impl Checkpoint {
    /// What is signed, a text of five lines.
    #[must_use]
    pub fn message(&self) -> String {
        message(self.no, self.records, self.at, &self.link)
    }

    /// Whether the signature is that of its key over its message.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        PublicKey::from_bytes(self.public_key)
            .is_some_and(|key| key.verify(SignerId::DEFAULT, &[self.message().as_bytes()], &self.signature))
    }

    /// The fingerprint of its key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.public_key)
    }
}

fn message(no: u32, records: u64, at: DateTime, link: &Hash32) -> String {
    format!("yikatong audit checkpoint\nno {no}\nrecords {records}\nat {at}\nlink {link}\n")
}

/// The fingerprint of a public key: SM3 over 04 || x || y. It is short enough to be written down and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(pub(super) Hash32);

impl Fingerprint {
    /// The fingerprint of a key.
    #[must_use]
    pub fn of(key: &[u8; PUBLIC_KEY_LEN]) -> Fingerprint {
        Fingerprint(chain::sm3(&[key]))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(self.0.as_bytes()), f)
    }
}

/// Whether a checkpoint is due: [`CHECKPOINT_RECORDS`] records without one, or a day that has ended without one.
///
/// # Errors
/// [`StoreError`].
pub fn is_due(tx: &Tx, now: DateTime) -> Result<bool, StoreError> {
    let covered = store::last_checkpoint(tx)?.map_or(0, |last| last.records);
    let Some(head) = store::head(tx)? else { return Ok(false) };
    if head.seq.saturating_sub(covered) >= CHECKPOINT_RECORDS {
        return Ok(true);
    }
    let first = store::record(tx, covered.saturating_add(1))?;
    Ok(first.is_some_and(|record: AuditRow| record.at.date < now.date))
}

/// Signs a checkpoint over all records there are. When the last one covers them already, that one is answered; on an
/// empty log there is nothing to sign. The signature is made outside the transaction, so that nobody waits for the
/// vault.
///
/// # Errors
/// [`CheckpointError`].
pub fn make(
    store: &Store,
    signer: &dyn CheckpointSigner,
    now: DateTime,
    rng: &mut dyn Rng,
) -> Result<Option<Checkpoint>, CheckpointError> {
    let (head, last) =
        store.read(|tx| Ok::<_, StoreError>((store::head(tx)?, store::last_checkpoint(tx)?)))?;
    let Some(head) = head else { return Ok(None) };
    if last.as_ref().is_some_and(|last| last.records >= head.seq) {
        return Ok(last);
    }
    let no = last.map_or(0, |last| last.no).saturating_add(1);
    let signature = signer.sign(message(no, head.seq, now, &head.link).as_bytes(), rng)?;
    let made = Checkpoint {
        no,
        records: head.seq,
        at: now,
        link: head.link,
        public_key: *signer.public_key().as_bytes(),
        signature,
    };
    store.write(|tx| {
        // Somebody else may have made one meanwhile: it covers no less.
        match store::last_checkpoint(tx)? {
            Some(last) if last.no >= no => Ok(Some(last)),
            _ => {
                store::insert_checkpoint(tx, &made)?;
                Ok(Some(made))
            }
        }
    })
}
