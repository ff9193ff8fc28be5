//! Acts: what a person does at a console with a form. One way for all pages.
//!
//! A page that can be acted on has a function that draws it (the *view*), a GET handler that draws it empty, and
//! a POST handler that acts and, when a rule refuses, draws it again with the words beside the field:
//!
//! ```text
//! // GET /people/new
//! pub(crate) async fn page(State(shared): State<Arc<Shared>>, asked: Asked) -> Result<Response, Problem> {
//!     asked.signed.must(Permission::ManagePeople)?;
//!     view(&shared, &asked, &Filled::default())
//! }
//!
//! fn view(shared: &Shared, asked: &Asked, filled: &Filled) -> Result<Response, Problem> {
//!     let lang = asked.prefs.lang;
//!     let form = Form::new(asked, "people.add", "/people/new", "people.add_go")
//!         .field(Field::new("name", lang.t("sign_in.name"), FieldKind::Code))
//!         .filled(filled);                              // what was typed and what is wrong with it
//!     filled.page(&Detail { …, blocks: vec![Block::Form(form)] })   // 422 when refused
//! }
//!
//! // POST /people/new, registered with `.route("/people/new", get(page).post(add))`
//! pub(crate) async fn add(doing: Doing) -> Result<Response, Problem> {
//!     let done = doing.run(Permission::ManagePeople, |work| {
//!         let name = work.fields.must("name", work.lang)?; // refused beside the field when empty
//!         people_of(work).add(name, …, &work.act).map_err(|e| Fault::at("name", words(work.lang, &e)))?;
//!         Ok(Done::at("/people").say("people.added", [("name", name)]))
//!     });
//!     match done.await? {
//!         Acted::Done(answer) => Ok(answer),            // 303 to `Done::at`, words on the next page
//!         Acted::Refused(filled) => view(&doing.shared, &doing.asked, &filled),
//!     }
//! }
//! ```
//!
//! What this module sees to: taking a [`Doing`] checks that the form belongs to the session (its `csrf` field, which
//! [`Form`](crate::view::form::Form) writes); [`Doing::run`] checks the permission, makes the [`Act`] (who, from
//! where, when by the server's clock) and runs the work on a thread that may block. Values of forms are wiped when
//! they go and never logged; a field of kind `Secret` is never filled in again. An act that must happen once however
//! often it is sent carries an id: `Field::hidden("id", shared.new_id())`.

mod parts;

use crate::auth;
use crate::i18n::Lang;
use crate::layers::{render, see_other};
use crate::pages::import;
use crate::problem::{Code, Problem};
use crate::server::BODY_BYTES_MAX;
use crate::view::url;
use crate::web::{Asked, Shared, blocking};
use crate::words::Word;
use askama::Template;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::fmt;
use std::sync::Arc;
use ykt_office::Act;
use ykt_office::people::Permission;
use ykt_office::requests::{RequestError, RequestId, RequestState};
use ykt_store::StoreError;
use zeroize::Zeroizing;

/// Name of the cookie that carries the words of a finished act to the next page.
pub(crate) const FLASH_COOKIE: &str = "ykt_flash";
/// Longest cookie of such words, in bytes.
const FLASH_LEN_MAX: usize = 1_000;

/// A posted form that belongs to the session it came with.
pub(crate) struct Doing {
    /// What all handlers share.
    pub(crate) shared: Arc<Shared>,
    /// Who asks, in which language.
    pub(crate) asked: Asked,
    /// What was sent.
    pub(crate) fields: Arc<Fields>,
}

/// What the work of an act is given.
pub(crate) struct Work<'a> {
    /// What all handlers share: the database, the vault, the people.
    pub(crate) shared: &'a Arc<Shared>,
    /// Who does it, from where, when.
    pub(crate) act: Act,
    /// What was sent.
    pub(crate) fields: &'a Fields,
    /// The reader's language, for refusals.
    pub(crate) lang: Lang,
}

/// The fields of a posted form. They may be secrets: wiped when they go, and without `Debug`.
pub(crate) struct Fields(Vec<(String, Zeroizing<String>)>);

/// What was filled in and refused: nothing at first.
#[derive(Default)]
pub(crate) struct Filled {
    pub(crate) action: String,
    fields: Option<Arc<Fields>>,
    refusal: Option<(&'static str, String)>,
}

/// How an act ended.
pub(crate) enum Acted {
    /// Done: the way to the next page.
    Done(Response),
    /// Refused by a rule: the form again.
    Refused(Filled),
}

/// Where an act leads, and what the next page says.
pub(crate) struct Done {
    to: String,
    words: Option<(&'static str, Vec<(&'static str, String)>)>,
}

/// Why an act was not done.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A rule refused it: the field it concerns (empty for the whole form), and words in the reader's language.
    Refused(&'static str, String),
    /// Anything else: another page says it.
    Problem(Problem),
}

impl Fault {
    /// A rule refused it because of one field.
    pub(crate) fn at(field: &'static str, words: impl Into<String>) -> Fault {
        Fault::Refused(field, words.into())
    }

