//! The M1 city card (非接触逻辑加密卡, `epurse.md` 8): the chip, what the city writes on it, and how a reader gets there.
//!
//! The actors: a [`chip::Chip`] (Mifare Classic 1K, S50) that knows sectors, keys and access bits but no money; the
//! city's layout of its blocks ([`layout`]) and the rules that give each card its own sector keys ([`key`]); and
//! [`M1Reader`], a virtual reader that serves the chip by the storage-card commands of PC/SC part 3 ([`command`]).
//! [`Dialogue`] is the other end of these commands: what issuers and terminals speak.
//!
//! The chip writes one block of sixteen bytes at a time and has no journal: a card that leaves too early may keep a
//! torn block. Which order of writes survives that is the terminal's knowledge, not the card's.
#![no_std]
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

#[cfg(test)]
extern crate std;

pub mod access;
pub mod block;
pub mod chip;
pub mod command;
pub mod dialogue;
pub mod issue;
pub mod key;
pub mod layout;
pub mod memory;
pub mod reader;
pub mod tac;
pub mod value;
pub mod view;

pub use block::{Block, BlockNo, Sector, Uid};
pub use dialogue::{Dialogue, DialogueError, Step};
pub use key::{AuthCode, KeyKind, M1Masters, SectorKey};
pub use layout::M1Layout;
pub use memory::{ArrayBlocks, BlockMemory, MemoryFault, Rest, Tear};
pub use reader::M1Reader;
pub use value::ValueBlock;
pub use view::CardView;
