//! The whole story of a city's keys, in production: three custodians' components become roots, two people take them into
//! use, a key card is loaded, PSAMs are produced through pcscd, a user card gets its keys by download, is loaded and
//! pays; and the audit log tells it in order.

use crate::pcsc_desk::{Desk, run};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use ykt_base::{Asn8, Clock, Date, DateTime, Fen, KeyIndex, PsamSerial, TerminalId};
use ykt_card::{Blank, Card};
use ykt_crypto::Key16;
use ykt_issue::{CardData, Personalisation, Profile, Stage, Subject};
use ykt_kmc::ceremonies::NewCeremony;
use ykt_kmc::download::{
    Caller, CommandCall, Download, Ending as Made, LineKind, NewLine, NewRight, OpenCall, RightTo, Wanted,
    fingerprint,
};
use ykt_kmc::key_cards::{self, Desk as KeyCardDesk, KeyCardState, NewKeyCard};
use ykt_kmc::{Centre, MODULES, Operation, psams};
use ykt_office::Act;
use ykt_office::audit::{self, AuditFilter};
use ykt_office::people::{FirstPassword, HashCost, NewUser, Password, People, Role, SignInRules};
use ykt_office::requests::RequestState;
use ykt_purse::Purse;
use ykt_purse::files::city_factor;
use ykt_purse::purchase::{Purchase, PurchaseKind};
use ykt_purse::write_key::Pin;
use ykt_store::{Module, Paging, Store};
use ykt_terminal::host::engineer::EngineerHost;
use ykt_terminal::load::{LoadOutcome, LoadRequest, LoadTerminal};
use ykt_terminal::pos::{Outcome, Pos, PosConfig};
use ykt_terminal::record::{Ending, Record};
use ykt_terminal::store::MemoryStore;
use ykt_terminal::transport::image::FileMemory;
use ykt_terminal::transport::in_process::{InProcess, SystemRng};
use ykt_vault::ceremony::{Component, Purpose, Way};
use ykt_vault::{
    CardKeyRef, DEMO_TRANSPORT_KEY, Hardness, ImportedKey, KeyAlgorithm, KeyKind, KeyManagement, KeyPlace,
    KeyRef, KeyState, KeyValue, Levels, Origin, Receipt, Scheme, SoftVault, TacJob, TacVerdict, Unlock,
    Vault,
};

const CITY: [u8; 2] = [0x21, 0x44];
const PASSWORD: &str = "Xinjie-kou-1985";
const PASSPHRASE: &str = "seven horses under one roof";
const SIGNING: KeyRef = KeyRef::new(KeyKind::Signing, 1, 1);
const CARD: Asn8 = Asn8([0x21, 0x44, 0, 0, 0, 0, 0, 0x31]);
const KEY_CARD: PsamSerial = PsamSerial([0, 0, 0x21, 0x44, 0, 0, 0, 0, 0, 0x03]);

type ImageCard = InProcess<FileMemory, SystemRng>;

/// The moment of what is done in this process; the command line has its own clock.
fn now() -> DateTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    DateTime::from_second_number(i64::try_from(since.as_secs()).unwrap() + 8 * 3_600).unwrap()
}

fn act(who: &str) -> Act {
    Act::of(who, "key room", now())
}

struct Now;

impl Clock for Now {
    fn now(&self) -> DateTime {
        now()
    }
}

fn modules() -> Vec<Module> {
    ykt_city::city::MODULES.to_vec()
}

/// A centre over the sealed file and the database of a folder.
fn centre(folder: &Path) -> (Centre, Arc<SoftVault>) {
    let vault = SoftVault::open(&folder.join("vault.sealed"), &Unlock::passphrase(PASSPHRASE)).unwrap();
    let vault = Arc::new(vault);
    let store = Store::open(&folder.join("data"), &modules()).unwrap();
    let signer = vault.signer(SIGNING).ok();
    (Centre::new(store, vault.clone(), signer), vault)
}

fn people(store: &Store) {
    let rules = SignInRules { cost: HashCost::LEAST, ..SignInRules::default() };
    let people = People::new(store.clone(), rules, &mut SystemRng).unwrap();
    for (name, role) in [
        ("zhang", Role::Custodian),
        ("wang", Role::Custodian),
        ("li", Role::Custodian),
        ("keys1", Role::KeyAdministrator),
        ("keys2", Role::KeyAdministrator),
        ("operator", Role::Operator),
    ] {
        let (name, full_name) = (name.to_owned(), name.to_owned());
        let staff_number = Some(name.parse().unwrap());
        let new = NewUser { name, full_name, role, staff_number, first_password: FirstPassword::MayStay };
        people.add(&new, &Password::from(PASSWORD), &mut SystemRng, &act("setup")).unwrap();
    }
}

