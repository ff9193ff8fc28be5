//! The server as browsers and machines see it, without a socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod api;
mod ceremony;
mod client;
mod doors;
mod download;
mod figures;
mod hostile;
mod key_forms;
mod keys;
mod people;
mod production;
mod serving;
mod signing_in;
mod trade;
mod world;
