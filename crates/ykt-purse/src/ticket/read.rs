//! Read_ET: a look at tickets, their redemption, and the proof of it.

use super::{PROOF_LEN, REDEEM_ANSWER_LEN, ROOM_LEN, TERMS_LEN, Terms, VIEW_LEN, id};
use crate::purchase::DEBIT_ANSWER_LEN;
use crate::wire::{apdu, join, whole};
use ykt_base::{
    CardCounter, Command, DateTime, KeyIndex, KeyVersion, Mac4, Random4, StatusWord, TerminalId, TerminalSeq,
    TicketId,
};
use ykt_crypto::sm::CommandBytes;

/// Read_ET_Init: `80 36 P1 P2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadInit {
    /// P1 00, P2 00, no data: how much room there is.
    Room,
    /// P1 00, P2 n, no data: a look at the n-th ticket, from 1.
    Nth(u8),
    /// P1 00, P2 00: a look at one ticket.
    One(TicketId),
    /// P1 01: begins a redemption.
    Redeem {
        /// The ticket.
        id: TicketId,
        /// Where.
        terminal: TerminalId,
    },
    /// P1 02: the last proof of a ticket, for whoever lost an answer.
    Proof(TicketId),
}

impl ReadInit {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 36.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length.
    pub fn parse(command: &Command<'_>) -> Result<ReadInit, StatusWord> {
        match (command.p1, command.p2, command.data.is_empty()) {
            (0x00, 0x00, true) => Ok(ReadInit::Room),
            (0x00, 0x00, false) => id(command.data).map(ReadInit::One),
            (0x00, number, true) => Ok(ReadInit::Nth(number)),
            (0x00, _, false) => Err(StatusWord::WRONG_LENGTH),
            (0x01, 0x00, _) => {
                let fields = whole(command.data, |fields| Some((fields.take()?, fields.take()?)));
                let (id, terminal) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
                Ok(ReadInit::Redeem { id: TicketId(id), terminal: TerminalId(terminal) })
            }
            (0x02, 0x00, _) => id(command.data).map(ReadInit::Proof),
            _ => Err(StatusWord::WRONG_P1P2),
        }
    }

    /// Length of the answer.
    #[must_use]
    pub const fn answer_len(&self) -> usize {
        match self {
            ReadInit::Room => ROOM_LEN,
            ReadInit::Nth(_) | ReadInit::One(_) => VIEW_LEN,
            ReadInit::Redeem { .. } => REDEEM_ANSWER_LEN,
            ReadInit::Proof(_) => PROOF_LEN,
        }
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> CommandBytes {
        let le = u8::try_from(self.answer_len()).ok();
        match self {
            ReadInit::Room => apdu([0x80, 0x36, 0x00, 0x00], &[], le),
            ReadInit::Nth(number) => apdu([0x80, 0x36, 0x00, *number], &[], le),
            ReadInit::One(id) => apdu([0x80, 0x36, 0x00, 0x00], &[id.as_bytes()], le),
            ReadInit::Redeem { id, terminal } => {
                apdu([0x80, 0x36, 0x01, 0x00], &[id.as_bytes(), terminal.as_bytes()], le)
            }
            ReadInit::Proof(id) => apdu([0x80, 0x36, 0x02, 0x00], &[id.as_bytes()], le),
        }
    }
}

/// How much room a store has: places (1), free ones (1), bytes of the longest ticket (1), online counter (2),
/// offline counter (2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Tickets it holds at most.
    pub places: u8,
    /// Places that are free.
    pub free: u8,
    /// Bytes of the longest ticket.
    pub len: u8,
    /// Counter of what hosts did.
    pub online: CardCounter,
    /// Counter of redemptions.
    pub offline: CardCounter,
}

impl Room {
    /// Reads the seven bytes, or `None` for another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Room> {
        whole(bytes, |fields| {
            Some(Room {
                places: fields.byte()?,
                free: fields.byte()?,
                len: fields.byte()?,
                online: CardCounter::from_bytes(fields.take()?),
                offline: CardCounter::from_bytes(fields.take()?),
            })
        })
    }

    /// The seven bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; ROOM_LEN] {
        let Room { places, free, len, online, offline } = self;
        join(&[&[*places, *free, *len], &online.to_bytes(), &offline.to_bytes()])
    }
}

/// A ticket as Read_ET_Init shows it: issuer (1), uses left (1), length (1), terms (33).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// The issuer: the id of its keys on the card.
    pub issuer: KeyIndex,
    /// Uses left.
    pub uses: u8,
    /// Length of the ticket in bytes, terms and face.
    pub len: u8,
    /// Its terms.
    pub terms: Terms,
}

