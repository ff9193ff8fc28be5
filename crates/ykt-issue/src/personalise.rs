//! The making of a card or PSAM: one profile step after the other, each a command and its answer.
//!
//! The actors: the card, which has never seen a key in clear, and the vault, which makes each WRITE KEY and
//! each protected command from the card's own challenge. A wrong answer stops the work and names the step.

use crate::content::Holder;
use crate::profile::{Content, Place, Profile, Step};
use ykt_base::apdu::COMMAND_LEN_MAX;
use ykt_base::hex::Hex;
use ykt_base::{CardChannel, ChannelError, Command, Response, StatusWord};
use ykt_card::CardKind;
use ykt_crypto::sm;
use ykt_purse::command::{self, ChallengeLen};
use ykt_purse::create::{CreateFile, NewFile, Protection, Structure, Switches};
use ykt_purse::psam::SamUsage;
use ykt_purse::write_key::{self, ErrorCounter, KeyForm, KeyHeader, KeyTarget, KeyUsage, Pin, SamKeyHeader};
use ykt_purse::{Algorithm, create};
use ykt_vault::{
    KeyAddress, KeyLayout, KeyRef, NewKey, Secrecy, SecureMessage, Vault, VaultError, WriteKeyJob,
};

/// A step that is about to be done, for those who show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Its number, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// What it is for.
    pub title: &'a str,
}

/// Why a card could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The card gave another status word than expected.
    #[error(
        "step {number} ({title}), command {command}: expected {expected}, found {found}; the card is not usable, \
         take a blank one and check that keys and profile belong to it"
    )]
    Answer {
        /// Number of the step, from 1.
        number: usize,
        /// What it is for.
        title: String,
        /// Header of the command.
        command: String,
        /// Status word wanted.
        expected: StatusWord,
        /// Status word that came.
        found: StatusWord,
    },
    /// The card gave no answer.
    #[error("step {number} ({title}), command {command}: no answer")]
    Silent {
        /// Number of the step, from 1.
        number: usize,
        /// What it is for.
        title: String,
        /// Header of the command.
        command: String,
        /// Why.
        source: ChannelError,
    },
    /// The card's challenge has another length than asked for.
    #[error("step {number} ({title}): expected a challenge of {expected} bytes, found {found}")]
    Challenge {
        /// Number of the step, from 1.
        number: usize,
        /// What it is for.
        title: String,
        /// Bytes wanted.
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
    /// The vault has not the key, or not for this use.
    #[error("step {number} ({title}): the vault refused")]
    Vault {
        /// Number of the step, from 1.
        number: usize,
        /// What it is for.
        title: String,
        /// What the vault said.
        source: VaultError,
    },
    /// The profile asks for what cannot be.
    #[error("step {number} ({title}) of the profile: {what}")]
    Profile {
        /// Number of the step, from 1.
        number: usize,
        /// What it is for.
        title: String,
        /// What cannot be.
        what: &'static str,
    },
}

/// Does every step of the profile; returns the number of commands it took.
pub(crate) fn run(
    channel: &mut (impl CardChannel + ?Sized),
    vault: &dyn Vault,
    profile: &Profile,
    holder: &Holder<'_>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<usize, IssueError> {
    let mut work = Work { channel, vault, holder, number: 0, title: "", commands: 0 };
    if profile.kind != holder.kind() {
        return Err(work.profile("the profile is for the other sort of card"));
    }
    for (number, step) in (1..).zip(&profile.steps) {
        progress(Progress { number, of: profile.steps.len(), title: step.title() });
        work.number = number;
        work.title = step.title();
        work.step(step)?;
    }
    Ok(work.commands)
}

struct Work<'a, C: ?Sized> {
    channel: &'a mut C,
    vault: &'a dyn Vault,
    holder: &'a Holder<'a>,
    number: usize,
    title: &'a str,
    commands: usize,
}

