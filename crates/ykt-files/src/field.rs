//! Fields of a fixed-length line, taken one after the other and put one after the other.

use crate::error::FileError;
use ykt_base::hex::{self, Hex};
use ykt_base::{Date, DateTime, Fen};

/// A line of which fields are taken from the left.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    line: u32,
}

impl<'a> Fields<'a> {
    /// The fields of line number `line`.
    pub(crate) fn new(line: u32, bytes: &'a [u8]) -> Fields<'a> {
        Fields { rest: bytes, line }
    }

    /// The next `len` bytes as they are.
    pub(crate) fn bytes(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], FileError> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(FileError::at(self.line, field, format!("{len} characters"), self.rest));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as they are.
    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], FileError> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(FileError::at(self.line, field, format!("{N} characters"), self.rest));
        };
        self.rest = rest;
        Ok(*taken)
    }

    /// The next `len` digits as a number.
    pub(crate) fn number(&mut self, len: usize, field: &'static str) -> Result<u64, FileError> {
        let bytes = self.bytes(len, field)?;
        digits(bytes).ok_or_else(|| FileError::at(self.line, field, format!("{len} digits"), bytes))
    }

    /// The next `len` digits as a number of a narrower type.
    pub(crate) fn narrow<T: TryFrom<u64>>(
        &mut self,
        len: usize,
        field: &'static str,
        expected: &'static str,
    ) -> Result<T, FileError> {
        let bytes = self.bytes(len, field)?;
        digits(bytes)
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| FileError::at(self.line, field, expected, bytes))
    }

    /// The next `len` digits as fen.
    pub(crate) fn fen(&mut self, len: usize, field: &'static str) -> Result<Fen, FileError> {
        let bytes = self.bytes(len, field)?;
        digits(bytes)
            .and_then(|number| i64::try_from(number).ok())
            .map(Fen::new)
            .ok_or_else(|| FileError::at(self.line, field, format!("{len} digits, fen"), bytes))
    }

    /// The next eight digits as a date.
    pub(crate) fn date(&mut self, field: &'static str) -> Result<Date, FileError> {
        let bytes = self.bytes(8, field)?;
        date(bytes).ok_or_else(|| FileError::at(self.line, field, "a date yyyyMMdd", bytes))
    }

    /// The next eight digits as a date, or none when all are zero.
    pub(crate) fn optional_date(&mut self, field: &'static str) -> Result<Option<Date>, FileError> {
        let bytes = self.bytes(8, field)?;
        if bytes == b"00000000" {
            return Ok(None);
        }
        date(bytes)
            .map(Some)
            .ok_or_else(|| FileError::at(self.line, field, "a date yyyyMMdd or 8 zeros", bytes))
    }

    /// The next fourteen digits as a date and time.
    pub(crate) fn date_time(&mut self, field: &'static str) -> Result<DateTime, FileError> {
        let bytes = self.bytes(14, field)?;
        digits(bytes)
            .and_then(DateTime::from_number)
            .ok_or_else(|| FileError::at(self.line, field, "a date and time yyyyMMddHHmmss", bytes))
    }

    /// The next `2 * N` hex digits as bytes.
    pub(crate) fn hex<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], FileError> {
        let bytes = self.bytes(N.saturating_mul(2), field)?;
        core::str::from_utf8(bytes).ok().and_then(|text| hex::decode(text).ok()).ok_or_else(|| {
            FileError::at(self.line, field, format!("{} hex digits", N.saturating_mul(2)), bytes)
        })
    }

    /// The next `len` bytes as a value of a text form.
    pub(crate) fn text<T: core::str::FromStr>(
        &mut self,
        len: usize,
        field: &'static str,
        expected: &'static str,
    ) -> Result<T, FileError> {
        let bytes = self.bytes(len, field)?;
        core::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| FileError::at(self.line, field, expected, bytes))
    }

    /// The next `N` bytes as one of a closed list of codes.
    pub(crate) fn code<const N: usize, T: Copy>(
        &mut self,
        field: &'static str,
        codes: &[([u8; N], T)],
    ) -> Result<T, FileError> {
        let bytes: [u8; N] = self.array(field)?;
        codes.iter().find(|(code, _)| *code == bytes).map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<_> = codes.iter().map(|(code, _)| code.escape_ascii().to_string()).collect();
            FileError::at(self.line, field, format!("one of {}", known.join(" ")), &bytes)
        })
    }
}

/// A line that is written, field after field.
pub(crate) struct Line<'o> {
    out: &'o mut Vec<u8>,
    line: u32,
}

impl<'o> Line<'o> {
    /// Appends line number `line` to `out`.
    pub(crate) fn new(line: u32, out: &'o mut Vec<u8>) -> Line<'o> {
        Line { out, line }
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bytes);
        self
    }

    /// Upper-case hex.
    pub(crate) fn hex(&mut self, bytes: &[u8]) -> &mut Self {
        self.text(Hex(bytes))
    }

    /// A text form.
    pub(crate) fn text(&mut self, text: impl core::fmt::Display) -> &mut Self {
        use std::io::Write as _;
        // A Vec takes every write.
        let _ = write!(self.out, "{text}");
        self
    }

    /// A number right-aligned with zeros.
    pub(crate) fn number(
        &mut self,
        number: impl Into<u64>,
        len: usize,
        field: &'static str,
    ) -> Result<&mut Self, FileError> {
        let start = self.out.len();
        let end = start.saturating_add(len);
        self.out.resize(end, b'0');
        let number = number.into();
        let mut rest = number;
        for place in self.out.iter_mut().skip(start).rev() {
            let digit = u8::try_from(rest.checked_rem(10).unwrap_or(0)).unwrap_or(0);
            *place = b'0'.saturating_add(digit);
            rest = rest.checked_div(10).unwrap_or(0);
        }
        if rest == 0 {
            Ok(self)
        } else {
            Err(FileError::number(self.line, field, format!("{len} digits"), number))
        }
    }

    /// Fen, not negative, right-aligned with zeros.
    pub(crate) fn fen(
        &mut self,
        amount: Fen,
        len: usize,
        field: &'static str,
    ) -> Result<&mut Self, FileError> {
        match u64::try_from(amount.fen()) {
            Ok(fen) => self.number(fen, len, field),
            Err(_) => Err(FileError::number(self.line, field, format!("{len} digits, fen"), amount.fen())),
        }
    }

    /// A date, or eight zeros.
    pub(crate) fn date(&mut self, date: Option<Date>) -> &mut Self {
        match date {
            Some(date) => self.text(date.compact()),
            None => self.bytes(b"00000000"),
        }
    }
}

/// Decimal digits as a number; `None` when another sign is among them or they do not fit.
pub(crate) fn digits(bytes: &[u8]) -> Option<u64> {
    bytes.iter().try_fold(0u64, |number, byte| match byte {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(byte.wrapping_sub(b'0'))),
        _ => None,
    })
}

/// Eight digits as a date.
pub(crate) fn date(bytes: &[u8]) -> Option<Date> {
    digits(bytes).and_then(|number| u32::try_from(number).ok()).and_then(Date::from_number)
}
