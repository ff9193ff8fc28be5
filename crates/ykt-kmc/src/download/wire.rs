//! The JSON of the service, in one place for both ends: what a line sends, and what the centre answers.
//!
//! Bytes are hex digits, card numbers as people write them. Unknown fields are refused, because a mistyped one must not
//! look like a wish.

use super::{
    CardRow, CardState, CommandRefusal, OpenCall, OpenCard, Opened, Progress, VisitEnd, VisitNext, VisitStep,
    Wanted, number_of, subject_of,
};
use crate::campaigns::{CampaignState, Counts};
use crate::place::key_name;
use serde::{Deserialize, Serialize};
use ykt_base::apdu::RESPONSE_LEN_MAX;
use ykt_base::hex::{self, Hex};
use ykt_base::{Asn8, IssuerFactor, Response};
use ykt_card::CardKind;
use ykt_crypto::sm::CommandBytes;
use ykt_issue::{Profile, StepRequest, Subject};
use ykt_store::Page;

/// An application the centre makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationAnswer {
    /// Name, which calls give.
    pub name: String,
    /// What it is, for people.
    pub title: String,
    /// Its steps in order.
    pub steps: Vec<StepAnswer>,
}

/// A step of an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepAnswer {
    /// Its number, which calls give.
    pub step: u16,
    /// What it is for.
    pub title: String,
    /// Whether its command comes from the centre.
    pub key: bool,
}

impl ApplicationAnswer {
    /// What the service says of a profile.
    #[must_use]
    pub fn of(profile: &Profile) -> ApplicationAnswer {
        let preset = profile.preset.map(|_| ("preset of the operator", true));
        let steps = profile.steps.iter().map(|step| (&*step.title, step.action.needs_key()));
        let numbered = (1..).zip(preset.into_iter().chain(steps));
        let steps = numbered.map(|(step, (title, key))| StepAnswer { step, title: title.to_owned(), key });
        ApplicationAnswer { name: profile.name.clone(), title: profile.title.clone(), steps: steps.collect() }
    }
}

/// A card by its numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardBody {
    /// 16 digits, 20 of a PSAM or key card.
    pub card: String,
    /// Factor of the level above the card, 16 hex digits.
    pub factor: String,
    /// References of its bank cards, 16 hex digits each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub banks: Vec<String>,
}

impl CardBody {
    /// The body of a card.
    #[must_use]
    pub fn of(subject: &Subject) -> CardBody {
        let banks = match subject {
            Subject::Card { banks, .. } => banks.iter().map(Asn8::to_string).collect(),
            Subject::Sam { .. } | Subject::KeyCard { .. } => Vec::new(),
        };
        CardBody { card: number_of(subject), factor: subject.factor().to_string(), banks }
    }

    /// The card, for an application of this kind; `None` when a number is none.
    #[must_use]
    pub fn subject(&self, kind: CardKind) -> Option<Subject> {
        let banks = self.banks.iter().map(|bank| hex::decode(bank).ok().map(Asn8)).collect::<Option<_>>()?;
        subject_of(kind, &self.card, IssuerFactor(hex::decode(&self.factor).ok()?), banks)
    }
}

/// A call that opens cards: exactly one of `cards`, `next` and `broken`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenBody {
    /// Id that the line chose for this call.
    pub operation: String,
    /// Which application the cards get.
    pub application: String,
    /// The batch they are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// These cards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cards: Option<Vec<CardBody>>,
    /// So many that nobody has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<usize>,
    /// So many that this line began and did not make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<usize>,
}

impl OpenBody {
    /// The call, for an application of this kind of card; `None` when it is none.
    #[must_use]
    pub fn call(&self, kind: CardKind) -> Option<OpenCall> {
        let cards = match (&self.cards, self.next, self.broken) {
            (Some(cards), None, None) => {
                Wanted::Listed(cards.iter().map(|card| card.subject(kind)).collect::<Option<_>>()?)
            }
            (None, Some(count), None) => Wanted::Next(count),
            (None, None, Some(count)) => Wanted::Broken(count),
            _ => return None,
        };
        let (operation, application, batch) =
            (self.operation.clone(), self.application.clone(), self.batch.clone());
        Some(OpenCall { operation, application, batch, cards })
    }

    /// The body of a call.
    #[must_use]
    pub fn of(call: &OpenCall) -> OpenBody {
        let OpenCall { operation, application, batch, cards } = call.clone();
        let body = OpenBody { operation, application, batch, ..OpenBody::default() };
        match cards {
            Wanted::Listed(cards) => {
                OpenBody { cards: Some(cards.iter().map(CardBody::of).collect()), ..body }
            }
            Wanted::Next(count) => OpenBody { next: Some(count), ..body },
            Wanted::Broken(count) => OpenBody { broken: Some(count), ..body },
        }
    }
}

