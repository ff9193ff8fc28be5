//! Many cards side by side on one line: each step is one question to the centre, whatever the number of cards. A card
//! that answers wrongly, or gets no command, stops alone.

use super::{CommandCall, Ending};
use ykt_base::CardChannel;
use ykt_crypto::sm::CommandBytes;
use ykt_issue::{DownloadError, IssueError, Personalisation, Stage};

/// A place of the line with a card in it.
pub struct Station<'a, C> {
    /// Row of the open card.
    pub card: u32,
    /// The card.
    pub channel: C,
    steps: Personalisation<'a>,
    outcome: Option<Result<usize, IssueError>>,
}

impl<'a, C> Station<'a, C> {
    /// A card that is to be made.
    #[must_use]
    pub const fn new(card: u32, channel: C, steps: Personalisation<'a>) -> Station<'a, C> {
        Station { card, channel, steps, outcome: None }
    }

    /// How it ended: the number of commands it took, or what went wrong. `None` while it has not.
    #[must_use]
    pub const fn outcome(&self) -> Option<&Result<usize, IssueError>> {
        self.outcome.as_ref()
    }

    /// How it ended, as the centre is told.
    #[must_use]
    pub fn ending(&self) -> Ending {
        match &self.outcome {
            Some(Ok(_)) => Ending::Made,
            Some(Err(error)) => Ending::Failed(in_full(error)),
            None => Ending::Failed("not ended".to_owned()),
        }
    }

    fn settle(&mut self, stage: Result<Stage, IssueError>) {
        self.outcome = match stage {
            Ok(Stage::Asks) => None,
            Ok(Stage::Done { commands }) => Some(Ok(commands)),
            Err(error) => Some(Err(error)),
        };
    }
}

/// An error with its causes.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What the centre answers to the commands of one round, in their order.
pub type Round = Vec<Result<CommandBytes, DownloadError>>;

/// Runs every card to its end. `ask` gets the commands of one round.
///
/// # Errors
/// The first error of `ask`: cards without an outcome are begun and not made then.
pub fn run_abreast<C: CardChannel, E>(
    stations: &mut [Station<'_, C>],
    mut ask: impl FnMut(&[CommandCall<'_>]) -> Result<Round, E>,
) -> Result<(), E> {
    for station in &mut *stations {
        let stage = station.steps.begin(&mut station.channel, &mut |_| {});
        station.settle(stage);
    }
    loop {
        let open = stations.iter().filter(|station| station.outcome.is_none());
        let calls: Vec<_> = open
            .filter_map(|station| Some(CommandCall { card: station.card, request: station.steps.request()? }))
            .collect();
        if calls.is_empty() {
            return Ok(());
        }
        let mut commands = ask(&calls)?.into_iter();
        drop(calls);
        for station in stations.iter_mut().filter(|station| station.outcome.is_none()) {
            let missing = || Err(DownloadError::NoAnswer("fewer commands than asked for".to_owned()));
            let stage = match commands.next().unwrap_or_else(missing) {
                Ok(command) => station.steps.go_on(&mut station.channel, &command, &mut |_| {}),
                Err(error) => Err(station.steps.failed(error)),
            };
            station.settle(stage);
        }
    }
}
