//! The page of one thing: facts, figures, its way so far, and the short lists that belong to it.

use crate::i18n::Lang;
use crate::list::{Column, Found, Look};
use crate::view::cell::{Cell, Tone, Value};
use crate::view::form::Form;
use crate::view::frame::Frame;
use crate::view::table::Place;
use askama::Template;

/// The page of one thing.
#[derive(Debug, Template)]
#[template(path = "detail.html")]
pub struct Detail {
    /// The frame; its title is the thing's name.
    pub f: Frame,
    /// Where it belongs: words and address, from the outside in.
    pub crumbs: Vec<(String, String)>,
    /// Its state.
    pub tag: Option<Cell>,
    /// Ways onward: words and address.
    pub actions: Vec<(String, String)>,
    /// The parts of the page.
    pub blocks: Vec<Block>,
}

/// A part of the page.
#[derive(Debug)]
pub enum Block {
    /// What is known, by name.
    Facts(String, Vec<(&'static str, Cell)>),
    /// Figures, each leading to the list that sums to it.
    Figures(Vec<Figure>),
    /// What happened, oldest first.
    Way(String, Vec<Step>),
    /// A short list.
    List(Short),
    /// Text as it came.
    Raw(String, String),
    /// Words that matter.
    Note(Tone, String),
    /// How far something is: so many of so many, in words.
    Progress(String, Bar),
    /// A form.
    Form(Form),
}

/// A figure.
#[derive(Debug)]
pub struct Figure {
    /// Key of its name.
    pub title: &'static str,
    /// What it is.
    pub value: Value,
    /// A line below it.
    pub note: String,
    /// The list that sums to it.
    pub href: Option<String>,
}

/// How far something is.
#[derive(Debug)]
pub struct Bar {
    /// What is done.
    pub done: u64,
    /// Of how many.
    pub of: u64,
    /// The same in words.
    pub words: String,
}

/// A step of a way.
#[derive(Debug)]
pub struct Step {
    /// Class of the style sheet: done, `open`, `warn` or `bad`.
    pub class: &'static str,
    /// What happened.
    pub name: String,
    /// When, or on which clearing day.
    pub when: String,
    /// More about it.
    pub what: String,
    /// Where it can be seen.
    pub href: Option<String>,
}

/// A short list inside a page.
#[derive(Debug)]
pub struct Short {
    title: String,
    aside: Option<(String, String)>,
    headings: Vec<(String, &'static str)>,
    rows: Vec<Vec<Place>>,
    totals: Vec<Place>,
    empty: String,
}

impl Short {
    /// Some columns of a list over rows that are there. `more` leads to the whole list.
    #[must_use]
    pub fn new<R>(
        title: &str,
        columns: &[Column<R>],
        keys: &[&str],
        found: &Found<R>,
        look: Look,
        more: Option<(String, String)>,
    ) -> Short {
        let lang = look.lang;
        let columns: Vec<&Column<R>> =
            keys.iter().filter_map(|key| columns.iter().find(|column| column.key == *key)).collect();
        let place = |column: &Column<R>, cell: Cell| Place { class: column.shape.class(), cell };
        let totals = if found.totals.is_empty() {
            Vec::new()
        } else {
            let total = |key: &str| found.totals.iter().find(|(k, _)| *k == key).map(|(_, v)| v.clone());
            let value = |column: &Column<R>| total(column.key).unwrap_or(Value::Text(String::new()));
            columns.iter().map(|column| place(column, Cell::new(value(column)))).collect()
        };
        Short {
            title: title.to_owned(),
            aside: more,
            headings: columns.iter().map(|c| (lang.t(c.title).to_owned(), c.shape.class())).collect(),
            rows: found
                .rows
                .iter()
                .map(|row| columns.iter().map(|c| place(c, (c.cell)(row, look))).collect())
                .collect(),
            totals,
            empty: lang.t("detail.none").to_owned(),
        }
    }
}

/// The words that lead from a short list to the whole one.
#[must_use]
pub fn more(lang: Lang, count: u64, href: String) -> Option<(String, String)> {
    Some((lang.counted("detail.all", count), href))
}
