//! Ceremonies of people in the register: what is recorded, who is refused, and what is nowhere to be found.

use super::*;
use std::sync::Arc;
use ykt_base::CardChannel;
use ykt_card::{Blank, Card, MemoryFault};
use ykt_crypto::Key16;
use ykt_issue::Profile;
use ykt_office::audit::AuditFilter;
use ykt_office::people::{FirstPassword, HashCost, NewUser, Password, People, Role, SignInRules};
use ykt_purse::write_key::Pin;
use ykt_store::Paging;
use ykt_terminal::transport::in_process::InProcess;
use ykt_vault::{
    DEMO_TRANSPORT_KEY, KeyKind, KeyManagement, KeyPlace, KeyState, Levels, Origin, SoftVault, Vault,
};

const SEED: KeyRef = KeyRef::new(KeyKind::Seed, 1, 1);
const PURCHASE: KeyRef = KeyRef::new(KeyKind::Purchase, 1, 1);

struct Steps(u8);

impl Rng for Steps {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(77).wrapping_add(101);
            *byte = self.0;
        }
    }
}

fn at() -> DateTime {
    "2026-11-22 09:30:00".parse().unwrap()
}

fn act(who: &str) -> Act {
    Act::of(who, "10.0.0.7", at())
}

/// Two key administrators, four custodians, an operator; a vault with a signing pair.
struct Office {
    store: Store,
    vault: Arc<SoftVault>,
    centre: Centre,
    ceremonies: Arc<Ceremonies>,
    rng: Steps,
}

impl Office {
    fn new() -> Office {
        let mut rng = Steps(3);
        let store = Store::in_memory(&[&[ykt_office::MODULE], crate::MODULES].concat()).unwrap();
        let rules = SignInRules { cost: HashCost::LEAST, ..SignInRules::default() };
        let people = People::new(store.clone(), rules, &mut rng).unwrap();
        let custodians = ["custodian1", "custodian2", "custodian3", "custodian4"];
        let all = custodians.map(|name| (name, Role::Custodian)).into_iter().chain([
            ("keys1", Role::KeyAdministrator),
            ("keys2", Role::KeyAdministrator),
            ("desk", Role::Operator),
        ]);
        for (name, role) in all {
            let new = NewUser {
                name: name.to_owned(),
                full_name: format!("Person {name}"),
                role,
                staff_number: name.parse().ok(),
                first_password: FirstPassword::MayStay,
            };
            people.add(&new, &Password::from("Blue-Lamp-42"), &mut rng, &act("security")).unwrap();
        }
        people.disable("custodian4", &act("security")).unwrap();
        let vault = Arc::new(SoftVault::empty(Levels::nation_city_card(), Origin::Production));
        let pair = KeyPlace::root(KeyRef::new(KeyKind::Signing, 1, 1));
        vault.generate(pair, KeyAlgorithm::Sm2, &mut rng).unwrap();
        vault.change_state(&pair, KeyState::Active).unwrap();
        let signer = vault.signer(pair.key).ok();
        let centre = Centre::new(store.clone(), vault.clone(), signer);
        Office { store, vault, ceremonies: Arc::clone(&centre.ceremonies), centre, rng }
    }

    fn begin(&self, who: &str, custodians: &[&str], purpose: Purpose) -> Result<String, CeremoniesError> {
        let rehearsal = purpose == Purpose::Rehearsal;
        let new = NewCeremony {
            place: "Room 7".to_owned(),
            custodians: custodians.iter().map(|name| (*name).to_owned()).collect(),
            purpose,
            key: SEED,
            algorithm: KeyAlgorithm::Tdes,
            roots: if rehearsal { vec![] } else { vec![PURCHASE] },
        };
        self.ceremonies.begin(&act(who), new)
    }

    fn give(&self, number: &str, who: &str, byte: u8) -> Result<[u8; 3], CeremoniesError> {
        let component = Component::from_bytes(KeyAlgorithm::Tdes, &[byte; 16])?;
        self.ceremonies.give(&act(who), number, component, Way::Typed)
    }

    fn finish(&mut self, number: &str, who: &str) -> Result<Vec<KeyInfo>, CeremoniesError> {
        self.ceremonies.finish(&act(who), number, &self.centre, &mut self.rng)
    }

    fn audit(&self) -> Vec<(String, String, Outcome, String)> {
        let filter = AuditFilter::default();
        let page = self.store.read(|tx| audit::list(tx, &filter, Paging::first(500))).unwrap();
        page.rows.into_iter().rev().map(|row| (row.who, row.what, row.outcome, row.detail)).collect()
    }

