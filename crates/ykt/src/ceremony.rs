//! `ykt ceremony`: key ceremonies at one keyboard, one person after the other; and what is done with their papers.

mod dialogue;
mod paper;

use crate::installation::{self, Place};
use crate::keyboard::say;
use crate::keys;
use crate::machine::{SystemClock, SystemRng};
use crate::token::screen::Words;
use crate::who::Person as KeyAdministrator;
use anyhow::{Context, bail};
use clap::{Args as ClapArgs, Subcommand};
use paper::Paper;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use ykt_base::hex::{self, Hex};
use ykt_base::{Clock, DateTime};
use ykt_kmc::ceremonies::{self, CeremonyRow, NewCeremony};
use ykt_kmc::registry::{self, Source, Word};
use ykt_office::people::{self, People, Permission};
use ykt_store::{Paging, Store};
use ykt_vault::ceremony::{Ceremony, Component, Person, Plan, Protocol, Purpose, Way};
use ykt_vault::{
    KeyAlgorithm, KeyInfo, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, SoftVault, Vault,
};

/// Key ceremonies: components of custodians become keys, at one keyboard, one person after the other
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Make a new seed or key from components, and derive root keys from the seed
    New {
        #[command(flatten)]
        meeting: Meeting,
        #[command(flatten)]
        key: NewKey,
        /// Make a recovery share for each custodian; any so many of them give the key back
        #[arg(long, value_name = "M")]
        shares: Option<u8>,
        #[command(flatten)]
        paper: Paper,
    },
    /// Bring a key of an earlier ceremony into a vault that has it not, from its sheets or component cards; or the
    /// transport key of blank cards, from the components their maker sent
    Import {
        #[command(flatten)]
        meeting: Meeting,
        #[command(flatten)]
        key: NewKey,
        /// Combined KCV of the earlier ceremony, or the one the maker states, 6 hex digits
        #[arg(long, value_parser = kcv)]
        kcv: [u8; 3],
    },
    /// Rehearse an import: sheets and cards are compared with the vault's key, nothing is changed
    Rehearse {
        #[command(flatten)]
        meeting: Meeting,
    },
    /// Bring a key back from recovery shares
    Recover {
        #[command(flatten)]
        meeting: Meeting,
        #[command(flatten)]
        key: NewKey,
        /// Combined KCV of the ceremony that made the shares, 6 hex digits
        #[arg(long, value_parser = kcv)]
        kcv: [u8; 3],
    },
    /// Print specimen sheets of a worthless component, to try printer, folding and seals before the ceremony
    Sheets {
        #[command(flatten)]
        paper: Paper,
    },
    /// List ceremonies
    List {
        /// As JSON, one object a ceremony
        #[arg(long)]
        json: bool,
    },
    /// Print the protocol of a ceremony
    Protocol {
        /// Number of the ceremony
        number: String,
    },
    /// Sign the protocol of a ceremony that was held before the centre had its signing pair
    Sign {
        #[command(flatten)]
        person: KeyAdministrator,
        /// Number of the ceremony
        number: String,
    },
    /// Check digest and signature of a protocol; without a data directory of its own
    Verify {
        /// Protocol
        file: PathBuf,
        /// Public key of the centre's signing pair, 130 hex digits; without it the protocol's own is shown
        #[arg(long, value_name = "HEX")]
        signer: Option<String>,
    },
}

/// Who meets, where, for which key.
#[derive(Debug, ClapArgs)]
struct Meeting {
    /// Sign-in name of the key administrator who conducts
    #[arg(long = "as", value_name = "NAME")]
    administrator: String,
    /// Sign-in name of a custodian; once for each of two to eight
    #[arg(long = "custodian", value_name = "NAME", required = true)]
    custodians: Vec<String>,
    /// Where the ceremony is held
    #[arg(long, value_name = "TEXT")]
    room: String,
    /// The key, KIND.INDEX.VERSION
    #[arg(long, value_name = "KEY", default_value = "seed.1.1", value_parser = root)]
    key: KeyRef,
    /// Its algorithm: 3des, sm4 or aes-256
    #[arg(long, value_name = "NAME", default_value = "3des", value_parser = algorithm)]
    algorithm: KeyAlgorithm,
    /// Where the protocol goes, too; it is kept in the data directory in any case
    #[arg(long, value_name = "FILE")]
    protocol: Option<PathBuf>,
}

