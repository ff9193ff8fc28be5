//! A purchase as clearing judges it: the fields of an XF record that decide, and where it stands.

use std::fmt;
use ykt_base::{Asn8, CardCounter, DateTime, Fen, Mac4, MerchantCode, PosNo, TerminalId, TerminalSeq};
use ykt_files::{Confirmation, PurchaseType, XfRecord};

/// Number of an accepted, repeated or broken file in the file log, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub i64);

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record by file and line: file number × 100,000,000 + line, so that the records of a file lie together and
/// a number can be read by people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(i64);

/// Lines a file may have; its header states the count in eight digits.
const LINES_MAX: i64 = 100_000_000;

impl RecordId {
    /// The record of line `line` (the header is line 1), or `None` when it does not fit.
    #[must_use]
    pub fn new(file: FileId, line: u32) -> Option<RecordId> {
        let line = Some(i64::from(line)).filter(|line| *line < LINES_MAX)?;
        file.0.checked_mul(LINES_MAX)?.checked_add(line).map(RecordId)
    }

    /// The file it came in.
    #[must_use]
    pub fn file(self) -> FileId {
        FileId(self.0.div_euclid(LINES_MAX))
    }

    /// Its line in that file; the header is line 1.
    #[must_use]
    pub fn line(self) -> u32 {
        u32::try_from(self.0.rem_euclid(LINES_MAX)).unwrap_or(0)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The record of a number.
    #[must_use]
    pub const fn from_number(number: i64) -> RecordId {
        RecordId(number)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What of a purchase decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purchase {
    /// Where it stands.
    pub id: RecordId,
    /// Merchant that sent it.
    pub merchant: MerchantCode,
    /// POS.
    pub pos: PosNo,
    /// Terminal id of the PSAM.
    pub terminal: TerminalId,
    /// Terminal sequence.
    pub sequence: TerminalSeq,
    /// Card.
    pub asn: Asn8,
    /// Offline counter that INITIALIZE returned.
    pub counter: CardCounter,
    /// Balance before.
    pub balance_before: Fen,
    /// Amount.
    pub amount: Fen,
    /// When, by the terminal's clock.
    pub at: DateTime,
    /// Transaction type.
    pub purchase: PurchaseType,
    /// TAC; zeros in a grey record that carries none.
    pub tac: Mac4,
    /// Whether the debit was confirmed.
    pub confirmation: Confirmation,
}

impl Purchase {
    /// The deciding fields of a record.
    #[must_use]
    pub fn of(id: RecordId, record: &XfRecord) -> Purchase {
        Purchase {
            id,
            merchant: record.merchant,
            pos: record.pos,
            terminal: record.terminal,
            sequence: record.sequence,
            asn: record.asn,
            counter: record.counter,
            balance_before: record.balance_before,
            amount: record.amount,
            at: record.at,
            purchase: record.purchase,
            tac: record.tac,
            confirmation: record.confirmation,
        }
    }

    /// Whether the debit was not confirmed.
    #[must_use]
    pub fn is_grey(&self) -> bool {
        self.confirmation == Confirmation::Grey
    }

    /// Whether it carries a TAC: a grey record does when the terminal got one and doubted it.
    #[must_use]
    pub fn has_tac(&self) -> bool {
        !self.is_grey() || self.tac != Mac4([0; 4])
    }

    /// Balance after the debit; never below what 64 bits hold, because both fields have eight digits.
    #[must_use]
    pub fn balance_after(&self) -> Fen {
        Fen::new(self.balance_before.fen().saturating_sub(self.amount.fen()))
    }

    /// Whether both tell of one purchase: all fields alike, and the TAC too unless one of them is grey.
    #[must_use]
    pub fn is_same(&self, other: &Purchase) -> bool {
        let fields = |p: &Purchase| {
            (
                p.merchant,
                p.pos,
                p.terminal,
                p.sequence,
                p.asn,
                p.counter,
                p.balance_before,
                p.amount,
                p.at,
                p.purchase,
            )
        };
        fields(self) == fields(other) && (self.tac == other.tac || self.is_grey() || other.is_grey())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_numbers_can_be_read() {
        let id = RecordId::new(FileId(12), 34).unwrap();
        assert_eq!((id.number(), id.file(), id.line()), (1_200_000_034, FileId(12), 34));
        assert_eq!(RecordId::new(FileId(i64::MAX), 1), None);
        assert_eq!(RecordId::new(FileId(1), 100_000_000), None);
    }
}
