//! Cards get their other keys at counters that have neither vault nor database: every call may be lost or repeated, every
//! counter may vanish.

use crate::campaigns::{CHANGES, assert_it_works, counts, open, plan, visit};
use crate::world::{Hand, Pull, World, act, asn, at, world};
use ykt_base::{CardChannel, Response};
use ykt_kmc::campaigns::dialogue::carry;
use ykt_kmc::campaigns::{self, CardChoice, CardProgress, Counts};
use ykt_kmc::download::wire::VisitAnswer;
use ykt_kmc::download::{
    Caller, Download, KeepError, LineKind, LineState, NewLine, NewRight, Refusal, RightTo,
    VISITS_PER_LINE_MAX, VisitEnding, VisitNext, VisitStep, fingerprint, rights,
};

const NEAR: &str = "counter-1";
const FAR: &str = "counter-2";

fn caller(line: &str) -> Caller {
    Caller { line: line.to_owned(), from: "192.0.2.7".to_owned(), at: at(12) }
}

fn right(line: &str, campaign: &str, quota: u32) -> NewRight {
    let (from, until) = ("20261101".parse().unwrap(), "20261130".parse().unwrap());
    NewRight { line: line.to_owned(), to: RightTo::visits(campaign), quota, from, until }
}

/// Key download of the centre, with two counters.
fn counters(world: &World) -> Download {
    let download = Download::new(world.centre.store.clone(), world.line.clone(), []);
    for line in [NEAR, FAR] {
        let certificate = fingerprint(line.as_bytes());
        let new = NewLine { name: line.to_owned(), kind: LineKind::Counter, certificate };
        download.add_line(&new, &act("operator", 6)).unwrap();
    }
    download
}

/// Those counters with a right to the campaign each.
fn with_rights(world: &World) -> Download {
    let download = counters(world);
    for line in [NEAR, FAR] {
        download.give_right(&right(line, "second", 10), &act("operator", 7)).unwrap();
    }
    download
}

fn used(world: &World, line: &str) -> u32 {
    let rights = world.centre.store.read(rights).unwrap();
    rights.iter().filter(|row| row.right.line == line).map(|row| row.used).sum()
}

/// A visit of a campaign over every card, up to its end or to a step that is not answered.
fn go(
    download: &Download,
    (line, id): (&str, &str),
    card: &mut Hand,
    stops: impl Fn(u32) -> bool,
) -> Result<VisitStep, Refusal> {
    card.reset().unwrap();
    let mut step = download.begin_visit(id, "second", &caller(line))?;
    while let VisitNext::Commands(commands) = &step.next {
        if stops(step.step) {
            break;
        }
        let answers = carry(commands, card);
        step = download.answer_visit(id, step.step, &answers, &caller(line))?;
    }
    Ok(step)
}

fn serve(download: &Download, visit: (&str, &str), card: &mut Hand) -> VisitEnding {
    ending(&go(download, visit, card, |_| false).unwrap())
}

fn ending(step: &VisitStep) -> VisitEnding {
    match &step.next {
        VisitNext::Ended(end) => end.ending,
        VisitNext::Commands(commands) => panic!("{} more commands at step {}", commands.len(), step.step),
    }
}

fn ready() -> (World, Hand) {
    let (world, [card]) = ready_with();
    (world, card)
}

/// The campaign is open, and so many cards have their first keys.
fn ready_with<const N: usize>() -> (World, [Hand; N]) {
    let world = world();
    let mut number = 0;
    let cards = [(); N].map(|()| {
        number += 1;
        world.card(number)
    });
    let mut psam = world.psam();
    open(&world, CHANGES);
    world.second_purchase_key(&mut psam);
    world.keep_psam(psam);
    (world, cards)
}

