//! What a line does not get: each refusal by its code, with nothing taken and a record in the audit log.

use super::world::{
    APPLICATION, LINE, OTHER, TRANSPORT, World, act, call, caller, day, listed, right, subject,
};
use std::sync::Arc;
use ykt_base::DateTime;
use ykt_issue::{StepRequest, Subject};
use ykt_kmc::download::{
    CARDS_PER_CALL_MAX, CommandCall, Ending, LineState, NewRight, OpenCall, Progress, Verdict, Wanted,
    fingerprint,
};
use ykt_office::audit::Outcome;

/// What happens to the world before the call.
type Change = fn(&World);

#[test]
fn every_call_refused_takes_nothing_and_is_on_record() {
    let nothing: Change = |_| {};
    let stop: Change = |world| world.download.set_line(LINE, LineState::Stopped, &act()).unwrap();
    let withdraw: Change = |world| world.download.withdraw_right(1, &act()).unwrap();
    let usual = || call("op", Some("b1"), Wanted::Next(2));
    let many = (0..=CARDS_PER_CALL_MAX).map(|_| subject(1)).collect();
    let cases: Vec<(&str, Change, OpenCall)> = vec![
        ("line-stopped", stop, usual()),
        ("no-right", withdraw, usual()),
        (
            "no-right",
            nothing,
            OpenCall { application: "psam".to_owned(), batch: None, ..call("op", None, listed(&[1])) },
        ),
        ("unknown-application", nothing, OpenCall { application: "none".to_owned(), ..usual() }),
        ("unknown-batch", nothing, call("op", Some("b9"), Wanted::Next(1))),
        ("other-application", nothing, OpenCall { application: "t-union".to_owned(), ..usual() }),
        ("cards-per-call", nothing, call("op", Some("b1"), Wanted::Next(0))),
        ("cards-per-call", nothing, call("op", Some("b1"), Wanted::Next(CARDS_PER_CALL_MAX + 1))),
        ("cards-per-call", nothing, call("op", None, Wanted::Listed(many))),
        ("cards-per-call", nothing, call("op", None, listed(&[]))),
        ("bad-call", nothing, call("", Some("b1"), Wanted::Next(1))),
        ("bad-call", nothing, call("an id", Some("b1"), Wanted::Next(1))),
        ("bad-call", nothing, call("op", None, Wanted::Next(1))),
        ("bad-call", nothing, call("op", None, Wanted::Broken(1))),
        ("operation-reused", |world| drop(world.open(LINE, "op", None, listed(&[90])).unwrap()), usual()),
        (
            "quota-used",
            |world| drop(world.open(LINE, "x", None, listed(&(100..199).collect::<Vec<_>>())).unwrap()),
            usual(),
        ),
    ];
    for (code, change, call) in cases {
        let world = World::new();
        world.batch("b1", 1..4);
        change(&world);
        let used = world.used(LINE);
        let refusal = world.download.open(&call, &caller(LINE)).unwrap_err();
        assert_eq!(refusal.code(), code, "{refusal}");
        assert_eq!(world.used(LINE), used, "{code}");
        assert_eq!(
            world.download.progress("b1").unwrap(),
            Progress { waiting: 3, ..Progress::default() },
            "{code}"
        );
        let records = world.audit("download/refused");
        let [record] = &records[..] else { panic!("{code}: {records:?}") };
        assert_eq!((record.outcome, &*record.who), (Outcome::Refused, "<line line-1>"));
        assert!(record.detail.starts_with(&format!("{code}: ")), "{}", record.detail);
    }
}

