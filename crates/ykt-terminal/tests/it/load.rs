//! Loads against a host: the money comes to the card once, at any cut of card or line.

use crate::desk::{Hand, Memory, Pull, Standing, city_card, vault};
use crate::purchase::at;
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};
use ykt_base::{CardChannel, Fen, KeyIndex, Mac4, TerminalId};
use ykt_purse::Purse;
use ykt_purse::files::city_factor;
use ykt_terminal::card;
use ykt_terminal::host::engineer::EngineerHost;
use ykt_terminal::host::{
    CardOffer, Credit, HostError, LoadHost, OrderId, OrderState, PayRequest, Resumption,
};
use ykt_terminal::load::{Cut, LoadError, LoadOutcome, LoadRefusal, LoadRequest, LoadTerminal, Payment};
use ykt_vault::{KeyKind, KeyRef, SoftVault};

const AMOUNT: Fen = Fen::new(5_000);

fn terminal() -> LoadTerminal {
    LoadTerminal {
        terminal: TerminalId([0x21, 0x44, 0, 0, 0x0A, 1]),
        key_index: KeyIndex(1),
        purse: Purse::Ep,
    }
}

fn engineer(vault: &SoftVault) -> EngineerHost<'_, Standing> {
    let tac = KeyRef::new(KeyKind::Tac, 1, 1);
    EngineerHost::new(vault, Standing(at("070000")), city_factor([0x21, 0x44]), KeyIndex(1), tac)
}

fn order() -> OrderId {
    "L-1".parse().unwrap()
}

fn load(card: &mut Hand, host: &mut impl LoadHost, amount: Fen) -> Result<LoadOutcome, LoadError> {
    let order = order();
    let request = LoadRequest { order: &order, amount, channel: "CASH" };
    terminal().load(card, host, &request, at("070000"))
}

fn resume(card: &mut Hand, host: &mut impl LoadHost) -> Result<LoadOutcome, LoadError> {
    terminal().resume(card, host, &order(), AMOUNT)
}

/// Card `number` with this balance, made once.
pub fn loaded(number: usize, balance: Fen) -> Memory {
    static MADE: OnceLock<Mutex<BTreeMap<(usize, Fen), Memory>>> = OnceLock::new();
    let mut made = MADE.get_or_init(Mutex::default).lock().unwrap();
    let make = || {
        let vault = vault();
        let mut card = Hand::new(city_card(number));
        let outcome = load(&mut card, &mut engineer(&vault), balance).unwrap();
        assert_eq!(outcome, LoadOutcome::Loaded { balance });
        card.memory().clone()
    };
    made.entry((number, balance)).or_insert_with(make).clone()
}

fn balance(card: &mut Hand) -> Fen {
    card::select(card).unwrap();
    card::balance(card).unwrap()
}

#[test]
fn a_load_brings_the_money_once() {
    let vault = vault();
    let (mut card, mut host) = (Hand::new(city_card(1)), engineer(&vault));
    let loaded = LoadOutcome::Loaded { balance: AMOUNT };
    assert_eq!(load(&mut card, &mut host, AMOUNT).unwrap(), loaded);
    assert_eq!(load(&mut card, &mut host, AMOUNT).unwrap(), loaded, "the same order again");
    assert_eq!(resume(&mut card, &mut host).unwrap(), loaded);
    assert_eq!(balance(&mut card), AMOUNT);
    let log = card::log(&mut card).unwrap();
    assert_eq!((log.len(), log[0].terminal), (1, terminal().terminal));
    let other = load(&mut card, &mut host, Fen::new(1)).unwrap();
    let LoadOutcome::NotLoaded { reason: LoadRefusal::Host(HostError::Refused { code, .. }), payment } =
        other
    else {
        panic!("{other:?}")
    };
    assert_eq!((code.as_str(), payment), ("other-content", Payment::NotTaken));
}

#[test]
fn pulled_at_every_command_the_load_comes_once() {
    let vault = vault();
    let mut card = Hand::new(city_card(1));
    load(&mut card, &mut engineer(&vault), AMOUNT).unwrap();
    for pull in (0..card.commands).flat_map(|number| [Pull::Before(number), Pull::After(number)]) {
        let (mut card, mut host) = (Hand::new(city_card(1)), engineer(&vault));
        card.pull = Some(pull);
        let outcome = load(&mut card, &mut host, AMOUNT).unwrap();
        assert!(matches!(outcome, LoadOutcome::Cut { at: Cut::Card(_) }), "{pull:?}: {outcome:?}");
        let mut card = card.put_back();
        // A cut before the order was opened is a load from the start; any later one is gone on with.
        let again = load(&mut card, &mut host, AMOUNT).unwrap();
        assert_eq!(again, LoadOutcome::Loaded { balance: AMOUNT }, "{pull:?}");
        assert_eq!(balance(&mut card), AMOUNT, "{pull:?}");
        assert_eq!(host.pay(&paid()).unwrap(), OrderState::Done, "{pull:?}");
    }
}

fn paid() -> PayRequest {
    let card = "2144000000000001".parse().unwrap();
    PayRequest { order: order(), card, amount: AMOUNT, channel: "CASH".into() }
}

