//! The register of cards: numbers, states, and what a state allows.

use crate::{act, asn, at, new_card, office, read};
use ykt_office::cards::{self, CardEvent, CardFilter, CardKind, CardSort, CardState, NewCard, Registered};
use ykt_office::{Direction, Paging, RegisterError, audit};
use ykt_store::Store;

fn office_with(cards: u64) -> Store {
    let store = office();
    let batch: Vec<NewCard> = (1..=cards).map(new_card).collect();
    store.write(|tx| cards::register(tx, &batch, &act(0))).unwrap();
    store
}

fn change(store: &Store, event: CardEvent, minutes: i64) -> Result<CardState, RegisterError> {
    store.write(|tx| cards::change(tx, &asn(1), event, "", &act(minutes))).map(|row| row.state)
}

#[test]
fn the_life_of_a_card_is_exactly_the_table() {
    use CardEvent as E;
    use CardState as S;
    let table: &[(S, &[(E, S)])] = &[
        (S::NotEnabled, &[(E::Issue, S::Normal), (E::Void, S::Void)]),
        (
            S::Normal,
            &[
                (E::PreReportLoss, S::LossPreReported),
                (E::ReportLoss, S::Lost),
                (E::Lock, S::Locked),
                (E::Exchange, S::Cancelled),
                (E::Return, S::Cancelled),
                (E::Cancel, S::Cancelled),
            ],
        ),
        (
            S::LossPreReported,
            &[(E::ReportLoss, S::Lost), (E::RemoveLoss, S::Normal), (E::Cancel, S::Cancelled)],
        ),
        (S::Lost, &[(E::RemoveLoss, S::Normal), (E::Replace, S::Cancelled), (E::Cancel, S::Cancelled)]),
        (S::Locked, &[(E::Unlock, S::Normal), (E::Cancel, S::Cancelled)]),
        (S::Void, &[]),
        (S::Cancelled, &[]),
    ];
    assert_eq!(table.len(), S::ALL.len());
    for (state, steps) in table {
        for event in E::ALL {
            let expected = steps.iter().find(|(allowed, _)| allowed == event).map(|(_, to)| *to);
            assert_eq!(state.after(*event).ok(), expected, "{state} {event}");
        }
        assert_eq!(state.may_load(), *state == S::Normal);
    }
}

#[test]
fn an_illegal_step_says_from_to_and_what_is_allowed() {
    let store = office_with(1);
    change(&store, CardEvent::Issue, 1).unwrap();
    change(&store, CardEvent::ReportLoss, 2).unwrap();
    let error = change(&store, CardEvent::Lock, 3).unwrap_err();
    assert_eq!(
        error.to_string(),
        "card ************0001: \"lock\" is not possible in state \"lost\"; \
         possible there: remove loss, replace, cancel"
    );
    change(&store, CardEvent::Replace, 4).unwrap();
    let error = change(&store, CardEvent::RemoveLoss, 5).unwrap_err();
    assert!(error.to_string().ends_with("in state \"cancelled\"; that state is final"), "{error}");
    let unknown = store.write(|tx| cards::change(tx, &asn(9), CardEvent::Issue, "", &act(1))).unwrap_err();
    assert!(matches!(unknown, RegisterError::Unknown { .. }));
}

#[test]
fn a_batch_can_be_repeated_but_not_altered() {
    let store = office_with(3);
    let again: Vec<NewCard> = (2..=5).map(new_card).collect();
    let done = store.write(|tx| cards::register(tx, &again, &act(1))).unwrap();
    assert_eq!(done, Registered { added: 2, repeated: 2 });
    let altered = NewCard { kind: CardKind::Test, ..new_card(2) };
    let error = store.write(|tx| cards::register(tx, &[new_card(6), altered], &act(2))).unwrap_err();
    assert!(matches!(error, RegisterError::Conflict { .. }), "{error}");
    assert_eq!(read(&store, cards::count), 5, "nothing of the refused batch is kept");
    for wrong in [
        NewCard { main_type: 100, ..new_card(7) },
        NewCard { expiry: new_card(7).start.plus_days(-1).unwrap(), ..new_card(7) },
    ] {
        let error = store.write(|tx| cards::register(tx, &[wrong], &act(2))).unwrap_err();
        assert!(matches!(error, RegisterError::Field { .. }), "{error}");
    }
}

