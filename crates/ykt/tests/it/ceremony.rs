//! Ceremonies typed in at one keyboard: from the begin to the rehearsal and to recovery, and what is broken off.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use ykt_base::{DateTime, Rng};
use ykt_city::city::MODULES;
use ykt_office::Act;
use ykt_office::people::{FirstPassword, HashCost, NewUser, Password, People, Role, SignInRules};
use ykt_store::Store;
use ykt_vault::{Hardness, KeyKind, Levels, Origin, SoftVault, Unlock, Vault};

pub const PASSWORD: &str = "Blue-Lamp-42";
const PASSPHRASE: &str = "correct horse battery";
pub const TYPED: &str = "0123456789ABCDEF1122334455667788";

struct Steps(u8);

impl Rng for Steps {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(77).wrapping_add(101);
            *byte = self.0;
        }
    }
}

/// A data directory with three custodians and a key administrator, and sealed vaults without a key.
pub fn room() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let store = Store::open(&at.join("data"), MODULES).unwrap();
    let rules = SignInRules { cost: HashCost::LEAST, ..SignInRules::default() };
    let people = People::new(store, rules, &mut Steps(1)).unwrap();
    let now = DateTime::from_number(20_261_122_090_000).unwrap();
    let custodians = ["li", "wang", "zhao"].map(|name| (name, Role::Custodian));
    for (name, role) in custodians.into_iter().chain([("keys1", Role::KeyAdministrator)]) {
        let new = NewUser {
            name: name.to_owned(),
            full_name: name.to_uppercase(),
            role,
            staff_number: name.parse().ok(),
            first_password: FirstPassword::MayStay,
        };
        people.add(&new, &Password::from(PASSWORD), &mut Steps(2), &Act::of_system("setup", now)).unwrap();
    }
    for name in ["first.sealed", "second.sealed"] {
        let vault = SoftVault::empty(Levels::nation_city_card(), Origin::Production);
        vault.seal(&at.join(name), &unlock(), Hardness::TEST, &mut Steps(3)).unwrap();
        let config = format!("environment = \"demo\"\ndata = \"data\"\n[vault]\nfile = \"{name}\"\n");
        std::fs::write(at.join(name).with_extension("toml"), config).unwrap();
    }
    std::fs::create_dir(at.join("paper")).unwrap();
    folder
}

fn unlock() -> Unlock {
    Unlock::passphrase(PASSPHRASE)
}

/// `ykt ceremony` on one of the vaults, with these lines typed and no more.
fn typed(folder: &Path, vault: &str, args: &[&str], lines: &[&str]) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ykt"))
        .current_dir(folder)
        .env("YKT_VAULT_PASSPHRASE", PASSPHRASE)
        .args(["ceremony", "--config", &format!("{vault}.toml")])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A dialogue that ends early leaves the rest unread.
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let _unread = child.stdin.take().unwrap().write_all(lines.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!said.contains(&TYPED[..8]) && !said.contains(PASSWORD), "a secret is shown: {said}");
    (output.status.code().unwrap(), said)
}

fn with<'a>(act: &'a str, custodians: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![act, "--as", "keys1", "--room", "Room 7"];
    args.extend(custodians.iter().flat_map(|name| ["--custodian", *name]));
    args.extend(more);
    args
}

/// What follows a word in what was said: six hex digits.
fn kcv_behind(said: &str, words: &str) -> String {
    let at = said.find(words).unwrap_or_else(|| panic!("{words} in {said}")) + words.len();
    said[at..].trim_start().chars().take(6).collect()
}

/// The code on a sheet, from its cells.
pub fn code_on(path: &Path) -> String {
    let page = std::fs::read_to_string(path).unwrap();
    let rows = page.split("<tr><th>").skip(1).filter(|row| row.contains("class=\"check\""));
    let cell = |cell: &str| cell.split(['>', '<']).nth(1).unwrap_or_default().to_owned();
    rows.flat_map(|row| row.split("<td").skip(1).map(cell).collect::<Vec<_>>()).collect()
}

