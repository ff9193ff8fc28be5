//! One file: what became of it, and its records.

use super::crumb;
use crate::layers::render;
use crate::list::{Ask, List};
use crate::lists::cards::merchant_cell;
use crate::lists::clearing::{Files, day_href};
use crate::lists::records::{Records, file_records};
use crate::problem::Problem;
use crate::view::cell::{Cell, Tone};
use crate::view::detail::{Block, Detail, Short, more};
use crate::web::{Asked, Shared};
use crate::words::Word;
use axum::extract::{Path, State};
use axum::response::Html;
use std::sync::Arc;
use ykt_clearing::queries;
use ykt_clearing::{FileId, FileState};
use ykt_office::people::Permission;

/// The page of a file.
pub(crate) async fn page(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<i64>,
    asked: Asked,
) -> Result<Html<String>, Problem> {
    asked.signed.must(Permission::ReadBusiness)?;
    let (look, lang) = (asked.look(), asked.prefs.lang);
    let (file, records) = shared
        .read(move |tx| {
            let missing = || Problem::not_found(format!("file {id}"));
            let file = queries::file(tx, FileId(id))?.ok_or_else(missing)?;
            let records = Records::find(tx, &Ask::parse::<Records>(&format!("file={id}&rows=50"))?, look)?;
            Ok((file, records))
        })
        .await?;
    let facts = vec![
        ("files.merchant", merchant_cell(file.merchant.as_str())),
        ("files.day", Cell::date(file.day).to(day_href(file.day))),
        ("files.received", Cell::at(file.received_at)),
        ("files.records", Cell::number(file.records)),
        ("files.amount", Cell::amount(file.amount)),
        ("files.sequence", file.sequence.map_or_else(Cell::nothing, Cell::serial)),
        ("files.hash", Cell::text(file.hash.to_string())),
    ];
    let mut blocks = Vec::new();
    if !file.reason.is_empty() {
        let tone = if file.state == FileState::Accepted { Tone::Warn } else { Tone::Bad };
        blocks.push(Block::Note(tone, file.reason.clone()));
    }
    blocks.push(Block::Facts(lang.t("file.facts").to_owned(), facts));
    if file.state == FileState::Accepted {
        let keys = ["record", "at", "card", "amount", "verdict", "cause", "pos"];
        let all = more(lang, records.count, file_records(file.id));
        blocks.push(Block::List(Short::new(
            lang.t("nav.records"),
            Records::columns(),
            &keys,
            &records,
            look,
            all,
        )));
    }
    render(&Detail {
        crumbs: vec![crumb::<Files>(lang)],
        tag: Some(file.state.cell(lang)),
        actions: Vec::new(),
        blocks,
        f: asked.frame(&shared, file.name.clone(), Files::PATH),
    })
}
