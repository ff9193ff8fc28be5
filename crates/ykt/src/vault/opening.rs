//! Which vault is meant, and what opens it: a sealed file with passphrases or a credential, a vault somebody serves, or
//! what the configuration names.

use crate::installation::{self, Place};
use crate::keyboard;
use crate::token::screen::Words;
use crate::who;
use anyhow::{Context, bail};
use clap::Args as ClapArgs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use ykt_vault::remote::{Endpoint, TlsFiles};
use ykt_vault::{KeyManagement, RemoteVault, SoftVault, Unlock};
use ykt_web::config::VaultConfig;
use zeroize::Zeroizing;

/// A vault: the configured one, a sealed file, or one that is served.
#[derive(Debug, ClapArgs)]
pub struct Which {
    #[command(flatten)]
    place: Place,
    /// A sealed file, in place of the configured vault
    #[arg(long, value_name = "FILE", conflicts_with = "at")]
    file: Option<PathBuf>,
    #[command(flatten)]
    opening: Opening,
    /// A vault that is served, in place of the configured one: unix:PATH or tls:HOST:PORT
    #[arg(long, value_name = "ENDPOINT")]
    at: Option<String>,
    #[command(flatten)]
    tls: Tls,
}

/// What opens a sealed file.
#[derive(Debug, ClapArgs)]
pub struct Opening {
    /// An operator whose passphrase is asked for; given several times, all of them together
    #[arg(long = "operator", value_name = "NAME")]
    operators: Vec<String>,
    /// This machine's credential, in place of passphrases
    #[arg(long, value_name = "FILE", conflicts_with_all = ["operators", "passphrase_file"])]
    credential: Option<PathBuf>,
    /// A file whose first line is the passphrase
    #[arg(long, value_name = "FILE", conflicts_with = "operators")]
    passphrase_file: Option<PathBuf>,
}

/// The certificates of a TLS line.
#[derive(Debug, ClapArgs)]
pub struct Tls {
    /// With TLS: own certificate, PEM
    #[arg(long, value_name = "FILE", requires_all = ["key", "peers"])]
    certificate: Option<PathBuf>,
    /// With TLS: its private key, PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// With TLS: the certificates the other side may show, PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    peers: Option<PathBuf>,
}

impl Tls {
    /// All three, or none.
    pub fn files(&self) -> Option<TlsFiles> {
        let Tls { certificate, key, peers } = self;
        let (certificate, key, peers) = (certificate.clone()?, key.clone()?, peers.clone()?);
        Some(TlsFiles { certificate, key, peers })
    }
}

impl Which {
    /// The certificates of a TLS line.
    pub const fn tls(&self) -> &Tls {
        &self.tls
    }

    /// Opens the vault.
    pub fn open(&self) -> anyhow::Result<Arc<dyn KeyManagement>> {
        if let Some(at) = &self.at {
            let endpoint = Endpoint::parse(at, self.tls.files())?;
            return Ok(Arc::new(RemoteVault::connect(&endpoint)?));
        }
        if self.file.is_none()
            && let Some(vaults) = installation::open_vault(&self.place.config()?)?
        {
            return Ok(vaults.keys);
        }
        Ok(self.sealed()?)
    }

    /// Opens the sealed file.
    pub fn sealed(&self) -> anyhow::Result<Arc<SoftVault>> {
        if let Some(file) = &self.file {
            return open_file(file, &self.opening.unlock()?);
        }
        let config = self.place.config()?;
        match installation::open_sealed(&config)? {
            Some(vault) => Ok(vault),
            None => open_file(&config.vault_file(), &self.opening.unlock()?),
        }
    }
}

fn open_file(file: &Path, unlock: &Unlock) -> anyhow::Result<Arc<SoftVault>> {
    let vault = SoftVault::open(file, unlock).with_context(|| format!("vault {}", file.display()))?;
    Ok(Arc::new(vault))
}

impl Opening {
    /// What opens a file: as the options say, else from the environment, else asked for.
    pub fn unlock(&self) -> anyhow::Result<Unlock> {
        if let Some(credential) = &self.credential {
            return Ok(Unlock::credential_file(credential)?);
        }
        if let Some(file) = &self.passphrase_file {
            let file = VaultConfig { passphrase_file: Some(file.clone()), ..VaultConfig::default() };
            return Ok(Unlock::passphrase(&file.passphrase()?.unwrap_or_default()));
        }
        if self.operators.is_empty()
            && let Ok(passphrase) = std::env::var("YKT_VAULT_PASSPHRASE").map(Zeroizing::new)
        {
            return Ok(Unlock::passphrase(&passphrase));
        }
        asked(&self.operators, false)
    }
}

/// What these operators type; without a name one passphrase that anybody may know.
pub fn asked(operators: &[String], is_new: bool) -> anyhow::Result<Unlock> {
    let nobody = [String::new()];
    let names = if operators.is_empty() { &nobody } else { operators };
    let mut typed = Vec::with_capacity(names.len());
    for name in names {
        typed.push((name.as_str(), if is_new { new_passphrase(name)? } else { passphrase(name)? }));
    }
    Ok(Unlock::operators(typed.iter().map(|(name, typed)| (*name, typed.as_str()))))
}

const PASSPHRASE: Words = Words("Passphrase", "口令");
const NEW_PASSPHRASE: Words = Words("New passphrase", "新口令");
const AGAIN: Words = Words("The same again", "再次输入");
const DIFFER: Words = Words("the two passphrases differ: both again", "两次口令不一致，请重新录入");

fn passphrase(name: &str) -> anyhow::Result<Zeroizing<String>> {
    secret(PASSPHRASE, name)
}

/// Typed twice, so that nobody locks himself out with a slip of the finger.
fn new_passphrase(name: &str) -> anyhow::Result<Zeroizing<String>> {
    loop {
        let typed = secret(NEW_PASSPHRASE, name)?;
        if *typed == *secret(AGAIN, name)? {
            return Ok(typed);
        }
        if !std::io::stdin().is_terminal() {
            bail!("the two passphrases differ; nothing was changed");
        }
        keyboard::say(DIFFER);
    }
}

fn secret(question: Words, name: &str) -> anyhow::Result<Zeroizing<String>> {
    let of = if name.is_empty() { String::new() } else { format!(" ({name})") };
    who::secret(&format!("{question}{of}")).map(Zeroizing::new)
}
