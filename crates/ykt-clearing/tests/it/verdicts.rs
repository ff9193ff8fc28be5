//! The validation chain: each cause, duplicates, conflicts, lost cards, and what comes of records judged again.

use crate::world::*;
use ykt_base::{Asn8, Mac4};
use ykt_clearing::queries::{self, RecordFilter, Standing, VerdictFilter};
use ykt_clearing::{BrokenFile, Cause, Received, State};
use ykt_files::{RefuseCause, SsRecord, XfRecord};
use ykt_office::merchants::{self, Contract, NewMerchant};
use ykt_office::terminals::{self, NewTerminal};
use ykt_office::{Act, blacklist, cards};
use ykt_store::Paging;

/// Cause and state of each record of the first merchant's files, by file and line.
fn standings(world: &World) -> Vec<Option<(Cause, State)>> {
    standings_of(world, 1)
}

fn standings_of(world: &World, number: u32) -> Vec<Option<(Cause, State)>> {
    let filter = RecordFilter { merchant: Some(merchant(number)), ..RecordFilter::default() };
    let page = world.read(|tx| queries::records(tx, &filter, order(), Paging::default()));
    page.rows.iter().map(|row| row.verdict.map(|verdict| (verdict.cause, verdict.state))).collect()
}

#[test]
fn each_step_has_its_cause() {
    let mut world = World::new();
    let good = world.sale(1, 0, 5_000, 200);
    let cases: Vec<(XfRecord, Option<(Cause, State)>)> = vec![
        (good, None),
        (XfRecord { serial: 99, ..good }, Some((Cause::DuplicateInFile, State::Refused))),
        (
            XfRecord { terminal: terminal_id(7), ..world.sale(2, 0, 5_000, 200) },
            Some((Cause::PsamUnknown, State::Parked)),
        ),
        (
            XfRecord { pos: pos(7), ..world.sale(3, 0, 5_000, 200) },
            Some((Cause::TerminalUnknown, State::Parked)),
        ),
        (
            XfRecord { pos: pos(2), ..world.sale(4, 0, 5_000, 200) },
            Some((Cause::TerminalUnknown, State::Parked)),
        ),
        (
            XfRecord { terminal: terminal_id(2), ..world.sale(5, 0, 5_000, 200) },
            Some((Cause::PairMismatch, State::Parked)),
        ),
        (world.sale(999, 0, 5_000, 200), Some((Cause::CardUnknown, State::Parked))),
        (world.sale(TEST_CARD, 0, 5_000, 200), Some((Cause::TestCard, State::Test))),
        (
            XfRecord { tac: Mac4([1; 4]), ..world.sale(6, 0, 5_000, 200) },
            Some((Cause::TacWrong, State::Refused)),
        ),
        (
            XfRecord { amount: fen(199), ..world.sale(6, 1, 5_000, 200) },
            Some((Cause::TacWrong, State::Refused)),
        ),
        (world.sale(NEW_KEY_CARD, 0, 5_000, 200), Some((Cause::KeyVersionUnknown, State::Parked))),
        (grey(world.sale(7, 0, 5_000, 200)), Some((Cause::Grey, State::Parked))),
        (
            signed(XfRecord { at: at(20_261_022, 90_000), ..world.sale(8, 0, 5_000, 200) }),
            Some((Cause::Overdue, State::Parked)),
        ),
        (
            signed(XfRecord { at: at(20_261_124, 90_000), ..world.sale(9, 0, 5_000, 200) }),
            Some((Cause::Overdue, State::Parked)),
        ),
        (signed(XfRecord { at: at(20_261_023, 90_000), ..world.sale(10, 0, 5_000, 200) }), None),
        (world.sale(11, 0, 5_000, 0), Some((Cause::AmountSuspicious, State::Parked))),
        (world.sale(12, 0, 200_000, 100_001), Some((Cause::AmountSuspicious, State::Parked))),
        (world.sale(13, 0, 100, 101), Some((Cause::AmountSuspicious, State::Parked))),
        (world.sale(14, 0, 100, 100), None),
    ];
    let records: Vec<_> = cases.iter().map(|(record, _)| *record).collect();
    world.send(D1, 1, &records);
    assert_eq!(
        world.read(|tx| queries::records(tx, &RecordFilter::default(), order(), Paging::default())).rows[0]
            .standing,
        Standing::Waiting
    );
    let closed = world.close(D1);
    let expected: Vec<_> = cases.iter().map(|(_, expected)| *expected).collect();
    assert_eq!(standings(&world), expected);
    let bill = closed.bills[0];
    assert_eq!((bill.confirmed.count, bill.confirmed.amount), (3, fen(500)));
    assert_eq!(bill.refused.count, 16);
    assert_eq!(world.balance("2001"), 500);
}

