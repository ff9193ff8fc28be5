//! An installation for the readers: a sealed vault, people, and `ykt` with what they type.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use ykt_base::{DateTime, Rng};
use ykt_city::city::MODULES;
use ykt_office::Act;
use ykt_office::people::{FirstPassword, HashCost, NewUser, Password, People, Role, SignInRules};
use ykt_store::Store;
use ykt_vault::{Hardness, SoftVault, Unlock};

pub const PASSWORD: &str = "Blue-Lamp-42";
pub const PASSPHRASE: &str = "correct horse battery";

/// Randomness that is the same at each run.
pub struct Counting(pub u8);

impl Rng for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(77).wrapping_add(101);
            *byte = self.0;
        }
    }
}

pub fn unlock() -> Unlock {
    Unlock::passphrase(PASSPHRASE)
}

/// `ykt.toml`, `vault.sealed` and a data directory with people of these roles.
pub fn office(at: &Path, vault: &SoftVault, people: &[(&str, Role)]) {
    vault.seal(&at.join("vault.sealed"), &unlock(), Hardness::TEST, &mut Counting(3)).unwrap();
    let config = "environment = \"demo\"\ndata = \"data\"\n[vault]\nfile = \"vault.sealed\"\n";
    std::fs::write(at.join("ykt.toml"), config).unwrap();
    let store = Store::open(&at.join("data"), MODULES).unwrap();
    let rules = SignInRules { cost: HashCost::LEAST, ..SignInRules::default() };
    let desk = People::new(store, rules, &mut Counting(1)).unwrap();
    let now = DateTime::from_number(20_261_122_090_000).unwrap();
    for (name, role) in people {
        let new = NewUser {
            name: (*name).to_owned(),
            full_name: name.to_uppercase(),
            role: *role,
            staff_number: name.parse().ok(),
            first_password: FirstPassword::MayStay,
        };
        desk.add(&new, &Password::from(PASSWORD), &mut Counting(2), &Act::of_system("setup", now)).unwrap();
    }
}

/// The vault of the installation, beside whoever else has it open.
pub fn vault(at: &Path) -> SoftVault {
    SoftVault::open(&at.join("vault.sealed"), &unlock()).unwrap()
}

/// `ykt … --config ykt.toml` with these lines typed: its exit code, and all it said.
pub fn ykt(at: &Path, args: &[&str], lines: &[&str]) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ykt"))
        .current_dir(at)
        .env("YKT_VAULT_PASSPHRASE", PASSPHRASE)
        .args(args)
        .args(["--config", "ykt.toml"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    // A command that refuses at once leaves it unread.
    let _unread = child.stdin.take().unwrap().write_all(lines.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), said)
}

/// As [`ykt`], which must succeed.
pub fn ykt_ok(at: &Path, args: &[&str], lines: &[&str]) -> String {
    let (code, said) = ykt(at, args, lines);
    assert_eq!(code, 0, "{args:?}: {said}");
    said
}
