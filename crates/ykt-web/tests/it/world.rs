//! A small believable company, kept through the rooms' own functions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use ykt_base::{Asn8, Clock, Date, DateTime, IssuerFactor, KeyVersion, MerchantCode, PosNo, Rng, TerminalId};
use ykt_kmc::campaigns::{self, CardChoice, NewCampaign};
use ykt_kmc::download::{Download, LineKind, NewLine, NewRight, RightTo, fingerprint};
use ykt_kmc::registry::groups::{self, Group};
use ykt_kmc::{Centre, Operation};
use ykt_office::Act;
use ykt_office::cards::{self, CardEvent, CardKind, NewCard};
use ykt_office::merchants::{self, Contract, NewMerchant, PayeeAccount, PayeeKind};
use ykt_office::people::{FirstPassword, HashCost, NewUser, Password, People, Role, SignInRules};
use ykt_office::terminals::{self, NewTerminal, Pair, TerminalEvent};
use ykt_store::{Store, StoreError, Tx};
use ykt_vault::{KeyKind, KeyPlace, KeyRef, Levels, Origin, SoftVault};
use ykt_web::{App, Config};

/// The password of every person of this world.
pub const PASSWORD: &str = "Linjiang-2026";

/// A clock that stands at one moment.
pub struct Fixed(pub DateTime);

impl Clock for Fixed {
    fn now(&self) -> DateTime {
        self.0
    }
}

/// Counts up; every source is different from the one before.
pub struct Count(u64);

impl Count {
    /// One that is like every other.
    pub fn new() -> Count {
        Count(1)
    }
}

impl Rng for Count {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = self.0.to_be_bytes()[0];
        }
    }
}

pub fn day() -> Date {
    Date::new(2026, 11, 22).unwrap()
}

pub fn at(hour: i64, minute: i64) -> DateTime {
    DateTime::start_of(day()).plus_seconds(hour * 3_600 + minute * 60).unwrap()
}

pub fn merchant(no: u32) -> MerchantCode {
    format!("M{no:014}").parse().unwrap()
}

pub fn pos(no: u32) -> PosNo {
    format!("{no:08}").parse().unwrap()
}

pub fn terminal_id(no: u32) -> TerminalId {
    format!("1234{no:08}").parse().unwrap()
}

/// Factor of the city.
pub const FACTOR: IssuerFactor = IssuerFactor([0x21, 0x50, 0xFF, 0, 0, 0, 0, 0]);

pub fn card(no: u32) -> Asn8 {
    format!("17000101{no:08}").parse().unwrap()
}

/// The rooms whose tables the pages read.
pub const MODULES: &[ykt_store::Module] = &[
    ykt_office::MODULE,
    ykt_ledger::MODULE,
    ykt_pay::MODULE,
    ykt_clearing::MODULE,
    ykt_kmc::MODULE,
    ykt_kmc::ceremonies::MODULE,
    ykt_kmc::download::MODULE,
    ykt_kmc::key_cards::MODULE,
    ykt_kmc::psams::MODULE,
];

/// An application without any data but its people: one of each role, named by it.
pub fn empty() -> App {
    let store = Store::in_memory(MODULES).unwrap();
    let seed = AtomicU64::new(1);
    let rng = move || -> Box<dyn Rng> { Box::new(Count(seed.fetch_add(1, Ordering::Relaxed) << 20)) };
    let rules = SignInRules { cost: HashCost::LEAST, ..SignInRules::default() };
    let people = People::new(store.clone(), rules, &mut *rng()).unwrap();
    for (name, full_name, role) in [
        ("operator", "王芳", Role::Operator),
        ("finance", "李伟", Role::Finance),
        ("security", "张敏", Role::Security),
        ("auditor", "刘洋", Role::Auditor),
        ("reader", "陈静", Role::ReadOnly),
        ("custodian1", "顾清怡", Role::Custodian),
        ("custodian2", "白如川", Role::Custodian),
        ("custodian3", "唐致远", Role::Custodian),
        ("keys1", "宋安澜", Role::KeyAdministrator),
        ("keys2", "何敬书", Role::KeyAdministrator),
    ] {
        let new = NewUser {
            name: name.to_owned(),
            full_name: full_name.to_owned(),
            role,
            staff_number: Some(name.parse().unwrap()),
            first_password: FirstPassword::MayStay,
        };
        people.add(&new, &Password::from(PASSWORD), &mut *rng(), &Act::of_system("setup", at(0, 0))).unwrap();
    }
    App { store, vault: None, centre: None, clock: Arc::new(Fixed(at(20, 30))), rng: Arc::new(rng) }
}

const SHOPS: [(&str, &str, u8); 6] = [
    ("临江公交集团", "Linjiang Bus Group", 1),
    ("临江轨道交通", "Linjiang Metro", 2),
    ("东港轮渡公司", "East Harbour Ferries", 3),
    ("蓝天出租汽车", "Blue Sky Taxis", 4),
    ("中心广场停车场", "Central Square Parking", 5),
    ("望江超市", "Riverview Supermarket", 6),
];

/// The company with cards, merchants and terminals.
pub fn full() -> App {
    let app = empty();
    app.store.write(registers).unwrap();
    app.store.write(misfortunes).unwrap();
    lines(&app.store);
    app
}

/// The company with a vault of demonstration keys and a key management centre over it.
pub fn with_keys() -> App {
    let app = full();
    let vault = Arc::new(SoftVault::generate(Levels::nation_city_card(), &mut Count(9), Origin::Demo));
    let centre = centre(&app.store, &vault);
    App { vault: Some(vault), centre: Some(Arc::new(centre)), ..app }
}

