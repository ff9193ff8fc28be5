//! `ykt campaign run`: card after card gets its keys, at the desk beside the vault or at a counter in the city.
//!
//! Both ways lead through one visit, decided at the centre. The counter has a reader, a client certificate and the address of the
//! centre's key download service, and nothing else. Whatever is pulled, killed or cut, the card goes on when it is shown
//! again; so Ctrl-C ends the loop behind the card that is being served, and a second one ends it at once.

use crate::installation::Place;
use crate::interrupt;
use crate::keys;
use crate::machine::SystemRng;
use crate::slot::Slot;
use crate::who::Person;
use anyhow::Context;
use clap::{ArgGroup, Args as ClapArgs};
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use ykt_base::hex::{self, Hex};
use ykt_base::{Asn8, Rng};
use ykt_kmc::campaigns::visit::VisitError;
use ykt_kmc::campaigns::{self, Counts};
use ykt_kmc::download::VisitEnding;
use ykt_kmc::download::client::{Client, ClientError, Identity};
use ykt_kmc::download::counter::{Clerk, ServeError, serve};
use ykt_kmc::download::wire::{CampaignAnswer, VisitEndAnswer};
use ykt_kmc::place::key_name;
use ykt_office::people::Permission;

/// Between two looks at readers without a card.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a card waits for a centre that does not answer, try after try.
const TRY_AFTER_S: [u64; 5] = [1, 2, 4, 8, 15];
/// What a shell says of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Give cards their keys: beside the vault (`--as`), or at a counter through the key download service (`--centre`)
#[derive(Debug, ClapArgs)]
#[command(group(ArgGroup::new("side").required(true)))]
pub struct Run {
    /// Beside the vault: sign-in name of who serves the cards; password and code are asked for, or read as lines of standard
    /// input
    #[arg(long = "as", group = "side", value_name = "NAME")]
    operator: Option<String>,
    /// At a counter: where the centre's key download service listens
    #[arg(long, group = "side", value_name = "HOST:PORT", requires_all = ["ca", "certificate", "key"])]
    centre: Option<String>,
    /// Authority of the centre's certificate, PEM
    #[arg(long, value_name = "FILE", requires = "centre")]
    ca: Option<PathBuf>,
    /// The counter's client certificate, PEM
    #[arg(long, value_name = "FILE", requires = "centre")]
    certificate: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "centre")]
    key: Option<PathBuf>,
    /// Name of the counter, for the record; one that is served by the centre has its line's
    #[arg(long, default_value = "command line")]
    counter: String,
    /// Go on with every card that is put on the readers, until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// The campaign
    campaign: String,
    /// The cards: readers (number or part of the name) or image files
    #[arg(required = true, value_name = "READER|FILE")]
    cards: Vec<String>,
}

/// How serving one card went.
struct Served {
    said: String,
    has_keys: bool,
}

/// Runs the command.
///
/// # Errors
/// When the installation does not open, the centre cannot be reached, or it refuses the line or the campaign.
pub fn run(place: &Place, args: &Run) -> anyhow::Result<ExitCode> {
    let stop = stop_at_ctrl_c()?;
    match (&args.centre, &args.ca, &args.certificate, &args.key) {
        (Some(centre), Some(ca), Some(certificate), Some(key)) => {
            let [ca, certificate, key] = [ca, certificate, key].map(PathBuf::clone);
            at_counter(args, Client::new(centre, &Identity { ca, certificate, key })?, &stop)
        }
        _ => at_desk(place, args, &stop),
    }
}

fn at_desk(place: &Place, args: &Run, stop: &AtomicBool) -> anyhow::Result<ExitCode> {
    let (config, centre) = keys::open(place)?;
    let operator = args.operator.as_deref().context("who serves the cards: --as NAME")?;
    let act = Person::named(operator).act(&config, &centre.store, Permission::ProduceCards)?;
    let ended = each_card(args, stop, &mut |card, _| match centre.visit(
        &args.campaign,
        card,
        &args.counter,
        &act,
    ) {
        Ok(done) => {
            let written: Vec<_> = done.written.iter().map(|key| key_name(*key)).collect();
            Ok(Served { said: got(&done.asn, &written), has_keys: true })
        }
        Err(error @ (VisitError::Campaign(_) | VisitError::Store(_))) => Err(error.into()),
        Err(error) => Ok(Served { said: error.to_string(), has_keys: false }),
    })?;
    println!("{}", so_far(&centre.store.read(|tx| campaigns::progress(tx, &args.campaign))?));
    Ok(ended)
}

