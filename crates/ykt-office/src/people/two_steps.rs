//! The second step of signing in (`toll.md` P-05): the code of an authenticator, or the enrolment of one.
//!
//! After the right password a half sign-in waits some minutes for the code. It is no session and opens nothing; a
//! wrong code counts towards the lock-out as a wrong password does, and only the whole sign-in ends the count.

use super::second_factor::{Code, Enrolment, FactorSecret};
use super::sign_in::seconds_apart;
use super::store::{self, Account};
use super::{People, PeopleError, Refusal, Session, Token};
use crate::act::Act;
use crate::audit::{self, Outcome};
use ykt_base::{DateTime, Rng};
use ykt_store::{StoreError, Tx};

/// A half sign-in ends after so many seconds.
pub const HALF_SIGN_IN_S_MAX: i64 = 5 * 60;

/// What the right password opens.
#[derive(Debug)]
pub enum Entry {
    /// The house.
    Open(Token, Session),
    /// The question for a code: [`People::enter_code`].
    Code(Token),
    /// The enrolment of an authenticator: [`People::enrol`], then [`People::confirm_enrolment`].
    Enrol(Token),
}

/// A half sign-in: who, from where, since when.
pub(crate) struct HalfSignIn {
    pub user: String,
    pub from: String,
    pub started_at: DateTime,
}

/// An authenticator of a user.
pub(crate) struct Factor {
    pub secret: FactorSecret,
    /// When its first code came; without one it opens nothing.
    pub confirmed_at: Option<DateTime>,
    /// The last step whose code was accepted.
    pub last_step: u64,
}

/// What the second step of a sign-in is.
#[derive(Clone, Copy)]
enum Step {
    /// The code of an authenticator that is known.
    Code,
    /// The first code of a new one.
    Enrolment,
}

impl Step {
    /// The word of the audit log.
    const fn what(self) -> &'static str {
        match self {
            Step::Code => "sign-in",
            Step::Enrolment => "user/enrol",
        }
    }

    fn takes(self, factor: &Factor) -> bool {
        match self {
            Step::Code => factor.confirmed_at.is_some(),
            Step::Enrolment => factor.confirmed_at.is_none(),
        }
    }
}

