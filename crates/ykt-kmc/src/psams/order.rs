//! The order of a batch: its numbers, the rules it must keep, and whether an order is the same once more.

use super::{BATCH_ID_LEN_MAX, BATCH_PSAMS_MAX, BatchError, LABEL_LEN_MAX};
use ykt_base::hex::Hex;
use ykt_base::{Date, IssuerFactor, KeyIndex, PosNo, PsamSerial, TerminalId};
use ykt_crypto::chain::sm3;

/// A batch to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// Id, chosen by the caller: 1 to 32 of A-Z a-z 0-9 . _ -
    pub id: String,
    /// Text of the profile; it stays with the batch, so that what was begun is ended alike.
    pub profile: String,
    /// How many, 1 to [`BATCH_PSAMS_MAX`].
    pub count: u32,
    /// Serial number of the first, in decimal digits; the others follow.
    pub first_serial: PsamSerial,
    /// Terminal id of the first, in decimal digits; the others follow.
    pub first_terminal: TerminalId,
    /// Factor of the issuer whose cards they serve.
    pub issuer: IssuerFactor,
    /// Receiver.
    pub receiver: [u8; 8],
    /// Index of the purchase key on the cards.
    pub key_index: KeyIndex,
    /// First day of use.
    pub start: Date,
    /// Last day of use.
    pub expiry: Date,
    /// What stands on every label, at most [`LABEL_LEN_MAX`] characters.
    pub label: String,
    /// Terminals they go into, in the order of their numbers; may be fewer than there are PSAMs.
    pub terminals: Vec<PosNo>,
}

impl NewBatch {
    /// Numbers of the PSAM at `place`, from 0.
    ///
    /// # Errors
    /// [`BatchError::Field`] past the end of the digits, or for digits that are not decimal.
    pub(super) fn numbers(&self, place: u32) -> Result<(PsamSerial, TerminalId), BatchError> {
        let serial = plus(&self.first_serial.to_string(), place).and_then(|digits| digits.parse().ok());
        let terminal = plus(&self.first_terminal.to_string(), place).and_then(|digits| digits.parse().ok());
        serial.zip(terminal).ok_or_else(|| BatchError::Field {
            id: self.id.clone(),
            field: "first serial number and terminal id",
            expected: format!("decimal digits with room for {} numbers", self.count),
            found: format!("{} and {}", self.first_serial, self.first_terminal),
        })
    }

