//! Value blocks (值块, `epurse.md` 8.2): an amount three times, an address byte four times, half of them complemented.

use crate::block::{Block, join};
use ykt_base::Fen;

/// What a value block says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueBlock {
    /// The value; on a purse fen, below zero for an overdraft.
    pub value: i32,
    /// The address byte: the number of the block it was written to first. The chip carries it along and never
    /// looks at it, so a block restored from another one keeps the other's.
    pub address: u8,
}

impl ValueBlock {
    /// Reads the block, or `None` when it is not in the format of a value.
    #[must_use]
    pub fn from_block(block: &Block) -> Option<ValueBlock> {
        let value = i32::from_le_bytes(*block.first_chunk()?);
        let found = ValueBlock { value, address: block[12] };
        (found.to_block() == *block).then_some(found)
    }

    /// The value as money.
    #[must_use]
    pub fn fen(self) -> Fen {
        Fen::new(i64::from(self.value))
    }

    /// The block.
    #[must_use]
    pub fn to_block(self) -> Block {
        let (value, address) = (self.value.to_le_bytes(), self.address);
        join(&[&value, &(!self.value).to_le_bytes(), &value, &[address, !address, address, !address]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    #[test]
    fn vectors_m1_value_block() {
        for (value, address, block) in [
            (12_345, 9, hex!("39300000C6CFFFFF3930000009F609F6")),
            (12_345, 10, hex!("39300000C6CFFFFF393000000AF50AF5")),
            (-200, 9, hex!("38FFFFFFC700000038FFFFFF09F609F6")),
        ] {
            let parsed = ValueBlock { value, address };
            assert_eq!(parsed.to_block(), block);
            assert_eq!(ValueBlock::from_block(&block), Some(parsed));
        }
    }

    proptest! {
        #[test]
        fn every_value_goes_there_and_back_and_no_changed_byte_passes(
            value: i32, address: u8, at in 0usize..16, change in 1u8..
        ) {
            let block = ValueBlock { value, address }.to_block();
            prop_assert_eq!(ValueBlock::from_block(&block), Some(ValueBlock { value, address }));
            let mut bad = block;
            bad[at] ^= change;
            prop_assert_eq!(ValueBlock::from_block(&bad), None);
        }

        /// A write torn after any byte leaves the old value, the new one, or none: never a third.
        #[test]
        fn a_torn_value_is_old_new_or_none(old: i32, new: i32, arrived in 0usize..=16) {
            let (before, after) = (ValueBlock { value: old, address: 9 }, ValueBlock { value: new, address: 9 });
            let mut torn = before.to_block();
            torn[..arrived].copy_from_slice(&after.to_block()[..arrived]);
            let found = ValueBlock::from_block(&torn);
            prop_assert!(found.is_none() || found == Some(before) || found == Some(after));
        }
    }
}
