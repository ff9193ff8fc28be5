//! The USB device: the control pipe with its standard and class requests, and which pipe leads where.

use crate::ccid::Ccid;
use crate::descriptor::{self, BULK_IN, BULK_OUT, CLOCK_KHZ, CONFIGURATION, DATA_RATE, INTERRUPT_IN};
use ykt_terminal::transport::vpcd::InsertedCard;

/// The device refuses a transfer; on the bus the pipe is halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the device refused the transfer")]
pub struct Stall;

/// A pipe beside the control pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pipe {
    /// Commands.
    BulkOut,
    /// Answers.
    BulkIn,
    /// Notices.
    InterruptIn,
}

impl Pipe {
    /// The pipe at an endpoint address.
    #[must_use]
    pub const fn at(address: u8) -> Option<Pipe> {
        match address {
            BULK_OUT => Some(Pipe::BulkOut),
            BULK_IN => Some(Pipe::BulkIn),
            INTERRUPT_IN => Some(Pipe::InterruptIn),
            _ => None,
        }
    }
}

/// The first eight bytes of a control transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// Direction, type and recipient.
    pub request_type: u8,
    /// The request.
    pub request: u8,
    /// `wValue`.
    pub value: u16,
    /// `wIndex`.
    pub index: u16,
    /// Bytes of data at most.
    pub length: u16,
}

impl Setup {
    /// Reads the eight bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Setup {
        let [request_type, request, v0, v1, i0, i1, l0, l1] = bytes;
        Setup {
            request_type,
            request,
            value: u16::from_le_bytes([v0, v1]),
            index: u16::from_le_bytes([i0, i1]),
            length: u16::from_le_bytes([l0, l1]),
        }
    }

    /// The eight bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        let [v0, v1] = self.value.to_le_bytes();
        let [i0, i1] = self.index.to_le_bytes();
        let [l0, l1] = self.length.to_le_bytes();
        [self.request_type, self.request, v0, v1, i0, i1, l0, l1]
    }
}

/// What the control pipe is asked for.
enum Request {
    DeviceStatus,
    InterfaceStatus,
    PipeStatus(Pipe),
    Descriptor { kind: u8, index: u8 },
    Configuration,
    SetConfiguration(bool),
    Alternative,
    SetAlternative,
    Halt(Pipe, bool),
    Abort { slot: u8, sequence: u8 },
    Clocks,
    DataRates,
}

impl Request {
    /// `None` for a request the token does not have (USB 2.0, 9.4; USB CCID rev 1.1, 5.3).
    fn parse(setup: Setup) -> Option<Request> {
        let Setup { request_type, request, value, index, length: _ } = setup;
        let [low, high] = value.to_le_bytes();
        let pipe = || Pipe::at(u8::try_from(index).ok()?);
        match (request_type, request, value, index) {
            (0x80, 0x00, 0, 0) => Some(Request::DeviceStatus),
            (0x81, 0x00, 0, 0) => Some(Request::InterfaceStatus),
            (0x82, 0x00, 0, _) => pipe().map(Request::PipeStatus),
            (0x80, 0x06, ..) => Some(Request::Descriptor { kind: high, index: low }),
            (0x80, 0x08, 0, 0) => Some(Request::Configuration),
            (0x00, 0x09, 0, 0) => Some(Request::SetConfiguration(false)),
            (0x00, 0x09, ..) if value == u16::from(CONFIGURATION) => Some(Request::SetConfiguration(true)),
            (0x81, 0x0A, 0, 0) => Some(Request::Alternative),
            (0x01, 0x0B, 0, 0) => Some(Request::SetAlternative),
            (0x02, 0x01, 0, _) => pipe().map(|pipe| Request::Halt(pipe, false)),
            (0x02, 0x03, 0, _) => pipe().map(|pipe| Request::Halt(pipe, true)),
            (0x21, 0x01, _, 0) => Some(Request::Abort { slot: low, sequence: high }),
            (0xA1, 0x02, 0, 0) => Some(Request::Clocks),
            (0xA1, 0x03, 0, 0) => Some(Request::DataRates),
            _ => None,
        }
    }
}

/// The device.
pub struct Token<C> {
    ccid: Ccid<C>,
    is_configured: bool,
    halted: Vec<Pipe>,
}

