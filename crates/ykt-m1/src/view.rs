//! Everything a city card says in clear, for engineers: read block by block, from a memory or through a reader.

use crate::block::{Block, BlockNo, Uid};
use crate::layout::{
    IssueData, IssueDates, LastLoad, LoadTotals, M1Layout, PublicInfo, RecordPointer, TransactionRecord,
    Transfer,
};
use crate::value::ValueBlock;

/// A city card as its blocks tell it; what cannot be read is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardView {
    /// Number of the chip.
    pub uid: Uid,
    /// Block 4.
    pub data: Option<IssueData>,
    /// Block 5.
    pub dates: Option<IssueDates>,
    /// Block 6.
    pub last_load: Option<LastLoad>,
    /// Block 8.
    pub totals: Option<LoadTotals>,
    /// Block 9.
    pub purse: Option<ValueBlock>,
    /// Block 10.
    pub backup: Option<ValueBlock>,
    /// Blocks 24 and 25 together.
    pub public: Option<PublicInfo>,
    /// Block 26.
    pub transfer: Option<Transfer>,
    /// The nine records, in the order of their blocks.
    pub records: [Option<TransactionRecord>; 9],
}

impl CardView {
    /// Reads the card by `read`.
    ///
    /// # Errors
    /// What `read` gives.
    pub fn read<E>(
        uid: Uid,
        layout: &M1Layout,
        mut read: impl FnMut(BlockNo) -> Result<Block, E>,
    ) -> Result<CardView, E> {
        let data = IssueData::from_block(&read(BlockNo::ISSUE)?);
        let dates = IssueDates::from_block(&read(BlockNo::DATES)?);
        let last_load = LastLoad::from_block(&read(BlockNo::LAST_LOAD)?);
        let totals = LoadTotals::from_block(&read(BlockNo::LOAD_TOTALS)?);
        let purse = ValueBlock::from_block(&read(BlockNo::PURSE)?);
        let backup = ValueBlock::from_block(&read(BlockNo::PURSE_BACKUP)?);
        let mut records = [None; 9];
        for (record, pointer) in records.iter_mut().zip(RecordPointer::all()) {
            *record = TransactionRecord::from_block(&read(pointer.block())?);
        }
        let [main, copy] = [read(BlockNo::PUBLIC)?, read(BlockNo::PUBLIC_COPY)?];
        let public = PublicInfo::from_blocks([&main, &copy], layout);
        let transfer = Transfer::from_block(&read(BlockNo::TRANSFER)?);
        Ok(CardView { uid, data, dates, last_load, totals, purse, backup, public, transfer, records })
    }

    /// Records from the newest on, where the public information tells which that is.
    pub fn newest_first(&self) -> impl Iterator<Item = &TransactionRecord> {
        let next = self.public.map_or(RecordPointer::FIRST, |info| info.pointer);
        let mut pointer = next;
        (0..self.records.len()).filter_map(move |_| {
            pointer = pointer.previous();
            self.records[usize::from(pointer.number()).saturating_sub(1)].as_ref()
        })
    }
}
