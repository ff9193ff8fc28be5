//! One chip in the reader: what it is, the steps of the profile done on it one by one, and what it says in the end.
//!
//! Each step is sent by itself, so that the database can know before and after it how far the chip is. A step that was
//! under way when the power went may or may not have happened. Most may simply be done again; of the others the chip
//! itself tells: a file that is there refuses to be made, and a key that is in force can be proven.

use super::Psam;
use crate::chip::{self, HARD_INFO, NoHardInfo};
use crate::shown::one_line;
use ykt_base::hex::Hex;
use ykt_base::{CardChannel, ChannelError, StatusWord};
use ykt_card::CardKind;
use ykt_issue::profile::{Action, Step};
use ykt_issue::{IssueError, Profile, PsamData, personalise_psam};
use ykt_purse::create::{CreateFile, NewFile};
use ykt_purse::hard_info::{ANSWER_LEN, HardInfo, LifeCycle};
use ykt_purse::psam::SamKeyType;
use ykt_terminal::card::CardError;
use ykt_terminal::psam::{self, PsamError};
use ykt_vault::{KeyRef, Vault, VaultError};

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum ChipError {
    /// The chip gave no answer: it was taken out, or the power went.
    #[error("no answer in {during}")]
    Silent {
        /// What was being done.
        during: String,
        /// Why.
        source: ChannelError,
    },
    /// The chip answered, but not what it should.
    #[error(transparent)]
    Wrong(#[from] Wrong),
    /// The vault did not make the command: nothing is wrong with the chip.
    #[error("the vault refused in step {title}")]
    Vault {
        /// The step of the profile.
        title: String,
        /// What the vault said.
        source: VaultError,
    },
    /// The profile asks for what cannot be, for this and every other chip.
    #[error("the profile cannot be done: {what}")]
    Profile {
        /// What cannot be.
        what: String,
    },
}

/// A wrong answer of a chip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{during}: expected {expected}, found {found}")]
pub struct Wrong {
    /// What was being done.
    pub during: String,
    /// What should have come.
    pub expected: String,
    /// What came.
    pub found: String,
}

/// What a chip says of itself before anything is done to it.
pub(super) fn inspect(channel: &mut (impl CardChannel + ?Sized)) -> Result<HardInfo, ChipError> {
    chip::hard_info(channel).map_err(|error| {
        let during = HARD_INFO.to_owned();
        match error {
            NoHardInfo::Silent(source) => ChipError::Silent { during, source },
            NoHardInfo::Answer { len, sw } => {
                let expected = format!("{ANSWER_LEN} bytes of hard information");
                Wrong { during, expected, found: format!("{len} bytes and {sw}") }.into()
            }
        }
    })
}

/// Whether the chip is a blank PSAM with tries left for its transport key.
///
/// # Errors
/// [`Wrong`]: what it is.
pub(super) fn demand_blank(info: &HardInfo) -> Result<(), Wrong> {
    let wrong = |expected: &str, found: String| {
        Err(Wrong { during: "check of the chip".to_owned(), expected: expected.to_owned(), found })
    };
    demand_psam(info)?;
    if info.life_cycle != LifeCycle::Blank {
        return wrong("a blank chip", format!("one in life cycle {:02X}", info.life_cycle.code()));
    }
    if info.transport_tries.left() == 0 {
        return wrong("tries left for the transport key", "none".to_owned());
    }
    Ok(())
}

/// Whether the chip is a PSAM, blank or not.
///
/// # Errors
/// [`Wrong`]: what it is.
pub(super) fn demand_psam(info: &HardInfo) -> Result<(), Wrong> {
    if info.kind == CardKind::Psam.to_byte() {
        return Ok(());
    }
    let expected = format!("a PSAM's chip (kind {:02X})", CardKind::Psam.to_byte());
    let found = format!("kind {:02X}", info.kind);
    Err(Wrong { during: "check of the chip".to_owned(), expected, found })
}

/// The work on one chip.
pub(super) struct Work<'a, C: ?Sized> {
    pub(super) channel: &'a mut C,
    pub(super) vault: &'a dyn Vault,
    pub(super) profile: &'a Profile,
    pub(super) data: PsamData,
    /// Commands so far.
    pub(super) commands: usize,
}

