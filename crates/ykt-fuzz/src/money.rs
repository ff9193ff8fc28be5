//! Cards, a terminal with its PSAM, and the host of loads with its books, while cards leave at any write, lines are
//! asked twice, and strangers send commands between. At the end every card is shown once more; then what the
//! cards hold is what the books owe their holders, less what the terminal has on record.
//!
//! One kind of order may stay open: a card keeps one proof, and a purchase between a lost CREDIT FOR LOAD and the
//! resumption takes its place. The host knows from the counter that the card has the money, wants the TAC, and
//! holds the amount with the order; so it counts as owed. For the same reason a debit may end grey, taken or not:
//! clearing finds out which from the counters, here some choice of them must explain the difference to the fen.

use crate::chip::{Chip, first_day, personalised, vault};
use crate::choices::Choices;
use std::collections::BTreeSet;
use ykt_base::{CardChannel, DateTime, Fen, KeyIndex, KeyVersion, Time};
use ykt_card::Card;
use ykt_city::company;
use ykt_city::hand::{Cut, HeldCard};
use ykt_city::proof::read_card;
use ykt_city::rng::SeededRng;
use ykt_files::Industry;
use ykt_ledger::{chart, subject_balance, trial_balance};
use ykt_office::{Act, cards};
use ykt_pay::{LoadHost, OrderState, Policy, TerminalDoor};
use ykt_purse::Purse;
use ykt_store::Store;
use ykt_terminal::host::OrderId;
use ykt_terminal::load::{LoadOutcome, LoadRequest, LoadTerminal};
use ykt_terminal::pos::{Outcome, Pos, PosConfig};
use ykt_terminal::record::Ending;
use ykt_terminal::store::MemoryStore;

const CARDS: u8 = 2;
/// Instructions at which a card may leave.
const INSTRUCTIONS: [u8; 6] = [0xA4, 0xB0, 0x50, 0x52, 0x54, 0x5A];
/// Showings until a card that is not pulled any more has settled what was open.
const SHOWINGS_MAX: usize = 4;

/// A clock the sequence moves.
#[derive(Clone, Copy)]
struct At(DateTime);

impl ykt_base::Clock for At {
    fn now(&self) -> DateTime {
        self.0
    }
}

/// An order; its card is the first one the host hears of.
struct Order {
    id: OrderId,
    amount: Fen,
}

struct Scene {
    store: Store,
    host: LoadHost,
    cards: Vec<HeldCard>,
    pos: Pos<HeldCard, MemoryStore>,
    orders: Vec<Order>,
    now: DateTime,
}

/// Runs a sequence of purchases, loads and faults, and compares cards, records and books.
pub fn money(input: &[u8]) {
    let mut choices = Choices(input);
    let mut scene = Scene::new();
    while scene.step(&mut choices).is_some() {}
    scene.settle();
    scene.compare();
}

impl Scene {
    fn new() -> Scene {
        let now = DateTime { date: first_day(), time: Time::new(8, 0, 0).expect("a time") };
        let modules = [ykt_office::MODULE, ykt_ledger::MODULE, ykt_pay::MODULE];
        let store = Store::in_memory(&modules).expect("a store");
        let new = |index| company::new_card(index, first_day(), KeyVersion(1)).expect("a card's entry");
        let rows: Vec<_> = (0..usize::from(CARDS)).map(new).collect();
        let numbers: Vec<_> = rows.iter().map(|row| row.asn).collect();
        let act = Act::of_system("fuzz", now);
        let issued = store.write(|tx| {
            cards::register(tx, &rows, &act)?;
            cards::issue(tx, &numbers, &act)
        });
        issued.expect("cards in the register");
        let held = |chip: &Chip, label| {
            let card = Card::power_on(chip.clone()).expect("a card starts");
            HeldCard::new(card, SeededRng::stream(4, label))
        };
        let [first, second, psam] = personalised();
        let cards = vec![held(first, "first"), held(second, "second")];
        let mut psam = held(psam, "psam");
        psam.present(None).expect("a PSAM in its slot");
        let (merchant, pos) = (company::merchant_code(0), company::pos_number(0));
        let config = PosConfig::new(merchant.expect("a code"), pos.expect("a number"), Industry::BUS);
        let pos = Pos::open(config, psam, MemoryStore::default()).expect("a terminal");
        let host = LoadHost::new(store.clone(), vault(), Policy::default());
        Scene { store, host, cards, pos, orders: Vec::new(), now }
    }

    fn step(&mut self, choices: &mut Choices<'_>) -> Option<()> {
        let what = choices.below(8)?;
        let card = usize::from(choices.below(CARDS)?);
        let cut = cut(choices)?;
        self.now = self.now.plus_seconds(i64::from(choices.byte()?))?;
        match what {
            0..=2 => {
                self.purchase(card, Fen::new(i64::from(choices.word()?)), cut);
            }
            3 | 4 => {
                let id = format!("order-{}", self.orders.len()).parse().expect("an order id");
                let amount = Fen::new(i64::from(choices.word()?));
                self.orders.push(Order { id, amount });
                self.load(self.orders.len().checked_sub(1)?, card, cut);
            }
            5 => {
                let order = usize::from(choices.byte()?).checked_rem(self.orders.len()).unwrap_or(0);
                self.load(order, card, cut);
            }
            6 => {
                let order = usize::from(choices.byte()?).checked_rem(self.orders.len()).unwrap_or(0);
                if let Some(order) = self.orders.get(order) {
                    // A refusal is an answer.
                    let _ = self.host.give_back(&order.id, self.now);
                }
            }
            _ => {
                let held = self.cards.get_mut(card)?;
                held.present(cut).expect("a card starts");
                while let Some(len @ 1..=60) = choices.byte() {
                    // Noise is answered by a status word or not at all.
                    let _ = held.transmit(choices.bytes(len.into()));
                }
                held.remove();
            }
        }
        Some(())
    }

