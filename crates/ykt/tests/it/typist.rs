//! A person at a terminal: programs with a pseudo-terminal around them, which see the keyboard and the screen of 80
//! columns and 24 rows that a custodian has. Python's standard library has both halves of it.

use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a dialogue left behind.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; the negative number of a signal.
    pub code: i64,
    /// Everything that was ever shown.
    pub shown: String,
    /// What stands on the screen, and above it where one can scroll back.
    pub screen: String,
    /// Whether the terminal shows again what is typed.
    pub echo: bool,
}

/// One step: `see` waits for a text behind what was seen before.
pub fn see(text: &str) -> Value {
    json!({ "see": text })
}

/// Waits for a text, then types a line.
pub fn answer(text: &str, line: &str) -> Value {
    json!({ "see": text, "type": line })
}

/// Waits for a text, then types a line and, before anything asks for it, another one.
pub fn ahead(text: &str, line: &str, too_early: &str) -> Value {
    json!({ "see": text, "type": line, "ahead": too_early })
}

/// Waits for a text, then presses these keys.
pub fn press(text: &str, keys: &str) -> Value {
    json!({ "see": text, "keys": keys })
}

/// Waits for a text, then types the code of the authenticator whose secret is on the screen.
pub fn code(text: &str) -> Value {
    json!({ "see": text, "code": true })
}

/// Waits for a text, then closes the terminal.
pub fn hang_up(text: &str) -> Value {
    json!({ "see": text, "hang_up": true })
}

/// Runs a program in a terminal. `python` is the interpreter with folder and environment of the program.
pub fn at_terminal(python: &mut Command, program: &[&str], steps: &[Value]) -> Ended {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/typist.py");
    // -B: the interpreter leaves no compiled files beside the sources.
    python.arg("-B").arg(script).args(program).env("TERM", "xterm");
    let mut child =
        python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    steps.iter().for_each(|step| writeln!(input, "{step}").unwrap());
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |name: &str| said[name].as_str().unwrap().to_owned();
    Ended {
        code: said["code"].as_i64().unwrap(),
        shown: text("shown"),
        screen: text("screen"),
        echo: said["echo"].as_bool().unwrap(),
    }
}
