//! The records of a vault's keys, whatever holds their values: where each is kept, its state, and which one serves
//! a holder. The rules stand here once, for every backend.

use crate::error::VaultError;
use crate::kind::{KeyKind, KeyState, Origin, Scheme};
use crate::levels::{Factor, Levels};
use crate::manage::{KeyPlace, WrappedKey};
use crate::value::KeyAlgorithm;
use crate::vault::{CardKeyRef, KeyAddress, KeyInfo, KeyRef};
use ykt_base::{Asn8, IssuerFactor, PsamSerial};

/// What a key is wanted for: a retired key still computes for the cards that hold it, but goes to no card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// To be written to a card.
    Write,
    /// To compute with.
    Compute,
}

impl Use {
    /// Whether a key of this state serves.
    #[must_use]
    pub const fn allows(self, state: KeyState) -> bool {
        matches!((state, self), (KeyState::Active, _) | (KeyState::Retired, Use::Compute))
    }
}

/// One key: its record, and what the backend holds of it.
#[derive(Clone)]
pub struct Entry<T> {
    /// Where it is kept.
    pub place: KeyPlace,
    /// What it computes with.
    pub algorithm: KeyAlgorithm,
    /// Its state.
    pub state: KeyState,
    /// Its check value; zero once destroyed.
    pub kcv: [u8; 3],
    /// The value, or the backend's handle of it; `None` once destroyed.
    pub value: Option<T>,
}

/// How a holder's key comes from a stored one: by these factors, one level after the other.
pub struct Route<'a, T> {
    /// The stored key.
    pub stored: &'a Entry<T>,
    /// The factors below it, in the order they are applied.
    pub factors: Vec<[u8; 8]>,
}

/// A key that may leave the vault, with the transport key it leaves under.
pub struct Leaving<'a, T> {
    /// The key.
    pub entry: &'a Entry<T>,
    /// The transport key.
    pub under: &'a Entry<T>,
}

impl<T> Leaving<'_, T> {
    /// The key on its way, enciphered as `cryptogram`.
    #[must_use]
    pub fn wrapped(&self, cryptogram: Vec<u8>) -> WrappedKey {
        let Entry { place, algorithm, state, kcv, .. } = *self.entry;
        WrappedKey { place, algorithm, state, kcv, transport_kcv: self.under.kcv, cryptogram }
    }
}

/// All keys of a vault, ordered by place.
#[derive(Clone)]
pub struct KeyTable<T>(Vec<Entry<T>>);

impl<T> Default for KeyTable<T> {
    fn default() -> Self {
        KeyTable(Vec::new())
    }
}

impl<T> KeyTable<T> {
    /// Every key, destroyed ones too, ordered by kind, index, version, level and owner.
    pub fn iter(&self) -> impl Iterator<Item = &Entry<T>> {
        self.0.iter()
    }