impl People {
    /// Lets a user in by the code after the password. A code is taken once.
    ///
    /// # Errors
    /// [`StoreError`] only; not letting somebody in is an answer.
    pub fn enter_code(
        &self,
        half: &Token,
        code: &Code,
        from: &str,
        now: DateTime,
        rng: &mut dyn Rng,
    ) -> Result<Result<(Token, Session), Refusal>, StoreError> {
        let token = Token::new(rng);
        self.store.write(|tx| {
            let (mut account, act, factor) = match self.second_step(tx, Step::Code, half, from, now)? {
                Ok(step) => step,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let (refusal, detail) = match factor.secret.step_of(code, now, self.rules.utc_offset_s) {
                Some(step) if step > factor.last_step => {
                    store::set_step(tx, &act.who, step)?;
                    return self.enter(tx, account, &act, token.clone(), Some(half));
                }
                Some(_) => (Refusal::CodeUsed, "code used before"),
                None => (Refusal::WrongCode, "wrong code"),
            };
            let what = Step::Code.what();
            Ok(Err(self.count_failure(tx, &mut account.user, &act, what, detail, refusal)?))
        })
    }

    /// Begins the enrolment of an authenticator: a new secret, which is given out here and never again. Asked once
    /// more it is another one.
    ///
    /// # Errors
    /// [`StoreError`]; a sign-in that has ended, or needs no enrolment, is an answer.
    pub fn enrol(
        &self,
        half: &Token,
        now: DateTime,
        rng: &mut dyn Rng,
    ) -> Result<Result<Enrolment, Refusal>, StoreError> {
        let secret = FactorSecret::new(rng);
        self.store.write(|tx| {
            let Some((account, _)) = self.half(tx, half, "", now)? else {
                return Ok(Err(Refusal::SessionEnded));
            };
            let name = account.user.name.as_str();
            if store::factor(tx, name)?.is_some_and(|factor| factor.confirmed_at.is_some()) {
                return Ok(Err(Refusal::SessionEnded));
            }
            store::set_factor(tx, name, &secret)?;
            Ok(Ok(Enrolment::new(&secret, name)))
        })
    }

    /// Ends the enrolment with the authenticator's first code, and lets the user in.
    ///
    /// # Errors
    /// [`StoreError`]; a wrong code is an answer, and the next one may be tried.
    pub fn confirm_enrolment(
        &self,
        half: &Token,
        code: &Code,
        from: &str,
        now: DateTime,
        rng: &mut dyn Rng,
    ) -> Result<Result<(Token, Session), Refusal>, StoreError> {
        let token = Token::new(rng);
        self.store.write(|tx| {
            let (mut account, act, factor) = match self.second_step(tx, Step::Enrolment, half, from, now)? {
                Ok(step) => step,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let what = Step::Enrolment.what();
            let Some(step) = factor.secret.step_of(code, now, self.rules.utc_offset_s) else {
                let (detail, refusal) = ("wrong code", Refusal::WrongCode);
                return Ok(Err(self.count_failure(tx, &mut account.user, &act, what, detail, refusal)?));
            };
            store::confirm_factor(tx, &act.who, step, now)?;
            audit::append(tx, &act, what, &act.who, Outcome::Done, "")?;
            self.enter(tx, account, &act, token.clone(), Some(half))
        })
    }

    /// Takes a user's authenticator away, and ends all sessions: the next sign-in enrols another one.
    ///
    /// # Errors
    /// [`PeopleError::Unknown`].
    pub fn reset_second_factor(&self, name: &str, act: &Act) -> Result<(), PeopleError> {
        self.change_user(name, "user/reset second factor", act, |tx, _| {
            store::drop_factor(tx, name)?;
            Ok(store::end_other_sessions(tx, name, None)?)
        })
    }

    /// Who is at this step with which authenticator, when a code may be tried.
    fn second_step(
        &self,
        tx: &Tx,
        step: Step,
        half: &Token,
        from: &str,
        now: DateTime,
    ) -> Result<Result<(Account, Act, Factor), Refusal>, StoreError> {
        let Some((mut account, act)) = self.half(tx, half, from, now)? else {
            return Ok(Err(Refusal::SessionEnded));
        };
        let Some(factor) = store::factor(tx, &act.who)?.filter(|factor| step.takes(factor)) else {
            return Ok(Err(Refusal::SessionEnded));
        };
        let may_try = self.may_try(tx, &mut account.user, &act, step.what())?;
        Ok(may_try.map(|()| (account, act, factor)))
    }

    /// Where the right password leads: in, to the code, or to the enrolment.
    pub(super) fn after_password(
        &self,
        tx: &Tx,
        account: Account,
        act: &Act,
        token: Token,
    ) -> Result<Result<Entry, Refusal>, StoreError> {
        if !self.rules.second_factor.asks(account.user.role) {
            let entered = self.enter(tx, account, act, token, None)?;
            return Ok(entered.map(|(token, session)| Entry::Open(token, session)));
        }
        let oldest = act.at.plus_seconds(HALF_SIGN_IN_S_MAX.saturating_neg()).unwrap_or(act.at);
        store::end_stale_halves(tx, oldest)?;
        let half = HalfSignIn { user: act.who.clone(), from: act.from.clone(), started_at: act.at };
        store::insert_half(tx, &token.hash(), &half)?;
        let enrolled = store::factor(tx, &act.who)?.is_some_and(|factor| factor.confirmed_at.is_some());
        Ok(Ok(if enrolled { Entry::Code(token) } else { Entry::Enrol(token) }))
    }

    /// The user behind a half sign-in that has not ended, and the act of going on with it.
    fn half(
        &self,
        tx: &Tx,
        half: &Token,
        from: &str,
        now: DateTime,
    ) -> Result<Option<(Account, Act)>, StoreError> {
        let Some(found) = store::half(tx, &half.hash())? else { return Ok(None) };
        if seconds_apart(found.started_at, now) >= HALF_SIGN_IN_S_MAX {
            return Ok(None);
        }
        let account = store::account(tx, &found.user)?.filter(|account| !account.user.disabled);
        Ok(account.map(|account| (account, Act::of(&found.user, from, now))))
    }
}
