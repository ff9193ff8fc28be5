//! Vaults in processes of their own: one is killed under load, and nobody who asked notices. Sealed files and who may
//! open them, from the command line.

use crate::image_cards::{KEYS, ok, refused};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use ykt_base::{Asn8, Clock, DateTime, IssuerFactor, Rng};
use ykt_kmc::pair_log::{self, PairLog};
use ykt_office::audit::{self, AuditFilter};
use ykt_store::{Paging, Store};
use ykt_vault::pair::{Condition, PairSink, Side, SwitchOver};
use ykt_vault::remote::Endpoint;
use ykt_vault::*;

/// Threads that ask at the same time.
const THREADS: usize = 8;
/// Rounds of questions of each before the primary is killed, and after.
const ROUNDS: usize = 60;

struct Noon;

impl Clock for Noon {
    fn now(&self) -> DateTime {
        DateTime::from_number(20_261_122_120_000).unwrap()
    }
}

struct Counting(u8);

impl Rng for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        out.iter_mut().for_each(|byte| {
            self.0 = self.0.wrapping_add(73);
            *byte = self.0;
        });
    }
}

/// `ykt vault serve`, killed when it is dropped.
struct Daemon(Child);

impl Daemon {
    /// Starts it, and waits until it says that it serves.
    fn start(folder: &Path, name: &str) -> Daemon {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ykt"))
            .current_dir(folder)
            .args([
                "vault",
                "serve",
                "--file",
                &format!("{name}.sealed"),
                "--credential",
                "machine.credential",
            ])
            .args(["--socket", &format!("{name}.sock")])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert!(line.contains("the vault is served at"), "{line}");
        // Whatever else it says must find room.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Daemon(child)
    }

    /// kill -9.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Killed already, it is gone.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

fn documented() -> SoftVault {
    SoftVault::from_keys(KeysFile::parse(&std::fs::read_to_string(KEYS).unwrap()).unwrap()).unwrap()
}

/// Two sealed files with the same keys, which one machine opens.
fn sealed_twice(folder: &Path) {
    let unlock = Unlock::new_credential_file(&folder.join("machine.credential"), &mut Counting(1)).unwrap();
    for name in ["primary.sealed", "backup.sealed"] {
        documented().seal(&folder.join(name), &unlock, Hardness::TEST, &mut Counting(2)).unwrap();
    }
}

fn remote(folder: &Path, name: &str) -> Arc<dyn KeyManagement> {
    let endpoint = Endpoint::Unix(folder.join(format!("{name}.sock")));
    Arc::new(RemoteVault::connect(&endpoint).unwrap())
}

/// One round of what a city asks of its vault, for card number `no`: keys, a MAC, a command under secure messaging, and
/// verdicts over TACs.
fn answers(vault: &dyn Vault, no: u32) -> Result<Vec<Vec<u8>>, VaultError> {
    let [a, b, c, d] = no.to_be_bytes();
    let (asn, factor) = (Asn8([0x17, 0, 1, 1, a, b, c, d]), IssuerFactor([0x21, 0x44, 0xFF, 0, 0, 0, 0, 0]));
    let card = |kind| CardKeyRef { key: KeyRef::new(kind, 1, 1), factor, asn };
    let maintenance = KeyAddress::Card(card(KeyKind::ApplicationMaintenance));
    let iv = [a, b, c, d, 0, 0, 0, 0];
    let message = SecureMessage {
        key: maintenance,
        iv,
        header: [0x04, 0xD6, 0x95, 0x00],
        data: &iv,
        secrecy: Secrecy::Clear,
    };
    let receipt = Receipt::Purchase {
        purchase: ykt_purse::purchase::Purchase {
            kind: ykt_purse::purchase::PurchaseKind::Purchase(ykt_purse::Purse::Ep),
            amount: ykt_purse::PurseFen::from_bytes([0, 0, c, d]).unwrap(),
            terminal: ykt_base::TerminalId([0x36; 6]),
        },
        sequence: ykt_base::TerminalSeq(no),
        at: Noon.now(),
    };
    let mac = vault.sm_mac(&maintenance, iv, &[&iv, b"data"])?;
    // Of two TACs one is this card's MAC by another key: wrong, as the reference says, too.
    let tacs = [mac, ykt_base::Mac4([0; 4])].map(|tac| TacJob { key: card(KeyKind::Tac), receipt, tac });
    let verdicts =
        vault.verify_tacs(&tacs)?.iter().map(|verdict| format!("{verdict:?}").into_bytes()).collect();
    let answers = vec![
        vault.kcv(&KeyAddress::Card(card(KeyKind::Purchase)))?.to_vec(),
        mac.0.to_vec(),
        vault.secure_message(&message)?.to_vec(),
        vault.external_authenticate(&KeyAddress::Card(card(KeyKind::CardMaster)), iv)?.to_vec(),
    ];
    Ok([answers, verdicts].concat())
}

#[test]
fn a_primary_that_is_killed_under_load_loses_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    sealed_twice(at);
    let [mut primary, _backup] = ["primary", "backup"].map(|name| Daemon::start(at, name));
    let store = Store::open(&at.join("data"), &[ykt_office::MODULE]).unwrap();
    let log = PairLog::new(store.clone(), &at.join("data"), Arc::new(Noon));
    let pair = Pair::new(remote(at, "primary"), remote(at, "backup"), Arc::new(log) as Arc<dyn PairSink>);
    assert_eq!(pair.standing().backup.condition, Condition::Ready { withheld: 0 });

