//! One commented TOML file plus environment variables. A key nobody knows is an error, because a mistyped
//! `alow_plain_http` must not look like a decision. Secrets come by file or environment only.

mod vault;

pub use vault::{ExportConfig, MechanismsConfig, Pkcs11Config, RemoteConfig, VaultBackend, VaultConfig};

use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use ykt_base::Fen;
use ykt_clearing::Policy;
use ykt_office::people::{Role, Roles, SecondFactor, SignInRules};
use zeroize::Zeroizing;

/// A full example with every key and its default; `ykt serve --print-config` shows it.
pub const EXAMPLE: &str = include_str!("../assets/ykt.toml");

/// What this installation is for: it decides whether demonstration keys and passwords may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// A world to play with; keys and passwords of the demonstration are welcome.
    #[default]
    Demo,
    /// Real money: a vault with demonstration keys or a default password is refused at the start.
    Production,
}

impl Environment {
    /// `demo` or `production`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Environment::Demo => "demo",
            Environment::Production => "production",
        }
    }
}

/// Settings of the server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What this installation is for.
    pub environment: Environment,
    /// The data directory.
    pub data: PathBuf,
    /// Listening and TLS.
    pub server: ServerConfig,
    /// The vault, without which no load is possible.
    pub vault: VaultConfig,
    /// How people sign in.
    pub sign_in: SignInConfig,
    /// Machines that call the API.
    pub api: ApiConfig,
    /// The service for lines that download keys.
    pub download: DownloadConfig,
    /// What the city decides about clearing.
    pub clearing: ClearingConfig,
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Certificate chain, PEM. With it and `tls_key` the server speaks HTTPS only.
    pub tls_certificate: Option<PathBuf>,
    /// Private key of the certificate, PEM.
    pub tls_key: Option<PathBuf>,
    /// Allows plain HTTP on an address other machines can reach: only behind a proxy that ends TLS.
    pub allow_plain_http: bool,
    /// Seconds that running requests get after the signal to stop.
    pub stop_within_s: u16,
}

/// How people sign in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignInConfig {
    /// Whether a code of an authenticator is asked for beside the password; when absent, in production only.
    pub second_factor: Option<SecondFactorConfig>,
    /// Roles it is asked of; when absent, those that handle keys or people.
    pub second_factor_roles: Option<Vec<RoleName>>,
}

/// Whether a second factor is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecondFactorConfig {
    /// Of nobody.
    Off,
    /// Of the roles named.
    Required,
}

/// A role by its name, such as `key-administrator`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RoleName(pub Role);

impl TryFrom<String> for RoleName {
    type Error = String;
    fn try_from(name: String) -> Result<RoleName, String> {
        let known = || Role::ALL.iter().map(|role| role.word()).collect::<Vec<_>>().join(", ");
        let found = Role::from_word(&name).map(RoleName);
        found.ok_or_else(|| format!("expected a role, one of {}, found `{name}`", known()))
    }
}

/// Machines that call the API.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// A file of bearer tokens, `name scope token` a line, scope `loads` or `read`, tokens of 24 characters or
    /// more.
    pub tokens_file: Option<PathBuf>,
}

/// The service for lines that download keys: off unless it has an address, and then with TLS only.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DownloadConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: Option<SocketAddr>,
    /// Certificate chain of the service, PEM.
    pub certificate: Option<PathBuf>,
    /// Private key of the certificate, PEM.
    pub key: Option<PathBuf>,
    /// The authority that the certificates of lines come from, PEM.
    pub client_ca: Option<PathBuf>,
    /// Profiles that lines may be given beside the shipped ones; of two with the same name these go before.
    pub profiles: Vec<PathBuf>,
}

/// What the city decides about clearing, as far as it is not the same everywhere ([`Policy`]).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClearingConfig {
    /// Account the merchants are paid from, as the bank knows it.
    pub payer_account: String,
    /// Name of the bank that account is with; payees of the same name are paid within the bank.
    pub payer_bank: String,
    /// Largest single purchase, in fen (V13).
    pub single_limit_fen: u32,
    /// Oldest purchase that is taken, in days (V12).
    pub record_age_days_max: u16,
    /// How long a grey record waits for the card's next one, in days.
    pub grey_days_max: u16,
    /// How long any other parked record waits, in days.
    pub parked_days_max: u16,
    /// How long the operator bears a lost card's purchases while the list is under way, in seconds (V17).
    pub loss_delay_s: u32,
}

