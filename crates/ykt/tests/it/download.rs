//! Key download from the command line: the office takes a line in, the line makes a batch through a running server, a
//! counter adds an application to a card; and what a line may not do.

use crate::image_cards::{ok, refused};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use ykt_office::people::DEMO_PASSWORD;

pub const PAPERS: &str = "[req]\ndistinguished_name = name\n[name]\n[ca]\nbasicConstraints = critical, CA:TRUE\n\
    [end]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = DNS:localhost\n";
/// An application of one key file, with keys that the demo's vault has.
const ADDITION: &str = r#"
name = "loyalty"
title = "Loyalty points, added to an issued city card"
card = "user"
atr = "3B888001 594B542D43415244 76"
transport = "card-transport"
[[step]]
title = "to the master file"
do = "select"
fid = "3F00"
[[step]]
title = "prove the card master key"
do = "authenticate"
key = "card-master"
id = 0
[[step]]
title = "application"
do = "create-application"
fid = "1009"
aid = "F0594B544C4F01"
size = 256
create = "01"
[[step]]
title = "enter it"
do = "select"
fid = "1009"
[[step]]
title = "its key file"
do = "create-keys"
size = 72
add = "F0"
[[step]]
title = "its master key"
do = "write-key"
key = "application-master"
control = "card-master"
id = 0
"#;
const CONFIG: [&str; 2] = ["--config", "city/ykt.toml"];

pub fn openssl(at: &Path, arguments: &str) {
    let usual = "-config papers.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365";
    let arguments = arguments.split(' ').chain(usual.split(' '));
    let done = Command::new("openssl").current_dir(at).args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Runs an act of the operator, who types the password.
fn as_operator(at: &Path, args: &[&str]) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ykt"))
        .current_dir(at)
        .args(["download"])
        .args(args)
        .args(CONFIG)
        .args(["--as", "operator"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{DEMO_PASSWORD}").unwrap();
    let done = child.wait_with_output().unwrap();
    let said = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(done.status.success(), "{args:?}: {said}");
    said
}

/// `ykt serve`, ended when it is dropped.
pub struct Served(Child);

impl Served {
    /// Starts it; the port of the service comes back.
    pub fn start(at: &Path, config: &str) -> (Served, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ykt"))
            .current_dir(at)
            .args(["serve", "--listen", "127.0.0.1:0", "--config", config])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let port = loop {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "the server ended");
            if let Some((_, port)) =
                line.trim_end().split_once("key download for lines on https://127.0.0.1:")
            {
                break port.to_owned();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        (Served(child), format!("localhost:{port}"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn client<'a>(act: &'a str, centre: &'a str, papers: [&'a str; 2], more: &[&'a str]) -> Vec<&'a str> {
    let [certificate, key] = papers;
    let usual =
        ["download", act, "--centre", centre, "--ca", "ca.pem", "--certificate", certificate, "--key", key];
    [&usual[..], more].concat()
}

#[test]
fn a_line_and_a_counter_at_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    ok(at, &["demo", "--cards", "10", "--terminals", "4", "--merchants", "2", "--data", "city"]);
    std::fs::write(at.join("papers.cnf"), PAPERS).unwrap();
    openssl(at, "req -x509 -extensions ca -subj /CN=lines -keyout ca.key -out ca.pem");
    for name in ["server", "line", "counter"] {
        openssl(
            at,
            &format!(
                "req -x509 -CA ca.pem -CAkey ca.key -extensions end -subj /CN={name} -keyout {name}.key -out {name}.pem"
            ),
        );
    }
    let mut config = std::fs::read_to_string(at.join("city/ykt.toml")).unwrap();
    let file = |name: &str| at.join(name).display().to_string();
    config += &format!(
        "\n[download]\nlisten = \"127.0.0.1:0\"\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\nprofiles = [{:?}]\n",
        file("server.pem"),
        file("server.key"),
        file("ca.pem"),
        file("loyalty.toml")
    );
    std::fs::write(at.join("loyalty.toml"), ADDITION).unwrap();
    std::fs::write(at.join("city/ykt.toml"), config).unwrap();

    as_operator(at, &["lines", "add", "line-1", "--certificate", "line.pem"]);
    as_operator(at, &["lines", "add", "counter-1", "--certificate", "counter.pem", "--counter"]);
    let cards: String = (1..=5).map(|card| format!("21440077000000{card:02},2144\n")).collect();
    std::fs::write(at.join("cards.csv"), format!("card,city\n{cards}")).unwrap();
    assert!(
        as_operator(at, &["batch", "--name", "b1", "cards.csv"]).contains("batch b1: 5 cards for city-cpu")
    );
    as_operator(
        at,
        &["right", "line-1", "city-cpu", "--batch", "b1", "--quota", "5", "--until", "2999-12-31"],
    );
    as_operator(at, &["right", "counter-1", "loyalty", "--quota", "1", "--until", "2999-12-31"]);

    let (served, centre) = Served::start(at, CONFIG[1]);
    let line = |more: &[&'static str]| {
        let usual = ["--batch", "b1", "--out", "cards", "--abreast", "2"];
        let papers = ["line.pem", "line.key"];
        client("line", &centre, papers, &[&usual[..], more].concat())
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let run = line(&[]);
    let run: Vec<&str> = run.iter().map(String::as_str).collect();
    assert!(ok(at, &run).contains("5 done, 0 under way, 0 failed, 0 waiting"));
    let shown = ok(at, &["card", "show", "cards/2144007700000003.card"]);
    assert!(shown.contains("2144007700000003"), "{shown}");
    assert!(ok(at, &run).contains("5 done"), "nothing is made twice");
    let strange = client("line", &centre, ["counter.pem", "counter.key"], &["--batch", "b1", "--out", "x"]);
    refused(at, &strange, (1, "no right to city-cpu for batch b1"));

    let card = "city/hands-on.card";
    let counter = |card| {
        client("card", &centre, ["counter.pem", "counter.key"], &["--application", "loyalty.toml", card])
    };
    let add = counter(card);
    assert!(ok(at, &add).contains("loyalty added"));
    refused(at, &add, (1, "the centre refused: done-already"));
    refused(at, &counter("cards/2144007700000001.card"), (1, "has 0 cards left, 1 were asked for"));
    drop(served);

    as_operator(at, &["lines", "stop", "line-1"]);
    let listed = |what: &str| ok(at, &[&["download", what], &CONFIG[..]].concat());
    assert!(listed("lines").contains("stopped"));
    assert!(listed("batches").contains("5 done, 0 under way, 0 failed, 0 waiting"));
    assert!(listed("rights").contains("5 of       5 used"));
    let (_served, centre) = Served::start(at, CONFIG[1]);
    let stopped = client("line", &centre, ["line.pem", "line.key"], &["--batch", "b1", "--out", "cards"]);
    refused(at, &stopped, (1, "line line-1 is stopped"));
}