/// A centre over a vault, whose keys are registered.
pub fn centre(store: &Store, vault: &Arc<SoftVault>) -> Centre {
    let signer = vault.signer(KeyRef::new(KeyKind::Signing, 1, 1)).ok();
    let centre = Centre::new(store.clone(), Arc::clone(vault) as _, signer);
    centre.take_over(&Act::of_system("setup", at(5, 0))).unwrap();
    centre
}

/// The company after two days of trade.
pub fn traded() -> App {
    let app = empty();
    app.store.write(registers).unwrap();
    let vault = Arc::new(crate::trade::vault());
    crate::trade::load(&app.store, &vault);
    crate::production::order(&app.store);
    app.store.write(misfortunes).unwrap();
    crate::trade::ride_and_clear(&app.store, &vault);
    let centre = centre(&app.store, &vault);
    let act = Act::of("keys1", "192.0.2.11", at(19, 0));
    let load = KeyPlace::root(KeyRef::new(KeyKind::Load, 1, 1));
    centre.ask(&act, "retire-load".parse().unwrap(), &Operation::Retire(load), "a rehearsal").unwrap();
    let campaign = NewCampaign {
        name: "second".to_owned(),
        title: "Second generation".to_owned(),
        profile: campaigns::profile_text("city-cpu").unwrap().to_owned(),
        changes: vec!["load.1:1-2".parse().unwrap()],
        cards: CardChoice::Listed((1..=30).map(card).collect()),
    };
    centre.store.write(|tx| campaigns::plan(tx, &campaign, &act)).unwrap();
    let group = Group { name: "purse".to_owned(), title: "Purse keys".to_owned(), places: vec![load] };
    centre.store.write(|tx| groups::put(tx, &group, &act)).unwrap();
    lines(&app.store);
    App { vault: Some(vault), centre: Some(Arc::new(centre)), ..app }
}

/// A line that downloads keys, its right, and a batch that waits for it.
fn lines(store: &Store) {
    let act = Act::of("operator", "192.0.2.10", at(6, 0));
    let download = Download::office(store.clone(), [ykt_issue::Profile::city_cpu()]);
    let (kind, certificate) = (LineKind::Personalisation, fingerprint(b"a certificate"));
    download.add_line(&NewLine { name: "line-1".to_owned(), kind, certificate }, &act).unwrap();
    download.load_batch("b1", "city-cpu", "card,city\n1700010100009901,2150\n", &act).unwrap();
    let right = NewRight {
        line: "line-1".to_owned(),
        to: RightTo::cards("city-cpu", None),
        quota: 100,
        from: day(),
        until: day(),
    };
    download.give_right(&right, &act).unwrap();
}

fn registers(tx: &Tx<'_>) -> Result<(), StoreError> {
    let act = Act::of("operator", "192.0.2.10", at(6, 0));
    for (no, (name_zh, name_en, industry)) in (1..).zip(SHOPS) {
        let code = merchant(no);
        let new = NewMerchant {
            code,
            name_zh: name_zh.to_owned(),
            name_en: name_en.to_owned(),
            industry,
            address: "临江市滨河路 8 号".to_owned(),
        };
        merchants::register(tx, &new, &act).unwrap();
        let account = PayeeAccount {
            bank: "临江银行滨河支行".to_owned(),
            bank_id: "102305000001".to_owned(),
            account_no: format!("62220000000000{no:05}"),
            account_name: name_zh.to_owned(),
            payee: PayeeKind::Company,
        };
        let from = Date::new(2026, 1, 1).unwrap();
        let contract = Contract { from, until: None, commission_ppm: 8_000, account };
        merchants::agree(tx, &code, &contract, &act).unwrap();
        for terminal in 0..3u32 {
            let serial = no * 100 + terminal;
            let pos = pos(serial);
            terminals::register(tx, &NewTerminal { pos, merchant: code }, &act).unwrap();
            let pair = Pair {
                pos,
                terminal_id: terminal_id(serial),
                psam_serial: format!("{serial:020}").parse().unwrap(),
                from: at(6, 0),
                until: None,
            };
            terminals::pair(tx, &pair, &act).unwrap();
            terminals::change(tx, &pos, TerminalEvent::Start, &act).unwrap();
        }
    }
    let new = |no: u32| NewCard {
        asn: card(no),
        factor: FACTOR,
        main_type: 1,
        sub_type: u8::try_from(no % 3).unwrap(),
        kind: if no == 120 { CardKind::Test } else { CardKind::Real },
        key_version: KeyVersion(1),
        start: Date::new(2026, 1, 1).unwrap(),
        expiry: Date::new(2036, 1, 1).unwrap(),
    };
    let all: Vec<NewCard> = (1..=120).map(new).collect();
    cards::register(tx, &all, &act).unwrap();
    let issued: Vec<Asn8> = (1..=110).map(card).collect();
    cards::issue(tx, &issued, &act).unwrap();
    Ok(())
}

/// What happens to cards during the day.
fn misfortunes(tx: &Tx<'_>) -> Result<(), StoreError> {
    for no in [7, 19] {
        cards::report_loss(tx, &card(no), at(9, 30), &Act::of("operator", "192.0.2.10", at(9, 30))).unwrap();
    }
    let act = Act::of("operator", "192.0.2.10", at(11, 0));
    cards::change(tx, &card(33), CardEvent::Lock, "holder's wish", &act).unwrap();
    Ok(())
}

/// The settings of this world.
pub fn config() -> Config {
    Config::default()
}

/// Where its requests come from.
pub const FROM: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 50_000);
