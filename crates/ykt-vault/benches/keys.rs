//! Card keys derived and wrapped per second and core: one ready WRITE KEY each, for twelve keys a card, in a hierarchy
//! of nation, province, city and card (three levels of diversification below the root).
//!
//! Each key is derived for its card, its header built, header and key enciphered under the card's control key, and the
//! MAC made under the card's challenge. The thread's own time on the processor is counted, so that a busy machine
//! changes the figures little; its load is printed with them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    reason = "a benchmark measures and prints"
)]

use std::hint::black_box;
use std::time::Instant;
use ykt_base::{Asn8, IssuerFactor, Rng};
use ykt_purse::Algorithm;
use ykt_purse::write_key::{self, KeyForm, KeyHeader, KeyTarget};
use ykt_vault::{
    CardKeyRef, KeyAddress, KeyAlgorithm, KeyKind, KeyLayout, KeyManagement, KeyPlace, KeyRef, KeyState,
    Levels, NewKey, Origin, SoftVault, Vault, WriteKeyJob,
};

/// Samples; the median is printed.
const SAMPLES: usize = 15;
/// Cards in one sample.
const CARDS: u32 = 1_000;
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

struct Counting(u8);

impl Rng for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        out.iter_mut().for_each(|byte| {
            self.0 = self.0.wrapping_add(73);
            *byte = self.0;
        });
    }
}

fn main() {
    // `cargo test --benches` asks for one quick round.
    let quick = !std::env::args().any(|arg| arg == "--bench");
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {}", load.trim());
    for algorithm in [KeyAlgorithm::Tdes, KeyAlgorithm::Sm4] {
        let vault = vault(algorithm);
        let (samples, cards) = if quick { (1, 10) } else { (SAMPLES, CARDS) };
        let mut rates: Vec<_> = (0..samples).map(|_| sample(&vault, algorithm, cards)).collect();
        rates.sort_by(f64::total_cmp);
        let median = rates[rates.len() / 2];
        let (least, most) = (rates[0], rates[rates.len() - 1]);
        println!(
            "card keys derived and wrapped, {:<5} {median:>9.0}/s per core {:>6.2} us (of {samples}: {least:.0} to {most:.0})",
            algorithm.name(),
            1e6 / median
        );
    }
}

fn vault(algorithm: KeyAlgorithm) -> SoftVault {
    let province = IssuerFactor([0x31, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
    let vault = SoftVault::empty(Levels::nation_province_city_card(province), Origin::Demo);
    for kind in KINDS.into_iter().chain([KeyKind::ApplicationMaster]) {
        let place = KeyPlace::root(KeyRef::new(kind, 1, 1));
        vault.generate(place, algorithm, &mut Counting(kind.code())).unwrap();
        vault.change_state(&place, KeyState::Active).unwrap();
    }
    vault
}

/// WRITE KEY commands per second of processor time.
fn sample(vault: &SoftVault, algorithm: KeyAlgorithm, cards: u32) -> f64 {
    let form = KeyForm::Key(match algorithm {
        KeyAlgorithm::Sm4 => Algorithm::Sm4,
        _ => Algorithm::TripleDes,
    });
    let started = Clock::start();
    for card in 0..cards {
        let [a, b, c, d] = card.to_be_bytes();
        let asn = Asn8([0x17, 0, 1, 1, a, b, c, d]);
        let address = |kind| KeyAddress::Card(CardKeyRef { key: KeyRef::new(kind, 1, 1), factor: CITY, asn });
        for kind in KINDS {
            let usage = kind.card_usage().unwrap();
            let header = KeyHeader { usage, form, ..write_key::control_key_header(ykt_base::KeyVersion(1)) };
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
    f64::from(cards) * KINDS.len() as f64 / started.seconds()
}

/// Time of this thread on a processor; where the system does not tell, time on the wall.
struct Clock {
    wall: Instant,
    processor_ns: Option<u64>,
}

impl Clock {
    fn start() -> Clock {
        Clock { wall: Instant::now(), processor_ns: Clock::processor_ns() }
    }

    fn processor_ns() -> Option<u64> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split_whitespace().next()?.parse().ok()
    }

    fn seconds(&self) -> f64 {
        match (self.processor_ns, Clock::processor_ns()) {
            (Some(from), Some(to)) => (to - from) as f64 / 1e9,
            _ => self.wall.elapsed().as_secs_f64(),
        }
    }
}
