//! `ykt clearing`: the clearing desk without a browser. Each step is safe to repeat and goes on where it was cut.

use crate::installation::{self, Place};
use crate::machine::SystemClock;
use anyhow::{Context, bail};
use clap::{Args as ClapArgs, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use ykt_base::{Clock, Date};
use ykt_city::city::PARTNERS;
use ykt_clearing::{Clearing, Closing, DirFolders, Received, Step};

/// Receive files, close clearing days, take the bank's answers
///
/// The partners' folders (upload, download, history, repeat, error) and the bank's outbox are in `partners` in
/// the data directory. Stop the server first: one process has the data at a time.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  ykt clearing --data ./data receive\n  ykt clearing --config ykt.toml close --day 2026-03-02\n  \
                        ykt clearing --data ./data bank-return PAY20260302.xml --answer answer.xml"
)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    act: ClearingAct,
}

#[derive(Debug, Subcommand)]
enum ClearingAct {
    /// Receive every file that waits in an upload folder
    Receive {
        /// Clearing day the files are for; today when absent
        #[arg(long)]
        day: Option<Date>,
    },
    /// Close a clearing day: judge, book, answer, send the transfer file
    Close {
        /// The day
        #[arg(long)]
        day: Date,
    },
    /// Take the bank's answer to a transfer file
    BankReturn {
        /// Name of the transfer file, as it was sent
        name: String,
        /// The bank's answer (XML)
        #[arg(long, value_name = "FILE")]
        answer: PathBuf,
    },
    /// List the clearing days
    Days,
}

/// Runs the command.
///
/// # Errors
/// When the data cannot be used, or the step is refused.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = args.place.config()?;
    let store = installation::open_store(&config)?;
    let folders = DirFolders::open(&config.data.join(PARTNERS))?;
    let clearing = Clearing::new(store.clone(), Arc::new(folders), config.clearing.policy());
    let now = SystemClock.now();
    match &args.act {
        ClearingAct::Receive { day } => receive(&clearing, day.unwrap_or(now.date)),
        ClearingAct::Close { day } => {
            let Some(vaults) = installation::open_logged_vault(&config, &store)? else {
                bail!("closing a day checks TACs: configure the vault and its passphrase");
            };
            installation::refuse_demonstration(&config, &store, Some(&vaults))?;
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.enable_steady_tick(Duration::from_millis(200));
            let mut watch = |step: Step| bar.set_message(format!("{step:?}"));
            let mut closing = Closing { vault: &*vaults.keys, loads: &ykt_pay::Loads, watch: &mut watch };
            let closed = clearing.close_day(*day, now, &mut closing)?;
            bar.finish_and_clear();
            for bill in &closed.bills {
                println!(
                    "{} {} gross {:>14} commission {:>10} net {:>14} {}",
                    bill.day,
                    bill.merchant,
                    bill.gross(),
                    bill.commission,
                    bill.net,
                    bill.state
                );
            }
            match &closed.transfer {
                Some(name) => println!("{day} is closed; transfer file {name} is in the bank's outbox"),
                None => println!("{day} is closed; nothing is to be paid"),
            }
            Ok(ExitCode::SUCCESS)
        }
        ClearingAct::BankReturn { name, answer } => {
            let bytes = std::fs::read(answer).with_context(|| format!("reading {}", answer.display()))?;
            let done = clearing.bank_return(name, &bytes, now.date, now)?;
            println!(
                "paid {} ({}), failed {} ({}), known before {}",
                done.paid, done.paid_amount, done.failed, done.failed_amount, done.repeated
            );
            Ok(ExitCode::SUCCESS)
        }
        ClearingAct::Days => {
            for day in store.read(ykt_clearing::queries::days)? {
                println!(
                    "{} {:<18} files {:>4} records {:>8} amount {:>16} net {:>16}",
                    day.day,
                    day.phase.to_string(),
                    day.files,
                    day.records.count,
                    day.records.amount,
                    day.net
                );
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Receives what waits. A broken file makes the exit code 1, the others are received all the same.
fn receive(clearing: &Clearing, day: Date) -> anyhow::Result<ExitCode> {
    clearing.sweep()?;
    let mut broken = 0u32;
    for (merchant, name, received) in clearing.receive_all(SystemClock.now(), day)? {
        match received {
            Received::Accepted { records, amount, alarm, .. } => {
                let alarm = alarm.map(|alarm| format!("; {alarm}")).unwrap_or_default();
                println!("accepted {merchant} {name}: {records} records, {amount}{alarm}");
            }
            Received::Repeated { first, by } => {
                println!("repeated {merchant} {name}: same {by:?} as file {first}");
            }
            Received::Broken(why) => {
                broken = broken.saturating_add(1);
                println!("broken   {merchant} {name}: {why}");
            }
        }
    }
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
