//! USB/IP, protocol 1.1.1: USB transfers over TCP, as the Linux kernel speaks it (`Documentation/usb/usbip_protocol`).
//!
//! [`wire`] knows the bytes before an import, [`traffic`] those after it, [`transfers`] which transfers wait; [`server`]
//! and [`client`] hold the sockets.

pub mod client;
pub mod server;
pub mod traffic;
pub mod transfers;
pub mod wire;

/// The port of the protocol.
pub const PORT: u16 = 3240;
