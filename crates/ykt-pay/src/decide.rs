//! What may happen to an order next: pure decisions over the order, the card's answer and a few facts.
//!
//! The counter of the card decides. A MAC2 can be used only while the card keeps the random number it was made
//! for, and using it moves the online counter by one. So a fresh answer with the frozen counter proves that
//! nothing was credited and that the old MAC2 is void; one with the next counter proves that it was.

use crate::error::Refusal;
use crate::order::{Order, OrderState};
use ykt_base::{CardCounter, Fen, Mac4};
use ykt_terminal::host::{CardOffer, Credit, OrderId};

/// What the order itself does not know.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Another order of the card with a MAC2 out.
    pub open_elsewhere: Option<OrderId>,
    /// Every step of the card's counter since this order's last MAC2 belongs to a credited load of another order.
    pub moved_by_others: bool,
}

/// What to do with an answer to INITIALIZE FOR LOAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initialize {
    /// It was answered before, with this.
    Again(Credit),
    /// Freeze a MAC2 for it.
    Freeze,
}

/// What a fresh answer after a break shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// It was judged before, or the order is closed: it was in this state then.
    Again(OrderState),
    /// The order comes into this state.
    Becomes(OrderState),
    /// That cannot be: to the error desk, with the reason.
    Impossible(String),
}

/// What to do with a TAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// It was right before.
    Again,
    /// It proves the load of the MAC2 with this place among the order's.
    Credited(usize),
    /// It is wrong; the order comes into this state.
    Wrong(OrderState),
    /// It is right, and the money went back.
    Contradicts,
}

/// What to do when the money is to go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveBack {
    /// It went back before.
    Again,
    /// Give it back.
    Now,
}

/// Judges an answer to INITIALIZE FOR LOAD whose MAC1 is right.
pub fn initialize(order: &Order, offer: &CardOffer, facts: &Facts) -> Result<Initialize, Refusal> {
    if let Some(freeze) = order.freezes.iter().find(|freeze| freeze.offer == *offer) {
        return Ok(Initialize::Again(freeze.credit));
    }
    let resume_first = Err(Refusal::ResumeFirst { order: order.id.clone() });
    match order.state {
        OrderState::Paid => {}
        OrderState::NotCredited => {
            let moved = order.frozen_counter() != Some(offer.counter);
            if moved && !facts.moved_by_others {
                return resume_first;
            }
        }
        OrderState::Frozen | OrderState::InDoubt | OrderState::ProofWanted => return resume_first,
        OrderState::Credited | OrderState::GivenBack | OrderState::ErrorDesk => {
            return Err(not_possible(order, "loading"));
        }
    }
    if let Some(other) = &facts.open_elsewhere {
        return Err(Refusal::CardBusy { other: other.clone() });
    }
    if offer.counter.next().is_none() {
        return Err(Refusal::CounterAtEnd { counter: offer.counter });
    }
    Ok(Initialize::Freeze)
}

/// Judges a fresh answer after a break whose MAC1 is right.
pub fn resume(order: &Order, offer: &CardOffer, facts: &Facts) -> Result<Resume, Refusal> {
    if let Some(proof) = order.proofs.iter().find(|proof| proof.offer == *offer) {
        return Ok(Resume::Again(proof.state));
    }
    let used = |old: &CardOffer| old.random == offer.random && old.counter == offer.counter;
    match order.state {
        OrderState::Credited | OrderState::GivenBack => return Ok(Resume::Again(order.state)),
        OrderState::ErrorDesk => return Err(not_possible(order, "resuming")),
        _ if order.freezes.iter().any(|freeze| used(&freeze.offer)) => return Err(Refusal::NotFresh),
        _ => {}
    }
    // Nothing was promised yet; the answer is kept, so that it cannot pass for a fresh one later.
    let Some(last) = order.last_freeze() else { return Ok(Resume::Becomes(order.state)) };
    let frozen = last.offer.counter;
    let impossible = |what: &str, expected: &str, found: &str| {
        Ok(Resume::Impossible(format!("{what}: expected {expected}, found {found}")))
    };
    if offer.counter == frozen {
        if order.state == OrderState::ProofWanted {
            let expected = frozen.next().unwrap_or(frozen).to_string();
            return impossible("the online counter went back", &expected, &offer.counter.to_string());
        }
        if offer.balance > last.offer.balance {
            let expected = format!("at most {}", last.offer.balance);
            return impossible("the balance rose without a load", &expected, &offer.balance.to_string());
        }
        return Ok(Resume::Becomes(OrderState::NotCredited));
    }
    // Each step of the counter is one load, and all of these are proved to be other orders'.
    if facts.moved_by_others {
        return Ok(Resume::Becomes(OrderState::NotCredited));
    }
    // The step may be the other order's, whose MAC2 is still out.
    if let Some(other) = facts.open_elsewhere.as_ref().filter(|_| order.state == OrderState::NotCredited) {
        return Err(Refusal::CardBusy { other: other.clone() });
    }
    if frozen.next() != Some(offer.counter) {
        let expected = format!("{frozen} or the one after it");
        return impossible("the online counter", &expected, &offer.counter.to_string());
    }
    let most = last.offer.balance.checked_add(order.amount.fen()).unwrap_or(Fen::PURSE_MAX);
    if offer.balance > most {
        return impossible(
            "the balance after the load",
            &format!("at most {most}"),
            &offer.balance.to_string(),
        );
    }
    Ok(Resume::Becomes(OrderState::ProofWanted))
}

/// Judges a TAC; `right` is the place of the MAC2 whose load it proves.
pub fn confirm(order: &Order, tac: &Mac4, right: Option<usize>) -> Result<Confirm, Refusal> {
    match (order.state, right) {
        (OrderState::Credited, _) if order.tac == Some(*tac) => Ok(Confirm::Again),
        (OrderState::Credited, _) => Err(Refusal::OtherContent { order: order.id.clone(), differs: "TAC" }),
        (OrderState::Paid, _) | (OrderState::GivenBack, None) => Err(not_possible(order, "confirming")),
        (OrderState::GivenBack, Some(_)) => Ok(Confirm::Contradicts),
        // A right TAC settles every doubt: nobody but the card can make it, and only by crediting.
        (_, Some(freeze)) => Ok(Confirm::Credited(freeze)),
        (OrderState::Frozen, None) => Ok(Confirm::Wrong(OrderState::InDoubt)),
        (state, None) => Ok(Confirm::Wrong(state)),
    }
}

/// Judges whether the money may go back: only while it is certain that no card has it.
pub fn give_back(order: &Order) -> Result<GiveBack, Refusal> {
    match order.state {
        OrderState::Paid | OrderState::NotCredited => Ok(GiveBack::Now),
        OrderState::GivenBack => Ok(GiveBack::Again),
        OrderState::Frozen | OrderState::InDoubt => Err(Refusal::ResumeFirst { order: order.id.clone() }),
        OrderState::ProofWanted | OrderState::Credited | OrderState::ErrorDesk => {
            Err(not_possible(order, "giving back"))
        }
    }
}

/// The counters between this order's last MAC2 and `found`, which other orders may have moved.
pub fn moved_range(order: &Order, found: CardCounter) -> Option<(CardCounter, CardCounter)> {
    order.frozen_counter().filter(|frozen| *frozen < found).map(|frozen| (frozen, found))
}

fn not_possible(order: &Order, step: &'static str) -> Refusal {
    Refusal::State { order: order.id.clone(), state: order.state, step }
}
