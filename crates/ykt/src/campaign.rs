//! `ykt campaign`: other keys for cards that are in people's pockets already.

mod run;

use crate::installation::Place;
use crate::keys;
use crate::slot::open_profile_text;
use crate::who::Person;
use anyhow::Context;
use clap::{ArgGroup, Args as ClapArgs, Subcommand};
use run::so_far;
use std::path::PathBuf;
use std::process::ExitCode;
use ykt_base::{Asn8, IssuerFactor};
use ykt_kmc::campaigns::{self, CardChoice, CardListFilter, CardProgress, KeyChange, NewCampaign};
use ykt_kmc::{Centre, Operation};
use ykt_office::people::Permission;
use ykt_office::requests::RequestId;
use ykt_store::Paging;

/// Update keys on issued cards
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    act: CampaignAct,
}

#[derive(Debug, Subcommand)]
enum CampaignAct {
    /// Every campaign with its progress
    List,
    /// One campaign: progress, and the cards that are not done
    Status {
        /// Its name
        name: String,
    },
    /// Plan a campaign; two people start it with `ykt campaign start`
    #[command(group(ArgGroup::new("cards").required(true)))]
    New {
        #[command(flatten)]
        person: Person,
        /// What it is for
        #[arg(long)]
        title: String,
        /// Profile the cards were made by: a shipped one or a profile file
        #[arg(long, default_value = "city-cpu", value_name = "NAME|FILE")]
        profile: String,
        /// A key that changes, KIND.INDEX:FROM-TO such as load.1:1-2; several
        #[arg(long, required = true, num_args = 1.., value_name = "CHANGE")]
        change: Vec<KeyChange>,
        /// Every card in use
        #[arg(long, group = "cards")]
        all: bool,
        /// Cards of one city or issuer: its factor, 16 hex digits
        #[arg(long, group = "cards", value_name = "FACTOR")]
        city: Option<IssuerFactor>,
        /// Cards of one main type, 0 to 99
        #[arg(long, group = "cards", value_name = "TYPE")]
        main_type: Option<u8>,
        /// Cards named in a file, one number a line
        #[arg(long, group = "cards", value_name = "FILE")]
        listed: Option<PathBuf>,
        /// Its name: 1 to 32 of a-z 0-9 -
        campaign: String,
    },
    /// Ask to start a planned campaign; another key administrator approves it
    Start {
        #[command(flatten)]
        person: Person,
        /// Why, for whoever approves it
        #[arg(long)]
        reason: String,
        /// Id of the request [default: a new one]
        #[arg(long, value_name = "ID")]
        id: Option<RequestId>,
        /// Its name
        campaign: String,
    },
    Run(run::Run),
    /// Let a stopped card be tried again, after somebody has looked at it
    Release {
        #[command(flatten)]
        person: Person,
        /// Its name
        campaign: String,
        /// The card's number, 16 digits
        card: Asn8,
    },
    /// End a campaign; cards on old keys keep them
    End {
        #[command(flatten)]
        person: Person,
        /// Its name
        campaign: String,
    },
}

/// Cards `status` names.
const STATUS_CARDS: u32 = 20;

/// Runs the command.
///
/// # Errors
/// When the installation does not open, or what was asked is refused.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // A counter in the city has no database to open.
    if let CampaignAct::Run(run) = &args.act {
        return run::run(&args.place, run);
    }
    let desk = keys::open(&args.place)?;
    let (config, centre) = &desk;
    let manages = |person: &Person| person.act(config, &centre.store, Permission::ManageKeys);
    match &args.act {
        CampaignAct::Run(_) => {}
        CampaignAct::List => {
            for campaign in centre.store.read(campaigns::list)? {
                let counts = centre.store.read(|tx| campaigns::progress(tx, &campaign.name))?;
                println!(
                    "{:<32} {:<8} {}  {}",
                    campaign.name,
                    campaign.state,
                    so_far(&counts),
                    campaign.title
                );
            }
        }
        CampaignAct::Status { name } => status(centre, name)?,
        CampaignAct::New {
            person,
            title,
            profile,
            change,
            all: _,
            city,
            main_type,
            listed,
            campaign: name,
        } => {
            let (profile, _) = open_profile_text(profile)?;
            let cards = match (city, main_type, listed) {
                (Some(factor), ..) => CardChoice::City(*factor),
                (_, Some(main), _) => CardChoice::Type(*main),
                (.., Some(file)) => CardChoice::Listed(numbers(file)?),
                _ => CardChoice::All,
            };
            let (title, changes) = (title.clone(), change.clone());
            let new = NewCampaign { name: name.clone(), title, profile, changes, cards };
            let act = manages(person)?;
            centre.store.write(|tx| campaigns::plan(tx, &new, &act))?;
            println!("campaign {name} is planned; start it with `ykt campaign start`");
        }
        CampaignAct::Start { person, reason, id, campaign: name } => {
            let operation = Operation::StartCampaign { campaign: name.clone() };
            return keys::ask(&desk, (person, reason, id.clone()), &[operation]);
        }
        CampaignAct::Release { person, campaign: name, card } => {
            let act = manages(person)?;
            centre.store.write(|tx| campaigns::release(tx, name, card, &act))?;
            println!("card {} may be tried again", card.masked());
        }
        CampaignAct::End { person, campaign: name } => {
            let act = manages(person)?;
            let counts = centre.store.write(|tx| campaigns::end(tx, name, &act))?;
            println!("campaign {name} is ended: {}", so_far(&counts));
            if counts.on_old() > 0 {
                println!("keep the old versions retired, not destroyed, as long as these cards live");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn status(centre: &Centre, name: &str) -> anyhow::Result<()> {
    let campaign = centre.store.read(|tx| campaigns::one(tx, name))?;
    let campaign = campaign.with_context(|| format!("there is no campaign {name}"))?;
    let counts = centre.store.read(|tx| campaigns::progress(tx, name))?;
    let changes: Vec<_> = campaign.changes.iter().map(ToString::to_string).collect();
    println!("{name}: {} ({})", campaign.title, campaign.state);
    println!("keys: {}", changes.join(" "));
    println!("{}", so_far(&counts));
    for progress in [CardProgress::Stopped, CardProgress::Begun, CardProgress::Waiting] {
        let filter = CardListFilter { campaign: Some(name.to_owned()), progress: Some(progress) };
        let page = centre.store.read(|tx| campaigns::card_list(tx, &filter, Paging::first(STATUS_CARDS)))?;
        for card in &page.rows {
            println!("  {} {progress:<8} {} {}", card.asn.masked(), card.counter, card.note);
        }
        let shown = u64::try_from(page.rows.len()).unwrap_or(u64::MAX);
        if page.totals > shown {
            println!("  and {} more {progress}", page.totals.saturating_sub(shown));
        }
    }
    Ok(())
}

/// Card numbers of a file, one a line, in their order and each once.
fn numbers(file: &PathBuf) -> anyhow::Result<Vec<Asn8>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let lines = (1_usize..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let read = lines.map(|(number, line)| {
        line.trim().parse::<Asn8>().with_context(|| format!("{} line {number}", file.display()))
    });
    let mut numbers = read.collect::<anyhow::Result<Vec<_>>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}
