//! What is on a card or PSAM: directories, files with their rights, keys by name (never their bytes), and what
//! a terminal would read.

use crate::slot::{ImageCard, open_image};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use ykt_base::hex::Hex;
use ykt_card::{BlockState, Sight};
use ykt_purse::create::{Protection, Structure};
use ykt_purse::hard_info::LifeCycle;
use ykt_purse::log::LogRecord;
use ykt_purse::write_key::KeyUsage;
use ykt_terminal::card;
use ykt_terminal::key_card::KeyCard;
use ykt_terminal::psam::Psam;

/// Show what is in an image file: files, rights, balances, counters, log; never keys
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Image file
    file: PathBuf,
}

/// Shows the image.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut card = open_image(&args.file)?;
    let mut lines = Vec::new();
    card.card().inspect(&mut |sight| lines.push(Line::of(&sight)));
    let atr = Hex(card.card().atr()).to_string();
    let (facts, log) = read(&mut card);
    if args.json {
        let contents: Vec<_> = lines.iter().map(|line| &line.json).collect();
        let log = log.map(|log| log.iter().map(log_json).collect::<Value>());
        let file = args.file.display().to_string();
        println!(
            "{:#}",
            json!({ "file": file, "atr": atr, "facts": facts, "contents": contents, "log": log })
        );
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}: ATR {atr}", args.file.display());
    for (name, value) in facts.as_object().into_iter().flatten() {
        println!("  {name:<18} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    for line in lines {
        println!("{}", line.text);
    }
    if let Some(log) = &log {
        print_log(log);
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a log, newest first.
pub fn print_log(log: &[LogRecord]) {
    if log.is_empty() {
        println!("log: empty");
    }
    for (number, record) in (1..).zip(log) {
        println!(
            "log {number:>2}: {} type {:02X} {:>12} yuan, counter {}, terminal {}",
            record.at,
            record.transaction.code(),
            record.amount.to_string(),
            record.counter,
            record.terminal
        );
    }
}

/// A log record as JSON.
pub fn log_json(record: &LogRecord) -> Value {
    json!({
        "at": record.at.to_string(),
        "type": format!("{:02X}", record.transaction.code()),
        "amount_fen": record.amount.fen().fen(),
        "counter": record.counter.0,
        "terminal": record.terminal.to_string(),
    })
}

/// What a terminal reads of a card, else of a PSAM; a blank one has neither.
fn read(card: &mut ImageCard) -> (Value, Option<Vec<LogRecord>>) {
    let user = |card: &mut ImageCard| {
        let public = card::open(card)?;
        Ok::<_, card::CardError>((public, card::balance(card)?, card::log(card)?))
    };
    if let Ok((public, balance, log)) = user(card) {
        let facts = json!({
            "card": public.asn.to_string(),
            "issuer": public.factor().to_string(),
            "valid": format!("{} to {}", public.start, public.expiry),
            "balance_yuan": balance.to_string(),
        });
        return (facts, Some(log));
    }
    match Psam::open(&mut *card) {
        Ok(psam) => {
            let application = psam.application();
            let facts = json!({
                "psam": psam.serial().to_string(),
                "terminal": psam.terminal().to_string(),
                "issuer": application.issuer.to_string(),
                "valid": format!("{} to {}", application.start, application.expiry),
            });
            (facts, None)
        }
        Err(_) => (other_facts(card), None),
    }
}

/// Of a key card how many cards it may issue; of any other how far its life has gone.
fn other_facts(card: &mut ImageCard) -> Value {
    let state = match card.card().life_cycle() {
        LifeCycle::Blank => "blank",
        LifeCycle::Initialised => "initialised",
        LifeCycle::Personalised => "personalised",
        LifeCycle::Locked => "locked",
    };
    match KeyCard::open(&mut *card).and_then(|mut card| card.facts()) {
        Ok(facts) => json!({ "key card": state, "cards_left": facts.left }),
        Err(_) => json!({ "state": state }),
    }
}

struct Line {
    text: String,
    json: Value,
}

impl Line {
    fn of(sight: &Sight<'_>) -> Line {
        match *sight {
            Sight::Directory { fid, name, create, block, used, size } => {
                let (fid, aid) = (Hex(&fid).to_string(), Hex(name).to_string());
                let name = if name.is_empty() { "MF" } else { aid.as_str() };
                Line {
                    text: format!(
                        "directory {fid} {name}: {used} of {size} bytes, create {:02X}{}",
                        create.0,
                        block_text(block)
                    ),
                    json: json!({
                        "directory": fid, "name": name, "used": used, "size": size, "create": right(create.0),
                        "blocked": block != BlockState::Free,
                    }),
                }
            }
            Sight::File { fid, structure, protection, read, write } => {
                let fid = Hex(&fid).to_string();
                let (what, protection) = (structure_text(structure), protection_text(protection));
                Line {
                    text: format!(
                        "  file {fid}: {what}, read {:02X}, write {:02X} {protection}",
                        read.0, write.0
                    ),
                    json: json!({
                        "file": fid, "structure": what, "read": right(read.0), "write": right(write.0),
                        "protection": protection,
                    }),
                }
            }
            Sight::Purse { fid, state } => {
                let fid = Hex(&fid).to_string();
                let Some((balance, online, offline)) = state else {
                    return Line { text: format!("  purse {fid}: damaged"), json: json!({ "purse": fid }) };
                };
                Line {
                    text: format!(
                        "  purse {fid}: balance {balance} yuan, online counter {online}, offline counter {offline}"
                    ),
                    json: json!({
                        "purse": fid, "balance_fen": balance.fen().fen(), "online_counter": online.0,
                        "offline_counter": offline.0,
                    }),
                }
            }
            Sight::Tickets { fid, places, len, stored } => {
                let fid = Hex(&fid).to_string();
                Line {
                    text: format!("  tickets {fid}: {stored} in {places} places of {len} bytes"),
                    json: json!({ "tickets": fid, "stored": stored, "places": places, "len": len }),
                }
            }
            Sight::BankCard { fid, counter } => {
                let fid = Hex(&fid).to_string();
                Line {
                    text: format!("  bank card {fid}: counter {counter}"),
                    json: json!({ "bank_card": fid, "counter": counter.0 }),
                }
            }
            Sight::KeyPair { fid, purpose, pin, public } => {
                let fid = Hex(&fid).to_string();
                let public = public.map(|key| Hex(key.as_bytes()).to_string());
                let shown = public.as_deref().unwrap_or("not made yet");
                Line {
                    text: format!("  SM2 key pair {fid}: to {purpose}, PIN {pin}, public key {shown}"),
                    json: json!({
                        "key_pair": fid, "purpose": purpose.to_string(), "pin": pin.to_string(), "public": public,
                    }),
                }
            }
            Sight::Keys { add, size } => Line {
                text: format!("  keys: {size} bytes, add {:02X}", add.0),
                json: json!({ "keys": size, "add": right(add.0) }),
            },
            Sight::Key { usage, id, version, algorithm, use_right, leads_to, change_right, tries } => {
                let what = usage_text(usage);
                let (left, allowed) = (tries.left(), tries.allowed());
                Line {
                    text: format!(
                        "    key {usage:02X} {what}, id {id}, version {version}, algorithm {algorithm:02X}, use {:02X}, \
                         state {leads_to:X}, change {:02X}, {left} of {allowed} tries left",
                        use_right.0, change_right.0
                    ),
                    json: json!({
                        "key": right(usage), "what": what, "id": id, "version": version.0, "algorithm": right(algorithm),
                        "use": right(use_right.0), "state": leads_to, "change": right(change_right.0),
                        "tries_left": left, "tries_allowed": allowed,
                    }),
                }
            }
        }
    }
}

fn right(byte: u8) -> String {
    format!("{byte:02X}")
}

fn structure_text(structure: Structure) -> String {
    match structure {
        Structure::Binary { size } => format!("{size} bytes"),
        Structure::FixedRecords { count, len } => format!("{count} records of {len} bytes"),
        Structure::VariableRecords { size } => format!("records in {size} bytes"),
        Structure::CyclicRecords { count, len } => format!("ring of {count} records of {len} bytes"),
    }
}

const fn block_text(block: BlockState) -> &'static str {
    match block {
        BlockState::Free => "",
        BlockState::Temporary => ", blocked",
        BlockState::Permanent => ", blocked for good",
    }
}

const fn protection_text(protection: Protection) -> &'static str {
    match protection {
        Protection::Plain => "plain",
        Protection::Mac => "with MAC",
        Protection::EncipheredMac => "enciphered with MAC",
    }
}

/// What a key of a user card is for; a PSAM's usage byte says it by levels and type.
fn usage_text(usage: u8) -> String {
    match KeyUsage::from_code(usage) {
        Some(usage) => format!("{usage:?}"),
        None => ykt_purse::psam::SamUsage::from_code(usage).map_or_else(
            || "unknown".to_owned(),
            |usage| format!("{:?}, {} levels left", usage.kind(), usage.levels()),
        ),
    }
}
