//! A load terminal (圈存机): brings money that a customer has paid onto the card, together with the host.
//!
//! The order at the host is the thread through it all. Wherever the card or the line is cut, [`LoadTerminal::resume`]
//! with the same order finds out what happened: the card's fresh MAC1 shows that nothing did, or its proof
//! that everything did. Nobody pays twice and no load is lost.

use crate::card::{self, CardError, Step};
use crate::host::{CardOffer, Credit, HostError, LoadHost, OrderId, OrderState, PayRequest, Resumption};
use std::fmt;
use ykt_base::{
    CardChannel, CardCounter, ChannelError, DateTime, Fen, KeyIndex, Mac4, StatusWord, TerminalId,
};
use ykt_purse::load::{CreditForLoad, InitializeForLoad, Load, LoadAnswer};
use ykt_purse::{Purse, PurseFen, TransactionType};

/// A load terminal: its own id, not that of a purchase PSAM (`epurse.md` 7.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadTerminal {
    /// Terminal id in MACs, TAC and log.
    pub terminal: TerminalId,
    /// Index of the load key.
    pub key_index: KeyIndex,
    /// What is loaded: the purse, or the deposit.
    pub purse: Purse,
}

/// A load that a customer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadRequest<'a> {
    /// Id of the order; an order that was opened before is gone on with.
    pub order: &'a OrderId,
    /// Amount.
    pub amount: Fen,
    /// Payment channel the money came by.
    pub channel: &'a str,
}

/// What became of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadOutcome {
    /// The card has the money and the host knows it.
    Loaded {
        /// Balance after.
        balance: Fen,
    },
    /// The card does not have the money.
    NotLoaded {
        /// Why.
        reason: LoadRefusal,
        /// What became of the customer's payment.
        payment: Payment,
    },
    /// The way was cut: show the card again and resume the order.
    Cut {
        /// What was cut.
        at: Cut,
    },
}

/// Where the way was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// The card left before this step was answered.
    Card(Step),
    /// The host did not answer.
    Host(HostError),
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cut::Card(step) => write!(f, "the card left at {step}"),
            Cut::Host(error) => fmt::Display::fmt(error, f),
        }
    }
}

/// What became of a customer's payment that brought no load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payment {
    /// Nothing was paid: the card was refused before.
    NotTaken,
    /// It went back.
    GivenBack,
    /// The host holds it with the order.
    Held {
        /// What was said when it was asked to give it back, or why it was not asked.
        because: String,
    },
}

impl fmt::Display for Payment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Payment::NotTaken => f.write_str("none was taken"),
            Payment::GivenBack => f.write_str("given back"),
            Payment::Held { because } => write!(f, "held with the order ({because})"),
        }
    }
}

/// Why a card was not loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadRefusal {
    /// The card stopped at a step.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The host said no.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The card is not enabled, or not valid on this day.
    #[error("the card is not enabled, or not valid on this day")]
    NotUsable,
    /// The order is closed without a load.
    #[error("the order is closed: {0}")]
    Closed(OrderState),
    /// The card has no proof of the load that its counter says happened.
    #[error(
        "the card has no proof of its load with online counter {0}: settle the order at the service desk"
    )]
    NoProof(CardCounter),
}

/// A fault of the terminal or the host.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The card reader failed.
    #[error("card reader: {step}: {cause}; resume the order when it works again")]
    Reader {
        /// The step.
        step: Step,
        /// What failed.
        cause: ChannelError,
    },
    /// The amount cannot be loaded.
    #[error("an amount from 0.01 to {} yuan can be loaded, found {found}", Fen::PURSE_MAX)]
    Amount {
        /// Amount asked for.
        found: Fen,
    },
    /// The host does not speak its API.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The card credited itself, and the host does not believe its TAC.
    #[error("the card has the money, but the host does not confirm it: settle the order at the service desk")]
    Disputed {
        /// What the host said.
        source: HostError,
    },
}

/// How a load stops before its end.
enum Stop {
    Outcome(LoadOutcome),
    Fault(LoadError),
    /// The card said no: what that means depends on the step.
    Card(CardError),
}

impl From<CardError> for Stop {
    fn from(error: CardError) -> Stop {
        match error {
            CardError::Silent { step, cause: ChannelError::NoCard | ChannelError::Removed } => {
                Stop::Outcome(LoadOutcome::Cut { at: Cut::Card(step) })
            }
            CardError::Silent { step, cause } => Stop::Fault(LoadError::Reader { step, cause }),
            CardError::Refused { .. } | CardError::Unreadable { .. } => Stop::Card(error),
        }
    }
}

impl From<LoadError> for Stop {
    fn from(error: LoadError) -> Stop {
        Stop::Fault(error)
    }
}

/// CREDIT commands that a card may refuse before its load is given up.
const CREDITS_MAX: usize = 2;

