//! `ykt selftest`: recomputes every entry of a vector file from its inputs and says where it differs.
//!
//! One line per entry: `ok NAME`, `differs NAME: FIELD expected X got Y`, `unknown family NAME`; totals last. The
//! rules are the protocol crates' own, so what this command proves is what cards and hosts run.

mod entry;
mod families;
mod m1;

use anyhow::Context;
use entry::{Entry, Trouble};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// The vectors of the repository.
const EMBEDDED: &str = include_str!("../../../vectors/epurse.json");

/// Exit code when something differs.
const DIFFERS: u8 = 1;
/// Exit code when the file, or an entry of it, cannot be read and nothing differs.
const MALFORMED: u8 = 2;

/// Recompute test vectors from their inputs and compare.
///
/// The family before the `/` of an entry's name decides the rule: prim, published, diversify, load, purchase,
/// cash withdraw, capp purchase, unload, update overdraft, grey lock, grey online unlock, sm, auth, pin, write key,
/// psam, sm4-proposal, m1, pcsc. Entries of other families are named and not counted as differences.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code: 0 nothing differs, 1 something differs, 2 the file or an entry of it cannot be read.\n\n\
    Example:\n  ykt selftest --vectors vectors/epurse.json"
)]
pub struct Args {
    /// Vector file (JSON list of name, inputs, outputs); without it the vectors built into this program.
    #[arg(long, value_name = "FILE")]
    vectors: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let entries = match &args.vectors {
        None => entry::parse(EMBEDDED).context("the vectors built into this program"),
        Some(path) => fs::read_to_string(path)
            .map_err(anyhow::Error::from)
            .and_then(|text| entry::parse(&text))
            .with_context(|| format!("vector file {}", path.display())),
    };
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            eprintln!("ykt: {error:#}");
            return Ok(ExitCode::from(MALFORMED));
        }
    };
    let mut totals = Totals::default();
    let mut out = io::stdout().lock();
    for entry in &entries {
        writeln!(out, "{}", totals.count(entry, &judge(entry)))?;
    }
    writeln!(out, "{}", totals.line())?;
    Ok(totals.exit_code())
}

/// What came of one entry.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Every output is as recomputed.
    Ok,
    /// Some are not: field, expected, got.
    Differs(Vec<(String, String, String)>),
    /// No rule for this entry, or for one of its outputs.
    Unknown,
    /// An input is missing or is not what its field must be.
    Malformed(String),
}

fn judge(entry: &Entry) -> Verdict {
    let worked = match families::work(entry).and_then(|worked| entry.check_outputs().map(|()| worked)) {
        Ok(worked) => worked,
        Err(Trouble::Unknown) => return Verdict::Unknown,
        Err(Trouble::Input(what)) => return Verdict::Malformed(what),
    };
    let mut differing = Vec::new();
    let mut ruleless = false;
    let given = entry.given_intermediates();
    let outputs = entry.expected_outputs().map(|(field, expected)| (field, expected, true));
    for (field, expected, must) in outputs.chain(given.map(|(field, expected)| (field, expected, false))) {
        match worked.value(field) {
            Some(got) if got.eq_ignore_ascii_case(&expected) => {}
            Some(got) => differing.push((field.to_owned(), expected, got.to_owned())),
            None => ruleless |= must,
        }
    }
    match (differing.is_empty(), ruleless) {
        (false, _) => Verdict::Differs(differing),
        (true, true) => Verdict::Unknown,
        (true, false) => Verdict::Ok,
    }
}

#[derive(Default)]
struct Totals {
    ok: usize,
    differ: usize,
    unknown: usize,
    malformed: usize,
}

impl Totals {
    /// Counts a verdict and gives its line.
    fn count(&mut self, entry: &Entry, verdict: &Verdict) -> String {
        let name = &entry.name;
        let (counter, line) = match verdict {
            Verdict::Ok => (&mut self.ok, format!("ok {name}")),
            Verdict::Unknown => (&mut self.unknown, format!("unknown family {name}")),
            Verdict::Malformed(what) => (&mut self.malformed, format!("malformed {name}: {what}")),
            Verdict::Differs(fields) => {
                let mut line = format!("differs {name}:");
                for (at, (field, expected, got)) in fields.iter().enumerate() {
                    let separator = if at == 0 { "" } else { ";" };
                    let _ = write!(line, "{separator} {field} expected {expected} got {got}");
                }
                (&mut self.differ, line)
            }
        };
        *counter = counter.saturating_add(1);
        line
    }

    fn line(&self) -> String {
        let Totals { ok, differ, unknown, malformed } = self;
        let all = [ok, differ, unknown, malformed].into_iter().sum::<usize>();
        let malformed = match malformed {
            0 => String::new(),
            some => format!(", {some} malformed"),
        };
        format!("{all} entries: {ok} ok, {differ} differ, {unknown} of unknown families{malformed}")
    }

    fn exit_code(&self) -> ExitCode {
        match (self.differ, self.malformed) {
            (1.., _) => ExitCode::from(DIFFERS),
            (0, 1..) => ExitCode::from(MALFORMED),
            (0, 0) => ExitCode::SUCCESS,
        }
    }
}

#[cfg(test)]
mod tests;
