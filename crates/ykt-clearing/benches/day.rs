//! A clearing day: records per second parsed, accepted, judged, and closed; beside them, on the same disk, the
//! same rows inserted by SQLite alone. One thread decides everything; the store is on a disk, WAL, FULL.
//!
//! Beside each time stands what the processor worked of it, for machines that do other things meanwhile; the bar
//! is per core and taken from that.
//!
//! `YKT_BENCH_RECORDS` sets the size of the day, 1,000,000 when it is not set. The day has one card for every
//! four records, twenty files, and one record in a hundred that is not accepted.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_arithmetic,
    reason = "a bench stops at the first surprise, and prints its table"
)]

#[path = "../tests/it/world.rs"]
#[allow(dead_code, reason = "the bench needs part of the tests' city")]
mod world;

use rusqlite::{Connection, params_from_iter, types::Value};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use world::{D1, MODULES, World, at, day, fen, file, merchant};
use ykt_base::{Asn8, CardCounter, Mac4, TerminalId, TerminalSeq};
use ykt_clearing::{
    CardBook, Case, Closing, DayClosed, FileId, Load, MemoryFolders, Past, Phase, Policy, Purchase, Ranges,
    Received, RecordId, Rules, Step, judge,
};
use ykt_files::{FixedFile, NameLayout, XfRecord};
use ykt_office::Registers;
use ykt_store::{Store, StoreError, Tx};
use ykt_vault::{TacVerdict, Vault};

/// Purchases of each card.
const PER_CARD: u32 = 4;
/// Files of the day.
const FILES: u32 = 20;
/// The bar: records judged and closed per second and core, beside the TACs.
const BAR: f64 = 150_000.0;

fn main() {
    let size = std::env::var("YKT_BENCH_RECORDS").map_or(1_000_000, |text| text.parse().unwrap());
    let program = std::env::current_exe().unwrap();
    let home = tempfile::Builder::new().prefix("bench-day-").tempdir_in(program.parent().unwrap()).unwrap();
    println!(
        "A clearing day of {size} records, {} cards, {FILES} files; SQLite, WAL, synchronous=FULL",
        size / PER_CARD
    );
    println!("{} CPUs, load average {}", std::thread::available_parallelism().unwrap(), load_average());
    let files = files(size);
    println!();
    println!("{:<58} {:>8} {:>8} {:>11}", "", "seconds", "of CPU", "records/s");
    let print = |name: &str, took: Took| {
        let rate = f64::from(size) / took.wall.as_secs_f64();
        println!("{name:<58} {:>8.2} {:>8.2} {rate:>11.0}", took.wall.as_secs_f64(), took.cpu.as_secs_f64());
    };

    let (cases, parsed) = timed(|| parse(&files));
    print("parse: bytes to typed records", parsed);

    let store = Store::open(&home.path().join("data"), MODULES).unwrap();
    world::found(&store, size / PER_CARD);
    let world = World::over(store, Arc::new(MemoryFolders::new()), Arc::new(MemoryFolders::new()));
    let ((), accepted) = timed(|| accept(&world, &files));
    print("accept: parsed and stored, a transaction a file", accepted);
    let ((), inserted) = timed(|| insert_alone(&home.path().join("records.db"), &files));
    print("  SQLite alone: the same rows of records", inserted);

    let (tacs, judged) = judge_alone(&world, cases);
    print("TACs: checked by the vault, one thread", tacs);
    print("judge: in memory, no card seen before, beside the TACs", judged);

    let mut parts: Vec<(String, Duration)> = Vec::new();
    let mut last = Instant::now();
    let mut watch = |step: Step| {
        let name = match step {
            Step::Read(_) => "read".to_owned(),
            Step::TacsChecked(_) | Step::Judged => "judged, with TACs".to_owned(),
            Step::Written(part) => format!("written: {part}"),
            Step::Done(Phase::Booked) => "committed".to_owned(),
            Step::Answered(_) => "answers written".to_owned(),
            Step::Done(_) => "other phases".to_owned(),
        };
        let took = last.elapsed();
        last = Instant::now();
        match parts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += took,
            None => parts.push((name, took)),
        }
    };
    let (closed, took) = timed(|| close(&world, &mut watch));
    print("close: read, judged, booked, answered, sent, with TACs", took);
    for (name, took) in parts {
        println!("  {name:<56} {:>8.2}", took.as_secs_f64());
    }
    let beside = took.less(tacs);
    print("close beside the TACs", beside);
    let refused = u64::from(closed.bills.iter().map(|bill| bill.refused.count).sum::<u32>());
    let ((), booked) = timed(|| book_alone(&home.path().join("books.db"), size, refused));
    print("  SQLite alone: the same rows of books", booked);

    let confirmed: u32 = closed.bills.iter().map(|bill| bill.confirmed.count).sum();
    println!();
    println!("{confirmed} confirmed, {refused} not; load average now {}", load_average());
    let rate = f64::from(size) / beside.cpu.as_secs_f64();
    println!(
        "bar: {BAR:.0} records/s of CPU beside the TACs; {rate:.0}: {}",
        if rate >= BAR { "met" } else { "MISSED" }
    );
}

