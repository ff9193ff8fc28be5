//! The language spoken with a vault in a process of its own: every question and order of [`crate::Vault`] and
//! [`crate::KeyManagement`] as bytes, with their answers and errors.
//!
//! A frame is its length (4 bytes), the version of the language (1), and one message. Lists of choices are closed, lengths
//! have maxima, and each value has one form: any bytes at all give a message or an error that names the byte.
//! Buffers are wiped, since a message may hold a key on its way in, or a PIN.

mod codec;
mod message;
#[cfg(test)]
mod tests;
mod words;

pub use codec::WireError;
pub(crate) use message::{Answer, Message, Order, OrderId, Question};

use codec::{Out, Wire};
use std::io::{self, Read, Write};
use thiserror::Error;
use zeroize::Zeroizing;

/// The version of the language: both sides must speak the same.
pub const VERSION: u8 = 1;
/// Longest message to a vault, in bytes.
pub const MESSAGE_LEN_MAX: usize = 1 << 20;
/// Longest answer of a vault, in bytes: a list of more than 100,000 keys.
pub const ANSWER_LEN_MAX: usize = 16 << 20;
/// Most TACs in one message.
pub const JOBS_PER_MESSAGE_MAX: usize = 8_192;

/// Length of what stands before a message: its length and the version.
const HEADER_LEN: usize = 5;

/// Why no message could be read from a line, or none written to it.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The line broke, or took too long.
    #[error("the line broke: {0}")]
    Line(#[from] io::Error),
    /// It ended inside a frame.
    #[error("the line ended within a message")]
    CutOff,
    /// A frame of another version.
    #[error(
        "expected version {VERSION} of the language of vaults, found {found}; run the same release on both sides"
    )]
    Version {
        /// Its version.
        found: u8,
    },
    /// A frame too long to be a message.
    #[error("a message of {found} bytes: expected at most {max}")]
    Length {
        /// What it states.
        found: usize,
        /// The maximum.
        max: usize,
    },
    /// The bytes are no message.
    #[error(transparent)]
    Message(#[from] WireError),
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// To a vault.
    Asks,
    /// From a vault.
    Answers,
}

/// The bytes that this program writes for the value of `message` (without its length and version): the same ones, since
/// each value has one form. For whoever tests a program that speaks the language.
///
/// # Errors
/// [`WireError`] naming the byte, when they are no message of that side.
pub fn rewritten(message: &[u8], side: Side) -> Result<Zeroizing<Vec<u8>>, WireError> {
    let frame = match side {
        Side::Asks => Frame::of(&codec::decode::<Message<'_>>(message)?),
        Side::Answers => Frame::of(&codec::decode::<Answer>(message)?),
    };
    Ok(Zeroizing::new(frame.as_bytes().get(HEADER_LEN..).unwrap_or_default().to_vec()))
}

/// A whole frame, wiped when dropped.
#[derive(Clone)]
pub(crate) struct Frame(Out);

impl Frame {
    /// The frame of a message or an answer.
    pub(crate) fn of(value: &impl Wire) -> Frame {
        let mut out = Out::new();
        out.bytes(&[0; HEADER_LEN]);
        value.put(&mut out);
        let len = out.as_bytes().len().saturating_sub(HEADER_LEN);
        out.begin_with(
            &[u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes().as_slice(), &[VERSION]].concat(),
        );
        Frame(out)
    }

    /// All its bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether it is no longer than whoever reads it takes.
    pub(crate) fn fits(&self, len_max: usize) -> bool {
        self.0.as_bytes().len().saturating_sub(HEADER_LEN) <= len_max
    }

    /// Sends it in one piece.
    ///
    /// # Errors
    /// What the line says.
    pub(crate) fn write(&self, line: &mut (impl Write + ?Sized)) -> io::Result<()> {
        line.write_all(self.0.as_bytes())?;
        line.flush()
    }
}

/// The next message of a line; `None` when it ended before one began.
///
/// # Errors
/// [`FrameError`]
pub(crate) fn read<T: Wire>(
    line: &mut (impl Read + ?Sized),
    len_max: usize,
) -> Result<Option<T>, FrameError> {
    read_begun(line, len_max, |_| {})
}

/// As [`read`]; the line is told when the first bytes of the message have come.
///
/// # Errors
/// [`FrameError`]
pub(crate) fn read_begun<T: Wire, L: Read + ?Sized>(
    line: &mut L,
    len_max: usize,
    begin: impl FnOnce(&mut L),
) -> Result<Option<T>, FrameError> {
    let mut header = [0; HEADER_LEN];
    let begun = loop {
        match line.read(&mut header) {
            Ok(0) => return Ok(None),
            Ok(begun) => break begun,
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                // A peer that is gone says no good-bye on an enciphered line.
                io::ErrorKind::UnexpectedEof => return Ok(None),
                _ => return Err(error.into()),
            },
        }
    };
    begin(line);
    exactly(line, header.get_mut(begun..).unwrap_or_default())?;
    let [a, b, c, d, version] = header;
    if version != VERSION {
        return Err(FrameError::Version { found: version });
    }
    let found = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if found > len_max {
        return Err(FrameError::Length { found, max: len_max });
    }
    let mut message = Zeroizing::new(vec![0; found]);
    exactly(line, &mut message)?;
    Ok(Some(codec::decode(&message)?))
}

fn exactly(line: &mut (impl Read + ?Sized), bytes: &mut [u8]) -> Result<(), FrameError> {
    line.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FrameError::CutOff,
        _ => FrameError::Line(error),
    })
}
