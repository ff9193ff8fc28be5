//! Keys from one vault to another, and the files of third parties.

use super::*;
use crate::{CardKeyRef, ImportedKey, KeyAddress, KeyValue, Origin, SoftVault, Vault};
use hex_literal::hex;
use std::sync::Arc;
use ykt_base::{Asn8, IssuerFactor};
use ykt_crypto::{CardKey, Key16};

const TRANSPORT: KeyRef = KeyRef::new(KeyKind::KeyTransport, 1, 1);
const SIGNING: KeyRef = KeyRef::new(KeyKind::Signing, 1, 1);
const PURCHASE: KeyRef = KeyRef::new(KeyKind::Purchase, 3, 1);

struct Fixed(u8);

impl Rng for Fixed {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(5).wrapping_add(73);
            *byte = self.0;
        }
    }
}

fn value(algorithm: KeyAlgorithm, byte: u8) -> KeyValue {
    KeyValue::from_bytes(algorithm, &vec![byte; algorithm.value_len()]).unwrap()
}

/// A vault with a transport key of this algorithm and a signing pair.
fn vault(transport: KeyAlgorithm) -> Arc<SoftVault> {
    let vault = SoftVault::empty(Levels::nation_city_card(), Origin::Production);
    let import = |key, value| {
        let (place, state) = (KeyPlace::root(key), KeyState::Active);
        vault.import(ImportedKey { place, state, value, kcv: None }).unwrap()
    };
    import(TRANSPORT, value(transport, 0x77));
    import(SIGNING, value(KeyAlgorithm::Sm2, 0x33));
    Arc::new(vault)
}

fn now() -> DateTime {
    "2026-11-22 09:30:00".parse().unwrap()
}

fn export_of(vault: &Arc<SoftVault>, places: &[KeyPlace]) -> Result<String, ExchangeError> {
    let signer = vault.signer(SIGNING).ok().unwrap();
    let rng: &mut dyn Rng = &mut Fixed(1);
    let from = ("上海 centre", now());
    export(&**vault, places, TRANSPORT, from, (&*signer, rng), &mut |_, _| {}).map(|file| file.to_string())
}

fn read_in(vault: &SoftVault, file: &str) -> Result<Exchange, ExchangeError> {
    let kcv = vault.kcv(&KeyAddress::Shared(TRANSPORT)).unwrap_or_default();
    read(file, &vault.status().levels, kcv)
}

fn import_in(vault: &SoftVault, file: &str) -> Result<Vec<KeyInfo>, ExchangeError> {
    import(vault, &read_in(vault, file)?, TRANSPORT, &mut |_, _| {})
}

/// A bare table with finished card keys, enciphered under the 3DES transport key as a third party does it.
fn third_party(count: u8) -> String {
    let mut text = "# card keys of the other company\nkind,index,level,owner,kcv,cryptogram\n".to_owned();
    let transport = CardKey::Tdes(Key16::from_bytes([0x77; 16]));
    for card in 1..=count {
        let key = CardKey::Tdes(Key16::from_bytes([card; 16]));
        let mut cryptogram = [card; 16];
        transport.encrypt_blocks(&mut cryptogram);
        let (kcv, owner) = (key.kcv(), [0x21, 0x44, 0, 0, 0, 0, 0, card]);
        text += &format!("purchase,3,card,{},{},{}\n", Hex(&owner), Hex(&kcv), Hex(&cryptogram));
    }
    text
}

