//! An audit log of a busy city: how fast it grows with its checkpoints, how long it takes to verify, to export, and to
//! find something in it.
//!
//! `YKT_BENCH_RECORDS` sets its length, 100,000 records when it is not set.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    reason = "a bench stops at the first surprise, and prints its table"
)]

#[path = "../../ykt-store/benches/sheet/mod.rs"]
mod sheet;

use sheet::{begin, often, once, part};
use std::fs::File;
use std::io::{BufReader, BufWriter};
use ykt_base::{DateTime, Rng};
use ykt_crypto::sm2::{PrivateKey, PublicKey, Signature, SignerId};
use ykt_office::audit::{self, AuditFilter, CheckpointSigner, Outcome, SignerGone, Trust, checkpoint, file};
use ykt_office::{Act, MODULE, Paging};
use ykt_store::{Store, StoreError};

/// Records of one transaction: what a line brings in at once, or a counter in some minutes.
const BATCH: u64 = 100;
/// Rows of a page of the console.
const PAGE_ROWS: u32 = 50;
/// Seconds between two records: a million of them are two years.
const EVERY_S: u64 = 63;

/// Words as they come, the frequent ones often: card numbers masked, as everywhere in the log.
const WORDS: [(&str, &str); 12] = [
    ("card/change", "2144 **** **** "),
    ("download/commands", "line-1 batch "),
    ("sign-in", ""),
    ("download/commands", "line-2 batch "),
    ("card/change", "2144 **** **** "),
    ("audit/read", ""),
    ("load/order", "O-20261122-"),
    ("sign-out", ""),
    ("psam/produced", "0000214400000"),
    ("load/order", "O-20261122-"),
    ("key-card/issue", "0000214400001"),
    ("card/report loss", "2144 **** **** "),
];

struct Count(u64);

impl Rng for Count {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

struct Pair(PrivateKey);

impl CheckpointSigner for Pair {
    fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    fn sign(&self, message: &[u8], rng: &mut dyn Rng) -> Result<Signature, SignerGone> {
        Ok(self.0.sign(SignerId::DEFAULT, &[message], rng))
    }
}

fn at(no: u64) -> DateTime {
    let first: DateTime = "20260302080000".parse().unwrap();
    first.plus_seconds(i64::try_from(no * EVERY_S).unwrap()).unwrap()
}

/// Record `no` of the log. One in a hundred is a refusal, one in ten thousand activates a key.
fn append(tx: &ykt_store::Tx<'_>, no: u64) -> Result<u64, StoreError> {
    let (mut what, object) = WORDS[(no % 12) as usize];
    let mut object = format!("{object}{:04}", no % 10_000);
    if no % 10_000 == 5_000 {
        (what, object) = ("key/activate", format!("load.1.{}", no / 10_000));
    }
    let outcome = if no % 100 == 99 { Outcome::Refused } else { Outcome::Done };
    let act = Act::of(&format!("clerk{:02}", no % 37), &format!("10.0.{}.7", no % 251), at(no));
    audit::append(tx, &act, what, &object, outcome, "in use -> reported lost, by the holder at counter 4")
}

fn grow(store: &Store, pair: &Pair, records: u64) {
    for first in (0..records).step_by(BATCH as usize) {
        store.write(|tx| (first..first + BATCH).try_for_each(|no| append(tx, no).map(drop))).unwrap();
        if store.read(|tx| checkpoint::is_due(tx, at(first + BATCH))).unwrap() {
            checkpoint::make(store, pair, at(first + BATCH), &mut Count(first)).unwrap();
        }
    }
}

fn main() {
    let records = sheet::size("YKT_BENCH_RECORDS", 100_000);
    begin(&format!("An audit log of {records} records"));
    let home = sheet::home();
    let store = Store::open(home.path(), &[MODULE]).unwrap();
    let pair = Pair(PrivateKey::generate(&mut Count(1)));

    part("It grows");
    once("records, 100 a transaction, with their checkpoints", records, || grow(&store, &pair, records));
    let mut no = records;
    often("one record, a transaction of its own", 200, || {
        store.write(|tx| append(tx, no)).unwrap();
        no += 1;
    });
    checkpoint::make(&store, &pair, at(no), &mut Count(2)).unwrap();
    let checkpoints = store.read(audit::checkpoints).unwrap();
    println!("{:<66} {:>10}", "checkpoints", checkpoints.len());

    part("It is verified");
    let whole = once("from the first record on", records, || store.read(audit::verify).unwrap());
    assert!(whole.is_whole(), "{whole}");
    let last_but_one = &checkpoints[checkpoints.len() - 2];
    often("behind the checkpoint before the last", 20, || {
        let report = store.read(|tx| audit::verify_behind(tx, last_but_one, Trust::Named));
        assert!(report.unwrap().is_whole());
    });
    let path = home.path().join("audit.jsonl");
    once("written into a file", records, || {
        let mut out = BufWriter::new(File::create_new(&path).unwrap());
        store.read(|tx| file::write(tx, at(no), &mut out)).unwrap();
    });
    let report = once("the file verified", records, || {
        file::verify(BufReader::new(File::open(&path).unwrap()), Trust::Named).unwrap()
    });
    assert!(report.is_whole(), "{report}");

    part("Something is found in it");
    find(&store, records);
    println!();
    println!("load average now {}", sheet::load());
}

fn find(store: &Store, records: u64) {
    let some = |text: &str| Some(text.to_owned());
    let page = |no: u64| Paging::new(u32::try_from(no).unwrap(), PAGE_ROWS);
    let pages = records / u64::from(PAGE_ROWS);
    let none = AuditFilter::default();
    let (day, next) = (at(records / 2), at(records / 2 + 24 * 3600 / EVERY_S));
    let questions = [
        ("the first page", none.clone(), page(1)),
        ("page 1000", none.clone(), page(1_000)),
        ("the last page", none.clone(), page(pages)),
        ("a day in the middle", AuditFilter { from: Some(day), until: Some(next), ..none.clone() }, page(1)),
        ("who", AuditFilter { who: some("clerk07"), ..none.clone() }, page(1)),
        ("what, frequent", AuditFilter { what: some("load/"), ..none.clone() }, page(1)),
        ("what, rare", AuditFilter { what: some("key/"), ..none.clone() }, page(1)),
        (
            "object, one in ten thousand",
            AuditFilter { object: some("line-1 batch 1237"), ..none.clone() },
            page(1),
        ),
        ("object, none", AuditFilter { object: some("nothing"), ..none.clone() }, page(1)),
        ("a refusal", AuditFilter { outcome: Some(Outcome::Refused), ..none.clone() }, page(1)),
        ("any text, frequent", AuditFilter { text: some("counter 4"), ..none.clone() }, page(1)),
        ("any text, none", AuditFilter { text: some("nothing"), ..none.clone() }, page(1)),
        (
            "who, what and a day",
            AuditFilter {
                who: some("clerk07"),
                what: some("load/"),
                from: Some(day),
                until: Some(next),
                ..none
            },
            page(1),
        ),
    ];
    for (name, filter, paging) in questions {
        let found = often(name, 5, || store.read(|tx| audit::list(tx, &filter, paging)).unwrap());
        println!("{:<66} {:>10}", "  found", found.totals);
    }
    often("one record", 200, || store.read(|tx| audit::record(tx, records / 3)).unwrap().unwrap());
    often("the checkpoint over it", 200, || {
        store.read(|tx| audit::checkpoint_over(tx, records / 3)).unwrap().unwrap()
    });
}
