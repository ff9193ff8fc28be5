//! Two kinds of no: a refusal is an answer about the order or the card; an error is a fault of ours.

use crate::channel::ChannelError;
use crate::order::OrderState;
use crate::posting::WordError;
use thiserror::Error;
use ykt_base::{CardCounter, Date, Fen, KeyVersion};
use ykt_ledger::PostError;
use ykt_office::cards::CardState;
use ykt_store::StoreError;
use ykt_terminal::host::OrderId;
use ykt_vault::VaultError;

/// Why a step of an order was refused. The order stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// There is no such order.
    #[error("there is no load order {order}: pay it first")]
    UnknownOrder {
        /// The order.
        order: OrderId,
    },
    /// The order exists with other content.
    #[error("order {order} exists with another {differs}: choose another id for another load")]
    OtherContent {
        /// The order.
        order: OrderId,
        /// What differs.
        differs: &'static str,
    },
    /// The amount cannot be loaded.
    #[error("an amount from 0.01 to {max} yuan can be loaded, found {found}")]
    Amount {
        /// Amount asked for.
        found: Fen,
        /// Largest single load.
        max: Fen,
    },
    /// The card would hold too much.
    #[error("the card may hold {max} yuan; {balance} and {amount} are more")]
    BalanceLimit {
        /// Balance of the card.
        balance: Fen,
        /// Amount to be loaded.
        amount: Fen,
        /// Largest balance.
        max: Fen,
    },
    /// The channel's name is none.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The card is not in the register.
    #[error("the card is not registered here")]
    UnknownCard,
    /// The card's state forbids loads.
    #[error("the card is {state}: it cannot be loaded")]
    CardState {
        /// Its state.
        state: CardState,
    },
    /// The card is past its last day.
    #[error("the card was valid until {expiry}: it cannot be loaded")]
    CardExpired {
        /// Its last day.
        expiry: Date,
    },
    /// The load key the card names is not one of ours.
    #[error(
        "the card names load key version {version}, algorithm {algorithm:02X}: the vault has no such key"
    )]
    UnknownKey {
        /// Version the card stated.
        version: KeyVersion,
        /// Algorithm byte the card stated.
        algorithm: u8,
    },
    /// The card's MAC1 is wrong.
    #[error(
        "MAC1 of the card is wrong ({failures} in a row): nothing was frozen; present the order's own card"
    )]
    WrongMac1 {
        /// Wrong ones in a row for this card.
        failures: u32,
    },
    /// The card's TAC is wrong.
    #[error("the TAC is wrong: send the one the card gave, or resume with a fresh INITIALIZE")]
    WrongTac,
    /// Another load of this card is open.
    #[error("order {other} of this card is open: resume or confirm it first")]
    CardBusy {
        /// The open order.
        other: OrderId,
    },
    /// The order has a MAC2 out for another answer of the card.
    #[error("order {order} has a MAC2 out: resume it with a fresh INITIALIZE")]
    ResumeFirst {
        /// The order.
        order: OrderId,
    },
    /// The answer of the card was used before, so it proves nothing about what happened since.
    #[error(
        "this answer of the card was used before: send INITIALIZE FOR LOAD again and resume with its answer"
    )]
    NotFresh,
    /// The order's state does not allow the step.
    #[error("order {order} is {state}: {step} is not possible")]
    State {
        /// The order.
        order: OrderId,
        /// Its state.
        state: OrderState,
        /// What was to happen.
        step: &'static str,
    },
    /// The money went back, and the card shows that it has it too.
    #[error("order {order} was given back, and the card has the money: the error desk must see the card")]
    Contradicted {
        /// The order.
        order: OrderId,
    },
    /// The counter of the card is used up.
    #[error("the card's online counter {counter} is at its end: exchange the card")]
    CounterAtEnd {
        /// The counter.
        counter: CardCounter,
    },
    /// A settlement of a channel is impossible.
    #[error("a channel settles more than nothing and keeps no more than that: gross {gross}, fee {fee}")]
    Settlement {
        /// What customers paid.
        gross: Fen,
        /// What the channel keeps.
        fee: Fen,
    },
    /// A channel's day is settled with other amounts.
    #[error("channel {channel} settled {day} with gross {gross} and fee {fee} before")]
    SettledOtherwise {
        /// The channel.
        channel: String,
        /// The day of the payments.
        day: Date,
        /// Gross settled before.
        gross: Fen,
        /// Fee settled before.
        fee: Fen,
    },
}

impl Refusal {
    /// A stable code for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Refusal::UnknownOrder { .. } => "unknown-order",
            Refusal::OtherContent { .. } => "other-content",
            Refusal::Amount { .. } => "amount",
            Refusal::BalanceLimit { .. } => "balance-limit",
            Refusal::Channel(_) => "channel",
            Refusal::UnknownCard => "unknown-card",
            Refusal::CardState { .. } => "card-state",
            Refusal::CardExpired { .. } => "card-expired",
            Refusal::UnknownKey { .. } => "unknown-key",
            Refusal::WrongMac1 { .. } => "wrong-mac1",
            Refusal::WrongTac => "wrong-tac",
            Refusal::CardBusy { .. } => "card-busy",
            Refusal::ResumeFirst { .. } => "resume-first",
            Refusal::NotFresh => "not-fresh",
            Refusal::State { .. } => "state",
            Refusal::Contradicted { .. } => "contradicted",
            Refusal::CounterAtEnd { .. } => "counter-at-end",
            Refusal::Settlement { .. } => "settlement",
            Refusal::SettledOtherwise { .. } => "settled-otherwise",
        }
    }
}

/// Why a step was not done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PayError {
    /// The order, the card or the policy says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database failed; nothing of the step is kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The books took no entry; nothing of the step is kept.
    #[error(transparent)]
    Ledger(#[from] PostError),
    /// An account or entry id could not be written down; nothing of the step is kept.
    #[error(transparent)]
    Word(#[from] WordError),
    /// The vault did not answer; nothing of the step is kept.
    #[error(transparent)]
    Vault(#[from] VaultError),
}
