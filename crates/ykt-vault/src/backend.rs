//! What every backend computes and decides alike: one [`Vault`] and one [`KeyManagement`] over all of them.
//!
//! A [`Backend`] can say what a holder's key is, for the time of one command, and can bring a key to its place. The
//! rules of keys, the commands, MACs and verdicts stand here, once.

mod commands;

use crate::batch;
use crate::error::VaultError;
use crate::kind::{KeyKind, KeyState, Origin};
use crate::levels::Levels;
use crate::manage::{ImportedKey, KeyManagement, KeyPlace, WrappedKey};
use crate::table::{Entry, KeyTable, Use};
use crate::value::{KeyAlgorithm, KeyValue};
use crate::vault::{
    KeyAddress, KeyInfo, KeyRef, LoadSession, MacVerdict, PresetJob, SecureMessage, TacJob, TacVerdict,
    Vault, VaultStatus, WriteKeyJob,
};
use ykt_base::{DateTime, IssuerFactor, Mac4, Rng};
use ykt_crypto::CardKey;
use ykt_crypto::sm::CommandBytes;
use ykt_purse::{PurseFen, load};

/// What a vault knows of its keys, as they stand at one moment.
pub struct Records<'a, T> {
    /// Where they come from.
    pub origin: Origin,
    /// The hierarchy they stand in.
    pub levels: &'a Levels,
    /// The keys.
    pub keys: &'a KeyTable<T>,
}

/// [`Records`] that are being changed.
pub struct Draft<'a, T> {
    /// Where the keys come from.
    pub origin: Origin,
    /// The hierarchy they stand in.
    pub levels: &'a Levels,
    /// The keys as they will be.
    pub keys: &'a mut KeyTable<T>,
}

/// What holds keys. For backends only: whoever asks answers for where a key goes.
pub trait Backend: Send + Sync {
    /// Name in messages.
    const NAME: &'static str;
    /// What its keys may compute with.
    const ALGORITHMS: &'static [KeyAlgorithm];
    /// What it holds of a key: the value, or a token's handle of it.
    type Held: Clone;
    /// Why a change of keys fails.
    type Fault: From<VaultError>;

    /// [`Vault::status`].
    fn state(&self) -> VaultStatus;