/// Every root a city needs but the transport keys of blanks, which their makers deliver.
fn roots() -> Vec<KeyRef> {
    let of_cards = |kind: &&KeyKind| kind.scheme() != Scheme::Pair && !kind.is_of_blanks();
    let kinds = KeyKind::ALL.iter().filter(of_cards);
    let kinds = kinds.filter(|kind| !matches!(kind, KeyKind::Seed | KeyKind::KeyTransport));
    kinds.map(|kind| KeyRef::new(*kind, 1, 1)).collect()
}

/// Asked by one key administrator, approved by the other.
fn by_two(centre: &Centre, number: &mut u32, operation: &Operation) {
    *number += 1;
    let id = format!("r{number}").parse().unwrap();
    centre.ask(&act("keys1"), id, operation, "first keys of the city").unwrap();
    let id = format!("r{number}").parse().unwrap();
    let own = centre.approve(&act("keys1"), &id, &mut SystemRng).unwrap_err();
    assert!(own.to_string().contains("second person"), "{own}");
    let done = centre.approve(&act("keys2"), &id, &mut SystemRng).unwrap();
    assert_eq!(done.state, RequestState::Done, "{:?}", done.result);
}

/// Ceremony, activation by two, transport keys of the makers, signing pair.
fn hold_the_ceremony(folder: &Path) {
    let empty = SoftVault::empty(Levels::nation_city_card(), Origin::Production);
    let unlock = Unlock::passphrase(PASSPHRASE);
    empty.seal(&folder.join("vault.sealed"), &unlock, Hardness::TEST, &mut SystemRng).unwrap();
    let (centre, vault) = centre(folder);
    people(&centre.store);

    let seed = KeyRef::new(KeyKind::Seed, 1, 1);
    let new = NewCeremony {
        place: "key room".to_owned(),
        custodians: ["zhang", "wang", "li"].map(str::to_owned).to_vec(),
        purpose: Purpose::New { shares: None },
        key: seed,
        algorithm: KeyAlgorithm::Tdes,
        roots: roots(),
    };
    let number = centre.ceremonies.begin(&act("keys1"), new).unwrap();
    centre.ceremonies.draw(&act("zhang"), &number, &mut SystemRng).unwrap();
    for who in ["wang", "li"] {
        let component = Component::draw(KeyAlgorithm::Tdes, &mut SystemRng).unwrap();
        centre.ceremonies.give(&act(who), &number, component, Way::Typed).unwrap();
    }
    for who in ["zhang", "wang", "li"] {
        if centre.ceremonies.view(&number).unwrap().sheets_wait.iter().any(|name| name == who) {
            centre.ceremonies.hand_out(&act(who), &number, &mut SystemRng).unwrap();
        }
    }
    let keys = centre.ceremonies.finish(&act("keys1"), &number, &centre, &mut SystemRng).unwrap();
    assert!(keys.len() >= roots().len(), "{}", keys.len());

    let mut requests = 0;
    for key in roots() {
        by_two(&centre, &mut requests, &Operation::Activate(KeyPlace::root(key)));
    }
    let place = KeyPlace::root(SIGNING);
    by_two(&centre, &mut requests, &Operation::Generate { place, algorithm: KeyAlgorithm::Sm2 });
    by_two(&centre, &mut requests, &Operation::Activate(place));
    for kind in KeyKind::ALL.iter().filter(|kind| kind.is_of_blanks()) {
        let value = KeyValue::Tdes(Key16::from_bytes(DEMO_TRANSPORT_KEY));
        let kcv = Some(value.kcv());
        let place = KeyPlace::root(KeyRef::new(*kind, 1, 1));
        vault.import(ImportedKey { place, state: KeyState::Active, value, kcv }).unwrap();
    }
    assert_eq!(vault.status().origin, Origin::Production);
}

fn load_a_key_card(folder: &Path) {
    let (centre, vault) = centre(folder);
    let profile = Profile::named("key-card").unwrap();
    let text = ykt_issue::profile::SHIPPED.iter().find(|(name, _)| *name == "key-card").unwrap().1;
    let new = NewKeyCard {
        serial: KEY_CARD,
        batch: "M-1".to_owned(),
        label: "Counter 4".to_owned(),
        profile: text.to_owned(),
        transport: None,
        cities: vec![city_factor(CITY)],
        kinds: profile.issue_kinds(),
        cards: 100,
    };
    let mut chip = blank(&folder.join("key-card.img"), &profile, 3);
    centre.store.write(|tx| key_cards::register(tx, &new, &profile, &act("operator"))).unwrap();
    let desk = KeyCardDesk { store: &centre.store, vault: &*vault, act: act("operator") };
    let pin = Pin::from_digits("246810").unwrap();
    desk.initialise(&mut chip, &KEY_CARD, &pin, &mut |_| {}).unwrap();
    desk.load(&mut chip, &[], &mut |_| {}).unwrap();
    let report = desk.query(&mut chip).unwrap();
    assert_eq!((report.row.state, report.differences), (KeyCardState::Loaded, Vec::new()));
}

