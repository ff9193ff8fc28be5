//! Cards and PSAMs of the tests: made from recorded personalisation dialogues, with hands that pull them out.

use std::collections::VecDeque;
use ykt_base::{CardChannel, ChannelError, Clock, DateTime, Response, Rng, StatusWord};
use ykt_card::{ArrayMemory, Blank, Card, CardKind, IMAGE_LEN_DEMO};
use ykt_crypto::Key16;
use ykt_vault::{DEMO_TRANSPORT_KEY, KeysFile, SoftVault};

pub type Memory = ArrayMemory<IMAGE_LEN_DEMO>;

/// The keys that `docs/keys.toml` prints: the dialogues were recorded with them.
pub fn vault() -> SoftVault {
    SoftVault::from_keys(KeysFile::parse(include_str!("../../../../docs/keys.toml")).unwrap()).unwrap()
}

/// City card 1 (number 2144000000000001) or 2, fresh from the issuer.
pub fn city_card(number: usize) -> Memory {
    let dialogues = [
        include_str!("../../../ykt-issue/tests/dialogues/city-card-1.txt"),
        include_str!("../../../ykt-issue/tests/dialogues/city-card-2.txt"),
    ];
    personalised(CardKind::User, dialogues[number - 1])
}

/// The PSAM with terminal id 214400000009.
pub fn psam() -> Memory {
    personalised(CardKind::Psam, include_str!("../../../ykt-issue/tests/dialogues/psam.txt"))
}

/// The key card of the card system's own dialogue: three cards to issue, PIN 123456.
pub fn key_card() -> Memory {
    let dialogue = include_str!("../../../ykt-card/tests/dialogues/key-card.apdu");
    made(&Blank::key_card([7; 8], &transport()), &[dialogue])
}

/// The identity card of the card system's own dialogue.
pub fn identity_card() -> Memory {
    let dialogue = include_str!("../../../ykt-card/tests/dialogues/identity-card.apdu");
    made(&Blank::user_card([7; 8], &transport()), &[dialogue])
}

/// The token of the card system's own dialogue.
pub fn token() -> Memory {
    let dialogue = include_str!("../../../ykt-card/tests/dialogues/token-card.apdu");
    made(&Blank::user_card([7; 8], &transport()), &[dialogue])
}

/// The transport key of the card system's own dialogues.
fn transport() -> Key16 {
    Key16::from_hex("57494E4E4552313233343536373839AA").unwrap()
}

/// Challenges as they were given when the dialogue was recorded.
struct Recorded(VecDeque<u8>);

impl Rng for Recorded {
    fn fill(&mut self, out: &mut [u8]) {
        out.iter_mut().for_each(|byte| *byte = self.0.pop_front().unwrap());
    }
}

fn personalised(kind: CardKind, dialogue: &str) -> Memory {
    let transport = Key16::from_bytes(DEMO_TRANSPORT_KEY);
    let blank = match kind {
        CardKind::User => Blank::user_card([7; 8], &transport),
        CardKind::Psam => Blank::psam([7; 8], &transport),
        CardKind::KeyCard => Blank::key_card([7; 8], &transport),
    };
    made(&blank, &[dialogue])
}

/// A card with tickets or bank cards, as a dialogue of the card system makes it of its user card.
pub fn citizen_card(dialogue: &str) -> Memory {
    let user_card = include_str!("../../../ykt-card/tests/dialogues/user-card.apdu");
    made(&Blank::user_card([7; 8], &transport()), &[user_card, dialogue])
}

/// A card that was sent what the dialogues send; every answer is compared.
fn made(blank: &Blank<'_>, dialogues: &[&str]) -> Memory {
    let mut card = Card::blank(Memory::new(), blank).unwrap();
    for dialogue in dialogues {
        play(&mut card, dialogue);
    }
    card.into_memory()
}

/// Random bytes are those the dialogue writes, or else those of the answer: then it is a challenge.
fn play(card: &mut Card<Memory>, dialogue: &str) {
    let bytes = |text: &str| -> VecDeque<u8> {
        let text: String = text.split_whitespace().collect();
        let mut bytes = vec![0; text.len() / 2];
        ykt_base::hex::decode_into(&text, &mut bytes).unwrap();
        bytes.into()
    };
    let (mut random, mut command) = (None, VecDeque::new());
    for line in dialogue.lines().map(|line| line.split('#').next().unwrap()) {
        if let Some(text) = line.strip_prefix("@ random") {
            random = Some(bytes(text));
        } else if let Some(text) = line.strip_prefix('>') {
            command = bytes(text);
        } else if let Some(text) = line.strip_prefix('<') {
            let mut expected = bytes(text);
            let mut dice = Recorded(random.take().unwrap_or_else(|| expected.clone()));
            let answer = card.process(&mut dice, command.make_contiguous());
            assert_eq!(answer.as_bytes(), expected.make_contiguous(), "{line}");
        }
    }
}

/// Random bytes from a seed.
pub struct Seeded(pub u64);

impl Rng for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

/// A clock that stands still.
#[derive(Clone, Copy)]
pub struct Standing(pub DateTime);

impl Clock for Standing {
    fn now(&self) -> DateTime {
        self.0
    }
}

/// When a hand pulls the card out, counted in commands since it was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// Before the card hears the command of this number, from 0.
    Before(usize),
    /// After the card did what that command says, before its answer is heard.
    After(usize),
}

/// A card in a reader.
pub struct Hand {
    card: Card<Memory>,
    rng: Seeded,
    present: bool,
    pub commands: usize,
    pub pull: Option<Pull>,
    /// Changes an answer on its way.
    pub forge: Option<fn(&[u8], Response) -> Response>,
}

impl Hand {
    pub fn new(memory: Memory) -> Hand {
        let card = Card::power_on(memory).unwrap();
        Hand { card, rng: Seeded(99), present: true, commands: 0, pull: None, forge: None }
    }

    pub fn memory(&mut self) -> &mut Memory {
        self.card.memory_mut()
    }

    /// Puts the card back in, with power.
    pub fn put_back(self) -> Hand {
        let mut memory = self.card.into_memory();
        memory.restore_power();
        let card = Card::power_on(memory).unwrap();
        Hand { card, present: true, commands: 0, pull: None, ..self }
    }
}

impl CardChannel for Hand {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        if !self.present || self.pull == Some(Pull::Before(self.commands)) {
            self.present = false;
            return Err(ChannelError::Removed);
        }
        let answer = self.card.process(&mut self.rng, command);
        // A memory whose power was cut answers to nobody.
        let cut = answer.sw() == StatusWord::MEMORY_FAILURE;
        if cut || self.pull == Some(Pull::After(self.commands)) {
            self.present = false;
            return Err(ChannelError::Removed);
        }
        self.commands += 1;
        Ok(self.forge.map_or(answer, |forge| forge(command, answer)))
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        if !self.present {
            return Err(ChannelError::Removed);
        }
        self.card.reset();
        Ok(())
    }
}
