//! Tickets under random treatment, against a model: whatever is sent, cut or spoiled, a ticket is redeemed at most as
//! often as it was issued for, none is lost, none comes from nowhere, and the last proof of each is at hand. Then
//! the ends of the counters.

use crate::bench::{Bench, Chip, Dialogue, Dice, unhex};
use proptest::prelude::*;
use std::collections::BTreeMap;
use ykt_base::{DateTime, KeyIndex, Mac4, TerminalId, TerminalSeq, TicketId};
use ykt_card::{Card, Memory};
use ykt_crypto::{CardKey, Key16};
use ykt_purse::ticket::{
    self, Action, Order, Proof, ReadEnd, ReadInfo, ReadInit, RedeemAnswer, Room, TERMS_LEN, Terms,
    TicketKind, View, WriteAnswer, WriteEnd, WriteInfo, WriteInit,
};

const PLACES: usize = 3;
const KIOSK: TerminalId = TerminalId([0x21, 0x44, 0, 0, 0x0A, 1]);
const GATE: TerminalId = TerminalId([0x21, 0x44, 0, 0, 0x0B, 7]);
const NO_MAC: Mac4 = Mac4([0; 4]);

fn at() -> DateTime {
    DateTime::from_number(20_240_131_123_456).unwrap()
}

fn key(left: u8, right: u8) -> CardKey {
    CardKey::Tdes(Key16::from_bytes(std::array::from_fn(|at| if at < 8 { left } else { right })))
}

/// Keys of `ticket-card.apdu`: issue, redemption, TAC. Issuer 2 uses the common TAC key.
fn keys_of(issuer: u8) -> [CardKey; 3] {
    match issuer {
        1 => [key(0x11, 0xA1), key(0x21, 0xB1), key(0x31, 0xC1)],
        _ => [key(0x12, 0xA2), key(0x22, 0xB2), key(0x30, 0xC0)],
    }
}

/// The personalised card with its ticket application selected.
pub fn ticket_card() -> Bench {
    static IMAGE: std::sync::OnceLock<Chip> = std::sync::OnceLock::new();
    let image = IMAGE.get_or_init(|| Dialogue::read("ticket-card").play().card.into_memory());
    let mut bench = Bench { card: Card::power_on(image.clone()).unwrap(), dice: Dice::default() };
    select(&mut bench);
    bench
}

fn select(bench: &mut Bench) {
    bench.ok("00A4040007F0594B54455401");
}

fn id(number: u8) -> TicketId {
    TicketId([0x45, 0x54, 0, 0, 0, 0, 0, number])
}

fn new_ticket(number: u8, uses: u8) -> Vec<u8> {
    let terms = Terms {
        id: id(number),
        merchant: "M00000000000001".parse().unwrap(),
        kind: TicketKind::Coupon,
        from: "20240101".parse().unwrap(),
        until: "20241231".parse().unwrap(),
        uses,
    };
    [&terms.to_bytes()[..], &vec![number; usize::from(number) * 5]].concat()
}

/// What goes wrong on the way.
#[derive(Debug, Clone)]
enum Trouble {
    None,
    /// A bit of the MAC.
    Mac(u8),
    /// The power, at the last command.
    Cut {
        writes: usize,
        torn_len: usize,
    },
    /// A command before the last one that does not belong there.
    Between(Vec<u8>),
}

#[derive(Debug, Clone)]
enum Event {
    Store { number: u8, uses: u8, issuer: u8, block_len: usize, trouble: Trouble },
    Redeem { number: u8, trouble: Trouble },
    Delete { number: u8, trouble: Trouble },
    HolderDeletes { number: u8, with_pin: bool },
    Reset,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let between = prop::sample::select(vec![
        "8036000000",
        "8036000100",
        "80360200084554000000000001",
        "803A0000",
        "00840000",
        "803200000100",
        "00B0830000",
        "8030000000",
    ]);
    prop_oneof![
        6 => Just(Trouble::None),
        1 => (0u8..32).prop_map(Trouble::Mac),
        2 => (0usize..6, 0usize..60).prop_map(|(writes, torn_len)| Trouble::Cut { writes, torn_len }),
        1 => between.prop_map(|apdu| Trouble::Between(unhex(apdu))),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let number = || 1u8..=5;
    prop_oneof![
        4 => (number(), 1u8..=3, 1u8..=2, 1usize..70, trouble()).prop_map(
            |(number, uses, issuer, block_len, trouble)| Event::Store { number, uses, issuer, block_len, trouble }
        ),
        6 => (number(), trouble()).prop_map(|(number, trouble)| Event::Redeem { number, trouble }),
        2 => (number(), trouble()).prop_map(|(number, trouble)| Event::Delete { number, trouble }),
        1 => (number(), any::<bool>()).prop_map(|(number, with_pin)| Event::HolderDeletes { number, with_pin }),
        1 => Just(Event::Reset),
    ]
}

/// A ticket as it should be on the card.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Expected {
    issuer: u8,
    uses: u8,
    ticket: Vec<u8>,
    proof: Proof,
}

