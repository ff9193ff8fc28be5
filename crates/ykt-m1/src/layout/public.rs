//! Public information (block 24 and its copy 25) and the last ride for transfers (block 26).

use super::{BlackFlagPlace, Fields, M1Layout, ProcessRule, RecordPointer};
use crate::block::{Block, closed_by_xor, join, opened_by_xor};
use ykt_base::{DateTime, bcd};

/// Whether a transaction is in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessFlag {
    /// 01: it is, or was when the card left.
    Running,
    /// 02: the last one is complete.
    Done,
    /// Another value of the city's.
    Other(
        /// The byte.
        u8,
    ),
}

/// Whether the card is blacklisted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlackFlag {
    /// 00: it is not.
    Clear,
    /// 04: it is; no terminal takes it.
    Black,
    /// Another value of the city's: taken as clear.
    Other(
        /// The byte.
        u8,
    ),
}

macro_rules! codes {
    ($name:ident: $($variant:ident = $code:literal),+) => {
        impl $name {
            /// The flag of a byte.
            #[must_use]
            pub const fn from_code(code: u8) -> $name {
                match code {
                    $($code => $name::$variant,)+
                    other => $name::Other(other),
                }
            }

            /// The byte of the flag.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self {
                    $($name::$variant => $code,)+
                    $name::Other(other) => other,
                }
            }
        }
    };
}

codes!(ProcessFlag: Running = 0x01, Done = 0x02);
codes!(BlackFlag: Clear = 0x00, Black = 0x04);

/// Whose transaction is in progress: seven bytes in the place of the reserved ones, there while the flag is 01.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The device; never all zero.
    pub device: [u8; 4],
    /// Time of its record: day of the month, hour, minute, second, BCD.
    pub time: [u8; 4],
}

impl Claim {
    /// Last bits of a claim: neither cleared nor set cells have them, so a torn claim is none.
    const END: u32 = 0b10;

    /// The device, then in three bytes day 5 bits, hour 5, minute 6, second 6, end 2.
    fn to_bytes(self) -> [u8; 7] {
        let [day, hour, minute, second] =
            self.time.map(|byte| bcd::to_number(&[byte]).and_then(|n| u32::try_from(n).ok()).unwrap_or(0));
        let time = day << 17 | hour << 12 | minute << 6 | second;
        let [_, packed @ ..] = (time << 2 | Claim::END).to_be_bytes();
        join(&[&self.device, &packed])
    }

    fn from_bytes(bytes: [u8; 7]) -> Option<Claim> {
        let [a, b, c, d, x, y, z] = bytes;
        let packed = u32::from_be_bytes([0, x, y, z]);
        let digits = |number: u32| bcd::from_number::<1>(u64::from(number)).map_or(0, |[byte]| byte);
        let time = [packed >> 19, packed >> 14 & 0x1F, packed >> 8 & 0x3F, packed >> 2 & 0x3F].map(digits);
        let claim = Claim { device: [a, b, c, d], time };
        (claim.device != [0; 4] && claim.to_bytes() == bytes).then_some(claim)
    }
}

/// Block 24.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicInfo {
    /// Record block to be written next.
    pub pointer: RecordPointer,
    /// Transactions of the purse so far.
    pub count: u16,
    /// Whether one is in progress.
    pub process: ProcessFlag,
    /// Count of the monthly pass.
    pub month: u16,
    /// Whether the card is blacklisted.
    pub black: BlackFlag,

    /// Bytes 8 to 14: kept as they are, except for a [`Claim`].
    pub reserved: [u8; 7],
}

impl PublicInfo {
    /// What a new card says: nothing written yet.
    pub const NEW: PublicInfo = PublicInfo {
        pointer: RecordPointer::FIRST,
        count: 0,
        process: ProcessFlag::Done,
        month: 0,
        black: BlackFlag::Clear,

        reserved: [0; 7],
    };

