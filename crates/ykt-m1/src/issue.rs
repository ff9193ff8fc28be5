//! Making a city card of a blank chip (个人化), by the commands a real reader takes.
//!
//! Sector by sector: open it, write its blocks, and last its trailer with the card's own keys. A card that left in
//! between is gone on with: sectors that have their keys already are opened by key B and written again.

use crate::access::AccessBits;
use crate::block::{Block, BlockNo, Sector, Uid, join};
use crate::command::FAILED;
use crate::dialogue::{Dialogue, DialogueError};
use crate::key::{AuthCode, KeyKind, M1Masters, SectorKey};
use crate::layout::{
    CardFlag, Directory, IssueData, IssueDates, LoadTotals, M1Layout, PublicInfo, RecordKind, RecordPointer,
    TransactionRecord,
};
use crate::value::ValueBlock;
use core::fmt;
use ykt_base::{CardChannel, Date, DateTime, Fen, Time};

/// What a card will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssueOrder {
    /// City code.
    pub city: [u8; 2],
    /// Industry or application code.
    pub industry: [u8; 2],
    /// Serial number in the city.
    pub serial: [u8; 4],
    /// Its state when it leaves the issuer.
    pub flag: CardFlag,
    /// Type of the card.
    pub card_type: u8,
    /// Version of its keys.
    pub key_version: u8,
    /// Day of issue.
    pub issued: Date,
    /// First day of use.
    pub enabled: Date,
    /// Last day of use.
    pub expiry: Date,
    /// Deposit on the card in fen.
    pub deposit: u16,
    /// Money in the purse.
    pub balance: Fen,
    /// The issuing machine.
    pub device: [u8; 4],
}

/// A step of the making.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The sector that is being made, 0 to 6.
    pub sector: Sector,
    /// Blocks written to it, its trailer included.
    pub blocks: usize,
}

/// Why no card was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueError {
    /// A step failed.
    Dialogue(DialogueError),
    /// The purse cannot begin with this.
    Balance {
        /// Amount asked for.
        found: Fen,
    },
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IssueError::Dialogue(error) => fmt::Display::fmt(error, f),
            IssueError::Balance { found } => {
                write!(f, "a purse begins with 0 to 167772.15 yuan, found {found}: load the rest later")
            }
        }
    }
}

impl core::error::Error for IssueError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            IssueError::Dialogue(error) => Some(error),
            IssueError::Balance { .. } => None,
        }
    }
}

impl From<DialogueError> for IssueError {
    fn from(error: DialogueError) -> IssueError {
        IssueError::Dialogue(error)
    }
}

/// The sectors of a city card that are written, in order.
const SECTORS: [Sector; 7] = [
    Sector::DIRECTORY,
    Sector::ISSUE,
    Sector::PURSE,
    Sector::RECORDS[0],
    Sector::RECORDS[1],
    Sector::RECORDS[2],
    Sector::PUBLIC,
];

/// General purpose byte behind the access bits.
const GENERAL_PURPOSE: u8 = 0x69;

/// Makes the card on the reader. `tell` hears of each sector that is done.
///
/// # Errors
/// [`IssueError`]; the same order again goes on with the card.
pub fn personalise<C: CardChannel + ?Sized>(
    channel: &mut C,
    order: &IssueOrder,
    masters: &M1Masters,
    layout: &M1Layout,
    tell: &mut dyn FnMut(Progress),
) -> Result<IssueData, IssueError> {
    let mut card = Dialogue::new(channel);
    let uid = card.uid()?;
    let data = order.issue_data(uid, masters, layout);
    let identity = data.identity(uid);
    let image = order.blocks(&data, layout).ok_or(IssueError::Balance { found: order.balance })?;
    for sector in SECTORS {
        let key = |kind| masters.sector_key(&identity, sector, kind, layout);
        match card.open(sector, KeyKind::A, &SectorKey::TRANSPORT) {
            Err(DialogueError::Refused { sw: FAILED, .. }) => {
                card.open(sector, KeyKind::B, &key(KeyKind::B))?
            }
            opened => opened?,
        }
        let mut blocks = 0usize;
        for (block, content) in image.iter().filter(|(block, _)| block.sector() == sector) {
            card.update(*block, content)?;
            blocks = blocks.saturating_add(1);
        }
        let [a, b] = [key(KeyKind::A), key(KeyKind::B)];
        let bits = access_bits(sector).to_bytes();
        card.update(sector.trailer(), &join(&[a.expose(), &bits, &[GENERAL_PURPOSE], b.expose()]))?;
        tell(Progress { sector, blocks: blocks.saturating_add(1) });
    }
    Ok(data)
}

