//! Bringing one vault in step with the other: missing keys cross wrapped under a transport key that both have, states
//! are moved the allowed way. What cannot be done is said, key by key.

use super::compare::Picture;
use super::{Difference, Pair, PairEvent, Side};
use crate::error::VaultError;
use crate::kind::{KeyKind, KeyState};
use crate::manage::{KeyManagement, KeyPlace};
use crate::value::KeyAlgorithm;
use crate::vault::KeyRef;
use std::collections::BTreeMap;
use thiserror::Error;

/// What a replication did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replication {
    /// Keys that were brought over.
    pub copied: Vec<KeyPlace>,
    /// Keys whose state was moved, and to what.
    pub moved: Vec<(KeyPlace, KeyState)>,
    /// Keys that could not be brought in step, and why.
    pub refused: Vec<(KeyPlace, Refusal)>,
    /// In what the two still differ.
    pub left: Vec<Difference>,
}

/// Why one key could not be brought in step.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No transport key serves both.
    #[error(
        "no active transport key is the same on both; bring one to both first, by the components of a ceremony"
    )]
    NoTransportKey,
    /// There is another key at its place.
    #[error("another key is at its place; destroy the wrong one, or give one of them another version")]
    OtherKey,
    /// No allowed steps lead from the one state to the other.
    #[error("a key that is {from} never becomes {to}")]
    NoWay {
        /// Its state.
        from: KeyState,
        /// The state it should have.
        to: KeyState,
    },
    /// One of the vaults refused.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Pair {
    /// Brings the other vault in step with `from`. Keys that `from` does not have are left alone, and reported.
    ///
    /// # Errors
    /// [`VaultError`] when one of them does not answer; what was done until then stays, and may be done again.
    pub fn replicate(&self, from: Side) -> Result<Replication, VaultError> {
        let _turn = self.manage();
        let to = from.other();
        let (source, target) = (self.picture(from)?, self.picture(to)?);
        let mut done = Replication::default();
        if source.status.levels == target.status.levels && source.status.origin == target.status.origin {
            self.copy(&source, &target, to, &mut done)?;
            // States that leave a key inactive first: activating one retires another.
            for is_active in [false, true] {
                self.move_states(&source, to, is_active, &mut done)?;
            }
        }
        done.left = self.compare_in_turn()?;
        Ok(done)
    }

    fn copy(
        &self,
        source: &Picture,
        target: &Picture,
        to: Side,
        done: &mut Replication,
    ) -> Result<(), VaultError> {
        let transport = common_transport(source, target);
        for (place, info) in &source.keys {
            let refusal = match target.keys.get(place) {
                _ if info.state == KeyState::Destroyed => continue,
                Some(there) if there.state == KeyState::Destroyed => continue,
                Some(there) if (there.kcv, there.algorithm) == (info.kcv, info.algorithm) => continue,
                Some(_) => Refusal::OtherKey,
                None => match transport {
                    None => Refusal::NoTransportKey,
                    Some(transport) => match self.carry(place, transport, to) {
                        Ok(()) => {
                            done.copied.push(*place);
                            continue;
                        }
                        Err(error) => refusal(error)?,
                    },
                },
            };
            done.refused.push((*place, refusal));
        }
        Ok(())
    }

    /// Brings one key of the other side to this one.
    pub(super) fn carry(&self, place: &KeyPlace, transport: KeyRef, to: Side) -> Result<(), VaultError> {
        let wrapped = self.member(to.other()).wrap(place, transport)?;
        self.member(to).import_wrapped(&wrapped, transport).map(drop)
    }

    fn move_states(
        &self,
        source: &Picture,
        to: Side,
        is_active: bool,
        done: &mut Replication,
    ) -> Result<(), VaultError> {
        let target = self.picture(to)?;
        for (place, info) in &source.keys {
            let Some(there) = target.keys.get(place) else { continue };
            let is_destroyed = [there.state, info.state].contains(&KeyState::Destroyed);
            let is_same = is_destroyed || there.kcv == info.kcv;
            if (info.state == KeyState::Active) != is_active || there.state == info.state || !is_same {
                continue;
            }
            let Some(steps) = steps(there.state, info.state) else {
                let refusal = Refusal::NoWay { from: there.state, to: info.state };
                done.refused.push((*place, refusal));
                continue;
            };
            match steps.iter().try_for_each(|step| self.member(to).change_state(place, *step)) {
                Ok(()) => done.moved.push((*place, info.state)),
                Err(error) => done.refused.push((*place, refusal(error)?)),
            }
        }
        Ok(())
    }

    /// Brings what an order changed on the acting vault to the other, when that one answers; else says that it is out of
    /// step. The keys were marked as differing before the order was carried out.
    pub(super) fn follow(
        &self,
        acting: Side,
        keys: &[KeyRef],
        follow: impl FnOnce(&dyn KeyManagement) -> Result<(), Refusal>,
    ) {
        let side = acting.other();
        let outcome = match self.other_answers() {
            None => follow(&**self.member(side)).map_err(|refusal| refusal.to_string()),
            Some(reason) => Err(reason),
        };
        match outcome {
            Ok(()) => self.settle(keys),
            Err(reason) => {
                let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
                let what = format!("{}: {reason}", keys.join("; "));
                self.tell(&PairEvent::OutOfStep { side, what });
            }
        }
    }

    /// A transport key that is active on both.
    pub(super) fn transport(&self) -> Result<KeyRef, Refusal> {
        let (primary, backup) = (self.picture(Side::Primary)?, self.picture(Side::Backup)?);
        common_transport(&primary, &backup).ok_or(Refusal::NoTransportKey)
    }
}

