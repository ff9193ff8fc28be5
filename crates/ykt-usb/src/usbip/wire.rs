//! The bytes of USB/IP: big-endian numbers, fixed lengths. Before an import: one request, one reply. After it:
//! transfers and unlinks, each with a header of 48 bytes.

use std::io::{self, ErrorKind, Read};

/// Protocol 1.1.1.
pub const VERSION: u16 = 0x0111;
/// Bytes of a device in lists and imports.
pub const DEVICE_LEN: usize = 312;
/// Bytes of the header of a transfer.
pub const HEADER_LEN: usize = 48;
/// Longest buffer of a transfer that is taken, in bytes; hosts ask for 16 KiB at most.
pub const BUFFER_LEN_MAX: usize = 64 * 1024;
/// Devices that a list may have.
pub const DEVICES_MAX: u32 = 64;

const PATH_LEN: usize = 256;
const BUS_ID_LEN: usize = 32;
const REQUEST_DEVICES: u16 = 0x8005;
const REPLY_DEVICES: u16 = 0x0005;
const REQUEST_IMPORT: u16 = 0x8003;
const REPLY_IMPORT: u16 = 0x0003;
const SUBMIT: u32 = 1;
const UNLINK: u32 = 2;
const SUBMITTED: u32 = 3;
const UNLINKED: u32 = 4;
/// `number_of_packets` of a transfer that is not isochronous, as newer hosts write it; older ones write 0.
const NO_PACKETS: u32 = u32::MAX;

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The line failed, or ended inside a message.
    #[error("the line broke inside a message")]
    Line(#[from] io::Error),
    /// Another version of the protocol.
    #[error("protocol version {found:04X}, expected {VERSION:04X}")]
    Version {
        /// The version.
        found: u16,
    },
    /// A code that does not belong here.
    #[error("message {found:#06X} where {expected} is expected")]
    Code {
        /// The code.
        found: u32,
        /// What could be there.
        expected: &'static str,
    },
    /// A buffer is too long.
    #[error("a buffer of {found} bytes, at most {BUFFER_LEN_MAX} are taken")]
    Buffer {
        /// Bytes stated.
        found: u32,
    },
    /// An isochronous transfer, which no smart card device has.
    #[error("an isochronous transfer of {packets} packets")]
    Isochronous {
        /// Packets stated.
        packets: u32,
    },
    /// A list is too long.
    #[error("a list of {found} devices, at most {DEVICES_MAX} are taken")]
    Devices {
        /// Devices stated.
        found: u32,
    },
    /// A direction other than out (0) and in (1), or an endpoint above 15.
    #[error("direction {direction}, endpoint {endpoint} are no pipe")]
    Pipe {
        /// The direction.
        direction: u32,
        /// The endpoint.
        endpoint: u32,
    },
    /// A device that was not imported on this line.
    #[error("a transfer for device {found:08X}, imported is {expected:08X}")]
    Device {
        /// The device.
        found: u32,
        /// The imported one.
        expected: u32,
    },
}

/// What the other side says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 0.
    Ok,
    /// 1: refused.
    Refused,
    /// 2: another host has the device.
    Busy,
    /// 3: the device failed.
    DeviceError,
    /// 4: no such device.
    NoDevice,
    /// Another code.
    Other(
        /// The code.
        u32,
    ),
}

impl Status {
    const fn code(self) -> u32 {
        match self {
            Status::Ok => 0,
            Status::Refused => 1,
            Status::Busy => 2,
            Status::DeviceError => 3,
            Status::NoDevice => 4,
            Status::Other(code) => code,
        }
    }

    const fn from_code(code: u32) -> Status {
        match code {
            0 => Status::Ok,
            1 => Status::Refused,
            2 => Status::Busy,
            3 => Status::DeviceError,
            4 => Status::NoDevice,
            other => Status::Other(other),
        }
    }
}

/// A device that a server exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedDevice {
    /// Its place in the server's system, at most 255 bytes.
    pub path: String,
    /// Its bus id, by which it is imported, at most 31 bytes.
    pub bus_id: String,
    /// Number of its bus.
    pub bus: u32,
    /// Number on the bus.
    pub device: u32,
    /// Speed: 2 is full speed.
    pub speed: u32,
    /// Vendor.
    pub vendor: u16,
    /// Product.
    pub product: u16,
    /// Release, BCD.
    pub release: u16,
    /// Class, subclass, protocol.
    pub class: [u8; 3],
    /// The configuration in force; 0 before a host has chosen one.
    pub configuration: u8,
    /// Number of configurations.
    pub configurations: u8,
    /// Class, subclass, protocol of each interface; only lists carry them.
    pub interfaces: Vec<[u8; 3]>,
}

