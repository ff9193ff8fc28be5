//! A request about keys: what will happen, who asked, and the second person's word.

use super::named::Named;
use super::{crumb, key, named, say_refusal};
use crate::act::{Acted, Doing, Done, Filled};
use crate::i18n::Lang;
use crate::list::List;
use crate::lists::keys::{self, KeyRequests};
use crate::problem::{Code, Problem};
use crate::view::cell::{Cell, Tone};
use crate::view::detail::{Block, Detail};
use crate::view::form::{Field, FieldKind, Form};
use crate::view::url::segment;
use crate::web::{Asked, Shared, blocking};
use crate::words::Word;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use ykt_kmc::operations::Summary;
use ykt_kmc::{Operation, OperationError, registry};
use ykt_office::audit::{self, Outcome};
use ykt_office::people;
use ykt_office::people::{Permission, UserRow};
use ykt_office::requests::{self, Request, RequestId, RequestState};

const READS: Permission = Permission::ReadKeys;
const MANAGES: Permission = Permission::ManageKeys;

/// The address of a request.
pub(crate) fn href(id: &RequestId) -> String {
    format!("{}/{}", KeyRequests::PATH, segment(id.as_str()))
}

/// A refusal of the centre where there is no form to show it beside.
pub(crate) fn problem(error: OperationError) -> Problem {
    match error {
        OperationError::Store(error) => error.into(),
        OperationError::Vault(error) => Problem::new(Code::NoVault, error.to_string()),
        other => Problem::new(Code::Refused, other.to_string()),
    }
}

fn id_of(text: &str) -> Result<RequestId, Problem> {
    text.parse().map_err(|_| Problem::not_found(text))
}

/// What a page of a request shows.
struct Sight {
    request: Request,
    operation: Option<Operation>,
    summary: Option<Summary>,
    /// The keys it names, when it names several.
    keys: Option<Vec<Named>>,
    asker: Option<UserRow>,
    decider: Option<UserRow>,
    has_file: bool,
}

fn see(shared: &Shared, id: &RequestId) -> Result<Sight, Problem> {
    let centre = shared.centre()?;
    let now = shared.app.clock.now();
    let (request, asker, decider, file) = centre.store.read(|tx| {
        let found = requests::one(tx, id, now)?.filter(|request| request.needs == MANAGES);
        let request = found.ok_or_else(|| Problem::not_found(id.as_str()))?;
        let asker = people::user(tx, &request.asked_by)?;
        let decider = request.decided_by.as_deref().map(|name| people::user(tx, name)).transpose()?.flatten();
        Ok::<_, Problem>((request, asker, decider, registry::export_file(tx, id.as_str())?))
    })?;
    let operation = keys::operation_of(&request);
    let waits = matches!(request.state, RequestState::Open | RequestState::Approved);
    let summary = match operation.as_ref().filter(|_| waits) {
        Some(operation) => Some(centre.summary(operation).map_err(problem)?),
        None => None,
    };
    // Without the vault a request still says who asked for what.
    let tree = centre.tree().ok();
    let keys =
        operation.as_ref().zip(tree).and_then(|(operation, tree)| named::of_operation(&tree, operation));
    Ok(Sight { request, operation, summary, keys, asker, decider, has_file: file.is_some() })
}

/// A request with what the reader can do about it.
pub(crate) async fn page(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.signed.must(READS)?;
    view(&shared, &asked, id_of(&id)?, &Filled::default()).await
}

async fn view(
    shared: &Arc<Shared>,
    asked: &Asked,
    id: RequestId,
    filled: &Filled,
) -> Result<Response, Problem> {
    let lang = asked.prefs.lang;
    let reader = Arc::clone(shared);
    let mut sight = blocking(move || see(&reader, &id)).await?;
    let named = sight.keys.take();
    let request = &sight.request;
    let mut blocks = Vec::new();
    if let Some(summary) = &sight.summary {
        let words = key::summary_words(lang, summary);
        blocks.extend(words.into_iter().map(|sentence| Block::Note(Tone::Warn, sentence)));
    }
    blocks.push(Block::Facts(lang.t("key_requests.facts").to_owned(), facts(lang, &sight)));
    blocks.extend(named.map(|keys| named::block(lang.t("key_requests.keys"), keys, asked.look())));
    let manages = asked.signed.who.role.may(MANAGES);
    if manages && sight.operation.is_some() {
        let forms = forms(asked, &sight);
        blocks.extend(forms.into_iter().map(|block| match block {
            Block::Form(form) => Block::Form(form.filled(filled)),
            other => other,
        }));
    }
    let file = sight.has_file && manages;
    say_refusal(&mut blocks, filled);
    filled.page(&Detail {
        crumbs: vec![crumb::<KeyRequests>(lang)],
        tag: Some(request.state.cell(lang)),
        actions: Some((lang.t("key_requests.file").to_owned(), format!("{}/file", href(&request.id))))
            .into_iter()
            .filter(|_| file)
            .collect(),
        blocks,
        f: asked.frame(
            shared,
            format!("{} {}", keys::act_words(lang, &request.what), keys::object_words(lang, request)),
            KeyRequests::PATH,
        ),
    })
}

