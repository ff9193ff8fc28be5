//! The second factor by the clock: what a code opens, when, and how often.

use crate::{Count, act, at, office, read};
use totp_rs::{Builder, Secret};
use ykt_base::DateTime;
use ykt_office::Paging;
use ykt_office::audit::{self, AuditFilter};
use ykt_office::people::{
    Code, Entry, FirstPassword, HALF_SIGN_IN_S_MAX, HashCost, NewUser, Password, People, Refusal, Role,
    Roles, SecondFactor, Session, SignInRules, Token,
};
use ykt_store::Store;

const RIGHT: &str = "Blue-Lamp-42";
const FROM: &str = "10.0.0.9";

struct House {
    store: Store,
    people: People,
    rng: Count,
    secret: String,
}

type Entered = Result<(Token, Session), Refusal>;

impl House {
    /// A key administrator who has enrolled an authenticator at the first minute.
    fn enrolled() -> House {
        let mut house = House::new();
        let half = house.half(0);
        house.secret = house.people.enrol(&half, at(0), &mut house.rng).unwrap().unwrap().secret().to_owned();
        let code = house.code(at(0));
        house.people.confirm_enrolment(&half, &code, FROM, at(0), &mut house.rng).unwrap().unwrap();
        house
    }

    fn new() -> House {
        let (store, mut rng) = (office(), Count(1));
        let rules = SignInRules {
            cost: HashCost::LEAST,
            second_factor: SecondFactor::Required(Roles::ADMINISTRATORS),
            user_sessions_max: 100,
            ..SignInRules::default()
        };
        let people = People::new(store.clone(), rules, &mut rng).unwrap();
        for (name, role) in [("keys1", Role::KeyAdministrator), ("li", Role::Operator)] {
            let new = NewUser {
                name: name.to_owned(),
                full_name: "李".to_owned(),
                role,
                staff_number: name.parse().ok(),
                first_password: FirstPassword::MayStay,
            };
            people.add(&new, &Password::from(RIGHT), &mut rng, &act(0)).unwrap();
        }
        House { store, people, rng, secret: String::new() }
    }

    fn password(&mut self, password: &str, now: DateTime) -> Result<Entry, Refusal> {
        self.people.sign_in("keys1", &Password::from(password), FROM, now, &mut self.rng).unwrap()
    }

    fn half(&mut self, minutes: i64) -> Token {
        self.half_at(at(minutes))
    }

    fn half_at(&mut self, now: DateTime) -> Token {
        match self.password(RIGHT, now).unwrap() {
            Entry::Code(half) | Entry::Enrol(half) => half,
            Entry::Open(..) => panic!("a second factor is asked for"),
        }
    }

    fn code(&self, now: DateTime) -> Code {
        self.shown(now).parse().unwrap()
    }

    /// A code that is not shown anywhere near the moment.
    fn wrong(&self, now: DateTime) -> Code {
        let near: Vec<String> =
            (-2..=2).map(|step| self.shown(now.plus_seconds(30 * step).unwrap())).collect();
        (0..).map(|no| format!("{no:06}")).find(|code| !near.contains(code)).unwrap().parse().unwrap()
    }

    /// What the authenticator shows at a moment of the city's clock.
    fn shown(&self, now: DateTime) -> String {
        let totp =
            Builder::new().with_secret(Secret::try_from_base32(&self.secret).unwrap()).build().unwrap();
        totp.generate(u64::try_from(now.second_number() - 8 * 3_600).unwrap()).to_string()
    }

    fn enter(&mut self, half: &Token, code: &Code, now: DateTime) -> Entered {
        self.people.enter_code(half, code, FROM, now, &mut self.rng).unwrap()
    }
}

fn after(seconds: i64) -> DateTime {
    at(10).plus_seconds(seconds).unwrap()
}

#[test]
fn half_a_sign_in_opens_nothing_and_the_code_the_rest() {
    let mut house = House::enrolled();
    let half = house.half(10);
    assert!(house.people.session(&half, at(10)).unwrap().is_none(), "half a sign-in is no session");
    let code = house.code(at(10));
    let (token, session) = house.enter(&half, &code, at(10)).unwrap();
    assert_eq!((session.user.as_str(), session.role), ("keys1", Role::KeyAdministrator));
    assert!(house.people.session(&token, at(11)).unwrap().is_some());
    let next = house.code(at(11));
    assert_eq!(house.enter(&half, &next, at(11)).unwrap_err(), Refusal::SessionEnded, "it is used up");
    let open = house.people.sign_in("li", &Password::from(RIGHT), FROM, at(0), &mut house.rng).unwrap();
    assert!(matches!(open, Ok(Entry::Open(..))), "an operator is not asked");
}

