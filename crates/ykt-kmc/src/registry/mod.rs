//! The registry (密钥登记簿): where every key came from and what became of it, with who, with whose consent and when.
//!
//! The vault is the truth about check values and states as they are; the registry is what people did to bring them
//! about. A destroyed key is wiped in the vault, but its record and its last check value stay here for inquiry, for
//! good: nothing here deletes. Where the two differ, [`tree`] says so.

pub mod groups;
mod store;
pub mod tree;

use crate::place::PlaceName;
use ykt_base::DateTime;
use ykt_office::Act;
use ykt_vault::{KeyAlgorithm, KeyPlace, KeyState};

pub(crate) use store::TABLES;
pub use store::{became, came, export_file, keep_export, life, note, record, records};

ykt_store::coded! {
    /// How a key came into the vault.
    Source {
        /// Made in the vault.
        Generated = 0, "generated";
        /// Put together from the components of custodians.
        Ceremony = 1, "ceremony";
        /// Derived from a seed.
        Seed = 2, "seed";
        /// Brought by a third party, wrapped under a transport key.
        Imported = 3, "imported";
        /// Found in the vault when the registry was opened, or by a person later.
        Found = 4, "found";
    }
}

ykt_store::coded! {
    /// What happened to a key.
    KeyEventKind {
        /// Made.
        Generated = 0, "generated";
        /// Brought in.
        Imported = 1, "imported";
        /// Found in the vault.
        Found = 2, "found";
        /// Activated.
        Activated = 3, "activated";
        /// Retired by hand.
        Retired = 4, "retired";
        /// Retired because its successor was activated.
        Succeeded = 5, "retired by its successor";
        /// Brought back from retirement.
        Restored = 6, "restored";
        /// Destroyed.
        Destroyed = 7, "destroyed";
        /// Handed out under a transport key.
        Exported = 8, "exported";
        /// Brought to the other vault of a pair.
        Replicated = 9, "replicated";
    }
}

/// On whose word something happens to a key.
#[derive(Debug, Clone, Copy)]
pub struct Word<'a> {
    /// Who makes it happen, from where, when.
    pub act: &'a Act,
    /// Who wanted it: for an operation the person who asked, else the one who acts.
    pub asked_by: &'a str,
    /// The second person; empty where one is enough.
    pub approved_by: &'a str,
    /// The request, ceremony or campaign it belongs to; may be empty.
    pub reference: &'a str,
}

impl<'a> Word<'a> {
    /// The word of one person, or of a program.
    #[must_use]
    pub fn of(act: &'a Act) -> Word<'a> {
        Word { act, asked_by: &act.who, approved_by: "", reference: "" }
    }
}

/// A key as the registry knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Where it is kept.
    pub place: KeyPlace,
    /// What it computes with.
    pub algorithm: KeyAlgorithm,
    /// Check value; stays when the key is destroyed.
    pub kcv: [u8; 3],
    /// The state it was last brought into.
    pub state: KeyState,
    /// How it came.
    pub source: Source,
    /// Party, ceremony or seed it came from; may be empty.
    pub origin: String,
    /// What people noted; may be empty.
    pub note: String,
}

/// Something that happened to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEvent {
    /// When.
    pub at: DateTime,
    /// What.
    pub kind: KeyEventKind,
    /// The state after it.
    pub state: KeyState,
    /// Who did it, or asked for it.
    pub who: String,
    /// The second person; empty where there was none.
    pub approved_by: String,
    /// Request, ceremony or campaign; may be empty.
    pub reference: String,
    /// More in words: the party, the transport key; may be empty.
    pub detail: String,
}

impl KeyEventKind {
    /// The word of the audit log.
    pub(crate) const fn audit_word(self) -> &'static str {
        match self {
            KeyEventKind::Generated => "key/generate",
            KeyEventKind::Imported | KeyEventKind::Found => "key/import",
            KeyEventKind::Activated => "key/activate",
            KeyEventKind::Retired | KeyEventKind::Succeeded => "key/retire",
            KeyEventKind::Restored => "key/restore",
            KeyEventKind::Destroyed => "key/destroy",
            KeyEventKind::Exported => "key/export",
            KeyEventKind::Replicated => "key/replicate",
        }
    }
}

impl KeyRecord {
    /// The name of its place.
    #[must_use]
    pub fn name(&self) -> String {
        PlaceName(self.place).to_string()
    }
}
