//! Counters, balances, and grey records (`clearing.md` 3.1 to 3.3, and card X of 15).

use crate::world::*;
use ykt_base::CardCounter;
use ykt_clearing::queries::{self, Standing};
use ykt_clearing::{Cause, Edge, State};
use ykt_files::{Confirmation, QsRecord, RefuseCause, SsRecord, XfRecord};
use ykt_store::Paging;

fn standing(world: &World, number: u32, counter: u16) -> Vec<Standing> {
    let history = world.read(|tx| queries::card_history(tx, &card(number)));
    let of_counter =
        history.records.iter().filter(|row| row.purchase.unwrap().counter == CardCounter(counter));
    let mut found: Vec<_> = of_counter.map(|row| (row.id, row.standing)).collect();
    found.sort_by_key(|(id, _)| *id);
    found.into_iter().map(|(_, standing)| standing).collect()
}

fn gaps(world: &World, number: u32) -> Vec<(u16, u16, i64)> {
    let page = world.read(|tx| queries::gaps(tx, Some(&card(number)), Paging::default()));
    page.rows.iter().map(|row| (row.gap.first.0, row.gap.last.0, row.gap.lost.fen())).collect()
}

fn adopted() -> World {
    let world = World::new();
    let newest = Edge { balance: fen(5_000), at: Some(at(20_261_121, 0)) };
    assert!(world.clearing.adopt_card(&card(1), CardCounter(101), newest).unwrap());
    assert!(!world.clearing.adopt_card(&card(1), CardCounter(7), newest).unwrap());
    world
}

/// `clearing.md` 15, card X: 102 is grey and proven by 104; 103 is missing with 2.00; a late 103 closes the gap.
#[test]
fn card_x() {
    let mut world = adopted();
    let r101 = world.sale(1, 101, 5_000, 200);
    let r102 = world.sale(1, 102, 4_800, 200);
    let r103 = world.sale(1, 103, 4_600, 200);
    let r104 = world.sale(1, 104, 4_400, 200);
    let r105 = world.sale(1, 105, 6_200, 200);
    world.load(1, r105.at, 2_000);
    world.send(D1, 1, &[r101, grey(r102)]);
    let bill = world.close(D1).bills[0];
    assert_eq!((bill.confirmed.count, bill.refused.count), (1, 1));
    assert_eq!(standing(&world, 1, 102), [Standing::Verdict(State::Parked)]);
    assert_eq!(world.answer::<SsRecord>(1, D1)[0].cause, RefuseCause::Grey);

    world.send(D2, 1, &[r105, r104]);
    let bill = world.close(D2).bills[0];
    assert_eq!((bill.confirmed.count, bill.adjusted.count, bill.adjusted.amount), (2, 1, fen(200)));
    assert_eq!(standing(&world, 1, 102), [Standing::Verdict(State::Accepted)]);
    assert_eq!(gaps(&world, 1), [(103, 103, 200)]);
    assert_eq!(world.answer::<SsRecord>(1, D2)[0].cause, RefuseCause::Adjustment);
    let differences = world.read(|tx| queries::differences(tx, Paging::default()));
    assert_eq!(differences.rows, [], "the load explains the balance of 105");

    world.send(20_261_124, 1, &[r103]);
    world.close(20_261_124);
    assert_eq!(gaps(&world, 1), []);
    let book = world.read(|tx| queries::card_history(tx, &card(1))).book.unwrap();
    let filter = queries::RecordFilter { asn: Some(card(1)), ..queries::RecordFilter::default() };
    let of_card = world.read(|tx| queries::records(tx, &filter, order(), Paging::default()));
    assert_eq!((of_card.totals.count, of_card.totals.amount), (5, fen(1_000)));
    assert_eq!(book.covered.as_slice(), [(0, 105)]);
    assert_eq!((book.newest.balance, book.spent), (fen(6_000), fen(1_000)));
    assert_eq!(world.balance("2001"), 1_000);
}

