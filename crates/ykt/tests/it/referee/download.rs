//! Key download with a line of another's making: `line.py` makes two cards through `ykt serve`, opens every command it is
//! given with its own derivations, pays with the cards, and asks for what it may not have.

use super::office::{PASSPHRASE, PASSWORD, office, ykt_ok};
use super::told;
use crate::download::{PAPERS, Served, openssl};
use crate::image_cards::{KEYS, ok};
use serde_json::json;
use std::path::Path;
use ykt_office::people::Role;
use ykt_vault::{KeysFile, SoftVault};

#[test]
fn a_line_of_anothers_making_gets_the_right_keys_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let keys = KeysFile::read(Path::new(KEYS)).unwrap();
    office(at, &SoftVault::from_keys(keys).unwrap(), &[("operator", Role::Operator)]);
    std::fs::write(at.join("papers.cnf"), PAPERS).unwrap();
    openssl(at, "req -x509 -extensions ca -subj /CN=lines -keyout ca.key -out ca.pem");
    for name in ["server", "line", "stranger"] {
        let papers = format!("-keyout {name}.key -out {name}.pem");
        openssl(at, &format!("req -x509 -CA ca.pem -CAkey ca.key -extensions end -subj /CN={name} {papers}"));
    }
    let config = std::fs::read_to_string(at.join("ykt.toml")).unwrap()
        + &format!("passphrase_file = {:?}\n", at.join("passphrase"))
        + "[download]\nlisten = \"127.0.0.1:0\"\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
           client_ca = \"ca.pem\"\n";
    std::fs::write(at.join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
    std::fs::write(at.join("ykt.toml"), config).unwrap();

    let operator = |args: &[&str]| {
        ykt_ok(at, &[&["download"], args, &["--as", "operator"]].concat(), &[PASSWORD]);
    };
    let cards = "card,city\n2144000000000071,2144\n2144000000000072,2144\n2144000000000073,2144\n";
    std::fs::write(at.join("cards.csv"), cards).unwrap();
    operator(&["lines", "add", "line-1", "--certificate", "line.pem"]);
    operator(&["batch", "--name", "b1", "cards.csv"]);
    operator(&["right", "line-1", "city-cpu", "--batch", "b1", "--quota", "2", "--until", "2999-12-31"]);
    for chip in ["one.img", "two.img"] {
        ok(at, &["card", "blank", "--profile", "city-cpu", chip]);
    }

    let (_served, centre) = Served::start(at, "ykt.toml");
    let (_, port) = centre.rsplit_once(':').unwrap();
    let asked = json!({
        "port": port.parse::<u16>().unwrap(), "vault": "vault.sealed", "unlock": { "operators": { "": PASSPHRASE } },
        "profile": ok(at, &["card", "profiles", "city-cpu"]), "batch": "b1", "chips": ["one.img", "two.img"],
        "ykt": env!("CARGO_BIN_EXE_ykt"),
    });
    let read = told(at, "line.py", &[], &asked);
    for kind in ["card-master", "application-master", "load", "purchase", "tac", "pin-reload", "write-pin"] {
        assert_eq!(read["checked"][kind], 2, "{read}");
    }
    assert_eq!(read["opened"][1]["card"], "2144000000000072");
    assert_eq!((&read["progress"]["done"], &read["progress"]["failed"]), (&1.into(), &1.into()), "{read}");
    assert_eq!(read["again"]["refused"][0]["code"], "done-already", "{read}");
    let shown = ok(at, &["card", "show", "one.img"]);
    assert!(shown.contains("2144000000000071"), "{shown}");
}
