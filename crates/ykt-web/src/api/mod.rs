//! `/api/v1`: the lists of the consoles as JSON, and the load host for terminals.
//!
//! A person's session reads what the person's pages show. A machine brings a bearer token: scope `read` sees
//! what a read-only user sees, scope `loads` sees the load endpoints and nothing else.

pub(crate) mod document;
pub(crate) mod loads;

use crate::auth::{address, attempt, bearer};
use crate::list::{Ask, List, Look, Shape};
use crate::lists::{Reading, admit};
use crate::problem::{Code, Problem};
use crate::tokens::{Machine, Scope};
use crate::view::cell::{Cell, Value};
use crate::view::frame::Who;
use crate::web::{Asked, Shared, Signed};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value as JsonValue, json};
use std::sync::Arc;
use ykt_office::people::Role;

/// Lets nobody pass who neither has a session nor a token.
pub(crate) async fn known(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::AUTHORIZATION) {
        let Some(machine) = bearer(&shared, request.headers()).cloned() else {
            let waited = attempt(&shared, address(request.extensions()));
            return waited.err().unwrap_or_else(|| Problem::new(Code::SignInNeeded, "")).into_response();
        };
        request.extensions_mut().remove::<Signed>();
        if machine.scope == Scope::Read {
            request.extensions_mut().insert(reader(&machine));
        }
        request.extensions_mut().insert(machine);
        return next.run(request).await;
    }
    match request.extensions().get::<Signed>() {
        None => Problem::new(Code::SignInNeeded, "").into_response(),
        Some(signed) if signed.must_change_password => {
            Problem::new(Code::PasswordChangeNeeded, "").into_response()
        }
        Some(_) => next.run(request).await,
    }
}

/// A reading machine is a read-only user without forms.
fn reader(machine: &Machine) -> Signed {
    let who = Who { user: machine.name.clone(), full_name: machine.name.clone(), role: Role::ReadOnly };
    Signed { who, must_change_password: false, csrf: String::new() }
}

/// A list as JSON: every column, codes instead of words, amounts in fen.
pub(crate) async fn list<L: List>(
    State(shared): State<Arc<Shared>>,
    asked: Asked,
) -> Result<Json<JsonValue>, Problem> {
    admit::<L>(&shared, &asked, Reading::Page).await?;
    let ask = Ask::parse::<L>(&asked.query)?;
    let look = asked.look();
    let (page, rows) = (ask.page, ask.rows);
    let (found, _) = crate::lists::find::<L>(&shared, ask, look).await?;
    let totals: Map<String, JsonValue> = L::columns()
        .iter()
        .filter_map(|column| {
            let (_, value) = found.totals.iter().find(|(key, _)| *key == column.key)?;
            Some((name(column.key, column.shape), json_of(&Cell::new(value.clone()))))
        })
        .collect();
    Ok(Json(json!({
        "count": found.count,
        "page": page,
        "page_rows": rows,
        "totals": totals,
        "rows": found.rows.iter().map(|row| object::<L>(row, look)).collect::<Vec<_>>(),
    })))
}

fn object<L: List>(row: &L::Row, look: Look) -> JsonValue {
    let pairs = L::columns()
        .iter()
        .map(|column| (name(column.key, column.shape), json_of(&(column.cell)(row, look))));
    JsonValue::Object(pairs.collect())
}

/// The name of a column in JSON: amounts and rates say their unit.
pub(crate) fn name(key: &str, shape: Shape) -> String {
    let name = key.replace('-', "_");
    match shape {
        Shape::Amount => name + "_fen",
        Shape::Rate => name + "_ppm",
        _ => name,
    }
}

fn json_of(cell: &Cell) -> JsonValue {
    if let Some(code) = &cell.code {
        return JsonValue::from(code.as_str());
    }
    match &cell.value {
        Value::Nothing => JsonValue::Null,
        Value::Text(text) => JsonValue::from(text.as_str()),
        Value::Amount(amount) => JsonValue::from(amount.fen()),
        Value::Number(number) | Value::Serial(number) => JsonValue::from(*number),
        Value::Rate(ppm) => JsonValue::from(*ppm),
        Value::Date(date) => JsonValue::from(date.to_string()),
        Value::At(at) => JsonValue::from(format!("{}T{}", at.date, at.time)),
    }
}
