//! Group commit: together, in order, answered after the commit, and each job on its own.

use crate::{WORDS, words};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use ykt_store::{GroupCounts, GroupError, GroupLimits, GroupWriter, Store, StoreError, Tx, params};

/// Adds each word under the next id; a word there already is that job's own error.
fn add_words(tx: &Tx<'_>, jobs: &[String]) -> Result<Vec<Result<i64, StoreError>>, StoreError> {
    jobs.iter()
        .map(|text| {
            let added = tx.savepoint(|tx| {
                tx.execute("INSERT INTO word (text) VALUES ($1)", params![text])?;
                let id = tx.query_one("SELECT MAX(id) FROM word", &[], |row| row.i64(0))?;
                Ok(id.unwrap_or(0))
            });
            match added {
                Err(StoreError::Constraint { .. }) | Ok(_) => Ok(added),
                Err(error) => Err(error),
            }
        })
        .collect()
}

type Writer = GroupWriter<String, Result<i64, StoreError>>;

fn writer(store: &Store, limits: GroupLimits) -> Writer {
    GroupWriter::start(store.clone(), limits, add_words).unwrap()
}

/// A writer whose batches wait until told to go on; it reports the length of each batch.
fn gated(store: &Store, limits: GroupLimits) -> (Writer, Sender<()>, Receiver<usize>) {
    let (go, gate) = channel::<()>();
    let (seen, batches) = channel();
    let apply = move |tx: &Tx<'_>, jobs: &[String]| {
        seen.send(jobs.len()).unwrap();
        gate.recv().unwrap();
        add_words(tx, jobs)
    };
    (GroupWriter::start(store.clone(), limits, apply).unwrap(), go, batches)
}

#[test]
fn what_waits_together_is_committed_together_and_in_order() {
    let store = Store::in_memory(&[WORDS]).unwrap();
    let (writer, go, batches) = gated(&store, GroupLimits { queue_len_max: 100, batch_len_max: 4 });
    let first = writer.submit("first".to_owned()).unwrap();
    assert_eq!(batches.recv(), Ok(1));
    let tickets: Vec<_> = (0..6).map(|n| writer.submit(format!("w{n}")).unwrap()).collect();
    assert!(!first.is_ready(), "no answer before the commit");
    (0..3).for_each(|_| go.send(()).unwrap());
    assert_eq!(first.wait(), Ok(Ok(1)));
    let ids: Vec<_> = tickets.into_iter().map(|ticket| ticket.wait().unwrap().unwrap()).collect();
    assert_eq!(ids, [2, 3, 4, 5, 6, 7]);
    assert_eq!(batches.try_iter().collect::<Vec<_>>(), [4, 2]);
    assert_eq!(writer.counts(), GroupCounts { batches: 3, jobs: 7, queue_len: 0 });
}

#[test]
fn a_refused_job_leaves_its_neighbours_alone() {
    let store = Store::in_memory(&[WORDS]).unwrap();
    let (writer, go, _batches) = gated(&store, GroupLimits::default());
    let tickets: Vec<_> = ["a", "b", "a", "c"].map(|text| writer.submit(text.to_owned()).unwrap()).into();
    (0..4).for_each(|_| go.send(()).unwrap());
    let answers: Vec<_> = tickets.into_iter().map(|ticket| ticket.wait().unwrap()).collect();
    assert!(matches!(&answers[2], Err(StoreError::Constraint { .. })));
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3);
    assert_eq!(words(&store), ["a", "b", "c"]);
}

#[test]
fn a_batch_that_cannot_be_committed_fails_whole_and_the_next_goes_on() {
    let store = Store::in_memory(&[WORDS]).unwrap();
    let (writer, go, batches) = gated(&store, GroupLimits::default());
    let limit = |pages: i64| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        store.write(|tx| tx.query(&sql, &[], |row| row.i64(0))).unwrap();
    };
    limit(1);
    let first = writer.submit("x".repeat(10_000)).unwrap();
    assert_eq!(batches.recv(), Ok(1));
    let (small, large) =
        (writer.submit("small".to_owned()).unwrap(), writer.submit("x".repeat(9_000)).unwrap());
    (0..2).for_each(|_| go.send(()).unwrap());
    for ticket in [first, small, large] {
        assert_eq!(ticket.wait(), Err(GroupError::Store(StoreError::DiskFull)));
    }
    assert!(words(&store).is_empty());
    limit(1_000_000);
    go.send(()).unwrap();
    assert_eq!(writer.call("small".to_owned()), Ok(Ok(1)));
}

