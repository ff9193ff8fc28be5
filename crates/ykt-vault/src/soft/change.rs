//! A change of the software vault's keys: made on a copy of the table, which is kept before it is seen.

use super::Keys;
use crate::backend::{Change, Draft, Newcomer};
use crate::error::VaultError;
use crate::kind::Origin;
use crate::levels::Levels;
use crate::manage::{KeyPlace, WrappedKey, root_factor};
use crate::table::Entry;
use crate::transport;
use crate::value::{KeyAlgorithm, KeyValue};
use crate::vault::KeyRef;
use std::sync::Arc;
use ykt_base::Rng;
use ykt_crypto::CardKey;

/// The keys as they will be.
pub(super) struct Drafted<'a> {
    pub(super) origin: Origin,
    pub(super) levels: &'a Levels,
    pub(super) keys: Keys,
}

impl Change for Drafted<'_> {
    type Held = Arc<KeyValue>;
    type Fault = VaultError;

    fn draft(&mut self) -> Draft<'_, Self::Held> {
        Draft { origin: self.origin, levels: self.levels, keys: &mut self.keys }
    }

    fn draw(
        &mut self,
        _: &KeyPlace,
        algorithm: KeyAlgorithm,
        rng: &mut dyn Rng,
    ) -> Result<Newcomer<Self::Held>, VaultError> {
        Ok(come(KeyValue::generate(algorithm, rng)))
    }

    fn store(&mut self, _: &KeyPlace, value: KeyValue) -> Result<Newcomer<Self::Held>, VaultError> {
        Ok(come(value))
    }

    fn derive(&mut self, seed: &Entry<Self::Held>, key: KeyRef) -> Result<Newcomer<Self::Held>, VaultError> {
        match super::stored(seed)?.diversify(&root_factor(key)) {
            CardKey::Sm4(value) => Ok(come(KeyValue::Sm4(value))),
            CardKey::Tdes(value) => Ok(come(KeyValue::Tdes(value))),
            CardKey::Des(_) => Err(VaultError::WrongHolder { key }),
        }
    }

    fn unwrap(
        &mut self,
        wrapped: &WrappedKey,
        under: &Entry<Self::Held>,
    ) -> Result<Newcomer<Self::Held>, VaultError> {
        let value = transport::decipher(&wrapped.cryptogram, wrapped.algorithm, super::held(under)?);
        value.map(come).ok_or_else(|| wrapped.changed())
    }
}

fn come(value: KeyValue) -> Newcomer<Arc<KeyValue>> {
    Newcomer { algorithm: value.algorithm(), kcv: value.kcv(), held: Arc::new(value) }
}
