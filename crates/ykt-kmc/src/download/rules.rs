//! What a call of a line may do, decided inside its write transaction: rights, quotas, the state of each card; and the
//! records that tell of it.

use super::service::{OpenCard, Opened};
use super::store::{self, Answer};
use super::{
    CARDS_PER_CALL_MAX, Caller, CardRow, CardState, CommandRefusal, Ending, LineKind, LineRow, LineState,
    OpenCall, Refusal, RightRow, RightTo, Verdict, Wanted, masked, number_of,
};
use std::collections::BTreeSet;
use ykt_base::Asn8;
use ykt_issue::{Profile, Subject};
use ykt_office::Act;
use ykt_office::audit::{self, Outcome};
use ykt_store::{StoreError, Tx};

/// Words of the audit log.
pub(super) const LINE: &str = "download/line";
pub(super) const RIGHT: &str = "download/right";
pub(super) const BATCH: &str = "download/batch";
pub(super) const CARD: &str = "download/card";
pub(super) const REFUSED: &str = "download/refused";

pub(super) fn note(
    tx: &Tx,
    caller: &Caller,
    outcome: Outcome,
    what: &str,
    object: &str,
    detail: &str,
) -> Result<(), StoreError> {
    let act = Act::of(&format!("<line {}>", caller.line), &caller.from, caller.at);
    audit::append(tx, &act, what, object, outcome, detail).map(drop)
}

pub(super) fn of_batch(batch: Option<&str>) -> String {
    batch.map_or_else(|| "any cards".to_owned(), |batch| format!("batch {batch}"))
}

/// What a right is for, in words.
pub(super) fn scope(to: &RightTo) -> String {
    match to {
        RightTo::Cards { batch, .. } => of_batch(batch.as_deref()),
        RightTo::Visits { .. } => "its cards".to_owned(),
    }
}

pub(super) fn cards_per_call(found: usize) -> Result<(), Refusal> {
    if (1..=CARDS_PER_CALL_MAX).contains(&found) { Ok(()) } else { Err(Refusal::CardsPerCall { found }) }
}

pub(super) fn active(tx: &Tx, line: &str) -> Result<LineRow, Refusal> {
    match store::line(tx, line)? {
        Some(row) if row.state == LineState::Active => Ok(row),
        Some(row) => Err(Refusal::LineStopped { line: row.name }),
        None => Err(Refusal::UnknownLine { certificate: line.to_owned() }),
    }
}

pub(super) fn is_open(row: &CardRow, line: &str) -> bool {
    row.state == CardState::UnderWay && row.line.as_deref() == Some(line)
}

/// Decides each card of a call, takes of the quota and writes what is open now.
pub(super) fn decide(
    tx: &Tx,
    call: &OpenCall,
    profile: &Profile,
    caller: &Caller,
    line: &LineRow,
) -> Result<Answer, Refusal> {
    let batch = call.batch.as_deref();
    if let Some(name) = batch {
        let found = store::batch(tx, name)?;
        let (application, _) = found.ok_or_else(|| Refusal::UnknownBatch { name: name.to_owned() })?;
        if application != call.application {
            let (batch, found) = (name.to_owned(), call.application.clone());
            return Err(Refusal::OtherApplication { batch, expected: application, found });
        }
    }
    let named = || {
        let expected = "the batch that cards are taken from";
        batch.ok_or_else(|| Refusal::Form { expected, found: String::new() })
    };
    let mut answer = Answer::new();
    let mut new: Vec<Subject> = Vec::new();
    match &call.cards {
        Wanted::Next(count) => {
            let rows = store::waiting(tx, named()?, *count)?;
            answer.extend(rows.iter().map(|row| (row.id, Verdict::Opened)));
        }
        Wanted::Broken(count) => {
            let rows = store::broken(tx, named()?, &caller.line, *count)?;
            answer.extend(rows.iter().map(|row| (row.id, Verdict::Reopened)));
        }
        Wanted::Listed(subjects) => {
            let mut seen = BTreeSet::new();
            for subject in subjects {
                let row = store::card_of(tx, &call.application, subject)?;
                let verdict = if subject.kind() != profile.kind {
                    Verdict::OtherKind
                } else if !seen.insert(number_of(subject)) {
                    Verdict::Twice
                } else {
                    judge(row.as_ref(), subject, batch, &caller.line)
                };
                if row.is_none() && verdict == Verdict::Opened {
                    new.push(subject.clone());
                }
                answer.push((row.map_or(0, |row| row.id), verdict));
            }
        }
    }
    let begun = answer.iter().filter(|(_, verdict)| *verdict == Verdict::Opened).count();
    let to = RightTo::cards(&call.application, batch);
    let right = take(tx, &to, caller, u32::try_from(begun).unwrap_or(u32::MAX))?;
    let mut ids = store::add_cards(tx, &call.application, None, &new)?..;
    for (id, verdict) in &mut answer {
        if *id == 0 && *verdict == Verdict::Opened {
            *id = ids.next().unwrap_or_default();
        }
        if verdict.is_open() {
            store::begin(tx, *id, &caller.line, right, caller.at)?;
        }
    }
    audit_opened(tx, call, caller, line, &answer, right)?;
    Ok(answer)
}

