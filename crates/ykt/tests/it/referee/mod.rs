//! Readers of somebody else's making: Python programs that know the documents and nothing of our source open, derive,
//! verify and use what the key management centre gives out, and make what it takes in. Ciphers are python3-pycryptodome's
//! and OpenSSL's.

mod audit;
mod ceremony;
mod download;
mod exchange;
#[cfg(feature = "pcsc")]
mod modules;
pub mod office;
mod sealed;

use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Debian's interpreter: python3-pycryptodome and python3-argon2 belong to it.
const PYTHON: &str = "/usr/bin/python3";

/// A program of this folder, not started yet.
fn program(folder: &Path, name: &str) -> Command {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut command = Command::new(PYTHON);
    // -B: the interpreter leaves no compiled files beside the sources.
    command.arg("-B").arg(own.join("referee").join(name));
    command.env("PYTHONPATH", own.join("foreign")).current_dir(folder);
    command
}

/// Runs a program: `input` on its standard input, what it prints comes back.
fn told(folder: &Path, name: &str, args: &[&str], input: &Value) -> Value {
    let (is_content, said) = asked(folder, name, args, input);
    assert!(is_content, "{name}: {said}");
    serde_json::from_str(&said).unwrap()
}

/// Runs a program; whether it was content, and what it printed.
fn asked(folder: &Path, name: &str, args: &[&str], input: &Value) -> (bool, String) {
    let mut command = program(folder, name);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that refuses at once leaves it unread.
    let _unread = child.stdin.take().unwrap().write_all(input.to_string().as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8(said).unwrap())
}
