//! What breaks: a process that is killed, a card that answers wrongly, a vault that is gone, a line that never comes
//! back.

use super::world::{LINE, OTHER, TRANSPORT, World, act, caller, listed};
use ykt_issue::StepRequest;
use ykt_kmc::download::{CardFilter, CardState, CommandCall, Progress, Wanted, cards};
use ykt_store::Paging;

/// Killed between open and finish, begun again: the same cards, no quota, and no card twice.
#[test]
fn a_break_costs_no_quota_and_makes_no_card_twice() {
    let folder = tempfile::tempdir().unwrap();
    let before = {
        let world = World::in_folder(folder.path());
        world.batch("b1", 1..6);
        let opened = world.open(LINE, "op-1", Some("b1"), Wanted::Next(3)).unwrap();
        world.make(LINE, &opened.open[0], TRANSPORT).unwrap();
        let request = StepRequest { step: 2, block: None, iv: [1; 8], data: &[] };
        let half = CommandCall { card: opened.open[1].id(), request };
        assert!(world.download.commands(&[half], &caller(LINE)).unwrap()[0].is_ok());
        opened
    };
    let world = World::in_folder(folder.path());
    assert_eq!(
        world.open(LINE, "op-1", Some("b1"), Wanted::Next(3)).unwrap(),
        before,
        "the answer was on the disk"
    );
    let broken = world.open(LINE, "op-2", Some("b1"), Wanted::Broken(10)).unwrap();
    assert_eq!(broken.open, before.open[1..]);
    assert_eq!(world.used(LINE), 3);
    assert!(world.open(OTHER, "op-2", Some("b1"), Wanted::Broken(10)).unwrap().open.is_empty());
    broken.open.iter().for_each(|card| drop(world.make(LINE, card, TRANSPORT).unwrap()));
    let rest = world.open(LINE, "op-3", Some("b1"), Wanted::Next(10)).unwrap();
    assert_eq!(rest.open.len(), 2);
    rest.open.iter().for_each(|card| drop(world.make(LINE, card, TRANSPORT).unwrap()));
    assert_eq!(world.download.progress("b1").unwrap(), Progress { done: 5, ..Progress::default() });
    assert_eq!(world.used(LINE), 5);
    let rows =
        world.download.store().read(|tx| cards(tx, &CardFilter::default(), Paging::first(9))).unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.attempts).collect::<Vec<_>>(), [1, 2, 2, 1, 1]);
}

/// One card of the batch answers wrongly: it is stopped and listed, the others are made, and it may be begun again.
#[test]
fn a_bad_card_stops_alone() {
    let world = World::new();
    world.batch("b1", 1..6);
    let opened = world.open(LINE, "op-1", Some("b1"), Wanted::Next(5)).unwrap();
    for (at, card) in opened.open.iter().enumerate() {
        let made = world.make(LINE, card, if at == 2 { [0x55; 16] } else { TRANSPORT });
        assert_eq!(made.is_err(), at == 2);
    }
    assert_eq!(
        world.download.progress("b1").unwrap(),
        Progress { done: 4, failed: 1, ..Progress::default() }
    );
    let failed = CardFilter { state: Some(CardState::Failed), ..CardFilter::default() };
    let rows = world.download.store().read(|tx| cards(tx, &failed, Paging::first(9))).unwrap().rows;
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert!(
        row.reason.contains("step 2 (card master key)") && row.reason.contains("found 6988"),
        "{}",
        row.reason
    );
    let again = world.open(LINE, "op-2", Some("b1"), Wanted::Broken(5)).unwrap();
    assert_eq!(again.open.len(), 1);
    world.make(LINE, &again.open[0], TRANSPORT).unwrap();
    assert_eq!((world.used(LINE), world.download.progress("b1").unwrap().done), (5, 5));
}

/// A vault that is gone is said at once; nothing is half done, and the same calls work when it is back.
#[test]
fn a_vault_that_is_gone_costs_nothing() {
    let world = World::new();
    world.vault.cut();
    let refused = world.open(LINE, "op-1", None, listed(&[1])).unwrap_err();
    assert_eq!(refused.code(), "vault-unavailable");
    assert!(refused.to_string().contains("the line is cut"), "{refused}");
    assert_eq!(world.used(LINE), 0);
    world.vault.mend();
    let opened = world.open(LINE, "op-1", None, listed(&[1])).unwrap();
    world.vault.cut();
    let request = StepRequest { step: 2, block: None, iv: [1; 8], data: &[] };
    let call = [CommandCall { card: opened.open[0].id(), request }];
    assert_eq!(world.download.commands(&call, &caller(LINE)).err().unwrap().code(), "vault-unavailable");
    assert!(world.audit("download/refused").is_empty(), "a fault is no refusal");
    world.vault.mend();
    world.make(LINE, &opened.open[0], TRANSPORT).unwrap();
}

/// What a line began and left can be given to another, which pays for it of its own quota.
#[test]
fn cards_of_a_dead_line_are_taken_from_it() {
    let world = World::new();
    world.batch("b1", 1..4);
    let opened = world.open(LINE, "op", Some("b1"), Wanted::Next(3)).unwrap();
    world.make(LINE, &opened.open[0], TRANSPORT).unwrap();
    assert!(world.download.release("b9", LINE, &act()).is_err());
    assert!(world.download.release("b1", "nobody", &act()).is_err());
    assert_eq!(world.download.release("b1", LINE, &act()).unwrap(), 2);
    assert_eq!(world.download.release("b1", LINE, &act()).unwrap(), 0);
    let taken = world.open(OTHER, "op", Some("b1"), Wanted::Next(9)).unwrap();
    assert_eq!((taken.open.len(), world.used(OTHER)), (2, 2));
    taken.open.iter().for_each(|card| drop(world.make(OTHER, card, TRANSPORT).unwrap()));
    assert_eq!(world.download.progress("b1").unwrap(), Progress { done: 3, ..Progress::default() });
}
