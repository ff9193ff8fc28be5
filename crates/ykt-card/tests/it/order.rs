//! What 4.2 says of INITIALIZE, as tables: the order of its checks, who may follow it, and counters at their end.

use crate::bench::{Bench, Chip, SELECT_APPLICATION, unhex};
use crate::till::{
    COUNTERS_AT, KINDS, Kind, LOCK_STATE_AT, lock_by_hand, open, poke, purse_at, purses, wallet,
};
use ykt_base::StatusWord;
use ykt_card::DF_HEADER_LEN;
use ykt_purse::Purse;

/// What can be wrong, in the order in which the card looks. Bytes that are no command come before everything; 4.2 has
/// a blocked application before them, which tells less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Form,
    Length,
    Blocked,
    Pin,
    Key,
    Lock,
    Counter,
    Funds,
}

const FAULTS: [(Fault, StatusWord); 8] = [
    (Fault::Form, StatusWord::WRONG_P1P2),
    (Fault::Length, StatusWord::WRONG_LENGTH),
    (Fault::Blocked, StatusWord::NOT_SUPPORTED),
    (Fault::Pin, StatusWord::SECURITY_STATUS),
    (Fault::Key, StatusWord::KEY_INDEX),
    (Fault::Lock, StatusWord::GREY_LOCKED),
    (Fault::Counter, StatusWord::COUNTER_AT_MAXIMUM),
    (Fault::Funds, StatusWord::INSUFFICIENT_FUNDS),
];

const AMOUNT: u32 = 100;

/// What a fault means for a transaction; `None` when it is none.
fn refusal(kind: Kind, fault: Fault, sw: StatusWord) -> Option<StatusWord> {
    match (fault, kind) {
        (Fault::Pin, _) if kind.purse() == Purse::Ep => None,
        (Fault::Lock, Kind::Load(_)) => None,
        // What it needs is missing.
        (Fault::Lock, Kind::Unlock(_)) => Some(StatusWord::CONDITIONS),
        (Fault::Funds, Kind::Load(_) | Kind::Overdraft | Kind::Lock(_) | Kind::Unlock(_)) => None,
        _ => Some(sw),
    }
}

/// A purse of 1000 fen and counters at 5, with these faults; the command to send.
fn prepare(chip: &Chip, kind: Kind, faults: &[Fault]) -> (Bench, Vec<u8>) {
    let has = |fault| faults.contains(&fault);
    let mut bench = open(chip);
    let at = purse_at(&bench, kind.purse());
    let balance = if has(Fault::Funds) { AMOUNT - 1 } else { 1000 };
    poke(&mut bench, at, &balance.to_be_bytes());
    let counters: [u8; 4] = match (has(Fault::Counter), kind.counts_online()) {
        (false, _) => [0, 5, 0, 5],
        (true, true) => [0xFF, 0xFF, 0, 5],
        (true, false) => [0, 5, 0xFF, 0xFF],
    };
    poke(&mut bench, at + COUNTERS_AT, &counters);
    let is_locked = has(Fault::Lock) != matches!(kind, Kind::Unlock(_));
    if is_locked {
        lock_by_hand(&mut bench, kind.purse());
    }
    if has(Fault::Blocked) {
        let header = unhex("113F01380A00F0EF95FFFF");
        let image = bench.card.memory().image();
        let at = image.windows(header.len()).position(|bytes| bytes == header).unwrap();
        poke(&mut bench, at + DF_HEADER_LEN - 5, &[0x01]);
    }
    bench.send(&unhex(SELECT_APPLICATION));
    if kind.purse() == Purse::Ed && !has(Fault::Pin) {
        bench.send(&unhex("0020000003123456"));
    }
    let mut command = kind.initialize(AMOUNT);
    if has(Fault::Key) {
        command[5] = 9;
    }
    if has(Fault::Form) {
        command[2] = 0x0F;
    }
    command.pop();
    if has(Fault::Length) {
        command[4] -= 1;
        command.pop();
    }
    (bench, command)
}

