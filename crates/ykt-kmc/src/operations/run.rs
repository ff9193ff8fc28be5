//! An operation on the vault: what it can rely on, what it does, and what came of it.
//!
//! Repeat-safe: each step looks first whether it was done already by a run that was cut short. A key that stands
//! where a new one was asked for is this operation's own when nobody has registered it, since whoever puts keys into
//! the vault registers them, and the place was free when the request was asked.

use super::{KEYS_MAX, Operation, OperationError};
use crate::place::{PlaceName, key_name};
use crate::registry::tree::{Leaf, Tree};
use crate::registry::{KeyEventKind, Source};
use std::collections::BTreeMap;
use ykt_base::{DateTime, Rng};
use ykt_vault::exchange::{self, ExchangeError};
use ykt_vault::pair::{Pair, PairError};
use ykt_vault::{
    KeyInfo, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, Signer, VaultError, WrappedKey,
};

/// The sender of exported files.
const CENTRE: &str = "key management centre";

/// What came of an operation for one key, for the registry.
pub(crate) enum Effect {
    /// A key came into the vault.
    Came {
        /// The key.
        info: KeyInfo,
        /// How.
        source: Source,
        /// From whom or what.
        origin: String,
    },
    /// Something happened to a key.
    Became {
        /// The key.
        place: KeyPlace,
        /// What.
        kind: KeyEventKind,
        /// The state after it.
        state: KeyState,
        /// More in words.
        detail: String,
    },
    /// The file of an export.
    Exported(String),
    /// A campaign is open.
    CampaignOpened(String),
}

/// How an operation ended: what came of it, and what there is to say; effects there may be also when it failed half
/// way through several keys.
pub(crate) struct Ended {
    pub(crate) effects: Vec<Effect>,
    /// In words: what was done, or why not.
    pub(crate) outcome: Result<String, String>,
}

/// One run of one operation.
pub(crate) struct Run<'a> {
    pub(crate) vault: &'a dyn KeyManagement,
    /// Vault and registry as they were when it began.
    pub(crate) tree: &'a Tree,
    /// The two vaults, when they are a pair.
    pub(crate) pair: Option<&'a Pair>,
    /// Who signs what is handed out.
    pub(crate) signer: Option<&'a dyn Signer>,
    pub(crate) at: DateTime,
    pub(crate) rng: &'a mut dyn Rng,
    pub(crate) effects: Vec<Effect>,
}

impl Operation {
    /// Whether it could be done as things stand: told when it is asked, so that nobody approves what cannot be.
    pub(crate) fn check(&self, tree: &Tree) -> Result<(), OperationError> {
        let not = |words: String| Err(OperationError::NotPossible(words));
        let named = match self {
            Operation::DeriveRoots { keys, .. } => Some(keys.len()),
            Operation::Import { keys, .. } => Some(keys.len()),
            Operation::Export { places, .. } => Some(places.len()),
            _ => None,
        };
        if let Some(found) = named.filter(|named| !(1..=KEYS_MAX).contains(named)) {
            return not(format!("expected 1 to {KEYS_MAX} keys, found {found}"));
        }
        match self {
            Operation::Generate { place, .. } => {
                if place.key.kind.is_of_blanks() {
                    return not(format!("the {} is its maker's: import it", place.key));
                }
                is_free(tree, place)
            }
            Operation::DeriveRoots { seed, keys } => {
                usable(tree, &KeyPlace::root(*seed), KeyKind::Seed)?;
                keys.iter().try_for_each(|key| is_free(tree, &KeyPlace::root(*key)))
            }
            Operation::Import { transport, keys, .. } => {
                usable(tree, &KeyPlace::root(*transport), KeyKind::KeyTransport)?;
                keys.iter().try_for_each(|key| is_free(tree, &key.place))
            }
            Operation::Export { transport, places, .. } => {
                usable(tree, &KeyPlace::root(*transport), KeyKind::KeyTransport)?;
                places.iter().try_for_each(|place| match known(tree, place)?.state() {
                    Some(KeyState::Active | KeyState::Retired | KeyState::Generated) => Ok(()),
                    _ => not(format!("the {place} is destroyed: there is nothing to export")),
                })
            }
            Operation::Replicate | Operation::SwitchOver { .. } | Operation::StartCampaign { .. } => Ok(()),
            Operation::Activate(_) | Operation::Retire(_) | Operation::Restore(_) | Operation::Destroy(_) => {
                let Some((place, from, to)) = self.state_step() else { return Ok(()) };
                let found = known(tree, &place)?.vault.as_ref().map(|info| info.state);
                match found {
                    Some(state) if state == from => Ok(()),
                    Some(KeyState::Generated) if to == KeyState::Destroyed => Ok(()),
                    Some(state) => Err(VaultError::NoSuchStep { key: place.key, from: state, to }.into()),
                    None => Err(VaultError::NoSuchKey { key: place.key }.into()),
                }
            }
        }
    }
}

