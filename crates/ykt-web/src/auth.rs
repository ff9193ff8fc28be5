//! Signing in and out, sessions, and the tokens of forms.
//!
//! The rules (lock-out, session limits, password strength) are the office's. Here are the cookie (HttpOnly,
//! SameSite=Strict), a token in every form that is derived from the cookie and so cannot be guessed by another
//! site, and a bucket of attempts per address.

pub(crate) mod second_step;

use crate::i18n::Lang;
use crate::layers::{render, see_other};
use crate::problem::{Code, Problem};
use crate::tokens::Machine;
use crate::view::frame::{Frame, Who};
use crate::view::url;
use crate::web::{Asked, Prefs, Shared, Signed, blocking, cookie};
use askama::Template;
use axum::Form;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::time::Instant;
use ykt_base::hex::Hex;
use ykt_crypto::chain::sm3;
use ykt_office::people::{Entry, Password, PeopleError, Refusal, Session, Token, WeakPassword};

/// Name of the cookie that ties the sign-in form to its browser.
const FORM_COOKIE: &str = "ykt_form";

/// Name of the session cookie.
const SESSION_COOKIE: &str = "ykt_session";

/// The name of one of our cookies. With TLS the prefix binds it to this very host: a neighbour in the same domain can
/// give a browser neither a session nor a half sign-in of its own.
fn bound(shared: &Shared, name: &str) -> String {
    let prefix = if shared.config.secure_cookies() { "__Host-" } else { "" };
    format!("{prefix}{name}")
}

/// The value of one of our cookies.
pub(crate) fn own_cookie<'h>(shared: &Shared, headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    cookie(headers, &bound(shared, name))
}

/// A cookie line; `value` empty takes the cookie away.
pub(crate) fn set_cookie(shared: &Shared, name: &str, value: &str) -> Option<HeaderValue> {
    let secure = if shared.config.secure_cookies() { "; Secure" } else { "" };
    let age = if value.is_empty() { "; Max-Age=0" } else { "" };
    let name = bound(shared, name);
    HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}")).ok()
}

/// The token of the forms of one session: derived, so that nothing must be stored, and one-way, so that a
/// page's source does not give the session away.
fn form_token(secret: &str) -> String {
    Hex(&sm3(&[b"ykt form token", secret.as_bytes()]).0).to_string()
}

/// Whether a form's token is that of this secret, compared without telling where they differ.
fn same_token(given: &str, secret: &str) -> bool {
    let expected = form_token(secret);
    given.len() == expected.len()
        && given.bytes().zip(expected.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// Where a request comes from.
pub(crate) fn address(request: &axum::http::Extensions) -> IpAddr {
    request
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip())
}

/// The machine whose bearer token a request carries.
pub(crate) fn bearer<'s>(shared: &'s Shared, headers: &HeaderMap) -> Option<&'s Machine> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    shared.tokens.owner(value.strip_prefix("Bearer ")?.trim())
}

/// The frame of a page without anybody signed in.
pub(crate) fn lone_frame(shared: &Shared, prefs: Prefs, title: &str, path: String, query: String) -> Frame {
    Frame {
        lang: prefs.lang,
        theme: prefs.theme,
        title: title.to_owned(),
        here: "",
        who: None,
        csrf: String::new(),
        path,
        query,
        environment: shared.config.environment,
        search: String::new(),
        flash: None,
    }
}

/// Puts the signed-in person into the request, when there is one.
pub(crate) async fn session(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let secret = own_cookie(&shared, request.headers(), SESSION_COOKIE).map(str::to_owned);
    let Some((secret, token)) = secret.and_then(|s| s.parse::<Token>().ok().map(|token| (s, token))) else {
        return next.run(request).await;
    };
    let found = {
        let shared = Arc::clone(&shared);
        blocking(move || Ok(shared.people.session(&token, shared.app.clock.now())?)).await
    };
    match found {
        Ok(Some(session)) => {
            request.extensions_mut().insert(Signed {
                who: Who { user: session.user, full_name: session.full_name, role: session.role },
                must_change_password: session.must_change_password,
                csrf: form_token(&secret),
            });
        }
        Ok(None) => {}
        Err(problem) => return problem.into_response(),
    }
    next.run(request).await
}

/// Lets nobody pass who is not signed in, and nobody who must change the password first, except to do that.
pub(crate) async fn signed_in(request: Request, next: Next) -> Response {
    match request.extensions().get::<Signed>() {
        None => Problem::new(Code::SignInNeeded, "").into_response(),
        Some(signed) if signed.must_change_password && !may_pass(request.uri().path()) => {
            Problem::new(Code::PasswordChangeNeeded, "").into_response()
        }
        Some(_) => next.run(request).await,
    }
}

