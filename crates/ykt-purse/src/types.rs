//! The words of every purse command: which purse, which transaction, how much, by which algorithm.

use core::fmt;
use ykt_base::{Fen, StatusWord};
use ykt_crypto::{CardKey, Key8, Key16};

/// Transaction type (交易类型标识, `epurse.md` 4.1): one byte in MACs, TACs and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionType {
    /// 01: ED load (存折圈存).
    EdLoad,
    /// 02: EP load (钱包圈存).
    EpLoad,
    /// 03: ED unload (圈提).
    EdUnload,
    /// 04: ED cash withdrawal (取现).
    EdCashWithdraw,
    /// 05: ED purchase (存折消费).
    EdPurchase,
    /// 06: EP purchase (钱包消费).
    EpPurchase,
    /// 07: ED overdraft limit update (修改透支限额).
    EdOverdraftUpdate,
    /// 08: credit purchase (信用消费).
    CreditPurchase,
    /// 09: composite application purchase (复合应用消费).
    CompositePurchase,
    /// 91: ED grey lock (灰锁).
    EdGreyLock,
    /// 92: EP grey lock (灰锁).
    EpGreyLock,
    /// 93: EP debit for unlock (解扣).
    EpDebitForUnlock,
    /// 94: ED debit for unlock (解扣); the platform's reading of a code that sources leave open.
    EdDebitForUnlock,
    /// 95: EP online grey unlock (联机解扣).
    EpGreyUnlock,
    /// 96: ED online grey unlock (联机解扣); the platform's own, as sources have 95 alone.
    EdGreyUnlock,
}

impl TransactionType {
    /// Every type, in the order of its codes.
    pub const ALL: [TransactionType; 15] = [
        TransactionType::EdLoad,
        TransactionType::EpLoad,
        TransactionType::EdUnload,
        TransactionType::EdCashWithdraw,
        TransactionType::EdPurchase,
        TransactionType::EpPurchase,
        TransactionType::EdOverdraftUpdate,
        TransactionType::CreditPurchase,
        TransactionType::CompositePurchase,
        TransactionType::EdGreyLock,
        TransactionType::EpGreyLock,
        TransactionType::EpDebitForUnlock,
        TransactionType::EdDebitForUnlock,
        TransactionType::EpGreyUnlock,
        TransactionType::EdGreyUnlock,
    ];

    /// The byte of the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            TransactionType::EdLoad => 0x01,
            TransactionType::EpLoad => 0x02,
            TransactionType::EdUnload => 0x03,
            TransactionType::EdCashWithdraw => 0x04,
            TransactionType::EdPurchase => 0x05,
            TransactionType::EpPurchase => 0x06,
            TransactionType::EdOverdraftUpdate => 0x07,
            TransactionType::CreditPurchase => 0x08,
            TransactionType::CompositePurchase => 0x09,
            TransactionType::EdGreyLock => 0x91,
            TransactionType::EpGreyLock => 0x92,
            TransactionType::EpDebitForUnlock => 0x93,
            TransactionType::EdDebitForUnlock => 0x94,
            TransactionType::EpGreyUnlock => 0x95,
            TransactionType::EdGreyUnlock => 0x96,
        }
    }

    /// The type of a byte, or `None` for a byte that means none.
    #[must_use]
    pub fn from_code(code: u8) -> Option<TransactionType> {
        TransactionType::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Whether the online counter numbers it (loads and what the host takes part in); else the offline counter.
    #[must_use]
    pub const fn counts_online(self) -> bool {
        matches!(
            self,
            TransactionType::EdLoad
                | TransactionType::EpLoad
                | TransactionType::EdUnload
                | TransactionType::EdOverdraftUpdate
                | TransactionType::EpGreyUnlock
                | TransactionType::EdGreyUnlock
        )
    }
}

/// Which purse of the application: P2 of INITIALIZE and GET BALANCE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purse {
    /// 01: electronic deposit (电子存折).
    Ed,
    /// 02: electronic purse (电子钱包).
    Ep,
}

impl Purse {
    /// The byte of the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Purse::Ed => 0x01,
            Purse::Ep => 0x02,
        }
    }

    /// The purse of a byte.
    ///
    /// # Errors
    /// 6A86 for any other byte than 01 and 02.
    pub const fn from_code(code: u8) -> Result<Purse, StatusWord> {
        match code {
            0x01 => Ok(Purse::Ed),
            0x02 => Ok(Purse::Ep),
            _ => Err(StatusWord::WRONG_P1P2),
        }
    }
}

/// Algorithm identifier of a key (算法标识, `epurse.md` 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Algorithm {
    /// 00: two-key 3DES, 16 bytes.
    #[default]
    TripleDes,
    /// 01: single DES, 8 bytes.
    Des,
    /// 04: SM4, 16 bytes.
    Sm4,
}