struct World {
    bench: Bench,
    tickets: BTreeMap<u8, Expected>,
    online: u16,
    offline: u16,
    /// Redemptions answered or proven, by ticket, since it was stored.
    redeemed: BTreeMap<u8, u8>,
    sequence: TerminalSeq,
}

impl World {
    fn new() -> World {
        let (tickets, redeemed) = (BTreeMap::new(), BTreeMap::new());
        World { bench: ticket_card(), tickets, online: 0, offline: 0, redeemed, sequence: TerminalSeq(1) }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Store { number, uses, issuer, block_len, trouble } => {
                self.store(*number, *uses, *issuer, *block_len, trouble);
            }
            Event::Redeem { number, trouble } => self.redeem(*number, trouble),
            Event::Delete { number, trouble } => self.delete(*number, trouble),
            Event::HolderDeletes { number, with_pin } => self.holder_deletes(*number, *with_pin),
            Event::Reset => {
                self.bench.card.reset();
                select(&mut self.bench);
            }
        }
        self.look();
    }

    fn store(&mut self, number: u8, uses: u8, issuer: u8, block_len: usize, trouble: &Trouble) {
        let ticket = new_ticket(number, uses);
        let len = u8::try_from(ticket.len()).unwrap();
        let order = Order::Store { issuer: KeyIndex(issuer), id: id(number), len };
        let answer = self.bench.send(&WriteInit { order, terminal: KIOSK }.to_apdu());
        let refusal = match self.tickets.contains_key(&number) {
            true => Some(0x6A80),
            false => (self.tickets.len() == PLACES).then_some(0x6A84),
        };
        if let Some(refusal) = refusal {
            assert_eq!(answer.sw().0, refusal);
            return;
        }
        let answer = WriteAnswer::from_bytes(answer.data()).unwrap();
        assert_eq!(usize::from(answer.left), PLACES - self.tickets.len());
        for (index, block) in ticket.chunks(block_len).enumerate() {
            let offset = u16::try_from(index * block_len).unwrap();
            assert!(self.bench.send(&WriteInfo { offset, block }.to_apdu()).sw().is_ok());
        }
        let [key, _, tac_key] = keys_of(issuer);
        let session = ticket::write_session_key(&key, answer.random, answer.counter);
        let mac2 = ticket::write_mac2(&session, &ticket, Action::Store, KIOSK, at());
        let record = self.host_record(Action::Store, &answer, uses);
        let proof = Proof { record, mac2: NO_MAC, tac: record.tac(&tac_key.tac_key(), id(number)) };
        if self.end(number, trouble, &proof, |flaw| host_end(Action::Store, mac2, flaw)) {
            self.online += 1;
            self.redeemed.insert(number, 0);
            self.tickets.insert(number, Expected { issuer, uses, ticket, proof });
        }
    }

    fn delete(&mut self, number: u8, trouble: &Trouble) {
        let order = Order::Delete { id: id(number) };
        let answer = self.bench.send(&WriteInit { order, terminal: KIOSK }.to_apdu());
        let Some(Expected { issuer, uses, .. }) = self.tickets.get(&number).cloned() else {
            assert_eq!(answer.sw().0, 0x6A83);
            return;
        };
        let answer = WriteAnswer::from_bytes(answer.data()).unwrap();
        assert_eq!(answer.left, uses);
        let [key, _, tac_key] = keys_of(issuer);
        let session = ticket::write_session_key(&key, answer.random, answer.counter);
        let mac2 = ticket::write_mac2(&session, id(number).as_bytes(), Action::Delete, KIOSK, at());
        let record = self.host_record(Action::Delete, &answer, uses);
        let proof = Proof { record, mac2: NO_MAC, tac: record.tac(&tac_key.tac_key(), id(number)) };
        if self.end(number, trouble, &proof, |flaw| host_end(Action::Delete, mac2, flaw)) {
            self.online += 1;
            self.tickets.remove(&number);
            assert_eq!(self.proof(number), Some(proof), "until another ticket takes its place");
        }
    }

    fn host_record(&self, action: Action, answer: &WriteAnswer, uses: u8) -> ticket::Record {
        assert_eq!(answer.counter.0, self.online);
        let sequence = TerminalSeq(0);
        ticket::Record { action, counter: answer.counter, uses, terminal: KIOSK, sequence, at: at() }
    }

    fn redeem(&mut self, number: u8, trouble: &Trouble) {
        let answer = self.bench.send(&ReadInit::Redeem { id: id(number), terminal: GATE }.to_apdu());
        let Some(mut expected) = self.tickets.get(&number).cloned() else {
            assert_eq!(answer.sw().0, 0x6A83);
            return;
        };
        if expected.uses == 0 {
            assert_eq!(answer.sw().0, 0x9401);
            return;
        }
        let answer = RedeemAnswer::from_bytes(answer.data()).unwrap();
        assert_eq!((answer.counter.0, answer.view.uses), (self.offline, expected.uses));
        let (sequence, id) = (self.sequence, id(number));
        self.sequence = sequence.next().unwrap();
        let [_, key, tac_key] = keys_of(expected.issuer);
        let session = ticket::redeem_session_key(&key, answer.random, answer.counter, sequence);
        let mac1 = ticket::redeem_mac1(&session, id, expected.uses, GATE, at());
        expected.uses -= 1;
        let record = ticket::Record {
            action: Action::Redeem,
            counter: answer.counter,
            uses: expected.uses,
            terminal: GATE,
            sequence,
            at: at(),
        };
        let tac = record.tac(&tac_key.tac_key(), id);
        expected.proof = Proof { record, mac2: ticket::redeem_mac2(&session, id, expected.uses), tac };
        let end = |flaw| ReadEnd::Redeem { sequence, at: at(), mac1: spoiled(mac1, flaw) }.to_apdu().to_vec();
        if self.end(number, trouble, &expected.proof, end) {
            self.offline += 1;
            *self.redeemed.get_mut(&number).unwrap() += 1;
            self.tickets.insert(number, expected);
        }
    }

    fn holder_deletes(&mut self, number: u8, with_pin: bool) {
        if with_pin {
            self.bench.ok("0020000003123456");
        } else {
            self.bench.card.reset();
            select(&mut self.bench);
        }
        let sw = self.bench.send(&WriteEnd::Holder { id: id(number) }.to_apdu()).sw().0;
        let expected = match (with_pin, self.tickets.contains_key(&number)) {
            (false, _) => 0x6982,
            (true, false) => 0x6A83,
            (true, true) => 0x9000,
        };
        assert_eq!(sw, expected);
        if expected == 0x9000 {
            self.tickets.remove(&number);
        }
    }

    /// Sends the last command of a flow with its trouble; whether the card did it, which its last proof says too.
    fn end(
        &mut self,
        number: u8,
        trouble: &Trouble,
        proof: &Proof,
        command: impl Fn(Option<u8>) -> Vec<u8>,
    ) -> bool {
        let sw = match trouble {
            Trouble::None => self.bench.send(&command(None)).sw().0,
            Trouble::Mac(bit) => self.bench.send(&command(Some(*bit))).sw().0,
            Trouble::Between(between) => {
                self.bench.send(between);
                self.bench.send(&command(None)).sw().0
            }
            Trouble::Cut { writes, torn_len } => {
                self.bench.card.memory_mut().cut_power_after(*writes, *torn_len);
                let sw = self.bench.send(&command(None)).sw().0;
                self.bench.power_cycle();
                select(&mut self.bench);
                sw
            }
        };
        let is_proven = self.proof(number) == Some(*proof);
        match trouble {
            Trouble::None => assert!(sw == 0x9000 && is_proven, "{sw:04X}"),
            Trouble::Mac(_) => assert!(sw == 0x9302 && !is_proven, "{sw:04X}"),
            Trouble::Between(_) => assert!(sw == 0x6901 && !is_proven, "{sw:04X}"),
            Trouble::Cut { .. } => assert!(sw == 0x6581 || (sw == 0x9000 && is_proven), "{sw:04X}"),
        }
        is_proven
    }

    fn proof(&mut self, number: u8) -> Option<Proof> {
        let answer = self.bench.send(&ReadInit::Proof(id(number)).to_apdu());
        assert!([0x9000, 0x9406].contains(&answer.sw().0));
        Proof::from_bytes(answer.data())
    }

    /// The card holds what it should, in all its ways of showing it.
    fn look(&mut self) {
        let room = Room::from_bytes(self.bench.send(&ReadInit::Room.to_apdu()).data()).unwrap();
        assert_eq!((usize::from(room.free), room.len), (PLACES - self.tickets.len(), 160));
        assert_eq!((room.online.0, room.offline.0), (self.online, self.offline));
        let mut seen = BTreeMap::new();
        for number in 1..=u8::try_from(self.tickets.len()).unwrap() {
            let view = View::from_bytes(self.bench.send(&ReadInit::Nth(number).to_apdu()).data()).unwrap();
            let ticket = self.bench.send(&ReadInfo { offset: 0 }.to_apdu()).data().to_vec();
            assert_eq!(view.terms.to_bytes(), ticket[..TERMS_LEN]);
            let number = view.terms.id.0[7];
            let proof = self.proof(number).unwrap();
            seen.insert(number, Expected { issuer: view.issuer.0, uses: view.uses, ticket, proof });
        }
        assert_eq!(seen, self.tickets);
        let beyond = u8::try_from(self.tickets.len() + 1).unwrap();
        assert_eq!(self.bench.send(&ReadInit::Nth(beyond).to_apdu()).sw().0, 0x6A83);
        for (number, expected) in &self.tickets {
            let issued = Terms::of_ticket(&expected.ticket).unwrap().uses;
            assert_eq!(self.redeemed[number] + expected.uses, issued, "ticket {number}");
        }
    }
}

