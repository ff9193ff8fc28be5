//! The street: citizens go about their errands at terminals and load terminals, and sometimes pull a card.
//!
//! Nothing here knows keys or books. A citizen has a card, a terminal has its PSAM and its journal, and the
//! host is asked through the same trait as over a network.

use crate::company::{self, CompanyError};
use crate::gateway::{Gateway, GatewayError};
use crate::hand::{Cut, HeldCard};
use crate::plan::{LoadBreak, Pull};
use crate::rng::SeededRng;
use crate::tally::Tally;
use ykt_base::{Date, DateTime, Fen, Mac4};
use ykt_card::PowerOnError;
use ykt_terminal::host::{
    CardOffer, Credit, HostError, LoadHost, OrderId, OrderState, PayRequest, Resumption,
};
use ykt_terminal::load::{LoadError, LoadOutcome, LoadRequest, LoadTerminal, Payment};
use ykt_terminal::pos::{Outcome, Pos, PosError, Refusal};
use ykt_terminal::store::MemoryStore;

/// INITIALIZE FOR LOAD and FOR PURCHASE.
const INS_INITIALIZE: u8 = 0x50;
/// CREDIT FOR LOAD.
const INS_CREDIT: u8 = 0x52;
/// DEBIT FOR PURCHASE.
const INS_DEBIT: u8 = 0x54;
/// Seconds until a citizen presents a pulled card again.
const COMES_BACK_S: i64 = 8;
/// Attempts of a citizen to finish a broken load.
const LOAD_ATTEMPTS_MAX: usize = 3;

/// A terminal of the street.
pub type StreetPos = Pos<HeldCard, MemoryStore>;

