//! An application for a card that is in somebody's pocket already: a counter adds it, by right and once.

use super::world::{LINE, TRANSPORT, World, act, caller, day, listed, moment, pin, right, subject};
use ykt_base::{CardChannel, Response, StatusWord};
use ykt_issue::{CardData, Personalisation, Profile};
use ykt_kmc::download::{Ending, LineKind, NewLine, OpenCall, Opened, Refusal, Verdict, fingerprint};
use ykt_purse::command;
use ykt_purse::files::CITY_AID;
use ykt_purse::ticket;

const COUNTER: &str = "counter-7";
const ADDITION: &str = "ticket-addon";

fn open(world: &World, operation: &str) -> Result<Opened, Refusal> {
    let (operation, application) = (operation.to_owned(), ADDITION.to_owned());
    let call = OpenCall { operation, application, batch: None, cards: listed(&[7]) };
    world.download.open(&call, &caller(COUNTER))
}

fn select(chip: &mut impl CardChannel, name: &[u8]) -> Response {
    chip.send(&command::select_name(name)).unwrap()
}

#[test]
fn a_counter_adds_an_application_once_and_by_right() {
    let world = World::new();
    let new = NewLine {
        name: COUNTER.to_owned(),
        kind: LineKind::Counter,
        certificate: fingerprint(COUNTER.as_bytes()),
    };
    world.download.add_line(&new, &act()).unwrap();
    let issued = world.open(LINE, "issue", None, listed(&[7])).unwrap();
    let mut chip = world.make(LINE, &issued.open[0], TRANSPORT).unwrap();
    chip.reset().unwrap();
    assert_eq!(select(&mut chip, &ticket::AID).sw(), StatusWord::NOT_FOUND);

    assert_eq!(open(&world, "a").unwrap_err().code(), "no-right");
    world.download.give_right(&right(COUNTER, ADDITION, None, 10), &act()).unwrap();
    let opened = open(&world, "b").unwrap();
    assert_eq!(opened.open[0].subject(), &subject(7));
    let profile = Profile::named(ADDITION).unwrap();
    let data =
        CardData::of_city(super::world::asn(7), super::world::CITY, moment().date, day("20361231"), pin());
    chip.reset().unwrap();
    let card = opened.open[0].id();
    world.run(COUNTER, card, &mut chip, &mut Personalisation::card(&profile, &data)).unwrap();
    world.download.finish(&[(card, Ending::Made)], &caller(COUNTER)).unwrap()[0].clone().unwrap();

    chip.reset().unwrap();
    assert!(select(&mut chip, &ticket::AID).sw().is_ok(), "the tickets are there");
    assert!(select(&mut chip, &CITY_AID).sw().is_ok(), "and the purse is as it was");
    let refused = open(&world, "c").unwrap().refused;
    assert_eq!(refused, [(subject(7), Verdict::DoneAlready)]);
    // A card that has the application says no by itself, too.
    let again = world.open(LINE, "d", None, listed(&[8])).unwrap();
    assert_eq!(again.open.len(), 1);
    let mut steps = Personalisation::card(&profile, &data);
    chip.reset().unwrap();
    let other = OpenCall {
        operation: "e".to_owned(),
        application: ADDITION.to_owned(),
        batch: None,
        cards: listed(&[8]),
    };
    let other = world.download.open(&other, &caller(COUNTER)).unwrap();
    let error = world.run(COUNTER, other.open[0].id(), &mut chip, &mut steps).unwrap_err().to_string();
    assert!(
        error.contains("step 2 (prove the card master key)"),
        "keys of another card open nothing: {error}"
    );
}
