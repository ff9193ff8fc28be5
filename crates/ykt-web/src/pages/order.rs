//! One load order: what card and host proved to each other, step by step.

use super::crumb;
use crate::layers::render;
use crate::list::List;
use crate::lists::books::{Entries, entry_href};
use crate::lists::cards::card_cell;
use crate::lists::loads::Loads;
use crate::problem::Problem;
use crate::view::cell::{Cell, Tone, Value};
use crate::view::detail::{Block, Detail, Short, Step};
use crate::view::url::with_query;
use crate::web::{Asked, Shared};
use crate::words::Word;
use axum::extract::{Path, State};
use axum::response::Html;
use std::sync::Arc;
use ykt_office::people::Permission;
use ykt_pay::OrderId;

/// The page of an order.
pub(crate) async fn page(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Html<String>, Problem> {
    asked.signed.must(Permission::ReadBusiness)?;
    let look = asked.look();
    let id: OrderId = id.parse().map_err(|_| Problem::not_found(id))?;
    let title = id.to_string();
    let (view, entries) = shared
        .read(move |tx| {
            let view = ykt_pay::order(tx, &id)?.ok_or_else(|| Problem::not_found(id.as_str()))?;
            let ask = crate::list::Ask::parse::<Entries>(&format!("id=load/{id}/&sort=seq"))?;
            Ok((view, Entries::find(tx, &ask, look)?))
        })
        .await?;
    let lang = look.lang;
    let order = &view.order;
    let freeze = order.last_freeze();
    let facts = vec![
        ("loads.card", card_cell(&order.asn, look)),
        ("loads.amount", Cell::amount(order.amount.fen())),
        ("loads.channel", Cell::named(lang, "channel", order.channel.as_str())),
        ("loads.paid", Cell::at(order.paid_at)),
        ("loads.changed", Cell::at(order.changed_at)),
        ("order.terminal", freeze.map_or_else(Cell::nothing, |f| Cell::text(f.offer.terminal.to_string()))),
        ("order.counter", freeze.map_or_else(Cell::nothing, |f| Cell::serial(f.offer.counter.0))),
        ("order.balance", freeze.map_or_else(Cell::nothing, |f| Cell::new(Value::Amount(f.offer.balance)))),
        ("order.tac", order.tac.map_or_else(Cell::nothing, |tac| Cell::text(tac.to_string()))),
    ];
    let steps = view
        .steps
        .iter()
        .map(|step| Step {
            class: match step.kind.tone() {
                Tone::Bad => "bad",
                Tone::Warn => "warn",
                _ => "",
            },
            name: step.kind.in_words(lang).to_owned(),
            when: step.at.to_string(),
            what: step.detail.clone(),
            href: None,
        })
        .collect();
    let mut blocks = Vec::new();
    if !order.reason.is_empty() {
        blocks.push(Block::Note(Tone::Bad, order.reason.clone()));
    }
    blocks.push(Block::Facts(lang.t("order.facts").to_owned(), facts));
    blocks.push(Block::Way(lang.t("order.way").to_owned(), steps));
    let keys = ["id", "day", "event", "debit", "credit"];
    let all = with_query("/entries", [("id", format!("load/{title}/").as_str())]);
    let more = crate::view::detail::more(lang, entries.count, all);
    blocks.push(Block::List(Short::new(
        lang.t("order.entries"),
        Entries::columns(),
        &keys,
        &entries,
        look,
        more,
    )));
    let actions = entries
        .rows
        .first()
        .map(|row| (lang.t("order.to_entry").to_owned(), entry_href(row.booked.entry.id.as_str())));
    render(&Detail {
        crumbs: vec![crumb::<Loads>(lang)],
        tag: Some(order.state.cell(lang)),
        actions: actions.into_iter().collect(),
        blocks,
        f: asked.frame(&shared, title, Loads::PATH),
    })
}
