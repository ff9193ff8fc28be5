//! PSAM production and key cards, overheard: `tap.py` writes down what passes between pcscd and the chips, `modules.py` opens
//! every WRITE KEY with its own TDES, and puts both modules to use.

use super::office::{PASSPHRASE, PASSWORD, office};
use super::{program, told};
use crate::image_cards::{KEYS, ok};
use crate::pcsc_desk::Desk;
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use ykt_office::people::Role;
use ykt_vault::{KeysFile, SoftVault};

const SERIAL: &str = "00002144000000000101";
const TERMINAL: &str = "214400000101";
const KEY_CARD: &str = "00002144000000000003";
const PIN: &str = "246810";
const YKT: &str = env!("CARGO_BIN_EXE_ykt");

/// `ykt` at the desk and in the office.
fn act(desk: &Desk, at: &Path, args: &[&str]) -> String {
    let mut command = desk.ykt();
    command.current_dir(at).env("YKT_VAULT_PASSPHRASE", PASSPHRASE).args(args);
    command.args(["--config", "ykt.toml", "--as", "operator"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{args:?}: {said}");
    said
}

#[test]
fn modules_get_the_keys_of_another_programs_derivation() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let keys = KeysFile::read(Path::new(KEYS)).unwrap();
    office(at, &SoftVault::from_keys(keys).unwrap(), &[("operator", Role::Operator)]);
    for (profile, image) in [("psam", "psam.img"), ("key-card", "mother.img")] {
        ok(at, &["card", "blank", "--profile", profile, image]);
    }
    let tap = |port: u16, kind: &str, image: &str, log: &str| {
        let mut tap = program(at, "tap.py");
        tap.args([&port.to_string(), YKT, kind, image, log]);
        tap
    };
    let desk = Desk::served(&|port| {
        [tap(port, "psam", "psam.img", "psam.log"), tap(port + 1, "card", "mother.img", "mother.log")]
    });
    let batch = ["--batch", "P-7", "--count", "1", "--serial", SERIAL, "--terminal", TERMINAL];
    let said = act(&desk, at, &[&["psam", "produce", "--slot", "0"], &batch[..]].concat());
    assert!(said.contains("1 produced, 0 stopped"), "{said}");
    let init = ["key-card", "init", "--slot", "1", "--serial", KEY_CARD, "--pin", PIN, "--cards", "2"];
    act(&desk, at, &init);
    act(&desk, at, &["key-card", "load", "--slot", "1"]);
    drop(desk);

    let asked = json!({
        "vault": "vault.sealed", "unlock": { "operators": { "": PASSPHRASE } }, "ykt": YKT,
        "psam": { "log": "psam.log", "image": "psam.img", "serial": SERIAL, "terminal": TERMINAL },
        "key_card": { "log": "mother.log", "image": "mother.img", "serial": KEY_CARD, "pin": PIN, "cards": 2 },
    });
    let read = told(at, "modules.py", &[], &asked);
    let number = |of: &str| read[of].as_array().map_or(0, Vec::len);
    assert_eq!((number("psam"), number("key_card")), (6, 16), "{read}");
}
