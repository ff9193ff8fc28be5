//! The run of a plan: who is the card, what can it do, then case by case; at the end the money goes back to where
//! it was, as far as the keys allow.

use crate::action::{KeyName, Step};
use crate::bench::{Bench, Desk, Doubts, Finding, Holder, Stop};
use crate::plan::{CardSort, Case, Feature, Harm, Plan, Sign, Start, protocol_of};
use crate::report::{CaseReport, Failure, FeatureLine, MoneyLine, Report, Stage, Verdict};
use crate::words::{Text, Words};
use std::collections::BTreeSet;
use ykt_base::hex::Hex;
use ykt_base::{CardChannel, ChannelError, DateTime};
use ykt_purse::{Purse, PurseFen};
use ykt_vault::{DeskKeys, KeyRef};

/// What is run, and how.
pub struct Job<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The keys.
    pub keys: &'a DeskKeys,
    /// Ids, or beginnings of ids, of the cases wanted; every case when empty.
    pub only: &'a [String],
    /// The most harm that cases may do.
    pub harm: Harm,
    /// Date and time of the run.
    pub at: DateTime,
    /// Where the card sits.
    pub place: &'a str,
    /// Its answer to reset.
    pub atr: &'a [u8],
}

/// A case that is done, for those who show progress.
pub struct Progress<'a> {
    /// Its number among the cases wanted, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// The case.
    pub case: &'a CaseReport,
}

/// Why a plan could not be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No answer came.
    #[error("the card does not answer: is it in the reader?")]
    Silent {
        /// Why.
        source: ChannelError,
    },
    /// The card is not one of this plan.
    #[error(
        "{subject}: expected {expected}, found {found}; is it a card of plan {plan}? Its application is a parameter (--set)"
    )]
    OtherCard {
        /// The plan.
        plan: String,
        /// What was looked at.
        subject: String,
        /// Expected.
        expected: String,
        /// Found.
        found: String,
    },
    /// No case has this name.
    #[error("plan {plan} has no case `{wanted}`; list them with `ykt certify list`")]
    NoSuchCase {
        /// The plan.
        plan: String,
        /// What was asked for.
        wanted: String,
    },
}

/// Runs a plan on the card in `channel`.
///
/// # Errors
/// [`RunError`] when the card does not answer, is of another sort, or a case that is wanted does not exist. A card
/// that is wrong is no error: the report says so.
pub fn run(
    channel: &mut dyn CardChannel,
    job: &Job<'_>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Report, RunError> {
    let plan = job.plan;
    if let Some(wanted) = job.only.iter().find(|wanted| !plan.has_case(wanted)) {
        return Err(RunError::NoSuchCase { plan: plan.name.clone(), wanted: wanted.clone() });
    }
    let desk = Desk {
        keys: job.keys,
        settings: &plan.settings,
        secrets: &plan.secrets,
        card: plan.card,
        at: plan.settings.at.unwrap_or(job.at),
        doubts: Doubts::default(),
    };
    let none = BTreeSet::new();
    let identified = Bench::new(channel, &desk, Holder::unknown(), &none).identify();
    let holder = identified.map_err(|stop| refused(plan, stop))?;
    let mut run =
        Run { channel, job, desk: &desk, holder, features: BTreeSet::new(), keys: BTreeSet::new(), moved: 0 };
    run.keys = run.keys_there();
    let before = run.purses();
    let features = plan.features.iter().map(|feature| run.probe(feature)).collect();

    let wanted = |case: &&Case| job.only.is_empty() || job.only.iter().any(|wanted| case.is_named(wanted));
    let cases: Vec<&Case> = plan.cases.iter().filter(wanted).collect();
    let mut done = Vec::new();
    let mut is_lost = false;
    for (number, case) in (1..).zip(&cases) {
        let report = if is_lost { run.lost(case) } else { run.case(case) };
        is_lost = is_lost || (report.is_silent() && run.channel.reset().is_err());
        progress(Progress { number, of: cases.len(), case: &report });
        done.push(report);
    }
    let money = before.into_iter().map(|(purse, fen)| run.restore(purse, fen)).collect();
    let numbers = (run.holder != Holder::unknown()).then(|| Hex(run.holder.asn()).to_string());
    Ok(Report {
        plan: plan.name.clone(),
        title: plan.title.clone(),
        plan_version: plan.version.clone(),
        program: format!("ykt {}", env!("CARGO_PKG_VERSION")),
        at: job.at.to_string(),
        place: job.place.to_owned(),
        atr: Hex(job.atr).to_string(),
        card: numbers.filter(|_| plan.card == CardSort::Purse),
        features,
        transactions: run.moved,
        money,
        cases: done,
    })
}

