//! The black list (黑名单) as terminals take it: version and count, then one card number a line, with or
//! without a level.

use crate::envelope::{FILE_LEN_MAX, LINE_END};
use crate::error::FileError;
use crate::field::{Fields, Line};
use ykt_base::Asn8;

/// A card on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlackEntry {
    /// The card.
    pub asn: Asn8,
    /// Level of the list (名单级别), two digits, when the file has that column.
    pub level: Option<u8>,
}

/// A full list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlackList {
    /// Version, up to 8 digits.
    pub version: u32,
    /// The cards, in the order of the file.
    pub cards: Vec<BlackEntry>,
}

/// Version 8 and count 6.
const HEAD_LEN: usize = 14;

impl BlackList {
    /// Reads a whole list.
    ///
    /// # Errors
    /// [`FileError`] naming line and field.
    pub fn parse(bytes: &[u8]) -> Result<BlackList, FileError> {
        if bytes.len() > FILE_LEN_MAX {
            return Err(FileError::number(
                1,
                "file size",
                format!("up to {FILE_LEN_MAX} bytes"),
                bytes.len(),
            ));
        }
        let (head, mut rest) = line_of(bytes, 1)?;
        if head.len() != HEAD_LEN {
            return Err(FileError::number(1, "line length", format!("{HEAD_LEN} characters"), head.len()));
        }
        let mut fields = Fields::new(1, head);
        let version = fields.narrow(8, "version", "8 digits")?;
        let count: usize = fields.narrow(6, "count", "6 digits")?;
        let mut cards = Vec::with_capacity(count);
        let mut line = 1u32;
        while !rest.is_empty() {
            line = line.saturating_add(1);
            let text;
            (text, rest) = line_of(rest, line)?;
            let mut fields = Fields::new(line, text);
            fields.code("card no., first four characters", &[(*b"0000", ())])?;
            let asn = Asn8(fields.hex("card no.")?);
            let level = match text.len() {
                20 => None,
                22 => Some(fields.narrow(2, "list level", "2 digits")?),
                found => return Err(FileError::number(line, "line length", "20 or 22 characters", found)),
            };
            cards.push(BlackEntry { asn, level });
        }
        if cards.len() != count {
            let expected = format!("{}, the lines that follow", cards.len());
            return Err(FileError::number(1, "count", expected, count));
        }
        Ok(BlackList { version, cards })
    }

    /// The file.
    ///
    /// # Errors
    /// [`FileError`] when there are more than 999,999 cards or a value is too large for its field.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FileError> {
        let mut out = Vec::with_capacity(self.cards.len().saturating_mul(24).saturating_add(16));
        Line::new(1, &mut out)
            .number(self.version, 8, "version")?
            .number(u64::try_from(self.cards.len()).unwrap_or(u64::MAX), 6, "count")?
            .bytes(&LINE_END);
        for (number, card) in (2u32..).zip(&self.cards) {
            let mut line = Line::new(number, &mut out);
            line.bytes(b"0000").hex(&card.asn.0);
            if let Some(level) = card.level {
                line.number(level, 2, "list level")?;
            }
            line.bytes(&LINE_END);
        }
        Ok(out)
    }
}

fn line_of(bytes: &[u8], line: u32) -> Result<(&[u8], &[u8]), FileError> {
    let end = bytes.windows(LINE_END.len()).take(64).position(|pair| pair == LINE_END);
    match end.and_then(|end| bytes.split_at_checked(end)) {
        Some((text, rest)) => Ok((text, rest.strip_prefix(&LINE_END).unwrap_or(rest))),
        None => Err(FileError::at(line, "line end", "CR LF", bytes)),
    }
}
