//! Keeping keys in the token. A change is made when its record is written: a key object without a record is no key,
//! and whatever a cut left of one is cleared before the next at its place.

use crate::connection::Line;
use crate::derived::spread;
use crate::fault::{BACKEND, Fault, unavailable};
use crate::objects::{Shelf, handle_of, stays_inside, template};
use crate::record::KeyRecord;
use crate::vault::{Desk, HsmVault};
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use std::sync::Arc;
use ykt_base::Rng;
use ykt_vault::manage::root_factor;
use ykt_vault::table::{Entry, Use};
use ykt_vault::{
    ImportedKey, KeyAlgorithm, KeyInfo, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, VaultError,
    WrappedKey, transport,
};

/// A key that has come into the token and is not kept yet.
struct Newcomer {
    place: KeyPlace,
    algorithm: KeyAlgorithm,
    state: KeyState,
    handle: ObjectHandle,
    /// The check value it must have.
    expected: Option<[u8; 3]>,
}

/// What a change of keys works with: the token as it is at this moment.
struct Change<'a> {
    vault: &'a HsmVault,
    desk: &'a Desk,
    line: &'a Line<'a>,
    shelf: Shelf,
}

impl HsmVault {
    /// Changes keys, one at a time. The token is read first: another process may have changed it. What fails is not
    /// tried again here, because whoever asked must learn how far it came.
    fn change<T>(&self, change: impl FnOnce(&mut Change<'_>) -> Result<T, Fault>) -> Result<T, VaultError> {
        let _one_at_a_time = self.one_at_a_time();
        let desk = self.fresh_desk()?;
        let done = desk.connection.with(|line| {
            let shelf =
                line.read()?.ok_or_else(|| unavailable("the token holds no vault any more".to_owned()))?;
            let mut work = Change { vault: self, desk: &desk, line, shelf };
            let done = change(&mut work);
            desk.show(work.shelf);
            self.note(&desk);
            done
        });
        done.map_err(|fault| {
            if fault.is_lost_connection() {
                self.forget(&desk);
            }
            fault.into_vault_error()
        })
    }

    /// A connection that answered just now.
    fn fresh_desk(&self) -> Result<Arc<Desk>, VaultError> {
        let desk = self.desk()?;
        if desk.connection.probe().is_ok() {
            return Ok(desk);
        }
        self.forget(&desk);
        Ok(self.desk()?)
    }
}

impl Change<'_> {
    /// Whether a new key may come to a place; the place is cleared of what has no record.
    fn prepare(&self, place: &KeyPlace, algorithm: KeyAlgorithm) -> Result<Vec<Attribute>, Fault> {
        if !matches!(algorithm, KeyAlgorithm::Tdes | KeyAlgorithm::Aes256) {
            return Err(VaultError::lacks(BACKEND, algorithm).into());
        }
        self.shelf.keys.check_new(&self.shelf.levels, place, algorithm)?;
        self.line.clear(place)?;
        Ok(template(place, algorithm, self.vault.settings.export, &self.shelf.levels))
    }

    /// Keeps a key that has come into the token, or sends it away again.
    fn keep(&mut self, new: &Newcomer) -> Result<KeyInfo, Fault> {
        let before = self.shelf.clone();
        let kept = self.try_keep(new);
        if let Err(fault) = &kept {
            self.shelf = before;
            // When the line broke, nobody knows whether the record was written: the next reading tells.
            if !fault.is_lost_connection() {
                let _ = self.line.clear(&new.place);
            }
        }
        kept
    }

    fn try_keep(&mut self, new: &Newcomer) -> Result<KeyInfo, Fault> {
        let Newcomer { place, algorithm, state, handle, expected } = *new;
        let kcv = self.line.kcv(&self.vault.settings.mechanisms, handle, algorithm)?;
        if let Some(expected) = expected
            && expected != kcv
        {
            return Err(VaultError::WrongKcv { key: place.key, expected, found: kcv }.into());
        }
        let before = self.shelf.keys.clone();
        let entry = Entry { place, algorithm, state, kcv, value: Some(handle) };
        let info = entry.info(&self.shelf.levels, self.shelf.origin);
        self.shelf.keys.insert(&self.shelf.levels, entry)?;
        self.write(&place, |place| before.at(place).ok().map(|entry| entry.state))?;
        Ok(info)
    }

