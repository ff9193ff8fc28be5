//! What is in the token stays in the token: the vault is the same after a restart, and what a cut left behind is judged.

use crate::fixture::{Token, with_token};
use ykt_base::Rng;
use ykt_hsm::{Export, HsmVault, OpenError};
use ykt_vault::{
    ImportedKey, KeyAlgorithm, KeyInfo, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, KeyValue, Levels,
    Origin, Vault, VaultError,
};

/// The token draws its keys itself.
struct NeverAsked;

impl Rng for NeverAsked {
    fn fill(&mut self, _: &mut [u8]) {
        panic!("a token has randomness of its own");
    }
}

const LOAD: [KeyPlace; 3] = [place(1), place(2), place(3)];

const fn place(version: u8) -> KeyPlace {
    KeyPlace::root(KeyRef::new(KeyKind::Load, 1, version))
}

fn made(token: &Token) -> HsmVault {
    HsmVault::create(token.settings(), Levels::nation_city_card(), Origin::Production).unwrap()
}

#[test]
fn a_restart_keeps_everything() {
    with_token(|token| {
        let no_vault = HsmVault::open(token.settings()).err();
        assert!(matches!(no_vault, Some(OpenError::NoVault { .. })), "{no_vault:?}");
        let vault = made(token);
        for place in LOAD {
            vault.generate(place, KeyAlgorithm::Tdes, &mut NeverAsked).unwrap();
        }
        for (place, to) in [
            (LOAD[0], KeyState::Active),
            (LOAD[1], KeyState::Active),
            (LOAD[0], KeyState::Destroyed),
            (LOAD[2], KeyState::Active),
        ] {
            vault.change_state(&place, to).unwrap();
        }
        let (list, status) = (vault.list().unwrap(), vault.status());
        let states: Vec<_> = list.iter().map(|info| info.state).collect();
        assert_eq!(states, [KeyState::Destroyed, KeyState::Retired, KeyState::Active]);
        assert_eq!((status.keys, status.origin), (2, Origin::Production));
        drop(vault);
        let again = HsmVault::open(token.settings()).unwrap();
        assert_eq!(again.list().unwrap(), list);
        assert_eq!(again.status(), status);
        let twice = HsmVault::create(token.settings(), Levels::nation_city_card(), Origin::Demo).err();
        assert!(matches!(twice, Some(OpenError::VaultThere { .. })));
    });
}

/// Neither made again, nor brought in, nor restored: its record stays.
#[test]
fn a_destroyed_key_never_returns() {
    with_token(|token| {
        let vault = made(token);
        let value = || KeyValue::from_bytes(KeyAlgorithm::Tdes, &[0x31; 16]).unwrap();
        let key = |place| ImportedKey { place, state: KeyState::Generated, value: value(), kcv: None };
        vault.import(key(LOAD[0])).unwrap();
        vault.change_state(&LOAD[0], KeyState::Destroyed).unwrap();
        for vault in [vault, HsmVault::open(token.settings()).unwrap()] {
            let there = VaultError::AlreadyThere { key: LOAD[0].key };
            assert_eq!(vault.import(key(LOAD[0])).err(), Some(there.clone()));
            assert_eq!(vault.generate(LOAD[0], KeyAlgorithm::Tdes, &mut NeverAsked).err(), Some(there));
            assert!(matches!(
                vault.change_state(&LOAD[0], KeyState::Active),
                Err(VaultError::NoSuchStep { from: KeyState::Destroyed, .. })
            ));
        }
        assert!(!token.listed().contains("Secret Key Object"), "the object itself is gone");
    });
}

