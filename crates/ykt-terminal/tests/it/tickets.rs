//! Tickets between an issuer, a kiosk and a gate: stored once, redeemed as often as issued, wherever the card is
//! pulled, the power is cut or the line is dead.

use crate::desk::{Hand, Memory, Pull, citizen_card};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use ykt_base::{
    CardCounter, DateTime, KeyIndex, Mac4, Response, StatusWord, TerminalId, TerminalSeq, TicketId,
};
use ykt_crypto::{CardKey, Key16};
use ykt_purse::files::{PublicData, PublicDataLayout};
use ykt_purse::ticket::{self, Action, Order, Proof, Terms, TicketKind};
use ykt_terminal::card::{CardError, Step};
use ykt_terminal::flow::{CutAt, Ended, KeyHolderError, Refusal};
use ykt_terminal::tickets::{
    Attempt, Settled, TicketGate, TicketIssuer, TicketTerminal, WriteOffer, WriteSignature, room, tickets,
};

const KIOSK: TicketTerminal = TicketTerminal { terminal: TerminalId([0x21, 0x44, 0, 0, 0x0A, 1]) };
const GATE: TicketTerminal = TicketTerminal { terminal: TerminalId([0x21, 0x44, 0, 0, 0x0B, 7]) };
const ID: TicketId = TicketId([0x45, 0x54, 0, 0, 0, 0, 0, 1]);
const FACE: [u8; 120] = [b'*'; 120];
const ISSUER: KeyIndex = KeyIndex(1);

fn at(day: u64) -> DateTime {
    DateTime::from_number(day * 1_000_000 + 91_500).unwrap()
}

fn key(left: u8, right: u8) -> CardKey {
    CardKey::Tdes(Key16::from_bytes(std::array::from_fn(|at| if at < 8 { left } else { right })))
}

fn terms() -> Terms {
    Terms {
        id: ID,
        merchant: "M00000000000001".parse().unwrap(),
        kind: TicketKind::Admission,
        from: "20240101".parse().unwrap(),
        until: "20241231".parse().unwrap(),
        uses: 2,
    }
}

/// Longer than one block of Write_ET_Info.
fn new_ticket() -> Vec<u8> {
    [&terms().to_bytes()[..], &FACE].concat()
}

fn card() -> Hand {
    static MADE: OnceLock<Memory> = OnceLock::new();
    let dialogue = include_str!("../../../ykt-card/tests/dialogues/ticket-card.apdu");
    Hand::new(MADE.get_or_init(|| citizen_card(dialogue)).clone())
}

/// A card that holds the ticket, and its issuer.
fn card_with_ticket() -> (Hand, Issuer) {
    let (mut card, mut issuer) = (card(), Issuer::default());
    done(KIOSK.store(&mut card, &mut issuer, ISSUER, &new_ticket()).unwrap());
    card.commands = 0;
    (card, issuer)
}

fn done<T: std::fmt::Debug>(ended: Ended<T>) -> T {
    match ended {
        Ended::Done(value) => value,
        other => panic!("{other:?}"),
    }
}

/// The issuer's host with the keys of the dialogue; also the module in the gate.
#[derive(Default)]
struct Issuer {
    /// Receipts by action and counter.
    receipts: BTreeMap<(Action, CardCounter), Proof>,
    asked: usize,
    /// The request, from 0, that gets no answer.
    dead_at: Option<usize>,
}

impl Issuer {
    fn ask(&mut self) -> Result<(), KeyHolderError> {
        let number = self.asked;
        self.asked += 1;
        match self.dead_at == Some(number) {
            true => Err(KeyHolderError::NoAnswer("the line is dead".into())),
            false => Ok(()),
        }
    }

    fn session(attempt: &Attempt) -> ykt_crypto::SessionKey {
        let Attempt { random, counter, sequence, .. } = *attempt;
        ticket::redeem_session_key(&key(0x21, 0xB1), random, counter, sequence)
    }

    /// Redemptions paid for.
    fn redeemed(&self) -> usize {
        self.receipts.keys().filter(|(action, _)| *action == Action::Redeem).count()
    }
}

