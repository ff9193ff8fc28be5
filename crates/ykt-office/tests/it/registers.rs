//! What clearing reads of the office: one snapshot that answers by moment.

use crate::terminals::pair_of;
use crate::{act, asn, at, contract, day, merchant_code, new_card, new_merchant, office, pos};
use ykt_base::TerminalId;
use ykt_office::blacklist::{self, ListKind, ListVersion, TERMINAL_LIST_LEN_MAX};
use ykt_office::cards::{self, CardEvent, CardState};
use ykt_office::terminals::{self, NewTerminal, TerminalState};
use ykt_office::{RegisterError, Registers, merchants};
use ykt_store::{Store, Tx, params};

#[test]
fn the_snapshot_answers_what_clearing_asks() {
    let store = office();
    let batch: Vec<_> = (1..=50).map(|no| new_card(no * 3)).collect();
    store
        .write(|tx| -> Result<(), RegisterError> {
            cards::register(tx, &batch, &act(0))?;
            cards::issue(tx, &[asn(3), asn(6)], &act(0))?;
            merchants::register(tx, &new_merchant(1), &act(0))?;
            merchants::agree(tx, &merchant_code(1), &contract("20260101", None, 8_000), &act(0))?;
            for no in 1..=2 {
                terminals::register(tx, &NewTerminal { pos: pos(no), merchant: merchant_code(1) }, &act(0))?;
            }
            terminals::pair(tx, &pair_of(1, 77, 0), &act(0))?;
            terminals::pair(tx, &pair_of(1, 78, 60), &act(0))?;
            terminals::pair(tx, &pair_of(2, 77, 90), &act(0))?;
            cards::change(tx, &asn(6), CardEvent::Lock, "", &act(1))?;
            cards::report_loss(tx, &asn(3), at(10), &act(10))?;
            blacklist::list_delivered(tx, &pos(1), ListVersion(1), at(5))?;
            blacklist::list_delivered(tx, &pos(1), ListVersion(2), at(20))?;
            cards::change(tx, &asn(3), CardEvent::RemoveLoss, "", &act(30)).map(drop)
        })
        .unwrap();
    let registers = store.read(Registers::load).unwrap();
    for no in 0..=151 {
        let known = no > 0 && no % 3 == 0;
        assert_eq!(registers.card(&asn(no)).map(|row| row.card), known.then(|| new_card(no)));
    }
    assert_eq!(registers.card(&asn(6)).unwrap().state, CardState::Locked);
    assert_eq!(registers.terminal(&pos(1)).unwrap().pair, Some(pair_of(1, 78, 60)));
    assert_eq!(registers.terminal(&pos(2)).unwrap().state, TerminalState::Registered);
    assert!(registers.terminal(&pos(3)).is_none());
    let psam: TerminalId = pair_of(1, 77, 0).terminal_id;
    let holder = |minutes| registers.pair_at(&psam, at(minutes)).map(|pair| pair.pos);
    assert_eq!((holder(-1), holder(59), holder(60), holder(90)), (None, Some(pos(1)), None, Some(pos(2))));
    assert!(registers.psam(&TerminalId([9; 6])).is_empty());
    assert_eq!(registers.contract(&merchant_code(1), day("20260302")).unwrap().commission_ppm, 8_000);
    assert!(registers.contract(&merchant_code(1), day("20251231")).is_none());
    assert!(registers.merchant(&merchant_code(2)).is_none());
    assert_eq!(registers.merchants().count(), 1);
    let loss = |minutes| registers.loss_of(&asn(3), at(minutes));
    assert!(loss(9).is_none() && loss(30).is_none());
    assert_eq!(loss(10).unwrap().version, ListVersion(2));
    assert_eq!(
        registers.list_reached(&pos(1), loss(10).unwrap()),
        Some(at(20)),
        "version 1 does not name it"
    );
    assert_eq!(registers.list_reached(&pos(2), loss(10).unwrap()), None);
}

