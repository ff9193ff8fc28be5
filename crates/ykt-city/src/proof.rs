//! The proof (三账核对): three books that are kept apart must tell the same story.
//!
//! 1. What the cards say of themselves, read by commands, and the debits that were not accepted, each with its
//!    cause, must make up the ledger's purse liability.
//! 2. The bank's own statement must be the ledger's bank accounts.
//! 3. All legs of all entries must sum to zero, and the chain over them must hold.
//!
//! Beside them stands the reserve rule: the bank holds what the holders are owed.
//!
//! Whether an unconfirmed debit happened is not asked of the records but of the card's own log.

use crate::hand::HeldCard;
use crate::tally::Count;
use std::collections::{BTreeMap, BTreeSet};
use ykt_base::{Asn8, CardCounter, Fen, TerminalId};
use ykt_purse::TransactionType;
use ykt_purse::log::{LogRecord, logged_counter};
use ykt_terminal::card::{self, CardError};

/// What one card says of itself.
#[derive(Debug, Clone)]
pub struct CardReading {
    /// Its number.
    pub asn: Asn8,
    /// Balance of its electronic purse.
    pub balance: Fen,
    /// Its log, newest first.
    pub log: Vec<LogRecord>,
}

/// Why a card cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A command failed.
    #[error("reading a card for the proof: {0}")]
    Card(#[from] CardError),
    /// Its memory is damaged.
    #[error("reading a card for the proof: {0}")]
    PowerOn(#[from] ykt_card::PowerOnError),
    /// The balances do not fit a sum.
    #[error("the balances of the cards do not fit a sum")]
    Overflow,
}

/// Reads a card by commands, as any terminal could.
///
/// # Errors
/// [`ReadError`] when the card does not answer.
pub fn read_card(held: &mut HeldCard) -> Result<CardReading, ReadError> {
    held.present(None)?;
    let asn = card::open(held)?.asn;
    let balance = card::balance(held)?;
    let log = card::log(held)?;
    held.remove();
    Ok(CardReading { asn, balance, log })
}

/// A purchase that the purse liability has not been charged with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outstanding {
    /// The card.
    pub asn: Asn8,
    /// The card's offline counter before it.
    pub counter: CardCounter,
    /// The terminal.
    pub terminal: TerminalId,
    /// Its amount.
    pub amount: Fen,
    /// Whether the terminal saw the debit confirmed; when not, the card's log decides.
    pub confirmed: bool,
    /// Where it stands and why, for the table.
    pub cause: String,
}

impl CardReading {
    /// Whether this card made the debit: its log shows it, or is too short to reach back so far.
    fn debited(&self, debit: &Outstanding) -> bool {
        let Some(logged) = logged_counter(debit.counter) else {
            return false;
        };
        let purchases = || self.log.iter().filter(|record| record.transaction == TransactionType::EpPurchase);
        match purchases().find(|record| record.counter == logged) {
            Some(record) => record.terminal == debit.terminal && record.amount.fen() == debit.amount,
            None => purchases().map(|record| record.counter).min().is_some_and(|oldest| oldest > logged),
        }
    }
}

/// The first comparison: cards against ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CardsProof {
    /// Cards read.
    pub cards: u32,
    /// Sum of their balances.
    pub balances: Fen,
    /// Debits not accepted, by cause.
    pub outstanding: BTreeMap<String, Count>,
    /// The ledger's purse liability (2001), as a positive amount.
    pub liability: Fen,
}

impl CardsProof {
    /// Sums what was read. Records of cards that are not read are passed over: nobody issued them.
    ///
    /// # Errors
    /// [`ReadError::Overflow`] when a sum does not fit.
    pub fn new(
        readings: &[CardReading],
        outstanding: &[Outstanding],
        liability: Fen,
    ) -> Result<CardsProof, ReadError> {
        let by_number: BTreeMap<Asn8, &CardReading> =
            readings.iter().map(|reading| (reading.asn, reading)).collect();
        let mut seen = BTreeSet::new();
        let mut causes: BTreeMap<String, Count> = BTreeMap::new();
        for debit in outstanding {
            let Some(reading) = by_number.get(&debit.asn) else {
                continue;
            };
            if (debit.confirmed || reading.debited(debit)) && seen.insert((debit.asn, debit.counter)) {
                causes.entry(debit.cause.clone()).or_default().add(debit.amount);
            }
        }
        Ok(CardsProof {
            cards: u32::try_from(readings.len()).unwrap_or(u32::MAX),
            balances: Fen::checked_sum(readings.iter().map(|reading| reading.balance))
                .ok_or(ReadError::Overflow)?,
            outstanding: causes,
            liability,
        })
    }

