//! Every sequence of steps up to a length, repeats and breaks included, over one order and over two orders of
//! one card. All steps happen in the same second, the worst case for MACs that cover the time.
//!
//! Two sequences that lead to the same knowledge of host, card and terminal go on alike, so each such state is
//! gone on from once, and only by steps that do something. After every step the books are compared with the
//! orders and with the card; from every state the way back to an orderly end is walked.

use crate::kit::{Kit, ModelCard, at, id, issue_cards, purse, refused};
use std::collections::{BTreeMap, BTreeSet};
use ykt_base::{Fen, Mac4, Random4};
use ykt_pay::order::Order;
use ykt_pay::{CardOffer, Credit, OrderState, Refusal, Resumed};

const AMOUNT: i64 = 5_000;
const START: i64 = 10_000;
const SPENT: i64 = 300;

/// What a terminal, a card or a customer does next; the number is the order's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Pay(usize),
    /// INITIALIZE, and its answer to the host.
    Initialize(usize),
    /// The last answer to the host again.
    InitializeAgain(usize),
    /// The last MAC2 to the card.
    Credit(usize),
    /// The last MAC2 to the card, which is pulled before it answers.
    CreditLost(usize),
    /// The card's TAC to the host.
    Confirm(usize),
    WrongTac(usize),
    /// A fresh INITIALIZE after a break, and its answer to the host.
    Resume(usize),
    ResumeAgain(usize),
    /// A fresh INITIALIZE that answers with a wrong MAC1.
    WrongMac1(usize),
    /// The card's proof of its last load to the host.
    Prove(usize),
    GiveBack(usize),
    /// Power off and on.
    PowerCut,
    /// An offline purchase.
    Spend,
}

impl Step {
    /// What can happen to one order.
    const OF_ONE: [fn(usize) -> Step; 9] = [
        Step::Initialize,
        Step::InitializeAgain,
        Step::Credit,
        Step::CreditLost,
        Step::Confirm,
        Step::Resume,
        Step::ResumeAgain,
        Step::Prove,
        Step::GiveBack,
    ];

    fn of_one_order() -> Vec<Step> {
        let once = [Step::Pay(0), Step::WrongTac(0), Step::WrongMac1(0), Step::PowerCut, Step::Spend];
        once.into_iter().chain(Step::OF_ONE.map(|step| step(0))).collect()
    }

    fn of_two_orders() -> Vec<Step> {
        (0..2).flat_map(|no| Step::OF_ONE.map(|step| step(no))).collect()
    }
}

/// What the terminal remembers of an order.
#[derive(Default, Clone)]
struct Memory {
    offer: Option<CardOffer>,
    credit: Option<Credit>,
    tac: Option<Mac4>,
    resume: Option<(CardOffer, Resumed)>,
}

struct World<'k> {
    kit: &'k Kit,
    card: ModelCard,
    names: Vec<String>,
    memory: Vec<Memory>,
    credits: BTreeMap<Random4, Credit>,
    before: (i64, i64, i64),
    spent: i64,
}

