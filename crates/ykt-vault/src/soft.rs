//! The software vault: keys in this process, sealed in one file when they rest.
//!
//! A stored key stands at a level: at the root, at a level between (with its owner's factor, or for whoever asks),
//! or finished for one card. A holder's key is derived from the deepest stored key that fits it. Under the keys
//! directly above the cards stand masses of TACs; their round keys are kept ready.

mod change;
mod signer;

use crate::backend::{Backend, Records, Work};
use crate::batch::{self, ReadyKeys, TacSource};
use crate::error::VaultError;
use crate::kind::{KeyKind, KeyState, Origin};
use crate::levels::Levels;
use crate::manage::{KeyPlace, WrappedKey};
use crate::sealed::{Home, SealError};
use crate::table::{Entry, KeyTable, Use};
use crate::transport;
use crate::value::{KeyAlgorithm, KeyValue};
use crate::vault::{CardKeyRef, Health, KeyAddress, KeyRef, TacJob, TacVerdict, VaultStatus};
use change::Drafted;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use ykt_base::{IssuerFactor, Rng};
use ykt_crypto::{CardKey, Key16};

/// Transport key of the demonstration's blank cards and PSAMs: printed here, worth nothing.
pub const DEMO_TRANSPORT_KEY: [u8; 16] = *b"YIKATONG-BLANK-1";

/// Name of this backend in statuses and errors.
pub(crate) const BACKEND: &str = "software";

/// The keys of a software vault. Their values are shared, never copied: so each is wiped when its last holder goes.
pub(crate) type Keys = KeyTable<Arc<KeyValue>>;

/// What readers see: one state of the keys, with the round keys made from it.
#[derive(Default)]
struct Kept {
    keys: Keys,
    ready: ReadyKeys,
}

/// The software vault.
pub struct SoftVault {
    origin: Origin,
    levels: Levels,
    kept: RwLock<Kept>,
    /// The file the keys live in, if any. Held by whoever changes keys, from reading them until the new ones are kept.
    home: Mutex<Option<Home>>,
}

impl SoftVault {
    /// A vault without keys.
    #[must_use]
    pub fn empty(levels: Levels, origin: Origin) -> SoftVault {
        SoftVault::of_keys(levels, origin, Keys::default())
    }

    /// A vault with one active root key of every kind, index 1 and version 1. Transport keys are the vendor's:
    /// a demonstration gets [`DEMO_TRANSPORT_KEY`], in production they are imported.
    #[must_use]
    pub fn generate(levels: Levels, rng: &mut dyn Rng, origin: Origin) -> SoftVault {
        let mut keys = Keys::default();
        for kind in KeyKind::ALL {
            let value = match (kind.is_of_blanks(), origin) {
                (true, Origin::Production) => continue,
                (true, Origin::Demo) => KeyValue::Tdes(Key16::from_bytes(DEMO_TRANSPORT_KEY)),
                (false, _) => KeyValue::generate(usual(*kind), rng),
            };
            keys.restore(entry(KeyPlace::root(KeyRef::new(*kind, 1, 1)), KeyState::Active, value));
        }
        SoftVault::of_keys(levels, origin, keys)
    }

    pub(crate) fn of_keys(levels: Levels, origin: Origin, keys: Keys) -> SoftVault {
        let kept = RwLock::new(Kept { keys, ready: ReadyKeys::default() });
        SoftVault { origin, levels, kept, home: Mutex::new(None) }
    }

    /// Where its keys come from.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// The same vault, living in this file from now on.
    pub(crate) fn at_home(self, home: Home) -> SoftVault {
        SoftVault { home: Mutex::new(Some(home)), ..self }
    }

    /// Looks at its keys as they stand now.
    pub(crate) fn with_keys<T>(&self, with: impl FnOnce(&Levels, &Keys) -> T) -> T {
        with(&self.levels, &self.kept().keys)
    }

    /// Works on the file it lives in, while nobody changes keys.
    pub(crate) fn with_home<T>(
        &self,
        with: impl FnOnce(&mut Home, (&Levels, &Keys)) -> Result<T, SealError>,
    ) -> Result<T, SealError> {
        let mut home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        let home = home.as_mut().ok_or(SealError::NoFile)?;
        let keys = self.kept().keys.clone();
        with(home, (&self.levels, &keys))
    }

