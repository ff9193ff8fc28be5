//! Rules about Rust code that no lint of the compiler states.

use crate::house::{Crate, Finding, House, TextFile};
use crate::source::{Source, has_word, is_word};

/// Where Rust meets C: the crate that C programs call, and the file that calls a token's module.
const BORDER: &[&str] = &["crates/ykt-capi/", "crates/ykt-hsm/src/ffi.rs"];

/// Crates in which an amount, a balance or a key is computed.
const MONEY: &[&str] = &[
    "ykt-base",
    "ykt-card",
    "ykt-clearing",
    "ykt-crypto",
    "ykt-files",
    "ykt-hsm",
    "ykt-issue",
    "ykt-ledger",
    "ykt-pay",
    "ykt-purse",
    "ykt-terminal",
    "ykt-vault",
];
/// Crates that compute nothing, yet hand amounts on.
const NEAR_MONEY: &[&str] = &["ykt-office", "ykt-store"];
/// Crates whose business is to print.
const PRINTING: &[&str] = &["ykt"];
/// First words of a statement, each with a word that must follow somewhere.
const SQL: &[(&str, &str)] = &[
    ("SELECT", "FROM"),
    ("INSERT", "INTO"),
    ("UPDATE", "SET"),
    ("DELETE", "FROM"),
    ("CREATE", "TABLE"),
    ("CREATE", "INDEX"),
    ("ALTER", "TABLE"),
    ("DROP", "TABLE"),
    ("WITH", "SELECT"),
];
const EMPTY_NAMES: &[&str] = &["Manager", "Helper", "Helpers", "Util", "Utils"];

/// The code of a crate without its tests.
fn sources<'a>(house: &'a House, krate: &'a Crate) -> impl Iterator<Item = (&'a TextFile, &'a Source)> {
    let code = house.rust_of(krate).filter(|file| !file.is_test());
    code.map(|file| (file, file.rust_without_tests()))
}

/// Findings in each line of non-test code of which `wrong` says what is wrong.
fn judge_lines<'a>(
    house: &'a House,
    crates: impl Iterator<Item = &'a Crate>,
    wrong: impl Fn(&str) -> Option<String>,
) -> Vec<Finding> {
    judge_files(house, crates, |_, line| wrong(line))
}

/// As [`judge_lines`], where the file matters.
fn judge_files<'a>(
    house: &'a House,
    crates: impl Iterator<Item = &'a Crate>,
    wrong: impl Fn(&TextFile, &str) -> Option<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in crates {
        for (file, source) in sources(house, krate) {
            for (line, text) in source.lines() {
                if let Some(what) = wrong(file, text) {
                    findings.push(Finding::new(&file.path, line, what));
                }
            }
        }
    }
    findings
}

fn among<'a>(house: &'a House, names: &'static [&str]) -> impl Iterator<Item = &'a Crate> {
    house.crates.iter().filter(move |krate| names.contains(&krate.name.as_str()))
}

/// Rule: `lib.rs` of a money crate denies casts and arithmetic that may overflow.
pub fn money_crates_are_strict(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in among(house, MONEY) {
        let path = format!("{}/src/lib.rs", krate.folder);
        let code = &house.file(&path).rust().code;
        let denied: Vec<&str> = code.lines().filter_map(|line| line.strip_prefix("#![deny(")).collect();
        for lint in ["clippy::as_conversions", "clippy::arithmetic_side_effects"] {
            if !denied.iter().any(|line| line.contains(lint)) {
                findings.push(Finding::new(&path, 0, format!("does not deny {lint}")));
            }
        }
    }
    findings
}

/// Rule: no floating-point type in a crate near money.
pub fn no_floats_near_money(house: &House) -> Vec<Finding> {
    judge_lines(house, among(house, MONEY).chain(among(house, NEAR_MONEY)), |line| {
        let float = ["f32", "f64"].into_iter().find(|float| has_word(line, float))?;
        Some(format!("{float}: {}", line.trim()))
    })
}

/// Rule: a text that is a statement stands in `store.rs`, in a folder `store`, or in the crate of the engine.
pub fn sql_lives_in_store_files(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in house.crates.iter().filter(|krate| krate.name != "ykt-store") {
        for (file, source) in sources(house, krate) {
            if file.path.split('/').any(|part| matches!(part, "store.rs" | "store")) {
                continue;
            }
            for (line, text) in &source.texts {
                if is_sql(text) {
                    let start: String = text.trim().chars().take(40).collect();
                    findings.push(Finding::new(&file.path, *line, format!("SQL: {start}")));
                }
            }
        }
    }
    findings
}

/// Rule: no statement changes, replaces or deletes a record of the audit log (`keys-and-ca.md` 8: nobody has a delete).
pub fn the_audit_log_only_grows(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in &house.crates {
        for (file, source) in sources(house, krate) {
            for (line, text) in source.texts.iter().filter(|(_, text)| alters_audit_log(text)) {
                let start: String = text.trim().chars().take(40).collect();
                findings.push(Finding::new(&file.path, *line, format!("alters the audit log: {start}")));
            }
        }
    }
    findings
}

