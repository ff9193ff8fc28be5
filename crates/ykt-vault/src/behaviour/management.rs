//! Managing keys: states and what they allow, what comes in, what goes over to another vault.
//!
//! The suite works with keys of index 200 and above, which a vault must not have before. It does not clean up:
//! destroyed keys leave their records.

use super::{ASN, Deviations, ISSUER};
use crate::error::VaultError;
use crate::kind::{KeyKind, KeyState, Origin};
use crate::manage::{ImportedKey, KeyManagement, KeyPlace, WrappedKey};
use crate::soft::SoftVault;
use crate::value::{KeyAlgorithm, KeyValue};
use crate::vault::{CardKeyRef, KeyAddress, KeyInfo, KeyRef, Vault};
use ykt_base::Rng;

const INDEX: u8 = 200;
/// Counts up: enough for keys that nobody uses.
struct Counting(u8);

impl Rng for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        out.iter_mut().for_each(|byte| {
            self.0 = self.0.wrapping_add(29);
            *byte = self.0;
        });
    }
}

/// Everything a vault manages otherwise than it must, one line each. What its capabilities lack is asked for too: it
/// must say so.
#[must_use]
pub fn management(vault: &dyn KeyManagement) -> Vec<String> {
    let mut found = Deviations(Vec::new());
    states(vault, &mut found);
    places(vault, &mut found);
    check_values(vault, &mut found);
    algorithms(vault, &mut found);
    roots(vault, &mut found);
    transport(vault, &mut found);
    whole_imports(vault, &mut found);
    found.0
}

const fn load(version: u8) -> KeyRef {
    KeyRef::new(KeyKind::Load, INDEX, version)
}

fn info(vault: &dyn Vault, place: &KeyPlace) -> Option<KeyInfo> {
    vault.list().unwrap_or_default().into_iter().find(|info| info.place() == *place)
}

fn state(vault: &dyn Vault, place: &KeyPlace) -> Option<KeyState> {
    info(vault, place).map(|info| info.state)
}

fn of_card(key: KeyRef) -> KeyAddress {
    KeyAddress::Card(CardKeyRef { key, factor: ISSUER, asn: ASN })
}

fn value(algorithm: KeyAlgorithm, first: u8) -> Option<KeyValue> {
    let bytes: Vec<u8> = (first..).take(algorithm.value_len()).collect();
    KeyValue::from_bytes(algorithm, &bytes)
}

fn import(
    vault: &dyn KeyManagement,
    place: KeyPlace,
    state: KeyState,
    value: Option<KeyValue>,
) -> Result<[u8; 3], VaultError> {
    let Some(value) = value else { return Err(VaultError::Locked) };
    vault.import(ImportedKey { place, state, value, kcv: None }).map(|info| info.kcv)
}

/// Made, active, retired by its successor, restored, destroyed.
fn states(vault: &dyn KeyManagement, found: &mut Deviations) {
    let [one, two] = [load(1), load(2)].map(KeyPlace::root);
    let mut rng = Counting(1);
    for place in [one, two] {
        let made = vault.generate(place, KeyAlgorithm::Tdes, &mut rng).map(|info| (info.place(), info.state));
        found.expect("a generated key", &made, &Ok((place, KeyState::Generated)));
    }
    let not_yet = VaultError::WrongState { key: one.key, state: KeyState::Generated };
    found.expect("a key that is not active", &vault.kcv(&of_card(one.key)), &Err(not_yet));
    let mut step = |what: &str, place: &KeyPlace, to, expected: [KeyState; 2]| {
        found.expect(what, &vault.change_state(place, to), &Ok(()));
        let states = [one, two].map(|place| state(vault, &place));
        found.expect(&format!("{what}: the states of both versions"), &states, &expected.map(Some));
    };
    use KeyState::{Active, Destroyed, Generated, Retired};
    step("activation", &one, Active, [Active, Generated]);
    step("activation of the next version", &two, Active, [Retired, Active]);
    step("restoring", &one, Active, [Active, Retired]);
    step("retiring", &one, Retired, [Retired, Retired]);
    step("destruction", &one, Destroyed, [Destroyed, Retired]);

    let record = info(vault, &one).map(|info| info.kcv);
    found.expect("the record of a destroyed key", &record, &Some([0; 3]));
    found.expect("a retired key still computes", &vault.kcv(&of_card(two.key)).is_ok(), &true);
    let used = vault.external_authenticate(&of_card(one.key), [0; 8]).is_err();
    found.expect("a destroyed key is refused", &used, &true);
    for to in KeyState::ALL {
        let refused = Err(VaultError::NoSuchStep { key: one.key, from: Destroyed, to });
        found.expect("nothing comes back from destruction", &vault.change_state(&one, to), &refused);
    }
    let again = vault.generate(one, KeyAlgorithm::Tdes, &mut rng).map(drop);
    found.expect("a destroyed key's place", &again, &Err(VaultError::AlreadyThere { key: one.key }));
    let missing = KeyPlace::root(load(9));
    let refused = Err(VaultError::NoSuchKey { key: missing.key });
    found.expect("a key that is not there", &vault.change_state(&missing, Active), &refused);
}

