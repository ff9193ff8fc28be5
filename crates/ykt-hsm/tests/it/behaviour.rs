//! The suites that every backend must pass: alone, and as one of a pair with a software vault.

use crate::fixture::{Token, documented_keys, filled, transport_key, with_token};
use std::sync::Arc;
use ykt_hsm::HsmVault;
use ykt_vault::pair::{PairEvent, Refusal, Side, SwitchOver};
use ykt_vault::{KeyKind, KeyManagement, Levels, Origin, Pair, ReadKeys, SoftVault, Vault, behaviour};

const NONE: Vec<String> = Vec::new();

fn empty(token: &Token, levels: Levels) -> HsmVault {
    HsmVault::create(token.settings(), levels, Origin::Demo).unwrap()
}

#[test]
fn a_token_behaves_as_every_vault_must() {
    with_token(|token| assert_eq!(behaviour::deviations(&filled(token)), NONE));
}

#[test]
fn its_keys_are_managed_as_in_every_vault() {
    with_token(|token| {
        assert_eq!(behaviour::management(&empty(token, Levels::nation_city_card())), NONE);
    });
}

#[test]
fn it_derives_what_the_vectors_say() {
    with_token(|token| assert_eq!(behaviour::derivations(&empty(token, behaviour::levels())), NONE));
}

/// A software vault given the documented keys as the token is: of two active versions the later one stays active.
fn documented() -> SoftVault {
    let ReadKeys { levels, origin, keys } = documented_keys();
    let vault = SoftVault::empty(levels, origin);
    for key in keys {
        vault.import(key).unwrap();
    }
    vault
}

/// Orders reach both, whichever acts; a pair of a token and a file has no more algorithms than the token.
#[test]
fn a_pair_is_managed_as_every_vault() {
    with_token(|token| {
        let levels = Levels::nation_city_card();
        let (hsm, soft) =
            (Arc::new(empty(token, levels.clone())), Arc::new(SoftVault::empty(levels, Origin::Demo)));
        let members: [&dyn KeyManagement; 2] = [&*hsm, &*soft];
        for vault in members {
            vault.import(transport_key()).unwrap();
        }
        let pair = Pair::new(hsm, soft, Arc::new(|_: &PairEvent| ()));
        assert_eq!(behaviour::management(&pair), NONE);
        assert_eq!(pair.compare(), Ok(Vec::new()), "every order reached both");
    });
}

/// Both ways round: whichever acts, the answers are those of one vault.
#[test]
fn a_token_and_a_file_are_a_pair() {
    with_token(|token| {
        let (hsm, soft) = (Arc::new(filled(token)), Arc::new(documented()));
        let pair = Pair::new(hsm, soft, Arc::new(|_: &PairEvent| ()));
        assert_eq!(behaviour::deviations(&pair), NONE);
        let differs: Vec<_> = pair
            .compare()
            .unwrap()
            .iter()
            .map(|difference| difference.place().map(|place| place.key.kind))
            .collect();
        assert_eq!(differs, [Some(KeyKind::Signing)], "a token has no SM2");
        pair.switch_over(SwitchOver::AsItIs).unwrap();
        assert_eq!(pair.acting(), Side::Backup);
        assert_eq!(behaviour::deviations(&pair), NONE);
    });
}

/// Everything but the SM2 pair crosses into an empty token, wrapped under a key that both got before.
#[test]
fn a_token_is_brought_in_step_with_a_file_and_back() {
    with_token(|token| {
        let (hsm, soft) = (Arc::new(empty(token, Levels::nation_city_card())), Arc::new(documented()));
        hsm.import(transport_key()).unwrap();
        soft.import(transport_key()).unwrap();
        let keys = soft.list().unwrap().len();
        let pair = Pair::new(soft, Arc::clone(&hsm) as Arc<dyn KeyManagement>, Arc::new(|_: &PairEvent| ()));
        let done = pair.replicate(Side::Primary).unwrap();
        assert_eq!(done.copied.len(), keys - 2);
        let [(refused, Refusal::Vault(_))] = done.refused.as_slice() else { panic!("{:?}", done.refused) };
        assert_eq!(refused.key.kind, KeyKind::Signing);
        assert_eq!(done.left.len(), 1);
        assert_eq!(behaviour::deviations(&*hsm), NONE);
        // And back into an empty file.
        let other = Arc::new(SoftVault::empty(Levels::nation_city_card(), Origin::Demo));
        other.import(transport_key()).unwrap();
        let back = Pair::new(hsm, other, Arc::new(|_: &PairEvent| ())).replicate(Side::Primary).unwrap();
        assert_eq!((back.copied.len(), back.refused.len(), back.left.len()), (keys - 2, 0, 0));
    });
}
