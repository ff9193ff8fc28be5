//! The sealed file: who opens it, what finds a change, and that every change of a key is in it before it is answered.

use crate::{Counting, vault};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use ykt_base::{Asn8, IssuerFactor};
use ykt_vault::{
    CardKeyRef, Hardness, KeyAddress, KeyAlgorithm, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState,
    Levels, Origin, SealError, SoftVault, Unlock, Vault, VaultError,
};

const LOAD_2: KeyPlace = KeyPlace::root(KeyRef::new(KeyKind::Load, 1, 2));
const LOAD_4: KeyPlace = KeyPlace::root(KeyRef::new(KeyKind::Load, 1, 4));

fn one() -> Unlock {
    Unlock::passphrase("eight characters")
}

fn both() -> Unlock {
    Unlock::operators([("wang", "the first half of it"), ("li", "and the second half")])
}

fn empty() -> SoftVault {
    SoftVault::empty(Levels::nation_city_card(), Origin::Demo)
}

fn sealed(vault: &SoftVault, unlock: &Unlock) -> Vec<u8> {
    vault.to_sealed(unlock, Hardness::TEST, &mut Counting(3)).unwrap()
}

/// A vault in a file of its own.
fn at_home(folder: &Path) -> (PathBuf, SoftVault) {
    let path = folder.join("keys.vault");
    vault().seal(&path, &one(), Hardness::TEST, &mut Counting(9)).unwrap();
    let opened = SoftVault::open(&path, &one()).unwrap();
    (path, opened)
}

fn refused(file: &[u8], unlock: &Unlock) -> String {
    SoftVault::from_sealed(file, unlock).err().map(|error| error.to_string()).expect("refused")
}

#[test]
fn comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.vault");
    let before = vault();
    before.change_state(&KeyPlace::root(KeyRef::new(KeyKind::Load, 1, 1)), KeyState::Retired).unwrap();
    before.change_state(&KeyPlace::root(KeyRef::new(KeyKind::Load, 1, 1)), KeyState::Destroyed).unwrap();
    before.seal(&path, &one(), Hardness::TEST, &mut Counting(9)).unwrap();
    before.seal(&path, &one(), Hardness::TEST, &mut Counting(99)).unwrap();
    let after = SoftVault::open(&path, &one()).unwrap();
    assert_eq!(after.list().unwrap(), before.list().unwrap());
    assert_eq!(after.status(), before.status());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

/// What release 0.2 sealed is opened with every key in its place; the first slot makes it a
/// file that takes changes.
#[test]
fn a_file_of_format_1_still_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault.sealed");
    fs::copy("tests/fixtures/release-0.2/vault.sealed", &path).unwrap();
    let unlock = Unlock::passphrase("a vault of release 0.2");
    let old = SoftVault::open(&path, &unlock).unwrap();
    let list: Vec<_> = old.list().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(list.len(), 31);
    for line in [
        "card-master key, index 1, version 1 of nation: 3des, KCV 8BCA36, active, production",
        "load key, index 1, version 1 of nation: 3des, KCV F723A4, retired, production",
        "load key, index 1, version 2 of nation: 3des, KCV 69A2CB, active, production",
        "load key, index 1, version 3 of nation: 3des, KCV 000000, destroyed, production",
        "purchase key, index 3, version 1 of card 1700010170907984: 3des, KCV 009717, active, production",
    ] {
        assert!(list.iter().any(|found| found == line), "{line} is missing in {list:#?}");
    }
    let change =
        || old.generate(KeyPlace::root(KeyRef::new(KeyKind::Tac, 9, 1)), KeyAlgorithm::Sm4, &mut Counting(0));
    assert!(matches!(change(), Err(VaultError::NotAllowed { reason }) if reason.contains("format 1")));
    assert!(matches!(old.remove_unlock(&[""]), Err(SealError::Format { found: 1 })));
    let list = old.list().unwrap();
    old.add_unlock(&both(), Hardness::TEST, &mut Counting(0)).unwrap();
    change().unwrap();
    let new = SoftVault::open(&path, &both()).unwrap();
    assert_eq!(new.list().unwrap(), old.list().unwrap());
    assert_eq!(new.list().unwrap().len(), list.len() + 1);
    assert!(SoftVault::open(&path, &unlock).is_err(), "it opens for who was added");
    for bad in [&Unlock::passphrase("another one"), &both()] {
        let file = fs::read("tests/fixtures/release-0.2/vault.sealed").unwrap();
        let error = refused(&file, bad);
        assert!(error.starts_with("check of the authentication") || error.starts_with("check of the unlock"));
    }
}

