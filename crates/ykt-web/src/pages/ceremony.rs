//! A key ceremony at the console: the administrator begins and finishes it, each custodian gives his component in a
//! session of his own, on a browser of his own. Components are never written down here, and never shown but once, on
//! the sheet that their custodian asks for.

use super::crumb;
use crate::act::{Acted, Doing, Done, Fault, Filled, Work};
use crate::assets;
use crate::i18n::Lang;
use crate::list::List;
use crate::lists::ceremonies::{Ceremonies, kcv_cell};
use crate::lists::keys::algorithm_text;
use crate::problem::Problem;
use crate::view::cell::{Cell, Tone};
use crate::view::detail::{Block, Detail, Step};
use crate::view::form::{Field, FieldKind, Form};
use crate::view::url::segment;
use crate::web::{Asked, Shared, blocking};
use crate::words::Word;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use ykt_base::hex::{self, Hex};
use ykt_kmc::ceremonies::{
    self, CeremoniesError, CeremonyRow, CeremonyState, CustodianRow, Held, NewCeremony, root, roots,
};
use ykt_office::people::Permission;
use ykt_vault::KeyAlgorithm;
use ykt_vault::ceremony::{CeremonyError, Component, ComponentError, Purpose, SheetStyle, Way};

/// Where a ceremony is begun.
pub(crate) const NEW: &str = "/new-ceremony";
const MANAGES: Permission = Permission::ManageKeys;
const GIVES: Permission = Permission::GiveComponent;
/// Purposes, by their names in protocols.
const PURPOSES: [&str; 4] = ["new", "import", "rehearsal", "recovery"];

/// The address of a ceremony.
pub(crate) fn href(number: &str) -> String {
    format!("{}/{}", Ceremonies::PATH, segment(number))
}

/// The form for a new ceremony.
pub(crate) async fn new_page(State(shared): State<Arc<Shared>>, asked: Asked) -> Result<Response, Problem> {
    asked.signed.must(MANAGES)?;
    new_view(&shared, &asked, &Filled::default())
}

fn new_view(shared: &Shared, asked: &Asked, filled: &Filled) -> Result<Response, Problem> {
    let lang = asked.prefs.lang;
    let purposes =
        PURPOSES.map(|name| (name.to_owned(), Cell::named(lang, "ceremony-purpose", name).value.shown()));
    let algorithms = [KeyAlgorithm::Tdes, KeyAlgorithm::Sm4, KeyAlgorithm::Aes256];
    let algorithms = algorithms.map(|algorithm| (algorithm.name().to_owned(), algorithm_text(algorithm)));
    let field = |name, label, kind| Field::new(name, lang.t(label), kind);
    let form = Form::new(asked, "ceremonies.new", NEW, "ceremonies.new_go")
        .lead(lang.t("ceremonies.new_lead"))
        .field(field("purpose", "ceremonies.purpose", FieldKind::Choice(purposes.into())))
        .field(
            field("custodians", "ceremonies.custodians", FieldKind::Text)
                .hint(lang.t("ceremonies.custodians_hint")),
        )
        .field(field("place", "ceremonies.place", FieldKind::Text))
        .field(field("key", "ceremonies.key", FieldKind::Code).value("seed.1.1"))
        .field(field("algorithm", "ceremonies.algorithm", FieldKind::Choice(algorithms.into())))
        .field(
            field("roots", "ceremonies.roots", FieldKind::Code)
                .value("all")
                .hint(lang.t("ceremonies.roots_hint")),
        )
        .field(
            field("shares", "ceremonies.shares", FieldKind::Number)
                .hint(lang.t("ceremonies.shares_hint"))
                .optional(),
        )
        .field(field("kcv", "ceremonies.kcv", FieldKind::Code).hint(lang.t("ceremonies.kcv_hint")).optional())
        .filled(filled);
    filled.page(&Detail {
        crumbs: vec![crumb::<Ceremonies>(lang)],
        tag: None,
        actions: Vec::new(),
        blocks: vec![Block::Form(form)],
        f: asked.frame(shared, lang.t("ceremonies.new"), Ceremonies::PATH),
    })
}

