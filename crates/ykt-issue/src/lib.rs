//! Personalisation: a blank card becomes a city card, a blank PSAM a terminal's security module, a blank key card one
//! that carries keys to where cards are made.
//!
//! The actors: a [`CardChannel`] to the card, a [`Vault`] that holds the keys, and a [`Profile`] that says, as
//! data, which files and keys belong on the card. Everything happens by commands that a real card would get,
//! and a key travels only inside a command that the vault has made. Card and vault need not be at one place:
//! [`download`] says what the one asks and the other answers.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

mod content;
pub mod download;
mod personalise;
pub mod profile;

pub use content::{
    BankData, CardData, ComponentData, HolderData, IdentityData, IdentitySigner, KeyCardData, PsamData,
    t_union_issuer,
};
pub use download::{CommandMaker, DownloadError, KeyDownload, StepRequest, Subject};
pub use personalise::{IssueError, Personalisation, Progress, Stage};
pub use profile::{Profile, ProfileError};

use ykt_base::CardChannel;
use ykt_vault::Vault;

/// Makes a user card of the blank one in `channel` with the keys of a vault; returns the number of commands it took.
///
/// # Errors
/// [`IssueError`] at the first wrong answer, naming step, command, expected and found status word.
pub fn personalise_card(
    channel: &mut (impl CardChannel + ?Sized),
    vault: &dyn Vault,
    profile: &Profile,
    data: &CardData,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<usize, IssueError> {
    let subject = data.subject(profile.layout);
    personalise_card_with(
        channel,
        &mut CommandMaker { vault, profile, subject: &subject },
        profile,
        data,
        progress,
    )
}

/// As [`personalise_card`], with commands that are downloaded.
///
/// # Errors
/// As [`personalise_card`].
pub fn personalise_card_with(
    channel: &mut (impl CardChannel + ?Sized),
    download: &mut dyn KeyDownload,
    profile: &Profile,
    data: &CardData,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<usize, IssueError> {
    personalise::run(channel, download, Personalisation::card(profile, data), progress)
}

/// Makes a PSAM of the blank one in `channel` (`keys-and-ca.md` 5); returns the number of commands it took.
///
/// # Errors
/// As [`personalise_card`].
pub fn personalise_psam(
    channel: &mut (impl CardChannel + ?Sized),
    vault: &dyn Vault,
    profile: &Profile,
    data: &PsamData,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<usize, IssueError> {
    let subject = data.subject();
    personalise_psam_with(
        channel,
        &mut CommandMaker { vault, profile, subject: &subject },
        profile,
        data,
        progress,
    )
}

/// As [`personalise_psam`], with commands that are downloaded.
///
/// # Errors
/// As [`personalise_card`].
pub fn personalise_psam_with(
    channel: &mut (impl CardChannel + ?Sized),
    download: &mut dyn KeyDownload,
    profile: &Profile,
    data: &PsamData,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<usize, IssueError> {
    personalise::run(channel, download, Personalisation::psam(profile, data), progress)
}

/// Makes a key card of the blank one in `channel` (`keys-and-ca.md` 4); returns the number of commands it took.
///
/// # Errors
/// As [`personalise_card`].
pub fn personalise_key_card(
    channel: &mut (impl CardChannel + ?Sized),
    vault: &dyn Vault,
    profile: &Profile,
    data: &KeyCardData,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<usize, IssueError> {
    let subject = data.subject();
    let maker = &mut CommandMaker { vault, profile, subject: &subject };
    personalise_key_card_with(channel, maker, profile, data, progress)
}

/// As [`personalise_key_card`], with commands that are downloaded.
///
/// # Errors
/// As [`personalise_card`].
pub fn personalise_key_card_with(
    channel: &mut (impl CardChannel + ?Sized),
    download: &mut dyn KeyDownload,
    profile: &Profile,
    data: &KeyCardData,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<usize, IssueError> {
    personalise::run(channel, download, Personalisation::key_card(profile, data), progress)
}
