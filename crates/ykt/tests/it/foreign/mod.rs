//! Dialogues as data: what a card engineer types, and what the card must answer, in files of `foreign/dialogues`.
//!
//! `>` a command; `<` its answer with the status word, on as many lines as it needs; `@ psam` the PSAM's reader
//! instead of the card's; `@ reset`; `#` a comment. Digits stand in any groups; `.` is any digit, `*` any bytes.
//! Two programs type them, so that no slip of one of them is taken for the card's.

use crate::pcsc_desk::{Desk, run};
use std::collections::VecDeque;
use std::io::Write;
use std::process::Stdio;

const DIALOGUES: &[(&str, &str)] = &[
    ("select", include_str!("dialogues/select.apdu")),
    ("files", include_str!("dialogues/files.apdu")),
    ("purse", include_str!("dialogues/purse.apdu")),
    ("refusals", include_str!("dialogues/refusals.apdu")),
    ("psam", include_str!("dialogues/psam.apdu")),
];

/// A command, and what its answer must look like: hex digits without blanks.
struct Exchange {
    command: String,
    answer: String,
}

/// A dialogue; a reset stands before each part.
struct Dialogue {
    reader: usize,
    parts: Vec<Vec<Exchange>>,
}

/// Holds every dialogue twice: through scriptor, and through opensc-tool.
pub fn hold_dialogues(desk: &Desk) {
    for (name, text) in DIALOGUES {
        let dialogue = Dialogue::parse(text);
        for part in dialogue.parts {
            compare(name, "scriptor", &part, scriptor(desk, dialogue.reader, &part), |answer| answer.into());
            compare(name, "opensc-tool", &part, opensc_tool(desk, dialogue.reader, &part), as_opensc_sees);
        }
    }
}

fn compare(name: &str, tool: &str, part: &[Exchange], said: VecDeque<String>, seen: fn(&str) -> String) {
    assert_eq!(part.len(), said.len(), "{name}: answers through {tool}");
    for (exchange, found) in part.iter().zip(said) {
        let expected = seen(&exchange.answer);
        let command = &exchange.command;
        assert!(fits(&expected, &found), "{name}: {tool}: {command}: expected {expected}, found {found}");
    }
}

impl Dialogue {
    fn parse(text: &str) -> Dialogue {
        let mut dialogue = Dialogue { reader: 0, parts: vec![Vec::new()] };
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let Some(kind) = line.get(..1) else { continue };
            let rest = line[1..].replace(' ', "");
            let part = dialogue.parts.last_mut().unwrap();
            match (kind, rest.as_str()) {
                (">", _) => part.push(Exchange { command: rest, answer: String::new() }),
                ("<", _) => part.last_mut().expect("an answer to a command").answer += &rest,
                ("@", "psam") => dialogue.reader = 1,
                ("@", "reset") => dialogue.parts.push(Vec::new()),
                _ => panic!("no line of a dialogue: {line}"),
            }
        }
        dialogue
    }
}

fn fits(expected: &str, found: &str) -> bool {
    let same = |expected: &str, found: &str| {
        let mut pairs = expected.chars().zip(found.chars());
        expected.len() == found.len() && pairs.all(|(expected, found)| expected == '.' || expected == found)
    };
    let Some((head, tail)) = expected.split_once('*') else { return same(expected, found) };
    let split = found.split_at_checked(head.len());
    split.is_some_and(|(before, rest)| {
        let tail_at = rest.len().checked_sub(tail.len());
        same(head, before) && tail_at.is_some_and(|at| same(tail, &rest[at..]))
    })
}

/// opensc-tool answers 6Cxx by itself: it asks again with the right length, and shows what came then.
fn as_opensc_sees(answer: &str) -> String {
    match answer.strip_prefix("6C") {
        Some(len) => "..".repeat(usize::from_str_radix(len, 16).unwrap()) + "9000",
        None => answer.to_owned(),
    }
}

fn scriptor(desk: &Desk, reader: usize, part: &[Exchange]) -> VecDeque<String> {
    let mut scriptor = desk.tool("scriptor");
    scriptor.args(["-r", &format!("City Desk 00 0{reader}")]);
    scriptor.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = scriptor.spawn().expect("scriptor: install pcsc-tools");
    let commands = part.iter().map(|exchange| format!("{}\n", exchange.command));
    let typed: String = std::iter::once("reset\n".to_owned()).chain(commands).collect();
    running.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let said = String::from_utf8(running.wait_with_output().unwrap().stdout).unwrap();
    let mut answers: VecDeque<String> = said
        .split("\n< ")
        .skip(1)
        .map(|answer| answer.split(':').next().unwrap_or_default().split_whitespace().collect())
        .collect();
    assert_eq!(answers.pop_front().as_deref(), Some("OK"), "reset: {said}");
    answers
}

/// Every run of opensc-tool ends with a reset, so the next one begins with a fresh card.
fn opensc_tool(desk: &Desk, reader: usize, part: &[Exchange]) -> VecDeque<String> {
    let mut tool = desk.tool("opensc-tool");
    tool.args(["--reader", &reader.to_string()]);
    tool.args(part.iter().flat_map(|exchange| ["-s", &exchange.command]));
    run(&mut tool).split("Received (").skip(1).map(received).collect()
}

/// `SW1=0x90, SW2=0x00):` and a dump of the data: 16 bytes a line, then the same as characters.
fn received(answer: &str) -> String {
    let (status, rest) = answer.split_once(')').expect("a status word");
    let status = status.replace("SW1=0x", "").replace(", SW2=0x", "");
    let dump: Vec<&str> = rest.lines().skip(1).take_while(|line| !line.starts_with("Sending")).collect();
    let len = |line: &str| if dump.len() == 1 { line.len() / 4 } else { line.len() - 3 * 16 };
    let data = dump.iter().flat_map(|line| line.split_whitespace().take(len(line)));
    data.collect::<String>() + &status
}
