//! The pair as a vault: every question with the keys it needs, every order with what the other vault does after it.

use super::replicate::Refusal;
use super::{Other, Pair, Side, fault_of, out_of_step};
use crate::error::VaultError;
use crate::kind::KeyState;
use crate::manage::{ImportedKey, KeyManagement, KeyPlace, WrappedKey};
use crate::value::{KeyAlgorithm, KeyValue};
use crate::vault::{
    KeyAddress, KeyInfo, KeyRef, LoadSession, MacVerdict, NewKey, PresetJob, SecureMessage, TacJob,
    TacVerdict, Vault, VaultStatus, WriteKeyJob,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use ykt_base::{DateTime, Mac4, Rng};
use ykt_crypto::sm::CommandBytes;
use ykt_purse::PurseFen;
use ykt_purse::load::Load;

/// The first of these keys that is withheld.
fn first(withheld: &BTreeSet<KeyRef>, keys: impl IntoIterator<Item = KeyRef>) -> Option<KeyRef> {
    if withheld.is_empty() { None } else { keys.into_iter().find(|key| withheld.contains(key)) }
}

const fn new_key(new: &NewKey<'_>) -> Option<KeyRef> {
    match new {
        NewKey::Own(address) => Some(address.key()),
        NewKey::Working { key, .. } => Some(*key),
        NewKey::Pin(_) => None,
    }
}

impl Vault for Pair {
    /// That of the acting vault, as a pair. What cannot be known of one that is gone is taken from the other.
    fn status(&self) -> VaultStatus {
        let acting = self.acting();
        let [mine, other] = [acting, acting.other()].map(|side| self.member(side).status());
        let said = |side: Side, status: &VaultStatus| format!("{side} {} {}", status.backend, status.version);
        let version = format!("{} (acting), {}", said(acting, &mine), said(acting.other(), &other));
        let health = mine.health.clone();
        let known = if fault_of(&health).is_none() { mine } else { other };
        VaultStatus { backend: "pair", version, health, ..known }
    }

    fn capabilities(&self) -> Vec<KeyAlgorithm> {
        self.member(self.acting()).capabilities()
    }

    fn list(&self) -> Result<Vec<KeyInfo>, VaultError> {
        self.ask(|_| None, |vault| vault.list())
    }

    fn kcv(&self, key: &KeyAddress) -> Result<[u8; 3], VaultError> {
        self.ask(|withheld| first(withheld, [key.key()]), |vault| vault.kcv(key))
    }

    fn write_key(&self, job: &WriteKeyJob<'_>) -> Result<CommandBytes, VaultError> {
        let keys = || [job.control.key()].into_iter().chain(new_key(&job.new));
        self.ask(|withheld| first(withheld, keys()), |vault| vault.write_key(job))
    }

    fn preset(&self, job: &PresetJob) -> Result<CommandBytes, VaultError> {
        self.ask(|withheld| first(withheld, [job.factory, job.transport]), |vault| vault.preset(job))
    }

    fn external_authenticate(&self, key: &KeyAddress, challenge: [u8; 8]) -> Result<[u8; 8], VaultError> {
        self.ask(|withheld| first(withheld, [key.key()]), |vault| vault.external_authenticate(key, challenge))
    }

    fn sm_mac(&self, key: &KeyAddress, iv: [u8; 8], parts: &[&[u8]]) -> Result<Mac4, VaultError> {
        self.ask(|withheld| first(withheld, [key.key()]), |vault| vault.sm_mac(key, iv, parts))
    }

    fn secure_message(&self, message: &SecureMessage<'_>) -> Result<CommandBytes, VaultError> {
        self.ask(|withheld| first(withheld, [message.key.key()]), |vault| vault.secure_message(message))
    }

    fn check_load_mac1(
        &self,
        session: &LoadSession,
        load: &Load,
        balance: PurseFen,
        mac1: &Mac4,
    ) -> Result<MacVerdict, VaultError> {
        self.ask(
            |withheld| first(withheld, [session.key.key]),
            |vault| vault.check_load_mac1(session, load, balance, mac1),
        )
    }

    fn load_mac2(&self, session: &LoadSession, load: &Load, at: DateTime) -> Result<Mac4, VaultError> {
        self.ask(|withheld| first(withheld, [session.key.key]), |vault| vault.load_mac2(session, load, at))
    }

    fn verify_tacs(&self, jobs: &[TacJob]) -> Result<Vec<TacVerdict>, VaultError> {
        self.ask(
            |withheld| first(withheld, jobs.iter().map(|job| job.key.key)),
            |vault| vault.verify_tacs(jobs),
        )
    }
}

impl KeyManagement for Pair {
    fn generate(
        &self,
        place: KeyPlace,
        algorithm: KeyAlgorithm,
        rng: &mut dyn Rng,
    ) -> Result<KeyInfo, VaultError> {
        self.make(place, |vault| vault.generate(place, algorithm, rng))
    }

    /// The value is at hand: it goes to both as it is, so that the transport keys themselves come to both.
    fn import(&self, key: ImportedKey) -> Result<KeyInfo, VaultError> {
        let ImportedKey { place, state, ref value, kcv } = key;
        let value = KeyValue::from_bytes(value.algorithm(), &value.expose());
        let second = value.map(|value| ImportedKey { place, state, value, kcv });
        self.order(
            &[place.key],
            |vault| vault.import(key),
            |vault| match second {
                Some(second) => Ok(vault.import(second).map(drop)?),
                None => Ok(()),
            },
        )
    }

    fn derive_root(&self, seed: KeyRef, key: KeyRef) -> Result<KeyInfo, VaultError> {
        self.make(KeyPlace::root(key), |vault| vault.derive_root(seed, key))
    }

    fn change_state(&self, place: &KeyPlace, to: KeyState) -> Result<(), VaultError> {
        let change = |vault: &dyn KeyManagement| vault.change_state(place, to);
        self.order(&[place.key], change, |vault| Ok(change(vault)?))
    }

    fn wrap(&self, place: &KeyPlace, transport: KeyRef) -> Result<WrappedKey, VaultError> {
        self.ask(|withheld| first(withheld, [place.key, transport]), |vault| vault.wrap(place, transport))
    }

    fn import_wrapped(&self, wrapped: &WrappedKey, transport: KeyRef) -> Result<KeyInfo, VaultError> {
        let import = |vault: &dyn KeyManagement| vault.import_wrapped(wrapped, transport);
        self.order(&[wrapped.place.key], import, |vault| Ok(import(vault).map(drop)?))
    }

    fn import_all_wrapped(
        &self,
        wrapped: &[&WrappedKey],
        transport: KeyRef,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<KeyInfo>, (usize, VaultError)> {
        let keys: Vec<KeyRef> = wrapped.iter().map(|key| key.place.key).collect();
        let mut refused_at = 0;
        let import = |vault: &dyn KeyManagement| {
            vault.import_all_wrapped(wrapped, transport, progress).map_err(|(at, error)| {
                refused_at = at;
                error
            })
        };
        let follow = |vault: &dyn KeyManagement| {
            let taken = vault.import_all_wrapped(wrapped, transport, &mut |_, _| ());
            Ok(taken.map(drop).map_err(|(_, error)| error)?)
        };
        let taken = self.order(&keys, import, follow);
        taken.map_err(|error| (refused_at, error))
    }
}

impl Pair {
    /// Makes a key on the acting vault and carries it to the other.
    fn make(
        &self,
        place: KeyPlace,
        make: impl FnOnce(&dyn KeyManagement) -> Result<KeyInfo, VaultError>,
    ) -> Result<KeyInfo, VaultError> {
        let carry = |vault: &dyn KeyManagement| {
            let transport = self.transport()?;
            // Under the managing lock nobody but a failure switches over, and then nothing is carried.
            let acting = self.acting();
            let wrapped = self.member(acting).wrap(&place, transport)?;
            Ok(vault.import_wrapped(&wrapped, transport).map(drop)?)
        };
        self.order(&[place.key], make, carry)
    }

    /// Carries out an order on the acting vault, then lets the other follow. One that got no answer is not repeated: it
    /// may have been carried out. The caller gives it again, to whoever acts then.
    fn order<T>(
        &self,
        keys: &[KeyRef],
        order: impl FnOnce(&dyn KeyManagement) -> Result<T, VaultError>,
        follow: impl FnOnce(&dyn KeyManagement) -> Result<(), Refusal>,
    ) -> Result<T, VaultError> {
        let _turn = self.manage();
        let turn = self.turn();
        if let Some(key) = first(&turn.withheld, keys.iter().copied()) {
            return Err(out_of_step(turn.side, key));
        }
        let vault = &**self.member(turn.side);
        let families = match self.families(vault, keys) {
            Ok(families) => families,
            Err(error) => return Err(self.outage(&turn, error)),
        };
        let marked = self.mark(&families);
        match order(vault) {
            Ok(done) => {
                self.follow(turn.side, &marked, follow);
                Ok(done)
            }
            Err(error) if error.is_outage() => Err(self.outage(&turn, error)),
            Err(refused) => {
                self.settle(&marked);
                Err(refused)
            }
        }
    }

    fn outage(&self, turn: &super::Turn, error: VaultError) -> VaultError {
        if error.is_outage() {
            self.fails(turn, &error.to_string());
        }
        error
    }

    /// The keys an order about these may touch: all of their kinds and indexes, since activating one retires another.
    fn families(&self, vault: &dyn KeyManagement, keys: &[KeyRef]) -> Result<Vec<KeyRef>, VaultError> {
        let touched: BTreeSet<_> = keys.iter().map(|key| (key.kind, key.index)).collect();
        let mut families: BTreeSet<KeyRef> = vault.list()?.into_iter().map(|info| info.key).collect();
        families.retain(|key| touched.contains(&(key.kind, key.index)));
        families.extend(keys);
        Ok(families.into_iter().collect())
    }

    /// Notes that the other vault differs in these keys, and says which of them it did not differ in before.
    fn mark(&self, keys: &[KeyRef]) -> Vec<KeyRef> {
        let mut state = self.lock();
        let Other::Ready { differs_in } = &mut state.other else { return keys.to_vec() };
        let news: Vec<KeyRef> = keys.iter().copied().filter(|key| !differs_in.contains(key)).collect();
        Arc::make_mut(differs_in).extend(&news);
        news
    }

    /// Takes the note back.
    pub(super) fn settle(&self, keys: &[KeyRef]) {
        if let Other::Ready { differs_in } = &mut self.lock().other {
            let differs_in = Arc::make_mut(differs_in);
            keys.iter().for_each(|key| {
                differs_in.remove(key);
            });
        }
    }

    /// Why the other vault cannot follow an order now, if it cannot.
    pub(super) fn other_answers(&self) -> Option<String> {
        match &self.lock().other {
            Other::Ready { .. } => None,
            Other::Unknown { reason } | Other::Failed { reason } | Other::Unfit { reason } => {
                Some(reason.clone())
            }
        }
    }
}