    /// Reads block 24, or `None` when its XOR or its file flag is wrong or its pointer points nowhere.
    #[must_use]
    pub fn from_block(block: &Block, layout: &M1Layout) -> Option<PublicInfo> {
        let content = opened_by_xor(block)?;
        let mut fields = Fields(&content);
        let (pointer, count) = (fields.byte()?, u16::from_be_bytes(fields.take()?));
        let (process, month) = (fields.byte()?, u16::from_be_bytes(fields.take()?));
        let [sixth, seventh] = fields.take()?;
        let (black, file) = match layout.black {
            BlackFlagPlace::Offset6 => (sixth, seventh),
            BlackFlagPlace::Offset7 => (seventh, sixth),
        };
        (file == layout.file_flag).then_some(())?;
        Some(PublicInfo {
            pointer: RecordPointer::new(pointer)?,
            count,
            process: ProcessFlag::from_code(process),
            month,
            black: BlackFlag::from_code(black),
            reserved: fields.take()?,
        })
    }

    /// Block 24.
    #[must_use]
    pub fn to_block(&self, layout: &M1Layout) -> Block {
        let flags = match layout.black {
            BlackFlagPlace::Offset6 => [self.black.code(), layout.file_flag],
            BlackFlagPlace::Offset7 => [layout.file_flag, self.black.code()],
        };
        closed_by_xor(&join(&[
            &[self.pointer.number()],
            &self.count.to_be_bytes(),
            &[self.process.code()],
            &self.month.to_be_bytes(),
            &flags,
            &self.reserved,
        ]))
    }

    /// Blocks 24 and 25.
    #[must_use]
    pub fn to_blocks(&self, layout: &M1Layout) -> [Block; 2] {
        let block = self.to_block(layout);
        [block, layout.copy.apply(&block)]
    }

    /// What the two blocks say together, or `None` when neither can be read.
    ///
    /// Block 24 is written first and is believed where it could follow block 25. Where it could not, a torn write left
    /// one of them with a right XOR by accident; the pointer, which comes first in a block, tells which.
    #[must_use]
    pub fn from_blocks([main, copy]: [&Block; 2], layout: &M1Layout) -> Option<PublicInfo> {
        let main = PublicInfo::from_block(main, layout);
        let copy = PublicInfo::from_block(&layout.copy.apply(copy), layout);
        match (main, copy) {
            (Some(main), Some(copy))
                if main.may_follow(&copy, layout) || copy.is_torn_after(&main, layout) =>
            {
                Some(main)
            }
            (_, Some(copy)) => Some(copy),
            (main, None) => main,
        }
    }

    fn may_follow(&self, earlier: &PublicInfo, layout: &M1Layout) -> bool {
        let place = (self.pointer, self.count);
        let stayed = place == (earlier.pointer, earlier.count);
        let moved = place == (earlier.pointer.next(), earlier.count.wrapping_add(1));
        let known = |flag| matches!(flag, ProcessFlag::Running | ProcessFlag::Done);
        let process = self.process == earlier.process || known(self.process);
        let black = self.black == earlier.black || self.black == BlackFlag::Black;
        let reserved = match (layout.process, self.process) {
            (ProcessRule::Claimed, ProcessFlag::Running) if earlier.process != ProcessFlag::Running => true,
            (ProcessRule::Claimed, ProcessFlag::Done) if earlier.process == ProcessFlag::Running => {
                self.reserved == [0; 7]
            }
            _ => self.reserved == earlier.reserved,
        };
        (stayed || moved) && process && black && reserved
    }

    /// Whether these are bytes of `later` in front of bytes of what stood there before it.
    fn is_torn_after(&self, later: &PublicInfo, layout: &M1Layout) -> bool {
        let more_claim = self.claim(layout).is_some() && later.claim(layout).is_none();
        let stays = self.process == later.process && !more_claim;
        self.pointer == later.pointer && (self.count != later.count || stays)
    }

    /// Whether a transaction may be unfinished: the flag says so, or the city's cards do not tell.
    #[must_use]
    pub fn may_be_unfinished(&self, layout: &M1Layout) -> bool {
        match layout.process {
            ProcessRule::Claimed | ProcessRule::Flagged => self.process == ProcessFlag::Running,
            ProcessRule::Unflagged => true,
        }
    }

    /// Whose transaction is in progress, where the layout lets the card tell.
    #[must_use]
    pub fn claim(&self, layout: &M1Layout) -> Option<Claim> {
        let told = layout.process == ProcessRule::Claimed && self.process == ProcessFlag::Running;
        told.then(|| Claim::from_bytes(self.reserved)).flatten()
    }

