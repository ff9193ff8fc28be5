//! A vault behind a switch: how everybody who asks one behaves while it is gone is a matter of their own tests.

use crate::error::VaultError;
use crate::kind::KeyState;
use crate::manage::{ImportedKey, KeyManagement, KeyPlace, WrappedKey};
use crate::soft::SoftVault;
use crate::value::KeyAlgorithm;
use crate::vault::{
    Health, KeyAddress, KeyInfo, KeyRef, LoadSession, MacVerdict, PresetJob, SecureMessage, TacJob,
    TacVerdict, Vault, VaultStatus, WriteKeyJob,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use ykt_base::{DateTime, Mac4, Rng};
use ykt_crypto::sm::CommandBytes;
use ykt_purse::PurseFen;
use ykt_purse::load::Load;

/// A software vault that can be gone.
pub struct Switched {
    vault: Arc<SoftVault>,
    is_gone: AtomicBool,
}

impl Switched {
    /// A vault that is there.
    #[must_use]
    pub const fn new(vault: Arc<SoftVault>) -> Switched {
        Switched { vault, is_gone: AtomicBool::new(false) }
    }

    /// From now on every call is answered with [`VaultError::Unavailable`].
    pub fn cut(&self) {
        self.is_gone.store(true, Ordering::SeqCst);
    }

    /// From now on it answers again.
    pub fn mend(&self) {
        self.is_gone.store(false, Ordering::SeqCst);
    }

    fn ask(&self) -> Result<&SoftVault, VaultError> {
        if self.is_gone.load(Ordering::SeqCst) {
            let (backend, reason) = ("switched".to_owned(), "the line is cut".to_owned());
            return Err(VaultError::Unavailable { backend, reason });
        }
        Ok(&self.vault)
    }
}

impl Vault for Switched {
    fn status(&self) -> VaultStatus {
        let health = match self.ask() {
            Ok(_) => Health::Ready,
            Err(error) => Health::Gone { reason: error.to_string() },
        };
        VaultStatus { health, ..self.vault.status() }
    }

    fn list(&self) -> Result<Vec<KeyInfo>, VaultError> {
        self.ask()?.list()
    }

    fn kcv(&self, key: &KeyAddress) -> Result<[u8; 3], VaultError> {
        self.ask()?.kcv(key)
    }

    fn write_key(&self, job: &WriteKeyJob<'_>) -> Result<CommandBytes, VaultError> {
        self.ask()?.write_key(job)
    }

    fn preset(&self, job: &PresetJob) -> Result<CommandBytes, VaultError> {
        self.ask()?.preset(job)
    }

    fn external_authenticate(&self, key: &KeyAddress, challenge: [u8; 8]) -> Result<[u8; 8], VaultError> {
        self.ask()?.external_authenticate(key, challenge)
    }

    fn sm_mac(&self, key: &KeyAddress, iv: [u8; 8], parts: &[&[u8]]) -> Result<Mac4, VaultError> {
        self.ask()?.sm_mac(key, iv, parts)
    }

    fn secure_message(&self, message: &SecureMessage<'_>) -> Result<CommandBytes, VaultError> {
        self.ask()?.secure_message(message)
    }

    fn check_load_mac1(
        &self,
        session: &LoadSession,
        load: &Load,
        balance: PurseFen,
        mac1: &Mac4,
    ) -> Result<MacVerdict, VaultError> {
        self.ask()?.check_load_mac1(session, load, balance, mac1)
    }

    fn load_mac2(&self, session: &LoadSession, load: &Load, at: DateTime) -> Result<Mac4, VaultError> {
        self.ask()?.load_mac2(session, load, at)
    }

    fn verify_tacs(&self, jobs: &[TacJob]) -> Result<Vec<TacVerdict>, VaultError> {
        self.ask()?.verify_tacs(jobs)
    }
}

impl KeyManagement for Switched {
    fn generate(
        &self,
        place: KeyPlace,
        algorithm: KeyAlgorithm,
        rng: &mut dyn Rng,
    ) -> Result<KeyInfo, VaultError> {
        self.ask()?.generate(place, algorithm, rng)
    }

    fn import(&self, key: ImportedKey) -> Result<KeyInfo, VaultError> {
        self.ask()?.import(key)
    }

    fn derive_root(&self, seed: KeyRef, key: KeyRef) -> Result<KeyInfo, VaultError> {
        self.ask()?.derive_root(seed, key)
    }

    fn change_state(&self, place: &KeyPlace, to: KeyState) -> Result<(), VaultError> {
        self.ask()?.change_state(place, to)
    }

    fn wrap(&self, place: &KeyPlace, transport: KeyRef) -> Result<WrappedKey, VaultError> {
        self.ask()?.wrap(place, transport)
    }

    fn import_wrapped(&self, wrapped: &WrappedKey, transport: KeyRef) -> Result<KeyInfo, VaultError> {
        self.ask()?.import_wrapped(wrapped, transport)
    }

    fn import_all_wrapped(
        &self,
        wrapped: &[&WrappedKey],
        transport: KeyRef,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<KeyInfo>, (usize, VaultError)> {
        self.ask().map_err(|error| (0, error))?.import_all_wrapped(wrapped, transport, progress)
    }
}