#[test]
fn the_same_counter_accepted_proves_no_debit() {
    let mut world = World::new();
    let grey = grey(world.sale(1, 0, 0, 200));
    world.send(D1, 1, &[grey]);
    world.close(D1);
    // The card was never debited: its next purchase has the same counter.
    let next = world.sale(1, 0, 0, 0);
    let next = signed(XfRecord { purchase: ykt_files::PurchaseType::Compound, ..next });
    world.send(D2, 1, &[next]);
    let bill = world.close(D2).bills[0];
    assert_eq!(standing(&world, 1, 0), [Standing::Verdict(State::Void), Standing::Accepted]);
    assert_eq!((bill.confirmed.count, bill.adjusted.count, bill.adjustment_refused.count), (1, 0, 1));
    assert_eq!(world.answer::<SsRecord>(1, D2)[0].cause, RefuseCause::GreyAgain);
    assert_eq!(world.read(queries::unaccepted), []);
}

#[test]
fn balances_that_disagree_go_to_the_error_desk() {
    let mut world = World::new();
    world.load(1, at(D1, 70_000), 5_000);
    let first = world.sale(1, 0, 5_000, 200);
    let grey = grey(world.sale(1, 1, 4_800, 300));
    let after = world.sale(1, 2, 4_600, 200);
    world.send(D1, 1, &[first, grey, after]);
    world.close(D1);
    assert_eq!(standing(&world, 1, 1), [Standing::Verdict(State::Parked)]);
    let causes = world.read(|tx| queries::by_cause(tx, Some(day(D1))));
    assert_eq!((causes[0].cause, causes[0].state), (Cause::GreyDisagrees, State::Parked));
    assert_eq!(gaps(&world, 1), [(1, 1, 200)]);
    // The genuine record of that counter comes late; the grey one is void.
    let genuine = world.sale(1, 1, 4_800, 200);
    world.send(D2, 1, &[genuine]);
    world.close(D2);
    assert_eq!(standing(&world, 1, 1), [Standing::Verdict(State::Void), Standing::Accepted]);
    assert_eq!(gaps(&world, 1), []);
}

#[test]
fn of_two_grey_records_the_one_that_agrees_debited() {
    let mut world = World::new();
    world.load(1, at(D1, 70_000), 5_000);
    let (one, two) = (world.sale(1, 0, 5_000, 300), world.sale(1, 0, 5_000, 200));
    let after = world.sale(1, 1, 4_800, 200);
    world.send(D1, 1, &[grey(one), grey(two), grey(two), after]);
    let bill = world.close(D1).bills[0];
    use Standing::Verdict;
    let expected = [Verdict(State::Parked), Verdict(State::Accepted), Verdict(State::Refused)];
    assert_eq!(standing(&world, 1, 0), expected);
    assert_eq!(
        (bill.confirmed.count, bill.confirmed.amount),
        (2, fen(400)),
        "proven on its own day: confirmed"
    );
    assert_eq!(bill.refused.count, 2);
    world.close(D2);
    assert_eq!(standing(&world, 1, 0)[0], Verdict(State::Void), "its counter is covered now");
}

/// Balances alone confirm no record that people would have to look at if it had a TAC (V12, V13).
#[test]
fn what_is_not_plausible_is_not_proven() {
    let mut world = World::new();
    for card in 1..=3 {
        world.load(card, at(20_261_001, 0), 300_000);
    }
    let mut between = |card, amount, date| {
        let grey = grey(world.sale(card, 0, 300_000, amount));
        let after = world.sale(card, 1, 300_000 - amount, 200);
        [XfRecord { at: at(date, 90_000), ..grey }, after]
    };
    let records = [between(1, 0, D1), between(2, 100_001, D1), between(3, 200, 20_261_022)].concat();
    world.send(D1, 1, &records);
    let bill = world.close(D1).bills[0];
    assert_eq!((bill.confirmed.count, bill.confirmed.amount), (3, fen(600)));
    let causes = world.read(|tx| queries::by_cause(tx, Some(day(D1))));
    let found: Vec<_> = causes.iter().map(|row| (row.cause, row.state, row.sum.count)).collect();
    assert_eq!(found, [(Cause::Overdue, State::Parked, 1), (Cause::AmountSuspicious, State::Parked, 2)]);
    // People find out what it was; the genuine record comes.
    let genuine = world.sale(2, 0, 300_000, 100_000);
    world.send(D2, 1, &[genuine]);
    world.close(D2);
    assert_eq!(standing(&world, 2, 0), [Standing::Verdict(State::Void), Standing::Accepted]);
}

