//! [`HsmVault`]: what a vault does for the house, with the keys in a token.
//!
//! The last step down to a card is taken by enciphering X || NOT X under the key above, inside the token: SoftHSM2
//! gives a key that it derives odd parity, which no cryptogram shows but a card's key file would; what is enciphered
//! is the card's key to the bit. Levels between are derived by the mechanism and never leave.

use crate::connection::{Connection, Line, RefusedPin};
use crate::derived::{Derived, spread};
use crate::fault::{BACKEND, Fault, Outage, unavailable};
use crate::objects::{Hatch, Shelf, handle_of, stays_inside};
use crate::record::VaultRecord;
use crate::settings::{Mechanisms, Settings};
use cryptoki::object::ObjectHandle;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use thiserror::Error;
use ykt_base::IssuerFactor;
use ykt_crypto::{CardKey, Key16};
use ykt_vault::backend::{self, Backend, Records, Work};
use ykt_vault::table::{Route, Use};
use ykt_vault::{
    CardKeyRef, Health, KeyAddress, KeyAlgorithm, KeyPlace, KeyRef, Levels, Origin, TacJob, TacVerdict,
    VaultError, VaultStatus, WrappedKey, transport,
};
use zeroize::Zeroizing;

/// Most card keys derived by one call into the token.
const CARD_KEYS_MAX: usize = 1_024;

/// How often a question is put when connections are lost under it: a module that others restart loses several.
const ATTEMPTS_MAX: usize = 8;

/// Why a token cannot be opened as a vault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// It does not answer, or lets nobody in.
    #[error(transparent)]
    Token(#[from] VaultError),
    /// There is no vault in it yet.
    #[error("the {token} holds no vault; make one in it with `ykt vault init-token`")]
    NoVault {
        /// Which token.
        token: String,
    },
    /// There is one in it already.
    #[error("the {token} holds a vault already; open it, or name another token")]
    VaultThere {
        /// Which token.
        token: String,
    },
}

/// A vault whose keys live in a PKCS#11 token.
pub struct HsmVault {
    pub(crate) settings: Settings,
    /// Origin and levels: set with the first connection, and the same ever after.
    vault: OnceLock<VaultRecord>,
    /// What it was when it last answered.
    last_status: Mutex<Option<VaultStatus>>,
    /// The token as it was read last; `None` while there is no connection.
    desk: RwLock<Option<Arc<Desk>>>,
    refused: Mutex<RefusedPin>,
    /// Held by whoever changes keys, from reading the token until the change is seen.
    change: Mutex<()>,
}

/// A connection with what is known of the token behind it.
pub(crate) struct Desk {
    pub(crate) connection: Connection,
    shelf: RwLock<Arc<Shelf>>,
    /// What a cut had left in the token when it was connected.
    left_by_a_cut: Mutex<Vec<ObjectHandle>>,
    pub(crate) derived: Derived,
    pub(crate) hatch: Hatch,
}

impl From<Outage> for OpenError {
    fn from(outage: Outage) -> OpenError {
        OpenError::Token(outage.into())
    }
}

