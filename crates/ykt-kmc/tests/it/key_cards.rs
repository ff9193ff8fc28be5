//! A key card from the blank chip to the block, and a user card that gets its keys from it.

use crate::chips::{CITY, Chip, Fault, act, day, store, told, vault};
use std::sync::Arc;
use ykt_base::{Asn8, CardChannel, IssuerFactor, KeyVersion, PsamSerial, StatusWord};
use ykt_card::CardKind;
use ykt_issue::profile::{Action, SHIPPED};
use ykt_issue::{CardData, Profile};
use ykt_kmc::key_cards::{
    self, Change, Desk, DeskError, Difference, InventoryError, IssueByKeyCard, KeyCardEvent, KeyCardFilter,
    KeyCardState, Load, NewKeyCard, issue,
};
use ykt_purse::create::Access;
use ykt_purse::key_card::{AllowedKinds, IssueKind};
use ykt_purse::write_key::{KeyUsage, Pin};
use ykt_store::{Paging, Store};
use ykt_terminal::card::PinError;
use ykt_terminal::key_card::{KeyCard, KeyCardError};
use ykt_vault::{KeyAlgorithm, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, SoftVault, VaultError};

const SERIAL: PsamSerial = PsamSerial([0, 0, 0x21, 0x44, 0, 0, 0, 0, 0, 3]);

fn profile() -> Profile {
    Profile::named("key-card").unwrap()
}

fn pin(digits: &str) -> Pin {
    Pin::from_digits(digits).unwrap()
}

fn new() -> NewKeyCard {
    NewKeyCard {
        serial: SERIAL,
        batch: "M-1".to_owned(),
        label: "Counter 4".to_owned(),
        profile: SHIPPED.iter().find(|(name, _)| *name == "key-card").unwrap().1.to_owned(),
        transport: None,
        cities: vec![CITY],
        kinds: profile().issue_kinds(),
        cards: 2,
    }
}

struct Centre {
    store: Store,
    vault: Arc<SoftVault>,
}

impl Centre {
    fn with(new: &NewKeyCard) -> Centre {
        let centre = Centre { store: store(), vault: vault() };
        centre.store.write(|tx| key_cards::register(tx, new, &profile(), &act())).unwrap();
        centre
    }

    fn desk(&self) -> Desk<'_> {
        Desk { store: &self.store, vault: &*self.vault, act: act() }
    }

    /// A key card that is loaded.
    fn loaded(&self) -> Chip {
        let mut chip = Chip::blank(&profile(), 3);
        self.desk().initialise(&mut chip, &SERIAL, &pin("123456"), &mut |_| {}).unwrap();
        self.desk().load(&mut chip, &[], &mut |_| {}).unwrap();
        chip
    }

    fn state(&self) -> KeyCardState {
        self.store.read(|tx| key_cards::key_card(tx, &SERIAL)).unwrap().state
    }

    fn issue(&self, chip: &mut Chip, profile: &Profile, last: u8) -> Result<u32, IssueByKeyCard> {
        let chip_number = key_cards::chip_of(&mut *chip).unwrap();
        let mut key_card = KeyCard::open(&mut *chip).unwrap();
        key_card.verify(&pin("123456")).unwrap();
        let mut user = Chip::made(profile, last, ykt_vault::DEMO_TRANSPORT_KEY, |blank| {
            blank.mf_create = Access::ALWAYS;
        });
        let outcome = issue(&mut key_card, &mut user, profile, &data(last), &mut |_| {});
        key_cards::record_issue(&self.store, chip_number, &data(last), &outcome, &act()).unwrap();
        outcome
    }
}

fn data(last: u8) -> CardData {
    let asn = Asn8([0x21, 0x44, 0, 0, 0, 0, 0, last]);
    CardData::of_city(asn, [0x21, 0x44], day("2026-01-01"), day("2036-12-31"), pin("123456"))
}

/// The keys of a city card and nothing else: what a key card can write by itself.
fn keys_only() -> Profile {
    let mut profile = Profile::city_cpu();
    profile.steps.retain(|step| match &step.action {
        Action::WriteKey(new) => new.key.kind != KeyKind::InternalAuthentication,
        Action::Create(_) | Action::CreateApplication(_) | Action::Select { .. } => true,
        _ => false,
    });
    for step in &mut profile.steps {
        if let Action::CreateApplication(application) = &mut step.action {
            application.create = Access::ALWAYS;
        }
    }
    profile
}

