//! The signing pair of the software vault.

use super::SoftVault;
use crate::error::VaultError;
use crate::kind::{KeyState, Scheme};
use crate::manage::{KeyPlace, Signer};
use crate::value::KeyValue;
use crate::vault::KeyRef;
use std::sync::Arc;
use ykt_base::Rng;
use ykt_crypto::sm2::{PrivateKey, PublicKey, Signature, SignerId};

impl SoftVault {
    /// The pair of this name as a signer. It signs for as long as it is active: its state is looked at each time.
    ///
    /// # Errors
    /// [`VaultError`] when there is none that is active, or the key is no pair.
    pub fn signer(self: &Arc<Self>, key: KeyRef) -> Result<Arc<dyn Signer>, VaultError> {
        let public = self.with_pair(key, PrivateKey::public_key)?;
        Ok(Arc::new(SoftSigner { vault: Arc::clone(self), key, public }))
    }

    fn with_pair<T>(&self, key: KeyRef, with: impl FnOnce(&PrivateKey) -> T) -> Result<T, VaultError> {
        if key.kind.scheme() != Scheme::Pair {
            return Err(VaultError::WrongHolder { key });
        }
        let value = {
            let kept = self.kept();
            let stored = kept.keys.at(&KeyPlace::root(key))?;
            if stored.state != KeyState::Active {
                return Err(VaultError::WrongState { key, state: stored.state });
            }
            stored.value.clone()
        };
        match value.as_deref() {
            Some(KeyValue::Sm2(pair)) => Ok(with(pair)),
            _ => Err(VaultError::WrongHolder { key }),
        }
    }
}

struct SoftSigner {
    vault: Arc<SoftVault>,
    key: KeyRef,
    public: PublicKey,
}

impl Signer for SoftSigner {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, parts: &[&[u8]], rng: &mut dyn Rng) -> Result<Signature, VaultError> {
        self.vault.with_pair(self.key, |pair| pair.sign(SignerId::DEFAULT, parts, rng))
    }
}
