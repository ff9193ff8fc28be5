//! The journal of M1 transactions: there and back, cut and contradicted.

use super::super::book::{Certainty, M1Book};
use super::*;
use crate::record::LocalSerial;

fn intent(serial: u32, uid: u8) -> Intent {
    let info = ykt_m1::layout::PublicInfo::NEW;
    Intent {
        serial: LocalSerial::new(serial).unwrap(),
        operation: Operation::Purchase,
        card: Identity {
            uid: Uid([0x1A, 0x2B, 0x3C, uid]),
            city: [0x21, 0x44],
            industry: [0, 0],
            serial: [0, 0, 0, 7],
            auth_code: AuthCode([1, 2, 3, 4]),
        },
        card_type: 1,
        public: info.to_block(&ykt_m1::M1Layout::CLAIMED),
        pointer: info.pointer,
        count: info.count,
        before: Fen::new(100),
        amount: Fen::new(200),
        totals: LoadTotals { total: 5_000, loads: 1, last: 5_000 },
        at: "20261122080000".parse().unwrap(),
    }
}

fn entries() -> Vec<M1Entry> {
    let load = Intent { operation: Operation::Load, ..intent(2, 9) };
    let [first, second] = [intent(1, 8).serial, load.serial];
    vec![
        M1Entry::Begun(intent(1, 8)),
        M1Entry::Moved(first, Some(Mac4([9, 8, 7, 6]))),
        M1Entry::Closed(first, Closing::Complete),
        M1Entry::Begun(load),
        M1Entry::Closed(second, Closing::Void),
        M1Entry::Begun(intent(3, 8)),
        M1Entry::Closed(LocalSerial::new(3).unwrap(), Closing::Grey),
        M1Entry::Locked(Lock { card: load.card, at: load.at }),
        M1Entry::HandedOver(first),
    ]
}

#[test]
fn every_kind_goes_there_and_back_and_no_flipped_bit_passes() {
    for entry in entries() {
        let bytes = encode(&entry);
        assert_eq!(decode(&bytes), Frame::Whole { entry, len: bytes.len() });
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(decode(&bad), Frame::Damaged(_)), "bit {bit}");
        }
    }
}

/// `epurse.md` 8.6 step 2: flag, card number, step, sector, block, amount, balance after, block 24.
#[test]
fn the_entry_of_the_re_present_list_has_thirty_two_bytes() {
    let entry = intent(1, 8).entry(EntryStep::Backup);
    let hex = ykt_base::hex::Hex(&entry).to_string();
    assert_eq!(
        hex,
        "0000000007".to_owned() + "02020A" + "000000C8" + "FFFFFF9C" + "01000002000000100000000000000013"
    );
}

#[test]
fn a_journal_in_a_file_is_the_journal_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m1.records");
    let (mut file, mut memory) = (M1File::open(&path).unwrap(), M1Memory::default());
    for entry in entries() {
        file.append(&entry).unwrap();
        memory.append(&entry).unwrap();
    }
    drop(file);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let book = M1Book::open(M1File::open(&path).unwrap()).unwrap();
    assert_eq!(book.records().len(), 2, "the last entry was cut short: nothing is handed over");
    assert_eq!(book.records()[1].certainty, Certainty::Grey);
    assert_eq!((book.locks().len(), book.pending().count()), (1, 0));
    drop(book);
    let book = M1Book::open(memory).unwrap();
    assert_eq!((book.records().len(), book.locks().len()), (1, 0));
    assert!(matches!(crate::store::FileStore::open(&path), Err(StoreError::Foreign { .. })));
}

#[test]
fn what_contradicts_itself_is_refused_before_it_is_written() {
    let first = LocalSerial::FIRST;
    let mut book = M1Book::open(M1Memory::default()).unwrap();
    book.begin(intent(1, 8)).unwrap();
    let refused = |outcome| matches!(outcome, Err(StoreError::OutOfOrder { .. }));
    assert!(refused(book.begin(intent(1, 9))), "the serial again");
    assert!(refused(book.begin(intent(2, 8))), "the card again");
    assert!(refused(book.close(first, Closing::Complete)), "no money has moved");
    book.moved(first, None).unwrap();
    assert!(refused(book.moved(first, None)), "twice");
    assert!(refused(book.close(first, Closing::Void)), "money has moved");
    book.close(first, Closing::Complete).unwrap();
    assert!(refused(book.close(first, Closing::Complete)), "not pending any more");
    let book = M1Book::open(book.into_store()).unwrap();
    assert_eq!(book.record(first).unwrap().certainty, Certainty::Moved { tac: None });
}
