//! The steps of a load order, each in one transaction with its ledger entry.
//!
//! Keys are asked outside the transaction: what a MAC covers (card, amount, terminal) never changes in an
//! order. What the order may do with the verdict is decided inside, by the order as it stands then; a MAC2
//! leaves only after the commit that froze it.

use crate::channel::{self, Channel, Settlement};
use crate::decide::{self, Confirm, GiveBack, Initialize, Resume};
use crate::error::{PayError, Refusal};
use crate::order::{Freeze, Order, OrderState, Proof, Step, StepKind};
use crate::posting::{Move, post_move, post_settlement};
use crate::store;
use std::sync::Arc;
use ykt_base::{Asn8, CardCounter, Date, DateTime, Fen, KeyIndex, KeyVersion, Mac4};
use ykt_office::Act;
use ykt_office::audit::{self, Outcome};
use ykt_office::cards::{self, CardRow};
use ykt_purse::load::Load;
use ykt_purse::{Algorithm, Purse, PurseFen};
use ykt_store::{Store, StoreError, Tx};
use ykt_terminal::host::{CardOffer, Credit, OrderId, PayRequest};
use ykt_vault::{CardKeyRef, KeyKind, KeyRef, LoadSession, MacVerdict, Receipt, TacJob, Vault, VaultError};

/// What the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Largest single load.
    pub load_max: Fen,
    /// Largest balance of a card.
    pub balance_max: Fen,
    /// So many wrong MAC1s in a row for one card raise an alarm in the audit log, and every so many more.
    pub mac1_failures_alarm: u32,
    /// Index of the load key that terminals use.
    pub load_key: KeyIndex,
    /// Index of the TAC key.
    pub tac_key: KeyIndex,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            load_max: Fen::new(100_000),
            balance_max: Fen::new(500_000),
            mac1_failures_alarm: 5,
            load_key: KeyIndex(1),
            tac_key: KeyIndex(1),
        }
    }
}

/// How an order goes on after a break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resumed {
    /// The card did not credit: initialize with this very answer, or give back.
    NotCredited,
    /// The card credited: ask it for the proof of the load that used this counter, and confirm its TAC.
    Prove {
        /// Online counter of the frozen MAC2.
        counter: CardCounter,
    },
    /// The order is closed: credited or given back.
    Closed(OrderState),
    /// What the card says cannot be; people must look at it.
    ErrorDesk {
        /// Why, in words.
        reason: String,
    },
}

/// The host of loads.
#[derive(Clone)]
pub struct LoadHost {
    store: Store,
    vault: Arc<dyn Vault>,
    policy: Policy,
}

/// A refusal ends a step in the ordinary way: what it counted is kept. A fault undoes the step.
type Answer<T> = Result<Result<T, Refusal>, PayError>;

impl LoadHost {
    /// A host over `store`, which has the tables of office, ledger and pay.
    #[must_use]
    pub fn new(store: Store, vault: Arc<dyn Vault>, policy: Policy) -> LoadHost {
        LoadHost { store, vault, policy }
    }

    /// What the operator allows.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether a load of `amount` may be sold for the card: ask before taking the customer's money.
    ///
    /// # Errors
    /// [`PayError::Refused`] with the reason.
    pub fn may_load(&self, asn: &Asn8, amount: Fen, day: Date) -> Result<(), PayError> {
        flat(self.store.read(|tx| self.usable(tx, asn, amount, day).map(|card| card.map(drop))))
    }

    /// Opens an order: the customer has paid, the money is held. The same order again is answered with its state.
    ///
    /// # Errors
    /// [`PayError::Refused`] for another content under the same id, a card that cannot be loaded, or an amount
    /// outside the limits; [`PayError`] for faults.
    pub fn pay(&self, request: &PayRequest, now: DateTime) -> Result<OrderState, PayError> {
        let channel: Channel = request.channel.parse().map_err(Refusal::from)?;
        flat(self.store.write(|tx| {
            if let Some(order) = store::find(tx, &request.order)? {
                let differs = if order.asn != request.card {
                    "card"
                } else if order.amount.fen() != request.amount {
                    "amount"
                } else if order.channel != channel {
                    "channel"
                } else {
                    return Ok(Ok(order.state));
                };
                return Ok(Err(Refusal::OtherContent { order: order.id, differs }));
            }
            if let Err(refusal) = self.usable(tx, &request.card, request.amount, now.date)? {
                return Ok(Err(refusal));
            }
            let amount = match PurseFen::try_from(request.amount) {
                Ok(amount) => amount,
                Err(error) => return Ok(Err(self.amount_refusal(error.found))),
            };
            let order = Order {
                id: request.order.clone(),
                asn: request.card,
                amount,
                channel: channel.clone(),
                state: OrderState::Paid,
                paid_at: now,
                changed_at: now,
                tac: None,
                reason: String::new(),
                freezes: Vec::new(),
                proofs: Vec::new(),
            };
            store::insert(tx, &order)?;
            note(tx, &order, StepKind::Paid, now, format!("{} by {channel}", order.amount))?;
            post_move(tx, &order, Move::Paid, now)?;
            Ok(Ok(order.state))
        }))
    }

