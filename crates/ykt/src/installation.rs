//! An installation: its configuration, its data directory, its vault. What the server and the commands that work
//! on the same data have in common.

use crate::machine::SystemRng;
use anyhow::bail;
use clap::Args as ClapArgs;
use std::path::PathBuf;
use ykt_city::city::MODULES;
use ykt_office::people::People;
use ykt_store::Store;
use ykt_vault::{Origin, SoftVault, Unlock, Vault};
use ykt_web::{Config, Environment};

/// Which installation.
#[derive(Debug, ClapArgs)]
pub struct Place {
    /// Configuration file (TOML); `ykt serve --print-config` shows one with every key
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Data directory, in place of the configured one
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
}

impl Place {
    /// The configuration: file, then environment, then command line.
    ///
    /// # Errors
    /// When the file or a variable is wrong.
    pub fn config(&self) -> anyhow::Result<Config> {
        let mut config = Config::load(self.config.as_deref())?;
        if let Some(data) = &self.data {
            config.data.clone_from(data);
        }
        Ok(config)
    }
}

/// Opens the data directory. Only one process can have it open.
///
/// # Errors
/// When it is in use, of a newer version, or cannot be read.
pub fn open_store(config: &Config) -> anyhow::Result<Store> {
    if !config.data.is_dir() {
        eprintln!("new data directory {}", config.data.display());
    }
    Ok(Store::open(&config.data, MODULES)?)
}

/// The sealed vault, when there is one: without it everything can be looked at, but no card be loaded and no
/// TAC be checked.
///
/// # Errors
/// When it cannot be opened, or a vault is named and its passphrase is not.
pub fn open_vault(config: &Config) -> anyhow::Result<Option<SoftVault>> {
    let file = config.vault_file();
    let Some(passphrase) = config.vault_passphrase()? else {
        if config.vault.file.is_some() {
            bail!(
                "the vault {} needs its passphrase: set vault.passphrase_file or YKT_VAULT_PASSPHRASE",
                file.display()
            );
        }
        return Ok(None);
    };
    Ok(Some(SoftVault::open(&file, &Unlock::passphrase(&passphrase))?))
}

/// Real money is not kept by keys and passwords that the whole world knows.
///
/// # Errors
/// When a production installation has any of them.
pub fn refuse_demonstration(config: &Config, store: &Store, vault: Option<&SoftVault>) -> anyhow::Result<()> {
    if config.environment != Environment::Production {
        return Ok(());
    }
    if vault.is_some_and(|vault| vault.status().origin == Origin::Demo) {
        bail!(
            "a production configuration refuses this vault: its keys are demonstration keys; make a new one"
        );
    }
    let people = People::new(store.clone(), config.sign_in_rules(), &mut SystemRng)?;
    let open = people.with_demo_password()?;
    if !open.is_empty() {
        bail!(
            "a production configuration refuses these users: {} can sign in with the demonstration's password; \
             change it or disable them",
            open.join(", ")
        );
    }
    Ok(())
}
