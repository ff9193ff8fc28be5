//! Requests for two people: every step from every state, by everybody, and two who decide at once.

use crate::{Count, act, at, office, read};
use ykt_base::DateTime;
use ykt_office::audit::{self, AuditFilter, Outcome};
use ykt_office::people::{FirstPassword, HashCost, NewUser, Password, People, Permission, Role, SignInRules};
use ykt_office::requests::{
    self, NewRequest, REQUEST_OPEN_S_MAX, Request, RequestError, RequestFilter, RequestId, RequestState,
};
use ykt_office::{Act, Paging};
use ykt_store::Store;

const NEEDS: Permission = Permission::ManageKeys;

fn people(store: &Store) -> People {
    let rules = SignInRules { cost: HashCost::LEAST, ..SignInRules::default() };
    People::new(store.clone(), rules, &mut Count(1)).unwrap()
}

/// Two key administrators, one who was disabled, and one of every other role.
fn house() -> Store {
    let store = office();
    let people = people(&store);
    let users = [
        ("keys1", Role::KeyAdministrator),
        ("keys2", Role::KeyAdministrator),
        ("gone", Role::KeyAdministrator),
    ];
    let others = Role::ALL.iter().filter(|role| **role != Role::KeyAdministrator);
    let others: Vec<(String, Role)> = others.map(|role| (role.word(), *role)).collect();
    for (name, role) in users.into_iter().chain(others.iter().map(|(name, role)| (name.as_str(), *role))) {
        let new = NewUser {
            name: name.to_owned(),
            full_name: name.to_owned(),
            role,
            staff_number: name.parse().ok(),
            first_password: FirstPassword::MayStay,
        };
        people.add(&new, &Password::from("Blue-Lamp-42"), &mut Count(1), &act(0)).unwrap();
    }
    people.disable("gone", &act(0)).unwrap();
    store
}

fn id() -> RequestId {
    "r-1".parse().unwrap()
}

fn new() -> NewRequest {
    NewRequest {
        id: id(),
        what: "key/activate",
        object: "purchase 1/2 level 0".to_owned(),
        payload: "activate purchase 1 2 0".to_owned(),
        reason: "yearly change".to_owned(),
        needs: NEEDS,
    }
}

/// A step of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Ask,
    Approve,
    Refuse,
    Withdraw,
    Finish,
    Fail,
}

impl Step {
    const ALL: [Step; 6] = [Step::Ask, Step::Approve, Step::Refuse, Step::Withdraw, Step::Finish, Step::Fail];
}

fn take(store: &Store, step: Step, who: &str, now: DateTime) -> Result<Request, RequestError> {
    let act = Act::of(who, "10.0.0.7", now);
    requests::keep(store, |tx| match step {
        Step::Ask => requests::ask(tx, &act, new()),
        Step::Approve => requests::approve(tx, &act, &id()),
        Step::Refuse => requests::refuse(tx, &act, &id(), "not this year"),
        Step::Withdraw => requests::withdraw(tx, &act, &id()),
        Step::Finish => requests::finish(tx, &act, &id(), Ok("done")),
        Step::Fail => requests::finish(tx, &act, &id(), Err("the vault is locked")),
    })
}

/// A house with the request in a state, brought there by keys1 asking and keys2 deciding.
fn in_state(state: Option<RequestState>) -> (Store, DateTime) {
    use RequestState as S;
    let store = house();
    let steps: &[(Step, &str)] = match state {
        None => &[],
        Some(S::Open | S::Expired) => &[(Step::Ask, "keys1")],
        Some(S::Approved) => &[(Step::Ask, "keys1"), (Step::Approve, "keys2")],
        Some(S::Refused) => &[(Step::Ask, "keys1"), (Step::Refuse, "keys2")],
        Some(S::Withdrawn) => &[(Step::Ask, "keys1"), (Step::Withdraw, "keys1")],
        Some(S::Done) => &[(Step::Ask, "keys1"), (Step::Approve, "keys2"), (Step::Finish, "keys2")],
        Some(S::Failed) => &[(Step::Ask, "keys1"), (Step::Approve, "keys2"), (Step::Fail, "keys2")],
    };
    for (step, who) in steps {
        take(&store, *step, who, at(0)).unwrap();
    }
    let now = if state == Some(S::Expired) { at(0).plus_seconds(REQUEST_OPEN_S_MAX).unwrap() } else { at(1) };
    (store, now)
}

fn stands(store: &Store, now: DateTime) -> Option<Request> {
    read(store, |tx| requests::one(tx, &id(), now))
}