    /// A rule refused it as a whole.
    pub(crate) fn said(words: impl Into<String>) -> Fault {
        Fault::Refused("", words.into())
    }

    /// A rule refused it because of one field: what it takes, and what was filled in.
    pub(crate) fn expected(lang: Lang, field: &'static str, expected: &str, found: &str) -> Fault {
        const FOUND_LEN_MAX: usize = 60;
        let mut shown: String = found.chars().take(FOUND_LEN_MAX).collect();
        if shown.len() < found.len() {
            shown.push('…');
        }
        Fault::at(field, lang.fill("form.expected", &[("expected", expected), ("found", &shown)]))
    }

    /// A step of a request for two people was refused.
    pub(crate) fn of_request(lang: Lang, error: &RequestError) -> Fault {
        let id = |id: &RequestId| ("id", id.to_string());
        let said = |key: &str, places: &[(&str, String)]| {
            let places: Vec<(&str, &str)> =
                places.iter().map(|(name, value)| (*name, value.as_str())).collect();
            Fault::said(lang.fill(key, &places))
        };
        let state = |state: RequestState| state.in_words(lang).to_owned();
        match error {
            RequestError::Store(error) => Fault::ours(error),
            RequestError::Unknown { id } => Fault::Problem(Problem::not_found(id.to_string())),
            RequestError::Conflict { id: no, .. } => said("request.taken", &[id(no)]),
            RequestError::Field { field, .. } => Fault::at(field, lang.t("request.text")),
            RequestError::NotAllowed { id: no, who, .. } => {
                said("request.not_allowed", &[id(no), ("who", who.clone())])
            }
            RequestError::OwnRequest { id: no, asked_by, .. } => {
                said("request.own", &[id(no), ("who", asked_by.clone())])
            }
            RequestError::NotAsker { id: no, asked_by } => {
                said("request.not_asker", &[id(no), ("who", asked_by.clone())])
            }
            RequestError::State { id: no, found, .. } => {
                said("request.state", &[id(no), ("found", state(*found))])
            }
            RequestError::Expired { id: no, at } => {
                said("request.expired", &[id(no), ("at", at.to_string())])
            }
        }
    }

    /// A fault of ours.
    pub(crate) fn ours(error: &dyn std::error::Error) -> Fault {
        Fault::Problem(Problem::internal(error))
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Fault {
        Fault::Problem(problem)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::ours(&error)
    }
}

impl Done {
    /// The act is done; the browser goes to `to`, a path of ours.
    pub(crate) fn at(to: impl Into<String>) -> Done {
        Done { to: to.into(), words: None }
    }

    /// The same, and the next page says the catalogue's words for `key` with its places filled.
    pub(crate) fn say<const N: usize>(
        mut self,
        key: &'static str,
        places: [(&'static str, &str); N],
    ) -> Done {
        self.words = Some((key, places.map(|(name, value)| (name, value.to_owned())).into()));
        self
    }
}

impl Fields {
    /// What was sent under a name; spaces around it are not part of it.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.raw(name).map(str::trim).filter(|text| !text.is_empty())
    }

    /// What was sent under a name that must be there.
    ///
    /// # Errors
    /// [`Fault::Refused`] at the field.
    pub(crate) fn must(&self, name: &'static str, lang: Lang) -> Result<&str, Fault> {
        self.text(name).ok_or_else(|| Fault::at(name, lang.t("form.missing")))
    }

    /// What was sent under a name as it came, such as a password.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fields")
    }
}

impl Filled {
    /// What was filled in under a name.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.fields.as_ref()?.raw(name)
    }

    /// What is wrong with a field.
    pub(crate) fn error_of(&self, name: &str) -> Option<&str> {
        self.refusal.as_ref().filter(|(field, _)| *field == name).map(|(_, words)| words.as_str())
    }

    /// Why it was refused.
    pub(crate) fn words(&self) -> Option<&str> {
        self.refusal.as_ref().map(|(_, words)| words.as_str())
    }

    /// The page this belongs to: an answer that says whether the form was refused.
    ///
    /// # Errors
    /// A fault of ours when the template fails.
    pub(crate) fn page(&self, page: &impl Template) -> Result<Response, Problem> {
        let status = if self.refusal.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        Ok((status, render(page)?).into_response())
    }
}

