//! Which root keys come from a seed, as people write it: `all`, `none`, or a list.

use crate::PlaceName;
use thiserror::Error;
use ykt_vault::{KeyKind, KeyPlace, KeyRef};

/// A word that names no root key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "expected `all`, `none`, or kinds of keys and KIND.INDEX.VERSION with commas between, found {found:?}"
)]
pub struct RootsError {
    /// The word.
    pub found: String,
}

/// The key of a name such as `seed.1.1`: a root.
///
/// # Errors
/// [`RootsError`] with the text.
pub fn root(text: &str) -> Result<KeyRef, RootsError> {
    let place = text.parse().ok().map(|PlaceName(place)| place);
    let place = place.filter(|place| *place == KeyPlace::root(place.key));
    place.map(|place| place.key).ok_or_else(|| RootsError { found: text.to_owned() })
}

/// The root keys of a list, with the index and version of `seed` where a word is only a kind. `all` are all that can
/// come from a seed: not the transport keys of blank cards, which their maker gives, and not the centre's own.
///
/// # Errors
/// [`RootsError`] with the word.
pub fn roots(list: &str, seed: KeyRef) -> Result<Vec<KeyRef>, RootsError> {
    let like_seed = |kind: KeyKind| KeyRef::new(kind, seed.index.0, seed.version.0);
    match list.trim() {
        "" | "none" => Ok(Vec::new()),
        "all" if seed.kind != KeyKind::Seed => Ok(Vec::new()),
        "all" => {
            let kinds = KeyKind::ALL.iter().filter(|kind| !kind.is_of_blanks() && !kind.is_of_centre());
            Ok(kinds.map(|kind| like_seed(*kind)).collect())
        }
        list => {
            let words = list.split(',').map(str::trim);
            words
                .map(|word| KeyKind::from_name(word).map_or_else(|| root(word), |kind| Ok(like_seed(kind))))
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_roots() {
        let seed = KeyRef::new(KeyKind::Seed, 2, 3);
        let all = roots("all", seed).unwrap();
        assert!(all.contains(&KeyRef::new(KeyKind::Purchase, 2, 3)) && all.len() > 20);
        assert!(!all.iter().any(|key| key.kind.is_of_centre() || key.kind == KeyKind::CardTransport));
        assert_eq!(roots("all", KeyRef::new(KeyKind::Load, 1, 1)), Ok(vec![]));
        assert_eq!(roots(" none ", seed), Ok(vec![]));
        let two = [KeyRef::new(KeyKind::Load, 2, 3), KeyRef::new(KeyKind::Tac, 1, 9)];
        assert_eq!(roots("load, tac.1.9", seed), Ok(two.to_vec()));
        for found in ["lode", "load.1", "load.1.1.1"] {
            assert_eq!(roots(found, seed), Err(RootsError { found: found.to_owned() }));
        }
        assert_eq!(root("seed.1.1"), Ok(KeyRef::new(KeyKind::Seed, 1, 1)));
    }
}
