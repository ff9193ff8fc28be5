//! State machines as tables: a state, what may happen in it, and the state after.
//!
//! Cards and terminals live by such tables (`clearing.md` 10). An illegal step is refused with the state, the
//! step, and what would be allowed, so that the person at the desk knows what to do instead.

use std::collections::BTreeMap;
use std::fmt;

/// One row: in the first state, when the event happens, the state is the second.
pub(crate) type Row<S, E> = (S, E, S);

/// A step that the state does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IllegalStep {
    /// What was to happen.
    pub event: String,
    /// The state it was to happen in.
    pub from: String,
    /// What may happen in that state; empty in a final state.
    pub allowed: Vec<String>,
}

impl fmt::Display for IllegalStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not possible in state \"{}\"; ", self.event, self.from)?;
        if self.allowed.is_empty() {
            f.write_str("that state is final")
        } else {
            write!(f, "possible there: {}", self.allowed.join(", "))
        }
    }
}

impl std::error::Error for IllegalStep {}

/// The state after `event`.
pub(crate) fn after<S: Copy + PartialEq + fmt::Display, E: Copy + PartialEq + fmt::Display>(
    table: &[Row<S, E>],
    from: S,
    event: E,
) -> Result<S, IllegalStep> {
    let row = table.iter().find(|(state, what, _)| *state == from && *what == event);
    row.map(|(_, _, to)| *to).ok_or_else(|| IllegalStep {
        event: event.to_string(),
        from: from.to_string(),
        allowed: allowed(table, from).map(|event| event.to_string()).collect(),
    })
}

/// What may happen in state `from`.
pub(crate) fn allowed<S: Copy + PartialEq, E: Copy>(table: &[Row<S, E>], from: S) -> impl Iterator<Item = E> {
    table.iter().filter(move |(state, _, _)| *state == from).map(|(_, event, _)| *event)
}

/// Totals of a list of things that have a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateTotals<S> {
    /// How many are in each state that has any.
    pub by_state: BTreeMap<S, u32>,
}

impl<S> StateTotals<S> {
    /// All of them.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.by_state.values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}
