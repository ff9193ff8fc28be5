//! What went wrong, for people and programs: a stable code, a status, and words in both languages. The API
//! answers it as JSON; a page shows the same words with the way onward.

use crate::i18n::Lang;
use crate::list::ListError;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $code:literal $status:ident $key:literal;)+) => {
        /// The catalogue of codes. A code is never given another meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($(#[$doc])+ $name,)+
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Code] = &[$(Code::$name),+];

            /// The code as programs see it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code,)+ }
            }

            /// The HTTP status it comes with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Code::$name => StatusCode::$status,)+ }
            }

            /// Key of its words in the catalogue.
            #[must_use]
            pub const fn key(self) -> &'static str {
                match self { $(Code::$name => $key,)+ }
            }
        }
    };
}

codes! {
    /// No session and no bearer token, or one that is not valid.
    SignInNeeded = "sign-in-needed" UNAUTHORIZED "problem.sign_in_needed";
    /// The role may not do this.
    NotAllowed = "not-allowed" FORBIDDEN "problem.not_allowed";
    /// The password must be changed before anything else.
    PasswordChangeNeeded = "password-change-needed" FORBIDDEN "problem.password_change_needed";
    /// The form's token is missing or belongs to another session.
    FormExpired = "form-expired" FORBIDDEN "problem.form_expired";
    /// There is no such thing.
    NotFound = "not-found" NOT_FOUND "problem.not_found";
    /// The method does not fit the path.
    MethodNotAllowed = "method-not-allowed" METHOD_NOT_ALLOWED "problem.method_not_allowed";
    /// A parameter or a body is not what it should be.
    BadRequest = "bad-request" BAD_REQUEST "problem.bad_request";
    /// The list is longer than one export may be.
    ExportTooLong = "export-too-long" BAD_REQUEST "problem.export_too_long";
    /// Too many attempts from this address.
    TooManyAttempts = "too-many-attempts" TOO_MANY_REQUESTS "problem.too_many_attempts";
    /// The request contradicts what is known, such as an order id used for another content.
    Conflict = "conflict" CONFLICT "problem.conflict";
    /// A rule refuses the request: a wrong MAC, a card that may not be loaded.
    Refused = "refused" UNPROCESSABLE_ENTITY "problem.refused";
    /// This server has no vault, so it can load no cards.
    NoVault = "no-vault" SERVICE_UNAVAILABLE "problem.no_vault";
    /// The vault is locked or gone at this moment.
    VaultUnavailable = "vault-unavailable" SERVICE_UNAVAILABLE "problem.vault_unavailable";
    /// A fault of ours.
    Internal = "internal" INTERNAL_SERVER_ERROR "problem.internal";
}

/// An answer that tells what went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which one.
    pub code: Code,
    /// A more exact code of the room below, such as that of a load refused.
    pub reason: Option<String>,
    /// What exactly: what, where, expected, found. Never a secret or a whole card number.
    pub detail: String,
    /// When to try again.
    pub retry_after: Option<Duration>,
}

/// A problem as JSON.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemBody {
    /// Stable code, see the list in the description of this API.
    #[schema(example = "bad-request")]
    pub code: String,
    /// What happened and what to do, in English.
    pub message: String,
    /// The same in Chinese.
    pub message_zh: String,
}

impl Problem {
    /// A problem with its detail.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Problem {
        Problem { code, reason: None, detail: detail.into(), retry_after: None }
    }

    /// There is no `what` with this id.
    #[must_use]
    pub fn not_found(id: impl Into<String>) -> Problem {
        Problem::new(Code::NotFound, id)
    }

    /// A fault of ours: written to the log with all its causes, told to nobody.
    #[must_use]
    pub fn internal(error: &dyn std::error::Error) -> Problem {
        let mut causes = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            causes = format!("{causes}: {cause}");
            source = cause.source();
        }
        tracing::error!(causes, "a request failed by a fault of ours: {causes}");
        Problem::new(Code::Internal, "")
    }

    /// The words in a language, detail included.
    #[must_use]
    pub fn words(&self, lang: Lang) -> String {
        let words = lang.t(self.code.key());
        if self.detail.is_empty() { words.to_owned() } else { format!("{words} ({})", self.detail) }
    }

    /// The code programs see.
    #[must_use]
    pub fn program_code(&self) -> &str {
        self.reason.as_deref().unwrap_or_else(|| self.code.as_str())
    }
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Problem {
        match error {
            ListError::Ask { .. } => Problem::new(Code::BadRequest, error.to_string()),
            ListError::Vault(error) => Problem::new(Code::NoVault, error.to_string()),
            ListError::Query(_) => Problem::internal(&error),
        }
    }
}

impl From<ykt_store::StoreError> for Problem {
    fn from(error: ykt_store::StoreError) -> Problem {
        Problem::internal(&error)
    }
}

/// JSON with the problem kept beside it, so that the page layer can write it as a page instead.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            code: self.program_code().to_owned(),
            message: self.words(Lang::En),
            message_zh: self.words(Lang::Zh),
        };
        let mut response = (self.code.status(), Json(body)).into_response();
        if let Some(wait) = self.retry_after {
            let seconds = HeaderValue::from(wait.as_secs().saturating_add(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if self.code == Code::SignInNeeded {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_words_in_both_languages() {
        for code in Code::ALL {
            for lang in Lang::ALL {
                assert!(lang.find(code.key()).is_some(), "{}", code.as_str());
            }
        }
        let problem = Problem::new(Code::NotFound, "card ************7984");
        assert!(problem.words(Lang::En).ends_with(" (card ************7984)"));
        assert_eq!(problem.into_response().status(), StatusCode::NOT_FOUND);
    }
}