/// Begins a ceremony.
pub(crate) async fn begin(doing: Doing) -> Result<Response, Problem> {
    let acted = doing
        .run(MANAGES, |work| {
            let new = new_ceremony(work)?;
            let begun = work.shared.centre()?.ceremonies.begin(&work.act, new);
            let number = begun.map_err(|error| refused(work.lang, &error))?;
            Ok(Done::at(href(&number)).say("ceremonies.begun", [("number", &number)]))
        })
        .await?;
    match acted {
        Acted::Done(answer) => Ok(answer),
        Acted::Refused(filled) => new_view(&doing.shared, &doing.asked, &filled),
    }
}

fn new_ceremony(work: &Work<'_>) -> Result<NewCeremony, Fault> {
    let (fields, lang) = (work.fields, work.lang);
    let number = |name: &'static str| {
        let number = fields.text(name).map(str::parse).transpose();
        number.map_err(|_| Fault::at(name, lang.t("ceremonies.shares_hint")))
    };
    let must_kcv =
        || kcv(work, "kcv").and_then(|kcv| kcv.ok_or_else(|| Fault::at("kcv", lang.t("form.missing"))));
    let key = fields.must("key", lang)?;
    let key = root(key).map_err(|_| Fault::at("key", lang.t("ceremonies.no_key")))?;
    let purpose = match fields.must("purpose", lang)? {
        "new" => Purpose::New { shares: number("shares")? },
        "import" => Purpose::Import { kcv: must_kcv()? },
        "recovery" => Purpose::Recovery { kcv: must_kcv()? },
        _ => Purpose::Rehearsal,
    };
    let list = if purpose == Purpose::Rehearsal { "none" } else { fields.must("roots", lang)? };
    let algorithm = KeyAlgorithm::from_name(fields.must("algorithm", lang)?);
    let names = fields.must("custodians", lang)?.split([' ', ',', '，', '、', ';']);
    Ok(NewCeremony {
        place: fields.must("place", lang)?.to_owned(),
        custodians: names.filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        purpose,
        key,
        algorithm: algorithm.ok_or_else(|| Fault::at("algorithm", lang.t("form.missing")))?,
        roots: roots(list, key).map_err(|_| Fault::at("roots", lang.t("ceremonies.roots_hint")))?,
    })
}

/// A check value that was filled in.
fn kcv(work: &Work<'_>, name: &'static str) -> Result<Option<[u8; 3]>, Fault> {
    let kcv = work.fields.text(name).map(hex::decode).transpose();
    kcv.map_err(|_| Fault::at(name, work.lang.t("ceremonies.no_kcv")))
}

/// What a page of a ceremony shows.
struct Sight {
    row: CeremonyRow,
    custodians: Vec<CustodianRow>,
    held: Option<Held>,
    protocol: Option<String>,
}

fn see(shared: &Shared, number: &str) -> Result<Sight, Problem> {
    let (row, custodians, protocol) = shared.app.store.read(|tx| {
        let row = ceremonies::one(tx, number)?.ok_or_else(|| Problem::not_found(number))?;
        Ok::<_, Problem>((row, ceremonies::custodians(tx, number)?, ceremonies::protocol(tx, number)?))
    })?;
    let held = shared.centre()?.ceremonies.view(number);
    Ok(Sight { row, custodians, held, protocol })
}

/// A ceremony with what the reader can do in it.
pub(crate) async fn page(
    State(shared): State<Arc<Shared>>,
    Path(number): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.signed.must(Ceremonies::NEEDS)?;
    view(&shared, &asked, number, &Filled::default()).await
}

