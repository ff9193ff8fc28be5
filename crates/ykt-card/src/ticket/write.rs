//! Write_ET: the issuer's host stores a ticket or deletes one; the holder deletes one.

use super::PendingTicket;
use super::store::{Place, PlaceState};
use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::memory::{Batch, Memory};
use crate::purse::draw;
use crate::security::{KeyName, KeySlot};
use crate::session::Pending;
use ykt_base::{CardCounter, DateTime, Mac4, Rng, StatusWord, TerminalId, TerminalSeq, TicketId};
use ykt_crypto::SessionKey;
use ykt_purse::ticket::{self, Order, Proof, Record, Terms, WriteAnswer, WriteInfo, WriteInit};
use ykt_purse::write_key::KeyUsage;

/// An order of a host between Write_ET_Init and Write_ET_End.
pub(crate) struct PendingWrite {
    pub(super) order: Order,
    terminal: TerminalId,
    session: SessionKey,
    counter: CardCounter,
    key: KeySlot,
    /// Where the ticket is, or will be.
    place: Place,
    /// Bytes of a new ticket that have come.
    received: usize,
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6985 no ticket application, 6A80 a ticket that is here already, 6A83 one that is not, 9403 no key of this
    /// issuer, 6983/6982 key locked or not usable now, 9402 counter used up, 6A84 no room.
    #[inline(never)]
    pub(super) fn write_init(&mut self, rng: &mut dyn Rng, init: WriteInit) -> Outcome {
        let WriteInit { order, terminal } = init;
        let tickets = self.tickets()?;
        let present = tickets.find(&self.store, order.id());
        let issuer = match (order, present) {
            (Order::Store { .. }, Ok(_)) => return Err(StatusWord::WRONG_DATA),
            (Order::Store { issuer, .. }, Err(_)) => issuer,
            (Order::Delete { .. }, present) => present?.issuer,
        };
        let key = self.usable_key(KeyName::User(KeyUsage::TicketIssue, issuer), StatusWord::KEY_INDEX)?;
        self.tac_key(issuer)?;
        let counter = tickets.online(&self.store);
        counter.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        let (place, left) = match (order, present) {
            (Order::Store { id, len, .. }, _) => {
                let place = tickets.place_for(&self.store, id).filter(|_| len <= tickets.len);
                let place = place.ok_or(StatusWord::NO_SPACE)?;
                (Place { issuer, len, ..place }, tickets.free(&self.store))
            }
            (Order::Delete { .. }, present) => present.map(|place| (place, place.uses))?,
        };

        let random = draw(rng);
        let session = ticket::write_session_key(&key.material(&self.store), random, counter);
        let given = WriteAnswer {
            left,
            counter,
            key_version: key.attributes.version,
            algorithm: key.attributes.algorithm,
            random,
            mac1: ticket::write_mac1(&session, left, &order, place.len, terminal),
        };
        let pending = PendingWrite { order, terminal, session, counter, key, place, received: 0 };
        self.session.pending = Some(Pending::Ticket(PendingTicket::Write(pending)));
        self.answer(&given.to_bytes())
    }

    /// # Errors
    /// 6901 when a ticket is to be deleted, 6B00 when the block does not follow the one before, 6700 when it goes
    /// beyond the stated length, 6581.
    #[inline(never)]
    pub(super) fn write_info(&mut self, info: WriteInfo<'_>, mut pending: PendingWrite) -> Outcome {
        let Order::Store { len, .. } = pending.order else {
            return Err(StatusWord::NOT_INITIALIZED);
        };
        if usize::from(info.offset) != pending.received {
            return Err(StatusWord::WRONG_OFFSET);
        }
        let at = pending.place.ticket_at().saturating_add(pending.received);
        pending.received = pending.received.saturating_add(info.block.len());
        if pending.received > usize::from(len) {
            return Err(StatusWord::WRONG_LENGTH);
        }
        let mut batch: Batch = Batch::new();
        // The proof of the ticket that was here goes with the first byte of the new one.
        Place { state: PlaceState::Free, ..pending.place }.put(&mut batch, None)?;
        batch.write(at, &[info.block])?;
        self.store.commit(&batch)?;
        self.session.pending = Some(Pending::Ticket(PendingTicket::Write(pending)));
        done()
    }

    /// # Errors
    /// 6985 when a part of the ticket is missing, 9302 wrong MAC2, 6A80 when what was signed is no ticket of this
    /// id, 9402, 6581.
    #[inline(never)]
    pub(super) fn write_end(&mut self, at: DateTime, mac2: Mac4, pending: &PendingWrite) -> Outcome {
        let PendingWrite { order, terminal, session, counter, key, place, received } = pending;
        let new = place.ticket(&self.store);
        let signed = match order {
            Order::Store { .. } if *received < new.len() => return Err(StatusWord::CONDITIONS),
            Order::Store { .. } => new.as_bytes(),
            Order::Delete { id } => id.as_bytes(),
        };
        let expected = ticket::write_mac2(session, signed, order.action(), *terminal, at);
        let mut batch: Batch = Batch::new();
        self.check_mac(key, expected, mac2, &mut batch)?;
        let place = match order {
            Order::Store { id, .. } => {
                let terms = Terms::of_ticket(signed).filter(|terms| terms.id == *id);
                let uses = terms.ok_or(StatusWord::WRONG_DATA)?.uses;
                Place { state: PlaceState::Stored, uses, ..*place }
            }
            Order::Delete { .. } => Place { state: PlaceState::Deleted, ..*place },
        };
        let record = Record {
            action: order.action(),
            counter: *counter,
            uses: place.uses,
            terminal: *terminal,
            sequence: TerminalSeq(0),
            at,
        };
        let tac = record.tac(&self.tac_key(place.issuer)?, order.id());
        place.put(&mut batch, Some(&Proof { record, mac2: Mac4([0; 4]), tac }))?;
        self.tickets()?.put_online(&mut batch, counter.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?)?;
        self.store.commit(&batch)?;
        self.answer(tac.as_bytes())
    }

    /// Deletes a ticket on its holder's word. Its last proof stays, so that a terminal that lost the answer to a
    /// redemption still finds it.
    ///
    /// # Errors
    /// 6985 no ticket application, 6982 without the PIN, 6A83 no such ticket, 6581.
    #[inline(never)]
    pub(super) fn delete_for_holder(&mut self, id: TicketId) -> Outcome {
        let tickets = self.tickets()?;
        if !self.session.is_pin_verified() {
            return Err(StatusWord::SECURITY_STATUS);
        }
        let place = tickets.find(&self.store, id)?;
        let mut batch: Batch = Batch::new();
        Place { state: PlaceState::Deleted, ..place }.put(&mut batch, None)?;
        self.store.commit(&batch)?;
        done()
    }
}