/// Fills the list with that many cards of no register, one version each.
fn fill_list(store: &Store, entries: u32) {
    let fill = "WITH RECURSIVE filler (no) AS (
            SELECT COALESCE(MAX(version), 0) + 1 FROM office_list_change
            UNION ALL SELECT no + 1 FROM filler LIMIT $1)
        INSERT INTO office_list_change (version, asn, kind, at)
        SELECT no, CAST(printf('F%07d', no) AS BLOB), $2, $3 FROM filler";
    let mirror = "INSERT INTO office_list_entry (asn, kind, version, since)
        SELECT asn, kind, version, at FROM office_list_change WHERE asn NOT IN (SELECT asn FROM office_list_entry)";
    store
        .write(|tx| {
            tx.execute(fill, params![entries, ListKind::Lost, at(0)])?;
            tx.execute(mirror, &[])
        })
        .unwrap();
}

/// Lost first, and 10,000 cards after it: a terminal that fetches the list then holds the others only, until one of
/// them goes.
#[test]
fn a_card_beyond_the_cut_of_a_terminals_list_has_not_reached_it() {
    let store = office();
    store
        .write(|tx| -> Result<(), RegisterError> {
            cards::register(tx, &[new_card(1), new_card(2)], &act(0))?;
            cards::issue(tx, &[asn(1), asn(2)], &act(0))?;
            merchants::register(tx, &new_merchant(1), &act(0))?;
            for no in 1..=3 {
                terminals::register(tx, &NewTerminal { pos: pos(no), merchant: merchant_code(1) }, &act(0))?;
            }
            cards::report_loss(tx, &asn(1), at(1), &act(1)).map(drop)
        })
        .unwrap();
    let deliver = |no, minutes| {
        let holds_it = |tx: &Tx| -> Result<_, RegisterError> {
            blacklist::list_delivered(tx, &pos(no), blacklist::version(tx)?, at(minutes))?;
            let held = blacklist::newest(tx, TERMINAL_LIST_LEN_MAX)?;
            Ok(held.iter().any(|entry| entry.asn == asn(1)))
        };
        store.write(holds_it).unwrap()
    };
    let reached = || {
        let registers = store.read(Registers::load).unwrap();
        let loss = registers.loss_of(&asn(1), at(60)).unwrap();
        [1, 2, 3].map(|no| registers.list_reached(&pos(no), loss))
    };
    fill_list(&store, TERMINAL_LIST_LEN_MAX - 2);
    store.write(|tx| cards::report_loss(tx, &asn(2), at(2), &act(2))).unwrap();
    assert!(deliver(1, 10), "10,000 entries: the card is the oldest of them");
    assert_eq!(reached(), [Some(at(10)), None, None]);
    fill_list(&store, 1);
    assert!(!deliver(2, 20), "10,001 entries: the card is cut");
    assert_eq!(reached(), [Some(at(10)), None, None]);
    store.write(|tx| cards::lock_reported(tx, &asn(2), &act(3))).unwrap();
    assert!(deliver(2, 30) && deliver(3, 31), "an entry went, and there is room again");
    assert_eq!(reached(), [Some(at(10)), Some(at(30)), Some(at(31))]);
}

/// Terminals that fetched the list only after the card was taken off it never saw the card.
#[test]
fn a_card_that_left_the_list_before_it_was_fetched_has_not_reached_the_terminal() {
    let store = office();
    store
        .write(|tx| -> Result<(), RegisterError> {
            cards::register(tx, &[new_card(1)], &act(0))?;
            cards::issue(tx, &[asn(1)], &act(0))?;
            merchants::register(tx, &new_merchant(1), &act(0))?;
            terminals::register(tx, &NewTerminal { pos: pos(1), merchant: merchant_code(1) }, &act(0))?;
            cards::report_loss(tx, &asn(1), at(1), &act(1))?;
            cards::lock_reported(tx, &asn(1), &act(2))?;
            blacklist::list_delivered(tx, &pos(1), blacklist::version(tx)?, at(5))
        })
        .unwrap();
    let registers = store.read(Registers::load).unwrap();
    let loss = registers.loss_of(&asn(1), at(60)).unwrap();
    assert_eq!(registers.list_reached(&pos(1), loss), None);
}
