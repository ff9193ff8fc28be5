//! `ykt`: the command line of Yikatong. Each command is a module that parses its own arguments and calls the
//! rooms below; nothing is decided here.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks to its terminal")]

mod audit;
mod calc;
mod campaign;
mod card;
mod ceremony;
mod certify;
mod chip;
mod clearing;
mod demo;
mod desk;
#[cfg(test)]
mod documented;
mod download;
mod identity;
mod installation;
mod interrupt;
mod key_card;
mod key_desk;
mod keyboard;
mod keys;
mod m1;
mod machine;
mod person;
mod pos;
mod profiles;
mod psam;
mod psams;
mod selftest;
mod serve;
mod show;
mod slot;
mod token;
mod user;
mod vault;
mod who;

use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// City cards and mobile payment: issue, load, pay, clear, settle (一卡通).
#[derive(Parser)]
#[command(name = "ykt", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Args),
    Serve(serve::Args),
    Clearing(clearing::Args),
    Download(download::Args),
    User(user::Args),
    Ceremony(ceremony::Args),
    Audit(audit::Args),
    Vault(vault::Args),
    Keys(keys::Args),
    Campaign(campaign::Args),
    /// Cards in image files: make, show, talk to, and put into a virtual reader
    Card(card::Args),
    /// PSAMs: produce batches of them; in image files make, show, talk to, and put into a virtual reader
    Psam(psam::Args),
    KeyCard(key_card::Args),
    M1(m1::Args),
    Pos(pos::Args),
    Certify(certify::Args),
    Token(token::Args),
    Identity(identity::Args),
    Selftest(selftest::Args),
    Calc(calc::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome: anyhow::Result<ExitCode> = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Clearing(args) => clearing::run(&args),
        Command::Download(args) => download::run(&args),
        Command::User(args) => user::run(&args),
        Command::Ceremony(args) => ceremony::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Vault(args) => vault::run(&args),
        Command::Keys(args) => keys::run(&args),
        Command::Campaign(args) => campaign::run(&args),
        Command::Card(args) => card::run(&args),
        Command::Psam(args) => psam::run(&args),
        Command::KeyCard(args) => key_card::run(&args),
        Command::M1(args) => m1::run(&args),
        Command::Pos(args) => pos::run(&args),
        Command::Certify(args) => certify::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Identity(args) => identity::run(&args),
        Command::Selftest(args) => selftest::run(&args),
        Command::Calc(args) => calc::run(&args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // A terminal that was closed hears of no error.
            let _unheard = writeln!(std::io::stderr(), "ykt: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    /// Two arguments of one name, a group without members: found here, not by the first who types the command.
    #[test]
    fn every_command_can_be_given() {
        Cli::command().debug_assert();
    }
}
