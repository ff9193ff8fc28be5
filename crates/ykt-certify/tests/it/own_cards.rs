//! Our own cards, made by their profiles, pass every case that applies to them, and keep their money.

use crate::desk::{Bench, card, city_card_with_pin, judge, psam};
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
fn the_city_card_with_a_pin_passes() {
    passes("purse", &mut city_card_with_pin(), Harm::Destructive);
}

#[test]
fn the_psam_passes() {
    passes("psam", &mut psam(), Harm::None);
    passes("psam", &mut psam(), Harm::Destructive);
}
