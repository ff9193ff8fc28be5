//! Lists for people: which part of a list to show, in which order, and what the whole filtered list adds up to.

/// Longest page a caller may ask for, in rows.
pub const PAGE_ROWS_MAX: u32 = 1_000;
/// Rows of a page when nothing is said.
pub const PAGE_ROWS_DEFAULT: u32 = 50;

/// The part of a list that is wanted: page `no`, counted from 1, of `rows` rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    no: u32,
    rows: u32,
}

impl Paging {
    /// Page `no` (from 1) of `rows` rows; both are brought into their range.
    #[must_use]
    pub fn new(no: u32, rows: u32) -> Paging {
        Paging { no: no.max(1), rows: rows.clamp(1, PAGE_ROWS_MAX) }
    }

    /// The first page of `rows` rows.
    #[must_use]
    pub fn first(rows: u32) -> Paging {
        Paging::new(1, rows)
    }

    /// Page number, from 1.
    #[must_use]
    pub fn no(self) -> u32 {
        self.no
    }

    /// Rows of a page.
    #[must_use]
    pub fn rows(self) -> u32 {
        self.rows
    }

    /// Rows before the page.
    #[must_use]
    pub fn offset(self) -> u64 {
        u64::from(self.no.saturating_sub(1)).saturating_mul(u64::from(self.rows))
    }

    /// How many rows the whole list has, when `found` rows on this page tell: those before it and these, on a page that
    /// is not full. A page behind the end tells nothing.
    pub(crate) fn total_behind(self, found: usize) -> Option<u64> {
        let found = u32::try_from(found).ok().filter(|found| *found < self.rows)?;
        (found > 0 || self.no == 1).then(|| self.offset().saturating_add(found.into()))
    }
}

impl Default for Paging {
    fn default() -> Paging {
        Paging::first(PAGE_ROWS_DEFAULT)
    }
}

/// Which way a list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Smallest, or oldest, first.
    #[default]
    Up,
    /// Largest, or newest, first.
    Down,
}

/// One page of a list, with totals over all rows that pass the filter (not of the page alone).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<R, T = u64> {
    /// The rows of this page.
    pub rows: Vec<R>,
    /// Totals of what is filtered; without other totals the number of rows.
    pub totals: T,
    /// Which page this is.
    pub paging: Paging,
}