impl ExportedDevice {
    /// The id in the header of every transfer: bus and device.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.bus << 16 | self.device & 0xFFFF
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        put_text::<PATH_LEN>(bytes, &self.path);
        put_text::<BUS_ID_LEN>(bytes, &self.bus_id);
        for number in [self.bus, self.device, self.speed] {
            bytes.extend(number.to_be_bytes());
        }
        for number in [self.vendor, self.product, self.release] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(self.class);
        bytes.extend([self.configuration, self.configurations]);
        bytes.push(u8::try_from(self.interfaces.len()).unwrap_or(u8::MAX));
    }

    /// The device and how many interfaces follow it in a list.
    fn read(line: &mut impl Read) -> io::Result<(ExportedDevice, u8)> {
        let path = text(&take::<PATH_LEN>(line)?);
        let bus_id = text(&take::<BUS_ID_LEN>(line)?);
        let (bus, device, speed) = (word(line)?, word(line)?, word(line)?);
        let (vendor, product, release) = (half(line)?, half(line)?, half(line)?);
        let [class, subclass, protocol, configuration, configurations, interfaces] = take(line)?;
        let class = [class, subclass, protocol];
        let device = ExportedDevice {
            path,
            bus_id,
            bus,
            device,
            speed,
            vendor,
            product,
            release,
            class,
            configuration,
            configurations,
            interfaces: Vec::new(),
        };
        Ok((device, interfaces))
    }
}

/// A text in a field of `LEN` bytes, the last of which is zero.
fn put_text<const LEN: usize>(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(text.bytes().chain(std::iter::repeat(0)).take(LEN.saturating_sub(1)));
    bytes.push(0);
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned()
}

fn take<const LEN: usize>(line: &mut impl Read) -> io::Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    line.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn word(line: &mut impl Read) -> io::Result<u32> {
    take(line).map(u32::from_be_bytes)
}

fn half(line: &mut impl Read) -> io::Result<u16> {
    take(line).map(u16::from_be_bytes)
}

fn buffer(line: &mut impl Read, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    line.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn buffer_len(found: u32) -> Result<usize, WireError> {
    usize::try_from(found).ok().filter(|len| *len <= BUFFER_LEN_MAX).ok_or(WireError::Buffer { found })
}

/// Reads `N` bytes that begin a message, or `None` when the line has ended between messages.
fn begin<const N: usize>(line: &mut impl Read) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    let mut first = [0];
    let count = loop {
        match line.read(&mut first) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    if count == 0 {
        return Ok(None);
    }
    if let [start, rest @ ..] = bytes.as_mut_slice() {
        [*start] = first;
        line.read_exact(rest)?;
    }
    Ok(Some(bytes))
}

/// What a host asks before it has a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Which devices are there?
    Devices,
    /// This one, by its bus id.
    Import(
        /// The bus id.
        String,
    ),
}

impl Request {
    /// The bytes of the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = VERSION.to_be_bytes().to_vec();
        match self {
            Request::Devices => {
                bytes.extend(REQUEST_DEVICES.to_be_bytes());
                bytes.extend([0; 4]);
            }
            Request::Import(bus_id) => {
                bytes.extend(REQUEST_IMPORT.to_be_bytes());
                bytes.extend([0; 4]);
                put_text::<BUS_ID_LEN>(&mut bytes, bus_id);
            }
        }
        bytes
    }

    /// Reads one request, or `None` when the line has ended.
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub fn read(line: &mut impl Read) -> Result<Option<Request>, WireError> {
        let Some([v0, v1, c0, c1, _, _, _, _]) = begin(line)? else { return Ok(None) };
        check_version(u16::from_be_bytes([v0, v1]))?;
        match u16::from_be_bytes([c0, c1]) {
            REQUEST_DEVICES => Ok(Some(Request::Devices)),
            REQUEST_IMPORT => Ok(Some(Request::Import(text(&take::<BUS_ID_LEN>(line)?)))),
            code => Err(WireError::Code { found: code.into(), expected: "a list or an import" }),
        }
    }
}

const fn check_version(found: u16) -> Result<(), WireError> {
    if found == VERSION { Ok(()) } else { Err(WireError::Version { found }) }
}

fn reply_head(code: u16, status: Status) -> Vec<u8> {
    let mut bytes = VERSION.to_be_bytes().to_vec();
    bytes.extend(code.to_be_bytes());
    bytes.extend(status.code().to_be_bytes());
    bytes
}

fn read_reply_head(line: &mut impl Read, code: u16, expected: &'static str) -> Result<Status, WireError> {
    check_version(half(line)?)?;
    let found = half(line)?;
    if found != code {
        return Err(WireError::Code { found: found.into(), expected });
    }
    Ok(Status::from_code(word(line)?))
}

