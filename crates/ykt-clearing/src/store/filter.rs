//! Conditions of a list, each with its value.

use std::fmt::Write as _;
use ykt_store::Value;

/// The conditions of a list.
#[derive(Default)]
pub struct Filter<'v> {
    text: String,
    values: Vec<Value<'v>>,
}

impl<'v> Filter<'v> {
    /// Adds the condition `left value` (such as `day =`) when there is a value.
    pub fn when(&mut self, left: &str, value: Option<impl Into<Value<'v>>>) -> &mut Self {
        if let Some(value) = value {
            let place = self.value(value);
            self.and(&format!("{left} {place}"));
        }
        self
    }

    /// Adds a condition as it is.
    pub fn and(&mut self, condition: &str) -> &mut Self {
        let join = if self.text.is_empty() { "WHERE" } else { " AND" };
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{join} {condition}");
        self
    }

    /// Keeps a value and answers its place, `$n`.
    pub fn value(&mut self, value: impl Into<Value<'v>>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// `select`, the conditions, and `rest`.
    pub fn sql(&self, select: &str, rest: &str) -> String {
        format!("{select} {} {rest}", self.text)
    }

    /// The values, for the statement.
    pub fn values(&self) -> &[Value<'v>] {
        &self.values
    }
}
