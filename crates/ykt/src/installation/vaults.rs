//! The vaults a configuration names, opened.

use anyhow::{Context, bail};
use std::path::Path;
use std::sync::Arc;
use ykt_hsm::{Export, HsmVault, Mechanisms, PinSource, SESSIONS_DEFAULT, SESSIONS_MAX, Settings, TokenName};
use ykt_vault::pair::{PairSink, Side};
use ykt_vault::remote::{Endpoint, TlsFiles};
use ykt_vault::{Health, KeyManagement, Origin, Pair, RemoteVault, SoftVault, Unlock, VaultStatus};
use ykt_web::Config;
use ykt_web::config::{ExportConfig, Pkcs11Config, RemoteConfig, VaultBackend, VaultConfig};
use zeroize::Zeroizing;

/// The vault of an installation, with what stands beside it.
pub struct Vaults {
    /// What keeps the keys.
    pub keys: Arc<dyn KeyManagement>,
    /// The sealed file: the vault itself, or the one beside a token that holds the pair that signs.
    pub sealed: Option<Arc<SoftVault>>,
    /// Primary and backup, when the vault is both.
    pub pair: Option<Arc<Pair>>,
}

impl Vaults {
    /// Whether any of them that answers holds demonstration keys.
    ///
    /// # Errors
    /// When none of them answers, so that nobody knows.
    pub fn of_demonstration(&self) -> anyhow::Result<bool> {
        let vaults = match &self.pair {
            Some(pair) => vec![pair.member(Side::Primary), pair.member(Side::Backup)],
            None => vec![&self.keys],
        };
        let mut silent = String::new();
        let mut origins: Vec<Origin> = self.sealed.iter().map(|sealed| sealed.origin()).collect();
        for VaultStatus { backend, origin, health, .. } in vaults.iter().map(|vault| vault.status()) {
            match health {
                Health::Ready => origins.push(origin),
                Health::Locked => silent = format!("the {backend} vault is locked"),
                Health::Gone { reason } => silent = format!("the {backend} vault does not answer: {reason}"),
            }
        }
        if self.sealed.iter().count() == origins.len() {
            bail!("nobody knows whose keys these are: {silent}");
        }
        Ok(origins.contains(&Origin::Demo))
    }
}

/// The vault of a configuration, when there is one: without it everything can be looked at, but no card be loaded and
/// no TAC be checked. Of a pair `acting` acts, and `sink` hears what happens to it.
///
/// # Errors
/// When it cannot be opened, or one is named and what opens it is not.
pub fn open(config: &Config, acting: Side, sink: Arc<dyn PairSink>) -> anyhow::Result<Option<Vaults>> {
    config.vault.check("vault")?;
    let settings = &config.vault;
    let sealed = open_sealed(config)?;
    if settings.backend == VaultBackend::Software {
        return Ok(sealed.map(|vault| Vaults {
            keys: Arc::clone(&vault) as _,
            sealed: Some(vault),
            pair: None,
        }));
    }
    let (Some(primary), Some(backup)) = (&settings.primary, &settings.backup) else {
        let keys: Arc<dyn KeyManagement> = match &settings.pkcs11 {
            Some(token) => Arc::new(HsmVault::open(token_settings(token, pin_of_environment())?)?),
            None => member(settings)?,
        };
        return Ok(Some(Vaults { keys, sealed, pair: None }));
    };
    let pair = Arc::new(Pair::starting_with(acting, member(primary)?, member(backup)?, sink));
    Ok(Some(Vaults { keys: Arc::clone(&pair) as _, sealed, pair: Some(pair) }))
}

/// The sealed file of a configuration, when what opens it is named: the vault itself, or what signs beside one.
///
/// # Errors
/// When it cannot be opened, or it is named and what opens it is not.
pub fn open_sealed(config: &Config) -> anyhow::Result<Option<Arc<SoftVault>>> {
    let file = config.vault_file();
    let is_beside = config.vault.backend != VaultBackend::Software;
    if is_beside && config.vault.file.is_none() && !file.exists() {
        return Ok(None);
    }
    let unlock = match (config.vault_passphrase()?, &config.vault.credential_file) {
        (Some(passphrase), _) => Unlock::passphrase(&passphrase),
        (None, Some(credential)) => Unlock::credential_file(credential)?,
        (None, None) if config.vault.file.is_some() => bail!(
            "the vault {} needs what opens it: set vault.passphrase_file, YKT_VAULT_PASSPHRASE or \
             vault.credential_file",
            file.display()
        ),
        (None, None) => return Ok(None),
    };
    Ok(Some(Arc::new(SoftVault::open(&file, &unlock)?)))
}

