//! The power is cut at every memory write of every command of whole dialogues, with the write torn at several
//! lengths. The card then remembers the state before the command or the one after it, never a third; and a
//! transaction whose answer was lost gives it back on request.

use crate::bench::{Bench, Chip, Dialogue, Dice, SELECT_APPLICATION, Step};
use std::ops::AddAssign;
use ykt_card::Card;

/// Bytes of the cut write that still arrive; 300 is all of any write, with its acknowledgement lost.
const TORN_LENS: [usize; 8] = [0, 1, 2, 3, 7, 20, 60, 300];

#[derive(Default, Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    commands: usize,
    cut_points: usize,
    old: usize,
    new: usize,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.commands += other.commands;
        self.cut_points += other.cut_points;
        self.old += other.old;
        self.new += other.new;
    }
}

/// What is looked at after a cut: the card with power again, and whether it is in the new state.
type After<'a> = &'a dyn Fn(&mut Bench, bool);

/// A dialogue, and the card as it was at each reset in it: from there on a card is brought back quickly.
struct Film {
    dialogue: Dialogue,
    resets: Vec<(usize, Chip, Dice)>,
}

impl Film {
    fn of(name: &str) -> Film {
        let dialogue = Dialogue::read(name);
        let mut bench = dialogue.blank();
        let mut resets = vec![(0, bench.card.memory().clone(), bench.dice.clone())];
        for (index, step) in (1..).zip(&dialogue.steps) {
            bench.step(step);
            if let Step::Reset = step {
                resets.push((index, bench.card.memory().clone(), bench.dice.clone()));
            }
        }
        Film { dialogue, resets }
    }

    /// The card before the step at `index`.
    fn before(&self, index: usize) -> Bench {
        let (from, chip, dice) = self.resets.iter().rev().find(|(from, ..)| *from <= index).unwrap();
        let mut bench = Bench { card: Card::power_on(chip.clone()).unwrap(), dice: dice.clone() };
        self.dialogue.steps[*from..index].iter().for_each(|step| bench.step(step));
        bench
    }
}

/// Cuts every write of the command at `index` of a dialogue.
fn cut(film: &Film, index: usize, after: After<'_>) -> Count {
    let Step::Command { line, apdu, .. } = &film.dialogue.steps[index] else {
        return Count::default();
    };
    let before = || film.before(index);
    let mut whole = before();
    let (old, writes_before) = (whole.remembered(), whole.card.memory().writes());
    let answer = whole.send(apdu);
    let (new, writes) = (whole.remembered(), whole.card.memory().writes() - writes_before);
    let mut count = Count { commands: usize::from(writes > 0), ..Count::default() };
    for cut in 0..writes {
        for torn in TORN_LENS {
            let mut bench = before();
            bench.card.memory_mut().cut_power_after(cut, torn);
            assert_eq!(bench.send(apdu).sw().0, 0x6581, "{line}: the power is gone at write {cut}");
            assert_eq!(bench.send(apdu).sw().0, 0x6581, "{line}: and stays gone");
            bench.power_cycle();
            let found = bench.remembered();
            assert!(found == old || found == new, "{line}: a third state, write {cut} torn at {torn}");
            count += Count {
                commands: 0,
                cut_points: 1,
                old: usize::from(found == old && old != new),
                new: usize::from(found == new && old != new),
            };
            if answer.sw().is_ok() {
                after(&mut bench, found == new);
            }
        }
    }
    count
}

#[test]
fn every_write_of_every_command() {
    let mut sum = Count::default();
    for name in Dialogue::names() {
        let film = Film::of(&name);
        let mut count = Count::default();
        // What a dialogue includes is cut in its own round.
        for index in film.dialogue.included..film.dialogue.steps.len() {
            count += cut(&film, index, &|_, _| {});
        }
        println!("{name}: {count:?}");
        assert!(count.commands > 0 && count.old > 0 && count.new > 0, "{name}");
        sum += count;
    }
    println!("power cuts: {} commands x their writes, {} cut points", sum.commands, sum.cut_points);
    assert!(sum.commands > 100 && sum.cut_points > 3000, "{sum:?}");
}

/// Runs the cuts of the command that begins with `header` in the purse dialogue.
fn cut_in_purse(header: &[u8], after: After<'_>) -> Count {
    let film = Film::of("purse");
    let is_it = |step: &Step| matches!(step, Step::Command { apdu, .. } if apdu.starts_with(header));
    cut(&film, film.dialogue.steps.iter().position(is_it).unwrap(), after)
}

