//! `[vault]`: what keeps the keys. A sealed file, a PKCS#11 token, a vault in another process, or two of these as
//! primary and backup; each with the settings of its own sort and of no other.

use super::ConfigError;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What keeps keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VaultBackend {
    /// This process, and one sealed file.
    #[default]
    Software,
    /// A PKCS#11 token.
    Pkcs11,
    /// A vault in another process.
    Remote,
    /// Two vaults as primary and backup.
    Pair,
}

/// Where the vault is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VaultConfig {
    /// What keeps the keys.
    pub backend: VaultBackend,
    /// The sealed file; `vault.sealed` in the data directory when absent. Beside another backend it holds the pair
    /// that signs, which tokens do not have.
    pub file: Option<PathBuf>,
    /// A file that holds the passphrase in its first line.
    pub passphrase_file: Option<PathBuf>,
    /// A machine's credential that opens the sealed file without a passphrase.
    pub credential_file: Option<PathBuf>,
    /// The token.
    pub pkcs11: Option<Pkcs11Config>,
    /// The other process.
    pub remote: Option<RemoteConfig>,
    /// The first of two.
    pub primary: Option<Box<VaultConfig>>,
    /// The second of two.
    pub backup: Option<Box<VaultConfig>>,
}

/// A PKCS#11 token that keeps the keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs11Config {
    /// The module: a shared library.
    pub module: PathBuf,
    /// Label of the token; either this or `slot`.
    pub token: Option<String>,
    /// Number of its slot.
    pub slot: Option<u64>,
    /// A file that holds the user's PIN in its first line.
    pub pin_file: Option<PathBuf>,
    /// Most sessions at a time.
    pub sessions_max: Option<usize>,
    /// Whether keys above those of cards may leave wrapped.
    #[serde(default)]
    pub export: ExportConfig,
    /// Numbers of mechanisms (`CKM_…`) that differ from the standard's.
    #[serde(default)]
    pub mechanisms: MechanismsConfig,
}

/// Whether keys above those of cards may leave the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportConfig {
    /// Wrapped under a transport key.
    #[default]
    Wrapped,
    /// By no means.
    Never,
}

/// Numbers of mechanisms; what is absent is the standard's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MechanismsConfig {
    /// Diversifies a 3DES key.
    pub derive: Option<u64>,
    /// 3DES in ECB.
    pub encrypt: Option<u64>,
    /// AES in ECB.
    pub encrypt_aes: Option<u64>,
    /// Wraps under an AES key (RFC 3394).
    pub wrap: Option<u64>,
    /// Makes two-key 3DES keys.
    pub generate: Option<u64>,
    /// Makes AES keys.
    pub generate_aes: Option<u64>,
}

/// A vault in another process.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteConfig {
    /// `unix:PATH` or `tls:HOST:PORT`.
    pub address: String,
    /// Our certificate, PEM; with TLS only.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// The certificates the other side may show, PEM.
    pub peers: Option<PathBuf>,
}

impl VaultConfig {
    /// Whether the settings may stand together; `table` is what the file calls them.
    ///
    /// # Errors
    /// [`ConfigError::Vault`] naming the table.
    pub fn check(&self, table: &str) -> Result<(), ConfigError> {
        let refused = |why: &str| Err(ConfigError::Vault { table: table.to_owned(), why: why.to_owned() });
        let is = |backend| self.backend == backend;
        for (given, wanted, name) in [
            (self.pkcs11.is_some(), is(VaultBackend::Pkcs11), "pkcs11"),
            (self.remote.is_some(), is(VaultBackend::Remote), "remote"),
            (self.primary.is_some(), is(VaultBackend::Pair), "primary"),
            (self.backup.is_some(), is(VaultBackend::Pair), "backup"),
        ] {
            if given && !wanted {
                return refused(&format!("{table}.{name} is given, but backend is another"));
            }
            if wanted && !given {
                return refused(&format!("this backend needs the table [{table}.{name}]"));
            }
        }
        if self.passphrase_file.is_some() && self.credential_file.is_some() {
            return refused("give passphrase_file or credential_file, not both");
        }
        if let Some(pkcs11) = &self.pkcs11
            && pkcs11.token.is_some() == pkcs11.slot.is_some()
        {
            return refused("pkcs11 takes either token, the label, or slot, the number");
        }
        for (name, member) in [("primary", &self.primary), ("backup", &self.backup)] {
            let Some(member) = member else { continue };
            let table = format!("{table}.{name}");
            let why = match member.backend {
                VaultBackend::Pair => Some("one of a pair is no pair itself"),
                VaultBackend::Software if member.file.is_none() => Some("file is missing"),
                _ => None,
            };
            if let Some(why) = why {
                return Err(ConfigError::Vault { table, why: why.to_owned() });
            }
            member.check(&table)?;
        }
        Ok(())
    }

