//! A token of its own for every test.
//!
//! A PKCS#11 module is initialised once per process and reads then where its tokens are, so each test runs in a process
//! of its own: the test starts the test program again, for itself alone, with a fresh token.

use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;
use ykt_hsm::{HsmVault, PinSource, Settings, TokenName};
use ykt_vault::{
    ImportedKey, KeyAlgorithm, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, KeyValue, KeysFile,
    Levels, Origin, ReadKeys, Vault, behaviour,
};

/// Label of the token.
pub const LABEL: &str = "kmc";
/// Its user's PIN.
pub const PIN: &str = "1234";
const SO_PIN: &str = "12345678";
/// Tells the module where its tokens are.
const CONFIGURATION: &str = "SOFTHSM2_CONF";
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
    if let Some(token) = Token::here() {
        return body(&token);
    }
    let thread = std::thread::current();
    let test = thread.name().expect("a test has a name");
    let token = FreshToken::new();
    let done = token.with_program(&[test, "--exact", "--nocapture"]).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && said.contains("1 passed"), "{test}:\n{said}");
}

/// A token for another process; gone when dropped.
pub struct FreshToken {
    folder: TempDir,
    configuration: PathBuf,
}

impl FreshToken {
    /// Makes one.
    pub fn new() -> FreshToken {
        // Tests try no disk: where there is a file system in memory, a token is written there in no time.
        let folder = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        let tokens = folder.path().join("tokens");
        std::fs::create_dir(&tokens).unwrap();
        let configuration = folder.path().join("softhsm2.conf");
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        std::fs::write(&configuration, text).unwrap();
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", LABEL, "--so-pin", SO_PIN, "--pin", PIN])
            .env(CONFIGURATION, &configuration)
            .output()
            .expect("softhsm2-util is there: scripts/setup");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::write(folder.path().join("pin"), PIN).unwrap();
        FreshToken { folder, configuration }
    }

    /// This program again, with the token.
    pub fn with_program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(arguments).env(HERE, self.folder.path()).env(CONFIGURATION, &self.configuration);
        command
    }
}

/// The keys of the documented key file.
pub fn documented_keys() -> ReadKeys {
    KeysFile::parse(behaviour::KEYS).and_then(KeysFile::into_keys).unwrap()
}

/// A vault with the keys of the documented key file.
pub fn filled(token: &Token) -> HsmVault {
    let ReadKeys { levels, origin, keys } = documented_keys();
    let vault = HsmVault::create(token.settings(), levels, origin).unwrap();
    let able = vault.capabilities();
    for key in keys.into_iter().filter(|key| able.contains(&key.value.algorithm())) {
        vault.import(key).unwrap();
    }
    vault
}

/// A transport key for many, the same in every vault.
pub fn transport_key() -> ImportedKey {
    ImportedKey {
        place: KeyPlace::root(KeyRef::new(KeyKind::KeyTransport, 9, 1)),
        state: KeyState::Active,
        value: KeyValue::from_bytes(KeyAlgorithm::Aes256, &[0x5A; 32]).unwrap(),
        kcv: None,
    }
}

/// A vault with one key, which makes the others' work short: an active load key.
pub fn with_a_load_key(token: &Token) -> HsmVault {
    let vault = HsmVault::create(token.settings(), Levels::nation_city_card(), Origin::Demo).unwrap();
    let place = KeyPlace::root(KeyRef::new(KeyKind::Load, 1, 1));
    let value = KeyValue::from_bytes(KeyAlgorithm::Tdes, &[0x31; 16]).unwrap();
    vault.import(ImportedKey { place, state: KeyState::Active, value, kcv: None }).unwrap();
    vault
}

impl Token {
    /// The one this process was started with.
    pub fn here() -> Option<Token> {
        std::env::var_os(HERE).map(|folder| Token { folder: folder.into() })
    }

    /// How to open it.
    pub fn settings(&self) -> Settings {
        let pin = PinSource::File(self.pin_file());
        Settings::new(self.module(), TokenName::Label(LABEL.to_owned()), pin)
    }

    /// The file that holds the user's PIN.
    pub fn pin_file(&self) -> PathBuf {
        self.folder.join("pin")
    }

    /// Where the module keeps its tokens.
    pub fn files(&self) -> PathBuf {
        self.folder.join("tokens")
    }

    /// Takes the token away, as if it were pulled out.
    pub fn pull_out(&self) {
        std::fs::rename(self.files(), self.folder.join("pulled out")).unwrap();
        std::fs::create_dir(self.files()).unwrap();
    }

    /// Puts it back.
    pub fn put_back(&self) {
        std::fs::remove_dir(self.files()).unwrap();
        std::fs::rename(self.folder.join("pulled out"), self.files()).unwrap();
    }

    /// What OpenSC's `pkcs11-tool` says, signed in as the user.
    pub fn foreign_reader(&self, arguments: &[&str]) -> (bool, String) {
        let said = Command::new("pkcs11-tool")
            .arg("--module")
            .arg(self.module())
            .args(["--token-label", LABEL, "--login", "--pin", PIN])
            .args(arguments)
            .output()
            .expect("pkcs11-tool is there: scripts/setup");
        let text =
            String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
        (said.status.success(), text)
    }

    /// Every object a foreign reader sees.
    pub fn listed(&self) -> String {
        let (seen, text) = self.foreign_reader(&["--list-objects"]);
        assert!(seen, "{text}");
        text
    }

    /// The module.
    pub fn module(&self) -> PathBuf {
        let found = MODULES.into_iter().map(PathBuf::from).find(|path| path.exists());
        found.expect("SoftHSM2 is there: scripts/setup")
    }
}
