//! One record: its way card → terminal → file → verdict → entry → bill → payment.

use super::crumb;
use crate::i18n::Lang;
use crate::layers::render;
use crate::list::{CardNumbers, List, Look};
use crate::lists::books::entry_href;
use crate::lists::cards::{card_cell, merchant_cell, terminal_cell};
use crate::lists::clearing::bill_href;
use crate::lists::records::{Records, cause_cell, standing_cell};
use crate::problem::Problem;
use crate::view::cell::{Cell, Tone};
use crate::view::detail::{Block, Detail, Step};
use crate::view::url::with_query;
use crate::web::{Asked, Shared};
use crate::words::Word;
use axum::extract::{Path, State};
use axum::response::Html;
use std::sync::Arc;
use ykt_base::Date;
use ykt_clearing::queries::{self, RecordRow, Standing};
use ykt_clearing::{Bill, RecordId, State as Fate};
use ykt_ledger::{BookedEntry, EntryId};
use ykt_office::people::Permission;
use ykt_store::Tx;

/// What belongs to a record.
struct Seen {
    row: RecordRow,
    entry: Option<BookedEntry>,
    bill: Option<Bill>,
    line: Option<String>,
}

/// Clearing day of the bill that pays a record, and the name of the entry that books it.
fn booked(row: &RecordRow) -> Option<(Date, &'static str)> {
    match (row.standing, row.verdict) {
        (Standing::Accepted, _) => Some((row.day, "purchase")),
        (Standing::Verdict(Fate::Accepted), Some(verdict)) => {
            let day = verdict.settled_day?;
            Some((day, if day == row.day { "purchase" } else { "adjustment" }))
        }
        (Standing::Verdict(Fate::OperatorBears), Some(verdict)) => Some((verdict.settled_day?, "lost")),
        _ => None,
    }
}

fn see(tx: &Tx<'_>, id: RecordId) -> Result<Seen, Problem> {
    let missing = || Problem::not_found(format!("record {}", id.number()));
    let row = queries::record(tx, id)?.ok_or_else(missing)?;
    let (mut entry, mut bill) = (None, None);
    if let Some((day, name)) = booked(&row) {
        bill = queries::bill(tx, day, &row.merchant)?;
        if let Ok(id) = EntryId::new(format!("clearing/{}/{}/{name}", day.compact(), row.merchant)) {
            entry = ykt_ledger::entry(tx, &id)?;
        }
    }
    let line = queries::line(tx, id)?.map(|line| String::from_utf8_lossy(&line.0).into_owned());
    Ok(Seen { row, entry, bill, line })
}

/// The page of a record.
pub(crate) async fn page(
    State(shared): State<Arc<Shared>>,
    Path(number): Path<i64>,
    asked: Asked,
) -> Result<Html<String>, Problem> {
    asked.signed.must(Permission::ReadBusiness)?;
    let (look, lang) = (asked.look(), asked.prefs.lang);
    let seen = shared.read(move |tx| see(tx, RecordId::from_number(number))).await?;
    let row = &seen.row;
    let mut facts = Vec::new();
    if let Some(p) = row.purchase {
        facts.extend([
            ("records.at", Cell::at(p.at)),
            ("records.card", card_cell(&p.asn, look)),
            ("records.amount", Cell::amount(p.amount)),
            ("records.before", Cell::amount(p.balance_before)),
            ("record.after", Cell::amount(p.balance_after())),
            ("records.counter", Cell::serial(p.counter.0)),
            ("records.pos", terminal_cell(p.pos.as_str())),
            ("records.terminal", Cell::text(p.terminal.to_string())),
            ("records.sequence", Cell::serial(p.sequence.0)),
            ("record.tac", if p.is_grey() { Cell::nothing() } else { Cell::text(p.tac.to_string()) }),
        ]);
    }
    facts.push(("records.merchant", merchant_cell(row.merchant.as_str())));
    facts.push(("records.day", Cell::date(row.day).to(format!("/days/{}", row.day))));
    if let Some(verdict) = row.verdict {
        facts.push(("records.cause", cause_cell(verdict.cause, look)));
        if verdict.first_cause != verdict.cause {
            facts.push(("record.first_cause", cause_cell(verdict.first_cause, look)));
        }
        facts.push(("records.settled", Cell::date(verdict.settled_day)));
    }
    let mut blocks = Vec::new();
    if let Some(verdict) = row.verdict.filter(|_| !matches!(row.standing, Standing::Verdict(Fate::Accepted)))
    {
        let next = lang.t(next_key(verdict.state));
        let words = format!(
            "{} ({} · {}). {next}",
            verdict.cause.in_words(lang),
            verdict.cause.step(),
            verdict.cause.code()
        );
        let tone = verdict.state.tone();
        blocks.push(Block::Note(tone, words));
    }
    blocks.push(Block::Way(lang.t("record.way").to_owned(), way(&seen, look)));
    blocks.push(Block::Facts(lang.t("record.facts").to_owned(), facts));
    // The line holds the whole card number.
    if let (Some(line), CardNumbers::Whole) = (&seen.line, look.cards) {
        blocks.push(Block::Raw(lang.t("record.line").to_owned(), line.clone()));
    }
    let tag = standing_cell(row, look);
    render(&Detail {
        crumbs: vec![crumb::<Records>(lang)],
        tag: Some(tag),
        actions: Vec::new(),
        blocks,
        f: asked.frame(&shared, lang.fill("record.title", &[("no", &number.to_string())]), Records::PATH),
    })
}