async fn view(
    shared: &Arc<Shared>,
    asked: &Asked,
    number: String,
    filled: &Filled,
) -> Result<Response, Problem> {
    let lang = asked.prefs.lang;
    let reader = Arc::clone(shared);
    let sight = blocking(move || see(&reader, &number)).await?;
    let row = &sight.row;
    let mut blocks = notes(lang, &sight);
    blocks.push(Block::Facts(lang.t("ceremonies.facts").to_owned(), facts(lang, row)));
    blocks.push(Block::Way(lang.t("ceremonies.custodians").to_owned(), way(lang, &sight)));
    let mut forms = sight.held.as_ref().map(|held| forms(asked, row, held)).unwrap_or_default();
    let unsigned = sight.held.is_none() && sight.protocol.is_some() && !row.signed;
    if unsigned && shared.can_sign() && asked.signed.who.role.may(MANAGES) {
        let to = format!("{}/sign", href(&row.number));
        forms.push(
            Form::new(asked, "ceremonies.sign", to, "ceremonies.sign_go")
                .lead(lang.t("ceremonies.sign_lead")),
        );
    }
    // A refusal whose form the reader does not have, or has no more, is told all the same.
    if let Some(words) = filled.words().filter(|_| !forms.iter().any(|form| form.action == filled.action)) {
        blocks.insert(0, Block::Note(Tone::Bad, words.to_owned()));
    }
    blocks.extend(forms.into_iter().map(|form| Block::Form(form.filled(filled))));
    // It tells every step, and each key that was made with its KCV.
    let text =
        sight.protocol.iter().map(|text| Block::Raw(lang.t("ceremonies.steps").to_owned(), text.clone()));
    blocks.extend(text);
    let protocol = (lang.t("ceremonies.protocol").to_owned(), format!("{}/protocol", href(&row.number)));
    filled.page(&Detail {
        crumbs: vec![crumb::<Ceremonies>(lang)],
        tag: Some(row.state.cell(lang)),
        actions: Some(protocol).into_iter().filter(|_| sight.protocol.is_some()).collect(),
        blocks,
        f: asked.frame(shared, format!("{} {}", lang.t("ceremonies.title"), row.number), Ceremonies::PATH),
    })
}

/// Where the ceremony stands, in words.
fn notes(lang: Lang, sight: &Sight) -> Vec<Block> {
    let note = |tone, key| vec![Block::Note(tone, lang.t(key).to_owned())];
    match (&sight.held, sight.row.state) {
        (Some(Held { combined: Some(kcv), sheets_wait, .. }), _) => {
            let kcv = Hex(kcv).to_string();
            let mut notes = vec![Block::Note(Tone::Good, lang.fill("ceremonies.complete", &[("kcv", &kcv)]))];
            if !sheets_wait.is_empty() {
                let names = sheets_wait.join(", ");
                notes
                    .push(Block::Note(Tone::Info, lang.fill("ceremonies.sheets_wait", &[("names", &names)])));
            }
            notes
        }
        (Some(_), _) => note(Tone::Info, "ceremonies.gathering"),
        (None, CeremonyState::Open) => note(Tone::Bad, "ceremonies.lost"),
        (None, CeremonyState::Failed) => note(Tone::Bad, "ceremonies.failed"),
        (None, CeremonyState::Aborted) => note(Tone::Warn, "ceremonies.aborted_note"),
        (None, CeremonyState::Finished) if !sight.row.signed => note(Tone::Warn, "ceremonies.unsigned"),
        (None, CeremonyState::Finished) => note(Tone::Good, "ceremonies.finished_note"),
    }
}

fn facts(lang: Lang, row: &CeremonyRow) -> Vec<(&'static str, Cell)> {
    vec![
        ("ceremonies.purpose", Cell::named(lang, "ceremony-purpose", &row.purpose)),
        ("ceremonies.key", Cell::text(row.key.clone())),
        ("ceremonies.algorithm", Cell::text(row.algorithm.clone())),
        ("ceremonies.kcv", kcv_cell(row.kcv)),
        ("ceremonies.place", Cell::text(row.place.clone())),
        ("ceremonies.administrator", Cell::text(row.administrator.clone())),
        ("ceremonies.began", Cell::at(row.began_at)),
        ("ceremonies.ended", Cell::at(row.ended_at)),
    ]
}

