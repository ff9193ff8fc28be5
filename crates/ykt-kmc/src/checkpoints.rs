//! Checkpoints of the audit log, signed by the centre's pair (`keys-and-ca.md` 8). The office keeps the log and knows
//! when a checkpoint is due; the centre has the key.

use crate::Centre;
use std::sync::Arc;
use ykt_base::{DateTime, Rng};
use ykt_crypto::sm2::{PublicKey, Signature};
use ykt_office::audit::checkpoint;
use ykt_office::audit::{Checkpoint, CheckpointError, CheckpointSigner, SignerGone};
use ykt_vault::Signer;

/// A signing pair of a vault as the audit log asks for it.
pub struct AuditSigner(pub Arc<dyn Signer>);

impl CheckpointSigner for AuditSigner {
    fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    fn sign(&self, message: &[u8], rng: &mut dyn Rng) -> Result<Signature, SignerGone> {
        self.0.sign(&[message], rng).map_err(|error| SignerGone(error.to_string()))
    }
}

impl Centre {
    /// Signs a checkpoint over all of the audit log, or answers the one that covers it already; `None` when the log is
    /// empty, or there is no pair to sign with yet.
    ///
    /// # Errors
    /// [`CheckpointError`] when database or vault do not answer.
    pub fn checkpoint(
        &self,
        now: DateTime,
        rng: &mut dyn Rng,
    ) -> Result<Option<Checkpoint>, CheckpointError> {
        let Some(signer) = &self.signer else { return Ok(None) };
        checkpoint::make(&self.store, &AuditSigner(Arc::clone(signer)), now, rng)
    }

    /// The same when one is due: after a thousand records, and when a day has ended.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn checkpoint_if_due(
        &self,
        now: DateTime,
        rng: &mut dyn Rng,
    ) -> Result<Option<Checkpoint>, CheckpointError> {
        if self.store.read(|tx| checkpoint::is_due(tx, now))? { self.checkpoint(now, rng) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ykt_office::Act;
    use ykt_office::audit::{self, ChainReport, Outcome};
    use ykt_store::{Store, StoreError};
    use ykt_vault::{
        KeyAlgorithm, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, Levels, Origin, SoftVault,
    };

    struct Count(u8);

    impl Rng for Count {
        fn fill(&mut self, out: &mut [u8]) {
            for byte in out {
                self.0 = self.0.wrapping_mul(5).wrapping_add(7);
                *byte = self.0;
            }
        }
    }

    #[test]
    fn the_pair_of_the_centre_signs_when_a_day_has_ended() {
        let store = Store::in_memory(&[ykt_office::MODULE]).unwrap();
        let vault = Arc::new(SoftVault::empty(Levels::nation_city_card(), Origin::Demo));
        let place = KeyPlace::root(KeyRef::new(KeyKind::Signing, 1, 1));
        vault.generate(place, KeyAlgorithm::Sm2, &mut Count(1)).unwrap();
        vault.change_state(&place, KeyState::Active).unwrap();
        let signer = vault.signer(place.key).ok();
        let today: DateTime = "20261122120000".parse().unwrap();
        let tomorrow: DateTime = "20261123000000".parse().unwrap();
        let act = Act::of_system("test", today);
        let write = |tx: &ykt_store::Tx<'_>| audit::append(tx, &act, "test", "", Outcome::Done, "");
        store.write(write).unwrap();
        let mut centre = Centre::new(store.clone(), vault.clone(), None);
        assert_eq!(centre.checkpoint(tomorrow, &mut Count(1)).unwrap(), None, "no pair yet");
        centre.signer = signer;
        assert_eq!(centre.checkpoint_if_due(today, &mut Count(1)).unwrap(), None);
        let made = centre.checkpoint_if_due(tomorrow, &mut Count(1)).unwrap().unwrap();
        assert!(made.is_signed() && made.records == 1);
        let report: Result<ChainReport, StoreError> = store.read(audit::verify);
        assert!(matches!(report.unwrap(), ChainReport::Whole { covered: 1, .. }));
        store.write(write).unwrap();
        vault.change_state(&place, KeyState::Retired).unwrap();
        let gone = centre.checkpoint(tomorrow, &mut Count(1)).unwrap_err();
        assert!(matches!(gone, CheckpointError::Signer(_)), "{gone}");
    }
}
