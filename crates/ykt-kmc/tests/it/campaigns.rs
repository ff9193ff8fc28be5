//! Cards of the city get other keys, and go on paying.

use crate::world::{CITY, Hand, Standing, World, act, asn, at, world};
use ykt_base::{CardChannel, Fen, KeyIndex, KeyVersion, TerminalId};
use ykt_files::Industry;
use ykt_kmc::campaigns::visit::{VisitError, Visited};
use ykt_kmc::campaigns::{
    self, CampaignError, CampaignState, CardChoice, CardListFilter, CardProgress, Counts, NewCampaign,
};
use ykt_kmc::{Operation, OperationError};
use ykt_office::cards::{self, CardEvent};
use ykt_purse::Purse;
use ykt_purse::files::city_factor;
use ykt_store::Paging;
use ykt_terminal::host::engineer::EngineerHost;
use ykt_terminal::load::{LoadOutcome, LoadRequest, LoadTerminal};
use ykt_terminal::pos::{Outcome, Pos, PosConfig};
use ykt_terminal::store::MemoryStore;
use ykt_vault::{KeyKind, KeyRef, KeyState};

/// Every key of a city card that a campaign may change.
pub const CHANGES: &str = "card-master.1:1-2 card-maintenance.1:1-2 application-master.1:1-2 \
     application-maintenance.1:1-2 load.1:1-2 purchase.1:1-2 pin-unblock.1:1-2 grey-unlock.1:1-2";

pub fn plan(name: &str, changes: &str, cards: CardChoice) -> NewCampaign {
    NewCampaign {
        name: name.to_owned(),
        title: "Second generation".to_owned(),
        profile: campaigns::profile_text("city-cpu").unwrap().to_owned(),
        changes: changes.split_whitespace().map(|change| change.parse().unwrap()).collect(),
        cards,
    }
}

/// Version 2 of all keys in use, and a campaign over all cards, open.
pub fn open(world: &World, changes: &str) {
    for change in plan("x", changes, CardChoice::All).changes {
        world.renew(change.kind);
    }
    open_campaign(world, changes);
}

/// A campaign over all cards, whose keys are in use already.
pub fn open_only(world: &World) {
    open_campaign(world, CHANGES);
}

fn open_campaign(world: &World, changes: &str) {
    let new = plan("second", changes, CardChoice::All);
    world.centre.store.write(|tx| campaigns::plan(tx, &new, &act("keys1", 5))).unwrap();
    world.done("start", &Operation::StartCampaign { campaign: "second".into() });
}

pub fn visit(world: &World, card: &mut Hand) -> Result<Visited, VisitError> {
    world.centre.visit("second", card, "counter 3", &act("operator", 10))
}

pub fn counts(world: &World) -> Counts {
    world.centre.store.read(|tx| campaigns::progress(tx, "second")).unwrap()
}

fn load(world: &World, card: &mut Hand, number: u8) {
    card.reset().unwrap();
    let tac = KeyRef::new(KeyKind::Tac, 1, 1);
    let mut host = EngineerHost::new(&*world.vault, Standing(at(20)), city_factor(CITY), KeyIndex(1), tac);
    let terminal = LoadTerminal {
        terminal: TerminalId([0x21, 0x44, 0, 0, 0x0A, 1]),
        key_index: KeyIndex(1),
        purse: Purse::Ep,
    };
    let order = format!("L-{number}").parse().unwrap();
    let request = LoadRequest { order: &order, amount: Fen::new(5_000), channel: "CASH" };
    let outcome = terminal.load(card, &mut host, &request, at(20)).unwrap();
    assert!(matches!(outcome, LoadOutcome::Loaded { .. }), "{outcome:?}");
}

fn pay(psam: Hand, card: &mut Hand) {
    card.reset().unwrap();
    let config =
        PosConfig::new("M00000000000001".parse().unwrap(), "00000001".parse().unwrap(), Industry::BUS);
    let mut pos = Pos::open(config, psam, MemoryStore::default()).unwrap();
    let outcome = pos.purchase(card, Fen::new(200), at(30)).unwrap();
    assert!(matches!(outcome, Outcome::Paid(_)), "{outcome:?}");
}

/// The load and the purchase key of a card, used: whatever their versions are, its money moves.
pub fn assert_it_works(world: &World, card: &mut Hand, number: u8) {
    load(world, card, number);
    pay(world.spare_psam(), card);
    ykt_terminal::card::select(card).unwrap();
    assert_eq!(ykt_terminal::card::balance(card).unwrap(), Fen::new(4_800));
}