/// Every call is made twice, as after an answer that was lost: the same step comes back, and the card hears nothing twice.
#[test]
fn every_call_of_a_visit_may_be_repeated() {
    let (world, mut card) = ready();
    let mut twin = card.twin();
    let download = with_rights(&world);
    card.reset().unwrap();
    let again = |first: VisitStep, second: VisitStep| {
        assert_eq!(VisitAnswer::from(&first), VisitAnswer::from(&second));
        second
    };
    let begin = || download.begin_visit("v1", "second", &caller(NEAR)).unwrap();
    let mut step = again(begin(), begin());
    while let VisitNext::Commands(commands) = step.next {
        let answers = carry(&commands, &mut card);
        let answer = || download.answer_visit("v1", step.step, &answers, &caller(NEAR)).unwrap();
        step = again(answer(), answer());
    }
    let VisitNext::Ended(end) = &step.next else { panic!("it ended") };
    assert_eq!((end.ending, end.card, end.written.len()), (VisitEnding::Done, Some(asn(1)), 8));
    assert_eq!(begin().step, 1, "what began the visit is answered alike for good");

    let local = world.again();
    visit(&local, &mut twin).unwrap();
    assert_eq!(card.commands, twin.commands, "the same commands as at the desk");
    assert!(usize::try_from(step.step).unwrap() < card.commands, "fewer steps than commands");
    assert_eq!(counts(&world), Counts { done: 1, ..Counts::default() });
    assert_eq!(used(&world, NEAR), 1);
    let told = world.audit("campaign/card");
    assert_eq!((told.len(), &*told[0].who, &*told[0].from), (1, "<line counter-1>", "192.0.2.7"));
    assert!(told[0].detail.starts_with("done: ") && told[0].object.contains("************0001"));
    assert_it_works(&world, &mut card, 1);

    assert_eq!(serve(&download, (NEAR, "v2"), &mut card), VisitEnding::DoneAlready);
    assert_eq!(serve(&download, (FAR, "v1"), &mut card), VisitEnding::DoneAlready);
    assert_eq!((used(&world, NEAR), used(&world, FAR)), (1, 0), "who has its keys costs nothing");
}

/// A counter vanishes with each step, before the card has its commands and after it has answered them. Another counter, or the
/// desk, ends what it began, and what comes late from the first one changes nothing.
#[test]
fn a_counter_may_vanish_at_every_step() {
    let (first, mut fresh) = ready();
    let steps = go(&with_rights(&first), (NEAR, "v"), &mut fresh.twin(), |_| false).unwrap().step;
    println!("a visit takes {steps} steps");
    let first = first.again();
    for (last, heard) in (1..steps).flat_map(|step| [(step, false), (step, true)]) {
        let world = first.again();
        let download = with_rights(&world);
        let mut card = fresh.twin();
        let left = go(&download, (NEAR, "v"), &mut card, |step| step == last).unwrap();
        let VisitNext::Commands(commands) = &left.next else { panic!("{last} is a step") };
        let late = if heard { carry(commands, &mut card) } else { Vec::new() };

        let mut card = card.put_back();
        if last % 2 == 0 {
            assert_eq!(serve(&download, (FAR, "v"), &mut card), VisitEnding::Done, "{last} {heard}");
        } else {
            visit(&world, &mut card).unwrap_or_else(|error| panic!("{last} {heard}: {error}"));
        }
        let keys = world.centre.store.read(|tx| campaigns::card_keys(tx, &asn(1))).unwrap();
        assert!(keys.iter().all(|key| key.pending.is_none() && key.spent == 0), "{last}: {keys:?}");
        let late = ending_of_late(&download, last, &late);
        assert!(
            matches!(late, VisitEnding::Overtaken | VisitEnding::DoneAlready | VisitEnding::Unreadable),
            "{last} {heard}: {late}"
        );
        assert_eq!(counts(&world), Counts { done: 1, ..Counts::default() }, "{last} {heard}");
        let after = world.centre.store.read(|tx| campaigns::card_keys(tx, &asn(1))).unwrap();
        assert_eq!(keys, after, "{last} {heard}: what came late is not believed");
        if last % 7 == 0 || last + 6 > steps {
            assert_it_works(&world, &mut card, 1);
        }
    }
}

