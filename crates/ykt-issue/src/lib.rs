//! Personalisation: a blank card becomes a city card, a blank PSAM a terminal's security module.
//!
//! The actors: a [`ykt_base::CardChannel`] to the card and a profile that says, as data, which files and
//! keys belong on it. Everything happens by commands that a real card would get, and a key travels only
//! inside a ready command.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]
