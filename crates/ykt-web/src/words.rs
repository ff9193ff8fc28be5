//! The words of the rooms below as codes of ours: one code in addresses, files, JSON and the catalogue, and
//! how each is meant on a page.

use crate::i18n::Lang;
use crate::view::cell::{Cell, Tone};
use ykt_clearing::{BillState, Cause, FileState, PaymentState, Phase, State};
use ykt_kmc::campaigns::{CampaignState, CardProgress};
use ykt_kmc::ceremonies::CeremonyState;
use ykt_kmc::download::{CardState as DownloadState, LineKind, LineState};
use ykt_kmc::key_cards::{KeyCardEvent, KeyCardState};
use ykt_kmc::psams::{BatchState, PsamState, Stage};
use ykt_kmc::registry::tree::Family;
use ykt_kmc::registry::{KeyEventKind, Source};
use ykt_office::audit::Outcome;
use ykt_office::blacklist::ListKind;
use ykt_office::cards::{CardEvent, CardKind, CardState};
use ykt_office::people::Role;
use ykt_office::requests::RequestState;
use ykt_office::terminals::TerminalState;
use ykt_pay::OrderState;
use ykt_pay::order::StepKind;
use ykt_vault::KeyState;

/// A closed set of words.
pub trait Word: Copy + PartialEq + Sized + 'static {
    /// Section of the catalogue.
    const SECTION: &'static str;
    /// All codes, in the order people are offered them.
    const CODES: &'static [&'static str];
    /// All words, in the same order.
    const ALL: &'static [Self];

    /// Its code in addresses and files.
    fn slug(self) -> &'static str;

    /// How it is meant.
    fn tone(self) -> Tone;

    /// The word of a code.
    fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|word| word.slug() == slug)
    }

    /// As a cell of a list.
    fn cell(self, lang: Lang) -> Cell {
        Cell::status(lang, Self::SECTION, self.slug(), self.tone())
    }

    /// Its name.
    fn in_words(self, lang: Lang) -> &'static str {
        lang.find(&format!("{}.{}", Self::SECTION, self.slug())).unwrap_or(self.slug())
    }
}

macro_rules! words {
    ($($type:ident $section:literal { $($variant:ident = $code:literal $tone:ident;)+ })+) => {
        $(impl Word for $type {
            const SECTION: &'static str = $section;
            const CODES: &'static [&'static str] = &[$($code),+];
            const ALL: &'static [$type] = &[$($type::$variant),+];

            fn slug(self) -> &'static str {
                match self { $($type::$variant => $code,)+ }
            }

            fn tone(self) -> Tone {
                match self { $($type::$variant => Tone::$tone,)+ }
            }
        })+

        #[cfg(test)]
        fn all_codes() -> Vec<String> {
            let mut all = Vec::new();
            $(all.extend(<$type as Word>::CODES.iter().map(|code| format!("{}.{code}", $section)));)+
            all
        }
    };
}

