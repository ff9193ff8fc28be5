//! What goes into a statement and comes out of a row: integers, texts, blobs and nothing, and how the words of
//! `ykt-base` are kept as such: money in fen, dates as yyyyMMdd, moments as yyyyMMddHHmmss, byte ids as blobs,
//! codes as texts. Numbers of that form sort as time does and can be read by people.

use ykt_base::{
    Asn8, CardCounter, Date, DateTime, Fen, IssuerFactor, KeyIndex, KeyVersion, Mac4, MerchantCode, PosNo,
    PsamSerial, Random4, TerminalId, TerminalSeq,
};

/// One value of a statement or a row, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// A whole number of 64 bits.
    Integer(i64),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

/// Values for a statement: `params![a, b]` is a slice of [`Value`]s made by `Value::from`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::Value::from($value)),*] };
}

/// A type that can be read from a column.
pub trait Column<'v>: Sized {
    /// What the column must hold, for the error message.
    const EXPECTED: &'static str;

    /// The value as this type, or `None` when it is something else.
    fn from_value(value: Value<'v>) -> Option<Self>;
}

impl Value<'_> {
    /// Kind and content in a few characters, for messages; long content is cut.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Value::Null => "nothing".to_owned(),
            Value::Integer(number) => format!("integer {number}"),
            Value::Text(text) => format!("text of {} characters", text.chars().count()),
            Value::Blob(bytes) => format!("blob of {} bytes", bytes.len()),
        }
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Value<'a> {
        value.map_or(Value::Null, Into::into)
    }
}

impl<'v, T: Column<'v>> Column<'v> for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    fn from_value(value: Value<'v>) -> Option<Option<T>> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// `into` makes the integer of a value, `from` the value of an integer (or `None`).
macro_rules! integer_columns {
    ($($type:ty, $expected:literal, $into:expr, $from:expr;)+) => {$(
        impl From<$type> for Value<'_> {
            fn from(value: $type) -> Self {
                let into: fn($type) -> i64 = $into;
                Value::Integer(into(value))
            }
        }
        impl Column<'_> for $type {
            const EXPECTED: &'static str = $expected;
            fn from_value(value: Value<'_>) -> Option<$type> {
                let from: fn(i64) -> Option<$type> = $from;
                match value {
                    Value::Integer(number) => from(number),
                    _ => None,
                }
            }
        }
    )+};
}

integer_columns! {
    i64, "an integer", |n| n, Some;
    u32, "an integer of 0..2^32", i64::from, |n| n.try_into().ok();
    u16, "an integer of 0..65536", i64::from, |n| n.try_into().ok();
    u8, "an integer of 0..256", i64::from, |n| n.try_into().ok();
    bool, "0 or 1", i64::from, |n| match n { 0 => Some(false), 1 => Some(true), _ => None };
    Fen, "an amount in fen", Fen::fen, |n| Some(Fen::new(n));
    Date, "a date yyyyMMdd", |date| i64::from(date.as_number()), |n| Date::from_number(n.try_into().ok()?);
    DateTime, "a moment yyyyMMddHHmmss",
        |at| i64::try_from(at.as_number()).unwrap_or(i64::MAX), |n| DateTime::from_number(n.try_into().ok()?);
    CardCounter, "a card counter", |id| id.0.into(), |n| n.try_into().ok().map(CardCounter);
    TerminalSeq, "a terminal sequence", |id| id.0.into(), |n| n.try_into().ok().map(TerminalSeq);
    KeyIndex, "a key index", |id| id.0.into(), |n| n.try_into().ok().map(KeyIndex);
    KeyVersion, "a key version", |id| id.0.into(), |n| n.try_into().ok().map(KeyVersion);
}

macro_rules! text_sources {
    ($([$($generic:tt)*] $type:ty, $value:ident => $text:expr;)+) => {$(
        impl<'a $($generic)*> From<$type> for Value<'a> {
            fn from($value: $type) -> Self {
                $text
            }
        }
    )+};
}

