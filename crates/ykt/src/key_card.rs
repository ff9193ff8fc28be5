//! `ykt key-card`: key cards (母卡) from the blank chip to the block, and user cards made with them.

use crate::card::{DebugPin, code, pin, validity};
use crate::installation::{self, Place};
use crate::key_desk::{self, KeyDesk};
use crate::machine::SystemClock;
use crate::slot::{self, Slot, open_profile, open_profile_text};
use crate::who::{FROM, Person, secret};
use anyhow::{Context, bail};
use clap::Subcommand;
use std::process::ExitCode;
use ykt_base::hex::Hex;
use ykt_base::{Asn8, Clock, KeyIndex, KeyVersion, PsamSerial};
use ykt_issue::{CardData, Progress};
use ykt_kmc::key_cards::{
    self, Change, Desk, KeyCardFilter, KeyCardRow, Load, NewKeyCard, issue as issue_card,
};
use ykt_office::Act;
use ykt_office::people::Permission;
use ykt_purse::files::city_factor;
use ykt_purse::key_card::{AllowedKinds, IssueKind};
use ykt_purse::write_key::Pin;
use ykt_store::{PAGE_ROWS_MAX, Paging};
use ykt_terminal::key_card::KeyCard;
use ykt_vault::{KeyKind, KeyRef};

/// Key cards (母卡): make, load, limit, look at and block them, and issue user cards with them
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Init(Init),
    Load(LoadKeys),
    Attributes(Attributes),
    Password(Password),
    /// Ask a key card what it holds, and compare that with the vault and the inventory
    Info(AtDesk),
    /// List the inventory, or show the history of one key card
    List {
        /// Serial number, 20 digits
        serial: Option<PsamSerial>,
    },
    /// Block a key card for good
    Block(AtDesk),
    Issue(Issue),
    /// Write down that a key card leaves the centre
    Give {
        #[command(flatten)]
        person: Person,
        /// Serial number, 20 digits
        serial: PsamSerial,
        /// Who gets it
        #[arg(long)]
        to: String,
    },
    /// Write down that a key card is back
    Return {
        #[command(flatten)]
        person: Person,
        /// Serial number, 20 digits
        serial: PsamSerial,
    },
}

/// A key card in a reader, and who works with it.
#[derive(Debug, clap::Args)]
struct AtDesk {
    #[command(flatten)]
    person: Person,
    /// Where the key card is: reader (number or part of the name) or image file
    #[arg(long, value_name = "READER|FILE")]
    slot: String,
}

/// Initialise a blank chip as a key card (洗卡): files, own keys, PIN, attributes; takes it into the inventory
#[derive(Debug, clap::Args)]
struct Init {
    #[command(flatten)]
    desk: AtDesk,
    /// Serial number, 20 digits
    #[arg(long)]
    serial: PsamSerial,
    /// Batch it belongs to
    #[arg(long, default_value = "")]
    batch: String,
    /// What is printed on it
    #[arg(long, default_value = "")]
    label: String,
    /// Cities whose cards it may issue, 4 digits each
    #[arg(long, default_value = "2144", value_delimiter = ',', value_parser = code)]
    city: Vec<[u8; 2]>,
    /// How many cards it may issue
    #[arg(long, default_value_t = 1_000, value_name = "NUMBER")]
    cards: u32,
    /// Kinds of keys it may give away [default: all the profile carries]
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    kinds: Vec<KeyKind>,
    /// Index of the transport key the chips of this batch come with [default: the profile's, common to all]
    #[arg(long, value_name = "INDEX")]
    transport: Option<u8>,
    /// PIN of its operator, 4 to 12 digits [default: asked for, or a line of standard input]
    #[arg(long, value_parser = pin)]
    pin: Option<DebugPin>,
    /// Shipped profile, or a profile file (docs/profiles.md)
    #[arg(long, default_value = "key-card", value_name = "NAME|FILE")]
    profile: String,
    /// Tell each step
    #[arg(long, short)]
    verbose: bool,
}

