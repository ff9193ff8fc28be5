//! A vault in a process of its own: a server that is broken into has no key in its memory, and primary and backup can be
//! two machines.
//!
//! [`Server`] lends any vault to those who reach it: over a Unix socket that its owner alone may open, or over TCP with TLS
//! 1.3, where both sides know each other's certificate beforehand. [`RemoteVault`] is the other end: a vault like any
//! other. Keys enter through it only as the transports allow; none comes out.

mod answers;
mod client;
mod endpoint;
mod line;
mod server;
#[cfg(test)]
pub(crate) mod tests;
mod timed;
mod tls;

pub use answers::Fate;
pub use client::RemoteVault;
pub use endpoint::{Endpoint, RemoteError, TlsFiles};
pub use server::{Event, Report, Server, Service, Stop};
pub use timed::Line;

/// Longest wait for a TCP connection, in milliseconds.
pub const CONNECT_MS_MAX: u64 = 2_000;
/// Longest wait for an answer, and longest time for a peer to send or take a whole message, in seconds: a batch on a slow
/// token needs a few.
pub const ANSWER_S_MAX: u64 = 10;
/// Longest time in which a peer must have shown its certificate, in seconds.
pub const HANDSHAKE_S_MAX: u64 = 5;
/// Most lines a client holds; a question waits for a free one.
pub const LINES_MAX: usize = 16;
/// Most lines a server holds; for the next one the oldest whose peer has not proved who it is must go, or it is closed itself.
pub const CONNECTIONS_MAX: usize = 128;
/// Most answers to orders that a server remembers.
pub const ANSWERS_MAX: usize = 1_024;
/// Most orders without an answer whose number a client remembers.
pub const UNANSWERED_MAX: usize = 64;
