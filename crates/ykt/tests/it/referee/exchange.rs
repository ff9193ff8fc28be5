//! Exchange files both ways: `exchange.py` opens what the centre exports, and is the third party whose files it takes
//! in, right ones and broken ones.

use super::office::{Counting, PASSWORD, office, vault, ykt, ykt_ok};
use super::told;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use ykt_crypto::Key16;
use ykt_office::people::Role;
use ykt_vault::{
    ImportedKey, KeyAlgorithm, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, KeyValue, Levels, Origin,
    SoftVault, Vault,
};
use zeroize::Zeroizing;

const CITY: [u8; 8] = [0x21, 0x44, 0xFF, 0, 0, 0, 0, 0];

/// A transport key of each algorithm, by index, and in the words of the reader.
fn transports() -> [(u8, KeyValue, Value); 3] {
    let value: [u8; 32] = std::array::from_fn(|at| 0x40 ^ (at as u8 * 7));
    let half = || Key16::from_bytes(std::array::from_fn(|at| value[at]));
    let told = |name: &str, len: usize| json!({ "algorithm": name, "value": hex(&value[..len]) });
    [
        (1, KeyValue::Aes256(Zeroizing::new(value)), told("aes-256", 32)),
        (2, KeyValue::Tdes(half()), told("3des", 16)),
        (3, KeyValue::Sm4(half()), told("sm4", 16)),
    ]
}

fn hex(bytes: &[u8]) -> String {
    ykt_base::hex::Hex(bytes).to_string()
}

/// An office of two key administrators with the transport keys.
fn two_administrators(at: &Path) {
    let people = [("keys1", Role::KeyAdministrator), ("keys2", Role::KeyAdministrator)];
    let vault = SoftVault::empty(Levels::nation_city_card(), Origin::Demo);
    for (index, value, _) in transports() {
        let place = KeyPlace::root(KeyRef::new(KeyKind::KeyTransport, index, 1));
        vault.import(ImportedKey { place, state: KeyState::Active, value, kcv: None }).unwrap();
    }
    office(at, &vault, &people);
}

fn by_two(at: &Path, id: &str, ask: &[&str]) -> String {
    let (act, rest) = ask.split_first().unwrap();
    let asking = [&["keys", act, "--as", "keys1", "--reason", "agreed", "--id", id], rest].concat();
    ykt_ok(at, &asking, &[PASSWORD]) + &ykt_ok(at, &["keys", "approve", "--as", "keys2", id], &[PASSWORD])
}

#[test]
fn what_a_centre_exports_is_opened_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    two_administrators(at);
    let desk = Arc::new(vault(at));
    let of = |kind, level, owner| KeyPlace { key: KeyRef::new(kind, 1, 2), level, owner };
    let places = [
        (of(KeyKind::Purchase, 0, None), KeyAlgorithm::Tdes, "purchase.1.2"),
        (of(KeyKind::Load, 1, Some(CITY)), KeyAlgorithm::Sm4, "load.1.2.1.2144FF0000000000"),
        (of(KeyKind::SamMaster, 0, None), KeyAlgorithm::Tdes, "psam-master.1.2"),
    ];
    let mut kcvs = Vec::new();
    for (place, algorithm, _) in places {
        let info = desk.generate(place, algorithm, &mut Counting(place.key.kind.code())).unwrap();
        kcvs.push(hex(&info.kcv));
    }
    let signing = KeyPlace::root(KeyRef::new(KeyKind::Signing, 1, 1));
    desk.generate(signing, KeyAlgorithm::Sm2, &mut Counting(99)).unwrap();
    desk.change_state(&signing, KeyState::Active).unwrap();
    let signer = desk.signer(signing.key).unwrap();
    let signer = hex(signer.public_key().as_bytes());
    ykt_ok(at, &["keys", "register", "--as", "keys1"], &[PASSWORD]);
    for (index, _, transport) in transports() {
        let (id, under) = (format!("e{index}"), format!("key-transport.{index}.1"));
        let names = places.map(|(_, _, name)| name);
        by_two(at, &id, &[&["export", "--to", "bank", "--transport", &under], &names[..]].concat());
        ykt_ok(at, &["keys", "file", &id, "--out", &id], &[]);
        let read = told(at, "exchange.py", &["read", &id], &transport);
        assert!(read["signer"].as_str().unwrap().ends_with(&signer), "{read}");
        let found: Vec<_> = read["keys"].as_array().unwrap().iter().map(|key| &key["kcv"]).collect();
        assert_eq!(found, kcvs.iter().collect::<Vec<_>>(), "{read}");
        assert_eq!(read["keys"][1]["owner"], "2144FF0000000000");
    }
}

#[test]
fn what_a_third_party_sends_is_taken_or_refused_whole() {
    let key = |kind: &str, index: u8, level: u8, owner: &str, algorithm: &str, value: u8| {
        let place = json!({
            "kind": kind, "index": index, "version": 1, "level": level, "owner": owner, "state": "generated"
        });
        json!({ "place": place, "algorithm": algorithm, "value": hex(&[value; 16]) })
    };
    let keys = [
        key("purchase", 2, 0, "", "3des", 0x31),
        key("purchase", 3, 1, "2144FF0000000000", "sm4", 0x32),
        key("load", 2, 2, "2144000000000031", "3des", 0x33),
    ];
    for (index, _, transport) in transports() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        two_administrators(at);
        let sent = told(at, "exchange.py", &["write", "."], &json!({ "transport": transport, "keys": keys }));
        let under = format!("key-transport.{index}.1");
        let import = |file: &str| {
            ["import", "--from", "bank", "--transport", &under, &format!("{file}.keys")].map(str::to_owned)
        };
        let before = vault(at).list().unwrap().len();
        for (name, words) in sent["broken"].as_object().unwrap() {
            // How a table is read does not depend on the transport key.
            if index > 1 && !["kcv", "cryptogram"].contains(&name.as_str()) {
                continue;
            }
            let import = import(name);
            let args: Vec<&str> = import.iter().map(String::as_str).collect();
            let asking = ["keys", args[0], "--as", "keys1", "--reason", "agreed", "--id", name];
            let (mut code, mut said) = ykt(at, &[&asking, &args[1..]].concat(), &[PASSWORD]);
            if code == 0 {
                (code, said) = ykt(at, &["keys", "approve", "--as", "keys2", name], &[PASSWORD]);
            }
            assert!(code != 0 && said.contains(words.as_str().unwrap()), "{name}: {words} in {said}");
            assert_eq!(vault(at).list().unwrap().len(), before, "{name} brought keys");
        }
        for name in sent["right"].as_array().unwrap() {
            let import = import(name.as_str().unwrap());
            by_two(at, name.as_str().unwrap(), &import.each_ref().map(String::as_str));
        }
        let list = vault(at).list().unwrap();
        // Three files of three keys, and one key with everything at its default.
        assert_eq!(list.len(), before + 10);
    }
}
