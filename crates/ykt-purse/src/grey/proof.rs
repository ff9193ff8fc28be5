//! GET LOCK PROOF (取灰锁状态): what a terminal or host learns of a lock it did not make.

use crate::types::{Purse, PurseFen, TransactionType};
use crate::wire::{join, whole};
use ykt_base::{CardCounter, Command, DateTime, Mac4, StatusWord, TerminalId, TerminalSeq};

/// Length of the answer to GET LOCK PROOF.
pub const PROOF_LEN: usize = 30;

/// What GET LOCK PROOF does beside answering: P1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockProofForm {
    /// 00: nothing.
    Read,
    /// 01: the TAC of a debit counts as read.
    Acknowledge,
}

/// GET LOCK PROOF (取灰锁状态): `E0 CA form 00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetLockProof(pub LockProofForm);

impl GetLockProof {
    /// Reads P1, P2 and data of a command whose class and instruction are E0 CA.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 with data.
    pub fn parse(command: &Command<'_>) -> Result<GetLockProof, StatusWord> {
        let form = match (command.p1, command.p2) {
            (0x00, 0x00) => LockProofForm::Read,
            (0x01, 0x00) => LockProofForm::Acknowledge,
            _ => return Err(StatusWord::WRONG_P1P2),
        };
        if command.data.is_empty() { Ok(GetLockProof(form)) } else { Err(StatusWord::WRONG_LENGTH) }
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 5] {
        let p1 = match self.0 {
            LockProofForm::Read => 0x00,
            LockProofForm::Acknowledge => 0x01,
        };
        [0xE0, 0xCA, p1, 0x00, 0x1E]
    }
}

/// How far a lock has come: the first byte of its proof, 00 being free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockStage {
    /// 01: locked, not debited.
    Locked,
    /// 10: debited, its TAC not read (TACUF).
    Debited,
}

impl LockStage {
    /// The byte of the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            LockStage::Locked => 0x01,
            LockStage::Debited => 0x10,
        }
    }

    /// The stage of a byte, or `None` for another byte.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<LockStage> {
        match code {
            0x01 => Some(LockStage::Locked),
            0x10 => Some(LockStage::Debited),
            _ => None,
        }
    }
}

/// The proof of a lock, 30 bytes: state, type, purse, money, counter, terminal, date, time, sequence, MAC. A free
/// card answers zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockProof {
    /// How far it has come.
    pub stage: LockStage,
    /// The lock, or the debit that ended it.
    pub transaction: TransactionType,
    /// The purse.
    pub purse: Purse,
    /// Locked: the balance. Debited: the amount.
    pub money: PurseFen,
    /// The offline counter after the lock.
    pub counter: CardCounter,
    /// Terminal that locked or debited.
    pub terminal: TerminalId,
    /// Its date and time.
    pub at: DateTime,
    /// Its transaction sequence.
    pub sequence: TerminalSeq,
    /// Locked: the GTAC. Debited: the TAC.
    pub mac: Mac4,
}

impl LockProof {
    /// Reads the thirty bytes: `None` for another length or content, `Some(None)` for a free card.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Option<LockProof>> {
        if bytes == [0; PROOF_LEN] {
            return Some(None);
        }
        let proof = whole(bytes, |fields| {
            Some(LockProof {
                stage: LockStage::from_code(fields.byte()?)?,
                transaction: TransactionType::from_code(fields.byte()?)?,
                purse: Purse::from_code(fields.byte()?).ok()?,
                money: PurseFen::from_bytes(fields.take()?)?,
                counter: CardCounter::from_bytes(fields.take()?),
                terminal: TerminalId(fields.take()?),
                at: DateTime::from_bcd(fields.take()?)?,
                sequence: TerminalSeq::from_bytes(fields.take()?),
                mac: Mac4(fields.take()?),
            })
        });
        proof.map(Some)
    }

    /// The thirty bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PROOF_LEN] {
        join(&[
            &[self.stage.code(), self.transaction.code(), self.purse.code()],
            &self.money.to_bytes(),
            &self.counter.to_bytes(),
            self.terminal.as_bytes(),
            &self.at.to_bcd(),
            &self.sequence.to_bytes(),
            self.mac.as_bytes(),
        ])
    }
}
