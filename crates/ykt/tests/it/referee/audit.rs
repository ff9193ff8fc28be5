//! The audit log away from home: `audit_log.py` verifies an export with SM3 and OpenSSL alone, forges others out of it,
//! and finds the same in each as `ykt audit verify`.

use super::office::{Counting, PASSWORD, office, vault, ykt, ykt_ok};
use super::told;
use serde_json::Value;
use ykt_office::people::Role;
use ykt_vault::{
    KeyAlgorithm, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, Levels, Origin, SoftVault,
};

#[test]
fn every_forgery_is_found_by_both_verifiers() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let people = ["a1", "a2", "a3", "a4", "a5"].map(|name| (name, Role::Auditor));
    office(at, &SoftVault::empty(Levels::nation_city_card(), Origin::Demo), &people);
    let desk = vault(at);
    let signing = KeyPlace::root(KeyRef::new(KeyKind::Signing, 1, 1));
    desk.generate(signing, KeyAlgorithm::Sm2, &mut Counting(99)).unwrap();
    desk.change_state(&signing, KeyState::Active).unwrap();
    drop(desk);

    // Three checkpoints, records before and between: a refused act, and texts beyond ASCII.
    ykt_ok(at, &["audit", "checkpoint"], &[]);
    let (code, _) = ykt(at, &["audit", "list", "--as", "a1"], &["Wrong-Door-1"]);
    assert_eq!(code, 1);
    for name in ["a2", "a3"] {
        ykt_ok(at, &["audit", "list", "--as", name], &[PASSWORD]);
    }
    let full_name = ["user", "add", "王丽", "--role", "finance"];
    ykt(at, &full_name, &["Nine-Doors-42"]);
    ykt_ok(at, &["audit", "checkpoint"], &[]);
    let said = ykt_ok(at, &["audit", "export", "log.jsonl", "--as", "a4"], &[PASSWORD]);
    assert!(said.contains("checkpoint 3 signs"), "{said}");

    let read = told(at, "audit_log.py", &["verify", "log.jsonl"], &Value::Null);
    assert_eq!(read["found"], "whole");
    let key = read["fingerprint"][0].as_str().unwrap();
    let verify = |file: &str| ykt(at, &["audit", "verify", file, "--key", key], &[]);
    let (code, said) = verify("log.jsonl");
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("{} records are whole", read["records"])), "{said}");

    let forged = told(at, "audit_log.py", &["forge", "log.jsonl", "."], &Value::Null);
    let forged = forged.as_object().unwrap();
    assert!(forged.len() >= 20, "{forged:?}");
    for (name, words) in forged {
        let (file, words) = (format!("{name}.jsonl"), words.as_str().unwrap());
        let read = told(at, "audit_log.py", &["verify", &file, key], &Value::Null);
        assert!(read["found"].as_str().unwrap().starts_with(words), "{name}: {words}, {read}");
        let (code, said) = verify(&file);
        assert!(code == 3 && said.contains(words), "{name}: {code}, {words} in {said}");
    }
}
