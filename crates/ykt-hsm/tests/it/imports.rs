//! Many keys come into a token all or none, also when the power fails or the token is pulled out in the middle.

use crate::fixture::{Token, transport_key, with_token};
use ykt_hsm::{HsmVault, TokenName};
use ykt_vault::{
    ImportedKey, KeyAlgorithm, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, KeyValue, Levels, Origin,
    SoftVault, Vault, WrappedKey,
};

const TRANSPORT: KeyRef = KeyRef::new(KeyKind::KeyTransport, 9, 1);

const fn place(version: u8) -> KeyPlace {
    KeyPlace::root(KeyRef::new(KeyKind::Load, 1, version))
}

fn key(version: u8, state: KeyState) -> ImportedKey {
    let value = KeyValue::from_bytes(KeyAlgorithm::Tdes, &[version; 16]).unwrap();
    ImportedKey { place: place(version), state, value, kcv: None }
}

/// A vault whose load key 1 is active.
fn vault(token: &Token) -> HsmVault {
    let vault = HsmVault::create(token.settings(), Levels::nation_city_card(), Origin::Demo).unwrap();
    vault.import(transport_key()).unwrap();
    vault.import(key(1, KeyState::Active)).unwrap();
    vault
}

/// Load keys 2, 3 and 4 on their way; 3 will take the place of 1.
fn arriving() -> Vec<WrappedKey> {
    let other = SoftVault::empty(Levels::nation_city_card(), Origin::Demo);
    other.import(transport_key()).unwrap();
    let states = [(2, KeyState::Generated), (3, KeyState::Active), (4, KeyState::Generated)];
    let wrapped = states.map(|(version, state)| {
        other.import(key(version, state)).unwrap();
        other.wrap(&place(version), TRANSPORT).unwrap()
    });
    wrapped.to_vec()
}

fn import(vault: &HsmVault, progress: &mut dyn FnMut(usize, usize)) -> Result<usize, String> {
    let wrapped = arriving();
    let wrapped: Vec<_> = wrapped.iter().collect();
    let taken = vault.import_all_wrapped(&wrapped, TRANSPORT, progress);
    taken.map(|taken| taken.len()).map_err(|(at, error)| format!("{at}: {error}"))
}

/// The states of the load keys.
fn states(vault: &HsmVault) -> Vec<KeyState> {
    let list = vault.list().unwrap();
    list.iter().filter(|info| info.key.kind == KeyKind::Load).map(|info| info.state).collect()
}

/// As many objects as a whole vault has: a record beside each key, that of the vault, the note of the import and that of
/// the latest change.
fn assert_tidy(token: &Token, vault: &HsmVault) {
    let (listed, keys) = (token.listed(), vault.status().keys);
    assert_eq!(listed.matches("Secret Key Object").count(), keys, "{listed}");
    assert_eq!(listed.matches("Data object").count(), keys + 3, "{listed}");
}

const WHOLE: [KeyState; 4] = [KeyState::Retired, KeyState::Generated, KeyState::Active, KeyState::Generated];

/// The state a cut leaves before the note that the import is whole: made by removing that note, and records, as a
/// foreign program.
#[test]
fn a_cut_in_the_middle_leaves_none() {
    with_token(|token| {
        let import_whole = vault(token);
        assert_eq!(import(&import_whole, &mut |_, _| ()), Ok(3));
        assert_eq!(states(&import_whole), WHOLE);
        assert_tidy(token, &import_whole);
        drop(import_whole);
        for label in ["import 3 is whole", "load key, index 1, version 4, level 0"] {
            let (removed, said) =
                token.foreign_reader(&["--delete-object", "--type", "data", "--label", label]);
            assert!(removed, "{said}");
            let vault = HsmVault::open(token.settings()).unwrap();
            assert_eq!(states(&vault), [KeyState::Retired], "without {label:?}");
        }
        let vault = HsmVault::open(token.settings()).unwrap();
        assert_eq!(import(&vault, &mut |_, _| ()), Ok(3), "and it can be made again");
        assert_eq!(states(&vault), WHOLE);
        assert_tidy(token, &vault);
    });
}

/// What a cut has left goes with the next change, whatever that is about.
#[test]
fn the_next_change_clears_what_a_cut_left() {
    with_token(|token| {
        assert_eq!(import(&vault(token), &mut |_, _| ()), Ok(3));
        let (removed, said) =
            token.foreign_reader(&["--delete-object", "--type", "data", "--label", "import 3 is whole"]);
        assert!(removed, "{said}");
        let vault = HsmVault::open(token.settings()).unwrap();
        vault.change_state(&place(1), KeyState::Active).unwrap();
        let listed = token.listed();
        let count = |what| listed.matches(what).count();
        assert_eq!((count("Secret Key Object"), count("Data object")), (2, 4), "{listed}");
    });
}

/// Pulled out after the second key: an error at once, and no key of the three is there when it is back.
#[test]
fn a_token_pulled_out_in_the_middle_takes_none() {
    with_token(|token| {
        let vault = vault(token);
        let refused = import(&vault, &mut |done, _| {
            if done == 2 {
                token.pull_out();
            }
        });
        let refused = refused.unwrap_err();
        assert!(refused.contains("nothing was changed"), "{refused}");
        token.put_back();
        // Looking for a token that is not there makes the module look at all its slots anew.
        let mut other = token.settings();
        other.token = TokenName::Label("other".to_owned());
        assert!(HsmVault::open(other).is_err());
        assert_eq!(states(&vault), [KeyState::Active]);
        assert_eq!(import(&vault, &mut |_, _| ()), Ok(3));
        assert_eq!(states(&vault), WHOLE);
    });
}