    /// Takes the card's answer to INITIALIZE FOR LOAD: checks MAC1 and freezes MAC2 with the order. The same
    /// answer again gives the same credit.
    ///
    /// # Errors
    /// [`PayError::Refused`]: wrong MAC1 (nothing is frozen, it is counted), an order with a MAC2 out for
    /// another answer, a card that cannot be loaded or has another order open, a balance limit.
    pub fn initialize(&self, id: &OrderId, offer: &CardOffer, now: DateTime) -> Result<Credit, PayError> {
        let (seen, card) = self.look(id)?;
        let verdict = self.check_mac1(&seen, &card, offer)?;
        loop {
            // A moment of its own for every MAC2 of a card, so that no TAC fits two of them.
            let before = self.store.read(|tx| store::last_frozen_at(tx, &seen.asn))?;
            let at = before.and_then(|last| last.plus_seconds(1)).map_or(now, |next| next.max(now));
            let mac2 = match verdict {
                MacVerdict::Right => {
                    Some(self.vault.load_mac2(&self.session(&card, offer), &load_of(&seen, offer), at)?)
                }
                MacVerdict::Wrong => None,
            };
            let answer = self.store.write(|tx| -> Result<_, PayError> {
                if store::last_frozen_at(tx, &seen.asn)? != before {
                    return Ok(None);
                }
                self.freeze(tx, id, offer, mac2.map(|mac2| Credit { at, mac2 }), now).map(Some)
            })?;
            // A step of another caller came between, and moved the order on: look again.
            if let Some(answer) = answer {
                return Ok(answer?);
            }
        }
    }

    /// Freezes `credit` with the order, if it may; without a credit MAC1 was wrong.
    fn freeze(
        &self,
        tx: &Tx,
        id: &OrderId,
        offer: &CardOffer,
        credit: Option<Credit>,
        now: DateTime,
    ) -> Answer<Credit> {
        let mut order = require(tx, id)?;
        let facts = store::facts(tx, &order, offer.counter)?;
        match decide::initialize(&order, offer, &facts) {
            Err(refusal) => return Ok(Err(refusal)),
            Ok(Initialize::Again(credit)) => return Ok(Ok(credit)),
            Ok(Initialize::Freeze) => {}
        }
        let Some(credit) = credit else { return self.count_wrong_mac1(tx, &order, now) };
        store::clear_wrong_mac1(tx, &order.asn)?;
        alarm_contradictions(tx, &order.asn, offer.counter, now)?;
        if let Err(refusal) = self.usable(tx, &order.asn, order.amount.fen(), now.date)? {
            return Ok(Err(refusal));
        }
        let after = offer.balance.checked_add(order.amount.fen());
        if after.is_none_or(|after| after > self.policy.balance_max) {
            let (balance, amount, max) = (offer.balance, order.amount.fen(), self.policy.balance_max);
            return Ok(Err(Refusal::BalanceLimit { balance, amount, max }));
        }
        let freeze = Freeze { offer: *offer, credit };
        store::add_freeze(tx, id, order.freezes.len(), &freeze)?;
        order.freezes.push(freeze);
        become_state(tx, &mut order, OrderState::Frozen, now)?;
        let CardOffer { counter, balance, terminal, .. } = offer;
        note(
            tx,
            &order,
            StepKind::Frozen,
            now,
            format!("counter {counter}, balance {balance}, terminal {terminal}"),
        )?;
        Ok(Ok(credit))
    }

