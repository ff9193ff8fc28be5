//! Primary and backup (主备加密机): two vaults of any sort as one.
//!
//! One of them acts. When it does not answer, the other takes over and the question is put to it: questions change nothing,
//! so none is lost and none is answered twice. Orders are carried out by the acting vault and then brought to the other,
//! wrapped under a transport key both have; an order that got no answer is not repeated, since nobody knows whether it
//! was carried out.
//!
//! **The backup never gives a wrong answer.** It takes over only after a comparison by check values, states and
//! algorithms, and answers for no key that differed then or was changed since ([`Condition::Ready`]): such a question gets
//! [`VaultError::Unavailable`]. A vault that failed is compared again before it counts, and acts again only when
//! somebody says so.
//!
//! Questions hold no lock while a vault works. Orders, comparisons and replications take turns among themselves.

mod compare;
mod replicate;
mod standing;
#[cfg(test)]
mod tests;
mod vault;

pub use compare::Difference;
pub use replicate::{Refusal, Replication};
pub use standing::{
    Condition, MemberStanding, PairError, PairEvent, PairSink, Reason, Side, Standing, SwitchOver,
};

use crate::error::VaultError;
use crate::manage::KeyManagement;
use crate::vault::{Health, KeyRef};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use ykt_base::DateTime;

/// How often [`Pair::check`] should be called, in seconds.
pub const CHECK_INTERVAL_S: u64 = 5;
/// How often a check compares the two even when nothing happened, in seconds.
pub const COMPARE_INTERVAL_S: i64 = 300;
/// Most vaults one question is put to: both, and the first once more when the other was switched away meanwhile.
const ATTEMPTS_MAX: usize = 3;

/// Two vaults as one.
pub struct Pair {
    primary: Arc<dyn KeyManagement>,
    backup: Arc<dyn KeyManagement>,
    sink: Arc<dyn PairSink>,
    state: Mutex<State>,
    /// Held by whoever changes or compares the vaults; never by a question.
    managing: Mutex<()>,
}

/// Keys a vault does not answer for.
type Withheld = Arc<BTreeSet<KeyRef>>;

struct State {
    acting: Side,
    /// Counts switches: what was begun under an older number says nothing about the vault that acts now.
    switches: u64,
    /// Keys in which the acting vault differed when it took over.
    withheld: Withheld,
    /// Why the acting vault does not answer, when it does not and the other cannot take over.
    acting_fault: Option<String>,
    /// What is known of the other.
    other: Other,
    compared_at: Option<DateTime>,
}

/// What is known of the vault that does not act.
#[derive(Clone)]
enum Other {
    /// Compared, and answering when it was last asked.
    Ready { differs_in: Withheld },
    /// Not compared, since one of the two did not answer.
    Unknown { reason: String },
    /// It did not answer.
    Failed { reason: String },
    /// No backup of this vault.
    Unfit { reason: String },
}

/// Who acts, and since which switch.
#[derive(Clone)]
struct Turn {
    side: Side,
    switches: u64,
    withheld: Withheld,
}

impl Pair {
    /// A pair in which the primary acts.
    #[must_use]
    pub fn new(
        primary: Arc<dyn KeyManagement>,
        backup: Arc<dyn KeyManagement>,
        sink: Arc<dyn PairSink>,
    ) -> Pair {
        Pair::starting_with(Side::Primary, primary, backup, sink)
    }

    /// A pair in which this side acts, as it did when the last process ended. The two are compared at once; when
    /// that cannot be, the other is not eligible until a check has compared them.
    #[must_use]
    pub fn starting_with(
        acting: Side,
        primary: Arc<dyn KeyManagement>,
        backup: Arc<dyn KeyManagement>,
        sink: Arc<dyn PairSink>,
    ) -> Pair {
        let state = State {
            acting,
            switches: 0,
            withheld: Withheld::default(),
            acting_fault: None,
            other: Other::Unknown { reason: "not compared yet".to_owned() },
            compared_at: None,
        };
        let pair = Pair { primary, backup, sink, state: Mutex::new(state), managing: Mutex::default() };
        // What it found out is in the state.
        let _differences = pair.compare();
        pair
    }

    /// One of the two, as it is.
    #[must_use]
    pub fn member(&self, side: Side) -> &Arc<dyn KeyManagement> {
        match side {
            Side::Primary => &self.primary,
            Side::Backup => &self.backup,
        }
    }

    /// Which of them acts.
    #[must_use]
    pub fn acting(&self) -> Side {
        self.lock().acting
    }

