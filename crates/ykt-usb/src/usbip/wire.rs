//! The bytes of USB/IP before an import: one request, one reply. Numbers are big-endian, texts fill fields of fixed length.

use super::traffic::BUFFER_LEN_MAX;
use std::io::{self, ErrorKind, Read};

/// Protocol 1.1.1.
pub const VERSION: u16 = 0x0111;
/// Bytes of a device in lists and imports.
pub const DEVICE_LEN: usize = 312;
/// Devices that a list may have.
pub const DEVICES_MAX: u32 = 64;

const PATH_LEN: usize = 256;
const BUS_ID_LEN: usize = 32;
const REQUEST_DEVICES: u16 = 0x8005;
const REPLY_DEVICES: u16 = 0x0005;
const REQUEST_IMPORT: u16 = 0x8003;
const REPLY_IMPORT: u16 = 0x0003;

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

pub(super) fn take<const LEN: usize>(line: &mut impl Read) -> io::Result<[u8; LEN]> {
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

/// Reads `N` bytes that begin a message, or `None` when the line has ended between messages.
pub(super) fn begin<const N: usize>(line: &mut impl Read) -> io::Result<Option<[u8; N]>> {
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
    }

    #[test]
    fn what_is_wrong_is_named() {
        let request = |bytes: &[u8]| Request::read(&mut &bytes[..]).unwrap_err();
        assert!(matches!(request(&[1, 6, 0x80, 5, 0, 0, 0, 0]), WireError::Version { found: 0x0106 }));
        assert!(matches!(request(&[1, 0x11, 0x80, 4, 0, 0, 0, 0]), WireError::Code { found: 0x8004, .. }));
        assert!(matches!(request(&[1, 0x11, 0x80, 3, 0, 0, 0, 0, b'1']), WireError::Line(_)));
        let list = [1, 0x11, 0, 5, 0, 0, 0, 0, 0, 0, 1, 0];
        assert!(matches!(read_devices(&mut &list[..]), Err(WireError::Devices { found: 256 })));
        assert!(matches!(read_import(&mut &list[..]), Err(WireError::Code { found: 5, .. })));
    }
}
