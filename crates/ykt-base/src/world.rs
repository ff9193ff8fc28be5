//! What comes in from outside: time, randomness, and cards. Everything that decides takes these as parameters.

use crate::apdu::{COMMAND_LEN_MAX, Command, Response};
use crate::date::DateTime;
use core::fmt;

/// A source of local time.
pub trait Clock {
    /// The moment it is now, local time (UTC+8), to the second.
    fn now(&self) -> DateTime;
}

/// A source of random bytes.
pub trait Rng {
    /// Fills `out` with random bytes.
    fn fill(&mut self, out: &mut [u8]);

    /// `N` random bytes.
    fn bytes<const N: usize>(&mut self) -> [u8; N]
    where
        Self: Sized,
    {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }
}

impl<T: Rng + ?Sized> Rng for &mut T {
    fn fill(&mut self, out: &mut [u8]) {
        (**self).fill(out);
    }
}

impl<T: Clock + ?Sized> Clock for &T {
    fn now(&self) -> DateTime {
        (**self).now()
    }
}

/// Why a command got no answer. The card may or may not have acted on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelError {
    /// No card is in the reader.
    NoCard,
    /// The card left, or lost its power, before its answer came.
    Removed,
    /// The reader or the link to it failed.
    Transport(
        /// What failed, in a few words.
        &'static str,
    ),
    /// The answer is no answer: fewer than 2 or more than 258 bytes.
    BadAnswer {
        /// Bytes that came.
        len: usize,
    },
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChannelError::NoCard => f.write_str("no card in the reader"),
            ChannelError::Removed => f.write_str("the card left before its answer came"),
            ChannelError::Transport(what) => write!(f, "the reader failed: {what}"),
            ChannelError::BadAnswer { len } => write!(f, "an answer of {len} bytes is none"),
        }
    }
}

impl core::error::Error for ChannelError {}

/// A way to a card (or PSAM) that is powered and takes commands.
pub trait CardChannel {
    /// Sends one command APDU as bytes and returns the answer.
    ///
    /// # Errors
    /// [`ChannelError`] when no answer came.
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError>;

    /// Takes power off and on again: all volatile state of the card is gone.
    ///
    /// # Errors
    /// [`ChannelError`] when the card does not come back.
    fn reset(&mut self) -> Result<(), ChannelError>;

    /// Sends a [`Command`].
    ///
    /// # Errors
    /// As [`CardChannel::transmit`].
    fn send(&mut self, command: &Command<'_>) -> Result<Response, ChannelError> {
        let mut out = [0; COMMAND_LEN_MAX];
        let bytes = command.encode(&mut out);
        self.transmit(bytes)
    }
}

impl<T: CardChannel + ?Sized> CardChannel for &mut T {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        (**self).transmit(command)
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        (**self).reset()
    }
}
