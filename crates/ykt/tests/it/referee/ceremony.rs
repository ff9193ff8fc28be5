//! What a ceremony gives out: `ceremony.py` reads the printed sheets and a component card, puts the key together from
//! components and from shares, finds it in the sealed file with its roots, and splits it into shares of its own, which
//! `ykt` takes.

use super::office::{PASSPHRASE, PASSWORD, office, vault, ykt, ykt_ok};
use super::told;
use serde_json::json;
use std::path::Path;
use ykt_office::people::Role;
use ykt_vault::{KeyKind, Levels, Origin, SoftVault, Vault};

const PIN: &str = "135790";

/// Three custodians and who conducts, and a vault without a key.
fn room(at: &Path) {
    let custodians = ["li", "wang", "zhao"].map(|name| (name, Role::Custodian));
    let people = [&custodians[..], &[("keys1", Role::KeyAdministrator)]].concat();
    office(at, &SoftVault::empty(Levels::nation_city_card(), Origin::Production), &people);
    std::fs::create_dir(at.join("paper")).unwrap();
}

/// A ceremony: three components, the first typed, a component card for Li.
fn hold(at: &Path, key: &str, algorithm: &str, typed: &str, shares: Option<&str>) {
    let usual =
        ["ceremony", "new", "--as", "keys1", "--room", "Room 7", "--key", key, "--algorithm", algorithm];
    let custodians = ["--custodian", "li", "--custodian", "wang", "--custodian", "zhao"];
    let papers = ["--sheets", "paper", "--protocol", "protocol.txt"];
    let shared = shares.map(|needed| ["--shares", needed]);
    let args = [&usual[..], &custodians, &papers, shared.as_ref().map_or(&[], |shared| &shared[..])].concat();
    let mut lines = vec![PASSWORD];
    lines.extend([PASSWORD, "t", typed, "", typed, "", PASSWORD, "d", "", PASSWORD, "d", ""]);
    let share: &[&str] = if shares.is_some() { &["y", "", ""] } else { &[""] };
    lines.extend([&[PASSWORD, "y", "li.img", PIN, PIN][..], share].concat());
    for _ in ["wang", "zhao"] {
        lines.extend([&[PASSWORD, "y", ""][..], share].concat());
    }
    lines.push(PASSWORD);
    ykt_ok(at, &args, &lines);
}

#[test]
fn papers_and_cards_of_a_ceremony_give_the_key_without_us() {
    let typed = "0123456789ABCDEF1122334455667788";
    let cases = [
        ("seed", "3des", typed.to_owned(), Some("2")),
        ("seed", "sm4", typed.to_owned(), Some("3")),
        ("key-transport", "aes-256", typed.repeat(2), None),
    ];
    for (kind, algorithm, typed, shares) in cases {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        room(at);
        hold(at, &format!("{kind}.1.1"), algorithm, &typed, shares);
        let needed: u8 = shares.map_or(0, |needed| needed.parse().unwrap());
        let card = json!({ "ykt": env!("CARGO_BIN_EXE_ykt"), "image": "li.img", "pin": PIN });
        let asked = json!({
            "vault": "vault.sealed", "unlock": { "operators": { "": PASSPHRASE } }, "folder": "paper",
            "protocol": "protocol.txt", "kind": kind, "needed": needed, "card": card,
        });
        let read = told(at, "ceremony.py", &[], &asked);
        let kcv = read["kcv"].as_str().unwrap();
        assert_eq!(read["algorithm"], algorithm);
        assert!(read["protocol"].as_str().unwrap().contains(kcv), "{read}");
        let info = vault(at).list().unwrap();
        let roots = info.iter().filter(|info| read["roots"].get(info.key.kind.name()).is_some());
        assert_eq!(roots.count(), read["roots"].as_object().unwrap().len());
        if needed != 2 {
            continue;
        }
        assert!(read["roots"].as_object().unwrap().len() > 30, "{read}");

        // The shares of the other program's making, into a vault that has lost the key.
        let lost = tempfile::tempdir().unwrap();
        let at = lost.path();
        room(at);
        let own = |x: &str, part: usize| read["own"][x][part].as_str().unwrap();
        let recover =
            ["ceremony", "recover", "--as", "keys1", "--room", "Room 7", "--roots", "purchase,load"];
        let whose = ["--custodian", "li", "--custodian", "zhao", "--kcv", kcv];
        let lines = |kcv| {
            let (seven, eight) = (own("7", 0), own("8", 0));
            let first = [PASSWORD, PASSWORD, "t", "7", seven, kcv, ""];
            [&first[..], &[PASSWORD, "t", "8", eight, own("8", 1), "", PASSWORD]].concat()
        };
        let (code, said) = ykt(at, &[&recover[..], &whose].concat(), &lines("000000"));
        assert!(code != 0 && said.contains("does not fit its KCV"), "{said}");
        ykt_ok(at, &[&recover[..], &whose].concat(), &lines(own("7", 1)));
        let found = vault(at).list().unwrap();
        for kind in [KeyKind::Seed, KeyKind::Purchase, KeyKind::Load] {
            let kcv =
                |list: &[ykt_vault::KeyInfo]| list.iter().find(|info| info.key.kind == kind).unwrap().kcv;
            assert_eq!(kcv(&found), kcv(&info), "{kind}");
        }
    }
}
