//! Online unlock (联机解扣): the issuer's host frees a purse whose terminal never debited, and takes what is owed, which
//! may be nothing.

use super::{initialize_apdu, parse_initialize};
use crate::load::session_input;
use crate::types::{Purse, PurseFen, TransactionType};
use crate::wire::{join, signed_terms, whole};
use ykt_base::{CardCounter, Command, DateTime, KeyIndex, KeyVersion, Mac4, Random4, StatusWord, TerminalId};
use ykt_crypto::{CardKey, SessionKey};

/// Length of the answer to INITIALIZE FOR GREY UNLOCK.
pub const UNLOCK_INITIALIZE_ANSWER_LEN: usize = 18;
/// Length of the answer to GREY UNLOCK: MAC3.
pub const UNLOCK_ANSWER_LEN: usize = 4;

/// Which purse is unlocked, where: the terms of an online unlock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnlineUnlock {
    /// The purse.
    pub purse: Purse,
    /// Id of the machine.
    pub terminal: TerminalId,
}

impl OnlineUnlock {
    /// 95 for an EP, 96 for an ED.
    #[must_use]
    pub const fn transaction_type(&self) -> TransactionType {
        match self.purse {
            Purse::Ed => TransactionType::EdGreyUnlock,
            Purse::Ep => TransactionType::EpGreyUnlock,
        }
    }
}

/// INITIALIZE FOR GREY UNLOCK (联机解扣初始化): `E0 7A 09 purse 07`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitializeForGreyUnlock {
    /// Which key for online unlocks.
    pub key_index: KeyIndex,
    /// The terms.
    pub unlock: OnlineUnlock,
}

impl InitializeForGreyUnlock {
    /// Reads P1, P2 and data of a command whose class and instruction are E0 7A.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length.
    pub fn parse(command: &Command<'_>) -> Result<InitializeForGreyUnlock, StatusWord> {
        let (purse, key_index, terminal) = parse_initialize(command, 0x09)?;
        Ok(InitializeForGreyUnlock { key_index, unlock: OnlineUnlock { purse, terminal } })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 13] {
        let OnlineUnlock { purse, terminal } = &self.unlock;
        initialize_apdu(0x09, *purse, self.key_index, terminal, 0x12)
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

/// Session key of an online unlock under the card's key DUGK.
#[must_use]
pub fn unlock_session_key(dugk: &CardKey, random: Random4, online: CardCounter) -> SessionKey {
    dugk.session(session_input(random, online))
}

/// MAC1 of an online unlock covers balance || offline counter || type || terminal.
#[must_use]
pub fn unlock_mac1_input(balance: PurseFen, offline: CardCounter, unlock: &OnlineUnlock) -> [u8; 13] {
    let OnlineUnlock { terminal, .. } = unlock;
    let kind = unlock.transaction_type().code();
    join(&[&balance.to_bytes(), &offline.to_bytes(), &[kind], terminal.as_bytes()])
}

/// MAC1 of an online unlock, the card's proof to the host.
#[must_use]
pub fn unlock_mac1(
    session: &SessionKey,
    balance: PurseFen,
    offline: CardCounter,
    unlock: &OnlineUnlock,
) -> Mac4 {
    session.mac(&[&unlock_mac1_input(balance, offline, unlock)])
}

/// MAC2 of an online unlock covers amount || type || terminal || date || time.
#[must_use]
pub fn unlock_mac2_input(amount: PurseFen, unlock: &OnlineUnlock, at: DateTime) -> [u8; 18] {
    signed_terms(amount, unlock.transaction_type(), &unlock.terminal, at)
}

/// MAC2 of an online unlock, the host's proof to the card.
#[must_use]
pub fn unlock_mac2(session: &SessionKey, amount: PurseFen, unlock: &OnlineUnlock, at: DateTime) -> Mac4 {
    session.mac(&[&unlock_mac2_input(amount, unlock, at)])
}

/// MAC3 of an online unlock covers new balance || online counter before || amount || type || terminal || date || time.
#[must_use]
pub fn unlock_mac3_input(
    new_balance: PurseFen,
    online: CardCounter,
    amount: PurseFen,
    unlock: &OnlineUnlock,
    at: DateTime,
) -> [u8; 24] {
    let terms = unlock_mac2_input(amount, unlock, at);
    join(&[&new_balance.to_bytes(), &online.to_bytes(), &terms])
}

/// MAC3 of an online unlock, the card's receipt.
#[must_use]
pub fn unlock_mac3(
    session: &SessionKey,
    new_balance: PurseFen,
    online: CardCounter,
    amount: PurseFen,
    unlock: &OnlineUnlock,
    at: DateTime,
) -> Mac4 {
    session.mac(&[&unlock_mac3_input(new_balance, online, amount, unlock, at)])
}
