//! A virtual reader with a chip on it: takes the storage-card commands and answers for the chip.

use crate::block::BlockNo;
use crate::chip::{Chip, ChipError};
use crate::command::{FAILED, KeyStorage, ReaderCommand, SLOTS, ValueOperation};
use crate::key::SectorKey;
use crate::memory::BlockMemory;
use crate::value::ValueBlock;
use ykt_base::{CardChannel, ChannelError, Response, StatusWord};

/// Answer to reset of a storage card: PC/SC part 3, ISO 14443 A, Mifare Classic 1K.
pub const ATR: [u8; 20] = [
    0x3B, 0x8F, 0x80, 0x01, 0x80, 0x4F, 0x0C, 0xA0, 0x00, 0x00, 0x03, 0x06, 0x03, 0x00, 0x01, 0x00, 0x00,
    0x00, 0x00, 0x6A,
];

/// A reader and the chip that lies on it.
pub struct M1Reader<M> {
    chip: Chip<M>,
    volatile: [Option<SectorKey>; SLOTS],
    kept: [Option<SectorKey>; SLOTS],
}

impl<M: BlockMemory> M1Reader<M> {
    /// A reader without keys; the chip of `memory` lies on it.
    #[must_use]
    pub fn new(memory: M) -> M1Reader<M> {
        let chip = Chip::new(memory);
        M1Reader { chip, volatile: [const { None }; SLOTS], kept: [const { None }; SLOTS] }
    }

    /// The chip.
    #[must_use]
    pub const fn chip(&self) -> &Chip<M> {
        &self.chip
    }

    /// The chip, for tests that cut the power.
    pub const fn chip_mut(&mut self) -> &mut Chip<M> {
        &mut self.chip
    }

    /// Takes the chip off and gives its memory back.
    #[must_use]
    pub fn into_memory(self) -> M {
        self.chip.into_memory()
    }

    /// Takes power off and on: no sector is open, volatile keys are gone.
    pub fn power_cycle(&mut self) {
        self.chip.reset();
        self.volatile = [const { None }; SLOTS];
    }

    /// Answers one command.
    #[must_use]
    pub fn answer(&mut self, command: &[u8]) -> Response {
        let data = ReaderCommand::parse(command).and_then(|command| self.execute(command));
        let answer = data.and_then(|data| Response::new(data.as_bytes(), StatusWord::OK).ok_or(FAILED));
        answer.unwrap_or_else(Response::status)
    }

    fn execute(&mut self, command: ReaderCommand) -> Result<Data, StatusWord> {
        match command {
            ReaderCommand::Uid => Ok(Data::Four(self.chip.uid().0)),
            ReaderCommand::Ats => Err(StatusWord::NOT_SUPPORTED),
            ReaderCommand::LoadKey { storage, slot, key } => {
                let keys = match storage {
                    KeyStorage::Volatile => &mut self.volatile,
                    KeyStorage::NonVolatile => &mut self.kept,
                };
                keys[slot.index()] = Some(key);
                Ok(Data::None)
            }
            ReaderCommand::Authenticate { block, kind, slot } => {
                let key = self.volatile[slot.index()].as_ref().or(self.kept[slot.index()].as_ref());
                let Some(key) = key else {
                    self.chip.reset();
                    return Err(FAILED);
                };
                self.chip.authenticate(block, kind, key).map_err(status).map(|()| Data::None)
            }
            ReaderCommand::Read { block } => self.chip.read(block).map_err(status).map(Data::Block),
            ReaderCommand::Update { block, data } => {
                self.chip.write(block, &data).map_err(status).map(|()| Data::None)
            }
            ReaderCommand::Value { block, operation, amount } => {
                self.change(block, operation, amount).map_err(status).map(|()| Data::None)
            }
            ReaderCommand::ReadValue { block } => {
                let data = self.chip.read(block).map_err(status)?;
                let found = ValueBlock::from_block(&data).ok_or(FAILED)?;
                Ok(Data::Four(found.value.to_be_bytes()))
            }
            ReaderCommand::Copy { from, to } => {
                let copied = self.chip.restore(from).and_then(|()| self.chip.transfer(to));
                copied.map_err(status).map(|()| Data::None)
            }
        }
    }

