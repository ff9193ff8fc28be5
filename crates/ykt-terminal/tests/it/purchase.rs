//! Purchases: one charge and one record for each, at any cut.

use crate::desk::{Hand, Memory, Pull, city_card, psam};
use crate::load::loaded;
use ykt_base::{DateTime, Fen, Response, StatusWord};
use ykt_files::Industry;
use ykt_terminal::blacklist::Blacklist;
use ykt_terminal::card;
use ykt_terminal::pos::{Money, Outcome, Pos, PosConfig, PosError, Refusal};
use ykt_terminal::psam::PsamError;
use ykt_terminal::record::{Ending, Mac2Check};
use ykt_terminal::store::{FileStore, MemoryStore, RecordStore};

pub const BALANCE: Fen = Fen::new(5_000);
const FARE: Fen = Fen::new(200);

pub fn at(time: &str) -> DateTime {
    format!("20261122{time}").parse().unwrap()
}

pub fn config() -> PosConfig {
    PosConfig::new("M00000000000001".parse().unwrap(), "00000001".parse().unwrap(), Industry::BUS)
}

pub fn pos() -> Pos<Hand, MemoryStore> {
    Pos::open(config(), Hand::new(psam()), MemoryStore::default()).unwrap()
}

fn balance(card: &mut Hand) -> Fen {
    card::select(card).unwrap();
    card::balance(card).unwrap()
}

/// Nothing pending, and exactly one record of one fare, which the card has paid.
fn assert_one_fare<P: ykt_base::CardChannel>(pos: &Pos<P, impl RecordStore>, card: Hand, what: &str) {
    let records = pos.book().open_records();
    assert_eq!(records.len(), 1, "{what}");
    assert!(matches!(records[0].ending, Ending::Paid { .. }), "{what}: {:?}", records[0]);
    assert_eq!(pos.book().pending().count(), 0, "{what}");
    assert_eq!(balance(&mut card.put_back()), BALANCE.checked_sub(FARE).unwrap(), "{what}");
}

#[test]
fn a_purchase_is_one_charge_one_record_one_beep() {
    let (mut pos, mut card) = (pos(), Hand::new(loaded(1, BALANCE)));
    let Outcome::Paid(receipt) = pos.purchase(&mut card, FARE, at("080000")).unwrap() else { panic!() };
    assert_eq!(receipt.balance, Fen::new(4_800));
    assert_eq!(receipt.record.debit.balance_before, BALANCE);
    assert!(matches!(receipt.record.ending, Ending::Paid { mac2: Mac2Check::Right, .. }));
    let log = card::log(&mut card).unwrap();
    assert_eq!((log[0].amount.fen(), log[0].terminal), (FARE, pos.psam().terminal()));
    assert_one_fare(&pos, card, "plain");
}

/// The card is pulled before or after every command of a purchase, and shown again within the time.
#[test]
fn pulled_at_every_command_the_card_pays_once() {
    let image = loaded(1, BALANCE);
    let mut card = Hand::new(image.clone());
    pos().purchase(&mut card, FARE, at("080000")).unwrap();
    for pull in (0..card.commands).flat_map(|number| [Pull::Before(number), Pull::After(number)]) {
        let (mut pos, mut card) = (pos(), Hand::new(image.clone()));
        card.pull = Some(pull);
        let Outcome::TryAgain { money, .. } = pos.purchase(&mut card, FARE, at("080000")).unwrap() else {
            panic!("{pull:?}")
        };
        let mut card = card.put_back();
        let charged = balance(&mut card) != BALANCE;
        assert!(!charged || money == Money::MayHaveMoved, "{pull:?}");
        match pos.purchase(&mut card, FARE, at("080030")).unwrap() {
            Outcome::Recovered(receipt) => {
                assert!(charged, "{pull:?}");
                assert!(matches!(receipt.record.ending, Ending::Paid { mac2: Mac2Check::Right, .. }));
                assert_eq!(receipt.balance, Fen::new(4_800));
            }
            Outcome::Paid(_) => assert!(!charged, "{pull:?}"),
            other => panic!("{pull:?}: {other:?}"),
        }
        assert_one_fare(&pos, card, &format!("{pull:?}"));
    }
}

