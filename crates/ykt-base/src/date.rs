//! Calendar dates and times of day, local (UTC+8), to the second: as cards, files and clearing days use them.

use crate::bcd;
use core::fmt;
use core::str::FromStr;

/// A calendar date (proleptic Gregorian), years 0 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// A time of day to the second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    hour: u8,
    minute: u8,
    second: u8,
}

/// A date and a time of day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime {
    /// The day.
    pub date: Date,
    /// The time of that day.
    pub time: Time,
}

/// A text or BCD field is no date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateError {
    expected: &'static str,
}

impl fmt::Display for DateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.expected)
    }
}

impl core::error::Error for DateError {}

const DATE_ERROR: DateError = DateError { expected: "a calendar date as yyyyMMdd or yyyy-MM-dd" };
const TIME_ERROR: DateError = DateError { expected: "a time of day as HHmmss or HH:mm:ss" };
const DATE_TIME_ERROR: DateError = DateError { expected: "a date and time as yyyyMMddHHmmss" };
/// Seconds of a day.
const DAY_S: i64 = 86_400;

fn leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn month_days(year: u16, month: u8) -> u8 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Date {
    /// The date, or `None` when the calendar has no such day.
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8) -> Option<Date> {
        let fits = year <= 9999 && (1..=12).contains(&month) && day >= 1 && day <= month_days(year, month);
        fits.then_some(Date { year, month, day })
    }

    /// Year, 0 to 9999.
    #[must_use]
    pub const fn year(self) -> u16 {
        self.year
    }

    /// Month, 1 to 12.
    #[must_use]
    pub const fn month(self) -> u8 {
        self.month
    }

    /// Day of the month, from 1.
    #[must_use]
    pub const fn day(self) -> u8 {
        self.day
    }

    /// yyyyMMdd as a number.
    #[must_use]
    pub fn as_number(self) -> u32 {
        u32::from(self.year)
            .saturating_mul(10_000)
            .saturating_add(u32::from(self.month).saturating_mul(100))
            .saturating_add(u32::from(self.day))
    }

    /// From the number yyyyMMdd.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Date> {
        Date::new(
            u16::try_from(number.checked_div(10_000)?).ok()?,
            u8::try_from(number.checked_div(100)?.checked_rem(100)?).ok()?,
            u8::try_from(number.checked_rem(100)?).ok()?,
        )
    }

    /// Four BCD bytes, YYYYMMDD.
    #[must_use]
    pub fn to_bcd(self) -> [u8; 4] {
        bcd::from_number(u64::from(self.as_number())).unwrap_or_default()
    }

    /// From four BCD bytes.
    #[must_use]
    pub fn from_bcd(bytes: [u8; 4]) -> Option<Date> {
        Date::from_number(u32::try_from(bcd::to_number(&bytes)?).ok()?)
    }

    /// Days since 1970-01-01 (negative before).
    #[must_use]
    pub fn day_number(self) -> i64 {
        let month = i64::from(self.month);
        // Years start in March so that the leap day is the last of its year.
        let year = i64::from(self.year).saturating_sub(i64::from(month <= 2));
        let month_from_march = month.saturating_add(9).rem_euclid(12);
        let day_of_year = month_from_march
            .saturating_mul(153)
            .saturating_add(2)
            .div_euclid(5)
            .saturating_add(i64::from(self.day))
            .saturating_sub(1);
        let leaps =
            year.div_euclid(4).saturating_sub(year.div_euclid(100)).saturating_add(year.div_euclid(400));
        year.saturating_mul(365).saturating_add(leaps).saturating_add(day_of_year).saturating_sub(719_468)
    }

    /// The day `days` since 1970-01-01, or `None` outside the years 0 to 9999.
    #[must_use]
    pub fn from_day_number(days: i64) -> Option<Date> {
        let shifted = days.checked_add(719_468)?;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = day_of_era
            .checked_sub(day_of_era.div_euclid(1_460))?
            .checked_add(day_of_era.div_euclid(36_524))?
            .checked_sub(day_of_era.div_euclid(146_096))?
            .div_euclid(365);
        let before = year_of_era
            .checked_mul(365)?
            .checked_add(year_of_era.div_euclid(4))?
            .checked_sub(year_of_era.div_euclid(100))?;
        let day_of_year = day_of_era.checked_sub(before)?;
        let march_month = day_of_year.checked_mul(5)?.checked_add(2)?.div_euclid(153);
        let day = day_of_year
            .checked_sub(march_month.checked_mul(153)?.checked_add(2)?.div_euclid(5))?
            .checked_add(1)?;
        let month = march_month.checked_add(2)?.rem_euclid(12).checked_add(1)?;
        let year =
            year_of_era.checked_add(era.checked_mul(400)?)?.checked_add(i64::from(march_month >= 10))?;
        Date::new(u16::try_from(year).ok()?, u8::try_from(month).ok()?, u8::try_from(day).ok()?)
    }

    /// The date `days` later (earlier when negative), or `None` outside the calendar.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Option<Date> {
        Date::from_day_number(self.day_number().checked_add(days)?)
    }

    /// Days from `earlier` to this date.
    #[must_use]
    pub fn days_since(self, earlier: Date) -> i64 {
        self.day_number().saturating_sub(earlier.day_number())
    }

    /// yyyyMMdd without separators.
    #[must_use]
    pub fn compact(self) -> impl fmt::Display {
        struct Compact(Date);
        impl fmt::Display for Compact {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:08}", self.0.as_number())
            }
        }
        Compact(self)
    }
}

