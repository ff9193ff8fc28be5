//! Access bits: which key may do what with which block of a sector, by the tables of the chip's maker.
//!
//! Each block has three bits C1 C2 C3; a trailer carries them twice, once inverted. Bits that contradict their
//! inversion lock the sector for good.

use crate::block::Block;
use crate::key::KeyKind;

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Nobody, ever.
    Nobody,
    /// The holder of key A.
    KeyA,
    /// The holder of key B.
    KeyB,
    /// The holder of either.
    Either,
}

impl Who {
    /// Whether the holder of `key` is among them.
    #[must_use]
    pub fn includes(self, key: KeyKind) -> bool {
        match self {
            Who::Nobody => false,
            Who::KeyA => key == KeyKind::A,
            Who::KeyB => key == KeyKind::B,
            Who::Either => true,
        }
    }
}

/// Rights on a data block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataRights {
    /// Reading.
    pub read: Who,
    /// Writing.
    pub write: Who,
    /// Increment.
    pub increment: Who,
    /// Decrement, transfer, restore.
    pub decrement: Who,
}

/// Rights on a trailer. Key A is never read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrailerRights {
    /// Writing key A.
    pub write_key_a: Who,
    /// Reading the access bits.
    pub read_bits: Who,
    /// Writing the access bits.
    pub write_bits: Who,
    /// Reading key B. A key B that can be read is data, not a key.
    pub read_key_b: Who,
    /// Writing key B.
    pub write_key_b: Who,
}

/// Rights on data blocks by C1 C2 C3.
const DATA: [DataRights; 8] = {
    use Who::{Either, KeyB, Nobody};
    const fn rights(read: Who, write: Who, increment: Who, decrement: Who) -> DataRights {
        DataRights { read, write, increment, decrement }
    }
    [
        rights(Either, Either, Either, Either),
        rights(Either, Nobody, Nobody, Either),
        rights(Either, Nobody, Nobody, Nobody),
        rights(KeyB, KeyB, Nobody, Nobody),
        rights(Either, KeyB, Nobody, Nobody),
        rights(KeyB, Nobody, Nobody, Nobody),
        rights(Either, KeyB, KeyB, Either),
        rights(Nobody, Nobody, Nobody, Nobody),
    ]
};

/// Rights on trailers by C1 C2 C3.
const TRAILER: [TrailerRights; 8] = {
    use Who::{Either, KeyA, KeyB, Nobody};
    const fn rights(
        write_key_a: Who,
        read_bits: Who,
        write_bits: Who,
        read_key_b: Who,
        write_key_b: Who,
    ) -> TrailerRights {
        TrailerRights { write_key_a, read_bits, write_bits, read_key_b, write_key_b }
    }
    [
        rights(KeyA, KeyA, Nobody, KeyA, KeyA),
        rights(KeyA, KeyA, KeyA, KeyA, KeyA),
        rights(Nobody, KeyA, Nobody, KeyA, Nobody),
        rights(KeyB, Either, KeyB, Nobody, KeyB),
        rights(KeyB, Either, Nobody, Nobody, KeyB),
        rights(Nobody, Either, KeyB, Nobody, Nobody),
        rights(Nobody, Either, Nobody, Nobody, Nobody),
        rights(Nobody, Either, Nobody, Nobody, Nobody),
    ]
};

/// One block's condition, C1 C2 C3 as a number of three bits (C1 highest).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition(u8);

impl Condition {
    /// 000: as blank chips have it; record sectors.
    pub const OPEN: Condition = Condition(0b000);
    /// 110: a purse; only key B writes and increments.
    pub const PURSE: Condition = Condition(0b110);
    /// 011 for a trailer: key B exchanges keys and bits.
    pub const TRAILER_BY_KEY_B: Condition = Condition(0b011);

    /// Every condition in the order of its number.
    pub fn all() -> impl Iterator<Item = Condition> {
        (0..8).map(Condition)
    }

    /// What it means for a data block.
    #[must_use]
    pub fn data(self) -> DataRights {
        DATA[usize::from(self.0)]
    }

