//! Managing the keys of the software vault: each change is kept before it is seen.

use super::{BACKEND, SoftVault, entry};
use crate::error::VaultError;
use crate::kind::{KeyKind, KeyState};
use crate::manage::{ImportedKey, KeyManagement, KeyPlace, WrappedKey, root_factor};
use crate::table::{Entry, Use};
use crate::transport;
use crate::value::{KeyAlgorithm, KeyValue};
use crate::vault::{KeyInfo, KeyRef};
use std::sync::Arc;
use ykt_base::Rng;
use ykt_crypto::CardKey;

impl SoftVault {
    fn take(&self, new: Entry<Arc<KeyValue>>) -> Result<KeyInfo, VaultError> {
        let info = new.info(&self.levels, self.origin);
        self.change(|keys| keys.insert(&self.levels, new))?;
        Ok(info)
    }

    /// The centre's own key of this name, which must be of `kind`.
    fn centre_key(&self, key: KeyRef, kind: KeyKind, wanted: Use) -> Result<Arc<KeyValue>, VaultError> {
        let kept = self.kept();
        kept.keys.centre_key_of(key, kind, wanted)?.value.clone().ok_or(VaultError::NoSuchKey { key })
    }
}

impl KeyManagement for SoftVault {
    fn generate(
        &self,
        place: KeyPlace,
        algorithm: KeyAlgorithm,
        rng: &mut dyn Rng,
    ) -> Result<KeyInfo, VaultError> {
        self.kept().keys.check_new(&self.levels, &place, algorithm)?;
        self.take(entry(place, KeyState::Generated, KeyValue::generate(algorithm, rng)))
    }

    fn import(&self, key: ImportedKey) -> Result<KeyInfo, VaultError> {
        let ImportedKey { place, state, value, kcv } = key;
        let new = entry(place, state, value);
        match kcv {
            Some(expected) if expected != new.kcv => {
                Err(VaultError::WrongKcv { key: place.key, expected, found: new.kcv })
            }
            _ => self.take(new),
        }
    }

    fn derive_root(&self, seed: KeyRef, key: KeyRef) -> Result<KeyInfo, VaultError> {
        let seed = self.centre_key(seed, KeyKind::Seed, Use::Compute)?;
        let seed = seed.card_key().ok_or(VaultError::WrongHolder { key })?;
        let value = match seed.diversify(&root_factor(key)) {
            CardKey::Sm4(value) => KeyValue::Sm4(value),
            CardKey::Tdes(value) => KeyValue::Tdes(value),
            CardKey::Des(_) => return Err(VaultError::WrongHolder { key }),
        };
        self.take(entry(KeyPlace::root(key), KeyState::Generated, value))
    }

    fn change_state(&self, place: &KeyPlace, to: KeyState) -> Result<(), VaultError> {
        self.change(|keys| keys.change_state(place, to))
    }

    fn wrap(&self, place: &KeyPlace, transport: KeyRef) -> Result<WrappedKey, VaultError> {
        let under = self.centre_key(transport, KeyKind::KeyTransport, Use::Write)?;
        let kept = self.kept();
        let Entry { algorithm, state, kcv, value, .. } = kept.keys.leaving(place, transport)?;
        let value = value.as_ref().ok_or(VaultError::NoSuchKey { key: place.key })?;
        let cryptogram = transport::encipher(value, &under)
            .ok_or_else(|| VaultError::lacks(BACKEND, under.algorithm()))?;
        Ok(WrappedKey {
            place: *place,
            algorithm: *algorithm,
            state: *state,
            kcv: *kcv,
            transport_kcv: under.kcv(),
            cryptogram,
        })
    }

    fn import_wrapped(&self, wrapped: &WrappedKey, transport: KeyRef) -> Result<KeyInfo, VaultError> {
        let under = self.centre_key(transport, KeyKind::KeyTransport, Use::Compute)?;
        self.take(unwrapped(wrapped, transport, &under)?)
    }

    fn import_all_wrapped(
        &self,
        wrapped: &[&WrappedKey],
        transport: KeyRef,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<KeyInfo>, (usize, VaultError)> {
        let under =
            self.centre_key(transport, KeyKind::KeyTransport, Use::Compute).map_err(|error| (0, error))?;
        let mut new = Vec::with_capacity(wrapped.len());
        for (at, key) in wrapped.iter().enumerate() {
            new.push(unwrapped(key, transport, &under).map_err(|error| (at, error))?);
            progress(new.len(), wrapped.len());
        }
        let infos = new.iter().map(|entry| entry.info(&self.levels, self.origin)).collect();
        let mut position = 0;
        let taken = self.change(|keys| {
            new.into_iter().enumerate().try_for_each(|(at, entry)| {
                position = at;
                keys.insert(&self.levels, entry)
            })
        });
        taken.map(|()| infos).map_err(|error| (position, error))
    }
}

/// The key that a cryptogram under `under` brings, when it is the one of its check value.
fn unwrapped(
    wrapped: &WrappedKey,
    transport: KeyRef,
    under: &KeyValue,
) -> Result<Entry<Arc<KeyValue>>, VaultError> {
    let WrappedKey { place, algorithm, state, kcv: expected, transport_kcv, ref cryptogram } = *wrapped;
    let found = under.kcv();
    if found != transport_kcv {
        return Err(VaultError::WrongKcv { key: transport, expected: transport_kcv, found });
    }
    let key = place.key;
    let value = transport::decipher(cryptogram, algorithm, under).ok_or_else(|| wrapped.changed())?;
    let new = entry(place, state, value);
    if new.kcv == expected { Ok(new) } else { Err(VaultError::WrongKcv { key, expected, found: new.kcv }) }
}
