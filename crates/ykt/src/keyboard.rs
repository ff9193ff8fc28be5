//! The person at the keyboard of a command: lines that may be seen, and secrets that may not.
//!
//! Whatever is typed before its question stands there is thrown away: the terminal would show it, or it would answer
//! another question. A secret is read straight from the terminal into memory that is wiped. Where no terminal is, the
//! answers are lines of standard input.

use crate::interrupt;
use anyhow::Context;
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr, tcgetwinsize,
    tcsetattr,
};
use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Longest line a terminal hands over at once.
const LINE_LEN_MAX: usize = 4096;
/// A key that no key is: the signal has none.
const NO_KEY: u8 = if cfg!(target_os = "linux") { 0 } else { 0xFF };
/// How the terminal was before the first secret; an interrupt brings it back.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);
/// Whether a secret stands on the screen.
static IS_ON_SCREEN: AtomicBool = AtomicBool::new(false);

/// No more lines come: the person is gone, or the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken off / 已中断")
    }
}

impl std::error::Error for Gone {}

/// The line is empty where something was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nothing;

impl std::fmt::Display for Nothing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nothing was typed / 未录入内容")
    }
}

impl std::error::Error for Nothing {}

/// Prints a line, at a terminal in lines of its width. One that does not show is no reason to stop.
pub fn say(text: impl std::fmt::Display) {
    let screen = io::stdout();
    let text = match screen.is_terminal().then(|| tcgetwinsize(&screen)) {
        Some(Ok(size)) if size.ws_col > 0 => wrapped(&text.to_string(), size.ws_col.into()),
        _ => text.to_string(),
    };
    let _unseen = writeln!(&screen, "{text}");
}

/// A text with its lines cut between words, so that none is wider than this. A Chinese sign takes two columns.
fn wrapped(text: &str, columns: usize) -> String {
    let sign_width = |sign: char| if u32::from(sign) < 0x2E80 { 1 } else { 2 };
    let mut out = String::with_capacity(text.len());
    let mut width = 0;
    for word in text.split_inclusive([' ', '\n']) {
        let (shown, end) = (word.trim_end(), word.chars().last());
        let word_width: usize = shown.chars().map(sign_width).sum();
        if width > 0 && width + word_width > columns {
            out.truncate(out.trim_end().len());
            out.push_str("\n  ");
            width = 2;
        }
        out.push_str(word);
        width = if end == Some('\n') { 0 } else { width + word_width + usize::from(end == Some(' ')) };
    }
    out
}

/// The terminal with nothing shown of what is typed, except where [`line`] asks; until it is dropped. Only Ctrl-C breaks
/// off: a program that is stopped by Ctrl-Z, or dumped by Ctrl-\, would leave its secrets behind.
#[must_use]
pub struct Quiet(Option<Termios>);

/// Makes the terminal quiet. Without one there is nothing to do.
///
/// # Errors
/// When the terminal does not obey: then nobody may type a secret there.
pub fn quiet() -> anyhow::Result<Quiet> {
    if !io::stdin().is_terminal() {
        return Ok(Quiet(None));
    }
    interrupt::restore_terminal();
    let found = tcgetattr(io::stdin()).context("the terminal does not say how it is set")?;
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| found.clone());
    // Nobody finds in a core file what was typed into the program.
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, nothing).context("core files cannot be switched off")?;
    let mut quiet = found.clone();
    quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
    for signal in [SpecialCodeIndex::VSUSP, SpecialCodeIndex::VQUIT] {
        quiet.special_codes[signal] = NO_KEY;
    }
    set(&quiet)?;
    Ok(Quiet(Some(found)))
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // A terminal that is gone needs nothing back.
            let _gone = set(before);
        }
    }
}

/// A secret that stands on the screen until this is dropped; then, and at an interrupt, the screen is emptied.
#[must_use]
pub struct OnScreen(());

impl OnScreen {
    /// Empties the screen for what will stand there.
    pub fn begin() -> OnScreen {
        clear();
        IS_ON_SCREEN.store(true, Ordering::Relaxed);
        OnScreen(())
    }
}