#[test]
fn two_sealings_differ() {
    let mut rng = Counting(0);
    let [one, two] = [(); 2].map(|()| vault().to_sealed(&one(), Hardness::TEST, &mut rng).unwrap());
    assert_ne!(one, two);
}

/// Every single bit of the file: the change is found, and the check that found it is the one of its field.
#[test]
fn every_changed_bit_is_found() {
    let good = sealed(&empty(), &one());
    // magic8 format1 origin1 slots1; kind1 hardness12 salt16 nonce12 names1 len1; file key 80; len4 nonce12 sealed.
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let error = refused(&bad, &one());
        let checks: &[&str] = match bit / 8 {
            0..8 => &["magic"],
            8 => &["format", "hardness", "length"],
            9 => &["origin", "unlock"],
            10 => &["unlock slots"],
            11 => &["unlock slots", "unlock"],
            12..24 => &["hardness", "unlock"],
            24..52 => &["unlock"],
            52..54 => &["unlock slots", "unlock", "length"],
            54..134 => &["unlock"],
            134..138 => &["length"],
            _ => &["authentication"],
        };
        let named = checks.iter().any(|check| error.starts_with(&format!("check of the {check} ")));
        assert!(named, "bit {bit} in byte {}: {error}", bit / 8);
    }
}

/// A slot that is not used to open the file is covered as well.
#[test]
fn a_changed_slot_of_another_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (path, vault) = at_home(folder.path());
    let alone = fs::read(&path).unwrap();
    vault.add_unlock(&both(), Hardness::TEST, &mut Counting(77)).unwrap();
    let good = fs::read(&path).unwrap();
    let added = good.len() - alone.len();
    for byte in [134, 140, 150, 170, 133 + added] {
        let mut bad = good.clone();
        bad[byte] ^= 0x40;
        let error = refused(&bad, &one());
        assert!(error.starts_with("check of the "), "byte {byte}: {error}");
    }
}

#[test]
fn cut_files_and_wrong_passphrases_are_refused() {
    let good = sealed(&vault(), &one());
    for len in 0..good.len() {
        let error = refused(&good[..len], &one());
        assert!(
            error.starts_with("check of the length") || error.starts_with("check of the unlock slots"),
            "{error}"
        );
    }
    let longer = [&good[..], &[0]].concat();
    assert!(matches!(SoftVault::from_sealed(&longer, &one()), Err(SealError::Length { .. })));
    let wrong = refused(&good, &Unlock::passphrase("another one"));
    assert!(wrong.contains("1 slots fit") && wrong.contains("one passphrase"), "{wrong}");
    assert!(refused(&good, &both()).contains("0 slots fit"));
    let too_short = Unlock::operators([("wang", "long enough"), ("li", "seven c")]);
    let short = vault().to_sealed(&too_short, Hardness::TEST, &mut Counting(0));
    assert!(matches!(short, Err(SealError::ShortPassphrase { found: 7 })));
    let twins = Unlock::operators([("wang", "long enough"), ("wang", "long enough, too")]);
    let nameless = Unlock::operators([("wang", "long enough"), ("", "long enough, too")]);
    for bad in [
        twins,
        nameless,
        Unlock::operators([]),
        Unlock::operators([("w".repeat(65).as_str(), "long enough")]),
    ] {
        let refused = vault().to_sealed(&bad, Hardness::TEST, &mut Counting(0));
        assert!(matches!(refused, Err(SealError::Operators { .. })));
    }
    let hard = Hardness { memory_kib: u32::MAX, ..Hardness::TEST };
    assert!(matches!(vault().to_sealed(&one(), hard, &mut Counting(0)), Err(SealError::Hardness { .. })));
    let missing = SoftVault::open(Path::new("/nonexistent/keys.vault"), &one()).err().unwrap();
    assert!(missing.to_string().contains("/nonexistent/keys.vault"));
}

