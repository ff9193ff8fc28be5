//! User cards at places without a connection: the key card takes the place of vault and centre.
//!
//! Two cards are in two readers. The personalisation runs as it does everywhere; whenever a step needs a WRITE KEY, the
//! key card makes it for this card and its challenge. It makes nothing else: a profile for such places proves no key,
//! protects no file content with a MAC, and writes no PIN.

use super::desk::hard_info;
use super::store;
use super::{DeskError, KeyCardEvent, KeyCardRow, KeyCardState};
use crate::shown::one_line;
use ykt_base::CardChannel;
use ykt_crypto::sm::CommandBytes;
use ykt_issue::profile::{Action, Step};
use ykt_issue::{
    CardData, DownloadError, IssueError, KeyDownload, Profile, Progress, StepRequest, personalise_card_with,
};
use ykt_office::Act;
use ykt_office::audit::Outcome;
use ykt_purse::key_card::{IssuedCard, KeyOrder};
use ykt_purse::write_key::KeyTarget;
use ykt_store::{Store, StoreError};
use ykt_terminal::key_card::{KeyCard, KeyCardError};

/// A key card as the source of a personalisation's commands.
pub struct FromKeyCard<'a, C> {
    card: &'a mut KeyCard<C>,
    profile: &'a Profile,
}

/// Why a user card was not issued with a key card.
#[derive(Debug, thiserror::Error)]
pub enum IssueByKeyCard {
    /// The profile asks for more than a key card makes.
    #[error(
        "profile {profile}, step {title}: a key card makes WRITE KEY commands only; expected a profile for places \
         without connection"
    )]
    Profile {
        /// Its name.
        profile: String,
        /// The step.
        title: String,
    },
    /// The key card refused.
    #[error(transparent)]
    Refused(#[from] KeyCardError),
    /// The user card was not made. It is under way still: begun again it is not counted again.
    #[error("the user card was not made; put it in again, it is counted once")]
    Issue(#[from] IssueError),
}

impl<'a, C: CardChannel> FromKeyCard<'a, C> {
    /// The key card, with its operator's PIN verified and a card begun.
    pub fn new(card: &'a mut KeyCard<C>, profile: &'a Profile) -> FromKeyCard<'a, C> {
        FromKeyCard { card, profile }
    }
}

/// The first step of a profile that a key card cannot serve.
fn beyond(profile: &Profile) -> Option<&Step> {
    profile.steps.iter().find(|step| step.action.needs_key() && order_of(&step.action).is_none())
}

/// The order for the key of a step; `None` for a step that writes no key of a user card, or none that key cards carry.
fn order_of(action: &Action) -> Option<KeyOrder> {
    let Action::WriteKey(new) = action else { return None };
    let (kind, usage) = (new.key.kind.issue_kind()?, new.key.kind.card_usage()?);
    Some(KeyOrder {
        kind,
        version: new.key.version,
        target: KeyTarget::Add { id: new.id, usage },
        control_version: new.control.version,
        use_right: new.use_right,
        follow_up: new.follow_up,
        change_right: new.change_right,
        tries: new.tries,
    })
}

impl<C: CardChannel> KeyDownload for FromKeyCard<'_, C> {
    fn command(&mut self, request: &StepRequest<'_>) -> Result<CommandBytes, DownloadError> {
        let step = usize::from(request.step).checked_sub(1).and_then(|at| self.profile.steps.get(at));
        let order = step.and_then(|step| order_of(&step.action)).ok_or_else(|| DownloadError::Request {
            step: request.step,
            expected: "a step that writes a user card's key",
            found: step.map_or_else(|| "none of this number".to_owned(), |step| step.title.clone()),
        })?;
        let ready = self.card.derive(&order, request.iv).map_err(|error| DownloadError::Refused {
            code: "key-card".to_owned(),
            message: one_line(&error),
        })?;
        let too_long = || DownloadError::NoAnswer("a command longer than any".to_owned());
        CommandBytes::from_parts(&[&ready]).ok_or_else(too_long)
    }
}

/// Makes a user card of the blank one in `card` with the keys of a key card whose PIN is verified; says how many cards
/// the key card may still issue.
///
/// # Errors
/// [`IssueByKeyCard`].
pub fn issue<C: CardChannel>(
    key_card: &mut KeyCard<C>,
    card: &mut (impl CardChannel + ?Sized),
    profile: &Profile,
    data: &CardData,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<u32, IssueByKeyCard> {
    if let Some(step) = beyond(profile) {
        let (profile, title) = (profile.name.clone(), step.title.clone());
        return Err(IssueByKeyCard::Profile { profile, title });
    }
    let city = data.subject(profile.layout).factor();
    let left = key_card.begin(IssuedCard { card: data.asn, city, province: None })?;
    personalise_card_with(card, &mut FromKeyCard::new(key_card, profile), profile, data, progress)?;
    key_card.end()?;
    Ok(left)
}

/// Writes into the inventory what the key card with this chip did: a card issued, with how many are left, or a refusal,
/// which is counted. A key card of another inventory is passed over.
///
/// # Errors
/// [`StoreError`].
pub fn record_issue(
    store: &Store,
    chip: [u8; 8],
    card: &CardData,
    outcome: &Result<u32, IssueByKeyCard>,
    act: &Act,
) -> Result<Option<KeyCardRow>, StoreError> {
    let asn = card.asn.masked();
    let (event, what, result, detail) = match outcome {
        Ok(left) => {
            (KeyCardEvent::Issued, "key-card/issue", Outcome::Done, format!("card {asn}, {left} left"))
        }
        Err(IssueByKeyCard::Refused(error)) => {
            let detail = format!("card {asn}: {}", one_line(error));
            (KeyCardEvent::Refused, "key-card/refused", Outcome::Refused, detail)
        }
        Err(error) => {
            let detail = format!("card {asn}: {}", one_line(error));
            (KeyCardEvent::Interrupted, "key-card/issue", Outcome::Refused, detail)
        }
    };
    store.write(|tx| {
        let Some(mut row) = store::of_chip(tx, chip)? else { return Ok(None) };
        match outcome {
            Ok(left) => row.left = *left,
            Err(IssueByKeyCard::Refused(error)) => {
                row.refused = row.refused.saturating_add(1);
                if matches!(error, KeyCardError::NoneLeft) {
                    (row.left, row.state) = (0, KeyCardState::UsedUp);
                }
            }
            Err(_) => {}
        }
        store::save(tx, &row, (event, what, result), &detail, act)?;
        Ok(Some(row))
    })
}

/// Number of the chip in `channel`, by which the inventory knows a key card.
///
/// # Errors
/// [`DeskError`] when it does not answer.
pub fn chip_of(channel: &mut (impl CardChannel + ?Sized)) -> Result<[u8; 8], DeskError> {
    Ok(hard_info(channel)?.serial)
}
