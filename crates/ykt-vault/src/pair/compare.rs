//! In step, or a list of differences: both vaults key by key, by check value, state and algorithm.

use super::{Other, Pair, PairEvent, Side, Withheld, fault_of};
use crate::error::VaultError;
use crate::kind::KeyState;
use crate::manage::KeyPlace;
use crate::value::KeyAlgorithm;
use crate::vault::{KeyInfo, VaultStatus};
use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use ykt_base::hex::Hex;

/// Something in which two vaults differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Their levels are not the same: no key of one is of any use to the other.
    Levels,
    /// One holds demonstration keys, the other does not.
    Origin,
    /// One does not have the key.
    Missing {
        /// Which key.
        place: KeyPlace,
        /// Who does not have it.
        on: Side,
    },
    /// Two keys at one place.
    Value {
        /// Where.
        place: KeyPlace,
        /// The primary's check value.
        primary: [u8; 3],
        /// The backup's.
        backup: [u8; 3],
    },
    /// Keys of two algorithms at one place.
    Algorithm {
        /// Where.
        place: KeyPlace,
        /// The primary's.
        primary: KeyAlgorithm,
        /// The backup's.
        backup: KeyAlgorithm,
    },
    /// The same key in two states.
    State {
        /// Where.
        place: KeyPlace,
        /// The primary's.
        primary: KeyState,
        /// The backup's.
        backup: KeyState,
    },
}

impl Difference {
    /// Which key, unless the vaults differ as a whole.
    #[must_use]
    pub const fn place(&self) -> Option<&KeyPlace> {
        match self {
            Difference::Levels | Difference::Origin => None,
            Difference::Missing { place, .. }
            | Difference::Value { place, .. }
            | Difference::Algorithm { place, .. }
            | Difference::State { place, .. } => Some(place),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Levels => f.write_str("the levels between root and card are not the same"),
            Difference::Origin => f.write_str("one holds demonstration keys, the other a city's"),
            Difference::Missing { place, on } => write!(f, "{place}: the {on} does not have it"),
            Difference::Value { place, primary, backup } => {
                write!(f, "{place}: KCV {} on the primary, {} on the backup", Hex(primary), Hex(backup))
            }
            Difference::Algorithm { place, primary, backup } => {
                write!(f, "{place}: {primary} on the primary, {backup} on the backup")
            }
            Difference::State { place, primary, backup } => {
                write!(f, "{place}: {primary} on the primary, {backup} on the backup")
            }
        }
    }
}

/// A vault as it is compared.
pub(super) struct Picture {
    pub(super) status: VaultStatus,
    pub(super) keys: BTreeMap<KeyPlace, KeyInfo>,
}

impl Pair {
    /// In what the two differ; nothing when they are in step. What was found decides from now on for which keys the
    /// vault that stands by may take over.
    ///
    /// # Errors
    /// [`VaultError`] of the one that does not answer.
    pub fn compare(&self) -> Result<Vec<Difference>, VaultError> {
        let _turn = self.manage();
        self.compare_in_turn()
    }

    /// [`Pair::compare`] for whoever manages already.
    pub(super) fn compare_in_turn(&self) -> Result<Vec<Difference>, VaultError> {
        let turn = self.turn();
        let side = turn.side.other();
        let acting = self.picture(turn.side)?;
        let standby = self.picture(side);
        let mut state = self.lock();
        if state.switches != turn.switches {
            return Err(VaultError::Unavailable {
                backend: turn.side.name().to_owned(),
                reason: "it was switched over during the comparison; compare again".to_owned(),
            });
        }
        let standby = match standby {
            Ok(standby) => standby,
            Err(error) => {
                let reason = error.to_string();
                let is_news = !matches!(state.other, Other::Failed { .. });
                state.other = Other::Failed { reason: reason.clone() };
                drop(state);
                if is_news {
                    self.tell(&PairEvent::Failed { side, reason });
                }
                return Err(error);
            }
        };
        let keys = acting.keys.len().max(standby.keys.len());
        let found = match turn.side {
            Side::Primary => differences(&acting, &standby),
            Side::Backup => differences(&standby, &acting),
        };
        let before = std::mem::replace(&mut state.other, verdict(&found, keys));
        if found.is_empty() {
            state.withheld = Withheld::default();
        }
        let is_same = matches!((&before, &state.other),
            (Other::Ready { differs_in: before }, Other::Ready { differs_in: now }) if before == now);
        drop(state);
        if matches!(before, Other::Failed { .. }) {
            self.tell(&PairEvent::Back { side });
        }
        if let Some(first) = found.first().filter(|_| !is_same) {
            let what = format!("{} differences, the first: {first}", found.len());
            self.tell(&PairEvent::OutOfStep { side, what });
        }
        Ok(found)
    }

    pub(super) fn picture(&self, side: Side) -> Result<Picture, VaultError> {
        let vault = self.member(side);
        let keys = vault.list()?;
        let status = vault.status();
        if let Some(reason) = fault_of(&status.health) {
            return Err(VaultError::Unavailable { backend: side.name().to_owned(), reason });
        }
        Ok(Picture { status, keys: keys.into_iter().map(|info| (info.place(), info)).collect() })
    }
}

/// What differences mean for the vault that stands by, when the larger vault has this many keys.
fn verdict(differences: &[Difference], keys: usize) -> Other {
    let whole = differences.iter().find(|difference| difference.place().is_none());
    if let Some(whole) = whole {
        return Other::Unfit { reason: whole.to_string() };
    }
    // With most keys withheld it would be of less use than a primary that comes back.
    if differences.len().saturating_mul(2) > keys {
        return Other::Unfit { reason: format!("it differs in {} of {keys} keys", differences.len()) };
    }
    let differs_in: BTreeSet<_> =
        differences.iter().filter_map(Difference::place).map(|place| place.key).collect();
    Other::Ready { differs_in: Arc::new(differs_in) }
}

/// A destroyed key that the other never had is no difference: neither can use it.
pub(super) fn differences(primary: &Picture, backup: &Picture) -> Vec<Difference> {
    let mut found = Vec::new();
    if primary.status.levels != backup.status.levels {
        found.push(Difference::Levels);
    }
    if primary.status.origin != backup.status.origin {
        found.push(Difference::Origin);
    }
    let places: BTreeSet<&KeyPlace> = primary.keys.keys().chain(backup.keys.keys()).collect();
    for place in places {
        match (primary.keys.get(place), backup.keys.get(place)) {
            (Some(one), Some(other)) => found.extend(difference(*place, one, other)),
            (Some(one), None) if one.state != KeyState::Destroyed => {
                found.push(Difference::Missing { place: *place, on: Side::Backup });
            }
            (None, Some(other)) if other.state != KeyState::Destroyed => {
                found.push(Difference::Missing { place: *place, on: Side::Primary });
            }
            _ => {}
        }
    }
    found
}

/// A destroyed key has no check value left: then the state says it all.
fn difference(place: KeyPlace, one: &KeyInfo, other: &KeyInfo) -> Option<Difference> {
    if one.state == KeyState::Destroyed || other.state == KeyState::Destroyed {
        let (primary, backup) = (one.state, other.state);
        return (primary != backup).then_some(Difference::State { place, primary, backup });
    }
    if one.algorithm != other.algorithm {
        let (primary, backup) = (one.algorithm, other.algorithm);
        return Some(Difference::Algorithm { place, primary, backup });
    }
    if one.kcv != other.kcv {
        return Some(Difference::Value { place, primary: one.kcv, backup: other.kcv });
    }
    let (primary, backup) = (one.state, other.state);
    (primary != backup).then_some(Difference::State { place, primary, backup })
}
