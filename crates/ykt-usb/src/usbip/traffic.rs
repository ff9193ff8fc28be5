//! The bytes of USB/IP after an import: transfers and unlinks, each with a header of 48 bytes.

use super::wire::{WireError, begin, take};
use std::io::{self, Read};

/// Bytes of the header of a transfer.
pub const HEADER_LEN: usize = 48;
/// Longest buffer of a transfer that is taken, in bytes; drivers of this class offer room for a little over 64 KiB.
pub const BUFFER_LEN_MAX: usize = 1024 * 1024;

const SUBMIT: u32 = 1;
const UNLINK: u32 = 2;
const SUBMITTED: u32 = 3;
const UNLINKED: u32 = 4;
/// `number_of_packets` of a transfer that is not isochronous, as the document has it; the kernel writes 0, and takes no
/// more in a reply than it wrote.
const NO_PACKETS: u32 = u32::MAX;

/// The buffer of a transfer, by its direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Buffer {
    /// To the device: the bytes.
    Out(
        /// The bytes.
        Vec<u8>,
    ),
    /// From the device: room for so many bytes.
    In(
        /// Bytes of room.
        usize,
    ),
}

/// A transfer that a host submits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    /// Number of the transfer, which its reply repeats.
    pub sequence: u32,
    /// Bus and device, see [`ExportedDevice::id`].
    pub device: u32,
    /// Endpoint number, 0 to 15; 0 is the control pipe.
    pub endpoint: u8,
    /// What goes out, or the room for what comes in.
    pub buffer: Buffer,
    /// The setup bytes of a control transfer.
    pub setup: [u8; 8],
}

/// What a host sends after an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToDevice {
    /// A transfer.
    Submit(
        /// The transfer.
        Submit,
    ),
    /// Take a transfer back that has no reply yet.
    Unlink {
        /// Number of this message.
        sequence: u32,
        /// Bus and device.
        device: u32,
        /// Number of the transfer.
        victim: u32,
    },
}

impl ToDevice {
    /// The bytes of the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            ToDevice::Submit(submit) => {
                let (direction, len, data) = match &submit.buffer {
                    Buffer::Out(data) => (0, data.len(), data.as_slice()),
                    Buffer::In(len) => (1, *len, [].as_slice()),
                };
                let len = u32::try_from(len).unwrap_or(u32::MAX);
                let endpoint = submit.endpoint.into();
                let mut bytes = words(&[
                    SUBMIT,
                    submit.sequence,
                    submit.device,
                    direction,
                    endpoint,
                    0,
                    len,
                    0,
                    NO_PACKETS,
                    0,
                ]);
                bytes.extend(submit.setup);
                bytes.extend(data);
                bytes
            }
            ToDevice::Unlink { sequence, device, victim } => {
                padded(words(&[UNLINK, *sequence, *device, 0, 0, *victim]))
            }
        }
    }

    /// Reads one message for `device`, or `None` when the line has ended.
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub fn read(line: &mut impl Read, device: u32) -> Result<Option<ToDevice>, WireError> {
        let Some(header) = begin::<HEADER_LEN>(line)? else { return Ok(None) };
        let (mut fields, setup) = split_header(&header);
        let mut next = || fields.next().unwrap_or_default();
        let (command, sequence, found, direction, endpoint) = (next(), next(), next(), next(), next());
        if command != SUBMIT && command != UNLINK {
            return Err(WireError::Code { found: command, expected: "a transfer or an unlink" });
        }
        if found != device {
            return Err(WireError::Device { found, expected: device });
        }
        if command == UNLINK {
            return Ok(Some(ToDevice::Unlink { sequence, device, victim: next() }));
        }
        let (_flags, len, _start_frame, packets) = (next(), next(), next(), next());
        if packets != 0 && packets != NO_PACKETS {
            return Err(WireError::Isochronous { packets });
        }
        let pipe = WireError::Pipe { direction, endpoint };
        let endpoint = u8::try_from(endpoint).ok().filter(|endpoint| *endpoint <= 15);
        let len = buffer_len(len)?;
        let buffer = match direction {
            0 => Buffer::Out(buffer(line, len)?),
            1 => Buffer::In(len),
            _ => return Err(pipe),
        };
        let endpoint = endpoint.ok_or(pipe)?;
        Ok(Some(ToDevice::Submit(Submit { sequence, device, endpoint, buffer, setup })))
    }
}

/// How a transfer ended: the negative error numbers of Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(
    /// 0 is success.
    pub i32,
);

impl Code {
    /// It went through.
    pub const OK: Code = Code(0);
    /// The device refused it: EPIPE.
    pub const STALL: Code = Code(-32);
    /// It was taken back: ECONNRESET.
    pub const UNLINKED: Code = Code(-104);
}

/// What the device's side sends after an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToHost {
    /// A transfer has ended.
    Submitted {
        /// Its number.
        sequence: u32,
        /// How it ended.
        code: Code,
        /// Bytes that went through.
        len: usize,
        /// What came from the device.
        data: Vec<u8>,
    },
    /// The answer to an unlink.
    Unlinked {
        /// Number of the unlink.
        sequence: u32,
        /// [`Code::UNLINKED`], or 0 when the transfer had ended before.
        code: Code,
    },
}

