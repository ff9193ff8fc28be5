//! One key card with its history; one batch of PSAMs with its progress, its labels and its protocol.

use super::crumb;
use crate::i18n::Lang;
use crate::layers::render;
use crate::list::{Ask, Found, List};
use crate::lists::keys::kind_words;
use crate::lists::production::{KeyCards, PsamBatches, Psams};
use crate::problem::Problem;
use crate::view::cell::{Cell, Tone, Value};
use crate::view::detail::{Bar, Block, Detail, Figure, Short, Step, more};
use crate::view::frame::Frame;
use crate::view::url::{segment, with_query};
use crate::web::{Asked, Shared};
use crate::words::Word;
use askama::Template;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use qrcodegen::{QrCode, QrCodeEcc};
use std::fmt::Write;
use std::sync::Arc;
use ykt_base::PsamSerial;
use ykt_base::hex::Hex;
use ykt_kmc::key_cards::{self, InventoryError, KeyCardEventRow, NewKeyCard};
use ykt_kmc::psams::{self, BatchError, BatchState, Label, PsamState};
use ykt_office::Act;
use ykt_office::people::Permission;
use ykt_vault::KeyKind;

/// PSAMs that the page of a batch shows; the list has the others.
const ROWS: &str = "50";
/// White modules around the picture, as the standard of QR codes wants.
const QUIET_MODULES: i32 = 4;

fn inventory(error: InventoryError) -> Problem {
    match error {
        InventoryError::Store(error) => error.into(),
        error => Problem::not_found(error.to_string()),
    }
}

fn production(error: BatchError) -> Problem {
    match error {
        BatchError::Store(error) => error.into(),
        error => Problem::not_found(error.to_string()),
    }
}

/// The kinds of keys a key card may give away, by their names.
fn kinds_words(lang: Lang, card: &NewKeyCard) -> String {
    let given = |kind: &&KeyKind| kind.issue_kind().is_some_and(|kind| card.kinds.allow(kind));
    let names: Vec<String> = KeyKind::ALL.iter().filter(given).map(|kind| kind_words(lang, *kind)).collect();
    names.join(", ")
}

/// The page of a key card.
pub(crate) async fn key_card(
    State(shared): State<Arc<Shared>>,
    Path(serial): Path<String>,
    asked: Asked,
) -> Result<Html<String>, Problem> {
    asked.signed.must(KeyCards::NEEDS)?;
    let lang = asked.prefs.lang;
    let serial: PsamSerial = serial.parse().map_err(|_| Problem::not_found("key card"))?;
    let (row, history) = shared
        .read(move |tx| {
            Ok((key_cards::key_card(tx, &serial).map_err(inventory)?, key_cards::history(tx, &serial)?))
        })
        .await?;
    let cities: Vec<String> = row.new.cities.iter().map(ToString::to_string).collect();
    let figure = |title, value: u32| Figure {
        title,
        value: Value::Number(value.into()),
        note: String::new(),
        href: None,
    };
    let figures = vec![
        figure("key_cards.issued", row.issued()),
        figure("key_cards.left", row.left),
        figure("key_cards.refused", row.refused),
    ];
    let facts = vec![
        ("key_cards.since", Cell::at(row.since)),
        ("key_cards.holder", Cell::text(row.holder.clone())),
        ("key_cards.batch", Cell::text(row.new.batch.clone())),
        ("key_cards.label", Cell::text(row.new.label.clone())),
        ("key_cards.profile", Cell::text(row.profile_name.clone())),
        ("key_cards.cities", Cell::text(cities.join(", "))),
        ("key_cards.kinds", Cell::text(kinds_words(lang, &row.new)).hint(format!("{:08X}", row.new.kinds.0))),
        ("key_cards.chip", row.chip.map_or_else(Cell::nothing, |chip| Cell::text(Hex(&chip).to_string()))),
    ];
    let step = |event: &KeyCardEventRow| Step {
        class: match event.event.tone() {
            Tone::Bad => "bad",
            Tone::Warn => "warn",
            _ => "",
        },
        name: event.event.in_words(lang).to_owned(),
        when: event.at.to_string(),
        what: format!("{} · {}", event.who, event.detail),
        href: None,
    };
    render(&Detail {
        crumbs: vec![crumb::<KeyCards>(lang)],
        tag: Some(row.state.cell(lang)),
        actions: Vec::new(),
        blocks: vec![
            Block::Figures(figures),
            Block::Facts(lang.t("key_cards.facts").to_owned(), facts),
            Block::Way(lang.t("key_cards.life").to_owned(), history.iter().map(step).collect()),
        ],
        f: asked.frame(&shared, format!("{} {serial}", lang.t("key_cards.title")), KeyCards::PATH),
    })
}