impl<'k> World<'k> {
    fn new(kit: &'k Kit, card_no: u32, orders: usize) -> World<'k> {
        World {
            kit,
            card: ModelCard::new(card_no, START),
            names: (0..orders).map(|no| format!("{card_no}-{no}")).collect(),
            memory: vec![Memory::default(); orders],
            credits: BTreeMap::new(),
            before: kit.money(),
            spent: 0,
        }
    }

    fn orders(&self) -> Vec<Option<Order>> {
        let find = |name: &String| self.kit.store.read(|tx| ykt_pay::order(tx, &id(name))).unwrap();
        self.names.iter().map(|name| find(name).map(|view| view.order)).collect()
    }

    /// Brings an answer to the host; the same answer must get the same credit for ever.
    fn bring(&mut self, no: usize, offer: CardOffer) -> Result<Credit, Refusal> {
        let answer = refused(self.kit.host.initialize(&id(&self.names[no]), &offer, at(0)));
        if let Ok(credit) = answer {
            assert_eq!(*self.credits.entry(offer.random).or_insert(credit), credit);
        }
        answer
    }

    fn confirm(&self, no: usize, tac: Mac4) -> Result<OrderState, Refusal> {
        refused(self.kit.host.confirm(&id(&self.names[no]), tac, at(0)))
    }

    fn resume(&self, no: usize, offer: &CardOffer) -> Result<Resumed, Refusal> {
        refused(self.kit.host.resume(&id(&self.names[no]), offer, at(0)))
    }

    /// Whether nobody has what the step needs, so that it would do nothing.
    fn is_idle(&self, step: Step) -> bool {
        match step {
            Step::InitializeAgain(no) => self.memory[no].offer.is_none(),
            Step::Credit(no) | Step::CreditLost(no) => self.memory[no].credit.is_none(),
            Step::Confirm(no) => self.memory[no].tac.is_none(),
            Step::ResumeAgain(no) => self.memory[no].resume.is_none(),
            Step::Prove(_) => self.card.loads == 0,
            _ => false,
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::PowerCut => self.card.reset(),
            Step::Spend => {
                if self.spent == 0 {
                    self.card.spend(SPENT);
                    self.spent = SPENT;
                }
                self.card.reset();
            }
            Step::Pay(no) => {
                self.kit.pay(&self.names[no], &self.card, AMOUNT).unwrap();
            }
            Step::Initialize(no) => {
                let offer = self.card.initialize(Fen::new(AMOUNT));
                self.memory[no].offer = Some(offer);
                self.memory[no].credit = self.bring(no, offer).ok();
            }
            Step::InitializeAgain(no) => {
                if let Some(offer) = self.memory[no].offer {
                    self.memory[no].credit = self.bring(no, offer).ok();
                }
            }
            Step::Credit(no) | Step::CreditLost(no) => {
                let tac = self.memory[no].credit.and_then(|credit| self.card.credit(credit));
                self.memory[no].tac = tac.filter(|_| step == Step::Credit(no)).or(self.memory[no].tac);
            }
            Step::Confirm(no) => {
                if let Some(tac) = self.memory[no].tac {
                    assert_eq!(self.confirm(no, tac), Ok(OrderState::Credited), "the card's own TAC");
                }
            }
            Step::WrongTac(no) => {
                assert!(self.confirm(no, Mac4([0xEE; 4])).is_err());
            }
            Step::Resume(no) => {
                let offer = self.card.initialize(Fen::new(AMOUNT));
                let answer = self.resume(no, &offer);
                if let Ok(resumed) = &answer {
                    self.memory[no].resume = Some((offer, resumed.clone()));
                }
                if answer == Ok(Resumed::NotCredited) {
                    self.memory[no].offer = Some(offer);
                }
            }
            Step::ResumeAgain(no) => {
                if let Some((offer, answer)) = self.memory[no].resume.clone() {
                    let again = self.resume(no, &offer);
                    let was_judged =
                        self.orders()[no].as_ref().unwrap().proofs.iter().any(|p| p.offer == offer);
                    assert!(!was_judged || again == Ok(answer), "{again:?}");
                }
            }
            Step::WrongMac1(no) => {
                let mut offer = self.card.initialize(Fen::new(AMOUNT));
                offer.mac1.0[0] ^= 1;
                assert!(self.bring(no, offer).is_err());
                let judged = self.resume(no, &offer);
                let unjudged = matches!(judged, Ok(Resumed::NotCredited | Resumed::Closed(_)) | Err(_));
                assert!(unjudged, "{judged:?}");
            }
            Step::Prove(no) => {
                let counter = self.orders()[no].as_ref().and_then(Order::frozen_counter);
                if let Some(tac) = counter.and_then(|counter| self.card.prove(counter)) {
                    // The proof may be that of the other order's load.
                    let _ = self.confirm(no, tac);
                }
            }
            Step::GiveBack(no) => {
                let _ = self.kit.host.give_back(&id(&self.names[no]), at(0));
            }
        }
    }

    /// The books, the orders and the card agree.
    fn check(&self, way: &[Step]) {
        let orders: Vec<Order> = self.orders().into_iter().flatten().collect();
        let count = |state| orders.iter().filter(|order| order.state == state).count();
        let (credited, given_back) = (count(OrderState::Credited), count(OrderState::GivenBack));
        assert_eq!(count(OrderState::ErrorDesk), 0, "{way:?}");
        let sum = |orders: usize| i64::try_from(orders).unwrap() * AMOUNT;
        let (held, on_cards, owed) = self.kit.money();
        let (held, on_cards, owed) = (held - self.before.0, on_cards - self.before.1, owed - self.before.2);
        assert_eq!(held, sum(orders.len() - credited - given_back), "held: {way:?}");
        assert_eq!(on_cards, sum(credited), "on cards: {way:?}");
        assert_eq!(owed, sum(orders.len() - given_back), "paid and not given back: {way:?}");
        let loads = usize::try_from(self.card.loads).unwrap();
        assert!(credited <= loads, "booked on the card and not there: {way:?}");
        assert!(loads <= orders.len() - given_back, "on the card and given back: {way:?}");
        assert_eq!(self.card.balance, purse(START - self.spent + sum(loads)));
        let counters: BTreeSet<_> = orders
            .iter()
            .filter(|order| order.state == OrderState::Credited)
            .map(Order::frozen_counter)
            .collect();
        assert_eq!(counters.len(), credited, "one step of the counter, one load: {way:?}");
    }

    /// What everybody knows, random numbers named by the order in which they appear.
    fn key(&self) -> String {
        let mut names: BTreeMap<Random4, usize> = BTreeMap::new();
        let mut name = |random: Random4| {
            let next = names.len();
            *names.entry(random).or_insert(next)
        };
        let mut key = self.card.key();
        key += &format!(" session {:?}", self.card.session_random().map(&mut name));
        for (order, memory) in self.orders().into_iter().zip(&self.memory) {
            let offer = |offer: &CardOffer, name: &mut dyn FnMut(Random4) -> usize| {
                format!("{}/{}/{}", name(offer.random), offer.counter, offer.balance)
            };
            if let Some(order) = order {
                let booked = order.tac.map(|tac| memory.tac == Some(tac));
                key += &format!(" | {} {booked:?} {}", order.state, order.reason);
                for freeze in &order.freezes {
                    key += &format!(" f{}", offer(&freeze.offer, &mut name));
                }
                for proof in &order.proofs {
                    key += &format!(" p{}={}", offer(&proof.offer, &mut name), proof.state);
                }
            }
            let Memory { offer: last, credit, tac, resume } = memory;
            key += &format!(" o{:?}", last.as_ref().map(|last| offer(last, &mut name)));
            key += &format!(" r{:?}", resume.as_ref().map(|(last, answer)| (offer(last, &mut name), answer)));
            let of = credit.and_then(|credit| self.credits.iter().find(|(_, known)| **known == credit));
            key += &format!(" c{:?} t{}", of.map(|(random, _)| name(*random)), tac.is_some());
        }
        key
    }

    /// From here every paid order comes to its end: what is on the card is booked, the rest is loaded now.
    fn finish(&mut self, way: &[Step]) {
        for _ in 0..self.names.len() {
            for no in 0..self.names.len() {
                let Some(order) = &self.orders()[no] else { continue };
                if !order.state.holds_money() {
                    continue;
                }
                let offer = self.card.initialize(Fen::new(AMOUNT));
                let answer = match self.resume(no, &offer) {
                    Ok(Resumed::NotCredited) => self.bring(no, offer).map(|credit| self.card.credit(credit)),
                    Ok(Resumed::Prove { counter }) => Ok(self.card.prove(counter)),
                    Ok(other) => panic!("{other:?}: {way:?}"),
                    Err(refusal) => Err(refusal),
                };
                let tac = match answer {
                    Ok(tac) => tac,
                    // Another order has its MAC2 out: that one first.
                    Err(Refusal::CardBusy { .. }) => continue,
                    Err(other) => panic!("{other}: {way:?}"),
                };
                let tac = tac.unwrap_or_else(|| panic!("no TAC: {way:?}"));
                assert_eq!(self.confirm(no, tac), Ok(OrderState::Credited), "{way:?}");
            }
        }
        self.check(way);
        let credited = self.orders().iter().flatten().filter(|order| !order.state.holds_money()).count();
        assert_eq!(credited, self.orders().iter().flatten().count(), "all orders are closed: {way:?}");
        let loads =
            self.orders().iter().flatten().filter(|order| order.state == OrderState::Credited).count();
        assert_eq!(loads, usize::try_from(self.card.loads).unwrap(), "the card has what is booked: {way:?}");
    }
}

/// Walks every sequence of `length` of these steps after those of `first`; answers with the states it met.
fn walk(first: &[Step], steps: &[Step], length: usize) -> usize {
    let orders = first.len().max(1);
    let kit = Kit::new(0);
    let mut cards = 0_u32;
    let mut met = BTreeSet::new();
    let mut frontier: Vec<(Vec<Step>, Vec<Step>)> = vec![(first.to_vec(), steps.to_vec())];
    for _ in 0..length {
        let mut next = Vec::new();
        for (way, steps_on) in &frontier {
            for step in steps_on {
                if cards.is_multiple_of(1_000) {
                    issue_cards(&kit.store, cards + 1..=cards + 1_000);
                }
                cards += 1;
                let mut world = World::new(&kit, cards, orders);
                way.iter().for_each(|step| world.apply(*step));
                world.apply(*step);
                let longer: Vec<Step> = way.iter().copied().chain([*step]).collect();
                world.check(&longer);
                if met.insert(world.key()) {
                    let steps_on = steps.iter().copied().filter(|step| !world.is_idle(*step)).collect();
                    world.finish(&longer);
                    next.push((longer, steps_on));
                }
            }
        }
        frontier = next;
    }
    kit.check_books();
    println!("{orders} orders, {length} steps: {cards} sequences walked, {} states met", met.len());
    met.len()
}

#[test]
fn every_sequence_of_five_steps_of_one_order_keeps_the_money() {
    let met = walk(&[], &Step::of_one_order(), 5);
    assert!(met > 50, "{met} states");
}

#[test]
fn every_sequence_of_four_steps_of_two_paid_orders_of_one_card_keeps_the_money() {
    let met = walk(&[Step::Pay(0), Step::Pay(1)], &Step::of_two_orders(), 4);
    assert!(met > 200, "{met} states");
}
