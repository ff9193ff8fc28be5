//! What all handlers share, and what they know of the request they answer: who asks, in which language and
//! theme, by which session.

use crate::config::Config;
use crate::i18n::Lang;
use crate::list::{CardNumbers, Look};
use crate::metrics::Metrics;
use crate::problem::{Code, Problem};
use crate::rate::Limiter;
use crate::tokens::Tokens;
use crate::verified::Verified;
use crate::view::frame::{Frame, Theme, Who};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use std::net::IpAddr;
use std::sync::Arc;
use ykt_base::hex::Hex;
use ykt_base::{Clock, DateTime, Rng};
use ykt_kmc::Centre;
use ykt_office::Act;
use ykt_office::audit::{Checkpoint, CheckpointError};
use ykt_office::people::{People, Permission, Role};
use ykt_store::{Store, Tx};
use ykt_vault::Vault;

/// What the server is given: the database, the keys, time and randomness.
#[derive(Clone)]
pub struct App {
    /// The database, opened with the modules of all rooms.
    pub store: Store,
    /// The keys; without them no card can be loaded.
    pub vault: Option<Arc<dyn Vault>>,
    /// The key management centre over the same keys; without it keys can be neither looked at nor managed.
    pub centre: Option<Arc<Centre>>,
    /// Time.
    pub clock: Arc<dyn Clock + Send + Sync>,
    /// Makes sources of randomness for session tokens and salts: the operating system's, except in tests.
    pub rng: Arc<dyn Fn() -> Box<dyn Rng> + Send + Sync>,
}

/// What all handlers share.
pub struct Shared {
    pub(crate) app: App,
    pub(crate) config: Config,
    pub(crate) people: People,
    pub(crate) metrics: Metrics,
    /// Attempts to sign in or to use a token.
    pub(crate) attempts: Limiter,
    pub(crate) tokens: Tokens,
    /// How far the audit log was verified.
    pub(crate) verified: Verified,
}

impl Shared {
    /// An id that nobody chose before, for a form whose act must happen once however often it is sent.
    pub(crate) fn new_id(&self) -> String {
        let mut bytes = [0; 8];
        (self.app.rng)().fill(&mut bytes);
        Hex(&bytes).to_string()
    }

    /// Whether there is a key that signs checkpoints of the audit log.
    pub(crate) fn can_sign(&self) -> bool {
        self.app.centre.as_ref().is_some_and(|centre| centre.signer.is_some())
    }

    /// Signs a checkpoint of the audit log, where there is a key; blocks.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub(crate) fn checkpoint(&self, now: DateTime) -> Result<Option<Checkpoint>, CheckpointError> {
        match &self.app.centre {
            Some(centre) => centre.checkpoint(now, &mut *(self.app.rng)()),
            None => Ok(None),
        }
    }

    /// The key management centre.
    ///
    /// # Errors
    /// [`Code::NoVault`].
    pub(crate) fn centre(&self) -> Result<Arc<Centre>, Problem> {
        self.app.centre.clone().ok_or_else(|| Problem::new(Code::NoVault, ""))
    }

    /// Reads on a thread that may block.
    ///
    /// # Errors
    /// The problem of `work`, or a fault of ours when it panicked.
    pub(crate) async fn read<T, W>(self: &Arc<Self>, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        W: FnOnce(&Tx<'_>) -> Result<T, Problem> + Send + 'static,
    {
        let shared = Arc::clone(self);
        blocking(move || shared.app.store.read(|tx| Ok::<_, Problem>(work(tx))).flatten()).await
    }
}

/// Runs `work` on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panicked| Err(Problem::internal(&panicked)))
}

/// Language and theme of a request: by its address, else by cookie, else by what the browser prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prefs {
    /// Language.
    pub lang: Lang,
    /// Theme.
    pub theme: Theme,
}

/// Name of the language cookie.
pub(crate) const LANG_COOKIE: &str = "ykt_lang";
/// Name of the theme cookie.
pub(crate) const THEME_COOKIE: &str = "ykt_theme";

