//! Why a line gets nothing, and why the office's part of key download is refused: each with a stable code, so that a
//! line's program can tell what to do.

use super::{BatchError, CARDS_PER_CALL_MAX, NAME_LEN_MAX};
use crate::campaigns::CampaignState;
use thiserror::Error;
use ykt_base::Date;
use ykt_issue::DownloadError;
use ykt_store::StoreError;
use ykt_vault::VaultError;

/// Why a call of a line is refused as a whole; nothing of it was done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No line has this certificate.
    #[error("no line has the certificate {certificate}; take it in with `ykt download lines add`")]
    UnknownLine {
        /// SM3 of the certificate, or the name asked for.
        certificate: String,
    },
    /// The line is stopped.
    #[error("line {line} is stopped")]
    LineStopped {
        /// Its name.
        line: String,
    },
    /// The centre has no such application.
    #[error("there is no application `{name}` here")]
    UnknownApplication {
        /// The name asked for.
        name: String,
    },
    /// There is no such batch.
    #[error("there is no batch `{name}`")]
    UnknownBatch {
        /// The name asked for.
        name: String,
    },
    /// The batch is for another application.
    #[error("batch {batch} is for {expected}, not for {found}")]
    OtherApplication {
        /// The batch.
        batch: String,
        /// Its application.
        expected: String,
        /// The one asked for.
        found: String,
    },
    /// The line has no right to the application, or not for this batch.
    #[error("line {line} has no right to {application} for {batch}")]
    NoRight {
        /// The line.
        line: String,
        /// The application.
        application: String,
        /// The batch, in words.
        batch: String,
    },
    /// The right is over, or not yet valid.
    #[error("the right of line {line} to {application} is valid from {from} to {until}, today is {today}")]
    RightExpired {
        /// The line.
        line: String,
        /// The application.
        application: String,
        /// First day.
        from: Date,
        /// Last day.
        until: Date,
        /// The day of the call.
        today: Date,
    },
    /// The quota has fewer cards left than the call would begin.
    #[error("the quota of line {line} for {application} has {left} cards left, {wanted} were asked for")]
    QuotaUsed {
        /// The line.
        line: String,
        /// The application.
        application: String,
        /// Cards left.
        left: u32,
        /// Cards the call would begin.
        wanted: u32,
    },
    /// No cards, or too many for one call.
    #[error("expected 1 to {CARDS_PER_CALL_MAX} cards a call, found {found}")]
    CardsPerCall {
        /// How many there were.
        found: usize,
    },
    /// The operation id is none, or cards are asked of a batch that is not named.
    #[error("expected {expected}, found `{found}`")]
    Form {
        /// What the call should have.
        expected: &'static str,
        /// What it has.
        found: String,
    },
    /// The id was used for another call.
    #[error("operation `{id}` of this line was another call; choose a new id for a new call")]
    OperationReused {
        /// The id.
        id: String,
    },
    /// There is no such campaign.
    #[error("there is no campaign `{name}`")]
    UnknownCampaign {
        /// The name asked for.
        name: String,
    },
    /// The campaign has not begun, or is over.
    #[error("campaign {name} is {state}: cards get their keys while it is open")]
    CampaignNotOpen {
        /// Its name.
        name: String,
        /// How far it is.
        state: CampaignState,
    },
    /// The line has no such visit, or it is forgotten.
    #[error("this line has no visit `{id}`; reset the card and begin another")]
    UnknownVisit {
        /// The id asked for.
        id: String,
    },
    /// The visit is at another step, or these are not the answers that it got to this one.
    #[error(
        "visit `{id}` does not wait for these answers to step {step}; reset the card and begin another visit"
    )]
    OtherAnswers {
        /// Its id.
        id: String,
        /// The step that was answered.
        step: u32,
    },
    /// The vault is locked or gone.
    #[error("the vault gives no keys at this moment: {reason}; nothing was done, ask again")]
    VaultUnavailable {
        /// Why.
        reason: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal {
    /// The code that programs see.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Refusal::UnknownLine { .. } => "unknown-line",
            Refusal::LineStopped { .. } => "line-stopped",
            Refusal::UnknownApplication { .. } => "unknown-application",
            Refusal::UnknownBatch { .. } => "unknown-batch",
            Refusal::OtherApplication { .. } => "other-application",
            Refusal::NoRight { .. } => "no-right",
            Refusal::RightExpired { .. } => "right-expired",
            Refusal::QuotaUsed { .. } => "quota-used",
            Refusal::CardsPerCall { .. } => "cards-per-call",
            Refusal::Form { .. } => "bad-call",
            Refusal::OperationReused { .. } => "operation-reused",
            Refusal::UnknownCampaign { .. } => "unknown-campaign",
            Refusal::CampaignNotOpen { .. } => "campaign-not-open",
            Refusal::UnknownVisit { .. } => "unknown-visit",
            Refusal::OtherAnswers { .. } => "other-answers",
            Refusal::VaultUnavailable { .. } => "vault-unavailable",
            Refusal::Store(_) => "internal",
        }
    }

    /// Whether it is a fault of this machine, not a rule that says no.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        matches!(self, Refusal::Store(_) | Refusal::VaultUnavailable { .. })
    }
}