/// Why the street stops: a fault that no citizen can mend.
#[derive(Debug, thiserror::Error)]
pub enum StreetError {
    /// A terminal is out of order.
    #[error("terminal: {0}")]
    Pos(#[from] PosError),
    /// A load terminal is out of order.
    #[error("load terminal: {0}")]
    Load(#[from] LoadError),
    /// A card has no number.
    #[error(transparent)]
    Number(#[from] CompanyError),
    /// A card does not start.
    #[error("card {card}: {source}")]
    Card {
        /// Number of the card, from 0.
        card: usize,
        /// What is wrong with it.
        source: PowerOnError,
    },
}

/// Walks through the memory writes of a command, one each time power is cut within it.
#[derive(Debug, Default)]
struct WriteTurn {
    next: usize,
}

impl WriteTurn {
    fn cut(&self, ins: u8, rng: &mut SeededRng) -> Cut {
        Cut::Within { ins, writes: self.next, torn_len: rng.index(12) }
    }

    /// After the cut: on to the next write, or from the start when the command had no more.
    fn turn(&mut self, torn: bool) {
        self.next = if torn { self.next.saturating_add(1) } else { 0 };
    }
}

/// One purchase errand.
#[derive(Debug, Clone, Copy)]
pub struct Purchase {
    /// Price.
    pub amount: Fen,
    /// What goes wrong.
    pub fault: Option<Pull>,
    /// Whether the citizen presents a pulled card again.
    pub comes_back: bool,
    /// When.
    pub at: DateTime,
}

/// The street's memory of the day.
pub struct Street {
    rng: SeededRng,
    debit_turn: WriteTurn,
    credit_turn: WriteTurn,
    /// The table of the day.
    pub tally: Tally,
}

impl Street {
    /// A quiet street.
    #[must_use]
    pub fn new(seed: u64) -> Street {
        Street {
            rng: SeededRng::stream(seed, "street"),
            debit_turn: WriteTurn::default(),
            credit_turn: WriteTurn::default(),
            tally: Tally::default(),
        }
    }

    /// A citizen pays at a terminal.
    ///
    /// # Errors
    /// [`StreetError`] for faults of card or terminal; what a card or terminal declines is counted.
    pub fn purchase(
        &mut self,
        number: usize,
        card: &mut HeldCard,
        pos: &mut StreetPos,
        errand: Purchase,
    ) -> Result<(), StreetError> {
        let damaged = |source| StreetError::Card { card: number, source };
        let cut = errand.fault.map(|pull| match pull {
            Pull::BeforeInitialize => Cut::Before { ins: INS_INITIALIZE },
            Pull::AfterInitialize => Cut::Before { ins: INS_DEBIT },
            Pull::InDebit => self.debit_turn.cut(INS_DEBIT, &mut self.rng),
            Pull::AnswerLost => Cut::After { ins: INS_DEBIT },
        });
        card.present(cut).map_err(damaged)?;
        let first = pos.purchase(card, errand.amount, errand.at)?;
        card.remove();
        if !matches!(first, Outcome::TryAgain { .. }) {
            self.count(&first, errand.amount, false);
            return Ok(());
        }
        if let Some(pull) = errand.fault {
            if pull == Pull::InDebit {
                self.debit_turn.turn(card.was_torn());
                self.tally.torn_writes = self.tally.torn_writes.saturating_add(u32::from(card.was_torn()));
            }
            let pulled = self.tally.pulls.entry(pull).or_default();
            pulled.times = pulled.times.saturating_add(1);
            pulled.settled = pulled.settled.saturating_add(u32::from(errand.comes_back));
        }
        if !errand.comes_back {
            self.tally.walked_away.add(errand.amount);
            return Ok(());
        }
        card.present(None).map_err(damaged)?;
        let later = errand.at.plus_seconds(COMES_BACK_S).unwrap_or(errand.at);
        let second = pos.purchase(card, errand.amount, later)?;
        card.remove();
        self.count(&second, errand.amount, true);
        Ok(())
    }

    fn count(&mut self, outcome: &Outcome, amount: Fen, again: bool) {
        match outcome {
            Outcome::Paid(_) if again => self.tally.purchases_repeated.add(amount),
            Outcome::Paid(_) => self.tally.purchases.add(amount),
            Outcome::Recovered(receipt) => {
                self.tally.purchases_recovered.add(receipt.record.debit.amount);
            }
            Outcome::Declined(refusal) => {
                self.tally.declined.entry(reason(refusal)).or_default().add(amount);
            }
            Outcome::TryAgain { .. } => self.tally.walked_away.add(amount),
        }
    }

    /// A citizen pays at home and never comes to the load terminal: the money goes back at the end of the day.
    fn pay_and_stay_away<H: LoadHost>(
        &mut self,
        number: usize,
        host: &mut Line<'_, H>,
        errand: &Load<'_>,
    ) -> Result<(), StreetError> {
        let card = company::card_number(number)?;
        let order = errand.order.clone();
        let request = PayRequest { order, card, amount: errand.amount, channel: errand.channel.to_owned() };
        match host.pay(&request) {
            Ok(_) => {
                let stayed = self.tally.breaks.entry(LoadBreak::NeverComes).or_default();
                stayed.times = stayed.times.saturating_add(1);
            }
            Err(HostError::Refused { .. }) => self.tally.loads_refused.add(errand.amount),
            Err(error) => return Err(LoadError::Host(error).into()),
        }
        Ok(())
    }

    /// A citizen pays an order at the gateway and goes to the load terminal with it.
    ///
    /// # Errors
    /// [`StreetError`] for faults of card, terminal, host or gateway.
    pub fn load<H: LoadHost>(
        &mut self,
        number: usize,
        card: &mut HeldCard,
        terminal: LoadTerminal,
        host: &mut Line<'_, H>,
        errand: &Load<'_>,
    ) -> Result<(), StreetError> {
        let damaged = |source| StreetError::Card { card: number, source };
        if errand.fault == Some(LoadBreak::NeverComes) {
            return self.pay_and_stay_away(number, host, errand);
        }
        let cut = match errand.fault {
            Some(LoadBreak::BeforeInitialize) => Some(Cut::Before { ins: INS_INITIALIZE }),
            Some(LoadBreak::AfterInitialize) => Some(Cut::After { ins: INS_INITIALIZE }),
            Some(LoadBreak::InCredit) => Some(self.credit_turn.cut(INS_CREDIT, &mut self.rng)),
            Some(LoadBreak::AnswerLost) => Some(Cut::After { ins: INS_CREDIT }),
            _ => None,
        };
        host.lose = match errand.fault {
            Some(LoadBreak::HostAnswerLost) => Some(Question::Initialize),
            Some(LoadBreak::ConfirmLost) => Some(Question::Confirm),
            _ => None,
        };
        card.present(cut).map_err(damaged)?;
        let request = LoadRequest { order: errand.order, amount: errand.amount, channel: errand.channel };
        let first = terminal.load(card, host, &request, errand.at);
        card.remove();
        let mut outcome = first?;
        let broken = matches!(outcome, LoadOutcome::Cut { .. });
        if errand.fault == Some(LoadBreak::InCredit) && broken {
            self.credit_turn.turn(card.was_torn());
            self.tally.torn_writes = self.tally.torn_writes.saturating_add(u32::from(card.was_torn()));
        }
        for _ in 0..LOAD_ATTEMPTS_MAX {
            if !matches!(outcome, LoadOutcome::Cut { .. }) {
                break;
            }
            card.present(None).map_err(damaged)?;
            outcome = terminal.resume(card, host, errand.order, errand.amount)?;
            card.remove();
        }
        if let Some(fault) = errand.fault.filter(|_| broken) {
            let pulled = self.tally.breaks.entry(fault).or_default();
            pulled.times = pulled.times.saturating_add(1);
            let settled = matches!(outcome, LoadOutcome::Loaded { .. });
            pulled.settled = pulled.settled.saturating_add(u32::from(settled));
        }
        match outcome {
            LoadOutcome::Loaded { .. } if broken => self.tally.loads_resumed.add(errand.amount),
            LoadOutcome::Loaded { .. } => self.tally.loads.add(errand.amount),
            LoadOutcome::NotLoaded { payment: Payment::GivenBack, .. } => {
                self.tally.loads_given_back.add(errand.amount);
            }
            LoadOutcome::NotLoaded { .. } | LoadOutcome::Cut { .. } => {
                self.tally.loads_refused.add(errand.amount);
            }
        }
        Ok(())
    }
}

/// One load errand.
#[derive(Debug, Clone, Copy)]
pub struct Load<'a> {
    /// The order that was paid.
    pub order: &'a OrderId,
    /// How much.
    pub amount: Fen,
    /// The channel it was paid by.
    pub channel: &'a str,
    /// What goes wrong.
    pub fault: Option<LoadBreak>,
    /// When.
    pub at: DateTime,
}

fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::InsufficientFunds { .. } => "balance too small 余额不足",
        Refusal::Blacklisted { .. } => "on the black list 黑名单",
        Refusal::OutOfDate { .. } => "out of date 过期",
        Refusal::NotGenuine => "MAC2 wrong 卡片认证失败",
        Refusal::Locked => "locked 已锁定",
        _ => "other 其他",
    }
}