impl TicketIssuer for Issuer {
    fn sign(&mut self, offer: &WriteOffer<'_>) -> Result<WriteSignature, KeyHolderError> {
        self.ask()?;
        let WriteOffer { order, ticket, terminal, answer, .. } = offer;
        let session = ticket::write_session_key(&key(0x11, 0xA1), answer.random, answer.counter);
        let len = match order {
            Order::Store { len, .. } => *len,
            Order::Delete { .. } => u8::try_from(new_ticket().len()).unwrap(),
        };
        if ticket::write_mac1(&session, answer.left, order, len, *terminal) != answer.mac1 {
            return Err(KeyHolderError::Refused("MAC1 is wrong".into()));
        }
        let id = order.id();
        let signed = if ticket.is_empty() { &id.as_bytes()[..] } else { ticket };
        let at = at(20_240_131);
        Ok(WriteSignature { at, mac2: ticket::write_mac2(&session, signed, order.action(), *terminal, at) })
    }

    fn confirm(&mut self, card: &PublicData, id: TicketId, proof: &Proof) -> Result<(), KeyHolderError> {
        self.ask()?;
        assert_eq!(card.asn, "1700010170907984".parse().unwrap());
        if proof.record.tac(&key(0x31, 0xC1).tac_key(), id) != proof.tac {
            return Err(KeyHolderError::Refused("the TAC is wrong".into()));
        }
        let kept = self.receipts.insert((proof.record.action, proof.record.counter), *proof);
        assert!(kept.is_none_or(|kept| kept == *proof), "one receipt for one event");
        Ok(())
    }
}

impl TicketGate for Issuer {
    fn sign(&mut self, attempt: &Attempt) -> Result<Mac4, KeyHolderError> {
        self.ask()?;
        let Attempt { id, uses, terminal, at, .. } = *attempt;
        Ok(ticket::redeem_mac1(&Issuer::session(attempt), id, uses, terminal, at))
    }

    fn check(&mut self, attempt: &Attempt, mac2: Mac4) -> Result<bool, KeyHolderError> {
        Ok(ticket::redeem_mac2(&Issuer::session(attempt), attempt.id, attempt.uses - 1) == mac2)
    }
}

/// One entry; what was kept before the card was asked comes too.
fn enter(card: &mut Hand, gate: &mut Issuer, sequence: u32) -> (Ended<Proof>, Option<Attempt>) {
    let mut kept = None;
    let what = (ID, TerminalSeq(sequence), at(20_240_501));
    let ended = GATE.redeem(card, gate, terms().merchant, what, |attempt| kept = Some(*attempt)).unwrap();
    if let Ended::Done(proof) = &ended {
        hand_in(gate, proof);
    }
    (ended, kept)
}

fn hand_in(issuer: &mut Issuer, proof: &Proof) {
    issuer.dead_at = None;
    let public = ykt_base::hex::decode::<30>("01011000FFFFFFFF03013105170001017090798420190806204012310000");
    let public = PublicData::from_bytes(PublicDataLayout::City, &public.unwrap()).unwrap();
    issuer.confirm(&public, ID, proof).unwrap();
}

fn uses_left(card: &mut Hand) -> Vec<u8> {
    tickets(card).unwrap().iter().map(|held| held.view.uses).collect()
}

#[test]
fn stored_looked_at_used_up_and_deleted() {
    let (mut card, mut issuer) = card_with_ticket();
    let held = tickets(&mut card).unwrap();
    assert_eq!((held.len(), held[0].view.terms, &held[0].face[..]), (1, terms(), &FACE[..]));
    assert_eq!(room(&mut card).unwrap().free, 2);
    for (sequence, left) in [(1, 1), (2, 0)] {
        let proof = done(enter(&mut card, &mut issuer, sequence).0);
        assert_eq!(proof.record.uses, left);
    }
    let (third, kept) = enter(&mut card, &mut issuer, 3);
    let refused = CardError::Refused { step: Step::ReadTicketInit, sw: StatusWord::INSUFFICIENT_FUNDS };
    assert_eq!((third, kept), (Ended::Refused(Refusal::Card(refused)), None));
    assert_eq!(issuer.redeemed(), 2);
    // The order to store it, given again, finds that it was here.
    let again = done(KIOSK.store(&mut card, &mut issuer, ISSUER, &new_ticket()).unwrap());
    assert_eq!(again.record.action, Action::Redeem);
    let proof = done(KIOSK.delete(&mut card, &mut issuer, ID).unwrap());
    assert_eq!((proof.record.action, proof.record.uses), (Action::Delete, 0));
    assert_eq!(done(KIOSK.delete(&mut card, &mut issuer, ID).unwrap()), proof, "the order given again");
    assert!(tickets(&mut card).unwrap().is_empty());
}

