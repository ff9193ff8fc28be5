//! Attaches a token that a USB/IP server exports, ours or another maker's, and talks CCID to it: a machine without the
//! kernel's module uses a token all the same.

use super::traffic::{Buffer, Code, Submit, ToDevice, ToHost};
use super::wire::{ExportedDevice, Request, Status, WireError, read_devices, read_import};
use crate::ccid::message::{Answer, AnswerType, Command, CommandType, Failure, Verdict};
use crate::descriptor::{DescriptorError, INTERFACE_CLASS, Pipes};
use crate::device::Setup;
use std::io::{self, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;
use ykt_base::{CardChannel, ChannelError, Response};

/// Wait for one answer of the server.
const ANSWER_S_MAX: u64 = 30;
/// Longest configuration that is read, in bytes.
const CONFIGURATION_LEN_MAX: u16 = 4096;
/// Messages that say "more time" before one answer.
const MORE_TIME_MAX: usize = 100;

/// Why a token cannot be attached or does not answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server is not there.
    #[error("no USB/IP server answers at {address}; start one with `ykt token serve`")]
    Connect {
        /// HOST:PORT.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server does not speak the protocol, or the line broke.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The server exports nothing of use.
    #[error("the server at {address} exports no smart card token, but {devices} other devices")]
    NoToken {
        /// HOST:PORT.
        address: String,
        /// Devices it has.
        devices: usize,
    },
    /// The server does not give the token.
    #[error("the server does not give the token {bus_id}: {}", refusal(.status))]
    Refused {
        /// Its bus id.
        bus_id: String,
        /// What it said.
        status: Status,
    },
    /// The token is not of our kind.
    #[error("the token {bus_id} cannot be used")]
    Descriptor {
        /// Its bus id.
        bus_id: String,
        /// Why.
        source: DescriptorError,
    },
    /// A transfer failed.
    #[error("a USB transfer failed with code {}", .0.0)]
    Transfer(
        /// The code.
        Code,
    ),
    /// The token refused a command.
    #[error(transparent)]
    Token(#[from] Failure),
    /// The token's answer is none, or one to another command.
    #[error("the token's answer does not fit its command")]
    Answer,
}

fn refusal(status: &Status) -> String {
    match status {
        Status::Busy => "another host has it".to_owned(),
        Status::NoDevice => "it is gone".to_owned(),
        other => format!("status {other:?}"),
    }
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> ClientError {
        ClientError::Wire(WireError::Line(error))
    }
}

/// The devices that the server at `address` (HOST:PORT) exports.
///
/// # Errors
/// [`ClientError`] when there is no server.
pub fn devices(address: &str) -> Result<Vec<ExportedDevice>, ClientError> {
    let mut line = connect(address)?;
    line.get_mut().write_all(&Request::Devices.encode())?;
    Ok(read_devices(&mut line)?)
}

fn connect(address: &str) -> Result<BufReader<TcpStream>, ClientError> {
    let fault = |source| ClientError::Connect { address: address.to_owned(), source };
    let targets: Vec<_> = address.to_socket_addrs().map_err(fault)?.collect();
    let line = TcpStream::connect(targets.as_slice()).map_err(fault)?;
    let patience = Some(Duration::from_secs(ANSWER_S_MAX));
    line.set_nodelay(true)?;
    line.set_read_timeout(patience)?;
    line.set_write_timeout(patience)?;
    Ok(BufReader::new(line))
}

/// A device that this process has imported, transfer by transfer.
pub struct Device {
    line: BufReader<TcpStream>,
    exported: ExportedDevice,
    sequence: u32,
    /// Numbers of the transfers that carry data to us.
    incoming: Vec<u32>,
}

impl Device {
    /// Imports the device with this bus id.
    ///
    /// # Errors
    /// [`ClientError`] when the server does not give it.
    pub fn import(address: &str, bus_id: &str) -> Result<Device, ClientError> {
        let mut line = connect(address)?;
        line.get_mut().write_all(&Request::Import(bus_id.to_owned()).encode())?;
        let exported = read_import(&mut line)?
            .map_err(|status| ClientError::Refused { bus_id: bus_id.to_owned(), status })?;
        Ok(Device { line, exported, sequence: 0, incoming: Vec::new() })
    }

    /// Begins a transfer and gives its number.
    ///
    /// # Errors
    /// [`ClientError`] when the line is broken.
    pub fn submit(&mut self, endpoint: u8, buffer: Buffer, setup: [u8; 8]) -> Result<u32, ClientError> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        if matches!(buffer, Buffer::In(_)) {
            self.incoming.push(sequence);
        }
        let submit = Submit { sequence, device: self.exported.id(), endpoint, buffer, setup };
        self.line.get_mut().write_all(&ToDevice::Submit(submit).encode())?;
        Ok(sequence)
    }

    /// Takes a transfer back and gives the number of this message.
    ///
    /// # Errors
    /// [`ClientError`] when the line is broken.
    pub fn unlink(&mut self, victim: u32) -> Result<u32, ClientError> {
        self.sequence = self.sequence.wrapping_add(1);
        let (sequence, device) = (self.sequence, self.exported.id());
        self.line.get_mut().write_all(&ToDevice::Unlink { sequence, device, victim }.encode())?;
        Ok(sequence)
    }

    /// Waits for the next message of the server.
    ///
    /// # Errors
    /// [`ClientError`] when the line is broken.
    pub fn reply(&mut self) -> Result<ToHost, ClientError> {
        let incoming = &mut self.incoming;
        let mut is_in = |sequence| {
            let before = incoming.len();
            incoming.retain(|waiting| *waiting != sequence);
            incoming.len() < before
        };
        Ok(ToHost::read(&mut self.line, &mut is_in)?)
    }

    /// One transfer from begin to end; gives what came in.
    ///
    /// # Errors
    /// [`ClientError::Transfer`] when the device refused it.
    pub fn transfer(&mut self, endpoint: u8, buffer: Buffer, setup: [u8; 8]) -> Result<Vec<u8>, ClientError> {
        let ours = self.submit(endpoint, buffer, setup)?;
        loop {
            match self.reply()? {
                ToHost::Submitted { sequence, code: Code::OK, data, .. } if sequence == ours => {
                    return Ok(data);
                }
                ToHost::Submitted { sequence, code, .. } if sequence == ours => {
                    return Err(ClientError::Transfer(code));
                }
                // The end of an older transfer that nobody waits for any more.
                ToHost::Submitted { .. } | ToHost::Unlinked { .. } => {}
            }
        }
    }

    /// A control transfer; its direction is that of the setup bytes.
    ///
    /// # Errors
    /// As [`Device::transfer`].
    pub fn control(&mut self, setup: Setup) -> Result<Vec<u8>, ClientError> {
        let is_in = setup.request_type & 0x80 != 0;
        let buffer = if is_in { Buffer::In(setup.length.into()) } else { Buffer::Out(Vec::new()) };
        self.transfer(0, buffer, setup.to_bytes())
    }
}

/// A token with its chip powered.
pub struct UsbToken {
    device: Device,
    pipes: Pipes,
    sequence: u8,
    atr: Vec<u8>,
}

impl UsbToken {
    /// Attaches the first smart card token that the server at `address` (HOST:PORT) exports.
    ///
    /// # Errors
    /// [`ClientError`] when there is none, or another host has it.
    pub fn attach(address: &str) -> Result<UsbToken, ClientError> {
        let devices = devices(address)?;
        let is_token =
            |device: &&ExportedDevice| device.interfaces.iter().any(|[class, ..]| *class == INTERFACE_CLASS);
        let Some(found) = devices.iter().find(is_token) else {
            return Err(ClientError::NoToken { address: address.to_owned(), devices: devices.len() });
        };
        let bus_id = found.bus_id.as_str();
        let mut device = Device::import(address, bus_id)?;
        let length = CONFIGURATION_LEN_MAX;
        let configuration =
            device.control(Setup { request_type: 0x80, request: 0x06, value: 0x0200, index: 0, length })?;
        let pipes = Pipes::find(&configuration)
            .map_err(|source| ClientError::Descriptor { bus_id: bus_id.to_owned(), source })?;
        let value = pipes.configuration.into();
        device.control(Setup { request_type: 0x00, request: 0x09, value, index: 0, length: 0 })?;
        let mut token = UsbToken { device, pipes, sequence: 0, atr: Vec::new() };
        token.atr = token.ask(CommandType::PowerOn, &[])?.data;
        Ok(token)
    }

    /// The chip's answer to reset.
    #[must_use]
    pub fn atr(&self) -> &[u8] {
        &self.atr
    }

    /// One command of the class and its answer.
    fn ask(&mut self, kind: CommandType, data: &[u8]) -> Result<Answer, ClientError> {
        self.sequence = self.sequence.wrapping_add(1);
        let command = Command { kind, slot: 0, sequence: self.sequence, parameters: [0; 3], data };
        self.device.transfer(self.pipes.bulk_out, Buffer::Out(command.encode()), [0; 8])?;
        for _ in 0..MORE_TIME_MAX {
            let len_max = self.pipes.message_len_max;
            let message = self.device.transfer(self.pipes.bulk_in, Buffer::In(len_max), [0; 8])?;
            let answer = Answer::parse(&message).ok_or(ClientError::Answer)?;
            if answer.sequence != self.sequence || answer.kind != kind.answer() {
                return Err(ClientError::Answer);
            }
            match answer.verdict {
                Verdict::Done => return Ok(answer),
                Verdict::Failed(failure) => return Err(failure.into()),
                Verdict::MoreTime => {}
            }
        }
        Err(ClientError::Answer)
    }
}

impl CardChannel for UsbToken {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        let answer = self.ask(CommandType::Transfer, command).map_err(|error| fault(&error))?;
        debug_assert_eq!(answer.kind, AnswerType::DataBlock, "checked by `ask`");
        Response::from_wire(&answer.data).ok_or(ChannelError::BadAnswer { len: answer.data.len() })
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        self.ask(CommandType::PowerOff, &[]).map_err(|error| fault(&error))?;
        self.atr = self.ask(CommandType::PowerOn, &[]).map_err(|error| fault(&error))?.data;
        Ok(())
    }
}

/// A line that ends is a token that was pulled out.
fn fault(error: &ClientError) -> ChannelError {
    match error {
        ClientError::Wire(WireError::Line(_)) => ChannelError::Removed,
        ClientError::Token(Failure::ChipMute) => ChannelError::Removed,
        ClientError::Transfer(_) => ChannelError::Transport("a USB transfer failed"),
        ClientError::Token(_) => ChannelError::Transport("the token refused the command"),
        _ => ChannelError::Transport("the USB/IP server does not speak the protocol"),
    }
}
