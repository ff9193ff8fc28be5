//! kill -9 during the close of a day and during the receipt of files: after a restart the books are those of a
//! run that nobody cut.
//!
//! The test starts itself as a child on a data directory. The child stops at the n-th step it is told to, says so
//! and waits; there it is killed. The next child starts on the same directory and goes on.

use crate::world::*;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use ykt_clearing::{DirFolders, Folders, MemoryFolders, Step, Tray};
use ykt_files::XfRecord;
use ykt_store::{Store, StoreError, Tx, Value};

const DIR: &str = "YKT_KILLED_DIR";
const STOP_AT: &str = "YKT_KILLED_STOP_AT";
const STOPPED: &str = "stopped here";

/// Files of both merchants: good records, duplicates, a wrong TAC, grey ones, an unknown card, a late record.
fn files() -> Vec<(u32, String, Vec<u8>)> {
    let mut world = World::new();
    let sales: Vec<_> = (1..=20).map(|number| world.sale(number, 0, 5_000, 200)).collect();
    let mut first = sales.clone();
    first.push(XfRecord { serial: 500, ..sales[3] });
    first.push(XfRecord { tac: ykt_base::Mac4([0; 4]), ..world.sale(21, 0, 5_000, 200) });
    first.push(grey(world.sale(1, 1, 4_800, 300)));
    first.push(world.sale(999, 0, 5_000, 200));
    let shop: Vec<_> = (1..=20).map(|number| at_shop(world.sale(number, 2, 4_500, 100))).collect();
    let late: Vec<_> = (2..=20).map(|number| world.sale(number, 1, 4_800, 300)).collect();
    let of = |date, partner, sequence, records: &[XfRecord]| {
        let (name, bytes) = file(date, merchant(partner), sequence, records);
        (partner, name, bytes)
    };
    vec![of(D1, 1, 1, &first), of(D1, 2, 1, &shop), of(D2, 1, 1, &late), of(D2, 1, 2, &first)]
}

/// Folders that tell when a file is moved or put in place.
struct Watched {
    folders: DirFolders,
    step: Box<dyn Fn() + Send + Sync>,
}

impl Folders for Watched {
    fn uploads(&self) -> Result<Vec<ykt_clearing::folders::Upload>, ykt_clearing::FolderError> {
        self.folders.uploads()
    }

    fn read_upload(
        &self,
        partner: &ykt_base::MerchantCode,
        name: &str,
    ) -> Result<Option<Vec<u8>>, ykt_clearing::FolderError> {
        self.folders.read_upload(partner, name)
    }

    fn put_away(
        &self,
        partner: &ykt_base::MerchantCode,
        name: &str,
        to: Tray,
    ) -> Result<(), ykt_clearing::FolderError> {
        (self.step)();
        self.folders.put_away(partner, name, to)?;
        (self.step)();
        Ok(())
    }

    fn deliver(
        &self,
        partner: &ykt_base::MerchantCode,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), ykt_clearing::FolderError> {
        (self.step)();
        self.folders.deliver(partner, name, bytes)
    }

    fn send_to_bank(&self, name: &str, bytes: &[u8]) -> Result<(), ykt_clearing::FolderError> {
        (self.step)();
        self.folders.send_to_bank(name, bytes)
    }
}

/// Two days from what is in the folders, whatever was done of it before; `step` hears of every step.
fn run(dir: &Path, step: Arc<dyn Fn() + Send + Sync>) {
    let folders = DirFolders::open(&dir.join("partners")).unwrap();
    let store = Store::open(&dir.join("data"), MODULES).unwrap();
    let tell = step.clone();
    let watched = Watched { folders, step: Box::new(move || tell()) };
    let world = World::over(store, Arc::new(watched), Arc::new(MemoryFolders::new()));
    world.clearing.sweep().unwrap();
    for date in [D1, D2] {
        let is_of_day = |name: &str| name[2..10] == date.to_string();
        for upload in world.clearing.folders().uploads().unwrap() {
            if is_of_day(&upload.name) {
                let bytes =
                    world.clearing.folders().read_upload(&upload.partner, &upload.name).unwrap().unwrap();
                let now = at(date, 120_000);
                world.clearing.receive(&upload.partner, &upload.name, &bytes, now, day(date)).unwrap();
            }
        }
        world.try_close(date, &mut |_: Step| step()).unwrap();
    }
}

