//! The audit log beside its list: one record with what proves it, the chain with its checkpoints, and the export that
//! proves itself.

use super::crumb;
use crate::act::{Acted, Doing, Done, Fault, Filled};
use crate::i18n::Lang;
use crate::list::{Column, Found, List, Shape};
use crate::lists::audit::Audit;
use crate::lists::{Reading, admit};
use crate::problem::Problem;
use crate::verified::Known;
use crate::view::cell::{Cell, Tone, grouped};
use crate::view::detail::{Block, Detail, Short};
use crate::view::form::Form;
use crate::view::url::with_query;
use crate::web::{Asked, Shared, blocking};
use crate::words::Word;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use ykt_office::audit::{self, ChainReport, Checkpoint, Outcome, file};
use ykt_office::people::Permission;
use ykt_store::StoreError;

/// Where the chain is shown.
pub(crate) const CHAIN: &str = "/audit-chain";
/// Where the whole of it is verified.
pub(crate) const VERIFY: &str = "/audit-chain/verify";
/// The whole log as a file that proves itself.
pub(crate) const EXPORT: &str = "/audit.jsonl";
const NEEDS: Permission = Permission::ReadAudit;

/// The address of a record.
pub(crate) fn href(seq: u64) -> String {
    format!("/audit/{seq}")
}