/// The first counter sends what it had, and then has no card.
fn ending_of_late(download: &Download, last: u32, late: &[Response]) -> VisitEnding {
    let mut step = download.answer_visit("v", last, late, &caller(NEAR)).unwrap();
    while let VisitNext::Commands(_) = &step.next {
        step = download.answer_visit("v", step.step, &[], &caller(NEAR)).unwrap();
    }
    ending(&step)
}

/// The card is pulled out at every command, before it hears it and after it did it: the counter is told, and shown again it goes
/// on.
#[test]
fn a_card_may_be_pulled_at_every_command() {
    let (first, mut fresh) = ready();
    let mut whole = fresh.twin();
    serve(&with_rights(&first), (NEAR, "v"), &mut whole);
    let first = first.again();
    for pull in (0..whole.commands).flat_map(|number| [Pull::Before(number), Pull::After(number)]) {
        let world = first.again();
        let download = with_rights(&world);
        let mut card = fresh.twin();
        card.pull = Some(pull);
        let cut = serve(&download, (NEAR, "v1"), &mut card);
        assert!(matches!(cut, VisitEnding::Cut | VisitEnding::Unreadable), "{pull:?}: {cut}");
        let mut card = card.put_back();
        // Behind the last key nothing is left to be written.
        let again = serve(&download, (NEAR, "v2"), &mut card);
        assert!(matches!(again, VisitEnding::Done | VisitEnding::DoneAlready), "{pull:?}: {again}");
        assert_eq!(counts(&world).done, 1, "{pull:?}");
        assert_eq!(used(&world, NEAR), 1, "{pull:?}: shown again it costs nothing");
    }
}

/// The same card at two counters: whoever read it last goes on, the other hears so and writes nothing.
#[test]
fn two_counters_with_the_same_card() {
    let (world, mut card) = ready();
    let download = with_rights(&world);
    let held = go(&download, (NEAR, "v"), &mut card, |step| step == 9).unwrap();
    let elsewhere = go(&download, (FAR, "v"), &mut card, |step| step == 5).unwrap();
    let VisitNext::Commands(commands) = &held.next else { panic!("it is under way") };
    let mut stale = card.twin();
    let mut step =
        download.answer_visit("v", held.step, &carry(commands, &mut stale), &caller(NEAR)).unwrap();
    while let VisitNext::Commands(commands) = &step.next {
        step = download.answer_visit("v", step.step, &carry(commands, &mut stale), &caller(NEAR)).unwrap();
    }
    assert_eq!(ending(&step), VisitEnding::Overtaken);
    assert_eq!(counts(&world), Counts { begun: 1, ..Counts::default() });
    let VisitNext::Commands(_) = elsewhere.next else { panic!("it is under way, too") };
    assert_eq!(serve(&download, (FAR, "v2"), &mut card), VisitEnding::Done);
    assert_it_works(&world, &mut card, 1);
    assert_eq!((used(&world, NEAR), used(&world, FAR)), (1, 1), "each showed it once");
}