impl Algorithm {
    /// The byte of the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Algorithm::TripleDes => 0x00,
            Algorithm::Des => 0x01,
            Algorithm::Sm4 => 0x04,
        }
    }

    /// The algorithm of a byte, or `None` for another byte than 00, 01, 04.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Algorithm> {
        match code {
            0x00 => Some(Algorithm::TripleDes),
            0x01 => Some(Algorithm::Des),
            0x04 => Some(Algorithm::Sm4),
            _ => None,
        }
    }

    /// Length of its keys in bytes.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Algorithm::TripleDes | Algorithm::Sm4 => 16,
            Algorithm::Des => 8,
        }
    }

    /// The key of these bytes, or `None` when they are not as many as its keys have.
    #[must_use]
    pub fn key(self, bytes: &[u8]) -> Option<CardKey> {
        let long = || bytes.try_into().ok().map(Key16::from_bytes);
        match self {
            Algorithm::TripleDes => long().map(CardKey::Tdes),
            Algorithm::Des => bytes.try_into().ok().map(|key| CardKey::Des(Key8::from_bytes(key))),
            Algorithm::Sm4 => long().map(CardKey::Sm4),
        }
    }

    /// The algorithm of a key.
    #[must_use]
    pub const fn of(key: &CardKey) -> Algorithm {
        match key {
            CardKey::Tdes(_) => Algorithm::TripleDes,
            CardKey::Des(_) => Algorithm::Des,
            CardKey::Sm4(_) => Algorithm::Sm4,
        }
    }
}

/// An amount that does not fit the purse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmountError {
    /// The amount.
    pub found: Fen,
}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected an amount from 0.00 to {} yuan, found {}", Fen::PURSE_MAX, self.found)
    }
}

impl core::error::Error for AmountError {}

/// Fen as a card command carries them: four bytes, 0 to [`Fen::PURSE_MAX`]. Balances and amounts are of this
/// kind, so what computes a MAC cannot meet an amount that has no bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PurseFen([u8; 4]);

impl PurseFen {
    /// Nothing.
    pub const ZERO: PurseFen = PurseFen([0; 4]);

    /// The amount of four bytes, or `None` above [`Fen::PURSE_MAX`].
    #[must_use]
    pub fn from_bytes(bytes: [u8; 4]) -> Option<PurseFen> {
        (Fen::from_purse(bytes) <= Fen::PURSE_MAX).then_some(PurseFen(bytes))
    }

    /// The bytes of the wire, big-endian.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0
    }

    /// The amount as money.
    #[must_use]
    pub fn fen(self) -> Fen {
        Fen::from_purse(self.0)
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        u32::from_be_bytes(self.0) == 0
    }

    /// The sum, or `None` above the limit of a purse.
    #[must_use]
    pub fn checked_add(self, other: PurseFen) -> Option<PurseFen> {
        self.fen().checked_add(other.fen())?.to_purse().map(PurseFen)
    }

    /// The difference, or `None` below zero.
    #[must_use]
    pub fn checked_sub(self, other: PurseFen) -> Option<PurseFen> {
        self.fen().checked_sub(other.fen())?.to_purse().map(PurseFen)
    }
}

impl TryFrom<Fen> for PurseFen {
    type Error = AmountError;
    fn try_from(found: Fen) -> Result<PurseFen, AmountError> {
        found.to_purse().map(PurseFen).ok_or(AmountError { found })
    }
}

impl From<PurseFen> for Fen {
    fn from(amount: PurseFen) -> Fen {
        amount.fen()
    }
}

impl fmt::Display for PurseFen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.fen(), f)
    }
}

impl fmt::Debug for PurseFen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PurseFen({})", self.fen().fen())
    }
}

/// Overdraft limit of an ED in three bytes; zero for an EP (`epurse.md` 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct OverdraftLimit(pub [u8; 3]);

impl OverdraftLimit {
    /// No overdraft.
    pub const NONE: OverdraftLimit = OverdraftLimit([0; 3]);

    /// The limit as money.
    #[must_use]
    pub fn fen(self) -> Fen {
        let [a, b, c] = self.0;
        Fen::from_purse([0, a, b, c])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    /// All 256 bytes: what has a type comes back, what has none is refused.
    #[test]
    fn codes_are_closed() {
        let known = (0..=u8::MAX).filter_map(TransactionType::from_code).count();
        assert_eq!(known, TransactionType::ALL.len());
        for kind in TransactionType::ALL {
            assert_eq!(TransactionType::from_code(kind.code()), Some(kind));
        }
        for code in 0..=u8::MAX {
            assert_eq!(Purse::from_code(code).is_ok(), (1..=2).contains(&code));
            assert!(Algorithm::from_code(code).is_none_or(|algorithm| algorithm.code() == code));
        }
        for algorithm in [Algorithm::TripleDes, Algorithm::Des, Algorithm::Sm4] {
            let bytes = [7; 17];
            for len in 0..=bytes.len() {
                let key = algorithm.key(&bytes[..len]);
                assert_eq!(key.is_some(), len == algorithm.key_len());
                assert!(key.is_none_or(|key| Algorithm::of(&key) == algorithm));
            }
        }
    }

    #[test]
    fn amounts_have_bounds() {
        let most = PurseFen::try_from(Fen::PURSE_MAX).unwrap();
        let one = PurseFen::try_from(Fen::new(1)).unwrap();
        assert_eq!(most.checked_add(one), None);
        assert_eq!(PurseFen::ZERO.checked_sub(one), None);
        assert_eq!(most.checked_sub(one).unwrap().to_bytes(), [0x7F, 0xFF, 0xFF, 0xFE]);
        assert_eq!(PurseFen::from_bytes([0x80, 0, 0, 0]), None);
        let error = PurseFen::try_from(Fen::new(-1)).unwrap_err();
        assert_eq!(error.to_string(), "expected an amount from 0.00 to 21,474,836.47 yuan, found -0.01");
        assert_eq!(OverdraftLimit([1, 0x86, 0xA0]).fen(), Fen::new(100_000));
    }
}