fn blank(path: &Path, profile: &Profile, number: u8) -> ImageCard {
    let memory = FileMemory::create(path, profile.memory_len).unwrap();
    let transport = Key16::from_bytes(DEMO_TRANSPORT_KEY);
    let kind = profile.kind;
    let serial = [0xC0, 0, 0, 0, 0, 0, 0, number];
    let blank = Blank { kind, atr: &profile.atr, ..Blank::user_card(serial, &transport) };
    InProcess::new(Card::blank(memory, &blank).unwrap(), SystemRng)
}

/// A batch of two through the two slots of a virtual reader, by the command line.
fn produce_psams(desk: &Desk, folder: &Path) {
    let config = folder.join("ykt.toml");
    let passphrase = folder.join("passphrase");
    std::fs::write(&passphrase, format!("{PASSPHRASE}\n")).unwrap();
    let text = format!(
        "environment = \"production\"\ndata = {:?}\n[vault]\nfile = {:?}\npassphrase_file = {passphrase:?}\n",
        folder.join("data"),
        folder.join("vault.sealed"),
    );
    std::fs::write(&config, text).unwrap();
    let mut produce = desk.ykt();
    produce.args(["psam", "produce", "--as", "operator", "--batch", "P-1", "--count", "2", "--config"]);
    produce.arg(&config).args(["--serial", "00002144000000000101", "--terminal", "214400000101"]);
    produce.args(["--label", "City purse", "--slot", "0", "1"]);
    let mut produce =
        produce.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    writeln!(produce.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    let said = produce.wait_with_output().unwrap();
    let (out, error) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{out}{error}");
    for line in
        ["0: PSAM 00002144000000000101 with terminal id 214400000101 is produced", "2 produced, 0 stopped"]
    {
        assert!(out.contains(line), "expected `{line}` in\n{out}{error}");
    }
    let protocol = folder.join("protocol.txt");
    let mut batches = desk.ykt();
    batches.args(["psam", "batches", "P-1", "--config"]).arg(&config).arg("--protocol").arg(&protocol);
    assert!(run(&mut batches).contains("(signed)"));
}

/// A user card's keys, downloaded by a line that has no key.
fn download_a_card(folder: &Path) {
    let (centre, _) = centre(folder);
    let profile = Profile::city_cpu();
    let download = Download::new(centre.store.clone(), centre.vault.clone(), [profile.clone()]);
    let line = || "line-1".to_owned();
    let (from, until) = (now().date, now().date);
    let certificate = fingerprint(b"certificate of line 1");
    download
        .add_line(&NewLine { name: line(), kind: LineKind::Personalisation, certificate }, &act("operator"))
        .unwrap();
    let right = NewRight { line: line(), to: RightTo::cards(&profile.name, None), quota: 1, from, until };
    download.give_right(&right, &act("operator")).unwrap();
    download
        .load_batch("C-1", &profile.name, &format!("card,city\n{CARD},2144\n"), &act("operator"))
        .unwrap();
    let caller = Caller { line: line(), from: "192.0.2.7".to_owned(), at: now() };
    let call = OpenCall {
        operation: "op-1".to_owned(),
        application: profile.name.clone(),
        batch: Some("C-1".to_owned()),
        cards: Wanted::Next(1),
    };
    let opened = download.open(&call, &caller).unwrap();
    let card = opened.open.first().unwrap();
    assert!(matches!(card.subject(), Subject::Card { asn, .. } if *asn == CARD));

    let data = card_data();
    let mut chip = blank(&folder.join("card.img"), &profile, 9);
    let mut steps = Personalisation::card(&profile, &data);
    let mut stage = steps.begin(&mut chip, &mut |_| {}).unwrap();
    while stage == Stage::Asks {
        let call = CommandCall { card: card.id(), request: steps.request().unwrap() };
        let command = download.commands(&[call], &caller).unwrap().remove(0).unwrap();
        stage = steps.go_on(&mut chip, &command, &mut |_| {}).unwrap();
    }
    download.finish(&[(card.id(), Made::Made)], &caller).unwrap().remove(0).unwrap();
}

fn card_data() -> CardData {
    let until: Date = "2036-12-31".parse().unwrap();
    CardData::of_city(CARD, CITY, now().date, until, Pin::from_digits("123456").unwrap())
}

fn image(path: &Path) -> ImageCard {
    InProcess::new(Card::power_on(FileMemory::open(path).unwrap()).unwrap(), SystemRng)
}

/// A load through a host with the vault, then a purchase with a PSAM of the batch; its TAC goes to the vault.
fn load_and_pay(folder: &Path, psam: &Path) {
    let (_, vault) = centre(folder);
    let mut card = image(&folder.join("card.img"));
    let tac = KeyRef::new(KeyKind::Tac, 1, 1);
    let mut host = EngineerHost::new(&*vault, Now, city_factor(CITY), KeyIndex(1), tac);
    let terminal = TerminalId([0x21, 0x44, 0, 0, 0x0A, 1]);
    let loads = LoadTerminal { terminal, key_index: KeyIndex(1), purse: Purse::Ep };
    let order = "L-1".parse().unwrap();
    let request = LoadRequest { order: &order, amount: Fen::new(5_000), channel: "CASH" };
    let loaded = loads.load(&mut card, &mut host, &request, now()).unwrap();
    assert!(matches!(loaded, LoadOutcome::Loaded { .. }), "{loaded:?}");

    let (merchant, pos) = ("M00000000000001".parse().unwrap(), "00000001".parse().unwrap());
    let config = PosConfig::new(merchant, pos, ykt_files::Industry::BUS);
    let mut pos = Pos::open(config, image(psam), MemoryStore::default()).unwrap();
    let paid = pos.purchase(&mut card, Fen::new(200), now()).unwrap();
    let Outcome::Paid(receipt) = paid else { panic!("{paid:?}") };
    assert_eq!(receipt.record.debit.terminal.to_string(), "214400000101", "signed by the produced PSAM");
    let job = |amount| job_of(&receipt.record, amount);
    assert_eq!(vault.verify_tacs(&[job(200), job(201)]).unwrap(), [TacVerdict::Right, TacVerdict::Wrong]);
}

fn job_of(record: &Record, amount: i64) -> TacJob {
    let Ending::Paid { tac, .. } = record.ending else { panic!("{record:?}") };
    let purchase = Purchase {
        kind: PurchaseKind::Purchase(Purse::Ep),
        amount: Fen::new(amount).try_into().unwrap(),
        terminal: record.debit.terminal,
    };
    let receipt = Receipt::Purchase { purchase, sequence: record.debit.sequence, at: record.debit.at };
    let key = KeyRef::new(KeyKind::Tac, 1, 1);
    TacJob { key: CardKeyRef { key, factor: city_factor(CITY), asn: CARD }, receipt, tac }
}

/// Each chapter of the story comes in the log, and none before its time.
fn read_the_story(folder: &Path) {
    let (centre, _) = centre(folder);
    let page =
        centre.store.read(|tx| audit::list(tx, &AuditFilter::default(), Paging::first(1_000))).unwrap();
    let told: Vec<&str> = page.rows.iter().rev().map(|row| row.what.as_str()).collect();
    let story = [
        "ceremony/begin",
        "ceremony/component",
        "ceremony/finish",
        "request/ask",
        "request/approve",
        "key/activate",
        "key-card/register",
        "key-card/initialise",
        "key-card/load",
        "psam/batch",
        "psam/produced",
        "psam/batch",
        "download/right",
        "download/batch",
        "download/card",
    ];
    let mut at = 0;
    for word in story {
        let found = told.get(at..).unwrap_or_default().iter().position(|what| *what == word);
        at += found.unwrap_or_else(|| panic!("no {word} after {:?}", told.get(..at))) + 1;
    }
    let refused = page.rows.iter().filter(|row| row.outcome == audit::Outcome::Refused).count();
    assert_eq!(refused, roots().len() + 2, "every self-approval was refused, and nothing else");
    let report = centre.store.read(audit::verify).unwrap();
    assert!(report.is_whole(), "{report:?}");
    let protocol = centre.store.read(|tx| psams::signed_protocol(tx, "P-1")).unwrap().unwrap();
    assert!(protocol.is_genuine());
    assert_eq!(
        Some(protocol.public_key),
        centre.signer.as_ref().map(|signer| *signer.public_key().as_bytes())
    );
}

#[test]
fn from_three_components_to_a_purchase_and_the_log_tells_it() {
    assert!(MODULES.iter().all(|module| modules().contains(module)), "one database has all of the centre");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    hold_the_ceremony(folder);
    load_a_key_card(folder);

    let profile = Profile::psam();
    let psams = [1, 2].map(|number| folder.join(format!("psam{number}.img")));
    for (number, path) in (1..).zip(&psams) {
        drop(blank(path, &profile, number));
    }
    let [first, _] = &psams;
    let desk = Desk::of_psams(&psams);
    produce_psams(&desk, folder);
    drop(desk);

    download_a_card(folder);
    load_and_pay(folder, first);
    read_the_story(folder);
}
