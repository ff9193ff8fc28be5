//! The worked example of `clearing.md` 15, every stated figure: a day of a small city and the payments after it.

use crate::{account, assert_sound, book, day, moment, post_all, read};
use std::collections::BTreeMap;
use ykt_base::{Date, Fen};
use ykt_ledger::{
    Entry, EntryId, Leg, balance, balance_at, chart, close_day, subject_balance, trial_balance,
};
use ykt_store::Store;

/// Entries of one day: event, then legs as `account yuan`, debit positive.
type Rows = &'static [(&'static str, &'static [&'static str])];

const OPENING: Rows = &[(
    "OPENING",
    &[
        "1001 500.00",
        "1002.01 50000.00",
        "1002.02 10000.00",
        "2001 -45000.00",
        "2002 -3000.00",
        "2003 -1000.00",
        "2011 -1500.00",
        "4001 -10000.00",
    ],
)];

const DAY_D: Rows = &[
    ("1-CARD-SALE", &["1001 700.00", "2011 -200.00", "2001 -500.00"]),
    ("2-TOP-UP", &["1221.01 1000.00", "2002 -1000.00"]),
    ("2B-CHANNEL-FEE", &["6601 6.00", "1221.01 -6.00"]),
    ("3-ACCOUNT-TO-WALLET", &["2002 300.00", "2001 -300.00"]),
    ("4-AGENT-TOP-UP", &["1221.02 400.00", "2001 -400.00"]),
    ("4B-AGENT-COMMISSION", &["6602 2.00", "1221.02 -2.00"]),
    ("5-SUBSIDY", &["2003 150.00", "2002 -150.00"]),
    ("6-PURCHASE", &["2001 1900.00", "1221.03 70.00", "2202.01/M1 -1970.00"]),
    ("6B-COMMISSION", &["2202.01/M1 15.76", "5001 -15.76"]),
    ("6C-ISSUER-SHARE", &["6603 0.28", "1221.03 -0.28"]),
    ("7-ELSEWHERE", &["2001 57.00", "2202.02 -57.00"]),
    ("7B-OUR-SHARE", &["2202.02 0.23", "5003 -0.23"]),
    ("8-PURCHASE", &["2001 800.00", "2202.01/M2 -800.00"]),
    ("8B-COMMISSION", &["2202.01/M2 8.00", "5001 -8.00"]),
    ("9-ADJUSTMENT", &["2001 5.00", "2202.01/M1 -5.00"]),
    ("9B-COMMISSION", &["2202.01/M1 0.04", "5001 -0.04"]),
    ("10-CARD-RETURN", &["2011 20.00", "2001 12.50", "1001 -32.50"]),
    ("11-TILL-TO-BANK", &["1002.01 700.00", "1001 -700.00"]),
];

const END_OF_D: &[&str] = &[
    "1001 467.50",
    "1002.01 50700.00",
    "1002.02 10000.00",
    "1221.01 994.00",
    "1221.02 398.00",
    "1221.03 69.72",
    "2001 -43425.50",
    "2002 -3850.00",
    "2003 -850.00",
    "2011 -1680.00",
    "2202.01/M1 -1959.20",
    "2202.01/M2 -792.00",
    "2202.02 -56.77",
    "4001 -10000.00",
    "5001 -23.80",
    "5003 -0.23",
    "6601 6.00",
    "6602 2.00",
    "6603 0.28",
];

const DAY_AFTER: Rows = &[
    ("12-PAYOUT", &["2202.01/M1 1959.20", "2202.01/M2 792.00", "1002.01 -2751.20"]),
    ("12B-COMMISSION-SWEEP", &["1002.02 23.80", "1002.01 -23.80"]),
    ("13-CHANNEL-SETTLED", &["1002.01 994.00", "1221.01 -994.00"]),
    ("13B-OWN-COVERS", &["1002.01 6.00", "1002.02 -6.00"]),
    ("14-AGENT-PAYS", &["1002.01 398.00", "1221.02 -398.00"]),
    ("14B-OWN-COVERS", &["1002.01 2.00", "1002.02 -2.00"]),
    ("15-INTER-CITY", &["1002.01 12.95", "2202.02 56.77", "1221.03 -69.72"]),
    ("15B-OWN-COVERS", &["1002.01 0.05", "1002.02 -0.05"]),
];

const FINAL: &[&str] = &[
    "1001 467.50",
    "1002.01 49338.00",
    "1002.02 10015.75",
    "1221.01 0.00",
    "1221.02 0.00",
    "1221.03 0.00",
    "2001 -43425.50",
    "2002 -3850.00",
    "2003 -850.00",
    "2011 -1680.00",
    "2202.01/M1 0.00",
    "2202.01/M2 0.00",
    "2202.02 0.00",
    "4001 -10000.00",
    "5001 -23.80",
    "5003 -0.23",
    "6601 6.00",
    "6602 2.00",
    "6603 0.28",
];

