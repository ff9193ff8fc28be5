//! A terminal for M1 cards: purchase, load, repair, blacklist marking (`epurse.md` 8.6, 8.7).
//!
//! An M1 card has no journal and proves nothing: a card that leaves too early keeps whatever was written, torn blocks
//! included. So the terminal writes in an order that leaves one good copy of everything at any moment, reads the
//! purse back before it believes it, and keeps the transaction pending by the card's UID until the card is whole
//! ([`M1Book`]). When the card returns it is gone on with from there ([`visit`]).

mod book;
mod image;
mod keys;
mod store;
mod visit;

pub use book::{Certainty, Closing, EntryStep, Intent, Lock, M1Book, M1Entry, M1Record, Operation, Pending};
pub use image::M1Image;
pub use keys::{M1KeyError, M1Keys, PsamKeys, SoftKeys};
pub use store::{M1File, M1Memory, M1Store};

use crate::blacklist::Blacklist;
use crate::pos::Money;
use crate::store::StoreError;
use crate::transport::vpcd::InsertedCard;
use ykt_base::{CardChannel, ChannelError, Date, DateTime, Fen, Response, StatusWord, TerminalId};
use ykt_m1::{BlockMemory, BlockNo, CardView, Dialogue, DialogueError, M1Layout, M1Reader, Step, Uid};

/// Which cards a terminal takes and what it may do with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct M1Config {
    /// How its city's cards are laid out.
    pub layout: M1Layout,
    /// Cities whose cards are taken.
    pub cities: Vec<[u8; 2]>,
    /// This device in records on the card; no other terminal has the same, and none has zeros.
    pub device: [u8; 4],
    /// This terminal in TACs.
    pub terminal: TerminalId,
    /// Highest amount of one transaction.
    pub amount_max: Fen,
    /// Highest balance a load may leave.
    pub balance_max: Fen,
    /// How far below zero a purchase may leave the purse.
    pub overdraft_max: Fen,
    /// How long a pulled card that comes back gets the service it has paid for, in seconds.
    pub recovery_s_max: u32,
}

impl M1Config {
    /// What three bytes of a record hold.
    pub const RECORD_FEN_MAX: Fen = Fen::new(0xFF_FFFF);
    /// Seconds after which a pulled card pays anew.
    pub const RECOVERY_S: u32 = 120;

    /// A terminal with the usual limits for the cards of one city.
    #[must_use]
    pub fn new(layout: M1Layout, city: [u8; 2], device: [u8; 4], terminal: TerminalId) -> M1Config {
        M1Config {
            layout,
            cities: vec![city],
            device,
            terminal,
            amount_max: M1Config::RECORD_FEN_MAX,
            balance_max: M1Config::RECORD_FEN_MAX,
            overdraft_max: Fen::ZERO,
            recovery_s_max: M1Config::RECOVERY_S,
        }
    }
}

/// What became of a card that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum M1Outcome {
    /// The money moved and the card is whole: beep.
    Done(M1Receipt),
    /// It had moved before the card was pulled; the card is whole now, and nothing moved again.
    Recovered(M1Receipt),
    /// The card is not taken.
    Declined(M1Refusal),
    /// The card left too early: show it again.
    TryAgain {
        /// Step without answer.
        step: Step,
        /// Whether money can have moved.
        money: Money,
    },
}

/// What the customer gets on paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct M1Receipt {
    /// The record as it is stored.
    pub record: M1Record,
    /// Balance on the card.
    pub balance: Fen,
}

/// Why a card is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum M1Refusal {
    /// The issue sector does not open or holds no issue data.
    #[error("not a city card")]
    NotACityCard,
    /// It comes from a city whose cards are not taken here.
    #[error("cards of city {:02X}{:02X} are not taken here", .city[0], .city[1])]
    OtherCity {
        /// Its city code.
        city: [u8; 2],
    },
    /// Its authentication code is another card's.
    #[error("the card's authentication code is wrong: a copy, or another city's keys")]
    NotGenuine,
    /// Its issuer has not enabled it, or has stopped it.
    #[error("the card is not enabled")]
    NotEnabled,
    /// Its first day is still to come, or its last one has passed.
    #[error("the card is valid from {from} to {until} only")]
    OutOfDate {
        /// First day.
        from: Date,
        /// Last day.
        until: Date,
    },
    /// It is on the blacklist; now the card says so itself.
    #[error("the card is on blacklist version {version}; it is marked now")]
    Blacklisted {
        /// Version of the list.
        version: u32,
    },
    /// It was marked before.
    #[error("the card is marked as blacklisted: only its issuer can clear it")]
    Marked,
    /// There is too little on it.
    #[error("balance {balance} yuan is too small")]
    InsufficientFunds {
        /// What there is.
        balance: Fen,
    },
    /// There would be too much on it.
    #[error("balance {balance} yuan and this load exceed {most} yuan")]
    TooMuch {
        /// What there is.
        balance: Fen,
        /// Highest balance.
        most: Fen,
    },
    /// Both copies of something are damaged: only its issuer can repair it.
    #[error("the card is damaged: blocks {} and {} cannot be read; let its issuer repair it", .blocks[0], .blocks[1])]
    Damaged {
        /// The blocks.
        blocks: [BlockNo; 2],
    },
    /// The purse read back is not what was written; nothing is recorded before the card was shown again.
    #[error("the purse does not hold what was written: show the card again")]
    NotVerified,
    /// A command was refused.
    #[error("{step}: the card answered {sw}")]
    Refused {
        /// The step.
        step: Step,
        /// Its status word.
        sw: StatusWord,
    },
    /// An answer was none.
    #[error("{step}: the card's answer makes no sense")]
    Unreadable {
        /// The step.
        step: Step,
    },
}