impl Time {
    /// Midnight.
    pub const MIDNIGHT: Time = Time { hour: 0, minute: 0, second: 0 };

    /// The time, or `None` when there is no such time of day (no leap seconds).
    #[must_use]
    pub fn new(hour: u8, minute: u8, second: u8) -> Option<Time> {
        (hour < 24 && minute < 60 && second < 60).then_some(Time { hour, minute, second })
    }

    /// Hour, 0 to 23.
    #[must_use]
    pub const fn hour(self) -> u8 {
        self.hour
    }

    /// HHmmss as a number.
    #[must_use]
    pub fn as_number(self) -> u32 {
        u32::from(self.hour)
            .saturating_mul(10_000)
            .saturating_add(u32::from(self.minute).saturating_mul(100))
            .saturating_add(u32::from(self.second))
    }

    /// From the number HHmmss.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Time> {
        Time::new(
            u8::try_from(number.checked_div(10_000)?).ok()?,
            u8::try_from(number.checked_div(100)?.checked_rem(100)?).ok()?,
            u8::try_from(number.checked_rem(100)?).ok()?,
        )
    }

    /// Three BCD bytes, HHMMSS.
    #[must_use]
    pub fn to_bcd(self) -> [u8; 3] {
        bcd::from_number(u64::from(self.as_number())).unwrap_or_default()
    }

    /// From three BCD bytes.
    #[must_use]
    pub fn from_bcd(bytes: [u8; 3]) -> Option<Time> {
        Time::from_number(u32::try_from(bcd::to_number(&bytes)?).ok()?)
    }

    /// Seconds since midnight.
    #[must_use]
    pub fn second_of_day(self) -> u32 {
        u32::from(self.hour)
            .saturating_mul(3_600)
            .saturating_add(u32::from(self.minute).saturating_mul(60))
            .saturating_add(u32::from(self.second))
    }

    /// From seconds since midnight, or `None` from 86,400 on.
    #[must_use]
    pub fn from_second_of_day(second: u32) -> Option<Time> {
        Time::new(
            u8::try_from(second.checked_div(3_600)?).ok()?,
            u8::try_from(second.checked_div(60)?.checked_rem(60)?).ok()?,
            u8::try_from(second.checked_rem(60)?).ok()?,
        )
    }
}

impl DateTime {
    /// Midnight that begins `date`.
    #[must_use]
    pub const fn start_of(date: Date) -> DateTime {
        DateTime { date, time: Time::MIDNIGHT }
    }

    /// Seconds of local time since 1970-01-01 00:00:00.
    #[must_use]
    pub fn second_number(self) -> i64 {
        self.date.day_number().saturating_mul(DAY_S).saturating_add(i64::from(self.time.second_of_day()))
    }

    /// From seconds of local time since 1970-01-01 00:00:00.
    #[must_use]
    pub fn from_second_number(seconds: i64) -> Option<DateTime> {
        Some(DateTime {
            date: Date::from_day_number(seconds.div_euclid(DAY_S))?,
            time: Time::from_second_of_day(u32::try_from(seconds.rem_euclid(DAY_S)).ok()?)?,
        })
    }

