//! The calls of a line, each asked of key download on a thread that may block.

use super::Desk;
use super::tls::Shown;
use crate::problem::{Code, Problem};
use crate::web::blocking;
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection, StringRejection};
use axum::extract::{ConnectInfo, FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use serde::Deserialize;
use std::net::SocketAddr;
use ykt_issue::StepRequest;
use ykt_kmc::download::wire::{
    AnswersBody, ApplicationAnswer, BatchAnswer, BegunAnswer, CampaignAnswer, CommandAnswer, CommandsAnswer,
    CommandsBody, FinishAnswer, FinishBody, OpenAnswer, OpenBody, RefusedAnswer, VisitAnswer, VisitBody,
    state_of,
};
use ykt_kmc::download::{Caller, CommandCall, Ending, KeepError, Refusal};
use ykt_office::Act;
use ykt_store::Paging;

/// Cards of one page of a list.
const CARDS_PER_PAGE: u32 = 256;

/// The line behind a request: its certificate is known and it is not stopped.
pub(crate) struct Line(Caller);

impl FromRequestParts<Desk> for Line {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Line, Problem> {
        let shown = parts.extensions.get::<Shown>().copied();
        let Shown(certificate) = shown.ok_or_else(|| Problem::new(Code::NotAllowed, "no certificate"))?;
        let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let from = address.map_or_else(String::new, |ConnectInfo(address)| address.ip().to_string());
        let (download, at) = (desk.download.clone(), desk.clock.now());
        blocking(move || {
            let line = download.line_of(&certificate, &from, at).map_err(problem)?;
            Ok(Line(Caller { line: line.name, from, at }))
        })
        .await
    }
}

/// A body of JSON, with our own words when it is none.
type Body<T> = Result<Json<T>, JsonRejection>;

fn body<T>(given: Body<T>) -> Result<T, Problem> {
    given.map(|Json(body)| body).map_err(|error| bad_call(error.body_text()))
}

fn query<T>(asked: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    asked.map(|Query(asked)| asked).map_err(|error| bad_call(error.body_text()))
}

fn bad_call(what: impl Into<String>) -> Problem {
    coded(Code::BadRequest, "bad-call", what)
}

fn coded(code: Code, reason: &str, detail: impl Into<String>) -> Problem {
    Problem { reason: Some(reason.to_owned()), ..Problem::new(code, detail) }
}

fn problem(refusal: Refusal) -> Problem {
    let code = match &refusal {
        Refusal::UnknownLine { .. } | Refusal::LineStopped { .. } => Code::NotAllowed,
        Refusal::UnknownApplication { .. }
        | Refusal::UnknownBatch { .. }
        | Refusal::UnknownCampaign { .. }
        | Refusal::UnknownVisit { .. } => Code::NotFound,
        Refusal::OperationReused { .. } | Refusal::OtherAnswers { .. } => Code::Conflict,
        Refusal::VaultUnavailable { .. } => Code::VaultUnavailable,
        Refusal::Store(error) => return Problem::internal(error),
        _ => Code::Refused,
    };
    coded(code, refusal.code(), refusal.to_string())
}

/// The applications and their steps.
pub(crate) async fn applications(State(desk): State<Desk>, _: Line) -> Json<Vec<ApplicationAnswer>> {
    Json(desk.download.applications().map(ApplicationAnswer::of).collect())
}

/// Opens cards.
pub(crate) async fn open(
    State(desk): State<Desk>,
    Line(caller): Line,
    given: Body<OpenBody>,
) -> Result<Json<OpenAnswer>, Problem> {
    let given = body(given)?;
    blocking(move || {
        let profile = desk.download.application(&given.application);
        let missing = || Refusal::UnknownApplication { name: given.application.clone() };
        let kind = profile.ok_or_else(missing).map_err(problem)?.kind;
        let call = given.call(kind);
        let call = call.ok_or_else(|| {
            bad_call("expected card numbers and factors in hex under one of `cards`, `next`, `broken`")
        })?;
        let opened = desk.download.open(&call, &caller).map_err(problem)?;
        Ok(Json(OpenAnswer::of(&opened)))
    })
    .await
}

/// Makes commands.
pub(crate) async fn commands(
    State(desk): State<Desk>,
    Line(caller): Line,
    given: Body<CommandsBody>,
) -> Result<Json<CommandsAnswer>, Problem> {
    let given = body(given)?;
    blocking(move || {
        let parsed = given.commands.iter().map(|asked| Some((asked, asked.iv()?, asked.data()?)));
        let parsed = parsed.collect::<Option<Vec<_>>>();
        let parsed =
            parsed.ok_or_else(|| bad_call("expected challenges of 8 or 16 hex digits, and data in hex"))?;
        let calls: Vec<_> = parsed
            .iter()
            .map(|(asked, iv, data)| CommandCall {
                card: asked.card,
                request: StepRequest { step: asked.step, block: asked.block, iv: *iv, data },
            })
            .collect();
        let made = desk.download.commands(&calls, &caller).map_err(problem)?;
        Ok(Json(CommandsAnswer { commands: made.iter().map(CommandAnswer::of).collect() }))
    })
    .await
}

/// Notes endings.
pub(crate) async fn finish(
    State(desk): State<Desk>,
    Line(caller): Line,
    given: Body<FinishBody>,
) -> Result<Json<FinishAnswer>, Problem> {
    let given = body(given)?;
    blocking(move || {
        let endings =
            given.cards.into_iter().map(|card| (card.card, card.failed.map_or(Ending::Made, Ending::Failed)));
        let noted = desk.download.finish(&endings.collect::<Vec<_>>(), &caller).map_err(problem)?;
        let cards = noted.iter().map(|noted| noted.as_ref().err().map(RefusedAnswer::from));
        Ok(Json(FinishAnswer { cards: cards.collect() }))
    })
    .await
}

/// Begins the visit of a card.
pub(crate) async fn begin_visit(
    State(desk): State<Desk>,
    Line(caller): Line,
    given: Body<VisitBody>,
) -> Result<Json<VisitAnswer>, Problem> {
    let VisitBody { visit, campaign } = body(given)?;
    blocking(move || {
        let step = desk.download.begin_visit(&visit, &campaign, &caller).map_err(problem)?;
        Ok(Json(VisitAnswer::from(&step)))
    })
    .await
}

/// Goes on with a visit by the answers of its card.
pub(crate) async fn answer_visit(
    State(desk): State<Desk>,
    Line(caller): Line,
    Path(visit): Path<String>,
    given: Body<AnswersBody>,
) -> Result<Json<VisitAnswer>, Problem> {
    let given = body(given)?;
    blocking(move || {
        let answers = given.answers();
        let answers = answers.ok_or_else(|| bad_call("expected answers of 2 to 258 bytes in hex"))?;
        let step = desk.download.answer_visit(&visit, given.step, &answers, &caller).map_err(problem)?;
        Ok(Json(VisitAnswer::from(&step)))
    })
    .await
}

/// How far a campaign is.
pub(crate) async fn campaign(
    State(desk): State<Desk>,
    Line(caller): Line,
    Path(name): Path<String>,
) -> Result<Json<CampaignAnswer>, Problem> {
    blocking(move || {
        let (state, counts) = desk.download.campaign(&name, &caller).map_err(problem)?;
        Ok(Json(CampaignAnswer::of(state, counts)))
    })
    .await
}

/// How far a batch is.
pub(crate) async fn progress(
    State(desk): State<Desk>,
    _: Line,
    Path(batch): Path<String>,
) -> Result<Json<BatchAnswer>, Problem> {
    blocking(move || Ok(Json(desk.download.progress(&batch).map_err(problem)?.into()))).await
}

/// Which cards of a batch, and which page of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listed {
    state: Option<String>,
    page: Option<u32>,
}