/// Every set of faults of every transaction: the first one in the order decides.
#[test]
fn initialize_checks_in_order() {
    let chip = wallet();
    let mut sent = 0;
    for kind in KINDS {
        for set in 0..1u32 << FAULTS.len() {
            let there =
                FAULTS.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1).map(|(_, fault)| *fault);
            let there: Vec<_> = there.filter(|(fault, sw)| refusal(kind, *fault, *sw).is_some()).collect();
            if there.len() < usize::try_from(set.count_ones()).unwrap() {
                continue;
            }
            let faults: Vec<_> = there.iter().map(|(fault, _)| *fault).collect();
            let (mut bench, command) = prepare(&chip, kind, &faults);
            let before = *bench.card.memory().image();
            let want =
                there.first().map_or(StatusWord::OK, |(fault, sw)| refusal(kind, *fault, *sw).unwrap());
            assert_eq!(bench.send(&command).sw(), want, "{kind:?} with {faults:?}");
            assert!(before == *bench.card.memory().image(), "INITIALIZE writes nothing");
            sent += 1;
        }
    }
    println!("order of checks: {} transactions, {sent} sets of faults", KINDS.len());
}

/// After each INITIALIZE, each follow-up: its own is taken, every other finds nothing, and takes the context.
#[test]
fn an_initialize_is_followed_by_its_own_follow_up_only() {
    let chip = wallet();
    let mut refused = 0;
    for begun in KINDS {
        let (mut bench, command) = prepare(&chip, begun, &[]);
        let answer = bench.send(&command);
        let right = begun.follow_up(AMOUNT, answer.data());
        let done = bench.send(&right);
        assert!(done.sw().is_ok(), "{begun:?}: {}", done.sw());
        assert_eq!(bench.send(&right).sw(), StatusWord::NOT_INITIALIZED, "{begun:?} once");
        for other in KINDS {
            // One command ends purchases of every kind; its MAC tells them apart.
            let is_same_command = |other: &[u8]| other[..3] == right[..3];
            let (mut bench, command) = prepare(&chip, other, &[]);
            let foreign = other.follow_up(AMOUNT, bench.send(&command).data());
            if is_same_command(&foreign) {
                continue;
            }
            let (mut bench, command) = prepare(&chip, begun, &[]);
            assert!(bench.send(&command).sw().is_ok());
            let before = purses(&bench);
            assert_eq!(bench.send(&foreign).sw(), StatusWord::NOT_INITIALIZED, "{other:?} after {begun:?}");
            assert_eq!(bench.send(&right).sw(), StatusWord::NOT_INITIALIZED, "{begun:?} after {other:?}");
            assert_eq!(purses(&bench), before);
            refused += 1;
        }
    }
    println!("follow-ups: {} their own, {refused} of others refused", KINDS.len());
}

/// FFFE is the last value a transaction uses; FFFF is never used and never passed.
#[test]
fn every_counter_has_an_end() {
    let chip = wallet();
    for kind in KINDS {
        let (mut bench, command) = prepare(&chip, kind, &[]);
        let at = purse_at(&bench, kind.purse()) + COUNTERS_AT + if kind.counts_online() { 0 } else { 2 };
        poke(&mut bench, at, &[0xFF, 0xFE]);
        let answer = bench.send(&command);
        let done = bench.send(&kind.follow_up(AMOUNT, answer.data()));
        assert!(done.sw().is_ok(), "{kind:?}: {}", done.sw());
        let after = purses(&bench)[usize::from(kind.purse().code()) - 1];
        assert_eq!(if kind.counts_online() { after.online } else { after.offline }, 0xFFFF);
        let log = bench.ok("00B201C417");
        assert_eq!(log[..2], [0xFF, 0xFF], "{kind:?}: the log shows the counter after");
        match kind {
            Kind::Lock(purse) => poke_free(&mut bench, purse),
            Kind::Unlock(purse) => lock_by_hand(&mut bench, purse),
            _ => {}
        }
        assert_eq!(bench.send(&command).sw(), StatusWord::COUNTER_AT_MAXIMUM, "{kind:?}");
        let proof = bench.send(&[0x80, 0x5A, 0x00, log[9], 0x02, 0xFF, 0xFF]);
        assert!(proof.sw().is_ok(), "{kind:?}: the last proof is there by the counter after");
    }
}

fn poke_free(bench: &mut Bench, purse: Purse) {
    let at = purse_at(bench, purse);
    poke(bench, at + LOCK_STATE_AT, &[0x00]);
}
