//! `ykt m1`: M1 cards in image files: made, looked at, put into a virtual reader; and a terminal that charges, loads,
//! repairs and marks them.

use crate::card::{code, decimal_digits, validity};
use crate::chip::{Apdu, Serve};
use crate::desk::{DECLINED, TRY_AGAIN, yuan};
use crate::machine::{SystemClock, SystemRng};
use crate::slot::Slot;
use anyhow::{Context, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use ykt_base::hex::{self, Hex};
use ykt_base::{Clock, Date, Fen, Rng, TerminalId};
use ykt_crypto::Key16;
use ykt_m1::issue::{IssueOrder, personalise};
use ykt_m1::layout::CardFlag;
use ykt_m1::{BlockMemory, CardView, M1Layout, M1Masters, M1Reader, Uid};
use ykt_terminal::m1::{
    Certainty, M1Config, M1File, M1Image, M1Memory, M1Outcome, M1Receipt, M1Refusal, M1Store, M1Terminal,
    SoftKeys,
};
use ykt_terminal::pos::Money;

/// M1 cards (Mifare Classic 1K): make, show, serve, purchase, load, blacklist
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A card is an image file (the plain dump of 1,024 bytes), or the number or a part of the name of a \
                  reader.\nExit codes: 0 done, 1 fault, 2 wrong arguments, 3 declined, 4 show the card again."
)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    New(New),
    Show(Show),
    Apdu(Apdu),
    Serve(Serve),
    Inspect(Inspect),
    Purchase(Charge),
    Load(Charge),
    Blacklist(Mark),
    Records(Records),
}

