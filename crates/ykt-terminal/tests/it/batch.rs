//! Batches: what a terminal hands over, byte for byte the same however often it is asked.

use crate::desk::{Hand, Pull, psam};
use crate::load::loaded;
use crate::purchase::{BALANCE, at, config};
use ykt_base::{Fen, Mac4};
use ykt_files::{Confirmation, FixedFile, NameLayout, XfRecord};
use ykt_purse::Purse;
use ykt_terminal::batch::BatchError;
use ykt_terminal::pos::{Outcome, Pos, PosConfig, PosError};
use ykt_terminal::record::BatchId;
use ykt_terminal::store::{FileStore, MemoryStore};

fn id(sequence: u16) -> BatchId {
    BatchId { day: at("000000").date, sequence }
}

#[test]
fn a_batch_is_the_same_file_every_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pos.records");
    let open = || Pos::open(config(), Hand::new(psam()), FileStore::open(&path).unwrap()).unwrap();
    let mut pos = open();
    let mut card = Hand::new(loaded(1, BALANCE));
    for (fare, time) in [(200, "080000"), (350, "090000")] {
        let outcome = pos.purchase(&mut card, Fen::new(fare), at(time)).unwrap();
        assert!(matches!(outcome, Outcome::Paid(_)));
    }
    let mut lost = Hand::new(loaded(2, BALANCE));
    lost.pull = Some(Pull::After(4));
    pos.purchase(&mut lost, Fen::new(150), at("100000")).unwrap();

    let batch = pos.close_batch(id(1), at("235900")).unwrap();
    assert_eq!(batch.name.to_string(), "XF2026112201M00000000000001001");
    assert_eq!((batch.records, batch.grey, batch.amount), (3, 1, Fen::new(700)));
    let file = FixedFile::<XfRecord>::open(&batch.bytes, NameLayout::default()).unwrap();
    let records: Vec<XfRecord> = file.records().map(Result::unwrap).collect();
    assert_eq!(records.iter().map(|r| r.serial).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(records.iter().map(|r| r.counter.0).collect::<Vec<_>>(), [0, 1, 0]);
    assert_eq!(records[1].balance_before, Fen::new(4_800));
    assert_eq!(records[0].terminal.to_string(), "214400000009");
    assert_eq!((records[2].confirmation, records[2].tac), (Confirmation::Grey, Mac4([0; 4])));
    assert!(records[..2].iter().all(|r| r.confirmation == Confirmation::Confirmed));

    assert_eq!(pos.close_batch(id(1), at("235959")).unwrap(), batch, "closed again");
    pos.purchase(&mut card, Fen::new(100), at("235930")).unwrap();
    assert_eq!(pos.close_batch(id(1), at("235959")).unwrap(), batch, "later purchases are not in it");
    drop(pos);
    let mut pos = open();
    assert_eq!(pos.batch(id(1)).unwrap().unwrap(), batch, "from the journal");
    assert_eq!(pos.close_batch(id(2), at("235959")).unwrap().records, 1);
    assert_eq!(pos.batch(id(3)).unwrap(), None);

    let late = pos.purchase(&mut lost.put_back(), Fen::new(150), at("235950")).unwrap();
    assert!(matches!(late, Outcome::Paid(_)), "its old debit is with the centre; this ride is a new one");
}

#[test]
fn a_card_that_may_still_come_back_waits_for_the_next_batch() {
    let mut pos = crate::purchase::pos();
    let mut card = Hand::new(loaded(1, BALANCE));
    card.pull = Some(Pull::After(4));
    pos.purchase(&mut card, Fen::new(150), at("235900")).unwrap();
    assert_eq!(pos.close_batch(id(1), at("235959")).unwrap().records, 0);
    let back = pos.purchase(&mut card.put_back(), Fen::new(150), at("235959")).unwrap();
    assert!(matches!(back, Outcome::Recovered(_)));
    let batch = pos.close_batch(id(2), at("235959")).unwrap();
    assert_eq!((batch.records, batch.grey), (1, 0));
    assert!(pos.close_batch(id(0), at("235959")).is_err(), "a day's batches count from 1");
}

#[test]
fn purchases_from_a_deposit_fit_no_purchase_file() {
    let config = PosConfig { purse: Purse::Ed, ..config() };
    let mut pos = Pos::open(config, Hand::new(psam()), MemoryStore::default()).unwrap();
    let refused = pos.close_batch(id(1), at("235900")).unwrap_err();
    assert!(matches!(refused, PosError::Batch(BatchError::Deposit)));
    assert_eq!(pos.batch(id(1)).unwrap(), None, "nothing was closed");
}