/// What concerns one key is noted; that a vault is gone ends the whole.
fn refusal(error: VaultError) -> Result<Refusal, VaultError> {
    if error.is_outage() { Err(error) } else { Ok(Refusal::Vault(error)) }
}

/// The strongest and newest transport key that is active on both and the same.
fn common_transport(one: &Picture, other: &Picture) -> Option<KeyRef> {
    let active = |picture: &Picture, place: &KeyPlace| {
        let info = picture.keys.get(place).filter(|info| info.state == KeyState::Active)?;
        Some((info.algorithm, info.kcv))
    };
    let transports = one.keys.keys().filter(|place| place.key.kind == KeyKind::KeyTransport);
    let common =
        transports.filter(|place| active(one, place).is_some() && active(one, place) == active(other, place));
    let strength = |place: &&KeyPlace| {
        (active(one, place).map(|(algorithm, _)| algorithm) == Some(KeyAlgorithm::Aes256), place.key.version)
    };
    common.max_by_key(strength).map(|place| place.key)
}

/// The shortest way from one state to another, or `None` when there is none.
fn steps(from: KeyState, to: KeyState) -> Option<Vec<KeyState>> {
    let mut ways = BTreeMap::from([(from, Vec::new())]);
    loop {
        if let Some(way) = ways.get(&to) {
            return Some(way.clone());
        }
        let known = ways.len();
        for (at, way) in ways.clone() {
            for next in KeyState::ALL.into_iter().filter(|next| at.may_become(*next)) {
                ways.entry(next).or_insert_with(|| [way.as_slice(), &[next]].concat());
            }
        }
        if ways.len() == known {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use KeyState::{Active, Destroyed, Generated, Retired};

    #[test]
    fn states_are_moved_the_allowed_way() {
        for (from, to, way) in [
            (Generated, Active, Some(vec![Active])),
            (Generated, Retired, Some(vec![Active, Retired])),
            (Active, Destroyed, Some(vec![Retired, Destroyed])),
            (Generated, Destroyed, Some(vec![Destroyed])),
            (Retired, Generated, None),
            (Destroyed, Active, None),
            (Active, Active, Some(vec![])),
        ] {
            assert_eq!(steps(from, to), way, "{from} to {to}");
        }
    }
}
