//! A list as a page shows it: filter bar, headings that sort, rows, totals of what is filtered, pages, column
//! choice and exports. Every control is a link or a form that changes the address and nothing else.

use crate::i18n::Lang;
use crate::list::{Ask, Column, FilterKind, Found, List, Look, Order, ROWS_CHOICE, Shown, Sort, Way};
use crate::view::cell::{Cell, Value, grouped};
use askama::Template;

/// A list, ready to be written down.
#[derive(Debug, Template)]
#[template(path = "table.html")]
pub struct Table {
    lang: Lang,
    path: &'static str,
    title: String,
    columns: Vec<Heading>,
    rows: Vec<Vec<Place>>,
    totals: Vec<Place>,
    has_totals: bool,
    filters: Vec<Field>,
    /// Filters that came by a link: shown as chips that can be taken off.
    chips: Vec<Chip>,
    /// Carried through the forms: order, columns, page size.
    kept: Vec<(&'static str, String)>,
    count: u64,
    from: u64,
    until: u64,
    filtered: bool,
    clear: String,
    choices: Vec<Choice>,
    choice_kept: Vec<(&'static str, String)>,
    csv: String,
    xlsx: String,
    sizes: Vec<(u32, Option<String>)>,
    before: Option<String>,
    after: Option<String>,
    page: u32,
    pages: u64,
    empty: &'static str,
}

/// A heading.
#[derive(Debug)]
pub struct Heading {
    title: String,
    class: &'static str,
    href: Option<String>,
    sorted: Option<Way>,
}

/// A cell in its column.
#[derive(Debug)]
pub struct Place {
    /// Class of the style sheet.
    pub class: &'static str,
    /// The cell.
    pub cell: Cell,
}

/// A filter of the bar.
#[derive(Debug)]
pub struct Field {
    key: &'static str,
    title: String,
    value: String,
    input: &'static str,
    wide: bool,
    /// Words for no choice.
    any: &'static str,
    options: Vec<(String, String, bool)>,
}

/// A filter that came by a link.
#[derive(Debug)]
pub struct Chip {
    words: String,
    off: String,
}

/// A column to choose.
#[derive(Debug)]
pub struct Choice {
    key: &'static str,
    title: String,
    on: bool,
}

/// The columns that are shown, in order.
pub fn chosen<'a, R>(columns: &'a [Column<R>], ask: &Ask) -> Vec<&'a Column<R>> {
    let on = |column: &&Column<R>| match ask.cols.as_slice() {
        [] => column.shown == Shown::First,
        cols => cols.contains(&column.key),
    };
    columns.iter().filter(on).collect()
}

impl Table {
    /// Makes the table of what was found.
    #[must_use]
    pub fn new<L: List>(ask: &Ask, found: &Found<L::Row>, look: Look) -> Table {
        let lang = look.lang;
        let columns = chosen(L::columns(), ask);
        let rows: Vec<Vec<Place>> = found
            .rows
            .iter()
            .map(|row| {
                columns.iter().map(|c| Place { class: c.shape.class(), cell: (c.cell)(row, look) }).collect()
            })
            .collect();
        let totals = columns
            .iter()
            .map(|c| {
                let total = found.totals.iter().find(|(key, _)| *key == c.key);
                let value = total.map_or(Value::Text(String::new()), |(_, value)| value.clone());
                Place { class: c.shape.class(), cell: Cell::new(value) }
            })
            .collect();
        let shown = u64::try_from(found.rows.len()).unwrap_or(u64::MAX);
        let from = ask.offset();
        let pages = found.count.div_ceil(u64::from(ask.rows)).max(1);
        let page_to = |page: u32| ask.with(|a| a.page = page).href(L::PATH);
        let choices = L::columns()
            .iter()
            .map(|c| Choice {
                key: c.key,
                title: lang.t(c.title).to_owned(),
                on: columns.iter().any(|shown| shown.key == c.key),
            })
            .collect();
        let export = |ending: &str| {
            ask.with(|a| (a.page, a.rows) = (1, Ask::default_rows())).href(&format!("{}.{ending}", L::PATH))
        };
        Table {
            lang,
            path: L::PATH,
            title: lang.t(L::TITLE).to_owned(),
            columns: columns.iter().map(|column| heading::<L>(ask, column, lang)).collect(),
            rows,
            has_totals: !found.totals.is_empty() && found.count > 0,
            totals,
            filters: fields::<L>(ask, lang),
            chips: chips::<L>(ask, lang),
            kept: kept::<L>(ask, Keep::ButFilters),
            count: found.count,
            from: if shown == 0 { 0 } else { from + 1 },
            until: from + shown,
            filtered: !ask.filters.is_empty(),
            clear: ask
                .with(|a| {
                    a.filters.clear();
                    a.page = 1;
                })
                .href(L::PATH),
            choices,
            choice_kept: kept::<L>(ask, Keep::ButColumns),
            csv: export("csv"),
            xlsx: export("xlsx"),
            sizes: ROWS_CHOICE
                .into_iter()
                .map(|size| {
                    let href = ask.with(|a| (a.rows, a.page) = (size, 1)).href(L::PATH);
                    (size, (size != ask.rows).then_some(href))
                })
                .collect(),
            before: (ask.page > 1).then(|| page_to(ask.page - 1)),
            after: (u64::from(ask.page) < pages).then(|| page_to(ask.page + 1)),
            page: ask.page,
            pages,
            empty: L::EMPTY,
        }
    }