    fn row(&self, number: &str) -> CeremonyRow {
        self.store.read(|tx| one(tx, number)).unwrap().unwrap()
    }

    fn protocol(&self, number: &str) -> String {
        self.store.read(|tx| protocol(tx, number)).unwrap().unwrap()
    }
}

#[test]
fn a_ceremony_leaves_key_record_protocol_and_audit() {
    let mut office = Office::new();
    let purpose = Purpose::New { shares: Some(2) };
    let number = office.begin("keys1", &["custodian1", "custodian2"], purpose).unwrap();
    assert_eq!(number, "C20261122-01");
    let drawn = office.ceremonies.draw(&act("custodian1"), &number, &mut office.rng).unwrap();
    let typed = office.give(&number, "custodian2", 9).unwrap();
    let held = office.ceremonies.view(&number).unwrap();
    assert_eq!(held.kcvs, [Some(drawn), Some(typed)]);
    assert_eq!(held.sheets_wait, ["custodian1", "custodian2"]);
    let mut secrets = Vec::new();
    for name in ["custodian1", "custodian2"] {
        for _ in 0..2 {
            let sheet = office.ceremonies.hand_out(&act(name), &number, &mut office.rng).unwrap();
            secrets.push(sheet.component().expose().to_vec());
        }
    }
    let made = office.finish(&number, "keys1").unwrap();
    assert_eq!(made.iter().map(|info| info.key).collect::<Vec<_>>(), [SEED, PURCHASE]);
    let row = office.row(&number);
    assert_eq!((row.state, row.kcv, row.signed), (CeremonyState::Finished, held.combined, true));
    let kcvs: Vec<_> = office.store.read(|tx| custodians(tx, &number)).unwrap();
    assert_eq!(kcvs.iter().map(|row| row.kcv).collect::<Vec<_>>(), held.kcvs);
    let file = office.protocol(&number);
    let signed = ykt_vault::ceremony::Protocol::verify(&file).unwrap();
    assert_eq!(Some(signed.signer()), office.centre.signer.as_ref().map(|signer| signer.public_key()));
    let known = office.centre.tree().unwrap();
    assert!(known.leaves().all(|leaf| leaf.vault.is_some()));
    let found = office.audit();
    let words: Vec<_> = found.iter().map(|(who, what, ..)| format!("{who} {what}")).collect();
    for word in ["keys1 ceremony/begin", "custodian1 ceremony/component", "custodian2 ceremony/component"] {
        assert!(words.iter().any(|found| found == word), "{word} in {words:?}");
    }
    assert!(
        words.contains(&"keys1 ceremony/finish".to_owned())
            && words.contains(&"keys1 key/generate".to_owned())
    );
    let everything = format!("{file}{found:?}").to_uppercase();
    for secret in secrets.iter().flat_map(|secret| secret.chunks(4)) {
        assert!(!everything.contains(&Hex(secret).to_string()));
    }
    assert_eq!(office.ceremonies.view(&number), None, "nothing of it is left in memory");
}

fn not_allowed<T>(name: &str, needs: Permission) -> Result<T, CeremoniesError> {
    Err(CeremoniesError::NotAllowed { name: name.to_owned(), needs })
}

