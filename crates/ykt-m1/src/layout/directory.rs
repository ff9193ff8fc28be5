//! The directory: which application each sector holds. Its bytes are the ids of the sectors' keys A too.

use crate::block::{Block, Sector};

/// Block 1: byte i is the application of sector i.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directory(pub Block);

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

    /// Application of a sector, which is the id of its key A; `None` for a sector without one.
    #[must_use]
    pub fn key_a_id(&self, sector: Sector) -> Option<u8> {
        let id = self.0[sector.index()];
        (id != Directory::UNUSED).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_with_an_application_have_both_ids() {
        for sector in Sector::all() {
            let both = (Directory::CITY.key_a_id(sector).is_some(), KEY_B_IDS[sector.index()].is_some());
            assert!(both == (true, true) || both == (false, false), "{sector}");
        }
        assert_eq!(Directory::CITY.key_a_id(Sector::PURSE), Some(0x10));
    }
}
