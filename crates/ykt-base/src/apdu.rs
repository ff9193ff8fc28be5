//! Short APDUs (ISO 7816-4): a command parsed from bytes, an answer in a buffer of fixed size.

use crate::sw::StatusWord;
use core::fmt;

/// Longest command: header, Lc, 255 data bytes, Le.
pub const COMMAND_LEN_MAX: usize = 261;
/// Longest answer: 256 data bytes and the status word.
pub const RESPONSE_LEN_MAX: usize = 258;
/// Longest answer without its status word.
pub const RESPONSE_DATA_LEN_MAX: usize = 256;

/// A command as it came: header, data, and the answer length asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Command<'a> {
    /// Class byte.
    pub cla: u8,
    /// Instruction byte.
    pub ins: u8,
    /// First parameter.
    pub p1: u8,
    /// Second parameter.
    pub p2: u8,
    /// Data field; empty when there is none.
    pub data: &'a [u8],
    /// Answer length asked for: `None` when absent; 256 for a byte of 00.
    pub le: Option<u16>,
}

/// Bytes that are no short APDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandError {
    /// Fewer than four bytes.
    TooShort {
        /// Bytes there.
        found: usize,
    },
    /// Lc does not agree with the bytes that follow.
    Length {
        /// The data length Lc states.
        stated: usize,
        /// Bytes after Lc.
        found: usize,
    },
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandError::TooShort { found } => write!(f, "a command has at least 4 bytes, found {found}"),
            CommandError::Length { stated, found } => {
                write!(f, "Lc states {stated} data bytes, found {found} bytes after it")
            }
        }
    }
}

impl core::error::Error for CommandError {}

impl<'a> Command<'a> {
    /// A command without data; `le` as in the field of that name.
    #[must_use]
    pub const fn read(cla: u8, ins: u8, p1: u8, p2: u8, le: Option<u16>) -> Command<'a> {
        Command { cla, ins, p1, p2, data: &[], le }
    }

    /// A command with data.
    #[must_use]
    pub const fn write(cla: u8, ins: u8, p1: u8, p2: u8, data: &'a [u8], le: Option<u16>) -> Command<'a> {
        Command { cla, ins, p1, p2, data, le }
    }

    /// Reads the four cases of a short command.
    ///
    /// # Errors
    /// [`CommandError`] when the bytes are too few or do not agree with Lc.
    pub fn parse(bytes: &'a [u8]) -> Result<Command<'a>, CommandError> {
        let [cla, ins, p1, p2, body @ ..] = bytes else {
            return Err(CommandError::TooShort { found: bytes.len() });
        };
        let header = |data, le| Ok(Command { cla: *cla, ins: *ins, p1: *p1, p2: *p2, data, le });
        match body {
            [] => header(&[], None),
            [le] => header(&[], Some(expand(*le))),
            [lc, rest @ ..] => {
                let stated = usize::from(*lc);
                let error = CommandError::Length { stated, found: rest.len() };
                if stated == 0 {
                    return Err(error);
                }
                match rest.split_at_checked(stated) {
                    Some((data, [])) => header(data, None),
                    Some((data, [le])) => header(data, Some(expand(*le))),
                    _ => Err(error),
                }
            }
        }
    }

    /// The bytes of the wire in `out`; data longer than 255 bytes is a fault of the caller and is cut off.
    #[must_use]
    pub fn encode<'o>(&self, out: &'o mut [u8; COMMAND_LEN_MAX]) -> &'o [u8] {
        out[..4].copy_from_slice(&[self.cla, self.ins, self.p1, self.p2]);
        let mut len = 4usize;
        let data = self.data.get(..255).unwrap_or(self.data);
        if !data.is_empty() {
            out[4] = u8::try_from(data.len()).unwrap_or(u8::MAX);
            let end = data.len().saturating_add(5);
            out[5..end].copy_from_slice(data);
            len = end;
        }
        if let Some(le) = self.le {
            out[len] = u8::try_from(le).unwrap_or(0);
            len = len.saturating_add(1);
        }
        &out[..len]
    }
}

fn expand(le: u8) -> u16 {
    if le == 0 { 256 } else { u16::from(le) }
}

