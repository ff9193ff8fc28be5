//! Where a card sits: in an image file of this program, in a token, or in a reader of this machine.

use crate::interrupt;
use crate::machine::SystemRng;
use anyhow::{Context, bail, ensure};
use std::io::BufRead;
use std::path::Path;
use std::process::ExitCode;
use ykt_base::hex::{self, Hex};
use ykt_base::{CardChannel, ChannelError, Response};
use ykt_card::{Blank, Card};
use ykt_crypto::{CardKey, Key16};
use ykt_issue::profile::SHIPPED;
use ykt_issue::{Profile, Progress};
use ykt_m1::M1Reader;
use ykt_purse::create::Access;
use ykt_terminal::m1::M1Image;
use ykt_terminal::transport::image::FileMemory;
use ykt_terminal::transport::in_process::InProcess;
use ykt_terminal::transport::vpcd::{self, InsertedCard, ServeEvent, Stop};
use ykt_usb::usbip::client::UsbToken;
use ykt_vault::{
    DEMO_TRANSPORT_KEY, ImportedKey, KeyAddress, KeyManagement, KeyPlace, KeyState, KeyValue, KeysFile,
    SoftVault, Vault,
};

/// A card in an image file.
pub type ImageCard = InProcess<FileMemory, SystemRng>;

/// A card in its slot.
pub enum Slot {
    /// In an image file.
    Image(Box<ImageCard>),
    /// An M1 card in an image file, on a virtual reader.
    M1(Box<M1Reader<M1Image>>),
    /// In a token behind a USB/IP server.
    Token(Box<UsbToken>),
    /// In a reader.
    #[cfg(feature = "pcsc")]
    Reader(ykt_terminal::transport::pcsc::ReaderChannel),
}

impl Slot {
    /// The card that `place` names: `usbip:HOST:PORT` a token, else an image file, else the number or a part of the
    /// name of a reader.
    pub fn open(place: &str) -> anyhow::Result<Slot> {
        if let Some(address) = place.strip_prefix("usbip:") {
            return Ok(Slot::Token(Box::new(UsbToken::attach(address)?)));
        }
        let path = Path::new(place);
        if M1Image::is_one(path) {
            return Ok(Slot::M1(Box::new(M1Reader::new(M1Image::open(path)?))));
        }
        if path.exists() {
            return Ok(Slot::Image(Box::new(open_image(path)?)));
        }
        #[cfg(feature = "pcsc")]
        return Ok(Slot::Reader(ykt_terminal::transport::pcsc::ReaderChannel::open(place).with_context(
            || {
                format!(
                    "`{place}` is neither a card image file nor a reader; make an image with `ykt card new`"
                )
            },
        )?));
        #[cfg(not(feature = "pcsc"))]
        bail!(
            "there is no card image `{place}`; make one with `ykt card new` (readers need a build with \
             `--features pcsc`)"
        )
    }

    /// The card's answer to reset.
    pub fn atr(&self) -> &[u8] {
        match self {
            Slot::Image(card) => card.card().atr(),
            Slot::M1(_) => &ykt_m1::reader::ATR,
            Slot::Token(card) => card.atr(),
            #[cfg(feature = "pcsc")]
            Slot::Reader(card) => card.atr(),
        }
    }
}

impl CardChannel for Slot {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        match self {
            Slot::Image(card) => card.transmit(command),
            Slot::M1(card) => card.transmit(command),
            Slot::Token(card) => card.transmit(command),
            #[cfg(feature = "pcsc")]
            Slot::Reader(card) => card.transmit(command),
        }
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        match self {
            Slot::Image(card) => card.reset(),
            Slot::M1(card) => card.reset(),
            Slot::Token(card) => card.reset(),
            #[cfg(feature = "pcsc")]
            Slot::Reader(card) => card.reset(),
        }
    }
}

/// Powers on the card in an image file.
pub fn open_image(path: &Path) -> anyhow::Result<ImageCard> {
    let card = Card::power_on(FileMemory::open(path)?);
    Ok(InProcess::new(card.with_context(|| path.display().to_string())?, SystemRng))
}

/// Makes a blank card of the profile in a new image file and lets `personalise` work on it. When that fails
/// the file is removed: half a card is none.
pub fn make_image<T>(
    path: &Path,
    profile: &Profile,
    serial: [u8; 8],
    personalise: impl FnOnce(&mut ImageCard) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    // An old card of this name is in the way before anything is made: it stays.
    let memory = new_memory(path, profile)?;
    let made = blank_in(memory, profile, serial, Access::STATE_1).and_then(|mut card| personalise(&mut card));
    if made.is_err() {
        std::fs::remove_file(path).with_context(|| format!("remove the unfinished {}", path.display()))?;
    }
    made
}

/// Makes a blank chip of the profile in a new image file, in whose MF files may be made by this right.
pub fn make_blank(path: &Path, profile: &Profile, serial: [u8; 8], create: Access) -> anyhow::Result<()> {
    blank_in(new_memory(path, profile)?, profile, serial, create).map(drop)
}