/// Operators who must come together, one alone, and a machine: each opens, nobody else; slots come and go.
#[test]
fn slots_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let (path, vault) = at_home(folder.path());
    let opens = |unlock: &Unlock| SoftVault::open(&path, unlock).is_ok();
    let mut rng = Counting(50);
    vault.add_unlock(&both(), Hardness::TEST, &mut rng).unwrap();
    let credential = folder.path().join("pay-host.credential");
    let machine = Unlock::new_credential_file(&credential, &mut rng).unwrap();
    vault.add_unlock(&machine, Hardness::TEST, &mut rng).unwrap();
    assert_eq!(vault.unlocks().unwrap(), [vec![""], vec!["li", "wang"], vec!["pay-host"]]);

    assert!(opens(&one()) && opens(&both()) && opens(&Unlock::credential_file(&credential).unwrap()));
    let swapped = Unlock::operators([("li", "and the second half"), ("wang", "the first half of it")]);
    assert!(opens(&swapped), "in whatever order they come");
    let exchanged = Unlock::operators([("li", "the first half of it"), ("wang", "and the second half")]);
    assert!(!opens(&exchanged) && !opens(&Unlock::operators([("wang", "the first half of it")])));
    assert!(!opens(&Unlock::passphrase("the first half of it")), "one of two is not enough");

    vault.remove_unlock(&[""]).unwrap();
    assert!(!opens(&one()) && opens(&both()));
    let changed = Unlock::operators([("wang", "a new one of Wang's"), ("li", "and the second half")]);
    vault.add_unlock(&changed, Hardness::TEST, &mut rng).unwrap();
    assert!(opens(&changed) && !opens(&both()) && opens(&machine));
    let nobody = vault.remove_unlock(&["zhao"]).err().unwrap().to_string();
    assert!(
        nobody.contains("zhao") && nobody.contains("li with wang") && nobody.contains("pay-host"),
        "{nobody}"
    );
    vault.remove_unlock(&["wang", "li"]).unwrap();
    assert!(matches!(vault.remove_unlock(&["pay-host"]), Err(SealError::SlotCount { found: 0 })));
    let after = SoftVault::open(&path, &machine).unwrap();
    assert_eq!(after.list().unwrap(), vault.list().unwrap());
    assert!(matches!(empty().unlocks(), Err(SealError::NoFile)));
}

