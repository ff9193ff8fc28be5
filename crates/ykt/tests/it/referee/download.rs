//! Key download with a line of another's making: `line.py` makes two cards through `ykt serve`, opens every command it is
//! given with its own derivations, pays with the cards, and asks for what it may not have.

use super::office::{Counting, PASSPHRASE, PASSWORD, office, ykt_ok};
use super::told;
use crate::download::{PAPERS, Served, openssl};
use crate::image_cards::{KEYS, ok};
use serde_json::json;
use std::path::Path;
use ykt_office::people::Role;
use ykt_vault::{
    KeyAlgorithm, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, KeysFile, Scheme, SoftVault,
};

/// Index of the keys that compute with SM4.
const SM4_INDEX: u8 = 7;

/// The vault of the documented key file, with a second set of cards' keys that compute with SM4.
fn vault() -> SoftVault {
    let vault = SoftVault::from_keys(KeysFile::read(Path::new(KEYS)).unwrap()).unwrap();
    for kind in KeyKind::ALL.iter().filter(|kind| kind.scheme() == Scheme::Card) {
        let place = KeyPlace::root(KeyRef::new(*kind, SM4_INDEX, 1));
        if vault.generate(place, KeyAlgorithm::Sm4, &mut Counting(kind.code())).is_ok() {
            vault.change_state(&place, KeyState::Active).unwrap();
        }
    }
    vault
}

/// The profile of city cards with the keys of that set.
fn with_sm4(profile: &str) -> String {
    let line = |line: &str| match line.split_once(" = ") {
        Some(("name", _)) => "name = \"city-sm4\"".to_owned(),
        Some(("do", "\"write-key\"")) => format!("{line}\nalgorithm = \"sm4\""),
        Some(("key" | "control", kind)) if kind != "\"card-transport\"" => {
            format!("{}/{SM4_INDEX}/1\"", line.trim_end_matches('"'))
        }
        _ => line.to_owned(),
    };
    profile.lines().map(|of_profile| line(of_profile) + "\n").collect()
}

#[test]
fn a_line_of_anothers_making_gets_the_right_keys_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    office(at, &vault(), &[("operator", Role::Operator)]);
    let city = ok(at, &["card", "profiles", "city-cpu"]);
    std::fs::write(at.join("city-sm4.toml"), with_sm4(&city)).unwrap();
    std::fs::write(at.join("papers.cnf"), PAPERS).unwrap();
    openssl(at, "req -x509 -extensions ca -subj /CN=lines -keyout ca.key -out ca.pem");
    for name in ["server", "line", "stranger"] {
        let papers = format!("-keyout {name}.key -out {name}.pem");
        openssl(at, &format!("req -x509 -CA ca.pem -CAkey ca.key -extensions end -subj /CN={name} {papers}"));
    }
    let config = std::fs::read_to_string(at.join("ykt.toml")).unwrap()
        + &format!("passphrase_file = {:?}\n", at.join("passphrase"))
        + "[download]\nlisten = \"127.0.0.1:0\"\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
           client_ca = \"ca.pem\"\nprofiles = [\"city-sm4.toml\"]\n";
    std::fs::write(at.join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
    std::fs::write(at.join("ykt.toml"), config).unwrap();

    let operator = |args: &[&str]| {
        ykt_ok(at, &[&["download"], args, &["--as", "operator"]].concat(), &[PASSWORD]);
    };
    operator(&["lines", "add", "line-1", "--certificate", "line.pem"]);
    let profiles = [("city-cpu", "7", city.clone()), ("city-sm4", "8", with_sm4(&city))];
    for (application, digit, _) in &profiles {
        let card = |last: u8| format!("21440000000000{digit}{last},2144\n");
        let file = format!("{application}.csv");
        std::fs::write(at.join(&file), format!("card,city\n{}{}{}", card(1), card(2), card(3))).unwrap();
        operator(&["batch", "--name", application, "--application", application, &file]);
        let quota = ["--batch", application, "--quota", "2", "--until", "2999-12-31"];
        operator(&[&["right", "line-1", application], &quota[..]].concat());
    }

    let (_served, centre) = Served::start(at, "ykt.toml");
    let (_, port) = centre.rsplit_once(':').unwrap();
    for (application, digit, profile) in &profiles {
        let chips = ["one", "two"].map(|number| format!("{application}-{number}.img"));
        for chip in &chips {
            ok(at, &["card", "blank", "--profile", "city-cpu", chip]);
        }
        let asked = json!({
            "port": port.parse::<u16>().unwrap(), "vault": "vault.sealed",
            "unlock": { "operators": { "": PASSPHRASE } }, "profile": profile, "batch": application,
            "chips": chips, "ykt": env!("CARGO_BIN_EXE_ykt"),
        });
        let read = told(at, "line.py", &[], &asked);
        for kind in
            ["card-master", "application-master", "load", "purchase", "tac", "pin-reload", "write-pin"]
        {
            assert_eq!(read["checked"][kind], 2, "{read}");
        }
        assert_eq!(read["opened"][1]["card"], format!("21440000000000{digit}2"));
        assert_eq!(
            (&read["progress"]["done"], &read["progress"]["failed"]),
            (&1.into(), &1.into()),
            "{read}"
        );
        assert_eq!(read["again"]["refused"][0]["code"], "done-already", "{read}");
        let shown = ok(at, &["card", "show", &chips[0]]);
        assert!(shown.contains(&format!("21440000000000{digit}1")), "{shown}");
    }
}
