//! Keys for issued cards at the command line: at the desk beside the vault, and at a counter that has a certificate only.

use crate::image_cards::{KEYS, ok};
use crate::referee::office::{Counting, PASSPHRASE, PASSWORD, office, ykt};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use ykt_base::{Asn8, DateTime, KeyVersion};
use ykt_city::city::MODULES;
use ykt_kmc::campaigns::{self, CardChoice, NewCampaign};
use ykt_kmc::download::client::certificates;
use ykt_kmc::download::{Download, LineKind, NewLine, NewRight, RightTo, fingerprint};
use ykt_kmc::{Centre, Operation};
use ykt_office::Act;
use ykt_office::cards::{self, CardKind, NewCard};
use ykt_office::people::Role;
use ykt_purse::files::city_factor;
use ykt_store::Store;
use ykt_vault::{KeyAlgorithm, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, KeysFile, SoftVault};

const PAPERS: &str = "[req]\ndistinguished_name = name\n[name]\n[ca]\nbasicConstraints = critical, CA:TRUE\n\
    keyUsage = critical, keyCertSign\n[end]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = DNS:localhost\n";
const CARDS: [&str; 4] = ["2144000000000001", "2144000000000002", "2144000000000003", "2144000000000004"];

fn openssl(at: &Path, arguments: &str) {
    let usual = "-config papers.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365";
    let arguments = arguments.split(' ').chain(usual.split(' '));
    let done = Command::new("openssl").current_dir(at).args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Four cards and a stranger in image files, a campaign over the four, and a counter with a right to it.
fn city(at: &Path) {
    let names = ["one", "two", "three", "four"];
    for (name, number) in names.iter().zip(CARDS).chain([(&"stranger", "2144000000000009")]) {
        ok(at, &["card", "new", "--keys", KEYS, "--serial", number, &format!("{name}.card")]);
    }
    std::fs::write(at.join("papers.cnf"), PAPERS).unwrap();
    openssl(at, "req -x509 -extensions ca -subj /CN=lines -keyout ca.key -out ca.pem");
    for name in ["server", "counter", "nobody"] {
        openssl(
            at,
            &format!(
                "req -x509 -CA ca.pem -CAkey ca.key -extensions end -subj /CN={name} -keyout {name}.key -out {name}.pem"
            ),
        );
    }
    let vault = Arc::new(SoftVault::from_keys(KeysFile::read(Path::new(KEYS)).unwrap()).unwrap());
    let load = KeyPlace::root(KeyRef::new(KeyKind::Load, 1, 2));
    vault.generate(load, KeyAlgorithm::Tdes, &mut Counting(9)).unwrap();
    vault.change_state(&load, KeyState::Active).unwrap();
    let roles =
        [("keys1", Role::KeyAdministrator), ("keys2", Role::KeyAdministrator), ("operator", Role::Operator)];
    office(at, &vault, &roles);
    let path = |name: &str| at.join(name).display().to_string();
    let config = std::fs::read_to_string(at.join("ykt.toml")).unwrap()
        + &format!(
            "[download]\nlisten = \"127.0.0.1:0\"\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\n",
            path("server.pem"),
            path("server.key"),
            path("ca.pem")
        );
    std::fs::write(at.join("ykt.toml"), config).unwrap();

    let store = Store::open(&at.join("data"), MODULES).unwrap();
    let now = DateTime::from_number(20_261_122_090_000).unwrap();
    let [first, second, operator] = ["keys1", "keys2", "operator"].map(|name| Act::of(name, "desk", now));
    let (start, expiry) = ("20260101".parse().unwrap(), "20991231".parse().unwrap());
    for number in CARDS {
        let asn: Asn8 = number.parse().unwrap();
        let (factor, kind, key_version) = (city_factor([0x21, 0x44]), CardKind::Real, KeyVersion(1));
        let new = NewCard { asn, factor, main_type: 1, sub_type: 0, kind, key_version, start, expiry };
        store.write(|tx| cards::register(tx, &[new], &operator)).unwrap();
        store.write(|tx| cards::issue(tx, &[asn], &operator)).unwrap();
    }
    let new = NewCampaign {
        name: "second".to_owned(),
        title: "Second generation".to_owned(),
        profile: campaigns::profile_text("city-cpu").unwrap().to_owned(),
        changes: vec!["load.1:1-2".parse().unwrap()],
        cards: CardChoice::All,
    };
    store.write(|tx| campaigns::plan(tx, &new, &first)).unwrap();
    let centre = Centre::new(store.clone(), vault, None);
    centre.take_over(&operator).unwrap();
    let operation = Operation::StartCampaign { campaign: "second".to_owned() };
    centre.ask(&first, "start".parse().unwrap(), &operation, "they are due").unwrap();
    centre.approve(&second, &"start".parse().unwrap(), &mut Counting(5)).unwrap();
    let download = Download::office(store, []);
    let own = certificates("certificate", &at.join("counter.pem")).unwrap();
    let (name, kind, certificate) = ("counter-1".to_owned(), LineKind::Counter, fingerprint(&own[0]));
    download.add_line(&NewLine { name: name.clone(), kind, certificate }, &operator).unwrap();
    let until = "29991231".parse().unwrap();
    let right = NewRight { line: name, to: RightTo::visits("second"), quota: 3, from: start, until };
    download.give_right(&right, &operator).unwrap();
}

/// A process that is ended when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `ykt serve`; where counters find it comes back.
fn serve(at: &Path) -> (Running, String) {
    let mut served = Command::new(env!("CARGO_BIN_EXE_ykt"))
        .current_dir(at)
        .env("YKT_VAULT_PASSPHRASE", PASSPHRASE)
        .args(["serve", "--listen", "127.0.0.1:0", "--config", "ykt.toml"])
        .stderr(Stdio::piped())
        .spawn()
        .map(Running)
        .unwrap();
    let mut said = BufReader::new(served.0.stderr.take().unwrap());
    let mut line = String::new();
    loop {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "the server ended");
        if let Some((_, port)) = line.trim_end().split_once("key download for lines on https://127.0.0.1:") {
            let centre = format!("localhost:{port}");
            std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
            return (served, centre);
        }
    }
}

