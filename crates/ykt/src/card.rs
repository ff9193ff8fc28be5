//! `ykt card`: user cards in image files, made, looked at, talked to, and put into a virtual reader.

use crate::chip;
use crate::machine::{SystemClock, SystemRng};
use crate::slot::{self, make_image, open_keys, open_profile};
use std::path::PathBuf;
use std::process::ExitCode;
use ykt_base::hex;
use ykt_base::{Asn8, Clock, Date, Rng};
use ykt_issue::{CardData, personalise_card};
use ykt_purse::write_key::Pin;

/// What `ykt card` can do.
pub type Args = chip::Args<New>;

/// Make a card: a blank one, personalised by the commands a real card would get
#[derive(Debug, clap::Args)]
pub struct New {
    /// Built-in profile, or a profile file
    #[arg(long, default_value = "city-cpu")]
    profile: String,
    /// Key file (docs/keys.toml explains it)
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Card number, 16 digits [default: city code and random digits]
    #[arg(long, value_name = "ASN")]
    serial: Option<Asn8>,
    /// City code, 4 digits
    #[arg(long, default_value = "2144", value_parser = code)]
    city: [u8; 2],
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
    /// PIN of the holder, 4 to 12 digits
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
struct DebugPin(Pin);

impl std::fmt::Debug for DebugPin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PIN")
    }
}

fn pin(text: &str) -> Result<DebugPin, String> {
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
    let (start, expiry) = validity(new.start, new.expiry)?;
    let asn = new.serial.unwrap_or_else(|| {
        let [a, b] = new.city;
        let [c, d, e, f, g, h] = decimal_digits();
        Asn8([a, b, c, d, e, f, g, h])
    });
    let mut data = CardData::of_city(asn, new.city, start, expiry, new.pin.0.clone());
    (data.main_type, data.sub_type) = (new.main_type, new.sub_type);
    let commands = make_image(&new.file, &profile, asn.0, |card| {
        Ok(personalise_card(card, &vault, &profile, &data, &mut |step| slot::tell(new.verbose, &step))?)
    })?;
    println!("card {asn} in {}: valid {start} to {expiry}, {commands} commands", new.file.display());
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
