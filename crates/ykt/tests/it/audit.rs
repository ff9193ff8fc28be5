//! The audit log at the command line: read by an auditor, exported, verified elsewhere, and what its exit codes say.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const PASSWORD: &str = "Blue-Lamp-42";
const NEXT: &str = "Green-Door-17";

/// Runs `ykt` in a folder with lines on standard input.
fn ykt(dir: &Path, args: &[&str], input: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ykt"))
        .current_dir(dir)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = input.join("\n");
    lines.push('\n');
    // A command that refuses at once does not read its input.
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn an_auditor_takes_the_log_away_and_anybody_verifies_it() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let user = |args: &[&str], input: &[&str]| ykt(dir, &[&["user", "--data", "data"], args].concat(), input);
    let no_number = user(&["add", "--role", "auditor", "shen"], &[PASSWORD]);
    assert!(!no_number.status.success() && said(&no_number).contains("staff number"), "{}", said(&no_number));
    for (name, role, number) in [("shen", "auditor", "S-1"), ("lin", "operator", "S-2")] {
        let added = user(&["add", "--role", role, "--staff-number", number, name], &[PASSWORD]);
        assert!(added.status.success(), "{}", said(&added));
    }
    let both = user(&["add", "--role", "custodian", "--staff-number", "s-1", "shen.2"], &[PASSWORD]);
    assert!(said(&both).contains("one person cannot be custodian as well"), "{}", said(&both));

    let audit =
        |args: &[&str], input: &[&str]| ykt(dir, &[&["audit", "--data", "data"], args].concat(), input);
    let first = audit(&["list", "--as", "shen"], &[PASSWORD]);
    assert!(said(&first).contains("change the password first"), "{}", said(&first));
    for name in ["shen", "lin"] {
        let changed = user(&["change-password", name], &[PASSWORD, PASSWORD, NEXT]);
        assert!(changed.status.success(), "{}", said(&changed));
    }
    let refused = audit(&["list", "--as", "lin"], &[NEXT]);
    assert!(said(&refused).contains("lin may not read audit log"), "{}", said(&refused));
    let wrong = audit(&["list", "--as", "shen"], &["Wrong-Door-1"]);
    assert!(said(&wrong).contains("the name or the password is wrong"), "{}", said(&wrong));
    let listed = audit(&["list", "--as", "shen", "--what", "user/add"], &[NEXT]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), 2, "{}", said(&listed));

    let exported = audit(&["export", "log.jsonl", "--as", "shen"], &[NEXT]);
    assert!(said(&exported).contains("the end of the log is unsigned"), "{}", said(&exported));
    let again = audit(&["export", "log.jsonl", "--as", "shen"], &[NEXT]);
    assert!(!again.status.success(), "an export is never written over");
    assert_eq!(audit(&["verify", "log.jsonl"], &[]).status.code(), Some(0));
    assert_eq!(audit(&["verify"], &[]).status.code(), Some(0), "where it lies");
    assert_eq!(audit(&["verify", "none.jsonl"], &[]).status.code(), Some(1));
    let text = std::fs::read_to_string(dir.join("log.jsonl")).unwrap();
    assert!(!text.contains(PASSWORD) && !text.contains(NEXT));
    std::fs::write(dir.join("bad.jsonl"), text.replacen("user/add", "user/ads", 1)).unwrap();
    let bad = audit(&["verify", "bad.jsonl"], &[]);
    assert_eq!(bad.status.code(), Some(3));
    assert!(said(&bad).contains("record 1 is the first that was altered"), "{}", said(&bad));
    assert!(said(&audit(&["checkpoint"], &[])).contains("there is no key to sign with"));
}