/// Everything in the tables and folders, in one text.
fn dump(dir: &Path) -> String {
    let store = Store::open(&dir.join("data"), MODULES).unwrap();
    let mut out = String::new();
    let tables = [
        "clearing_file",
        "clearing_record",
        "clearing_verdict",
        "clearing_card",
        "clearing_gap",
        "clearing_psam",
        "clearing_card_day",
        "clearing_difference",
        "clearing_hour",
        "clearing_bill",
        "clearing_day",
        "clearing_transfer",
        "clearing_payment",
        "ledger_entry",
        "ledger_leg",
        "ledger_account",
        "ledger_closed_day",
    ];
    for table in tables {
        let rows = store.read(|tx| rows_of(tx, table)).unwrap();
        assert!(!rows.is_empty() || matches!(table, "clearing_difference" | "clearing_gap"), "{table}");
        out.push_str(&format!("{table}\n{}\n", rows.join("\n")));
    }
    let mut paths = vec![dir.join("partners")];
    let mut found = Vec::new();
    while let Some(path) = paths.pop() {
        for entry in std::fs::read_dir(&path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                paths.push(path);
            } else {
                let content = ykt_crypto::chain::sm3(&[&std::fs::read(&path).unwrap()]);
                found.push(format!("{} {content}", path.strip_prefix(dir).unwrap().display()));
            }
        }
    }
    found.sort();
    out + &found.join("\n")
}

fn rows_of(tx: &Tx<'_>, table: &str) -> Result<Vec<String>, StoreError> {
    tx.query(&format!("SELECT * FROM {table} ORDER BY 1, 2"), &[], |row| {
        let mut text = String::new();
        for column in 0..32 {
            match row.value(column) {
                Ok(Value::Blob(bytes)) => text.push_str(&format!("{} | ", ykt_base::hex::Hex(bytes))),
                Ok(value) => text.push_str(&format!("{value:?} | ")),
                Err(_) => break,
            }
        }
        Ok(text)
    })
}

fn prepare(dir: &Path) {
    let folders = DirFolders::open(&dir.join("partners")).unwrap();
    let store = Store::open(&dir.join("data"), MODULES).unwrap();
    found(&store, 25);
    for (partner, name, bytes) in files() {
        folders.add_partner(&merchant(partner)).unwrap();
        std::fs::write(folders.tray(&merchant(partner), Tray::Upload).join(name), bytes).unwrap();
    }
}

/// The child: it is no test of its own and does nothing when it is run as one.
#[test]
fn child_that_is_killed() {
    let (Ok(dir), Ok(stop_at)) = (std::env::var(DIR), std::env::var(STOP_AT)) else { return };
    let stop_at: u32 = stop_at.parse().unwrap();
    let steps = std::sync::atomic::AtomicU32::new(0);
    run(
        Path::new(&dir),
        Arc::new(move || {
            if steps.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == stop_at {
                println!("\n{STOPPED}");
                // Waits for input that never comes, until it is killed.
                let _ = std::io::stdin().read(&mut [0]);
            }
        }),
    );
}

/// Runs a child up to step `stop_at` and kills it there; answers whether it came that far.
fn kill_at(dir: &Path, stop_at: u32) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::child_that_is_killed", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(STOP_AT, stop_at.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _stdin = child.stdin.take();
    let out = BufReader::new(child.stdout.take().unwrap());
    let is_stopped = out.lines().any(|line| line.unwrap() == STOPPED);
    if is_stopped {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    assert_eq!(status.success(), !is_stopped, "the child ends by the kill or by itself, not by a fault");
    is_stopped
}

#[test]
fn killed_anywhere_the_books_equal_an_uninterrupted_run() {
    let whole = tempfile::tempdir().unwrap();
    prepare(whole.path());
    let steps = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counter = steps.clone();
    run(
        whole.path(),
        Arc::new(move || {
            counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }),
    );
    let expected = dump(whole.path());
    let steps = steps.load(std::sync::atomic::Ordering::SeqCst);
    assert!(steps > 40, "{steps} steps are too few to cut at");
    for stop_at in 1..=steps {
        let cut = tempfile::tempdir().unwrap();
        prepare(cut.path());
        assert!(kill_at(cut.path(), stop_at), "step {stop_at} of {steps} was not reached");
        run(cut.path(), Arc::new(|| {}));
        assert!(dump(cut.path()) == expected, "killed at step {stop_at} of {steps}, the books differ");
    }
    killed_again_and_again(&expected);
}

/// Every run gets a little further before it is killed, until one ends by itself.
fn killed_again_and_again(expected: &str) {
    let cut = tempfile::tempdir().unwrap();
    prepare(cut.path());
    let mut kills = 0;
    while kill_at(cut.path(), kills + 1) {
        kills += 1;
        assert!(kills < 200);
    }
    assert!(kills > 5, "{kills} kills");
    assert!(dump(cut.path()) == expected, "killed {kills} times, the books differ");
}