/// A fault of the terminal: the card is not to blame.
#[derive(Debug, thiserror::Error)]
pub enum M1Error {
    /// There is no key for it.
    #[error(transparent)]
    Keys(#[from] M1KeyError),
    /// The records cannot be read or written.
    #[error("the records of the terminal")]
    Store(#[from] StoreError),
    /// The card reader failed.
    #[error("card reader: {step}: {cause}")]
    Reader {
        /// The step.
        step: Step,
        /// What failed.
        cause: ChannelError,
    },
    /// The amount cannot be moved here.
    #[error("an amount from 0.01 to {most} yuan can be moved here, found {found}")]
    Amount {
        /// Amount asked for.
        found: Fen,
        /// Highest amount.
        most: Fen,
    },
    /// The device number is the one of unknown terminals.
    #[error("device 00000000 stands for unknown terminals: give this one a number of its own")]
    Device,
}

/// How a visit stops before its end.
enum Stop {
    /// The card said no, or nothing.
    Card(DialogueError),
    /// The card is not taken.
    Refused(M1Refusal),
    /// The terminal is at fault.
    Fault(M1Error),
}

impl From<DialogueError> for Stop {
    fn from(error: DialogueError) -> Stop {
        Stop::Card(error)
    }
}

impl From<M1Refusal> for Stop {
    fn from(refusal: M1Refusal) -> Stop {
        Stop::Refused(refusal)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Fault(error.into())
    }
}

impl From<M1KeyError> for Stop {
    fn from(error: M1KeyError) -> Stop {
        Stop::Fault(error.into())
    }
}

/// A terminal with its keys and its records.
pub struct M1Terminal<K, S> {
    config: M1Config,
    keys: K,
    book: M1Book<S>,
    blacklist: Blacklist,
}

impl<K: M1Keys, S: M1Store> M1Terminal<K, S> {
    /// Starts a terminal: reads its journal. It has no blacklist yet.
    ///
    /// # Errors
    /// [`M1Error`] when the journal cannot be read, or the device has no number.
    pub fn open(config: M1Config, keys: K, store: S) -> Result<M1Terminal<K, S>, M1Error> {
        if config.device == ykt_m1::layout::TransactionRecord::UNKNOWN_DEVICE {
            return Err(M1Error::Device);
        }
        let book = M1Book::open(store)?;
        Ok(M1Terminal { config, keys, book, blacklist: Blacklist::default() })
    }

    /// The records.
    #[must_use]
    pub fn book(&self) -> &M1Book<S> {
        &self.book
    }

    /// The records, to hand them over.
    pub fn book_mut(&mut self) -> &mut M1Book<S> {
        &mut self.book
    }

    /// The blacklist in use.
    #[must_use]
    pub fn blacklist(&self) -> &Blacklist {
        &self.blacklist
    }

    /// Takes a new blacklist into use.
    pub fn replace_blacklist(&mut self, blacklist: Blacklist) {
        self.blacklist = blacklist;
    }

    /// Charges `amount` to the card, or makes it whole and gives it the service it has paid for already.
    ///
    /// # Errors
    /// [`M1Error`] for faults of the terminal; what may have moved stays pending through them.
    pub fn purchase(
        &mut self,
        card: &mut (impl CardChannel + ?Sized),
        amount: Fen,
        at: DateTime,
    ) -> Result<M1Outcome, M1Error> {
        self.show(card, Operation::Purchase, amount, at)
    }

    /// Loads `amount` onto the card, or makes it whole when an earlier load moved already.
    ///
    /// # Errors
    /// As [`M1Terminal::purchase`].
    pub fn load(
        &mut self,
        card: &mut (impl CardChannel + ?Sized),
        amount: Fen,
        at: DateTime,
    ) -> Result<M1Outcome, M1Error> {
        self.show(card, Operation::Load, amount, at)
    }

    /// The journal, for a terminal that is taken down.
    pub fn into_store(self) -> S {
        self.book.into_store()
    }

    /// Marks the card as blacklisted and records that, after making it whole: the answer is
    /// [`M1Refusal::Blacklisted`].
    ///
    /// # Errors
    /// As [`M1Terminal::purchase`].
    pub fn lock(
        &mut self,
        card: &mut (impl CardChannel + ?Sized),
        at: DateTime,
    ) -> Result<M1Outcome, M1Error> {
        self.visit(card, |terminal, dialogue, uid| visit::lock(terminal, dialogue, uid, at))
    }

    /// Reads the card whole and writes nothing.
    ///
    /// # Errors
    /// [`DialogueError`] when a sector does not open, [`M1Error`] when there is no key for it.
    pub fn inspect(
        &mut self,
        card: &mut (impl CardChannel + ?Sized),
    ) -> Result<Result<CardView, M1Refusal>, M1Error> {
        let mut dialogue = Dialogue::new(card);
        let found = dialogue.uid().map_err(Stop::from).and_then(|uid| visit::view(self, &mut dialogue, uid));
        match found {
            Ok(view) => Ok(Ok(view)),
            Err(Stop::Refused(refusal)) => Ok(Err(refusal)),
            Err(Stop::Card(DialogueError::Silent { step, cause })) => Err(M1Error::Reader { step, cause }),
            Err(Stop::Card(DialogueError::Refused { step, sw })) => Ok(Err(M1Refusal::Refused { step, sw })),
            Err(Stop::Card(DialogueError::Unreadable { step, .. })) => {
                Ok(Err(M1Refusal::Unreadable { step }))
            }
            Err(Stop::Fault(error)) => Err(error),
        }
    }

    fn show(
        &mut self,
        card: &mut (impl CardChannel + ?Sized),
        operation: Operation,
        amount: Fen,
        at: DateTime,
    ) -> Result<M1Outcome, M1Error> {
        let most = self.config.amount_max.min(M1Config::RECORD_FEN_MAX);
        if amount <= Fen::ZERO || amount > most {
            return Err(M1Error::Amount { found: amount, most });
        }
        let ask = visit::Ask { operation, amount, at };
        self.visit(card, |terminal, dialogue, uid| visit::serve(terminal, dialogue, uid, ask))
    }

    /// One showing of a card, of which `work` is done once its UID is known.
    fn visit<'c, C: CardChannel + ?Sized>(
        &mut self,
        card: &'c mut C,
        work: impl FnOnce(&mut Self, Dialogue<'c, C>, Uid) -> Result<M1Outcome, Stop>,
    ) -> Result<M1Outcome, M1Error> {
        let mut dialogue = Dialogue::new(card);
        let found = dialogue.uid();
        match found.map_err(Stop::from).and_then(|uid| work(self, dialogue, uid)) {
            Ok(outcome) => Ok(outcome),
            Err(stop) => self.outcome(stop, found.ok()),
        }
    }

    /// What a visit that stopped means to the customer.
    fn outcome(&self, stop: Stop, uid: Option<Uid>) -> Result<M1Outcome, M1Error> {
        let pending = uid.is_some_and(|uid| self.book.pending_of(uid).is_some());
        let money = if pending { Money::MayHaveMoved } else { Money::Unmoved };
        let error = match stop {
            Stop::Refused(refusal) => return Ok(M1Outcome::Declined(refusal)),
            Stop::Fault(error) => return Err(error),
            Stop::Card(error) => error,
        };
        Ok(match error {
            DialogueError::Silent { step, cause: ChannelError::NoCard | ChannelError::Removed }
            | DialogueError::Refused { step, sw: StatusWord::MEMORY_FAILURE } => {
                M1Outcome::TryAgain { step, money }
            }
            // A card that leaves looks to some readers like one that says no.
            DialogueError::Refused { step, .. } | DialogueError::Unreadable { step, .. } if pending => {
                M1Outcome::TryAgain { step, money }
            }
            DialogueError::Silent { step, cause } => return Err(M1Error::Reader { step, cause }),
            DialogueError::Refused { step, sw } => M1Outcome::Declined(M1Refusal::Refused { step, sw }),
            DialogueError::Unreadable { step, .. } => M1Outcome::Declined(M1Refusal::Unreadable { step }),
        })
    }
}

impl<M: BlockMemory> InsertedCard for M1Reader<M> {
    fn atr(&self) -> &[u8] {
        &ykt_m1::reader::ATR
    }

    fn power_off(&mut self) {
        self.power_cycle();
    }

    fn power_on(&mut self) {
        self.power_cycle();
    }

    fn answer(&mut self, command: &[u8]) -> Response {
        M1Reader::answer(self, command)
    }
}
