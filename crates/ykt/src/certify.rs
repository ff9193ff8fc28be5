//! `ykt certify`: a card, PSAM or M1 card in a reader or an image file, judged by a conformance plan.

use crate::machine::SystemClock;
use crate::slot::Slot;
use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use ykt_base::{CardChannel, Clock};
use ykt_certify::plan::BUILT_IN;
use ykt_certify::report::{Language, html, text};
use ykt_certify::{Harm, Job, Overrides, Plan, Report};
use ykt_vault::{DeskKeys, KeysFile};

/// Exit code when no verdict could be reached.
const NOT_RUN: u8 = 2;

/// Judge a card, PSAM or M1 card by a conformance plan
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Cases that may block or use up something run with --destructive only. Money that moved is put \
                  back as far as the keys allow.\n\
                  Exit codes: 0 every case that applies has passed, 1 a case failed, 2 it could not be run."
)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(List),
}

/// List the built-in plans, or the cases of one
#[derive(Debug, clap::Args)]
struct List {
    /// Built-in plan, or a plan file
    plan: Option<String>,
    /// Language
    #[arg(long, value_enum, default_value_t)]
    language: Words,
}

/// What is judged, by what.
#[derive(Debug, clap::Args)]
struct RunArgs {
    /// Built-in plan (purse, psam, m1), or a plan file
    #[arg(long, value_name = "PLAN|FILE", default_value = "purse")]
    plan: String,
    /// Reader the card is in: number, name or part of the name
    #[arg(long, value_name = "READER", conflicts_with = "image")]
    reader: Option<String>,
    /// Image file of a card
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Key file: finished keys of the card or masters, and its PIN (docs/keys.toml explains it)
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Put another value in place of a parameter of the plan
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// Run this case, or every case whose id begins so (may be repeated)
    #[arg(long = "case", value_name = "ID")]
    cases: Vec<String>,
    /// Run also what may block the card or use it up
    #[arg(long)]
    destructive: bool,
    /// Run also what leaves the card of no use: permanent blocking
    #[arg(long, requires = "destructive")]
    fatal: bool,
    /// Write the report as an HTML page
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Language of the report on the terminal; the page has both
    #[arg(long, value_enum, default_value_t)]
    language: Words,
}

/// Language on the terminal.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Words {
    /// English
    #[default]
    En,
    /// Chinese
    Zh,
}

impl From<Words> for Language {
    fn from(words: Words) -> Language {
        match words {
            Words::En => Language::English,
            Words::Zh => Language::Chinese,
        }
    }
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    parts.ok_or_else(|| "expected NAME=VALUE".to_owned())
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let outcome = match &args.action {
        Some(Action::List(list)) => return self::list(list),
        None => judge(&args.run),
    };
    match outcome {
        Ok(report) if report.is_conformant() => Ok(ExitCode::SUCCESS),
        Ok(report) if report.counts().failed > 0 => Ok(ExitCode::FAILURE),
        Ok(_) => Ok(ExitCode::from(NOT_RUN)),
        Err(error) => {
            eprintln!("ykt: {error:#}");
            Ok(ExitCode::from(NOT_RUN))
        }
    }
}

fn judge(args: &RunArgs) -> anyhow::Result<Report> {
    let overrides = args.parameters.iter().cloned().collect();
    let plan = open_plan(&args.plan, &overrides)?;
    let keys = match &args.keys {
        Some(path) => DeskKeys::from_keys(KeysFile::read(path)?)?,
        None => DeskKeys::none(),
    };
    let place = match (&args.reader, &args.image) {
        (Some(reader), _) => reader.clone(),
        (None, Some(image)) => image.display().to_string(),
        (None, None) => bail!("name the card: --reader READER or --image FILE"),
    };
    let mut slot = Slot::open(&place)?;
    let atr = slot.atr().to_vec();
    let report = run_plan(&mut slot, &plan, &keys, args, &place, &atr)?;
    print!("{}", text(&report, args.language.into()));
    if let Some(path) = &args.report {
        write(path, &html(&report))?;
    }
    if let Some(path) = &args.json {
        write(path, &report.json()?)?;
    }
    Ok(report)
}

/// The run itself, with a progress bar on standard error.
fn run_plan(
    slot: &mut dyn CardChannel,
    plan: &Plan,
    keys: &DeskKeys,
    args: &RunArgs,
    place: &str,
    atr: &[u8],
) -> anyhow::Result<Report> {
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{pos:>4}/{len} {wide_msg}")?);
    let harm = match (args.destructive, args.fatal) {
        (_, true) => Harm::Fatal,
        (true, false) => Harm::Destructive,
        (false, false) => Harm::None,
    };
    let job = Job { plan, keys, only: &args.cases, harm, at: SystemClock.now(), place, atr };
    let report = ykt_certify::run(slot, &job, &mut |progress| {
        bar.set_length(u64::try_from(progress.of).unwrap_or(0));
        bar.set_message(progress.case.id.clone());
        bar.inc(1);
    });
    bar.finish_and_clear();
    Ok(report?)
}

fn open_plan(name: &str, overrides: &Overrides) -> anyhow::Result<Plan> {
    if BUILT_IN.contains(&name) {
        return Ok(Plan::built_in(name, overrides)?);
    }
    Plan::read(Path::new(name), overrides)
        .with_context(|| format!("`{name}` is no built-in plan ({}) and no plan file", BUILT_IN.join(", ")))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

fn list(list: &List) -> anyhow::Result<ExitCode> {
    let language = Language::from(list.language);
    match &list.plan {
        None => {
            for name in BUILT_IN {
                let plan = Plan::built_in(name, &Overrides::new())?;
                println!("{name:<8} {:>4}  {}", plan.cases.len(), language.of(&plan.title));
            }
        }
        Some(name) => {
            let plan = open_plan(name, &Overrides::new())?;
            for case in &plan.cases {
                let mark = match case.harm {
                    Harm::None => "",
                    Harm::Destructive => " [destructive]",
                    Harm::Fatal => " [fatal]",
                };
                let features: BTreeSet<String> =
                    plan.features.iter().map(|feature| feature.id.clone()).collect();
                let keys: Vec<&str> = case.keys(&features).iter().map(|key| key.name()).collect();
                println!("{}{mark}  ({})  {}", case.id, case.clause, keys.join(" "));
                println!("    {}", language.of(&case.purpose));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