impl<C: CardChannel + ?Sized> Work<'_, C> {
    /// Does one step of the profile.
    ///
    /// # Errors
    /// [`ChipError`].
    pub(super) fn step(&mut self, step: &Step) -> Result<(), ChipError> {
        let alone = Profile { steps: vec![step.clone()], ..self.shell() };
        let made = personalise_psam(self.channel, self.vault, &alone, &self.data, &mut |_| {});
        let commands = made.map_err(|error| fault(&step.title, error))?;
        self.commands = self.commands.saturating_add(commands);
        Ok(())
    }

    /// Does a step that may have happened already, when the chip was taken away in the middle of it.
    ///
    /// # Errors
    /// [`ChipError`].
    pub(super) fn step_again(&mut self, step: &Step) -> Result<(), ChipError> {
        match &step.action {
            Action::Create(_) | Action::CreateApplication(_) => match self.step(step) {
                Err(ChipError::Wrong(wrong)) if is_there(&step.action, &wrong) => Ok(()),
                done => done,
            },
            Action::WriteSamKey { key, usage, .. } => match usage.kind() {
                SamKeyType::Master if self.proves(*key, 0)? => Ok(()),
                // Any other key of the same name is replaced by itself.
                _ => self.step(step),
            },
            _ => self.step(step),
        }
    }

    /// Goes back to where the chip stood after these steps: the directory, and what was proven to it.
    ///
    /// # Errors
    /// [`ChipError`].
    pub(super) fn replay(&mut self, done: &[Step]) -> Result<(), ChipError> {
        for step in done {
            match &step.action {
                Action::Select { .. } => self.step(step)?,
                Action::Authenticate { key, id } => {
                    // A key that a later step replaced proves nothing any more, and need not.
                    let _in_force = self.proves(*key, *id)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether this key is in force in the current directory: EXTERNAL AUTHENTICATE says so.
    fn proves(&mut self, key: KeyRef, id: u8) -> Result<bool, ChipError> {
        let step = Step { title: format!("prove the {key}"), action: Action::Authenticate { key, id } };
        match self.step(&step) {
            Ok(()) => Ok(true),
            Err(ChipError::Wrong(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Opens the finished PSAM as a terminal will, and compares what it says with what was ordered.
    ///
    /// # Errors
    /// [`ChipError`].
    pub(super) fn read_back(&mut self, psam: &Psam) -> Result<(), ChipError> {
        let during = "reading the finished PSAM".to_owned();
        let made = match psam::Psam::open(&mut *self.channel) {
            Ok(made) => made,
            Err(PsamError::Step(CardError::Silent { cause, .. })) => {
                return Err(ChipError::Silent { during, source: cause });
            }
            Err(error) => {
                let found = one_line(&error);
                return Err(Wrong { during, expected: "a PSAM that opens".to_owned(), found }.into());
            }
        };
        let application = made.application();
        let pairs = [
            (psam.serial.to_string(), made.serial().to_string()),
            (psam.terminal.to_string(), made.terminal().to_string()),
            (self.data.issuer.to_string(), application.issuer.to_string()),
            (Hex(&self.data.receiver).to_string(), Hex(&application.receiver).to_string()),
            (self.data.key_index.to_string(), application.key_index.to_string()),
            (self.data.start.to_string(), application.start.to_string()),
            (self.data.expiry.to_string(), application.expiry.to_string()),
        ];
        match pairs.into_iter().find(|(ordered, found)| ordered != found) {
            Some((expected, found)) => Err(Wrong { during, expected, found }.into()),
            None => Ok(()),
        }
    }

    /// The profile without its steps.
    fn shell(&self) -> Profile {
        Profile {
            name: self.profile.name.clone(),
            title: self.profile.title.clone(),
            kind: self.profile.kind,
            atr: self.profile.atr.clone(),
            memory_len: self.profile.memory_len,
            layout: self.profile.layout,
            transport: self.profile.transport,
            preset: None,
            steps: Vec::new(),
        }
    }
}

/// Whether a refused CREATE FILE says that the file is there: its name is taken, or, for the key file of the MF, which is
/// free to be made while there is no file, the right is missing.
fn is_there(action: &Action, wrong: &Wrong) -> bool {
    let is_keys = matches!(action, Action::Create(CreateFile { file: NewFile::Keys { .. }, .. }));
    let says = |sw: StatusWord| wrong.found == sw.to_string();
    says(StatusWord::WRONG_DATA) || (is_keys && says(StatusWord::SECURITY_STATUS))
}

fn fault(title: &str, error: IssueError) -> ChipError {
    let during = |command: &str| format!("{title}, command {command}");
    match error {
        IssueError::Answer { command, expected, found, .. } => {
            let (expected, found) = (expected.to_string(), found.to_string());
            Wrong { during: during(&command), expected, found }.into()
        }
        IssueError::Unreadable { command, expected, found, .. } => {
            let (expected, found) = (expected.to_owned(), format!("{found} bytes"));
            Wrong { during: during(&command), expected, found }.into()
        }
        IssueError::Silent { command, source, .. } => ChipError::Silent { during: during(&command), source },
        IssueError::Vault { source, .. } => ChipError::Vault { title: title.to_owned(), source },
        other => ChipError::Profile { what: one_line(&other) },
    }
}
