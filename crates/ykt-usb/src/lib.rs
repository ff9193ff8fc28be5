//! A card that needs no reader: a USB token (具有电子钱包功能的智能密钥设备).
//!
//! The actors: a chip ([`ykt_terminal::transport::vpcd::InsertedCard`]), around it the CCID device class as a state
//! machine ([`ccid::Ccid`]), around that the USB device ([`device::Token`]). [`usbip::server`] exports the device to
//! machines that have USB/IP in their kernel; [`usbip::client`] attaches such a device, ours or another maker's, and
//! is a [`ykt_base::CardChannel`].
//!
//! What decides knows no socket: messages and transfers go in as bytes and come out as bytes. Sockets live in
//! [`usbip::server`] and [`usbip::client`] only.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

pub mod ccid;
pub mod descriptor;
pub mod device;
pub mod usbip;