    /// Writes the record of a changed key: then the change has happened. The records of keys that it moved along
    /// follow, so that other readers see them, too; here the younger record decides.
    fn write(
        &mut self,
        changed: &KeyPlace,
        state_before: impl Fn(&KeyPlace) -> Option<KeyState>,
    ) -> Result<(), Fault> {
        let first = std::iter::once(self.shelf.keys.at(changed)?);
        let moved = self.shelf.keys.iter().filter(|entry| {
            entry.place != *changed && state_before(&entry.place).is_some_and(|state| state != entry.state)
        });
        let mut revision = self.shelf.revision;
        let records: Vec<_> = first
            .chain(moved)
            .map(|Entry { place, algorithm, state, kcv, .. }| {
                revision = revision.saturating_add(1);
                KeyRecord { revision, place: *place, algorithm: *algorithm, state: *state, kcv: *kcv }
            })
            .collect();
        self.shelf.revision = revision;
        for (at, record) in records.into_iter().enumerate() {
            let written = self.line.write_record(record);
            if at == 0 {
                written?;
            }
        }
        Ok(())
    }

    fn import(&mut self, key: &ImportedKey) -> Result<KeyInfo, Fault> {
        let ImportedKey { place, state, value, kcv } = key;
        let (algorithm, own) = (value.algorithm(), value.kcv());
        if let Some(expected) = *kcv
            && expected != own
        {
            return Err(VaultError::WrongKcv { key: place.key, expected, found: own }.into());
        }
        let mut template = self.prepare(place, algorithm)?;
        template.push(Attribute::Value(value.expose().to_vec()));
        let handle = self.line.create(template)?;
        self.keep(&Newcomer { place: *place, algorithm, state: *state, handle, expected: Some(own) })
    }

    fn import_wrapped(&mut self, wrapped: &WrappedKey, transport: KeyRef) -> Result<KeyInfo, Fault> {
        let WrappedKey { place, algorithm, state, kcv, transport_kcv, ref cryptogram } = *wrapped;
        let under = self.shelf.keys.centre_key_of(transport, KeyKind::KeyTransport, Use::Compute)?.clone();
        if under.kcv != transport_kcv {
            let (expected, found) = (transport_kcv, under.kcv);
            return Err(VaultError::WrongKcv { key: transport, expected, found }.into());
        }
        if under.algorithm != KeyAlgorithm::Aes256 {
            let transport_key = self.desk.hatch.take(self.line, &self.vault.settings.mechanisms, &under)?;
            let value = transport::decipher(cryptogram, algorithm, &transport_key);
            let value = value.ok_or_else(|| wrapped.changed())?;
            return self.import(&ImportedKey { place, state, value, kcv: Some(kcv) });
        }
        let template = self.prepare(&place, algorithm)?;
        let (calls, session) = (&self.line.module.calls, self.line.session);
        let wrap = self.vault.settings.mechanisms.wrap;
        let handle =
            calls.unwrap(session, wrap, handle_of(&under)?, cryptogram, &template).map_err(|error| {
                match error {
                    Error::Pkcs11(code, _) if is_refusal(code) => wrapped.changed().into(),
                    error => Fault::Token(error),
                }
            })?;
        self.keep(&Newcomer { place, algorithm, state, handle, expected: Some(kcv) })
    }

    /// The root key of a seed as an object of `template`, to the bit, without leaving the token: derived as bytes,
    /// which get no parity, and brought to its type by wrapping and unwrapping under a key that nobody knows. A token
    /// that does not do this derives a key with odd parity.
    fn root_of(
        &self,
        seed: ObjectHandle,
        key: KeyRef,
        template: &[Attribute],
    ) -> Result<ObjectHandle, Fault> {
        let (calls, session) = (&self.line.module.calls, self.line.session);
        let mechanisms = &self.vault.settings.mechanisms;
        let data = spread(&root_factor(key));
        let passing = |own: [Attribute; 4]| {
            let common = [Attribute::Token(false), Attribute::Private(true), Attribute::Sensitive(true)];
            [common.as_slice(), own.as_slice()].concat()
        };
        let bytes = passing([
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::ValueLen(16.into()),
            Attribute::Extractable(true),
        ]);
        let passage = passing([
            Attribute::ValueLen(32.into()),
            Attribute::Extractable(false),
            Attribute::Wrap(true),
            Attribute::Unwrap(true),
        ]);
        let bytes = calls.derive(session, mechanisms.derive, seed, &data, &bytes);
        let passage = calls.generate(session, mechanisms.generate_aes, &passage);
        let through = |bytes, passage| {
            let wrapped = calls.wrap(session, mechanisms.wrap, passage, bytes)?;
            calls.unwrap(session, mechanisms.wrap, passage, &wrapped, template)
        };
        let root = match (&bytes, &passage) {
            (Ok(bytes), Ok(passage)) => through(*bytes, *passage).ok(),
            _ => None,
        };
        for object in [bytes, passage].into_iter().flatten() {
            session.destroy_object(object)?;
        }
        match root {
            Some(root) => Ok(root),
            None => Ok(calls.derive(session, mechanisms.derive, seed, &data, template)?),
        }
    }
}