/// What is made from a seed.
#[derive(Debug, ClapArgs)]
struct NewKey {
    /// Root keys that are derived from the seed: `all`, `none`, or a list of kinds and KIND.INDEX.VERSION
    #[arg(long, value_name = "LIST", default_value = "all")]
    roots: String,
}

/// Runs the command.
///
/// # Errors
/// When somebody is not let in, the ceremony is aborted, or the installation cannot be used.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.act {
        Act::New { shares: Some(_), paper, .. } if !paper.is_there() => {
            bail!(
                "recovery shares are handed out on paper: say where sheets go, --print COMMAND or --sheets DIR"
            )
        }
        Act::New { meeting, key, shares, paper } => {
            hold(&args.place, meeting, Purpose::New { shares: *shares }, &key.roots, Some(paper))
        }
        Act::Import { meeting, key, kcv } => {
            hold(&args.place, meeting, Purpose::Import { kcv: *kcv }, &key.roots, None)
        }
        Act::Rehearse { meeting } => hold(&args.place, meeting, Purpose::Rehearsal, "none", None),
        Act::Recover { meeting, key, kcv } => {
            hold(&args.place, meeting, Purpose::Recovery { kcv: *kcv }, &key.roots, None)
        }
        Act::Sheets { paper } => specimen(paper),
        Act::List { json } => list(&open_store(&args.place)?, *json),
        Act::Protocol { number } => {
            let found = open_store(&args.place)?.read(|tx| ceremonies::protocol(tx, number))?;
            let text = found.with_context(|| format!("there is no ended ceremony {number}"))?;
            print!("{text}");
            Ok(ExitCode::SUCCESS)
        }
        Act::Sign { person, number } => sign(&args.place, person, number),
        Act::Verify { file, signer } => verify(file, signer.as_deref()),
    }
}

fn open_store(place: &Place) -> anyhow::Result<Store> {
    installation::open_store(&place.config()?)
}

