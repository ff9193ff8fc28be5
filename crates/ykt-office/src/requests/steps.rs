//! The steps of a request: who may take them, from which state, and what the audit log says.

use super::{NewRequest, REQUEST_TEXT_CHARS_MAX, Request, RequestError, RequestId, RequestState, store};
use crate::act::Act;
use crate::audit::{self, Outcome};
use crate::people::{self, Permission, UserRow};
use crate::text::one_line;
use ykt_store::{Store, Tx};

/// Runs `work` in a write transaction that is kept also when a rule refused a step, so that the refusal stands in
/// the audit log. A fault of the database undoes everything.
///
/// # Errors
/// The error of `work`.
pub fn keep<T>(store: &Store, work: impl FnOnce(&Tx) -> Result<T, RequestError>) -> Result<T, RequestError> {
    store.write(|tx| match work(tx) {
        Err(RequestError::Store(fault)) => Err(RequestError::Store(fault)),
        kept => Ok(kept),
    })?
}

/// Asks for something that a second person must approve. The same request again is answered as it stands. Object and
/// reason are kept in one line.
///
/// # Errors
/// [`RequestError`]: not allowed, a text too long, or the id is taken by another request.
pub fn ask(tx: &Tx, act: &Act, new: NewRequest) -> Result<Request, RequestError> {
    let new = NewRequest { object: one_line(&new.object), reason: one_line(&new.reason), ..new };
    let step = Step { tx, act, what: "request/ask", id: &new.id };
    step.told(|| {
        for (field, text) in [("object", &new.object), ("reason", &new.reason)] {
            let found = text.chars().count();
            if text.trim().is_empty() || found > REQUEST_TEXT_CHARS_MAX {
                return Err(RequestError::Field { id: new.id.clone(), field, found });
            }
        }
        step.person(new.needs)?;
        if let Some(found) = store::one(tx, &new.id, act.at)? {
            return match difference(&found, &new, act) {
                None => Ok(found),
                Some(differs) => Err(RequestError::Conflict { id: new.id.clone(), differs }),
            };
        }
        let request = Request {
            id: new.id.clone(),
            what: new.what.to_owned(),
            object: new.object.clone(),
            payload: new.payload.clone(),
            reason: new.reason.clone(),
            needs: new.needs,
            asked_by: act.who.clone(),
            asked_at: act.at,
            state: RequestState::Open,
            decided_by: None,
            decided_at: None,
            result: None,
        };
        store::insert(tx, &request)?;
        step.done(&format!("{} {}: {}", request.what, request.object, request.reason))?;
        Ok(request)
    })
}

/// Which part of a request asked for anew differs from the one that is there.
fn difference(found: &Request, new: &NewRequest, act: &Act) -> Option<&'static str> {
    [
        ("act", found.what == new.what),
        ("object", found.object == new.object),
        ("payload", found.payload == new.payload),
        ("reason", found.reason == new.reason),
        ("permission", found.needs == new.needs),
        ("asker", found.asked_by == act.who),
    ]
    .into_iter()
    .find_map(|(part, same)| (!same).then_some(part))
}

/// Approves a request of another person. Who approved it already is answered with it as it stands.
///
/// # Errors
/// [`RequestError`]: not allowed, the own request, not open, expired.
pub fn approve(tx: &Tx, act: &Act, id: &RequestId) -> Result<Request, RequestError> {
    decide(tx, act, id, "request/approve", RequestState::Approved, None)
}

/// Refuses a request of another person, and says why.
///
/// # Errors
/// [`RequestError`]: not allowed, the own request, not open, expired, no reason.
pub fn refuse(tx: &Tx, act: &Act, id: &RequestId, why: &str) -> Result<Request, RequestError> {
    decide(tx, act, id, "request/refuse", RequestState::Refused, Some(why))
}

/// Withdraws the own request.
///
/// # Errors
/// [`RequestError`]: not allowed, another person's request, not open, expired.
pub fn withdraw(tx: &Tx, act: &Act, id: &RequestId) -> Result<Request, RequestError> {
    decide(tx, act, id, "request/withdraw", RequestState::Withdrawn, None)
}