#[test]
fn twenty_cards_get_their_keys_and_all_go_on_paying() {
    let world = world();
    let mut cards: Vec<Hand> = (1..=20).map(|number| world.card(number)).collect();
    let psam = world.psam();
    open(&world, CHANGES);
    let mut psam = psam;
    world.second_purchase_key(&mut psam);
    world.keep_psam(psam);
    assert_eq!(counts(&world), Counts { waiting: 20, ..Counts::default() });

    let mut late = cards.pop().unwrap();
    for (number, card) in (1..).zip(&mut cards) {
        let done = visit(&world, card).unwrap();
        assert_eq!((done.asn, done.written.len()), (asn(number), 8));
        assert!(done.written.iter().all(|key| key.version == KeyVersion(2)));
        let again = visit(&world, card).unwrap();
        assert_eq!(again.written, [], "it has them already");
    }
    assert_eq!(counts(&world), Counts { waiting: 1, done: 19, ..Counts::default() });
    assert_eq!(counts(&world).on_old(), 1);
    for (number, card) in (1..).zip(&mut cards) {
        assert_it_works(&world, card, number);
    }
    assert_it_works(&world, &mut late, 20);

    let old = crate::world::root(KeyKind::Load, 1);
    assert_eq!(world.state(&old), Some(KeyState::Retired));
    let warning = world.centre.summary(&Operation::Destroy(old)).unwrap().to_string();
    assert!(warning.contains("Up to 1 cards in people's pockets may hold it"), "{warning}");
    let ended = world.centre.store.write(|tx| campaigns::end(tx, "second", &act("keys1", 60))).unwrap();
    assert_eq!(ended.on_old(), 1);
    assert!(matches!(
        visit(&world, &mut late),
        Err(VisitError::Campaign(CampaignError::State { found: CampaignState::Ended, .. }))
    ));
    assert_eq!(world.audit("campaign/card").len(), 19);
    assert_eq!((world.audit("campaign/start").len(), world.audit("campaign/end").len()), (1, 1));
    assert!(
        !format!("{:?}", world.audit("campaign/card")).contains("2144000000000001"),
        "numbers are masked"
    );
}

#[test]
fn only_cards_of_the_campaign_in_use_are_touched() {
    let world = world();
    let (mut first, mut second, mut lost) = (world.card(1), world.card(2), world.card(3));
    world.renew(KeyKind::Load);
    let listed = CardChoice::Listed(vec![asn(1), asn(3)]);
    let new = plan("second", "load.1:1-2", listed);
    world.centre.store.write(|tx| campaigns::plan(tx, &new, &act("keys1", 5))).unwrap();
    let early = visit(&world, &mut first).unwrap_err();
    assert!(early.to_string().contains("campaign second is planned"), "{early}");
    world.done("start", &Operation::StartCampaign { campaign: "second".into() });
    let again = world.ask("again", &Operation::StartCampaign { campaign: "second".into() });
    assert!(matches!(again, Err(OperationError::NotPossible(_))), "{again:?}");

    assert!(matches!(visit(&world, &mut second), Err(VisitError::NotOfCampaign { .. })));
    let lose =
        |tx: &ykt_store::Tx<'_>| cards::change(tx, &asn(3), CardEvent::ReportLoss, "", &act("operator", 9));
    world.centre.store.write(lose).unwrap();
    assert!(matches!(visit(&world, &mut lost), Err(VisitError::NotInUse { .. })));
    assert_eq!(visit(&world, &mut first).unwrap().written, [KeyRef::new(KeyKind::Load, 1, 2)]);
    let filter =
        CardListFilter { campaign: Some("second".to_owned()), progress: Some(CardProgress::Waiting) };
    let waiting = world.centre.store.read(|tx| campaigns::card_list(tx, &filter, Paging::first(9)));
    assert_eq!(waiting.unwrap().rows.iter().map(|card| card.asn).collect::<Vec<_>>(), [asn(3)]);
}

/// A card whose keys are others than the campaign believes is left alone after one try.
#[test]
fn a_card_that_answers_wrongly_is_stopped_until_a_person_looked() {
    let world = world();
    let mut card = world.card(1);
    world.renew(KeyKind::ApplicationMaster);
    open_campaign(&world, "application-master.1:3-2");
    let wrong = visit(&world, &mut card).unwrap_err();
    assert!(matches!(wrong, VisitError::Stopped { .. }), "{wrong}");
    assert!(wrong.to_string().contains("application-master key 1 is version 1, expected 3 or 2"), "{wrong}");
    let commands = card.commands;
    assert!(matches!(visit(&world, &mut card), Err(VisitError::Stopped { .. })));
    assert!(card.commands - commands <= 2, "only read, nothing tried");
    assert_eq!(counts(&world).stopped, 1);
    let release = |tx: &ykt_store::Tx<'_>| campaigns::release(tx, "second", &asn(1), &act("keys1", 9));
    world.centre.store.write(release).unwrap();
    assert_eq!(counts(&world).begun, 1);
}

#[test]
fn a_plan_that_cannot_be_is_refused_with_its_part() {
    let world = world();
    let put = |new: &NewCampaign| {
        let refused = world.centre.store.write(|tx| campaigns::plan(tx, new, &act("keys1", 5)));
        refused.unwrap_err().to_string()
    };
    for (changes, words) in [
        ("tac.1:1-2", "expected no TAC key: receipts of the time before"),
        ("load.1:1-1", "load.1:1-1: expected two versions"),
        ("load.1:1-2 load.1:1-3", "expected each key once"),
        ("load.2:1-2", "expected a key of the profile's cards, found city-cpu"),
        ("psam-master.1:1-2", "expected a key of the profile's cards"),
    ] {
        let refused = put(&plan("second", changes, CardChoice::All));
        assert!(refused.contains(words), "{changes}: {refused}");
    }
    let named =
        |name: &str| NewCampaign { name: name.to_owned(), ..plan("x", "load.1:1-2", CardChoice::All) };
    assert!(put(&named("Second Try")).contains("expected 1 to 32 signs of a-z 0-9 -"));
    let psam = campaigns::profile_text("psam").unwrap().to_owned();
    assert!(put(&NewCampaign { profile: psam, ..named("second") }).contains("expected one of user cards"));
    assert!(put(&plan("second", "load.1:1-2", CardChoice::Listed(vec![]))).contains("1 to 1000000"));
    for wrong in ["load", "load.1", "load.1:1", "purse.1:1-2", "load.1:1-256"] {
        assert!(wrong.parse::<campaigns::KeyChange>().is_err(), "{wrong}");
    }
}
