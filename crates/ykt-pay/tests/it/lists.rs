//! What the consoles and clearing read.

use crate::kit::{Kit, ModelCard, asn, at, id, refused};
use ykt_base::{CardCounter, Fen};
use ykt_office::{Direction, Paging};
use ykt_pay::order::StepKind;
use ykt_pay::{CardLoad, OrderFilter, OrderSort, OrderState, credited_loads, journal, orders};
use ykt_store::StoreError;

/// Ten orders on two cards: the first three of each credited, one given back, one paid.
fn day_of_loads() -> Kit {
    let kit = Kit::new(2);
    for no in [1, 2] {
        let mut card = ModelCard::new(no, 1_000);
        for load in 0..5_i64 {
            let order = format!("card{no}-{load}");
            kit.pay(&order, &card, 1_000 * (load + 1)).unwrap();
            if load < 3 {
                let offer = card.initialize(Fen::new(1_000 * (load + 1)));
                let credit = refused(kit.host.initialize(&id(&order), &offer, at(60 * load))).unwrap();
                let tac = card.credit(credit).unwrap();
                refused(kit.host.confirm(&id(&order), tac, at(60 * load + 1))).unwrap();
            } else if load == 3 {
                refused(kit.host.give_back(&id(&order), at(300))).unwrap();
            }
        }
    }
    kit
}

#[test]
fn lists_filter_sort_page_and_total() {
    let kit = day_of_loads();
    let list = |filter: &OrderFilter, sort, paging| {
        let page = kit.store.read(|tx| orders(tx, filter, sort, paging)).unwrap();
        let ids: Vec<String> = page.rows.iter().map(|order| order.id.to_string()).collect();
        (ids, page.totals)
    };
    let newest = (OrderSort::PaidAt, Direction::Down);
    let (ids, totals) = list(&OrderFilter::default(), newest, Paging::new(2, 4));
    assert_eq!(ids.len(), 4);
    assert_eq!(totals.all(), (10, Fen::new(30_000)), "totals are of what is filtered");
    assert_eq!(totals.by_state[&OrderState::Credited], (6, Fen::new(12_000)));
    let filter = OrderFilter {
        text: Some("CARD2".to_owned()),
        state: Some(OrderState::Credited),
        asn: Some(asn(2)),
        channel: Some("WECHAT".parse().unwrap()),
        paid_from: Some(at(0)),
        paid_until: Some(at(1)),
    };
    let (ids, totals) = list(&filter, (OrderSort::Amount, Direction::Down), Paging::default());
    assert_eq!(ids, ["card2-2", "card2-1", "card2-0"]);
    assert_eq!(totals.all(), (3, Fen::new(6_000)));
    let nothing = OrderFilter { paid_until: Some(at(0)), ..OrderFilter::default() };
    assert_eq!(list(&nothing, newest, Paging::default()).1.all(), (0, Fen::ZERO));
}

#[test]
fn an_order_tells_its_story() {
    let kit = day_of_loads();
    let view = kit.store.read(|tx| ykt_pay::order(tx, &id("card1-1"))).unwrap().unwrap();
    let story: Vec<_> = view.steps.iter().map(|step| (step.at, step.kind, step.detail.as_str())).collect();
    assert_eq!(
        story,
        [
            (at(0), StepKind::Paid, "20.00 by WECHAT"),
            (at(60), StepKind::Frozen, "counter 8, balance 20.00, terminal 000000000009"),
            (at(61), StepKind::Credited, "counter 8, at 2026-03-02 12:01:00"),
        ]
    );
    assert_eq!((view.order.paid_at, view.order.changed_at), (at(0), at(61)));
    assert!(view.order.tac.is_some());
    assert_eq!(kit.store.read(|tx| ykt_pay::order(tx, &id("nobody"))).unwrap(), None);
}

#[test]
fn the_journal_orders_loads_by_the_cards_counter() {
    let kit = day_of_loads();
    let loads = kit.store.read(|tx| journal(tx, &asn(2))).unwrap();
    let shown: Vec<_> =
        loads.iter().map(|load| (load.counter.0, load.balance_before.fen(), load.amount.fen())).collect();
    assert_eq!(shown, [(7, 1_000, 1_000), (8, 2_000, 2_000), (9, 4_000, 3_000)]);
    let mut all: Vec<CardLoad> = Vec::new();
    kit.store
        .read(|tx| {
            credited_loads(tx, at(60), at(121), |load| {
                all.push(load);
                Ok::<(), StoreError>(())
            })
        })
        .unwrap();
    let shown: Vec<_> = all.iter().map(|load| (load.asn, load.counter)).collect();
    let counter = CardCounter;
    assert_eq!(
        shown,
        [(asn(1), counter(8)), (asn(1), counter(9)), (asn(2), counter(8)), (asn(2), counter(9))]
    );
}