/// `account yuan` as account and fen.
fn parse(text: &str) -> Leg {
    let (code, yuan) = text.split_once(' ').unwrap();
    let (whole, cents) = yuan.split_once('.').unwrap();
    let fen: i64 = format!("{whole}{cents}").parse().unwrap();
    Leg { account: account(code), amount: Fen::new(fen) }
}

fn post_rows(store: &Store, date: Date, rows: Rows) {
    let entries: Vec<Entry> = (0..)
        .zip(rows)
        .map(|(second, (event, legs))| {
            let id = EntryId::new(format!("example/{event}")).unwrap();
            let entry = Entry::new(id, date, moment(date, second), event);
            Entry { legs: legs.iter().map(|leg| parse(leg)).collect(), ..entry }
        })
        .collect();
    assert_eq!(post_all(store, &entries).unwrap().len(), rows.len());
}

fn whole_example() -> Store {
    let store = book();
    post_rows(&store, day(21), OPENING);
    post_rows(&store, day(22), DAY_D);
    store.write(|tx| close_day(tx, day(22), moment(day(23), 0))).unwrap();
    post_rows(&store, day(23), DAY_AFTER);
    store
}

/// The trial balance of a day as account and balance.
fn balances(store: &Store, date: Date) -> BTreeMap<String, Fen> {
    let lines = read(store, |tx| trial_balance(tx, Some(date)));
    lines
        .iter()
        .flat_map(|line| &line.accounts)
        .map(|line| (line.account.to_string(), line.balance))
        .collect()
}

fn stated(rows: &[&str]) -> BTreeMap<String, Fen> {
    rows.iter().map(|row| parse(row)).map(|leg| (leg.account.to_string(), leg.amount)).collect()
}

#[test]
fn every_stated_balance_of_both_days_comes_out() {
    let store = whole_example();
    assert_eq!(balances(&store, day(22)), stated(END_OF_D));
    assert_eq!(balances(&store, day(23)), stated(FINAL));
    for (rows, date) in [(END_OF_D, Some(day(22))), (FINAL, Some(day(23))), (FINAL, None)] {
        for (code, expected) in stated(rows) {
            let found = read(&store, |tx| match date {
                Some(date) => balance_at(tx, &account(&code), date),
                None => balance(tx, &account(&code)),
            });
            assert_eq!(found, expected, "{code} at {date:?}");
        }
    }
    assert_sound(&store);
}

#[test]
fn the_reserve_covers_what_clients_own_to_the_fen() {
    let store = whole_example();
    for (date, reserve) in [(day(22), 4_980_550), (day(23), 4_980_550)] {
        let sum = |subjects: &[&chart::Subject]| {
            read(&store, |tx| {
                let parts: Result<Vec<Fen>, _> =
                    subjects.iter().map(|subject| subject_balance(tx, subject, Some(date))).collect();
                Ok(Fen::checked_sum(parts?).unwrap().fen())
            })
        };
        let clients =
            sum(&[&chart::PURSE_FLOAT, &chart::ACCOUNT_FLOAT, &chart::GROUP_PREPAID, &chart::CARD_DEPOSITS]);
        let reserve_bank_and_ways = sum(&[
            &chart::TILL_CASH,
            &chart::RESERVE_BANK,
            &chart::CHANNEL_RECEIVABLE,
            &chart::AGENT_RECEIVABLE,
            &chart::INTERCITY_RECEIVABLE,
            &chart::MERCHANT_PAYABLE,
            &chart::INTERCITY_PAYABLE,
        ]);
        let own = sum(&[&chart::OWN_BANK, &chart::EQUITY]);
        let net_income = sum(&[
            &chart::MERCHANT_COMMISSION,
            &chart::INTERCITY_INCOME,
            &chart::CHANNEL_FEES,
            &chart::AGENT_COMMISSION,
            &chart::INTERCITY_EXPENSE,
        ]);
        assert_eq!(clients, -reserve);
        assert_eq!(net_income, -1_575);
        // Income not yet swept to the own bank still lies in the reserve.
        assert_eq!(reserve_bank_and_ways + net_income + own, reserve, "{date}");
    }
}

#[test]
fn subjects_add_up_their_accounts() {
    let store = whole_example();
    let lines = read(&store, |tx| trial_balance(tx, Some(day(22))));
    let line = lines.iter().find(|line| line.subject == &chart::MERCHANT_PAYABLE).unwrap();
    let figures = (line.opening.fen(), line.debit.fen(), line.credit.fen(), line.balance.fen());
    assert_eq!(figures, (0, 2_380, 277_500, -275_120));
    assert_eq!(line.accounts.len(), 2);
    let purse = lines.iter().find(|line| line.subject == &chart::PURSE_FLOAT).unwrap();
    assert_eq!((purse.opening.fen(), purse.balance.fen()), (-4_500_000, -4_342_550));
    let sum = |figure: fn(&ykt_ledger::TrialLine) -> Fen| Fen::checked_sum(lines.iter().map(figure)).unwrap();
    assert_eq!(sum(|line| line.opening), Fen::ZERO);
    assert_eq!(sum(|line| line.balance), Fen::ZERO);
    assert_eq!(sum(|line| line.debit), sum(|line| line.credit));
}
