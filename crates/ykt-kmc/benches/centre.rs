//! The centre of a province: 5,000 keys in vault and registry, a campaign over a large city's cards, a PSAM batch of
//! 10,000, 500 key cards. How long does a person wait at the console for each of them?
//!
//! `YKT_BENCH_CARDS` sets the cards of the city, 200,000 when it is not set.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    reason = "a bench stops at the first surprise, and prints its table"
)]

#[path = "../tests/it/chips.rs"]
#[allow(dead_code, reason = "the bench needs part of the tests' desk")]
mod chips;
#[path = "../../ykt-store/benches/sheet/mod.rs"]
mod sheet;

use chips::{Chip, Counting, Ticking};
use sheet::{begin, often, once, part};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use ykt_base::{Asn8, DateTime, KeyIndex, KeyVersion, PsamSerial};
use ykt_issue::{CardData, Profile, personalise_card};
use ykt_kmc::campaigns::{self, CardChoice, CardListFilter, CardProgress, NewCampaign};
use ykt_kmc::key_cards::{self, InventoryError, KeyCardFilter, NewKeyCard};
use ykt_kmc::psams::{self, BatchFilter, Line, Made, NewBatch, PsamFilter, PsamState};
use ykt_kmc::{Centre, Operation, registry};
use ykt_office::Act;
use ykt_office::cards::{self, NewCard};
use ykt_office::people::{FirstPassword, HashCost, NewUser, Password, People, Role, SignInRules};
use ykt_office::requests::{RequestId, RequestState};
use ykt_purse::files::city_factor;
use ykt_purse::key_card::AllowedKinds;
use ykt_purse::write_key::Pin;
use ykt_store::{Paging, Store, StoreError, params};
use ykt_vault::pair::PairEvent;
use ykt_vault::{
    Hardness, KeyAlgorithm, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, Levels, Origin, Pair,
    SoftVault, Unlock, Vault,
};

/// Cities of the province, each with keys of its own below the nation's roots.
const CITIES: u8 = 31;
/// Indexes and versions of each key of a city.
const INDEXES: u8 = 2;
const VERSIONS: u8 = 3;
/// PSAMs of the batch, and how many of them the bench makes.
const PSAMS: u32 = 10_000;
const PSAMS_MADE: u32 = 20;
/// Key cards of the inventory.
const KEY_CARDS: u32 = 500;
/// Cards that are shown at the counter.
const VISITS: u32 = 20;
/// Rows of a page of the console.
const PAGE_ROWS: u32 = 50;
/// How often each question is asked.
const TIMES: u32 = 7;
/// The keys that the campaign changes.
const CHANGED: [KeyKind; 3] = [KeyKind::CardMaster, KeyKind::Load, KeyKind::Purchase];
const TRANSPORT: KeyRef = KeyRef::new(KeyKind::KeyTransport, 1, 1);

fn main() {
    let cards = sheet::size("YKT_BENCH_CARDS", 200_000);
    begin(&format!("A key management centre, and a city of {cards} cards"));
    let home = sheet::home();
    let modules = [&[ykt_office::MODULE], ykt_kmc::MODULES].concat();
    let store = Store::open(&home.path().join("data"), &modules).unwrap();
    people(&store);
    let centre = keys(&store, home.path());
    campaign(&centre, cards);
    batch(&store);
    inventory(&store);
    println!();
    println!("load average now {}", sheet::load());
}

fn at(minutes: i64) -> DateTime {
    let noon: DateTime = "20261122120000".parse().unwrap();
    noon.plus_seconds(minutes * 60).unwrap()
}

fn act(who: &str) -> Act {
    Act::of(who, "10.0.0.7", at(0))
}

fn people(store: &Store) {
    let rules = SignInRules { cost: HashCost::LEAST, ..SignInRules::default() };
    let people = People::new(store.clone(), rules, &mut Counting(1)).unwrap();
    for name in ["keys1", "keys2"] {
        let new = NewUser {
            name: name.to_owned(),
            full_name: name.to_owned(),
            role: Role::KeyAdministrator,
            staff_number: Some(name.parse().unwrap()),
            first_password: FirstPassword::MayStay,
        };
        people.add(&new, &Password::from("Linjiang-2026"), &mut Counting(2), &act("setup")).unwrap();
    }
}

