//! Cards in the readers of this machine, through the PC/SC service.

use pcsc::{
    Card, Context, Disposition, Error, MAX_BUFFER_SIZE, Protocol, Protocols, ReaderState, Scope, ShareMode,
    State,
};
use std::time::Duration;
use ykt_base::{CardChannel, ChannelError, Response};

/// GET RESPONSE commands that one answer may take before the card is taken for broken.
const CHAIN_LEN_MAX: usize = 4;

/// Why a card in a reader cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// The service is not there.
    #[error("the PC/SC service does not answer: start pcscd")]
    Service {
        /// What the library said.
        source: Error,
    },
    /// No reader has this number or name.
    #[error("no reader `{wanted}`; there are: {}", list(.readers))]
    Unknown {
        /// Number or part of a name asked for.
        wanted: String,
        /// Names of the readers, in the order of their numbers.
        readers: Vec<String>,
    },
    /// More than one reader has it in its name.
    #[error("`{wanted}` is part of more than one reader's name, give its number: {}", list(.readers))]
    Ambiguous {
        /// Part of a name asked for.
        wanted: String,
        /// Names of the readers, in the order of their numbers.
        readers: Vec<String>,
    },
    /// The card does not answer to reset, or another program holds it.
    #[error("no card can be used in reader {reader}")]
    Card {
        /// Name of the reader.
        reader: String,
        /// What the library said.
        source: Error,
    },
}

fn list(readers: &[String]) -> String {
    if readers.is_empty() {
        return "none".to_owned();
    }
    let numbered: Vec<String> =
        readers.iter().enumerate().map(|(number, name)| format!("{number}: {name}")).collect();
    numbered.join(", ")
}

/// Names of the readers of this machine; a reader's number is its place.
///
/// # Errors
/// [`ReaderError::Service`] when pcscd does not answer.
pub fn readers() -> Result<Vec<String>, ReaderError> {
    let context = Context::establish(Scope::User).map_err(|source| ReaderError::Service { source })?;
    names(&context)
}

fn names(context: &Context) -> Result<Vec<String>, ReaderError> {
    match context.list_readers_owned() {
        Ok(names) => Ok(names.iter().map(|name| name.to_string_lossy().into_owned()).collect()),
        Err(Error::NoReadersAvailable) => Ok(Vec::new()),
        Err(source) => Err(ReaderError::Service { source }),
    }
}

/// The reader that `wanted` means: a number, a whole name, or part of exactly one name.
fn choose(wanted: &str, readers: Vec<String>) -> Result<String, ReaderError> {
    if let Some(name) = readers.iter().find(|name| *name == wanted) {
        return Ok(name.clone());
    }
    if let Ok(number) = wanted.parse::<usize>() {
        return match readers.get(number) {
            Some(name) => Ok(name.clone()),
            None => Err(ReaderError::Unknown { wanted: wanted.to_owned(), readers }),
        };
    }
    let lower = wanted.to_lowercase();
    let mut hits = readers.iter().filter(|name| name.to_lowercase().contains(&lower));
    match (hits.next(), hits.next()) {
        (Some(name), None) => Ok(name.clone()),
        (None, _) => Err(ReaderError::Unknown { wanted: wanted.to_owned(), readers }),
        (Some(_), Some(_)) => Err(ReaderError::Ambiguous { wanted: wanted.to_owned(), readers }),
    }
}

/// Whether a card is in the reader that `wanted` names.
///
/// # Errors
/// [`ReaderError`] when there is no such reader.
pub fn has_card(wanted: &str) -> Result<bool, ReaderError> {
    let context = Context::establish(Scope::User).map_err(|source| ReaderError::Service { source })?;
    let reader = choose(wanted, names(&context)?)?;
    let fault = |source| ReaderError::Card { reader: reader.clone(), source };
    let name = std::ffi::CString::new(reader.as_str()).map_err(|_| fault(Error::UnknownReader))?;
    let mut states = [ReaderState::new(name, State::UNAWARE)];
    context.get_status_change(Some(Duration::ZERO), &mut states).map_err(fault)?;
    Ok(states.iter().any(|state| state.event_state().contains(State::PRESENT)))
}