#[test]
fn cut_at_every_memory_write_the_load_comes_once() {
    let vault = vault();
    let mut card = Hand::new(city_card(1));
    let before = card.memory().writes();
    load(&mut card, &mut engineer(&vault), AMOUNT).unwrap();
    let writes = card.memory().writes() - before;
    let (mut proved, mut credited_again) = (0, 0);
    for (write, torn_len) in (0..writes).flat_map(|write| [(write, 0), (write, 1), (write, 7), (write, 300)])
    {
        let what = format!("write {write}, {torn_len} bytes of it");
        let (mut card, mut host) = (Hand::new(city_card(1)), engineer(&vault));
        card.memory().cut_power_after(write, torn_len);
        let outcome = load(&mut card, &mut host, AMOUNT).unwrap();
        assert!(matches!(outcome, LoadOutcome::Cut { at: Cut::Card(_) }), "{what}: {outcome:?}");
        let mut card = card.put_back();
        match balance(&mut card) {
            Fen::ZERO => credited_again += 1,
            _ => proved += 1,
        }
        let outcome = resume(&mut card, &mut host).unwrap();
        assert_eq!(outcome, LoadOutcome::Loaded { balance: AMOUNT }, "{what}");
        assert_eq!(balance(&mut card.put_back()), AMOUNT, "{what}");
    }
    println!("{writes} writes: {proved} cuts proved by the card, {credited_again} credited at the return");
    assert!(proved > 0 && credited_again > 0);
}

/// A line to the host that is cut before or after the request of a number.
struct Line<H> {
    host: H,
    requests: usize,
    cut: Option<Pull>,
}

impl<H: LoadHost> Line<H> {
    fn ask<T>(
        &mut self,
        order: &OrderId,
        request: impl FnOnce(&mut H) -> Result<T, HostError>,
    ) -> Result<T, HostError> {
        let number = self.requests;
        self.requests += 1;
        let (host, why) = ("test".to_owned(), "line cut".to_owned());
        let cut = HostError::NoAnswer { host, order: order.clone(), why };
        if self.cut == Some(Pull::Before(number)) {
            return Err(cut);
        }
        let answer = request(&mut self.host);
        if self.cut == Some(Pull::After(number)) { Err(cut) } else { answer }
    }
}

impl<H: LoadHost> LoadHost for Line<H> {
    fn pay(&mut self, request: &PayRequest) -> Result<OrderState, HostError> {
        self.ask(&request.order, |host| host.pay(request))
    }
    fn initialize(&mut self, order: &OrderId, offer: &CardOffer) -> Result<Credit, HostError> {
        self.ask(order, |host| host.initialize(order, offer))
    }
    fn confirm(&mut self, order: &OrderId, tac: Mac4) -> Result<OrderState, HostError> {
        self.ask(order, |host| host.confirm(order, tac))
    }
    fn resume(&mut self, order: &OrderId, offer: &CardOffer) -> Result<Resumption, HostError> {
        self.ask(order, |host| host.resume(order, offer))
    }
    fn give_back(&mut self, order: &OrderId) -> Result<OrderState, HostError> {
        self.ask(order, |host| host.give_back(order))
    }
}

#[test]
fn a_line_cut_at_every_request_brings_the_load_once() {
    let vault = vault();
    for cut in (0..3).flat_map(|number| [Pull::Before(number), Pull::After(number)]) {
        let mut card = Hand::new(city_card(1));
        let mut line = Line { host: engineer(&vault), requests: 0, cut: Some(cut) };
        match load(&mut card, &mut line, AMOUNT) {
            Ok(LoadOutcome::Cut { at: Cut::Host(_) }) => {}
            other => panic!("{cut:?}: {other:?}"),
        }
        line.cut = None;
        card.reset().unwrap();
        let again = load(&mut card, &mut line, AMOUNT).unwrap();
        assert_eq!(again, LoadOutcome::Loaded { balance: AMOUNT }, "{cut:?}");
        assert_eq!(balance(&mut card), AMOUNT, "{cut:?}");
    }
}

/// A purse that is full refuses; its order is given back, unless it is full because of this very order.
#[test]
fn a_full_purse() {
    let vault = vault();
    let (mut card, mut host) = (Hand::new(city_card(1)), engineer(&vault));
    let most = Fen::PURSE_MAX;
    card.pull = None;
    assert_eq!(load(&mut card, &mut host, most).unwrap(), LoadOutcome::Loaded { balance: most });
    let mut other = engineer(&vault);
    let outcome = load(&mut card, &mut other, AMOUNT).unwrap();
    let LoadOutcome::NotLoaded { payment, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(payment, Payment::GivenBack);

    let (mut card, mut host) = (Hand::new(city_card(1)), engineer(&vault));
    card.pull = Some(Pull::After(3));
    let cut = load(&mut card, &mut host, most).unwrap();
    assert!(matches!(cut, LoadOutcome::Cut { .. }), "{cut:?}");
    let mut card = card.put_back();
    assert_eq!(balance(&mut card), most, "the answer to CREDIT was lost");
    let outcome = terminal().resume(&mut card, &mut host, &order(), most).unwrap();
    assert_eq!(outcome, LoadOutcome::Loaded { balance: most });
}

/// Another card at the resumed order: its MAC1 is not the order's, and nothing is given away.
#[test]
fn another_card_is_not_loaded_from_this_order() {
    let vault = vault();
    let (mut card, mut host) = (Hand::new(city_card(1)), engineer(&vault));
    card.pull = Some(Pull::After(3));
    load(&mut card, &mut host, AMOUNT).unwrap();
    let mut stranger = Hand::new(city_card(2));
    let outcome = resume(&mut stranger, &mut host).unwrap();
    let LoadOutcome::NotLoaded { payment: Payment::Held { .. }, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(balance(&mut stranger), Fen::ZERO);
    let outcome = resume(&mut card.put_back(), &mut host).unwrap();
    assert_eq!(outcome, LoadOutcome::Loaded { balance: AMOUNT });
}
