//! Keys as types: no `Debug`, no `Display`, compared in constant time, wiped when dropped.

use subtle::ConstantTimeEq;
use ykt_base::hex::{self, HexError};
use zeroize::{Zeroize, ZeroizeOnDrop};

macro_rules! keys {
    ($($(#[$doc:meta])+ $name:ident [$len:literal];)+) => {$(
        $(#[$doc])+
        #[derive(Clone)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The key of these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> $name {
                $name(bytes)
            }

            /// The key of exactly twice as many hex digits as it has bytes.
            ///
            /// # Errors
            /// [`HexError`] naming length or character; never the text itself.
            pub fn from_hex(text: &str) -> Result<$name, HexError> {
                let mut key = $name([0; $len]);
                hex::decode_into(text, &mut key.0)?;
                Ok(key)
            }

            /// The bytes themselves. Whoever calls this answers for where they go.
            #[must_use]
            pub const fn expose(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl Zeroize for $name {
            fn zeroize(&mut self) {
                self.0.zeroize();
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                self.zeroize();
            }
        }

        impl ZeroizeOnDrop for $name {}

        impl PartialEq for $name {
            fn eq(&self, other: &$name) -> bool {
                self.0.ct_eq(&other.0).into()
            }
        }

        impl Eq for $name {}
    )+};
}

keys! {
    /// A key of 16 bytes: two-key 3DES (left half and right half) or SM4.
    Key16[16];
    /// A key of 8 bytes: single DES.
    Key8[8];
}

impl Key16 {
    /// Left half (bytes 0..8).
    #[must_use]
    pub const fn left(&self) -> Key8 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        Key8([a, b, c, d, e, f, g, h])
    }

    /// Right half (bytes 8..16).
    #[must_use]
    pub const fn right(&self) -> Key8 {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        Key8([a, b, c, d, e, f, g, h])
    }

    /// The key of two halves.
    #[must_use]
    pub fn from_halves(left: &Key8, right: &Key8) -> Key16 {
        let mut key = Key16([0; 16]);
        key.0[..8].copy_from_slice(&left.0);
        key.0[8..].copy_from_slice(&right.0);
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_and_equality() {
        let key = Key16::from_hex("00112233445566778899AABBCCDDEEFF").unwrap();
        assert_eq!(key.left().expose(), &[0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77]);
        assert!(Key16::from_halves(&key.left(), &key.right()) == key);
        assert!(key.left() != key.right());
        assert!(Key16::from_hex("0011").is_err());
        assert!(Key8::from_hex("001122334455667G").is_err());
    }

    #[test]
    fn wiped_on_request() {
        let mut key = Key8::from_bytes([7; 8]);
        key.zeroize();
        assert_eq!(key.expose(), &[0; 8]);
    }
}
