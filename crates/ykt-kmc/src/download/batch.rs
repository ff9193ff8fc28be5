//! The file of a batch: one card a line, the numbers that the centre must know and nothing of the holder.
//!
//! CSV with a head line. Columns: `card` (16 digits, 20 of a PSAM), `city` (4 digits) or `factor` (16 hex digits), and
//! `banks` (references of bank cards, 16 hex digits each, joined by `+`), which may be missing. Everything that is wrong is
//! told with its line, up to [`BATCH_ERRORS_MAX`] of them; a file with an error is refused whole.

use super::subject_of;
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;
use ykt_base::{Asn8, IssuerFactor, hex};
use ykt_issue::{Profile, Subject, t_union_issuer};
use ykt_purse::files::{PublicDataLayout, city_factor};

/// Most cards of a batch.
pub const BATCH_CARDS_MAX: usize = 100_000;
/// Most errors that one refusal lists.
pub const BATCH_ERRORS_MAX: usize = 50;

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// Number of the line, from 1.
    pub line: usize,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: expected {}, found {}", self.line, self.expected, self.found)
    }
}

/// Why a file is no batch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the batch file is refused: {}", list(errors))]
pub struct BatchError {
    /// What is wrong, in the order of lines.
    pub errors: Vec<LineError>,
}

fn list(errors: &[LineError]) -> String {
    let lines: Vec<_> = errors.iter().map(LineError::to_string).collect();
    lines.join("; ")
}

/// A column of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Card,
    City,
    Factor,
    Banks,
}

const COLUMNS: [(&str, Column); 4] =
    [("card", Column::Card), ("city", Column::City), ("factor", Column::Factor), ("banks", Column::Banks)];

/// Reads the cards of a file for an application.
///
/// # Errors
/// [`BatchError`] with every line that is wrong; numbers that come twice are.
pub fn parse_batch(profile: &Profile, text: &str) -> Result<Vec<Subject>, BatchError> {
    let mut lines =
        (1..).zip(text.trim_start_matches('\u{FEFF}').lines()).filter(|(_, line)| !line.trim().is_empty());
    let columns = match lines.next() {
        Some((number, head)) => columns(number, head)?,
        None => return Err(one(1, "a head line and cards", "an empty file")),
    };
    let (mut cards, mut errors, mut seen) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (number, line) in lines {
        if errors.len() >= BATCH_ERRORS_MAX {
            break;
        }
        match card(profile, &columns, line) {
            Ok(subject) => match seen.insert(super::number_of(&subject), number) {
                None => cards.push(subject),
                Some(first) => errors.push(LineError {
                    line: number,
                    expected: "every card once".to_owned(),
                    found: format!("the card of line {first} again"),
                }),
            },
            Err((expected, found)) => errors.push(LineError { line: number, expected, found }),
        }
    }
    if errors.is_empty() && !(1..=BATCH_CARDS_MAX).contains(&cards.len()) {
        return Err(one(1, &format!("1 to {BATCH_CARDS_MAX} cards"), &cards.len().to_string()));
    }
    if errors.is_empty() { Ok(cards) } else { Err(BatchError { errors }) }
}

fn one(line: usize, expected: &str, found: &str) -> BatchError {
    BatchError { errors: vec![LineError { line, expected: expected.to_owned(), found: found.to_owned() }] }
}

fn columns(number: usize, head: &str) -> Result<Vec<Column>, BatchError> {
    let mut columns = Vec::new();
    for name in head.split(',').map(str::trim) {
        let known = COLUMNS.iter().find(|(known, _)| *known == name).map(|(_, column)| *column);
        match known.filter(|column| !columns.contains(column)) {
            Some(column) => columns.push(column),
            None => {
                let expected = "columns `card`, `city` or `factor`, and `banks`, each once";
                return Err(one(number, expected, &format!("`{name}`")));
            }
        }
    }
    let levels = columns.iter().filter(|column| matches!(column, Column::City | Column::Factor)).count();
    if columns.contains(&Column::Card) && levels == 1 {
        return Ok(columns);
    }
    Err(one(number, "a column `card`, and one of `city` and `factor`", &format!("`{head}`")))
}

/// The card of a line, or what was expected and found.
fn card(profile: &Profile, columns: &[Column], line: &str) -> Result<Subject, (String, String)> {
    let cells: Vec<&str> = line.split(',').map(str::trim).collect();
    if cells.len() != columns.len() {
        return Err((format!("{} columns", columns.len()), format!("{} columns", cells.len())));
    }
    let cell =
        |wanted| columns.iter().zip(&cells).find(|(column, _)| **column == wanted).map(|(_, cell)| *cell);
    let wrong = |expected: &str, found: &str| (expected.to_owned(), format!("`{found}`"));
    let factor = match (cell(Column::City), cell(Column::Factor)) {
        (Some(city), _) => {
            let code = decimal::<2>(city).ok_or_else(|| wrong("a city code of 4 digits", city))?;
            match profile.layout {
                PublicDataLayout::City => city_factor(code),
                PublicDataLayout::Pboc | PublicDataLayout::TUnion => t_union_issuer(code),
            }
        }
        (None, Some(factor)) => {
            IssuerFactor(hex::decode(factor).map_err(|_| wrong("a factor of 16 hex digits", factor))?)
        }
        (None, None) => return Err(wrong("a city or a factor", "")),
    };
    let banks = match cell(Column::Banks) {
        None | Some("") => Vec::new(),
        Some(banks) => {
            let each =
                banks.split('+').map(|bank| hex::decode(bank).ok().map(Asn8)).collect::<Option<Vec<_>>>();
            each.ok_or_else(|| wrong("references of 16 hex digits joined by `+`", banks))?
        }
    };
    let number = cell(Column::Card).unwrap_or_default();
    let digits = number.chars().all(|sign| sign.is_ascii_digit());
    let subject = subject_of(profile.kind, number, factor, banks).filter(|_| digits);
    subject.ok_or_else(|| match profile.kind {
        ykt_card::CardKind::User => wrong("a card number of 16 digits", number),
        _ => wrong("a serial number of 20 digits", number),
    })
}

fn decimal<const N: usize>(text: &str) -> Option<[u8; N]> {
    hex::decode(text).ok().filter(|_| text.chars().all(|sign| sign.is_ascii_digit()))
}

/// Refuses cards that are known already, each with its place; `known` finds state and batch of one.
///
/// # Errors
/// [`BatchError`] in a [`super::KeepError`], or what `known` fails with.
pub(super) fn refuse_known<E: Into<super::KeepError>>(
    subjects: &[Subject],
    mut known: impl FnMut(&Subject) -> Result<Option<(super::CardState, Option<String>)>, E>,
) -> Result<(), super::KeepError> {
    let mut errors = Vec::new();
    for (number, subject) in (1..).zip(subjects) {
        if let Some((state, batch)) = known(subject).map_err(Into::into)? {
            let batch =
                batch.map_or_else(|| "without a batch".to_owned(), |batch| format!("in batch {batch}"));
            let expected = "cards that are not there yet".to_owned();
            errors.push(LineError { line: number, expected, found: format!("one {batch}, {state}") });
        }
        if errors.len() >= BATCH_ERRORS_MAX {
            break;
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(BatchError { errors }.into()) }
}
