//! The second step of signing in: the code of an authenticator, or the enrolment of one.
//!
//! Between the steps the browser holds a half sign-in in a cookie of its own. It opens nothing but these two pages,
//! and their forms are bound to it.

use super::{
    attempt, form_token, lone_frame, own_cookie, refusal_words, same_token, session_opened, set_cookie,
};
use crate::layers::{render, see_other};
use crate::problem::{Code, Problem};
use crate::view::frame::Frame;
use crate::view::url;
use crate::web::{Prefs, Shared, blocking};
use askama::Template;
use axum::Form;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use qrcodegen::{QrCode, QrCodeEcc};
use serde::Deserialize;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use ykt_office::people::{self, Enrolment, Refusal, Session, Token};

/// Name of the cookie of a half sign-in.
const HALF_COOKIE: &str = "ykt_half";
/// Where a code is asked for.
pub(crate) const CODE: &str = "/sign-in/code";
/// Where an authenticator is enrolled.
pub(crate) const ENROL: &str = "/sign-in/enrol";
/// White modules around the picture, as the standard of QR codes wants.
const QUIET_MODULES: i32 = 4;

/// Leads from the password to the second step.
pub(super) fn ask(shared: &Shared, half: &Token, path: &str, back: &str) -> Response {
    let mut response = see_other(&url::with_query(path, [("back", back)]));
    response.headers_mut().extend(half_cookie(shared, &half.expose()));
    response
}

fn half_cookie(shared: &Shared, value: &str) -> Option<(header::HeaderName, HeaderValue)> {
    set_cookie(shared, HALF_COOKIE, value).map(|line| (header::SET_COOKIE, line))
}

#[derive(Template)]
#[template(path = "second_step.html")]
struct SecondStepPage {
    f: Frame,
    back: String,
    /// Where the code goes to.
    action: &'static str,
    /// What an authenticator must be told; `None` when it knows.
    shown: Option<Shown>,
    refusal: Option<String>,
}

/// A secret as people and authenticators read it.
struct Shown {
    secret: String,
    /// Side of the picture in modules.
    side: i32,
    /// The dark modules, as a path.
    dark: String,
}

/// The half sign-in of a request.
fn half(shared: &Shared, headers: &HeaderMap) -> Option<(String, Token)> {
    let secret = own_cookie(shared, headers, HALF_COOKIE)?.to_owned();
    let token = secret.parse().ok()?;
    Some((secret, token))
}

/// The question for a code.
pub(crate) async fn code_page(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    match half(&shared, request.headers()) {
        Some((secret, _)) => {
            let prefs = Prefs::of(query, request.headers());
            page(&shared, prefs, &secret, CODE, &back_of(query), None, None)
        }
        None => see_other("/sign-in"),
    }
}

/// A new secret for an authenticator. It is shown here and never again; whoever asks once more gets another one.
pub(crate) async fn enrol_page(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let Some((secret, token)) = half(&shared, request.headers()) else { return Ok(see_other("/sign-in")) };
    let begun = {
        let shared = Arc::clone(&shared);
        blocking(move || Ok(shared.people.enrol(&token, shared.app.clock.now(), &mut *(shared.app.rng)())?))
            .await?
    };
    let prefs = Prefs::of(&query, request.headers());
    match begun {
        Ok(enrolment) => {
            let shown = shown(&enrolment)?;
            Ok(page(&shared, prefs, &secret, ENROL, &back_of(&query), Some(shown), None))
        }
        Err(_) => Ok(see_other("/sign-in")),
    }
}

fn back_of(query: &str) -> String {
    let pairs = url::pairs(query);
    pairs.iter().find(|(key, _)| key == "back").map_or("/", |(_, back)| url::local(back)).to_owned()
}

fn shown(enrolment: &Enrolment) -> Result<Shown, Problem> {
    let picture =
        QrCode::encode_text(enrolment.uri(), QrCodeEcc::Medium).map_err(|error| Problem::internal(&error))?;
    let mut dark = String::new();
    for (y, x) in (0..picture.size()).flat_map(|y| (0..picture.size()).map(move |x| (y, x))) {
        if picture.get_module(x, y) {
            // Writing to a string cannot fail.
            let _ = write!(dark, "M{} {}h1v1h-1z", x + QUIET_MODULES, y + QUIET_MODULES);
        }
    }
    let letters: Vec<char> = enrolment.secret().chars().collect();
    let groups: Vec<String> = letters.chunks(4).map(|four| four.iter().collect()).collect();
    Ok(Shown { secret: groups.join(" "), side: picture.size() + 2 * QUIET_MODULES, dark })
}

fn page(
    shared: &Shared,
    prefs: Prefs,
    secret: &str,
    action: &'static str,
    back: &str,
    shown: Option<Shown>,
    refusal: Option<String>,
) -> Response {
    let title = prefs.lang.t(if action == CODE { "sign_in.code_title" } else { "sign_in.enrol_title" });
    let query = url::with_query("", [("back", back)]);
    let query = query.trim_start_matches('?').to_owned();
    let mut f = lone_frame(shared, prefs, title, action.to_owned(), query);
    f.csrf = form_token(secret);
    let status = if refusal.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    match render(&SecondStepPage { f, back: back.to_owned(), action, shown, refusal }) {
        Ok(html) => (status, html).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct CodeForm {
    csrf: String,
    code: String,
    #[serde(default)]
    back: String,
}

/// Lets somebody in by the code, or asks again.
pub(crate) async fn enter_code(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(form): Form<CodeForm>,
) -> Result<Response, Problem> {
    go_on(&shared, from, &headers, form, CODE).await
}

/// Ends the enrolment by the first code, or asks again.
pub(crate) async fn confirm(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(form): Form<CodeForm>,
) -> Result<Response, Problem> {
    go_on(&shared, from, &headers, form, ENROL).await
}

async fn go_on(
    shared: &Arc<Shared>,
    from: SocketAddr,
    headers: &HeaderMap,
    form: CodeForm,
    action: &'static str,
) -> Result<Response, Problem> {
    attempt(shared, from.ip())?;
    let Some((secret, token)) = half(shared, headers) else { return Ok(see_other("/sign-in")) };
    if !same_token(&form.csrf, &secret) {
        return Err(Problem::new(Code::FormExpired, ""));
    }
    let outcome: Result<(Token, Session), Refusal> = match form.code.trim().parse::<people::Code>() {
        Err(_) => Err(Refusal::WrongCode),
        Ok(code) => {
            let shared = Arc::clone(shared);
            blocking(move || {
                let (now, rng) = (shared.app.clock.now(), &mut *(shared.app.rng)());
                let (people, from) = (&shared.people, from.ip().to_string());
                Ok(match action {
                    ENROL => people.confirm_enrolment(&token, &code, &from, now, rng)?,
                    _ => people.enter_code(&token, &code, &from, now, rng)?,
                })
            })
            .await?
        }
    };
    let prefs = Prefs::of("", headers);
    match outcome {
        Ok((token, session)) => {
            let mut response = session_opened(shared, &token, &session, &form.back);
            response.headers_mut().extend(half_cookie(shared, ""));
            Ok(response)
        }
        Err(Refusal::SessionEnded) => Ok(see_other("/sign-in")),
        Err(refusal) => {
            let words = refusal_words(prefs.lang, &refusal);
            Ok(page(shared, prefs, &secret, action, url::local(&form.back), None, Some(words)))
        }
    }
}