    /// How many keys are not destroyed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().filter(|entry| entry.state != KeyState::Destroyed).count()
    }

    /// Whether there is none, or only destroyed ones.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key of this place.
    ///
    /// # Errors
    /// [`VaultError::NoSuchKey`].
    pub fn at(&self, place: &KeyPlace) -> Result<&Entry<T>, VaultError> {
        self.position(place)
            .ok()
            .and_then(|at| self.0.get(at))
            .ok_or(VaultError::NoSuchKey { key: place.key })
    }

    /// Whether a key could be kept at this place with this algorithm.
    ///
    /// # Errors
    /// [`VaultError::NoSuchLevel`], [`VaultError::AlreadyThere`], [`VaultError::NotAllowed`].
    pub fn check_new(
        &self,
        levels: &Levels,
        place: &KeyPlace,
        algorithm: KeyAlgorithm,
    ) -> Result<(), VaultError> {
        let KeyPlace { key, level, owner } = *place;
        let refused = |reason| Err(VaultError::NoSuchLevel { key, level, reason });
        if level > levels.deepest(key.kind) {
            return refused("keys of this kind have no such level");
        }
        if level == 0 && owner.is_some() {
            return refused("a root key has no owner");
        }
        if !key.kind.algorithms().contains(&algorithm) {
            let names: Vec<_> = key.kind.algorithms().iter().map(|known| known.name()).collect();
            let reason = format!("a {} key is one of {}, found {algorithm}", key.kind, names.join(", "));
            return Err(VaultError::NotAllowed { reason });
        }
        match self.position(place) {
            Ok(_) => Err(VaultError::AlreadyThere { key }),
            Err(_) => Ok(()),
        }
    }

    /// Takes a key in. One that comes in active retires the active one beside it.
    ///
    /// # Errors
    /// As [`KeyTable::check_new`]; [`VaultError::NotAllowed`] for a destroyed key.
    pub fn insert(&mut self, levels: &Levels, entry: Entry<T>) -> Result<(), VaultError> {
        self.check_new(levels, &entry.place, entry.algorithm)?;
        if entry.state == KeyState::Destroyed || entry.value.is_none() {
            let reason = format!("the {} is destroyed and comes into no vault", entry.place.key);
            return Err(VaultError::NotAllowed { reason });
        }
        if entry.state == KeyState::Active {
            self.retire_beside(&entry.place);
        }
        self.restore(entry);
        Ok(())
    }

    /// Takes a key in as it was kept, without asking the rules: for backends that read their own records.
    pub fn restore(&mut self, entry: Entry<T>) {
        match self.position(&entry.place) {
            Ok(at) => {
                if let Some(known) = self.0.get_mut(at) {
                    *known = entry;
                }
            }
            Err(at) => self.0.insert(at, entry),
        }
    }

    /// Moves a key to another state. An active one retires the active one beside it; of a destroyed one the value
    /// goes at once.
    ///
    /// # Errors
    /// [`VaultError::NoSuchKey`] or [`VaultError::NoSuchStep`], and nothing is changed.
    pub fn change_state(&mut self, place: &KeyPlace, to: KeyState) -> Result<(), VaultError> {
        let key = place.key;
        let from = self.at(place)?.state;
        if !from.may_become(to) {
            return Err(VaultError::NoSuchStep { key, from, to });
        }
        if to == KeyState::Active {
            self.retire_beside(place);
        }
        let at = self.position(place).map_err(|_| VaultError::NoSuchKey { key })?;
        if let Some(entry) = self.0.get_mut(at) {
            entry.state = to;
            if to == KeyState::Destroyed {
                entry.value = None;
                entry.kcv = [0; 3];
            }
        }
        Ok(())
    }

    /// The key centre's own key of this name: seed, transport key or signing pair.
    ///
    /// # Errors
    /// [`VaultError::NoSuchKey`], [`VaultError::WrongState`], or [`VaultError::NotAllowed`] for another kind.
    pub fn centre_key(&self, key: KeyRef, wanted: Use) -> Result<&Entry<T>, VaultError> {
        if !key.kind.is_of_centre() {
            let reason = format!("this is done with a key of the centre only, found the {key}");
            return Err(VaultError::NotAllowed { reason });
        }
        self.deepest(key, 0, wanted, |_| None)
    }

    /// As [`KeyTable::centre_key`], of one kind.
    ///
    /// # Errors
    /// As there.
    pub fn centre_key_of(&self, key: KeyRef, kind: KeyKind, wanted: Use) -> Result<&Entry<T>, VaultError> {
        if key.kind != kind {
            let reason = format!("this takes a {kind} key, found the {key}");
            return Err(VaultError::NotAllowed { reason });
        }
        self.centre_key(key, wanted)
    }

    /// The key of a place that is to leave under `transport`.
    ///
    /// # Errors
    /// As [`KeyTable::centre_key`] of the transport key; [`VaultError::NoSuchKey`]; [`VaultError::WrongState`] when the
    /// key is destroyed; [`VaultError::NotAllowed`] when it is the transport key itself.
    pub fn leaving(&self, place: &KeyPlace, transport: KeyRef) -> Result<Leaving<'_, T>, VaultError> {
        let under = self.centre_key_of(transport, KeyKind::KeyTransport, Use::Write)?;
        if place.key == transport {
            let reason = format!("the {transport} is not wrapped under itself");
            return Err(VaultError::NotAllowed { reason });
        }
        let entry = self.at(place)?;
        match entry.state {
            KeyState::Destroyed => Err(VaultError::WrongState { key: place.key, state: entry.state }),
            _ => Ok(Leaving { entry, under }),
        }
    }

    /// The stored key nearest to this holder, with the way down to it. Keys of the centre have no holder.
    ///
    /// # Errors
    /// [`VaultError::NoSuchKey`], [`VaultError::WrongState`] or [`VaultError::WrongHolder`].
    pub fn route(
        &self,
        levels: &Levels,
        address: &KeyAddress,
        wanted: Use,
    ) -> Result<Route<'_, T>, VaultError> {
        let key = address.key();
        match (address, key.kind.scheme()) {
            (KeyAddress::Card(CardKeyRef { factor, asn, .. }), Scheme::Card) => {
                self.route_to(levels, key, levels.card(), *factor, *asn, wanted)
            }
            (KeyAddress::Sam { serial, .. }, Scheme::Sam) => {
                let factor = sam_factor(serial);
                let stored = self.deepest(key, 1, wanted, |_| Some(factor))?;
                let factors = if stored.place.level == 0 { vec![factor] } else { Vec::new() };
                Ok(Route { stored, factors })
            }
            (KeyAddress::Shared(_), Scheme::Shared) if !key.kind.is_of_centre() => {
                let stored = self.deepest(key, 0, wanted, |_| None)?;
                Ok(Route { stored, factors: Vec::new() })
            }
            _ => Err(VaultError::WrongHolder { key }),
        }
    }

    /// The stored key nearest to the key at `level` above the cards of an issuer, with the way down to it.
    ///
    /// # Errors
    /// As [`KeyTable::route`].
    pub fn route_above(
        &self,
        levels: &Levels,
        key: KeyRef,
        level: u8,
        issuer: IssuerFactor,
        wanted: Use,
    ) -> Result<Route<'_, T>, VaultError> {
        if key.kind.scheme() != Scheme::Card || level >= levels.card() {
            return Err(VaultError::WrongHolder { key });
        }
        self.route_to(levels, key, level, issuer, Asn8([0; 8]), wanted)
    }

    /// What a list shows.
    #[must_use]
    pub fn list(&self, levels: &Levels, origin: Origin) -> Vec<KeyInfo> {
        self.0.iter().map(|entry| entry.info(levels, origin)).collect()
    }

    fn route_to(
        &self,
        levels: &Levels,
        key: KeyRef,
        level: u8,
        issuer: IssuerFactor,
        asn: Asn8,
        wanted: Use,
    ) -> Result<Route<'_, T>, VaultError> {
        let owner = |level: u8| match levels.as_slice().get(usize::from(level))?.factor {
            Factor::Root => None,
            Factor::Fixed(factor) => Some(factor.0),
            Factor::Issuer => Some(issuer.0),
            Factor::Card => Some(asn.0),
        };
        let stored = self.deepest(key, level, wanted, owner)?;
        let factors = levels.factors(stored.place.level, level, issuer, asn).collect();
        Ok(Route { stored, factors })
    }

    /// The deepest stored key at or above `level`; at one level the owner's before everybody's.
    fn deepest(
        &self,
        key: KeyRef,
        level: u8,
        wanted: Use,
        owner: impl Fn(u8) -> Option<[u8; 8]>,
    ) -> Result<&Entry<T>, VaultError> {
        let places = (0..=level).rev().flat_map(|level| {
            let own = owner(level).map(|owner| KeyPlace { key, level, owner: Some(owner) });
            own.into_iter().chain([KeyPlace { key, level, owner: None }])
        });
        let found = places.into_iter().find_map(|place| self.0.get(self.position(&place).ok()?));
        match found {
            None => Err(VaultError::NoSuchKey { key }),
            Some(entry) if wanted.allows(entry.state) => Ok(entry),
            Some(entry) => Err(VaultError::WrongState { key, state: entry.state }),
        }
    }

    fn position(&self, place: &KeyPlace) -> Result<usize, usize> {
        self.0.binary_search_by(|entry| entry.place.cmp(place))
    }

    /// Retires the active key of the same kind, index, level and owner. Keys of one kind and index stand together.
    fn retire_beside(&mut self, place: &KeyPlace) {
        let family = |place: &KeyPlace| (place.key.kind, place.key.index);
        let from = self.0.partition_point(|entry| family(&entry.place) < family(place));
        let beside = |other: &KeyPlace| (other.level, other.owner) == (place.level, place.owner);
        let relatives =
            self.0.iter_mut().skip(from).take_while(|entry| family(&entry.place) == family(place));
        relatives
            .filter(|entry| entry.state == KeyState::Active && beside(&entry.place))
            .for_each(|entry| entry.state = KeyState::Retired);
    }
}

impl<T> Entry<T> {
    /// What a list shows of it.
    #[must_use]
    pub fn info(&self, levels: &Levels, origin: Origin) -> KeyInfo {
        KeyInfo {
            key: self.place.key,
            level: levels.name_at(self.place.key.kind, self.place.level),
            depth: self.place.level,
            owner: self.place.owner,
            algorithm: self.algorithm,
            kcv: self.kcv,
            state: self.state,
            origin,
        }
    }
}

/// Factor of a PSAM's or key card's control keys: the last eight bytes of its serial number.
fn sam_factor(serial: &PsamSerial) -> [u8; 8] {
    let [_, _, factor @ ..] = serial.0;
    factor
}