    /// Looks at the keys as they stand.
    ///
    /// # Errors
    /// What `look` says; [`VaultError::Unavailable`] when the backend does not answer.
    fn look<T>(
        &self,
        look: impl Fn(Records<'_, Self::Held>) -> Result<T, VaultError>,
    ) -> Result<T, VaultError>;

    /// The key as its holder has it.
    ///
    /// # Errors
    /// [`VaultError`] when there is none that may be used for this.
    fn key(&self, address: &KeyAddress, wanted: Use) -> Result<CardKey, VaultError>;

    /// The key at `level` above the cards of an issuer.
    ///
    /// # Errors
    /// As [`Backend::key`].
    fn upper_key(
        &self,
        key: KeyRef,
        level: u8,
        issuer: IssuerFactor,
        wanted: Use,
    ) -> Result<CardKey, VaultError>;

    /// [`Vault::verify_tacs`]: each backend has its own way to many card keys at once.
    ///
    /// # Errors
    /// [`VaultError`] when it does not answer.
    fn judge(&self, jobs: &[TacJob]) -> Result<Vec<TacVerdict>, VaultError>;

    /// [`KeyManagement::wrap`]; which keys may leave, and how, says [`KeyTable::leaving`].
    ///
    /// # Errors
    /// As there.
    fn wrapped(&self, place: &KeyPlace, transport: KeyRef) -> Result<WrappedKey, VaultError>;

    /// Changes keys, one change at a time: all of it is kept before anybody sees it, or nothing is.
    ///
    /// # Errors
    /// What `work` says, or why it could not be kept.
    fn change<T>(
        &self,
        work: impl FnOnce(&mut Work<'_, Self>) -> Result<T, Self::Fault>,
    ) -> Result<T, VaultError>;
}

/// The change of keys a backend has under way.
pub type Work<'a, B> = dyn Change<Held = <B as Backend>::Held, Fault = <B as Backend>::Fault> + 'a;

/// A change of keys under way: the keys as they will be, and the ways a new one comes to its place.
pub trait Change {
    /// As [`Backend::Held`].
    type Held;
    /// As [`Backend::Fault`].
    type Fault;

    /// The keys as they will be.
    fn draft(&mut self) -> Draft<'_, Self::Held>;

    /// Makes a key out of nothing. A backend with randomness of its own does not ask `rng`.
    ///
    /// # Errors
    /// When the backend fails.
    fn draw(
        &mut self,
        place: &KeyPlace,
        algorithm: KeyAlgorithm,
        rng: &mut dyn Rng,
    ) -> Result<Newcomer<Self::Held>, Self::Fault>;

    /// Takes a key that is known.
    ///
    /// # Errors
    /// When the backend fails.
    fn store(&mut self, place: &KeyPlace, value: KeyValue) -> Result<Newcomer<Self::Held>, Self::Fault>;

    /// Makes the root key of this name out of a seed: DIV(seed, [`crate::manage::root_factor`]).
    ///
    /// # Errors
    /// When the backend fails.
    fn derive(&mut self, seed: &Entry<Self::Held>, key: KeyRef) -> Result<Newcomer<Self::Held>, Self::Fault>;

    /// Takes a key enciphered under one of the transport keys.
    ///
    /// # Errors
    /// [`WrappedKey::changed`], or when the backend fails.
    fn unwrap(
        &mut self,
        wrapped: &WrappedKey,
        under: &Entry<Self::Held>,
    ) -> Result<Newcomer<Self::Held>, Self::Fault>;
}

/// A key that has come and has no record yet.
pub struct Newcomer<T> {
    /// What it computes with.
    pub algorithm: KeyAlgorithm,
    /// Its check value, computed from the key that came.
    pub kcv: [u8; 3],
    /// What the backend holds of it.
    pub held: T,
}

/// The verdict over one TAC of [`Vault::verify_tacs`], by the card's own key.
#[must_use]
pub fn tac_verdict(key: &CardKey, job: &TacJob) -> TacVerdict {
    batch::verdict(&key.tac_key(), job)
}

impl<B: Backend> Vault for B {
    fn status(&self) -> VaultStatus {
        self.state()
    }

    fn capabilities(&self) -> Vec<KeyAlgorithm> {
        B::ALGORITHMS.to_vec()
    }

    fn list(&self) -> Result<Vec<KeyInfo>, VaultError> {
        self.look(|Records { origin, levels, keys }| Ok(keys.list(levels, origin)))
    }

    fn kcv(&self, key: &KeyAddress) -> Result<[u8; 3], VaultError> {
        match key {
            KeyAddress::Shared(key) if key.kind.is_of_centre() => {
                self.look(|records| records.keys.centre_key(*key, Use::Compute).map(|stored| stored.kcv))
            }
            _ => self.key(key, Use::Compute).map(|key| key.kcv()),
        }
    }

    fn write_key(&self, job: &WriteKeyJob<'_>) -> Result<CommandBytes, VaultError> {
        commands::write_key(self, job)
    }

    fn preset(&self, job: &PresetJob) -> Result<CommandBytes, VaultError> {
        commands::preset(self, job)
    }

    fn external_authenticate(&self, key: &KeyAddress, challenge: [u8; 8]) -> Result<[u8; 8], VaultError> {
        self.key(key, Use::Compute).map(|key| key.authenticate(challenge))
    }

    fn sm_mac(&self, key: &KeyAddress, iv: [u8; 8], parts: &[&[u8]]) -> Result<Mac4, VaultError> {
        self.key(key, Use::Compute).map(|key| key.smac(iv, parts))
    }

    fn secure_message(&self, message: &SecureMessage<'_>) -> Result<CommandBytes, VaultError> {
        commands::secure_message(self, message)
    }

    fn check_load_mac1(
        &self,
        session: &LoadSession,
        load: &load::Load,
        balance: PurseFen,
        mac1: &Mac4,
    ) -> Result<MacVerdict, VaultError> {
        let session = commands::load_session_key(self, session)?;
        Ok(MacVerdict::of(&load::mac1(&session, load, balance), mac1))
    }

    fn load_mac2(&self, session: &LoadSession, load: &load::Load, at: DateTime) -> Result<Mac4, VaultError> {
        Ok(load::mac2(&commands::load_session_key(self, session)?, load, at))
    }

    fn verify_tacs(&self, jobs: &[TacJob]) -> Result<Vec<TacVerdict>, VaultError> {
        self.judge(jobs)
    }
}

impl<B: Backend> KeyManagement for B {
    fn generate(
        &self,
        place: KeyPlace,
        algorithm: KeyAlgorithm,
        rng: &mut dyn Rng,
    ) -> Result<KeyInfo, VaultError> {
        self.change(|work| {
            admit::<B>(work, &place, algorithm)?;
            let new = work.draw(&place, algorithm, rng)?;
            Ok(take::<B>(work, place, KeyState::Generated, new)?)
        })
    }

    fn import(&self, key: ImportedKey) -> Result<KeyInfo, VaultError> {
        let ImportedKey { place, state, value, kcv } = key;
        let own = value.kcv();
        check_kcv(place.key, kcv.unwrap_or(own), own)?;
        self.change(|work| {
            admit::<B>(work, &place, value.algorithm())?;
            let new = work.store(&place, value)?;
            check_kcv(place.key, own, new.kcv)?;
            Ok(take::<B>(work, place, state, new)?)
        })
    }

    fn derive_root(&self, seed: KeyRef, key: KeyRef) -> Result<KeyInfo, VaultError> {
        self.change(|work| {
            let seed = work.draft().keys.centre_key_of(seed, KeyKind::Seed, Use::Compute)?.clone();
            let place = KeyPlace::root(key);
            admit::<B>(work, &place, seed.algorithm)?;
            let new = work.derive(&seed, key)?;
            Ok(take::<B>(work, place, KeyState::Generated, new)?)
        })
    }

    fn change_state(&self, place: &KeyPlace, to: KeyState) -> Result<(), VaultError> {
        self.change(|work| Ok(work.draft().keys.change_state(place, to)?))
    }

    fn wrap(&self, place: &KeyPlace, transport: KeyRef) -> Result<WrappedKey, VaultError> {
        self.wrapped(place, transport)
    }

    fn import_wrapped(&self, wrapped: &WrappedKey, transport: KeyRef) -> Result<KeyInfo, VaultError> {
        self.change(|work| bring::<B>(work, wrapped, transport))
    }

    fn import_all_wrapped(
        &self,
        wrapped: &[&WrappedKey],
        transport: KeyRef,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<KeyInfo>, (usize, VaultError)> {
        let mut taken = Vec::with_capacity(wrapped.len());
        let done = self.change(|work| {
            wrapped.iter().try_for_each(|key| {
                taken.push(bring::<B>(work, key, transport)?);
                progress(taken.len(), wrapped.len());
                Ok(())
            })
        });
        match done {
            Ok(()) => Ok(taken),
            Err(error) => Err((taken.len().min(wrapped.len().saturating_sub(1)), error)),
        }
    }
}

/// Whether this backend can have such a key, and at this place.
fn admit<B: Backend>(
    work: &mut Work<'_, B>,
    place: &KeyPlace,
    algorithm: KeyAlgorithm,
) -> Result<(), VaultError> {
    if !B::ALGORITHMS.contains(&algorithm) {
        return Err(VaultError::lacks(B::NAME, algorithm));
    }
    let Draft { levels, keys, .. } = work.draft();
    keys.check_new(levels, place, algorithm)
}

/// Takes a key another vault has wrapped.
fn bring<B: Backend>(
    work: &mut Work<'_, B>,
    wrapped: &WrappedKey,
    transport: KeyRef,
) -> Result<KeyInfo, B::Fault> {
    let under = work.draft().keys.centre_key_of(transport, KeyKind::KeyTransport, Use::Compute)?.clone();
    check_kcv(transport, wrapped.transport_kcv, under.kcv)?;
    admit::<B>(work, &wrapped.place, wrapped.algorithm)?;
    let new = work.unwrap(wrapped, &under)?;
    check_kcv(wrapped.place.key, wrapped.kcv, new.kcv)?;
    Ok(take::<B>(work, wrapped.place, wrapped.state, new)?)
}

/// Gives a key that has come its record.
fn take<B: Backend>(
    work: &mut Work<'_, B>,
    place: KeyPlace,
    state: KeyState,
    new: Newcomer<B::Held>,
) -> Result<KeyInfo, VaultError> {
    let Newcomer { algorithm, kcv, held } = new;
    let entry = Entry { place, algorithm, state, kcv, value: Some(held) };
    let Draft { origin, levels, keys } = work.draft();
    let info = entry.info(levels, origin);
    keys.insert(levels, entry)?;
    Ok(info)
}

fn check_kcv(key: KeyRef, expected: [u8; 3], found: [u8; 3]) -> Result<(), VaultError> {
    if expected == found { Ok(()) } else { Err(VaultError::WrongKcv { key, expected, found }) }
}
