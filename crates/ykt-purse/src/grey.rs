//! Grey lock (灰锁, `epurse.md` 4.11): a pump or gate locks the purse before it knows the amount, and debits when it
//! does; in between the purse buys nothing else. The card keeps the lock through power and reset, so the debit may
//! follow at another machine; when it never does, the issuer's host unlocks online.
//!
//! The public sources give commands, session keys, MAC1 and the TAC. The platform's own proposals are: what MAC2 and
//! GTAC cover, the layout of the lock proof between its state and its terminal, types 94 and 96 for debit and
//! online unlock of an ED, and MAC3 of the online unlock, which is that of an unload. GMAC over the amount alone is believed, not proven.

mod online;
mod proof;

pub use online::{
    GreyUnlock, InitializeForGreyUnlock, OnlineUnlock, UNLOCK_ANSWER_LEN, UNLOCK_INITIALIZE_ANSWER_LEN,
    UnlockOffer, unlock_mac1, unlock_mac1_input, unlock_mac2, unlock_mac2_input, unlock_mac3,
    unlock_mac3_input, unlock_session_key,
};
pub use proof::{GetLockProof, LockProof, LockProofForm, LockStage, PROOF_LEN};

use crate::purchase;
use crate::types::{Purse, PurseFen, TransactionType};
use crate::wire::{join, whole};
use ykt_base::{
    CardCounter, Command, DateTime, KeyIndex, Mac4, Random4, StatusWord, TerminalId, TerminalSeq,
};
use ykt_crypto::{CardKey, SessionKey};

/// Length of the answer to INITIALIZE FOR GREY LOCK.
pub const INITIALIZE_ANSWER_LEN: usize = purchase::INITIALIZE_ANSWER_LEN;
/// Length of the answer to GREY LOCK: GTAC and MAC2.
pub const LOCK_ANSWER_LEN: usize = 8;
/// Length of the answer to DEBIT FOR UNLOCK: the TAC.
pub const DEBIT_ANSWER_LEN: usize = 4;

/// Who locks which purse: the terms of a grey lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GreyLock {
    /// The purse.
    pub purse: Purse,
    /// Terminal id of the PSAM.
    pub terminal: TerminalId,
}

impl GreyLock {
    /// The type byte of MACs and log.
    #[must_use]
    pub const fn transaction_type(&self) -> TransactionType {
        lock_type(self.purse)
    }
}

/// Type of a lock: 91 for an ED, 92 for an EP.
#[must_use]
pub const fn lock_type(purse: Purse) -> TransactionType {
    match purse {
        Purse::Ed => TransactionType::EdGreyLock,
        Purse::Ep => TransactionType::EpGreyLock,
    }
}

/// Type of the debit that ends a lock: 94 for an ED, 93 for an EP.
#[must_use]
pub const fn debit_type(purse: Purse) -> TransactionType {
    match purse {
        Purse::Ed => TransactionType::EdDebitForUnlock,
        Purse::Ep => TransactionType::EpDebitForUnlock,
    }
}

/// INITIALIZE FOR GREY LOCK (灰锁初始化): `E0 7A 08 purse 07`. It answers as INITIALIZE FOR PURCHASE does
/// ([`purchase::PurchaseAnswer`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitializeForGreyLock {
    /// Which purchase key.
    pub key_index: KeyIndex,
    /// The terms.
    pub lock: GreyLock,
}

impl InitializeForGreyLock {
    /// Reads P1, P2 and data of a command whose class and instruction are E0 7A.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length.
    pub fn parse(command: &Command<'_>) -> Result<InitializeForGreyLock, StatusWord> {
        let (purse, key_index, terminal) = parse_initialize(command, 0x08)?;
        Ok(InitializeForGreyLock { key_index, lock: GreyLock { purse, terminal } })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 13] {
        let GreyLock { purse, terminal } = &self.lock;
        initialize_apdu(0x08, *purse, self.key_index, terminal, 0x0F)
    }
}

/// GREY LOCK (灰锁): `E0 7C 08 00 13`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockPurse {
    /// The PSAM's transaction sequence.
    pub sequence: TerminalSeq,
    /// The PSAM's random number.
    pub terminal_random: Random4,
    /// Date and time of the terminal.
    pub at: DateTime,
    /// The PSAM's proof.
    pub mac1: Mac4,
}

