//! Names of family A files: kind, day, industry, merchant, sequence. 30 characters with a sequence of three
//! digits; some producers use longer ones, so the width belongs to the partner.

use crate::field;
use core::fmt;
use core::str::FromStr;
use ykt_base::{Date, MerchantCode};

/// What a family A file carries, by the two letters its name and header begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// Purchases, merchant to centre (消费文件).
    Xf,
    /// Refusals and adjustments, centre to merchant (拒付/调整).
    Ss,
    /// Totals of a clearing day, centre to merchant (清算文件).
    Qs,
    /// Names of the files that were cleared, centre to merchant (已清算文件名).
    Ns,
}

impl FileKind {
    /// All kinds.
    pub const ALL: [FileKind; 4] = [FileKind::Xf, FileKind::Ss, FileKind::Qs, FileKind::Ns];

    /// The two letters.
    #[must_use]
    pub const fn letters(self) -> &'static str {
        match self {
            FileKind::Xf => "XF",
            FileKind::Ss => "SS",
            FileKind::Qs => "QS",
            FileKind::Ns => "NS",
        }
    }

    /// The kind of two letters.
    #[must_use]
    pub fn from_letters(letters: &[u8]) -> Option<FileKind> {
        FileKind::ALL.into_iter().find(|kind| kind.letters().as_bytes() == letters)
    }
}

/// Industry code (行业代码), two digits: 01 is bus.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Industry([u8; 2]);

impl Industry {
    /// Bus, 01.
    pub const BUS: Industry = Industry(*b"01");

    /// The industry of number `number`, or `None` above 99.
    #[must_use]
    pub fn new(number: u8) -> Option<Industry> {
        let tens = number.checked_div(10).filter(|tens| *tens < 10)?;
        Some(Industry([b'0'.checked_add(tens)?, b'0'.checked_add(number.checked_rem(10)?)?]))
    }

    /// The code as a number, 0 to 99.
    #[must_use]
    pub fn number(self) -> u8 {
        field::digits(&self.0).and_then(|number| u8::try_from(number).ok()).unwrap_or(0)
    }

    /// The two digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or("?")
    }

    /// From two digits.
    pub(crate) fn from_digits(digits: [u8; 2]) -> Option<Industry> {
        digits.iter().all(u8::is_ascii_digit).then_some(Industry(digits))
    }
}

impl fmt::Display for Industry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Industry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Industry({self})")
    }
}

/// A text is no industry code of two digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an industry code of two digits")]
pub struct IndustryError;

impl FromStr for Industry {
    type Err = IndustryError;
    fn from_str(text: &str) -> Result<Industry, IndustryError> {
        text.as_bytes().try_into().ok().and_then(Industry::from_digits).ok_or(IndustryError)
    }
}

/// How a partner names its files: the width of the sequence number, and with it of names inside SS and NS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameLayout {
    sequence_len: usize,
}

impl NameLayout {
    /// Characters of a name before its sequence number.
    const STEM_LEN: usize = 27;
    /// Widest sequence number, in digits.
    pub const SEQUENCE_LEN_MAX: usize = 9;

    /// Names with a sequence number of `sequence_len` digits, or `None` outside 1 to 9.
    #[must_use]
    pub fn new(sequence_len: usize) -> Option<NameLayout> {
        (1..=NameLayout::SEQUENCE_LEN_MAX).contains(&sequence_len).then_some(NameLayout { sequence_len })
    }

    /// Characters of a whole name: 30 by default.
    #[must_use]
    pub fn name_len(self) -> usize {
        NameLayout::STEM_LEN.saturating_add(self.sequence_len)
    }
}

/// Three digits of sequence, names of 30 characters.
impl Default for NameLayout {
    fn default() -> NameLayout {
        NameLayout { sequence_len: 3 }
    }
}

/// Name of a family A file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName {
    /// What the file carries.
    pub kind: FileKind,
    /// Day of the file.
    pub date: Date,
    /// Industry of the merchant.
    pub industry: Industry,
    /// Merchant the file comes from or goes to.
    pub merchant: MerchantCode,
    /// Sequence number within kind, day and merchant.
    pub sequence: u32,
    sequence_len: u8,
}

/// A text is no name of a family A file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("file name \"{name}\", {part}: expected {expected}")]
pub struct NameError {
    /// The name, cut to a readable length.
    pub name: String,
    /// Part of the name that is wrong.
    pub part: &'static str,
    /// What belongs there.
    pub expected: String,
}

impl FileName {
    /// A name, or `None` when `sequence` has more digits than the layout.
    #[must_use]
    pub fn new(
        kind: FileKind,
        date: Date,
        industry: Industry,
        merchant: MerchantCode,
        sequence: u32,
        layout: NameLayout,
    ) -> Option<FileName> {
        let limit = 10u64.checked_pow(u32::try_from(layout.sequence_len).ok()?)?;
        let sequence_len = u8::try_from(layout.sequence_len).ok()?;
        (u64::from(sequence) < limit).then_some(FileName {
            kind,
            date,
            industry,
            merchant,
            sequence,
            sequence_len,
        })
    }