impl<C: CardChannel + ?Sized> Work<'_, C> {
    fn step(&mut self, step: &Step) -> Result<(), IssueError> {
        if let Some(file) = new_file(step) {
            return self.send_ok(file.to_apdu().as_bytes());
        }
        match step {
            Step::Select { fid, .. } => self.send_plain(&command::select_file(fid)).map(drop),
            Step::Authenticate { key, id, .. } => {
                let challenge = self.challenge::<8>(ChallengeLen::Eight)?;
                let cryptogram = self.vault.external_authenticate(&self.address(*key), challenge);
                let cryptogram = cryptogram.map_err(|source| self.vault_fault(source))?;
                self.send_plain(&command::external_authenticate(*id, &cryptogram)).map(drop)
            }
            Step::WriteKey { key, control, id, place, use_right, follow_up, change_right, tries, .. } => {
                let usage =
                    key.kind.card_usage().ok_or_else(|| self.profile("no user card holds this key"))?;
                let header = KeyHeader {
                    version: key.version,
                    form: KeyForm::Key(Algorithm::TripleDes),
                    usage,
                    use_right: *use_right,
                    follow_up: *follow_up,
                    change_right: *change_right,
                    tries: *tries,
                };
                let target = match place {
                    Place::Added => KeyTarget::Add { id: *id, usage },
                    Place::Replaced => KeyTarget::Change { id: *id, usage },
                };
                let new = NewKey::Own(self.address(*key));
                self.write_key(
                    *control,
                    new,
                    KeyLayout::Card { family: write_key::KeyLayout::SourceDocuments, target, header },
                )
            }
            Step::WritePin { control, id, follow_up, tries, .. } => {
                let pin = self.holder.pin().ok_or_else(|| self.profile("there is no PIN for this card"))?;
                let layout = pin_layout(pin, *id, *follow_up, *tries);
                self.write_key(*control, NewKey::Pin(pin), layout)
            }
            Step::WriteSamKey { key, control, usage, .. } => {
                let usage = SamUsage::from_code(*usage)
                    .ok_or_else(|| self.profile("this usage byte means nothing"))?;
                let header = SamKeyHeader { usage, version: key.version, algorithm: Algorithm::TripleDes };
                let new = match usage.levels() {
                    0 => NewKey::Own(self.address(*key)),
                    _ => NewKey::Working { key: *key, factor: self.holder.factor() },
                };
                self.write_key(*control, new, KeyLayout::Sam { header })
            }
            Step::Write { fid, content, key, .. } => self.write(*fid, *content, *key),
            // The creating steps were sent above.
            _ => Ok(()),
        }
    }

    fn write_key(&mut self, control: KeyRef, new: NewKey<'_>, layout: KeyLayout) -> Result<(), IssueError> {
        let iv = self.iv()?;
        let job = WriteKeyJob { control: self.address(control), new, layout, iv };
        let command = self.vault.write_key(&job).map_err(|source| self.vault_fault(source))?;
        self.send_ok(command.as_bytes())
    }

    fn write(&mut self, fid: [u8; 2], content: Content, key: Option<KeyRef>) -> Result<(), IssueError> {
        let data = self.holder.content(content);
        let data = data.ok_or_else(|| self.profile("this content belongs to the other sort of card"))?;
        let [_, sfi] = fid;
        let Some(key) = key else {
            return self.send_plain(&command::update_binary(sfi, 0, &data)).map(drop);
        };
        let iv = self.iv()?;
        let message = SecureMessage {
            key: self.address(key),
            iv,
            header: command::update_binary_header(command::WITH_MAC, sfi, 0),
            data: &data,
            secrecy: Secrecy::Clear,
        };
        let command = self.vault.secure_message(&message).map_err(|source| self.vault_fault(source))?;
        self.send_ok(command.as_bytes())
    }

    fn address(&self, key: KeyRef) -> KeyAddress {
        self.holder.address(key)
    }

    /// The IV of the next command, from a challenge of four bytes.
    fn iv(&mut self) -> Result<[u8; 8], IssueError> {
        Ok(sm::iv_from_challenge4(self.challenge::<4>(ChallengeLen::Four)?))
    }

    fn challenge<const N: usize>(&mut self, len: ChallengeLen) -> Result<[u8; N], IssueError> {
        let answer = self.send_plain(&command::challenge(len))?;
        let found = answer.data().len();
        answer.data().try_into().map_err(|_| IssueError::Challenge {
            number: self.number,
            title: self.title.to_owned(),
            expected: N,
            found,
        })
    }

    fn send_plain(&mut self, command: &Command<'_>) -> Result<Response, IssueError> {
        self.send(command.encode(&mut [0; COMMAND_LEN_MAX]))
    }

    fn send_ok(&mut self, command: &[u8]) -> Result<(), IssueError> {
        self.send(command).map(drop)
    }

    fn send(&mut self, command: &[u8]) -> Result<Response, IssueError> {
        // The data field stays out of errors: it may be a cryptogram of a key.
        let header = || Hex(command.get(..4).unwrap_or(command)).to_string();
        self.commands = self.commands.saturating_add(1);
        let answer = self.channel.transmit(command).map_err(|source| IssueError::Silent {
            number: self.number,
            title: self.title.to_owned(),
            command: header(),
            source,
        })?;
        if answer.sw().is_ok() {
            return Ok(answer);
        }
        Err(IssueError::Answer {
            number: self.number,
            title: self.title.to_owned(),
            command: header(),
            expected: StatusWord::OK,
            found: answer.sw(),
        })
    }

    fn vault_fault(&self, source: VaultError) -> IssueError {
        IssueError::Vault { number: self.number, title: self.title.to_owned(), source }
    }

    fn profile(&self, what: &'static str) -> IssueError {
        IssueError::Profile { number: self.number, title: self.title.to_owned(), what }
    }
}