fn way(lang: Lang, sight: &Sight) -> Vec<Step> {
    let step = |row: &CustodianRow| {
        let (class, what) = match row.kcv {
            Some(kcv) => ("", lang.fill("ceremonies.has_given", &[("kcv", &Hex(&kcv).to_string())])),
            None => ("open", lang.t("ceremonies.has_not_given").to_owned()),
        };
        let name = format!("{} {} ({})", row.position, row.person.full_name, row.person.name);
        Step { class, name, when: String::new(), what, href: None }
    };
    sight.custodians.iter().map(step).collect()
}

/// What this reader can do now.
fn forms(asked: &Asked, row: &CeremonyRow, held: &Held) -> Vec<Form> {
    let (lang, me) = (asked.prefs.lang, &asked.signed.who.user);
    let to = |act: &str| format!("{}/{act}", href(&row.number));
    let mut forms = Vec::new();
    let place = held.plan.custodians.iter().position(|person| person.name == *me);
    let has_given = place.is_some_and(|at| held.kcvs.get(at).is_some_and(Option::is_some));
    if place.is_some() && !has_given {
        let shares = matches!(held.plan.purpose, Purpose::Recovery { .. });
        let mut give = Form::new(asked, "ceremonies.give", to("give"), "ceremonies.give_go")
            .lead(lang.t("ceremonies.give_lead"));
        if shares {
            give = give.field(Field::new("share", lang.t("ceremonies.share"), FieldKind::Number));
        }
        let code = Field::new("component", lang.t("ceremonies.component"), FieldKind::Secret);
        let check = Field::new("kcv", lang.t("ceremonies.component_kcv"), FieldKind::Code);
        give = give
            .field(code.hint(lang.t("ceremonies.component_hint")))
            .field(check.hint(lang.t("ceremonies.component_kcv_hint")).optional());
        forms.push(give);
        if matches!(held.plan.purpose, Purpose::New { .. }) {
            let draw = Form::new(asked, "ceremonies.draw", to("draw"), "ceremonies.draw_go");
            forms.push(draw.lead(lang.t("ceremonies.draw_lead")));
        }
    }
    if held.sheets_wait.contains(me) {
        let sheet = Form::new(asked, "ceremonies.sheet", to("sheet"), "ceremonies.sheet_go");
        forms.push(sheet.lead(lang.t("ceremonies.sheet_lead")));
    }
    let conducts = *me == row.administrator;
    if conducts && let Some(kcv) = held.combined {
        let summary = [
            (lang.t("ceremonies.key").to_owned(), Cell::text(row.key.clone())),
            (lang.t("ceremonies.kcv").to_owned(), kcv_cell(Some(kcv))),
            (lang.t("ceremonies.roots_count").to_owned(), Cell::number(held.plan.roots.len())),
        ];
        forms.push(
            Form::new(asked, "ceremonies.finish", to("finish"), "ceremonies.finish_go").critical(summary),
        );
    }
    if conducts || place.is_some() {
        let abort = Form::new(asked, "ceremonies.abort", to("abort"), "ceremonies.abort_go");
        forms.push(abort.lead(lang.t("ceremonies.abort_lead")).critical([]));
    }
    forms
}

