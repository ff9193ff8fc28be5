//! Rules about the documents: what they point at exists.

use crate::house::{Finding, House, TextFile};

fn documents(house: &House) -> impl Iterator<Item = &TextFile> {
    house.files.iter().filter(|file| file.is("md"))
}

/// Rule: relative links and pictures lead to files of the tree.
pub fn links_lead_somewhere(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in documents(house) {
        let folder = house.root.join(&document.path);
        let folder = folder.parent().unwrap_or(&house.root);
        for (index, line) in document.text.lines().enumerate() {
            for target in targets(line) {
                let file = target.split('#').next().unwrap_or_default();
                if !file.is_empty() && !file.contains("://") && !folder.join(file).exists() {
                    findings.push(Finding::new(
                        &document.path,
                        index + 1,
                        format!("{target} does not exist"),
                    ));
                }
            }
        }
    }
    findings
}

/// What stands in the round brackets of `[text](target)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// Rule: where a document says `make x` in code, the Makefile has a target `x`.
pub fn make_targets_exist(house: &House) -> Vec<Finding> {
    let makefile = &house.file("Makefile").text;
    let mut findings = Vec::new();
    for document in documents(house) {
        let mut is_block = false;
        for (index, line) in document.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                is_block = !is_block;
            }
            let inline = line.split('`').skip(1).step_by(2);
            let block = is_block.then(|| line.trim()).into_iter();
            for target in inline.chain(block).filter_map(|code| code.strip_prefix("make ")) {
                let target = target.split_whitespace().next().unwrap_or_default();
                if !makefile.lines().any(|line| line.starts_with(&format!("{target}:"))) {
                    findings.push(Finding::new(
                        &document.path,
                        index + 1,
                        format!("make {target} does not exist"),
                    ));
                }
            }
        }
    }
    findings
}
