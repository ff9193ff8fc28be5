//! A list, described once. From the same description come the page, the CSV file, the spreadsheet and the
//! JSON answer, so none of them can tell another story: the filter, the order and the totals are one.

use crate::i18n::Lang;
use crate::view::cell::{Cell, Value};
use crate::view::url;
use crate::web::App;
use crate::words::Word;
use std::str::FromStr;
use ykt_base::Date;
use ykt_office::people::Permission;
use ykt_store::{Direction, Paging, Tx};

/// Rows of a page when nothing is said.
pub const ROWS_DEFAULT: u32 = 50;
/// Page sizes offered.
pub const ROWS_CHOICE: [u32; 4] = [20, 50, 200, 1_000];
/// Most rows of one export; a longer list must be narrowed first.
pub const EXPORT_ROWS_MAX: u32 = 100_000;

/// What a column holds: it decides alignment and the spreadsheet's cell type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Words.
    Text,
    /// Words that may take several lines.
    Long,
    /// A code or number of identity, in fixed-width letters.
    Code,
    /// Money.
    Amount,
    /// A count.
    Number,
    /// A rate.
    Rate,
    /// A day or a moment.
    Time,
}

impl Shape {
    /// Whether it stands at the right edge of its column.
    #[must_use]
    pub const fn right(self) -> bool {
        matches!(self, Shape::Amount | Shape::Number | Shape::Rate)
    }

    /// Classes of the style sheet.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Shape::Amount | Shape::Number | Shape::Rate => "num",
            Shape::Code => "mono",
            Shape::Long => "wrap",
            Shape::Text | Shape::Time => "",
        }
    }
}

/// Who looks, and in which language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The language.
    pub lang: Lang,
    /// Whether whole card numbers may be shown.
    pub cards: CardNumbers,
}

/// How card numbers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardNumbers {
    /// All digits: roles that work with cards.
    Whole,
    /// The last four only.
    Masked,
}

/// A column of a list of `R`.
#[derive(Debug)]
pub struct Column<R> {
    /// Its name in addresses (`cols=`, `sort=`) and in files.
    pub key: &'static str,
    /// Key of its heading in the catalogue.
    pub title: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// Whether it is shown when nothing is chosen.
    pub shown: Shown,
    /// Whether the list can be put in its order.
    pub order: Order,
    /// The value of a row.
    pub cell: fn(&R, Look) -> Cell,
}

impl<R> Column<R> {
    /// A column that is shown at first and cannot be sorted by.
    #[must_use]
    pub const fn new(
        key: &'static str,
        title: &'static str,
        shape: Shape,
        cell: fn(&R, Look) -> Cell,
    ) -> Column<R> {
        Column { key, title, shape, shown: Shown::First, order: Order::Fixed, cell }
    }

    /// The same, sortable.
    #[must_use]
    pub const fn sortable(self) -> Column<R> {
        let Column { key, title, shape, shown, cell, .. } = self;
        Column { key, title, shape, shown, order: Order::Sortable, cell }
    }

    /// The same, shown only when chosen.
    #[must_use]
    pub const fn on_demand(self) -> Column<R> {
        let Column { key, title, shape, order, cell, .. } = self;
        Column { key, title, shape, shown: Shown::OnDemand, order, cell }
    }
}

impl Filter {
    /// A filter.
    #[must_use]
    pub const fn new(key: &'static str, title: &'static str, kind: FilterKind) -> Filter {
        Filter { key, title, kind }
    }
}

/// Whether a column is shown when nothing is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Yes.
    First,
    /// Only when chosen.
    OnDemand,
}

/// Whether a list can be sorted by a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By a click on its heading.
    Sortable,
    /// Not.
    Fixed,
}

