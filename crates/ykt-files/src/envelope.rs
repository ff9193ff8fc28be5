//! The envelope of family A: one header of 44 characters, then lines of one length, each ended by CR LF.
//!
//! The whole envelope is checked before the first record is handed out, so that a file cut short or with a
//! wrong count is refused before anything of it is believed.

use crate::error::FileError;
use crate::field::{Fields, Line};
use crate::name::{FileKind, Industry, NameLayout};
use core::marker::PhantomData;

/// Header without its line end, in characters.
pub const HEADER_LEN: usize = 44;
/// What ends each line.
pub const LINE_END: [u8; 2] = *b"\r\n";
/// Largest file, in bytes: 1.6 million purchase records.
pub const FILE_LEN_MAX: usize = 256 * 1024 * 1024;
/// The reserved end of the header.
const RESERVED: [u8; 24] = [b'F'; 24];

/// A record of one line in a family A file.
pub trait FixedRecord: Sized {
    /// Kind of the file it stands in.
    const KIND: FileKind;

    /// Characters of a line without its end; SS and NS carry file names, so the partner's layout counts.
    fn line_len(layout: NameLayout) -> usize;

    /// Reads the record of line number `line`.
    ///
    /// # Errors
    /// [`FileError`] naming the field.
    fn parse(line: u32, bytes: &[u8], layout: NameLayout) -> Result<Self, FileError>;

    /// Appends the record as line number `line`, without its end.
    ///
    /// # Errors
    /// [`FileError`] when a value is too large for its field; `out` then holds part of a line.
    fn encode(&self, line: u32, out: &mut Vec<u8>) -> Result<(), FileError>;
}

/// A file whose envelope is right: its records can be read one by one.
#[derive(Debug, Clone, Copy)]
pub struct FixedFile<'a, R> {
    industry: Industry,
    count: u32,
    body: &'a [u8],
    layout: NameLayout,
    records: PhantomData<R>,
}

impl<'a, R: FixedRecord> FixedFile<'a, R> {
    /// Checks size, header, line lengths, line ends, count and characters of a whole file.
    ///
    /// # Errors
    /// [`FileError`] naming the first line that is wrong.
    pub fn open(bytes: &'a [u8], layout: NameLayout) -> Result<FixedFile<'a, R>, FileError> {
        if bytes.len() > FILE_LEN_MAX {
            return Err(FileError::number(
                1,
                "file size",
                format!("up to {FILE_LEN_MAX} bytes"),
                bytes.len(),
            ));
        }
        let line_len = R::line_len(layout);
        let (header, body) = line_of(bytes, 1, HEADER_LEN)?;
        let mut fields = Fields::new(1, header);
        fields.code("file type", &[(letters::<R>(), ())])?;
        let industry = fields.text(2, "industry", "2 digits")?;
        let count: u32 = fields.narrow(8, "record count", "8 digits")?;
        let stated_len = fields.number(8, "record length")?;
        if usize::try_from(stated_len) != Ok(line_len) {
            return Err(FileError::number(1, "record length", line_len, stated_len));
        }
        fields.code("reserved", &[(RESERVED, ())])?;

        let mut rest = body;
        let mut lines = 0u32;
        while !rest.is_empty() {
            lines = lines.saturating_add(1);
            (_, rest) = line_of(rest, lines.saturating_add(1), line_len)?;
        }
        if lines != count {
            return Err(FileError::number(
                1,
                "record count",
                format!("{lines}, the lines that follow"),
                count,
            ));
        }
        Ok(FixedFile { industry, count, body, layout, records: PhantomData })
    }

    /// Industry of the header.
    #[must_use]
    pub fn industry(&self) -> Industry {
        self.industry
    }

    /// Number of records.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Every line with its number (the first record is line 2), without its end.
    pub fn lines(&self) -> impl Iterator<Item = (u32, &'a [u8])> + use<'a, R> {
        let line_len = R::line_len(self.layout);
        let stride = line_len.saturating_add(LINE_END.len()).max(1);
        let lines = self.body.chunks_exact(stride);
        (2u32..).zip(lines.map(move |line| line.get(..line_len).unwrap_or(line)))
    }

    /// Every record, or the error of its line.
    pub fn records(&self) -> impl Iterator<Item = Result<R, FileError>> + use<'a, R> {
        let layout = self.layout;
        self.lines().map(move |(line, bytes)| R::parse(line, bytes, layout))
    }
}

/// A whole file: header and one line for each record.
///
/// # Errors
/// [`FileError`] when a value is too large for its field, or there are more than 99,999,999 records.
pub fn write<R: FixedRecord>(
    industry: Industry,
    records: &[R],
    layout: NameLayout,
) -> Result<Vec<u8>, FileError> {
    let line_len = R::line_len(layout);
    let stride = line_len.saturating_add(LINE_END.len());
    let mut out = Vec::with_capacity(records.len().saturating_mul(stride).saturating_add(64));
    let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
    Line::new(1, &mut out)
        .bytes(&letters::<R>())
        .text(industry)
        .number(count, 8, "record count")?
        .number(u64::try_from(line_len).unwrap_or(u64::MAX), 8, "record length")?
        .bytes(&RESERVED)
        .bytes(&LINE_END);
    for (line, record) in (2u32..).zip(records) {
        let start = out.len();
        record.encode(line, &mut out)?;
        let written = out.len().saturating_sub(start);
        if written != line_len {
            return Err(FileError::number(line, "record length", line_len, written));
        }
        out.extend_from_slice(&LINE_END);
    }
    Ok(out)
}

fn letters<R: FixedRecord>() -> [u8; 2] {
    match R::KIND {
        FileKind::Xf => *b"XF",
        FileKind::Ss => *b"SS",
        FileKind::Qs => *b"QS",
        FileKind::Ns => *b"NS",
    }
}

/// Takes one line of `len` printable ASCII characters and its end; the rest comes back beside it.
fn line_of(bytes: &[u8], line: u32, len: usize) -> Result<(&[u8], &[u8]), FileError> {
    let exact =
        bytes.split_at_checked(len).and_then(|(text, rest)| Some((text, rest.strip_prefix(&LINE_END)?)));
    let Some((text, rest)) = exact else {
        // Not at its place: say how long the line is, or that the file ends within it.
        return Err(match bytes.iter().position(|byte| *byte == b'\n' || *byte == b'\r') {
            Some(end) if end == len => FileError::at(
                line,
                "line end",
                "CR LF",
                bytes.get(end..).and_then(|b| b.get(..2)).unwrap_or(b""),
            ),
            Some(end) => FileError::number(line, "line length", format!("{len} characters"), end),
            None if bytes.len() <= len => {
                let expected = format!("{len} characters and CR LF");
                FileError::number(
                    line,
                    "line length",
                    expected,
                    format!("the end of the file after {}", bytes.len()),
                )
            }
            None => FileError::number(line, "line length", format!("{len} characters"), "no line end"),
        });
    };
    match text.iter().position(|byte| !matches!(byte, b' '..=b'~')) {
        None => Ok((text, rest)),
        Some(at) => {
            let expected = format!("printable ASCII in column {}", at.saturating_add(1));
            Err(FileError::at(
                line,
                "characters",
                expected,
                text.get(at..).and_then(|t| t.get(..1)).unwrap_or(b""),
            ))
        }
    }
}
