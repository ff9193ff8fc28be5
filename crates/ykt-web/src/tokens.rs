//! Bearer tokens of machines that call the API: read from a file at the start, kept as hashes only. Each token
//! opens one door: a load terminal cannot read the books, a report cannot load cards.

use crate::config::ConfigError;
use std::collections::BTreeMap;
use std::path::Path;
use ykt_crypto::chain::{Hash32, sm3};

/// Fewest characters of a token.
pub const TOKEN_CHARS_MIN: usize = 24;
/// Most lines of a token file.
pub const TOKENS_LEN_MAX: usize = 1_000;

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The load endpoints.
    Loads,
    /// The lists, with card numbers masked.
    Read,
}

/// A machine that may call the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its name, for the audit log.
    pub name: String,
    /// What its token opens.
    pub scope: Scope,
}

/// The machines by the hash of their token.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    machines: BTreeMap<[u8; 32], Machine>,
}

impl Tokens {
    /// Reads a token file: `name scope token` a line, scope `loads` or `read`, `#` begins a comment.
    ///
    /// # Errors
    /// [`ConfigError::Secret`] naming the line, never its token.
    pub fn read(path: &Path) -> Result<Tokens, ConfigError> {
        let bad = |why: String| ConfigError::Secret { what: "API tokens", path: path.to_owned(), why };
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        Tokens::parse(&text).map_err(bad)
    }

    fn parse(text: &str) -> Result<Tokens, String> {
        let mut machines = BTreeMap::new();
        for (no, line) in (1..).zip(text.lines()) {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let (name, scope, token) = match (words.next(), words.next(), words.next(), words.next()) {
                (None, ..) => continue,
                (Some(name), Some("loads"), Some(token), None) => (name, Scope::Loads, token),
                (Some(name), Some("read"), Some(token), None) => (name, Scope::Read, token),
                _ => return Err(format!("line {no}: expected a name, `loads` or `read`, and a token")),
            };
            if token.chars().count() < TOKEN_CHARS_MIN {
                return Err(format!(
                    "line {no}: the token of {name} has fewer than {TOKEN_CHARS_MIN} characters"
                ));
            }
            if machines.insert(hash(token), Machine { name: name.to_owned(), scope }).is_some() {
                return Err(format!("line {no}: the token of {name} is given twice"));
            }
            if machines.len() > TOKENS_LEN_MAX {
                return Err(format!("line {no}: more than {TOKENS_LEN_MAX} tokens"));
            }
        }
        Ok(Tokens { machines })
    }

    /// The machine a token belongs to. Tokens are looked up by hash, so timing tells nothing about them.
    #[must_use]
    pub fn owner(&self, token: &str) -> Option<&Machine> {
        self.machines.get(&hash(token))
    }
}

fn hash(token: &str) -> [u8; 32] {
    let Hash32(bytes) = sm3(&[b"ykt api token", token.as_bytes()]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_by_value_and_kept_as_hashes() {
        let tokens = Tokens::parse("# machines\nkiosk-1 loads 0123456789abcdefghijklmn # hall\n\n").unwrap();
        let machine = Machine { name: "kiosk-1".to_owned(), scope: Scope::Loads };
        assert_eq!(tokens.owner("0123456789abcdefghijklmn"), Some(&machine));
        assert_eq!(tokens.owner("0123456789abcdefghijklmN"), None);
        assert!(!format!("{tokens:?}").contains("0123456789"));
    }

    #[test]
    fn a_bad_line_is_named_without_its_token() {
        for (text, message) in [
            ("a 0123456789abcdefghijklmn", "line 1: expected a name, `loads` or `read`, and a token"),
            ("\na read short", "line 2: the token of a has fewer than 24 characters"),
            (
                "a read 0123456789abcdefghijklmn\nb loads 0123456789abcdefghijklmn",
                "line 2: the token of b is given twice",
            ),
        ] {
            assert_eq!(Tokens::parse(text).unwrap_err(), message);
        }
    }
}
