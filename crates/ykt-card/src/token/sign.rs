//! HASH and SIGN: a message as a whole, block by block, or as the digest a terminal computed; and VERIFY SIGNATURE.
//!
//! Rights and PIN are asked for when hashing begins and again when the signature is made.

use super::key_pair::Signer;
use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::memory::Memory;
use crate::session::Pending;
use ykt_base::{Rng, StatusWord};
use ykt_crypto::chain::Hash32;
use ykt_crypto::sm2::{Hasher, PUBLIC_KEY_LEN, PublicKey, Signature, SignerId};
use ykt_purse::token::{KeyPairId, Purpose, SignCommand, VerifySignature};

/// A message of which blocks came.
pub(crate) struct PendingDigest {
    key: KeyPairId,
    hasher: Hasher,
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6901 for a further block without the ones before, or with another key pair; those of [`Card::signer`].
    #[inline(never)]
    pub(super) fn sign(
        &mut self,
        rng: &mut dyn Rng,
        command: SignCommand<'_>,
        pending: Option<PendingDigest>,
    ) -> Outcome {
        match command {
            SignCommand::HashFirst(key, block) => {
                let mut hasher = begin(&self.signer(key, Purpose::Sign)?);
                hasher.update(block);
                self.session.pending = Some(Pending::Digest(PendingDigest { key, hasher }));
                done()
            }
            SignCommand::HashNext(key, block) => {
                let mut hasher = underway(key, pending)?;
                hasher.update(block);
                self.session.pending = Some(Pending::Digest(PendingDigest { key, hasher }));
                done()
            }
            SignCommand::Message(key, message) => {
                let mut hasher = begin(&self.signer(key, Purpose::Sign)?);
                hasher.update(message);
                self.sign_digest(rng, key, hasher.finish())
            }
            SignCommand::Last(key, block) => {
                let mut hasher = underway(key, pending)?;
                hasher.update(block);
                self.sign_digest(rng, key, hasher.finish())
            }
            SignCommand::Digest(key, digest) => self.sign_digest(rng, key, Hash32(digest)),
        }
    }

    #[inline(never)]
    fn sign_digest(&mut self, rng: &mut dyn Rng, key: KeyPairId, digest: Hash32) -> Outcome {
        let signer = self.signer(key, Purpose::Sign)?;
        let signature = signer.private.sign_digest(&digest, rng);
        self.session.spend_pin();
        self.answer(signature.as_bytes())
    }
}

fn begin(signer: &Signer) -> Hasher {
    Hasher::new(SignerId::DEFAULT, &signer.public)
}

/// # Errors
/// 6901 when no message of this key pair is under way.
fn underway(key: KeyPairId, pending: Option<PendingDigest>) -> Result<Hasher, StatusWord> {
    let pending = pending.filter(|pending| pending.key == key);
    pending.map(|pending| pending.hasher).ok_or(StatusWord::NOT_INITIALIZED)
}

/// # Errors
/// 6A80 for a point that is not on the curve, 6300 for a wrong signature.
pub(super) fn verify(command: &VerifySignature<'_>) -> Outcome {
    let mut point = [0x04; PUBLIC_KEY_LEN];
    point[1..].copy_from_slice(command.public);
    let public = PublicKey::from_bytes(point).ok_or(StatusWord::WRONG_DATA)?;
    if public.verify_digest(&Hash32(*command.digest), &Signature(*command.signature)) {
        done()
    } else {
        Err(StatusWord::VERIFICATION_FAILED)
    }
}
