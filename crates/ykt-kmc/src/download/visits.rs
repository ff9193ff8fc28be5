//! Visits at a counter: cards of a campaign get their other keys where neither vault nor database is.
//!
//! A counter begins a *visit* for the card on its reader, gets the commands of its first step, brings the card's answers, gets
//! the next, until the visit ends. What is decided and written down is the [visit](crate::campaigns::visit) itself, the
//! same as at a desk beside the vault. Here is what a line needs on top: its right to the campaign, of whose quota each card
//! takes one at its first showing there; and calls that may be repeated, because each visit keeps its last step.
//!
//! Visits are in the memory of the service. That loses nothing: what is known of a card is in the database before the card
//! gets a command, so a counter that vanishes, or a service that starts anew, leaves a card that any counter goes on with.

use super::refusal::VisitEnding;
use super::rules::{CARD, active, note, take_visit, valid_right};
use super::service::Download;
use super::{Caller, Refusal, RightTo, is_name};
use crate::campaigns::dialogue::{Dialogue, Next};
use crate::campaigns::visit::{Showing, VisitError};
use crate::campaigns::{self, Campaign, CampaignState, Counts};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use ykt_base::{Asn8, Response};
use ykt_crypto::sm::CommandBytes;
use ykt_office::Act;
use ykt_office::audit::Outcome;
use ykt_store::Tx;
use ykt_vault::KeyRef;

/// Most visits of a line that are remembered; the oldest is forgotten when another begins. Ended ones count: they are kept to
/// answer a repeated call.
pub const VISITS_PER_LINE_MAX: usize = 256;

/// One step of a visit.
#[derive(Clone)]
pub struct VisitStep {
    /// Its number, from 1, which the card's answers name.
    pub step: u32,
    /// What it wants.
    pub next: VisitNext,
}

/// What a visit wants of its counter.
#[derive(Clone)]
pub enum VisitNext {
    /// The card shall get these, in their order, up to the first that is not answered 9000.
    Commands(Vec<CommandBytes>),
    /// Nothing more.
    Ended(VisitEnd),
}

/// How a visit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitEnd {
    /// How.
    pub ending: VisitEnding,
    /// The card, when it could be read.
    pub card: Option<Asn8>,
    /// The keys it got in this visit.
    pub written: Vec<KeyRef>,
    /// In words, for the person at the counter.
    pub message: String,
}

/// The visits of all lines.
#[derive(Default)]
pub(super) struct Visits(Mutex<BTreeMap<String, VecDeque<Arc<Visit>>>>);

struct Visit {
    id: String,
    campaign: String,
    first: VisitStep,
    running: Mutex<Running>,
}

struct Running {
    /// None when it has ended.
    dialogue: Option<Dialogue>,
    /// What was answered last.
    last: Result<VisitStep, Refusal>,
    /// The step that was answered by it, and with which bytes.
    heard: Option<(u32, Vec<Vec<u8>>)>,
}

impl Visits {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, VecDeque<Arc<Visit>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, line: &str, id: &str) -> Option<Arc<Visit>> {
        self.lock().get(line)?.iter().find(|visit| visit.id == id).map(Arc::clone)
    }

    fn forget(&self, line: &str, id: &str) {
        if let Some(visits) = self.lock().get_mut(line) {
            visits.retain(|visit| visit.id != id);
        }
    }
}

impl Download {
    /// Begins the visit of the card that was just put on the reader of a line and reset. The same id again is answered
    /// alike.
    ///
    /// # Errors
    /// [`Refusal`]: line, right, campaign, vault; nothing was begun then.
    pub fn begin_visit(&self, id: &str, campaign: &str, caller: &Caller) -> Result<VisitStep, Refusal> {
        self.told(caller, self.try_begin_visit(id, campaign, caller))
    }

    fn try_begin_visit(&self, id: &str, campaign: &str, caller: &Caller) -> Result<VisitStep, Refusal> {
        if !is_name(id) {
            let expected = "an id of the visit of letters, digits, `.`, `_`, `-`";
            return Err(Refusal::Form { expected, found: id.to_owned() });
        }
        self.store().read(|tx| {
            active(tx, &caller.line)?;
            valid_right(tx, &RightTo::visits(campaign), caller)?;
            open_campaign(tx, campaign).map(drop)
        })?;
        let vault = self.ready_vault()?;
        let mut lines = self.visits.lock();
        let visits = lines.entry(caller.line.clone()).or_default();
        if let Some(known) = visits.iter().find(|visit| visit.id == id) {
            return if known.campaign == campaign {
                Ok(known.first.clone())
            } else {
                Err(Refusal::OperationReused { id: id.to_owned() })
            };
        }
        let (name, line) = (campaign.to_owned(), caller.clone());
        let showing = Showing {
            store: self.store().clone(),
            vault,
            campaign: campaign.to_owned(),
            counter: caller.line.clone(),
            act: Act::of(&format!("<line {}>", caller.line), &caller.from, caller.at),
            permit: Box::new(move |tx, asn| permit(tx, &name, asn, &line)),
        };
        let mut dialogue = showing.dialogue();
        let first = VisitStep { step: 1, next: next_of(dialogue.begin())? };
        let running = Running { dialogue: Some(dialogue), last: Ok(first.clone()), heard: None };
        if visits.len() >= VISITS_PER_LINE_MAX {
            visits.pop_front();
        }
        visits.push_back(Arc::new(Visit {
            id: id.to_owned(),
            campaign: campaign.to_owned(),
            first: first.clone(),
            running: Mutex::new(running),
        }));
        Ok(first)
    }

