//! The program's half of a dialogue with an M1 card: open a sector, read, write, reckon, one command at a time.

use crate::block::{Block, BlockNo, Sector, Uid};
use crate::command::{KeyStorage, ReaderCommand, Slot, ValueOperation};
use crate::key::{KeyKind, SectorKey};
use core::fmt;
use ykt_base::{CardChannel, ChannelError, StatusWord};

/// A step of a dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// GET DATA of the UID.
    Uid,
    /// LOAD KEY.
    LoadKey,
    /// GENERAL AUTHENTICATE of a sector.
    Authenticate(Sector, KeyKind),
    /// READ BINARY.
    Read(BlockNo),
    /// UPDATE BINARY.
    Update(BlockNo),
    /// Value operation: increment.
    Increment(BlockNo),
    /// Value operation: decrement.
    Decrement(BlockNo),
    /// Restore of the first, transfer to the second.
    Copy(BlockNo, BlockNo),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Uid => f.write_str("GET DATA of the UID (FFCA)"),
            Step::LoadKey => f.write_str("LOAD KEY (FF82)"),
            Step::Authenticate(sector, kind) => write!(f, "AUTHENTICATE sector {sector} with {kind} (FF86)"),
            Step::Read(block) => write!(f, "READ BINARY block {block} (FFB0)"),
            Step::Update(block) => write!(f, "UPDATE BINARY block {block} (FFD6)"),
            Step::Increment(block) => write!(f, "INCREMENT block {block} (FFD7 01)"),
            Step::Decrement(block) => write!(f, "DECREMENT block {block} (FFD7 02)"),
            Step::Copy(from, to) => write!(f, "RESTORE block {from}, TRANSFER to {to} (FFD7 03)"),
        }
    }
}

/// How a step stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialogueError {
    /// No answer came.
    Silent {
        /// The step.
        step: Step,
        /// Why.
        cause: ChannelError,
    },
    /// The reader or the chip said no.
    Refused {
        /// The step.
        step: Step,
        /// What it said.
        sw: StatusWord,
    },
    /// An answer of a wrong length.
    Unreadable {
        /// The step.
        step: Step,
        /// Data bytes that came.
        len: usize,
    },
}

impl DialogueError {
    /// The step that stopped.
    #[must_use]
    pub const fn step(&self) -> Step {
        match self {
            DialogueError::Silent { step, .. }
            | DialogueError::Refused { step, .. }
            | DialogueError::Unreadable { step, .. } => *step,
        }
    }
}

impl fmt::Display for DialogueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DialogueError::Silent { step, cause } => write!(f, "{step}: {cause}"),
            DialogueError::Refused { step, sw } => write!(f, "{step}: expected 9000, found {sw}"),
            DialogueError::Unreadable { step, len } => {
                write!(f, "{step}: {len} data bytes that are no such answer")
            }
        }
    }
}

impl core::error::Error for DialogueError {}

/// A dialogue with the card that lies on a reader.
pub struct Dialogue<'c, C: ?Sized> {
    channel: &'c mut C,
}

impl<'c, C: CardChannel + ?Sized> Dialogue<'c, C> {
    /// A dialogue over this channel.
    pub fn new(channel: &'c mut C) -> Dialogue<'c, C> {
        Dialogue { channel }
    }

    /// The chip's number.
    ///
    /// # Errors
    /// [`DialogueError`].
    pub fn uid(&mut self) -> Result<Uid, DialogueError> {
        self.ask(Step::Uid, &ReaderCommand::Uid).map(Uid)
    }

    /// Opens a sector.
    ///
    /// # Errors
    /// [`DialogueError`]; 6300 is a wrong key.
    pub fn open(&mut self, sector: Sector, kind: KeyKind, key: &SectorKey) -> Result<(), DialogueError> {
        let slot = Slot::FIRST;
        let load = ReaderCommand::LoadKey { storage: KeyStorage::Volatile, slot, key: key.clone() };
        self.tell(Step::LoadKey, &load)?;
        let command = ReaderCommand::Authenticate { block: sector.trailer(), kind, slot };
        self.tell(Step::Authenticate(sector, kind), &command)
    }

    /// Reads a block.
    ///
    /// # Errors
    /// [`DialogueError`].
    pub fn read(&mut self, block: BlockNo) -> Result<Block, DialogueError> {
        self.ask(Step::Read(block), &ReaderCommand::Read { block })
    }

    /// Writes a block.
    ///
    /// # Errors
    /// [`DialogueError`]; without an answer the block may be old, new or torn.
    pub fn update(&mut self, block: BlockNo, data: &Block) -> Result<(), DialogueError> {
        self.tell(Step::Update(block), &ReaderCommand::Update { block, data: *data })
    }

    /// Adds to a value block.
    ///
    /// # Errors
    /// As [`Dialogue::update`].
    pub fn increment(&mut self, block: BlockNo, amount: i32) -> Result<(), DialogueError> {
        let operation = ValueOperation::Increment;
        self.tell(Step::Increment(block), &ReaderCommand::Value { block, operation, amount })
    }

    /// Takes from a value block.
    ///
    /// # Errors
    /// As [`Dialogue::update`].
    pub fn decrement(&mut self, block: BlockNo, amount: i32) -> Result<(), DialogueError> {
        let operation = ValueOperation::Decrement;
        self.tell(Step::Decrement(block), &ReaderCommand::Value { block, operation, amount })
    }

    /// Restores the value of one block and transfers it to another one of the open sector.
    ///
    /// # Errors
    /// As [`Dialogue::update`].
    pub fn copy(&mut self, from: BlockNo, to: BlockNo) -> Result<(), DialogueError> {
        self.tell(Step::Copy(from, to), &ReaderCommand::Copy { from, to })
    }

    fn tell(&mut self, step: Step, command: &ReaderCommand) -> Result<(), DialogueError> {
        self.ask::<0>(step, command).map(|[]| ())
    }

    fn ask<const N: usize>(&mut self, step: Step, command: &ReaderCommand) -> Result<[u8; N], DialogueError> {
        let answer = self.channel.transmit(&command.to_apdu());
        let answer = answer.map_err(|cause| DialogueError::Silent { step, cause })?;
        if !answer.sw().is_ok() {
            return Err(DialogueError::Refused { step, sw: answer.sw() });
        }
        let len = answer.data().len();
        answer.data().try_into().map_err(|_| DialogueError::Unreadable { step, len })
    }
}
