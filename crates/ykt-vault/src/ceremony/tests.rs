//! Ceremonies from begin to end, and everything that is refused on the way.

use super::*;
use crate::{Levels, Origin, SoftVault};
use hex_literal::hex;

/// Algorithm, key, and the first three bytes of a zero block enciphered by OpenSSL 3.0.
pub(super) const OPENSSL_KCVS: &[(KeyAlgorithm, &[u8], [u8; 3])] = &[
    (KeyAlgorithm::Tdes, &hex!("00112233445566778899AABBCCDDEEFF"), hex!("FB0975")),
    (KeyAlgorithm::Tdes, &hex!("404142434445464748494A4B4C4D4E4F"), hex!("8BAF47")),
    (KeyAlgorithm::Sm4, &hex!("00112233445566778899AABBCCDDEEFF"), hex!("72EBA3")),
    (KeyAlgorithm::Sm4, &hex!("0123456789ABCDEFFEDCBA9876543210"), hex!("2677F4")),
    (
        KeyAlgorithm::Aes256,
        &hex!("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"),
        hex!("F29000"),
    ),
];

const SEED: KeyRef = KeyRef::new(KeyKind::Seed, 1, 1);
const ROOTS: [KeyRef; 2] = [KeyRef::new(KeyKind::Purchase, 1, 1), KeyRef::new(KeyKind::Load, 1, 1)];

/// Numbers that differ, of no worth.
struct Steps(u8);

impl Rng for Steps {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(77).wrapping_add(101);
            *byte = self.0;
        }
    }
}

fn now() -> DateTime {
    "2026-11-22 09:30:00".parse().unwrap()
}

fn person(name: &str) -> Person {
    Person { name: name.to_owned(), full_name: format!("Person {name}") }
}

fn plan(n: usize, purpose: Purpose) -> Plan {
    Plan {
        number: "C20261122-01".to_owned(),
        place: "上海 Room 7".to_owned(),
        administrator: person("keys1"),
        custodians: (1..=n).map(|at| person(&format!("custodian{at}"))).collect(),
        algorithm: KeyAlgorithm::Tdes,
        purpose,
        key: SEED,
        roots: ROOTS.to_vec(),
    }
}

fn new_plan(n: usize) -> Plan {
    plan(n, Purpose::New { shares: None })
}

fn vault() -> SoftVault {
    SoftVault::empty(Levels::nation_city_card(), Origin::Production)
}

fn begin(plan: Plan) -> Ceremony {
    Ceremony::begin(plan, now()).ok().unwrap()
}

fn part(byte: u8) -> Component {
    Component::from_bytes(KeyAlgorithm::Tdes, &[byte; 16]).ok().unwrap()
}

/// Everybody gives a component of his own: 1, 2, 4 and so on in every byte.
fn all_give(ceremony: &mut Ceremony, way: Way) {
    for (at, person) in ceremony.plan().custodians.clone().iter().enumerate() {
        ceremony.give(&person.name, part(1 << at), way, now()).unwrap();
    }
}

/// The components of this test XORed are known: the key with every byte 2^n - 1.
#[test]
fn two_to_eight_custodians_make_the_key_of_their_xor() {
    for n in 2..=8_usize {
        let (vault, mut ceremony) = (vault(), begin(new_plan(n)));
        for (at, name) in (0..n).map(|at| (at, format!("custodian{}", n - at))) {
            assert_eq!(ceremony.combined_kcv(), None);
            let given = part(1 << at);
            let kcv = given.kcv();
            assert_eq!(ceremony.give(&name, given, Way::Typed, now()), Ok(kcv));
        }
        let sum = part(u8::try_from((1_u32 << n) - 1).unwrap()).kcv();
        assert_eq!(ceremony.combined_kcv(), Some(sum));
        let keys = ceremony.finish("keys1", &vault, now()).unwrap().to_vec();
        assert_eq!((keys.len(), keys[0].key, keys[0].kcv), (3, SEED, sum));
        assert!(keys[1..].iter().all(|made| made.state == KeyState::Generated));
        assert_eq!(vault.list().unwrap().len(), 3);
        assert!(ceremony.given.iter().all(Option::is_none), "the components are wiped");
        assert!(ceremony.custodians().all(|(_, kcv)| kcv.is_some()), "their KCVs stay");
    }
}

