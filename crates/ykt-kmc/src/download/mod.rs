//! Key download (卡片密钥下装, `keys-and-ca.md` 6): ready commands with keys for lines that have the cards.
//!
//! The actors: a **line** (a personalisation line, or a counter that adds an application to an issued card), known by
//! its client certificate; a **right** of that line to an application (the profile's name), for one batch or any, with
//! a quota and days; a **batch**, the file of the cards to be made; and the [`Download`] that stands before the vault.
//! A line *opens* cards, which takes of its quota and is on the disk before the answer; asks for the commands of open
//! cards, step by step; and *finishes* each card, made or failed. No card is made twice: an application has one row
//! per card number, and only a line that began a card and broke may begin it again, at no cost.
//!
//! A counter also *visits* cards: it carries the commands of a campaign to cards that people bring ([`Download::begin_visit`]).
//!
//! Nothing but cryptograms leaves. PINs and holder data that pass through in requests are neither kept nor logged.

mod abreast;
mod batch;
pub mod client;
pub mod counter;
mod refusal;
mod rules;
mod service;
mod store;
mod visits;
pub mod wire;

pub use abreast::{Round, Station, run_abreast};
pub use batch::{BATCH_CARDS_MAX, BATCH_ERRORS_MAX, BatchError, LineError, parse_batch};
pub use refusal::{CommandRefusal, KeepError, Refusal, Verdict, VisitEnding};
pub use service::{CommandCall, Download, OpenCard, Opened};
pub use store::{MODULE, batches, cards, lines, progress, rights};
pub use visits::{VISITS_PER_LINE_MAX, VisitEnd, VisitNext, VisitStep};

use std::fmt;
use ykt_base::hex::{self, Hex};
use ykt_base::{Asn8, Date, DateTime, IssuerFactor, PsamSerial};
use ykt_card::CardKind;
use ykt_crypto::chain::{Hash32, sm3};
use ykt_issue::Subject;

/// Most cards that one call opens, asks commands for, or finishes.
pub const CARDS_PER_CALL_MAX: usize = 256;
/// Longest name of a line or batch, and longest operation id, in characters.
pub const NAME_LEN_MAX: usize = 64;
/// Longest reason of a failed card that is kept, in characters.
pub const REASON_LEN_MAX: usize = 200;

ykt_store::coded! {
    /// What a line is.
    LineKind {
        /// Makes cards in masses.
        Personalisation = 1, "personalisation line";
        /// Adds applications to the cards that people bring; its audit records name each card.
        Counter = 2, "counter";
    }
}

ykt_store::coded! {
    /// Whether a line may work.
    LineState {
        /// It may.
        Active = 1, "active";
        /// It may not.
        Stopped = 2, "stopped";
    }
}

ykt_store::coded! {
    /// How far a card is.
    CardState {
        /// In a batch, not begun.
        Waiting = 1, "waiting";
        /// Begun by a line.
        UnderWay = 2, "under way";
        /// Made.
        Done = 3, "done";
        /// Begun, and failed.
        Failed = 4, "failed";
    }
}

/// A line as it is taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    /// Name, at most [`NAME_LEN_MAX`] letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// What it is.
    pub kind: LineKind,
    /// SM3 of its client certificate ([`fingerprint`]).
    pub certificate: Hash32,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineRow {
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: LineKind,
    /// Whether it may work.
    pub state: LineState,
    /// SM3 of its client certificate.
    pub certificate: Hash32,
    /// Since when it is in that state.
    pub since: DateTime,
}

/// What a right is to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RightTo {
    /// Making cards, or adding to them.
    Cards {
        /// Which application they get.
        application: String,
        /// For this batch alone; `None` for any, and for cards of none.
        batch: Option<String>,
    },
    /// Giving issued cards the keys of a campaign.
    Visits {
        /// Its name.
        campaign: String,
    },
}

impl RightTo {
    /// Making cards with an application, of this batch or of any.
    #[must_use]
    pub fn cards(application: &str, batch: Option<&str>) -> RightTo {
        RightTo::Cards { application: application.to_owned(), batch: batch.map(str::to_owned) }
    }

    /// Giving cards the keys of a campaign.
    #[must_use]
    pub fn visits(campaign: &str) -> RightTo {
        RightTo::Visits { campaign: campaign.to_owned() }
    }

    /// The batch it is for, if it is for one alone.
    #[must_use]
    pub fn batch(&self) -> Option<&str> {
        match self {
            RightTo::Cards { batch, .. } => batch.as_deref(),
            RightTo::Visits { .. } => None,
        }
    }
}

/// The application, or `campaign` and its name.
impl fmt::Display for RightTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RightTo::Cards { application, .. } => f.write_str(application),
            RightTo::Visits { campaign } => write!(f, "campaign {campaign}"),
        }
    }
}

/// A right as it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRight {
    /// Whose.
    pub line: String,
    /// To what.
    pub to: RightTo,
    /// Cards.
    pub quota: u32,
    /// First day.
    pub from: Date,
    /// Last day.
    pub until: Date,
}

/// A right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RightRow {
    /// Its number.
    pub id: u32,
    /// As it was given.
    pub right: NewRight,
    /// Cards begun with it.
    pub used: u32,
    /// Taken back before its end.
    pub withdrawn: bool,
}

