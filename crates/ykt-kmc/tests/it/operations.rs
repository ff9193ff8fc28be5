//! Two people, one vault: who may, what is refused, and what is left after a crash.

use crate::world::{Seeded, act, at, id, root, world};
use std::sync::Arc;
use ykt_kmc::registry::{self, KeyEventKind};
use ykt_kmc::{Centre, Operation, OperationError};
use ykt_office::audit::Outcome;
use ykt_office::requests::{self, RequestError, RequestState};
use ykt_vault::exchange;
use ykt_vault::pair::{Pair, PairEvent, Side, SwitchOver};
use ykt_vault::{
    CardKeyRef, ImportedKey, KeyAddress, KeyAlgorithm, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState,
    KeyValue, SoftVault, Vault, VaultError,
};

const LOAD_2: KeyRef = KeyRef::new(KeyKind::Load, 1, 2);

fn make(place: KeyPlace) -> Operation {
    Operation::Generate { place, algorithm: KeyAlgorithm::Tdes }
}

#[test]
fn a_key_is_made_and_activated_by_two_people() {
    let world = world();
    let (old, new) = (root(KeyKind::Load, 1), root(KeyKind::Load, 2));
    let made = world.done("r1", &make(new));
    assert_eq!((made.state, world.state(&new)), (RequestState::Done, Some(KeyState::Generated)));

    let activate = Operation::Activate(new);
    let summary = world.centre.summary(&activate).unwrap().to_string();
    assert!(summary.starts_with("load.1.2 (KCV "), "{summary}");
    assert!(summary.contains("goes into use") && summary.contains("\nload.1.1 (KCV "), "{summary}");
    let asked = world.ask("r2", &activate).unwrap();
    assert_eq!((asked.state, world.state(&new)), (RequestState::Open, Some(KeyState::Generated)));
    let done = world.approve("r2").unwrap();
    assert_eq!(done.result.as_deref(), Some("active; retired load.1.1"));
    assert_eq!((world.state(&old), world.state(&new)), (Some(KeyState::Retired), Some(KeyState::Active)));

    let life = |place| world.centre.store.read(|tx| registry::life(tx, &place)).unwrap();
    let [made, activated] = &life(new)[..] else { panic!() };
    assert_eq!((made.kind, activated.kind), (KeyEventKind::Generated, KeyEventKind::Activated));
    assert_eq!((&*activated.who, &*activated.approved_by, &*activated.reference), ("keys1", "keys2", "r2"));
    let [_, retired] = &life(old)[..] else { panic!() };
    assert_eq!((retired.kind, &*retired.detail), (KeyEventKind::Succeeded, "by load.1.2"));
    assert_eq!(world.centre.tree().unwrap().differences().count(), 0);
    let told = world.audit("key/activate");
    assert_eq!((told.len(), &*told[0].object, told[0].outcome), (1, "load.1.2", Outcome::Done));
    assert!(told[0].detail.contains("asked by keys1, approved by keys2"), "{}", told[0].detail);

    let again = world.approve("r2").unwrap();
    assert_eq!(again, done, "a repeated approval is answered alike");
    assert_eq!(life(new).len(), 2, "and does nothing");
}

#[test]
fn nobody_approves_what_he_asked_for() {
    let world = world();
    world.ask("r1", &make(root(KeyKind::Load, 2))).unwrap();
    let own = world.centre.approve(&act("keys1", 1), &id("r1"), &mut Seeded(1)).unwrap_err();
    assert!(matches!(own, OperationError::Request(RequestError::OwnRequest { .. })), "{own}");
    assert!(own.to_string().contains("a second person must decide"), "{own}");
    assert_eq!(world.state(&root(KeyKind::Load, 2)), None);
    let told = &world.audit("request/approve")[0];
    assert_eq!((told.outcome, &*told.who), (Outcome::Refused, "keys1"));

    let operator = world.centre.ask(&act("operator", 1), id("r2"), &make(root(KeyKind::Load, 3)), "x");
    assert!(matches!(operator, Err(OperationError::Request(RequestError::NotAllowed { .. }))));
    let refused = world.centre.refuse(&act("keys2", 2), &id("r1"), "not today").unwrap();
    assert_eq!(refused.state, RequestState::Refused);
    assert!(world.approve("r1").is_err(), "what is refused stays refused");
}

