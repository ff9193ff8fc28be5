//! Two vaults as one: no question lost, no answer wrong, differences found and mended.

use super::*;
use crate::behaviour;
use crate::kind::{KeyKind, KeyState};
use crate::manage::{ImportedKey, KeyPlace};
use crate::remote::tests::{Counting, Served, documented, socket, tac_job};
use crate::remote::{Endpoint, RemoteVault};
use crate::vault::{KeyAddress, TacVerdict, Vault};
use crate::{KeyAlgorithm, KeyValue, Levels, Origin, SoftVault};
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

const TRANSPORT: KeyRef = KeyRef::new(KeyKind::KeyTransport, 1, 1);
const LOAD_2: KeyRef = KeyRef::new(KeyKind::Load, 1, 2);

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<PairEvent>>>);

impl PairSink for Heard {
    fn happened(&self, event: &PairEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Heard {
    fn take(&self) -> Vec<PairEvent> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A pair whose primary is behind a line that can be cut.
struct Room {
    pair: Pair,
    heard: Heard,
    primary: Arc<SoftVault>,
    backup: Arc<SoftVault>,
    served: Option<Served>,
    endpoint: Endpoint,
    _folder: TempDir,
}

impl Room {
    fn of(primary: Arc<SoftVault>, backup: Arc<SoftVault>) -> Room {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = socket(folder.path());
        let served = Some(Served::at(&endpoint, Arc::clone(&primary) as Arc<dyn KeyManagement>));
        let heard = Heard::default();
        let remote = Arc::new(RemoteVault::connect(&endpoint).unwrap());
        let pair = Pair::new(remote, Arc::clone(&backup) as Arc<dyn KeyManagement>, Arc::new(heard.clone()));
        Room { pair, heard, primary, backup, served, endpoint, _folder: folder }
    }

    /// Both with the documented keys, a transport key among them.
    fn documented() -> Room {
        Room::of(documented(), documented())
    }

    fn cut(&mut self) {
        self.served = None;
    }

    fn mend(&mut self) {
        self.served = Some(Served::at(&self.endpoint, Arc::clone(&self.primary) as Arc<dyn KeyManagement>));
    }

    fn tac(&self) -> Result<Vec<TacVerdict>, VaultError> {
        self.pair.verify_tacs(&[tac_job()])
    }

    fn condition(&self, side: Side) -> Condition {
        let standing = self.pair.standing();
        match side {
            Side::Primary => standing.primary.condition,
            Side::Backup => standing.backup.condition,
        }
    }
}

fn another_key(key: KeyRef, byte: u8) -> ImportedKey {
    let value = KeyValue::from_bytes(KeyAlgorithm::Tdes, &[byte; 16]).unwrap();
    ImportedKey { place: KeyPlace::root(key), state: KeyState::Active, value, kcv: None }
}

fn now(second: u32) -> DateTime {
    DateTime::from_number(20_261_122_093_000).unwrap().plus_seconds(i64::from(second)).unwrap()
}

fn switched(events: &[PairEvent]) -> Vec<(Side, bool)> {
    let switch = |event: &PairEvent| match event {
        PairEvent::Switched { to, reason, .. } => Some((*to, *reason == Reason::ByHand)),
        _ => None,
    };
    events.iter().filter_map(switch).collect()
}

fn sound(pair: &Pair) {
    assert_eq!(behaviour::deviations(pair), Vec::<String>::new());
    assert_eq!(behaviour::management(pair), Vec::<String>::new());
}

#[test]
fn behaves_as_one_vault() {
    let both_here = Pair::new(documented(), documented(), Arc::new(|_: &PairEvent| ()));
    sound(&both_here);
    assert_eq!(both_here.compare(), Ok(Vec::new()), "whatever was managed came to both");
    let room = Room::documented();
    sound(&room.pair);
    assert_eq!(room.pair.compare(), Ok(Vec::new()));
    assert_eq!(room.heard.take(), []);
}

#[test]
fn the_backup_alone_behaves_as_one_vault() {
    let mut room = Room::documented();
    room.cut();
    sound(&room.pair);
    assert_eq!(switched(&room.heard.take()), [(Side::Backup, false)]);
}

#[test]
fn derives_as_the_vectors_say() {
    let [primary, backup] = [(); 2].map(|()| Arc::new(SoftVault::empty(behaviour::levels(), Origin::Demo)));
    let pair = Pair::new(primary, backup, Arc::new(|_: &PairEvent| ()));
    assert_eq!(behaviour::derivations(&pair), Vec::<String>::new());
    assert_eq!(pair.compare(), Ok(Vec::new()));
}

/// Threads ask while the primary goes: each gets its answer, and it is right.
#[test]
fn no_question_is_lost_when_the_primary_goes() {
    let mut room = Room::documented();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pair = &room.pair;
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    assert_eq!(pair.verify_tacs(&[tac_job()]), Ok(vec![TacVerdict::Right]));
                }
                for _ in 0..10 {
                    assert_eq!(pair.verify_tacs(&[tac_job()]), Ok(vec![TacVerdict::Right]));
                }
            });
        }
        room.served = None;
        is_over.store(true, Ordering::SeqCst);
    });
    assert_eq!(room.pair.acting(), Side::Backup);
    assert_eq!(switched(&room.heard.take()), [(Side::Backup, false)], "once, whoever found out");
}

