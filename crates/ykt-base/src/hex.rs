//! Bytes as hexadecimal text and back.

use core::fmt;

/// Shows bytes as upper-case hex without separators.
#[derive(Clone, Copy)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not hex of the wanted length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HexError {
    /// Character number `at` (from 0) is no hex digit.
    Digit {
        /// Position of the character, from 0.
        at: usize,
    },
    /// The text has `found` characters, `expected` were wanted (2 per byte).
    Length {
        /// Characters wanted.
        expected: usize,
        /// Characters there.
        found: usize,
    },
}

impl fmt::Display for HexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HexError::Digit { at } => write!(f, "character {at} is not a hex digit"),
            HexError::Length { expected, found } => {
                write!(f, "expected {expected} hex digits, found {found} characters")
            }
        }
    }
}

impl core::error::Error for HexError {}

fn nibble(text: &[u8], at: usize) -> Result<u8, HexError> {
    match text.get(at) {
        Some(digit @ b'0'..=b'9') => Ok(digit.wrapping_sub(b'0')),
        Some(digit @ b'a'..=b'f') => Ok(digit.wrapping_sub(b'a').wrapping_add(10)),
        Some(digit @ b'A'..=b'F') => Ok(digit.wrapping_sub(b'A').wrapping_add(10)),
        _ => Err(HexError::Digit { at }),
    }
}

/// Fills `out` from exactly `2 * out.len()` hex digits of either case.
///
/// # Errors
/// [`HexError`] naming the length or the first character that is wrong.
pub fn decode_into(text: &str, out: &mut [u8]) -> Result<(), HexError> {
    let expected = out.len().saturating_mul(2);
    let bytes = text.as_bytes();
    if bytes.len() != expected {
        return Err(HexError::Length { expected, found: bytes.len() });
    }
    for (index, byte) in out.iter_mut().enumerate() {
        let at = index.saturating_mul(2);
        *byte = nibble(bytes, at)? << 4 | nibble(bytes, at.saturating_add(1))?;
    }
    Ok(())
}

/// An array from exactly `2 * N` hex digits.
///
/// # Errors
/// As [`decode_into`].
pub fn decode<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let mut out = [0; N];
    decode_into(text, &mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn there_and_back() {
        assert_eq!(decode::<3>("00aBfF"), Ok([0, 0xAB, 0xFF]));
        assert_eq!(format!("{}", Hex(&[0, 0xAB, 0xFF])), "00ABFF");
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(decode::<2>("0011g2"), Err(HexError::Length { expected: 4, found: 6 }));
        assert_eq!(decode::<2>("00g2"), Err(HexError::Digit { at: 2 }));
    }
}
