//! What cards and PSAMs in image files have in common: they are made, shown, talked to, and put into a virtual
//! reader. Only the making differs.

use crate::profiles;
use crate::show;
use crate::slot::{dialogue, serve};
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

/// A command on image files, of which `New` says how one is made.
#[derive(Debug, clap::Args)]
pub struct Args<New: clap::Args> {
    #[command(subcommand)]
    action: Action<New>,
}

#[derive(Debug, Subcommand)]
enum Action<New: clap::Args> {
    New(New),
    Profiles(profiles::Args),
    Show(show::Args),
    Apdu(Apdu),
    Serve(Serve),
}

/// Send APDUs in hex, from the command line or line by line from standard input
#[derive(Debug, clap::Args)]
pub struct Apdu {
    /// Image file, or number or part of the name of a reader
    card: String,
    /// Commands; without any they are read from standard input (`reset` resets, `#` begins a comment)
    commands: Vec<String>,
}

/// Keep the card in a virtual reader (pcscd with vpcd)
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Where vpcd waits [default: 127.0.0.1:35963, its first slot, for a card; 127.0.0.1:35964, its second, for a
    /// PSAM]
    #[arg(long, value_name = "HOST:PORT")]
    vpcd: Option<String>,
    /// Image file
    file: PathBuf,
}

impl<New: clap::Args> Args<New> {
    /// Runs the command; a new one is made by `make`, and `vpcd` is the slot it is put into when none is named.
    pub fn run(
        &self,
        vpcd: &str,
        make: impl FnOnce(&New) -> anyhow::Result<ExitCode>,
    ) -> anyhow::Result<ExitCode> {
        match &self.action {
            Action::New(new) => make(new),
            Action::Profiles(args) => profiles::run(args),
            Action::Show(args) => show::run(args),
            Action::Apdu(apdu) => apdu.run(),
            Action::Serve(serve) => serve.run(vpcd),
        }
    }
}

impl Apdu {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        dialogue(&self.card, &self.commands)
    }
}

impl Serve {
    /// Runs the command; `vpcd` is the slot when none is named.
    pub fn run(&self, vpcd: &str) -> anyhow::Result<ExitCode> {
        serve(&self.file, self.vpcd.as_deref().unwrap_or(vpcd))
    }
}
