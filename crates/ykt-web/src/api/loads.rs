//! The load host over HTTP, as `ykt_terminal::transport::host_http` asks it. Every request is safe to repeat:
//! the order id says what is meant, and the host answers a repeat like the first time.

use crate::problem::{Code, Problem};
use crate::tokens::{Machine, Scope};
use crate::web::{Shared, blocking};
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::routing::post;
use axum::{Extension, Json, Router};
use std::sync::Arc;
use ykt_base::{Clock, DateTime, Mac4};
use ykt_pay::{LoadHost, Policy, TerminalDoor};
use ykt_terminal::host::wire::{
    ConfirmBody, CreditAnswer, FieldError, GiveBackBody, OfferBody, OrderAnswer, PayBody, ResumeAnswer,
};
use ykt_terminal::host::{CardOffer, HostError, LoadHost as Host, OrderId, PayRequest};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/loads", post(pay))
        .route("/loads/{id}/initialize", post(initialize))
        .route("/loads/{id}/confirm", post(confirm))
        .route("/loads/{id}/resume", post(resume))
        .route("/loads/{id}/give-back", post(give_back))
}

/// A body of JSON, with our own words when it is none.
type Body<T> = Result<Json<T>, JsonRejection>;

fn body<T>(given: Body<T>) -> Result<T, Problem> {
    given.map(|Json(body)| body).map_err(|error| Problem::new(Code::BadRequest, error.body_text()))
}

fn bad_field(error: &FieldError) -> Problem {
    Problem::new(Code::BadRequest, error.to_string())
}

fn order_id(text: &str) -> Result<OrderId, Problem> {
    text.parse()
        .map_err(|error: ykt_terminal::host::OrderIdError| Problem::new(Code::BadRequest, error.to_string()))
}

struct Now(Arc<dyn Clock + Send + Sync>);

impl Clock for Now {
    fn now(&self) -> DateTime {
        self.0.now()
    }
}

/// Asks the load host on a thread that may block.
async fn ask<T: Send + 'static>(
    shared: Arc<Shared>,
    machine: Option<Extension<Machine>>,
    question: impl FnOnce(&mut TerminalDoor<Now>) -> Result<T, HostError> + Send + 'static,
) -> Result<T, Problem> {
    if machine.is_none_or(|Extension(machine)| machine.scope != Scope::Loads) {
        return Err(Problem::new(Code::NotAllowed, "a bearer token of scope loads is needed"));
    }
    blocking(move || {
        let vault = shared.app.vault.clone().ok_or_else(|| Problem::new(Code::NoVault, ""))?;
        let host = LoadHost::new(shared.app.store.clone(), vault, Policy::default());
        let mut door = TerminalDoor::new(host, Now(Arc::clone(&shared.app.clock)));
        question(&mut door).map_err(problem_of)
    })
    .await
}

/// A refusal keeps the host's own code; a fault of ours tells nothing.
fn problem_of(error: HostError) -> Problem {
    match error {
        HostError::Refused { code, message, .. } => {
            let kind = match code.as_str() {
                "unknown-order" => Code::NotFound,
                "other-content" | "state" | "resume-first" | "card-busy" | "not-fresh" => Code::Conflict,
                _ => Code::Refused,
            };
            Problem { reason: Some(code), ..Problem::new(kind, message) }
        }
        fault => Problem::internal(&fault),
    }
}

/// `POST /loads`: the customer has paid, the money is held.
async fn pay(
    State(shared): State<Arc<Shared>>,
    machine: Option<Extension<Machine>>,
    given: Body<PayBody>,
) -> Result<Json<OrderAnswer>, Problem> {
    let request = PayRequest::try_from(body(given)?).map_err(|error| bad_field(&error))?;
    let order = request.order.clone();
    let state = ask(shared, machine, move |host| host.pay(&request)).await?;
    Ok(Json(OrderAnswer::new(&order, state)))
}

/// Checks MAC1 and freezes MAC2 with the order.
async fn initialize(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    machine: Option<Extension<Machine>>,
    given: Body<OfferBody>,
) -> Result<Json<CreditAnswer>, Problem> {
    let order = order_id(&id)?;
    let offer = CardOffer::try_from(&body(given)?).map_err(|error| bad_field(&error))?;
    let credit = ask(shared, machine, move |host| host.initialize(&order, &offer)).await?;
    Ok(Json(CreditAnswer::from(&credit)))
}

/// Takes the card's TAC.
async fn confirm(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    machine: Option<Extension<Machine>>,
    given: Body<ConfirmBody>,
) -> Result<Json<OrderAnswer>, Problem> {
    let order = order_id(&id)?;
    let tac: Mac4 = body(given)?
        .tac
        .parse()
        .map_err(|error| Problem::new(Code::BadRequest, format!("field tac: {error}")))?;
    let asked = order.clone();
    let state = ask(shared, machine, move |host| host.confirm(&asked, tac)).await?;
    Ok(Json(OrderAnswer::new(&order, state)))
}

/// Goes on after a cut, from a fresh answer of the card.
async fn resume(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    machine: Option<Extension<Machine>>,
    given: Body<OfferBody>,
) -> Result<Json<ResumeAnswer>, Problem> {
    let order = order_id(&id)?;
    let offer = CardOffer::try_from(&body(given)?).map_err(|error| bad_field(&error))?;
    let resumption = ask(shared, machine, move |host| host.resume(&order, &offer)).await?;
    Ok(Json(ResumeAnswer::from(&resumption)))
}

/// Gives the held money back.
async fn give_back(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    machine: Option<Extension<Machine>>,
    given: Body<GiveBackBody>,
) -> Result<Json<OrderAnswer>, Problem> {
    let order = order_id(&id)?;
    body(given)?;
    let asked = order.clone();
    let state = ask(shared, machine, move |host| host.give_back(&asked)).await?;
    Ok(Json(OrderAnswer::new(&order, state)))
}
