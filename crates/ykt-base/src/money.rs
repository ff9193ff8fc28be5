//! Money: a signed whole number of fen (分). There is no other way to hold an amount in this house.

use core::fmt;
use core::iter::Sum;

/// An amount of money in fen (分, 1/100 yuan), signed: in the ledger a debit is positive, a credit negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fen(i64);

impl Fen {
    /// No money.
    pub const ZERO: Fen = Fen(0);
    /// The largest amount a purse field of four bytes may carry without its sign bit (`epurse.md` 4.2).
    pub const PURSE_MAX: Fen = Fen(0x7FFF_FFFF);

    /// `fen` hundredths of a yuan.
    #[must_use]
    pub const fn new(fen: i64) -> Fen {
        Fen(fen)
    }

    /// The number of fen.
    #[must_use]
    pub const fn fen(self) -> i64 {
        self.0
    }

    /// Sum, or `None` when it does not fit.
    #[must_use]
    pub const fn checked_add(self, other: Fen) -> Option<Fen> {
        match self.0.checked_add(other.0) {
            Some(fen) => Some(Fen(fen)),
            None => None,
        }
    }

    /// Difference, or `None` when it does not fit.
    #[must_use]
    pub const fn checked_sub(self, other: Fen) -> Option<Fen> {
        match self.0.checked_sub(other.0) {
            Some(fen) => Some(Fen(fen)),
            None => None,
        }
    }

    /// The same amount on the other side, or `None` when it does not fit.
    #[must_use]
    pub const fn checked_neg(self) -> Option<Fen> {
        match self.0.checked_neg() {
            Some(fen) => Some(Fen(fen)),
            None => None,
        }
    }

    /// `count` times this amount, or `None` when it does not fit.
    #[must_use]
    pub const fn checked_mul(self, count: i64) -> Option<Fen> {
        match self.0.checked_mul(count) {
            Some(fen) => Some(Fen(fen)),
            None => None,
        }
    }

    /// The sum of all amounts, or `None` when it does not fit.
    #[must_use]
    pub fn checked_sum(amounts: impl IntoIterator<Item = Fen>) -> Option<Fen> {
        amounts.into_iter().try_fold(Fen::ZERO, Fen::checked_add)
    }

    /// Whether this is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether this is less than nothing.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// A share of this amount in parts per million, rounded half up (away from zero) to the fen:
    /// the commission rule of `clearing.md` 6. `None` when it does not fit.
    #[must_use]
    pub fn share_ppm(self, ppm: u32) -> Option<Fen> {
        const MILLION: i128 = 1_000_000;
        let exact = i128::from(self.0).checked_mul(i128::from(ppm))?;
        let half = if exact < 0 { -500_000 } else { 500_000 };
        let rounded = exact.checked_add(half)?.checked_div(MILLION)?;
        i64::try_from(rounded).ok().map(Fen)
    }

    /// The four bytes of a card command, or `None` outside 0..=[`Fen::PURSE_MAX`].
    #[must_use]
    pub fn to_purse(self) -> Option<[u8; 4]> {
        if self.is_negative() || self > Fen::PURSE_MAX {
            return None;
        }
        u32::try_from(self.0).ok().map(u32::to_be_bytes)
    }

    /// The amount in four bytes of a card command.
    #[must_use]
    pub fn from_purse(bytes: [u8; 4]) -> Fen {
        Fen(i64::from(u32::from_be_bytes(bytes)))
    }
}

impl From<u32> for Fen {
    fn from(fen: u32) -> Fen {
        Fen(i64::from(fen))
    }
}

/// Sum that stops the program on overflow: only for totals of amounts already bounded by their parser.
impl Sum for Fen {
    fn sum<I: Iterator<Item = Fen>>(iter: I) -> Fen {
        #[expect(clippy::expect_used, reason = "an overflow of 2^63 fen is a fault no caller can mend")]
        Fen::checked_sum(iter).expect("sum of amounts fits 2^63 fen")
    }
}

/// Yuan with two decimals and thousands grouped, `-1,234.50`; honours width and alignment.
impl fmt::Display for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 32];
        let mut at = text.len();
        let mut put = |byte: u8| {
            at = at.saturating_sub(1);
            text[at] = byte;
        };
        let mut rest = self.0.unsigned_abs();
        let mut digits = 0u32;
        loop {
            let digit = u8::try_from(rest.checked_rem(10).unwrap_or(0)).unwrap_or(0);
            if digits == 2 {
                put(b'.');
            } else if digits > 2 && digits.checked_rem(3) == Some(2) {
                put(b',');
            }
            put(b'0'.saturating_add(digit));
            rest = rest.checked_div(10).unwrap_or(0);
            digits = digits.saturating_add(1);
            if rest == 0 && digits > 2 {
                break;
            }
        }
        if self.is_negative() {
            put(b'-');
        }
        let shown = core::str::from_utf8(&text[at..]).unwrap_or("?");
        f.pad(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn shown_in_yuan_with_groups() {
        for (fen, shown) in [
            (0, "0.00"),
            (5, "0.05"),
            (-5, "-0.05"),
            (100, "1.00"),
            (99_999, "999.99"),
            (100_000, "1,000.00"),
            (-123_456_789, "-1,234,567.89"),
            (i64::MIN, "-92,233,720,368,547,758.08"),
        ] {
            assert_eq!(format!("{}", Fen::new(fen)), shown);
        }
        assert_eq!(format!("{:>8}", Fen::new(150)), "    1.50");
    }

    #[test]
    fn shares_round_half_up_once() {
        assert_eq!(Fen::new(197_000).share_ppm(8_000), Some(Fen::new(1_576)));
        assert_eq!(Fen::new(5_700).share_ppm(4_000), Some(Fen::new(23)), "22.8 fen");
        assert_eq!(Fen::new(125).share_ppm(4_000), Some(Fen::new(1)), "0.5 fen goes up");
        assert_eq!(Fen::new(-125).share_ppm(4_000), Some(Fen::new(-1)));
        assert_eq!(Fen::new(33).share_ppm(8_000), Some(Fen::ZERO), "0.264 fen");
    }

    #[test]
    fn purse_field_has_bounds() {
        assert_eq!(Fen::PURSE_MAX.to_purse(), Some([0x7F, 0xFF, 0xFF, 0xFF]));
        assert_eq!(Fen::new(0x8000_0000).to_purse(), None);
        assert_eq!(Fen::new(-1).to_purse(), None);
        assert_eq!(Fen::from_purse([0, 0, 0x4E, 0x20]), Fen::new(20_000));
    }
}
