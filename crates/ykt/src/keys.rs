//! `ykt keys`: the registry of keys, and what two people do to them.
//!
//! Looking needs no more than the data directory and what opens its vault. Whoever asks or decides signs in (`--as`);
//! who decides reads what will happen before the password is asked for.

mod asking;
mod tree;

pub use asking::ask;

use crate::installation::{self, Place};
use crate::machine::SystemRng;
use crate::who::Person;
use anyhow::{Context, bail};
use asking::{approve, list, request, told, waiting};
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;
use tree::{Wanted, show, tree, tree_json};
use ykt_base::hex::Hex;
use ykt_kmc::registry::groups::{self, Group};
use ykt_kmc::{Centre, Operation, PlaceName, registry};
use ykt_office::people::Permission;
use ykt_office::requests::RequestId;
use ykt_vault::pair::{Side, SwitchOver};
use ykt_vault::{KeyAddress, KeyAlgorithm, KeyPlace, KeyRef, KeyState, exchange};
use ykt_web::Config;

/// Look at keys, ask for what is to be done to them, and decide what others asked for
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "A key is named KIND.INDEX.VERSION, a city's or card's with .LEVEL.OWNER behind it, as `ykt keys tree` shows.\n\n\
                  Examples:\n  ykt keys tree --state active\n  ykt keys request --as keys1 --reason \"second generation\" generate load.1.2\n  \
                  ykt keys approve --as keys2 3F2A00C1D49E7788"
)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    act: KeysAct,
}

