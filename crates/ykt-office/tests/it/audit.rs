//! The audit log: who did what, chained, and every alteration found.

use crate::{act, at, new_merchant, office, read};
use ykt_office::audit::{self, AuditFilter, ChainReport, Outcome};
use ykt_office::{Paging, merchants};
use ykt_store::{Store, StoreError, params};

fn log_of(records: i64) -> Store {
    let store = office();
    for no in 0..records {
        let outcome = if no % 3 == 0 { Outcome::Refused } else { Outcome::Done };
        store.write(|tx| audit::append(tx, &act(no), "test", &format!("object {no}"), outcome, "")).unwrap();
    }
    store
}

fn report(store: &Store) -> ChainReport {
    read(store, audit::verify)
}

#[test]
fn every_changed_field_and_every_missing_record_is_found() {
    let whole = report(&log_of(5));
    assert!(matches!(whole, ChainReport::Whole { records: 5, .. }));
    for column in ["at", "who", "from_where", "what", "object", "outcome", "detail"] {
        let store = log_of(5);
        let value = match column {
            "at" => "20260101000000",
            "outcome" => "1 - outcome",
            _ => "'forged'",
        };
        let sql = format!("UPDATE office_audit SET {column} = {value} WHERE seq = 3");
        store.write(|tx| tx.execute(&sql, &[])).unwrap();
        assert_eq!(report(&store), ChainReport::Changed { seq: 3 }, "{column}");
    }
    for seq in 1..=4_i64 {
        let store = log_of(5);
        let sql = "DELETE FROM office_audit WHERE seq = $1";
        store.write(|tx| tx.execute(sql, params![seq])).unwrap();
        assert_eq!(report(&store), ChainReport::Missing { seq: seq.unsigned_abs() });
    }
    let cut = log_of(5);
    cut.write(|tx| tx.execute("DELETE FROM office_audit WHERE seq = 5", &[])).unwrap();
    assert_ne!(report(&cut), whole, "a cut end shows against the link written down elsewhere");
}

#[test]
fn an_act_and_its_record_stand_or_fall_together() {
    let store = office();
    let failed: Result<(), StoreError> = store.write(|tx| {
        merchants::register(tx, &new_merchant(1), &act(0)).unwrap();
        Err(StoreError::DiskFull)
    });
    assert!(failed.is_err());
    assert!(matches!(report(&store), ChainReport::Whole { records: 0, .. }));
}

#[test]
fn lists_filter_by_time_person_text_and_outcome() {
    let store = log_of(10);
    let count = |filter: AuditFilter| read(&store, |tx| audit::list(tx, &filter, Paging::first(2))).totals;
    assert_eq!(count(AuditFilter::default()), 10);
    let span = AuditFilter { from: Some(at(2)), until: Some(at(5)), ..AuditFilter::default() };
    assert_eq!(count(span), 3);
    assert_eq!(count(AuditFilter { outcome: Some(Outcome::Refused), ..AuditFilter::default() }), 4);
    assert_eq!(count(AuditFilter { text: Some("OBJECT 7".to_owned()), ..AuditFilter::default() }), 1);
    assert_eq!(count(AuditFilter { who: Some("li".to_owned()), ..AuditFilter::default() }), 0);
}