#[test]
fn illegal_lines_are_answered_as_they_came() {
    let mut world = World::new();
    let sales = [world.sale(1, 0, 5_000, 200), world.sale(2, 0, 5_000, 300)];
    let (name, mut bytes) = file(D1, merchant(1), 1, &sales);
    let line = 46 + 160;
    bytes[line + 111..line + 119].copy_from_slice(b"20261399");
    let raw = bytes[line..line + 158].to_vec();
    world.send_bytes(D1, &merchant(1), &name, bytes);
    let bill = world.close(D1).bills[0];
    assert_eq!((bill.confirmed.amount, bill.refused.count, bill.refused.amount), (fen(200), 1, fen(300)));
    let answers = world.answer::<SsRecord>(1, D1);
    assert_eq!(answers.len(), 1);
    assert_eq!((answers[0].cause, answers[0].record.0.to_vec()), (RefuseCause::Illegal, raw));
    let filter =
        RecordFilter { verdict: Some(VerdictFilter::Cause(Cause::Illegal)), ..RecordFilter::default() };
    let page = world.read(|tx| queries::records(tx, &filter, order(), Paging::default()));
    assert_eq!((page.rows[0].purchase, page.totals.amount), (None, fen(300)));
    let unaccepted = world.read(queries::unaccepted);
    assert_eq!((unaccepted[0].asn, unaccepted[0].amount), (card(2), fen(300)));
}

#[test]
fn duplicates_inside_over_files_and_over_days() {
    let mut world = World::new();
    let first = world.sale(1, 0, 5_000, 200);
    let other = world.sale(2, 0, 5_000, 100);
    world.send(D1, 1, &[first, other]);
    world.send(D1, 2, &[XfRecord { serial: 7, ..first }]);
    world.close(D1);
    let again = XfRecord { serial: 8, ..first };
    let next = world.sale(1, 1, 4_800, 100);
    world.send(D2, 1, &[again, next]);
    world.close(D2);
    let duplicate = Some((Cause::DuplicateInHistory, State::Refused));
    assert_eq!(standings(&world), [None, None, duplicate, duplicate, None]);
    assert_eq!(world.balance("2001"), 400);
}

/// Only an accepted record occupies its keys: a forgery before the genuine one does not block it.
#[test]
fn a_forgery_blocks_nothing() {
    let mut world = World::new();
    let genuine = world.sale(1, 0, 5_000, 200);
    let forged = XfRecord { amount: fen(900), ..genuine };
    world.send(D1, 1, &[forged]);
    world.send(D1, 2, &[genuine]);
    world.close(D1);
    assert_eq!(standings(&world), [Some((Cause::TacWrong, State::Refused)), None]);
    assert_eq!(world.read(queries::unaccepted), [], "the card was debited once, and that is accepted");
}

#[test]
fn conflicts_park_both_unless_one_is_booked() {
    let mut world = World::new();
    // Two purchases of one counter, both signed by the card: E31.
    let (a, b) = (world.sale(1, 0, 5_000, 200), world.sale(1, 0, 5_000, 300));
    // Two cards on one sequence of the PSAM: E31.
    let c = world.sale(2, 0, 5_000, 200);
    let d = signed(XfRecord { sequence: c.sequence, ..world.sale(3, 0, 5_000, 200) });
    let booked = world.sale(4, 0, 5_000, 200);
    world.send(D1, 1, &[a, b, c, d, booked]);
    world.close(D1);
    let conflict = Some((Cause::Conflict, State::Parked));
    assert_eq!(standings(&world), [conflict, conflict, conflict, conflict, None]);
    let by_counter = world.sale(4, 0, 5_000, 700);
    let by_sequence = signed(XfRecord { sequence: booked.sequence, ..world.sale(5, 0, 5_000, 200) });
    world.send(D2, 1, &[by_counter, by_sequence]);
    world.close(D2);
    assert_eq!(standings(&world)[5..], [conflict, conflict]);
    assert_eq!(world.balance("2001"), 200);
}

