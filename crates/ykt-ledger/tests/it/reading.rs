//! Reading: balances as of moments, filters, pages, totals.

use crate::{account, book, day, moment, post_all, read, simple};
use ykt_base::{DateTime, Fen};
use ykt_ledger::{
    Direction, Entry, EntryFilter, Paging, balance_at, balance_at_moment, chart, entries, subject_balance,
    trial_balance,
};
use ykt_store::Store;

fn sample() -> Store {
    let store = book();
    let all: Vec<Entry> = (1..=10)
        .map(|n| {
            let date = day(1 + n / 4);
            let credit = if n % 2 == 0 { "2202.01/M1" } else { "2202.01/M2" };
            let entry = simple(&format!("clearing/{n}/purchase"), date, "2001", credit, i64::from(n));
            Entry { event: if n % 5 == 0 { "ADJUSTMENT".into() } else { "PURCHASE".into() }, ..entry }
        })
        .collect();
    post_all(&store, &all).unwrap();
    store
}

fn ids(store: &Store, filter: EntryFilter) -> (Vec<u32>, i64, i64, i64) {
    let page = read(store, |tx| entries(tx, &filter, Direction::Up, Paging::first(100)));
    let number = |id: &str| id.split('/').nth(1).unwrap().parse().unwrap();
    let ids = page.rows.iter().map(|booked| number(booked.entry.id.as_str())).collect();
    (ids, page.totals.entries, page.totals.debit.fen(), page.totals.credit.fen())
}

#[test]
fn filters_narrow_entries_and_totals_alike() {
    let store = sample();
    let none = EntryFilter::default;
    assert_eq!(ids(&store, none()), ((1..=10).collect(), 10, 55, 55));
    let one = EntryFilter { account: Some(account("2202.01/M1")), ..none() };
    assert_eq!(ids(&store, one), (vec![2, 4, 6, 8, 10], 5, 0, 30));
    let subject = EntryFilter { subject: Some(&chart::MERCHANT_PAYABLE), ..none() };
    assert_eq!(ids(&store, subject), ((1..=10).collect(), 10, 0, 55));
    let event = EntryFilter { event: Some("ADJUSTMENT".to_owned()), ..none() };
    assert_eq!(ids(&store, event), (vec![5, 10], 2, 15, 15));
    let days = EntryFilter { from: Some(day(2)), until: Some(day(2)), ..none() };
    assert_eq!(ids(&store, days), (vec![4, 5, 6, 7], 4, 22, 22));
    let prefix = EntryFilter { id_prefix: Some("clearing/1".to_owned()), ..none() };
    assert_eq!(ids(&store, prefix), (vec![1, 10], 2, 11, 11));
    let nothing = EntryFilter { account: Some(account("1001")), ..none() };
    assert_eq!(ids(&store, nothing), (vec![], 0, 0, 0));
    let all_at_once = EntryFilter {
        account: Some(account("2202.01/M1")),
        subject: Some(&chart::MERCHANT_PAYABLE),
        event: Some("PURCHASE".to_owned()),
        id_prefix: Some("clearing/".to_owned()),
        from: Some(day(2)),
        until: Some(day(3)),
    };
    assert_eq!(ids(&store, all_at_once), (vec![4, 6, 8], 3, 0, 18));
}

#[test]
fn pages_follow_each_other_and_keep_the_totals_of_all() {
    let store = sample();
    let mut seen = Vec::new();
    for no in 1.. {
        let paging = Paging::new(no, 4);
        let page = read(&store, |tx| entries(tx, &EntryFilter::default(), Direction::Down, paging));
        assert_eq!((page.paging, page.totals.entries, page.totals.debit), (paging, 10, Fen::new(55)));
        if page.rows.is_empty() {
            break;
        }
        seen.extend(page.rows.iter().map(|booked| booked.seq));
    }
    assert_eq!(seen, (1..=10).rev().collect::<Vec<_>>());
}

#[test]
fn two_legs_on_one_account_are_one_entry() {
    let store = book();
    let entry = simple("a/1", day(1), "1001", "2011", 5)
        .debit(account("1001"), Fen::new(2))
        .credit(account("2001"), Fen::new(2));
    post_all(&store, &[entry]).unwrap();
    let filter = EntryFilter { account: Some(account("1001")), ..EntryFilter::default() };
    let page = read(&store, |tx| entries(tx, &filter, Direction::Up, Paging::default()));
    assert_eq!((page.rows.len(), page.totals.entries, page.totals.debit.fen()), (1, 1, 7));
}

#[test]
fn a_balance_as_of_a_moment_counts_what_was_booked_by_then() {
    let store = book();
    let at = |id: &str, date, at: DateTime, fen| Entry { at, ..simple(id, date, "1001", "2011", fen) };
    post_all(
        &store,
        &[
            at("a/1", day(1), moment(day(1), 10), 1),
            at("a/2", day(1), moment(day(2), 20), 10),
            at("a/3", day(3), moment(day(2), 5), 100),
            at("a/4", day(2), moment(day(2), 20), 1_000),
            at("a/5", day(3), moment(day(3), 0), 10_000),
        ],
    )
    .unwrap();
    let by_moment = |moment| read(&store, |tx| balance_at_moment(tx, &account("1001"), moment)).fen();
    for (date, second, expected) in [
        (1, 9, 0),
        (1, 10, 1),
        (1, 86_399, 1),
        (2, 4, 1),
        (2, 5, 101),
        (2, 19, 101),
        (2, 20, 1_111),
        (2, 86_399, 1_111),
        (3, 0, 11_111),
        (9, 0, 11_111),
    ] {
        assert_eq!(by_moment(moment(day(date), second)), expected, "{date} {second}");
    }
    let by_day = |date| read(&store, |tx| balance_at(tx, &account("1001"), date)).fen();
    assert_eq!([1, 2, 3].map(|n| by_day(day(n))), [11, 1_011, 11_111]);
    let subject = |date| read(&store, |tx| subject_balance(tx, &chart::CARD_DEPOSITS, date)).fen();
    assert_eq!([Some(day(1)), None].map(subject), [-11, -11_111]);
}

#[test]
fn an_empty_book_reads_as_nothing() {
    let store = book();
    read(&store, |tx| {
        assert_eq!(trial_balance(tx, None)?, []);
        assert_eq!(trial_balance(tx, Some(day(1)))?, []);
        assert_eq!(balance_at(tx, &account("1001"), day(1))?, Fen::ZERO);
        assert_eq!(balance_at_moment(tx, &account("1001"), moment(day(1), 0))?, Fen::ZERO);
        assert_eq!(subject_balance(tx, &chart::PURSE_FLOAT, None)?, Fen::ZERO);
        let chain = ykt_ledger::verify_chain(tx)?;
        assert_eq!((chain.entries, chain.altered), (0, None));
        Ok(())
    });
}