impl<C: InsertedCard> Token<C> {
    /// A device around a chip, as it is plugged in.
    #[must_use]
    pub fn new(chip: C) -> Token<C> {
        Token { ccid: Ccid::new(chip), is_configured: false, halted: Vec::new() }
    }

    /// The plug is pulled or the bus reset: the chip loses its power, the host is forgotten.
    pub fn reset(&mut self) {
        self.ccid.reset();
        self.is_configured = false;
        self.halted.clear();
    }

    /// Gives the chip back.
    #[must_use]
    pub fn into_chip(self) -> C {
        self.ccid.into_chip()
    }

    /// A control transfer; gives its data, cut to the length asked for.
    ///
    /// # Errors
    /// [`Stall`] for a request the token does not have.
    pub fn control(&mut self, setup: Setup) -> Result<Vec<u8>, Stall> {
        let mut data = self.request(Request::parse(setup).ok_or(Stall)?)?;
        data.truncate(usize::from(setup.length));
        Ok(data)
    }

    fn request(&mut self, request: Request) -> Result<Vec<u8>, Stall> {
        match request {
            Request::DeviceStatus | Request::InterfaceStatus => return Ok(vec![0, 0]),
            Request::PipeStatus(pipe) => return Ok(vec![u8::from(self.halted.contains(&pipe)), 0]),
            Request::Descriptor { kind, index } => return descriptor::of(kind, index).ok_or(Stall),
            Request::Configuration if self.is_configured => return Ok(vec![CONFIGURATION]),
            Request::Configuration | Request::Alternative => return Ok(vec![0]),
            Request::Clocks => return Ok(CLOCK_KHZ.to_le_bytes().to_vec()),
            Request::DataRates => return Ok(DATA_RATE.to_le_bytes().to_vec()),
            Request::SetConfiguration(false) => self.reset(),
            Request::SetConfiguration(true) => {
                self.is_configured = true;
                self.halted.clear();
                self.ccid.configured();
            }
            Request::SetAlternative => self.halted.clear(),
            Request::Halt(pipe, true) => self.halt(pipe),
            Request::Halt(pipe, false) => self.halted.retain(|halted| *halted != pipe),
            Request::Abort { slot, sequence } => self.ccid.request_abort(slot, sequence)?,
        }
        Ok(Vec::new())
    }

    fn halt(&mut self, pipe: Pipe) {
        if !self.halted.contains(&pipe) {
            self.halted.push(pipe);
        }
    }

    fn open(&self, pipe: Pipe) -> Result<(), Stall> {
        if self.is_configured && !self.halted.contains(&pipe) { Ok(()) } else { Err(Stall) }
    }

    /// A transfer to the device.
    ///
    /// # Errors
    /// [`Stall`] for a pipe that is halted or leads the other way, and for bytes that are no message; the pipe is
    /// halted then until CLEAR_FEATURE.
    pub fn write(&mut self, pipe: Pipe, data: &[u8]) -> Result<(), Stall> {
        self.open(pipe)?;
        let done = if pipe == Pipe::BulkOut { self.ccid.receive(data) } else { Err(Stall) };
        done.inspect_err(|Stall| self.halt(pipe))
    }