impl ToHost {
    /// The bytes of the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            ToHost::Submitted { sequence, code, len, data } => {
                let code = u32::from_be_bytes(code.0.to_be_bytes());
                let len = u32::try_from(*len).unwrap_or(u32::MAX);
                let mut bytes = padded(words(&[SUBMITTED, *sequence, 0, 0, 0, code, len, 0, 0, 0]));
                bytes.extend(data);
                bytes
            }
            ToHost::Unlinked { sequence, code } => {
                let code = u32::from_be_bytes(code.0.to_be_bytes());
                padded(words(&[UNLINKED, *sequence, 0, 0, 0, code]))
            }
        }
    }

    /// Reads one message; `is_in` says of a transfer's number whether it carries data to the host.
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub fn read(line: &mut impl Read, is_in: impl FnOnce(u32) -> bool) -> Result<ToHost, WireError> {
        let header: [u8; HEADER_LEN] = take(line)?;
        let (mut fields, _) = split_header(&header);
        let mut next = || fields.next().unwrap_or_default();
        let (command, sequence, _device, _direction, _endpoint) = (next(), next(), next(), next(), next());
        let code = Code(i32::from_be_bytes(next().to_be_bytes()));
        match command {
            SUBMITTED => {
                let len = buffer_len(next())?;
                let data = if is_in(sequence) { buffer(line, len)? } else { Vec::new() };
                Ok(ToHost::Submitted { sequence, code, len, data })
            }
            UNLINKED => Ok(ToHost::Unlinked { sequence, code }),
            found => Err(WireError::Code { found, expected: "the end of a transfer or of an unlink" }),
        }
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(HEADER_LEN, 0);
    bytes
}

/// The ten numbers of a header and its last eight bytes.
fn split_header(header: &[u8; HEADER_LEN]) -> (impl Iterator<Item = u32>, [u8; 8]) {
    let (numbers, setup) = header.split_at(HEADER_LEN.saturating_sub(8));
    let numbers = numbers.as_chunks::<4>().0.iter().map(|bytes| u32::from_be_bytes(*bytes));
    (numbers, setup.try_into().unwrap_or_default())
}

fn buffer(line: &mut impl Read, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    line.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn buffer_len(found: u32) -> Result<usize, WireError> {
    usize::try_from(found).ok().filter(|len| *len <= BUFFER_LEN_MAX).ok_or(WireError::Buffer { found })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as the kernel's document shows them.
    #[test]
    fn bytes_of_the_wire() {
        let submit = ToDevice::Submit(Submit {
            sequence: 5,
            device: 0x0001_0002,
            endpoint: 0,
            buffer: Buffer::In(64),
            setup: [0x80, 6, 0, 1, 0, 0, 64, 0],
        });
        let bytes = [
            0, 0, 0, 1, 0, 0, 0, 5, 0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, // the part all messages have
            0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0,
            0, // flags, length, frame, packets, interval
            0x80, 6, 0, 1, 0, 0, 64, 0,
        ];
        assert_eq!(submit.encode(), bytes);
        assert_eq!(ToDevice::read(&mut &bytes[..], 0x0001_0002).unwrap(), Some(submit));
        let unlinked = ToHost::Unlinked { sequence: 7, code: Code::UNLINKED };
        let bytes = unlinked.encode();
        assert_eq!((bytes.len(), &bytes[..8]), (48, &[0, 0, 0, 4, 0, 0, 0, 7][..]));
        assert_eq!(bytes[20..24], (-104i32).to_be_bytes());
    }

    #[test]
    fn there_and_back() {
        let out = ToDevice::Submit(Submit {
            sequence: 1,
            device: 9,
            endpoint: 1,
            buffer: Buffer::Out(vec![1, 2, 3]),
            setup: [0; 8],
        });
        let unlink = ToDevice::Unlink { sequence: 2, device: 9, victim: 1 };
        for message in [out, unlink] {
            assert_eq!(ToDevice::read(&mut message.encode().as_slice(), 9).unwrap(), Some(message));
        }
        assert_eq!(ToDevice::read(&mut [].as_slice(), 9).unwrap(), None);
        let end = ToHost::Submitted { sequence: 1, code: Code::OK, len: 2, data: vec![8, 9] };
        assert_eq!(ToHost::read(&mut end.encode().as_slice(), |_| true).unwrap(), end);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let device = |bytes: &[u8]| ToDevice::read(&mut &bytes[..], 9).unwrap_err();
        let right = ToDevice::Submit(Submit {
            sequence: 1,
            device: 9,
            endpoint: 1,
            buffer: Buffer::Out(vec![1, 2, 3]),
            setup: [0; 8],
        })
        .encode();
        let with = |at: usize, byte: u8| {
            let mut wrong = right.clone();
            wrong[at] = byte;
            device(&wrong)
        };
        assert!(matches!(with(3, 3), WireError::Code { found: 3, .. }));
        assert!(matches!(with(11, 8), WireError::Device { found: 8, expected: 9 }));
        assert!(matches!(with(15, 2), WireError::Pipe { direction: 2, .. }));
        assert!(matches!(with(19, 16), WireError::Pipe { endpoint: 16, .. }));
        assert!(matches!(with(24, 1), WireError::Buffer { .. }));
        assert!(matches!(with(32, 0), WireError::Isochronous { packets: 0x00FF_FFFF }));
        for len in 1..right.len() {
            assert!(matches!(device(&right[..len]), WireError::Line(_)), "{len}");
        }
    }
}
