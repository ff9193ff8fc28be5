//! A component (分量): what one custodian brings to a key. All components XORed are the key, all but one say nothing.
//!
//! It is typed from a sheet, read from a component card or drawn. A sheet writes it in lines of eight bytes with a
//! check value each, so that a slip is found in its line; the component's own KCV catches what is left.

use crate::{KeyAlgorithm, KeyValue};
use core::fmt;
use thiserror::Error;
use ykt_base::Rng;
use ykt_base::hex::{self, Hex};
use zeroize::Zeroizing;

/// Longest component in bytes.
pub const COMPONENT_LEN_MAX: usize = 32;
/// Bytes in one line of a sheet.
pub const LINE_LEN: usize = 8;
/// Bytes of a line's check value.
const CHECK_LEN: usize = 2;

/// One part of a key, or one share of it. No `Debug`, wiped when dropped, compared in constant time.
#[derive(Clone)]
pub struct Component {
    algorithm: KeyAlgorithm,
    /// The first [`Component::len_of`] bytes count, the others are zero.
    bytes: Zeroizing<[u8; COMPONENT_LEN_MAX]>,
}

/// Why a text or a card gives no component. It never shows what was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ComponentError {
    /// Components make symmetric keys only.
    #[error("an {algorithm} key is not made from components; choose 3des, sm4 or aes-256")]
    Algorithm {
        /// The algorithm asked for.
        algorithm: KeyAlgorithm,
    },
    /// The wrong number of digits.
    #[error(
        "a component of this key has {expected} hex digits, or {with_checks} with the check value of each line; \
         found {found}"
    )]
    Length {
        /// Digits of the bare component.
        expected: usize,
        /// Digits with the check values of the lines.
        with_checks: usize,
        /// Digits found, blanks not counted.
        found: usize,
    },
    /// Something that is no hex digit.
    #[error("sign {at} of the component, blanks not counted, is no hex digit; hex digits are 0-9 and A-F")]
    Digit {
        /// Its position from 1.
        at: usize,
    },
    /// A line does not fit its check value.
    #[error("line {line} of the sheet does not fit its check value; compare this line with the sheet")]
    Line {
        /// Its number from 1.
        line: usize,
    },
    /// The component is not the one of this KCV.
    #[error(
        "the component does not fit its KCV: expected {expected}, found {found}; compare each digit with the sheet",
        expected = Hex(expected), found = Hex(found)
    )]
    WrongKcv {
        /// The KCV typed or read beside it.
        expected: [u8; 3],
        /// The KCV of what was typed.
        found: [u8; 3],
    },
    /// All zeros: it would leave the key to the others.
    #[error("a component of zeros hides nothing; draw or throw another one")]
    Zero,
}

impl Component {
    /// Bytes of a component of a key of this algorithm.
    ///
    /// # Errors
    /// [`ComponentError::Algorithm`] for SM2.
    pub const fn len_of(algorithm: KeyAlgorithm) -> Result<usize, ComponentError> {
        match algorithm {
            KeyAlgorithm::Tdes | KeyAlgorithm::Sm4 | KeyAlgorithm::Aes256 => Ok(algorithm.value_len()),
            KeyAlgorithm::Sm2 => Err(ComponentError::Algorithm { algorithm }),
        }
    }

    /// The component of exactly these bytes.
    ///
    /// # Errors
    /// [`ComponentError`]: of SM2, of another length, or all zeros.
    pub fn from_bytes(algorithm: KeyAlgorithm, given: &[u8]) -> Result<Component, ComponentError> {
        let len = Component::len_of(algorithm)?;
        if given.len() != len {
            return Err(wrong_length(len, given.len().saturating_mul(2)));
        }
        let mut bytes = Zeroizing::new([0; COMPONENT_LEN_MAX]);
        bytes.iter_mut().zip(given).for_each(|(byte, given)| *byte = *given);
        let component = Component { algorithm, bytes };
        if component.is_zero() { Err(ComponentError::Zero) } else { Ok(component) }
    }

    /// Draws a component.
    ///
    /// # Errors
    /// [`ComponentError`] for SM2, and for a source of randomness that gives zeros only.
    pub fn draw(algorithm: KeyAlgorithm, rng: &mut dyn Rng) -> Result<Component, ComponentError> {
        let len = Component::len_of(algorithm)?;
        let mut bytes = Zeroizing::new([0; COMPONENT_LEN_MAX]);
        rng.fill(bytes.get_mut(..len).unwrap_or_default());
        let component = Component { algorithm, bytes };
        if component.is_zero() { Err(ComponentError::Zero) } else { Ok(component) }
    }

    /// Reads what a custodian typed: hex digits, bare or each line of eight bytes followed by its check value.
    /// Blanks, dashes and line ends may stand anywhere.
    ///
    /// # Errors
    /// [`ComponentError`], naming the line when the check values were typed, too.
    pub fn parse(algorithm: KeyAlgorithm, typed: &str, kcv: [u8; 3]) -> Result<Component, ComponentError> {
        let component = Component::parse_unchecked(algorithm, typed)?;
        let found = component.kcv();
        if found == kcv { Ok(component) } else { Err(ComponentError::WrongKcv { expected: kcv, found }) }
    }