#[test]
fn who_bears_a_lost_card() {
    let mut world = World::new();
    let act = Act::of_system("test", at(D1, 80_000));
    world.write(|tx| cards::issue(tx, &[card(1)], &act));
    world.write(|tx| cards::report_loss(tx, &card(1), at(D1, 100_000), &act));
    let version = world.write(|tx| -> Result<_, ykt_office::RegisterError> {
        let version = blacklist::version(tx)?;
        blacklist::list_delivered(tx, &pos(1), version, at(D1, 140_000))?;
        Ok(version)
    });
    assert!(version.0 > 0);
    let at_time = |world: &mut World, counter: u16, before, date, hms| {
        let sale = world.sale(1, counter, before, 100);
        signed(XfRecord { at: at(date, hms), ..sale })
    };
    let records = [
        at_time(&mut world, 0, 5_000, D1, 95_959),
        at_time(&mut world, 1, 4_900, D1, 100_000),
        at_time(&mut world, 2, 4_800, D1, 135_959),
        at_time(&mut world, 3, 4_700, D1, 140_000),
    ];
    // The shop's terminal never got a list: the operator bears for a day, then the merchant.
    let shop: Vec<_> = [(4u16, 4_600, D1, 150_000), (5, 4_500, D2, 95_959), (6, 4_400, D2, 100_001)]
        .map(|(counter, before, date, hms)| {
            let sale = at_time(&mut world, counter, before, date, hms);
            at_shop(sale)
        })
        .to_vec();
    world.send(D1, 1, &records);
    world.send(D1, 1, &shop);
    let closed = world.close(D1);
    let operator = Some((Cause::LostCard, State::OperatorBears));
    let refused = Some((Cause::LostCard, State::Refused));
    assert_eq!(standings(&world), [None, operator, operator, refused]);
    let [bus, shop] = closed.bills[..] else { panic!() };
    assert_eq!(
        (bus.confirmed.amount, bus.refused.amount, bus.operator.amount),
        (fen(300), fen(100), fen(200))
    );
    assert_eq!(
        (shop.confirmed.amount, shop.refused.amount, shop.operator.amount),
        (fen(200), fen(100), fen(200))
    );
    assert_eq!(world.balance("2001"), 100, "the holder bears what came before the loss");
    assert_eq!(world.balance("6711"), 400, "the operator bears what the terminals could not know");
    assert_eq!(world.balance("2202.01/M00000000000001"), -300 + 2);
    let unaccepted = world.read(queries::unaccepted);
    let sum: i64 = unaccepted.iter().map(|debit| debit.amount.fen()).sum();
    assert_eq!(
        (unaccepted.len(), sum),
        (6, 600),
        "everything but the first debit is not charged to the purse"
    );
}

#[test]
fn what_was_missing_is_judged_again() {
    let mut world = World::new();
    let late_card = world.sale(999, 0, 5_000, 200);
    let late_psam = XfRecord { pos: pos(7), terminal: terminal_id(7), ..world.sale(2, 0, 5_000, 300) };
    let late_psam = signed(late_psam);
    let wrong = XfRecord { tac: Mac4([9; 4]), ..world.sale(998, 0, 5_000, 400) };
    world.send(D1, 1, &[late_card, late_psam, wrong]);
    let bill = world.close(D1).bills[0];
    assert_eq!((bill.refused.count, bill.net), (3, fen(0)));
    let act = Act::of_system("test", at(D2, 0));
    let row = world.read(|tx| cards::card(tx, &card(1))).unwrap();
    let new = |asn: Asn8| ykt_office::cards::NewCard { asn, ..row.card };
    world.write(|tx| cards::register(tx, &[new(card(998)), new(card(999))], &act));
    world.write(|tx| -> Result<_, ykt_office::RegisterError> {
        terminals::register(tx, &NewTerminal { pos: pos(7), merchant: merchant(1) }, &act)?;
        pair(tx, 7, 7)
    });
    let bill = world.close(D2).bills[0];
    assert_eq!((bill.adjusted.count, bill.adjusted.amount), (2, fen(500)));
    assert_eq!((bill.adjustment_refused.count, bill.adjustment_refused.amount), (1, fen(400)));
    assert_eq!((bill.confirmed.count, bill.refused.count), (0, 0));
    assert_eq!((bill.commission, bill.net), (fen(4), fen(496)));
    let causes: Vec<_> = world.answer::<SsRecord>(1, D2).iter().map(|line| line.cause).collect();
    assert_eq!(causes, [RefuseCause::Adjustment, RefuseCause::Adjustment, RefuseCause::AdjustmentRefused]);
    let entry = "clearing/20261123/M00000000000001/adjustment".parse().unwrap();
    assert!(world.read(|tx| ykt_ledger::entry(tx, &entry)).is_some());
    assert_eq!(world.balance("2001"), 500);
}

