//! Keys by their names: reading the names that somebody filled in, offering those there are, and listing the keys that
//! an operation or a group names with the check values that people compare.

use super::key;
use crate::act::{Fault, Work};
use crate::i18n::Lang;
use crate::list::{Column, Found, Look, Shape};
use crate::lists::keys::{algorithm_text, kind_words};
use crate::view::cell::{Cell, Tone};
use crate::view::detail::{Block, Short};
use crate::view::form::{Field, FieldKind};
use crate::words::Word;
use ykt_base::hex::Hex;
use ykt_kmc::registry::tree::{Leaf, Tree};
use ykt_kmc::{Operation, PlaceName};
use ykt_vault::{KeyAlgorithm, KeyKind, KeyPlace, KeyRef, KeyState, WrappedKey};

/// Most keys a page shows of an operation or a group.
pub(super) const KEYS_SHOWN: usize = 200;

/// A key as a list of names shows it.
pub(super) struct Named {
    pub(super) place: KeyPlace,
    pub(super) algorithm: Option<KeyAlgorithm>,
    pub(super) kcv: Option<[u8; 3]>,
    /// What it is here.
    pub(super) state: Option<KeyState>,
    /// Whether the centre knows a key of this name.
    pub(super) known: bool,
}

impl Named {
    /// A name with what the tree knows of it.
    pub(super) fn of(tree: &Tree, place: KeyPlace) -> Named {
        let leaf = tree.leaf(&place);
        Named {
            place,
            algorithm: leaf.and_then(Leaf::algorithm),
            kcv: leaf.and_then(Leaf::kcv),
            state: leaf.and_then(Leaf::state),
            known: leaf.is_some(),
        }
    }

    /// A key that is to come, with the check value its file states.
    pub(super) fn to_come(tree: &Tree, key: &WrappedKey) -> Named {
        let leaf = tree.leaf(&key.place);
        Named {
            place: key.place,
            algorithm: Some(key.algorithm),
            kcv: Some(key.kcv),
            state: leaf.and_then(Leaf::state),
            known: leaf.is_some(),
        }
    }
}

const COLUMNS: &[Column<Named>] = {
    type C = Column<Named>;
    &[
        C::new("key", "keys.key", Shape::Code, |row, _| {
            let href = row.known.then(|| key::href(&row.place));
            Cell::text(PlaceName(row.place).to_string()).to_some(href)
        }),
        C::new("kcv", "keys.kcv", Shape::Code, |row, _| {
            row.kcv.map_or_else(Cell::nothing, |kcv| Cell::text(Hex(&kcv).to_string()))
        }),
        C::new("kind", "keys.kind", Shape::Text, |row, look| {
            Cell::text(kind_words(look.lang, row.place.key.kind))
        }),
        C::new("algorithm", "keys.algorithm", Shape::Text, |row, _| {
            row.algorithm.map_or_else(Cell::nothing, |algorithm| Cell::text(algorithm_text(algorithm)))
        }),
        C::new("state", "keys.here", Shape::Text, |row, look| match row.state {
            Some(state) => state.cell(look.lang),
            None => Cell::status(look.lang, "key-state", "none", Tone::Quiet),
        }),
    ]
};

/// The keys as a block of a page.
pub(super) fn block(title: &str, keys: Vec<Named>, look: Look) -> Block {
    let count = keys.len();
    let mut rows = keys;
    rows.truncate(KEYS_SHOWN);
    let found = Found { rows, count: u64::try_from(count).unwrap_or(u64::MAX), totals: Vec::new() };
    let all: Vec<&str> = COLUMNS.iter().map(|column| column.key).collect();
    let title = match count {
        0..=KEYS_SHOWN => format!("{title} ({count})"),
        _ => {
            let [shown, count] = [KEYS_SHOWN, count].map(|number| number.to_string());
            look.lang.fill("keys.first_of", &[("title", title), ("shown", &shown), ("count", &count)])
        }
    };
    Block::List(Short::new(&title, COLUMNS, &all, &found, look, None))
}

/// The keys an operation names, when it names several.
pub(super) fn of_operation(tree: &Tree, operation: &Operation) -> Option<Vec<Named>> {
    let of = |place: &KeyPlace| Named::of(tree, *place);
    match operation {
        Operation::DeriveRoots { keys, .. } => {
            Some(keys.iter().map(|key| of(&KeyPlace::root(*key))).collect())
        }
        Operation::Import { keys, .. } => Some(keys.iter().map(|key| Named::to_come(tree, key)).collect()),
        Operation::Export { places, .. } => Some(places.iter().map(of).collect()),
        _ => None,
    }
}

/// A field that offers the active root keys of a kind; `None` when there is none.
pub(super) fn choice(tree: &Tree, kind: KeyKind, name: &'static str, label: &str) -> Option<Field> {
    let fits = |leaf: &&Leaf| leaf.place == KeyPlace::root(leaf.place.key) && leaf.place.key.kind == kind;
    let active = tree.leaves().filter(fits).filter(|leaf| leaf.state() == Some(KeyState::Active));
    let offer = |leaf: &Leaf| {
        let name = PlaceName(leaf.place).to_string();
        let kcv = leaf.kcv().map_or_else(String::new, |kcv| format!(" (KCV {})", Hex(&kcv)));
        (name.clone(), name + &kcv)
    };
    let offers: Vec<(String, String)> = active.map(offer).collect();
    (!offers.is_empty()).then(|| Field::new(name, label, FieldKind::Choice(offers)))
}

/// A root key by its name in a field.
pub(super) fn root(work: &Work<'_>, field: &'static str) -> Result<KeyRef, Fault> {
    let text = work.fields.must(field, work.lang)?;
    let name: Option<PlaceName> = text.parse().ok();
    let root = name.map(|PlaceName(place)| place).filter(|place| *place == KeyPlace::root(place.key));
    root.map(|place| place.key)
        .ok_or_else(|| Fault::expected(work.lang, field, work.lang.t("keys.name_rule"), text))
}

/// The keys whose names stand in a field, with spaces, commas or line ends between; each once, in their order.
pub(super) fn places(work: &Work<'_>, tree: &Tree, field: &'static str) -> Result<Vec<KeyPlace>, Fault> {
    let lang = work.lang;
    let mut places = Vec::new();
    for word in words(work.fields.must(field, lang)?) {
        let PlaceName(place) =
            word.parse().map_err(|_| Fault::expected(lang, field, lang.t("keys.place_rule"), word))?;
        if tree.leaf(&place).is_none() {
            return Err(Fault::at(field, lang.fill("keys.no_such_key", &[("key", word)])));
        }
        if !places.contains(&place) {
            places.push(place);
        }
    }
    Ok(places)
}

/// The words of a field.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '\t', '\r', '\n', ',', ';', '，', '、', '；']).filter(|word| !word.is_empty())
}

/// The names of keys, one on each line.
pub(super) fn lines(places: &[KeyPlace]) -> String {
    let names: Vec<String> = places.iter().map(|place| PlaceName(*place).to_string()).collect();
    names.join("\n")
}

/// Says that there is no active key of a kind, and what to do.
pub(super) fn lacks(lang: Lang, kind: KeyKind) -> Block {
    Block::Note(Tone::Warn, lang.fill("keys.lacks", &[("kind", &kind_words(lang, kind))]))
}