fn known<'t>(tree: &'t Tree, place: &KeyPlace) -> Result<&'t Leaf, OperationError> {
    tree.leaf(place).ok_or_else(|| VaultError::NoSuchKey { key: place.key }.into())
}

/// The places of keys are never used twice: also a destroyed key keeps its own.
fn is_free(tree: &Tree, place: &KeyPlace) -> Result<(), OperationError> {
    match tree.leaf(place) {
        None => Ok(()),
        Some(_) => Err(VaultError::AlreadyThere { key: place.key }.into()),
    }
}

/// The active seed or transport key of this name.
fn usable(tree: &Tree, place: &KeyPlace, kind: KeyKind) -> Result<(), OperationError> {
    if place.key.kind != kind {
        let found = key_name(place.key);
        return Err(OperationError::NotPossible(format!("expected a key of kind {kind}, found {found}")));
    }
    match known(tree, place)?.state() {
        Some(KeyState::Active) => Ok(()),
        Some(state) => Err(VaultError::WrongState { key: place.key, state }.into()),
        None => Err(VaultError::NoSuchKey { key: place.key }.into()),
    }
}

impl<'a> Run<'a> {
    /// Does it. An outage of the vault is an error: the same run can be made again; any other refusal is how the
    /// operation ended.
    pub(crate) fn go(mut self, operation: &Operation) -> Result<Ended, VaultError> {
        let outcome = match self.act(operation) {
            Ok(words) => Ok(words),
            // What was done before the outage is found again by the next run.
            Err(error) if error.is_outage() => return Err(error),
            Err(error) => Err(error.to_string()),
        };
        Ok(Ended { effects: self.effects, outcome })
    }

    fn act(&mut self, operation: &Operation) -> Result<String, VaultError> {
        match operation {
            Operation::Generate { place, algorithm } => {
                let made = self.vault.generate(*place, *algorithm, self.rng);
                let info = self.ours(place, made)?;
                let kcv = ykt_base::hex::Hex(&info.kcv).to_string();
                self.came(info, Source::Generated, "");
                Ok(format!("KCV {kcv}"))
            }
            Operation::DeriveRoots { seed, keys } => {
                for key in keys {
                    let made = self.vault.derive_root(*seed, *key);
                    let info = self.ours(&KeyPlace::root(*key), made)?;
                    self.came(info, Source::Seed, &key_name(*seed));
                }
                Ok(format!("{} keys", keys.len()))
            }
            Operation::Import { party, transport, keys } => {
                for info in self.import(*transport, keys)? {
                    self.came(info, Source::Imported, party);
                }
                Ok(format!("{} keys", keys.len()))
            }
            Operation::Export { party, transport, places } => self.export(party, *transport, places),
            Operation::Activate(_) | Operation::Retire(_) | Operation::Restore(_) | Operation::Destroy(_) => {
                self.change_state(operation)
            }
            Operation::Replicate => self.replicate(),
            Operation::SwitchOver { to, how } => {
                let pair = self.pair()?;
                if pair.acting() != *to {
                    pair.switch_over(*how).map_err(refused_pair)?;
                }
                Ok(format!("the {to} vault acts"))
            }
            Operation::StartCampaign { campaign } => {
                self.effects.push(Effect::CampaignOpened(campaign.clone()));
                Ok("open".to_owned())
            }
        }
    }

