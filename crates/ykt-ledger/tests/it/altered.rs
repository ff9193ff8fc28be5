//! Every way to alter the book behind the program's back is found, and the first altered record named.

use crate::{assert_sound, book, day, moment, post_all, read, simple};
use ykt_ledger::{Alteration, ChainReport, Entry, close_day, verify_balances, verify_chain};
use ykt_store::{Store, StoreError};

fn ten_entries() -> Store {
    let store = book();
    let all: Vec<Entry> =
        (1..=10).map(|n| simple(&format!("a/{n}"), day(n), "1001", "2011", 100 * i64::from(n))).collect();
    post_all(&store, &all[..6]).unwrap();
    store.write(|tx| close_day(tx, day(6), moment(day(7), 0))).unwrap();
    post_all(&store, &all[6..]).unwrap();
    assert_sound(&store);
    store
}

/// The report after `sql` was run on a sound book.
fn after(sql: &str) -> ChainReport {
    let store = ten_entries();
    store.write(|tx| tx.execute_script(sql)).unwrap();
    read(&store, verify_chain)
}

fn first_content(sql: &str) -> Option<i64> {
    match after(sql).altered {
        Some(Alteration::Content { seq, .. }) => Some(seq),
        _ => None,
    }
}

#[test]
fn altered_content_is_named() {
    for sql in [
        "UPDATE ledger_entry SET id = 'a/x' WHERE seq = 4",
        "UPDATE ledger_entry SET day = 20261129 WHERE seq = 4",
        "UPDATE ledger_entry SET event = 'GIFT' WHERE seq = 4",
        "UPDATE ledger_entry SET memo = 'all is well' WHERE seq >= 4",
        "UPDATE ledger_leg SET amount = amount * 2 WHERE leg_no / 256 = 4",
        "UPDATE ledger_leg SET account_no = 3 - account_no WHERE leg_no / 256 = 4",
        "DELETE FROM ledger_leg WHERE leg_no = 4 * 256 + 1",
        "INSERT INTO ledger_leg VALUES (4 * 256 + 2, 1, 5)",
        "UPDATE ledger_account SET code = '1405' WHERE code = '1001'; UPDATE ledger_entry SET memo = 'x' WHERE seq = 1",
    ] {
        let expected = if sql.contains("1405") { 1 } else { 4 };
        assert_eq!(first_content(sql), Some(expected), "{sql}");
    }
    let report = after("UPDATE ledger_entry SET memo = 'x' WHERE seq = 4");
    assert_eq!(report.entries, 3, "the entries before are right");
}

#[test]
fn altered_moments_and_links_are_named() {
    for sql in [
        "UPDATE ledger_entry SET booked_at = booked_at + 1 WHERE seq = 4",
        "UPDATE ledger_entry SET link = X'0000000000000000000000000000000000000000000000000000000000000000' WHERE seq = 4",
    ] {
        assert!(matches!(after(sql).altered, Some(Alteration::Link { seq: 4, .. })), "{sql}");
    }
    let head =
        "UPDATE ledger_head SET link = X'0000000000000000000000000000000000000000000000000000000000000000'";
    assert!(matches!(after(head).altered, Some(Alteration::Link { seq: 10, .. })));
}

#[test]
fn removed_and_added_records_are_named() {
    let removed = |seq| format!("DELETE FROM ledger_entry WHERE seq = {seq}");
    assert_eq!(after(&removed(4)).altered, Some(Alteration::Missing { seq: 4 }));
    assert_eq!(after(&removed(10)).altered, Some(Alteration::Head { expected: 10, found: 9 }));
    let stray = "INSERT INTO ledger_leg VALUES (99 * 256, 1, 5)";
    assert_eq!(after(stray).altered, Some(Alteration::StrayLegs { count: 1 }));
    let shifted = "UPDATE ledger_entry SET seq = 99 WHERE seq = 10";
    assert_eq!(after(shifted).altered, Some(Alteration::Missing { seq: 10 }));
}

#[test]
fn what_cannot_be_read_is_named_not_stumbled_over() {
    for sql in [
        "UPDATE ledger_entry SET day = 20261301 WHERE seq = 4",
        "UPDATE ledger_entry SET digest = X'00' WHERE seq = 4",
        "UPDATE ledger_entry SET id = 'a b' WHERE seq = 4",
    ] {
        let altered = after(sql).altered.unwrap();
        assert!(matches!(&altered, Alteration::Unreadable { seq: 4, .. }), "{sql}: {altered}");
    }
}

#[test]
fn a_rewritten_past_does_not_fit_its_checkpoint() {
    let forged = "UPDATE ledger_closed_day SET link = X'0000000000000000000000000000000000000000000000000000000000000000'";
    assert_eq!(after(forged).altered, Some(Alteration::Checkpoint { day: day(6) }));
    let cut_off = "DELETE FROM ledger_entry WHERE seq > 5; DELETE FROM ledger_leg WHERE leg_no >= 6 * 256;
        UPDATE ledger_head SET seq = 5, link = (SELECT link FROM ledger_entry WHERE seq = 5)";
    assert_eq!(after(cut_off).altered, Some(Alteration::Checkpoint { day: day(6) }));
}

#[test]
fn altered_balances_are_found_from_the_legs() {
    for (sql, differences) in [
        ("UPDATE ledger_account SET debit = debit + 1 WHERE code = '1001'", 1),
        ("UPDATE ledger_movement SET credit = credit + 1 WHERE day = 20261104", 2),
        ("UPDATE ledger_movement SET booked_on = 20261130 WHERE day = 20261104", 4),
        ("DELETE FROM ledger_movement WHERE day = 20261104", 2),
    ] {
        let store = ten_entries();
        store.write(|tx| tx.execute_script(sql)).unwrap();
        let found = read(&store, verify_balances);
        assert_eq!(found.len(), differences, "{sql}: {found:?}");
        assert_eq!(read(&store, verify_chain).altered, None, "{sql}");
    }
}

#[test]
fn a_book_without_tables_is_a_fault_of_the_store() {
    let store = Store::in_memory(&[]).unwrap();
    assert!(matches!(store.read(verify_chain), Err(StoreError::Statement { .. })));
}
