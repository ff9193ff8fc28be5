//! The chip against its maker's tables: every condition of every kind of block, tried with both keys.

use super::*;
use crate::access::{AccessBits, Condition};
use crate::memory::ArrayBlocks;
use std::string::String;
use std::vec::Vec;

const KEY_A: SectorKey = SectorKey::from_bytes([0xA; 6]);
const KEY_B: SectorKey = SectorKey::from_bytes([0xB; 6]);
const SECTOR: Sector = Sector::PURSE;

/// The tables of the chip's data sheet. Data: read, write, increment, decrement/transfer/restore. Trailer: key A
/// written; bits read, written; key B read, written.
const DATA: &str = "
    000 AB AB AB AB
    010 AB -  -  -
    100 AB B  -  -
    110 AB B  B  AB
    001 AB -  -  AB
    011 B  B  -  -
    101 B  -  -  -
    111 -  -  -  -";
const TRAILER: &str = "
    000 A A  - A A
    010 - A  - A -
    100 B AB - - B
    110 - AB - - -
    001 A A  A A A
    011 B AB B - B
    101 - AB B - -
    111 - AB - - -";

/// Conditions with what their row says, in the order of the row.
fn rows(table: &str) -> impl Iterator<Item = (Condition, Vec<&str>)> {
    table.lines().filter(|line| !line.trim().is_empty()).map(|line| {
        let mut words = line.split_whitespace();
        let bits = usize::from_str_radix(words.next().unwrap(), 2).unwrap();
        (Condition::all().nth(bits).unwrap(), words.collect())
    })
}

fn chip(conditions: [Condition; 4]) -> Chip<ArrayBlocks> {
    let mut memory = ArrayBlocks::blank(Uid([1, 2, 3, 4]));
    let mut trailer = [0x69; BLOCK_LEN];
    trailer[..6].copy_from_slice(KEY_A.expose());
    trailer[6..9].copy_from_slice(&AccessBits::new(conditions).to_bytes());
    trailer[10..].copy_from_slice(KEY_B.expose());
    memory.write(SECTOR.trailer(), &trailer).unwrap();
    for block in [BlockNo::PURSE, BlockNo::PURSE_BACKUP] {
        memory.write(block, &ValueBlock { value: 100, address: block.number() }.to_block()).unwrap();
    }
    Chip::new(memory)
}

fn open(conditions: [Condition; 4], kind: KeyKind) -> Chip<ArrayBlocks> {
    let mut chip = chip(conditions);
    let key = if kind == KeyKind::A { KEY_A } else { KEY_B };
    chip.authenticate(BlockNo::PURSE, kind, &key).unwrap();
    chip
}

/// Which of the keys, `AB`, `A`, `B` or `-`, may do `action`.
fn who(conditions: [Condition; 4], action: impl Fn(&mut Chip<ArrayBlocks>) -> bool) -> String {
    let may = |kind| action(&mut open(conditions, kind));
    match (may(KeyKind::A), may(KeyKind::B)) {
        (true, true) => "AB",
        (true, false) => "A",
        (false, true) => "B",
        (false, false) => "-",
    }
    .into()
}

#[test]
fn every_condition_of_data_blocks() {
    let [block, other] = [BlockNo::PURSE, BlockNo::PURSE_BACKUP];
    let mut seen = 0;
    // A trailer of 011 keeps key B a key.
    for (condition, row) in rows(DATA) {
        let set = [condition, condition, condition, Condition::TRAILER_BY_KEY_B];
        assert_eq!(who(set, |chip| chip.read(block).is_ok()), row[0], "{condition:?} read");
        assert_eq!(who(set, |chip| chip.write(block, &[7; 16]).is_ok()), row[1], "{condition:?} write");
        assert_eq!(who(set, |chip| chip.increment(block, 5).is_ok()), row[2], "{condition:?} increment");
        assert_eq!(who(set, |chip| chip.decrement(block, 5).is_ok()), row[3], "{condition:?} decrement");
        assert_eq!(who(set, |chip| chip.restore(block).is_ok()), row[3], "{condition:?} restore");
        let copy = |chip: &mut Chip<ArrayBlocks>| {
            chip.buffer = Some(ValueBlock { value: 7, address: 9 });
            chip.transfer(other).is_ok()
        };
        assert_eq!(who(set, copy), row[3], "{condition:?} transfer");
        seen += 1;
    }
    assert_eq!(seen, 8);
}

#[test]
fn every_condition_of_trailers() {
    let trailer = SECTOR.trailer();
    let mut seen = 0;
    for (condition, row) in rows(TRAILER) {
        let open = Condition::OPEN;
        let set = [open, open, open, condition];
        // What one key could change of the trailer, seen in the memory itself.
        let writes = |part: core::ops::Range<usize>| {
            who(set, move |chip| {
                let before = chip.memory().read(trailer);
                let new = [0x0F; BLOCK_LEN];
                let _refused = chip.write(trailer, &new);
                chip.memory().read(trailer)[part.clone()] != before[part.clone()]
            })
        };
        let reads = |part: core::ops::Range<usize>| {
            who(set, move |chip| {
                chip.read(trailer).is_ok_and(|data| data[part.clone()].iter().any(|byte| *byte != 0))
            })
        };
        assert_eq!(reads(0..6), "-", "{condition:?} key A is never read");
        assert_eq!(writes(0..6), row[0], "{condition:?} key A");
        assert_eq!(reads(6..10), row[1], "{condition:?} bits read");
        assert_eq!(writes(6..10), row[2], "{condition:?} bits written");
        assert_eq!(reads(10..16), row[3], "{condition:?} key B read");
        assert_eq!(writes(10..16), row[4], "{condition:?} key B written");
        seen += 1;
    }
    assert_eq!(seen, 8);
}

