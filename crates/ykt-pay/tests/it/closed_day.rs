//! Customers pay, cards credit and channels settle also after the books of the day were closed.

use crate::kit::{CHANNEL, Kit, ModelCard, at, day, id, refused};
use ykt_base::{Date, DateTime, Fen};
use ykt_ledger::{EntryId, balance_at, close_day, entry};
use ykt_pay::{OrderState, Resumed};
use ykt_terminal::host::PayRequest;

const AMOUNT: i64 = 5_000;

/// A moment of the first day.
fn clock(hour: i64, minute: i64) -> DateTime {
    at((hour - 12) * 3_600 + minute * 60)
}

fn later(days: i64) -> Date {
    day().plus_days(days).unwrap()
}

fn close(kit: &Kit, day: Date, at: DateTime) {
    kit.store.write(|tx| close_day(tx, day, at)).unwrap();
}

/// Day and moment under which an entry is in the books.
fn booked(kit: &Kit, entry_id: &str) -> (Date, DateTime) {
    let booked = kit.store.read(|tx| entry(tx, &EntryId::new(entry_id).unwrap())).unwrap().unwrap();
    (booked.entry.day, booked.entry.at)
}

fn held_at(kit: &Kit, day: Date) -> i64 {
    -kit.store.read(|tx| balance_at(tx, &"2002/load-orders".parse().unwrap(), day)).unwrap().fen()
}

/// Paid at 23:59, after the day was closed at 23:50; asked again before and after further closings.
#[test]
fn money_that_comes_after_the_closing_is_booked_on_the_first_open_day_once() {
    let kit = Kit::new(1);
    let card = ModelCard::new(1, 0);
    close(&kit, day(), clock(23, 50));
    let request = |order: &str| PayRequest {
        order: id(order),
        card: card.asn,
        amount: Fen::new(AMOUNT),
        channel: CHANNEL.to_owned(),
    };
    let pay = |order: &str, at: DateTime| refused(kit.host.pay(&request(order), at));
    let paid = Ok(OrderState::Paid);
    assert_eq!(pay("a", clock(23, 59)), paid);
    let first = (later(1), clock(23, 59));
    assert_eq!(booked(&kit, "load/a/paid"), first, "the next day's books, and its own moment");
    assert_eq!((held_at(&kit, day()), held_at(&kit, later(1))), (0, AMOUNT), "a closed day stays as it is");
    assert_eq!(pay("a", clock(23, 59)), paid);
    assert_eq!(pay("a", clock(24, 1)), paid);
    close(&kit, later(1), clock(24 + 23, 50));
    assert_eq!(pay("a", clock(23, 59)), paid);
    close(&kit, later(5), clock(24 + 23, 51));
    for moment in [clock(23, 59), clock(48, 0), clock(24 * 30, 0)] {
        assert_eq!(pay("a", moment), paid);
    }
    assert_eq!(booked(&kit, "load/a/paid"), first);
    assert_eq!(kit.money(), (AMOUNT, 0, AMOUNT), "once");
    assert_eq!(pay("b", clock(48, 0)), paid);
    assert_eq!(booked(&kit, "load/b/paid").0, later(6), "days closed ahead are passed over");
    assert_eq!(pay("c", clock(24 * 10, 0)), paid);
    assert_eq!(booked(&kit, "load/c/paid").0, clock(24 * 10, 0).date, "an open day is its own");
    kit.check_books();
}

/// The card has the money, or the customer has: either is booked whatever is closed, and the books stay in step.
#[test]
fn what_cards_prove_and_customers_get_back_is_booked_after_the_closing_too() {
    let kit = Kit::new(1);
    let mut card = ModelCard::new(1, 0);
    for order in ["a", "b"] {
        kit.pay(order, &card, AMOUNT).unwrap();
    }
    let credit = refused(kit.host.initialize(&id("a"), &card.initialize(Fen::new(AMOUNT)), at(1))).unwrap();
    let tac = card.credit(credit).unwrap();
    close(&kit, day(), clock(23, 50));
    for moment in [clock(23, 59), clock(24, 1)] {
        assert_eq!(refused(kit.host.confirm(&id("a"), tac, moment)), Ok(OrderState::Credited));
        assert_eq!(refused(kit.host.give_back(&id("b"), moment)), Ok(OrderState::GivenBack));
        let settled =
            kit.host.settle_channel(day(), &CHANNEL.parse().unwrap(), Fen::new(AMOUNT), Fen::new(30), moment);
        refused(settled).unwrap();
        close(&kit, moment.date.plus_days(1).unwrap(), moment);
    }
    for entry in ["load/a/credited", "load/b/given-back", "channel/WECHAT/20260302/settled"] {
        assert_eq!(booked(&kit, entry), (later(1), clock(23, 59)), "{entry}");
    }
    assert_eq!(booked(&kit, "load/a/paid"), (day(), at(0)));
    assert_eq!(kit.money(), (0, AMOUNT, 0));
    let closed = refused(kit.host.resume(&id("a"), &card.initialize(Fen::new(AMOUNT)), clock(48, 0)));
    assert_eq!(closed, Ok(Resumed::Closed(OrderState::Credited)));
    kit.check_books();
}