fn may_pass(path: &str) -> bool {
    matches!(path, "/account" | "/sign-out")
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    f: Frame,
    back: String,
    name: String,
    refusal: Option<String>,
}

/// The sign-in form.
pub(crate) async fn sign_in_page(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    if request.extensions().get::<Signed>().is_some() {
        return see_other("/");
    }
    let prefs = Prefs::of(&query, request.headers());
    sign_in_form(&shared, prefs, &query, String::new(), None)
}

fn sign_in_form(
    shared: &Shared,
    prefs: Prefs,
    query: &str,
    name: String,
    refusal: Option<String>,
) -> Response {
    let mut secret = [0; 16];
    (shared.app.rng)().fill(&mut secret);
    let secret = Hex(&secret).to_string();
    let pairs = url::pairs(query);
    let back = pairs.iter().find(|(key, _)| key == "back").map_or("/", |(_, back)| url::local(back));
    let title = prefs.lang.t("sign_in.title");
    let mut f = lone_frame(shared, prefs, title, "/sign-in".to_owned(), query.to_owned());
    f.csrf = form_token(&secret);
    let status = if refusal.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    match render(&SignInPage { f, back: back.to_owned(), name, refusal }) {
        Ok(html) => {
            let mut response = (status, html).into_response();
            if let Some(line) = set_cookie(shared, FORM_COOKIE, &secret) {
                response.headers_mut().append(header::SET_COOKIE, line);
            }
            response
        }
        Err(problem) => problem.into_response(),
    }
}

/// What the sign-in form sends.
#[derive(Deserialize)]
pub(crate) struct SignInForm {
    csrf: String,
    name: String,
    password: String,
    #[serde(default)]
    back: String,
}

/// Lets somebody in, or shows the form again with the reason.
pub(crate) async fn sign_in(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(form): Form<SignInForm>,
) -> Result<Response, Problem> {
    attempt(&shared, from.ip())?;
    let secret = own_cookie(&shared, &headers, FORM_COOKIE).unwrap_or_default();
    if secret.is_empty() || !same_token(&form.csrf, secret) {
        return Err(Problem::new(Code::FormExpired, ""));
    }
    let prefs = Prefs::of("", &headers);
    let (name, typed) = (form.name.trim().to_owned(), Password::new(form.password));
    let outcome = {
        let (shared, name) = (Arc::clone(&shared), name.clone());
        blocking(move || {
            let now = shared.app.clock.now();
            let rng = &mut *(shared.app.rng)();
            Ok(shared.people.sign_in(&name, &typed, &from.ip().to_string(), now, rng)?)
        })
        .await?
    };
    match outcome {
        Ok(Entry::Open(token, session)) => Ok(session_opened(&shared, &token, &session, &form.back)),
        Ok(Entry::Code(half)) => Ok(second_step::ask(&shared, &half, second_step::CODE, &form.back)),
        Ok(Entry::Enrol(half)) => Ok(second_step::ask(&shared, &half, second_step::ENROL, &form.back)),
        Err(refusal) => {
            let words = refusal_words(prefs.lang, &refusal);
            let query = url::with_query("", [("back", form.back.as_str())]);
            Ok(sign_in_form(&shared, prefs, query.trim_start_matches('?'), name, Some(words)))
        }
    }
}

/// The way in: the session's cookie, and the page that was asked for first.
fn session_opened(shared: &Shared, token: &Token, session: &Session, back: &str) -> Response {
    tracing::info!(role = session.role.name(), "somebody signed in");
    let mut response = see_other(if session.must_change_password { "/account" } else { url::local(back) });
    let lines = [set_cookie(shared, SESSION_COOKIE, &token.expose()), set_cookie(shared, FORM_COOKIE, "")];
    response.headers_mut().extend(lines.into_iter().flatten().map(|line| (header::SET_COOKIE, line)));
    response
}

/// Takes one attempt from the bucket of an address.
pub(crate) fn attempt(shared: &Shared, from: IpAddr) -> Result<(), Problem> {
    shared.attempts.take(from, Instant::now().into_std()).map_err(|wait| {
        let mut problem = Problem::new(Code::TooManyAttempts, "");
        problem.retry_after = Some(wait);
        problem
    })
}

/// A refusal in the language of the page.
fn refusal_words(lang: Lang, refusal: &Refusal) -> String {
    match refusal {
        Refusal::WrongNameOrPassword => lang.t("sign_in.wrong").to_owned(),
        Refusal::Locked { until } => lang.fill("sign_in.locked", &[("until", &until.to_string())]),
        Refusal::WrongCode => lang.t("sign_in.wrong_code").to_owned(),
        Refusal::CodeUsed => lang.t("sign_in.code_used").to_owned(),
        Refusal::Disabled => lang.t("sign_in.disabled").to_owned(),
        Refusal::TooManySessions { max } => lang.fill("sign_in.too_many", &[("max", &max.to_string())]),
        Refusal::HouseFull { max } => lang.fill("sign_in.full", &[("max", &max.to_string())]),
        Refusal::SessionEnded => lang.t("sign_in.ended").to_owned(),
        Refusal::Weak(weak) => weak_words(lang, weak),
    }
}

