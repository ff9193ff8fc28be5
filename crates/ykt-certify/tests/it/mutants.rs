//! Each broken card is caught, by the cases one would expect: names of cases, rows left out.

use crate::broken::{Broken, Fault};
use crate::desk::{city_card_with_pin, judge, psam};
use std::collections::BTreeSet;
use ykt_certify::{Harm, Overrides, Plan};

/// Faults of a purse card, with the cases that find them.
const PURSE: &[(Fault, &[&str])] = &[
    (Fault::OfflineCounterStuck, &[]),
    (Fault::OnlineCounterStuck, &[]),
    (Fault::OfflineCounterByTwo, &[]),
    (Fault::InitializeCounts, &[]),
    (Fault::LogNotWritten, &[]),
    (Fault::TacOverOldBalance, &[]),
    (Fault::Mac2OfPurchaseZero, &[]),
    (Fault::Mac2NotChecked, &[]),
    (Fault::Mac1NotChecked, &[]),
    (Fault::TakenBeforeMacCheck, &[]),
    (Fault::RetryAfterWrongMac, &[]),
    (Fault::DebitRepeatable, &[]),
    (Fault::ContextSurvives, &[]),
    (Fault::PurchaseUndoneByReset, &[]),
    (Fault::LastFenUnspendable, &[]),
    (Fault::SignOfAmountIgnored, &[]),
    (Fault::FundsBeforeKey, &[]),
    (Fault::LeIgnored, &[]),
    (Fault::UnknownInstructionOk, &[]),
    (Fault::ChallengeReusable, &[]),
    (Fault::ChallengeConstant, &[]),
    (Fault::PlainWriteAllowed, &[]),
    (Fault::PinKeptAfterReset, &[]),
    (Fault::PinKeptAfterSelect, &[]),
    (Fault::PinTriesNotCounted, &[]),
    (Fault::PinTriesNotRestored, &[]),
    (Fault::ProofOfPreviousTransaction, &[]),
    (Fault::ProofLostByReset, &[]),
];

/// Faults of a PSAM, with the cases that find them.
const PSAM: &[(Fault, &[&str])] = &[
    (Fault::SamSequenceStuck, &[]),
    (Fault::SamSequenceByTwo, &[]),
    (Fault::SamMac2NotChecked, &[]),
    (Fault::SamFailuresNotCounted, &[]),
    (Fault::SamCreditRepeatable, &[]),
    (Fault::SamMac1Wrong, &[]),
];

/// `family.name` of every case that failed.
fn caught_by(mut card: Broken, plan: &str) -> BTreeSet<String> {
    let plan = Plan::built_in(plan, &Overrides::new()).unwrap();
    let report = judge(&mut card, &plan, Harm::Destructive, &[]);
    let name = |id: &str| id.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    report.failed().map(name).collect()
}

fn check(faults: &[(Fault, &[&str])], plan: &str, card: impl Fn() -> crate::desk::Bench) {
    let mut wrong = Vec::new();
    for (fault, expected) in faults {
        let caught = caught_by(Broken::new(card(), *fault), plan);
        let expected: BTreeSet<String> = expected.iter().map(|id| (*id).to_owned()).collect();
        if caught != expected || caught.is_empty() {
            wrong.push(format!("{fault:?}: expected {expected:?}, caught by {caught:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_broken_purse_card_is_caught() {
    check(PURSE, "purse", city_card_with_pin);
}

#[test]
fn every_broken_psam_is_caught() {
    check(PSAM, "psam", psam);
}
