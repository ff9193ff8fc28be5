//! A key: what vault and registry say of it, its life, and what can be asked to be done to it. Nothing here is done at
//! once: each act makes a request that a second person approves.

use super::{ceremony, crumb, key_request, named, say_refusal};
use crate::act::{Acted, Doing, Done, Fault, Filled, Work};
use crate::i18n::Lang;
use crate::list::List;
use crate::lists::keys::{self, Keys};
use crate::problem::Problem;
use crate::view::cell::{Cell, Tone};
use crate::view::detail::{Block, Detail, Step};
use crate::view::form::{Field, FieldKind, Form};
use crate::view::url::{segment, with_query};
use crate::web::{Asked, Shared, blocking};
use crate::words::Word;
use axum::extract::{Path, State};
use axum::response::Response;
use std::sync::Arc;
use ykt_base::DateTime;
use ykt_kmc::ceremonies;
use ykt_kmc::operations::Summary;
use ykt_kmc::registry::tree::{Family, Leaf, Tree};
use ykt_kmc::registry::{self, KeyEvent};
use ykt_kmc::{Centre, Operation, OperationError, PlaceName};
use ykt_office::people::Permission;
use ykt_office::requests::{self, Request, RequestFilter, RequestId, RequestState};
use ykt_store::{PAGE_ROWS_MAX, Paging, StoreError, Tx};
use ykt_vault::{KeyAlgorithm, KeyKind, KeyPlace, KeyRef, KeyState, VaultError};

/// Where a new key is asked for.
pub(crate) const NEW: &str = "/new-key";
const READS: Permission = Permission::ReadKeys;
const MANAGES: Permission = Permission::ManageKeys;

/// The address of a key.
pub(crate) fn href(place: &KeyPlace) -> String {
    format!("{}/{}", Keys::PATH, segment(&PlaceName(*place).to_string()))
}