/// What a filter takes.
#[derive(Debug, Clone, Copy)]
pub enum FilterKind {
    /// A text or code.
    Text,
    /// A text that wants room, such as a card number.
    Wide,
    /// A day.
    Date,
    /// A whole number from 0.
    Number,
    /// One of the codes of a catalogue section: section and codes.
    Choice(&'static str, &'static [&'static str]),
    /// Carried in the address by links, shown as a chip, not asked in the filter bar.
    Carried,
}

/// A filter of a list.
#[derive(Debug, Clone, Copy)]
pub struct Filter {
    /// Its name in addresses.
    pub key: &'static str,
    /// Key of its label in the catalogue.
    pub title: &'static str,
    /// What it takes.
    pub kind: FilterKind,
}

/// Which part of a list is wanted, in which order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ask {
    /// Filters that are set, in the list's order of filters.
    pub filters: Vec<(&'static str, String)>,
    /// Column to sort by.
    pub sort: Option<Sort>,
    /// Page, from 1.
    pub page: u32,
    /// Rows of a page.
    pub rows: u32,
    /// Columns chosen, in the list's order; empty for the usual ones.
    pub cols: Vec<&'static str>,
}

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// Key of the column.
    pub key: &'static str,
    /// Which way.
    pub way: Way,
}

/// Which way a list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Smallest, or oldest, first.
    Up,
    /// Largest, or newest, first.
    Down,
}