#[test]
fn a_seed_is_made_rehearsed_and_recovered() {
    let folder = room();
    let at = folder.path();
    let paper =
        ["--sheets", "paper", "--shares", "2", "--roots", "purchase,load", "--protocol", "protocol.txt"];
    let new = with("new", &["li", "wang", "zhao"], &paper);
    let mut lines = vec![PASSWORD];
    // Li types a component of his own twice, Wang and Zhao draw theirs.
    lines.extend([PASSWORD, "t", TYPED, "", TYPED, "", PASSWORD, "d", "", PASSWORD, "d", ""]);
    // Sheets of component and share for each, and a component card for Li.
    lines.extend([PASSWORD, "y", "li.img", "135790", "135790", "y", "", ""]);
    lines.extend([PASSWORD, "y", "", "y", "", "", PASSWORD, "y", "", "y", "", "", PASSWORD]);
    let (code, said) = typed(at, "first", &new, &lines);
    assert_eq!(code, 0, "{said}");
    let combined = kcv_behind(&said, "combined KCV / 合成 KCV");
    assert!(said.contains("the centre has its signing pair now"), "{said}");
    assert!(said.contains(&format!("seed key, index 1, version 1 of nation: 3des, KCV {combined}, active")));

    let sheet = |kind: &str, position: u8| {
        let mut names = std::fs::read_dir(at.join("paper")).unwrap().map(|file| file.unwrap().path());
        names.find(|path| path.to_str().unwrap().contains(&format!("-{kind}-{position}.html"))).unwrap()
    };
    let mode = std::fs::metadata(sheet("component", 2)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let codes: Vec<_> = (1..=3).map(|position| code_on(&sheet("component", position))).collect();
    assert!(codes.iter().all(|code| code.len() == 40) && codes[0].starts_with("0123456789ABCDEF"));

    // Protocol: verified, altered, and by the wrong signer.
    let (code, said) = typed(at, "first", &["verify", "protocol.txt"], &[]);
    assert!(code == 0 && said.contains("not altered, signed by 04"), "{said}");
    let (code, said) = typed(at, "first", &["verify", "protocol.txt", "--signer", "04AB"], &[]);
    assert!(code == 1 && said.contains("signed by another: expected 04AB, found 04"), "{said}");
    let text = std::fs::read_to_string(at.join("protocol.txt")).unwrap();
    assert!(codes.iter().all(|code| !text.contains(&code[..16]) && !text.contains(&code[..4].repeat(2))));
    std::fs::write(at.join("altered.txt"), text.replace("Room 7", "Room 8")).unwrap();
    let (code, said) = typed(at, "first", &["verify", "altered.txt"], &[]);
    assert!(code == 1 && said.contains("the file was altered"), "{said}");

    // The rehearsal: Li's card, first with a wrong PIN; the sheets of the others, first with a slip.
    let rehearse = with("rehearse", &["li", "wang", "zhao"], &[]);
    let slip = codes[1].replacen(&codes[1][..1], if codes[1].starts_with('0') { "1" } else { "0" }, 1);
    let kcvs: Vec<_> = (2..=3)
        .map(|position| {
            let page = std::fs::read_to_string(sheet("component", position)).unwrap();
            kcv_behind(&page, "KCV <b class=\"kcv\">")
        })
        .collect();
    let lines = [
        PASSWORD, PASSWORD, "c", "li.img", "000000", "c", "li.img", "135790", "", PASSWORD, "t", &slip,
        &kcvs[0], "t", &codes[1], &kcvs[0], "", PASSWORD, "t", &codes[2], &kcvs[1], "", PASSWORD,
    ];
    let (code, said) = typed(at, "first", &rehearse, &lines);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("wrong PIN, 2 tries left") && said.contains("does not fit its check value"),
        "{said}"
    );
    assert!(said.contains("finishes the rehearsal; nothing is changed"), "{said}");

    // Recovery into another vault by two of three shares; with a wrong combined KCV nothing comes in.
    let shares: Vec<_> = (1..=3).map(|position| code_on(&sheet("share", position))).collect();
    let share_kcv = |position| {
        kcv_behind(&std::fs::read_to_string(sheet("share", position)).unwrap(), "KCV <b class=\"kcv\">")
    };
    let (first, third) = (share_kcv(1), share_kcv(3));
    let lines = [
        PASSWORD, PASSWORD, "t", "1", &shares[0], &first, "", PASSWORD, "t", "3", &shares[2], &third, "",
        PASSWORD,
    ];
    let roots = ["--roots", "purchase", "--kcv"];
    let wrong = with("recover", &["li", "zhao"], &[&roots[..], &["000000"]].concat());
    let (code, said) = typed(at, "second", &wrong, &lines);
    assert!(code == 1 && said.contains(&format!("expected KCV 000000, found {combined}")), "{said}");
    assert!(said.contains("aborted, everything given is wiped"), "{said}");
    let right = with("recover", &["li", "zhao"], &[&roots[..], &[combined.as_str()]].concat());
    let (code, said) = typed(at, "second", &right, &lines);
    assert_eq!(code, 0, "{said}");
    let seed_of = |name: &str| {
        let vault = SoftVault::open(&at.join(name), &unlock()).unwrap();
        let list = vault.list().unwrap();
        let of = |kind| list.iter().find(|info| info.key.kind == kind).map(|info| info.kcv);
        (of(KeyKind::Seed), of(KeyKind::Purchase))
    };
    assert_eq!(seed_of("first.sealed"), seed_of("second.sealed"));
    let (code, said) = typed(at, "first", &["list"], &[]);
    assert!(code == 0 && said.contains("recovery") && said.contains("rehearsal") && said.contains(&combined));
}

