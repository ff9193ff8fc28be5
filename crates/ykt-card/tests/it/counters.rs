//! Counters driven from 0 to their end by real transactions: the city-card vectors stand far along the way, and
//! at FFFF the card says 9402 for good.

use crate::bench::{Bench, Dialogue, SELECT_APPLICATION};
use ykt_base::{
    CardCounter, Date, DateTime, Fen, KeyIndex, Random4, Response, StatusWord, TerminalId, TerminalSeq, Time,
};
use ykt_crypto::{CardKey, sm};
use ykt_purse::load::{self, CreditForLoad, InitializeForLoad, Load, LoadAnswer};
use ykt_purse::purchase::{
    self, DebitAnswer, DebitForPurchase, InitializeForPurchase, Purchase, PurchaseAnswer, PurchaseKind,
};
use ykt_purse::write_key::{KeyTarget, KeyUsage};
use ykt_purse::{Purse, PurseFen};

/// The card's keys of the vectors `… city card two levels`.
struct Keys {
    dpk: CardKey,
    dlk: CardKey,
    dtk: CardKey,
}

fn fen(amount: i64) -> PurseFen {
    PurseFen::try_from(Fen::new(amount)).unwrap()
}

fn at() -> DateTime {
    DateTime { date: Date::new(2026, 11, 22).unwrap(), time: Time::new(9, 30, 15).unwrap() }
}

fn terminal() -> TerminalId {
    "169DC9575674".parse().unwrap()
}

/// The dialogue's card with the transaction keys changed to the vectors'.
fn city_card() -> (Bench, Keys) {
    let keys = Keys {
        dpk: CardKey::from_hex("CAC8C7C5BB373D70ED83457416FB87A6").unwrap(),
        dlk: CardKey::from_hex("4BE29A242F20053E852B32EA66C641FE").unwrap(),
        dtk: CardKey::from_hex("5D93F81126A7E21183AB51761BB5D4AE").unwrap(),
    };
    let control = CardKey::from_hex("57494E4E4552313233343536373839AA").unwrap();
    let mut bench = Dialogue::read("user-card").play();
    for (usage, key) in
        [(KeyUsage::Purchase, &keys.dpk), (KeyUsage::Load, &keys.dlk), (KeyUsage::InternalTac, &keys.dtk)]
    {
        let challenge = bench.ok("0084000004");
        let iv = sm::iv_from_challenge(&challenge).unwrap();
        let header = [0x01, 0x00, usage.code(), 0xF0, 0x00, 0xF0, 0x33];
        let target = KeyTarget::Change { id: 1, usage }.header();
        let command = ykt_purse::write_key::command(&control, iv, target, &header, key.expose()).unwrap();
        assert!(bench.send(&command).sw().is_ok());
    }
    bench.ok(SELECT_APPLICATION);
    (bench, keys)
}

/// One load; gives counter, session MAC2 and TAC.
fn load(
    bench: &mut Bench,
    keys: &Keys,
    amount: i64,
    random: Random4,
) -> Result<(LoadAnswer, CreditForLoad, Vec<u8>), StatusWord> {
    let load = Load { purse: Purse::Ep, amount: fen(amount), terminal: terminal() };
    bench.dice.queue(&random.0);
    let answer = accepted(bench.send(&InitializeForLoad { key_index: KeyIndex(1), load }.to_apdu()))?;
    let answer = LoadAnswer::from_bytes(answer.data()).unwrap();
    let session = load::session_key(&keys.dlk, answer.random, answer.counter);
    assert_eq!(load::mac1(&session, &load, answer.balance), answer.mac1);
    let credit = CreditForLoad { at: at(), mac2: load::mac2(&session, &load, at()) };
    let tac = accepted(bench.send(&credit.to_apdu()))?;
    let balance = answer.balance.checked_add(load.amount).unwrap();
    let expected = load::tac(&keys.dtk.tac_key(), &load, balance, answer.counter, at());
    assert_eq!(tac.data(), expected.as_bytes());
    Ok((answer, credit, tac.data().to_vec()))
}

