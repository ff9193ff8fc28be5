//! The production line: a batch, a slot, and one chip after the other in it.

use super::chip::{self, ChipError, Work};
use super::stage::{Stage, StageError, stages};
use super::store;
use super::{Batch, BatchError, BatchState, Protocol, Psam, PsamKey, PsamState, protocol};
use crate::shown::{CheckValues, one_line};
use std::sync::atomic::{AtomicBool, Ordering};
use ykt_base::hex::Hex;
use ykt_base::{CardChannel, Clock, Rng};
use ykt_issue::profile::{Action, Step};
use ykt_issue::{Profile, PsamData};
use ykt_office::terminals::{self, Pair};
use ykt_office::{Act, RegisterError};
use ykt_purse::hard_info::{HardInfo, LifeCycle};
use ykt_store::{Store, StoreError};
use ykt_vault::{Signer, Vault, VaultError};

/// A line that makes the PSAMs of one batch.
pub struct Line<'a> {
    store: &'a Store,
    vault: &'a dyn Vault,
    clock: &'a dyn Clock,
    who: String,
    from: String,
    stop: &'a AtomicBool,
    batch: Batch,
    profile: Profile,
    towards: Vec<Stage>,
}

/// A step that is about to be done.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// The PSAM under way.
    pub psam: &'a Psam,
    /// The step of production.
    pub stage: Stage,
    /// The step of the profile, from 1.
    pub number: usize,
    /// How many steps the profile has.
    pub of: usize,
    /// Its title.
    pub title: &'a str,
}

/// What became of a chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// It is a PSAM now.
    Produced(Box<Psam>),
    /// It answered wrongly: it is set aside, its number is spent, the batch goes on.
    Stopped {
        /// The PSAM it should have become.
        psam: Box<Psam>,
        /// Where it stopped and why.
        why: String,
    },
    /// It was taken out, or the line was told to stop: it goes on when it comes back.
    Interrupted {
        /// The PSAM it is about to become.
        psam: Box<Psam>,
        /// Where it stands and why.
        why: String,
    },
    /// It cannot become a PSAM of this batch; no number was given to it.
    Refused {
        /// What it is.
        why: String,
    },
    /// Every number of the batch is given.
    NothingWaits,
}

/// Why the line stands still: it is not the chip's fault.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such batch, or it is closed.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Its profile cannot make PSAMs.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The vault did not serve. Nothing is half done: the chip under way goes on when the vault is there again.
    #[error(
        "the vault did not serve, production stands still; unlock or repair it, then run the batch again and \
         put the same chip in"
    )]
    Vault(#[from] VaultError),
    /// The profile asks for what cannot be.
    #[error("the profile of the batch cannot be done: {what}")]
    Profile {
        /// What cannot be.
        what: String,
    },
    /// The batch is closed.
    #[error("batch {id} is closed: its protocol is signed; open another batch")]
    Closed {
        /// Its id.
        id: String,
    },
    /// Some of its PSAMs are not ended yet.
    #[error(
        "batch {id} cannot be closed: {waiting} PSAMs wait and {in_work} are in work; make them, or stop those whose \
         chips will not come back"
    )]
    NotEnded {
        /// Its id.
        id: String,
        /// How many wait.
        waiting: u32,
        /// How many are in work.
        in_work: u32,
    },
}

