//! Whole cities, small enough for a test: they prove themselves, and mutants make them fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests stop at the first surprise"
)]

mod fixtures;

use ykt_base::Fen;
use ykt_city::city::{City, Home, Mutant, Outcome};
use ykt_city::plan::Scale;
use ykt_kmc::download;

fn scale(cards: usize, seed: u64) -> Scale {
    Scale { cards, terminals: 16, merchants: 5, days: 1, seed, first_day: "20260302".parse().unwrap() }
}

fn live(scale: Scale, mutant: Option<Mutant>) -> Outcome {
    let mut silent = |_: &str, _: usize, _: usize| {};
    let mut city = City::found(scale, Home::Memory, &mut silent).unwrap();
    if let Some(mutant) = mutant {
        city = city.with_mutant(mutant);
    }
    city.live(&mut silent).unwrap()
}

#[test]
fn ten_cards_prove_themselves() {
    let outcome = live(Scale { terminals: 4, merchants: 2, ..scale(10, 1) }, None);
    assert!(outcome.proof.holds(), "{}", outcome.report);
}

#[test]
fn a_small_city_loses_not_a_fen() {
    for seed in [1, 2] {
        let outcome = live(scale(150, seed), None);
        assert!(outcome.proof.holds(), "{}", outcome.report);
        assert!(outcome.proof.cards.liability > Fen::ZERO);
        assert_eq!(outcome.proof.open_orders.count, 0, "{}", outcome.report);
    }
}

#[test]
fn the_same_seed_prints_the_same_bytes() {
    assert_eq!(live(scale(40, 3), None).report, live(scale(40, 3), None).report);
}

#[test]
fn a_record_that_is_dropped_makes_the_proof_fail() {
    let outcome = live(scale(40, 1), Some(Mutant::DropsRecord));
    assert!(!outcome.proof.holds(), "{}", outcome.report);
    assert!(outcome.proof.cards.difference().unwrap() < Fen::ZERO, "cards hold less than the ledger thinks");
}

#[test]
fn a_record_that_is_booked_twice_makes_the_proof_fail() {
    let outcome = live(scale(40, 1), Some(Mutant::BooksTwice));
    assert!(!outcome.proof.holds(), "{}", outcome.report);
    assert!(
        outcome.proof.cards.difference().unwrap() > Fen::ZERO,
        "the ledger owes less than the cards hold"
    );
}

#[test]
fn a_city_on_disk_is_the_city_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut silent = |_: &str, _: usize, _: usize| {};
    let home = Home::Directory(dir.path().join("city"));
    let mut city = City::found(scale(40, 3), home.clone(), &mut silent).unwrap();
    let on_disk = city.live(&mut silent).unwrap();
    assert_eq!(on_disk.report, live(scale(40, 3), None).report);
    drop(city);
    assert!(City::found(scale(40, 3), home, &mut silent).is_err(), "a full directory is left alone");
}

/// Every card and PSAM came through key download: two batches that are done, with rights used up to the last card.
#[test]
fn the_cards_of_a_city_are_batches_of_key_download() {
    let mut silent = |_: &str, _: usize, _: usize| {};
    let city = City::found(scale(300, 1), Home::Memory, &mut silent).unwrap();
    let (batches, rights) = city
        .store()
        .read(|tx| -> Result<_, ykt_store::StoreError> {
            Ok((download::batches(tx)?, download::rights(tx)?))
        })
        .unwrap();
    let done: Vec<_> = batches.iter().map(|batch| (&*batch.name, batch.progress.done)).collect();
    assert_eq!(done, [("psams-1", 16), ("cards-1", 300)]);
    assert!(batches.iter().all(|batch| batch.progress.done == batch.progress.cards()));
    assert!(rights.iter().all(|right| right.left() == 0), "{rights:?}");
}
