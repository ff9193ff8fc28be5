//! The card's side of money: INITIALIZE + DEBIT FOR PURCHASE and INITIALIZE + CREDIT FOR LOAD on the personalised
//! card of the dialogues, table DES, memory in an array, one core. The terminal's MACs are not in the time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a benchmark has no caller to tell"
)]

use divan::Bencher;
use divan::counter::ItemsCount;

#[path = "../tests/it/bench.rs"]
#[expect(dead_code, reason = "shared with the tests, of which this needs a part")]
mod bench;

use bench::{Bench, Dialogue, SELECT_APPLICATION, unhex};
use ykt_base::{CardCounter, Random4, TerminalSeq};
use ykt_crypto::{CardKey, Key16};
use ykt_purse::{load, purchase};

fn main() {
    divan::main();
}

/// Transactions per round; a fresh card each round, so that no counter ends.
const ROUND_LEN: u16 = 10_000;

fn loaded_card() -> Bench {
    let mut bench = Dialogue::read("purse").play();
    bench.ok(SELECT_APPLICATION);
    bench
}

/// The commands of a round, MACs ready: the card's random is always 05050505.
fn purchases() -> Vec<[Vec<u8>; 2]> {
    let dpk = CardKey::from_hex("FBB4B98851865C96144C89BF8767E819").unwrap();
    let random = Random4([5; 4]);
    let initialize = unhex("805001020B01000000013604866000020F");
    let init = ykt_base::Command::parse(&initialize).unwrap();
    let terms = purchase::InitializeForPurchase::parse(&init).unwrap().purchase;
    let at = ykt_base::DateTime::from_number(20_240_131_123_456).unwrap();
    (1..=ROUND_LEN)
        .map(|counter| {
            let sequence = TerminalSeq(u32::from(counter));
            let session = purchase::session_key(&dpk, random, CardCounter(counter), sequence);
            let mac1 = purchase::mac1(&session, &terms, at);
            let debit = purchase::DebitForPurchase { sequence, at, mac1 };
            [initialize.clone(), debit.to_apdu().to_vec()]
        })
        .collect()
}

fn loads() -> Vec<[Vec<u8>; 2]> {
    let dlk = CardKey::from_hex("E5A60E3AB7E2795E3D8F4F5AACDD05D2").unwrap();
    let random = Random4([5; 4]);
    let initialize = unhex("805000020B010000000100112233445510");
    let init = ykt_base::Command::parse(&initialize).unwrap();
    let terms = load::InitializeForLoad::parse(&init).unwrap().load;
    let at = ykt_base::DateTime::from_number(20_240_131_123_456).unwrap();
    (1..=ROUND_LEN)
        .map(|counter| {
            let session = load::session_key(&dlk, random, CardCounter(counter));
            let credit = load::CreditForLoad { at, mac2: load::mac2(&session, &terms, at) };
            [initialize.clone(), credit.to_apdu().to_vec()]
        })
        .collect()
}

struct Fives;

impl ykt_base::Rng for Fives {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(5);
    }
}

fn run(bencher: Bencher<'_, '_>, commands: &[[Vec<u8>; 2]]) {
    bencher.counter(ItemsCount::new(ROUND_LEN)).with_inputs(loaded_card).bench_local_values(|mut bench| {
        for [initialize, follow_up] in commands {
            assert!(bench.card.process(&mut Fives, initialize).sw().is_ok());
            assert!(bench.card.process(&mut Fives, follow_up).sw().is_ok());
        }
        bench
    });
}

#[divan::bench(sample_count = 20)]
fn purchase(bencher: Bencher<'_, '_>) {
    run(bencher, &purchases());
}

/// The DES blocks of a purchase and nothing else: session key, MAC1, MAC2 and TAC as the card computes them. Its
/// time beside `purchase` is the share of DES.
#[divan::bench(sample_count = 20)]
fn purchase_des_alone(bencher: Bencher<'_, '_>) {
    let (dpk, dtk) =
        (CardKey::Tdes(Key16::from_bytes([0x31; 16])), CardKey::Tdes(Key16::from_bytes([0x5D; 16])));
    let init = unhex("805001020B01000000013604866000020F");
    let init = ykt_base::Command::parse(&init).unwrap();
    let terms = purchase::InitializeForPurchase::parse(&init).unwrap().purchase;
    let at = ykt_base::DateTime::from_number(20_240_131_123_456).unwrap();
    bencher.counter(ItemsCount::new(ROUND_LEN)).bench_local(|| {
        for counter in 1..=ROUND_LEN {
            let sequence = TerminalSeq(u32::from(counter));
            let session = purchase::session_key(&dpk, Random4([5; 4]), CardCounter(counter), sequence);
            divan::black_box(purchase::mac1(&session, &terms, at));
            divan::black_box(purchase::mac2(&session, terms.amount));
            divan::black_box(purchase::tac(&dtk.tac_key(), &terms, sequence, at));
        }
    });
}

#[divan::bench(sample_count = 20)]
fn load(bencher: Bencher<'_, '_>) {
    run(bencher, &loads());
}

#[divan::bench(sample_count = 20)]
fn select_and_balance(bencher: Bencher<'_, '_>) {
    let select = unhex(SELECT_APPLICATION);
    let balance = unhex("805C000204");
    bencher.counter(ItemsCount::new(ROUND_LEN)).with_inputs(loaded_card).bench_local_values(|mut bench| {
        for _ in 0..ROUND_LEN {
            assert!(bench.send(&select).sw().is_ok());
            assert!(bench.send(&balance).sw().is_ok());
        }
        bench
    });
}
