//! The lists of the consoles, one file per room they come from, and the handlers all of them share.

pub mod audit;
pub mod books;
pub mod cards;
pub mod ceremonies;
pub mod clearing;
pub mod download;
pub mod groups;
pub mod keys;
pub mod loads;
pub mod production;
pub mod records;
pub mod users;

use crate::export;
use crate::layers::render;
use crate::list::{Ask, EXPORT_ROWS_MAX, Filter, Found, List, Look, Order, Shape};
use crate::problem::{Code, Problem};
use crate::view::frame::Frame;
use crate::view::table::Table;
use crate::web::{App, Asked, Shared, blocking};
use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use ykt_office::audit::{self as audit_log, Outcome};
use ykt_office::people::Permission;
use ykt_store::Tx;

/// Rows read at once for an export.
const EXPORT_BATCH_ROWS: u32 = 1_000;

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    f: Frame,
    lead: &'static str,
    actions: Vec<(&'static str, &'static str)>,
    table: Table,
}

/// Lets who asks see list `L`. Where reading is watched, it is written down first: no record, no reading.
pub(crate) async fn admit<L: List>(
    shared: &Arc<Shared>,
    asked: &Asked,
    reading: Reading,
) -> Result<(), Problem> {
    asked.signed.must(L::NEEDS)?;
    let Some(room) = L::WATCHED else { return Ok(()) };
    let what = match reading {
        Reading::Page => format!("{room}/read"),
        Reading::Export => format!("{room}/export"),
    };
    let (shared, act) = (Arc::clone(shared), asked.act(shared.app.clock.now()));
    let (path, query) = (asked.path.clone(), masked(&asked.query));
    blocking(move || {
        let write = |tx: &Tx<'_>| audit_log::append(tx, &act, &what, &path, Outcome::Done, &query);
        shared.app.store.write(write)?;
        Ok(())
    })
    .await
}

/// A filter as it may be kept: of a card number in it the last four digits.
pub(crate) fn masked(query: &str) -> String {
    const LEAST: usize = 12;
    let mut out = String::new();
    let mut digits = String::new();
    for sign in query.chars().map(Some).chain([None]) {
        match sign {
            Some(digit) if digit.is_ascii_digit() => digits.push(digit),
            other => {
                let shown = if digits.len() >= LEAST { digits.len().saturating_sub(4) } else { 0 };
                out.extend(
                    digits.drain(..).enumerate().map(|(at, digit)| if at < shown { '*' } else { digit }),
                );
                out.extend(other);
            }
        }
    }
    out
}

/// How a list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A page of it.
    Page,
    /// All that is filtered, to take away.
    Export,
}

/// The list as a page.
pub(crate) async fn page<L: List>(
    State(shared): State<Arc<Shared>>,
    asked: Asked,
) -> Result<Response, Problem> {
    admit::<L>(&shared, &asked, Reading::Page).await?;
    let ask = Ask::parse::<L>(&asked.query)?;
    let look = asked.look();
    let (found, ask) = find::<L>(&shared, ask, look).await?;
    let f = asked.frame(&shared, asked.prefs.lang.t(L::TITLE), L::PATH);
    let table = Table::new::<L>(&ask, &found, look);
    let may = |needs: Permission| asked.signed.who.role.may(needs);
    let actions = L::ACTIONS.iter().filter(|(.., needs)| may(*needs)).map(|(key, href, _)| (*key, *href));
    Ok(render(&ListPage { f, lead: L::LEAD, actions: actions.collect(), table })?.into_response())
}

/// The wanted part of a list.
pub(crate) async fn find<L: List>(
    shared: &Arc<Shared>,
    ask: Ask,
    look: Look,
) -> Result<(Found<L::Row>, Ask), Problem> {
    let app = shared.app.clone();
    shared.read(move |tx| Ok((L::find_in(&app, tx, &ask, look)?, ask))).await
}

/// The list as CSV.
pub(crate) async fn csv<L: List>(
    State(shared): State<Arc<Shared>>,
    asked: Asked,
) -> Result<Response, Problem> {
    admit::<L>(&shared, &asked, Reading::Export).await?;
    let (ask, found) = everything::<L>(&shared, &asked).await?;
    let body = export::csv::<L>(&ask, &found, asked.look());
    Ok(file::<L>("csv", "text/csv; charset=utf-8", body))
}

/// The list as a spreadsheet.
pub(crate) async fn xlsx<L: List>(
    State(shared): State<Arc<Shared>>,
    asked: Asked,
) -> Result<Response, Problem> {
    admit::<L>(&shared, &asked, Reading::Export).await?;
    let (ask, found) = everything::<L>(&shared, &asked).await?;
    let look = asked.look();
    let body =
        blocking(move || export::xlsx::<L>(&ask, &found, look).map_err(|e| Problem::internal(&e))).await?;
    Ok(file::<L>("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", body))
}

