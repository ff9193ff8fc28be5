//! Entries (凭证): what is posted. An entry has an id its caller chose, a day of the books, and legs that sum
//! to zero; a debit is positive, a credit negative.
//!
//! Two digests cover it. The *digest* is over what the caller says: id, day, event, memo and legs, but not the
//! moment, so a caller that repeats an entry after a crash may state a later moment and still gets the first
//! answer. The *link* of the hash chain is over the link before, the sequence number, the moment and the
//! digest: nothing recorded can change without breaking it.

use crate::chart::AccountCode;
use crate::post::PostError;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;
use ykt_base::{Date, DateTime, Fen};
use ykt_crypto::chain::{self, Hash32};

/// Longest entry id, in characters.
pub const ID_LEN_MAX: usize = 64;
/// Longest event code, in characters.
pub const EVENT_LEN_MAX: usize = 32;
/// Longest memo, in bytes of UTF-8.
pub const MEMO_BYTES_MAX: usize = 200;
/// Fewest legs of an entry.
pub const LEGS_MIN: usize = 2;
/// Most legs of an entry.
pub const LEGS_MAX: usize = 256;
/// Largest amount of a leg: 10,000,000,000,000 yuan, so that sums of a book never leave 64 bits unseen.
pub const AMOUNT_MAX: Fen = Fen::new(1_000_000_000_000_000);

/// Id of an entry, chosen by its caller: posting it again is answered again and booked once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(Arc<str>);

/// Why a text is no entry id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("entry id `{text}`: expected 1 to {ID_LEN_MAX} characters of 0-9 A-Z a-z . _ : / -")]
pub struct EntryIdError {
    text: String,
}

impl EntryId {
    /// The id of this text.
    ///
    /// # Errors
    /// [`EntryIdError`] when it is empty, longer than [`ID_LEN_MAX`], or has other characters than
    /// `0-9 A-Z a-z . _ : / -`.
    pub fn new(text: impl AsRef<str>) -> Result<EntryId, EntryIdError> {
        let text = text.as_ref();
        let fits = !text.is_empty() && text.len() <= ID_LEN_MAX;
        if fits && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"._:/-".contains(&c)) {
            Ok(EntryId(Arc::from(text)))
        } else {
            Err(EntryIdError { text: text.chars().take(ID_LEN_MAX).collect() })
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EntryId {
    type Err = EntryIdError;
    fn from_str(text: &str) -> Result<EntryId, EntryIdError> {
        EntryId::new(text)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryId({})", self.0)
    }
}

/// One side of an entry: an account and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// The account.
    pub account: AccountCode,
    /// Debit positive, credit negative, never zero.
    pub amount: Fen,
}

/// What is posted. The fields are checked when it is posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Caller's id.
    pub id: EntryId,
    /// Day of the books it belongs to.
    pub day: Date,
    /// Moment it is booked.
    pub at: DateTime,
    /// Event code, [`EVENT_LEN_MAX`] characters of `0-9 A-Z -`: `PURCHASE`.
    pub event: String,
    /// Words for people, at most [`MEMO_BYTES_MAX`] bytes without control characters; may be empty.
    pub memo: String,
    /// [`LEGS_MIN`] to [`LEGS_MAX`] legs that sum to zero.
    pub legs: Vec<Leg>,
}

impl Entry {
    /// An entry without legs and memo; add them with [`Entry::debit`], [`Entry::credit`] and [`Entry::memo`].
    #[must_use]
    pub fn new(id: EntryId, day: Date, at: DateTime, event: &str) -> Entry {
        Entry {
            id,
            day,
            at,
            event: event.to_owned(),
            memo: String::new(),
            legs: Vec::with_capacity(LEGS_MIN),
        }
    }

    /// Adds a debit of `amount`.
    #[must_use]
    pub fn debit(mut self, account: AccountCode, amount: Fen) -> Entry {
        self.legs.push(Leg { account, amount });
        self
    }

    /// Adds a credit of `amount`.
    #[must_use]
    pub fn credit(mut self, account: AccountCode, amount: Fen) -> Entry {
        // The one amount without a negative is far above AMOUNT_MAX: posting refuses it as it is.
        self.legs.push(Leg { account, amount: amount.checked_neg().unwrap_or(amount) });
        self
    }

    /// Sets the memo.
    #[must_use]
    pub fn memo(mut self, memo: impl Into<String>) -> Entry {
        self.memo = memo.into();
        self
    }

