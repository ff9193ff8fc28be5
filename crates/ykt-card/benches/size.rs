//! What a card needs beside its memory image: working memory, measured by starving it.
//!
//! Every command of every dialogue is answered on a thread whose stack has been used up to a certain depth; a child
//! process that runs out of stack dies. The deepest start that survives, beside the deepest one at which nothing is
//! answered at all, is the stack the card needs. Rooms of the state that lives between commands are added. Bars:
//! 4 KiB of working memory, an image of 32 KiB at most, no heap (the crate has no allocator to call).
//!
//! Dialogues with SM2 stand on a line of their own: the `sm2` crate computes with tables of curve points, which a chip
//! has in its coprocessor. They are measured, and they are above the bar.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures and prints"
)]

#[path = "../tests/it/bench.rs"]
#[expect(dead_code, reason = "shared with the tests, of which this needs a part")]
mod bench;

use bench::{Chip, Dialogue, Dice, Step};
use std::hint::black_box;
use std::process::{Command, Stdio};
use ykt_base::Rng;
use ykt_card::{Card, IMAGE_LEN_CITIZEN, IMAGE_LEN_DEMO};

/// Stack of the thread that is starved.
const STACK_LEN: usize = 512 * 1024;
const WORKING_MEMORY_MAX: usize = 4 * 1024;
const IMAGE_MAX: usize = 32 * 1024;
/// The dialogues in which a card makes, uses or checks SM2 keys.
const WITH_SM2: [&str; 4] = ["identity", "identity-card", "token", "token-card"];
/// Tells the starved half from the one that searches.
const STARVE: &str = "starve";
/// The dialogue that answers nothing, to measure what the thread itself needs.
const NOTHING: &str = "nothing";

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == STARVE) {
        return starve(&args[at + 1], args[at + 2].parse().unwrap());
    }
    let floor = deepest(NOTHING);
    // A card is its memory image here; on a chip that is not working memory.
    let state = size_of::<Card<Chip>>() - size_of::<Chip>();
    let (mut most, mut most_with_sm2) = (0, 0);
    for name in Dialogue::names() {
        let stack = floor - deepest(&name);
        println!("stack for the commands of {name:<14} {stack:>6} bytes");
        let most = if WITH_SM2.contains(&name.as_str()) { &mut most_with_sm2 } else { &mut most };
        *most = stack.max(*most);
    }
    println!(
        "card image: demo card {IMAGE_LEN_DEMO} bytes, citizen card {IMAGE_LEN_CITIZEN} bytes (bar {IMAGE_MAX})"
    );
    println!(
        "working memory: {state} bytes of state and {most} of stack = {} bytes (bar {WORKING_MEMORY_MAX}); no heap",
        state + most
    );
    println!(
        "with SM2, whose curve tables lie on the stack here: {state} and {most_with_sm2} = {} bytes, above the bar",
        state + most_with_sm2
    );
    const { assert!(IMAGE_LEN_CITIZEN <= IMAGE_MAX) };
}

/// The deepest start at which the dialogue is still answered.
fn deepest(dialogue: &str) -> usize {
    let survives = |depth: usize| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([STARVE, dialogue, &depth.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        child.status().unwrap().success()
    };
    let (mut lives, mut dies) = (0, STACK_LEN);
    assert!(survives(lives), "{dialogue}: not even with the whole stack");
    while dies - lives > 16 {
        let middle = lives.midpoint(dies);
        if survives(middle) { lives = middle } else { dies = middle }
    }
    lives
}

fn starve(dialogue: &str, depth: usize) {
    let mut script = if dialogue == NOTHING { None } else { Some(Script::of(&Dialogue::read(dialogue))) };
    let answered = std::thread::Builder::new().stack_size(STACK_LEN).spawn(move || {
        let top = black_box(0u8);
        descend(&mut || script.iter_mut().for_each(Script::play), std::ptr::from_ref(&top).addr(), depth);
    });
    answered.unwrap().join().unwrap();
}

/// A dialogue that can be had again without a heap: commands (`None` is a reset), and the random numbers they drew.
struct Script {
    card: Card<Chip>,
    commands: Vec<Option<Vec<u8>>>,
    drawn: Drawn,
}

/// Random numbers as they were drawn the first time.
struct Drawn(std::vec::IntoIter<u8>);

impl Rng for Drawn {
    fn fill(&mut self, out: &mut [u8]) {
        out.iter_mut().zip(&mut self.0).for_each(|(place, byte)| *place = byte);
    }
}

/// Dice that remember what they gave.
struct Recorder {
    dice: Dice,
    given: Vec<u8>,
}

impl Rng for Recorder {
    fn fill(&mut self, out: &mut [u8]) {
        self.dice.fill(out);
        self.given.extend_from_slice(out);
    }
}

impl Script {
    fn of(dialogue: &Dialogue) -> Script {
        let mut card = dialogue.blank().card;
        let mut recorder = Recorder { dice: Dice::default(), given: Vec::new() };
        let mut commands = Vec::new();
        for step in &dialogue.steps {
            match step {
                Step::Random(bytes) => recorder.dice.queue(bytes),
                Step::Reset => {
                    card.reset();
                    commands.push(None);
                }
                Step::Command { apdu, .. } => {
                    card.process(&mut recorder, apdu);
                    commands.push(Some(apdu.clone()));
                }
            }
        }
        Script { card: dialogue.blank().card, commands, drawn: Drawn(recorder.given.into_iter()) }
    }

    #[inline(never)]
    fn play(&mut self) {
        for command in &self.commands {
            match command {
                Some(apdu) => {
                    let answer = self.card.process(&mut self.drawn, apdu);
                    black_box(&answer);
                }
                None => self.card.reset(),
            }
        }
    }
}

/// Goes down until `depth` bytes of the stack are used, then does `what`.
#[inline(never)]
fn descend(what: &mut dyn FnMut(), top: usize, depth: usize) {
    let here = black_box([0u8; 16]);
    if top - std::ptr::from_ref(&here).addr() < depth {
        descend(what, top, depth);
    } else {
        what();
    }
    black_box(&here);
}