/// The same roots come from the same seed wherever it is, and a rehearsal changes nothing.
#[test]
fn rehearsal_and_import_repeat_it() {
    let first = vault();
    let mut ceremony = begin(new_plan(3));
    all_give(&mut ceremony, Way::Typed);
    let made = ceremony.finish("keys1", &first, now()).unwrap().to_vec();
    let before = first.list().unwrap();

    let mut rehearsal = begin(Plan { roots: vec![], ..plan(3, Purpose::Rehearsal) });
    all_give(&mut rehearsal, Way::Card);
    assert!(rehearsal.finish("keys1", &first, now()).is_err(), "it makes no key");
    assert_eq!(rehearsal.compare("keys1", &first, now()), Ok(made[0].kcv));
    assert_eq!(first.list().unwrap(), before);

    let second = vault();
    let mut import = begin(plan(3, Purpose::Import { kcv: made[0].kcv }));
    all_give(&mut import, Way::Typed);
    let again = import.finish("keys1", &second, now()).unwrap().to_vec();
    assert_eq!(again, made);

    let mut wrong = begin(Plan { roots: vec![], ..plan(2, Purpose::Rehearsal) });
    all_give(&mut wrong, Way::Typed);
    let error = wrong.compare("keys1", &first, now()).unwrap_err();
    assert_eq!(error, CeremonyError::WrongKey { expected: made[0].kcv, found: part(3).kcv() });
    let mut wrong = begin(plan(2, Purpose::Import { kcv: made[0].kcv }));
    all_give(&mut wrong, Way::Typed);
    let third = vault();
    assert!(matches!(wrong.finish("keys1", &third, now()), Err(CeremonyError::WrongKey { .. })));
    assert_eq!(third.list().unwrap(), []);
}

#[test]
fn one_key_without_a_seed() {
    let key = KeyRef::new(KeyKind::CardTransport, 1, 1);
    let vault = vault();
    let mut ceremony = begin(Plan { key, roots: vec![], ..new_plan(2) });
    all_give(&mut ceremony, Way::Typed);
    let made = ceremony.finish("keys1", &vault, now()).unwrap();
    assert_eq!((made[0].key, made[0].kcv, made[0].state), (key, part(3).kcv(), KeyState::Generated));
}

#[test]
fn plans_that_cannot_be() {
    let refused = |plan: Plan| Ceremony::begin(plan, now()).err().unwrap();
    for n in [0, 1, 9] {
        assert_eq!(refused(new_plan(n)), CeremonyError::Custodians { found: n });
    }
    let mut twice = new_plan(3);
    twice.custodians[2] = person("custodian1");
    assert_eq!(refused(twice), CeremonyError::SamePerson { name: "custodian1".to_owned() });
    let mut own = new_plan(2);
    own.custodians[1] = person("keys1");
    assert_eq!(refused(own), CeremonyError::AdministratorIsCustodian { name: "keys1".to_owned() });
    for shares in [0, 1, 4] {
        let plan = plan(3, Purpose::New { shares: Some(shares) });
        assert_eq!(refused(plan), CeremonyError::Shares { of: 3, found: shares });
    }
    let sm2 = Plan { algorithm: KeyAlgorithm::Sm2, ..new_plan(2) };
    assert!(matches!(refused(sm2), CeremonyError::Component(ComponentError::Algorithm { .. })));
    for number in ["", "a\nkey", " C1", "号", &"1".repeat(25)] {
        let error = refused(Plan { number: number.to_owned(), ..new_plan(2) });
        assert!(matches!(error, CeremonyError::Number { .. }), "{error}");
    }
    for place in ["", "a\nkey: forged", " room", &"1".repeat(61)] {
        let error = refused(Plan { place: place.to_owned(), ..new_plan(2) });
        assert!(matches!(error, CeremonyError::Text { what: "the place", .. }), "{error}");
    }
    let aes = Plan { algorithm: KeyAlgorithm::Aes256, ..new_plan(2) };
    assert!(refused(aes).to_string().contains("3des, sm4"));
    let roots = |roots: &[KeyRef]| refused(Plan { roots: roots.to_vec(), ..new_plan(2) }).to_string();
    assert!(roots(&[ROOTS[0], ROOTS[0]]).contains("named twice"));
    assert!(roots(&[SEED]).contains("made from components"));
    let many: Vec<_> = (0..65).map(|index| KeyRef::new(KeyKind::Load, index, 1)).collect();
    assert!(roots(&many).contains("more roots"));
    let unseeded = Plan { key: ROOTS[0], roots: vec![ROOTS[1]], ..new_plan(2) };
    assert!(refused(unseeded).to_string().contains("roots come from a seed"));
}

