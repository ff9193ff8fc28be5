//! The power goes at every command of a visit, and once more while it is repaired: no card is locked, none is forgotten.

use crate::campaigns::{CHANGES, assert_it_works, counts, open, visit};
use crate::world::{Pull, World, world};
use ykt_kmc::campaigns::visit::VisitError;
use ykt_kmc::campaigns::{self, CardProgress, Counts};

fn ready() -> (World, crate::world::Hand) {
    let world = world();
    let card = world.card(1);
    let mut psam = world.psam();
    open(&world, CHANGES);
    world.second_purchase_key(&mut psam);
    world.keep_psam(psam);
    (world, card)
}

#[test]
fn cut_at_every_command_the_card_gets_its_keys_at_the_next_showing() {
    let (world, mut fresh) = ready();
    let mut whole = fresh.twin();
    visit(&world, &mut whole).unwrap();
    let commands = whole.commands;
    println!("a visit takes {commands} commands");
    for pull in (0..commands).flat_map(|number| [Pull::Before(number), Pull::After(number)]) {
        let world = world.again();
        let mut card = fresh.twin();
        card.pull = Some(pull);
        let cut = visit(&world, &mut card);
        assert!(
            matches!(
                cut,
                Err(VisitError::Cut { .. } | VisitError::Unreadable { .. } | VisitError::Reader(_))
            ),
            "{pull:?}: {cut:?}"
        );
        let mut card = card.put_back();
        visit(&world, &mut card).unwrap_or_else(|error| panic!("{pull:?}: {error}"));
        assert_eq!(counts(&world), Counts { done: 1, ..Counts::default() }, "{pull:?}");
        if matches!(pull, Pull::After(number) if number % 5 == 0) || number_of(pull) + 9 > commands {
            assert_it_works(&world, &mut card, 1);
        }
    }
}

fn number_of(pull: Pull) -> usize {
    let (Pull::Before(number) | Pull::After(number)) = pull;
    number
}

/// Cut while the card master key is written, and then at every command of the next visits: either all goes well, or the
/// card is stopped with a try left. It is never locked.
#[test]
fn the_last_try_is_never_risked() {
    let (world, mut fresh) = ready();
    let mut whole = fresh.twin();
    visit(&world, &mut whole).unwrap();
    let master_written = whole.commands;
    let mut stopped = 0;
    for first in (master_written - 9..master_written).flat_map(|at| [Pull::Before(at), Pull::After(at)]) {
        for later in 0..8 {
            let world = world.again();
            let mut card = fresh.twin();
            card.pull = Some(first);
            assert!(visit(&world, &mut card).is_err());
            // Three more cuts at the same place, then in peace.
            for _ in 0..3 {
                card = card.put_back();
                card.pull = Some(Pull::After(later));
                if visit(&world, &mut card).is_ok() {
                    break;
                }
            }
            card = card.put_back();
            match visit(&world, &mut card) {
                Ok(_) => {}
                Err(VisitError::Stopped { why, .. }) => {
                    assert!(why.contains("could lock it"), "{first:?} {later}: {why}");
                    stopped += 1;
                }
                Err(error) => panic!("{first:?} {later}: {error}"),
            }
            // Whatever happened, the card still pays and is loaded.
            if later % 4 == 0 {
                assert_it_works(&world, &mut card, 1);
            }
        }
    }
    assert!(stopped > 0, "a question that is cut three times is not asked again");
    println!("{stopped} cards stopped before their last try");
}

#[test]
fn what_is_not_sure_is_written_down() {
    let (world, mut fresh) = ready();
    let mut whole = fresh.twin();
    visit(&world, &mut whole).unwrap();
    let world = world.again();
    let mut card = fresh.twin();
    card.pull = Some(Pull::Before(14));
    assert!(visit(&world, &mut card).is_err());
    assert_eq!(counts(&world), Counts { begun: 1, ..Counts::default() });
    let keys = world.centre.store.read(|tx| campaigns::card_keys(tx, &crate::world::asn(1))).unwrap();
    assert!(keys.iter().any(|key| key.pending.is_some()), "{keys:?}");
    let page = world.centre.store.read(|tx| {
        campaigns::card_list(tx, &campaigns::CardListFilter::default(), ykt_store::Paging::first(5))
    });
    assert_eq!(page.unwrap().rows[0].progress, CardProgress::Begun);
}