/// Make a card: a blank chip, personalised by the commands a real one would get
#[derive(Debug, clap::Args)]
struct New {
    #[command(flatten)]
    city: City,
    /// Number of the chip, 8 hex digits [default: random]
    #[arg(long)]
    uid: Option<Uid>,
    /// Serial number in the city, 8 digits [default: random]
    #[arg(long, value_parser = four)]
    serial: Option<[u8; 4]>,
    /// Industry or application code, 4 digits
    #[arg(long, default_value = "0000", value_parser = code)]
    industry: [u8; 2],
    /// Type of the card, 2 digits
    #[arg(long, default_value = "01", value_parser = byte)]
    card_type: u8,
    /// Money in the purse, in yuan
    #[arg(long, default_value = "0", value_name = "YUAN", value_parser = yuan)]
    balance: Fen,
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

/// Show everything an image says in clear; never keys
#[derive(Debug, clap::Args)]
struct Show {
    /// Layout of the city
    #[arg(long, default_value = "claimed", value_parser = layout)]
    layout: M1Layout,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Image file
    file: PathBuf,
}

/// Read a card with the keys of its city, wherever it lies
#[derive(Debug, clap::Args)]
struct Inspect {
    #[command(flatten)]
    desk: Desk,
}

/// Take money from a card, or load it; a card that left too early is made whole first
#[derive(Debug, clap::Args)]
struct Charge {
    #[command(flatten)]
    desk: Desk,
    /// Amount in yuan
    #[arg(long, value_name = "YUAN", value_parser = yuan)]
    amount: Fen,
}

/// Mark a card as blacklisted, so that no terminal takes it
#[derive(Debug, clap::Args)]
struct Mark {
    #[command(flatten)]
    desk: Desk,
}

/// Show the journal of a terminal: cards it waits for, records, locks
#[derive(Debug, clap::Args)]
struct Records {
    /// Journal of the terminal
    records: PathBuf,
}

/// Whose cards they are.
#[derive(Debug, clap::Args)]
struct City {
    /// Key file (docs/m1-keys.toml explains it)
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Layout of the city: claimed, complement, identical
    #[arg(long, default_value = "claimed", value_parser = layout)]
    layout: M1Layout,
    /// City code, 4 digits
    #[arg(long, default_value = "2144", value_parser = code)]
    city: [u8; 2],
    /// Number of this device in records on cards, 8 hex digits
    #[arg(long, default_value = "00000001", value_parser = four)]
    device: [u8; 4],
}

/// A card before a terminal.
#[derive(Debug, clap::Args)]
struct Desk {
    /// Card: image file or reader
    #[arg(long, value_name = "FILE|READER")]
    card: String,
    #[command(flatten)]
    city: City,
    /// Id of this terminal in TACs, 12 hex digits
    #[arg(long, default_value = "F00000000001", value_name = "ID")]
    terminal: TerminalId,
    /// Journal of this terminal; without it a card that leaves too early is made whole, but its record is lost
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

fn layout(text: &str) -> Result<M1Layout, String> {
    let names = M1Layout::NAMED.map(|(name, _)| name).join(", ");
    M1Layout::named(text).ok_or_else(|| format!("expected one of {names}"))
}

fn four(text: &str) -> Result<[u8; 4], String> {
    hex::decode(text).map_err(|error| error.to_string())
}

fn byte(text: &str) -> Result<u8, String> {
    hex::decode(text).map(|[byte]| byte).map_err(|error| error.to_string())
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::New(new) => make(new),
        Action::Show(args) => show(args),
        Action::Apdu(apdu) => apdu.run(),
        Action::Serve(serve) => serve.run("127.0.0.1:35963"),
        Action::Inspect(Inspect { desk }) => desk.at(Work::Inspect),
        Action::Purchase(Charge { desk, amount }) => desk.at(Work::Purchase(*amount)),
        Action::Load(Charge { desk, amount }) => desk.at(Work::Load(*amount)),
        Action::Blacklist(Mark { desk }) => desk.at(Work::Mark),
        Action::Records(Records { records }) => list(records),
    }
}

/// The master keys of a file.
fn masters(path: &Path) -> anyhow::Result<M1Masters> {
    const FIELDS: [&str; 5] = ["origin", "sector-a", "sector-b", "auth-code", "tac"];
    let text = std::fs::read_to_string(path).with_context(|| format!("key file {}", path.display()))?;
    // The parser's own words would quote the line, and a line may hold a key.
    let table: toml::Table =
        text.parse().map_err(|_| anyhow::anyhow!("key file {}: it is not TOML", path.display()))?;
    if let Some(unknown) = table.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        bail!("key file {}: unknown field `{unknown}`, expected {}", path.display(), FIELDS.join(", "));
    }
    let field = |name: &str| {
        let text = table.get(name).and_then(toml::Value::as_str);
        text.with_context(|| format!("key file {}: field `{name}` is missing or no text", path.display()))
    };
    if !["demo", "production"].contains(&field("origin")?) {
        bail!("key file {}: origin is neither demo nor production", path.display());
    }
    let key = |name: &str| {
        Key16::from_hex(field(name)?).with_context(|| format!("key file {}, {name}", path.display()))
    };
    Ok(M1Masters {
        sector_a: key("sector-a")?,
        sector_b: key("sector-b")?,
        auth_code: key("auth-code")?,
        tac: key("tac")?,
    })
}

fn make(new: &New) -> anyhow::Result<ExitCode> {
    let City { keys, layout, city, device } = &new.city;
    let masters = masters(keys)?;
    let (start, expiry) = validity(new.start, new.expiry)?;
    let order = IssueOrder {
        city: *city,
        industry: new.industry,
        serial: new.serial.unwrap_or_else(decimal_digits),
        flag: CardFlag::Enabled,
        card_type: new.card_type,
        key_version: 0xFF,
        issued: start,
        enabled: start,
        expiry,
        deposit: 0,
        balance: new.balance,
        device: *device,
    };
    let image = M1Image::create(&new.file, new.uid.unwrap_or_else(|| Uid(SystemRng.bytes())))
        .context("a card is made in a new file; give another name or move the old card away")?;
    let mut reader = M1Reader::new(image);
    let made = personalise(&mut reader, &order, &masters, layout, &mut |progress| {
        if new.verbose {
            eprintln!("sector {}: {} blocks, keys and access bits last", progress.sector, progress.blocks);
        }
    });
    let data = match made {
        Ok(data) => data,
        Err(error) => {
            std::fs::remove_file(&new.file)
                .with_context(|| format!("remove the unfinished {}", new.file.display()))?;
            return Err(error.into());
        }
    };
    let uid = reader.chip().uid();
    let number = data.identity(uid).number();
    println!("M1 card {number} in {}: chip {uid}, valid {start} to {expiry}", new.file.display());
    Ok(ExitCode::SUCCESS)
}