/// A card in a reader, held exclusively until dropped.
pub struct ReaderChannel {
    card: Card,
    reader: String,
    atr: Vec<u8>,
    /// T=0 cards hand out answers by GET RESPONSE.
    t0: bool,
}

impl ReaderChannel {
    /// Connects to the card in the reader that `wanted` names, by number or part of its name.
    ///
    /// # Errors
    /// [`ReaderError`] when there is no such reader, or no usable card in it.
    pub fn open(wanted: &str) -> Result<ReaderChannel, ReaderError> {
        let context = Context::establish(Scope::User).map_err(|source| ReaderError::Service { source })?;
        let reader = choose(wanted, names(&context)?)?;
        let fault = |source| ReaderError::Card { reader: reader.clone(), source };
        let name = std::ffi::CString::new(reader.as_str()).map_err(|_| fault(Error::UnknownReader))?;
        let card = context.connect(&name, ShareMode::Exclusive, Protocols::ANY).map_err(fault)?;
        let status = card.status2_owned().map_err(fault)?;
        let t0 = status.protocol2() == Some(Protocol::T0);
        let atr = status.atr().to_vec();
        Ok(ReaderChannel { card, reader, atr, t0 })
    }

    /// Name of the reader.
    #[must_use]
    pub fn reader(&self) -> &str {
        &self.reader
    }

    /// The card's answer to reset.
    #[must_use]
    pub fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn once(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        let mut buffer = [0; MAX_BUFFER_SIZE];
        let answer = self.card.transmit(command, &mut buffer).map_err(fault)?;
        Response::from_wire(answer).ok_or(ChannelError::BadAnswer { len: answer.len() })
    }

    /// The rest of an answer that a T=0 card announces by 61xx or corrects by 6Cxx.
    fn collect(&mut self, command: &[u8], mut answer: Response) -> Result<Response, ChannelError> {
        for _ in 0..CHAIN_LEN_MAX {
            let [sw1, sw2] = answer.sw().to_bytes();
            answer = match sw1 {
                0x61 => self.once(&[0x00, 0xC0, 0x00, 0x00, sw2])?,
                0x6C => {
                    let mut again = command.to_vec();
                    match command.len() {
                        4 => again.push(sw2),
                        _ => again.last_mut().map_or((), |le| *le = sw2),
                    }
                    self.once(&again)?
                }
                _ => return Ok(answer),
            };
        }
        Ok(answer)
    }
}

impl CardChannel for ReaderChannel {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        let answer = self.once(command)?;
        if self.t0 { self.collect(command, answer) } else { Ok(answer) }
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        self.card.reconnect(ShareMode::Exclusive, Protocols::ANY, Disposition::ResetCard).map_err(fault)
    }
}

fn fault(error: Error) -> ChannelError {
    match error {
        Error::NoSmartcard => ChannelError::NoCard,
        Error::RemovedCard | Error::ResetCard | Error::UnpoweredCard | Error::UnresponsiveCard => {
            ChannelError::Removed
        }
        // What a reader reports when the card leaves in the middle of a command.
        Error::NotTransacted | Error::CommError | Error::InvalidHandle => ChannelError::Removed,
        Error::NoService | Error::ServiceStopped => ChannelError::Transport("the PC/SC service stopped"),
        Error::ReaderUnavailable | Error::UnknownReader => ChannelError::Transport("the reader is gone"),
        Error::SharingViolation => ChannelError::Transport("another program holds the card"),
        _ => ChannelError::Transport("the PC/SC service refused the command"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_chosen_by_number_name_or_part_of_it() {
        let readers = || vec!["City Card 00 00".to_owned(), "City Card 00 01".to_owned(), "PSAM".to_owned()];
        assert_eq!(choose("1", readers()).unwrap(), "City Card 00 01");
        assert_eq!(choose("psam", readers()).unwrap(), "PSAM");
        assert_eq!(choose("City Card 00 00", readers()).unwrap(), "City Card 00 00");
        assert!(matches!(choose("city", readers()), Err(ReaderError::Ambiguous { .. })));
        let none = choose("7", readers()).unwrap_err().to_string();
        assert_eq!(none, "no reader `7`; there are: 0: City Card 00 00, 1: City Card 00 01, 2: PSAM");
    }
}
