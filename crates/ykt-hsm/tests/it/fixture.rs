//! A token of its own for every test.
//!
//! A PKCS#11 module is initialised once per process and reads then where its tokens are, so each test runs in a process
//! of its own: the test starts the test program again, for itself alone, with a fresh token.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use ykt_hsm::{HsmVault, PinSource, Settings, TokenName};
use ykt_vault::{KeyManagement, KeysFile, ReadKeys, Vault, behaviour};

/// Label of the token.
pub const LABEL: &str = "kmc";
/// Its user's PIN.
pub const PIN: &str = "1234";
const SO_PIN: &str = "12345678";
/// Tells the second process that it is the one.
const HERE: &str = "YKT_TEST_TOKEN";
/// Where Linux distributions keep the module.
const MODULES: [&str; 5] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];

/// The token of this process.
pub struct Token {
    folder: PathBuf,
}

/// Runs `body` in a process of its own, with a fresh token.
pub fn with_token(body: impl FnOnce(&Token)) {
    if let Some(folder) = std::env::var_os(HERE) {
        return body(&Token { folder: folder.into() });
    }
    let folder = TempDir::new().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    std::fs::write(&configuration, text).unwrap();
    initialise(&configuration, LABEL);
    std::fs::write(folder.path().join("pin"), PIN).unwrap();
    let thread = std::thread::current();
    let test = thread.name().expect("a test has a name").to_owned();
    let done = Command::new(std::env::current_exe().unwrap())
        .args([&test, "--exact", "--nocapture"])
        .env(HERE, folder.path())
        .env("SOFTHSM2_CONF", &configuration)
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && said.contains("1 passed"), "{test}:\n{said}");
}

/// A vault with the keys of the documented key file.
pub fn filled(token: &Token) -> HsmVault {
    let ReadKeys { levels, origin, keys } =
        KeysFile::parse(behaviour::KEYS).and_then(KeysFile::into_keys).unwrap();
    let vault = HsmVault::create(token.settings(), levels, origin).unwrap();
    let able = vault.capabilities();
    for key in keys.into_iter().filter(|key| able.contains(&key.value.algorithm())) {
        vault.import(key).unwrap();
    }
    vault
}

fn initialise(configuration: &Path, label: &str) {
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", PIN])
        .env("SOFTHSM2_CONF", configuration)
        .output()
        .expect("softhsm2-util is there: scripts/setup");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

impl Token {
    /// How to open it.
    pub fn settings(&self) -> Settings {
        let pin = PinSource::File(self.folder.join("pin"));
        Settings::new(self.module(), TokenName::Label(LABEL.to_owned()), pin)
    }

    /// The module.
    pub fn module(&self) -> PathBuf {
        let found = MODULES.into_iter().map(PathBuf::from).find(|path| path.exists());
        found.expect("SoftHSM2 is there: scripts/setup")
    }
}
