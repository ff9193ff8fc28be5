//! The host stops after any step and starts anew on the same data: the order goes on from where it was.

use crate::kit::{MODULES, ModelCard, at, host_over, id, issue_cards};
use ykt_base::Fen;
use ykt_ledger::{balance, verify_chain};
use ykt_pay::{LoadHost, OrderState, Resumed};
use ykt_store::Store;
use ykt_terminal::host::PayRequest;

const AMOUNT: i64 = 5_000;

/// One whole load with a break after MAC2; before each step, and again after it, the host is a new one.
#[test]
fn an_order_outlives_its_host() {
    let dir = tempfile::tempdir().unwrap();
    issue_cards(&Store::open(dir.path(), &MODULES).unwrap(), 1..=1);
    let mut card = ModelCard::new(1, 10_000);
    let request =
        PayRequest { order: id("a"), card: card.asn, amount: Fen::new(AMOUNT), channel: "WECHAT".to_owned() };
    let pay = |host: &LoadHost| host.pay(&request, at(0)).unwrap();
    assert_eq!(twice(dir.path(), pay), OrderState::Paid);
    let offer = card.initialize(Fen::new(AMOUNT));
    let credit = twice(dir.path(), |host| host.initialize(&id("a"), &offer, at(1)).unwrap());
    card.credit(credit).unwrap();
    let fresh = card.initialize(Fen::new(AMOUNT));
    let resumed = twice(dir.path(), |host| host.resume(&id("a"), &fresh, at(2)).unwrap());
    let Resumed::Prove { counter } = resumed else { panic!("{resumed:?}") };
    let tac = card.prove(counter).unwrap();
    let done = twice(dir.path(), |host| host.confirm(&id("a"), tac, at(3)).unwrap());
    assert_eq!(done, OrderState::Credited);
    let store = Store::open(dir.path(), &MODULES).unwrap();
    let float = store.read(|tx| balance(tx, &"2001".parse().unwrap())).unwrap();
    assert_eq!(float, Fen::new(-AMOUNT));
    let entries = store.read(verify_chain).unwrap();
    assert_eq!((entries.entries, entries.altered), (2, None));
}

/// Asks a new host, stops it as if its answer were lost, and asks another new one: the answers are alike.
fn twice<T: PartialEq + std::fmt::Debug>(dir: &std::path::Path, ask: impl Fn(&LoadHost) -> T) -> T {
    let once = || ask(&host_over(&Store::open(dir, &MODULES).unwrap()));
    let first = once();
    assert_eq!(once(), first);
    first
}
