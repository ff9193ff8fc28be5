//! What goes well: a batch is made, each card is on record, and nothing secret is anywhere but on the cards.

use super::world::{
    APPLICATION, CITY, LINE, OTHER, TRANSPORT, World, asn, caller, listed, moment, pin, right, subject,
};
use ykt_base::CardChannel;
use ykt_base::hex::Hex;
use ykt_crypto::CardKey;
use ykt_issue::StepRequest;
use ykt_kmc::download::{
    self, CardFilter, CardState, CommandCall, Ending, LineKind, NewLine, Progress, Verdict, Wanted,
    fingerprint,
};
use ykt_office::audit::{self, ChainReport, Outcome};
use ykt_purse::command;
use ykt_purse::files::{CITY_AID, PublicData, PublicDataLayout, city_factor};
use ykt_store::Paging;

#[test]
fn a_batch_is_made_card_by_card() {
    let world = World::new();
    world.batch("b1", 1..6);
    let opened = world.open(LINE, "op-1", Some("b1"), Wanted::Next(3)).unwrap();
    assert_eq!(
        opened.open.iter().map(|card| card.subject().clone()).collect::<Vec<_>>(),
        [1, 2, 3].map(subject)
    );
    assert_eq!(world.used(LINE), 3);
    let under_way = Progress { waiting: 2, under_way: 3, done: 0, failed: 0 };
    assert_eq!(world.download.progress("b1").unwrap(), under_way);
    for card in &opened.open {
        let mut chip = world.make(LINE, card, TRANSPORT).unwrap();
        chip.reset().unwrap();
        chip.send(&command::select_name(&CITY_AID)).unwrap();
        let public = chip.send(&command::read_binary(0x15, 0, 30)).unwrap();
        let public = PublicData::from_bytes(PublicDataLayout::City, public.data()).unwrap();
        assert_eq!(subject(public.asn.0[7]), *card.subject());
    }
    // The rest goes to another line, whose calls come in any number.
    let rest = world.open(OTHER, "op-1", Some("b1"), Wanted::Next(200)).unwrap();
    assert_eq!(rest.open.len(), 2);
    rest.open.iter().for_each(|card| drop(world.make(OTHER, card, TRANSPORT).unwrap()));
    assert_eq!(world.download.progress("b1").unwrap(), Progress { done: 5, ..Progress::default() });
    assert!(world.open(LINE, "op-2", Some("b1"), Wanted::Next(1)).unwrap().open.is_empty());
    let rows = world.download.store().read(|tx| {
        download::cards(
            tx,
            &CardFilter { line: Some(OTHER.to_owned()), ..CardFilter::default() },
            Paging::first(9),
        )
    });
    let row = &rows.unwrap().rows[0];
    assert_eq!((row.state, row.attempts, row.ended_at), (CardState::Done, 1, Some(moment())));
    let details: Vec<_> =
        world.audit("download/").into_iter().map(|row| (row.what, row.object, row.detail)).collect();
    let expected =
        |what: &str, object: &str, detail: &str| (what.to_owned(), object.to_owned(), detail.to_owned());
    for record in [
        expected("download/batch", "b1", "5 cards for city-cpu"),
        expected("download/card", LINE, "city-cpu for batch b1: 3 cards opened, 0 again, 0 refused; right 1"),
        expected("download/card", LINE, "1 cards made, 0 failed"),
    ] {
        assert!(details.contains(&record), "{record:?} in {details:#?}");
    }
    let chain = world.download.store().read(audit::verify).unwrap();
    assert!(matches!(chain, ChainReport::Whole { .. }), "{chain:?}");
}

/// A counter's audit records name each card, masked.
#[test]
fn a_counter_leaves_a_record_of_each_card() {
    let world = World::new();
    let new =
        NewLine { name: "counter".to_owned(), kind: LineKind::Counter, certificate: fingerprint(b"counter") };
    world.download.add_line(&new, &super::world::act()).unwrap();
    world.download.give_right(&right("counter", APPLICATION, None, 5), &super::world::act()).unwrap();
    let opened = world.open("counter", "op", None, listed(&[7, 8])).unwrap();
    world.make("counter", &opened.open[0], TRANSPORT).unwrap();
    world.make("counter", &opened.open[1], [0x55; 16]).err().unwrap();
    let cards: Vec<_> =
        world.audit("download/card").into_iter().map(|row| (row.object, row.outcome)).collect();
    for (number, outcome) in [(7, Outcome::Done), (8, Outcome::Done), (8, Outcome::Refused)] {
        assert!(cards.contains(&(asn(number).masked().to_string(), outcome)), "{number} in {cards:?}");
    }
}

