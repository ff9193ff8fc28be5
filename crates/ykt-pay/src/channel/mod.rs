//! Payment channels (渠道): the gateways and tills that take customers' money and settle it a day later.

mod store;

use std::fmt;
use std::str::FromStr;
use ykt_base::{Date, DateTime, Fen};

pub use store::{day, settlements};
pub(crate) use store::{find, insert};

/// A channel's name, such as `WECHAT` or `CASH`: 1 to 16 of A-Z, 0-9 and hyphen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(String);

/// Why a text is no channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a channel is 1 to {} of A-Z, 0-9 and hyphen, found `{found}`", Channel::LEN_MAX)]
pub struct ChannelError {
    /// The text.
    pub found: String,
}

impl Channel {
    /// Most characters of a channel's name.
    pub const LEN_MAX: usize = 16;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Channel {
    type Err = ChannelError;
    fn from_str(text: &str) -> Result<Channel, ChannelError> {
        let fits = (1..=Channel::LEN_MAX).contains(&text.len())
            && text.bytes().all(|sign| matches!(sign, b'A'..=b'Z' | b'0'..=b'9' | b'-'));
        if fits {
            Ok(Channel(text.to_owned()))
        } else {
            Err(ChannelError { found: text.chars().take(Channel::LEN_MAX).collect() })
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a channel settled for the payments of one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The channel.
    pub channel: Channel,
    /// The day of the payments.
    pub day: Date,
    /// What customers paid, less what was given back.
    pub gross: Fen,
    /// What the channel keeps.
    pub fee: Fen,
    /// When it was booked.
    pub settled_at: DateTime,
}

/// What went through a channel by the orders paid on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChannelDay {
    /// Orders paid.
    pub orders: u32,
    /// What they paid.
    pub paid: Fen,
    /// Orders of these that were given back since, on whatever day.
    pub orders_given_back: u32,
    /// What those had paid.
    pub given_back: Fen,
}

impl ChannelDay {
    /// What the channel owes for the day: paid less given back.
    #[must_use]
    pub fn due(&self) -> Fen {
        self.paid.checked_sub(self.given_back).unwrap_or(Fen::ZERO)
    }
}