#[test]
fn what_one_centre_exports_another_imports() {
    for algorithm in [KeyAlgorithm::Aes256, KeyAlgorithm::Tdes, KeyAlgorithm::Sm4] {
        let (first, second) = (vault(algorithm), vault(algorithm));
        let mut places = Vec::new();
        for (version, (kind, key)) in (1..).zip([
            (KeyKind::Purchase, KeyAlgorithm::Tdes),
            (KeyKind::Load, KeyAlgorithm::Sm4),
            (KeyKind::Seed, KeyAlgorithm::Tdes),
        ]) {
            let place = KeyPlace::root(KeyRef::new(kind, 2, version));
            first.generate(place, key, &mut Fixed(version)).unwrap();
            places.push(place);
        }
        first.change_state(&places[0], KeyState::Active).unwrap();
        let file = export_of(&first, &places).unwrap();
        let read = read_in(&second, &file).unwrap();
        let sender = read.sender.clone().unwrap();
        assert_eq!((sender.from.as_str(), sender.at), ("上海 centre", now()));
        assert_eq!(sender.signer, first.signer(SIGNING).ok().unwrap().public_key());
        let mut steps = Vec::new();
        let taken = import(&*second, &read, TRANSPORT, &mut |done, of| steps.push((done, of))).unwrap();
        assert_eq!(steps, [(1, 3), (2, 3), (3, 3)]);
        let list = |vault: &SoftVault| {
            let wanted = |info: &KeyInfo| places.contains(&info.place());
            vault.list().unwrap().into_iter().filter(wanted).collect::<Vec<_>>()
        };
        assert_eq!((list(&second).len(), list(&second)), (3, list(&first)));
        assert!(taken.iter().all(|info| list(&first).contains(info)));
        let again = import_in(&second, &file).unwrap_err();
        assert!(matches!(again, ExchangeError::Key { line: 7, source: VaultError::AlreadyThere { .. } }));
    }
}

/// The exported file holds no byte of a key, and whoever changes it is found out.
#[test]
fn an_export_tells_nothing_and_cannot_be_altered() {
    let first = vault(KeyAlgorithm::Aes256);
    let place = KeyPlace::root(PURCHASE);
    let key = value(KeyAlgorithm::Tdes, 0x5A);
    first.import(ImportedKey { place, state: KeyState::Generated, value: key, kcv: None }).unwrap();
    let file = export_of(&first, &[place]).unwrap();
    assert!(!file.contains("5A5A5A5A") && !file.contains("77777777") && !file.contains("33333333"));
    let second = vault(KeyAlgorithm::Aes256);
    let before = second.list().unwrap();
    let altered = file.replace("generated", "active");
    assert!(matches!(import_in(&second, &altered), Err(ExchangeError::Signed(_))));
    let other = vault(KeyAlgorithm::Tdes);
    let error = import_in(&other, &file).unwrap_err();
    assert!(matches!(error, ExchangeError::Transport { key: TRANSPORT, .. }), "{error}");
    assert_eq!(second.list().unwrap(), before);
    let none = export_of(&first, &[]).unwrap_err();
    assert_eq!(none.to_string(), "expected 1 to 100000 keys in the file, found 0");
    let missing = export_of(&first, &[KeyPlace::root(KeyRef::new(KeyKind::Load, 9, 9))]);
    assert!(matches!(missing, Err(ExchangeError::Vault(VaultError::NoSuchKey { .. }))));
}

/// Finished card keys of a third party: the card's own key is then the one used.
#[test]
fn finished_keys_by_card_number() {
    let vault = vault(KeyAlgorithm::Tdes);
    assert_eq!(import_in(&vault, &third_party(200)).unwrap().len(), 200);
    for card in [1, 77, 200] {
        let asn = Asn8([0x21, 0x44, 0, 0, 0, 0, 0, card]);
        let place = vault.list().unwrap().into_iter().find(|info| info.owner == Some(asn.0)).unwrap().place();
        vault.change_state(&place, KeyState::Active).unwrap();
        let key = CardKeyRef { key: PURCHASE, factor: IssuerFactor([9; 8]), asn };
        let expected = CardKey::Tdes(Key16::from_bytes([card; 16])).kcv();
        assert_eq!(vault.kcv(&KeyAddress::Card(key)), Ok(expected));
    }
}

/// First-level keys, with every column and with blanks for what is usual.
#[test]
fn first_level_keys_of_a_city() {
    let vault = vault(KeyAlgorithm::Tdes);
    let mut cryptogram = [0x11; 16];
    CardKey::Tdes(Key16::from_bytes([0x77; 16])).encrypt_blocks(&mut cryptogram);
    let kcv = CardKey::Tdes(Key16::from_bytes([0x11; 16])).kcv();
    let text = format!(
        "\u{feff}kind,version,index,level,owner,state,algorithm,kcv,cryptogram\r\n\
         load,2,,city,3100FF0000000000,active,,{0},{1}\r\n\r\nload,2,4,1,,,3des,{0},{1}\r\n",
        Hex(&kcv),
        Hex(&cryptogram)
    );
    let taken = import_in(&vault, &text).unwrap();
    let places: Vec<_> = taken.iter().map(|info| (info.place(), info.state)).collect();
    let place = |index, owner| KeyPlace { key: KeyRef::new(KeyKind::Load, index, 2), level: 1, owner };
    let owner = Some(hex!("3100FF0000000000"));
    assert_eq!(places, [(place(1, owner), KeyState::Active), (place(4, None), KeyState::Generated)]);
}