/// What was found.
#[derive(Debug)]
pub struct Found<R> {
    /// The rows of the page.
    pub rows: Vec<R>,
    /// How many rows pass the filter.
    pub count: u64,
    /// Totals over all rows that pass the filter, by key of the column.
    pub totals: Vec<(&'static str, Value)>,
}

/// Why a list cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// A part of the address is not what it should be.
    #[error("{what}: expected {expected}, found {found:?}")]
    Ask {
        /// Which parameter.
        what: String,
        /// What it takes.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The vault does not answer.
    #[error(transparent)]
    Vault(#[from] ykt_vault::VaultError),
    /// The database, or what is kept in it, failed.
    #[error("the list cannot be read")]
    Query(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ListError {
    /// Wraps an error of a query of a lower room.
    pub fn query(error: impl std::error::Error + Send + Sync + 'static) -> ListError {
        ListError::Query(Box::new(error))
    }
}

impl From<ykt_store::StoreError> for ListError {
    fn from(error: ykt_store::StoreError) -> ListError {
        ListError::query(error)
    }
}

/// A list of the consoles.
pub trait List: Send + Sync + 'static {
    /// A row.
    type Row: Send + 'static;
    /// Its path, which is also its name in files and under `/api/v1`.
    const PATH: &'static str;
    /// Key of its title in the catalogue.
    const TITLE: &'static str;
    /// Key of a line that explains it under the title.
    const LEAD: &'static str;
    /// Key of what an empty list tells to do first.
    const EMPTY: &'static str;
    /// What it takes to see it.
    const NEEDS: Permission;
    /// The word under which reading it is written into the audit log, when it is.
    const WATCHED: Option<&'static str> = None;
    /// Ways onward beside its title: key of the words, address, and what it takes.
    const ACTIONS: &'static [(&'static str, &'static str, Permission)] = &[];

    /// Its columns. The first one names the row.
    fn columns() -> &'static [Column<Self::Row>];

    /// Its filters.
    fn filters() -> &'static [Filter];

    /// Reads the wanted part.
    ///
    /// # Errors
    /// [`ListError`].
    fn find(tx: &Tx<'_>, ask: &Ask, look: Look) -> Result<Found<Self::Row>, ListError>;

    /// The same for lists that ask more than the database: the vault, or the clock.
    ///
    /// # Errors
    /// [`ListError`].
    fn find_in(app: &App, tx: &Tx<'_>, ask: &Ask, look: Look) -> Result<Found<Self::Row>, ListError> {
        let _ = app;
        Self::find(tx, ask, look)
    }
}

impl Ask {
    /// Reads the parameters of an address for list `L`. Names that the list does not know are an error, so
    /// that a mistyped filter never shows totals of everything. `lang` and `theme` belong to the frame.
    ///
    /// # Errors
    /// [`ListError::Ask`].
    pub fn parse<L: List>(query: &str) -> Result<Ask, ListError> {
        let mut ask = Ask { page: 1, rows: ROWS_DEFAULT, ..Ask::default() };
        let mut cols: Vec<String> = Vec::new();
        for (name, value) in url::pairs(query) {
            let bad =
                |expected: String| Err(ListError::Ask { what: name.clone(), expected, found: value.clone() });
            match name.as_str() {
                "lang" | "theme" => {}
                "page" => match value.parse() {
                    Ok(page) if page > 0 => ask.page = page,
                    _ => return bad("a page number from 1".to_owned()),
                },
                "rows" => match value.parse() {
                    Ok(rows) if (1..=1_000).contains(&rows) => ask.rows = rows,
                    _ => return bad("1 to 1000 rows".to_owned()),
                },
                "sort" => {
                    let (way, key) = match value.strip_prefix('-') {
                        Some(key) => (Way::Down, key),
                        None => (Way::Up, value.as_str()),
                    };
                    let column = L::columns().iter().find(|c| c.key == key && c.order == Order::Sortable);
                    match column {
                        Some(column) => ask.sort = Some(Sort { key: column.key, way }),
                        None => {
                            let keys = L::columns().iter().filter(|c| c.order == Order::Sortable);
                            return bad(one_of(keys.map(|c| c.key)));
                        }
                    }
                }
                "col" => cols.push(value),
                "cols" => cols.extend(value.split(',').map(str::to_owned)),
                _ => match L::filters().iter().find(|f| f.key == name) {
                    Some(_) if value.trim().is_empty() => {}
                    Some(filter) => ask.filters.push((filter.key, checked(filter, value.trim())?)),
                    None => {
                        let what = format!("parameter {name:?}");
                        let keys = L::filters().iter().map(|f| f.key).chain(["sort", "page", "rows", "cols"]);
                        return Err(ListError::Ask { what, expected: one_of(keys), found: value });
                    }
                },
            }
        }
        for col in &cols {
            if !L::columns().iter().any(|c| c.key == col) {
                return Err(ListError::Ask {
                    what: "cols".to_owned(),
                    expected: one_of(L::columns().iter().map(|c| c.key)),
                    found: col.clone(),
                });
            }
        }
        ask.cols =
            L::columns().iter().map(|c| c.key).filter(|key| cols.iter().any(|col| col == key)).collect();
        let usual = L::columns().iter().filter(|c| c.shown == Shown::First).map(|c| c.key);
        if usual.eq(ask.cols.iter().copied()) {
            ask.cols.clear();
        }
        Ok(ask)
    }

    /// Rows of a page when nothing is said.
    #[must_use]
    pub const fn default_rows() -> u32 {
        ROWS_DEFAULT
    }

    /// The text of a filter.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.filters.iter().find(|(k, _)| *k == key).map(|(_, value)| value.as_str())
    }

    /// A filter as a value of a type.
    ///
    /// # Errors
    /// [`ListError::Ask`] when the text is none.
    pub fn value<T: FromStr<Err: std::fmt::Display>>(&self, key: &str) -> Result<Option<T>, ListError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|error: T::Err| ListError::Ask {
            what: key.to_owned(),
            expected: expected_by(&error),
            found: text.to_owned(),
        })
    }

    /// Rows before the page.
    #[must_use]
    pub fn offset(&self) -> u64 {
        u64::from(self.page.saturating_sub(1)) * u64::from(self.rows)
    }

    /// The part that is wanted, as the rooms below take it.
    #[must_use]
    pub fn paging(&self) -> Paging {
        Paging::new(self.page, self.rows)
    }

    /// The order that is wanted as a sort of a room below: `of` knows the sortable columns.
    pub fn order<S: Default>(&self, usual: Direction, of: impl Fn(&str) -> Option<S>) -> (S, Direction) {
        match self.sort.and_then(|sort| Some((of(sort.key)?, sort.way))) {
            Some((sort, Way::Up)) => (sort, Direction::Up),
            Some((sort, Way::Down)) => (sort, Direction::Down),
            None => (S::default(), usual),
        }
    }

    /// A filter as one of a closed set of words; its code was checked when the address was read.
    #[must_use]
    pub fn word<W: Word>(&self, key: &str) -> Option<W> {
        self.text(key).and_then(W::from_slug)
    }

    /// The address of this view of `path`, with the defaults left out.
    #[must_use]
    pub fn href(&self, path: &str) -> String {
        let sort = self.sort.map(|s| format!("{}{}", if s.way == Way::Down { "-" } else { "" }, s.key));
        let cols = self.cols.join(",");
        let (page, rows) = (self.page.to_string(), self.rows.to_string());
        let mut pairs: Vec<(&str, &str)> = self.filters.iter().map(|(k, v)| (*k, v.as_str())).collect();
        if let Some(sort) = &sort {
            pairs.push(("sort", sort));
        }
        if self.rows != ROWS_DEFAULT {
            pairs.push(("rows", &rows));
        }
        if !self.cols.is_empty() {
            pairs.push(("cols", &cols));
        }
        if self.page > 1 {
            pairs.push(("page", &page));
        }
        url::with_query(path, pairs)
    }

    /// The same with another part changed.
    #[must_use]
    pub fn with(&self, change: impl FnOnce(&mut Ask)) -> Ask {
        let mut ask = self.clone();
        change(&mut ask);
        ask
    }
}

/// Sorts rows that a room gives whole (a chart of accounts, a day's bills) and cuts the wanted page.
pub fn sort_and_cut<R>(
    mut rows: Vec<R>,
    ask: &Ask,
    columns: &[Column<R>],
    look: Look,
    totals: Vec<(&'static str, Value)>,
) -> Found<R> {
    if let Some((sort, column)) =
        ask.sort.and_then(|sort| Some((sort, columns.iter().find(|c| c.key == sort.key)?)))
    {
        rows.sort_by_cached_key(|row| sort_key(&(column.cell)(row, look).value));
        if sort.way == Way::Down {
            rows.reverse();
        }
    }
    let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let skip = usize::try_from(ask.offset()).unwrap_or(usize::MAX);
    let take = usize::try_from(ask.rows).unwrap_or(usize::MAX);
    Found { rows: rows.into_iter().skip(skip).take(take).collect(), count, totals }
}

fn sort_key(value: &Value) -> (i128, String) {
    match value {
        Value::Nothing => (i128::MIN, String::new()),
        Value::Text(text) => (0, text.clone()),
        Value::Amount(amount) => (amount.fen().into(), String::new()),
        Value::Number(number) | Value::Serial(number) => ((*number).into(), String::new()),
        Value::Rate(ppm) => ((*ppm).into(), String::new()),
        Value::Date(date) => (date.as_number().into(), String::new()),
        Value::At(at) => (at.as_number().into(), String::new()),
    }
}

/// What an error of parsing says was expected.
fn expected_by(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    text.strip_prefix("expected ").map(str::to_owned).unwrap_or(text)
}

fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    format!("one of {}", words.collect::<Vec<_>>().join(", "))
}

fn checked(filter: &Filter, value: &str) -> Result<String, ListError> {
    let bad = |expected: String| {
        Err(ListError::Ask { what: filter.key.to_owned(), expected, found: value.to_owned() })
    };
    match filter.kind {
        FilterKind::Date => match value.parse::<Date>() {
            Ok(date) => Ok(date.to_string()),
            Err(error) => bad(expected_by(&error)),
        },
        FilterKind::Number if value.parse::<u32>().is_err() => bad("a whole number from 0".to_owned()),
        FilterKind::Choice(_, codes) if !codes.contains(&value) => bad(one_of(codes.iter().copied())),
        FilterKind::Text | FilterKind::Wide | FilterKind::Carried if value.chars().count() > 80 => {
            bad("at most 80 characters".to_owned())
        }
        _ => Ok(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fruit;

    #[derive(Debug)]
    struct Row(&'static str, i64);

    impl List for Fruit {
        type Row = Row;
        const PATH: &'static str = "/fruit";
        const TITLE: &'static str = "";
        const LEAD: &'static str = "";
        const EMPTY: &'static str = "";
        const NEEDS: Permission = Permission::ReadBusiness;

        fn columns() -> &'static [Column<Row>] {
            type C = Column<Row>;
            const COLUMNS: [C; 3] = [
                C::new("name", "", Shape::Text, |row, _| Cell::text(row.0)).sortable(),
                C::new("count", "", Shape::Number, |row, _| Cell::number(row.1)).sortable(),
                C::new("more", "", Shape::Text, |_, _| Cell::nothing()).on_demand(),
            ];
            &COLUMNS
        }

        fn filters() -> &'static [Filter] {
            const CODES: &[&str] = &["ripe", "green"];
            const FILTERS: &[Filter] = &[
                Filter::new("day", "", FilterKind::Date),
                Filter::new("state", "", FilterKind::Choice("state", CODES)),
                Filter::new("from", "", FilterKind::Number),
            ];
            FILTERS
        }

        fn find(_: &Tx<'_>, _: &Ask, _: Look) -> Result<Found<Row>, ListError> {
            Ok(Found { rows: Vec::new(), count: 0, totals: Vec::new() })
        }
    }

    #[test]
    fn the_address_is_the_view() {
        let ask = Ask::parse::<Fruit>(
            "day=20261122&state=ripe&from=&sort=-count&rows=20&page=3&col=more&col=name&lang=zh",
        )
        .unwrap();
        let href = ask.href("/fruit");
        assert_eq!(href, "/fruit?day=2026-11-22&state=ripe&sort=-count&rows=20&cols=name,more&page=3");
        assert_eq!(Ask::parse::<Fruit>(href.split_once('?').unwrap().1).unwrap(), ask);
        assert_eq!(ask.offset(), 40);
        assert_eq!(Ask::parse::<Fruit>("cols=name,count").unwrap().href("/fruit"), "/fruit");
    }

    #[test]
    fn a_wrong_address_says_what_was_expected() {
        for (query, message) in [
            ("sort=more", "sort: expected one of name, count, found \"more\""),
            ("state=red", "state: expected one of ripe, green, found \"red\""),
            ("day=tomorrow", "day: expected a calendar date as yyyyMMdd or yyyy-MM-dd, found \"tomorrow\""),
            ("from=-1", "from: expected a whole number from 0, found \"-1\""),
            ("page=0", "page: expected a page number from 1, found \"0\""),
            ("rows=5000", "rows: expected 1 to 1000 rows, found \"5000\""),
            ("cols=x", "cols: expected one of name, count, more, found \"x\""),
            (
                "dya=1",
                "parameter \"dya\": expected one of day, state, from, sort, page, rows, cols, found \"1\"",
            ),
        ] {
            assert_eq!(Ask::parse::<Fruit>(query).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn rows_given_whole_are_sorted_and_cut() {
        let rows = || vec![Row("b", 2), Row("a", 10), Row("c", 1)];
        let look = Look { lang: Lang::En, cards: CardNumbers::Whole };
        let ask = Ask::parse::<Fruit>("sort=-count&rows=2").unwrap();
        let found = sort_and_cut(rows(), &ask, Fruit::columns(), look, Vec::new());
        assert_eq!(found.rows.iter().map(|r| r.1).collect::<Vec<_>>(), [10, 2]);
        assert_eq!(found.count, 3);
        let ask = Ask::parse::<Fruit>("sort=name&rows=2&page=2").unwrap();
        let found = sort_and_cut(rows(), &ask, Fruit::columns(), look, Vec::new());
        assert_eq!(found.rows.iter().map(|r| r.0).collect::<Vec<_>>(), ["c"]);
    }
}
