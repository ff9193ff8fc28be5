//! A load order: who pays for which card, and everything card and host have proved to each other about it.

use crate::channel::Channel;
use ykt_base::{Asn8, CardCounter, DateTime, Mac4};
use ykt_purse::PurseFen;
use ykt_terminal::host::{CardOffer, Credit, OrderId};

ykt_store::coded! {
    /// What is known about an order.
    OrderState {
        /// The money is held; no card has been promised anything.
        Paid = 1, "paid";
        /// MAC2 is frozen with the order; whether the card credited is not known yet.
        Frozen = 2, "frozen";
        /// As frozen, and a wrong TAC came: the right one, or a fresh answer of the card, settles it.
        InDoubt = 3, "in doubt";
        /// The card's counter has moved: it credited; its TAC is still to come.
        ProofWanted = 4, "proof wanted";
        /// The card's unmoved counter proves that it did not credit: load anew, or give back.
        NotCredited = 5, "not credited";
        /// The card's TAC is right: the load is done.
        Credited = 6, "credited";
        /// The money went back to the customer.
        GivenBack = 7, "given back";
        /// What the card says cannot be: people must look at it. A right TAC still settles it.
        ErrorDesk = 8, "error desk";
    }
}

impl OrderState {
    /// Whether a MAC2 is out of which nobody knows whether the card used it: such an order holds its card.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, OrderState::Frozen | OrderState::InDoubt | OrderState::ProofWanted)
    }

    /// Whether the order's money is neither on the card nor back with the customer.
    #[must_use]
    pub const fn holds_money(self) -> bool {
        !matches!(self, OrderState::Credited | OrderState::GivenBack)
    }
}

ykt_store::coded! {
    /// A step of an order's timeline.
    StepKind {
        /// The customer paid.
        Paid = 1, "paid";
        /// MAC1 was right; MAC2 is frozen.
        Frozen = 2, "MAC2 frozen";
        /// A TAC was right.
        Credited = 3, "credited";
        /// A TAC was wrong.
        WrongTac = 4, "wrong TAC";
        /// A MAC1 was wrong.
        WrongMac1 = 5, "wrong MAC1";
        /// A fresh answer proved that nothing was credited.
        NotCredited = 6, "not credited";
        /// A fresh answer showed that the counter moved.
        CounterMoved = 7, "counter moved";
        /// What the card says cannot be.
        ErrorDesk = 8, "to the error desk";
        /// The money went back.
        GivenBack = 9, "given back";
        /// The money went back, and now the card shows that it credited.
        Contradicted = 10, "given back, yet credited";
    }
}

/// A MAC2 the host gave out, with what the card had said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freeze {
    /// What the card answered to INITIALIZE FOR LOAD.
    pub offer: CardOffer,
    /// What the host answered; its moment is part of MAC2 and TAC.
    pub credit: Credit,
}

/// What a fresh answer of the card showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// The fresh answer.
    pub offer: CardOffer,
    /// The state it led to.
    pub state: OrderState,
}

/// A load order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Id its opener chose.
    pub id: OrderId,
    /// Card to be loaded.
    pub asn: Asn8,
    /// How much.
    pub amount: PurseFen,
    /// The channel the money came by.
    pub channel: Channel,
    /// What is known.
    pub state: OrderState,
    /// When the customer paid.
    pub paid_at: DateTime,
    /// When the state last changed.
    pub changed_at: DateTime,
    /// The card's TAC, once it was right.
    pub tac: Option<Mac4>,
    /// Why it is with the error desk, in words; empty elsewhere.
    pub reason: String,
    /// Every MAC2 given out, oldest first; only the last one can still be used at the card.
    pub freezes: Vec<Freeze>,
    /// Every fresh answer after a break, oldest first.
    pub proofs: Vec<Proof>,
}

impl Order {
    /// The MAC2 given out last.
    #[must_use]
    pub fn last_freeze(&self) -> Option<&Freeze> {
        self.freezes.last()
    }

    /// The online counter of the last MAC2, before the load.
    #[must_use]
    pub fn frozen_counter(&self) -> Option<CardCounter> {
        self.last_freeze().map(|freeze| freeze.offer.counter)
    }
}

/// A step of an order's timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: DateTime,
    /// What.
    pub kind: StepKind,
    /// The state after it.
    pub state: OrderState,
    /// More about it, in words; may be empty.
    pub detail: String,
}
