//! The conditions of a list that people filter as they like: each with its value, numbered for the statement.

use crate::error::StoreError;
use crate::page::{Direction, Page, Paging};
use crate::sqlite::{Row, Tx};
use crate::value::Value;
use std::fmt::Write as _;

/// The conditions of a list, each with its value.
///
/// ```
/// use ykt_store::Filter;
/// let mut filter = Filter::default();
/// filter.when("state =", Some(3_i64)).when("day >=", None::<i64>);
/// assert_eq!(filter.sql("SELECT COUNT(*) FROM t", ""), "SELECT COUNT(*) FROM t WHERE state = $1 ");
/// ```
#[derive(Default)]
pub struct Filter<'v> {
    text: String,
    values: Vec<Value<'v>>,
}

impl<'v> Filter<'v> {
    /// Adds the condition `left value` (such as `state =`) when there is a value.
    pub fn when(&mut self, left: &str, value: Option<impl Into<Value<'v>>>) -> &mut Self {
        self.when_between(left, value, "")
    }

    /// Adds the condition `left value right` (such as `id IN (SELECT id FROM t WHERE state =`, `)`) when there is
    /// a value.
    pub fn when_between(
        &mut self,
        left: &str,
        value: Option<impl Into<Value<'v>>>,
        right: &str,
    ) -> &mut Self {
        if let Some(value) = value {
            self.values.push(value.into());
            self.join();
            // Writing to a string cannot fail.
            let _ = write!(self.text, "{left} ${}{right}", self.values.len());
        }
        self
    }

    /// Adds the condition that one of `columns` contains a text, the pattern of [`contains`]; A to Z are not told from
    /// a to z, which is what the engine's LIKE does of itself.
    pub fn when_any_like(&mut self, columns: &[&str], pattern: Option<&'v String>) -> &mut Self {
        if let Some(pattern) = pattern {
            self.values.push(pattern.into());
            let no = self.values.len();
            let any: Vec<String> =
                columns.iter().map(|column| format!("{column} LIKE ${no} ESCAPE '!'")).collect();
            self.join();
            let _ = write!(self.text, "({})", any.join(" OR "));
        }
        self
    }

    fn join(&mut self) {
        self.text.push_str(if self.text.is_empty() { " WHERE " } else { " AND " });
    }

    /// `select`, the conditions, and `rest`.
    #[must_use]
    pub fn sql(&self, select: &str, rest: &str) -> String {
        format!("{select}{} {rest}", self.text)
    }

    /// `select`, the conditions, sorted by `column` and then by `key`, one page.
    #[must_use]
    pub fn page_sql(
        &self,
        select: &str,
        (column, direction): (&str, Direction),
        key: &str,
        paging: Paging,
    ) -> String {
        let way = match direction {
            Direction::Up => "ASC",
            Direction::Down => "DESC",
        };
        let rest = format!(
            "ORDER BY {column} {way}, {key} {way} LIMIT {} OFFSET {}",
            paging.rows(),
            paging.offset()
        );
        self.sql(select, &rest)
    }

    /// One page of what `select` reads, with the number of all rows that pass the conditions.
    ///
    /// # Errors
    /// [`StoreError`], also when `read` refuses a row.
    pub fn page<R>(
        &self,
        tx: &Tx<'_>,
        select: &str,
        sort: (&str, Direction),
        key: &str,
        paging: Paging,
        read: impl FnMut(&Row<'_>) -> Result<R, StoreError>,
    ) -> Result<Page<R>, StoreError> {
        let rows = tx.query(&self.page_sql(select, sort, key, paging), &self.values, read)?;
        let totals = match paging.total_behind(rows.len()) {
            Some(total) => total,
            None => {
                let count = format!("SELECT COUNT(*) FROM ({}) AS filtered", self.sql(select, ""));
                tx.query_one(&count, &self.values, |row| row.get::<u32>(0))?.unwrap_or(0).into()
            }
        };
        Ok(Page { rows, totals, paging })
    }

    /// The values, for the statement.
    #[must_use]
    pub fn values(&self) -> &[Value<'v>] {
        &self.values
    }
}

/// The pattern for [`Filter::when_any_like`]: `text` anywhere, its own wildcards taken literally; `None` for blanks.
#[must_use]
pub fn contains(text: Option<&str>) -> Option<String> {
    let text = text.map(str::trim).filter(|text| !text.is_empty())?;
    let mut pattern = String::from("%");
    for sign in text.chars() {
        if matches!(sign, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(sign);
    }
    pattern.push('%');
    Some(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_number_their_values_and_escape_patterns() {
        let pattern = contains(Some(" 100%_A! ")).unwrap();
        assert_eq!(pattern, "%100!%!_A!!%");
        assert_eq!(contains(Some("  ")), None);
        let mut filter = Filter::default();
        filter.when("state =", Some(3_i64)).when("day >=", None::<i64>);
        filter.when_any_like(&["a", "b"], Some(&pattern));
        assert_eq!(
            filter.page_sql("SELECT x FROM t", ("a", Direction::Down), "k", Paging::new(3, 20)),
            "SELECT x FROM t WHERE state = $1 AND (a LIKE $2 ESCAPE '!' OR b LIKE $2 ESCAPE '!') \
             ORDER BY a DESC, k DESC LIMIT 20 OFFSET 40"
        );
        assert_eq!(filter.values().len(), 2);
    }
}
