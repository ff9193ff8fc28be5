//! `ykt vault compare`, `replicate` and `switch`: primary and backup as the configuration names them.

use crate::installation::{self, Place, Vaults};
use crate::who::Person;
use anyhow::{Context, bail};
use clap::{Args as ClapArgs, ValueEnum};
use std::process::ExitCode;
use std::sync::Arc;
use ykt_office::Act;
use ykt_office::audit::{self, Outcome};
use ykt_office::people::Permission;
use ykt_store::{Store, StoreError};
use ykt_vault::Pair;
use ykt_vault::pair::{Difference, Replication, Side, SwitchOver};

/// Compare primary and backup key by key; exit code 1 when they differ
#[derive(Debug, ClapArgs)]
pub struct Compare {
    #[command(flatten)]
    place: Place,
}

/// Bring one of primary and backup in step with the other; exit code 1 when they still differ
///
/// Keys cross wrapped under a transport key that is active on both. It is written into the audit log, so stop the
/// server first.
#[derive(Debug, ClapArgs)]
pub struct Replicate {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    person: Person,
    /// The one whose keys are right
    #[arg(long, value_enum)]
    from: SideName,
}

/// Let primary or backup act from the next start of the server on; two key administrators are needed
///
/// It is written into the audit log, so stop the server first. While that runs, it switches by itself when the acting
/// vault fails, and by request at the consoles.
#[derive(Debug, ClapArgs)]
pub struct Switch {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    person: Person,
    /// Sign-in name of the second person, who signs in as well
    #[arg(long = "with", value_name = "NAME")]
    second: String,
    /// The one that shall act
    #[arg(long, value_enum)]
    to: SideName,
    /// Although the two differ, or the other does not answer: you vouch for its keys
    #[arg(long)]
    as_it_is: bool,
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SideName {
    /// The first.
    Primary,
    /// The second.
    Backup,
}

impl From<SideName> for Side {
    fn from(name: SideName) -> Side {
        match name {
            SideName::Primary => Side::Primary,
            SideName::Backup => Side::Backup,
        }
    }
}

fn pair_of(vaults: Option<Vaults>) -> anyhow::Result<Arc<Pair>> {
    let pair = vaults.and_then(|vaults| vaults.pair);
    pair.context("the configuration names no primary and backup: set backend = \"pair\" in [vault]")
}

fn in_step(differences: &[Difference]) -> ExitCode {
    for difference in differences {
        println!("{difference}");
    }
    match differences.len() {
        0 => {
            println!("in step");
            ExitCode::SUCCESS
        }
        count => {
            println!("out of step: {count} differences");
            ExitCode::FAILURE
        }
    }
}

fn note(
    store: &Store,
    act: &Act,
    what: &str,
    object: &str,
    outcome: Outcome,
    detail: &str,
) -> Result<u64, StoreError> {
    store.write(|tx| audit::append(tx, act, what, object, outcome, detail))
}

impl Compare {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let pair = pair_of(installation::open_vault(&self.place.config()?)?)?;
        let differences = pair.compare()?;
        let standing = pair.standing();
        for (side, member) in [(Side::Primary, standing.primary), (Side::Backup, standing.backup)] {
            let status = member.status;
            println!(
                "{side:<8} {} {}, {} keys: {}",
                status.backend, status.version, status.keys, member.condition
            );
        }
        Ok(in_step(&differences))
    }
}

impl Replicate {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let config = self.place.config()?;
        let store = installation::open_store(&config)?;
        let act = self.person.act(&config, &store, Permission::ManageKeys)?;
        let pair = pair_of(installation::open_logged_vault(&config, &store)?)?;
        let from = Side::from(self.from);
        let done = pair.replicate(from)?;
        let Replication { copied, moved, refused, left } = &done;
        let object = format!("{} vault", from.other());
        let outcome = if left.is_empty() { Outcome::Done } else { Outcome::Refused };
        let detail = format!(
            "{} keys from the {from}, {} states, {} refused, {} differences left",
            copied.len(),
            moved.len(),
            refused.len(),
            left.len()
        );
        note(&store, &act, "key/replicate", &object, outcome, &detail)?;
        for place in copied {
            println!("{place}: brought over");
        }
        for (place, state) in moved {
            println!("{place}: now {state}");
        }
        for (place, why) in refused {
            println!("{place}: {why}");
        }
        Ok(in_step(left))
    }
}

impl Switch {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let config = self.place.config()?;
        let store = installation::open_store(&config)?;
        let asks = self.person.act(&config, &store, Permission::ManageKeys)?;
        let agrees = Person::named(&self.second).act(&config, &store, Permission::ManageKeys)?;
        if asks.who == agrees.who {
            bail!("switching over takes two people: --with names another than --as");
        }
        let pair = pair_of(installation::open_logged_vault(&config, &store)?)?;
        let to = Side::from(self.to);
        if pair.acting() == to {
            bail!("the {to} vault acts already");
        }
        let how = if self.as_it_is { SwitchOver::AsItIs } else { SwitchOver::InStep };
        let done = pair.switch_over(how);
        let outcome = if done.is_ok() { Outcome::Done } else { Outcome::Refused };
        let why = done.as_ref().err().map(|error| format!(": {error}")).unwrap_or_default();
        let detail = format!("with {}, {how:?}{why}", agrees.who);
        note(&store, &asks, "vault/switch", &format!("{to} vault"), outcome, &detail)?;
        done?;
        println!("the {to} vault acts");
        Ok(ExitCode::SUCCESS)
    }
}
