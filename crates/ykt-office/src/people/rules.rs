//! The rules of signing in.

use super::Role;
use super::password::HashCost;

/// The rules of signing in. The defaults are the standard's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignInRules {
    /// Wrong passwords in a row that lock a user out.
    pub failures_max: u32,
    /// How long the lock-out lasts, in seconds; a security officer can end it.
    pub lock_s: i64,
    /// A session ends after so many seconds without a request.
    pub idle_s_max: i64,
    /// A session ends after so many seconds in any case.
    pub session_s_max: i64,
    /// Sessions of one user at the same time.
    pub user_sessions_max: u32,
    /// Sessions of all users at the same time.
    pub sessions_max: u32,
    /// A password older than so many days must be changed.
    pub password_days_max: i64,
    /// Whom a code of an authenticator is asked for beside the password.
    pub second_factor: SecondFactor,
    /// How many seconds the house's clock is ahead of UTC, by which authenticators count.
    pub utc_offset_s: i64,
    /// What one hash costs.
    pub cost: HashCost,
}

/// Whom a second factor is asked for (`toll.md` P-05).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondFactor {
    /// Nobody.
    Off,
    /// Users of these roles.
    Required(Roles),
}

impl SecondFactor {
    /// Whether users of a role are asked.
    #[must_use]
    pub const fn asks(self, role: Role) -> bool {
        match self {
            SecondFactor::Off => false,
            SecondFactor::Required(roles) => roles.contains(role),
        }
    }
}

/// A set of roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(u32);

impl Roles {
    /// Who handles keys or people: the administrators that the standard means.
    pub const ADMINISTRATORS: Roles =
        Roles(0).with(Role::Custodian).with(Role::KeyAdministrator).with(Role::Security);

    /// The same with one more role.
    #[must_use]
    pub const fn with(self, role: Role) -> Roles {
        Roles(self.0 | Roles::bit(role))
    }

    /// Whether a role is among them.
    #[must_use]
    pub const fn contains(self, role: Role) -> bool {
        self.0 & Roles::bit(role) != 0
    }

    const fn bit(role: Role) -> u32 {
        match role {
            Role::Operator => 1,
            Role::Finance => 2,
            Role::Security => 4,
            Role::Auditor => 8,
            Role::ReadOnly => 16,
            Role::Custodian => 32,
            Role::KeyAdministrator => 64,
        }
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Roles {
        roles.into_iter().fold(Roles::default(), Roles::with)
    }
}

impl Default for SignInRules {
    fn default() -> SignInRules {
        SignInRules {
            failures_max: 5,
            lock_s: 30 * 60,
            idle_s_max: 10 * 60,
            session_s_max: 12 * 60 * 60,
            user_sessions_max: 3,
            sessions_max: 500,
            password_days_max: 90,
            second_factor: SecondFactor::Off,
            utc_offset_s: 8 * 60 * 60,
            cost: HashCost::ORDINARY,
        }
    }
}
