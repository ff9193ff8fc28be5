//! `ykt vault status` and `ykt vault list`: what a vault is, and its keys with check values; never a key.

use super::opening::Which;
use clap::Args as ClapArgs;
use std::fmt::Write;
use std::process::ExitCode;
use ykt_base::hex::Hex;
use ykt_vault::{Health, KeyInfo, VaultStatus};

/// Say what the vault is, and whether it works; exit code 1 when it does not
#[derive(Debug, ClapArgs)]
pub struct Status {
    #[command(flatten)]
    which: Which,
}

/// List the keys by kind, with level, check value and state
#[derive(Debug, ClapArgs)]
pub struct List {
    #[command(flatten)]
    which: Which,
}

impl Status {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let status = self.which.open()?.status();
        print!("{}", described(&status));
        Ok(if status.health == Health::Ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// A status, a line for each part.
pub fn described(status: &VaultStatus) -> String {
    let health = match &status.health {
        Health::Ready => "ready".to_owned(),
        Health::Locked => "locked".to_owned(),
        Health::Gone { reason } => format!("does not answer: {reason}"),
    };
    let levels: Vec<_> = status.levels.as_slice().iter().map(|level| level.name.as_str()).collect();
    format!(
        "backend  {} {}\nhealth   {health}\norigin   {}\nlevels   {}\nkeys     {}\n",
        status.backend,
        status.version,
        status.origin,
        levels.join(" > "),
        status.keys
    )
}

impl List {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        print!("{}", tree(&self.which.open()?.list()?));
        Ok(ExitCode::SUCCESS)
    }
}

/// The keys under their kinds.
fn tree(keys: &[KeyInfo]) -> String {
    let mut out = String::new();
    for of_kind in keys.chunk_by(|one, other| one.key.kind == other.key.kind) {
        if let Some(first) = of_kind.first() {
            let _never_fails = writeln!(out, "{}", first.key.kind);
        }
        for info in of_kind {
            let owner = info.owner.map(|owner| format!(" {}", Hex(&owner))).unwrap_or_default();
            let _never_fails = writeln!(
                out,
                "  index {:<3} version {:<3} {:<26} {:<7} KCV {}  {}",
                info.key.index,
                info.key.version,
                format!("{}{owner}", info.level),
                info.algorithm,
                Hex(&info.kcv),
                info.state
            );
        }
    }
    out
}
