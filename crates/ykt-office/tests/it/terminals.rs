//! The register of terminals: pairs of POS and PSAM and their validity.

use crate::{act, at, merchant_code, new_merchant, office, pos, read};
use ykt_office::terminals::{
    self, NewTerminal, Pair, TerminalEvent, TerminalFilter, TerminalSort, TerminalState,
};
use ykt_office::{Direction, Paging, RegisterError, merchants};
use ykt_store::Store;

pub(crate) fn pair_of(pos_no: u32, psam: u32, minutes: i64) -> Pair {
    Pair {
        pos: pos(pos_no),
        terminal_id: format!("{psam:012}").parse().unwrap(),
        psam_serial: format!("{psam:020}").parse().unwrap(),
        from: at(minutes),
        until: None,
    }
}

fn office_with(terminals: u32) -> Store {
    let store = office();
    store
        .write(|tx| {
            merchants::register(tx, &new_merchant(1), &act(0))?;
            (1..=terminals).try_for_each(|no| {
                terminals::register(tx, &NewTerminal { pos: pos(no), merchant: merchant_code(1) }, &act(0))
            })
        })
        .unwrap();
    store
}

fn change(store: &Store, event: TerminalEvent, minutes: i64) -> Result<TerminalState, RegisterError> {
    store.write(|tx| terminals::change(tx, &pos(1), event, &act(minutes))).map(|row| row.state)
}

fn pair(store: &Store, pair: Pair) -> Result<(), RegisterError> {
    store.write(|tx| terminals::pair(tx, &pair, &act(0)))
}

#[test]
fn registered_then_in_use_then_suspended_then_retired() {
    let store = office_with(1);
    assert!(change(&store, TerminalEvent::Resume, 1).is_err());
    assert_eq!(change(&store, TerminalEvent::Start, 1), Ok(TerminalState::InUse));
    assert_eq!(change(&store, TerminalEvent::Start, 1), Ok(TerminalState::InUse), "a repeat");
    let error = change(&store, TerminalEvent::Start, 2).unwrap_err();
    assert_eq!(
        error.to_string(),
        "terminal 00000001: \"start\" is not possible in state \"in use\"; possible there: suspend, retire"
    );
    assert_eq!(change(&store, TerminalEvent::Suspend, 3), Ok(TerminalState::Suspended));
    assert_eq!(change(&store, TerminalEvent::Resume, 4), Ok(TerminalState::InUse));
    assert_eq!(change(&store, TerminalEvent::Retire, 5), Ok(TerminalState::Retired));
    for event in TerminalEvent::ALL {
        assert!(change(&store, *event, 6).is_err(), "{event}");
    }
}

#[test]
fn a_psam_is_in_one_pos_at_a_time_and_history_stays() {
    let store = office_with(2);
    pair(&store, pair_of(1, 77, 0)).unwrap();
    pair(&store, pair_of(1, 77, 0)).unwrap();
    let error = pair(&store, pair_of(2, 77, 10)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "PSAM 000000000077 is registered with another POS at that time: \
         found 00000001 since 2026-03-02 12:00:00, asked for 00000002 from 2026-03-02 12:10:00"
    );
    assert!(pair(&store, pair_of(1, 78, 0)).is_err(), "the POS has a PSAM since that moment");
    pair(&store, pair_of(1, 78, 5)).unwrap();
    pair(&store, pair_of(2, 77, 10)).unwrap();
    let pairs = read(&store, |tx| terminals::pairs_of(tx, &pos(1)));
    assert_eq!(pairs, [Pair { until: Some(at(5)), ..pair_of(1, 77, 0) }, pair_of(1, 78, 5)]);
    assert!(pairs[0].covers(at(4)) && !pairs[0].covers(at(5)) && pairs[1].covers(at(5)));
    assert_eq!(read(&store, |tx| terminals::terminal(tx, &pos(1))).unwrap().pair, Some(pairs[1]));
    change(&store, TerminalEvent::Retire, 20).unwrap();
    pair(&store, pair_of(2, 78, 20)).unwrap();
    let error = pair(&store, pair_of(1, 79, 30)).unwrap_err();
    assert!(matches!(error, RegisterError::Illegal { .. }), "{error}");
    assert!(pair(&store, pair_of(3, 80, 0)).is_err(), "no such terminal");
}

#[test]
fn a_number_belongs_to_one_merchant() {
    let store = office_with(1);
    let register =
        |merchant| store.write(|tx| terminals::register(tx, &NewTerminal { pos: pos(1), merchant }, &act(1)));
    register(merchant_code(1)).unwrap();
    assert!(matches!(register(merchant_code(2)), Err(RegisterError::Conflict { .. })));
    let unknown = NewTerminal { pos: pos(2), merchant: merchant_code(2) };
    let error = store.write(|tx| terminals::register(tx, &unknown, &act(1))).unwrap_err();
    assert!(matches!(error, RegisterError::Unknown { what: "merchant", .. }));
}

#[test]
fn lists_count_by_state() {
    let store = office_with(3);
    change(&store, TerminalEvent::Start, 1).unwrap();
    pair(&store, pair_of(1, 1, 1)).unwrap();
    let sort = (TerminalSort::State, Direction::Down);
    let page = read(&store, |tx| terminals::list(tx, &TerminalFilter::default(), sort, Paging::first(2)));
    assert_eq!(page.totals.count(), 3);
    assert_eq!(page.totals.by_state[&TerminalState::InUse], 1);
    assert_eq!(page.rows[0].pos, pos(1));
    assert!(page.rows[0].pair.is_some() && page.rows[1].pair.is_none());
    let filter = TerminalFilter { state: Some(TerminalState::Registered), ..TerminalFilter::default() };
    let page = read(&store, |tx| terminals::list(tx, &filter, sort, Paging::default()));
    assert_eq!((page.rows.len(), page.totals.count()), (2, 2));
}