    // Load: all threads are in the middle of it when the primary goes.
    let reference = documented();
    let (asked, is_killed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (warm, warmed) = mpsc::channel();
    std::thread::scope(|scope| {
        let (pair, reference, asked, is_killed) = (&pair, &reference, &asked, &is_killed);
        for thread in 0..THREADS {
            let warm = warm.clone();
            scope.spawn(move || {
                let mut since = 0;
                for round in 0.. {
                    let no = u32::try_from(thread * 100_000 + round).unwrap();
                    assert_eq!(answers(pair, no), answers(reference, no), "card {no}");
                    asked.fetch_add(1, Ordering::SeqCst);
                    if round == ROUNDS {
                        warm.send(()).unwrap();
                    }
                    since += usize::from(is_killed.load(Ordering::SeqCst));
                    if since > ROUNDS {
                        break;
                    }
                }
            });
        }
        for _ in 0..THREADS {
            warmed.recv().unwrap();
        }
        primary.kill();
        is_killed.store(true, Ordering::SeqCst);
    });
    assert!(asked.load(Ordering::SeqCst) >= 2 * THREADS * ROUNDS);
    assert_eq!(pair.acting(), Side::Backup);

    // A key is made while the primary is gone; it is out of step until it has been brought over.
    let place = KeyPlace::root(KeyRef::new(KeyKind::Load, 7, 1));
    let made = pair.generate(place, KeyAlgorithm::Tdes, &mut Counting(3)).unwrap();
    primary = Daemon::start(at, "primary");
    pair.check(Noon.now());
    assert_eq!(pair.standing().primary.condition, Condition::Ready { withheld: 1 });
    assert!(pair.switch_over(SwitchOver::InStep).is_err());
    let done = pair.replicate(Side::Backup).unwrap();
    assert_eq!((done.copied, done.refused, done.left), (vec![place], vec![], vec![]));
    assert_eq!(pair.compare(), Ok(vec![]));
    assert_eq!(pair.switch_over(SwitchOver::InStep), Ok(Side::Primary));
    assert_eq!(answers(&pair, 1), answers(&reference, 1));

    // What was brought over outlives the process.
    primary.kill();
    primary = Daemon::start(at, "primary");
    assert!(remote(at, "primary").list().unwrap().contains(&made));
    drop((pair, primary));

    let rows = store.read(|tx| audit::list(tx, &AuditFilter::default(), Paging::first(99))).unwrap().rows;
    let mut said: Vec<_> = rows.iter().map(|row| (row.seq, row.what.as_str(), row.object.as_str())).collect();
    said.sort_unstable();
    let said: Vec<_> = said.into_iter().map(|(_, what, object)| (what, object)).collect();
    let expected = [
        ("vault/failure", "primary vault"),
        ("vault/switch", "backup vault"),
        ("vault/out of step", "primary vault"),
        ("vault/return", "primary vault"),
        ("vault/out of step", "primary vault"),
        ("vault/switch", "primary vault"),
    ];
    assert_eq!(said, expected);
    assert_eq!(pair_log::acting(&at.join("data")).unwrap(), Side::Primary);
}

/// `ykt vault …` with these lines typed.
pub fn typed(folder: &Path, args: &[&str], lines: &str) -> (i32, String) {
    typed_to(folder, &[&["vault"], args].concat(), lines)
}

/// `ykt …` with these lines typed.
fn typed_to(folder: &Path, args: &[&str], lines: &str) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ykt"))
        .current_dir(folder)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that ends early leaves the rest unread.
    let _unread = child.stdin.take().unwrap().write_all(lines.replace(' ', "\n").as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!said.contains("secret-"), "a passphrase is shown: {said}");
    (output.status.code().unwrap(), said)
}

