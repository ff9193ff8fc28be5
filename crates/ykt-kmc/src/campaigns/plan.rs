//! Where on a card its keys are, which key controls which, and in what order they change.
//!
//! The card master key (CCK) admits itself and the application master keys, in each directory its master key admits the
//! rest (`epurse.md` 0). A WRITE KEY replaces whatever is there and may be repeated: so a write without an answer needs no
//! question, it is made again, as long as the key that controls it is certain. Hence the order:
//!
//! 1. the MF's other keys, under the CCK;
//! 2. of each application first its master key, under the CCK, then the rest under the master key it has now;
//! 3. last the CCK under itself, the one key whose cut leaves a question ([`super::visit`]).

use super::{CampaignError, CardKey, KeyChange};
use std::collections::BTreeMap;
use ykt_base::{KeyIndex, KeyVersion};
use ykt_card::CardKind;
use ykt_issue::Profile;
use ykt_issue::profile::{Action, NewCardKey, Place};
use ykt_purse::write_key::{CONTROL_KEY_ID, KeyUsage};
use ykt_vault::{KeyKind, KeyRef};

/// File id of the MF.
pub(super) const MASTER_FILE: [u8; 2] = [0x3F, 0x00];

/// A key by its name on the cards of a profile.
pub(super) type Name = (KeyKind, KeyIndex);

/// A key where a profile puts it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Located {
    /// File id of its directory.
    pub(super) directory: [u8; 2],
    /// How the profile wrote it.
    pub(super) new: NewCardKey,
}

impl Located {
    pub(super) const fn name(&self) -> Name {
        (self.new.key.kind, self.new.key.index)
    }

    /// Whether it is the master key of its directory.
    pub(super) fn is_master(&self) -> bool {
        self.new.id == CONTROL_KEY_ID
            && self.new.key.kind.card_usage() == Some(KeyUsage::ExternalAuthentication)
    }

    /// The step that puts `version` in its place, under `control`.
    pub(super) const fn replaced(&self, version: KeyVersion, control: KeyRef) -> NewCardKey {
        let key = KeyRef { version, ..self.new.key };
        NewCardKey { key, control, place: Place::Replaced, ..self.new }
    }
}

/// Every key that the cards of a profile hold.
pub(super) fn keys_of(profile: &Profile) -> Vec<Located> {
    let mut directory = MASTER_FILE;
    let mut keys = Vec::new();
    for step in &profile.steps {
        match &step.action {
            Action::Select { fid } => directory = *fid,
            Action::WriteKey(new) => keys.push(Located { directory, new: *new }),
            _ => {}
        }
    }
    keys
}

/// The master key of a directory.
pub(super) fn master_of(keys: &[Located], directory: [u8; 2]) -> Option<Located> {
    keys.iter().copied().find(|key| key.directory == directory && key.is_master())
}

/// What is known of the keys on a card: what is written down, and for the rest what its profile says.
pub(super) fn known(keys: &[Located], written: &[CardKey]) -> BTreeMap<Name, CardKey> {
    let made = keys.iter().map(|Located { new, .. }| {
        let KeyRef { kind, index, version } = new.key;
        ((kind, index), CardKey { kind, index, version, pending: None, spent: 0 })
    });
    let later = written.iter().map(|key| ((key.kind, key.index), *key));
    made.chain(later).collect()
}

/// Holds the changes of a plan against the profile of its cards.
pub(super) fn check(name: &str, profile: &Profile, changes: &[KeyChange]) -> Result<(), CampaignError> {
    let wrong = |part: String, expected, found: String| {
        Err(CampaignError::Plan { name: name.to_owned(), part, expected, found })
    };
    if profile.kind != CardKind::User {
        return wrong("profile".to_owned(), "one of user cards", profile.name.clone());
    }
    let keys = keys_of(profile);
    if master_of(&keys, MASTER_FILE).is_none() {
        return wrong("profile".to_owned(), "cards with a card master key", profile.name.clone());
    }
    for (number, change) in changes.iter().enumerate() {
        let KeyChange { kind, index, from, to } = *change;
        if matches!(kind, KeyKind::Tac | KeyKind::TicketTac) {
            let expected =
                "no TAC key: receipts of the time before are still on their way; exchange the card";
            return wrong(change.to_string(), expected, kind.to_string());
        }
        if from == to {
            return wrong(change.to_string(), "two versions", to.0.to_string());
        }
        let earlier = changes.iter().take(number);
        if earlier.into_iter().any(|other| (other.kind, other.index) == (kind, index)) {
            return wrong(change.to_string(), "each key once", "twice".to_owned());
        }
        match keys.iter().find(|key| key.name() == (kind, index)) {
            None => return wrong(change.to_string(), "a key of the profile's cards", profile.name.clone()),
            Some(key) if master_of(&keys, key.directory).is_none() => {
                return wrong(change.to_string(), "a directory with a master key", profile.name.clone());
            }
            Some(_) => {}
        }
    }
    Ok(())
}