/// The state after a step, or the word for its refusal.
fn expected(state: Option<RequestState>, step: Step, who: &str) -> Result<RequestState, &'static str> {
    use RequestState as S;
    let manages = matches!(who, "keys1" | "keys2");
    let Some(state) = state else {
        return match step {
            Step::Ask if manages => Ok(S::Open),
            Step::Ask => Err("not allowed"),
            _ => Err("unknown"),
        };
    };
    match step {
        Step::Finish if matches!(state, S::Approved | S::Done) => return Ok(S::Done),
        Step::Fail if matches!(state, S::Approved | S::Failed) => return Ok(S::Failed),
        Step::Finish | Step::Fail => return Err("state"),
        _ if !manages => return Err("not allowed"),
        _ => {}
    }
    match (step, who) {
        (Step::Ask, "keys1") => Ok(state),
        (Step::Ask, _) => Err("conflict"),
        (Step::Withdraw, "keys2") => Err("not asker"),
        (Step::Approve | Step::Refuse, "keys1") => Err("own request"),
        _ => match (step, state) {
            (Step::Approve, S::Open) => Ok(S::Approved),
            (Step::Approve, S::Approved | S::Done | S::Failed) => Ok(state),
            (Step::Refuse, S::Open | S::Refused) => Ok(S::Refused),
            (Step::Withdraw, S::Open | S::Withdrawn) => Ok(S::Withdrawn),
            (_, S::Expired) => Err("expired"),
            _ => Err("state"),
        },
    }
}

fn word(error: &RequestError) -> &'static str {
    match error {
        RequestError::Store(_) => "store",
        RequestError::Unknown { .. } => "unknown",
        RequestError::Conflict { .. } => "conflict",
        RequestError::Field { .. } => "field",
        RequestError::NotAllowed { .. } => "not allowed",
        RequestError::OwnRequest { .. } => "own request",
        RequestError::NotAsker { .. } => "not asker",
        RequestError::State { .. } => "state",
        RequestError::Expired { .. } => "expired",
    }
}

#[test]
fn every_step_from_every_state_by_everybody() {
    let everybody: Vec<String> = ["keys1", "keys2", "gone", "nobody"]
        .map(str::to_owned)
        .into_iter()
        .chain(Role::ALL.iter().filter(|role| **role != Role::KeyAdministrator).map(|role| role.word()))
        .collect();
    let states: Vec<Option<RequestState>> =
        [None].into_iter().chain(RequestState::ALL.iter().copied().map(Some)).collect();
    for state in states {
        for step in Step::ALL {
            for who in &everybody {
                let (store, now) = in_state(state);
                let before = (stands(&store, now), log(&store).len());
                let taken = take(&store, step, who, now);
                let want = expected(state, step, who);
                let found = taken.as_ref().map(|request| request.state).map_err(word);
                assert_eq!(found, want, "{state:?} {step:?} by {who}");
                let after = stands(&store, now);
                let log = log(&store);
                match (&taken, before) {
                    (Err(_), (was, records)) => {
                        assert_eq!(after, was, "{state:?} {step:?} by {who}: refused, nothing changed");
                        assert_eq!(log.len(), records + 1, "{state:?} {step:?} by {who}: written down");
                        assert_eq!((log[0].1.as_str(), log[0].2), (who.as_str(), Outcome::Refused));
                    }
                    (Ok(request), (was, records)) => {
                        let same = was.as_ref() == Some(request);
                        assert_eq!(after.as_ref(), Some(request));
                        assert_eq!(
                            log.len(),
                            records + usize::from(!same),
                            "{state:?} {step:?} by {who}: once"
                        );
                    }
                }
            }
        }
    }
}

/// What, who, outcome of every record of requests, the newest first.
fn log(store: &Store) -> Vec<(String, String, Outcome)> {
    let filter = AuditFilter { what: Some("request/".to_owned()), ..AuditFilter::default() };
    let page = read(store, |tx| audit::list(tx, &filter, Paging::first(1_000)));
    page.rows.into_iter().map(|row| (row.what, row.who, row.outcome)).collect()
}

#[test]
fn the_same_id_for_something_else_is_a_conflict() {
    type Change = fn(&mut NewRequest);
    let changes: [(&str, Change); 5] = [
        ("act", |new| new.what = "key/destroy"),
        ("object", |new| new.object.push('0')),
        ("payload", |new| new.payload.push('0')),
        ("reason", |new| new.reason.push('!')),
        ("permission", |new| new.needs = Permission::ReadKeys),
    ];
    let (store, now) = in_state(Some(RequestState::Open));
    for (part, change) in changes {
        let mut other = new();
        change(&mut other);
        let act = Act::of("keys1", "10.0.0.7", now);
        let refused = requests::keep(&store, |tx| requests::ask(tx, &act, other)).unwrap_err();
        assert_eq!(refused, RequestError::Conflict { id: id(), differs: part });
    }
    for (text, found) in [("", 0), ("   ", 3), (&"长".repeat(501), 501)] {
        let act = Act::of("keys1", "10.0.0.7", now);
        let other = NewRequest { id: "r-2".parse().unwrap(), reason: text.to_owned(), ..new() };
        let refused = requests::keep(&store, |tx| requests::ask(tx, &act, other)).unwrap_err();
        assert!(matches!(refused, RequestError::Field { field: "reason", found: n, .. } if n == found));
    }
    for text in ["", "r 1", "r/1", &"r".repeat(65)] {
        assert!(text.parse::<RequestId>().is_err(), "{text}");
    }
}