impl KeyManagement for HsmVault {
    /// The token draws the key; `rng` is not asked.
    fn generate(
        &self,
        place: KeyPlace,
        algorithm: KeyAlgorithm,
        _rng: &mut dyn Rng,
    ) -> Result<KeyInfo, VaultError> {
        self.change(|change| {
            let mut template = change.prepare(&place, algorithm)?;
            let mechanism = match algorithm {
                KeyAlgorithm::Aes256 => {
                    template.push(Attribute::ValueLen(32.into()));
                    self.settings.mechanisms.generate_aes
                }
                _ => self.settings.mechanisms.generate,
            };
            let handle = change.line.module.calls.generate(change.line.session, mechanism, &template)?;
            let state = KeyState::Generated;
            change.keep(&Newcomer { place, algorithm, state, handle, expected: None })
        })
    }

    fn import(&self, key: ImportedKey) -> Result<KeyInfo, VaultError> {
        self.change(|change| change.import(&key))
    }

    fn derive_root(&self, seed: KeyRef, key: KeyRef) -> Result<KeyInfo, VaultError> {
        self.change(|change| {
            let seed = handle_of(change.shelf.keys.centre_key_of(seed, KeyKind::Seed, Use::Compute)?)?;
            let (place, algorithm) = (KeyPlace::root(key), KeyAlgorithm::Tdes);
            let template = change.prepare(&place, algorithm)?;
            let handle = change.root_of(seed, key, &template)?;
            let state = KeyState::Generated;
            change.keep(&Newcomer { place, algorithm, state, handle, expected: None })
        })
    }

    fn change_state(&self, place: &KeyPlace, to: KeyState) -> Result<(), VaultError> {
        self.change(|change| {
            let before = change.shelf.clone();
            change.shelf.keys.change_state(place, to)?;
            let state_before = |place: &KeyPlace| before.keys.at(place).ok().map(|entry| entry.state);
            if let Err(fault) = change.write(place, state_before) {
                change.shelf = before;
                return Err(fault);
            }
            if to == KeyState::Destroyed {
                change.line.clear(place)?;
            }
            Ok(())
        })
    }

    fn wrap(&self, place: &KeyPlace, transport: KeyRef) -> Result<WrappedKey, VaultError> {
        self.with(|desk, line| {
            let shelf = desk.shelf();
            let value = |entry| desk.hatch.take(line, &self.settings.mechanisms, entry);
            let keys = &shelf.keys;
            let under = keys.centre_key_of(transport, KeyKind::KeyTransport, Use::Write)?;
            let entry = keys.leaving(place, transport)?;
            let cryptogram = match under.algorithm {
                KeyAlgorithm::Aes256 => {
                    let (calls, session) = (&line.module.calls, line.session);
                    let wrap = self.settings.mechanisms.wrap;
                    let wrapped = calls.wrap(session, wrap, handle_of(under)?, handle_of(entry)?);
                    wrapped.map_err(|error| stays_inside(place, error))?
                }
                algorithm => transport::encipher(&value(entry)?, &value(under)?)
                    .ok_or_else(|| VaultError::lacks(BACKEND, algorithm))?,
            };
            Ok(WrappedKey {
                place: *place,
                algorithm: entry.algorithm,
                state: entry.state,
                kcv: entry.kcv,
                transport_kcv: under.kcv,
                cryptogram,
            })
        })
    }

    fn import_wrapped(&self, wrapped: &WrappedKey, transport: KeyRef) -> Result<KeyInfo, VaultError> {
        self.change(|change| change.import_wrapped(wrapped, transport))
    }

    /// The token is read once for all of them.
    fn import_all_wrapped(
        &self,
        wrapped: &[&WrappedKey],
        transport: KeyRef,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<KeyInfo>, (usize, VaultError)> {
        let mut taken = Vec::with_capacity(wrapped.len());
        let done = self.change(|change| {
            for key in wrapped {
                taken.push(match change.shelf.keys.at(&key.place) {
                    Ok(known) if known.kcv == key.kcv => {
                        known.info(&change.shelf.levels, change.shelf.origin)
                    }
                    _ => change.import_wrapped(key, transport)?,
                });
                progress(taken.len(), wrapped.len());
            }
            Ok(())
        });
        match done {
            Ok(()) => Ok(taken),
            Err(error) => Err((taken.len(), error)),
        }
    }
}

/// Whether a token says by this that a wrapped key is none: modules have several words for it.
fn is_refusal(code: RvError) -> bool {
    use RvError::{
        DataInvalid, DataLenRange, EncryptedDataInvalid, EncryptedDataLenRange, FunctionFailed, GeneralError,
        WrappedKeyInvalid, WrappedKeyLenRange,
    };
    matches!(
        code,
        DataInvalid
            | DataLenRange
            | EncryptedDataInvalid
            | EncryptedDataLenRange
            | FunctionFailed
            | GeneralError
            | WrappedKeyInvalid
            | WrappedKeyLenRange
    )
}