    /// The same with a transaction in progress, or `None` where the layout does not mark it.
    #[must_use]
    pub fn running(&self, claim: Claim, layout: &M1Layout) -> Option<PublicInfo> {
        let reserved = match layout.process {
            ProcessRule::Claimed => claim.to_bytes(),
            ProcessRule::Flagged => self.reserved,
            ProcessRule::Unflagged => return None,
        };
        Some(PublicInfo { process: ProcessFlag::Running, reserved, ..*self })
    }

    /// The same with none in progress.
    #[must_use]
    pub fn idle(&self, layout: &M1Layout) -> PublicInfo {
        let reserved = match layout.process {
            ProcessRule::Claimed => [0; 7],
            ProcessRule::Flagged | ProcessRule::Unflagged => self.reserved,
        };
        PublicInfo { process: ProcessFlag::Done, reserved, ..*self }
    }

    /// The same after one more record: pointer and count one further, none in progress.
    #[must_use]
    pub fn recorded(&self, layout: &M1Layout) -> PublicInfo {
        PublicInfo { pointer: self.pointer.next(), count: self.count.wrapping_add(1), ..self.idle(layout) }
    }

    /// The same, blacklisted.
    #[must_use]
    pub fn blacklisted(&self) -> PublicInfo {
        PublicInfo { black: BlackFlag::Black, ..*self }
    }
}

/// Block 26: the last ride, for a reduced fare on the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// When.
    pub at: DateTime,
    /// On which line, six digits.
    pub line: [u8; 3],
    /// Serial of the device.
    pub device: [u8; 4],
    /// A byte of the city's.
    pub reserved: u8,
}

impl Transfer {
    /// Reads the block, or `None` when its XOR is wrong or there was no ride yet.
    #[must_use]
    pub fn from_block(block: &Block) -> Option<Transfer> {
        let content = opened_by_xor(block)?;
        let mut fields = Fields(&content);
        Some(Transfer {
            at: DateTime::from_bcd(fields.take()?)?,
            line: fields.take()?,
            device: fields.take()?,
            reserved: fields.byte()?,
        })
    }

