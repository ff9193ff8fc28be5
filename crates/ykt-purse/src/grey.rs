//! Grey lock (灰锁, `epurse.md` 4.11): a pump or gate locks the purse before it knows the amount, and debits when it
//! does; in between the purse buys nothing else. The card keeps the lock through power and reset, so the debit may
//! follow at another machine; when it never does, the issuer's host unlocks online.
//!
//! The public sources give commands, session keys, MAC1 and the TAC. The platform's own proposals are: what MAC2 and
//! GTAC cover, the layout of the lock proof between its state and its terminal, type 94 for the debit of an ED, and
//! MAC3 of the online unlock, which is that of an unload. GMAC over the amount alone is believed, not proven.

use crate::load::session_input;
use crate::purchase;
use crate::types::{Purse, PurseFen, TransactionType};
use crate::wire::{join, signed_terms, whole};
use ykt_base::{
    CardCounter, Command, DateTime, KeyIndex, KeyVersion, Mac4, Random4, StatusWord, TerminalId, TerminalSeq,
};
use ykt_crypto::{CardKey, SessionKey};

/// Length of the answer to INITIALIZE FOR GREY LOCK.
pub const INITIALIZE_ANSWER_LEN: usize = purchase::INITIALIZE_ANSWER_LEN;
/// Length of the answer to GREY LOCK: GTAC and MAC2.
pub const LOCK_ANSWER_LEN: usize = 8;
/// Length of the answer to DEBIT FOR UNLOCK: the TAC.
pub const DEBIT_ANSWER_LEN: usize = 4;
/// Length of the answer to INITIALIZE FOR GREY UNLOCK.
pub const UNLOCK_INITIALIZE_ANSWER_LEN: usize = 18;
/// Length of the answer to GREY UNLOCK: MAC3.
pub const UNLOCK_ANSWER_LEN: usize = 4;
/// Length of the answer to GET LOCK PROOF.
pub const PROOF_LEN: usize = 30;

/// Who locks which purse: the terms of a grey lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GreyLock {
    /// The purse.
    pub purse: Purse,
    /// Terminal id of the PSAM.
    pub terminal: TerminalId,
}

impl GreyLock {
    /// 91 for an ED, 92 for an EP.
    #[must_use]
    pub const fn transaction_type(&self) -> TransactionType {
        match self.purse {
            Purse::Ed => TransactionType::EdGreyLock,
            Purse::Ep => TransactionType::EpGreyLock,
        }
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

/// Type of an online unlock, of either purse.
const UNLOCK: TransactionType = TransactionType::GreyUnlock;

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

/// INITIALIZE FOR GREY UNLOCK (联机解扣初始化): `E0 7A 09 purse 07`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitializeForGreyUnlock {
    /// The purse.
    pub purse: Purse,
    /// Which key for online unlocks.
    pub key_index: KeyIndex,
    /// Id of the machine.
    pub terminal: TerminalId,
}

impl InitializeForGreyUnlock {
    /// Reads P1, P2 and data of a command whose class and instruction are E0 7A.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length.
    pub fn parse(command: &Command<'_>) -> Result<InitializeForGreyUnlock, StatusWord> {
        let (purse, key_index, terminal) = parse_initialize(command, 0x09)?;
        Ok(InitializeForGreyUnlock { purse, key_index, terminal })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 13] {
        initialize_apdu(0x09, self.purse, self.key_index, &self.terminal, 0x12)
    }
}

/// Answer to INITIALIZE FOR GREY UNLOCK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnlockOffer {
    /// Balance.
    pub balance: PurseFen,
    /// Offline counter, as the lock left it.
    pub offline: CardCounter,
    /// Online counter before the unlock.
    pub online: CardCounter,
    /// Version of the key used.
    pub key_version: KeyVersion,
    /// Its algorithm byte as the card states it.
    pub algorithm: u8,
    /// The card's random number.
    pub random: Random4,
    /// The card's proof.
    pub mac1: Mac4,
}

impl UnlockOffer {
    /// Reads the eighteen bytes, or `None` for another length or a balance above the limit.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<UnlockOffer> {
        whole(bytes, |fields| {
            Some(UnlockOffer {
                balance: PurseFen::from_bytes(fields.take()?)?,
                offline: CardCounter::from_bytes(fields.take()?),
                online: CardCounter::from_bytes(fields.take()?),
                key_version: KeyVersion(fields.byte()?),
                algorithm: fields.byte()?,
                random: Random4(fields.take()?),
                mac1: Mac4(fields.take()?),
            })
        })
    }

    /// The eighteen bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; UNLOCK_INITIALIZE_ANSWER_LEN] {
        join(&[
            &self.balance.to_bytes(),
            &self.offline.to_bytes(),
            &self.online.to_bytes(),
            &[self.key_version.0, self.algorithm],
            self.random.as_bytes(),
            self.mac1.as_bytes(),
        ])
    }
}

