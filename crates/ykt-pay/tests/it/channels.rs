//! What channels owe and settle.

use crate::kit::{CHANNEL, Kit, ModelCard, at, day, id, refused};
use ykt_base::Fen;
use ykt_office::Paging;
use ykt_pay::{Channel, Refusal, channel};

fn channel() -> Channel {
    CHANNEL.parse().unwrap()
}

fn settle(kit: &Kit, gross: i64, fee: i64) -> Result<(), Refusal> {
    let (gross, fee) = (Fen::new(gross), Fen::new(fee));
    refused(kit.host.settle_channel(day(), &channel(), gross, fee, at(24 * 60 * 60)))
}

/// `clearing.md` 15, events 13 and 13b.
#[test]
fn net_comes_in_and_own_money_covers_the_fee() {
    let kit = Kit::new(1);
    kit.pay("a", &ModelCard::new(1, 0), 100_000).unwrap();
    settle(&kit, 100_000, 600).unwrap();
    settle(&kit, 100_000, 600).unwrap();
    assert_eq!(kit.balance("1221.01/WECHAT"), 0);
    assert_eq!(kit.balance("1002.01"), 100_000, "the clients' money is whole");
    assert_eq!((kit.balance("1002.02"), kit.balance("6601")), (-600, 600));
    kit.check_books();
    let refusal = settle(&kit, 100_000, 601).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "channel WECHAT settled 2026-03-02 with gross 1,000.00 and fee 6.00 before"
    );
    let page = kit.store.read(|tx| channel::settlements(tx, Some(&channel()), Paging::default())).unwrap();
    assert_eq!((page.totals, page.rows[0].fee), (1, Fen::new(600)));
}

#[test]
fn fees_may_be_nothing_or_everything_but_not_more() {
    let kit = Kit::new(0);
    for (gross, fee) in [(0, 0), (-1, 0), (100, -1), (100, 101), (i64::MIN, i64::MAX)] {
        assert!(matches!(settle(&kit, gross, fee), Err(Refusal::Settlement { .. })), "{gross} {fee}");
    }
    settle(&kit, 100, 0).unwrap();
    assert_eq!((kit.balance("1002.01"), kit.balance("6601")), (100, 0));
    let all = kit.host.settle_channel(day(), &"CASH".parse().unwrap(), Fen::new(100), Fen::new(100), at(0));
    refused(all).unwrap();
    assert_eq!((kit.balance("1002.01"), kit.balance("6601")), (200, 100));
    kit.check_books();
}

#[test]
fn a_day_of_a_channel_counts_what_was_given_back() {
    let kit = Kit::new(1);
    let card = ModelCard::new(1, 0);
    for (order, amount) in [("a", 1_000), ("b", 2_000), ("c", 4_000)] {
        kit.pay(order, &card, amount).unwrap();
    }
    refused(kit.host.give_back(&id("b"), at(24 * 60 * 60))).unwrap();
    let of = |day| kit.store.read(|tx| channel::day(tx, &channel(), day)).unwrap();
    let today = of(day());
    assert_eq!((today.orders, today.paid, today.orders_given_back), (3, Fen::new(7_000), 1));
    assert_eq!(today.due(), Fen::new(5_000));
    assert_eq!(kit.balance("1221.01/WECHAT"), 5_000);
    assert_eq!(of(day().plus_days(1).unwrap()).orders, 0, "a payment belongs to the day it was made");
}
