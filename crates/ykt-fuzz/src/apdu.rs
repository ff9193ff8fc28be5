//! Any bytes as commands, resets and power cuts. The card answers everything with a status word it has, starts
//! again whatever happened, and gives no money to somebody without keys.

use crate::chip::{Chip, blank, personalised};
use crate::choices::Choices;
use ykt_card::{Card, Sight};
use ykt_city::rng::SeededRng;

/// Runs a sequence: the first byte chooses the card, then each step is a length and that many bytes.
pub fn apdu(input: &[u8]) {
    let mut choices = Choices(input);
    let [user, _, psam] = personalised();
    let chips: Vec<&Chip> = [user, psam].into_iter().chain(blank()).collect();
    let Some(chip) = choices.pick(&chips) else { return };
    let mut card = Card::power_on(chip.clone()).expect("a chip starts");
    let before = purses(&card);
    let mut rng = SeededRng::stream(2, "apdu");
    while let Some(len) = choices.byte() {
        match len {
            0xFF => card.reset(),
            0xFE => card = power_cycle(card),
            0xFD => {
                let (Some(writes), Some(torn)) = (choices.below(10), choices.below(40)) else { break };
                card.memory_mut().cut_power_after(writes.into(), torn.into());
            }
            len => {
                let answer = card.process(&mut rng, choices.bytes(len.into()));
                let [class, _] = answer.sw().0.to_be_bytes();
                assert!(matches!(class, 0x61..=0x6F | 0x90..=0x9F), "status word {}", answer.sw());
            }
        }
    }
    assert_eq!(purses(&power_cycle(card)), before, "money without a key");
}

fn power_cycle(card: Card<Chip>) -> Card<Chip> {
    let mut memory = card.into_memory();
    memory.restore_power();
    Card::power_on(memory).expect("a card starts whatever was cut")
}

/// What an engineer sees of the purses.
fn purses(card: &Card<Chip>) -> Vec<String> {
    let mut seen = Vec::new();
    card.inspect(&mut |sight| {
        if let Sight::Purse { state: Some(state), .. } = sight {
            seen.push(format!("{state:?}"));
        }
    });
    seen
}