/// MAC2 was wrong, so the terminal doubts the debit, but the card's TAC is there: it tells at once.
#[test]
fn a_right_tac_makes_a_grey_record_a_normal_one() {
    let mut world = World::new();
    let doubted = |sale| XfRecord { confirmation: Confirmation::Grey, ..sale };
    let right = doubted(world.sale(1, 0, 5_000, 200));
    let wrong = XfRecord { amount: fen(199), ..doubted(world.sale(2, 0, 5_000, 200)) };
    let new_key = doubted(world.sale(NEW_KEY_CARD, 0, 5_000, 200));
    let free = doubted(world.sale(3, 0, 5_000, 0));
    world.send(D1, 1, &[right, wrong, new_key, free]);
    let bill = world.close(D1).bills[0];
    assert_eq!((bill.confirmed.count, bill.refused.count), (1, 3));
    let parked = [Standing::Verdict(State::Parked)];
    assert_eq!(standing(&world, 1, 0), [Standing::Accepted]);
    assert_eq!((standing(&world, 2, 0), standing(&world, 3, 0)), (parked.to_vec(), parked.to_vec()));
    let causes = world.read(|tx| queries::by_cause(tx, Some(day(D1))));
    let causes: Vec<_> = causes.iter().map(|row| row.cause).collect();
    assert_eq!(causes, [Cause::KeyVersionUnknown, Cause::Grey, Cause::AmountSuspicious]);
    // It occupies its counter as any record does: a copy is a duplicate, a rival a conflict.
    let copy = grey(right);
    let rival = world.sale(1, 0, 5_000, 300);
    world.send(D2, 1, &[copy, rival]);
    world.close(D2);
    let [rival, copy, _] = &world.read(|tx| queries::card_history(tx, &card(1))).records[..] else {
        panic!()
    };
    let mut causes = [copy, rival].map(|row| row.verdict.map(|v| (v.cause, v.state)).unwrap());
    causes.sort();
    assert_eq!(causes, [(Cause::DuplicateInHistory, State::Refused), (Cause::Conflict, State::Parked)]);
}

/// Two records with right TACs claim one counter; that one of them is grey does not let it in the day after.
#[test]
fn a_grey_record_in_conflict_waits_for_people() {
    let mut world = World::new();
    let (one, two) = (world.sale(1, 0, 5_000, 300), world.sale(1, 0, 5_000, 200));
    world.send(D1, 1, &[XfRecord { confirmation: Confirmation::Grey, ..one }, two]);
    world.close(D1);
    world.close(D2);
    assert_eq!(standing(&world, 1, 0), [Standing::Verdict(State::Parked); 2]);
}

/// A grey record without a TAC claims the gap that a late file leaves. The genuine record is neither booked
/// twice nor refused by time: it stays on the desk and says what it met.
#[test]
fn a_genuine_record_that_meets_a_booked_grey_one_stays_visible() {
    let mut world = World::new();
    world.load(1, at(D1, 70_000), 5_000);
    let first = world.sale(1, 0, 5_000, 200);
    let genuine = world.sale(1, 1, 4_800, 300);
    let after = world.sale(1, 2, 4_500, 200);
    let claim = grey(at_shop(world.sale(1, 1, 4_800, 300)));
    world.send(D1, 1, &[first, after]);
    world.send(D1, 1, &[claim]);
    world.close(D1);
    assert_eq!(standing(&world, 1, 1), [Standing::Verdict(State::Accepted)]);
    world.send(D2, 1, &[genuine]);
    for date in [D2, 20_270_201] {
        world.close(date);
        let filter = queries::RecordFilter {
            verdict: Some(queries::VerdictFilter::Cause(Cause::GreyBooked)),
            ..queries::RecordFilter::default()
        };
        let found = world.read(|tx| queries::records(tx, &filter, order(), Paging::default()));
        let [row] = &found.rows[..] else { panic!("{found:?}") };
        assert_eq!((row.merchant, row.standing), (merchant(1), Standing::Verdict(State::Parked)));
    }
    assert_eq!(world.balance("2001"), 700, "the purse was debited once");
}

#[test]
fn grey_records_wait_a_time_and_no_longer() {
    let mut world = World::new();
    let grey = grey(world.sale(1, 0, 5_000, 200));
    world.send(D1, 1, &[grey]);
    world.close(D1);
    world.close(20_261_222);
    assert_eq!(standing(&world, 1, 0), [Standing::Verdict(State::Parked)]);
    let bill = world.close(20_261_223).bills[0];
    assert_eq!(standing(&world, 1, 0), [Standing::Verdict(State::Refused)]);
    assert_eq!((bill.adjustment_refused.count, bill.adjustment_refused.amount), (1, fen(200)));
}

