//! Blocks and sectors by number, and where the city keeps what (`epurse.md` 8.1).

use core::fmt;
use ykt_base::hex::Hex;

/// Bytes of a block.
pub const BLOCK_LEN: usize = 16;
/// Blocks of the chip.
pub const BLOCKS: usize = 64;
/// Sectors of the chip.
pub const SECTORS: usize = 16;
/// Bytes of the whole chip.
pub const CHIP_LEN: usize = 1024;

/// One block.
pub type Block = [u8; BLOCK_LEN];

/// Number of the chip, given by its maker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub [u8; 4]);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(&self.0), f)
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uid({self})")
    }
}

impl core::str::FromStr for Uid {
    type Err = ykt_base::hex::HexError;
    fn from_str(text: &str) -> Result<Uid, Self::Err> {
        ykt_base::hex::decode(text).map(Uid)
    }
}

/// A block by number, 0 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockNo(u8);

impl BlockNo {
    /// Written by the chip's maker: UID, its check byte, the chip's type.
    pub const MANUFACTURER: BlockNo = BlockNo(0);
    /// Application of each sector.
    pub const DIRECTORY: BlockNo = BlockNo(1);
    /// Copy of [`BlockNo::ISSUE`].
    pub const ISSUE_COPY: BlockNo = BlockNo(2);
    /// Who the card is.
    pub const ISSUE: BlockNo = BlockNo(4);
    /// Its dates and its deposit.
    pub const DATES: BlockNo = BlockNo(5);
    /// Its last load.
    pub const LAST_LOAD: BlockNo = BlockNo(6);
    /// What was loaded so far.
    pub const LOAD_TOTALS: BlockNo = BlockNo(8);
    /// The purse.
    pub const PURSE: BlockNo = BlockNo(9);
    /// The purse again.
    pub const PURSE_BACKUP: BlockNo = BlockNo(10);
    /// Public information: record pointer, purse count, flags.
    pub const PUBLIC: BlockNo = BlockNo(24);
    /// The same once more, as it is or complemented.
    pub const PUBLIC_COPY: BlockNo = BlockNo(25);
    /// Last ride, for transfers.
    pub const TRANSFER: BlockNo = BlockNo(26);

    /// The sector it belongs to.
    #[must_use]
    pub const fn sector(self) -> Sector {
        Sector(self.0 >> 2)
    }

    /// Its place in its sector, 0 to 3.
    #[must_use]
    pub fn place(self) -> usize {
        usize::from(self.0 & 3)
    }

    /// Whether it is a sector's trailer: keys and access bits.
    #[must_use]
    pub const fn is_trailer(self) -> bool {
        self.0 & 3 == 3
    }
}

/// A sector by number, 0 to 15: four blocks behind two keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sector(u8);

impl Sector {
    /// Directory.
    pub const DIRECTORY: Sector = Sector(0);
    /// Issue data (发行).
    pub const ISSUE: Sector = Sector(1);
    /// Public purse (钱包).
    pub const PURSE: Sector = Sector(2);
    /// The three sectors of transaction records.
    pub const RECORDS: [Sector; 3] = [Sector(3), Sector(4), Sector(5)];
    /// Public information.
    pub const PUBLIC: Sector = Sector(6);

    /// Its block of keys and access bits.
    #[must_use]
    pub const fn trailer(self) -> BlockNo {
        BlockNo(self.0 << 2 | 3)
    }
}

macro_rules! numbers {
    ($($name:ident below $count:literal;)+) => {$(
        impl $name {
            /// The one of this number, or `None` when there is no such.
            #[must_use]
            pub const fn new(number: u8) -> Option<$name> {
                if number < $count { Some($name(number)) } else { None }
            }

            /// Every one in order.
            pub fn all() -> impl Iterator<Item = $name> {
                (0..$count).map($name)
            }

            /// Its number.
            #[must_use]
            pub const fn number(self) -> u8 {
                self.0
            }

            /// Its place in a table of all.
            #[must_use]
            pub fn index(self) -> usize {
                usize::from(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )+};
}

numbers! {
    BlockNo below 64;
    Sector below 16;
}

/// XOR of the bytes.
#[must_use]
pub fn xor(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

/// A block whose last byte is the XOR of the others.
#[must_use]
pub fn closed_by_xor(content: &[u8; 15]) -> Block {
    let mut block = [0; BLOCK_LEN];
    block[..15].copy_from_slice(content);
    block[15] = xor(content);
    block
}

/// The fifteen bytes before a right XOR, or `None`.
#[must_use]
pub fn opened_by_xor(block: &Block) -> Option<[u8; 15]> {
    let content = block.first_chunk()?;
    (xor(block) == 0).then_some(*content)
}

/// Fields one after the other in `N` bytes; every layout fills its array exactly.
pub(crate) fn join<const N: usize>(fields: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    debug_assert_eq!(fields.iter().map(|field| field.len()).sum::<usize>(), N, "layout fills its array");
    out.iter_mut().zip(fields.iter().copied().flatten()).for_each(|(byte, field)| *byte = *field);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_places() {
        assert_eq!(BlockNo::all().count(), BLOCKS);
        assert_eq!(BlockNo::new(64), None);
        assert_eq!(Sector::new(16), None);
        let purse = BlockNo::PURSE;
        assert_eq!((purse.sector(), purse.place(), purse.is_trailer()), (Sector::PURSE, 1, false));
        assert_eq!(Sector::all().map(Sector::trailer).filter(|block| block.is_trailer()).count(), SECTORS);
        assert_eq!(Sector::PUBLIC.trailer().number(), 27);
    }

    #[test]
    fn a_changed_bit_opens_no_block() {
        let block = closed_by_xor(&[7; 15]);
        assert_eq!(opened_by_xor(&block), Some([7; 15]));
        for bit in 0..128 {
            let mut bad = block;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opened_by_xor(&bad), None);
        }
    }
}
