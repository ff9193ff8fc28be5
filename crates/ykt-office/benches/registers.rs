//! A register of a million cards: taking them in, handing thousands out and losing them, reading the snapshot
//! clearing judges by, and looking cards up in it in no order.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    reason = "a bench stops at the first surprise, and prints its table"
)]

#[path = "../../ykt-store/benches/sheet/mod.rs"]
mod sheet;

use sheet::{begin, once, part};
use std::hint::black_box;
use ykt_base::{Asn8, KeyVersion};
use ykt_office::cards::{self, CardKind, NewCard};
use ykt_office::merchants::{self, NewMerchant};
use ykt_office::terminals::{self, NewTerminal};
use ykt_office::{Act, MODULE, Registers, blacklist};
use ykt_store::Store;

const CARDS: u64 = 1_000_000;
const BATCH: u64 = 10_000;
/// Cards handed out and then lost: more than a terminal's list holds.
const ISSUED: u64 = 20_000;
const LOOKUPS: u64 = 4_000_000;

fn asn(no: u64) -> Asn8 {
    Asn8((0x1700_0101_0000_0000 + no).to_be_bytes())
}

fn new_card(no: u64) -> NewCard {
    NewCard {
        asn: asn(no),
        factor: "2144FF0000000000".parse().unwrap(),
        main_type: 1,
        sub_type: 0,
        kind: CardKind::Real,
        key_version: KeyVersion(1),
        start: "20260101".parse().unwrap(),
        expiry: "20361231".parse().unwrap(),
    }
}

/// A terminal, and it holds the list as it stands.
fn deliver_list(store: &Store, act: &Act) {
    let (pos, code) = ("00000001".parse().unwrap(), "M00000000000001".parse().unwrap());
    let (name_zh, name_en) = ("公交公司".to_owned(), "Bus company".to_owned());
    let merchant = NewMerchant { code, name_zh, name_en, industry: 1, address: String::new() };
    store
        .write(|tx| {
            merchants::register(tx, &merchant, act)?;
            terminals::register(tx, &NewTerminal { pos, merchant: code }, act)?;
            blacklist::list_delivered(tx, &pos, blacklist::version(tx)?, act.at)
        })
        .unwrap();
}

fn main() {
    begin(&format!("Registers of {CARDS} cards"));
    let dir = sheet::home();
    let store = Store::open(dir.path(), &[MODULE]).unwrap();
    let act = Act::of_system("bench", "20260302120000".parse().unwrap());
    part("Cards");
    once("cards registered, 10,000 per transaction", CARDS, || {
        for first in (0..CARDS).step_by(usize::try_from(BATCH).unwrap()) {
            let batch: Vec<NewCard> = (first..first + BATCH).map(new_card).collect();
            store.write(|tx| cards::register(tx, &batch, &act)).unwrap();
        }
    });
    let some: Vec<Asn8> = (0..ISSUED).map(asn).collect();
    once("cards issued, one transaction", ISSUED, || {
        store.write(|tx| cards::issue(tx, &some, &act)).unwrap()
    });
    once("of them reported lost, one transaction", ISSUED, || {
        store
            .write(|tx| some.iter().try_for_each(|asn| cards::report_loss(tx, asn, act.at, &act).map(drop)))
            .unwrap()
    });
    deliver_list(&store, &act);
    let registers =
        once("cards and losses read into the snapshot", CARDS, || store.read(Registers::load).unwrap());
    let found = once("lookups in no order, half of them unknown cards", LOOKUPS, || {
        let mut no = 1_u64;
        (0..LOOKUPS)
            .filter(|_| {
                no = no.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                black_box(registers.card(&asn((no >> 32) % (2 * CARDS)))).is_some()
            })
            .count()
    });
    println!("{:<66} {found:>10}", "of which known");
}
