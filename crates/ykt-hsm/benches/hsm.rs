//! Card keys derived and wrapped per second on SoftHSM2, twelve keys a card, in a hierarchy of nation, city and card:
//! one thread, then as many as a service has at work; then keys made and activated in a vault that has thousands. A token
//! is a device with a lock of its own, so time on the wall counts; the machine's load is printed with the figures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    dead_code,
    reason = "a benchmark measures and prints, and uses a part of the tests' fixture"
)]

#[path = "../tests/it/fixture.rs"]
mod fixture;

use fixture::{FreshToken, Token};
use std::cell::Cell;
use std::hint::black_box;
use std::time::Instant;
use ykt_base::{Asn8, IssuerFactor, KeyVersion, Mac4, Rng, TerminalId, TerminalSeq};
use ykt_hsm::HsmVault;
use ykt_purse::Algorithm;
use ykt_purse::purchase::{Purchase, PurchaseKind};
use ykt_purse::write_key::{self, KeyForm, KeyHeader, KeyTarget};
use ykt_purse::{Purse, PurseFen};
use ykt_vault::{
    CardKeyRef, ImportedKey, KeyAddress, KeyAlgorithm, KeyKind, KeyLayout, KeyManagement, KeyPlace, KeyRef,
    KeyState, KeyValue, Levels, NewKey, Origin, Receipt, SoftVault, TacJob, Vault, WriteKeyJob,
};

/// Samples; the median is printed.
const SAMPLES: usize = 9;
/// Cards in one sample.
const CARDS: u32 = 400;
/// TACs in one sample.
const TACS: u32 = 20_000;
/// Keys in the vault in which more are made.
const KEYS: u32 = 2_000;
/// Keys made and activated in one sample.
const NEW_KEYS: u32 = 10;
/// Threads of a service.
const THREADS: u32 = 4;
/// The keys of a card.
const KINDS: [KeyKind; 12] = [
    KeyKind::ApplicationMaintenance,
    KeyKind::Purchase,
    KeyKind::Load,
    KeyKind::Unload,
    KeyKind::Overdraft,
    KeyKind::Tac,
    KeyKind::PinUnblock,
    KeyKind::PinReload,
    KeyKind::InternalAuthentication,
    KeyKind::ExternalAuthentication,
    KeyKind::GreyUnlock,
    KeyKind::TicketIssue,
];
const CITY: IssuerFactor = IssuerFactor([0x21, 0x44, 0xFF, 0, 0, 0, 0, 0]);

struct Zeros;

impl Rng for Zeros {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(0);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(token) = Token::here() else {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let done = FreshToken::new().with_program(&arguments).status().unwrap();
        assert!(done.success(), "the benchmark failed");
        return;
    };
    // `cargo test --benches` asks for one quick round.
    let quick = !arguments.iter().any(|argument| argument == "--bench");
    let (samples, cards, tacs, keys) = if quick { (1, 4, 100, 20) } else { (SAMPLES, CARDS, TACS, KEYS) };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let vault = vault(&token);
    println!("{}; load {}", vault.status().version, load.trim());
    for threads in [1, THREADS] {
        let what = format!("card keys derived and wrapped, {threads} at a time");
        measured(&what, samples, || commands(&vault, cards, threads));
    }
    measured("TACs of one city checked", samples, || checks(&vault, tacs));
    let started = Instant::now();
    fill(&vault, keys);
    println!("{keys} wrapped keys taken in: {:.1} s", started.elapsed().as_secs_f64());
    let next = Cell::new(keys);
    measured(&format!("keys made and activated among {keys}"), samples, || {
        let first = next.replace(next.get() + NEW_KEYS);
        let started = Instant::now();
        (first..first + NEW_KEYS).for_each(|number| made(&vault, number));
        f64::from(NEW_KEYS) / started.elapsed().as_secs_f64()
    });
}

/// The load key of a city.
fn of_city(number: u32) -> KeyPlace {
    let [a, b, c, d] = number.to_be_bytes();
    let owner = Some([a, b, c, d, 0xFF, 0, 0, 0]);
    KeyPlace { key: KeyRef::new(KeyKind::Load, 1, 1), level: 1, owner }
}