/// Does what the last part of the address says.
pub(crate) async fn step(
    Path((number, what)): Path<(String, String)>,
    doing: Doing,
) -> Result<Response, Problem> {
    let needs = match what.as_str() {
        "give" | "draw" | "sheet" => GIVES,
        "sign" => MANAGES,
        _ => Ceremonies::NEEDS,
    };
    let of = number.clone();
    if what == "sheet" {
        let sheet = doing.answer(needs, move |work| sheet(work, &of)).await?;
        return match sheet {
            Ok(answer) => Ok(answer),
            Err(filled) => view(&doing.shared, &doing.asked, number, &filled).await,
        };
    }
    let acted = doing
        .run(needs, move |work| {
            let (centre, act) = (work.shared.centre()?, &work.act);
            let rng = &mut *(work.shared.app.rng)();
            let (done, said) = match what.as_str() {
                "give" => (give(work, &of)?.map(Some), "ceremonies.given"),
                "draw" => (centre.ceremonies.draw(act, &of, rng).map(Some), "ceremonies.drawn"),
                "finish" => {
                    let keys = centre.ceremonies.finish(act, &of, &centre, rng);
                    (keys.map(|keys| keys.first().map(|key| key.kcv)), "ceremonies.finished")
                }
                "sign" => {
                    let signer = centre.signer.as_ref();
                    let signer = signer.ok_or_else(|| Fault::said(work.lang.t("ceremonies.unsigned")))?;
                    (centre.ceremonies.sign(act, &of, &**signer, rng).map(|()| None), "ceremonies.signed")
                }
                "abort" => {
                    let done = centre.ceremonies.abort(act, &of, &centre.vault.status());
                    (done.map(|()| None), "ceremonies.aborted")
                }
                _ => return Err(Problem::not_found("").into()),
            };
            let kcv = done.map_err(|error| refused(work.lang, &error))?;
            let kcv = kcv.map_or_else(String::new, |kcv| Hex(&kcv).to_string());
            Ok(Done::at(href(&of)).say(said, [("number", &of), ("kcv", &kcv)]))
        })
        .await?;
    match acted {
        Acted::Done(answer) => Ok(answer),
        Acted::Refused(filled) => view(&doing.shared, &doing.asked, number, &filled).await,
    }
}

/// Takes a typed component or share.
fn give(work: &Work<'_>, number: &str) -> Result<Result<[u8; 3], CeremoniesError>, Fault> {
    let (lang, ceremonies) = (work.lang, &work.shared.centre()?.ceremonies);
    let held = ceremonies.view(number).ok_or_else(|| Fault::said(lang.t("ceremonies.lost")))?;
    work.fields.must("component", lang)?;
    let typed = work.fields.raw("component").unwrap_or_default();
    let algorithm = held.plan.algorithm;
    let component = match kcv(work, "kcv")? {
        Some(kcv) => Component::parse(algorithm, typed, kcv),
        None => Component::parse_unchecked(algorithm, typed),
    };
    let component = component.map_err(|error| Fault::at("component", component_words(lang, &error)))?;
    if !matches!(held.plan.purpose, Purpose::Recovery { .. }) {
        return Ok(ceremonies.give(&work.act, number, component, Way::Typed));
    }
    let share = work.fields.must("share", lang)?.parse();
    let share = share.map_err(|_| Fault::at("share", lang.t("ceremonies.no_share")))?;
    Ok(ceremonies.give_share(&work.act, number, (share, component), Way::Typed))
}

/// The sheet of who asks, as a page to be printed; it comes once and is kept nowhere.
fn sheet(work: &Work<'_>, number: &str) -> Result<Response, Fault> {
    let rng = &mut *(work.shared.app.rng)();
    let sheet = work.shared.centre()?.ceremonies.hand_out(&work.act, number, rng);
    let sheet = sheet.map_err(|error| refused(work.lang, &error))?;
    let page = sheet.html(SheetStyle::At(&assets::href("sheet.css")));
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, page.as_bytes().to_vec()).into_response())
}

/// The protocol of a ceremony, signed by the centre.
pub(crate) async fn protocol(
    State(shared): State<Arc<Shared>>,
    Path(number): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.signed.must(Ceremonies::NEEDS)?;
    let name = format!("attachment; filename=\"{}.txt\"", segment(&number));
    let text =
        shared.read(move |tx| ceremonies::protocol(tx, &number)?.ok_or_else(|| Problem::not_found(number)));
    let kind = "text/plain; charset=utf-8".to_owned();
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], text.await?).into_response())
}

/// What is wrong with a component, in the reader's language; never the component.
fn component_words(lang: Lang, error: &ComponentError) -> String {
    match error {
        ComponentError::Algorithm { algorithm } => {
            lang.fill("ceremonies.bad_algorithm", &[("found", algorithm.name())])
        }
        ComponentError::Length { expected, with_checks, found } => {
            let [expected, checks, found] = [expected, with_checks, found].map(|len| len.to_string());
            let places = [("expected", expected.as_str()), ("checks", &checks), ("found", &found)];
            lang.fill("ceremonies.bad_length", &places)
        }
        ComponentError::Digit { at } => lang.fill("ceremonies.bad_digit", &[("at", &at.to_string())]),
        ComponentError::Line { line } => lang.fill("ceremonies.bad_line", &[("line", &line.to_string())]),
        ComponentError::WrongKcv { expected, found } => {
            both_kcvs(lang, "ceremonies.bad_kcv", *expected, *found)
        }
        ComponentError::Zero => lang.t("ceremonies.zero").to_owned(),
    }
}