/// A question to the host whose answer can be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// [`LoadHost::initialize`].
    Initialize,
    /// [`LoadHost::confirm`].
    Confirm,
}

/// The way from a load terminal to the company: payments are collected by the gateway as the company opens
/// orders, and one answer can be lost: the host has acted, the terminal does not know.
pub struct Line<'a, H> {
    /// The company's host.
    pub host: H,
    /// Who collects the money.
    pub gateway: &'a mut Gateway,
    /// The day of the payments.
    pub day: Date,
    /// The answer that will be lost next.
    pub lose: Option<Question>,
}

impl<H> Line<'_, H> {
    fn deliver<T>(&mut self, question: Question, order: &OrderId, answer: T) -> Result<T, HostError> {
        if self.lose == Some(question) {
            self.lose = None;
            return Err(HostError::NoAnswer {
                host: "load host".to_owned(),
                order: order.clone(),
                why: "the line was cut".to_owned(),
            });
        }
        Ok(answer)
    }
}

fn by_gateway(order: &OrderId) -> impl Fn(GatewayError) -> HostError {
    |error| HostError::Refused {
        order: order.clone(),
        code: "GATEWAY".to_owned(),
        message: error.to_string(),
    }
}

impl<H: LoadHost> LoadHost for Line<'_, H> {
    fn pay(&mut self, request: &PayRequest) -> Result<OrderState, HostError> {
        let state = self.host.pay(request)?;
        let order = &request.order;
        self.gateway.pay(order.as_str(), request.amount, self.day).map_err(by_gateway(order))?;
        Ok(state)
    }

    fn initialize(&mut self, order: &OrderId, offer: &CardOffer) -> Result<Credit, HostError> {
        let credit = self.host.initialize(order, offer)?;
        self.deliver(Question::Initialize, order, credit)
    }

    fn confirm(&mut self, order: &OrderId, tac: Mac4) -> Result<OrderState, HostError> {
        let state = self.host.confirm(order, tac)?;
        self.deliver(Question::Confirm, order, state)
    }

    fn resume(&mut self, order: &OrderId, offer: &CardOffer) -> Result<Resumption, HostError> {
        self.host.resume(order, offer)
    }

    fn give_back(&mut self, order: &OrderId) -> Result<OrderState, HostError> {
        let state = self.host.give_back(order)?;
        self.gateway.give_back(order.as_str()).map_err(by_gateway(order))?;
        Ok(state)
    }
}
