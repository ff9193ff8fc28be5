//! Production of PSAMs (`keys-and-ca.md` 5): a batch of numbers, each of which becomes one PSAM in eight steps.
//!
//! The actors: an operator puts blank chips into a reader, one after the other; the [`Line`] takes the next number of
//! the batch for each and does the steps; the database knows after every command how far a chip has come. A chip that
//! answers wrongly is stopped and listed, and the batch goes on; one that was interrupted goes on where it stood when
//! it comes back. A number is given to one chip only, and a PSAM that was produced is never written again.

mod chip;
mod labels;
mod line;
mod order;
mod protocol;
mod stage;
mod store;

pub use chip::{ChipError, Wrong};
pub use labels::{Label, labels, labels_csv};
pub use line::{Line, LineError, Made, Moment};
pub use order::NewBatch;
pub use protocol::{Protocol, protocol};
pub use stage::{Stage, StageError, stages};
pub use store::{
    MODULE, again, batch, batches, keys_of, list, open, psam, signed_protocol, stopped_for_good, unfinished,
};

use ykt_base::{DateTime, KeyVersion, PosNo, PsamSerial, TerminalId};
use ykt_store::StoreError;

/// Most PSAMs of one batch.
pub const BATCH_PSAMS_MAX: u32 = 10_000;
/// Most characters of a batch's id.
pub const BATCH_ID_LEN_MAX: usize = 32;
/// Most characters of a batch's label.
pub const LABEL_LEN_MAX: usize = 60;

ykt_store::coded! {
    /// How far a batch is.
    BatchState {
        /// Some of its PSAMs are still to be made.
        Open = 1, "open";
        /// All are produced or stopped, and its protocol is signed.
        Closed = 2, "closed";
    }
}

ykt_store::coded! {
    /// How far a PSAM is.
    PsamState {
        /// Its number waits for a chip.
        Waiting = 1, "waiting";
        /// A chip has its number, and some of the eight steps.
        InWork = 2, "in work";
        /// It is made.
        Produced = 3, "produced";
        /// Its chip answered wrongly, or never came back. The number is spent.
        Stopped = 4, "stopped";
    }
}

/// A batch, with how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// What was ordered.
    pub new: NewBatch,
    /// Name of its profile.
    pub profile_name: String,
    /// State.
    pub state: BatchState,
    /// Who opened it.
    pub opened_by: String,
    /// When.
    pub opened_at: DateTime,
    /// When its protocol was signed.
    pub closed_at: Option<DateTime>,
    /// How many PSAMs wait, are in work, are produced, are stopped.
    pub counts: Counts,
}

/// PSAMs of a batch by their state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Waiting for a chip.
    pub waiting: u32,
    /// Begun and not ended.
    pub in_work: u32,
    /// Made.
    pub produced: u32,
    /// Given up.
    pub stopped: u32,
}

/// A PSAM of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Psam {
    /// Serial number.
    pub serial: PsamSerial,
    /// Its batch.
    pub batch: String,
    /// Its place in the batch, from 1.
    pub number: u32,
    /// Terminal id.
    pub terminal: TerminalId,
    /// The terminal it goes into, when the batch named one.
    pub pos: Option<PosNo>,
    /// State.
    pub state: PsamState,
    /// Steps of the profile that are done.
    pub steps_done: u32,
    /// The step of production under way, or the last one.
    pub stage: Option<Stage>,
    /// Serial number of the chip that has its number.
    pub chip: Option<[u8; 8]>,
    /// Where it stopped and why, or what is to be known about it.
    pub note: String,
    /// Who worked on it last.
    pub who: String,
    /// When it was begun.
    pub begun_at: Option<DateTime>,
    /// When it was produced or stopped.
    pub ended_at: Option<DateTime>,
}

/// A key on a PSAM: what its label and the protocol say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PsamKey {
    /// In which step of production it came.
    pub stage: Stage,
    /// Its kind, by the vault's name.
    pub kind: String,
    /// Usage byte on the PSAM.
    pub usage: u8,
    /// Version.
    pub version: KeyVersion,
    /// Check value; `None` where the vault shows none for a key at that level.
    pub kcv: Option<[u8; 3]>,
}

/// Which PSAMs a list shows; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PsamFilter {
    /// Their batch.
    pub batch: Option<String>,
    /// Their state.
    pub state: Option<PsamState>,
    /// Part of serial number or terminal id.
    pub number: Option<String>,
}

/// Which batches a list shows; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BatchFilter {
    /// Part of id or label.
    pub text: Option<String>,
    /// State.
    pub state: Option<BatchState>,
}

/// Why a batch is not opened, or not found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such batch.
    #[error("there is no batch `{id}`; `ykt psam batches` lists them")]
    Unknown {
        /// Its id.
        id: String,
    },
    /// There is no such PSAM in it.
    #[error("batch {batch} has no PSAM {serial}")]
    UnknownPsam {
        /// The batch.
        batch: String,
        /// The serial number.
        serial: PsamSerial,
    },
    /// The id is taken by a batch with other content.
    #[error("batch {id} is there with another {differs}: found {found}, asked for {asked}; take another id")]
    Conflict {
        /// Its id.
        id: String,
        /// Which part differs.
        differs: &'static str,
        /// What is there.
        found: String,
        /// What was asked for.
        asked: String,
    },
    /// A number of the batch belongs to a PSAM of another one.
    #[error(
        "{what} {number} belongs to batch {batch} already: no number is given twice; begin behind the last one in use"
    )]
    Taken {
        /// Serial number or terminal id.
        what: &'static str,
        /// Which.
        number: String,
        /// The batch that has it.
        batch: String,
    },
    /// A field is outside its range.
    #[error("batch {id}: {field} must be {expected}, found {found}")]
    Field {
        /// Its id.
        id: String,
        /// The field.
        field: &'static str,
        /// What is allowed.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The PSAM's state does not allow it.
    #[error("PSAM {serial} is {found}: expected one that is {expected}")]
    State {
        /// Its serial number.
        serial: PsamSerial,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: PsamState,
    },
}