/// A card with other keys than the campaign believes is stopped; the counter goes on with the next one.
#[test]
fn a_card_that_answers_wrongly_stops_alone() {
    let (world, [mut wrong, mut good, mut strange, mut lost]) = ready_with();
    let download = with_rights(&world);
    // Somebody else gave card 1 other keys, which this centre does not know.
    let elsewhere = world.again();
    assert!(visit(&elsewhere, &mut wrong).is_ok());
    assert_eq!(serve(&download, (NEAR, "v1"), &mut wrong), VisitEnding::Stopped);
    assert_eq!(serve(&download, (NEAR, "v2"), &mut good), VisitEnding::Done);
    let before = wrong.commands;
    assert_eq!(serve(&download, (FAR, "v1"), &mut wrong), VisitEnding::Stopped);
    assert!(wrong.commands - before <= 2, "only read, nothing tried");
    assert_eq!(counts(&world).stopped, 1);
    assert_eq!(used(&world, FAR), 0);

    let lose = |tx: &ykt_store::Tx<'_>| {
        use ykt_office::cards::{CardEvent, change};
        change(tx, &asn(4), CardEvent::ReportLoss, "", &act("operator", 9))
    };
    world.centre.store.write(lose).unwrap();
    assert_eq!(serve(&download, (NEAR, "v3"), &mut lost), VisitEnding::NotInUse);
    let listed = plan("third", "load.1:1-2", CardChoice::Listed(vec![asn(1)]));
    world.centre.store.write(|tx| campaigns::plan(tx, &listed, &act("keys1", 5))).unwrap();
    world.done("third", &ykt_kmc::Operation::StartCampaign { campaign: "third".into() });
    download.give_right(&right(NEAR, "third", 10), &act("operator", 7)).unwrap();
    strange.reset().unwrap();
    let step = download.begin_visit("v4", "third", &caller(NEAR)).unwrap();
    let VisitNext::Commands(commands) = &step.next else { panic!("it begins") };
    let step = download.answer_visit("v4", 1, &carry(commands, &mut strange), &caller(NEAR)).unwrap();
    assert_eq!(ending(&step), VisitEnding::NotInCampaign);
    let refused = world.audit("campaign/card").iter().filter(|row| row.who == "<line counter-1>").count();
    assert_eq!(refused, 4, "stopped, done, lost, not of it: one record each");
    let mut psam = world.spare_psam();
    assert_eq!(serve(&download, (NEAR, "v5"), &mut psam), VisitEnding::Unreadable);
}

