//! The protocol of a batch: what was made of every number, with which keys, by whom, when. The centre signs it.

use super::{Batch, BatchError, PsamKey, PsamState, Stage, store};
use std::fmt::Write;
use ykt_base::hex::Hex;
use ykt_crypto::sm2::{PUBLIC_KEY_LEN, PublicKey, SIGNATURE_LEN, Signature, SignerId};
use ykt_office::Act;
use ykt_store::Tx;

/// A signed protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// What is signed.
    pub text: String,
    /// The centre's public key, uncompressed point.
    pub public_key: [u8; PUBLIC_KEY_LEN],
    /// Its SM2 signature over the text, r || s.
    pub signature: [u8; SIGNATURE_LEN],
}

impl Protocol {
    /// The text with key and signature below it, as it is handed out.
    #[must_use]
    pub fn document(&self) -> String {
        let (key, signature) = (Hex(&self.public_key), Hex(&self.signature));
        format!(
            "{}signed with SM2, signer id 1234567812345678\npublic key  {key}\nsignature   {signature}\n",
            self.text
        )
    }

    /// Whether the signature is that of the stated key over the text. Compare the key with the centre's own.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        let key = PublicKey::from_bytes(self.public_key);
        key.is_some_and(|key| {
            key.verify(SignerId::DEFAULT, &[self.text.as_bytes()], &Signature(self.signature))
        })
    }
}

/// The protocol of a batch as it stands; unsigned while the batch is open.
///
/// # Errors
/// [`BatchError::Unknown`].
pub fn protocol(tx: &Tx, id: &str, act: &Act) -> Result<String, BatchError> {
    match store::signed_protocol(tx, id)? {
        Some(signed) => Ok(signed.document()),
        None => text(tx, id, act),
    }
}

/// The text that is signed.
pub(super) fn text(tx: &Tx, id: &str, act: &Act) -> Result<String, BatchError> {
    let batch = store::batch(tx, id)?;
    let mut out = head(&batch);
    for psam in store::of_batch(tx, id)? {
        // Writing to a string cannot fail.
        let _ = write!(out, "\n{:>5}  {}  {}  {}", psam.number, psam.serial, psam.terminal, psam.state);
        let at = psam.ended_at.or(psam.begun_at);
        if let Some(at) = at {
            let _ = write!(out, "  {at}  {}", psam.who);
        }
        if psam.state == PsamState::InWork {
            let _ = write!(out, "  step {} of 8", psam.stage.map_or(0, Stage::code));
        }
        if !psam.note.is_empty() {
            let _ = write!(out, "\n       {}", psam.note);
        }
        for key in store::keys_of(tx, &psam.serial)? {
            let _ = write!(out, "\n       {}", key_line(&key));
        }
    }
    let counts = batch.counts;
    let _ = write!(
        out,
        "\n\n{} PSAMs: {} produced, {} stopped, {} in work, {} waiting\nwritten by {} on {}\n",
        batch.new.count, counts.produced, counts.stopped, counts.in_work, counts.waiting, act.who, act.at
    );
    Ok(out)
}

fn head(batch: &Batch) -> String {
    let new = &batch.new;
    let mut out = format!("PSAM production, batch {}\n", new.id);
    let lines = [
        ("profile", batch.profile_name.clone()),
        ("issuer", new.issuer.to_string()),
        ("receiver", Hex(&new.receiver).to_string()),
        ("valid", format!("{} to {}", new.start, new.expiry)),
        ("label", new.label.clone()),
        ("opened", format!("{} by {}", batch.opened_at, batch.opened_by)),
    ];
    for (name, value) in lines {
        let _ = writeln!(out, "{name:<10}{value}");
    }
    out
}

/// One key in a line: usage, kind, version, check value.
pub(super) fn key_line(key: &PsamKey) -> String {
    let kcv = key.kcv.map_or_else(|| "not stated".to_owned(), |kcv| Hex(&kcv).to_string());
    format!("{:02X} {} version {}: KCV {kcv}", key.usage, key.kind, key.version)
}
