//! Signing in and out, and keeping users (`toll.md` P-01 to P-04, R-02).
//!
//! Hashing a password takes its time on purpose, so it is done outside the transaction; what the hash says is
//! judged inside one, by the state of that moment: five wrong guesses at once are five wrong guesses.

use super::password::{self, DEMO_PASSWORD, HashCost, HashError, Password, WeakPassword, check_strength};
use super::store::{self, Account};
use super::{FirstPassword, NewUser, Role, Session, SessionRow, StaffNumber, UserRow};
use crate::act::Act;
use crate::audit::{self, Outcome};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use ykt_base::hex::{self, Hex, HexError};
use ykt_base::{DateTime, Rng};
use ykt_crypto::chain::{self, Hash32};
use ykt_store::{Store, StoreError, Tx};
use zeroize::Zeroizing;

/// Longest sign-in name, in characters.
pub const NAME_LEN_MAX: usize = 32;
/// A session is marked as seen at most this often; it may end that much too early, never too late.
const TOUCH_STEP_S: i64 = 10;

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
    /// What one hash costs.
    pub cost: HashCost,
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
            cost: HashCost::ORDINARY,
        }
    }
}

/// What a browser keeps to show that it is signed in. The house keeps its hash only.
#[derive(Clone)]
pub struct Token(Zeroizing<[u8; 32]>);

impl Token {
    fn new(rng: &mut dyn Rng) -> Token {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill(bytes.as_mut());
        Token(bytes)
    }

    fn hash(&self) -> Hash32 {
        chain::sm3(&[self.0.as_slice()])
    }

    /// The token as text, 64 hex digits: for the cookie and for nothing else.
    #[must_use]
    pub fn expose(&self) -> String {
        Hex(self.0.as_slice()).to_string()
    }
}