fn file<L: List>(ending: &str, kind: &'static str, body: Vec<u8>) -> Response {
    let name = format!("attachment; filename=\"ykt-{}.{ending}\"", L::PATH.trim_start_matches('/'));
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)], body).into_response()
}

/// All rows that pass the filter, read in one transaction so that rows and totals belong together.
async fn everything<L: List>(shared: &Arc<Shared>, asked: &Asked) -> Result<(Ask, Found<L::Row>), Problem> {
    let ask = Ask::parse::<L>(&asked.query)?;
    let look = asked.look();
    let app = shared.app.clone();
    shared.read(move |tx| Ok((ask.clone(), all::<L>(&app, tx, &ask, look)?))).await
}

/// All rows of a list that pass the filter of `ask`.
///
/// # Errors
/// [`Code::ExportTooLong`] above [`EXPORT_ROWS_MAX`] rows.
pub(crate) fn all<L: List>(app: &App, tx: &Tx<'_>, ask: &Ask, look: Look) -> Result<Found<L::Row>, Problem> {
    let part = |page| ask.with(|a| (a.page, a.rows) = (page, EXPORT_BATCH_ROWS));
    let mut found = L::find_in(app, tx, &part(1), look)?;
    if found.count > u64::from(EXPORT_ROWS_MAX) {
        let detail = format!("at most {EXPORT_ROWS_MAX} rows, found {}", found.count);
        return Err(Problem::new(Code::ExportTooLong, detail));
    }
    let mut page = 1;
    while u64::try_from(found.rows.len()).unwrap_or(u64::MAX) < found.count {
        page += 1;
        let more = L::find_in(app, tx, &part(page), look)?.rows;
        if more.is_empty() {
            break;
        }
        found.rows.extend(more);
    }
    Ok(found)
}

/// The wanted part of rows that are all there.
pub(crate) fn part_of<R>(rows: Vec<R>, ask: &Ask) -> Found<R> {
    let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let before = usize::try_from(ask.offset()).unwrap_or(usize::MAX);
    let wanted = usize::try_from(ask.rows).unwrap_or(usize::MAX);
    Found { rows: rows.into_iter().skip(before).take(wanted).collect(), count, totals: Vec::new() }
}

/// A list with its type forgotten: what the routes and the description of the API need.
pub struct Registered {
    /// Its path.
    pub path: &'static str,
    /// Key of its title.
    pub title: &'static str,
    /// Its filters.
    pub filters: &'static [Filter],
    /// Its columns: key, key of the heading, what they hold, whether they can be sorted by.
    pub columns: Vec<(&'static str, &'static str, Shape, Order)>,
    /// Page and files.
    pub(crate) routes: fn() -> Router<Arc<Shared>>,
    /// JSON, below `/api/v1`.
    pub(crate) api: fn() -> Router<Arc<Shared>>,
}

fn registered<L: List>() -> Registered {
    Registered {
        path: L::PATH,
        title: L::TITLE,
        filters: L::filters(),
        columns: L::columns().iter().map(|c| (c.key, c.title, c.shape, c.order)).collect(),
        routes: || {
            Router::new()
                .route(L::PATH, get(page::<L>))
                .route(&format!("{}.csv", L::PATH), get(csv::<L>))
                .route(&format!("{}.xlsx", L::PATH), get(xlsx::<L>))
        },
        api: || Router::new().route(L::PATH, get(crate::api::list::<L>)),
    }
}

/// All lists.
#[must_use]
pub fn all_lists() -> Vec<Registered> {
    vec![
        registered::<cards::Cards>(),
        registered::<loads::Loads>(),
        registered::<cards::Terminals>(),
        registered::<cards::Merchants>(),
        registered::<cards::Blacklist>(),
        registered::<production::KeyCards>(),
        registered::<production::PsamBatches>(),
        registered::<production::Psams>(),
        registered::<clearing::Days>(),
        registered::<clearing::Files>(),
        registered::<records::Records>(),
        registered::<records::Refusals>(),
        registered::<clearing::Bills>(),
        registered::<clearing::Payments>(),
        registered::<books::Trial>(),
        registered::<books::Entries>(),
        registered::<keys::Keys>(),
        registered::<groups::KeyGroups>(),
        registered::<keys::KeyRequests>(),
        registered::<ceremonies::Ceremonies>(),
        registered::<keys::Campaigns>(),
        registered::<keys::CampaignCards>(),
        registered::<download::Batches>(),
        registered::<download::DownloadCards>(),
        registered::<download::Lines>(),
        registered::<download::Rights>(),
        registered::<users::Users>(),
        registered::<audit::Audit>(),
    ]
}

/// What most lists need.
pub(crate) const READ: Permission = Permission::ReadBusiness;

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn a_filter_is_kept_without_card_numbers() {
        for (query, kept) in [
            ("text=1700010100000001&who=li", "text=************0001&who=li"),
            ("from=2026-11-22", "from=2026-11-22"),
            ("text=170001010001", "text=********0001"),
            ("", ""),
        ] {
            assert_eq!(masked(query), kept);
        }
    }
}