fn decide(
    tx: &Tx,
    act: &Act,
    id: &RequestId,
    what: &'static str,
    to: RequestState,
    why: Option<&str>,
) -> Result<Request, RequestError> {
    let step = Step { tx, act, what, id };
    let why = why.map(one_line);
    let why = why.as_deref();
    step.told(|| {
        let mut request = step.request()?;
        let person = step.person(request.needs)?;
        let asked_by = request.asked_by.clone();
        if to == RequestState::Withdrawn {
            if asked_by != act.who {
                return Err(RequestError::NotAsker { id: id.clone(), asked_by });
            }
        } else if step.is_asker(&person, &asked_by)? {
            return Err(RequestError::OwnRequest { id: id.clone(), asked_by, who: act.who.clone() });
        } else if to == RequestState::Approved {
            // Who was sent away since is not half of a decision any more.
            step.allowed(&asked_by, request.needs)?;
        }
        if let Some(why) = why {
            let found = why.chars().count();
            if why.trim().is_empty() || found > REQUEST_TEXT_CHARS_MAX {
                return Err(RequestError::Field { id: id.clone(), field: "reason", found });
            }
        }
        // An approval stays one when its act is done already: that is how a lost answer is asked for again.
        let was = match request.state {
            RequestState::Done | RequestState::Failed => RequestState::Approved,
            state => state,
        };
        if was == to && request.decided_by.as_ref() == Some(&act.who) {
            return Ok(request);
        }
        match request.state {
            RequestState::Open => {}
            RequestState::Expired => {
                return Err(RequestError::Expired { id: id.clone(), at: request.open_until() });
            }
            found => return Err(RequestError::State { id: id.clone(), expected: RequestState::Open, found }),
        }
        request.state = to;
        request.decided_by = Some(act.who.clone());
        request.decided_at = Some(act.at);
        request.result = why.map(str::to_owned);
        store::update(tx, &request)?;
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        step.done(&format!("{} {}, asked by {asked_by}{why}", request.what, request.object))?;
        Ok(request)
    })
}

/// Reports how an approved request ended: `Ok` with what was done, `Err` with why it could not be. The same report
/// again is passed over.
///
/// # Errors
/// [`RequestError`]: unknown, or not approved.
pub fn finish(
    tx: &Tx,
    act: &Act,
    id: &RequestId,
    outcome: Result<&str, &str>,
) -> Result<Request, RequestError> {
    let step = Step { tx, act, what: "request/finish", id };
    step.told(|| {
        let mut request = step.request()?;
        let (to, text) = match outcome {
            Ok(text) => (RequestState::Done, text),
            Err(text) => (RequestState::Failed, text),
        };
        let text: String = text.chars().take(REQUEST_TEXT_CHARS_MAX).collect();
        if request.state == to && request.result.as_ref() == Some(&text) {
            return Ok(request);
        }
        if request.state != RequestState::Approved {
            let (expected, found) = (RequestState::Approved, request.state);
            return Err(RequestError::State { id: id.clone(), expected, found });
        }
        request.state = to;
        request.result = Some(text.clone());
        store::update(tx, &request)?;
        step.done(&format!("{} {}, {to}: {text}", request.what, request.object))?;
        Ok(request)
    })
}

/// One step on one request.
struct Step<'a> {
    tx: &'a Tx<'a>,
    act: &'a Act,
    /// Its word in the audit log.
    what: &'static str,
    id: &'a RequestId,
}

impl Step<'_> {
    /// Takes the step; a refusal is written down. What has expired by now stays so, whatever the clock says later.
    fn told(&self, take: impl FnOnce() -> Result<Request, RequestError>) -> Result<Request, RequestError> {
        store::expire(self.tx, self.act.at)?;
        take().or_else(|error| {
            if !matches!(error, RequestError::Store(_)) {
                self.write(Outcome::Refused, &error.to_string())?;
            }
            Err(error)
        })
    }

    fn done(&self, detail: &str) -> Result<(), RequestError> {
        self.write(Outcome::Done, detail)
    }

    fn write(&self, outcome: Outcome, detail: &str) -> Result<(), RequestError> {
        audit::append(self.tx, self.act, self.what, self.id.as_str(), outcome, detail)?;
        Ok(())
    }

    fn request(&self) -> Result<Request, RequestError> {
        let found = store::one(self.tx, self.id, self.act.at)?;
        found.ok_or_else(|| RequestError::Unknown { id: self.id.clone() })
    }

    /// The person who acts, when the register of people allows it.
    fn person(&self, needs: Permission) -> Result<UserRow, RequestError> {
        self.allowed(&self.act.who, needs)
    }

    fn allowed(&self, who: &str, needs: Permission) -> Result<UserRow, RequestError> {
        let user = people::user(self.tx, who)?;
        let allowed = user.filter(|user| !user.disabled && user.role.may(needs));
        allowed.ok_or_else(|| RequestError::NotAllowed { id: self.id.clone(), who: who.to_owned(), needs })
    }

    /// Whether the person asked for it, under this name or another one.
    fn is_asker(&self, person: &UserRow, asked_by: &str) -> Result<bool, RequestError> {
        if person.name == asked_by {
            return Ok(true);
        }
        let asker = people::user(self.tx, asked_by)?.and_then(|user| user.staff_number);
        Ok(asker.is_some() && asker == person.staff_number)
    }
}
