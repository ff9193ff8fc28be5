//! Transaction records on the card (`epurse.md` 8.3): nine blocks used in turn, chosen by a pointer in block 24.

use super::Fields;
use crate::block::{Block, BlockNo, join};
use ykt_base::{DateTime, Fen, bcd};

/// Which of the nine record blocks is written next, 1 to 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordPointer(u8);

/// Blocks 12 to 22 without trailers.
const BLOCKS: [u8; 9] = [12, 13, 14, 16, 17, 18, 20, 21, 22];

impl RecordPointer {
    /// The first record block.
    pub const FIRST: RecordPointer = RecordPointer(1);
    /// The last one.
    pub const LAST: RecordPointer = RecordPointer(9);

    /// The pointer of this number, or `None` outside 1 to 9.
    #[must_use]
    pub const fn new(number: u8) -> Option<RecordPointer> {
        if matches!(number, 1..=9) { Some(RecordPointer(number)) } else { None }
    }

    /// Every pointer in order.
    pub fn all() -> impl Iterator<Item = RecordPointer> {
        (1..=9).map(RecordPointer)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The block it points at.
    #[must_use]
    pub fn block(self) -> BlockNo {
        let number = BLOCKS[usize::from(self.0).saturating_sub(1)];
        BlockNo::new(number).unwrap_or(BlockNo::MANUFACTURER)
    }

    /// The pointer after this one.
    #[must_use]
    pub const fn next(self) -> RecordPointer {
        RecordPointer(if self.0 >= 9 { 1 } else { self.0.saturating_add(1) })
    }

    /// The pointer before this one: at the newest record when this is the next to be written.
    #[must_use]
    pub const fn previous(self) -> RecordPointer {
        RecordPointer(if self.0 <= 1 { 9 } else { self.0.saturating_sub(1) })
    }
}

/// What a record is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// 00: money out of the purse.
    Purchase,
    /// 88: money into it.
    Load,
    /// 01: a ride on a monthly pass, no money.
    Month,
    /// Another city's type.
    Other(
        /// The byte.
        u8,
    ),
}

impl RecordKind {
    /// The kind of a byte.
    #[must_use]
    pub const fn from_code(code: u8) -> RecordKind {
        match code {
            0x00 => RecordKind::Purchase,
            0x88 => RecordKind::Load,
            0x01 => RecordKind::Month,
            other => RecordKind::Other(other),
        }
    }

    /// The byte of the kind.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            RecordKind::Purchase => 0x00,
            RecordKind::Load => 0x88,
            RecordKind::Month => 0x01,
            RecordKind::Other(other) => other,
        }
    }
}

/// One record: time 4 (dd HH mm ss), balance before 4 LE, amount 3, type 1, device 4. It carries no check byte: only
/// a record that the pointer has passed is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionRecord {
    /// Day of the month and time of day, BCD.
    pub time: [u8; 4],
    /// Balance before; below zero for an overdraft.
    pub before: Fen,
    /// Amount, up to 16,777,215 fen.
    pub amount: Fen,
    /// What it was.
    pub kind: RecordKind,
    /// At which device; all zero where another terminal completed it.
    pub device: [u8; 4],
}

impl TransactionRecord {
    /// Device of a record that was completed in the name of a terminal unknown to the one that wrote it.
    pub const UNKNOWN_DEVICE: [u8; 4] = [0; 4];

    /// Time field of a moment.
    #[must_use]
    pub fn time_of(at: DateTime) -> [u8; 4] {
        let [_, _, _, day, hour, minute, second] = at.to_bcd();
        [day, hour, minute, second]
    }

    /// Reads the block, or `None` when it is empty or its time is none.
    #[must_use]
    pub fn from_block(block: &Block) -> Option<TransactionRecord> {
        let mut fields = Fields(block);
        let time: [u8; 4] = fields.take()?;
        let [day, hour, minute, second] = time.map(|byte| bcd::to_number(&[byte]));
        let fits = (1..=31).contains(&day?) && hour? < 24 && minute? < 60 && second? < 60;
        fits.then_some(TransactionRecord {
            time,
            before: Fen::new(i64::from(i32::from_le_bytes(fields.take()?))),
            amount: amount_from(fields.take()?),
            kind: RecordKind::from_code(fields.byte()?),
            device: fields.take()?,
        })
    }

    /// The block, or `None` for an amount or a balance that does not fit.
    #[must_use]
    pub fn to_block(&self) -> Option<Block> {
        let (amount, before) = (amount_bytes(self.amount)?, i32::try_from(self.before.fen()).ok()?);
        Some(join(&[&self.time, &before.to_le_bytes(), &amount, &[self.kind.code()], &self.device]))
    }

    /// The balance it leaves, or `None` when its kind does not tell.
    #[must_use]
    pub fn after(&self) -> Option<Fen> {
        match self.kind {
            RecordKind::Purchase => self.before.checked_sub(self.amount),
            RecordKind::Load => self.before.checked_add(self.amount),
            RecordKind::Month => Some(self.before),
            RecordKind::Other(_) => None,
        }
    }
}

pub(super) fn amount_from([a, b, c]: [u8; 3]) -> Fen {
    Fen::from(u32::from_be_bytes([0, a, b, c]))
}

pub(super) fn amount_bytes(amount: Fen) -> Option<[u8; 3]> {
    match u32::try_from(amount.fen()).ok()?.to_be_bytes() {
        [0, rest @ ..] => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use std::vec::Vec;

    #[test]
    fn vector_m1_transaction_record() {
        let block = hex!("31123456393000000000C80000112233");
        let record = TransactionRecord::from_block(&block).unwrap();
        assert_eq!(
            (record.before, record.amount, record.kind),
            (Fen::new(12_345), Fen::new(200), RecordKind::Purchase)
        );
        assert_eq!((record.device, record.after()), (hex!("00112233"), Some(Fen::new(12_145))));
        assert_eq!(record.to_block(), Some(block));
        assert_eq!(TransactionRecord::from_block(&[0; 16]), None, "empty");
        assert_eq!(TransactionRecord { amount: Fen::new(1 << 24), ..record }.to_block(), None);
        assert!((0..=255).all(|code| RecordKind::from_code(code).code() == code));
    }

    #[test]
    fn nine_blocks_in_turn() {
        let blocks: Vec<u8> = RecordPointer::all().map(|pointer| pointer.block().number()).collect();
        assert_eq!(blocks, BLOCKS);
        assert!(RecordPointer::all().all(|pointer| !pointer.block().is_trailer()));
        assert!(RecordPointer::all().all(|pointer| pointer.next().previous() == pointer));
        assert_eq!(RecordPointer::LAST.next(), RecordPointer::FIRST);
        assert_eq!((RecordPointer::new(0), RecordPointer::new(10)), (None, None));
    }
}
