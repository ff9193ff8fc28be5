//! The card as the reader sees it: power, reset, one command after the other.

use crate::answer::{Fetched, Outcome};
use crate::command::CardCommand;
use crate::files::master;
use crate::image::{self, Blank, BlankError, Factory, PowerOnError};
use crate::memory::{Memory, MemoryFault, Store};
use crate::session::{Carried, Session};
use ykt_base::{Response, Rng, StatusWord};
use ykt_purse::hard_info;

/// A powered card over its memory.
pub struct Card<M> {
    pub(crate) store: Store<M>,
    pub(crate) factory: Factory,
    pub(crate) session: Session,
}

impl<M: Memory> Card<M> {
    /// Makes a blank card of `memory`, as the factory does, and powers it on. What was there before is lost.
    ///
    /// # Errors
    /// [`BlankError`] when the memory or the ATR has no fitting length, or a write fails.
    pub fn blank(mut memory: M, blank: &Blank<'_>) -> Result<Card<M>, BlankError> {
        image::write_blank(&mut memory, blank)?;
        Card::power_on(memory).map_err(|_| BlankError::Memory(MemoryFault))
    }

    /// Powers on the card in `memory`. What a power cut left unfinished is finished or gone.
    ///
    /// # Errors
    /// [`PowerOnError`] when the memory holds no card of this version, or is damaged.
    pub fn power_on(memory: M) -> Result<Card<M>, PowerOnError> {
        let (store, factory) = Store::power_on(memory)?;
        let session = Session::new(master(&store, &factory));
        Ok(Card { store, factory, session })
    }

    /// Answers one command APDU. Never fails: what is wrong is said by the status word (`epurse.md` 5), and
    /// nothing but counted tries has changed then. After a write that failed every command answers 6581 until
    /// [`Card::reset`].
    pub fn process(&mut self, rng: &mut (impl Rng + ?Sized), apdu: &[u8]) -> Response {
        let mut rng = rng;
        let outcome = match self.fetched(apdu) {
            Fetched::Answer(sw) => {
                self.session.waiting = None;
                return self.response(sw);
            }
            Fetched::WrongLength(refusal) => Err(refusal),
            Fetched::Nothing => self.run(&mut rng, apdu),
        };
        match outcome {
            Err(refusal) => Response::status(refusal),
            Ok(sw) if self.waits(apdu) => {
                self.session.waiting = Some(sw);
                let len = u8::try_from(self.session.answer.len()).unwrap_or(0);
                Response::status(StatusWord::data_waiting(len))
            }
            Ok(sw) => self.response(sw),
        }
    }

    #[inline(never)]
    fn run(&mut self, rng: &mut dyn Rng, apdu: &[u8]) -> Outcome {
        self.session.waiting = None;
        self.session.answer.clear();
        let mut carried = self.session.carried();
        if self.store.is_faulty() {
            return Err(StatusWord::MEMORY_FAILURE);
        }
        if self.is_blocked() && !apdu.starts_with(&hard_info::READ) {
            return Err(StatusWord::NOT_SUPPORTED);
        }
        let command = CardCommand::parse(self.factory.kind, apdu)?;
        self.admit(&command)?;
        self.execute(rng, command, &mut carried)
    }

    /// Each family is executed out of line: a card has one stack, and only one of them is on it.
    fn execute(&mut self, rng: &mut dyn Rng, command: CardCommand<'_>, carried: &mut Carried) -> Outcome {
        match command {
            CardCommand::Files(command) => self.execute_files(command, carried),
            CardCommand::Security(command) => self.execute_security(rng, command, carried),
            CardCommand::Purse(command) => self.execute_purse(rng, command, carried),
            CardCommand::Psam(command) => self.execute_psam(rng, command, carried),
            CardCommand::KeyCard(command) => self.execute_key_card(command, carried),
            CardCommand::Ticket(command) => self.execute_ticket(rng, command, carried),
            CardCommand::Bank(command) => self.execute_bank(rng, command, carried),
            CardCommand::Identity(command) => self.prove_card(rng, command),
            CardCommand::Token(command) => self.execute_token(rng, command, carried),
        }
    }

    /// Warm reset: volatile state is gone; what a failed write left unfinished is finished or gone.
    pub fn reset(&mut self) {
        // A memory that still takes no writes leaves the store faulty, and every command answers 6581.
        let _ = self.store.recover();
        self.restart();
    }

    /// Begins anew with what the memory says.
    pub(crate) fn restart(&mut self) {
        if let Ok(factory) = Factory::read(self.store.memory()) {
            self.factory = factory;
        }
        self.session = Session::new(master(&self.store, &self.factory));
    }

    /// Answer to reset.
    #[must_use]
    pub fn atr(&self) -> &[u8] {
        self.factory.atr.as_bytes()
    }

    /// The memory, for a look at what is stored.
    #[must_use]
    pub const fn memory(&self) -> &M {
        self.store.memory()
    }

    /// The memory, for tests that cut its power.
    #[must_use]
    pub const fn memory_mut(&mut self) -> &mut M {
        self.store.memory_mut()
    }

    /// Takes the power off and gives the memory back.
    #[must_use]
    pub fn into_memory(self) -> M {
        self.store.into_memory()
    }
}
