//! Ids as types of their own: a card number cannot be passed where a terminal goes.
//!
//! Byte ids keep the bytes of the wire and show as hex; number ids are big-endian on the wire.

use crate::hex::{self, Hex, HexError};
use core::fmt;
use core::str::FromStr;

macro_rules! byte_ids {
    ($($(#[$doc:meta])+ $name:ident [$len:literal];)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The bytes of the wire.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = core::array::TryFromSliceError;
            fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
                bytes.try_into().map($name)
            }
        }

        impl FromStr for $name {
            type Err = HexError;
            fn from_str(text: &str) -> Result<Self, HexError> {
                hex::decode(text).map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&Hex(&self.0), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), Hex(&self.0))
            }
        }
    )+};
}

byte_ids! {
    /// Card number: the application serial number's last eight bytes (应用序列号), the factor of the card level.
    Asn8[8];
    /// Terminal id (终端机编号): PSAM file 0016, the `term6` of every transaction.
    TerminalId[6];
    /// PSAM serial number (PSAM 序列号): PSAM file 0015, offset 0.
    PsamSerial[10];
    /// Factor of the level above the card: city code || FF || 00×5, or an issuer id (`epurse.md` 1.3).
    IssuerFactor[8];
    /// Random number of a card in a transaction.
    Random4[4];
    /// Id of an electronic ticket (电子票据), given by its issuer.
    TicketId[8];
    /// Four-byte MAC; compare it with `ykt-crypto`'s constant-time function where an adversary may watch.
    Mac4[4];
}

macro_rules! number_ids {
    ($($(#[$doc:meta])+ $name:ident($int:ty, $len:literal);)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $int);

        impl $name {
            /// The bytes of the wire, big-endian.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; $len] {
                self.0.to_be_bytes()
            }

            /// From the bytes of the wire, big-endian.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> $name {
                $name(<$int>::from_be_bytes(bytes))
            }

            /// The next one, or `None` at the end of the range.
            #[must_use]
            pub const fn next(self) -> Option<$name> {
                match self.0.checked_add(1) {
                    Some(value) => Some($name(value)),
                    None => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )+};
}

number_ids! {
    /// A purse's transaction counter (交易序号): online for loads, offline for purchases. FFFF is the end.
    CardCounter(u16, 2);
    /// Terminal transaction sequence (终端交易序号) of a PSAM.
    TerminalSeq(u32, 4);
    /// Key index (密钥索引) within a kind of key.
    KeyIndex(u8, 1);
    /// Key version (密钥版本).
    KeyVersion(u8, 1);
}

/// Why a text is not a code of fixed length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeError {
    /// Characters wanted.
    pub expected: usize,
    /// Characters there.
    pub found: usize,
}

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected {} characters of 0-9 A-Z a-z, found {} characters or another sign",
            self.expected, self.found
        )
    }
}

impl core::error::Error for CodeError {}

macro_rules! code_ids {
    ($($(#[$doc:meta])+ $name:ident [$len:literal];)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in characters.
            pub const LEN: usize = $len;

            /// The code as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                core::str::from_utf8(&self.0).unwrap_or("?")
            }
        }

        impl FromStr for $name {
            type Err = CodeError;
            fn from_str(text: &str) -> Result<Self, CodeError> {
                let error = CodeError { expected: $len, found: text.len() };
                let bytes: [u8; $len] = text.as_bytes().try_into().map_err(|_| error)?;
                if bytes.iter().all(u8::is_ascii_alphanumeric) { Ok($name(bytes)) } else { Err(error) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.as_str())
            }
        }
    )+};
}

code_ids! {
    /// Merchant code (商户代码), 15 letters or digits.
    MerchantCode[15];
    /// POS number (POS机号), 8 letters or digits.
    PosNo[8];
}

impl Asn8 {
    /// The card number as people may see it in logs and screens: all but the last four digits hidden.
    #[must_use]
    pub fn masked(&self) -> Masked<'_> {
        Masked(&self.0)
    }
}

/// A card number of which only the last two bytes show.
#[derive(Clone, Copy)]
pub struct Masked<'a>(&'a [u8; 8]);

impl fmt::Display for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "************{}", Hex(&self.0[6..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn text_forms() {
        let asn: Asn8 = "1700010170907984".parse().unwrap();
        assert_eq!(asn.to_string(), "1700010170907984");
        assert_eq!(asn.masked().to_string(), "************7984");
        assert_eq!("M00000000000001".parse::<MerchantCode>().unwrap().as_str(), "M00000000000001");
        assert!("M0000000000000 ".parse::<MerchantCode>().is_err());
        assert_eq!(CardCounter(0xFFFF).next(), None);
    }
}
