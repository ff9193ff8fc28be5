//! The flow of key download: open, commands, finish; and what the office does with lines, rights and batches.
//!
//! What is decided is decided inside one write transaction, so a quota has no edge that two calls could pass at once.
//! Commands change nothing: they look at the open cards of their line and ask the vault, and may be asked for again.

use super::refusal::unavailable;
use super::rules::{
    BATCH, LINE, REFUSED, RIGHT, active, answered, cards_per_call, decide, finish, is_open, note, scope,
    valid_right,
};
use super::store;
use super::visits::Visits;
use super::{
    Caller, CardFilter, CardRow, CardState, CommandRefusal, Ending, KeepError, LineRow, LineState, NewLine,
    NewRight, OpenCall, Progress, Refusal, RightTo, Verdict, Wanted, digest, is_name, number_of, parse_batch,
};
use crate::campaigns;
use std::collections::BTreeMap;
use std::sync::Arc;
use ykt_base::DateTime;
use ykt_base::hex::Hex;
use ykt_crypto::chain::{Hash32, sm3};
use ykt_crypto::sm::CommandBytes;
use ykt_issue::{CommandMaker, DownloadError, Profile, StepRequest, Subject};
use ykt_office::Act;
use ykt_office::audit::{self, Outcome};
use ykt_store::{Page, Paging, Store, StoreError};
use ykt_vault::{Health, Vault, VaultError};

/// Key download of one installation. Clones share database, vault and applications.
#[derive(Clone)]
pub struct Download {
    store: Store,
    vault: Option<Arc<dyn Vault>>,
    applications: Arc<BTreeMap<String, Profile>>,
    pub(super) visits: Arc<Visits>,
}

/// A card that is open: whoever has one passed line, right and quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCard {
    pub(super) id: u32,
    pub(super) application: String,
    pub(super) subject: Subject,
}

impl OpenCard {
    /// The row, by which calls name it.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The card.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }
}

/// What became of the cards of a call, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opened {
    /// Those that are open now.
    pub open: Vec<OpenCard>,
    /// The others, and why.
    pub refused: Vec<(Subject, Verdict)>,
}

/// One command that a line asks for.
#[derive(Clone, Copy)]
pub struct CommandCall<'a> {
    /// Row of the card.
    pub card: u32,
    /// The step.
    pub request: StepRequest<'a>,
}

impl Download {
    /// Key download for the applications of these profiles.
    #[must_use]
    pub fn new(store: Store, vault: Arc<dyn Vault>, profiles: impl IntoIterator<Item = Profile>) -> Download {
        Download { vault: Some(vault), ..Download::office(store, profiles) }
    }

    /// The office's part alone, for whoever keeps lines, rights and batches where no vault is at hand: lines are told that
    /// there are no keys.
    #[must_use]
    pub fn office(store: Store, profiles: impl IntoIterator<Item = Profile>) -> Download {
        let applications = profiles.into_iter().map(|profile| (profile.name.clone(), profile)).collect();
        Download { store, vault: None, applications: Arc::new(applications), visits: Arc::default() }
    }

    fn vault(&self) -> Result<&Arc<dyn Vault>, Refusal> {
        let missing = || Refusal::VaultUnavailable { reason: "none is open here".to_owned() };
        self.vault.as_ref().ok_or_else(missing)
    }

    /// The vault, when it gives keys at this moment: nothing is begun, and nothing taken of a quota, when it does not.
    pub(super) fn ready_vault(&self) -> Result<Arc<dyn Vault>, Refusal> {
        let vault = self.vault()?;
        match vault.status().health {
            Health::Ready => Ok(Arc::clone(vault)),
            Health::Locked => Err(Refusal::VaultUnavailable { reason: "it is locked".to_owned() }),
            Health::Gone { reason } => Err(Refusal::VaultUnavailable { reason }),
        }
    }

    /// The applications there are, by name.
    pub fn applications(&self) -> impl Iterator<Item = &Profile> {
        self.applications.values()
    }

    /// The profile of an application.
    #[must_use]
    pub fn application(&self, name: &str) -> Option<&Profile> {
        self.applications.get(name)
    }

    /// The database.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    // --- The office ------------------------------------------------------------------------------------------

    /// Takes in a line. The same line again is passed over.
    ///
    /// # Errors
    /// [`KeepError::Name`]; [`KeepError::Taken`] when name or certificate belong to another.
    pub fn add_line(&self, new: &NewLine, act: &Act) -> Result<(), KeepError> {
        name(&new.name)?;
        self.store.write(|tx| {
            if let Some(line) = store::line(tx, &new.name)? {
                let same = (line.kind, line.certificate) == (new.kind, new.certificate);
                return if same { Ok(()) } else { Err(taken("line", &new.name)) };
            }
            if let Some(line) = store::line_of(tx, &new.certificate)? {
                return Err(taken("certificate of line", &line.name));
            }
            store::add_line(tx, new, act.at)?;
            let detail = format!("taken in as {}, certificate {}", new.kind, Hex(new.certificate.as_bytes()));
            audit::append(tx, act, LINE, &new.name, Outcome::Done, &detail)?;
            Ok(())
        })
    }