#[test]
fn what_custodians_cannot_do() {
    let mut ceremony = begin(new_plan(3));
    let mut give = |name, component| ceremony.give(name, component, Way::Typed, now());
    assert!(give("custodian1", part(1)).is_ok());
    let error = give("keys1", part(2)).unwrap_err();
    assert!(matches!(error, CeremonyError::NotACustodian { .. }), "{error}");
    assert!(error.to_string().contains("custodian1, custodian2, custodian3"));
    let again = CeremonyError::GivenAlready { name: "custodian1".to_owned() };
    assert_eq!(give("custodian1", part(2)), Err(again));
    assert_eq!(give("custodian2", part(1)), Err(CeremonyError::SameComponent));
    let sm4 = Component::from_bytes(KeyAlgorithm::Sm4, &[2; 16]).ok().unwrap();
    let wrong = CeremonyError::Algorithm { expected: KeyAlgorithm::Tdes, found: KeyAlgorithm::Sm4 };
    assert_eq!(give("custodian2", sm4), Err(wrong));
    assert!(give("custodian2", part(2)).is_ok());
    assert_eq!(give("custodian3", part(3)), Err(CeremonyError::ZeroKey), "1, 2 and 3 are nothing together");
    assert_eq!(ceremony.combined_kcv(), None);
    let share = ceremony.give_share("custodian3", 3, part(4), Way::Typed, now());
    assert!(matches!(share, Err(CeremonyError::WrongPart { .. })));
    let early = ceremony.finish("keys1", &vault(), now()).err();
    assert_eq!(early, Some(CeremonyError::Missing { names: "custodian3".to_owned() }));
    assert!(ceremony.give("custodian3", part(4), Way::Typed, now()).is_ok());
}

/// Nobody but the administrator ends it, drawn components are on paper first, and what is there stays.
#[test]
fn what_the_end_wants() {
    let vault = vault();
    let mut ceremony = begin(new_plan(2));
    all_give(&mut ceremony, Way::Drawn);
    let finish = |ceremony: &mut Ceremony, by| ceremony.finish(by, &vault, now()).err();
    assert!(matches!(finish(&mut ceremony, "custodian1"), Some(CeremonyError::NotTheAdministrator { .. })));
    let open = |names: &str| Some(CeremonyError::SheetsOpen { names: names.to_owned() });
    assert_eq!(finish(&mut ceremony, "keys1"), open("custodian1, custodian2"));
    assert!(ceremony.sheet_waits("custodian1"));
    assert!(ceremony.hand_out("custodian1", &mut Steps(5), now()).is_ok());
    assert!(matches!(
        ceremony.hand_out("custodian1", &mut Steps(5), now()).err(),
        Some(CeremonyError::NoSheet { .. })
    ));
    assert_eq!(finish(&mut ceremony, "keys1"), open("custodian2"));
    assert!(
        ceremony.hand_out("custodian2", &mut Steps(5), now()).is_ok() && !ceremony.sheet_waits("custodian2")
    );
    assert_eq!(finish(&mut ceremony, "keys1"), None);
    assert_eq!(finish(&mut ceremony, "keys1"), Some(CeremonyError::Ended));

    let before = vault.list().unwrap();
    let mut again = begin(new_plan(2));
    all_give(&mut again, Way::Typed);
    let there = CeremonyError::Vault(VaultError::AlreadyThere { key: SEED });
    assert_eq!(finish(&mut again, "keys1"), Some(there));
    let other = KeyRef::new(KeyKind::Seed, 2, 1);
    let mut roots = begin(Plan { key: other, ..new_plan(2) });
    all_give(&mut roots, Way::Typed);
    let there = CeremonyError::Vault(VaultError::AlreadyThere { key: ROOTS[0] });
    assert_eq!(finish(&mut roots, "keys1"), Some(there));
    assert_eq!(vault.list().unwrap(), before, "nothing half-done");
}