impl ClearingConfig {
    /// The policy of clearing with these settings.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            payer_account: self.payer_account.clone(),
            payer_bank: self.payer_bank.clone(),
            single_limit: Fen::from(self.single_limit_fen),
            record_age_days_max: self.record_age_days_max,
            grey_days_max: self.grey_days_max,
            parked_days_max: self.parked_days_max,
            loss_delay_s: self.loss_delay_s,
            ..Policy::default()
        }
    }
}

impl Default for ClearingConfig {
    fn default() -> ClearingConfig {
        let usual = Policy::default();
        ClearingConfig {
            payer_account: usual.payer_account,
            payer_bank: usual.payer_bank,
            single_limit_fen: u32::try_from(usual.single_limit.fen()).unwrap_or(u32::MAX),
            record_age_days_max: usual.record_age_days_max,
            grey_days_max: usual.grey_days_max,
            parked_days_max: usual.parked_days_max,
            loss_delay_s: usual.loss_delay_s,
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            environment: Environment::Demo,
            data: PathBuf::from("data"),
            server: ServerConfig::default(),
            vault: VaultConfig::default(),
            sign_in: SignInConfig::default(),
            api: ApiConfig::default(),
            download: DownloadConfig::default(),
            clearing: ClearingConfig::default(),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            tls_certificate: None,
            tls_key: None,
            allow_plain_http: false,
            stop_within_s: 10,
        }
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no configuration: a key nobody knows, or a value of another shape.
    #[error("configuration {path}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// An environment variable has a value of another shape.
    #[error("environment variable {name}: expected {expected}, found {found:?}")]
    Env {
        /// The variable.
        name: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it holds.
        found: String,
    },
    /// Certificate without key or key without certificate.
    #[error("TLS needs both server.tls_certificate and server.tls_key; only one is given")]
    HalfTls,
    /// A service for key download without its certificates.
    #[error(
        "download.listen needs download.certificate, download.key and download.client_ca: keys are given to lines \
         with a client certificate only"
    )]
    HalfDownload,
    /// Plain HTTP where other machines can listen.
    #[error(
        "{listen} can be reached from other machines and plain HTTP would show passwords and money to them; \
         give server.tls_certificate and server.tls_key, listen on 127.0.0.1, or set \
         server.allow_plain_http = true behind a proxy that ends TLS"
    )]
    PlainHttp {
        /// The address asked for.
        listen: SocketAddr,
    },
    /// Settings of the vault that cannot stand together.
    #[error("[{table}]: {why}")]
    Vault {
        /// Which table.
        table: String,
        /// What is wrong.
        why: String,
    },
    /// A secret's file cannot be used.
    #[error("{what} in {path}: {why}")]
    Secret {
        /// Which secret.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

/// Every environment variable with what it takes.
const VARIABLES: [(&str, &str, Setter); 11] = [
    ("YKT_ENVIRONMENT", "demo or production", |config, text| {
        config.environment = match text {
            "demo" => Environment::Demo,
            "production" => Environment::Production,
            _ => return None,
        };
        Some(())
    }),
    ("YKT_DATA", "a directory", |config, text| {
        config.data = text.into();
        Some(())
    }),
    ("YKT_LISTEN", "an address and port such as 127.0.0.1:8080", |config, text| {
        config.server.listen = text.parse().ok()?;
        Some(())
    }),
    ("YKT_TLS_CERTIFICATE", "a PEM file", |config, text| {
        config.server.tls_certificate = Some(text.into());
        Some(())
    }),
    ("YKT_TLS_KEY", "a PEM file", |config, text| {
        config.server.tls_key = Some(text.into());
        Some(())
    }),
    ("YKT_ALLOW_PLAIN_HTTP", "true or false", |config, text| {
        config.server.allow_plain_http = text.parse().ok()?;
        Some(())
    }),
    ("YKT_VAULT_FILE", "a file", |config, text| {
        config.vault.file = Some(text.into());
        Some(())
    }),
    ("YKT_VAULT_PASSPHRASE_FILE", "a file", |config, text| {
        config.vault.passphrase_file = Some(text.into());
        Some(())
    }),
    ("YKT_SECOND_FACTOR", "off or required", |config, text| {
        config.sign_in.second_factor = Some(match text {
            "off" => SecondFactorConfig::Off,
            "required" => SecondFactorConfig::Required,
            _ => return None,
        });
        Some(())
    }),
    ("YKT_VAULT_CREDENTIAL_FILE", "a file", |config, text| {
        config.vault.credential_file = Some(text.into());
        Some(())
    }),
    ("YKT_API_TOKENS_FILE", "a file", |config, text| {
        config.api.tokens_file = Some(text.into());
        Some(())
    }),
];

type Setter = fn(&mut Config, &str) -> Option<()>;

impl Config {
    /// Reads `file` (the defaults when `None`) and puts the environment over it.
    ///
    /// # Errors
    /// [`ConfigError`]; combinations are checked by [`Config::check`] once the command line has spoken too.
    pub fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
        let mut config = match file {
            None => Config::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
                toml::from_str(&text).map_err(|source| ConfigError::Parse {
                    path: path.to_owned(),
                    source: Box::new(source),
                })?
            }
        };
        config.over(|name| std::env::var(name).ok())?;
        Ok(config)
    }

    /// Puts variables over the settings.
    fn over(&mut self, variable: impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
        for (name, expected, set) in VARIABLES {
            if let Some(found) = variable(name) {
                set(self, &found).ok_or(ConfigError::Env { name, expected, found })?;
            }
        }
        Ok(())
    }

    /// Whether the settings may stand together.
    ///
    /// # Errors
    /// [`ConfigError::HalfTls`], [`ConfigError::PlainHttp`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let server = &self.server;
        if server.tls_certificate.is_some() != server.tls_key.is_some() {
            return Err(ConfigError::HalfTls);
        }
        if !self.tls() && !server.listen.ip().is_loopback() && !server.allow_plain_http {
            return Err(ConfigError::PlainHttp { listen: server.listen });
        }
        let download = &self.download;
        let files = [&download.certificate, &download.key, &download.client_ca];
        if download.listen.is_some() && files.contains(&&None) {
            return Err(ConfigError::HalfDownload);
        }
        self.vault.check("vault")
    }

    /// The rules of signing in with these settings.
    #[must_use]
    pub fn sign_in_rules(&self) -> SignInRules {
        let usual = match self.environment {
            Environment::Demo => SecondFactorConfig::Off,
            Environment::Production => SecondFactorConfig::Required,
        };
        let roles = self.sign_in.second_factor_roles.as_ref();
        let roles = roles.map(|roles| roles.iter().map(|role| role.0).collect());
        let second_factor = match self.sign_in.second_factor.unwrap_or(usual) {
            SecondFactorConfig::Off => SecondFactor::Off,
            SecondFactorConfig::Required => SecondFactor::Required(roles.unwrap_or(Roles::ADMINISTRATORS)),
        };
        SignInRules { second_factor, ..SignInRules::default() }
    }

    /// Whether the server itself speaks TLS.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.server.tls_certificate.is_some()
    }

    /// Whether browsers come by HTTPS, so that cookies may be marked `Secure`: our own TLS or the proxy's.
    #[must_use]
    pub fn secure_cookies(&self) -> bool {
        self.tls() || !self.server.listen.ip().is_loopback()
    }

    /// The sealed vault file.
    #[must_use]
    pub fn vault_file(&self) -> PathBuf {
        self.vault.file.clone().unwrap_or_else(|| self.data.join("vault.sealed"))
    }

    /// The sealed file's passphrase: from `YKT_VAULT_PASSPHRASE`, else the first line of its file.
    ///
    /// # Errors
    /// [`ConfigError::Secret`] when the file cannot be read or its first line is empty.
    pub fn vault_passphrase(&self) -> Result<Option<Zeroizing<String>>, ConfigError> {
        match std::env::var("YKT_VAULT_PASSPHRASE") {
            Ok(passphrase) => Ok(Some(Zeroizing::new(passphrase))),
            Err(_) => self.vault.passphrase(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_states_the_defaults() {
        let mut example: Config = toml::from_str(EXAMPLE).unwrap();
        assert_eq!(example, Config::default());
        // Every key that is shown commented out is a key all the same.
        let uncommented: String =
            EXAMPLE.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect();
        example = toml::from_str(&uncommented).unwrap();
        assert!(example.server.tls_key.is_some() && example.api.tokens_file.is_some());
        assert!(example.sign_in.second_factor.is_some() && example.sign_in.second_factor_roles.is_some());
        assert!(example.vault.file.is_some() && example.vault.passphrase_file.is_some());
        for (name, ..) in VARIABLES {
            assert!(EXAMPLE.contains(name), "{name} is not in the example");
        }
    }

    #[test]
    fn clearing_follows_its_settings() {
        assert_eq!(Config::default().clearing.policy(), Policy::default());
        let config: Config =
            toml::from_str("[clearing]\nsingle_limit_fen = 5000\npayer_bank = \"B\"").unwrap();
        let policy = config.clearing.policy();
        assert_eq!((policy.single_limit, policy.payer_bank.as_str()), (Fen::new(5_000), "B"));
    }

    #[test]
    fn production_asks_administrators_for_a_second_factor() {
        let asks = |text: &str| toml::from_str::<Config>(text).unwrap().sign_in_rules().second_factor;
        assert_eq!(asks(""), SecondFactor::Off);
        assert_eq!(asks("environment = \"production\""), SecondFactor::Required(Roles::ADMINISTRATORS));
        let off = "environment = \"production\"\n[sign_in]\nsecond_factor = \"off\"";
        assert_eq!(asks(off), SecondFactor::Off);
        let named = asks(
            "[sign_in]\nsecond_factor = \"required\"\nsecond_factor_roles = [\"finance\", \"key-administrator\"]",
        );
        for role in Role::ALL {
            let asked = matches!(role, Role::Finance | Role::KeyAdministrator);
            assert_eq!(named.asks(*role), asked, "{role}");
            let administrator = matches!(role, Role::Custodian | Role::KeyAdministrator | Role::Security);
            assert_eq!(Roles::ADMINISTRATORS.contains(*role), administrator, "{role}");
        }
        let error = toml::from_str::<Config>("[sign_in]\nsecond_factor_roles = [\"cook\"]").unwrap_err();
        assert!(
            error.to_string().contains("read-only, custodian, key-administrator, found `cook`"),
            "{error}"
        );
    }

    #[test]
    fn a_key_nobody_knows_is_an_error() {
        for text in ["colour = 1", "[server]\nalow_plain_http = true", "environment = \"test\""] {
            assert!(toml::from_str::<Config>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_environment_goes_over_the_file() {
        let mut config: Config = toml::from_str("[server]\nlisten = \"127.0.0.1:1\"").unwrap();
        config.over(|name| (name == "YKT_LISTEN").then(|| "127.0.0.1:2".to_owned())).unwrap();
        assert_eq!(config.server.listen.port(), 2);
        let error = config.over(|name| (name == "YKT_LISTEN").then(|| "here".to_owned())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "environment variable YKT_LISTEN: expected an address and port such as 127.0.0.1:8080, found \"here\""
        );
    }

    #[test]
    fn plain_http_stays_at_home() {
        let mut config = Config::default();
        config.check().unwrap();
        assert!(!config.secure_cookies());
        config.server.listen = "0.0.0.0:8080".parse().unwrap();
        assert!(matches!(config.check(), Err(ConfigError::PlainHttp { .. })));
        config.server.allow_plain_http = true;
        config.check().unwrap();
        config.server.allow_plain_http = false;
        config.server.tls_key = Some("key.pem".into());
        assert!(matches!(config.check(), Err(ConfigError::HalfTls)));
        config.server.tls_certificate = Some("chain.pem".into());
        config.check().unwrap();
        assert!(config.tls() && config.secure_cookies());
    }
}
