//! `ykt card`: user cards in image files, made, looked at, talked to, and put into a virtual reader.

use crate::chip;
use crate::machine::{SystemClock, SystemRng};
use crate::person::Person;
use crate::slot::{self, make_image, open_keys, open_profile};
use crate::token::keys::{PUBLIC_KEY_INFO, create};
use anyhow::bail;
use std::path::PathBuf;
use std::process::ExitCode;
use ykt_base::hex;
use ykt_base::{Asn8, Clock, Date, IssuerFactor, PsamSerial, Rng};
use ykt_card::CardKind;
use ykt_issue::{CardData, KeyCardData, Profile, personalise_card, personalise_key_card};
use ykt_purse::files::city_factor;
use ykt_purse::write_key::Pin;
use ykt_vault::SoftVault;

/// What `ykt card` can do.
pub type Args = chip::Args<New>;

/// Make a card or key card: a blank one, personalised by the commands a real card would get
#[derive(Debug, clap::Args)]
pub struct New {
    /// Shipped profile (`ykt card profiles` lists them), or a profile file (docs/profiles.md)
    #[arg(long, default_value = "city-cpu", value_name = "NAME|FILE")]
    profile: String,
    /// Key file (docs/keys.toml explains it)
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Card number, 16 digits; of a key card its serial number [default: city code and random digits]
    #[arg(long, value_name = "ASN")]
    serial: Option<Asn8>,
    /// City code, 4 digits
    #[arg(long, default_value = "2144", value_parser = code)]
    city: [u8; 2],
    /// Issuer id of a PBOC or T-Union card, 16 hex digits [default: 0101, city code, FFFFFFFF]
    #[arg(long, value_name = "ID")]
    issuer: Option<IssuerFactor>,
    /// File with the holder's identity and bank cards (docs/person.toml is an example)
    #[arg(long, value_name = "FILE")]
    person: Option<PathBuf>,
    /// Put the public key of who signs the identity into this new file, for `ykt identity read`
    #[arg(long, value_name = "FILE", requires = "person")]
    signer: Option<PathBuf>,
    /// How many cards a key card may issue
    #[arg(long, default_value_t = 1_000, value_name = "NUMBER")]
    cards: u32,
    /// Main type of the card, 2 digits
    #[arg(long, default_value = "01", value_parser = byte)]
    main_type: u8,
    /// Sub type of the card, 2 digits
    #[arg(long, default_value = "00", value_parser = byte)]
    sub_type: u8,
    /// First day of use [default: today]
    #[arg(long, value_name = "DATE")]
    start: Option<Date>,
    /// Last day of use [default: ten years after the first]
    #[arg(long, value_name = "DATE")]
    expiry: Option<Date>,
    /// PIN of the holder, or of a key card's operator, 4 to 12 digits
    #[arg(long, default_value = "123456", value_parser = pin)]
    pin: DebugPin,
    /// Tell each step
    #[arg(long, short)]
    verbose: bool,
    /// Image file to be made
    file: PathBuf,
}

/// A PIN that no debug output shows.
#[derive(Clone)]
pub struct DebugPin(pub Pin);

impl std::fmt::Debug for DebugPin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PIN")
    }
}

/// Digits of a PIN.
pub fn pin(text: &str) -> Result<DebugPin, String> {
    Pin::from_digits(text).map(DebugPin).ok_or_else(|| "expected 4 to 12 digits".to_owned())
}

/// Four digits.
pub fn code(text: &str) -> Result<[u8; 2], String> {
    hex::decode(text).map_err(|error| error.to_string())
}

fn byte(text: &str) -> Result<u8, String> {
    hex::decode(text).map(|[byte]| byte).map_err(|error| error.to_string())
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    args.run("127.0.0.1:35963", make)
}

fn make(new: &New) -> anyhow::Result<ExitCode> {
    let profile = open_profile(&new.profile)?;
    let vault = open_keys(&new.keys, &profile)?;
    let asn = new.serial.unwrap_or_else(|| {
        let [a, b] = new.city;
        let [c, d, e, f, g, h] = decimal_digits();
        Asn8([a, b, c, d, e, f, g, h])
    });
    match profile.kind {
        CardKind::User => make_card(new, &profile, &vault, asn),
        CardKind::KeyCard => make_key_card(new, &profile, &vault, asn),
        CardKind::Psam => bail!("the profile {} is a PSAM's: make it with `ykt psam new`", profile.name),
    }
}

fn make_card(new: &New, profile: &Profile, vault: &SoftVault, asn: Asn8) -> anyhow::Result<ExitCode> {
    let (start, expiry) = validity(new.start, new.expiry)?;
    let mut data = CardData::of_city(asn, new.city, start, expiry, new.pin.0.clone());
    (data.main_type, data.sub_type) = (new.main_type, new.sub_type);
    data.issuer = new.issuer.unwrap_or(data.issuer);
    if let Some(file) = &new.person {
        let signer = Person::read(file)?.enter(&mut data, &new.keys)?;
        if let (Some(path), Some(key)) = (&new.signer, signer) {
            create(path, &[&PUBLIC_KEY_INFO[..], key.as_bytes()].concat())?;
        }
    }
    let commands = make_image(&new.file, profile, asn.0, |card| {
        Ok(personalise_card(card, vault, profile, &data, &mut |step| slot::tell(new.verbose, &step))?)
    })?;
    println!("card {asn} in {}: valid {start} to {expiry}, {commands} commands", new.file.display());
    Ok(ExitCode::SUCCESS)
}

fn make_key_card(new: &New, profile: &Profile, vault: &SoftVault, number: Asn8) -> anyhow::Result<ExitCode> {
    let [a, b, c, d, e, f, g, h] = number.0;
    let data = KeyCardData {
        serial: PsamSerial([0, 0, a, b, c, d, e, f, g, h]),
        cards: new.cards,
        cities: vec![city_factor(new.city)],
        kinds: profile.issue_kinds(),
        pin: new.pin.0.clone(),
    };
    let commands = make_image(&new.file, profile, number.0, |card| {
        Ok(personalise_key_card(card, vault, profile, &data, &mut |step| slot::tell(new.verbose, &step))?)
    })?;
    let (serial, cards) = (data.serial, data.cards);
    println!("key card {serial} in {}: may issue {cards} cards, {commands} commands", new.file.display());
    Ok(ExitCode::SUCCESS)
}

/// First and last day: today and ten years later, where nothing else is said.
pub fn validity(start: Option<Date>, expiry: Option<Date>) -> anyhow::Result<(Date, Date)> {
    const YEARS: i64 = 10;
    let start = start.unwrap_or_else(|| SystemClock.now().date);
    let later = || start.plus_days(YEARS * 365);
    let expiry = expiry.or_else(later).unwrap_or(start);
    anyhow::ensure!(start <= expiry, "the last day {expiry} lies before the first day {start}");
    Ok((start, expiry))
}

/// Random bytes whose hex digits are decimal.
pub fn decimal_digits<const N: usize>() -> [u8; N] {
    SystemRng.bytes().map(|byte: u8| (byte >> 4) % 10 * 16 + byte % 16 % 10)
}