#[test]
fn what_a_gate_refuses_costs_no_use() {
    let (mut card, mut issuer) = card_with_ticket();
    let mut redeem = |card: &mut Hand, merchant: &str, day| {
        let what = (ID, TerminalSeq(1), at(day));
        GATE.redeem(card, &mut issuer, merchant.parse().unwrap(), what, |_| {}).unwrap()
    };
    let Terms { merchant, from, until, .. } = terms();
    let other = redeem(&mut card, "M00000000000002", 20_240_501);
    assert_eq!(other, Ended::Refused(Refusal::OtherMerchant { found: merchant }));
    let late = redeem(&mut card, "M00000000000001", 20_250_101);
    assert_eq!(late, Ended::Refused(Refusal::NotValid { from, until }));
    assert_eq!(uses_left(&mut card), [2]);
    let no_ticket = KIOSK.store(&mut card, &mut issuer, ISSUER, &[0; 40]).unwrap();
    assert_eq!(no_ticket, Ended::Refused(Refusal::NoTicket));
}

/// A card that says yes without the key.
#[test]
fn a_forged_yes_opens_no_gate() {
    let (mut card, mut issuer) = card_with_ticket();
    card.forge = Some(|command, answer| match command {
        [0x80, 0x3A, 0x01, ..] => Response::new(&[7; 8], StatusWord::OK).unwrap(),
        _ => answer,
    });
    assert_eq!(enter(&mut card, &mut issuer, 1).0, Ended::Refused(Refusal::NotGenuine));
    card.forge = Some(|command, answer| match command {
        [0x80, 0x30, ..] => {
            Response::new(&[&[1; 4], answer.data().get(4..).unwrap_or_default()].concat(), StatusWord::OK)
                .unwrap()
        }
        _ => answer,
    });
    let ended = KIOSK.delete(&mut card, &mut issuer, ID).unwrap();
    assert_eq!(ended, Ended::Refused(Refusal::KeyHolder { reason: "MAC1 is wrong".into() }));
}

#[test]
fn pulled_at_every_command_the_ticket_is_stored_once() {
    let mut whole = card();
    done(KIOSK.store(&mut whole, &mut Issuer::default(), ISSUER, &new_ticket()).unwrap());
    for pull in (0..whole.commands).flat_map(|number| [Pull::Before(number), Pull::After(number)]) {
        let (mut card, mut issuer) = (card(), Issuer::default());
        card.pull = Some(pull);
        let ended = KIOSK.store(&mut card, &mut issuer, ISSUER, &new_ticket()).unwrap();
        assert!(matches!(ended, Ended::Cut(CutAt::Card(_))), "{pull:?}: {ended:?}");
        let mut card = card.put_back();
        done(KIOSK.store(&mut card, &mut issuer, ISSUER, &new_ticket()).unwrap());
        assert_eq!((uses_left(&mut card), issuer.receipts.len()), (vec![2], 1), "{pull:?}");
        assert_eq!(room(&mut card).unwrap().online, CardCounter(1), "{pull:?}");
    }
}

#[test]
fn with_a_dead_line_at_every_request_the_ticket_is_stored_once() {
    for dead_at in 0..2 {
        let (mut card, mut issuer) = (card(), Issuer { dead_at: Some(dead_at), ..Issuer::default() });
        let ended = KIOSK.store(&mut card, &mut issuer, ISSUER, &new_ticket()).unwrap();
        assert!(matches!(ended, Ended::Cut(CutAt::KeyHolder { .. })), "{dead_at}: {ended:?}");
        done(KIOSK.store(&mut card, &mut issuer, ISSUER, &new_ticket()).unwrap());
        assert_eq!((uses_left(&mut card), issuer.receipts.len()), (vec![2], 1));
    }
}

