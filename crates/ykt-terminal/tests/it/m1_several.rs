//! M1 cards between terminals that know nothing of each other: nobody finishes another's transaction as its own, and
//! whatever happens, what the cards lost or got is what the terminals recorded.

use crate::m1_desk::{BALANCE, LAYOUTS, M1Hand, Terminal, at, booked, card, show, terminal};
use proptest::prelude::*;
use std::collections::BTreeMap;
use ykt_base::{DateTime, Fen};
use ykt_m1::{M1Layout, Rest, Tear, Uid};
use ykt_terminal::m1::{Certainty, M1Outcome, M1Record, Operation};

/// Shows the card with an amount it cannot pay: everything unfinished is finished, and nothing new begins.
fn settle(terminal: &mut Terminal, card: &mut M1Hand, at: DateTime) {
    let outcome = terminal.purchase(card, Fen::new(0xFF_FFFF), at).unwrap();
    assert!(matches!(outcome, M1Outcome::Declined(_) | M1Outcome::Recovered(_)), "{outcome:?}");
    assert!(terminal.book().pending_of(card.uid()).is_none());
}

/// What terminals booked on a card is what it holds; grey records may be part of it. The purse count numbers a
/// card's transactions, as a clearing centre reads them: of records with one count one counts. Cards that carry
/// claims never have two.
fn assert_conserved(terminals: &[Terminal], card: &M1Hand, start: Fen, layout: &M1Layout, what: &str) {
    let mut sure: BTreeMap<u16, i64> = BTreeMap::new();
    let mut grey: BTreeMap<u16, Vec<i64>> = BTreeMap::new();
    for M1Record { intent, certainty } in terminals.iter().flat_map(|terminal| terminal.book().records()) {
        let signed = if intent.operation == Operation::Load { 1 } else { -1 } * intent.amount.fen();
        if intent.card.uid != card.uid() {
            continue;
        }
        if *certainty == Certainty::Grey {
            grey.entry(intent.count).or_default().push(signed);
        } else if let Some(other) = sure.insert(intent.count, signed) {
            assert!(
                other == signed && *layout != M1Layout::CLAIMED,
                "{what}: two records of count {}",
                intent.count
            );
        }
    }
    let missing = card.balance().fen() - start.fen() - sure.values().sum::<i64>();
    let open = grey.iter().filter(|(count, _)| !sure.contains_key(count));
    let sums = open.fold(vec![0], |sums: Vec<i64>, (_, amounts)| {
        sums.iter().flat_map(|sum| amounts.iter().chain(&[0]).map(move |amount| sum + amount)).collect()
    });
    assert!(sums.contains(&missing), "{what}: {missing} fen are nobody's, grey {grey:?}");
}

/// Cut at one terminal, shown (and cut) at another, back at the first: each for every write.
#[test]
fn cut_at_every_memory_write_of_two_terminals_the_money_is_somebodys() {
    let few = || {
        [(0, Rest::Kept), (4, Rest::Erased(0)), (16, Rest::Kept)]
            .into_iter()
            .map(|(arrived, rest)| Tear { arrived, rest })
    };
    let operations = [Operation::Purchase, Operation::Load];
    let both = operations.into_iter().flat_map(|first| operations.map(|second| (first, second)));
    let (mut seen, mut grey) = (0, [0; 3]);
    for (which, layout) in LAYOUTS.into_iter().enumerate() {
        let image = card(1, layout);
        for (first, second) in both.clone() {
            for (cut_here, tear_here) in (0..9).flat_map(|write| few().map(move |tear| (write, tear))) {
                for (cut_there, tear_there) in (0..10).flat_map(|write| few().map(move |tear| (write, tear)))
                {
                    let what =
                        format!("{first:?} {cut_here} {tear_here:?}, {second:?} {cut_there} {tear_there:?}");
                    let mut terminals = [terminal(1, layout), terminal(2, layout)];
                    let mut card = M1Hand::new(image.clone());
                    card.memory().cut_power_after(cut_here, tear_here);
                    show(&mut terminals[0], &mut card, first, at("080000"));
                    let mut card = card.put_back();
                    card.memory().cut_power_after(cut_there, tear_there);
                    show(&mut terminals[1], &mut card, second, at("080010"));
                    let mut card = card.put_back();
                    for terminal in &mut terminals {
                        settle(terminal, &mut card, at("080020"));
                    }
                    assert_conserved(&terminals, &card, BALANCE, &layout, &what);
                    grey[which] += terminals.iter().map(|one| booked(one, card.uid()).1.len()).sum::<usize>();
                    seen += 1;
                }
            }
        }
    }
    println!("M1 at two terminals: {seen} pairs of cuts; grey records by layout: {grey:?}");
    assert_eq!(grey[0], 0, "where cards carry claims, every record is sure");
}