    /// As [`Component::parse`], for a component that has no KCV yet: thrown with dice, typed for the first time.
    ///
    /// # Errors
    /// As [`Component::parse`].
    pub fn parse_unchecked(algorithm: KeyAlgorithm, typed: &str) -> Result<Component, ComponentError> {
        let len = Component::len_of(algorithm)?;
        let mut digits = Zeroizing::new(String::with_capacity(typed.len()));
        digits.extend(typed.chars().filter(|sign| !sign.is_whitespace() && *sign != '-'));
        if let Some(at) = digits.chars().position(|sign| !sign.is_ascii_hexdigit()) {
            return Err(ComponentError::Digit { at: at.saturating_add(1) });
        }
        let mut bytes = Zeroizing::new(vec![0; digits.len().div_ceil(2)]);
        hex::decode_into(&digits, &mut bytes).map_err(|_| wrong_length(len, digits.len()))?;
        if bytes.len() == len {
            return Component::from_bytes(algorithm, &bytes);
        }
        if bytes.len() != len_with_checks(len) {
            return Err(wrong_length(len, digits.len()));
        }
        let mut bare = Zeroizing::new(Vec::with_capacity(len));
        for (number, line) in (1..).zip(bytes.chunks(LINE_LEN.saturating_add(CHECK_LEN))) {
            let (line, check) = line.split_at_checked(LINE_LEN).unwrap_or_default();
            if check != check_value(number, line) {
                return Err(ComponentError::Line { line: usize::from(number) });
            }
            bare.extend_from_slice(line);
        }
        Component::from_bytes(algorithm, &bare)
    }

    /// What kind of key it is for.
    #[must_use]
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// Its check value: the first three bytes of a zero block enciphered under it.
    #[must_use]
    pub fn kcv(&self) -> [u8; 3] {
        self.value().map_or([0; 3], |value| value.kcv())
    }

    /// The bytes themselves, 16 or 32: for its sheet and its card. Whoever calls this answers for where they go.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        let len = Component::len_of(self.algorithm).unwrap_or_default();
        self.bytes.get(..len).unwrap_or_default()
    }

    /// Its lines for a sheet, each with four groups of four digits and the check value.
    pub fn lines(&self) -> impl Iterator<Item = Zeroizing<[String; 5]>> {
        (1..).zip(self.expose().chunks(LINE_LEN)).map(|(number, line)| {
            let mut groups = line.chunks(2).map(|group| Hex(group).to_string());
            let mut next = || groups.next().unwrap_or_default();
            let words = [next(), next(), next(), next()];
            let [a, b, c, d] = words;
            Zeroizing::new([a, b, c, d, Hex(&check_value(number, line)).to_string()])
        })
    }

    /// XORs another of the same algorithm in.
    pub(super) fn add(&mut self, other: &Component) {
        self.bytes.iter_mut().zip(other.bytes.iter()).for_each(|(byte, other)| *byte ^= other);
    }

    /// As the key it is, or is a part of.
    pub(super) fn value(&self) -> Option<KeyValue> {
        KeyValue::from_bytes(self.algorithm, self.expose())
    }

    pub(super) fn is_zero(&self) -> bool {
        self.bytes.iter().fold(0, |any, byte| any | byte) == 0
    }
}

impl PartialEq for Component {
    fn eq(&self, other: &Component) -> bool {
        let differ = self.bytes.iter().zip(other.bytes.iter()).fold(0, |differ, (a, b)| differ | (a ^ b));
        self.algorithm == other.algorithm && differ == 0
    }
}

impl Eq for Component {}

/// How a custodian's component came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Typed, from a sheet or from dice.
    Typed,
    /// Drawn by the machine.
    Drawn,
    /// Read from a component card.
    Card,
}

