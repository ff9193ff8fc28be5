//! One card: its life, its loads, and every record of it with its verdict.

use super::crumb;
use crate::layers::render;
use crate::list::{Ask, CardNumbers, Column, Found, List, Look, Shape};
use crate::lists::cards::Cards;
use crate::lists::loads::Loads;
use crate::problem::{Code, Problem};
use crate::view::cell::{Cell, Tone};
use crate::view::detail::{Block, Detail, Short, Step, more};
use crate::view::url::with_query;
use crate::web::{Asked, Shared};
use crate::words::Word;
use axum::extract::{Path, State};
use axum::response::Html;
use std::sync::Arc;
use ykt_base::Asn8;
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
    let (row, history, losses, loads) = shared
        .read(move |tx| {
            let missing = || Problem::not_found(format!("card {}", asn.masked()));
            let row = cards::card(tx, &asn)?.ok_or_else(missing)?;
            let ask = Ask::parse::<Loads>(&format!("card={asn}&rows=20"))?;
            let loads = Loads::find(tx, &ask, look)?;
            Ok((row, cards::history(tx, &asn)?, blacklist::losses_of(tx, &asn)?, loads))
        })
        .await?;
    let number = asn.to_string();
    let card = &row.card;
    let facts = vec![
        ("cards.state", row.state.cell(lang)),
        ("cards.since", Cell::at(row.state_since)),
        ("cards.kind", Cell::named(lang, "kind", card.kind.slug())),
        ("cards.type", Cell::text(format!("{:02}/{:02}", card.main_type, card.sub_type))),
        ("cards.issued", Cell::at(row.issued_at)),
        ("cards.start", Cell::date(card.start)),
        ("cards.expiry", Cell::date(card.expiry)),
        ("cards.factor", Cell::text(card.factor.to_string())),
        ("cards.key_version", Cell::number(card.key_version.0)),
    ];
    let mut blocks = vec![Block::Facts(lang.t("card.facts").to_owned(), facts)];
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
