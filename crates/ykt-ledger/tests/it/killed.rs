//! kill -9 while four callers post: after each restart no acknowledged posting is lost, none is doubled, and
//! chain and balances are right. The child is this test binary again, told its part by the environment.

use crate::{account, assert_sound, day, read, simple};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use ykt_base::Fen;
use ykt_ledger::{Direction, EntryFilter, EntryId, LedgerWriter, MODULE, Paging, balance, entries, entry};
use ykt_store::{GroupLimits, Store};

/// Data directory of the child, and the first number each caller posts: `dir|n,n,n,n`.
const PART: &str = "YKT_TEST_KILLED";
const CALLERS: usize = 4;
const ME: &str = "killed::a_killed_process_loses_and_doubles_nothing";

fn id(caller: usize, n: usize) -> String {
    format!("killed/{caller}/{n}")
}

/// Posts without end and tells each acknowledgement on stdout.
fn post_for_ever(dir: &Path, starts: &[usize]) {
    let store = Store::open(dir, &[MODULE]).unwrap();
    let writer = LedgerWriter::start(store, GroupLimits::default()).unwrap();
    std::thread::scope(|scope| {
        for (caller, start) in starts.iter().enumerate() {
            let writer = &writer;
            scope.spawn(move || {
                for n in *start.. {
                    writer.post(vec![simple(&id(caller, n), day(1), "1001", "2011", 1)]).unwrap();
                    // One write of one line: lines of different callers do not mix.
                    std::io::stdout().write_all(format!("\nacknowledged {caller} {n}\n").as_bytes()).unwrap();
                }
            });
        }
    });
}

/// Runs the child until it acknowledged `count` postings, kills it, and returns all that it acknowledged.
fn run_and_kill(dir: &Path, starts: &[usize], count: usize) -> Vec<(usize, usize)> {
    let starts: Vec<String> = starts.iter().map(ToString::to_string).collect();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", ME, "--nocapture"])
        .env(PART, format!("{}|{}", dir.display(), starts.join(",")))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut acknowledged = Vec::new();
    for line in lines {
        // What was told before the kill arrives after it too, up to a torn last line.
        let mut words = line.split(' ');
        if let (Some("acknowledged"), Some(caller), Some(n)) = (words.next(), words.next(), words.next()) {
            acknowledged.push((caller.parse().unwrap(), n.parse().unwrap()));
        }
        if acknowledged.len() == count {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "the child was killed");
    acknowledged
}

#[test]
fn a_killed_process_loses_and_doubles_nothing() {
    if let Ok(part) = std::env::var(PART) {
        let (dir, starts) = part.split_once('|').unwrap();
        let starts: Vec<usize> = starts.split(',').map(|n| n.parse().unwrap()).collect();
        post_for_ever(Path::new(dir), &starts);
    }
    let dir = tempfile::tempdir().unwrap();
    // Next number of each caller that was not acknowledged.
    let mut next = [0_usize; CALLERS];
    for count in [3, 17, 40, 71, 1, 29] {
        // Each caller begins with its last acknowledged posting: a repeat without effect.
        let starts = next.map(|n: usize| n.saturating_sub(1));
        for (caller, n) in run_and_kill(dir.path(), &starts, count) {
            next[caller] = next[caller].max(n + 1);
        }
        let store = Store::open(dir.path(), &[MODULE]).expect("the lock went with its process");
        assert_sound(&store);
        let mut booked = 0;
        for (caller, n) in next.iter().enumerate() {
            let is_booked = |n| {
                let id = EntryId::new(id(caller, n)).unwrap();
                read(&store, |tx| entry(tx, &id)).is_some()
            };
            assert!((0..*n).all(&is_booked), "caller {caller}: an acknowledged posting is lost");
            // At most the one under way at the kill is there besides.
            booked += n + usize::from(is_booked(*n));
            assert!(!is_booked(n + 1));
        }
        let total =
            read(&store, |tx| entries(tx, &EntryFilter::default(), Direction::Up, Paging::default())).totals;
        assert_eq!(total.entries, i64::try_from(booked).unwrap());
        assert_eq!(read(&store, |tx| balance(tx, &account("1001"))), Fen::new(total.entries));
    }
    assert!(next.iter().sum::<usize>() > 100);
}
