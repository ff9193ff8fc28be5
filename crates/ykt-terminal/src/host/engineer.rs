//! A load host in the terminal's own process, for engineers who have keys and a card but no centre.
//!
//! It decides as a real host does, from MAC1, counters and TACs, but keeps its orders in memory and books
//! nothing: no customer's money may go through it.

use super::{CardOffer, Credit, HostError, LoadHost, OrderId, OrderState, PayRequest, Resumption};
use std::collections::BTreeMap;
use ykt_base::{Clock, DateTime, Fen, IssuerFactor, KeyIndex, Mac4};
use ykt_purse::load::Load;
use ykt_purse::{Purse, PurseFen};
use ykt_vault::{CardKeyRef, KeyKind, KeyRef, LoadSession, MacVerdict, Receipt, TacJob, Vault, VaultError};

/// Keys and a clock that stand for a centre.
pub struct EngineerHost<'v, C> {
    vault: &'v dyn Vault,
    clock: C,
    factor: IssuerFactor,
    tac_key: KeyRef,
    load_index: KeyIndex,
    purse: Purse,
    orders: BTreeMap<OrderId, Order>,
}

struct Order {
    request: PayRequest,
    state: OrderState,
    frozen: Option<Frozen>,
}

/// What was signed last: the card's offer and the moment of the credit.
#[derive(Clone, Copy)]
struct Frozen {
    offer: CardOffer,
    credit: Credit,
}

impl<'v, C: Clock> EngineerHost<'v, C> {
    /// A host for the cards of the level `factor`, with load keys of this index and the TAC key `tac_key`.
    pub fn new(
        vault: &'v dyn Vault,
        clock: C,
        factor: IssuerFactor,
        load_index: KeyIndex,
        tac_key: KeyRef,
    ) -> EngineerHost<'v, C> {
        EngineerHost { vault, clock, factor, tac_key, load_index, purse: Purse::Ep, orders: BTreeMap::new() }
    }

    /// The same for loads of another purse of the application.
    #[must_use]
    pub fn of_purse(self, purse: Purse) -> EngineerHost<'v, C> {
        EngineerHost { purse, ..self }
    }

    fn load(&self, id: &OrderId, order: &Order, offer: &CardOffer) -> Result<Load, HostError> {
        let amount = purse(id, order.request.amount)?;
        Ok(Load { purse: self.purse, amount, terminal: offer.terminal })
    }

    fn order(&self, id: &OrderId) -> Result<&Order, HostError> {
        self.orders.get(id).ok_or_else(|| refused(id, "unknown-order", "there is no such order"))
    }

    fn card_key(&self, order: &Order, key: KeyRef) -> CardKeyRef {
        CardKeyRef { key, factor: self.factor, asn: order.request.card }
    }

    /// Checks MAC1 and signs MAC2 with the present moment.
    fn sign(&mut self, id: &OrderId, offer: &CardOffer) -> Result<Credit, HostError> {
        let order = self.order(id)?;
        let load = self.load(id, order, offer)?;
        let balance = purse(id, offer.balance)?;
        let key = KeyRef { kind: KeyKind::Load, index: self.load_index, version: offer.key_version };
        let session =
            LoadSession { key: self.card_key(order, key), random: offer.random, counter: offer.counter };
        let vault = |error: VaultError| refused(id, "no-key", &error.to_string());
        match self.vault.check_load_mac1(&session, &load, balance, &offer.mac1).map_err(vault)? {
            MacVerdict::Wrong => Err(refused(id, "mac1-wrong", "MAC1 is wrong: another card, key or amount")),
            MacVerdict::Right => {
                let at = self.clock.now();
                let mac2 = self.vault.load_mac2(&session, &load, at).map_err(vault)?;
                let credit = Credit { at, mac2 };
                if let Some(order) = self.orders.get_mut(id) {
                    order.state = OrderState::Initialized;
                    order.frozen = Some(Frozen { offer: *offer, credit });
                }
                Ok(credit)
            }
        }
    }

    fn tac_job(&self, id: &OrderId, order: &Order, frozen: &Frozen, tac: Mac4) -> Result<TacJob, HostError> {
        let load = self.load(id, order, &frozen.offer)?;
        let new_balance = purse(id, frozen.offer.balance)?
            .checked_add(load.amount)
            .ok_or_else(|| refused(id, "balance-too-high", "the new balance does not fit a purse"))?;
        let (counter, at): (_, DateTime) = (frozen.offer.counter, frozen.credit.at);
        let receipt = Receipt::Load { load, new_balance, counter, at };
        Ok(TacJob { key: self.card_key(order, self.tac_key), receipt, tac })
    }
}

