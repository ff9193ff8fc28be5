//! One entry of the books: its legs, and the way back to what it was booked for.

use crate::i18n::Lang;
use crate::layers::render;
use crate::lists::books::event_cell;
use crate::problem::Problem;
use crate::view::cell::Cell;
use crate::view::frame::Frame;
use crate::view::url::{segment, with_query};
use crate::web::{Asked, Shared};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Html;
use std::sync::Arc;
use ykt_base::Fen;
use ykt_ledger::{BookedEntry, EntryId};
use ykt_office::people::Permission;

#[derive(Template)]
#[template(path = "entry.html")]
struct EntryPage {
    f: Frame,
    booked: BookedEntry,
    event: Cell,
    legs: Vec<LegRow>,
    sums: (Fen, Fen),
    origin: Option<(String, String)>,
}

struct LegRow {
    account: String,
    href: String,
    name: &'static str,
    debit: Option<Fen>,
    credit: Option<Fen>,
}

/// The page of an entry.
pub(crate) async fn page(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Html<String>, Problem> {
    asked.signed.must(Permission::ReadBusiness)?;
    let id = EntryId::new(&id).map_err(|error| Problem::not_found(error.to_string()))?;
    let name = id.to_string();
    let booked = shared
        .read(move |tx| ykt_ledger::entry(tx, &id)?.ok_or_else(|| Problem::not_found(id.as_str())))
        .await?;
    let lang = asked.prefs.lang;
    let legs: Vec<LegRow> = booked
        .entry
        .legs
        .iter()
        .map(|leg| {
            let subject = leg.account.subject();
            LegRow {
                account: leg.account.to_string(),
                href: with_query("/entries", [("account", leg.account.as_str())]),
                name: lang.pick(subject.name_zh, subject.name_en),
                debit: (!leg.amount.is_negative()).then_some(leg.amount),
                credit: leg.amount.is_negative().then(|| leg.amount.checked_neg()).flatten(),
            }
        })
        .collect();
    let sums =
        (legs.iter().filter_map(|leg| leg.debit).sum(), legs.iter().filter_map(|leg| leg.credit).sum());
    let event = event_cell(&booked.entry.event, asked.look());
    let origin = origin(lang, &booked);
    let f = asked.frame(&shared, name, "/entries");
    render(&EntryPage { f, booked, event, legs, sums, origin })
}

/// What an entry was booked for, by its id: `load/{order}/…`, `clearing/{day}/{merchant}/…`.
fn origin(lang: Lang, booked: &BookedEntry) -> Option<(String, String)> {
    let id = booked.entry.id.as_str();
    let parts: Vec<&str> = id.split('/').collect();
    match parts.as_slice() {
        ["load", order, ..] => {
            Some((lang.t("entry.to_order").to_owned(), format!("/loads/{}", segment(order))))
        }
        ["clearing", day, merchant, ..] => {
            let href = with_query("/bills", [("from", *day), ("until", *day), ("merchant", *merchant)]);
            Some((lang.t("entry.to_bill").to_owned(), href))
        }
        _ => None,
    }
}