fn new_memory(path: &Path, profile: &Profile) -> anyhow::Result<FileMemory> {
    FileMemory::create(path, profile.memory_len)
        .context("a card is made in a new file; give another name or move the old card away")
}

fn blank_in(
    memory: FileMemory,
    profile: &Profile,
    serial: [u8; 8],
    create: Access,
) -> anyhow::Result<ImageCard> {
    let transport = Key16::from_bytes(DEMO_TRANSPORT_KEY);
    let kind = profile.kind;
    let blank = Blank { kind, atr: &profile.atr, mf_create: create, ..Blank::user_card(serial, &transport) };
    Ok(InProcess::new(Card::blank(memory, &blank)?, SystemRng))
}

/// The keys of a file, with the transport key that this program's blank cards have.
pub fn open_keys(path: &Path, profile: &Profile) -> anyhow::Result<SoftVault> {
    let vault = SoftVault::from_keys(KeysFile::read(path)?)?;
    let factory = Key16::from_bytes(DEMO_TRANSPORT_KEY);
    match vault.kcv(&KeyAddress::Shared(profile.transport)) {
        Ok(kcv) if kcv == CardKey::Tdes(factory.clone()).kcv() => {}
        Ok(_) => bail!(
            "the {} in {} is not that of this program's blank cards: leave it out, they bring their own",
            profile.transport,
            path.display()
        ),
        Err(_) => {
            let place = KeyPlace::root(profile.transport);
            let value = KeyValue::Tdes(factory);
            vault.import(ImportedKey { place, state: KeyState::Active, value, kcv: None })?;
        }
    }
    Ok(vault)
}

/// The built-in profile of a name, or the one in a file, with its text.
pub fn open_profile_text(name: &str) -> anyhow::Result<(String, Profile)> {
    let profile = open_profile(name)?;
    let text = match SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
        Some((_, text)) => (*text).to_owned(),
        None => std::fs::read_to_string(name).with_context(|| format!("read the profile {name}"))?,
    };
    Ok((text, profile))
}

/// The built-in profile of a name, or the one in a file.
pub fn open_profile(name: &str) -> anyhow::Result<Profile> {
    if let Some(profile) = Profile::named(name) {
        return Ok(profile);
    }
    let path = Path::new(name);
    let names: Vec<_> = SHIPPED.iter().map(|(name, _)| *name).collect();
    ensure!(path.exists(), "`{name}` is no profile file and no shipped profile ({})", names.join(", "));
    Ok(Profile::read(path)?)
}

/// Keeps the card of an image in the virtual reader at `address` until Ctrl-C or SIGTERM.
pub fn serve(path: &Path, address: &str) -> anyhow::Result<ExitCode> {
    if M1Image::is_one(path) {
        keep(&mut M1Reader::new(M1Image::open(path)?), path, address)
    } else {
        keep(&mut open_image(path)?, path, address)
    }
}

fn keep(card: &mut impl InsertedCard, path: &Path, address: &str) -> anyhow::Result<ExitCode> {
    let stop = Stop::default();
    let handle = stop.clone();
    interrupt::does(move || handle.stop())?;
    eprintln!("{} for the virtual reader at {address}; Ctrl-C ends", path.display());
    vpcd::serve(address, card, &stop, &mut |event| match event {
        ServeEvent::Inserted => eprintln!("in the reader"),
        ServeEvent::Ejected => eprintln!("the reader let go"),
        ServeEvent::Waiting { why } => {
            eprintln!("no reader at {address} yet ({why}); waiting for pcscd with vpcd")
        }
    })?;
    eprintln!("ended; {} holds everything the card did", path.display());
    Ok(ExitCode::SUCCESS)
}

/// Sends commands, each an APDU in hex: those given, else the lines of standard input.
pub fn dialogue(place: &str, commands: &[String]) -> anyhow::Result<ExitCode> {
    let mut slot = Slot::open(place)?;
    if commands.is_empty() {
        for (number, line) in (1..).zip(std::io::stdin().lock().lines()) {
            say(&mut slot, &line?).with_context(|| format!("line {number}"))?;
        }
    } else {
        for command in commands {
            say(&mut slot, command)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One line of a dialogue: an APDU, `reset`, or a comment after `#`.
fn say(slot: &mut Slot, line: &str) -> anyhow::Result<()> {
    let text: String = line.split('#').next().unwrap_or_default().split_whitespace().collect();
    match text.as_str() {
        "" => Ok(()),
        "reset" => slot.reset().map_err(anyhow::Error::from),
        digits => {
            let mut command = vec![0; digits.len().div_ceil(2)];
            hex::decode_into(digits, &mut command)
                .with_context(|| format!("`{line}` is no APDU in hex (write `reset` for a reset)"))?;
            let answer = slot.transmit(&command)?;
            let space = if answer.data().is_empty() { "" } else { " " };
            println!("{}{space}{}", Hex(answer.data()), answer.sw());
            Ok(())
        }
    }
}

/// Tells a personalisation step on standard error, when asked to.
pub fn tell(verbose: bool, step: &Progress<'_>) {
    if verbose {
        eprintln!("{:>2}/{} {}", step.number, step.of, step.title);
    }
}