#[test]
fn a_right_is_for_its_days_its_batch_and_its_application() {
    let world = World::new();
    world.download.withdraw_right(1, &act()).unwrap();
    world.batch("b1", 1..4);
    world.batch("b2", 0x11..0x14);
    world.download.give_right(&right(LINE, APPLICATION, Some("b1"), 2), &act()).unwrap();
    let at = |day: &str| {
        let mut caller = caller(LINE);
        caller.at = DateTime { date: self::day(day), ..caller.at };
        caller
    };
    let open = |id: &str, batch, count, day: &str| {
        let opened = world.download.open(&call(id, batch, Wanted::Next(count)), &at(day));
        opened.map(|opened| opened.open.len()).map_err(|refusal| refusal.code())
    };
    assert_eq!(open("a", Some("b2"), 1, "20261122"), Err("no-right"));
    assert_eq!(open("b", Some("b1"), 1, "20261031"), Err("right-expired"));
    assert_eq!(open("c", Some("b1"), 1, "20261201"), Err("right-expired"));
    assert_eq!(open("d", Some("b1"), 1, "20261130"), Ok(1));
    assert_eq!(open("e", Some("b1"), 2, "20261101"), Err("quota-used"));
    assert_eq!(open("f", Some("b1"), 1, "20261101"), Ok(1));
    assert_eq!(open("g", Some("b1"), 1, "20261101"), Err("quota-used"));
    // A right for any batch serves where the other is used up; one for the batch goes before it.
    world.download.give_right(&right(LINE, APPLICATION, None, 10), &act()).unwrap();
    assert_eq!(open("h", Some("b1"), 1, "20261101"), Ok(1));
    let more = NewRight { until: day("20261103"), ..right(LINE, APPLICATION, Some("b2"), 3) };
    let own = world.download.give_right(&more, &act()).unwrap();
    assert_eq!(open("i", Some("b2"), 3, "20261101"), Ok(3));
    let rights = world.download.store().read(ykt_kmc::download::rights).unwrap();
    assert_eq!(rights.iter().find(|row| row.id == own).unwrap().left(), 0);
}

/// Eight machines of a line ask at once for what the quota has not: some get all they want, the others nothing.
#[test]
fn a_quota_has_no_edge_to_slip_over() {
    let folder = tempfile::tempdir().unwrap();
    let world = Arc::new(World::in_folder(folder.path()));
    world.download.withdraw_right(1, &act()).unwrap();
    world.download.give_right(&right(LINE, APPLICATION, None, 45), &act()).unwrap();
    let calls: Vec<_> = (0..8_u8)
        .map(|thread| {
            let world = Arc::clone(&world);
            std::thread::spawn(move || {
                let cards: Vec<u8> = (0..10).map(|card| thread * 10 + card).collect();
                world
                    .open(LINE, &format!("t{thread}"), None, listed(&cards))
                    .map_err(|refusal| refusal.code())
            })
        })
        .collect();
    let answers: Vec<_> = calls.into_iter().map(|call| call.join().unwrap()).collect();
    let open: Vec<_> = answers.iter().flatten().map(|opened| opened.open.len()).collect();
    assert_eq!(open, [10; 4]);
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Err("quota-used"))).count(), 4);
    let rights = world.download.store().read(ykt_kmc::download::rights).unwrap();
    assert_eq!(rights[0].used, 40);
}

#[test]
fn each_card_has_its_own_verdict() {
    let world = World::new();
    world.batch("b1", 1..4);
    let opened = world.open(LINE, "a", None, listed(&[50, 51])).unwrap();
    world.make(LINE, &opened.open[0], TRANSPORT).unwrap();
    let strange = Subject::Card {
        asn: super::world::asn(51),
        factor: ykt_base::IssuerFactor([9; 8]),
        banks: Vec::new(),
    };
    let psam = Subject::Sam { serial: ykt_base::PsamSerial([0; 10]), factor: subject(1).factor() };
    let verdicts = |line: &str, id: &str, batch, cards| {
        let opened = world.open(line, id, batch, cards).unwrap();
        opened.refused.into_iter().map(|(_, verdict)| verdict).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(LINE, "b", None, listed(&[50])), [Verdict::DoneAlready]);
    assert_eq!(verdicts(OTHER, "b", None, listed(&[50, 51])), [Verdict::DoneAlready, Verdict::OtherLine]);
    assert_eq!(verdicts(LINE, "c", None, listed(&[1])), [Verdict::OtherBatch]);
    assert_eq!(verdicts(LINE, "d", Some("b1"), listed(&[51, 99])), [Verdict::NotInBatch; 2]);
    assert_eq!(
        verdicts(LINE, "e", None, Wanted::Listed(vec![strange, psam])),
        [Verdict::OtherNumbers, Verdict::OtherKind]
    );
    assert_eq!(verdicts(LINE, "f", None, listed(&[60, 60])), [Verdict::Twice]);
    assert_eq!(world.used(OTHER), 0);
}