    /// Stops a line, or lets it work again.
    ///
    /// # Errors
    /// [`KeepError::Unknown`].
    pub fn set_line(&self, line: &str, state: LineState, act: &Act) -> Result<(), KeepError> {
        self.store.write(|tx| {
            let row = store::line(tx, line)?.ok_or_else(|| unknown("line", line))?;
            if row.state != state {
                store::set_line(tx, line, state, act.at)?;
                audit::append(tx, act, LINE, line, Outcome::Done, &format!("{} -> {state}", row.state))?;
            }
            Ok(())
        })
    }

    /// Gives a line a right; its number comes back.
    ///
    /// # Errors
    /// [`KeepError::Unknown`] for line, application, batch or campaign, [`KeepError::EmptyRight`].
    pub fn give_right(&self, new: &NewRight, act: &Act) -> Result<u32, KeepError> {
        if new.quota == 0 || new.until < new.from {
            return Err(KeepError::EmptyRight { from: new.from, until: new.until });
        }
        if let RightTo::Cards { application, .. } = &new.to {
            self.profile_of(application)?;
        }
        self.store.write(|tx| {
            store::line(tx, &new.line)?.ok_or_else(|| unknown("line", &new.line))?;
            if let Some(batch) = new.to.batch() {
                store::batch(tx, batch)?.ok_or_else(|| unknown("batch", batch))?;
            }
            if let RightTo::Visits { campaign } = &new.to {
                campaigns::one(tx, campaign)?.ok_or_else(|| unknown("campaign", campaign))?;
            }
            let id = store::add_right(tx, new)?;
            let detail = format!(
                "right {id} to {} for {}: {} cards from {} to {}",
                new.to,
                scope(&new.to),
                new.quota,
                new.from,
                new.until
            );
            audit::append(tx, act, RIGHT, &new.line, Outcome::Done, &detail)?;
            Ok(id)
        })
    }

    /// Takes a right back; cards that are open may still be finished.
    ///
    /// # Errors
    /// [`KeepError::Unknown`].
    pub fn withdraw_right(&self, id: u32, act: &Act) -> Result<(), KeepError> {
        self.store.write(|tx| {
            if !store::withdraw_right(tx, id)? {
                return Err(unknown("right", &id.to_string()));
            }
            audit::append(tx, act, RIGHT, &id.to_string(), Outcome::Done, "withdrawn")?;
            Ok(())
        })
    }

    /// Takes in the file of a batch; how many cards it has comes back. The same file again is passed over.
    ///
    /// # Errors
    /// [`KeepError::Batch`] with every line that is wrong, cards that are there already among them;
    /// [`KeepError::Taken`] when the name stands for another file.
    pub fn load_batch(
        &self,
        batch: &str,
        application: &str,
        text: &str,
        act: &Act,
    ) -> Result<usize, KeepError> {
        name(batch)?;
        let subjects = parse_batch(self.profile_of(application)?, text)?;
        let digest = sm3(&[application.as_bytes(), &[0], text.as_bytes()]);
        self.add_batch(batch, application, &subjects, &digest, act)
    }

    /// As [`Download::load_batch`], for cards that are known already.
    ///
    /// # Errors
    /// As [`Download::load_batch`]; line numbers count the cards then.
    pub fn make_batch(
        &self,
        batch: &str,
        application: &str,
        subjects: &[Subject],
        act: &Act,
    ) -> Result<usize, KeepError> {
        name(batch)?;
        self.profile_of(application)?;
        let numbers: String = subjects.iter().map(|subject| number_of(subject) + "\n").collect();
        let digest = sm3(&[application.as_bytes(), &[1], numbers.as_bytes()]);
        self.add_batch(batch, application, subjects, &digest, act)
    }

    fn add_batch(
        &self,
        batch: &str,
        application: &str,
        subjects: &[Subject],
        digest: &Hash32,
        act: &Act,
    ) -> Result<usize, KeepError> {
        self.store.write(|tx| {
            if let Some((_, known)) = store::batch(tx, batch)? {
                return if known == *digest { Ok(subjects.len()) } else { Err(taken("batch", batch)) };
            }
            super::batch::refuse_known(subjects, |subject| {
                let row = store::card_of(tx, application, subject)?;
                Ok::<_, StoreError>(row.map(|row| (row.state, row.batch)))
            })?;
            store::add_batch(tx, batch, application, digest, act.at, &act.who)?;
            store::add_cards(tx, application, Some(batch), subjects)?;
            let detail = format!("{} cards for {application}", subjects.len());
            audit::append(tx, act, BATCH, batch, Outcome::Done, &detail)?;
            Ok(subjects.len())
        })
    }