impl LoadTerminal {
    /// Opens the order of `request` (or finds it open) and loads the card.
    ///
    /// # Errors
    /// [`LoadError`] for faults; what was paid stays with the order, which can be resumed.
    pub fn load(
        &self,
        card: &mut (impl CardChannel + ?Sized),
        host: &mut (impl LoadHost + ?Sized),
        request: &LoadRequest<'_>,
        at: DateTime,
    ) -> Result<LoadOutcome, LoadError> {
        let amount = purse_amount(request.amount)?;
        let mut dialogue = Dialogue { terminal: *self, card, host, order: request.order, amount };
        end(dialogue.open(request, at))
    }

    /// Goes on with an order that was cut, after the card was shown again.
    ///
    /// # Errors
    /// As [`LoadTerminal::load`].
    pub fn resume(
        &self,
        card: &mut (impl CardChannel + ?Sized),
        host: &mut (impl LoadHost + ?Sized),
        order: &OrderId,
        amount: Fen,
    ) -> Result<LoadOutcome, LoadError> {
        let amount = purse_amount(amount)?;
        let mut dialogue = Dialogue { terminal: *self, card, host, order, amount };
        end(dialogue.take_up())
    }
}

fn purse_amount(found: Fen) -> Result<PurseFen, LoadError> {
    PurseFen::try_from(found).ok().filter(|amount| !amount.is_zero()).ok_or(LoadError::Amount { found })
}

fn end(outcome: Result<LoadOutcome, Stop>) -> Result<LoadOutcome, LoadError> {
    match outcome {
        Ok(outcome) | Err(Stop::Outcome(outcome)) => Ok(outcome),
        Err(Stop::Card(error)) => {
            Ok(LoadOutcome::NotLoaded { reason: error.into(), payment: Payment::NotTaken })
        }
        Err(Stop::Fault(error)) => Err(error),
    }
}

/// One order between one card and the host.
struct Dialogue<'a, C: ?Sized, H: ?Sized> {
    terminal: LoadTerminal,
    card: &'a mut C,
    host: &'a mut H,
    order: &'a OrderId,
    amount: PurseFen,
}

