//! The host as a load terminal sees it: the same steps under the names of [`ykt_terminal::host::LoadHost`],
//! with the time of a clock. After a break the terminal wants to load, so what was not credited is frozen anew
//! from the very answer that proved it.

use crate::error::PayError;
use crate::host::{LoadHost, Resumed};
use crate::order::OrderState;
use ykt_base::{Clock, Mac4};
use ykt_terminal::host::{self, CardOffer, Credit, HostError, OrderId, PayRequest, Resumption};

/// The way of a load terminal into a host of the same process.
pub struct TerminalDoor<C> {
    host: LoadHost,
    clock: C,
}

impl<C: Clock> TerminalDoor<C> {
    /// A door to `host` under the time of `clock`.
    #[must_use]
    pub fn new(host: LoadHost, clock: C) -> TerminalDoor<C> {
        TerminalDoor { host, clock }
    }
}

impl<C: Clock> host::LoadHost for TerminalDoor<C> {
    fn pay(&mut self, request: &PayRequest) -> Result<host::OrderState, HostError> {
        self.host.pay(request, self.clock.now()).map(shown).map_err(|error| told(&request.order, error))
    }

    fn initialize(&mut self, order: &OrderId, offer: &CardOffer) -> Result<Credit, HostError> {
        self.host.initialize(order, offer, self.clock.now()).map_err(|error| told(order, error))
    }

    fn confirm(&mut self, order: &OrderId, tac: Mac4) -> Result<host::OrderState, HostError> {
        self.host.confirm(order, tac, self.clock.now()).map(shown).map_err(|error| told(order, error))
    }

    fn resume(&mut self, order: &OrderId, offer: &CardOffer) -> Result<Resumption, HostError> {
        let resumed = self.host.resume(order, offer, self.clock.now()).map_err(|error| told(order, error))?;
        match resumed {
            Resumed::NotCredited => self.initialize(order, offer).map(Resumption::Credit),
            Resumed::Prove { counter } => Ok(Resumption::Prove { counter }),
            Resumed::Closed(state) => Ok(Resumption::Closed(shown(state))),
            Resumed::ErrorDesk { reason } => Err(HostError::Refused {
                order: order.clone(),
                code: "error-desk".to_owned(),
                message: reason,
            }),
        }
    }

    fn give_back(&mut self, order: &OrderId) -> Result<host::OrderState, HostError> {
        self.host.give_back(order, self.clock.now()).map(shown).map_err(|error| told(order, error))
    }
}

/// The state in the terminal's words. An order that was begun, however it stands, is one to resume.
fn shown(state: OrderState) -> host::OrderState {
    match state {
        OrderState::Paid => host::OrderState::Paid,
        OrderState::Frozen
        | OrderState::InDoubt
        | OrderState::ProofWanted
        | OrderState::NotCredited
        | OrderState::ErrorDesk => host::OrderState::Initialized,
        OrderState::Credited => host::OrderState::Done,
        OrderState::GivenBack => host::OrderState::GivenBack,
    }
}

/// A refusal is an answer; after a fault the terminal must ask again.
fn told(order: &OrderId, error: PayError) -> HostError {
    let order = order.clone();
    match error {
        PayError::Refused(refusal) => {
            HostError::Refused { order, code: refusal.code().to_owned(), message: refusal.to_string() }
        }
        fault => HostError::NoAnswer { host: "of this process".to_owned(), order, why: fault.to_string() },
    }
}