fn show(args: &Show) -> anyhow::Result<ExitCode> {
    let reader = M1Reader::new(M1Image::open(&args.file)?);
    let chip = reader.chip();
    let view = CardView::read(chip.uid(), &args.layout, |block| anyhow::Ok(chip.memory().read(block)))?;
    tell(&view, args.json);
    Ok(ExitCode::SUCCESS)
}

/// A card's fields, each with its name.
fn fields(view: &CardView) -> Value {
    let money = |fen: Fen| Value::from(fen.to_string());
    let issue = view.data.map(|data| {
        json!({
            "number": data.identity(view.uid).number().to_string(),
            "auth_code": Hex(&data.auth_code.0).to_string(),
            "flag": format!("{:02X}", data.flag.code()),
            "card_type": format!("{:02X}", data.card_type),
            "key_version": format!("{:02X}", data.key_version),
        })
    });
    let dates = view.dates.map(|dates| {
        json!({
            "issued": dates.issued.to_string(),
            "enabled": dates.enabled.to_string(),
            "expiry": dates.expiry.to_string(),
            "deposit_yuan": money(Fen::from(u32::from(dates.deposit))),
        })
    });
    let public = view.public.map(|info| {
        json!({
            "pointer": info.pointer.number(),
            "count": info.count,
            "process": format!("{:02X}", info.process.code()),
            "month": info.month,
            "black": format!("{:02X}", info.black.code()),
            "reserved": Hex(&info.reserved).to_string(),
        })
    });
    let records: Vec<Value> = view
        .newest_first()
        .map(|record| {
            json!({
                "time": Hex(&record.time).to_string(),
                "before_yuan": money(record.before),
                "amount_yuan": money(record.amount),
                "type": format!("{:02X}", record.kind.code()),
                "device": Hex(&record.device).to_string(),
            })
        })
        .collect();
    json!({
        "uid": view.uid.to_string(),
        "issue": issue,
        "dates": dates,
        "purse_yuan": view.purse.map(|value| money(value.fen())),
        "backup_yuan": view.backup.map(|value| money(value.fen())),
        "totals": view.totals.map(|totals| json!({
            "loaded_yuan": money(Fen::from(totals.total)),
            "loads": totals.loads,
        })),
        "last_load": view.last_load.map(|load| json!({
            "at": load.at.to_string(),
            "amount_yuan": money(load.amount),
            "device": Hex(&load.device).to_string(),
        })),
        "public": public,
        "transfer": view.transfer.map(|ride| json!({
            "at": ride.at.to_string(),
            "line": Hex(&ride.line).to_string(),
            "device": Hex(&ride.device).to_string(),
        })),
        "records": records,
    })
}

fn tell(view: &CardView, as_json: bool) {
    let fields = fields(view);
    if as_json {
        println!("{fields:#}");
        return;
    }
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for (name, value) in fields.as_object().into_iter().flatten() {
        match value {
            Value::Null => println!("{name:<12} cannot be read"),
            Value::Object(inner) => {
                let parts: Vec<String> =
                    inner.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect();
                println!("{name:<12} {}", parts.join(", "));
            }
            Value::Array(rows) => {
                for (number, row) in (1..).zip(rows) {
                    let part = |name: &str| row.get(name).map(plain).unwrap_or_default();
                    println!(
                        "record {number:<5} {} type {} {} yuan, before {} yuan, device {}",
                        part("time"),
                        part("type"),
                        part("amount_yuan"),
                        part("before_yuan"),
                        part("device")
                    );
                }
            }
            other => println!("{name:<12} {}", plain(other)),
        }
    }
}

/// What is done with a card.
#[derive(Clone, Copy)]
enum Work {
    Inspect,
    Purchase(Fen),
    Load(Fen),
    Mark,
}

impl Desk {
    fn at(&self, work: Work) -> anyhow::Result<ExitCode> {
        match &self.records {
            Some(path) => self.work(work, M1File::open(path)?),
            None => self.work(work, M1Memory::default()),
        }
    }