impl LockPurse {
    /// Reads P1, P2 and data of a command whose class and instruction are E0 7C.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 6A80 for a date or time that is none.
    pub fn parse(command: &Command<'_>) -> Result<LockPurse, StatusWord> {
        if (command.p1, command.p2) != (0x08, 0x00) {
            return Err(StatusWord::WRONG_P1P2);
        }
        let fields = whole(command.data, |fields| {
            Some((fields.take()?, fields.take()?, fields.take()?, fields.take()?))
        });
        let (sequence, random, at, mac1) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
        Ok(LockPurse {
            sequence: TerminalSeq::from_bytes(sequence),
            terminal_random: Random4(random),
            at: DateTime::from_bcd(at).ok_or(StatusWord::WRONG_DATA)?,
            mac1: Mac4(mac1),
        })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 25] {
        join(&[
            &[0xE0, 0x7C, 0x08, 0x00, 0x13],
            &self.sequence.to_bytes(),
            self.terminal_random.as_bytes(),
            &self.at.to_bcd(),
            self.mac1.as_bytes(),
            &[0x08],
        ])
    }
}

/// Answer to GREY LOCK: GTAC || MAC2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockAnswer {
    /// The card's receipt for the issuer.
    pub gtac: Mac4,
    /// The card's proof to the PSAM.
    pub mac2: Mac4,
}

impl LockAnswer {
    /// Reads the eight bytes, or `None` for another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<LockAnswer> {
        whole(bytes, |fields| Some(LockAnswer { gtac: Mac4(fields.take()?), mac2: Mac4(fields.take()?) }))
    }

    /// The eight bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; LOCK_ANSWER_LEN] {
        join(&[self.gtac.as_bytes(), self.mac2.as_bytes()])
    }
}

/// DEBIT FOR UNLOCK (解扣): `E0 7E 08 purse 1B`. The amount may be zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DebitForUnlock {
    /// The purse.
    pub purse: Purse,
    /// How much is taken.
    pub amount: PurseFen,
    /// The offline counter as the lock left it.
    pub counter: CardCounter,
    /// Terminal id of the PSAM that debits.
    pub terminal: TerminalId,
    /// Its transaction sequence: the one after the lock's.
    pub sequence: TerminalSeq,
    /// Date and time of the terminal.
    pub at: DateTime,
    /// The PSAM's proof under the session key of the lock.
    pub gmac: Mac4,
}

impl DebitForUnlock {
    /// Reads P1, P2 and data of a command whose class and instruction are E0 7E.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 9401 for an amount that no purse holds, 6A80 for a date or time that
    /// is none.
    pub fn parse(command: &Command<'_>) -> Result<DebitForUnlock, StatusWord> {
        if command.p1 != 0x08 {
            return Err(StatusWord::WRONG_P1P2);
        }
        let purse = Purse::from_code(command.p2)?;
        let fields = whole(command.data, |fields| {
            let (amount, counter, terminal) = (fields.take()?, fields.take()?, fields.take()?);
            Some((amount, counter, terminal, fields.take()?, fields.take()?, fields.take()?))
        });
        let (amount, counter, terminal, sequence, at, gmac) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
        Ok(DebitForUnlock {
            purse,
            amount: PurseFen::from_bytes(amount).ok_or(StatusWord::INSUFFICIENT_FUNDS)?,
            counter: CardCounter::from_bytes(counter),
            terminal: TerminalId(terminal),
            sequence: TerminalSeq::from_bytes(sequence),
            at: DateTime::from_bcd(at).ok_or(StatusWord::WRONG_DATA)?,
            gmac: Mac4(gmac),
        })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 33] {
        join(&[
            &[0xE0, 0x7E, 0x08, self.purse.code(), 0x1B],
            &self.amount.to_bytes(),
            &self.counter.to_bytes(),
            self.terminal.as_bytes(),
            &self.sequence.to_bytes(),
            &self.at.to_bcd(),
            self.gmac.as_bytes(),
            &[0x04],
        ])
    }
}

