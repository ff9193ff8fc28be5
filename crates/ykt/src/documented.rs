//! The commands that documents and help texts print must be commands: their subcommands and options exist, and where a
//! whole command stands, it can be given as it stands.

use crate::Cli;
use clap::error::ErrorKind;
use clap::{Command, CommandFactory, Parser};
use std::fs;
use std::path::{Path, PathBuf};

/// A command as it is printed somewhere.
#[derive(Debug)]
struct Printed {
    place: String,
    words: Vec<String>,
    /// In a block of its own, to be typed as it stands; else in a sentence, where it may be cut short.
    whole: bool,
}

impl Printed {
    /// What is wrong with it.
    fn fault(&self) -> Option<String> {
        let error = Cli::try_parse_from(&self.words).err()?;
        let is_fine = match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
            ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => !self.whole,
            // KEY and NUMBER stand for what the reader puts there.
            ErrorKind::ValueValidation | ErrorKind::InvalidValue => !self.whole || self.is_cut(),
            _ => false,
        };
        (!is_fine).then(|| format!("{}: {}\n{error}", self.place, self.words.join(" ")))
    }

    fn is_cut(&self) -> bool {
        self.words.iter().any(|word| word.contains('…') || word.contains("$("))
    }
}

/// Splits shell text into commands of words. Quotes, line ends after a backslash, comments, and $(…) are known; what a
/// pipe, `;`, `&` or a new line divides is another command; redirections end the words.
fn commands(text: &str) -> Vec<Vec<String>> {
    let (mut all, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let (mut signs, mut depth) = (text.chars().peekable(), 0_u32);
    while let Some(sign) = signs.next() {
        let ends = depth == 0 && (sign.is_whitespace() || "|;&<>()".contains(sign));
        match sign {
            '\\' => match signs.next() {
                Some('\n') | None => {}
                Some(other) => word.get_or_insert_default().push(other),
            },
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                word.extend(signs.by_ref().take_while(|other| *other != sign));
            }
            '#' if word.is_none() => while signs.next_if(|other| *other != '\n').is_some() {},
            '(' if word.as_ref().is_some_and(|word| word.ends_with('$')) || depth > 0 => {
                depth += 1;
                word.get_or_insert_default().push(sign);
            }
            ')' if depth > 0 => {
                depth -= 1;
                word.get_or_insert_default().push(sign);
            }
            _ if ends => {
                words.extend(word.take());
                if !matches!(sign, ' ' | '\t') {
                    all.push(std::mem::take(&mut words));
                }
            }
            _ => word.get_or_insert_default().push(sign),
        }
    }
    words.extend(word);
    all.push(words);
    all
}

/// The commands of ours among those of a text, without the variables that are set before them.
fn ours(place: &str, text: &str, whole: bool) -> Vec<Printed> {
    let mut found = Vec::new();
    for words in commands(text) {
        let is_setting = |word: &String| word.contains('=') && !word.starts_with('-');
        let words: Vec<String> =
            words.into_iter().skip_while(|word| is_setting(word) || word == "$").collect();
        // `…` stands for options, COMMAND behind `help` for any.
        let words: Vec<String> = words.into_iter().filter(|word| word != "…" && word != "COMMAND").collect();
        if words.first().is_some_and(|word| word == "ykt") && words.len() > 1 {
            found.push(Printed { place: place.to_owned(), words, whole });
        }
    }
    found
}

/// The commands of a document: in fenced blocks, and in code within sentences.
fn in_document(name: &str, text: &str) -> Vec<Printed> {
    let mut found = Vec::new();
    // Odd parts are in fences. A language stands in the first line; of other languages than the shell's none is ours.
    for (number, part) in text.split("```").enumerate() {
        let (language, block) = part.split_once('\n').unwrap_or_default();
        if number % 2 == 1 {
            if matches!(language.trim(), "sh" | "console" | "") {
                found.extend(ours(name, block, true));
            }
            continue;
        }
        for code in part.split('`').skip(1).step_by(2) {
            found.extend(ours(name, &code.replace('\n', " "), false));
        }
    }
    found
}

/// The examples under the help of a command and of those below it.
fn in_help(command: &Command, found: &mut Vec<Printed>) {
    let place = format!("help of {}", command.get_name());
    for text in [command.get_after_help(), command.get_after_long_help()].into_iter().flatten() {
        found.extend(ours(&place, &text.to_string(), true));
    }
    command.get_subcommands().for_each(|below| in_help(below, found));
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut folders = vec![root.join("docs")];
    let mut found: Vec<_> =
        ["README.md", "README.zh-CN.md", "ARCHITECTURE.md"].map(|name| root.join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn every_printed_command_is_one() {
    let mut printed = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        printed.extend(in_document(path.file_name().unwrap().to_str().unwrap(), &text));
    }
    in_help(&Cli::command(), &mut printed);
    let faults: Vec<_> = printed.iter().filter_map(Printed::fault).collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), printed.len(), faults.join("\n"));
    // Were the documents read wrongly, nothing would be found in them.
    let count = |place: &str| printed.iter().filter(|command| command.place == place).count();
    assert!(
        count("README.md") > 20 && count("keys.md") > 40,
        "{} and {}",
        count("README.md"),
        count("keys.md")
    );
}

#[test]
fn a_wrong_command_is_found() {
    let text = "Say `ykt keys bough`.\n```sh\nA=1 ykt vault init x.sealed --operator 'a b' \\\n  --nobody # gone\n```\n";
    let found = in_document("x", text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[1].words, ["ykt", "vault", "init", "x.sealed", "--operator", "a b", "--nobody"]);
    assert!(found.iter().all(|command| command.fault().is_some()));
    // In a sentence a command may be cut short; in a block it may not.
    assert!(in_document("x", "`ykt keys show`").iter().all(|command| command.fault().is_none()));
    assert!(in_document("x", "```sh\nykt keys show\n```").iter().all(|command| command.fault().is_some()));
}
