//! Rules about `Cargo.toml`: one version of everything, one set of lints, and a reason for each stranger.

use crate::house::{Crate, Finding, House};
use toml::Table;

const FROM_WORKSPACE: &[&str] = &["version", "edition", "rust-version", "license", "repository"];
const DEPENDENCIES: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

fn manifest<'a>(house: &'a House, krate: &Crate) -> (String, &'a str) {
    let path = format!("{}/Cargo.toml", krate.folder);
    let text = house.file(&path).text.as_str();
    (path, text)
}

/// Whether `table` says `key.workspace = true`.
fn inherits(table: Option<&toml::Value>, key: &str) -> bool {
    table.and_then(|table| table.get(key)).is_some_and(is_workspace)
}

fn is_workspace(value: &toml::Value) -> bool {
    value.get("workspace").and_then(toml::Value::as_bool) == Some(true)
}

/// Rule: lints, metadata and versions come from the workspace; a description is there.
pub fn follow_the_workspace(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in &house.crates {
        let (path, text) = manifest(house, krate);
        let mut found = |what: String| findings.push(Finding::new(&path, 0, what));
        let table: Table = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        if table.get("lints").is_none_or(|lints| !is_workspace(lints)) {
            found("[lints] workspace = true is missing".to_owned());
        }
        let package = table.get("package");
        for key in FROM_WORKSPACE.iter().filter(|key| !inherits(package, key)) {
            found(format!("package.{key} is not the workspace's"));
        }
        let description =
            package.and_then(|package| package.get("description")).and_then(toml::Value::as_str);
        if description.is_none_or(|text| text.len() < 20) {
            found("package.description is missing or says nothing".to_owned());
        }
        for section in DEPENDENCIES {
            let Some(dependencies) = table.get(*section).and_then(toml::Value::as_table) else { continue };
            for (name, _) in dependencies.iter().filter(|(_, value)| !is_workspace(value)) {
                found(format!("{section}.{name} has a version of its own"));
            }
        }
    }
    findings
}

/// Rule: the line above a third-party dependency, or its end, says what it is there for.
pub fn third_parties_have_a_reason(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in &house.crates {
        let (path, text) = manifest(house, krate);
        let mut is_dependencies = false;
        let mut before = "";
        for (index, line) in text.lines().enumerate() {
            if let Some(section) = line.strip_prefix('[') {
                is_dependencies = section.trim_end_matches(']').ends_with("dependencies");
            } else if is_dependencies
                && let Some((name, _)) = line.split_once(['.', ' ', '='])
                && !name.is_empty()
                && !name.starts_with("ykt-")
                && !name.starts_with('#')
                && !line.contains('#')
                && !before.starts_with('#')
            {
                findings.push(Finding::new(&path, index + 1, format!("{name} has no reason beside it")));
            }
            before = line;
        }
    }
    findings
}

/// Rule: integration tests of a crate are linked once.
pub fn one_test_binary(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in &house.crates {
        let folder = format!("{}/tests/", krate.folder);
        for file in house.rust_of(krate) {
            if let Some(inside) = file.path.strip_prefix(&folder)
                && !inside.starts_with("it/")
            {
                findings.push(Finding::new(
                    &file.path,
                    0,
                    "is a test binary of its own; put it under tests/it/",
                ));
            }
        }
    }
    findings
}
