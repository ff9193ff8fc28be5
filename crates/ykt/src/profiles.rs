//! The profiles that this program brings: a list, or the text of one to begin a profile of one's own with.

use anyhow::Context;
use std::process::ExitCode;
use ykt_card::CardKind;
use ykt_issue::Profile;
use ykt_issue::profile::SHIPPED;

/// List the shipped profiles, or print the text of one (docs/profiles.md explains every key)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Profile whose text is wanted
    name: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.name {
        Some(name) => {
            let text = SHIPPED.iter().find(|(shipped, _)| shipped == name).map(|(_, text)| text);
            print!("{}", text.with_context(|| format!("there is no shipped profile `{name}`"))?);
        }
        None => {
            for Profile { name, title, kind, memory_len, steps, .. } in Profile::shipped() {
                let kind = match kind {
                    CardKind::User => "card",
                    CardKind::Psam => "PSAM",
                    CardKind::KeyCard => "key card",
                };
                println!("{name:<14} {kind:<9} {memory_len:>6} bytes, {:>3} steps  {title}", steps.len());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