    fn change(&mut self, block: BlockNo, operation: ValueOperation, amount: i32) -> Result<(), ChipError> {
        match operation {
            // The chip would let a trailer be overwritten by what looks like a value; the reader does not.
            ValueOperation::Store if block.is_trailer() => Err(ChipError::Denied),
            ValueOperation::Store => {
                self.chip.write(block, &ValueBlock { value: amount, address: block.number() }.to_block())
            }
            ValueOperation::Increment => self.chip.increment(block, amount),
            ValueOperation::Decrement => self.chip.decrement(block, amount),
        }
    }
}

/// Data of an answer.
enum Data {
    None,
    Four([u8; 4]),
    Block([u8; 16]),
}

impl Data {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Data::None => &[],
            Data::Four(bytes) => bytes,
            Data::Block(bytes) => bytes,
        }
    }
}

fn status(error: ChipError) -> StatusWord {
    match error {
        ChipError::WrongKey | ChipError::NoValue => FAILED,
        ChipError::NotAuthenticated | ChipError::Denied => StatusWord::SECURITY_STATUS,
        ChipError::Memory(_) => StatusWord::MEMORY_FAILURE,
    }
}

impl<M: BlockMemory> CardChannel for M1Reader<M> {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        Ok(self.answer(command))
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        self.power_cycle();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{Uid, xor};
    use crate::memory::{ArrayBlocks, Rest, Tear};
    use hex_literal::hex;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::vec::Vec;

    fn reader() -> M1Reader<ArrayBlocks> {
        M1Reader::new(ArrayBlocks::blank(Uid(hex!("1A2B3C4D"))))
    }

    /// Commands and answers in hex, as an engineer writes them down.
    const DIALOGUE: &[(&str, &str)] = &[
        ("FFCA000000", "1A2B3C4D9000"),
        ("FFCA010000", "6A81"),
        ("FFB0000910", "6982"),
        ("FF860000050100096000", "6300"),
        ("FF82000006FFFFFFFFFFFF", "9000"),
        ("FF860000050100096000", "9000"),
        ("FFB0000910", "000000000000000000000000000000009000"),
        ("FFB1000904", "6300"),
        ("FFD70009050000003039", "9000"),
        ("FFB0000910", "39300000C6CFFFFF3930000009F609F69000"),
        ("FFD700090502000000C8", "9000"),
        ("FFB1000904", "00002F719000"),
        ("FFD700090501000000C8", "9000"),
        ("FFD7000902030A", "9000"),
        ("FFB1000A04", "000030399000"),
        ("FFD7000B050000000001", "6982"),
        ("FFD70009020318", "6982"),
        ("FFB0001810", "6982"),
        ("FF82000006A0A1A2A3A4A5", "9000"),
        ("FF860000050100096000", "6300"),
        ("FFB0000910", "6982"),
        ("FF82200105FFFFFFFFFF", "6700"),
        ("FF82200106FFFFFFFFFFFF", "9000"),
        ("FF8800096001", "9000"),
        ("FFD600091000112233445566778899AABBCCDDEEFF", "9000"),
        ("FFB0000900", "00112233445566778899AABBCCDDEEFF9000"),
        ("FFD700090501000000C8", "6300"),
        ("FFB0000B10", "000000000000FF078069FFFFFFFFFFFF9000"),
    ];

