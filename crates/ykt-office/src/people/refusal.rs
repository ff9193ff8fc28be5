//! Why somebody is not let in, and why a user is not kept.

use super::password::{HashError, WeakPassword};
use super::{NAME_LEN_MAX, Role, StaffNumber};
use thiserror::Error;
use ykt_base::DateTime;
use ykt_store::StoreError;

/// Why somebody was not let in, or a password not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The name or the password is wrong; it is not said which.
    #[error("the name or the password is wrong")]
    WrongNameOrPassword,
    /// Too many wrong passwords or codes.
    #[error("locked until {until} after too many wrong passwords or codes; a security officer can unlock")]
    Locked {
        /// When the lock-out ends by itself.
        until: DateTime,
    },
    /// The one-time code is wrong.
    #[error("the code is wrong: type the one that the authenticator shows now")]
    WrongCode,
    /// The one-time code was used already.
    #[error("this code was used already: wait for the next one")]
    CodeUsed,
    /// The user is disabled.
    #[error("this user is disabled; a security officer can enable it")]
    Disabled,
    /// The user has as many sessions as allowed.
    #[error("signed in at {max} places already: sign out at one of them, or wait until it ends")]
    TooManySessions {
        /// Sessions allowed.
        max: u32,
    },
    /// The house has as many sessions as allowed.
    #[error("{max} people are signed in, more are not allowed: try again later")]
    HouseFull {
        /// Sessions allowed.
        max: u32,
    },
    /// The session has ended.
    #[error("the session has ended: sign in again")]
    SessionEnded,
    /// The new password is not accepted.
    #[error(transparent)]
    Weak(#[from] WeakPassword),
}

/// Why users could not be kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PeopleError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The first password is not accepted.
    #[error("user {name}: {source}")]
    Weak {
        /// Sign-in name.
        name: String,
        /// The rule it breaks.
        source: WeakPassword,
    },
    /// The name cannot be one.
    #[error("a sign-in name has 2 to {NAME_LEN_MAX} signs of a-z 0-9 . _ -, found `{name}`")]
    Name {
        /// What was given.
        name: String,
    },
    /// The name is taken; names are never given twice.
    #[error("user {name} exists with another name or role: names are never given to another person")]
    Taken {
        /// Sign-in name.
        name: String,
    },
    /// The role excludes others, and nobody can tell whether the person has one of those.
    #[error(
        "user {name}: the role {role} excludes other roles, so it needs the person's staff number; give the number"
    )]
    StaffNumberMissing {
        /// Sign-in name.
        name: String,
        /// The role.
        role: Role,
    },
    /// The person has a role that excludes this one.
    #[error(
        "user {name}: staff number {number} is that of {other}, who is {others_role}; one person cannot be {role} as \
         well: choose another person"
    )]
    Excluded {
        /// Sign-in name.
        name: String,
        /// The person's number.
        number: StaffNumber,
        /// The role asked for.
        role: Role,
        /// The person's other sign-in name.
        other: String,
        /// The role under that name.
        others_role: Role,
    },
    /// The user has a staff number already.
    #[error("user {name} has the staff number {found} already: a user stays one person")]
    StaffNumberKept {
        /// Sign-in name.
        name: String,
        /// The number.
        found: StaffNumber,
    },
    /// There is no such user.
    #[error("there is no user {name}")]
    Unknown {
        /// Sign-in name.
        name: String,
    },
}
