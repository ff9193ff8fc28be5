//! Storage-card commands of PC/SC part 3 (`epurse.md` 8.8): how programs reach a chip that knows no APDUs.
//!
//! The reader takes class FF itself and talks to the chip in its own way. [`ReaderCommand::parse`] is the reader's
//! half, [`ReaderCommand::to_apdu`] the program's.

use crate::block::{Block, BlockNo};
use crate::key::{KeyKind, SectorKey};
use core::ops::Deref;
use ykt_base::{Command, StatusWord};

/// Class of every command here.
pub const CLASS: u8 = 0xFF;
/// Key places of a reader.
pub const SLOTS: usize = 32;
/// The operation failed: wrong key, no value, no such thing.
pub const FAILED: StatusWord = StatusWord(0x6300);

const GET_DATA: u8 = 0xCA;
const LOAD_KEY: u8 = 0x82;
const AUTHENTICATE: u8 = 0x86;
const AUTHENTICATE_OBSOLETE: u8 = 0x88;
const READ: u8 = 0xB0;
const READ_VALUE: u8 = 0xB1;
const UPDATE: u8 = 0xD6;
const VALUE: u8 = 0xD7;

/// Where the reader keeps a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStorage {
    /// Until the power goes (P1 00).
    Volatile,
    /// In the reader's own memory (P1 20).
    NonVolatile,
}

/// A key place, 0 to 31.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(u8);

impl Slot {
    /// The first place.
    pub const FIRST: Slot = Slot(0);

    /// The place of this number, or `None` from 32 on.
    #[must_use]
    pub fn new(number: u8) -> Option<Slot> {
        (usize::from(number) < SLOTS).then_some(Slot(number))
    }

    /// Its place in an array of keys.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What is done to a value block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueOperation {
    /// 00: makes it a value block.
    Store,
    /// 01: adds, and transfers back.
    Increment,
    /// 02: takes, and transfers back.
    Decrement,
}

impl ValueOperation {
    const fn code(self) -> u8 {
        match self {
            ValueOperation::Store => 0x00,
            ValueOperation::Increment => 0x01,
            ValueOperation::Decrement => 0x02,
        }
    }
}

/// A command to the reader.
#[derive(Clone, PartialEq, Eq)]
pub enum ReaderCommand {
    /// GET DATA: the chip's number.
    Uid,
    /// GET DATA: the ATS, which this kind of chip has not.
    Ats,
    /// LOAD KEY.
    LoadKey {
        /// Where it is kept.
        storage: KeyStorage,
        /// At which place.
        slot: Slot,
        /// The key.
        key: SectorKey,
    },
    /// GENERAL AUTHENTICATE, or the obsolete AUTHENTICATE: opens the sector of a block.
    Authenticate {
        /// Any block of the sector.
        block: BlockNo,
        /// As which key.
        kind: KeyKind,
        /// The place of the key.
        slot: Slot,
    },
    /// READ BINARY of one block.
    Read {
        /// The block.
        block: BlockNo,
    },
    /// UPDATE BINARY of one block.
    Update {
        /// The block.
        block: BlockNo,
        /// What it will hold.
        data: Block,
    },
    /// Arithmetic on a value block.
    Value {
        /// The block.
        block: BlockNo,
        /// What is done.
        operation: ValueOperation,
        /// With how much.
        amount: i32,
    },
    /// Reads the value of a block.
    ReadValue {
        /// The block.
        block: BlockNo,
    },
    /// Restores the value of a block and transfers it to another one.
    Copy {
        /// From here.
        from: BlockNo,
        /// To here, in the same sector.
        to: BlockNo,
    },
}

/// A command as bytes.
pub struct Apdu {
    bytes: [u8; 21],
    len: usize,
}

impl Deref for Apdu {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Apdu {
    fn new(parts: &[&[u8]]) -> Apdu {
        let mut bytes = [0; 21];
        let source = parts.iter().copied().flatten();
        let len = bytes.iter_mut().zip(source).map(|(byte, given)| *byte = *given).count();
        Apdu { bytes, len }
    }
}

impl ReaderCommand {
    /// The command as bytes.
    #[must_use]
    pub fn to_apdu(&self) -> Apdu {
        match self {
            ReaderCommand::Uid => Apdu::new(&[&[CLASS, GET_DATA, 0x00, 0x00, 0x00]]),
            ReaderCommand::Ats => Apdu::new(&[&[CLASS, GET_DATA, 0x01, 0x00, 0x00]]),
            ReaderCommand::LoadKey { storage, slot, key } => {
                let storage = match storage {
                    KeyStorage::Volatile => 0x00,
                    KeyStorage::NonVolatile => 0x20,
                };
                Apdu::new(&[&[CLASS, LOAD_KEY, storage, slot.0, 0x06], key.expose()])
            }
            ReaderCommand::Authenticate { block, kind, slot } => {
                let header = [CLASS, AUTHENTICATE, 0x00, 0x00, 0x05];
                Apdu::new(&[&header, &[0x01, 0x00, block.number(), kind_code(*kind), slot.0]])
            }
            ReaderCommand::Read { block } => Apdu::new(&[&[CLASS, READ, 0x00, block.number(), 0x10]]),
            ReaderCommand::Update { block, data } => {
                Apdu::new(&[&[CLASS, UPDATE, 0x00, block.number(), 0x10], data])
            }
            ReaderCommand::Value { block, operation, amount } => {
                let header = [CLASS, VALUE, 0x00, block.number(), 0x05, operation.code()];
                Apdu::new(&[&header, &amount.to_be_bytes()])
            }
            ReaderCommand::ReadValue { block } => {
                Apdu::new(&[&[CLASS, READ_VALUE, 0x00, block.number(), 0x04]])
            }
            ReaderCommand::Copy { from, to } => {
                Apdu::new(&[&[CLASS, VALUE, 0x00, from.number(), 0x02, 0x03, to.number()]])
            }
        }
    }