impl Way {
    /// The word for protocols.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Way::Typed => "typed",
            Way::Drawn => "drawn",
            Way::Card => "read from a card",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

const fn len_with_checks(len: usize) -> usize {
    len.saturating_add(len.div_ceil(LINE_LEN).saturating_mul(CHECK_LEN))
}

const fn wrong_length(len: usize, found: usize) -> ComponentError {
    ComponentError::Length {
        expected: len.saturating_mul(2),
        with_checks: len_with_checks(len).saturating_mul(2),
        found,
    }
}

/// CRC-16 (polynomial 1021, start FFFF) over the line's number and bytes: it finds every slip within four neighbouring
/// digits, and lines in the wrong order. It stands beside its line on the sheet, so it gives nothing away.
fn check_value(number: u8, line: &[u8]) -> [u8; CHECK_LEN] {
    let bytes = core::iter::once(&number).chain(line);
    let crc = bytes.fold(0xFFFF_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| (crc << 1) ^ (0x1021 & (crc >> 15).wrapping_neg()))
    });
    crc.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use std::collections::BTreeSet;

    const BYTES: [u8; 16] = hex!("00112233445566778899AABBCCDDEEFF");

    fn component(algorithm: KeyAlgorithm, bytes: &[u8]) -> Component {
        Component::from_bytes(algorithm, bytes).ok().unwrap()
    }

    fn sheet(component: &Component) -> String {
        component.lines().map(|line| line.join(" ") + "\n").collect()
    }

    /// The first block of zeros under each algorithm, by `openssl enc -des-ede`, `-sm4-ecb` and `-aes-256-ecb`.
    #[test]
    fn check_values_are_those_of_openssl() {
        for (algorithm, key, kcv) in crate::ceremony::tests::OPENSSL_KCVS {
            assert_eq!(component(*algorithm, key).kcv(), *kcv, "{algorithm}");
        }
    }

    /// CRC-16/IBM-3740: 29B1 over "123456789".
    #[test]
    fn line_check_values() {
        assert_eq!(check_value(b'1', b"23456789"), [0x29, 0xB1]);
        let sheet = sheet(&component(KeyAlgorithm::Tdes, &BYTES));
        let lines: Vec<_> = sheet.lines().collect();
        assert!(lines[0].starts_with("0011 2233 4455 6677 ") && lines[1].starts_with("8899 AABB CCDD EEFF "));
    }

    /// Every slip of one digit, every pair of neighbours swapped, and lines in the wrong order are found, with the line.
    #[test]
    fn a_slip_is_found_in_its_line() {
        let right = component(KeyAlgorithm::Tdes, &BYTES);
        let typed: Vec<char> = sheet(&right).chars().filter(|sign| !sign.is_whitespace()).collect();
        let parse = |typed: &[char]| {
            let typed: String = typed.iter().collect();
            Component::parse(KeyAlgorithm::Tdes, &typed, right.kcv()).err()
        };
        assert_eq!(parse(&typed), None);
        for at in 0..typed.len() {
            let line = at / 20 + 1;
            for digit in "0123456789ABCDEF".chars().filter(|digit| *digit != typed[at]) {
                let mut slip = typed.clone();
                slip[at] = digit;
                assert_eq!(parse(&slip), Some(ComponentError::Line { line }));
            }
            if at % 20 != 19 && typed[at] != typed[at + 1] {
                let mut slip = typed.clone();
                slip.swap(at, at + 1);
                assert_eq!(parse(&slip), Some(ComponentError::Line { line }));
            }
        }
        let swapped = [&typed[20..], &typed[..20]].concat();
        assert_eq!(parse(&swapped), Some(ComponentError::Line { line: 1 }));
    }

    #[test]
    fn a_component_is_typed_with_its_kcv() {
        let right = component(KeyAlgorithm::Sm4, &BYTES);
        let bare = "0011-2233 4455 6677\n8899 aabb CCDD EEFF";
        assert!(Component::parse(KeyAlgorithm::Sm4, bare, right.kcv()).is_ok_and(|typed| typed == right));
        let wrong = ComponentError::WrongKcv { expected: [1, 2, 3], found: right.kcv() };
        assert_eq!(Component::parse(KeyAlgorithm::Sm4, bare, [1, 2, 3]).err(), Some(wrong));
        assert!(wrong.to_string().contains("expected 010203, found"));
        let refused = |algorithm, typed: &str| {
            let error = Component::parse_unchecked(algorithm, typed).err().unwrap();
            assert!(!error.to_string().contains("0011"), "{error}");
            error
        };
        let length = |found| ComponentError::Length { expected: 32, with_checks: 40, found };
        assert_eq!(refused(KeyAlgorithm::Tdes, "0011"), length(4));
        assert_eq!(refused(KeyAlgorithm::Tdes, "00112"), length(5));
        assert_eq!(refused(KeyAlgorithm::Tdes, &"0011 2233".repeat(5)), ComponentError::Line { line: 1 });
        assert_eq!(refused(KeyAlgorithm::Tdes, "0011 2x33"), ComponentError::Digit { at: 6 });
        assert_eq!(refused(KeyAlgorithm::Tdes, "0011 2二33"), ComponentError::Digit { at: 6 });
        assert_eq!(refused(KeyAlgorithm::Tdes, &"00".repeat(16)), ComponentError::Zero);
        let long = ComponentError::Length { expected: 64, with_checks: 80, found: 32 };
        assert_eq!(refused(KeyAlgorithm::Aes256, &"01".repeat(16)), long);
        let algorithm = KeyAlgorithm::Sm2;
        assert_eq!(refused(algorithm, "00"), ComponentError::Algorithm { algorithm });
    }

    #[test]
    fn drawn_components_differ_and_are_not_zero() {
        struct Steps(u8);
        impl Rng for Steps {
            fn fill(&mut self, out: &mut [u8]) {
                out.fill(self.0);
                self.0 = self.0.wrapping_add(1);
            }
        }
        let mut rng = Steps(0);
        assert_eq!(Component::draw(KeyAlgorithm::Tdes, &mut rng).err(), Some(ComponentError::Zero));
        let kcvs: BTreeSet<_> = (0..8)
            .filter_map(|_| Component::draw(KeyAlgorithm::Aes256, &mut rng).ok())
            .map(|c| c.kcv())
            .collect();
        assert_eq!(kcvs.len(), 8);
    }
}