fn at_counter(args: &Run, mut client: Client, stop: &AtomicBool) -> anyhow::Result<ExitCode> {
    // A line that may not work hears so before anybody puts a card down.
    client.campaign(&args.campaign)?;
    let showing: [u8; 12] = SystemRng.bytes();
    let mut number = 0_u32;
    let ended = each_card(args, stop, &mut |card, bar| {
        number = number.saturating_add(1);
        let visit = format!("{}.{number}", Hex(&showing));
        let mut clerk = Patience { bar, stop, tries: 0 };
        match serve(&mut client, (&args.campaign, &visit), card, &mut clerk) {
            Ok(ended) => Ok(told(&ended)),
            Err(error @ ServeError::Reader(_)) => Ok(Served { said: error.to_string(), has_keys: false }),
            Err(ServeError::Centre(error)) => Err(error.into()),
        }
    })?;
    let CampaignAnswer { waiting, begun, done, stopped, .. } = client.campaign(&args.campaign)?;
    println!("{}", so_far(&Counts { waiting, begun, done, stopped }));
    Ok(ended)
}

/// What the centre says of a card, its number masked.
fn told(ended: &VisitEndAnswer) -> Served {
    let has_keys = [VisitEnding::Done, VisitEnding::DoneAlready].iter().any(|good| good.name() == ended.code);
    let asn = ended.card.as_deref().and_then(|card| hex::decode(card).ok().map(Asn8));
    let said = match asn {
        Some(asn) if has_keys => got(&asn, &ended.written),
        _ => ended.message.clone(),
    };
    Served { said, has_keys }
}

fn got(asn: &Asn8, written: &[String]) -> String {
    match written {
        [] => format!("card {} has its keys already", asn.masked()),
        keys => format!("card {} got {}", asn.masked(), keys.join(" ")),
    }
}

/// How far a campaign is, in a line.
pub fn so_far(counts: &Counts) -> String {
    let Counts { waiting, begun, done, stopped } = counts;
    format!("{done} of {} cards done, {waiting} waiting, {begun} begun, {stopped} stopped", counts.all())
}

type Serve<'a> = dyn FnMut(&mut Slot, &ProgressBar) -> anyhow::Result<Served> + 'a;

/// Serves the card in each place once; or, when it follows, each card that comes to one of them. A card that cannot be
/// served stops no other.
fn each_card(args: &Run, stop: &AtomicBool, serve: &mut Serve<'_>) -> anyhow::Result<ExitCode> {
    let bar = ProgressBar::new_spinner();
    let mut all_good = true;
    let mut one = |place: &String| -> anyhow::Result<()> {
        bar.set_message(format!("{place}: reading, leave the card where it is"));
        let served = match Slot::open(place) {
            Ok(mut slot) => serve(&mut slot, &bar)?,
            Err(error) => Served { said: format!("{error:#}"), has_keys: false },
        };
        all_good &= served.has_keys;
        bar.suspend(|| println!("{place}: {}", served.said));
        Ok(())
    };
    let is_stopped = || stop.load(Ordering::Relaxed);
    if args.follow {
        // Whether the card that lies there has had its turn.
        let mut seen = vec![false; args.cards.len()];
        while !is_stopped() {
            for (place, seen) in args.cards.iter().zip(&mut seen) {
                let is_there = is_card_at(place)?;
                if is_there && !*seen && !is_stopped() {
                    one(place)?;
                }
                *seen = is_there;
            }
            bar.set_message("put a card on the reader; Ctrl-C ends");
            std::thread::sleep(LOOK_EVERY);
        }
    } else {
        for place in &args.cards {
            if is_stopped() {
                bar.finish_and_clear();
                return Ok(ExitCode::from(INTERRUPTED));
            }
            one(place)?;
        }
    }
    bar.finish_and_clear();
    Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether a card is in the reader, or an image file there.
fn is_card_at(place: &str) -> anyhow::Result<bool> {
    if Path::new(place).exists() {
        return Ok(true);
    }
    #[cfg(feature = "pcsc")]
    if !place.contains('/') && !place.ends_with(".card") {
        return Ok(ykt_terminal::transport::pcsc::has_card(place)?);
    }
    Ok(false)
}

/// A flag that Ctrl-C raises; the second time it ends the process.
fn stop_at_ctrl_c() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    let raise = move || {
        if raised.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        eprintln!("ends when the card that is being served has its turn; Ctrl-C again ends at once");
    };
    interrupt::does(raise)?;
    Ok(stop)
}

/// Shows the steps, and waits a while for a centre that does not answer.
struct Patience<'a> {
    bar: &'a ProgressBar,
    stop: &'a AtomicBool,
    tries: usize,
}

impl Clerk for Patience<'_> {
    fn step(&mut self, step: u32) {
        self.tries = 0;
        self.bar.set_message(format!("step {step}, leave the card where it is"));
        self.bar.tick();
    }

    fn try_again(&mut self, error: &ClientError) -> bool {
        let Some(seconds) = TRY_AFTER_S.get(self.tries).filter(|_| !self.stop.load(Ordering::Relaxed)) else {
            return false;
        };
        self.tries = self.tries.saturating_add(1);
        self.bar.suspend(|| eprintln!("{error}; tries again in {seconds} s, leave the card where it is"));
        std::thread::sleep(Duration::from_secs(*seconds));
        true
    }
}
