//! What is wrong with a fixed-length file, so that the partner who sent it can mend it without asking.

/// Longest piece of a file that is quoted in an error, in bytes.
const FOUND_LEN_MAX: usize = 40;

/// A line or a field is not what its layout says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, {field}: expected {expected}, found {found}")]
pub struct FileError {
    /// Line, from 1; the header is line 1.
    pub line: u32,
    /// Field as the layout names it.
    pub field: &'static str,
    /// What the layout wants there.
    pub expected: String,
    /// What is there, quoted and cut to a readable length.
    pub found: String,
}

impl FileError {
    /// An error about bytes of the file; `found` is quoted.
    pub(crate) fn at(line: u32, field: &'static str, expected: impl Into<String>, found: &[u8]) -> FileError {
        FileError { line, field, expected: expected.into(), found: quoted(found) }
    }

    /// An error about a number, such as a count or a length.
    pub(crate) fn number(
        line: u32,
        field: &'static str,
        expected: impl ToString,
        found: impl ToString,
    ) -> FileError {
        FileError { line, field, expected: expected.to_string(), found: found.to_string() }
    }
}

/// Bytes in quotes, what is not printable ASCII escaped, cut to a readable length.
fn quoted(bytes: &[u8]) -> String {
    let shown = bytes.get(..FOUND_LEN_MAX).unwrap_or(bytes).escape_ascii();
    let more = if bytes.len() > FOUND_LEN_MAX { "…" } else { "" };
    format!("\"{shown}{more}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_where_and_what() {
        let error = FileError::at(7, "amount", "8 digits", b"12 \xFF");
        assert_eq!(error.to_string(), r#"line 7, amount: expected 8 digits, found "12 \xff""#);
        assert_eq!(quoted(&[b'7'; 41]).chars().count(), 43);
    }
}
