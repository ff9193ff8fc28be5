//! Our own cards pass every plan; cards broken on purpose are caught, each by the cases one would expect.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at what it did not expect")]

mod broken;
mod desk;
mod m1;
mod mutants;
mod own_cards;
mod plans;
mod reports;