impl<C: CardChannel + ?Sized, H: LoadHost + ?Sized> Dialogue<'_, C, H> {
    fn open(&mut self, request: &LoadRequest<'_>, at: DateTime) -> Result<LoadOutcome, Stop> {
        let public = card::open(self.card)?;
        if !public.usable_on(at.date) {
            let (reason, payment) = (LoadRefusal::NotUsable, Payment::NotTaken);
            return Ok(LoadOutcome::NotLoaded { reason, payment });
        }
        let paid = self.host.pay(&PayRequest {
            order: request.order.clone(),
            card: public.asn,
            amount: request.amount,
            channel: request.channel.to_owned(),
        });
        match paid {
            Ok(OrderState::Paid) => {}
            Ok(OrderState::Initialized) => return self.go_on(),
            Ok(OrderState::Done) => return Ok(LoadOutcome::Loaded { balance: self.balance()? }),
            Ok(OrderState::GivenBack) => return Ok(closed(OrderState::GivenBack)),
            Err(error @ HostError::Refused { .. }) => {
                return Ok(LoadOutcome::NotLoaded { reason: error.into(), payment: Payment::NotTaken });
            }
            Err(error) => return cut(error),
        }
        let offer = match self.initialize() {
            Err(Stop::Card(error)) => return Ok(self.give_back(error.into())),
            other => other?,
        };
        match self.host.initialize(self.order, &offer) {
            Ok(credit) => self.credit(&offer, credit),
            Err(error @ HostError::Refused { .. }) => Ok(self.give_back(error.into())),
            Err(error) => cut(error),
        }
    }

    fn take_up(&mut self) -> Result<LoadOutcome, Stop> {
        card::select(self.card)?;
        self.go_on()
    }

    /// A fresh INITIALIZE, and what the host makes of it.
    fn go_on(&mut self) -> Result<LoadOutcome, Stop> {
        for _ in 0..CREDITS_MAX {
            let offer = match self.initialize() {
                Err(Stop::Card(error)) => return self.full_card(error),
                other => other?,
            };
            match self.host.resume(self.order, &offer) {
                Ok(Resumption::Credit(credit)) => match self.send_credit(credit) {
                    Err(Stop::Card(_)) => {}
                    other => return self.confirm(other?, credited(&offer, self.amount)),
                },
                Ok(Resumption::Prove { counter }) => return self.prove(counter, offer.balance),
                Ok(Resumption::Closed(OrderState::Done)) => {
                    return Ok(LoadOutcome::Loaded { balance: offer.balance });
                }
                Ok(Resumption::Closed(state)) => return Ok(closed(state)),
                // Another card than the order's, perhaps: the right one may have the money already.
                Err(error @ HostError::Refused { .. }) => return Ok(held(error.clone().into(), &error)),
                Err(error) => return cut(error),
            }
        }
        let refused = CardError::Refused { step: Step::Credit, sw: StatusWord::TRANSACTION_MAC_WRONG };
        Ok(self.give_back(refused.into()))
    }

    /// A card that is full because the load did happen refuses another one; its last load is the proof.
    fn full_card(&mut self, error: CardError) -> Result<LoadOutcome, Stop> {
        let balance = self.balance()?;
        let log = card::log(self.card)?;
        let transaction = self.transaction();
        let last = log.iter().find(|record| record.transaction == transaction);
        let used = last.and_then(|record| record.counter.0.checked_sub(1)).map(CardCounter);
        let proof = match used {
            Some(used) => card::prove(self.card, transaction, used)?,
            None => None,
        };
        let Some(proof) = proof else { return Ok(self.give_back(error.into())) };
        match self.host.confirm(self.order, proof.tac) {
            Ok(_) => Ok(LoadOutcome::Loaded { balance }),
            // The proof is that of another load: this order has not come to the card.
            Err(HostError::Refused { .. }) => Ok(self.give_back(error.into())),
            Err(error) => cut(error),
        }
    }

    fn balance(&mut self) -> Result<Fen, CardError> {
        card::balance_of(self.card, self.terminal.purse)
    }

    const fn transaction(&self) -> TransactionType {
        match self.terminal.purse {
            Purse::Ed => TransactionType::EdLoad,
            Purse::Ep => TransactionType::EpLoad,
        }
    }

    fn initialize(&mut self) -> Result<CardOffer, Stop> {
        let LoadTerminal { terminal, key_index, purse } = self.terminal;
        let load = Load { purse, amount: self.amount, terminal };
        let command = InitializeForLoad { key_index, load }.to_apdu();
        let answer = card::demand(self.card, Step::InitializeForLoad, &command, LoadAnswer::from_bytes)?;
        Ok(CardOffer {
            terminal,
            balance: answer.balance.fen(),
            counter: answer.counter,
            key_version: answer.key_version,
            algorithm: answer.algorithm,
            random: answer.random,
            mac1: answer.mac1,
        })
    }

    /// The first CREDIT of an order; one that the card refuses is followed by a fresh INITIALIZE.
    fn credit(&mut self, offer: &CardOffer, credit: Credit) -> Result<LoadOutcome, Stop> {
        match self.send_credit(credit) {
            Err(Stop::Card(_)) => self.go_on(),
            other => self.confirm(other?, credited(offer, self.amount)),
        }
    }

    /// CREDIT FOR LOAD; an answer that is none leaves open whether the card credited, like no answer at all.
    fn send_credit(&mut self, credit: Credit) -> Result<Mac4, Stop> {
        let command = CreditForLoad { at: credit.at, mac2: credit.mac2 }.to_apdu();
        let tac = |data: &[u8]| data.try_into().ok().map(Mac4);
        match card::demand(self.card, Step::Credit, &command, tac) {
            Err(
                CardError::Unreadable { step, .. }
                | CardError::Refused { step, sw: StatusWord::MEMORY_FAILURE | StatusWord::NO_DIAGNOSIS },
            ) => Err(Stop::Outcome(LoadOutcome::Cut { at: Cut::Card(step) })),
            other => Ok(other?),
        }
    }

    fn prove(&mut self, counter: CardCounter, balance: Fen) -> Result<LoadOutcome, Stop> {
        match card::prove(self.card, self.transaction(), counter)? {
            Some(proof) => self.confirm(proof.tac, balance),
            None => {
                let reason = LoadRefusal::NoProof(counter);
                Ok(held(reason.clone(), &reason))
            }
        }
    }

    fn confirm(&mut self, tac: Mac4, balance: Fen) -> Result<LoadOutcome, Stop> {
        match self.host.confirm(self.order, tac) {
            Ok(_) => Ok(LoadOutcome::Loaded { balance }),
            Err(source @ HostError::Refused { .. }) => Err(LoadError::Disputed { source }.into()),
            Err(error) => cut(error),
        }
    }

    fn give_back(&mut self, reason: LoadRefusal) -> LoadOutcome {
        match self.host.give_back(self.order) {
            Ok(_) => LoadOutcome::NotLoaded { reason, payment: Payment::GivenBack },
            Err(error) => held(reason, &error),
        }
    }
}

fn credited(offer: &CardOffer, amount: PurseFen) -> Fen {
    offer.balance.checked_add(amount.fen()).unwrap_or(offer.balance)
}

fn held(reason: LoadRefusal, because: &impl ToString) -> LoadOutcome {
    LoadOutcome::NotLoaded { reason, payment: Payment::Held { because: because.to_string() } }
}

fn closed(state: OrderState) -> LoadOutcome {
    LoadOutcome::NotLoaded { reason: LoadRefusal::Closed(state), payment: Payment::GivenBack }
}

/// A host that did not answer may have acted: the order goes on later. One that answers nonsense is a fault.
fn cut(error: HostError) -> Result<LoadOutcome, Stop> {
    match error {
        HostError::NoAnswer { .. } => Ok(LoadOutcome::Cut { at: Cut::Host(error) }),
        other => Err(LoadError::Host(other).into()),
    }
}
