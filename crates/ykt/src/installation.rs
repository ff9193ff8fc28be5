//! An installation: its configuration, its data directory, its vault. What the server and the commands that work
//! on the same data have in common.

mod vaults;

use crate::machine::{SystemClock, SystemRng};
use anyhow::bail;
use clap::Args as ClapArgs;
use std::path::PathBuf;
use std::sync::Arc;
use ykt_base::Clock;
use ykt_city::city::MODULES;
use ykt_kmc::pair_log::{self, PairLog};
use ykt_kmc::{Centre, registry};
use ykt_office::Act;
use ykt_office::people::People;
use ykt_store::{Store, StoreError};
use ykt_vault::pair::PairEvent;
use ykt_vault::{KeyKind, KeyState, Signer, SoftVault, Vault, VaultError};
use ykt_web::{Config, Environment};

pub use vaults::{Vaults, open_sealed, token};

/// What to do where a vault is needed and none is configured.
pub const NO_VAULT: &str = "configure it and what opens it, and name the configuration by --config FILE or YKT_CONFIG (docs/operations.md)";

/// Which installation.
#[derive(Debug, ClapArgs)]
pub struct Place {
    /// Configuration file (TOML); `ykt serve --print-config` shows one with every key
    #[arg(long, value_name = "FILE", global = true, env = "YKT_CONFIG", hide_env_values = true)]
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

/// The vault, when there is one: without it everything can be looked at, but no card be loaded and no TAC be
/// checked. Of a pair the side acts that acted last; its health is looked after, and what happens to it is in the audit
/// log.
///
/// # Errors
/// When it cannot be opened, or one is named and what opens it is not.
pub fn open_logged_vault(config: &Config, store: &Store) -> anyhow::Result<Option<Vaults>> {
    let log = PairLog::new(store.clone(), &config.data, Arc::new(SystemClock));
    let vaults = vaults::open(config, pair_log::acting(&config.data)?, Arc::new(log))?;
    if let Some(pair) = vaults.as_ref().and_then(|vaults| vaults.pair.as_ref()) {
        pair_log::watch(pair, Arc::new(SystemClock));
    }
    Ok(vaults)
}

/// The vault for somebody who only looks: what happens to a pair is said on stderr.
///
/// # Errors
/// As [`open_logged_vault`].
pub fn open_vault(config: &Config) -> anyhow::Result<Option<Vaults>> {
    vaults::open(config, pair_log::acting(&config.data)?, Arc::new(say))
}

/// Says on stderr what happens to a pair of vaults.
fn say(event: &PairEvent) {
    eprintln!("vault: {event}");
}

/// The key management centre of an installation.
///
/// # Errors
/// [`VaultError`] when the vault does not answer.
pub fn centre(store: &Store, vaults: &Vaults) -> Result<Centre, VaultError> {
    let signer = vaults.sealed.as_ref().map(signing_pair).transpose()?.flatten();
    let centre = Centre::new(store.clone(), Arc::clone(&vaults.keys), signer);
    Ok(match &vaults.pair {
        Some(pair) => centre.with_pair(Arc::clone(pair)),
        None => centre,
    })
}

/// Begins the work of a centre: at its first start it takes over the keys that the vault has already, and at each start
/// it finishes what was approved before the last process ended. Both are said on stderr.
///
/// # Errors
/// When the database does not answer. A vault that does not answer is no error: it may come back.
pub fn begin(centre: &Centre) -> Result<(), StoreError> {
    let now = SystemClock.now();
    if centre.store.read(registry::records)?.is_empty() {
        match centre.take_over(&Act::of_system("first start of the key registry", now)) {
            Ok(0) => {}
            Ok(taken) => eprintln!("{taken} keys of the vault are registered now"),
            Err(error) => eprintln!("the keys of the vault are not registered yet: {error}"),
        }
    }
    for (id, outcome) in centre.resume(now, &mut SystemRng)? {
        match outcome {
            Ok(request) => eprintln!("request {id} of before is {}", request.state),
            Err(error) => eprintln!("request {id} of before is not finished: {error}"),
        }
    }
    Ok(())
}

/// The newest pair of the sealed file that may sign: checkpoints of the audit log, protocols. `None` before a ceremony
/// made it.
///
/// # Errors
/// [`VaultError`] when the vault does not answer.
pub fn signing_pair(sealed: &Arc<SoftVault>) -> Result<Option<Arc<dyn Signer>>, VaultError> {
    let keys = sealed.list()?.into_iter();
    let active = keys.filter(|info| info.key.kind == KeyKind::Signing && info.state == KeyState::Active);
    active.map(|info| info.key).max().map(|key| sealed.signer(key)).transpose()
}

/// Real money is not kept by keys and passwords that the whole world knows.
///
/// # Errors
/// When a production installation has any of them.
pub fn refuse_demonstration(config: &Config, store: &Store, vaults: Option<&Vaults>) -> anyhow::Result<()> {
    if config.environment != Environment::Production {
        return Ok(());
    }
    if vaults.map(Vaults::of_demonstration).transpose()? == Some(true) {
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
