//! This machine's clock and random numbers.

use std::time::{SystemTime, UNIX_EPOCH};
use ykt_base::{Clock, DateTime};

pub use ykt_terminal::transport::in_process::SystemRng;

/// Local time of the city, UTC+8, in seconds.
const UTC_OFFSET_S: i64 = 8 * 3_600;
/// The last second of the year 9999, the end of the calendar.
const LAST_S: i64 = 253_402_300_799;

/// The system's clock, read as the city's local time.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::expect_used, reason = "seconds are kept within the calendar")]
    fn now(&self) -> DateTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(LAST_S).saturating_add(UTC_OFFSET_S);
        DateTime::from_second_number(seconds.min(LAST_S)).expect("a moment from 1970 to 9999")
    }
}
