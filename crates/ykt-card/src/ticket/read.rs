//! Read_ET: a look at tickets, their redemption, and the last proof of each. **The use is gone when the card
//! answers.**

use super::PendingTicket;
use super::store::Place;
use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::command::Wanted;
use crate::memory::{Batch, Memory};
use crate::purse::draw;
use crate::security::{KeyName, KeySlot};
use crate::session::Pending;
use ykt_base::{CardCounter, DateTime, Mac4, Random4, Rng, StatusWord, TerminalId, TerminalSeq, TicketId};
use ykt_purse::purchase::DebitAnswer;
use ykt_purse::ticket::{self, Action, Proof, ReadEnd, ReadInfo, ReadInit, Record, RedeemAnswer, View};
use ykt_purse::write_key::KeyUsage;

/// A ticket between Read_ET_Init and Read_ET_End.
pub(crate) struct PendingRead {
    place: Place,
    view: View,
    redemption: Option<PendingRedemption>,
}

/// What a redemption needs beside the ticket.
struct PendingRedemption {
    terminal: TerminalId,
    random: Random4,
    counter: CardCounter,
    key: KeySlot,
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6985 no ticket application, 6982 without the right, 6A83 no such ticket, 9406 no proof; of a redemption
    /// also 9403 no key of its issuer, 6983 key locked, 9402 counter used up, 9401 no use left.
    #[inline(never)]
    pub(super) fn read_init(&mut self, rng: &mut dyn Rng, init: ReadInit) -> Outcome {
        let tickets = self.tickets()?;
        match init {
            ReadInit::Room => {
                self.session.require(tickets.file.read)?;
                self.answer(&tickets.room(&self.store).to_bytes())
            }
            ReadInit::Nth(number) => {
                self.session.require(tickets.file.read)?;
                let before = usize::from(number).saturating_sub(1);
                let place = tickets.stored(&self.store).nth(before);
                self.show(place.ok_or(StatusWord::RECORD_NOT_FOUND)?)
            }
            ReadInit::One(id) => {
                self.session.require(tickets.file.read)?;
                self.show(tickets.find(&self.store, id)?)
            }
            ReadInit::Redeem { id, terminal } => {
                self.session.require(tickets.file.write)?;
                let place = tickets.find(&self.store, id)?;
                self.begin_redemption(rng, place, terminal, tickets.offline(&self.store))
            }
            ReadInit::Proof(id) => {
                let place =
                    tickets.find(&self.store, id).ok().or_else(|| tickets.find_deleted(&self.store, id));
                let proof = place.and_then(|place| place.proof(&self.store));
                self.answer(&proof.ok_or(StatusWord::PROOF_NOT_AVAILABLE)?.to_bytes())
            }
        }
    }

    #[inline(never)]
    fn show(&mut self, place: Place) -> Outcome {
        let view = place.view(&self.store)?;
        self.read_on(PendingRead { place, view, redemption: None });
        self.answer(&view.to_bytes())
    }

    fn read_on(&mut self, pending: PendingRead) {
        self.session.pending = Some(Pending::Ticket(PendingTicket::Read(pending)));
    }

    #[inline(never)]
    fn begin_redemption(
        &mut self,
        rng: &mut dyn Rng,
        place: Place,
        terminal: TerminalId,
        counter: CardCounter,
    ) -> Outcome {
        let name = KeyName::User(KeyUsage::TicketRedeem, place.issuer);
        let key = self.usable_key(name, StatusWord::KEY_INDEX)?;
        self.tac_key(place.issuer)?;
        counter.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        place.uses.checked_sub(1).ok_or(StatusWord::INSUFFICIENT_FUNDS)?;
        let view = place.view(&self.store)?;

        let random = draw(rng);
        let given = RedeemAnswer {
            counter,
            key_version: key.attributes.version,
            algorithm: key.attributes.algorithm,
            random,
            view,
        };
        let redemption = PendingRedemption { terminal, random, counter, key };
        self.read_on(PendingRead { place, view, redemption: Some(redemption) });
        self.answer(&given.to_bytes())
    }

    /// # Errors
    /// 6B00 past the end of the ticket, 6Cxx.
    #[inline(never)]
    pub(super) fn read_info(&mut self, info: ReadInfo, wanted: Wanted, pending: PendingRead) -> Outcome {
        let offset = usize::from(info.offset);
        let rest = usize::from(pending.place.len).checked_sub(offset).filter(|rest| *rest > 0);
        let len = wanted.up_to(rest.ok_or(StatusWord::WRONG_OFFSET)?)?;
        let at = pending.place.ticket_at().saturating_add(offset);
        self.read_on(pending);
        self.answer_stored(at, len)
    }

    /// # Errors
    /// 6901 when Read_ET_Init had the other purpose; of a redemption 9302 wrong MAC1, 6985 outside of the ticket's
    /// days, 9402, 9401, 6581.
    #[inline(never)]
    pub(super) fn read_end(&mut self, end: ReadEnd, pending: PendingRead) -> Outcome {
        match (end, pending) {
            (ReadEnd::Look, PendingRead { redemption: None, .. }) => done(),
            (
                ReadEnd::Redeem { sequence, at, mac1 },
                PendingRead { place, view, redemption: Some(redemption) },
            ) => self.redeem(place, &view, &redemption, (sequence, at, mac1)),
            _ => Err(StatusWord::NOT_INITIALIZED),
        }
    }

    #[inline(never)]
    fn redeem(
        &mut self,
        place: Place,
        view: &View,
        redemption: &PendingRedemption,
        (sequence, at, mac1): (TerminalSeq, DateTime, Mac4),
    ) -> Outcome {
        let PendingRedemption { terminal, random, counter, key } = redemption;
        let id: TicketId = view.terms.id;
        let session = ticket::redeem_session_key(&key.material(&self.store), *random, *counter, sequence);
        let expected = ticket::redeem_mac1(&session, id, place.uses, *terminal, at);
        let mut batch: Batch = Batch::new();
        self.check_mac(key, expected, mac1, &mut batch)?;
        if !view.terms.valid_on(at.date) {
            return Err(StatusWord::CONDITIONS);
        }
        let uses = place.uses.checked_sub(1).ok_or(StatusWord::INSUFFICIENT_FUNDS)?;
        let record =
            Record { action: Action::Redeem, counter: *counter, uses, terminal: *terminal, sequence, at };
        let given = DebitAnswer {
            tac: record.tac(&self.tac_key(place.issuer)?, id),
            mac2: ticket::redeem_mac2(&session, id, uses),
        };
        let proof = Proof { record, mac2: given.mac2, tac: given.tac };
        Place { uses, ..place }.put(&mut batch, Some(&proof))?;
        self.tickets()?.put_offline(&mut batch, counter.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?)?;
        self.store.commit(&batch)?;
        if self.session.directory.switches.state_ends_with_transaction {
            self.session.drop_application_state();
        }
        self.answer(&given.to_bytes())
    }
}
