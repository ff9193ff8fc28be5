//! Signing in: strength, lock-out, sessions and their limits.

use crate::{Count, act, at, office, read};
use ykt_base::DateTime;
use ykt_office::audit::{self, AuditFilter};
use ykt_office::people::{
    self, Entry, FirstPassword, HashCost, NewUser, Password, People, PeopleError, Permission, Refusal, Role,
    Session, SignInRules, Token, UserFilter, WeakPassword,
};
use ykt_office::{Act, Paging};
use ykt_store::{Store, StoreError};

const RIGHT: &str = "Blue-Lamp-42";
const OTHER: &str = "Green-Door-17";

struct House {
    store: Store,
    people: People,
    rng: Count,
}

impl House {
    fn new(first_password: FirstPassword) -> House {
        let (store, mut rng) = (office(), Count(1));
        let rules = SignInRules { cost: HashCost::LEAST, ..SignInRules::default() };
        let people = People::new(store.clone(), rules, &mut rng).unwrap();
        let mut house = House { store, people, rng };
        house.add("li", first_password).unwrap();
        house
    }

    fn add(&mut self, name: &str, first_password: FirstPassword) -> Result<(), PeopleError> {
        let new = NewUser {
            name: name.to_owned(),
            full_name: "李".to_owned(),
            role: Role::Operator,
            staff_number: name.parse().ok(),
            first_password,
        };
        self.people.add(&new, &Password::from(RIGHT), &mut self.rng, &act(0))
    }

    fn sign_in_at(&mut self, password: &str, now: DateTime) -> Result<(Token, Session), Refusal> {
        let entry = self.people.sign_in("li", &Password::from(password), "10.0.0.9", now, &mut self.rng);
        entry.unwrap().map(|entry| match entry {
            Entry::Open(token, session) => (token, session),
            other => panic!("no second factor is asked for: {other:?}"),
        })
    }

    fn sign_in(&mut self, password: &str, minutes: i64) -> Result<(Token, Session), Refusal> {
        self.sign_in_at(password, at(minutes))
    }

    fn is_in(&self, token: &Token, now: DateTime) -> bool {
        self.people.session(token, now).unwrap().is_some()
    }

    fn change(&mut self, token: &Token, old: &str, new: &str, minutes: i64) -> Result<(), Refusal> {
        let (old, new) = (Password::from(old), Password::from(new));
        self.people.change_password(token, &old, &new, "10.0.0.9", at(minutes), &mut self.rng).unwrap()
    }
}

#[test]
fn the_right_password_opens_and_the_token_is_kept_as_hash_only() {
    let mut house = House::new(FirstPassword::MayStay);
    let (token, session) = house.sign_in(RIGHT, 0).unwrap();
    assert_eq!(
        (session.user.as_str(), session.role, session.must_change_password),
        ("li", Role::Operator, false)
    );
    let same: Token = token.expose().parse().unwrap();
    assert!(house.is_in(&same, at(1)));
    let other: Token = "00".repeat(32).parse().unwrap();
    assert!(!house.is_in(&other, at(1)));
    let sql = "SELECT COUNT(*) FROM office_session WHERE token_hash = $1";
    let bytes: [u8; 32] = ykt_base::hex::decode(&token.expose()).unwrap();
    let stored = read(&house.store, |tx| tx.query_one(sql, ykt_store::params![&bytes], |row| row.i64(0)));
    assert_eq!(stored, Some(0), "the token itself is nowhere");
    assert_eq!(format!("{token:?}"), "Token");
}

#[test]
fn four_wrong_passwords_are_forgiven_five_lock_out_for_half_an_hour() {
    let mut house = House::new(FirstPassword::MayStay);
    for _ in 0..4 {
        assert_eq!(house.sign_in(OTHER, 0).unwrap_err(), Refusal::WrongNameOrPassword);
    }
    house.sign_in(RIGHT, 0).unwrap();
    for _ in 0..4 {
        assert_eq!(house.sign_in(OTHER, 1).unwrap_err(), Refusal::WrongNameOrPassword, "counted anew");
    }
    let locked = Refusal::Locked { until: at(31) };
    assert_eq!(house.sign_in(OTHER, 1).unwrap_err(), locked);
    assert_eq!(house.sign_in(RIGHT, 30).unwrap_err(), locked, "not even the right one");
    assert!(house.sign_in(RIGHT, 31).is_ok());
    for _ in 0..5 {
        house.sign_in(OTHER, 40).unwrap_err();
    }
    house.people.unlock("li", &act(41)).unwrap();
    assert!(house.sign_in(RIGHT, 41).is_ok());
}

