//! `ykt psam`: PSAMs in image files, made, looked at, talked to, and put into a virtual reader; and the production of
//! PSAMs in batches.

use crate::card::{code, decimal_digits, validity};
use crate::chip;
use crate::psams;
use crate::slot::{self, make_image, open_keys, open_profile};
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;
use ykt_base::{Date, IssuerFactor, PsamSerial, TerminalId};
use ykt_issue::{PsamData, personalise_psam, t_union_issuer};
use ykt_purse::files::PublicDataLayout;

/// What `ykt psam` can do.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    #[command(flatten)]
    Image(chip::Action<New>),
    Produce(psams::Produce),
    Batches(psams::Batches),
    /// Give up a PSAM whose chip will not come back: its number is spent
    Stop(psams::Number),
    /// Let the number of a stopped PSAM wait for another chip, when the spoiled one was destroyed
    Again(psams::Number),
}

/// Make a PSAM: a blank one, personalised by the commands a real one would get
#[derive(Debug, clap::Args)]
pub struct New {
    /// Shipped profile (psam, t-union-psam), or a profile file (docs/profiles.md)
    #[arg(long, default_value = "psam", value_name = "NAME|FILE")]
    profile: String,
    /// Key file (docs/keys.toml explains it)
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Serial number, 20 digits [default: city code and random digits]
    #[arg(long)]
    serial: Option<PsamSerial>,
    /// Terminal id, 12 digits [default: city code and random digits]
    #[arg(long, value_name = "ID")]
    terminal: Option<TerminalId>,
    /// City whose cards it serves, 4 digits
    #[arg(long, default_value = "2144", value_parser = code)]
    city: [u8; 2],
    /// Issuer id of PBOC or T-Union cards in the city's place, 16 hex digits [default for t-union-psam: 0101, city code,
    /// FFFFFFFF]
    #[arg(long, value_name = "ID")]
    issuer: Option<IssuerFactor>,
    /// First day of use [default: today]
    #[arg(long, value_name = "DATE")]
    start: Option<Date>,
    /// Last day of use [default: ten years after the first]
    #[arg(long, value_name = "DATE")]
    expiry: Option<Date>,
    /// Tell each step
    #[arg(long, short)]
    verbose: bool,
    /// Image file to be made
    file: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Image(action) => action.run("127.0.0.1:35964", make),
        Action::Produce(args) => psams::produce(args),
        Action::Batches(args) => psams::batches(args),
        Action::Stop(args) => psams::stop(args),
        Action::Again(args) => psams::again(args),
    }
}

fn make(new: &New) -> anyhow::Result<ExitCode> {
    let profile = open_profile(&new.profile)?;
    let vault = open_keys(&new.keys, &profile)?;
    let (start, expiry) = validity(new.start, new.expiry)?;
    let [a, b] = new.city;
    let serial = new.serial.unwrap_or_else(|| {
        let [c, d, e, f, g, h] = decimal_digits();
        PsamSerial([0, 0, a, b, c, d, e, f, g, h])
    });
    let terminal = new.terminal.unwrap_or_else(|| {
        let [c, d, e, f] = decimal_digits();
        TerminalId([a, b, c, d, e, f])
    });
    let mut data = PsamData::of_city(serial, terminal, new.city, start, expiry);
    if profile.layout != PublicDataLayout::City {
        data.issuer = t_union_issuer(new.city);
    }
    data.issuer = new.issuer.unwrap_or(data.issuer);
    // A PSAM's keys are diversified by the last eight bytes of its serial number.
    let chip = serial.0.last_chunk().copied().unwrap_or_default();
    let commands = make_image(&new.file, &profile, chip, |psam| {
        Ok(personalise_psam(psam, &vault, &profile, &data, &mut |step| slot::tell(new.verbose, &step))?)
    })?;
    println!(
        "PSAM {serial} in {}: terminal {terminal}, valid {start} to {expiry}, {commands} commands",
        new.file.display()
    );
    Ok(ExitCode::SUCCESS)
}
