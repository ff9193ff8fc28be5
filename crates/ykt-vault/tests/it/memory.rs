//! A dropped key's memory holds it no more: neither what is given back nor what stays.

use crate::Counting;
use crate::watch::{CANARY_16, CANARY_32, Watch, holds_a_key};
use std::hint::black_box;
use std::sync::Arc;
use ykt_base::{Asn8, IssuerFactor, KeyVersion, Rng};
use ykt_purse::Algorithm;
use ykt_purse::write_key::{self, KeyForm, KeyHeader, KeyTarget, KeyUsage};
use ykt_vault::{
    CardKeyRef, DeskKeys, Hardness, ImportedKey, KeyAddress, KeyAlgorithm, KeyKind, KeyLayout, KeyManagement,
    KeyPlace, KeyRef, KeyState, KeyValue, KeysFile, Levels, NewKey, Origin, SoftVault, Unlock, Vault,
    WriteKeyJob,
};

/// Random bytes that are a canary.
struct Canaries;

impl Rng for Canaries {
    fn fill(&mut self, out: &mut [u8]) {
        out.iter_mut().zip(CANARY_32.iter().cycle()).for_each(|(byte, canary)| *byte = *canary);
    }
}

const TRANSPORT: KeyRef = KeyRef::new(KeyKind::KeyTransport, 1, 1);
const PURCHASE: KeyRef = KeyRef::new(KeyKind::Purchase, 1, 1);

fn canary(algorithm: KeyAlgorithm) -> KeyValue {
    let bytes: &[u8] = if algorithm.value_len() == 16 { &CANARY_16 } else { &CANARY_32 };
    KeyValue::from_bytes(algorithm, bytes).unwrap()
}

/// A vault whose every key is a canary.
fn vault() -> SoftVault {
    let vault = SoftVault::empty(Levels::nation_city_card(), Origin::Demo);
    for (kind, version, algorithm) in [
        (KeyKind::Purchase, 1, KeyAlgorithm::Tdes),
        (KeyKind::Load, 1, KeyAlgorithm::Sm4),
        (KeyKind::ApplicationMaster, 1, KeyAlgorithm::Tdes),
        (KeyKind::Seed, 1, KeyAlgorithm::Tdes),
        (KeyKind::KeyTransport, 1, KeyAlgorithm::Aes256),
        (KeyKind::Signing, 1, KeyAlgorithm::Sm2),
    ] {
        let place = KeyPlace::root(KeyRef::new(kind, 1, version));
        let value = canary(algorithm);
        vault.import(ImportedKey { place, state: KeyState::Active, value, kcv: None }).unwrap();
    }
    vault
}

fn card(key: KeyRef) -> KeyAddress {
    KeyAddress::Card(CardKeyRef { key, factor: IssuerFactor([1; 8]), asn: Asn8([2; 8]) })
}

/// The test can fail: what is not wiped is found, wherever it stands, and what moved leaves a trace.
#[test]
fn the_watch_finds_what_is_left_behind() {
    let watch = Watch::begin();
    let mut growing = CANARY_16.to_vec();
    assert_eq!((watch.standing(), watch.given_back()), (1, 0));
    growing.extend([0; 4_096]);
    assert_eq!((watch.standing(), watch.given_back()), (1, 1), "the block it has grown out of");
    drop(growing);
    assert_eq!((watch.standing(), watch.given_back()), (0, 2));
    drop(black_box(Box::new(CANARY_32.map(|byte| byte))));
    let mut backwards = CANARY_32;
    backwards.reverse();
    drop(black_box(Box::new(backwards)));
    assert_eq!(watch.given_back(), 4);
    assert!(holds_a_key(&CANARY_16[..8]) && !holds_a_key(&CANARY_16[1..8]));
}

#[test]
fn values_and_unlocks_are_wiped_where_they_stood() {
    let watch = Watch::begin();
    for algorithm in KeyAlgorithm::ALL {
        let value = Box::new(canary(algorithm));
        assert!(watch.standing() > 0, "{algorithm}");
        let (shown, card_key) = (value.expose(), value.card_key().map(Box::new));
        drop(black_box((value.kcv(), shown, card_key, value)));
        drop(black_box(Box::new(KeyValue::generate(algorithm, &mut Canaries))));
        assert_eq!((watch.standing(), watch.given_back()), (0, 0), "{algorithm}");
    }
    let passphrase: String = CANARY_16.iter().map(|byte| char::from(byte & 0x7F)).collect();
    drop(black_box(Box::new(Unlock::passphrase(&passphrase))));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("machine.credential");
    let made = Box::new(Unlock::new_credential_file(&path, &mut Canaries).unwrap());
    let read = Box::new(Unlock::credential_file(&path).unwrap());
    assert!(watch.standing() >= 2);
    drop(black_box((made, read)));
    assert_eq!((watch.standing(), watch.given_back()), (0, 0));
}

