//! One clearing day: how far it is, its figures, its bills and what is missing.

use super::crumb;
use crate::layers::render;
use crate::list::{Ask, List};
use crate::lists::clearing::{Bills, Days, Files, counted};
use crate::problem::Problem;
use crate::view::cell::{Tone, Value};
use crate::view::detail::{Block, Detail, Figure, Short, Step, more};
use crate::view::url::with_query;
use crate::web::{Asked, Shared};
use crate::words::Word;
use axum::extract::{Path, State};
use axum::response::Html;
use std::sync::Arc;
use ykt_base::Date;
use ykt_clearing::{FileState, Phase, queries};
use ykt_files::Sum;
use ykt_office::people::Permission;

/// The page of a clearing day.
pub(crate) async fn page(
    State(shared): State<Arc<Shared>>,
    Path(day): Path<String>,
    asked: Asked,
) -> Result<Html<String>, Problem> {
    asked.signed.must(Permission::ReadBusiness)?;
    let (look, lang) = (asked.look(), asked.prefs.lang);
    let day: Date = day.parse().map_err(|_| Problem::not_found(day))?;
    let (row, bills, files) = shared
        .read(move |tx| {
            let row = queries::day(tx, day)?.ok_or_else(|| Problem::not_found(day.to_string()))?;
            let bills = Bills::find(tx, &Ask::parse::<Bills>(&format!("day={day}&rows=200"))?, look)?;
            let files = Files::find(tx, &Ask::parse::<Files>(&format!("day={day}&rows=20"))?, look)?;
            Ok((row, bills, files))
        })
        .await?;
    let day_text = day.to_string();
    let figure = |title: &'static str, sum: Sum, href: String| Figure {
        title,
        value: Value::Amount(sum.amount),
        note: lang.counted("bill.records", sum.count),
        href: (sum.count > 0).then_some(href),
    };
    let of_day = |path: &str| with_query(path, [("day", day_text.as_str())]);
    let figures = vec![
        figure("days.received", row.records, of_day("/records")),
        figure("days.confirmed", row.confirmed, counted(day, None, "confirmed")),
        figure("days.refused", row.refused, counted(day, None, "refused-on-arrival")),
        figure("days.adjusted", row.adjusted, counted(day, None, "adjusted")),
        figure("days.adjustment_refused", row.adjustment_refused, counted(day, None, "adjustment-refused")),
        Figure {
            title: "days.commission",
            value: Value::Amount(row.commission),
            note: String::new(),
            href: Some(of_day("/bills")),
        },
        Figure {
            title: "days.net",
            value: Value::Amount(row.net),
            note: lang.counted("day.bills", bills.count),
            href: Some(of_day("/bills")),
        },
        Figure {
            title: "days.files",
            value: Value::Number(row.files.into()),
            note: lang.fill(
                "day.odd_files",
                &[("repeated", &row.repeated_files.to_string()), ("broken", &row.broken_files.to_string())],
            ),
            href: Some(with_query(
                "/files",
                [("day", day_text.as_str()), ("state", FileState::Accepted.slug())],
            )),
        },
    ];
    let steps = Phase::ALL
        .iter()
        .map(|phase| {
            let when = match phase {
                Phase::Judging => row.begun_at,
                Phase::Closed => row.ended_at,
                _ => None,
            };
            Step {
                class: if *phase <= row.phase { "" } else { "open" },
                name: phase.in_words(lang).to_owned(),
                when: when.map(|at| at.to_string()).unwrap_or_default(),
                what: String::new(),
                href: None,
            }
        })
        .collect();
    let mut blocks = vec![Block::Figures(figures)];
    if !row.missing.is_empty() {
        let names: Vec<String> = row
            .missing
            .iter()
            .map(|file| format!("{} {} #{}", file.merchant, file.file_day, file.sequence))
            .collect();
        blocks.push(Block::Note(Tone::Warn, lang.fill("day.missing", &[("files", &names.join(", "))])));
    }
    blocks.push(Block::List(Short::new(
        lang.t("nav.bills"),
        Bills::columns(),
        &["bill", "industry", "state", "count", "confirmed", "adjusted", "refused", "commission", "net"],
        &bills,
        look,
        more(lang, bills.count, of_day("/bills")),
    )));
    blocks.push(Block::List(Short::new(
        lang.t("nav.files"),
        Files::columns(),
        &["name", "state", "received", "records", "amount", "reason"],
        &files,
        look,
        more(lang, files.count, of_day("/files")),
    )));
    blocks.push(Block::Way(lang.t("days.phase").to_owned(), steps));
    render(&Detail {
        crumbs: vec![crumb::<Days>(lang)],
        tag: Some(row.phase.cell(lang)),
        actions: vec![
            (lang.t("nav.refusals").to_owned(), of_day("/refusals")),
            (lang.t("nav.trial").to_owned(), of_day("/trial")),
            (lang.t("nav.payments").to_owned(), of_day("/payments")),
        ],
        blocks,
        f: asked.frame(&shared, lang.fill("day.title", &[("day", &day_text)]), Days::PATH),
    })
}