fn refused(order: &OrderId, code: &str, message: &str) -> HostError {
    HostError::Refused { order: order.clone(), code: code.to_owned(), message: message.to_owned() }
}

fn purse(order: &OrderId, amount: Fen) -> Result<PurseFen, HostError> {
    PurseFen::try_from(amount).map_err(|error| refused(order, "amount", &error.to_string()))
}

impl<C: Clock> LoadHost for EngineerHost<'_, C> {
    fn pay(&mut self, request: &PayRequest) -> Result<OrderState, HostError> {
        let id = &request.order;
        match self.orders.get(id) {
            Some(order) if order.request == *request => Ok(order.state),
            Some(_) => Err(refused(id, "other-content", "the order exists with another content")),
            None => {
                purse(id, request.amount)?;
                let order = Order { request: request.clone(), state: OrderState::Paid, frozen: None };
                self.orders.insert(id.clone(), order);
                Ok(OrderState::Paid)
            }
        }
    }

    fn initialize(&mut self, id: &OrderId, offer: &CardOffer) -> Result<Credit, HostError> {
        let order = self.order(id)?;
        match (order.state, order.frozen) {
            (OrderState::Paid, _) => self.sign(id, offer),
            (OrderState::Initialized, Some(frozen)) if frozen.offer == *offer => Ok(frozen.credit),
            _ => Err(refused(id, "wrong-state", "the order has another offer already: resume it")),
        }
    }

    fn confirm(&mut self, id: &OrderId, tac: Mac4) -> Result<OrderState, HostError> {
        let order = self.order(id)?;
        let frozen = order.frozen.filter(|_| order.state != OrderState::GivenBack);
        let frozen = frozen.ok_or_else(|| refused(id, "wrong-state", "no card has been credited"))?;
        let job = self.tac_job(id, order, &frozen, tac)?;
        let verdict = self.vault.check_load_tac(&job);
        match verdict.map_err(|error| refused(id, "no-key", &error.to_string()))? {
            MacVerdict::Wrong => Err(refused(id, "tac-wrong", "the TAC is not this load's")),
            MacVerdict::Right => {
                if let Some(order) = self.orders.get_mut(id) {
                    order.state = OrderState::Done;
                }
                Ok(OrderState::Done)
            }
        }
    }

    fn resume(&mut self, id: &OrderId, offer: &CardOffer) -> Result<Resumption, HostError> {
        let order = self.order(id)?;
        match (order.state, order.frozen) {
            (OrderState::Done | OrderState::GivenBack, _) => Ok(Resumption::Closed(order.state)),
            (OrderState::Initialized, Some(frozen)) if offer.counter > frozen.offer.counter => {
                Ok(Resumption::Prove { counter: frozen.offer.counter })
            }
            _ => self.sign(id, offer).map(Resumption::Credit),
        }
    }

    fn give_back(&mut self, id: &OrderId) -> Result<OrderState, HostError> {
        let state = self.order(id)?.state;
        match state {
            OrderState::Paid | OrderState::GivenBack => {
                if let Some(order) = self.orders.get_mut(id) {
                    order.state = OrderState::GivenBack;
                }
                Ok(OrderState::GivenBack)
            }
            OrderState::Initialized => {
                Err(refused(id, "may-be-credited", "a card may have been credited: resume the order"))
            }
            OrderState::Done => Err(refused(id, "done", "the card has been credited")),
        }
    }
}
