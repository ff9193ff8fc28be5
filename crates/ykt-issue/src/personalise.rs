//! The making of a card or PSAM: one profile step after the other, each a command and its answer.
//!
//! The actors: the card, which has never seen a key in clear, and whoever makes the commands that need a key
//! ([`KeyDownload`]). [`Personalisation`] stands between them and waits for nobody: it runs the card up to the next
//! command that it cannot make, and says which. So one line keeps many cards going with few questions to the centre.
//! A wrong answer stops the work and names the step.

use crate::content::{CardData, Holder, KeyCardData, PsamData};
use crate::download::{DownloadError, KeyDownload, StepRequest};
use crate::profile::{Action, BLOCK_LEN, Content, NewApplication, NewContent, Profile, Spot, Task};
use ykt_base::apdu::COMMAND_LEN_MAX;
use ykt_base::hex::Hex;
use ykt_base::{CardChannel, ChannelError, Command, Response, StatusWord};
use ykt_crypto::sm;
use ykt_crypto::sm2::PublicKey;
use ykt_purse::command::{self, ChallengeLen};
use ykt_purse::create::{CreateFile, NewFile};
use ykt_purse::token::KeyPairCommand;
use ykt_vault::VaultError;
use zeroize::Zeroizing;

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
    /// The card said yes with data that cannot be: a challenge of another length, no public key.
    #[error("step {number} ({title}), command {command}: expected {expected}, found {found} bytes")]
    Unreadable {
        /// Number of the step, from 1.
        number: usize,
        /// What it is for.
        title: String,
        /// Header of the command.
        command: String,
        /// What was wanted.
        expected: &'static str,
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
    /// The centre made no command.
    #[error("step {number} ({title}): no key was downloaded")]
    Download {
        /// Number of the step, from 1.
        number: usize,
        /// What it is for.
        title: String,
        /// Why not.
        source: DownloadError,
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

/// Where a personalisation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It needs the command that [`Personalisation::request`] asks for.
    Asks,
    /// The card is made.
    Done {
        /// Commands it took.
        commands: usize,
    },
}

/// One card on its way through a profile.
pub struct Personalisation<'a> {
    profile: &'a Profile,
    holder: Holder<'a>,
    number: usize,
    title: &'a str,
    commands: usize,
    /// The key pair made last.
    public: Option<PublicKey>,
    /// Content of the step, and which block of it is next when one command does not carry it.
    content: Zeroizing<Vec<u8>>,
    block: Option<u16>,
    /// The challenge of the command that is asked for.
    asks: Option<[u8; 8]>,
}

/// Runs a profile with the commands of `download`; returns the number of commands it took.
pub(crate) fn run(
    channel: &mut (impl CardChannel + ?Sized),
    download: &mut dyn KeyDownload,
    mut work: Personalisation<'_>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<usize, IssueError> {
    let mut stage = work.begin(channel, progress)?;
    loop {
        if let Stage::Done { commands } = stage {
            return Ok(commands);
        }
        let request = work.request().ok_or_else(|| work.fault(NOTHING_ASKED))?;
        let command = download.command(&request).map_err(|source| work.failed(source))?;
        stage = work.go_on(channel, &command, progress)?;
    }
}

const NOTHING_ASKED: &str = "a command came that no step asks for";