impl Prefs {
    /// Reads them from a request.
    pub(crate) fn of(query: &str, headers: &HeaderMap) -> Prefs {
        let asked = |name: &str| {
            crate::view::url::pairs(query).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
        };
        let accepted = || headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let lang = asked("lang")
            .as_deref()
            .and_then(Lang::from_code)
            .or_else(|| cookie(headers, LANG_COOKIE).and_then(Lang::from_code))
            .or_else(|| accepted().and_then(Lang::accepted))
            .unwrap_or_default();
        let theme = asked("theme")
            .as_deref()
            .and_then(Theme::from_code)
            .or_else(|| cookie(headers, THEME_COOKIE).and_then(Theme::from_code))
            .unwrap_or_default();
        Prefs { lang, theme }
    }
}

/// The value of a cookie.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// A signed-in person, put into the request by the session layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Who.
    pub who: Who,
    /// Nothing but a change of password is allowed.
    pub must_change_password: bool,
    /// What every form of this session carries.
    pub csrf: String,
}

impl Signed {
    /// How card numbers are shown to this person.
    #[must_use]
    pub fn card_numbers(&self) -> CardNumbers {
        match self.who.role {
            Role::Operator | Role::Finance => CardNumbers::Whole,
            Role::Security | Role::Auditor | Role::ReadOnly | Role::Custodian | Role::KeyAdministrator => {
                CardNumbers::Masked
            }
        }
    }

    /// Refuses who may not do `what`.
    ///
    /// # Errors
    /// [`Code::NotAllowed`].
    pub fn must(&self, what: Permission) -> Result<(), Problem> {
        if self.who.role.may(what) { Ok(()) } else { Err(Problem::new(Code::NotAllowed, "")) }
    }
}

/// What a page needs to know of its request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Who.
    pub signed: Signed,
    /// Language and theme.
    pub prefs: Prefs,
    /// Path.
    pub path: String,
    /// Query string.
    pub query: String,
    /// What the act that led here has done.
    pub flash: Option<String>,
    /// The machine it came from.
    pub from: IpAddr,
}

impl Asked {
    /// In which language, with which card numbers.
    #[must_use]
    pub fn look(&self) -> Look {
        Look { lang: self.prefs.lang, cards: self.signed.card_numbers() }
    }

    /// What this person does now, as the audit log knows it.
    #[must_use]
    pub fn act(&self, now: DateTime) -> Act {
        Act::of(&self.signed.who.user, &self.from.to_string(), now)
    }

    /// The frame of a page of this title, below the navigation entry `here`.
    pub(crate) fn frame(&self, shared: &Shared, title: impl Into<String>, here: &'static str) -> Frame {
        Frame {
            lang: self.prefs.lang,
            theme: self.prefs.theme,
            title: title.into(),
            here,
            who: Some(self.signed.who.clone()),
            csrf: self.signed.csrf.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            environment: shared.config.environment,
            search: String::new(),
            flash: self.flash.clone(),
        }
    }
}

impl FromRequestParts<Arc<Shared>> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Asked, Problem> {
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let signed = parts.extensions.get::<Signed>().cloned();
        let prefs = Prefs::of(&query, &parts.headers);
        Ok(Asked {
            signed: signed.ok_or_else(|| Problem::new(Code::SignInNeeded, ""))?,
            prefs,
            flash: crate::act::flash(shared, &parts.headers, prefs.lang),
            from: crate::auth::address(&parts.extensions),
            path: parts.uri.path().to_owned(),
            query,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn the_address_goes_over_the_cookie_and_the_cookie_over_the_browser() {
        let mut headers = HeaderMap::new();
        assert_eq!(Prefs::of("", &headers), Prefs { lang: Lang::En, theme: Theme::Auto });
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("zh-CN,zh;q=0.9,en;q=0.8"));
        assert_eq!(Prefs::of("", &headers).lang, Lang::Zh);
        headers.insert(header::COOKIE, HeaderValue::from_static("x=1; ykt_lang=en; ykt_theme=dark"));
        assert_eq!(Prefs::of("", &headers), Prefs { lang: Lang::En, theme: Theme::Dark });
        assert_eq!(Prefs::of("lang=zh&theme=light", &headers), Prefs { lang: Lang::Zh, theme: Theme::Light });
        assert_eq!(cookie(&headers, "ykt_lan"), None);
    }
}
