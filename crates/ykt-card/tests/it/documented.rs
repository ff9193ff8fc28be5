//! `docs/card-commands.md` and `docs/cards` against the card: every form of every command is described, nothing else
//! is, and a command answers no status word that its description leaves out.
//!
//! The table of `card-commands.md` is written from the command table and the descriptions; after a change,
//! `UPDATE_DOCS=1` writes it anew.

use crate::bench::{Dialogue, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use ykt_card::{CardKind, Form, forms};

const BEGIN: &str = "<!-- The table is written from the command table of the card by a test. -->\n";
const END: &str = "<!-- End of the table. -->\n";
/// Descriptions of cards that are not this card system.
const OTHERS: [&str; 1] = ["m1.md"];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// One heading of a description, with what stands under it.
#[derive(Debug, Default, Clone)]
struct Description {
    /// File it is in.
    file: String,
    /// Name without the Chinese one, and with it.
    name: String,
    title: String,
    /// Class and instruction bytes.
    headers: BTreeSet<(u8, u8)>,
    rights: String,
    status_words: Vec<String>,
}

impl Description {
    fn is_of(&self, form: &Form) -> bool {
        self.name == form.name && self.headers.contains(&(form.cla, form.ins))
    }
}

impl Description {
    /// Of a heading `### NAME (中文) CLA INS, CLA INS`; `None` for one that names no command.
    fn of(heading: &str, file: &str) -> Option<Description> {
        let byte = |word: &&str| (word.len() == 2).then(|| u8::from_str_radix(word, 16).ok()).flatten();
        let words: Vec<&str> = heading.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        let bytes: Vec<u8> = words.iter().rev().map_while(byte).collect();
        let headers: BTreeSet<(u8, u8)> = bytes.chunks_exact(2).map(|pair| (pair[1], pair[0])).collect();
        let title = words[..words.len() - bytes.len()].join(" ");
        let name = title.split(" (").next()?.to_owned();
        let file = file.to_owned();
        (!headers.is_empty()).then(|| Description { file, name, title, headers, ..Description::default() })
    }
}

fn descriptions() -> Vec<Description> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(docs().join("cards")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut all: Vec<Description> = Vec::new();
    for path in files {
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if OTHERS.contains(&file.as_str()) {
            continue;
        }
        let mut is_under_heading = false;
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            if line.starts_with('#') {
                let found = line.strip_prefix("### ").and_then(|text| Description::of(text, &file));
                is_under_heading = found.is_some();
                all.extend(found);
            }
            let Some(description) = all.last_mut().filter(|_| is_under_heading) else { continue };
            if let Some(words) = line.strip_prefix("SW: ") {
                description.status_words = words.split(' ').map(str::to_owned).collect();
            } else if let Some(rights) = line.strip_prefix("| rights |") {
                description.rights = rights.trim().trim_end_matches('|').trim().to_owned();
            }
        }
    }
    all
}

/// The status words under "Every command" in `card-commands.md`.
fn general() -> BTreeSet<String> {
    let text = std::fs::read_to_string(docs().join("card-commands.md")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("SW: ")).expect("general status words");
    line.split(' ').map(str::to_owned).collect()
}

fn table() -> String {
    let descriptions = descriptions();
    let mut table =
        String::from("| command | class, instruction | cards | rights | status words | described in |\n");
    table.push_str("|---|---|---|---|---|---|\n");
    for description in &descriptions {
        let own: Vec<&Form> = forms().filter(|form| description.is_of(form)).collect();
        let headers: Vec<String> =
            description.headers.iter().map(|(c, i)| format!("{c:02X} {i:02X}")).collect();
        let p1: BTreeSet<u8> = own.iter().filter_map(|form| form.p1).collect();
        let p1: String = p1.iter().map(|p1| format!(" {p1:02X}")).collect();
        let cards: BTreeSet<&str> =
            own.iter().flat_map(|form| form.kinds).map(|kind| kind_name(*kind)).collect();
        let cards: Vec<&str> = cards.into_iter().collect();
        let page = description.file.trim_end_matches(".md");
        let rights = if description.rights.is_empty() { "see there" } else { &description.rights };
        let (title, words) = (&description.title, description.status_words.join(" "));
        let (headers, cards) = (headers.join(", "), cards.join(", "));
        writeln!(
            table,
            "| {title} | {headers}{p1} | {cards} | {rights} | {words} | [{page}](cards/{page}.md) |"
        )
        .unwrap();
    }
    table
}