#[test]
fn a_full_queue_refuses_at_once_and_a_patient_caller_waits() {
    let store = Store::in_memory(&[WORDS]).unwrap();
    let (writer, go, batches) = gated(&store, GroupLimits { queue_len_max: 2, batch_len_max: 1 });
    let mut tickets = vec![writer.submit("0".to_owned()).unwrap()];
    batches.recv().unwrap();
    tickets.extend(["1", "2"].map(|text| writer.submit(text.to_owned()).unwrap()));
    let full = GroupError::QueueFull { queue_len_max: 2 };
    assert_eq!(writer.submit("3".to_owned()).err(), Some(full.clone()));
    let called = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&called);
    let refused = writer.submit_then("3".to_owned(), move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    assert_eq!((refused, called.load(Ordering::SeqCst)), (Err(full), 0));
    thread::scope(|scope| {
        let patient = scope.spawn(|| writer.call("patient".to_owned()));
        (0..4).for_each(|_| go.send(()).unwrap());
        assert!(matches!(patient.join().unwrap(), Ok(Ok(_))));
    });
    assert!(tickets.into_iter().all(|ticket| matches!(ticket.wait(), Ok(Ok(_)))));
    assert_eq!(words(&store).len(), 4);
}

#[test]
fn callbacks_come_after_the_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &[WORDS]).unwrap();
    let writer = writer(&store, GroupLimits::default());
    let (done, seen) = channel();
    let reader = store.clone();
    writer.submit_then("one".to_owned(), move |answer| done.send((answer, words(&reader))).unwrap()).unwrap();
    assert_eq!(seen.recv(), Ok((Ok(Ok(1)), vec!["one".to_owned()])));
}

#[test]
fn dropping_the_writer_finishes_what_waits() {
    let store = Store::in_memory(&[WORDS]).unwrap();
    let writer = writer(&store, GroupLimits { queue_len_max: 1_000, batch_len_max: 7 });
    let tickets: Vec<_> = (0..100).map(|n| writer.submit(n.to_string()).unwrap()).collect();
    drop(writer);
    assert!(tickets.into_iter().all(|ticket| matches!(ticket.wait(), Ok(Ok(_)))));
    assert_eq!(words(&store).len(), 100);
}

#[test]
fn nobody_waits_for_a_writer_that_panicked() {
    let store = Store::in_memory(&[WORDS]).unwrap();
    let apply =
        |_: &Tx<'_>, _: &[String]| -> Result<Vec<()>, StoreError> { panic!("a fault of the decider") };
    let writer = GroupWriter::start(store.clone(), GroupLimits::default(), apply).unwrap();
    assert_eq!(writer.call("a".to_owned()), Err(GroupError::Stopped));
    assert_eq!(writer.call("b".to_owned()), Err(GroupError::Stopped));
    assert_eq!(writer.submit("c".to_owned()).err(), Some(GroupError::Stopped));
    assert!(words(&store).is_empty());
}

#[test]
fn a_decider_that_answers_too_little_keeps_nothing() {
    let store = Store::in_memory(&[WORDS]).unwrap();
    let apply = |tx: &Tx<'_>, jobs: &[String]| add_words(tx, jobs).map(|_| Vec::<()>::new());
    let writer = GroupWriter::start(store.clone(), GroupLimits::default(), apply).unwrap();
    let error = StoreError::Answers { expected: 1, found: 0 };
    assert_eq!(writer.call("a".to_owned()), Err(GroupError::Store(error)));
    assert!(words(&store).is_empty());
}

#[test]
fn many_callers_get_each_their_own_answer() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &[WORDS]).unwrap();
    let writer = writer(&store, GroupLimits { queue_len_max: 8, batch_len_max: 5 });
    let got = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for caller in 0..16 {
            let (writer, got) = (&writer, &got);
            scope.spawn(move || {
                for n in 0..10 {
                    let text = format!("{caller}/{n}");
                    let id = writer.call(text.clone()).unwrap().unwrap();
                    got.lock().unwrap().push((id, text));
                }
            });
        }
    });
    let mut got = got.into_inner().unwrap();
    got.sort();
    assert_eq!(words(&store), got.into_iter().map(|(_, text)| text).collect::<Vec<_>>());
}
