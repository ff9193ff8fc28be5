//! The black list: versions, increments, losses, and what reached which terminal.

use crate::{act, asn, at, merchant_code, new_card, new_merchant, office, pos, read};
use ykt_base::Asn8;
use ykt_office::blacklist::{self, ListFilter, ListKind, ListOp, ListVersion};
use ykt_office::cards::{self, CardEvent};
use ykt_office::terminals::{self, NewTerminal};
use ykt_office::{Paging, RegisterError, merchants};
use ykt_store::Store;

fn office_with(count: u64) -> Store {
    let store = office();
    let batch: Vec<_> = (1..=count).map(new_card).collect();
    let numbers: Vec<Asn8> = (1..=count).map(asn).collect();
    store
        .write(|tx| {
            cards::register(tx, &batch, &act(0))?;
            cards::issue(tx, &numbers, &act(0))?;
            merchants::register(tx, &new_merchant(1), &act(0))?;
            (1..=2).try_for_each(|no| {
                terminals::register(tx, &NewTerminal { pos: pos(no), merchant: merchant_code(1) }, &act(0))
            })
        })
        .unwrap();
    store
}

fn change(store: &Store, no: u64, event: CardEvent, minutes: i64) {
    store.write(|tx| cards::change(tx, &asn(no), event, "", &act(minutes))).unwrap();
}

fn named(store: &Store, version: u32) -> Vec<(Asn8, ListKind)> {
    let entries = read(store, |tx| blacklist::list_at(tx, ListVersion(version)));
    entries.into_iter().map(|entry| (entry.asn, entry.kind)).collect()
}

#[test]
fn each_change_makes_a_version_and_every_version_can_be_had_again() {
    let store = office_with(3);
    assert_eq!(read(&store, blacklist::version), ListVersion(0));
    change(&store, 2, CardEvent::PreReportLoss, 1);
    change(&store, 1, CardEvent::ReportLoss, 2);
    change(&store, 2, CardEvent::ReportLoss, 3);
    change(&store, 1, CardEvent::RemoveLoss, 4);
    change(&store, 2, CardEvent::Cancel, 5);
    assert_eq!(read(&store, blacklist::version), ListVersion(5));
    assert_eq!(named(&store, 0), []);
    assert_eq!(named(&store, 1), [(asn(2), ListKind::TemporarilyLost)]);
    assert_eq!(named(&store, 2), [(asn(1), ListKind::Lost), (asn(2), ListKind::TemporarilyLost)]);
    assert_eq!(named(&store, 3), [(asn(1), ListKind::Lost), (asn(2), ListKind::Lost)]);
    assert_eq!(named(&store, 4), [(asn(2), ListKind::Lost)]);
    assert_eq!(named(&store, 5), [(asn(2), ListKind::Cancelled)]);
    let newest = read(&store, |tx| blacklist::newest(tx, 10));
    assert_eq!(newest, read(&store, |tx| blacklist::list_at(tx, ListVersion(5))));
}

#[test]
fn every_increment_leads_from_its_base_to_the_list() {
    let store = office_with(4);
    for (minutes, (no, event)) in [
        (1, CardEvent::ReportLoss),
        (2, CardEvent::ReportLoss),
        (1, CardEvent::RemoveLoss),
        (3, CardEvent::Lock),
        (1, CardEvent::ReportLoss),
        (3, CardEvent::Unlock),
        (2, CardEvent::Replace),
    ]
    .into_iter()
    .enumerate()
    {
        change(&store, no, event, i64::try_from(minutes).unwrap() + 1);
    }
    let last = read(&store, blacklist::version).0;
    assert_eq!(last, 7);
    for base in 0..=last {
        let increment = store.read(|tx| blacklist::increment(tx, ListVersion(base))).unwrap();
        let mut held: std::collections::BTreeMap<_, _> = named(&store, base).into_iter().collect();
        for change in &increment.changes {
            match change.op {
                ListOp::Add(kind) => held.insert(change.asn, kind),
                ListOp::Delete => held.remove(&change.asn),
            };
        }
        assert_eq!(held.into_iter().collect::<Vec<_>>(), named(&store, last), "from {base}");
    }
    let ahead = store.read(|tx| blacklist::increment(tx, ListVersion(8)));
    assert!(matches!(ahead, Err(RegisterError::Unknown { .. })));
}

