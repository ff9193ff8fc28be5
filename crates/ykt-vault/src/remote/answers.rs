//! What was answered to the last orders, so that an order whose answer was lost is answered again and not done twice.
//!
//! An answer is forgotten when a later order touches keys of the same kind and index: from then on it describes a vault
//! that is no more, and the order must be judged by the one there is.

use super::ANSWERS_MAX;
use crate::error::VaultError;
use crate::kind::KeyKind;
use crate::manage::KeyManagement;
use crate::wire::{Answer, Frame, Order, OrderId};
use core::fmt;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use ykt_base::{KeyIndex, Rng};
use ykt_crypto::chain::{self, Hash32};

#[derive(Default)]
pub struct Answers(Mutex<VecDeque<Remembered>>);

struct Remembered {
    id: OrderId,
    digest: Hash32,
    families: BTreeSet<(KeyKind, KeyIndex)>,
    answer: Frame,
}

impl Answers {
    /// The answer to an order: the one it had, or a new one once it is carried out. Orders come one after the other: one
    /// that is sent again while its first copy is under way waits for its answer.
    pub fn to(
        &self,
        id: OrderId,
        order: Order,
        vault: &dyn KeyManagement,
        rng: &mut dyn Rng,
    ) -> (Frame, Fate) {
        let digest = chain::sm3(&[Frame::of(&order).as_bytes()]);
        let families = order.families();
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = remembered.iter().find(|known| known.id == id) {
            if known.digest == digest {
                return (known.answer.clone(), Fate::Repeated);
            }
            let reason = "this number was given to another order; begin anew".to_owned();
            return (Frame::of(&Answer::Refused(VaultError::NotAllowed { reason })), Fate::Refused);
        }
        let answer = order.carry_out(vault, rng);
        let fate = if matches!(answer, Answer::Refused(_) | Answer::RefusedAt(..)) {
            Fate::Refused
        } else {
            Fate::Done
        };
        let is_outage =
            matches!(&answer, Answer::Refused(why) | Answer::RefusedAt(_, why) if why.is_outage());
        let answer = Frame::of(&answer);
        if is_outage {
            return (answer, fate);
        }
        remembered.retain(|known| known.families.is_disjoint(&families));
        if remembered.len() >= ANSWERS_MAX {
            remembered.pop_front();
        }
        remembered.push_back(Remembered { id, digest, families, answer: answer.clone() });
        (answer, fate)
    }
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was carried out.
    Done,
    /// The vault refused it.
    Refused,
    /// It had been answered before and got the same answer.
    Repeated,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Fate::Done => "done",
            Fate::Refused => "refused",
            Fate::Repeated => "answered again",
        })
    }
}