    /// The key as its holder has it, for [`crate::DeskKeys`] only.
    pub(crate) fn desk_key(&self, address: &KeyAddress) -> Result<CardKey, VaultError> {
        self.key(address, Use::Compute)
    }

    fn kept(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The algorithm a kind usually has.
pub(crate) fn usual(kind: KeyKind) -> KeyAlgorithm {
    kind.algorithms().first().copied().unwrap_or(KeyAlgorithm::Tdes)
}

pub(crate) fn entry(place: KeyPlace, state: KeyState, value: KeyValue) -> Entry<Arc<KeyValue>> {
    let (algorithm, kcv) = (value.algorithm(), value.kcv());
    Entry { place, algorithm, state, kcv, value: Some(Arc::new(value)) }
}

impl Kept {
    /// The holder's own key. The last level is diversified from ready round keys.
    fn derive(&self, levels: &Levels, address: &KeyAddress, wanted: Use) -> Result<CardKey, VaultError> {
        let route = self.keys.route(levels, address, wanted)?;
        let Some((last, before)) = route.factors.split_last() else { return stored(route.stored) };
        let issuer = match address {
            KeyAddress::Card(card) => card.factor,
            KeyAddress::Sam { .. } | KeyAddress::Shared(_) => IssuerFactor([0; 8]),
        };
        let above = self.ready.above((address.key(), issuer), || down(route.stored, before))?;
        Ok(above.diversify(last))
    }

    fn tac_source(&self, levels: &Levels, card: &CardKeyRef) -> Option<TacSource> {
        let route = self.keys.route(levels, &KeyAddress::Card(*card), Use::Compute).ok()?;
        let Some((_, before)) = route.factors.split_last() else {
            return stored(route.stored).ok().map(|key| TacSource::Finished(key.tac_key()));
        };
        let above = self.ready.above((card.key, card.factor), || down(route.stored, before));
        above.ok().map(TacSource::Above)
    }
}

fn stored(entry: &Entry<Arc<KeyValue>>) -> Result<CardKey, VaultError> {
    let key = entry.value.as_ref().and_then(|value| value.card_key());
    key.ok_or(VaultError::WrongHolder { key: entry.place.key })
}

fn held(entry: &Entry<Arc<KeyValue>>) -> Result<&KeyValue, VaultError> {
    entry.value.as_deref().ok_or(VaultError::NoSuchKey { key: entry.place.key })
}

/// The key some levels below a stored one.
fn down(entry: &Entry<Arc<KeyValue>>, factors: &[[u8; 8]]) -> Result<CardKey, VaultError> {
    Ok(factors.iter().fold(stored(entry)?, |key, factor| key.diversify(factor)))
}

impl Backend for SoftVault {
    const NAME: &'static str = BACKEND;
    const ALGORITHMS: &'static [KeyAlgorithm] = &KeyAlgorithm::ALL;
    type Held = Arc<KeyValue>;
    type Fault = VaultError;

    fn state(&self) -> VaultStatus {
        VaultStatus {
            backend: BACKEND,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            origin: self.origin,
            levels: self.levels.clone(),
            keys: self.kept().keys.len(),
            health: Health::Ready,
        }
    }

    fn look<T>(
        &self,
        look: impl Fn(Records<'_, Self::Held>) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        look(Records { origin: self.origin, levels: &self.levels, keys: &self.kept().keys })
    }

    fn key(&self, address: &KeyAddress, wanted: Use) -> Result<CardKey, VaultError> {
        self.kept().derive(&self.levels, address, wanted)
    }

    fn upper_key(
        &self,
        key: KeyRef,
        level: u8,
        issuer: IssuerFactor,
        wanted: Use,
    ) -> Result<CardKey, VaultError> {
        let kept = self.kept();
        let route = kept.keys.route_above(&self.levels, key, level, issuer, wanted)?;
        down(route.stored, &route.factors)
    }

    fn judge(&self, jobs: &[TacJob]) -> Result<Vec<TacVerdict>, VaultError> {
        let kept = self.kept();
        Ok(batch::verify(jobs, |card| kept.tac_source(&self.levels, card)))
    }

    fn wrapped(&self, place: &KeyPlace, transport: KeyRef) -> Result<WrappedKey, VaultError> {
        let kept = self.kept();
        let leaving = kept.keys.leaving(place, transport)?;
        let (value, under) = (held(leaving.entry)?, held(leaving.under)?);
        let cryptogram =
            transport::encipher(value, under).ok_or_else(|| VaultError::lacks(BACKEND, under.algorithm()))?;
        Ok(leaving.wrapped(cryptogram))
    }

    fn change<T>(
        &self,
        work: impl FnOnce(&mut Work<'_, Self>) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let mut home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        let mut drafted =
            Drafted { origin: self.origin, levels: &self.levels, keys: self.kept().keys.clone() };
        let done = work(&mut drafted)?;
        let keys = drafted.keys;
        if let Some(home) = home.as_mut() {
            home.takes_changes().map_err(|reason| VaultError::NotAllowed { reason: reason.to_owned() })?;
            let kept = home.keep(&self.levels, &keys);
            kept.map_err(|error| VaultError::Unavailable {
                backend: BACKEND.to_owned(),
                reason: error.to_string(),
            })?;
        }
        let next = Kept { keys, ready: ReadyKeys::default() };
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manage::{ImportedKey, KeyManagement};
    use crate::vault::{KeyLayout, NewKey, Receipt, Vault, WriteKeyJob};
    use ykt_base::{Asn8, DateTime, Mac4};
    use ykt_crypto::sm::CommandBytes;
    use ykt_purse::write_key::KeyUsage;
    use ykt_purse::{PurseFen, purchase, write_key};

    struct Ones;

    impl Rng for Ones {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(1);
        }
    }

    fn vault(origin: Origin) -> SoftVault {
        SoftVault::generate(Levels::nation_city_card(), &mut Ones, origin)
    }

    const LOAD_1: KeyRef = KeyRef::new(KeyKind::Load, 1, 1);
    const LOAD_2: KeyRef = KeyRef::new(KeyKind::Load, 1, 2);

    fn card(key: KeyRef) -> KeyAddress {
        KeyAddress::Card(CardKeyRef { key, factor: IssuerFactor([1; 8]), asn: Asn8([2; 8]) })
    }

    fn writes(vault: &SoftVault, key: KeyRef) -> Result<CommandBytes, VaultError> {
        let header =
            write_key::KeyHeader { usage: KeyUsage::Load, ..write_key::control_key_header(key.version) };
        vault.write_key(&WriteKeyJob {
            control: card(KeyRef::new(KeyKind::ApplicationMaster, 1, 1)),
            new: NewKey::Own(card(key)),
            layout: KeyLayout::Card {
                family: write_key::KeyLayout::SourceDocuments,
                target: write_key::KeyTarget::Add { id: 1, usage: KeyUsage::Load },
                header,
            },
            iv: [0; 8],
        })
    }

    #[test]
    fn a_production_vault_has_no_transport_key_of_ours() {
        assert_eq!(vault(Origin::Demo).list().unwrap().len(), KeyKind::ALL.len());
        let list = vault(Origin::Production).list().unwrap();
        assert_eq!(list.len(), KeyKind::ALL.len() - 3);
        assert!(list.iter().all(|info| info.origin == Origin::Production));
    }

    /// A key's life: made, active, retired by its successor, back, destroyed.
    #[test]
    fn states_decide_what_a_key_may_do() {
        let vault = vault(Origin::Demo);
        vault.generate(KeyPlace::root(LOAD_2), KeyAlgorithm::Tdes, &mut Ones).unwrap();
        let state = |vault: &SoftVault, key| {
            vault.list().unwrap().into_iter().find(|info| info.key == key).map(|info| info.state)
        };
        assert_eq!(state(&vault, LOAD_2), Some(KeyState::Generated));
        let not_yet = VaultError::WrongState { key: LOAD_2, state: KeyState::Generated };
        assert_eq!(vault.kcv(&card(LOAD_2)), Err(not_yet));

        vault.change_state(&KeyPlace::root(LOAD_2), KeyState::Active).unwrap();
        assert_eq!(state(&vault, LOAD_1), Some(KeyState::Retired));
        assert!(vault.kcv(&card(LOAD_1)).is_ok(), "cards in the field are still served");
        let retired = VaultError::WrongState { key: LOAD_1, state: KeyState::Retired };
        assert_eq!(writes(&vault, LOAD_1).err(), Some(retired), "no card gets it any more");
        assert!(writes(&vault, LOAD_2).is_ok());

        vault.change_state(&KeyPlace::root(LOAD_1), KeyState::Destroyed).unwrap();
        assert!(vault.kcv(&card(LOAD_1)).is_err());
        let record = vault.list().unwrap().into_iter().find(|info| info.key == LOAD_1).unwrap();
        assert_eq!((record.kcv, record.state), ([0; 3], KeyState::Destroyed), "its record stays");
        assert_eq!(
            vault.change_state(&KeyPlace::root(LOAD_1), KeyState::Active),
            Err(VaultError::NoSuchStep { key: LOAD_1, from: KeyState::Destroyed, to: KeyState::Active })
        );
        let unknown = KeyRef::new(KeyKind::Load, 7, 1);
        assert!(vault.change_state(&KeyPlace::root(unknown), KeyState::Active).is_err());
        assert_eq!(vault.status().keys, KeyKind::ALL.len());
    }

    /// Ready keys are kept by city; another state of the key is seen at once.
    #[test]
    fn a_destroyed_tac_key_checks_nothing_more() {
        let vault = vault(Origin::Demo);
        let key = KeyRef::new(KeyKind::Tac, 1, 1);
        let job = TacJob {
            key: CardKeyRef { key, factor: IssuerFactor([1; 8]), asn: Asn8([2; 8]) },
            receipt: Receipt::Purchase {
                purchase: purchase::Purchase {
                    kind: purchase::PurchaseKind::Purchase(ykt_purse::Purse::Ep),
                    amount: PurseFen::ZERO,
                    terminal: ykt_base::TerminalId([0; 6]),
                },
                sequence: ykt_base::TerminalSeq(1),
                at: DateTime::from_number(20_261_122_093_015).unwrap(),
            },
            tac: Mac4([0; 4]),
        };
        assert_eq!(vault.verify_tacs(&[job, job]).unwrap(), [TacVerdict::Wrong, TacVerdict::Wrong]);
        vault.change_state(&KeyPlace::root(key), KeyState::Retired).unwrap();
        assert_eq!(vault.verify_tacs(&[job]).unwrap(), [TacVerdict::Wrong]);
        vault.change_state(&KeyPlace::root(key), KeyState::Destroyed).unwrap();
        assert_eq!(vault.verify_tacs(&[job]).unwrap(), [TacVerdict::UnknownKeyVersion]);
    }

    #[test]
    fn imports_must_fit_the_hierarchy() {
        let vault = vault(Origin::Demo);
        let import = |key, level, owner| {
            let place = KeyPlace { key, level, owner };
            let value = KeyValue::Tdes(Key16::from_bytes([1; 16]));
            vault.import(ImportedKey { place, state: KeyState::Active, value, kcv: None })
        };
        assert_eq!(import(LOAD_1, 0, None), Err(VaultError::AlreadyThere { key: LOAD_1 }));
        assert!(import(LOAD_1, 1, None).is_ok());
        assert!(import(LOAD_1, 2, Some([2; 8])).is_ok());
        assert!(matches!(import(LOAD_1, 3, None), Err(VaultError::NoSuchLevel { .. })));
        assert!(matches!(import(LOAD_2, 0, Some([1; 8])), Err(VaultError::NoSuchLevel { .. })));
        let transport = KeyRef::new(KeyKind::CardTransport, 2, 1);
        assert!(matches!(import(transport, 1, None), Err(VaultError::NoSuchLevel { .. })));
        let sam = KeyRef::new(KeyKind::SamMaster, 2, 1);
        assert!(import(sam, 1, Some([7; 8])).is_ok());
    }
}
