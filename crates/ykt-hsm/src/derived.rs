//! Keys between a stored one and a card, derived inside the token and kept there for the next card: a day's cards are
//! of a few cities. They are session objects of the keeper, sensitive and never extractable.

use crate::connection::Line;
use crate::fault::Fault;
use crate::objects::key_type;
use crate::settings::Mechanisms;
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use ykt_vault::{KeyAlgorithm, KeyPlace};

/// Most derived keys that are kept.
const DERIVED_KEYS_MAX: usize = 4_096;

type Kept = BTreeMap<KeyPlace, BTreeMap<Vec<[u8; 8]>, Arc<DerivedKey>>>;
type Bin = Arc<Mutex<Vec<ObjectHandle>>>;

/// The derived keys of one connection.
#[derive(Default)]
pub(crate) struct Derived {
    kept: RwLock<Kept>,
    /// Handles nobody uses any more: destroyed before the next derivation.
    bin: Bin,
}

/// A derived key: in use as long as somebody has it.
pub(crate) struct DerivedKey {
    handle: ObjectHandle,
    bin: Bin,
}

impl DerivedKey {
    pub(crate) fn handle(&self) -> ObjectHandle {
        self.handle
    }
}

impl Drop for DerivedKey {
    fn drop(&mut self) {
        self.bin.lock().unwrap_or_else(PoisonError::into_inner).push(self.handle);
    }
}

impl Derived {
    /// The key that `factors` lead to from the one stored at `place`; `None` when there is no factor, so that it is
    /// the stored one.
    pub(crate) fn key(
        &self,
        line: &Line<'_>,
        mechanisms: &Mechanisms,
        (place, stored): (&KeyPlace, ObjectHandle),
        factors: &[[u8; 8]],
    ) -> Result<Option<Arc<DerivedKey>>, Fault> {
        let Some((last, before)) = factors.split_last() else { return Ok(None) };
        if let Some(known) = self.known(place, factors) {
            return Ok(Some(known));
        }
        let above = self.key(line, mechanisms, (place, stored), before)?;
        let base = above.as_ref().map_or(stored, |above| above.handle);
        let handle = self.derive(line, mechanisms, base, last)?;
        let key = Arc::new(DerivedKey { handle, bin: Arc::clone(&self.bin) });
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.values().map(BTreeMap::len).sum::<usize>() >= DERIVED_KEYS_MAX {
            kept.clear();
        }
        kept.entry(*place).or_default().insert(factors.to_vec(), Arc::clone(&key));
        Ok(Some(key))
    }

    /// Forgets them all: the vault's keys have changed.
    pub(crate) fn forget(&self) {
        self.kept.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn known(&self, place: &KeyPlace, factors: &[[u8; 8]]) -> Option<Arc<DerivedKey>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.get(place)?.get(factors).map(Arc::clone)
    }

    fn derive(
        &self,
        line: &Line<'_>,
        mechanisms: &Mechanisms,
        base: ObjectHandle,
        factor: &[u8; 8],
    ) -> Result<ObjectHandle, Fault> {
        let unused = std::mem::take(&mut *self.bin.lock().unwrap_or_else(PoisonError::into_inner));
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(key_type(KeyAlgorithm::Tdes)),
            Attribute::Token(false),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Derive(true),
        ];
        let data = spread(factor);
        line.connection.beside_keeper(|keeper| {
            for handle in unused {
                keeper.destroy_object(handle)?;
            }
            Ok(line.module.calls.derive(keeper, mechanisms.derive, base, &data, &template)?)
        })
    }
}

/// X || NOT X: enciphered under the key above, the key of X (`epurse.md` 1.1).
pub(crate) fn spread(factor: &[u8; 8]) -> [u8; 16] {
    let mut data = [0; 16];
    let (left, right) = data.split_at_mut(factor.len());
    left.copy_from_slice(factor);
    right.copy_from_slice(&factor.map(|byte| !byte));
    data
}