#[test]
fn who_may_not_is_refused_and_written_down() {
    let mut office = Office::new();
    let purpose = || Purpose::New { shares: None };
    let begin = |who, people: &[&str]| office.begin(who, people, purpose());
    assert_eq!(begin("desk", &["custodian1", "custodian2"]), not_allowed("desk", Permission::ManageKeys));
    assert_eq!(begin("nobody", &["custodian1", "custodian2"]), not_allowed("nobody", Permission::ManageKeys));
    for name in ["keys2", "desk", "custodian4", "nobody"] {
        assert_eq!(begin("keys1", &["custodian1", name]), not_allowed(name, Permission::GiveComponent));
    }
    let own = CeremonyError::AdministratorIsCustodian { name: "keys1".to_owned() };
    assert_eq!(begin("keys1", &["custodian1", "keys1"]), Err(own.into()));
    assert_eq!(
        office.audit().iter().filter(|row| row.1 == "ceremony/begin" && row.2 == Outcome::Refused).count(),
        7
    );

    let number = office.begin("keys1", &["custodian1", "custodian2"], purpose()).unwrap();
    assert_eq!(office.give(&number, "keys1", 1), not_allowed("keys1", Permission::GiveComponent));
    assert!(matches!(
        office.give(&number, "custodian3", 1),
        Err(CeremoniesError::Rule(CeremonyError::NotACustodian { .. }))
    ));
    office.give(&number, "custodian1", 1).unwrap();
    office.give(&number, "custodian2", 2).unwrap();
    assert_eq!(
        office.finish(&number, "custodian1").map(drop),
        not_allowed("custodian1", Permission::ManageKeys)
    );
    assert!(matches!(
        office.finish(&number, "keys2"),
        Err(CeremoniesError::Rule(CeremonyError::NotTheAdministrator { .. }))
    ));
    let status = office.vault.status();
    assert_eq!(
        office.ceremonies.abort(&act("keys2"), &number, &status),
        not_allowed("keys2", Permission::ManageKeys)
    );
    let (_, what, outcome, detail) = office.audit().pop().unwrap();
    assert_eq!((what.as_str(), outcome), ("ceremony/finish", Outcome::Refused));
    assert!(detail.contains("keys2 does not conduct"), "{detail}");
    assert!(office.finish(&number, "keys1").is_ok());
    assert!(matches!(office.finish(&number, "keys1"), Err(CeremoniesError::NotHeld { .. })));
}

#[test]
fn a_wrong_rehearsal_fails_and_an_aborted_ceremony_is_over() {
    let mut office = Office::new();
    let pair = ["custodian1", "custodian2"];
    let number = office.begin("keys1", &pair, Purpose::New { shares: None }).unwrap();
    office.give(&number, "custodian1", 1).unwrap();
    office.give(&number, "custodian2", 2).unwrap();
    office.finish(&number, "keys1").unwrap();
    for (byte, state) in [(2, CeremonyState::Finished), (4, CeremonyState::Failed)] {
        let rehearsal = office.begin("keys2", &pair, Purpose::Rehearsal).unwrap();
        office.give(&rehearsal, "custodian1", 1).unwrap();
        office.give(&rehearsal, "custodian2", byte).unwrap();
        let outcome = office.finish(&rehearsal, "keys2");
        assert_eq!(outcome.is_ok(), byte == 2);
        assert_eq!((office.row(&rehearsal).state, office.row(&rehearsal).signed), (state, true));
        assert!(ykt_vault::ceremony::Protocol::verify(&office.protocol(&rehearsal)).is_ok());
    }
    let aborted = office.begin("keys1", &pair, Purpose::New { shares: None }).unwrap();
    office.give(&aborted, "custodian1", 1).unwrap();
    office.ceremonies.abort(&act("custodian1"), &aborted, &office.vault.status()).unwrap();
    assert_eq!(office.row(&aborted).state, CeremonyState::Aborted);
    assert!(office.protocol(&aborted).contains("custodian1 aborts the ceremony"));
    assert!(matches!(office.give(&aborted, "custodian2", 2), Err(CeremoniesError::NotHeld { .. })));
}

/// Held in one process's memory only: the next one knows that it was begun, and nothing else.
#[test]
fn another_process_knows_no_component() {
    let office = Office::new();
    let number = office.begin("keys1", &["custodian1", "custodian2"], Purpose::New { shares: None }).unwrap();
    office.give(&number, "custodian1", 1).unwrap();
    let next = Ceremonies::new(office.store.clone());
    office.ceremonies.forget(at()).unwrap();
    assert!(office.ceremonies.view(&number).is_some(), "it is this process that holds it");
    next.forget(at()).unwrap();
    assert_eq!((office.row(&number).state, next.view(&number)), (CeremonyState::Aborted, None));
    let (who, what, outcome, _) = office.audit().pop().unwrap();
    assert_eq!((who.as_str(), what.as_str(), outcome), ("<ceremonies>", "ceremony/finish", Outcome::Refused));
    for _ in 0..CEREMONIES_LEN_MAX {
        next.begin(&act("keys1"), {
            NewCeremony {
                place: "Room 7".to_owned(),
                custodians: vec!["custodian1".to_owned(), "custodian2".to_owned()],
                purpose: Purpose::Rehearsal,
                key: SEED,
                algorithm: KeyAlgorithm::Tdes,
                roots: vec![],
            }
        })
        .unwrap();
    }
    let open = office.store.read(|tx| list(tx, Some(CeremonyState::Open), Paging::first(10))).unwrap();
    assert_eq!((open.rows.len(), open.rows[0].number.as_str()), (4, "C20261122-05"));
}