/// The power is cut at every write of the card's memory, with the write lost, torn, or whole.
#[test]
fn cut_at_every_memory_write_the_card_pays_once() {
    let image = loaded(1, BALANCE);
    let mut card = Hand::new(image.clone());
    let before = card.memory().writes();
    pos().purchase(&mut card, FARE, at("080000")).unwrap();
    let writes = card.memory().writes() - before;
    assert!(writes > 0);
    let (mut recovered, mut charged_again) = (0, 0);
    for (write, torn_len) in (0..writes).flat_map(|write| [(write, 0), (write, 1), (write, 7), (write, 300)])
    {
        let what = format!("write {write}, {torn_len} bytes of it");
        let (mut pos, mut card) = (pos(), Hand::new(image.clone()));
        card.memory().cut_power_after(write, torn_len);
        let first = pos.purchase(&mut card, FARE, at("080000")).unwrap();
        assert!(matches!(first, Outcome::TryAgain { money: Money::MayHaveMoved, .. }), "{what}: {first:?}");
        let mut card = card.put_back();
        match pos.purchase(&mut card, FARE, at("080030")).unwrap() {
            Outcome::Recovered(_) => recovered += 1,
            Outcome::Paid(_) => charged_again += 1,
            other => panic!("{what}: {other:?}"),
        }
        assert_one_fare(&pos, card, &what);
    }
    println!("{writes} writes: {recovered} cuts recovered, {charged_again} charged again");
    assert!(recovered > 0 && charged_again > 0);
}

/// A card that comes back after the time of recovery pays for its new ride; the old one is settled all the same.
#[test]
fn late_return_settles_the_old_ride_and_pays_the_new_one() {
    let (mut pos, mut card) = (pos(), Hand::new(loaded(1, BALANCE)));
    card.pull = Some(Pull::After(4));
    pos.purchase(&mut card, FARE, at("080000")).unwrap();
    let mut card = card.put_back();
    assert_eq!(balance(&mut card), Fen::new(4_800));
    let mut card = card.put_back();
    assert!(matches!(pos.purchase(&mut card, FARE, at("090000")).unwrap(), Outcome::Paid(_)));
    let records = pos.book().open_records();
    assert_eq!(records.len(), 2);
    assert!(
        records.iter().all(|record| matches!(record.ending, Ending::Paid { mac2: Mac2Check::Right, .. }))
    );
    assert_eq!(balance(&mut card.put_back()), Fen::new(4_600));
}

/// Another card used the PSAM in between: MAC2 cannot be asked any more, the TAC still proves the debit.
#[test]
fn recovery_after_another_card_keeps_the_tac() {
    let mut pos = pos();
    let (mut first, mut second) = (Hand::new(loaded(1, BALANCE)), Hand::new(loaded(2, BALANCE)));
    first.pull = Some(Pull::After(4));
    pos.purchase(&mut first, FARE, at("080000")).unwrap();
    assert!(matches!(pos.purchase(&mut second, FARE, at("080010")).unwrap(), Outcome::Paid(_)));
    let Outcome::Recovered(receipt) = pos.purchase(&mut first.put_back(), FARE, at("080020")).unwrap() else {
        panic!()
    };
    assert!(matches!(receipt.record.ending, Ending::Paid { mac2: Mac2Check::NotAsked, .. }));
    assert_eq!(pos.book().open_records().len(), 2);
}

/// The pulled card was charged elsewhere or loaded before it came back: the log still tells, its proof is gone.
#[test]
fn other_transactions_in_between() {
    let (mut here, mut there) = (pos(), pos());
    let mut card = Hand::new(loaded(1, BALANCE));
    card.pull = Some(Pull::After(4));
    here.purchase(&mut card, FARE, at("080000")).unwrap();
    let mut card = card.put_back();
    there.purchase(&mut card, Fen::new(300), at("080010")).unwrap();
    let Outcome::Recovered(receipt) = here.purchase(&mut card.put_back(), FARE, at("080020")).unwrap() else {
        panic!()
    };
    assert_eq!(receipt.record.ending, Ending::Grey { tac: None }, "debited, but without a proof");

    let (mut here, mut there) = (pos(), pos());
    let mut card = Hand::new(loaded(1, BALANCE));
    card.pull = Some(Pull::Before(4));
    here.purchase(&mut card, FARE, at("080000")).unwrap();
    let mut card = card.put_back();
    there.purchase(&mut card, Fen::new(300), at("080010")).unwrap();
    let again = here.purchase(&mut card.put_back(), FARE, at("080020")).unwrap();
    assert!(matches!(again, Outcome::Paid(_)), "the counter went to another terminal: void, charged now");
    assert_eq!(here.book().open_records().len(), 1);
}

#[test]
fn a_wrong_mac2_is_no_service_and_a_grey_record() {
    fn forged(command: &[u8], answer: Response) -> Response {
        if command[1] != 0x54 {
            return answer;
        }
        let mut bytes = answer.as_bytes().to_vec();
        bytes[7] ^= 1;
        Response::from_wire(&bytes).unwrap()
    }
    let (mut pos, mut card) = (pos(), Hand::new(loaded(1, BALANCE)));
    card.forge = Some(forged);
    let outcome = pos.purchase(&mut card, FARE, at("080000")).unwrap();
    assert_eq!(outcome, Outcome::Declined(Refusal::NotGenuine));
    assert!(matches!(pos.book().open_records()[0].ending, Ending::Grey { tac: Some(_) }));
}

