//! `ykt download`: the office's lines, rights and batches, and a line of one's own that makes cards through the service.

mod line;

use crate::installation::{self, Place};
use crate::who::Person;
use anyhow::Context;
use clap::{ArgGroup, Args as ClapArgs, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use ykt_base::hex::Hex;
use ykt_base::{Clock, Date};
use ykt_kmc::download::client::certificates;
use ykt_kmc::download::{self, Download, LineKind, LineState, NewLine, NewRight, RightTo, fingerprint};
use ykt_office::Act;
use ykt_office::people::Permission;
use ykt_store::Store;
use ykt_web::Config;

/// Key download: personalisation lines and counters that get their keys from the centre (docs/key-download.md)
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    act: DownloadAct,
}

#[derive(Debug, Subcommand)]
enum DownloadAct {
    Lines(Lines),
    Right(Right),
    Rights(Rights),
    Batch(Batch),
    Batches(Batches),
    Release(Release),
    Line(line::Run),
    Card(line::Addition),
}

/// List the lines, take one in, stop it, or let it work again
#[derive(Debug, ClapArgs)]
struct Lines {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    act: Option<LinesAct>,
}

#[derive(Debug, Subcommand)]
enum LinesAct {
    /// Take a line in by its client certificate
    Add {
        #[command(flatten)]
        person: Person,
        /// Its name: letters, digits, `.`, `_`, `-`
        line: String,
        /// Its certificate, PEM
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
        /// A counter that adds applications to issued cards: each card gets an audit record of its own
        #[arg(long)]
        counter: bool,
    },
    /// Stop a line: it gets nothing more
    Stop {
        #[command(flatten)]
        person: Person,
        /// Its name
        line: String,
    },
    /// Let a stopped line work again
    Start {
        #[command(flatten)]
        person: Person,
        /// Its name
        line: String,
    },
}

/// Give a line the right to an application, or to the cards of a campaign
#[derive(Debug, ClapArgs)]
#[command(group(ArgGroup::new("to").required(true)))]
struct Right {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    person: Person,
    /// Whose
    line: String,
    /// To which application: a shipped profile, or one of download.profiles
    #[arg(group = "to")]
    application: Option<String>,
    /// To this campaign: keys for issued cards, at a counter
    #[arg(long, group = "to", value_name = "NAME")]
    campaign: Option<String>,
    /// For this batch alone [default: any, and cards of none]
    #[arg(long, value_name = "NAME", conflicts_with = "campaign")]
    batch: Option<String>,
    /// Cards
    #[arg(long)]
    quota: u32,
    /// First day [default: today]
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// Last day
    #[arg(long, value_name = "DATE")]
    until: Date,
}

/// List the rights, or take one back
#[derive(Debug, ClapArgs)]
struct Rights {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    act: Option<RightsAct>,
}

#[derive(Debug, Subcommand)]
enum RightsAct {
    /// Take a right back; cards that are open may still be finished
    Withdraw {
        #[command(flatten)]
        person: Person,
        /// Number of the right
        right: u32,
    },
}

/// Bring the file of a batch (CSV: card, city or factor, banks)
#[derive(Debug, ClapArgs)]
struct Batch {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    person: Person,
    /// Name of the batch
    #[arg(long = "name", value_name = "NAME")]
    batch: String,
    /// Which application its cards get
    #[arg(long, default_value = "city-cpu")]
    application: String,
    /// The file
    file: PathBuf,
}

/// List the batches and how far they are
#[derive(Debug, ClapArgs)]
struct Batches {
    #[command(flatten)]
    place: Place,
}

/// Take the cards that a line began and did not make away from it, so that another may begin them
#[derive(Debug, ClapArgs)]
struct Release {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    person: Person,
    /// Name of the batch
    batch: String,
    /// Name of the line
    line: String,
}

/// Runs the command.
///
/// # Errors
/// When the data directory cannot be used, a rule refuses the act, or the line gets no answer.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.act {
        DownloadAct::Lines(args) => lines(args),
        DownloadAct::Right(args) => give(args),
        DownloadAct::Rights(args) => rights(args),
        DownloadAct::Batch(args) => bring(args),
        DownloadAct::Batches(args) => batches(&args.place),
        DownloadAct::Release(args) => release(args),
        DownloadAct::Line(args) => line::run(args),
        DownloadAct::Card(args) => line::add(args),
    }
}

/// The office's part of key download over a data directory.
struct Office {
    config: Config,
    download: Download,
}

