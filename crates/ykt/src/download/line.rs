//! `ykt download line` and `ykt download card`: a personalisation line for cards in image files, and a counter for one
//! card in an image or a reader. Both have the service's client, blank chips and no keys.
//!
//! A line that was broken off begins again with the cards it had begun, of fresh chips; the half-made images go.

use crate::card::{DebugPin, pin, validity};
use crate::machine::SystemRng;
use crate::slot::{Slot, make_blank, open_image, open_profile};
use anyhow::{Context, bail, ensure};
use clap::Args as ClapArgs;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use ykt_base::hex::{self, Hex};
use ykt_base::{Asn8, CardChannel, Date, IssuerFactor, Rng};
use ykt_card::CardKind;
use ykt_issue::{CardData, Personalisation, Profile, personalise_card_with};
use ykt_kmc::download::client::{Client, Identity};
use ykt_kmc::download::wire::OpenCardAnswer;
use ykt_kmc::download::{Ending, OpenCall, Station, Wanted, run_abreast};
use ykt_purse::create::Access;
use ykt_purse::files::{CITY_AID, PublicData, PublicDataLayout};

/// Where the centre is, and the line's papers.
#[derive(Debug, ClapArgs)]
struct Centre {
    /// Where its key download service listens
    #[arg(long, value_name = "HOST:PORT")]
    centre: String,
    /// Authority of the centre's certificate, PEM
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// The line's client certificate, PEM
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl Centre {
    fn client(&self) -> anyhow::Result<Client> {
        let identity =
            Identity { ca: self.ca.clone(), certificate: self.certificate.clone(), key: self.key.clone() };
        Ok(Client::new(&self.centre, &identity)?)
    }
}

/// Make the user cards of a batch in image files, with keys from the centre; goes on where it was broken off
#[derive(Debug, ClapArgs)]
pub struct Run {
    #[command(flatten)]
    centre: Centre,
    /// The batch
    #[arg(long, value_name = "NAME")]
    batch: String,
    /// Its application: a shipped profile, or a profile file of this name
    #[arg(long, default_value = "city-cpu", value_name = "NAME|FILE")]
    application: String,
    /// Folder the card images go to, NUMBER.card each
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Cards side by side
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=256))]
    abreast: u16,
    /// First day of use [default: today]
    #[arg(long, value_name = "DATE")]
    start: Option<Date>,
    /// Last day of use [default: ten years after the first]
    #[arg(long, value_name = "DATE")]
    expiry: Option<Date>,
    /// PIN of the holders, 4 to 12 digits
    #[arg(long, default_value = "123456", value_parser = pin)]
    pin: DebugPin,
}

/// Add an application to an issued city card, at a counter
#[derive(Debug, ClapArgs)]
pub struct Addition {
    #[command(flatten)]
    centre: Centre,
    /// The application: a shipped addition, or a profile file of this name
    #[arg(long, default_value = "ticket-addon", value_name = "NAME|FILE")]
    application: String,
    /// PIN of the holder for the new application, 4 to 12 digits
    #[arg(long, default_value = "123456", value_parser = pin)]
    pin: DebugPin,
    /// The card: an image file, or a reader (number or part of the name)
    card: String,
}

/// Makes the cards of a batch.
///
/// # Errors
/// When the centre refuses the line or gives no answer; cards that failed are listed, and the exit code is 1.
pub fn run(args: &Run) -> anyhow::Result<ExitCode> {
    let profile = open_profile(&args.application)?;
    ensure!(profile.kind == CardKind::User, "{} is no profile of user cards", profile.name);
    let (start, expiry) = validity(args.start, args.expiry)?;
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let mut line =
        Line { args, profile: &profile, dates: (start, expiry), client: args.centre.client()?, bar: bar()? };
    let progress = line.client.progress(&args.batch)?;
    let cards = [progress.waiting, progress.under_way, progress.done, progress.failed];
    line.bar.set_length(cards.map(u64::from).iter().sum());
    line.bar.set_position(progress.done.into());
    let mut failed = Vec::new();
    let begun = usize::try_from(progress.under_way.saturating_add(progress.failed)).unwrap_or(usize::MAX);
    // Each card that was begun gets one more try; one that fails again is left to people.
    let mut again = begun;
    while again > 0 {
        let count = again.min(args.abreast.into());
        again = again.saturating_sub(count);
        if line.call(Wanted::Broken(count), &mut failed)? == 0 {
            break;
        }
    }
    while line.call(Wanted::Next(args.abreast.into()), &mut failed)? > 0 {}
    line.bar.finish_and_clear();
    let progress = line.client.progress(&args.batch)?;
    println!(
        "batch {}: {} done, {} under way, {} failed, {} waiting; cards are in {}",
        args.batch,
        progress.done,
        progress.under_way,
        progress.failed,
        progress.waiting,
        args.out.display()
    );
    failed.iter().for_each(|(card, why)| println!("failed: {card}: {why}"));
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn bar() -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{elapsed_precise} {msg:20} {wide_bar} {pos}/{len}")?;
    bar.set_style(style);
    bar.set_message("making cards");
    Ok(bar)
}

/// A line at work on a batch.
struct Line<'a> {
    args: &'a Run,
    profile: &'a Profile,
    dates: (Date, Date),
    client: Client,
    bar: ProgressBar,
}

