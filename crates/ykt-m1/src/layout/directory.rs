//! The directory, which application each sector holds, and the ids that sector keys are derived with.

use crate::block::{Block, Sector};

/// Block 1: byte i is the application of sector i.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directory(pub Block);

/// Ids of keys A by sector, as the directory has them.
pub const KEY_A_IDS: [Option<u8>; 16] = {
    let mut ids = [None; 16];
    let mut at = 0usize;
    while at < 16 {
        let Directory(bytes) = Directory::CITY;
        if bytes[at] != Directory::UNUSED {
            ids[at] = Some(bytes[at]);
        }
        at = at.saturating_add(1);
    }
    ids
};

/// Ids of keys A where PSAMs make them (`80 FC`): 02 for the purse, and the same key for the public information, 03
/// for records, 07 for the monthly pass.
pub const KEY_A_IDS_PSAM: [Option<u8>; 16] = {
    let mut ids = KEY_A_IDS;
    ids[2] = Some(0x02);
    ids[6] = Some(0x02);
    ids[7] = Some(0x07);
    ids[8] = Some(0x07);
    ids
};

/// Ids of keys B by sector.
pub const KEY_B_IDS: [Option<u8>; 16] = {
    let mut ids = [None; 16];
    ids[0] = Some(0x00);
    ids[1] = Some(0x01);
    ids[2] = Some(0x02);
    ids[3] = Some(0x03);
    ids[4] = Some(0x03);
    ids[5] = Some(0x03);
    ids[6] = Some(0x06);
    ids[14] = Some(0x14);
    ids[15] = Some(0x15);
    ids
};

impl Directory {
    /// Byte of a sector without an application.
    pub const UNUSED: u8 = 0xFF;
    /// The city card's.
    pub const CITY: Directory = Directory([
        0x00, 0x01, 0x10, 0x03, 0x03, 0x03, 0x06, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x16, 0x15,
    ]);

    /// Application of a sector; `None` for a sector without one.
    #[must_use]
    pub fn application(&self, sector: Sector) -> Option<u8> {
        let application = self.0[sector.index()];
        (application != Directory::UNUSED).then_some(application)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_with_an_application_have_both_ids() {
        for sector in Sector::all() {
            let application = Directory::CITY.application(sector);
            assert_eq!(KEY_A_IDS[sector.index()], application);
            let both = (application.is_some(), KEY_B_IDS[sector.index()].is_some());
            assert!(both == (true, true) || both == (false, false), "{sector}");
        }
        assert_eq!(KEY_A_IDS[Sector::PURSE.index()], Some(0x10));
    }
}
