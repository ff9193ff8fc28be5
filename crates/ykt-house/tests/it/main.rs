//! The rules of the house, so that nobody has to police them: each rule is a function from the tree to findings,
//! each finding names file, line and what was found. Exceptions are data with a reason (`allowed.rs`), and an
//! exception that excuses nothing any more is itself a finding.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where the tree cannot be read"
)]

mod allowed;
mod documents;
mod files;
mod floors;
mod house;
mod manifests;
mod rust_code;
mod source;

use house::{Finding, House};
use std::sync::LazyLock;

/// The tree, read once for all rules.
static HOUSE: LazyLock<House> = LazyLock::new(House::open);

macro_rules! rules {
    ($($name:ident: $rule:path, $meaning:literal;)+) => {
        /// Every rule with its name.
        const RULES: &[(&str, fn(&House) -> Vec<Finding>)] = &[$((stringify!($name), $rule)),+];

        $(
            #[doc = $meaning]
            #[test]
            fn $name() {
                let findings = allowed::strip(stringify!($name), $rule(&HOUSE));
                let list: Vec<String> = findings.iter().map(ToString::to_string).collect();
                assert!(list.is_empty(), "{}: {} findings\n{}", $meaning, list.len(), list.join("\n"));
            }
        )+
    };
}

rules! {
    floors: floors::imports_only_from_lower_floors, "a crate imports only from lower floors";
    rooms: floors::every_crate_is_in_the_picture, "ARCHITECTURE.md and both READMEs name every crate, and no other";
    homes: floors::dependencies_stay_in_their_home, "a dependency with a home is imported nowhere else";
    heapless: floors::card_crates_need_no_heap, "what runs on a card is no_std and without a heap";
    manifests: manifests::follow_the_workspace, "a manifest takes lints, versions and metadata from the workspace";
    reasons: manifests::third_parties_have_a_reason, "a third-party dependency has its reason above it";
    one_test_binary: manifests::one_test_binary, "a crate has one integration-test binary, tests/it/main.rs";
    length: files::are_short, "a file holds one idea: 600 lines, 700 for tests";
    header: files::open_with_their_why, "a Rust file opens with a `//!` header";
    words: files::use_no_banned_word, "nothing unfinished, no path of one machine";
    text: files::are_clean_text, "a text file ends its lines with LF, no blanks before it, one at its end";
    strict_money: rust_code::money_crates_are_strict, "money crates deny casts and unchecked arithmetic";
    no_floats: rust_code::no_floats_near_money, "no f32 or f64 near money";
    sql: rust_code::sql_lives_in_store_files, "SQL lives in store.rs files";
    audit: rust_code::the_audit_log_only_grows, "no statement changes or deletes a record of the audit log";
    quiet: rust_code::libraries_do_not_print, "only the program prints";
    border: rust_code::unsafe_stays_at_the_border, "unsafe code stays in the C interface";
    excuses: rust_code::excuses_have_reasons, "a lint is excused with a reason";
    names: rust_code::names_say_something, "no get_ prefix; no Manager, Helper, Util";
    awake: rust_code::tests_neither_sleep_nor_rest, "no test is ignored, none sleeps";
    links: documents::links_lead_somewhere, "a link in a document leads to a file that exists";
    codes: documents::codes_are_documented, "a stable code is explained in docs/errors.md";
    walk: documents::named_code_exists, "code named in ARCHITECTURE.md exists";
    targets: documents::make_targets_exist, "a make target named in a document exists";
}

#[test]
fn exceptions_are_still_needed() {
    let mut unused = allowed::unknown_rules(RULES.iter().map(|(name, _)| *name));
    for (name, rule) in RULES {
        unused.extend(allowed::unused(name, &rule(&HOUSE)));
    }
    assert!(unused.is_empty(), "exceptions that excuse nothing:\n{}", unused.join("\n"));
}
