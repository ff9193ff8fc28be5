//! The host through the trait that load terminals speak.

use crate::kit::{Kit, ModelCard, asn, at, id};
use ykt_base::{Clock, DateTime, Fen, Mac4};
use ykt_pay::TerminalDoor;
use ykt_terminal::host::{HostError, LoadHost, OrderState, PayRequest, Resumption};

struct Noon;

impl Clock for Noon {
    fn now(&self) -> DateTime {
        at(0)
    }
}

fn scene() -> (Kit, TerminalDoor<Noon>, ModelCard, PayRequest) {
    let kit = Kit::new(1);
    let door = TerminalDoor::new(kit.host.clone(), Noon);
    let request =
        PayRequest { order: id("a"), card: asn(1), amount: Fen::new(5_000), channel: "WECHAT".to_owned() };
    (kit, door, ModelCard::new(1, 0), request)
}

#[test]
fn a_load_through_the_door() {
    let (kit, mut door, mut card, request) = scene();
    assert_eq!(door.pay(&request), Ok(OrderState::Paid));
    let credit = door.initialize(&id("a"), &card.initialize(request.amount)).unwrap();
    assert_eq!(door.pay(&request), Ok(OrderState::Initialized));
    let tac = card.credit(credit).unwrap();
    assert_eq!(door.confirm(&id("a"), tac), Ok(OrderState::Done));
    assert_eq!(door.pay(&request), Ok(OrderState::Done));
    let closed = door.resume(&id("a"), &card.initialize(request.amount));
    assert_eq!(closed, Ok(Resumption::Closed(OrderState::Done)));
    assert_eq!(kit.money(), (0, 5_000, 5_000));
}

#[test]
fn after_a_break_the_same_answer_gets_the_same_credit() {
    let (kit, mut door, mut card, request) = scene();
    door.pay(&request).unwrap();
    let credit = |resumption| match resumption {
        Ok(Resumption::Credit(credit)) => credit,
        other => panic!("{other:?}"),
    };
    let offer = card.initialize(request.amount);
    let first = credit(door.resume(&id("a"), &offer));
    assert_eq!(credit(door.resume(&id("a"), &offer)), first, "cut between paying and initializing");
    let fresh = card.initialize(request.amount);
    let second = credit(door.resume(&id("a"), &fresh));
    assert_eq!(credit(door.resume(&id("a"), &fresh)), second);
    assert!(card.credit(first).is_none(), "the card drew another random number since");
    let fresh = card.initialize(request.amount);
    let third = credit(door.resume(&id("a"), &fresh));
    card.credit(third).unwrap();
    let after = card.initialize(request.amount);
    let Ok(Resumption::Prove { counter }) = door.resume(&id("a"), &after) else { panic!("no proof wanted") };
    assert_eq!(door.confirm(&id("a"), card.prove(counter).unwrap()), Ok(OrderState::Done));
    assert_eq!(kit.money(), (0, 5_000, 5_000));
}

#[test]
fn refusals_carry_code_and_reason() {
    let (_, mut door, mut card, request) = scene();
    door.pay(&request).unwrap();
    let code = |answer: Result<OrderState, HostError>| match answer {
        Err(HostError::Refused { code, .. }) => code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(door.confirm(&id("a"), Mac4([0; 4]))), "state");
    assert_eq!(code(door.give_back(&id("b"))), "unknown-order");
    door.initialize(&id("a"), &card.initialize(request.amount)).unwrap();
    assert_eq!(code(door.confirm(&id("a"), Mac4([0; 4]))), "wrong-tac");
    assert_eq!(code(door.give_back(&id("a"))), "resume-first");
    card.counter = ykt_base::CardCounter(100);
    let desk = door.resume(&id("a"), &card.initialize(request.amount));
    assert!(matches!(desk, Err(HostError::Refused { code, .. }) if code == "error-desk"));
}
