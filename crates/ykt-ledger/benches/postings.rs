//! Durable postings per second, one per call, closed loop: each caller posts, waits until its posting is on the
//! disk, and posts again. Beside it, on the same disk: bare syncs, and the same rows written by SQLite alone.
//!
//! What is posted is what comes one by one in a city: paid load orders, their ids growing with time. A last line
//! posts the worst there is: to 200 accounts in turn, with ids scattered over the index.
//!
//! The bar at 256 callers: 20,000 a second, or 0.7 × 256 × the disk's syncs per second where that is less.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_arithmetic,
    reason = "a bench stops at the first surprise, and prints its table"
)]

use rusqlite::{Connection, Transaction, params};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use ykt_base::{Date, DateTime, Fen};
use ykt_ledger::{AccountCode, Entry, EntryId, LedgerWriter, MODULE, Posting, verify_balances, verify_chain};
use ykt_store::{GroupLimits, Store, StoreError};

/// Length of each measurement of postings.
const RUN: Duration = Duration::from_secs(4);
/// Length of each measurement of the disk.
const SYNC_RUN: Duration = Duration::from_millis(500);
/// Accounts the scattered postings go to, in turn.
const MERCHANTS: i64 = 200;
/// Callers of the three measurements; the bar is for the last.
const CALLERS: [i64; 3] = [1, 32, 256];
/// The bar: postings per second, or this share of callers times syncs per second where that is less.
const BAR: f64 = 20_000.0;
const BAR_SHARE: f64 = 0.7;

fn main() {
    // Beside the program, so that the disk is the one the build is on; temporary folders may lie in memory.
    let program = std::env::current_exe().unwrap();
    let home =
        tempfile::Builder::new().prefix("bench-postings-").tempdir_in(program.parent().unwrap()).unwrap();
    println!("Durable postings: one per call, closed loop; SQLite, WAL, synchronous=FULL");
    println!("{} CPUs, load average {}", thread::available_parallelism().unwrap(), load_average());
    println!();
    println!("{:<48} {:>10} {:>11} {:>13}", "", "postings/s", "per commit", "disk syncs/s");
    let mut last = Measured::default();
    for callers in CALLERS {
        let dir = home.path().join(format!("ledger-{callers}"));
        last = measure(home.path(), || ledger(&dir, callers, paid_order));
        last.print(&format!("ledger, callers: {callers}"));
    }
    for size in [1, last.per_commit.round().max(1.0) as i64] {
        let path = home.path().join(format!("alone-{size}.db"));
        let alone = measure(home.path(), || (sqlite_alone(&path, size), size as f64));
        alone.print("SQLite alone, the same rows, one caller");
    }
    let dir = home.path().join("ledger-scattered");
    let scattered = measure(home.path(), || ledger(&dir, CALLERS[2], scattered_purchase));
    scattered.print(&format!("ledger, callers: {}, scattered", CALLERS[2]));
    let by_disk = BAR_SHARE * CALLERS[2] as f64 * last.syncs;
    let bar = by_disk.min(BAR);
    println!();
    println!("bar at {} callers: {bar:.0}/s (the less of {BAR:.0} and {by_disk:.0} by the disk)", CALLERS[2]);
    println!("{}; load average now {}", if last.rate >= bar { "met" } else { "MISSED" }, load_average());
}

#[derive(Default)]
struct Measured {
    rate: f64,
    per_commit: f64,
    syncs: f64,
}

impl Measured {
    fn print(&self, name: &str) {
        println!("{name:<48} {:>10.0} {:>11.1} {:>13.0}", self.rate, self.per_commit, self.syncs);
    }
}

/// Measures with the disk measured before and after.
fn measure(home: &Path, work: impl FnOnce() -> (f64, f64)) -> Measured {
    let before = syncs_per_second(home);
    let (rate, per_commit) = work();
    Measured { rate, per_commit, syncs: f64::midpoint(before, syncs_per_second(home)) }
}

