//! The suite that every backend must pass.

use crate::fixture::{filled, with_token};
use ykt_vault::behaviour;

#[test]
fn a_token_behaves_as_every_vault_must() {
    with_token(|token| {
        assert_eq!(behaviour::deviations(&filled(token)), Vec::<String>::new());
    });
}
