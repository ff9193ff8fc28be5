//! Two vaults as one: no question lost, no answer wrong, differences found and mended.

use super::*;
use crate::behaviour::{self, KEYS};
use crate::{KeysFile, SoftVault};

fn documented() -> Arc<SoftVault> {
    Arc::new(SoftVault::from_keys(KeysFile::parse(KEYS).unwrap()).unwrap())
}

#[test]
fn behaves_as_one_vault() {
    let pair = Pair::new(documented(), documented(), Arc::new(|_: &PairEvent| ()));
    assert_eq!(behaviour::deviations(&pair), Vec::<String>::new());
    assert_eq!(pair.compare(), Ok(Vec::new()));
}