/// Postings per second and per commit of `callers` callers, each posting `entry(caller, n)` for n from 0; the book
/// is proven afterwards.
fn ledger(dir: &Path, callers: i64, entry: fn(i64, i64) -> Entry) -> (f64, f64) {
    let store = Store::open(dir, &[MODULE]).unwrap();
    let writer = LedgerWriter::start(store.clone(), GroupLimits::default()).unwrap();
    let began = Instant::now();
    thread::scope(|scope| {
        for caller in 0..callers {
            let writer = &writer;
            let posts = move || {
                let entries = (0..).map(|n| entry(caller, n));
                for entry in entries.take_while(|_| began.elapsed() < RUN) {
                    let answer = writer.post(vec![entry]).unwrap();
                    assert!(matches!(answer[..], [Posting::Posted { .. }]));
                }
            };
            thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, posts).unwrap();
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    let counts = writer.counts();
    let proof = store.read(|tx| Ok::<_, StoreError>((verify_chain(tx)?, verify_balances(tx)?))).unwrap();
    assert_eq!(u64::try_from(proof.0.entries), Ok(counts.jobs));
    assert_eq!((proof.0.altered, proof.1), (None, vec![]));
    (counts.jobs as f64 / seconds, counts.jobs as f64 / counts.batches as f64)
}

fn paid_order(caller: i64, n: i64) -> Entry {
    entry(&format!("load/{n:09}-{caller:03}/paid"), "LOAD-PAID", "1221.01/WECHAT", "2002/load-orders")
}

fn scattered_purchase(caller: i64, n: i64) -> Entry {
    let merchant = format!("2202.01/M{:014}", (caller + n) % MERCHANTS);
    entry(&format!("purchase/{caller}/{n}"), "PURCHASE", "2001", &merchant)
}

fn entry(id: &str, event: &str, debit: &str, credit: &str) -> Entry {
    let day = Date::new(2026, 11, 22).unwrap();
    let account = |code: &str| code.parse::<AccountCode>().unwrap();
    Entry::new(EntryId::new(id).unwrap(), day, DateTime::start_of(day), event)
        .debit(account(debit), Fen::new(5_000))
        .credit(account(credit), Fen::new(5_000))
}

/// Postings per second when a plain program writes the same rows, `size` postings a transaction.
fn sqlite_alone(path: &Path, size: i64) -> f64 {
    let mut database = Connection::open(path).unwrap();
    database.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").unwrap();
    database.execute_batch(MODULE.migrations[0]).unwrap();
    for (no, code) in [(0, "1221.01/WECHAT"), (1, "2002/load-orders")] {
        let account = "INSERT INTO ledger_account VALUES (?, ?, '', 0, 0)";
        database.execute(account, params![no, code]).unwrap();
    }
    let (began, mut posted) = (Instant::now(), 0);
    while began.elapsed() < RUN {
        let transaction = database.transaction().unwrap();
        for seq in posted + 1..=posted + size {
            write_rows(&transaction, seq);
        }
        transaction.commit().unwrap();
        posted += size;
    }
    posted as f64 / began.elapsed().as_secs_f64()
}

/// The rows of one posting: its entry and legs, and what changes with them.
fn write_rows(transaction: &Transaction<'_>, seq: i64) {
    let run = |sql: &str, params: &[&dyn rusqlite::ToSql]| {
        transaction.prepare_cached(sql).unwrap().execute(params).unwrap();
    };
    let (day, at, hash) = (20_261_122, 20_261_122_000_000_i64, [7_u8; 32]);
    let id = format!("load/{seq:09}-001/paid");
    let entry = "INSERT INTO ledger_entry VALUES (?, ?, ?, ?, 'LOAD-PAID', '', ?, ?)";
    run(entry, params![seq, id, day, at, hash, hash]);
    for (line, account, debit, credit) in [(0, 0, 5_000, 0), (1, 1, 0, 5_000)] {
        run("INSERT INTO ledger_leg VALUES (?, ?, ?)", params![seq * 256 + line, account, debit - credit]);
        let turnover =
            "UPDATE ledger_account SET debit = debit + ?, credit = credit + ? WHERE account_no = ?";
        run(turnover, params![debit, credit, account]);
        let movement = "INSERT INTO ledger_movement VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?5)
            ON CONFLICT DO UPDATE SET debit = debit + ?3, credit = credit + ?4, last_seq = ?5";
        run(movement, params![account, day, debit, credit, seq]);
    }
    let head = "INSERT INTO ledger_head VALUES (1, ?1, ?2) ON CONFLICT DO UPDATE SET seq = ?1, link = ?2";
    run(head, params![seq, hash]);
}

/// Syncs per second of the disk: 4 KiB written at the next place of a file, then `fsync`.
fn syncs_per_second(home: &Path) -> f64 {
    let path = home.join("syncs");
    let file = File::create(&path).unwrap();
    let (began, mut done) = (Instant::now(), 0_u64);
    while began.elapsed() < SYNC_RUN {
        file.write_all_at(&[7; 4096], done * 4096).unwrap();
        file.sync_all().unwrap();
        done += 1;
    }
    let rate = done as f64 / began.elapsed().as_secs_f64();
    std::fs::remove_file(path).unwrap();
    rate
}

/// Load average of the last minute, where the system states it.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}
