//! Closed days: no entry is added to them, repeats are still answered, closing again changes nothing.

use crate::{account, assert_sound, book, day, moment, post_all, read, simple};
use ykt_base::{Date, Fen};
use ykt_ledger::{
    CloseError, ClosedDay, PostError, Posting, balance_at, close_day, closed_days, last_closed_day, open_days,
};
use ykt_store::Store;

fn close(store: &Store, date: Date) -> Result<ClosedDay, CloseError> {
    store.write(|tx| close_day(tx, date, moment(date, 86_399)))
}

#[test]
fn a_closed_day_takes_no_entries() {
    let store = book();
    let first = simple("a/1", day(2), "1001", "2011", 5);
    post_all(&store, &[first.clone(), simple("a/2", day(3), "1001", "2011", 7)]).unwrap();
    assert_eq!(read(&store, open_days), [day(2), day(3)]);
    let closed = close(&store, day(2)).unwrap();
    assert_eq!((closed.day, closed.seq), (day(2), 2));
    for late in [day(1), day(2)] {
        let refused = post_all(&store, &[simple("late", late, "1001", "2011", 5)]).unwrap_err();
        let id = ykt_ledger::EntryId::new("late").unwrap();
        assert_eq!(refused, PostError::DayClosed { id, day: late, closed: day(2) });
    }
    assert_eq!(post_all(&store, &[first]), Ok(vec![Posting::Repeated { seq: 1 }]));
    post_all(&store, &[simple("a/3", day(3), "1001", "2011", 1)]).unwrap();
    assert_eq!(read(&store, |tx| balance_at(tx, &account("1001"), day(2))), Fen::new(5));
    assert_eq!(read(&store, open_days), [day(3)]);
    assert_sound(&store);
}

#[test]
fn closing_again_answers_the_same_and_closing_back_is_refused() {
    let store = book();
    assert_eq!(read(&store, last_closed_day), None);
    let first = close(&store, day(2)).unwrap();
    assert_eq!(first.seq, 0);
    post_all(&store, &[simple("a/1", day(3), "1001", "2011", 5)]).unwrap();
    assert_eq!(close(&store, day(2)), Ok(first));
    let second = close(&store, day(4)).unwrap();
    assert_eq!(close(&store, day(3)), Err(CloseError::Later { day: day(3), closed: day(4) }));
    assert_eq!(read(&store, closed_days), [first, second]);
    assert_eq!(read(&store, last_closed_day), Some(day(4)));
    assert_sound(&store);
}