    /// The block.
    #[must_use]
    pub fn to_block(&self) -> Block {
        closed_by_xor(&join(&[&self.at.to_bcd(), &self.line, &self.device, &[self.reserved]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const LAYOUTS: [M1Layout; 3] = [M1Layout::CLAIMED, M1Layout::COMPLEMENT, M1Layout::IDENTICAL];
    const CLAIM: Claim = Claim { device: [0, 0x11, 0x22, 0x33], time: [0x31, 0x23, 0x59, 0x58] };

    #[test]
    fn vector_m1_block_24_public_info_block_25_complement() {
        let info = PublicInfo { pointer: RecordPointer::new(3).unwrap(), count: 0x1B, ..PublicInfo::NEW };
        let blocks = [hex!("03001B0200000010000000000000000A"), hex!("FCFFE4FDFFFFFFEFFFFFFFFFFFFFFFF5")];
        assert_eq!(info.to_blocks(&M1Layout::COMPLEMENT), blocks);
        assert_eq!(PublicInfo::from_block(&blocks[0], &M1Layout::COMPLEMENT), Some(info));
        let [main, copy] = info.blacklisted().to_blocks(&M1Layout::COMPLEMENT);
        assert_eq!((main[6], copy[6]), (0x04, 0xFB));
        let [main, copy] = info.blacklisted().to_blocks(&M1Layout::IDENTICAL);
        assert_eq!((main[6..8].to_vec(), copy), (std::vec![0x10, 0x04], main));
    }

    /// Any single damaged block is made good by the other; two are not.
    #[test]
    fn one_block_is_enough() {
        for layout in &LAYOUTS {
            let info = PublicInfo { count: 7, ..PublicInfo::NEW };
            let blocks = info.to_blocks(layout);
            for damaged in 0..2 {
                let mut bad = blocks;
                bad[damaged][5] ^= 0x40;
                assert_eq!(PublicInfo::from_blocks([&bad[0], &bad[1]], layout), Some(info));
                bad[1 - damaged] = [0; 16];
                // The complement of sixteen zeros has a right XOR, but a pointer that points nowhere.
                assert_eq!(PublicInfo::from_blocks([&bad[0], &bad[1]], layout), None);
            }
        }
    }

    /// Every step a terminal takes, either block torn at every byte with old, cleared or set bytes behind: what the
    /// two blocks say together is the state before or after, or a transaction in progress on one of the two.
    #[test]
    fn a_torn_block_is_never_believed_in_a_third_state() {
        let counts = [0, 1, 2, 3, 6, 7, 8, 0xFE, 0xFF, 0x100, 0x1FF, 0x2FF, 0xFFFF];
        for (layout, count, pointer) in LAYOUTS.iter().flat_map(|layout| {
            counts.iter().flat_map(move |count| RecordPointer::all().map(move |at| (layout, *count, at)))
        }) {
            let old = PublicInfo { pointer, count, ..PublicInfo::NEW };
            let running = old.running(CLAIM, layout).unwrap_or(old);
            let steps = [(old, running), (running, old), (running, running.recorded(layout))];
            for (old, new) in steps.into_iter().chain([(old, old.blacklisted())]) {
                let ([before, copy], [after, copy_after]) = (old.to_blocks(layout), new.to_blocks(layout));
                for (arrived, rest) in (0..=16).flat_map(|n| [(n, None), (n, Some(0)), (n, Some(0xFF))]) {
                    let tear = |before: Block, after: Block| {
                        let mut torn = before.map(|byte| rest.unwrap_or(byte));
                        torn[..arrived].copy_from_slice(&after[..arrived]);
                        torn
                    };
                    let second = [&after, &tear(copy, copy_after)];
                    assert_eq!(PublicInfo::from_blocks(second, layout), Some(new), "{arrived} {rest:?}");
                    let found = PublicInfo::from_blocks([&tear(before, after), &copy], layout).unwrap();
                    let place = |info: PublicInfo| (info.pointer, info.count, info.black);
                    // The same over a block that is to be repaired: it says what the copy says.
                    let claimed = |info: PublicInfo| (place(info), info.process, info.claim(layout));
                    for garbage in [[0; 16], [0xFF; 16]] {
                        let repaired = PublicInfo::from_blocks([&tear(garbage, after), &copy_after], layout);
                        assert_eq!(repaired.map(claimed), Some(claimed(new)), "{arrived} {rest:?}");
                    }
                    let known = [place(old), place(new)].contains(&place(found));
                    let running = found.process == ProcessFlag::Running && found.may_be_unfinished(layout);
                    assert!(found == old || found == new || known && running, "{found:?}");
                }
            }
        }
    }

    #[test]
    fn a_claim_stands_as_long_as_the_transaction() {
        let running = PublicInfo::NEW.running(CLAIM, &M1Layout::CLAIMED).unwrap();
        assert_eq!(running.claim(&M1Layout::CLAIMED), Some(CLAIM));
        assert_eq!(running.reserved, hex!("00112233 FDFBEA"));
        let block = running.to_block(&M1Layout::CLAIMED);
        assert_eq!(PublicInfo::from_block(&block, &M1Layout::CLAIMED), Some(running));
        assert_eq!(running.claim(&M1Layout::COMPLEMENT), None, "another city's reserved bytes");
        let done = running.recorded(&M1Layout::CLAIMED);
        assert_eq!((done.reserved, done.claim(&M1Layout::CLAIMED)), ([0; 7], None));
        assert_eq!(Claim::from_bytes([0; 7]), None);
        let flagged = PublicInfo { reserved: [9; 7], ..PublicInfo::NEW };
        let kept = flagged.running(CLAIM, &M1Layout::COMPLEMENT).unwrap().recorded(&M1Layout::COMPLEMENT);
        assert_eq!(kept.reserved, [9; 7], "what the city keeps there stays");
        assert_eq!(flagged.running(CLAIM, &M1Layout::IDENTICAL), None);
    }

    #[test]
    fn transfer_information() {
        let at = "20261122080910".parse().unwrap();
        let ride = Transfer { at, line: [0, 0, 0x12], device: [1, 2, 3, 4], reserved: 0 };
        assert_eq!(ride.to_block()[..15], hex!("20261122080910 000012 01020304 00"));
        assert_eq!(Transfer::from_block(&ride.to_block()), Some(ride));
        assert_eq!(Transfer::from_block(&[0; 16]), None, "no ride yet");
    }
}
