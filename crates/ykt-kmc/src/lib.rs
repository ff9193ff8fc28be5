//! The key management centre (密钥管理中心): who may do what to a key, who did, and which card holds which version.
//!
//! Actors: the [`Centre`] stands between people and the vault. The vault holds the keys and is the truth about their
//! check values and states; the centre keeps their history, lets no critical act happen without a second person
//! (`keys-and-ca.md` 3), and writes each act into the audit log. Nothing here ever sees a key in clear.
//!
//! What belongs to it, each a room of its own with its own tables:
//!
//! - [`registry`]: the life of every key, groups of keys, and the tree that compares both with the vault;
//! - [`operations`]: generate, import, export, activate, retire, restore, destroy, by two people and repeat-safe;
//! - [`campaigns`]: other key versions for cards that are in people's pockets already;
//! - [`ceremonies`]: components of custodians become keys, with a signed protocol;
//! - download: WRITE KEY commands for personalisation lines and counters (卡片密钥下装);
//! - [`pair_log`]: what happens to primary and backup vault;
//! - key cards and PSAMs: their production, inventory and life.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

pub mod campaigns;
mod centre;
pub mod ceremonies;
mod checkpoints;
mod chip;
pub mod download;
pub mod key_cards;
pub mod operations;
pub mod pair_log;
pub mod place;
pub mod psams;
pub mod registry;
mod shown;

use ykt_store::Module;

pub use centre::{Centre, Resumed, TreeError};
pub use checkpoints::AuditSigner;
pub use operations::{Operation, OperationError};
pub use place::PlaceName;

/// Tables of the registry, of groups and of campaigns.
pub const MODULE: Module =
    Module { name: "kmc", migrations: &[registry::TABLES, campaigns::TABLES, campaigns::WAYS] };

/// The modules of every room of the centre, for whoever opens a data directory.
pub const MODULES: &[Module] =
    &[MODULE, ceremonies::MODULE, download::MODULE, key_cards::MODULE, psams::MODULE];