/// A place is kind, index, level and owner: activating at one leaves the others alone.
fn places(vault: &dyn KeyManagement, found: &mut Deviations) {
    let below = |version, owner: u8| KeyPlace { key: load(version), level: 1, owner: Some([owner; 8]) };
    let root = KeyPlace::root(load(3));
    for (place, first) in [(root, 0x10), (below(4, 1), 0x20), (below(5, 2), 0x30)] {
        let imported = import(vault, place, KeyState::Active, value(KeyAlgorithm::Tdes, first));
        found.expect(&format!("import of the {place}"), &imported.is_ok(), &true);
    }
    let states = [root, below(4, 1), below(5, 2)].map(|place| state(vault, &place));
    found.expect("keys of other places stay active", &states, &[Some(KeyState::Active); 3]);
    let successor = import(vault, below(6, 1), KeyState::Active, value(KeyAlgorithm::Tdes, 0x40));
    found.expect("import of an active key beside an active one", &successor.is_ok(), &true);
    let states = [root, below(4, 1), below(6, 1), below(5, 2)].map(|place| state(vault, &place));
    use KeyState::{Active, Retired};
    found.expect("retires that one only", &states, &[Active, Retired, Active, Active].map(Some));
    for (what, place) in [
        ("an owner at the root", KeyPlace { owner: Some([1; 8]), ..KeyPlace::root(load(7)) }),
        ("a level that is not there", KeyPlace { level: 9, ..KeyPlace::root(load(7)) }),
        ("a level of a seed", KeyPlace { level: 1, ..KeyPlace::root(KeyRef::new(KeyKind::Seed, INDEX, 9)) }),
    ] {
        let refused = import(vault, place, Active, value(KeyAlgorithm::Tdes, 0x50));
        let named = matches!(refused, Err(VaultError::NoSuchLevel { .. }));
        found.expect(&format!("{what} is refused"), &named, &true);
    }
    let twice = import(vault, root, Active, value(KeyAlgorithm::Tdes, 0x60));
    found.expect("an import twice", &twice, &Err(VaultError::AlreadyThere { key: root.key }));
}

/// A key that is not the one its check value says is refused with both, and nothing is kept.
fn check_values(vault: &dyn KeyManagement, found: &mut Deviations) {
    let place = KeyPlace::root(load(10));
    let brought = |kcv| {
        let value = value(KeyAlgorithm::Tdes, 0x40)?;
        Some(
            vault
                .import(ImportedKey { place, state: KeyState::Generated, value, kcv: Some(kcv) })
                .map(|info| info.kcv),
        )
    };
    let (right, wrong) = ([0x8B, 0xAF, 0x47], [0x8B, 0xAF, 0x46]);
    let refused = Err(VaultError::WrongKcv { key: place.key, expected: wrong, found: right });
    found.expect("a wrong check value", &brought(wrong), &Some(refused));
    found.expect("what was refused is not there", &info(vault, &place), &None);
    found.expect("the right check value", &brought(right), &Some(Ok(right)));
}