    /// What it means for a trailer.
    #[must_use]
    pub fn trailer(self) -> TrailerRights {
        TRAILER[usize::from(self.0)]
    }
}

/// The conditions of a sector's four blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessBits([Condition; 4]);

impl AccessBits {
    /// Purse and issue sectors: data 110, trailer 011 (08 77 8F).
    pub const PURSE: AccessBits =
        AccessBits([Condition::PURSE, Condition::PURSE, Condition::PURSE, Condition::TRAILER_BY_KEY_B]);
    /// Record and public sectors: data 000, trailer 011 (7F 07 88).
    pub const RECORDS: AccessBits =
        AccessBits([Condition::OPEN, Condition::OPEN, Condition::OPEN, Condition::TRAILER_BY_KEY_B]);

    /// The bits of these conditions, blocks in order, the trailer last.
    #[must_use]
    pub const fn new(conditions: [Condition; 4]) -> AccessBits {
        AccessBits(conditions)
    }

    /// Reads bytes 6 to 8 of a trailer, or `None` when a bit contradicts its inversion.
    #[must_use]
    pub fn from_bytes([inverted_21, inverted_3_1, bits_32]: [u8; 3]) -> Option<AccessBits> {
        let (c1, c2, c3) = (inverted_3_1 >> 4, bits_32 & 0x0F, bits_32 >> 4);
        let agrees = |bits: u8, inverted: u8| bits == !inverted & 0x0F;
        let whole = agrees(c1, inverted_21) && agrees(c2, inverted_21 >> 4) && agrees(c3, inverted_3_1);
        let condition = |place: u8| {
            let bit = |bits: u8| bits >> place & 1;
            Condition(bit(c1) << 2 | bit(c2) << 1 | bit(c3))
        };
        whole.then(|| AccessBits([0, 1, 2, 3].map(condition)))
    }

    /// The bits of a trailer.
    #[must_use]
    pub fn of_trailer(trailer: &Block) -> Option<AccessBits> {
        AccessBits::from_bytes([trailer[6], trailer[7], trailer[8]])
    }

    /// Bytes 6 to 8 of a trailer.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 3] {
        let gather = |which: u8| {
            let bits = self.0.iter().rev();
            bits.fold(0u8, |gathered, condition| gathered << 1 | (condition.0 >> which & 1))
        };
        let (c1, c2, c3) = (gather(2), gather(1), gather(0));
        let inverted = |bits: u8| !bits & 0x0F;
        [inverted(c2) << 4 | inverted(c1), c1 << 4 | inverted(c3), c3 << 4 | c2]
    }

    /// The condition of the block at `place` in the sector, 0 to 3.
    #[must_use]
    pub fn condition(self, place: usize) -> Condition {
        self.0[place & 3]
    }

    /// The rights on the trailer.
    #[must_use]
    pub fn trailer(self) -> TrailerRights {
        self.0[3].trailer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn vector_m1_access_bits_record_sectors() {
        assert_eq!(AccessBits::RECORDS.to_bytes(), hex!("7F0788"));
        assert_eq!(AccessBits::PURSE.to_bytes(), hex!("08778F"));
        let open = Condition(0);
        assert_eq!(AccessBits::new([open, open, open, Condition(1)]).to_bytes(), hex!("FF0780"), "blank");
    }

    /// All 4,096 settings of the twelve bits go there and back, and none survives a flipped bit.
    #[test]
    fn every_setting_goes_there_and_back_and_no_flipped_bit_passes() {
        for setting in 0..4_096u16 {
            let conditions = [0, 3, 6, 9].map(|at| Condition((setting >> at & 7) as u8));
            let bits = AccessBits::new(conditions);
            let bytes = bits.to_bytes();
            assert_eq!(AccessBits::from_bytes(bytes), Some(bits));
            for flipped in 0..24 {
                let mut bad = bytes;
                bad[flipped / 8] ^= 1 << (flipped % 8);
                assert_eq!(AccessBits::from_bytes(bad), None, "{setting:03X} bit {flipped}");
            }
        }
    }
}