#[test]
fn a_code_is_good_for_its_step_and_one_aside() {
    for (seconds, good) in [(-31, false), (-30, true), (0, true), (30, true), (59, true), (60, false)] {
        let mut house = House::enrolled();
        let half = house.half_at(after(-40));
        let code = house.code(after(0));
        let entered = house.enter(&half, &code, after(seconds));
        assert_eq!(entered.is_ok(), good, "{seconds} s from the begin of its step: {entered:?}");
    }
}

#[test]
fn a_code_is_taken_once_and_no_earlier_one_after_it() {
    let mut house = House::enrolled();
    let half = house.half(10);
    let (before, code, next) = (house.code(after(-30)), house.code(after(0)), house.code(after(30)));
    house.enter(&half, &code, after(0)).unwrap();
    let half = house.half(10);
    assert_eq!(house.enter(&half, &code, after(0)).unwrap_err(), Refusal::CodeUsed, "again");
    assert_eq!(house.enter(&half, &code, after(45)).unwrap_err(), Refusal::CodeUsed, "in the next step");
    assert_eq!(house.enter(&half, &before, after(10)).unwrap_err(), Refusal::CodeUsed, "an earlier one");
    assert!(house.enter(&half, &next, after(10)).is_ok());
}

#[test]
fn the_code_of_the_enrolment_does_not_open_twice() {
    let mut house = House::enrolled();
    let (half, code) = (house.half(0), house.code(at(0)));
    assert_eq!(house.enter(&half, &code, at(0)).unwrap_err(), Refusal::CodeUsed);
}

#[test]
fn wrong_codes_and_wrong_passwords_are_counted_together() {
    for codes in 0..=4_u32 {
        let mut house = House::enrolled();
        for _ in 0..(4 - codes) {
            assert_eq!(house.password("Wrong-Door-1", at(10)).unwrap_err(), Refusal::WrongNameOrPassword);
        }
        let half = house.half(10);
        let wrong = house.wrong(at(10));
        for _ in 0..codes {
            assert_eq!(house.enter(&half, &wrong, at(10)).unwrap_err(), Refusal::WrongCode);
        }
        // The right password has not ended the count: only the whole sign-in does.
        let locked = Refusal::Locked { until: at(40) };
        assert_eq!(house.enter(&half, &wrong, at(10)).unwrap_err(), locked, "{codes} codes");
        let code = house.code(at(11));
        assert_eq!(house.enter(&half, &code, at(11)).unwrap_err(), locked, "not even the right one");
        assert_eq!(house.password(RIGHT, at(39)).unwrap_err(), locked);
        let (half, code) = (house.half(40), house.code(at(40)));
        assert!(house.enter(&half, &code, at(40)).is_ok());
    }
    let mut house = House::enrolled();
    for round in 0..3_i64 {
        let now = after(60 * round);
        let (half, wrong, code) = (house.half_at(now), house.wrong(now), house.code(now));
        for _ in 0..4 {
            assert_eq!(house.enter(&half, &wrong, now).unwrap_err(), Refusal::WrongCode, "counted anew");
        }
        house.enter(&half, &code, now).unwrap();
    }
}

#[test]
fn half_a_sign_in_ends_after_five_minutes() {
    let mut house = House::enrolled();
    for (seconds, good) in [(HALF_SIGN_IN_S_MAX - 1, true), (HALF_SIGN_IN_S_MAX, false)] {
        let half = house.half_at(after(0));
        let now = after(seconds);
        let code = house.code(now.plus_seconds(30 * i64::from(!good)).unwrap());
        let entered = house.enter(&half, &code, now);
        assert_eq!(entered.err(), (!good).then_some(Refusal::SessionEnded), "{seconds} s");
    }
}