impl Office {
    fn open(place: &Place) -> anyhow::Result<Office> {
        let config = place.config()?;
        let store = installation::open_store(&config)?;
        let profiles = ykt_web::download::applications(&config.download)?;
        Ok(Office { config, download: Download::office(store, profiles) })
    }

    fn store(&self) -> &Store {
        self.download.store()
    }

    fn act(&self, person: &Person) -> anyhow::Result<Act> {
        person.act(&self.config, self.store(), Permission::ProduceCards)
    }
}

fn lines(args: &Lines) -> anyhow::Result<ExitCode> {
    let office = Office::open(&args.place)?;
    match &args.act {
        None => {
            for line in office.store().read(download::lines)? {
                let (name, kind, state) = (line.name, line.kind.name(), line.state.name());
                println!("{name:<20} {kind:<22} {state:<8} {}", Hex(line.certificate.as_bytes()));
            }
        }
        Some(LinesAct::Add { person, line: name, certificate, counter }) => {
            let chain = certificates("certificate", certificate)?;
            let own = chain.first().context("a certificate")?;
            let kind = if *counter { LineKind::Counter } else { LineKind::Personalisation };
            let line = NewLine { name: name.clone(), kind, certificate: fingerprint(own) };
            office.download.add_line(&line, &office.act(person)?)?;
            println!("took in {name}, {kind}, certificate {}", Hex(line.certificate.as_bytes()));
        }
        Some(LinesAct::Stop { person, line: name }) => {
            office.download.set_line(name, LineState::Stopped, &office.act(person)?)?;
            println!("stopped {name}");
        }
        Some(LinesAct::Start { person, line: name }) => {
            office.download.set_line(name, LineState::Active, &office.act(person)?)?;
            println!("{name} may work");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn give(args: &Right) -> anyhow::Result<ExitCode> {
    let office = Office::open(&args.place)?;
    let right = NewRight {
        line: args.line.clone(),
        to: match (&args.campaign, &args.application) {
            (Some(campaign), _) => RightTo::visits(campaign),
            (None, application) => {
                RightTo::cards(application.as_deref().unwrap_or_default(), args.batch.as_deref())
            }
        },
        quota: args.quota,
        from: args.from.unwrap_or_else(|| crate::machine::SystemClock.now().date),
        until: args.until,
    };
    let id = office.download.give_right(&right, &office.act(&args.person)?)?;
    let NewRight { line, to, quota, until, .. } = right;
    println!("right {id}: {line} may serve {quota} cards for {to} until {until}");
    Ok(ExitCode::SUCCESS)
}

fn rights(args: &Rights) -> anyhow::Result<ExitCode> {
    let office = Office::open(&args.place)?;
    if let Some(RightsAct::Withdraw { person, right }) = &args.act {
        office.download.withdraw_right(*right, &office.act(person)?)?;
        println!("right {right} is withdrawn");
        return Ok(ExitCode::SUCCESS);
    }
    for row in office.store().read(download::rights)? {
        let right = &row.right;
        let batch = right.to.batch().unwrap_or("any");
        let state = if row.withdrawn { "withdrawn" } else { "" };
        println!(
            "{:>5} {:<20} {:<16} {batch:<20} {:>7} of {:>7} used  {} to {} {state}",
            row.id,
            right.line,
            right.to.to_string(),
            row.used,
            right.quota,
            right.from,
            right.until
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn bring(args: &Batch) -> anyhow::Result<ExitCode> {
    let office = Office::open(&args.place)?;
    let text = std::fs::read_to_string(&args.file).with_context(|| args.file.display().to_string())?;
    let act = office.act(&args.person)?;
    let cards = office.download.load_batch(&args.batch, &args.application, &text, &act)?;
    println!("batch {}: {cards} cards for {}", args.batch, args.application);
    Ok(ExitCode::SUCCESS)
}

fn batches(place: &Place) -> anyhow::Result<ExitCode> {
    let office = Office::open(place)?;
    for row in office.store().read(download::batches)? {
        let progress = row.progress;
        println!(
            "{:<20} {:<16} {:>7} cards: {} done, {} under way, {} failed, {} waiting",
            row.name,
            row.application,
            progress.cards(),
            progress.done,
            progress.under_way,
            progress.failed,
            progress.waiting
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn release(args: &Release) -> anyhow::Result<ExitCode> {
    let office = Office::open(&args.place)?;
    let cards = office.download.release(&args.batch, &args.line, &office.act(&args.person)?)?;
    println!("{cards} cards of batch {} wait again", args.batch);
    Ok(ExitCode::SUCCESS)
}
