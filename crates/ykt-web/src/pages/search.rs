//! Search over what has a number: card, terminal, merchant, order, file, bill, record, entry. A single hit is
//! opened at once.

use crate::layers::{render, see_other};
use crate::list::{Ask, CardNumbers, Found, List, Look};
use crate::lists::books::entry_href;
use crate::lists::cards::{Cards, Merchants, Terminals, merchant_cell, terminal_cell};
use crate::lists::clearing::bill_href;
use crate::lists::loads::{Loads, order_href};
use crate::lists::records::record_href;
use crate::problem::Problem;
use crate::view::detail::{Block, Detail, Short, more};
use crate::view::url::{pairs, with_query};
use crate::web::{Asked, Shared};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use ykt_base::{Asn8, Date, MerchantCode, PosNo};
use ykt_clearing::queries::{self, FileFilter};
use ykt_clearing::{FileState, RecordId};
use ykt_ledger::EntryId;
use ykt_office::people::Permission;
use ykt_office::{cards, merchants, terminals};
use ykt_store::{PAGE_ROWS_MAX, Paging, Tx};

/// Rows of each kind that are shown.
const ROWS: u32 = 10;

/// What was found.
struct Hits {
    exact: Option<String>,
    cards: Found<<Cards as List>::Row>,
    merchants: Found<<Merchants as List>::Row>,
    orders: Found<<Loads as List>::Row>,
    terminals: Found<<Terminals as List>::Row>,
}

/// The page of a thing whose whole number was typed.
fn exact(tx: &Tx<'_>, q: &str, look: Look) -> Result<Option<String>, Problem> {
    if let Ok(asn) = q.parse::<Asn8>()
        && look.cards == CardNumbers::Whole
        && cards::card(tx, &asn)?.is_some()
    {
        return Ok(Some(format!("/cards/{asn}")));
    }
    if let Ok(pos) = q.parse::<PosNo>()
        && terminals::terminal(tx, &pos)?.is_some()
    {
        return Ok(terminal_cell(q).href);
    }
    if let Ok(code) = q.parse::<MerchantCode>()
        && merchants::merchant(tx, &code)?.is_some()
    {
        return Ok(merchant_cell(q).href);
    }
    if let Ok(id) = q.parse()
        && ykt_pay::order(tx, &id)?.is_some()
    {
        return Ok(Some(order_href(q)));
    }
    if let Some((day, merchant)) = q.split_once('/')
        && let (Ok(day), Ok(code)) = (day.parse::<Date>(), merchant.parse::<MerchantCode>())
        && queries::bill(tx, day, &code)?.is_some()
    {
        return Ok(Some(bill_href(day, merchant)));
    }
    if let Ok(number) = q.parse::<i64>()
        && let Some(row) = queries::record(tx, RecordId::from_number(number))?
    {
        return Ok(Some(record_href(row.id)));
    }
    if let Ok(id) = EntryId::new(q)
        && ykt_ledger::entry(tx, &id)?.is_some()
    {
        return Ok(Some(entry_href(q)));
    }
    file_named(tx, q)
}

/// A file by its name: `XF`, day, industry, merchant, sequence.
fn file_named(tx: &Tx<'_>, q: &str) -> Result<Option<String>, Problem> {
    let Some(merchant) = q.get(12..27).and_then(|code| code.parse().ok()) else { return Ok(None) };
    let filter = FileFilter { merchant: Some(merchant), ..FileFilter::default() };
    let files = queries::files(tx, &filter, Paging::first(PAGE_ROWS_MAX))?;
    let named = || files.rows.iter().filter(|file| file.name == q);
    // A name comes twice when a file is repeated; the one that was taken is meant.
    let taken = named().find(|file| file.state == FileState::Accepted).or_else(|| named().next());
    Ok(taken.map(|file| format!("/files/{}", file.id.0)))
}

/// The rows a filter of a list finds; nothing when the words do not fit the filter.
fn some<L: List>(tx: &Tx<'_>, key: &str, q: &str, look: Look) -> Result<Found<L::Row>, Problem> {
    let nothing = Found { rows: Vec::new(), count: 0, totals: Vec::new() };
    let rows = ROWS.to_string();
    let query = with_query("", [(key, q), ("rows", rows.as_str())]);
    let Ok(ask) = Ask::parse::<L>(query.trim_start_matches('?')) else { return Ok(nothing) };
    match L::find(tx, &ask, look) {
        Ok(found) => Ok(Found { totals: Vec::new(), ..found }),
        Err(crate::list::ListError::Ask { .. }) => Ok(nothing),
        Err(error) => Err(error.into()),
    }
}

/// The page of a search.
pub(crate) async fn page(State(shared): State<Arc<Shared>>, asked: Asked) -> Result<Response, Problem> {
    asked.signed.must(Permission::ReadBusiness)?;
    let (look, lang) = (asked.look(), asked.prefs.lang);
    let q = pairs(&asked.query).into_iter().find(|(key, _)| key == "q").map_or_else(String::new, |(_, q)| q);
    let q: String = q.trim().chars().take(80).collect();
    if q.is_empty() {
        return Ok(see_other("/"));
    }
    let words = q.clone();
    let hits = shared
        .read(move |tx| {
            Ok(Hits {
                exact: exact(tx, &q, look)?,
                cards: some::<Cards>(tx, "number", &q, look)?,
                merchants: some::<Merchants>(tx, "text", &q, look)?,
                orders: some::<Loads>(tx, "text", &q, look)?,
                terminals: some::<Terminals>(tx, "merchant", &q, look)?,
            })
        })
        .await?;
    if let Some(href) = hits.exact {
        return Ok(see_other(&href));
    }
    let mut blocks = Vec::new();
    let all = |path: &str, key: &str| with_query(path, [(key, words.as_str())]);
    if hits.cards.count > 0 {
        let more = more(lang, hits.cards.count, all("/cards", "number"));
        let keys = ["card", "state", "issued"];
        blocks.push(Block::List(Short::new(
            lang.t("nav.cards"),
            Cards::columns(),
            &keys,
            &hits.cards,
            look,
            more,
        )));
    }
    if hits.merchants.count > 0 {
        let more = more(lang, hits.merchants.count, all("/merchants", "text"));
        let keys = ["code", "name", "industry"];
        let title = lang.t("nav.merchants");
        blocks.push(Block::List(Short::new(title, Merchants::columns(), &keys, &hits.merchants, look, more)));
    }
    if hits.terminals.count > 0 {
        let more = more(lang, hits.terminals.count, all("/terminals", "merchant"));
        let keys = ["pos", "merchant", "state"];
        let title = lang.t("nav.terminals");
        blocks.push(Block::List(Short::new(title, Terminals::columns(), &keys, &hits.terminals, look, more)));
    }
    if hits.orders.count > 0 {
        let more = more(lang, hits.orders.count, all("/loads", "text"));
        let keys = ["order", "card", "state", "amount", "paid"];
        blocks.push(Block::List(Short::new(
            lang.t("nav.loads"),
            Loads::columns(),
            &keys,
            &hits.orders,
            look,
            more,
        )));
    }
    if blocks.is_empty() {
        blocks
            .push(Block::Note(crate::view::cell::Tone::Warn, lang.fill("search.none", &[("words", &words)])));
    }
    let mut f = asked.frame(&shared, lang.t("search.title"), "");
    f.search = words;
    let page = Detail { crumbs: Vec::new(), tag: None, actions: Vec::new(), blocks, f };
    Ok(render(&page)?.into_response())
}
