//! The command against the vectors of the repository, whole and spoilt.

use super::*;
use serde_json::{Value, json};

fn verdicts(text: &str) -> Vec<(String, Verdict)> {
    let entries = entry::parse(text).unwrap();
    entries.iter().map(|entry| (entry.name.clone(), judge(entry))).collect()
}

fn one(entry: &Value) -> Verdict {
    judge(&entry::parse(&json!([entry]).to_string()).unwrap()[0])
}

fn embedded() -> Vec<Value> {
    serde_json::from_str(EMBEDDED).unwrap()
}

#[test]
fn every_vector_is_ok() {
    for (name, verdict) in verdicts(EMBEDDED) {
        assert_eq!(verdict, Verdict::Ok, "{name}");
    }
}

/// Every digit of every output of every entry that is ok, changed, is found and named; so is a digit too many, and one
/// too few.
#[test]
fn every_changed_output_is_found() {
    let mut changed = 0;
    for entry in embedded() {
        if one(&entry) != Verdict::Ok {
            continue;
        }
        let is_capture = entry["name"].as_str().unwrap().starts_with("published/");
        for (field, value) in entry["outputs"].as_object().unwrap() {
            let Some(text) = value.as_str().filter(|_| !field.ends_with("note")) else { continue };
            // What a captured answer states about the card, key version and algorithm, is taken from it.
            let taken = if is_capture && field == "init_response" { 12..16 } else { 0..0 };
            let digits = (0..text.len()).filter(|at| !taken.contains(at)).map(|at| {
                let digit = if &text[at..=at] == "0" { "1" } else { "0" };
                [&text[..at], digit, &text[at + 1..]].concat()
            });
            for bad_text in digits.chain([format!("{text}0"), text[1..].to_owned()]) {
                let mut bad = entry.clone();
                bad["outputs"][field] = json!(bad_text);
                match one(&bad) {
                    Verdict::Differs(fields) => assert_eq!(&fields[0].0, field),
                    other => panic!("{}, {field}, {bad_text}: {other:?}", entry["name"]),
                }
                changed += 1;
            }
        }
    }
    assert!(changed > 10_000, "{changed} changes");
}

/// Every input that is a key, a random number, a counter or an amount decides: changed, something differs.
#[test]
fn every_changed_input_is_found() {
    let decisive = [
        &["key", "master", "DLK", "DPK", "DTK", "DULK", "DUK", "DUGK", "DRPK", "root_key", "control_key"][..],
        &[
            "rand",
            "term_rand",
            "data",
            "challenge",
            "amount",
            "iv",
            "plain",
            "new_limit",
            "new_pin",
            "old",
            "new",
        ],
        &[
            "online_ctr",
            "offline_ctr",
            "term_seq",
            "term_seq_debit",
            "terminal",
            "delivery_factors",
            "derived",
        ],
    ]
    .concat();
    for entry in embedded() {
        if one(&entry) != Verdict::Ok {
            continue;
        }
        for (field, value) in entry["inputs"].as_object().unwrap() {
            let Some(text) =
                value.as_str().filter(|text| decisive.contains(&field.as_str()) && !text.is_empty())
            else {
                continue;
            };
            // The lowest bit of a key's byte is parity and decides nothing: change the second lowest.
            let digit = u8::from_str_radix(&text[text.len() - 1..], 16).unwrap() ^ 2;
            let mut bad = entry.clone();
            bad["inputs"][field] = json!(format!("{}{digit:X}", &text[..text.len() - 1]));
            assert!(matches!(one(&bad), Verdict::Differs(_)), "{}, {field}", entry["name"]);
        }
    }
}

/// Other names of the same families find the same rules.
#[test]
fn the_rule_follows_the_family_not_the_name() {
    for entry in embedded() {
        let mut renamed = entry.clone();
        let name = entry["name"].as_str().unwrap();
        let family = name.split('/').next().unwrap();
        renamed["name"] = json!(format!("{family}/something else 99"));
        assert_eq!(one(&renamed), one(&entry), "{name}");
    }
    let other = json!({"name": "tolls/x", "inputs": {}, "outputs": {"mac": "00"}});
    assert_eq!(one(&other), Verdict::Unknown);
}

/// A three-level load, from keys of the published hierarchy.
#[test]
fn levels_above_are_taken_as_they_are_given() {
    let mut entry =
        embedded().into_iter().find(|entry| entry["name"] == "load/EP city card two levels").unwrap();
    entry["inputs"]["province_factor"] = json!("3100FFFFFFFFFFFF");
    let Verdict::Differs(fields) = one(&entry) else { panic!("another level gives other keys") };
    let got = &fields.iter().find(|(field, ..)| field == "DLK").unwrap().2;
    let root = ykt_crypto::CardKey::from_hex(entry["inputs"]["DLK_master"].as_str().unwrap()).unwrap();
    let hex = |name: &str| ykt_base::hex::decode::<8>(entry["inputs"][name].as_str().unwrap()).unwrap();
    let names = ["province_factor", "city_factor", "asn8"];
    let key = names.iter().fold(root, |key, name| key.diversify(&hex(name)));
    assert_eq!(got, &ykt_base::hex::Hex(key.expose()).to_string());
}

#[test]
fn pins_come_as_digits_or_filled_up() {
    for (pin, apdu) in [
        ("1234", "00200000021234"),
        ("12345", "002000000312345F"),
        ("12345F", "002000000312345F"),
        ("123456FFFFFF", "0020000006123456FFFFFF"),
    ] {
        let entry = json!({"name": "pin/VERIFY", "inputs": {"pin": pin}, "outputs": {"apdu": apdu}});
        assert_eq!(one(&entry), Verdict::Ok, "{pin}");
    }
}

