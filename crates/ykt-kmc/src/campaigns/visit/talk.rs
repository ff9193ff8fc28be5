//! The talk with one card: which directory it is in, which commands need a key, and how it can stop.

use ykt_base::apdu::COMMAND_LEN_MAX;
use ykt_base::{CardChannel, Command, Response, StatusWord};
use ykt_crypto::sm;
use ykt_issue::profile::{Action, Step};
use ykt_issue::{CommandMaker, DownloadError, KeyDownload, Profile, StepRequest, Subject};
use ykt_purse::command::{self, ChallengeLen};
use ykt_store::StoreError;
use ykt_terminal::card::{self, CardError};
use ykt_vault::Vault;

/// How the card or its keys stopped a visit.
pub(super) enum Stop {
    /// No answer to a command.
    Cut(String),
    /// An answer that must not be.
    Wrong(String),
    /// No command.
    NoKey(DownloadError),
    /// The database failed.
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Store(error)
    }
}

/// Talks to the card, and gets the commands that need a key from whoever has the keys.
pub(super) struct Talk<'a, C: ?Sized> {
    pub(super) channel: &'a mut C,
    pub(super) vault: &'a dyn Vault,
    pub(super) profile: &'a Profile,
    pub(super) subject: &'a Subject,
    /// The directory that is selected; `None`: the application the card was read in, or another.
    pub(super) directory: Option<[u8; 2]>,
}

impl<C: CardChannel + ?Sized> Talk<'_, C> {
    /// One step with a key in a directory; whatever the card answers comes back.
    ///
    /// The command is made as a step of the card's own profile, which says how the directory wants it.
    pub(super) fn act(&mut self, directory: [u8; 2], action: Action) -> Result<Response, Stop> {
        if self.directory != Some(directory) {
            let answer = self.send(&command::select_file(&directory))?;
            if !answer.sw().is_ok() {
                return Err(Stop::Wrong(format!("SELECT of a directory: found {}", answer.sw())));
            }
            self.directory = Some(directory);
        }
        let len = match action {
            Action::Authenticate { .. } => ChallengeLen::Eight,
            _ => ChallengeLen::Four,
        };
        let answer = self.send(&command::challenge(len))?;
        let iv = match len {
            ChallengeLen::Eight => answer.data().try_into().ok(),
            ChallengeLen::Four => answer.data().try_into().ok().map(sm::iv_from_challenge4),
        };
        let iv = iv.ok_or_else(|| Stop::Wrong(format!("GET CHALLENGE: found {}", answer.sw())))?;
        let mut profile = self.profile.clone();
        for action in [Action::Select { fid: directory }, action] {
            profile.steps.push(Step { title: String::new(), action });
        }
        let step = u16::try_from(profile.steps_len()).unwrap_or(u16::MAX);
        let request = StepRequest { step, block: None, iv, data: &[] };
        let maker = &mut CommandMaker { vault: self.vault, profile: &profile, subject: self.subject };
        let command = maker.command(&request).map_err(Stop::NoKey)?;
        self.transmit(command.as_bytes())
    }

    /// A command in the purse application.
    pub(super) fn in_application(&mut self, command: &[u8]) -> Result<Response, Stop> {
        if self.directory.is_some() {
            let selected = card::select(self.channel);
            self.directory = None;
            selected.map_err(|error| match error {
                CardError::Silent { step, .. } => Stop::Cut(step.to_string()),
                other => Stop::Wrong(other.to_string()),
            })?;
        }
        self.transmit(command)
    }

    fn send(&mut self, command: &Command<'_>) -> Result<Response, Stop> {
        let mut buffer = [0; COMMAND_LEN_MAX];
        let bytes = command.encode(&mut buffer);
        self.transmit(bytes)
    }

    fn transmit(&mut self, command: &[u8]) -> Result<Response, Stop> {
        let name = || ykt_base::hex::Hex(command.get(..4).unwrap_or(command)).to_string();
        match self.channel.transmit(command) {
            // A memory that fails loses power, too: the card is asked again when it is back.
            Ok(answer) if answer.sw() == StatusWord::MEMORY_FAILURE => Err(Stop::Cut(name())),
            Ok(answer) => Ok(answer),
            Err(_) => Err(Stop::Cut(name())),
        }
    }
}