    /// Takes the card's TAC: the load has happened. The same TAC again is answered alike; a wrong one leaves
    /// the order in doubt, and the right one may still come.
    ///
    /// # Errors
    /// [`PayError::Refused`]: wrong TAC, or a state without a MAC2 out.
    pub fn confirm(&self, id: &OrderId, tac: Mac4, now: DateTime) -> Result<OrderState, PayError> {
        let (seen, card) = self.look(id)?;
        let right = self.freeze_of_tac(&seen, &card, tac)?;
        flat(self.store.write(|tx| {
            let mut order = require(tx, id)?;
            let right = match right.and_then(|no| Some((no, order.freezes.get(no)?.offer.counter))) {
                // A step of the card's counter is one load: another order's TAC is not this one's.
                Some((_, counter)) if store::counter_taken(tx, &order, counter)? => None,
                other => other.map(|(no, _)| no),
            };
            match decide::confirm(&order, &tac, right) {
                Err(refusal) => Ok(Err(refusal)),
                Ok(Confirm::Again) => Ok(Ok(order.state)),
                Ok(Confirm::Credited(no)) => {
                    credit(tx, &mut order, no, tac, now)?;
                    Ok(Ok(order.state))
                }
                Ok(Confirm::Wrong(state)) => {
                    become_state(tx, &mut order, state, now)?;
                    note(tx, &order, StepKind::WrongTac, now, String::new())?;
                    Ok(Err(Refusal::WrongTac))
                }
                Ok(Confirm::Contradicts) => {
                    contradict(tx, &mut order, "a right TAC came after the money went back", now)?;
                    Ok(Err(Refusal::Contradicted { order: order.id }))
                }
            }
        }))
    }

    /// Goes on after a break, from a fresh answer of the card to INITIALIZE FOR LOAD with the order's amount.
    /// The same answer again is answered alike. That the answer is fresh is the terminal's word; one that was
    /// used before is refused, and a later answer or TAC that tells otherwise raises an alarm.
    ///
    /// # Errors
    /// [`PayError::Refused`]: wrong MAC1, an answer used before, an order at the error desk.
    pub fn resume(&self, id: &OrderId, offer: &CardOffer, now: DateTime) -> Result<Resumed, PayError> {
        let (seen, card) = self.look(id)?;
        let verdict = self.check_mac1(&seen, &card, offer)?;
        flat(self.store.write(|tx| {
            let mut order = require(tx, id)?;
            let facts = store::facts(tx, &order, offer.counter)?;
            let decision = match decide::resume(&order, offer, &facts) {
                Err(refusal) => return Ok(Err(refusal)),
                Ok(Resume::Again(state)) => return Ok(Ok(resumed(&order, state))),
                Ok(decision) => decision,
            };
            if verdict == MacVerdict::Wrong {
                return self.count_wrong_mac1(tx, &order, now);
            }
            store::clear_wrong_mac1(tx, &order.asn)?;
            let detail = format!("counter {}, balance {}", offer.counter, offer.balance);
            let (state, kind) = match decision {
                Resume::Impossible(reason) => {
                    order.reason = reason;
                    (OrderState::ErrorDesk, StepKind::ErrorDesk)
                }
                Resume::Becomes(OrderState::ProofWanted) => (OrderState::ProofWanted, StepKind::CounterMoved),
                Resume::Becomes(state) | Resume::Again(state) => (state, StepKind::NotCredited),
            };
            let proof = Proof { offer: *offer, state };
            store::add_proof(tx, id, order.proofs.len(), &proof)?;
            order.proofs.push(proof);
            become_state(tx, &mut order, state, now)?;
            let detail = if order.reason.is_empty() { detail } else { order.reason.clone() };
            note(tx, &order, kind, now, detail)?;
            Ok(Ok(resumed(&order, state)))
        }))
    }

    /// Gives the money back to the customer, while it is certain that no card has it.
    ///
    /// # Errors
    /// [`PayError::Refused`]: a MAC2 is out (resume first), or the order is credited or at the error desk.
    pub fn give_back(&self, id: &OrderId, now: DateTime) -> Result<OrderState, PayError> {
        flat(self.store.write(|tx| {
            let Some(mut order) = store::find(tx, id)? else { return Ok(Err(unknown(id))) };
            match decide::give_back(&order) {
                Err(refusal) => return Ok(Err(refusal)),
                Ok(GiveBack::Again) => {}
                Ok(GiveBack::Now) => {
                    become_state(tx, &mut order, OrderState::GivenBack, now)?;
                    note(tx, &order, StepKind::GivenBack, now, String::new())?;
                    post_move(tx, &order, Move::GivenBack, now)?;
                }
            }
            Ok(Ok(order.state))
        }))
    }

