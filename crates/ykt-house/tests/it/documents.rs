//! Rules about the documents: what they point at exists.

use crate::house::{Finding, House, TextFile};
use crate::source::is_word;
use std::collections::BTreeSet;

/// The catalogue of codes for people.
const CODES: &str = "docs/errors.md";
/// Where codes are given, and what they look like there.
const CODE_SOURCES: &[(&str, IsCode)] = &[
    ("crates/ykt-web/src/problem.rs", is_name),
    ("crates/ykt-clearing/src/verdict.rs", is_step),
    ("crates/ykt-pay/src/error.rs", is_name),
    ("crates/ykt-kmc/src/download/refusal.rs", is_name),
];

fn documents(house: &House) -> impl Iterator<Item = &TextFile> {
    house.files.iter().filter(|file| file.is("md"))
}

type IsCode = fn(&str) -> bool;

/// Rule: relative links and pictures lead to files of the tree.
pub fn links_lead_somewhere(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in documents(house) {
        let folder = house.root.join(&document.path);
        let folder = folder.parent().unwrap_or(&house.root);
        for (index, line) in document.text.lines().enumerate() {
            for target in targets(line) {
                let file = target.split('#').next().unwrap_or_default();
                if !file.is_empty() && !file.contains("://") && !folder.join(file).exists() {
                    findings.push(Finding::new(
                        &document.path,
                        index + 1,
                        format!("{target} does not exist"),
                    ));
                }
            }
        }
    }
    findings
}

/// What stands in the round brackets of `[text](target)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// Rule: where a document says `make x` in code, the Makefile has a target `x`.
pub fn make_targets_exist(house: &House) -> Vec<Finding> {
    let makefile = &house.file("Makefile").text;
    let mut findings = Vec::new();
    for document in documents(house) {
        let mut is_block = false;
        for (index, line) in document.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                is_block = !is_block;
            }
            let inline = line.split('`').skip(1).step_by(2);
            let block = is_block.then(|| line.trim()).into_iter();
            for target in inline.chain(block).filter_map(|code| code.strip_prefix("make ")) {
                let target = target.split_whitespace().next().unwrap_or_default();
                if !makefile.lines().any(|line| line.starts_with(&format!("{target}:"))) {
                    findings.push(Finding::new(
                        &document.path,
                        index + 1,
                        format!("make {target} does not exist"),
                    ));
                }
            }
        }
    }
    findings
}

/// Rule: every code that a program or a partner may read is explained in [`CODES`].
pub fn codes_are_documented(house: &House) -> Vec<Finding> {
    let documented: BTreeSet<&str> = house.file(CODES).text.split(['|', '`', ' ']).collect();
    let mut findings = Vec::new();
    for (path, is_code) in CODE_SOURCES {
        let source = house.file(path).rust_without_tests();
        let given: BTreeSet<usize> =
            source.lines().filter(|(_, line)| gives_code(line)).map(|(line, _)| line).collect();
        let codes = source.texts.iter().filter(|(line, text)| given.contains(line) && is_code(text));
        let mut is_empty = true;
        for (line, code) in codes {
            is_empty = false;
            if !documented.contains(code.as_str()) {
                findings.push(Finding::new(path, *line, format!("{code} is not in {CODES}")));
            }
        }
        if is_empty {
            findings.push(Finding::new(path, 0, "gives no code any more"));
        }
    }
    findings
}

/// A line of a catalogue: `Name = .. "code" ..;` in a macro, or `Type::Name .. => "code",` in a match.
fn gives_code(line: &str) -> bool {
    let line = line.trim();
    let is_entry =
        line.contains(" = ") && line.ends_with(';') || line.contains(" => ") && line.ends_with(',');
    is_entry && line.starts_with(char::is_uppercase)
}

/// `bad-request`.
fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// `V01`, `E0A`.
fn is_step(word: &str) -> bool {
    word.len() >= 3
        && word.starts_with(['V', 'E'])
        && word.chars().skip(1).all(|c| c.is_ascii_alphanumeric())
        && word.chars().any(|c| c.is_ascii_digit())
}

/// The document that follows operations through the code by the names of functions.
const WALK: &str = "ARCHITECTURE.md";
/// Words of Rust in that document that name nothing of ours.
const RUST_WORDS: &[&str] = &["no_std"];

/// Rule: `Type::name`, `path::name` and `name_of_a_function` in [`WALK`] are defined in a
/// crate, be it as a test.
pub fn named_code_exists(house: &House) -> Vec<Finding> {
    let rust = house.files.iter().filter(|file| file.is("rs"));
    let defined: BTreeSet<&str> =
        rust.flat_map(|file| file.rust().lines()).filter_map(|(_, line)| definition(line)).collect();
    let rules = crate::RULES.iter().map(|(name, _)| *name);
    let known: BTreeSet<&str> = RUST_WORDS.iter().copied().chain(rules).collect();
    let mut findings = Vec::new();
    for (index, line) in house.file(WALK).text.lines().enumerate() {
        let spans = line.split('`').skip(1).step_by(2);
        for span in spans.filter(|span| names_code(span) && !known.contains(span)) {
            let name = span.rsplit("::").next().unwrap_or(span);
            if !defined.contains(name) {
                findings.push(Finding::new(WALK, index + 1, format!("{span} is defined nowhere")));
            }
        }
    }
    findings
}

/// The name that a line defines.
fn definition(line: &str) -> Option<&str> {
    let mut words = line.split(|c| !is_word(c)).filter(|word| !word.is_empty());
    words.find(|word| matches!(*word, "fn" | "struct" | "enum" | "trait" | "mod" | "const" | "type"))?;
    words.find(|word| *word != "fn")
}

fn names_code(span: &str) -> bool {
    let is_path = span.chars().all(|c| is_word(c) || c == ':');
    let is_function = span.contains('_') && span.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    is_path && (span.contains("::") || is_function)
}
