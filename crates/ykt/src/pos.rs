//! `ykt pos`: a terminal on the desk: reads cards, loads them against a host, takes money from them, and hands
//! its records over.

use crate::desk::{self, DECLINED, LoadDesk, Place, TRY_AGAIN, yuan};
use crate::machine::SystemClock;
use crate::show::{log_json, print_log};
use crate::slot::Slot;
use anyhow::{Context, bail};
use clap::Subcommand;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use ykt_base::{Clock, Date, DateTime, Fen};
use ykt_purse::Purse;
use ykt_terminal::batch;
use ykt_terminal::card;
use ykt_terminal::host::LoadHost;
use ykt_terminal::host::OrderId;
use ykt_terminal::load::{LoadOutcome, LoadRequest};
use ykt_terminal::pos::{Money, Outcome, Pos, Receipt};
use ykt_terminal::record::BatchId;
use ykt_terminal::store::{FileStore, MemoryStore, RecordBook, RecordStore};

/// A terminal on the desk: balance, log, load, purchase, batch
#[derive(Debug, clap::Args)]
#[command(after_help = "A card or PSAM is an image file, or the number or a part of the name of a reader.\n\
                        Exit codes: 0 done, 1 fault, 2 wrong arguments, 3 declined, 4 show the card again.")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Balance(Read),
    Log(Log),
    Load(Load),
    Purchase(Purchase),
    Batch(Batch),
}

/// Read number, validity and balance of a card
#[derive(Debug, clap::Args)]
struct Read {
    /// Card: image file or reader
    #[arg(long, value_name = "FILE|READER")]
    card: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Read the log of a card, newest first
#[derive(Debug, clap::Args)]
struct Log {
    #[command(flatten)]
    read: Read,
}

/// Load a card against a host
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("against").required(true).args(["host", "keys"]))]
struct Load {
    /// Card: image file or reader
    #[arg(long, value_name = "FILE|READER")]
    card: String,
    /// Amount in yuan
    #[arg(long, value_name = "YUAN", value_parser = yuan)]
    amount: Fen,
    #[command(flatten)]
    desk: LoadDesk,
    /// Order id; an order that was cut goes on [default: a new one]
    #[arg(long, value_name = "ID")]
    order: Option<OrderId>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Take money from a card
#[derive(Debug, clap::Args)]
struct Purchase {
    /// Card: image file or reader
    #[arg(long, value_name = "FILE|READER")]
    card: String,
    /// PSAM: image file or reader
    #[arg(long, value_name = "FILE|READER")]
    psam: String,
    /// Amount in yuan
    #[arg(long, value_name = "YUAN", value_parser = yuan)]
    amount: Fen,
    /// Journal of this terminal; without it records end with this command
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Hand the records of a journal over as a purchase file (XF)
#[derive(Debug, clap::Args)]
struct Batch {
    /// Journal of the terminal
    #[arg(long, value_name = "FILE")]
    records: PathBuf,
    /// Clearing day [default: today]
    #[arg(long, value_name = "DATE")]
    day: Option<Date>,
    /// Number of the batch on that day; the same one again writes the same file
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=999))]
    sequence: u16,
    /// Folder for the file
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Balance(read) => balance(read),
        Action::Log(log) => read_log(&log.read),
        Action::Load(load) => run_load(load),
        Action::Purchase(purchase) => run_purchase(purchase),
        Action::Batch(batch) => run_batch(batch),
    }
}

fn balance(args: &Read) -> anyhow::Result<ExitCode> {
    let mut slot = Slot::open(&args.card)?;
    let public = card::open(&mut slot)?;
    let balance = card::balance(&mut slot)?;
    if args.json {
        println!(
            "{:#}",
            json!({
                "card": public.asn.to_string(),
                "issuer": public.factor().to_string(),
                "enabled": public.is_enabled(),
                "start": public.start.to_string(),
                "expiry": public.expiry.to_string(),
                "balance_fen": balance.fen(),
            })
        );
    } else {
        println!("card {}, valid {} to {}: {balance} yuan", public.asn, public.start, public.expiry);
    }
    Ok(ExitCode::SUCCESS)
}

fn read_log(args: &Read) -> anyhow::Result<ExitCode> {
    let mut slot = Slot::open(&args.card)?;
    card::select(&mut slot)?;
    let log = card::log(&mut slot)?;
    if args.json {
        println!("{:#}", log.iter().map(log_json).collect::<serde_json::Value>());
    } else {
        print_log(&log);
    }
    Ok(ExitCode::SUCCESS)
}

fn run_load(args: &Load) -> anyhow::Result<ExitCode> {
    let mut slot = Slot::open(&args.card)?;
    let now = SystemClock.now();
    let order = match &args.order {
        Some(order) => order.clone(),
        None => desk::new_order(now)?,
    };
    args.desk.with_host(&mut slot, Purse::Ep, |slot, host| load_against(host, slot, args, &order, now))
}

