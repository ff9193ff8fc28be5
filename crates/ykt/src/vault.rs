//! `ykt vault`: the vault itself, apart from the keys in it: made, opened for others, looked at, and as primary and backup
//! compared, brought in step and switched over.

mod init;
mod opening;
mod pair;
mod serve;
mod show;

use clap::{Args as ClapArgs, Subcommand};
use std::process::ExitCode;

/// Make, serve and look at the vault that keeps the keys; compare and switch primary and backup
///
/// Passphrases are asked for and not shown, or come by file or the variable YKT_VAULT_PASSPHRASE; never as an argument.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    Init(init::Init),
    InitToken(init::InitToken),
    Status(show::Status),
    List(show::List),
    #[command(subcommand)]
    Passphrase(init::Passphrase),
    Serve(serve::Serve),
    Compare(pair::Compare),
    Replicate(pair::Replicate),
    Switch(pair::Switch),
}

/// Runs the command.
///
/// # Errors
/// When a vault cannot be opened, or refuses.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.act {
        Act::Init(init) => init.run(),
        Act::InitToken(init) => init.run(),
        Act::Status(status) => status.run(),
        Act::List(list) => list.run(),
        Act::Passphrase(passphrase) => passphrase.run(),
        Act::Serve(serve) => serve.run(),
        Act::Compare(compare) => compare.run(),
        Act::Replicate(replicate) => replicate.run(),
        Act::Switch(switch) => switch.run(),
    }
}
