//! Write_ET: the issuer's host stores and deletes tickets, the holder deletes them with the PIN.

use super::{Action, TERMS_LEN, WRITE_ANSWER_LEN, id};
use crate::wire::{apdu, join, whole};
use ykt_base::{
    CardCounter, Command, DateTime, KeyIndex, KeyVersion, Mac4, Random4, StatusWord, TerminalId, TicketId,
};
use ykt_crypto::sm::CommandBytes;

/// What an issuer's host asks of the card with Write_ET_Init.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// P1 00: takes a ticket in.
    Store {
        /// The issuer: the id of its keys on the card.
        issuer: KeyIndex,
        /// The ticket.
        id: TicketId,
        /// Its length in bytes, terms and face.
        len: u8,
    },
    /// P1 01: gives a ticket up, whatever is left of it.
    Delete {
        /// The ticket.
        id: TicketId,
    },
}

impl Order {
    /// The ticket it is about.
    #[must_use]
    pub const fn id(&self) -> TicketId {
        match self {
            Order::Store { id, .. } | Order::Delete { id } => *id,
        }
    }

    /// [`Action::Store`] or [`Action::Delete`].
    #[must_use]
    pub const fn action(&self) -> Action {
        match self {
            Order::Store { .. } => Action::Store,
            Order::Delete { .. } => Action::Delete,
        }
    }

    /// P1 of its commands.
    #[must_use]
    pub const fn p1(&self) -> u8 {
        match self {
            Order::Store { .. } => 0x00,
            Order::Delete { .. } => 0x01,
        }
    }
}

/// Write_ET_Init: `80 30 P1 00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteInit {
    /// What is asked.
    pub order: Order,
    /// Where.
    pub terminal: TerminalId,
}

impl WriteInit {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 30.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 6A80 for a ticket too short for its terms.
    pub fn parse(command: &Command<'_>) -> Result<WriteInit, StatusWord> {
        let (order, terminal) = match (command.p1, command.p2) {
            (0x00, 0x00) => {
                let fields = whole(command.data, |fields| {
                    Some((fields.byte()?, fields.take()?, fields.byte()?, fields.take()?))
                });
                let (issuer, id, len, terminal) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
                if usize::from(len) < TERMS_LEN {
                    return Err(StatusWord::WRONG_DATA);
                }
                (Order::Store { issuer: KeyIndex(issuer), id: TicketId(id), len }, terminal)
            }
            (0x01, 0x00) => {
                let fields = whole(command.data, |fields| Some((fields.take()?, fields.take()?)));
                let (id, terminal) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
                (Order::Delete { id: TicketId(id) }, terminal)
            }
            _ => return Err(StatusWord::WRONG_P1P2),
        };
        Ok(WriteInit { order, terminal: TerminalId(terminal) })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> CommandBytes {
        let WriteInit { order, terminal } = self;
        match order {
            Order::Store { issuer, id, len } => apdu(
                [0x80, 0x30, order.p1(), 0x00],
                &[&issuer.to_bytes(), id.as_bytes(), &[*len], terminal.as_bytes()],
                Some(0x0D),
            ),
            Order::Delete { id } => {
                apdu([0x80, 0x30, order.p1(), 0x00], &[id.as_bytes(), terminal.as_bytes()], Some(0x0D))
            }
        }
    }
}

/// Answer to Write_ET_Init.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteAnswer {
    /// Free places before a ticket is stored; uses left of one that is deleted.
    pub left: u8,
    /// The store's online counter before the order.
    pub counter: CardCounter,
    /// Version of the issuer's key.
    pub key_version: KeyVersion,
    /// Its algorithm byte.
    pub algorithm: u8,
    /// The card's random number.
    pub random: Random4,
    /// The card's proof.
    pub mac1: Mac4,
}

impl WriteAnswer {
    /// Reads the thirteen bytes, or `None` for another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<WriteAnswer> {
        whole(bytes, |fields| {
            Some(WriteAnswer {
                left: fields.byte()?,
                counter: CardCounter::from_bytes(fields.take()?),
                key_version: KeyVersion(fields.byte()?),
                algorithm: fields.byte()?,
                random: Random4(fields.take()?),
                mac1: Mac4(fields.take()?),
            })
        })
    }

    /// The thirteen bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; WRITE_ANSWER_LEN] {
        join(&[
            &[self.left],
            &self.counter.to_bytes(),
            &[self.key_version.0, self.algorithm],
            self.random.as_bytes(),
            self.mac1.as_bytes(),
        ])
    }
}

/// Write_ET_Info: `80 32 offset`, the next block of the ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteInfo<'a> {
    /// Where in the ticket the block begins: P1 P2.
    pub offset: u16,
    /// The block.
    pub block: &'a [u8],
}

impl<'a> WriteInfo<'a> {
    /// Reads a command whose class and instruction are 80 32.
    ///
    /// # Errors
    /// 6700 without data.
    pub const fn parse(command: &Command<'a>) -> Result<WriteInfo<'a>, StatusWord> {
        if command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH);
        }
        Ok(WriteInfo { offset: u16::from_be_bytes([command.p1, command.p2]), block: command.data })
    }

    /// The command as bytes; a block longer than [`BLOCK_LEN_MAX`](super::BLOCK_LEN_MAX) is a fault of the caller and
    /// is left out.
    #[must_use]
    pub fn to_apdu(&self) -> CommandBytes {
        let [high, low] = self.offset.to_be_bytes();
        apdu([0x80, 0x32, high, low], &[self.block], None)
    }
}

/// Write_ET_End: `80 34 P1 00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteEnd {
    /// P1 00 and 01: the host's proof, with which the order is done.
    Host {
        /// The order that P1 names.
        action: Action,
        /// Date and time of the host.
        at: DateTime,
        /// The host's proof.
        mac2: Mac4,
    },
    /// P1 02: the holder deletes a ticket. No Write_ET_Init goes before it: the PIN is the proof.
    Holder {
        /// The ticket.
        id: TicketId,
    },
}

impl WriteEnd {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 34.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 6A80 for a date or time that is none.
    pub fn parse(command: &Command<'_>) -> Result<WriteEnd, StatusWord> {
        let action = match (command.p1, command.p2) {
            (0x00, 0x00) => Action::Store,
            (0x01, 0x00) => Action::Delete,
            (0x02, 0x00) => return Ok(WriteEnd::Holder { id: id(command.data)? }),
            _ => return Err(StatusWord::WRONG_P1P2),
        };
        let fields = whole(command.data, |fields| Some((fields.take()?, fields.take()?)));
        let (at, mac2) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
        let at = DateTime::from_bcd(at).ok_or(StatusWord::WRONG_DATA)?;
        Ok(WriteEnd::Host { action, at, mac2: Mac4(mac2) })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> CommandBytes {
        match self {
            WriteEnd::Host { action, at, mac2 } => {
                let p1 = u8::from(*action == Action::Delete);
                apdu([0x80, 0x34, p1, 0x00], &[&at.to_bcd(), mac2.as_bytes()], Some(0x04))
            }
            WriteEnd::Holder { id } => apdu([0x80, 0x34, 0x02, 0x00], &[id.as_bytes()], None),
        }
    }
}
