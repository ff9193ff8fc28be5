//! What happens to every request on its way in and out: an id for the log, counting, headers that bind the
//! browser, and problems written as pages.

use crate::act::{FLASH_COOKIE, flash_shown};
use crate::auth::{address, own_cookie};
use crate::i18n::Lang;
use crate::lists::masked;
use crate::problem::{Code, Problem};
use crate::view::frame::Frame;
use crate::view::url;
use crate::web::{Asked, LANG_COOKIE, Prefs, Shared, Signed, THEME_COOKIE, blocking};
use askama::Template;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument;
use ykt_office::Act;
use ykt_office::audit::{self, Outcome};
use ykt_store::Tx;

/// Header of the request id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Nothing from outside, no inline script or style, no framing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Longest path of a refused request that is written down, in characters.
const OBJECT_CHARS_MAX: usize = 200;

/// The id of a request, shown on error pages and in the log.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// The path of a request as it came: the API's own router sees it without its beginning.
#[derive(Clone)]
struct WholePath(String);

/// Outermost: gives the request an id, writes one line of log, counts, and sets the headers every answer has.
pub(crate) async fn observe(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = shared.new_id();
    let method = request.method().clone();
    // The pattern, not the path: a path may hold a card number.
    let route = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str).to_owned();
    let path = WholePath(request.uri().path().to_owned());
    request.extensions_mut().insert(RequestId(id.clone()));
    request.extensions_mut().insert(path);
    let span = tracing::info_span!("request", id = %id, %method, route = %route);
    let mut response = next.run(request).instrument(span).await;
    let (status, took) = (response.status().as_u16(), started.elapsed());
    shared.metrics.observe(method.as_str(), &route, status, took);
    tracing::info!(
        id, %method, route, status, ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "request {id}: {method} {route} {status}"
    );
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if shared.config.tls() {
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    response
}

/// For pages: remembers `?lang=` and `?theme=` in cookies, and writes problems as pages.
pub(crate) async fn page(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let path = request.uri().path().to_owned();
    let prefs = Prefs::of(&query, request.headers());
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let signed = request.extensions().get::<Signed>().cloned();
    let from = address(request.extensions());
    let method = request.method().clone();
    let told = own_cookie(&shared, request.headers(), FLASH_COOKIE).is_some();
    let mut response = next.run(request).await;
    if told && response.status().is_success() {
        response.headers_mut().extend(flash_shown(&shared).map(|line| (header::SET_COOKIE, line)));
    }
    if let Some(problem) = response.extensions().get::<Problem>().cloned() {
        response = if problem.code == Code::SignInNeeded && method == Method::GET {
            let back = if query.is_empty() { path } else { format!("{path}?{query}") };
            see_other(&url::with_query("/sign-in", [("back", back.as_str())]))
        } else if problem.code == Code::PasswordChangeNeeded {
            see_other("/account")
        } else {
            let asked = signed.map(|signed| Asked {
                signed,
                prefs,
                path: path.clone(),
                query: query.clone(),
                flash: None,
                from,
            });
            problem_page(&shared, &problem, asked, prefs, (path, query.clone()), id)
        };
    }
    remember(&shared, &query, prefs, response.headers_mut());
    response
}

/// Writes down who was refused what: a page or an act that the role does not allow, or a form of another session. What
/// a rule further down refuses is written down there.
pub(crate) async fn refusals(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let Some(signed) = request.extensions().get::<Signed>().cloned() else { return next.run(request).await };
    let act = Act::of(&signed.who.user, &address(request.extensions()).to_string(), shared.app.clock.now());
    let path = request.extensions().get::<WholePath>().map(|path| path.0.clone()).unwrap_or_default();
    let object: String = masked(&path).chars().take(OBJECT_CHARS_MAX).collect();
    let method = request.method().clone();
    let response = next.run(request).await;
    let code = response.extensions().get::<Problem>().map(|problem| problem.code);
    let Some(code @ (Code::NotAllowed | Code::FormExpired)) = code else { return response };
    let written = blocking(move || {
        let detail = format!("{method}: {}", code.as_str());
        let write = |tx: &Tx<'_>| audit::append(tx, &act, "console", &object, Outcome::Refused, &detail);
        Ok(shared.app.store.write(write)?)
    });
    // It is refused either way; without the record the fault goes before.
    written.await.map_or_else(IntoResponse::into_response, |_| response)
}

/// Sends the browser to another page with GET.
pub(crate) fn see_other(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(value) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

fn remember(shared: &Shared, query: &str, prefs: Prefs, headers: &mut HeaderMap) {
    let secure = if shared.config.secure_cookies() { "; Secure" } else { "" };
    for (name, value) in url::pairs(query) {
        let cookie = match name.as_str() {
            "lang" if Lang::from_code(&value).is_some() => (LANG_COOKIE, prefs.lang.code()),
            "theme" if value == prefs.theme.code() => (THEME_COOKIE, prefs.theme.code()),
            _ => continue,
        };
        let line = format!("{}={}; Path=/; Max-Age=31536000; SameSite=Strict{secure}", cookie.0, cookie.1);
        if let Ok(line) = HeaderValue::from_str(&line) {
            headers.append(header::SET_COOKIE, line);
        }
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    f: Frame,
    words: String,
    id: String,
}

fn problem_page(
    shared: &Shared,
    problem: &Problem,
    asked: Option<Asked>,
    prefs: Prefs,
    (path, query): (String, String),
    id: String,
) -> Response {
    let title = prefs.lang.t("problem.heading");
    let f = match asked {
        Some(asked) => asked.frame(shared, title, ""),
        None => crate::auth::lone_frame(shared, prefs, title, path, query),
    };
    let page = ProblemPage { f, words: problem.words(prefs.lang), id };
    let mut response = match render(&page) {
        Ok(html) => (problem.code.status(), html).into_response(),
        Err(_) => problem.code.status().into_response(),
    };
    if let Some(wait) = problem.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1)));
    }
    response
}

/// Writes a page down.
///
/// # Errors
/// A fault of ours when the template fails.
pub(crate) fn render(page: &impl Template) -> Result<Html<String>, Problem> {
    page.render().map(Html).map_err(|error| Problem::internal(&error))
}
