//! `ykt audit`: the audit log of a data directory, read by who may read it, and verified by anybody.

use crate::installation::{self, Place};
use crate::machine::{SystemClock, SystemRng};
use crate::who::Person;
use anyhow::{Context, bail};
use clap::{Args as ClapArgs, Subcommand};
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use ykt_base::{Clock, Date, DateTime};
use ykt_kmc::AuditSigner;
use ykt_office::audit::{
    self, AuditFilter, AuditRow, ChainReport, Checkpoint, Fingerprint, Outcome, Trust, checkpoint, file,
};
use ykt_office::people::Permission;
use ykt_store::{Paging, Store};
use ykt_web::Config;

/// Exit code of a log that is not as it was written.
const ALTERED: u8 = 3;

/// List, export, sign and verify the audit log
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Exit codes of verify: 0 whole, 3 altered (the first bad record is named), 1 when there is nothing to verify.\n\nExamples:\n  ykt audit list --as auditor --text key/\n  ykt audit export audit.jsonl --as auditor\n  ykt audit verify audit.jsonl --key 5e0c…"
)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    act: AuditAct,
}

#[derive(Debug, Subcommand)]
enum AuditAct {
    /// List records, the newest first; the reading itself is written down
    List {
        #[command(flatten)]
        person: Person,
        /// Part of the name of who did it
        #[arg(long)]
        who: Option<String>,
        /// Part of what was done, such as key/
        #[arg(long)]
        what: Option<String>,
        /// Part of the object
        #[arg(long)]
        object: Option<String>,
        /// Part of what was done, of the object or of the detail
        #[arg(long)]
        text: Option<String>,
        /// First day, yyyy-MM-dd
        #[arg(long, value_name = "DAY")]
        from: Option<Date>,
        /// Last day, yyyy-MM-dd
        #[arg(long, value_name = "DAY")]
        until: Option<Date>,
        /// Most records
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        rows: u32,
    },
    /// Write the whole log to a file that proves itself; where there is a key, it is signed first
    Export {
        /// The file, which must be new
        file: PathBuf,
        #[command(flatten)]
        person: Person,
    },
    /// Verify an exported file, or without one the log of the data directory
    Verify {
        /// An exported file; nothing else is read then
        file: Option<PathBuf>,
        /// Fingerprint of a key that may have signed checkpoints; without any the keys are named for you to compare
        #[arg(long = "key", value_name = "FINGERPRINT")]
        keys: Vec<Fingerprint>,
    },
    /// Sign a checkpoint now
    Checkpoint,
}

/// Runs the command.
///
/// # Errors
/// When the data directory or the file cannot be used, or the person may not read the log.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = args.place.config()?;
    match &args.act {
        AuditAct::List { person, who, what, object, text, from, until, rows } => {
            let store = installation::open_store(&config)?;
            let act = person.act(&config, &store, Permission::ReadAudit)?;
            let after = |day: &Date| Some(DateTime::start_of(day.plus_days(1)?));
            let filter = AuditFilter {
                from: from.map(DateTime::start_of),
                until: until.as_ref().and_then(after),
                who: who.clone(),
                what: what.clone(),
                object: object.clone(),
                text: text.clone(),
                outcome: None,
            };
            let page = store.write(|tx| {
                audit::append(tx, &act, "audit/read", "", Outcome::Done, "")?;
                audit::list(tx, &filter, Paging::first(*rows))
            })?;
            page.rows.iter().for_each(show);
            eprintln!("{} of {} records", page.rows.len(), page.totals);
        }
        AuditAct::Export { file, person } => export(&config, file, person)?,
        AuditAct::Verify { file, keys } => return verify(&config, file.as_deref(), keys),
        AuditAct::Checkpoint => {
            let store = installation::open_store(&config)?;
            match sign(&config, &store)? {
                Signed::Made(made) => tell(&made),
                Signed::Empty => println!("the log is empty: there is nothing to sign"),
                Signed::NoKey => {
                    bail!("there is no key to sign with: open the vault, and make a signing pair first")
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(row: &AuditRow) {
    let AuditRow { seq, at, who, what, object, outcome, detail, .. } = row;
    println!("{seq:>8}  {at}  {who:<16} {what:<22} {outcome:<8} {object}  {detail}");
}

fn tell(made: &Checkpoint) {
    println!("checkpoint {} signs {} records, by {}", made.no, made.records, made.fingerprint());
}

/// How the signing ended.
enum Signed {
    Made(Checkpoint),
    Empty,
    NoKey,
}

fn sign(config: &Config, store: &Store) -> anyhow::Result<Signed> {
    let sealed = installation::open_sealed(config)?;
    let signer = sealed.as_ref().map(installation::signing_pair).transpose()?.flatten();
    let Some(signer) = signer else { return Ok(Signed::NoKey) };
    let made = checkpoint::make(store, &AuditSigner(signer), SystemClock.now(), &mut SystemRng)?;
    Ok(made.map_or(Signed::Empty, Signed::Made))
}

fn export(config: &Config, path: &Path, person: &Person) -> anyhow::Result<()> {
    let store = installation::open_store(config)?;
    let act = person.act(config, &store, Permission::ReadAudit)?;
    let new = File::create_new(path).with_context(|| format!("new file {}", path.display()))?;
    store.write(|tx| audit::append(tx, &act, "audit/export", "", Outcome::Done, ""))?;
    match sign(config, &store)? {
        Signed::Made(made) => tell(&made),
        Signed::Empty | Signed::NoKey => {
            eprintln!("there is no key to sign with: the end of the log is unsigned")
        }
    }
    let mut out = BufWriter::new(new);
    let records = store.read(|tx| file::write(tx, SystemClock.now(), &mut out))?;
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    println!("{records} records in {}", path.display());
    Ok(())
}

fn verify(config: &Config, path: Option<&Path>, keys: &[Fingerprint]) -> anyhow::Result<ExitCode> {
    let trust = if keys.is_empty() { Trust::Named } else { Trust::Keys(keys) };
    let report = match path {
        Some(path) => {
            let opened = File::open(path).with_context(|| format!("exported log {}", path.display()))?;
            file::verify(BufReader::new(opened), trust)?
        }
        None if !config.data.is_dir() => bail!("there is no data directory {}", config.data.display()),
        None => installation::open_store(config)?.read(|tx| audit::verify_trusting(tx, trust))?,
    };
    println!("{report}");
    if let (ChainReport::Whole { .. }, []) = (&report, keys) {
        eprintln!("compare the fingerprint with the one that was written down; --key does it for you");
    }
    Ok(if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(ALTERED) })
}