#[test]
fn a_loss_takes_effect_and_ends() {
    let store = office_with(1);
    let report =
        |effective, minutes| store.write(|tx| cards::report_loss(tx, &asn(1), at(effective), &act(minutes)));
    change(&store, 1, CardEvent::PreReportLoss, 10);
    report(30, 20).unwrap();
    report(30, 20).unwrap();
    change(&store, 1, CardEvent::RemoveLoss, 40);
    assert!(report(39, 50).is_err(), "before the end of the loss before");
    report(45, 50).unwrap();
    let losses = read(&store, |tx| blacklist::losses_of(tx, &asn(1)));
    let spans: Vec<_> = losses.iter().map(|loss| (loss.effective_at, loss.removed_at)).collect();
    assert_eq!(spans, [(at(10), Some(at(40))), (at(45), None)], "a pre-report keeps its moment");
    assert!(losses[0].covers(at(10)) && !losses[0].covers(at(40)));
}

#[test]
fn deliveries_are_of_known_terminals_and_versions_and_the_first_stands() {
    let store = office_with(2);
    change(&store, 1, CardEvent::ReportLoss, 1);
    let deliver = |no, version, minutes| {
        store.write(|tx| blacklist::list_delivered(tx, &pos(no), ListVersion(version), at(minutes)))
    };
    deliver(1, 1, 5).unwrap();
    deliver(1, 1, 9).unwrap();
    assert!(deliver(3, 1, 5).is_err());
    assert!(deliver(1, 2, 5).is_err());
    change(&store, 2, CardEvent::Lock, 6);
    deliver(2, 2, 7).unwrap();
    let held = read(&store, blacklist::held_by_terminals);
    let held: Vec<_> = held.iter().map(|held| (held.pos, held.version.0, held.at)).collect();
    assert_eq!(held, [(pos(1), 1, at(5)), (pos(2), 2, at(7))]);
    let versions = read(&store, |tx| blacklist::versions(tx, Paging::default()));
    let reached: Vec<_> = versions.rows.iter().map(|row| (row.change.version.0, row.terminals)).collect();
    assert_eq!((reached, versions.totals), (vec![(2, 1), (1, 2)], 2));
}

#[test]
fn lock_feedback_makes_room_on_the_list() {
    let store = office_with(2);
    change(&store, 1, CardEvent::ReportLoss, 1);
    let row = store.write(|tx| cards::lock_reported(tx, &asn(1), &act(5))).unwrap();
    assert_eq!(row.state, cards::CardState::Lost, "still lost, but out of harm's way");
    assert_eq!(read(&store, |tx| blacklist::newest(tx, 10)), []);
    let row = store.write(|tx| cards::lock_reported(tx, &asn(2), &act(6))).unwrap();
    assert_eq!(row.state, cards::CardState::Locked);
    assert_eq!(read(&store, |tx| blacklist::losses_of(tx, &asn(1))).len(), 1);
}

#[test]
fn a_list_longer_than_a_terminal_is_cut_to_the_newest() {
    let store = office_with(5);
    for no in [3, 1, 5, 2] {
        change(&store, no, CardEvent::ReportLoss, 1);
    }
    let cut = read(&store, |tx| blacklist::newest(tx, 2));
    assert_eq!(cut.iter().map(|entry| entry.asn).collect::<Vec<_>>(), [asn(2), asn(5)]);
    let filter = ListFilter { kind: Some(ListKind::Lost), asn: None };
    let page = read(&store, |tx| blacklist::list(tx, &filter, Paging::first(1)));
    assert_eq!((page.totals, page.rows[0].asn), (4, asn(2)));
}