/// What the backend has works, what it lacks it says; a kind has its own algorithms.
fn algorithms(vault: &dyn KeyManagement, found: &mut Deviations) {
    for (kind, algorithm) in [
        (KeyKind::Purchase, KeyAlgorithm::Tdes),
        (KeyKind::Purchase, KeyAlgorithm::Sm4),
        (KeyKind::KeyTransport, KeyAlgorithm::Aes256),
        (KeyKind::Signing, KeyAlgorithm::Sm2),
    ] {
        let place = KeyPlace::root(KeyRef::new(kind, INDEX, algorithm.code().saturating_add(100)));
        let has = vault.capabilities().contains(&algorithm);
        let made = vault.generate(place, algorithm, &mut Counting(7));
        let as_stated = match &made {
            Ok(info) => has && info.algorithm == algorithm,
            Err(VaultError::Unsupported { .. }) => !has,
            Err(_) => false,
        };
        found.expect(&format!("making a {kind} key of {algorithm}, which it has: {has}"), &as_stated, &true);
    }
    for (kind, algorithm) in [(KeyKind::Load, KeyAlgorithm::Aes256), (KeyKind::Signing, KeyAlgorithm::Tdes)] {
        let place = KeyPlace::root(KeyRef::new(kind, INDEX, 120));
        let refused = vault.generate(place, algorithm, &mut Counting(9));
        let named = matches!(refused, Err(VaultError::NotAllowed { .. } | VaultError::Unsupported { .. }));
        found.expect(&format!("a {kind} key of {algorithm} is refused"), &named, &true);
    }
}

/// Roots out of a seed; numbers by OpenSSL (`enc -des-ede`, `enc -sm4-ecb`).
fn roots(vault: &dyn KeyManagement, found: &mut Deviations) {
    let key = |version| KeyRef::new(KeyKind::Load, INDEX.saturating_add(1), version);
    for (version, algorithm, kcv) in
        [(1, KeyAlgorithm::Tdes, [0xBC, 0xDB, 0xC6]), (2, KeyAlgorithm::Sm4, [0x52, 0xEE, 0x7A])]
    {
        if !vault.capabilities().contains(&algorithm) {
            continue;
        }
        let seed = KeyRef::new(KeyKind::Seed, INDEX, version);
        let value = KeyValue::from_bytes(algorithm, b"SEED for roots 1");
        let imported = import(vault, KeyPlace::root(seed), KeyState::Active, value);
        found.expect("import of a seed", &imported.is_ok(), &true);
        let made = vault.derive_root(seed, key(version)).map(|info| (info.place(), info.state, info.kcv));
        let expected = Ok((KeyPlace::root(key(version)), KeyState::Generated, kcv));
        found.expect(&format!("a root out of a seed, {algorithm}"), &made, &expected);
        let again = vault.derive_root(seed, key(version)).map(drop);
        found.expect("a root twice", &again, &Err(VaultError::AlreadyThere { key: key(version) }));
        let asked = vault.external_authenticate(&KeyAddress::Shared(seed), *b"YKT\x06\xC9\x01\0\0");
        found.expect("a seed enciphers nothing", &asked.is_err(), &true);
        let macs = vault.sm_mac(&KeyAddress::Shared(seed), [0; 8], &[b"YKT"]).is_err();
        found.expect("a seed makes no MAC", &macs, &true);
    }
    let none = vault.derive_root(KeyRef::new(KeyKind::Seed, INDEX, 99), key(3)).map(drop);
    let refused = Err(VaultError::NoSuchKey { key: KeyRef::new(KeyKind::Seed, INDEX, 99) });
    found.expect("a root out of no seed", &none, &refused);
    let no_seed = matches!(vault.derive_root(load(2), key(3)), Err(VaultError::NotAllowed { .. }));
    found.expect("a root out of a load key is refused", &no_seed, &true);
}

