//! One terminal: whose it is, and which PSAM it held when.

use super::crumb;
use crate::layers::render;
use crate::list::{Column, Found, List, Shape};
use crate::lists::cards::{Terminals, merchant_cell};
use crate::problem::Problem;
use crate::view::cell::Cell;
use crate::view::detail::{Block, Detail, Short};
use crate::view::url::with_query;
use crate::web::{Asked, Shared};
use crate::words::Word;
use axum::extract::{Path, State};
use axum::response::Html;
use std::sync::Arc;
use ykt_base::PosNo;
use ykt_office::people::Permission;
use ykt_office::terminals::{self, Pair};

const PAIR: &[Column<Pair>] = {
    type C = Column<Pair>;
    &[
        C::new("terminal", "terminals.terminal_id", Shape::Code, |row, _| {
            Cell::text(row.terminal_id.to_string())
        }),
        C::new("psam", "terminals.psam", Shape::Code, |row, _| Cell::text(row.psam_serial.to_string())),
        C::new("from", "terminal.from", Shape::Time, |row, _| Cell::at(row.from)),
        C::new("until", "terminal.until", Shape::Time, |row, _| Cell::at(row.until)),
    ]
};

/// The page of a terminal.
pub(crate) async fn page(
    State(shared): State<Arc<Shared>>,
    Path(pos): Path<String>,
    asked: Asked,
) -> Result<Html<String>, Problem> {
    asked.signed.must(Permission::ReadBusiness)?;
    let (look, lang) = (asked.look(), asked.prefs.lang);
    let pos: PosNo = pos.parse().map_err(|_| Problem::not_found(pos))?;
    let (row, pairs) = shared
        .read(move |tx| {
            let row = terminals::terminal(tx, &pos)?.ok_or_else(|| Problem::not_found(pos.as_str()))?;
            Ok((row, terminals::pairs_of(tx, &pos)?))
        })
        .await?;
    let facts = vec![
        ("terminals.merchant", merchant_cell(row.merchant.as_str())),
        ("terminals.state", row.state.cell(lang)),
        ("terminals.since", Cell::at(row.state_since)),
    ];
    let pairs = Found { count: 0, totals: Vec::new(), rows: pairs };
    let keys = ["terminal", "psam", "from", "until"];
    render(&Detail {
        crumbs: vec![crumb::<Terminals>(lang)],
        tag: Some(row.state.cell(lang)),
        actions: vec![(
            lang.t("nav.records").to_owned(),
            with_query("/records", [("pos", row.pos.as_str())]),
        )],
        blocks: vec![
            Block::Facts(lang.t("terminal.facts").to_owned(), facts),
            Block::List(Short::new(lang.t("terminal.pairs"), PAIR, &keys, &pairs, look, None)),
        ],
        f: asked.frame(&shared, row.pos.to_string(), Terminals::PATH),
    })
}