    /// What the ledger's purse liability should be, or `None` when it does not fit.
    #[must_use]
    pub fn expected(&self) -> Option<Fen> {
        Fen::checked_sum(self.outstanding.values().map(|count| count.amount))?.checked_add(self.balances)
    }

    /// Expected less booked: nothing, when the books agree.
    #[must_use]
    pub fn difference(&self) -> Option<Fen> {
        self.expected()?.checked_sub(self.liability)
    }
}

/// One account of the second comparison: bank against ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankProof {
    /// Ledger account.
    pub account: String,
    /// Bank account number.
    pub bank_account: String,
    /// Movements on the statement.
    pub movements: usize,
    /// Balance by the bank's statement.
    pub statement: Fen,
    /// Balance by the ledger.
    pub ledger: Fen,
}

/// The third comparison: the ledger against itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegsProof {
    /// Entries of the book.
    pub entries: u64,
    /// Sum of all legs.
    pub sum: Fen,
    /// What is wrong with chain or balances, in words; `None` when nothing is.
    pub fault: Option<String>,
}

/// The reserve rule: the holders' money is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReserveProof {
    /// Reserve account, tills and receivables less what merchants are owed.
    pub cover: Fen,
    /// What holders are owed: purses, held load orders, deposits.
    pub owed: Fen,
    /// Income of the last clearing day by its bills, not yet moved to the company's own account.
    pub unswept: Fen,
}

impl ReserveProof {
    /// Cover less what is owed and what is the company's: nothing, when every holder's fen is there.
    #[must_use]
    pub fn difference(&self) -> Option<Fen> {
        self.cover.checked_sub(self.owed)?.checked_sub(self.unswept)
    }
}

/// All comparisons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Cards against ledger.
    pub cards: CardsProof,
    /// Load orders that are neither done nor given back.
    pub open_orders: Count,
    /// Bank against ledger.
    pub bank: Vec<BankProof>,
    /// The ledger against itself.
    pub legs: LegsProof,
    /// The holders' money.
    pub reserve: ReserveProof,
}

impl Proof {
    /// Whether not a fen is lost.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.cards.difference() == Some(Fen::ZERO)
            && self.bank.iter().all(|line| line.statement == line.ledger)
            && self.legs.sum.is_zero()
            && self.legs.fault.is_none()
            && self.reserve.difference() == Some(Fen::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ykt_base::{Date, DateTime};
    use ykt_purse::{OverdraftLimit, PurseFen};

    const TERMINAL: TerminalId = TerminalId([0x21, 0x44, 0, 0, 0, 1]);

    fn reading(last: u8, fen: i64, debits: &[(u16, i64)]) -> CardReading {
        let at = DateTime::start_of(Date::new(2026, 3, 2).unwrap());
        let record = |(counter, fen): &(u16, i64)| LogRecord {
            counter: CardCounter(counter + 1),
            overdraft: OverdraftLimit::NONE,
            amount: PurseFen::try_from(Fen::new(*fen)).unwrap(),
            transaction: TransactionType::EpPurchase,
            terminal: TERMINAL,
            at,
        };
        CardReading {
            asn: Asn8([0, 0, 0, 0, 0, 0, 0, last]),
            balance: Fen::new(fen),
            log: debits.iter().rev().map(record).collect(),
        }
    }

    fn debit(last: u8, counter: u16, fen: i64, confirmed: bool) -> Outstanding {
        Outstanding {
            asn: Asn8([0, 0, 0, 0, 0, 0, 0, last]),
            counter: CardCounter(counter),
            terminal: TERMINAL,
            amount: Fen::new(fen),
            confirmed,
            cause: "grey".to_owned(),
        }
    }

    #[test]
    fn the_card_decides_about_grey_records() {
        let cards = [reading(1, 800, &[(0, 200)]), reading(2, 1_000, &[])];
        // Card 1 was debited, card 2 was not; card 9 is nobody's; a record that comes twice counts once.
        let outstanding = [
            debit(1, 0, 200, false),
            debit(1, 0, 200, false),
            debit(2, 0, 300, false),
            debit(9, 0, 700, true),
        ];
        let proof = CardsProof::new(&cards, &outstanding, Fen::new(2_000)).unwrap();
        assert_eq!(proof.outstanding["grey"].amount, Fen::new(200));
        assert_eq!(proof.difference(), Some(Fen::ZERO));
    }

    #[test]
    fn a_fen_too_many_shows() {
        let cards = [reading(1, 800, &[(0, 200)])];
        let proof = CardsProof::new(&cards, &[], Fen::new(1_000)).unwrap();
        assert_eq!(proof.difference(), Some(Fen::new(-200)));
    }
}
