//! Cards, PSAMs and a terminal on image files: what a person at a desk types, and what goes wrong there.

use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

pub const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/keys.toml");

/// Runs `ykt` in `folder`: exit code, standard output, standard error.
fn ykt(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ykt")).current_dir(folder).args(args).output().unwrap();
    let Output { status, stdout, stderr } = output;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

pub fn ok(folder: &Path, args: &[&str]) -> String {
    let (code, stdout, stderr) = ykt(folder, args);
    assert_eq!(code, 0, "{args:?}: {stdout}{stderr}");
    stdout
}

pub fn refused(folder: &Path, args: &[&str], expected: (i32, &str)) {
    let (code, stdout, stderr) = ykt(folder, args);
    let said = format!("{stdout}{stderr}");
    assert!(code == expected.0 && said.contains(expected.1), "{args:?}: {code}, {said}");
}

/// A card with 50 yuan and a PSAM.
pub fn desk() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    ok(at, &["card", "new", "--keys", KEYS, "--serial", "2144000000000041", "card.img"]);
    ok(at, &["psam", "new", "--keys", KEYS, "--terminal", "214400000041", "psam.img"]);
    let said = ok(at, &["pos", "load", "--card", "card.img", "--keys", KEYS, "--amount", "50"]);
    assert!(said.contains("50.00 yuan loaded, balance 50.00 yuan"), "{said}");
    folder
}

const PAY: [&str; 8] =
    ["pos", "purchase", "--card", "card.img", "--psam", "psam.img", "--records", "pos.records"];

fn pay(amount: &str) -> Vec<&str> {
    [&PAY[..], &["--amount", amount]].concat()
}

#[test]
fn a_day_at_the_desk() {
    let folder = desk();
    let at = folder.path();
    assert!(ok(at, &pay("2.50")).contains("paid: 2.50 yuan, balance 47.50 yuan; record 1, card counter 0"));
    let json = ok(at, &[&pay("0.5")[..], &["--json"]].concat());
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["outcome"], &json["record"]["balance_fen"]), (&"paid".into(), &4_700.into()));
    refused(at, &pay("50"), (3, "balance 47.00 yuan is too small"));
    refused(at, &pay("0"), (1, "from 0.01"));
    refused(at, &pay("2.505"), (2, "at most two decimals"));

    let batch = ["pos", "batch", "--records", "pos.records", "--day", "2026-11-22"];
    assert!(ok(at, &batch).contains("XF2026112201M00000000000001001: 2 records (0 grey), 3.00 yuan"));
    let file = at.join("XF2026112201M00000000000001001");
    let first = std::fs::read(&file).unwrap();
    ok(at, &pay("1"));
    ok(at, &batch);
    assert_eq!(std::fs::read(&file).unwrap(), first, "the same batch again is the same file");

    let show: Value = serde_json::from_str(&ok(at, &["card", "show", "--json", "card.img"])).unwrap();
    assert_eq!(show["facts"]["balance_yuan"], "46.00");
    assert_eq!(show["log"].as_array().unwrap().len(), 4);
    assert!(ok(at, &["psam", "show", "psam.img"]).contains("key 42 Purchase, 2 levels left"));
}

/// No key of the file, no key of the card, no PIN is ever shown.
#[test]
fn nothing_shown_is_a_key() {
    let folder = desk();
    let image = std::fs::read(folder.path().join("card.img")).unwrap();
    let shown = ok(folder.path(), &["card", "show", "--json", "card.img"]);
    let long_hex = shown.split(|sign: char| !sign.is_ascii_hexdigit()).filter(|word| word.len() >= 32);
    assert_eq!(long_hex.collect::<Vec<_>>(), Vec::<&str>::new());
    assert!(!shown.contains("123456"), "the PIN");
    let master = std::fs::read_to_string(KEYS).unwrap();
    let master = master.lines().find_map(|line| line.strip_prefix("value = \"")).unwrap();
    let master: Vec<u8> =
        (0..16).map(|n| u8::from_str_radix(&master[2 * n..2 * n + 2], 16).unwrap()).collect();
    assert!(!image.windows(16).any(|part| part == master), "a master key has come to the card");
}

#[test]
fn commands_in_hex() {
    let folder = desk();
    let select = "00A4040009A00000000386980701";
    let said = ok(folder.path(), &["card", "apdu", "card.img", select, "80 5C 00 02 04"]);
    assert!(said.ends_with("00001388 9000 (ok)\n"), "{said}");
    let mut child = Command::new(env!("CARGO_BIN_EXE_ykt"))
        .current_dir(folder.path())
        .args(["card", "apdu", "card.img"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = format!("# a dialogue\n{select}\nreset\n00B0950004 # needs the application\n");
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(said.ends_with("6A82 (file or application not found)\n"), "{said}");
    refused(folder.path(), &["card", "apdu", "card.img", "00A4zz"], (1, "no APDU in hex"));
}

#[test]
fn what_goes_wrong_says_what_to_do() {
    let folder = desk();
    let at = folder.path();
    refused(at, &["card", "new", "--keys", KEYS, "card.img"], (1, "a card is made in a new file"));
    refused(at, &["card", "new", "--keys", "nowhere.toml", "other.img"], (1, "nowhere.toml"));
    assert!(!at.join("other.img").exists());
    refused(
        at,
        &["card", "new", "--keys", KEYS, "--profile", "none", "other.img"],
        (1, "no shipped profile"),
    );
    refused(
        at,
        &["card", "new", "--keys", KEYS, "--profile", "psam", "other.img"],
        (1, "make it with `ykt psam new`"),
    );
    assert!(!at.join("other.img").exists(), "half a card is none");
    refused(at, &["pos", "balance", "--card", "psam.img"], (1, "6A82"));
    refused(at, &["pos", "batch", "--records", "none.records"], (1, "there is no journal"));
    let load = ["pos", "load", "--card", "card.img", "--amount", "1"];
    refused(at, &load, (2, "--host <URL>|--keys <FILE>"));
    refused(
        at,
        &[&load[..], &["--host", "http://127.0.0.1:1"]].concat(),
        (4, "show the card again with `--order"),
    );
    refused(at, &[&load[..], &["--host", "https://host"]].concat(), (1, "TLS proxy"));
    std::fs::write(at.join("text.img"), "no card").unwrap();
    refused(at, &["card", "show", "text.img"], (1, "no card image"));
}
