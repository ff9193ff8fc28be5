//! One card: its life, its loads, and every record of it with its verdict.

use super::crumb;
use crate::layers::render;
use crate::list::{Ask, CardNumbers, Column, Found, List, Look, Shape};
use crate::lists::cards::Cards;
use crate::lists::loads::Loads;
use crate::lists::records::Records;
use crate::problem::{Code, Problem};
use crate::view::cell::{Cell, Tone, Value};
use crate::view::detail::{Block, Detail, Figure, Short, Step, more};
use crate::view::url::with_query;
use crate::web::{Asked, Shared};
use crate::words::Word;
use axum::extract::{Path, State};
use axum::response::Html;
use std::sync::Arc;
use ykt_base::{Asn8, Fen};
use ykt_clearing::queries::{self, CardHistory};
use ykt_clearing::{CardBook, Gap};
use ykt_office::blacklist::{self, Loss};
use ykt_office::cards::{self, CardEventRow};
use ykt_office::people::Permission;

const LOSS: &[Column<Loss>] = {
    type C = Column<Loss>;
    &[
        C::new("effective", "card.effective", Shape::Time, |row, _| Cell::at(row.effective_at)),
        C::new("version", "blacklist.version", Shape::Number, |row, _| Cell::number(row.version.0)),
        C::new("removed", "card.removed", Shape::Time, |row, _| Cell::at(row.removed_at)),
    ]
};

const GAP: &[Column<Gap>] = {
    type C = Column<Gap>;
    &[
        C::new("first", "card.first", Shape::Number, |row, _| Cell::serial(row.first.0)),
        C::new("last", "card.last", Shape::Number, |row, _| Cell::serial(row.last.0)),
        C::new("lost", "card.lost", Shape::Amount, |row, _| Cell::amount(row.lost)),
        C::new("opened", "card.opened", Shape::Time, |row, _| Cell::date(row.opened)),
    ]
};

/// What the card book knows, and what was loaded.
fn figures(
    look: Look,
    book: Option<&CardBook>,
    loads: &Found<<Loads as List>::Row>,
    number: &str,
) -> Vec<Figure> {
    let lang = look.lang;
    let records = with_query("/records", [("card", number)]);
    let loaded = match loads.totals.as_slice() {
        [(_, Value::Amount(amount))] => *amount,
        _ => Fen::ZERO,
    };
    let seen = book.filter(|book| book.newest.at.is_some());
    let lost = book.map_or(Fen::ZERO, |book| book.gaps.iter().map(|gap| gap.lost).sum());
    let gaps = book.map_or(0, |book| book.gaps.len());
    vec![
        Figure {
            title: "card.balance",
            value: seen.map_or(Value::Nothing, |book| Value::Amount(book.newest.balance)),
            note: seen.and_then(|book| book.newest.at).map_or_else(
                || lang.t("card.unknown").to_owned(),
                |at| lang.fill("card.balance_at", &[("at", &at.to_string())]),
            ),
            href: None,
        },
        Figure {
            title: "card.spent",
            value: Value::Amount(book.map_or(Fen::ZERO, |book| book.spent)),
            note: lang.counted("card.covered", book.map_or(0, |book| book.covered.count())),
            href: Some(records),
        },
        Figure {
            title: "card.loaded",
            value: Value::Amount(loaded),
            note: lang.counted("today.orders", loads.count),
            href: Some(with_query("/loads", [("card", number), ("state", "credited")])),
        },
        Figure {
            title: "card.lost",
            value: Value::Amount(lost),
            note: lang.counted("card.gap_count", gaps),
            href: None,
        },
    ]
}

/// Records of a card that its page shows; the list has the others.
const RECORDS: usize = 50;

fn step(row: &CardEventRow, look: Look) -> Step {
    let detail = if row.note.is_empty() { row.who.clone() } else { format!("{} · {}", row.who, row.note) };
    Step {
        class: match row.event.tone() {
            Tone::Bad => "bad",
            Tone::Warn => "warn",
            _ => "",
        },
        name: row.event.in_words(look.lang).to_owned(),
        when: row.at.to_string(),
        what: detail,
        href: None,
    }
}