fn alters_audit_log(text: &str) -> bool {
    let alters = ["UPDATE", "DELETE", "DROP", "ALTER", "REPLACE", "INSERT OR"];
    text.contains("office_audit") && alters.iter().any(|word| text.trim_start().starts_with(word))
}

fn is_sql(text: &str) -> bool {
    let text = text.trim_start();
    SQL.iter().any(|(first, later)| {
        text.strip_prefix(first)
            .is_some_and(|rest| rest.starts_with([' ', '\n', '\\']) && has_word(rest, later))
    })
}

/// Rule: a library says nothing on its own.
pub fn libraries_do_not_print(house: &House) -> Vec<Finding> {
    let silent = house.crates.iter().filter(|krate| !PRINTING.contains(&krate.name.as_str()));
    judge_lines(house, silent, |line| {
        let print = ["println", "eprintln", "print", "eprint", "dbg"];
        let found =
            print.into_iter().find(|name| has_word(line, name) && line.contains(&format!("{name}!")))?;
        Some(format!("{found}! in a library"))
    })
}

/// Rule: pointers are read at the border to C and nowhere else. (The lint is denied; this finds who allows it.)
pub fn unsafe_stays_at_the_border(house: &House) -> Vec<Finding> {
    judge_files(house, house.crates.iter(), |file, line| {
        let border = BORDER.iter().any(|border| file.path.starts_with(border));
        let allowed = line.contains("allow(unsafe_code") || line.contains("expect(unsafe_code");
        (allowed && !border).then(|| "unsafe code outside the border to C".to_owned())
    })
}

/// Rule: `allow` and `expect` of a lint carry `reason`.
pub fn excuses_have_reasons(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in &house.crates {
        for (file, source) in sources(house, krate) {
            for excuse in ["#[allow(", "#[expect(", "#![allow(", "#![expect("] {
                for (at, _) in source.code.match_indices(excuse) {
                    let attribute = &source.code[at..];
                    let attribute = &attribute[..attribute.find(']').unwrap_or(attribute.len())];
                    if !has_word(attribute, "reason") {
                        let line = source.code[..at].matches('\n').count() + 1;
                        findings.push(Finding::new(
                            &file.path,
                            line,
                            format!("{attribute}] gives no reason"),
                        ));
                    }
                }
            }
        }
    }
    findings
}

/// Rule: names follow the habits of the field and of the language.
pub fn names_say_something(house: &House) -> Vec<Finding> {
    judge_lines(house, house.crates.iter(), |line| {
        if line.contains("fn get_") {
            return Some(format!("get_ prefix: {}", line.trim()));
        }
        let definition = ["struct ", "enum ", "trait ", "type "].into_iter().find_map(|word| {
            let (before, after) = line.split_once(word)?;
            before.chars().next_back().is_none_or(|c| !is_word(c)).then_some(after)
        })?;
        let name = definition.split(|c| !is_word(c)).next()?;
        let empty = EMPTY_NAMES.iter().find(|empty| name.ends_with(**empty))?;
        Some(format!("{name} says nothing: {empty}"))
    })
}

/// Rule: no test is ignored, and none waits by sleeping.
pub fn tests_neither_sleep_nor_rest(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in &house.crates {
        for file in house.rust_of(krate) {
            let is_test = file.is_test();
            let code_lines = if is_test { 0 } else { file.rust_without_tests().code.matches('\n').count() };
            for (line, text) in file.rust().lines() {
                if text.contains("#[ignore") {
                    findings.push(Finding::new(&file.path, line, "a test that never runs"));
                }
                if line > code_lines && has_word(text, "sleep") {
                    findings.push(Finding::new(&file.path, line, "a test that sleeps"));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{alters_audit_log, is_sql};

    #[test]
    fn the_audit_log_is_read_and_added_to() {
        assert!(alters_audit_log("DELETE FROM office_audit WHERE seq = $1"));
        assert!(alters_audit_log(" UPDATE office_audit_checkpoint SET no = 1"));
        assert!(alters_audit_log("DROP TRIGGER office_audit_stays"));
        assert!(!alters_audit_log("INSERT INTO office_audit (seq) VALUES ($1)"));
        assert!(
            !alters_audit_log("SELECT seq FROM office_audit")
                && !alters_audit_log("DELETE FROM office_session")
        );
    }

    #[test]
    fn statements_are_told_from_sentences() {
        assert!(is_sql("SELECT a FROM b") && is_sql("\n  INSERT INTO x") && is_sql("UPDATE a SET b"));
        assert!(
            !is_sql("SELECT FILE answers 6A82") && !is_sql("UPDATE BINARY") && !is_sql("select a from b")
        );
    }
}