/// GREY UNLOCK (联机解扣): `E0 7E 09 00|purse 0F`. The amount may be zero: the operator's way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GreyUnlock {
    /// The purse, when P2 names it.
    pub purse: Option<Purse>,
    /// How much is taken.
    pub amount: PurseFen,
    /// Date and time of the host.
    pub at: DateTime,
    /// The host's proof.
    pub mac2: Mac4,
}

impl GreyUnlock {
    /// Reads P1, P2 and data of a command whose class and instruction are E0 7E.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 9401 for an amount that no purse holds, 6A80 for a date or time that
    /// is none.
    pub fn parse(command: &Command<'_>) -> Result<GreyUnlock, StatusWord> {
        let purse = match (command.p1, command.p2) {
            (0x09, 0x00) => None,
            (0x09, code) => Some(Purse::from_code(code)?),
            _ => return Err(StatusWord::WRONG_P1P2),
        };
        let fields = whole(command.data, |fields| Some((fields.take()?, fields.take()?, fields.take()?)));
        let (amount, at, mac2) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
        Ok(GreyUnlock {
            purse,
            amount: PurseFen::from_bytes(amount).ok_or(StatusWord::INSUFFICIENT_FUNDS)?,
            at: DateTime::from_bcd(at).ok_or(StatusWord::WRONG_DATA)?,
            mac2: Mac4(mac2),
        })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 21] {
        join(&[
            &[0xE0, 0x7E, 0x09, self.purse.map_or(0x00, Purse::code), 0x0F],
            &self.amount.to_bytes(),
            &self.at.to_bcd(),
            self.mac2.as_bytes(),
            &[0x04],
        ])
    }
}

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
    let half = purchase::session_key(dpk, random, counter, sequence);
    half.session(join(&[terminal_random.as_bytes(), &[0x80, 0, 0, 0]]))
}

/// MAC1, the PSAM's proof to the card: type || terminal || date || time.
#[must_use]
pub fn mac1(session: &SessionKey, lock: &GreyLock, at: DateTime) -> Mac4 {
    session.mac(&[&[lock.transaction_type().code()], lock.terminal.as_bytes(), &at.to_bcd()])
}

/// MAC2, the card's proof to the PSAM: balance || counter before.
#[must_use]
pub fn mac2(session: &SessionKey, balance: PurseFen, counter: CardCounter) -> Mac4 {
    session.mac(&[&balance.to_bytes(), &counter.to_bytes()])
}

/// GTAC, the receipt of a lock: balance || counter before || type || terminal || sequence || date || time.
#[must_use]
pub fn gtac(
    tac_key: &SessionKey,
    lock: &GreyLock,
    balance: PurseFen,
    counter: CardCounter,
    sequence: TerminalSeq,
    at: DateTime,
) -> Mac4 {
    tac_key.mac(&[
        &balance.to_bytes(),
        &counter.to_bytes(),
        &[lock.transaction_type().code()],
        lock.terminal.as_bytes(),
        &sequence.to_bytes(),
        &at.to_bcd(),
    ])
}

/// GMAC, the PSAM's word on the amount.
#[must_use]
pub fn gmac(session: &SessionKey, amount: PurseFen) -> Mac4 {
    session.mac(&[&amount.to_bytes()])
}

/// TAC of the debit: amount || type || terminal || sequence || date || time.
#[must_use]
pub fn tac(tac_key: &SessionKey, debit: &DebitForUnlock) -> Mac4 {
    tac_key.mac(&[
        &debit.amount.to_bytes(),
        &[debit_type(debit.purse).code()],
        debit.terminal.as_bytes(),
        &debit.sequence.to_bytes(),
        &debit.at.to_bcd(),
    ])
}

/// Session key of an online unlock under the card's key DUGK.
#[must_use]
pub fn unlock_session_key(dugk: &CardKey, random: Random4, online: CardCounter) -> SessionKey {
    dugk.session(session_input(random, online))
}

/// MAC1 of an online unlock: balance || offline counter || type || terminal.
#[must_use]
pub fn unlock_mac1(
    session: &SessionKey,
    balance: PurseFen,
    offline: CardCounter,
    terminal: &TerminalId,
) -> Mac4 {
    session.mac(&[&balance.to_bytes(), &offline.to_bytes(), &[UNLOCK.code()], terminal.as_bytes()])
}

/// MAC2 of an online unlock: amount || type || terminal || date || time.
#[must_use]
pub fn unlock_mac2(session: &SessionKey, amount: PurseFen, terminal: &TerminalId, at: DateTime) -> Mac4 {
    session.mac(&[&signed_terms(amount, UNLOCK, terminal, at)])
}

/// MAC3 of an online unlock: new balance || online counter before || amount || type || terminal || date || time.
#[must_use]
pub fn unlock_mac3(
    session: &SessionKey,
    new_balance: PurseFen,
    online: CardCounter,
    amount: PurseFen,
    terminal: &TerminalId,
    at: DateTime,
) -> Mac4 {
    let terms = signed_terms(amount, UNLOCK, terminal, at);
    session.mac(&[&new_balance.to_bytes(), &online.to_bytes(), &terms])
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
