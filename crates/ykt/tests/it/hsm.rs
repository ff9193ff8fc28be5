//! A vault in a token, from the configuration: made, looked at, refused where it must be. The token is SoftHSM2's.

use crate::image_cards::KEYS;
use std::fs;
use std::process::Command;
use tempfile::TempDir;

/// A folder with a token, and a configuration that names it.
struct Room(TempDir);

impl Room {
    fn new() -> Room {
        let room = Room(TempDir::new().unwrap());
        let at = room.0.path();
        fs::create_dir(at.join("tokens")).unwrap();
        let tokens = at.join("tokens");
        let text = format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display());
        fs::write(at.join("softhsm2.conf"), text).unwrap();
        fs::write(at.join("pin"), "1234\n").unwrap();
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", "kmc", "--so-pin", "12345678", "--pin", "1234"])
            .env("SOFTHSM2_CONF", at.join("softhsm2.conf"))
            .output()
            .expect("softhsm2-util is there: scripts/setup");
        assert!(made.status.success());
        room.configured("demo", "/usr/lib/softhsm/libsofthsm2.so");
        room
    }

    fn configured(&self, environment: &str, module: &str) {
        let text = format!(
            "environment = \"{environment}\"\ndata = \"data\"\n[server]\nlisten = \"127.0.0.1:0\"\n[vault]\n\
             backend = \"pkcs11\"\n[vault.pkcs11]\nmodule = \"{module}\"\ntoken = \"kmc\"\npin_file = \"pin\"\n"
        );
        fs::write(self.0.path().join("ykt.toml"), text).unwrap();
    }

    /// Whether it was done, and everything that was said.
    fn ykt(&self, args: &[&str]) -> (bool, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_ykt"))
            .current_dir(self.0.path())
            .env("SOFTHSM2_CONF", self.0.path().join("softhsm2.conf"))
            .args(args)
            .args(["--config", "ykt.toml"])
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (output.status.success(), said)
    }

    fn done(&self, args: &[&str]) -> String {
        let (done, said) = self.ykt(args);
        assert!(done, "{args:?}: {said}");
        said
    }

    fn refused(&self, args: &[&str], why: &str) {
        let (done, said) = self.ykt(args);
        assert!(!done && said.contains(why), "{args:?}: {said}");
    }
}

#[test]
fn a_token_becomes_the_vault_of_the_configuration() {
    let room = Room::new();
    room.refused(&["vault", "list"], "ykt vault init-token");
    let made = room.done(&["vault", "init-token", "--keys", KEYS]);
    assert!(made.contains("made a vault in the token \"kmc\" (SoftHSM v2"), "{made}");
    room.refused(&["vault", "init-token"], "holds a vault already");
    let status = room.done(&["vault", "status"]);
    assert!(status.contains("pkcs11") && status.contains("demo"), "{status}");
    let listed = room.done(&["vault", "list"]);
    assert!(listed.contains("purchase") && listed.contains("key-transport"), "{listed}");
    assert!(!listed.contains("signing"), "a token has no SM2");
    // Real money is not kept by these keys, whatever keeps them.
    room.configured("production", "/usr/lib/softhsm/libsofthsm2.so");
    room.refused(&["serve"], "demonstration keys");
}

#[test]
fn what_keeps_a_token_from_opening_is_said() {
    let room = Room::new();
    room.configured("demo", "/nowhere/pkcs11.so");
    room.refused(&["vault", "status"], "/nowhere/pkcs11.so");
    room.configured("demo", "/usr/lib/softhsm/libsofthsm2.so");
    fs::write(room.0.path().join("pin"), "9876").unwrap();
    room.refused(&["serve"], "does not let the user in");
    fs::remove_file(room.0.path().join("pin")).unwrap();
    room.refused(&["serve"], "PIN file");
}