    fn work(&self, work: Work, store: impl M1Store) -> anyhow::Result<ExitCode> {
        let City { keys, layout, city, device } = &self.city;
        let keys = SoftKeys { masters: masters(keys)?, layout: *layout };
        let config = M1Config::new(*layout, *city, *device, self.terminal);
        let mut terminal = M1Terminal::open(config, keys, store)?;
        let mut card = Slot::open(&self.card)?;
        let now = SystemClock.now();
        let outcome = match work {
            Work::Inspect => {
                return match terminal.inspect(&mut card)? {
                    Ok(view) => {
                        tell(&view, self.json);
                        Ok(ExitCode::SUCCESS)
                    }
                    Err(refusal) => {
                        println!("declined: {refusal}");
                        Ok(ExitCode::from(DECLINED))
                    }
                };
            }
            Work::Purchase(amount) => terminal.purchase(&mut card, amount, now)?,
            Work::Load(amount) => terminal.load(&mut card, amount, now)?,
            Work::Mark => match terminal.lock(&mut card, now)? {
                M1Outcome::Declined(M1Refusal::Blacklisted { .. }) => {
                    println!("the card is marked as blacklisted");
                    return Ok(ExitCode::SUCCESS);
                }
                other => other,
            },
        };
        Ok(report(&outcome, self.json))
    }
}

fn report(outcome: &M1Outcome, as_json: bool) -> ExitCode {
    let (word, text, code) = match outcome {
        M1Outcome::Done(receipt) => ("done", receipt_text("done", receipt), ExitCode::SUCCESS),
        M1Outcome::Recovered(receipt) => {
            ("recovered", receipt_text("done before it was pulled", receipt), ExitCode::SUCCESS)
        }
        M1Outcome::Declined(refusal) => {
            ("declined", format!("declined: {refusal}"), ExitCode::from(DECLINED))
        }
        M1Outcome::TryAgain { step, money } => {
            let money = match money {
                Money::Unmoved => "no money was moved",
                Money::MayHaveMoved => "money may have moved: the same card again tells",
            };
            ("try-again", format!("the card left at {step}; {money}"), ExitCode::from(TRY_AGAIN))
        }
    };
    if as_json {
        let record = match outcome {
            M1Outcome::Done(receipt) | M1Outcome::Recovered(receipt) => Some(json!({
                "serial": receipt.record.intent.serial.number(),
                "card": receipt.record.intent.card.number().to_string(),
                "count": receipt.record.intent.count,
                "amount_fen": receipt.record.intent.amount.fen(),
                "balance_fen": receipt.balance.fen(),
                "at": receipt.record.intent.at.to_string(),
            })),
            _ => None,
        };
        println!("{:#}", json!({ "outcome": word, "text": text, "record": record }));
    } else {
        println!("{text}");
    }
    code
}

fn receipt_text(how: &str, receipt: &M1Receipt) -> String {
    let intent = &receipt.record.intent;
    format!(
        "{how}: {} yuan, balance {} yuan; record {}, card {} count {}",
        intent.amount,
        receipt.balance,
        intent.serial.number(),
        intent.card.number(),
        intent.count
    )
}

fn list(path: &Path) -> anyhow::Result<ExitCode> {
    if !path.exists() {
        bail!("there is no journal {}; `m1 purchase --records` makes one", path.display());
    }
    let book = ykt_terminal::m1::M1Book::open(M1File::open(path)?)?;
    for pending in book.pending() {
        let entry = Hex(&pending.intent.entry(pending.step)).to_string();
        println!("waits for {}: {entry}", pending.intent.card.uid);
    }
    for record in book.records() {
        let intent = &record.intent;
        let certainty = match record.certainty {
            Certainty::Moved { tac: Some(tac) } => format!("TAC {tac}"),
            Certainty::Moved { tac: None } => "no TAC".to_owned(),
            Certainty::Grey => "grey".to_owned(),
        };
        println!(
            "record {}: {} {:?} {} yuan, card {} count {}, {certainty}",
            intent.serial.number(),
            intent.at,
            intent.operation,
            intent.amount,
            intent.card.number(),
            intent.count
        );
    }
    for lock in book.locks() {
        println!("locked {}: card {}", lock.at, lock.card.number());
    }
    Ok(ExitCode::SUCCESS)
}
