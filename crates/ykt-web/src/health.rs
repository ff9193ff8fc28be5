//! Health and metrics for whoever watches the process. `/healthz` is for anybody who can reach the server and
//! tells nothing but well or not; `/metrics` is for this machine, or for a bearer token.

use crate::auth::{address, bearer};
use crate::metrics::Gauge;
use crate::problem::{Code, Problem};
use crate::web::Shared;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use ykt_base::Date;
use ykt_ledger::Head;
use ykt_store::Tx;

/// What is read from the database to tell its state: little, because it is asked for every few seconds.
#[derive(Debug, Clone)]
pub struct Health {
    /// Newest entry of the ledger.
    pub head: Head,
    /// Last closed day of the books.
    pub closed_day: Option<Date>,
    /// Days of the books that are open and have entries.
    pub open_days: Vec<Date>,
}

/// Reads it.
///
/// # Errors
/// A fault of ours when the database fails.
pub(crate) fn read(tx: &Tx<'_>) -> Result<Health, Problem> {
    Ok(Health {
        head: ykt_ledger::head(tx)?,
        closed_day: ykt_ledger::last_closed_day(tx)?,
        open_days: ykt_ledger::open_days(tx)?,
    })
}

/// The answer of `/healthz`.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthBody {
    /// `ok`, or `failing` with status 503.
    #[schema(example = "ok")]
    pub status: String,
    /// Version of the program.
    pub version: String,
    /// Last closed day of the books, yyyy-MM-dd.
    pub closed_day: Option<String>,
    /// Oldest open day of the books that has entries, yyyy-MM-dd.
    pub open_day: Option<String>,
}

/// Whether the server can do its work.
pub(crate) async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    match shared.read(read).await {
        Ok(health) => Json(HealthBody {
            status: "ok".to_owned(),
            version,
            closed_day: health.closed_day.map(|day| day.to_string()),
            open_day: health.open_days.first().map(Date::to_string),
        })
        .into_response(),
        Err(_) => {
            let body = HealthBody { status: "failing".to_owned(), version, closed_day: None, open_day: None };
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

/// Counts and latencies for Prometheus.
pub(crate) async fn metrics(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    let local = address(request.extensions()).is_loopback();
    if !local && bearer(&shared, request.headers()).is_none() {
        return Err(Problem::new(Code::SignInNeeded, ""));
    }
    let (health, cards) = shared.read(|tx| Ok((read(tx)?, ykt_office::cards::count(tx)?))).await?;
    let number = |day: Option<Date>| day.map_or(0, |day| i64::from(day.as_number()));
    let gauges = [
        Gauge { name: "ykt_ledger_entries", help: "Entries of the ledger.", value: health.head.seq },
        Gauge { name: "ykt_cards", help: "Cards of the register.", value: cards.into() },
        Gauge {
            name: "ykt_closed_day",
            help: "Last closed day of the books as yyyymmdd, 0 before the first.",
            value: number(health.closed_day),
        },
        Gauge {
            name: "ykt_open_day",
            help: "Oldest open day of the books that has entries as yyyymmdd, 0 when there is none.",
            value: number(health.open_days.first().copied()),
        },
    ];
    let text = shared.metrics.render(&gauges);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