#[derive(Debug, Subcommand)]
enum KeysAct {
    /// Every key: kind, level, owner, version, check value, state, and where vault and registry differ
    Tree {
        /// Only keys of one application: centre, card, purse, tickets, psam, key-card, bank, m1, sms
        #[arg(long)]
        family: Option<String>,
        /// Only keys in one state: generated, active, retired, destroyed
        #[arg(long)]
        state: Option<String>,
        /// Only keys about which vault and registry differ
        #[arg(long)]
        differences: bool,
        /// As JSON, one object a key
        #[arg(long)]
        json: bool,
    },
    /// One key with its life
    Show {
        /// Its name
        key: PlaceName,
    },
    /// What was asked for; without an option what waits for a decision or was cut short
    Requests {
        /// Also what is settled
        #[arg(long)]
        all: bool,
        /// As JSON, one object a request
        #[arg(long)]
        json: bool,
    },
    /// Ask for something to be done; another key administrator approves it
    Request {
        #[command(flatten)]
        asking: Asking,
        #[command(subcommand)]
        operation: Asked,
    },
    /// Ask to hand keys out under a transport key
    Export {
        #[command(flatten)]
        asking: Asking,
        /// Who gets them
        #[arg(long, value_name = "PARTY")]
        to: String,
        /// The transport key both sides have
        #[arg(long, default_value = "key-transport.1.1", value_name = "KEY")]
        transport: PlaceName,
        /// Every key of a group
        #[arg(long, conflicts_with = "keys")]
        group: Option<String>,
        /// The keys
        #[arg(required_unless_present = "group")]
        keys: Vec<PlaceName>,
    },
    /// Ask to take in the keys of an exchange file
    Import {
        #[command(flatten)]
        asking: Asking,
        /// Who sends them
        #[arg(long, value_name = "PARTY")]
        from: String,
        /// The transport key both sides have
        #[arg(long, default_value = "key-transport.1.1", value_name = "KEY")]
        transport: PlaceName,
        /// The file: signed by a centre, or a bare table
        file: PathBuf,
    },
    /// Approve what somebody else asked for; it is done at once
    Approve {
        #[command(flatten)]
        person: Person,
        /// The requests
        #[arg(required_unless_present = "all", value_name = "ID")]
        ids: Vec<RequestId>,
        /// Every request that waits and that you did not make
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
    /// Refuse what somebody else asked for
    Refuse {
        #[command(flatten)]
        person: Person,
        /// Why
        #[arg(long)]
        why: String,
        /// The request
        id: RequestId,
    },
    /// Withdraw what you asked for
    Withdraw {
        #[command(flatten)]
        person: Person,
        /// The request
        id: RequestId,
    },
    /// Carry out again what was approved while the vault did not answer
    Resume {
        #[command(flatten)]
        person: Person,
        /// The request
        id: RequestId,
    },
    /// Write the file of an approved export
    File {
        /// The request
        id: RequestId,
        /// The new file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Take keys that nobody registered into the registry, as found
    Register {
        #[command(flatten)]
        person: Person,
    },
    /// Named sets of keys: list them, or give one its keys
    Groups {
        #[command(subcommand)]
        act: Option<GroupAct>,
    },
}

#[derive(Debug, ClapArgs)]
struct Asking {
    #[command(flatten)]
    person: Person,
    /// Why, for whoever approves it
    #[arg(long)]
    reason: String,
    /// Id of the request, 1 to 64 of A-Z a-z 0-9 . _ - [default: a new one]
    #[arg(long, value_name = "ID")]
    id: Option<RequestId>,
}

#[derive(Debug, Subcommand)]
enum Asked {
    /// Make a new key in the vault
    Generate {
        /// Its name
        key: PlaceName,
        /// What it computes with: 3des, sm4, aes-256, sm2 [default: the usual one of its kind]
        #[arg(long)]
        algorithm: Option<String>,
    },
    /// Derive root keys from a seed
    Derive {
        /// The seed
        seed: PlaceName,
        /// The roots
        #[arg(required = true)]
        keys: Vec<PlaceName>,
    },
    /// Take new keys into use; the active one of the same kind and index is retired. Each key is a request of its own
    Activate {
        /// Their names
        #[arg(required_unless_present = "generated", value_name = "KEY")]
        keys: Vec<PlaceName>,
        /// Every key that is generated and not in use, as a ceremony leaves them
        #[arg(long, conflicts_with = "keys")]
        generated: bool,
    },
    /// Take a key out of use: cards that hold it are served, none gets it any more
    Retire {
        /// Its name
        key: PlaceName,
    },
    /// Take a retired key into use again
    Restore {
        /// Its name
        key: PlaceName,
    },
    /// Wipe a key for good
    Destroy {
        /// Its name
        key: PlaceName,
    },
    /// Bring the vault that stands by in step with the one that acts
    Replicate,
    /// Let the other vault of a pair act
    SwitchOver {
        /// Which: primary, backup
        #[arg(value_parser = side)]
        to: Side,
        /// Whether the two must be in step
        #[arg(long, value_enum, default_value = "in-step")]
        how: How,
    },
    /// Open a planned campaign
    StartCampaign {
        /// Its name
        name: String,
    },
}

/// What those who switch a pair over vouch for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum How {
    /// The two must be in step
    InStep,
    /// The other one's keys are taken as they are
    AsItIs,
}

fn side(name: &str) -> Result<Side, String> {
    Side::from_name(name).ok_or_else(|| "expected primary or backup".to_owned())
}

#[derive(Debug, Subcommand)]
enum GroupAct {
    /// Make a group, or give one other keys
    Set {
        #[command(flatten)]
        person: Person,
        /// What it is
        #[arg(long)]
        title: String,
        /// Its name: 1 to 32 of a-z 0-9 -
        group: String,
        /// Its keys
        keys: Vec<PlaceName>,
    },
}

/// Opens the centre of an installation.
///
/// # Errors
/// When database or vault do not open, or there is no vault.
pub fn open(place: &Place) -> anyhow::Result<(Config, Centre)> {
    let config = place.config()?;
    let store = installation::open_store(&config)?;
    let Some(vaults) = installation::open_logged_vault(&config, &store)? else {
        bail!("there is no vault: {}", installation::NO_VAULT);
    };
    installation::refuse_demonstration(&config, &store, Some(&vaults))?;
    let centre = installation::centre(&store, &vaults)?;
    installation::begin(&centre)?;
    Ok((config, centre))
}

/// Runs the command.
///
/// # Errors
/// When the installation does not open, or what was asked is refused.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let desk = open(&args.place)?;
    let (config, centre) = &desk;
    let act = |person: &Person| person.act(config, &centre.store, Permission::ManageKeys);
    match &args.act {
        KeysAct::Tree { family, state, differences, json } => {
            let wanted =
                Wanted { family: family.as_deref(), state: state.as_deref(), differences: *differences };
            if *json { tree_json(centre, &wanted) } else { tree(centre, &wanted) }
        }
        KeysAct::Show { key } => show(centre, key),
        KeysAct::Requests { all, json } => list(centre, *all, *json),
        KeysAct::Request { asking, operation } => {
            let asker = (&asking.person, asking.reason.as_str(), asking.id.clone());
            ask(&desk, asker, &operations_of(centre, operation)?)
        }
        KeysAct::Export { asking, to, transport, group, keys } => {
            let places = match group {
                Some(name) => {
                    let group = centre.store.read(|tx| groups::one(tx, name))?;
                    group.with_context(|| format!("there is no group {name}"))?.places
                }
                None => keys.iter().map(|key| key.0).collect(),
            };
            let operation = Operation::Export { party: to.clone(), transport: root(transport)?, places };
            ask(&desk, (&asking.person, &asking.reason, asking.id.clone()), &[operation])
        }
        KeysAct::Import { asking, from, transport, file } => {
            let transport = root(transport)?;
            let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            let kcv = centre.vault.kcv(&KeyAddress::Shared(transport))?;
            let read = exchange::read(&text, &centre.vault.status().levels, kcv)
                .with_context(|| file.display().to_string())?;
            match &read.sender {
                Some(sender) => {
                    println!("signed by {} at {}", sender.from, sender.at);
                    println!("public key {}", Hex(sender.signer.as_bytes()));
                }
                None => println!("a bare table: nobody signed it"),
            }
            let keys = read.keys.into_iter().map(|(_, key)| key).collect();
            let operation = Operation::Import { party: from.clone(), transport, keys };
            ask(&desk, (&asking.person, &asking.reason, asking.id.clone()), &[operation])
        }
        KeysAct::Approve { person, all: true, .. } => approve(&desk, person, &waiting(centre, person)?),
        KeysAct::Approve { person, ids, .. } => {
            let requests: Vec<_> = ids.iter().map(|id| request(centre, id)).collect::<anyhow::Result<_>>()?;
            approve(&desk, person, &requests)
        }
        KeysAct::Refuse { person, why, id } => Ok(told(&centre.refuse(&act(person)?, id, why)?)),
        KeysAct::Withdraw { person, id } => Ok(told(&centre.withdraw(&act(person)?, id)?)),
        KeysAct::Resume { person, id } => Ok(told(&centre.run(&act(person)?, id, &mut SystemRng)?)),
        KeysAct::File { id, out } => {
            let file = centre.store.read(|tx| registry::export_file(tx, id.as_str()))?;
            let file = file.with_context(|| format!("request {id} has no file: it is no approved export"))?;
            if out.exists() {
                bail!("{} is there already: name a new file", out.display());
            }
            std::fs::write(out, file).with_context(|| out.display().to_string())?;
            println!("{}", out.display());
            Ok(ExitCode::SUCCESS)
        }
        KeysAct::Register { person } => {
            println!("{} keys are registered", centre.take_over(&act(person)?)?);
            Ok(ExitCode::SUCCESS)
        }
        KeysAct::Groups { act: None } => {
            for Group { name, title, places } in centre.store.read(groups::list)? {
                println!("{name:<32} {:>5} keys  {title}", places.len());
            }
            Ok(ExitCode::SUCCESS)
        }
        KeysAct::Groups { act: Some(GroupAct::Set { person, title, group: name, keys }) } => {
            let places = keys.iter().map(|key| key.0).collect();
            let group = Group { name: name.clone(), title: title.clone(), places };
            let act = act(person)?;
            centre.store.write(|tx| groups::put(tx, &group, &act))?;
            println!("group {name} has {} keys", keys.len());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn operations_of(centre: &Centre, asked: &Asked) -> anyhow::Result<Vec<Operation>> {
    let operation = match asked {
        Asked::Generate { key: PlaceName(place), algorithm } => {
            let kind = place.key.kind;
            let named = algorithm.as_deref().map(|name| {
                KeyAlgorithm::from_name(name).with_context(|| format!("`{name}` is no algorithm of keys"))
            });
            let usual = kind.algorithms().first().copied();
            let algorithm = named.transpose()?.or(usual).context("keys of this kind are not made")?;
            Operation::Generate { place: *place, algorithm }
        }
        Asked::Derive { seed, keys } => Operation::DeriveRoots {
            seed: root(seed)?,
            keys: keys.iter().map(root).collect::<anyhow::Result<_>>()?,
        },
        Asked::Activate { keys, generated: false } => {
            return Ok(keys.iter().map(|key| Operation::Activate(key.0)).collect());
        }
        Asked::Activate { generated: true, .. } => {
            let tree = centre.tree()?;
            let leaves = tree.branches().into_iter().flat_map(|branch| branch.leaves);
            let new = leaves.filter(|leaf| leaf.state() == Some(KeyState::Generated));
            let operations: Vec<_> = new.map(|leaf| Operation::Activate(leaf.place)).collect();
            if operations.is_empty() {
                bail!("no key is generated and waits to be taken into use: see `ykt keys tree`");
            }
            return Ok(operations);
        }
        Asked::Retire { key } => Operation::Retire(key.0),
        Asked::Restore { key } => Operation::Restore(key.0),
        Asked::Destroy { key } => Operation::Destroy(key.0),
        Asked::Replicate => Operation::Replicate,
        Asked::SwitchOver { to, how } => Operation::SwitchOver {
            to: *to,
            how: match how {
                How::InStep => SwitchOver::InStep,
                How::AsItIs => SwitchOver::AsItIs,
            },
        },
        Asked::StartCampaign { name } => Operation::StartCampaign { campaign: name.clone() },
    };
    Ok(vec![operation])
}

/// A root key by its name.
fn root(name: &PlaceName) -> anyhow::Result<KeyRef> {
    if name.0 != KeyPlace::root(name.0.key) {
        bail!("{name} is no root key: name it KIND.INDEX.VERSION");
    }
    Ok(name.0.key)
}