/// The answer to a call that opens cards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAnswer {
    /// Those that are open.
    pub open: Vec<OpenCardAnswer>,
    /// The others.
    pub refused: Vec<RefusedCardAnswer>,
}

/// A card that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCardAnswer {
    /// By which later calls name it.
    pub id: u32,
    /// Its numbers.
    #[serde(flatten)]
    pub card: CardBody,
}

/// A card that is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedCardAnswer {
    /// Its number.
    pub card: String,
    /// Why: `done-already`, `other-line` and so on.
    pub code: String,
}

impl OpenAnswer {
    /// The answer of the centre as JSON has it.
    #[must_use]
    pub fn of(opened: &Opened) -> OpenAnswer {
        let open = |card: &OpenCard| OpenCardAnswer { id: card.id(), card: CardBody::of(card.subject()) };
        let refused = opened.refused.iter().map(|(subject, verdict)| RefusedCardAnswer {
            card: number_of(subject),
            code: verdict.name().to_owned(),
        });
        OpenAnswer { open: opened.open.iter().map(open).collect(), refused: refused.collect() }
    }
}

/// Commands that are asked for. Data may be a PIN, so it is not `Debug`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandsBody {
    /// One per card and step.
    pub commands: Vec<CommandBody>,
}

/// One command that is asked for.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandBody {
    /// Id of the open card.
    pub card: u32,
    /// Number of the step.
    pub step: u16,
    /// Which block of a long content, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<u16>,
    /// The card's challenge, 8 or 16 hex digits.
    pub challenge: String,
    /// What only the line has.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub data: String,
}

impl CommandBody {
    /// The body of a request.
    #[must_use]
    pub fn of(card: u32, request: &StepRequest<'_>) -> CommandBody {
        let StepRequest { step, block, iv, data } = *request;
        CommandBody { card, step, block, challenge: Hex(&iv).to_string(), data: Hex(data).to_string() }
    }

    /// The challenge as an IV; `None` when it is none.
    #[must_use]
    pub fn iv(&self) -> Option<[u8; 8]> {
        match self.challenge.len() {
            8 => hex::decode(&self.challenge).ok().map(ykt_crypto::sm::iv_from_challenge4),
            _ => hex::decode(&self.challenge).ok(),
        }
    }

    /// The data; `None` when they are no hex, or more than one command carries.
    #[must_use]
    pub fn data(&self) -> Option<CommandBytes> {
        let mut bytes = CommandBytes::zeros(self.data.len() / 2)?;
        hex::decode_into(&self.data, bytes.as_mut_bytes()).ok()?;
        Some(bytes)
    }
}

/// The commands, in the order they were asked for.
#[derive(Debug, Serialize, Deserialize)]
pub struct CommandsAnswer {
    /// Each, or why not.
    pub commands: Vec<CommandAnswer>,
}

/// A command, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CommandAnswer {
    /// The command.
    Ready {
        /// Its bytes: header, length, data.
        command: String,
    },
    /// Why not.
    Refused(RefusedAnswer),
}

/// Why one item of a call is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedAnswer {
    /// Stable code.
    pub code: String,
    /// In words.
    pub message: String,
}

impl From<&CommandRefusal> for RefusedAnswer {
    fn from(refusal: &CommandRefusal) -> RefusedAnswer {
        RefusedAnswer { code: refusal.code().to_owned(), message: refusal.to_string() }
    }
}

impl CommandAnswer {
    /// The answer of the centre as JSON has it.
    #[must_use]
    pub fn of(made: &Result<CommandBytes, CommandRefusal>) -> CommandAnswer {
        match made {
            Ok(command) => CommandAnswer::Ready { command: Hex(command).to_string() },
            Err(refusal) => CommandAnswer::Refused(refusal.into()),
        }
    }
}

/// How cards ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishBody {
    /// Each card.
    pub cards: Vec<EndingBody>,
}

/// How a card ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndingBody {
    /// Id of the open card.
    pub card: u32,
    /// Why it failed; absent when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// What became of the endings, in their order: null, or why it was not noted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishAnswer {
    /// Each card.
    pub cards: Vec<Option<RefusedAnswer>>,
}

/// How far a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchAnswer {
    /// Not begun.
    pub waiting: u32,
    /// Begun.
    pub under_way: u32,
    /// Made.
    pub done: u32,
    /// Failed.
    pub failed: u32,
}

impl From<Progress> for BatchAnswer {
    fn from(progress: Progress) -> BatchAnswer {
        let Progress { waiting, under_way, done, failed } = progress;
        BatchAnswer { waiting, under_way, done, failed }
    }
}