    /// Reads a name of the partner's layout.
    ///
    /// # Errors
    /// [`NameError`] naming the part that is wrong.
    pub fn parse(name: &str, layout: NameLayout) -> Result<FileName, NameError> {
        let error = |part, expected: &str| NameError {
            name: name.chars().take(64).flat_map(char::escape_default).collect(),
            part,
            expected: expected.to_owned(),
        };
        let bytes = name.as_bytes();
        if bytes.len() != layout.name_len() {
            return Err(error("length", &format!("{} characters", layout.name_len())));
        }
        let part = |from: usize, to: usize| bytes.get(from..to).unwrap_or_default();
        let kind = FileKind::from_letters(part(0, 2)).ok_or_else(|| error("kind", "one of XF SS QS NS"))?;
        let date = field::date(part(2, 10)).ok_or_else(|| error("date", "a date yyyyMMdd"))?;
        let industry = <[u8; 2]>::try_from(part(10, 12))
            .ok()
            .and_then(Industry::from_digits)
            .ok_or_else(|| error("industry", "2 digits"))?;
        let merchant = core::str::from_utf8(part(12, 27))
            .ok()
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| error("merchant", "15 letters or digits"))?;
        let sequence = field::digits(part(27, bytes.len()))
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| error("sequence", &format!("{} digits", layout.sequence_len)))?;
        FileName::new(kind, date, industry, merchant, sequence, layout)
            .ok_or_else(|| error("sequence", &format!("{} digits", layout.sequence_len)))
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FileName { kind, date, industry, merchant, sequence, sequence_len } = self;
        let width = usize::from(*sequence_len);
        write!(f, "{}{}{industry}{merchant}{sequence:0width$}", kind.letters(), date.compact())
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileName({self})")
    }
}

/// Name of the black list of a day: `yyyyMMdd_Black.txt`.
#[must_use]
pub fn black_list_name(date: Date) -> String {
    format!("{}_Black.txt", date.compact())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_has_thirty_characters() {
        let name = FileName::parse("XF2026112201M00000000000001007", NameLayout::default()).unwrap();
        assert_eq!(name.kind, FileKind::Xf);
        assert_eq!(name.date, Date::new(2026, 11, 22).unwrap());
        assert_eq!(name.industry, Industry::BUS);
        assert_eq!(name.merchant.as_str(), "M00000000000001");
        assert_eq!(name.sequence, 7);
        assert_eq!(name.to_string(), "XF2026112201M00000000000001007");
        assert_eq!(black_list_name(name.date), "20261122_Black.txt");
    }

    #[test]
    fn each_wrong_part_is_named() {
        for (name, part) in [
            ("XF2026112201M0000000000000100", "length"),
            ("YF2026112201M00000000000001007", "kind"),
            ("XF2026133201M00000000000001007", "date"),
            ("XF20261122x1M00000000000001007", "industry"),
            ("XF2026112201M0000000000 001007 ", "length"),
            ("XF2026112201M0000000000 001007", "merchant"),
            ("XF2026112201M0000000000000100a", "sequence"),
            ("XF2026112201M0000000000é01007", "merchant"),
        ] {
            assert_eq!(FileName::parse(name, NameLayout::default()).unwrap_err().part, part, "{name}");
        }
    }

    #[test]
    fn sequences_keep_to_their_width() {
        let merchant = "M00000000000001".parse().unwrap();
        let date = Date::new(2026, 11, 22).unwrap();
        let name = |sequence, len| {
            FileName::new(
                FileKind::Qs,
                date,
                Industry::BUS,
                merchant,
                sequence,
                NameLayout::new(len).unwrap(),
            )
        };
        assert!(name(1_000, 3).is_none());
        assert_eq!(name(1_000, 5).unwrap().to_string().len(), 32);
        assert!(NameLayout::new(0).is_none() && NameLayout::new(10).is_none());
        assert!(Industry::new(100).is_none());
        assert_eq!(Industry::new(6).unwrap().to_string(), "06");
        assert_eq!(Industry::new(42).unwrap().number(), 42);
    }

    proptest! {
        #[test]
        fn names_come_back(day in 0i64..20_000, industry in 0u8..100, code in "[0-9A-Za-z]{15}", sequence in 0u32..100_000) {
            let layout = NameLayout::new(5).unwrap();
            let date = Date::from_day_number(day).unwrap();
            let industry = Industry::new(industry).unwrap();
            let name = FileName::new(FileKind::Ss, date, industry, code.parse().unwrap(), sequence, layout).unwrap();
            prop_assert_eq!(FileName::parse(&name.to_string(), layout).unwrap(), name);
        }

        #[test]
        fn no_text_breaks_the_parser(name in ".{0,40}") {
            let _ = FileName::parse(&name, NameLayout::default());
        }
    }
}