/// A root of every kind, and below them each city's keys that stand on cards, in every index and version.
fn province() -> SoftVault {
    let levels = Levels::nation_city_card();
    let vault = SoftVault::generate(levels.clone(), &mut Counting(99), Origin::Demo);
    let make = |place: KeyPlace, seed: u64| {
        let algorithm = place.key.kind.algorithms()[0];
        vault.generate(place, algorithm, &mut Counting(seed)).unwrap();
    };
    if vault.list().unwrap().iter().all(|info| info.key != TRANSPORT) {
        make(KeyPlace::root(TRANSPORT), 7);
        vault.change_state(&KeyPlace::root(TRANSPORT), KeyState::Active).unwrap();
    }
    for kind in KeyKind::ALL.iter().filter(|kind| levels.deepest(**kind) == levels.card()) {
        for no in 0..CITIES * INDEXES * VERSIONS {
            let (city, index) = (no / INDEXES / VERSIONS + 1, no / VERSIONS % INDEXES + 1);
            let key = KeyRef::new(*kind, index, no % VERSIONS + 1);
            make(KeyPlace { key, level: 1, owner: Some(city_factor([0x21, city]).0) }, no.into());
        }
    }
    CHANGED.iter().for_each(|kind| make(later(*kind), 3));
    vault
}

/// The key that cards get for one they have.
fn later(kind: KeyKind) -> KeyPlace {
    KeyPlace::root(KeyRef::new(kind, 1, 2))
}

/// Asked for by one, approved by the other.
fn by_two(centre: &Centre, id: &str, operation: &Operation) {
    let id: RequestId = id.parse().unwrap();
    centre.ask(&act("keys1"), id.clone(), operation, "bench").unwrap();
    let request = centre.approve(&act("keys2"), &id, &mut Counting(4)).unwrap();
    assert_eq!(request.state, RequestState::Done, "{:?}", request.result);
}

fn keys(store: &Store, home: &Path) -> Centre {
    let unlock = Unlock::passphrase("correct horse battery staple");
    let sealed = province().to_sealed(&unlock, Hardness::TEST, &mut Counting(5)).unwrap();
    let file = home.join("vault.sealed");
    std::fs::write(&file, &sealed).unwrap();
    let vault = Arc::new(SoftVault::open(&file, &unlock).unwrap());
    let list = vault.list().unwrap();
    part(&format!("{} keys", list.len()));
    often("the sealed file opened, beside Argon2id", TIMES, || SoftVault::open(&file, &unlock).unwrap());
    let centre = Centre::new(store.clone(), vault.clone(), Some(chips::signer(&vault)));
    once("taken over into the registry", list.len() as u64, || centre.take_over(&act("setup")).unwrap());
    often("the centre resumes", TIMES, || centre.resume(at(1), &mut Counting(1)).unwrap());
    often("the vault lists them", TIMES, || vault.list().unwrap().len());
    often("the registry reads them", TIMES, || store.read(registry::records).unwrap().len());
    let tree = often("both side by side: the tree", TIMES, || centre.tree().unwrap());
    often("its branches", TIMES, || tree.branches().len());
    assert_eq!(often("its differences", TIMES, || tree.differences().count()), 0);
    let city = city_factor([0x21, 7]).0;
    let key = KeyRef::new(KeyKind::Purchase, 1, 2);
    let place = KeyPlace { key, level: 1, owner: Some(city) };
    often("one key: record and life", TIMES, || {
        store
            .read(|tx| Ok::<_, StoreError>((registry::record(tx, &place)?, registry::life(tx, &place)?)))
            .unwrap()
    });
    let activate = Operation::Activate(place);
    often("what activating one would do", TIMES, || centre.summary(&activate).unwrap());
    once("one made, by two people", 1, || {
        let place = KeyPlace { key: KeyRef::new(KeyKind::Purchase, 9, 1), ..place };
        by_two(&centre, "make", &Operation::Generate { place, algorithm: KeyAlgorithm::Tdes });
    });
    once("one activated, by two people", 1, || by_two(&centre, "use", &activate));
    let places: Vec<_> =
        list.iter().map(|info| info.place()).filter(|place| place.owner == Some(city)).collect();
    once("a city's keys exported, by two people", places.len() as u64, || {
        by_two(
            &centre,
            "export",
            &Operation::Export { party: "city 7".into(), transport: TRANSPORT, places },
        );
    });

    let twin = || -> Arc<dyn KeyManagement> { Arc::new(SoftVault::from_sealed(&sealed, &unlock).unwrap()) };
    let (primary, backup) = (twin(), twin());
    let pair = often("primary and backup come together", TIMES, || {
        Pair::new(Arc::clone(&primary), Arc::clone(&backup), Arc::new(|_: &PairEvent| {}))
    });
    assert_eq!(often("they are compared", TIMES, || pair.compare().unwrap().len()), 0);
    centre
}

