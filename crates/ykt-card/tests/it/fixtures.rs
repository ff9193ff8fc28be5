//! Memory images that released versions wrote: this one powers them on, reads them, and pays with them.

use crate::bench::{Bench, Chip, Dice, SELECT_APPLICATION, unhex};
use std::path::Path;
use ykt_card::{Card, IMAGE_LEN_DEMO};

/// Powers on an image of a release.
fn power_on(release: &str, name: &str) -> Bench {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(release).join(name);
    let image: [u8; IMAGE_LEN_DEMO] = std::fs::read(path).unwrap().try_into().unwrap();
    Bench { card: Card::power_on(Chip::from_image(image)).unwrap(), dice: Dice::default() }
}

#[test]
fn a_user_card_of_release_0_1_has_its_balance_counters_proof_and_log() {
    let mut card = power_on("release-0.1", "user-card.image");
    card.ok(SELECT_APPLICATION);
    assert_eq!(card.ok("805C000204"), unhex("00004D8A"), "198.50 yuan");
    assert_eq!(card.ok("805A000602000108"), unhex("F74BAE7B2C8978F0"), "the purchase's MAC2 and TAC");
    assert_eq!(card.ok("00B201C417"), unhex("0001000000000000960636048660000220240131123456"));
    card.dice.queue(&unhex("05060708"));
    let load = card.ok("805000020B0100004E2000112233445510");
    assert_eq!(load, unhex("00004D8A0001010005060708E5D227B2"));
}

#[test]
fn a_psam_of_release_0_1_has_its_terminal_and_sequence() {
    let mut psam = power_on("release-0.1", "psam.image");
    assert_eq!(psam.ok("00B0960006"), unhex("360486600002"), "terminal id");
    psam.ok("00A4000002DF0100");
    assert_eq!(psam.ok("00B0980004"), unhex("00000015"), "transaction sequence");
}

/// A purchase of 1.50 yuan: the keys of both are what they were.
#[test]
fn card_and_psam_of_release_0_1_still_pay_each_other() {
    let mut card = power_on("release-0.1", "user-card.image");
    let mut psam = power_on("release-0.1", "psam.image");
    card.ok(SELECT_APPLICATION);
    psam.ok("00A4000002DF0100");
    card.dice.queue(&unhex("5A5B5C5D"));
    assert_eq!(card.ok("805001020B01000000963604866000020F"), unhex("00004D8A000100000001005A5B5C5D"));
    let init = psam.ok("80700000245A5B5C5D00010000009606202401311234560100170001017090798401011000FFFFFFFF");
    let (sequence, mac1) = init.split_at(4);
    assert_eq!(sequence, unhex("00000015"));
    let debit = [&unhex("805401000F"), sequence, &unhex("20240131123456"), mac1, &[8]].concat();
    let answer = card.send(&debit);
    assert!(answer.sw().is_ok(), "{}", answer.sw());
    let mac2 = answer.data().get(4..8).unwrap();
    assert!(psam.send(&[&unhex("8072000004"), mac2].concat()).sw().is_ok());
    assert_eq!(card.ok("805C000204"), unhex("00004CF4"), "197.00 yuan");
    assert_eq!(psam.ok("00B0980004"), unhex("00000016"));
}
