//! Fixed layouts: fields one after the other, read and written in order.

/// The fields one after the other in `N` bytes. Every layout of this crate fills its array exactly.
pub(crate) fn join<const N: usize>(fields: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    debug_assert_eq!(fields.iter().map(|field| field.len()).sum::<usize>(), N, "layout fills its array");
    out.iter_mut().zip(fields.iter().copied().flatten()).for_each(|(byte, field)| *byte = *field);
    out
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

    /// `Some` when nothing is left.
    pub(crate) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
