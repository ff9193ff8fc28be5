//! No key leaves the token in clear: neither to a foreign reader with the PIN, nor into its files, nor in words.

use crate::fixture::{documented_keys, filled, with_token};
use std::fs;
use std::path::Path;
use ykt_base::hex::Hex;
use ykt_vault::{KeyKind, KeyManagement, KeyRef, Vault};

/// OpenSC's reader, signed in as the user, sees every key and its record, and can read no value.
#[test]
fn a_foreign_reader_sees_objects_and_no_values() {
    with_token(|token| {
        let vault = filled(token);
        let keys = vault.status().keys;
        let listed = token.listed();
        assert_eq!(listed.matches("Secret Key Object").count(), keys, "{listed}");
        assert_eq!(
            listed.matches("Access:     sensitive, extractable\n").count(),
            keys,
            "wrapped only: {listed}"
        );
        assert_eq!(
            listed.matches("Data object").count(),
            keys + 2,
            "a record beside each key, the vault's, and the note of the latest change"
        );
        assert!(listed.contains("purchase key, index 3, version 1, level 2 of 1700010170907984"));
        let ids = listed.lines().filter_map(|line| line.trim().strip_prefix("ID:")).map(str::trim);
        for id in ids.take(3) {
            let (read, said) = token.foreign_reader(&["--read-object", "--type", "secrkey", "--id", id]);
            assert!(!read, "{said}");
        }
    });
}

/// In bytes or in digits: not in the token's files, not in what anybody is told.
#[test]
fn no_key_is_written_or_said() {
    with_token(|token| {
        let vault = filled(token);
        let unknown = KeyRef::new(KeyKind::KeyTransport, 77, 1);
        let list = vault.list().unwrap();
        let refusals = list.iter().map(|info| vault.wrap(&info.place(), unknown).unwrap_err().to_string());
        let mut said = format!("{:?}{}", vault.status(), token.listed());
        said.extend(list.iter().map(|info| format!("{info}{info:?}")).chain(refusals));
        let mut written = Vec::new();
        collect(&token.files(), &mut written);
        assert!(written.len() > 10_000, "the token's files are read");
        for key in documented_keys().keys {
            let value = key.value.expose();
            for haystack in [said.as_bytes(), &written] {
                assert!(!contains(haystack, &value), "the {}", key.place);
            }
            let digits = Hex(&value).to_string();
            assert!(!said.to_uppercase().contains(&digits), "the {}", key.place);
        }
    });
}

fn collect(folder: &Path, into: &mut Vec<u8>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else {
            into.extend(fs::read(path).unwrap());
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