#[test]
fn an_open_request_expires_after_a_day_and_shows_it() {
    let (store, _) = in_state(Some(RequestState::Open));
    let last = at(0).plus_seconds(REQUEST_OPEN_S_MAX - 1).unwrap();
    let ended = at(0).plus_seconds(REQUEST_OPEN_S_MAX).unwrap();
    let count = |state, now| {
        let filter = RequestFilter { state: Some(state), ..RequestFilter::default() };
        read(&store, |tx| requests::list(tx, &filter, now, Paging::default())).totals
    };
    assert_eq!((count(RequestState::Open, last), count(RequestState::Expired, last)), (1, 0));
    assert_eq!((count(RequestState::Open, ended), count(RequestState::Expired, ended)), (0, 1));
    let late = take(&store, Step::Approve, "keys2", ended).unwrap_err();
    assert_eq!(late, RequestError::Expired { id: id(), at: ended });
    let set_back = take(&store, Step::Approve, "keys2", last).unwrap_err();
    assert_eq!(
        set_back,
        RequestError::Expired { id: id(), at: ended },
        "a clock set back brings nothing back"
    );
    let (in_time, _) = in_state(Some(RequestState::Open));
    assert!(take(&in_time, Step::Approve, "keys2", last).is_ok());
}

/// Neither a forged line of the log nor signs that steer the terminal of who is to approve.
#[test]
fn what_people_write_stays_in_its_line() {
    let store = house();
    let trick = "due\r\n2026-03-02 12:00:00 keys2 request/approve\u{1b}[2K\u{202e}";
    let asked = NewRequest { reason: trick.to_owned(), object: trick.to_owned(), ..new() };
    let act = |who| Act::of(who, "10.0.0.7\n", at(0));
    let request = requests::keep(&store, |tx| requests::ask(tx, &act("keys1"), asked.clone())).unwrap();
    let again = requests::keep(&store, |tx| requests::ask(tx, &act("keys1"), asked.clone())).unwrap();
    assert_eq!(request, again, "asked once more");
    let refused = requests::keep(&store, |tx| requests::refuse(tx, &act("keys2"), &id(), trick)).unwrap();
    let log = read(&store, |tx| audit::list(tx, &AuditFilter::default(), Paging::first(100)));
    let kept = [request.reason, request.object, refused.result.unwrap()].into_iter();
    let logged = log.rows.into_iter().flat_map(|row| [row.from, row.object, row.detail]);
    for text in kept.chain(logged) {
        assert!(!text.contains(['\r', '\n', '\u{1b}', '\u{202e}']), "{text:?}");
    }
    assert!(read(&store, audit::verify).is_whole(), "the log itself is whole");
}

#[test]
fn who_was_sent_away_is_not_half_of_a_decision() {
    let (store, now) = in_state(Some(RequestState::Open));
    people(&store).disable("keys1", &act(1)).unwrap();
    let refused = take(&store, Step::Approve, "keys2", now).unwrap_err();
    assert_eq!(refused, RequestError::NotAllowed { id: id(), who: "keys1".to_owned(), needs: NEEDS });
    assert!(take(&store, Step::Refuse, "keys2", now).is_ok(), "it can still be refused");
}

#[test]
fn two_names_of_one_person_are_one_person() {
    let (store, now) = in_state(Some(RequestState::Open));
    let sql = "UPDATE office_user SET staff_number = 'KEYS1' WHERE name = 'keys2'";
    store.write(|tx| tx.execute(sql, &[])).unwrap();
    let refused = take(&store, Step::Approve, "keys2", now).unwrap_err();
    assert!(matches!(refused, RequestError::OwnRequest { .. }), "{refused}");
}

#[test]
fn of_two_who_decide_at_once_one_wins() {
    for _ in 0..8 {
        let (store, now) = in_state(Some(RequestState::Open));
        let new = NewUser {
            name: "keys3".to_owned(),
            full_name: "keys3".to_owned(),
            role: Role::KeyAdministrator,
            staff_number: "keys3".parse().ok(),
            first_password: FirstPassword::MayStay,
        };
        people(&store).add(&new, &Password::from("Blue-Lamp-42"), &mut Count(1), &act(0)).unwrap();
        let decide = |who: &'static str, step| {
            let store = store.clone();
            std::thread::spawn(move || take(&store, step, who, now))
        };
        let deciders = [
            decide("keys2", Step::Approve),
            decide("keys3", Step::Approve),
            decide("keys3", Step::Refuse),
            decide("keys1", Step::Withdraw),
        ];
        let decided: Vec<_> = deciders.into_iter().map(|one| one.join().unwrap()).collect();
        let won: Vec<&Request> = decided.iter().flatten().collect();
        assert_eq!(won.len(), 1, "{decided:?}");
        assert_eq!(stands(&store, now).as_ref(), Some(won[0]));
    }
}