#[test]
fn late_records_in_any_order_give_the_same_book() {
    let orders: [[u16; 5]; 4] = [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3], [4, 0, 2, 3, 1]];
    let books = orders.map(|order| {
        let mut world = World::new();
        world.load(1, at(D1, 70_000), 5_000);
        let sales: Vec<_> = (0..5).map(|n| world.sale(1, n, 5_000 - i64::from(n) * 200, 200)).collect();
        for (date, counter) in (D1..).zip(order) {
            world.send(date, 1, &[sales[usize::from(counter)]]);
            world.close(date);
        }
        assert_eq!(gaps(&world, 1), []);
        assert_eq!(world.read(|tx| queries::differences(tx, Paging::default())).totals, 0);
        world.read(|tx| queries::card_history(tx, &card(1))).book.unwrap()
    });
    assert!(books.iter().all(|book| *book == books[0]));
    assert_eq!((books[0].spent, books[0].newest.balance), (fen(1_000), fen(4_000)));
}

#[test]
fn a_broken_balance_is_accepted_and_noted() {
    let mut world = World::new();
    world.load(1, at(D1, 70_000), 5_000);
    let sales = [world.sale(1, 0, 5_000, 200), world.sale(1, 1, 4_900, 200)];
    world.send(D1, 1, &sales);
    world.close(D1);
    let page = world.read(|tx| queries::differences(tx, Paging::default()));
    assert_eq!((page.rows[0].expected, page.rows[0].found), (fen(4_800), fen(4_900)));
    assert_eq!(world.balance("2001"), 400);
}

/// `clearing.md` 15: 985 confirmed, 15 refused (5 duplicates, 3 TACs, 2 grey, 5 unknown cards), 2 adjusted from
/// the day before; the amounts there are 2.00 each, here too.
#[test]
fn totals_of_the_worked_example() {
    let mut world = World::new();
    for number in 1..=40 {
        world.load(number, at(20_261_121, 0), 50_000);
    }
    let mut counters = [0u16; 41];
    let mut balances = [50_000i64; 41];
    let mut next = |world: &mut World, number: u32, amount: i64| {
        let at = number as usize;
        let sale = world.sale(number, counters[at], balances[at], amount);
        counters[at] += 1;
        balances[at] -= amount;
        sale
    };
    let yesterday = [next(&mut world, 39, 250), next(&mut world, 40, 250)].map(grey);
    world.send(D1, 1, &yesterday);
    world.close(D1);
    let mut records: Vec<_> = (0..980u32).map(|n| next(&mut world, n % 35 + 1, 200)).collect();
    records.extend((36..=40).map(|number| next(&mut world, number, 200)));
    let duplicates: Vec<_> =
        records[..5].iter().map(|record| XfRecord { serial: 9_000, ..*record }).collect();
    records.extend(duplicates);
    records.extend(
        (1..=3).map(|number| XfRecord { tac: ykt_base::Mac4([0; 4]), ..next(&mut world, number, 200) }),
    );
    records.extend([next(&mut world, 5, 200), next(&mut world, 6, 200)].map(grey));
    records.extend((0..5).map(|n| world.sale(700 + n, 0, 5_000, 200)));
    assert_eq!(records.len(), 1_000);
    world.send(D2, 1, &records);
    world.close(D2);
    let [totals] = world.answer::<QsRecord>(1, D2)[..] else { panic!() };
    let shown = [totals.confirmed, totals.refused, totals.adjusted, totals.adjustment_refused]
        .map(|sum| (sum.count, sum.amount.fen()));
    assert_eq!(shown, [(985, 197_000), (15, 3_000), (2, 500), (0, 0)]);
    let bill = world.read(|tx| queries::bill(tx, day(D2), &merchant(1))).unwrap();
    assert_eq!((bill.commission, bill.net), (fen(1_580), fen(197_500 - 1_580)));
    let mut causes: Vec<_> = world.answer::<SsRecord>(1, D2).iter().map(|line| line.cause).collect();
    causes.sort();
    let mut expected = vec![RefuseCause::Adjustment; 2];
    expected.extend([RefuseCause::Tac; 3]);
    expected.extend([RefuseCause::Duplicate; 5]);
    expected.extend([RefuseCause::Grey; 2]);
    expected.extend([RefuseCause::Other; 5]);
    assert_eq!(causes, expected);
}