/// Load the keys it gives away, or newer versions of them; the same usage and version is replaced
#[derive(Debug, clap::Args)]
struct LoadKeys {
    #[command(flatten)]
    desk: AtDesk,
    /// Keys: KIND or KIND/VERSION, such as purchase/2 [default: all the profile carries]
    #[arg(long, value_name = "KIND[/VERSION]", value_delimiter = ',', value_parser = load)]
    keys: Vec<Load>,
    /// Tell each step
    #[arg(long, short)]
    verbose: bool,
}

/// Change how many cards it may issue, which keys it may give away, and for which cities
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true, id = "change", args = ["cards", "kinds", "city"])]
struct Attributes {
    #[command(flatten)]
    desk: AtDesk,
    /// How many cards it may issue from now on
    #[arg(long, value_name = "NUMBER")]
    cards: Option<u32>,
    /// Kinds of keys it may give away
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    kinds: Vec<KeyKind>,
    /// Cities whose cards it may issue, 4 digits each
    #[arg(long, value_delimiter = ',', value_parser = code)]
    city: Vec<[u8; 2]>,
}

/// Set the operator's PIN; change it as its operator; or unblock it after three wrong ones
#[derive(Debug, clap::Args)]
struct Password {
    #[command(flatten)]
    desk: AtDesk,
    /// The new PIN, 4 to 12 digits [default: asked for, or a line of standard input]
    #[arg(long, value_parser = pin)]
    new: Option<DebugPin>,
    /// The PIN as it is: the card itself checks it, no key is needed
    #[arg(long, value_parser = pin, conflicts_with = "unblock")]
    old: Option<DebugPin>,
    /// The PIN is blocked: give it its tries back, under the unblock key
    #[arg(long)]
    unblock: bool,
}

/// Issue a user card with a key card, without vault or connection
#[derive(Debug, clap::Args)]
struct Issue {
    /// Where the key card is: reader (number or part of the name) or image file
    #[arg(long, value_name = "READER|FILE")]
    slot: String,
    /// Where the blank user card is
    #[arg(long, value_name = "READER|FILE")]
    card: String,
    /// PIN of the key card's operator [default: asked for, or a line of standard input]
    #[arg(long, value_parser = pin)]
    pin: Option<DebugPin>,
    /// Profile for places without connection, whose keys are all a key card's (docs/cards/key-card.md)
    #[arg(long, value_name = "NAME|FILE")]
    profile: String,
    /// Card number, 16 digits
    #[arg(long, value_name = "ASN")]
    serial: Asn8,
    /// City code, 4 digits
    #[arg(long, default_value = "2144", value_parser = code)]
    city: [u8; 2],
    /// Tell each step
    #[arg(long, short)]
    verbose: bool,
}

fn kind(text: &str) -> Result<KeyKind, String> {
    let known = || {
        let carried = KeyKind::ALL.iter().filter(|kind| kind.issue_kind().is_some());
        carried.map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
    };
    let found = KeyKind::from_name(text).filter(|kind| kind.issue_kind().is_some());
    found.ok_or_else(|| format!("expected one of {}", known()))
}

fn load(text: &str) -> Result<Load, String> {
    let (name, version) = match text.split_once('/') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    };
    let version =
        version.map(|version| version.parse::<u8>().map_err(|_| "expected a version from 0 to 255"));
    Ok(Load { kind: kind(name)?, version: version.transpose()?.map(KeyVersion) })
}