    fn t<'a>(&self, key: &'a str) -> &'a str {
        self.lang.t(key)
    }

    fn count_words(&self) -> String {
        let (from, until) = (grouped_u64(self.from), grouped_u64(self.until));
        self.lang
            .fill("table.range", &[("from", &from), ("until", &until), ("count", &grouped_u64(self.count))])
    }

    fn page_words(&self) -> String {
        let (page, pages) = (self.page.to_string(), grouped_u64(self.pages));
        self.lang.fill("table.page", &[("page", &page), ("pages", &pages)])
    }
}

fn grouped_u64(number: u64) -> String {
    grouped(i64::try_from(number).unwrap_or(i64::MAX))
}

fn heading<L: List>(ask: &Ask, column: &Column<L::Row>, lang: Lang) -> Heading {
    let sorted = ask.sort.filter(|sort| sort.key == column.key).map(|sort| sort.way);
    // Amounts and times are first asked for from the top; a second click turns the order round.
    let first =
        if column.shape.right() || column.shape == crate::list::Shape::Time { Way::Down } else { Way::Up };
    let way = match sorted {
        Some(Way::Up) => Way::Down,
        Some(Way::Down) => Way::Up,
        None => first,
    };
    let href = (column.order == Order::Sortable)
        .then(|| ask.with(|a| (a.sort, a.page) = (Some(Sort { key: column.key, way }), 1)).href(L::PATH));
    Heading { title: lang.t(column.title).to_owned(), class: column.shape.class(), href, sorted }
}

fn fields<L: List>(ask: &Ask, lang: Lang) -> Vec<Field> {
    L::filters()
        .iter()
        .filter(|filter| !matches!(filter.kind, FilterKind::Carried))
        .map(|filter| {
            let value = ask.text(filter.key).unwrap_or_default().to_owned();
            let options = match filter.kind {
                FilterKind::Choice(section, codes) => codes
                    .iter()
                    .map(|code| {
                        let words = lang.t(&format!("{section}.{code}")).to_owned();
                        ((*code).to_owned(), words, *code == value)
                    })
                    .collect(),
                _ => Vec::new(),
            };
            let input = match filter.kind {
                FilterKind::Date => "date",
                FilterKind::Number => "number",
                FilterKind::Choice(..) => "select",
                _ => "text",
            };
            let any = match filter.kind {
                FilterKind::Choice(section, _) => lang.find(&format!("{section}.any")),
                _ => None,
            };
            let wide = matches!(filter.kind, FilterKind::Wide);
            let any = any.unwrap_or_else(|| lang.t("table.any"));
            Field {
                key: filter.key,
                title: lang.t(filter.title).to_owned(),
                value,
                input,
                wide,
                any,
                options,
            }
        })
        .collect()
}

fn chips<L: List>(ask: &Ask, lang: Lang) -> Vec<Chip> {
    L::filters()
        .iter()
        .filter(|filter| matches!(filter.kind, FilterKind::Carried))
        .filter_map(|filter| {
            let value = ask.text(filter.key)?;
            let off = ask.with(|a| {
                a.filters.retain(|(key, _)| *key != filter.key);
                a.page = 1;
            });
            Some(Chip { words: format!("{}: {value}", lang.t(filter.title)), off: off.href(L::PATH) })
        })
        .collect()
}

/// What a form leaves as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    ButFilters,
    ButColumns,
}

fn kept<L: List>(ask: &Ask, keep: Keep) -> Vec<(&'static str, String)> {
    let mut kept: Vec<(&'static str, String)> = ask
        .filters
        .iter()
        .filter(|(key, _)| {
            let carried = L::filters().iter().any(|f| f.key == *key && matches!(f.kind, FilterKind::Carried));
            keep == Keep::ButColumns || carried
        })
        .cloned()
        .collect();
    if let Some(sort) = ask.sort {
        kept.push(("sort", format!("{}{}", if sort.way == Way::Down { "-" } else { "" }, sort.key)));
    }
    if ask.rows != Ask::default_rows() {
        kept.push(("rows", ask.rows.to_string()));
    }
    if keep == Keep::ButFilters && !ask.cols.is_empty() {
        kept.push(("cols", ask.cols.join(",")));
    }
    kept
}