    /// Lets the other one act.
    ///
    /// # Errors
    /// [`PairError::Refused`] when it does not answer; with [`SwitchOver::InStep`] also [`PairError::OutOfStep`].
    pub fn switch_over(&self, how: SwitchOver) -> Result<Side, PairError> {
        let differences = self.compare();
        let turn = self.turn();
        let to = turn.side.other();
        let withheld = match (how, differences) {
            (SwitchOver::InStep, Ok(differences)) if differences.is_empty() => Withheld::default(),
            (SwitchOver::InStep, Ok(differences)) => return Err(PairError::OutOfStep { to, differences }),
            (SwitchOver::InStep, Err(reason)) => return Err(PairError::Refused { to, reason }),
            // Whoever says so answers for its keys.
            (SwitchOver::AsItIs, _) => Withheld::default(),
        };
        if let Some(reason) = fault_of(&self.member(to).status().health) {
            let reason = VaultError::Unavailable { backend: to.name().to_owned(), reason };
            return Err(PairError::Refused { to, reason });
        }
        let mut state = self.lock();
        if state.switches == turn.switches {
            let other = match (&state.other, &state.acting_fault) {
                (_, Some(reason)) => Other::Failed { reason: reason.clone() },
                (Other::Ready { .. }, None) => Other::Ready { differs_in: Withheld::default() },
                (other, None) => other.clone(),
            };
            state.switch(withheld, other);
            drop(state);
            self.tell(&PairEvent::Switched { from: turn.side, to, reason: Reason::ByHand });
        }
        Ok(to)
    }

    /// Looks after the health of both; to be called every [`CHECK_INTERVAL_S`].
    ///
    /// An acting vault that does not answer is left for the other, when that may take over. A vault that answers again is
    /// compared, and stands by from then on.
    pub fn check(&self, now: DateTime) {
        let turn = self.turn();
        let health = |side| fault_of(&self.member(side).status().health);
        if let Some(reason) = health(turn.side) {
            self.fails(&turn, &reason);
            return;
        }
        let was_faulty = self.lock().acting_fault.take().is_some();
        if was_faulty {
            self.tell(&PairEvent::Back { side: turn.side });
        }
        let other = turn.side.other();
        if let Some(reason) = health(other) {
            let mut state = self.lock();
            let stood_by = !matches!(state.other, Other::Failed { .. });
            if state.switches == turn.switches && stood_by {
                state.other = Other::Failed { reason: reason.clone() };
                drop(state);
                self.tell(&PairEvent::Failed { side: other, reason });
            }
            return;
        }
        let state = self.lock();
        let is_due =
            state.compared_at.and_then(|at| at.plus_seconds(COMPARE_INTERVAL_S)).is_none_or(|due| due <= now);
        let is_open = !matches!(state.other, Other::Ready { .. });
        drop(state);
        if is_due || is_open {
            // What it found out is in the state.
            let _differences = self.compare();
            self.lock().compared_at = Some(now);
        }
    }

    /// Puts a question to the acting vault, and to the other when that one does not answer. `differs` names a key
    /// among those withheld that the question needs.
    fn ask<T>(
        &self,
        differs: impl Fn(&BTreeSet<KeyRef>) -> Option<KeyRef>,
        question: impl Fn(&dyn KeyManagement) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let mut turn = self.turn();
        for _ in 0..ATTEMPTS_MAX {
            if let Some(key) = differs(&turn.withheld) {
                return Err(out_of_step(turn.side, key));
            }
            match question(&**self.member(turn.side)) {
                Err(error) if error.is_outage() => match self.fails(&turn, &error.to_string()) {
                    Some(next) => turn = next,
                    None => return Err(error),
                },
                answered => return answered,
            }
        }
        let reason = "it was switched over again and again while the question waited".to_owned();
        Err(VaultError::Unavailable { backend: "pair".to_owned(), reason })
    }

    /// The vault of this turn does not answer: whose turn it is now, or `None` when nobody can take over.
    fn fails(&self, turn: &Turn, reason: &str) -> Option<Turn> {
        let mut state = self.lock();
        if state.switches != turn.switches {
            return Some(state.turn());
        }
        let Other::Ready { differs_in } = &state.other else {
            let is_news = state.acting_fault.replace(reason.to_owned()).is_none();
            drop(state);
            if is_news {
                self.tell(&PairEvent::Failed { side: turn.side, reason: reason.to_owned() });
            }
            return None;
        };
        let withheld = Arc::clone(differs_in);
        state.switch(withheld, Other::Failed { reason: reason.to_owned() });
        let next = state.turn();
        drop(state);
        self.tell(&PairEvent::Failed { side: turn.side, reason: reason.to_owned() });
        let reason = Reason::Failure(reason.to_owned());
        self.tell(&PairEvent::Switched { from: turn.side, to: next.side, reason });
        Some(next)
    }

    fn turn(&self) -> Turn {
        self.lock().turn()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn manage(&self) -> MutexGuard<'_, ()> {
        self.managing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: &PairEvent) {
        self.sink.happened(event);
    }
}

impl State {
    fn turn(&self) -> Turn {
        Turn { side: self.acting, switches: self.switches, withheld: Arc::clone(&self.withheld) }
    }

    fn switch(&mut self, withheld: Withheld, other: Other) {
        self.acting = self.acting.other();
        self.switches = self.switches.wrapping_add(1);
        self.withheld = withheld;
        self.acting_fault = None;
        self.other = other;
    }
}

/// Why a vault of this health does not answer.
fn fault_of(health: &Health) -> Option<String> {
    match health {
        Health::Ready => None,
        Health::Locked => Some("it is locked".to_owned()),
        Health::Gone { reason } => Some(reason.clone()),
    }
}

fn out_of_step(side: Side, key: KeyRef) -> VaultError {
    VaultError::Unavailable {
        backend: side.name().to_owned(),
        reason: format!(
            "it is not known to have the same {key} as the other vault; bring the other one back, or replicate"
        ),
    }
}