/// The page of a card.
pub(crate) async fn page(
    State(shared): State<Arc<Shared>>,
    Path(asn): Path<String>,
    asked: Asked,
) -> Result<Html<String>, Problem> {
    asked.signed.must(Permission::ReadBusiness)?;
    let (look, lang) = (asked.look(), asked.prefs.lang);
    if look.cards == CardNumbers::Masked {
        return Err(Problem::new(Code::NotAllowed, ""));
    }
    let asn: Asn8 = asn.parse().map_err(|_| Problem::not_found("card"))?;
    let (row, history, losses, loads, credited, seen) = shared
        .read(move |tx| {
            let missing = || Problem::not_found(format!("card {}", asn.masked()));
            let row = cards::card(tx, &asn)?.ok_or_else(missing)?;
            let ask = Ask::parse::<Loads>(&format!("card={asn}&rows=20"))?;
            let loads = Loads::find(tx, &ask, look)?;
            let ask = Ask::parse::<Loads>(&format!("card={asn}&rows=1&state=credited"))?;
            let credited = Loads::find(tx, &ask, look)?;
            let history = cards::history(tx, &asn)?;
            let seen = queries::card_history(tx, &asn)?;
            Ok((row, history, blacklist::losses_of(tx, &asn)?, loads, credited, seen))
        })
        .await?;
    let number = asn.to_string();
    let card = &row.card;
    let facts = vec![
        ("cards.since", Cell::at(row.state_since)),
        ("cards.kind", Cell::named(lang, "kind", card.kind.slug())),
        ("cards.type", Cell::text(format!("{:02}/{:02}", card.main_type, card.sub_type))),
        ("cards.issued", Cell::at(row.issued_at)),
        ("cards.start", Cell::date(card.start)),
        ("cards.expiry", Cell::date(card.expiry)),
        ("cards.factor", Cell::text(card.factor.to_string())),
        ("cards.key_version", Cell::number(card.key_version.0)),
    ];
    let CardHistory { book, mut records } = seen;
    let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
    records.truncate(RECORDS);
    let records = Found { rows: records, count, totals: Vec::new() };
    let mut blocks = vec![
        Block::Figures(figures(look, book.as_ref(), &credited, &number)),
        Block::Facts(lang.t("card.facts").to_owned(), facts),
    ];
    let all = with_query("/records", [("card", number.as_str())]);
    let keys = ["at", "amount", "verdict", "cause", "merchant", "pos", "counter", "before", "record"];
    blocks.push(Block::List(Short::new(
        lang.t("nav.records"),
        Records::columns(),
        &keys,
        &records,
        look,
        more(lang, records.count, all),
    )));
    if let Some(book) = book.filter(|book| !book.gaps.is_empty()) {
        let gaps = Found { count: 0, totals: Vec::new(), rows: book.gaps };
        let keys = ["first", "last", "lost", "opened"];
        blocks.push(Block::List(Short::new(lang.t("card.gaps"), GAP, &keys, &gaps, look, None)));
    }
    let all = with_query("/loads", [("card", number.as_str())]);
    let keys = ["order", "state", "amount", "channel", "paid"];
    blocks.push(Block::List(Short::new(
        lang.t("nav.loads"),
        Loads::columns(),
        &keys,
        &loads,
        look,
        more(lang, loads.count, all),
    )));
    if !losses.is_empty() {
        let losses = Found { count: 0, totals: Vec::new(), rows: losses };
        let keys = ["effective", "version", "removed"];
        blocks.push(Block::List(Short::new(lang.t("card.losses"), LOSS, &keys, &losses, look, None)));
    }
    let steps = history.iter().map(|event| step(event, look)).collect();
    blocks.push(Block::Way(lang.t("card.life").to_owned(), steps));
    render(&Detail {
        crumbs: vec![crumb::<Cards>(lang)],
        tag: Some(row.state.cell(lang)),
        actions: vec![(
            lang.t("nav.records").to_owned(),
            with_query("/records", [("card", number.as_str())]),
        )],
        blocks,
        f: asked.frame(&shared, number, Cards::PATH),
    })
}