    /// What of an entry can be judged without the books.
    ///
    /// # Errors
    /// The [`PostError`] of the first rule that is broken.
    pub fn check(&self) -> Result<(), PostError> {
        let id = || self.id.clone();
        let is_event = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'-';
        if self.event.is_empty() || self.event.len() > EVENT_LEN_MAX || !self.event.bytes().all(is_event) {
            return Err(PostError::Event {
                id: id(),
                found: self.event.chars().take(EVENT_LEN_MAX).collect(),
            });
        }
        if self.memo.len() > MEMO_BYTES_MAX || self.memo.chars().any(char::is_control) {
            return Err(PostError::Memo { id: id(), found: self.memo.len() });
        }
        if !(LEGS_MIN..=LEGS_MAX).contains(&self.legs.len()) {
            return Err(PostError::Legs { id: id(), found: self.legs.len() });
        }
        for leg in &self.legs {
            if leg.amount.is_zero() {
                return Err(PostError::ZeroLeg { id: id(), account: leg.account.clone() });
            }
            if leg.amount.fen().unsigned_abs() > AMOUNT_MAX.fen().unsigned_abs() {
                return Err(PostError::Amount { id: id(), account: leg.account.clone(), found: leg.amount });
            }
        }
        match Fen::checked_sum(self.legs.iter().map(|leg| leg.amount)) {
            Some(Fen::ZERO) => Ok(()),
            sum => Err(PostError::NotZero { id: id(), sum: sum.unwrap_or(AMOUNT_MAX) }),
        }
    }

    /// SM3 over what the caller says: id, day, event, memo and legs in their order; not the moment.
    #[must_use]
    pub fn digest(&self) -> Hash32 {
        let mut legs = Vec::with_capacity(self.legs.len().saturating_mul(32));
        for leg in &self.legs {
            legs.extend_from_slice(leg.account.as_str().as_bytes());
            legs.push(0);
            legs.extend_from_slice(&leg.amount.fen().to_be_bytes());
        }
        let day = self.day.as_number().to_be_bytes();
        chain::next(
            &Hash32::START,
            &[self.id.as_str().as_bytes(), &day, self.event.as_bytes(), self.memo.as_bytes(), &legs],
        )
    }
}

/// The link of an entry in the hash chain.
pub(crate) fn link(before: &Hash32, seq: i64, at: DateTime, digest: &Hash32) -> Hash32 {
    chain::next(before, &[&seq.to_be_bytes(), &at.as_number().to_be_bytes(), digest.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let day = Date::new(2026, 11, 22).unwrap();
        Entry::new(EntryId::new("load/1/paid").unwrap(), day, DateTime::start_of(day), "LOAD-PAID")
            .debit("1221.01/WECHAT".parse().unwrap(), Fen::new(5_000))
            .credit("2002/load-orders".parse().unwrap(), Fen::new(5_000))
    }

    #[test]
    fn ids_are_short_and_safe() {
        assert_eq!(EntryId::new("clearing/20261122/M1:a_b.c-d").unwrap().as_str().len(), 28);
        assert!(EntryId::new("x".repeat(64)).is_ok());
        for bad in ["", " ", "a b", "a\n", "单", &"x".repeat(65)] {
            assert!(EntryId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn each_broken_rule_has_its_error() {
        assert_eq!(entry().check(), Ok(()));
        let account = || "1001".parse::<AccountCode>().unwrap();
        let one = Entry { legs: entry().legs[..1].to_vec(), ..entry() };
        assert!(matches!(one.check(), Err(PostError::Legs { found: 1, .. })));
        let many = Entry { legs: vec![entry().legs; 129].concat(), ..entry() };
        assert!(matches!(many.check(), Err(PostError::Legs { found: 258, .. })));
        let zero = entry().debit(account(), Fen::ZERO);
        assert!(matches!(zero.check(), Err(PostError::ZeroLeg { .. })));
        let off = entry().debit(account(), Fen::new(1));
        assert!(matches!(off.check(), Err(PostError::NotZero { sum, .. }) if sum == Fen::new(1)));
        for huge in [AMOUNT_MAX.checked_add(Fen::new(1)).unwrap(), Fen::new(i64::MIN), Fen::new(i64::MAX)] {
            let huge = entry().debit(account(), huge).credit(account(), huge);
            assert!(matches!(huge.check(), Err(PostError::Amount { .. })));
        }
        for event in ["", "purchase", "A B", &"X".repeat(33)] {
            let bad = Entry { event: event.to_owned(), ..entry() };
            assert!(matches!(bad.check(), Err(PostError::Event { .. })), "{event}");
        }
        assert!(matches!(entry().memo("a\nb").check(), Err(PostError::Memo { .. })));
        assert!(matches!(entry().memo("好".repeat(67)).check(), Err(PostError::Memo { found: 201, .. })));
    }

    #[test]
    fn the_digest_covers_all_but_the_moment() {
        let digest = entry().digest();
        let later = Entry { at: entry().at.plus_seconds(60).unwrap(), ..entry() };
        assert_eq!(later.digest(), digest);
        let next_day = Entry { day: entry().day.plus_days(1).unwrap(), ..entry() };
        let mut swapped = entry();
        swapped.legs.reverse();
        for other in [
            Entry { id: EntryId::new("load/2/paid").unwrap(), ..entry() },
            next_day,
            Entry { event: "LOAD".to_owned(), ..entry() },
            entry().memo("x"),
            swapped,
        ] {
            assert_ne!(other.digest(), digest);
        }
        let at = entry().at;
        let first = link(&Hash32::START, 1, at, &digest);
        assert_ne!(first, link(&Hash32::START, 2, at, &digest));
        assert_ne!(first, link(&Hash32::START, 1, at.plus_seconds(1).unwrap(), &digest));
        assert_ne!(first, link(&first, 1, at, &digest));
    }
}
