//! A full disk: said clearly, nothing kept of what failed, and the book goes on when space returns.

use crate::{account, assert_sound, day, read, simple};
use ykt_base::Fen;
use ykt_ledger::{LedgerWriter, MODULE, PostError, Posting, balance};
use ykt_store::{GroupError, GroupLimits, Store, StoreError};

/// Lets the database have this many pages.
fn limit(store: &Store, pages: i64) {
    let sql = format!("PRAGMA max_page_count = {pages}");
    store.write(|tx| tx.query(&sql, &[], |row| row.i64(0))).unwrap();
}

#[test]
fn posting_stops_clearly_and_goes_on_after_space_returns() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &[MODULE]).unwrap();
    let writer = LedgerWriter::start(store.clone(), GroupLimits::default()).unwrap();
    limit(&store, 30);
    let post = |n: i64| {
        writer.post(vec![simple(&format!("a/{n}"), day(1), "1001", "2011", 1).memo("x".repeat(200))])
    };
    let mut acknowledged = 0;
    let refused = loop {
        match post(acknowledged + 1) {
            Ok(postings) => assert_eq!(postings, [Posting::Posted { seq: acknowledged + 1 }]),
            Err(refused) => break refused,
        }
        acknowledged += 1;
    };
    assert_eq!(refused, PostError::Group(GroupError::Store(StoreError::DiskFull)));
    assert!(refused.to_string().starts_with("no space left for the database"), "{refused}");
    assert!(acknowledged > 10);
    assert_eq!(read(&store, |tx| balance(tx, &account("1001"))), Fen::new(acknowledged));
    assert_sound(&store);
    limit(&store, 1_000_000);
    for n in 1..=acknowledged + 5 {
        let is_new = n > acknowledged;
        let expected = if is_new { Posting::Posted { seq: n } } else { Posting::Repeated { seq: n } };
        assert_eq!(post(n), Ok(vec![expected]));
    }
    assert_sound(&store);
}
