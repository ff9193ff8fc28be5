//! Signing in and out (`toll.md` P-01 to P-05, R-02).
//!
//! Hashing a password takes its time on purpose, so it is done outside the transaction; what the hash says is
//! judged inside one, by the state of that moment: five wrong guesses at once are five wrong guesses.

use super::password::{self, HashError, Password, WeakPassword, check_strength};
use super::store::{self, Account};
use super::strangers::Strangers;
use super::{Entry, PeopleError, Refusal, Session, SessionRow, SignInRules, Token, UserRow};
use crate::act::Act;
use crate::audit::{self, Outcome};
use ykt_base::{DateTime, Rng};
use ykt_store::{Store, StoreError, Tx};

/// A session is marked as seen at most this often; it may end that much too early, never too late.
const TOUCH_STEP_S: i64 = 10;

/// The people of the house behind their sign-in rules.
pub struct People {
    pub(super) store: Store,
    pub(super) rules: SignInRules,
    /// Compared with when there is no such user, so that the answer takes as long.
    nobodys_hash: String,
    strangers: Strangers,
}

impl People {
    /// The people in `store`, under `rules`.
    ///
    /// # Errors
    /// [`HashError`] when the rules ask for a cost that Argon2 does not allow.
    pub fn new(store: Store, rules: SignInRules, rng: &mut dyn Rng) -> Result<People, HashError> {
        let nobodys_hash = password::hash(&Password::from("nobody's password"), rules.cost, rng)?;
        Ok(People { store, rules, nobodys_hash, strangers: Strangers::default() })
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> &SignInRules {
        &self.rules
    }

    /// Lets a user in by the password, or on to the second step.
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
    ) -> Result<Result<Entry, Refusal>, StoreError> {
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
                return Ok(Err(self.strangers.refuse(name, now, &self.rules)));
            };
            if let Err(refusal) = self.judge(tx, &mut account, &guess, &act, "sign-in")? {
                return Ok(Err(refusal));
            }
            self.after_password(tx, account, &act, token.clone())
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
        let idle_s = seconds_apart(row.last_seen_at, now);
        let age_s = seconds_apart(row.started_at, now);
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
        let weak = check_strength(new, &name).err().or_else(|| {
            remembered.iter().any(|hash| password::matches(new, hash)).then_some(WeakPassword::UsedBefore)
        });
        let new_hash = password::hash(new, self.rules.cost, rng)?;
        self.store.write(|tx| {
            let act = Act::of(&name, from, now);
            let Some(mut account) = store::account(tx, &name)? else {
                return Ok(Err(Refusal::SessionEnded));
            };
            if let Err(refusal) = self.judge(tx, &mut account, &guess, &act, "user/change password")? {
                return Ok(Err(refusal));
            }
            // Said only to who may try and knows the old one: before, it would tell that the guess was right.
            if let Some(weak) = weak {
                return Ok(Err(weak.into()));
            }
            account.user.failures = 0;
            account.user.must_change_password = false;
            store::update(tx, &account.user)?;
            store::set_password(tx, &name, &new_hash, now)?;
            store::end_other_sessions(tx, &name, Some(&token.hash()))?;
            audit::append(tx, &act, "user/change password", &name, Outcome::Done, "")?;
            Ok(Ok(()))
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
        if let Err(refusal) = self.may_try(tx, user, act, what)? {
            return Ok(Err(refusal));
        }
        if !guess.right || *guess.hash != account.password_hash {
            let refusal = Refusal::WrongNameOrPassword;
            return Ok(Err(self.count_failure(tx, user, act, what, "wrong password", refusal)?));
        }
        if user.disabled {
            audit::append(tx, act, what, &act.who, Outcome::Refused, "disabled")?;
            return Ok(Err(Refusal::Disabled));
        }
        Ok(Ok(()))
    }

    /// Whether the lock-out lets a user try; one that is over ends here.
    pub(super) fn may_try(
        &self,
        tx: &Tx,
        user: &mut UserRow,
        act: &Act,
        what: &str,
    ) -> Result<Result<(), Refusal>, StoreError> {
        match user.locked_until {
            Some(until) if act.at < until => {
                audit::append(tx, act, what, &act.who, Outcome::Refused, "locked")?;
                Ok(Err(Refusal::Locked { until }))
            }
            Some(_) => {
                (user.failures, user.locked_until) = (0, None);
                Ok(Ok(()))
            }
            None => Ok(Ok(())),
        }
    }

    /// Counts a wrong password or code and writes it down; the last one that is allowed locks the user out.
    pub(super) fn count_failure(
        &self,
        tx: &Tx,
        user: &mut UserRow,
        act: &Act,
        what: &str,
        wrong: &str,
        refusal: Refusal,
    ) -> Result<Refusal, StoreError> {
        user.failures = user.failures.saturating_add(1);
        let locks = user.failures >= self.rules.failures_max;
        user.locked_until = act.at.plus_seconds(self.rules.lock_s).filter(|_| locks);
        store::update(tx, user)?;
        let detail = format!("{wrong}, {} of {}", user.failures, self.rules.failures_max);
        audit::append(tx, act, what, &act.who, Outcome::Refused, &detail)?;
        Ok(user.locked_until.map_or(refusal, |until| Refusal::Locked { until }))
    }

    /// Opens a session, in which the half sign-in before it ends.
    pub(super) fn enter(
        &self,
        tx: &Tx,
        mut account: Account,
        act: &Act,
        token: Token,
        half: Option<&Token>,
    ) -> Result<Result<(Token, Session), Refusal>, StoreError> {
        let (name, now) = (act.who.as_str(), act.at);
        if let Err(refusal) = self.room_for(tx, name, now)? {
            audit::append(tx, act, "sign-in", name, Outcome::Refused, &refusal.to_string())?;
            return Ok(Err(refusal));
        }
        account.user.failures = 0;
        account.user.last_sign_in_at = Some(now);
        store::update(tx, &account.user)?;
        let row =
            SessionRow { user: name.to_owned(), from: act.from.clone(), started_at: now, last_seen_at: now };
        store::insert_session(tx, &token.hash(), &row)?;
        if let Some(half) = half {
            store::end_half(tx, &half.hash())?;
        }
        audit::append(tx, act, "sign-in", name, Outcome::Done, "")?;
        Ok(Ok((token, self.session_of(&account.user, now, now))))
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

    /// Whether this user, once signed in, must change the password before anything else: the first one, or one that is
    /// too old.
    #[must_use]
    pub fn must_change_password(&self, user: &UserRow, now: DateTime) -> bool {
        let days = now.date.days_since(user.password_changed_at.date);
        user.must_change_password || days >= self.rules.password_days_max
    }

    fn session_of(&self, user: &UserRow, started_at: DateTime, now: DateTime) -> Session {
        Session {
            user: user.name.clone(),
            full_name: user.full_name.clone(),
            role: user.role,
            must_change_password: self.must_change_password(user, now),
            started_at,
        }
    }
}

/// What a hash said outside the transaction, and which hash that was.
struct Guess<'a> {
    right: bool,
    hash: &'a String,
}

/// How far two moments lie apart. A clock that was set back makes nothing last: what lies ahead is as far away as what
/// lies behind.
pub(super) fn seconds_apart(earlier: DateTime, later: DateTime) -> i64 {
    later.second_number().saturating_sub(earlier.second_number()).saturating_abs()
}
