//! Cards and PSAMs through PC/SC, with other people's programs as referees: pcscd with vpcd between, opensc-tool
//! and a pyscard client with MACs of its own on the other side.
//!
//! The test starts a pcscd of its own: its reader file, two free ports, and its socket in the test's folder
//! (bound over /run/pcscd in a mount namespace that only this daemon sees).

use serde_json::Value;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";
/// Debian's interpreter: python3-pyscard and python3-pycryptodome belong to it.
const PYTHON: &str = "/usr/bin/python3";
/// Longest wait for a daemon to be there.
const START_S_MAX: u64 = 30;
const POLL_MS: u64 = 50;

/// A process that ends with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already is as good as ended.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

/// A desk with a card in the first slot and a PSAM in the second.
struct Desk {
    folder: tempfile::TempDir,
    _running: Vec<Running>,
}

impl Desk {
    fn new() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let port = two_free_ports();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("run")).unwrap();
        std::fs::create_dir(path("readers")).unwrap();
        let reader = format!(
            "FRIENDLYNAME \"City Desk\"\nDEVICENAME /dev/null:{port}\nLIBPATH {DRIVER}\nCHANNELID {port}\n"
        );
        std::fs::write(path("readers").join("vpcd"), reader).unwrap();
        assert!(Path::new(DRIVER).exists(), "no {DRIVER}: install vsmartcard-vpcd");

        run(ykt(&folder)
            .args(["card", "new", "--keys", keys(), "--serial", "2144000000000031"])
            .arg(path("card.img")));
        run(ykt(&folder).args(["psam", "new", "--keys", keys()]).arg(path("psam.img")));
        let script = "mkdir -p /run/pcscd && mount --bind \"$1\" /run/pcscd && exec pcscd -f -e -c \"$2\"";
        let mut daemon = Command::new("unshare");
        daemon.args(["-m", "--propagation", "private"]);
        if !run(Command::new("id").arg("-u")).starts_with("0\n") {
            daemon.arg("--map-root-user");
        }
        daemon.args(["sh", "-c", script, "pcscd"]).args([path("run"), path("readers")]);
        let mut running = vec![start(&mut daemon, &path("pcscd.log"))];
        wait("pcscd", &path("pcscd.log"), || path("run/pcscd.comm").exists());
        for (kind, port) in [("card", port), ("psam", port + 1)] {
            let mut serve = ykt(&folder);
            serve.args([kind, "serve", "--vpcd", &format!("127.0.0.1:{port}")]);
            serve.arg(path(&format!("{kind}.img")));
            running.push(start(&mut serve, &path(&format!("{kind}.log"))));
        }
        let desk = Desk { folder, _running: running };
        for slot in ["0", "1"] {
            let present = || {
                let output = desk.tool("opensc-tool").args(["-r", slot, "-a"]).output();
                output.expect("opensc-tool: install opensc").status.success()
            };
            wait(&format!("card in slot {slot}"), &desk.path("pcscd.log"), present);
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ykt(&self) -> Command {
        ykt(&self.folder)
    }

    /// A program that talks to this desk's pcscd.
    fn tool(&self, name: &str) -> Command {
        tool(name, &self.folder)
    }

    fn balance_fen(&self) -> i64 {
        let json = run(self.ykt().args(["pos", "balance", "--card", "0", "--json"]));
        serde_json::from_str::<Value>(&json).unwrap()["balance_fen"].as_i64().unwrap()
    }
}

fn tool(name: &str, folder: &tempfile::TempDir) -> Command {
    let mut command = Command::new(name);
    command.env("PCSCLITE_CSOCK_NAME", folder.path().join("run/pcscd.comm"));
    command
}

fn ykt(folder: &tempfile::TempDir) -> Command {
    tool(env!("CARGO_BIN_EXE_ykt"), folder)
}

fn keys() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/keys.toml")
}

/// Two neighbouring ports that nobody listens on: the driver takes the one it is told and the next.
fn two_free_ports() -> u16 {
    loop {
        let first = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port.checked_add(1).is_some_and(|next| TcpListener::bind(("0.0.0.0", next)).is_ok()) {
            return port;
        }
    }
}

fn start(command: &mut Command, log: &Path) -> Running {
    let log = std::fs::File::create(log).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    Running(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
}

fn wait(what: &str, log: &Path, mut ready: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(START_S_MAX);
    while !ready() {
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        assert!(Instant::now() < end, "no {what} after {START_S_MAX} s: {}", said());
        std::thread::sleep(Duration::from_millis(POLL_MS));
    }
}

/// What the command printed; it must end well.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let Output { status, stdout, stderr } = output;
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}{stderr}");
    stdout.into_owned()
}

#[test]
fn referees_read_load_and_pay_through_pcscd() {
    let desk = Desk::new();

    let load = ["pos", "load", "--card", "0", "--amount", "50", "--keys", keys()];
    assert!(run(desk.ykt().args(load)).contains("50.00 yuan loaded, balance 50.00 yuan"));

    let select = "00:A4:04:00:09:A0:00:00:00:03:86:98:07:01";
    let said = run(desk.tool("opensc-tool").args(["-r", "0", "-s", select, "-s", "80:5C:00:02:04"]));
    let answers: Vec<&str> = said.lines().filter(|line| line.contains("SW1=0x90, SW2=0x00")).collect();
    assert_eq!(answers.len(), 2, "{said}");
    assert!(said.contains("00 00 13 88"), "5,000 fen: {said}");

    let records = desk.path("pos.records");
    let pay = ["pos", "purchase", "--card", "0", "--psam", "1", "--amount", "2.50", "--records"];
    assert!(
        run(desk.ykt().args(pay).arg(&records)).contains("paid: 2.50 yuan, balance 47.50 yuan; record 1")
    );
    assert_eq!(desk.balance_fen(), 4_750);

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/foreign_client.py");
    let said = run(desk.tool(PYTHON).args([script, keys(), "0", "1"]));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["card"], "2144000000000031");
    assert_eq!(said["balance_fen"], 4_750 + 3_000 - 120 - 80);
    assert_eq!(desk.balance_fen(), 7_550);

    let log = run(desk.ykt().args(["pos", "log", "--card", "0", "--json"]));
    let log: Vec<Value> = serde_json::from_str(&log).unwrap();
    let types: Vec<&str> = log.iter().map(|record| record["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["06", "06", "02", "06", "02"], "newest first");
    assert_eq!(log[1]["terminal"], "FEEDFEED0002");

    let batch = ["pos", "batch", "--out", ".", "--records"];
    let said = run(desk.ykt().current_dir(desk.folder.path()).args(batch).arg(&records));
    assert!(said.contains("1 records (0 grey), 2.50 yuan"), "{said}");
}