/// What becomes of one listed card.
fn judge(row: Option<&CardRow>, subject: &Subject, batch: Option<&str>, line: &str) -> Verdict {
    let Some(row) = row else {
        return if batch.is_some() { Verdict::NotInBatch } else { Verdict::Opened };
    };
    if row.state == CardState::Done {
        return Verdict::DoneAlready;
    }
    if row.subject != *subject {
        return Verdict::OtherNumbers;
    }
    if row.batch.as_deref() != batch {
        return if batch.is_some() { Verdict::NotInBatch } else { Verdict::OtherBatch };
    }
    match row.state {
        CardState::Waiting => Verdict::Opened,
        _ if row.line.as_deref() == Some(line) => Verdict::Reopened,
        _ => Verdict::OtherLine,
    }
}

/// The right that a call is made with, with so many cards taken of it: one for the batch before one for any, and
/// the one that ends first.
fn take(tx: &Tx, to: &RightTo, caller: &Caller, cards: u32) -> Result<u32, Refusal> {
    let rights = valid_rights(tx, to, caller)?;
    if let Some(row) = rights.iter().find(|row| row.left() >= cards) {
        store::use_right(tx, row.id, cards)?;
        return Ok(row.id);
    }
    let left = rights.iter().map(RightRow::left).max().unwrap_or(0);
    let (line, application) = (caller.line.clone(), to.to_string());
    Err(Refusal::QuotaUsed { line, application, left, wanted: cards })
}

/// The rights of a line that are valid on the day of the call; there is one at least.
fn valid_rights(tx: &Tx, to: &RightTo, caller: &Caller) -> Result<Vec<RightRow>, Refusal> {
    let today = caller.at.date;
    let (line, application) = (caller.line.clone(), to.to_string());
    let rights = store::rights_for(tx, &caller.line, to)?;
    let valid = |row: &RightRow| (row.right.from..=row.right.until).contains(&today);
    match rights.first().map(|row| (row.right.from, row.right.until)) {
        Some(_) if rights.iter().any(valid) => Ok(rights.into_iter().filter(valid).collect()),
        Some((from, until)) => Err(Refusal::RightExpired { line, application, from, until, today }),
        None => Err(Refusal::NoRight { line, application, batch: scope(to) }),
    }
}

/// Whether a line has a right that is valid on the day of the call, whatever is left of its quota.
pub(super) fn valid_right(tx: &Tx, to: &RightTo, caller: &Caller) -> Result<(), Refusal> {
    valid_rights(tx, to, caller).map(drop)
}