/// The token of a configuration: the vault itself, or one of a pair; `of` says which when both are tokens.
///
/// # Errors
/// When it names none, or two.
pub fn token(config: &Config, of: Option<Side>) -> anyhow::Result<Settings> {
    config.vault.check("vault")?;
    if let Some(token) = &config.vault.pkcs11 {
        return token_settings(token, pin_of_environment());
    }
    let member = |member: &Option<Box<VaultConfig>>| member.as_ref().and_then(|member| member.pkcs11.clone());
    let (primary, backup) = (member(&config.vault.primary), member(&config.vault.backup));
    let token = match (primary, backup, of) {
        (Some(_), Some(_), None) => bail!("primary and backup are both tokens: say whose with --of"),
        (primary, _, Some(Side::Primary)) => primary,
        (_, backup, Some(Side::Backup)) => backup,
        (primary, backup, None) => primary.or(backup),
    };
    token_settings(&token.context("the configuration names no such token: set [vault.pkcs11]")?, None)
}

/// One of a pair. A token or another process need not answer yet: the other one may.
fn member(settings: &VaultConfig) -> anyhow::Result<Arc<dyn KeyManagement>> {
    match (&settings.pkcs11, &settings.remote, &settings.file) {
        (Some(token), ..) => Ok(Arc::new(HsmVault::awaited(token_settings(token, None)?))),
        (_, Some(remote), _) => Ok(Arc::new(RemoteVault::connect(&endpoint(remote)?)?)),
        (.., Some(file)) => {
            let unlock = match (settings.passphrase()?, &settings.credential_file) {
                (Some(passphrase), _) => Unlock::passphrase(&passphrase),
                (None, Some(credential)) => Unlock::credential_file(credential)?,
                (None, None) => {
                    bail!("the vault {} needs passphrase_file or credential_file", file.display())
                }
            };
            Ok(Arc::new(SoftVault::open(file, &unlock)?))
        }
        _ => bail!("a vault of this backend is not configured"),
    }
}

/// How the configured token is opened.
///
/// # Errors
/// When its PIN is named nowhere, or a number is out of bounds.
fn token_settings(token: &Pkcs11Config, pin: Option<PinSource>) -> anyhow::Result<Settings> {
    let pin = token.pin_file.clone().map(PinSource::File).or(pin);
    let pin = pin.context("the token needs its PIN: set pin_file or YKT_VAULT_PIN")?;
    let name = match (&token.token, token.slot) {
        (Some(label), _) => TokenName::Label(label.clone()),
        (None, Some(slot)) => TokenName::Slot(slot),
        (None, None) => bail!("the token is not named: set token or slot"),
    };
    let standard = Mechanisms::STANDARD;
    let own = &token.mechanisms;
    let sessions_max = token.sessions_max.unwrap_or(SESSIONS_DEFAULT);
    if !(1..=SESSIONS_MAX).contains(&sessions_max) {
        bail!("sessions_max: expected 1 to {SESSIONS_MAX}, found {sessions_max}");
    }
    Ok(Settings {
        module: token.module.clone(),
        token: name,
        pin,
        mechanisms: Mechanisms {
            derive: own.derive.unwrap_or(standard.derive),
            encrypt: own.encrypt.unwrap_or(standard.encrypt),
            encrypt_aes: own.encrypt_aes.unwrap_or(standard.encrypt_aes),
            wrap: own.wrap.unwrap_or(standard.wrap),
            generate: own.generate.unwrap_or(standard.generate),
            generate_aes: own.generate_aes.unwrap_or(standard.generate_aes),
        },
        sessions_max,
        export: match token.export {
            ExportConfig::Wrapped => Export::Wrapped,
            ExportConfig::Never => Export::Never,
        },
    })
}

fn pin_of_environment() -> Option<PinSource> {
    std::env::var("YKT_VAULT_PIN").ok().map(|pin| PinSource::Text(Zeroizing::new(pin)))
}

fn endpoint(remote: &RemoteConfig) -> anyhow::Result<Endpoint> {
    let RemoteConfig { address, certificate, key, peers } = remote;
    let files = match (certificate, key, peers) {
        (Some(certificate), Some(key), Some(peers)) => {
            let owned = |path: &Path| path.to_owned();
            Some(TlsFiles { certificate: owned(certificate), key: owned(key), peers: owned(peers) })
        }
        (None, None, None) => None,
        _ => bail!("a line by TLS needs all of certificate, key and peers"),
    };
    Ok(Endpoint::parse(address, files)?)
}