    /// Holds every field against its range.
    ///
    /// # Errors
    /// [`BatchError::Field`].
    pub(super) fn check(&self) -> Result<(), BatchError> {
        let field = |field, expected: String, found: String| {
            Err(BatchError::Field { id: self.id.clone(), field, expected, found })
        };
        let sign = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '.' | '_' | '-');
        if !(1..=BATCH_ID_LEN_MAX).contains(&self.id.len()) || !self.id.chars().all(sign) {
            let expected = format!("1 to {BATCH_ID_LEN_MAX} of A-Z a-z 0-9 . _ -");
            return field("its id", expected, format!("`{}`", self.id));
        }
        if !(1..=BATCH_PSAMS_MAX).contains(&self.count) {
            return field("the number of PSAMs", format!("1 to {BATCH_PSAMS_MAX}"), self.count.to_string());
        }
        if self.label.chars().count() > LABEL_LEN_MAX {
            let found = self.label.chars().count().to_string();
            return field("the label", format!("at most {LABEL_LEN_MAX} characters"), found);
        }
        if self.start > self.expiry {
            return field("the last day", format!("{} or later", self.start), self.expiry.to_string());
        }
        if u32::try_from(self.terminals.len()).is_ok_and(|terminals| terminals <= self.count) {
            return Ok(());
        }
        field("the number of terminals", format!("at most {}", self.count), self.terminals.len().to_string())
    }

    /// The batch that is there must be the one that is asked for.
    ///
    /// # Errors
    /// [`BatchError::Conflict`] with the first part that differs.
    pub(super) fn same(&self, asked: &NewBatch) -> Result<(), BatchError> {
        let id = asked.id.clone();
        // Of thousands of terminals the first other one tells, and of a whole profile its hash.
        let other = self.terminals.iter().zip(&asked.terminals).position(|(found, asked)| found != asked);
        let at = other.unwrap_or(self.terminals.len().min(asked.terminals.len()));
        let terminal = |order: &NewBatch| match order.terminals.get(at) {
            Some(pos) => format!("{pos} at place {}", at.saturating_add(1)),
            None => format!("{} terminals", order.terminals.len()),
        };
        let hash = |text: &str| format!("one of SM3 {}", sm3(&[text.as_bytes()]));
        let parts = [
            ("number of PSAMs", self.count.to_string(), asked.count.to_string()),
            ("first serial number", self.first_serial.to_string(), asked.first_serial.to_string()),
            ("first terminal id", self.first_terminal.to_string(), asked.first_terminal.to_string()),
            ("issuer", self.issuer.to_string(), asked.issuer.to_string()),
            ("receiver", Hex(&self.receiver).to_string(), Hex(&asked.receiver).to_string()),
            ("index of the purchase key", self.key_index.to_string(), asked.key_index.to_string()),
            ("first day", self.start.to_string(), asked.start.to_string()),
            ("last day", self.expiry.to_string(), asked.expiry.to_string()),
            ("label", self.label.clone(), asked.label.clone()),
            ("list of terminals", terminal(self), terminal(asked)),
            ("profile", hash(&self.profile), hash(&asked.profile)),
        ];
        match parts.into_iter().find(|(_, found, asked)| found != asked) {
            Some((differs, found, asked)) => Err(BatchError::Conflict { id, differs, found, asked }),
            None => Ok(()),
        }
    }
}

/// A number of decimal digits plus `count`, of the same length.
fn plus(digits: &str, count: u32) -> Option<String> {
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let sum = digits.parse::<u128>().ok()?.checked_add(count.into())?;
    let width = digits.len();
    let text = format!("{sum:0width$}");
    (text.len() == width).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_in_decimal_and_keep_their_length() {
        assert_eq!(plus("00002144000000000009", 1).as_deref(), Some("00002144000000000010"));
        assert_eq!(plus("214400000099", 2).as_deref(), Some("214400000101"));
        assert_eq!(plus("999999999999", 1), None, "no thirteenth digit");
        assert_eq!(plus("21440000000A", 1), None, "what is no decimal number has no next one");
    }

    #[test]
    fn another_order_under_the_same_id_is_told_by_its_first_difference_in_a_few_words() {
        let order = NewBatch {
            id: "P-1".to_owned(),
            profile: "a profile ".repeat(500),
            count: 10_000,
            first_serial: "00002144000000000009".parse().unwrap(),
            first_terminal: "214400000009".parse().unwrap(),
            issuer: IssuerFactor([0x21, 0x44, 0xFF, 0, 0, 0, 0, 0]),
            receiver: [0; 8],
            key_index: KeyIndex(1),
            start: "20260101".parse().unwrap(),
            expiry: "20361231".parse().unwrap(),
            label: String::new(),
            terminals: (0..9_000).map(|no| format!("{no:08}").parse().unwrap()).collect(),
        };
        order.same(&order).unwrap();
        let mut exchanged = order.clone();
        exchanged.terminals.swap(16, 17);
        let fewer = NewBatch { terminals: order.terminals[..8_999].to_vec(), ..order.clone() };
        let other = NewBatch { profile: "another".to_owned(), ..order.clone() };
        for (asked, words) in [
            (exchanged, "list of terminals: found 00000016 at place 17, asked for 00000017 at place 17"),
            (fewer, "list of terminals: found 00008999 at place 9000, asked for 8999 terminals"),
            (other, "profile: found one of SM3 "),
        ] {
            let text = order.same(&asked).unwrap_err().to_string();
            assert!(text.contains(words) && text.len() < 300, "{text}");
        }
    }
}
