//! How a value becomes bytes and comes back: numbers big-endian, texts and lists with their length before them, every
//! choice one byte of a closed list.
//!
//! Each value has one form only: what is read and written again gives the same bytes. The two macros describe a type as
//! a table of its fields or choices, so that both directions stand in one place.

use std::borrow::Cow;
use thiserror::Error;
use zeroize::Zeroize;

/// Longest text in bytes.
const TEXT_LEN_MAX: usize = 4_096;
/// Room that the bytes of a message begin with: most need no more.
const ROOM_LEN: usize = 512;

/// Bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("byte {at} of the message: expected {expected}")]
pub struct WireError {
    /// Where in the message.
    pub at: usize,
    /// What should stand there.
    pub expected: &'static str,
}

/// A message on its way out. It may hold keys and PINs: every buffer it used is wiped.
#[derive(Clone)]
pub struct Out(Vec<u8>);

impl Out {
    pub fn new() -> Out {
        Out(Vec::with_capacity(ROOM_LEN))
    }

    /// Appends. A buffer that grows too small is wiped before it is given back.
    pub fn bytes(&mut self, bytes: &[u8]) {
        if self.0.capacity().saturating_sub(self.0.len()) < bytes.len() {
            let room = self.0.capacity().saturating_mul(2).max(self.0.len().saturating_add(bytes.len()));
            let mut larger = Vec::with_capacity(room);
            larger.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    pub fn byte(&mut self, byte: u8) {
        self.bytes(&[byte]);
    }

    /// A length. None of ours exceeds four bytes; one that did would be refused by whoever reads it.
    pub fn len(&mut self, len: usize) {
        u32::try_from(len).unwrap_or(u32::MAX).put(self);
    }

    /// Puts these bytes over the first ones.
    pub fn begin_with(&mut self, bytes: &[u8]) {
        self.0.iter_mut().zip(bytes).for_each(|(byte, first)| *byte = *first);
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What is left of a message.
pub struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// Where in the message.
    pub const fn at(&self) -> usize {
        self.at
    }

    pub fn slice(&mut self, len: usize, expected: &'static str) -> Result<&'a [u8], WireError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..len).ok_or(WireError { at: self.at, expected })?;
        self.at = self.at.saturating_add(len);
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], WireError> {
        let at = self.at;
        self.slice(N, expected)?.try_into().map_err(|_| WireError { at, expected })
    }

    pub fn byte(&mut self, expected: &'static str) -> Result<u8, WireError> {
        self.array(expected).map(|[byte]| byte)
    }

    /// A length that what is left can hold: nothing is reserved for a length that somebody merely states.
    pub fn len(&mut self) -> Result<usize, WireError> {
        let at = self.at;
        let len = usize::try_from(u32::take(self)?).unwrap_or(usize::MAX);
        let left = self.bytes.len().saturating_sub(self.at);
        if len <= left { Ok(len) } else { Err(WireError { at, expected: "a length within the message" }) }
    }

    /// As many bytes as the length before them says.
    pub fn sized(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.len()?;
        self.slice(len, "as many bytes as the length says")
    }

    /// A value made of what was taken; when it is none, the error points at the beginning of it.
    pub fn checked<T, V>(
        &mut self,
        expected: &'static str,
        taken: impl FnOnce(&mut Self) -> Result<T, WireError>,
        value: impl FnOnce(T) -> Option<V>,
    ) -> Result<V, WireError> {
        let at = self.at;
        value(taken(self)?).ok_or(WireError { at, expected })
    }
}

/// A value with a form on the wire.
pub trait Wire: Sized {
    fn put(&self, out: &mut Out);
    /// # Errors
    /// [`WireError`] when the bytes are none.
    fn take(fields: &mut Fields<'_>) -> Result<Self, WireError>;
}

/// The bytes of a value.
#[cfg(test)]
pub fn encode(value: &impl Wire) -> Out {
    let mut out = Out::new();
    value.put(&mut out);
    out
}

/// The value of exactly these bytes.
///
/// # Errors
/// [`WireError`] naming the byte.
pub fn decode<T: Wire>(bytes: &[u8]) -> Result<T, WireError> {
    let mut fields = Fields { bytes, at: 0 };
    let value = T::take(&mut fields)?;
    if fields.at == bytes.len() {
        Ok(value)
    } else {
        Err(WireError { at: fields.at, expected: "the end of the message" })
    }
}

/// Structures: their fields in this order.
macro_rules! wire_structs {
    ($($name:ident { $($field:ident),+ })+) => {$(
        impl $crate::wire::codec::Wire for $name {
            fn put(&self, out: &mut $crate::wire::codec::Out) {
                $($crate::wire::codec::Wire::put(&self.$field, out);)+
            }
            fn take(
                fields: &mut $crate::wire::codec::Fields<'_>,
            ) -> Result<Self, $crate::wire::codec::WireError> {
                $(let $field = $crate::wire::codec::Wire::take(fields)?;)+
                Ok($name { $($field),+ })
            }
        }
    )+};
}

/// Closed lists of choices: number, then the fields of the choice.
macro_rules! wire_enums {
    ($($name:ident $(<$life:lifetime>)? = $what:literal {
        $($number:literal $choice:ident $(($($part:ident),+))? $({ $($field:ident),+ })?;)+
    })+) => {$(
        impl $(<$life>)? $crate::wire::codec::Wire for $name $(<$life>)? {
            fn put(&self, out: &mut $crate::wire::codec::Out) {
                match self {
                    $($name::$choice $(($($part),+))? $({ $($field),+ })? => {
                        out.byte($number);
                        $($($crate::wire::codec::Wire::put($part, out);)+)?
                        $($($crate::wire::codec::Wire::put($field, out);)+)?
                    })+
                }
            }
            fn take(
                fields: &mut $crate::wire::codec::Fields<'_>,
            ) -> Result<Self, $crate::wire::codec::WireError> {
                let at = fields.at();
                match fields.byte($what)? {
                    $($number => {
                        $($(let $part = $crate::wire::codec::Wire::take(fields)?;)+)?
                        $($(let $field = $crate::wire::codec::Wire::take(fields)?;)+)?
                        Ok($name::$choice $(($($part),+))? $({ $($field),+ })?)
                    })+
                    _ => Err($crate::wire::codec::WireError { at, expected: $what }),
                }
            }
        }
    )+};
}

/// Types with a number of their own: `code` writes it, `from_code` reads it.
macro_rules! wire_codes {
    ($($name:ty = $what:literal, $from:expr;)+) => {$(
        impl $crate::wire::codec::Wire for $name {
            fn put(&self, out: &mut $crate::wire::codec::Out) {
                out.byte(self.code());
            }
            fn take(
                fields: &mut $crate::wire::codec::Fields<'_>,
            ) -> Result<Self, $crate::wire::codec::WireError> {
                fields.checked($what, |fields| fields.byte($what), $from)
            }
        }
    )+};
}

/// Wrappers around a value that may be any.
macro_rules! wire_wrappers {
    ($($name:ident)+) => {$(
        impl $crate::wire::codec::Wire for $name {
            fn put(&self, out: &mut $crate::wire::codec::Out) {
                $crate::wire::codec::Wire::put(&self.0, out);
            }
            fn take(
                fields: &mut $crate::wire::codec::Fields<'_>,
            ) -> Result<Self, $crate::wire::codec::WireError> {
                $crate::wire::codec::Wire::take(fields).map($name)
            }
        }
    )+};
}

pub(crate) use {wire_codes, wire_enums, wire_structs, wire_wrappers};

macro_rules! numbers {
    ($($name:ty)+) => {$(
        impl Wire for $name {
            fn put(&self, out: &mut Out) {
                out.bytes(&self.to_be_bytes());
            }
            fn take(fields: &mut Fields<'_>) -> Result<Self, WireError> {
                fields.array("a number").map(<$name>::from_be_bytes)
            }
        }
    )+};
}

numbers! { u8 u16 u32 u64 }

impl<const N: usize> Wire for [u8; N] {
    fn put(&self, out: &mut Out) {
        out.bytes(self);
    }
    fn take(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        fields.array("bytes")
    }
}

impl Wire for bool {
    fn put(&self, out: &mut Out) {
        out.byte(u8::from(*self));
    }
    fn take(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        let yes_or_no = |byte| match byte {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        };
        fields.checked("00 or 01", |fields| fields.byte("00 or 01"), yes_or_no)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Out) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn take(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        bool::take(fields)?.then(|| T::take(fields)).transpose()
    }
}

fn put_each<T: Wire>(values: &[T], out: &mut Out) {
    out.len(values.len());
    values.iter().for_each(|value| value.put(out));
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Out) {
        put_each(self, out);
    }
    fn take(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        (0..fields.len()?).map(|_| T::take(fields)).collect()
    }
}

impl<T: Wire + Clone> Wire for Cow<'_, [T]> {
    fn put(&self, out: &mut Out) {
        put_each(self, out);
    }
    fn take(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        Vec::take(fields).map(Cow::Owned)
    }
}

impl Wire for String {
    fn put(&self, out: &mut Out) {
        let end = self.floor_char_boundary(TEXT_LEN_MAX);
        let text = self.get(..end).unwrap_or_default();
        out.len(text.len());
        out.bytes(text.as_bytes());
    }
    fn take(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        let what = "a text in UTF-8";
        let text = |bytes: &[u8]| {
            (bytes.len() <= TEXT_LEN_MAX)
                .then(|| std::str::from_utf8(bytes).ok().map(str::to_owned))
                .flatten()
        };
        fields.checked(what, Fields::sized, text)
    }
}