/// Keys go over to a software vault and come back, under each transport key both have.
fn transport(vault: &dyn KeyManagement, found: &mut Deviations) {
    let other = SoftVault::empty(vault.status().levels, Origin::Demo);
    let travelling = KeyPlace::root(load(20));
    let retired = KeyPlace { key: load(21), level: 1, owner: Some([7; 8]) };
    for (place, state) in [(travelling, KeyState::Active), (retired, KeyState::Retired)] {
        let imported = import(vault, place, state, value(KeyAlgorithm::Tdes, 0x40));
        found.expect("import of a key to travel", &imported.is_ok(), &true);
    }
    // The value 40…4F enciphered under each, by OpenSSL (`enc -id-aes256-wrap`, `-des-ede`, `-sm4-ecb`).
    for (version, algorithm, cryptogram) in [
        (1, KeyAlgorithm::Aes256, "DFD90CACC768B14FAA4CD3C59E8C49F995595116F98C1E6E"),
        (2, KeyAlgorithm::Tdes, "F5715688903874C83C779C492A7D9718"),
        (3, KeyAlgorithm::Sm4, "AACE1D7C22B7605DCDC4BACA3BB3A8D4"),
    ] {
        if !vault.capabilities().contains(&algorithm) {
            continue;
        }
        let under = KeyRef::new(KeyKind::KeyTransport, INDEX.saturating_add(version), 1);
        let both: [&dyn KeyManagement; 2] = [vault, &other];
        for vault in both {
            let imported = import(vault, KeyPlace::root(under), KeyState::Active, value(algorithm, 0x80));
            found.expect("import of a transport key", &imported.is_ok(), &true);
        }
        let wrapped = vault.wrap(&travelling, under);
        let bytes = wrapped.as_ref().map(|wrapped| &wrapped.cryptogram);
        found.expect_bytes(&format!("a key wrapped under {algorithm}"), bytes, cryptogram);
        let there = KeyPlace::root(load(version.saturating_add(30)));
        arrives(&other, wrapped, there, under, found);
        let here = KeyPlace::root(load(version.saturating_add(40)));
        arrives(vault, other.wrap(&there, under), here, under, found);
        arrives(
            &other,
            vault.wrap(&retired, under),
            KeyPlace { key: load(version.saturating_add(50)), ..retired },
            under,
            found,
        );
    }
    let under = KeyRef::new(KeyKind::KeyTransport, INDEX.saturating_add(2), 1);
    let destroyed = vault.wrap(&KeyPlace::root(load(1)), under).map(drop);
    let refused = VaultError::WrongState { key: load(1), state: KeyState::Destroyed };
    found.expect("a destroyed key is not wrapped", &destroyed, &Err(refused));
    let by_others = vault.wrap(&travelling, load(2));
    let named = matches!(by_others, Err(VaultError::NotAllowed { .. }));
    found.expect("a key wrapped under a load key is refused", &named, &true);
    let itself = matches!(vault.wrap(&KeyPlace::root(under), under), Err(VaultError::NotAllowed { .. }));
    found.expect("a transport key wrapped under itself is refused", &itself, &true);
    let missing = vault.wrap(&KeyPlace::root(load(99)), under).map(drop);
    found.expect("a missing key is not wrapped", &missing, &Err(VaultError::NoSuchKey { key: load(99) }));
}

/// A wrapped key comes in with its check value and state, once; a changed one, or one under another transport key,
/// does not.
fn arrives(
    vault: &dyn KeyManagement,
    wrapped: Result<WrappedKey, VaultError>,
    place: KeyPlace,
    under: KeyRef,
    found: &mut Deviations,
) {
    let wrapped = match wrapped {
        Ok(wrapped) => WrappedKey { place, ..wrapped },
        Err(error) => return found.expect("a key wrapped", &Some(error), &None),
    };
    let mut changed = wrapped.clone();
    changed.cryptogram.iter_mut().take(1).for_each(|byte| *byte ^= 2);
    let cut =
        WrappedKey { cryptogram: wrapped.cryptogram.iter().skip(8).copied().collect(), ..wrapped.clone() };
    for (what, bad) in [("a changed cryptogram", changed), ("a cryptogram cut off", cut)] {
        found.expect(&format!("{what} is refused"), &vault.import_wrapped(&bad, under).is_err(), &true);
    }
    let other_kcv = WrappedKey { kcv: [0; 3], ..wrapped.clone() };
    let refused = vault.import_wrapped(&other_kcv, under).map(drop);
    let expected = Err(VaultError::WrongKcv { key: place.key, expected: [0; 3], found: wrapped.kcv });
    found.expect("a wrapped key with another check value", &refused, &expected);
    let other_transport = WrappedKey { transport_kcv: [0; 3], ..wrapped.clone() };
    let refused = vault.import_wrapped(&other_transport, under).map(drop);
    let both = matches!(refused, Err(VaultError::WrongKcv { key, expected: [0, 0, 0], .. }) if key == under);
    found.expect("a key under another transport key is refused", &both, &true);
    found.expect("what was refused is not there", &info(vault, &place), &None);

    let arrived = vault.import_wrapped(&wrapped, under).map(|info| (info.place(), info.state, info.kcv));
    found.expect("a wrapped key arrives", &arrived, &Ok((place, wrapped.state, wrapped.kcv)));
    let again = vault.import_wrapped(&wrapped, under).map(drop);
    found.expect("a wrapped key twice", &again, &Err(VaultError::AlreadyThere { key: place.key }));
}