fn host_end(action: Action, mac2: Mac4, flaw: Option<u8>) -> Vec<u8> {
    WriteEnd::Host { action, at: at(), mac2: spoiled(mac2, flaw) }.to_apdu().to_vec()
}

/// Turns one of the 32 bits.
fn spoiled(mut mac: Mac4, flaw: Option<u8>) -> Mac4 {
    if let Some(bit) = flaw {
        mac.0[usize::from(bit / 8)] ^= 1 << (bit % 8);
    }
    mac
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_ticket_is_used_as_often_as_issued_whatever_happens(events in prop::collection::vec(event(), 1..80)) {
        let mut world = World::new();
        for event in &events {
            world.happen(event);
        }
    }
}

/// At FFFF neither counter is ever used.
#[test]
fn counters_end() {
    let mut world = World::new();
    // The body of EF 0003 follows its header, which begins with what CREATE FILE said.
    let header = unhex("0700033003A0F0F0FFFF");
    let image = world.bench.card.memory().image();
    let body = image.windows(header.len()).position(|bytes| bytes == header).unwrap() + 16;
    world.bench.card.memory_mut().write(body, &[0xFF, 0xFD, 0xFF, 0xFE]).unwrap();
    (world.online, world.offline) = (0xFFFD, 0xFFFE);
    for number in 1..=2 {
        world.happen(&Event::Store { number, uses: 3, issuer: 1, block_len: 64, trouble: Trouble::None });
    }
    world.happen(&Event::Redeem { number: 1, trouble: Trouble::None });
    assert_eq!((world.online, world.offline), (0xFFFF, 0xFFFF));
    let before = world.bench.remembered();
    let order = Order::Store { issuer: KeyIndex(1), id: id(3), len: 64 };
    for order in [order, Order::Delete { id: id(1) }] {
        let sw = world.bench.send(&WriteInit { order, terminal: KIOSK }.to_apdu()).sw().0;
        assert_eq!(sw, 0x9402);
    }
    let redeem = ReadInit::Redeem { id: id(1), terminal: GATE };
    assert_eq!(world.bench.send(&redeem.to_apdu()).sw().0, 0x9402);
    assert_eq!(world.bench.remembered(), before);
    world.look();
    world.happen(&Event::HolderDeletes { number: 1, with_pin: true });
}
