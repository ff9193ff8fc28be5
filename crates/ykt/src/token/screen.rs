//! The person at the keyboard: questions in English and Chinese, one answer a line.

use crate::keyboard;
use std::io::{self, BufRead, IsTerminal, Write};
use ykt_base::Fen;
use ykt_purse::write_key::Pin;

/// A text in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words(
    /// English.
    pub &'static str,
    /// 中文.
    pub &'static str,
);

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} / {}", self.0, self.1)
    }
}

/// The person wants no more, or is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled;

/// Prints a line.
pub fn say(text: impl std::fmt::Display) {
    println!("{text}");
}

/// One line without its end, or [`Cancelled`] when no more comes.
fn line() -> Result<String, Cancelled> {
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line) {
        Ok(0) | Err(_) => Err(Cancelled),
        Ok(_) => Ok(line.trim().to_owned()),
    }
}

fn prompt(question: impl std::fmt::Display) {
    print!("{question} ");
    // A prompt that does not show is no reason to stop.
    let _unseen = io::stdout().flush();
}

/// Lets the person choose one of `entries`; 0 is `leave`, which gives `None`.
pub fn choose(title: Words, entries: &[String], leave: Words) -> Result<Option<usize>, Cancelled> {
    println!("\n{title}");
    for (number, entry) in (1..).zip(entries) {
        println!("  {number}  {entry}");
    }
    println!("  0  {leave}");
    loop {
        prompt(">");
        match line()?.parse::<usize>() {
            Ok(0) => return Ok(None),
            Ok(number) if number <= entries.len() => return Ok(number.checked_sub(1)),
            _ => println!("{}", Words("Enter a number of the list", "请输入列表中的编号")),
        }
    }
}

/// Waits for Enter; 0 cancels.
pub fn confirm(question: Words) -> Result<(), Cancelled> {
    prompt(format_args!("{question}:"));
    if line()? == "0" { Err(Cancelled) } else { Ok(()) }
}

/// An amount above zero; 0 or nothing gives `None`.
pub fn amount(question: Words) -> Result<Option<Fen>, Cancelled> {
    loop {
        prompt(format_args!("{question}:"));
        let text = line()?;
        match crate::desk::yuan(&text) {
            Ok(Fen::ZERO) => return Ok(None),
            Ok(amount) => return Ok(Some(amount)),
            Err(_) if text.is_empty() => return Ok(None),
            Err(expected) => println!("{expected} / 请输入元，最多两位小数"),
        }
    }
}

/// A PIN, which is not shown while it is typed; nothing gives `None`.
pub fn pin() -> Result<Option<Pin>, Cancelled> {
    loop {
        let question = Words("PIN (Enter cancels)", "个人密码（回车取消）");
        let text = if io::stdin().is_terminal() {
            keyboard::secret(question).map_err(|_| Cancelled)?
        } else {
            prompt(format_args!("{question}:"));
            let text = line()?;
            println!();
            text.into()
        };
        match Pin::from_digits(&text) {
            _ if text.is_empty() => return Ok(None),
            Some(pin) => return Ok(Some(pin)),
            None => say(Words("A PIN has 4 to 12 digits", "个人密码为 4 到 12 位数字")),
        }
    }
}
