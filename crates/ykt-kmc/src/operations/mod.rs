//! Operations: everything that may be done to keys, each asked by one person and approved by another
//! (`keys-and-ca.md` 3).
//!
//! An [`Operation`] is a closed set: what is not in it cannot be asked for. A request keeps it as a text
//! ([`Operation::to_text`]), and shows people what will happen in words ([`Summary`]) before anybody approves. The
//! [`Centre`](crate::Centre) carries it out, repeat-safe: what was approved and cut short is finished at the next start.

mod run;
mod summary;
mod text;

use crate::place::{PlaceName, key_name};
use ykt_office::people::Permission;
use ykt_office::requests::{RequestError, RequestId};
use ykt_store::StoreError;
use ykt_vault::pair::{Side, SwitchOver};
use ykt_vault::{KeyAlgorithm, KeyPlace, KeyRef, KeyState, VaultError, WrappedKey};

pub(crate) use run::{Effect, Ended, Run};
pub(crate) use summary::Facts;
pub use summary::{Sentence, Summary};
pub use text::OperationTextError;

/// Most keys one operation may name.
pub const KEYS_MAX: usize = ykt_vault::exchange::KEYS_LEN_MAX;

/// Something to be done to keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Makes a new key in the vault.
    Generate {
        /// Where it is kept.
        place: KeyPlace,
        /// What it computes with.
        algorithm: KeyAlgorithm,
    },
    /// Makes root keys out of a seed.
    DeriveRoots {
        /// The seed.
        seed: KeyRef,
        /// The roots.
        keys: Vec<KeyRef>,
    },
    /// Takes keys of a third party, wrapped under a transport key both have.
    Import {
        /// Who sends them.
        party: String,
        /// The transport key.
        transport: KeyRef,
        /// The keys.
        keys: Vec<WrappedKey>,
    },
    /// Hands keys out under a transport key.
    Export {
        /// Who gets them.
        party: String,
        /// The transport key.
        transport: KeyRef,
        /// The keys.
        places: Vec<KeyPlace>,
    },
    /// Takes a new key into use; the active one of its kind, index, level and owner is retired.
    Activate(KeyPlace),
    /// Takes a key out of use: cards that hold it are served, none gets it any more.
    Retire(KeyPlace),
    /// Takes a retired key into use again; the active one is retired.
    Restore(KeyPlace),
    /// Wipes a key for good.
    Destroy(KeyPlace),
    /// Brings the vault of a pair that stands by in step with the one that acts.
    Replicate,
    /// Lets one vault of a pair act.
    SwitchOver {
        /// Which.
        to: Side,
        /// What those who switch vouch for.
        how: SwitchOver,
    },
    /// Opens a campaign: its cards get other keys from now on.
    StartCampaign {
        /// Its name.
        campaign: String,
    },
}

impl Operation {
    /// The fixed word of requests and audit log.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Operation::Generate { .. } | Operation::DeriveRoots { .. } => "key/generate",
            Operation::Import { .. } => "key/import",
            Operation::Export { .. } => "key/export",
            Operation::Activate(_) => "key/activate",
            Operation::Retire(_) => "key/retire",
            Operation::Restore(_) => "key/restore",
            Operation::Destroy(_) => "key/destroy",
            Operation::Replicate => "key/replicate",
            Operation::SwitchOver { .. } => "vault/switch",
            Operation::StartCampaign { .. } => "campaign/start",
        }
    }

    /// What it takes to ask for it, and to approve it.
    #[must_use]
    pub const fn needs(&self) -> Permission {
        Permission::ManageKeys
    }

    /// What it is done to, for lists: a place, a party, a campaign.
    #[must_use]
    pub fn object(&self) -> String {
        match self {
            Operation::Generate { place, .. }
            | Operation::Activate(place)
            | Operation::Retire(place)
            | Operation::Restore(place)
            | Operation::Destroy(place) => PlaceName(*place).to_string(),
            Operation::DeriveRoots { seed, keys } => format!("{} keys of {}", keys.len(), key_name(*seed)),
            Operation::Import { party, keys, .. } => format!("{} keys of {party}", keys.len()),
            Operation::Export { party, places, .. } => format!("{} keys for {party}", places.len()),
            Operation::Replicate => "pair".to_owned(),
            Operation::SwitchOver { to, .. } => to.name().to_owned(),
            Operation::StartCampaign { campaign } => campaign.clone(),
        }
    }

    /// The change of one key's state that it is, when it is one: where from, where to.
    #[must_use]
    pub const fn state_step(&self) -> Option<(KeyPlace, KeyState, KeyState)> {
        Some(match self {
            Operation::Activate(place) => (*place, KeyState::Generated, KeyState::Active),
            Operation::Retire(place) => (*place, KeyState::Active, KeyState::Retired),
            Operation::Restore(place) => (*place, KeyState::Retired, KeyState::Active),
            // A key that was never used may be destroyed as well; the vault's own table decides.
            Operation::Destroy(place) => (*place, KeyState::Retired, KeyState::Destroyed),
            _ => return None,
        })
    }
}

/// Why an operation was not asked for, not approved or not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// The request cannot be asked, or not by this person.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The vault does not do it, or does not answer. An approved request stays approved and can be tried again when
    /// it was the vault that failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The registry or a campaign does not allow it.
    #[error("{0}")]
    NotPossible(String),
    /// The text of the request is no operation of ours.
    #[error(transparent)]
    Text(#[from] OperationTextError),
    /// Another approved request on the same object is not finished yet.
    #[error("request {other} on {object} is approved and not finished: finish it first (`ykt keys resume`)")]
    Unfinished {
        /// The other request.
        other: RequestId,
        /// The object.
        object: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