    /// Books what a channel settled for the payments of `day`, and that own money covers its fee. The same
    /// settlement again is passed over.
    ///
    /// # Errors
    /// [`PayError::Refused`]: amounts that cannot be, or other amounts for a day that is settled.
    pub fn settle_channel(
        &self,
        day: Date,
        channel: &Channel,
        gross: Fen,
        fee: Fen,
        now: DateTime,
    ) -> Result<(), PayError> {
        let net = gross
            .checked_sub(fee)
            .filter(|net| gross > Fen::ZERO && !fee.is_negative() && !net.is_negative());
        let net = net.ok_or(Refusal::Settlement { gross, fee })?;
        flat(self.store.write(|tx| {
            if let Some(found) = channel::find(tx, channel, day)? {
                return Ok(if (found.gross, found.fee) == (gross, fee) {
                    Ok(())
                } else {
                    let channel = channel.to_string();
                    Err(Refusal::SettledOtherwise { channel, day, gross: found.gross, fee: found.fee })
                });
            }
            let settlement = Settlement { channel: channel.clone(), day, gross, fee, settled_at: now };
            channel::insert(tx, &settlement)?;
            post_settlement(tx, channel, day, (gross, net, fee), now)?;
            Ok(Ok(()))
        }))
    }

    /// The order and its card as they stand before the vault is asked.
    fn look(&self, id: &OrderId) -> Result<(Order, CardRow), PayError> {
        let found = self.store.read(|tx| -> Result<_, StoreError> {
            let Some(order) = store::find(tx, id)? else { return Ok(None) };
            Ok(cards::card(tx, &order.asn)?.map(|card| (order, card)))
        })?;
        Ok(found.ok_or_else(|| unknown(id))?)
    }

    fn usable(&self, tx: &Tx, asn: &Asn8, amount: Fen, day: Date) -> Answer<CardRow> {
        if amount <= Fen::ZERO || amount > self.policy.load_max {
            return Ok(Err(self.amount_refusal(amount)));
        }
        let Some(row) = cards::card(tx, asn)? else { return Ok(Err(Refusal::UnknownCard)) };
        if !row.state.may_load() {
            return Ok(Err(Refusal::CardState { state: row.state }));
        }
        if day > row.card.expiry {
            return Ok(Err(Refusal::CardExpired { expiry: row.card.expiry }));
        }
        Ok(Ok(row))
    }

    fn amount_refusal(&self, found: Fen) -> Refusal {
        Refusal::Amount { found, max: self.policy.load_max }
    }

    fn check_mac1(&self, order: &Order, card: &CardRow, offer: &CardOffer) -> Result<MacVerdict, PayError> {
        let unknown_key = Refusal::UnknownKey { version: offer.key_version, algorithm: offer.algorithm };
        if Algorithm::from_code(offer.algorithm) != Some(Algorithm::TripleDes) {
            return Err(unknown_key.into());
        }
        let Ok(balance) = PurseFen::try_from(offer.balance) else { return Ok(MacVerdict::Wrong) };
        let session = self.session(card, offer);
        match self.vault.check_load_mac1(&session, &load_of(order, offer), balance, &offer.mac1) {
            Err(VaultError::NoSuchKey { .. } | VaultError::WrongState { .. }) => Err(unknown_key.into()),
            verdict => Ok(verdict?),
        }
    }

    fn session(&self, card: &CardRow, offer: &CardOffer) -> LoadSession {
        let key = card_key(card, KeyKind::Load, self.policy.load_key, offer.key_version);
        LoadSession { key, random: offer.random, counter: offer.counter }
    }

    /// The place of the MAC2 whose load the TAC proves.
    fn freeze_of_tac(&self, order: &Order, card: &CardRow, tac: Mac4) -> Result<Option<usize>, PayError> {
        let key = card_key(card, KeyKind::Tac, self.policy.tac_key, card.card.key_version);
        for (no, Freeze { offer, credit }) in order.freezes.iter().enumerate().rev() {
            let after =
                PurseFen::try_from(offer.balance).ok().and_then(|before| before.checked_add(order.amount));
            let Some(new_balance) = after else { continue };
            let receipt = Receipt::Load {
                load: load_of(order, offer),
                new_balance,
                counter: offer.counter,
                at: credit.at,
            };
            if self.vault.check_load_tac(&TacJob { key, receipt, tac })? == MacVerdict::Right {
                return Ok(Some(no));
            }
        }
        Ok(None)
    }

