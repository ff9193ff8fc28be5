//! A counter: it has a card on its reader and a client of the centre, and carries the steps of a visit between the two.
//!
//! What it knows of keys and campaigns is nothing. Whatever breaks, nothing has to be cleared up: a call whose answer was lost is
//! made again, a centre that was started anew gets another visit of the same card, and a card that is taken away goes on when it is
//! shown again, here or elsewhere.

use super::client::{Client, ClientError};
use super::wire::{VisitAnswer, VisitEndAnswer};
use crate::campaigns::dialogue::carry;
use ykt_base::{CardChannel, ChannelError, hex};
use ykt_crypto::sm::CommandBytes;

/// Most visits that one showing of a card begins, when the centre forgets the visit in between.
const VISITS_MAX: u32 = 3;

/// Why a card could not be served. Whatever it was, the card goes on when it is shown again.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The reader failed before the card got a command.
    #[error("the card does not answer: {0}; put it on the reader again")]
    Reader(#[from] ChannelError),
    /// The centre cannot be reached, or refuses the line.
    #[error(transparent)]
    Centre(#[from] ClientError),
}

/// What happens while a card is served.
pub trait Clerk {
    /// The card gets the commands of a step; it must stay where it is.
    fn step(&mut self, step: u32);

    /// The centre does not answer while the card is under way; whether to try once more, after as long as the
    /// clerk likes to wait.
    fn try_again(&mut self, error: &ClientError) -> bool;
}

/// Serves the card in `channel`; `visit` is an id that this line never used. How it ended comes back, also when the card was
/// refused or stopped.
///
/// # Errors
/// [`ServeError`].
pub fn serve(
    client: &mut Client,
    (campaign, visit): (&str, &str),
    channel: &mut (impl CardChannel + ?Sized),
    clerk: &mut dyn Clerk,
) -> Result<VisitEndAnswer, ServeError> {
    let mut number = 1;
    loop {
        let id = format!("{visit}.{number}");
        channel.reset()?;
        let first = client.begin_visit(&id, campaign)?;
        match go_through(client, &id, first, channel, clerk) {
            Err(ClientError::Refused { code, .. }) if code == "unknown-visit" && number < VISITS_MAX => {
                number = number.saturating_add(1);
            }
            ended => return Ok(ended?),
        }
    }
}

fn go_through(
    client: &mut Client,
    id: &str,
    mut answer: VisitAnswer,
    channel: &mut (impl CardChannel + ?Sized),
    clerk: &mut dyn Clerk,
) -> Result<VisitEndAnswer, ClientError> {
    loop {
        let (step, commands) = match answer {
            VisitAnswer::Commands { step, commands } => (step, commands),
            VisitAnswer::Ended { ended, .. } => return Ok(ended),
        };
        clerk.step(step);
        let commands: Option<Vec<_>> = commands.iter().map(|command| bytes(command)).collect();
        let what = || ClientError::Answer { what: "commands that are no hex".to_owned() };
        let answers = carry(&commands.ok_or_else(what)?, channel);
        answer = loop {
            match client.answer_visit(id, step, &answers) {
                Err(error @ ClientError::Wire { .. }) if clerk.try_again(&error) => {}
                answer => break answer?,
            }
        };
    }
}

/// The bytes of a command.
pub(super) fn bytes(text: &str) -> Option<CommandBytes> {
    let mut bytes = CommandBytes::zeros(text.len() / 2)?;
    hex::decode_into(text, bytes.as_mut_bytes()).ok()?;
    Some(bytes)
}
