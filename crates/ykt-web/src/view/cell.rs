//! One value of a list, once: the page, the CSV file, the spreadsheet and the totals are all made from it.

use crate::i18n::Lang;
use ykt_base::{Date, DateTime, Fen};

/// What a cell holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing to tell.
    Nothing,
    /// A text or a code.
    Text(String),
    /// Money.
    Amount(Fen),
    /// A count.
    Number(i64),
    /// A number that counts nothing: a counter's reading, a place in a row.
    Serial(i64),
    /// A rate in parts per million.
    Rate(u32),
    /// A day.
    Date(Date),
    /// A moment.
    At(DateTime),
}

impl Value {
    /// As people read it; amounts in yuan with two decimals, numbers grouped.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Value::Nothing => "–".to_owned(),
            Value::Text(text) => text.clone(),
            Value::Amount(amount) => amount.to_string(),
            Value::Number(number) => grouped(*number),
            Value::Serial(number) => number.to_string(),
            Value::Rate(ppm) => percent(*ppm),
            Value::Date(date) => date.to_string(),
            Value::At(at) => at.to_string(),
        }
    }

    /// As a program reads it: no grouping, nothing for nothing.
    #[must_use]
    pub fn plain(&self) -> String {
        match self {
            Value::Nothing => String::new(),
            Value::Amount(amount) => amount.to_string().replace(',', ""),
            Value::Number(number) => number.to_string(),
            other => other.shown(),
        }
    }
}

/// A whole number with thousands grouped.
#[must_use]
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        out.push('-');
    }
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Parts per million as per cent, exactly.
fn percent(ppm: u32) -> String {
    let text = format!("{}.{:04}", ppm / 10_000, ppm % 10_000);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// How a status is meant; shown by a word and a sign, the colour only helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Wants attention.
    Warn,
    /// Refused, failed.
    Bad,
    /// Under way.
    Info,
    /// Neither.
    Quiet,
}

impl Tone {
    /// The class of the style sheet.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Warn => "warn",
            Tone::Bad => "bad",
            Tone::Info => "info",
            Tone::Quiet => "quiet",
        }
    }
}

/// A value with its ways onward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// What it holds.
    pub value: Value,
    /// Where it leads.
    pub href: Option<String>,
    /// Status colour.
    pub tone: Option<Tone>,
    /// The rule or clause behind it, shown as a tooltip.
    pub hint: Option<String>,
    /// The code behind the words, for programs.
    pub code: Option<String>,
}

impl Cell {
    /// A cell that only shows `value`.
    #[must_use]
    pub fn new(value: Value) -> Cell {
        Cell { value, href: None, tone: None, hint: None, code: None }
    }

    /// Nothing.
    #[must_use]
    pub fn nothing() -> Cell {
        Cell::new(Value::Nothing)
    }

    /// Whether it has nothing to tell.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.value == Value::Nothing
    }

    /// A text; nothing when it is empty.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Cell {
        let text = text.into();
        Cell::new(if text.is_empty() { Value::Nothing } else { Value::Text(text) })
    }

    /// Money.
    #[must_use]
    pub fn amount(amount: Fen) -> Cell {
        Cell::new(Value::Amount(amount))
    }

    /// A count.
    #[must_use]
    pub fn number(number: impl TryInto<i64>) -> Cell {
        Cell::new(Value::Number(number.try_into().unwrap_or(i64::MAX)))
    }

    /// A number that counts nothing.
    #[must_use]
    pub fn serial(number: impl TryInto<i64>) -> Cell {
        Cell::new(Value::Serial(number.try_into().unwrap_or(i64::MAX)))
    }

    /// A rate in parts per million.
    #[must_use]
    pub fn rate(ppm: u32) -> Cell {
        Cell::new(Value::Rate(ppm))
    }

    /// A day, or nothing.
    #[must_use]
    pub fn date(date: impl Into<Option<Date>>) -> Cell {
        Cell::new(date.into().map_or(Value::Nothing, Value::Date))
    }

    /// A moment, or nothing.
    #[must_use]
    pub fn at(at: impl Into<Option<DateTime>>) -> Cell {
        Cell::new(at.into().map_or(Value::Nothing, Value::At))
    }

    /// A status: the catalogue's words for `code` in `section`, with the clause behind it when there is one.
    #[must_use]
    pub fn status(lang: Lang, section: &str, code: &str, tone: Tone) -> Cell {
        let hint = lang.find(&format!("clause.{section}-{code}")).map(str::to_owned);
        Cell {
            value: Value::Text(lang.t(&format!("{section}.{code}")).to_owned()),
            tone: Some(tone),
            hint,
            href: None,
            code: Some(code.to_owned()),
        }
    }

    /// A name of the catalogue for a code; the code itself when it has no name.
    #[must_use]
    pub fn named(lang: Lang, section: &str, code: &str) -> Cell {
        let name = lang.find(&format!("{section}.{code}"));
        Cell { code: Some(code.to_owned()), ..Cell::text(name.unwrap_or(code)) }
    }

    /// The same, leading to `href`.
    #[must_use]
    pub fn to(mut self, href: impl Into<String>) -> Cell {
        self.href = Some(href.into());
        self
    }

    /// The same, leading to `href` when there is one.
    #[must_use]
    pub fn to_some(mut self, href: Option<String>) -> Cell {
        self.href = href;
        self
    }

    /// The same with a tooltip.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Cell {
        self.hint = Some(hint.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_programs_read_the_same_value() {
        for (value, shown, plain) in [
            (Value::Nothing, "–", ""),
            (Value::Amount(Fen::new(-123_456)), "-1,234.56", "-1234.56"),
            (Value::Number(1_234_567), "1,234,567", "1234567"),
            (Value::Number(-999), "-999", "-999"),
            (Value::Serial(12_345), "12345", "12345"),
            (Value::Rate(8_000), "0.8 %", "0.8 %"),
            (Value::Rate(10_000), "1 %", "1 %"),
            (Value::Rate(1_234), "0.1234 %", "0.1234 %"),
            (Value::Rate(0), "0 %", "0 %"),
            (Value::Text("M1".into()), "M1", "M1"),
        ] {
            assert_eq!(value.shown(), shown);
            assert_eq!(value.plain(), plain);
        }
    }
}