/// What became of an entry that was cut, asked until the card tells; uses gone and uses paid for agree.
fn after_a_cut(card: Hand, issuer: &mut Issuer, kept: Option<Attempt>, what: &str) -> bool {
    let mut card = card.put_back();
    let settled = kept.map(|attempt| done(GATE.settle(&mut card, issuer, &attempt).unwrap()));
    if let Some(Settled::Redeemed(proof)) = settled {
        hand_in(issuer, &proof);
    }
    assert_ne!(settled, Some(Settled::Unknown), "{what}");
    assert_eq!(usize::from(uses_left(&mut card)[0]) + issuer.redeemed(), 2, "{what}");
    for sequence in 2..5 {
        enter(&mut card, issuer, sequence);
    }
    assert_eq!((uses_left(&mut card), issuer.redeemed()), (vec![0], 2), "{what}");
    matches!(settled, Some(Settled::Redeemed(_)))
}

#[test]
fn pulled_at_every_command_a_use_is_paid_for_once() {
    let (mut whole, mut issuer) = card_with_ticket();
    done(enter(&mut whole, &mut issuer, 1).0);
    let mut proved = 0;
    for pull in (0..whole.commands).flat_map(|number| [Pull::Before(number), Pull::After(number)]) {
        let (mut card, mut issuer) = card_with_ticket();
        card.pull = Some(pull);
        let (ended, kept) = enter(&mut card, &mut issuer, 1);
        assert!(matches!(ended, Ended::Cut(CutAt::Card(_))), "{pull:?}: {ended:?}");
        proved += usize::from(after_a_cut(card, &mut issuer, kept, &format!("{pull:?}")));
    }
    assert_eq!(proved, 1, "only the answer to Read_ET_End is worth anything");
}

#[test]
fn cut_at_every_memory_write_a_use_is_paid_for_once() {
    let (mut whole, mut issuer) = card_with_ticket();
    let before = whole.memory().writes();
    done(enter(&mut whole, &mut issuer, 1).0);
    let writes = whole.memory().writes() - before;
    let (mut proved, mut free) = (0, 0);
    for (write, torn_len) in (0..writes).flat_map(|write| [0, 1, 7, 300].map(|torn_len| (write, torn_len))) {
        let (mut card, mut issuer) = card_with_ticket();
        card.memory().cut_power_after(write, torn_len);
        let (ended, kept) = enter(&mut card, &mut issuer, 1);
        assert!(matches!(ended, Ended::Cut(CutAt::Card(_))), "{write}/{torn_len}: {ended:?}");
        match after_a_cut(card, &mut issuer, kept, &format!("{write}/{torn_len}")) {
            true => proved += 1,
            false => free += 1,
        }
    }
    println!("{writes} writes: {proved} cuts proved by the card, {free} without a use gone");
    assert!(proved > 0 && free > 0);
}

/// The ticket went on to other gates before this one saw the card again.
#[test]
fn an_attempt_is_settled_by_what_other_gates_left() {
    let other = TicketTerminal { terminal: TerminalId([0x21, 0x44, 0, 0, 0x0B, 8]) };
    let elsewhere = |card: &mut Hand, issuer: &mut Issuer, sequence| {
        let what = (ID, TerminalSeq(sequence), at(20_240_502));
        done(other.redeem(card, issuer, terms().merchant, what, |_| {}).unwrap());
    };
    // Of the commands SELECT, READ BINARY, Read_ET_Init, Read_ET_End the last is number 3.
    for (pull, uses_elsewhere, expected) in [
        (Pull::Before(3), 1, Settled::NotRedeemed),
        (Pull::Before(3), 2, Settled::Unknown),
        (Pull::After(3), 1, Settled::Unknown),
    ] {
        let (mut card, mut issuer) = card_with_ticket();
        card.pull = Some(pull);
        let (_, kept) = enter(&mut card, &mut issuer, 1);
        let mut card = card.put_back();
        (0..uses_elsewhere).for_each(|sequence| elsewhere(&mut card, &mut issuer, sequence));
        let settled = done(GATE.settle(&mut card, &mut issuer, &kept.unwrap()).unwrap());
        assert_eq!(settled, expected, "{pull:?}, then {uses_elsewhere} elsewhere");
    }
}
