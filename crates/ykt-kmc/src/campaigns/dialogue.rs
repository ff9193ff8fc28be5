//! A visit as a dialogue: the centre says which commands the card gets next, the counter carries them to the card in its
//! reader and brings the answers back.
//!
//! A [visit](super::visit) is written down as it happens, one command after the other, in an `async fn`, and the compiler
//! makes the state machine of it. There is no runtime and nothing waits: [`Dialogue::go_on`] hands over the
//! answers and runs the visit up to the next commands, or to its end. So it is the same visit whether the card lies
//! beside the vault ([`Centre::visit`](crate::Centre::visit)) or in a city far away
//! ([`Download::answer_visit`](crate::download::Download::answer_visit)); and a counter that never answers holds nothing
//! but the memory of its dialogue.
//!
//! Several commands go out together where nothing is to be decided between them: GET CHALLENGE does not wait for the answer to
//! SELECT at another end of the country. The counter stops at the first answer that is not 9000.

use super::visit::{VisitError, Visited};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use ykt_base::{CardChannel, DateTime, Response};
use ykt_crypto::sm::CommandBytes;

/// What a visit wants next.
pub enum Next {
    /// The card shall get these commands, in their order, up to the first that is not answered 9000.
    Commands(Vec<CommandBytes>),
    /// It is over.
    Ended(Result<Visited, VisitError>),
}

type Running = Pin<Box<dyn Future<Output = Result<Visited, VisitError>> + Send>>;

/// A visit that has begun.
pub struct Dialogue {
    visit: Running,
    mail: Mail,
    asked: usize,
}

impl Dialogue {
    /// A dialogue that `visit` leads through its [`Mail`].
    pub(super) fn new<V>(at: DateTime, visit: impl FnOnce(Mail) -> V) -> Dialogue
    where
        V: Future<Output = Result<Visited, VisitError>> + Send + 'static,
    {
        let mail = Mail(Arc::new(Mutex::new(Letters { commands: None, answers: None, at })));
        Dialogue { visit: Box::pin(visit(mail.clone())), mail, asked: 0 }
    }

    /// The first commands. The card must have been reset before it gets them.
    pub fn begin(&mut self) -> Next {
        self.run()
    }

    /// Whether these can be the answers to the commands that were asked last: not more of them, and none behind one that is
    /// not 9000.
    #[must_use]
    pub fn fit(&self, answers: &[Response]) -> bool {
        let before_last = answers.split_last().map_or(&[][..], |(_, before)| before);
        answers.len() <= self.asked && before_last.iter().all(|answer| answer.sw().is_ok())
    }

    /// Goes on with what the card answered at `at`. Fewer answers than commands, the last of them 9000, mean that it
    /// gave none to the next one.
    pub fn go_on(&mut self, answers: Vec<Response>, at: DateTime) -> Next {
        {
            let mut letters = self.mail.lock();
            letters.answers = Some(answers);
            letters.at = at;
        }
        self.run()
    }

    fn run(&mut self) -> Next {
        match self.visit.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ended) => Next::Ended(ended),
            Poll::Pending => {
                let commands = self.mail.lock().commands.take().unwrap_or_default();
                self.asked = commands.len();
                Next::Commands(commands)
            }
        }
    }
}

/// What lies between a visit and whoever carries its commands.
struct Letters {
    commands: Option<Vec<CommandBytes>>,
    answers: Option<Vec<Response>>,
    at: DateTime,
}

/// The visit's end of it.
#[derive(Clone)]
pub(super) struct Mail(Arc<Mutex<Letters>>);

impl Mail {
    /// The card's answers to some commands.
    pub(super) async fn ask(&self, commands: Vec<CommandBytes>) -> Vec<Response> {
        self.lock().commands = Some(commands);
        std::future::poll_fn(|_| self.lock().answers.take().map_or(Poll::Pending, Poll::Ready)).await
    }

    /// When the last answers came.
    pub(super) fn at(&self) -> DateTime {
        self.lock().at
    }

    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The counter's part: gives the card in `channel` the commands of one step, up to the first that is not answered 9000 or not at
/// all.
pub fn carry(commands: &[CommandBytes], channel: &mut (impl CardChannel + ?Sized)) -> Vec<Response> {
    let mut answers = Vec::with_capacity(commands.len());
    for command in commands {
        let Ok(answer) = channel.transmit(command.as_bytes()) else { break };
        let is_ok = answer.sw().is_ok();
        answers.push(answer);
        if !is_ok {
            break;
        }
    }
    answers
}
