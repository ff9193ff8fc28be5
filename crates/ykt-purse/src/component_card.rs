//! The component card (分量卡, `keys-and-ca.md` 3): one custodian's component of a key, behind his PIN.
//!
//! Two files in one application. EF 0015 is the label, which everybody may read: ceremony, number, how many. EF 0019 is
//! the component with its check value; it is read after the PIN and written once, enciphered. The layouts are the
//! platform's own.

use crate::wire::{join, whole};
use ykt_crypto::sm::Bytes;

/// Name of the application.
pub const NAME: [u8; 13] = *b"YKT.COMPONENT";
/// Id of the custodian's PIN.
pub const PIN_ID: u8 = 0;
/// Short id of the label, EF 0015.
pub const LABEL_SFI: u8 = 0x15;
/// Short id of the component, EF 0019.
pub const PART_SFI: u8 = 0x19;
/// Bytes of a label.
pub const LABEL_LEN: usize = 28;
/// Bytes of a component with its check values.
pub const PART_LEN: usize = 40;
/// Longest number of a ceremony.
pub const NUMBER_LEN_MAX: usize = 24;
/// Longest component.
pub const COMPONENT_LEN_MAX: usize = 32;
/// First byte of a label.
const FORMAT: u8 = 1;

/// What everybody may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    number: [u8; NUMBER_LEN_MAX],
    /// The custodian's number from 1; of a recovery share its number.
    pub position: u8,
    /// How many custodians there are.
    pub of: u8,
    /// How many shares give the key back; zero on a card with a component.
    pub needed: u8,
}

impl Label {
    /// The label of a ceremony's number, or `None` when that has not 1 to 24 letters, digits and dashes.
    #[must_use]
    pub fn new(number: &str, position: u8, of: u8, needed: u8) -> Option<Label> {
        let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let fits = (1..=NUMBER_LEN_MAX).contains(&number.len()) && number.bytes().all(is_sign);
        let mut padded = [0; NUMBER_LEN_MAX];
        padded.iter_mut().zip(number.bytes()).for_each(|(byte, sign)| *byte = sign);
        fits.then_some(Label { number: padded, position, of, needed })
    }

    /// Number of the ceremony.
    #[must_use]
    pub fn number(&self) -> &str {
        let len = self.number.iter().position(|byte| *byte == 0).unwrap_or(NUMBER_LEN_MAX);
        self.number.get(..len).and_then(|number| core::str::from_utf8(number).ok()).unwrap_or_default()
    }

    /// EF 0015: format (1), number (24), position, of, needed.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; LABEL_LEN] {
        join(&[&[FORMAT], &self.number, &[self.position, self.of, self.needed]])
    }

    /// The label of EF 0015, or `None` for something else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Label> {
        whole(bytes, |fields| {
            let (format, number) = (fields.byte()?, fields.take::<NUMBER_LEN_MAX>()?);
            let len = number.iter().position(|byte| *byte == 0).unwrap_or(NUMBER_LEN_MAX);
            let text = core::str::from_utf8(number.get(..len)?).ok()?;
            let label = Label::new(text, fields.byte()?, fields.byte()?, fields.byte()?)?;
            (format == FORMAT && label.number == number).then_some(label)
        })
    }
}

/// The component, or recovery share, with its check values. No `Debug`, wiped when dropped.
#[derive(Clone)]
pub struct Part {
    /// Algorithm of the key, as sealed files number it.
    pub algorithm: u8,
    component: Bytes<COMPONENT_LEN_MAX>,
    /// Check value of the component.
    pub kcv: [u8; 3],
    /// Check value of the key.
    pub combined: [u8; 3],
}

impl Part {
    /// The part of a component of 1 to 32 bytes, or `None` for another length.
    #[must_use]
    pub fn new(algorithm: u8, component: &[u8], kcv: [u8; 3], combined: [u8; 3]) -> Option<Part> {
        let component = Bytes::from_parts(&[component]).filter(|_| !component.is_empty())?;
        Some(Part { algorithm, component, kcv, combined })
    }

    /// The component itself. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn component(&self) -> &[u8] {
        self.component.as_bytes()
    }

    /// EF 0019: algorithm, length, component filled up with zeros (32), its check value, the key's.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes<PART_LEN> {
        let len = u8::try_from(self.component().len()).unwrap_or_default();
        let mut out = Bytes::from_parts(&[&[self.algorithm, len], self.component()]).unwrap_or_default();
        let check = [self.kcv, self.combined];
        let whole = out.resize(PART_LEN.saturating_sub(6)).and_then(|()| out.push(check.as_flattened()));
        debug_assert!(whole.is_some(), "the layout fits");
        out
    }

    /// The part of EF 0019, or `None` for something else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Part> {
        whole(bytes, |fields| {
            let (algorithm, len) = (fields.byte()?, usize::from(fields.byte()?));
            let padded = Bytes::<COMPONENT_LEN_MAX>::from_parts(&[&fields.take::<COMPONENT_LEN_MAX>()?])?;
            let (component, filler) = padded.as_bytes().split_at_checked(len)?;
            let part = Part::new(algorithm, component, fields.take()?, fields.take()?)?;
            filler.iter().all(|byte| *byte == 0).then_some(part)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_there_and_back() {
        let label = Label::new("C20261122-01", 2, 3, 0).unwrap();
        let bytes = label.to_bytes();
        assert_eq!(bytes[..14], *b"\x01C20261122-01\0");
        assert_eq!(bytes[25..], [2, 3, 0]);
        assert_eq!(Label::from_bytes(&bytes), Some(label));
        assert_eq!(label.number(), "C20261122-01");
        for component in [&[7; 16][..], &[7; 32]] {
            let part = Part::new(4, component, [1, 2, 3], [4, 5, 6]).unwrap();
            let bytes = part.to_bytes();
            assert_eq!(
                (bytes.as_bytes().len(), &bytes.as_bytes()[34..]),
                (PART_LEN, &[1, 2, 3, 4, 5, 6][..])
            );
            let read = Part::from_bytes(bytes.as_bytes()).unwrap();
            assert_eq!((read.algorithm, read.component()), (4, component));
            assert_eq!((read.kcv, read.combined), (part.kcv, part.combined));
        }
    }

    #[test]
    fn other_bytes_are_no_component_card() {
        let bytes = Label::new("C1", 1, 2, 0).unwrap().to_bytes();
        for (at, byte) in [(0, 2), (1, 0), (1, 0xFF), (2, b' '), (5, b'x')] {
            let mut other = bytes;
            other[at] = byte;
            assert_eq!(Label::from_bytes(&other), None, "byte {at}");
        }
        assert!(Label::from_bytes(&bytes[..27]).is_none() && Label::new("", 1, 2, 0).is_none());
        let part = Part::new(0, &[7; 16], [0; 3], [0; 3]).unwrap().to_bytes();
        for (at, byte) in [(1, 0), (1, 33), (1, 15), (20, 1)] {
            let mut other: [u8; PART_LEN] = part.as_bytes().try_into().unwrap();
            other[at] = byte;
            assert!(Part::from_bytes(&other).is_none(), "byte {at}");
        }
        assert!(Part::from_bytes(&part.as_bytes()[..39]).is_none());
        assert!(
            Part::new(0, &[], [0; 3], [0; 3]).is_none() && Part::new(0, &[1; 33], [0; 3], [0; 3]).is_none()
        );
    }
}