fn kind_name(kind: CardKind) -> &'static str {
    match kind {
        CardKind::User => "user card",
        CardKind::Psam => "PSAM",
        CardKind::KeyCard => "key card",
    }
}

#[test]
fn every_form_of_every_command_is_described_and_nothing_else() {
    let descriptions = descriptions();
    for form in forms() {
        let own = descriptions.iter().filter(|description| description.is_of(form)).count();
        assert!(own > 0, "docs/cards has no heading `### {} … {:02X} {:02X}`", form.name, form.cla, form.ins);
    }
    for description in &descriptions {
        for (cla, ins) in &description.headers {
            let is_there =
                forms().any(|form| description.name == form.name && (form.cla, form.ins) == (*cla, *ins));
            assert!(is_there, "{}: no card knows {} {cla:02X} {ins:02X}", description.file, description.name);
        }
        assert!(
            !description.status_words.is_empty(),
            "{}: {} has no line `SW:`",
            description.file,
            description.name
        );
    }
}

#[test]
fn the_table_of_commands_is_the_cards() {
    let path = docs().join("card-commands.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("where the table begins");
    let (found, after) = rest.split_once(END).expect("where the table ends");
    let table = table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, [before, BEGIN, &table, END, after].concat()).unwrap();
    } else {
        assert_eq!(found, table, "run with UPDATE_DOCS=1");
    }
}

/// Ways a command goes wrong on its way: a byte with other bits, one byte less, one more.
fn spoiled(apdu: &[u8], way: usize) -> Vec<u8> {
    const BITS: [(usize, u8); 5] = [(2, 0x01), (2, 0x80), (3, 0x08), (5, 0x80), (9, 0x0F)];
    let mut apdu = apdu.to_vec();
    let last = apdu.len() - 1;
    match (way, BITS.get(way)) {
        (_, Some((at, bits))) => apdu[(*at).min(last)] ^= bits,
        (5, None) => apdu[last] ^= 0x01,
        (6, None) => apdu.truncate(last.max(1)),
        _ => apdu.push(0x01),
    }
    apdu
}

const WAYS: usize = 8;

#[test]
fn a_command_answers_only_what_its_description_says() {
    let descriptions = descriptions();
    let general = general();
    let mut missing: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut answers = 0;
    for name in Dialogue::names() {
        let dialogue = Dialogue::read(&name);
        for way in 0..=WAYS {
            let mut bench = dialogue.blank();
            for step in &dialogue.steps {
                let Step::Command { apdu, .. } = step else {
                    bench.step(step);
                    continue;
                };
                let sent = if way == WAYS { apdu.clone() } else { spoiled(apdu, way) };
                for apdu in [&sent, apdu] {
                    let sw = bench.send(apdu).sw().0;
                    answers += 1;
                    let fits = |form: &&Form| apdu.starts_with(&[form.cla, form.ins]);
                    let Some(form) = forms().find(fits) else { continue };
                    let own =
                        descriptions.iter().filter(|own| forms().filter(fits).any(|form| own.is_of(form)));
                    let own: BTreeSet<&str> =
                        own.flat_map(|own| own.status_words.iter().map(String::as_str)).collect();
                    let is_said = |word: &str| general.contains(word) || own.contains(word);
                    let shapes =
                        [format!("{sw:04X}"), format!("{:02X}xx", sw >> 8), format!("{:03X}x", sw >> 4)];
                    if sw != 0x9000 && !shapes.iter().any(|shape| is_said(shape)) {
                        missing.entry(form.name).or_default().insert(format!("{sw:04X}"));
                    }
                }
            }
        }
    }
    println!("status words: {answers} answers looked up");
    assert!(missing.is_empty(), "not in docs/cards: {missing:#?}");
}
