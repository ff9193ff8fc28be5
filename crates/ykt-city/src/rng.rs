//! Randomness from a seed: one independent stream per purpose, so that a new fault does not change the cards.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng};
use ykt_base::Rng;

/// A generator whose output depends on the city's seed and its own label only.
pub struct SeededRng(ChaCha8Rng);

impl SeededRng {
    /// The stream named `label` (up to 24 bytes count) of the city with `seed`.
    #[must_use]
    pub fn stream(seed: u64, label: &str) -> SeededRng {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        for (place, byte) in key[8..].iter_mut().zip(label.bytes()) {
            *place = byte;
        }
        SeededRng(ChaCha8Rng::from_seed(key))
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        // Multiply-shift keeps the choice free of division; its bias is below 2^-32 of the bound.
        let wide = u64::from(self.0.next_u32()).saturating_mul(u64::from(bound));
        u32::try_from(wide >> 32).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included; `low` when they are the wrong way round.
    pub fn between(&mut self, low: u32, high: u32) -> u32 {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }

    /// True `in_thousand` times of a thousand.
    pub fn chance(&mut self, in_thousand: u32) -> bool {
        self.below(1_000) < in_thousand
    }

    /// An index into a list of `len` entries; 0 for an empty one.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u32::try_from(len).unwrap_or(u32::MAX))).unwrap_or(0)
    }

    /// One of `choices`, or `None` when there is none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.index(choices.len()))
    }
}

impl Rng for SeededRng {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill_bytes(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_its_seed_and_label() {
        let mut again = SeededRng::stream(7, "cards");
        let mut first = SeededRng::stream(7, "cards");
        let drawn: Vec<u32> = (0..100).map(|_| first.between(3, 9)).collect();
        assert!(drawn.iter().all(|n| (3..=9).contains(n)));
        assert_eq!(drawn, (0..100).map(|_| again.between(3, 9)).collect::<Vec<_>>());
        let other: Vec<u32> = {
            let mut other = SeededRng::stream(7, "faults");
            (0..100).map(|_| other.between(3, 9)).collect()
        };
        assert_ne!(drawn, other);
    }
}
