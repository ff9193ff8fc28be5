//! Posting: once per id, all or none, and refusals that leave nothing behind.

use crate::{account, assert_sound, book, day, moment, post_all, post_each, read, simple};
use ykt_base::Fen;
use ykt_ledger::{
    AMOUNT_MAX, Direction, Entry, EntryFilter, EntryId, LedgerWriter, Paging, PostError, Posting, balance,
    entries, entry, post,
};
use ykt_store::{GroupLimits, StoreError};

#[test]
fn an_id_is_booked_once() {
    let store = book();
    let first = simple("a/1", day(1), "1001", "2011", 2_000);
    assert_eq!(post_all(&store, std::slice::from_ref(&first)), Ok(vec![Posting::Posted { seq: 1 }]));
    let later = Entry { at: moment(day(2), 5), ..first.clone() };
    for again in [&first, &later] {
        assert_eq!(post_all(&store, std::slice::from_ref(again)), Ok(vec![Posting::Repeated { seq: 1 }]));
    }
    let both = [simple("a/2", day(1), "1001", "2011", 1), simple("a/2", day(1), "1001", "2011", 1)];
    assert_eq!(post_all(&store, &both), Ok(vec![Posting::Posted { seq: 2 }, Posting::Repeated { seq: 2 }]));
    assert_eq!(read(&store, |tx| balance(tx, &account("1001"))), Fen::new(2_001));
    assert_sound(&store);
}

#[test]
fn other_content_under_the_same_id_is_refused_with_both_digests() {
    let store = book();
    let first = simple("a/1", day(1), "1001", "2011", 2_000);
    let other = simple("a/1", day(1), "1001", "2011", 2_001);
    post_all(&store, std::slice::from_ref(&first)).unwrap();
    let refused = post_all(&store, std::slice::from_ref(&other)).unwrap_err();
    let (expected, found) = (first.digest(), other.digest());
    assert_eq!(refused, PostError::Conflict { id: first.id, seq: 1, expected, found });
    let text = refused.to_string();
    assert!(text.contains(&expected.to_string()) && text.contains(&found.to_string()), "{text}");
}

#[test]
fn a_slice_is_booked_whole_or_not_at_all() {
    let store = book();
    let bad = simple("a/2", day(1), "1001", "2011", 5).debit(account("1001"), Fen::new(1));
    let slice = [simple("a/1", day(1), "1001", "2011", 5), bad];
    assert!(matches!(post_all(&store, &slice), Err(PostError::NotZero { .. })));
    store
        .write(|tx| {
            let refused = post(tx, &slice);
            assert!(matches!(refused, Err(PostError::NotZero { .. })));
            // The caller goes on in the same transaction.
            post(tx, &[simple("a/3", day(1), "1002.01", "2011", 7)])
        })
        .unwrap();
    let page = read(&store, |tx| entries(tx, &EntryFilter::default(), Direction::Up, Paging::first(10)));
    assert_eq!(page.rows.iter().map(|booked| booked.entry.id.as_str()).collect::<Vec<_>>(), ["a/3"]);
    assert_eq!(page.rows[0].seq, 1, "a refused entry takes no number");
    assert_sound(&store);
}

#[test]
fn a_refused_group_leaves_its_neighbours_alone() {
    let store = book();
    let groups = [
        vec![simple("a/1", day(1), "1001", "2011", 5)],
        vec![simple("a/2", day(1), "1001", "2011", 6), simple("a/1", day(1), "1001", "2011", 99)],
        vec![simple("a/2", day(1), "1001", "2011", 7)],
        vec![simple("a/1", day(1), "1001", "2011", 5)],
        vec![],
    ];
    let answers = post_each(&store, &groups);
    assert_eq!(answers[0], Ok(vec![Posting::Posted { seq: 1 }]));
    assert!(matches!(answers[1], Err(PostError::Conflict { seq: 1, .. })));
    assert_eq!(answers[2], Ok(vec![Posting::Posted { seq: 2 }]), "a/2 of the refused group was taken back");
    assert_eq!(answers[3], Ok(vec![Posting::Repeated { seq: 1 }]));
    assert_eq!(answers[4], Ok(vec![]));
    assert_eq!(read(&store, |tx| balance(tx, &account("2011"))), Fen::new(-12));
    assert_sound(&store);
}

#[test]
fn turnover_that_would_not_fit_is_refused_and_leaves_no_trace() {
    let store = book();
    let huge = |n: i64| {
        Entry::new(EntryId::new(format!("huge/{n}")).unwrap(), day(1), moment(day(1), n), "TEST")
            .debit(account("1001"), AMOUNT_MAX)
            .credit(account("2011"), AMOUNT_MAX)
    };
    let fitting = i64::MAX / AMOUNT_MAX.fen();
    let all: Vec<Entry> = (0..fitting).map(huge).collect();
    post_all(&store, &all).unwrap();
    let over = huge(fitting);
    let refused = post_all(&store, std::slice::from_ref(&over)).unwrap_err();
    assert_eq!(refused, PostError::Overflow { id: over.id.clone(), account: account("1001") });
    // The leg before the one that does not fit must be taken back.
    let part =
        Entry { legs: [simple("x", day(1), "1405", "4001", 5).legs, over.legs.clone()].concat(), ..over };
    let groups = [vec![part], vec![simple("small", day(1), "1405", "4001", 1)]];
    let answers = post_each(&store, &groups);
    assert!(matches!(answers[0], Err(PostError::Overflow { .. })) && answers[1].is_ok());
    assert_eq!(read(&store, |tx| balance(tx, &account("1405"))), Fen::new(1));
    assert_sound(&store);
}

#[test]
fn an_entry_comes_back_as_it_was_posted() {
    let store = book();
    let posted = simple("a/1", day(1), "1221.01/WECHAT", "2002/load-orders", 5_000).memo("充值 order 1");
    post_all(&store, std::slice::from_ref(&posted)).unwrap();
    let booked = read(&store, |tx| entry(tx, &posted.id)).unwrap();
    assert_eq!((booked.seq, booked.digest), (1, posted.digest()));
    assert_eq!(booked.entry, posted);
    assert_eq!(read(&store, |tx| entry(tx, &EntryId::new("a/2").unwrap())), None);
}

#[test]
fn the_writer_answers_each_caller() {
    let store = book();
    let writer = LedgerWriter::start(store.clone(), GroupLimits::default()).unwrap();
    assert_eq!(
        writer.post(vec![simple("a/1", day(1), "1001", "2011", 5)]),
        Ok(vec![Posting::Posted { seq: 1 }])
    );
    let ticket = writer.submit(vec![simple("a/1", day(1), "1001", "2011", 5)]).unwrap();
    assert_eq!(ticket.wait(), Ok(vec![Posting::Repeated { seq: 1 }]));
    let (done, answer) = std::sync::mpsc::channel();
    let other = vec![simple("a/1", day(1), "1001", "2011", 6)];
    writer.submit_then(other, move |answer| done.send(answer).unwrap()).unwrap();
    assert!(matches!(answer.recv().unwrap(), Err(PostError::Conflict { .. })));
}

#[test]
fn a_store_without_the_tables_says_so() {
    let store = ykt_store::Store::in_memory(&[]).unwrap();
    let refused = post_all(&store, &[simple("a/1", day(1), "1001", "2011", 5)]).unwrap_err();
    assert!(matches!(refused, PostError::Store(StoreError::Statement { .. })), "{refused}");
}