#[test]
fn aborting_wipes() {
    let mut ceremony = begin(new_plan(2));
    all_give(&mut ceremony, Way::Typed);
    ceremony.abort("custodian2", now());
    assert!(ceremony.has_ended() && ceremony.given.iter().all(Option::is_none));
    assert_eq!(ceremony.give("custodian1", part(1), Way::Typed, now()), Err(CeremonyError::Ended));
    assert_eq!(ceremony.finish("keys1", &vault(), now()).err(), Some(CeremonyError::Ended));
    assert!(ceremony.hand_out("custodian1", &mut Steps(5), now()).is_err());
    let text = ceremony.protocol("test 1", &vault().status());
    assert!(text.text().contains("custodian2 aborts the ceremony"));
}

/// Every m of every n up to five: any m shares bring the seed into an empty vault, fewer and altered ones do not.
#[test]
fn shares_give_the_seed_back() {
    for n in 2..=5_usize {
        for m in 2..=u8::try_from(n).unwrap() {
            let mut ceremony = begin(plan(n, Purpose::New { shares: Some(m) }));
            all_give(&mut ceremony, Way::Typed);
            let names: Vec<_> = ceremony.custodians().map(|(person, _)| person.name.clone()).collect();
            let open = CeremonyError::SheetsOpen { names: names.join(", ") };
            assert_eq!(ceremony.finish("keys1", &vault(), now()).err(), Some(open));
            let mut rng = Steps(m);
            let mut sheets = Vec::new();
            for name in &names {
                let first = ceremony.hand_out(name, &mut rng, now()).ok().unwrap();
                assert!(first.kind() == SheetKind::Component && ceremony.sheet_waits(name));
                sheets.push(ceremony.hand_out(name, &mut rng, now()).ok().unwrap());
                assert!(!ceremony.sheet_waits(name));
                assert!(ceremony.hand_out(name, &mut rng, now()).is_err(), "once");
            }
            assert!(sheets.iter().all(|sheet| sheet.kind() == SheetKind::Share { needed: m }));
            let made = ceremony.finish("keys1", &vault(), now()).unwrap().to_vec();
            let kcv = made[0].kcv;
            for choice in (1_u32..1 << n).filter(|choice| choice.count_ones() >= 2) {
                let chosen = sheets.iter().filter(|sheet| choice >> (sheet.position() - 1) & 1 == 1);
                let chosen: Vec<_> = chosen.collect();
                let mut recovery = begin(plan(chosen.len(), Purpose::Recovery { kcv }));
                for (at, sheet) in (1..).zip(&chosen) {
                    let name = format!("custodian{at}");
                    recovery
                        .give_share(&name, sheet.position(), sheet.component().clone(), Way::Typed, now())
                        .unwrap();
                }
                let vault = vault();
                let outcome = recovery.finish("keys1", &vault, now()).map(<[KeyInfo]>::to_vec);
                if chosen.len() >= usize::from(m) {
                    assert_eq!(outcome.unwrap(), made, "{m} of {n}, choice {choice:b}");
                } else {
                    assert!(matches!(outcome, Err(CeremonyError::WrongKey { .. })));
                    assert_eq!(vault.list().unwrap(), []);
                }
            }
        }
    }
}