/// Each operation out of place is refused when it is asked, with the state there is.
#[test]
fn states_have_their_rules() {
    let world = world();
    let (old, new, none) = (root(KeyKind::Load, 1), root(KeyKind::Load, 2), root(KeyKind::Load, 9));
    world.done("r1", &make(new));
    for (number, (operation, words)) in [
        (Operation::Activate(old), "is active and cannot become active"),
        (Operation::Restore(old), "is active and cannot become active"),
        (Operation::Destroy(old), "is active and cannot become destroyed"),
        (Operation::Retire(new), "is generated and cannot become retired"),
        (Operation::Restore(new), "is generated and cannot become active"),
        (Operation::Activate(none), "the vault has no load key"),
        (make(old), "already has a load key"),
        (make(root(KeyKind::CardTransport, 2)), "is its maker's"),
        (Operation::DeriveRoots { seed: LOAD_2, keys: vec![LOAD_2] }, "expected a key of kind seed"),
        (Operation::DeriveRoots { seed: LOAD_2, keys: vec![] }, "expected 1 to 100000 keys, found 0"),
    ]
    .into_iter()
    .enumerate()
    {
        let refused = world.ask(&format!("wrong-{number}"), &operation).unwrap_err().to_string();
        assert!(refused.contains(words), "{operation:?}: {refused}");
    }
    world.done("r2", &Operation::Activate(new));
    world.done("r3", &Operation::Restore(old));
    assert_eq!((world.state(&old), world.state(&new)), (Some(KeyState::Active), Some(KeyState::Retired)));
    world.done("r4", &Operation::Retire(old));
    assert_eq!(world.state(&old), Some(KeyState::Retired), "no active load key is left");
}

#[test]
fn a_destroyed_key_is_never_used_again_and_never_forgotten() {
    let world = world();
    let (old, new) = (root(KeyKind::Load, 1), root(KeyKind::Load, 2));
    let kcv = |place| world.centre.tree().unwrap().leaf(&place).unwrap().kcv();
    let before = kcv(old);
    world.done("r1", &make(new));
    world.done("r2", &Operation::Activate(new));
    let summary = world.centre.summary(&Operation::Destroy(old)).unwrap().to_string();
    assert!(summary.contains("is wiped for good"), "{summary}");
    world.done("r3", &Operation::Destroy(old));

    let card =
        CardKeyRef { key: old.key, factor: ykt_base::IssuerFactor([1; 8]), asn: ykt_base::Asn8([2; 8]) };
    assert!(world.vault.kcv(&KeyAddress::Card(card)).is_err());
    for operation in [Operation::Activate(old), Operation::Restore(old), Operation::Destroy(old), make(old)] {
        assert!(world.ask("r4", &operation).is_err(), "{operation:?}");
    }
    let tree = world.centre.tree().unwrap();
    let leaf = tree.leaf(&old).unwrap();
    assert_eq!((leaf.state(), kcv(old)), (Some(KeyState::Destroyed), before), "its record keeps the KCV");
    assert_eq!(tree.differences().count(), 0);
    let life = world.centre.store.read(|tx| registry::life(tx, &old)).unwrap();
    assert_eq!(life.last().unwrap().kind, KeyEventKind::Destroyed);
}

/// The process ends after the approval: before the vault acted, and after it.
#[test]
fn what_was_approved_is_finished_at_the_next_start() {
    for acted in [false, true] {
        let world = world();
        let (old, new) = (root(KeyKind::Load, 1), root(KeyKind::Load, 2));
        let approve = |name| {
            requests::keep(&world.centre.store, |tx| requests::approve(tx, &act("keys2", 1), &id(name)))
                .unwrap()
        };
        world.ask("r1", &make(new)).unwrap();
        approve("r1");
        if acted {
            world.vault.generate(new, KeyAlgorithm::Tdes, &mut Seeded(5)).unwrap();
        }
        let resumed = world.centre.resume(at(2), &mut Seeded(6)).unwrap();
        assert_eq!(resumed.len(), 1);
        assert_eq!(resumed[0].1.as_ref().unwrap().state, RequestState::Done);
        world.ask("r2", &Operation::Activate(new)).unwrap();
        approve("r2");
        if acted {
            world.vault.change_state(&new, KeyState::Active).unwrap();
        }
        assert_eq!(world.centre.resume(at(3), &mut Seeded(7)).unwrap().len(), 1);
        assert_eq!((world.state(&old), world.state(&new)), (Some(KeyState::Retired), Some(KeyState::Active)));
        assert_eq!(
            world.centre.tree().unwrap().differences().count(),
            0,
            "the retired one is registered, too"
        );
        assert!(world.centre.resume(at(4), &mut Seeded(8)).unwrap().is_empty());
    }
}

#[test]
fn without_its_vault_nothing_is_half_done_and_a_retry_works() {
    let world = world();
    let new = root(KeyKind::Load, 2);
    world.done("r1", &make(new));
    world.ask("r2", &Operation::Activate(new)).unwrap();
    world.line.cut();
    let gone = world.approve("r2").unwrap_err();
    assert!(matches!(gone, OperationError::Vault(VaultError::Unavailable { .. })), "{gone}");
    let now = |name| world.centre.store.read(|tx| requests::one(tx, &id(name), at(3))).unwrap().unwrap();
    assert_eq!(now("r2").state, RequestState::Approved);
    assert!(matches!(world.ask("r3", &Operation::Retire(new)), Err(OperationError::Vault(_))));
    assert!(world.centre.resume(at(4), &mut Seeded(1)).unwrap()[0].1.is_err());
    world.line.mend();
    assert_eq!(world.state(&new), Some(KeyState::Generated));
    assert_eq!(world.approve("r2").unwrap().state, RequestState::Done, "approved again by the same person");
    assert_eq!(world.state(&new), Some(KeyState::Active));
}

