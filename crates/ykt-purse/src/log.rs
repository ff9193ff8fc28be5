//! Transaction log record (交易明细, SFI 18, 23 bytes; `epurse.md` 4.8): written by the card only, record 1 newest.

use crate::types::{OverdraftLimit, PurseFen, TransactionType};
use crate::wire::{join, whole};
use ykt_base::{CardCounter, DateTime, TerminalId};

/// Length of a record in bytes.
pub const RECORD_LEN: usize = 23;
/// Short file id of the log.
pub const SFI: u8 = 0x18;

/// One line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord {
    /// The transaction's counter **after** it moved (see [`logged_counter`]).
    pub counter: CardCounter,
    /// Overdraft limit; zero for an EP.
    pub overdraft: OverdraftLimit,
    /// Amount.
    pub amount: PurseFen,
    /// Transaction type.
    pub transaction: TransactionType,
    /// Terminal id.
    pub terminal: TerminalId,
    /// Date and time of the terminal or host.
    pub at: DateTime,
}

/// The counter that log and proof show for a transaction whose MACs used `before`: the value after increment
/// (platform default, `epurse.md` 0). `None` when the counter is used up.
#[must_use]
pub const fn logged_counter(before: CardCounter) -> Option<CardCounter> {
    before.next()
}

impl LogRecord {
    /// Reads a record, or `None` for another length, an unknown type (an empty record has type 00), an amount
    /// above the limit or a date that is none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<LogRecord> {
        whole(bytes, |fields| {
            Some(LogRecord {
                counter: CardCounter::from_bytes(fields.take()?),
                overdraft: OverdraftLimit(fields.take()?),
                amount: PurseFen::from_bytes(fields.take()?)?,
                transaction: TransactionType::from_code(fields.byte()?)?,
                terminal: TerminalId(fields.take()?),
                at: DateTime::from_bcd(fields.take()?)?,
            })
        })
    }

    /// The 23 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; RECORD_LEN] {
        join(&[
            &self.counter.to_bytes(),
            &self.overdraft.0,
            &self.amount.to_bytes(),
            &[self.transaction.code()],
            self.terminal.as_bytes(),
            &self.at.to_bcd(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    /// Vector `purchase/EP type 06`, log record.
    #[test]
    fn vector_log_record() {
        let bytes = hex!("0001000000000000960636048660000220240131123456");
        let record = LogRecord::from_bytes(&bytes).unwrap();
        assert_eq!(Some(record.counter), logged_counter(CardCounter(0)));
        assert_eq!(record.transaction, TransactionType::EpPurchase);
        assert_eq!(record.to_bytes(), bytes);
    }

    #[test]
    fn empty_and_cut_records_are_none() {
        assert_eq!(LogRecord::from_bytes(&[0; RECORD_LEN]), None);
        assert_eq!(LogRecord::from_bytes(&[0xFF; RECORD_LEN]), None);
        assert_eq!(LogRecord::from_bytes(&hex!("00010000000000009606360486600002202401311234")), None);
        assert_eq!(logged_counter(CardCounter(u16::MAX)), None);
    }
}