#[test]
fn a_ceremony_that_is_broken_off_leaves_nothing() {
    let folder = room();
    let at = folder.path();
    let two = with("new", &["li", "wang"], &["--sheets", "paper"]);
    let (code, said) =
        typed(at, "first", &two, &[PASSWORD, PASSWORD, "t", TYPED, "", TYPED, "", "Wrong-Pass-99"]);
    assert!(code == 1 && said.contains("aborted, everything given is wiped"), "{said}");
    assert!(std::fs::read_dir(at.join("paper")).unwrap().next().is_none());
    let seeds = |name: &str| {
        let vault = SoftVault::open(&at.join(name), &unlock()).unwrap();
        vault.list().unwrap().iter().filter(|info| info.key.kind == KeyKind::Seed).count()
    };
    assert_eq!(seeds("first.sealed"), 0);
    let (_, said) = typed(at, "first", &["list"], &[]);
    assert!(said.contains("aborted"), "{said}");
    // Who may not, does not begin; who is not there, is told.
    let own = with("new", &["li", "keys1"], &[]);
    let (code, said) = typed(at, "first", &own, &[PASSWORD]);
    assert!(code == 1 && said.contains("keys1 conducts the ceremony and cannot be a custodian"), "{said}");
    let mut by_custodian = with("new", &["wang", "zhao"], &[]);
    by_custodian[2] = "li";
    let (code, said) = typed(at, "second", &by_custodian, &[PASSWORD]);
    assert!(code == 1 && said.contains("li is custodian, whose role may not manage keys"), "{said}");
    assert_eq!(SoftVault::open(&at.join("second.sealed"), &unlock()).unwrap().list().unwrap(), []);
    // Specimens go where sheets go: through a pipe.
    let (code, said) = typed(at, "first", &["sheets", "--print", "cat > specimen.html"], &[]);
    assert_eq!(code, 0, "{said}");
    assert!(std::fs::read_to_string(at.join("specimen.html")).unwrap().contains("SPECIMEN"));
    let (code, said) = typed(at, "first", &["sheets", "--print", "false"], &[]);
    assert!(code == 1 && said.contains("print command `false`"), "{said}");
}
