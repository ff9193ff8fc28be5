//! TACs in masses: a clearing day has a million, and nearly all stand under a handful of city keys.
//!
//! The round keys of each key directly above the cards are made once and kept; a job then costs one
//! diversification and one MAC. Keys on their way to cards come from the same round keys.

use crate::vault::{CardKeyRef, KeyRef, MacVerdict, Receipt, TacJob, TacVerdict};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use ykt_base::{IssuerFactor, Mac4};
use ykt_crypto::{CardKey, SessionKey, Tdes};
use ykt_purse::{load, purchase};

/// Most keys directly above the cards whose round keys are kept ready.
const READY_KEYS_MAX: usize = 4_096;

/// Which key, of which issuer.
type Place = (KeyRef, IssuerFactor);

/// Round keys of the keys directly above the cards.
#[derive(Default)]
pub(crate) struct ReadyKeys(RwLock<BTreeMap<Place, Arc<AboveCards>>>);

/// A key directly above the cards, ready for use.
#[expect(clippy::large_enum_variant, reason = "each stands alone behind an Arc, and nearly all are 3DES")]
pub(crate) enum AboveCards {
    /// 3DES with its round keys made.
    Tdes(Tdes),
    /// A key of another algorithm.
    Other(CardKey),
}

impl AboveCards {
    /// The key of one card.
    pub(crate) fn diversify(&self, factor: &[u8; 8]) -> CardKey {
        match self {
            AboveCards::Tdes(key) => CardKey::Tdes(key.diversify(factor)),
            AboveCards::Other(key) => key.diversify(factor),
        }
    }
}

impl ReadyKeys {
    /// The round keys at this place, made from `key` when they are not there yet.
    pub(crate) fn above<E>(
        &self,
        place: Place,
        key: impl FnOnce() -> Result<CardKey, E>,
    ) -> Result<Arc<AboveCards>, E> {
        if let Some(ready) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&place) {
            return Ok(Arc::clone(ready));
        }
        let ready = Arc::new(match key()? {
            CardKey::Tdes(key) => AboveCards::Tdes(Tdes::new(&key)),
            key => AboveCards::Other(key),
        });
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= READY_KEYS_MAX {
            kept.clear();
        }
        kept.insert(place, Arc::clone(&ready));
        Ok(ready)
    }
}

/// Where the TAC key of a card comes from.
pub(crate) enum TacSource {
    /// Diversified from the key above, the same for every card of the issuer.
    Above(Arc<AboveCards>),
    /// The finished key of this one card.
    Finished(SessionKey),
}

/// Judges the jobs in their order; the source of a key is asked for again only when issuer or key change.
pub(crate) fn verify(jobs: &[TacJob], source: impl Fn(&CardKeyRef) -> Option<TacSource>) -> Vec<TacVerdict> {
    let mut last: Option<(Place, Arc<AboveCards>)> = None;
    let judge = |job: &TacJob| {
        let place = (job.key.key, job.key.factor);
        if last.as_ref().is_none_or(|(known, _)| *known != place) {
            match source(&job.key) {
                None => return TacVerdict::UnknownKeyVersion,
                Some(TacSource::Finished(key)) => return verdict(&key, job),
                Some(TacSource::Above(above)) => last = Some((place, above)),
            }
        }
        last.as_ref().map_or(TacVerdict::UnknownKeyVersion, |(_, above)| {
            verdict(&above.diversify(&job.key.asn.0).tac_key(), job)
        })
    };
    jobs.iter().map(judge).collect()
}

/// The verdict over one TAC by the card's TAC key.
pub(crate) fn verdict(key: &SessionKey, job: &TacJob) -> TacVerdict {
    match MacVerdict::of(&receipt_tac(key, &job.receipt), &job.tac) {
        MacVerdict::Right => TacVerdict::Right,
        MacVerdict::Wrong => TacVerdict::Wrong,
    }
}

fn receipt_tac(key: &SessionKey, receipt: &Receipt) -> Mac4 {
    match receipt {
        Receipt::Load { load, new_balance, counter, at } => load::tac(key, load, *new_balance, *counter, *at),
        Receipt::Purchase { purchase, sequence, at } => purchase::tac(key, purchase, *sequence, *at),
    }
}
