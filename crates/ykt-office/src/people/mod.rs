//! People: users, roles, passwords and sessions, by the rules of the security chapter (`toll.md` 6.3.1).
//!
//! A password is never stored, logged or shown: its Argon2id hash is stored. A session token is never stored
//! either: its SM3 hash is. One user has one role and keeps it, and users whose roles exclude each other never
//! share a staff number: so such roles never meet in a person ([`Role::excludes`]).

mod keep;
mod password;
mod refusal;
mod rules;
mod second_factor;
mod sign_in;
mod staff;
mod store;
mod strangers;
mod token;
mod two_steps;

use ykt_base::DateTime;

pub use password::{
    DEMO_PASSWORD, HashCost, HashError, PASSWORD_CHARS_MIN, PASSWORD_HISTORY, PASSWORD_LEN_MAX, Password,
    WeakPassword,
};
pub use refusal::{PeopleError, Refusal};
pub use rules::{Roles, SecondFactor, SignInRules};
pub use second_factor::{CODE_LEN, CODE_STEP_S, Code, CodeError, Enrolment};
pub use sign_in::People;
pub use staff::{STAFF_NUMBER_LEN_MAX, StaffNumber, StaffNumberError};
pub use store::{list, sessions, user};
pub use token::Token;
pub use two_steps::{Entry, HALF_SIGN_IN_S_MAX};

/// Longest sign-in name, in characters.
pub const NAME_LEN_MAX: usize = 32;

ykt_store::coded! {
    /// What a user is here for.
    Role {
        /// Works at the desk: cards, terminals, merchants, clearing.
        Operator = 1, "operator";
        /// Keeps the books: bills, transfers, closing.
        Finance = 2, "finance";
        /// Keeps users: who may work here, and as what.
        Security = 3, "security";
        /// Reads everything, the audit log too; changes nothing.
        Auditor = 4, "auditor";
        /// Reads the business side; changes nothing.
        ReadOnly = 5, "read-only";
        /// Gives a component in ceremonies; nothing else.
        Custodian = 6, "custodian";
        /// Asks for and approves what is done to keys, two of them together.
        KeyAdministrator = 7, "key administrator";
    }
}

ykt_store::coded! {
    /// Something a role may do.
    Permission {
        /// Look at cards, terminals, merchants, records, bills and books.
        ReadBusiness = 1, "read business";
        /// Change cards, terminals, merchants and the black list.
        ChangeRegisters = 2, "change registers";
        /// Receive files and close clearing days.
        RunClearing = 3, "run clearing";
        /// Release transfers, close ledger days, settle channels.
        KeepBooks = 4, "keep books";
        /// Create, change, unlock and disable users.
        ManagePeople = 5, "manage people";
        /// Ask for and approve what is done to keys: generate, activate, retire, export and the like.
        ManageKeys = 6, "manage keys";
        /// Read the audit log.
        ReadAudit = 7, "read audit log";
        /// Look at keys: states, versions and check values, never a value.
        ReadKeys = 8, "read keys";
        /// Give a component in a ceremony.
        GiveComponent = 9, "give a component";
        /// Make key cards and PSAMs, and run the lines that download keys into cards.
        ProduceCards = 10, "produce cards";
    }
}

impl Role {
    /// What the role may do.
    #[must_use]
    pub const fn permissions(self) -> &'static [Permission] {
        use Permission as P;
        match self {
            Role::Operator => &[P::ReadBusiness, P::ChangeRegisters, P::RunClearing, P::ProduceCards],
            Role::Finance => &[P::ReadBusiness, P::KeepBooks],
            Role::Security => &[P::ManagePeople, P::ReadKeys],
            Role::Auditor => &[P::ReadBusiness, P::ReadAudit, P::ReadKeys],
            Role::ReadOnly => &[P::ReadBusiness],
            Role::Custodian => &[P::GiveComponent, P::ReadKeys],
            Role::KeyAdministrator => &[P::ManageKeys, P::ReadKeys],
        }
    }

    /// The role as one word, for configurations and command lines, such as `key-administrator`.
    #[must_use]
    pub fn word(self) -> String {
        self.name().replace(' ', "-")
    }

    /// The role of such a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Role> {
        Role::ALL.iter().copied().find(|role| role.word() == word)
    }

    /// Whether the role may do `what`.
    #[must_use]
    pub fn may(self, what: Permission) -> bool {
        self.permissions().contains(&what)
    }

    /// Whether one person may not be both (`keys-and-ca.md` 3, `toll.md` P-06). Who handles keys or people, works
    /// at the desk or audits does none of the other things, and is not there twice under one role either: a
    /// person with two sign-in names could be both of the two people that a critical act takes. Finance and
    /// read-only exclude nothing.
    #[must_use]
    pub const fn excludes(self, other: Role) -> bool {
        const fn stands_alone(role: Role) -> bool {
            match role {
                Role::Operator
                | Role::Security
                | Role::Auditor
                | Role::Custodian
                | Role::KeyAdministrator => true,
                Role::Finance | Role::ReadOnly => false,
            }
        }
        stands_alone(self) && stands_alone(other)
    }

    /// Whether a user of this role comes with a staff number: when the role excludes any.
    #[must_use]
    pub const fn needs_staff_number(self) -> bool {
        self.excludes(self)
    }
}

/// A user as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Sign-in name; never given to another person, even after the user is disabled.
    pub name: String,
    /// The person's name.
    pub full_name: String,
    /// What the user is here for; never changed.
    pub role: Role,
    /// The person's number in the house; users of release 0.2 and earlier may be without.
    pub staff_number: Option<StaffNumber>,
    /// The password must be changed before anything else.
    pub must_change_password: bool,
    /// Wrong passwords in a row.
    pub failures: u32,
    /// Locked until then after too many wrong passwords.
    pub locked_until: Option<DateTime>,
    /// Signed off for good or for a time.
    pub disabled: bool,
    /// When the password was last changed.
    pub password_changed_at: DateTime,
    /// Last successful sign-in.
    pub last_sign_in_at: Option<DateTime>,
}

/// A signed-in user's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Sign-in name.
    pub user: String,
    /// The person's name.
    pub full_name: String,
    /// What the user may do.
    pub role: Role,
    /// Nothing but a change of password is allowed.
    pub must_change_password: bool,
    /// Since when.
    pub started_at: DateTime,
}

/// Whether a first password may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstPassword {
    /// Somebody else knows it: it is changed before anything else (P-04).
    MustBeChanged,
    /// The user chose it.
    MayStay,
}

/// A user as it comes to the house.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// Sign-in name, 2 to 32 signs of a-z 0-9 . _ -
    pub name: String,
    /// The person's name.
    pub full_name: String,
    /// What the user is here for.
    pub role: Role,
    /// The person's number in the house; a role that excludes others needs it.
    pub staff_number: Option<StaffNumber>,
    /// Whether the first password may stay.
    pub first_password: FirstPassword,
}

/// A session as the security officer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Sign-in name.
    pub user: String,
    /// The machine it came from.
    pub from: String,
    /// Since when.
    pub started_at: DateTime,
    /// Last request, to some seconds.
    pub last_seen_at: DateTime,
}

/// Which users a list shows; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserFilter {
    /// Part of the sign-in name or the person's name.
    pub text: Option<String>,
    /// Role.
    pub role: Option<Role>,
    /// Only disabled users, or only the others.
    pub disabled: Option<bool>,
}
