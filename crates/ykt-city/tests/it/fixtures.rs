//! Data directories that released versions left: this one opens them, reads the same figures, and goes on.

use std::path::Path;
use ykt_base::{Asn8, Fen};
use ykt_city::city::MODULES;
use ykt_clearing::queries::{self, FileFilter};
use ykt_clearing::{BillState, FileState};
use ykt_ledger::{Entry, EntryId};
use ykt_office::{Paging, Registers};
use ykt_pay::{Channel, OrderState};
use ykt_store::{Store, StoreError, Tx};

/// A copy of a release's store in a directory of its own.
fn open_copy(release: &str, dir: &Path) -> Store {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures").join(release);
    std::fs::copy(kept.join("store.sqlite-fixture"), dir.join("ykt.db")).unwrap();
    Store::open(dir, MODULES).unwrap()
}

fn read<T>(store: &Store, work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> T {
    store.read(work).unwrap()
}

/// The ledger: every balance, the chain to its head, the days.
#[test]
fn the_books_of_release_0_1_are_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_copy("release-0.1", dir.path());
    let lines = read(&store, |tx| ykt_ledger::trial_balance(tx, None));
    let found: Vec<_> = lines
        .iter()
        .flat_map(|line| &line.accounts)
        .map(|line| (line.account.to_string(), line.debit.fen(), line.credit.fen()))
        .collect();
    let expected = [
        ("1001", 20_000, 20_000),
        ("1002.01", 175_000, 9_100),
        ("1002.02", 100_000_073, 930),
        ("1221.01/GATEWAY", 155_000, 155_000),
        ("2001", 10_500, 155_000),
        ("2002/load-orders", 155_000, 155_000),
        ("2011", 0, 20_000),
        ("2202.01/M00000000000001", 1_411, 2_800),
        ("2202.01/M00000000000002", 7_700, 7_700),
        ("4001", 0, 100_000_000),
        ("5001", 0, 84),
        ("6601", 930, 0),
    ];
    assert_eq!(found, expected.map(|(account, debit, credit)| (account.to_owned(), debit, credit)));
    let chain = read(&store, ykt_ledger::verify_chain);
    assert_eq!((chain.entries, chain.altered), (38, None));
    assert_eq!(
        chain.link.to_string().to_uppercase(),
        "9927F7300504E73F8E52D2332415DDFFFCEC367CEAB4D4FFD764D6797CC6FBB6"
    );
    assert_eq!(read(&store, ykt_ledger::verify_balances), []);
    let closed = read(&store, ykt_ledger::last_closed_day);
    assert_eq!(closed, Some("20260303".parse().unwrap()));

    let day = "20260304".parse().unwrap();
    let entry = Entry::new(EntryId::new("next").unwrap(), day, ykt_base::DateTime::start_of(day), "OPENING")
        .debit("1002.02".parse().unwrap(), Fen::new(1))
        .credit("4001".parse().unwrap(), Fen::new(1));
    store.write(|tx| ykt_ledger::post(tx, &[entry])).unwrap();
    let chain = read(&store, ykt_ledger::verify_chain);
    assert_eq!((chain.entries, chain.altered), (39, None), "and the books go on");
}

/// Office, loads and clearing: a card, an order, a file and its bill.
#[test]
fn registers_loads_and_bills_of_release_0_1_are_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_copy("release-0.1", dir.path());
    let registers = read(&store, Registers::load);
    let asn: Asn8 = "2144000000000003".parse().unwrap();
    assert!(registers.card(&asn).is_some_and(|row| row.state.may_load()));
    assert_eq!(registers.merchants().count(), 2);

    let order = read(&store, |tx| ykt_pay::order(tx, &"L20260302-000001".parse().unwrap())).unwrap().order;
    assert_eq!((order.state, order.amount.fen()), (OrderState::Credited, Fen::new(10_000)));
    assert_eq!(order.freezes.len(), 1);
    let gateway: Channel = "GATEWAY".parse().unwrap();
    let trade = "20260302".parse().unwrap();
    let paid = read(&store, |tx| ykt_pay::channel::day(tx, &gateway, trade));
    assert_eq!((paid.orders, paid.due()), (12, Fen::new(155_000)));

    let merchant = "M00000000000002".parse().unwrap();
    let bill = read(&store, |tx| queries::bill(tx, trade, &merchant)).unwrap();
    assert_eq!((bill.confirmed.count, bill.confirmed.amount), (12, Fen::new(7_700)));
    assert_eq!((bill.refused.count, bill.refused.amount), (2, Fen::new(1_500)));
    assert_eq!((bill.commission, bill.net, bill.state), (Fen::new(62), Fen::new(7_638), BillState::Paid));
    let filter = FileFilter { day: Some(trade), merchant: Some(merchant), state: Some(FileState::Accepted) };
    let files = read(&store, |tx| queries::files(tx, &filter, Paging::default()));
    assert_eq!((files.totals.0, files.totals.1.amount), (2, Fen::new(9_200)));
}