#[test]
fn the_backup_answers_for_no_key_in_which_it_differs() {
    let [primary, backup] = [(); 2].map(|()| documented());
    let (tac, load) = (tac_job().key.key, KeyRef::new(KeyKind::Load, 1, 1));
    primary.import(another_key(LOAD_2, 1)).unwrap();
    backup.import(another_key(LOAD_2, 2)).unwrap();
    let mut room = Room::of(primary, backup);
    assert_eq!(room.condition(Side::Backup), Condition::Ready { withheld: 1 });
    let address = |key| KeyAddress::Card(crate::CardKeyRef { key, ..tac_job().key });
    let before = room.pair.kcv(&address(LOAD_2)).unwrap();
    room.cut();
    assert_eq!(room.tac(), Ok(vec![TacVerdict::Right]));
    assert!(room.pair.kcv(&address(tac)).is_ok() && room.pair.kcv(&address(load)).is_ok());
    let refused = room.pair.kcv(&address(LOAD_2)).unwrap_err();
    assert!(refused.is_outage() && refused.to_string().contains("version 2"), "{refused}");
    assert!(room.pair.change_state(&KeyPlace::root(LOAD_2), KeyState::Retired).unwrap_err().is_outage());
    assert_eq!(room.pair.standing().withheld, 1);

    room.mend();
    room.pair.check(now(0));
    assert_eq!(room.pair.acting(), Side::Backup, "nobody comes back by himself");
    let refused = room.pair.switch_over(SwitchOver::InStep).unwrap_err();
    assert!(
        matches!(&refused, PairError::OutOfStep { differences, .. } if differences.len() == 1),
        "{refused}"
    );
    assert_eq!(room.pair.switch_over(SwitchOver::AsItIs), Ok(Side::Primary));
    assert_eq!(room.pair.kcv(&address(LOAD_2)), Ok(before));
    assert_eq!(switched(&room.heard.take()), [(Side::Backup, false), (Side::Primary, true)]);
}

#[test]
fn one_that_failed_is_compared_before_it_stands_by() {
    let mut room = Room::documented();
    room.cut();
    room.pair.check(now(0));
    assert_eq!(room.pair.acting(), Side::Backup);
    assert!(matches!(room.condition(Side::Primary), Condition::Failed { .. }));
    assert!(matches!(
        room.pair.switch_over(SwitchOver::AsItIs),
        Err(PairError::Refused { to: Side::Primary, .. })
    ));
    room.pair.check(now(5));
    assert_eq!(room.heard.take().len(), 2, "said once");

    room.mend();
    room.pair.check(now(10));
    assert_eq!(room.condition(Side::Primary), Condition::Ready { withheld: 0 });
    assert_eq!(room.heard.take(), [PairEvent::Back { side: Side::Primary }]);
    assert_eq!(room.pair.switch_over(SwitchOver::InStep), Ok(Side::Primary));
    assert_eq!(room.tac(), Ok(vec![TacVerdict::Right]));
    room.cut();
    assert_eq!(room.tac(), Ok(vec![TacVerdict::Right]), "and the backup stands by again");
}