#[test]
fn there_is_an_end_to_slots() {
    let folder = tempfile::tempdir().unwrap();
    let (path, vault) = at_home(folder.path());
    let mut rng = Counting(0);
    for number in 1..16 {
        let name = format!("operator {number}");
        let unlock = Unlock::operators([(name.as_str(), "long enough")]);
        vault.add_unlock(&unlock, Hardness::TEST, &mut rng).unwrap();
    }
    let before = fs::read(&path).unwrap();
    let refused = vault.add_unlock(&both(), Hardness::TEST, &mut rng);
    assert!(matches!(refused, Err(SealError::SlotCount { found: 17 })));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[cfg(unix)]
#[test]
fn a_credential_others_may_read_is_none() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("machine.credential");
    Unlock::new_credential_file(&path, &mut Counting(0)).unwrap();
    assert!(Unlock::new_credential_file(&path, &mut Counting(0)).is_err(), "none is overwritten");
    for mode in [0o640, 0o604, 0o660, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = Unlock::credential_file(&path).err().unwrap().to_string();
        assert!(error.contains(&format!("{mode:04o}")) && error.contains("0600"), "{error}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(Unlock::credential_file(&path).is_ok());
    fs::write(&path, [1; 31]).unwrap();
    assert!(matches!(Unlock::credential_file(&path), Err(SealError::CredentialLength { found: 31, .. })));
}

/// Each change is in the file when it is answered; one that cannot be written has not happened.
#[test]
fn a_change_is_durable_or_has_not_happened() {
    let folder = tempfile::tempdir().unwrap();
    let (path, vault) = at_home(folder.path());
    let on_disk = || SoftVault::open(&path, &one()).unwrap().list().unwrap();
    vault.generate(LOAD_2, KeyAlgorithm::Sm4, &mut Counting(1)).unwrap();
    assert_eq!(on_disk(), vault.list().unwrap());
    vault.change_state(&LOAD_2, KeyState::Active).unwrap();
    assert_eq!(on_disk(), vault.list().unwrap());

    let (list, file) = (vault.list().unwrap(), fs::read(&path).unwrap());
    fs::create_dir(folder.path().join("keys.vault.new")).unwrap();
    let refused = vault.change_state(&LOAD_2, KeyState::Retired);
    assert!(matches!(refused, Err(VaultError::Unavailable { .. })), "{refused:?}");
    assert!(vault.generate(LOAD_4, KeyAlgorithm::Tdes, &mut Counting(1)).is_err());
    assert!(vault.add_unlock(&both(), Hardness::TEST, &mut Counting(1)).is_err());
    assert_eq!((vault.list().unwrap(), fs::read(&path).unwrap()), (list, file));
    fs::remove_dir(folder.path().join("keys.vault.new")).unwrap();
    vault.change_state(&LOAD_2, KeyState::Retired).unwrap();
    assert_eq!(on_disk(), vault.list().unwrap());
}

/// Two programs with one file: the one that does not know of the other's change does not undo it.
#[test]
fn what_another_program_wrote_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let (path, vault) = at_home(folder.path());
    let other = SoftVault::open(&path, &one()).unwrap();
    other.generate(LOAD_2, KeyAlgorithm::Tdes, &mut Counting(1)).unwrap();
    let refused = vault.generate(LOAD_4, KeyAlgorithm::Tdes, &mut Counting(1)).unwrap_err();
    assert!(refused.to_string().contains("changed by another program"), "{refused}");
    assert_eq!(SoftVault::open(&path, &one()).unwrap().list().unwrap(), other.list().unwrap());
    let holder = CardKeyRef { key: LOAD_4.key, factor: IssuerFactor([1; 8]), asn: Asn8([2; 8]) };
    assert!(vault.kcv(&KeyAddress::Card(holder)).is_err());
}

/// Two programs change one file at the same moment: one of them does, and the other is told so.
#[test]
fn of_two_programs_that_write_at_once_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = at_home(folder.path());
    for round in 10..30 {
        let places = [1, 2].map(|index| KeyPlace::root(KeyRef::new(KeyKind::Load, round, index)));
        let (start, programs) = (Barrier::new(2), [0, 1].map(|_| SoftVault::open(&path, &one()).unwrap()));
        let done: Vec<_> = std::thread::scope(|scope| {
            let running = programs.each_ref().map(|vault| {
                let (start, place) = (&start, places[usize::from(std::ptr::eq(vault, &programs[1]))]);
                scope.spawn(move || {
                    start.wait();
                    vault.generate(place, KeyAlgorithm::Tdes, &mut Counting(round))
                })
            });
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let kept: Vec<_> = done.iter().flatten().cloned().collect();
        assert_eq!(kept.len(), 1, "{done:?}");
        let list = SoftVault::open(&path, &one()).unwrap().list().unwrap();
        assert!(list.contains(&kept[0]));
        assert_eq!(list.iter().filter(|info| places.contains(&info.place())).count(), 1);
        let refused = done.into_iter().find_map(Result::err).unwrap().to_string();
        assert!(refused.contains("another program") && refused.contains("keys.vault"), "{refused}");
    }
}

/// In a process that can write no file any more, as on a full disk: the change is refused, the old file stands, and
/// nothing lies beside it.
#[cfg(unix)]
#[test]
fn a_full_disk_keeps_the_old_file() {
    const FOLDER: &str = "YKT_TEST_FULL_DISK";
    if let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) {
        let path = folder.join("keys.vault");
        let (vault, before) = (SoftVault::open(&path, &one()).unwrap(), fs::read(&path).unwrap());
        let refused = vault.generate(LOAD_2, KeyAlgorithm::Tdes, &mut Counting(1)).unwrap_err();
        assert!(refused.is_outage() && refused.to_string().contains("keys.vault"), "{refused}");
        assert!(vault.list().unwrap().iter().all(|info| info.key != LOAD_2.key));
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no half file is left");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = at_home(folder.path());
    let done = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["sealed::a_full_disk_keeps_the_old_file", "--exact"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
    let vault = SoftVault::open(&path, &one()).unwrap();
    vault.generate(LOAD_2, KeyAlgorithm::Tdes, &mut Counting(1)).unwrap();
}