/// Session key of a lock under the card's purchase key DPK: that of a purchase enciphers the terminal's random number
/// || 80 00 00 00 (`epurse.md` 1.2).
#[must_use]
pub fn session_key(
    dpk: &CardKey,
    random: Random4,
    counter: CardCounter,
    sequence: TerminalSeq,
    terminal_random: Random4,
) -> SessionKey {
    purchase::session_key(dpk, random, counter, sequence).session(second_input(terminal_random))
}

/// What the session key of a purchase enciphers into that of a lock: terminal's random number || 80 00 00 00.
#[must_use]
pub fn second_input(terminal_random: Random4) -> [u8; 8] {
    join(&[terminal_random.as_bytes(), &[0x80, 0, 0, 0]])
}

/// MAC1 covers type || terminal || date || time.
#[must_use]
pub fn mac1_input(lock: &GreyLock, at: DateTime) -> [u8; 14] {
    join(&[&[lock.transaction_type().code()], lock.terminal.as_bytes(), &at.to_bcd()])
}

/// MAC1, the PSAM's proof to the card.
#[must_use]
pub fn mac1(session: &SessionKey, lock: &GreyLock, at: DateTime) -> Mac4 {
    session.mac(&[&mac1_input(lock, at)])
}

/// MAC2 covers balance || counter before.
#[must_use]
pub fn mac2_input(balance: PurseFen, counter: CardCounter) -> [u8; 6] {
    join(&[&balance.to_bytes(), &counter.to_bytes()])
}

/// MAC2, the card's proof to the PSAM.
#[must_use]
pub fn mac2(session: &SessionKey, balance: PurseFen, counter: CardCounter) -> Mac4 {
    session.mac(&[&mac2_input(balance, counter)])
}

/// GTAC covers balance || counter before || type || terminal || sequence || date || time.
#[must_use]
pub fn gtac_input(
    lock: &GreyLock,
    balance: PurseFen,
    counter: CardCounter,
    sequence: TerminalSeq,
    at: DateTime,
) -> [u8; 24] {
    let terms = mac2_input(balance, counter);
    let GreyLock { terminal, .. } = lock;
    let kind = [lock.transaction_type().code()];
    join(&[&terms, &kind, terminal.as_bytes(), &sequence.to_bytes(), &at.to_bcd()])
}

/// GTAC, the receipt of a lock, under the TAC key.
#[must_use]
pub fn gtac(
    tac_key: &SessionKey,
    lock: &GreyLock,
    balance: PurseFen,
    counter: CardCounter,
    sequence: TerminalSeq,
    at: DateTime,
) -> Mac4 {
    tac_key.mac(&[&gtac_input(lock, balance, counter, sequence, at)])
}

/// GMAC, the PSAM's word on the amount; it covers the amount alone.
#[must_use]
pub fn gmac(session: &SessionKey, amount: PurseFen) -> Mac4 {
    session.mac(&[&amount.to_bytes()])
}

/// The TAC of the debit covers amount || type || terminal || sequence || date || time.
#[must_use]
pub fn tac_input(debit: &DebitForUnlock) -> [u8; 22] {
    let kind = [debit_type(debit.purse).code()];
    let (amount, sequence) = (debit.amount.to_bytes(), debit.sequence.to_bytes());
    join(&[&amount, &kind, debit.terminal.as_bytes(), &sequence, &debit.at.to_bcd()])
}

/// TAC of the debit, under the TAC key.
#[must_use]
pub fn tac(tac_key: &SessionKey, debit: &DebitForUnlock) -> Mac4 {
    tac_key.mac(&[&tac_input(debit)])
}

fn parse_initialize(command: &Command<'_>, p1: u8) -> Result<(Purse, KeyIndex, TerminalId), StatusWord> {
    if command.p1 != p1 {
        return Err(StatusWord::WRONG_P1P2);
    }
    let purse = Purse::from_code(command.p2)?;
    let fields = whole(command.data, |fields| Some((fields.byte()?, fields.take()?)));
    let (index, terminal) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
    Ok((purse, KeyIndex(index), TerminalId(terminal)))
}

fn initialize_apdu(p1: u8, purse: Purse, index: KeyIndex, terminal: &TerminalId, le: u8) -> [u8; 13] {
    join(&[&[0xE0, 0x7A, p1, purse.code(), 0x07, index.0], terminal.as_bytes(), &[le]])
}

#[cfg(test)]
mod tests;