#[test]
fn cards_get_their_keys_at_the_desk_and_in_the_city() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    city(at);
    let desk = ["campaign", "run", "--as", "operator", "second"];
    let (code, said) = ykt(at, &[&desk[..], &["one.card", "missing.card"]].concat(), &[PASSWORD]);
    assert!(said.contains("one.card: card ************0001 got load.1.2"), "{said}");
    assert!(said.contains("missing.card: ") && said.contains("1 of 4 cards done, 3 waiting"), "{said}");
    assert_eq!(code, 1, "one card is not there");
    let (code, said) = ykt(at, &[&desk[..], &["one.card"]].concat(), &[PASSWORD]);
    assert!(code == 0 && said.contains("card ************0001 has its keys already"), "{said}");

    let (_served, centre) = serve(at);
    let counter = |name: &str, rest: &[&str]| -> Vec<String> {
        let papers = ["--certificate".into(), format!("{name}.pem"), "--key".into(), format!("{name}.key")];
        let usual = ["campaign", "run", "--centre", &centre, "--ca", "ca.pem"].map(str::to_owned);
        let rest = rest.iter().map(ToString::to_string);
        usual.into_iter().chain(papers).chain(rest).collect()
    };
    let run = |args: Vec<String>| ykt(at, &args.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    let (code, said) = run(counter("counter", &["second", "two.card", "stranger.card", "one.card"]));
    assert!(said.contains("two.card: card ************0002 got load.1.2"), "{said}");
    assert!(said.contains("card ************0009 is not in campaign second: give it back"), "{said}");
    assert!(said.contains("card ************0001 has its keys already"), "{said}");
    assert!(code == 1 && said.contains("2 of 4 cards done, 2 waiting"), "{said}");
    for (args, words, expected) in [
        (counter("nobody", &["second", "three.card"]), "no line has the certificate", 1),
        (counter("counter", &["third", "three.card"]), "no right to campaign third", 1),
        (counter("counter", &["--as", "operator", "second", "three.card"]), "cannot be used with", 2),
        (["campaign", "run", "second", "three.card"].map(str::to_owned).to_vec(), "--as", 2),
        (["campaign", "run", "--centre", "x:1", "second", "c"].map(str::to_owned).to_vec(), "--ca", 2),
    ] {
        let (code, said) = run(args.clone());
        assert!(code == expected && said.contains(words), "{args:?}: {code}, {said}");
    }

    // Somebody else's counter, with a reader of its own; every call is repeated.
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/referee/counter.py");
    let (host, port) = centre.split_once(':').unwrap();
    let done = Command::new("/usr/bin/python3")
        .current_dir(at)
        .args(["-B", script, host, port, "second", "showing-1"])
        .args([env!("CARGO_BIN_EXE_ykt"), "card", "apdu", "four.card"])
        .output()
        .unwrap();
    let [said, wrong] = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(done.status.success(), "{said}{wrong}");
    let steps: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (first, last) = (steps.first().unwrap(), steps.last().unwrap());
    let commands = ["00A4040009A0000000038698070100", "00B095001E"];
    assert_eq!(first, &json!({"step": 1, "commands": commands}), "as docs/key-download.md prints it");
    assert_eq!(last["ended"]["written"], json!(["load.1.2"]), "{last}");
    assert_eq!((&last["ended"]["code"], &last["ended"]["card"]), (&json!("done"), &json!(CARDS[3])));

    // Cards come to the reader one after the other, until Ctrl-C.
    let mut follows = Command::new(env!("CARGO_BIN_EXE_ykt"))
        .current_dir(at)
        .args(counter("counter", &["--follow", "second", "reader.card"]))
        .stdout(Stdio::piped())
        .spawn()
        .map(Running)
        .unwrap();
    let mut said = BufReader::new(follows.0.stdout.take().unwrap());
    std::fs::rename(at.join("three.card"), at.join("reader.card")).unwrap();
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "reader.card: card ************0003 got load.1.2\n");
    let interrupted = Command::new("kill").args(["-INT", &follows.0.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    line.clear();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "4 of 4 cards done, 0 waiting, 0 begun, 0 stopped\n");
    assert_eq!(follows.0.wait().unwrap().code(), Some(0));
}
