//! The purse sector beside its two value blocks: what was loaded so far (block 8).

use super::Fields;
use crate::block::{Block, closed_by_xor, join, opened_by_xor};
use ykt_base::Fen;

/// Block 8. The sources name it "load total, FF FF FF and XOR": total 4, number of loads 2, last amount 3, RFU 3, FF
/// three times, XOR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadTotals {
    /// All that was ever loaded, in fen; starts again from zero above 42,949,672.95 yuan.
    pub total: u32,
    /// Number of loads.
    pub loads: u16,
    /// The last of them, in fen.
    pub last: u32,
}

impl LoadTotals {
    /// Reads the block, or `None` when its XOR or its filling is wrong.
    #[must_use]
    pub fn from_block(block: &Block) -> Option<LoadTotals> {
        let content = opened_by_xor(block)?;
        let mut fields = Fields(&content);
        let (total, loads) = (u32::from_be_bytes(fields.take()?), u16::from_be_bytes(fields.take()?));
        let [a, b, c] = fields.take()?;
        let filled = fields.0 == [0, 0, 0, 0xFF, 0xFF, 0xFF];
        filled.then_some(LoadTotals { total, loads, last: u32::from_be_bytes([0, a, b, c]) })
    }

    /// The block.
    #[must_use]
    pub fn to_block(&self) -> Block {
        let [_, last @ ..] = self.last.to_be_bytes();
        closed_by_xor(&join(&[
            &self.total.to_be_bytes(),
            &self.loads.to_be_bytes(),
            &last,
            &[0, 0, 0, 0xFF, 0xFF, 0xFF],
        ]))
    }

    /// The totals after one more load.
    #[must_use]
    pub fn after(&self, amount: Fen) -> LoadTotals {
        let last = u32::try_from(amount.fen()).unwrap_or(0) & 0x00FF_FFFF;
        LoadTotals { total: self.total.wrapping_add(last), loads: self.loads.wrapping_add(1), last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn totals_grow_and_come_back() {
        let totals = LoadTotals::default().after(Fen::new(5_000)).after(Fen::new(200));
        assert_eq!(totals.to_block()[..15], hex!("00001450 0002 0000C8 000000 FFFFFF"));
        assert_eq!(LoadTotals::from_block(&totals.to_block()), Some(totals));
        assert_eq!(LoadTotals::from_block(&[0; 16]), None, "zeros have a right XOR, but no filling");
    }
}