words! {
    DownloadState "download-state" {
        Waiting = "waiting" Quiet;
        UnderWay = "under-way" Warn;
        Done = "done" Good;
        Failed = "failed" Bad;
    }
    LineKind "line-kind" {
        Personalisation = "personalisation" Quiet;
        Counter = "counter" Quiet;
    }
    LineState "line-state" {
        Active = "active" Good;
        Stopped = "stopped" Bad;
    }
    CardState "state" {
        NotEnabled = "not-enabled" Quiet;
        Normal = "normal" Good;
        LossPreReported = "loss-pre-reported" Warn;
        Lost = "lost" Bad;
        Locked = "locked" Warn;
        Void = "void" Quiet;
        Cancelled = "cancelled" Quiet;
    }
    CardKind "kind" {
        Real = "real" Quiet;
        Test = "test" Warn;
    }
    CardEvent "action" {
        Issue = "issue" Good;
        Void = "void" Quiet;
        PreReportLoss = "pre-report-loss" Warn;
        ReportLoss = "report-loss" Bad;
        RemoveLoss = "remove-loss" Good;
        Lock = "lock" Warn;
        Unlock = "unlock" Good;
        Replace = "replace" Quiet;
        Exchange = "exchange" Quiet;
        Return = "return" Quiet;
        Cancel = "cancel" Quiet;
    }
    TerminalState "state" {
        Registered = "registered" Quiet;
        InUse = "in-use" Good;
        Suspended = "suspended" Warn;
        Retired = "retired" Quiet;
    }
    ListKind "kind" {
        Dead = "dead" Bad;
        Lost = "listed-lost" Bad;
        TemporarilyLost = "temporarily-lost" Warn;
        Locked = "listed-locked" Warn;
        Unlocked = "listed-unlocked" Quiet;
        Certificate = "certificate" Bad;
        Cancelled = "listed-cancelled" Quiet;
    }
    Outcome "state" {
        Done = "done" Good;
        Refused = "refused" Bad;
    }
    RequestState "request-state" {
        Open = "open" Warn;
        Approved = "approved" Info;
        Refused = "refused" Bad;
        Withdrawn = "withdrawn" Quiet;
        Done = "done" Good;
        Failed = "failed" Bad;
        Expired = "expired" Quiet;
    }
    CeremonyState "ceremony-state" {
        Open = "open" Warn;
        Finished = "finished" Good;
        Aborted = "aborted" Quiet;
        Failed = "failed" Bad;
    }
    KeyState "key-state" {
        Generated = "generated" Info;
        Active = "active" Good;
        Retired = "retired" Quiet;
        Destroyed = "destroyed" Bad;
    }
    Family "key-family" {
        Centre = "centre" Quiet;
        Card = "card" Quiet;
        Purse = "purse" Quiet;
        Tickets = "tickets" Quiet;
        Psam = "psam" Quiet;
        KeyCard = "key-card" Quiet;
        Bank = "bank" Quiet;
        M1 = "m1" Quiet;
        Sms = "sms" Quiet;
    }
    Source "key-source" {
        Generated = "generated" Quiet;
        Ceremony = "ceremony" Quiet;
        Seed = "seed" Quiet;
        Imported = "imported" Quiet;
        Found = "found" Warn;
    }
    KeyEventKind "key-event" {
        Generated = "generated" Info;
        Imported = "imported" Info;
        Found = "found" Warn;
        Activated = "activated" Good;
        Retired = "retired" Quiet;
        Succeeded = "succeeded" Quiet;
        Restored = "restored" Good;
        Destroyed = "destroyed" Bad;
        Exported = "exported" Warn;
        Replicated = "replicated" Info;
    }
    CampaignState "campaign-state" {
        Planned = "planned" Info;
        Open = "open" Good;
        Ended = "ended" Quiet;
    }
    CardProgress "card-progress" {
        Waiting = "waiting" Quiet;
        Begun = "begun" Warn;
        Done = "done" Good;
        Stopped = "stopped" Bad;
    }
    OrderState "load" {
        Paid = "paid" Info;
        Frozen = "frozen" Info;
        InDoubt = "in-doubt" Warn;
        ProofWanted = "proof-wanted" Warn;
        NotCredited = "not-credited" Warn;
        Credited = "credited" Good;
        GivenBack = "given-back" Quiet;
        ErrorDesk = "error-desk" Bad;
    }
    StepKind "step" {
        Paid = "paid" Info;
        Frozen = "frozen" Info;
        Credited = "credited" Good;
        WrongTac = "wrong-tac" Warn;
        WrongMac1 = "wrong-mac1" Warn;
        NotCredited = "not-credited" Warn;
        CounterMoved = "counter-moved" Warn;
        ErrorDesk = "error-desk" Bad;
        GivenBack = "given-back" Quiet;
        Contradicted = "contradicted" Bad;
    }
    Phase "phase" {
        Open = "open" Info;
        Judging = "judging" Info;
        Booked = "booked" Info;
        Answered = "answered" Info;
        Sent = "sent" Info;
        Closed = "closed" Good;
    }
    FileState "file" {
        Accepted = "taken" Good;
        Repeated = "repeated" Warn;
        Broken = "broken" Bad;
    }
    BillState "bill-state" {
        Payable = "payable" Info;
        Sent = "sent" Info;
        Paid = "paid" Good;
        Failed = "failed" Bad;
    }
    PaymentState "payment-state" {
        Sent = "sent" Info;
        Paid = "paid" Good;
        Failed = "failed" Bad;
    }
    State "verdict" {
        Refused = "refused" Bad;
        Parked = "parked" Warn;
        Test = "test" Quiet;
        Accepted = "accepted" Good;
        OperatorBears = "operator-bears" Warn;
        Void = "void" Quiet;
    }
    Cause "cause" {
        Illegal = "illegal" Bad;
        DuplicateInFile = "duplicate-in-file" Bad;
        DuplicateInHistory = "duplicate-in-history" Bad;
        PsamUnknown = "psam-unknown" Warn;
        TerminalUnknown = "terminal-unknown" Warn;
        PairMismatch = "pair-mismatch" Warn;
        NoContract = "no-contract" Warn;
        CardUnknown = "card-unknown" Warn;
        TestCard = "test-card" Quiet;
        TacWrong = "tac-wrong" Bad;
        KeyVersionUnknown = "key-version-unknown" Warn;
        Grey = "grey" Warn;
        GreyDisagrees = "grey-disagrees" Warn;
        Overdue = "overdue" Warn;
        AmountSuspicious = "amount-suspicious" Warn;
        Conflict = "conflict" Warn;
        GreyBooked = "grey-booked" Warn;
        LostCard = "lost-card" Bad;
    }
    KeyCardState "state" {
        Blank = "blank" Quiet;
        BeingMade = "being-made" Warn;
        Initialised = "initialised" Info;
        Loaded = "loaded" Good;
        Given = "given" Info;
        Returned = "returned" Info;
        UsedUp = "used-up" Warn;
        Blocked = "blocked" Bad;
    }
    KeyCardEvent "action" {
        Registered = "registered" Quiet;
        Initialised = "initialised" Good;
        Loaded = "keys-loaded" Good;
        Attributes = "attributes" Info;
        Password = "password" Info;
        Queried = "queried" Quiet;
        Given = "given" Info;
        Returned = "returned" Info;
        Issued = "card-issued" Good;
        Refused = "card-refused" Bad;
        Blocked = "blocked" Bad;
        Interrupted = "interrupted" Warn;
    }
    BatchState "state" {
        Open = "open" Info;
        Closed = "closed" Quiet;
    }
    PsamState "state" {
        Waiting = "waiting" Quiet;
        InWork = "in-work" Info;
        Produced = "produced" Good;
        Stopped = "stopped" Bad;
    }
    Stage "step" {
        Initialisation = "psam-1" Info;
        Master = "psam-2" Info;
        Maintenance = "psam-3" Info;
        CardFiles = "psam-4" Info;
        ApplicationMaster = "psam-5" Info;
        ApplicationMaintenance = "psam-6" Info;
        ApplicationFiles = "psam-7" Info;
        WorkingKeys = "psam-8" Info;
    }
    Role "role" {
        Operator = "operator" Quiet;
        Finance = "finance" Quiet;
        Security = "security" Quiet;
        Auditor = "auditor" Quiet;
        ReadOnly = "read_only" Quiet;
        Custodian = "custodian" Quiet;
        KeyAdministrator = "key_administrator" Quiet;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_name_in_both_languages() {
        for key in all_codes() {
            for lang in Lang::ALL {
                assert!(lang.find(&key).is_some(), "{key}");
            }
        }
        assert_eq!(CardState::from_slug("lost"), Some(CardState::Lost));
        assert_eq!(CardState::from_slug("lots"), None);
    }
}
