//! Bills to the bank and back.

use crate::world::*;
use ykt_clearing::queries::{self, BillFilter, RecordFilter};
use ykt_clearing::{BankReturned, Bill, BillState, Clearing, CloseError, PaymentState, ReturnError};
use ykt_files::{PayChannel, PaymentOutcome, PaymentResult, ReturnFile, TransferFile};
use ykt_store::Paging;

const PAY1: &str = "PAY20261122.xml";
const PAY2: &str = "PAY20261123.xml";

fn transfer(world: &World, name: &str) -> TransferFile {
    let outbox = world.folders.bank_outbox();
    let (_, bytes) = outbox.iter().find(|(found, _)| found == name).unwrap();
    TransferFile::parse(bytes).unwrap()
}

fn bills(world: &World) -> Vec<Bill> {
    world.read(|tx| queries::bills(tx, &BillFilter::default(), Paging::default())).rows
}

fn returned(results: &[(u32, Option<&str>)]) -> Vec<u8> {
    let results = results
        .iter()
        .map(|(record_no, failed)| PaymentResult {
            record_no: *record_no,
            outcome: match failed {
                Some(reason) => PaymentOutcome::Failed { reason: (*reason).into() },
                None => PaymentOutcome::Paid { bank_serial: format!("B{record_no}") },
            },
        })
        .collect();
    ReturnFile { results }.to_xml().unwrap().into_bytes()
}

fn bank_return(
    clearing: &Clearing,
    name: &str,
    results: &[(u32, Option<&str>)],
) -> Result<BankReturned, ReturnError> {
    clearing.bank_return(name, &returned(results), day(D2), at(D2, 90_000))
}

/// Bus 1 has 125 fen, shop 2 has 10,000 fen; the bus company's commission is 0.8 %, the shop's 1 %.
fn closed_world() -> World {
    let mut world = World::new();
    let bus = world.sale(1, 0, 5_000, 125);
    let shop = at_shop(world.sale(2, 0, 50_000, 10_000));
    world.send(D1, 1, &[bus]);
    world.send(D1, 1, &[shop]);
    world.close(D1);
    world
}

#[test]
fn bills_become_one_payment_each() {
    let world = closed_world();
    let file = transfer(&world, PAY1);
    let shown: Vec<_> =
        file.payments.iter().map(|p| (p.record_no, p.account.as_str(), p.amount.fen())).collect();
    assert_eq!(shown, [(1, "6222020100000000001", 124), (2, "6222020100000000002", 9_900)]);
    let channels: Vec<_> = file.payments.iter().map(|payment| payment.channel).collect();
    assert_eq!(channels, [PayChannel::SameBank, PayChannel::InterBank]);
    assert_eq!(file.payer_account, world.clearing.policy().payer_account);
    let (row, _) = &world.read(queries::transfers)[0];
    assert_eq!((row.pay_day, row.day), (day(D2), day(D1)));
    assert!(bills(&world).iter().all(|bill| bill.state == BillState::Sent && bill.payment.is_some()));
    assert_eq!(bills(&world)[0].commission, fen(1), "1.00 fen of 125 fen at 0.8 %");
    assert_eq!(world.balance("5001"), -101);
    assert_eq!(world.balance("2202.01/M00000000000002"), -9_900);
    assert_eq!(world.balance("1002.01"), 0, "nothing is booked until the bank says it paid");
}

#[test]
fn the_bank_pays_or_fails() {
    let mut world = closed_world();
    let done = bank_return(&world.clearing, PAY1, &[(1, None), (2, Some("account closed"))]).unwrap();
    assert_eq!((done.paid, done.paid_amount, done.failed, done.failed_amount), (1, fen(124), 1, fen(9_900)));
    assert_eq!((world.balance("1002.01"), world.balance("2202.01/M00000000000001")), (-124, 0));
    let again = bank_return(&world.clearing, PAY1, &[(1, None), (2, Some("account closed"))]).unwrap();
    assert_eq!((again.repeated, again.paid, again.failed), (2, 0, 0));
    let states: Vec<_> = bills(&world).iter().map(|bill| bill.state).collect();
    assert_eq!(states, [BillState::Paid, BillState::Failed]);
    // What failed goes into the next file, with the bill of the day.
    let shop = at_shop(world.sale(2, 1, 40_000, 300));
    world.send(D2, 1, &[shop]);
    world.close(D2);
    let file = transfer(&world, PAY2);
    assert_eq!(file.payments.iter().map(|p| p.amount.fen()).collect::<Vec<_>>(), [9_900 + 297]);
    bank_return(&world.clearing, PAY2, &[(1, None)]).unwrap_err();
    let late =
        world.clearing.bank_return(PAY2, &returned(&[(1, None)]), day(20_261_124), at(20_261_124, 90_000));
    assert_eq!(late.unwrap().paid_amount, fen(10_197));
    assert_eq!(world.balance("2202.01/M00000000000002"), 0);
    assert!(bills(&world).iter().all(|bill| bill.state == BillState::Paid));
    let paid = world.read(queries::transfers);
    assert_eq!(
        paid[1].1.iter().map(|paid| paid.state).collect::<Vec<_>>(),
        [PaymentState::Paid, PaymentState::Failed]
    );
    assert_eq!(paid[1].1[1].reason, "account closed");
}

