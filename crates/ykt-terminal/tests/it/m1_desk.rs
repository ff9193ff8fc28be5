//! M1 cards of the tests: made by their issuer, with hands that pull them out and memories whose power is cut.

use crate::desk::Pull;
use ykt_base::{CardChannel, ChannelError, DateTime, Fen, Response, StatusWord, TerminalId};
use ykt_crypto::Key16;
use ykt_m1::issue::{IssueOrder, personalise};
use ykt_m1::layout::{CardFlag, PublicInfo, RecordPointer, TransactionRecord};
use ykt_m1::{
    ArrayBlocks, Block, BlockMemory, BlockNo, M1Layout, M1Masters, M1Reader, Rest, Tear, Uid, ValueBlock,
};
use ykt_terminal::m1::{Certainty, M1Config, M1Memory, M1Outcome, M1Terminal, Operation, SoftKeys};

pub const BALANCE: Fen = Fen::new(5_000);
pub const FARE: Fen = Fen::new(200);
pub const LOAD: Fen = Fen::new(3_000);
pub const LAYOUTS: [M1Layout; 3] = [M1Layout::CLAIMED, M1Layout::COMPLEMENT, M1Layout::IDENTICAL];

/// Ways a block can be torn: nothing, parts and all of it arrive, over old, cleared or set bytes.
pub fn tears() -> impl Iterator<Item = Tear> + Clone {
    let arrived = [0, 1, 2, 3, 4, 7, 8, 11, 12, 14, 15, 16].into_iter();
    arrived.flat_map(|arrived| {
        [Rest::Kept, Rest::Erased(0x00), Rest::Erased(0xFF)].map(|rest| Tear { arrived, rest })
    })
}

pub fn at(time: &str) -> DateTime {
    format!("20261122{time}").parse().unwrap()
}

pub fn masters() -> M1Masters {
    let key = |fill| Key16::from_bytes([fill; 16]);
    M1Masters { sector_a: key(0x11), sector_b: key(0x22), auth_code: key(0x33), tac: key(0x44) }
}

/// A fresh card with this number and 50 yuan.
pub fn card(number: u8, layout: M1Layout) -> ArrayBlocks {
    let day = |text: &str| text.parse().unwrap();
    let order = IssueOrder {
        city: [0x21, 0x44],
        industry: [0, 0],
        serial: [0, 0, 0, number],
        flag: CardFlag::Enabled,
        card_type: 1,
        key_version: 0xFF,
        issued: day("20260101"),
        enabled: day("20260101"),
        expiry: day("20361231"),
        deposit: 2_000,
        balance: BALANCE,
        device: [0, 0, 0, 1],
    };
    let mut reader = M1Reader::new(ArrayBlocks::blank(Uid([0x1A, 0x2B, 0x3C, number])));
    personalise(&mut reader, &order, &masters(), &layout, &mut |_| {}).unwrap();
    reader.into_memory()
}

pub type Terminal = M1Terminal<SoftKeys, M1Memory>;

pub fn config(device: u8, layout: M1Layout) -> M1Config {
    M1Config::new(layout, [0x21, 0x44], [0, 0, 0x10, device], TerminalId([0x21, 0x44, 0, 0, 0, device]))
}

/// The terminal with this device number.
pub fn terminal(device: u8, layout: M1Layout) -> Terminal {
    let keys = SoftKeys { masters: masters(), layout };
    M1Terminal::open(config(device, layout), keys, M1Memory::default()).unwrap()
}

/// Shows the card for a fare or a load.
pub fn show(terminal: &mut Terminal, card: &mut M1Hand, operation: Operation, at: DateTime) -> M1Outcome {
    match operation {
        Operation::Purchase => terminal.purchase(card, FARE, at).unwrap(),
        Operation::Load => terminal.load(card, LOAD, at).unwrap(),
    }
}

/// The balance after one fare or one load.
pub fn after(operation: Operation) -> Fen {
    match operation {
        Operation::Purchase => BALANCE.checked_sub(FARE).unwrap(),
        Operation::Load => BALANCE.checked_add(LOAD).unwrap(),
    }
}

/// What the verified records of a terminal took from (below zero) or gave to the card with this UID; and what its
/// grey ones may have.
pub fn booked(terminal: &Terminal, uid: Uid) -> (i64, Vec<i64>) {
    let (mut sure, mut grey) = (0, Vec::new());
    for record in terminal.book().records().iter().filter(|record| record.intent.card.uid == uid) {
        let sign = if record.intent.operation == Operation::Load { 1 } else { -1 };
        match record.certainty {
            Certainty::Moved { tac } => {
                assert!(tac.is_some());
                sure += sign * record.intent.amount.fen();
            }
            Certainty::Grey => grey.push(sign * record.intent.amount.fen()),
        }
    }
    (sure, grey)
}

/// A card on a reader, in somebody's hand.
pub struct M1Hand {
    pub reader: M1Reader<ArrayBlocks>,
    present: bool,
    pub commands: usize,
    pub pull: Option<Pull>,
}

impl M1Hand {
    pub fn new(memory: ArrayBlocks) -> M1Hand {
        M1Hand { reader: M1Reader::new(memory), present: true, commands: 0, pull: None }
    }

    pub fn memory(&mut self) -> &mut ArrayBlocks {
        self.reader.chip_mut().memory_mut()
    }

    /// Shows the card again, with power.
    pub fn put_back(self) -> M1Hand {
        let mut memory = self.reader.into_memory();
        memory.restore_power();
        M1Hand::new(memory)
    }

    pub fn block(&self, block: BlockNo) -> Block {
        self.reader.chip().memory().read(block)
    }

    pub fn uid(&self) -> Uid {
        self.reader.chip().uid()
    }

    /// Purse and backup, which must agree.
    pub fn balance(&self) -> Fen {
        let [purse, backup] = [BlockNo::PURSE, BlockNo::PURSE_BACKUP]
            .map(|block| ValueBlock::from_block(&self.block(block)).unwrap().fen());
        assert_eq!(purse, backup);
        purse
    }

    pub fn info(&self, layout: &M1Layout) -> PublicInfo {
        let info = PublicInfo::from_block(&self.block(BlockNo::PUBLIC), layout).unwrap();
        assert_eq!(info.to_blocks(layout)[1], self.block(BlockNo::PUBLIC_COPY), "the copy agrees");
        info
    }

    /// Records in their blocks, block 12 first.
    pub fn records(&self) -> Vec<Option<TransactionRecord>> {
        RecordPointer::all().map(|at| TransactionRecord::from_block(&self.block(at.block()))).collect()
    }
}

impl CardChannel for M1Hand {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        if !self.present || self.pull == Some(Pull::Before(self.commands)) {
            self.present = false;
            return Err(ChannelError::Removed);
        }
        let answer = self.reader.answer(command);
        // A chip whose power was cut answers to nobody.
        let cut = answer.sw() == StatusWord::MEMORY_FAILURE;
        if cut || self.pull == Some(Pull::After(self.commands)) {
            self.present = false;
            return Err(ChannelError::Removed);
        }
        self.commands += 1;
        Ok(answer)
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        if !self.present {
            return Err(ChannelError::Removed);
        }
        self.reader.power_cycle();
        Ok(())
    }
}