    fn bytes(text: &str) -> Vec<u8> {
        let mut bytes = std::vec![0; text.len() / 2];
        ykt_base::hex::decode_into(text, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_dialogue_with_a_blank_card() {
        let mut reader = reader();
        for (number, (command, expected)) in DIALOGUE.iter().enumerate() {
            let answer = reader.answer(&bytes(command));
            assert_eq!(answer.as_bytes(), bytes(expected), "{number}: {command}");
        }
        // Power off: volatile keys and open sectors are gone, the reader's own keys are not.
        reader.reset().unwrap();
        for (command, expected) in
            [("FFB0000910", "6982"), ("FF860000050100096000", "6300"), ("FF860000050100096001", "9000")]
        {
            assert_eq!(reader.answer(&bytes(command)).as_bytes(), bytes(expected), "{command}");
        }
    }

    /// The historical bytes name the RID of PC/SC, ISO 14443 A part 3 and the card's name 0001; TCK closes them.
    #[test]
    fn the_answer_to_reset_is_a_storage_cards() {
        assert_eq!(ATR, hex!("3B8F8001804F0CA000000306030001000000006A"));
        assert_eq!(xor(&ATR[1..]), 0);
    }

    #[test]
    fn a_write_without_power_says_so() {
        let mut reader = reader();
        for command in ["FF82000006FFFFFFFFFFFF", "FF860000050100096000"] {
            assert!(reader.answer(&bytes(command)).sw().is_ok());
        }
        reader.chip_mut().memory_mut().cut_power_after(0, Tear { arrived: 2, rest: Rest::Kept });
        let answer = reader.answer(&bytes("FFD70009050000003039"));
        assert_eq!(answer.sw(), StatusWord::MEMORY_FAILURE);
        assert_eq!(reader.into_memory().read(BlockNo::PURSE)[..3], hex!("393000"));
    }

    /// Status words of `docs/cards/m1.md`, by instruction.
    fn documented() -> BTreeMap<u8, BTreeSet<u16>> {
        let mut words = BTreeMap::new();
        let mut instruction = 0;
        for line in include_str!("../../../docs/cards/m1.md").lines() {
            if let Some((_, ins)) = line.strip_prefix("### ").and_then(|heading| heading.rsplit_once(" FF "))
            {
                instruction = u8::from_str_radix(ins, 16).unwrap();
            }
            if let Some(list) = line.strip_prefix("SW: ") {
                let list = list.split(' ').map(|word| u16::from_str_radix(word, 16).unwrap());
                words.insert(instruction, list.chain([0x6700, 0x6A86]).collect());
            }
        }
        words
    }

    /// A command of a known instruction, right or almost.
    fn command() -> impl Strategy<Value = Vec<u8>> {
        let ins = prop::sample::select(std::vec![0xCA, 0x82, 0x86, 0xB0, 0xB1, 0xD6, 0xD7]);
        let p1 = prop_oneof![4 => Just(0x00), 1 => prop::sample::select(std::vec![0x01, 0x20, 0x77])];
        let p2 = prop_oneof![Just(0x00), 0u8..16, Just(0x40)];
        let body = prop_oneof![
            Just(std::vec![0x00]),
            Just(std::vec![0x10]),
            Just(std::vec![0x04]),
            Just(hex!("06FFFFFFFFFFFF").to_vec()),
            (0u8..70, 0x5Fu8..0x63, 0u8..2)
                .prop_map(|(block, kind, slot)| std::vec![5, 1, 0, block, kind, slot]),
            (0u8..5, any::<i32>())
                .prop_map(|(operation, value)| [&[5, operation], &value.to_be_bytes()[..]].concat()),
            (0u8..70).prop_map(|to| std::vec![2, 3, to]),
            any::<[u8; 16]>().prop_map(|data| [&[0x10], &data[..]].concat()),
            prop::collection::vec(any::<u8>(), 0..8),
        ];
        (ins, p1, p2, body).prop_map(|(ins, p1, p2, body)| [&[0xFF, ins, p1, p2], &body[..]].concat())
    }

    proptest! {
        /// Whatever comes, a documented status word goes back; and where nothing was opened, nothing changes.
        #[test]
        fn every_answer_is_documented(commands in prop::collection::vec(command(), 1..60), cut in 0usize..8) {
            let words = documented();
            prop_assert_eq!(words.len(), 7);
            let mut reader = reader();
            let before = reader.chip().memory().dump();
            reader.chip_mut().memory_mut().cut_power_after(cut, Tear { arrived: 5, rest: Rest::Kept });
            let mut opened = false;
            for command in commands {
                let answer = reader.answer(&command);
                prop_assert!(words[&command[1]].contains(&answer.sw().0), "{command:02X?}: {:?}", answer.sw());
                opened |= command[1] == 0x86 && answer.sw().is_ok();
                prop_assert!(opened || reader.chip().memory().dump() == before);
            }
        }

        /// Any bytes at all get an answer.
        #[test]
        fn any_bytes_get_a_status_word(bytes in prop::collection::vec(any::<u8>(), 0..30)) {
            prop_assert!(reader().answer(&bytes).as_bytes().len() >= 2);
        }
    }
}