/// Cards of a batch that a line began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BegunAnswer {
    /// Those of the page.
    pub cards: Vec<BegunCardAnswer>,
    /// How many there are on all pages.
    pub total: u64,
}

/// A card that a line began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BegunCardAnswer {
    /// By which calls name it.
    pub id: u32,
    /// Its number.
    pub card: String,
    /// `under_way`, `done` or `failed`.
    pub state: String,
    /// How often it was begun.
    pub attempts: u32,
    /// Why it failed; may be empty.
    pub reason: String,
}

impl BegunAnswer {
    /// What the service says of a page of cards.
    #[must_use]
    pub fn of(page: &Page<CardRow>) -> BegunAnswer {
        let cards = page.rows.iter().map(|row| BegunCardAnswer {
            id: row.id,
            card: number_of(&row.subject),
            state: state_word(row.state),
            attempts: row.attempts,
            reason: row.reason.clone(),
        });
        BegunAnswer { cards: cards.collect(), total: page.totals }
    }
}

/// The state of a word in an address.
#[must_use]
pub fn state_of(word: &str) -> Option<CardState> {
    CardState::ALL.iter().copied().find(|state| state_word(*state) == word)
}

fn state_word(state: CardState) -> String {
    state.name().replace(' ', "_")
}

/// A call that begins the visit of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisitBody {
    /// Id that the counter chose for this visit.
    pub visit: String,
    /// The campaign.
    pub campaign: String,
}

/// What the card answered to the commands of a step. Answers to a purse may be read by whoever has the log, so it is not
/// `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswersBody {
    /// The step.
    pub step: u32,
    /// Data and status word of each, in hex.
    pub answers: Vec<String>,
}

impl AnswersBody {
    /// The body of a card's answers.
    #[must_use]
    pub fn of(step: u32, answers: &[Response]) -> AnswersBody {
        let answers = answers.iter().map(|answer| Hex(answer.as_bytes()).to_string());
        AnswersBody { step, answers: answers.collect() }
    }

    /// The answers; `None` when one of them is none.
    #[must_use]
    pub fn answers(&self) -> Option<Vec<Response>> {
        let mut buffer = [0; RESPONSE_LEN_MAX];
        let mut answers = Vec::with_capacity(self.answers.len());
        for text in &self.answers {
            let bytes = buffer.get_mut(..text.len() / 2)?;
            hex::decode_into(text, bytes).ok()?;
            answers.push(Response::from_wire(bytes)?);
        }
        Some(answers)
    }
}

/// A step of a visit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum VisitAnswer {
    /// The card shall get these commands.
    Commands {
        /// Number of the step.
        step: u32,
        /// Whole commands in hex, in their order; the first that is not answered 9000 is the last.
        commands: Vec<String>,
    },
    /// The visit is over.
    Ended {
        /// Number of the step.
        step: u32,
        /// How.
        ended: VisitEndAnswer,
    },
}

/// How a visit ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitEndAnswer {
    /// Stable code: `done`, `cut`, `stopped` and so on.
    pub code: String,
    /// Number of the card, when it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// The keys it got in this visit, by their names.
    pub written: Vec<String>,
    /// In words.
    pub message: String,
}

impl From<&VisitStep> for VisitAnswer {
    fn from(VisitStep { step, next }: &VisitStep) -> VisitAnswer {
        match next {
            VisitNext::Commands(commands) => {
                let commands = commands.iter().map(|command| Hex(command.as_bytes()).to_string());
                VisitAnswer::Commands { step: *step, commands: commands.collect() }
            }
            VisitNext::Ended(VisitEnd { ending, card, written, message }) => {
                let ended = VisitEndAnswer {
                    code: ending.name().to_owned(),
                    card: card.map(|card| card.to_string()),
                    written: written.iter().map(|key| key_name(*key)).collect(),
                    message: message.clone(),
                };
                VisitAnswer::Ended { step: *step, ended }
            }
        }
    }
}

/// How far a campaign is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignAnswer {
    /// `planned`, `open` or `ended`.
    pub state: String,
    /// Cards that were not shown yet.
    pub waiting: u64,
    /// Cards that were begun and cut short.
    pub begun: u64,
    /// Cards with their new keys.
    pub done: u64,
    /// Cards that were stopped.
    pub stopped: u64,
}

impl CampaignAnswer {
    /// What the service says of a campaign.
    #[must_use]
    pub fn of(state: CampaignState, counts: Counts) -> CampaignAnswer {
        let Counts { waiting, begun, done, stopped } = counts;
        CampaignAnswer { state: state.name().to_owned(), waiting, begun, done, stopped }
    }
}

/// A call that was refused, as the service writes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProblemAnswer {
    /// Stable code.
    pub code: String,
    /// In words.
    pub message: String,
}