#[test]
fn a_lost_answer_to_credit_for_load_comes_back() {
    let count = cut_in_purse(&[0x80, 0x52], &|bench, committed| {
        bench.ok(SELECT_APPLICATION);
        if committed {
            assert_eq!(bench.ok("805C0002"), [0, 0, 0x4E, 0x20]);
            assert_eq!(bench.ok("805A0002020000"), [0, 0, 0, 0, 0x71, 0x63, 0x7F, 0xB1], "the TAC");
            assert_eq!(bench.ok("00B201C4").len(), 23);
        } else {
            assert_eq!(bench.ok("805C0002"), [0; 4]);
            assert_eq!(bench.sw("805A0002020000"), 0x9406);
            assert_eq!(bench.sw("00B201C4"), 0x6A83);
        }
    });
    println!("CREDIT FOR LOAD: {count:?}");
    assert!(count.old > 0 && count.new > 0);
    assert_eq!(cut_in_purse(&[0x80, 0x50, 0x00], &|_, _| {}), Count::default(), "INITIALIZE writes nothing");
}

#[test]
fn a_lost_answer_to_debit_for_purchase_comes_back() {
    let count = cut_in_purse(&[0x80, 0x54], &|bench, committed| {
        bench.ok(SELECT_APPLICATION);
        if committed {
            assert_eq!(bench.ok("805C0002"), [0, 0, 0x4D, 0x8A]);
            let lost = [0xF7, 0x4B, 0xAE, 0x7B, 0x2C, 0x89, 0x78, 0xF0];
            assert_eq!(bench.ok("805A0006020000"), lost, "MAC2 and TAC by the counter used");
            assert_eq!(bench.ok("805A0006020001"), lost, "and by the one after");
            assert_eq!(bench.ok("00B201C4")[9], 0x06);
        } else {
            assert_eq!(bench.ok("805C0002"), [0, 0, 0x4E, 0x20]);
            assert_eq!(bench.sw("805A0006020000"), 0x9406);
            assert_eq!(bench.ok("00B201C4")[9], 0x02);
        }
    });
    println!("DEBIT FOR PURCHASE: {count:?}");
    assert!(count.old > 0 && count.new > 0);
    assert_eq!(cut_in_purse(&[0x80, 0x50, 0x01], &|_, _| {}), Count::default(), "INITIALIZE writes nothing");
}

#[test]
fn reset_finishes_what_a_cut_left_when_the_power_is_back() {
    let dialogue = Dialogue::read("purse");
    let debit = |step: &Step| matches!(step, Step::Command { apdu, .. } if apdu.starts_with(&[0x80, 0x54]));
    let index = dialogue.steps.iter().position(debit).unwrap();
    let mut bench = dialogue.blank();
    dialogue.steps[..index].iter().for_each(|step| bench.step(step));
    let Step::Command { apdu, .. } = &dialogue.steps[index] else { unreachable!() };
    bench.card.memory_mut().cut_power_after(2, 0);
    assert_eq!(bench.send(apdu).sw().0, 0x6581);
    bench.card.reset();
    assert_eq!(bench.sw(SELECT_APPLICATION), 0x6581, "no power, no card");
    bench.card.memory_mut().restore_power();
    bench.card.reset();
    bench.ok(SELECT_APPLICATION);
    assert_eq!(bench.ok("805C0002"), [0, 0, 0x4D, 0x8A]);
}

#[test]
fn a_blanking_that_is_cut_leaves_no_card() {
    use ykt_card::{ArrayMemory, Blank, BlankError, MemoryFault, PowerOnError};
    use ykt_crypto::Key16;
    let key = Key16::from_bytes([7; 16]);
    let blank = Blank::user_card([1; 8], &key);
    let writes = Card::blank(ArrayMemory::<1024>::new(), &blank).unwrap().memory().writes();
    for cut in 0..writes {
        for torn in TORN_LENS.into_iter().filter(|torn| *torn < 96) {
            let mut memory = ArrayMemory::<1024>::new();
            memory.cut_power_after(cut, torn);
            assert!(matches!(Card::blank(&mut memory, &blank), Err(BlankError::Memory(MemoryFault))));
            memory.restore_power();
            assert!(matches!(Card::power_on(memory), Err(PowerOnError::NotACard)));
        }
    }
}
