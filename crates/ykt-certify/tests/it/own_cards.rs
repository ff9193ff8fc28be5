//! Our own cards, made by their profiles, pass every case that applies to them, and keep their money.

use crate::desk::{Bench, card, full_card, full_psam, judge, psam};
use ykt_certify::report::{Language, text};
use ykt_certify::{Harm, Overrides, Plan, Report};
use ykt_issue::Profile;

fn plan(name: &str) -> Plan {
    Plan::built_in(name, &Overrides::new()).unwrap()
}

fn passes(name: &str, bench: &mut Bench, harm: Harm) -> Report {
    let report = judge(bench, &plan(name), harm, &[]);
    assert!(report.is_conformant(), "{}", text(&report, Language::English));
    report
}

#[test]
fn the_city_card_passes() {
    passes("purse", &mut card(&Profile::city_cpu()), Harm::None);
}

#[test]
fn a_card_with_everything_passes() {
    let report = passes("purse", &mut full_card(), Harm::Fatal);
    let has = |id: &str| report.features.iter().any(|feature| feature.id == id && feature.is_there);
    let every = [
        "deposit",
        "unload",
        "overdraft",
        "composite-record",
        "grey-lock",
        "online-unlock",
        "pin-unblock",
        "pin-for-load",
    ];
    assert!(every.iter().all(|id| has(id)), "{:?}", report.features);
}

#[test]
fn the_psam_passes() {
    passes("psam", &mut psam(&Profile::psam()), Harm::None);
    let report = passes("psam", &mut full_psam(), Harm::Destructive);
    assert_eq!(report.counts().not_applicable, 0, "{}", text(&report, Language::English));
}