impl Desk {
    pub(crate) fn shelf(&self) -> Arc<Shelf> {
        Arc::clone(&self.shelf.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows readers another state of the keys.
    pub(crate) fn show(&self, shelf: Shelf) {
        *self.shelf.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shelf);
        self.derived.forget();
    }

    /// The vault in a token that is connected.
    fn new(connection: Connection, shelf: Shelf) -> Result<Desk, Fault> {
        let hatch = connection.with_keeper(Hatch::open)?;
        let left_by_a_cut = Mutex::new(shelf.ledger.left_by_a_cut());
        let shelf = RwLock::new(Arc::new(shelf));
        Ok(Desk { connection, shelf, left_by_a_cut, derived: Derived::default(), hatch })
    }

    /// What a cut had left in the token; once.
    pub(crate) fn take_left_by_a_cut(&self) -> Vec<ObjectHandle> {
        std::mem::take(&mut *self.left_by_a_cut.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The finished key of a holder: derived in the token, or the stored one itself.
    fn holder_key(
        &self,
        line: &Line<'_>,
        mechanisms: &Mechanisms,
        route: &Route<'_, ObjectHandle>,
    ) -> Result<CardKey, Fault> {
        let Route { stored, factors } = route;
        let handle = handle_of(stored)?;
        let Some((last, above)) = factors.split_last() else {
            let value = self.hatch.take(line, mechanisms, stored)?;
            let key = stored.place.key;
            return Ok(value.card_key().ok_or(VaultError::WrongHolder { key })?);
        };
        let above = self.derived.key(line, mechanisms, (&stored.place, handle), above)?;
        let base = above.as_ref().map_or(handle, |above| above.handle());
        let mut block = Zeroizing::new(spread(last));
        line.module.calls.encrypt(line.session, mechanisms.encrypt, base, &mut *block)?;
        Ok(CardKey::Tdes(Key16::from_bytes(*block)))
    }

    /// The keys of many cards under one key, in the order of `factors`.
    fn card_keys(
        &self,
        line: &Line<'_>,
        mechanisms: &Mechanisms,
        above: &Route<'_, ObjectHandle>,
        factors: &[[u8; 8]],
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let handle = handle_of(above.stored)?;
        let derived = self.derived.key(line, mechanisms, (&above.stored.place, handle), &above.factors)?;
        let base = derived.as_ref().map_or(handle, |derived| derived.handle());
        let mut blocks = Zeroizing::new(factors.iter().flat_map(spread).collect::<Vec<u8>>());
        line.module.calls.encrypt(line.session, mechanisms.encrypt, base, &mut blocks)?;
        Ok(blocks)
    }
}

impl HsmVault {
    /// Opens the vault in a token.
    ///
    /// # Errors
    /// [`OpenError::Token`] when it does not answer, [`OpenError::NoVault`] when there is none in it.
    pub fn open(settings: Settings) -> Result<HsmVault, OpenError> {
        let token = settings.token.to_string();
        let vault = HsmVault::awaited(settings);
        match vault.desk() {
            Err(Outage::Empty) => Err(OpenError::NoVault { token }),
            Err(outage) => Err(OpenError::Token(outage.into())),
            Ok(_) => Ok(vault),
        }
    }

    /// The vault in a token that need not answer yet: one of a pair may be down when a server starts. Each call asks
    /// for the token until it is there.
    #[must_use]
    pub fn awaited(settings: Settings) -> HsmVault {
        HsmVault {
            settings,
            vault: OnceLock::new(),
            last_status: Mutex::default(),
            desk: RwLock::default(),
            refused: Mutex::default(),
            change: Mutex::default(),
        }
    }

    /// Makes a vault without keys in a token that has none.
    ///
    /// # Errors
    /// [`OpenError::Token`] when it does not answer, [`OpenError::VaultThere`] when it has one.
    pub fn create(settings: Settings, levels: Levels, origin: Origin) -> Result<HsmVault, OpenError> {
        let (connection, shelf) = connect(&settings, &mut RefusedPin::default())?;
        if shelf.is_some() {
            return Err(OpenError::VaultThere { token: settings.token.to_string() });
        }
        let vault = VaultRecord { origin, levels };
        connection.with(|line| line.found_vault(vault)).map_err(Fault::into_vault_error)?;
        drop(connection);
        HsmVault::open(settings)
    }

    /// The connection that stands, or a new one.
    pub(crate) fn desk(&self) -> Result<Arc<Desk>, Outage> {
        if let Some(desk) = self.standing() {
            return Ok(desk);
        }
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(desk) = self.standing() {
            return Ok(desk);
        }
        let (connection, shelf) = connect(&self.settings, &mut refused)?;
        let shelf = shelf.ok_or(Outage::Empty)?;
        let vault = VaultRecord { origin: shelf.origin, levels: shelf.levels.clone() };
        if *self.vault.get_or_init(|| vault.clone()) != vault {
            return Err(Outage::Gone(format!("the {} holds another vault now", self.settings.token)));
        }
        let desk = Arc::new(Desk::new(connection, shelf).map_err(Outage::from)?);
        self.note(&desk);
        *self.desk.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&desk));
        Ok(desk)
    }

    /// Remembers what the vault is, for the time when it does not answer.
    pub(crate) fn note(&self, desk: &Desk) -> VaultStatus {
        let Shelf { origin, ref levels, ref keys, .. } = *desk.shelf();
        let status = VaultStatus {
            backend: BACKEND,
            version: desk.connection.version().to_owned(),
            origin,
            levels: levels.clone(),
            keys: keys.len(),
            health: Health::Ready,
        };
        let mut last = self.last_status.lock().unwrap_or_else(PoisonError::into_inner);
        last.insert(status).clone()
    }

    fn standing(&self) -> Option<Arc<Desk>> {
        self.desk.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives a connection up that is lost, unless somebody has a new one already.
    pub(crate) fn forget(&self, lost: &Arc<Desk>) {
        let mut desk = self.desk.write().unwrap_or_else(PoisonError::into_inner);
        if desk.as_ref().is_some_and(|desk| Arc::ptr_eq(desk, lost)) {
            *desk = None;
        }
    }

    /// Works with the token; when the connection turns out to be lost, again with a new one. For work that changes
    /// nothing in the token.
    pub(crate) fn with<T>(
        &self,
        work: impl Fn(&Desk, &Line<'_>) -> Result<T, Fault>,
    ) -> Result<T, VaultError> {
        let mut attempts_left = ATTEMPTS_MAX;
        loop {
            let desk = self.desk()?;
            match desk.connection.with(|line| work(&desk, line)) {
                Ok(done) => return Ok(done),
                Err(fault) if fault.is_lost_connection() => {
                    self.forget(&desk);
                    attempts_left = attempts_left.saturating_sub(1);
                    if attempts_left == 0 {
                        return Err(fault.into_vault_error());
                    }
                }
                Err(fault) => return Err(fault.into_vault_error()),
            }
        }
    }

    pub(crate) fn no_vault_any_more(&self) -> VaultError {
        unavailable(format!("the {} holds no vault any more", self.settings.token))
    }

    /// Lets one at a time change keys.
    pub(crate) fn one_at_a_time(&self) -> MutexGuard<'_, ()> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The finished key that `route` finds.
    fn finished(
        &self,
        route: impl Fn(&Shelf) -> Result<Route<'_, ObjectHandle>, VaultError>,
    ) -> Result<CardKey, VaultError> {
        self.with(|desk, line| {
            let shelf = desk.shelf();
            desk.holder_key(line, &self.settings.mechanisms, &route(&shelf)?)
        })
    }
}

/// Connects, and reads the vault in the token when there is one.
fn connect(settings: &Settings, refused: &mut RefusedPin) -> Result<(Connection, Option<Shelf>), Outage> {
    let connection = Connection::open(settings, refused)?;
    let shelf = connection.with(|line| line.read()).map_err(Outage::from)?;
    Ok((connection, shelf))
}

impl Backend for HsmVault {
    const NAME: &'static str = BACKEND;
    const ALGORITHMS: &'static [KeyAlgorithm] = &[KeyAlgorithm::Tdes, KeyAlgorithm::Aes256];
    type Held = ObjectHandle;
    type Fault = Fault;

    fn state(&self) -> VaultStatus {
        let asked = self.desk().and_then(|desk| match desk.connection.probe() {
            Ok(()) => Ok(desk),
            Err(fault) => {
                self.forget(&desk);
                Err(fault.into())
            }
        });
        let health = match asked {
            Ok(desk) => return self.note(&desk),
            Err(outage) => outage.health(),
        };
        match &*self.last_status.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(status) => VaultStatus { health, ..status.clone() },
            // Never reached: nobody may take its keys for a city's.
            None => VaultStatus {
                backend: BACKEND,
                version: "unknown".to_owned(),
                origin: Origin::Demo,
                levels: Levels::nation_city_card(),
                keys: 0,
                health,
            },
        }
    }

    fn look<T>(
        &self,
        look: impl Fn(Records<'_, ObjectHandle>) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        self.with(|desk, _| {
            let Shelf { origin, ref levels, ref keys, .. } = *desk.shelf();
            Ok(look(Records { origin, levels, keys })?)
        })
    }

    fn key(&self, address: &KeyAddress, wanted: Use) -> Result<CardKey, VaultError> {
        self.finished(|shelf| shelf.keys.route(&shelf.levels, address, wanted))
    }

    fn upper_key(
        &self,
        key: KeyRef,
        level: u8,
        issuer: IssuerFactor,
        wanted: Use,
    ) -> Result<CardKey, VaultError> {
        self.finished(|shelf| shelf.keys.route_above(&shelf.levels, key, level, issuer, wanted))
    }

    /// Jobs of one key and city that stand together are derived by one call into the token.
    fn judge(&self, jobs: &[TacJob]) -> Result<Vec<TacVerdict>, VaultError> {
        let mut verdicts = Vec::with_capacity(jobs.len());
        let together = |a: &TacJob, b: &TacJob| (a.key.key, a.key.factor) == (b.key.key, b.key.factor);
        for run in jobs.chunk_by(together) {
            for jobs in run.chunks(CARD_KEYS_MAX) {
                verdicts.extend(self.with(|desk, line| self.verdicts(desk, line, jobs))?);
            }
        }
        Ok(verdicts)
    }

    fn wrapped(&self, place: &KeyPlace, transport: KeyRef) -> Result<WrappedKey, VaultError> {
        self.with(|desk, line| {
            let shelf = desk.shelf();
            let leaving = shelf.keys.leaving(place, transport)?;
            let value = |entry| desk.hatch.take(line, &self.settings.mechanisms, entry);
            let cryptogram = match leaving.under.algorithm {
                KeyAlgorithm::Aes256 => {
                    let (calls, session) = (&line.module.calls, line.session);
                    let (wrap, under) = (self.settings.mechanisms.wrap, handle_of(leaving.under)?);
                    let wrapped = calls.wrap(session, wrap, under, handle_of(leaving.entry)?);
                    wrapped.map_err(|error| stays_inside(place, error))?
                }
                algorithm => transport::encipher(&value(leaving.entry)?, &value(leaving.under)?)
                    .ok_or_else(|| VaultError::lacks(BACKEND, algorithm))?,
            };
            Ok(leaving.wrapped(cryptogram))
        })
    }

    fn change<T>(
        &self,
        work: impl FnOnce(&mut Work<'_, HsmVault>) -> Result<T, Fault>,
    ) -> Result<T, VaultError> {
        self.changed(work)
    }
}

impl HsmVault {
    /// Verdicts over jobs of one key and issuer.
    fn verdicts(&self, desk: &Desk, line: &Line<'_>, jobs: &[TacJob]) -> Result<Vec<TacVerdict>, Fault> {
        let shelf = desk.shelf();
        let mechanisms = &self.settings.mechanisms;
        let Some(CardKeyRef { key, factor, .. }) = jobs.first().map(|job| job.key) else {
            return Ok(Vec::new());
        };
        let level = shelf.levels.card().saturating_sub(1);
        let above = shelf.keys.route_above(&shelf.levels, key, level, factor, Use::Compute);
        let finished = shelf.keys.iter().any(|entry| entry.place.key == key && entry.place.level > level);
        if let (Ok(above), false) = (&above, finished) {
            let factors: Vec<_> = jobs.iter().map(|job| job.key.asn.0).collect();
            let keys = desk.card_keys(line, mechanisms, above, &factors)?;
            let (keys, _) = keys.as_chunks::<{ Key16::LEN }>();
            let verdict = |(job, key): (&TacJob, &[u8; Key16::LEN])| {
                backend::tac_verdict(&CardKey::Tdes(Key16::from_bytes(*key)), job)
            };
            return Ok(jobs.iter().zip(keys).map(verdict).collect());
        }
        let one = |job: &TacJob| {
            let route = shelf.keys.route(&shelf.levels, &KeyAddress::Card(job.key), Use::Compute);
            match route {
                Ok(route) => Ok(backend::tac_verdict(&desk.holder_key(line, mechanisms, &route)?, job)),
                Err(_) => Ok(TacVerdict::UnknownKeyVersion),
            }
        };
        jobs.iter().map(one).collect()
    }
}