    /// Reads a command as it came.
    ///
    /// # Errors
    /// 6700 for a wrong length, 6E00 and 6D00 for another class and instruction, 6A86 for P1, P2 or a version byte,
    /// 6A82 for a block that is not there, 6A80 for another value operation, 6Cxx for another Le.
    pub fn parse(bytes: &[u8]) -> Result<ReaderCommand, StatusWord> {
        // Six bytes whose fifth is a kind of key: no APDU of ISO 7816, but what old programs send.
        if let [CLASS, AUTHENTICATE_OBSOLETE, 0x00, block, kind, slot] = *bytes {
            return authenticate(block, kind, slot);
        }
        let command = Command::parse(bytes).map_err(|_| StatusWord::WRONG_LENGTH)?;
        if command.cla != CLASS {
            return Err(StatusWord::UNKNOWN_CLA);
        }
        let Command { ins, p1, p2, data, le, .. } = command;
        match (ins, p1) {
            (GET_DATA, 0x00 | 0x01) if p2 == 0x00 => {
                let (found, len) = if p1 == 0 { (ReaderCommand::Uid, 4) } else { (ReaderCommand::Ats, 0) };
                answered(data, le, len).map(|()| found)
            }
            (LOAD_KEY, 0x00 | 0x20) => {
                let storage = if p1 == 0 { KeyStorage::Volatile } else { KeyStorage::NonVolatile };
                let slot = Slot::new(p2).ok_or(StatusWord::WRONG_P1P2)?;
                let key = <[u8; 6]>::try_from(data).map_err(|_| StatusWord::WRONG_LENGTH)?;
                Ok(ReaderCommand::LoadKey { storage, slot, key: SectorKey::from_bytes(key) })
            }
            (AUTHENTICATE, 0x00) if p2 == 0x00 => match *data {
                [0x01, 0x00, block, kind, slot] => authenticate(block, kind, slot),
                [_, _, _, _, _] => Err(StatusWord::WRONG_P1P2),
                _ => Err(StatusWord::WRONG_LENGTH),
            },
            (READ, 0x00) => {
                answered(data, le, 16)?;
                Ok(ReaderCommand::Read { block: block_at(p2)? })
            }
            (READ_VALUE, 0x00) => {
                answered(data, le, 4)?;
                Ok(ReaderCommand::ReadValue { block: block_at(p2)? })
            }
            (UPDATE, 0x00) => {
                let data = Block::try_from(data).map_err(|_| StatusWord::WRONG_LENGTH)?;
                Ok(ReaderCommand::Update { block: block_at(p2)?, data })
            }
            (VALUE, 0x00) => value(block_at(p2)?, data),
            (GET_DATA | LOAD_KEY | AUTHENTICATE | READ | READ_VALUE | UPDATE | VALUE, _) => {
                Err(StatusWord::WRONG_P1P2)
            }
            _ => Err(StatusWord::UNKNOWN_INS),
        }
    }
}

const fn kind_code(kind: KeyKind) -> u8 {
    match kind {
        KeyKind::A => 0x60,
        KeyKind::B => 0x61,
    }
}

fn authenticate(block: u8, kind: u8, slot: u8) -> Result<ReaderCommand, StatusWord> {
    let kind = match kind {
        0x60 => KeyKind::A,
        0x61 => KeyKind::B,
        _ => return Err(StatusWord::WRONG_P1P2),
    };
    let slot = Slot::new(slot).ok_or(StatusWord::WRONG_P1P2)?;
    Ok(ReaderCommand::Authenticate { block: block_at(block)?, kind, slot })
}

fn value(block: BlockNo, data: &[u8]) -> Result<ReaderCommand, StatusWord> {
    let operation = match *data {
        [0x03, to] => return Ok(ReaderCommand::Copy { from: block, to: block_at(to)? }),
        [0x00, ..] => ValueOperation::Store,
        [0x01, ..] => ValueOperation::Increment,
        [0x02, ..] => ValueOperation::Decrement,
        [0x03, ..] | [] => return Err(StatusWord::WRONG_LENGTH),
        _ => return Err(StatusWord::WRONG_DATA),
    };
    match *data {
        [_, a, b, c, d] => {
            Ok(ReaderCommand::Value { block, operation, amount: i32::from_be_bytes([a, b, c, d]) })
        }
        _ => Err(StatusWord::WRONG_LENGTH),
    }
}

fn block_at(number: u8) -> Result<BlockNo, StatusWord> {
    BlockNo::new(number).ok_or(StatusWord::NOT_FOUND)
}

/// A command without data that is answered by `len` bytes: Le absent, 00 or exact.
fn answered(data: &[u8], le: Option<u16>, len: u8) -> Result<(), StatusWord> {
    match le {
        _ if !data.is_empty() => Err(StatusWord::WRONG_LENGTH),
        None | Some(256) => Ok(()),
        Some(le) if le == u16::from(len) => Ok(()),
        Some(_) if len == 0 => Ok(()),
        Some(_) => Err(StatusWord::exact_length(len)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::ValueBlock;
    use hex_literal::hex;
    use std::vec::Vec;

    fn commands() -> Vec<(ReaderCommand, Vec<u8>)> {
        use ReaderCommand::{Ats, Authenticate, Copy, LoadKey, Read, ReadValue, Uid, Update, Value};
        let key = || SectorKey::from_bytes(hex!("A0A1A2A3A4A5"));
        let (block, to, slot) = (BlockNo::PURSE, BlockNo::PURSE_BACKUP, Slot::FIRST);
        let data = ValueBlock { value: 12_345, address: 9 }.to_block();
        let value = |operation, amount| Value { block, operation, amount };
        std::vec![
            (Uid, hex!("FFCA000000").into()),
            (Ats, hex!("FFCA010000").into()),
            (
                LoadKey { storage: KeyStorage::Volatile, slot, key: key() },
                hex!("FF82000006A0A1A2A3A4A5").into()
            ),
            (
                LoadKey { storage: KeyStorage::NonVolatile, slot, key: key() },
                hex!("FF82200006A0A1A2A3A4A5").into()
            ),
            (Authenticate { block, kind: KeyKind::A, slot }, hex!("FF860000050100096000").into()),
            (Authenticate { block, kind: KeyKind::B, slot: Slot(1) }, hex!("FF860000050100096101").into()),
            (Read { block }, hex!("FFB0000910").into()),
            (Update { block, data }, hex!("FFD600091039300000C6CFFFFF3930000009F609F6").into()),
            (value(ValueOperation::Store, 12_345), hex!("FFD70009050000003039").into()),
            (value(ValueOperation::Increment, 200), hex!("FFD700090501000000C8").into()),
            (value(ValueOperation::Decrement, 200), hex!("FFD700090502000000C8").into()),
            (ReadValue { block }, hex!("FFB1000904").into()),
            (Copy { from: block, to }, hex!("FFD7000902030A").into()),
        ]
    }

    #[test]
    fn vectors_pcsc_storage_card_pseudo_apdus() {
        for (command, bytes) in commands() {
            assert_eq!(&*command.to_apdu(), bytes);
            assert!(ReaderCommand::parse(&bytes).is_ok_and(|parsed| parsed == command), "{bytes:02X?}");
        }
        let obsolete = ReaderCommand::parse(&hex!("FF8800096001")).ok();
        let same = ReaderCommand::parse(&hex!("FF860000050100096001")).ok();
        assert!(obsolete.is_some() && obsolete == same);
    }

    #[test]
    fn wrong_forms_have_their_status_word() {
        for (bytes, sw) in [
            (&hex!("FF")[..], 0x6700),
            (&hex!("00CA000000"), 0x6E00),
            (&hex!("FF00000000"), 0x6D00),
            (&hex!("FFCA020000"), 0x6A86),
            (&hex!("FFCA000003"), 0x6C04),
            (&hex!("FFB0004010"), 0x6A82),
            (&hex!("FFB0010910"), 0x6A86),
            (&hex!("FFB0000908"), 0x6C10),
            (&hex!("FFB1000910"), 0x6C04),
            (&hex!("FFD600090100"), 0x6700),
            (&hex!("FF82000005A0A1A2A3A4"), 0x6700),
            (&hex!("FF82002006A0A1A2A3A4A5"), 0x6A86),
            (&hex!("FF82100006A0A1A2A3A4A5"), 0x6A86),
            (&hex!("FF860000050200096000"), 0x6A86),
            (&hex!("FF860000050100096200"), 0x6A86),
            (&hex!("FF860000050100406000"), 0x6A82),
            (&hex!("FF8600000401000960"), 0x6700),
            (&hex!("FF8800096200"), 0x6A86),
            (&hex!("FFD70009050400000001"), 0x6A80),
            (&hex!("FFD700090401000000"), 0x6700),
            (&hex!("FFD70009020340"), 0x6A82),
            (&hex!("FFD70009"), 0x6700),
        ] {
            let found = ReaderCommand::parse(bytes).map(|_| ()).unwrap_err();
            assert_eq!(found, StatusWord(sw), "{bytes:02X?}");
        }
    }
}
