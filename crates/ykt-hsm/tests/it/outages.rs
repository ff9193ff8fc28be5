//! A token that is not there, does not let anybody in, or goes while it is used: a clear word at once, and when it is
//! back the same question is answered.

use crate::fixture::{PIN, Token, with_a_load_key, with_token};
use std::fs;
use ykt_base::{Asn8, IssuerFactor, Rng};
use ykt_hsm::{HsmVault, Mechanisms, OpenError, TokenName};
use ykt_vault::{
    CardKeyRef, Health, KeyAddress, KeyAlgorithm, KeyKind, KeyManagement, KeyPlace, KeyRef, Vault, VaultError,
};

fn card() -> KeyAddress {
    let key = KeyRef::new(KeyKind::Load, 1, 1);
    KeyAddress::Card(CardKeyRef { key, factor: IssuerFactor([1; 8]), asn: Asn8([2; 8]) })
}

fn asks(vault: &HsmVault) -> Result<[u8; 8], VaultError> {
    vault.external_authenticate(&card(), [7; 8])
}

fn why_not(token: &Token, change: impl FnOnce(&mut ykt_hsm::Settings)) -> String {
    let mut settings = token.settings();
    change(&mut settings);
    match HsmVault::open(settings).err() {
        Some(OpenError::Token(error @ VaultError::Unavailable { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_opened_is_named() {
    with_token(|token| {
        let missing = why_not(token, |settings| settings.module = "/nowhere/pkcs11.so".into());
        assert!(missing.contains("/nowhere/pkcs11.so"), "{missing}");
        let elsewhere = why_not(token, |settings| settings.token = TokenName::Label("other".to_owned()));
        assert!(elsewhere.contains("\"other\""), "{elsewhere}");
        fs::write(token.pin_file(), "\n").unwrap();
        assert!(why_not(token, |_| ()).contains("the PIN is empty"));
        fs::remove_file(token.pin_file()).unwrap();
        assert!(why_not(token, |_| ()).contains("PIN file"));
    });
}

/// A wrong PIN is shown to the token once: a few of them would lock it for good.
#[test]
fn a_wrong_pin_is_not_tried_twice() {
    with_token(|token| {
        drop(with_a_load_key(token));
        fs::write(token.pin_file(), "987654").unwrap();
        let vault = HsmVault::awaited(token.settings());
        let first = asks(&vault).unwrap_err().to_string();
        assert!(first.contains("does not let the user in") && !first.contains("987654"), "{first}");
        let second = asks(&vault).unwrap_err().to_string();
        assert!(second.contains("has refused this PIN"), "{second}");
        assert_eq!(vault.status().health, Health::Locked);
        fs::write(token.pin_file(), PIN).unwrap();
        assert!(asks(&vault).is_ok());
        assert_eq!(vault.status().health, Health::Ready);
    });
}

#[test]
fn a_token_that_comes_back_goes_on() {
    with_token(|token| {
        let vault = with_a_load_key(token);
        let answer = asks(&vault).unwrap();
        token.pull_out();
        // Looking for a token that is not there makes the module look at all its slots anew.
        let other = why_not(token, |settings| settings.token = TokenName::Label("other".to_owned()));
        assert!(other.contains("no slot"), "{other}");
        let gone = asks(&vault).unwrap_err();
        assert!(gone.is_outage() && gone.to_string().contains("\"kmc\""), "{gone}");
        assert!(matches!(vault.status().health, Health::Gone { .. }));
        assert_eq!(vault.status().keys, 1, "what it was when it last answered");
        assert!(vault.list().is_err());
        token.put_back();
        assert_eq!(asks(&vault), Ok(answer));
        assert_eq!(vault.status().health, Health::Ready);
    });
}

/// Somebody else restarts the module under many threads that ask: each gets its answer, and it is right.
#[test]
fn a_restarted_module_loses_no_question() {
    with_token(|token| {
        let vault = with_a_load_key(token);
        let answer = asks(&vault);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..200).for_each(|_| assert_eq!(asks(&vault), answer)));
            }
            // One less than a question is put at most: each time it is lost, the module was restarted.
            for _ in 0..7 {
                why_not(token, |settings| settings.token = TokenName::Label("other".to_owned()));
            }
        });
    });
}

/// A number the token does not have is named by its place in the configuration, and nothing is left of the attempt.
#[test]
fn a_wrong_mechanism_is_named() {
    const NOBODYS: u64 = 0x8000_0BAD;
    with_token(|token| {
        drop(with_a_load_key(token));
        let place = KeyPlace::root(KeyRef::new(KeyKind::Load, 1, 2));
        let transport = KeyPlace::root(KeyRef::new(KeyKind::KeyTransport, 1, 1));
        type Wrong<'a> = (&'a str, fn(&mut Mechanisms), &'a dyn Fn(&HsmVault) -> Result<(), VaultError>);
        let make =
            |vault: &HsmVault, place, algorithm| vault.generate(place, algorithm, &mut Zeros).map(drop);
        let wrong: [Wrong<'_>; 5] = [
            ("derive", |all| all.derive = NOBODYS, &|vault| asks(vault).map(drop)),
            ("encrypt", |all| all.encrypt = NOBODYS, &|vault| make(vault, place, KeyAlgorithm::Tdes)),
            ("generate", |all| all.generate = NOBODYS, &|vault| make(vault, place, KeyAlgorithm::Tdes)),
            ("encrypt_aes", |all| all.encrypt_aes = NOBODYS, &|vault| {
                make(vault, transport, KeyAlgorithm::Aes256)
            }),
            ("generate_aes", |all| all.generate_aes = NOBODYS, &|vault| {
                make(vault, transport, KeyAlgorithm::Aes256)
            }),
        ];
        for (name, change, ask) in wrong {
            let mut settings = token.settings();
            change(&mut settings.mechanisms);
            let said = ask(&HsmVault::open(settings).unwrap()).unwrap_err().to_string();
            assert!(said.contains(name) && said.contains("[vault.pkcs11.mechanisms]"), "{name}: {said}");
        }
        let listed = token.listed();
        assert_eq!(listed.matches("Secret Key Object").count(), 1, "{listed}");
        assert!(asks(&HsmVault::open(token.settings()).unwrap()).is_ok());
    });
}

struct Zeros;

impl Rng for Zeros {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(0);
    }
}