fn asn(no: u64) -> Asn8 {
    Asn8((0x2144_0000_0000_0000 + no).to_be_bytes())
}

/// Card `no`: one in ten is of another city, one in four of another type.
fn new_card(no: u64) -> NewCard {
    NewCard {
        asn: asn(no),
        factor: city_factor([0x21, if no % 10 == 9 { 0x45 } else { 0x44 }]),
        main_type: if no % 4 == 3 { 2 } else { 1 },
        sub_type: 0,
        kind: cards::CardKind::Real,
        key_version: KeyVersion(1),
        start: chips::day("2026-01-01"),
        expiry: chips::day("2036-12-31"),
    }
}

fn planned(name: &str, cards: CardChoice) -> NewCampaign {
    NewCampaign {
        name: name.to_owned(),
        title: "Second generation".to_owned(),
        profile: campaigns::profile_text("city-cpu").unwrap().to_owned(),
        changes: CHANGED.iter().map(|kind| format!("{}.1:1-2", kind.name()).parse().unwrap()).collect(),
        cards,
    }
}

fn campaign(centre: &Centre, count: u64) {
    let store = &centre.store;
    part(&format!("Campaigns in a city of {count} cards"));
    once("cards registered, 10,000 a transaction", count, || {
        for first in (0..count).step_by(10_000) {
            let cards: Vec<NewCard> = (first..count.min(first + 10_000)).map(new_card).collect();
            store.write(|tx| cards::register(tx, &cards, &act("setup"))).unwrap();
        }
    });
    for (name, choice) in [
        ("all", CardChoice::All),
        ("city", CardChoice::City(city_factor([0x21, 0x45]))),
        ("type", CardChoice::Type(2)),
        ("listed", CardChoice::Listed((0..count.min(100_000)).map(asn).collect())),
    ] {
        once(&format!("planned: {name}"), 1, || {
            store.write(|tx| campaigns::plan(tx, &planned(name, choice), &act("keys1"))).unwrap();
        });
        let start = Operation::StartCampaign { campaign: name.to_owned() };
        often("  shown to who approves", TIMES, || centre.summary(&start).unwrap());
        once("  asked for and approved: it is open", 1, || by_two(centre, &format!("start-{name}"), &start));
        let counts = often("  status", TIMES, || store.read(|tx| campaigns::progress(tx, name)).unwrap());
        println!("{:<66} {:>10}", "  its cards", counts.all());
    }
    visits(centre, count);
    let of =
        |campaign: Option<&str>, progress| CardListFilter { campaign: campaign.map(str::to_owned), progress };
    for (name, filter, no) in [
        ("cards of all campaigns, first page", of(None, None), 1),
        ("of one, first page", of(Some("all"), None), 1),
        ("of one, last page", of(Some("all"), None), count / u64::from(PAGE_ROWS)),
        ("of one, waiting", of(Some("all"), Some(CardProgress::Waiting)), 1),
        ("of one, done", of(Some("all"), Some(CardProgress::Done)), 1),
        ("of one, stopped", of(Some("all"), Some(CardProgress::Stopped)), 1),
        ("of all, stopped", of(None, Some(CardProgress::Stopped)), 1),
    ] {
        let paging = Paging::new(u32::try_from(no).unwrap(), PAGE_ROWS);
        often(name, TIMES, || store.read(|tx| campaigns::card_list(tx, &filter, paging)).unwrap());
    }
    let old = Operation::Destroy(KeyPlace::root(KeyRef::new(KeyKind::Load, 1, 1)));
    often("what destroying an old key would do", TIMES, || centre.summary(&old).unwrap());
    once("ended", 1, || store.write(|tx| campaigns::end(tx, "all", &act("keys1"))).unwrap());
}