/// A protocol of the time before the centre had its pair is signed later, once.
#[test]
fn a_protocol_is_signed_later() {
    let mut office = Office::new();
    let signer = office.centre.signer.take().unwrap();
    let number = office.begin("keys1", &["custodian1", "custodian2"], Purpose::New { shares: None }).unwrap();
    office.give(&number, "custodian1", 1).unwrap();
    office.give(&number, "custodian2", 2).unwrap();
    office.finish(&number, "keys1").unwrap();
    assert!(!office.row(&number).signed);
    let other = office.ceremonies.sign(&act("custodian1"), &number, &*signer, &mut office.rng);
    assert!(matches!(other, Err(CeremoniesError::NotAllowed { .. })) && !office.row(&number).signed);
    office.ceremonies.sign(&act("keys2"), &number, &*signer, &mut office.rng).unwrap();
    let file = office.protocol(&number);
    assert!(office.row(&number).signed && ykt_vault::ceremony::Protocol::verify(&file).is_ok());
    office.ceremonies.sign(&act("keys2"), &number, &*signer, &mut office.rng).unwrap();
    assert_eq!(office.protocol(&number), file);
}

/// The memory of a blank card.
struct Chip(Vec<u8>);

impl ykt_card::Memory for Chip {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn read(&self, at: usize, out: &mut [u8]) {
        out.copy_from_slice(&self.0[at..at + out.len()]);
    }

    fn write(&mut self, at: usize, data: &[u8]) -> Result<(), MemoryFault> {
        self.0[at..at + data.len()].copy_from_slice(data);
        Ok(())
    }
}

/// A sheet's component goes onto a card and comes back with the custodian's PIN; the card counts wrong ones.
#[test]
fn a_component_goes_onto_a_card_and_comes_back() {
    let mut office = Office::new();
    let pair = ["custodian1", "custodian2"];
    let number = office.begin("keys1", &pair, Purpose::New { shares: None }).unwrap();
    for name in pair {
        office.ceremonies.draw(&act(name), &number, &mut office.rng).unwrap();
    }
    let pin = || Pin::from_digits("135790").unwrap();
    let transport = Key16::from_bytes(DEMO_TRANSPORT_KEY);
    let profile = Profile::named(cards::PROFILE).unwrap();
    let blank = || {
        let blank = Blank { kind: profile.kind, atr: &profile.atr, ..Blank::user_card([7; 8], &transport) };
        let card = Card::blank(Chip(vec![0; profile.memory_len]), &blank).unwrap();
        InProcess::new(card, Steps(9))
    };
    let mut written = Vec::new();
    for name in pair {
        let sheet = office.ceremonies.hand_out(&act(name), &number, &mut office.rng).unwrap();
        let mut card = blank();
        let with = (&mut office.rng as &mut dyn Rng, at().date);
        cards::write(&mut card, &transport, &sheet, pin(), with, &mut |_| {}).unwrap();
        written.push((sheet, card));
    }
    let made = office.finish(&number, "keys1").unwrap();
    let rehearsal = office.begin("keys2", &pair, Purpose::Rehearsal).unwrap();
    for (name, (sheet, card)) in pair.into_iter().zip(&mut written) {
        card.reset().unwrap();
        let wrong = cards::read(&mut *card, &Pin::from_digits("000000").unwrap()).err().unwrap();
        assert_eq!(wrong.to_string(), "wrong PIN, 2 tries left");
        let read = cards::read(&mut *card, &pin()).ok().unwrap();
        assert_eq!((read.label.number(), read.label.position), (number.as_str(), sheet.position()));
        assert_eq!(read.combined, made[0].kcv);
        assert!(read.component == *sheet.component());
        office.ceremonies.give(&act(name), &rehearsal, read.component, Way::Card).unwrap();
    }
    assert!(office.finish(&rehearsal, "keys2").is_ok());
    assert!(office.protocol(&rehearsal).contains("custodian1 gives a component, read from a card, KCV"));
    let (sheet, _) = &written[0];
    let other = Key16::from_bytes([1; 16]);
    let with = (&mut office.rng as &mut dyn Rng, at().date);
    let refused = cards::write(&mut blank(), &other, sheet, pin(), with, &mut |_| {}).unwrap_err();
    assert!(matches!(refused, cards::WriteError::Issue(_)), "another transport key");
    let mut nothing = blank();
    assert!(matches!(cards::read(&mut nothing, &pin()), Err(cards::ReadError::Card(_))));
}
