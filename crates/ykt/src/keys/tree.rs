//! Keys as lists: the tree with check values and states, and the life of one key.

use anyhow::Context;
use serde_json::{Value, json};
use std::process::ExitCode;
use ykt_base::hex::Hex;
use ykt_kmc::registry::tree::{Family, Leaf};
use ykt_kmc::{Centre, PlaceName, registry};
use ykt_vault::KeyKind;

/// Which keys a list shows.
pub struct Wanted<'a> {
    /// Of one application, by its name.
    pub family: Option<&'a str>,
    /// In one state, by its name.
    pub state: Option<&'a str>,
    /// About which vault and registry differ.
    pub differences: bool,
}

impl Wanted<'_> {
    fn family(&self, kind: KeyKind) -> bool {
        self.family.is_none_or(|wanted| wanted == Family::of(kind).name())
    }

    fn leaf(&self, leaf: &Leaf) -> bool {
        let state = leaf.state().map_or("", |state| state.name());
        self.state.is_none_or(|wanted| wanted == state) && (!self.differences || leaf.difference().is_some())
    }

    fn everything(&self) -> bool {
        self.state.is_none() && !self.differences
    }
}

/// Prints the keys as a table.
///
/// # Errors
/// When vault or database do not answer.
pub fn tree(centre: &Centre, wanted: &Wanted<'_>) -> anyhow::Result<ExitCode> {
    let tree = centre.tree()?;
    let branches = || tree.branches().into_iter().filter(|branch| wanted.family(branch.kind));
    let names = branches().flat_map(|branch| branch.leaves).filter(|leaf| wanted.leaf(leaf)).map(name_len);
    let width = names.chain([NAME_LEN_MIN]).max().unwrap_or_default();
    println!("{:<width$} {:<8} {:<7} {:<6} state", "key", "level", "", "KCV");
    for branch in branches() {
        if branch.leaves.is_empty() && wanted.everything() {
            println!("{:<width$} no key", branch.kind.name());
        }
        branch
            .leaves
            .iter()
            .filter(|leaf| wanted.leaf(leaf))
            .for_each(|leaf| println!("{}", line(leaf, width)));
    }
    let count = tree.differences().count();
    if count > 0 {
        println!("vault and registry differ about {count} keys (`ykt keys tree --differences`)");
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the keys for programs.
///
/// # Errors
/// As [`tree`].
pub fn tree_json(centre: &Centre, wanted: &Wanted<'_>) -> anyhow::Result<ExitCode> {
    let tree = centre.tree()?;
    let branches = tree.branches().into_iter().filter(|branch| wanted.family(branch.kind));
    let leaves = branches.flat_map(|branch| branch.leaves).filter(|leaf| wanted.leaf(leaf));
    let of = |leaf: &Leaf| {
        json!({
            "key": PlaceName(leaf.place).to_string(),
            "application": Family::of(leaf.place.key.kind).name(),
            "level": leaf.place.level,
            "algorithm": leaf.algorithm().map(|algorithm| algorithm.name()),
            "kcv": leaf.kcv().map(|kcv| Hex(&kcv).to_string()),
            "state": leaf.state().map(|state| state.name()),
            "difference": leaf.difference().map(|difference| difference.name()),
        })
    };
    println!("{:#}", Value::Array(leaves.map(of).collect()));
    Ok(ExitCode::SUCCESS)
}

/// Narrowest column of names.
const NAME_LEN_MIN: usize = 24;

fn name_len(leaf: &Leaf) -> usize {
    PlaceName(leaf.place).to_string().len()
}

/// A key in one line, its name in a column of this width. The longest name leaves the rest of 80 columns.
fn line(leaf: &Leaf, width: usize) -> String {
    let kcv = leaf.kcv().map_or_else(String::new, |kcv| Hex(&kcv).to_string());
    let level = leaf.vault.as_ref().map_or_else(|| leaf.place.level.to_string(), |info| info.level.clone());
    let algorithm = leaf.algorithm().map_or("", |algorithm| algorithm.name());
    let state = leaf.state().map_or("", |state| state.name());
    let difference = leaf.difference().map_or_else(String::new, |d| format!("  differs: {}", d.name()));
    format!(
        "{:<width$} {level:<8} {algorithm:<7} {kcv:<6} {state}{difference}",
        PlaceName(leaf.place).to_string()
    )
}

/// Prints one key with its life.
///
/// # Errors
/// As [`tree`], and when there is no such key.
pub fn show(centre: &Centre, key: &PlaceName) -> anyhow::Result<ExitCode> {
    let tree = centre.tree()?;
    let leaf = tree.leaf(&key.0).with_context(|| format!("there is no key {key}"))?;
    println!("{}", line(leaf, 0));
    if let Some(record) = leaf.record.as_ref().filter(|record| !record.note.is_empty()) {
        println!("note: {}", record.note);
    }
    for event in centre.store.read(|tx| registry::life(tx, &key.0))? {
        let people = match event.approved_by.as_str() {
            "" => event.who.clone(),
            second => format!("asked by {}, approved by {second}", event.who),
        };
        println!("{}  {:<26} {people}  {} {}", event.at, event.kind.name(), event.reference, event.detail);
    }
    Ok(ExitCode::SUCCESS)
}
