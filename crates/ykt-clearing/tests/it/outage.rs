//! The vault is gone while a day is closed: no TAC is judged without it, and the close goes on when it is back.

use crate::world::*;
use ykt_clearing::queries::{self, RecordFilter, Standing};
use ykt_clearing::{CloseError, State};
use ykt_store::Paging;
use ykt_vault::VaultError;

/// A day with a right TAC and a wrong one.
fn world() -> World {
    let mut world = World::new();
    let right = world.sale(1, 0, 5_000, 125);
    let mut wrong = at_shop(world.sale(2, 0, 50_000, 10_000));
    wrong.tac.0[0] ^= 1;
    world.send(D1, 1, &[right]);
    world.send(D1, 1, &[wrong]);
    world
}

fn standings(world: &World) -> Vec<Standing> {
    let page = world.read(|tx| queries::records(tx, &RecordFilter::default(), order(), Paging::default()));
    page.rows.iter().map(|row| row.standing).collect()
}

#[test]
fn a_close_without_the_vault_stops_and_goes_on() {
    let (undisturbed, cut) = (world(), world());
    let expected = undisturbed.close(D1);
    let before = standings(&cut);
    cut.vault.cut();
    for _ in 0..2 {
        let stopped = cut.try_close(D1, &mut |_| {});
        assert!(matches!(stopped, Err(CloseError::Vault(VaultError::Unavailable { .. }))), "{stopped:?}");
        assert_eq!(standings(&cut), before, "nothing is judged");
        assert!(cut.folders.bank_outbox().is_empty() && cut.balance("2001") == 0, "nothing is booked");
    }
    cut.vault.mend();
    assert_eq!(cut.close(D1), expected, "as if the vault had never been away");
    assert_eq!(standings(&cut), standings(&undisturbed));
    assert!(standings(&cut).contains(&Standing::Verdict(State::Refused)));
}