#[test]
fn parked_records_do_not_wait_for_ever() {
    let policy = ykt_clearing::Policy { parked_days_max: 1, ..ykt_clearing::Policy::default() };
    let mut world = World::new().with_policy(policy);
    let suspicious = world.sale(1, 0, 5_000, 0);
    let unknown = world.sale(999, 0, 5_000, 300);
    world.send(D1, 1, &[suspicious, unknown]);
    world.close(D1);
    world.close(D2);
    let parked = |cause| Some((cause, State::Parked));
    assert_eq!(standings(&world), [parked(Cause::AmountSuspicious), parked(Cause::CardUnknown)]);
    let bill = world.close(20_261_124).bills[0];
    assert_eq!((bill.adjustment_refused.count, bill.adjustment_refused.amount), (2, fen(300)));
    let refused = |cause| Some((cause, State::Refused));
    assert_eq!(standings(&world), [refused(Cause::AmountSuspicious), refused(Cause::CardUnknown)]);
    assert!(world.close(20_261_125).bills.is_empty(), "refused once, not every day");
}

/// V07 asks for a contract on the day of the purchase or on the clearing day; a late record is paid by the last one.
#[test]
fn records_outlive_the_contract_they_were_made_under() {
    let mut world = World::new();
    let act = Act::of_system("test", at(D1, 0));
    let contract = |from, until| Contract { from: day(from), until, ..contract(3, 5_000, "Reserve Bank") };
    world.write(|tx| -> Result<_, ykt_office::RegisterError> {
        let (code, name) = (merchant(3), String::from("merchant 3"));
        let new =
            NewMerchant { code, name_zh: name.clone(), name_en: name, industry: 1, address: String::new() };
        merchants::register(tx, &new, &act)?;
        merchants::agree(tx, &code, &contract(D1, Some(day(D1))), &act)?;
        terminals::register(tx, &NewTerminal { pos: pos(3), merchant: code }, &act)?;
        pair(tx, 3, 3)
    });
    let mut sold_on = |card, date| {
        let sale = world.sale(card, 0, 50_000, 20_000);
        let (merchant, pos, terminal) = (merchant(3), pos(3), terminal_id(3));
        signed(XfRecord { merchant, pos, terminal, at: at(date, 90_000), ..sale })
    };
    let records = [sold_on(1, 20_261_121), sold_on(2, D1), sold_on(3, D2)];
    world.send(D2, 1, &records);
    let closed = world.close(D2);
    let without = Some((Cause::NoContract, State::Parked));
    assert_eq!(standings_of(&world, 3), [without, None, without], "before, in and after the contract");
    let bill = closed.bills[0];
    assert_eq!((bill.commission_ppm, bill.net), (5_000, fen(19_900)));
    assert!(closed.transfer.is_some(), "paid into the account of the contract that ended");
    let file_of = |date| {
        let (name, bytes) = file(date, merchant(3), 2, &[]);
        world.send_bytes(date, &merchant(3), &name, bytes)
    };
    assert!(matches!(file_of(20_261_222), Received::Accepted { .. }));
    let (from, to) = (day(D2), day(20_261_223));
    let no_contract = BrokenFile::NoContract { merchant: merchant(3), from, to };
    assert_eq!(file_of(20_261_223), Received::Broken(no_contract), "no record of its time can come any more");
    // A new contract: what was made on a day without any is settled on a day with one.
    world.write(|tx| merchants::agree(tx, &merchant(3), &contract(20_261_124, None), &act));
    world.close(20_261_124);
    let adjusted = Some((Cause::NoContract, State::Accepted));
    assert_eq!(standings_of(&world, 3), [adjusted, None, adjusted]);
}
