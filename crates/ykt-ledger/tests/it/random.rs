//! Random batches with repeats, conflicts, broken entries and closed days: the book equals a simple model of it,
//! sums to zero, and every balance as of any day or moment equals its recomputation from the legs.

use crate::{account, assert_sound, book, day, moment, post_each, read};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use ykt_base::{Date, Fen};
use ykt_ledger::{
    Direction, Entry, EntryFilter, EntryId, Leg, Paging, PostError, Posting, balance, balance_at,
    balance_at_moment, close_day, entries,
};

const ACCOUNTS: [&str; 5] = ["1001", "2001", "2001/x", "2202.01/M1", "5001"];

/// What a caller might send: few ids, so that they repeat; few contents, so that they conflict or agree.
fn any_entry() -> impl Strategy<Value = Entry> {
    let leg = (0..ACCOUNTS.len(), -3_i64..4);
    (0_u8..12, 1_u8..5, 0_i64..300_000, vec(leg, 1..4), any::<bool>()).prop_map(
        |(id, date, second, legs, honest)| {
            let mut legs: Vec<Leg> = legs
                .into_iter()
                .map(|(at, fen)| Leg { account: account(ACCOUNTS[at]), amount: Fen::new(fen) })
                .collect();
            if honest {
                let sum = Fen::checked_sum(legs.iter().map(|leg| leg.amount)).unwrap();
                legs.push(Leg { account: account("1002.01"), amount: sum.checked_neg().unwrap() });
            }
            let entry = Entry::new(
                EntryId::new(format!("id/{id}")).unwrap(),
                day(date),
                moment(day(1), second),
                "TEST",
            );
            Entry { legs, ..entry }
        },
    )
}

/// The book as a list, by the plainest reading of the rules.
#[derive(Default)]
struct Model {
    booked: Vec<Entry>,
    closed: Option<Date>,
}

impl Model {
    fn post(&mut self, group: &[Entry]) -> Option<Vec<Posting>> {
        let before = self.booked.len();
        let answers: Option<Vec<_>> = group.iter().map(|entry| self.post_one(entry)).collect();
        if answers.is_none() {
            self.booked.truncate(before);
        }
        answers
    }

    fn post_one(&mut self, entry: &Entry) -> Option<Posting> {
        let sum: i64 = entry.legs.iter().map(|leg| leg.amount.fen()).sum();
        if sum != 0 || entry.legs.len() < 2 || entry.legs.iter().any(|leg| leg.amount.is_zero()) {
            return None;
        }
        let number = |at: usize| i64::try_from(at).unwrap() + 1;
        if let Some(at) = self.booked.iter().position(|booked| booked.id == entry.id) {
            let same = Entry { at: entry.at, ..self.booked[at].clone() } == *entry;
            return same.then_some(Posting::Repeated { seq: number(at) });
        }
        if self.closed.is_some_and(|closed| entry.day <= closed) {
            return None;
        }
        self.booked.push(entry.clone());
        Some(Posting::Posted { seq: number(self.booked.len() - 1) })
    }

    fn sum(&self, code: &str, counts: impl Fn(&Entry) -> bool) -> Fen {
        let legs = self.booked.iter().filter(|entry| counts(entry)).flat_map(|entry| &entry.legs);
        legs.filter(|leg| leg.account.as_str() == code).map(|leg| leg.amount).sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_book_equals_its_model(
        batches in vec((vec(vec(any_entry(), 0..3), 0..6), proptest::option::weighted(0.2, 1_u8..5)), 1..6),
        moments in vec(0_i64..320_000, 4),
    ) {
        let store = book();
        let mut model = Model::default();
        for (groups, closing) in &batches {
            let answers = post_each(&store, groups);
            for (group, answer) in groups.iter().zip(answers) {
                if let Err(error) = &answer {
                    prop_assert!(!matches!(error, PostError::Store(_) | PostError::Group(_)), "{}", error);
                }
                prop_assert_eq!(answer.ok(), model.post(group));
            }
            if let Some(n) = closing
                && store.write(|tx| close_day(tx, day(*n), moment(day(*n), 0))).is_ok()
            {
                model.closed = model.closed.max(Some(day(*n)));
            }
        }
        assert_sound(&store);
        for code in ACCOUNTS.into_iter().chain(["1002.01"]) {
            let account = account(code);
            read(&store, |tx| {
                assert_eq!(balance(tx, &account)?, model.sum(code, |_| true));
                for date in (1..6).map(day) {
                    assert_eq!(balance_at(tx, &account, date)?, model.sum(code, |entry| entry.day <= date));
                }
                for second in &moments {
                    let at = moment(day(1), *second);
                    assert_eq!(balance_at_moment(tx, &account, at)?, model.sum(code, |entry| entry.at <= at));
                }
                Ok(())
            });
        }
        let page = read(&store, |tx| entries(tx, &EntryFilter::default(), Direction::Up, Paging::first(100)));
        let booked: Vec<Entry> = page.rows.into_iter().map(|booked| booked.entry).collect();
        prop_assert_eq!(booked, model.booked);
    }

    #[test]
    fn the_same_entries_give_the_same_chain_however_they_are_batched(
        all in vec(any_entry(), 1..30),
        cuts in vec(1_usize..7, 1..30),
    ) {
        let links = |sizes: &[usize]| {
            let store = book();
            let mut rest = &all[..];
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*size).min(rest.len()));
                post_each(&store, &now.chunks(1).map(<[Entry]>::to_vec).collect::<Vec<_>>());
                rest = later;
            }
            let report = read(&store, ykt_ledger::verify_chain);
            (report.entries, report.link)
        };
        prop_assert_eq!(links(&cuts), links(&[1]));
        let by_id: BTreeMap<_, _> = all.iter().map(|entry| (&entry.id, ())).collect();
        prop_assert!(links(&cuts).0 <= i64::try_from(by_id.len()).unwrap());
    }
}