/// One showing of a card.
#[derive(Debug, Clone)]
struct Showing {
    card: usize,
    terminal: usize,
    operation: Operation,
    amount: i64,
    cut: Option<(usize, Tear)>,
    pause_s: i64,
}

fn showing() -> impl Strategy<Value = Showing> {
    let tear = (0usize..=16, prop_oneof![Just(Rest::Kept), Just(Rest::Erased(0)), Just(Rest::Erased(0xFF))])
        .prop_map(|(arrived, rest)| Tear { arrived, rest });
    let cut = prop::option::weighted(0.6, (0usize..10, tear));
    let operation = prop_oneof![3 => Just(Operation::Purchase), 1 => Just(Operation::Load)];
    (0usize..2, 0usize..3, operation, prop_oneof![Just(200), 1i64..2_500], cut, 1i64..200).prop_map(
        |(card, terminal, operation, amount, cut, pause_s)| Showing {
            card,
            terminal,
            operation,
            amount,
            cut,
            pause_s,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Two cards, three terminals, any order, any cuts. At the end every card is shown to every terminal once more.
    #[test]
    fn m1_money_is_conserved_whatever_happens(showings in prop::collection::vec(showing(), 1..24), layout in 0usize..3) {
        let layout: M1Layout = LAYOUTS[layout];
        let mut terminals = [terminal(1, layout), terminal(2, layout), terminal(3, layout)];
        let mut cards = [Some(M1Hand::new(card(1, layout))), Some(M1Hand::new(card(2, layout)))];
        let mut now = at("080000");
        for Showing { card, terminal, operation, amount, cut, pause_s } in showings {
            now = now.plus_seconds(pause_s).unwrap();
            let mut hand = cards[card].take().unwrap();
            if let Some((write, tear)) = cut {
                hand.memory().cut_power_after(write, tear);
            }
            let (terminal, amount) = (&mut terminals[terminal], Fen::new(amount));
            let outcome = match operation {
                Operation::Purchase => terminal.purchase(&mut hand, amount, now).unwrap(),
                Operation::Load => terminal.load(&mut hand, amount, now).unwrap(),
            };
            if let M1Outcome::Done(receipt) | M1Outcome::Recovered(receipt) = outcome {
                prop_assert!(terminal.book().record(receipt.record.intent.serial).is_some());
                prop_assert_eq!(receipt.balance, hand.balance());
            }
            cards[card] = Some(hand.put_back());
        }
        let mut uids: Vec<Uid> = Vec::new();
        for card in &mut cards {
            let mut hand = card.take().unwrap();
            for terminal in &mut terminals {
                settle(terminal, &mut hand, now);
            }
            assert_conserved(&terminals, &hand, BALANCE, &layout, "at the end");
            prop_assert!(hand.balance() >= Fen::ZERO);
            uids.push(hand.uid());
        }
        for record in terminals.iter().flat_map(|terminal| terminal.book().records()) {
            prop_assert!(uids.contains(&record.intent.card.uid));
        }
    }
}
