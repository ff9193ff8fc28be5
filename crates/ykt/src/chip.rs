//! What cards and PSAMs in image files have in common: they are made, shown, talked to, and put into a virtual
//! reader. Only the making differs.

use crate::machine::SystemRng;
use crate::profiles;
use crate::show;
use crate::slot::{dialogue, make_blank, open_profile, serve};
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;
use ykt_base::Rng;
use ykt_base::hex::{self, Hex};
use ykt_purse::create::Access;

/// A command on image files, of which `New` says how one is made.
#[derive(Debug, clap::Args)]
pub struct Args<New: clap::Args> {
    #[command(subcommand)]
    action: Action<New>,
}

/// What can be done with image files.
#[derive(Debug, Subcommand)]
pub enum Action<New: clap::Args> {
    New(New),
    Blank(Blank),
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

/// Make a blank chip, as a factory delivers it: no files, no keys but the transport key (docs/keys.toml prints it)
#[derive(Debug, clap::Args)]
pub struct Blank {
    /// Profile the chip is for: kind, memory and answer to reset
    #[arg(long, value_name = "NAME|FILE")]
    profile: String,
    /// Chip number, 16 hex digits [default: random]
    #[arg(long, value_name = "NUMBER", value_parser = chip_number)]
    number: Option<[u8; 8]>,
    /// Let files be made in the MF without a proof, as a preset for places without a connection does
    #[arg(long)]
    open: bool,
    /// Image file to be made
    file: PathBuf,
}

fn chip_number(text: &str) -> Result<[u8; 8], String> {
    hex::decode(text).map_err(|error| error.to_string())
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
        self.action.run(vpcd, make)
    }
}

impl<New: clap::Args> Action<New> {
    /// Runs it; see [`Args::run`].
    pub fn run(
        &self,
        vpcd: &str,
        make: impl FnOnce(&New) -> anyhow::Result<ExitCode>,
    ) -> anyhow::Result<ExitCode> {
        match self {
            Action::New(new) => make(new),
            Action::Blank(blank) => blank.run(),
            Action::Profiles(args) => profiles::run(args),
            Action::Show(args) => show::run(args),
            Action::Apdu(apdu) => apdu.run(),
            Action::Serve(serve) => serve.run(vpcd),
        }
    }
}

impl Blank {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let profile = open_profile(&self.profile)?;
        let number = self.number.unwrap_or_else(|| SystemRng.bytes());
        let create = if self.open { Access::ALWAYS } else { Access::STATE_1 };
        make_blank(&self.file, &profile, number, create)?;
        println!("blank chip {} in {}: {}", Hex(&number), self.file.display(), profile.title);
        Ok(ExitCode::SUCCESS)
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