/// Takes one card of a line's right to a campaign when the card is shown to it for the first time; which right that was.
pub(super) fn take_visit(
    tx: &Tx,
    campaign: &str,
    asn: &Asn8,
    caller: &Caller,
) -> Result<Option<u32>, Refusal> {
    if store::has_visited(tx, campaign, asn, &caller.line)? {
        return Ok(None);
    }
    let right = take(tx, &RightTo::visits(campaign), caller, 1)?;
    store::add_visited(tx, campaign, asn, (&caller.line, right), caller.at)?;
    Ok(Some(right))
}

/// One record of the call with its counts; of a counter, which serves one person after the other, one per card.
fn audit_opened(
    tx: &Tx,
    call: &OpenCall,
    caller: &Caller,
    line: &LineRow,
    answer: &Answer,
    right: u32,
) -> Result<(), StoreError> {
    let count = |wanted: fn(Verdict) -> bool| answer.iter().filter(|(_, verdict)| wanted(*verdict)).count();
    let detail = format!(
        "{} for {}: {} cards opened, {} again, {} refused; right {right}",
        call.application,
        of_batch(call.batch.as_deref()),
        count(|verdict| verdict == Verdict::Opened),
        count(|verdict| verdict == Verdict::Reopened),
        count(|verdict| !verdict.is_open()),
    );
    note(tx, caller, Outcome::Done, CARD, &caller.line, &detail)?;
    if let (LineKind::Counter, Wanted::Listed(subjects)) = (line.kind, &call.cards) {
        for ((_, verdict), subject) in answer.iter().zip(subjects) {
            let outcome = if verdict.is_open() { Outcome::Done } else { Outcome::Refused };
            note(tx, caller, outcome, CARD, &masked(subject), &format!("{}: {verdict}", call.application))?;
        }
    }
    Ok(())
}

/// The answer of an operation, from what was kept of it.
pub(super) fn answered(tx: &Tx, call: &OpenCall, answer: &Answer) -> Result<Opened, Refusal> {
    let mut opened = Opened::default();
    for (at, (id, verdict)) in answer.iter().enumerate() {
        if verdict.is_open() {
            if let Some(CardRow { application, subject, .. }) = store::card(tx, *id)? {
                opened.open.push(OpenCard { id: *id, application, subject });
            }
        } else if let Wanted::Listed(subjects) = &call.cards {
            opened.refused.extend(subjects.get(at).map(|subject| (subject.clone(), *verdict)));
        }
    }
    Ok(opened)
}

pub(super) fn finish(
    tx: &Tx,
    endings: &[(u32, Ending)],
    caller: &Caller,
    line: &LineRow,
) -> Result<Vec<Result<(), CommandRefusal>>, Refusal> {
    let (mut made, mut failed) = (0_u32, 0_u32);
    let mut answers = Vec::with_capacity(endings.len());
    for (id, ending) in endings {
        let row = store::card(tx, *id)?.filter(|row| row.line.as_deref() == Some(&*caller.line));
        let Some(row) = row else {
            answers.push(Err(CommandRefusal::NotOpen { id: *id }));
            continue;
        };
        let again = match ending {
            Ending::Made => row.state == CardState::Done,
            Ending::Failed(reason) => row.state == CardState::Failed && row.reason == store::shown(reason),
        };
        if again || row.state != CardState::UnderWay {
            answers.push(if again { Ok(()) } else { Err(CommandRefusal::NotOpen { id: *id }) });
            continue;
        }
        store::end(tx, *id, ending, caller.at)?;
        let card = masked(&row.subject);
        match ending {
            Ending::Made => {
                made = made.saturating_add(1);
                if line.kind == LineKind::Counter {
                    note(tx, caller, Outcome::Done, CARD, &card, &format!("{}: made", row.application))?;
                }
            }
            Ending::Failed(reason) => {
                failed = failed.saturating_add(1);
                let detail = format!("{}: failed: {}", row.application, store::shown(reason));
                note(tx, caller, Outcome::Refused, CARD, &card, &detail)?;
            }
        }
        answers.push(Ok(()));
    }
    if (made, failed) != (0, 0) {
        let detail = format!("{made} cards made, {failed} failed");
        note(tx, caller, Outcome::Done, CARD, &caller.line, &detail)?;
    }
    Ok(answers)
}
