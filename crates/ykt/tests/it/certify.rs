//! `ykt certify` as an engineer types it: verdicts as exit codes, reports in files.

use crate::image_cards::{KEYS, desk, ok};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Exit code, and everything that was said.
fn certify(folder: &Path, args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ykt"))
        .current_dir(folder)
        .arg("certify")
        .args(args)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code().unwrap(), said)
}

#[test]
fn cards_and_psams_of_this_program_conform() {
    let folder = desk();
    let at = folder.path();
    let card = ["--image", "card.img", "--keys", KEYS, "--report", "card.html", "--json", "card.json"];
    let (code, said) = certify(at, &card);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("failed 0") && said.contains("EP balance: before 50.00 · after 50.00"), "{said}");
    let page = std::fs::read_to_string(at.join("card.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("2144000000000041"));
    let json: Value = serde_json::from_str(&std::fs::read_to_string(at.join("card.json")).unwrap()).unwrap();
    assert_eq!(json["plan"], "purse");
    let (code, said) =
        certify(at, &["--plan", "psam", "--image", "psam.img", "--keys", KEYS, "--language", "zh"]);
    assert!(code == 0 && said.contains("不通过 0"), "{code}: {said}");
}

#[test]
fn what_gives_no_verdict_says_why() {
    let folder = desk();
    let at = folder.path();
    for (args, why) in [
        (&["--keys", KEYS][..], "--reader READER or --image FILE"),
        (&["--image", "none.img", "--keys", KEYS], "none.img"),
        (&["--image", "psam.img", "--keys", KEYS], "is it a card of plan purse?"),
        (&["--image", "card.img", "--plan", "bus"], "no built-in plan"),
        (&["--image", "card.img", "--set", "colour=1"], "found `colour`"),
        (&["--image", "card.img", "--case", "purchase.goof"], "no case `purchase.goof`"),
        (&["--image", "card.img", "--case", "purchase.mac1"], "no DPK, DTK in the key file"),
    ] {
        let (code, said) = certify(at, args);
        assert!(code == 2 && said.contains(why), "{args:?}: {code}, {said}");
    }
    let (code, said) = certify(at, &["--image", "card.img", "--keys", KEYS, "--set", "one_failure=63C5"]);
    assert!(code == 1 && said.contains("FAILED  pin.wrong"), "{code}: {said}");
}

#[test]
fn plans_and_cases_are_listed() {
    let folder = desk();
    let plans = ok(folder.path(), &["certify", "list"]);
    assert!(["purse", "psam", "m1"].iter().all(|name| plans.contains(name)), "{plans}");
    let cases = ok(folder.path(), &["certify", "list", "purse"]);
    assert!(
        cases.contains("block.permanent [fatal]") && cases.contains("pin.unblock [destructive]"),
        "{cases}"
    );
}

/// The same through pcscd: a reader in between changes no verdict.
#[cfg(feature = "pcsc")]
#[test]
fn cards_in_readers_conform() {
    use crate::pcsc_desk::{Desk, run};
    let desk = Desk::new();
    let said = run(desk.ykt().args(["certify", "--reader", "0", "--keys", KEYS, "--destructive"]));
    assert!(said.contains("failed 0") && said.contains("EP balance: before 0.00 · after 0.00"), "{said}");
    let said = run(desk.ykt().args(["certify", "--plan", "psam", "--reader", "1", "--keys", KEYS]));
    assert!(said.contains("failed 0"), "{said}");
}