/// Why one command or one ending of a call is refused; the others of the call go on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommandRefusal {
    /// The card is not open for this line.
    #[error("card {id} is not open for this line")]
    NotOpen {
        /// The row asked for.
        id: u32,
    },
    /// The request does not fit the profile's step, or the vault has not the key.
    #[error(transparent)]
    Command(#[from] DownloadError),
}

impl CommandRefusal {
    /// The code that programs see.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            CommandRefusal::NotOpen { .. } => "not-open",
            CommandRefusal::Command(DownloadError::Vault(_)) => "key-refused",
            CommandRefusal::Command(_) => "step-refused",
        }
    }
}

ykt_store::coded! {
    /// What became of one card of a call that opens cards; the words are codes that programs see.
    Verdict {
        /// It is open, and cost one of the quota.
        Opened = 0, "opened";
        /// This line began it before: it is open again and cost nothing.
        Reopened = 1, "reopened";
        /// The card has this application already.
        DoneAlready = 2, "done-already";
        /// Another line began it.
        OtherLine = 3, "other-line";
        /// It belongs to a batch that the call does not name.
        OtherBatch = 4, "other-batch";
        /// The batch has no such card.
        NotInBatch = 5, "not-in-batch";
        /// The card is known with another factor or other bank cards.
        OtherNumbers = 6, "other-numbers";
        /// The call names it twice.
        Twice = 7, "twice";
        /// The application is for another kind of card.
        OtherKind = 8, "other-kind";
    }
}

impl Verdict {
    /// Whether the card is open now.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Verdict::Opened | Verdict::Reopened)
    }
}

ykt_store::coded! {
    /// How the visit of a card at a counter ended; the words are codes that programs see.
    VisitEnding {
        /// The card has its new keys.
        Done = 0, "done";
        /// It had them before.
        DoneAlready = 1, "done-already";
        /// It gave no answer: shown again, it goes on.
        Cut = 2, "cut";
        /// It answered wrongly, now or before: a person must look at it.
        Stopped = 3, "stopped";
        /// It is no card with a purse, or cannot be read.
        Unreadable = 4, "unreadable";
        /// It is not one of the campaign's.
        NotInCampaign = 5, "not-in-campaign";
        /// It is lost, locked or cancelled.
        NotInUse = 6, "not-in-use";
        /// A later visit of the card began, here or elsewhere.
        Overtaken = 7, "overtaken";
        /// The vault gave no command.
        NoKeys = 8, "no-keys";
        /// The campaign was ended in between.
        CampaignOver = 9, "campaign-over";
    }
}

/// Why the office cannot do what it wants with lines, rights and batches.
#[derive(Debug, Error)]
pub enum KeepError {
    /// The text is no name.
    #[error("expected a name of 1 to {NAME_LEN_MAX} letters, digits, `.`, `_`, `-`; found `{found}`")]
    Name {
        /// The text.
        found: String,
    },
    /// There is no such thing.
    #[error("there is no {what} `{name}`")]
    Unknown {
        /// What sort of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The name or certificate is taken.
    #[error("{what} `{name}` is there already, with another content")]
    Taken {
        /// What sort of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A right without cards, or that ends before it begins.
    #[error("a right needs a quota of 1 or more and days from {from} to {until}")]
    EmptyRight {
        /// First day.
        from: Date,
        /// Last day.
        until: Date,
    },
    /// The file of a batch is wrong.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The vault's way of saying that it cannot answer now, which the same call may ask again.
pub(crate) fn unavailable(error: &VaultError) -> Option<Refusal> {
    error.is_outage().then(|| Refusal::VaultUnavailable { reason: error.to_string() })
}
