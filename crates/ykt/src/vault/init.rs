//! `ykt vault init`, `init-token` and `passphrase`: a new vault in a sealed file or a token, and who may open a file.

use super::opening::{Which, asked};
use super::pair::SideName;
use crate::installation::{self, Place};
use crate::machine::SystemRng;
use anyhow::{Context, bail};
use clap::{Args as ClapArgs, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use ykt_hsm::{HsmVault, Settings};
use ykt_vault::{
    DEMO_TRANSPORT_KEY, FactorPadding, Hardness, ImportedKey, KeyAlgorithm, KeyKind, KeyManagement, KeyPlace,
    KeyRef, KeyState, KeyValue, KeysFile, Levels, Origin, ReadKeys, SoftVault, Unlock, Vault,
};

/// Make a new sealed file
///
/// It is empty: its keys come by a ceremony (ykt ceremony), from another vault, or as --generate and --keys say. Without
/// --operator one passphrase opens it, whoever knows it; with several, all of them together.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  ykt vault init keys.sealed --operator wang.li --operator zhao.min\n  \
                        ykt vault init keys.sealed --new-credential machine.credential\n  \
                        ykt vault init demo.sealed --demo")]
pub struct Init {
    /// The file; one that is there is left alone
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    contents: Contents,
    /// An operator who opens the file; given several times, all of them together
    #[arg(long = "operator", value_name = "NAME")]
    operators: Vec<String>,
    /// A new credential for this machine, which opens the file without anybody
    #[arg(long, value_name = "FILE")]
    new_credential: Option<PathBuf>,
}

/// What a new vault begins with.
#[derive(Debug, ClapArgs)]
pub struct Contents {
    /// For a demonstration: keys of every kind, marked so that production refuses them
    #[arg(long, conflicts_with_all = ["generate", "keys"])]
    demo: bool,
    /// A random root key of every kind at once, for a city that holds no ceremony
    #[arg(long)]
    generate: bool,
    /// The keys of a key file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["generate", "province"])]
    keys: Option<PathBuf>,
    /// Code of the province, when keys go down nation, province, city, card
    #[arg(long, value_name = "HEX")]
    province: Option<String>,
}

impl Init {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        if self.file.exists() {
            bail!("{} is there already, and was left alone", self.file.display());
        }
        let vault = self.contents.vault()?;
        // The credential alone, or operators and, when asked for, a credential beside them.
        let by_operators = self.new_credential.is_none() || !self.operators.is_empty();
        let operators = by_operators.then(|| asked(&self.operators, true)).transpose()?;
        let rng = &mut SystemRng;
        let credential = self.new_credential.as_deref();
        let credential = credential.map(|file| Unlock::new_credential_file(file, rng)).transpose()?;
        let mut unlocks = operators.into_iter().chain(credential);
        let Some(first) = unlocks.next() else { bail!("nothing opens this file") };
        vault.seal(&self.file, &first, Hardness::STANDARD, rng)?;
        if let Some(second) = unlocks.next() {
            SoftVault::open(&self.file, &first)?.add_unlock(&second, Hardness::STANDARD, rng)?;
        }
        let status = vault.status();
        println!("made {}: {} keys, {}", self.file.display(), status.keys, status.origin);
        Ok(ExitCode::SUCCESS)
    }
}

impl Contents {
    fn vault(&self) -> anyhow::Result<SoftVault> {
        if let Some(file) = self.key_file()? {
            return Ok(SoftVault::from_keys(file)?);
        }
        let levels = self.levels()?;
        Ok(match (self.demo, self.generate) {
            (true, _) => SoftVault::generate(levels, &mut SystemRng, Origin::Demo),
            (false, true) => SoftVault::generate(levels, &mut SystemRng, Origin::Production),
            (false, false) => SoftVault::empty(levels, Origin::Production),
        })
    }

    /// A new vault in a token. It draws its keys itself; what it has no algorithm for, such as the pair that signs, is
    /// left to the sealed file beside it.
    pub fn in_token(&self, token: Settings) -> anyhow::Result<HsmVault> {
        if let Some(file) = self.key_file()? {
            let ReadKeys { levels, origin, keys } = file.into_keys()?;
            let vault = HsmVault::create(token, levels, origin)?;
            let able = vault.capabilities();
            for key in keys.into_iter().filter(|key| able.contains(&key.value.algorithm())) {
                vault.import(key)?;
            }
            return Ok(vault);
        }
        let origin = if self.demo { Origin::Demo } else { Origin::Production };
        let vault = HsmVault::create(token, self.levels()?, origin)?;
        let able = vault.capabilities();
        let kinds = KeyKind::ALL.iter().filter(|_| self.demo || self.generate);
        for kind in kinds {
            let place = KeyPlace::root(KeyRef::new(*kind, 1, 1));
            let algorithm = kind.algorithms().iter().find(|algorithm| able.contains(algorithm));
            match (kind.is_of_blanks(), algorithm) {
                (true, Some(_)) if self.demo => {
                    let value = KeyValue::from_bytes(KeyAlgorithm::Tdes, &DEMO_TRANSPORT_KEY);
                    let value = value.context("the demonstration's transport key")?;
                    let state = KeyState::Active;
                    vault.import(ImportedKey { place, state, value, kcv: None })?;
                }
                (false, Some(algorithm)) => {
                    vault.generate(place, *algorithm, &mut SystemRng)?;
                    vault.change_state(&place, KeyState::Active)?;
                }
                _ => {}
            }
        }
        Ok(vault)
    }

