//! `ykt audit`: the audit log of a data directory, read by who may read it.

use crate::installation::{self, Place};
use crate::who::Person;
use clap::{Args as ClapArgs, Subcommand};
use std::process::ExitCode;
use ykt_office::audit::{self, AuditFilter, AuditRow, Outcome};
use ykt_office::people::Permission;
use ykt_store::Paging;

/// List the audit log
#[derive(Debug, ClapArgs)]
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
        /// Part of what was done, of the object or of the detail
        #[arg(long)]
        text: Option<String>,
        /// Most records
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        rows: u32,
    },
}

/// Runs the command.
///
/// # Errors
/// When the data directory cannot be used, or the person may not read the log.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = args.place.config()?;
    match &args.act {
        AuditAct::List { person, who, text, rows } => {
            let store = installation::open_store(&config)?;
            let act = person.act(&config, &store, Permission::ReadAudit)?;
            let filter = AuditFilter { who: who.clone(), text: text.clone(), ..AuditFilter::default() };
            let page = store.write(|tx| {
                audit::append(tx, &act, "audit/list", "", Outcome::Done, "")?;
                audit::list(tx, &filter, Paging::first(*rows))
            })?;
            page.rows.iter().for_each(show);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(row: &AuditRow) {
    let AuditRow { seq, at, who, what, object, outcome, detail, .. } = row;
    println!("{seq:>8}  {at}  {who:<16} {what:<22} {outcome:<8} {object}  {detail}");
}