#[test]
fn what_is_no_vector_file_is_refused_with_its_place() {
    for (text, named) in [
        ("", "not JSON"),
        ("{}", "expected a JSON list of entries, found an object"),
        ("[1]", "entry 0 (from 0)"),
        (r#"[{"inputs": {}, "outputs": {"a": "b"}}]"#, "name: expected a text, found nothing"),
        (r#"[{"name": "load/X", "outputs": {"a": "b"}}]"#, "\"load/X\", inputs: expected an object"),
        (r#"[{"name": "load/X", "inputs": {}, "outputs": []}]"#, "outputs: expected an object, found a list"),
    ] {
        let error = format!("{:#}", entry::parse(text).unwrap_err());
        assert!(error.contains(named), "{text}: {error}");
    }
}

/// Fields no rule asks for may be anything, and so may entries of families this program does not know.
#[test]
fn what_nobody_asks_for_is_harmless() {
    let mut entry = embedded().into_iter().find(|entry| entry["name"] == "load/EP").unwrap();
    entry["inputs"]["tags"] = json!([1, null, {}]);
    assert_eq!(one(&entry), Verdict::Ok);
    for outputs in [json!({}), json!({"steps": [1]})] {
        let other = json!({"name": "tolls/x", "inputs": {"a": [1], "b": null}, "outputs": outputs});
        assert_eq!(one(&other), Verdict::Unknown);
    }
}

/// An entry of a known family that lacks what its rule needs is an error, not an unknown family.
#[test]
fn what_a_rule_needs_and_lacks_is_named() {
    let needs = [
        ("load/EP", "DLK"),
        ("load/EP", "DTK"),
        ("load/EP", "rand"),
        ("purchase/EP type 06", "DTK"),
        ("diversify/1 level DPK", "factor"),
        ("diversify/1 level DPK", "master"),
        ("prim/3des-ede2-ecb", "data"),
        ("sm/CARD BLOCK", "key"),
        ("sm/CARD BLOCK", "iv"),
        ("sm/CARD BLOCK", "header"),
        ("sm/CARD BLOCK", "plain"),
        ("auth/INTERNAL AUTHENTICATE", "data"),
        ("unload/ED type 03", "DULK"),
        ("update overdraft/ED type 07", "new_limit"),
        ("grey lock/EP type 92 lock, 93 debit-unlock", "term_rand"),
        ("grey online unlock/type 95", "offline_ctr"),
        ("pin/RELOAD PIN 805E0000", "new_pin"),
        ("pin/CHANGE PIN 805E01", "old"),
        ("psam/801A + 80FA ENC", "root_key"),
        ("sm4-proposal/diversification", "factor"),
    ];
    for (name, field) in needs {
        let mut entry = embedded().into_iter().find(|entry| entry["name"] == name).unwrap();
        entry["inputs"].as_object_mut().unwrap().remove(field).unwrap();
        assert_eq!(one(&entry), Verdict::Malformed(format!("input {field} is missing")), "{name}");
    }
}

#[test]
fn outputs_that_cannot_be_compared_are_named() {
    let mut entry = embedded().into_iter().find(|entry| entry["name"] == "load/EP").unwrap();
    entry["outputs"]["tac"] = json!(["71637FB1"]);
    let found = "output tac: expected a text or a number, found a list";
    assert_eq!(one(&entry), Verdict::Malformed(found.to_owned()));
    entry["outputs"] = json!({});
    assert_eq!(one(&entry), Verdict::Malformed("outputs: expected at least one, found none".to_owned()));
}

#[test]
fn what_is_no_input_is_named() {
    let entry = embedded().into_iter().find(|entry| entry["name"] == "load/EP").unwrap();
    for (field, value, named) in [
        ("rand", json!("0102030"), "input rand: expected 8 hex digits"),
        ("rand", json!("0102030G"), "input rand: character 7"),
        ("type", json!("06"), "expected 01 or 02, found 06"),
        ("date", json!("20241301"), "no such moment"),
        ("amount", json!("80000000"), "above the limit"),
        ("DLK", json!("00"), "input DLK"),
        ("rand", json!(null), "input rand: expected a text or a number, found null"),
    ] {
        let mut bad = entry.clone();
        bad["inputs"][field] = value;
        match one(&bad) {
            Verdict::Malformed(what) => assert!(what.contains(named), "{field}: {what}"),
            other => panic!("{field}: {other:?}"),
        }
    }
    let mut totals = Totals::default();
    let parsed = entry::parse(&json!([entry]).to_string()).unwrap();
    let line = totals.count(&parsed[0], &Verdict::Malformed("input rand is missing".to_owned()));
    assert_eq!(line, "malformed load/EP: input rand is missing");
    assert_eq!(totals.exit_code(), ExitCode::from(MALFORMED));
}

#[test]
fn lines_and_exit_codes() {
    let entries = entry::parse(EMBEDDED).unwrap();
    let mut totals = Totals::default();
    assert_eq!(totals.count(&entries[0], &Verdict::Ok), "ok prim/3des-ede2-ecb");
    assert_eq!(totals.exit_code(), ExitCode::SUCCESS);
    assert_eq!(totals.count(&entries[0], &Verdict::Unknown), "unknown family prim/3des-ede2-ecb");
    assert_eq!(totals.exit_code(), ExitCode::SUCCESS);
    let field = |name: &str| (name.to_owned(), "01".to_owned(), "02".to_owned());
    let line = totals.count(&entries[0], &Verdict::Differs(vec![field("enc"), field("dec")]));
    assert_eq!(line, "differs prim/3des-ede2-ecb: enc expected 01 got 02; dec expected 01 got 02");
    assert_eq!(totals.exit_code(), ExitCode::from(DIFFERS));
    assert_eq!(totals.line(), "3 entries: 1 ok, 1 differ, 1 of unknown families");
}