    fn purchase(&mut self, card: usize, amount: Fen, cut: Option<Cut>) -> Option<Outcome> {
        let held = self.cards.get_mut(card)?;
        held.present(cut).expect("a card starts");
        let outcome = self.pos.purchase(held, amount, self.now);
        held.remove();
        outcome.ok()
    }

    /// Loads by an order with this card, which may be another than the order is of.
    fn load(&mut self, order: usize, card: usize, cut: Option<Cut>) -> Option<LoadOutcome> {
        let (order, held) = (self.orders.get(order)?, self.cards.get_mut(card)?);
        let terminal =
            LoadTerminal { terminal: company::load_terminal_id(), key_index: KeyIndex(1), purse: Purse::Ep };
        let request = LoadRequest { order: &order.id, amount: order.amount, channel: company::CHANNEL };
        let mut door = TerminalDoor::new(self.host.clone(), At(self.now));
        held.present(cut).expect("a card starts");
        let outcome = terminal.load(held, &mut door, &request, self.now);
        held.remove();
        outcome.ok()
    }

    /// Shows every card until nothing is open.
    fn settle(&mut self) {
        for card in 0..self.cards.len() {
            for _ in 0..SHOWINGS_MAX {
                self.purchase(card, Fen::new(1), None);
            }
        }
        for order in 0..self.orders.len() {
            for card in 0..self.cards.len() {
                let showings = (0..SHOWINGS_MAX).map(|_| self.load(order, card, None));
                let last = showings.last().flatten();
                assert!(!matches!(last, Some(LoadOutcome::Cut { .. })), "an order never ends: {last:?}");
            }
        }
    }

    fn compare(&mut self) {
        assert_eq!(self.pos.book().pending().count(), 0, "every card was shown again");
        let records = self.pos.book().open_records();
        let spent = sum(records
            .iter()
            .filter(|record| matches!(record.ending, Ending::Paid { .. }))
            .map(|record| record.debit.amount));
        let grey = records.iter().filter(|record| matches!(record.ending, Ending::Grey { .. }));
        let taken = sums(grey.map(|record| record.debit.amount));
        let held = sum(self.cards.iter_mut().map(|card| read_card(card).expect("a card").balance));
        let books = self.store.read(|tx| {
            let lines = trial_balance(tx, None)?;
            Ok::<_, ykt_store::StoreError>((subject_balance(tx, &chart::PURSE_FLOAT, None)?, lines))
        });
        let (owed, lines) = books.expect("the books");
        let unproved =
            sum(self.orders.iter().filter(|order| self.is_unproved(order)).map(|order| order.amount));
        let total = sum(lines.iter().map(|line| line.balance));
        assert_eq!(total, Fen::ZERO, "the books do not balance");
        let found = sum([held, spent, owed]);
        assert!(
            taken.iter().any(|taken| found.checked_add(*taken) == Some(unproved)),
            "cards hold {held}, {spent} spent, {owed} in the books, {unproved} unproved; grey: {taken:?}"
        );
    }

    /// Whether the host waits for the TAC of a load it knows the card has.
    fn is_unproved(&self, order: &Order) -> bool {
        let view = self.store.read(|tx| ykt_pay::order(tx, &order.id)).expect("an order");
        view.is_some_and(|view| view.order.state == OrderState::ProofWanted)
    }
}

/// What any choice of these amounts can add up to.
fn sums(amounts: impl Iterator<Item = Fen>) -> BTreeSet<Fen> {
    amounts.fold(BTreeSet::from([Fen::ZERO]), |sums, amount| {
        let with = sums.iter().map(|known| sum([*known, amount]));
        with.chain(sums.iter().copied()).collect()
    })
}

/// When the card leaves: seldom at all.
fn cut(choices: &mut Choices<'_>) -> Option<Option<Cut>> {
    let ins = choices.pick(&INSTRUCTIONS)?;
    Some(match choices.byte()? {
        0..=39 => Some(Cut::Before { ins }),
        40..=99 => {
            let (writes, torn_len) = (choices.below(8)?, choices.below(40)?);
            Some(Cut::Within { ins, writes: writes.into(), torn_len: torn_len.into() })
        }
        100..=139 => Some(Cut::After { ins }),
        _ => None,
    })
}

fn sum(amounts: impl IntoIterator<Item = Fen>) -> Fen {
    let add = |sum: Fen, amount| sum.checked_add(amount).expect("a sum");
    amounts.into_iter().fold(Fen::ZERO, add)
}