#[test]
fn a_key_card_lives_its_whole_life_and_the_inventory_knows() {
    let centre = Centre::with(&new());
    let mut chip = Chip::blank(&profile(), 3);
    let row = centre.desk().initialise(&mut chip, &SERIAL, &pin("123456"), &mut |_| {}).unwrap();
    assert_eq!((row.state, row.left, row.issued()), (KeyCardState::Initialised, 2, 0));
    let report = centre.desk().query(&mut chip).unwrap();
    assert_eq!(
        (report.facts.keys.len(), report.differences),
        (3, Vec::new()),
        "its own keys, as the vault's"
    );

    centre.desk().load(&mut chip, &[], &mut |_| {}).unwrap();
    let report = centre.desk().query(&mut chip).unwrap();
    assert_eq!((report.row.state, report.facts.keys.len()), (KeyCardState::Loaded, 14));
    assert_eq!(report.differences, []);
    centre.store.write(|tx| key_cards::give(tx, &SERIAL, "counter 4", &act())).unwrap();

    assert_eq!(centre.issue(&mut chip, &keys_only(), 1).unwrap(), 1);
    assert_eq!(centre.issue(&mut chip, &keys_only(), 2).unwrap(), 0);
    for refused in 1..=2 {
        let none = centre.issue(&mut chip, &keys_only(), 3).unwrap_err();
        assert!(matches!(none, IssueByKeyCard::Refused(KeyCardError::NoneLeft)), "{none}");
        let row = centre.store.read(|tx| key_cards::key_card(tx, &SERIAL)).unwrap();
        assert_eq!((row.state, row.refused, row.issued()), (KeyCardState::UsedUp, refused, 2));
    }

    let more = Change { cards: Some(5), ..Change::default() };
    let row = centre.desk().attributes(&mut chip, &more).unwrap();
    assert_eq!((row.state, row.left, row.issued(), row.granted), (KeyCardState::Returned, 5, 2, 7));
    assert_eq!(centre.issue(&mut chip, &keys_only(), 4).unwrap(), 4);
    centre.desk().block(&mut chip).unwrap();
    let blocked = centre.desk().query(&mut chip).unwrap_err().to_string();
    assert!(blocked.contains("is blocked: expected one that is not blocked"), "{blocked}");
    chip.reset().unwrap();
    assert!(KeyCard::open(&mut chip).is_err(), "the card itself refuses, too");

    let events: Vec<KeyCardEvent> = centre
        .store
        .read(|tx| key_cards::history(tx, &SERIAL))
        .unwrap()
        .into_iter()
        .map(|row| row.event)
        .collect();
    use KeyCardEvent as E;
    let life = [
        E::Registered,
        E::Initialised,
        E::Queried,
        E::Loaded,
        E::Queried,
        E::Given,
        E::Issued,
        E::Issued,
        E::Refused,
        E::Refused,
        E::Attributes,
        E::Issued,
        E::Blocked,
    ];
    assert_eq!(events, life);
    let refusals = told(&centre.store).into_iter().filter(|(what, _)| what == "key-card/refused").count();
    assert_eq!(refusals, 2);
}

#[test]
fn attributes_limit_kinds_and_cities_and_leave_nothing_of_a_longer_list() {
    let abroad = IssuerFactor([0x31, 0, 0xFF, 0, 0, 0, 0, 0]);
    let centre = Centre::with(&NewKeyCard { cities: vec![abroad, CITY], ..new() });
    let mut chip = centre.loaded();
    assert!(centre.issue(&mut chip, &keys_only(), 1).is_ok());
    let only_abroad = Change { cities: Some(vec![abroad]), ..Change::default() };
    centre.desk().attributes(&mut chip, &only_abroad).unwrap();
    let city = centre.issue(&mut chip, &keys_only(), 2).unwrap_err().to_string();
    assert!(city.contains("the city 2144FF0000000000 is not allowed"), "{city}");
    let kinds = AllowedKinds::of(&[IssueKind::CardMaster, IssueKind::Application(KeyUsage::Load)]);
    let row = centre
        .desk()
        .attributes(&mut chip, &Change { kinds: Some(kinds), cities: Some(vec![CITY]), ..Change::default() });
    assert_eq!((row.unwrap().new.kinds, centre.desk().query(&mut chip).unwrap().facts.kinds), (kinds, kinds));
    let kind = centre.issue(&mut chip, &keys_only(), 2).unwrap_err();
    assert!(ykt_kmc_error(&kind).contains("the key of kind 22 is not allowed"), "{}", ykt_kmc_error(&kind));
    let too_many = Change { cities: Some(vec![CITY; 17]), ..Change::default() };
    let refused = centre.desk().attributes(&mut chip, &too_many).unwrap_err().to_string();
    assert!(refused.contains("number of cities must be 1 to 16, found 17"), "{refused}");
}

