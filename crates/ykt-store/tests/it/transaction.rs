//! Transactions and statements: kept whole or not at all, readers beside the writer, refusals that explain.

use crate::{WORDS, add, words};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::mpsc::channel;
use std::thread;
use ykt_base::Fen;
use ykt_store::{READERS_MAX, Store, StoreError, Value, params};

const INSERT: &str = "INSERT INTO word (id, text) VALUES ($1, $2)";

/// A store in memory and one in a directory: what holds for one must hold for the other.
fn both(check: impl Fn(&Store)) {
    check(&Store::in_memory(&[WORDS]).unwrap());
    let dir = tempfile::tempdir().unwrap();
    check(&Store::open(dir.path(), &[WORDS]).unwrap());
}

#[test]
fn an_error_or_a_panic_undoes_the_whole_transaction() {
    both(|store| {
        add(store, 1, "one").unwrap();
        let failed = store.write(|tx| {
            tx.execute(INSERT, params![2_i64, "two"])?;
            tx.execute(INSERT, params![3_i64, "one"])
        });
        assert!(matches!(&failed, Err(StoreError::Constraint { detail }) if detail.contains("word.text")));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            store.write(|tx| -> Result<(), StoreError> {
                tx.execute(INSERT, params![2_i64, "two"])?;
                panic!("in the middle")
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(words(store), ["one"]);
        add(store, 2, "two").expect("the store goes on");
    });
}

#[test]
fn a_savepoint_undoes_its_part_alone() {
    both(|store| {
        store
            .write(|tx| {
                tx.execute(INSERT, params![1_i64, "one"])?;
                let part = tx.savepoint(|tx| {
                    tx.execute(INSERT, params![2_i64, "two"])?;
                    tx.execute(INSERT, params![3_i64, "one"])
                });
                assert!(matches!(part, Err(StoreError::Constraint { .. })));
                tx.savepoint(|tx| tx.execute(INSERT, params![4_i64, "four"]))
            })
            .unwrap();
        assert_eq!(words(store), ["one", "four"]);
    });
}

#[test]
fn parameters_go_by_their_number_and_must_be_all_there() {
    both(|store| {
        let swapped = "INSERT INTO word (text, id) VALUES ($2, $1)";
        store.write(|tx| tx.execute(swapped, params![1_i64, "one"])).unwrap();
        let twice = "SELECT COUNT(*) FROM word WHERE id = $1 AND $1 = 1 AND text = $2";
        let found = store.read(|tx| tx.query_one(twice, params![1_i64, "one"], |row| row.i64(0)));
        assert_eq!(found, Ok(Some(1)));
        let numbers = |values: &[Value<'_>]| store.write(|tx| tx.execute(INSERT, values)).unwrap_err();
        for (values, found) in [(&params![1_i64][..], 1), (&params![1_i64, "x", "y"][..], 3)] {
            let sql = INSERT.to_owned();
            assert_eq!(numbers(values), StoreError::Parameters { sql, expected: 2, found });
        }
    });
}

#[test]
fn rows_are_read_as_what_they_are() {
    both(|store| {
        let read = |sql: &str| store.read(|tx| tx.query_one(sql, &[], |row| row.get::<Fen>(0)));
        assert_eq!(read("SELECT 5"), Ok(Some(Fen::new(5))));
        for (sql, found) in [
            ("SELECT 'abc'", "text of 3 characters"),
            ("SELECT NULL", "nothing"),
            ("SELECT X'0102'", "blob of 2 bytes"),
            ("SELECT 1.5", "a fraction"),
        ] {
            let error = read(sql).unwrap_err();
            assert!(
                matches!(&error, StoreError::Column { column: 0, found: f, .. } if f == found),
                "{error}"
            );
        }
        let no_column = store.read(|tx| tx.query_one("SELECT 1", &[], |row| row.i64(1)));
        assert!(matches!(no_column, Err(StoreError::Column { column: 1, .. })));
        assert_eq!(store.read(|tx| tx.query_one("SELECT id FROM word", &[], |row| row.i64(0))), Ok(None));
        let number: Result<Option<u16>, _> =
            store.read(|tx| tx.query_one("SELECT '77'", &[], |row| row.parse(0)));
        assert_eq!(number, Ok(Some(77)));
    });
}

#[test]
fn many_rows_go_through_one_statement() {
    both(|store| {
        let rows: Vec<(i64, String)> = (1..=500).map(|id| (id, format!("word {id}"))).collect();
        let changed = store.write(|tx| {
            tx.execute_many(INSERT, rows.iter().map(|(id, text)| [Value::from(*id), Value::from(text)]))
        });
        assert_eq!(changed, Ok(500));
        assert_eq!(words(store).len(), 500);
        let mut sum = 0;
        let summed: Result<(), StoreError> = store.read(|tx| {
            tx.for_each("SELECT id FROM word", &[], |row| {
                sum += row.i64(0)?;
                Ok(())
            })
        });
        assert_eq!((summed, sum), (Ok(()), 125_250));
    });
}

#[test]
fn a_read_changes_nothing() {
    both(|store| {
        let refused = store.read(|tx| tx.execute(INSERT, params![1_i64, "one"]));
        assert!(matches!(refused, Err(StoreError::ReadOnly { .. })), "{refused:?}");
        let hidden = "INSERT INTO word (id, text) VALUES (1, 'one') RETURNING id";
        let refused = store.read(|tx| tx.query(hidden, &[], |row| row.i64(0)));
        assert!(matches!(refused, Err(StoreError::ReadOnly { .. })), "{refused:?}");
        let refused = store.read(|tx| tx.execute_script("DROP TABLE word"));
        assert!(matches!(refused, Err(StoreError::ReadOnly { .. })), "{refused:?}");
        assert!(words(store).is_empty());
    });
}

#[test]
fn a_transaction_inside_a_transaction_is_refused_instead_of_waiting_for_ever() {
    both(|store| {
        let inner = store.write(|_| store.read(|_| Ok::<_, StoreError>(())));
        assert_eq!(inner, Err(StoreError::Nested));
        let inner = store.read(|_| store.write(|_| Ok::<_, StoreError>(())));
        assert_eq!(inner, Err(StoreError::Nested));
        let other = Store::in_memory(&[WORDS]).unwrap();
        store.write(|_| other.write(|_| Ok::<_, StoreError>(()))).expect("another store is no matter");
    });
}

#[test]
fn a_reader_sees_one_state_beside_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &[WORDS]).unwrap();
    add(&store, 1, "one").unwrap();
    let count = "SELECT COUNT(*) FROM word";
    store
        .read(|tx| {
            assert_eq!(tx.query_one(count, &[], |row| row.i64(0))?, Some(1));
            thread::scope(|scope| scope.spawn(|| add(&store, 2, "two")).join().unwrap())?;
            assert_eq!(tx.query_one(count, &[], |row| row.i64(0))?, Some(1), "still the state it began with");
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert_eq!(words(&store).len(), 2);
}

#[test]
fn readers_run_side_by_side_and_more_wait_their_turn() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &[WORDS]).unwrap();
    let together = Barrier::new(READERS_MAX);
    let (done, results) = channel();
    thread::scope(|scope| {
        for _ in 0..READERS_MAX {
            let (done, store, together) = (done.clone(), &store, &together);
            scope.spawn(move || {
                let read = store.read(|tx| {
                    together.wait();
                    tx.query_one("SELECT 1", &[], |row| row.i64(0))
                });
                let again = store.read(|tx| tx.query_one("SELECT 2", &[], |row| row.i64(0)));
                done.send((read, again)).unwrap();
            });
        }
    });
    drop(done);
    assert!(results.iter().all(|result| result == (Ok(Some(1)), Ok(Some(2)))));
}

#[test]
fn a_full_database_is_said_clearly_and_goes_on_after_space_returns() {
    both(|store| {
        let limit = |pages: i64| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            store.write(|tx| tx.query(&sql, &[], |row| row.i64(0))).unwrap()
        };
        add(store, 1, "one").unwrap();
        limit(1);
        let long = "x".repeat(100_000);
        assert_eq!(add(store, 2, &long), Err(StoreError::DiskFull));
        let swallowed = store.write(|tx| {
            let full = tx.execute(INSERT, params![2_i64, &long]);
            assert_eq!(full, Err(StoreError::DiskFull));
            tx.execute(INSERT, params![3_i64, "three"])
        });
        assert_eq!(swallowed, Err(StoreError::GivenUp), "nothing may be kept by a statement on its own");
        assert_eq!(words(store), ["one"]);
        limit(1_000_000);
        add(store, 2, &long).unwrap();
        assert_eq!(words(store).len(), 2);
    });
}
