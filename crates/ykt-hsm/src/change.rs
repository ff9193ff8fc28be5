//! A change of the keys in the token. Keys come first, and are none yet; then the notes are written that make them keys
//! ([`crate::ledger`]). What fails before the last of these is undone here, and what a cut leaves is cleared when keys
//! are next changed.

use crate::connection::Line;
use crate::derived::spread;
use crate::fault::Fault;
use crate::ledger::{self, Plan};
use crate::objects::{Shelf, handle_of, template};
use crate::record::id;
use crate::settings::{Mechanisms, Settings};
use crate::vault::{Desk, HsmVault};
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use std::sync::Arc;
use ykt_base::Rng;
use ykt_vault::backend::{Change, Draft, Newcomer, Work};
use ykt_vault::manage::root_factor;
use ykt_vault::table::Entry;
use ykt_vault::{KeyAlgorithm, KeyPlace, KeyRef, KeyValue, VaultError, WrappedKey, transport};

/// The token and its keys as they will be.
struct Drafted<'a> {
    settings: &'a Settings,
    desk: &'a Desk,
    line: &'a Line<'a>,
    shelf: Shelf,
    /// Objects that have come with this change.
    come: Vec<ObjectHandle>,
    /// Whether other processes can see that the token is being changed.
    is_open: bool,
}