impl View {
    /// Reads the 36 bytes, or `None` for another length or terms that are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<View> {
        whole(bytes, |fields| {
            let (issuer, uses, len) = (KeyIndex(fields.byte()?), fields.byte()?, fields.byte()?);
            Some(View { issuer, uses, len, terms: Terms::of_ticket(&fields.take::<TERMS_LEN>()?)? })
        })
    }

    /// The 36 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; VIEW_LEN] {
        join(&[&[self.issuer.0, self.uses, self.len], &self.terms.to_bytes()])
    }
}

/// Answer to Read_ET_Init that begins a redemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedeemAnswer {
    /// The store's offline counter before the redemption.
    pub counter: CardCounter,
    /// Version of the redemption key.
    pub key_version: KeyVersion,
    /// Its algorithm byte.
    pub algorithm: u8,
    /// The card's random number.
    pub random: Random4,
    /// The ticket.
    pub view: View,
}

impl RedeemAnswer {
    /// Reads the 44 bytes, or `None` for another length or terms that are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<RedeemAnswer> {
        whole(bytes, |fields| {
            Some(RedeemAnswer {
                counter: CardCounter::from_bytes(fields.take()?),
                key_version: KeyVersion(fields.byte()?),
                algorithm: fields.byte()?,
                random: Random4(fields.take()?),
                view: View::from_bytes(&fields.take::<VIEW_LEN>()?)?,
            })
        })
    }

    /// The 44 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; REDEEM_ANSWER_LEN] {
        join(&[
            &self.counter.to_bytes(),
            &[self.key_version.0, self.algorithm],
            self.random.as_bytes(),
            &self.view.to_bytes(),
        ])
    }
}

/// Read_ET_Info: `80 38 offset [Le]`, a piece of the ticket that Read_ET_Init showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadInfo {
    /// Where in the ticket the piece begins: P1 P2.
    pub offset: u16,
}

impl ReadInfo {
    /// Reads a command whose class and instruction are 80 38.
    ///
    /// # Errors
    /// 6700 with data.
    pub const fn parse(command: &Command<'_>) -> Result<ReadInfo, StatusWord> {
        if !command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH);
        }
        Ok(ReadInfo { offset: u16::from_be_bytes([command.p1, command.p2]) })
    }

    /// The command, for all there is from the offset on.
    #[must_use]
    pub fn to_apdu(&self) -> CommandBytes {
        let [high, low] = self.offset.to_be_bytes();
        apdu([0x80, 0x38, high, low], &[], Some(0))
    }
}

/// Read_ET_End: `80 3A P1 00`. A redemption is answered like a purchase, by TAC and MAC2
/// ([`crate::purchase::DebitAnswer`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadEnd {
    /// P1 00: ends a look.
    Look,
    /// P1 01: takes one use off.
    Redeem {
        /// The terminal's sequence.
        sequence: TerminalSeq,
        /// Date and time of the terminal.
        at: DateTime,
        /// The terminal's proof.
        mac1: Mac4,
    },
}

impl ReadEnd {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 3A.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 6A80 for a date or time that is none.
    pub fn parse(command: &Command<'_>) -> Result<ReadEnd, StatusWord> {
        match (command.p1, command.p2) {
            (0x00, 0x00) if command.data.is_empty() => Ok(ReadEnd::Look),
            (0x00, 0x00) => Err(StatusWord::WRONG_LENGTH),
            (0x01, 0x00) => {
                let fields =
                    whole(command.data, |fields| Some((fields.take()?, fields.take()?, fields.take()?)));
                let (sequence, at, mac1) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
                let at = DateTime::from_bcd(at).ok_or(StatusWord::WRONG_DATA)?;
                Ok(ReadEnd::Redeem { sequence: TerminalSeq::from_bytes(sequence), at, mac1: Mac4(mac1) })
            }
            _ => Err(StatusWord::WRONG_P1P2),
        }
    }

    /// Length of the answer.
    #[must_use]
    pub const fn answer_len(&self) -> usize {
        match self {
            ReadEnd::Look => 0,
            ReadEnd::Redeem { .. } => DEBIT_ANSWER_LEN,
        }
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> CommandBytes {
        match self {
            ReadEnd::Look => apdu([0x80, 0x3A, 0x00, 0x00], &[], None),
            ReadEnd::Redeem { sequence, at, mac1 } => apdu(
                [0x80, 0x3A, 0x01, 0x00],
                &[&sequence.to_bytes(), &at.to_bcd(), mac1.as_bytes()],
                Some(0x08),
            ),
        }
    }
}