#[test]
fn answers_that_cannot_be_are_refused_whole() {
    let world = closed_world();
    let refused = |results: &[(u32, Option<&str>)]| bank_return(&world.clearing, PAY1, results).unwrap_err();
    assert!(matches!(refused(&[(1, None), (3, None)]), ReturnError::UnknownRecord { record_no: 3, .. }));
    assert_eq!(world.balance("1002.01"), 0, "record 1 was not booked either");
    assert!(matches!(bank_return(&world.clearing, PAY2, &[]), Err(ReturnError::UnknownTransfer { .. })));
    assert!(matches!(
        world.clearing.bank_return(PAY1, b"<html/>", day(D2), at(D2, 0)),
        Err(ReturnError::Content(_))
    ));
    bank_return(&world.clearing, PAY1, &[(1, None)]).unwrap();
    let error = refused(&[(1, Some("no"))]);
    assert!(matches!(error, ReturnError::Contradiction { record_no: 1, .. }), "{error}");
    assert_eq!(world.balance("1002.01"), -124);
}

#[test]
fn bills_of_nothing_are_carried_over() {
    let mut world = World::new();
    let small = world.sale(1, 0, 5_000, 1);
    let wrong = ykt_files::XfRecord { tac: ykt_base::Mac4([0; 4]), ..at_shop(world.sale(2, 0, 5_000, 200)) };
    world.send(D1, 1, &[wrong]);
    let closed = world.close(D1);
    assert_eq!((closed.bills[0].net, closed.transfer), (fen(0), None));
    assert_eq!(world.folders.bank_outbox(), []);
    world.send(D2, 1, &[small]);
    assert_eq!(world.close(D2).transfer.as_deref(), Some(PAY2));
    let states: Vec<_> = bills(&world).iter().map(|bill| (bill.net.fen(), bill.state)).collect();
    assert_eq!(states, [(1, BillState::Sent), (0, BillState::Payable)]);
}

#[test]
fn days_close_in_order_and_once() {
    let mut world = World::new();
    let sale = world.sale(1, 0, 5_000, 200);
    world.send(D1, 1, &[sale]);
    let early = world.try_close(D2, &mut |_| {});
    assert!(matches!(early, Err(CloseError::EarlierOpen { .. })), "{early:?}");
    let first = world.close(D1);
    world.close(D2);
    assert_eq!(world.close(D1), first, "a closed day is answered as it was closed");
    let before = world.try_close(20_261_121, &mut |_| {});
    assert!(matches!(before, Err(CloseError::LaterBegun { .. })), "{before:?}");
    assert!(world.read(ykt_ledger::last_closed_day) == Some(day(D2)));
}

#[test]
fn a_bill_leads_to_its_records() {
    let mut world = World::new();
    let sales = [world.sale(1, 0, 5_000, 100), world.sale(2, 0, 5_000, 200), world.sale(999, 0, 5_000, 400)];
    let shop = at_shop(world.sale(3, 0, 5_000, 800));
    world.send(D1, 1, &sales);
    world.send(D1, 1, &[shop]);
    world.close(D1);
    let row = world.read(|tx| ykt_office::cards::card(tx, &card(1))).unwrap();
    let new = ykt_office::cards::NewCard { asn: card(999), ..row.card };
    world.write(|tx| ykt_office::cards::register(tx, &[new], &ykt_office::Act::of_system("test", at(D2, 0))));
    let next = world.sale(1, 1, 4_900, 1_600);
    world.send(D2, 1, &[next]);
    world.close(D2);
    for bill in bills(&world) {
        let filter = RecordFilter {
            billed_day: Some(bill.day),
            merchant: Some(bill.merchant),
            ..RecordFilter::default()
        };
        let page = world.read(|tx| queries::records(tx, &filter, order(), Paging::first(2)));
        assert_eq!(page.totals.amount, bill.gross(), "{} {}", bill.day, bill.merchant);
        assert_eq!(page.totals.count, bill.confirmed.count + bill.adjusted.count);
        let hours = world.read(|tx| queries::by_hour(tx, bill.day, Some(&bill.merchant)));
        assert_eq!(hours.iter().map(|(_, sum)| sum.amount.fen()).sum::<i64>(), bill.gross().fen());
    }
    let by_industry = world.read(|tx| queries::by_industry(tx, day(D1)));
    assert_eq!(
        by_industry.iter().map(|(industry, sum)| (*industry, sum.amount.fen())).collect::<Vec<_>>(),
        [(1, 300), (6, 800)]
    );
}
