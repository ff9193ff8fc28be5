//! Names that nobody has: they are locked out after as many guesses as real ones, and for as long, so that the
//! lock-out does not tell which names exist.
//!
//! What was typed as a name may be a password, so its hash is kept, in memory, and nothing is written down.

use super::{Refusal, SignInRules};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use ykt_base::DateTime;
use ykt_crypto::chain::{Hash32, sm3};

/// Names kept at once; guesses come far too slowly to reach it ahead of the lock-out's end.
const STRANGERS_LEN_MAX: usize = 10_000;

/// Wrong guesses under names that nobody has.
#[derive(Default)]
pub(super) struct Strangers(Mutex<BTreeMap<Hash32, Guesses>>);

/// As [`super::UserRow`] has them of a user.
#[derive(Default)]
struct Guesses {
    failures: u32,
    locked_until: Option<DateTime>,
}

impl Strangers {
    /// The refusal that a user of this name would get for a wrong password.
    pub(super) fn refuse(&self, name: &str, now: DateTime, rules: &SignInRules) -> Refusal {
        let mut strangers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = sm3(&[name.as_bytes()]);
        if strangers.len() >= STRANGERS_LEN_MAX && !strangers.contains_key(&name) {
            strangers.retain(|_, guesses| guesses.locked_until.is_some_and(|until| now < until));
            if strangers.len() >= STRANGERS_LEN_MAX {
                strangers.pop_first();
            }
        }
        let guesses = strangers.entry(name).or_default();
        match guesses.locked_until {
            Some(until) if now < until => return Refusal::Locked { until },
            Some(_) => *guesses = Guesses::default(),
            None => {}
        }
        guesses.failures = guesses.failures.saturating_add(1);
        let locks = guesses.failures >= rules.failures_max;
        guesses.locked_until = now.plus_seconds(rules.lock_s).filter(|_| locks);
        guesses.locked_until.map_or(Refusal::WrongNameOrPassword, |until| Refusal::Locked { until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_bounded() {
        let (strangers, rules) = (Strangers::default(), SignInRules::default());
        let now = "20261122120000".parse().unwrap();
        for no in 0..STRANGERS_LEN_MAX + 5 {
            strangers.refuse(&format!("guess{no}"), now, &rules);
        }
        assert!(strangers.0.lock().unwrap().len() <= STRANGERS_LEN_MAX);
    }
}