/// Cards are shown at the counter, after half of all were.
fn visits(centre: &Centre, count: u64) {
    let chip = |no: u32| {
        let mut chip = Chip::blank(&Profile::city_cpu(), no as u8);
        let (start, expiry) = (chips::day("2026-01-01"), chips::day("2036-12-31"));
        let pin = Pin::from_digits("123456").unwrap();
        let data = CardData::of_city(asn(no.into()), [0x21, 0x44], start, expiry, pin);
        personalise_card(&mut chip, &*centre.vault, &Profile::city_cpu(), &data, &mut |_| {}).unwrap();
        chip
    };
    let mut shown: Vec<Chip> = (0..VISITS).map(chip).collect();
    CHANGED.iter().for_each(|kind| centre.vault.change_state(&later(*kind), KeyState::Active).unwrap());
    let half = asn(count / 2);
    let as_if_done = |tx: &ykt_store::Tx<'_>| {
        tx.execute(
            "UPDATE kmc_campaign_card SET progress = $1, at = 20261122120000, counter = 'counter 3'
             WHERE campaign = 'all' AND asn >= $2",
            params![CardProgress::Done, &half],
        )?;
        CHANGED.iter().try_for_each(|kind| {
            tx.execute(
                "INSERT INTO kmc_card_key (asn, kind, idx, version, pending, spent, at, campaign)
                 SELECT asn, $1, 1, 2, NULL, 0, at, 'all' FROM kmc_campaign_card
                 WHERE campaign = 'all' AND asn >= $2",
                params![kind.code(), &half],
            )
            .map(drop)
        })
    };
    once("half of the cards done, as if at the counter", count / 2, || {
        centre.store.write::<_, StoreError>(as_if_done).unwrap();
    });
    let mut next = shown.iter_mut();
    often("a card is shown: three keys", VISITS, || {
        let done = centre.visit("all", next.next().unwrap(), "counter 3", &act("operator")).unwrap();
        assert_eq!(done.written.len(), 3);
    });
}

fn new_batch() -> NewBatch {
    NewBatch {
        id: "P-1".to_owned(),
        profile: campaigns::profile_text("psam").unwrap().to_owned(),
        count: PSAMS,
        first_serial: "00002144000000000001".parse().unwrap(),
        first_terminal: "214400000001".parse().unwrap(),
        issuer: chips::CITY,
        receiver: [0; 8],
        key_index: KeyIndex(1),
        start: chips::day("2026-01-01"),
        expiry: chips::day("2036-12-31"),
        label: "City purse".to_owned(),
        terminals: (0..PSAMS).map(|no| format!("{no:08}").parse().unwrap()).collect(),
    }
}

/// All PSAMs but the first and the last few are as if made, with the keys of the first.
fn as_if_made(tx: &ykt_store::Tx<'_>) -> Result<usize, StoreError> {
    let (first, last) = (PSAMS_MADE / 2, PSAMS - PSAMS_MADE);
    tx.execute(
        "UPDATE kmc_psam SET state = $1, ended_at = 20261122120000, who = 'operator'
         WHERE number > $2 AND number <= $3",
        params![PsamState::Produced, first, last],
    )?;
    tx.execute(
        "INSERT INTO kmc_psam_key (serial, number, stage, kind, key_usage, version, kcv)
         SELECT psam.serial, made.number, made.stage, made.kind, made.key_usage, made.version, made.kcv
         FROM kmc_psam AS psam, kmc_psam_key AS made
         WHERE psam.number > $1 AND psam.number <= $2
             AND made.serial = (SELECT serial FROM kmc_psam WHERE number = 1)",
        params![first, last],
    )
}

