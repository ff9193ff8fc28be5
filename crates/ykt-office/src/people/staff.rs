//! Staff numbers (工号): by them the house knows that two users are one person.

use std::fmt;
use std::str::FromStr;

/// Longest staff number, in characters.
pub const STAFF_NUMBER_LEN_MAX: usize = 20;

/// A person's number in the house: 1 to 20 letters, digits and hyphens, kept in capitals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StaffNumber(String);

/// The text is no staff number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a staff number has 1 to {STAFF_NUMBER_LEN_MAX} signs of A-Z 0-9 -, found `{found}`")]
pub struct StaffNumberError {
    found: String,
}

impl StaffNumber {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StaffNumber {
    type Err = StaffNumberError;
    fn from_str(text: &str) -> Result<StaffNumber, StaffNumberError> {
        let fits = (1..=STAFF_NUMBER_LEN_MAX).contains(&text.len())
            && text.bytes().all(|sign| sign.is_ascii_alphanumeric() || sign == b'-');
        // Two ways to write one number must not make two people of one.
        if fits {
            Ok(StaffNumber(text.to_ascii_uppercase()))
        } else {
            Err(StaffNumberError { found: text.to_owned() })
        }
    }
}

impl fmt::Display for StaffNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_is_written_in_one_way() {
        assert_eq!("s-0017a".parse::<StaffNumber>().unwrap().as_str(), "S-0017A");
        assert_eq!("S-0017A".parse::<StaffNumber>(), "s-0017a".parse());
        for text in ["", "a b", "S 1", "工号一", "S_1", &"1".repeat(21)] {
            let error = text.parse::<StaffNumber>().unwrap_err();
            assert!(error.to_string().ends_with(&format!("found `{text}`")), "{error}");
        }
    }
}
