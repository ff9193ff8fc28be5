//! A card inside this process: the card system over a memory of the caller's, as a channel and as what sits in
//! a virtual reader.

use super::vpcd::InsertedCard;
use ykt_base::{CardChannel, ChannelError, Response, Rng};
use ykt_card::{Card, Memory};

/// This machine's random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    #[expect(
        clippy::expect_used,
        reason = "without randomness no card may speak: there is nothing to go on with"
    )]
    fn fill(&mut self, out: &mut [u8]) {
        getrandom::fill(out).expect("the system gives random numbers");
    }
}

/// A powered card with its source of random numbers.
pub struct InProcess<M, R> {
    card: Card<M>,
    rng: R,
}

impl<M: Memory, R: Rng> InProcess<M, R> {
    /// A card that is powered.
    #[must_use]
    pub fn new(card: Card<M>, rng: R) -> InProcess<M, R> {
        InProcess { card, rng }
    }

    /// The card.
    #[must_use]
    pub fn card(&self) -> &Card<M> {
        &self.card
    }

    /// Takes the power off and gives the memory back.
    #[must_use]
    pub fn into_memory(self) -> M {
        self.card.into_memory()
    }
}

impl<M: Memory, R: Rng> CardChannel for InProcess<M, R> {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        Ok(self.card.process(&mut self.rng, command))
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        self.card.reset();
        Ok(())
    }
}

impl<M: Memory, R: Rng> InsertedCard for InProcess<M, R> {
    fn atr(&self) -> &[u8] {
        self.card.atr()
    }

    fn power_off(&mut self) {
        self.card.reset();
    }

    fn power_on(&mut self) {
        self.card.reset();
    }

    fn answer(&mut self, command: &[u8]) -> Response {
        self.card.process(&mut self.rng, command)
    }
}