/// How long something took.
#[derive(Clone, Copy, Default)]
struct Took {
    wall: Duration,
    /// Of it, what the processor worked for this program.
    cpu: Duration,
}

impl Took {
    fn less(self, part: Took) -> Took {
        Took { wall: self.wall.saturating_sub(part.wall), cpu: self.cpu.saturating_sub(part.cpu) }
    }

    fn add(&mut self, part: Took) {
        self.wall += part.wall;
        self.cpu += part.cpu;
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Took) {
    let (began, cpu) = (Instant::now(), cpu());
    let done = work();
    (done, Took { wall: began.elapsed(), cpu: self::cpu().saturating_sub(cpu) })
}

/// What the processor has worked for this program, where the system states it, in steps of ten milliseconds.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Names and contents of the day's files: half of them from each merchant.
fn files(size: u32) -> Vec<(u32, String, Vec<u8>)> {
    let mut model = World::new().sale(1, 0, 100_000, 200);
    let cards = size / PER_CARD;
    let keys: Vec<_> = (1..=cards).map(|number| world::card_tac_key(&world::card(number))).collect();
    let asns: Vec<_> = (1..=cards).map(world::card).collect();
    let per_file = size / FILES;
    let mut sequences = [0u32; 3];
    let mut files = Vec::new();
    for number in 0..FILES {
        let seller = number % 2 + 1;
        (model.merchant, model.pos, model.terminal) =
            (merchant(seller), world::pos(seller), world::terminal_id(seller));
        let mut records: Vec<XfRecord> = Vec::with_capacity(per_file as usize);
        for line in 0..per_file {
            let nth = number * per_file + line;
            let (card, counter) = ((nth % cards) as usize, nth / cards);
            let sequence = &mut sequences[seller as usize];
            *sequence += 1;
            let mut record = XfRecord {
                serial: line + 1,
                asn: asns[card],
                counter: CardCounter(counter as u16),
                sequence: TerminalSeq(*sequence),
                balance_before: fen(100_000 - i64::from(counter) * 200),
                at: at(D1, 60_000).plus_seconds(i64::from(nth % 50_000)).unwrap(),
                ..model
            };
            record.tac = world::tac(&keys[card], &record);
            match nth % 200 {
                7 => record.tac = Mac4([0; 4]),
                9 => record = XfRecord { serial: line + 1, ..records[records.len() - 1] },
                _ => {}
            }
            records.push(record);
        }
        let (name, bytes) = file(D1, merchant(seller), number / 2 + 1, &records);
        files.push((seller, name, bytes));
    }
    files
}

fn parse(files: &[(u32, String, Vec<u8>)]) -> Vec<Case> {
    let mut cases = Vec::new();
    for ((_, _, bytes), id) in files.iter().zip(1..) {
        let file = FixedFile::<XfRecord>::open(bytes, NameLayout::default()).unwrap();
        cases.extend((2..).zip(file.records()).map(|(line, record)| {
            let purchase = Purchase::of(RecordId::new(FileId(id), line).unwrap(), &record.unwrap());
            Case { purchase, parked: None }
        }));
    }
    cases
}

fn accept(world: &World, files: &[(u32, String, Vec<u8>)]) {
    for (seller, name, bytes) in files {
        let received =
            world.clearing.receive(&merchant(*seller), name, bytes, at(D1, 200_000), day(D1)).unwrap();
        assert!(matches!(received, Received::Accepted { .. }), "{received:?}");
    }
}

/// Closes the day; every card was loaded once in the morning.
fn close(world: &World, watch: &mut dyn FnMut(Step)) -> DayClosed {
    let load = Load { at: at(D1, 50_000), amount: fen(100_000) };
    let journal = |_: &Tx<'_>, _: &Asn8| -> Result<Vec<Load>, StoreError> { Ok(vec![load]) };
    let mut closing = Closing { vault: &world.vault, loads: &journal, watch };
    world.clearing.close_day(day(D1), at(D1, 235_900), &mut closing).unwrap()
}

/// A past in which nothing happened but one load of every card.
struct NoPast;

impl Past for NoPast {
    fn card_book(&mut self, _: &Asn8) -> Result<CardBook, StoreError> {
        Ok(CardBook::default())
    }

