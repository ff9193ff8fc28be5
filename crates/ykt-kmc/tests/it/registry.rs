//! The registry beside the vault: every kind is in the tree, and where the two differ it says so.

use crate::world::{Seeded, act, root, world};
use std::collections::BTreeSet;
use ykt_kmc::registry::groups::{self, Group, GroupError};
use ykt_kmc::registry::tree::{Difference, Family};
use ykt_vault::{KeyAlgorithm, KeyKind, KeyManagement, KeyState, Vault};

#[test]
fn every_kind_of_key_and_every_key_is_in_the_tree() {
    let world = world();
    let tree = world.centre.tree().unwrap();
    let branches = tree.branches();
    let kinds: BTreeSet<KeyKind> = branches.iter().map(|branch| branch.kind).collect();
    assert_eq!(kinds.len(), KeyKind::ALL.len());
    assert_eq!(branches.len(), KeyKind::ALL.len(), "each once");
    let shown: usize = branches.iter().map(|branch| branch.leaves.len()).sum();
    assert_eq!(shown, world.vault.list().unwrap().len());
    let families: Vec<Family> = branches.iter().map(|branch| Family::of(branch.kind)).collect();
    assert!(families.is_sorted(), "family by family");
    assert_eq!(families.iter().collect::<BTreeSet<_>>().len(), Family::ALL.len(), "no family is empty");
}

#[test]
fn what_vault_and_registry_say_differently_is_shown() {
    let world = world();
    let differences = || {
        let tree = world.centre.tree().unwrap();
        tree.differences().map(|(leaf, difference)| (leaf.place, difference)).collect::<Vec<_>>()
    };
    assert_eq!(differences(), []);
    let (old, new) = (root(KeyKind::Load, 1), root(KeyKind::Load, 2));
    world.vault.generate(new, KeyAlgorithm::Tdes, &mut Seeded(1)).unwrap();
    assert_eq!(differences(), [(new, Difference::NotRegistered)]);
    world.vault.change_state(&new, KeyState::Active).unwrap();
    let found = Difference::State { registered: KeyState::Active, found: KeyState::Retired };
    assert_eq!(differences(), [(old, found), (new, Difference::NotRegistered)]);
    assert_eq!(world.centre.take_over(&act("keys1", 1)).unwrap(), 1);
    assert_eq!(differences(), [(old, found)], "a person takes the key over; the state stays a difference");
}

#[test]
fn groups_are_named_sets_of_keys() {
    let world = world();
    let group = |name: &str, places| Group { name: name.to_owned(), title: "City keys".to_owned(), places };
    let put = |group: &Group| world.centre.store.write(|tx| groups::put(tx, group, &act("keys1", 1)));
    let city = group("city", vec![root(KeyKind::Purchase, 1), root(KeyKind::Load, 1)]);
    put(&city).unwrap();
    let smaller = group("city", vec![root(KeyKind::Load, 1)]);
    put(&smaller).unwrap();
    assert_eq!(world.centre.store.read(groups::list).unwrap(), [smaller]);
    for wrong in ["", "City", "a b", &"x".repeat(33)] {
        assert!(matches!(put(&group(wrong, vec![])), Err(GroupError::Name { .. })), "{wrong}");
    }
    let remove = || world.centre.store.write(|tx| groups::remove(tx, "city", &act("keys1", 2))).unwrap();
    assert!(remove() && !remove());
    assert_eq!(world.centre.store.read(groups::list).unwrap(), []);
}