    /// Goes on with a visit by what the card answered to the commands of `step`; fewer answers than commands, the last of them
    /// 9000, say that the card gave none to the next one. The same answers again get the same step again.
    ///
    /// # Errors
    /// [`Refusal`]: the line, a visit or step that is another one, or the quota when the card is read. After a fault
    /// of this machine the visit is over, and another may begin.
    pub fn answer_visit(
        &self,
        id: &str,
        step: u32,
        answers: &[Response],
        caller: &Caller,
    ) -> Result<VisitStep, Refusal> {
        let known = self.store().read(|tx| active(tx, &caller.line)).and_then(|_| {
            let missing = || Refusal::UnknownVisit { id: id.to_owned() };
            self.visits.find(&caller.line, id).ok_or_else(missing)
        });
        let visit = self.told(caller, known)?;
        let mut running = visit.running.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<Vec<u8>> = answers.iter().map(|answer| answer.as_bytes().to_vec()).collect();
        if running.heard.as_ref().is_some_and(|(heard, with)| (*heard, with) == (step, &bytes)) {
            return running.last.clone();
        }
        let now = running.last.as_ref().map_or(0, |last| last.step);
        let dialogue = running.dialogue.as_mut().filter(|_| now == step);
        let Some(dialogue) = dialogue else {
            return self.told(caller, Err(Refusal::OtherAnswers { id: id.to_owned(), step }));
        };
        if !dialogue.fit(answers) {
            let expected = "an answer to each command, up to the first that is not 9000";
            let found = format!("{} answers", answers.len());
            return self.told(caller, Err(Refusal::Form { expected, found }));
        }
        let next = next_of(dialogue.go_on(answers.to_vec(), caller.at));
        let last = next.map(|next| VisitStep { step: step.saturating_add(1), next });
        if !matches!(&last, Ok(VisitStep { next: VisitNext::Commands(_), .. })) {
            running.dialogue = None;
        }
        if last.as_ref().is_err_and(Refusal::is_fault) {
            self.visits.forget(&caller.line, id);
        }
        running.heard = Some((step, bytes));
        running.last = last.clone();
        drop(running);
        self.told(caller, last)
    }

    /// How far a campaign is, for a line with a right to it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn campaign(&self, name: &str, caller: &Caller) -> Result<(CampaignState, Counts), Refusal> {
        let found = self.store().read(|tx| {
            active(tx, &caller.line)?;
            valid_right(tx, &RightTo::visits(name), caller)?;
            let campaign = known_campaign(tx, name)?;
            Ok((campaign.state, campaigns::progress(tx, name)?))
        });
        self.told(caller, found)
    }
}

fn known_campaign(tx: &Tx<'_>, name: &str) -> Result<Campaign, Refusal> {
    campaigns::one(tx, name)?.ok_or_else(|| Refusal::UnknownCampaign { name: name.to_owned() })
}

fn open_campaign(tx: &Tx<'_>, name: &str) -> Result<Campaign, Refusal> {
    let campaign = known_campaign(tx, name)?;
    match campaign.state {
        CampaignState::Open => Ok(campaign),
        state => Err(Refusal::CampaignNotOpen { name: name.to_owned(), state }),
    }
}

/// Takes of the quota for a card that is shown to a line for the first time in a campaign.
fn permit(tx: &Tx<'_>, campaign: &str, asn: &Asn8, caller: &Caller) -> Result<(), Refusal> {
    let told = match take_visit(tx, campaign, asn, caller)? {
        Some(right) => format!("campaign {campaign}: begun with right {right}"),
        None => format!("campaign {campaign}: shown again"),
    };
    note(tx, caller, Outcome::Done, CARD, &asn.masked().to_string(), &told)?;
    Ok(())
}

/// What the counter gets to hear.
fn next_of(next: Next) -> Result<VisitNext, Refusal> {
    let ended = match next {
        Next::Commands(commands) => return Ok(VisitNext::Commands(commands)),
        Next::Ended(ended) => ended,
    };
    let error = match ended {
        Ok(visited) => {
            let (ending, message) = if visited.written.is_empty() {
                (VisitEnding::DoneAlready, "the card has its keys already")
            } else {
                (VisitEnding::Done, "the card has its keys")
            };
            let (card, message) = (Some(visited.asn), message.to_owned());
            return Ok(VisitNext::Ended(VisitEnd { ending, card, written: visited.written, message }));
        }
        Err(error) => error,
    };
    let message = error.to_string();
    let (ending, card) = match error {
        VisitError::Refused(refusal) => return Err(refusal),
        VisitError::Store(error) => return Err(error.into()),
        VisitError::Campaign(_) => (VisitEnding::CampaignOver, None),
        VisitError::Unreadable { .. } | VisitError::Reader(_) => (VisitEnding::Unreadable, None),
        VisitError::NotOfCampaign { asn, .. } => (VisitEnding::NotInCampaign, Some(asn)),
        VisitError::NotInUse { asn, .. } => (VisitEnding::NotInUse, Some(asn)),
        VisitError::Stopped { asn, .. } => (VisitEnding::Stopped, Some(asn)),
        VisitError::Cut { asn, .. } => (VisitEnding::Cut, Some(asn)),
        VisitError::Overtaken { asn } => (VisitEnding::Overtaken, Some(asn)),
        VisitError::NoKey { asn, .. } => (VisitEnding::NoKeys, Some(asn)),
    };
    Ok(VisitNext::Ended(VisitEnd { ending, card, written: Vec::new(), message }))
}