#[test]
fn an_unknown_name_is_told_nothing_and_not_written_down() {
    let mut house = House::new(FirstPassword::MayStay);
    let typed = Password::from(RIGHT);
    let answer = house.people.sign_in("My-Secret-1", &typed, "10.0.0.9", at(0), &mut house.rng).unwrap();
    assert_eq!(answer.unwrap_err(), Refusal::WrongNameOrPassword);
    let log = read(&house.store, |tx| audit::list(tx, &AuditFilter::default(), Paging::default()));
    let text = format!("{log:?}");
    assert!(text.contains("unknown name") && !text.contains("Secret") && !text.contains(RIGHT));
}

/// The lock-out of a name that nobody has is that of one that somebody has: guess by guess, and to the second.
#[test]
fn the_lock_out_does_not_tell_which_names_exist() {
    let mut house = House::new(FirstPassword::MayStay);
    let typed = Password::from(OTHER);
    for minute in [0, 0, 0, 0, 0, 0, 29, 30, 31, 31, 31, 31, 31, 60, 61] {
        let [real, nobody] = ["li", "nobody"].map(|name| {
            house.people.sign_in(name, &typed, "10.0.0.9", at(minute), &mut house.rng).unwrap().unwrap_err()
        });
        assert_eq!(real, nobody, "minute {minute}");
    }
}

/// A session that somebody left behind is no way to guess the password past the lock-out.
#[test]
fn a_locked_user_learns_nothing_from_a_change_of_password() {
    let mut house = House::new(FirstPassword::MayStay);
    let (token, _) = house.sign_in(RIGHT, 0).unwrap();
    for _ in 0..5 {
        house.change(&token, OTHER, "weak", 1).unwrap_err();
    }
    let locked = Refusal::Locked { until: at(31) };
    for old in [OTHER, RIGHT] {
        for new in ["weak", RIGHT, OTHER] {
            assert_eq!(house.change(&token, old, new, 2), Err(locked), "{old} to {new}");
        }
    }
}

#[test]
fn a_clock_set_back_makes_no_session_last() {
    let mut house = House::new(FirstPassword::MayStay);
    let (token, _) = house.sign_in(RIGHT, 60).unwrap();
    assert!(house.is_in(&token, at(55)), "a small correction ends nothing");
    assert!(house.is_in(&token, at(64)), "and idleness counts from then on");
    let (token, _) = house.sign_in(RIGHT, 100).unwrap();
    assert!(!house.is_in(&token, at(90)));
    assert!(!house.is_in(&token, at(100)), "it is gone for good");
}

#[test]
fn sessions_end_idle_absolutely_and_when_signed_out() {
    let mut house = House::new(FirstPassword::MayStay);
    let after = |seconds: i64| at(0).plus_seconds(seconds).unwrap();
    let (idle, _) = house.sign_in(RIGHT, 0).unwrap();
    assert!(house.is_in(&idle, after(599)));
    assert!(house.is_in(&idle, after(599 + 599)), "each request starts the time again");
    assert!(!house.is_in(&idle, after(599 + 599 + 600)));
    assert!(!house.is_in(&idle, after(599 + 600)), "ended is ended");
    let (long, session) = house.sign_in(RIGHT, 0).unwrap();
    let mut minutes = 0;
    while minutes < 12 * 60 - 9 {
        minutes += 9;
        assert!(house.is_in(&long, at(minutes)), "{minutes}");
    }
    assert!(!house.is_in(&long, at(12 * 60)));
    let (out, _) = house.sign_in(RIGHT, 0).unwrap();
    house.people.sign_out(&out, "10.0.0.9", at(1)).unwrap();
    house.people.sign_out(&out, "10.0.0.9", at(1)).unwrap();
    assert!(!house.is_in(&out, at(1)));
    assert_eq!(session.started_at, at(0));
}

#[test]
fn sessions_are_limited_and_stale_ones_make_room() {
    let mut house = House::new(FirstPassword::MayStay);
    for _ in 0..3 {
        house.sign_in(RIGHT, 0).unwrap();
    }
    assert_eq!(house.sign_in(RIGHT, 9).unwrap_err(), Refusal::TooManySessions { max: 3 });
    assert!(house.sign_in(RIGHT, 10).is_ok());
    assert_eq!(read(&house.store, people::sessions).len(), 1);
    let rules = SignInRules { cost: HashCost::LEAST, sessions_max: 1, ..SignInRules::default() };
    house.people = People::new(house.store.clone(), rules, &mut house.rng).unwrap();
    assert_eq!(house.sign_in(RIGHT, 11).unwrap_err(), Refusal::HouseFull { max: 1 });
}