/// A wrong check value leaves nothing behind; the right key may come to the same place after.
#[test]
fn what_is_refused_leaves_nothing() {
    with_token(|token| {
        let vault = made(token);
        let value = || KeyValue::from_bytes(KeyAlgorithm::Tdes, &[0x31; 16]).unwrap();
        let right = value().kcv();
        let import = |kcv| {
            let state = KeyState::Active;
            vault.import(ImportedKey { place: LOAD[0], state, value: value(), kcv: Some(kcv) })
        };
        let wrong = VaultError::WrongKcv { key: LOAD[0].key, expected: [9; 3], found: right };
        assert_eq!(import([9; 3]).err(), Some(wrong));
        assert_eq!(vault.list(), Ok(Vec::new()));
        assert!(!token.listed().contains("Secret Key Object"));
        assert_eq!(import(right).map(|info| info.kcv), Ok(right));
    });
}

/// Another process (here: another vault on the same token) may manage keys, too.
#[test]
fn a_change_sees_what_others_have_changed() {
    with_token(|token| {
        let (one, other) = (made(token), HsmVault::open(token.settings()).unwrap());
        one.generate(LOAD[0], KeyAlgorithm::Tdes, &mut NeverAsked).unwrap();
        let there = other.generate(LOAD[0], KeyAlgorithm::Tdes, &mut NeverAsked);
        assert_eq!(there.err(), Some(VaultError::AlreadyThere { key: LOAD[0].key }));
        other.generate(LOAD[1], KeyAlgorithm::Tdes, &mut NeverAsked).unwrap();
        one.change_state(&LOAD[1], KeyState::Active).unwrap();
        assert_eq!(one.list().unwrap().len(), 2);
    });
}

/// A process of its own, by other means: what it takes away is missed at the next change.
#[test]
fn a_change_sees_what_another_process_has_changed() {
    with_token(|token| {
        let vault = made(token);
        for place in [LOAD[0], LOAD[1]] {
            vault.generate(place, KeyAlgorithm::Tdes, &mut NeverAsked).unwrap();
        }
        let record = LOAD[1].to_string();
        for label in ["latest change 2", &record] {
            let (removed, said) =
                token.foreign_reader(&["--delete-object", "--type", "data", "--label", label]);
            assert!(removed, "{said}");
        }
        vault.generate(LOAD[2], KeyAlgorithm::Tdes, &mut NeverAsked).unwrap();
        let places = |vault: &HsmVault| vault.list().unwrap().iter().map(KeyInfo::place).collect::<Vec<_>>();
        assert_eq!(places(&vault), [LOAD[0], LOAD[2]]);
        vault.generate(LOAD[1], KeyAlgorithm::Tdes, &mut NeverAsked).unwrap();
        let again = HsmVault::open(token.settings()).unwrap();
        assert_eq!((places(&again), again.list()), (LOAD.to_vec(), vault.list()));
        assert_eq!(token.listed().matches("Secret Key Object").count(), 3, "the one without a record went");
    });
}

/// Roots that were made to stay inside do, even from a transport key; what cards hold can be written all the same.
#[test]
fn roots_can_be_made_to_stay_inside() {
    with_token(|token| {
        let mut settings = token.settings();
        settings.export = Export::Never;
        let vault = HsmVault::create(settings, Levels::nation_city_card(), Origin::Production).unwrap();
        let transport = KeyRef::new(KeyKind::KeyTransport, 1, 1);
        vault.generate(KeyPlace::root(transport), KeyAlgorithm::Aes256, &mut NeverAsked).unwrap();
        vault.change_state(&KeyPlace::root(transport), KeyState::Active).unwrap();
        vault.generate(LOAD[0], KeyAlgorithm::Tdes, &mut NeverAsked).unwrap();
        let refused = vault.wrap(&LOAD[0], transport).unwrap_err();
        assert!(
            matches!(&refused, VaultError::NotAllowed { reason } if reason.contains("stay inside")),
            "{refused}"
        );
        let blanks = KeyPlace::root(KeyRef::new(KeyKind::CardTransport, 1, 1));
        vault.generate(blanks, KeyAlgorithm::Tdes, &mut NeverAsked).unwrap();
        assert!(vault.wrap(&blanks, transport).is_ok());
    });
}