#[test]
fn shares_that_cannot_be() {
    let mut recovery = begin(plan(2, Purpose::Recovery { kcv: [1, 2, 3] }));
    let mut share = |name, number, byte| recovery.give_share(name, number, part(byte), Way::Typed, now());
    for number in [0, 9] {
        assert_eq!(share("custodian1", number, 1), Err(CeremonyError::ShareNumber { found: number }));
    }
    assert!(share("custodian1", 3, 1).is_ok());
    assert_eq!(share("custodian2", 3, 2), Err(CeremonyError::ShareNumber { found: 3 }));
    let component = recovery.give("custodian2", part(2), Way::Typed, now());
    assert!(matches!(component, Err(CeremonyError::WrongPart { .. })));
    assert!(recovery.hand_out("custodian1", &mut Steps(5), now()).is_err());
}

/// A sheet shows its own component and nobody else's; the protocol shows none.
#[test]
fn components_stand_on_their_own_sheet_only() {
    let mut ceremony = begin(new_plan(3));
    let mut rng = Steps(7);
    let drawn: Vec<_> = (0..3).map(|_| Component::draw(KeyAlgorithm::Tdes, &mut rng).ok().unwrap()).collect();
    for (at, component) in (1..).zip(&drawn) {
        ceremony.give(&format!("custodian{at}"), component.clone(), Way::Drawn, now()).unwrap();
    }
    let halves = |component: &Component| -> Vec<String> {
        component.expose().chunks(4).map(|part| Hex(part).to_string()).collect()
    };
    let digits = |text: &str| text.split(|c: char| !c.is_ascii_hexdigit()).collect::<String>();
    let cells = |page: &str| {
        let cells = page.split("<td").skip(1).filter_map(|cell| cell.split(['>', '<']).nth(1));
        cells.collect::<String>()
    };
    let pages: Vec<_> = (1..=3)
        .map(|at| {
            ceremony
                .hand_out(&format!("custodian{at}"), &mut Steps(5), now())
                .ok()
                .unwrap()
                .html(SheetStyle::Inside)
        })
        .collect();
    for (mine, page) in pages.iter().enumerate() {
        for (whose, component) in drawn.iter().enumerate() {
            let shown = halves(component).iter().all(|half| cells(page).contains(half.as_str()));
            assert_eq!(shown, mine == whose);
        }
        assert!(page.contains(&Hex(&ceremony.combined_kcv().unwrap()).to_string()));
        assert!(page.contains("custodian") && page.contains("C20261122-01"));
        assert!(!page.contains("http") && !page.contains("url(") && !page.contains("<script"));
        assert!(page.capacity() <= SHEET_ROOM, "the text of a sheet never moves");
    }
    ceremony.finish("keys1", &vault(), now()).unwrap();
    let text = ceremony.protocol("ykt 1", &vault().status()).text().to_owned();
    for half in drawn.iter().flat_map(halves) {
        assert!(!digits(&text).contains(&half) && !text.contains(&half));
    }
    for component in &drawn {
        assert!(text.contains(&Hex(&component.kcv()).to_string()));
    }
}

/// As much as a sheet reserves.
const SHEET_ROOM: usize = 32 << 10;

#[test]
fn what_people_are_called_cannot_break_a_sheet() {
    let mut odd = new_plan(2);
    odd.custodians[0].full_name = "<script>\"&".to_owned();
    let mut ceremony = begin(odd);
    all_give(&mut ceremony, Way::Typed);
    let page = ceremony
        .hand_out("custodian1", &mut Steps(5), now())
        .ok()
        .unwrap()
        .html(SheetStyle::At("/sheet.css"));
    assert!(page.contains("&lt;script&gt;&quot;&amp;") && !page.contains("<script"));
    assert!(page.contains("href=\"/sheet.css\"") && !page.contains("<style"));
}
