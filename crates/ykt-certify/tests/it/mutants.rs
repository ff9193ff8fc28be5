//! Each broken card is caught, by the cases one would expect (`family.name`, rows left out).

use crate::broken::{Broken, Fault};
use crate::desk::{Bench, full_card, full_psam, judge};
use Caught::{AtLeast, Exactly};
use std::collections::BTreeSet;
use ykt_certify::{Harm, Overrides, Plan};

/// The cases that find a fault.
enum Caught {
    /// These and no other.
    Exactly(&'static [&'static str]),
    /// These; others stand on the same ground and fall with it.
    AtLeast(&'static [&'static str]),
}

const PURSE: &[(Fault, Caught)] = &[
    (Fault::OfflineCounterStuck, AtLeast(&["purchase.good", "purchase.twice", "composite.zero"])),
    (Fault::OnlineCounterStuck, AtLeast(&["load.good", "load.mac2", "load.once", "load.twice"])),
    (Fault::OfflineCounterByTwo, AtLeast(&["purchase.good", "purchase.twice"])),
    (Fault::InitializeCounts, AtLeast(&["purchase.initialize-only", "purchase.interrupted"])),
    (Fault::LogNotWritten, AtLeast(&["purchase.good", "purchase.twice", "composite.good"])),
    (Fault::TacOverOldBalance, AtLeast(&["load.good", "proof.load", "deposit.load"])),
    (Fault::Mac2OfPurchaseZero, AtLeast(&["purchase.good", "composite.good", "deposit.cash"])),
    (Fault::Mac2NotChecked, AtLeast(&["load.mac2", "load.after-wrong-mac2", "load.old-session"])),
    (Fault::Mac1NotChecked, AtLeast(&["purchase.mac1", "purchase.after-wrong-mac1", "purchase.old-session"])),
    (Fault::TakenBeforeMacCheck, AtLeast(&["purchase.mac1", "purchase.after-wrong-mac1"])),
    (Fault::RetryAfterWrongMac, Exactly(&["purchase.after-wrong-mac1"])),
    (Fault::DebitRepeatable, Exactly(&["purchase.once"])),
    (Fault::ContextSurvives, AtLeast(&["load.interrupted", "purchase.interrupted"])),
    (Fault::PurchaseUndoneByReset, AtLeast(&["purchase.twice", "proof.purchase"])),
    (Fault::LastFenUnspendable, Exactly(&["purchase.whole-balance"])),
    (Fault::SignOfAmountIgnored, Exactly(&["purchase.limit"])),
    (Fault::FundsBeforeKey, AtLeast(&["purchase.refused"])),
    (Fault::LeIgnored, Exactly(&["balance.le"])),
    (Fault::UnknownInstructionOk, AtLeast(&["commands.unknown"])),
    (
        Fault::ChallengeReusable,
        AtLeast(&["authenticate.challenge-once", "secure.challenge-next-only", "secure.challenge-once"]),
    ),
    (Fault::ChallengeConstant, AtLeast(&["challenge.lengths", "secure.challenge-once", "secure.mac"])),
    (Fault::PlainWriteAllowed, AtLeast(&["files.no-plain-write"])),
    (Fault::PinKeptAfterReset, AtLeast(&["rights.gone", "deposit.needs-pin"])),
    (Fault::PinKeptAfterSelect, Exactly(&["rights.gone"])),
    (Fault::PinTriesNotCounted, AtLeast(&["pin.tries", "pin.unblock"])),
    (Fault::PinTriesNotRestored, AtLeast(&["pin.restored"])),
    (Fault::ProofOfPreviousTransaction, AtLeast(&["proof.purchase", "proof.kept"])),
    (Fault::ProofLostByReset, AtLeast(&["proof.purchase", "proof.load"])),
    (Fault::ReloadMacNotChecked, Exactly(&["pin.reload-wrong"])),
    (Fault::DepositWithoutPin, Exactly(&["deposit.cash-refused", "deposit.needs-pin"])),
    (Fault::Mac3Wrong, Exactly(&["deposit.unload"])),
    (Fault::GreyLockLostByReset, AtLeast(&["grey.lock"])),
    (Fault::BlockIgnored, Exactly(&["block.mac", "block.temporary"])),
];

const PSAM: &[(Fault, Caught)] = &[
    (Fault::SamSequenceStuck, AtLeast(&["sam.sequence"])),
    (Fault::SamSequenceByTwo, AtLeast(&["sam.sequence"])),
    (Fault::SamMac2NotChecked, AtLeast(&["sam.mac2", "sam.lock"])),
    (Fault::SamFailuresNotCounted, Exactly(&["sam.lock"])),
    (Fault::SamCreditRepeatable, Exactly(&["sam.once"])),
    (Fault::SamMac1Wrong, AtLeast(&["sam.purchase", "sam.sequence"])),
];

/// `family.name` of every case that failed.
fn caught_by(mut card: Broken, plan: &Plan) -> BTreeSet<String> {
    let report = judge(&mut card, plan, Harm::Destructive, &[]);
    let name = |id: &str| id.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    report.failed().map(name).collect()
}

fn check(faults: &[(Fault, Caught)], plan: &str, card: impl Fn() -> Bench) {
    let plan = Plan::built_in(plan, &Overrides::new()).unwrap();
    let mut wrong = Vec::new();
    for (fault, expected) in faults {
        let caught = caught_by(Broken::new(card(), *fault), &plan);
        let has_all = |ids: &[&str]| ids.iter().all(|id| caught.contains(*id));
        let right = match expected {
            Exactly(ids) => has_all(ids) && caught.len() == ids.len(),
            AtLeast(ids) => has_all(ids),
        };
        if !right {
            wrong.push(format!("{fault:?}: caught by {caught:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_broken_purse_card_is_caught() {
    check(PURSE, "purse", full_card);
}

#[test]
fn every_broken_psam_is_caught() {
    check(PSAM, "psam", full_psam);
}