/// Runs the command.
///
/// # Errors
/// When the data directory or the vault cannot be used, or the card does not do it.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Init(init) => initialise(&args.place, init)?,
        Action::Load(keys) => {
            let done = at_desk(&args.place, &keys.desk, |desk, card| {
                Ok(desk.load(card, &keys.keys, &mut |step| tell(keys.verbose, &step))?)
            })?;
            println!("key card {} is {}", done.new.serial, done.state);
        }
        Action::Attributes(attributes) => {
            let factors = attributes.city.iter().map(|code| city_factor(*code)).collect::<Vec<_>>();
            let change = Change {
                cards: attributes.cards,
                kinds: (!attributes.kinds.is_empty()).then(|| kinds_of(&attributes.kinds)),
                cities: (!factors.is_empty()).then_some(factors),
            };
            let done =
                at_desk(&args.place, &attributes.desk, |desk, card| Ok(desk.attributes(card, &change)?))?;
            println!("key card {} may issue {} cards", done.new.serial, done.left);
        }
        Action::Password(password) => change_password(&args.place, password)?,
        Action::Info(at) => return info(&args.place, at),
        Action::List { serial } => list(&args.place, serial.as_ref())?,
        Action::Block(at) => {
            let done = at_desk(&args.place, at, |desk, card| Ok(desk.block(card)?))?;
            println!("key card {} is blocked for good", done.new.serial);
        }
        Action::Issue(issue) => issue_one(&args.place, issue)?,
        Action::Give { person, serial, to } => {
            let (store, act) = inventory(&args.place, person)?;
            store.write(|tx| key_cards::give(tx, serial, to, &act))?;
            println!("key card {serial} is given to {to}");
        }
        Action::Return { person, serial } => {
            let (store, act) = inventory(&args.place, person)?;
            store.write(|tx| key_cards::take_back(tx, serial, &act))?;
            println!("key card {serial} is back");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An act on the card in a slot, with the vault at hand.
fn at_desk(
    place: &Place,
    at: &AtDesk,
    work: impl FnOnce(&Desk<'_>, &mut Slot) -> anyhow::Result<KeyCardRow>,
) -> anyhow::Result<KeyCardRow> {
    let KeyDesk { store, keys, act, .. } = key_desk::open(place, &at.person)?;
    work(&Desk { store: &store, vault: &*keys, act }, &mut Slot::open(&at.slot)?)
}

fn inventory(place: &Place, person: &Person) -> anyhow::Result<(ykt_store::Store, Act)> {
    let config = place.config()?;
    let store = installation::open_store(&config)?;
    let act = person.act(&config, &store, Permission::ProduceCards)?;
    Ok((store, act))
}

/// The PIN of an argument, or one that is typed without being shown.
fn pin_of(given: Option<&DebugPin>, what: &str) -> anyhow::Result<Pin> {
    if let Some(DebugPin(pin)) = given {
        return Ok(pin.clone());
    }
    Pin::from_digits(&secret(what)?).context("a PIN has 4 to 12 digits")
}

fn tell(verbose: bool, step: &Progress<'_>) {
    slot::tell(verbose, step);
}

fn kinds_of(kinds: &[KeyKind]) -> AllowedKinds {
    AllowedKinds::of(&kinds.iter().filter_map(|kind| kind.issue_kind()).collect::<Vec<IssueKind>>())
}

fn initialise(place: &Place, init: &Init) -> anyhow::Result<()> {
    let (text, profile) = open_profile_text(&init.profile)?;
    let transport = init.transport.map(|index| KeyRef { index: KeyIndex(index), ..profile.transport });
    let new = NewKeyCard {
        serial: init.serial,
        batch: init.batch.clone(),
        label: init.label.clone(),
        profile: text,
        transport,
        cities: init.city.iter().map(|code| city_factor(*code)).collect(),
        kinds: if init.kinds.is_empty() { profile.issue_kinds() } else { kinds_of(&init.kinds) },
        cards: init.cards,
    };
    let row = at_desk(place, &init.desk, |desk, card| {
        let pin = pin_of(init.pin.as_ref(), "PIN of the key card's operator")?;
        desk.store.write(|tx| key_cards::register(tx, &new, &profile, &desk.act))?;
        Ok(desk.initialise(card, &init.serial, &pin, &mut |step| tell(init.verbose, &step))?)
    })?;
    println!("key card {} is initialised: may issue {} cards, holds no keys yet", row.new.serial, row.left);
    Ok(())
}

fn change_password(place: &Place, password: &Password) -> anyhow::Result<()> {
    if let Some(old) = &password.old {
        let mut card = Slot::open(&password.desk.slot)?;
        let new = pin_of(password.new.as_ref(), "new PIN")?;
        KeyCard::open(&mut card)?.change_pin(old.0.clone(), new)?;
        println!("the PIN is changed");
        return Ok(());
    }
    let row = at_desk(place, &password.desk, |desk, card| {
        let new = pin_of(password.new.as_ref(), "new PIN")?;
        Ok(if password.unblock { desk.unblock_pin(card, &new)? } else { desk.set_pin(card, &new)? })
    })?;
    println!("the PIN of key card {} is set", row.new.serial);
    Ok(())
}

fn info(place: &Place, at: &AtDesk) -> anyhow::Result<ExitCode> {
    let KeyDesk { store, keys, act, .. } = key_desk::open(place, &at.person)?;
    let desk = Desk { store: &store, vault: &*keys, act };
    let report = desk.query(&mut Slot::open(&at.slot)?)?;
    println!("{}", line_of(&report.row));
    println!("kinds it may give away: {:08X}", report.facts.kinds.0);
    for key in &report.facts.keys {
        println!("  key {:02X} version {}: KCV {}", key.usage, key.version, Hex(&key.check));
    }
    for difference in &report.differences {
        println!("  differs: {difference}");
    }
    match report.differences.len() {
        0 => {
            println!("as the vault and the inventory have it");
            Ok(ExitCode::SUCCESS)
        }
        count => {
            println!("{count} differences");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn list(place: &Place, serial: Option<&PsamSerial>) -> anyhow::Result<()> {
    let store = installation::open_store(&place.config()?)?;
    let Some(serial) = serial else {
        let all = KeyCardFilter::default();
        let page = store.read(|tx| key_cards::list(tx, &all, Paging::first(PAGE_ROWS_MAX)))?;
        page.rows.iter().for_each(|row| println!("{}", line_of(row)));
        return Ok(());
    };
    println!("{}", line_of(&store.read(|tx| key_cards::key_card(tx, serial))?));
    for event in store.read(|tx| key_cards::history(tx, serial))? {
        println!("  {}  {:<14} {:<16} {}", event.at, event.event, event.who, event.detail);
    }
    Ok(())
}

fn line_of(row: &KeyCardRow) -> String {
    let holder = if row.holder.is_empty() { String::new() } else { format!(" to {}", row.holder) };
    format!(
        "{}  {}{holder}: {} issued, {} left, {} refused  {} {}",
        row.new.serial,
        row.state,
        row.issued(),
        row.left,
        row.refused,
        row.new.batch,
        row.new.label
    )
}

fn issue_one(place: &Place, issue: &Issue) -> anyhow::Result<()> {
    let store = installation::open_store(&place.config()?)?;
    let profile = open_profile(&issue.profile)?;
    let (start, expiry) = validity(None, None)?;
    let pin = pin_of(issue.pin.as_ref(), "PIN of the key card's operator")?;
    let data = CardData::of_city(issue.serial, issue.city, start, expiry, pin.clone());
    let mut mother = Slot::open(&issue.slot)?;
    let chip = key_cards::chip_of(&mut mother)?;
    let mut key_card = KeyCard::open(&mut mother).context("the card in the slot is no key card")?;
    key_card.verify(&pin)?;
    let mut card = Slot::open(&issue.card)?;
    let outcome =
        issue_card(&mut key_card, &mut card, &profile, &data, &mut |step| tell(issue.verbose, &step));
    let act = Act::of(FROM, FROM, SystemClock.now());
    key_cards::record_issue(&store, chip, &data, &outcome, &act)?;
    match outcome {
        Ok(left) => {
            println!("card {} is issued; the key card may issue {left} more", issue.serial);
            Ok(())
        }
        Err(error) => bail!(error),
    }
}
