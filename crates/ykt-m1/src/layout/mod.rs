//! What the city writes where (`epurse.md` 8.1 to 8.4), and in what the cities differ: as data.

mod directory;
mod issue;
mod public;
mod purse;
mod record;

pub use directory::{Directory, KEY_A_IDS, KEY_A_IDS_PSAM, KEY_B_IDS};
pub use issue::{CardFlag, IssueData, IssueDates, LastLoad};
pub use public::{BlackFlag, Claim, ProcessFlag, PublicInfo, Transfer};
pub use purse::LoadTotals;
pub use record::{RecordKind, RecordPointer, TransactionRecord};

use crate::block::Block;

/// In what cities differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct M1Layout {
    /// How block 25 repeats block 24.
    pub copy: PublicCopy,
    /// Whether block 24 says that a transaction is in progress.
    pub process: ProcessRule,
    /// Where the black flag stands in block 24.
    pub black: BlackFlagPlace,
    /// The file flag beside it, the same on every card.
    pub file_flag: u8,
    /// What the authentication code is computed over.
    pub auth_code: AuthCodeRule,
    /// Ids of keys A by sector.
    pub key_a_ids: &'static [Option<u8>; 16],
}

impl M1Layout {
    /// This house's own: block 25 is the complement, the process flag names who set it, the black flag stands at
    /// offset 6.
    pub const CLAIMED: M1Layout = M1Layout { process: ProcessRule::Claimed, ..M1Layout::COMPLEMENT };
    /// Block 25 is the complement, the process flag is kept, the black flag stands at offset 6.
    pub const COMPLEMENT: M1Layout = M1Layout {
        copy: PublicCopy::Complement,
        process: ProcessRule::Flagged,
        black: BlackFlagPlace::Offset6,
        file_flag: 0x10,
        auth_code: AuthCodeRule::ShortCity,
        key_a_ids: &KEY_A_IDS,
    };
    /// Block 25 is the same again, no process flag, the black flag stands at offset 7, keys as PSAMs make them.
    pub const IDENTICAL: M1Layout = M1Layout {
        copy: PublicCopy::Identical,
        process: ProcessRule::Unflagged,
        black: BlackFlagPlace::Offset7,
        file_flag: 0x10,
        auth_code: AuthCodeRule::WholeCity,
        key_a_ids: &KEY_A_IDS_PSAM,
    };
    /// Every layout with its name in commands and files.
    pub const NAMED: [(&'static str, M1Layout); 3] = [
        ("claimed", M1Layout::CLAIMED),
        ("complement", M1Layout::COMPLEMENT),
        ("identical", M1Layout::IDENTICAL),
    ];

    /// The layout of a name, or `None`.
    #[must_use]
    pub fn named(name: &str) -> Option<M1Layout> {
        M1Layout::NAMED.iter().find(|(known, _)| *known == name).map(|(_, layout)| *layout)
    }
}

/// How block 25 repeats block 24.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicCopy {
    /// Every bit turned.
    Complement,
    /// As it is.
    Identical,
}

impl PublicCopy {
    /// Block 25 for a block 24; and the other way round.
    #[must_use]
    pub fn apply(self, block: &Block) -> Block {
        match self {
            PublicCopy::Complement => block.map(|byte| !byte),
            PublicCopy::Identical => *block,
        }
    }
}

/// Whether a transaction in progress is marked in block 24.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessRule {
    /// 01 before the money moves, and whose transaction it is in the reserved bytes; 02 when all is written. With
    /// it another terminal can finish the transaction in the name of the first.
    Claimed,
    /// 01 before the money moves, 02 when all is written.
    Flagged,
    /// Not at all: two writes fewer for each transaction.
    Unflagged,
}

/// Where the black flag stands; the file flag stands at the other place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlackFlagPlace {
    /// At offset 6.
    Offset6,
    /// At offset 7.
    Offset7,
}

/// What the authentication code is computed over; sources contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthCodeRule {
    /// UID || low byte of the city code || low three bytes of the serial.
    ShortCity,
    /// City code || UID || low two bytes of the serial.
    WholeCity,
}

/// Takes fields from the front of a block.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }
}