text_sources! {
    [] &'a str, value => Value::Text(value);
    [] &'a String, value => Value::Text(value);
    [] &'a MerchantCode, value => Value::Text(value.as_str());
    [] &'a PosNo, value => Value::Text(value.as_str());
    [] &'a [u8], value => Value::Blob(value);
    [] &'a Vec<u8>, value => Value::Blob(value);
    [, const N: usize] &'a [u8; N], value => Value::Blob(value);
}

impl<'v> Column<'v> for &'v str {
    const EXPECTED: &'static str = "a text";
    fn from_value(value: Value<'v>) -> Option<&'v str> {
        match value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Column<'_> for String {
    const EXPECTED: &'static str = "a text";
    fn from_value(value: Value<'_>) -> Option<String> {
        <&str>::from_value(value).map(str::to_owned)
    }
}

impl<'v> Column<'v> for &'v [u8] {
    const EXPECTED: &'static str = "a blob";
    fn from_value(value: Value<'v>) -> Option<&'v [u8]> {
        match value {
            Value::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl Column<'_> for Vec<u8> {
    const EXPECTED: &'static str = "a blob";
    fn from_value(value: Value<'_>) -> Option<Vec<u8>> {
        <&[u8]>::from_value(value).map(<[u8]>::to_vec)
    }
}

impl<const N: usize> Column<'_> for [u8; N] {
    const EXPECTED: &'static str = "a blob of fixed length";
    fn from_value(value: Value<'_>) -> Option<[u8; N]> {
        <&[u8]>::from_value(value)?.try_into().ok()
    }
}

macro_rules! code_columns {
    ($($type:ty, $expected:literal;)+) => {$(
        impl Column<'_> for $type {
            const EXPECTED: &'static str = $expected;
            fn from_value(value: Value<'_>) -> Option<$type> {
                <&str>::from_value(value)?.parse().ok()
            }
        }
    )+};
}

code_columns! {
    MerchantCode, "a merchant code of 15 characters";
    PosNo, "a POS number of 8 characters";
}

macro_rules! byte_id_columns {
    ($($type:ident)+) => {$(
        impl<'a> From<&'a $type> for Value<'a> {
            fn from(id: &'a $type) -> Value<'a> {
                Value::Blob(id.as_bytes())
            }
        }
        impl Column<'_> for $type {
            const EXPECTED: &'static str = concat!("the bytes of a ", stringify!($type));
            fn from_value(value: Value<'_>) -> Option<$type> {
                <&[u8]>::from_value(value)?.try_into().ok()
            }
        }
    )+};
}

byte_id_columns! { Asn8 TerminalId PsamSerial IssuerFactor Random4 Mac4 }

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    fn round<'v, T>(made: Value<'v>, expected: T)
    where
        T: Column<'v> + PartialEq + Debug,
    {
        assert_eq!(T::from_value(made), Some(expected));
    }

    #[test]
    fn the_words_of_the_house_come_back_as_they_went() {
        round(Value::from(Fen::new(-5)), Fen::new(-5));
        let day = Date::new(2026, 11, 22).unwrap();
        assert_eq!(Value::from(day), Value::Integer(20_261_122));
        round(Value::from(day), day);
        let at = DateTime::start_of(day).plus_seconds(3_723).unwrap();
        assert_eq!(Value::from(at), Value::Integer(20_261_122_010_203));
        round(Value::from(at), at);
        let asn = Asn8([1, 2, 3, 4, 5, 6, 7, 8]);
        round(Value::from(&asn), asn);
        let merchant: MerchantCode = "M00000000000001".parse().unwrap();
        round(Value::from(&merchant), merchant);
        round(Value::from(CardCounter(65_535)), CardCounter(65_535));
        round(Value::from(true), true);
        round(Value::from(Some("x")), Some("x"));
        round(Value::from(None::<i64>), None::<i64>);
    }

    #[test]
    fn what_does_not_fit_is_none() {
        assert_eq!(u8::from_value(Value::Integer(256)), None);
        assert_eq!(bool::from_value(Value::Integer(2)), None);
        assert_eq!(Date::from_value(Value::Integer(20_261_131)), None);
        assert_eq!(<[u8; 4]>::from_value(Value::Blob(&[1, 2, 3])), None);
        assert_eq!(i64::from_value(Value::Text("1")), None);
        assert_eq!(Option::<i64>::from_value(Value::Text("1")), None);
    }
}