fn facts(lang: Lang, sight: &Sight) -> Vec<(&'static str, Cell)> {
    let Request { id, what, reason, asked_by, asked_at, decided_by, decided_at, .. } = &sight.request;
    let of_key = sight.operation.as_ref().and_then(Operation::state_step).map(|(place, ..)| place);
    let person = |name: &str, user: &Option<UserRow>| match user {
        Some(user) => format!("{} ({name})", user.full_name),
        None => name.to_owned(),
    };
    let object = keys::object_words(lang, &sight.request);
    let mut facts = vec![
        ("key_requests.id", Cell::text(id.to_string())),
        ("key_requests.what", Cell::text(keys::act_words(lang, what))),
        ("key_requests.object", Cell::text(object).to_some(of_key.map(|place| key::href(&place)))),
        ("key_requests.reason", Cell::text(reason.clone())),
        ("key_requests.asked_by", Cell::text(person(asked_by, &sight.asker))),
        ("key_requests.asked_at", Cell::at(*asked_at)),
    ];
    if sight.request.state == RequestState::Open {
        facts.push(("key_requests.open_until", Cell::at(sight.request.open_until())));
    }
    facts.push((
        "key_requests.decided_by",
        Cell::text(decided_by.as_deref().map_or_else(String::new, |name| person(name, &sight.decider))),
    ));
    facts.push(("key_requests.decided_at", Cell::at(*decided_at)));
    facts.push(("key_requests.result", Cell::text(keys::result_words(lang, &sight.request))));
    facts
}

/// The second person's forms; for the one who asked, why there are none.
fn forms(asked: &Asked, sight: &Sight) -> Vec<Block> {
    let lang = asked.prefs.lang;
    let request = &sight.request;
    let to = |act: &str| format!("{}/{act}", href(&request.id));
    let is_own = request.asked_by == asked.signed.who.user;
    match (request.state, is_own) {
        (RequestState::Open, true) => vec![
            Block::Note(Tone::Info, lang.t("key_requests.own").to_owned()),
            Block::Form(Form::new(
                asked,
                "key_requests.withdraw",
                to("withdraw"),
                "key_requests.withdraw_go",
            )),
        ],
        (RequestState::Open, false) => {
            let summary = sight.summary.as_ref().map(|summary| key::what_happens(lang, summary));
            let approve = Form::new(asked, "key_requests.approve", to("approve"), "key_requests.approve_go")
                .lead(lang.t("key_requests.approve_lead"))
                .critical(summary.unwrap_or_default());
            let refuse = Form::new(asked, "key_requests.refuse", to("refuse"), "key_requests.refuse_go")
                .field(Field::new("why", lang.t("key_requests.why"), FieldKind::Long));
            vec![Block::Form(approve), Block::Form(refuse)]
        }
        (RequestState::Approved, _) => vec![
            Block::Note(Tone::Warn, lang.t("key_requests.unfinished").to_owned()),
            Block::Form(Form::new(asked, "key_requests.run", to("run"), "key_requests.run_go")),
        ],
        _ => Vec::new(),
    }
}

/// Decides as the last part of the address says.
pub(crate) async fn decide(
    Path((id, what)): Path<(String, String)>,
    doing: Doing,
) -> Result<Response, Problem> {
    let id = id_of(&id)?;
    let request = id.clone();
    let acted = doing
        .run(MANAGES, move |work| {
            let (centre, lang, act) = (work.shared.centre()?, work.lang, &work.act);
            let rng = &mut *(work.shared.app.rng)();
            let done = match what.as_str() {
                "approve" => centre.approve(act, &request, rng),
                "run" => centre.run(act, &request, rng),
                "refuse" => {
                    let why = work.fields.must("why", lang)?;
                    centre.refuse(act, &request, why)
                }
                "withdraw" => centre.withdraw(act, &request),
                _ => return Err(Problem::not_found("").into()),
            };
            let done = done.map_err(|error| key::refused(lang, &error))?;
            let said = match done.state {
                RequestState::Done => "key_requests.done",
                RequestState::Failed => "key_requests.failed",
                RequestState::Refused => "key_requests.refused",
                _ => "key_requests.withdrawn",
            };
            let result = done.result.unwrap_or_default();
            Ok(Done::at(href(&request)).say(said, [("id", request.as_str()), ("result", &result)]))
        })
        .await?;
    match acted {
        Acted::Done(answer) => Ok(answer),
        Acted::Refused(filled) => view(&doing.shared, &doing.asked, id, &filled).await,
    }
}

/// The file of an export: cryptograms, signed by the centre. Who takes it away is written down.
pub(crate) async fn file(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.signed.must(MANAGES)?;
    let id = id_of(&id)?;
    let name = format!("attachment; filename=\"ykt-keys-{id}.txt\"");
    let act = asked.act(shared.app.clock.now());
    let file = blocking(move || {
        let missing = || Problem::not_found(id.as_str());
        shared.app.store.write(|tx| {
            let file = registry::export_file(tx, id.as_str())?.ok_or_else(missing)?;
            audit::append(tx, &act, "key/file", id.as_str(), Outcome::Done, "taken away")?;
            Ok::<_, Problem>(file)
        })
    });
    let kind = "text/plain; charset=utf-8".to_owned();
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], file.await?).into_response())
}
