//! The sealed vault file and every key below it: `sealed.py` opens it, `derive.py` goes down from the seed to single cards.

use super::office::Counting;
use super::told;
use crate::vault::typed;
use serde_json::{Value, json};
use std::path::Path;
use ykt_base::hex::Hex;
use ykt_base::{Asn8, IssuerFactor, PsamSerial};
use ykt_crypto::Key16;
use ykt_vault::{
    CardKeyRef, Factor, Hardness, ImportedKey, KeyAddress, KeyAlgorithm, KeyInfo, KeyKind, KeyManagement,
    KeyPlace, KeyRef, KeyState, KeyValue, Level, Levels, Origin, Scheme, SoftVault, Unlock, Vault,
};

const ISSUER: [u8; 8] = [0x21, 0x44, 0xFF, 0, 0, 0, 0, 0];
const CARD: [u8; 8] = [0x21, 0x44, 0, 0, 0, 0, 0, 0x31];
const SERIAL: [u8; 10] = [0, 0, 0x21, 0x44, 0, 0, 0, 0, 1, 7];

fn hex(bytes: &[u8]) -> String {
    Hex(bytes).to_string()
}

/// What a list of the vault says of a key, in the words of the reader.
fn shown(info: &KeyInfo) -> Value {
    let is_there = info.state != KeyState::Destroyed;
    json!({
        "kind": info.key.kind.name(),
        "index": info.key.index.0,
        "version": info.key.version.0,
        "level": info.place().level,
        "owner": info.owner.map(|owner| hex(&owner)),
        "algorithm": info.algorithm.name(),
        "state": info.state.name(),
        "kcv": is_there.then(|| hex(&info.kcv)),
    })
}

fn sorted(mut keys: Vec<Value>) -> Vec<Value> {
    keys.sort_by_key(ToString::to_string);
    keys
}

fn two() -> Unlock {
    Unlock::operators([("zhao.min", "apples and pears"), ("wang.li", "plums, no cherries")])
}

/// Seals a vault for two operators and for a machine, and opens it again.
fn kept(at: &Path, vault: &SoftVault) -> SoftVault {
    let file = at.join("k.sealed");
    vault.seal(&file, &two(), Hardness::TEST, &mut Counting(1)).unwrap();
    let opened = SoftVault::open(&file, &two()).unwrap();
    let machine = Unlock::new_credential_file(&at.join("m.credential"), &mut Counting(2)).unwrap();
    opened.add_unlock(&machine, Hardness::TEST, &mut Counting(3)).unwrap();
    opened
}

fn by_operators() -> Value {
    json!({ "operators": { "wang.li": "plums, no cherries", "zhao.min": "apples and pears" } })
}

fn by_machine() -> Value {
    json!({ "credential": "m.credential" })
}

/// As the command line makes it, with the hardness of production.
#[test]
fn a_vault_of_the_command_line_opens_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let operators = ["--operator", "zhao.min", "--operator", "wang.li"];
    let (code, said) = typed(
        at,
        &[&["init", "k.sealed", "--demo"], &operators[..]].concat(),
        "secret-one secret-one secret-two secret-two ",
    );
    assert_eq!(code, 0, "{said}");
    let open = [&["list", "--file", "k.sealed"], &operators[..]].concat();
    let (code, list) = typed(at, &open, "secret-one secret-two ");
    assert_eq!(code, 0, "{list}");
    let unlock = json!({ "operators": { "zhao.min": "secret-one", "wang.li": "secret-two" } });
    let read = told(at, "sealed.py", &["k.sealed"], &unlock);
    let keys = read["keys"].as_array().unwrap();
    assert!(keys.len() > 40 && read["origin"] == "demo", "{read}");
    for key in keys {
        let kcv = key["kcv"].as_str().unwrap();
        assert!(list.contains(kcv), "{key} in {list}");
    }
}

/// Every algorithm, state and sort of place; both sorts of slots; no changed byte is taken by either reader.
#[test]
fn every_byte_of_a_sealed_file_is_read_and_covered() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let vault = kept(at, &SoftVault::empty(Levels::nation_city_card(), Origin::Production));
    let root = |kind, version| KeyPlace::root(KeyRef::new(kind, 1, version));
    let of = |kind, level, owner| KeyPlace { key: KeyRef::new(kind, 2, 7), level, owner };
    let places = [
        (root(KeyKind::Purchase, 1), KeyAlgorithm::Tdes, KeyState::Retired),
        (root(KeyKind::Purchase, 2), KeyAlgorithm::Sm4, KeyState::Active),
        (root(KeyKind::KeyTransport, 1), KeyAlgorithm::Aes256, KeyState::Generated),
        (root(KeyKind::Signing, 1), KeyAlgorithm::Sm2, KeyState::Active),
        (of(KeyKind::Load, 1, Some(ISSUER)), KeyAlgorithm::Tdes, KeyState::Active),
        (of(KeyKind::Load, 2, Some(CARD)), KeyAlgorithm::Sm4, KeyState::Active),
        (of(KeyKind::SamMaster, 1, None), KeyAlgorithm::Tdes, KeyState::Destroyed),
    ];
    for (place, algorithm, state) in places {
        vault.generate(place, algorithm, &mut Counting(place.key.kind.code())).unwrap();
        let steps = [KeyState::Active, KeyState::Retired, KeyState::Destroyed];
        let last = steps.iter().position(|step| *step == state).map_or(0, |last| last + 1);
        for step in &steps[..last] {
            vault.change_state(&place, *step).unwrap();
        }
    }
    let list = vault.list().unwrap();
    assert_eq!(list.len(), places.len());
    let expected = sorted(list.iter().map(shown).collect());
    let file = std::fs::read(at.join("k.sealed")).unwrap();
    let unlocks =
        [(by_operators(), two()), (by_machine(), Unlock::credential_file(&at.join("m.credential")).unwrap())];
    for (mut given, unlock) in unlocks {
        given["flip"] = true.into();
        let read = told(at, "sealed.py", &["k.sealed"], &given);
        assert_eq!(sorted(read["keys"].as_array().unwrap().clone()), expected);
        assert_eq!(read["levels"], json!([["nation", null], ["city", "issuer"], ["card", "card"]]));
        assert_eq!((&read["origin"], &read["accepted_flips"]), (&"production".into(), &json!([])));
        for at in 0..file.len() {
            let mut flipped = file.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(SoftVault::from_sealed(&flipped, &unlock).is_err(), "byte {at}");
        }
    }
}