/// One record, with its link and the checkpoint that covers it.
pub(crate) async fn record(
    State(shared): State<Arc<Shared>>,
    Path(seq): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    admit::<Audit>(&shared, &asked, Reading::Page).await?;
    let no: u64 = seq.parse().map_err(|_| Problem::not_found(seq.as_str()))?;
    let (row, before, over) = shared
        .read(move |tx| {
            let row = audit::record(tx, no)?.ok_or_else(|| Problem::not_found(seq))?;
            let before = audit::record(tx, no.saturating_sub(1))?;
            Ok((row, before, audit::checkpoint_over(tx, no)?))
        })
        .await?;
    let (lang, look) = (asked.prefs.lang, asked.look());
    let mut facts: Vec<(&'static str, Cell)> =
        Audit::columns().iter().map(|column| (column.title, (column.cell)(&row, look))).collect();
    let before = before.map(|row| Cell::text(row.link.to_string()).to(href(row.seq)));
    facts.push(("audit.link_before", before.unwrap_or_else(Cell::nothing)));
    facts.push((
        "audit.covered_by",
        over.map_or_else(
            || Cell::status(lang, "state", "unsigned", Tone::Quiet),
            |over| Cell::text(over.no.to_string()).to(CHAIN),
        ),
    ));
    Filled::default().page(&Detail {
        crumbs: vec![crumb::<Audit>(lang)],
        tag: Some(row.outcome.cell(lang)),
        actions: vec![
            (lang.t("audit.same_person").to_owned(), with_query(Audit::PATH, [("who", row.who.as_str())])),
            (lang.t("audit.same_act").to_owned(), with_query(Audit::PATH, [("what", row.what.as_str())])),
        ],
        blocks: vec![Block::Facts(lang.t("audit.record").to_owned(), facts)],
        f: asked.frame(&shared, lang.fill("audit.record_no", &[("no", &row.seq.to_string())]), Audit::PATH),
    })
}

const CHECKPOINT: &[Column<Checkpoint>] = {
    type C = Column<Checkpoint>;
    &[
        C::new("no", "audit.checkpoint", Shape::Number, |row, _| Cell::serial(row.no)),
        C::new("at", "audit.at", Shape::Time, |row, _| Cell::at(row.at)),
        C::new("records", "audit.covers", Shape::Number, |row, _| {
            Cell::number(row.records).to(href(row.records))
        }),
        C::new("link", "audit.link", Shape::Code, |row, _| Cell::text(short(&row.link.to_string()))),
        C::new("signer", "audit.signer", Shape::Code, |row, _| {
            Cell::text(short(&row.fingerprint().to_string()))
        }),
        C::new("signature", "audit.signature", Shape::Text, |row, look| signature(row, look.lang)),
    ]
};
/// Checkpoints shown, the latest first.
const CHECKPOINTS_SHOWN: usize = 50;

/// The first digits of a hash: enough to tell two apart.
fn short(hash: &str) -> String {
    format!("{}…", hash.get(..16).unwrap_or(hash))
}

fn signature(checkpoint: &Checkpoint, lang: Lang) -> Cell {
    if checkpoint.is_signed() {
        Cell::status(lang, "state", "signed", Tone::Good)
    } else {
        Cell::status(lang, "state", "forged", Tone::Bad)
    }
}

/// The chain: how far it is signed, by whom, and whether it is whole.
pub(crate) async fn chain(State(shared): State<Arc<Shared>>, asked: Asked) -> Result<Response, Problem> {
    admit::<Audit>(&shared, &asked, Reading::Page).await?;
    chain_view(&shared, &asked, &Filled::default()).await
}

async fn chain_view(shared: &Arc<Shared>, asked: &Asked, filled: &Filled) -> Result<Response, Problem> {
    let (lang, look) = (asked.prefs.lang, asked.look());
    let reader = Arc::clone(shared);
    let (known, head, mut checkpoints) = shared
        .read(move |tx| Ok((reader.verified.look(tx)?, audit::head(tx)?, audit::checkpoints(tx)?)))
        .await?;
    checkpoints.reverse();
    let last = checkpoints.first();
    let records = head.as_ref().map_or(0, |head| head.seq);
    let covered = last.map_or(0, |last| last.records);
    let (tone, tag) = match &known {
        known if known.fault().is_some() => (Tone::Bad, "altered"),
        Known::All(..) => (Tone::Good, "whole"),
        Known::Tail(..) => (Tone::Info, "partly-verified"),
        Known::Nothing => (Tone::Warn, "unverified"),
    };
    let words = known_words(lang, &known, (checkpoints.len(), covered));
    let verified_at = match &known {
        Known::All(whole, _) => Cell::at(whole.at),
        _ => Cell::nothing(),
    };
    let facts = vec![
        ("audit.records", Cell::number(records).to(Audit::PATH)),
        ("audit.verified_at", verified_at),
        ("audit.link_last", head.map_or_else(Cell::nothing, |head| Cell::text(head.link.to_string()))),
        ("audit.checkpoint_last", last.map_or_else(Cell::nothing, |last| Cell::at(last.at))),
        ("audit.covers", Cell::number(covered)),
        ("audit.not_covered", Cell::number(records.saturating_sub(covered))),
        (
            "audit.fingerprint",
            last.map_or_else(Cell::nothing, |last| Cell::text(last.fingerprint().to_string())),
        ),
    ];
    let tag = Cell::status(lang, "state", tag, tone);
    let count = u64::try_from(checkpoints.len()).unwrap_or(u64::MAX);
    checkpoints.truncate(CHECKPOINTS_SHOWN);
    let found = Found { rows: checkpoints, count, totals: Vec::new() };
    let keys = ["no", "at", "records", "link", "signer", "signature"];
    let mut blocks = vec![
        Block::Note(tone, words),
        Block::Facts(lang.t("audit.chain").to_owned(), facts),
        Block::List(Short::new(lang.t("audit.checkpoints"), CHECKPOINT, &keys, &found, look, None)),
    ];
    let whole = Form::new(asked, "audit.verify", VERIFY, "audit.verify_go").lead(lang.t("audit.verify_lead"));
    blocks.push(Block::Form(whole.filled(filled)));
    if covered < records && shared.can_sign() {
        let form = Form::new(asked, "audit.sign", CHAIN, "audit.sign_go").lead(lang.t("audit.sign_lead"));
        blocks.push(Block::Form(form.filled(filled)));
    }
    filled.page(&Detail {
        crumbs: vec![crumb::<Audit>(lang)],
        tag: Some(tag),
        actions: vec![(lang.t("audit.export").to_owned(), EXPORT.to_owned())],
        blocks,
        f: asked.frame(shared, lang.t("audit.chain"), Audit::PATH),
    })
}

/// What is known of the chain, in the reader's language: no more than was read.
fn known_words(lang: Lang, known: &Known, (checkpoints, covered): (usize, u64)) -> String {
    if let Some(fault) = known.fault() {
        return fault_words(lang, fault);
    }
    let no = |number: u64| grouped(i64::try_from(number).unwrap_or(i64::MAX));
    let last = |report: &ChainReport| match report {
        ChainReport::Whole { from, records, .. } => (*from, *records),
        _ => (0, 0),
    };
    match known {
        Known::Nothing => lang.t("audit.nothing_verified").to_owned(),
        Known::Tail(start, report) => {
            let (from, until) = last(report);
            let places = [("no", no(start.no.into())), ("from", no(from)), ("until", no(until))];
            let places = places.each_ref().map(|(name, value)| (*name, value.as_str()));
            lang.fill(if from > until { "audit.none_behind" } else { "audit.tail_whole" }, &places)
        }
        Known::All(whole, since) => {
            let (_, records) = last(&whole.report);
            let (_, until) = since.as_ref().map_or((1, records), last);
            let signed = u64::try_from(checkpoints).unwrap_or(u64::MAX);
            let places = [
                ("records", no(records)),
                ("at", whole.at.to_string()),
                ("until", no(until)),
                ("count", no(signed)),
                ("covered", no(covered)),
            ];
            let places = places.each_ref().map(|(name, value)| (*name, value.as_str()));
            lang.fill(if since.is_some() { "audit.whole" } else { "audit.whole_then" }, &places)
        }
    }
}

/// What was found wrong, in the reader's language.
fn fault_words(lang: Lang, report: &ChainReport) -> String {
    let no = |number: u64| number.to_string();
    match report {
        // No fault: nothing asks for its words.
        ChainReport::Whole { .. } => String::new(),
        ChainReport::Missing { seq } => lang.fill("audit.missing", &[("no", &no(*seq))]),
        ChainReport::Changed { seq } => lang.fill("audit.changed", &[("no", &no(*seq))]),
        ChainReport::CheckpointMissing { no: number } => {
            lang.fill("audit.checkpoint_missing", &[("no", &no((*number).into()))])
        }
        ChainReport::CheckpointForged { no: number }
        | ChainReport::CheckpointBySomebodyElse { no: number, .. } => {
            lang.fill("audit.checkpoint_forged", &[("no", &no((*number).into()))])
        }
        ChainReport::Rewritten { from, until, no: number } => lang.fill(
            "audit.rewritten",
            &[("from", &no(*from)), ("until", &no(*until)), ("no", &no((*number).into()))],
        ),
    }
}

/// Verifies all of the log now; that somebody did, and what came of it, is a record of its own.
pub(crate) async fn verify(doing: Doing) -> Result<Response, Problem> {
    let acted = doing
        .run(NEEDS, |work| {
            let store = &work.shared.app.store;
            let report = store.read(|tx| work.shared.verified.whole(tx, work.act.at))?;
            let outcome = if report.is_whole() { Outcome::Done } else { Outcome::Refused };
            let detail = report.to_string();
            store.write(|tx| audit::append(tx, &work.act, "audit/verify", CHAIN, outcome, &detail))?;
            Ok(Done::at(CHAIN))
        })
        .await?;
    match acted {
        Acted::Done(answer) => Ok(answer),
        Acted::Refused(filled) => chain_view(&doing.shared, &doing.asked, &filled).await,
    }
}

/// Signs a checkpoint now.
pub(crate) async fn sign(doing: Doing) -> Result<Response, Problem> {
    let acted = doing
        .run(NEEDS, |work| {
            let made = work.shared.checkpoint(work.act.at).map_err(|error| Fault::said(error.to_string()))?;
            let no = made.map_or(0, |made| made.no).to_string();
            Ok(Done::at(CHAIN).say("audit.signed", [("no", &no)]))
        })
        .await?;
    match acted {
        Acted::Done(answer) => Ok(answer),
        Acted::Refused(filled) => chain_view(&doing.shared, &doing.asked, &filled).await,
    }
}

/// The whole log as a file; what is not signed yet is signed first, where there is a key.
pub(crate) async fn export(State(shared): State<Arc<Shared>>, asked: Asked) -> Result<Response, Problem> {
    admit::<Audit>(&shared, &asked, Reading::Export).await?;
    let body = blocking(move || {
        let now = shared.app.clock.now();
        if let Err(error) = shared.checkpoint(now) {
            // The log is given out as far as it is signed; the file says how far that is.
            tracing::warn!(%error, "no checkpoint before the export: {error}");
        }
        let mut out = Vec::new();
        let written = shared.app.store.read(|tx| Ok::<_, StoreError>(file::write(tx, now, &mut out)))?;
        written.map_err(|error| Problem::internal(&error))?;
        Ok(out)
    })
    .await?;
    let name = "attachment; filename=\"ykt-audit.jsonl\"";
    let kind = "application/x-ndjson; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], body).into_response())
}
