//! The host of a load (圈存主机) as a terminal sees it: five questions about one order, each safe to repeat.
//!
//! The order's money is held at the host from [`LoadHost::pay`] on; what happens next is decided by the
//! card's own MAC1 and TAC, so a terminal cannot invent a credit and a cut line cannot lose one.

pub mod engineer;
pub mod wire;

use std::fmt;
use std::str::FromStr;
use ykt_base::{Asn8, CardCounter, DateTime, Fen, KeyVersion, Mac4, Random4, TerminalId};

/// Id of a load order, chosen by whoever opens it: 1 to 40 letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(String);

/// Why a text is no order id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an order id is 1 to {} letters, digits and hyphens, found `{found}`", OrderId::LEN_MAX)]
pub struct OrderIdError {
    /// The text.
    pub found: String,
}

impl OrderId {
    /// Most characters of an order id.
    pub const LEN_MAX: usize = 40;

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OrderId {
    type Err = OrderIdError;

    fn from_str(text: &str) -> Result<OrderId, OrderIdError> {
        let fits = (1..=OrderId::LEN_MAX).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            Ok(OrderId(text.to_owned()))
        } else {
            Err(OrderIdError { found: text.to_owned() })
        }
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A load that a customer has paid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayRequest {
    /// Id of the order; the same id with the same content is the same order.
    pub order: OrderId,
    /// Card to be loaded.
    pub card: Asn8,
    /// Amount, above zero.
    pub amount: Fen,
    /// Payment channel the money came by, such as `WECHAT` or `CASH`.
    pub channel: String,
}

/// What the card answered to INITIALIZE FOR LOAD, with the terminal it was asked at (`epurse.md` 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardOffer {
    /// Load terminal's own id, part of every MAC.
    pub terminal: TerminalId,
    /// Balance of the purse before the load.
    pub balance: Fen,
    /// Online counter before the load.
    pub counter: CardCounter,
    /// Version of the load key on the card.
    pub key_version: KeyVersion,
    /// Algorithm byte of the load key.
    pub algorithm: u8,
    /// The card's random number.
    pub random: Random4,
    /// The card's MAC over balance, amount, type and terminal.
    pub mac1: Mac4,
}

/// The host's word to the card that it may credit itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// Date and time of the load, part of MAC2 and TAC.
    pub at: DateTime,
    /// The host's MAC.
    pub mac2: Mac4,
}

/// Where an order stands at the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderState {
    /// Money is held; no card has asked yet.
    Paid,
    /// A card's MAC1 was right and MAC2 is frozen with the order; whether the card credited is not known yet.
    Initialized,
    /// The card credited itself: its TAC was right.
    Done,
    /// The money went back to the customer.
    GivenBack,
}

impl OrderState {
    /// The word of the load API: `paid`, `initialized`, `done`, `given-back`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            OrderState::Paid => "paid",
            OrderState::Initialized => "initialized",
            OrderState::Done => "done",
            OrderState::GivenBack => "given-back",
        }
    }

    /// The state a word of the load API stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<OrderState> {
        [OrderState::Paid, OrderState::Initialized, OrderState::Done, OrderState::GivenBack]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

impl fmt::Display for OrderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How an order that was cut goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumption {
    /// The card has not credited: credit it now with this fresh MAC2.
    Credit(Credit),
    /// The card's counter has moved: ask it for the proof of the load that used this counter, and confirm its TAC.
    Prove {
        /// Online counter the card had at the frozen INITIALIZE.
        counter: CardCounter,
    },
    /// Nothing is left to do at the card.
    Closed(OrderState),
}

/// Why the host did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// No answer came: the host may or may not have acted; ask again with the same order id.
    #[error("no answer from the load host {host}: {why}; the order {order} can be resumed")]
    NoAnswer {
        /// Address of the host.
        host: String,
        /// Order asked about.
        order: OrderId,
        /// What failed.
        why: String,
    },
    /// The host said no.
    #[error("the load host refused order {order}: {message} ({code})")]
    Refused {
        /// Order asked about.
        order: OrderId,
        /// Stable code of the refusal.
        code: String,
        /// Reason for people.
        message: String,
    },
    /// The answer is not one of this API.
    #[error("the load host {host} answered what is no answer to order {order}: {found}; expected {expected}")]
    BadAnswer {
        /// Address of the host.
        host: String,
        /// Order asked about.
        order: OrderId,
        /// What should have come.
        expected: &'static str,
        /// What came.
        found: String,
    },
}

/// The host that holds the money and the load keys.
pub trait LoadHost {
    /// Opens the order: the customer has paid, the money is held.
    ///
    /// # Errors
    /// [`HostError`]; with an id already used for another content it is refused.
    fn pay(&mut self, request: &PayRequest) -> Result<OrderState, HostError>;

    /// Checks MAC1 and freezes MAC2 with the order. The same offer again gives the same credit.
    ///
    /// # Errors
    /// [`HostError`]; a wrong MAC1, another amount or card is refused.
    fn initialize(&mut self, order: &OrderId, offer: &CardOffer) -> Result<Credit, HostError>;

    /// Takes the card's TAC: the load has happened.
    ///
    /// # Errors
    /// [`HostError`]; a wrong TAC is refused and the order stays as it is.
    fn confirm(&mut self, order: &OrderId, tac: Mac4) -> Result<OrderState, HostError>;

    /// Goes on with an order after a cut, from a fresh answer of the card.
    ///
    /// # Errors
    /// [`HostError`]; a wrong MAC1 is refused.
    fn resume(&mut self, order: &OrderId, offer: &CardOffer) -> Result<Resumption, HostError>;

    /// Gives the held money back: only while no card can have credited it.
    ///
    /// # Errors
    /// [`HostError`]; an order that may have been credited is refused.
    fn give_back(&mut self, order: &OrderId) -> Result<OrderState, HostError>;
}

impl<T: LoadHost + ?Sized> LoadHost for &mut T {
    fn pay(&mut self, request: &PayRequest) -> Result<OrderState, HostError> {
        (**self).pay(request)
    }

    fn initialize(&mut self, order: &OrderId, offer: &CardOffer) -> Result<Credit, HostError> {
        (**self).initialize(order, offer)
    }

    fn confirm(&mut self, order: &OrderId, tac: Mac4) -> Result<OrderState, HostError> {
        (**self).confirm(order, tac)
    }

    fn resume(&mut self, order: &OrderId, offer: &CardOffer) -> Result<Resumption, HostError> {
        (**self).resume(order, offer)
    }

    fn give_back(&mut self, order: &OrderId) -> Result<OrderState, HostError> {
        (**self).give_back(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_ids_are_narrow() {
        assert_eq!("L-20261122-0001".parse::<OrderId>().unwrap().as_str(), "L-20261122-0001");
        for bad in ["", "a/b", "a b", "圈存", &"x".repeat(41)] {
            assert!(bad.parse::<OrderId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn state_words_go_there_and_back() {
        for state in [OrderState::Paid, OrderState::Initialized, OrderState::Done, OrderState::GivenBack] {
            assert_eq!(OrderState::from_word(state.as_str()), Some(state));
        }
        assert_eq!(OrderState::from_word("lost"), None);
    }
}