    fn psam_book(&mut self, _: &TerminalId) -> Result<Ranges, StoreError> {
        Ok(Ranges::default())
    }

    fn booked(&mut self, _: &Asn8, _: CardCounter) -> Result<Option<Purchase>, StoreError> {
        Ok(None)
    }

    fn loads(&mut self, _: &Asn8) -> Result<Vec<Load>, StoreError> {
        Ok(vec![Load { at: at(D1, 50_000), amount: fen(100_000) }])
    }
}

/// How long the TACs took, and how long the rest of the judgement.
fn judge_alone(world: &World, cases: Vec<Case>) -> (Took, Took) {
    let registers = world.read(Registers::load);
    let rules = Rules { day: day(D1), registers: &registers, policy: &Policy::default() };
    let mut tacs = Took::default();
    let mut wrong = 0;
    let (judgement, took) = timed(|| {
        judge(rules, cases, &mut NoPast, &mut |jobs| {
            let (verdicts, took) = timed(|| world.vault.verify_tacs(jobs));
            tacs.add(took);
            wrong += verdicts.iter().flatten().filter(|verdict| **verdict != TacVerdict::Right).count();
            verdicts
        })
    });
    assert!(wrong > 0 && judgement.unwrap().fates.len() > wrong);
    (tacs, took.less(tacs))
}

fn alone(path: &Path) -> Connection {
    let database = Connection::open(path).unwrap();
    database.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").unwrap();
    database.execute_batch(ykt_clearing::MODULE.migrations[0]).unwrap();
    database
}

/// The rows of records, forty a statement and one transaction a file, from values that are ready.
fn insert_alone(path: &Path, files: &[(u32, String, Vec<u8>)]) {
    const ROWS: usize = 40;
    let mut database = alone(path);
    let places = vec![format!("({})", ["?"; 14].join(", ")); ROWS].join(", ");
    let sql = format!("INSERT INTO clearing_record VALUES {places}");
    let row = |id: i64| -> Vec<Value> {
        let (asn, terminal, tac) = (vec![1; 8], vec![2; 6], vec![3; 4]);
        let rest = "0100000000002026010120361231000FFFFFF".to_owned();
        vec![
            id.into(),
            id.into(),
            "P0000001".to_owned().into(),
            asn.into(),
            3.into(),
            id.into(),
            99_800.into(),
            200.into(),
            20_261_122_060_000_i64.into(),
            6.into(),
            terminal.into(),
            tac.into(),
            0.into(),
            rest.into(),
        ]
    };
    let mut id = 0;
    for (_, _, bytes) in files {
        let transaction = database.transaction().unwrap();
        for _ in 0..bytes.len() / 160 / ROWS {
            let values = (0..ROWS as i64).flat_map(|at| row(id + at));
            transaction.prepare_cached(&sql).unwrap().execute(params_from_iter(values)).unwrap();
            id += ROWS as i64;
        }
        transaction.commit().unwrap();
    }
}

/// The rows of card books, ways of cards and verdicts, in one transaction.
fn book_alone(path: &Path, size: u32, verdicts: u64) {
    let mut database = alone(path);
    let transaction = database.transaction().unwrap();
    let put = |sql: &str, values: Vec<Value>| {
        transaction.prepare_cached(sql).unwrap().execute(params_from_iter(values)).unwrap();
    };
    for number in 0..i64::from(size / PER_CARD) {
        let asn = number.to_be_bytes().to_vec();
        let book = vec![
            asn.clone().into(),
            2.into(),
            4.into(),
            99_200.into(),
            number.into(),
            800.into(),
            0.into(),
            vec![0; 8].into(),
        ];
        put("INSERT INTO clearing_card VALUES (?, ?, ?, ?, ?, ?, ?, ?)", book);
        put(
            "INSERT INTO clearing_card_day VALUES (?, ?, ?)",
            vec![20_261_122.into(), asn.into(), vec![0; 32].into()],
        );
    }
    for number in 0..i64::try_from(verdicts).unwrap() {
        let merchant = "M00000000000001".to_owned();
        let day = Value::from(20_261_122);
        let asn = number.to_be_bytes().to_vec();
        let row = vec![
            number.into(),
            day.clone(),
            merchant.into(),
            asn.into(),
            3.into(),
            200.into(),
            1.into(),
            10.into(),
            10.into(),
            day,
        ];
        put("INSERT INTO clearing_verdict VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row);
    }
    transaction.commit().unwrap();
}

/// Load average of the last minute, where the system states it.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}