/// What happens next with a record in this state.
fn next_key(state: Fate) -> &'static str {
    match state {
        Fate::Refused => "record.next_refused",
        Fate::Parked => "record.next_parked",
        Fate::Test => "record.next_test",
        Fate::OperatorBears => "record.next_operator",
        Fate::Void => "record.next_void",
        Fate::Accepted => "record.next_accepted",
    }
}

fn way(seen: &Seen, look: Look) -> Vec<Step> {
    let (lang, row) = (look.lang, &seen.row);
    let mut steps = Vec::new();
    if let Some(p) = row.purchase {
        let card = card_cell(&p.asn, look);
        let what = lang.fill(
            "record.debited",
            &[("before", &p.balance_before.to_string()), ("after", &p.balance_after().to_string())],
        );
        let name = format!("{} {}", lang.t("record.card"), card.value.shown());
        steps.push(Step { class: "", name, when: p.at.to_string(), what, href: card.href });
        let what = lang.fill(
            "record.sequence",
            &[("terminal", &p.terminal.to_string()), ("no", &p.sequence.to_string())],
        );
        let name = format!("{} {}", lang.t("record.terminal"), p.pos);
        let href = terminal_cell(p.pos.as_str()).href;
        steps.push(Step { class: "", name, when: p.at.to_string(), what, href });
    }
    steps.push(Step {
        class: "",
        name: format!("{} {}", lang.t("records.file"), row.file),
        when: row.day.to_string(),
        what: lang.fill("record.in_file", &[("line", &row.id.line().to_string())]),
        href: Some(format!("/files/{}", row.id.file().0)),
    });
    let standing = standing_cell(row, look);
    steps.push(Step {
        class: class_of(standing.tone),
        name: format!("{}: {}", lang.t("records.verdict"), standing.value.shown()),
        when: row.verdict.and_then(|v| v.settled_day).unwrap_or(row.day).to_string(),
        what: row.verdict.map(|v| v.cause.in_words(lang).to_owned()).unwrap_or_default(),
        href: row.verdict.map(|v| with_query("/refusals", [("cause", v.cause.slug())])),
    });
    steps.extend(money(seen, lang));
    steps
}

fn class_of(tone: Option<Tone>) -> &'static str {
    match tone {
        Some(Tone::Bad) => "bad",
        Some(Tone::Warn) => "warn",
        Some(Tone::Info) => "open",
        _ => "",
    }
}

/// Entry, bill and payment; what is still to come is shown open.
fn money(seen: &Seen, lang: Lang) -> Vec<Step> {
    let open = |key: &str| Step {
        class: "open",
        name: lang.t(key).to_owned(),
        when: String::new(),
        what: lang.t("record.not_yet").to_owned(),
        href: None,
    };
    let never = matches!(seen.row.standing, Standing::Verdict(Fate::Refused | Fate::Test | Fate::Void));
    if never {
        return Vec::new();
    }
    let entry = match &seen.entry {
        Some(booked) => Step {
            class: "",
            name: format!("{} {}", lang.t("record.entry"), booked.entry.id),
            when: booked.entry.at.to_string(),
            what: lang.t("record.in_entry").to_owned(),
            href: Some(entry_href(booked.entry.id.as_str())),
        },
        None => open("record.entry"),
    };
    let bill = match &seen.bill {
        Some(bill) => Step {
            class: "",
            name: format!("{} {}/{}", lang.t("record.bill"), bill.day, bill.merchant),
            when: bill.day.to_string(),
            what: format!("{} {}", lang.t("bills.net"), bill.net),
            href: Some(bill_href(bill.day, bill.merchant.as_str())),
        },
        None => open("record.bill"),
    };
    let payment = match &seen.bill {
        Some(bill) if bill.payment.is_some() => Step {
            class: match bill.state.tone() {
                Tone::Good => "",
                Tone::Bad => "bad",
                _ => "open",
            },
            name: format!("{}: {}", lang.t("record.payment"), bill.state.in_words(lang)),
            when: String::new(),
            what: String::new(),
            href: Some(with_query("/payments", [("merchant", bill.merchant.as_str())])),
        },
        _ => open("record.payment"),
    };
    vec![entry, bill, payment]
}