#[test]
fn issuing_is_one_act_and_repeating_it_changes_nothing() {
    let store = office_with(100);
    let all: Vec<_> = (1..=100).map(asn).collect();
    store.write(|tx| cards::issue(tx, &all, &act(1))).unwrap();
    let records = |store: &Store| read(store, |tx| audit::list(tx, &Default::default(), Paging::first(10)));
    let before = records(&store);
    assert_eq!((before.totals, before.rows[0].object.as_str()), (2, "100 cards"));
    store.write(|tx| cards::issue(tx, &all, &act(1))).unwrap();
    assert_eq!(records(&store), before);
    let row = read(&store, |tx| cards::card(tx, &asn(7))).unwrap();
    assert_eq!((row.state, row.issued_at), (CardState::Normal, Some(at(1))));
    assert!(store.write(|tx| cards::issue(tx, &all, &act(2))).is_err(), "another act on the same cards");
    let history = read(&store, |tx| cards::history(tx, &asn(7)));
    assert_eq!(history.len(), 1);
    assert_eq!((history[0].event, history[0].who.as_str()), (CardEvent::Issue, "wang"));
}

#[test]
fn pre_reports_lapse_in_time() {
    let store = office_with(1);
    change(&store, CardEvent::Issue, 0).unwrap();
    change(&store, CardEvent::PreReportLoss, 1).unwrap();
    let lapse = |minutes: i64| store.write(|tx| cards::lapse_pre_reports(tx, 7, &act(minutes))).unwrap();
    assert_eq!(lapse(7 * 24 * 60), 0);
    assert_eq!(lapse(7 * 24 * 60 + 1), 1);
    assert_eq!(read(&store, |tx| cards::card(tx, &asn(1))).unwrap().state, CardState::Normal);
}

#[test]
fn lists_filter_sort_page_and_total() {
    let store = office_with(25);
    let some: Vec<_> = (1..=10).map(asn).collect();
    store.write(|tx| cards::issue(tx, &some, &act(1))).unwrap();
    store.write(|tx| cards::report_loss(tx, &asn(4), at(2), &act(2))).unwrap();
    let list = |filter: CardFilter, sort, paging| {
        let page = read(&store, |tx| cards::list(tx, &filter, sort, paging));
        let numbers: Vec<u64> =
            page.rows.iter().map(|row| row.card.asn.to_string()[8..].parse().unwrap()).collect();
        (numbers, page.totals)
    };
    let up = (CardSort::Number, Direction::Up);
    let (numbers, totals) = list(CardFilter::default(), up, Paging::new(3, 10));
    assert_eq!(numbers, [21, 22, 23, 24, 25]);
    assert_eq!(totals.count(), 25, "totals are of what is filtered, not of the page");
    assert_eq!(totals.by_state[&CardState::NotEnabled], 15);
    assert_eq!(totals.by_state[&CardState::Lost], 1);
    let normal = CardFilter { state: Some(CardState::Normal), ..CardFilter::default() };
    let (numbers, totals) = list(normal, (CardSort::Number, Direction::Down), Paging::first(3));
    assert_eq!((numbers, totals.count()), (vec![10, 9, 8], 9));
    let prefix = CardFilter { number: Some("170001010000002".parse().unwrap()), ..CardFilter::default() };
    assert_eq!(list(prefix, up, Paging::default()).0, [20, 21, 22, 23, 24, 25]);
    assert!("17x".parse::<cards::NumberPrefix>().is_err());
    assert_eq!(list(CardFilter::default(), up, Paging::new(9, 10)).0, [0_u64; 0]);
}