impl RightRow {
    /// Cards that may still be begun with it.
    #[must_use]
    pub const fn left(&self) -> u32 {
        self.right.quota.saturating_sub(self.used)
    }
}

/// A batch as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRow {
    /// Name.
    pub name: String,
    /// Which application its cards get.
    pub application: String,
    /// When it came.
    pub loaded_at: DateTime,
    /// Who brought it.
    pub loaded_by: String,
    /// How far it is.
    pub progress: Progress,
}

/// How many cards of a batch are how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Not begun.
    pub waiting: u32,
    /// Begun.
    pub under_way: u32,
    /// Made.
    pub done: u32,
    /// Failed.
    pub failed: u32,
}

impl Progress {
    /// All of them.
    #[must_use]
    pub const fn cards(&self) -> u32 {
        self.waiting.saturating_add(self.under_way).saturating_add(self.done).saturating_add(self.failed)
    }
}

/// A card and an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardRow {
    /// Number of the row, which the calls of a line name.
    pub id: u32,
    /// Which application.
    pub application: String,
    /// The card.
    pub subject: Subject,
    /// Its batch.
    pub batch: Option<String>,
    /// How far it is.
    pub state: CardState,
    /// The line that began it.
    pub line: Option<String>,
    /// The right it was begun with.
    pub right: Option<u32>,
    /// How often it was begun.
    pub attempts: u32,
    /// When it was begun last.
    pub begun_at: Option<DateTime>,
    /// When it was finished.
    pub ended_at: Option<DateTime>,
    /// Why it failed.
    pub reason: String,
}

/// Which cards a list shows; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CardFilter {
    /// Of this application.
    pub application: Option<String>,
    /// Of this batch.
    pub batch: Option<String>,
    /// Begun by this line.
    pub line: Option<String>,
    /// In this state.
    pub state: Option<CardState>,
}

/// A line that calls, from where and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Name of the line.
    pub line: String,
    /// Address of its machine.
    pub from: String,
    /// When.
    pub at: DateTime,
}

/// Which cards a call opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// These.
    Listed(Vec<Subject>),
    /// So many of the batch that nobody has begun, in the order of its file.
    Next(usize),
    /// So many of the batch that this line began and that are not made: after a break.
    Broken(usize),
}

/// A call that opens cards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCall {
    /// Id that the line chose for this call: the same id answers the same again.
    pub operation: String,
    /// Which application the cards get.
    pub application: String,
    /// The batch they are of, if any.
    pub batch: Option<String>,
    /// Which cards.
    pub cards: Wanted,
}

/// How a card ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It is made.
    Made,
    /// It is not, and why.
    Failed(String),
}

/// SM3 of a certificate in DER: how a line is known.
#[must_use]
pub fn fingerprint(der: &[u8]) -> Hash32 {
    sm3(&[der])
}

/// The number of a card as people write it: 16 digits of a user card, 20 of a PSAM or key card.
#[must_use]
pub fn number_of(subject: &Subject) -> String {
    match subject {
        Subject::Card { asn, .. } => asn.to_string(),
        Subject::Sam { serial, .. } | Subject::KeyCard { serial, .. } => serial.to_string(),
    }
}

/// The number of a card as logs show it: a user card's masked, others whole.
#[must_use]
pub fn masked(subject: &Subject) -> String {
    match subject {
        Subject::Card { asn, .. } => asn.masked().to_string(),
        Subject::Sam { serial, .. } | Subject::KeyCard { serial, .. } => serial.to_string(),
    }
}

/// The card of a number as people write it, for an application's kind of card. `None` when it is none.
#[must_use]
pub fn subject_of(kind: CardKind, number: &str, factor: IssuerFactor, banks: Vec<Asn8>) -> Option<Subject> {
    Some(match kind {
        CardKind::User => Subject::Card { asn: Asn8(hex::decode(number).ok()?), factor, banks },
        CardKind::Psam => Subject::Sam { serial: PsamSerial(hex::decode(number).ok()?), factor },
        CardKind::KeyCard => Subject::KeyCard { serial: PsamSerial(hex::decode(number).ok()?), factor },
    })
}

/// Whether a text may name a line, a batch or an operation.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let fits = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '.' | '_' | '-');
    (1..=NAME_LEN_MAX).contains(&text.len()) && text.chars().all(fits)
}

/// Digest of what a call wants, to tell a repeated call from another one under the same id.
pub(crate) fn digest(call: &OpenCall) -> Hash32 {
    let mut text = format!("{}\n{}\n", call.application, call.batch.as_deref().unwrap_or_default());
    match &call.cards {
        Wanted::Next(count) => text.push_str(&format!("next {count}")),
        Wanted::Broken(count) => text.push_str(&format!("broken {count}")),
        Wanted::Listed(subjects) => {
            for subject in subjects {
                text.push_str(&format!("{} {}", number_of(subject), Hex(&subject.factor().0)));
                if let Subject::Card { banks, .. } = subject {
                    banks.iter().for_each(|bank| text.push_str(&format!(" {bank}")));
                }
                text.push('\n');
            }
        }
    }
    sm3(&[text.as_bytes()])
}
