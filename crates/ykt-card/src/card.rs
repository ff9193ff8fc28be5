//! The card as the reader sees it: power, reset, one command after the other.

use crate::image::{self, Blank, BlankError, Factory, PowerOnError};
use crate::memory::{Memory, Store};
use ykt_base::{Response, Rng, StatusWord};

/// A powered card over its memory.
pub struct Card<M> {
    pub(crate) store: Store<M>,
    pub(crate) factory: Factory,
}

impl<M: Memory> Card<M> {
    /// Makes a blank card of `memory`, as the factory does, and powers it on. What was there before is lost.
    ///
    /// # Errors
    /// [`BlankError`] when the memory or the ATR has no fitting length, or a write fails.
    pub fn blank(mut memory: M, blank: &Blank<'_>) -> Result<Card<M>, BlankError> {
        image::write_blank(&mut memory, blank)?;
        Card::power_on(memory).map_err(|_| BlankError::Memory(crate::MemoryFault))
    }

    /// Powers on the card in `memory`. What a power cut left unfinished is finished or gone.
    ///
    /// # Errors
    /// [`PowerOnError`] when the memory holds no card of this version, or is damaged.
    pub fn power_on(memory: M) -> Result<Card<M>, PowerOnError> {
        let factory = Factory::read(&memory)?;
        let store = Store::power_on(memory)?;
        Ok(Card { store, factory })
    }

    /// Answers one command APDU. Never fails: what is wrong is said by the status word.
    pub fn process(&mut self, rng: &mut (impl Rng + ?Sized), apdu: &[u8]) -> Response {
        let _ = (rng, apdu);
        Response::status(StatusWord::UNKNOWN_INS)
    }

    /// Warm reset: volatile state is gone; what a failed write left unfinished is finished or gone.
    pub fn reset(&mut self) {
        // A memory that still takes no writes leaves the store faulty, and every command answers 6581.
        let _ = self.store.recover();
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