/// One purchase; gives what the card answered.
fn buy(
    bench: &mut Bench,
    keys: &Keys,
    amount: i64,
    random: Random4,
    sequence: TerminalSeq,
) -> Result<(PurchaseAnswer, DebitForPurchase, DebitAnswer), StatusWord> {
    let kind = PurchaseKind::Purchase(Purse::Ep);
    let purchase = Purchase { kind, amount: fen(amount), terminal: terminal() };
    bench.dice.queue(&random.0);
    let answer = accepted(bench.send(&InitializeForPurchase { key_index: KeyIndex(1), purchase }.to_apdu()))?;
    let answer = PurchaseAnswer::from_bytes(answer.data()).unwrap();
    let session = purchase::session_key(&keys.dpk, answer.random, answer.counter, sequence);
    let debit = DebitForPurchase { sequence, at: at(), mac1: purchase::mac1(&session, &purchase, at()) };
    let given = DebitAnswer::from_bytes(accepted(bench.send(&debit.to_apdu()))?.data()).unwrap();
    assert_eq!(given.mac2, purchase::mac2(&session, purchase.amount));
    assert_eq!(given.tac, purchase::tac(&keys.dtk.tac_key(), &purchase, sequence, at()));
    Ok((answer, debit, given))
}

fn accepted(answer: Response) -> Result<Response, StatusWord> {
    if answer.sw().is_ok() { Ok(answer) } else { Err(answer.sw()) }
}

const ANY: Random4 = Random4([9; 4]);

#[test]
fn offline_counter_through_the_vector_to_its_end() {
    let (mut bench, keys) = city_card();
    load(&mut bench, &keys, 20_000 + 0x3753, ANY).unwrap();
    for _ in 0..0x3753 {
        buy(&mut bench, &keys, 1, ANY, TerminalSeq(1)).unwrap();
    }
    let random = "BBBF2CE0".parse().unwrap();
    let (answer, debit, given) = buy(&mut bench, &keys, 0x1E0A, random, TerminalSeq(0xC9BD_FA0F)).unwrap();
    assert_eq!((answer.counter, answer.balance), (CardCounter(0x3753), fen(20_000)));
    assert_eq!(debit.mac1, "F288F392".parse().unwrap());
    assert_eq!((given.mac2, given.tac), ("D4C79CD7".parse().unwrap(), "4A0DFC1E".parse().unwrap()));
    assert_eq!(bench.ok("805C0002"), [0, 0, 0x30, 0x16]);

    load(&mut bench, &keys, 0xFFFF, ANY).unwrap();
    for _ in 0x3754..0xFFFF {
        buy(&mut bench, &keys, 1, ANY, TerminalSeq(1)).unwrap();
    }
    let before = bench.remembered();
    for _ in 0..2 {
        let refused = buy(&mut bench, &keys, 1, ANY, TerminalSeq(1)).unwrap_err();
        assert_eq!(refused, StatusWord::COUNTER_AT_MAXIMUM, "FFFF is never used");
    }
    assert_eq!(bench.remembered(), before);
    assert_eq!(bench.ok("805A000602FFFF").len(), 8, "the last proof is there by the counter after");
}

#[test]
fn online_counter_through_the_vector_to_its_end() {
    let (mut bench, keys) = city_card();
    for _ in 0..0xB0B4 {
        load(&mut bench, &keys, 1, ANY).unwrap();
    }
    // The vector's load starts from 200.00 yuan.
    buy(&mut bench, &keys, 0xB0B4 - 20_000, ANY, TerminalSeq(1)).unwrap();
    let (answer, credit, tac) = load(&mut bench, &keys, 0xEB14, "066676CF".parse().unwrap()).unwrap();
    assert_eq!((answer.counter, answer.balance), (CardCounter(0xB0B4), fen(20_000)));
    assert_eq!(answer.mac1, "F02C705E".parse().unwrap());
    assert_eq!(credit.mac2, "FC1177A0".parse().unwrap());
    assert_eq!(tac, [0x0A, 0x73, 0x69, 0x29]);
    assert_eq!(bench.ok("805C0002"), [0, 1, 0x39, 0x34]);

    for _ in 0xB0B5..0xFFFF {
        load(&mut bench, &keys, 1, ANY).unwrap();
    }
    let before = bench.remembered();
    assert_eq!(load(&mut bench, &keys, 1, ANY).unwrap_err(), StatusWord::COUNTER_AT_MAXIMUM);
    assert_eq!(bench.remembered(), before);
    assert!(buy(&mut bench, &keys, 1, ANY, TerminalSeq(1)).is_ok(), "what is loaded can still be spent");
}