/// Header and length only: the data may be secret (a PIN, a key).
impl fmt::Debug for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}{:02X}{:02X}{:02X}", self.cla, self.ins, self.p1, self.p2)?;
        write!(f, " Lc {} Le {:?}", self.data.len(), self.le)
    }
}

/// An answer: data and status word in one buffer of fixed size.
#[derive(Clone, Copy)]
pub struct Response {
    bytes: [u8; RESPONSE_LEN_MAX],
    len: usize,
}

impl Response {
    /// An answer of a status word only.
    #[must_use]
    pub fn status(sw: StatusWord) -> Response {
        let mut bytes = [0; RESPONSE_LEN_MAX];
        bytes[..2].copy_from_slice(&sw.to_bytes());
        Response { bytes, len: 2 }
    }

    /// An answer of data and a status word, or `None` above 256 data bytes.
    #[must_use]
    pub fn new(data: &[u8], sw: StatusWord) -> Option<Response> {
        let mut bytes = [0; RESPONSE_LEN_MAX];
        bytes.get_mut(..data.len()).filter(|_| data.len() <= RESPONSE_DATA_LEN_MAX)?.copy_from_slice(data);
        let len = data.len().checked_add(2)?;
        bytes.get_mut(data.len()..len)?.copy_from_slice(&sw.to_bytes());
        Some(Response { bytes, len })
    }

    /// An answer from the bytes of the wire, or `None` when they are fewer than 2 or more than 258.
    #[must_use]
    pub fn from_wire(wire: &[u8]) -> Option<Response> {
        let mut bytes = [0; RESPONSE_LEN_MAX];
        bytes.get_mut(..wire.len()).filter(|_| wire.len() >= 2)?.copy_from_slice(wire);
        Some(Response { bytes, len: wire.len() })
    }

    /// The data before the status word.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.bytes[..self.len.saturating_sub(2)]
    }

    /// The status word.
    #[must_use]
    pub fn sw(&self) -> StatusWord {
        let at = self.len.saturating_sub(2);
        StatusWord(u16::from_be_bytes([self.bytes[at], self.bytes[at.saturating_add(1)]]))
    }

    /// Data and status word as on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} data bytes, {}", self.data().len(), self.sw())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_cases() {
        let case1 = Command::parse(&[0, 0x84, 0, 0]).unwrap();
        assert_eq!((case1.data, case1.le), (&[][..], None));
        let case2 = Command::parse(&[0, 0x84, 0, 0, 0]).unwrap();
        assert_eq!(case2.le, Some(256));
        let case3 = Command::parse(&[0, 0x20, 0, 0, 2, 1, 2]).unwrap();
        assert_eq!((case3.data, case3.le), (&[1, 2][..], None));
        let case4 = Command::parse(&[0, 0x20, 0, 0, 2, 1, 2, 4]).unwrap();
        assert_eq!((case4.data, case4.le), (&[1, 2][..], Some(4)));
        let mut out = [0; COMMAND_LEN_MAX];
        assert_eq!(case4.encode(&mut out), [0, 0x20, 0, 0, 2, 1, 2, 4]);
        assert_eq!(case2.encode(&mut out), [0, 0x84, 0, 0, 0]);
    }

    #[test]
    fn lengths_must_agree() {
        assert_eq!(Command::parse(&[0, 1, 2]), Err(CommandError::TooShort { found: 3 }));
        assert_eq!(Command::parse(&[0, 1, 2, 3, 4, 5]), Err(CommandError::Length { stated: 4, found: 1 }));
        assert_eq!(
            Command::parse(&[0, 1, 2, 3, 1, 5, 6, 7]),
            Err(CommandError::Length { stated: 1, found: 3 })
        );
        assert_eq!(Command::parse(&[0, 1, 2, 3, 0, 5]), Err(CommandError::Length { stated: 0, found: 1 }));
    }

    #[test]
    fn answers() {
        let answer = Response::new(&[1, 2, 3], StatusWord::OK).unwrap();
        assert_eq!((answer.data(), answer.sw()), (&[1, 2, 3][..], StatusWord::OK));
        assert_eq!(Response::from_wire(answer.as_bytes()).unwrap().data(), [1, 2, 3]);
        assert!(Response::new(&[0; 257], StatusWord::OK).is_none());
        assert!(Response::from_wire(&[0x90]).is_none());
    }
}