fn level(name: &str, factor: Factor) -> Level {
    Level { name: name.to_owned(), factor }
}

/// Vaults of two to six levels, with and without a level of the issuer.
fn depths() -> Vec<Levels> {
    let fixed = |name, first| level(name, Factor::Fixed(IssuerFactor([first, 0, 0xFF, 3, 4, 5, 6, 7])));
    let between = [
        vec![],
        vec![level("city", Factor::Issuer)],
        vec![fixed("province", 0x32)],
        vec![fixed("province", 0x31), level("city", Factor::Issuer)],
        vec![fixed("region", 1), fixed("province", 2), level("city", Factor::Issuer), fixed("bank", 9)],
    ];
    let whole = |between| {
        let (root, card) = ([level("nation", Factor::Root)], [level("card", Factor::Card)]);
        Levels::new([&root[..], between, &card[..]].concat()).unwrap()
    };
    between.iter().map(|between: &Vec<Level>| whole(between)).collect()
}

/// Roots come from two seeds, 3DES and SM4; some keys of a third party stand further down.
#[test]
fn keys_of_all_depths_are_derived_without_us() {
    for levels in depths() {
        let folder = tempfile::tempdir().unwrap();
        let vault = kept(folder.path(), &SoftVault::empty(levels.clone(), Origin::Production));
        let import = |place: KeyPlace, value: KeyValue| {
            vault.import(ImportedKey { place, state: KeyState::Active, value, kcv: None }).unwrap();
        };
        let value =
            |first: u8| Key16::from_bytes(std::array::from_fn(|at| first ^ (at as u8).wrapping_mul(19)));
        let seed = |index| KeyRef::new(KeyKind::Seed, index, 1);
        import(KeyPlace::root(seed(1)), KeyValue::Tdes(value(7)));
        import(KeyPlace::root(seed(2)), KeyValue::Sm4(value(70)));
        let of_cards = |kind: &&KeyKind| matches!(kind.scheme(), Scheme::Card | Scheme::Sam);
        let (mut roots, mut holders, mut expected) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
        for kind in KeyKind::ALL.iter().filter(of_cards).copied() {
            // Every third kind from the seed of SM4, all kinds in two versions.
            let from = if kind.code() % 3 == 0 { 2 } else { 1 };
            for version in [1, 2] {
                let key = KeyRef::new(kind, 3, version);
                let info = vault.derive_root(seed(from), key).unwrap();
                vault.change_state(&KeyPlace::root(key), KeyState::Active).unwrap();
                let name = json!({ "kind": kind.name(), "index": 3, "version": version });
                let mut root = name.clone();
                root["seed"] = from.into();
                roots.push(root);
                expected[0].push(hex(&info.kcv));
                holders.push(name);
            }
        }
        // First-level and finished keys from elsewhere: the deepest that fits is taken.
        let third = |kind, level, owner| KeyPlace { key: KeyRef::new(kind, 3, 1), level, owner };
        let deepest = levels.card();
        import(third(KeyKind::Load, deepest, Some(CARD)), KeyValue::Tdes(value(9)));
        import(third(KeyKind::Tac, deepest, Some([9; 8])), KeyValue::Tdes(value(10)));
        if let Some(city) = levels.position("city") {
            import(third(KeyKind::Purchase, city, Some(ISSUER)), KeyValue::Sm4(value(11)));
            import(third(KeyKind::Unload, city, Some([8; 8])), KeyValue::Tdes(value(12)));
        }
        for question in &mut holders {
            let kind = KeyKind::from_name(question["kind"].as_str().unwrap()).unwrap();
            let version = u8::try_from(question["version"].as_u64().unwrap()).unwrap();
            let key = KeyRef::new(kind, 3, version);
            let (address, holder) = match kind.scheme() {
                Scheme::Sam => (KeyAddress::Sam { key, serial: PsamSerial(SERIAL) }, &SERIAL[2..]),
                _ => {
                    let card = CardKeyRef { key, factor: IssuerFactor(ISSUER), asn: Asn8(CARD) };
                    (KeyAddress::Card(card), &CARD[..])
                }
            };
            question["issuer"] = hex(&ISSUER).into();
            question["holder"] = hex(holder).into();
            expected[1].push(hex(&vault.kcv(&address).unwrap()));
        }
        let asked = json!({ "unlock": by_machine(), "roots": roots, "holders": holders });
        let derived = told(folder.path(), "derive.py", &["k.sealed"], &asked);
        assert_eq!(derived, json!({ "roots": expected[0], "holders": expected[1] }), "{levels:?}");
    }
}