fn refused(plan: &Plan, stop: Stop) -> RunError {
    let other = |subject: String, expected, found| RunError::OtherCard {
        plan: plan.name.clone(),
        subject,
        expected,
        found,
    };
    match stop {
        Stop::Silent(source) => RunError::Silent { source },
        Stop::Wrong(Finding { subject, expected, found }) => other(subject.en, expected, found),
        Stop::Unable(what) => other(what.en, "a card of this plan".to_owned(), "another".to_owned()),
    }
}

struct Run<'a> {
    channel: &'a mut dyn CardChannel,
    job: &'a Job<'a>,
    desk: &'a Desk<'a>,
    holder: Holder,
    features: BTreeSet<String>,
    keys: BTreeSet<KeyName>,
    /// Transactions the card has finished.
    moved: usize,
}

impl Run<'_> {
    fn bench(&mut self) -> Bench<'_> {
        Bench::new(self.channel, self.desk, self.holder.clone(), &self.features)
    }

    /// The keys given for this card.
    fn keys_there(&self) -> BTreeSet<KeyName> {
        let settings = self.desk.settings;
        let is_there = |name: &KeyName| match name.kind() {
            None => self.job.keys.pin().is_some(),
            Some(kind) => {
                let key = KeyRef::new(kind, name.index(settings), settings.version);
                self.job.keys.key(&self.holder.address(key)).is_ok()
            }
        };
        KeyName::ALL.iter().copied().filter(is_there).collect()
    }

    /// Whether the card has a feature.
    fn probe(&mut self, feature: &Feature) -> FeatureLine {
        let is_there = match &feature.sign {
            Sign::Protocol(protocol) => protocol_of(self.job.atr) == *protocol,
            Sign::Probe { steps, absent } => self.shows(steps, absent.as_ref()),
        };
        if is_there {
            self.features.insert(feature.id.clone());
        }
        FeatureLine { id: feature.id.clone(), title: feature.title.clone(), is_there }
    }

    /// Whether the card does these steps; where words say that it does not, the last of them is judged by these.
    fn shows(&mut self, steps: &[Step], absent: Option<&Words>) -> bool {
        let mut bench = self.bench();
        let mut last = bench.start().map(|()| None);
        for step in steps {
            last = last.and_then(|_| bench.step(step));
        }
        let moved = bench.finished();
        self.moved = self.moved.saturating_add(moved);
        match (absent, last) {
            (Some(absent), Ok(Some(sw))) => !absent.accept(sw),
            (Some(_), Ok(None) | Err(_)) => false,
            (None, outcome) => outcome.is_ok(),
        }
    }

    fn case(&mut self, case: &Case) -> CaseReport {
        let report = |verdict, dialogue| CaseReport {
            id: case.id.clone(),
            purpose: case.purpose.clone(),
            clause: case.clause.clone(),
            is_destructive: case.harm != Harm::None,
            verdict,
            dialogue,
        };
        if let Some(reason) = self.reason_against(case) {
            return report(Verdict::NotApplicable { reason }, Vec::new());
        }
        let mut bench = self.bench();
        let started = match case.start {
            Start::Application => bench.start(),
            Start::Reset => bench.reset(),
        };
        let started = started.map_err(|stop| (Stage::Setup, 0, stop));
        let ready = started.and_then(|()| steps(&mut bench, Stage::Setup, &case.setup));
        // Where the ground was not made ready there is nothing to put back.
        let outcome = ready.and_then(|()| {
            let outcome = steps(&mut bench, Stage::Steps, &case.steps);
            outcome.and(steps(&mut bench, Stage::Cleanup, &case.cleanup))
        });
        let moved = bench.finished();
        let dialogue = bench.into_dialogue();
        self.moved = self.moved.saturating_add(moved);
        let verdict = match outcome {
            Ok(()) => Verdict::Passed,
            Err((_, _, Stop::Unable(reason))) => Verdict::NotApplicable { reason },
            Err((stage, number, Stop::Wrong(finding))) => {
                Verdict::Failed(failure(case, stage, number, finding, false))
            }
            Err((stage, number, Stop::Silent(error))) => {
                let finding = Finding::new(("answer", "应答"), "an answer", error);
                Verdict::Failed(failure(case, stage, number, finding, true))
            }
        };
        report(verdict, dialogue)
    }

    /// Why a case is not run on this card.
    fn reason_against(&self, case: &Case) -> Option<Text> {
        if case.harm > self.job.harm {
            return Some(match case.harm {
                Harm::Fatal => Text::new(
                    "the card is of no use afterwards: only with --fatal",
                    "测试后卡片报废：须加 --fatal",
                ),
                _ => Text::new("destructive: only with --destructive", "破坏性用例：须加 --destructive"),
            });
        }
        if let Some(need) = case.needs.iter().find(|need| !need.is_met(&self.features)) {
            let title = self.job.plan.features.iter().find(|feature| feature.id == need.feature);
            let title = title
                .map_or_else(|| Text::new(&need.feature, &need.feature), |feature| feature.title.clone());
            return Some(if need.is_wanted {
                Text::new(format!("not on this card: {}", title.en), format!("此卡不支持：{}", title.zh))
            } else {
                Text::new(
                    format!("not for cards with: {}", title.en),
                    format!("不适用于具有此项的卡：{}", title.zh),
                )
            });
        }
        let missing: Vec<&str> =
            case.keys(&self.features).difference(&self.keys).map(|key| key.name()).collect();
        (!missing.is_empty()).then(|| {
            let list = missing.join(", ");
            Text::new(format!("no {list} in the key file"), format!("密钥文件中没有 {list}"))
        })
    }

    /// A case after the card has stopped answering.
    fn lost(&self, case: &Case) -> CaseReport {
        CaseReport {
            id: case.id.clone(),
            purpose: case.purpose.clone(),
            clause: case.clause.clone(),
            is_destructive: case.harm != Harm::None,
            verdict: Verdict::NotApplicable {
                reason: Text::new("the card does not answer any more", "卡片不再应答"),
            },
            dialogue: Vec::new(),
        }
    }

    /// The purses that can be read, with their balance.
    fn purses(&mut self) -> Vec<(Purse, PurseFen)> {
        if self.desk.card != CardSort::Purse {
            return Vec::new();
        }
        let read = |purse| Some((purse, self.money(purse)?));
        [Purse::Ed, Purse::Ep].into_iter().filter_map(read).collect()
    }

    fn money(&mut self, purse: Purse) -> Option<PurseFen> {
        let mut bench = self.bench();
        bench.start().ok()?;
        bench.money(purse).ok()
    }

    /// Loads or pays until a purse holds again what it held before.
    fn restore(&mut self, purse: Purse, before: PurseFen) -> MoneyLine {
        let mut bench = self.bench();
        // Where it fails the line shows what is missing.
        let _ = bench.start().and_then(|()| bench.bring_to(purse, before));
        let moved = bench.finished();
        self.moved = self.moved.saturating_add(moved);
        let after = self.money(purse);
        MoneyLine {
            purse: match purse {
                Purse::Ed => "ED",
                Purse::Ep => "EP",
            },
            before: before.fen().fen(),
            after: after.map(|after| after.fen().fen()),
        }
    }
}

fn steps(bench: &mut Bench<'_>, stage: Stage, steps: &[Step]) -> Result<(), (Stage, usize, Stop)> {
    for (number, step) in (1..).zip(steps) {
        bench.step(step).map_err(|stop| (stage, number, stop))?;
    }
    Ok(())
}

fn failure(case: &Case, stage: Stage, number: usize, finding: Finding, is_silent: bool) -> Failure {
    let steps = match stage {
        Stage::Setup => &case.setup,
        Stage::Steps => &case.steps,
        Stage::Cleanup => &case.cleanup,
    };
    let step = number.checked_sub(1).and_then(|at| steps.get(at));
    let step = step.map_or_else(|| "start".to_owned(), |step| step.source.clone());
    Failure { stage, number, step, finding, is_silent }
}