fn hold(
    place: &Place,
    meeting: &Meeting,
    purpose: Purpose,
    roots: &str,
    paper: Option<&Paper>,
) -> anyhow::Result<ExitCode> {
    let roots = ceremonies::roots(roots, meeting.key)?;
    let new_roots = roots.clone();
    let new = NewCeremony {
        place: meeting.room.clone(),
        custodians: meeting.custodians.clone(),
        purpose,
        key: meeting.key,
        algorithm: meeting.algorithm,
        roots,
    };
    let config = place.config()?;
    let store = installation::open_store(&config)?;
    let Some(vault) = installation::open_logged_vault(&config, &store)? else {
        bail!("a ceremony needs the vault its key goes into: {}", installation::NO_VAULT);
    };
    installation::refuse_demonstration(&config, &store, Some(&vault))?;
    let people = People::new(store.clone(), config.sign_in_rules(), &mut SystemRng)?;
    are_ready(&people, &store, meeting)?;
    is_possible(&*vault.keys, &new)?;
    paper.map_or(Ok(()), Paper::is_ready)?;
    say(format_args!(
        "{}: {}",
        meeting.administrator,
        Words("the key administrator begins", "密钥管理员开始仪式")
    ));
    let act = dialogue::enter(&people, &meeting.administrator, Permission::ManageKeys)?;
    if let Some(sealed) = &vault.sealed {
        has_its_pair(sealed, &store, &act)?;
    }
    let centre = Arc::new(installation::centre(&store, &vault)?);
    centre.ceremonies.forget(act.at)?;
    let held = dialogue::hold(people, &centre, &act, new, paper)?;
    let text = store.read(|tx| ceremonies::protocol(tx, &held.number))?.unwrap_or_default();
    match &meeting.protocol {
        Some(file) => {
            let kept = format!("it is kept; `ykt ceremony protocol {}` prints it", held.number);
            std::fs::write(file, &text).with_context(|| format!("protocol {}: {kept}", file.display()))?;
            say(format_args!("{} {}", Words("protocol", "仪式记录"), file.display()));
        }
        None => say(text),
    }
    let activate = "ykt keys request --as NAME --reason TEXT activate --generated";
    if held.right && !new_roots.is_empty() {
        say(format_args!(
            "{}\n  {activate}",
            Words("two key administrators take the keys into use:", "请两名密钥管理员启用：")
        ));
    }
    Ok(if held.right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everybody can sign in on the day: nobody finds in the middle of a ceremony that his password is an old one.
fn are_ready(people: &People, store: &Store, meeting: &Meeting) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let mut late = Vec::new();
    for name in meeting.custodians.iter().chain([&meeting.administrator]) {
        let user = store.read(|tx| people::user(tx, name))?;
        if user.is_some_and(|user| people.must_change_password(&user, now)) {
            late.push(format!("\n  ykt user change-password {name}"));
        }
    }
    if late.is_empty() {
        return Ok(());
    }
    bail!("these passwords must be changed before the ceremony / 仪式前须先修改口令:{}", late.concat())
}

/// The vault can take the key in the end, or has the one to compare with: said before anybody has given a component.
fn is_possible(vault: &dyn KeyManagement, new: &NewCeremony) -> anyhow::Result<()> {
    let there = vault.list()?;
    let find = |key: &KeyRef| there.iter().find(|info| info.place() == KeyPlace::root(*key));
    if new.purpose == Purpose::Rehearsal {
        find(&new.key)
            .with_context(|| format!("the vault has no {}: there is nothing to rehearse", new.key))?;
    } else if let Some(taken) = std::iter::once(&new.key).chain(&new.roots).find_map(find) {
        bail!(
            "the vault has this key already: {taken}. Name another version (--key, --roots); `ykt ceremony rehearse` \
             compares sheets and cards with the one that is there, `ykt keys request` derives roots that are missing"
        );
    }
    Ok(())
}

/// Sees to the pair that signs the centre's protocols. The first ceremony makes it: so many people are never together
/// again.
fn has_its_pair(vault: &SoftVault, store: &Store, act: &ykt_office::Act) -> anyhow::Result<()> {
    let is_pair = |info: &KeyInfo| info.key.kind == KeyKind::Signing && info.state == KeyState::Active;
    if vault.list()?.iter().any(is_pair) {
        return Ok(());
    }
    let place = KeyPlace::root(KeyRef::new(KeyKind::Signing, 1, 1));
    let made = vault.generate(place, KeyAlgorithm::Sm2, &mut SystemRng)?;
    vault.change_state(&place, KeyState::Active)?;
    let made = KeyInfo { state: KeyState::Active, ..made };
    store.write(|tx| registry::came(tx, &made, (Source::Generated, ""), Word::of(act)))?;
    say(format_args!(
        "{}\n  {made}",
        Words("the centre has its signing pair now:", "中心签名密钥对已生成：")
    ));
    Ok(())
}

fn list(store: &Store, as_json: bool) -> anyhow::Result<ExitCode> {
    let page = store.read(|tx| ceremonies::list(tx, None, Paging::first(1_000)))?;
    if as_json {
        println!("{:#}", Value::Array(page.rows.iter().map(row_json).collect()));
        return Ok(ExitCode::SUCCESS);
    }
    for row in &page.rows {
        let kcv = row.kcv.map_or_else(|| "-".to_owned(), |kcv| Hex(&kcv).to_string());
        let CeremonyRow { number, purpose, key, state, began_at, administrator, .. } = row;
        println!("{number:<12}  {began_at}  {purpose:<9}  {state:<8}  KCV {kcv:<6}");
        println!("    {key}, by {administrator}");
    }
    Ok(ExitCode::SUCCESS)
}

fn sign(place: &Place, person: &KeyAdministrator, number: &str) -> anyhow::Result<ExitCode> {
    let (config, centre) = keys::open(place)?;
    let Some(signer) = centre.signer.clone() else {
        bail!("the centre has no signing pair: make and activate signing.1.1 first (ykt keys request)");
    };
    let protocol = centre.store.read(|tx| ceremonies::protocol(tx, number))?;
    protocol.with_context(|| format!("there is no ended ceremony {number}"))?;
    let act = person.act(&config, &centre.store, Permission::ManageKeys)?;
    centre.ceremonies.sign(&act, number, &*signer, &mut SystemRng)?;
    println!("the protocol of ceremony {number} is signed");
    Ok(ExitCode::SUCCESS)
}

fn row_json(row: &CeremonyRow) -> Value {
    json!({
        "number": row.number,
        "purpose": row.purpose,
        "key": row.key,
        "algorithm": row.algorithm,
        "place": row.place,
        "administrator": row.administrator,
        "state": row.state.to_string(),
        "began_at": row.began_at.to_string(),
        "ended_at": row.ended_at.map(|at| at.to_string()),
        "kcv": row.kcv.map(|kcv| Hex(&kcv).to_string()),
        "signed": row.signed,
    })
}

fn verify(file: &Path, expected: Option<&str>) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(file).with_context(|| format!("protocol {}", file.display()))?;
    let signed = Protocol::verify(&text).with_context(|| format!("protocol {}", file.display()))?;
    let found = Hex(signed.signer().as_bytes()).to_string();
    match expected {
        Some(expected) if !expected.eq_ignore_ascii_case(&found) => {
            bail!("{}: signed by another: expected {expected}, found {found}", file.display())
        }
        Some(_) => println!("{}: right, signed by the centre / 正确，由本中心签名", file.display()),
        None => println!(
            "{}: not altered, signed by {found}; compare this key with your centre's / 未被改动，请核对签名公钥",
            file.display()
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// Sheets as in a ceremony of two, with components of this moment that are used for nothing.
fn specimen(paper: &Paper) -> anyhow::Result<ExitCode> {
    let person =
        |name: &str, full_name: &str| Person { name: name.to_owned(), full_name: full_name.to_owned() };
    let plan = Plan {
        number: "SPECIMEN".to_owned(),
        place: "样张 Specimen".to_owned(),
        administrator: person("administrator", "样张 Specimen"),
        custodians: vec![person("specimen1", "样张一 Specimen 1"), person("specimen2", "样张二 Specimen 2")],
        algorithm: KeyAlgorithm::Tdes,
        purpose: Purpose::New { shares: None },
        key: KeyRef::new(KeyKind::Seed, 1, 1),
        roots: Vec::new(),
    };
    let now: DateTime = SystemClock.now();
    let mut ceremony = Ceremony::begin(plan, now)?;
    for name in ["specimen1", "specimen2"] {
        let component = Component::draw(KeyAlgorithm::Tdes, &mut SystemRng)?;
        ceremony.give(name, component, Way::Drawn, now)?;
    }
    let sheet = ceremony.hand_out("specimen1", &mut SystemRng, now)?;
    paper.put_out(&sheet)?;
    Ok(ExitCode::SUCCESS)
}

fn kcv(text: &str) -> Result<[u8; 3], String> {
    hex::decode(text).map_err(|error| error.to_string())
}

fn algorithm(text: &str) -> Result<KeyAlgorithm, String> {
    KeyAlgorithm::from_name(text).ok_or_else(|| "expected 3des, sm4 or aes-256".to_owned())
}

fn root(text: &str) -> Result<KeyRef, String> {
    ceremonies::root(text).map_err(|error| error.to_string())
}
