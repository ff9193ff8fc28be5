//! Files of every structure, written and read at random on an open card, beside a model that knows what each must
//! hold: what was answered with 9000 is there, what was refused is not, and a power cut leaves one or the other.

use crate::chip::{Chip, blank};
use crate::choices::Choices;
use std::collections::{BTreeMap, VecDeque};
use ykt_base::{Response, StatusWord};
use ykt_card::Card;
use ykt_city::rng::SeededRng;

/// Short ids in play.
const SFIS: [u8; 5] = [1, 2, 5, 0x15, 30];

/// What a file must hold.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Content {
    Binary(Vec<u8>),
    Fixed(Vec<Vec<u8>>),
    Variable(usize, Vec<Vec<u8>>),
    Cyclic { count: usize, len: usize, records: VecDeque<Vec<u8>> },
}

/// Something written.
enum Change<'a> {
    Bytes { at: usize, data: &'a [u8] },
    Record { number: usize, data: &'a [u8] },
    Append { data: &'a [u8] },
}

impl Content {
    /// What it holds after a change that the card took; `None` when it had to refuse.
    fn after(&self, change: &Change<'_>) -> Option<Content> {
        let mut content = self.clone();
        match (&mut content, change) {
            (Content::Binary(bytes), Change::Bytes { at, data }) => {
                bytes.get_mut(*at..at.checked_add(data.len())?)?.copy_from_slice(data);
            }
            (Content::Fixed(records) | Content::Variable(_, records), Change::Record { number, data }) => {
                let record = records.get_mut(number.checked_sub(1)?)?;
                (record.len() == data.len()).then(|| record.copy_from_slice(data))?;
            }
            (Content::Cyclic { len, records, .. }, Change::Record { number, data }) => {
                (*len == data.len()).then_some(())?;
                *records.get_mut(number.checked_sub(1)?)? = data.to_vec();
            }
            (Content::Variable(size, records), Change::Append { data }) => {
                records.push(data.to_vec());
                let used: usize = records.iter().map(|record| record.len().saturating_add(1)).sum();
                (used <= *size && !data.is_empty()).then_some(())?;
            }
            (Content::Cyclic { count, len, records }, Change::Append { data }) => {
                (*len == data.len()).then_some(())?;
                records.push_front(data.to_vec());
                records.truncate(*count);
            }
            _ => return None,
        }
        Some(content)
    }
}

struct Bench {
    card: Card<Chip>,
    rng: SeededRng,
    files: BTreeMap<u8, Content>,
}

/// Runs a sequence of file commands.
pub fn files(input: &[u8]) {
    let mut choices = Choices(input);
    let [.., open] = blank();
    let card = Card::power_on(open.clone()).expect("a chip starts");
    let mut bench = Bench { card, rng: SeededRng::stream(3, "files"), files: BTreeMap::new() };
    bench.send(&[0x80, 0xE0, 0, 0, 7, 0x3F, 0, 48, 0, 0xF0, 0xFF, 0xFF]);
    while bench.step(&mut choices).is_some() {}
    bench.compare();
}

impl Bench {
    fn step(&mut self, choices: &mut Choices<'_>) -> Option<()> {
        match choices.below(8)? {
            0 | 1 => {
                let sfi = choices.pick(&SFIS)?;
                self.create(sfi, choices.below(4)?, choices.byte()?, choices.byte()?);
            }
            2 | 3 => {
                let (sfi, at, len) = (choices.pick(&SFIS)?, choices.byte()?, choices.byte()?);
                let data = choices.bytes(len.into());
                self.write(sfi, [0xD6, 0x80 | sfi, at], &Change::Bytes { at: at.into(), data }, data);
            }
            4 => {
                let (sfi, number, len) = (choices.pick(&SFIS)?, choices.below(12)?, choices.byte()?);
                let data = choices.bytes(len.into());
                let change = Change::Record { number: number.into(), data };
                self.write(sfi, [0xDC, number, sfi << 3 | 4], &change, data);
            }
            5 => {
                let (sfi, len) = (choices.pick(&SFIS)?, choices.byte()?);
                let data = choices.bytes(len.into());
                self.write(sfi, [0xE2, 0, sfi << 3], &Change::Append { data }, data);
            }
            6 => {
                let (writes, torn) = (choices.below(8)?, choices.below(60)?);
                self.card.memory_mut().cut_power_after(writes.into(), torn.into());
            }
            _ => {
                self.compare();
                self.card.reset();
            }
        }
        Some(())
    }

    fn send(&mut self, apdu: &[u8]) -> Response {
        self.card.process(&mut self.rng, apdu)
    }

    fn create(&mut self, sfi: u8, kind: u8, first: u8, second: u8) {
        let (first, second) = (first % 4, second % 64);
        let size = usize::from(u16::from_be_bytes([first, second]));
        let (count, len) = (usize::from(first), usize::from(second));
        let (code, content) = match kind {
            0 => (0x28, Content::Binary(vec![0; size])),
            1 => (0x2A, Content::Fixed(vec![vec![0; len]; count])),
            2 => (0x2C, Content::Variable(size, Vec::new())),
            _ => (0x2E, Content::Cyclic { count, len, records: VecDeque::new() }),
        };
        let apdu = [0x80, 0xE0, 0, sfi, 7, code, first, second, 0xF0, 0xF0, 0xFF, 0xFF];
        match self.send(&apdu).sw() {
            StatusWord::OK => {
                let before = self.files.insert(sfi, content);
                assert_eq!(before, None, "a file was made twice");
            }
            StatusWord::MEMORY_FAILURE => {
                self.power_cycle();
                if !self.files.contains_key(&sfi) && self.holds(sfi, &content) {
                    self.files.insert(sfi, content);
                }
            }
            _ => {}
        }
    }

    /// Sends a write; `head` is instruction, P1 and P2.
    fn write(&mut self, sfi: u8, head: [u8; 3], change: &Change<'_>, data: &[u8]) {
        let Ok(lc) = u8::try_from(data.len()) else { return };
        let [ins, p1, p2] = head;
        let mut apdu = vec![0x00, ins, p1, p2];
        if lc > 0 {
            apdu.push(lc);
            apdu.extend(data);
        }
        let sw = self.send(&apdu).sw();
        let new = self.files.get(&sfi).and_then(|content| content.after(change));
        match (sw, new) {
            (StatusWord::OK, Some(new)) => {
                self.files.insert(sfi, new);
            }
            (StatusWord::OK, None) => panic!("{ins:02X} {p1:02X} {p2:02X} was taken, and may not be"),
            (StatusWord::MEMORY_FAILURE, new) => {
                self.power_cycle();
                if let Some(new) = new.filter(|new| self.holds(sfi, new)) {
                    self.files.insert(sfi, new);
                }
            }
            _ => {}
        }
        self.compare_file(sfi);
    }

    fn power_cycle(&mut self) {
        let mut memory = self.card.memory().clone();
        memory.restore_power();
        self.card = Card::power_on(memory).expect("a card starts whatever was cut");
    }

    fn compare(&mut self) {
        for sfi in SFIS {
            self.compare_file(sfi);
        }
    }

    fn compare_file(&mut self, sfi: u8) {
        if let Some(content) = self.files.get(&sfi).cloned() {
            if self.send(&[0x00, 0xB0, 0x80 | sfi, 0]).sw() == StatusWord::MEMORY_FAILURE {
                self.power_cycle();
            }
            assert!(self.holds(sfi, &content), "file {sfi:02X} does not hold {content:?}");
        }
    }

    /// Whether the card's file holds exactly this.
    fn holds(&mut self, sfi: u8, content: &Content) -> bool {
        if !self.send(&[0x00, 0xA4, 0x02, 0x00, 0x02, 0x00, sfi]).sw().is_ok() {
            return false;
        }
        match content {
            Content::Binary(bytes) => bytes.chunks(200).zip(0u16..).all(|(piece, index)| {
                let [high, low] = index.saturating_mul(200).to_be_bytes();
                let (Ok(len), true) = (u8::try_from(piece.len()), high < 0x80) else { return false };
                self.send(&[0x00, 0xB0, high, low, len]).data() == piece
            }),
            Content::Fixed(records) | Content::Variable(_, records) => self.hold(sfi, records.iter()),
            Content::Cyclic { records, .. } => self.hold(sfi, records.iter()),
        }
    }

    fn hold<'r>(&mut self, sfi: u8, records: impl Iterator<Item = &'r Vec<u8>>) -> bool {
        let mut next = 1;
        for record in records {
            if self.send(&[0x00, 0xB2, next, sfi << 3 | 4]).data() != record.as_slice() {
                return false;
            }
            next = next.saturating_add(1);
        }
        !self.send(&[0x00, 0xB2, next, sfi << 3 | 4]).sw().is_ok()
    }
}