#[test]
fn a_sealed_file_is_made_opened_and_given_other_passphrases() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let both = ["--file", "k.sealed", "--operator", "wang.li", "--operator", "zhao.min"];
    let make = [&["init", "k.sealed", "--demo"][..], &both[2..]].concat();
    let (code, said) = typed(at, &make, "secret-one secret-one secret-two secret-2wo ");
    assert!(code == 1 && said.contains("differ") && !at.join("k.sealed").exists(), "{said}");
    let (code, said) = typed(at, &make, "secret-one secret-one secret-two secret-two ");
    assert!(code == 0 && said.contains("demo"), "{said}");
    refused(at, &[&["vault"][..], &make].concat(), (1, "is there already"));

    let open = |what: &[&str], lines: &str| typed(at, &[what, &both].concat(), lines);
    let (code, said) = open(&["list"], "secret-one secret-two ");
    assert!(code == 0 && said.contains("key-transport\n  index 1") && said.contains("aes-256"), "{said}");
    let (code, said) = open(&["status"], "secret-one secret-one ");
    assert!(code == 1 && said.contains("wang.li with zhao.min"), "{said}");

    let add = ["passphrase", "add", "--new-credential", "m.credential"];
    assert_eq!(open(&add, "secret-one secret-two ").0, 0);
    let by_machine = ["--file", "k.sealed", "--credential", "m.credential"];
    let machine =
        |what: &[&str], lines: &str| typed(at, &[&["passphrase"], what, &by_machine].concat(), lines);
    let (_, said) = machine(&["list"], "");
    assert_eq!(said, "wang.li with zhao.min\nm\n");
    let names = ["wang.li", "zhao.min"];
    assert_eq!(machine(&[&["change"], &names[..]].concat(), "secret-3 secret-3 secret-4 secret-4 ").0, 0);
    assert_eq!(open(&["status"], "secret-one secret-two ").0, 1, "the old ones open nothing");
    assert_eq!(open(&["status"], "secret-3 secret-4 ").0, 0);
    assert_eq!(machine(&[&["remove"], &names[..]].concat(), "").0, 0);
    let (code, said) = machine(&["remove", "m"], "");
    assert!(code == 1 && said.contains("last"), "{said}");
    let (code, said) = machine(&["remove", "li.si"], "");
    assert!(code == 1 && said.contains("no slot"), "{said}");
    assert!(
        ok(at, &["vault", "list", "--file", "k.sealed", "--credential", "m.credential"]).contains("load\n")
    );
}

const CONFIG: &str = "data = \"data\"\n[vault]\nbackend = \"pair\"\n\
    [vault.primary]\nfile = \"primary.sealed\"\ncredential_file = \"machine.credential\"\n\
    [vault.backup]\nfile = \"backup.sealed\"\ncredential_file = \"machine.credential\"\n";

#[test]
fn primary_and_backup_are_compared_replicated_and_switched_by_people() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    sealed_twice(at);
    std::fs::write(at.join("ykt.toml"), CONFIG).unwrap();
    let configured = ["--config", "ykt.toml"];
    let vault = |args: &[&str], lines: &str| typed(at, &[args, &configured].concat(), lines);
    let user = |args: &[&str], lines: &str| typed_to(at, &[&["user"], args, &configured].concat(), lines);
    for (name, number) in [("keys1", "K1"), ("keys2", "K2")] {
        let add = ["add", name, "--role", "key-administrator", "--staff-number", number];
        let (code, said) = user(&add, "First-Pass-1 ");
        assert_eq!(code, 0, "{said}");
        let (code, said) = user(&["change-password", name], "First-Pass-1 First-Pass-1 Other-Pass-2 ");
        assert_eq!(code, 0, "{said}");
    }

    let (code, said) = vault(&["compare"], "");
    assert!(code == 0 && said.contains("in step, takes over") && said.ends_with("in step\n"), "{said}");
    let unlock = Unlock::credential_file(&at.join("machine.credential")).unwrap();
    let primary = SoftVault::open(&at.join("primary.sealed"), &unlock).unwrap();
    let place = KeyPlace::root(KeyRef::new(KeyKind::Load, 7, 1));
    primary.generate(place, KeyAlgorithm::Tdes, &mut Counting(3)).unwrap();
    drop(primary);
    let (code, said) = vault(&["compare"], "");
    assert!(code == 1 && said.contains("the backup does not have it"), "{said}");

    let switch = ["switch", "--to", "backup", "--as", "keys1", "--with", "keys2"];
    let both = "Other-Pass-2 Other-Pass-2 ";
    let (code, said) = vault(&switch, both);
    assert!(code == 1 && said.contains("replicate first"), "{said}");
    let replicate = ["replicate", "--from", "primary", "--as", "keys1"];
    let (code, said) = vault(&replicate, "Wrong-Pass-3 ");
    assert_eq!(code, 1, "{said}");
    let (code, said) = vault(&replicate, "Other-Pass-2 ");
    assert!(code == 0 && said.contains("load key, index 7, version 1, level 0: brought over"), "{said}");
    let alone = ["switch", "--to", "backup", "--as", "keys1", "--with", "keys1"];
    let (code, said) = vault(&alone, both);
    assert!(code == 1 && said.contains("two people"), "{said}");
    let (code, said) = vault(&switch, both);
    assert!(code == 0 && said.contains("the backup vault acts"), "{said}");
    assert_eq!(pair_log::acting(&at.join("data")).unwrap(), Side::Backup);
    let (_, said) = vault(&["status"], "");
    assert!(said.contains("pair backup software"), "the next program begins with it: {said}");
}