/// A line gets commands for the cards that it has open, and for no others.
#[test]
fn commands_are_for_open_cards_of_the_line() {
    let world = World::new();
    world.batch("b1", 1..5);
    let own = world.open(LINE, "a", Some("b1"), Wanted::Next(2)).unwrap();
    let others = world.open(OTHER, "a", Some("b1"), Wanted::Next(1)).unwrap();
    world.make(LINE, &own.open[0], TRANSPORT).unwrap();
    let (done, open, other) = (own.open[0].id(), own.open[1].id(), others.open[0].id());
    let waiting = other + 1;
    let request = StepRequest { step: 2, block: None, iv: [1; 8], data: &[] };
    let calls = [done, other, waiting, 999, open, open].map(|card| CommandCall { card, request });
    let codes = |line| -> Vec<_> {
        let answers = world.download.commands(&calls, &caller(line)).unwrap();
        answers.into_iter().map(|answer| answer.map(drop).map_err(|error| error.code())).collect()
    };
    let no = Err("not-open");
    assert_eq!(codes(LINE), [no, no, no, no, Ok(()), Ok(())], "a step may be asked for again");
    assert_eq!(codes(OTHER), [no, Ok(()), no, no, no, no]);
    let refused = world.audit("download/refused");
    assert!(
        refused[0].detail.starts_with("4 of 6 commands refused; the first: card "),
        "{}",
        refused[0].detail
    );
    // Steps outside the profile, or that the line does itself.
    let ask = |step, data: &[u8]| {
        let request = StepRequest { step, block: None, iv: [1; 8], data };
        world.download.commands(&[CommandCall { card: open, request }], &caller(LINE)).unwrap().remove(0)
    };
    for step in [0, 1, 99] {
        assert_eq!(ask(step, &[]).err().unwrap().code(), "step-refused");
    }
    // Endings are the line's own, too, and an ending is not taken back.
    let end = |line: &str, card, ending| {
        world
            .download
            .finish(&[(card, ending)], &caller(line))
            .unwrap()
            .remove(0)
            .map_err(|error| error.code())
    };
    assert_eq!(end(OTHER, open, Ending::Made), no);
    assert_eq!(end(LINE, waiting, Ending::Made), no);
    assert_eq!(end(LINE, done, Ending::Failed("late".to_owned())), no);
    assert_eq!(end(LINE, done, Ending::Made), Ok(()));
    assert_eq!(world.download.finish(&[], &caller(LINE)).unwrap_err().code(), "cards-per-call");
    assert_eq!(world.download.commands(&[], &caller(LINE)).err().unwrap().code(), "cards-per-call");
}

#[test]
fn a_stopped_line_gets_nothing_more() {
    let world = World::new();
    let opened = world.open(LINE, "a", None, listed(&[1])).unwrap();
    let card = opened.open[0].id();
    let known = |name: &str| {
        world.download.line_of(&fingerprint(name.as_bytes()), "192.0.2.7", super::world::moment())
    };
    assert_eq!(known(LINE).unwrap().name, LINE);
    assert_eq!(known("stranger").unwrap_err().code(), "unknown-line");
    world.download.set_line(LINE, LineState::Stopped, &act()).unwrap();
    assert_eq!(known(LINE).unwrap_err().code(), "line-stopped");
    let request = StepRequest { step: 2, block: None, iv: [1; 8], data: &[] };
    let refused = world.download.commands(&[CommandCall { card, request }], &caller(LINE)).err().unwrap();
    assert_eq!(refused.code(), "line-stopped");
    assert_eq!(
        world.download.finish(&[(card, Ending::Made)], &caller(LINE)).unwrap_err().code(),
        "line-stopped"
    );
    assert_eq!(world.audit("download/refused").len(), 4);
    world.download.set_line(LINE, LineState::Active, &act()).unwrap();
    // A right that is taken back ends beginnings, not endings.
    world.download.withdraw_right(1, &act()).unwrap();
    world.make(LINE, &opened.open[0], TRANSPORT).unwrap();
    assert_eq!(world.open(LINE, "b", None, listed(&[2])).unwrap_err().code(), "no-right");
}
