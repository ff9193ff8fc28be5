//! The ways to a card and to a load host: everything here is a leaf behind a trait.

pub mod host_http;
pub mod image;
pub mod in_process;
#[cfg(feature = "pcsc")]
pub mod pcsc;
pub mod vpcd;