#[test]
fn what_is_refused_is_not_charged() {
    let mut pos = pos();
    let mut card = Hand::new(loaded(1, BALANCE));
    let declined = |pos: &mut Pos<Hand, MemoryStore>, card: &mut Hand, amount, at: &str| match pos
        .purchase(card, Fen::new(amount), at.parse().unwrap())
        .unwrap()
    {
        Outcome::Declined(refusal) => refusal,
        other => panic!("{other:?}"),
    };
    let refusal = declined(&mut pos, &mut card, 5_001, "20261122080000");
    assert_eq!(refusal, Refusal::InsufficientFunds { balance: BALANCE });
    let refusal = declined(&mut pos, &mut card, 100, "20251231235959");
    assert!(matches!(refusal, Refusal::OutOfDate { .. }));
    pos.replace_blacklist(Blacklist::new(12, ["2144000000000001".parse().unwrap()]).unwrap());
    let refusal = declined(&mut pos, &mut card, 100, "20261122080000");
    assert_eq!(refusal, Refusal::Blacklisted { version: 12 });
    let refusal = declined(&mut pos, &mut Hand::new(psam()), 100, "20261122080000");
    assert_eq!(refusal, Refusal::NotACityCard);
    assert_eq!(balance(&mut card), BALANCE);
    assert!(pos.book().open_records().is_empty() && pos.book().pending().count() == 0);
    for amount in [0, -1, 100_000_000] {
        let error = pos.purchase(&mut card, Fen::new(amount), at("080000")).unwrap_err();
        assert!(matches!(error, PosError::Amount { .. }), "{error}");
    }
}

/// A card that says no to DEBIT has not paid: the record is void.
#[test]
fn a_refused_debit_is_void() {
    fn refused(command: &[u8], answer: Response) -> Response {
        if command[1] == 0x50 { Response::new(&[0; 15], StatusWord::OK).unwrap() } else { answer }
    }
    let (mut pos, mut card) = (pos(), Hand::new(loaded(1, BALANCE)));
    card.forge = Some(refused);
    let outcome = pos.purchase(&mut card, FARE, at("080000")).unwrap();
    assert!(matches!(outcome, Outcome::Declined(Refusal::KeyVersion { .. })), "{outcome:?}");

    fn other_random(command: &[u8], answer: Response) -> Response {
        if command[1] != 0x50 {
            return answer;
        }
        let mut bytes = answer.as_bytes().to_vec();
        bytes[14] ^= 1;
        Response::from_wire(&bytes).unwrap()
    }
    card.forge = Some(other_random);
    let outcome = pos.purchase(&mut card, FARE, at("080010")).unwrap();
    let sw = StatusWord::TRANSACTION_MAC_WRONG;
    assert!(matches!(outcome, Outcome::Declined(Refusal::Refused { sw: found, .. }) if found == sw));
    assert_eq!(pos.book().pending().count(), 0);
    assert!(pos.book().open_records().is_empty());
    card.forge = None;
    assert!(matches!(pos.purchase(&mut card, FARE, at("080020")).unwrap(), Outcome::Paid(_)));
    assert_one_fare(&pos, card, "after refusals");
}

/// The PSAM leaves its slot between DEBIT and MAC2: the record is kept, the fault is reported, and the next
/// purchase finds the PSAM again.
#[test]
fn a_psam_that_leaves_loses_no_record() {
    let mut sam = Hand::new(psam());
    sam.pull = Some(Pull::Before(5));
    let mut pos = Pos::open(config(), sam, MemoryStore::default()).unwrap();
    let mut card = Hand::new(loaded(1, BALANCE));
    let error = pos.purchase(&mut card, FARE, at("080000")).unwrap_err();
    assert!(matches!(error, PosError::Psam(PsamError::Step(_))), "{error}");
    assert_one_fare(&pos, card, "PSAM gone at 8072");
    let blank: Memory = city_card(1);
    assert!(Pos::open(config(), Hand::new(blank), MemoryStore::default()).is_err(), "a card is no PSAM");
}

/// The terminal itself dies between DEBIT and record; started again from its file it recovers the card.
#[test]
fn a_terminal_that_was_killed_recovers_from_its_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pos.records");
    let open = || Pos::open(config(), Hand::new(psam()), FileStore::open(&path).unwrap()).unwrap();
    let mut card = Hand::new(loaded(1, BALANCE));
    card.pull = Some(Pull::After(4));
    open().purchase(&mut card, FARE, at("080000")).unwrap();
    let mut pos = open();
    assert_eq!(pos.book().pending().count(), 1);
    let mut card = card.put_back();
    let Outcome::Recovered(receipt) = pos.purchase(&mut card, FARE, at("080100")).unwrap() else { panic!() };
    assert!(matches!(receipt.record.ending, Ending::Paid { mac2: Mac2Check::NotAsked, .. }));
    drop(pos);
    assert_one_fare(&open(), card, "after the restart");
}