/// Things change between asking and approving: the operation fails with words, and nothing else happens.
#[test]
fn an_operation_that_came_too_late_fails() {
    let world = world();
    let new = root(KeyKind::Load, 2);
    world.done("r1", &make(new));
    world.ask("r2", &Operation::Activate(new)).unwrap();
    world.done("r3", &Operation::Destroy(new));
    let late = world.approve("r2").unwrap();
    assert_eq!(late.state, RequestState::Failed);
    assert!(late.result.unwrap().contains("is destroyed and cannot become active"));
}

#[test]
fn keys_travel_only_under_a_transport_key() {
    let (here, there) = (world(), world());
    let transport = KeyRef::new(KeyKind::KeyTransport, 1, 1);
    let place = KeyPlace::root(transport);
    for vault in [&here.vault, &there.vault] {
        if !vault.list().unwrap().iter().any(|info| info.place() == place) {
            vault.generate(place, KeyAlgorithm::Aes256, &mut Seeded(3)).unwrap();
            vault.change_state(&place, KeyState::Active).unwrap();
        }
    }
    for world in [&here, &there] {
        world.centre.take_over(&act("keys1", -1)).unwrap();
    }
    let new = root(KeyKind::Load, 2);
    here.done("r1", &make(new));
    let export = Operation::Export { party: "Dongcheng".into(), transport, places: vec![new] };
    assert!(here.centre.summary(&export).unwrap().to_string().contains("load.1.2"));
    assert_eq!(here.done("r2", &export).state, RequestState::Done);
    let file = here.centre.store.read(|tx| registry::export_file(tx, "r2")).unwrap().unwrap();
    let transport_kcv = there.vault.kcv(&KeyAddress::Shared(transport)).unwrap();
    let read = exchange::read(&file, &there.vault.status().levels, transport_kcv).unwrap();
    let keys = read.keys.into_iter().map(|(_, key)| key).collect();
    let import = Operation::Import { party: "Xicheng".into(), transport, keys };
    assert_eq!(there.done("r1", &import).state, RequestState::Done);
    assert_eq!(there.state(&new), Some(KeyState::Generated));
    let life = there.centre.store.read(|tx| registry::life(tx, &new)).unwrap();
    assert_eq!((life[0].kind, &*life[0].detail), (KeyEventKind::Imported, "Xicheng"));
    let kcv = |world: &crate::world::World| world.centre.tree().unwrap().leaf(&new).unwrap().kcv();
    assert_eq!(kcv(&here), kcv(&there));
    assert!(there.ask("r2", &import).is_err(), "a place is used once");
}

#[test]
fn a_pair_of_vaults_is_brought_in_step_and_switched_by_two_people() {
    let world = world();
    // The documented keys have two active TAC keys, which only a key file can.
    world.vault.change_state(&root(KeyKind::Tac, 2), KeyState::Retired).unwrap();
    let transport = KeyPlace::root(KeyRef::new(KeyKind::KeyTransport, 9, 1));
    let backup = Arc::new(SoftVault::empty(world.vault.status().levels, world.vault.origin()));
    for vault in [&world.vault, &backup] {
        let value = KeyValue::from_bytes(KeyAlgorithm::Aes256, &[7; 32]).unwrap();
        let key = ImportedKey { place: transport, state: KeyState::Active, value, kcv: None };
        vault.import(key).unwrap();
    }
    let pair = Arc::new(Pair::new(Arc::clone(&world.vault) as _, backup, Arc::new(|_: &PairEvent| {})));
    let centre =
        Centre::new(world.centre.store.clone(), Arc::clone(&pair) as _, None).with_pair(Arc::clone(&pair));
    let done = |name: &str, operation: &Operation| {
        centre.ask(&act("keys1", 0), id(name), operation, "because").unwrap();
        centre.approve(&act("keys2", 1), &id(name), &mut Seeded(1)).unwrap()
    };
    let over = Operation::SwitchOver { to: Side::Backup, how: SwitchOver::InStep };
    let summary = centre.summary(&over).unwrap().to_string();
    assert!(summary.contains("The two vaults differ now in"), "{summary}");
    let early = done("r1", &over);
    assert_eq!((early.state, pair.acting()), (RequestState::Failed, Side::Primary));
    assert!(early.result.unwrap().contains("out of step"));

    let replicated = done("r2", &Operation::Replicate);
    assert_eq!(replicated.state, RequestState::Done);
    let told = replicated.result.unwrap();
    assert!(told.ends_with("in step"), "{told}");
    assert_eq!(done("r3", &over).state, RequestState::Done);
    assert_eq!(pair.acting(), Side::Backup);
    let life = centre.store.read(|tx| registry::life(tx, &root(KeyKind::Load, 1))).unwrap();
    assert_eq!(life.last().unwrap().kind, KeyEventKind::Replicated);
    let alone = world.done("r4", &Operation::Replicate);
    assert_eq!(alone.state, RequestState::Failed, "one vault is no pair");
}
