//! `ykt psam produce` and what belongs to it: batches of PSAMs, made in the eight steps by whoever has the vault.

use crate::card::{code, validity};
use crate::installation::{self, Place};
use crate::interrupt;
use crate::key_desk;
use crate::machine::{SystemClock, SystemRng};
use crate::slot::{Slot, open_profile_text};
use crate::who::{FROM, Person};
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::VecDeque;
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use ykt_base::hex;
use ykt_base::{Clock, Date, IssuerFactor, KeyIndex, PosNo, PsamSerial, TerminalId};
use ykt_issue::{Profile, t_union_issuer};
use ykt_kmc::psams::{
    self, Batch, BatchFilter, BatchState, Line, LineError, Made, Moment, NewBatch, Psam, PsamFilter,
    PsamState,
};
use ykt_office::Act;
use ykt_office::people::Permission;
use ykt_purse::files::{PublicDataLayout, city_factor};
use ykt_store::{PAGE_ROWS_MAX, Paging, Store};

/// Make PSAMs of blank chips in the eight steps: opens the batch, or goes on with it
#[derive(Debug, clap::Args)]
pub struct Produce {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    person: Person,
    /// Id of the batch: 1 to 32 of A-Z a-z 0-9 . _ -
    #[arg(long, value_name = "ID")]
    batch: String,
    /// How many PSAMs; opens the batch. Without it a batch that is there goes on
    #[arg(long, value_name = "NUMBER", requires_all = ["serial", "terminal"])]
    count: Option<u32>,
    /// Serial number of the first, 20 digits; the others follow
    #[arg(long, requires = "count")]
    serial: Option<PsamSerial>,
    /// Terminal id of the first, 12 digits; the others follow
    #[arg(long, value_name = "ID", requires = "count")]
    terminal: Option<TerminalId>,
    /// City whose cards they serve, 4 digits
    #[arg(long, default_value = "2144", value_parser = code)]
    city: [u8; 2],
    /// Issuer id of PBOC or T-Union cards in the city's place, 16 hex digits
    #[arg(long, value_name = "ID")]
    issuer: Option<IssuerFactor>,
    /// Receiver, 16 hex digits
    #[arg(long, default_value = "0000000000000000", value_name = "ID", value_parser = receiver)]
    receiver: [u8; 8],
    /// First day of use [default: today]
    #[arg(long, value_name = "DATE")]
    start: Option<Date>,
    /// Last day of use [default: ten years after the first]
    #[arg(long, value_name = "DATE")]
    expiry: Option<Date>,
    /// What stands on every label
    #[arg(long, default_value = "")]
    label: String,
    /// POS number of the terminal each PSAM goes into, in the order of the numbers; registered when it is made
    #[arg(long, value_name = "NUMBER", value_delimiter = ',')]
    pos: Vec<PosNo>,
    /// Shipped profile (psam, t-union-psam), or a profile file (docs/profiles.md)
    #[arg(long, default_value = "psam", value_name = "NAME|FILE")]
    profile: String,
    /// Where the blank chips are: readers (number or part of the name) or image files, each used in turn
    #[arg(long, required = true, num_args = 1.., value_name = "READER|FILE")]
    slot: Vec<String>,
}

/// List the batches
#[derive(Debug, clap::Args)]
pub struct Batches {
    #[command(flatten)]
    place: Place,
    /// One batch, with each of its PSAMs
    id: Option<String>,
    /// Write its protocol into this new file; it is signed when the batch is closed
    #[arg(long, value_name = "FILE", requires = "id")]
    protocol: Option<PathBuf>,
    /// Write its labels into this new file, as CSV for a label printer
    #[arg(long, value_name = "FILE", requires = "id")]
    labels: Option<PathBuf>,
}

/// Stop a PSAM whose chip will not come back, or let a stopped one's number wait for another chip
#[derive(Debug, clap::Args)]
pub struct Number {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    person: Person,
    /// Id of the batch
    #[arg(long, value_name = "ID")]
    batch: String,
    /// Serial number of the PSAM
    serial: PsamSerial,
    /// Why, for the audit log
    #[arg(long)]
    why: String,
}

fn receiver(text: &str) -> Result<[u8; 8], String> {
    hex::decode(text).map_err(|error| error.to_string())
}

