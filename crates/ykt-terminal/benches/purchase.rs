//! Purchases per second in process: card, PSAM and terminal in one thread, records in memory and in a synced
//! file.
//!
//! Printed with it: the machine's load and the rate at which its disk syncs.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    reason = "a benchmark measures and prints"
)]

#[path = "../tests/it/desk.rs"]
#[allow(dead_code, reason = "the tests' desk can do more than is measured here")]
mod desk;

use desk::{Hand, Memory, Seeded, Standing, city_card, psam, vault};
use std::io::Write;
use std::time::{Duration, Instant};
use ykt_base::{DateTime, Fen, KeyIndex, TerminalId};
use ykt_card::Card;
use ykt_files::Industry;
use ykt_purse::Purse;
use ykt_purse::files::city_factor;
use ykt_terminal::host::engineer::EngineerHost;
use ykt_terminal::load::{LoadOutcome, LoadRequest, LoadTerminal};
use ykt_terminal::pos::{Outcome, Pos, PosConfig};
use ykt_terminal::store::{FileStore, MemoryStore, RecordStore};
use ykt_terminal::transport::in_process::InProcess;
use ykt_vault::{KeyKind, KeyRef};

/// Time each measurement takes.
const MEASURE_S: u64 = 3;
/// Purchases a card can make before its offline counter is used up.
const PURCHASES_PER_CARD: u32 = 60_000;

fn main() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {} | syncs {:.0}/s", load.trim(), syncs_per_second());
    let seconds = |rate: f64| format!("{rate:>9.0}/s {:>7.1} us", 1e6 / rate);
    println!(
        "purchase, card + PSAM + terminal, records in memory    {}",
        seconds(purchases(MemoryStore::default()))
    );
    let folder = tempfile::tempdir_in(".").unwrap();
    let store = FileStore::open(&folder.path().join("pos.records")).unwrap();
    println!("purchase, records in a file, two syncs each            {}", seconds(purchases(store)));
}

/// Appends of one record with a sync each, on the disk of this folder.
fn syncs_per_second() -> f64 {
    let mut file = tempfile::tempfile_in(".").unwrap();
    rate(|| {
        file.write_all(&[0; 64]).unwrap();
        file.sync_data().unwrap();
    })
}

fn rate(mut work: impl FnMut()) -> f64 {
    let (start, mut done) = (Instant::now(), 0u32);
    while start.elapsed() < Duration::from_secs(MEASURE_S) {
        work();
        done += 1;
    }
    f64::from(done) / start.elapsed().as_secs_f64()
}

fn loaded() -> Memory {
    let vault = vault();
    let at: DateTime = "20261122070000".parse().unwrap();
    let tac = KeyRef::new(KeyKind::Tac, 1, 1);
    let mut host = EngineerHost::new(&vault, Standing(at), city_factor([0x21, 0x44]), KeyIndex(1), tac);
    let mut card = Hand::new(city_card(1));
    let terminal = LoadTerminal {
        terminal: TerminalId([0xF0, 0, 0, 0, 0, 1]),
        key_index: KeyIndex(1),
        purse: Purse::Ep,
    };
    let order = "BENCH-1".parse().unwrap();
    let amount = PosConfig::FILE_FEN_MAX;
    let request = LoadRequest { order: &order, amount, channel: "CASH" };
    let outcome = terminal.load(&mut card, &mut host, &request, at).unwrap();
    assert_eq!(outcome, LoadOutcome::Loaded { balance: amount });
    card.memory().clone()
}

fn purchases(store: impl RecordStore) -> f64 {
    let image = loaded();
    let insert = || InProcess::new(Card::power_on(image.clone()).unwrap(), Seeded(1));
    let psam = InProcess::new(Card::power_on(psam()).unwrap(), Seeded(2));
    let merchant = "M00000000000001".parse().unwrap();
    let config = PosConfig::new(merchant, "00000001".parse().unwrap(), Industry::BUS);
    let mut pos = Pos::open(config, psam, store).unwrap();
    let at: DateTime = "20261122080000".parse().unwrap();
    let (mut card, mut used, mut batch) = (insert(), 0, 0);
    rate(|| {
        if used == PURCHASES_PER_CARD {
            // The next card, and a batch before the terminal is full.
            (card, used, batch) = (insert(), 0, batch + 1);
            let id = ykt_terminal::record::BatchId { day: at.date, sequence: batch };
            pos.close_batch(id, at).unwrap();
        }
        used += 1;
        let outcome = pos.purchase(&mut card, Fen::new(1), at).unwrap();
        assert!(matches!(outcome, Outcome::Paid(_)));
    })
}