impl Line<'_> {
    /// Opens cards, makes them abreast and notes them; answers how many there were.
    fn call(&mut self, cards: Wanted, failed: &mut Vec<(String, String)>) -> anyhow::Result<usize> {
        let id: [u8; 12] = SystemRng.bytes();
        let call = OpenCall {
            operation: Hex(&id).to_string(),
            application: self.profile.name.clone(),
            batch: Some(self.args.batch.clone()),
            cards,
        };
        let open = self.client.open(&call)?.open;
        let data = open.iter().map(|card| self.data(card)).collect::<anyhow::Result<Vec<_>>>()?;
        let mut stations = Vec::with_capacity(open.len());
        for (card, data) in open.iter().zip(&data) {
            let channel = blank(&self.args.out, self.profile, data)?;
            stations.push(Station::new(card.id, channel, Personalisation::card(self.profile, data)));
        }
        run_abreast(&mut stations, |calls| self.client.commands(calls))?;
        let endings: Vec<_> = stations.iter().map(|station| (station.card, station.ending())).collect();
        drop(stations);
        if endings.is_empty() {
            return Ok(0);
        }
        let noted = self.client.finish(&endings)?;
        for ((card, (_, ending)), refused) in open.iter().zip(&endings).zip(&noted) {
            let number = card.card.card.clone();
            match (ending, refused) {
                (Ending::Made, None) => self.bar.inc(1),
                (Ending::Made, Some(code)) => failed.push((number, format!("made, but not noted: {code}"))),
                (Ending::Failed(why), _) => {
                    std::fs::remove_file(image(&self.args.out, &number))
                        .context("remove the unfinished card")?;
                    failed.push((number, why.clone()));
                }
            }
        }
        Ok(open.len())
    }

    /// What goes onto an anonymous card of the centre's numbers.
    fn data(&self, card: &OpenCardAnswer) -> anyhow::Result<CardData> {
        let number = &card.card;
        let factor = hex::decode(&number.factor).map(IssuerFactor).context("the centre's factor")?;
        let asn = hex::decode(&number.card).map(Asn8).context("the centre's card number")?;
        let [a, b, c, d, ..] = factor.0;
        let city = if self.profile.layout == PublicDataLayout::City { [a, b] } else { [c, d] };
        let (start, expiry) = self.dates;
        let data = CardData::of_city(asn, city, start, expiry, self.args.pin.0.clone());
        let data = CardData { issuer: factor, ..data };
        ensure!(
            data.subject(self.profile.layout).factor() == factor,
            "card {asn}: the factor {factor} is of no city that this line knows"
        );
        Ok(data)
    }
}

fn image(folder: &Path, number: &str) -> PathBuf {
    folder.join(format!("{number}.card"))
}

/// A fresh chip; what a broken run left under its number goes.
fn blank(folder: &Path, profile: &Profile, data: &CardData) -> anyhow::Result<impl CardChannel + use<>> {
    let path = image(folder, &data.asn.to_string());
    if path.exists() {
        std::fs::remove_file(&path).with_context(|| format!("remove the unfinished {}", path.display()))?;
    }
    make_blank(&path, profile, data.asn.0, Access::STATE_1)?;
    open_image(&path)
}

/// Adds an application to a card.
///
/// # Errors
/// When the card is no city card, the centre refuses, or a command goes wrong.
pub fn add(args: &Addition) -> anyhow::Result<ExitCode> {
    let profile = open_profile(&args.application)?;
    let mut card = Slot::open(&args.card)?;
    let public = public_data(&mut card)?;
    let data =
        CardData::of_city(public.asn, city_of(&public), public.start, public.expiry, args.pin.0.clone());
    let mut client = args.centre.client()?;
    let id: [u8; 12] = SystemRng.bytes();
    let call = OpenCall {
        operation: Hex(&id).to_string(),
        application: profile.name.clone(),
        batch: None,
        cards: Wanted::Listed(vec![data.subject(profile.layout)]),
    };
    let answer = client.open(&call)?;
    let Some(open) = answer.open.first() else {
        bail!("the centre refused: {}", answer.refused.first().map_or("no card", |refused| &refused.code));
    };
    card.reset()?;
    let made = personalise_card_with(&mut card, &mut client.card(open.id), &profile, &data, &mut |_| {});
    let ending = match &made {
        Ok(_) => Ending::Made,
        Err(error) => Ending::Failed(error.to_string()),
    };
    let noted = client.finish(&[(open.id, ending)])?;
    let commands = made?;
    if let Some(code) = noted.into_iter().flatten().next() {
        bail!("the application is on the card, but the centre did not note it: {code}");
    }
    println!("card {}: {} added, {commands} commands", public.asn.masked(), profile.name);
    Ok(ExitCode::SUCCESS)
}

/// What the card says of itself.
fn public_data(card: &mut Slot) -> anyhow::Result<PublicData> {
    card.send(&ykt_purse::command::select_name(&CITY_AID))?;
    let answer = card.send(&ykt_purse::command::read_binary(0x15, 0, 30))?;
    let public = PublicData::from_bytes(PublicDataLayout::City, answer.data());
    public.context("the card in the reader is no city card: its public data cannot be read")
}

fn city_of(public: &PublicData) -> [u8; 2] {
    let [a, b, ..] = public.factor().0;
    [a, b]
}
