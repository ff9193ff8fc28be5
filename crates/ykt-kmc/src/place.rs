//! The name of a place in the vault, as addresses, commands, requests and the audit log write it:
//! `purchase.1.2` is the root of the purchase key of index 1 and version 2, `purchase.1.2.1.2144FF0000000000` the same
//! key of one city.

use std::fmt;
use std::str::FromStr;
use ykt_base::hex::Hex;
use ykt_vault::{KeyKind, KeyPlace, KeyRef};

/// A place by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceName(pub KeyPlace);

/// A text names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected KIND.INDEX.VERSION, .LEVEL and .OWNER (16 hex digits) when it is no root, found `{found}`")]
pub struct PlaceNameError {
    /// The text.
    pub found: String,
}

impl fmt::Display for PlaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlaceName(KeyPlace { key, level, owner }) = self;
        write!(f, "{}.{}.{}", key.kind.name(), key.index.0, key.version.0)?;
        match owner {
            Some(owner) => write!(f, ".{level}.{}", Hex(owner)),
            None if *level > 0 => write!(f, ".{level}"),
            None => Ok(()),
        }
    }
}

impl FromStr for PlaceName {
    type Err = PlaceNameError;

    fn from_str(text: &str) -> Result<PlaceName, PlaceNameError> {
        read(text).map(PlaceName).ok_or_else(|| PlaceNameError { found: text.to_owned() })
    }
}

fn read(text: &str) -> Option<KeyPlace> {
    let mut parts = text.split('.');
    let kind = KeyKind::from_name(parts.next()?)?;
    let mut number = || parts.next().map(|part| part.parse::<u8>());
    let (index, version) = (number()?.ok()?, number()?.ok()?);
    let level = number().transpose().ok()?.unwrap_or(0);
    let owner = match parts.next() {
        Some(digits) => Some(eight_bytes(digits)?),
        None => None,
    };
    parts.next().is_none().then_some(KeyPlace { key: KeyRef::new(kind, index, version), level, owner })
}

/// Sixteen hex digits.
fn eight_bytes(digits: &str) -> Option<[u8; 8]> {
    let fits = digits.len() == 16 && digits.bytes().all(|sign| sign.is_ascii_hexdigit());
    fits.then(|| u64::from_str_radix(digits, 16).ok()).flatten().map(u64::to_be_bytes)
}

/// The name of a key at the root, as [`PlaceName`] writes it.
#[must_use]
pub fn key_name(key: KeyRef) -> String {
    PlaceName(KeyPlace::root(key)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_nothing_else_is_one() {
        for name in [
            "purchase.1.2",
            "purchase.1.2.1",
            "purchase.1.2.1.2144FF0000000000",
            "card-master.1.1.2.2144000000000001",
            "seed.255.255",
        ] {
            assert_eq!(name.parse::<PlaceName>().unwrap().to_string(), name);
        }
        assert_eq!("load.1.1.0".parse::<PlaceName>().unwrap().to_string(), "load.1.1");
        for wrong in [
            "",
            "purchase",
            "purchase.1",
            "purse.1.1",
            "load.1.256",
            "load.1.1.0.21",
            "load.1.1.0.+144FF0000000000",
            "load.1.1.1.2144FF0000000000.0",
        ] {
            assert!(wrong.parse::<PlaceName>().is_err(), "{wrong}");
        }
    }
}