/// One wrong line, and no key is taken; the line, what was expected and what was found are named.
#[test]
fn one_wrong_line_stops_the_file() {
    let vault = vault(KeyAlgorithm::Tdes);
    let before = vault.list().unwrap();
    let good = third_party(3);
    let last = good.lines().last().unwrap().to_owned();
    let fields: Vec<&str> = last.split(',').collect();
    let with = |at: usize, field: &str| {
        let mut changed = fields.clone();
        changed[at] = field;
        good.replace(&last, &changed.join(","))
    };
    let cases = [
        (
            with(4, "000000"),
            "line 5 of the file: the purchase key, index 3, version 1: expected check value 000000",
        ),
        (with(5, &"00".repeat(16)), "line 5 of the file: the purchase key"),
        (with(0, "purchaze"), "line 5 of the file, kind: expected a kind of key, found \"purchaze\""),
        (with(1, "256"), "line 5 of the file, index: expected a number from 0 to 255, found \"256\""),
        (
            with(2, "town"),
            "level: expected a level, by number from 0 or by name: nation, city, card, found \"town\"",
        ),
        (with(2, "9"), "cannot be held at level 9"),
        (with(3, "2144"), "owner: expected nothing, or 16 hex digits, found \"2144\""),
        (with(4, ""), "kcv: expected 6 hex digits, found \"\""),
        (with(5, "0011"), "cryptogram: expected 16, 24, 32 or 40 bytes in hex"),
        (with(3, "2144000000000001"), "line 5 of the file brings the purchase key"),
        (good.replace(&last, &format!("{last},more")), "expected 6 fields, found \"7 fields\""),
        (
            good.replace(",kcv,", ",kvc,"),
            "line 2 of the file, the names of the columns: unknown column \"kvc\"",
        ),
        (good.replace(",index,", ",kind,"), "two columns \"kind\""),
        (good.replace("kind,index,", "version,index,"), "no column \"kind\""),
        ("kind,kcv,cryptogram\n".to_owned(), "expected 1 to 100000 keys in the file, found 0"),
        (String::new(), "the names of the columns"),
    ];
    for (text, expected) in cases {
        let error = import_in(&vault, &text).unwrap_err().to_string();
        assert!(error.contains(expected), "expected {expected}, found {error}");
    }
    assert_eq!(vault.list().unwrap(), before);
    assert_eq!(import_in(&vault, &good).unwrap().len(), 3);
}

/// The head of a signed file is read as strictly as its table.
#[test]
fn heads_that_cannot_be() {
    let vault = vault(KeyAlgorithm::Aes256);
    let signer = vault.signer(SIGNING).ok().unwrap();
    let place = KeyPlace::root(PURCHASE);
    vault.generate(place, KeyAlgorithm::Tdes, &mut Fixed(3)).unwrap();
    let good = export_of(&vault, &[place]).unwrap();
    let text = SignedText::verify(TITLE, &good).unwrap().text().to_owned();
    for (from, to, expected) in [
        ("from: ", "by: ", "line 2 of the file: expected \"from: \""),
        ("at: 2026", "at: some", "line 3 of the file"),
        ("transport: ", "transport: x", "line 4 of the file"),
        ("keys: 1", "keys: many", "line 5 of the file"),
        ("keys: 1", "keys: 2", "expected 2 keys in the file, found 1"),
        ("kind,", "sort,", "line 6 of the file"),
    ] {
        let forged = SignedText::sign(text.replacen(from, to, 1), &*signer, &mut Fixed(1)).unwrap();
        let error = read_in(&vault, &forged.to_string()).unwrap_err().to_string();
        assert!(error.contains(expected), "expected {expected}, found {error}");
    }
}
