//! `ykt token sign` and `ykt token verify`: signatures of files with a key pair of the token.
//!
//! The token hashes and signs; whether a signature is right is computed here, from the public key alone.

use super::Leave;
use super::keys::{create, key_id, made_key, open, read, with_pin};
use super::screen::{Words, say};
use anyhow::{Context, ensure};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use ykt_crypto::sm2::{Signature, SignerId};
use ykt_purse::token::KeyPairId;

/// Sign a file; the token asks for the PIN where the key pair's policy wants it
#[derive(Debug, clap::Args)]
pub struct Sign {
    /// Key pair: its file id, as 0C
    #[arg(long, value_name = "ID", value_parser = key_id)]
    key: KeyPairId,
    /// New file for the signature [default: FILE.sig]
    #[arg(long, value_name = "SIG")]
    out: Option<PathBuf>,
    /// How the signature is written
    #[arg(long, value_enum, default_value_t = Form::Der)]
    form: Form,
    /// Token: image file, number or part of the name of a reader, or usbip:HOST:PORT
    token: String,
    /// File to be signed
    file: PathBuf,
}

/// Verify a file's signature with the public key of a pair; DER and r||s are told apart
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// Key pair: its file id, as 0C
    #[arg(long, value_name = "ID", value_parser = key_id)]
    key: KeyPairId,
    /// Signature [default: FILE.sig]
    #[arg(long, value_name = "SIG")]
    sig: Option<PathBuf>,
    /// Token: image file, number or part of the name of a reader, or usbip:HOST:PORT
    token: String,
    /// File that was signed
    file: PathBuf,
}

/// Form of a signature in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// SEQUENCE of r and s, as certificates and OpenSSL have it
    Der,
    /// r || s, 64 bytes, as cards have it
    Raw,
}

impl Sign {
    /// Runs the command.
    pub fn run(&self) -> Result<(), Leave> {
        let message = read_message(&self.file)?;
        let mut token = open(&self.token)?;
        let key = made_key(&mut token, self.key)?;
        let signature = with_pin(&mut token, |token| token.sign(self.key, &message))?;
        // A token that signs wrongly is found here, not by whoever is shown the signature.
        if !key.verify(SignerId::DEFAULT, &[&message], &signature) {
            return Err(anyhow::anyhow!("the token's signature is not by its own key: it is broken").into());
        }
        let out = self.out.clone().unwrap_or_else(|| beside(&self.file));
        match self.form {
            Form::Der => create(&out, signature.to_der().as_bytes())?,
            Form::Raw => create(&out, signature.as_bytes())?,
        }
        println!("{} is signed with key pair {:02X}: {}", self.file.display(), self.key.sfi(), out.display());
        Ok(())
    }
}

impl Verify {
    /// Runs the command.
    pub fn run(&self) -> Result<(), Leave> {
        let message = read_message(&self.file)?;
        let path = self.sig.clone().unwrap_or_else(|| beside(&self.file));
        let bytes = read(&path)?;
        let raw = || bytes.as_slice().try_into().ok().map(Signature);
        let signature = Signature::from_der(&bytes).or_else(raw);
        let signature =
            signature.with_context(|| format!("{} is no signature, neither DER nor r||s", path.display()))?;
        let key = made_key(&mut open(&self.token)?, self.key)?;
        if key.verify(SignerId::DEFAULT, &[&message], &signature) {
            say(Words("The signature is right", "签名正确"));
            Ok(())
        } else {
            say(Words("Declined: the signature is wrong", "拒绝：签名错误"));
            Err(Leave::Declined)
        }
    }
}

/// What is signed; the token's commands sign no empty message.
fn read_message(path: &Path) -> anyhow::Result<Vec<u8>> {
    let message = read(path)?;
    ensure!(!message.is_empty(), "{} is empty: a token signs at least one byte", path.display());
    Ok(message)
}

/// `FILE.sig`.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}
