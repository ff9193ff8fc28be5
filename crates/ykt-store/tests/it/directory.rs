//! Opening a data directory: new, again, locked, newer, changed, damaged.

use crate::{WORDS, add, words};
use std::fs;
use ykt_store::{DATABASE_FILE, LOCK_FILE, Module, Store, StoreError, params};

const TWO: Module = Module {
    name: "words",
    migrations: &[
        WORDS.migrations[0],
        "ALTER TABLE word ADD COLUMN note TEXT; INSERT INTO word VALUES (9, 'nine', 'new')",
    ],
};

const BROKEN: Module = Module {
    name: "words",
    migrations: &[WORDS.migrations[0], "CREATE TABLE extra (id INTEGER PRIMARY KEY)", "CREATE TABEL typo"],
};

#[test]
fn what_was_written_is_there_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("a/data");
    let store = Store::open(&dir, &[WORDS]).unwrap();
    add(&store, 1, "one").unwrap();
    drop(store);
    let store = Store::open(&dir, &[WORDS]).unwrap();
    assert_eq!(words(&store), ["one"]);
    assert!(format!("{store:?}").contains(DATABASE_FILE));
}

#[test]
fn a_directory_in_use_names_its_holder() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path(), &[WORDS]).unwrap();
    let clone = first.clone();
    drop(first);
    let refused = Store::open(dir.path(), &[WORDS]).unwrap_err();
    let holder = std::process::id().to_string();
    assert_eq!(refused, StoreError::Locked { dir: dir.path().to_path_buf(), holder: holder.clone() });
    assert!(refused.to_string().contains(&format!("in use by process {holder}")), "{refused}");
    drop(clone);
    Store::open(dir.path(), &[WORDS]).expect("the last handle freed the directory");
}

#[test]
fn a_lock_file_without_its_holder_is_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(LOCK_FILE), "4294967295 left behind by a crash\n").unwrap();
    Store::open(dir.path(), &[WORDS]).unwrap();
}

#[test]
fn newer_scripts_run_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    add(&Store::open(dir.path(), &[WORDS]).unwrap(), 1, "one").unwrap();
    for _ in 0..2 {
        assert_eq!(words(&Store::open(dir.path(), &[TWO]).unwrap()), ["one", "nine"]);
    }
}

#[test]
fn data_of_a_newer_program_is_refused_with_both_versions() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path(), &[TWO]).unwrap());
    let refused = Store::open(dir.path(), &[WORDS]).unwrap_err();
    assert_eq!(refused, StoreError::NewerVersion { module: "words".to_owned(), found: 2, known: 1 });
    assert!(refused.to_string().contains("is at version 2"), "{refused}");
    let refused = Store::open(dir.path(), &[]).unwrap_err();
    assert_eq!(refused, StoreError::NewerVersion { module: "words".to_owned(), found: 2, known: 0 });
    assert_eq!(words(&Store::open(dir.path(), &[TWO]).unwrap()).len(), 1, "the refusals changed nothing");
}

#[test]
fn a_script_that_ran_must_stay_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path(), &[WORDS]).unwrap());
    let changed = Module { migrations: &["CREATE TABLE word (id INTEGER PRIMARY KEY)"], ..WORDS };
    let refused = Store::open(dir.path(), &[changed]).unwrap_err();
    assert_eq!(refused, StoreError::MigrationChanged { module: "words".to_owned(), version: 1 });
}

#[test]
fn a_script_that_fails_leaves_nothing_of_its_run() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path(), &[WORDS]).unwrap());
    let refused = Store::open(dir.path(), &[BROKEN]).unwrap_err();
    assert!(
        matches!(&refused, StoreError::Statement { detail, .. } if detail.contains("TABEL")),
        "{refused}"
    );
    let store = Store::open(dir.path(), &[WORDS]).unwrap();
    let tables = store.read(|tx| {
        tx.query_one("SELECT COUNT(*) FROM sqlite_master WHERE name = $1", params!["extra"], |row| row.i64(0))
    });
    assert_eq!(tables, Ok(Some(0)));
}

#[test]
fn modules_have_names_of_their_own() {
    let refused = Store::in_memory(&[WORDS, WORDS]).unwrap_err();
    assert_eq!(refused, StoreError::ModuleTwice { module: "words".to_owned() });
}

#[test]
fn a_file_that_is_no_database_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DATABASE_FILE);
    let text = "this is a diary, and longer than the header of a database file would be: ".repeat(20);
    fs::write(&path, &text).unwrap();
    let refused = Store::open(dir.path(), &[WORDS]).unwrap_err();
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
    assert_eq!(fs::read_to_string(path).unwrap(), text);
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = Store::open(&file, &[WORDS]).unwrap_err();
    assert!(matches!(&refused, StoreError::File { path, .. } if *path == file), "{refused}");
}