/// Runs `ykt psam produce`.
///
/// # Errors
/// When the batch cannot be opened, the vault does not serve, or nothing more can be done.
pub fn produce(args: &Produce) -> anyhow::Result<ExitCode> {
    let desk = key_desk::open(&args.place, &args.person)?;
    let (store, act) = (&desk.store, &desk.act);
    if let Some(count) = args.count {
        open(args, count, store, act)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let handle = Arc::clone(&stop);
    interrupt::does(move || handle.store(true, Ordering::Relaxed))?;
    let who = (act.who.as_str(), FROM);
    let line = match Line::open(store, &*desk.keys, &SystemClock, who, &args.batch, &stop) {
        Err(LineError::Closed { id }) => {
            println!("batch {id} is closed; `ykt psam batches {id}` shows it");
            return Ok(ExitCode::SUCCESS);
        }
        line => line?,
    };
    let ended = run(args, &line, &stop)?;
    let batch = store.read(|tx| psams::batch(tx, &args.batch))?;
    let counts = batch.counts;
    println!(
        "batch {}: {} produced, {} stopped, {} in work, {} waiting",
        batch.new.id, counts.produced, counts.stopped, counts.in_work, counts.waiting
    );
    if counts.waiting == 0 && counts.in_work == 0 {
        match &desk.signer {
            Some(signer) => {
                line.close(&**signer, &mut SystemRng)?;
                println!(
                    "closed; `ykt psam batches {} --protocol FILE` writes its signed protocol",
                    batch.new.id
                );
            }
            None => println!("it stays open: the vault has no active signing key for its protocol"),
        }
    }
    Ok(ended)
}

fn open(args: &Produce, count: u32, store: &Store, act: &Act) -> anyhow::Result<()> {
    let (text, profile) = open_profile_text(&args.profile)?;
    psams::stages(&profile)?;
    let (start, expiry) = match store.read(|tx| psams::batch(tx, &args.batch)) {
        // Said again, a batch keeps the days it was opened with.
        Ok(there) => (args.start.unwrap_or(there.new.start), args.expiry.unwrap_or(there.new.expiry)),
        Err(_) => validity(args.start, args.expiry)?,
    };
    let (Some(first_serial), Some(first_terminal)) = (args.serial, args.terminal) else {
        bail!("a batch is opened with --count, --serial and --terminal");
    };
    let new = NewBatch {
        id: args.batch.clone(),
        profile: text,
        count,
        first_serial,
        first_terminal,
        issuer: args.issuer.unwrap_or_else(|| issuer(&profile, args.city)),
        receiver: args.receiver,
        key_index: KeyIndex(1),
        start,
        expiry,
        label: args.label.clone(),
        terminals: args.pos.clone(),
    };
    Ok(store.write(|tx| psams::open(tx, &new, &profile, act))?)
}

fn issuer(profile: &Profile, city: [u8; 2]) -> IssuerFactor {
    match profile.layout {
        PublicDataLayout::City => city_factor(city),
        PublicDataLayout::Pboc | PublicDataLayout::TUnion => t_union_issuer(city),
    }
}

/// One chip after the other, until no number waits, no slot has a chip left, or the operator stops.
fn run(args: &Produce, line: &Line<'_>, stop: &AtomicBool) -> anyhow::Result<ExitCode> {
    let bar = bar(line.batch());
    let mut slots: VecDeque<&String> = args.slot.iter().collect();
    let mut code = ExitCode::SUCCESS;
    loop {
        let Some(place) = slots.pop_front() else {
            if stop.load(Ordering::Relaxed) || !another(&bar, args.slot.len()) {
                break;
            }
            slots.extend(&args.slot);
            continue;
        };
        let mut slot = match Slot::open(place) {
            Ok(slot) => slot,
            Err(error) => {
                bar.suspend(|| println!("{place}: {error:#}"));
                code = ExitCode::FAILURE;
                continue;
            }
        };
        let made = line.make(&mut slot, &mut |moment| tell(&bar, &moment))?;
        bar.suspend(|| println!("{place}: {}", said(&made)));
        match made {
            Made::Produced(_) => bar.inc(1),
            Made::NothingWaits => break,
            Made::Stopped { .. } => {
                bar.inc(1);
                code = ExitCode::FAILURE;
            }
            Made::Interrupted { .. } | Made::Refused { .. } => code = ExitCode::FAILURE,
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(code)
}

fn bar(batch: &Batch) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(batch.new.count.into()), ProgressDrawTarget::stderr());
    let shape = "{bar:30} {pos}/{len} PSAMs  {msg}";
    bar.set_style(ProgressStyle::with_template(shape).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_position((batch.counts.produced + batch.counts.stopped).into());
    bar
}

fn tell(bar: &ProgressBar, moment: &Moment<'_>) {
    let Moment { psam, stage, title, .. } = moment;
    bar.set_message(format!("{}: step {} of 8, {title}", psam.serial, stage.code()));
}

fn said(made: &Made) -> String {
    match made {
        Made::Produced(psam) => {
            let note = if psam.note.is_empty() { String::new() } else { format!(", {}", psam.note) };
            format!("PSAM {} with terminal id {} is produced{note}", psam.serial, psam.terminal)
        }
        Made::Stopped { psam, why } => format!("PSAM {} is stopped: {why}; set the chip aside", psam.serial),
        Made::Interrupted { psam, why } => {
            format!("PSAM {} is interrupted: {why}; put the same chip in again", psam.serial)
        }
        Made::Refused { why } => format!("not taken: {why}"),
        Made::NothingWaits => "every number of the batch is given".to_owned(),
    }
}

/// Whether the operator puts other chips in; only somebody at a terminal can.
fn another(bar: &ProgressBar, slots: usize) -> bool {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return false;
    }
    let chips =
        if slots == 1 { "the next blank chip".to_owned() } else { format!("the next {slots} blank chips") };
    bar.suspend(|| eprintln!("put {chips} in and press Enter; q and Enter ends"));
    let mut line = String::new();
    input.lock().read_line(&mut line).is_ok_and(|len| len > 0) && !line.trim().eq_ignore_ascii_case("q")
}

/// Runs `ykt psam batches`.
///
/// # Errors
/// When there is no such batch, or a file cannot be written.
pub fn batches(args: &Batches) -> anyhow::Result<ExitCode> {
    let store = installation::open_store(&args.place.config()?)?;
    let Some(id) = &args.id else {
        let page =
            store.read(|tx| psams::batches(tx, &BatchFilter::default(), Paging::first(PAGE_ROWS_MAX)))?;
        page.rows.iter().for_each(|batch| println!("{}", line_of(batch)));
        return Ok(ExitCode::SUCCESS);
    };
    let batch = store.read(|tx| psams::batch(tx, id))?;
    if let Some(path) = &args.protocol {
        let act = Act::of(FROM, FROM, SystemClock.now());
        write_new(path, &store.read(|tx| psams::protocol(tx, id, &act))?)?;
        let signed =
            if batch.state == BatchState::Closed { "signed" } else { "not signed, the batch is open" };
        println!("protocol of batch {id} in {} ({signed})", path.display());
    }
    if let Some(path) = &args.labels {
        let labels = store.read(|tx| psams::labels(tx, id))?;
        write_new(path, &psams::labels_csv(&labels))?;
        println!("{} labels in {}", labels.len(), path.display());
    }
    if args.protocol.is_none() && args.labels.is_none() {
        println!("{}", line_of(&batch));
        let filter = PsamFilter { batch: Some(id.clone()), ..PsamFilter::default() };
        let page = store.read(|tx| psams::list(tx, &filter, Paging::first(PAGE_ROWS_MAX)))?;
        page.rows.iter().for_each(|psam| println!("{}", psam_line(psam)));
    }
    Ok(ExitCode::SUCCESS)
}

fn line_of(batch: &Batch) -> String {
    let (new, counts) = (&batch.new, batch.counts);
    format!(
        "{:<20} {:<7} {:>5} PSAMs from {}  {}\n    {} produced, {} stopped, {} in work, {} waiting",
        new.id,
        batch.state,
        new.count,
        new.first_serial,
        new.label,
        counts.produced,
        counts.stopped,
        counts.in_work,
        counts.waiting
    )
}

fn psam_line(psam: &Psam) -> String {
    let state = match (psam.state, psam.stage) {
        (PsamState::InWork, Some(stage)) => format!("step {} of 8", stage.code()),
        (state, _) => state.to_string(),
    };
    format!("{:>5}  {}  {}  {state:<12}  {}", psam.number, psam.serial, psam.terminal, psam.note)
}

fn write_new(path: &PathBuf, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.with_context(|| format!("make the new file {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("write {}", path.display()))
}

/// Runs `ykt psam stop`.
///
/// # Errors
/// When the PSAM is not in work.
pub fn stop(args: &Number) -> anyhow::Result<ExitCode> {
    change(args, |tx, act| psams::stopped_for_good(tx, &args.batch, &args.serial, &args.why, act))?;
    println!("PSAM {} is stopped", args.serial);
    Ok(ExitCode::SUCCESS)
}

/// Runs `ykt psam again`.
///
/// # Errors
/// When the PSAM is not stopped.
pub fn again(args: &Number) -> anyhow::Result<ExitCode> {
    change(args, |tx, act| psams::again(tx, &args.batch, &args.serial, &args.why, act))?;
    println!("number {} waits for another chip", args.serial);
    Ok(ExitCode::SUCCESS)
}

fn change(
    args: &Number,
    work: impl FnOnce(&ykt_store::Tx<'_>, &Act) -> Result<(), psams::BatchError>,
) -> anyhow::Result<()> {
    let config = args.place.config()?;
    let store = installation::open_store(&config)?;
    let act = args.person.act(&config, &store, Permission::ProduceCards)?;
    Ok(store.write(|tx| work(tx, &act))?)
}
