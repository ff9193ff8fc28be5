//! What a terminal keeps of a purchase: the debit as it was about to be sent, and how it ended.
//!
//! A [`Debit`] is stored before the card is asked to pay; its [`Ending`] is stored before the beep. A debit
//! without an ending is a card that left at the wrong moment (拔卡): it is settled when the card returns, or
//! goes out as a grey record (灰记录) with the batch.

use ykt_base::{Asn8, CardCounter, Date, DateTime, Fen, Mac4, TerminalId, TerminalSeq};

/// Serial number of a record in its terminal (本地流水号), 1 to 99,999,999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalSerial(u32);

impl LocalSerial {
    /// The first serial of a terminal.
    pub const FIRST: LocalSerial = LocalSerial(1);
    /// The last one: eight digits of a batch file.
    pub const LAST: LocalSerial = LocalSerial(99_999_999);

    /// The serial `number`, or `None` outside 1..=99,999,999.
    #[must_use]
    pub fn new(number: u32) -> Option<LocalSerial> {
        (1..=LocalSerial::LAST.0).contains(&number).then_some(LocalSerial(number))
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The next one, or `None` after the last.
    #[must_use]
    pub fn next(self) -> Option<LocalSerial> {
        LocalSerial::new(self.0.checked_add(1)?)
    }
}

/// What the card says of itself in EF 0015, as far as a record carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardFacts {
    /// Card number.
    pub asn: Asn8,
    /// Main type of the card, two decimal digits.
    pub main_type: u8,
    /// Sub type of the card, two decimal digits.
    pub sub_type: u8,
    /// First day of the application.
    pub start: Date,
    /// Last day of the application.
    pub expiry: Date,
}

/// A debit as the terminal knows it before the card answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debit {
    /// Serial in this terminal.
    pub serial: LocalSerial,
    /// The card.
    pub card: CardFacts,
    /// Offline counter that INITIALIZE returned: the value before this debit.
    pub counter: CardCounter,
    /// Terminal id of the PSAM.
    pub terminal: TerminalId,
    /// Terminal sequence of the PSAM.
    pub sequence: TerminalSeq,
    /// Balance before.
    pub balance_before: Fen,
    /// Amount to pay.
    pub amount: Fen,
    /// Date and time in MAC1 and TAC.
    pub at: DateTime,
}

/// Whether the PSAM found the card's MAC2 right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mac2Check {
    /// It did.
    Right,
    /// It could not be asked: its context was gone when the card came back. The TAC decides at the centre.
    NotAsked,
}

/// How a debit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The card paid.
    Paid {
        /// The card's TAC.
        tac: Mac4,
        /// What the PSAM said of the card's MAC2.
        mac2: Mac2Check,
    },
    /// The card did not pay: its counter had not moved, or it refused.
    Void,
    /// The card may have paid: no answer that could be proved, or a wrong MAC2.
    Grey {
        /// The card's TAC where it gave one.
        tac: Option<Mac4>,
    },
}

/// A debit with its ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What was asked.
    pub debit: Debit,
    /// How it ended.
    pub ending: Ending,
}

/// A batch of a terminal: the clearing day it is for and its number on that day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId {
    /// Day in the file's name.
    pub day: Date,
    /// Sequence in the file's name, 1 to 999.
    pub sequence: u16,
}
