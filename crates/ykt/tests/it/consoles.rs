//! The consoles in a real browser: a small city is served, and Chromium does what people do there, in both languages.
//! `consoles.mjs` finds a refused record and follows a bill to its records; `keys_console.mjs` holds a key ceremony,
//! activates a key by two people and searches the audit log.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A served city; it ends with the test, however the test ends.
struct Served {
    child: Child,
    url: String,
    password: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets a small city live a day and serves it on a free port.
fn serve() -> Served {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ykt"))
        .args(["demo", "--cards", "120", "--terminals", "12", "--merchants", "6"])
        .args(["--serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let (mut url, mut password) = (None, None);
    for line in lines {
        if let Some(address) = line.strip_prefix("serving on ") {
            url = Some(address.trim().to_owned());
        }
        if let Some((_, rest)) = line.split_once(" password ") {
            password = rest.split_whitespace().next().map(str::to_owned);
        }
        if line.starts_with("stop with") {
            break;
        }
    }
    let told =
        |what: Option<String>, name: &str| what.unwrap_or_else(|| panic!("the demo printed no {name}"));
    Served { url: told(url, "address"), password: told(password, "sign-in"), child }
}

/// Runs a script beside this file; what it prints comes back.
fn drive(script: &str, args: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let driver = folder.join("node_modules/playwright-core");
    assert!(driver.is_dir(), "{} is missing: run scripts/setup, which installs it", driver.display());
    let run = Command::new("node")
        .arg(folder.join(script))
        .args(args)
        .output()
        .expect("node is missing: run scripts/setup, which installs it");
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{out}\n{err}");
    out.into_owned()
}

#[test]
fn the_main_ways_are_clickable_in_chromium_in_both_languages() {
    let served = serve();
    let out = drive("consoles.mjs", &[&served.url, "operator", &served.password]);
    for lang in ["en", "zh"] {
        assert!(out.contains(&format!("{lang}: all ways ok")), "{out}");
    }
}

/// Ceremony, activation by two people, refused self-approval, audit search.
#[test]
fn keys_are_kept_by_several_people_in_chromium_in_both_languages() {
    let served = serve();
    let out = drive("keys_console.mjs", &[&served.url, &served.password]);
    for lang in ["en", "zh"] {
        assert!(out.contains(&format!("{lang}: ceremony, activation, audit ok")), "{out}");
    }
}