/// Load keys of many cities, wrapped by another vault.
fn fill(vault: &HsmVault, keys: u32) {
    let other = SoftVault::empty(Levels::nation_city_card(), Origin::Demo);
    let transport = KeyRef::new(KeyKind::KeyTransport, 1, 1);
    let both: [&dyn KeyManagement; 2] = [vault, &other];
    for vault in both {
        let value = KeyValue::from_bytes(KeyAlgorithm::Aes256, &[0x5A; 32]).unwrap();
        let (place, state) = (KeyPlace::root(transport), KeyState::Active);
        vault.import(ImportedKey { place, state, value, kcv: None }).unwrap();
    }
    let wrapped: Vec<_> = (0..keys)
        .map(|number| {
            let mut bytes = [7; 16];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            let value = KeyValue::from_bytes(KeyAlgorithm::Tdes, &bytes).unwrap();
            let place = of_city(number);
            other.import(ImportedKey { place, state: KeyState::Active, value, kcv: None }).unwrap();
            other.wrap(&place, transport).unwrap()
        })
        .collect();
    let wrapped: Vec<_> = wrapped.iter().collect();
    vault.import_all_wrapped(&wrapped, transport, &mut |_, _| ()).unwrap();
}

/// A new key, and it serves.
fn made(vault: &HsmVault, number: u32) {
    let place = of_city(number);
    vault.generate(place, KeyAlgorithm::Tdes, &mut Zeros).unwrap();
    vault.change_state(&place, KeyState::Active).unwrap();
}

fn measured(what: &str, samples: usize, sample: impl Fn() -> f64) {
    let mut rates: Vec<_> = (0..samples).map(|_| sample()).collect();
    rates.sort_by(f64::total_cmp);
    let median = rates[rates.len() / 2];
    let (least, most) = (rates[0], rates[rates.len() - 1]);
    println!("{what:<45} {median:>9.0}/s {:>7.2} us (of {samples}: {least:.0} to {most:.0})", 1e6 / median);
}

fn vault(token: &Token) -> HsmVault {
    let vault = HsmVault::create(token.settings(), Levels::nation_city_card(), Origin::Demo).unwrap();
    for kind in KINDS.into_iter().chain([KeyKind::ApplicationMaster]) {
        let place = KeyPlace::root(KeyRef::new(kind, 1, 1));
        vault.generate(place, KeyAlgorithm::Tdes, &mut Zeros).unwrap();
        vault.change_state(&place, KeyState::Active).unwrap();
    }
    vault
}

/// WRITE KEY commands per second.
fn commands(vault: &HsmVault, cards: u32, threads: u32) -> f64 {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                (0..cards / threads).for_each(|card| commands_of(vault, thread << 24 | card));
            });
        }
    });
    f64::from(cards / threads * threads) * KINDS.len() as f64 / started.elapsed().as_secs_f64()
}

fn commands_of(vault: &HsmVault, card: u32) {
    let [a, b, c, d] = card.to_be_bytes();
    let asn = Asn8([0x17, 0, 1, 1, a, b, c, d]);
    let address = |kind| KeyAddress::Card(CardKeyRef { key: KeyRef::new(kind, 1, 1), factor: CITY, asn });
    for kind in KINDS {
        let usage = kind.card_usage().unwrap();
        let form = KeyForm::Key(Algorithm::TripleDes);
        let header = KeyHeader { usage, form, ..write_key::control_key_header(KeyVersion(1)) };
        let job = WriteKeyJob {
            control: address(KeyKind::ApplicationMaster),
            new: NewKey::Own(address(kind)),
            layout: KeyLayout::Card {
                family: write_key::KeyLayout::SourceDocuments,
                target: KeyTarget::Add { id: 1, usage },
                header,
            },
            iv: [a, b, c, d, 0, 0, 0, 0],
        };
        black_box(vault.write_key(&job).unwrap());
    }
}

/// Verdicts per second.
fn checks(vault: &HsmVault, tacs: u32) -> f64 {
    let at = ykt_base::DateTime::from_number(20_261_122_093_015).unwrap();
    let purchase = Purchase {
        kind: PurchaseKind::Purchase(Purse::Ep),
        amount: PurseFen::ZERO,
        terminal: TerminalId([0; 6]),
    };
    let job = |card: u32| {
        let [a, b, c, d] = card.to_be_bytes();
        let key = KeyRef::new(KeyKind::Tac, 1, 1);
        TacJob {
            key: CardKeyRef { key, factor: CITY, asn: Asn8([0x17, 0, 1, 1, a, b, c, d]) },
            receipt: Receipt::Purchase { purchase, sequence: TerminalSeq(card), at },
            tac: Mac4([0; 4]),
        }
    };
    let jobs: Vec<_> = (0..tacs).map(job).collect();
    let started = Instant::now();
    black_box(vault.verify_tacs(&jobs).unwrap());
    f64::from(tacs) / started.elapsed().as_secs_f64()
}
