//! Electronic tickets (电子票据) at a terminal: a kiosk that stores and deletes them for their issuer, a gate or till
//! that redeems them, and a look at what a card holds.
//!
//! Every flow may be cut and begun again. A kiosk asks the card for the ticket's last proof first, so an order is
//! carried out once however often it is given. A gate hands its attempt to the caller to be kept **before** the card
//! is asked for the use, and [`TicketTerminal::settle`] finds out what became of it.

use crate::card::{self, CardError, Step, ask, demand, demand_plain};
use crate::flow::{Ended, KeyHolderError, ReaderFault, Refusal, Stop, end};
use ykt_base::{
    CardChannel, CardCounter, DateTime, KeyIndex, KeyVersion, Mac4, MerchantCode, Random4, StatusWord,
    TerminalId, TerminalSeq, TicketId,
};
use ykt_purse::command;
use ykt_purse::files::{PublicData, PublicDataLayout};
use ykt_purse::purchase::DebitAnswer;
use ykt_purse::ticket::{
    AID, Action, Order, Proof, ReadEnd, ReadInfo, ReadInit, Record, RedeemAnswer, Room, TERMS_LEN, Terms,
    View, WriteAnswer, WriteEnd, WriteInfo, WriteInit,
};

/// Bytes of one Write_ET_Info.
const BLOCK_LEN: usize = 128;

/// A ticket on a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Issuer, uses left, terms.
    pub view: View,
    /// Its face.
    pub face: Vec<u8>,
}

/// What an issuer is asked to sign: an order, and what the card said to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOffer<'a> {
    /// The card.
    pub card: PublicData,
    /// Store or delete.
    pub order: Order,
    /// The whole ticket that is to be stored; empty for a deletion.
    pub ticket: &'a [u8],
    /// Where.
    pub terminal: TerminalId,
    /// What the card answered, with its MAC1.
    pub answer: WriteAnswer,
}

/// An issuer's signature under an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteSignature {
    /// Date and time in it.
    pub at: DateTime,
    /// MAC2.
    pub mac2: Mac4,
}

/// The issuer's host: it sells tickets, signs what is written, and takes the card's receipts.
pub trait TicketIssuer {
    /// Checks MAC1 and signs.
    ///
    /// # Errors
    /// [`KeyHolderError`].
    fn sign(&mut self, offer: &WriteOffer<'_>) -> Result<WriteSignature, KeyHolderError>;

    /// Takes the receipt for a ticket; the same one again is taken alike.
    ///
    /// # Errors
    /// [`KeyHolderError`].
    fn confirm(&mut self, card: &PublicData, id: TicketId, proof: &Proof) -> Result<(), KeyHolderError>;
}

/// A redemption about to happen: what a gate keeps of it until it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The card.
    pub card: PublicData,
    /// The ticket.
    pub id: TicketId,
    /// Its issuer.
    pub issuer: KeyIndex,
    /// Version of the redemption key.
    pub key_version: KeyVersion,
    /// Its algorithm byte.
    pub algorithm: u8,
    /// The card's offline counter.
    pub counter: CardCounter,
    /// The card's random number.
    pub random: Random4,
    /// Uses left before.
    pub uses: u8,
    /// The gate.
    pub terminal: TerminalId,
    /// Its sequence, never used twice.
    pub sequence: TerminalSeq,
    /// When.
    pub at: DateTime,
}

impl Attempt {
    /// The record the card keeps when it happens.
    fn record(&self) -> Record {
        let Attempt { counter, terminal, sequence, at, .. } = *self;
        Record { action: Action::Redeem, counter, uses: self.uses.saturating_sub(1), terminal, sequence, at }
    }
}

/// Whatever holds redemption keys at a gate: a module, or a line to the issuer.
pub trait TicketGate {
    /// MAC1.
    ///
    /// # Errors
    /// [`KeyHolderError`].
    fn sign(&mut self, attempt: &Attempt) -> Result<Mac4, KeyHolderError>;

    /// Whether the card's MAC2 is right.
    ///
    /// # Errors
    /// [`KeyHolderError`].
    fn check(&mut self, attempt: &Attempt, mac2: Mac4) -> Result<bool, KeyHolderError>;
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The use was redeemed; the issuer pays for this proof.
    Redeemed(Proof),
    /// It was not: nothing is owed.
    NotRedeemed,
    /// The ticket was redeemed or deleted elsewhere since, and the card no longer tells. The issuer knows: the use
    /// was redeemed here when nobody else hands in a receipt for it.
    Unknown,
}

/// A terminal that deals with tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketTerminal {
    /// Its id in MACs and TACs.
    pub terminal: TerminalId,
}

/// How much room the ticket store of a card has.
///
/// # Errors
/// [`CardError`].
pub fn room(card: &mut (impl CardChannel + ?Sized)) -> Result<Room, CardError> {
    select(card)?;
    demand(card, Step::ReadTicketInit, &ReadInit::Room.to_apdu(), Room::from_bytes)
}