/// A key B that can be read opens the sector and then may do nothing at all.
#[test]
fn a_readable_key_b_is_no_key() {
    for (condition, row) in rows(TRAILER) {
        let set = [Condition::OPEN, Condition::OPEN, Condition::OPEN, condition];
        let chip = open(set, KeyKind::B);
        let expected = if row[3] == "A" { Err(ChipError::Denied) } else { Ok(()) };
        assert_eq!(chip.read(BlockNo::PURSE).map(|_| ()), expected, "{condition:?}");
    }
}

#[test]
fn access_bits_that_contradict_themselves_lock_the_sector() {
    let open = [Condition::OPEN; 4];
    for bit in 0..24 {
        let mut chip = chip(open);
        let trailer = SECTOR.trailer();
        let mut bad = chip.memory().read(trailer);
        bad[6 + bit / 8] ^= 1 << (bit % 8);
        chip.memory_mut().write(trailer, &bad).unwrap();
        for (kind, key) in [(KeyKind::A, KEY_A), (KeyKind::B, KEY_B)] {
            assert_eq!(chip.authenticate(BlockNo::PURSE, kind, &key), Err(ChipError::WrongKey), "bit {bit}");
        }
    }
    // Written through the chip itself, the lock bites at once.
    let mut chip = chip([Condition::OPEN, Condition::OPEN, Condition::OPEN, Condition::TRAILER_BY_KEY_B]);
    chip.authenticate(BlockNo::PURSE, KeyKind::B, &KEY_B).unwrap();
    chip.write(SECTOR.trailer(), &[0; 16]).unwrap();
    assert_eq!(chip.read(BlockNo::PURSE), Err(ChipError::Denied));
}

#[test]
fn keys_open_their_sector_only_and_a_wrong_one_closes_it() {
    let mut chip = chip([Condition::OPEN; 4]);
    assert_eq!(chip.read(BlockNo::PURSE), Err(ChipError::NotAuthenticated));
    chip.authenticate(BlockNo::PURSE, KeyKind::A, &KEY_A).unwrap();
    assert!(chip.read(BlockNo::PURSE_BACKUP).is_ok());
    assert_eq!(chip.read(BlockNo::PUBLIC), Err(ChipError::NotAuthenticated));
    assert_eq!(chip.authenticate(BlockNo::PURSE, KeyKind::A, &KEY_B), Err(ChipError::WrongKey));
    assert_eq!(chip.read(BlockNo::PURSE), Err(ChipError::NotAuthenticated));
    chip.authenticate(BlockNo::MANUFACTURER, KeyKind::A, &SectorKey::TRANSPORT).unwrap();
    assert_eq!(chip.read(BlockNo::MANUFACTURER).unwrap()[..5], [1, 2, 3, 4, 4]);
    assert_eq!(chip.write(BlockNo::MANUFACTURER, &[0; 16]), Err(ChipError::Denied));
    chip.reset();
    assert_eq!(chip.read(BlockNo::MANUFACTURER), Err(ChipError::NotAuthenticated));
}

#[test]
fn values_move_and_keep_their_address() {
    let [purse, backup] = [BlockNo::PURSE, BlockNo::PURSE_BACKUP];
    let mut chip = open([Condition::OPEN; 4], KeyKind::A);
    assert_eq!(chip.transfer(backup), Err(ChipError::NoValue), "nothing restored");
    chip.decrement(purse, 150).unwrap();
    chip.increment(purse, 20).unwrap();
    assert_eq!(
        ValueBlock::from_block(&chip.read(purse).unwrap()),
        Some(ValueBlock { value: -30, address: 9 })
    );
    chip.write(backup, &[7; 16]).unwrap();
    assert_eq!(chip.increment(backup, 1), Err(ChipError::NoValue));
    assert_eq!(chip.restore(backup), Err(ChipError::NoValue));
    chip.restore(purse).unwrap();
    chip.transfer(backup).unwrap();
    assert_eq!(chip.read(backup), chip.read(purse), "the address byte comes along");
    assert_eq!(chip.transfer(backup), Err(ChipError::NoValue), "the buffer is used up");
    assert_eq!(chip.decrement(SECTOR.trailer(), 1), Err(ChipError::Denied));
    chip.write(purse, &ValueBlock { value: i32::MAX, address: 9 }.to_block()).unwrap();
    chip.increment(purse, 1).unwrap();
    assert_eq!(
        ValueBlock::from_block(&chip.read(purse).unwrap()).unwrap().value,
        i32::MIN,
        "as the chip does"
    );
}