/// An error with all its causes.
fn ykt_kmc_error(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[test]
fn keys_are_updated_by_kind_and_version_and_differences_are_listed() {
    let centre = Centre::with(&new());
    let mut chip = Chip::blank(&profile(), 3);
    centre.desk().initialise(&mut chip, &SERIAL, &pin("123456"), &mut |_| {}).unwrap();
    let load = |kind, version: u8| Load { kind, version: Some(KeyVersion(version)) };
    centre.desk().load(&mut chip, &[load(KeyKind::Purchase, 1)], &mut |_| {}).unwrap();
    let report = centre.desk().query(&mut chip).unwrap();
    assert_eq!(report.differences.len(), 10, "ten of eleven are missing: {:?}", report.differences);

    let second = KeyRef::new(KeyKind::Purchase, 1, 2);
    let missing = centre.desk().load(&mut chip, &[load(KeyKind::Purchase, 2)], &mut |_| {}).unwrap_err();
    assert!(ykt_kmc_error(&missing).contains("version 2"), "{}", ykt_kmc_error(&missing));
    centre
        .vault
        .generate(KeyPlace::root(second), KeyAlgorithm::Tdes, &mut crate::chips::Counting(5))
        .unwrap();
    centre.vault.change_state(&KeyPlace::root(second), KeyState::Active).unwrap();
    centre.desk().load(&mut chip, &[load(KeyKind::Purchase, 2)], &mut |_| {}).unwrap();
    // The same again replaces itself.
    centre.desk().load(&mut chip, &[load(KeyKind::Purchase, 2)], &mut |_| {}).unwrap();
    let report = centre.desk().query(&mut chip).unwrap();
    let versions: Vec<u8> =
        report.facts.keys.iter().filter(|key| key.usage == 0xBE).map(|key| key.version.0).collect();
    assert_eq!(versions, [1, 2]);
    assert!(!report.differences.iter().any(|difference| matches!(difference, Difference::OtherKey { .. })));

    // Another vault with other keys sees that these are not its own.
    let other = SoftVault::generate(
        ykt_vault::Levels::nation_city_card(),
        &mut crate::chips::Counting(7),
        ykt_vault::Origin::Demo,
    );
    let foreign = Desk { vault: &other, ..centre.desk() }.query(&mut chip).unwrap();
    let others =
        foreign.differences.iter().filter(|found| matches!(found, Difference::OtherKey { .. })).count();
    assert_eq!(others, 4, "three of its own and the first purchase key: {:?}", foreign.differences);
    assert!(foreign.differences[0].to_string().contains("KCV on the card"));

    let unknown = centre.desk().load(&mut chip, &[load(KeyKind::Unload, 1)], &mut |_| {}).unwrap_err();
    assert!(
        unknown.to_string().contains("carries no unload key: expected one of card-transport, card-master")
    );
}

#[test]
fn passwords_are_set_changed_and_unblocked() {
    let centre = Centre::with(&new());
    let mut chip = centre.loaded();
    let verify = |chip: &mut Chip, digits: &str| KeyCard::open(&mut *chip).unwrap().verify(&pin(digits));
    centre.desk().set_pin(&mut chip, &pin("2468")).unwrap();
    verify(&mut chip, "2468").unwrap();
    KeyCard::open(&mut chip).unwrap().change_pin(pin("2468"), pin("975310")).unwrap();
    let wrong = KeyCard::open(&mut chip).unwrap().change_pin(pin("1111"), pin("2222"));
    assert!(matches!(wrong, Err(PinError::Wrong { left: 2 })));
    for _ in 0..2 {
        assert!(verify(&mut chip, "1111").is_err());
    }
    assert!(matches!(verify(&mut chip, "975310"), Err(PinError::Blocked)));
    centre.desk().unblock_pin(&mut chip, &pin("1357")).unwrap();
    verify(&mut chip, "1357").unwrap();
}

#[test]
fn what_does_not_fit_is_refused_before_the_card_is_touched() {
    let centre = Centre::with(&new());
    let fresh = || Chip::blank(&profile(), 3);
    let mut psam = Chip::blank(&Profile::psam(), 9);
    let other = centre.desk().initialise(&mut psam, &SERIAL, &pin("123456"), &mut |_| {}).unwrap_err();
    assert!(other.to_string().contains("expected a blank key card, found kind 01"), "{other}");
    let unknown = centre.desk().query(&mut fresh()).unwrap_err().to_string();
    assert!(unknown.contains("expected a key card of this inventory, found chip C000"), "{unknown}");
    let nobody = PsamSerial([9; 10]);
    let unknown = centre.desk().initialise(&mut fresh(), &nobody, &pin("123456"), &mut |_| {}).unwrap_err();
    assert!(matches!(unknown, DeskError::Inventory(InventoryError::Unknown { .. })));
    let given = centre.store.write(|tx| key_cards::give(tx, &SERIAL, "x", &act())).unwrap_err();
    assert!(given.to_string().contains("is blank: expected one that is loaded"), "{given}");
    let mut loaded = centre.loaded();
    let again = centre.desk().initialise(&mut loaded, &SERIAL, &pin("123456"), &mut |_| {}).unwrap_err();
    assert!(again.to_string().contains("is loaded: expected one that is blank"), "{again}");
    let beyond = centre.issue(&mut loaded, &Profile::city_cpu(), 1).unwrap_err();
    assert!(matches!(&beyond, IssueByKeyCard::Profile { title, .. } if title.contains("prove")), "{beyond}");
    let page = centre.store.read(|tx| {
        key_cards::list(tx, &KeyCardFilter { text: Some("counter".into()), state: None }, Paging::default())
    });
    assert_eq!(page.unwrap().rows.len(), 1);
    assert_eq!(profile().kind, CardKind::KeyCard);
}

/// Interrupted at any command, an initialisation begins anew with another chip; keys and attributes are done again on
/// the same one.
#[test]
fn an_interrupted_act_is_done_again() {
    for at in [2, 6, 12, 16] {
        let centre = Centre::with(&new());
        let mut cut = Chip::blank(&profile(), 3);
        cut.fault = Some((at, Fault::After));
        assert!(centre.desk().initialise(&mut cut, &SERIAL, &pin("123456"), &mut |_| {}).is_err());
        assert_eq!(centre.state(), KeyCardState::BeingMade);
        let mut chip = Chip::blank(&profile(), 4);
        centre.desk().initialise(&mut chip, &SERIAL, &pin("123456"), &mut |_| {}).unwrap();
        chip.mend();
        chip.fault = Some((at, Fault::After));
        assert!(centre.desk().load(&mut chip, &[], &mut |_| {}).is_err(), "{at}");
        chip.mend();
        centre.desk().load(&mut chip, &[], &mut |_| {}).unwrap();
        assert_eq!(centre.desk().query(&mut chip).unwrap().differences, []);
    }
    let centre = Centre::with(&new());
    let mut wrong = Chip::blank(&profile(), 3);
    wrong.fault = Some((5, Fault::Says(0x6988)));
    let error = centre.desk().initialise(&mut wrong, &SERIAL, &pin("123456"), &mut |_| {}).unwrap_err();
    assert!(ykt_kmc_error(&error).contains("found 6988"), "{}", ykt_kmc_error(&error));
    assert_eq!(StatusWord(0x6988).to_string().get(..4), Some("6988"));
}

/// Chips of a batch with a key of their own, in place of the common one.
#[test]
fn a_batch_may_have_its_own_initial_key() {
    let of_batch = KeyRef::new(KeyKind::KeyCardTransport, 7, 1);
    let centre = Centre::with(&NewKeyCard { transport: Some(of_batch), ..new() });
    let mut chip = Chip::made(&profile(), 3, [0x77; 16], |_| {});
    let missing = centre.desk().initialise(&mut chip, &SERIAL, &pin("123456"), &mut |_| {}).unwrap_err();
    assert!(
        ykt_kmc_error(&missing).contains("key-card-transport key, index 7"),
        "{}",
        ykt_kmc_error(&missing)
    );
    let value = ykt_vault::KeyValue::Tdes(ykt_crypto::Key16::from_bytes([0x77; 16]));
    let place = KeyPlace::root(of_batch);
    let key = ykt_vault::ImportedKey { place, state: KeyState::Active, value, kcv: None };
    let imported: Result<_, VaultError> = centre.vault.import(key);
    imported.unwrap();
    let mut chip = Chip::made(&profile(), 4, [0x77; 16], |_| {});
    centre.desk().initialise(&mut chip, &SERIAL, &pin("123456"), &mut |_| {}).unwrap();
    assert_eq!(centre.state(), KeyCardState::Initialised);
}
