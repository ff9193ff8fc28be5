//! `ykt vault init` and `ykt vault passphrase`: a new sealed file, and who may open one.

use super::opening::{Which, asked};
use crate::machine::SystemRng;
use anyhow::{Context, bail};
use clap::{Args as ClapArgs, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use ykt_vault::{FactorPadding, Hardness, KeysFile, Levels, Origin, SoftVault, Unlock, Vault};

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
    /// An operator who opens the file; given several times, all of them together
    #[arg(long = "operator", value_name = "NAME")]
    operators: Vec<String>,
    /// A new credential for this machine, which opens the file without anybody
    #[arg(long, value_name = "FILE")]
    new_credential: Option<PathBuf>,
}

impl Init {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        if self.file.exists() {
            bail!("{} is there already, and was left alone", self.file.display());
        }
        let vault = self.vault()?;
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

    fn vault(&self) -> anyhow::Result<SoftVault> {
        if let Some(file) = &self.keys {
            let text = zeroize::Zeroizing::new(
                std::fs::read_to_string(file).with_context(|| format!("key file {}", file.display()))?,
            );
            return Ok(SoftVault::from_keys(KeysFile::parse(&text)?)?);
        }
        let levels = match &self.province {
            None => Levels::nation_city_card(),
            Some(code) => {
                let mut bytes = [0; 8];
                let len = code.len() / 2;
                let place = bytes.get_mut(..len).filter(|_| len > 0);
                let place =
                    place.with_context(|| format!("province `{code}`: expected 1 to 8 bytes in hex"))?;
                ykt_base::hex::decode_into(code, place)?;
                let factor = FactorPadding::FILLED.factor(place).context("a code of 1 to 8 bytes")?;
                Levels::nation_province_city_card(factor)
            }
        };
        Ok(match (self.demo, self.generate) {
            (true, _) => SoftVault::generate(levels, &mut SystemRng, Origin::Demo),
            (false, true) => SoftVault::generate(levels, &mut SystemRng, Origin::Production),
            (false, false) => SoftVault::empty(levels, Origin::Production),
        })
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
