//! No key prints, and nothing that leaves the vault holds one: no list, no error, no sealed file, no wrapped key.

use crate::Counting;
use crate::watch::{CANARY_16, CANARY_32};
use std::fmt::{Debug, Display};
use std::sync::Arc;
use ykt_base::{Asn8, IssuerFactor};
use ykt_vault::{
    CardKeyRef, Hardness, ImportedKey, KeyAddress, KeyAlgorithm, KeyKind, KeyManagement, KeyPlace, KeyRef,
    KeyState, KeyValue, KeysFile, Levels, Origin, SoftVault, Unlock, Vault,
};

/// Compiles only when none of these types prints: a type that did would have two ways to answer `check`.
macro_rules! none_prints {
    ($($key:ty),+ $(,)?) => {$({
        trait Silent<Way> {
            fn check() {}
        }
        struct Shown;
        struct Displayed;
        impl<T: ?Sized> Silent<()> for T {}
        impl<T: ?Sized + Debug> Silent<Shown> for T {}
        impl<T: ?Sized + Display> Silent<Displayed> for T {}
        <$key as Silent<_>>::check();
    })+};
}

#[test]
fn no_key_type_prints() {
    none_prints!(
        ykt_crypto::Key8,
        ykt_crypto::Key16,
        ykt_crypto::CardKey,
        ykt_crypto::SessionKey,
        ykt_crypto::Tdes,
        ykt_crypto::mac::MacState,
        ykt_crypto::sm2::PrivateKey,
        ykt_purse::write_key::Pin,
        ykt_vault::KeyValue,
        ykt_vault::ImportedKey,
        ykt_vault::NewKey<'_>,
        ykt_vault::WriteKeyJob<'_>,
        ykt_vault::KeysFile,
        ykt_vault::DeskKeys,
        ykt_vault::Operator,
        ykt_vault::Unlock,
        ykt_vault::SoftVault,
        ykt_vault::ceremony::Component,
        ykt_vault::ceremony::Ceremony,
        ykt_vault::table::Entry<Arc<KeyValue>>,
        ykt_vault::table::KeyTable<Arc<KeyValue>>,
    );
}

/// Forms a canary could be seen in: its bytes and its halves, forwards and backwards, raw and in hex.
fn shows_a_key(seen: &[u8]) -> bool {
    let halves = CANARY_16.as_chunks::<8>().0.iter().chain(CANARY_32.as_chunks::<8>().0);
    halves.flat_map(|half| [half.to_vec(), half.iter().rev().copied().collect()]).any(|half: Vec<u8>| {
        let upper: String = half.iter().map(|byte| format!("{byte:02X}")).collect();
        let listed = half.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        [half, upper.to_lowercase().into_bytes(), upper.into_bytes(), listed.into_bytes()]
            .iter()
            .any(|form| seen.windows(form.len()).any(|window| window == form))
    })
}

#[test]
fn the_search_finds_what_it_looks_for() {
    assert!(shows_a_key(&CANARY_32) && shows_a_key(format!("key {CANARY_16:?}").as_bytes()));
    let hex: String = CANARY_16.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(shows_a_key(hex.as_bytes()) && shows_a_key(hex.to_uppercase().as_bytes()));
    assert!(!shows_a_key(&hex.as_bytes()[1..15]) && !shows_a_key(b"canary"));
}

fn place(kind: KeyKind, version: u8) -> KeyPlace {
    KeyPlace::root(KeyRef::new(kind, 1, version))
}

fn value(algorithm: KeyAlgorithm) -> KeyValue {
    let bytes: &[u8] = if algorithm.value_len() == 16 { &CANARY_16 } else { &CANARY_32 };
    KeyValue::from_bytes(algorithm, bytes).unwrap()
}

#[test]
fn what_leaves_the_vault_holds_no_key() {
    let vault = SoftVault::empty(Levels::nation_city_card(), Origin::Demo);
    let import = |place, algorithm, kcv| {
        vault.import(ImportedKey { place, state: KeyState::Active, value: value(algorithm), kcv })
    };
    let keys = [
        (KeyKind::Purchase, KeyAlgorithm::Tdes),
        (KeyKind::Load, KeyAlgorithm::Sm4),
        (KeyKind::KeyTransport, KeyAlgorithm::Aes256),
        (KeyKind::Signing, KeyAlgorithm::Sm2),
    ];
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let mut text = |shown: &dyn Debug| seen.push(format!("{shown:?}").into_bytes());
    for (kind, algorithm) in keys {
        text(&import(place(kind, 1), algorithm, None).unwrap());
        text(&import(place(kind, 1), algorithm, None).unwrap_err());
        text(&import(place(kind, 2), algorithm, Some([0; 3])).unwrap_err());
    }
    text(&import(place(KeyKind::Signing, 3), KeyAlgorithm::Tdes, None).unwrap_err());
    text(&vault.list().unwrap());
    text(&vault.status());
    let transport = place(KeyKind::KeyTransport, 1).key;
    text(&vault.wrap(&place(KeyKind::KeyTransport, 1), transport).unwrap_err());
    let factor = IssuerFactor([1; 8]);
    let card = |key| KeyAddress::Card(CardKeyRef { key, factor, asn: Asn8([2; 8]) });
    text(&vault.kcv(&card(place(KeyKind::Tac, 1).key)).unwrap_err());
    text(&vault.change_state(&place(KeyKind::Load, 1), KeyState::Destroyed).unwrap_err());
    let digits: String = CANARY_16.iter().map(|byte| format!("{byte:02X}")).collect();
    for bad in [
        format!("origin = \"demo\"\n[[key]]\nkind = \"purchase\"\nvalue = \"{digits}0\"\n"),
        format!("origin = \"demo\"\n[[key]]\nkind = \"purchase\"\nvalue = \"{digits}\"\nkcv = \"000000\"\n"),
        format!("origin = \"demo\"\n[[key]]\nkind = \"signing\"\nvalue = \"{digits}\"\n"),
        format!("origin = \"demo\"\n[[key]]\nkind = \"purchase\"\ncolour = 1\nvalue = \"{digits}\"\n"),
        format!("origin = \"demo\"\nidentity_key = \"{digits}\"\nkey = []\n"),
    ] {
        let error = KeysFile::parse(&bad).and_then(SoftVault::from_keys).err().expect("refused");
        text(&error);
        text(&error.to_string());
    }
    for (kind, _) in keys.into_iter().filter(|(kind, _)| *kind != KeyKind::KeyTransport) {
        let wrapped = vault.wrap(&place(kind, 1), transport).unwrap();
        seen.extend([format!("{wrapped:?}").into_bytes(), wrapped.cryptogram]);
    }
    let unlock = Unlock::passphrase("eight characters");
    let sealed = vault.to_sealed(&unlock, Hardness::TEST, &mut Counting(0)).unwrap();
    let wrong = SoftVault::from_sealed(&sealed, &Unlock::passphrase("another one")).err().expect("refused");
    seen.extend([format!("{wrong} {wrong:?}").into_bytes(), sealed]);
    for what in &seen {
        assert!(!shows_a_key(what), "{}", String::from_utf8_lossy(what));
    }
    assert!(seen.len() > 30);
}
