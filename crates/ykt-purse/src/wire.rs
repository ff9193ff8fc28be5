//! Fixed layouts: fields one after the other, read and written in order.

use crate::types::{PurseFen, TransactionType};
use ykt_base::{DateTime, TerminalId};
use ykt_crypto::sm::CommandBytes;

/// The fields one after the other in `N` bytes. Every layout of this crate fills its array exactly.
pub(crate) fn join<const N: usize>(fields: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    debug_assert_eq!(fields.iter().map(|field| field.len()).sum::<usize>(), N, "layout fills its array");
    out.iter_mut().zip(fields.iter().copied().flatten()).for_each(|(byte, field)| *byte = *field);
    out
}

/// A command as bytes: header, data of these fields, Le. Data longer than a command's are a fault of the caller and
/// are left out.
pub(crate) fn apdu(header: [u8; 4], fields: &[&[u8]], le: Option<u8>) -> CommandBytes {
    let len = fields.iter().fold(0usize, |len, field| len.saturating_add(field.len()));
    let lc = u8::try_from(len);
    debug_assert!(lc.is_ok(), "at most 255 bytes of data");
    let mut out = CommandBytes::new();
    let mut push = |part: &[u8]| out.push(part).unwrap_or_default();
    push(&header);
    if let Some(lc) = lc.ok().filter(|lc| *lc > 0) {
        push(&[lc]);
        fields.iter().for_each(|field| push(field));
    }
    if let Some(le) = le {
        push(&[le]);
    }
    out
}

/// What `read` makes of all of `bytes`, or `None` when it finds too few or leaves some.
pub(crate) fn whole<T>(bytes: &[u8], read: impl FnOnce(&mut Reader<'_>) -> Option<T>) -> Option<T> {
    let mut fields = Reader(bytes);
    let value = read(&mut fields)?;
    fields.0.is_empty().then_some(value)
}

/// What every MAC of a transaction covers: amount || type || terminal || date || time.
pub(crate) fn signed_terms(
    amount: PurseFen,
    kind: TransactionType,
    terminal: &TerminalId,
    at: DateTime,
) -> [u8; 18] {
    join(&[&amount.to_bytes(), &[kind.code()], terminal.as_bytes(), &at.to_bcd()])
}

/// Takes fields from the front.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    /// The next `N` bytes, or `None` when fewer are left.
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }
}