/// The file that a creating step makes.
fn new_file(step: &Step) -> Option<CreateFile<'_>> {
    let (fid, file) = match step {
        Step::CreateApplication {
            fid,
            aid,
            size,
            create,
            erase,
            app_id,
            load_needs_pin,
            pad_if_needed,
            state_ends_with_transaction,
            ..
        } => {
            let switches = Switches {
                load_needs_pin: *load_needs_pin,
                pad_if_needed: *pad_if_needed,
                state_ends_with_transaction: *state_ends_with_transaction,
                ..Switches::default()
            };
            let file = NewFile::Application {
                size: *size,
                create: *create,
                erase: *erase,
                app_id: *app_id,
                switches,
                name: aid,
            };
            (*fid, file)
        }
        Step::CreateKeys { size, add, df_sfi, .. } => {
            ([0, 0], NewFile::Keys { size: *size, df_sfi: *df_sfi, add: *add })
        }
        Step::CreateBinary { fid, size, protection, read, write, access, .. } => {
            let structure = Structure::Binary { size: *size };
            let (protection, read, write) = (*protection, *read, *write);
            (*fid, NewFile::Data { structure, protection, read, write, access: *access })
        }
        Step::CreateCyclic { fid, count, len, read, write, .. } => {
            let structure = Structure::CyclicRecords { count: *count, len: *len };
            let (protection, access) = (Protection::Plain, create::AccessByte::KEY_0);
            (*fid, NewFile::Data { structure, protection, read: *read, write: *write, access })
        }
        Step::CreatePurse { fid, usage, change, log, .. } => {
            // Size bytes as deployed cards state them.
            let file = NewFile::Purse { size: [0x02, 0x08], usage: *usage, change: *change, log_sfi: *log };
            (*fid, file)
        }
        _ => return None,
    };
    Some(CreateFile { fid, file })
}

fn pin_layout(pin: &Pin, id: u8, follow_up: u8, tries: ErrorCounter) -> KeyLayout {
    let header = KeyHeader {
        version: ykt_base::KeyVersion(0),
        form: pin.form(),
        usage: KeyUsage::Pin,
        use_right: create::Access::ALWAYS,
        follow_up,
        change_right: create::Access::ALWAYS,
        tries,
    };
    KeyLayout::Card {
        family: write_key::KeyLayout::SourceDocuments,
        target: KeyTarget::Add { id, usage: KeyUsage::Pin },
        header,
    }
}

/// Which sort of card the holder data are for.
impl Holder<'_> {
    fn kind(&self) -> CardKind {
        match self {
            Holder::Card(_) => CardKind::User,
            Holder::Sam(_) => CardKind::Psam,
        }
    }
}