/// Why a password is not accepted, in the language of the page.
pub(crate) fn weak_words(lang: Lang, weak: &WeakPassword) -> String {
    match weak {
        WeakPassword::TooShort { found } => lang.fill("account.too_short", &[("found", &found.to_string())]),
        WeakPassword::TooLong { .. } => lang.t("account.too_long").to_owned(),
        WeakPassword::ClassMissing { .. } => lang.t("account.class_missing").to_owned(),
        WeakPassword::ContainsName => lang.t("account.contains_name").to_owned(),
        WeakPassword::UsedBefore => lang.t("account.used_before").to_owned(),
    }
}

/// A form that only carries its token.
#[derive(Deserialize)]
pub(crate) struct BareForm {
    csrf: String,
}

/// Ends the session.
pub(crate) async fn sign_out(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    asked: Asked,
    Form(form): Form<BareForm>,
) -> Result<Response, Problem> {
    let token = proven(&shared, &asked, &headers, &form.csrf)?;
    {
        let shared = Arc::clone(&shared);
        blocking(move || {
            Ok(shared.people.sign_out(&token, &from.ip().to_string(), shared.app.clock.now())?)
        })
        .await?;
    }
    let mut response = see_other("/sign-in");
    if let Some(line) = set_cookie(&shared, SESSION_COOKIE, "") {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    Ok(response)
}

/// The session's token when the form's own token belongs to it.
pub(crate) fn proven(
    shared: &Shared,
    asked: &Asked,
    headers: &HeaderMap,
    given: &str,
) -> Result<Token, Problem> {
    let expired = || Problem::new(Code::FormExpired, "");
    let secret = own_cookie(shared, headers, SESSION_COOKIE).ok_or_else(expired)?;
    if !same_token(given, secret) || asked.signed.csrf != form_token(secret) {
        return Err(expired());
    }
    secret.parse().map_err(|_| expired())
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    f: Frame,
    who: Who,
    must: bool,
    refusal: Option<String>,
    done: bool,
}

/// Who am I, and the form to change the password.
pub(crate) async fn account_page(
    State(shared): State<Arc<Shared>>,
    asked: Asked,
) -> Result<Response, Problem> {
    account(&shared, &asked, None, false)
}

fn account(shared: &Shared, asked: &Asked, refusal: Option<String>, done: bool) -> Result<Response, Problem> {
    let status = if refusal.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let f = asked.frame(shared, asked.prefs.lang.t("nav.account"), "/account");
    let who = asked.signed.who.clone();
    let must = asked.signed.must_change_password && !done;
    Ok((status, render(&AccountPage { f, who, must, refusal, done })?).into_response())
}

/// What the password form sends.
#[derive(Deserialize)]
pub(crate) struct PasswordForm {
    csrf: String,
    old: String,
    new: String,
    again: String,
}

/// Changes the password of who asks.
pub(crate) async fn change_password(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    asked: Asked,
    Form(form): Form<PasswordForm>,
) -> Result<Response, Problem> {
    attempt(&shared, from.ip())?;
    let token = proven(&shared, &asked, &headers, &form.csrf)?;
    let lang = asked.prefs.lang;
    if form.new != form.again {
        return account(&shared, &asked, Some(lang.t("account.not_same").to_owned()), false);
    }
    let (old, new) = (Password::new(form.old), Password::new(form.new));
    let outcome = {
        let shared = Arc::clone(&shared);
        blocking(move || {
            let now = shared.app.clock.now();
            let rng = &mut *(shared.app.rng)();
            let from = from.ip().to_string();
            shared
                .people
                .change_password(&token, &old, &new, &from, now, rng)
                .map_err(|error: PeopleError| Problem::internal(&error))
        })
        .await?
    };
    match outcome {
        Ok(()) => account(&shared, &asked, None, true),
        Err(Refusal::WrongNameOrPassword) => {
            account(&shared, &asked, Some(lang.t("account.old_wrong").to_owned()), false)
        }
        Err(refusal) => account(&shared, &asked, Some(refusal_words(lang, &refusal)), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_token_belongs_to_one_secret() {
        let token = form_token("one");
        assert!(same_token(&token, "one"));
        assert!(!same_token(&token, "two") && !same_token("", "one") && !same_token(&token[1..], "one"));
        assert!(!token.contains("one"));
    }
}