#[test]
fn a_first_password_must_be_changed_and_old_ones_do_not_come_back() {
    let mut house = House::new(FirstPassword::MustBeChanged);
    let (token, session) = house.sign_in(RIGHT, 0).unwrap();
    assert!(session.must_change_password);
    let (elsewhere, _) = house.sign_in(RIGHT, 0).unwrap();
    assert_eq!(house.change(&token, OTHER, OTHER, 1), Err(Refusal::WrongNameOrPassword));
    assert_eq!(house.change(&token, RIGHT, "short1!A", 1), Ok(()));
    assert!(!house.is_in(&elsewhere, at(1)), "other sessions end");
    let session = house.people.session(&token, at(1)).unwrap().unwrap();
    assert!(!session.must_change_password);
    let used = Err(Refusal::Weak(WeakPassword::UsedBefore));
    assert_eq!(house.change(&token, "short1!A", RIGHT, 2), used);
    assert_eq!(house.change(&token, "short1!A", "short1!A", 2), used);
    assert!(matches!(house.change(&token, "short1!A", "weak", 2), Err(Refusal::Weak(_))));
    for no in 0..4 {
        let old = if no == 0 { "short1!A".to_owned() } else { format!("Number-{}", no - 1) };
        assert_eq!(house.change(&token, &old, &format!("Number-{no}"), 3), Ok(()));
    }
    assert_eq!(house.change(&token, "Number-3", RIGHT, 4), Ok(()), "six passwords ago");
    assert_eq!(house.sign_in("Number-3", 5).unwrap_err(), Refusal::WrongNameOrPassword);
}

#[test]
fn guessing_the_old_password_in_an_open_session_locks_out() {
    let mut house = House::new(FirstPassword::MayStay);
    let (token, _) = house.sign_in(RIGHT, 0).unwrap();
    for _ in 0..4 {
        assert_eq!(house.change(&token, OTHER, OTHER, 1), Err(Refusal::WrongNameOrPassword));
    }
    assert_eq!(house.change(&token, OTHER, OTHER, 1), Err(Refusal::Locked { until: at(31) }));
    assert_eq!(house.change(&token, RIGHT, OTHER, 2), Err(Refusal::Locked { until: at(31) }));
}

#[test]
fn an_old_password_must_be_changed() {
    let mut house = House::new(FirstPassword::MayStay);
    let days = |days: i64| at(days * 24 * 60);
    assert!(!house.sign_in_at(RIGHT, days(89)).unwrap().1.must_change_password);
    assert!(house.sign_in_at(RIGHT, days(90)).unwrap().1.must_change_password);
}

#[test]
fn disabled_users_are_out_at_once() {
    let mut house = House::new(FirstPassword::MayStay);
    let (token, _) = house.sign_in(RIGHT, 0).unwrap();
    house.people.disable("li", &act(1)).unwrap();
    assert!(!house.is_in(&token, at(1)));
    assert_eq!(house.sign_in(OTHER, 1).unwrap_err(), Refusal::WrongNameOrPassword);
    assert_eq!(house.sign_in(RIGHT, 1).unwrap_err(), Refusal::Disabled);
    house.people.enable("li", &act(2)).unwrap();
    assert!(house.sign_in(RIGHT, 2).is_ok());
    let reset = Password::from("Reset-Me-99");
    house.people.reset_password("li", &reset, &mut house.rng, &act(3)).unwrap();
    assert!(house.sign_in("Reset-Me-99", 3).unwrap().1.must_change_password);
    assert!(matches!(house.people.disable("nobody", &act(1)), Err(PeopleError::Unknown { .. })));
}

#[test]
fn names_are_simple_and_never_given_twice() {
    let mut house = House::new(FirstPassword::MayStay);
    house.add("li", FirstPassword::MayStay).unwrap();
    for name in ["x", "Li", "li wang", "", "a-name-that-is-much-too-long-for-it"] {
        assert!(matches!(house.add(name, FirstPassword::MayStay), Err(PeopleError::Name { .. })), "{name}");
    }
    let auditor = NewUser {
        name: "li".to_owned(),
        full_name: "李".to_owned(),
        role: Role::Auditor,
        staff_number: Some("S-7".parse().unwrap()),
        first_password: FirstPassword::MayStay,
    };
    let taken = house.people.add(&auditor, &Password::from(RIGHT), &mut house.rng, &act(1));
    assert!(matches!(taken, Err(PeopleError::Taken { .. })));
    house.add("zhao", FirstPassword::MayStay).unwrap();
    let filter = UserFilter { text: Some("zh".to_owned()), ..UserFilter::default() };
    let page = read(&house.store, |tx| people::list(tx, &filter, Paging::default()));
    assert_eq!((page.totals, page.rows[0].name.as_str()), (1, "zhao"));
}