#[test]
fn an_enrolment_shows_each_secret_once_and_counts_its_wrong_codes() {
    let mut house = House::new();
    let half = house.half(0);
    let code = "123456".parse().unwrap();
    assert_eq!(house.enter(&half, &code, at(0)).unwrap_err(), Refusal::SessionEnded, "nothing to check by");
    let first = house.people.enrol(&half, at(0), &mut house.rng).unwrap().unwrap().secret().to_owned();
    let second = house.people.enrol(&half, at(0), &mut house.rng).unwrap().unwrap().secret().to_owned();
    assert_ne!(first, second);
    let confirm = |house: &mut House, secret: &str| {
        house.secret = secret.to_owned();
        let code = house.code(at(0));
        house.people.confirm_enrolment(&half, &code, FROM, at(0), &mut Count(9)).unwrap()
    };
    assert_eq!(confirm(&mut house, &first).unwrap_err(), Refusal::WrongCode, "the first one is gone");
    let (token, _) = confirm(&mut house, &second).unwrap();
    assert!(house.people.session(&token, at(1)).unwrap().is_some());
    let half = house.half(2);
    assert_eq!(house.people.enrol(&half, at(2), &mut house.rng).unwrap().err(), Some(Refusal::SessionEnded));
    let mut house = House::new();
    let half = house.half(0);
    house.secret = house.people.enrol(&half, at(0), &mut house.rng).unwrap().unwrap().secret().to_owned();
    let wrong = house.wrong(at(0));
    let refused = || house.people.confirm_enrolment(&half, &wrong, FROM, at(0), &mut Count(9)).unwrap();
    (0..4).for_each(|_| assert_eq!(refused().unwrap_err(), Refusal::WrongCode));
    assert_eq!(refused().unwrap_err(), Refusal::Locked { until: at(30) });
}

#[test]
fn a_reset_takes_authenticator_sessions_and_half_sign_ins_away() {
    let mut house = House::enrolled();
    let (half, code) = (house.half(10), house.code(at(10)));
    let (token, _) = house.enter(&half, &code, at(10)).unwrap();
    let half = house.half(11);
    house.people.reset_second_factor("keys1", &act(11)).unwrap();
    assert!(house.people.session(&token, at(11)).unwrap().is_none());
    let code = house.code(at(11));
    assert_eq!(house.enter(&half, &code, at(11)).unwrap_err(), Refusal::SessionEnded);
    assert!(matches!(house.password(RIGHT, at(12)), Ok(Entry::Enrol(_))));
    let half = house.half(13);
    house.people.disable("keys1", &act(13)).unwrap();
    let enrolled = house.people.enrol(&half, at(13), &mut house.rng).unwrap();
    assert_eq!(enrolled.err(), Some(Refusal::SessionEnded), "disabled meanwhile");
    let log = read(&house.store, |tx| audit::list(tx, &AuditFilter::default(), Paging::first(100)));
    let text = format!("{log:?}");
    assert!(text.contains("user/enrol") && text.contains("user/reset second factor"));
    assert!(!text.contains(&house.secret), "the secret is not in the log");
}

#[test]
fn guesses_of_codes_made_at_once_are_all_counted() {
    let mut house = House::enrolled();
    let (half, wrong) = (house.half(10), house.wrong(at(10)));
    let refusals: Vec<Refusal> = std::thread::scope(|scope| {
        let (people, half, wrong) = (&house.people, &half, &wrong);
        let guesses: Vec<_> = (0..8_u8)
            .map(|no| {
                scope.spawn(move || {
                    people.enter_code(half, wrong, FROM, at(10), &mut Count(no)).unwrap().unwrap_err()
                })
            })
            .collect();
        guesses.into_iter().map(|guess| guess.join().unwrap()).collect()
    });
    let wrong = refusals.iter().filter(|refusal| **refusal == Refusal::WrongCode).count();
    assert_eq!(wrong, 4);
}

#[test]
fn a_clock_set_back_makes_no_half_sign_in_last() {
    let mut house = House::enrolled();
    let half = house.half(60);
    let earlier = at(60).plus_seconds(-HALF_SIGN_IN_S_MAX).unwrap();
    let code = house.code(earlier);
    let entered = house.people.enter_code(&half, &code, FROM, earlier, &mut house.rng).unwrap();
    assert_eq!(entered.map(drop), Err(Refusal::SessionEnded));
}
