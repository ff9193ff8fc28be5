//! `ykt token`: a card as a USB token. `serve` plugs it in, `use` is what its holder does with its purse; `key`, `sign`,
//! `verify` and `cert` are what it keeps beside the purse.

mod holder;
pub mod keys;
pub mod screen;
mod signing;

use crate::desk::{DECLINED, LoadDesk, Place, yuan};
use crate::interrupt;
use crate::slot::open_image;
use clap::Subcommand;
use screen::{Cancelled, Words, say};
use std::path::PathBuf;
use std::process::ExitCode;
use ykt_base::Fen;
use ykt_usb::usbip::server::{BUS_ID, Event, Server};

/// A card as a USB token: plug it in, use it
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Serve(Serve),
    Use(Use),
    Key(keys::KeyArgs),
    Sign(signing::Sign),
    Verify(signing::Verify),
    Cert(keys::CertArgs),
}

/// Exit code of a dialogue that the person broke off.
const CANCELLED: u8 = 5;

/// Why a visit ends before its time.
pub enum Leave {
    /// The person broke it off.
    Cancelled,
    /// The token, its application or a signature is not taken.
    Declined,
    /// A fault of the terminal.
    Fault(anyhow::Error),
}

impl From<Cancelled> for Leave {
    fn from(Cancelled: Cancelled) -> Leave {
        Leave::Cancelled
    }
}

impl<E: Into<anyhow::Error>> From<E> for Leave {
    fn from(error: E) -> Leave {
        Leave::Fault(error.into())
    }
}

/// Export the card in an image file as a USB token (CCID) over USB/IP
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A Linux machine with the module vhci-hcd attaches it: usbip attach -r HOST -b 1-1. The \
                        protocol knows no password: whoever reaches the port has the token."
)]
struct Serve {
    /// Card in an image file
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// Where hosts find it
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:3240")]
    listen: String,
}

/// Use a token as its holder: application, purse, PIN; then load, pay, read
#[derive(Debug, clap::Args)]
#[command(after_help = "A PSAM is an image file, or the number or a part of the name of a reader.\n\
                        Exit codes: 0 ended by the holder, 1 fault, 2 wrong arguments, 3 declined, 5 cancelled.")]
struct Use {
    #[command(flatten)]
    desk: LoadDesk,
    /// For purchases, PSAM: image file or reader
    #[arg(long, value_name = "FILE|READER")]
    psam: Option<String>,
    /// Journal of the terminal; without it records end with this command
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// Highest amount of a purchase, which is made without asking the issuer, in yuan
    #[arg(long, value_name = "YUAN", value_parser = yuan, default_value = "1000")]
    amount_max: Fen,
    #[command(flatten)]
    place: Place,
    /// Token: image file, number or part of the name of a reader, or usbip:HOST:PORT
    token: String,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let visited = match &args.action {
        Action::Serve(serve) => return export(serve),
        Action::Use(using) => holder::run(using),
        Action::Key(args) => args.run(),
        Action::Sign(args) => args.run(),
        Action::Verify(args) => args.run(),
        Action::Cert(args) => args.run(),
    };
    match visited {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(Leave::Cancelled) => {
            say(format_args!("\n{}", Words("Cancelled", "已取消")));
            Ok(ExitCode::from(CANCELLED))
        }
        Err(Leave::Declined) => Ok(ExitCode::from(DECLINED)),
        Err(Leave::Fault(error)) => Err(error),
    }
}

fn pin_is_blocked() -> Leave {
    say(Words("Declined: the PIN is blocked", "拒绝：密码已锁定"));
    Leave::Declined
}

fn pin_is_wrong(left: u8) {
    say(format_args!("Wrong PIN, {left} tries left / 密码错误，还可试 {left} 次"));
}

fn export(args: &Serve) -> anyhow::Result<ExitCode> {
    let card = open_image(&args.image)?;
    let server = Server::bind(&args.listen)?;
    let (address, stop) = (server.address(), server.stop_handle());
    interrupt::does(move || stop.stop())?;
    eprintln!("{} is the USB token {BUS_ID} at {address}; Ctrl-C ends", args.image.display());
    if !address.ip().is_loopback() {
        eprintln!("whoever reaches {address} has the token: USB/IP knows no password");
    }
    server.serve(card, &|peer, event| match event {
        Event::Listed => eprintln!("{peer}: asked what there is"),
        Event::Imported => eprintln!("{peer}: has the token"),
        Event::Released => eprintln!("{peer}: let go of the token"),
        Event::Refused(status) => eprintln!("{peer}: did not get the token ({status:?})"),
        Event::Crowded => eprintln!("{peer}: closed, too many are connected"),
        Event::Dropped(fault) => eprintln!("{peer}: dropped, {:#}", anyhow::Error::from(fault)),
    });
    eprintln!("ended; {} holds everything the token did", args.image.display());
    Ok(ExitCode::SUCCESS)
}