/// Every ticket on a card.
///
/// # Errors
/// [`CardError`].
pub fn tickets(card: &mut (impl CardChannel + ?Sized)) -> Result<Vec<Held>, CardError> {
    let room = room(card)?;
    let mut held = Vec::new();
    for number in 1..=room.places.saturating_sub(room.free) {
        let look = ReadInit::Nth(number).to_apdu();
        let view = demand(card, Step::ReadTicketInit, &look, View::from_bytes)?;
        let face = face(card, &view)?;
        demand(card, Step::ReadTicketEnd, &ReadEnd::Look.to_apdu(), |_| Some(()))?;
        held.push(Held { view, face });
    }
    Ok(held)
}

/// The face of the ticket that Read_ET_Init showed.
fn face(card: &mut (impl CardChannel + ?Sized), view: &View) -> Result<Vec<u8>, CardError> {
    if usize::from(view.len) <= TERMS_LEN {
        return Ok(Vec::new());
    }
    let offset = u16::try_from(TERMS_LEN).unwrap_or(u16::MAX);
    demand(card, Step::ReadTicketInfo, &ReadInfo { offset }.to_apdu(), |data| Some(data.to_vec()))
}

impl TicketTerminal {
    /// Stores a ticket of `issuer` on the card. Given again, the order is done once: the card is asked first.
    ///
    /// # Errors
    /// [`ReaderFault`].
    pub fn store(
        &self,
        card: &mut (impl CardChannel + ?Sized),
        host: &mut (impl TicketIssuer + ?Sized),
        issuer: KeyIndex,
        ticket: &[u8],
    ) -> Result<Ended<Proof>, ReaderFault> {
        let store = |id, len| Order::Store { issuer, id, len };
        let order = Terms::of_ticket(ticket)
            .and_then(|terms| Some((terms, store(terms.id, u8::try_from(ticket.len()).ok()?))));
        end(match order {
            Some((terms, order)) => self.write(card, host, &order, ticket, terms.uses),
            None => Err(Refusal::NoTicket.into()),
        })
    }

    /// Deletes a ticket for its issuer. The proof says how many uses went with it.
    ///
    /// # Errors
    /// [`ReaderFault`].
    pub fn delete(
        &self,
        card: &mut (impl CardChannel + ?Sized),
        host: &mut (impl TicketIssuer + ?Sized),
        id: TicketId,
    ) -> Result<Ended<Proof>, ReaderFault> {
        end(self.write(card, host, &Order::Delete { id }, &[], 0))
    }

    /// Redeems one use of a ticket of `merchant`. `keep` stores the attempt where it outlives the terminal's
    /// power; only then the card is asked.
    ///
    /// # Errors
    /// [`ReaderFault`]; [`TicketTerminal::settle`] what was kept.
    pub fn redeem(
        &self,
        card: &mut (impl CardChannel + ?Sized),
        gate: &mut (impl TicketGate + ?Sized),
        merchant: MerchantCode,
        (id, sequence, at): (TicketId, TerminalSeq, DateTime),
        keep: impl FnOnce(&Attempt),
    ) -> Result<Ended<Proof>, ReaderFault> {
        end(self.take_use(card, gate, merchant, (id, sequence, at), keep))
    }

    /// Finds out what became of an attempt whose answer was lost.
    ///
    /// # Errors
    /// [`ReaderFault`].
    pub fn settle(
        &self,
        card: &mut (impl CardChannel + ?Sized),
        gate: &mut (impl TicketGate + ?Sized),
        attempt: &Attempt,
    ) -> Result<Ended<Settled>, ReaderFault> {
        end(self.find_out(card, gate, attempt))
    }

    /// Carries an order out, or finds that it was.
    fn write(
        &self,
        card: &mut (impl CardChannel + ?Sized),
        host: &mut (impl TicketIssuer + ?Sized),
        order: &Order,
        ticket: &[u8],
        uses: u8,
    ) -> Result<Proof, Stop> {
        let (id, terminal) = (order.id(), self.terminal);
        select(card)?;
        let public = card::public_data(card, PublicDataLayout::City)?;
        let done = last_proof(card, id)?.filter(|proof| is_done(order.action(), proof.record.action));
        if let Some(proof) = done {
            host.confirm(&public, id, &proof)?;
            return Ok(proof);
        }
        let init = WriteInit { order: *order, terminal };
        let answer = demand(card, Step::WriteTicketInit, &init.to_apdu(), WriteAnswer::from_bytes)?;
        let offer = WriteOffer { card: public, order: *order, ticket, terminal, answer };
        let WriteSignature { at, mac2 } = host.sign(&offer)?;
        for (block, offset) in ticket.chunks(BLOCK_LEN).zip((0u16..).step_by(BLOCK_LEN)) {
            let info = WriteInfo { offset, block }.to_apdu();
            demand(card, Step::WriteTicketInfo, &info, |_| Some(()))?;
        }
        let action = order.action();
        let write = WriteEnd::Host { action, at, mac2 }.to_apdu();
        let tac = demand(card, Step::WriteTicketEnd, &write, |data| Mac4::try_from(data).ok())?;
        let uses = if action == Action::Delete { answer.left } else { uses };
        let record = Record { action, counter: answer.counter, uses, terminal, sequence: TerminalSeq(0), at };
        let proof = Proof { record, mac2: Mac4([0; 4]), tac };
        host.confirm(&public, id, &proof)?;
        Ok(proof)
    }

