//! Memory in an array: for cards that live in a process, and for tests that cut the power.

use super::{Memory, MemoryFault};

/// `N` bytes that last as long as the value; with a fuse that cuts the power at a chosen write.
#[derive(Clone)]
pub struct ArrayMemory<const N: usize> {
    bytes: [u8; N],
    writes: usize,
    fuse: Option<Fuse>,
}

/// Power is there for `writes_left` more writes; of the next one only `torn_len` bytes arrive.
#[derive(Clone, Copy)]
struct Fuse {
    writes_left: usize,
    torn_len: usize,
}

impl<const N: usize> ArrayMemory<N> {
    /// Zeros.
    #[must_use]
    pub const fn new() -> ArrayMemory<N> {
        ArrayMemory::from_image([0; N])
    }

    /// An image taken before.
    #[must_use]
    pub const fn from_image(bytes: [u8; N]) -> ArrayMemory<N> {
        ArrayMemory { bytes, writes: 0, fuse: None }
    }

    /// Every byte as it is now.
    #[must_use]
    pub const fn image(&self) -> &[u8; N] {
        &self.bytes
    }

    /// Physical writes so far, torn ones included.
    #[must_use]
    pub const fn writes(&self) -> usize {
        self.writes
    }

    /// Cuts the power after `writes` more writes: the one that follows leaves its first `torn_len` bytes only,
    /// and none happens after it until [`ArrayMemory::restore_power`].
    pub fn cut_power_after(&mut self, writes: usize, torn_len: usize) {
        self.fuse = Some(Fuse { writes_left: writes, torn_len });
    }

    /// Gives power again.
    pub fn restore_power(&mut self) {
        self.fuse = None;
    }

    /// The bytes of one write that arrive, and whether the power lasts through it.
    fn arriving<'d>(&mut self, data: &'d [u8]) -> (&'d [u8], Result<(), MemoryFault>) {
        let Some(fuse) = &mut self.fuse else {
            return (data, Ok(()));
        };
        if let Some(left) = fuse.writes_left.checked_sub(1) {
            fuse.writes_left = left;
            return (data, Ok(()));
        }
        let arrived = data.get(..fuse.torn_len).unwrap_or(data);
        fuse.torn_len = 0;
        (arrived, Err(MemoryFault))
    }
}

impl<const N: usize> Default for ArrayMemory<N> {
    fn default() -> Self {
        ArrayMemory::new()
    }
}

impl<const N: usize> Memory for ArrayMemory<N> {
    fn len(&self) -> usize {
        N
    }

    fn read(&self, at: usize, out: &mut [u8]) {
        out.fill(0);
        let there = self.bytes.get(at..).unwrap_or_default();
        let len = there.len().min(out.len());
        out[..len].copy_from_slice(&there[..len]);
    }

    fn write(&mut self, at: usize, data: &[u8]) -> Result<(), MemoryFault> {
        let end = at.checked_add(data.len()).filter(|end| *end <= N).ok_or(MemoryFault)?;
        let (arrived, outcome) = self.arriving(data);
        self.bytes[at..end][..arrived.len()].copy_from_slice(arrived);
        self.writes = self.writes.saturating_add(1);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuse_tears_one_write_and_stops_the_rest() {
        let mut memory = ArrayMemory::<8>::new();
        memory.cut_power_after(1, 2);
        assert_eq!(memory.write(0, &[1, 1]), Ok(()));
        assert_eq!(memory.write(2, &[2, 2, 2]), Err(MemoryFault));
        assert_eq!(memory.write(5, &[3]), Err(MemoryFault));
        assert_eq!(memory.image(), &[1, 1, 2, 2, 0, 0, 0, 0]);
        memory.restore_power();
        assert_eq!(memory.write(7, &[4]), Ok(()));
        assert_eq!(memory.write(7, &[4, 4]), Err(MemoryFault));
        let mut out = [9; 4];
        memory.read(6, &mut out);
        assert_eq!(out, [0, 4, 0, 0]);
        assert_eq!(memory.writes(), 4);
    }
}