#[test]
fn with_nobody_to_take_over_the_fault_is_said_and_ends_by_itself() {
    let elsewhere = SoftVault::generate(Levels::nation_city_card(), &mut Counting(0), Origin::Demo);
    let mut room = Room::of(documented(), Arc::new(elsewhere));
    assert!(matches!(room.condition(Side::Backup), Condition::Unfit { .. }));
    room.cut();
    assert!(room.tac().unwrap_err().is_outage() && room.tac().unwrap_err().is_outage());
    room.pair.check(now(0));
    assert!(matches!(room.condition(Side::Primary), Condition::ActingFailed { .. }));
    let failed = room.heard.take();
    let failures = failed.iter().filter(|event| matches!(event, PairEvent::Failed { .. })).count();
    assert_eq!((failures, switched(&failed)), (1, vec![]), "{failed:?}");
    room.mend();
    assert_eq!(room.tac(), Ok(vec![TacVerdict::Right]));
    room.pair.check(now(5));
    assert!(room.heard.take().contains(&PairEvent::Back { side: Side::Primary }));
    assert_eq!(room.condition(Side::Primary), Condition::Acting);
}

#[test]
fn other_levels_or_origin_make_no_backup() {
    let fixed = ykt_base::IssuerFactor([0x31; 8]);
    for (levels, origin) in [
        (Levels::nation_province_city_card(fixed), Origin::Production),
        (Levels::nation_city_card(), Origin::Demo),
    ] {
        let documented = documented();
        if documented.status().levels == levels && documented.status().origin == origin {
            continue;
        }
        let room = Room::of(documented, Arc::new(SoftVault::empty(levels, origin)));
        assert!(matches!(room.condition(Side::Backup), Condition::Unfit { .. }));
    }
}

/// Each order, seen on both.
#[test]
fn orders_come_to_both() {
    let room = Room::documented();
    let both = |key: KeyRef| {
        [&room.primary, &room.backup].map(|vault| {
            let list = vault.list().unwrap();
            list.into_iter().find(|info| info.key == key).map(|info| (info.kcv, info.state))
        })
    };
    let pair = &room.pair;
    let seed = KeyRef::new(KeyKind::Seed, 2, 1);
    pair.generate(KeyPlace::root(seed), KeyAlgorithm::Tdes, &mut Counting(9)).unwrap();
    pair.change_state(&KeyPlace::root(seed), KeyState::Active).unwrap();
    pair.derive_root(seed, LOAD_2).unwrap();
    pair.change_state(&KeyPlace::root(LOAD_2), KeyState::Active).unwrap();
    let unload = KeyRef::new(KeyKind::Unload, 3, 1);
    pair.import(another_key(unload, 0x33)).unwrap();
    let wrapped = pair.wrap(&KeyPlace::root(unload), TRANSPORT).unwrap();
    let copy = KeyPlace::root(KeyRef::new(KeyKind::Unload, 4, 1));
    pair.import_wrapped(&crate::WrappedKey { place: copy, ..wrapped }, TRANSPORT).unwrap();
    for (key, state) in [
        (seed, KeyState::Active),
        (LOAD_2, KeyState::Active),
        (KeyRef::new(KeyKind::Load, 1, 1), KeyState::Retired),
        (unload, KeyState::Active),
        (copy.key, KeyState::Active),
    ] {
        let [primary, backup] = both(key);
        assert_eq!(primary, backup, "{key}");
        assert_eq!(primary.unwrap().1, state, "{key}");
    }
    assert!(matches!(pair.derive_root(seed, LOAD_2), Err(VaultError::AlreadyThere { .. })));
    assert_eq!(pair.compare(), Ok(Vec::new()));
    assert_eq!(room.condition(Side::Backup), Condition::Ready { withheld: 0 });
    assert_eq!(room.heard.take(), []);
}

