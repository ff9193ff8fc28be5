//! The eight steps of production (`keys-and-ca.md` 5), found in a profile: what each of its commands works towards.
//!
//! A profile is data, and a company may write its own. Before the first PSAM is touched it must be seen that the
//! profile does all eight, each under the right key and none before its time.

use ykt_issue::profile::{Action, NewContent};
use ykt_issue::{Profile, ProfileError};
use ykt_purse::psam::{SamKeyType, SamUsage};
use ykt_vault::{KeyKind, KeyRef};

ykt_store::coded! {
    /// A step of production.
    Stage {
        /// The centre's initialisation key takes the place of the vendor's transport key.
        Initialisation = 1, "initialisation key in place of the transport key";
        /// The PSAM's own master key takes the place of the initialisation key.
        Master = 2, "issuing master key in place of the initialisation key";
        /// Maintenance key, under the master key.
        Maintenance = 3, "maintenance key under the master key";
        /// Files of the MF: serial number and terminal id, under the maintenance key.
        CardFiles = 4, "information files of the MF under the maintenance key";
        /// Master key of the application, under the PSAM's.
        ApplicationMaster = 5, "application master key under the master key";
        /// Maintenance key of the application, under its master key.
        ApplicationMaintenance = 6, "application maintenance key under the application master key";
        /// Files of the application, under its maintenance key.
        ApplicationFiles = 7, "information files of the application under its maintenance key";
        /// Working keys, under the application's master key.
        WorkingKeys = 8, "working keys under the application master key";
    }
}

/// Why a profile cannot make PSAMs.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The text is no profile.
    #[error("the profile of the batch cannot be read")]
    Profile(#[from] ProfileError),
    /// It makes another sort of card, or begins with a preset.
    #[error("profile {profile}: expected {expected}, found {found}")]
    Kind {
        /// Its name.
        profile: String,
        /// What is wanted.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A step comes out of turn, or under a key that is not in force then.
    #[error(
        "profile {profile}, step {number} ({title}): expected one that belongs to step {expected} of production or a \
         later one, found one of step {found}; put it in its place"
    )]
    Order {
        /// Its name.
        profile: String,
        /// Number of the step, from 1.
        number: usize,
        /// Its title.
        title: String,
        /// Step of production reached before it.
        expected: u8,
        /// Step of production it belongs to.
        found: u8,
    },
    /// A step is missing.
    #[error("profile {profile}: step {} of production is missing ({}); add it", stage.code(), stage.name())]
    Missing {
        /// Its name.
        profile: String,
        /// Which.
        stage: Stage,
    },
}

/// For each step of the profile, the step of production it works towards.
///
/// # Errors
/// [`StageError`] when the profile is no PSAM's, or one of the eight is missing or out of turn.
pub fn stages(profile: &Profile) -> Result<Vec<Stage>, StageError> {
    let name = || profile.name.clone();
    if profile.kind != ykt_card::CardKind::Psam || profile.preset.is_some() {
        let (expected, found) = ("a PSAM's without a preset", format!("{:?}", profile.kind));
        return Err(StageError::Kind { profile: name(), expected, found });
    }
    let reached: Vec<Option<Stage>> = profile.steps.iter().map(|step| stage_of(&step.action)).collect();
    if let Some(stage) = Stage::ALL.iter().copied().find(|stage| !reached.contains(&Some(*stage))) {
        return Err(StageError::Missing { profile: name(), stage });
    }
    let mut before = Stage::Initialisation;
    for ((number, step), stage) in (1..).zip(&profile.steps).zip(&reached) {
        let Some(stage) = *stage else { continue };
        if stage < before {
            let (title, expected, found) = (step.title.clone(), before.code(), stage.code());
            return Err(StageError::Order { profile: name(), number, title, expected, found });
        }
        before = stage;
    }
    // A file is made, a directory entered, a key proven for the sake of the next step that counts.
    let mut next = Stage::WorkingKeys;
    let mut towards: Vec<Stage> = reached
        .iter()
        .rev()
        .map(|stage| {
            next = stage.unwrap_or(next);
            next
        })
        .collect();
    towards.reverse();
    Ok(towards)
}

/// The step of production that an action is; `None` for those that only prepare one.
fn stage_of(action: &Action) -> Option<Stage> {
    match action {
        Action::WriteSamKey { key, control, usage, .. } => key_stage(*key, *control, *usage),
        Action::Write(NewContent { key: Some(key), .. }) => match key.kind {
            KeyKind::SamMaintenance => Some(Stage::CardFiles),
            KeyKind::SamApplicationMaintenance => Some(Stage::ApplicationFiles),
            _ => None,
        },
        _ => None,
    }
}

fn key_stage(key: KeyRef, control: KeyRef, usage: SamUsage) -> Option<Stage> {
    use KeyKind as K;
    match (key.kind, control.kind, usage.kind()) {
        (K::SamInitialisation, K::SamTransport, SamKeyType::Master) => Some(Stage::Initialisation),
        (K::SamMaster, K::SamInitialisation, SamKeyType::Master) => Some(Stage::Master),
        (K::SamMaintenance, K::SamMaster, SamKeyType::Maintenance) => Some(Stage::Maintenance),
        (K::SamApplicationMaster, K::SamMaster, SamKeyType::Master) => Some(Stage::ApplicationMaster),
        (K::SamApplicationMaintenance, K::SamApplicationMaster, SamKeyType::Maintenance) => {
            Some(Stage::ApplicationMaintenance)
        }
        (_, K::SamApplicationMaster, SamKeyType::Master | SamKeyType::Maintenance) => None,
        (_, K::SamApplicationMaster, _) => Some(Stage::WorkingKeys),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_profiles_do_all_eight_in_their_order() {
        for name in ["psam", "t-union-psam"] {
            let profile = Profile::named(name).unwrap();
            let stages = stages(&profile).unwrap();
            assert_eq!(stages.len(), profile.steps.len());
            assert!(stages.is_sorted(), "{name}");
            let mut seen: Vec<u8> = stages.iter().map(|stage| stage.code()).collect();
            seen.dedup();
            assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7, 8]);
        }
    }

    /// Every step that counts, taken away or put to the front, is missed by its number.
    #[test]
    fn a_profile_that_skips_or_swaps_a_step_is_refused() {
        let whole = Profile::psam();
        let towards = stages(&whole).unwrap();
        for stage in Stage::ALL {
            let mut short = whole.clone();
            short.steps.retain(|step| stage_of(&step.action) != Some(*stage));
            let missing = stages(&short).unwrap_err();
            assert!(
                matches!(&missing, StageError::Missing { stage: found, .. } if found == stage),
                "{missing}"
            );
            assert!(missing.to_string().contains(&format!("step {} of production", stage.code())));
        }
        let mut swapped = whole.clone();
        let last = swapped.steps.pop().unwrap();
        swapped.steps.insert(0, last);
        let out_of_turn = stages(&swapped).unwrap_err().to_string();
        assert!(out_of_turn.contains("found one of step 1"), "{out_of_turn}");
        let other = stages(&Profile::city_cpu()).unwrap_err().to_string();
        assert!(other.contains("expected a PSAM's"), "{other}");
        assert_eq!(towards[0], Stage::Initialisation, "the key file is made for the first key");
    }
}
