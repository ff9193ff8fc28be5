//! What a run found: for programs as JSON, for a terminal as text, for people as one HTML page.

mod html;
mod text;

pub use html::html;
pub use text::{Language, text, verdict_word};

use crate::bench::{Exchange, Finding};
use crate::words::Text;
use serde::Serialize;

/// What a run found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Name of the plan.
    pub plan: String,
    /// What it is.
    pub title: Text,
    /// Version of the plan.
    pub plan_version: String,
    /// Which program ran it.
    pub program: String,
    /// Date and time.
    pub at: String,
    /// Where the card sat.
    pub place: String,
    /// Its answer to reset, in hex.
    pub atr: String,
    /// Card number of a purse card, when it could be read.
    pub card: Option<String>,
    /// What the card has of what it may lack.
    pub features: Vec<FeatureLine>,
    /// Transactions the card has finished: so far its counters have moved.
    pub transactions: usize,
    /// The purses before and after.
    pub money: Vec<MoneyLine>,
    /// The cases, in the order of the plan.
    pub cases: Vec<CaseReport>,
}

/// A feature the card has, or not.
#[derive(Debug, Clone, Serialize)]
pub struct FeatureLine {
    /// Id.
    pub id: String,
    /// What it is.
    pub title: Text,
    /// Whether the card has it.
    pub is_there: bool,
}

/// A purse before and after the run.
#[derive(Debug, Clone, Serialize)]
pub struct MoneyLine {
    /// `ED` or `EP`.
    pub purse: &'static str,
    /// Fen before.
    pub before: i64,
    /// Fen after; `None` when it cannot be read any more.
    pub after: Option<i64>,
}

/// A case that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    /// Id.
    pub id: String,
    /// What it shows.
    pub purpose: Text,
    /// The clause.
    pub clause: String,
    /// Whether it may cost the card something for good.
    pub is_destructive: bool,
    /// What came out.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Commands and answers.
    pub dialogue: Vec<Exchange>,
}

/// What came out of a case.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// The card does what the case asks for.
    Passed,
    /// It does not.
    Failed(Failure),
    /// The case says nothing about this card.
    NotApplicable {
        /// Why not.
        reason: Text,
    },
}

/// The step that did not go as written.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// In which list it stands.
    pub stage: Stage,
    /// Its number there, from 1; 0 is the start of the case.
    pub number: usize,
    /// The step as the plan writes it.
    pub step: String,
    /// What was expected and found.
    pub finding: Finding,
    /// Whether no answer came at all.
    #[serde(skip)]
    pub is_silent: bool,
}

/// A list of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// What makes the ground ready.
    Setup,
    /// What is judged.
    Steps,
    /// What is done afterwards.
    Cleanup,
}

/// How many cases came out how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Passed.
    pub passed: usize,
    /// Failed.
    pub failed: usize,
    /// Not applicable.
    pub not_applicable: usize,
}

impl Report {
    /// How many cases came out how.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.cases.iter().fold(Counts::default(), |mut counts, case| {
            let count = match case.verdict {
                Verdict::Passed => &mut counts.passed,
                Verdict::Failed(_) => &mut counts.failed,
                Verdict::NotApplicable { .. } => &mut counts.not_applicable,
            };
            *count = count.saturating_add(1);
            counts
        })
    }

    /// Whether no case failed and at least one passed.
    #[must_use]
    pub fn is_conformant(&self) -> bool {
        let counts = self.counts();
        counts.failed == 0 && counts.passed > 0
    }

    /// Ids of the cases that failed.
    pub fn failed(&self) -> impl Iterator<Item = &str> {
        self.cases
            .iter()
            .filter(|case| matches!(case.verdict, Verdict::Failed(_)))
            .map(|case| case.id.as_str())
    }

    /// The whole report as JSON.
    ///
    /// # Errors
    /// None that the types allow.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

impl CaseReport {
    /// Whether it failed because no answer came.
    #[must_use]
    pub const fn is_silent(&self) -> bool {
        matches!(&self.verdict, Verdict::Failed(failure) if failure.is_silent)
    }
}
