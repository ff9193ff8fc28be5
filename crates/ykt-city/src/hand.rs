//! A card in a citizen's hand: it is presented, answers through its channel, and can be pulled out at any
//! command, before it, inside one of its memory writes, or after it was committed.

use crate::rng::SeededRng;
use ykt_base::{CardChannel, ChannelError, Response};
use ykt_card::{ArrayMemory, Card, IMAGE_LEN_DEMO, PowerOnError};

/// Memory of a simulated card or PSAM.
pub type CardMemory = ArrayMemory<IMAGE_LEN_DEMO>;

/// When the card leaves the field. `ins` is the instruction byte during which it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The command does not reach the card any more.
    Before {
        /// Instruction byte.
        ins: u8,
    },
    /// Power goes after `writes` memory writes of the command; of the next one `torn_len` bytes arrive.
    /// A command with fewer writes is committed and loses its answer.
    Within {
        /// Instruction byte.
        ins: u8,
        /// Whole writes that still happen.
        writes: usize,
        /// Bytes of the write after them that arrive.
        torn_len: usize,
    },
    /// The command is done, its answer does not come.
    After {
        /// Instruction byte.
        ins: u8,
    },
}

/// A card with the generator inside it, and the hand that holds it.
pub struct HeldCard {
    card: Card<CardMemory>,
    rng: SeededRng,
    present: bool,
    cut: Option<Cut>,
    was_torn: bool,
}

impl HeldCard {
    /// Takes a powered card in hand; it is not presented yet.
    #[must_use]
    pub fn new(card: Card<CardMemory>, rng: SeededRng) -> HeldCard {
        HeldCard { card, rng, present: false, cut: None, was_torn: false }
    }

    /// Presents the card to a reader, which powers it on. With `cut` it will leave at that moment.
    ///
    /// # Errors
    /// [`PowerOnError`] when the memory is damaged beyond its journal.
    pub fn present(&mut self, cut: Option<Cut>) -> Result<(), PowerOnError> {
        let mut memory = self.card.memory().clone();
        memory.restore_power();
        self.card = Card::power_on(memory)?;
        self.present = true;
        self.cut = cut;
        Ok(())
    }

    /// Takes the card away; its power goes.
    pub fn remove(&mut self) {
        self.present = false;
        self.cut = None;
    }

    /// Whether the last cut hit inside a write rather than after the last one.
    #[must_use]
    pub fn was_torn(&self) -> bool {
        self.was_torn
    }

    /// Runs the command although the card leaves during it.
    fn run_cut(&mut self, command: &[u8], writes: usize, torn_len: usize) {
        let before = self.card.memory().writes();
        self.card.memory_mut().cut_power_after(writes, torn_len);
        // Nobody hears the answer; what the command left in memory is what counts.
        let _ = self.card.process(&mut self.rng, command);
        let made = self.card.memory().writes().saturating_sub(before);
        self.was_torn = made > writes;
    }
}

impl CardChannel for HeldCard {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        if !self.present {
            return Err(ChannelError::NoCard);
        }
        let ins = command.get(1).copied();
        match self.cut {
            Some(Cut::Before { ins: at }) if Some(at) == ins => {}
            Some(Cut::Within { ins: at, writes, torn_len }) if Some(at) == ins => {
                self.run_cut(command, writes, torn_len);
            }
            Some(Cut::After { ins: at }) if Some(at) == ins => {
                let _ = self.card.process(&mut self.rng, command);
            }
            _ => return Ok(self.card.process(&mut self.rng, command)),
        }
        self.remove();
        Err(ChannelError::Removed)
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        if !self.present {
            return Err(ChannelError::NoCard);
        }
        self.card.reset();
        Ok(())
    }
}