impl HsmVault {
    /// Changes keys, one at a time. What others have changed in the token is read first. What fails is not tried again
    /// here, because whoever asked must learn that it failed.
    pub(crate) fn changed<T>(
        &self,
        work: impl FnOnce(&mut Work<'_, HsmVault>) -> Result<T, Fault>,
    ) -> Result<T, VaultError> {
        let _one_at_a_time = self.one_at_a_time();
        let desk = self.fresh_desk()?;
        let done = desk.connection.with(|line| {
            let before = line.read_again(&desk.shelf())?.ok_or_else(|| self.no_vault_any_more())?;
            let (settings, shelf) = (&self.settings, before.clone());
            let mut drafted =
                Drafted { settings, desk: &desk, line, shelf, come: Vec::new(), is_open: false };
            let done = drafted.clear_what_a_cut_left().and_then(|()| work(&mut drafted));
            let done = done.and_then(|done| drafted.keep(&before).map(|()| done));
            let closed = match &done {
                Ok(_) => drafted.close(),
                Err(fault) => {
                    drafted.shelf.keys = before.keys;
                    // When the line broke, nobody knows what was written: the next reading tells.
                    if !fault.is_lost_connection() {
                        drafted.undo();
                    }
                    Ok(())
                }
            };
            desk.show(drafted.shelf);
            self.note(&desk);
            done.and_then(|done| closed.map(|()| done))
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

impl Drafted<'_> {
    /// Clears what an import that was cut off has left, as this connection found it: what appears later may be another
    /// process's, at work.
    fn clear_what_a_cut_left(&mut self) -> Result<(), Fault> {
        let left = self.desk.take_left_by_a_cut();
        if left.is_empty() {
            return Ok(());
        }
        self.open()?;
        for left in left {
            // What cannot be cleared now is no key all the same.
            let _ = self.destroy(left);
        }
        Ok(())
    }

    /// Lets other processes see that the token is being changed: before the first object comes or goes, so that they
    /// look for what was left when this process does not come to its end.
    fn open(&mut self) -> Result<(), Fault> {
        if !self.is_open {
            self.line.write_latest(&mut self.shelf.ledger, 0)?;
            self.is_open = true;
        }
        Ok(())
    }

    /// The change is complete: the objects of destroyed keys go, and other processes can see that it is.
    fn close(&mut self) -> Result<(), Fault> {
        let condemned = self.shelf.ledger.condemned();
        condemned.into_iter().try_for_each(|key| self.destroy(key))?;
        if self.is_open {
            let revision = self.shelf.ledger.revision();
            // Without it the next change looks at the whole token.
            let _ = self.line.write_latest(&mut self.shelf.ledger, revision);
        }
        Ok(())
    }

    /// Keeps the change, or fails with what it has written noted as come.
    fn keep(&mut self, before: &Shelf) -> Result<(), Fault> {
        let Plan { decisive, following } =
            ledger::plan(&before.keys, &self.shelf.keys, self.shelf.ledger.revision());
        if !decisive.is_empty() {
            self.open()?;
        }
        for note in decisive {
            let handle = self.line.write(&mut self.shelf.ledger, note)?;
            self.come.push(handle);
        }
        // The change has happened. What cannot be written or removed now is outvoted by its revision.
        for note in following {
            let _ = self.line.write(&mut self.shelf.ledger, note);
        }
        for outdated in self.shelf.ledger.outdated() {
            let _ = self.destroy(outdated);
        }
        Ok(())
    }

    /// Sends away what has come, the youngest first: so the note that decides goes before what it decides about.
    fn undo(&mut self) {
        let come = std::mem::take(&mut self.come);
        if come.into_iter().rev().try_for_each(|come| self.destroy(come)).is_ok() {
            // Nothing has changed. Where that cannot be said, the next change looks at the whole token.
            let _ = self.close();
        }
    }

    fn destroy(&mut self, handle: ObjectHandle) -> Result<(), Fault> {
        self.line.destroy(&mut self.shelf.ledger, handle)
    }

    /// What a new key at this place looks like; a key that stands there without a record goes.
    fn prepare(&mut self, place: &KeyPlace, algorithm: KeyAlgorithm) -> Result<Vec<Attribute>, Fault> {
        self.open()?;
        for left_by_a_cut in self.shelf.ledger.keys_at(place) {
            self.destroy(left_by_a_cut)?;
        }
        Ok(template(place, algorithm, self.settings.export, &self.shelf.levels))
    }

    fn mechanisms(&self) -> &Mechanisms {
        &self.settings.mechanisms
    }

    /// A key has come into the token.
    fn come(
        &mut self,
        place: &KeyPlace,
        algorithm: KeyAlgorithm,
        held: ObjectHandle,
    ) -> Result<Newcomer<ObjectHandle>, Fault> {
        self.come.push(held);
        self.shelf.ledger.add_key(held.handle(), held, id(place));
        let kcv = self.line.kcv(self.mechanisms(), held, algorithm)?;
        Ok(Newcomer { algorithm, kcv, held })
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
        let mechanisms = self.mechanisms();
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

impl Change for Drafted<'_> {
    type Held = ObjectHandle;
    type Fault = Fault;

    fn draft(&mut self) -> Draft<'_, ObjectHandle> {
        let Shelf { origin, levels, keys, .. } = &mut self.shelf;
        Draft { origin: *origin, levels, keys }
    }

    /// The token draws the key itself.
    fn draw(
        &mut self,
        place: &KeyPlace,
        algorithm: KeyAlgorithm,
        _: &mut dyn Rng,
    ) -> Result<Newcomer<ObjectHandle>, Fault> {
        let mut template = self.prepare(place, algorithm)?;
        let mechanism = match algorithm {
            KeyAlgorithm::Aes256 => {
                template.push(Attribute::ValueLen(32.into()));
                self.mechanisms().generate_aes
            }
            _ => self.mechanisms().generate,
        };
        let handle = self.line.module.calls.generate(self.line.session, mechanism, &template)?;
        self.come(place, algorithm, handle)
    }

    fn store(&mut self, place: &KeyPlace, value: KeyValue) -> Result<Newcomer<ObjectHandle>, Fault> {
        let mut template = self.prepare(place, value.algorithm())?;
        template.push(Attribute::Value(value.expose().to_vec()));
        let handle = self.line.create(template)?;
        self.come(place, value.algorithm(), handle)
    }

    fn derive(&mut self, seed: &Entry<ObjectHandle>, key: KeyRef) -> Result<Newcomer<ObjectHandle>, Fault> {
        let (place, algorithm) = (KeyPlace::root(key), KeyAlgorithm::Tdes);
        let template = self.prepare(&place, algorithm)?;
        let handle = self.root_of(handle_of(seed)?, key, &template)?;
        self.come(&place, algorithm, handle)
    }

    fn unwrap(
        &mut self,
        wrapped: &WrappedKey,
        under: &Entry<ObjectHandle>,
    ) -> Result<Newcomer<ObjectHandle>, Fault> {
        let WrappedKey { place, algorithm, cryptogram, .. } = wrapped;
        if under.algorithm != KeyAlgorithm::Aes256 {
            let transport_key = self.desk.hatch.take(self.line, self.mechanisms(), under)?;
            let value = transport::decipher(cryptogram, *algorithm, &transport_key);
            return self.store(place, value.ok_or_else(|| wrapped.changed())?);
        }
        let template = self.prepare(place, *algorithm)?;
        let (calls, session) = (&self.line.module.calls, self.line.session);
        let unwrapped =
            calls.unwrap(session, self.mechanisms().wrap, handle_of(under)?, cryptogram, &template);
        let handle = unwrapped.map_err(|error| match error {
            Error::Pkcs11(code, _) if is_refusal(code) => wrapped.changed().into(),
            error => Fault::Token(error),
        })?;
        self.come(place, *algorithm, handle)
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
