//! Questions a second through the Unix socket of a vault in a thread of its own: one at a time on one line, one at a time
//! on eight, and TACs in batches; beside them the same work in the process.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    reason = "a benchmark measures and prints"
)]

use std::sync::Arc;
use std::time::Instant;
use ykt_base::{Asn8, DateTime, IssuerFactor, Mac4, Rng, TerminalId, TerminalSeq};
use ykt_purse::purchase::{Purchase, PurchaseKind};
use ykt_purse::{Purse, PurseFen};
use ykt_vault::remote::{Endpoint, Server, Service};
use ykt_vault::{
    CardKeyRef, KeyAddress, KeyKind, KeyManagement, KeyRef, Levels, Origin, Receipt, RemoteVault, SoftVault,
    TacJob, Vault,
};

/// Samples of each; the median is printed.
const SAMPLES: usize = 9;
/// Questions in one sample.
const QUESTIONS: u32 = 20_000;
/// TACs in one sample, and in one batch.
const TACS: u32 = 200_000;
const BATCH: usize = 8_192;
/// Threads that ask at the same time.
const THREADS: u32 = 8;

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
    let (samples, divisor) = if quick { (1, 100) } else { (SAMPLES, 1) };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {}", load.trim());
    let soft = Arc::new(SoftVault::generate(Levels::nation_city_card(), &mut Counting(0), Origin::Demo));
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::Unix(folder.path().join("vault.sock"));
    let server = Server::bind(&endpoint).unwrap();
    let stop = server.stop_handle();
    let service = Service::new(Arc::clone(&soft) as Arc<dyn KeyManagement>, || Box::new(Counting(0)));
    std::thread::scope(|scope| {
        scope.spawn(|| server.serve(&service, &|_| ()));
        let remote = RemoteVault::connect(&endpoint).unwrap();
        for (what, vault) in [("socket", &remote as &dyn Vault), ("process", &*soft)] {
            let questions = QUESTIONS / divisor;
            measure(&format!("MACs, one line, {what}"), samples, questions, || ask(vault, 0..questions));
            measure(&format!("MACs, {THREADS} lines, {what}"), samples, questions, || {
                std::thread::scope(|scope| {
                    let share = questions / THREADS;
                    for thread in 0..THREADS {
                        scope.spawn(move || ask(vault, thread * share..(thread + 1) * share));
                    }
                });
            });
            let tacs: Vec<_> = (0..TACS / divisor).map(tac).collect();
            measure(&format!("TACs, batches of {BATCH}, {what}"), samples, TACS / divisor, || {
                for batch in tacs.chunks(BATCH) {
                    assert_eq!(vault.verify_tacs(batch).unwrap().len(), batch.len());
                }
            });
        }
        drop(remote);
        stop.stop();
    });
}

fn measure(what: &str, samples: usize, count: u32, work: impl Fn()) {
    let sample = || {
        let started = Instant::now();
        work();
        f64::from(count) / started.elapsed().as_secs_f64()
    };
    let mut rates: Vec<f64> = (0..samples).map(|_| sample()).collect();
    rates.sort_by(f64::total_cmp);
    println!("{what:<36} {:>10.0}/s", rates[rates.len() / 2]);
}

fn card(kind: KeyKind, no: u32) -> CardKeyRef {
    let [a, b, c, d] = no.to_be_bytes();
    let factor = IssuerFactor([0x21, 0x44, 0xFF, 0, 0, 0, 0, 0]);
    CardKeyRef { key: KeyRef::new(kind, 1, 1), factor, asn: Asn8([0x17, 0, 1, 1, a, b, c, d]) }
}

fn ask(vault: &dyn Vault, cards: std::ops::Range<u32>) {
    for no in cards {
        let key = KeyAddress::Card(card(KeyKind::ApplicationMaintenance, no));
        vault.sm_mac(&key, [0; 8], &[b"one block"]).unwrap();
    }
}

fn tac(no: u32) -> TacJob {
    let purchase = Purchase {
        kind: PurchaseKind::Purchase(Purse::Ep),
        amount: PurseFen::from_bytes([0, 0, 0, 150]).unwrap(),
        terminal: TerminalId([0x36; 6]),
    };
    let at = DateTime::from_number(20_261_122_120_000).unwrap();
    let receipt = Receipt::Purchase { purchase, sequence: TerminalSeq(no), at };
    TacJob { key: card(KeyKind::Tac, no), receipt, tac: Mac4([0; 4]) }
}