    /// The passphrase in the first line of its file.
    ///
    /// # Errors
    /// [`ConfigError::Secret`] when the file cannot be read or its first line is empty.
    pub fn passphrase(&self) -> Result<Option<Zeroizing<String>>, ConfigError> {
        self.passphrase_file.as_deref().map(|path| first_line("vault passphrase", path)).transpose()
    }
}

fn first_line(what: &'static str, path: &Path) -> Result<Zeroizing<String>, ConfigError> {
    let bad = |why: String| ConfigError::Secret { what, path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let text = Zeroizing::new(text);
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
        _ => Err(bad("its first line is empty".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Option<String> {
        let config: VaultConfig = toml::from_str(text).unwrap();
        config.check("vault").err().map(|error| error.to_string())
    }

    const TOKEN: &str = "backend = \"pkcs11\"\n[pkcs11]\nmodule = \"m.so\"\ntoken = \"kmc\"\n";

    #[test]
    fn each_backend_has_its_own_settings() {
        let pair = "backend = \"pair\"\n[primary]\nbackend = \"pkcs11\"\n[primary.pkcs11]\nmodule = \"m.so\"\n\
                    slot = 3\n[backup]\nfile = \"b.sealed\"\npassphrase_file = \"p\"\n";
        let remote = "backend = \"remote\"\n[remote]\naddress = \"unix:/run/vault\"\n";
        for right in ["", "credential_file = \"c\"", TOKEN, remote, pair] {
            assert_eq!(refused(right), None, "{right}");
        }
        for (wrong, named) in [
            ("backend = \"pkcs11\"", "[vault.pkcs11]"),
            ("backend = \"pair\"\n[primary]\nfile = \"a\"", "[vault.backup]"),
            ("[remote]\naddress = \"unix:a\"", "vault.remote is given"),
            ("passphrase_file = \"a\"\ncredential_file = \"b\"", "not both"),
            (&TOKEN.replace("token = \"kmc\"\n", ""), "either token"),
            (&format!("{TOKEN}slot = 1"), "either token"),
            (&pair.replace("slot = 3", ""), "vault.primary"),
            (&pair.replace("file = \"b.sealed\"\n", ""), "file is missing"),
            ("backend = \"pair\"\n[backup]\nfile = \"a\"\n[primary]\nbackend = \"pair\"", "no pair itself"),
        ] {
            let said = refused(wrong).unwrap_or_default();
            assert!(said.contains(named), "{wrong}: {said}");
        }
    }

    #[test]
    fn what_nobody_knows_is_an_error() {
        for text in [
            "backend = \"hsm\"",
            "[pkcs11]\nmodule = \"m\"\npin = \"1234\"",
            "[pkcs11]\nmodule = \"m\"\n[pkcs11.mechanisms]\nderiv = 1",
            "[pkcs11]\ntoken = \"kmc\"",
        ] {
            assert!(toml::from_str::<VaultConfig>(text).is_err(), "{text}");
        }
        let numbers: VaultConfig =
            toml::from_str(&format!("{TOKEN}[pkcs11.mechanisms]\nderive = 0x8000_1102")).unwrap();
        assert_eq!(numbers.pkcs11.and_then(|pkcs11| pkcs11.mechanisms.derive), Some(0x8000_1102));
    }
}