impl<'a> Personalisation<'a> {
    /// Of a user card.
    #[must_use]
    pub fn card(profile: &'a Profile, data: &'a CardData) -> Personalisation<'a> {
        Personalisation::new(profile, Holder::Card(data))
    }

    /// Of a PSAM.
    #[must_use]
    pub fn psam(profile: &'a Profile, data: &'a PsamData) -> Personalisation<'a> {
        Personalisation::new(profile, Holder::Sam(data))
    }

    /// Of a key card.
    #[must_use]
    pub fn key_card(profile: &'a Profile, data: &'a KeyCardData) -> Personalisation<'a> {
        Personalisation::new(profile, Holder::KeyCard(data))
    }

    pub(crate) fn new(profile: &'a Profile, holder: Holder<'a>) -> Personalisation<'a> {
        Personalisation {
            profile,
            holder,
            number: 0,
            title: "",
            commands: 0,
            public: None,
            content: Zeroizing::default(),
            block: None,
            asks: None,
        }
    }

    /// Runs the card up to the first command that needs a key.
    ///
    /// # Errors
    /// [`IssueError`] at the first wrong answer; the card is not usable then.
    pub fn begin(
        &mut self,
        channel: &mut (impl CardChannel + ?Sized),
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Stage, IssueError> {
        if self.profile.kind != self.holder.kind() {
            return Err(self.fault("the profile is for the other sort of card"));
        }
        self.run_to_request(channel, progress)
    }

    /// What is asked for, while something is.
    #[must_use]
    pub fn request(&self) -> Option<StepRequest<'_>> {
        let iv = self.asks?;
        let data = match self.profile.task(self.number) {
            Some(Task::Step(step)) => match &step.action {
                Action::WritePin { .. } | Action::WriteOperatorPin { .. } => {
                    self.holder.pin().map(|pin| pin.as_bytes()).unwrap_or_default()
                }
                Action::Write(_) => self.block_bytes(),
                _ => &[],
            },
            _ => &[],
        };
        Some(StepRequest { step: u16::try_from(self.number).ok()?, block: self.block, iv, data })
    }

    /// Sends the command that was asked for, and runs the card up to the next one.
    ///
    /// # Errors
    /// As [`Personalisation::begin`].
    pub fn go_on(
        &mut self,
        channel: &mut (impl CardChannel + ?Sized),
        command: &[u8],
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Stage, IssueError> {
        self.asks.take().ok_or_else(|| self.fault(NOTHING_ASKED))?;
        self.send(channel, command)?;
        if self.next_block() {
            self.asks = Some(self.iv(channel)?);
            return Ok(Stage::Asks);
        }
        self.run_to_request(channel, progress)
    }

    /// The error of the step that is under way when no command came for it.
    #[must_use]
    pub fn failed(&self, source: DownloadError) -> IssueError {
        let (number, title) = (self.number, self.title.to_owned());
        match source {
            DownloadError::Vault(source) => IssueError::Vault { number, title, source },
            source => IssueError::Download { number, title, source },
        }
    }

    fn run_to_request(
        &mut self,
        channel: &mut (impl CardChannel + ?Sized),
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Stage, IssueError> {
        while let Some(task) = self.profile.task(self.number.saturating_add(1)) {
            self.number = self.number.saturating_add(1);
            self.title = task.title();
            progress(Progress { number: self.number, of: self.profile.steps_len(), title: self.title });
            self.asks = match task {
                Task::Preset(_) => Some(self.iv(channel)?),
                Task::Step(step) => self.step(channel, &step.action)?,
            };
            if self.asks.is_some() {
                return Ok(Stage::Asks);
            }
        }
        Ok(Stage::Done { commands: self.commands })
    }

    /// Does a step, or as much as comes before the command that needs a key; then the challenge for it.
    fn step(
        &mut self,
        channel: &mut (impl CardChannel + ?Sized),
        action: &'a Action,
    ) -> Result<Option<[u8; 8]>, IssueError> {
        match action {
            Action::Select { fid } => self.send_plain(channel, &command::select_file(fid))?,
            Action::CreateApplication(new) => {
                let NewApplication { fid, aid, size, create, erase, app_id, switches } = new;
                let (size, create, erase, app_id, switches) = (*size, *create, *erase, *app_id, *switches);
                let file = NewFile::Application { size, create, erase, app_id, switches, name: aid };
                self.send(channel, CreateFile { fid: *fid, file }.to_apdu().as_bytes())?
            }
            Action::Create(file) => self.send(channel, file.to_apdu().as_bytes())?,
            Action::Authenticate { .. } => {
                return self.challenge::<8>(channel, ChallengeLen::Eight).map(Some);
            }
            Action::WritePin { .. } | Action::WriteOperatorPin { .. } => {
                self.holder.pin().ok_or_else(|| self.fault("there is no PIN for this card"))?;
                return self.iv(channel).map(Some);
            }
            Action::WriteKey(new) => {
                self.holder.bears(new.key).map_err(|what| self.fault(what))?;
                return self.iv(channel).map(Some);
            }
            Action::WriteSamKey { .. } | Action::WriteKeyCardKey { .. } => {
                return self.iv(channel).map(Some);
            }
            Action::GenerateKeyPair { id } => {
                let command = KeyPairCommand::Generate(*id).to_apdu();
                let answer = self.send(channel, &command)?;
                let public = answer.data().try_into().ok().and_then(PublicKey::from_bytes);
                let wanted = "a public key of 65 bytes";
                self.public = Some(public.ok_or_else(|| self.unreadable(&command, wanted, &answer))?);
                return Ok(None);
            }
            Action::Write(new) => return self.write(channel, new, action.needs_key()),
        };
        Ok(None)
    }

    /// Content of a file or record; what one command does not carry goes in blocks to the selected file.
    fn write(
        &mut self,
        channel: &mut (impl CardChannel + ?Sized),
        new: &NewContent,
        needs_key: bool,
    ) -> Result<Option<[u8; 8]>, IssueError> {
        self.block = None;
        self.content = Zeroizing::new(match &new.content {
            // Made by the centre.
            Content::AuthenticationCode => Vec::new(),
            content => {
                let bytes = self.holder.content(content, self.profile, self.public);
                bytes.map_err(|what| self.fault(what))?
            }
        });
        if new.spot == Spot::Start && new.content != Content::AuthenticationCode {
            if self.content.is_empty() {
                return Ok(None);
            }
            if self.content.len() > BLOCK_LEN {
                self.send_plain(channel, &command::select_elementary(&new.fid))?;
                self.block = Some(0);
            }
        }
        if needs_key {
            // A command that travels as it is needs no challenge.
            return if new.key.is_some() { self.iv(channel).map(Some) } else { Ok(Some([0; 8])) };
        }
        loop {
            let header = new.header(self.block).ok_or_else(|| self.fault("longer than any file"))?;
            let [cla, ins, p1, p2] = header;
            let mut buffer = [0; COMMAND_LEN_MAX];
            let command = Command::write(cla, ins, p1, p2, self.block_bytes(), None).encode(&mut buffer);
            self.send(channel, command)?;
            if !self.next_block() {
                return Ok(None);
            }
        }
    }

    /// The bytes that the current command carries.
    fn block_bytes(&self) -> &[u8] {
        match self.block {
            None => &self.content,
            Some(block) => self.content.chunks(BLOCK_LEN).nth(block.into()).unwrap_or_default(),
        }
    }

    /// Goes to the next block of the content; false when there is none.
    fn next_block(&mut self) -> bool {
        let next = self.block.and_then(|block| block.checked_add(1));
        self.block = next.filter(|block| self.content.chunks(BLOCK_LEN).nth(usize::from(*block)).is_some());
        self.block.is_some()
    }

    /// The IV of the next command, from a challenge of four bytes.
    fn iv(&mut self, channel: &mut (impl CardChannel + ?Sized)) -> Result<[u8; 8], IssueError> {
        Ok(sm::iv_from_challenge4(self.challenge::<4>(channel, ChallengeLen::Four)?))
    }

    fn challenge<const N: usize>(
        &mut self,
        channel: &mut (impl CardChannel + ?Sized),
        len: ChallengeLen,
    ) -> Result<[u8; N], IssueError> {
        let ask = command::challenge(len);
        let answer = self.send_plain(channel, &ask)?;
        let wanted = match len {
            ChallengeLen::Four => "a challenge of 4 bytes",
            ChallengeLen::Eight => "a challenge of 8 bytes",
        };
        let header = [ask.cla, ask.ins, ask.p1, ask.p2];
        answer.data().try_into().map_err(|_| self.unreadable(&header, wanted, &answer))
    }

    fn send_plain(
        &mut self,
        channel: &mut (impl CardChannel + ?Sized),
        command: &Command<'_>,
    ) -> Result<Response, IssueError> {
        self.send(channel, command.encode(&mut [0; COMMAND_LEN_MAX]))
    }

    fn send(
        &mut self,
        channel: &mut (impl CardChannel + ?Sized),
        command: &[u8],
    ) -> Result<Response, IssueError> {
        self.commands = self.commands.saturating_add(1);
        let answer = channel.transmit(command).map_err(|source| IssueError::Silent {
            number: self.number,
            title: self.title.to_owned(),
            command: header_of(command),
            source,
        })?;
        if answer.sw().is_ok() {
            return Ok(answer);
        }
        Err(IssueError::Answer {
            number: self.number,
            title: self.title.to_owned(),
            command: header_of(command),
            expected: StatusWord::OK,
            found: answer.sw(),
        })
    }

    fn unreadable(&self, command: &[u8], expected: &'static str, answer: &Response) -> IssueError {
        let (command, found) = (header_of(command), answer.data().len());
        IssueError::Unreadable { number: self.number, title: self.title.to_owned(), command, expected, found }
    }

    fn fault(&self, what: &'static str) -> IssueError {
        IssueError::Profile { number: self.number, title: self.title.to_owned(), what }
    }
}

/// The header of a command. Its data field stays out of errors: it may be a cryptogram of a key.
fn header_of(command: &[u8]) -> String {
    Hex(command.get(..4).unwrap_or(command)).to_string()
}