/// The words of a summary in a language.
pub(crate) fn summary_words(lang: Lang, summary: &Summary) -> Vec<String> {
    let fill = |(sentence, places): &(ykt_kmc::operations::Sentence, Vec<(&'static str, String)>)| {
        let places: Vec<(&str, &str)> = places.iter().map(|(name, value)| (*name, value.as_str())).collect();
        lang.fill(&format!("summary.{}", sentence.code()), &places)
    };
    summary.lines.iter().map(fill).collect()
}

/// What will happen, for a form.
pub(crate) fn what_happens(lang: Lang, summary: &Summary) -> Vec<(String, Cell)> {
    let words = summary_words(lang, summary).join(" ");
    vec![(lang.t("keys.what_happens").to_owned(), Cell::text(words))]
}

/// A refusal of the centre in the reader's language.
pub(crate) fn refused(lang: Lang, error: &OperationError) -> Fault {
    let name = |key: &KeyRef| PlaceName(KeyPlace::root(*key)).to_string();
    let said = |text: &str, places: &[(&str, &str)]| Fault::said(lang.fill(text, places));
    match error {
        OperationError::Request(error) => Fault::of_request(lang, error),
        OperationError::Store(error) => Fault::ours(error),
        OperationError::Vault(error) if error.is_outage() => {
            said("keys.vault_away", &[("why", &error.to_string())])
        }
        OperationError::Vault(VaultError::NoSuchStep { key, from, to }) => {
            let (from, to) = (from.in_words(lang), to.in_words(lang));
            said("keys.no_step", &[("key", &name(key)), ("from", from), ("to", to)])
        }
        OperationError::Vault(VaultError::AlreadyThere { key }) => {
            said("keys.already_there", &[("key", &name(key))])
        }
        OperationError::Vault(VaultError::NoSuchKey { key }) => {
            said("keys.no_such_key", &[("key", &name(key))])
        }
        OperationError::Unfinished { other, object } => {
            said("keys.unfinished", &[("id", other.as_str()), ("object", object)])
        }
        other => said("keys.not_possible", &[("why", &other.to_string())]),
    }
}

/// Asks for an operation in the name of who filled a form in, and leads to the request.
pub(crate) fn ask(work: &Work<'_>, centre: &Centre, operation: &Operation) -> Result<Done, Fault> {
    let lang = work.lang;
    let reason = work.fields.must("reason", lang)?;
    let id: RequestId =
        work.fields.must("id", lang)?.parse().map_err(|_| Fault::said(lang.t("form.missing")))?;
    let asked = centre.ask(&work.act, id, operation, reason).map_err(|error| refused(lang, &error))?;
    Ok(Done::at(key_request::href(&asked.id)).say("keys.asked", [("id", asked.id.as_str())]))
}

/// The fields that every request takes: its id, and why.
pub(crate) fn asking(form: Form, shared: &Shared, lang: Lang) -> Form {
    form.field(Field::hidden("id", shared.new_id())).field(Field::new(
        "reason",
        lang.t("key_requests.reason"),
        FieldKind::Long,
    ))
}

/// Every key, as vault and registry have it; blocks.
///
/// # Errors
/// A problem when there is no vault, or vault or database do not answer.
pub(crate) fn tree(shared: &Shared) -> Result<Tree, Problem> {
    shared.centre()?.tree().map_err(|error| key_request::problem(error.into()))
}

/// What a page of a key shows.
struct Sight {
    tree: Tree,
    leaf: Leaf,
    /// Each event with the page of what it refers to.
    life: Vec<(KeyEvent, Option<String>)>,
    open: Vec<Request>,
    /// What can be asked, with its summary.
    acts: Vec<(&'static str, Operation, Summary)>,
}

fn see(shared: &Shared, place: KeyPlace) -> Result<Sight, Problem> {
    let centre = shared.centre()?;
    let tree = tree(shared)?;
    let missing = || Problem::not_found(PlaceName(place).to_string());
    let leaf = tree.leaf(&place).cloned().ok_or_else(missing)?;
    let name = PlaceName(place).to_string();
    let now = shared.app.clock.now();
    let (life, open) = centre.store.read(|tx| {
        let filter =
            RequestFilter { needs: Some(MANAGES), text: Some(name.clone()), ..RequestFilter::default() };
        let page = requests::list(tx, &filter, now, Paging::first(PAGE_ROWS_MAX))?;
        let waits = |request: &Request| matches!(request.state, RequestState::Open | RequestState::Approved);
        let open = page.rows.into_iter().filter(|request| request.object == name && waits(request));
        let life = registry::life(tx, &place)?.into_iter().map(|event| {
            let href = reference(tx, &event.reference, now)?;
            Ok((event, href))
        });
        Ok::<_, StoreError>((life.collect::<Result<_, StoreError>>()?, open.collect()))
    })?;
    let mut acts = Vec::new();
    for (word, operation) in possible(&leaf) {
        let summary = centre.summary(&operation).map_err(key_request::problem)?;
        acts.push((word, operation, summary));
    }
    Ok(Sight { tree, leaf, life, open, acts })
}

/// The page of the request or the ceremony an event refers to.
fn reference(tx: &Tx<'_>, reference: &str, now: DateTime) -> Result<Option<String>, StoreError> {
    if let Ok(id) = reference.parse()
        && requests::one(tx, &id, now)?.is_some()
    {
        return Ok(Some(key_request::href(&id)));
    }
    Ok(ceremonies::one(tx, reference)?.map(|row| ceremony::href(&row.number)))
}

/// What can be asked of a key in its state, by the last part of the address.
fn possible(leaf: &Leaf) -> Vec<(&'static str, Operation)> {
    let place = leaf.place;
    let state = leaf.vault.as_ref().map(|info| info.state);
    match state {
        Some(KeyState::Generated) => {
            vec![("activate", Operation::Activate(place)), ("destroy", Operation::Destroy(place))]
        }
        Some(KeyState::Active) => vec![("retire", Operation::Retire(place))],
        Some(KeyState::Retired) => {
            vec![("restore", Operation::Restore(place)), ("destroy", Operation::Destroy(place))]
        }
        Some(KeyState::Destroyed) | None => Vec::new(),
    }
}

/// Title and button of a form by its act.
const FORMS: [(&str, &str, &str); 4] = [
    ("activate", "keys.activate", "keys.activate_go"),
    ("retire", "keys.retire", "keys.retire_go"),
    ("restore", "keys.restore", "keys.restore_go"),
    ("destroy", "keys.destroy", "keys.destroy_go"),
];

/// A key with what can be asked.
pub(crate) async fn page(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.signed.must(READS)?;
    view(&shared, &asked, name, &Filled::default()).await
}

fn place_of(name: &str) -> Result<KeyPlace, Problem> {
    name.parse().map(|PlaceName(place)| place).map_err(|_| Problem::not_found(name))
}

async fn view(
    shared: &Arc<Shared>,
    asked: &Asked,
    name: String,
    filled: &Filled,
) -> Result<Response, Problem> {
    let lang = asked.prefs.lang;
    let place = place_of(&name)?;
    let reader = Arc::clone(shared);
    let Sight { tree, leaf, life, open, acts } = blocking(move || see(&reader, place)).await?;
    let mut blocks = Vec::new();
    if let Some(difference) = leaf.difference() {
        let words = lang.t("keys.differs").to_owned();
        let tag = lang.t(&format!("key-difference.{}", difference.name())).to_owned();
        blocks.push(Block::Note(Tone::Bad, format!("{words} {tag}")));
    }
    blocks.push(Block::Facts(lang.t("keys.facts").to_owned(), facts(lang, &leaf)));
    for request in &open {
        let words = lang.fill("keys.waits", &[("id", request.id.as_str()), ("who", &request.asked_by)]);
        blocks.push(Block::Note(Tone::Warn, words));
    }
    blocks.push(Block::Way(
        lang.t("keys.life").to_owned(),
        life.into_iter().map(|(event, href)| step(lang, &event, href)).collect(),
    ));
    if asked.signed.who.role.may(MANAGES) && open.is_empty() {
        for (word, _, summary) in &acts {
            let Some((_, title, button)) = FORMS.iter().find(|(known, ..)| known == word) else { continue };
            let form = Form::new(asked, title, format!("{}/{word}", href(&place)), button);
            let form = form.lead(lang.t("keys.two_people")).critical(what_happens(lang, summary));
            blocks.push(Block::Form(asking(form, shared, lang).filled(filled)));
        }
        if leaf.state().is_some_and(|state| state != KeyState::Destroyed) {
            let form = export_form(shared, asked, &tree, format!("{}/export", href(&place)));
            blocks.extend(form.map(|form| Block::Form(form.filled(filled))));
        }
        if leaf.record.is_some() {
            blocks.push(Block::Form(note_form(asked, &leaf).filled(filled)));
        }
    }
    let object = PlaceName(place).to_string();
    let audit = (lang.t("keys.audit").to_owned(), with_query("/audit", [("text", object.as_str())]));
    let reads_audit = asked.signed.who.role.may(Permission::ReadAudit);
    say_refusal(&mut blocks, filled);
    filled.page(&Detail {
        crumbs: vec![crumb::<Keys>(lang)],
        tag: Some(keys::state_cell(lang, leaf.state())),
        actions: Some(audit).into_iter().filter(|_| reads_audit).collect(),
        blocks,
        f: asked.frame(shared, format!("{} {object}", keys::kind_words(lang, place.key.kind)), Keys::PATH),
    })
}

fn facts(lang: Lang, leaf: &Leaf) -> Vec<(&'static str, Cell)> {
    let KeyPlace { key, owner, .. } = &leaf.place;
    let record = leaf.record.as_ref();
    let mut facts = vec![
        ("keys.key", Cell::text(PlaceName(leaf.place).to_string())),
        ("keys.kind", Cell::text(keys::kind_words(lang, key.kind))),
        ("keys.family", Cell::text(Family::of(key.kind).in_words(lang))),
        ("keys.level", Cell::text(keys::level_text(lang, leaf))),
        ("keys.index", Cell::serial(key.index.0)),
        ("keys.version", Cell::serial(key.version.0)),
        ("keys.algorithm", Cell::text(leaf.algorithm().map_or_else(String::new, keys::algorithm_text))),
        ("keys.kcv", Cell::text(keys::kcv_text(leaf))),
        ("keys.state", keys::state_cell(lang, leaf.state())),
        ("keys.source", record.map_or_else(Cell::nothing, |record| record.source.cell(lang))),
        ("keys.origin", Cell::text(record.map_or("", |record| &record.origin))),
        ("keys.note", Cell::text(record.map_or("", |record| &record.note))),
    ];
    if owner.is_some() {
        facts.insert(4, ("keys.owner", Cell::text(keys::owner_text(&leaf.place))));
    }
    facts
}

fn step(lang: Lang, event: &KeyEvent, href: Option<String>) -> Step {
    let KeyEvent { at, kind, who, approved_by, reference, detail, .. } = event;
    let people = match approved_by.as_str() {
        "" => who.clone(),
        second => lang.fill("keys.asked_and_approved", &[("who", who), ("second", second)]),
    };
    let what: Vec<&str> =
        [people.as_str(), reference, detail].into_iter().filter(|part| !part.is_empty()).collect();
    Step {
        class: match kind.tone() {
            Tone::Bad => "bad",
            Tone::Warn => "warn",
            _ => "",
        },
        name: kind.in_words(lang).to_owned(),
        when: at.to_string(),
        what: what.join(" · "),
        href,
    }
}

/// The form that hands keys out; none without a transport key in use.
pub(crate) fn export_form(shared: &Shared, asked: &Asked, tree: &Tree, to: String) -> Option<Form> {
    let lang = asked.prefs.lang;
    let transport = named::choice(tree, KeyKind::KeyTransport, "transport", lang.t("keys.transport"))?;
    let form = Form::new(asked, "keys.export", to, "keys.export_go")
        .lead(lang.t("keys.export_lead"))
        .field(Field::new("party", lang.t("keys.party"), FieldKind::Text))
        .field(transport);
    Some(asking(form, shared, lang))
}

fn note_form(asked: &Asked, leaf: &Leaf) -> Form {
    let lang = asked.prefs.lang;
    let note = leaf.record.as_ref().map_or("", |record| &record.note);
    let action = format!("{}/note", href(&leaf.place));
    let field = Field::new("note", lang.t("keys.note"), FieldKind::Long).value(note).optional();
    Form::new(asked, "keys.note", action, "keys.note_go").field(field)
}

/// Asks what the last part of the address says.
pub(crate) async fn change(
    Path((name, what)): Path<(String, String)>,
    doing: Doing,
) -> Result<Response, Problem> {
    let place = place_of(&name)?;
    let acted = doing
        .run(MANAGES, move |work| {
            let centre = work.shared.centre()?;
            let operation = match what.as_str() {
                "activate" => Operation::Activate(place),
                "retire" => Operation::Retire(place),
                "restore" => Operation::Restore(place),
                "destroy" => Operation::Destroy(place),
                "export" => Operation::Export {
                    party: work.fields.must("party", work.lang)?.to_owned(),
                    transport: named::root(work, "transport")?,
                    places: vec![place],
                },
                "note" => {
                    let note = work.fields.text("note").unwrap_or_default();
                    centre.store.write(|tx| registry::note(tx, &place, note, &work.act))?;
                    return Ok(Done::at(href(&place)).say("keys.noted", []));
                }
                _ => return Err(Problem::not_found("").into()),
            };
            ask(work, &centre, &operation)
        })
        .await?;
    match acted {
        Acted::Done(answer) => Ok(answer),
        Acted::Refused(filled) => view(&doing.shared, &doing.asked, name, &filled).await,
    }
}

/// The form for a new key.
pub(crate) async fn new_page(State(shared): State<Arc<Shared>>, asked: Asked) -> Result<Response, Problem> {
    asked.signed.must(MANAGES)?;
    new_view(&shared, &asked, &Filled::default())
}

fn new_view(shared: &Shared, asked: &Asked, filled: &Filled) -> Result<Response, Problem> {
    let lang = asked.prefs.lang;
    let kinds = KeyKind::ALL.iter().filter(|kind| !kind.is_of_blanks());
    let kinds = kinds.map(|kind| (kind.name().to_owned(), keys::kind_words(lang, *kind))).collect();
    let algorithms =
        KeyAlgorithm::ALL.iter().map(|a| (a.name().to_owned(), keys::algorithm_text(*a))).collect();
    let form = Form::new(asked, "keys.new", NEW, "keys.new_go")
        .lead(lang.t("keys.new_lead"))
        .field(Field::new("kind", lang.t("keys.kind"), FieldKind::Choice(kinds)))
        .field(Field::new("index", lang.t("keys.index"), FieldKind::Number).value("1"))
        .field(Field::new("version", lang.t("keys.version"), FieldKind::Number).value("1"))
        .field(Field::new("algorithm", lang.t("keys.algorithm"), FieldKind::Choice(algorithms)));
    filled.page(&Detail {
        crumbs: vec![crumb::<Keys>(lang)],
        tag: None,
        actions: Vec::new(),
        blocks: vec![Block::Form(asking(form, shared, lang).filled(filled))],
        f: asked.frame(shared, lang.t("keys.new"), Keys::PATH),
    })
}

/// Asks for a new key.
pub(crate) async fn add(doing: Doing) -> Result<Response, Problem> {
    let acted = doing
        .run(MANAGES, |work| {
            let lang = work.lang;
            let number = |field: &'static str| -> Result<u8, Fault> {
                let text = work.fields.must(field, lang)?;
                text.parse().map_err(|_| Fault::expected(lang, field, lang.t("keys.number_rule"), text))
            };
            let kind = KeyKind::from_name(work.fields.must("kind", lang)?);
            let kind = kind.ok_or_else(|| Fault::at("kind", lang.t("form.missing")))?;
            let algorithm = KeyAlgorithm::from_name(work.fields.must("algorithm", lang)?);
            let algorithm = algorithm.filter(|algorithm| kind.algorithms().contains(algorithm));
            let algorithm = algorithm.ok_or_else(|| {
                let names: Vec<_> = kind.algorithms().iter().map(|a| keys::algorithm_text(*a)).collect();
                Fault::at("algorithm", lang.fill("keys.algorithm_rule", &[("names", &names.join(", "))]))
            })?;
            let place = KeyPlace::root(KeyRef::new(kind, number("index")?, number("version")?));
            ask(work, &*work.shared.centre()?, &Operation::Generate { place, algorithm })
        })
        .await?;
    match acted {
        Acted::Done(answer) => Ok(answer),
        Acted::Refused(filled) => new_view(&doing.shared, &doing.asked, &filled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ykt_kmc::operations::Sentence;

    #[test]
    fn every_sentence_of_a_summary_is_in_the_catalogue_as_the_centre_says_it() {
        for sentence in Sentence::ALL {
            let key = format!("summary.{}", sentence.code());
            assert_eq!(Lang::En.find(&key), Some(sentence.text()), "{key}");
        }
    }

    #[test]
    fn every_kind_has_its_words() {
        for kind in KeyKind::ALL {
            for lang in Lang::ALL {
                assert!(lang.find(&format!("key-kind.{}", kind.name())).is_some(), "{kind}");
            }
        }
    }
}