    fn pair(&self) -> Result<&'a Pair, VaultError> {
        let what = "backup vault".to_owned();
        let lacks = || VaultError::Unsupported { backend: self.vault.status().backend.to_owned(), what };
        self.pair.ok_or_else(lacks)
    }

    fn replicate(&mut self) -> Result<String, VaultError> {
        let pair = self.pair()?;
        let done = pair.replicate(pair.acting())?;
        for place in done.copied.iter().chain(done.moved.iter().map(|(place, _)| place)) {
            let state = self.tree.leaf(place).and_then(Leaf::state).unwrap_or(KeyState::Active);
            let detail = format!("to the {} vault", pair.acting().other());
            self.effects.push(Effect::Became {
                place: *place,
                kind: KeyEventKind::Replicated,
                state,
                detail,
            });
        }
        let (copied, moved) = (done.copied.len(), done.moved.len());
        let left = match done.left.first() {
            None => "in step".to_owned(),
            Some(first) => format!("{} differences left, the first: {first}", done.left.len()),
        };
        Ok(format!("{copied} keys copied, {moved} states moved; {left}"))
    }

    /// All keys of a file, or none.
    fn import(&self, transport: KeyRef, keys: &[WrappedKey]) -> Result<Vec<KeyInfo>, VaultError> {
        let wrapped: Vec<&WrappedKey> = keys.iter().collect();
        match self.vault.import_all_wrapped(&wrapped, transport, &mut |_, _| {}) {
            Err((_, VaultError::AlreadyThere { key })) => {
                // A run that was cut short took them already, when they are the same and nobody registered them.
                let list = self.vault.list()?;
                let there: BTreeMap<_, _> = list.into_iter().map(|info| (info.place(), info)).collect();
                let ours = |key: &WrappedKey| {
                    let info = there.get(&key.place).filter(|info| info.kcv == key.kcv)?;
                    (!self.is_registered(&key.place)).then(|| info.clone())
                };
                keys.iter().map(ours).collect::<Option<_>>().ok_or(VaultError::AlreadyThere { key })
            }
            other => other.map_err(|(_, error)| error),
        }
    }

    fn export(&mut self, party: &str, transport: KeyRef, places: &[KeyPlace]) -> Result<String, VaultError> {
        let reason = "an exported file is signed, and the centre has no signing key yet".to_owned();
        let signer = self.signer.ok_or(VaultError::NotAllowed { reason })?;
        let (vault, at) = (self.vault, self.at);
        let file =
            exchange::export(vault, places, transport, (CENTRE, at), (signer, self.rng), &mut |_, _| {});
        let file = file.map_err(|error| match error {
            ExchangeError::Vault(error) | ExchangeError::Key { source: error, .. } => error,
            other => VaultError::NotAllowed { reason: other.to_string() },
        })?;
        for place in places {
            let state = self.tree.leaf(place).and_then(Leaf::state).unwrap_or(KeyState::Active);
            let detail = format!("for {party}, under {}", key_name(transport));
            self.effects.push(Effect::Became { place: *place, kind: KeyEventKind::Exported, state, detail });
        }
        self.effects.push(Effect::Exported(file.to_string()));
        Ok(format!("{} keys", places.len()))
    }

    fn is_registered(&self, place: &KeyPlace) -> bool {
        self.tree.leaf(place).is_some_and(|leaf| leaf.record.is_some())
    }

    fn change_state(&mut self, operation: &Operation) -> Result<String, VaultError> {
        let Some((place, _, to)) = operation.state_step() else { return Ok(String::new()) };
        let found = self.vault.list()?.into_iter().find(|info| info.place() == place);
        let found = found.ok_or(VaultError::NoSuchKey { key: place.key })?;
        if found.state != to {
            self.vault.change_state(&place, to)?;
        }
        let kind = match operation {
            Operation::Activate(_) => KeyEventKind::Activated,
            Operation::Restore(_) => KeyEventKind::Restored,
            Operation::Destroy(_) => KeyEventKind::Destroyed,
            _ => KeyEventKind::Retired,
        };
        // The registry, not the vault, knows whether it was told of the retirement before.
        let succeeded = self.tree.leaves().filter(|leaf| to == KeyState::Active && leaf.place != place);
        let succeeded = succeeded.filter(|leaf| is_sibling(&leaf.place, &place));
        let was_active = |leaf: &&Leaf| leaf.record.as_ref().is_some_and(|r| r.state == KeyState::Active);
        let retired: Vec<KeyPlace> = succeeded.filter(was_active).map(|leaf| leaf.place).collect();
        self.effects.push(Effect::Became { place, kind, state: to, detail: String::new() });
        for earlier in &retired {
            self.effects.push(Effect::Became {
                place: *earlier,
                kind: KeyEventKind::Succeeded,
                state: KeyState::Retired,
                detail: format!("by {}", PlaceName(place)),
            });
        }
        let names: Vec<String> = retired.iter().map(|place| PlaceName(*place).to_string()).collect();
        Ok(match names.is_empty() {
            true => to.name().to_owned(),
            false => format!("{to}; retired {}", names.join(", ")),
        })
    }

    /// The key that was made now, or by a run of the same operation that was cut short.
    fn ours(&self, place: &KeyPlace, made: Result<KeyInfo, VaultError>) -> Result<KeyInfo, VaultError> {
        match made {
            Err(VaultError::AlreadyThere { key }) => {
                let found = self.vault.list()?.into_iter().find(|info| info.place() == *place);
                found.filter(|_| !self.is_registered(place)).ok_or(VaultError::AlreadyThere { key })
            }
            other => other,
        }
    }

    fn came(&mut self, info: KeyInfo, source: Source, origin: &str) {
        self.effects.push(Effect::Came { info, source, origin: origin.to_owned() });
    }
}

/// A pair that does not answer can be switched later; any other refusal is for good.
fn refused_pair(error: PairError) -> VaultError {
    match error {
        PairError::Refused { reason, .. } => reason,
        other @ PairError::OutOfStep { .. } => VaultError::NotAllowed { reason: other.to_string() },
    }
}

/// Whether activating one retires the other.
pub(super) fn is_sibling(one: &KeyPlace, other: &KeyPlace) -> bool {
    let of = |place: &KeyPlace| (place.key.kind, place.key.index, place.level, place.owner);
    of(one) == of(other)
}
