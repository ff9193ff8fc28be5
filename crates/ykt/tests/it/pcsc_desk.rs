//! A desk with readers of its own: pcscd with vpcd between, a card in the first slot, a PSAM in the second.
//!
//! The daemon gets its own reader file, two free ports, and its socket in the desk's folder (bound over
//! /run/pcscd in a mount namespace that only this daemon sees).

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";
/// Longest wait for a daemon to be there.
const START_S_MAX: u64 = 30;
const POLL_MS: u64 = 50;

/// A process that ends with its owner.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already is as good as ended.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

/// A desk with a card in the first slot and a PSAM in the second.
pub struct Desk {
    folder: tempfile::TempDir,
    _running: Vec<Running>,
}

impl Desk {
    /// Makes card and PSAM, starts pcscd, and waits until it shows them.
    pub fn new() -> Desk {
        Desk::set(None)
    }

    /// A desk with another card in its second slot: what `second` makes is started, and connects to the port it
    /// is given.
    #[allow(dead_code, reason = "the benchmark asks for it")]
    pub fn beside(second: &dyn Fn(u16) -> Command) -> Desk {
        Desk::set(Some(second))
    }

    /// A desk with blank chips, or PSAMs, of these images in its slots.
    #[allow(dead_code, reason = "the benchmark does not ask for it")]
    pub fn of_psams(images: &[PathBuf; 2]) -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let port = two_free_ports();
        let mut slot = 0;
        let servers = images.each_ref().map(|image| {
            let mut serve = ykt(&folder);
            serve.args(["psam", "serve", "--vpcd", &format!("127.0.0.1:{}", port + slot)]).arg(image);
            slot += 1;
            serve
        });
        Desk::serving(folder, port, servers)
    }

    /// A desk whose two slots are filled by what these commands start, which connect to the port they are given and
    /// to the next one.
    #[allow(dead_code, reason = "the benchmark does not ask for it")]
    pub fn served(servers: &dyn Fn(u16) -> [Command; 2]) -> Desk {
        let port = two_free_ports();
        Desk::serving(tempfile::tempdir().unwrap(), port, servers(port))
    }

    fn set(second: Option<&dyn Fn(u16) -> Command>) -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let port = two_free_ports();
        let path = |name: &str| folder.path().join(name);
        run(ykt(&folder)
            .args(["card", "new", "--keys", keys(), "--serial", "2144000000000031"])
            .arg(path("card.img")));
        run(ykt(&folder).args(["psam", "new", "--keys", keys()]).arg(path("psam.img")));
        let served = |kind: &str, port: u16| {
            let mut serve = ykt(&folder);
            serve.args([kind, "serve", "--vpcd", &format!("127.0.0.1:{port}")]);
            serve.arg(path(&format!("{kind}.img")));
            serve
        };
        let second = second.map_or_else(|| served("psam", port + 1), |second| second(port + 1));
        let first = served("card", port);
        Desk::serving(folder, port, [first, second])
    }

    /// Starts pcscd with a reader of two slots at `port` and the next one, and what serves the cards in them.
    fn serving(folder: tempfile::TempDir, port: u16, servers: [Command; 2]) -> Desk {
        let path = |name: &str| folder.path().join(name);
        let reader = format!(
            "FRIENDLYNAME \"City Desk\"\nDEVICENAME /dev/null:{port}\nLIBPATH {DRIVER}\nCHANNELID {port}\n"
        );
        assert!(Path::new(DRIVER).exists(), "no {DRIVER}: install vsmartcard-vpcd");
        let mut running = vec![pcscd(folder.path(), &reader, &[])];
        for (slot, mut serve) in servers.into_iter().enumerate() {
            running.push(start(&mut serve, &path(&format!("slot{slot}.log"))));
        }
        let desk = Desk { folder, _running: running };
        wait_for_card(desk.folder.path(), 0);
        wait_for_card(desk.folder.path(), 1);
        desk
    }

    /// A file of the desk.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The binary under test, at this desk.
    pub fn ykt(&self) -> Command {
        ykt(&self.folder)
    }

    /// A program that talks to this desk's pcscd.
    pub fn tool(&self, name: &str) -> Command {
        tool(name, self.folder.path())
    }
}

/// A pcscd of its own with one reader, an entry of its reader file; its socket and its log are in `folder`.
pub fn pcscd(folder: &Path, reader: &str, environment: &[(&str, String)]) -> Running {
    let path = |name: &str| folder.join(name);
    std::fs::create_dir(path("run")).unwrap();
    std::fs::create_dir(path("readers")).unwrap();
    std::fs::write(path("readers/entry"), reader).unwrap();
    let script = "mkdir -p /run/pcscd && mount --bind \"$1\" /run/pcscd && shift && exec env \"$@\"";
    let mut daemon = Command::new("unshare");
    daemon.args(["-m", "--propagation", "private"]);
    if !run(Command::new("id").arg("-u")).starts_with("0\n") {
        daemon.arg("--map-root-user");
    }
    daemon.args(["sh", "-c", script, "pcscd"]).arg(path("run"));
    daemon.args(environment.iter().map(|(name, value)| format!("{name}={value}")));
    daemon.args(["pcscd", "-f", "-e", "-c"]).arg(path("readers"));
    let running = start(&mut daemon, &path("pcscd.log"));
    wait("pcscd", &path("pcscd.log"), || path("run/pcscd.comm").exists());
    running
}

/// Waits until the pcscd of `folder` shows a card in this reader.
pub fn wait_for_card(folder: &Path, reader: usize) {
    let present = || {
        let output = tool("opensc-tool", folder).args(["-r", &reader.to_string(), "-a"]).output();
        output.expect("opensc-tool: install opensc").status.success()
    };
    wait(&format!("card in reader {reader}"), &folder.join("pcscd.log"), present);
}

/// A program that talks to the pcscd of `folder`.
pub fn tool(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(name);
    command.env("PCSCLITE_CSOCK_NAME", folder.join("run/pcscd.comm"));
    command
}

fn ykt(folder: &tempfile::TempDir) -> Command {
    tool(env!("CARGO_BIN_EXE_ykt"), folder.path())
}

/// The documented key file.
pub fn keys() -> &'static str {
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
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let Output { status, stdout, stderr } = output;
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}{stderr}");
    stdout.into_owned()
}
