//! M1 cards: what a person at a desk types, on image files and through pcscd.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

pub const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/m1-keys.toml");

/// Runs `ykt m1` in `folder`: exit code and everything it said.
fn m1(folder: &Path, args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ykt"));
    let output = command.current_dir(folder).arg("m1").args(args).output().unwrap();
    let Output { status, stdout, stderr } = output;
    let said = [stdout, stderr].concat();
    (status.code().unwrap(), String::from_utf8(said).unwrap())
}

fn expect(folder: &Path, args: &[&str], code: i32, what: &str) -> String {
    let (found, said) = m1(folder, args);
    assert!(found == code && said.contains(what), "{args:?}: {found}, {said}");
    said
}

/// A card with 50 yuan in `m1.img`.
pub fn make(folder: &Path) {
    let new =
        ["new", "--keys", KEYS, "--serial", "00000041", "--uid", "1A2B3C4D", "--balance", "50", "m1.img"];
    expect(folder, &new, 0, "M1 card 2144000000000041 in m1.img: chip 1A2B3C4D");
}

fn on_card<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [args, &["--card", "m1.img", "--keys", KEYS, "--records", "m1.records"]].concat()
}

#[test]
fn a_day_with_an_m1_card() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    make(at);
    let pay = on_card(&["purchase", "--amount", "2.50"]);
    expect(at, &pay, 0, "done: 2.50 yuan, balance 47.50 yuan; record 1, card 2144000000000041 count 0");
    expect(at, &on_card(&["load", "--amount", "30"]), 0, "balance 77.50 yuan; record 2");
    expect(at, &on_card(&["purchase", "--amount", "100"]), 3, "balance 77.50 yuan is too small");
    expect(at, &on_card(&["purchase", "--amount", "0"]), 1, "from 0.01");

    let shown: Value = serde_json::from_str(&expect(at, &["show", "--json", "m1.img"], 0, "")).unwrap();
    assert_eq!((&shown["purse_yuan"], &shown["backup_yuan"]), (&"77.50".into(), &"77.50".into()));
    assert_eq!(shown["records"].as_array().unwrap().len(), 3, "issue, purchase, load");
    let inspected: Value =
        serde_json::from_str(&expect(at, &on_card(&["inspect", "--json"]), 0, "")).unwrap();
    assert_eq!(inspected, shown, "with keys as without");

    expect(at, &["records", "m1.records"], 0, "record 2: ");
    expect(at, &on_card(&["blacklist"]), 0, "marked as blacklisted");
    expect(at, &pay, 3, "only its issuer can clear it");
    expect(at, &["records", "m1.records"], 0, "card 2144000000000041\n");
}

#[test]
fn reader_commands_in_hex_and_what_goes_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    make(at);
    let said = expect(at, &["apdu", "m1.img", "FFCA000000", "FFB0000910"], 0, "1A2B3C4D 9000 (ok)");
    assert!(said.contains("6982"), "{said}");
    let image = std::fs::read(at.join("m1.img")).unwrap();
    assert_eq!(image.len(), 1_024);
    let master = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77];
    assert!(!image.windows(8).any(|part| part == master), "a master key has come to the card");

    expect(at, &["new", "--keys", KEYS, "m1.img"], 1, "a card is made in a new file");
    expect(at, &["new", "--keys", KEYS, "--balance", "200000", "other.img"], 1, "a purse begins with");
    assert!(!at.join("other.img").exists(), "half a card is none");
    expect(at, &["new", "--keys", KEYS, "--layout", "none", "x.img"], 2, "claimed, complement, identical");
    std::fs::write(at.join("keys.toml"), "origin = \"demo\"\nsector-a = \"00112233\"\n").unwrap();
    let said = expect(at, &["new", "--keys", "keys.toml", "x.img"], 1, "sector-a");
    assert!(!said.contains("00112233"), "no key in a message: {said}");
    std::fs::write(at.join("keys.toml"), "origin = \"demo\"\nother = \"\"\n").unwrap();
    expect(at, &["new", "--keys", "keys.toml", "x.img"], 1, "unknown field `other`");
    expect(at, &["records", "none.records"], 1, "there is no journal");
    let foreign = ["inspect", "--card", "m1.img", "--keys", KEYS, "--city", "3100"];
    expect(at, &foreign, 0, "2144000000000041");
    let foreign = ["purchase", "--card", "m1.img", "--keys", KEYS, "--city", "3100", "--amount", "1"];
    expect(at, &foreign, 3, "cards of city 2144 are not taken here");
}

/// A storage card in a reader of this machine: opensc-tool and our terminal find the same card.
#[cfg(feature = "pcsc")]
#[test]
fn an_m1_card_in_a_reader() {
    use crate::pcsc_desk::{Desk, run};
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    let desk = Desk::beside(&|port| {
        let mut serve = Command::new(env!("CARGO_BIN_EXE_ykt"));
        serve.args(["m1", "serve", "--vpcd", &format!("127.0.0.1:{port}")]).arg(folder.path().join("m1.img"));
        serve
    });
    let said = run(desk.tool("opensc-tool").args(["-r", "1", "-a"]));
    assert!(
        said.replace(':', "").to_uppercase().contains("3B8F8001804F0CA000000306030001000000006A"),
        "{said}"
    );
    let apdus = ["FFCA000000", "FF820000061A2B3C4D1A2B", "FF860000050100046000", "FFB0000410"];
    let said =
        run(desk.tool("opensc-tool").args(["-r", "1"]).args(apdus.iter().flat_map(|apdu| ["-s", apdu])));
    assert_eq!(said.matches("SW1=0x90, SW2=0x00").count(), 4, "{said}");
    assert!(said.contains("21 44 00 00 00 00 00 41"), "the issue data: {said}");
    let terminal = ["--card", "1", "--keys", KEYS];
    let said = run(desk.ykt().args(["m1", "purchase", "--amount", "2.50"]).args(terminal));
    assert!(said.contains("balance 47.50 yuan"), "{said}");
    let said = run(desk.ykt().args(["m1", "load", "--amount", "10"]).args(terminal));
    assert!(said.contains("balance 57.50 yuan"), "{said}");
}