    /// A transfer from the device into a buffer of `len_max` bytes; `None` while there is nothing to say.
    ///
    /// # Errors
    /// [`Stall`] for a pipe that is halted or leads the other way, and for a buffer too small.
    pub fn read(&mut self, pipe: Pipe, len_max: usize) -> Option<Result<Vec<u8>, Stall>> {
        if let Err(stall) = self.open(pipe) {
            return Some(Err(stall));
        }
        match pipe {
            Pipe::BulkOut => Some(Err(Stall)),
            Pipe::BulkIn => self.ccid.read(len_max),
            Pipe::InterruptIn if len_max < crate::ccid::NOTICE.len() => Some(Err(Stall)),
            Pipe::InterruptIn => self.ccid.notice().map(|notice| Ok(notice.to_vec())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ccid::tests::Echo;

    fn control(token: &mut Token<Echo>, bytes: [u8; 8]) -> Result<Vec<u8>, Stall> {
        let setup = Setup::from_bytes(bytes);
        assert_eq!(setup.to_bytes(), bytes);
        token.control(setup)
    }

    /// What a host asks, as rows of setup bytes and answer.
    #[test]
    fn every_request() {
        let mut token = Token::new(Echo::default());
        let device = descriptor::device();
        let rows: &[([u8; 8], Option<&[u8]>)] = &[
            ([0x80, 6, 0, 1, 0, 0, 64, 0], Some(&device)),
            ([0x80, 6, 0, 1, 0, 0, 8, 0], Some(&device[..8])),
            ([0x80, 6, 0, 6, 0, 0, 10, 0], None),
            ([0x80, 6, 9, 3, 9, 4, 255, 0], None),
            ([0x80, 8, 0, 0, 0, 0, 1, 0], Some(&[0])),
            ([0x00, 9, 2, 0, 0, 0, 0, 0], None),
            ([0x00, 9, 1, 0, 0, 0, 0, 0], Some(&[])),
            ([0x80, 8, 0, 0, 0, 0, 1, 0], Some(&[1])),
            ([0x80, 0, 0, 0, 0, 0, 2, 0], Some(&[0, 0])),
            ([0x81, 0, 0, 0, 0, 0, 2, 0], Some(&[0, 0])),
            ([0x81, 10, 0, 0, 0, 0, 1, 0], Some(&[0])),
            ([0x01, 11, 0, 0, 0, 0, 0, 0], Some(&[])),
            ([0x01, 11, 1, 0, 0, 0, 0, 0], None),
            ([0x02, 3, 0, 0, 0x81, 0, 0, 0], Some(&[])),
            ([0x82, 0, 0, 0, 0x81, 0, 2, 0], Some(&[1, 0])),
            ([0x82, 0, 0, 0, 0x01, 0, 2, 0], Some(&[0, 0])),
            ([0x02, 1, 0, 0, 0x81, 0, 0, 0], Some(&[])),
            ([0x82, 0, 0, 0, 0x81, 0, 2, 0], Some(&[0, 0])),
            ([0x02, 1, 0, 0, 0x85, 0, 0, 0], None),
            ([0xA1, 2, 0, 0, 0, 0, 4, 0], Some(&[0xA0, 0x0F, 0, 0])),
            ([0xA1, 3, 0, 0, 0, 0, 4, 0], Some(&[0x00, 0x2A, 0, 0])),
            ([0x21, 1, 0, 5, 0, 0, 0, 0], Some(&[])),
            ([0x21, 1, 1, 5, 0, 0, 0, 0], None),
            ([0xC0, 1, 0, 0, 0, 0, 1, 0], None),
        ];
        for (setup, expected) in rows {
            let answer = control(&mut token, *setup);
            assert_eq!(answer.ok().as_deref(), *expected, "{setup:02X?}");
        }
    }

    #[test]
    fn pipes_need_a_configuration_and_the_right_direction() {
        let mut token = Token::new(Echo::default());
        let status = [0x65, 0, 0, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(token.write(Pipe::BulkOut, &status), Err(Stall));
        assert_eq!(token.read(Pipe::InterruptIn, 8), Some(Err(Stall)));
        let configure = [0, 9, 1, 0, 0, 0, 0, 0];
        control(&mut token, configure).unwrap();
        assert_eq!(token.read(Pipe::InterruptIn, 8), Some(Ok(vec![0x50, 0x03])));
        assert_eq!(token.read(Pipe::InterruptIn, 8), None);
        assert_eq!(token.read(Pipe::BulkIn, 64), None);
        token.write(Pipe::BulkOut, &status).unwrap();
        assert_eq!(token.read(Pipe::BulkIn, 64).unwrap().unwrap().len(), 10);
        assert_eq!(token.read(Pipe::BulkOut, 64), Some(Err(Stall)));
        assert_eq!(token.write(Pipe::BulkIn, &status), Err(Stall));

        assert_eq!(token.write(Pipe::BulkOut, &[1]), Err(Stall), "no message");
        assert_eq!(token.write(Pipe::BulkOut, &status), Err(Stall), "halted");
        control(&mut token, [2, 1, 0, 0, BULK_OUT, 0, 0, 0]).unwrap();
        token.write(Pipe::BulkOut, &status).unwrap();
        control(&mut token, configure).unwrap();
        assert_eq!(token.read(Pipe::BulkIn, 64), None, "what waited is gone");
        control(&mut token, [0, 9, 0, 0, 0, 0, 0, 0]).unwrap();
        assert_eq!(token.read(Pipe::BulkIn, 64), Some(Err(Stall)));
    }
}
