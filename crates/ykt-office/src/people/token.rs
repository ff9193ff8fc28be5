//! What a browser keeps of a sign-in.

use std::fmt;
use std::str::FromStr;
use ykt_base::Rng;
use ykt_base::hex::{self, Hex, HexError};
use ykt_crypto::chain::{self, Hash32};
use zeroize::Zeroizing;

/// What a browser keeps to show that it is signed in. The house keeps its hash only.
#[derive(Clone)]
pub struct Token(Zeroizing<[u8; 32]>);

impl Token {
    pub(super) fn new(rng: &mut dyn Rng) -> Token {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill(bytes.as_mut());
        Token(bytes)
    }

    pub(super) fn hash(&self) -> Hash32 {
        chain::sm3(&[self.0.as_slice()])
    }

    /// The token as text, 64 hex digits: for the cookie and for nothing else.
    #[must_use]
    pub fn expose(&self) -> String {
        Hex(self.0.as_slice()).to_string()
    }
}

impl FromStr for Token {
    type Err = HexError;
    fn from_str(text: &str) -> Result<Token, HexError> {
        hex::decode(text).map(|bytes| Token(Zeroizing::new(bytes)))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}