#[test]
fn roles_that_exclude_each_other_share_no_critical_permission() {
    use Permission as P;
    for role in Role::ALL {
        assert!(!role.permissions().is_empty());
        assert!(!(role.may(P::ManagePeople) && role.may(P::ReadAudit)), "{role}");
        assert!(!(role.may(P::ManagePeople) && role.may(P::KeepBooks)), "{role}");
        assert!(!(role.may(P::RunClearing) && role.may(P::KeepBooks)), "{role}");
        let reads = |what: &P| matches!(what, P::ReadBusiness | P::ReadAudit | P::ReadKeys);
        assert!(!role.may(P::ReadAudit) || role.permissions().iter().all(reads), "an auditor only reads");
        assert!(
            !(role.may(P::ManageKeys) && (role.may(P::GiveComponent) || role.may(P::ManagePeople))),
            "{role}"
        );
    }
}

#[test]
fn one_person_never_has_two_roles_that_exclude_each_other() {
    let alone = [Role::Operator, Role::Security, Role::Auditor, Role::Custodian, Role::KeyAdministrator];
    for first in Role::ALL {
        for second in Role::ALL {
            let (store, mut rng) = (office(), Count(1));
            let rules = SignInRules { cost: HashCost::LEAST, ..SignInRules::default() };
            let people = People::new(store, rules, &mut rng).unwrap();
            let mut add = |name: &str, role: Role, number: Option<&str>| {
                let new = NewUser {
                    name: name.to_owned(),
                    full_name: name.to_owned(),
                    role,
                    staff_number: number.map(|number| number.parse().unwrap()),
                    first_password: FirstPassword::MayStay,
                };
                people.add(&new, &Password::from(RIGHT), &mut rng, &act(0))
            };
            add("li", *first, Some("S-17")).unwrap();
            people.disable("li", &act(1)).unwrap();
            let both = add("li.2", *second, Some("s-17"));
            let excluded = alone.contains(first) && alone.contains(second);
            assert_eq!(first.excludes(*second), excluded, "{first} and {second}");
            match both {
                Ok(()) => assert!(!excluded, "{first} and {second}"),
                Err(PeopleError::Excluded { other, others_role, role, .. }) => {
                    assert!(excluded && other == "li" && others_role == *first && role == *second);
                }
                Err(other) => panic!("{first} and {second}: {other}"),
            }
            add("other", *second, Some("S-18")).unwrap();
            let nobody = add("nobody", *second, None);
            assert_eq!(
                nobody.is_ok(),
                !alone.contains(second),
                "{second} without a staff number: {nobody:?}"
            );
        }
    }
}

#[test]
fn a_user_of_an_earlier_release_gets_a_number_once() {
    let house = House::new(FirstPassword::MayStay);
    let forget = "UPDATE office_user SET staff_number = NULL";
    house.store.write(|tx| tx.execute(forget, &[])).unwrap();
    let number = |text: &str| text.parse().unwrap();
    house.people.disable("li", &act(1)).unwrap();
    let missing = house.people.enable("li", &act(2)).unwrap_err();
    assert!(matches!(missing, PeopleError::StaffNumberMissing { .. }), "asked for at the next change");
    house.people.give_staff_number("li", &number("S-1"), &act(3)).unwrap();
    house.people.enable("li", &act(4)).unwrap();
    let kept = house.people.give_staff_number("li", &number("S-2"), &act(5)).unwrap_err();
    assert_eq!(kept, PeopleError::StaffNumberKept { name: "li".to_owned(), found: number("S-1") });
}

#[test]
fn guesses_made_at_once_are_all_counted() {
    let mut house = House::new(FirstPassword::MayStay);
    house.sign_in(RIGHT, 0).unwrap();
    let refusals: Vec<Refusal> = std::thread::scope(|scope| {
        let guesses: Vec<_> = (0..8_u8)
            .map(|no| {
                let people = &house.people;
                scope.spawn(move || {
                    let typed = Password::from(OTHER);
                    people.sign_in("li", &typed, "10.0.0.9", at(1), &mut Count(no)).unwrap().unwrap_err()
                })
            })
            .collect();
        guesses.into_iter().map(|guess| guess.join().unwrap()).collect()
    });
    let wrong = refusals.iter().filter(|refusal| **refusal == Refusal::WrongNameOrPassword).count();
    assert_eq!(wrong, 4);
    let report: Result<_, StoreError> = house.store.read(audit::verify);
    assert!(matches!(report.unwrap(), audit::ChainReport::Whole { .. }));
    assert_eq!(Act::of_system("lists", at(0)).who, "<lists>");
}
