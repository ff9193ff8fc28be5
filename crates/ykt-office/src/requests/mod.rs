//! Requests that take two people (`keys-and-ca.md` 3): one asks, another one with the same permission approves
//! or refuses, and only then the room that owns the request acts and reports how it ended.
//!
//! ```text
//!  ask ──▶ Open ──approve──▶ Approved ──finish──▶ Done | Failed
//!            │── refuse ────▶ Refused        (by another person)
//!            │── withdraw ──▶ Withdrawn      (by the asker)
//!            └── 24 hours ──▶ Expired
//! ```
//!
//! Who may do a step is read from the register of people, never taken from the caller: the user named in the
//! [`Act`] must be there, not disabled, and of a role with the permission. Two users of one staff number are one
//! person. Each step, a refused one too, writes the audit log; repeating a step that was done answers alike
//! and does nothing.
//!
//! A refused step is written down in the same transaction, so the transaction must be kept: run steps through
//! [`keep`], and take the step before other writes of the transaction.
//!
//! ```text
//! requests::keep(&store, |tx| requests::approve(tx, &act, &id))?;
//! let outcome = vault.change_state(…);
//! requests::keep(&store, |tx| requests::finish(tx, &act, &id, outcome))?;
//! ```
//! What was approved and not finished when a process ended is found by [`list`] with [`RequestState::Approved`].

mod steps;
mod store;

use crate::people::Permission;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use ykt_base::DateTime;
use ykt_store::StoreError;

pub use steps::{approve, ask, finish, keep, refuse, withdraw};
pub use store::{list, one};

/// Longest id, in characters.
pub const REQUEST_ID_LEN_MAX: usize = 64;
/// An open request expires after so many seconds.
pub const REQUEST_OPEN_S_MAX: i64 = 24 * 60 * 60;
/// Longest object, reason or result, in characters.
pub const REQUEST_TEXT_CHARS_MAX: usize = 500;

/// The id of a request, chosen by who asks: 1 to 64 signs of A-Z a-z 0-9 . _ -
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(String);

/// The text is no id of a request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a request id has 1 to {REQUEST_ID_LEN_MAX} signs of A-Z a-z 0-9 . _ -, found `{found}`")]
pub struct RequestIdError {
    found: String,
}

impl RequestId {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RequestId {
    type Err = RequestIdError;
    fn from_str(text: &str) -> Result<RequestId, RequestIdError> {
        let fits = (1..=REQUEST_ID_LEN_MAX).contains(&text.len())
            && text.bytes().all(|sign| sign.is_ascii_alphanumeric() || matches!(sign, b'.' | b'_' | b'-'));
        if fits { Ok(RequestId(text.to_owned())) } else { Err(RequestIdError { found: text.to_owned() }) }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

ykt_store::coded! {
    /// What has become of a request.
    RequestState {
        /// Waits for the second person.
        Open = 1, "open";
        /// Approved by a second person; its room acts now.
        Approved = 2, "approved";
        /// Refused by a second person.
        Refused = 3, "refused";
        /// Withdrawn by who asked.
        Withdrawn = 4, "withdrawn";
        /// Approved and done.
        Done = 5, "done";
        /// Approved, but it could not be done.
        Failed = 6, "failed";
        /// Nobody decided in time.
        Expired = 7, "expired";
    }
}

/// A request as it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRequest {
    /// Its id: the same again is the same request.
    pub id: RequestId,
    /// What is to be done, a fixed word such as `key/activate`.
    pub what: &'static str,
    /// To which object; never a secret.
    pub object: String,
    /// What the room that acts needs to know, in its own form; never a secret.
    pub payload: String,
    /// Why, in words of who asks.
    pub reason: String,
    /// What it takes to ask for it, and to approve it.
    pub needs: Permission,
}

/// A request as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// What is to be done, a fixed word.
    pub what: String,
    /// To which object.
    pub object: String,
    /// What the room that acts needs to know.
    pub payload: String,
    /// Why.
    pub reason: String,
    /// What it takes to ask for it, and to approve it.
    pub needs: Permission,
    /// Sign-in name of who asked.
    pub asked_by: String,
    /// When.
    pub asked_at: DateTime,
    /// What has become of it.
    pub state: RequestState,
    /// Sign-in name of who approved, refused or withdrew it.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<DateTime>,
    /// Why it was refused, or how it ended.
    pub result: Option<String>,
}

impl Request {
    /// When it expires, as long as nobody decides.
    #[must_use]
    pub fn open_until(&self) -> DateTime {
        self.asked_at.plus_seconds(REQUEST_OPEN_S_MAX).unwrap_or(self.asked_at)
    }
}

/// Which requests a list shows; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestFilter {
    /// What has become of them.
    pub state: Option<RequestState>,
    /// Part of the id, of what, of the object or of the reason.
    pub text: Option<String>,
    /// Sign-in name of who asked.
    pub asked_by: Option<String>,
    /// The permission they take.
    pub needs: Option<Permission>,
}

/// Why a step of a request was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such request.
    #[error("there is no request {id}: look at the list of requests")]
    Unknown {
        /// Its id.
        id: RequestId,
    },
    /// The id is taken by another request.
    #[error("request {id} is there with another {differs}: choose another id")]
    Conflict {
        /// Its id.
        id: RequestId,
        /// Which part differs.
        differs: &'static str,
    },
    /// A text is empty or too long.
    #[error("request {id}: {field} has 1 to {REQUEST_TEXT_CHARS_MAX} characters, found {found}")]
    Field {
        /// Its id.
        id: RequestId,
        /// Which text.
        field: &'static str,
        /// Characters found.
        found: usize,
    },
    /// The person may not do this.
    #[error("request {id}: {who} may not {needs}; ask somebody whose role allows it")]
    NotAllowed {
        /// Its id.
        id: RequestId,
        /// Sign-in name.
        who: String,
        /// What it takes.
        needs: Permission,
    },
    /// Nobody approves or refuses what he himself asked for.
    #[error("request {id} was asked by {asked_by}: a second person must decide, {who} cannot")]
    OwnRequest {
        /// Its id.
        id: RequestId,
        /// Sign-in name of who asked.
        asked_by: String,
        /// Sign-in name of who wanted to decide; another name of the same person, perhaps.
        who: String,
    },
    /// Only who asked can withdraw.
    #[error("request {id} was asked by {asked_by}, who alone can withdraw it; refuse it instead")]
    NotAsker {
        /// Its id.
        id: RequestId,
        /// Sign-in name of who asked.
        asked_by: String,
    },
    /// The request is in another state than the step takes.
    #[error("request {id} is {found}, the step takes one that is {expected}")]
    State {
        /// Its id.
        id: RequestId,
        /// The state the step takes.
        expected: RequestState,
        /// The state it is in.
        found: RequestState,
    },
    /// Nobody decided in time.
    #[error("request {id} expired at {at}: ask again under a new id")]
    Expired {
        /// Its id.
        id: RequestId,
        /// When.
        at: DateTime,
    },
}