/// The same call again, whenever, is the same answer and costs nothing.
#[test]
fn a_call_repeated_is_answered_alike() {
    let world = World::new();
    world.batch("b1", 1..5);
    let calls = [
        ("op-1", Some("b1"), Wanted::Next(2)),
        ("op-2", Some("b1"), listed(&[3, 3, 9])),
        ("op-3", None, listed(&[20, 1])),
    ];
    let first: Vec<_> =
        calls.iter().map(|(id, batch, cards)| world.open(LINE, id, *batch, cards.clone()).unwrap()).collect();
    let verdicts: Vec<_> =
        first.iter().flat_map(|opened| &opened.refused).map(|(_, verdict)| *verdict).collect();
    assert_eq!(verdicts, [Verdict::Twice, Verdict::NotInBatch, Verdict::OtherBatch]);
    let used = world.used(LINE);
    assert_eq!(used, 4);
    world.make(LINE, &first[0].open[0], TRANSPORT).unwrap();
    let records = world.audit("download/card").len();
    for ((id, batch, cards), first) in calls.iter().zip(&first) {
        assert_eq!(world.open(LINE, id, *batch, cards.clone()).unwrap(), *first, "{id}");
        // An id is the line's own.
        assert!(world.open(OTHER, id, *batch, Wanted::Next(1)).is_ok() == batch.is_some());
    }
    assert_eq!(world.used(LINE), used);
    let own = world.audit("download/card").into_iter().filter(|row| row.object == LINE).count();
    assert!(own <= records);
    let made = (first[0].open[0].id(), Ending::Made);
    assert!(
        world.download.finish(&[made], &caller(LINE)).unwrap()[0].is_ok(),
        "an ending repeated is no fault"
    );
}

/// Neither roots nor card keys nor PINs are in the database, in the audit log, or in what the types print.
#[test]
fn no_key_and_no_pin_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path());
    world.batch("b1", 1..3);
    let opened = world.open(LINE, "op", Some("b1"), Wanted::Next(2)).unwrap();
    for card in &opened.open {
        world.make(LINE, card, TRANSPORT).unwrap();
    }
    // A PIN that a step refuses must not come back in words.
    let pin = pin();
    let request = StepRequest { step: 1, block: None, iv: [0; 8], data: pin.as_bytes() };
    let refused = world
        .download
        .commands(&[CommandCall { card: opened.open[0].id(), request }], &caller(LINE))
        .unwrap();
    let printed = format!("{opened:?} {:?}", refused[0].as_ref().err());
    let keys = include_str!("../../../../../docs/keys.toml");
    let roots: Vec<&str> = keys
        .split('"')
        .filter(|text| text.len() == 32 && text.bytes().all(|c| c.is_ascii_hexdigit()))
        .collect();
    assert!(roots.len() > 8, "the documented keys are found");
    let mut secrets = vec![pin.as_bytes().to_vec()];
    for root in roots {
        let mut bytes = [0; 16];
        ykt_base::hex::decode_into(root, &mut bytes).unwrap();
        let city = derived(bytes, &city_factor(CITY).0);
        let card = derived(city, &asn(1).0);
        secrets.extend([bytes, city, card].map(|key| key.to_vec()));
    }
    drop(world);
    let stored: Vec<u8> = std::fs::read_dir(folder.path())
        .unwrap()
        .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    for secret in secrets {
        let hex = Hex(&secret).to_string();
        assert!(!stored.windows(secret.len()).any(|part| part == secret), "in the files: {hex}");
        assert!(!String::from_utf8_lossy(&stored).to_uppercase().contains(&hex), "in the files: {hex}");
        assert!(!printed.to_uppercase().contains(&hex), "printed: {hex}");
    }
}

/// The bytes of a derived key, which the house's own types never show (`epurse.md` 1.1, DIV).
fn derived(key: [u8; 16], factor: &[u8; 8]) -> [u8; 16] {
    let key = CardKey::from_hex(&Hex(&key).to_string()).unwrap();
    let halves = [key.authenticate(*factor), key.authenticate(factor.map(|byte| !byte))];
    halves.concat().try_into().unwrap()
}