fn batch(store: &Store) {
    part(&format!("A batch of {PSAMS} PSAMs"));
    let (vault, clock, stop) = (chips::vault(), Ticking::new(), AtomicBool::new(false));
    let new = new_batch();
    let profile = Profile::parse(&new.profile).unwrap();
    once("opened", PSAMS.into(), || {
        store.write(|tx| psams::open(tx, &new, &profile, &act("operator"))).unwrap();
    });
    let line = || Line::open(store, &*vault, &clock, ("operator", "desk 7"), "P-1", &stop).unwrap();
    let line = often("taken up again at a desk", TIMES, line);
    let mut chips = (1..).map(|number| Chip::blank(&profile, number));
    let mut make = || {
        let made = line.make(&mut chips.next().unwrap(), &mut |_| {}).unwrap();
        assert!(matches!(made, Made::Produced(_)), "{made:?}");
    };
    often("a chip made, when most numbers wait", PSAMS_MADE / 2, &mut make);
    once("all but a few made, as if at the desk", PSAMS.into(), || store.write(as_if_made).unwrap());
    often("a chip made, when most are produced", PSAMS_MADE / 2, &mut make);
    let of = |state| PsamFilter { batch: Some("P-1".to_owned()), state, number: None };
    let numbered = PsamFilter { number: Some("21440000987".to_owned()), ..PsamFilter::default() };
    let first = Paging::first(PAGE_ROWS);
    for (name, filter, paging) in [
        ("PSAMs of all batches", PsamFilter::default(), first),
        ("of one, first page", of(None), first),
        ("of one, last page", of(None), Paging::new(PSAMS / PAGE_ROWS, PAGE_ROWS)),
        ("of one, waiting", of(Some(PsamState::Waiting)), first),
        ("of one, stopped", of(Some(PsamState::Stopped)), first),
        ("of all, by part of a number", numbered, first),
    ] {
        often(name, TIMES, || store.read(|tx| psams::list(tx, &filter, paging)).unwrap());
    }
    let all = BatchFilter::default();
    often("the list of batches", TIMES, || store.read(|tx| psams::batches(tx, &all, first)).unwrap());
    often("the batch", TIMES, || store.read(|tx| psams::batch(tx, "P-1")).unwrap());
    often("its PSAMs in work", TIMES, || store.read(|tx| psams::unfinished(tx, "P-1")).unwrap());
    often("its protocol, unsigned", TIMES, || {
        store.read(|tx| psams::protocol(tx, "P-1", &act("operator"))).unwrap()
    });
    often("its labels", TIMES, || psams::labels_csv(&store.read(|tx| psams::labels(tx, "P-1")).unwrap()));
}

fn inventory(store: &Store) {
    part(&format!("{KEY_CARDS} key cards"));
    let text = campaigns::profile_text("key-card").unwrap();
    let profile = Profile::parse(text).unwrap();
    let serial =
        |no: u32| -> PsamSerial { format!("{:020}", 21_440_000_001_000 + u64::from(no)).parse().unwrap() };
    once("taken into the inventory, one a transaction", KEY_CARDS.into(), || {
        for no in 0..KEY_CARDS {
            let new = NewKeyCard {
                serial: serial(no),
                batch: format!("M-{}", no / 50),
                label: format!("Counter {no}"),
                profile: text.to_owned(),
                transport: None,
                cities: vec![chips::CITY],
                kinds: AllowedKinds(0x0F),
                cards: 500,
            };
            store.write(|tx| key_cards::register(tx, &new, &profile, &act("operator"))).unwrap();
        }
    });
    for text in [None, Some("Counter 317")] {
        let filter = KeyCardFilter { text: text.map(str::to_owned), ..KeyCardFilter::default() };
        often(text.unwrap_or("a page of them"), TIMES, || {
            store.read(|tx| key_cards::list(tx, &filter, Paging::first(PAGE_ROWS))).unwrap()
        });
    }
    often("one with its history", TIMES, || {
        let one = |tx: &ykt_store::Tx<'_>| {
            Ok::<_, InventoryError>((
                key_cards::key_card(tx, &serial(77))?,
                key_cards::history(tx, &serial(77))?,
            ))
        };
        store.read(one).unwrap()
    });
}
