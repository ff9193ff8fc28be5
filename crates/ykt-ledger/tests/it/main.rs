//! The books from outside: the worked example of `clearing.md` 15, random batches, altered records, full disks,
//! killed processes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may stop at the first surprise; a child process tells its parent what was acknowledged"
)]

mod altered;
mod closing;
mod example;
mod killed;
mod posting;
mod random;
mod reading;
mod space;

use ykt_base::{Date, DateTime, Fen};
use ykt_ledger::{
    AccountCode, Answer, Checked, Entry, EntryId, MODULE, PostError, Posting, post, post_groups,
};
use ykt_store::{Store, StoreError, Tx};

/// An empty book in memory.
fn book() -> Store {
    Store::in_memory(&[MODULE]).unwrap()
}

/// Day `n` of November 2026.
fn day(n: u8) -> Date {
    Date::new(2026, 11, n).unwrap()
}

/// Second `n` of a day.
fn moment(date: Date, n: i64) -> DateTime {
    DateTime::start_of(date).plus_seconds(n).unwrap()
}

fn account(code: &str) -> AccountCode {
    code.parse().unwrap()
}

/// An entry of two legs at the start of its day.
fn simple(id: &str, date: Date, debit: &str, credit: &str, fen: i64) -> Entry {
    Entry::new(EntryId::new(id).unwrap(), date, DateTime::start_of(date), "TEST")
        .debit(account(debit), Fen::new(fen))
        .credit(account(credit), Fen::new(fen))
}

/// Posts in a transaction of its own.
fn post_all(store: &Store, entries: &[Entry]) -> Result<Vec<Posting>, PostError> {
    store.write(|tx| post(tx, entries))
}

/// Posts each group, all or none, in one transaction.
fn post_each(store: &Store, groups: &[Vec<Entry>]) -> Vec<Answer> {
    let checked: Vec<Result<Vec<_>, _>> =
        groups.iter().map(|group| group.iter().map(Checked::of).collect()).collect();
    let good: Vec<_> = checked.iter().filter_map(|group| group.as_ref().ok()).collect();
    let mut answers = store.write(|tx| post_groups(tx, &good)).unwrap().into_iter();
    checked.into_iter().map(|group| group.and_then(|_| answers.next().unwrap())).collect()
}

/// Reads in a transaction of its own.
fn read<T>(store: &Store, work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> T {
    store.read(work).unwrap()
}

/// Chain, balances and the sum of all legs are right.
fn assert_sound(store: &Store) {
    read(store, |tx| {
        let chain = ykt_ledger::verify_chain(tx)?;
        assert_eq!(chain.altered, None);
        assert_eq!(ykt_ledger::verify_balances(tx)?, []);
        let sum = Fen::checked_sum(ykt_ledger::trial_balance(tx, None)?.iter().map(|line| line.balance));
        assert_eq!(sum, Some(Fen::ZERO));
        Ok(())
    });
}