    fn take_use(
        &self,
        card: &mut (impl CardChannel + ?Sized),
        gate: &mut (impl TicketGate + ?Sized),
        merchant: MerchantCode,
        (id, sequence, at): (TicketId, TerminalSeq, DateTime),
        keep: impl FnOnce(&Attempt),
    ) -> Result<Proof, Stop> {
        select(card)?;
        let public = card::public_data(card, PublicDataLayout::City)?;
        let init = ReadInit::Redeem { id, terminal: self.terminal }.to_apdu();
        let answer = demand(card, Step::ReadTicketInit, &init, RedeemAnswer::from_bytes)?;
        let RedeemAnswer { counter, key_version, algorithm, random, view } = answer;
        let Terms { merchant: found, from, until, .. } = view.terms;
        if found != merchant {
            return Err(Refusal::OtherMerchant { found }.into());
        }
        if !view.terms.valid_on(at.date) {
            return Err(Refusal::NotValid { from, until }.into());
        }
        let attempt = Attempt {
            card: public,
            id,
            issuer: view.issuer,
            key_version,
            algorithm,
            counter,
            random,
            uses: view.uses,
            terminal: self.terminal,
            sequence,
            at,
        };
        let mac1 = gate.sign(&attempt)?;
        keep(&attempt);
        let redeem = ReadEnd::Redeem { sequence, at, mac1 }.to_apdu();
        let given = demand(card, Step::ReadTicketEnd, &redeem, DebitAnswer::from_bytes)?;
        proven(gate, &attempt, given.mac2)?;
        Ok(Proof { record: attempt.record(), mac2: given.mac2, tac: given.tac })
    }

    fn find_out(
        &self,
        card: &mut (impl CardChannel + ?Sized),
        gate: &mut (impl TicketGate + ?Sized),
        attempt: &Attempt,
    ) -> Result<Settled, Stop> {
        select(card)?;
        let public = card::public_data(card, PublicDataLayout::City)?;
        if public.asn != attempt.card.asn {
            let reason = "this is another card than the one that left".to_owned();
            return Err(Refusal::KeyHolder { reason }.into());
        }
        let record = attempt.record();
        match last_proof(card, attempt.id)? {
            Some(proof) if proof.record == record => {
                proven(gate, attempt, proof.mac2)?;
                Ok(Settled::Redeemed(proof))
            }
            // Another terminal has taken the use that was asked for here, or nobody has.
            Some(Proof { record: Record { action: Action::Redeem, uses, .. }, .. })
                if uses >= record.uses =>
            {
                Ok(Settled::NotRedeemed)
            }
            Some(Proof { record: Record { uses, .. }, .. }) if uses == attempt.uses => {
                Ok(Settled::NotRedeemed)
            }
            Some(_) | None => Ok(Settled::Unknown),
        }
    }
}

/// Whether an order is done already when this was the last thing that happened to its ticket.
fn is_done(order: Action, last: Action) -> bool {
    match order {
        Action::Store => matches!(last, Action::Store | Action::Redeem),
        Action::Delete | Action::Redeem => last == order,
    }
}

fn proven(gate: &mut (impl TicketGate + ?Sized), attempt: &Attempt, mac2: Mac4) -> Result<(), Stop> {
    if gate.check(attempt, mac2)? { Ok(()) } else { Err(Refusal::NotGenuine.into()) }
}

fn select(card: &mut (impl CardChannel + ?Sized)) -> Result<(), CardError> {
    demand_plain(card, Step::SelectTickets, &command::select_name(&AID), |_| Some(()))
}

/// The last proof of a ticket; `None` when the card has none.
fn last_proof(card: &mut (impl CardChannel + ?Sized), id: TicketId) -> Result<Option<Proof>, CardError> {
    let (step, init) = (Step::ReadTicketInit, ReadInit::Proof(id).to_apdu());
    let answer = ask(card, step, &init)?;
    match (answer.sw(), Proof::from_bytes(answer.data())) {
        (StatusWord::PROOF_NOT_AVAILABLE, _) => Ok(None),
        (StatusWord::OK, Some(proof)) => Ok(Some(proof)),
        (StatusWord::OK, None) => Err(CardError::Unreadable { step, len: answer.data().len() }),
        (sw, _) => Err(CardError::Refused { step, sw }),
    }
}