    /// Takes the cards that a line began in a batch and did not make away from it, so that another may begin them.
    ///
    /// # Errors
    /// [`KeepError::Unknown`].
    pub fn release(&self, batch: &str, line: &str, act: &Act) -> Result<usize, KeepError> {
        self.store.write(|tx| {
            store::batch(tx, batch)?.ok_or_else(|| unknown("batch", batch))?;
            store::line(tx, line)?.ok_or_else(|| unknown("line", line))?;
            let cards = store::release(tx, batch, line)?;
            audit::append(
                tx,
                act,
                BATCH,
                batch,
                Outcome::Done,
                &format!("{cards} cards taken from line {line}"),
            )?;
            Ok(cards)
        })
    }

    fn profile_of(&self, application: &str) -> Result<&Profile, KeepError> {
        self.application(application).ok_or_else(|| unknown("application", application))
    }

    // --- The lines -------------------------------------------------------------------------------------------

    /// The line of a client certificate, when it may work. Whoever comes with another is written into the audit log.
    ///
    /// # Errors
    /// [`Refusal::UnknownLine`], [`Refusal::LineStopped`].
    pub fn line_of(&self, certificate: &Hash32, from: &str, at: DateTime) -> Result<LineRow, Refusal> {
        let found = self.store.read(|tx| store::line_of(tx, certificate))?;
        let refusal = match found {
            Some(line) if line.state == LineState::Active => return Ok(line),
            Some(line) => Refusal::LineStopped { line: line.name },
            None => Refusal::UnknownLine { certificate: Hex(certificate.as_bytes()).to_string() },
        };
        let line = match &refusal {
            Refusal::LineStopped { line } => line.clone(),
            _ => "unknown".to_owned(),
        };
        self.refuse(&Caller { line, from: from.to_owned(), at }, refusal)
    }

    /// Opens cards: checks line, right and quota, takes of it, and keeps that before it answers. The same operation id
    /// with the same content answers the same again.
    ///
    /// # Errors
    /// [`Refusal`]; nothing was opened then. What is wrong with a single card stands in the answer.
    pub fn open(&self, call: &OpenCall, caller: &Caller) -> Result<Opened, Refusal> {
        self.told(caller, self.try_open(call, caller))
    }

    fn try_open(&self, call: &OpenCall, caller: &Caller) -> Result<Opened, Refusal> {
        if !is_name(&call.operation) {
            let expected = "an operation id of letters, digits, `.`, `_`, `-`";
            return Err(Refusal::Form { expected, found: call.operation.clone() });
        }
        let count = match &call.cards {
            Wanted::Listed(subjects) => subjects.len(),
            Wanted::Next(count) | Wanted::Broken(count) => *count,
        };
        cards_per_call(count)?;
        let profile = self.application(&call.application);
        let profile =
            profile.ok_or_else(|| Refusal::UnknownApplication { name: call.application.clone() })?;
        self.ready_vault()?;
        let digest = digest(call);
        self.store.write(|tx| {
            let line = active(tx, &caller.line)?;
            if let Some((known, answer)) = store::operation(tx, &caller.line, &call.operation)? {
                if known != digest {
                    return Err(Refusal::OperationReused { id: call.operation.clone() });
                }
                return answered(tx, call, &answer);
            }
            let answer = decide(tx, call, profile, caller, &line)?;
            store::add_operation(tx, (&caller.line, &call.operation), &digest, &answer, caller.at)?;
            answered(tx, call, &answer)
        })
    }

    /// The ready commands for open cards of the line, each on its own: one that is refused stops no other.
    ///
    /// # Errors
    /// [`Refusal`] of the call: line, number of cards, or [`Refusal::VaultUnavailable`], after which the whole call may
    /// be made again.
    pub fn commands(
        &self,
        calls: &[CommandCall<'_>],
        caller: &Caller,
    ) -> Result<Vec<Result<CommandBytes, CommandRefusal>>, Refusal> {
        let cards = cards_per_call(calls.len()).and_then(|()| {
            self.store.read(|tx| {
                active(tx, &caller.line)?;
                let open = |call: &CommandCall<'_>| {
                    let row = store::card(tx, call.card)?;
                    Ok(row.filter(|row| is_open(row, &caller.line)))
                };
                calls.iter().map(open).collect::<Result<Vec<_>, StoreError>>().map_err(Refusal::from)
            })
        });
        let cards = self.told(caller, cards)?;
        let vault = self.vault()?;
        let mut commands = Vec::with_capacity(calls.len());
        for (call, card) in calls.iter().zip(&cards) {
            let made = match card {
                None => Err(CommandRefusal::NotOpen { id: call.card }),
                Some(card) => self.make(&**vault, card, &call.request).map_err(CommandRefusal::Command),
            };
            if let Err(CommandRefusal::Command(DownloadError::Vault(error))) = &made
                && let Some(refusal) = unavailable(error)
            {
                return Err(refusal);
            }
            commands.push(made);
        }
        let refused: Vec<_> = commands.iter().filter_map(|made| made.as_ref().err()).collect();
        if let Some(first) = refused.first() {
            let detail = format!("{} of {} commands refused; the first: {first}", refused.len(), calls.len());
            self.store.write(|tx| note(tx, caller, Outcome::Refused, REFUSED, &caller.line, &detail))?;
        }
        Ok(commands)
    }