/// The reply to [`Request::Devices`].
#[must_use]
pub fn encode_devices(devices: &[ExportedDevice]) -> Vec<u8> {
    let mut bytes = reply_head(REPLY_DEVICES, Status::Ok);
    bytes.extend(u32::try_from(devices.len()).unwrap_or(u32::MAX).to_be_bytes());
    for device in devices {
        device.encode(&mut bytes);
        for [class, subclass, protocol] in &device.interfaces {
            bytes.extend([*class, *subclass, *protocol, 0]);
        }
    }
    bytes
}

/// Reads the reply to [`Request::Devices`].
///
/// # Errors
/// [`WireError`] for anything else.
pub fn read_devices(line: &mut impl Read) -> Result<Vec<ExportedDevice>, WireError> {
    read_reply_head(line, REPLY_DEVICES, "a list of devices")?;
    let found = word(line)?;
    if found > DEVICES_MAX {
        return Err(WireError::Devices { found });
    }
    let mut devices = Vec::new();
    for _ in 0..found {
        let (mut device, interfaces) = ExportedDevice::read(line)?;
        for _ in 0..interfaces {
            let [class, subclass, protocol, _] = take(line)?;
            device.interfaces.push([class, subclass, protocol]);
        }
        devices.push(device);
    }
    Ok(devices)
}

/// The reply to [`Request::Import`]: the device, or why not.
#[must_use]
pub fn encode_import(outcome: Result<&ExportedDevice, Status>) -> Vec<u8> {
    let mut bytes = reply_head(REPLY_IMPORT, outcome.err().unwrap_or(Status::Ok));
    if let Ok(device) = outcome {
        device.encode(&mut bytes);
    }
    bytes
}

/// Reads the reply to [`Request::Import`].
///
/// # Errors
/// [`WireError`] for anything else.
pub fn read_import(line: &mut impl Read) -> Result<Result<ExportedDevice, Status>, WireError> {
    match read_reply_head(line, REPLY_IMPORT, "an import")? {
        Status::Ok => Ok(Ok(ExportedDevice::read(line)?.0)),
        status => Ok(Err(status)),
    }
}

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
                let mut bytes = padded(words(&[SUBMITTED, *sequence, 0, 0, 0, code, len, 0, NO_PACKETS, 0]));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as the kernel's document shows them.
    #[test]
    fn bytes_of_the_wire() {
        assert_eq!(Request::Devices.encode(), [0x01, 0x11, 0x80, 0x05, 0, 0, 0, 0]);
        let import = Request::Import("1-1".to_owned()).encode();
        assert_eq!(
            (import.len(), &import[..11]),
            (40, &[0x01, 0x11, 0x80, 0x03, 0, 0, 0, 0, b'1', b'-', b'1'][..])
        );
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
        let device = ExportedDevice {
            path: "/sys/devices/ykt/1-1".to_owned(),
            bus_id: "1-1".to_owned(),
            bus: 1,
            device: 2,
            speed: 2,
            vendor: 3,
            product: 4,
            release: 5,
            class: [0, 6, 7],
            configuration: 1,
            configurations: 1,
            interfaces: vec![[11, 0, 0], [3, 1, 1]],
        };
        let list = encode_devices(std::slice::from_ref(&device));
        assert_eq!(list.len(), 12 + DEVICE_LEN + 8);
        assert_eq!(read_devices(&mut list.as_slice()).unwrap(), std::slice::from_ref(&device));
        let import = encode_import(Ok(&device));
        assert_eq!(import.len(), 8 + DEVICE_LEN);
        let imported = read_import(&mut import.as_slice()).unwrap().unwrap();
        assert_eq!(imported, ExportedDevice { interfaces: Vec::new(), ..device });
        let refused = encode_import(Err(Status::Busy));
        assert_eq!(read_import(&mut refused.as_slice()).unwrap(), Err(Status::Busy));
        for code in 0..6 {
            assert_eq!(Status::from_code(code).code(), code);
        }

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
        let request = |bytes: &[u8]| Request::read(&mut &bytes[..]).unwrap_err();
        assert!(matches!(request(&[1, 6, 0x80, 5, 0, 0, 0, 0]), WireError::Version { found: 0x0106 }));
        assert!(matches!(request(&[1, 0x11, 0x80, 4, 0, 0, 0, 0]), WireError::Code { found: 0x8004, .. }));
        assert!(matches!(request(&[1, 0x11, 0x80, 3, 0, 0, 0, 0, b'1']), WireError::Line(_)));
        let list = [1, 0x11, 0, 5, 0, 0, 0, 0, 0, 0, 1, 0];
        assert!(matches!(read_devices(&mut &list[..]), Err(WireError::Devices { found: 256 })));
        assert!(matches!(read_import(&mut &list[..]), Err(WireError::Code { found: 5, .. })));
    }
}