    fn count_wrong_mac1<T>(&self, tx: &Tx, order: &Order, now: DateTime) -> Answer<T> {
        let failures = store::count_wrong_mac1(tx, &order.asn, now)?;
        note(tx, order, StepKind::WrongMac1, now, format!("{failures} in a row"))?;
        if failures.checked_rem(self.policy.mac1_failures_alarm) == Some(0) {
            alarm(
                tx,
                "load/alarm wrong MAC1",
                &order.asn,
                &format!("{failures} in a row, order {}", order.id),
                now,
            )?;
        }
        Ok(Err(Refusal::WrongMac1 { failures }))
    }
}

fn flat<T>(answer: Answer<T>) -> Result<T, PayError> {
    Ok(answer??)
}

fn unknown(id: &OrderId) -> Refusal {
    Refusal::UnknownOrder { order: id.clone() }
}

/// An order that [`LoadHost::look`] has seen: orders never go away.
fn require(tx: &Tx, id: &OrderId) -> Result<Order, PayError> {
    Ok(store::find(tx, id)?.ok_or_else(|| unknown(id))?)
}

fn load_of(order: &Order, offer: &CardOffer) -> Load {
    Load { purse: Purse::Ep, amount: order.amount, terminal: offer.terminal }
}

fn card_key(card: &CardRow, kind: KeyKind, index: KeyIndex, version: KeyVersion) -> CardKeyRef {
    CardKeyRef { key: KeyRef { kind, index, version }, factor: card.card.factor, asn: card.card.asn }
}

fn resumed(order: &Order, state: OrderState) -> Resumed {
    match (state, order.frozen_counter()) {
        (OrderState::ProofWanted, Some(counter)) => Resumed::Prove { counter },
        (OrderState::Credited | OrderState::GivenBack, _) => Resumed::Closed(state),
        (OrderState::ErrorDesk, _) => Resumed::ErrorDesk { reason: order.reason.clone() },
        _ => Resumed::NotCredited,
    }
}

fn become_state(tx: &Tx, order: &mut Order, state: OrderState, now: DateTime) -> Result<(), StoreError> {
    if order.state != state {
        (order.state, order.changed_at) = (state, now);
    }
    store::update(tx, order)
}

fn note(tx: &Tx, order: &Order, kind: StepKind, at: DateTime, detail: String) -> Result<(), StoreError> {
    store::add_step(tx, &order.id, &Step { at, kind, state: order.state, detail })
}

/// The card has the money: the order is credited by the MAC2 with place `no`.
fn credit(tx: &Tx, order: &mut Order, no: usize, tac: Mac4, now: DateTime) -> Result<(), PayError> {
    let Some(freeze) = order.freezes.get(no).copied() else { return Ok(()) };
    order.tac = Some(tac);
    order.reason.clear();
    become_state(tx, order, OrderState::Credited, now)?;
    store::set_credited(tx, order, &freeze)?;
    let detail = format!("counter {}, at {}", freeze.offer.counter, freeze.credit.at);
    note(tx, order, StepKind::Credited, now, detail)?;
    post_move(tx, order, Move::Credited, now)
}

/// Marks orders of the card that were given back and yet, as its counter shows, credited.
fn alarm_contradictions(tx: &Tx, asn: &Asn8, found: CardCounter, now: DateTime) -> Result<(), StoreError> {
    for id in store::contradicted(tx, asn, found)? {
        if let Some(mut order) = store::find(tx, &id)? {
            let reason = format!("the card's online counter is {found}, and no load of ours moved it");
            contradict(tx, &mut order, &reason, now)?;
        }
    }
    Ok(())
}

fn contradict(tx: &Tx, order: &mut Order, reason: &str, now: DateTime) -> Result<(), StoreError> {
    if order.reason.is_empty() {
        order.reason = reason.to_owned();
        store::update(tx, order)?;
        note(tx, order, StepKind::Contradicted, now, reason.to_owned())?;
        alarm(tx, "load/alarm given back, yet credited", &order.asn, &format!("order {}", order.id), now)?;
    }
    Ok(())
}

fn alarm(tx: &Tx, what: &str, asn: &Asn8, detail: &str, now: DateTime) -> Result<(), StoreError> {
    let act = Act::of_system("load host", now);
    audit::append(tx, &act, what, &asn.masked().to_string(), Outcome::Refused, detail).map(drop)
}