    fn make(
        &self,
        vault: &dyn Vault,
        card: &CardRow,
        request: &StepRequest<'_>,
    ) -> Result<CommandBytes, DownloadError> {
        let missing =
            || VaultError::NotAllowed { reason: format!("there is no application {}", card.application) };
        let profile = self.application(&card.application).ok_or_else(missing)?;
        CommandMaker { vault, profile, subject: &card.subject }.make(request)
    }

    /// The centre's side for an open card in this process.
    #[must_use]
    pub fn maker<'a>(&'a self, card: &'a OpenCard) -> Option<CommandMaker<'a>> {
        let profile = self.application(&card.application)?;
        Some(CommandMaker { vault: self.vault.as_deref()?, profile, subject: &card.subject })
    }

    /// Notes how cards of the line ended. The same ending again is answered alike.
    ///
    /// # Errors
    /// [`Refusal`] of the call; what is wrong with a single card stands in the answer.
    pub fn finish(
        &self,
        endings: &[(u32, Ending)],
        caller: &Caller,
    ) -> Result<Vec<Result<(), CommandRefusal>>, Refusal> {
        let done = cards_per_call(endings.len()).and_then(|()| {
            self.store.write(|tx| {
                let line = active(tx, &caller.line)?;
                finish(tx, endings, caller, &line)
            })
        });
        self.told(caller, done)
    }

    /// Whether a line may bring batches of an application: it needs a right that is for no batch in particular.
    ///
    /// # Errors
    /// [`Refusal`], which is in the audit log then.
    pub fn may_bring_batches(&self, application: &str, caller: &Caller) -> Result<(), Refusal> {
        let may = self.store.read(|tx| {
            active(tx, &caller.line)?;
            valid_right(tx, &RightTo::cards(application, None), caller)
        });
        self.told(caller, may)
    }

    /// How far a batch is.
    ///
    /// # Errors
    /// [`Refusal::UnknownBatch`].
    pub fn progress(&self, batch: &str) -> Result<Progress, Refusal> {
        self.store.read(|tx| {
            store::batch(tx, batch)?.ok_or_else(|| Refusal::UnknownBatch { name: batch.to_owned() })?;
            Ok(store::progress(tx, batch)?)
        })
    }

    /// The cards of a batch that the line began, those in one state or all, page by page.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn begun(
        &self,
        batch: &str,
        state: Option<CardState>,
        page: Paging,
        caller: &Caller,
    ) -> Result<Page<CardRow>, Refusal> {
        let (named, line) = (Some(batch.to_owned()), Some(caller.line.clone()));
        let filter = CardFilter { application: None, batch: named, line, state };
        let found = self.store.read(|tx| {
            active(tx, &caller.line)?;
            store::batch(tx, batch)?.ok_or_else(|| Refusal::UnknownBatch { name: batch.to_owned() })?;
            Ok(store::cards(tx, &filter, page)?)
        });
        self.told(caller, found)
    }

    /// An answer to a line; a rule that says no is in the audit log before.
    pub(super) fn told<T>(&self, caller: &Caller, answer: Result<T, Refusal>) -> Result<T, Refusal> {
        match answer {
            Err(refusal) if !refusal.is_fault() => self.refuse(caller, refusal),
            answer => answer,
        }
    }

    /// Writes a refusal into the audit log, then answers it.
    fn refuse<T>(&self, caller: &Caller, refusal: Refusal) -> Result<T, Refusal> {
        let detail = format!("{}: {refusal}", refusal.code());
        self.store.write(|tx| note(tx, caller, Outcome::Refused, REFUSED, &caller.line, &detail))?;
        Err(refusal)
    }
}

fn name(text: &str) -> Result<(), KeepError> {
    if is_name(text) { Ok(()) } else { Err(KeepError::Name { found: text.to_owned() }) }
}

fn unknown(what: &'static str, name: &str) -> KeepError {
    KeepError::Unknown { what, name: name.to_owned() }
}

fn taken(what: &'static str, name: &str) -> KeepError {
    KeepError::Taken { what, name: name.to_owned() }
}