impl Doing {
    /// Does it: `work` runs on a thread that may block, when the role may do `needs`.
    ///
    /// # Errors
    /// [`Code::NotAllowed`], or the problem of `work`.
    pub(crate) async fn run(
        &self,
        needs: Permission,
        work: impl FnOnce(&Work<'_>) -> Result<Done, Fault> + Send + 'static,
    ) -> Result<Acted, Problem> {
        Ok(match self.answer(needs, work).await? {
            Ok(done) => Acted::Done(self.onward(&done)),
            Err(filled) => Acted::Refused(filled),
        })
    }

    /// As [`Doing::run`], for an act that answers with something else than the way to the next page: a paper that is
    /// shown once.
    ///
    /// # Errors
    /// As [`Doing::run`].
    pub(crate) async fn answer<T: Send + 'static>(
        &self,
        needs: Permission,
        work: impl FnOnce(&Work<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<Result<T, Filled>, Problem> {
        self.asked.signed.must(needs)?;
        let (shared, fields) = (Arc::clone(&self.shared), Arc::clone(&self.fields));
        let (asked, lang) = (self.asked.clone(), self.asked.prefs.lang);
        let done = blocking(move || {
            let act = asked.act(shared.app.clock.now());
            match work(&Work { shared: &shared, act, fields: &fields, lang }) {
                Ok(done) => Ok(Ok(done)),
                Err(Fault::Refused(field, words)) => Ok(Err((field, words))),
                Err(Fault::Problem(problem)) => Err(problem),
            }
        })
        .await?;
        Ok(done.map_err(|refusal| Filled {
            action: self.asked.path.clone(),
            fields: Some(Arc::clone(&self.fields)),
            refusal: Some(refusal),
        }))
    }

    /// The way to the next page, with the words it shows.
    fn onward(&self, done: &Done) -> Response {
        let mut response = see_other(url::local(&done.to));
        if let Some((key, places)) = &done.words {
            let places = places.iter().map(|(name, value)| (*name, value.as_str()));
            let value = url::with_query("", [("say", *key)].into_iter().chain(places));
            let line = auth::set_cookie(&self.shared, FLASH_COOKIE, value.trim_start_matches('?'));
            if let Some(line) = line.filter(|line| line.len() <= FLASH_LEN_MAX) {
                response.headers_mut().append(header::SET_COOKIE, line);
            }
        }
        response
    }
}

impl FromRequest<Arc<Shared>> for Doing {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Doing, Problem> {
        let (mut parts, body) = request.into_parts();
        let asked = {
            use axum::extract::FromRequestParts;
            Asked::from_request_parts(&mut parts, shared).await?
        };
        let expired = || Problem::new(Code::FormExpired, "");
        let most = if import::is_here(parts.uri.path()) { import::BODY_BYTES_MAX } else { BODY_BYTES_MAX };
        let body = axum::body::to_bytes(body, most).await.map_err(|error| {
            let words = format!("expected a form of at most {most} bytes: {error}");
            Problem::new(Code::BadRequest, words)
        })?;
        let body = Zeroizing::new(body.to_vec());
        let pairs = match parts::read(&parts.headers, &body).await {
            Some(read) => read.map_err(|error| Problem::new(Code::BadRequest, error.body_text()))?,
            None => url::pairs(std::str::from_utf8(&body).map_err(|_| expired())?),
        };
        let fields = Fields(pairs.into_iter().map(|(k, v)| (k, Zeroizing::new(v))).collect());
        auth::proven(shared, &asked, &parts.headers, fields.raw("csrf").unwrap_or_default())?;
        Ok(Doing { shared: Arc::clone(shared), asked, fields: Arc::new(fields) })
    }
}

/// The words that a finished act left for this page.
pub(crate) fn flash(shared: &Shared, headers: &HeaderMap, lang: Lang) -> Option<String> {
    let pairs = url::pairs(auth::own_cookie(shared, headers, FLASH_COOKIE)?);
    let (_, key) = pairs.iter().find(|(name, _)| name == "say")?;
    lang.find(key)?;
    let places: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Some(lang.fill(key, &places))
}

/// The line that takes the words away once they were shown.
pub(crate) fn flash_shown(shared: &Shared) -> Option<HeaderValue> {
    auth::set_cookie(shared, FLASH_COOKIE, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_a_request_has_its_words() {
        let (id, at) = (|| "r1".parse::<RequestId>().unwrap(), "20261122120000".parse().unwrap());
        let who = || "keys1".to_owned();
        let (expected, found) = (RequestState::Open, RequestState::Done);
        for (error, words) in [
            (RequestError::Conflict { id: id(), differs: "object" }, "Request r1 exists with another"),
            (RequestError::Field { id: id(), field: "reason", found: 0 }, "Give 1 to 500 characters."),
            (
                RequestError::NotAllowed { id: id(), who: who(), needs: Permission::ManageKeys },
                "The role of keys1 does not allow request r1.",
            ),
            (
                RequestError::OwnRequest { id: id(), asked_by: who(), who: who() },
                "Request r1 was asked by keys1: another person must decide",
            ),
            (RequestError::NotAsker { id: id(), asked_by: who() }, "Only keys1, who asked for it"),
            (RequestError::State { id: id(), expected, found }, "Request r1 is Done already"),
            (RequestError::Expired { id: id(), at }, "Request r1 expired at 2026-11-22 12:00:00"),
        ] {
            let said = |lang| match Fault::of_request(lang, &error) {
                Fault::Refused(_, words) => words,
                Fault::Problem(problem) => panic!("{problem:?}"),
            };
            assert!(said(Lang::En).starts_with(words), "{}", said(Lang::En));
            assert_ne!(said(Lang::Zh), said(Lang::En));
            assert!(!said(Lang::Zh).contains('{') && !said(Lang::En).contains('{'), "{}", said(Lang::Zh));
        }
        let unknown = RequestError::Unknown { id: id() };
        assert!(matches!(Fault::of_request(Lang::En, &unknown), Fault::Problem(_)));
    }
}