fn both_kcvs(lang: Lang, key: &str, expected: [u8; 3], found: [u8; 3]) -> String {
    let [expected, found] = [expected, found].map(|kcv| Hex(&kcv).to_string());
    lang.fill(key, &[("expected", &expected), ("found", &found)])
}

/// A refusal of the ceremony's room, at its field and in the reader's language.
fn refused(lang: Lang, error: &CeremoniesError) -> Fault {
    let rule = match error {
        CeremoniesError::Store(error) => return Fault::ours(error),
        CeremoniesError::NotAllowed { name, .. } => {
            return Fault::said(lang.fill("ceremonies.not_allowed", &[("name", name)]));
        }
        CeremoniesError::NotHeld { .. } => return Fault::said(lang.t("ceremonies.lost")),
        CeremoniesError::TooMany => return Fault::said(lang.t("ceremonies.too_many")),
        CeremoniesError::Rule(rule) => rule,
    };
    let named = |key: &str, name: &str| Fault::said(lang.fill(key, &[("name", name)]));
    match rule {
        CeremonyError::Custodians { .. } => Fault::at("custodians", lang.t("ceremonies.custodians_hint")),
        CeremonyError::SamePerson { name } => {
            Fault::at("custodians", lang.fill("ceremonies.same_person", &[("name", name)]))
        }
        CeremonyError::AdministratorIsCustodian { name } => {
            Fault::at("custodians", lang.fill("ceremonies.own_custodian", &[("name", name)]))
        }
        CeremonyError::Number { .. } | CeremonyError::Text { .. } => {
            Fault::at("place", lang.t("ceremonies.bad_text"))
        }
        CeremonyError::Shares { .. } => Fault::at("shares", lang.t("ceremonies.shares_hint")),
        CeremonyError::Root { .. } => Fault::at("roots", lang.t("ceremonies.roots_hint")),
        CeremonyError::KindAlgorithm { found, .. } => {
            Fault::at("algorithm", lang.fill("ceremonies.bad_algorithm", &[("found", found.name())]))
        }
        CeremonyError::Component(error) => Fault::at("component", component_words(lang, error)),
        CeremonyError::Algorithm { found, .. } => {
            Fault::at("component", lang.fill("ceremonies.bad_algorithm", &[("found", found.name())]))
        }
        CeremonyError::NotACustodian { name, .. } => named("ceremonies.not_custodian", name),
        CeremonyError::GivenAlready { name } => named("ceremonies.given_already", name),
        CeremonyError::SameComponent => Fault::at("component", lang.t("ceremonies.same_component")),
        CeremonyError::ShareNumber { .. } => Fault::at("share", lang.t("ceremonies.no_share")),
        CeremonyError::WrongPart { .. } => Fault::said(lang.t("ceremonies.wrong_part")),
        CeremonyError::Missing { names } => named("ceremonies.missing", names),
        CeremonyError::ZeroKey => Fault::said(lang.t("ceremonies.zero")),
        CeremonyError::WrongKey { expected, found } => {
            Fault::said(both_kcvs(lang, "ceremonies.wrong_key", *expected, *found))
        }
        CeremonyError::NotTheAdministrator { administrator, .. } => {
            named("ceremonies.not_administrator", administrator)
        }
        CeremonyError::SheetsOpen { names } => named("ceremonies.sheets_open", names),
        CeremonyError::NoSheet { .. } => Fault::said(lang.t("ceremonies.no_sheet")),
        CeremonyError::Ended => Fault::said(lang.t("ceremonies.has_ended")),
        CeremonyError::Vault(error) => {
            Fault::said(lang.fill("ceremonies.vault", &[("reason", &error.to_string())]))
        }
    }
}
