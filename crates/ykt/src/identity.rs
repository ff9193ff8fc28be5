//! `ykt identity`: who the holder of a card is, as far as the card says and an issuer signed it.
//!
//! The reader of a counter: it shows what it was given, what the card keeps to itself, and every reason not to believe
//! it. What a fault weighs is decided by whoever reads the report.

use crate::desk::DECLINED;
use crate::machine::{SystemClock, SystemRng};
use crate::slot::Slot;
use crate::token::keys::{PUBLIC_KEY_INFO, create, read};
use crate::token::screen;
use anyhow::Context;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;
use ykt_base::hex::Hex;
use ykt_base::{Clock, Date, IssuerFactor};
use ykt_crypto::sm2::PublicKey;
use ykt_purse::identity::DataGroup;
use ykt_terminal::identity::{Credentials, IdentityError, Inquiry, Report, examine};

/// The identity on a card: read it, and say what of it can be believed
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Read(Read),
}

/// Read a person's data and judge them by the issuer's public key
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 genuine, 1 fault of reading, 2 wrong arguments, 3 not to be believed, or PIN wrong."
)]
struct Read {
    /// An issuer that is trusted: its factor on the cards (16 hex digits) and its public key (SubjectPublicKeyInfo, DER)
    #[arg(long, value_name = "FACTOR=FILE", value_parser = issuer)]
    issuer: Vec<(IssuerFactor, PathBuf)>,
    /// Ask the holder for the PIN, and be given more
    #[arg(long)]
    pin: bool,
    /// Who asks and what for, at most 32 bytes; the card signs it
    #[arg(long, value_name = "TEXT", default_value = "")]
    context: String,
    /// The day of the inquiry [default: today]
    #[arg(long, value_name = "DATE")]
    day: Option<Date>,
    /// Put the photo into this new file
    #[arg(long, value_name = "FILE")]
    photo: Option<PathBuf>,
    /// Card: image file, number or part of the name of a reader, or usbip:HOST:PORT
    card: String,
}

fn issuer(text: &str) -> Result<(IssuerFactor, PathBuf), String> {
    let (factor, file) = text.split_once('=').ok_or("expected FACTOR=FILE")?;
    let factor: IssuerFactor = factor.parse().map_err(|_| "expected 16 hex digits before the =")?;
    Ok((factor, file.into()))
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Action::Read(args) = &args.action;
    let issuers = args.issuer.iter().map(|(factor, path)| {
        let bytes = read(path)?;
        let point = bytes.strip_prefix(&PUBLIC_KEY_INFO).and_then(|point| point.try_into().ok());
        let key = point.and_then(PublicKey::from_bytes);
        Ok((*factor, key.with_context(|| format!("{} is no public key of SM2 in DER", path.display()))?))
    });
    let issuers: Vec<_> = issuers.collect::<anyhow::Result<_>>()?;
    let mut slot = Slot::open(&args.card)?;
    // Nothing typed is no PIN: the card gives what everybody may read.
    let pin = if args.pin { screen::pin().ok().flatten() } else { None };
    let inquiry = Inquiry {
        issuers: &issuers,
        credentials: Credentials { pin: pin.as_ref(), reader_key: None },
        context: args.context.as_bytes(),
        today: args.day.unwrap_or_else(|| SystemClock.now().date),
    };
    let report = match examine(&mut slot, &inquiry, &mut SystemRng) {
        Err(IdentityError::Pin(error)) => {
            println!("declined: {error}");
            return Ok(ExitCode::from(DECLINED));
        }
        other => other?,
    };
    if let Some((path, photo)) = args.photo.as_deref().zip(report.group(DataGroup::Photo)) {
        create(path, photo)?;
    }
    tell(&report);
    Ok(if report.is_genuine() { ExitCode::SUCCESS } else { ExitCode::from(DECLINED) })
}

fn tell(report: &Report) {
    if let Some(object) = &report.object {
        println!(
            "card {}, valid {} to {}, issuer {}",
            object.card, object.start, object.expiry, object.issuer
        );
    }
    for (group, content) in &report.groups {
        println!("{:<14} {}", group.to_string(), text(*group, content));
    }
    for group in &report.withheld {
        println!("{:<14} not given: the card wants the PIN or a reader's key", group.to_string());
    }
    for fault in &report.faults {
        println!("FAULT          {fault}");
    }
    println!("{}", if report.is_genuine() { "genuine" } else { "not to be believed" });
}

/// A group for people; control characters, which a forged card may carry, are left out.
fn text(group: DataGroup, content: &[u8]) -> String {
    match group {
        DataGroup::Photo => format!("{} bytes", content.len()),
        DataGroup::Birth => Hex(content).to_string(),
        DataGroup::Name | DataGroup::IdNumber | DataGroup::Sex | DataGroup::Address => {
            String::from_utf8_lossy(content).chars().filter(|sign| !sign.is_control()).collect()
        }
    }
}