/// Many wrapped keys come in all or none, whichever of them is refused; an active one retires the one beside it only
/// when all have come.
fn whole_imports(vault: &dyn KeyManagement, found: &mut Deviations) {
    let other = SoftVault::empty(vault.status().levels, Origin::Demo);
    let under = KeyRef::new(KeyKind::KeyTransport, INDEX.saturating_add(9), 1);
    let mut able = vault.capabilities().into_iter();
    let algorithm = able.find(|algorithm| KeyKind::KeyTransport.algorithms().contains(algorithm));
    let both: [&dyn KeyManagement; 2] = [vault, &other];
    for vault in both {
        let value = algorithm.and_then(|algorithm| value(algorithm, 0x90));
        let imported = import(vault, KeyPlace::root(under), KeyState::Active, value);
        found.expect("import of a transport key for many", &imported.is_ok(), &true);
    }
    let key = |version| KeyRef::new(KeyKind::Load, INDEX.saturating_add(2), version);
    let there = KeyPlace::root(key(1));
    let imported = import(vault, there, KeyState::Active, value(KeyAlgorithm::Tdes, 0x20));
    found.expect("import of a key that will have a successor", &imported.is_ok(), &true);
    let below = KeyPlace { key: key(4), level: 1, owner: Some([4; 8]) };
    let places = [KeyPlace::root(key(2)), KeyPlace::root(key(3)), below];
    use KeyState::{Active, Generated, Retired};
    let mut wrapped = Vec::new();
    for ((place, state), first) in places.into_iter().zip([Active, Generated, Retired]).zip(0x30..) {
        let imported = import(&other, place, state, value(KeyAlgorithm::Tdes, first));
        found.expect("import of a key to travel with others", &imported.is_ok(), &true);
        wrapped.extend(other.wrap(&place, under));
    }
    let [first, second, third] = wrapped.as_slice() else {
        return found.expect("keys wrapped by a software vault", &wrapped.len(), &3);
    };
    let unchanged = [Some(Active), None, None, None];
    let states = || [there, places[0], places[1], places[2]].map(|place| state(vault, &place));
    let bring = |keys: &[&WrappedKey]| {
        let mut told = Vec::new();
        let taken = vault.import_all_wrapped(keys, under, &mut |done, of| told.push((done, of)));
        (taken, told)
    };
    let other_kcv = WrappedKey { kcv: [0; 3], ..third.clone() };
    let mut changed = third.clone();
    changed.cryptogram.pop();
    let known = WrappedKey { place: there, ..third.clone() };
    let no_level = WrappedKey { place: KeyPlace { level: 9, ..third.place }, ..third.clone() };
    let other_transport = WrappedKey { transport_kcv: [0; 3], ..third.clone() };
    for (what, bad) in [
        ("with another check value", &other_kcv),
        ("with a changed cryptogram", &changed),
        ("that is there already", &known),
        ("of a level that is not there", &no_level),
        ("under another transport key", &other_transport),
        ("that came just before", second),
    ] {
        let refused = bring(&[first, second, bad]).0.map_err(|(at, error)| (at, error.is_outage()));
        found.expect(&format!("many keys, the last {what}"), &refused.map(drop), &Err((2, false)));
        found.expect(&format!("many keys, the last {what}: the states"), &states(), &unchanged);
    }
    found.expect("an import of no keys", &bring(&[]).0, &Ok(Vec::new()));
    let (taken, told) = bring(&[first, second, third]);
    let taken = taken.map(|taken| taken.into_iter().map(|info| (info.place(), info.state)).collect());
    let came = places.into_iter().zip([Active, Generated, Retired]).collect::<Vec<_>>();
    found.expect("many keys", &taken, &Ok(came));
    found.expect("many keys: the states", &states(), &[Retired, Active, Generated, Retired].map(Some));
    found.expect("many keys: the last that was told", &told.last(), &Some(&(3, 3)));
    let again = bring(&[first, second, third]).0;
    found.expect("many keys twice", &again, &Err((0, VaultError::AlreadyThere { key: key(2) })));
}