fn load_against(
    host: &mut dyn LoadHost,
    slot: &mut Slot,
    args: &Load,
    order: &OrderId,
    now: DateTime,
) -> anyhow::Result<ExitCode> {
    let terminal = args.desk.terminal(Purse::Ep);
    let request = LoadRequest { order, amount: args.amount, channel: &args.desk.channel };
    let outcome = terminal.load(slot, host, &request, now);
    let outcome = outcome.with_context(|| format!("order {order}"))?;
    let (word, text, code) = match &outcome {
        LoadOutcome::Loaded { balance } => {
            ("loaded", format!("{} yuan loaded, balance {balance} yuan", args.amount), ExitCode::SUCCESS)
        }
        LoadOutcome::NotLoaded { reason, payment } => {
            ("not-loaded", format!("not loaded: {reason}; payment: {payment}"), ExitCode::from(DECLINED))
        }
        LoadOutcome::Cut { at } => (
            "cut",
            format!("cut: {at}; show the card again with `--order {order}`"),
            ExitCode::from(TRY_AGAIN),
        ),
    };
    if args.json {
        let balance = match &outcome {
            LoadOutcome::Loaded { balance } => Some(balance.fen()),
            _ => None,
        };
        println!(
            "{:#}",
            json!({ "order": order.as_str(), "outcome": word, "text": text, "balance_fen": balance })
        );
    } else {
        println!("order {order}: {text}");
    }
    Ok(code)
}

fn run_purchase(args: &Purchase) -> anyhow::Result<ExitCode> {
    let mut card = Slot::open(&args.card)?;
    let mut psam = Slot::open(&args.psam)?;
    match &args.records {
        Some(path) => charge(args, &mut card, &mut psam, FileStore::open(path)?),
        None => {
            eprintln!("no journal: this record ends with the command; keep it with --records FILE");
            charge(args, &mut card, &mut psam, MemoryStore::default())
        }
    }
}

fn charge(
    args: &Purchase,
    card: &mut Slot,
    psam: &mut Slot,
    store: impl RecordStore,
) -> anyhow::Result<ExitCode> {
    let mut pos = Pos::open(args.place.config(), psam, store)?;
    let outcome = pos.purchase(card, args.amount, SystemClock.now())?;
    let (word, text, code) = match &outcome {
        Outcome::Paid(receipt) => ("paid", receipt_text("paid", receipt), ExitCode::SUCCESS),
        Outcome::Recovered(receipt) => {
            ("recovered", receipt_text("paid before it was pulled", receipt), ExitCode::SUCCESS)
        }
        Outcome::Declined(refusal) => ("declined", format!("declined: {refusal}"), ExitCode::from(DECLINED)),
        Outcome::TryAgain { step, money } => {
            let money = match money {
                Money::Unmoved => "nothing was charged",
                Money::MayHaveMoved => "it may have paid: the same card again tells",
            };
            ("try-again", format!("the card left at {step}; {money}"), ExitCode::from(TRY_AGAIN))
        }
    };
    if args.json {
        let record = match &outcome {
            Outcome::Paid(receipt) | Outcome::Recovered(receipt) => Some(json!({
                "serial": receipt.record.debit.serial.number(),
                "card": receipt.record.debit.card.asn.to_string(),
                "counter": receipt.record.debit.counter.0,
                "terminal": receipt.record.debit.terminal.to_string(),
                "sequence": receipt.record.debit.sequence.0,
                "amount_fen": receipt.record.debit.amount.fen(),
                "balance_fen": receipt.balance.fen(),
                "at": receipt.record.debit.at.to_string(),
            })),
            _ => None,
        };
        println!("{:#}", json!({ "outcome": word, "text": text, "record": record }));
    } else {
        println!("{text}");
    }
    Ok(code)
}

fn receipt_text(how: &str, receipt: &Receipt) -> String {
    let debit = &receipt.record.debit;
    format!(
        "{how}: {} yuan, balance {} yuan; record {}, card counter {}, terminal {} sequence {}",
        debit.amount,
        receipt.balance,
        debit.serial.number(),
        debit.counter,
        debit.terminal,
        debit.sequence
    )
}

fn run_batch(args: &Batch) -> anyhow::Result<ExitCode> {
    let now = SystemClock.now();
    let config = args.place.config();
    let mut book = RecordBook::open(FileStore::open(existing(&args.records)?)?)?;
    let id = BatchId { day: args.day.unwrap_or(now.date), sequence: args.sequence };
    let batch = batch::close(&config, &mut book, id, now)?;
    let path = args.out.join(batch.name.to_string());
    std::fs::write(&path, &batch.bytes).with_context(|| format!("write {}", path.display()))?;
    println!("{}: {} records ({} grey), {} yuan", path.display(), batch.records, batch.grey, batch.amount);
    Ok(ExitCode::SUCCESS)
}

/// A journal that is there: a batch of a misspelt one would be empty.
fn existing(path: &Path) -> anyhow::Result<&Path> {
    if path.exists() {
        Ok(path)
    } else {
        bail!("there is no journal {}; `pos purchase --records` makes one", path.display())
    }
}