/// Access bits of a city card's sector: terminals write records and public information with key A.
#[must_use]
pub fn access_bits(sector: Sector) -> AccessBits {
    match sector {
        Sector::DIRECTORY | Sector::ISSUE | Sector::PURSE => AccessBits::PURSE,
        _ => AccessBits::RECORDS,
    }
}

impl IssueOrder {
    fn issue_data(&self, uid: Uid, masters: &M1Masters, layout: &M1Layout) -> IssueData {
        let mut data = IssueData {
            city: self.city,
            industry: self.industry,
            serial: self.serial,
            auth_code: AuthCode([0; 4]),
            flag: self.flag,
            card_type: self.card_type,
            key_version: self.key_version,
        };
        data.auth_code = masters.auth_code(&data.identity(uid), layout.auth_code);
        data
    }

    /// Every data block the issuer writes. The ninth record is the money the purse begins with, so that each
    /// record of the card can be held against the one before it.
    fn blocks(&self, data: &IssueData, layout: &M1Layout) -> Option<[(BlockNo, Block); 19]> {
        let dates = IssueDates {
            issued: self.issued,
            expiry: self.expiry,
            enabled: self.enabled,
            deposit: self.deposit,
            holder: 0xFF,
        };
        let value = i32::try_from(self.balance.fen()).ok()?;
        let value = |block: BlockNo| ValueBlock { value, address: block.number() }.to_block();
        let totals = match self.balance {
            Fen::ZERO => LoadTotals::default(),
            balance => LoadTotals::default().after(balance),
        };
        let first = TransactionRecord {
            time: TransactionRecord::time_of(DateTime { date: self.issued, time: Time::MIDNIGHT }),
            before: Fen::ZERO,
            amount: self.balance,
            kind: RecordKind::Load,
            device: self.device,
        };
        let [main, copy] = PublicInfo::NEW.to_blocks(layout);
        let issue = data.to_block();
        let record = |number: u8| RecordPointer::new(number).map(RecordPointer::block);
        Some([
            (BlockNo::DIRECTORY, Directory::CITY.0),
            (BlockNo::ISSUE_COPY, issue),
            (BlockNo::ISSUE, issue),
            (BlockNo::DATES, dates.to_block()),
            (BlockNo::LAST_LOAD, [0; 16]),
            (BlockNo::LOAD_TOTALS, totals.to_block()),
            (BlockNo::PURSE, value(BlockNo::PURSE)),
            (BlockNo::PURSE_BACKUP, value(BlockNo::PURSE_BACKUP)),
            (record(1)?, [0; 16]),
            (record(2)?, [0; 16]),
            (record(3)?, [0; 16]),
            (record(4)?, [0; 16]),
            (record(5)?, [0; 16]),
            (record(6)?, [0; 16]),
            (record(7)?, [0; 16]),
            (record(8)?, [0; 16]),
            (record(9)?, first.to_block()?),
            (BlockNo::PUBLIC, main),
            (BlockNo::PUBLIC_COPY, copy),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::ArrayBlocks;
    use crate::reader::M1Reader;
    use std::vec::Vec;
    use ykt_base::{ChannelError, Response};
    use ykt_crypto::Key16;

    fn masters() -> M1Masters {
        let key = |fill| Key16::from_bytes([fill; 16]);
        M1Masters { sector_a: key(0x11), sector_b: key(0x22), auth_code: key(0x33), tac: key(0x44) }
    }

    fn order(balance: i64) -> IssueOrder {
        let day = |text: &str| text.parse().unwrap();
        IssueOrder {
            city: [0x21, 0x44],
            industry: [0, 0],
            serial: [0, 0, 0, 1],
            flag: CardFlag::Enabled,
            card_type: 1,
            key_version: 0xFF,
            issued: day("20260101"),
            enabled: day("20260102"),
            expiry: day("20361231"),
            deposit: 2_000,
            balance: Fen::new(balance),
            device: [0, 0, 0, 1],
        }
    }

    fn blank() -> M1Reader<ArrayBlocks> {
        M1Reader::new(ArrayBlocks::blank(Uid([0x1A, 0x2B, 0x3C, 0x4D])))
    }

    #[test]
    fn every_sector_gets_its_own_keys() {
        for (_, layout) in M1Layout::NAMED {
            let (mut reader, masters, mut told) = (blank(), masters(), Vec::new());
            let tell = &mut |progress: Progress| told.push((progress.sector.number(), progress.blocks));
            let data = personalise(&mut reader, &order(5_000), &masters, &layout, tell).unwrap();
            assert_eq!(told, [(0, 3), (1, 4), (2, 4), (3, 4), (4, 4), (5, 4), (6, 3)]);
            let identity = data.identity(reader.chip().uid());
            assert_eq!(data.auth_code, masters.auth_code(&identity, layout.auth_code));
            let mut card = Dialogue::new(&mut reader);
            for sector in SECTORS {
                for kind in [KeyKind::A, KeyKind::B] {
                    card.open(sector, kind, &masters.sector_key(&identity, sector, kind, &layout)).unwrap();
                }
                assert!(card.open(sector, KeyKind::A, &SectorKey::TRANSPORT).is_err(), "{sector}");
            }
            card.open(Sector::DIRECTORY, KeyKind::A, &SectorKey::DIRECTORY_A).unwrap();
            assert_eq!(card.read(BlockNo::DIRECTORY), Ok(Directory::CITY.0));
            assert_eq!(
                card.read(BlockNo::ISSUE_COPY).map(|block| IssueData::from_block(&block)),
                Ok(Some(data))
            );
            card.open(
                Sector::PURSE,
                KeyKind::A,
                &masters.sector_key(&identity, Sector::PURSE, KeyKind::A, &layout),
            )
            .unwrap();
            let value = card.read(BlockNo::PURSE_BACKUP).map(|block| ValueBlock::from_block(&block));
            assert_eq!(value, Ok(Some(ValueBlock { value: 5_000, address: 10 })));
            assert!(card.update(BlockNo::PURSE, &[0; 16]).is_err(), "key A writes no purse");
        }
    }

    /// A reader whose card leaves before a command.
    struct Leaving(M1Reader<ArrayBlocks>, usize);

    impl CardChannel for Leaving {
        fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
            self.1 = self.1.checked_sub(1).ok_or(ChannelError::Removed)?;
            self.0.transmit(command)
        }

        fn reset(&mut self) -> Result<(), ChannelError> {
            self.0.reset()
        }
    }

    #[test]
    fn a_card_that_left_is_gone_on_with() {
        let (masters, layout) = (masters(), M1Layout::CLAIMED);
        let mut whole = blank();
        personalise(&mut whole, &order(5_000), &masters, &layout, &mut |_| {}).unwrap();
        let expected = whole.into_memory().dump();
        for commands in 0..41 {
            let mut leaving = Leaving(blank(), commands);
            let cut = personalise(&mut leaving, &order(5_000), &masters, &layout, &mut |_| {});
            assert!(matches!(cut, Err(IssueError::Dialogue(DialogueError::Silent { .. }))), "{commands}");
            leaving.0.reset().unwrap();
            personalise(&mut leaving.0, &order(5_000), &masters, &layout, &mut |_| {}).unwrap();
            assert!(leaving.0.into_memory().dump() == expected, "{commands}");
        }
    }

    #[test]
    fn a_purse_begins_within_a_records_reach() {
        for balance in [-1, 1 << 24] {
            let made =
                personalise(&mut blank(), &order(balance), &masters(), &M1Layout::CLAIMED, &mut |_| {});
            assert_eq!(made, Err(IssueError::Balance { found: Fen::new(balance) }));
        }
    }
}
