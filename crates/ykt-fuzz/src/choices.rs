//! The input, read as choices. When it is used up the sequence ends.

/// What is left of the input.
pub(crate) struct Choices<'a>(pub(crate) &'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Two bytes as a number.
    pub(crate) fn word(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u8) -> Option<u8> {
        self.byte()?.checked_rem(bound)
    }

    /// One of the choices.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let index = usize::from(self.byte()?).checked_rem(from.len())?;
        from.get(index).copied()
    }

    /// Up to `len` bytes: what there is.
    pub(crate) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