impl Drop for OnScreen {
    fn drop(&mut self) {
        clear();
        IS_ON_SCREEN.store(false, Ordering::Relaxed);
    }
}

/// Brings the terminal back to how it was before the first secret, without one on its screen.
pub fn restore() {
    if IS_ON_SCREEN.load(Ordering::Relaxed) {
        clear();
    }
    if let Some(before) = &*BEFORE.lock().unwrap_or_else(PoisonError::into_inner) {
        let _gone = set(before);
    }
}

/// Takes these settings and throws away what was typed until now.
fn set(settings: &Termios) -> anyhow::Result<()> {
    tcsetattr(io::stdin(), OptionalActions::Flush, settings).context("the terminal cannot be set")
}

/// Empties the screen and what can be scrolled back to, for the next person.
pub fn clear() {
    let mut screen: Box<dyn Write> = match (io::stdout().is_terminal(), io::stderr().is_terminal()) {
        (true, _) => Box::new(io::stdout()),
        (false, true) => Box::new(io::stderr()),
        (false, false) => return,
    };
    let _unseen = write!(screen, "\x1b[H\x1b[2J\x1b[3J").and_then(|()| screen.flush());
}

/// One line that may be seen, without its end and the blanks around it.
///
/// # Errors
/// [`Gone`] when no more comes.
pub fn line(question: impl std::fmt::Display) -> anyhow::Result<String> {
    let input = io::stdin();
    if !input.is_terminal() {
        ask(io::stdout(), &question);
        return Ok(next_line()?.trim().to_owned());
    }
    let found = tcgetattr(&input).context("the terminal does not say how it is set")?;
    let mut shown = found.clone();
    shown.local_modes.insert(LocalModes::ECHO);
    set(&shown)?;
    let _back = Quiet(Some(found));
    ask(io::stdout(), &question);
    Ok(read_terminal()?.trim().to_owned())
}

/// One line that is not shown, or the next line of standard input; it may be empty.
///
/// # Errors
/// [`Gone`] when no more comes, or the terminal does not obey.
pub fn secret(what: impl std::fmt::Display) -> anyhow::Result<Zeroizing<String>> {
    if !io::stdin().is_terminal() {
        return next_line();
    }
    let _quiet = quiet()?;
    ask(io::stderr(), &format_args!("{what}:"));
    let typed = read_terminal();
    let _unseen = writeln!(io::stderr());
    typed
}

fn ask(mut screen: impl Write, question: &dyn std::fmt::Display) {
    let _unseen = write!(screen, "{question} ").and_then(|()| screen.flush());
}

/// A line of the terminal, without its end. It goes through no buffer that keeps it.
fn read_terminal() -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new([0; LINE_LEN_MAX]);
    let len = loop {
        match rustix::io::read(io::stdin(), &mut *line) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(0) | Err(_) => return Err(Gone.into()),
            Ok(len) => break len,
        }
    };
    // What is behind the first line belongs to no question.
    let _gone = tcflush(io::stdin(), QueueSelector::IFlush);
    let typed = line.get(..len).unwrap_or_default();
    let end = typed.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(len);
    let text = std::str::from_utf8(typed.get(..end).unwrap_or_default());
    Ok(Zeroizing::new(text.context("what was typed is no text in UTF-8")?.to_owned()))
}

/// The next line of standard input, without its end.
fn next_line() -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    match io::stdin().lock().read_line(&mut line) {
        Ok(0) | Err(_) => Err(Gone.into()),
        Ok(_) => {
            let len = line.trim_end_matches(['\r', '\n']).len();
            line.truncate(len);
            Ok(line)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn long_lines_are_cut_between_words() {
        for (text, lines) in [
            ("", ""),
            ("twelve signs", "twelve signs"),
            ("more than twelve signs", "more than\n  twelve\n  signs"),
            ("two\nlines of them", "two\nlines of\n  them"),
            ("  kept as it is", "  kept as it\n  is"),
            ("分量 KCV 12 345", "分量 KCV 12\n  345"),
            ("a-word-that-is-too-long x", "a-word-that-is-too-long\n  x"),
        ] {
            assert_eq!(wrapped(text, 12), lines, "{text}");
        }
    }
}