#[test]
fn what_the_backup_missed_is_listed_and_replicated() {
    let mut room = Room::documented();
    assert_eq!(room.pair.switch_over(SwitchOver::InStep), Ok(Side::Backup));
    let kept = KeyRef::new(KeyKind::Overdraft, 1, 1);
    room.heard.take();
    room.cut();
    // The backup acts, and the primary is gone while keys are made, replaced and destroyed.
    room.pair.generate(KeyPlace::root(LOAD_2), KeyAlgorithm::Tdes, &mut Counting(9)).unwrap();
    room.pair.change_state(&KeyPlace::root(LOAD_2), KeyState::Active).unwrap();
    room.pair.change_state(&KeyPlace::root(kept), KeyState::Retired).unwrap();
    room.pair.change_state(&KeyPlace::root(kept), KeyState::Destroyed).unwrap();
    let missed = room.heard.take();
    let out_of_step = |event: &PairEvent| matches!(event, PairEvent::OutOfStep { side: Side::Primary, .. });
    assert!(missed.len() >= 4 && missed.iter().any(out_of_step), "{missed:?}");
    assert!(room.pair.replicate(Side::Backup).is_err_and(|error| error.is_outage()));

    room.mend();
    room.pair.check(now(0));
    let Condition::Ready { withheld } = room.condition(Side::Primary) else { panic!("not compared") };
    assert_eq!(withheld, 3, "load 1, load 2, overdraft");
    assert_eq!(room.pair.compare().unwrap().len(), 3);
    let done = room.pair.replicate(Side::Backup).unwrap();
    assert_eq!((done.copied, done.refused, done.left), (vec![KeyPlace::root(LOAD_2)], vec![], vec![]));
    assert!(done.moved.contains(&(KeyPlace::root(kept), KeyState::Destroyed)), "{:?}", done.moved);
    assert_eq!(room.pair.switch_over(SwitchOver::InStep), Ok(Side::Primary));
    assert_eq!(room.primary.list().unwrap(), room.backup.list().unwrap());
}

#[test]
fn what_cannot_be_replicated_is_said_key_by_key() {
    let [primary, backup] = [(); 2].map(|()| documented());
    let (load, destroyed) = (KeyRef::new(KeyKind::Load, 1, 1), KeyRef::new(KeyKind::Overdraft, 1, 1));
    primary.import(another_key(LOAD_2, 1)).unwrap();
    backup.import(another_key(LOAD_2, 2)).unwrap();
    let only = KeyRef::new(KeyKind::Seed, 2, 1);
    primary.import(another_key(only, 7)).unwrap();
    for state in [KeyState::Retired, KeyState::Destroyed] {
        backup.change_state(&KeyPlace::root(destroyed), state).unwrap();
    }
    backup.change_state(&KeyPlace::root(TRANSPORT), KeyState::Retired).unwrap();
    let room = Room::of(primary, backup);
    assert!(matches!(
        room.pair.generate(KeyPlace::root(load), KeyAlgorithm::Tdes, &mut Counting(0)),
        Err(VaultError::AlreadyThere { .. })
    ));
    let done = room.pair.replicate(Side::Primary).unwrap();
    let refused = |key: KeyRef| done.refused.iter().find(|(place, _)| place.key == key).map(|(_, why)| why);
    assert_eq!(refused(LOAD_2), Some(&Refusal::OtherKey));
    assert_eq!(refused(only), Some(&Refusal::NoTransportKey));
    let no_way = Refusal::NoWay { from: KeyState::Destroyed, to: KeyState::Active };
    assert_eq!(refused(destroyed), Some(&no_way));
    assert_eq!((done.refused.len(), done.copied.len(), done.left.len()), (3, 0, 3), "{done:?}");
    assert_eq!(done.moved, [(KeyPlace::root(TRANSPORT), KeyState::Active)]);
    for difference in &done.left {
        assert!(difference.to_string().contains(" key, index "), "{difference}");
    }
    // Now one transport key is active on both, and what only one had comes over.
    let done = room.pair.replicate(Side::Primary).unwrap();
    assert_eq!(done.copied, [KeyPlace::root(only)]);
}

/// The state a pair had when its process ended.
#[test]
fn a_pair_begins_with_the_side_that_acted_last() {
    let [primary, backup] = [(); 2].map(|()| documented());
    let sink = Arc::new(|_: &PairEvent| ());
    let pair = Pair::starting_with(Side::Backup, primary, backup, sink);
    assert_eq!(pair.acting(), Side::Backup);
    assert_eq!(pair.standing().primary.condition, Condition::Ready { withheld: 0 });
    assert_eq!(Side::ALL.map(|side| Side::from_name(side.name())), Side::ALL.map(Some));
}