    fn key_file(&self) -> anyhow::Result<Option<KeysFile>> {
        Ok(self.keys.as_deref().map(KeysFile::read).transpose()?)
    }

    fn levels(&self) -> anyhow::Result<Levels> {
        let Some(code) = &self.province else { return Ok(Levels::nation_city_card()) };
        let mut bytes = [0; 8];
        let len = code.len() / 2;
        let place = bytes.get_mut(..len).filter(|_| len > 0);
        let place = place.with_context(|| format!("province `{code}`: expected 1 to 8 bytes in hex"))?;
        ykt_base::hex::decode_into(code, place)?;
        let factor = FactorPadding::FILLED.factor(place).context("a code of 1 to 8 bytes")?;
        Ok(Levels::nation_province_city_card(factor))
    }
}

/// Make a vault in a token
///
/// The token is the configured one ([vault.pkcs11]), initialised and with a PIN; other objects in it are left alone. The
/// vault is empty: its keys come by a ceremony (ykt ceremony), from another vault, or as --generate and --keys say.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  ykt vault init-token --config ykt.toml\n  \
                        ykt vault init-token --config ykt.toml --of backup\n  \
                        ykt vault init-token --config ykt.toml --demo")]
pub struct InitToken {
    #[command(flatten)]
    place: Place,
    /// Of a pair: whose token
    #[arg(long, value_enum)]
    of: Option<SideName>,
    #[command(flatten)]
    contents: Contents,
}

impl InitToken {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let token = installation::token(&self.place.config()?, self.of.map(Into::into))?;
        let name = token.token.to_string();
        let status = self.contents.in_token(token)?.status();
        println!("made a vault in the {name} ({}): {} keys, {}", status.version, status.keys, status.origin);
        Ok(ExitCode::SUCCESS)
    }
}

/// Say who may open a sealed file
///
/// Whoever could open it keeps what an old copy of the file holds.
#[derive(Debug, Subcommand)]
pub enum Passphrase {
    /// Show who may open it: one line for each, operators who must come together on one
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Let more operators open it, or this machine
    Add(Slot),
    /// Give operators new passphrases
    Change(Slot),
    /// Take away what operators, or a machine, open it with
    Remove(Slot),
}

/// Operators who open a file together, or a machine.
#[derive(Debug, ClapArgs)]
pub struct Slot {
    #[command(flatten)]
    which: Which,
    /// The operators, all of whom are needed; none: whoever knows the passphrase
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Add: a new credential for this machine, in place of operators
    #[arg(long, value_name = "FILE", conflicts_with = "names")]
    new_credential: Option<PathBuf>,
}

impl Slot {
    /// Whose slot, as the file names them.
    fn named(&self) -> Vec<&str> {
        if self.names.is_empty() { vec![""] } else { self.names.iter().map(String::as_str).collect() }
    }

    fn shown(&self) -> String {
        if self.names.is_empty() {
            "whoever knows the passphrase".to_owned()
        } else {
            self.names.join(" with ")
        }
    }
}

impl Passphrase {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let rng = &mut SystemRng;
        match self {
            Passphrase::List { which } => {
                for names in which.sealed()?.unlocks()? {
                    let shown = names.join(" with ");
                    println!("{}", if shown.is_empty() { "whoever knows the passphrase" } else { &shown });
                }
            }
            Passphrase::Add(slot) => {
                let vault = slot.which.sealed()?;
                let unlock = match &slot.new_credential {
                    Some(file) => Unlock::new_credential_file(file, rng)?,
                    None => {
                        let named = slot.sorted();
                        if vault.unlocks()?.contains(&named) {
                            bail!(
                                "{} can open it already; `ykt vault passphrase change` gives a new passphrase",
                                slot.shown()
                            );
                        }
                        asked(&slot.names, true)?
                    }
                };
                vault.add_unlock(&unlock, Hardness::STANDARD, rng)?;
                println!("added");
            }
            Passphrase::Change(slot) => {
                let vault = slot.which.sealed()?;
                if slot.new_credential.is_some() || !vault.unlocks()?.contains(&slot.sorted()) {
                    bail!("{} cannot open it yet; `ykt vault passphrase add` lets them", slot.shown());
                }
                vault.add_unlock(&asked(&slot.names, true)?, Hardness::STANDARD, rng)?;
                println!("changed for {}", slot.shown());
            }
            Passphrase::Remove(slot) => {
                slot.which.sealed()?.remove_unlock(&slot.named())?;
                println!("removed {}", slot.shown());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Slot {
    fn sorted(&self) -> Vec<String> {
        let mut names: Vec<String> = self.named().into_iter().map(str::to_owned).collect();
        names.sort();
        names
    }
}