#[test]
fn what_a_counter_may_not_do_is_refused_and_told() {
    let (world, [mut card, mut other]) = ready_with();
    let download = counters(&world);
    let begin = |id: &str, campaign: &str, caller: &Caller| match download.begin_visit(id, campaign, caller) {
        Ok(step) => panic!("step {}", step.step),
        Err(refusal) => refusal.code(),
    };
    let unknown = download.give_right(&right(NEAR, "none", 1), &act("operator", 7));
    assert!(matches!(unknown, Err(KeepError::Unknown { what: "campaign", .. })));
    assert_eq!(begin("v", "second", &caller(NEAR)), "no-right");
    assert_eq!(begin("v", "second", &caller("nobody")), "unknown-line");
    assert!(download.campaign("second", &caller(NEAR)).is_err());

    download.give_right(&right(NEAR, "second", 1), &act("operator", 7)).unwrap();
    let december = Caller { at: "20261201090000".parse().unwrap(), ..caller(NEAR) };
    assert_eq!(begin("v", "second", &december), "right-expired");
    assert_eq!(begin("a visit", "second", &caller(NEAR)), "bad-call");
    let new = plan("later", "load.1:1-2", CardChoice::All);
    world.centre.store.write(|tx| campaigns::plan(tx, &new, &act("keys1", 5))).unwrap();
    download.give_right(&right(NEAR, "later", 1), &act("operator", 7)).unwrap();
    assert_eq!(begin("v", "later", &caller(NEAR)), "campaign-not-open");
    world.line.cut();
    assert_eq!(begin("v", "second", &caller(NEAR)), "vault-unavailable");
    world.line.mend();

    // The vault goes while the card is under way: nothing is lost, and it goes on when the vault is back.
    let held = go(&download, (NEAR, "v"), &mut card, |step| step == 4).unwrap();
    world.line.cut();
    let VisitNext::Commands(commands) = &held.next else { panic!("it is under way") };
    let step = download.answer_visit("v", 4, &carry(commands, &mut card), &caller(NEAR)).unwrap();
    let gone = go_on(&download, step, &mut card);
    assert_eq!(ending(&gone), VisitEnding::NoKeys);
    world.line.mend();
    assert_eq!(begin("v", "later", &caller(NEAR)), "campaign-not-open");
    assert_eq!(serve(&download, (NEAR, "v2"), &mut card), VisitEnding::Done);

    let answer = |id: &str, step, answers: &[Response]| match download.answer_visit(
        id,
        step,
        answers,
        &caller(NEAR),
    ) {
        Ok(step) => panic!("step {}", step.step),
        Err(refusal) => refusal.code(),
    };
    let used_up = go(&download, (NEAR, "v3"), &mut other, |_| false).err().unwrap();
    assert_eq!(used_up.code(), "quota-used");
    assert_eq!(serve(&download, (NEAR, "v4"), &mut card), VisitEnding::DoneAlready, "that one was paid for");
    let ok = Response::status(ykt_base::StatusWord::OK);
    assert_eq!(answer("none", 1, &[]), "unknown-visit");
    assert_eq!(answer("v2", 1, &[ok]), "other-answers");
    let first = download.begin_visit("v5", "second", &caller(NEAR)).unwrap();
    assert_eq!(answer("v5", first.step, &[ok; 3]), "bad-call");
    assert_eq!(answer("v5", first.step + 1, &[ok; 2]), "other-answers");
    let not_found = Response::status(ykt_base::StatusWord::NOT_FOUND);
    assert_eq!(answer("v5", first.step, &[not_found, ok]), "bad-call");
    let second = plan("again", "load.1:1-2", CardChoice::All);
    world.centre.store.write(|tx| campaigns::plan(tx, &second, &act("keys1", 5))).unwrap();
    world.done("again", &ykt_kmc::Operation::StartCampaign { campaign: "again".into() });
    download.give_right(&right(NEAR, "again", 1), &act("operator", 7)).unwrap();
    assert_eq!(begin("v5", "again", &caller(NEAR)), "operation-reused");

    download.set_line(NEAR, LineState::Stopped, &act("operator", 20)).unwrap();
    assert_eq!(answer("v5", first.step, &[ok; 2]), "line-stopped");
    assert_eq!(begin("v6", "second", &caller(NEAR)), "line-stopped");
    let (state, so_far) = {
        download.give_right(&right(FAR, "second", 1), &act("operator", 7)).unwrap();
        download.campaign("second", &caller(FAR)).unwrap()
    };
    assert_eq!((state.name(), so_far.done), ("open", 1));
    let refused = world.audit("download/refused");
    assert!(refused.len() >= 15 && refused.iter().all(|row| !row.detail.contains("2144000000000002")));
}

fn go_on(download: &Download, mut step: VisitStep, card: &mut Hand) -> VisitStep {
    while let VisitNext::Commands(commands) = &step.next {
        step = download.answer_visit("v", step.step, &carry(commands, card), &caller(NEAR)).unwrap();
    }
    step
}

/// A line keeps so many visits; what is forgotten is begun anew, and costs nothing.
#[test]
fn the_oldest_visit_of_a_line_is_forgotten() {
    let (world, mut card) = ready();
    let download = with_rights(&world);
    let held = go(&download, (NEAR, "v"), &mut card, |step| step == 8).unwrap();
    for number in 0..VISITS_PER_LINE_MAX {
        download.begin_visit(&format!("w{number}"), "second", &caller(NEAR)).unwrap();
    }
    let VisitNext::Commands(commands) = &held.next else { panic!("it is under way") };
    let gone = download.answer_visit("v", held.step, &carry(commands, &mut card), &caller(NEAR));
    assert_eq!(gone.err().unwrap().code(), "unknown-visit");
    let progress = world.centre.store.read(|tx| {
        campaigns::card_list(tx, &campaigns::CardListFilter::default(), ykt_store::Paging::first(5))
    });
    assert_eq!(progress.unwrap().rows[0].progress, CardProgress::Begun);
    assert_eq!(serve(&download, (NEAR, "v"), &mut card), VisitEnding::Done);
    assert_eq!(used(&world, NEAR), 1);
}