impl FromStr for Token {
    type Err = HexError;
    fn from_str(text: &str) -> Result<Token, HexError> {
        hex::decode(text).map(|bytes| Token(Zeroizing::new(bytes)))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Why somebody was not let in, or a password not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The name or the password is wrong; it is not said which.
    #[error("the name or the password is wrong")]
    WrongNameOrPassword,
    /// Too many wrong passwords.
    #[error("locked until {until} after too many wrong passwords; a security officer can unlock")]
    Locked {
        /// When the lock-out ends by itself.
        until: DateTime,
    },
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

/// The people of the house behind their sign-in rules.
pub struct People {
    store: Store,
    rules: SignInRules,
    /// Compared with when there is no such user, so that the answer takes as long.
    nobodys_hash: String,
}

impl People {
    /// The people in `store`, under `rules`.
    ///
    /// # Errors
    /// [`HashError`] when the rules ask for a cost that Argon2 does not allow.
    pub fn new(store: Store, rules: SignInRules, rng: &mut dyn Rng) -> Result<People, HashError> {
        let nobodys_hash = password::hash(&Password::from("nobody's password"), rules.cost, rng)?;
        Ok(People { store, rules, nobodys_hash })
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> &SignInRules {
        &self.rules
    }

    /// Adds a user. The same user again is passed over, and keeps its password.
    ///
    /// # Errors
    /// [`PeopleError`]: name impossible or taken, password too weak, staff number missing, or the person has a role
    /// that excludes this one.
    pub fn add(
        &self,
        new: &NewUser,
        first: &Password,
        rng: &mut dyn Rng,
        act: &Act,
    ) -> Result<(), PeopleError> {
        let name = &new.name;
        let fits = (2..=NAME_LEN_MAX).contains(&name.len())
            && name.bytes().all(|sign| matches!(sign, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
        if !fits {
            return Err(PeopleError::Name { name: name.clone() });
        }
        check_strength(first, name).map_err(|source| PeopleError::Weak { name: name.clone(), source })?;
        let password_hash = password::hash(first, self.rules.cost, rng)?;
        self.store.write(|tx| {
            if let Some(found) = store::account(tx, name)?.map(|account| account.user) {
                let same = found.full_name == new.full_name
                    && found.role == new.role
                    && found.staff_number == new.staff_number;
                return if same { Ok(()) } else { Err(PeopleError::Taken { name: name.clone() }) };
            }
            match &new.staff_number {
                Some(number) => one_role_each(tx, name, new.role, number)?,
                None if new.role.needs_staff_number() => {
                    return Err(PeopleError::StaffNumberMissing { name: name.clone(), role: new.role });
                }
                None => {}
            }
            let user = UserRow {
                name: name.clone(),
                full_name: new.full_name.clone(),
                role: new.role,
                staff_number: new.staff_number.clone(),
                must_change_password: new.first_password == FirstPassword::MustBeChanged,
                failures: 0,
                locked_until: None,
                disabled: false,
                password_changed_at: act.at,
                last_sign_in_at: None,
            };
            store::insert(tx, &Account { user, password_hash })?;
            let number = new.staff_number.as_ref().map(|number| format!(", staff number {number}"));
            let detail = format!("{}{}", new.role, number.unwrap_or_default());
            audit::append(tx, act, "user/add", name, Outcome::Done, &detail)?;
            Ok(())
        })
    }

    /// Gives a user of an earlier release a staff number, once.
    ///
    /// # Errors
    /// [`PeopleError`]: no such user, the user has a number, or the person has a role that excludes the user's.
    pub fn give_staff_number(&self, name: &str, number: &StaffNumber, act: &Act) -> Result<(), PeopleError> {
        self.store.write(|tx| {
            let user =
                store::user(tx, name)?.ok_or_else(|| PeopleError::Unknown { name: name.to_owned() })?;
            if let Some(found) = user.staff_number {
                return Err(PeopleError::StaffNumberKept { name: name.to_owned(), found });
            }
            one_role_each(tx, name, user.role, number)?;
            store::set_staff_number(tx, name, number)?;
            audit::append(tx, act, "user/staff number", name, Outcome::Done, number.as_str())?;
            Ok(())
        })
    }

    /// The users that can sign in with [`DEMO_PASSWORD`]: a production server must not start with any.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn with_demo_password(&self) -> Result<Vec<String>, StoreError> {
        let demo = Password::from(DEMO_PASSWORD);
        let accounts = self.store.read(store::enabled_accounts)?;
        let known = accounts.into_iter().filter(|account| password::matches(&demo, &account.password_hash));
        Ok(known.map(|account| account.user.name).collect())
    }

    /// Lets a user in.
    ///
    /// # Errors
    /// [`StoreError`] only; not letting somebody in is an answer, no error.
    pub fn sign_in(
        &self,
        name: &str,
        typed: &Password,
        from: &str,
        now: DateTime,
        rng: &mut dyn Rng,
    ) -> Result<Result<(Token, Session), Refusal>, StoreError> {
        let known = self.store.read(|tx| store::account(tx, name))?;
        let hash = known.as_ref().map_or(&self.nobodys_hash, |account| &account.password_hash);
        let guess = Guess { right: password::matches(typed, hash), hash };
        let token = Token::new(rng);
        self.store.write(|tx| {
            let act = Act::of(name, from, now);
            let Some(mut account) = store::account(tx, name)? else {
                // What was typed as a name may be a password: it is not logged.
                let act = Act::of("<unknown>", from, now);
                audit::append(tx, &act, "sign-in", "", Outcome::Refused, "unknown name")?;
                return Ok(Err(Refusal::WrongNameOrPassword));
            };
            if let Err(refusal) = self.judge(tx, &mut account, &guess, &act, "sign-in")? {
                return Ok(Err(refusal));
            }
            if let Err(refusal) = self.room_for(tx, name, now)? {
                audit::append(tx, &act, "sign-in", name, Outcome::Refused, &refusal.to_string())?;
                return Ok(Err(refusal));
            }
            account.user.last_sign_in_at = Some(now);
            store::update(tx, &account.user)?;
            let row = SessionRow {
                user: name.to_owned(),
                from: from.to_owned(),
                started_at: now,
                last_seen_at: now,
            };
            store::insert_session(tx, &token.hash(), &row)?;
            audit::append(tx, &act, "sign-in", name, Outcome::Done, "")?;
            Ok(Ok((token.clone(), self.session_of(&account.user, now, now))))
        })
    }

    /// The session of `token`, which counts as used at `now`; `None` when it has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn session(&self, token: &Token, now: DateTime) -> Result<Option<Session>, StoreError> {
        let hash = token.hash();
        let found = self.store.read(|tx| -> Result<_, StoreError> {
            let Some(row) = store::session(tx, &hash)? else { return Ok(None) };
            Ok(store::account(tx, &row.user)?.map(|account| (row, account.user)))
        })?;
        let Some((row, user)) = found else { return Ok(None) };
        let idle_s = seconds_between(row.last_seen_at, now);
        let age_s = seconds_between(row.started_at, now);
        if idle_s >= self.rules.idle_s_max || age_s >= self.rules.session_s_max || user.disabled {
            self.store.write(|tx| store::end_session(tx, &hash))?;
            return Ok(None);
        }
        if idle_s >= TOUCH_STEP_S {
            self.store.write(|tx| store::touch(tx, &hash, now))?;
        }
        Ok(Some(self.session_of(&user, row.started_at, now)))
    }

    /// Ends the session of `token`. Ending it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn sign_out(&self, token: &Token, from: &str, now: DateTime) -> Result<(), StoreError> {
        let hash = token.hash();
        self.store.write(|tx| {
            if let Some(row) = store::session(tx, &hash)? {
                store::end_session(tx, &hash)?;
                audit::append(tx, &Act::of(&row.user, from, now), "sign-out", &row.user, Outcome::Done, "")?;
            }
            Ok(())
        })
    }

    /// Changes the password of the user of `token`, and ends the user's other sessions. A wrong old password
    /// counts towards the lock-out.
    ///
    /// # Errors
    /// [`PeopleError`] of the store or the hash; a refusal is an answer.
    pub fn change_password(
        &self,
        token: &Token,
        old: &Password,
        new: &Password,
        from: &str,
        now: DateTime,
        rng: &mut dyn Rng,
    ) -> Result<Result<(), Refusal>, PeopleError> {
        let Some(session) = self.session(token, now)? else { return Ok(Err(Refusal::SessionEnded)) };
        let name = session.user;
        let (known, remembered) = self.store.read(|tx| -> Result<_, StoreError> {
            Ok((store::account(tx, &name)?, store::remembered(tx, &name)?))
        })?;
        let Some(known) = known else { return Ok(Err(Refusal::SessionEnded)) };
        let guess = Guess { right: password::matches(old, &known.password_hash), hash: &known.password_hash };
        if guess.right {
            if let Err(weak) = check_strength(new, &name) {
                return Ok(Err(weak.into()));
            }
            if remembered.iter().any(|hash| password::matches(new, hash)) {
                return Ok(Err(WeakPassword::UsedBefore.into()));
            }
        }
        let new_hash = password::hash(new, self.rules.cost, rng)?;
        self.store.write(|tx| {
            let act = Act::of(&name, from, now);
            let Some(mut account) = store::account(tx, &name)? else {
                return Ok(Err(Refusal::SessionEnded));
            };
            if let Err(refusal) = self.judge(tx, &mut account, &guess, &act, "user/change password")? {
                return Ok(Err(refusal));
            }
            account.user.must_change_password = false;
            store::update(tx, &account.user)?;
            store::set_password(tx, &name, &new_hash, now)?;
            store::end_other_sessions(tx, &name, Some(&token.hash()))?;
            audit::append(tx, &act, "user/change password", &name, Outcome::Done, "")?;
            Ok(Ok(()))
        })
    }

    /// Gives a user a new first password, which must be changed, and ends the lock-out and all sessions.
    ///
    /// # Errors
    /// [`PeopleError`]: no such user, password too weak.
    pub fn reset_password(
        &self,
        name: &str,
        first: &Password,
        rng: &mut dyn Rng,
        act: &Act,
    ) -> Result<(), PeopleError> {
        check_strength(first, name).map_err(|source| PeopleError::Weak { name: name.to_owned(), source })?;
        let hash = password::hash(first, self.rules.cost, rng)?;
        self.change_user(name, "user/reset password", act, |tx, user| {
            user.must_change_password = true;
            (user.failures, user.locked_until) = (0, None);
            store::set_password(tx, name, &hash, act.at)?;
            Ok(store::end_other_sessions(tx, name, None)?)
        })
    }

    /// Ends a lock-out.
    ///
    /// # Errors
    /// [`PeopleError::Unknown`].
    pub fn unlock(&self, name: &str, act: &Act) -> Result<(), PeopleError> {
        self.change_user(name, "user/unlock", act, |_, user| {
            (user.failures, user.locked_until) = (0, None);
            Ok(())
        })
    }

    /// Disables a user and ends all its sessions.
    ///
    /// # Errors
    /// [`PeopleError::Unknown`].
    pub fn disable(&self, name: &str, act: &Act) -> Result<(), PeopleError> {
        self.change_user(name, "user/disable", act, |tx, user| {
            user.disabled = true;
            Ok(store::end_other_sessions(tx, name, None)?)
        })
    }

    /// Enables a disabled user.
    ///
    /// # Errors
    /// [`PeopleError::Unknown`]; [`PeopleError::StaffNumberMissing`] for a user of an earlier release.
    pub fn enable(&self, name: &str, act: &Act) -> Result<(), PeopleError> {
        self.change_user(name, "user/enable", act, |_, user| {
            if user.role.needs_staff_number() && user.staff_number.is_none() {
                return Err(PeopleError::StaffNumberMissing { name: name.to_owned(), role: user.role });
            }
            user.disabled = false;
            Ok(())
        })
    }

    fn change_user(
        &self,
        name: &str,
        what: &str,
        act: &Act,
        change: impl FnOnce(&Tx, &mut UserRow) -> Result<(), PeopleError>,
    ) -> Result<(), PeopleError> {
        self.store.write(|tx| {
            let found = store::account(tx, name)?;
            let mut user = found.ok_or_else(|| PeopleError::Unknown { name: name.to_owned() })?.user;
            change(tx, &mut user)?;
            store::update(tx, &user)?;
            audit::append(tx, act, what, name, Outcome::Done, "")?;
            Ok(())
        })
    }

    /// Judges a guess by the account as it stands now, counts it, and writes down a wrong one.
    fn judge(
        &self,
        tx: &Tx,
        account: &mut Account,
        guess: &Guess<'_>,
        act: &Act,
        what: &str,
    ) -> Result<Result<(), Refusal>, StoreError> {
        let user = &mut account.user;
        let refuse = |refusal: Refusal, detail: &str| {
            audit::append(tx, act, what, &act.who, Outcome::Refused, detail)?;
            Ok(Err(refusal))
        };
        match user.locked_until {
            Some(until) if act.at < until => return refuse(Refusal::Locked { until }, "locked"),
            Some(_) => (user.failures, user.locked_until) = (0, None),
            None => {}
        }
        if !guess.right || *guess.hash != account.password_hash {
            user.failures = user.failures.saturating_add(1);
            let locks = user.failures >= self.rules.failures_max;
            user.locked_until = act.at.plus_seconds(self.rules.lock_s).filter(|_| locks);
            store::update(tx, user)?;
            let count = format!("wrong password, {} of {}", user.failures, self.rules.failures_max);
            return match user.locked_until {
                Some(until) => refuse(Refusal::Locked { until }, &count),
                None => refuse(Refusal::WrongNameOrPassword, &count),
            };
        }
        user.failures = 0;
        if user.disabled { refuse(Refusal::Disabled, "disabled") } else { Ok(Ok(())) }
    }

    /// Whether one more session fits, after those that have ended are gone.
    fn room_for(&self, tx: &Tx, name: &str, now: DateTime) -> Result<Result<(), Refusal>, StoreError> {
        let before = |seconds: i64| now.plus_seconds(seconds.saturating_neg()).unwrap_or(now);
        store::end_stale_sessions(tx, before(self.rules.idle_s_max), before(self.rules.session_s_max))?;
        let sessions = store::sessions(tx)?;
        let count = |sessions: usize| u32::try_from(sessions).unwrap_or(u32::MAX);
        if count(sessions.len()) >= self.rules.sessions_max {
            return Ok(Err(Refusal::HouseFull { max: self.rules.sessions_max }));
        }
        let own = count(sessions.iter().filter(|row| row.user == name).count());
        if own >= self.rules.user_sessions_max {
            return Ok(Err(Refusal::TooManySessions { max: self.rules.user_sessions_max }));
        }
        Ok(Ok(()))
    }

    fn session_of(&self, user: &UserRow, started_at: DateTime, now: DateTime) -> Session {
        let too_old = now.date.days_since(user.password_changed_at.date) >= self.rules.password_days_max;
        Session {
            user: user.name.clone(),
            full_name: user.full_name.clone(),
            role: user.role,
            must_change_password: user.must_change_password || too_old,
            started_at,
        }
    }
}

/// Refuses a role that excludes another one of the same person.
fn one_role_each(tx: &Tx, name: &str, role: Role, number: &StaffNumber) -> Result<(), PeopleError> {
    let others = store::of_staff_number(tx, number, name)?;
    match others.into_iter().find(|(_, others_role)| role.excludes(*others_role)) {
        None => Ok(()),
        Some((other, others_role)) => Err(PeopleError::Excluded {
            name: name.to_owned(),
            number: number.clone(),
            role,
            other,
            others_role,
        }),
    }
}

/// What a hash said outside the transaction, and which hash that was.
struct Guess<'a> {
    right: bool,
    hash: &'a String,
}

fn seconds_between(earlier: DateTime, later: DateTime) -> i64 {
    later.second_number().saturating_sub(earlier.second_number())
}
