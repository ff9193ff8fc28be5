//! Round trips of every layout, the byte image of known lines, and files broken in every way.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod blacklist;
mod family_a;
