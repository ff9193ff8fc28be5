//! The picture of `ARCHITECTURE.md`, held against what cargo says. The table there is the one place that states
//! floors, so the picture cannot rot.

use crate::house::{Crate, Finding, House};
use crate::source::has_word;
use std::collections::BTreeMap;

const PICTURE: &str = "ARCHITECTURE.md";
/// Documents that show every crate to a reader.
const MAPS: &[&str] = &["README.md", "README.zh-CN.md"];

/// What runs on a card, or is shared with what does.
const HEAPLESS: &[&str] = &["ykt-base", "ykt-crypto", "ykt-purse", "ykt-card", "ykt-m1"];

/// Dependencies that only some crates may import, so that what they bring stays behind a door.
const HOMES: &[(&str, &[&str])] = &[
    ("rusqlite", &["ykt-store"]),
    ("axum", &["ykt-web"]),
    ("axum-server", &["ykt-web"]),
    ("tower-http", &["ykt-web"]),
    ("askama", &["ykt-web"]),
    ("utoipa", &["ykt-web"]),
    ("rust_xlsxwriter", &["ykt-web"]),
    ("pcsc", &["ykt-terminal"]),
    ("des", &["ykt-crypto"]),
    ("sm3", &["ykt-crypto"]),
    ("aes-gcm", &["ykt-vault"]),
    ("quick-xml", &["ykt-files"]),
    ("rand_chacha", &["ykt-city"]),
    ("anyhow", &["ykt"]),
    ("clap", &["ykt"]),
];

/// Floor of each crate, by the table of the picture: rows `| 0 | `ykt-base` | … |`.
fn floors(house: &House) -> BTreeMap<String, u8> {
    let mut floors = BTreeMap::new();
    for line in house.file(PICTURE).text.lines() {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (Some(floor), Some(name)) = (cells.next(), cells.next()) else { continue };
        let (Ok(floor), Some(name)) = (floor.parse(), crate_name(name)) else { continue };
        let before = floors.insert(name.to_owned(), floor);
        assert_eq!(before, None, "{PICTURE} gives {name} two floors");
    }
    floors
}

fn crate_name(cell: &str) -> Option<&str> {
    let name = cell.strip_prefix('`')?.strip_suffix('`')?;
    name.starts_with("ykt").then_some(name)
}

fn manifest(krate: &Crate) -> String {
    format!("{}/Cargo.toml", krate.folder)
}

/// The workspace crates that are rooms of the house; a crate of tests is none.
fn rooms(house: &House) -> impl Iterator<Item = &Crate> {
    house.crates.iter().filter(|krate| krate.name != env!("CARGO_PKG_NAME"))
}

/// Rule: in builds and in tests alike, a crate imports from lower floors, never from its own.
pub fn imports_only_from_lower_floors(house: &House) -> Vec<Finding> {
    let floors = floors(house);
    let mut findings = Vec::new();
    for krate in rooms(house) {
        let Some(floor) = floors.get(&krate.name) else { continue };
        for import in &krate.imports {
            if let Some(below) = floors.get(import).filter(|below| *below >= floor) {
                let what = format!("floor {floor} imports {import} of floor {below}");
                findings.push(Finding::new(&manifest(krate), 0, what));
            }
        }
    }
    findings
}

/// Rule: the table and the maps name every crate and no other.
pub fn every_crate_is_in_the_picture(house: &House) -> Vec<Finding> {
    let floors = floors(house);
    let mut findings = Vec::new();
    for krate in rooms(house) {
        if !floors.contains_key(&krate.name) {
            findings.push(Finding::new(
                PICTURE,
                0,
                format!("{} has no row in the table of floors", krate.name),
            ));
        }
        for map in MAPS {
            if !house.file(map).text.contains(&format!("`{}`", krate.name)) {
                findings.push(Finding::new(map, 0, format!("{} is not in the map", krate.name)));
            }
        }
    }
    for name in floors.keys().filter(|name| !house.crates.iter().any(|krate| krate.name == **name)) {
        findings.push(Finding::new(PICTURE, 0, format!("{name} has a floor but does not exist")));
    }
    findings
}

/// Rule: the dependencies of [`HOMES`] are imported from their home only.
pub fn dependencies_stay_in_their_home(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in &house.crates {
        for (dependency, homes) in HOMES {
            if krate.imports.contains(*dependency) && !homes.contains(&krate.name.as_str()) {
                let what = format!("imports {dependency}, whose home is {}", homes.join(", "));
                findings.push(Finding::new(&manifest(krate), 0, what));
            }
        }
    }
    findings
}

/// Rule: the crates of [`HEAPLESS`] are `no_std` and never reach for a heap.
pub fn card_crates_need_no_heap(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in house.crates.iter().filter(|krate| HEAPLESS.contains(&krate.name.as_str())) {
        let root = format!("{}/src/lib.rs", krate.folder);
        if !house.file(&root).text.lines().any(|line| line == "#![no_std]") {
            findings.push(Finding::new(&root, 0, "is not #![no_std]"));
        }
        for file in house.rust_of(krate).filter(|file| !file.is_test()) {
            let source = file.rust_without_tests();
            let heap = |line: &str| line.contains("extern crate alloc") || has_word(line, "alloc::");
            for (line, text) in source.lines().filter(|(_, text)| heap(text)) {
                findings.push(Finding::new(&file.path, line, format!("reaches for a heap: {}", text.trim())));
            }
        }
    }
    findings
}