/// The cards of a batch that the line began.
pub(crate) async fn begun(
    State(desk): State<Desk>,
    Line(caller): Line,
    Path(batch): Path<String>,
    asked: Result<Query<Listed>, QueryRejection>,
) -> Result<Json<BegunAnswer>, Problem> {
    let Listed { state, page } = query(asked)?;
    let unknown = || bad_call("expected a state of waiting, under_way, done, failed");
    let state = state.map(|word| state_of(&word).ok_or_else(unknown)).transpose()?;
    let page = Paging::new(page.unwrap_or(1), CARDS_PER_PAGE);
    blocking(move || {
        Ok(Json(BegunAnswer::of(&desk.download.begun(&batch, state, page, &caller).map_err(problem)?)))
    })
    .await
}

/// What the address of a batch file says beside its name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upload {
    application: String,
}

/// Takes in the file of a batch.
pub(crate) async fn upload(
    State(desk): State<Desk>,
    Line(caller): Line,
    Path(batch): Path<String>,
    asked: Result<Query<Upload>, QueryRejection>,
    text: Result<String, StringRejection>,
) -> Result<Json<BatchAnswer>, Problem> {
    let Upload { application } = query(asked)?;
    let text = text.map_err(|error| bad_call(error.body_text()))?;
    blocking(move || {
        desk.download.may_bring_batches(&application, &caller).map_err(problem)?;
        let act = Act::of(&format!("<line {}>", caller.line), &caller.from, caller.at);
        desk.download.load_batch(&batch, &application, &text, &act).map_err(kept)?;
        Ok(Json(desk.download.progress(&batch).map_err(problem)?.into()))
    })
    .await
}

fn kept(error: KeepError) -> Problem {
    match error {
        KeepError::Batch(error) => coded(Code::Refused, "batch-refused", error.to_string()),
        KeepError::Store(error) => Problem::internal(&error),
        KeepError::Taken { .. } => Problem::new(Code::Conflict, error.to_string()),
        KeepError::Name { .. } | KeepError::Unknown { .. } | KeepError::EmptyRight { .. } => {
            bad_call(error.to_string())
        }
    }
}