    /// The moment `seconds` later (earlier when negative), or `None` outside the calendar.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Option<DateTime> {
        DateTime::from_second_number(self.second_number().checked_add(seconds)?)
    }

    /// yyyyMMddHHmmss as a number; sorts as time does.
    #[must_use]
    pub fn as_number(self) -> u64 {
        u64::from(self.date.as_number())
            .saturating_mul(1_000_000)
            .saturating_add(u64::from(self.time.as_number()))
    }

    /// From the number yyyyMMddHHmmss.
    #[must_use]
    pub fn from_number(number: u64) -> Option<DateTime> {
        Some(DateTime {
            date: Date::from_number(u32::try_from(number.checked_div(1_000_000)?).ok()?)?,
            time: Time::from_number(u32::try_from(number.checked_rem(1_000_000)?).ok()?)?,
        })
    }

    /// Four and three BCD bytes, YYYYMMDD HHMMSS, as cards carry them.
    #[must_use]
    pub fn to_bcd(self) -> [u8; 7] {
        let mut out = [0; 7];
        out[..4].copy_from_slice(&self.date.to_bcd());
        out[4..].copy_from_slice(&self.time.to_bcd());
        out
    }

    /// From seven BCD bytes.
    #[must_use]
    pub fn from_bcd(bytes: [u8; 7]) -> Option<DateTime> {
        let [y0, y1, m, d, h, min, s] = bytes;
        Some(DateTime { date: Date::from_bcd([y0, y1, m, d])?, time: Time::from_bcd([h, min, s])? })
    }
}

/// The digits of `text` as a number when it has exactly the digits of `pattern`, where `0` stands for one.
fn digits(text: &str, pattern: &str) -> Option<u64> {
    if text.len() != pattern.len() {
        return None;
    }
    text.bytes().zip(pattern.bytes()).try_fold(0u64, |number, (byte, place)| match (place, byte) {
        (b'0', b'0'..=b'9') => number.checked_mul(10)?.checked_add(u64::from(byte.wrapping_sub(b'0'))),
        (b'0', _) => None,
        (sign, found) if sign == found => Some(number),
        _ => None,
    })
}

impl FromStr for Date {
    type Err = DateError;
    fn from_str(text: &str) -> Result<Date, DateError> {
        digits(text, "00000000")
            .or_else(|| digits(text, "0000-00-00"))
            .and_then(|number| Date::from_number(u32::try_from(number).ok()?))
            .ok_or(DATE_ERROR)
    }
}

impl FromStr for Time {
    type Err = DateError;
    fn from_str(text: &str) -> Result<Time, DateError> {
        digits(text, "000000")
            .or_else(|| digits(text, "00:00:00"))
            .and_then(|number| Time::from_number(u32::try_from(number).ok()?))
            .ok_or(TIME_ERROR)
    }
}

impl FromStr for DateTime {
    type Err = DateError;
    fn from_str(text: &str) -> Result<DateTime, DateError> {
        digits(text, "00000000000000")
            .or_else(|| digits(text, "0000-00-00 00:00:00"))
            .or_else(|| digits(text, "0000-00-00T00:00:00"))
            .and_then(DateTime::from_number)
            .ok_or(DATE_TIME_ERROR)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.date, self.time)
    }
}

macro_rules! debug_as_display {
    ($($name:ident)+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )+};
}
debug_as_display!(Date Time DateTime);

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn every_day_of_five_centuries_goes_there_and_back() {
        let mut date = Date::new(1899, 12, 31).unwrap();
        for number in date.day_number()..date.day_number() + 500 * 366 {
            assert_eq!(date.day_number(), number);
            assert_eq!(Date::from_day_number(number), Some(date));
            assert_eq!(Date::from_bcd(date.to_bcd()), Some(date));
            date = date.plus_days(1).unwrap();
        }
        assert_eq!(Date::new(1970, 1, 1).unwrap().day_number(), 0);
        assert_eq!(Date::new(2000, 3, 1).unwrap().day_number(), 11_017, "date(1): 951868800 / 86400");
    }

    #[test]
    fn the_calendar_is_enforced() {
        assert_eq!(Date::new(2023, 2, 29), None);
        assert!(Date::new(2024, 2, 29).is_some());
        assert_eq!(Date::from_bcd([0x20, 0x24, 0x13, 0x01]), None);
        assert_eq!(Time::from_bcd([0x24, 0, 0]), None);
        assert!("2024013".parse::<Date>().is_err());
    }

    #[test]
    fn texts() {
        let at: DateTime = "20240131123456".parse().unwrap();
        assert_eq!(at.to_string(), "2024-01-31 12:34:56");
        assert_eq!(at.as_number(), 20_240_131_123_456);
        assert_eq!(at.to_bcd(), [0x20, 0x24, 0x01, 0x31, 0x12, 0x34, 0x56]);
        assert_eq!(at.plus_seconds(41_104).unwrap().to_string(), "2024-02-01 00:00:00");
        assert_eq!(at.date.compact().to_string(), "20240131");
        assert_eq!("2024-01-31".parse::<Date>().unwrap(), at.date);
    }
}
