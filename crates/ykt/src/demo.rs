//! `ykt demo`: a city lives a day (or more), the books close, and the proof says whether a fen was lost.
//!
//! The report goes to standard output and depends on nothing but the arguments; progress and times go to
//! standard error.

use crate::machine::{SystemClock, SystemRng};
use crate::{installation, serve};
use anyhow::Context;
use clap::Args as ClapArgs;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use ykt_base::{Clock, Date, DateTime, Time};
use ykt_city::city::{City, Home};
use ykt_city::hands_on::{self, DEMO_TOKEN, Left, USERS};
use ykt_city::plan::{self, Scale};
use ykt_kmc::Centre;
use ykt_office::people::DEMO_PASSWORD;
use ykt_web::{Config, Server};

/// A city lives a day: cards are made, loaded and used; records are collected, judged, booked and paid out.
///
/// Everything that can go wrong on such a day is seeded on purpose: cards pulled at every step, repeated files,
/// wrong TACs, lost and unknown cards, records that arrive a day late. The last lines prove from three books kept
/// apart (cards, ledger, bank) that not a fen was lost; when one is, the exit code is 1.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  ykt demo\n  ykt demo --cards 200 --terminals 12 --merchants 5 --seed 7\n  \
                        ykt demo --data ./city --serve"
)]
pub struct Args {
    /// User cards
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(CARDS_MAX)))]
    cards: u32,
    /// Terminals, each with a PSAM
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=i64::from(TERMINALS_MAX)))]
    terminals: u32,
    /// Merchants
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(MERCHANTS_MAX)))]
    merchants: u32,
    /// Days of trade; the books also close the day after the last one
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    days: u32,
    /// Seed: the same seed and size print the same bytes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// First day of trade, yyyy-MM-dd
    #[arg(long, default_value = "2026-03-02")]
    first_day: Date,
    /// Go on as a server with this data: consoles and API on the address of --listen
    #[arg(long)]
    serve: bool,
    /// Address and port of --serve
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "HOST:PORT")]
    listen: SocketAddr,
    /// Keep the city's data in this directory, which must be new or empty; without it everything stays in memory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

const CARDS_MAX: u32 = 100_000;
const TERMINALS_MAX: u32 = 10_000;
const MERCHANTS_MAX: u32 = 2_000;
const DAYS_MAX: u32 = 31;

impl Args {
    fn scale(&self) -> Scale {
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Scale {
            cards: size(self.cards).min(plan::CARDS_MAX),
            terminals: size(self.terminals).min(plan::TERMINALS_MAX),
            merchants: size(self.merchants).min(plan::MERCHANTS_MAX),
            days: size(self.days).min(plan::DAYS_MAX),
            seed: self.seed,
            first_day: self.first_day,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When the data directory cannot be used, or the simulation itself is out of order.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::with_template("{elapsed_precise} {msg:40} {wide_bar} {pos}/{len}")?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let home = args.data.clone().map_or(Home::Memory, Home::Directory);
    let mut progress = |stage: &str, done: usize, of: usize| {
        bar.set_message(stage.to_owned());
        bar.set_length(u64::try_from(of).unwrap_or(u64::MAX));
        bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
    };
    let mut city = City::found(args.scale(), home, &mut progress).context("founding the city")?;
    let outcome = city.live(&mut progress).context("living the days")?;
    bar.finish_and_clear();
    print!("{}", outcome.report);
    eprintln!("{:.1} s in all", started.elapsed().as_secs_f64());
    if !outcome.proof.holds() {
        return Ok(ExitCode::FAILURE);
    }
    let at = DateTime { date: city.last_day()?, time: Time::MIDNIGHT };
    let left = match &args.data {
        Some(dir) => Some(hands_on::leave(&city, &std::path::absolute(dir)?, &mut SystemRng, at)?),
        None => None,
    };
    if left.is_some() || args.serve {
        // People live in this machine's time: a password set on the simulated day would be overdue already.
        hands_on::add_users(city.store(), &mut SystemRng, SystemClock.now())?;
    }
    if let Some(left) = &left {
        tell_what_is_left(left, args.listen);
    }
    if args.serve {
        let mut config = Config::default();
        config.server.listen = args.listen;
        if let Some(dir) = &args.data {
            config = Config::load(Some(&dir.join("ykt.toml")))?;
            config.server.listen = args.listen;
        }
        let signer = installation::signing_pair(city.vault())?;
        let centre = Centre::new(city.store().clone(), city.vault().clone(), signer);
        installation::begin(&centre)?;
        let server = Server::bind(config, serve::app(city.store().clone(), Some(centre)))?;
        println!("\nserving on {}", server.url());
        for (name, full_name, role) in USERS {
            println!("  sign in as {name:<11} password {DEMO_PASSWORD}   {role}: {full_name}");
        }
        println!("stop with Ctrl-C");
        serve::serve(server)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The way of a fen from here on, as commands to try.
fn tell_what_is_left(left: &Left, listen: SocketAddr) {
    let [card, psam, config, upload] =
        [&left.card, &left.psam, &left.config, &left.upload].map(|path| path.display());
    let records = left.psam.with_extension("records");
    let records = records.display();
    eprintln!("\nGo on with this city; the card is new and empty, the PSAM is that of POS {}:", left.pos);
    for (what, command) in [
        ("serve", format!("ykt serve --config {config}")),
        (
            "load",
            format!("YKT_TOKEN={DEMO_TOKEN} ykt pos load --card {card} --host http://{listen} --amount 50"),
        ),
        ("pay", format!("ykt pos purchase --card {card} --psam {psam} --amount 2.50 --records {records}")),
        ("hand in", format!("ykt pos batch --records {records} --pos {} --out {upload}", left.pos)),
        ("clear", format!("ykt clearing --config {config} receive")),
        ("close", format!("ykt clearing --config {config} close --day {}", SystemClock.now().date)),
    ] {
        eprintln!("  {what:<8} {command}");
    }
}