/// Everything a vault does with its keys, and its end.
#[test]
fn a_vault_leaves_no_key_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.vault");
    let unlock = Unlock::passphrase("eight characters");
    let watch = Watch::begin();
    {
        let vault = Arc::new(vault());
        uses(&vault);
        let other = SoftVault::empty(Levels::nation_city_card(), Origin::Demo);
        let value = canary(KeyAlgorithm::Aes256);
        let place = KeyPlace::root(TRANSPORT);
        other.import(ImportedKey { place, state: KeyState::Active, value, kcv: None }).unwrap();
        let wrapped = vault.wrap(&KeyPlace::root(PURCHASE), TRANSPORT).unwrap();
        other.import_wrapped(&wrapped, TRANSPORT).unwrap();
        vault.derive_root(KeyRef::new(KeyKind::Seed, 1, 1), KeyRef::new(KeyKind::Tac, 1, 1)).unwrap();
        vault
            .generate(KeyPlace::root(KeyRef::new(KeyKind::Tac, 2, 1)), KeyAlgorithm::Sm4, &mut Canaries)
            .unwrap();
        vault.seal(&path, &unlock, Hardness::TEST, &mut Counting(0)).unwrap();

        let opened = SoftVault::open(&path, &unlock).unwrap();
        uses(&opened);
        opened
            .add_unlock(&Unlock::operators([("wang", "long enough")]), Hardness::TEST, &mut Counting(0))
            .unwrap();
        opened.change_state(&KeyPlace::root(PURCHASE), KeyState::Retired).unwrap();
        drop((vault, other));
        assert!(watch.standing() > 0);
    }
    assert_eq!((watch.standing(), watch.given_back()), (0, 0));
}

fn uses(vault: &SoftVault) {
    let address = card(PURCHASE);
    black_box(vault.kcv(&address).unwrap());
    black_box(vault.external_authenticate(&address, [7; 8]).unwrap());
    black_box(vault.sm_mac(&card(KeyRef::new(KeyKind::Load, 1, 1)), [7; 8], &[b"text"]).unwrap());
    let usage = KeyUsage::Purchase;
    let form = KeyForm::Key(Algorithm::TripleDes);
    let header = KeyHeader { usage, form, ..write_key::control_key_header(KeyVersion(1)) };
    let job = WriteKeyJob {
        control: card(KeyRef::new(KeyKind::ApplicationMaster, 1, 1)),
        new: NewKey::Own(address),
        layout: KeyLayout::Card {
            family: write_key::KeyLayout::SourceDocuments,
            target: KeyTarget::Add { id: 1, usage },
            header,
        },
        iv: [0; 8],
    };
    black_box(vault.write_key(&job).unwrap());
    black_box(vault.list().unwrap());
}

/// A destroyed key is gone at once, not when the vault ends.
#[test]
fn a_destroyed_key_is_gone_at_once() {
    let watch = Watch::begin();
    let vault = SoftVault::empty(Levels::nation_city_card(), Origin::Demo);
    let place = KeyPlace::root(PURCHASE);
    let value = canary(KeyAlgorithm::Tdes);
    vault.import(ImportedKey { place, state: KeyState::Generated, value, kcv: None }).unwrap();
    assert_eq!(watch.standing(), 1);
    vault.change_state(&place, KeyState::Destroyed).unwrap();
    assert_eq!((watch.standing(), watch.given_back()), (0, 0));
    drop(vault);
}

/// Reading a key file leaves the values of keys nowhere but in the vault.
#[test]
fn a_key_file_leaves_no_value_behind() {
    let digits: String = CANARY_16.iter().map(|byte| format!("{byte:02X}")).collect();
    let text = format!("origin = \"demo\"\n[[key]]\nkind = \"purchase\"\nvalue = \"{digits}\"\n");
    let watch = Watch::begin();
    let desk = DeskKeys::from_keys(KeysFile::parse(&text).unwrap()).unwrap();
    let key = desk.key(&card(PURCHASE)).map(Box::new);
    assert_eq!(watch.standing(), 1);
    drop((desk, key));
    assert_eq!((watch.standing(), watch.given_back()), (0, 0));
}
