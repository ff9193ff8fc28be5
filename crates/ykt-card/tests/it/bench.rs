//! A card on the bench: random numbers as the dialogue writes them, and the dialogue files themselves.

use std::collections::VecDeque;
use std::path::PathBuf;
use ykt_base::hex;
use ykt_base::{Response, Rng};
use ykt_card::{ArrayMemory, Blank, Card, IMAGE_LEN_DEMO};
use ykt_crypto::Key16;

/// Memory of the demo's size.
pub type Chip = ArrayMemory<IMAGE_LEN_DEMO>;

/// Random bytes in the order they were queued, then a count.
#[derive(Clone, Default)]
pub struct Dice {
    queue: VecDeque<u8>,
    count: u8,
}

impl Dice {
    pub fn queue(&mut self, bytes: &[u8]) {
        self.queue.extend(bytes);
    }
}

impl Rng for Dice {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            *byte = self.queue.pop_front().unwrap_or_else(|| {
                self.count = self.count.wrapping_add(1);
                self.count
            });
        }
    }
}

/// One line of a dialogue, or two: a command with the answer expected.
#[derive(Clone, Debug)]
pub enum Step {
    Random(Vec<u8>),
    Reset,
    Command { line: String, apdu: Vec<u8>, answer: Vec<u8> },
}

/// A dialogue: the blank card it begins with, and its steps; included files come first.
#[derive(Clone)]
pub struct Dialogue {
    kind: String,
    serial: [u8; 8],
    transport_key: Key16,
    pub steps: Vec<Step>,
    /// How many of the steps come from the file it includes.
    pub included: usize,
}

impl Dialogue {
    /// Reads `tests/dialogues/NAME.apdu`: `@ blank KIND SERIAL KEY`, `@ include NAME`, `@ random HEX`, `@ reset`,
    /// `> APDU`, `< DATA SW`, `# comment`.
    pub fn read(name: &str) -> Dialogue {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/dialogues/{name}.apdu"));
        let text = std::fs::read_to_string(&path).unwrap();
        let mut dialogue = None;
        let mut waiting: Option<(String, Vec<u8>)> = None;
        for (number, line) in (1..).zip(text.lines()) {
            let at = format!("{name}.apdu:{number}");
            let words: Vec<&str> = line.split('#').next().unwrap().split_whitespace().collect();
            let bytes = |from: usize| unhex_at(&words[from..].concat(), &at);
            match *words.first().unwrap_or(&"") {
                "" => {}
                "@" if words[1] == "blank" => {
                    dialogue = Some(Dialogue {
                        kind: words[2].to_owned(),
                        serial: unhex_at(words[3], &at).try_into().unwrap(),
                        transport_key: Key16::from_hex(words[4]).unwrap(),
                        steps: Vec::new(),
                        included: 0,
                    });
                }
                "@" if words[1] == "include" => {
                    let whole = Dialogue::read(words[2]);
                    dialogue = Some(Dialogue { included: whole.steps.len(), ..whole });
                }
                mark => {
                    let steps = &mut dialogue.as_mut().expect("blank or include first").steps;
                    match (mark, waiting.take()) {
                        ("@", None) if words[1] == "random" => steps.push(Step::Random(bytes(2))),
                        ("@", None) if words[1] == "reset" => steps.push(Step::Reset),
                        (">", None) => waiting = Some((format!("{at} {line}"), bytes(1))),
                        ("<", Some((line, apdu))) => {
                            steps.push(Step::Command { line, apdu, answer: bytes(1) });
                        }
                        _ => panic!("{at}: {line}"),
                    }
                }
            }
        }
        assert!(waiting.is_none(), "{name}: a command without an answer at the end");
        dialogue.expect("blank or include")
    }

    /// The names of all dialogues.
    pub fn names() -> Vec<String> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> =
            files.map(|file| file.into_string().unwrap().strip_suffix(".apdu").unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// The blank card.
    pub fn blank(&self) -> Bench {
        let blank = match self.kind.as_str() {
            "user" => Blank::user_card(self.serial, &self.transport_key),
            "psam" => Blank::psam(self.serial, &self.transport_key),
            "key" => Blank::key_card(self.serial, &self.transport_key),
            kind => panic!("no card of kind {kind}"),
        };
        Bench { card: Card::blank(Chip::new(), &blank).unwrap(), dice: Dice::default() }
    }

    /// The card after the whole dialogue; every answer is compared.
    pub fn play(&self) -> Bench {
        let mut bench = self.blank();
        for step in &self.steps {
            bench.step(step);
        }
        bench
    }
}

/// Bytes of hex digits; `at` says where they stand.
fn unhex_at(text: &str, at: &str) -> Vec<u8> {
    let mut bytes = vec![0; text.len() / 2];
    hex::decode_into(text, &mut bytes).unwrap_or_else(|error| panic!("{at}: {error}"));
    bytes
}

/// Bytes of hex digits.
pub fn unhex(text: &str) -> Vec<u8> {
    unhex_at(text, text)
}

/// A powered card and its dice.
pub struct Bench {
    pub card: Card<Chip>,
    pub dice: Dice,
}

impl Bench {
    pub fn step(&mut self, step: &Step) {
        match step {
            Step::Random(bytes) => self.dice.queue(bytes),
            Step::Reset => self.card.reset(),
            Step::Command { line, apdu, answer } => {
                let given = self.send(apdu);
                assert_eq!(hex_of(given.as_bytes()), hex_of(answer), "{line}");
            }
        }
    }

    pub fn send(&mut self, apdu: &[u8]) -> Response {
        self.card.process(&mut self.dice, apdu)
    }

    /// Sends an APDU in hex and gives the data; the status word is 9000.
    pub fn ok(&mut self, apdu: &str) -> Vec<u8> {
        let answer = self.send(&unhex(apdu));
        assert!(answer.sw().is_ok(), "{apdu}: {}", answer.sw());
        answer.data().to_vec()
    }

    /// The status word of an APDU in hex.
    pub fn sw(&mut self, apdu: &str) -> u16 {
        self.send(&unhex(apdu)).sw().0
    }

    /// Power off and on.
    pub fn power_cycle(&mut self) {
        let mut memory = self.card.memory().clone();
        memory.restore_power();
        self.card = Card::power_on(memory).unwrap();
    }

    /// What a card remembers: its image without the journal.
    pub fn remembered(&self) -> Vec<u8> {
        let image = self.card.memory().image();
        [&image[..JOURNAL.start], &image[JOURNAL.end..]].concat()
    }
}

/// Where the journal lies in an image.
const JOURNAL: std::ops::Range<usize> = 112..512;

pub fn hex_of(bytes: &[u8]) -> String {
    hex::Hex(bytes).to_string()
}

/// Name of the application of `user-card.apdu`.
pub const SELECT_APPLICATION: &str = "00A4040009A00000000386980701";