/// The page of a batch.
pub(crate) async fn batch(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Html<String>, Problem> {
    asked.signed.must(PsamBatches::NEEDS)?;
    let (look, lang) = (asked.look(), asked.prefs.lang);
    let all = with_query(Psams::PATH, [("batch", id.as_str())]);
    let query = with_query("", [("batch", id.as_str()), ("rows", ROWS)]);
    let (batch, found, attention) = shared
        .read(move |tx| {
            let batch = psams::batch(tx, &id).map_err(production)?;
            let ask = |query: &str| Ask::parse::<Psams>(query.trim_start_matches('?'));
            let mut attention = Found { rows: Vec::new(), count: 0, totals: Vec::new() };
            for state in [PsamState::Stopped, PsamState::InWork] {
                let query = with_query("", [("batch", id.as_str()), ("state", state.slug()), ("rows", ROWS)]);
                let found = Psams::find(tx, &ask(&query)?, look)?;
                attention.rows.extend(found.rows);
                attention.count = attention.count.saturating_add(found.count);
            }
            Ok((batch, Psams::find(tx, &ask(&query)?, look)?, attention))
        })
        .await?;
    let (new, counts) = (&batch.new, batch.counts);
    let figure = |title, value: u32, state: &str| Figure {
        title,
        value: Value::Number(value.into()),
        note: String::new(),
        href: Some(with_query(Psams::PATH, [("batch", new.id.as_str()), ("state", state)])),
    };
    let figures = vec![
        figure("psams.produced", counts.produced, "produced"),
        figure("psams.stopped", counts.stopped, "stopped"),
        figure("psams.in_work", counts.in_work, "in-work"),
        figure("psams.waiting", counts.waiting, "waiting"),
    ];
    let facts = vec![
        ("psams.count", Cell::number(new.count)),
        ("psams.first", Cell::text(new.first_serial.to_string())),
        ("psams.first_terminal", Cell::text(new.first_terminal.to_string())),
        ("psams.issuer", Cell::text(new.issuer.to_string())),
        ("psams.receiver", Cell::text(Hex(&new.receiver).to_string())),
        ("psams.start", Cell::date(new.start)),
        ("psams.expiry", Cell::date(new.expiry)),
        ("psams.label", Cell::text(new.label.clone())),
        ("psams.profile", Cell::text(batch.profile_name.clone())),
        ("psams.opened", Cell::at(batch.opened_at)),
        ("psams.who", Cell::text(batch.opened_by.clone())),
        ("psams.closed", Cell::at(batch.closed_at)),
    ];
    // Where no terminal was named, none is shown.
    let with_pos = found.rows.iter().any(|psam| psam.pos.is_some());
    let keys = ["number", "serial", "terminal", "pos", "state", "step", "ended"];
    let keys: Vec<&str> = keys.into_iter().filter(|key| with_pos || *key != "pos").collect();
    let troubled = ["number", "serial", "state", "step", "who", "note"];
    let ended = counts.produced.saturating_add(counts.stopped);
    let progress = Bar {
        done: ended.into(),
        of: new.count.into(),
        words: lang
            .fill("psams.progress", &[("done", &ended.to_string()), ("count", &new.count.to_string())]),
    };
    let more = more(lang, found.count, all);
    let title = lang.t("nav.psams");
    let signed = match batch.state {
        BatchState::Closed => (Tone::Good, "psams.is_signed"),
        BatchState::Open => (Tone::Info, "psams.not_signed"),
    };
    let below = |name: &str| format!("/psam-batches/{}/{name}", segment(&new.id));
    render(&Detail {
        crumbs: vec![crumb::<PsamBatches>(lang)],
        tag: Some(batch.state.cell(lang)),
        actions: vec![
            (lang.t("psams.protocol").to_owned(), below("protocol.txt")),
            (lang.t("psams.labels").to_owned(), below("labels")),
            (lang.t("psams.labels_csv").to_owned(), below("labels.csv")),
        ],
        blocks: [
            Some(Block::Note(signed.0, lang.t(signed.1).to_owned())),
            Some(Block::Progress(lang.t("psams.progress_title").to_owned(), progress)),
            Some(Block::Figures(figures)),
            (attention.count > 0).then(|| {
                let title = lang.t("psams.attention");
                Block::List(Short::new(title, Psams::columns(), &troubled, &attention, look, None))
            }),
            Some(Block::List(Short::new(title, Psams::columns(), &keys, &found, look, more))),
            Some(Block::Facts(lang.t("psams.facts").to_owned(), facts)),
        ]
        .into_iter()
        .flatten()
        .collect(),
        f: asked.frame(&shared, format!("{} {}", lang.t("psams.title"), new.id), PsamBatches::PATH),
    })
}

#[derive(Template)]
#[template(path = "labels.html")]
struct LabelsPage {
    f: Frame,
    /// The batch: words and address.
    batch: (String, String),
    labels: Vec<Printed>,
}

/// A label as it is printed: the picture carries serial number and terminal id.
struct Printed {
    serial: String,
    terminal: String,
    batch: String,
    text: String,
    expiry: String,
    kcvs: String,
    side: i32,
    dark: String,
}

fn printed(label: &Label) -> Result<Printed, Problem> {
    let (serial, terminal) = (label.serial.to_string(), label.terminal.to_string());
    let picture = QrCode::encode_text(&format!("{serial} {terminal}"), QrCodeEcc::Medium);
    let picture = picture.map_err(|error| Problem::internal(&error))?;
    let mut dark = String::new();
    for (y, x) in (0..picture.size()).flat_map(|y| (0..picture.size()).map(move |x| (y, x))) {
        if picture.get_module(x, y) {
            // Writing to a string cannot fail.
            let _ = write!(dark, "M{} {}h1v1h-1z", x + QUIET_MODULES, y + QUIET_MODULES);
        }
    }
    let kcv = |kcv: Option<[u8; 3]>| kcv.map_or_else(|| "-".to_owned(), |kcv| Hex(&kcv).to_string());
    // One key is not broken over two lines.
    let kcvs: Vec<String> =
        label.keys.iter().map(|key| format!("{:02X}\u{a0}{}", key.usage, kcv(key.kcv))).collect();
    Ok(Printed {
        serial,
        terminal,
        batch: label.batch.clone(),
        text: label.text.clone(),
        expiry: label.expiry.to_string(),
        kcvs: kcvs.join(" "),
        side: picture.size() + 2 * QUIET_MODULES,
        dark,
    })
}

async fn labels_of(shared: &Arc<Shared>, id: String, asked: &Asked) -> Result<Vec<Label>, Problem> {
    asked.signed.must(PsamBatches::NEEDS)?;
    shared.read(move |tx| psams::labels(tx, &id).map_err(production)).await
}

/// The labels of a batch, laid out for paper.
pub(crate) async fn labels(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Html<String>, Problem> {
    let lang = asked.prefs.lang;
    let title = format!("{} {id}", lang.t("psams.labels"));
    let batch = (format!("{} {id}", lang.t("psams.title")), format!("/psam-batches/{}", segment(&id)));
    let labels = labels_of(&shared, id, &asked).await?;
    let labels = labels.iter().map(printed).collect::<Result<_, _>>()?;
    render(&LabelsPage { f: asked.frame(&shared, title, PsamBatches::PATH), batch, labels })
}

/// The labels of a batch, for a label printer.
pub(crate) async fn labels_csv(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    let labels = labels_of(&shared, id, &asked).await?;
    Ok(file("text/csv; charset=utf-8", "ykt-psam-labels.csv", psams::labels_csv(&labels)))
}

/// The protocol of a batch.
pub(crate) async fn protocol(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.signed.must(Permission::ReadBusiness)?;
    let act = Act::of(&asked.signed.who.user, "console", shared.app.clock.now());
    let text = shared.read(move |tx| psams::protocol(tx, &id, &act).map_err(production)).await?;
    Ok(file("text/plain; charset=utf-8", "ykt-psam-protocol.txt", text))
}

fn file(kind: &'static str, name: &str, body: String) -> Response {
    let name = format!("attachment; filename=\"{name}\"");
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)], body).into_response()
}
