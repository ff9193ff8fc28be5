//! The talk with one card: which directory it is in, which commands need a key, and how it can stop.

use super::super::dialogue::Mail;
use std::sync::Arc;
use ykt_base::apdu::COMMAND_LEN_MAX;
use ykt_base::{Command, Response, StatusWord};
use ykt_crypto::sm::{self, CommandBytes};
use ykt_issue::profile::{Action, Step};
use ykt_issue::{CommandMaker, DownloadError, KeyDownload, Profile, StepRequest, Subject};
use ykt_purse::command::{self, ChallengeLen};
use ykt_purse::files::{PUBLIC_DATA_LEN, PUBLIC_DATA_SFI, PublicData};
use ykt_store::StoreError;
use ykt_terminal::card::{APPLICATIONS, Application};
use ykt_vault::Vault;

/// How the card or its keys stopped a visit.
pub(super) enum Stop {
    /// No answer to a command.
    Cut(String),
    /// An answer that must not be.
    Wrong(String),
    /// No command.
    NoKey(DownloadError),
    /// A later visit has the card now.
    Overtaken,
    /// The database failed.
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Store(error)
    }
}

/// Some commands, or the reason why not.
type Asked<T> = Result<T, Stop>;

/// Asks the card a few things between which nothing is decided: all answers up to the first that is not 9000.
async fn ask(mail: &Mail, commands: Vec<CommandBytes>) -> Asked<Vec<Response>> {
    let headers: Vec<String> = commands.iter().map(header).collect();
    let answers = mail.ask(commands).await;
    let is_whole = answers.len() >= headers.len();
    match answers.last().map(Response::sw) {
        // A memory that fails loses power, too: the card is asked again when it is back.
        Some(StatusWord::MEMORY_FAILURE) => {
            Err(Stop::Cut(headers.into_iter().nth(answers.len().saturating_sub(1)).unwrap_or_default()))
        }
        Some(sw) if !sw.is_ok() || is_whole => Ok(answers),
        _ => Err(Stop::Cut(headers.into_iter().nth(answers.len()).unwrap_or_default())),
    }
}

fn header(command: &CommandBytes) -> String {
    let bytes = command.as_bytes();
    ykt_base::hex::Hex(bytes.get(..4).unwrap_or(bytes)).to_string()
}

/// A command as it goes out; every command of a visit is far shorter than the longest.
fn encoded(command: &Command<'_>) -> CommandBytes {
    CommandBytes::from_parts(&[command.encode(&mut [0; COMMAND_LEN_MAX])]).unwrap_or_default()
}

/// Finds the purse application of the card that was just reset, and reads who it is.
pub(super) async fn identify(mail: &Mail) -> Asked<(&'static Application, PublicData)> {
    let len = u16::try_from(PUBLIC_DATA_LEN).ok();
    for application in &APPLICATIONS {
        let select = encoded(&command::select_name(application.aid));
        let read = encoded(&command::read_binary(PUBLIC_DATA_SFI, 0, len.unwrap_or(256)));
        let answers = ask(mail, vec![select, read]).await?;
        match &answers[..] {
            [one] if one.sw() == StatusWord::NOT_FOUND => {}
            [_, read] if read.sw().is_ok() => {
                let public = PublicData::from_bytes(application.layout, read.data());
                let wrong = || Stop::Wrong(format!("{} bytes that are no public data", read.data().len()));
                return Ok((application, public.ok_or_else(wrong)?));
            }
            other => {
                let found = other.last().map_or(StatusWord::OK, Response::sw);
                return Err(Stop::Wrong(format!("SELECT or READ BINARY of EF 0015: found {found}")));
            }
        }
    }
    Err(Stop::Wrong("it has no purse application".to_owned()))
}

/// Talks to the card, and gets the commands that need a key from whoever has the keys.
pub(super) struct Talk {
    pub(super) mail: Mail,
    pub(super) vault: Arc<dyn Vault>,
    pub(super) profile: Profile,
    pub(super) subject: Subject,
    /// The purse application of the card.
    pub(super) application: &'static Application,
    /// The directory that is selected; `None`: the purse application.
    pub(super) directory: Option<[u8; 2]>,
}

impl Talk {
    /// One step with a key in a directory; whatever the card answers comes back.
    ///
    /// The command is made as a step of the card's own profile, which says how the directory wants it.
    pub(super) async fn act(&mut self, directory: [u8; 2], action: Action) -> Asked<Response> {
        let len = match action {
            Action::Authenticate { .. } => ChallengeLen::Eight,
            _ => ChallengeLen::Four,
        };
        let mut commands = Vec::with_capacity(2);
        let moves = self.directory != Some(directory);
        if moves {
            commands.push(encoded(&command::select_file(&directory)));
        }
        commands.push(encoded(&command::challenge(len)));
        let wanted = commands.len();
        let answers = ask(&self.mail, commands).await?;
        let answer = answers.last().filter(|_| answers.len() == wanted);
        let Some(answer) = answer else {
            let found = answers.last().map_or(StatusWord::OK, Response::sw);
            return Err(Stop::Wrong(format!("SELECT of a directory: found {found}")));
        };
        self.directory = Some(directory);
        let iv = match len {
            ChallengeLen::Eight => answer.data().try_into().ok(),
            ChallengeLen::Four => answer.data().try_into().ok().map(sm::iv_from_challenge4),
        };
        let iv = iv.ok_or_else(|| Stop::Wrong(format!("GET CHALLENGE: found {}", answer.sw())))?;
        let command = self.command(directory, action, iv)?;
        self.transmit(command).await
    }

    fn command(&self, directory: [u8; 2], action: Action, iv: [u8; 8]) -> Asked<CommandBytes> {
        let mut profile = self.profile.clone();
        for action in [Action::Select { fid: directory }, action] {
            profile.steps.push(Step { title: String::new(), action });
        }
        let step = u16::try_from(profile.steps_len()).unwrap_or(u16::MAX);
        let request = StepRequest { step, block: None, iv, data: &[] };
        let maker = &mut CommandMaker { vault: &*self.vault, profile: &profile, subject: &self.subject };
        maker.command(&request).map_err(Stop::NoKey)
    }

    /// A command in the purse application.
    pub(super) async fn in_application(&mut self, command: &[u8]) -> Asked<Response> {
        let command = CommandBytes::from_parts(&[command]).unwrap_or_default();
        if self.directory.is_none() {
            return self.transmit(command).await;
        }
        let select = encoded(&command::select_name(self.application.aid));
        let mut answers = ask(&self.mail, vec![select, command]).await?;
        match (answers.pop(), answers.len()) {
            (Some(answer), 1) => {
                self.directory = None;
                Ok(answer)
            }
            (answer, _) => {
                let found = answer.map_or(StatusWord::OK, |answer| answer.sw());
                Err(Stop::Wrong(format!("SELECT of the purse application: found {found}")))
            }
        }
    }

    async fn transmit(&mut self, command: CommandBytes) -> Asked<Response> {
        let name = header(&command);
        ask(&self.mail, vec![command]).await?.pop().ok_or(Stop::Cut(name))
    }
}