impl<'a> Line<'a> {
    /// A line for a batch that is open. `stop` ends it between two commands.
    ///
    /// # Errors
    /// [`LineError`].
    pub fn open(
        store: &'a Store,
        vault: &'a dyn Vault,
        clock: &'a dyn Clock,
        (who, from): (&str, &str),
        batch: &str,
        stop: &'a AtomicBool,
    ) -> Result<Line<'a>, LineError> {
        let batch = store.read(|tx| store::batch(tx, batch))?;
        if batch.state == BatchState::Closed {
            return Err(LineError::Closed { id: batch.new.id });
        }
        let profile = Profile::parse(&batch.new.profile).map_err(StageError::from)?;
        let towards = stages(&profile)?;
        let (who, from) = (who.to_owned(), from.to_owned());
        Ok(Line { store, vault, clock, who, from, stop, batch, profile, towards })
    }

    /// The batch as it was when the line began.
    #[must_use]
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Makes a PSAM of the chip in `channel`, or goes on with the one it was about to become.
    ///
    /// # Errors
    /// [`LineError`]: what stops the whole line; everything that only concerns this chip is a [`Made`].
    pub fn make(
        &self,
        channel: &mut (impl CardChannel + ?Sized),
        tell: &mut dyn FnMut(Moment<'_>),
    ) -> Result<Made, LineError> {
        let info = match chip::inspect(channel) {
            Ok(info) => info,
            Err(error) => return Ok(Made::Refused { why: one_line(&error) }),
        };
        let (psam, came) = match self.number_for(&info)? {
            Ok(found) => found,
            Err(made) => return Ok(made),
        };
        let new = &self.batch.new;
        let data = PsamData {
            serial: psam.serial,
            terminal: psam.terminal,
            issuer: new.issuer,
            receiver: new.receiver,
            key_index: new.key_index,
            start: new.start,
            expiry: new.expiry,
        };
        let (vault, profile) = (self.vault, &self.profile);
        let mut work = Work { channel, vault, profile, data, commands: 0 };
        match self.steps(&mut work, &psam, came, tell) {
            Ok(()) => self.ended(&work, psam),
            Err(StepError::Line(error)) => Err(error),
            Err(StepError::Stopped) => self.interrupted(psam, "the line was told to stop"),
            Err(StepError::Chip(ChipError::Silent { during, source })) => {
                self.interrupted(psam, &format!("no answer in {during}: {source}"))
            }
            Err(StepError::Chip(ChipError::Wrong(wrong))) => self.stopped(psam, &wrong.to_string()),
            Err(StepError::Chip(ChipError::Vault { title, source })) => {
                self.interrupted(psam, &format!("the vault refused in {title}: {source}"))?;
                Err(source.into())
            }
            Err(StepError::Chip(ChipError::Profile { what })) => {
                self.interrupted(psam, &format!("the profile cannot be done: {what}"))?;
                Err(LineError::Profile { what })
            }
        }
    }

    /// Signs the protocol of a batch whose PSAMs are all produced or stopped, and closes it.
    ///
    /// # Errors
    /// [`LineError::NotEnded`], [`LineError::Vault`] when the signing key cannot be used.
    pub fn close(&self, signer: &dyn Signer, rng: &mut dyn Rng) -> Result<Protocol, LineError> {
        let act = self.act();
        let id = &self.batch.new.id;
        let text = self.store.read(|tx| {
            let counts = store::batch(tx, id)?.counts;
            if counts.waiting > 0 || counts.in_work > 0 {
                let (waiting, in_work) = (counts.waiting, counts.in_work);
                return Err(LineError::NotEnded { id: id.clone(), waiting, in_work });
            }
            Ok(protocol::text(tx, id, &act)?)
        })?;
        let signature = signer.sign(&[text.as_bytes()], rng)?;
        let public_key = *signer.public_key().as_bytes();
        let protocol = Protocol { text, public_key, signature: signature.0 };
        self.store.write(|tx| store::close(tx, id, &protocol, &act))?;
        Ok(protocol)
    }

    fn act(&self) -> Act {
        Act::of(&self.who, &self.from, self.clock.now())
    }

    /// The PSAM this chip goes on to become, or the next number of the batch for a blank one.
    fn number_for(&self, info: &HardInfo) -> Result<Result<(Psam, Came), Made>, LineError> {
        let refused = |why: String| Ok(Err(Made::Refused { why }));
        if let Err(wrong) = chip::demand_psam(info) {
            return refused(wrong.to_string());
        }
        let batch = &self.batch.new.id;
        let act = self.act();
        let known = self.store.read(|tx| store::of_chip(tx, info.serial))?;
        match known {
            Some(psam) if psam.state == PsamState::InWork && psam.batch == *batch => {
                if info.life_cycle == LifeCycle::Blank && psam.steps_done > 1 {
                    let chip = Hex(&info.serial);
                    return refused(format!(
                        "this chip is blank, and another one with the same chip number {chip} is in work as PSAM {}",
                        psam.serial
                    ));
                }
                return Ok(Ok((psam, Came::Back)));
            }
            Some(psam) if psam.state == PsamState::InWork => {
                return refused(format!("chip {} is in work in batch {}", Hex(&info.serial), psam.batch));
            }
            Some(psam) if info.life_cycle != LifeCycle::Blank => {
                let Psam { serial, batch, state, .. } = psam;
                return refused(format!(
                    "this chip is PSAM {serial} of batch {batch}, {state}; put a blank one in"
                ));
            }
            _ => {}
        }
        if let Err(wrong) = chip::demand_blank(info) {
            return refused(wrong.to_string());
        }
        let next = self.store.write(|tx| {
            let Some(psam) = store::next_waiting(tx, batch)? else { return Ok(None) };
            store::begin(tx, &psam.serial, info.serial, &act)?;
            store::psam(tx, &psam.serial)
        })?;
        Ok(next.map(|psam| (psam, Came::New)).ok_or(Made::NothingWaits))
    }

    /// Does what is left to do on the chip.
    fn steps<C: CardChannel + ?Sized>(
        &self,
        work: &mut Work<'_, C>,
        psam: &Psam,
        came: Came,
        tell: &mut dyn FnMut(Moment<'_>),
    ) -> Result<(), StepError> {
        let done = usize::try_from(psam.steps_done).unwrap_or(usize::MAX);
        let steps = &self.profile.steps;
        let (before, left) = steps.split_at_checked(done).unwrap_or((steps, &[]));
        work.replay(before)?;
        // Of a chip that came back, the step it was taken out in may have happened.
        let mut unsure = came == Came::Back;
        for (at, step) in (done..).zip(left) {
            if self.stop.load(Ordering::Relaxed) {
                return Err(StepError::Stopped);
            }
            let stage = self.towards.get(at).copied().unwrap_or(Stage::WorkingKeys);
            tell(Moment { psam, stage, number: at.saturating_add(1), of: steps.len(), title: &step.title });
            if unsure {
                work.step_again(step)?
            } else {
                work.step(step)?
            }
            unsure = false;
            let done = at.saturating_add(1);
            let stage = self.towards.get(done).copied().unwrap_or(Stage::WorkingKeys);
            let done = u32::try_from(done).unwrap_or(u32::MAX);
            self.store.write(|tx| store::advance(tx, &psam.serial, done, stage))?;
        }
        work.read_back(psam)?;
        Ok(())
    }

    fn ended<C: ?Sized>(&self, work: &Work<'_, C>, psam: Psam) -> Result<Made, LineError> {
        let keys = keys_on(self.vault, &self.profile, &work.data, &self.towards)?;
        let act = self.act();
        let psam = self.store.write(|tx| {
            store::produced(tx, &psam, &keys, work.commands, &act)?;
            Ok::<_, StoreError>(store::psam(tx, &psam.serial)?.unwrap_or(psam))
        })?;
        self.register(&psam, &act)?;
        self.now(psam).map(|psam| Made::Produced(Box::new(psam)))
    }

    /// Puts the PSAM into the register of terminals, when the batch named its terminal and the register knows it.
    fn register(&self, psam: &Psam, act: &Act) -> Result<(), LineError> {
        let Some(pos) = psam.pos else { return Ok(()) };
        let pair =
            Pair { pos, terminal_id: psam.terminal, psam_serial: psam.serial, from: act.at, until: None };
        let note = match self.store.write(|tx| terminals::pair(tx, &pair, act)) {
            Ok(()) => format!("in terminal {pos}"),
            Err(RegisterError::Store(error)) => return Err(error.into()),
            Err(error) => format!("not in terminal {pos}: {error}"),
        };
        Ok(self.store.write(|tx| store::note(tx, &psam.serial, &note))?)
    }

    fn stopped(&self, psam: Psam, why: &str) -> Result<Made, LineError> {
        let psam = self.now(psam)?;
        let step = psam.stage.map_or(0, Stage::code);
        let why = format!("step {step} of 8, {why}");
        self.store.write(|tx| store::stopped(tx, &psam, &why, &self.act()))?;
        Ok(Made::Stopped { psam: Box::new(self.now(psam)?), why })
    }

    fn interrupted(&self, psam: Psam, why: &str) -> Result<Made, LineError> {
        self.store.write(|tx| store::interrupted(tx, &psam.serial, why))?;
        Ok(Made::Interrupted { psam: Box::new(self.now(psam)?), why: why.to_owned() })
    }

    /// The PSAM as the database has it now.
    fn now(&self, psam: Psam) -> Result<Psam, LineError> {
        Ok(self.store.read(|tx| store::psam(tx, &psam.serial))?.unwrap_or(psam))
    }
}

/// Whether a chip is new, or comes back to be finished.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    New,
    Back,
}

/// Why the steps of one chip ended early.
enum StepError {
    Chip(ChipError),
    Line(LineError),
    Stopped,
}

impl From<ChipError> for StepError {
    fn from(error: ChipError) -> StepError {
        StepError::Chip(error)
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> StepError {
        StepError::Line(error.into())
    }
}

/// The keys that stand on a finished PSAM, with the check values the vault states.
fn keys_on(
    vault: &dyn Vault,
    profile: &Profile,
    data: &PsamData,
    towards: &[Stage],
) -> Result<Vec<PsamKey>, VaultError> {
    let values = CheckValues::new(vault, data.serial, data.issuer);
    let written = profile.steps.iter().zip(towards).filter_map(|(step, stage)| match step {
        // The initialisation key has given way to the master key.
        Step { action: Action::WriteSamKey { key, usage, .. }, .. } if *stage != Stage::Initialisation => {
            Some((*key, *usage, *stage))
        }
        _ => None,
    });
    written
        .map(|(key, usage, stage)| {
            let kcv = values.of(key, usage.levels())?;
            let kind = key.kind.name().to_owned();
            Ok(PsamKey { stage, kind, usage: usage.code(), version: key.version, kcv })
        })
        .collect()
}
