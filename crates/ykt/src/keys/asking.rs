//! Requests for operations: asked for, shown, approved.

use crate::keyboard;
use crate::machine::{SystemClock, SystemRng};
use crate::who::Person;
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::process::ExitCode;
use ykt_base::hex::Hex;
use ykt_base::{Clock, Rng};
use ykt_kmc::{Centre, Operation};
use ykt_office::people::Permission;
use ykt_office::requests::{self, Request, RequestFilter, RequestId, RequestState};
use ykt_store::{PAGE_ROWS_MAX, Paging};
use ykt_web::Config;

/// Asks for operations in somebody's name, having said what they will do.
///
/// # Errors
/// When the person may not ask, or one of them cannot be done: those before it are asked for.
pub fn ask(
    (config, centre): &(Config, Centre),
    (person, reason, id): (&Person, &str, Option<RequestId>),
    operations: &[Operation],
) -> anyhow::Result<ExitCode> {
    if id.is_some() && operations.len() != 1 {
        bail!("--id names one request, and these are {}: leave it out", operations.len());
    }
    for operation in operations {
        keyboard::say(centre.summary(operation)?);
    }
    let act = person.act(config, &centre.store, Permission::ManageKeys)?;
    let mut last = None;
    for operation in operations {
        let id = match &id {
            Some(id) => id.clone(),
            None => new_id()?,
        };
        let asked = centre.ask(&act, id, operation, reason)?;
        keyboard::say(format_args!(
            "request {} waits until {} for another key administrator",
            asked.id,
            asked.open_until()
        ));
        last = Some(asked.id);
    }
    match last {
        Some(id) if operations.len() == 1 => println!("  ykt keys approve --as NAME {id}"),
        _ => println!("  ykt keys approve --as NAME --all"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows requests with what will happen, then approves them in somebody's name. What one cannot do stops no other.
///
/// # Errors
/// When the person may not approve, or the only request cannot be.
pub fn approve(
    (config, centre): &(Config, Centre),
    person: &Person,
    requests: &[Request],
) -> anyhow::Result<ExitCode> {
    for request in requests {
        tell(request);
        if let Ok(operation) = request.payload.parse::<Operation>() {
            keyboard::say(centre.summary(&operation)?);
        }
    }
    let act = person.act(config, &centre.store, Permission::ManageKeys)?;
    let mut code = ExitCode::SUCCESS;
    for request in requests {
        let outcome = centre.approve(&act, &request.id, &mut SystemRng);
        match outcome.map_err(anyhow::Error::from).map(|request| told(&request)) {
            Ok(ended) if ended == ExitCode::SUCCESS => {}
            Ok(ended) => code = ended,
            Err(error) if requests.len() == 1 => return Err(error),
            Err(error) => {
                keyboard::say(format_args!("request {}: {error:#}", request.id));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

/// The open requests that this person did not make, the oldest first.
///
/// # Errors
/// When there is none.
pub fn waiting(centre: &Centre, person: &Person) -> anyhow::Result<Vec<Request>> {
    let filter = RequestFilter { needs: Some(Permission::ManageKeys), ..RequestFilter::default() };
    let now = SystemClock.now();
    let page = centre.store.read(|tx| requests::list(tx, &filter, now, Paging::first(PAGE_ROWS_MAX)))?;
    let waits = |request: &Request| request.state == RequestState::Open && request.asked_by != person.name();
    let mut waiting: Vec<_> = page.rows.into_iter().filter(waits).collect();
    waiting.reverse();
    if waiting.is_empty() {
        bail!("no request waits for {}: see `ykt keys requests`", person.name());
    }
    Ok(waiting)
}

fn new_id() -> anyhow::Result<RequestId> {
    let mut bytes = [0; 8];
    SystemRng.fill(&mut bytes);
    Ok(Hex(&bytes).to_string().parse()?)
}

/// Prints requests: what waits for a decision or was cut short, or all.
///
/// # Errors
/// When the database does not answer.
pub fn list(centre: &Centre, all: bool, as_json: bool) -> anyhow::Result<ExitCode> {
    let filter = RequestFilter { needs: Some(Permission::ManageKeys), ..RequestFilter::default() };
    let now = SystemClock.now();
    let page = centre.store.read(|tx| requests::list(tx, &filter, now, Paging::first(PAGE_ROWS_MAX)))?;
    let waits =
        |request: &&Request| all || matches!(request.state, RequestState::Open | RequestState::Approved);
    let shown = page.rows.iter().filter(waits);
    if as_json {
        println!("{:#}", Value::Array(shown.map(request_json).collect()));
    } else {
        shown.for_each(tell);
    }
    Ok(ExitCode::SUCCESS)
}

/// One request.
///
/// # Errors
/// When there is none.
pub fn request(centre: &Centre, id: &RequestId) -> anyhow::Result<Request> {
    let found = centre.store.read(|tx| requests::one(tx, id, SystemClock.now()))?;
    found.with_context(|| format!("there is no request {id}: see `ykt keys requests`"))
}

fn tell(request: &Request) {
    let Request { id, what, object, state, asked_by, asked_at, reason, decided_by, .. } = request;
    let decided = decided_by.as_ref().map_or_else(String::new, |who| format!(", decided by {who}"));
    println!("{id:<16} {state:<8} {what} {object}\n    asked by {asked_by} {asked_at}{decided}: {reason}");
}

fn request_json(request: &Request) -> Value {
    let Request { id, what, object, state, asked_by, asked_at, reason, decided_by, result, .. } = request;
    json!({
        "id": id.as_str(),
        "state": state.to_string(),
        "what": what,
        "object": object,
        "asked_by": asked_by,
        "asked_at": asked_at.to_string(),
        "open_until": request.open_until().to_string(),
        "reason": reason,
        "decided_by": decided_by,
        "result": result,
    })
}

/// Says how a request stands; a failed one is a failure of the command.
pub fn told(request: &Request) -> ExitCode {
    let result = request.result.as_deref().unwrap_or_default();
    keyboard::say(format_args!("request {} is {}: {result}", request.id, request.state));
    if request.state == RequestState::Failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
